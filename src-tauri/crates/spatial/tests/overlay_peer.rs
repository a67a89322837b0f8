//! Polygon overlay on the bench data and on random pairs whose areas GEOS has found; run by hand in a release build.

#![allow(clippy::unwrap_used)]

use geo_types::{Coord, LineString, MultiPolygon, Polygon};
use spatial::overlay::{Measure, Op, Prepared, Relation, overlay_areas, overlay_pairs, union_all};
use std::io::{BufRead, BufReader, Write};
use std::time::Instant;

fn read(path: &str, limit: usize) -> Vec<Polygon<f64>> {
    let file = std::fs::File::open(path).unwrap();
    let ring = |r: &serde_json::Value| -> LineString<f64> {
        r.as_array().unwrap().iter().map(|c| Coord { x: c[0].as_f64().unwrap(), y: c[1].as_f64().unwrap() }).collect()
    };
    let polygon = |line: String| {
        let feature: serde_json::Value = serde_json::from_str(&line).unwrap();
        let rings = feature["geometry"]["coordinates"].as_array().unwrap();
        Polygon::new(ring(&rings[0]), rings[1..].iter().map(ring).collect())
    };
    BufReader::new(file).lines().take(limit).map(|line| polygon(line.unwrap())).collect()
}

/// Pairs whose boxes meet.
fn pairs(left: &[Polygon<f64>], right: &[Prepared]) -> Vec<(u32, u32)> {
    let boxed = |i: usize, p: &Prepared| {
        let b = p.bounds().unwrap();
        rstar::primitives::GeomWithData::new(
            rstar::primitives::Rectangle::from_corners([b.min().x, b.min().y], [b.max().x, b.max().y]),
            i as u32,
        )
    };
    let tree = rstar::RTree::bulk_load(right.iter().enumerate().map(|(i, p)| boxed(i, p)).collect());
    let mut pairs = Vec::new();
    for (i, p) in left.iter().enumerate() {
        let b = Prepared::new(p).bounds().unwrap();
        let b = rstar::AABB::from_corners([b.min().x, b.min().y], [b.max().x, b.max().y]);
        pairs.extend(tree.locate_in_envelope_intersecting(b).map(|z| (i as u32, z.data)));
    }
    pairs.sort_unstable();
    pairs
}

/// `OVERLAY_DATA` is a folder with parcels.geojsonl and zoning.geojsonl; areas go to the folder `OVERLAY_OUT`.
#[test]
#[ignore = "needs the bench data and a release build"]
fn bench_pairs() {
    let data = std::env::var("OVERLAY_DATA").unwrap();
    let parcels = read(&format!("{data}/parcels.geojsonl"), 20_000);
    let zones = read(&format!("{data}/zoning.geojsonl"), 4_000);
    let now = Instant::now();
    let right: Vec<Prepared> = zones.iter().map(Prepared::new).collect();
    println!("prepare {} zones: {:.1} ms", zones.len(), now.elapsed().as_secs_f64() * 1e3);
    let pairs = pairs(&parcels, &right);
    let each = 1e6 / pairs.len() as f64;
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for _ in 0..3 {
            let now = Instant::now();
            let planar = pool.install(|| overlay_areas(&parcels, &right, &pairs, Op::Intersection, Measure::Planar));
            let t_planar = now.elapsed().as_secs_f64();
            let now = Instant::now();
            let metric = pool.install(|| overlay_areas(&parcels, &right, &pairs, Op::Intersection, Measure::Ellipsoid));
            let t_metric = now.elapsed().as_secs_f64();
            let now = Instant::now();
            let geodesic =
                pool.install(|| overlay_areas(&parcels, &right, &pairs, Op::Intersection, Measure::Geodesic));
            let t_geodesic = now.elapsed().as_secs_f64();
            let now = Instant::now();
            let shapes = pool.install(|| overlay_pairs(&parcels, &right, &pairs, Op::Intersection));
            let t_shapes = now.elapsed().as_secs_f64();
            println!(
                "{threads} threads, {} pairs: planar {:.3} us, ellipsoid {:.3} us, geodesic {:.3} us, shapes {:.3} us; sum {:.15}",
                pairs.len(),
                t_planar * each,
                t_metric * each,
                t_geodesic * each,
                t_shapes * each,
                planar.iter().sum::<f64>()
            );
            if let Ok(out) = std::env::var("OVERLAY_OUT") {
                let shaped: Vec<f64> = shapes.iter().map(spatial::overlay::area_planar).collect();
                let mut file = std::io::BufWriter::new(std::fs::File::create(format!("{out}/overlay.bin")).unwrap());
                for (i, (a, z)) in pairs.iter().enumerate() {
                    for v in [f64::from(*a), f64::from(*z), planar[i], metric[i], shaped[i], geodesic[i]] {
                        file.write_all(&v.to_le_bytes()).unwrap();
                    }
                }
            }
        }
        let now = Instant::now();
        let union = pool.install(|| union_all(&parcels));
        let t = now.elapsed().as_secs_f64();
        println!(
            "{threads} threads: union of {} in {:.1} ms: {} parts, area {:.15}",
            parcels.len(),
            t * 1e3,
            union.0.len(),
            spatial::overlay::area_planar(&union)
        );
        let now = Instant::now();
        let union = pool.install(|| union_all(&zones));
        let t = now.elapsed().as_secs_f64();
        println!(
            "zones in {:.1} ms: {} parts, area {:.15}",
            t * 1e3,
            union.0.len(),
            spatial::overlay::area_planar(&union)
        );
    }
}

