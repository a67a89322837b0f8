//! Pages of features and single features.

use super::query::ItemsQuery;
use super::{CRS84, find, link};
use crate::app::App;
use crate::content::{Content, RawFeature};
use crate::geometry::touches;
use crate::http::{self, CONTENT_CRS, GEO_JSON, Trouble, base_url, to_json};
use crate::noise::key_of;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use model::BBox;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

#[derive(Serialize)]
struct Page<'a> {
    r#type: &'static str,
    #[serde(rename = "timeStamp")]
    time_stamp: String,
    #[serde(rename = "numberMatched")]
    number_matched: usize,
    #[serde(rename = "numberReturned")]
    number_returned: usize,
    links: Vec<Value>,
    features: Vec<&'a RawValue>,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let (spec, content) = find(&app, &id)?;
    let query = ItemsQuery::parse(query.as_deref())?;
    let response = http::conditional(&headers, &content.etag, content.modified_at, GEO_JSON, || {
        let matched = matching(&content, &query.boxes);
        let features: Vec<&RawValue> =
            matched.iter().skip(query.offset).take(query.limit).map(|feature| &*feature.raw).collect();
        let at = format!("{}/ogc/collections/{}", base_url(&headers, &app), spec.id);
        let mut links = vec![
            link("self", GEO_JSON, format!("{at}/items{}", query.at(query.offset))),
            link("collection", http::JSON, at.clone()),
        ];
        let next = query.offset.saturating_add(features.len());
        if next < matched.len() && !features.is_empty() {
            links.push(link("next", GEO_JSON, format!("{at}/items{}", query.at(next))));
        }
        if query.offset > 0 {
            let back = query.offset.saturating_sub(query.limit);
            links.push(link("prev", GEO_JSON, format!("{at}/items{}", query.at(back))));
        }
        to_json(&Page {
            r#type: "FeatureCollection",
            time_stamp: app.clock.now().to_string(),
            number_matched: matched.len(),
            number_returned: features.len(),
            links,
            features,
        })
    })?;
    Ok(with_crs(response))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path((id, fid)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let (spec, content) = find(&app, &id)?;
    let feature =
        content.feature(&fid).ok_or_else(|| Trouble::missing(format!("no feature {fid:?} in {}", spec.id)))?;
    let etag = format!("W/\"{:016x}\"", key_of(feature.raw.get().as_bytes()));
    let response = http::conditional(&headers, &etag, content.modified_at, GEO_JSON, || {
        let mut whole: Value = serde_json::from_str(feature.raw.get()).unwrap_or_default();
        let at = format!("{}/ogc/collections/{}", base_url(&headers, &app), spec.id);
        whole["links"] = Value::Array(vec![
            link("self", GEO_JSON, format!("{at}/items/{}", http::encode(&feature.id))),
            link("collection", http::JSON, at),
        ]);
        to_json(&whole)
    })?;
    Ok(with_crs(response))
}

fn with_crs(mut response: Response) -> Response {
    if let Ok(crs) = HeaderValue::from_str(&format!("<{CRS84}>")) {
        response.headers_mut().insert(CONTENT_CRS, crs);
    }
    response
}

/// Features that touch one of the boxes, all without a box, in the file's order.
fn matching<'a>(content: &'a Content, boxes: &[BBox]) -> Vec<&'a RawFeature> {
    let within =
        |outer: &BBox, inner: &BBox| outer.contains(inner.west, inner.south) && outer.contains(inner.east, inner.north);
    let meets = |feature: &RawFeature, bbox: &BBox| {
        feature.bbox.intersects(bbox)
            // Only a shape that sticks out of the box has to be looked at closely.
            && (within(bbox, &feature.bbox)
                || serde_json::from_str::<Value>(feature.raw.get()).is_ok_and(|whole| touches(&whole["geometry"], bbox)))
    };
    content
        .features
        .iter()
        .filter(|feature| boxes.is_empty() || boxes.iter().any(|bbox| meets(feature, bbox)))
        .collect()
}
