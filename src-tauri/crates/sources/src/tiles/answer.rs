//! What came in answer to the request for a tile: told by its bytes, not by what the server calls it.

use super::{TILE_LIMIT_BYTES, Tile, TileAnswer, malformed};
use crate::net::{Answer, Body, Client, FetchError, host_of, http_date, text_of};
use crate::xml::{Element, document};
use flate2::read::MultiGzDecoder;
use model::TileForm;
use reqwest::header::HeaderMap;
use std::io::Read;
use std::time::Duration;
use url::Url;

/// Longer than a server can know.
const LONGEST: u64 = 366 * 86_400;
/// So much of a server's words is repeated.
const QUOTED_CHARS: usize = 300;

pub(super) async fn fetch(
    client: &Client,
    url: &Url,
    wanted: TileForm,
    validator: Option<&str>,
) -> Result<TileAnswer, FetchError> {
    let accept = match wanted {
        TileForm::Mvt => "application/vnd.mapbox-vector-tile, application/x-protobuf;q=0.9, */*;q=0.1",
        _ => "image/webp, image/png, image/jpeg, */*;q=0.1",
    };
    match client.get(url, accept, validator).await {
        // A server that has nothing there.
        Err(FetchError::Status { status: 404 | 410, .. }) => Ok(TileAnswer::Empty { fresh_for: None }),
        Err(error) => Err(error),
        Ok(Answer::NotModified) if validator.is_none() => {
            Err(malformed(url, "304 was answered without being asked for"))
        }
        Ok(Answer::NotModified) => Ok(TileAnswer::NotModified { fresh_for: None }),
        Ok(Answer::Body(body)) => of_body(url, wanted, body),
    }
}

fn of_body(url: &Url, wanted: TileForm, body: Body) -> Result<TileAnswer, FetchError> {
    let fresh_for = fresh_for(&body.headers);
    match judge(body.bytes, wanted) {
        Ok(None) => Ok(TileAnswer::Empty { fresh_for }),
        Ok(Some((bytes, form))) => Ok(TileAnswer::Tile(Tile { bytes, form, validator: body.validator, fresh_for })),
        Err(Unfit::TooLarge) => Err(FetchError::TooLarge { host: host_of(url), limit_bytes: TILE_LIMIT_BYTES }),
        Err(Unfit::Broken(what)) => Err(malformed(url, what)),
        Err(Unfit::Other(bytes)) => Err(in_words(url, wanted, &bytes, &body.content_type)),
    }
}

/// Why bytes are no tile.
#[derive(Debug, PartialEq)]
pub(super) enum Unfit {
    /// Unpacked it is beyond the limit.
    TooLarge,
    Broken(String),
    /// Something else altogether.
    Other(Vec<u8>),
}

/// The tile that bytes are, unpacked; `None` for an empty one.
///
/// # Errors
/// [`Unfit`]; a picture in place of a vector tile is unfit too, and the other way round.
pub(super) fn judge(bytes: Vec<u8>, wanted: TileForm) -> Result<Option<(Vec<u8>, TileForm)>, Unfit> {
    let bytes = if bytes.starts_with(b"\x1f\x8b") { unpacked(&bytes)? } else { bytes };
    if bytes.is_empty() {
        return Ok(None);
    }
    match form_of(&bytes) {
        Some(form) if form.is_vector() == wanted.is_vector() => Ok(Some((bytes, form))),
        Some(form) => {
            let (came, wanted) = (form.as_str(), if wanted.is_vector() { "a vector tile" } else { "a picture" });
            Err(Unfit::Broken(format!("a tile of the form {came} came where {wanted} was wanted")))
        }
        None => Err(Unfit::Other(bytes)),
    }
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Unfit> {
    let mut out = Vec::new();
    let mut from = MultiGzDecoder::new(bytes).take(TILE_LIMIT_BYTES + 1);
    match from.read_to_end(&mut out) {
        Ok(_) if out.len() as u64 > TILE_LIMIT_BYTES => Err(Unfit::TooLarge),
        Ok(_) => Ok(out),
        Err(error) => Err(Unfit::Broken(format!("its packing is broken: {error}"))),
    }
}

/// By the first bytes; of a vector tile, by its frame.
pub(super) fn form_of(bytes: &[u8]) -> Option<TileForm> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(TileForm::Png)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some(TileForm::Jpeg)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(TileForm::Webp)
    } else {
        is_mvt(bytes).then_some(TileForm::Mvt)
    }
}

