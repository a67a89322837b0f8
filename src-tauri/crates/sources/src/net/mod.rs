//! The only way out to the network: timeouts, limits, and errors that say what happened.

mod access;
mod backoff;
pub(crate) mod digest;
mod error;
pub(crate) mod guard;
pub(crate) mod tcp;

pub use backoff::Backoff;
pub use error::FetchError;
pub use guard::{Resolver, Resolving, SystemResolver};

use crate::features::Login;
use access::{Access, Tokens};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::Url;

/// Bounds of every request.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub connect_timeout: Duration,
    /// Longest wait for the next byte.
    pub idle_timeout: Duration,
    /// Longest silence on an event stream.
    pub silence: Duration,
    /// Longest time for one whole answer, however steadily it drips.
    pub answer_timeout: Duration,
    /// Largest body, unpacked.
    pub body_limit_bytes: u64,
    /// Largest collection: all its pages together.
    pub collection_limit_bytes: u64,
    /// Tells what names stand for; what may be contacted of that is decided here.
    pub resolver: Arc<dyn Resolver>,
    /// The keys of SSH servers that the user has vouched for, in the form of OpenSSH.
    pub known_hosts: Option<PathBuf>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(10),
            silence: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(300),
            body_limit_bytes: 256 << 20,
            collection_limit_bytes: 512 << 20,
            resolver: Arc::new(SystemResolver),
            known_hosts: std::env::home_dir().map(|home| home.join(".ssh").join("known_hosts")),
        }
    }
}

/// An HTTP client. Cheap to clone; connections are shared. The TLS library and its certificates are loaded at the first
/// request: that takes a tenth of a second, which work without a network must not wait for.
#[derive(Clone, Debug)]
pub struct Client {
    made: Arc<Made>,
    tokens: Arc<Tokens>,
    access: Option<Arc<Access>>,
    pub(crate) options: ClientOptions,
    /// Bytes of bodies, as they came.
    bytes: Arc<AtomicU64>,
}

type MadeOnce = OnceLock<Result<reqwest::Client, String>>;

/// One for each [`Route`].
#[derive(Debug, Default)]
struct Made([MadeOnce; 4]);

#[derive(Clone, Copy)]
struct Route {
    /// To this machine: a proxy from the environment would not find the practice data centre.
    loopback: bool,
    /// Bodies come as they are packed for the way: a transfer that was cut goes on at a byte of those.
    packed: bool,
}

/// A body with what matters of its headers.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// What the next request may ask with whether it still stands: the ETag, or where there is none Last-Modified.
    pub(crate) validator: Option<String>,
    pub(crate) last_modified: Option<model::Timestamp>,
    pub(crate) content_type: String,
    /// The system of the coordinates (OGC 18-058r1, Part 2).
    pub(crate) content_crs: Option<String>,
    pub(crate) headers: Box<HeaderMap>,
}

impl Body {
    pub(crate) fn new(headers: HeaderMap, bytes: Vec<u8>) -> Self {
        let text = |name: &str| text_of(&headers, name);
        Self {
            bytes,
            validator: validator_of(&headers),
            last_modified: text(LAST_MODIFIED.as_str()).and_then(|date| http_date(&date)),
            content_type: text(CONTENT_TYPE.as_str()).unwrap_or_default(),
            content_crs: text("content-crs"),
            headers: Box::new(headers),
        }
    }
}

pub(crate) enum Answer {
    NotModified,
    Body(Body),
}

impl Default for Client {
    fn default() -> Self {
        Self::with(ClientOptions::default())
    }
}

impl Client {
    pub fn with(options: ClientOptions) -> Self {
        let (made, tokens, bytes) = (Arc::default(), Arc::default(), Arc::default());
        Self { made, tokens, access: None, options, bytes }
    }

    /// The same client, counting from nothing.
    pub fn counting(&self) -> Self {
        Self { bytes: Arc::default(), ..self.clone() }
    }

    /// Bytes of the answers' bodies so far, packed as they came.
    pub fn counted_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The same client, which shows the server of `root` these credentials, and no other server. Tokens are shared with
    /// the client it was made from.
    ///
    /// # Errors
    /// [`FetchError::NoSecret`] for a secret that no header can carry, [`FetchError::BadAddress`] for a token endpoint
    /// without an address.
    pub fn showing(&self, root: &Url, login: Option<Login<'_>>) -> Result<Self, FetchError> {
        let access = login.map(|login| Access::of(root, &login).map(Arc::new)).transpose()?;
        Ok(Self { access, ..self.clone() })
    }

