//! What a client meets on the line: events, pictures, faults, a pulled plug.

mod support;

use practice::{Fault, Options, Scenario};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::{ask, get, options, send, start};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Reads until the text satisfies the wish, or the connection ends.
async fn read_until(stream: &mut TcpStream, text: &mut String, mut enough: impl FnMut(&str) -> bool) -> bool {
    let mut buffer = vec![0; 65_536];
    let deadline = Instant::now() + Duration::from_secs(10);
    while !enough(text) {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, stream.read(&mut buffer)).await {
            Ok(Ok(n)) if n > 0 => text.push_str(&String::from_utf8_lossy(&buffer[..n])),
            _ => return false,
        }
    }
    true
}

fn data<'a>(text: &'a str, event: &str) -> Vec<(Option<u64>, Value)> {
    let mut id = None;
    let mut name: &'a str = "";
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("id: ") {
            id = value.parse().ok();
        } else if let Some(value) = line.strip_prefix("event: ") {
            name = value;
        } else if let Some(value) = line.strip_prefix("data: ") {
            if let (true, Ok(value)) = (name == event, serde_json::from_str(value)) {
                found.push((id, value));
            }
            id = None;
        }
    }
    found
}

async fn listen(at: SocketAddr, last_event_id: Option<u64>) -> TcpStream {
    let last = last_event_id.map(|id| id.to_string());
    let headers: Vec<(&str, &str)> = last.iter().map(|id| ("Last-Event-ID", id.as_str())).collect();
    send(at, "GET", "/events", &headers, "").await
}

#[tokio::test]
async fn events_bring_heartbeats_and_observations_and_repeat_what_was_missed() {
    let centre = start(Options { speed: 60.0, ..options() }).await;
    let mut stream = listen(centre.address(), None).await;
    let mut text = String::new();
    let both = |text: &str| data(text, "observation").len() >= 40 && data(text, "heartbeat").len() >= 3;
    assert!(read_until(&mut stream, &mut text, both).await, "{text}");
    assert!(text.contains("text/event-stream") && text.to_lowercase().contains("x-practice-data: true"));
    let observations = data(&text, "observation");
    let ids: Vec<u64> = observations.iter().map(|(id, _)| id.unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "ids rise");
    let (_, one) = &observations[0];
    for key in ["layer", "feature", "parameter", "datastream", "time", "result", "status"] {
        assert!(!one[key].is_null(), "{key}: {one}");
    }
    assert!(one["time"].as_str().unwrap().ends_with('Z'));
    // What is told is what the history says.
    let path = format!(
        "/sensorthings/v1.1/Datastreams({})/Observations?$filter=phenomenonTime+eq+{}",
        one["datastream"],
        one["time"].as_str().unwrap()
    );
    assert_eq!(get(centre.address(), &path).await.json()["value"][0]["result"], one["result"]);
    let clocks: Vec<model::Timestamp> =
        data(&text, "heartbeat").iter().map(|(_, beat)| beat["clock"].as_str().unwrap().parse().unwrap()).collect();
    assert!(clocks.windows(2).all(|pair| pair[0] <= pair[1]) && clocks[0] >= support::START.parse().unwrap());

    drop(stream);
    let mut stream = listen(centre.address(), Some(ids[4])).await;
    let mut text = String::new();
    assert!(read_until(&mut stream, &mut text, |text| data(text, "observation").len() >= 30).await);
    let again: Vec<u64> = data(&text, "observation").iter().map(|(id, _)| id.unwrap()).collect();
    assert_eq!(again[..30], ids[5..35]);
    centre.practice.stop().await;
}

