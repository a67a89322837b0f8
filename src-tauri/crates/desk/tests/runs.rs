//! What the desk keeps of the runs of its sources: the log, pauses, rejected rows, deliveries that lack too much.
#![allow(clippy::unwrap_used)]

use desk::api::{BreakerState, Run, RunOutcome, RunTrigger};
use desk::{Desk, Kind, LayerId, Options, SyncOptions, call};
use practice::{Fault, Practice};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

async fn practice(home: &Path) -> Practice {
    Desk::make_home(&Options::at(home)).unwrap();
    Practice::start(&home.join("profile"), practice::Options::default()).await.unwrap()
}

fn open(home: &Path, url: &str) -> Arc<Desk> {
    let role = Some(desk::Role::Administrator);
    let (desk, _) = Desk::open(Options { practice_url: Some(url.into()), role, ..Options::at(home) }).unwrap();
    desk
}

async fn act(desk: &Arc<Desk>, kind: Kind, name: &str, args: Value) -> Result<Value, desk::api::Failure> {
    let args = serde_json::value::to_raw_value(&args).unwrap();
    call(desk, kind, name, &args).await.map(|answer| serde_json::from_str(answer.get()).unwrap())
}

fn newest(desk: &Desk, source: &str) -> Run {
    desk.runs(source).unwrap().into_iter().next().unwrap()
}

fn features(desk: &Desk, layer: &str) -> u64 {
    desk.layer_infos().iter().find(|info| info.id.as_str() == layer).unwrap().features
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_run_is_kept_with_what_it_did_and_survives_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path()).await;
    let desk = open(home.path(), &centre.base_url());
    desk.sync_once(Some("features")).await.unwrap();
    let run = newest(&desk, "features");
    assert_eq!((run.trigger, run.failure.as_ref()), (RunTrigger::Person, None));
    assert!(run.received > 300 && run.bytes > 10_000, "{run:?}");
    assert_eq!(run.accepted + run.rejected, run.received);
    desk.sync_once(Some("features")).await.unwrap();
    let run = newest(&desk, "features");
    assert_eq!((run.outcome, run.received, run.layers.len()), (RunOutcome::Unchanged, 0, 0), "{run:?}");

    centre.faults().set("/ogc/collections/clinics", Fault::Status { code: 500, retry_after: None }, None);
    desk.sync_once(Some("features")).await.unwrap_err();
    let run = newest(&desk, "features");
    assert_eq!(run.outcome, RunOutcome::Partly, "{run:?}");
    assert_eq!(run.layers.len(), 1);
    assert_eq!(run.layers[0].failure.as_ref().unwrap().code, "status");
    centre.faults().set("/ogc", Fault::Status { code: 500, retry_after: None }, None);
    desk.sync_once(Some("features")).await.unwrap_err();
    assert_eq!(newest(&desk, "features").outcome, RunOutcome::Failed);
    desk.sync_once(Some("stations")).await.unwrap();
    assert!(newest(&desk, "stations").accepted > 1_000);
    drop(desk);

    let desk = open(home.path(), &centre.base_url());
    let runs: Vec<Run> =
        serde_json::from_value(act(&desk, Kind::Ask, "source_runs", json!({"source": "features"})).await.unwrap())
            .unwrap();
    assert_eq!(runs.len(), 4);
    let health = desk.sources_info().sources.into_iter().find(|source| source.id == "features").unwrap();
    assert_eq!(health.runs[1..], [RunOutcome::Unchanged, RunOutcome::Partly, RunOutcome::Failed]);
    assert_eq!(act(&desk, Kind::Ask, "source_runs", json!({"source": "x"})).await.unwrap_err().code, "no_source");
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_source_is_left_alone_by_the_schedule_and_asked_by_hand() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path()).await;
    let desk = open(home.path(), &centre.base_url());
    act(&desk, Kind::Act, "pause_source", json!({"source": "features", "paused": true})).await.unwrap();
    assert_eq!(
        act(&desk, Kind::Act, "pause_source", json!({"source": "x", "paused": true})).await.unwrap_err().code,
        "no_source"
    );
    drop(desk);
    let desk = open(home.path(), &centre.base_url());
    let _syncing = desk.start_syncing();
    let waited = |source: &'static str, wanted: usize| {
        let desk = desk.clone();
        async move {
            for _ in 0..200 {
                if desk.runs(source).unwrap().len() >= wanted {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            false
        }
    };
    assert!(waited("stations", 1).await, "the other source runs");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(desk.runs("features").unwrap().len(), 0);
    let health = |id: &str| desk.sources_info().sources.into_iter().find(|source| source.id == id).unwrap();
    assert!(health("features").paused && health("features").next_run_at.is_none());
    desk.sync_once(Some("features")).await.unwrap();
    assert_eq!(desk.runs("features").unwrap().len(), 1, "by hand it is asked");
    // Another process resumes it: here a second desk on the same home.
    let other = open(home.path(), &centre.base_url());
    act(&other, Kind::Act, "pause_source", json!({"source": "features", "paused": false})).await.unwrap();
    assert!(waited("features", 2).await, "it was not taken up again");
    assert_eq!(newest(&desk, "features").trigger, RunTrigger::Schedule);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let health = health("features");
    assert!(!health.paused && health.next_run_at.is_some(), "{health:?}");
    centre.stop().await;
}