    /// # Errors
    /// [`FetchError::Tls`] when the system's TLS library cannot be set up.
    fn client_for(&self, url: &Url, route: Route) -> Result<&reqwest::Client, FetchError> {
        let build = || {
            let builder = reqwest::Client::builder()
                .user_agent("Toan-Canh/0.1")
                .connect_timeout(self.options.connect_timeout)
                .read_timeout(self.options.idle_timeout)
                .redirect(stay_on_the_server())
                .dns_resolver(Arc::new(guard::Guarded(self.options.resolver.clone())))
                .gzip(!route.packed);
            let builder = if route.loopback { builder.no_proxy() } else { builder };
            builder.build().map_err(|error| error.to_string())
        };
        let made = &self.made.0[usize::from(route.loopback) + 2 * usize::from(route.packed)];
        let made = made.get_or_init(build);
        made.as_ref().map_err(|reason| FetchError::Tls { host: host_of(url), reason: reason.clone() })
    }

    /// Sends a GET; success statuses only.
    pub(crate) async fn open(&self, url: &Url, headers: &[(HeaderName, String)]) -> Result<Response, FetchError> {
        self.send(url, headers, false).await
    }

    /// As [`Client::open`], but the body stays packed as it comes.
    pub(crate) async fn open_packed(
        &self,
        url: &Url,
        headers: &[(HeaderName, String)],
    ) -> Result<Response, FetchError> {
        self.send(url, headers, true).await
    }

    async fn send(&self, url: &Url, headers: &[(HeaderName, String)], packed: bool) -> Result<Response, FetchError> {
        let Some(access) = self.access.as_ref().filter(|access| access.covers(url)) else {
            return self.send_showing(url, headers, packed, None).await;
        };
        let shown = access.header(self, None).await?;
        let refused = shown.1.clone();
        match self.send_showing(url, headers, packed, Some(shown)).await {
            // A token may end before its time; a second one that is refused is no accident.
            Err(FetchError::Status { status: 401, .. }) if access.renews() => {
                let renewed = access.header(self, Some(&refused)).await?;
                self.send_showing(url, headers, packed, Some(renewed)).await
            }
            outcome => outcome,
        }
    }

    async fn send_showing(
        &self,
        url: &Url,
        headers: &[(HeaderName, String)],
        packed: bool,
        shown: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::BadAddress { url: url.to_string(), reason: "it is neither http nor https".into() });
        }
        guard::check_literal(url)?;
        let mut request = self.client_for(url, Route { loopback: guard::says_loopback(url), packed })?.get(url.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some((name, value)) = shown {
            request = request.header(name, value);
        }
        let host = host_of(url);
        let response = request.send().await.map_err(|error| self.explain(&error, &host, false))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let retry_after_secs = retry_after(response.headers());
        Err(FetchError::Status { host, status: status.as_u16(), retry_after_secs })
    }

    /// Gets a whole body within the limits, or word that what `validator` stands for is still the newest.
    pub(crate) async fn get(&self, url: &Url, accept: &str, validator: Option<&str>) -> Result<Answer, FetchError> {
        self.in_time(url, self.get_whole(url, accept, validator)).await
    }

    /// The first bytes of what comes, about as many as asked for, and what was said of it.
    pub(crate) async fn look(
        &self,
        url: &Url,
        accept: &str,
        enough_bytes: usize,
    ) -> Result<(Vec<u8>, HeaderMap), FetchError> {
        let looking = async {
            let mut response = self.open(url, &[(ACCEPT, accept.to_owned())]).await?;
            let headers = response.headers().clone();
            let host = host_of(url);
            let mut bytes = Vec::new();
            while bytes.len() < enough_bytes {
                match response.chunk().await.map_err(|error| self.explain(&error, &host, true))? {
                    Some(chunk) => bytes.extend_from_slice(&chunk),
                    None => break,
                }
            }
            Ok((bytes, headers))
        };
        self.in_time(url, looking).await
    }

    /// Ends what takes longer than a whole answer may.
    pub(crate) async fn in_time<T>(
        &self,
        url: &Url,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let limit = self.options.answer_timeout;
        tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(FetchError::Timeout { host: host_of(url), secs: limit.as_secs(), answered: true }))
    }

    async fn get_whole(&self, url: &Url, accept: &str, validator: Option<&str>) -> Result<Answer, FetchError> {
        // Packed as it comes: so it is what the server's digest is of.
        let mut headers = vec![(ACCEPT, accept.to_owned()), (ACCEPT_ENCODING, "gzip".to_owned())];
        headers.extend(validator.map(condition));
        let mut response = self.open_packed(url, &headers).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::NotModified);
        }
        let mut body = Body::new(response.headers().clone(), Vec::new());
        let gzip = is_gzip(url, response.headers())?;
        let promised = digest::promised(response.headers(), response.status() == StatusCode::OK);
        let host = host_of(url);
        let limit_bytes = self.options.body_limit_bytes;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.explain(&error, &host, true))? {
            if (body.bytes.len() + chunk.len()) as u64 > limit_bytes {
                return Err(FetchError::TooLarge { host, limit_bytes });
            }
            self.count(chunk.len());
            body.bytes.extend_from_slice(&chunk);
        }
        if gzip || promised.is_some() {
            let bytes = std::mem::take(&mut body.bytes);
            // A large body is work for a blocking thread.
            let opening = tokio::task::spawn_blocking(move || opened(bytes, gzip, promised, host, limit_bytes));
            body.bytes = opening.await.map_err(|_| FetchError::Cancelled)??;
        }
        Ok(Answer::Body(body))
    }

    pub(crate) fn explain(&self, error: &reqwest::Error, host: &str, answered: bool) -> FetchError {
        let waited = if error.is_connect() { self.options.connect_timeout } else { self.options.idle_timeout };
        FetchError::from_reqwest(error, host, waited.as_secs(), answered)
    }
}

