//! Station files from a hand and from a watched folder: into the history and onto the map, once, and nothing lost.

#![allow(clippy::unwrap_used)]

use desk::{Desk, ImportMode, ImportOptions, Kind, LayerId, OBSERVATIONS, Options, Timestamp, call};
use model::Observation;
use serde_json::json;
use serde_json::value::to_raw_value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The built-in province with a watched folder for its air stations, one of which has its code.
struct World {
    dir: tempfile::TempDir,
}

const AIR: &str = "air_stations";
const STATION: &str = "air-trang-bang";
const NOW: &str = "2026-03-24T17:06:00Z";

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        let maps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh");
        let to = world.dir.path().join("maps");
        fs::create_dir_all(to.join("data")).unwrap();
        for entry in fs::read_dir(maps.join("data")).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, to.join("data").join(from.file_name().unwrap())).unwrap();
        }
        let profile = fs::read_to_string(maps.join("profile.toml")).unwrap();
        let (head, tail) = profile.split_once("[[layers]]\nid = \"air_stations\"").unwrap();
        let tail = tail.replacen("live_source = \"stations\"", "live_source = \"folder\"", 1);
        let folder = world.folder();
        fs::create_dir_all(&folder).unwrap();
        let source = format!(
            "[[sources]]\nid = \"folder\"\nprotocol = \"station-folder\"\ntitle = {{ vi = \"Tệp\", en = \"Files\" }}\n\
             url = \"file://{}\"\nevery = \"5m\"\n\n",
            folder.display()
        );
        fs::write(to.join("profile.toml"), format!("{head}{source}[[layers]]\nid = \"air_stations\"{tail}")).unwrap();
        let data = to.join("data/air_stations.geojson");
        let stations = fs::read_to_string(&data).unwrap();
        let coded = stations.replacen("\"properties\":{", "\"properties\":{\"code\":\"LA_EFGH_KHI002\",", 1);
        fs::write(&data, coded).unwrap();
        world
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("share")
    }

    fn open(&self) -> Arc<Desk> {
        let clock = Arc::new(|| NOW.parse().unwrap());
        let profile = Some(self.dir.path().join("maps"));
        let home = Options::at(self.dir.path().join("home"));
        let (desk, notices) = Desk::open(Options { profile, clock, ..home }).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        desk
    }

    /// Puts a file below the folder, as old as told.
    fn put(&self, name: &str, text: &str, age_secs: i64) {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let at_secs = NOW.parse::<Timestamp>().unwrap().as_second() - age_secs;
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at_secs.unsigned_abs());
        fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    }

    fn loose(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn history(&self, layer: &str, feature: &str) -> Vec<Observation> {
        let history = store::History::open(&self.dir.path().join("home/history.sqlite")).unwrap();
        history.range(&LayerId::new(layer).unwrap(), feature, None, Timestamp::MIN, Timestamp::MAX).unwrap()
    }

    fn rejected(&self) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.dir.path().join("home/rejected")) else { return Vec::new() };
        folder.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }
}

fn import(desk: &Desk, file: &Path) -> Result<desk::ImportSummary, desk::api::Failure> {
    let layer = LayerId::new(OBSERVATIONS).unwrap();
    desk.import(file, &layer, &ImportOptions::default(), &mut |_, _| true)
}

fn rows(time: &str, pm25: f64) -> String {
    format!("PM2,5\t{pm25}\tug/m3\t{time}\t00\r\nCO\t3,5\tmg/m3\t{time}\t01\r\n")
}

async fn reading(desk: &Arc<Desk>, parameter: &str) -> serde_json::Value {
    let args = to_raw_value(&json!({"layer": AIR, "id": STATION})).unwrap();
    let answer = call(desk, Kind::Ask, "feature", &args).await.unwrap();
    let detail: serde_json::Value = serde_json::from_str(answer.get()).unwrap();
    let readings = detail["readings"].as_array().unwrap();
    readings.iter().find(|reading| reading["parameter"]["code"] == parameter).unwrap().clone()
}

#[tokio::test]
async fn imported_file_shows_on_the_map_with_its_age_and_after_a_restart() {
    let world = World::new();
    // The province's letters do not matter.
    let file = world.loose("TN_EFGH_KHI002_20260325000500.txt", &rows("20260325000500", 27.81));
    let desk = world.open();
    let summary = import(&desk, &file).unwrap();
    assert_eq!((summary.layer.as_str(), summary.accepted, summary.rejected), (OBSERVATIONS, 2, 0));
    for desk in [desk, world.open()] {
        let pm25 = reading(&desk, "pm25").await;
        assert_eq!((pm25["value"].as_f64(), &pm25["freshness"]), (Some(27.81), &json!("fresh")));
        assert_eq!(pm25["measured_at"], "2026-03-24T17:05:00Z");
        let co = reading(&desk, "co").await;
        assert_eq!((co["value"].as_f64(), &co["status"]), (Some(3500.0), &json!("calibrating")));
        assert!(!desk.layer_infos().iter().find(|info| info.id.as_str() == AIR).unwrap().practice);
    }
    assert_eq!(import(&world.open(), &file).unwrap().accepted, 2, "twice is as good as once");
    assert_eq!(world.history(AIR, STATION).len(), 2);
}

