//! What the capabilities of WMS and WMTS have in common.

use super::{answer, malformed};
use crate::net::{Answer, Client, FetchError};
use crate::xml::{Element, document};
use model::{BBox, Credit};
use std::borrow::Cow;
use url::Url;

/// The names by which servers know the Web Mercator grid in metres.
const WEB_MERCATOR: [&str; 5] = ["3857", "900913", "3785", "102100", "102113"];

/// True for a name of Web Mercator: `EPSG:3857`, `urn:ogc:def:crs:EPSG::900913`, …
pub(super) fn is_web_mercator(crs: &str) -> bool {
    let crs = crs.trim();
    WEB_MERCATOR.contains(&crs.rsplit([':', '/']).next().unwrap_or(crs))
}

/// The service's address with another query. What else stands in it (`map=…`) stays; parameters of the protocol go.
pub(super) fn request(root: &Url, pairs: &[(&str, &str)]) -> Url {
    let kept: Vec<(String, String)> = root
        .query_pairs()
        .filter(|(name, _)| !is_of_the_protocol(name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = root.clone();
    url.set_fragment(None);
    url.set_query(None);
    if !kept.is_empty() || !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(kept).extend_pairs(pairs);
    }
    url
}

/// Parameters that every request of WMS and WMTS sets itself.
const OWN: [&str; 24] = [
    "service",
    "request",
    "version",
    "acceptversions",
    "layer",
    "layers",
    "style",
    "styles",
    "format",
    "crs",
    "srs",
    "bbox",
    "width",
    "height",
    "transparent",
    "exceptions",
    "bgcolor",
    "tilematrixset",
    "tilematrix",
    "tilerow",
    "tilecol",
    "dpi",
    "map_resolution",
    "tiled",
];

fn is_of_the_protocol(name: &str) -> bool {
    OWN.contains(&name.to_ascii_lowercase().as_str())
}

/// The value of a query parameter, whatever the case of its name.
pub(super) fn parameter(url: &Url, wanted: &str) -> Option<String> {
    let found = url.query_pairs().find(|(name, value)| name.eq_ignore_ascii_case(wanted) && !value.is_empty());
    found.map(|(_, value)| value.into_owned())
}

/// Fetches a document of one of the `roots`.
///
/// # Errors
/// `service_refuses` for an exception report; `malformed` for anything else.
pub(super) async fn fetch(client: &Client, url: &Url, what: &str, roots: &[&str]) -> Result<Element, FetchError> {
    let body = match client.get(url, "application/xml, text/xml, */*;q=0.5", None).await? {
        Answer::Body(body) => body,
        Answer::NotModified => return Err(malformed(url, "304 was answered without being asked for")),
    };
    // A large document is work for a blocking thread.
    let (bytes, address) = (body.bytes, url.clone());
    let parsing = tokio::task::spawn_blocking(move || {
        document(&without_doctype(&bytes)).map_err(|reason| {
            let head = &bytes[..bytes.len().min(2_000)];
            let words: String = super::attribution::plain(&String::from_utf8_lossy(head)).chars().take(160).collect();
            malformed(&address, format!("no capabilities came ({reason}) but \"{words}\""))
        })
    });
    let root = parsing.await.map_err(|_| FetchError::Cancelled)??;
    if let Some(refusal) = answer::refusal(url, &root) {
        return Err(refusal);
    }
    if roots.contains(&root.name.as_str()) {
        Ok(root)
    } else {
        Err(malformed(url, format!("a {:?} came instead of the capabilities of a {what}", root.name)))
    }
}

/// A document without the type that WMS 1.1.1 puts in front. Nothing of it is read: entities that it may declare are
/// refused where they are used.
pub(super) fn without_doctype(bytes: &[u8]) -> Cow<'_, [u8]> {
    let head = &bytes[..bytes.len().min(16 << 10)];
    let Some(start) = head.windows(9).position(|nine| nine == b"<!DOCTYPE") else { return bytes.into() };
    if head[..start].iter().filter(|byte| **byte == b'<').count() > 4 {
        // It does not stand in front.
        return bytes.into();
    }
    let (mut depth, mut quote) = (0_i32, None);
    for (at, byte) in head.iter().enumerate().skip(start) {
        match (quote, byte) {
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'<') => depth += 1,
            (None, b'>') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return [&bytes[..start], &bytes[at + 1..]].concat().into();
        }
    }
    bytes.into()
}

