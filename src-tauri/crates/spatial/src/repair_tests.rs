use super::*;
use geo_types::{line_string, polygon};
use proptest::prelude::*;

fn square(x: f64, y: f64, side: f64) -> Polygon<f64> {
    polygon![(x: x, y: y), (x: x + side, y: y), (x: x + side, y: y + side), (x: x, y: y + side)]
}

fn area(geometry: &Geometry<f64>) -> f64 {
    let polygons = match geometry {
        Geometry::Polygon(p) => vec![p.clone()],
        Geometry::MultiPolygon(m) => m.0.clone(),
        _ => vec![],
    };
    polygons.iter().map(crate::plane::polygon_area).sum()
}

#[track_caller]
fn mended(geometry: impl Into<Geometry<f64>>, expected_area: f64) -> Geometry<f64> {
    let repair = repair(geometry.into());
    let mended = repair.geometry.expect("something must be left");
    assert!((area(&mended) - expected_area).abs() < 1e-6, "area {} instead of {expected_area}", area(&mended));
    let again = super::repair(mended.clone());
    assert!(!again.changed, "a repaired geometry needs no repair, yet {:?}", again.reason);
    mended
}

#[test]
fn valid_geometry_keeps_every_bit() {
    let hole = square(106.1, 11.1, 0.1).exterior().0.iter().rev().copied().collect();
    let p = Polygon::new(square(106.0, 11.0, 0.5).exterior().clone(), vec![hole]);
    for geometry in [
        Geometry::Polygon(p.clone()),
        Geometry::MultiPolygon(MultiPolygon(vec![p, square(107.0, 11.0, 0.5)])),
        Geometry::LineString(line_string![(x: 0.0, y: 0.0), (x: 1.0, y: 1.0), (x: 0.0, y: 0.0)]),
    ] {
        assert_eq!(repair(geometry.clone()), Repair { geometry: Some(geometry), changed: false, reason: None });
    }
}

#[test]
fn winding_is_turned_to_rfc_7946_without_fuss() {
    let mut ring = square(0.0, 0.0, 1.0).exterior().clone();
    ring.0.reverse();
    let repair = repair(Polygon::new(ring, vec![]).into());
    assert!(!repair.changed);
    let Some(Geometry::Polygon(p)) = repair.geometry else { panic!("a polygon stays one") };
    assert!(ring_area2(&p.exterior().0) > 0.0);
}

#[test]
fn spikes_and_repeated_points_go() {
    let p = polygon![
        (x: 0., y: 0.), (x: 1., y: 0.), (x: 1., y: 0.), (x: 1., y: 1.), (x: 1., y: 5.), (x: 1., y: 1.), (x: 0., y: 1.)
    ];
    let Geometry::Polygon(p) = mended(p, 1.0) else { panic!("a polygon stays one") };
    assert_eq!(p.exterior().0.len(), 5);
    // The spike may sit at the seam.
    mended(polygon![(x: 0., y: 5.), (x: 0., y: 0.), (x: 1., y: 0.), (x: 1., y: 1.), (x: 0., y: 1.)], 1.0);
}

#[test]
fn crossing_overlapping_and_stray_parts_are_resolved() {
    mended(polygon![(x: 0., y: 0.), (x: 1., y: 1.), (x: 1., y: 0.), (x: 0., y: 1.)], 0.5);
    mended(MultiPolygon(vec![square(0.0, 0.0, 2.0), square(1.0, 1.0, 2.0)]), 7.0);
    mended(MultiPolygon(vec![square(0.0, 0.0, 1.0), square(1.0, 0.0, 1.0)]), 2.0);
    mended(MultiPolygon(vec![square(0.0, 0.0, 4.0), square(1.0, 1.0, 1.0)]), 16.0);
    let with_hole =
        |hole: Polygon<f64>| Polygon::new(square(0.0, 0.0, 2.0).exterior().clone(), vec![hole.into_inner().0]);
    mended(with_hole(square(1.0, 0.5, 2.0)), 4.0 - 1.5);
    mended(with_hole(square(5.0, 5.0, 1.0)), 4.0);
    let mut two = with_hole(square(0.5, 0.5, 1.0));
    two.interiors_push(square(0.7, 0.7, 0.2).into_inner().0);
    mended(two, 3.0);
    // A hole that touches its exterior in one point is fine.
    let touching = with_hole(polygon![(x: 0., y: 1.), (x: 1., y: 0.5), (x: 1., y: 1.5)]);
    assert!(!repair(touching.into()).changed);
}

#[test]
fn what_encloses_nothing_is_refused_with_a_reason() {
    for (geometry, word) in [
        (Geometry::from(polygon![(x: 0., y: 0.), (x: 1., y: 1.), (x: 2., y: 2.)]), "area"),
        (polygon![(x: 0., y: 0.), (x: 1., y: 0.), (x: 0.5, y: 1e-14)].into(), "area"),
        (line_string![(x: 1., y: 1.), (x: 1., y: 1.)].into(), "length"),
        (line_string![(x: 1., y: f64::NAN), (x: 1., y: 1.)].into(), "finite"),
        (LineString::<f64>(vec![]).into(), "no coordinates"),
        (Geometry::GeometryCollection(GeometryCollection(vec![])), "no coordinates"),
    ] {
        let repair = repair(geometry);
        assert_eq!(repair.geometry, None);
        assert!(repair.reason.as_deref().is_some_and(|reason| reason.contains(word)), "{:?}", repair.reason);
    }
}

#[test]
fn a_ring_that_touches_itself_becomes_valid() {
    let hourglass = polygon![
        (x: 0., y: 0.), (x: 2., y: 0.), (x: 1., y: 1.), (x: 2., y: 2.), (x: 0., y: 2.), (x: 1., y: 1.)
    ];
    mended(hourglass, 2.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_ring_is_mended_once_and_for_all(
        points in proptest::collection::vec((0..9_u8, 0..9_u8), 0..14), jitter in prop_oneof![Just(0.0), Just(1e-7), Just(0.013)]
    ) {
        let ring = points.iter().enumerate().map(|(i, (x, y))| {
            #[allow(clippy::cast_precision_loss)]
            let shift = jitter * ((i * 7919) % 13) as f64;
            Coord { x: 106.0 + f64::from(*x) + shift, y: 11.0 + f64::from(*y) - shift }
        }).collect();
        let polygon = Polygon::new(LineString(ring), vec![]);
        let first = repair(polygon.into());
        if let Some(geometry) = first.geometry {
            let again = repair(geometry.clone());
            prop_assert!(!again.changed, "{:?}", again.reason);
        } else {
            let reason = first.reason.unwrap_or_default();
            prop_assert!(!reason.contains("stays invalid"), "{}", reason);
        }
    }
}
