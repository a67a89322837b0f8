//! What speaks at an address that somebody pasted: the protocol, the service's root, what it offers.
//!
//! A path or query that names its protocol is taken at its word; else the first bytes of the answer tell. A
//! database tells its tables, a broker what it keeps, a folder of another machine that it can be read. Only the host of the
//! address is asked, a handful of times, and no more than a megabyte is read of what a single answer brings.

use super::{Login, arcgis, malformed, mqtt, ogc, postgis, wfs};
use crate::net::{Client, FetchError, decoded, host_of, text_of};
use crate::remote_folder::{self, Place};
use crate::sensorthings;
use model::Protocol;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use url::Url;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    pub protocol: Protocol,
    /// The service's root: what a source is configured with.
    pub root: Url,
    /// What the service calls itself.
    pub title: Option<String>,
    /// The collection that the address names.
    pub chosen: Option<String>,
    pub offers: Vec<Offer>,
    /// The server says of itself that its data is practice data.
    pub practice: bool,
}

/// A collection on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// As the source calls it; `None` where the address itself is the only one.
    pub collection: Option<String>,
    pub title: String,
    pub features: Option<u64>,
}

const ACCEPTED: &str = "application/geo+json, application/json, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5";
const LOOK_BYTES: usize = 1 << 20;

/// Recognises what an address leads to. Blanks around it and a missing `http://` are forgiven; a path on this machine is a
/// folder of station files.
///
/// # Errors
/// [`FetchError`] of the way there; `unrecognised` for what speaks nothing that is known here; `login` of a database, with the
/// way to name credentials.
pub async fn recognise(client: &Client, text: &str) -> Result<Recognised, FetchError> {
    recognise_with(client, text, None).await
}

/// As [`recognise`], showing the server what it wants to see.
///
/// # Errors
/// Those of [`recognise`], and `no_secret` for a secret that no header can carry.
pub async fn recognise_with(client: &Client, text: &str, login: Option<Login<'_>>) -> Result<Recognised, FetchError> {
    let url = address(text)?;
    match url.scheme() {
        "file" => return folder(url),
        "ftp" | "ftps" | "sftp" => return recognise_folder(client, Place { url: &url, login, host_key: None }).await,
        "postgres" | "postgresql" => {
            let offers = postgis::offers(client, &url, login).await?;
            let title = Some(decoded(url.path().trim_matches('/')));
            return Ok(Recognised { title, offers, ..plain(Protocol::PostGis, url) });
        }
        "mqtt" | "mqtts" => {
            let offers = mqtt::offers(client, &url, login).await?;
            return Ok(Recognised { offers, ..plain(Protocol::Mqtt, url) });
        }
        _ => {}
    }
    let client = &client.showing(&url, login)?;
    if let Some(found) = by_name(client, &url).await? {
        return Ok(found);
    }
    let first = by_answer(client, &url).await;
    match first {
        Ok(Look::Is(found)) => Ok(*found),
        Err(error) if !matches!(error, FetchError::Status { .. }) => Err(error),
        // A page for people, a refusal or an empty word: many services say more when they are asked in their own way.
        other => {
            let mut as_json = url.clone();
            as_json.query_pairs_mut().append_pair("f", "json");
            if let Ok(Look::Is(found)) = by_answer(client, &as_json).await {
                return Ok(Recognised { root: without(&found.root, "f"), ..*found });
            }
            let root = wfs::service_root(&url);
            if let Ok((title, offers)) = wfs::offers(client, &root).await {
                return Ok(Recognised { title, offers, ..plain(Protocol::Wfs, root) });
            }
            match other {
                Ok(Look::Other(said)) => Err(FetchError::Unrecognised { url: url.to_string(), said }),
                Err(error) => Err(error),
                Ok(Look::Is(found)) => Ok(*found),
            }
        }
    }
}

/// As [`recognise_with`], of a folder of another machine, whose key the source may name.
///
/// # Errors
/// Those of [`crate::remote_folder::open`].
pub async fn recognise_folder(client: &Client, place: Place<'_>) -> Result<Recognised, FetchError> {
    let mut folder = remote_folder::open(client, place).await?;
    // That it can be read.
    folder.list("").await?;
    let url = place.url.clone();
    let title = url.path_segments().and_then(|mut all| all.rfind(|name| !name.is_empty())).map(decoded);
    let title = title.or_else(|| url.host_str().map(str::to_owned));
    Ok(Recognised { title, offers: vec![itself(&url, None)], ..plain(Protocol::StationFolder, url) })
}