/// The terms that a service names, but for the words that say there are none.
pub(super) fn licence(service: &Element) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for name in ["Fees", "AccessConstraints"] {
        for found in service.children(name) {
            let text = super::attribution::plain(&found.all_text());
            let none = ["", "none", "no", "no conditions apply", "unknown"].contains(&text.to_lowercase().as_str());
            if !none && !parts.contains(&text) {
                parts.push(text.chars().take(2_000).collect());
            }
        }
    }
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// A credit with its link, where the link is fit.
pub(super) fn credit(text: &str, url: Option<&str>) -> Vec<Credit> {
    let mut credits = super::attribution::credits(text);
    if let ([only], Some(url)) = (credits.as_mut_slice(), url.and_then(super::attribution::checked))
        && only.url.is_none()
    {
        only.url = Some(url);
    }
    credits
}

/// A box of degrees, if it is one.
pub(super) fn bounds(west: f64, south: f64, east: f64, north: f64) -> Option<BBox> {
    let sound = west < east && south < north && west >= -181.0 && east <= 181.0 && south >= -91.0 && north <= 91.0;
    sound.then_some(BBox { west, south, east, north })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_web_mercator_are_known() {
        for name in [
            "EPSG:3857",
            "urn:ogc:def:crs:EPSG:6.18.3:3857",
            "http://www.opengis.net/def/crs/EPSG/0/3857",
            "EPSG:900913",
        ] {
            assert!(is_web_mercator(name), "{name}");
        }
        assert!(!is_web_mercator("EPSG:4326") && !is_web_mercator("EPSG:13857"));
    }

    #[test]
    fn what_a_server_needs_in_its_address_stays() {
        let root: Url = "http://h/cgi-bin/mapserv?map=/a.map&SERVICE=WMS&Request=GetCapabilities#x".parse().unwrap();
        assert_eq!(request(&root, &[]).as_str(), "http://h/cgi-bin/mapserv?map=%2Fa.map");
        assert_eq!(
            request(&root, &[("SERVICE", "WMTS")]).as_str(),
            "http://h/cgi-bin/mapserv?map=%2Fa.map&SERVICE=WMTS"
        );
        assert_eq!(request(&"http://h/wms?service=WMS".parse().unwrap(), &[]).as_str(), "http://h/wms");
    }

    #[test]
    fn a_document_type_is_passed_over_and_its_entities_are_not_known() {
        let text = b"<?xml version='1.0'?><!DOCTYPE A SYSTEM \"http://h/a>.dtd\" [<!ELEMENT V EMPTY> <!ENTITY e 'x'>]><A>1</A>";
        assert_eq!(document(&without_doctype(text)).unwrap().text, "1");
        let bomb = b"<!DOCTYPE A [<!ENTITY e 'xx'>]><A>&e;</A>";
        assert!(document(&without_doctype(bomb)).unwrap_err().contains("entity"));
        assert!(document(&without_doctype(b"<!DOCTYPE A [")).is_err());
        assert_eq!(without_doctype(b"<A/>").as_ref(), b"<A/>");
    }

    #[test]
    fn terms_that_say_nothing_are_none() {
        let read = |text: &str| licence(&document(text.as_bytes()).unwrap());
        assert_eq!(read("<S><Fees>none</Fees><AccessConstraints>NONE</AccessConstraints></S>"), None);
        let both = "<S><Fees>conditions unknown</Fees><AccessConstraints>CC BY 4.0</AccessConstraints></S>";
        assert_eq!(read(both).as_deref(), Some("conditions unknown · CC BY 4.0"));
    }
}
