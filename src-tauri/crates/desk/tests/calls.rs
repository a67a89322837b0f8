//! The list of calls: roles, arguments, answers, as a window meets them.

#![allow(clippy::unwrap_used)]

use desk::{Desk, Kind, Options, Role, call, least_role};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::sync::Arc;

async fn ask(desk: &Arc<Desk>, kind: Kind, name: &str, args: Value) -> Result<Value, desk::api::Failure> {
    let args: Box<RawValue> = to_raw_value(&args).unwrap();
    call(desk, kind, name, &args).await.map(|answer| serde_json::from_str(answer.get()).unwrap())
}

fn open() -> (tempfile::TempDir, Arc<Desk>) {
    let home = tempfile::tempdir().unwrap();
    let (desk, notices) = Desk::open(Options::at(home.path())).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    (home, desk)
}

#[tokio::test]
async fn start_holds_the_first_picture() {
    let (_home, desk) = open();
    let start = ask(&desk, Kind::Ask, "start", json!({})).await.unwrap();
    assert_eq!(start["profile"]["id"], "tay-ninh");
    assert_eq!(start["layers"].as_array().unwrap().len(), 18);
    assert_eq!(start["settings"]["language"], "vi");
    assert_eq!(start["session"]["role"], "viewer");
}

#[tokio::test]
async fn calls_and_arguments_nobody_knows_are_refused() {
    let (_home, desk) = open();
    let code = |result: Result<Value, desk::api::Failure>| result.unwrap_err().code;
    assert_eq!(code(ask(&desk, Kind::Ask, "format_disk", json!({})).await), "unknown_call");
    assert_eq!(
        code(ask(&desk, Kind::Ask, "set_pin", json!({"role": "viewer"})).await),
        "unknown_call",
        "a change is not read"
    );
    assert_eq!(code(ask(&desk, Kind::Ask, "search", json!({"txt": "a", "limit": 1})).await), "bad_arguments");
    assert_eq!(code(ask(&desk, Kind::Ask, "feature", json!({"layer": "nope", "id": "1"})).await), "no_layer");
    assert_eq!(code(ask(&desk, Kind::Ask, "feature", json!({"layer": "schools", "id": "nope"})).await), "no_feature");
    assert_eq!(code(ask(&desk, Kind::Ask, "place", json!({"lon": 1060.0, "lat": 11.0})).await), "bad_coordinate");
}

#[tokio::test]
async fn roles_guard_calls_and_layers() {
    let (_home, desk) = open();
    assert_eq!(least_role(Kind::Act, "set_pin"), Some(Role::Administrator));
    ask(&desk, Kind::Act, "sign_out", json!({})).await.unwrap();
    let refused = ask(&desk, Kind::Act, "sync", json!({})).await.unwrap_err();
    assert_eq!(refused.code, "role_needed");
    assert!(refused.message.contains("Người xem"), "{}", refused.message);
    let cameras =
        |start: &Value| start["layers"].as_array().unwrap().iter().find(|l| l["id"] == "cameras").unwrap().clone();
    let start = ask(&desk, Kind::Ask, "start", json!({})).await.unwrap();
    assert_eq!((cameras(&start)["allowed"].as_bool(), cameras(&start)["features"].as_u64()), (Some(false), Some(0)));
    let search = json!({"text": "Nút giao QL22", "limit": 50});
    let hits = ask(&desk, Kind::Ask, "search", search.clone()).await.unwrap();
    assert!(hits.as_array().unwrap().iter().all(|hit| hit["layer"] != "cameras"));
    assert_eq!(desk.points(&desk::LayerId::new("cameras").unwrap()).unwrap_err().code, "layer_role_needed");

    ask(&desk, Kind::Act, "sign_in", json!({"name": "Hạnh", "role": "duty_officer"})).await.unwrap();
    let hits = ask(&desk, Kind::Ask, "search", search).await.unwrap();
    assert!(hits.as_array().unwrap().iter().any(|hit| hit["layer"] == "cameras"));
}