fn plain(protocol: Protocol, root: Url) -> Recognised {
    Recognised { protocol, root, title: None, chosen: None, offers: Vec::new(), practice: false }
}

fn address(text: &str) -> Result<Url, FetchError> {
    let text = text.trim();
    let wrong = |reason: String| FetchError::BadAddress { url: text.to_owned(), reason };
    if std::path::Path::new(text).is_absolute() {
        return Url::from_file_path(text).map_err(|()| wrong("it is no path of this machine".into()));
    }
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{text}")),
    };
    let mut url = url.map_err(|error| wrong(error.to_string()))?;
    let database = matches!(url.scheme(), "postgres" | "postgresql");
    if !database && !matches!(url.scheme(), "http" | "https" | "file" | "ftp" | "ftps" | "sftp" | "mqtt" | "mqtts") {
        return Err(wrong(format!("{:?} is no protocol that can be recognised by its address", url.scheme())));
    }
    // A database is always asked by somebody: a role without its password is no secret.
    let in_query = database && url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("password"));
    if url.password().is_some() || in_query || !database && !url.username().is_empty() {
        // It is not repeated: what failed is shown, and written down.
        let reason = "a user or password does not belong into an address: they are kept apart, by `secret set`".into();
        return Err(FetchError::BadAddress { url: host_of(&url), reason });
    }
    url.set_fragment(None);
    Ok(url)
}

fn folder(url: Url) -> Result<Recognised, FetchError> {
    let wrong = |reason: &str| FetchError::BadAddress { url: url.to_string(), reason: reason.into() };
    let path = url.to_file_path().map_err(|()| wrong("it is no path of this machine"))?;
    if !path.is_dir() {
        return Err(wrong("there is no such folder; a single file is imported, not added as a source"));
    }
    let title = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Recognised { title, offers: vec![itself(&url, None)], ..plain(Protocol::StationFolder, url.clone()) })
}

/// By what path and query say of the protocol.
async fn by_name(client: &Client, url: &Url) -> Result<Option<Recognised>, FetchError> {
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let cut = |at: usize| {
        let mut root = url.clone();
        root.set_query(None);
        root.set_path(&segments[..at].join("/"));
        root
    };
    let position =
        |words: &[&str]| segments.iter().position(|segment| words.iter().any(|w| segment.eq_ignore_ascii_case(w)));
    let after = |at: usize| segments.get(at + 1).filter(|name| !name.is_empty()).map(|name| decoded(name));
    if let Some(at) = position(&["FeatureServer", "MapServer"]) {
        let root = cut(at + 1);
        let offers = arcgis::offers(client, &root).await?;
        return Ok(Some(Recognised { chosen: after(at), offers, ..plain(Protocol::ArcGis, root) }));
    }
    let says_wfs = url
        .query_pairs()
        .any(|(name, value)| name.eq_ignore_ascii_case("service") && value.eq_ignore_ascii_case("wfs"));
    if says_wfs || segments.last().is_some_and(|last| last.eq_ignore_ascii_case("wfs")) {
        let chosen =
            url.query_pairs().find(|(name, _)| ["typename", "typenames"].contains(&name.to_ascii_lowercase().as_str()));
        let chosen = chosen.map(|(_, value)| value.into_owned());
        let root = wfs::service_root(url);
        let (title, offers) = wfs::offers(client, &root).await?;
        return Ok(Some(Recognised { title, chosen, offers, ..plain(Protocol::Wfs, root) }));
    }
    if let Some(at) = position(&["collections"]) {
        let root = cut(at);
        let (practice, offers) = ogc::offers(client, &root).await?;
        let title = landing_title(client, &root).await;
        let found = Recognised { title, chosen: after(at), offers, practice, ..plain(Protocol::OgcApiFeatures, root) };
        return Ok(Some(found));
    }
    if let Some(at) = position(&["Things", "Datastreams"])
        && let Some(found) = things(client, cut(at)).await?
    {
        return Ok(Some(found));
    }
    Ok(None)
}

fn without(url: &Url, key: &str) -> Url {
    let kept: Vec<(String, String)> =
        url.query_pairs().filter(|(name, _)| name != key).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    let mut url = url.clone();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    url
}

