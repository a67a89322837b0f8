//! The desk beside a real MQTT broker that keeps features, or tells of them: what changes is on the map within seconds.

#![allow(clippy::unwrap_used)]

#[path = "../src-tauri/crates/sources/tests/foreign/mosquitto.rs"]
mod mosquitto;
#[path = "../src-tauri/crates/sources/tests/foreign/process.rs"]
mod process;

use desk::api::RunTrigger;
use desk::{Desk, ExportOptions, LayerId, Options};
use model::LinkState;
use mosquitto::{Broker, kept, manifest, mosquitto};
use practice::Practice;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const COMMUNES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../maps/tay-ninh/data/communes.geojson");

/// A home with one source and its communes, and no data of the profile's own.
fn home(folder: &Path, source: &str) -> Arc<Desk> {
    let profile = folder.join("profile");
    std::fs::create_dir_all(profile.join("data")).unwrap();
    let text = journeys::communes_profile(source, "");
    std::fs::write(profile.join("profile.toml"), text).unwrap();
    let (desk, notices) = Desk::open(Options { profile: Some(profile), ..Options::at(folder.join("home")) }).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    desk
}

fn text(desk: &Desk, folder: &Path) -> String {
    let file = folder.join("out.geojson");
    match desk.export(&LayerId::new("communes").unwrap(), &file, &ExportOptions::default()) {
        Ok(_) => std::fs::read_to_string(file).unwrap(),
        Err(_) => String::new(),
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_keeps_is_on_the_map_and_follows_it() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::start(program).await;
    let all = kept("communes", &std::fs::read_to_string(COMMUNES).unwrap());
    broker.send(&all).await;
    let folder = tempfile::tempdir().unwrap();
    let source = format!("protocol = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{}\"", broker.open);
    let desk = home(folder.path(), &source);
    let syncing = desk.start_syncing();
    let count = |desk: &Desk| text(desk, folder.path()).matches("\"Feature\"").count();
    until("all came", || count(&desk) == 96).await;
    // The task that listens has begun when the source was woken by it.
    let by_event = |desk: &Desk| {
        let runs = desk.runs("communes").unwrap();
        runs.iter().filter(|run| run.trigger == RunTrigger::Event).count()
    };
    until("it listens", || by_event(&desk) > 0).await;

    // One is changed, one is taken away.
    let renamed = String::from_utf8(all[0].1.clone()).unwrap().replacen("\"name\":\"", "\"name\":\"Tên mới ", 1);
    assert!(renamed.contains("Tên mới"));
    broker
        .send(&[
            (all[0].0.clone(), renamed.into_bytes(), true),
            (all[1].0.clone(), Vec::new(), true),
            ("collections/communes/items".into(), manifest(95), true),
        ])
        .await;
    let took = until("the change came", || text(&desk, folder.path()).contains("Tên mới") && count(&desk) == 95).await;
    assert!(took < Duration::from_secs(12), "{took:?}");
    let runs = desk.runs("communes").unwrap();
    let layer = runs.iter().flat_map(|run| &run.layers).find(|layer| layer.removed > 0).unwrap();
    assert_eq!((layer.changed, layer.removed, layer.added), (1, 1, 0));

    // More than half is gone, and nobody announced that: it is held back.
    let most: Vec<_> = all[2..80].iter().map(|(topic, ..)| (topic.clone(), Vec::new(), true)).collect();
    broker.send(&[("collections/communes/items".into(), Vec::new(), true)]).await;
    broker.send(&most).await;
    let held_back = || {
        let runs = desk.runs("communes").unwrap();
        let failure = runs[0].layers.first().and_then(|layer| layer.failure.as_ref());
        failure.is_some_and(|failure| failure.code == "delivery_shrunk")
    };
    until("it is held back", held_back).await;
    assert_eq!(count(&desk), 95);

    // The broker goes, and that is seen; it comes back with nothing, and that is no data.
    broker.kill();
    let link = || desk.sources_info().sources[0].link;
    let took = until("its loss is seen", || link() == LinkState::Lost).await;
    assert!(took < Duration::from_secs(9), "{took:?}");
    broker.go().await;
    until("it is heard again", || link() == LinkState::Up).await;
    broker.send(&all).await;
    until("all is as it was", || count(&desk) == 96 && !text(&desk, folder.path()).contains("Tên mới")).await;
    syncing.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_beside_a_service_tells_when_to_ask_it() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::start(program).await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("practice");
    std::fs::create_dir_all(data.join("data")).unwrap();
    std::fs::copy(COMMUNES, data.join("data/communes.geojson")).unwrap();
    let source = |url: &str| {
        format!("protocol = \"ogc-api-features\"\nurl = \"{url}\"\nmqtt = \"mqtt://127.0.0.1:{}/tayninh\"", broker.open)
    };
    drop(home(&data, &source("http://127.0.0.1:1")));
    std::fs::copy(COMMUNES, data.join("profile/data/communes.geojson")).unwrap();
    let profile = data.join("profile/profile.toml");
    let of_source = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, of_source + "file = \"data/communes.geojson\"\n").unwrap();
    let centre = Practice::start(&data.join("profile"), practice::Options::default()).await.unwrap();
    let desk = home(folder.path(), &source(&format!("{}/ogc", centre.base_url())));
    let syncing = desk.start_syncing();
    let by_event = || {
        let runs = desk.runs("communes").unwrap();
        runs.iter().filter(|run| run.trigger == RunTrigger::Event).count()
    };
    until("it listens", || by_event() == 1).await;
    // As pygeoapi publishes a transaction (OGC 25-030): a CloudEvent under the collection, kept by nobody.
    let event = serde_json::json!({
        "specversion": "1.0", "type": "org.ogc.api.collection.item.update", "source": centre.base_url(),
        "subject": "tayninh/collections/communes", "id": "1", "time": "2026-11-23T14:00:00Z",
        "datacontenttype": "application/geo+json", "data": {},
    });
    let event = event.to_string().into_bytes();
    tokio::time::sleep(Duration::from_secs(6)).await;
    // Another collection's is none of this layer's.
    broker.send(&[("tayninh/collections/schools".into(), event.clone(), false)]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(by_event(), 1);
    broker.send(&[("tayninh/collections/communes".into(), event, false)]).await;
    let took = until("the service is asked", || by_event() == 2).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    // A broker that goes takes nothing of the service with it.
    broker.kill();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let source = &desk.sources_info().sources[0];
    assert_eq!((source.link, source.last_error.as_deref()), (LinkState::Up, None));
    syncing.stop();
    centre.stop().await;
}
