//! A shape made ready once and asked many times.

use super::area::{self, Measure, Scratch};
use super::clip::clip;
use super::lattice::{Fill, Lattice};
use super::outline::{Outline, Place};
use super::relate::{Relation, relation};
use super::simple::is_simple;
use super::{Op, Polygonal};
use geo_types::{Coord, MultiPolygon, Polygon, Rect};
use std::iter::empty;

/// A shape with its edges indexed: questions cost what lies near them, not the length of the boundary.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    pub(crate) outline: Outline,
}

impl Prepared {
    /// In time proportional to the number of vertices n (n log n for the check that the boundary does not cross itself).
    pub fn new(shape: &(impl Polygonal + ?Sized)) -> Self {
        let mut prepared = Self::default();
        Engine::default().prepare(shape, &mut prepared.outline);
        prepared
    }

    /// The shape, mended if it was not valid: exteriors anticlockwise, holes clockwise, no repeated points.
    pub fn shape(&self) -> MultiPolygon<f64> {
        MultiPolygon(self.outline.polygons())
    }

    /// The bounding rectangle; `None` if the shape is empty.
    pub fn bounds(&self) -> Option<Rect<f64>> {
        let w = &self.outline.window;
        (!self.outline.is_empty()).then(|| Rect::new(Coord { x: w.x0, y: w.y0 }, Coord { x: w.x1, y: w.y1 }))
    }

    /// Where a point lies. Exact.
    pub fn locate(&self, c: Coord<f64>) -> Place {
        self.outline.locate(c)
    }

    /// Whether the point lies inside or on the boundary. Exact.
    pub fn contains(&self, c: Coord<f64>) -> bool {
        self.locate(c) != Place::Outside
    }

    /// How another shape lies to this one. Exact.
    pub fn relation(&self, other: &(impl Polygonal + ?Sized)) -> Relation {
        let mut outline = Outline::default();
        Engine::default().prepare(other, &mut outline);
        relation(&outline, &self.outline)
    }

    /// The shape's own area.
    pub fn area(&self, measure: Measure) -> f64 {
        area::own(&self.outline, measure)
    }

    /// The area that both shapes cover, without building what they cover.
    pub fn intersection_area(&self, other: &(impl Polygonal + ?Sized), measure: Measure) -> f64 {
        Engine::default().overlay_area(other, self, Op::Intersection, measure)
    }

    /// What both shapes cover.
    pub fn intersection(&self, other: &(impl Polygonal + ?Sized)) -> MultiPolygon<f64> {
        Engine::default().overlay(other, self, Op::Intersection)
    }
}

impl Outline {
    /// The rings as polygons. A hole follows its exterior.
    pub(crate) fn polygons(&self) -> Vec<Polygon<f64>> {
        let mut polygons: Vec<Polygon<f64>> = Vec::new();
        for ring in self.rings() {
            let line = self.points[ring.clone()].to_vec().into();
            match polygons.last_mut() {
                Some(polygon) if self.is_hole(&ring) => polygon.interiors_push(line),
                _ => polygons.push(Polygon::new(line, Vec::new())),
            }
        }
        polygons
    }
}

/// Buffers for a run of overlays on one thread.
#[derive(Default)]
pub(crate) struct Engine {
    left: Outline,
    result: Outline,
    scratch: Scratch,
    lattice: Lattice,
}

impl Engine {
    /// Loads, mends if need be, and indexes.
    pub fn prepare(&mut self, shape: &(impl Polygonal + ?Sized), outline: &mut Outline) {
        outline.load(shape);
        outline.index();
        if !is_simple(outline) {
            outline.load(&self.mended(shape));
            outline.index();
        }
    }

