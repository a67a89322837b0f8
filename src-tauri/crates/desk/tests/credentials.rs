//! Systems that do not answer everybody: how they are tried, added, kept open and removed from the window, and that the
//! secret goes one way only.

#![allow(clippy::unwrap_used)]

use desk::api::Failure;
use desk::{Desk, Kind, Options, Role, call};
use practice::Practice;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// The practice data centre's own words.
const USER: &str = "toan-canh";
const PASSWORD: &str = "mat-khau-thuc-hanh";

async fn act(desk: &Arc<Desk>, name: &str, args: Value) -> Result<Value, Failure> {
    let answer = call(desk, Kind::Act, name, &to_raw_value(&args).unwrap()).await?;
    Ok(serde_json::from_str(answer.get()).unwrap())
}

fn open(home: &Path, role: Role) -> Arc<Desk> {
    Desk::open(Options { role: Some(role), ..Options::at(home) }).unwrap().0
}

async fn locked(folder: &Path) -> Practice {
    let options = Options::at(folder);
    Desk::make_home(&options).unwrap();
    let options = practice::Options { locked: true, ..practice::Options::default() };
    Practice::start(&desk::Home::new(folder).profile_dir(), options).await.unwrap()
}

fn without_trace(said: &str) {
    for word in [PASSWORD, "Kh0ng-dung", "dG9hbi1jYW5o"] {
        assert!(!said.contains(word), "{word} came out: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_typed_once_and_opens_the_source_from_then_on() {
    let (home, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let centre = locked(there.path()).await;
    let desk = open(home.path(), Role::Administrator);
    let mut told = desk.listen();
    let url = format!("{}/ogc/collections/clinics", centre.base_url());
    let mut said = String::new();

    let refused = act(&desk, "recognise", json!({"url": url})).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.at["status"].as_str()), ("status", "401"));

    let kept = act(&desk, "keep_secret", json!({"about": url, "value": PASSWORD, "in_file": true})).await.unwrap();
    assert_eq!(kept["place"], "file");
    let name = kept["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("secret_127_0_0_1_"), "{name}");
    let credentials = json!({"kind": "basic", "user": USER, "secret": name});
    let found = act(&desk, "recognise", json!({"url": url, "credentials": credentials})).await.unwrap();
    assert_eq!((&found["protocol"], &found["chosen"]), (&json!("ogc-api-features"), &json!("clinics")));

    let source = |credentials: &Value| {
        json!({
            "protocol": found["protocol"], "url": found["url"], "title": "Sở Y tế", "every": "10m", "practice": true,
            "credentials": credentials
        })
    };
    let layer = json!({"collection": "clinics", "target": {"to": "layer", "layer": "clinics"}, "map": {}});
    let trial = act(&desk, "try_source", json!({"source": source(&credentials), "layer": layer})).await.unwrap();
    assert!(trial["accepted"].as_u64().unwrap() > 10, "{trial}");
    let added = act(&desk, "add_source", json!({"source": source(&credentials), "layers": [layer]})).await.unwrap();
    let health = json!(desk.sources_info());
    let of = |health: &Value, id: &str| {
        health["sources"].as_array().unwrap().iter().find(|s| s["id"] == id).unwrap().clone()
    };
    assert_eq!(of(&health, "so_y_te")["login"], json!({"kind": "basic", "secret": name}));
    // It is fetched at once, by a job of its own.
    let filled = |desk: &Desk| desk.layer_infos().iter().any(|info| info.source == "so_y_te" && info.features > 10);
    for _ in 0..300 {
        if filled(&desk) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(filled(&desk), "{:?}", desk.sources_info());

    // Another one for the same host gets a name of its own; given up, it is forgotten.
    let other = act(&desk, "keep_secret", json!({"about": url, "value": "Kh0ng-dung", "in_file": true})).await.unwrap();
    assert_eq!(other["name"], format!("{name}_2"));
    act(&desk, "forget_secret", json!({"name": other["name"]})).await.unwrap();
    act(&desk, "forget_secret", json!({"name": name})).await.unwrap();
    let tested = act(&desk, "test_source", json!({"source": "so_y_te"})).await.unwrap();
    assert!(tested["error"].is_null(), "what a source names stays: {tested}");

    // Changed later: to a wrong one, and back.
    act(&desk, "keep_secret", json!({"name": name, "value": "Kh0ng-dung"})).await.unwrap();
    let tested = act(&desk, "test_source", json!({"source": "so_y_te"})).await.unwrap();
    assert!(tested["error"].as_str().unwrap().contains("401"), "{tested}");
    let failed = desk.sync_once(Some("so_y_te")).await.unwrap_err();
    act(&desk, "keep_secret", json!({"name": name, "value": PASSWORD})).await.unwrap();
    desk.sync_once(Some("so_y_te")).await.unwrap();
    let runs = json!(desk.runs("so_y_te").unwrap());

    // Nobody is told it: not in answers, not in failures, not in events, not in what is written.
    for value in [&kept, &found, &trial, &added, &health, &tested, &runs, &json!(failed), &json!(refused)] {
        said.push_str(&value.to_string());
    }
    while let Ok(message) = told.try_recv() {
        said.push_str(&String::from_utf8_lossy(&message));
    }
    said.push_str(&std::fs::read_to_string(home.path().join("sources.toml")).unwrap());
    without_trace(&said);

    act(&desk, "remove_source", json!({"source": "so_y_te", "forget_secret": true})).await.unwrap();
    let text = std::fs::read_to_string(home.path().join("secrets.toml")).unwrap();
    assert!(!text.contains(&name), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faulty_words_about_a_secret_repeat_nothing() {
    let home = tempfile::tempdir().unwrap();
    let desk = open(home.path(), Role::Administrator);
    let file = |value: Value| json!({"about": "", "value": value, "in_file": true});
    for (args, code) in [
        (file(json!({"deep": PASSWORD})), "bad_arguments"),
        (file(json!([PASSWORD])), "bad_arguments"),
        (file(json!("")), "secret_value"),
        (file(json!(format!("{PASSWORD}\n{PASSWORD}"))), "secret_value"),
        (json!({"name": "Kh0ng-dung", "value": PASSWORD, "in_file": true}), "secret_name"),
        (json!({"value": PASSWORD, "in_file": true, "more": 1}), "bad_arguments"),
    ] {
        let error = act(&desk, "keep_secret", args).await.unwrap_err();
        assert_eq!(error.code, code, "{error:?}");
        assert!(!format!("{error:?}").contains(PASSWORD), "{error:?}");
    }
    assert!(!home.path().join("secrets.toml").exists());
    let source = |credentials: Value| {
        json!({
            "url": "http://127.0.0.1:1/ogc", "protocol": "ogc-api-features", "title": "A", "every": "10m",
            "credentials": credentials
        })
    };
    let layers = json!([{"target": {"to": "layer", "layer": "clinics"}, "map": {}}]);
    for (credentials, field) in [
        // The secret itself where its name should stand.
        (json!({"kind": "bearer", "secret": "Mat Khau!"}), "credentials.secret"),
        (json!({"kind": "api-key", "header": "no header", "secret": "a"}), "credentials.header"),
        (json!({"kind": "basic", "user": "a:b", "secret": "a"}), "credentials.user"),
        (
            json!({"kind": "client-credentials", "token_url": "ftp://h", "client_id": "a", "secret": "a"}),
            "credentials.token_url",
        ),
        (
            json!({"kind": "client-credentials", "token_url": "http://u:Mat@h/", "client_id": "a", "secret": "a"}),
            "token_url",
        ),
    ] {
        let order = json!({"source": source(credentials.clone()), "layers": layers});
        let error = act(&desk, "add_source", order).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.at["field"].as_str()), ("bad_credentials", field), "{error:?}");
        assert!(!format!("{error:?}").contains("Mat"), "{error:?}");
        let asked = json!({"url": "http://127.0.0.1:1/ogc", "credentials": credentials});
        assert_eq!(act(&desk, "recognise", asked).await.unwrap_err().code, "bad_credentials");
    }
    assert!(!home.path().join("sources.toml").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_added_by_its_role_and_never_with_its_password() {
    let home = tempfile::tempdir().unwrap();
    let desk = open(home.path(), Role::Administrator);
    let order = |url: &str| {
        let source = json!({
            "url": url, "protocol": "postgis", "title": "Đất", "every": "10m",
            "credentials": {"kind": "basic", "user": "reader", "secret": "db"}
        });
        json!({"source": source, "layers": [{"collection": "public.clinics", "target": {"to": "layer", "layer": "clinics"}, "map": {}}]})
    };
    for url in [
        "postgres://reader:mat-khau-thuc-hanh@127.0.0.1:1/land",
        "postgres://127.0.0.1:1/land?password=mat-khau-thuc-hanh",
    ] {
        let error = act(&desk, "add_source", order(url)).await.unwrap_err();
        without_trace(&format!("{error:?}"));
    }
    assert!(!home.path().join("sources.toml").exists());
    act(&desk, "add_source", order("postgres://reader@127.0.0.1:1/land")).await.unwrap();
    let text = std::fs::read_to_string(home.path().join("sources.toml")).unwrap();
    assert!(text.contains("postgres://reader@127.0.0.1:1/land") && text.contains("kind = \"basic\""), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_administrator_keeps_and_forgets() {
    let home = tempfile::tempdir().unwrap();
    let desk = open(home.path(), Role::DutyOfficer);
    for (name, args) in [
        ("keep_secret", json!({"about": "", "value": PASSWORD, "in_file": true})),
        ("forget_secret", json!({"name": "a"})),
        ("remove_source", json!({"source": "a", "forget_secret": true})),
    ] {
        let error = act(&desk, name, args).await.unwrap_err();
        assert_eq!(error.code, "role_needed", "{name}");
        without_trace(&format!("{error:?}"));
    }
}
