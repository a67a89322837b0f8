//! Fetching from a real HTTP server: the practice data centre with its faults, and servers that lie.
#![allow(clippy::unwrap_used)]

mod common;

use common::{collection, features, fetch_collection, point};
use model::{LayerId, SensorStatus, Timestamp};
use practice::{Fault, Options, Practice};
use sources::events::{ServerEvent, listen};
use sources::sensorthings::{Series, history, latest};
use sources::{Client, ClientOptions, FetchError, Fetched, Url, still};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PROFILE: &str = r#"
id = "x"
code = "80"
title = { vi = "X", en = "X" }
timezone = "Asia/Ho_Chi_Minh"
bbox = [105.45, 10.35, 106.90, 11.80]
center = [106.2, 11.05]
area_km2 = 1.0
population = 1
in_force = "2025-07-01"
[[groups]]
id = "g"
title = { vi = "G", en = "G" }
[[sources]]
id = "features"
protocol = "ogc-api-features"
title = { vi = "a", en = "b" }
url = "practice:/ogc"
every = "10m"
practice = true
[[sources]]
id = "stations"
protocol = "sensorthings"
title = { vi = "a", en = "b" }
url = "practice:/sensorthings/v1.1"
events = "practice:/events"
every = "30s"
practice = true
[[layers]]
id = "air_stations"
kind = "air_station"
group = "g"
title = { vi = "Trạm", en = "Stations" }
geometry = "point"
file = "data/air.geojson"
feature_source = "features"
live_source = "stations"
interval = "10s"
freshness = "365d"
as_of = "2026-11-01"
provider = { vi = "a", en = "b" }
licence = "x"
name_field = "name"
[[layers.parameters]]
code = "pm25"
title = { vi = "PM2.5", en = "PM2.5" }
unit = "µg/m³"
[[layers.parameters]]
code = "o3"
title = { vi = "O3", en = "O3" }
unit = "µg/m³"
[[layers]]
id = "schools"
kind = "school"
group = "g"
title = { vi = "Trường", en = "Schools" }
geometry = "point"
file = "data/schools.geojson"
feature_source = "features"
freshness = "365d"
as_of = "2026-11-01"
provider = { vi = "a", en = "b" }
licence = "x"
name_field = "name"
"#;

struct Centre {
    practice: Practice,
    root: Url,
    _folder: tempfile::TempDir,
}

async fn centre() -> Centre {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("profile.toml"), PROFILE).unwrap();
    let put = |name: &str, count: usize| {
        let rows: Vec<String> = (0..count).map(|i| point(&format!("{name}{i}"), 106.1, 11.1)).collect();
        std::fs::write(folder.path().join(format!("data/{name}.geojson")), collection(&rows)).unwrap();
    };
    put("air", 8);
    put("schools", 2_345);
    let practice = Practice::start(folder.path(), Options::default()).await.unwrap();
    let root = practice.base_url().parse().unwrap();
    Centre { practice, root, _folder: folder }
}

impl Centre {
    fn url(&self, path: &str) -> Url {
        self.root.join(path).unwrap()
    }

    async fn fetch(&self, client: &Client, layer: &str, etag: Option<&str>) -> Result<Fetched, FetchError> {
        fetch_collection(client, &self.url("/ogc"), layer, etag, &mut |_, _| {}).await
    }
}

fn quick() -> Client {
    Client::with(ClientOptions {
        connect_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_millis(700),
        ..ClientOptions::default()
    })
}

#[tokio::test]
async fn collection_comes_whole_and_only_when_it_changed() {
    let centre = centre().await;
    let client = Client::default();
    let mut seen = Vec::new();
    let fetched =
        fetch_collection(&client, &centre.url("/ogc/"), "schools", None, &mut |done, all| seen.push((done, all))).await;
    let schools = features(fetched);
    assert_eq!((schools.features.len(), schools.report.accepted, schools.report.rejected.len()), (2_345, 2_345, 0));
    assert_eq!(seen, [(1_000, Some(2_345)), (2_000, Some(2_345)), (2_345, Some(2_345))]);
    assert_eq!(schools.features[2_344].id, "schools2344");
    assert!(schools.practice);
    assert_eq!(schools.as_of.unwrap().to_string(), "2026-11-01T00:00:00Z");
    let etag = schools.validator.unwrap();
    assert!(matches!(centre.fetch(&client, "schools", Some(&etag)).await, Ok(Fetched::NotModified)));
    assert!(matches!(centre.fetch(&client, "schools", Some("\"other\"")).await, Ok(Fetched::Features(_))));
    let error = centre.fetch(&client, "nope", None).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
    assert!(!error.retryable() && error.answered());
}

