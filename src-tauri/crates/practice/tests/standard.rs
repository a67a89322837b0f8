//! What the practice data centre publishes keeps to the shared data standard.

mod support;

use model::{Checker, GeometryKind, Profile, Properties, Schema, Value};
use practice::Practice;
use std::collections::BTreeMap;
use std::path::PathBuf;
use support::{follow, get, options};

#[tokio::test]
async fn every_collection_keeps_to_the_standard_of_its_kind() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh");
    let profile = Profile::from_toml(&std::fs::read_to_string(folder.join("profile.toml")).unwrap()).unwrap();
    let practice = Practice::start(&folder, options()).await.unwrap();
    let at = practice.address();
    let collections = get(at, "/ogc/collections").await.json();
    let mut checked = 0;
    for collection in collections["collections"].as_array().unwrap() {
        let spec = profile.layer(collection["id"].as_str().unwrap()).unwrap();
        let Some(schema) = Schema::of(spec.kind) else { continue };
        let checker = Checker::new(schema, &spec.name_field);
        let mut link = format!("http://{at}/ogc/collections/{}/items?limit=1000", spec.id);
        let mut row = 0;
        loop {
            let page = follow(at, &link).await.json();
            for feature in page["features"].as_array().unwrap() {
                row += 1;
                let sent: BTreeMap<String, Value> = serde_json::from_value(feature["properties"].clone()).unwrap();
                let mut properties: Properties = sent.into_iter().collect();
                let before = properties.clone();
                let geometry = match feature["geometry"]["type"].as_str().unwrap() {
                    "Point" | "MultiPoint" => GeometryKind::Point,
                    "Polygon" | "MultiPolygon" => GeometryKind::Polygon,
                    _ => GeometryKind::Line,
                };
                let mut found = Vec::new();
                checker.check(row, Some(geometry), &mut properties, &mut found);
                assert!(found.is_empty(), "{}: {found:?}", spec.id);
                assert_eq!(properties, before, "{} row {row}", spec.id);
            }
            let links = page["links"].as_array().unwrap();
            match links.iter().find(|link| link["rel"] == "next") {
                Some(next) => next["href"].as_str().unwrap().clone_into(&mut link),
                None => break,
            }
        }
        assert!(row > 0, "{}", spec.id);
        checked += 1;
    }
    assert!(checked >= 10, "only {checked} collections have a standard");
    practice.stop().await;
}