#[tokio::test]
async fn changed_layer_is_told() {
    let centre = start(options()).await;
    let mut stream = listen(centre.address(), None).await;
    let file = centre.folder.path().join("data/communes.geojson");
    let text = std::fs::read_to_string(&file).unwrap().replace("Xã 3\"", "Xã Ba\"");
    std::fs::write(&file, text).unwrap();
    let mut text = String::new();
    assert!(read_until(&mut stream, &mut text, |text| !data(text, "layer").is_empty()).await, "{text}");
    let (_, layer) = data(&text, "layer").remove(0);
    assert_eq!(layer["layer"], "communes");
    let page = get(centre.address(), "/ogc/collections/communes/items?limit=1").await;
    assert_eq!(page.header("etag"), layer["etag"].as_str());
    centre.practice.stop().await;
}

#[tokio::test]
async fn faults_do_what_they_say_and_go_away() {
    let centre = start(options()).await;
    let (at, faults) = (centre.address(), centre.faults());
    let path = "/ogc/collections/communes/items?limit=200";
    let whole = get(at, path).await.body;

    faults.set("/ogc", Fault::Slow { delay: Duration::from_millis(400) }, Some(1));
    let started = Instant::now();
    assert_eq!(get(at, path).await.body.len(), whole.len());
    assert!(started.elapsed() >= Duration::from_millis(400));

    faults.set("/ogc", Fault::Truncate { bytes: 1_000 }, Some(1));
    let cut = get(at, path).await;
    assert_eq!((cut.status, cut.complete), (200, false));
    assert_eq!(cut.body, whole[..1_000]);

    faults.set("/ogc", Fault::Reset, Some(1));
    let cut = get(at, path).await;
    assert!(!cut.complete && cut.body.len() < whole.len());

    faults.set("/ogc", Fault::Status { code: 500, retry_after: None }, Some(1));
    let refused = get(at, path).await;
    assert_eq!((refused.status, refused.header("retry-after")), (500, None));

    faults.set("/ogc", Fault::Status { code: 429, retry_after: Some(Duration::from_secs(7)) }, None);
    for _ in 0..3 {
        let refused = get(at, path).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
    }
    assert_eq!(get(at, "/sensorthings/v1.1").await.status, 200, "another path is not touched");
    faults.clear();
    assert_eq!(get(at, path).await.body.len(), whole.len());

    faults.set("/ogc", Fault::Stall, None);
    let waiting = tokio::spawn(async move { get(at, path).await.status });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    faults.clear();
    assert_eq!(waiting.await.unwrap(), 200, "a cleared stall goes on");
    centre.practice.stop().await;
}

#[tokio::test]
async fn faults_are_set_over_http() {
    let centre = start(options()).await;
    let at = centre.address();
    let rule = r#"{"path":"/ogc","kind":"status","code":503,"retry_after_secs":2,"times":2}"#;
    let set = ask(at, "PUT", "/practice/faults", &[], rule).await;
    assert_eq!((set.status, set.json()[0]["kind"].as_str().unwrap()), (200, "status"));
    let refused = get(at, "/ogc").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    assert_eq!(get(at, "/practice/faults").await.json()[0]["times"], 1);
    assert_eq!(ask(at, "DELETE", "/practice/faults", &[], "").await.status, 204);
    assert_eq!(get(at, "/ogc").await.status, 200);
    let wrong = ask(at, "PUT", "/practice/faults", &[], r#"{"path":"/ogc","kind":"flood"}"#).await;
    assert_eq!(wrong.status, 400);
    centre.practice.stop().await;
}

#[tokio::test]
async fn stall_silences_open_events_too() {
    let centre = start(Options { speed: 60.0, ..options() }).await;
    let mut stream = listen(centre.address(), None).await;
    let mut text = String::new();
    assert!(read_until(&mut stream, &mut text, |text| text.contains("heartbeat")).await);
    centre.faults().set("/events", Fault::Stall, None);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut buffer = [0; 65_536];
    while tokio::time::timeout(Duration::from_millis(50), stream.read(&mut buffer)).await.is_ok() {}
    assert!(tokio::time::timeout(Duration::from_millis(1_500), stream.read(&mut buffer)).await.is_err(), "silent");
    centre.faults().clear();
    assert!(tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer)).await.unwrap().unwrap() > 0);
    centre.practice.stop().await;
}