#[tokio::test]
async fn a_pin_guards_its_role_and_is_not_kept_in_clear() {
    let (home, desk) = open();
    ask(&desk, Kind::Act, "sign_in", json!({"name": "A", "role": "administrator"})).await.unwrap();
    ask(&desk, Kind::Act, "set_pin", json!({"role": "administrator", "pin": "271828"})).await.unwrap();
    let people = std::fs::read_to_string(home.path().join("people.json")).unwrap();
    assert!(!people.contains("271828") && people.contains("argon2id"));
    ask(&desk, Kind::Act, "sign_out", json!({})).await.unwrap();
    let sign_in = |pin: Option<&str>| json!({"name": "A", "role": "administrator", "pin": pin});
    let code = |result: Result<Value, desk::api::Failure>| result.unwrap_err().code;
    assert_eq!(code(ask(&desk, Kind::Act, "sign_in", sign_in(None)).await), "pin_needed");
    assert_eq!(code(ask(&desk, Kind::Act, "sign_in", sign_in(Some("000000"))).await), "pin_wrong");
    ask(&desk, Kind::Act, "sign_in", sign_in(Some("271828"))).await.unwrap();
    drop(desk);
    let (desk, _) = Desk::open(Options::at(home.path())).unwrap();
    assert_eq!(desk.session().role, Role::Guest, "a role behind a PIN is not taken up again without it");
}

#[tokio::test]
async fn guessing_a_pin_takes_ever_longer() {
    let (_home, desk) = open();
    ask(&desk, Kind::Act, "sign_in", json!({"name": "A", "role": "administrator"})).await.unwrap();
    ask(&desk, Kind::Act, "set_pin", json!({"role": "planner", "pin": "271828"})).await.unwrap();
    ask(&desk, Kind::Act, "sign_out", json!({})).await.unwrap();
    let try_pin = |pin: &str| ask(&desk, Kind::Act, "sign_in", json!({"name": "A", "role": "planner", "pin": pin}));
    // At once, as a script would: the count must not be outrun. The right one comes last and has to wait too.
    let tries = tokio::join!(try_pin("0000"), try_pin("0001"), try_pin("0002"), try_pin("0003"), try_pin("271828"));
    let failures = [tries.0, tries.1, tries.2, tries.3, tries.4].map(Result::unwrap_err);
    let codes = failures.each_ref().map(|failure| failure.code.as_str());
    assert_eq!(codes, ["pin_wrong", "pin_wrong", "pin_wrong", "pin_wait", "pin_wait"]);
    assert_eq!(failures[4].at["seconds"], "1");
    ask(&desk, Kind::Act, "sign_in", json!({"name": "A", "role": "duty_officer"})).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    try_pin("271828").await.unwrap();
    assert_eq!(try_pin("0000").await.unwrap_err().code, "pin_wrong", "the right one ends the wait");
}

#[tokio::test]
async fn people_that_cannot_be_read_open_no_role_and_are_not_written_over() {
    let (home, desk) = open();
    ask(&desk, Kind::Act, "sign_in", json!({"name": "A", "role": "administrator"})).await.unwrap();
    ask(&desk, Kind::Act, "set_pin", json!({"role": "administrator", "pin": "271828"})).await.unwrap();
    let file = home.path().join("people.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let whole = std::fs::read(&file).unwrap();
    drop(desk);
    for damaged in [whole[..whole.len() / 2].to_vec(), Vec::new(), b"\xff\xfe{}".to_vec()] {
        std::fs::write(&file, &damaged).unwrap();
        let (desk, notices) = Desk::open(Options::at(home.path())).unwrap();
        assert_eq!(notices.iter().map(|notice| notice.code.as_str()).collect::<Vec<_>>(), ["people_unreadable"]);
        assert_eq!(desk.session().role, Role::Viewer);
        for role in ["planner", "duty_officer", "administrator"] {
            let refused = ask(&desk, Kind::Act, "sign_in", json!({"name": "A", "role": role, "pin": "271828"})).await;
            assert_eq!(refused.unwrap_err().code, "people_unreadable", "{role}");
        }
        ask(&desk, Kind::Act, "sign_out", json!({})).await.unwrap();
        ask(&desk, Kind::Act, "sign_in", json!({"name": "A", "role": "viewer"})).await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), damaged, "it was written over");
    }
    // Mended while the desk is open: the PIN holds again.
    let (desk, _) = Desk::open(Options::at(home.path())).unwrap();
    std::fs::write(&file, &whole).unwrap();
    let sign_in = |pin: Option<&str>| json!({"name": "A", "role": "administrator", "pin": pin});
    assert_eq!(ask(&desk, Kind::Act, "sign_in", sign_in(None)).await.unwrap_err().code, "pin_needed");
    ask(&desk, Kind::Act, "sign_in", sign_in(Some("271828"))).await.unwrap();
    std::fs::write(&file, "{").unwrap();
    let refused = ask(&desk, Kind::Act, "set_pin", json!({"role": "planner", "pin": "1234"})).await.unwrap_err();
    assert_eq!(refused.code, "people_unreadable");
    assert_eq!(std::fs::read(&file).unwrap(), b"{");
}