#[tokio::test]
async fn every_fault_has_its_own_error() {
    let centre = centre().await;
    let client = quick();
    let faults = centre.practice.faults();
    let busy = Fault::Status { code: 429, retry_after: Some(Duration::from_secs(17)) };
    for (fault, code, answered) in [
        (Fault::Status { code: 500, retry_after: None }, "status", true),
        (busy, "status", true),
        (Fault::Reset, "reset", true),
        (Fault::Truncate { bytes: 300 }, "truncated", true),
        (Fault::Slow { delay: Duration::from_secs(5) }, "timeout", false),
        (Fault::Stall, "timeout", false),
    ] {
        faults.set("/ogc", fault, None);
        let error = centre.fetch(&client, "schools", None).await.unwrap_err();
        // A connection that is cut ends as a reset or as a short body, by the order in which the packets arrive.
        let cut =
            matches!(fault, Fault::Reset | Fault::Truncate { .. }) && matches!(error.code(), "reset" | "truncated");
        assert!(error.code() == code || cut, "{fault:?}: {error:?}");
        assert_eq!((error.answered(), error.retryable()), (answered, true), "{fault:?}: {error:?}");
        assert_eq!(error.retry_after_secs(), (fault == busy).then_some(17));
        faults.clear();
        assert_eq!(features(centre.fetch(&client, "schools", None).await).features.len(), 2_345, "after {fault:?}");
    }
    faults.set("/ogc", Fault::Slow { delay: Duration::from_millis(200) }, None);
    assert_eq!(features(centre.fetch(&client, "air_stations", None).await).features.len(), 8, "slow is not dead");
}

#[tokio::test]
async fn pulled_plug_is_a_refusal_within_seconds() {
    let centre = centre().await;
    let client = quick();
    assert!(centre.fetch(&client, "air_stations", None).await.is_ok());
    let root = centre.url("/ogc");
    centre.practice.stop().await;
    let started = Instant::now();
    let error = fetch_collection(&client, &root, "air_stations", None, &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(error.code(), "refused" | "reset"), "{error:?}");
    assert!(!error.answered() && error.retryable());
    assert!(started.elapsed() < Duration::from_secs(3));
    let unknown = "http://no-such-host.invalid/ogc".parse().unwrap();
    let error = fetch_collection(&client, &unknown, "a", None, &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(error.code(), "dns" | "unreachable" | "timeout"), "{error:?}");
    let error =
        fetch_collection(&client, &"file:///etc".parse().unwrap(), "a", None, &mut |_, _| {}).await.unwrap_err();
    assert_eq!(error.code(), "bad_address");
}

