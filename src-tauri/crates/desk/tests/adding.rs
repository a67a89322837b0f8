//! Systems added at the desk, and files on trial, as a window meets them: recognised, tried, added, asked, removed.

#![allow(clippy::unwrap_used)]

use desk::{Desk, Kind, Options, Role, call};
use practice::Practice;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn act(desk: &Arc<Desk>, name: &str, args: Value) -> Result<Value, desk::api::Failure> {
    let args: Box<RawValue> = to_raw_value(&args).unwrap();
    call(desk, Kind::Act, name, &args).await.map(|answer| serde_json::from_str(answer.get()).unwrap())
}

async fn ask(desk: &Arc<Desk>, name: &str) -> Value {
    let args: Box<RawValue> = to_raw_value(&json!({})).unwrap();
    serde_json::from_str(call(desk, Kind::Ask, name, &args).await.unwrap().get()).unwrap()
}

fn open(home: &Path) -> Arc<Desk> {
    let options = Options { role: Some(Role::Administrator), ..Options::at(home) };
    let (desk, notices) = Desk::open(options).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    desk
}

async fn centre(home: &Path) -> Practice {
    Desk::make_home(&Options::at(home)).unwrap();
    Practice::start(&home.join("profile"), practice::Options::default()).await.unwrap()
}

async fn layer(desk: &Arc<Desk>, id: &str) -> Value {
    ask(desk, "layers").await.as_array().unwrap().iter().find(|layer| layer["id"] == id).cloned().unwrap_or_default()
}

