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
