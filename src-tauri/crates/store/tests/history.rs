//! Live values and what they were.
#![allow(clippy::unwrap_used)]

use model::{LayerId, Observation, SensorStatus, Timestamp};
use store::{History, ReadFile, StoreError};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn value(feature: &str, parameter: &str, measured_at: &str, value: f64) -> Observation {
    Observation {
        layer: LayerId::new("air_stations").unwrap(),
        feature: feature.into(),
        parameter: parameter.into(),
        measured_at: at(measured_at),
        value,
        status: SensorStatus::Measuring,
    }
}

fn open() -> (tempfile::TempDir, History) {
    let home = tempfile::tempdir().unwrap();
    let history = History::open(&home.path().join("history.sqlite")).unwrap();
    (home, history)
}

#[test]
fn latest_and_range_tell_what_was_recorded() {
    let (home, history) = open();
    let mut faulty = value("tb", "pm25", "2026-11-23T08:05:00.123456Z", 31.5);
    faulty.status = SensorStatus::Faulty;
    let all = [
        value("tb", "pm25", "2026-11-23T08:00:00Z", 30.0),
        value("tb", "co", "2026-11-23T08:00:00Z", 410.0),
        faulty.clone(),
        value("la", "pm25", "2026-11-23T07:00:00Z", 12.0),
    ];
    let received = at("2026-11-23T08:06:00Z");
    assert_eq!(history.record_at(&all, received).unwrap(), 4);
    drop(history);
    let history = History::open(&home.path().join("history.sqlite")).unwrap();
    let latest = history.latest(None).unwrap();
    assert_eq!(latest.len(), 3);
    assert!(latest.contains(&(faulty, received)));
    assert_eq!(history.latest(Some(&LayerId::new("cameras").unwrap())).unwrap(), []);
    let layer = LayerId::new("air_stations").unwrap();
    let range = |parameter, from, to| history.range(&layer, "tb", parameter, at(from), at(to)).unwrap();
    assert_eq!(range(None, "2026-11-23T08:00:00Z", "2026-11-23T08:05:00.123456Z").len(), 3, "both ends belong");
    assert_eq!(range(Some("pm25"), "2026-11-23T08:00:00Z", "2026-11-23T08:04:00Z"), [all[0].clone()]);
    assert_eq!(range(None, "2026-11-23T08:00:00.0000001Z", "2026-11-23T08:05:00.2Z").len(), 1);
    assert_eq!(range(None, "2026-11-24T00:00:00Z", "2026-11-23T00:00:00Z"), [], "an empty span");
    assert_eq!(history.integrity().unwrap(), [""; 0]);
}

#[test]
fn same_value_again_changes_nothing_and_a_correction_does() {
    let (_home, history) = open();
    let first = value("tb", "pm25", "2026-11-23T08:00:00Z", 30.0);
    let (early, late) = (at("2026-11-23T08:01:00Z"), at("2026-11-23T09:00:00Z"));
    assert_eq!(history.record_at(std::slice::from_ref(&first), early).unwrap(), 1);
    assert_eq!(history.record_at(&[first.clone(), first.clone()], late).unwrap(), 0);
    assert_eq!(history.latest(None).unwrap(), [(first.clone(), early)]);
    let corrected = Observation { value: 29.0, ..first };
    assert_eq!(history.record_at(std::slice::from_ref(&corrected), late).unwrap(), 1);
    assert_eq!(history.latest(None).unwrap(), [(corrected, late)]);
}

#[test]
fn value_that_is_no_number_is_refused_with_its_batch() {
    let (_home, history) = open();
    for bad in [f64::NAN, f64::INFINITY] {
        let batch = [value("tb", "co", "2026-11-23T08:00:00Z", 1.0), value("tb", "pm25", "2026-11-23T08:00:00Z", bad)];
        let error = history.record(&batch).unwrap_err();
        assert!(
            matches!(&error, StoreError::Value { feature, parameter, .. } if feature == "tb" && parameter == "pm25")
        );
    }
    assert_eq!(history.latest(None).unwrap(), []);
}

#[test]
fn pruning_keeps_the_latest_of_each_series() {
    let (_home, history) = open();
    let days: Vec<Observation> =
        (1..=9).map(|day| value("tb", "pm25", &format!("2026-11-0{day}T00:00:00Z"), f64::from(day))).collect();
    history.record(&days).unwrap();
    history.record(&[value("old", "ph", "2020-01-01T00:00:00Z", 7.0)]).unwrap();
    assert_eq!(history.prune(at("2026-11-04T00:00:00Z")).unwrap(), 3);
    assert_eq!(history.prune(at("2026-12-01T00:00:00Z")).unwrap(), 5);
    let latest: Vec<f64> = history.latest(None).unwrap().iter().map(|(observation, _)| observation.value).collect();
    assert_eq!(latest, [7.0, 9.0]);
}

