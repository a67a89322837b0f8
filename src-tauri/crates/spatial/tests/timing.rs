//! How fast it is, in one run beside rstar. Release only:
//! `cargo test --release -p spatial --test timing -- --ignored --nocapture`
//!
//! With `TC_BENCH_DIR` set to the output folder of `gen.py` (parcels.geojsonl, points.geojsonl) it measures those too.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::{Dice, communes, feature, layer, tiles, vertices};
use geo::Contains;
use geo_index::kdtree::{KDTreeBuilder, KDTreeIndex};
use geo_index::rtree::{RTreeBuilder, RTreeIndex, sort::HilbertSort};
use geo_types::{Coord, Geometry, Polygon};
use model::{BBox, Feature};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use spatial::{LayerPicture, PackedIndex};
use std::hint::black_box;
use std::time::Instant;

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// Median of five rounds, microseconds per call.
fn per_call<T>(calls: &[T], mut f: impl FnMut(&T) -> usize) -> (f64, usize) {
    let mut sum = 0;
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            sum = calls.iter().map(|c| black_box(f(c))).sum();
            ms(start) * 1e3 / calls.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    (rounds[2], sum)
}

fn print_tiles(picture: &LayerPicture, zooms: std::ops::RangeInclusive<u8>, limit_ms: f64) {
    let bounds = picture.bbox().unwrap();
    for z in zooms {
        let mut all = tiles(z, bounds);
        let mut dice = Dice(u64::from(z));
        while all.len() > 150 {
            all.swap_remove((dice.roll() * all.len() as f64) as usize);
        }
        let mut times = Vec::new();
        let mut bytes = Vec::new();
        for (z, x, y) in all {
            // The best of three: other builds share the machine, and a tile that lost its core is no slow tile.
            let mut tile = None;
            let best = (0..3).map(|_| {
                let start = Instant::now();
                tile = black_box(picture.tile(z, x, y));
                ms(start)
            });
            times.push(best.fold(f64::INFINITY, f64::min));
            bytes.extend(tile.map(|t| t.len()));
        }
        times.sort_by(f64::total_cmp);
        bytes.sort_unstable();
        let at = |p: f64| times[((times.len() - 1) as f64 * p).round() as usize];
        println!(
            "  z{z:<2} {:>4} tiles  p50 {:>7.3} ms  p99 {:>7.3}  max {:>7.3}   bytes: median {:>7}  max {:>7}  sum {:>9}",
            times.len(),
            at(0.5),
            at(0.99),
            at(1.0),
            bytes.get(bytes.len() / 2).unwrap_or(&0),
            bytes.last().unwrap_or(&0),
            bytes.iter().sum::<usize>()
        );
        assert!(at(1.0) < limit_ms, "z{z}: a tile took {} ms", at(1.0));
    }
}

#[test]
#[ignore = "release timing"]
fn communes_tile_in_time() {
    let Some(features) = communes() else { return };
    println!("communes: {} features, {} vertices", features.len(), vertices(&features));
    let clone = features.clone();
    let start = Instant::now();
    let picture = LayerPicture::build(layer("communes"), 1, clone, "name", &["full_name".into()]);
    println!("  build {:.2} ms", ms(start));
    let start = Instant::now();
    let labels = picture.labels_geojson();
    println!("  labels_geojson {:.2} ms, {} bytes", ms(start), labels.len());
    let start = Instant::now();
    for ordinal in 0..96 {
        black_box(picture.label_point(ordinal));
    }
    println!("  label points alone {:.2} ms", ms(start));
    let start = Instant::now();
    let changed = features.into_iter().filter(|f| spatial::repair::repair(f.geometry.clone()).changed).count();
    println!("  repair {:.2} ms, {changed} changed", ms(start));
    print_tiles(&picture, 5..=16, 20.0);
    let mut dice = Dice(5);
    let places: Vec<Coord<f64>> = (0..2_000).map(|_| dice.coord()).collect();
    let (us, _) = per_call(&places, |c| picture.at(*c, 0.0).len());
    println!("  at: {us:.2} us");
    let (us, _) = per_call(&places[..200], |c| picture.near(*c, None, Some(5)).len());
    println!("  near 5: {us:.2} us");
}

