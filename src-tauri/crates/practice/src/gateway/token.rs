//! The token endpoint (OAuth 2.0, RFC 6749, sections 4.4 and 5).

use super::{CLIENT_ID, CLIENT_SECRET, Gateway};
use crate::app::App;
use crate::http::{decode, pairs};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn token(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = pairs(std::str::from_utf8(&body).ok());
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if field("grant_type") != Some("client_credentials") {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type", "grant_type=client_credentials is known");
    }
    let habits = app.gateway.habits();
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
    let by_header = shown.and_then(|shown| basic(shown.strip_prefix("Basic ")?)).filter(|_| !habits.form_only);
    // What stands in the header is encoded as in a form (section 2.3.1).
    let by_header = by_header.map(|(id, secret)| (decode(&id), decode(&secret)));
    let by_form = field("client_id").zip(field("client_secret")).map(|(id, secret)| (id.into(), secret.into()));
    match by_header.or(by_form) {
        Some((id, secret)) if id == CLIENT_ID && secret == CLIENT_SECRET => {}
        _ => return refuse(StatusCode::UNAUTHORIZED, "invalid_client", "client or secret is not known"),
    }
    let token = app.gateway.give(Duration::from_secs(habits.token_secs), app.clone());
    axum::Json(json!({
        "access_token": token, "token_type": "Bearer", "expires_in": habits.token_secs, "practice": true,
    }))
    .into_response()
}

fn refuse(status: StatusCode, error: &str, description: &str) -> Response {
    (status, axum::Json(json!({"error": error, "error_description": description, "practice": true}))).into_response()
}

impl Gateway {
    /// A new token; it is forgotten when it ends.
    fn give(&self, life: Duration, app: Arc<App>) -> String {
        let nth = {
            let mut given = self.given.lock();
            *given += 1;
            *given
        };
        let token = format!("thuc-hanh-{nth:08x}");
        self.tokens.lock().insert(token.clone());
        let ending = token.clone();
        tokio::spawn(async move {
            tokio::time::sleep(life).await;
            app.gateway.tokens.lock().remove(&ending);
        });
        token
    }
}

/// User and password of `Basic` (RFC 7617).
pub(super) fn basic(encoded: &str) -> Option<(String, String)> {
    let (user, password) =
        String::from_utf8(base64(encoded)?).ok()?.split_once(':').map(|(u, p)| (u.into(), p.into()))?;
    Some((user, password))
}

/// Decodes Base64 (RFC 4648, section 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_reads_what_clients_write() {
        let split = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(basic("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), split("Aladdin", "open sesame"), "RFC 7617, section 2");
        assert_eq!(basic("dGVzdDoxMjPCow=="), split("test", "123£"), "RFC 7617, section 2.1");
        assert_eq!(basic("no colon"), None);
    }
}
