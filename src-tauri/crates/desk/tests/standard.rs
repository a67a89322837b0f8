//! The shared data standard at the import: foreign column names, former codes, what is refused and what is said.

#![allow(clippy::unwrap_used)]

use desk::{Desk, ImportOptions, ImportSummary, LayerId, Options, QueryArgs};
use serde_json::{Value, json};
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

    fn import(&self, text: &str, layer: &str, options: &ImportOptions) -> Result<ImportSummary, desk::api::Failure> {
        let path = self.dir.path().join("delivered");
        std::fs::write(&path, text).unwrap();
        self.desk.import(&path, &LayerId::new(layer).unwrap(), options, &mut |_, _| true)
    }

    fn features(&self, layer: &str) -> Vec<Value> {
        let question = serde_json::from_value::<QueryArgs>(json!({"layer": layer})).unwrap();
        self.desk.query(&question).unwrap().features
    }
}

fn pairs(summary: &ImportSummary) -> Vec<(&str, &str)> {
    summary.mapping.iter().map(|(field, column)| (field.as_str(), column.as_str())).collect()
}

#[test]
fn a_vietnamese_table_finds_its_fields_by_itself() {
    let home = Home::new();
    let csv = "Mã trạm;Tên trạm;Kinh độ;Vĩ độ;Loại;Xã, phường;Ghi chú\n\
               KK-01;Trạm khí Gò Dầu;106,2671;11,0842;Tự động;Phường Gò Dầu;mới\n\
               KK-02;Trạm khí Mộc Bài;106,1757;11,0747;Định kỳ;25456;\n";
    let summary = home.import(csv, "air_stations", &ImportOptions::default()).unwrap();
    assert_eq!((summary.accepted, summary.rejected), (2, 0));
    assert_eq!(pairs(&summary), [("commune", "Xã, phường"), ("id", "Mã trạm"), ("name", "Tên trạm"), ("type", "Loại")]);
    let stations = home.features("air_stations");
    assert_eq!((&stations[0]["id"], &stations[1]["id"]), (&json!("KK-01"), &json!("KK-02")));
    let first = &stations[0]["properties"];
    assert_eq!((&first["name"], &first["type"]), (&json!("Trạm khí Gò Dầu"), &json!("automatic")));
    assert_eq!((&first["type_original"], &first["Ghi chú"]), (&json!("Tự động"), &json!("mới")));
    assert_eq!(first["commune_original"], json!("Phường Gò Dầu"));
    let second = &stations[1]["properties"];
    assert_eq!((&second["commune"], &second["commune_original"]), (&json!("25459"), &json!("25456")));
    assert_eq!(summary.warnings.len(), 3, "{:?}", summary.warnings);
    assert!(summary.warnings.iter().any(|said| said.contains("25456") && said.contains("dòng 3")));
}

#[test]
fn a_column_that_may_be_either_is_asked_for() {
    let home = Home::new();
    let csv = "Tên trường,Cấp học,Mã xã,Tên xã,lon,lat\nA,THPT,25459,Phường Tân Ninh,106.1,11.3\n";
    let summary = home.import(csv, "schools", &ImportOptions::default()).unwrap();
    assert_eq!(pairs(&summary), [("level", "Cấp học"), ("name", "Tên trường")]);
    assert!(summary.warnings.iter().any(|said| said.contains("Mã xã, Tên xã") && said.contains("--map commune=")));
    assert!(home.features("schools")[0]["properties"].get("commune").is_none());
    let told = ImportOptions { map: vec![("commune".into(), "Mã xã".into())], ..ImportOptions::default() };
    home.import(csv, "schools", &told).unwrap();
    assert_eq!(home.features("schools")[0]["properties"]["commune"], "25459");
}

#[test]
fn rows_that_are_not_what_they_are_said_to_be_are_refused_with_the_reason() {
    let home = Home::new();
    let collection = |features: &[(&str, Value, &str)]| {
        let features: Vec<Value> = features
            .iter()
            .map(|(id, properties, geometry)| {
                let geometry: Value = match *geometry {
                    "point" => json!({"type": "Point", "coordinates": [106.1, 11.3]}),
                    _ => json!({"type": "LineString", "coordinates": [[106.1, 11.3], [106.2, 11.3]]}),
                };
                json!({"type": "Feature", "id": id, "properties": properties, "geometry": geometry})
            })
            .collect();
        json!({"type": "FeatureCollection", "features": features}).to_string()
    };
    let text = collection(&[
        ("a", json!({"name": "A", "beds": "12", "level": "benh_vien"}), "point"),
        ("b", json!({"beds": 3}), "point"),
        ("c", json!({"name": "C", "beds": "nhiều"}), "point"),
        ("d", json!({"name": "D"}), "line"),
        ("e", json!({"name": "E", "level": "phong_kham", "beds": -1}), "point"),
    ]);
    let summary = home.import(&text, "clinics", &ImportOptions::default()).unwrap();
    assert_eq!((summary.accepted, summary.rejected), (2, 3));
    let rejected = std::fs::read_to_string(summary.rejected_file.unwrap()).unwrap();
    let rows: Vec<Vec<&str>> = rejected.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let told: Vec<_> = rows.iter().map(|row| (row[0], row[1], row[3])).collect();
    assert_eq!(
        told,
        [
            ("2", "\"name\"", "\"field_missing\""),
            ("3", "\"beds\"", "\"field_type\""),
            ("4", "\"geometry\"", "\"geometry_kind\"")
        ]
    );
    let clinics = home.features("clinics");
    assert_eq!(clinics[0]["properties"]["beds"], 12, "a number written as text is a number");
    assert_eq!(
        (&clinics[1]["properties"]["level"], &clinics[1]["properties"]["beds"]),
        (&json!("phong_kham"), &json!(-1))
    );
    assert_eq!(summary.warnings.len(), 2, "{:?}", summary.warnings);

    let abort = ImportOptions { abort: true, ..ImportOptions::default() };
    let failure = home.import(&text, "clinics", &abort).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.at["row"].as_str()), ("field_missing", "2"));
    assert_eq!(home.features("clinics").len(), 2, "and the layer is as before");
}

#[test]
fn own_ids_and_layers_without_a_standard_are_left_alone() {
    let home = Home::new();
    let text = json!({"type": "FeatureCollection", "features": [{"type": "Feature", "id": "own",
        "properties": {"Mã trạm": "KK-01", "Tên trạm": "A"}, "geometry": {"type": "Point", "coordinates": [106.1, 11.3]}}]})
    .to_string();
    home.import(&text, "air_stations", &ImportOptions::default()).unwrap();
    let station = &home.features("air_stations")[0];
    assert_eq!((&station["id"], &station["properties"]["Mã trạm"]), (&json!("own"), &json!("KK-01")));
    assert_eq!(station["properties"]["name"], "A");
    let summary = home.import(&text, "things", &ImportOptions::default()).unwrap();
    assert!(summary.mapping.is_empty() && summary.warnings.is_empty());
    assert_eq!(home.features("things")[0]["properties"]["Tên trạm"], "A");
}