/// `OVERLAY_RANDOM` has a line to a pair: `{"a": [["x y,x y,…", …], …], "b": …, "r": [areas of a∩b, a∪b, a∖b], "rel": "d|w|c"}`.
#[test]
#[ignore = "needs pairs made with GEOS"]
fn random_pairs_agree_with_geos() {
    let file = std::fs::File::open(std::env::var("OVERLAY_RANDOM").unwrap()).unwrap();
    let (mut count, mut worst_area, mut worst_shape) = (0, 0.0_f64, 0.0_f64);
    for line in BufReader::new(file).lines() {
        let pair: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        // Numbers as text: JSON readers may be off in the last bit, which can make a touch of a near miss.
        let ring = |r: &serde_json::Value| -> LineString<f64> {
            let place =
                |c: &str| c.split_once(' ').map(|(x, y)| Coord { x: x.parse().unwrap(), y: y.parse().unwrap() });
            r.as_str().unwrap().split(',').map(|c| place(c).unwrap()).collect()
        };
        let [a, b] = ["a", "b"].map(|side| {
            let polygon = |p: &serde_json::Value| {
                let rings = p.as_array().unwrap();
                Polygon::new(ring(&rings[0]), rings[1..].iter().map(ring).collect())
            };
            MultiPolygon(pair[side].as_array().unwrap().iter().map(polygon).collect())
        });
        let right = [Prepared::new(&b)];
        let own = Prepared::new(&a).area(Measure::Planar) + right[0].area(Measure::Planar);
        let left = [a];
        for (i, op) in [Op::Intersection, Op::Union, Op::Difference].into_iter().enumerate() {
            let geos = pair["r"][i].as_f64().unwrap();
            let area = overlay_areas(&left, &right, &[(0, 0)], op, Measure::Planar)[0];
            let shape = spatial::overlay::area_planar(&overlay_pairs(&left, &right, &[(0, 0)], op)[0]);
            worst_area = worst_area.max((area - geos).abs() / own);
            worst_shape = worst_shape.max((shape - geos).abs() / own);
            assert!(
                (area - geos).abs() / own < 1e-9 && (shape - geos).abs() / own < 5e-8,
                "{op:?} {area} {shape} {geos} {line:?}",
                line = pair
            );
        }
        let relation = match pair["rel"].as_str().unwrap() {
            "d" => Relation::Disjoint,
            "w" => Relation::Within,
            _ => Relation::Crosses,
        };
        assert_eq!(right[0].relation(&left[0]), relation, "{pair}");
        count += 1;
    }
    println!("{count} pairs: areas within {worst_area:e}, shapes within {worst_shape:e} of the pair's area");
}
