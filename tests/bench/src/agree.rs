//! Answers to random questions and overlays of random pairs, written out for another engine to be held against; and
//! pairs so degenerate that most of them are no areas at all.

use crate::Failure;
use crate::data::Data;
use geo_types::{Coord, LineString, MultiPolygon, Polygon};
use model::BBox;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spatial::overlay::{self, Measure, Op, Prepared, Relation, area_planar};
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Degrees, metres; each list a kind of question.
#[derive(Deserialize)]
struct Questions {
    /// Points in a box.
    points: Vec<[f64; 4]>,
    /// Parcels that meet a box.
    parcels: Vec<[f64; 4]>,
    /// Parcels that hold a place.
    at: Vec<[f64; 2]>,
    /// Points at most so many metres away.
    within: Vec<([f64; 2], f64)>,
    /// The nearest so many points, nearest first.
    near: Vec<([f64; 2], usize)>,
}

/// Parts, rings (the first is the outer one), corners.
type Parts = Vec<Vec<Vec<[f64; 2]>>>;

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    Ok(serde_json::from_reader(BufReader::new(File::open(path)?))?)
}

fn shape(parts: &Parts) -> MultiPolygon<f64> {
    let ring = |ring: &Vec<[f64; 2]>| LineString(ring.iter().copied().map(Coord::from).collect());
    let part = |rings: &Vec<Vec<[f64; 2]>>| {
        let mut rings = rings.iter().map(ring);
        Polygon::new(rings.next().unwrap_or_else(|| LineString(Vec::new())), rings.collect())
    };
    MultiPolygon(parts.iter().map(part).collect())
}

fn parts(shape: &MultiPolygon<f64>) -> Parts {
    let ring = |ring: &LineString<f64>| ring.0.iter().map(|c| [c.x, c.y]).collect();
    let part = |polygon: &Polygon<f64>| {
        std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).collect::<Vec<Vec<_>>>()
    };
    shape.0.iter().map(part).collect()
}

/// Ids of each question's answer, kind by kind.
pub fn queries(data: &mut Data, from: &Path) -> Result<Value, Failure> {
    let asked: Questions = read(from)?;
    let (points, parcels) = (data.points()?, data.parcels()?);
    let (points, parcels) = (&points.picture, &parcels.picture);
    let ids = |found: Vec<(u32, f64)>| found.into_iter().map(|(id, _)| id).collect::<Vec<u32>>();
    Ok(json!({
        "points": asked.points.iter().map(|b| points.within_bbox(BBox::from(*b))).collect::<Vec<_>>(),
        "parcels": asked.parcels.iter().map(|b| parcels.within_bbox(BBox::from(*b))).collect::<Vec<_>>(),
        "at": asked.at.iter().map(|at| ids(parcels.at(Coord::from(*at), 0.0))).collect::<Vec<_>>(),
        "within": asked.within.iter().map(|(at, m)| points.within_radius(Coord::from(*at), *m)).collect::<Vec<_>>(),
        "near": asked.near.iter().map(|(at, k)| ids(points.near(Coord::from(*at), None, Some(*k)))).collect::<Vec<_>>(),
    }))
}

#[derive(Serialize)]
struct Cut {
    /// How the first lies to the second.
    relation: &'static str,
    /// Without a shape: intersection, union, difference.
    areas: [f64; 3],
    /// The same as shapes.
    shapes: [Parts; 3],
}

/// All that can be made of each pair.
pub fn pairs(from: &Path) -> Result<Value, Failure> {
    let pairs: Vec<[Parts; 2]> = read(from)?;
    let cut = |[a, b]: &[Parts; 2]| {
        let (a, b) = (shape(a), shape(b));
        let ready = Prepared::new(&b);
        let relation = match ready.relation(&a) {
            Relation::Disjoint => "disjoint",
            Relation::Within => "within",
            Relation::Crosses => "crosses",
        };
        let ops = [Op::Intersection, Op::Union, Op::Difference];
        let one = std::slice::from_ref(&a);
        let area = |op| overlay::overlay_areas(one, std::slice::from_ref(&ready), &[(0, 0)], op, Measure::Planar)[0];
        let shapes = [overlay::intersection(&a, &b), overlay::union(&a, &b), overlay::difference(&a, &b)];
        Cut { relation, areas: ops.map(area), shapes: shapes.map(|shape| parts(&shape)) }
    };
    Ok(serde_json::to_value(pairs.iter().map(cut).collect::<Vec<_>>())?)
}

/// Rings of few corners on a small lattice, some of them repeated, on one line or not numbers: how many pairs panicked,
/// and how many gave an area that cannot be.
pub fn degenerate(count: usize) -> Value {
    let mut dice = Dice(20_260_101);
    let (mut panics, mut impossible) = (0_u64, 0_u64);
    for _ in 0..count {
        let (a, b) = (dice.shape(), dice.shape());
        let work = AssertUnwindSafe(|| {
            let ready = Prepared::new(&b);
            let _ = ready.relation(&a);
            let shapes = [overlay::intersection(&a, &b), overlay::union(&a, &b), overlay::difference(&a, &b)];
            let [both, either, left] = shapes.map(|shape| area_planar(&shape));
            let by_edges = ready.intersection_area(&a, Measure::Planar);
            let sound = [both, either, left, by_edges].iter().all(|area| area.is_finite() && *area >= 0.0);
            let slack = 1e-6 * either.max(1.0);
            sound
                && (both + left + area_planar(&overlay::difference(&b, &a)) - either).abs() <= slack
                && (both - by_edges).abs() <= slack
        });
        match catch_unwind(work) {
            Ok(true) => {}
            Ok(false) => impossible += 1,
            Err(_) => panics += 1,
        }
    }
    json!({ "panics": panics, "impossible": impossible })
}

/// A linear congruential generator (Knuth's MMIX): the same pairs each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn corner(&mut self) -> Coord<f64> {
        let odd = [f64::NAN, f64::INFINITY, 1e300, -1e300, 5e-324, 1e-17];
        let mut one = || match self.roll(400) {
            0 => odd[self.roll(odd.len() as u64) as usize],
            _ => self.roll(7) as f64,
        };
        Coord { x: one(), y: one() }
    }

    fn ring(&mut self) -> LineString<f64> {
        let count = self.roll(9);
        let mut corners: Vec<Coord<f64>> = Vec::new();
        for _ in 0..count {
            let again = if corners.is_empty() { None } else { Some(self.roll(corners.len() as u64 * 5) as usize) };
            let corner = again.and_then(|at| corners.get(at).copied());
            corners.push(corner.unwrap_or_else(|| self.corner()));
        }
        LineString(corners)
    }

    fn shape(&mut self) -> MultiPolygon<f64> {
        let parts = 1 + self.roll(5) / 4;
        MultiPolygon(
            (0..parts)
                .map(|_| {
                    let holes = self.roll(4) / 3;
                    Polygon::new(self.ring(), (0..holes).map(|_| self.ring()).collect())
                })
                .collect(),
        )
    }
}