    /// Each exterior by even-odd, less its holes, then all of them together.
    fn mended(&mut self, shape: &(impl Polygonal + ?Sized)) -> MultiPolygon<f64> {
        let lattice = &mut self.lattice;
        let mut parts = Vec::new();
        for polygon in shape.polygons() {
            let mut outline = Outline::default();
            outline.load(polygon);
            let mut rings = outline
                .rings()
                .map(|ring| lattice.overlay([&outline.points[ring]].into_iter(), empty(), Op::Union, Fill::EvenOdd));
            let Some(exterior) = rings.next() else { continue };
            let holes = MultiPolygon(rings.flatten().collect());
            parts.extend(match holes.0.is_empty() {
                true => exterior,
                false => lattice.overlay(rings_of(&exterior), rings_of(&holes), Op::Difference, Fill::NonZero),
            });
        }
        let parts = MultiPolygon(parts);
        match parts.0.len() {
            0 | 1 => parts,
            _ => lattice.overlay(rings_of(&parts), empty(), Op::Union, Fill::NonZero),
        }
    }

    pub fn own_area(&mut self, shape: &(impl Polygonal + ?Sized), measure: Measure) -> f64 {
        let mut outline = std::mem::take(&mut self.left);
        self.prepare(shape, &mut outline);
        self.left = outline;
        area::own(&self.left, measure)
    }

    pub fn overlay_area(&mut self, a: &(impl Polygonal + ?Sized), b: &Prepared, op: Op, measure: Measure) -> f64 {
        self.set_left(a);
        self.left_area(b, op, measure)
    }

    pub fn overlay(&mut self, a: &(impl Polygonal + ?Sized), b: &Prepared, op: Op) -> MultiPolygon<f64> {
        self.set_left(a);
        self.left_overlay(b, op)
    }

    pub fn set_left(&mut self, a: &(impl Polygonal + ?Sized)) {
        let mut outline = std::mem::take(&mut self.left);
        self.prepare(a, &mut outline);
        self.left = outline;
    }

    /// The area of the overlay of the shape set last with another.
    pub fn left_area(&mut self, b: &Prepared, op: Op, measure: Measure) -> f64 {
        if measure == Measure::Geodesic {
            // Where the boundaries cross, edges have new ends: they have to be found.
            let result = self.left_overlay(b, op);
            self.result.load(&result);
            return area::own(&self.result, measure);
        }
        let common = area::common(&self.left, &b.outline, measure, &mut self.scratch);
        match op {
            Op::Intersection => common,
            Op::Difference => (area::own(&self.left, measure) - common).max(0.0),
            Op::Union => (area::own(&self.left, measure) + area::own(&b.outline, measure) - common).max(0.0),
        }
    }

    /// The overlay of the shape set last with another.
    pub fn left_overlay(&mut self, b: &Prepared, op: Op) -> MultiPolygon<f64> {
        let Self { left: a, lattice, .. } = self;
        let nothing = || MultiPolygon(Vec::new());
        match (relation(a, &b.outline), op) {
            (Relation::Within, Op::Difference) | (Relation::Disjoint, Op::Intersection) => return nothing(),
            (Relation::Within, Op::Intersection) | (Relation::Disjoint, Op::Difference) => {
                return MultiPolygon(a.polygons());
            }
            (Relation::Within, Op::Union) => return b.shape(),
            (Relation::Disjoint, Op::Union) => return MultiPolygon([a.polygons(), b.outline.polygons()].concat()),
            (Relation::Crosses, _) => {}
        }
        let all = |outline: &Outline| -> Vec<Vec<Coord<f64>>> {
            outline.rings().map(|ring| outline.points[ring].to_vec()).collect()
        };
        // A result that lies within the smaller shape needs of the larger one only what is near.
        let (subject, clipper) = match op {
            Op::Union => (all(a), all(&b.outline)),
            Op::Intersection if a.points.len() > b.outline.points.len() => {
                (clip(a, &b.outline.window), all(&b.outline))
            }
            _ => (all(a), clip(&b.outline, &a.window)),
        };
        lattice.overlay(subject.iter().map(Vec::as_slice), clipper.iter().map(Vec::as_slice), op, Fill::NonZero)
    }

    pub fn lattice(&mut self) -> &mut Lattice {
        &mut self.lattice
    }
}

pub(crate) fn rings_of(shape: &MultiPolygon<f64>) -> impl Iterator<Item = &[Coord<f64>]> + Clone {
    shape.0.iter().flat_map(|polygon| {
        std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(|ring| ring.0.as_slice())
    })
}
