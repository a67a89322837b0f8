//! Questions to an OGC API – Features service about a collection that stays there.
#![allow(clippy::unwrap_used)]

mod common;

use common::server::{Asked, answer, ok, serve};
use common::{collection, point, wanted};
use model::{BBox, FieldType, FilterLanguage};
use sources::asking::{Abilities, Part, Question, abilities, ask, count, item};
use sources::{Client, FetchError, Url, Wanted};
use std::path::Path;

const BOX: BBox = BBox { west: 106.0, south: 11.0, east: 106.5, north: 11.5 };

fn parcels(root: &Url) -> Wanted<'_> {
    wanted(root, "parcels", Path::new("/nowhere"))
}

fn conformance(classes: &[&str]) -> String {
    serde_json::json!({ "conformsTo": classes }).to_string()
}

const CQL2: [&str; 5] = [
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
];

fn about(asked: &Asked, classes: &[&str]) -> Option<Vec<u8>> {
    let queryables = r#"{"$schema":"x","type":"object","properties":{"geom":{"$ref":"https://geojson.org/schema/Polygon.json"},
        "shape":{"format":"geometry-polygon"},"so_to":{"type":"integer","x-ogc-role":"id"},"ten":{"type":"string"},
        "ngay":{"type":"string","format":"date"},"khac":{}}}"#;
    match asked.path.as_str() {
        "/conformance" => Some(ok(conformance(classes))),
        "/collections/parcels" => {
            Some(ok(r#"{"id":"parcels","asOf":"2026-11-01","extent":{"spatial":{"bbox":[[105.8,10.9,106.4,11.6]]}}}"#))
        }
        "/collections/parcels/queryables" => Some(ok(queryables)),
        _ => None,
    }
}

#[tokio::test]
async fn a_service_says_what_it_can_be_asked() {
    let (root, _) = serve(|asked| about(asked, &CQL2).unwrap_or_else(|| answer("404 Not Found", "", ""))).await;
    let able = abilities(&Client::default(), &parcels(&root)).await.unwrap();
    let filtering = able.filtering.unwrap();
    assert_eq!(filtering.language, FilterLanguage::Cql2Text);
    assert!(filtering.like && !filtering.case_insensitive && !filtering.accent_insensitive && !able.by_parameter);
    let known: Vec<(String, Option<FieldType>)> = able.queryables.clone().unwrap().into_iter().collect();
    let expected = [
        ("khac", None),
        ("ngay", Some(FieldType::Date)),
        ("so_to", Some(FieldType::Integer)),
        ("ten", Some(FieldType::Text)),
    ];
    assert_eq!(known, expected.map(|(name, told)| (name.to_owned(), told)));
    assert_eq!(able.id.as_deref(), Some("so_to"));
    assert_eq!(able.extent, Some([105.8, 10.9, 106.4, 11.6].into()));
    assert_eq!(able.as_of.unwrap().to_string(), "2026-11-01T00:00:00Z");
    // A language without a filter, or a filter without a language, is none.
    for classes in [&CQL2[..2], &CQL2[2..]] {
        let classes: Vec<&'static str> = classes.to_vec();
        let (root, _) =
            serve(move |asked| about(asked, &classes).unwrap_or_else(|| answer("404 Not Found", "", ""))).await;
        assert_eq!(abilities(&Client::default(), &parcels(&root)).await.unwrap().filtering, None);
    }
}

#[tokio::test]
async fn a_service_without_attributes_is_asked_about_none_and_one_without_the_collection_is_an_error() {
    let (root, _) = serve(|asked| match asked.path.as_str() {
        "/conformance" => {
            ok(conformance(&["http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters"]))
        }
        "/collections/parcels" => ok("{}"),
        "/collections" => ok(r#"{"collections":[{"id":"thua_dat"}]}"#),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    assert_eq!(abilities(&Client::default(), &parcels(&root)).await.unwrap(), Abilities::default());
    let error = abilities(&Client::default(), &wanted(&root, "lots", Path::new("/nowhere"))).await.unwrap_err();
    assert!(matches!(&error, FetchError::NoCollection { offers, .. } if offers == &["thua_dat"]), "{error}");
}

#[tokio::test]
async fn a_question_goes_out_whole_and_stops_at_enough() {
    let (root, log) = serve(|asked| {
        let from: usize = asked.query("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
        let rows: Vec<String> = (from..from + 2).map(|i| point(&format!("p{i}"), 106.1, 11.1)).collect();
        let next = format!(r#"{{"rel":"next","href":"?offset={}"}}"#, from + 2);
        let next = if from < 8 { next } else { String::new() };
        ok(format!(
            r#"{{"type":"FeatureCollection","numberMatched":10,"links":[{next}],"features":[{}]}}"#,
            rows.join(",")
        ))
    })
    .await;
    let question = Question {
        bbox: Some(BOX),
        filter: Some((FilterLanguage::Cql2Text, "\"ten\" = 'Trảng Bàng' AND a < 1".into())),
        equal: vec![("loai".into(), "ODT & CLN".into())],
        at_most: 4,
    };
    let part = ask(&Client::default(), &parcels(&root), &question).await.unwrap();
    assert_eq!((part.features.len(), part.matched, part.whole, part.outside), (4, Some(10), false, 0));
    let first = log.lock().unwrap()[0].clone();
    for (name, value) in [
        ("bbox", "106,11,106.5,11.5"),
        ("filter-lang", "cql2-text"),
        ("filter", "\"ten\" = 'Trảng Bàng' AND a < 1"),
        ("loai", "ODT & CLN"),
        ("limit", "4"),
    ] {
        assert_eq!(first.query(name).as_deref(), Some(value));
    }
    let all = Question { at_most: 1_000, ..Question::default() };
    let part = ask(&Client::default(), &parcels(&root), &all).await.unwrap();
    assert_eq!((part.features.len(), part.whole), (10, true));
    let plain = log.lock().unwrap().iter().find(|asked| asked.query("limit").as_deref() == Some("1000")).cloned();
    assert_eq!(plain.unwrap().path, "/collections/parcels/items?limit=1000", "nothing is asked that was not meant");
    assert_eq!(count(&Client::default(), &parcels(&root)).await.unwrap(), Some(10));
    let kept = Part::from_text(&part.to_text()).unwrap();
    assert_eq!((kept.features, kept.matched, kept.whole), (part.features, part.matched, part.whole));
    assert!(Part::from_text("{}").is_none());
}

#[tokio::test]
async fn a_server_that_ignores_the_box_is_found_out() {
    let (root, _) =
        serve(|_| ok(collection(&[point("in", 106.2, 11.2), point("edge", 106.5, 11.5), point("out", 106.6, 11.2)])))
            .await;
    let question = Question { bbox: Some(BOX), at_most: 100, ..Question::default() };
    let part = ask(&Client::default(), &parcels(&root), &question).await.unwrap();
    let ids: Vec<&str> = part.features.iter().map(|feature| feature.id.as_str()).collect();
    assert_eq!((ids.as_slice(), part.outside, part.whole), (&["in", "edge"][..], 1, true));
}

#[tokio::test]
async fn a_refused_filter_is_said_in_its_words() {
    let (root, _) = serve(|_| answer("400 Bad Request", "", r#"{"code":"InvalidParameterValue"}"#)).await;
    let filter = Some((FilterLanguage::CqlText, "\"a\" = 1".to_owned()));
    let question = Question { filter, at_most: 10, ..Question::default() };
    let error = ask(&Client::default(), &parcels(&root), &question).await.unwrap_err();
    assert!(error.code() == "service_refuses" && error.to_string().contains("\"a\" = 1"), "{error}");
    assert!(!error.retryable());
    // Without a filter a 400 is what it was.
    let error = ask(&Client::default(), &parcels(&root), &Question { at_most: 10, ..Question::default() }).await;
    assert!(matches!(error, Err(FetchError::Status { status: 400, .. })), "{error:?}");
}

#[tokio::test]
async fn one_feature_comes_by_its_id() {
    let (root, log) = serve(|asked| match asked.path.split_once("/items/") {
        Some((_, "p%201%2Fa")) => {
            let epsg = "Content-Crs: <http://www.opengis.net/def/crs/EPSG/0/4326>\r\n";
            answer("200 OK", epsg, point("p 1/a", 11.2, 106.2))
        }
        Some((_, "other")) => ok(point("this", 106.2, 11.2)),
        Some((_, "page")) => ok("<html>"),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    let able = Abilities::default();
    let client = Client::default();
    let found = item(&client, &parcels(&root), &able, "p 1/a").await.unwrap().unwrap();
    assert_eq!(found.geometry, geo_types::Point::new(106.2, 11.2).into());
    for missing in ["gone", "other", "..", ""] {
        assert_eq!(item(&client, &parcels(&root), &able, missing).await.unwrap(), None, "{missing}");
    }
    let error = item(&client, &parcels(&root), &able, "page").await.unwrap_err();
    assert_eq!(error.code(), "malformed");
    assert!(log.lock().unwrap().iter().all(|asked| asked.path.contains("/items/")), "no page of features is asked for");
}

#[tokio::test]
async fn a_key_that_is_an_attribute_is_asked_for_as_one() {
    let (root, log) = serve(|_| {
        let row = r#"{"type":"Feature","id":7,"properties":{"ma":"L-41"},"geometry":{"type":"Point","coordinates":[106.2,11.2]}}"#;
        ok(collection(&[row.to_owned()]))
    })
    .await;
    let keyed = Wanted { id_field: Some("ma"), ..parcels(&root) };
    let queryables = Some([("ma".to_owned(), Some(FieldType::Text))].into());
    let able = Abilities { by_parameter: true, queryables, ..Abilities::default() };
    let found = item(&Client::default(), &keyed, &able, "L-41").await.unwrap().unwrap();
    assert_eq!(found.id, "L-41");
    assert_eq!(log.lock().unwrap()[0].query("ma").as_deref(), Some("L-41"));
    assert_eq!(
        item(&Client::default(), &keyed, &able, "L-42").await.unwrap(),
        None,
        "what else came is not taken for it"
    );
}
