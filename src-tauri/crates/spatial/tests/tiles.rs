//! Tiles as an independent reader sees them.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Dice, communes, coverage, layer, named, tiles};
use geo::algorithm::Validation;
use geo_types::{Coord, Geometry, GeometryCollection, LineString, MultiPolygon, Point, Polygon, line_string, polygon};
use model::{BBox, Feature, Value};
use mvt_reader::{Reader, feature::Feature as Read, feature::Value as ReadValue};
use proptest::prelude::*;
use spatial::{BUFFER, EXTENT, LayerPicture, MAX_ZOOM};

fn read(bytes: Vec<u8>) -> Vec<Read<i32>> {
    let reader = Reader::new(bytes).unwrap();
    let layers = reader.get_layer_metadata().unwrap();
    assert_eq!(layers.len(), 1);
    assert_eq!((layers[0].version, layers[0].extent, layers[0].name.as_str()), (2, 4096, "lots"));
    reader.get_features_as::<i32>(0).unwrap()
}

fn picture(features: Vec<Feature>, fields: &[&str]) -> LayerPicture {
    let fields: Vec<String> = fields.iter().map(|f| (*f).to_owned()).collect();
    LayerPicture::build(layer("lots"), 1, features, "name", &fields)
}

fn place(z: u8, x: u32, y: u32, c: Coord<f64>) -> [f64; 2] {
    let n = f64::from(1_u32 << z);
    let unit = [(c.x + 180.0) / 360.0, 0.5 - c.y.to_radians().tan().asinh() / std::f64::consts::TAU];
    [(unit[0] * n - f64::from(x)) * 4096.0, (unit[1] * n - f64::from(y)) * 4096.0]
}

fn polygons(geometry: &Geometry<i32>) -> Vec<Polygon<i32>> {
    match geometry {
        Geometry::Polygon(p) => vec![p.clone()],
        Geometry::MultiPolygon(m) => m.0.clone(),
        other => panic!("a polygon was expected, not {other:?}"),
    }
}

/// Twice the signed area in the tile's axes: exteriors positive.
fn area2(ring: &LineString<i32>) -> i64 {
    let cross = |a: Coord<i32>, b: Coord<i32>| i64::from(a.x) * i64::from(b.y) - i64::from(b.x) * i64::from(a.y);
    ring.0.windows(2).map(|w| cross(w[0], w[1])).sum()
}

fn in_reach(geometry: &Geometry<i32>) -> bool {
    let range = -(BUFFER as i32)..=(EXTENT + BUFFER) as i32;
    let check = |ring: &LineString<i32>| ring.0.iter().all(|c| range.contains(&c.x) && range.contains(&c.y));
    match geometry {
        Geometry::LineString(l) => check(l),
        Geometry::MultiLineString(m) => m.0.iter().all(check),
        Geometry::Point(p) => range.contains(&p.x()) && range.contains(&p.y()),
        Geometry::MultiPoint(m) => m.0.iter().all(|p| range.contains(&p.x()) && range.contains(&p.y())),
        other => polygons(other).iter().all(|p| check(p.exterior()) && p.interiors().iter().all(check)),
    }
}

const PROVINCE: model::BBox = model::BBox { west: 105.5, south: 10.3, east: 106.9, north: 11.8 };

