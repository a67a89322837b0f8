//! Every question answers as a scan over all features would.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Dice, coverage, layer, named, points};
use geo::Intersects;
use geo_types::{Coord, Geometry, LineString, MultiPoint, Point, Rect};
use model::{BBox, Feature};
use spatial::LayerPicture;

fn picture(features: Vec<Feature>) -> LayerPicture {
    LayerPicture::build(layer("mixed"), 3, features, "name", &[])
}

const PROVINCE: BBox = BBox { west: 105.5, south: 10.3, east: 106.9, north: 11.8 };

/// Points, lines and a coverage in one layer.
fn mixed(seed: u64) -> Vec<Feature> {
    let mut dice = Dice(seed);
    let mut all = points(400, seed);
    for i in 0..200 {
        let from = dice.coord();
        let steps = (0..5).map(|_| Coord { x: from.x + 0.1 * dice.roll(), y: from.y + 0.1 * dice.roll() });
        all.push(named(1_000 + i, LineString(steps.collect())));
    }
    all.extend(coverage(8, PROVINCE, seed).into_iter().enumerate().map(|(i, f)| named(2_000 + i, f.geometry)));
    all.push(named(9_999, LineString(vec![])));
    all
}

fn sorted(mut ordinals: Vec<u32>) -> Vec<u32> {
    ordinals.sort_unstable();
    ordinals
}

#[test]
fn within_bbox_is_what_intersects() {
    let features = mixed(1);
    let picture = picture(features.clone());
    let mut dice = Dice(2);
    for side in [0.0, 0.001, 0.03, 0.2, 1.0, 5.0] {
        for _ in 0..60 {
            let bbox = dice.bbox(side);
            let rect = Rect::new((bbox.west, bbox.south), (bbox.east, bbox.north));
            let want = (0..).zip(&features).filter(|(_, f)| f.geometry.intersects(&rect)).map(|(o, _)| o).collect();
            assert_eq!(sorted(picture.within_bbox(bbox)), sorted(want), "{bbox:?}");
        }
    }
    assert!(picture.within_bbox(BBox::EMPTY).is_empty());
    assert!(picture.within_bbox([f64::NAN; 4].into()).len() <= features.len());
}

#[test]
fn near_gives_true_distances_nearest_first() {
    let features = points(5_000, 7);
    let picture = picture(features.clone());
    let mut dice = Dice(8);
    for i in 0..40 {
        let from = if i == 0 { Coord { x: -70.0, y: -40.0 } } else { dice.coord() };
        let mut want: Vec<f64> = features
            .iter()
            .map(|f| match f.geometry {
                Geometry::Point(p) => geodesy::distance_m(from, p.0),
                _ => f64::NAN,
            })
            .collect();
        want.sort_by(f64::total_cmp);
        let got = picture.near(from, None, Some(50));
        assert_eq!(got.len(), 50);
        assert!(got.iter().zip(&want).all(|((_, got), want)| (got - want).abs() < 1e-3));
        let within_m = want[123] + 1e-3;
        assert_eq!(picture.near(from, Some(within_m), None).len(), 124);
        assert_eq!(picture.near(from, Some(within_m), Some(3)).len(), 3);
    }
    assert!(picture.near(Coord { x: f64::NAN, y: 0.0 }, None, None).is_empty());
}

/// Crowds of very different density, doubles among them.
fn crowds(seed: u64) -> Vec<Coord<f64>> {
    let mut dice = Dice(seed);
    let mut all = Vec::new();
    for spread in [1e-6, 1e-4, 1e-2, 0.3] {
        let c = dice.coord();
        all.extend((0..700).map(|_| Coord { x: c.x + spread * dice.roll(), y: c.y + spread * dice.roll() }));
    }
    all.extend_from_within(0..40);
    all
}

fn distances(points: &[Coord<f64>], from: Coord<f64>) -> Vec<f64> {
    points.iter().map(|c| geodesy::distance_m(from, *c)).collect()
}

