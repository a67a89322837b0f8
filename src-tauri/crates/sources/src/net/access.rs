//! What requests show at the door of a source: Basic (RFC 7617), a key in a header, a Bearer token (RFC 6750), and tokens
//! fetched by client credentials (OAuth 2.0, RFC 6749, section 4.4).
//!
//! It is shown to the source's own origin and to nobody else; values are marked as sensitive, so that nothing prints them.

use super::{Client, FetchError, Route, guard, host_of, retry_after};
use crate::features::{Login, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Credentials;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::{Origin, Url, form_urlencoded};

/// Largest answer of a token endpoint: tokens have a few kilobytes.
const LIMIT_BYTES: usize = 256 << 10;
/// A token is left this long before it ends, or a tenth of its life: clocks differ, and requests take their time.
const SLACK: Duration = Duration::from_secs(30);
/// Nobody means more.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// The credentials of one source, ready to be shown.
#[derive(Clone, Debug)]
pub(super) struct Access {
    origin: Origin,
    shown: Shown,
}

#[derive(Clone, Debug)]
enum Shown {
    Fixed(HeaderName, HeaderValue),
    Token(Grant),
}

/// By what a token is had.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    url: Url,
    client_id: String,
    scope: Option<String>,
    secret: Secret,
}

impl Access {
    /// # Errors
    /// [`FetchError::NoSecret`] for a secret that no header can carry, [`FetchError::BadAddress`] for a token endpoint
    /// without an address.
    pub(super) fn of(root: &Url, login: &Login<'_>) -> Result<Self, FetchError> {
        let secret = login.secret.reveal();
        let unfit = || FetchError::NoSecret {
            secret: login.credentials.secret().to_owned(),
            detail: "it holds characters that no header can carry; set it anew".into(),
        };
        let bearer = |secret: &str| sensitive(&format!("Bearer {secret}")).ok_or_else(unfit);
        let shown = match login.credentials {
            Credentials::Basic { user, .. } => Shown::Fixed(AUTHORIZATION, basic(user, secret)),
            Credentials::ApiKey { header, .. } => {
                let name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| unfit())?;
                Shown::Fixed(name, sensitive(secret).ok_or_else(unfit)?)
            }
            Credentials::Bearer { .. } => Shown::Fixed(AUTHORIZATION, bearer(secret)?),
            Credentials::Key { .. } => {
                let reason = "a private key is for SFTP: nothing over HTTP takes one".into();
                return Err(FetchError::BadAddress { url: root.to_string(), reason });
            }
            Credentials::ClientCredentials { token_url, client_id, scope, .. } => {
                let wrong = |reason: String| FetchError::BadAddress { url: token_url.clone(), reason };
                let url = Url::parse(token_url).map_err(|error| wrong(error.to_string()))?;
                if !matches!(url.scheme(), "http" | "https") {
                    return Err(wrong("it is neither http nor https".into()));
                }
                let (client_id, scope, secret) = (client_id.clone(), scope.clone(), login.secret.clone());
                Shown::Token(Grant { url, client_id, scope, secret })
            }
        };
        Ok(Self { origin: root.origin(), shown })
    }

    /// True for addresses that are shown it.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.origin == url.origin()
    }

    /// True when another try may bring something else to show.
    pub(super) fn renews(&self) -> bool {
        matches!(self.shown, Shown::Token(_))
    }

    /// The header to send. A token comes from the endpoint when none is held, or when the one that is was `refused`.
    pub(super) async fn header(
        &self,
        client: &Client,
        refused: Option<&HeaderValue>,
    ) -> Result<(HeaderName, HeaderValue), FetchError> {
        match &self.shown {
            Shown::Fixed(name, value) => Ok((name.clone(), value.clone())),
            Shown::Token(grant) => Ok((AUTHORIZATION, client.tokens.get(client, grant, refused).await?)),
        }
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn basic(user: &str, password: &str) -> HeaderValue {
    // The letters of Base64 fit into every header.
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        .unwrap_or_else(|| HeaderValue::from_static("Basic"))
}

/// The tokens held, in memory only; by endpoint, client and scope.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<Door, Slot>>);

type Door = (Url, String, Option<String>);
/// Who finds it locked waits for the token that is being fetched.
type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    /// Absent: until it is refused.
    until: Option<Instant>,
    /// Another secret is another token.
    secret: Secret,
}

impl Tokens {
    async fn get(
        &self,
        client: &Client,
        grant: &Grant,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, FetchError> {
        let door = (grant.url.clone(), grant.client_id.clone(), grant.scope.clone());
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(door).or_default().clone();
        let mut held = slot.lock().await;
        if let Some(token) = &*held
            && token.secret == grant.secret
            && token.until.is_none_or(|until| Instant::now() < until)
            && refused != Some(&token.header)
        {
            return Ok(token.header.clone());
        }
        *held = None;
        let token = client.in_time(&grant.url, fetch(client, grant)).await?;
        Ok(held.insert(token).header.clone())
    }
}

/// How a client says who it is (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// `client_secret_basic`, which every server must know.
    Basic,
    /// `client_secret_post`, for servers that know only this.
    Post,
}

async fn fetch(client: &Client, grant: &Grant) -> Result<Token, FetchError> {
    match ask(client, grant, Manner::Basic).await {
        Err(FetchError::TokenRefused { code, .. }) if code == "invalid_client" => {
            ask(client, grant, Manner::Post).await
        }
        outcome => outcome,
    }
}