async fn landing_title(client: &Client, root: &Url) -> Option<String> {
    let (bytes, _) = client.look(root, ACCEPTED, LOOK_BYTES).await.ok()?;
    let value: Value = serde_json::from_slice(&bytes).ok()?;
    title_of(&value)
}

fn title_of(value: &Value) -> Option<String> {
    let title = value.get("title").or_else(|| value.get("serviceDescription"))?.as_str()?.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

enum Look {
    Is(Box<Recognised>),
    /// In the server's own word for it.
    Other(String),
}

impl From<Recognised> for Look {
    fn from(found: Recognised) -> Self {
        Self::Is(Box::new(found))
    }
}

/// By what comes.
async fn by_answer(client: &Client, url: &Url) -> Result<Look, FetchError> {
    let (bytes, headers) = client.look(url, ACCEPTED, LOOK_BYTES).await?;
    let said = text_of(&headers, "content-type").unwrap_or_else(|| "nothing".into());
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii_start();
    match text.first() {
        Some(b'{' | b'[') => by_json(client, url, text, said).await,
        Some(b'<') => by_xml(client, url, text, said).await,
        Some(_) if is_file(url, &bytes, &said) => Ok(file(url, None).into()),
        _ => Ok(Look::Other(said)),
    }
}

async fn by_json(client: &Client, url: &Url, text: &[u8], said: String) -> Result<Look, FetchError> {
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        // Larger than a look, or a feature a line: the beginning has to do.
        let head = String::from_utf8_lossy(&text[..text.len().min(4_096)]).replace([' ', '\n', '\r', '\t'], "");
        let features = head.contains("\"type\":\"FeatureCollection\"") || head.contains("\"type\":\"Feature\"");
        return Ok(if features { file(url, None).into() } else { Look::Other(said) });
    };
    let kind = value.get("type").and_then(Value::as_str);
    if matches!(kind, Some("FeatureCollection" | "Feature")) {
        let features = value.get("features").and_then(Value::as_array).map(|all| all.len() as u64);
        return Ok(file(url, features).into());
    }
    let links = value.get("links").and_then(Value::as_array);
    let leads = |rels: &[&str]| {
        let rel = |link: &Value| link.get("rel").and_then(Value::as_str).is_some_and(|rel| rels.contains(&rel));
        links.is_some_and(|links| links.iter().any(rel))
    };
    let ogc = [
        "data",
        "conformance",
        "http://www.opengis.net/def/rel/ogc/1.0/data",
        "http://www.opengis.net/def/rel/ogc/1.0/conformance",
    ];
    if leads(&ogc) || value.get("conformsTo").is_some() {
        let root = url.clone();
        let (practice, offers) = ogc::offers(client, &root).await?;
        let title = title_of(&value);
        return Ok(Recognised { title, offers, practice, ..plain(Protocol::OgcApiFeatures, root) }.into());
    }
    let names = value.get("value").and_then(Value::as_array).into_iter().flatten();
    let names: HashSet<&str> = names.filter_map(|entry| entry.get("name").and_then(Value::as_str)).collect();
    if names.contains("Things")
        && names.contains("Datastreams")
        && let Some(found) = things(client, url.clone()).await?
    {
        return Ok(found.into());
    }
    if value.get("currentVersion").is_some() && value.get("layers").is_some() {
        let root = without(url, "f");
        let offers = arcgis::offers(client, &root).await?;
        return Ok(Recognised { title: title_of(&value), offers, ..plain(Protocol::ArcGis, root) }.into());
    }
    Ok(Look::Other(said))
}

async fn by_xml(client: &Client, url: &Url, text: &[u8], said: String) -> Result<Look, FetchError> {
    let head = String::from_utf8_lossy(&text[..text.len().min(4_096)]).to_lowercase();
    let begins =
        |name: &str| head.match_indices(name).any(|(at, _)| head[..at].ends_with('<') || head[..at].ends_with(':'));
    if begins("wfs_capabilities") {
        let root = wfs::service_root(url);
        let (title, offers) = wfs::offers(client, &root).await?;
        return Ok(Recognised { title, offers, ..plain(Protocol::Wfs, root) }.into());
    }
    let warns = begins("alert") && head.contains("urn:oasis:names:tc:emergency:cap");
    if warns || begins("feed") || begins("rss") {
        return Ok(Recognised { offers: vec![itself(url, None)], ..plain(Protocol::Cap, url.clone()) }.into());
    }
    if begins("kml") {
        return Ok(file(url, None).into());
    }
    Ok(Look::Other(said))
}

