//! A collection's properties as JSON Schema 2020-12: what comes, and what a filter may ask.

use crate::answer::{Answer, SCHEMA};
use crate::html;
use crate::problem::Problem;
use crate::request::{Asked, Format};
use axum::extract::Path;
use axum::response::Response;
use desk::{Field, FieldType, GeometryKind, PublishedLayer};
use serde_json::{Map, Value, json};

pub(crate) async fn queryables(asked: Asked, Path(id): Path<String>) -> Response {
    asked.answer(move |asked| document(asked, &id, "queryables")).await
}

pub(crate) async fn schema(asked: Asked, Path(id): Path<String>) -> Response {
    asked.answer(move |asked| document(asked, &id, "schema")).await
}

fn document(asked: &Asked, id: &str, what: &str) -> Result<Answer, Problem> {
    asked.only(&["f"])?;
    let format = asked.format()?;
    let layer = asked.layer(id)?;
    if format == Format::Html {
        return Ok(Answer::html(html::fields(asked, &layer, what)));
    }
    let mut properties = Map::new();
    properties.insert("id".into(), json!({"type": "string", "title": "id", "x-ogc-role": "id"}));
    // Filters do not ask for places: that is what `bbox` is for.
    if what == "schema" {
        let geometry = json!({"format": geometry_format(&layer), "x-ogc-role": "primary-geometry"});
        properties.insert("geometry".into(), geometry);
    }
    for field in layer.fields().iter().cloned().chain(layer.live_fields()) {
        properties.entry(field.name.clone()).or_insert_with(|| property(asked, &field));
    }
    let mut document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("{}/collections/{id}/{what}", asked.base),
        "type": "object",
        "title": asked.say(&layer.info().title),
        "properties": properties,
        "additionalProperties": false,
    });
    if what == "schema" {
        let required = layer.fields().iter().filter(|field| field.required).map(|field| field.name.as_str());
        document["required"] = required.collect::<Vec<_>>().into();
    }
    Ok(Answer::json(SCHEMA, &document))
}

fn property(asked: &Asked, field: &Field) -> Value {
    let mut property = match field.field_type {
        FieldType::Text => json!({"type": "string"}),
        FieldType::Integer => json!({"type": "integer"}),
        FieldType::Real => json!({"type": "number"}),
        FieldType::Boolean => json!({"type": "boolean"}),
        FieldType::Date => json!({"type": "string", "format": "date"}),
    };
    property["title"] = json!(asked.say(&field.title));
    if let Some(unit) = &field.unit {
        property["x-ogc-unit"] = json!(unit);
    }
    property
}

fn geometry_format(layer: &PublishedLayer) -> &'static str {
    match layer.info().geometry {
        GeometryKind::Point => "geometry-point-or-multipoint",
        GeometryKind::Line => "geometry-linestring-or-multilinestring",
        GeometryKind::Polygon => "geometry-polygon-or-multipolygon",
        GeometryKind::Mixed => "geometry-any",
    }
}