#[test]
fn readers_do_not_wait_for_recording() {
    let (_home, history) = open();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for minute in 0..50 {
                let time = format!("2026-11-23T08:{minute:02}:00Z");
                let batch: Vec<_> =
                    (0..100).map(|i| value(&format!("s{i}"), "pm25", &time, f64::from(minute))).collect();
                assert_eq!(history.record(&batch).unwrap(), 100);
            }
        });
        while !writer.is_finished() {
            let latest = history.latest(None).unwrap();
            let first = latest.first().map(|(observation, _)| observation.value);
            assert!(latest.iter().all(|(observation, _)| Some(observation.value) == first), "a batch is whole");
        }
    });
    assert_eq!(history.latest(None).unwrap().len(), 100);
}

fn file(path: &str, size_bytes: u64, waits_for: Option<&str>) -> ReadFile {
    ReadFile {
        path: path.into(),
        size_bytes,
        modified_at: at("2026-11-23T08:00:00.25Z"),
        waits_for: waits_for.map(str::to_owned),
    }
}

#[test]
fn files_are_remembered_with_their_values_or_not_at_all() {
    let (home, history) = open();
    let good = value("tb", "pm25", "2026-11-23T08:00:00Z", 1.0);
    let bad = value("tb", "pm25", "2026-11-23T08:05:00Z", f64::NAN);
    let now = at("2026-11-23T08:06:00Z");
    history.record_files(&[good.clone(), bad], "folder", &[file("a.txt", 1, None)], now).unwrap_err();
    assert_eq!((history.read_files("folder").unwrap(), history.latest(None).unwrap().len()), (vec![], 0));

    let files = [file("a.txt", 1, None), file("b/c.txt", 2, Some("ABCD_NUO001"))];
    assert_eq!(history.record_files(std::slice::from_ref(&good), "folder", &files, now).unwrap(), 1);
    drop(history);
    let history = History::open(&home.path().join("history.sqlite")).unwrap();
    assert_eq!(history.read_files("folder").unwrap(), files);
    assert_eq!(history.read_files("other").unwrap(), []);
    assert_eq!(history.record_files(&[good], "folder", &[file("b/c.txt", 3, None)], now).unwrap(), 0);
    history.forget_files("folder", &["a.txt".into(), "never there".into()]).unwrap();
    assert_eq!(history.read_files("folder").unwrap(), [file("b/c.txt", 3, None)]);
}

#[test]
fn history_of_the_first_format_is_brought_up_with_its_values() {
    let (home, history) = open();
    let first = value("tb", "pm25", "2026-11-23T08:00:00Z", 30.0);
    history.record_at(std::slice::from_ref(&first), at("2026-11-23T08:01:00Z")).unwrap();
    drop(history);
    let path = home.path().join("history.sqlite");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch("DROP TABLE read_files; DROP TABLE runs; DROP TABLE answers; UPDATE meta SET format = 1")
        .unwrap();
    drop(old);
    let history = History::open(&path).unwrap();
    assert_eq!(history.latest(None).unwrap()[0].0, first);
    assert_eq!(history.read_files("folder").unwrap(), []);
    drop(history);
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch("DROP TABLE runs; DROP TABLE answers; UPDATE meta SET format = 2").unwrap();
    drop(old);
    let history = History::open(&path).unwrap();
    assert_eq!(history.runs("folder", 10).unwrap(), [""; 0]);
    history.add_run("folder", at("2026-11-23T08:01:00Z"), "{}", 5).unwrap();
}

#[test]
fn last_runs_of_each_source_are_kept() {
    let (home, history) = open();
    for minute in 0..9 {
        let ended_at = at(&format!("2026-11-23T08:0{minute}:00Z"));
        history.add_run("a", ended_at, &format!("run {minute}"), 3).unwrap();
        history.add_run("b", ended_at, "other", 100).unwrap();
    }
    drop(history);
    let history = History::open(&home.path().join("history.sqlite")).unwrap();
    assert_eq!(history.runs("a", 10).unwrap(), ["run 8", "run 7", "run 6"]);
    assert_eq!(history.runs("a", 1).unwrap(), ["run 8"]);
    assert_eq!(history.runs("b", 200).unwrap().len(), 9);
    assert_eq!(history.runs("c", 10).unwrap(), [""; 0]);
}

#[test]
fn the_last_answers_of_a_layer_are_kept_with_their_time() {
    let (_home, history) = open();
    let (parcels, roads) = (LayerId::new("parcels").unwrap(), LayerId::new("roads").unwrap());
    for minute in 0..4 {
        let answered_at = at(&format!("2026-11-23T08:0{minute}:00Z"));
        history.keep_answer(&parcels, &format!("q{}", minute % 3), answered_at, &format!("a{minute}"), 2).unwrap();
        history.keep_answer(&roads, "q0", answered_at, "road", 2).unwrap();
    }
    let body = |question| history.answer(&parcels, question).unwrap().map(|kept| kept.body);
    assert_eq!((body("q0").as_deref(), body("q1"), body("q2").as_deref()), (Some("a3"), None, Some("a2")));
    let all: Vec<String> = history.answers(&parcels).unwrap().into_iter().map(|kept| kept.body).collect();
    assert_eq!(all, ["a3", "a2"]);
    assert_eq!(history.answer(&parcels, "q0").unwrap().unwrap().answered_at, at("2026-11-23T08:03:00Z"));
    history.forget_answers(&parcels).unwrap();
    assert!(history.answers(&parcels).unwrap().is_empty() && history.answer(&roads, "q0").unwrap().is_some());
}