async fn ask(client: &Client, grant: &Grant, manner: Manner) -> Result<Token, FetchError> {
    let Grant { url, client_id, scope, secret } = grant;
    let mut pairs = vec![("grant_type", "client_credentials")];
    pairs.extend(scope.as_deref().map(|scope| ("scope", scope)));
    if manner == Manner::Post {
        pairs.extend([("client_id", client_id.as_str()), ("client_secret", secret.reveal())]);
    }
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    guard::check_literal(url)?;
    let route = Route { loopback: guard::says_loopback(url), packed: false };
    let mut request = client.client_for(url, route)?.post(url.clone());
    request = request.header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if manner == Manner::Basic {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        request = request.header(AUTHORIZATION, basic(&encoded(client_id), &encoded(secret.reveal())));
    }
    let host = host_of(url);
    let response = request.body(form).send().await.map_err(|error| client.explain(&error, &host, false))?;
    let status = response.status();
    let retry_after_secs = retry_after(response.headers());
    let kind = super::text_of(response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
    let body = whole(client, &host, response).await?;
    if status.is_success() {
        return token_of(&body, secret).map_err(|what| FetchError::Malformed {
            url: url.to_string(),
            what: format!("no token came but {kind:?}: {what}"),
        });
    }
    let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
    match refusal {
        Some(Refusal { error, description })
            if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) =>
        {
            let reason = secret.hidden(&description.unwrap_or_else(|| format!("status {}", status.as_u16())));
            Err(FetchError::TokenRefused { host, code: secret.hidden(&error), reason })
        }
        _ => Err(FetchError::Status { host, status: status.as_u16(), retry_after_secs }),
    }
}

async fn whole(client: &Client, host: &str, mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| client.explain(&error, host, true))? {
        if body.len() + chunk.len() > LIMIT_BYTES {
            return Err(FetchError::TooLarge { host: host.to_owned(), limit_bytes: LIMIT_BYTES as u64 });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Section 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(rename = "error_description")]
    description: Option<String>,
}

/// Section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    /// Seconds; some servers write them as text.
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

/// The sentence repeats nothing of the answer: a token may be in it.
fn token_of(body: &[u8], secret: &Secret) -> Result<Token, &'static str> {
    let granted: Granted = serde_json::from_slice(body).map_err(|_| "it has no \"access_token\"")?;
    if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("its type is not Bearer");
    }
    if granted.access_token.trim().is_empty() {
        return Err("it is empty");
    }
    let header = sensitive(&format!("Bearer {}", granted.access_token)).ok_or("no header can carry it")?;
    let life = match granted.expires_in {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(text)) => Some(text.trim().parse().map_err(|_| "expires_in is no number")?),
        Some(number) => Some(number.as_f64().ok_or("expires_in is no number")?),
    };
    let until = life.map(|secs: f64| {
        let life = Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or(LONGEST).min(LONGEST);
        Instant::now() + life.saturating_sub(SLACK.min(life / 10))
    });
    Ok(Token { header, until, secret: secret.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret::new("Kh0ng-ai-bi3t");
        let root: Url = "https://data.example/ogc".parse().unwrap();
        let named = || "s".to_owned();
        let all = [
            Credentials::Basic { user: "a".into(), secret: named() },
            Credentials::ApiKey { header: "X-Api-Key".into(), secret: named() },
            Credentials::Bearer { secret: named() },
            Credentials::ClientCredentials {
                token_url: "https://id.example/token".into(),
                client_id: "a".into(),
                scope: None,
                secret: named(),
            },
        ];
        for credentials in &all {
            let login = Login { credentials, secret: &secret };
            let access = Access::of(&root, &login).unwrap();
            let client = Client::default().showing(&root, Some(login)).unwrap();
            let said = format!("{login:?} {access:?} {client:?}");
            let encoded = STANDARD.encode("a:Kh0ng-ai-bi3t");
            assert!(!said.contains("Kh0ng") && !said.contains(&encoded), "{said}");
            assert!(access.covers(&"https://data.example/other?x=1".parse().unwrap()));
            for elsewhere in ["http://data.example/ogc", "https://data.example:8443/", "https://evil.example/ogc"] {
                assert!(!access.covers(&elsewhere.parse().unwrap()), "{elsewhere}");
            }
        }
        let unfit = Secret::new("two\nlines");
        let login = Login { credentials: &all[1], secret: &unfit };
        assert_eq!(Access::of(&root, &login).unwrap_err().code(), "no_secret");
    }

    #[tokio::test]
    async fn tokens_live_a_little_shorter_than_they_say() {
        let secret = Secret::new("s");
        let life = |expires: &str| {
            let body = format!(r#"{{"access_token":"t","token_type":"bearer","expires_in":{expires}}}"#);
            let token = token_of(body.as_bytes(), &secret)?;
            Ok(token.until.map(|until| until.saturating_duration_since(Instant::now()).as_secs_f64().round()))
        };
        assert_eq!(life("3600"), Ok(Some(3_570.0)));
        assert_eq!(life("\"100\""), Ok(Some(90.0)), "text, as some write it");
        assert_eq!(life("-5"), Ok(Some(0.0)));
        assert_eq!(life("1e300"), Ok(Some(2_591_970.0)));
        assert_eq!(life("null"), Ok(None));
        assert_eq!(life("\"soon\""), Err("expires_in is no number"));
        assert!(token_of(b"<html>login</html>", &secret).is_err());
        assert!(token_of(br#"{"access_token":"t","token_type":"mac"}"#, &secret).is_err());
    }
}
