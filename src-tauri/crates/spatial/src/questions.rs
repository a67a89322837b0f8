//! The questions asked of a layer's picture: what meets a box, what lies at a place, what is near.

use crate::grid::grid_box;
use crate::measure::Origin;
use crate::nearest::nearest;
use crate::picture::LayerPicture;
use crate::plane::{Part, contains, meets_box, parts, polygon_area};
use geo_types::{Coord, Geometry};
use model::{BBox, geometry_bbox};
use std::cell::RefCell;
use std::ops::Range;

impl LayerPicture {
    /// Ordinals of the features that have a point in common with the box (degrees, edges included), in index order: near
    /// ones stand near each other.
    pub fn within_bbox(&self, bbox: BBox) -> Vec<u32> {
        let order = self.index.order();
        let hits = RefCell::new(Vec::new());
        let inside = |places: Range<usize>| hits.borrow_mut().extend_from_slice(&order[places]);
        self.index.search_places(&grid_box(&bbox), inside, |place| {
            if self.meets(place, &bbox) {
                hits.borrow_mut().push(order[place]);
            }
        });
        hits.into_inner()
    }

    fn meets(&self, place: usize, bbox: &BBox) -> bool {
        if let Some(c) = self.points.get(place) {
            return bbox.contains(c.x, c.y);
        }
        let geometry = &self.geometries.geometry(self.index.order()[place]);
        let own = geometry_bbox(geometry);
        let wholly = bbox.contains(own.west, own.south) && bbox.contains(own.east, own.north);
        wholly || (own.intersects(bbox) && meets_box(geometry, bbox))
    }

    /// Everything within a distance, in index order, with its distance in metres.
    fn circle(&self, origin: &Origin, within_m: f64) -> Vec<(u32, f64)> {
        let order = self.index.order();
        let hits = RefCell::new(Vec::new());
        let measure = |place: usize| {
            let distance_m = self.distance_m(origin, place, order[place], within_m);
            if distance_m <= within_m {
                hits.borrow_mut().push((order[place], distance_m));
            }
        };
        let around = grid_box(&origin.around(within_m));
        self.index.search_places(&around, |places| places.for_each(measure), measure);
        hits.into_inner()
    }

    fn distance_m(&self, origin: &Origin, place: usize, ordinal: u32, within_m: f64) -> f64 {
        if let Some(c) = self.points.get(place) {
            return origin.distance_m(*c);
        }
        let geometry = &self.geometries.geometry(ordinal);
        if within_m > 0.0 { origin.geometry_distance_m(geometry) } else { touch(geometry, origin.at) }
    }

    /// What lies at a place: polygons that contain it (0 m) and whatever comes within `tolerance_m` (metres), nearest
    /// first, the smaller polygon first among equals.
    pub fn at(&self, at: Coord<f64>, tolerance_m: f64) -> Vec<(u32, f64)> {
        if !(at.x.is_finite() && at.y.is_finite()) {
            return Vec::new();
        }
        let tolerance_m = tolerance_m.max(0.0);
        let origin = Origin::new(at);
        let area = |ordinal: u32| geometry_area(&self.geometries.geometry(ordinal));
        let hits = self.circle(&origin, tolerance_m).into_iter();
        let mut hits: Vec<(f64, f64, u32)> = hits.map(|(ordinal, d)| (d, area(ordinal), ordinal)).collect();
        hits.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        hits.into_iter().map(|(distance_m, _, ordinal)| (ordinal, distance_m)).collect()
    }

    /// Features by geodesic distance in metres (0 inside polygons), nearest first, at most `within_m` away and at most `k`
    /// of them.
    pub fn near(&self, from: Coord<f64>, within_m: Option<f64>, k: Option<usize>) -> Vec<(u32, f64)> {
        if !(from.x.is_finite() && from.y.is_finite()) {
            return Vec::new();
        }
        let origin = Origin::new(from);
        match (within_m, k) {
            // Everything in a circle: no need to walk in order.
            (Some(within_m), None) if within_m < 1e6 => {
                let mut hits = self.circle(&origin, within_m.max(f64::MIN_POSITIVE));
                hits.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
                hits
            }
            _ => {
                let within_m = within_m.unwrap_or(f64::INFINITY);
                let distance_m = |place, ordinal| self.distance_m(&origin, place, ordinal, f64::INFINITY);
                nearest(&self.index, &origin, within_m, k.unwrap_or(usize::MAX), distance_m)
            }
        }
    }
}

/// Distance with no tolerance: 0 where the polygon contains the place or the point is it, else infinite.
fn touch(geometry: &Geometry<f64>, at: Coord<f64>) -> f64 {
    let mut hit = false;
    parts(geometry, &mut |part| {
        hit = hit
            || match part {
                Part::Point(c) => c == at,
                Part::Line(line) => line.contains(&at),
                Part::Polygon(p) => contains(p, at),
            };
    });
    if hit { 0.0 } else { f64::INFINITY }
}

fn geometry_area(geometry: &Geometry<f64>) -> f64 {
    let mut area = 0.0;
    parts(geometry, &mut |part| {
        if let Part::Polygon(p) = part {
            area += polygon_area(p);
        }
    });
    area
}
