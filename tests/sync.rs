//! The desk against a real practice data centre with faults: what is fetched, what is kept, how it heals.

#![allow(clippy::unwrap_used)]

use desk::{Desk, ImportOptions, LayerId, Options};
use model::{Freshness, LinkState};
use practice::{Fault, Practice};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn layer(id: &str) -> LayerId {
    LayerId::new(id).unwrap()
}

async fn practice(home: &Path, listen: Option<std::net::SocketAddr>) -> Practice {
    Desk::make_home(&Options::at(home)).unwrap();
    let options = practice::Options { listen: listen.unwrap_or(([127, 0, 0, 1], 0).into()), ..Default::default() };
    Practice::start(&home.join("profile"), options).await.unwrap()
}

fn open(home: &Path, url: &str) -> Arc<Desk> {
    let (desk, notices) = Desk::open(Options { practice_url: Some(url.to_owned()), ..Options::at(home) }).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    desk
}

async fn within(patience: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let started = Instant::now();
    while started.elapsed() < patience {
        if holds() {
            return Some(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

fn fresh_cameras(desk: &Desk) -> u32 {
    desk.layer_infos().iter().find(|l| l.id.as_str() == "cameras").and_then(|l| l.live.clone()).map_or(0, |l| l.fresh)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulled_plug_shows_within_five_seconds_and_heals_by_itself() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    let address = centre.address();
    let desk = open(home.path(), &centre.base_url());
    let mut told = desk.listen();
    let _syncing = desk.start_syncing();
    assert!(within(Duration::from_secs(20), || fresh_cameras(&desk) > 300).await.is_some(), "no live values came");
    assert_eq!(desk.sources_info().link, LinkState::Up);

    centre.stop().await;
    let lost = within(Duration::from_secs(8), || desk.sources_info().link == LinkState::Lost).await;
    assert!(lost.is_some_and(|after| after <= Duration::from_secs(5)), "lost after {lost:?}");
    let states = desk.live_states();
    let air = states.iter().find(|states| states.layer.as_str() == "air_stations").unwrap();
    assert!(air.states.iter().all(|s| s.freshness == Freshness::Offline && s.measured_at.is_some()), "{air:?}");

    let centre = practice(home.path(), Some(address)).await;
    let healed = within(Duration::from_secs(12), || desk.sources_info().link == LinkState::Up).await;
    assert!(healed.is_some(), "it did not heal");
    assert!(within(Duration::from_secs(15), || fresh_cameras(&desk) > 300).await.is_some());

    // Windows heard of it: live batches (1) and source events (0).
    let mut kinds = (0, 0);
    while let Ok(message) = told.try_recv() {
        match message[0] {
            0 => kinds.0 += 1,
            _ => kinds.1 += 1,
        }
    }
    assert!(kinds.0 > 2 && kinds.1 > 2, "{kinds:?}");
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_cost_a_try_and_never_the_layer() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    let desk = open(home.path(), &centre.base_url());
    let before: Vec<_> = desk.layer_infos().iter().map(|l| (l.id.clone(), l.features)).collect();
    let faults = [
        ("reset", Fault::Reset),
        ("truncated", Fault::Truncate { bytes: 300 }),
        ("status", Fault::Status { code: 500, retry_after: None }),
        ("status", Fault::Status { code: 429, retry_after: Some(Duration::from_secs(2)) }),
    ];
    for (code, fault) in faults {
        centre.faults().set("/ogc", fault, None);
        let failure = desk.sync_once(Some("features")).await.unwrap_err();
        assert!(failure.code == code || failure.code == "reset", "{fault:?}: {failure:?}");
        assert!(!failure.message.starts_with("error."), "no sentence for {}", failure.code);
        let now: Vec<_> = desk.layer_infos().iter().map(|l| (l.id.clone(), l.features)).collect();
        assert_eq!(now, before, "{fault:?}");
    }
    centre.faults().set("/ogc", Fault::Slow { delay: Duration::from_millis(30) }, None);
    desk.sync_once(Some("features")).await.unwrap();
    centre.faults().clear();
    let (changed, _) = desk.sync_once(Some("features")).await.unwrap();
    assert_eq!(changed, 0, "what is there already is not replaced");
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_values_are_there_after_a_start_without_network() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    let url = centre.base_url();
    let desk = open(home.path(), &url);
    let (_, observations) = desk.sync_once(Some("stations")).await.unwrap();
    assert!(observations > 1_000, "{observations}");
    drop(desk);
    centre.stop().await;

    let desk = open(home.path(), &url);
    let _syncing = desk.start_syncing();
    assert!(within(Duration::from_secs(8), || desk.sources_info().link == LinkState::Lost).await.is_some());
    let states = desk.live_states();
    let with_time: usize = states.iter().map(|l| l.states.iter().filter(|s| s.measured_at.is_some()).count()).sum();
    assert!(with_time > 500, "{with_time} of 580 have their last value");
    let none_fresh = states.iter().flat_map(|l| &l.states).all(|s| s.freshness != Freshness::Fresh);
    assert!(none_fresh, "a value without a source is not fresh");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imported_layer_shows_at_once_and_is_not_overwritten_by_a_sync() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    let desk = open(home.path(), &centre.base_url());
    let mut told = desk.listen();
    let _syncing = desk.start_syncing();
    let file = home.path().join("mine.geojson");
    let square = r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"25459","properties":{"name":"Tân Ninh"},
        "geometry":{"type":"Polygon","coordinates":[[[106.0,11.2],[106.2,11.2],[106.2,11.4],[106.0,11.4],[106.0,11.2]]]}}]}"#;
    std::fs::write(&file, square).unwrap();

    // Another process writes: here a second desk on the same home, as the command line would.
    let other = open(home.path(), &centre.base_url());
    other.import(&file, &layer("communes"), &ImportOptions::default(), &mut |_, _| true).unwrap();
    let features = || desk.layer_infos().iter().find(|l| l.id.as_str() == "communes").map(|l| l.features);
    assert!(
        within(Duration::from_secs(3), || features() == Some(1)).await.is_some(),
        "the window's desk did not see it"
    );
    let mut heard = false;
    while let Ok(message) = told.try_recv() {
        heard |= message[0] == 0
            && serde_json::from_slice::<serde_json::Value>(&message[1..])
                .is_ok_and(|event| event["event"] == "layer" && event["layer"]["id"] == "communes");
    }
    assert!(heard, "windows were not told");

    desk.sync_once(Some("features")).await.unwrap();
    assert_eq!(features(), Some(1), "a sync took the imported layer away");
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_lost_like_one_that_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    let desk = open(home.path(), &centre.base_url());
    let _syncing = desk.start_syncing();
    assert!(within(Duration::from_secs(20), || fresh_cameras(&desk) > 300).await.is_some(), "no live values came");
    assert_eq!(desk.sources_info().link, LinkState::Up);

    // Connections stay open, open streams fall silent, new requests are taken and nothing comes.
    centre.faults().set("/", Fault::Stall, None);
    let lost = within(Duration::from_secs(8), || desk.sources_info().link == LinkState::Lost).await;
    assert!(lost.is_some(), "a hung server still counts as there");

    centre.faults().clear();
    assert!(within(Duration::from_secs(15), || desk.sources_info().link == LinkState::Up).await.is_some());
    centre.stop().await;
}
