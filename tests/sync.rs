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
async fn the_profile_says_by_which_protocol_a_layer_comes() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    let path = home.path().join("profile/profile.toml");
    let profile = std::fs::read_to_string(&path).unwrap();
    let (before, clinics) = profile.split_once("id = \"clinics\"").unwrap();
    let clinics = clinics.replacen("feature_source = \"features\"", "feature_source = \"file\"", 1);
    let source = |protocol: &str, id: &str, url: &str| {
        format!(
            "[[sources]]\nid = \"{id}\"\nprotocol = \"{protocol}\"\ntitle = {{ vi = \"a\", en = \"b\" }}\nurl = \"{url}\"\nevery = \"10m\"\n"
        )
    };
    let file = source("file", "file", "practice:/ogc/collections/clinics/items?limit=1000");
    std::fs::write(&path, format!("{before}id = \"clinics\"{clinics}\n{file}")).unwrap();
    let desk = open(home.path(), &centre.base_url());
    desk.sync_once(Some("file")).await.unwrap();
    assert_eq!(desk.sync_once(Some("file")).await.unwrap().0, 0, "it came once, and stands");
    let info = desk.layer_infos().into_iter().find(|info| info.id.as_str() == "clinics").unwrap();
    assert_eq!(info.features, 214);
    let left = std::fs::read_dir(home.path().join("staging")).unwrap().count();
    assert_eq!(left, 0, "nothing stays of a transfer that is done");
    drop(desk);
    for (protocol, code) in [("wfs", "malformed"), ("arcgis", "no_collection")] {
        let wrong = source(protocol, "file", "practice:/ogc");
        std::fs::write(&path, format!("{before}id = \"clinics\"{clinics}\n{wrong}")).unwrap();
        let desk = open(home.path(), &centre.base_url());
        let failure = desk.sync_once(Some("file")).await.unwrap_err();
        assert_eq!(failure.code, code, "{}", failure.message);
        let info = desk.layer_infos().into_iter().find(|info| info.id.as_str() == "clinics").unwrap();
        assert_eq!(info.features, 214, "{protocol}");
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn source_without_its_event_stream_is_polled_at_leisure() {
    const MANY: u32 = 1_000;
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    centre.faults().set("/events", Fault::Status { code: 404, retry_after: None }, Some(MANY));
    let desk = open(home.path(), &centre.base_url());
    let _syncing = desk.start_syncing();
    assert!(within(Duration::from_secs(20), || fresh_cameras(&desk) > 300).await.is_some(), "no values came");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let tries = MANY - centre.faults().rules()[0].times.unwrap();
    assert!((1..=2).contains(&tries), "{tries} tries");
    let info = desk.sources_info();
    let stations = info.sources.iter().find(|source| source.id == "stations").unwrap();
    assert_eq!(stations.link, LinkState::Up, "who says that there is no stream is there");
    assert!(stations.last_error.as_ref().is_some_and(|error| error.contains("404")), "{stations:?}");
    let wait_secs = stations.next_try_at.unwrap().as_second() - model::Timestamp::now().as_second();
    assert!(wait_secs > 15, "next try in {wait_secs} s");
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_that_could_not_be_fetched_are_asked_for_again() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    // The past is fetched from here; the present comes with the Things.
    centre.faults().set("/sensorthings/v1.1/Datastreams", Fault::Status { code: 500, retry_after: None }, None);
    let desk = open(home.path(), &centre.base_url());
    let mut told = desk.listen();
    let _syncing = desk.start_syncing();
    let mut failed = || {
        std::iter::from_fn(|| told.try_recv().ok()).any(|message| {
            serde_json::from_slice::<serde_json::Value>(&message[1..]).is_ok_and(|event| {
                event["event"] == "job" && event["job"]["kind"] == "backfill" && event["job"]["state"] == "failed"
            })
        })
    };
    assert!(within(Duration::from_secs(20), &mut failed).await.is_some(), "nothing was asked for");
    let with_index = || {
        let states = desk.live_states();
        let air = states.iter().find(|states| states.layer.as_str() == "air_stations").unwrap();
        air.states.iter().filter(|state| state.value.is_some()).count()
    };
    assert_eq!(with_index(), 0);
    centre.faults().clear();
    assert!(within(Duration::from_secs(15), || with_index() > 3).await.is_some(), "{} have an index", with_index());
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_collection_keeps_no_other_from_being_fetched() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path(), None).await;
    let desk = open(home.path(), &centre.base_url());
    let profile = desk.profile();
    let of_source = profile.layers.iter().filter(|spec| spec.feature_source.as_deref() == Some("features"));
    let layers: Vec<LayerId> = of_source.map(|spec| spec.id.clone()).collect();
    let fetched_at = || {
        let infos = desk.layer_infos();
        let of = |id: &LayerId| {
            infos.iter().find(|info| info.id == *id).and_then(|info| Some(info.provenance.as_ref()?.fetched_at))
        };
        layers.iter().map(of).collect::<Vec<_>>()
    };
    let before = fetched_at();
    let broken = format!("/ogc/collections/{}", layers[0]);
    centre.faults().set(&broken, Fault::Status { code: 404, retry_after: None }, None);
    let failure = desk.sync_once(Some("features")).await.unwrap_err();
    assert_eq!(failure.code, "status", "{failure:?}");
    let after = fetched_at();
    assert_eq!(after[0], before[0]);
    let behind = after.iter().zip(&before).skip(1).filter(|(after, before)| after > before).count();
    assert_eq!(behind, layers.len() - 1, "a layer behind the broken one was not fetched");
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_source_delivers_is_brought_to_the_standard_or_named() {
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for home in [&home, &elsewhere] {
        Desk::make_home(&Options::at(home.path())).unwrap();
    }
    let school = |id: &str, properties: serde_json::Value| {
        let at = serde_json::json!({"type": "Point", "coordinates": [106.1, 11.3]});
        serde_json::json!({"type": "Feature", "id": id, "properties": properties, "geometry": at})
    };
    let delivered = serde_json::json!({"type": "FeatureCollection", "features": [
        school("a", serde_json::json!({"Tên trường": "THPT Tây Ninh", "level": "thpt", "commune": "25456"})),
        school("b", serde_json::json!({"level": "thcs"})),
    ]});
    std::fs::write(elsewhere.path().join("profile/data/schools.geojson"), delivered.to_string()).unwrap();
    let centre = practice(elsewhere.path(), None).await;
    let desk = open(home.path(), &centre.base_url());
    let mut told = desk.listen();
    desk.sync_once(Some("features")).await.unwrap();
    let question = serde_json::from_value(serde_json::json!({"layer": "schools"})).unwrap();
    let schools = desk.query(&question).unwrap().features;
    assert_eq!(schools.len(), 1);
    let properties = &schools[0]["properties"];
    assert_eq!((&properties["name"], &properties["commune"]), (&"THPT Tây Ninh".into(), &"25459".into()));
    assert_eq!(properties["commune_original"], "25456");
    let mut codes = std::collections::BTreeSet::new();
    while let Ok(message) = told.try_recv() {
        if let Ok(event) = serde_json::from_slice::<serde_json::Value>(&message[1..])
            && event["event"] == "notice"
        {
            codes.insert(event["failure"]["code"].as_str().unwrap_or_default().to_owned());
        }
    }
    assert!(codes.contains("rows_dropped") && codes.contains("standard_warnings"), "{codes:?}");
    let (changed, _) = desk.sync_once(Some("features")).await.unwrap();
    assert_eq!(changed, 0, "the same delivery gives the same layer");
    centre.stop().await;
}
