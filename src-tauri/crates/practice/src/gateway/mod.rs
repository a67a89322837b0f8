//! The practice gateway: what a provincial data platform (LGSP) behind the national one (NDXP) may look like to an office
//! that fetches from it. The real interfaces are not public: nothing here is modelled on them, only on the standards that
//! they are said to keep, and every answer says that it is practice.
//!
//! Three faces over the same features: a list with Vietnamese field names, paged three ways; an NGSI-LD broker; a FHIR R4
//! server. All want a token from `/gateway/oauth2/token`, the key in `X-Api-Key`, or both words by Basic.

mod fhir;
mod list;
mod ngsi;
mod token;

use crate::app::App;
use crate::content::Content;
use crate::http::Trouble;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use model::{LayerKind, LayerSpec};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// Who may fetch, in practice: neither is a secret.
pub(crate) const CLIENT_ID: &str = "toan-canh";
pub(crate) const CLIENT_SECRET: &str = "mat-khau-thuc-hanh";
pub(crate) const API_KEY: &str = "khoa-thuc-hanh";

/// What the gateway does wrong on purpose, beside the faults of every path. Changes take effect with the next request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayHabits {
    /// How long a token lives, by the gateway's word.
    pub token_secs: u64,
    /// Clients are known by the form only (`client_secret_post`).
    pub form_only: bool,
    /// So many more tokens are refused although they are good.
    pub refuse_tokens: u32,
    /// A cursor leads back to its own page.
    pub repeat_cursor: bool,
    /// The total is one too many.
    pub wrong_total: bool,
    /// Entities come in simplified form, unasked.
    pub simplified: bool,
    /// Nobody gets more items a page than this, whatever is asked for, and nobody is told.
    pub cap: Option<usize>,
}

impl Default for GatewayHabits {
    fn default() -> Self {
        Self {
            token_secs: 300,
            form_only: false,
            refuse_tokens: 0,
            repeat_cursor: false,
            wrong_total: false,
            simplified: false,
            cap: None,
        }
    }
}

/// The gateway's memory.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    habits: Mutex<GatewayHabits>,
    /// The tokens given out that still count.
    tokens: Mutex<HashSet<String>>,
    given: Mutex<u64>,
}

impl Gateway {
    pub fn habits(&self) -> GatewayHabits {
        self.habits.lock().clone()
    }

    pub fn set_habits(&self, habits: GatewayHabits) {
        *self.habits.lock() = habits;
    }

    /// No token given out so far counts any more.
    pub fn revoke(&self) {
        self.tokens.lock().clear();
    }

    /// How many tokens were given out.
    pub fn given(&self) -> u64 {
        *self.given.lock()
    }
}

pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/gateway/danh-muc/{layer}", get(list::page))
        .route("/gateway/ngsi-ld/v1/entities", get(ngsi::entities))
        .route("/gateway/fhir/{kind}", get(fhir::search))
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .route("/gateway", get(about))
        .route("/gateway/oauth2/token", post(token::token))
        .route("/practice/gateway", get(habits).put(put_habits))
}

/// Lets in who shows a token, the key, or the client's own words.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if let Err(trouble) = app.gateway.let_in(request.headers()) {
        let mut response = trouble.into_response();
        let challenge = axum::http::HeaderValue::from_static("Bearer realm=\"practice\", error=\"invalid_token\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    next.run(request).await
}

impl Gateway {
    fn let_in(&self, headers: &HeaderMap) -> Result<(), Trouble> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let refused = |why: &str| Err(Trouble::new(StatusCode::UNAUTHORIZED, "Unauthorized", why));
        if text("x-api-key") == API_KEY {
            return Ok(());
        }
        let shown = text("authorization");
        if let Some(token) = shown.strip_prefix("Bearer ") {
            let mut habits = self.habits.lock();
            if habits.refuse_tokens > 0 {
                habits.refuse_tokens -= 1;
                return refused("the token is refused: a fault set on the practice gateway");
            }
            if self.tokens.lock().contains(token) {
                return Ok(());
            }
            return refused("the token is unknown or has ended");
        }
        match shown.strip_prefix("Basic ").and_then(token::basic) {
            Some((user, password)) if user == CLIENT_ID && password == CLIENT_SECRET => Ok(()),
            _ => refused("show a token of /gateway/oauth2/token, or X-Api-Key"),
        }
    }
}

async fn about(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    axum::Json(addresses(&crate::http::base_url(&headers, &app))).into_response()
}

/// Where everything is, and with what it opens.
pub(crate) fn addresses(base: &str) -> Value {
    json!({
        "practice": true,
        "note": "Cổng thực hành: giao diện thật của LGSP, NDXP không công khai / practice gateway: the real interfaces are not public",
        "list": format!("{base}/gateway/danh-muc/schools?trang=1&kichThuoc=50"),
        "ngsi_ld": format!("{base}/gateway/ngsi-ld/v1"),
        "fhir": format!("{base}/gateway/fhir"),
        "token_url": format!("{base}/gateway/oauth2/token"),
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "api_key_header": "X-Api-Key",
        "api_key": API_KEY,
    })
}

async fn habits(State(app): State<Arc<App>>) -> Response {
    axum::Json(app.gateway.habits()).into_response()
}

/// `PUT /practice/gateway` with the habits as JSON; what is left out is as usual.
async fn put_habits(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Trouble> {
    let habits: GatewayHabits = serde_json::from_slice(&body)
        .map_err(|error| Trouble::bad(format!("{error}; write for example {{\"wrong_total\":true}}")))?;
    app.gateway.set_habits(habits);
    Ok(axum::Json(app.gateway.habits()).into_response())
}

/// The features of a layer as JSON, whole.
fn features(content: &Content) -> impl Iterator<Item = (&str, Value)> {
    content
        .features
        .iter()
        .map(|feature| (feature.id.as_str(), serde_json::from_str(feature.raw.get()).unwrap_or_default()))
}

/// A layer of points of one of these kinds.
fn layer_of(app: &App, kinds: &[LayerKind]) -> Option<(LayerSpec, Arc<Content>)> {
    app.layers().find(|(spec, _)| kinds.contains(&spec.kind)).map(|(spec, content)| (spec.clone(), content))
}

/// A number among the parameters, or the usual one.
fn number(pairs: &[(String, String)], name: &str, usual: usize) -> Result<usize, Trouble> {
    match pairs.iter().find(|(known, _)| known == name) {
        None => Ok(usual),
        Some((_, text)) => text.parse().map_err(|_| Trouble::bad(format!("{name} = {text:?} is no whole number"))),
    }
}
