//! Layers that stay in the data centre answer as if they lay here, with what their service can be asked; without it they say
//! what they said before, and when.

#![allow(clippy::unwrap_used)]

#[path = "../../sources/tests/common/server.rs"]
#[allow(dead_code)]
mod server;

use desk::api::Failure;
use desk::{Audience, Desk, ExportOptions, ImportOptions, Kind, LayerId, Options, QueryArgs, Role, call};
use model::Freshness;
use practice::Practice;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use server::{Asked, answer, ok, serve};
use std::path::Path;
use std::sync::Arc;

fn layer(id: &str) -> LayerId {
    LayerId::new(id).unwrap()
}

/// A layer that stays where it is, as it is declared.
fn declared(id: &str, kind: &str, lines: &str, remote: &str) -> String {
    format!(
        r#"
[[layers]]
id = "{id}"
kind = "{kind}"
group = "social"
title = {{ vi = "Xa", en = "Far" }}
geometry = "point"
freshness = "3650d"
as_of = "2026-11-01"
provider = {{ vi = "a", en = "b" }}
licence = "x"
name_field = "name"
search = true
{lines}
[layers.remote]
tiles = "http://127.0.0.1:9/tiles"
{remote}
"#
    )
}

fn make(home: &Path, additions: &str) {
    Desk::make_home(&Options::at(home)).unwrap();
    std::fs::write(home.join("sources.toml"), additions).unwrap();
}

fn open(home: &Path, practice_url: Option<String>) -> Arc<Desk> {
    let (desk, notices) =
        Desk::open(Options { role: Some(Role::Administrator), practice_url, ..Options::at(home) }).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    desk
}

async fn call_ask(desk: &Arc<Desk>, name: &str, args: Value) -> Result<Value, Failure> {
    let args = to_raw_value(&args).unwrap();
    call(desk, Kind::Ask, name, &args).await.map(|answer| serde_json::from_str(answer.get()).unwrap())
}

async fn query(desk: &Desk, question: Value) -> Result<Value, Failure> {
    let args: QueryArgs = serde_json::from_value(question).unwrap();
    desk.ask_layer(&args).await.map(|answer| json!(answer))
}

