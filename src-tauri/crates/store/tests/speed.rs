//! How long writing and reading take: `cargo test --release -p store --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::{layer, points, provenance};
use model::{GeometryKind, Observation, SensorStatus, Timestamp};
use std::time::Instant;
use store::{Cache, History};

const ROWS: u32 = 300_000;

fn timed<T>(what: &str, rows: u32, body: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let value = body();
    let took = started.elapsed();
    println!("{what:<24}{:>8.0} ms{:>12.0} rows/s", took.as_secs_f64() * 1e3, f64::from(rows) / took.as_secs_f64());
    value
}

#[test]
#[ignore = "a measurement, not a check"]
fn measure() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    let cache = Cache::open(&path).unwrap();
    let schema = layer("stations", GeometryKind::Point);
    let features: Vec<_> = points(ROWS, 1).collect::<Result<_, _>>().unwrap();
    let write =
        |cache: &Cache| cache.replace(&schema, &mut features.iter().cloned().map(Ok), &provenance(), None).unwrap();
    timed("replace, empty", ROWS, || write(&cache));
    timed("replace", ROWS, || write(&cache));
    timed("read", ROWS, || cache.read(&schema.id).unwrap().len());
    timed("upsert", ROWS, || cache.upsert(&schema, &mut features.iter().cloned().map(Ok), &provenance()).unwrap());
    timed("layers", 1, || cache.layers().unwrap().len());
    drop(cache);
    println!("{} bytes", std::fs::metadata(&path).unwrap().len());
    let cache = timed("open (quick_check)", ROWS, || Cache::open(&path).unwrap());
    timed("integrity", ROWS, || cache.integrity().unwrap());
    timed("export with R-tree", ROWS, || {
        let out = home.path().join("out.gpkg");
        store::export_gpkg(&out, &schema, &mut features.iter().cloned().map(Ok), &provenance()).unwrap()
    });
    let history = History::open(&home.path().join("history.sqlite")).unwrap();
    let start: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    timed("record, 100 batches", 100_000, || {
        for batch in 0..100_i64 {
            let observations: Vec<Observation> = (0..1_000)
                .map(|i| Observation {
                    layer: schema.id.clone(),
                    feature: format!("s{i}"),
                    parameter: "pm25".into(),
                    measured_at: start + jiff::SignedDuration::from_secs(batch * 300),
                    value: 1.0,
                    status: SensorStatus::Measuring,
                })
                .collect();
            assert_eq!(history.record(&observations).unwrap(), 1_000);
        }
    });
    timed("latest", 1_000, || history.latest(None).unwrap().len());
}