#[tokio::test]
async fn latest_and_history_agree() {
    let centre = centre().await;
    let client = Client::default();
    let root = centre.url("/sensorthings/v1.1");
    let layer = LayerId::new("air_stations").unwrap();
    let now = latest(&client, &root, Some(&layer)).await.unwrap();
    assert_eq!(now.report.rejected, []);
    assert!(now.observations.len() >= 10, "{}", now.observations.len());
    assert!(now.observations.iter().all(|o| o.layer == layer && o.value.is_finite()));
    assert_eq!(latest(&client, &root, None).await.unwrap().observations.len(), now.observations.len());

    let fresh = now.observations.iter().max_by_key(|o| o.measured_at).unwrap();
    let from = fresh.measured_at.checked_sub(jiff::SignedDuration::from_hours(4)).unwrap();
    let series = Series::Feature { layer: layer.clone(), feature: fresh.feature.clone() };
    let past = history(&client, &root, &series, from, fresh.measured_at).await.unwrap();
    assert!(past.observations.len() > 1_000, "more than a page: {}", past.observations.len());
    assert!(
        past.observations
            .iter()
            .all(|o| o.feature == fresh.feature && (from..=fresh.measured_at).contains(&o.measured_at))
    );
    assert!(past.observations.contains(fresh), "the latest value is part of the history");
    let of = |parameter: &str| {
        past.observations.iter().filter(|o| o.parameter == parameter).map(|o| o.measured_at).collect::<Vec<_>>()
    };
    assert!(of("pm25").is_sorted() && !of("o3").is_empty());
    let one = history(&client, &root, &Series::Datastream(1), from, fresh.measured_at).await.unwrap();
    assert!(one.observations.iter().all(|o| o.parameter == one.observations[0].parameter));
    let error = history(&client, &root, &Series::Datastream(999_999), from, fresh.measured_at).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn events_come_and_silence_is_noticed() {
    let centre = centre().await;
    let client = Client::with(ClientOptions { silence: Duration::from_millis(2_500), ..ClientOptions::default() });
    let got: Arc<Mutex<Vec<ServerEvent>>> = Arc::default();
    let sink = got.clone();
    let url = centre.url("/events");
    let listening = tokio::spawn(async move {
        let mut last_id = None;
        let error = listen(&client, &url, &mut last_id, move |event| sink.lock().unwrap().push(event)).await;
        (error, last_id)
    });
    let started = Instant::now();
    let observed =
        || got.lock().unwrap().iter().any(|event| matches!(event, ServerEvent::Observation(o) if o.value.is_finite()));
    while !observed() {
        assert!(started.elapsed() < Duration::from_secs(25), "no observation: {:?}", got.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(got.lock().unwrap().iter().any(|event| matches!(event, ServerEvent::Heartbeat { clock: Some(_) })));
    centre.practice.faults().set("/events", Fault::Stall, None);
    let (error, last_id) = tokio::time::timeout(Duration::from_secs(6), listening).await.unwrap().unwrap();
    assert_eq!(error.code(), "silent", "{error:?}");
    assert!(last_id.is_some() && error.retryable());
}

#[tokio::test]
async fn event_stream_dies_with_its_server() {
    let centre = centre().await;
    let client = Client::default();
    let url = centre.url("/events");
    let not_events = listen(&client, &centre.url("/ogc"), &mut None, |_| {}).await;
    assert_eq!(not_events.code(), "malformed");
    let listening = tokio::spawn(async move { listen(&client, &url, &mut None, |_| {}).await });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let started = Instant::now();
    centre.practice.stop().await;
    let error = tokio::time::timeout(Duration::from_secs(5), listening).await.unwrap().unwrap();
    assert!(matches!(error.code(), "reset" | "truncated" | "ended"), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

/// A server of fixed answers: path with query → (headers, body).
async fn liar(answers: &[(&str, &str, String)]) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let port = root.port().unwrap();
    let answers: HashMap<String, String> = answers
        .iter()
        .map(|(path, headers, body)| {
            let body = body.replace("ROOT", &format!("http://127.0.0.1:{port}"));
            (
                (*path).to_owned(),
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
                    body.len()
                ),
            )
        })
        .collect();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8_192];
            let read = socket.read(&mut request).await.unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
            let _ = socket.write_all(answers.get(&path).unwrap_or(&missing).as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    root
}

fn page(features: &[String], matched: Option<u64>, next: Option<&str>) -> String {
    let links =
        next.map_or(String::new(), |next| format!(r#"{{"rel":"prev","href":"x"}},{{"rel":"next","href":"{next}"}}"#));
    let matched = matched.map_or(String::new(), |matched| format!(r#""numberMatched":{matched},"#));
    format!(r#"{{"type":"FeatureCollection",{matched}"links":[{links}],"features":[{}]}}"#, features.join(","))
}

#[tokio::test]
async fn lying_pages_are_malformed() {
    let first = "/collections/c/items?limit=1000";
    let (a, b) = (point("a", 106, 11), point("b", 106, 11));
    let one = std::slice::from_ref(&a);
    let two = std::slice::from_ref(&b);
    let client = quick();
    type Answer<'a> = (&'a str, &'a str, String);
    let cases: Vec<(&str, Vec<Answer<'_>>, &str)> = vec![
        ("total too high", vec![(first, "", page(one, Some(2), None))], "malformed"),
        ("total too low", vec![(first, "", page(&[a.clone(), b.clone()], Some(1), None))], "malformed"),
        (
            "circle",
            vec![(first, "", page(one, None, Some("/p2"))), ("/p2", "", page(two, None, Some(first)))],
            "malformed",
        ),
        ("itself", vec![(first, "", page(one, None, Some(first)))], "malformed"),
        (
            "same page again",
            vec![(first, "", page(one, None, Some("/p2"))), ("/p2", "", page(one, None, Some("/p3")))],
            "malformed",
        ),
        ("another server", vec![(first, "", page(one, None, Some("http://192.0.2.1/x")))], "malformed"),
        ("empty page with next", vec![(first, "", page(&[], None, Some("/p2")))], "malformed"),
        (
            "total changes",
            vec![(first, "", page(one, Some(2), Some("/p2"))), ("/p2", "", page(two, Some(3), None))],
            "changed",
        ),
        (
            "tag changes",
            vec![
                (first, "ETag: \"1\"\r\n", page(one, None, Some("/p2"))),
                ("/p2", "ETag: \"2\"\r\n", page(two, None, None)),
            ],
            "ok without a tag",
        ),
        ("not JSON", vec![(first, "Content-Type: text/html\r\n", "<html>login".into())], "malformed"),
        ("half a JSON", vec![(first, "", page(one, None, None)[..60].to_owned())], "truncated"),
        ("no features", vec![(first, "", "{\"type\":\"FeatureCollection\"}".into())], "malformed"),
        (
            "an error with 200",
            vec![(first, "", "{\"code\":\"x\",\"features\":[],\"type\":\"Error\"}".into())],
            "malformed",
        ),
        (
            "pages without totals",
            vec![(first, "", page(one, None, Some("ROOT/p2"))), ("/p2", "", page(two, None, None))],
            "ok",
        ),
    ];
    for (what, answers, wanted) in cases {
        let root = liar(&answers).await;
        let result = fetch_collection(&client, &root, "c", None, &mut |_, _| {}).await;
        let got = match &result {
            Ok(Fetched::Features(all)) if all.validator.is_none() && wanted.contains("tag") => "ok without a tag",
            Ok(_) => "ok",
            Err(error) => error.code(),
        };
        assert_eq!(got, wanted, "{what}: {result:?}");
    }
}

#[tokio::test]
async fn bad_features_from_the_network_are_rejected_one_by_one() {
    let rows = [
        point("a", 106, 11),
        point("far", 1060, 11),
        point("a", 106, 11),
        point("x", "\"106\"", 11),
        point("n", 106, 11).replace("\"type\":\"Point\"", "\"type\":\"Blob\""),
    ];
    let root = liar(&[("/collections/c/items?limit=1000", "", page(&rows, Some(5), None))]).await;
    let all = features(fetch_collection(&quick(), &root, "c", None, &mut |_, _| {}).await);
    assert_eq!(all.features.len(), 1);
    let codes: Vec<(u64, &str)> = all.report.rejected.iter().map(|r| (r.row, r.code.as_str())).collect();
    assert_eq!(codes, [(2, "coordinate_range"), (3, "duplicate_id"), (4, "geometry_invalid"), (5, "geometry_invalid")]);
}

#[tokio::test]
async fn large_bodies_and_false_pictures_are_refused() {
    let big = format!("{{\"x\":\"{}\"}}", "y".repeat(2 << 20));
    let root = liar(&[
        ("/collections/c/items?limit=1000", "", big),
        ("/still.jpg", "Content-Type: text/html\r\n", "<html>".into()),
        ("/real.jpg", "Content-Type: image/jpeg\r\n", "\u{ff}\u{d8}".into()),
    ])
    .await;
    let client = Client::with(ClientOptions { body_limit_bytes: 1 << 20, ..ClientOptions::default() });
    let error = fetch_collection(&client, &root, "c", None, &mut |_, _| {}).await.unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("too_large", false));
    assert_eq!(still(&client, &root.join("/still.jpg").unwrap()).await.unwrap_err().code(), "malformed");
    assert!(matches!(
        still(&client, &root.join("/gone.jpg").unwrap()).await,
        Err(FetchError::Status { status: 404, .. })
    ));
}

#[tokio::test]
async fn strange_observations_are_sorted_out_and_repeats_dropped() {
    let observations = r#"[
        {"phenomenonTime":"2026-11-23T14:00:00Z","result":"41.5","parameters":{"status":"01"}},
        {"phenomenonTime":"2026-11-23T14:00:00.000Z","result":41.5},
        {"phenomenonTime":"2026-11-23T14:05:00Z","result":"n/a"},
        {"phenomenonTime":"2026-11-23T13:00:00Z/2026-11-23T14:10:00Z","result":7}]"#;
    let things = format!(
        r#"{{"value":[{{"@iot.id":1,"properties":{{"layer":"air_stations","feature":5}},"Datastreams":[{{"@iot.id":"d'1","properties":{{"parameter":"pm25"}},"Observations":{observations}}}]}},
        {{"@iot.id":2,"Datastreams":[{{"@iot.id":2,"Observations":[{{"phenomenonTime":"2026-11-23T14:00:00Z","result":1}}]}}]}}]}}"#
    );
    let query = "/Things?$top=1000&$expand=Datastreams($expand=Observations($top=1;$orderby=phenomenonTime%20desc))";
    let root = liar(&[(query, "", things)]).await;
    let readings = latest(&quick(), &root, None).await.unwrap();
    let got: Vec<(f64, SensorStatus, &str)> =
        readings.observations.iter().map(|o| (o.value, o.status, o.feature.as_str())).collect();
    assert_eq!(got, [(41.5, SensorStatus::Calibrating, "5"), (7.0, SensorStatus::Measuring, "5")]);
    let time: Timestamp = "2026-11-23T14:10:00Z".parse().unwrap();
    assert_eq!(readings.observations[1].measured_at, time);
    let codes: Vec<&str> = readings.report.rejected.iter().map(|r| r.code.as_str()).collect();
    assert_eq!(codes, ["field_type", "label_missing"]);
}