#[test]
fn nearest_points_are_those_of_a_scan_however_dense_they_lie() {
    let points = crowds(31);
    let picture = picture(points.iter().enumerate().map(|(i, c)| named(i, Point(*c))).collect());
    let mut dice = Dice(32);
    for i in 0..300 {
        let near = points[(dice.roll() * points.len() as f64) as usize];
        let shift = [1e-7, 1e-5, 1e-3, 0.05, 1.0][i % 5];
        let from = Coord { x: near.x + shift * (dice.roll() - 0.5), y: near.y + shift * (dice.roll() - 0.5) };
        let all = distances(&points, from);
        let mut want = all.clone();
        want.sort_by(f64::total_cmp);
        for count in [0, 1, 2, 10, 64, 65, 200] {
            let got = picture.near(from, None, Some(count));
            assert_eq!(got.len(), count);
            assert!(got.is_sorted_by(|a, b| (a.1, a.0) < (b.1, b.0)), "nearest first, each once");
            for (hit, want) in got.iter().zip(&want) {
                assert!((hit.1 - want).abs() < 1e-4 && (hit.1 - all[hit.0 as usize]).abs() < 1e-4, "{from:?} {count}");
            }
        }
        let within_m = want[7] + 1e-3;
        let few = want.iter().filter(|d| **d <= within_m).count();
        assert_eq!(picture.near(from, Some(within_m), Some(20)).len(), few.min(20));
    }
}

#[test]
fn within_a_radius_is_what_a_scan_measures() {
    let points = crowds(41);
    let picture = picture(points.iter().enumerate().map(|(i, c)| named(i, Point(*c))).collect());
    let mut dice = Dice(42);
    for i in 0..300 {
        let from = if i % 3 == 0 { dice.coord() } else { points[(dice.roll() * points.len() as f64) as usize] };
        let radius_m = [0.0, 0.05, 3.0, 500.0, 20_000.0, 49_000.0, 80_000.0][i % 7] * (0.5 + dice.roll());
        let all = distances(&points, from);
        let want: Vec<u32> = (0..).zip(&all).filter(|(_, d)| **d <= radius_m).map(|(o, _)| o).collect();
        let near: Vec<u32> = picture.near(from, Some(radius_m), None).into_iter().map(|h| h.0).collect();
        // A tenth of a millimetre on either side belongs to the method.
        let doubtful = |o: &u32| (all[*o as usize] - radius_m).abs() < 1e-4;
        let sure = |ordinals: Vec<u32>| sorted(ordinals.into_iter().filter(|o| !doubtful(o)).collect());
        assert_eq!(sure(picture.within_radius(from, radius_m)), sure(want.clone()), "{from:?} {radius_m}");
        assert_eq!(sure(near), sure(want), "{from:?} {radius_m}");
    }
    let here = points[0];
    assert!(picture.within_radius(here, 0.0).contains(&0));
    assert!(picture.within_radius(here, -1.0).is_empty() && picture.within_radius(here, f64::NAN).is_empty());
    assert_eq!(picture.within_radius(here, f64::INFINITY).len(), points.len());
}

#[test]
fn within_a_radius_sees_lines_and_polygons_as_near_does() {
    let picture = picture(mixed(13));
    let mut dice = Dice(14);
    for radius_m in [0.0, 10.0, 3_000.0, 60_000.0] {
        let from = dice.coord();
        let near = picture.near(from, Some(radius_m), None).into_iter().map(|h| h.0).collect();
        assert_eq!(sorted(picture.within_radius(from, radius_m)), sorted(near));
    }
}

