//! Mends what rounding to the tile's grid broke, for all polygons of the tile at once.
//!
//! Rounding can carry a vertex across an edge that passes nearby. As in snap rounding (Hobby 1999, Practical segment
//! intersection with finite precision output, Computational Geometry 13(4)) the edge is then led through that vertex: in
//! every polygon of the tile that has the edge, so that neighbours keep one border. What then only touches itself is
//! taken apart into valid polygons by an overlay on integers, which finds nothing left to round.

use crate::mvt::Place;
use crate::ring::area2;
use crate::sound::{Edge, collect, is_sound, missing};
use i_overlay::core::fill_rule::FillRule;
use i_overlay::core::overlay::{IntOverlayOptions, Overlay, ShapeType};
use i_overlay::core::overlay_rule::OverlayRule;
use i_overlay::core::solver::Solver;
use i_overlay::i_float::int::point::IntPoint;
use std::collections::HashMap;
use std::ops::Range;

/// Leading an edge through a vertex can bring it near another one; a few rounds settle it.
const ROUNDS: usize = 8;

/// The polygons of a tile: places back to back, rings in their feature's order, a hole after its exterior.
#[derive(Default)]
pub(crate) struct Polygons {
    pub places: Vec<Place>,
    pub rings: Vec<Ring>,
    /// Per feature, its rings.
    pub features: Vec<Range<usize>>,
}

/// A ring without its closing repetition: exteriors have a positive area, holes a negative one.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub places: Range<usize>,
    pub hole: bool,
    /// Twice its area, without sign, before mending.
    pub area2: i64,
}

impl Polygons {
    pub fn rings(&self, feature: usize) -> impl Iterator<Item = &[Place]> + Clone {
        let rings = self.features.get(feature).cloned().unwrap_or_default();
        self.rings.get(rings).unwrap_or_default().iter().map(|ring| &self.places[ring.places.clone()])
    }

    /// Makes the features listed valid; they must be the ones that are not sound. Others change with them where they share
    /// an edge.
    pub fn mend(&mut self, mut broken: Vec<usize>, edges: &mut Vec<Edge>) {
        let mut suspects = broken.clone();
        for _ in 0..ROUNDS {
            let mut detours = Detours::default();
            for feature in suspects.drain(..) {
                collect(self.rings(feature), edges);
                missing(edges, &mut |a, b, via| detours.add(a, b, via));
            }
            if detours.via.is_empty() {
                break;
            }
            for feature in 0..self.features.len() {
                if self.lead(feature, &detours) && !is_sound(self.rings(feature), edges) {
                    suspects.push(feature);
                }
            }
            broken.extend_from_slice(&suspects);
        }
        broken.sort_unstable();
        broken.dedup();
        for feature in broken {
            if !is_sound(self.rings(feature), edges) {
                self.take_apart(feature);
            }
        }
    }

    /// Leads the feature's edges through what was found missing. True when any changed.
    fn lead(&mut self, feature: usize, detours: &Detours) -> bool {
        let mut changed = false;
        for ring in self.rings.get_mut(self.features[feature].clone()).unwrap_or_default() {
            let places = ring.places.clone();
            let Some(last) = self.places[places.clone()].last().copied() else { continue };
            let mut from = last;
            let known = places.clone().any(|at| {
                let edge = (from, self.places[at]);
                from = edge.1;
                detours.may_have(edge.0, edge.1)
            });
            if !known {
                continue;
            }
            let start = self.places.len();
            from = last;
            for at in places {
                let to = self.places[at];
                self.places.extend(detours.of(from, to));
                self.places.push(to);
                from = to;
            }
            if self.places.len() - start > ring.places.len() {
                ring.places = start..self.places.len();
                changed = true;
            } else {
                self.places.truncate(start);
            }
        }
        changed
    }

    /// Replaces the feature's rings by those of its interior.
    fn take_apart(&mut self, feature: usize) {
        let count = self.rings(feature).map(<[Place]>::len).sum();
        let options = IntOverlayOptions::ogc();
        let mut overlay = Overlay::new_custom(count, options, Solver::default());
        for ring in self.rings(feature) {
            overlay.add_path_iter(ring.iter().map(|p| IntPoint::new(p[0], p[1])), ShapeType::Subject);
        }
        let first = self.rings.len();
        // Loops that rounding turned over wind the other way and vanish.
        for shape in overlay.overlay(OverlayRule::Subject, FillRule::Positive) {
            for (number, contour) in shape.iter().enumerate() {
                let start = self.places.len();
                self.places.extend(contour.iter().map(|p| [p.x, p.y]));
                let hole = number > 0;
                let area = area2(&self.places[start..]);
                if (area > 0) == hole {
                    self.places[start..].reverse();
                }
                if area != 0 {
                    self.rings.push(Ring { places: start..self.places.len(), hole, area2: area.abs() });
                }
            }
        }
        self.features[feature] = first..self.rings.len();
    }
}

