//! OGC Web Feature Service 2.0 and 1.1 (OGC 09-025r2, 04-094): capabilities first, and only what they offer is asked for.
//!
//! GeoJSON where it is offered, else GML. Pages by `startIndex` where the server says that it implements them; else the
//! whole at once. All requests go to the address of the profile, whatever addresses the capabilities name.

mod answer;
mod capabilities;
mod gml;

use super::pages::Pages;
use super::recognise::Offer as Listed;
use super::{FeatureService, Fetched, Fetching, Progress, Wanted, malformed};
use crate::net::{Answer, Body, Client, FetchError};
use crate::xml::document;
use answer::{Count, Reading};
use capabilities::{Kind, Offer, Version};
use std::collections::HashMap;
use url::Url;

/// The protocol.
#[derive(Debug)]
pub(super) struct Wfs;

impl FeatureService for Wfs {
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(async move { fetch(&wanted.client(client)?, wanted, progress).await })
    }
}

const ACCEPT: &str =
    "application/geo+json, application/json, application/gml+xml, application/xml, text/xml, */*;q=0.5";
const PAGE: u64 = 1_000;

async fn fetch(client: &Client, wanted: Wanted<'_>, progress: Progress<'_>) -> Result<Fetched, FetchError> {
    let url = request(wanted.root, &[("request", "GetCapabilities"), ("acceptVersions", "2.0.0,1.1.0")]);
    let offer = capabilities::read(&url, &get(client, &url).await?, wanted.name())?;
    let ask = |more: &[(&str, &str)]| {
        let (types, json) = (type_key(&offer), offer.json.as_deref());
        let mut query = vec![("version", offer.version.as_str()), (types, offer.type_name.as_str())];
        query.extend(offer.srs.as_deref().map(|srs| ("srsName", srs)));
        query.extend(json.map(|json| ("outputFormat", json)));
        query.extend_from_slice(more);
        request(wanted.root, &query)
    };
    let kinds = kinds(client, &wanted, &offer).await?;
    let mut pages = Pages::new(client, &wanted);
    let first = ask(&[("request", "GetFeature")]);
    // MapServer counts none where it does not count.
    let hits = hits(client, &ask(&[("request", "GetFeature"), ("resultType", "hits")]), &offer).await?;
    pages.announced = hits.filter(|count| *count > 0);
    loop {
        let (start, count) = (pages.received.to_string(), PAGE.min(wanted.at_most.unwrap_or(PAGE)).to_string());
        let url = match offer.paging {
            true => ask(&[("request", "GetFeature"), ("startIndex", &start), ("count", &count)]),
            false => first.clone(),
        };
        let known = pages.announced;
        let answer = pages.answer(&url, async |kept| client.get(&url, ACCEPT, kept).await).await?;
        let bytes = bytes_of(&url, answer)?;
        let reading = Reading { url: &url, offer: &offer, kinds: &kinds };
        let Count { here, matched } = reading.page(&bytes, &mut pages)?;
        if let (Some(before), Some(now)) = (known, matched)
            && before != now
        {
            return Err(FetchError::Changed { url: url.to_string() });
        }
        pages.announced = known.or(matched);
        progress(pages.received, pages.announced);
        let complete = pages.announced.is_some_and(|announced| pages.received >= announced);
        // A short page may come of a limit of the server's own: only an empty one is the end.
        if complete || here == 0 || pages.enough() {
            break;
        }
        if !offer.paging {
            if let Some(announced) = pages.announced {
                let what = format!("the server gives {here} of {announced} features and offers no pages");
                return Err(malformed(&url, what));
            }
            break;
        }
    }
    Ok(Fetched::Features(pages.finish(&first, &wanted)?))
}

/// The feature types of a service, and what it calls itself.
pub(super) async fn offers(client: &Client, root: &Url) -> Result<(Option<String>, Vec<Listed>), FetchError> {
    let url = request(root, &[("request", "GetCapabilities"), ("acceptVersions", "2.0.0,1.1.0")]);
    capabilities::list(&url, &get(client, &url).await?)
}

/// The address without the words of a single request.
pub(super) fn service_root(url: &Url) -> Url {
    let mut root = request(url, &[]);
    let kept: Vec<(String, String)> = root
        .query_pairs()
        .filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            ![
                "service",
                "typename",
                "typenames",
                "outputformat",
                "srsname",
                "bbox",
                "count",
                "maxfeatures",
                "startindex",
            ]
            .contains(&name.as_str())
        })
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    root.set_query(None);
    if !kept.is_empty() {
        root.query_pairs_mut().extend_pairs(kept);
    }
    root
}

fn type_key(offer: &Offer) -> &'static str {
    match offer.version {
        Version::V2_0 => "typeNames",
        Version::V1_1 => "typeName",
    }
}

/// The service's address with a request. What the profile's address has beside the service's own words (`map=…`) stays.
fn request(root: &Url, query: &[(&str, &str)]) -> Url {
    let own = ["service", "request", "version", "acceptversions"];
    let kept: Vec<(String, String)> = root
        .query_pairs()
        .filter(|(name, _)| !own.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = root.clone();
    url.set_fragment(None);
    url.query_pairs_mut().clear().extend_pairs(kept).append_pair("service", "WFS").extend_pairs(query);
    url
}

async fn get(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    bytes_of(url, client.get(url, ACCEPT, None).await?)
}

fn bytes_of(url: &Url, answer: Answer) -> Result<Vec<u8>, FetchError> {
    match answer {
        Answer::Body(Body { bytes, .. }) => Ok(bytes),
        Answer::NotModified => Err(malformed(url, "304 was answered without being asked for")),
    }
}

/// How many features there are. A server that does not count still delivers.
async fn hits(client: &Client, url: &Url, offer: &Offer) -> Result<Option<u64>, FetchError> {
    let counted = match get(client, url).await {
        Ok(bytes) => Reading { url, offer, kinds: &HashMap::new() }.hits(&bytes),
        Err(error) => Err(error),
    };
    match counted {
        Err(error) if error.retryable() => Err(error),
        counted => Ok(counted.unwrap_or_default()),
    }
}

/// The types of the attributes, for GML: GeoJSON has them of its own. Without them everything is text.
async fn kinds(client: &Client, wanted: &Wanted<'_>, offer: &Offer) -> Result<HashMap<String, Kind>, FetchError> {
    if offer.json.is_some() || !offer.describes {
        return Ok(HashMap::new());
    }
    let query = [
        ("version", offer.version.as_str()),
        ("request", "DescribeFeatureType"),
        (type_key(offer), offer.type_name.as_str()),
    ];
    match get(client, &request(wanted.root, &query)).await {
        Ok(bytes) => Ok(document(&bytes).map(|schema| capabilities::kinds(&schema)).unwrap_or_default()),
        Err(error) if error.retryable() => Err(error),
        Err(_) => Ok(HashMap::new()),
    }
}
