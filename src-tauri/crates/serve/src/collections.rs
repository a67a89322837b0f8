//! Layers as collections: what they are, how old, whose.

use crate::answer::{Answer, GEO_JSON, JSON, SCHEMA};
use crate::links::{link, this};
use crate::request::{Asked, Format};
use crate::{crs, html};
use axum::extract::Path;
use axum::response::Response;
use desk::{Crs, PublishedLayer};
use serde_json::{Value, json};

pub(crate) async fn all(asked: Asked) -> Response {
    asked
        .answer(|asked| {
            asked.only(&["f"])?;
            let format = asked.format()?;
            let layers = asked.app.desk.published(asked.audience);
            let links = this(asked, format, JSON);
            if format == Format::Html {
                return Ok(Answer::html(html::collections(asked, &layers, &links)));
            }
            let collections: Vec<Value> = layers.iter().map(|layer| collection(asked, layer, Vec::new())).collect();
            let systems: Vec<String> = asked.app.desk.published_crs().into_iter().map(crs::uri).collect();
            Ok(Answer::json(JSON, &json!({"links": links, "crs": systems, "collections": collections})))
        })
        .await
}

pub(crate) async fn one(asked: Asked, Path(id): Path<String>) -> Response {
    asked
        .answer(move |asked| {
            asked.only(&["f"])?;
            let format = asked.format()?;
            let layer = asked.layer(&id)?;
            let document = collection(asked, &layer, this(asked, format, JSON));
            if format == Format::Html {
                return Ok(Answer::html(html::collection(asked, &layer, &document)));
            }
            Ok(Answer::json(JSON, &document))
        })
        .await
}

/// The collection's document. Beyond the standard: `asOf`, `freshness`, `fetchedAt`, `provider`, `licence`, `source`,
/// `classification`, `sample`, `practice`, `note`, and for layers with stations `live`.
fn collection(asked: &Asked, layer: &PublishedLayer, mut links: Vec<Value>) -> Value {
    let info = layer.info();
    let at = |below: &str| format!("{}/collections/{}{below}", asked.base, info.id);
    if links.is_empty() {
        links.push(link("self", JSON, &asked.word("serve.link.collection"), at("?f=json")));
    }
    let items = asked.word("serve.link.items");
    links.push(link("items", GEO_JSON, &items, at("/items?f=json")));
    links.push(link("items", "text/html", &items, at("/items?f=html")));
    if info.live.is_some() {
        links.push(link("related", GEO_JSON, &asked.word("serve.link.live"), at("/items?f=json&live=true")));
    }
    let (queryables, schema) = (asked.word("serve.link.queryables"), asked.word("serve.link.schema"));
    links.push(link(
        "http://www.opengis.net/def/rel/ogc/1.0/queryables",
        SCHEMA,
        &queryables,
        at("/queryables?f=json"),
    ));
    links.push(link("describedby", SCHEMA, &schema, at("/schema?f=json")));
    let tilesets = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector";
    links.push(link(tilesets, JSON, &asked.word("serve.link.tiles"), at("/tiles?f=json")));
    let mut document = json!({
        "id": info.id,
        "title": asked.say(&info.title),
        "titles": info.title,
        "itemType": "feature",
        "crs": asked.app.desk.published_crs().into_iter().map(crs::uri).collect::<Vec<_>>(),
        "storageCrs": crs::uri(Crs::CRS84),
        "numberOfFeatures": info.features,
        "asOf": info.as_of,
        "freshness": info.freshness,
        "source": info.source,
        "classification": info.classification,
        "sample": info.sample,
        "practice": info.practice,
        "links": links,
    });
    if let Some(bbox) = info.bbox {
        document["extent"] = json!({"spatial": {"bbox": [bbox], "crs": crs::uri(Crs::CRS84)}});
    }
    if let Some(provenance) = &info.provenance {
        document["fetchedAt"] = json!(provenance.fetched_at);
        document["provider"] = json!(asked.say(&provenance.provider));
        document["licence"] = json!(provenance.licence);
    }
    if let Some(note) = &info.note {
        document["note"] = json!(asked.say(note));
    }
    if let Some(live) = &info.live {
        document["live"] = json!(live);
    }
    document
}
