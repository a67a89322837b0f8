//! Shapes grown or shrunk by a distance on the ground.

use super::lattice::{Fill, Lattice};
use super::outline::Outline;
use super::prepared::{Engine, rings_of};
use super::{Op, Polygonal};
use crate::plane::ring_area2;
use geo_types::{Coord, LineString, MultiPolygon, Polygon};
use geodesy::LocalPlane;
use rayon::prelude::*;
use std::f64::consts::{FRAC_PI_2, PI};

/// Chords to a quarter of a circle, as in GEOS: the arc lies at most 0.12 % of the distance outside of them.
const QUARTER: f64 = 16.0;

/// How far, as a part of the distance, the strip reaches over to the other side of the border, so that no sliver stays
/// between them. What is there is within the distance as well.
const REACH_BACK: f64 = 0.01;

/// Longer edges are broken up, since what is straight in degrees is not straight on the ground: 4 mm over 1 km.
const STRAIGHT_M: f64 = 1_000.0;

/// Rings of less than this part of the distance squared come from rounding where pieces meet.
const SPECK: f64 = 1e-7;

/// Shapes united at a time.
const GROUP: usize = 8;

/// Farther than this a local plane means nothing.
const FARTHEST_M: f64 = 1_000_000.0;

/// The places within `distance_m` of a shape in WGS84 degrees; with a negative distance those inside that are farther
/// than that from its boundary. Corners are rounded.
///
/// Built in a plane whose directions and distances from the shape's middle are true: at r from there, others are off by
/// (r / 6371 km)² / 6 or less, which is 1 cm to the kilometre at 50 km. `None` if the distance is not a number or beyond
/// 1,000 km, or if the shape reaches farther than that from its middle or beyond a pole.
pub fn buffer(shape: &(impl Polygonal + ?Sized), distance_m: f64) -> Option<MultiPolygon<f64>> {
    let mut engine = Engine::default();
    let mut outline = Outline::default();
    engine.prepare(shape, &mut outline);
    if !distance_m.is_finite() || distance_m.abs() > FARTHEST_M {
        return None;
    }
    if outline.is_empty() {
        return Some(MultiPolygon(Vec::new()));
    }
    if distance_m == 0.0 {
        return Some(MultiPolygon(outline.polygons()));
    }
    let w = &outline.window;
    if w.y0 < -90.0 || w.y1 > 90.0 || w.x1 - w.x0 > 180.0 || w.x0.abs() > 360.0 {
        return None;
    }
    let plane = LocalPlane::at(w.centre());
    let mut rings = Vec::new();
    for ring in outline.rings() {
        rings.push(flat(&outline.points[ring], &plane)?);
    }
    let pieces: Vec<Vec<Coord<f64>>> = rings.iter().flat_map(|ring| pieces(ring, distance_m)).collect();
    let strip = unite(pieces);
    let (rings, pieces) = (rings.iter().map(Vec::as_slice), strip.iter().map(Vec::as_slice));
    let op = if distance_m > 0.0 { Op::Union } else { Op::Difference };
    let mut result = engine.lattice().overlay(rings, pieces, op, Fill::NonZero);
    let speck = |ring: &LineString<f64>| ring_area2(&ring.0).abs() < SPECK * distance_m * distance_m;
    result.0.retain(|polygon| !speck(polygon.exterior()));
    for polygon in &mut result.0 {
        if polygon.interiors().iter().any(speck) {
            let (exterior, holes) = (polygon.exterior().clone(), polygon.interiors().iter());
            *polygon = Polygon::new(exterior, holes.filter(|ring| !speck(ring)).cloned().collect());
        }
        polygon.exterior_mut(|ring| ring.0.iter_mut().for_each(|c| *c = plane.degrees(*c)));
        polygon.interiors_mut(|rings| rings.iter_mut().flat_map(|r| &mut r.0).for_each(|c| *c = plane.degrees(*c)));
    }
    let good = rings_of(&result).flatten().all(|c| c.x.is_finite() && c.y.is_finite());
    good.then_some(result)
}