/// Ours and a peer in five alternating rounds over the same calls; both answers must count the same hits unless told
/// otherwise. Prints microseconds per call and how many times the peer's time ours would fit in.
fn race<T>(
    label: &str,
    calls: &[T],
    same: bool,
    mut ours: impl FnMut(&T) -> usize,
    peer_name: &str,
    mut peer: impl FnMut(&T) -> usize,
) {
    let mut hits = [0; 2];
    let mut round = |who: usize, f: &mut dyn FnMut(&T) -> usize| {
        let start = Instant::now();
        hits[who] = calls.iter().map(|c| black_box(f(c))).sum();
        ms(start) * 1e3 / calls.len() as f64
    };
    let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        a.push(round(0, &mut ours));
        b.push(round(1, &mut peer));
        ratios.push(b[b.len() - 1] / a[a.len() - 1]);
    }
    for times in [&mut a, &mut b, &mut ratios] {
        times.sort_by(f64::total_cmp);
    }
    let mean = hits.map(|h| h as f64 / calls.len() as f64);
    println!(
        "  {label:<44} ours {:>7.3} us  {peer_name:<10} {:>7.3} us  ratio {:>6.2}  hits {:.2}/{:.2}",
        a[2], b[2], ratios[2], mean[0], mean[1]
    );
    assert!(!same || hits[0] == hits[1], "{label}: {hits:?} hits");
}

/// The three arrays of queries.npz (`pt`, `bbox`, `rad`): each member is stored uncompressed, a header and raw numbers.
fn arrays(file: &[u8]) -> Vec<Vec<f64>> {
    let starts: Vec<usize> = file.windows(6).enumerate().filter(|(_, w)| w == b"\x93NUMPY").map(|(at, _)| at).collect();
    let array = |&at: &usize| {
        let header_len = usize::from(u16::from_le_bytes([file[at + 8], file[at + 9]]));
        let (header, data) = file[at + 10..].split_at(header_len);
        let header = std::str::from_utf8(header).unwrap();
        let shape = &header[header.find("'shape': (").unwrap() + 10..];
        let shape = &shape[..shape.find(')').unwrap()];
        let count: usize = shape.split(',').filter_map(|n| n.trim().parse::<usize>().ok()).product();
        data.as_chunks::<8>().0[..count].iter().map(|b| f64::from_le_bytes(*b)).collect()
    };
    starts.iter().map(array).collect()
}

struct Queries {
    places: Vec<Coord<f64>>,
    boxes: Vec<BBox>,
    radii_deg: Vec<f64>,
}

fn bench_queries() -> Option<Queries> {
    let folder = bench_folder()?;
    let all = arrays(&std::fs::read(format!("{folder}/queries.npz")).unwrap());
    let [pt, bbox, rad] = &all[..] else { panic!("{} arrays", all.len()) };
    Some(Queries {
        places: pt.as_chunks::<2>().0.iter().map(|c| Coord { x: c[0], y: c[1] }).collect(),
        boxes: bbox.as_chunks::<4>().0.iter().map(|b| BBox::from(*b)).collect(),
        radii_deg: rad.clone(),
    })
}

fn collect<T>(found: impl Iterator<Item = T>) -> usize {
    found.collect::<Vec<T>>().len()
}

fn point_races(features: Vec<Feature>, queries: &Queries) {
    let coords: Vec<[f64; 2]> = features
        .iter()
        .filter_map(|f| if let Geometry::Point(p) = f.geometry { Some([p.x(), p.y()]) } else { None })
        .collect();
    let start = Instant::now();
    let picture = LayerPicture::build(layer("points"), 1, features, "name", &[]);
    print!("{} points: build {:.0} ms", coords.len(), ms(start));
    let start = Instant::now();
    let tree = RTree::bulk_load(coords.iter().enumerate().map(|(i, c)| GeomWithData::new(*c, i as u32)).collect());
    print!(", rstar {:.0} ms", ms(start));
    let start = Instant::now();
    let mut builder = KDTreeBuilder::<f64>::new(coords.len() as u32);
    for c in &coords {
        builder.add(c[0], c[1]);
    }
    let kd = builder.finish();
    print!(", geo-index k-d {:.0} ms", ms(start));
    let start = Instant::now();
    let mut builder = RTreeBuilder::<f64>::new(coords.len() as u32);
    for c in &coords {
        builder.add(c[0], c[1], c[0], c[1]);
    }
    let hilbert = builder.finish::<HilbertSort>();
    println!(", geo-index R-tree {:.0} ms", ms(start));

    let within = |b: &BBox| picture.within_bbox(*b).len();
    race("bbox, points", &queries.boxes, true, within, "rstar", |b| {
        collect(tree.locate_in_envelope(AABB::from_corners([b.west, b.south], [b.east, b.north])).map(|p| p.data))
    });
    race("bbox, points", &queries.boxes, true, within, "geo-index", |b| {
        kd.range(b.west, b.south, b.east, b.north).len()
    });
    race("bbox, points", &queries.boxes, true, within, "geo-ind. R", |b| {
        hilbert.search(b.west, b.south, b.east, b.north).len()
    });
    let near = |c: &Coord<f64>| picture.near(*c, None, Some(10)).len();
    race("10 nearest (geodesic; the peer's planar)", &queries.places, true, near, "rstar", |c| {
        collect(tree.nearest_neighbor_iter([c.x, c.y]).take(10).map(|p| p.data))
    });
    race("10 nearest (geodesic; the peer's planar)", &queries.places, true, near, "geo-index", |c| {
        hilbert.neighbors(c.x, c.y, Some(10), None).len()
    });
    for (name, fixed) in [("0.005°", Some(0.005)), ("rad", None)] {
        let circles: Vec<(Coord<f64>, f64)> =
            queries.places.iter().zip(&queries.radii_deg).map(|(c, r)| (*c, fixed.unwrap_or(*r))).collect();
        let label = format!("within {name} x 111,195 m (the peer's planar)");
        let circle = |(c, r): &(Coord<f64>, f64)| picture.within_radius(*c, r * 111_195.0).len();
        race(&label, &circles, false, circle, "geo-index", |(c, r)| kd.within(c.x, c.y, *r).len());
        race(&label, &circles, false, circle, "rstar", |(c, r)| {
            collect(tree.locate_within_distance([c.x, c.y], r * r).map(|p| p.data))
        });
        let sorted = |(c, r): &(Coord<f64>, f64)| picture.near(*c, Some(r * 111_195.0), None).len();
        race(&format!("near {name}, sorted, with distances"), &circles, false, sorted, "geo-index", |(c, r)| {
            kd.within(c.x, c.y, *r).len()
        });
    }
}

