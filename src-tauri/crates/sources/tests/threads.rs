//! GeoJSON on several threads: in order, complete, bounded, and at an end when it is to end.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Folder, PROVINCE, collection, point, read_with, rejected};
use model::{Feature, Rejection};
use sources::{Continue, OnError, ReadOptions, read_file};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn refusal(row: u64) -> Rejection {
    let (field, value) = ("geometry".to_owned(), String::new());
    Rejection { row, field, value, code: "geometry_invalid".into(), reason: "as the test wants it".into() }
}

/// More than a head, more than all that may be under way.
fn many(count: u64) -> Vec<String> {
    (1..=count).map(|i| point(&format!("p{i}"), 106.0 + i as f64 * 1e-6, 11.1)).collect()
}

#[test]
fn rows_come_in_the_order_of_the_file_with_every_bad_one_in_its_place() {
    let folder = Folder::new();
    let mut rows = many(60_000);
    let mut expected = Vec::new();
    for at in (100..rows.len()).step_by(997) {
        let (bad, code) = match at % 4 {
            0 => (rows[at].replace("[106.", "[NaN,106."), "not_finite"),
            1 => (rows[at].replace("11.1]", "11.1"), "syntax"),
            2 => (rows[at].replace("11.1]", "98]"), "coordinate_range"),
            _ => (rows[at - 7].clone(), "duplicate_id"),
        };
        rows[at] = bad;
        expected.push((at as u64 + 1, code));
    }
    for (name, text) in [("a.geojson", collection(&rows)), ("a.geojsonl", rows.join("\n"))] {
        let (summary, features) = read_with(&folder.put(name, text), &ReadOptions::new(PROVINCE)).unwrap();
        assert_eq!(rejected(&summary), expected);
        assert_eq!(features.len() + expected.len(), rows.len());
        assert!(features.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(features.iter().all(|(row, feature)| feature.id == format!("p{row}")));
    }
}

#[test]
fn prepared_rows_are_counted_and_refused_ones_keep_their_id() {
    let folder = Folder::new();
    let mut rows = many(20_000);
    rows.push(point("p17", 106, 11));
    rows.push(point("p19999", 106, 11));
    let prepare = |row: u64, mut feature: Feature| {
        if feature.id == "p17" || feature.id == "p19999" {
            return Err(refusal(row));
        }
        feature.properties.insert("seen".into(), model::Value::Bool(true));
        Ok((feature, row.is_multiple_of(2)))
    };
    let options = ReadOptions { prepare: Some(&prepare), ..ReadOptions::new(PROVINCE) };
    let (summary, features) = read_with(&folder.put("a.geojson", collection(&rows)), &options).unwrap();
    let late = [(20_001, "duplicate_id"), (20_002, "duplicate_id")];
    assert_eq!(rejected(&summary), [&[(17, "geometry_invalid"), (19_999, "geometry_invalid")][..], &late].concat());
    assert!(summary.report.rejected[2].reason.contains("\"p17\" stands in row 17"), "{:?}", summary.report.rejected[2]);
    assert_eq!((summary.report.accepted, summary.report.repaired), (19_998, 10_000));
    assert!(features.iter().all(|(_, feature)| feature.properties.contains_key("seen")));
    assert!(summary.fields.iter().all(|field| field.name != "seen"), "the schema is the file's");

    let table: String = (1..=5).map(|i| format!("p{},106,11\n", i * 17)).collect();
    let (summary, features) = read_with(&folder.put("a.csv", format!("id,lon,lat\n{table}")), &options).unwrap();
    assert_eq!((features.len(), rejected(&summary)), (4, vec![(2, "geometry_invalid")]), "a table is prepared too");
}

#[test]
fn panic_in_preparation_costs_the_row_and_no_more() {
    let folder = Folder::new();
    let prepare = |row: u64, feature: Feature| {
        assert!(!row.is_multiple_of(5_000), "row {row} is too much");
        Ok((feature, false))
    };
    let options = ReadOptions { prepare: Some(&prepare), ..ReadOptions::new(PROVINCE) };
    let (summary, features) = read_with(&folder.put("a.geojson", collection(&many(12_000))), &options).unwrap();
    assert_eq!(
        (features.len(), rejected(&summary)),
        (11_998, vec![(5_000, "geometry_invalid"), (10_000, "geometry_invalid")])
    );
    assert!(summary.report.rejected[0].reason.contains("row 5000 is too much"));
}

#[test]
fn panic_in_the_sink_reaches_the_caller_and_leaves_no_thread_waiting() {
    let folder = Folder::new();
    let path = folder.put("a.geojson", collection(&many(60_000)));
    let read = std::panic::catch_unwind(|| {
        let mut sink = |row, _| {
            assert!(row < 9_000, "full");
            Ok(())
        };
        read_file(&path, &ReadOptions::new(PROVINCE), &mut sink, &mut |_, _| Continue::Yes).map(|_| ())
    });
    assert!(read.is_err());
}

#[test]
fn abort_stops_at_the_first_bad_row_however_far_the_others_are() {
    let folder = Folder::new();
    let mut rows = many(60_000);
    rows[20_000] = rows[20_000].replace("11.1]", "98]");
    rows[20_001] = rows[20_001].replace("11.1]", "11.1");
    rows[50_000].clear();
    let options = ReadOptions { on_error: OnError::Abort, ..ReadOptions::new(PROVINCE) };
    let mut last = 0;
    let mut sink = |row, _| {
        last = row;
        Ok(())
    };
    let path = folder.put("a.geojsonl", rows.join("\n"));
    let error = read_file(&path, &options, &mut sink, &mut |_, _| Continue::Yes).unwrap_err();
    assert_eq!((error.code(), error.row(), last), ("coordinate_range", Some(20_001), 20_000));
}

#[test]
fn error_of_the_file_comes_after_the_rows_before_it() {
    let folder = Folder::new();
    let mut text = collection(&many(30_000));
    text.truncate(text.len() - 30);
    let mut count = 0;
    let mut sink = |_, _| {
        count += 1;
        Ok(())
    };
    let path = folder.put("a.geojson", text);
    let error = read_file(&path, &ReadOptions::new(PROVINCE), &mut sink, &mut |_, _| Continue::Yes).unwrap_err();
    assert_eq!((error.code(), error.row(), count), ("truncated", Some(29_999), 29_999));
}

#[test]
fn read_stops_within_a_tenth_of_a_second_when_preparation_is_slow() {
    let folder = Folder::new();
    let path = folder.put("a.geojson", collection(&many(20_000)));
    let prepare = |row: u64, feature| {
        // The head goes through on the caller's thread.
        if row > 5_000 {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok((feature, false))
    };
    let options = ReadOptions { prepare: Some(&prepare), ..ReadOptions::new(PROVINCE) };
    let mut asked: Option<Instant> = None;
    let started = Instant::now();
    let error = read_file(&path, &options, &mut |_, _| Ok(()), &mut |_, _| {
        if started.elapsed() < Duration::from_millis(500) {
            return Continue::Yes;
        }
        asked.get_or_insert_with(Instant::now);
        Continue::No
    })
    .unwrap_err();
    assert_eq!(error.code(), "cancelled");
    let since = asked.unwrap();
    assert!(since.elapsed() < Duration::from_millis(100), "{:?} after it was told", since.elapsed());
    assert!(since - started < Duration::from_secs(1), "asked after {:?}", since - started);
}

#[test]
fn huge_features_come_between_small_ones_in_their_order() {
    let folder = Folder::new();
    let mut rows = many(3_000);
    for at in [0, 1, 1_000, 1_001, 2_999] {
        rows[at] = rows[at].replace("Trạm", &"Trạm ".repeat(100_000));
    }
    let path = folder.put("a.geojson", collection(&rows));
    let (summary, features) = read_with(&path, &ReadOptions::new(PROVINCE)).unwrap();
    assert_eq!((summary.report.accepted, rejected(&summary)), (3_000, vec![]));
    assert!(features.iter().zip(1..).all(|((row, feature), at)| *row == at && feature.id == format!("p{row}")));
}

#[test]
fn slow_sink_holds_the_others_back() {
    let folder = Folder::new();
    let path = folder.put("a.geojsonl", many(150_000).join("\n"));
    let prepared = AtomicU64::new(0);
    let prepare = |_: u64, feature| {
        prepared.fetch_add(1, Ordering::Relaxed);
        Ok((feature, false))
    };
    let options = ReadOptions { prepare: Some(&prepare), ..ReadOptions::new(PROVINCE) };
    let mut ahead = 0;
    let mut sink = |row: u64, _| {
        if row.is_multiple_of(30_000) {
            std::thread::sleep(Duration::from_millis(200));
            ahead = ahead.max(prepared.load(Ordering::Relaxed) - row);
        }
        Ok(())
    };
    let summary = read_file(&path, &options, &mut sink, &mut |_, _| Continue::Yes).unwrap();
    assert_eq!(summary.report.accepted, 150_000);
    // Six workers may have twenty batches of a quarter megabyte between them and the sink.
    assert!(ahead < 60_000, "{ahead} rows ahead");
}