/// Neighbours first, then neighbouring groups: where edges are short against the distance, hundreds of pieces lie on top
/// of each other, and each would cross all the others.
fn unite(pieces: Vec<Vec<Coord<f64>>>) -> Vec<Vec<Coord<f64>>> {
    let mut shapes: Vec<Vec<Vec<Coord<f64>>>> = pieces.into_iter().map(|piece| vec![piece]).collect();
    while shapes.len() > GROUP * GROUP {
        let group = |lattice: &mut Lattice, shapes: &[Vec<Vec<Coord<f64>>>]| {
            let rings = shapes.iter().flatten().map(Vec::as_slice);
            let united = lattice.overlay(rings, std::iter::empty(), Op::Union, Fill::NonZero);
            rings_of(&united).map(<[_]>::to_vec).collect()
        };
        shapes = shapes.par_chunks(GROUP).map_init(Lattice::default, group).collect();
    }
    shapes.into_iter().flatten().collect()
}

/// A ring in the plane; `None` where it reaches too far.
fn flat(ring: &[Coord<f64>], plane: &LocalPlane) -> Option<Vec<Coord<f64>>> {
    let mut out: Vec<Coord<f64>> = Vec::with_capacity(ring.len());
    let mut put = |c: Coord<f64>| {
        let m = plane.metres(c);
        if out.last() != Some(&m) {
            out.push(m);
        }
        (m.x.hypot(m.y) <= FARTHEST_M).then_some(m)
    };
    let mut before = put(*ring.first()?)?;
    for [a, b] in ring.array_windows::<2>() {
        let end = plane.metres(*b);
        let steps = ((end.x - before.x).hypot(end.y - before.y) / STRAIGHT_M).ceil();
        let mut step = 1.0;
        while step < steps {
            let t = step / steps;
            put(Coord { x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t })?;
            step += 1.0;
        }
        before = put(*b)?;
    }
    Some(out)
}

/// What covers the strip along one side of a ring: a rectangle to every edge, a sector to every corner that turns away.
/// All anticlockwise, so that they add up.
fn pieces(ring: &[Coord<f64>], distance: f64) -> Vec<Vec<Coord<f64>>> {
    let open = ring.len().saturating_sub(1);
    let mut pieces = Vec::with_capacity(2 * open);
    let d = distance.abs();
    // Outside is to the right of the way, inside to the left.
    let side = -distance.signum();
    let normal = |a: Coord<f64>, b: Coord<f64>| {
        let length = (b.x - a.x).hypot(b.y - a.y);
        Coord { x: -(b.y - a.y) / length * side, y: (b.x - a.x) / length * side }
    };
    let off = |c: Coord<f64>, n: Coord<f64>, by: f64| Coord { x: c.x + n.x * d * by, y: c.y + n.y * d * by };
    for at in 0..open {
        let (a, b, c) = (ring[at], ring[at + 1], ring[if at + 2 > open { 1 } else { at + 2 }]);
        let (n, m) = (normal(a, b), normal(b, c));
        if !(n.x.is_finite() && n.y.is_finite() && m.x.is_finite() && m.y.is_finite()) {
            continue;
        }
        let [back, to] = [-REACH_BACK, 1.0];
        pieces.push(if side < 0.0 {
            vec![off(a, n, back), off(a, n, to), off(b, n, to), off(b, n, back)]
        } else {
            vec![off(a, n, back), off(b, n, back), off(b, n, to), off(a, n, to)]
        });
        let turn = (n.x * m.y - n.y * m.x).atan2(n.x * m.x + n.y * m.y);
        // A way that runs straight back turns by half a circle on either side.
        let turn = if turn.abs() > PI - 1e-6 { turn.abs() } else { turn * -side };
        let middle = Coord { x: (n.x + m.x) / 2.0, y: (n.y + m.y) / 2.0 };
        if turn <= 0.0 {
            // The rectangles overlap; behind the corner they leave a notch.
            let mut kite = vec![off(b, middle, REACH_BACK), off(b, n, back), off(b, m, back)];
            kite.push(kite[0]);
            if ring_area2(&kite) < 0.0 {
                kite.reverse();
            }
            pieces.push(kite);
            continue;
        }
        let steps = (turn / FRAC_PI_2 * QUARTER).ceil();
        let mut sector = vec![off(b, middle, back), off(b, n, 1.0)];
        let mut step = 1.0;
        while step < steps {
            let (sin, cos) = (turn * step / steps * -side).sin_cos();
            sector.push(off(b, Coord { x: n.x * cos - n.y * sin, y: n.x * sin + n.y * cos }, 1.0));
            step += 1.0;
        }
        sector.push(off(b, m, 1.0));
        if side > 0.0 {
            sector.reverse();
        }
        pieces.push(sector);
    }
    pieces
}