#[test]
fn a_folder_tree_is_imported_whole_and_its_bad_rows_are_listed_with_their_files() {
    let world = World::new();
    world.put("KHI002/2026/03/25/LA_EFGH_KHI002_20260325000000.txt", &rows("20260325000000", 20.0), 300);
    world.put(
        "KHI002/2026/03/25/LA_EFGH_KHI002_20260325000500.txt",
        "PM2.5\t21\tug/m3\t20260325000500\t00\r\nPM10\t48\r\nNO2\t9\tppb\t20260325000500\t00\r\n\
         O3\t1\tug/m3\t20260325001500\t00\r\n",
        0,
    );
    world.put("KHI002/notes.txt", "not a station file\n", 0);
    let summary = import(&world.open(), &world.folder()).unwrap();
    assert_eq!((summary.accepted, summary.rejected), (3, 4));
    let listed = fs::read_to_string(summary.rejected_file.unwrap()).unwrap();
    for word in ["column_count", "unit_mismatch", "time_future", "station_file_name", "20260325000500.txt: "] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    assert_eq!(world.history(AIR, STATION).len(), 3);

    let desk = world.open();
    let options = ImportOptions { abort: true, ..ImportOptions::default() };
    let layer = LayerId::new(OBSERVATIONS).unwrap();
    let failure = desk.import(&world.folder(), &layer, &options, &mut |_, _| true).unwrap_err();
    assert!(failure.message.contains("notes.txt") || failure.message.contains("KHI002"), "{}", failure.message);
}

#[test]
fn file_of_an_unknown_station_is_kept_and_taken_in_when_the_station_has_its_code() {
    let world = World::new();
    let desk = world.open();
    let file = world.loose("LA_NEW_KHI009_20260325000500.txt", &rows("20260325000500", 30.0));
    let summary = import(&desk, &file).unwrap();
    assert_eq!((summary.accepted, summary.rejected, summary.warnings.len()), (2, 0, 1));
    assert!(summary.warnings[0].contains("NEW_KHI009") && summary.warnings[0].contains("code"));
    assert!(desk.check().unwrap().iter().any(|finding| finding.subject == "station NEW_KHI009" && !finding.ok));
    fs::remove_file(&file).unwrap();

    let station = "id,code,name,lon,lat\nair-new,LA_NEW_KHI009,Trạm mới,106.2,11.2\n";
    let options = ImportOptions { mode: ImportMode::Append, ..ImportOptions::default() };
    let station = world.loose("new.csv", station);
    desk.import(&station, &LayerId::new(AIR).unwrap(), &options, &mut |_, _| true).unwrap();
    let other = world.loose("LA_EFGH_KHI002_20260325000500.txt", &rows("20260325000500", 1.0));
    assert_eq!(import(&desk, &other).unwrap().warnings, [""; 0]);
    let values: Vec<f64> = world.history(AIR, "air-new").iter().map(|o| o.value).collect();
    assert_eq!(values, [3500.0, 30.0]);
    assert!(!desk.check().unwrap().iter().any(|finding| finding.subject.starts_with("station ")));
}

#[test]
fn what_is_no_station_file_is_said_so() {
    let world = World::new();
    let desk = world.open();
    let code = |name: &str, text: &str| import(&desk, &world.loose(name, text)).unwrap_err().code;
    assert_eq!(code("a.csv", "id,lon,lat\n1,106,11\n"), "not_station_file");
    assert_eq!(code("report.txt", &rows("20260325000500", 1.0)), "station_file_name");
    assert_eq!(code("LA_EFGH_KHI002_20260325000500.txt", ""), "empty_file");
    assert_eq!(code("LA_EFGH_KHI002_20260325001000.txt", "CO\t1\tppb\t20260325000500\t00\n"), "nothing_accepted");
    let empty = world.dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(import(&desk, &empty).unwrap_err().code, "no_station_files");
    let file = world.loose("LA_EFGH_KHI002_20260325000500.txt", &rows("20260325000500", 1.0));
    let layer = LayerId::new(AIR).unwrap();
    let failure = desk.import(&file, &layer, &ImportOptions::default(), &mut |_, _| true).unwrap_err();
    assert!(failure.code == "wrong_format" && failure.message.contains("--layer observations"), "{}", failure.message);
}