#[test]
fn round_trip_keeps_shape_ids_and_properties() {
    let (z, x, y) = (16, 52_080, 30_750);
    let here = |u: f64, v: f64| {
        let n = f64::from(1_u32 << z);
        let lat = ((0.5 - (f64::from(y) + v) / n) * std::f64::consts::TAU).sinh().atan().to_degrees();
        Coord { x: (f64::from(x) + u) / n * 360.0 - 180.0, y: lat }
    };
    let ring = |corners: &[(f64, f64)]| LineString(corners.iter().map(|(u, v)| here(*u, *v)).collect::<Vec<_>>());
    let hollow = Polygon::new(
        ring(&[(0.1, 0.1), (0.1, 0.5), (0.5, 0.5), (0.5, 0.1)]),
        vec![ring(&[(0.2, 0.2), (0.3, 0.2), (0.3, 0.3), (0.2, 0.3)])],
    );
    let second = Polygon::new(ring(&[(0.7, 0.7), (0.9, 0.7), (0.8, 0.9)]), vec![]);
    let shapes: Vec<Geometry<f64>> = vec![
        Point::from(here(0.25, 0.75)).into(),
        ring(&[(0.1, 0.9), (0.3, 0.8), (0.5, 0.95)]).into(),
        hollow.clone().into(),
        MultiPolygon(vec![hollow, second]).into(),
    ];
    let mut features: Vec<Feature> = shapes.into_iter().enumerate().map(|(i, g)| named(i, g)).collect();
    for (i, feature) in features.iter_mut().enumerate() {
        let value = [Value::Integer(-5), Value::Real(0.5), Value::Bool(true), Value::Null][i].clone();
        feature.properties.insert("v".into(), value);
        feature.properties.insert("same".into(), Value::Text("Đất ở".into()));
        feature.properties.insert("hidden".into(), Value::Integer(1));
    }
    let picture = picture(features.clone(), &["v", "same", "absent"]);
    let read = read(picture.tile(z, x, y).unwrap());
    assert_eq!(read.len(), 4);
    for (i, (read, feature)) in read.iter().zip(&features).enumerate() {
        assert_eq!(read.id, Some(i as u64));
        let properties = read.properties.as_ref().unwrap();
        assert_eq!(properties["id"], ReadValue::String(feature.id.clone()));
        assert_eq!(properties["name"], ReadValue::String(format!("Điểm {i}")));
        assert_eq!(properties["same"], ReadValue::String("Đất ở".into()));
        let v = [Some(ReadValue::SInt(-5)), Some(ReadValue::Double(0.5)), Some(ReadValue::Bool(true)), None];
        assert_eq!(properties.get("v"), v[i].as_ref());
        assert!(!properties.contains_key("hidden") && !properties.contains_key("absent"));
        let mut want = Vec::new();
        model::visit_coords(&feature.geometry, &mut |c| want.push(place(z, x, y, c)));
        let got: Vec<[f64; 2]> = match &read.geometry {
            Geometry::MultiPoint(m) => m.0.iter().map(|p| [p.x().into(), p.y().into()]).collect(),
            Geometry::LineString(l) => l.0.iter().map(|c| [c.x.into(), c.y.into()]).collect(),
            other => polygons(other)
                .iter()
                .flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()))
                .flat_map(|r| r.0.iter().map(|c| [f64::from(c.x), f64::from(c.y)]).collect::<Vec<_>>())
                .collect(),
        };
        let close = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).abs() <= 1.0 && (a[1] - b[1]).abs() <= 1.0;
        assert!(want.iter().all(|w| got.iter().any(|g| close(w, g))), "{want:?} {got:?}");
        assert!(got.iter().all(|g| want.iter().any(|w| close(w, g))), "{want:?} {got:?}");
    }
    let Geometry::MultiPolygon(both) = &read[3].geometry else { panic!("two parts stay two") };
    assert_eq!(both.0.iter().map(|p| p.interiors().len()).collect::<Vec<_>>(), [1, 0]);
    for p in &both.0 {
        assert!(area2(p.exterior()) > 0 && p.interiors().iter().all(|hole| area2(hole) < 0));
    }
}

#[test]
fn tiles_that_do_not_exist_are_empty() {
    let picture = picture(vec![named(0, Point::new(106.0, 11.0))], &[]);
    assert!(picture.tile(0, 0, 0).is_some());
    assert!(picture.tile(0, 1, 0).is_none());
    assert!(picture.tile(5, 32, 3).is_none());
    assert!(picture.tile(MAX_ZOOM + 1, 0, 0).is_none());
    assert!(picture.tile(255, u32::MAX, u32::MAX).is_none());
    assert!(picture.tile(10, 0, 0).is_none());
}

