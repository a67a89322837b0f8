//! OGC API – Features, Part 1 (core, GeoJSON) and the one CRS every client knows (CRS84).

mod items;
mod query;

use crate::app::App;
use crate::content::Content;
use crate::http::{self, JSON, Trouble, base_url};
use crate::noise::{join, key_of};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use model::{LayerSpec, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const CRS84: &str = "http://www.opengis.net/def/crs/OGC/1.3/CRS84";

const CONFORMANCE: [&str; 3] = [
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
];

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/ogc", get(landing))
        .route("/ogc/", get(landing))
        .route("/ogc/conformance", get(conformance))
        .route("/ogc/collections", get(collections))
        .route("/ogc/collections/{id}", get(collection))
        .route("/ogc/collections/{id}/items", get(items::page))
        .route("/ogc/collections/{id}/items/{fid}", get(items::one))
}

/// A link object. `href` is absolute.
pub(crate) fn link(rel: &str, media: &str, href: String) -> Value {
    json!({ "rel": rel, "type": media, "href": href })
}

async fn landing(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let base = base_url(&headers, &app);
    axum::response::IntoResponse::into_response(axum::Json(json!({
        "title": "Trung tâm dữ liệu thực hành",
        "description": format!("Dữ liệu thực hành – {}. Không phải số liệu đo.", app.profile.title.vi),
        "practice": true,
        "links": [
            link("self", JSON, format!("{base}/ogc")),
            link("conformance", JSON, format!("{base}/ogc/conformance")),
            link("data", JSON, format!("{base}/ogc/collections")),
        ],
    })))
}

async fn conformance() -> Response {
    axum::response::IntoResponse::into_response(axum::Json(json!({ "conformsTo": CONFORMANCE })))
}

async fn collections(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Trouble> {
    let base = base_url(&headers, &app);
    let layers: Vec<_> = app.layers().collect();
    let all =
        layers.iter().fold(key_of(base.as_bytes()), |key, (_, content)| join(key, key_of(content.etag.as_bytes())));
    let modified_at = layers.iter().map(|(_, content)| content.modified_at).max().unwrap_or(Timestamp::UNIX_EPOCH);
    http::conditional(&headers, &format!("W/\"{all:016x}\""), modified_at, JSON, || {
        let described: Vec<Value> = layers.iter().map(|(spec, content)| describe(spec, content, &base)).collect();
        http::to_json(&json!({
            "links": [link("self", JSON, format!("{base}/ogc/collections"))],
            "collections": described,
        }))
    })
}

async fn collection(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let (spec, content) = find(&app, &id)?;
    let base = base_url(&headers, &app);
    http::conditional(&headers, &content.etag, content.modified_at, JSON, || {
        http::to_json(&describe(spec, &content, &base))
    })
}

/// # Errors
/// 404 with the ids that there are.
pub(crate) fn find<'a>(app: &'a App, id: &str) -> Result<(&'a LayerSpec, Arc<Content>), Trouble> {
    app.layer(id).ok_or_else(|| {
        let ids: Vec<&str> = app.profile.layers.iter().map(|layer| layer.id.as_str()).collect();
        Trouble::missing(format!("no collection {id:?}; there are {}", ids.join(", ")))
    })
}

fn describe(spec: &LayerSpec, content: &Content, base: &str) -> Value {
    let at = format!("{base}/ogc/collections/{}", spec.id);
    let bbox = content.bbox;
    let mut description = format!("{}; nguồn: {}", spec.title.en, spec.provider.vi);
    if let Some(note) = &spec.note {
        description = format!("{description}; {}", note.vi);
    }
    let mut whole = json!({
        "id": spec.id.as_str(),
        "title": spec.title.vi,
        "description": description,
        "itemType": "feature",
        "crs": [CRS84],
        "storageCrs": CRS84,
        "practice": true,
        "sample": spec.sample,
        "asOf": spec.as_of.to_string(),
        "kind": spec.kind.as_str(),
        "licence": spec.licence,
        "classification": spec.classification.as_str(),
        "links": [
            link("self", JSON, at.clone()),
            link("items", http::GEO_JSON, format!("{at}/items")),
        ],
    });
    if !bbox.is_empty() {
        whole["extent"] = json!({ "spatial": { "bbox": [<[f64; 4]>::from(bbox)], "crs": CRS84 } });
    }
    whole
}