/// The live layers that stations of a SensorThings service say they belong to, and those stations that say nothing.
async fn things(client: &Client, root: Url) -> Result<Option<Recognised>, FetchError> {
    let found = sensorthings::survey(client, &root, None).await?;
    let mut layers: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for stream in &found.streams {
        if let Some(layer) = &stream.layer {
            layers.entry(layer).or_default().insert(stream.feature.as_ref().unwrap_or(&stream.thing));
        }
    }
    let offer = |(layer, stations): (&&str, &HashSet<&str>)| Offer {
        collection: Some((*layer).to_owned()),
        title: (*layer).to_owned(),
        features: Some(stations.len() as u64),
    };
    let mut offers: Vec<Offer> = layers.iter().map(offer).collect();
    if found.unlabelled > 0 {
        offers.push(Offer { collection: None, title: "Things".into(), features: Some(found.things) });
    }
    if offers.is_empty() {
        return Err(malformed(&root, "it has no Things with datastreams"));
    }
    Ok(Some(Recognised { offers, ..plain(Protocol::SensorThings, root) }))
}

fn file(url: &Url, features: Option<u64>) -> Recognised {
    let name = url.path_segments().and_then(|mut all| all.next_back()).filter(|name| !name.is_empty()).map(decoded);
    Recognised { title: name, offers: vec![itself(url, features)], ..plain(Protocol::File, url.clone()) }
}

fn itself(url: &Url, features: Option<u64>) -> Offer {
    let name = url.path_segments().and_then(|mut all| all.rfind(|name| !name.is_empty())).map(decoded);
    Offer { collection: None, title: name.unwrap_or_else(|| url.to_string()), features }
}

/// A table, a GeoPackage, an archive: by the first bytes, or by name and type together with lines of cells.
fn is_file(url: &Url, bytes: &[u8], said: &str) -> bool {
    let magic: [&[u8]; 4] = [b"SQLite format 3\0", b"PK\x03\x04", b"fgb\x03", b"\x00\x00\x27\x0a"];
    if magic.iter().any(|magic| bytes.starts_with(magic)) {
        return true;
    }
    let path = url.path().to_lowercase();
    let named = [".csv", ".csv.gz", ".geojson.gz", ".geojsonl.gz", ".dxf"].iter().any(|end| path.ends_with(end));
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let cells = line.iter().any(|byte| matches!(byte, b',' | b';' | b'\t'));
    named || (said.starts_with("text/csv") && cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_forgiven_what_people_leave_out() {
        let of = |text: &str| address(text).map(|url| url.to_string());
        assert_eq!(of("  data.example:8080/ogc\n").unwrap(), "http://data.example:8080/ogc");
        assert_eq!(of("https://data.example/ogc#map").unwrap(), "https://data.example/ogc");
        assert_eq!(of("/srv/stations").unwrap(), "file:///srv/stations");
        assert_eq!(of("sftp://tnmt.example/srv/stations").unwrap(), "sftp://tnmt.example/srv/stations");
        assert_eq!(of("postgres://reader@db.example/land").unwrap(), "postgres://reader@db.example/land");
        assert_eq!(of("mqtts://broker.example/tayninh").unwrap(), "mqtts://broker.example/tayninh");
        for wrong in [
            "",
            "gopher://data.example/",
            "ftp://me:secret@data.example/",
            "sftp://me@data.example/srv",
            "javascript://x",
            "http://me:secret@data.example/",
            "postgres://me:secret@db.example/land",
            "mqtt://me:secret@broker.example/",
            "postgres://me@db.example/land?password=secret@",
        ] {
            let error = of(wrong).unwrap_err();
            assert_eq!(error.code(), "bad_address", "{wrong}");
            assert!(!error.to_string().contains("secret@"), "{error}");
        }
    }

    #[test]
    fn names_in_paths_are_decoded_as_paths_are() {
        assert_eq!(decoded("tr%C6%B0%E1%BB%9Dng%20h%E1%BB%8Dc"), "trường học");
        assert_eq!(decoded("a+b"), "a+b");
        let url: Url = "http://h/x?f=json&map=a".parse().unwrap();
        assert_eq!(without(&url, "f").as_str(), "http://h/x?map=a");
    }
}