/// Whether a body comes packed; in a way that was not asked for, it is an error.
pub(crate) fn is_gzip(url: &Url, headers: &HeaderMap) -> Result<bool, FetchError> {
    match text_of(headers, "content-encoding").as_deref().map(str::trim) {
        None | Some("" | "identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(other) => {
            Err(FetchError::Malformed { url: url.to_string(), what: format!("it is packed by {other:?}, unasked") })
        }
    }
}

/// A body held against its digest, and unpacked within the limit.
fn opened(
    bytes: Vec<u8>,
    gzip: bool,
    promised: Option<digest::Sha>,
    host: String,
    limit_bytes: u64,
) -> Result<Vec<u8>, FetchError> {
    if promised.is_some_and(|promised| promised != digest::of(&bytes)) {
        return Err(FetchError::Damaged { host });
    }
    if !gzip {
        return Ok(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4));
    let mut from = flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(limit_bytes.saturating_add(1));
    match from.read_to_end(&mut out) {
        Ok(_) if out.len() as u64 > limit_bytes => Err(FetchError::TooLarge { host, limit_bytes }),
        Ok(_) => Ok(out),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(FetchError::Truncated { host }),
        Err(_) => Err(FetchError::Damaged { host }),
    }
}

/// A camera's current picture.
///
/// # Errors
/// [`FetchError::Malformed`] when what comes is neither JPEG nor PNG; [`FetchError::TooLarge`] beyond 8 MB.
pub async fn still(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let limit_bytes = 8 << 20;
    let mut client = client.clone();
    client.options.body_limit_bytes = limit_bytes.min(client.options.body_limit_bytes);
    match client.get(url, "image/jpeg, image/png", None).await? {
        Answer::Body(Body { bytes, .. }) if bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"\x89PNG") => {
            Ok(bytes)
        }
        Answer::Body(Body { content_type, .. }) => {
            Err(FetchError::Malformed { url: url.to_string(), what: format!("no picture came but {content_type:?}") })
        }
        Answer::NotModified => {
            Err(FetchError::Malformed { url: url.to_string(), what: "304 was answered without being asked for".into() })
        }
    }
}

/// Redirects are followed on the same server only, as links of pages are; one that leads elsewhere is the answer, and its
/// status is no success. A server must not send the desk to others in its network.
fn stay_on_the_server() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let stays = attempt.previous().last().is_some_and(|from| same_server(from, attempt.url()));
        if !stays {
            attempt.stop()
        } else if attempt.previous().len() > 5 {
            attempt.error("more than five redirects")
        } else {
            attempt.follow()
        }
    })
}

/// The same scheme, host and port, or the way up from http to https where both have their usual ports.
fn same_server(from: &Url, to: &Url) -> bool {
    let usual = from.port().is_none() && to.port().is_none();
    let upgrade = usual && from.scheme() == "http" && to.scheme() == "https";
    let same = from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default();
    from.host_str() == to.host_str() && (same || upgrade)
}

pub(crate) fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// What a later request may ask with: the ETag, or where there is none Last-Modified.
pub(crate) fn validator_of(headers: &HeaderMap) -> Option<String> {
    text_of(headers, ETAG.as_str())
        .or_else(|| text_of(headers, LAST_MODIFIED.as_str()).filter(|date| http_date(date).is_some()))
}

