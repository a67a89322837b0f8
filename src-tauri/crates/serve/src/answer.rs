//! From answers and problems to HTTP: types, validators, compression.

use crate::problem::Problem;
use crate::request::{Asked, Format, accepts_gzip};
use crate::{guard, html};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use desk::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

pub(crate) const JSON: &str = "application/json";
pub(crate) const GEO_JSON: &str = "application/geo+json";
pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const SCHEMA: &str = "application/schema+json";
pub(crate) const OPENAPI: &str = "application/vnd.oai.openapi+json;version=3.0";
pub(crate) const MVT: &str = "application/vnd.mapbox-vector-tile";
const PROBLEM: &str = "application/problem+json";

/// Smaller bodies are not worth compressing.
const COMPRESSED_FROM: usize = 1_024;

/// Says which state of which content an answer is of.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// By this tag, known before the body is made.
    Tagged(String, Option<Timestamp>),
    /// By the body itself.
    Body,
    /// Of this moment only: not to be kept.
    Moment,
}

pub(crate) struct Answer {
    pub content_type: &'static str,
    pub body: Vec<u8>,
    pub state: State,
    pub headers: Vec<(HeaderName, String)>,
    pub status: StatusCode,
}

impl Answer {
    pub fn new(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { content_type, body, state: State::Body, headers: Vec::new(), status: StatusCode::OK }
    }

    pub fn json(content_type: &'static str, document: &Value) -> Self {
        Self::new(content_type, document.to_string().into_bytes())
    }

    pub fn html(page: String) -> Self {
        Self::new(HTML, page.into_bytes())
    }

    /// The client holds this state already.
    pub fn unchanged(state: State) -> Self {
        Self { status: StatusCode::NOT_MODIFIED, state, ..Self::new(JSON, Vec::new()) }
    }

    pub fn with(mut self, state: State) -> Self {
        self.state = state;
        self
    }
}

/// A weak tag: answers of one tag say the same, their time stamps and compression aside.
pub(crate) fn tag(parts: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_PKG_VERSION"), parts).hash(&mut hasher);
    format!("W/\"{:016x}\"", hasher.finish())
}

/// Whether the client's validators name this state (RFC 9110, 13.1).
pub(crate) fn holds(asked: &Asked, etag: &str, modified_at: Option<Timestamp>) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    match asked.headers.get(header::IF_NONE_MATCH).map(|value| value.to_str().unwrap_or_default()) {
        Some("*") => true,
        Some(held) => held.split(',').any(|held| opaque(held) == opaque(etag)),
        // Only this server's own dates come back, so equality is enough.
        None => {
            let date = modified_at.and_then(http_date);
            date.is_some() && asked.headers.get(header::IF_MODIFIED_SINCE) == date.as_ref()
        }
    }
}

fn http_date(time: Timestamp) -> Option<HeaderValue> {
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?;
    HeaderValue::from_str(&text).ok()
}

fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::new(4));
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// The answer as HTTP.
pub(crate) fn respond(asked: &Asked, outcome: Result<Answer, Problem>) -> Response {
    let mut answer = outcome.unwrap_or_else(|problem| refusal(asked, &problem));
    let mut headers = std::mem::take(&mut answer.headers);
    let ok = answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED;
    let (etag, modified_at) = match answer.state {
        State::Tagged(etag, modified_at) => (Some(etag), modified_at),
        State::Body if ok => (Some(tag(&answer.body)), None),
        State::Body | State::Moment => (None, None),
    };
    if let Some(etag) = etag {
        if answer.status == StatusCode::OK && holds(asked, &etag, modified_at) {
            answer.status = StatusCode::NOT_MODIFIED;
        }
        headers.push((header::ETAG, etag));
        headers.push((header::CACHE_CONTROL, "no-cache".to_owned()));
    } else {
        headers.push((header::CACHE_CONTROL, "no-store".to_owned()));
    }
    let bodiless = matches!(answer.status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
    let mut body = if bodiless { Vec::new() } else { answer.body };
    if body.len() >= COMPRESSED_FROM
        && accepts_gzip(&asked.headers)
        && let Some(smaller) = compressed(&body)
    {
        body = smaller;
        headers.push((header::CONTENT_ENCODING, "gzip".to_owned()));
    }
    if !bodiless && !body.is_empty() {
        // So that a byte that changes on the way is seen (RFC 9530).
        let digest = STANDARD.encode(Sha256::digest(&body));
        headers.push((HeaderName::from_static("repr-digest"), format!("sha-256=:{digest}:")));
    }
    if !bodiless {
        headers.push((header::CONTENT_TYPE, answer.content_type.to_owned()));
    }
    if answer.content_type == HTML {
        headers.push((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'".to_owned()));
    }
    let mut response = Response::new(if bodiless { Body::empty() } else { Body::from(body) });
    *response.status_mut() = answer.status;
    if let Some(date) = modified_at.and_then(http_date) {
        response.headers_mut().insert(header::LAST_MODIFIED, date);
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    guard::finish(asked, &mut response);
    response
}

fn refusal(asked: &Asked, problem: &Problem) -> Answer {
    let failure = asked.app.desk.in_language(&problem.failure(), asked.language);
    let status = problem.status();
    let title = status.canonical_reason().unwrap_or("Error");
    let mut answer = if matches!(asked.format(), Ok(Format::Html)) {
        Answer::html(html::problem(asked, status, &failure.message))
    } else {
        let document = json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "detail": failure.message,
            "code": failure.code, "where": failure.at,
        });
        Answer::json(PROBLEM, &document)
    };
    answer.status = status;
    match problem {
        Problem::Token => answer.headers.push((header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"".to_owned())),
        Problem::Busy | Problem::TooSlow { .. } => answer.headers.push((header::RETRY_AFTER, "5".to_owned())),
        Problem::Method { .. } => answer.headers.push((header::ALLOW, "GET, HEAD".to_owned())),
        _ => {}
    }
    answer.with(State::Moment)
}