#[test]
fn shapes_around_the_world_draw_without_a_fault() {
    let everything = polygon![(x: -180., y: -90.), (x: 180., y: -90.), (x: 180., y: 90.), (x: -180., y: 90.)];
    let around = line_string![(x: -180., y: 0.), (x: 180., y: 0.001)];
    let beyond = Point::new(500.0, 99.0);
    let broken = line_string![(x: f64::NAN, y: 0.), (x: f64::INFINITY, y: 0.001)];
    let features = vec![named(0, everything), named(1, around), named(2, beyond), named(3, broken)];
    let picture = picture(features, &[]);
    for z in 0..=MAX_ZOOM {
        let n = 1_u32 << z;
        for (x, y) in [(0, 0), (n - 1, n - 1), (n / 2, n / 2), (n / 3, n / 2)] {
            let read = read(picture.tile(z, x, y).unwrap());
            assert!(read.iter().all(|f| in_reach(&f.geometry)));
            let p = &polygons(&read[0].geometry)[0];
            assert!(area2(p.exterior()) >= 2 * 4096 * 4096);
        }
    }
}

#[test]
fn a_lone_small_polygon_is_still_seen_from_afar() {
    let park = polygon![(x: 106.3, y: 11.1), (x: 106.31, y: 11.1), (x: 106.31, y: 11.11), (x: 106.3, y: 11.11)];
    let sliver = polygon![(x: 106.0, y: 11.0), (x: 106.5, y: 11.0), (x: 106.5, y: 11.000_1), (x: 106.0, y: 11.000_1)];
    let picture = picture(vec![named(0, park), named(1, sliver)], &[]);
    for z in 5..=16 {
        let (_, x, y) = tiles(z, BBox { west: 106.305, south: 11.105, east: 106.305, north: 11.105 })[0];
        let read = read(picture.tile(z, x, y).unwrap());
        let seen = read.iter().find(|f| f.id == Some(0)).unwrap_or_else(|| panic!("gone at z{z}"));
        assert!(area2(polygons(&seen.geometry)[0].exterior()) >= 2 * 16);
    }
}

#[test]
fn a_crowd_of_tiny_lots_keeps_its_density_and_not_each_lot() {
    let bounds = BBox { west: 106.0, south: 10.5, east: 106.2, north: 10.7 };
    let picture = picture(coverage(90, bounds, 11), &[]);
    // At z6 the 8,100 lots cover about 18 × 18 pixels.
    let (z, x, y) = tiles(6, bounds)[0];
    let read = read(picture.tile(z, x, y).unwrap());
    let side = 0.2 / 360.0 * 64.0 * 512.0;
    let pixels = side * side * 1.02;
    assert!((read.len() as f64 - pixels).abs() < pixels * 0.1 + 2.0, "{} features for {pixels} pixels", read.len());
    assert!(read.windows(2).all(|w| w[0].id < w[1].id), "in drawing order");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// With no gap and no overlap, areas in a tile inside the coverage add up to the buffered tile, to the last unit.
    #[test]
    fn neighbours_share_their_border_to_the_last_unit(seed in any::<u64>(), z in 7..=15_u8, u in 0.1..0.9_f64, v in 0.1..0.9_f64) {
        let side = 40_000.0 / f64::from(1_u32 << z);
        let bounds = BBox { west: 100.0, south: 8.0, east: 100.0 + side.min(12.0), north: 8.0 + side.min(12.0) };
        let picture = picture(coverage(12, bounds, seed), &[]);
        let at = BBox {
            west: bounds.west + u * (bounds.east - bounds.west), east: bounds.west + u * (bounds.east - bounds.west),
            south: bounds.south + v * (bounds.north - bounds.south), north: bounds.south + v * (bounds.north - bounds.south),
        };
        let (z, x, y) = tiles(z, at)[0];
        let corners = [[0.0, 0.0], [1.0, 1.0]].map(|[du, dv]| {
            let n = f64::from(1_u32 << z);
            let lat = ((0.5 - (f64::from(y) + dv) / n) * std::f64::consts::TAU).sinh().atan().to_degrees();
            [(f64::from(x) + du) / n * 360.0 - 180.0, lat]
        });
        let m = side * 0.01;
        prop_assume!(corners[0][0] - m > bounds.west && corners[1][0] + m < bounds.east && corners[1][1] - m > bounds.south && corners[0][1] + m < bounds.north);
        let read = read(picture.tile(z, x, y).unwrap());
        let total: i64 = read.iter().flat_map(|f| polygons(&f.geometry)).map(|p| {
            area2(p.exterior()) + p.interiors().iter().map(area2).sum::<i64>()
        }).sum();
        let whole = i64::from(EXTENT + 2 * BUFFER);
        // Slivers under a square pixel at the buffer's edge may be left out.
        prop_assert!((2 * whole * whole - total).abs() <= 128 * 4, "{} of {}", total, 2 * whole * whole);
    }
}

