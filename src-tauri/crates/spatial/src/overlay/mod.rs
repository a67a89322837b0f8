//! Polygon overlay: what two areas have in common, how large that is, unions and buffers.
//!
//! ```text
//! polygons ── Outline (wound, checked, tree of runs) ──┬─ locate · relation        exact predicates
//!                                                      ├─ area of the overlap      edge against edge, no shape built
//!                                                      └─ clip ── integer lattice ─▶ shapes
//! ```
//!
//! **Shapes** are polygons in any plane; those in WGS84 degrees can be measured in square metres and buffered in metres.
//! Edges are straight in the coordinates given. What is not valid is taken by even-odd ring by ring, holes taken off,
//! parts united; rings that are not numbers or enclose nothing are left out. Nothing here fails or panics: of nothing the
//! overlay is nothing.
//!
//! ```
//! use geo_types::polygon;
//! use spatial::overlay::{Measure, Prepared, Relation};
//! let zone = Prepared::new(&polygon![(x: 0.0, y: 0.0), (x: 4.0, y: 0.0), (x: 4.0, y: 4.0), (x: 0.0, y: 4.0)]);
//! let lot = polygon![(x: 3.0, y: 1.0), (x: 6.0, y: 1.0), (x: 6.0, y: 2.0), (x: 3.0, y: 2.0)];
//! assert_eq!(zone.relation(&lot), Relation::Crosses);
//! assert_eq!(zone.intersection_area(&lot, Measure::Planar), 1.0);
//! ```

mod area;
mod batch;
mod buffer;
mod clip;
mod geodesic;
mod lattice;
mod outline;
mod prepared;
mod relate;
mod simple;
mod tidy;
mod union;

pub use area::Measure;
pub use batch::{overlay_areas, overlay_pairs};
pub use buffer::buffer;
pub use outline::Place;
pub use prepared::Prepared;
pub use relate::Relation;
pub use union::union_all;

use geo_types::{Geometry, MultiPolygon, Polygon};
use prepared::Engine;

/// What is made of two areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// In both.
    Intersection,
    /// In either.
    Union,
    /// In the left one and not in the right one.
    Difference,
}

/// Anything that consists of polygons. Points and lines of a geometry have no area and count for nothing, and so do the
/// members of a collection.
pub trait Polygonal {
    fn polygons(&self) -> &[Polygon<f64>];
}

impl Polygonal for Polygon<f64> {
    fn polygons(&self) -> &[Polygon<f64>] {
        std::slice::from_ref(self)
    }
}

impl Polygonal for MultiPolygon<f64> {
    fn polygons(&self) -> &[Polygon<f64>] {
        &self.0
    }
}

impl Polygonal for [Polygon<f64>] {
    fn polygons(&self) -> &[Polygon<f64>] {
        self
    }
}

impl Polygonal for Geometry<f64> {
    fn polygons(&self) -> &[Polygon<f64>] {
        match self {
            Geometry::Polygon(polygon) => polygon.polygons(),
            Geometry::MultiPolygon(polygons) => polygons.polygons(),
            _ => &[],
        }
    }
}

impl<T: Polygonal + ?Sized> Polygonal for &T {
    fn polygons(&self) -> &[Polygon<f64>] {
        (*self).polygons()
    }
}

/// The area in square units of the plane.
pub fn area_planar(shape: &(impl Polygonal + ?Sized)) -> f64 {
    Engine::default().own_area(shape, Measure::Planar)
}

/// The area in m² on WGS84 of a shape in degrees, edges taken for geodesics ([`Measure::Geodesic`]): within 1e-9 of Karney's
/// algorithm, at a thirtieth of its cost. The shape is mended first, if need be.
pub fn area_m2(shape: &(impl Polygonal + ?Sized)) -> f64 {
    Engine::default().own_area(shape, Measure::Geodesic)
}

/// What both shapes cover. To ask one shape many times, see [`Prepared`].
pub fn intersection(a: &(impl Polygonal + ?Sized), b: &(impl Polygonal + ?Sized)) -> MultiPolygon<f64> {
    Engine::default().overlay(a, &Prepared::new(b), Op::Intersection)
}

/// What either shape covers.
pub fn union(a: &(impl Polygonal + ?Sized), b: &(impl Polygonal + ?Sized)) -> MultiPolygon<f64> {
    Engine::default().overlay(a, &Prepared::new(b), Op::Union)
}

/// What `a` covers and `b` does not.
pub fn difference(a: &(impl Polygonal + ?Sized), b: &(impl Polygonal + ?Sized)) -> MultiPolygon<f64> {
    Engine::default().overlay(a, &Prepared::new(b), Op::Difference)
}
