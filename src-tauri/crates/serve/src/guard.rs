//! Before every handler: is the request meant for this server, may it be answered, for whom.

use crate::answer::respond;
use crate::problem::Problem;
use crate::request::Asked;
use crate::server::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use desk::Audience;
use std::net::IpAddr;
use std::sync::Arc;

/// Who was recognised.
#[derive(Clone)]
pub(crate) struct Seen(pub Audience);

impl Default for Seen {
    fn default() -> Self {
        Self(Audience::Public)
    }
}

/// Longest path and query; hyper bounds the head as a whole.
const LONGEST_URI: usize = 8 << 10;

pub(crate) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let audience = judge(&app, &request);
    let seen = Seen(*audience.as_ref().unwrap_or(&Audience::Public));
    request.extensions_mut().insert(seen);
    let preflight = request.method() == Method::OPTIONS && !app.options.cors.is_empty();
    match audience {
        Err(problem) => {
            let (parts, _) = request.into_parts();
            respond(&Asked::new(app, &parts), Err(problem))
        }
        Ok(_) if preflight => {
            let (parts, _) = request.into_parts();
            let mut response = StatusCode::NO_CONTENT.into_response();
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("accept, accept-language, authorization, if-none-match"),
            );
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
            finish(&Asked::new(app, &parts), &mut response);
            response
        }
        Ok(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let method = request.method().to_string();
            let (parts, _) = request.into_parts();
            respond(&Asked::new(app, &parts), Err(Problem::Method { method }))
        }
        Ok(_) => next.run(request).await,
    }
}

fn judge(app: &App, request: &Request) -> Result<Audience, Problem> {
    let length = request.uri().path_and_query().map_or(0, |whole| whole.as_str().len());
    if length > LONGEST_URI {
        return Err(Problem::UriTooLong { limit: LONGEST_URI });
    }
    let host = host_of(request.headers());
    if app.address.ip().is_loopback() && !may_be_named(app, host.unwrap_or_default()) {
        return Err(Problem::Host { host: host.unwrap_or_default().chars().take(80).collect() });
    }
    if !is_text(request.uri().path()) {
        return Err(Problem::NoPath { path: request.uri().path().chars().take(200).collect() });
    }
    audience(app, request.headers())
}

/// Whether a path is UTF-8 once its escapes are undone; nothing here has another name.
fn is_text(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, more @ ..] = rest {
        let escaped = (*first == b'%').then(|| more.get(..2)).flatten();
        let escaped = escaped.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &more[2..] } else { more };
    }
    std::str::from_utf8(&bytes).is_ok()
}

pub(crate) fn host_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST).and_then(|host| host.to_str().ok())
}

/// A page from elsewhere whose name was made to point at this machine (DNS rebinding) sends its own name as host.
fn may_be_named(app: &App, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let public = app.options.url.as_deref().and_then(|url| url.split('/').nth(2));
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || public.is_some_and(|public| host.eq_ignore_ascii_case(public))
}

/// A wrong token is refused rather than taken for none: whoever sends it would wonder what is missing. Without a token
/// of its own the server leaves the header to whatever stands before it.
fn audience(app: &App, headers: &HeaderMap) -> Result<Audience, Problem> {
    let Some(token) = &app.options.token else { return Ok(Audience::Public) };
    let Some(given) = headers.get(header::AUTHORIZATION) else { return Ok(Audience::Public) };
    let given = given.to_str().unwrap_or_default().trim();
    let (scheme, given) = given.split_once(' ').unwrap_or((given, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        Ok(Audience::Public)
    } else if token.is(given.trim()) {
        Ok(Audience::Trusted)
    } else {
        Err(Problem::Token)
    }
}

/// The headers that every answer has.
pub(crate) fn finish(asked: &Asked, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Accept-Encoding, Accept-Language, Authorization, Origin"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let origin = asked.headers.get(header::ORIGIN);
    let allowed =
        |origin: &&HeaderValue| asked.app.options.cors.iter().any(|known| origin.as_bytes() == known.as_bytes());
    if let Some(origin) = origin.filter(allowed) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let shown = HeaderValue::from_static("content-crs, etag, last-modified");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
    }
}