/// A message whose fields of number 3 (layers) fill it exactly; other fields are extensions, and must be whole too.
fn is_mvt(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut layers = 0_usize;
    while !rest.is_empty() {
        let Some(key) = varint(&mut rest) else { return false };
        let skip = match key & 7 {
            0 => match varint(&mut rest) {
                Some(_) => 0,
                None => return false,
            },
            1 => 8,
            2 => match varint(&mut rest).and_then(|length| usize::try_from(length).ok()) {
                Some(length) => length,
                None => return false,
            },
            5 => 4,
            _ => return false,
        };
        if key >> 3 == 3 {
            // Each begins with its name or version: a text of another kind does not look so.
            layers += 1;
        }
        let Some(left) = rest.get(skip..) else { return false };
        rest = left;
    }
    layers > 0
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// What the server said in place of a tile.
fn in_words(url: &Url, wanted: TileForm, bytes: &[u8], content_type: &str) -> FetchError {
    if let Ok(root) = document(&super::capabilities::without_doctype(bytes))
        && let Some(refusal) = refusal(url, &root)
    {
        return refusal;
    }
    let wanted = if wanted.is_vector() { "vector tile" } else { "picture" };
    let said = quoted(bytes);
    let said = if said.is_empty() { "bytes of an unknown kind".to_owned() } else { format!("\"{said}\"") };
    malformed(url, format!("no {wanted} came but {content_type:?}: {said}"))
}

/// An exception report of WMS or OWS, which comes with status 200 as often as not.
pub(super) fn refusal(url: &Url, root: &Element) -> Option<FetchError> {
    if !matches!(root.name.as_str(), "ExceptionReport" | "ServiceExceptionReport") {
        return None;
    }
    let exception = root.children.iter().find(|child| matches!(child.name.as_str(), "Exception" | "ServiceException"));
    let code = exception.and_then(|found| found.attribute("exceptionCode").or_else(|| found.attribute("code")));
    let reason: String = exception.map(Element::all_text).unwrap_or_default().chars().take(QUOTED_CHARS).collect();
    Some(FetchError::Service { host: host_of(url), code: code.unwrap_or("exception").to_owned(), reason })
}

/// The words of a page or a text, without its tags; nothing of bytes that are no text.
fn quoted(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(16 << 10)];
    let text = String::from_utf8_lossy(head);
    if text.chars().filter(|letter| letter.is_control() && !letter.is_whitespace() || *letter == '\u{fffd}').count() > 4
    {
        return String::new();
    }
    let words = super::attribution::plain(&text);
    words.chars().take(QUOTED_CHARS).collect()
}

