//! Features that a real broker (mosquitto) keeps: the same as by every other protocol, and what brokers and publishers do wrong.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "foreign/communes.rs"]
mod communes;
#[path = "foreign/mosquitto.rs"]
mod mosquitto;
#[path = "foreign/process.rs"]
mod process;

use common::{features, point, rejected_of, wanted};
use communes::{communes_file, same};
use model::{Credentials, Protocol};
use mosquitto::{Broker, kept, manifest, mosquitto};
use sources::mqtt::{Change, changes};
use sources::{Client, Collection, FetchError, Fetched, Login, Offer, Secret, Url, Wanted, recognise, service};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

async fn ask(url: &str, change: impl FnOnce(&mut Wanted<'_>)) -> Result<Fetched, FetchError> {
    let root: Url = url.parse().unwrap();
    let mut asked = wanted(&root, "communes", Path::new("/proc/nowhere"));
    // What is lent for longer than this call cannot be put in.
    change(&mut asked);
    service(Protocol::Mqtt).unwrap().fetch(&Client::default(), asked, &mut |_, _| {}).await
}

async fn fetch(url: &str) -> Collection {
    features(ask(url, |_| ()).await)
}

fn open(broker: &Broker) -> String {
    format!("mqtt://127.0.0.1:{}", broker.open)
}

fn communes() -> String {
    std::fs::read_to_string(communes_file()).unwrap()
}

/// Retained points `0`, `1`, … of a collection, without its manifest.
fn points(collection: &str, count: usize) -> Vec<(String, Vec<u8>, bool)> {
    let message = |nth: usize| {
        let text = point(&nth.to_string(), 106.0 + nth as f64 / 1e5, 11.0);
        (format!("collections/{collection}/items/{nth}"), text.into_bytes(), true)
    };
    (0..count).map(message).collect()
}

#[tokio::test]
async fn the_same_communes_come_from_a_broker() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::start(program).await;
    let all = kept("communes", &communes());
    assert_eq!(all.len(), 97);
    // The manifest first, and everything twice: neither changes what is kept.
    broker.send(&all[96..]).await;
    broker.send(&all).await;
    broker.send(&all[..40]).await;
    let got = fetch(&open(&broker)).await;
    same("mosquitto", &got);
    assert!(got.announced && !got.practice);
    assert_eq!(got.as_of.unwrap().to_string(), "2026-11-01T00:00:00Z");
    let unchanged = ask(&open(&broker), |wanted| wanted.validator = Some(leaked(&got))).await;
    assert!(matches!(unchanged, Ok(Fetched::NotModified)), "{unchanged:?}");
    let look = features(ask(&open(&broker), |wanted| wanted.at_most = Some(10)).await);
    assert!((10..96).contains(&look.features.len()), "{}", look.features.len());

    let sealed = format!("mqtts://localhost:{}", broker.sealed);
    let trusting = format!("{sealed}?sslrootcert={}", broker.certificate().display());
    same("mosquitto by TLS", &fetch(&trusting).await);
    let error = ask(&sealed, |_| ()).await.unwrap_err();
    assert!(error.code() == "tls" && error.to_string().contains("certificate"), "{error}");
    let error = ask(&format!("{sealed}?sslrootcert=/nowhere.pem"), |_| ()).await.unwrap_err();
    assert!(error.code() == "tls" && error.to_string().contains("/nowhere.pem"), "{error}");

    let closed = format!("mqtt://127.0.0.1:{}", broker.closed);
    assert_eq!(ask(&closed, |_| ()).await.unwrap_err().code(), "login");
    let credentials = Credentials::Basic { user: "reader".into(), secret: "broker".into() };
    let secret = Secret::new("Mật khẩu");
    let root: Url = closed.parse().unwrap();
    let login = Some(Login { credentials: &credentials, secret: &secret });
    let asked = Wanted { login, ..wanted(&root, "communes", Path::new("/proc/nowhere")) };
    // Each door of this broker has the same rooms.
    same(
        "by password",
        &features(service(Protocol::Mqtt).unwrap().fetch(&Client::default(), asked, &mut |_, _| {}).await),
    );

    // Without a manifest; under a pattern, and below a path.
    broker.send(&[("collections/communes/items".into(), Vec::new(), true)]).await;
    let got = fetch(&open(&broker)).await;
    same("without a manifest", &got);
    assert!(!got.announced && got.report.warnings.is_empty(), "{:?}", got.report.warnings);
    let by_pattern = ask(&open(&broker), |wanted| wanted.collection = Some("collections/+/items/+")).await;
    same("by a pattern", &features(by_pattern));
    let below =
        ask(&format!("{}/collections", open(&broker)), |wanted| wanted.collection = Some("communes/items")).await;
    same("below a path", &features(below));
    let error = ask(&open(&broker), |wanted| wanted.collection = Some("communes")).await.unwrap_err();
    assert!(error.code() == "no_collection" && error.to_string().contains("\"communes\""), "{error}");
}