fn parcel_races(features: Vec<Feature>, queries: &Queries, places: &[Coord<f64>]) {
    let boxes: Vec<BBox> = features.iter().map(|f| model::geometry_bbox(&f.geometry)).collect();
    let polygons: Vec<Polygon<f64>> = features
        .iter()
        .map(|f| if let Geometry::Polygon(p) = &f.geometry { p.clone() } else { panic!("not a polygon") })
        .collect();
    let start = Instant::now();
    let picture = LayerPicture::build(layer("parcels"), 1, features, "name", &[]);
    print!("{} parcels: build {:.0} ms", boxes.len(), ms(start));
    let start = Instant::now();
    let index = PackedIndex::build(&boxes);
    print!(", index alone {:.0} ms", ms(start));
    let start = Instant::now();
    let stored = |(i, b): (usize, &BBox)| {
        GeomWithData::new(Rectangle::from_corners([b.west, b.south], [b.east, b.north]), i as u32)
    };
    let tree = RTree::bulk_load(boxes.iter().enumerate().map(stored).collect());
    print!(", rstar {:.0} ms", ms(start));
    let start = Instant::now();
    let mut builder = RTreeBuilder::<f64>::new(boxes.len() as u32);
    for b in &boxes {
        builder.add(b.west, b.south, b.east, b.north);
    }
    let hilbert = builder.finish::<HilbertSort>();
    println!(", geo-index {:.0} ms", ms(start));

    let by_rstar = |b: &BBox| {
        let envelope = AABB::from_corners([b.west, b.south], [b.east, b.north]);
        collect(tree.locate_in_envelope_intersecting(envelope).map(|p| p.data))
    };
    let by_boxes = |b: &BBox| index.search_boxes(b, &boxes).len();
    race("bbox, boxes of parcels", &queries.boxes, true, by_boxes, "rstar", by_rstar);
    race("bbox, boxes of parcels", &queries.boxes, true, by_boxes, "geo-index", |b| {
        hilbert.search(b.west, b.south, b.east, b.north).len()
    });
    let exactly = |b: &BBox| picture.within_bbox(*b).len();
    race("bbox, parcels exactly (the peer's boxes)", &queries.boxes, false, exactly, "rstar", by_rstar);
    race("bbox, parcels exactly (the peer's boxes)", &queries.boxes, false, exactly, "geo-index", |b| {
        hilbert.search(b.west, b.south, b.east, b.north).len()
    });
    for (name, places) in [("10,000 queries", &queries.places[..]), ("1M points", places)] {
        race(
            &format!("polygon at a place, {name}"),
            places,
            false,
            |c| picture.at(*c, 0.0).len(),
            "rstar",
            |c| {
                let candidates = tree.locate_all_at_point([c.x, c.y]).map(|p| p.data);
                collect(candidates.filter(|o| polygons[*o as usize].contains(c)))
            },
        );
    }
    let together = [places];
    let join = |places: &&[Coord<f64>]| picture.join(places).len();
    race("join of 1M points, us in all", &together, false, join, "geo-index", |places| {
        let mut pairs = Vec::new();
        for (i, c) in places.iter().enumerate() {
            let candidates = hilbert.search(c.x, c.y, c.x, c.y).into_iter();
            pairs.extend(candidates.filter(|o| polygons[*o as usize].contains(c)).map(|o| [i as u32, o]));
        }
        pairs.len()
    });
}