fn ids(answer: &Value) -> Vec<String> {
    let features = answer["features"].as_array().unwrap();
    let mut ids: Vec<String> = features.iter().map(|feature| feature["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn centre(home: &Path, port: u16) -> Practice {
    let options = practice::Options { listen: ([127, 0, 0, 1], port).into(), ..Default::default() };
    Practice::start(&home.join("profile"), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_the_same_layer_held_here_and_last_when_the_network_goes() {
    let home = tempfile::tempdir().unwrap();
    make(
        home.path(),
        &declared("far_schools", "school", "feature_source = \"features\"\ncollection = \"schools\"", ""),
    );
    let running = centre(home.path(), 0).await;
    let url = running.base_url();
    let desk = open(home.path(), Some(url.clone()));
    let info = |desk: &Desk| desk.layer_infos().into_iter().find(|info| info.id.as_str() == "far_schools").unwrap();
    let before = info(&desk);
    assert!(before.remote.is_some() && before.tiled && before.features == 0 && before.freshness == Freshness::Never);
    desk.sync_once(Some("features")).await.unwrap();
    let held = desk.layer_infos().into_iter().find(|info| info.id.as_str() == "schools").unwrap();
    let after = info(&desk);
    assert_eq!((after.features, after.freshness, after.practice), (held.features, Freshness::Fresh, true));
    assert!(after.features > 500 && after.bbox.is_some() && after.remote.unwrap().answered_at.is_some());

    let questions = [
        json!({"bbox": [106.0, 11.0, 106.3, 11.4]}),
        json!({"bbox": [106.0, 11.0, 106.5, 11.6], "filter": "level = 'thpt' AND name LIKE '%T%'"}),
        json!({"filter": "level = 'thcs'", "limit": 10_000}),
        json!({"near": [106.1, 11.3], "nearest": 7}),
        json!({"near": [106.1, 11.3], "within_m": 4_000.0, "filter": "level = 'mam_non'"}),
    ];
    let both = |question: &Value| {
        ["schools", "far_schools"].map(|id| {
            let mut question = question.clone();
            question["layer"] = json!(id);
            question
        })
    };
    for question in &questions {
        let [here, far] = both(question);
        let (here, far) = (query(&desk, here).await.unwrap(), query(&desk, far).await.unwrap());
        assert_eq!(ids(&here), ids(&far), "{question}");
        assert!(far["timeStamp"].is_string() && far.get("offline").is_none() && here.get("timeStamp").is_none());
    }
    let first = query(&desk, both(&questions[3])[1].clone()).await.unwrap()["features"][0].clone();
    assert!(first["properties"]["distance_m"].is_f64(), "{first}");
    let id = first["id"].as_str().unwrap().to_owned();
    let place = first["geometry"]["coordinates"].clone();
    let at = json!({"lon": place[0], "lat": place[1], "layers": ["schools", "far_schools"], "tolerance_m": 5.0});
    let at = call_ask(&desk, "at", at).await.unwrap();
    let mut layers: Vec<&str> = at.as_array().unwrap().iter().map(|hit| hit["layer"].as_str().unwrap()).collect();
    layers.sort_unstable();
    assert_eq!(layers, ["far_schools", "schools"]);
    let near = json!({"lon": place[0], "lat": place[1], "within_m": 300.0, "limit": 20});
    let near = call_ask(&desk, "near", near).await.unwrap();
    assert!(near.as_array().unwrap().iter().any(|hit| hit["layer"] == "far_schools" && hit["id"] == id), "{near}");
    let detail = call_ask(&desk, "feature", json!({"layer": "far_schools", "id": id})).await.unwrap();
    let own = call_ask(&desk, "feature", json!({"layer": "schools", "id": id})).await.unwrap();
    for part in ["name", "commune", "point", "vn2000"] {
        assert_eq!(detail[part], own[part], "{part}");
    }
    let level = |detail: &Value| {
        let all = detail["attributes"].as_array().unwrap();
        all.iter().find(|attribute| attribute["field"]["name"] == "level").unwrap()["value"].clone()
    };
    assert_eq!(level(&detail), level(&own));
    assert_eq!((&detail["freshness"], &detail["provenance"]["source"]), (&json!("fresh"), &json!("features")));
    let missing = call_ask(&desk, "feature", json!({"layer": "far_schools", "id": "none"})).await.unwrap_err();
    assert_eq!(missing.code, "no_feature");

    // Nothing of it is taken over, given out or replaced.
    let far = layer("far_schools");
    let export = desk.export(&far, &home.path().join("a.geojson"), &ExportOptions::default());
    assert_eq!(export.unwrap_err().code, "remote_layer");
    let file = home.path().join("profile/data/schools.geojson");
    let import = desk.import(&file, &far, &ImportOptions::default(), &mut |_, _| true);
    assert_eq!(import.unwrap_err().code, "remote_layer");
    assert_eq!(desk.restore(&far).unwrap_err().code, "remote_layer");
    assert!(desk.published_layer(Audience::Trusted, "far_schools").is_none());
    assert!(desk.check().unwrap().iter().any(|found| found.subject == "layer far_schools" && found.ok));

    let port = running.address().port();
    running.stop().await;
    for desk in [desk, open(home.path(), Some(url))] {
        assert_eq!(info(&desk).features, held.features, "what is known of it lasts");
        for question in &questions {
            let [here, far] = both(question);
            let far = query(&desk, far).await.unwrap();
            assert_eq!(ids(&query(&desk, here).await.unwrap()), ids(&far), "{question}");
            assert!(far["offline"] == true && far["timeStamp"].is_string());
        }
        let unasked = query(&desk, json!({"layer": "far_schools", "bbox": [106.01, 11.01, 106.2, 11.2]})).await;
        assert_eq!(unasked.unwrap_err().code, "remote_unanswered");
        let kept = call_ask(&desk, "feature", json!({"layer": "far_schools", "id": id})).await.unwrap();
        assert_eq!((&kept["name"], &kept["freshness"]), (&detail["name"], &json!("offline")));
        let fetched_at = |detail: &Value| detail["provenance"]["fetched_at"].as_str().unwrap().to_owned();
        assert!(fetched_at(&kept) >= fetched_at(&detail));
        desk.give_up_links();
        assert_eq!(info(&desk).freshness, Freshness::Offline);
        let again = centre(home.path(), port).await;
        let fresh = query(&desk, both(&questions[0])[1].clone()).await.unwrap();
        assert!(fresh.get("offline").is_none(), "{fresh}");
        assert_eq!(info(&desk).freshness, Freshness::Fresh);
        again.stop().await;
    }
}

const CLASSES: [&str; 4] =
    ["/conf/filter", "/conf/features-filter", "/conf/cql2-text", "/conf/advanced-comparison-operators"];

fn parcel(id: usize, lon: f64, sheet: usize) -> String {
    format!(
        r#"{{"type":"Feature","id":"p{id}","properties":{{"so_to":{sheet},"ten":"Thửa {id}"}},"geometry":{{"type":"Point","coordinates":[{lon},11.2]}}}}"#
    )
}

fn service(asked: &Asked, classes: &[&str], total: usize) -> Vec<u8> {
    let path = asked.path.split('?').next().unwrap_or_default();
    match path {
        "/conformance" => ok(json!({ "conformsTo": classes }).to_string()),
        "/collections/parcels" => ok("{}"),
        "/collections/parcels/queryables" => {
            ok(r#"{"properties":{"so_to":{"type":"integer"},"ten":{"type":"string"}}}"#)
        }
        "/collections/parcels/items" => {
            let from: usize = asked.query("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
            let limit: usize = asked.query("limit").and_then(|text| text.parse().ok()).unwrap_or(1_000).min(1_000);
            let to = (from + limit).min(total);
            // It filters by nothing, whatever it says.
            let rows: Vec<String> = (from..to).map(|i| parcel(i, 106.0 + i as f64 * 1e-5, i % 5)).collect();
            let next = format!(r#"{{"rel":"next","href":"?offset={to}&limit={limit}"}}"#);
            let next = if to < total { next } else { String::new() };
            ok(format!(
                r#"{{"type":"FeatureCollection","numberMatched":{total},"links":[{next}],"features":[{}]}}"#,
                rows.join(",")
            ))
        }
        _ => answer("404 Not Found", "", ""),
    }
}

fn of_service(root: &sources::Url, remote: &str) -> String {
    let source = format!(
        "[[sources]]\nid = \"land\"\nprotocol = \"ogc-api-features\"\ntitle = {{ vi = \"a\", en = \"b\" }}\nurl = \"{root}\"\nevery = \"1h\"\n"
    );
    let lines = "feature_source = \"land\"\nmap = { sheet = \"so_to\", name = \"ten\" }";
    source + &declared("parcels", "other", lines, remote)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_go_to_a_service_that_takes_them_in_its_own_names_and_are_held_against_what_comes() {
    let (root, log) = serve(|asked| service(asked, &CLASSES, 300)).await;
    let home = tempfile::tempdir().unwrap();
    make(home.path(), &of_service(&root, ""));
    let desk = open(home.path(), None);
    let found = query(&desk, json!({"layer": "parcels", "filter": "sheet = 3 AND name LIKE 'Thửa 1%'"})).await.unwrap();
    let expected: Vec<String> = {
        let mut all: Vec<String> =
            (0..300).filter(|i| i % 5 == 3 && i.to_string().starts_with('1')).map(|i| format!("p{i}")).collect();
        all.sort();
        all
    };
    assert_eq!(ids(&found), expected, "the service sent others too");
    assert_eq!(found["features"][0]["properties"]["sheet"], 3);
    let asked = |word: &str| log.lock().unwrap().iter().rev().find_map(|asked| asked.query(word));
    assert_eq!(asked("filter").as_deref(), Some("(\"so_to\" = 3) AND (\"ten\" LIKE 'Thửa 1%')"));
    assert_eq!(asked("filter-lang").as_deref(), Some("cql2-text"));
    let hits = call_ask(&desk, "search", json!({"text": "Thửa 12", "limit": 5})).await.unwrap();
    assert!(hits.as_array().unwrap().iter().any(|hit| hit["layer"] == "parcels" && hit["id"] == "p12"), "{hits}");
    assert!(asked("filter").unwrap().contains("LIKE '%Thửa%'"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_lacks_is_said_where_an_exact_answer_cannot_be_had() {
    let (root, _) = serve(|asked| service(asked, &[], 20_000)).await;
    let home = tempfile::tempdir().unwrap();
    make(home.path(), &of_service(&root, ""));
    let desk = open(home.path(), None);
    let refused = |question: Value| async { query(&desk, question).await.unwrap_err() };
    let no_filter = refused(json!({"layer": "parcels", "filter": "sheet = 3"})).await;
    assert_eq!((no_filter.code.as_str(), no_filter.at["count"].as_str()), ("remote_no_filter", "20000"));
    assert!(no_filter.message.contains("CQL2") && no_filter.at["fields"] == "sheet", "{no_filter:?}");
    assert_eq!(refused(json!({"layer": "parcels"})).await.code, "remote_too_many");
    let no_box = refused(json!({"layer": "parcels", "bbox": [106.0, 11.0, 106.005, 11.5]})).await;
    assert_eq!(no_box.code, "remote_no_bbox", "{no_box:?}");
    let first = query(&desk, json!({"layer": "parcels", "limit": 5})).await.unwrap();
    assert_eq!((ids(&first).len(), &first["numberMatched"]), (5, &json!(20_000)));
}