fn school(nth: usize, lon: f64) -> Value {
    let at = json!({"type": "Point", "coordinates": [lon, 11.3]});
    json!({"type": "Feature", "id": format!("s{nth}"), "properties": {"name": format!("Trường {nth}")}, "geometry": at})
}

/// A source of the protocol `file` whose content the test writes.
struct Served {
    home: tempfile::TempDir,
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    practice: Practice,
}

impl Served {
    async fn new() -> Self {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for home in [&home, &folder] {
            Desk::make_home(&Options::at(home.path())).unwrap();
        }
        let path = folder.path().join("profile/data/schools.geojson");
        let practice = Practice::start(&folder.path().join("profile"), practice::Options::default()).await.unwrap();
        Self { home, path, practice, _folder: folder }
    }

    /// The source speaks `protocol`; a fresh data centre serves these schools.
    async fn serve(&mut self, schools: Vec<Value>) -> String {
        std::fs::write(&self.path, json!({"type": "FeatureCollection", "features": schools}).to_string()).unwrap();
        let folder = self.path.parent().unwrap().parent().unwrap().to_owned();
        self.practice = Practice::start(&folder, practice::Options::default()).await.unwrap();
        self.practice.base_url()
    }

    fn by_file(&self) {
        let path = self.home.path().join("profile/profile.toml");
        let profile = std::fs::read_to_string(&path).unwrap();
        let (before, schools) = profile.split_once("id = \"schools\"").unwrap();
        let schools = schools.replacen("feature_source = \"features\"", "feature_source = \"file\"", 1);
        let file = "[[sources]]\nid = \"file\"\nprotocol = \"file\"\ntitle = { vi = \"a\", en = \"b\" }\n\
                    url = \"practice:/ogc/collections/schools/items?limit=1000\"\nevery = \"10m\"\n";
        std::fs::write(&path, format!("{before}id = \"schools\"{schools}\n{file}")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deltas_are_by_id_and_a_delivery_that_lacks_too_much_is_held_back() {
    let mut served = Served::new().await;
    served.by_file();
    let all: Vec<Value> = (0..40).map(|nth| school(nth, 106.1)).collect();
    let url = served.serve(all.clone()).await;
    open(served.home.path(), &url).sync_once(Some("file")).await.unwrap();

    let mut next = all.clone();
    next.remove(3);
    next[0] = school(0, 106.2);
    next.push(school(99, 106.1));
    let url = served.serve(next.clone()).await;
    let desk = open(served.home.path(), &url);
    desk.sync_once(Some("file")).await.unwrap();
    let run = newest(&desk, "file");
    assert_eq!((run.added, run.changed, run.removed, run.outcome), (1, 1, 1, RunOutcome::Changed), "{run:?}");
    drop(desk);

    next.reverse();
    let url = served.serve(next.clone()).await;
    let desk = open(served.home.path(), &url);
    desk.sync_once(Some("file")).await.unwrap();
    let run = newest(&desk, "file");
    assert_eq!(run.outcome, RunOutcome::Unchanged, "another order is no other content: {run:?}");
    drop(desk);

    let url = served.serve(next[..15].to_vec()).await;
    let desk = open(served.home.path(), &url);
    let failure = desk.sync_once(Some("file")).await.unwrap_err();
    assert_eq!(failure.code, "delivery_shrunk");
    assert!(failure.message.contains("--accept-shrunk"), "{}", failure.message);
    assert_eq!(features(&desk, "schools"), 40);
    let health = desk.sources_info().sources.into_iter().find(|source| source.id == "file").unwrap();
    assert_eq!(health.freshness, model::Freshness::Error, "{health:?}");
    desk.sync_by(Some("file"), &SyncOptions { accept_shrunk: true }).await.unwrap();
    let run = newest(&desk, "file");
    assert_eq!((features(&desk, "schools"), run.removed), (15, 25));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_deletions_are_believed_but_rows_that_cannot_be_read_are_no_deletions() {
    let mut served = Served::new().await;
    let all: Vec<Value> = (0..40).map(|nth| school(nth, 106.1)).collect();
    let url = served.serve(all.clone()).await;
    open(served.home.path(), &url).sync_once(Some("features")).await.unwrap();
    let url = served.serve(all[..10].to_vec()).await;
    let desk = open(served.home.path(), &url);
    desk.sync_once(Some("features")).await.unwrap();
    assert_eq!((features(&desk, "schools"), newest(&desk, "features").removed), (10, 30));
    drop(desk);
    let url = served.serve(all.clone()).await;
    open(served.home.path(), &url).sync_once(Some("features")).await.unwrap();

    let broken: Vec<Value> = (0..40).map(|nth| school(nth, if nth < 30 { 1060.1 } else { 106.1 })).collect();
    let url = served.serve(broken).await;
    let desk = open(served.home.path(), &url);
    let failure = desk.sync_once(Some("features")).await.unwrap_err();
    assert_eq!((failure.code.as_str(), features(&desk, "schools")), ("delivery_shrunk", 40));
    let kept = desk.rejected(Some("features")).unwrap();
    assert_eq!((kept.len(), kept[0].rows, kept[0].layer.as_str()), (1, 30, "schools"), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_rows_are_kept_listed_and_can_be_mended() {
    let mut served = Served::new().await;
    let far = |nth: usize| school(nth, 1060.1);
    let mut rows: Vec<Value> = (0..30).map(|nth| school(nth, 106.1)).collect();
    rows[4] = far(4);
    let url = served.serve(rows).await;
    let desk = open(served.home.path(), &url);
    let mut told = desk.listen();
    desk.sync_once(Some("features")).await.unwrap();
    let kept = act(&desk, Kind::Ask, "rejected", json!({"source": "features"})).await.unwrap();
    let of_schools: Vec<&Value> = kept.as_array().unwrap().iter().filter(|file| file["layer"] == "schools").collect();
    assert_eq!(of_schools.len(), 1, "{kept}");
    assert_eq!(of_schools[0]["rows"], 1);
    let table = std::fs::read_to_string(of_schools[0]["file"].as_str().unwrap()).unwrap();
    assert!(table.starts_with("row,field,value,code,reason,feature\n5,\"geometry\","), "{table}");
    let mend = of_schools[0]["features_file"].as_str().unwrap();
    let notice = std::iter::from_fn(|| told.try_recv().ok())
        .filter_map(|message| serde_json::from_slice::<Value>(&message[1..]).ok())
        .find(|event| event["failure"]["code"] == "rows_dropped")
        .unwrap();
    assert!(notice["failure"]["message"].as_str().unwrap().contains(mend), "{notice}");
    desk.sync_once(Some("features")).await.unwrap();
    assert_eq!(
        desk.rejected(None).unwrap().iter().filter(|file| file.layer == "schools").count(),
        1,
        "same rows, one file"
    );

    let mended = std::fs::read_to_string(mend).unwrap().replace("1060.1", "106.1");
    std::fs::write(mend, mended).unwrap();
    let options = desk::ImportOptions { mode: desk::ImportMode::Upsert { key: "id".into() }, ..Default::default() };
    let before = features(&desk, "schools");
    let summary = desk.import(Path::new(mend), &LayerId::new("schools").unwrap(), &options, &mut |_, _| true).unwrap();
    assert_eq!((summary.accepted, features(&desk, "schools")), (1, before + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_for_a_minute_rests_and_a_person_may_try_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let centre = practice(home.path()).await;
    let secs = Arc::new(AtomicI64::new(1_795_000_000));
    let shown = secs.clone();
    let clock = Arc::new(move || desk::Timestamp::from_second(shown.load(Ordering::Relaxed)).unwrap());
    let practice_url = Some(centre.base_url());
    let (desk, _) = Desk::open(Options { practice_url, clock, ..Options::at(home.path()) }).unwrap();
    let health = || desk.sources_info().sources.into_iter().find(|source| source.id == "features").unwrap();
    centre.faults().set("/ogc", Fault::Status { code: 503, retry_after: None }, None);
    for _ in 0..5 {
        assert_eq!(health().breaker, BreakerState::Closed);
        desk.sync_once(Some("features")).await.unwrap_err();
        secs.fetch_add(15, Ordering::Relaxed);
    }
    let resting = health();
    assert_eq!(resting.breaker, BreakerState::Open, "{resting:?}");
    assert_eq!(resting.resting_until.unwrap().as_second(), 1_795_000_000 + 60 + 60);
    secs.fetch_add(60, Ordering::Relaxed);
    assert_eq!(health().breaker, BreakerState::HalfOpen);
    desk.sync_once(Some("features")).await.unwrap_err();
    assert_eq!(health().resting_until.unwrap().as_second(), secs.load(Ordering::Relaxed) + 120, "twice as long");
    centre.faults().clear();
    desk.sync_once(Some("features")).await.unwrap();
    assert_eq!((health().breaker, health().resting_until), (BreakerState::Closed, None));
    centre.stop().await;
}