#[test]
fn a_join_is_many_single_questions() {
    let mut features = coverage(9, PROVINCE, 4);
    features.push(named(500, Rect::new((105.9, 10.9), (106.3, 11.3)).to_polygon()));
    let picture = picture(features);
    let mut dice = Dice(5);
    let mut places: Vec<Coord<f64>> = (0..3_000).map(|_| dice.coord()).collect();
    places.extend([(f64::NAN, 11.0), (106.0, f64::INFINITY), (0.0, 0.0), (105.9, 10.9)].map(Coord::from));
    let single = |(number, c): (u32, &Coord<f64>)| {
        let hits = picture.at(*c, 0.0).into_iter().map(move |h| [number, h.0]);
        let mut hits: Vec<[u32; 2]> = hits.collect();
        hits.sort_unstable();
        hits
    };
    let want: Vec<[u32; 2]> = (0..).zip(&places).flat_map(single).collect();
    assert_eq!(picture.join(&places), want);
    assert!(picture.join(&[]).is_empty());
}

#[test]
fn the_whole_world_holds_every_feature_once() {
    for features in [mixed(9), points(37, 9), points(16, 9), points(1, 9)] {
        let count = features.iter().filter(|f| !model::geometry_bbox(&f.geometry).is_empty()).count() as u32;
        let picture = picture(features);
        for reach in [200.0, 300.0, 1e12, f64::MAX] {
            let world = BBox { west: -reach, south: -reach, east: reach, north: reach };
            assert_eq!(sorted(picture.within_bbox(world)).len() as u32, count, "±{reach}");
        }
    }
}

#[test]
fn near_works_everywhere_on_earth() {
    let mut dice = Dice(21);
    let world: Vec<Feature> =
        (0..800).map(|i| named(i, Point::new(dice.roll() * 360.0 - 180.0, dice.roll() * 180.0 - 90.0))).collect();
    let picture = picture(world.clone());
    for from in [(179.99, 0.0), (-179.99, 65.0), (0.0, 90.0), (106.0, -89.9), (12.0, 41.0)] {
        let from = Coord::from(from);
        let mut want: Vec<f64> = world
            .iter()
            .filter_map(
                |f| if let Geometry::Point(p) = f.geometry { Some(geodesy::distance_m(from, p.0)) } else { None },
            )
            .collect();
        want.sort_by(f64::total_cmp);
        let got = picture.near(from, None, Some(20));
        assert!(got.iter().zip(&want).all(|((_, got), want)| (got - want).abs() < 1e-3), "{from:?}");
    }
}

#[test]
fn near_measures_to_lines_and_polygons_and_not_to_their_boxes() {
    let picture = picture(mixed(3));
    let from = Coord { x: 106.2, y: 11.0 };
    let hits = picture.near(from, Some(3_000.0), None);
    assert!(hits.is_sorted_by(|a, b| a.1 <= b.1) && hits.iter().all(|h| h.1 <= 3_000.0));
    assert_eq!(hits.iter().filter(|h| h.0 >= 600 && h.1 == 0.0).count(), 1, "one cell of the coverage holds the place");
    let all = picture.near(from, None, None);
    assert_eq!(all.len(), picture.len() - 1, "the empty line has no place");
    assert_eq!(all.iter().filter(|h| h.1 <= 3_000.0).count(), hits.len());
}

#[test]
fn at_gives_the_smallest_polygon_first_and_tolerance_reaches_points_and_lines() {
    let square = |half: f64| Rect::new((106.0 - half, 11.0 - half), (106.0 + half, 11.0 + half)).to_polygon();
    let picture = picture(vec![
        named(0, square(0.5)),
        named(1, square(0.1)),
        named(2, Point::new(106.0, 11.000_5)),
        named(3, LineString::from(vec![(105.0, 11.000_1), (107.0, 11.000_1)])),
        named(4, MultiPoint::from(vec![(1.0, 1.0), (106.0, 11.0)])),
    ]);
    let here = Coord { x: 106.0, y: 11.0 };
    let ordinals = |hits: Vec<(u32, f64)>| hits.into_iter().map(|h| h.0).collect::<Vec<_>>();
    assert_eq!(ordinals(picture.at(here, 0.0)), [4, 1, 0]);
    assert_eq!(ordinals(picture.at(here, 20.0)), [4, 1, 0, 3]);
    assert_eq!(ordinals(picture.at(here, 60.0)), [4, 1, 0, 3, 2]);
    assert!(picture.at(Coord { x: f64::INFINITY, y: 0.0 }, 10.0).is_empty());
}