/// Valid in the sense of OGC Simple Features as `geo` tells it, exteriors clockwise on screen, holes the other way.
fn assert_valid(geometry: &Geometry<i32>, label: &str) {
    let polygons = polygons(geometry);
    for p in &polygons {
        assert!(area2(p.exterior()) > 0 && p.interiors().iter().all(|hole| area2(hole) < 0), "{label}: winding");
    }
    let real = |ring: &LineString<i32>| LineString::from_iter(ring.0.iter().map(|c| (f64::from(c.x), f64::from(c.y))));
    let all = MultiPolygon::from_iter(
        polygons.iter().map(|p| Polygon::new(real(p.exterior()), p.interiors().iter().map(real).collect())),
    );
    assert!(all.is_valid(), "{label}: {:?}", all.validation_errors());
}

/// A comb whose teeth are narrower than a unit from afar, a bay behind a narrow mouth, and a ring around them.
fn narrow(seed: u64) -> Vec<Feature> {
    let mut dice = Dice(seed);
    let mut star = |cx: f64, cy: f64, n: u32, deep: f64| -> LineString<f64> {
        (0..=n)
            .map(|i| {
                let turn = f64::from(i % n) / f64::from(n) * std::f64::consts::TAU;
                let r = if i % 2 == 0 { 0.04 } else { 0.04 * deep * (0.5 + dice.roll() / 2.0) };
                Coord { x: cx + r * turn.cos(), y: cy + r * turn.sin() }
            })
            .collect()
    };
    let hole = |ring: &LineString<f64>, by: f64| -> LineString<f64> {
        let c = Coord { x: 106.2, y: 11.2 };
        ring.0.iter().map(|p| Coord { x: c.x + (p.x - c.x) * by, y: c.y + (p.y - c.y) * by }).collect()
    };
    let outer = star(106.2, 11.2, 240, 0.9);
    let inner = hole(&outer, 0.985);
    vec![
        named(0, Polygon::new(star(106.0, 11.0, 300, 0.1), vec![])),
        named(1, Polygon::new(outer, vec![inner])),
        named(
            2,
            MultiPolygon(vec![
                Polygon::new(star(106.0, 11.2, 120, 0.05), vec![]),
                Polygon::new(star(106.081, 11.2, 120, 0.05), vec![]),
            ]),
        ),
    ]
}

#[test]
fn polygons_are_valid_however_narrow_they_become() {
    for seed in 0..6 {
        let picture = picture(narrow(seed), &[]);
        for z in 5..=14 {
            for (z, x, y) in tiles(z, BBox { west: 105.96, south: 10.96, east: 106.24, north: 11.24 }) {
                for f in picture.tile(z, x, y).map(read).unwrap_or_default() {
                    assert_valid(&f.geometry, &format!("seed {seed} z{z}/{x}/{y} feature {:?}", f.id));
                }
            }
        }
    }
}

#[test]
fn a_collection_is_drawn_with_all_its_parts() {
    let square = polygon![(x: 106.0, y: 11.0), (x: 106.1, y: 11.0), (x: 106.1, y: 11.1), (x: 106.0, y: 11.1)];
    let line = line_string![(x: 106.0, y: 11.0), (x: 106.05, y: 11.2)];
    let inner = GeometryCollection(vec![Point::new(106.05, 11.05).into(), line.into()]);
    let all =
        Geometry::GeometryCollection(GeometryCollection(vec![square.into(), Geometry::GeometryCollection(inner)]));
    let picture = picture(vec![named(0, all)], &[]);
    let (z, x, y) = tiles(10, BBox { west: 106.05, south: 11.05, east: 106.05, north: 11.05 })[0];
    let read = read(picture.tile(z, x, y).unwrap());
    assert!(read.iter().all(|f| f.id == Some(0)));
    let kinds: Vec<&str> = read
        .iter()
        .map(|f| match f.geometry {
            Geometry::Polygon(_) | Geometry::MultiPolygon(_) => "polygon",
            Geometry::LineString(_) | Geometry::MultiLineString(_) => "line",
            _ => "point",
        })
        .collect();
    assert_eq!(kinds, ["polygon", "line", "point"]);
}

