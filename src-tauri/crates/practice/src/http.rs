//! What all handlers share: errors as JSON, absolute links, query strings, conditional answers.

use crate::app::App;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Timestamp;
use serde_json::json;
use std::fmt::Write as _;

/// An error answer: `{"code", "type", "description"}`, the form of OGC API servers.
#[derive(Debug)]
pub(crate) struct Trouble {
    status: StatusCode,
    kind: &'static str,
    description: String,
}

impl Trouble {
    pub fn new(status: StatusCode, kind: &'static str, description: impl Into<String>) -> Self {
        Self { status, kind, description: description.into() }
    }

    /// 400: the request is at fault; say what and what would be right.
    pub fn bad(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameterValue", description)
    }

    /// 404.
    pub fn missing(description: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", description)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.status.as_u16().to_string(), "type": self.kind, "description": self.description,
        });
        (self.status, axum::Json(body)).into_response()
    }
}

/// `http://host` as the client knows this server; absolute links begin with it.
pub(crate) fn base_url(headers: &HeaderMap, app: &App) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let plain = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b));
    match host.filter(|host| !host.is_empty()).filter(plain) {
        Some(host) => format!("http://{host}"),
        None => app.base_url.clone(),
    }
}

/// Undoes percent encoding; `+` is a space. Bytes that are no UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encodes a query value. What OData writes often (`$`, parentheses, `;`, `=`, `/`, `'`) stays readable.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~$(),;=/':@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The decoded name-value pairs of a query string, in their order.
pub(crate) fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Pairs as a query string with its question mark; empty for no pairs.
pub(crate) fn query_of(pairs: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&encode(name));
        out.push('=');
        out.push_str(&encode(value));
    }
    out
}

/// `Mon, 23 Nov 2026 07:00:00 GMT`.
fn http_date(time: Timestamp) -> Option<HeaderValue> {
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// A 200 answer with validators, or 304 when the client holds this state already.
pub(crate) fn conditional(
    request: &HeaderMap,
    etag: &str,
    modified_at: Timestamp,
    content_type: &'static str,
    body: impl FnOnce() -> Result<String, Trouble>,
) -> Result<Response, Trouble> {
    let date = http_date(modified_at);
    let same = match request.get(header::IF_NONE_MATCH).map(|value| value.to_str().unwrap_or_default()) {
        Some("*") => true,
        // Weak comparison (RFC 9110, 8.8.3.2): the opaque parts count.
        Some(held) => held.split(',').any(|held| held.trim().trim_start_matches("W/") == etag.trim_start_matches("W/")),
        // Only this server's own dates come back, so equality is enough.
        None => date.is_some() && request.get(header::IF_MODIFIED_SINCE) == date.as_ref(),
    };
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(body()?));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    if let Some(date) = date {
        headers.insert(header::LAST_MODIFIED, date);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// A JSON text answer with its own media type.
pub(crate) fn text(content_type: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

pub(crate) const GEO_JSON: &str = "application/geo+json";
pub(crate) const JSON: &str = "application/json";
pub(crate) const CONTENT_CRS: HeaderName = HeaderName::from_static("content-crs");

/// Serialises what this crate built itself.
///
/// # Errors
/// 500 when a value does not serialise, which would be a fault of this crate.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, Trouble> {
    serde_json::to_string(value)
        .map_err(|error| Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "ServerError", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_survive_both_ways() {
        let value = "phenomenonTime ge 2026-11-23T00:00:00Z and properties/layer eq 'trạm & 5%+'";
        let query = query_of(&[("$filter".into(), value.into())]);
        assert_eq!(pairs(query.strip_prefix('?')), [("$filter".to_owned(), value.to_owned())]);
        assert_eq!(decode("a+b%20c%2Bd%"), "a b c+d%");
        assert_eq!(decode("%C4%91%e1%BA%A5t"), "đất");
    }
}