async fn filled(desk: &Arc<Desk>, id: &str, source: &str) -> Value {
    let begun = Instant::now();
    loop {
        let layer = layer(desk, id).await;
        if layer["source"] == source {
            return layer;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{id} is still from {:?}", layer["source"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pasted_address_becomes_a_source_that_lasts_and_can_be_removed() {
    let (home, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let centre = centre(there.path()).await;
    let desk = open(home.path());
    let pasted = format!("  {}/ogc/collections/schools/items?f=json ", centre.base_url());
    let found = act(&desk, "recognise", json!({"url": pasted})).await.unwrap();
    assert_eq!((&found["protocol"], &found["chosen"]), (&json!("ogc-api-features"), &json!("schools")));
    assert_eq!((&found["url"], &found["practice"]), (&json!(format!("{}/ogc", centre.base_url())), &json!(true)));
    let offers = found["offers"].as_array().unwrap();
    let clinics = offers.iter().find(|offer| offer["collection"] == "clinics").unwrap();
    assert_eq!(clinics["layer"], "clinics");

    let source = json!({
        "protocol": found["protocol"], "url": found["url"], "title": "Sở Y tế", "every": "10m", "practice": true
    });
    let clinics = json!({"collection": "clinics", "target": {"to": "layer", "layer": "clinics"}, "map": {}});
    let mine = json!({
        "collection": "schools", "target": {"to": "new", "title": "Trường của huyện", "kind": "school", "group": "social"},
        "map": {}
    });
    let trial = act(&desk, "try_source", json!({"source": source, "layer": mine})).await.unwrap();
    assert!(trial["accepted"].as_u64().unwrap() > 100 && trial["rejected"] == 0, "{trial}");
    assert_eq!(trial["features"].as_array().unwrap().len() as u64, trial["accepted"].as_u64().unwrap());
    let named = trial["columns"].as_array().unwrap().iter().find(|column| column["name"] == "name").unwrap().clone();
    assert!(named["field"] == "name" && named["filled"] == trial["accepted"] && named["sample"].is_string(), "{named}");
    assert_eq!(layer(&desk, "truong_cua_huyen").await, Value::Null, "a trial writes nothing");

    let syncing = desk.start_syncing();
    let added = act(&desk, "add_source", json!({"source": source, "layers": [clinics, mine]})).await.unwrap();
    assert_eq!(added, json!({"id": "so_y_te", "layers": ["clinics", "truong_cua_huyen"]}));
    let schools = filled(&desk, "truong_cua_huyen", "so_y_te").await;
    assert_eq!((&schools["kind"], &schools["practice"]), (&json!("school"), &json!(true)));
    assert_eq!(schools["features"], trial["accepted"]);
    filled(&desk, "clinics", "so_y_te").await;
    let health = ask(&desk, "sources").await["sources"].clone();
    let health = health.as_array().unwrap().iter().find(|health| health["id"] == "so_y_te").unwrap();
    assert_eq!((&health["added"], &health["link"]), (&json!(true), &json!("up")));
    let tested = act(&desk, "test_source", json!({"source": "so_y_te"})).await.unwrap();
    assert!(tested["error"].is_null() && tested["offers"].as_u64().unwrap() > 10, "{tested}");
    syncing.stop();
    drop(desk);

    // The file is the profile's words, and lasts.
    let text = std::fs::read_to_string(home.path().join("sources.toml")).unwrap();
    assert!(text.contains("so_y_te") && text.contains("[[layers]]"), "{text}");
    let desk = open(home.path());
    assert_eq!(layer(&desk, "truong_cua_huyen").await["title"]["vi"], "Trường của huyện");
    act(&desk, "remove_source", json!({"source": "so_y_te"})).await.unwrap();
    assert!(ask(&desk, "sources").await["sources"].as_array().unwrap().iter().all(|s| s["id"] != "so_y_te"));
    let kept = layer(&desk, "truong_cua_huyen").await;
    assert_eq!((&kept["kind"], &kept["features"]), (&json!("school"), &schools["features"]), "its content stays");
    assert_eq!(desk.profile().layer("clinics").unwrap().feature_source.as_deref(), Some("features"));
    let refused = act(&desk, "remove_source", json!({"source": "features"})).await.unwrap_err();
    assert_eq!(refused.code, "not_added");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_protocol_of_the_practice_centre_is_recognised_and_nonsense_is_not() {
    let (home, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let centre = centre(there.path()).await;
    let desk = open(home.path());
    let base = centre.base_url();
    for (path, protocol) in [
        ("/ogc", "ogc-api-features"),
        ("/ogc/collections", "ogc-api-features"),
        ("/ogc/collections/schools", "ogc-api-features"),
        ("/sensorthings/v1.1", "sensorthings"),
        ("/sensorthings/v1.1/Things", "sensorthings"),
    ] {
        let found = act(&desk, "recognise", json!({"url": format!("{base}{path}")})).await.unwrap();
        assert_eq!(found["protocol"], protocol, "{path}");
        assert!(!found["offers"].as_array().unwrap().is_empty(), "{path}");
    }
    let folder = act(&desk, "recognise", json!({"url": home.path()})).await.unwrap();
    assert_eq!((&folder["protocol"], folder["offers"].as_array().unwrap().len()), (&json!("station-folder"), 1));
    let source = json!({
        "protocol": "sensorthings", "url": format!("{base}/sensorthings/v1.1"), "title": "S", "every": "30s", "practice": true
    });
    let air = json!({"collection": "air_stations", "target": {"to": "layer", "layer": "air_stations"}, "map": {}});
    let trial = act(&desk, "try_source", json!({"source": source, "layer": air})).await.unwrap();
    assert_eq!((&trial["format"], &trial["mappable"]), (&json!("sensorthings"), &json!(false)));
    let added = act(&desk, "add_source", json!({"source": source, "layers": [air]})).await.unwrap();
    assert_eq!(added["layers"], json!(["air_stations"]));
    for (url, code) in [
        (format!("{base}/cameras"), "status"),
        (format!("{base}/practice"), "status"),
        ("http://127.0.0.1:1/ogc".into(), "refused"),
        ("gopher://x".into(), "bad_address"),
        ("http://me:secret@127.0.0.1/".into(), "bad_address"),
        (String::new(), "bad_address"),
    ] {
        let error = act(&desk, "recognise", json!({"url": url})).await.unwrap_err();
        assert!(error.code == code || error.code == "unrecognised", "{url}: {error:?}");
        assert!(!format!("{error:?}").contains("me:secret@"), "a password is not repeated");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_order_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let desk = open(home.path());
    let source = |every: &str, url: &str, title: &str| {
        json!({
            "protocol": "file", "url": url, "title": title, "every": every, "practice": false
        })
    };
    let to = |layer: &str| json!({"target": {"to": "layer", "layer": layer}, "map": {}});
    for (source, layers, code) in [
        (source("1s", "http://h/a.csv", "A"), vec![to("schools")], "period_too_short"),
        (source("1h", "no address", "A"), vec![to("schools")], "bad_address"),
        (source("1h", "http://u:p@h/a.csv", "A"), vec![to("schools")], "bad_address"),
        (source("1h", "http://h/a.csv", " "), vec![to("schools")], "title_missing"),
        (source("1h", "http://h/a.csv", "A"), vec![], "nothing_chosen"),
        (source("1h", "http://h/a.csv", "A"), vec![to("nowhere")], "no_layer"),
        (source("1h", "http://h/a.csv", "A"), vec![to("schools"), to("schools")], "layer_twice"),
    ] {
        let error = act(&desk, "add_source", json!({"source": source, "layers": layers})).await.unwrap_err();
        assert_eq!(error.code, code, "{error:?}");
    }
    let stations = json!({
        "protocol": "sensorthings", "url": "http://h/v1.1", "title": "A", "every": "30s", "practice": false
    });
    let elsewhere = json!([{"collection": "air_stations", "target": {"to": "layer", "layer": "schools"}, "map": {}}]);
    let error = act(&desk, "add_source", json!({"source": stations, "layers": elsewhere})).await.unwrap_err();
    assert_eq!(error.code, "no_parameters");
    assert!(!home.path().join("sources.toml").exists());
    // A file broken by hand keeps the province's own layers bright, and is left as it is.
    drop(desk);
    std::fs::write(home.path().join("sources.toml"), "[[sources]]\nid = 7\n").unwrap();
    let (desk, notices) = Desk::open(Options { role: Some(Role::Administrator), ..Options::at(home.path()) }).unwrap();
    assert_eq!((notices.len(), notices[0].code.as_str()), (1, "bad_profile"));
    assert_eq!(desk.layer_infos().len(), 18);
    let order = json!({"source": source("1h", "http://127.0.0.1:1/a.csv", "A"), "layers": [to("schools")]});
    assert_eq!(act(&desk, "add_source", order).await.unwrap_err().code, "bad_profile");
    assert_eq!(std::fs::read_to_string(home.path().join("sources.toml")).unwrap(), "[[sources]]\nid = 7\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_that_adds_is_followed() {
    let (home, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let centre = centre(there.path()).await;
    let window = open(home.path());
    let _syncing = window.start_syncing();
    let command = open(home.path());
    let source = json!({
        "protocol": "ogc-api-features", "url": format!("{}/ogc", centre.base_url()), "title": "B", "every": "10m",
        "practice": true
    });
    let source = serde_json::from_value(source).unwrap();
    let layers = json!([{"collection": "clinics", "target": {"to": "layer", "layer": "clinics"}, "map": {}}]);
    let layers: Vec<desk::api::NewLayer> = serde_json::from_value(layers).unwrap();
    assert_eq!(command.add(&source, &layers).unwrap().id, "b");
    filled(&window, "clinics", "b").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_on_trial_before_it_is_taken_in() {
    let home = tempfile::tempdir().unwrap();
    let desk = open(home.path());
    let file = home.path().join("CSYT tháng 11.csv");
    let text = "Mã cơ sở;Tên cơ sở;Kinh độ;Vĩ độ;Số giường;Ghi chú\n\
                a;Trạm y tế Tân Lập;106,10;11,40;20;\n\
                b;Trạm y tế Phước Vinh;106,05;11,45;không rõ;mới\n\
                c;Phòng khám xa;108,20;16,05;10;\n\
                d;;106,12;11,41;5;\n";
    std::fs::write(&file, text).unwrap();
    let args = |map: Value| {
        json!({
            "path": file, "target": {"to": "layer", "layer": "clinics"}, "mode": "replace", "map": map, "edits": []
        })
    };
    let trial = act(&desk, "try_file", args(json!({}))).await.unwrap();
    assert_eq!((&trial["format"], &trial["crs"]), (&json!("csv"), &json!(4326)));
    assert_eq!((&trial["rows"], &trial["outside"]), (&json!(4), &json!(1)), "{trial}");
    let field = |trial: &Value, column: &str| {
        trial["columns"].as_array().unwrap().iter().find(|c| c["name"] == column).unwrap()["field"].clone()
    };
    assert_eq!(field(&trial, "Tên cơ sở"), "name");
    assert_eq!(field(&trial, "Số giường"), "beds");
    assert_eq!(field(&trial, "Ghi chú"), Value::Null);
    let refused: Vec<(u64, String)> = trial["rejections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["rejection"]["row"].as_u64().unwrap(), r["sentence"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].0 == 3 && refused[0].1.contains("không rõ"), "{refused:?}");
    assert!(refused[1].0 == 5 && refused[1].1.contains("name"), "{refused:?}");
    let before = layer(&desk, "clinics").await["features"].clone();
    let cells = &trial["rejections"][0]["cells"];
    assert_eq!((&cells["Số giường"], &cells["Kinh độ"]), (&json!("không rõ"), &json!("106,05")));
    assert_eq!((field(&trial, "Kinh độ"), field(&trial, "Vĩ độ")), (json!("lon"), json!("lat")));
    // Mended in place, both rows go through.
    let mut mended = args(json!({}));
    mended["edits"] = json!([
        {"row": 3, "swap": false, "cells": {"Số giường": "12"}},
        {"row": 5, "swap": false, "cells": {"Tên cơ sở": "Trạm y tế Tân Hà", "Kinh độ": "106,13"}}
    ]);
    let again = act(&desk, "try_file", mended).await.unwrap();
    assert_eq!((&again["accepted"], &again["rejected"]), (&json!(4), &json!(0)), "{again}");
    assert!(again["features"].as_array().unwrap().iter().any(|f| f["point"] == json!([106.13, 11.41])));
    // Without the beds nothing is wrong with row 3.
    let trial = act(&desk, "try_file", args(json!({"beds": ""}))).await.unwrap();
    assert_eq!((&trial["accepted"], &trial["rejected"]), (&json!(3), &json!(1)));
    assert_eq!(layer(&desk, "clinics").await["features"], before, "a trial writes nothing");
    let done = act(&desk, "import_file", args(json!({"beds": ""}))).await.unwrap();
    assert_eq!((&done["accepted"], &done["rejected"]), (&json!(3), &json!(1)));
    assert_eq!(layer(&desk, "clinics").await["features"], 3);

    let new = json!({
        "path": file, "target": {"to": "new", "title": "Cơ sở tháng 11", "kind": "clinic", "group": "social"},
        "mode": "replace", "map": {"beds": ""}, "edits": []
    });
    let done = act(&desk, "import_file", new).await.unwrap();
    assert_eq!(done["layer"], "co_so_thang_11");
    let made = layer(&desk, "co_so_thang_11").await;
    assert_eq!((&made["kind"], &made["group"], &made["features"]), (&json!("clinic"), &json!("social"), &json!(3)));
    assert_eq!(made["title"]["vi"], "Cơ sở tháng 11");
    desk.restore(&desk::LayerId::new("co_so_thang_11").unwrap()).unwrap();
    assert_eq!(layer(&desk, "co_so_thang_11").await, Value::Null, "what was imported is gone with its layer");
    let missing = json!({"path": "/no/such", "target": {"to": "layer", "layer": "clinics"}, "mode": "replace", "map": {}, "edits": []});
    assert_eq!(act(&desk, "try_file", missing).await.unwrap_err().code, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapped_rows_and_the_wrong_meridian_are_seen_and_mended() {
    let home = tempfile::tempdir().unwrap();
    let desk = open(home.path());
    let file = home.path().join("VN2000.csv");
    // Near Tây Ninh in EPSG:9209 (105°30′): east some 565 km, north some 1,250 km.
    let mut text = String::from("Mã;Tên;X;Y\n");
    for n in 0..20 {
        let (east, north) = (565_000 + n * 500, 1_250_000 + n * 700);
        let (x, y) = if n < 2 { (north, east) } else { (east, north) };
        text.push_str(&format!("k{n};Cơ sở {n};{x};{y}\n"));
    }
    std::fs::write(&file, text).unwrap();
    let args = |crs: Value, edits: Value| {
        let mut args = json!({
            "path": file, "target": {"to": "layer", "layer": "clinics"}, "mode": "replace", "map": {}, "edits": edits
        });
        if !crs.is_null() {
            args["crs"] = crs;
        }
        args
    };
    let unknown = act(&desk, "try_file", args(Value::Null, json!([]))).await.unwrap_err();
    assert_eq!(unknown.code, "crs_unknown", "{unknown:?}");
    assert!(unknown.at["propose"].contains("9209"), "{unknown:?}");
    let trial = act(&desk, "try_file", args(json!(9209), json!([]))).await.unwrap();
    assert_eq!(
        (&trial["accepted"], &trial["rejected"], &trial["crs"]),
        (&json!(18), &json!(2), &json!(9209)),
        "{trial}"
    );
    assert!(trial["rejections"].as_array().unwrap().iter().all(|r| r["swappable"] == true));
    let edits = json!([{"row": 2, "swap": true, "cells": {}}, {"row": 3, "swap": true, "cells": {}}]);
    let trial = act(&desk, "try_file", args(json!(9209), edits.clone())).await.unwrap();
    assert_eq!((&trial["accepted"], &trial["outside"]), (&json!(20), &json!(0)), "{trial}");
    let done = act(&desk, "import_file", args(json!(9209), edits)).await.unwrap();
    assert_eq!((&done["accepted"], &done["crs"]), (&json!(20), &json!("EPSG:9209")));
}