#[test]
fn a_tile_keeps_to_its_budget_and_what_it_shows_stays_on_the_way_in() {
    let bounds = BBox { west: 106.0, south: 10.9, east: 106.3, north: 11.2 };
    let lots = picture(coverage(120, bounds, 3), &["same"]);
    let mut dice = Dice(9);
    let crowd = |i| named(i, Point::new(106.1 + 0.02 * dice.roll(), 11.0 + 0.02 * dice.roll()));
    let points = picture((0..30_000).map(crowd).collect(), &[]);
    for picture in [&lots, &points] {
        let mut before = std::collections::HashSet::new();
        for z in [6, 7, 8, 9, 10, 11, 12, 14, 16] {
            let mut here = std::collections::HashSet::new();
            for (z, x, y) in tiles(z, bounds) {
                let Some(bytes) = picture.tile(z, x, y) else { continue };
                assert!(bytes.len() < 1_400_000, "z{z}: {} bytes", bytes.len());
                here.extend(read(bytes).into_iter().filter_map(|f| f.id));
            }
            assert!(before.is_subset(&here), "z{z}");
            before = here;
        }
        assert_eq!(before.len(), picture.len(), "in the end all are there");
    }
}

#[test]
fn communes_are_valid_at_every_zoom_with_right_winding_inside_the_buffer() {
    let Some(features) = communes() else { return };
    let picture = picture(features, &["full_name"]);
    let bounds = picture.bbox().unwrap();
    let mut seen = std::collections::HashSet::new();
    for z in 5..=11 {
        for (z, x, y) in tiles(z, bounds) {
            let Some(bytes) = picture.tile(z, x, y) else { continue };
            for f in read(bytes) {
                assert!(in_reach(&f.geometry));
                assert_valid(&f.geometry, &format!("z{z}/{x}/{y} {:?}", f.id));
                seen.insert((z, f.id));
            }
        }
        assert_eq!(seen.iter().filter(|s| s.0 == z).count(), picture.len(), "every commune is on the map at z{z}");
    }
}

#[test]
fn labels_of_a_large_layer_stand_in_the_one_tile_their_point_lies_in() {
    let picture = picture(coverage(8, PROVINCE, 4), &[]).with_labels();
    let mut seen = std::collections::BTreeMap::new();
    for x in 200..=208 {
        for y in 118..=124 {
            let Some(bytes) = picture.tile(8, x, y) else { continue };
            let reader = mvt_reader::Reader::new(bytes).unwrap();
            let names = reader.get_layer_names().unwrap();
            let Some(at) = names.iter().position(|name| name.ends_with(":labels")) else { continue };
            for feature in reader.get_features(at).unwrap() {
                let properties = feature.properties.unwrap();
                assert!(matches!(properties["area_m2"], mvt_reader::feature::Value::Double(area) if area > 1e6));
                *seen.entry(feature.id.unwrap()).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(seen.len(), picture.len());
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
}

#[test]
fn levels_that_were_kept_make_the_same_tiles() {
    let features = coverage(20, PROVINCE, 5);
    let mut packer = spatial::Packer::new();
    let mut parts: Vec<Vec<u8>> = features.iter().filter_map(|feature| packer.push(feature)).collect();
    parts.extend(packer.finish());
    let open = |parts: &[Vec<u8>]| {
        LayerPicture::unpack(layer("lots"), 1, parts.iter().map(Vec::as_slice), "name", &[]).unwrap()
    };
    let first = open(&parts);
    first.prepare();
    parts.push(first.new_levels().unwrap());
    let again = open(&parts);
    assert!(again.tile(9, 406, 240).is_some() && again.tile(9, 406, 240) == first.tile(9, 406, 240));
    assert!(again.new_levels().is_none(), "nothing new to keep");
    // Damaged levels are made anew.
    parts.last_mut().unwrap().truncate(40);
    let damaged = open(&parts);
    assert_eq!(damaged.tile(9, 406, 240), first.tile(9, 406, 240));
    assert!(damaged.new_levels().is_some());
}