#[test]
fn every_place_lies_in_exactly_one_cell_of_a_coverage() {
    let picture = picture(coverage(9, PROVINCE, 4));
    let mut dice = Dice(5);
    for _ in 0..2_000 {
        assert_eq!(picture.at(dice.coord(), 0.0).len(), 1);
    }
}

#[test]
fn a_layer_opens_from_its_packed_parts_and_answers_alike() {
    let features = mixed(6);
    let built = picture(features.clone());
    let mut packer = spatial::Packer::new();
    let mut parts: Vec<Vec<u8>> = features.iter().filter_map(|feature| packer.push(feature)).collect();
    parts.extend(packer.finish());
    let open =
        |parts: &[Vec<u8>]| LayerPicture::unpack(layer("mixed"), 4, parts.iter().map(Vec::as_slice), "name", &[]);
    let opened = open(&parts).unwrap();
    let query = BBox { west: 106.0, south: 11.0, east: 106.3, north: 11.2 };
    assert_eq!(opened.within_bbox(query), built.within_bbox(query));
    assert!(opened.features().eq(features.iter().cloned()));
    for part in 0..parts.len() {
        let mut damaged = parts.clone();
        damaged[part].truncate(parts[part].len() / 2);
        assert!(open(&damaged).is_none());
    }
    assert_eq!(built.ordinal_of("f5"), Some(5));
    assert_eq!(built.ordinal_of("nobody"), None);
    assert_eq!(built.ordinal_of("f2003").and_then(|o| built.id(o)), Some("f2003"));
    assert_eq!(built.bbox(), Some(PROVINCE.union(built.bbox().unwrap())));
    assert_eq!(built.name(0), Some("Điểm 0"));
}

#[test]
fn an_empty_layer_answers_nothing() {
    let picture = picture(vec![]);
    let here = Coord { x: 106.0, y: 11.0 };
    assert!(picture.is_empty() && picture.bbox().is_none() && picture.ordinal_of("x").is_none());
    assert!(picture.near(here, None, None).is_empty() && picture.at(here, 1e6).is_empty());
    assert!(picture.tile(5, 25, 14).is_none() && picture.label_point(0).is_none());
}

#[test]
fn geojson_carries_ordinals_names_and_fields() {
    let mut features = coverage(2, PROVINCE, 9);
    features[1].properties.insert("status".into(), model::Value::Text("\"đang\" \n xây".into()));
    features.push(named(77, MultiPoint::from(vec![(106.0, 11.0), (106.5, 11.5)])));
    let picture = LayerPicture::build(layer("mixed"), 1, features, "name", &["status".into(), "name".into()]);
    let labels: serde_json::Value = serde_json::from_slice(&picture.labels_geojson()).unwrap();
    let labels = labels["features"].as_array().unwrap();
    assert_eq!(labels.len(), 4);
    assert_eq!(labels[1]["properties"]["status"], "\"đang\" \n xây");
    assert_eq!((&labels[1]["id"], &labels[1]["properties"]["id"]), (&1.into(), &"f1".into()));
    let area: f64 = labels.iter().map(|l| l["properties"]["area_m2"].as_f64().unwrap()).sum();
    assert!((area / 1e6 - 25_300.0).abs() < 300.0, "{area}");
    let at = Coord {
        x: labels[0]["geometry"]["coordinates"][0].as_f64().unwrap(),
        y: labels[0]["geometry"]["coordinates"][1].as_f64().unwrap(),
    };
    assert_eq!(picture.at(at, 0.0)[0].0, 0);
    let points: serde_json::Value = serde_json::from_slice(&picture.points_geojson()).unwrap();
    assert_eq!(points["features"].as_array().unwrap().len(), 2);
    assert_eq!(points["features"][1]["id"], 4);
}