/// How long an answer may be used (RFC 9111, section 4.2.1): `max-age` less its age, else `Expires` less `Date`.
pub(super) fn fresh_for(headers: &HeaderMap) -> Option<Duration> {
    let control = text_of(headers, "cache-control").unwrap_or_default().to_ascii_lowercase();
    let mut max_age = None;
    for directive in control.split(',').map(str::trim) {
        match directive.split_once('=') {
            Some(("max-age", secs)) => max_age = secs.trim_matches('"').parse::<u64>().ok(),
            None if matches!(directive, "no-cache" | "no-store") => return Some(Duration::ZERO),
            _ => {}
        }
    }
    let number = |name| text_of(headers, name).and_then(|text| text.trim().parse::<u64>().ok());
    let secs = match max_age {
        Some(secs) => secs.saturating_sub(number("age").unwrap_or(0)),
        None => {
            let until = text_of(headers, "expires")?;
            // A date that is none (often "0") means the past.
            let Some(until) = http_date(&until) else { return Some(Duration::ZERO) };
            let now = http_date(&text_of(headers, "date")?)?;
            u64::try_from(until.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(secs.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn freshness_goes_by_the_headers() {
        let secs = |pairs: &[(&'static str, &str)]| fresh_for(&headers(pairs)).map(|fresh| fresh.as_secs());
        assert_eq!(secs(&[]), None);
        assert_eq!(secs(&[("cache-control", "public, max-age=3600"), ("age", "600")]), Some(3_000));
        assert_eq!(secs(&[("cache-control", "no-cache, max-age=3600")]), Some(0));
        let date = ("date", "Mon, 23 Nov 2026 14:00:00 GMT");
        assert_eq!(secs(&[date, ("expires", "Mon, 23 Nov 2026 15:00:00 GMT")]), Some(3_600));
        assert_eq!(secs(&[date, ("expires", "0")]), Some(0));
        assert_eq!(secs(&[("cache-control", "max-age=99999999999999")]), Some(LONGEST));
    }

    #[test]
    fn tiles_are_told_by_their_bytes() {
        assert_eq!(form_of(b"\x89PNG\r\n\x1a\nrest"), Some(TileForm::Png));
        assert_eq!(form_of(b"\xff\xd8\xff\xe0"), Some(TileForm::Jpeg));
        assert_eq!(form_of(b"RIFF\x10\0\0\0WEBPVP8 "), Some(TileForm::Webp));
        assert_eq!(form_of(b"\x1a\x03\x0a\x01a"), Some(TileForm::Mvt));
        for other in [&b"<html>"[..], b"{\"error\":1}", b"\x1a\x03\x0a", b"GIF89a", b"\x1a\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(form_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_picture_is_no_vector_tile_and_empty_is_empty() {
        assert_eq!(judge(Vec::new(), TileForm::Png), Ok(None));
        let png = b"\x89PNG\r\n\x1a\n".to_vec();
        assert!(matches!(judge(png.clone(), TileForm::Mvt), Err(Unfit::Broken(_))));
        assert_eq!(judge(png.clone(), TileForm::Jpeg), Ok(Some((png, TileForm::Png))), "another picture is a picture");
        assert!(matches!(judge(b"\x1f\x8b\x08".to_vec(), TileForm::Mvt), Err(Unfit::Broken(_))));
    }

    #[test]
    fn a_packed_bomb_meets_the_limit() {
        use std::io::Write;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&vec![0; TILE_LIMIT_BYTES as usize + 10]).unwrap();
        assert_eq!(judge(packed.finish().unwrap(), TileForm::Mvt), Err(Unfit::TooLarge));
    }

    #[test]
    fn the_servers_own_words_are_quoted() {
        let url: Url = "http://h/wms".parse().unwrap();
        let report = b"<?xml version='1.0'?><!DOCTYPE ServiceExceptionReport SYSTEM 'x.dtd'>\
            <ServiceExceptionReport version='1.1.1'><ServiceException code='LayerNotDefined'>no layer ab</ServiceException>\
            </ServiceExceptionReport>";
        let error = in_words(&url, TileForm::Png, report, "text/xml");
        assert_eq!(error.code(), "service_refuses");
        assert!(error.to_string().contains("no layer ab") && error.to_string().contains("LayerNotDefined"), "{error}");
        let page = b"<html><head><style>p{color:red}</style></head><body><h1>Sign in</h1><p>please</p></body></html>";
        let error = in_words(&url, TileForm::Png, page, "text/html").to_string();
        assert!(error.contains("Sign in please") && error.contains("text/html") && !error.contains("color"), "{error}");
        let error = in_words(&url, TileForm::Mvt, b"\0\x01\x02\x03\x04\x05\x06", "").to_string();
        assert!(error.contains("unknown kind"), "{error}");
    }
}