/// Vertices to lead edges through; an edge and its reverse are one.
struct Detours {
    via: HashMap<(Place, Place), Vec<Place>>,
    /// A bit for each edge's hash: most edges of a tile are asked for and not in it.
    bloom: Vec<u64>,
}

impl Default for Detours {
    fn default() -> Self {
        Self { via: HashMap::new(), bloom: vec![0; 128] }
    }
}

fn bit(a: Place, b: Place) -> (usize, u64) {
    // The same for both directions.
    let fold = |axis: usize| (a[axis].wrapping_add(b[axis])).cast_unsigned();
    let key = u64::from(fold(0)) << 32 | u64::from(fold(1));
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 51;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

impl Detours {
    fn add(&mut self, a: Place, b: Place, via: Place) {
        let list = self.via.entry((a.min(b), a.max(b))).or_default();
        if !list.contains(&via) {
            list.push(via);
        }
        let (word, bit) = bit(a, b);
        if let Some(word) = self.bloom.get_mut(word) {
            *word |= bit;
        }
    }

    fn may_have(&self, a: Place, b: Place) -> bool {
        let (word, bit) = bit(a, b);
        self.bloom.get(word).is_some_and(|word| word & bit != 0)
    }

    /// What lies between a and b, in that order.
    fn of(&self, a: Place, b: Place) -> Vec<Place> {
        if !self.may_have(a, b) {
            return Vec::new();
        }
        let mut list = self.via.get(&(a.min(b), a.max(b))).cloned().unwrap_or_default();
        let d = |p: Place, q: Place, axis: usize| i64::from(q[axis]) - i64::from(p[axis]);
        list.sort_unstable_by_key(|p| (d(a, *p, 0) * d(a, b, 0) + d(a, *p, 1) * d(a, b, 1), *p));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygons(features: &[&[&[Place]]]) -> Polygons {
        let mut all = Polygons::default();
        for feature in features {
            let first = all.rings.len();
            for (number, ring) in feature.iter().enumerate() {
                let start = all.places.len();
                all.places.extend_from_slice(ring);
                all.rings.push(Ring { places: start..all.places.len(), hole: number > 0, area2: 0 });
            }
            all.features.push(first..all.rings.len());
        }
        all
    }

    fn total(all: &Polygons, feature: usize) -> i64 {
        all.rings(feature).map(area2).sum()
    }

    #[test]
    fn a_vertex_across_an_edge_bends_the_edge_for_both_sides() {
        // The notch's tip (50, 1) was carried across the lower edge, which the neighbour below shares.
        let notched: &[Place] = &[[0, 0], [100, 3], [100, 60], [60, 60], [50, 1], [40, 60], [0, 60]];
        let below: &[Place] = &[[0, -40], [100, -40], [100, 3], [0, 0]];
        let mut all = polygons(&[&[notched], &[below]]);
        let mut edges = Vec::new();
        assert!(!is_sound(all.rings(0), &mut edges));
        let notch: i64 = 2 * 20 * 59 / 2;
        all.mend(vec![0], &mut edges);
        assert_eq!(all.rings(0).count(), 2, "the notch parts it in two");
        assert!(all.rings(0).all(|ring| area2(ring) > 0));
        assert_eq!(total(&all, 0) + total(&all, 1), 2 * 100 * 100 - notch, "no gap and no overlap");
    }

    #[test]
    fn a_figure_of_eight_keeps_the_part_that_winds_right() {
        let eight: &[Place] = &[[0, 0], [20, 20], [20, 0], [0, 20]];
        let mut all = polygons(&[&[eight]]);
        all.mend(vec![0], &mut Vec::new());
        assert!(all.rings(0).all(|ring| area2(ring) > 0));
        assert_eq!(total(&all, 0), 200);
    }

    #[test]
    fn nothing_is_left_of_a_line_there_and_back() {
        let flat: &[Place] = &[[0, 0], [20, 0], [10, 0]];
        let mut all = polygons(&[&[flat]]);
        all.mend(vec![0], &mut Vec::new());
        assert_eq!(all.rings(0).count(), 0);
    }
}
