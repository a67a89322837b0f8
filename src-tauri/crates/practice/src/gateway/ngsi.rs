//! The face of an NGSI-LD context broker (ETSI GS CIM 009): entities of one type.

use super::{features, layer_of, number};
use crate::app::App;
use crate::http::{self, Trouble, base_url, pairs, query_of};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use model::LayerKind;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Entity type → kind of layer.
const TYPES: [(&str, LayerKind); 6] = [
    ("School", LayerKind::School),
    ("Clinic", LayerKind::Clinic),
    ("AirStation", LayerKind::AirStation),
    ("WaterStation", LayerKind::WaterStation),
    ("Camera", LayerKind::Camera),
    ("Commune", LayerKind::Communes),
];
const CONTEXT: &str = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";
const LARGEST: usize = 1_000;

pub(super) async fn entities(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let mut asked = pairs(query.as_deref());
    let value = |name: &str| asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let kind = value("type").unwrap_or_default();
    let known = TYPES.iter().find(|(name, _)| *name == kind);
    let found = known.and_then(|(_, layer_kind)| layer_of(&app, &[*layer_kind]));
    let (_, content) = found.ok_or_else(|| {
        let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        Trouble::bad(format!("type={kind:?} is not known; there are {}", names.join(", ")))
    })?;
    let habits = app.gateway.habits();
    let limit = number(&asked, "limit", 20)?.clamp(1, LARGEST).min(habits.cap.unwrap_or(LARGEST));
    let offset = number(&asked, "offset", 0)?;
    let options = value("options").unwrap_or_default();
    let simplified = habits.simplified || options.split(',').any(|word| word == "keyValues" || word == "simplified");
    let page: Vec<Value> = features(&content)
        .skip(offset)
        .take(limit)
        .map(|(id, feature)| entity(&kind, id, &feature, simplified))
        .collect();
    let count = value("count").as_deref() == Some("true");
    let next = offset.saturating_add(page.len());
    let mut response = http::text("application/ld+json", Value::Array(page.clone()).to_string());
    let mut insert = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(name, value);
        }
    };
    if count {
        let matched = content.features.len() + usize::from(habits.wrong_total);
        insert(HeaderName::from_static("ngsild-results-count"), matched.to_string());
    }
    insert(
        header::LINK,
        format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\""),
    );
    if next < content.features.len() && !page.is_empty() {
        asked.retain(|(name, _)| name != "offset");
        asked.push(("offset".into(), if habits.repeat_cursor { offset } else { next }.to_string()));
        let to = format!("{}/gateway/ngsi-ld/v1/entities{}", base_url(&headers, &app), query_of(&asked));
        insert(header::LINK, format!("<{to}>; rel=\"next\"; type=\"application/ld+json\""));
    }
    Ok(response)
}

fn entity(kind: &str, id: &str, feature: &Value, simplified: bool) -> Value {
    let mut entity = Map::new();
    entity.insert("id".into(), json!(format!("urn:ngsi-ld:{kind}:{id}")));
    entity.insert("type".into(), json!(kind));
    let attribute =
        |kind: &str, value: &Value| if simplified { value.clone() } else { json!({"type": kind, "value": value}) };
    for (name, value) in feature["properties"].as_object().into_iter().flatten() {
        // `type` is the entity's own.
        let name = if name == "type" { "category" } else { name };
        entity.insert(name.to_owned(), attribute("Property", value));
    }
    entity.insert("location".into(), attribute("GeoProperty", &feature["geometry"]));
    entity.insert("@context".into(), json!([CONTEXT]));
    Value::Object(entity)
}