#[tokio::test]
async fn watched_folder_is_read_once_also_across_a_restart() {
    let world = World::new();
    let name = "KHI002/2026/03/25/LA_EFGH_KHI002_20260325000500.txt";
    world.put(name, &rows("20260325000500", 20.0), 60);
    let desk = world.open();
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 2));
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 0));
    assert_eq!(reading(&desk, "pm25").await["value"].as_f64(), Some(20.0));
    let info = desk.sources_info();
    let health = info.sources.iter().find(|source| source.id == "folder").unwrap();
    assert_eq!((health.link, health.freshness), (model::LinkState::Up, model::Freshness::Fresh));
    drop(desk);

    // The same value with another time of reception would show that the file was read again.
    let desk = world.open();
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 0));
    // Rewritten, and a late one from the logger's buffer.
    world.put(name, &rows("20260325000500", 22.0), 30);
    world.put("KHI002/2026/03/24/LA_EFGH_KHI002_20260324120000.txt", &rows("20260324120000", 9.0), 10);
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 3));
    assert_eq!(reading(&desk, "pm25").await["value"].as_f64(), Some(22.0), "a late value does not hide the newest");
    assert_eq!(world.history(AIR, STATION).len(), 4);
    fs::remove_dir_all(world.folder().join("KHI002")).unwrap();
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 0));
    assert_eq!(world.history(AIR, STATION).len(), 4, "what is gone from the folder stays in the history");
}

#[tokio::test]
async fn half_written_file_is_left_until_it_is_whole() {
    let world = World::new();
    let desk = world.open();
    let name = "LA_EFGH_KHI002_20260325000500.txt";
    let whole = rows("20260325000500", 20.0);
    world.put(name, &whole[..whole.len() - 8], 5);
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 0));
    assert_eq!((world.history(AIR, STATION).len(), world.rejected()), (0, vec![]));
    world.put(name, &whole, 4);
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 2));
    // A logger that never ends its last line: nobody writes to it any more.
    world.put("LA_EFGH_KHI002_20260325000000.txt", rows("20260325000000", 1.0).trim_end(), 3_600);
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 2));
}

#[tokio::test]
async fn station_nobody_knows_waits_in_the_folder_and_a_lost_share_is_a_lost_link() {
    let world = World::new();
    let desk = world.open();
    world.put("LA_NEW_KHI009_20260325000500.txt", &rows("20260325000500", 30.0), 60);
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 0));
    assert!(desk.check().unwrap().iter().any(|finding| finding.subject == "station NEW_KHI009"));
    let station = world.loose("new.csv", "id,code,name,lon,lat\nair-new,NEW_KHI009,Trạm mới,106.2,11.2\n");
    let options = ImportOptions { mode: ImportMode::Append, ..ImportOptions::default() };
    desk.import(&station, &LayerId::new(AIR).unwrap(), &options, &mut |_, _| true).unwrap();
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 2));

    fs::remove_dir_all(world.folder()).unwrap();
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap_err().code, "not_readable");
    desk.give_up_links();
    let info = desk.sources_info();
    let health = info.sources.iter().find(|source| source.id == "folder").unwrap();
    assert_eq!(health.link, model::LinkState::Lost);
    let states = desk.live_states();
    let air = states.iter().find(|states| states.layer.as_str() == AIR).unwrap();
    let new = air.states.iter().find(|state| state.id == "air-new").unwrap();
    assert_eq!(new.freshness, model::Freshness::Offline, "the last value stays, marked");
    fs::create_dir(world.folder()).unwrap();
    assert_eq!(desk.sync_once(Some("folder")).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn folder_on_trial_says_whose_files_it_holds_and_changes_nothing() {
    let world = World::new();
    world.put("a/TN_EFGH_KHI002_20260325000000.txt", &rows("20260325000000", 41.5), 900);
    world.put("a/TN_EFGH_KHI002_20260325000500.txt", "PM2,5\tx\tug/m3\t20260325000500\t00\r\n", 800);
    world.put("a/TN_NOBODY_X1_20260325000000.txt", &rows("20260325000000", 1.0), 700);
    world.put("a/notes.txt", "not a station file", 600);
    let desk = world.open();
    let order = json!({
        "source": {"protocol": "station-folder", "url": format!("file://{}", world.folder().display()), "title": "T", "every": "5m"},
        "layer": {"target": {"to": "layer", "layer": AIR}, "map": {}}
    });
    let (source, layer) = (order["source"].clone(), order["layer"].clone());
    let (source, layer) = (serde_json::from_value(source).unwrap(), serde_json::from_value(layer).unwrap());
    let trial = json!(desk.try_source(desk::TrySourceArgs { source, layer }).await.unwrap());
    assert_eq!(
        (&trial["format"], &trial["accepted"], &trial["mappable"]),
        (&json!("station-folder"), &json!(2), &json!(false))
    );
    assert!(trial["rejected"].as_u64().unwrap() >= 2, "a bad value and a file that is none: {trial}");
    let warnings = trial["warnings"].to_string();
    assert!(warnings.contains("NOBODY_X1") && warnings.contains('4'), "{warnings}");
    assert_eq!(trial["features"][0]["id"], STATION);
    let columns = trial["columns"].to_string();
    assert!(columns.contains("41.5") && columns.contains("25/03/2026"), "{columns}");
    assert!(world.history(AIR, STATION).is_empty() && world.rejected().is_empty(), "a trial writes nothing");
}