/// A validator that lives as long as the test program.
fn leaked(collection: &Collection) -> &'static str {
    collection.validator.clone().unwrap().leak()
}

#[tokio::test]
async fn a_set_counts_as_whole_by_its_number() {
    let Some(program) = mosquitto() else { return };
    let broker = Arc::new(Broker::start(program).await);
    let mut all = points("communes", 5);
    all.push(("collections/communes/items".into(), manifest(6), true));
    broker.send(&all).await;
    let error = ask(&open(&broker), |_| ()).await.unwrap_err();
    assert!(error.to_string().contains("6 features were announced, 5 came"), "{error}");
    // Whoever publishes needs a while.
    let late = broker.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        late.send(&points("communes", 6)[5..]).await;
    });
    assert_eq!(fetch(&open(&broker)).await.features.len(), 6);
    broker.send(&[("collections/communes/items".into(), manifest(3), true)]).await;
    let error = ask(&open(&broker), |_| ()).await.unwrap_err();
    assert!(error.to_string().contains("the 3 announced"), "{error}");
    // Taken away, one by one: an empty message.
    let gone: Vec<_> = points("communes", 6).into_iter().skip(3).map(|(topic, ..)| (topic, Vec::new(), true)).collect();
    broker.send(&gone).await;
    assert_eq!(fetch(&open(&broker)).await.features.len(), 3);
    for (payload, word) in [
        (&b"{\"type\": \"FeatureCollection\", \"numberMatched\": "[..], "EOF"),
        (b"[1, 2]", "collections/communes/items"),
        (b"{\"features\": [{}]}", "one a topic below it"),
        (b"\xff\xfe", "collections/communes/items"),
        (b"{\"numberMatched\": -3}", "invalid value"),
    ] {
        broker.send(&[("collections/communes/items".into(), payload.to_vec(), true)]).await;
        let error = ask(&open(&broker), |_| ()).await.unwrap_err();
        assert!(error.code() == "malformed" && error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_queue_that_is_full_is_seen_by_the_number() {
    let Some(program) = mosquitto() else { return };
    let mut all = points("communes", 3_000);
    let broker = Broker::start(program.clone()).await;
    broker.send(&all).await;
    let got = fetch(&open(&broker)).await;
    assert!((1_000..3_000).contains(&got.features.len()), "{}", got.features.len());
    assert!(got.report.warnings[0].contains("whose queue is full"), "{:?}", got.report.warnings);
    all.push(("collections/communes/items".into(), manifest(3_000), true));
    broker.send(&all[3_000..]).await;
    let error = ask(&open(&broker), |_| ()).await.unwrap_err();
    assert!(error.to_string().contains("3000 features were announced"), "{error}");
    let roomy = Broker::with(program, "max_queued_messages 0").await;
    roomy.send(&all).await;
    let got = fetch(&open(&roomy)).await;
    assert_eq!((got.features.len(), got.report.warnings.len()), (3_000, 0));
}

#[tokio::test]
async fn what_is_no_feature_costs_that_topic() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::start(program).await;
    let good = point("good", 106.1, 11.1);
    let large = format!("{{\"type\":\"Feature\",\"x\":\"{}\"}}", "a".repeat(9 << 20));
    let topic = |level: &str| format!("collections/communes/items/{level}");
    let keep = |level: &str, payload: &[u8]| (topic(level), payload.to_vec(), true);
    broker
        .send(&[
            keep("a-good", good.as_bytes()),
            keep("b-cut", &good.as_bytes()[..good.len() - 9]),
            keep("c-type", br#"{"type":"Point","coordinates":[106.1,11.1],"id":"c"}"#),
            keep("d-list", b"[1,2]"),
            keep("e-bytes", b"\xff\xfe\x00"),
            keep("f-large", large.as_bytes()),
            keep("g-far", point("far", 1060.2, 11.3).as_bytes()),
            keep("h-again", good.as_bytes()),
            keep("i-null", br#"{"type":"Feature","id":"i","geometry":null,"properties":null}"#),
            keep("k-wrong", br#"{"type":"Feature","id":"k","geometry":{"type":"Point","coordinates":"here"},"properties":{}}"#),
            // Its key is the topic's.
            keep("m-own", br#"{"type":"Feature","geometry":{"type":"Point","coordinates":[106.2,11.2]},"properties":{"name":"x"}}"#),
            keep("n/deeper", good.as_bytes()),
        ])
        .await;
    let got = fetch(&open(&broker)).await;
    let ids: Vec<&str> = got.features.iter().map(|feature| &*feature.id).collect();
    assert!(ids.contains(&"good") && ids.contains(&"m-own"), "{ids:?}");
    for rejected in &got.report.rejected {
        assert!(rejected.reason.starts_with("topic collections/communes/items/"), "{rejected:?}");
    }
    let of = |level: &str| {
        let of_it = |reason: &str| reason.starts_with(&format!("topic {}:", topic(level)));
        got.report.rejected.iter().find(|rejected| of_it(&rejected.reason)).map(|rejected| rejected.code.as_str())
    };
    for (level, code) in [
        ("b-cut", "syntax"),
        ("d-list", "syntax"),
        ("e-bytes", "encoding"),
        ("f-large", "syntax"),
        ("g-far", "coordinate_range"),
        ("h-again", "duplicate_id"),
        ("i-null", "geometry_missing"),
    ] {
        assert_eq!(of(level), Some(code), "{level}: {:?}", rejected_of(&got.report));
    }
    assert!(of("k-wrong").is_some() && of("a-good").is_none(), "{:?}", got.report.rejected);
    assert!(got.refused.values().any(|text| text.contains("106.1")), "{:?}", got.refused.keys());
}

#[tokio::test]
async fn changes_are_told_as_they_come() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::start(program).await;
    let all = points("communes", 3);
    broker.send(&all).await;
    let heard: Arc<Mutex<Vec<Change>>> = Arc::default();
    let (url, into): (Url, _) = (open(&broker).parse().unwrap(), heard.clone());
    let listening = tokio::spawn(async move {
        let layers = [("communes".to_owned(), None)];
        let sink = |change| into.lock().unwrap().push(change);
        changes(&Client::default(), &url, None, Protocol::Mqtt, &layers, sink).await
    });
    let until = async |wanted: &[Change]| {
        let began = Instant::now();
        loop {
            let news: Vec<Change> =
                heard.lock().unwrap().iter().copied().filter(|change| *change != Change::Alive).collect();
            if news == wanted {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{news:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(&[Change::Listening]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // What was kept is no news.
    until(&[Change::Listening]).await;
    broker.send(&[(all[0].0.clone(), Vec::new(), true)]).await;
    until(&[Change::Listening, Change::Changed]).await;
    broker.send(&[("collections/others/items/1".into(), b"{}".to_vec(), true), all[0].clone()]).await;
    until(&[Change::Listening, Change::Changed, Change::Changed]).await;
    broker.kill();
    let error = listening.await.unwrap();
    assert!(["ended", "reset"].contains(&error.code()), "{error}");
}

#[tokio::test]
async fn a_pasted_address_tells_what_is_kept() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::start(program).await;
    let mut all = kept("communes", &communes());
    all.extend(points("wells", 7));
    all.push(("collections/cameras/items".into(), br#"{"numberMatched":400,"title":"Camera"}"#.to_vec(), true));
    all.push(("else/where".into(), b"x".to_vec(), true));
    broker.send(&all).await;
    let found = recognise(&Client::default(), &open(&broker)).await.unwrap();
    assert_eq!((found.protocol, found.root.as_str()), (Protocol::Mqtt, open(&broker).as_str()));
    let offer = |id: &str, title: &str, features| Offer {
        collection: Some(format!("collections/{id}/items")),
        title: title.into(),
        features: Some(features),
    };
    let wanted = [offer("cameras", "Camera", 400), offer("communes", "communes", 96), offer("wells", "wells", 7)];
    assert_eq!(found.offers, wanted);
    let error = recognise(&Client::default(), "mqtt://127.0.0.1:1").await.unwrap_err();
    assert_eq!(error.code(), "refused");
    let error = recognise(&Client::default(), &format!("mqtt://127.0.0.1:{}", broker.closed)).await.unwrap_err();
    assert_eq!(error.code(), "login");
}
