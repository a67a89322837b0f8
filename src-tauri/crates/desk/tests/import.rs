//! What an import does to a layer that holds something already.

#![allow(clippy::unwrap_used)]

use desk::{Desk, ImportMode, ImportOptions, LayerId, Options, QueryArgs};
use std::path::PathBuf;
use std::sync::Arc;

struct Home {
    dir: tempfile::TempDir,
    desk: Arc<Desk>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (desk, _) = Desk::open(Options::at(dir.path().join("home"))).unwrap();
        Self { dir, desk }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn import(&self, file: &str, text: &str, layer: &str, mode: ImportMode) -> Result<u64, desk::api::Failure> {
        let options = ImportOptions { mode, ..ImportOptions::default() };
        let layer = LayerId::new(layer).unwrap();
        self.desk.import(&self.file(file, text), &layer, &options, &mut |_, _| true).map(|summary| summary.accepted)
    }

    fn info(&self, layer: &str) -> desk::api::LayerInfo {
        self.desk.layer_infos().into_iter().find(|info| info.id.as_str() == layer).unwrap()
    }

    fn ids(&self, layer: &str) -> Vec<(String, String)> {
        let answer = self
            .desk
            .query(&serde_json::from_value::<QueryArgs>(serde_json::json!({"layer": layer})).unwrap())
            .unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        answer.features.iter().map(|f| (text(&f["id"]), text(&f["properties"]["name"]))).collect()
    }
}

const TWO: &str = "id,code,name,lon,lat\nx1,1,A,106.1,11.3\nx2,2,B,106.2,11.4\n";

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect()
}

#[test]
fn upsert_by_an_attribute_replaces_the_feature_that_has_it() {
    let home = Home::new();
    home.import("a.csv", TWO, "things", ImportMode::Replace).unwrap();
    let key = || ImportMode::Upsert { key: "code".into() };
    home.import("b.csv", "code,name,lon,lat\n1,A2,106.1,11.3\n3,C,106.3,11.3\n", "things", key()).unwrap();
    assert_eq!(home.ids("things"), pairs(&[("x1", "A2"), ("x2", "B"), ("3", "C")]));
    home.import("c.csv", "id,code,name,lon,lat\nx9,2,B9,106.2,11.4\n", "things", ImportMode::Append).unwrap();
    let refused = home.import("d.csv", "code,name,lon,lat\n2,X,106.1,11.3\n", "things", key()).unwrap_err();
    assert_eq!(refused.code, "key_not_unique");
}

#[test]
fn sample_stays_sample_beside_what_is_added() {
    let home = Home::new();
    let before = home.info("schools").features;
    home.import("one.csv", "id,name,lon,lat\nreal-1,THPT Tây Ninh,106.1,11.3\n", "schools", ImportMode::Append)
        .unwrap();
    let info = home.info("schools");
    assert_eq!((info.features, info.sample), (before + 1, true));
    // The diagram itself, taken out and put back, does not turn into boundaries.
    let diagram = home.desk.home().profile_dir().join("data/communes.geojson");
    let communes = LayerId::new("communes").unwrap();
    home.desk.import(&diagram, &communes, &ImportOptions::default(), &mut |_, _| true).unwrap();
    assert!(home.info("communes").sample);
}

#[test]
fn an_import_is_one_whatever_its_file_is_called() {
    let home = Home::new();
    let text = r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"c1","properties":{"name":"A"},
        "geometry":{"type":"Point","coordinates":[106.1,11.3]}}]}"#;
    home.import("features", text, "clinics", ImportMode::Replace).unwrap();
    let info = home.info("clinics");
    assert_eq!((info.source.as_str(), info.practice, info.sample), ("features", false, false));
    assert!(home.desk.restore(&LayerId::new("clinics").unwrap()).is_ok());
    let info = home.info("clinics");
    assert_eq!((info.source.as_str(), info.features, info.sample), ("profile", 214, true));
}

#[test]
fn restoring_a_layer_no_profile_names_removes_it() {
    let home = Home::new();
    home.import("a.csv", TWO, "things", ImportMode::Replace).unwrap();
    let things = LayerId::new("things").unwrap();
    home.desk.restore(&things).unwrap();
    assert!(home.desk.layer_infos().iter().all(|info| info.id != things));
    assert_eq!(home.desk.restore(&things).unwrap_err().code, "no_layer");
}

#[test]
fn a_query_joins_place_nearness_filter_and_live_state() {
    let home = Home::new();
    let csv = "id,name,kind,lon,lat\na,A,x,106.10,11.30\nb,B,y,106.11,11.30\nc,C,x,106.12,11.30\nd,D,x,106.50,11.30\n";
    home.import("things.csv", csv, "things", ImportMode::Replace).unwrap();
    let ask = |question: serde_json::Value| {
        let answer = home.desk.query(&serde_json::from_value(question).unwrap()).unwrap();
        let ids = answer.features.iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (ids.join(""), answer.number_matched)
    };
    let near = [106.1, 11.3];
    assert_eq!(
        ask(serde_json::json!({"layer": "things", "near": near, "nearest": 2, "filter": "kind = 'x'"})),
        ("ac".into(), 2)
    );
    assert_eq!(ask(serde_json::json!({"layer": "things", "near": near, "within_m": 3000.0})), ("abc".into(), 3));
    assert_eq!(ask(serde_json::json!({"layer": "things", "bbox": [106.105, 11.0, 106.2, 12.0]})).1, 2);
    assert_eq!(
        ask(serde_json::json!({"layer": "things", "near": near, "bbox": [106.115, 11.0, 107.0, 12.0], "nearest": 1})).0,
        "c"
    );
    assert_eq!(ask(serde_json::json!({"layer": "things", "at": [106.11, 11.3]})).0, "b");
    // Of a live layer the filter sees what stands on the map: nothing has come yet.
    let stations = ask(serde_json::json!({"layer": "air_stations"})).1;
    assert!(stations > 0);
    assert_eq!(
        ask(serde_json::json!({"layer": "air_stations", "filter": "freshness = 'never' AND value IS NULL"})).1,
        stations
    );
    assert_eq!(ask(serde_json::json!({"layer": "air_stations", "filter": "level >= 1"})).1, 0);
}
