//! The face of an HL7 FHIR R4 server: clinics and schools as `Location` and `Organization`, searched by bundle.

use super::{features, layer_of, number};
use crate::app::App;
use crate::content::Content;
use crate::http::{self, Trouble, base_url, pairs, query_of};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use model::{LayerKind, LayerSpec};
use serde_json::{Value, json};
use std::sync::Arc;

const MEDIA: &str = "application/fhir+json";
const LARGEST: usize = 500;
/// Where the fields of this house stand that FHIR has none for.
const EXTENSION: &str = "urn:toancanh:thuc-hanh:";

pub(super) async fn search(
    State(app): State<Arc<App>>,
    Path(kind): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    if !["Location", "Organization"].contains(&kind.as_str()) {
        return Ok(outcome(StatusCode::NOT_FOUND, "not-supported", &format!("{kind} is not kept here")));
    }
    let mut asked = pairs(query.as_deref());
    let value = |name: &str| asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let layer_kind = match value("type").as_deref() {
        None | Some("clinic") => LayerKind::Clinic,
        Some("school") => LayerKind::School,
        Some(other) => {
            return Ok(outcome(StatusCode::OK, "not-found", &format!("type={other} is not known: clinic or school")));
        }
    };
    let Some((spec, content)) = layer_of(&app, &[layer_kind]) else {
        return Ok(outcome(StatusCode::OK, "not-found", "the profile has no such layer"));
    };
    let habits = app.gateway.habits();
    let count = number(&asked, "_count", 20)?.clamp(1, LARGEST).min(habits.cap.unwrap_or(LARGEST));
    let from = number(&asked, "_offset", 0)?;
    let include = value("_revinclude").as_deref() == Some("Location:organization") && kind == "Organization";
    let base = format!("{}/gateway/fhir", base_url(&headers, &app));
    let entries = entries(&spec, &content, &kind, include, &base, from, count);
    let matched = content.features.len();
    let next = from.saturating_add(count);
    let mut links = vec![json!({"relation": "self", "url": format!("{base}/{kind}{}", query_of(&asked))})];
    if next < matched {
        asked.retain(|(name, _)| name != "_offset");
        asked.push(("_offset".into(), if habits.repeat_cursor { from } else { next }.to_string()));
        links.push(json!({"relation": "next", "url": format!("{base}/{kind}{}", query_of(&asked))}));
    }
    let bundle = json!({
        "resourceType": "Bundle",
        "meta": practice(),
        "type": "searchset",
        "total": matched + usize::from(habits.wrong_total),
        "link": links,
        "entry": entries,
    });
    Ok(http::text(MEDIA, bundle.to_string()))
}

fn entries(
    spec: &LayerSpec,
    content: &Content,
    kind: &str,
    include: bool,
    base: &str,
    from: usize,
    count: usize,
) -> Vec<Value> {
    let mut entries = Vec::new();
    for (id, feature) in features(content).skip(from).take(count) {
        let resource = if kind == "Location" { location(spec, id, &feature) } else { organization(spec, id, &feature) };
        entries.push(entry(base, kind, id, resource, "match"));
        if include {
            entries.push(entry(base, "Location", id, location(spec, id, &feature), "include"));
        }
    }
    entries
}

fn entry(base: &str, kind: &str, id: &str, resource: Value, mode: &str) -> Value {
    json!({"fullUrl": format!("{base}/{kind}/{id}"), "resource": resource, "search": {"mode": mode}})
}

fn practice() -> Value {
    json!({"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST", "display": "thực hành"}]})
}

/// What both kinds of resource have of a feature.
fn common(spec: &LayerSpec, id: &str, feature: &Value) -> Value {
    let properties = &feature["properties"];
    let extension = |name: &str, kind: &str| {
        let value = &properties[name];
        (!value.is_null()).then(|| json!({"url": format!("{EXTENSION}{name}"), kind: value}))
    };
    let extensions: Vec<Value> = [
        extension("beds", "valueInteger"),
        extension("pupils", "valueInteger"),
        extension("commune", "valueCode"),
        extension("sample", "valueBoolean"),
    ]
    .into_iter()
    .flatten()
    .collect();
    json!({
        "id": id,
        "meta": practice(),
        "extension": extensions,
        "identifier": [{"system": format!("{EXTENSION}{}", spec.id), "value": id}],
        "name": properties[&spec.name_field],
        "type": [{"coding": [{"system": format!("{EXTENSION}level"), "code": properties["level"]}]}],
    })
}

fn location(spec: &LayerSpec, id: &str, feature: &Value) -> Value {
    let mut resource = common(spec, id, feature);
    let at = &feature["geometry"]["coordinates"];
    resource["resourceType"] = json!("Location");
    resource["status"] = json!("active");
    resource["position"] = json!({"longitude": at[0], "latitude": at[1]});
    resource["managingOrganization"] = json!({"reference": format!("Organization/{id}")});
    resource
}

fn organization(spec: &LayerSpec, id: &str, feature: &Value) -> Value {
    let mut resource = common(spec, id, feature);
    resource["resourceType"] = json!("Organization");
    resource["active"] = json!(true);
    resource
}

fn outcome(status: StatusCode, code: &str, text: &str) -> Response {
    let issue = json!([{"severity": "error", "code": code, "diagnostics": text}]);
    let body = json!({"resourceType": "OperationOutcome", "meta": practice(), "issue": issue});
    (status, http::text(MEDIA, body.to_string())).into_response()
}