#[tokio::test]
async fn pulled_plug_ends_open_connections_at_once() {
    let centre = start(options()).await;
    let at = centre.address();
    centre.faults().set("/ogc", Fault::Stall, None);
    let mut idle = TcpStream::connect(at).await.unwrap();
    let mut events = listen(at, None).await;
    let mut stalled = send(at, "GET", "/ogc", &[], "").await;
    let mut text = String::new();
    assert!(read_until(&mut events, &mut text, |text| text.contains("heartbeat")).await);
    let started = Instant::now();
    centre.practice.stop().await;
    for stream in [&mut idle, &mut events, &mut stalled] {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_millis(500), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open");
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(TcpStream::connect(at).await.is_err(), "nobody listens");
    // And the same port can be taken again at once.
    let again = start(Options { listen: at, ..options() }).await;
    assert_eq!(get(at, "/practice").await.status, 200);
    again.practice.stop().await;
}

#[tokio::test]
async fn cameras_show_pictures_or_say_that_they_are_offline() {
    let centre = start(options()).await;
    let at = centre.address();
    let query = "/sensorthings/v1.1/Datastreams?$filter=properties/layer+eq+'cameras'&$expand=Observations($top=1)";
    let streams = get(at, query).await.json();
    let (mut online, mut offline) = (None, None);
    for stream in streams["value"].as_array().unwrap() {
        let feature = stream["properties"]["feature"].as_str().unwrap().to_owned();
        if stream["Observations"][0].is_null() { offline = Some(feature) } else { online = Some(feature) }
    }
    let (online, offline) = (online.unwrap(), offline.unwrap());
    let reply = get(at, &format!("/cameras/{online}/still.jpg")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(reply.header("x-practice-data"), Some("true"));
    assert!(reply.body.starts_with(&[0xff, 0xd8]) && reply.body.ends_with(&[0xff, 0xd9]));
    for path in ["still.jpg", "stream.mjpeg"] {
        let reply = get(at, &format!("/cameras/{offline}/{path}")).await;
        assert_eq!((reply.status, reply.json()["type"].as_str().unwrap()), (503, "CameraOffline"));
    }
    assert_eq!(get(at, "/cameras/nothing/still.jpg").await.status, 404);
    assert_eq!(get(at, "/cameras/air-trang-bang/still.jpg").await.status, 404);

    let mut stream = send(at, "GET", &format!("/cameras/{online}/stream.mjpeg"), &[], "").await;
    let mut text = String::new();
    assert!(read_until(&mut stream, &mut text, |text| text.matches("--frame").count() >= 3).await);
    assert!(text.contains("multipart/x-mixed-replace; boundary=frame"));
    centre.practice.stop().await;
}

#[tokio::test]
async fn it_says_what_it_is() {
    let centre = start(Options { seed: 5, scenario: Scenario::Smog, ..options() }).await;
    let about = get(centre.address(), "/practice").await.json();
    assert_eq!(about["name"], "Trung tâm dữ liệu thực hành");
    assert_eq!((about["practice"].clone(), about["seed"].clone()), (true.into(), 5.into()));
    assert_eq!(about["clock"], support::START);
    assert_eq!(about["scenario"], "smog");
    centre.practice.stop().await;
}

#[tokio::test]
async fn bad_profiles_and_speeds_are_named() {
    let empty = tempfile::TempDir::new().unwrap();
    let error = practice::Practice::start(empty.path(), options()).await.err().unwrap().to_string();
    assert!(error.contains("profile.toml"), "{error}");
    let error = practice::Practice::start(empty.path(), Options { speed: f64::NAN, ..options() }).await.err().unwrap();
    assert!(error.to_string().contains("speed"));
}
