//! Stations of a SensorThings service on trial and added: those that name their layer, and those that know nothing of it.

#![allow(clippy::unwrap_used)]

use desk::api::Failure;
use desk::{Desk, Kind, Options, Role, call};
use practice::Practice;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

async fn act(desk: &Arc<Desk>, name: &str, args: Value) -> Result<Value, Failure> {
    let answer = call(desk, Kind::Act, name, &to_raw_value(&args).unwrap()).await?;
    Ok(serde_json::from_str(answer.get()).unwrap())
}

fn open(home: &Path) -> Arc<Desk> {
    Desk::open(Options { role: Some(Role::Administrator), ..Options::at(home) }).unwrap().0
}

async fn centre(folder: &Path, unlabelled: bool) -> Practice {
    Desk::make_home(&Options::at(folder)).unwrap();
    let options = practice::Options { unlabelled, ..practice::Options::default() };
    Practice::start(&desk::Home::new(folder).profile_dir(), options).await.unwrap()
}

fn source(centre: &Practice, title: &str) -> Value {
    json!({
        "protocol": "sensorthings", "url": format!("{}/sensorthings/v1.1", centre.base_url()), "title": title,
        "every": "30s", "practice": true
    })
}

fn column<'a>(trial: &'a Value, name: &str) -> &'a Value {
    let columns = trial["columns"].as_array().unwrap();
    columns.iter().find(|column| column["name"] == name).unwrap_or_else(|| panic!("no {name}: {trial}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_that_name_their_layer_say_what_lands_in_it_and_what_fits_none() {
    let (home, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let centre = centre(there.path(), false).await;
    let desk = open(home.path());
    let air = json!({"collection": "air_stations", "target": {"to": "layer", "layer": "air_stations"}, "map": {}});
    let trial = act(&desk, "try_source", json!({"source": source(&centre, "S"), "layer": air})).await.unwrap();
    assert_eq!((&trial["format"], &trial["mappable"]), (&json!("sensorthings"), &json!(false)));
    let accepted = trial["accepted"].as_u64().unwrap();
    assert!(accepted > 20 && trial["rows"] == accepted + trial["rejected"].as_u64().unwrap(), "{trial}");
    let pm25 = column(&trial, "pm25");
    assert!(pm25["field"] == "pm25" && pm25["measured"] == true, "{pm25}");
    assert!(pm25["sample"].as_str().unwrap().contains("µg/m³"), "{pm25}");
    let warnings = trial["warnings"].to_string();
    assert!(warnings.contains("Datastream") && warnings.contains("air_stations: "), "{warnings}");
    // A station that was never heard has measured nothing.
    for rejected in trial["rejections"].as_array().unwrap() {
        assert_eq!(rejected["rejection"]["code"], "nothing_measured", "{rejected}");
    }
    assert!(!trial["features"].as_array().unwrap().is_empty());

    // A home without that layer's stations says so, value by value.
    let empty = json!({
        "collection": "tram_khi", "target": {"to": "new", "title": "Tram khi", "kind": "air_station", "group": "environment"},
        "map": {}
    });
    let trial = act(&desk, "try_source", json!({"source": source(&centre, "S"), "layer": empty})).await.unwrap();
    assert_eq!(trial["accepted"], 0, "nobody says that it belongs there: {trial}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_that_know_nothing_of_layers_become_one() {
    let (home, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let centre = centre(there.path(), true).await;
    let desk = open(home.path());
    let url = format!("{}/sensorthings/v1.1", centre.base_url());
    let found = act(&desk, "recognise", json!({"url": url})).await.unwrap();
    let offers = found["offers"].as_array().unwrap();
    assert_eq!((offers.len(), &offers[0]["collection"], &offers[0]["title"]), (1, &Value::Null, &json!("Things")));

    let layer = |map: Value| {
        json!({
            "target": {"to": "new", "title": "Trạm khí của Sở", "kind": "air_station", "group": "environment"},
            "things": "description eq 'Trạm quan trắc không khí'", "map": map
        })
    };
    let source = source(&centre, "Sở NN&MT");
    let trial = act(&desk, "try_source", json!({"source": source, "layer": layer(json!({}))})).await.unwrap();
    let stations = trial["accepted"].as_u64().unwrap();
    assert!(stations >= 5 && trial["rejected"] == 0 && trial["mappable"] == true, "{trial}");
    let pm25 = column(&trial, "PM2.5");
    let known = (&pm25["field"], &pm25["suggested"], &pm25["measured"]);
    assert_eq!(known, (&json!("pm25"), &json!(true), &json!(true)));
    assert_eq!(column(&trial, "name")["field"], "name");
    assert!(trial["fields"].as_array().unwrap().iter().any(|field| field["name"] == "no2" && field["filled"] != 0));

    // By hand: what is called PM10 there is taken for fine dust, and its own name counts no more.
    let map = json!({"pm25": "PM10"});
    let trial = act(&desk, "try_source", json!({"source": source, "layer": layer(map.clone())})).await.unwrap();
    assert_eq!((&column(&trial, "PM10")["field"], &column(&trial, "PM2.5")["field"]), (&json!("pm25"), &Value::Null));

    let added = act(&desk, "add_source", json!({"source": source, "layers": [layer(json!({}))]})).await.unwrap();
    let id = added["layers"][0].as_str().unwrap().to_owned();
    let (_, values) = desk.sync_once(added["id"].as_str()).await.unwrap();
    assert!(values >= stations, "{values}");
    let info = desk.layer_infos().into_iter().find(|info| info.id.as_str() == id).unwrap();
    assert_eq!((info.features, info.source.as_str()), (stations, added["id"].as_str().unwrap()));
    let states = json!(desk.live_states());
    let of = states.as_array().unwrap().iter().find(|states| states["layer"] == id.as_str()).unwrap();
    assert!(of["states"].as_array().unwrap().iter().any(|state| state["freshness"] == "fresh"), "{of}");
    let text = std::fs::read_to_string(home.path().join("sources.toml")).unwrap();
    assert!(text.contains("sensorthings") && text.contains("description eq"), "{text}");

    // Schools measure nothing.
    let schools = json!({"target": {"to": "layer", "layer": "schools"}, "map": {}});
    let refused = act(&desk, "try_source", json!({"source": source, "layer": schools})).await.unwrap_err();
    assert_eq!(refused.code, "no_parameters");
}