/// The condition that a validator makes: a date looks like no ETag.
pub(crate) fn condition(validator: &str) -> (HeaderName, String) {
    let name = if http_date(validator).is_some() { IF_MODIFIED_SINCE } else { IF_NONE_MATCH };
    (name, validator.to_owned())
}

/// Host and, where it is not the usual one, port.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An address with segments added to its path.
pub(crate) fn under(root: &Url, segments: &[&str]) -> Result<Url, FetchError> {
    let mut url = root.clone();
    url.set_fragment(None);
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().extend(segments);
        }
        Err(()) => {
            return Err(FetchError::BadAddress { url: root.to_string(), reason: "it cannot have a path".into() });
        }
    }
    Ok(url)
}

/// A path or a part of one as people write it.
pub(crate) fn decoded(path: &str) -> String {
    // A query makes the same of it as a path: percent signs stand for bytes.
    url::form_urlencoded::parse(format!("s={}", path.replace('+', "%2B").replace('&', "%26")).as_bytes())
        .next()
        .map_or_else(|| path.to_owned(), |(_, value)| value.into_owned())
}

/// Resolves a link of a page: only to the same host, and never from https down to http.
pub(crate) fn follow(page: &Url, link: &str) -> Result<Url, FetchError> {
    let wrong = |what: String| FetchError::Malformed { url: page.to_string(), what };
    let next = page.join(link).map_err(|error| wrong(format!("the link {link:?} is no address: {error}")))?;
    if next.host_str() != page.host_str() || next.port_or_known_default() != page.port_or_known_default() {
        return Err(wrong(format!("the link {link:?} leads to another server")));
    }
    if next.scheme() != page.scheme() {
        return Err(wrong(format!("the link {link:?} changes from {} to {}", page.scheme(), next.scheme())));
    }
    Ok(next)
}

/// Seconds from now, or an HTTP date measured against the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(secs) = value.parse() {
        return Some(secs);
    }
    let now = http_date(headers.get(reqwest::header::DATE)?.to_str().ok()?)?;
    u64::try_from(http_date(value)?.as_second() - now.as_second()).ok()
}

/// `Mon, 23 Nov 2026 14:00:00 GMT` (RFC 9110, section 5.6.7).
pub(crate) fn http_date(text: &str) -> Option<model::Timestamp> {
    let civil = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text.trim()).ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_on_their_server() {
        let page: Url = "https://data.example/ogc/collections/a/items?offset=0".parse().unwrap();
        assert_eq!(follow(&page, "?offset=10").unwrap().query(), Some("offset=10"));
        assert_eq!(follow(&page, "https://data.example:443/x").unwrap().path(), "/x");
        for link in
            ["https://evil.example/x", "http://data.example/x", "file:///etc/passwd", "https://data.example:8443/"]
        {
            assert_eq!(follow(&page, link).unwrap_err().code(), "malformed", "{link}");
        }
    }

    #[test]
    fn redirects_stay_on_their_server() {
        let stays = |from: &str, to: &str| same_server(&from.parse().unwrap(), &to.parse().unwrap());
        assert!(stays("http://data.example/a", "http://data.example/b"));
        assert!(stays("http://data.example/a", "https://data.example/a"));
        assert!(!stays("https://data.example/a", "http://data.example/a"));
        assert!(!stays("https://data.example/a", "https://evil.example/a"));
        assert!(!stays("http://data.example:8700/a", "http://data.example:22/a"));
        assert!(!stays("http://127.0.0.1:8700/a", "https://127.0.0.1/a"));
    }

    #[test]
    fn segments_are_escaped_and_roots_may_end_in_a_slash() {
        for root in ["http://h/ogc", "http://h/ogc/"] {
            let url = under(&root.parse().unwrap(), &["collections", "a b/c", "items"]).unwrap();
            assert_eq!(url.as_str(), "http://h/ogc/collections/a%20b%2Fc/items");
        }
    }

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(http_date("Mon, 23 Nov 2026 14:00:00 GMT").unwrap().to_string(), "2026-11-23T14:00:00Z");
        assert_eq!(http_date("yesterday"), None);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "Mon, 23 Nov 2026 14:02:00 GMT".parse().unwrap());
        assert_eq!(retry_after(&headers), None, "without the server's clock there is nothing to measure against");
        headers.insert(reqwest::header::DATE, "Mon, 23 Nov 2026 14:00:00 GMT".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(120));
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(7));
    }
}