#[test]
#[ignore = "release timing"]
fn questions_beside_their_peers() {
    let Some(queries) = bench_queries() else { return };
    let points = read_lines("points.geojsonl").unwrap();
    let places: Vec<Coord<f64>> =
        points.iter().filter_map(|f| if let Geometry::Point(p) = f.geometry { Some(p.0) } else { None }).collect();
    point_races(points, &queries);
    parcel_races(read_lines("parcels.geojsonl").unwrap(), &queries, &places);
}

/// Writes the answers to queries.npz as little-endian numbers into `TC_ANSWERS_DIR`, for a comparison with GEOS and
/// GeographicLib: per query a u32 count and that many u32 ordinals; pairs for the join; metres as f64.
#[test]
#[ignore = "needs the bench data"]
fn answers_for_comparison() {
    let (Some(queries), Ok(out)) = (bench_queries(), std::env::var("TC_ANSWERS_DIR")) else { return };
    std::fs::create_dir_all(&out).unwrap();
    let words = |all: &[u32]| all.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(format!("{out}/{name}"), bytes).unwrap();
    let ragged = |name: &str, answers: &mut dyn Iterator<Item = Vec<u32>>| {
        write(name, answers.flat_map(|a| words(&[&[a.len() as u32], &a[..]].concat())).collect());
    };
    let ordinals = |hits: Vec<(u32, f64)>| hits.into_iter().map(|h| h.0).collect::<Vec<u32>>();
    let points = read_lines("points.geojsonl").unwrap();
    let places: Vec<Coord<f64>> =
        points.iter().filter_map(|f| if let Geometry::Point(p) = f.geometry { Some(p.0) } else { None }).collect();
    let picture = LayerPicture::build(layer("points"), 1, points, "name", &[]);
    ragged("bbox_points.u4", &mut queries.boxes.iter().map(|b| picture.within_bbox(*b)));
    let circles = queries.places.iter().zip(&queries.radii_deg);
    ragged("within_radius.u4", &mut circles.map(|(c, r)| picture.within_radius(*c, r * 111_195.0)));
    let near: Vec<_> = queries.places.iter().map(|c| picture.near(*c, None, Some(10))).collect();
    write("nearest.m", near.iter().flatten().flat_map(|n| n.1.to_le_bytes()).collect());
    ragged("nearest.u4", &mut near.into_iter().map(ordinals));

    let parcels = read_lines("parcels.geojsonl").unwrap();
    let boxes: Vec<BBox> = parcels.iter().map(|f| model::geometry_bbox(&f.geometry)).collect();
    let picture = LayerPicture::build(layer("parcels"), 1, parcels, "name", &[]);
    let index = PackedIndex::build(&boxes);
    ragged("bbox_boxes.u4", &mut queries.boxes.iter().map(|b| index.search_boxes(b, &boxes)));
    ragged("bbox_parcels.u4", &mut queries.boxes.iter().map(|b| picture.within_bbox(*b)));
    ragged("at_parcels.u4", &mut queries.places.iter().map(|c| ordinals(picture.at(*c, 0.0))));
    write("join.u4", words(picture.join(&places).as_flattened()));
}

fn bench_folder() -> Option<String> {
    let folder = std::env::var("TC_BENCH_DIR").ok();
    if folder.is_none() {
        println!("skipped: TC_BENCH_DIR is not set");
    }
    folder
}

fn read_lines(name: &str) -> Option<Vec<Feature>> {
    let text = std::fs::read_to_string(format!("{}/{name}", bench_folder()?)).unwrap();
    Some(text.lines().map(|line| feature(&serde_json::from_str(line).unwrap())).collect())
}

#[test]
#[ignore = "release timing"]
fn two_hundred_thousand_parcels() {
    let Some(features) = read_lines("parcels.geojsonl") else { return };
    let (n, v) = (features.len(), vertices(&features));
    let start = Instant::now();
    let picture = LayerPicture::build(layer("parcels"), 1, features, "chu_su_dung", &["loai_dat".into()]);
    println!("parcels: {n} features, {v} vertices; build {:.1} ms", ms(start));
    print_tiles(&picture, 6..=16, 50.0);
}

#[test]
#[ignore = "release timing"]
fn a_million_points() {
    let Some(features) = read_lines("points.geojsonl") else { return };
    let picture = LayerPicture::build(layer("points"), 1, features, "name", &["kind".into()]);
    let start = Instant::now();
    black_box(picture.tile(16, 0, 0));
    println!("points: first tile builds the drawing in {:.1} ms", ms(start));
    print_tiles(&picture, 10..=16, 500.0);
}