#[tokio::test]
async fn a_feature_tells_where_it_is_on_paper_too() {
    let (_home, desk) = open();
    let detail =
        ask(&desk, Kind::Ask, "feature", json!({"layer": "air_stations", "id": "air-trang-bang"})).await.unwrap();
    assert_eq!(detail["name"], "Trạm khí Trảng Bàng");
    assert_eq!(detail["commune"], "Phường Trảng Bàng");
    assert_eq!(detail["vn2000"][0]["epsg"], 9209, "the system of its commune comes first");
    let north = detail["vn2000"][0]["north_m"].as_f64().unwrap();
    assert!((1_140_000.0..1_310_000.0).contains(&north), "{north}");
    assert_eq!(detail["freshness"], "never");
    assert_eq!(detail["sample"], true);
    let long_an = ask(&desk, Kind::Ask, "place", json!({"lon": 106.413, "lat": 10.536})).await.unwrap();
    assert_eq!(long_an["vn2000"][0]["epsg"], 9210);
    let near = json!({"lon": 106.35631, "lat": 11.030287, "within_m": 2000.0, "limit": 10,
        "exclude": {"layer": "air_stations", "id": "air-trang-bang"}});
    let near = ask(&desk, Kind::Ask, "near", near).await.unwrap();
    let distances: Vec<f64> = near.as_array().unwrap().iter().map(|hit| hit["distance_m"].as_f64().unwrap()).collect();
    assert!(!distances.is_empty() && distances.is_sorted() && distances.iter().all(|d| *d <= 2000.0));
}

#[tokio::test]
async fn settings_and_views_outlive_the_desk() {
    let (home, desk) = open();
    let mut settings = json!(desk.settings());
    settings["theme"] = json!("light");
    settings["text_scale"] = json!(1.15);
    ask(&desk, Kind::Act, "set_settings", json!({"settings": settings})).await.unwrap();
    settings["text_scale"] = json!(9.0);
    let refused = ask(&desk, Kind::Act, "set_settings", json!({"settings": settings})).await.unwrap_err();
    assert_eq!(refused.code, "text_scale");
    let view = json!({"name": "Ca trực – không khí", "camera": {"center": [106.2, 11.0], "zoom": 9.0, "bearing": 0.0, "pitch": 0.0}, "layers": {}});
    ask(&desk, Kind::Act, "save_view", view.clone()).await.unwrap();
    let views = ask(&desk, Kind::Act, "save_view", view).await.unwrap();
    assert_eq!(views.as_array().unwrap().len(), 1, "the same name replaces");
    drop(desk);
    let (desk, _) = Desk::open(Options::at(home.path())).unwrap();
    assert_eq!(json!(desk.settings())["theme"], "light");
    let id = views[0]["id"].clone();
    assert_eq!(ask(&desk, Kind::Ask, "views", json!({})).await.unwrap()[0]["id"], id);
    assert_eq!(ask(&desk, Kind::Act, "delete_view", json!({"id": id})).await.unwrap(), json!([]));
}
