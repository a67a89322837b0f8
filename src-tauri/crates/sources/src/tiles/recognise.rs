//! What kind of tiles an address that somebody pasted stands for.

use super::{capabilities, malformed, template, tilejson, wms, wmts};
use crate::features::Login;
use crate::net::{Client, FetchError, host_of, text_of};
use model::TileProtocol;
use serde_json::Value;
use std::path::Path;
use url::Url;

/// So much of an answer tells what it is.
const ACCEPTED: &str = "application/json, application/xml, */*;q=0.5";
const LOOK_BYTES: usize = 64 << 10;

/// What answers at an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    pub protocol: TileProtocol,
    /// As it belongs into a profile.
    pub url: String,
    pub title: Option<String>,
    /// Of WMS and WMTS; with the others the address alone says it.
    pub layers: Vec<TileLayer>,
    /// The layer that the address names.
    pub chosen: Option<String>,
}

/// A layer that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct TileLayer {
    pub name: String,
    pub title: String,
    pub styles: Vec<String>,
}

/// Finds out by which protocol tiles come from an address: a template, a service, a document, a file.
///
/// # Errors
/// `bad_address`; `unrecognised` when none of the protocols is spoken there; whatever went wrong on the way.
pub async fn recognise(client: &Client, text: &str, login: Option<Login<'_>>) -> Result<Recognised, FetchError> {
    let text = text.trim();
    let wrong = |reason: String| FetchError::BadAddress { url: text.to_owned(), reason };
    let plain = |protocol, url: String| Recognised { protocol, url, title: None, layers: Vec::new(), chosen: None };
    if text.contains('{') {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        fit(&template::filled(&with_scheme, 0, 0, 0)?)?;
        return Ok(plain(TileProtocol::Xyz, with_scheme));
    }
    let url = if Path::new(text).is_absolute() {
        Url::from_file_path(text).map_err(|()| wrong("it is no path of this machine".into()))?
    } else if text.contains("://") {
        Url::parse(text).map_err(|error| wrong(error.to_string()))?
    } else {
        Url::parse(&format!("http://{text}")).map_err(|error| wrong(error.to_string()))?
    };
    fit(&url)?;
    if url.scheme() == "file" {
        return file(&url).map(|protocol| plain(protocol, url.to_string()));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it is neither http nor https".into()));
    }
    let client = &client.showing(&url, login)?;
    let service = capabilities::parameter(&url, "service").unwrap_or_default().to_ascii_lowercase();
    let path = url.path().to_ascii_lowercase();
    let path = path.trim_end_matches('/');
    if service == "wms" || path.ends_with("/wms") {
        return by_wms(client, &url).await;
    }
    if service == "wmts" || path.ends_with("/wmts") || path.contains("wmtscapabilities") {
        return by_wmts(client, &url).await;
    }
    if path.ends_with(".pmtiles") {
        return Ok(plain(TileProtocol::PmTiles, url.to_string()));
    }
    let looked = client.look(&url, ACCEPTED, LOOK_BYTES).await;
    if let Ok((bytes, _)) = &looked {
        if bytes.starts_with(b"PMTiles") {
            return Ok(plain(TileProtocol::PmTiles, url.to_string()));
        }
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4_096)]).into_owned();
        match bytes.trim_ascii_start().first() {
            Some(b'{') => {
                let value = tilejson::document(client, &url).await?;
                let title = value.get("name").and_then(Value::as_str).map(super::attribution::plain);
                return Ok(Recognised { title, ..plain(TileProtocol::TileJson, url.to_string()) });
            }
            Some(b'<') if head.contains("WMS_Capabilities") || head.contains("WMT_MS_Capabilities") => {
                return by_wms(client, &url).await;
            }
            Some(b'<') if head.contains("opengis.net/wmts") => return by_wmts(client, &url).await,
            _ => {}
        }
    }
    // A page for people or a refusal: many services say more when they are asked in their own way.
    if let Ok(found) = by_wms(client, &url).await {
        return Ok(found);
    }
    if let Ok(found) = by_wmts(client, &url).await {
        return Ok(found);
    }
    let (_, headers) = looked?;
    let said = text_of(&headers, "content-type").unwrap_or_else(|| "nothing".into());
    Err(FetchError::Unrecognised { url: url.to_string(), said })
}

/// No login in an address: it would be shown, and written down.
fn fit(url: &Url) -> Result<(), FetchError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    let reason = "a user or password does not belong into an address: they are kept apart, by `secret set`".into();
    Err(FetchError::BadAddress { url: host_of(url), reason })
}

fn file(url: &Url) -> Result<TileProtocol, FetchError> {
    use std::io::Read;
    let path = super::file_of(url)?;
    let mut head = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(16).read_to_end(&mut head));
    read.map_err(|error| FetchError::BadAddress { url: url.to_string(), reason: error.to_string() })?;
    if head.starts_with(b"PMTiles") {
        Ok(TileProtocol::PmTiles)
    } else if head.starts_with(b"SQLite format 3") {
        Ok(TileProtocol::MbTiles)
    } else {
        Err(malformed(url, "it is neither a PMTiles archive nor an MBTiles file"))
    }
}

async fn by_wms(client: &Client, url: &Url) -> Result<Recognised, FetchError> {
    let root = capabilities::request(url, &[]);
    let service = wms::service(client, &root).await?;
    let layers = service.layers.into_iter().map(|layer| TileLayer {
        name: layer.name,
        title: layer.title,
        styles: layer.styles,
    });
    Ok(Recognised {
        protocol: TileProtocol::Wms,
        url: root.to_string(),
        title: service.title,
        layers: layers.collect(),
        chosen: capabilities::parameter(url, "layers"),
    })
}

async fn by_wmts(client: &Client, url: &Url) -> Result<Recognised, FetchError> {
    let is_document = url.path().to_ascii_lowercase().ends_with(".xml");
    let root = if is_document { url.clone() } else { capabilities::request(url, &[]) };
    let (_, service) = wmts::service(client, &root).await?;
    let layers = service.layers.into_iter().map(|layer| TileLayer {
        name: layer.name,
        title: layer.title,
        styles: layer.styles,
    });
    Ok(Recognised {
        protocol: TileProtocol::Wmts,
        url: root.to_string(),
        title: service.title,
        layers: layers.collect(),
        chosen: capabilities::parameter(url, "layer"),
    })
}
