//! Tiles on the bench data, one core. Release only, with `TC_BENCH_DIR` set to the output folder of `gen.py` and `tiles.py`:
//! `cargo test --release -p spatial --test tiles_timing -- --ignored --nocapture --test-threads 1`
//!
//! With `TC_TILE_DUMP` set to a folder, the tiles are written there as `LAYER-z-x-y.mvt`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::{communes, feature, layer, tiles};
use model::Feature;
use spatial::LayerPicture;
use std::hint::black_box;
use std::time::Instant;

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn folder() -> Option<String> {
    let folder = std::env::var("TC_BENCH_DIR").ok();
    if folder.is_none() {
        println!("skipped: TC_BENCH_DIR is not set");
    }
    folder
}

fn read_lines(name: &str) -> Option<Vec<Feature>> {
    let text = std::fs::read_to_string(format!("{}/{name}.geojsonl", folder()?)).unwrap();
    Some(text.lines().map(|line| feature(&serde_json::from_str(line).unwrap())).collect())
}

fn bench_tiles() -> Vec<(u8, u32, u32)> {
    let text = std::fs::read_to_string(format!("{}/tiles.json", folder().unwrap())).unwrap();
    serde_json::from_str::<Vec<(u8, u32, u32)>>(&text).unwrap()
}

fn run(name: &str, features: Vec<Feature>, name_field: &str, fields: &[&str], list: &[(u8, u32, u32)]) {
    let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
    let start = Instant::now();
    let picture = LayerPicture::build(layer(name), 1, features, name_field, &fields);
    black_box(picture.tile(19, 0, 0));
    println!("{name}: {} features, build with levels {:.0} ms", picture.len(), ms(start));
    // Five rounds; the best of each tile goes into the percentiles, for other builds share the machine.
    let mut best = vec![f64::INFINITY; list.len()];
    let mut rounds = Vec::new();
    let mut made = Vec::new();
    for _ in 0..5 {
        made.clear();
        let start = Instant::now();
        for ((z, x, y), best) in list.iter().zip(&mut best) {
            let start = Instant::now();
            made.push(picture.tile(*z, *x, *y));
            *best = best.min(ms(start));
        }
        rounds.push(ms(start));
    }
    rounds.sort_by(f64::total_cmp);
    let line = |label: &str, keep: &dyn Fn(u8) -> bool| {
        let all = || list.iter().zip(&best).zip(&made).filter(|((t, _), _)| keep(t.0));
        let mut times: Vec<f64> = all().map(|((_, ms), _)| *ms).collect();
        if times.is_empty() {
            return;
        }
        times.sort_by(f64::total_cmp);
        let at = |p: f64| times[((times.len() - 1) as f64 * p).round() as usize];
        let bytes: Vec<usize> = all().map(|(_, made)| made.as_ref().map_or(0, Vec::len)).collect();
        println!(
            "  {label:<4} {:>4} tiles, {:>6.0} a second; p50 {:.3} p99 {:.2} max {:.2} ms; kB mean {:.2} max {:.1}",
            times.len(),
            times.len() as f64 * 1e3 / times.iter().sum::<f64>(),
            at(0.5),
            at(0.99),
            at(1.0),
            bytes.iter().sum::<usize>() as f64 / bytes.len() as f64 / 1e3,
            bytes.iter().max().copied().unwrap_or(0) as f64 / 1e3
        );
    };
    for zoom in 0..=19 {
        line(&format!("z{zoom}"), &|z| z == zoom);
    }
    line("all", &|_| true);
    println!("  rounds of {} tiles: {rounds:.0?} ms", list.len());
    if let Ok(folder) = std::env::var("TC_TILE_DUMP") {
        std::fs::create_dir_all(&folder).unwrap();
        for ((z, x, y), made) in list.iter().zip(&made) {
            if let Some(made) = made {
                std::fs::write(format!("{folder}/{name}-{z}-{x}-{y}.mvt"), made).unwrap();
            }
        }
    }
}

#[test]
#[ignore = "release timing"]
fn parcels_on_the_bench_tiles() {
    let Some(features) = read_lines("parcels") else { return };
    let fields = ["so_to", "so_thua", "loai_dat", "xa", "dien_tich"];
    run("parcels", features, "chu_su_dung", &fields, &bench_tiles());
}

#[test]
#[ignore = "release timing"]
fn points_on_the_bench_tiles() {
    let Some(features) = read_lines("points") else { return };
    run("points", features, "name", &["kind", "v"], &bench_tiles());
}

/// The tiles of each zoom around the middle, up to 64 of them.
fn spread(bounds: model::BBox, zooms: std::ops::RangeInclusive<u8>) -> Vec<(u8, u32, u32)> {
    zooms
        .flat_map(|z| {
            let all = tiles(z, bounds);
            let step = all.len().div_ceil(64);
            all.into_iter().step_by(step)
        })
        .collect()
}

#[test]
#[ignore = "release timing"]
fn zoning_at_every_zoom() {
    let Some(features) = read_lines("zoning") else { return };
    let bounds = model::BBox { west: 105.5, south: 10.3, east: 106.9, north: 11.8 };
    run("zoning", features, "zone", &["plan"], &spread(bounds, 7..=16));
}

#[test]
#[ignore = "release timing"]
fn communes_at_every_zoom() {
    let Some(features) = communes() else { return };
    let bounds = model::BBox { west: 105.5, south: 10.3, east: 106.9, north: 11.8 };
    run("communes", features, "name", &["full_name"], &spread(bounds, 5..=16));
}
