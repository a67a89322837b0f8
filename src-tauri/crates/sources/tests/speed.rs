//! Measurements. Run with `--release -- --ignored --nocapture`, one at a time.
#![allow(clippy::unwrap_used)]

mod common;

use common::{PROVINCE, peak_mb};
use sources::{Continue, ReadOptions, read_file};
use std::time::Instant;

/// `SPEED_FILE` names a file to read; `taskset` sets how many cores. Rows go nowhere.
#[test]
#[ignore = "a measurement"]
fn file_named_from_outside_reads_in_this_time() {
    let Some(path) = std::env::var_os("SPEED_FILE") else {
        println!("SKIPPED: SPEED_FILE names no file");
        return;
    };
    let megabytes = std::fs::metadata(&path).unwrap().len() as f64 / 1e6;
    let mut times: Vec<(f64, f64)> = (0..5)
        .map(|_| {
            let (started, used) = (Instant::now(), cpu_seconds());
            let summary =
                read_file(path.as_ref(), &ReadOptions::new(PROVINCE), &mut |_, _| Ok(()), &mut |_, _| Continue::Yes);
            let took = (started.elapsed().as_secs_f64(), cpu_seconds() - used);
            assert!(summary.unwrap().report.rejected.is_empty());
            took
        })
        .collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, cpu) = times[2];
    println!(
        "{megabytes:.0} MB: {seconds:.3} s, {:.0} MB/s, {cpu:.2} s of CPU, peak {} MB",
        megabytes / seconds,
        peak_mb()
    );
}

/// Seconds that this process has kept processors busy.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: Vec<f64> =
        stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|t| t.parse().unwrap()).collect();
    (ticks[0] + ticks[1]) / 100.0
}
