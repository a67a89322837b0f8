//! Whether a polygon on the tile's grid is a polygon: no ring meets itself or another.
//!
//! "Sound" is a little stricter than valid in the sense of OGC Simple Features 6.1.11: rings that touch in a point are
//! reported too, and [`crate::knit`] takes them apart.

use crate::clip::{HIGH, LOW};
use crate::mvt::Place;

/// Up to here every edge is held against every other.
const FEW: usize = 24;

/// One edge of a polygon, and which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub a: Place,
    pub b: Place,
    /// The ring, the place in it, and how many there are.
    ring: u32,
    at: u32,
    count: u32,
}

impl Edge {
    fn low(&self, axis: usize) -> i32 {
        self.a[axis].min(self.b[axis])
    }

    fn high(&self, axis: usize) -> i32 {
        self.a[axis].max(self.b[axis])
    }

    fn follows(&self, before: &Self) -> bool {
        self.ring == before.ring && self.at == if before.at + 1 == before.count { 0 } else { before.at + 1 }
    }

    /// On one of the lines that the tile is cut along.
    fn lies_on_cut(&self) -> Option<(usize, i32)> {
        (0..2).find_map(|axis| {
            let at = self.a[axis];
            (at == self.b[axis] && (at == LOW || at == HIGH)).then_some((axis, at))
        })
    }
}

/// Twice the signed area of the triangle.
pub(crate) fn cross(a: Place, b: Place, c: Place) -> i64 {
    let d = |p: Place, axis: usize| i64::from(p[axis]) - i64::from(a[axis]);
    d(b, 0) * d(c, 1) - d(c, 0) * d(b, 1)
}

/// Closed segments, ends included.
fn meet(a: Place, b: Place, c: Place, d: Place) -> bool {
    let apart =
        |axis: usize| a[axis].max(b[axis]) < c[axis].min(d[axis]) || c[axis].max(d[axis]) < a[axis].min(b[axis]);
    if apart(0) || apart(1) {
        return false;
    }
    let one_side = |p: i64, q: i64| (p > 0 && q > 0) || (p < 0 && q < 0);
    !one_side(cross(a, b, c), cross(a, b, d)) && !one_side(cross(c, d, a), cross(c, d, b))
}

/// From a to b and on to c goes back on the same line.
fn turns_back(a: Place, b: Place, c: Place) -> bool {
    let d = |p: Place, q: Place, axis: usize| i64::from(q[axis]) - i64::from(p[axis]);
    cross(a, b, c) == 0 && d(a, b, 0) * d(b, c, 0) + d(a, b, 1) * d(b, c, 1) <= 0
}

/// Whether the rings, without closing repetition, meet nowhere but where an edge follows the one before.
pub(crate) fn is_sound<'a>(rings: impl Iterator<Item = &'a [Place]> + Clone, edges: &mut Vec<Edge>) -> bool {
    let mut several = rings.clone();
    if let (Some(only), None) = (several.next(), several.next())
        && only.len() <= FEW
    {
        return is_small_ring_sound(only);
    }
    collect(rings, edges);
    pairs(edges, &mut |first, second| {
        if second.follows(first) {
            !turns_back(first.a, first.b, second.b)
        } else if first.follows(second) {
            !turns_back(second.a, second.b, first.b)
        } else {
            !meet(first.a, first.b, second.a, second.b)
        }
    })
}

fn is_small_ring_sound(ring: &[Place]) -> bool {
    let n = ring.len();
    let [Some(&last), Some(&first)] = [ring.last(), ring.first()] else { return true };
    if n < 3 || turns_back(ring[n - 2], last, first) || turns_back(last, first, ring[1]) {
        return false;
    }
    for i in 0..n - 2 {
        let (a, b) = (ring[i], ring[i + 1]);
        if turns_back(a, b, ring[i + 2]) {
            return false;
        }
        // The edge after the next one, up to the last but, from the first edge, not the one that leads to it.
        let mut c = ring[i + 2];
        for d in &ring[i + 3..] {
            if meet(a, b, c, *d) {
                return false;
            }
            c = *d;
        }
        if i > 0 && meet(a, b, last, first) {
            return false;
        }
    }
    true
}

pub(crate) fn collect<'a>(rings: impl Iterator<Item = &'a [Place]>, edges: &mut Vec<Edge>) {
    edges.clear();
    for (number, ring) in (0..).zip(rings) {
        #[allow(clippy::cast_possible_truncation)]
        let count = ring.len() as u32;
        let Some(mut a) = ring.last().copied() else { continue };
        for (at, b) in (0..count).zip(ring) {
            edges.push(Edge { a, b: *b, ring: number, at, count });
            a = *b;
        }
    }
}

/// West, north, east, south of some edges.
fn bounds(edges: &[Edge]) -> [i32; 4] {
    edges.iter().fold([i32::MAX, i32::MAX, i32::MIN, i32::MIN], |b, e| {
        [b[0].min(e.low(0)), b[1].min(e.low(1)), b[2].max(e.high(0)), b[3].max(e.high(1))]
    })
}

fn overlap(a: &[i32; 4], b: &[i32; 4]) -> bool {
    a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]
}

/// Shows `each` all pairs of edges whose boxes meet, until it says false. Edges that follow each other lie together, so
/// runs of them are compared by their common boxes first.
fn pairs(edges: &[Edge], each: &mut dyn FnMut(&Edge, &Edge) -> bool) -> bool {
    let run = edges.len().isqrt().max(8);
    let boxes: Vec<[i32; 4]> = edges.chunks(run).map(bounds).collect();
    for (i, (first, first_box)) in edges.chunks(run).zip(&boxes).enumerate() {
        for (k, one) in first.iter().enumerate() {
            let own = bounds(std::slice::from_ref(one));
            for two in &first[k + 1..] {
                if overlap(&own, &bounds(std::slice::from_ref(two))) && !each(one, two) {
                    return false;
                }
            }
        }
        for (second, second_box) in edges.chunks(run).zip(&boxes).skip(i + 1) {
            if !overlap(first_box, second_box) {
                continue;
            }
            for one in first {
                let own = bounds(std::slice::from_ref(one));
                if !overlap(&own, second_box) {
                    continue;
                }
                for two in second {
                    if overlap(&own, &bounds(std::slice::from_ref(two))) && !each(one, two) {
                        return false;
                    }
                }
            }
        }
    }
    true
}

/// How far, in tile units, rounding can carry a vertex across an edge: half a diagonal each, and a little.
const STRAY: f64 = 2.0;

/// Finds where edges meet that should not, and reports for each such pair the edge `(a, b)` and the vertex that is to be
/// put between its ends. Edges that only share ends, or both lie where the tile was cut, are left alone.
pub(crate) fn missing(edges: &[Edge], report: &mut dyn FnMut(Place, Place, Place)) {
    pairs(edges, &mut |first, second| {
        let (on_cut, other) = (first.lies_on_cut(), second.lies_on_cut());
        if (on_cut.is_some() && on_cut == other) || !meet(first.a, first.b, second.a, second.b) {
            return true;
        }
        let ends = [(first.a, second), (first.b, second), (second.a, first), (second.b, first)];
        let common = [first.a, first.b].into_iter().any(|end| end == second.a || end == second.b);
        let nearest = ends
            .into_iter()
            .filter_map(|(vertex, edge)| Some((distance(vertex, edge)?, vertex, edge)))
            .filter(|(far, ..)| *far < if common { f64::EPSILON } else { STRAY })
            .min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        if let Some((_, vertex, edge)) = nearest {
            report(edge.a, edge.b, vertex);
        }
        true
    });
}

/// From a vertex to an edge, where its foot lies between the ends.
fn distance(vertex: Place, edge: &Edge) -> Option<f64> {
    let d = |p: Place, q: Place, axis: usize| f64::from(q[axis]) - f64::from(p[axis]);
    let (a, b) = (edge.a, edge.b);
    let along = d(a, vertex, 0) * d(a, b, 0) + d(a, vertex, 1) * d(a, b, 1);
    let square = d(a, b, 0) * d(a, b, 0) + d(a, b, 1) * d(a, b, 1);
    #[allow(clippy::cast_precision_loss)]
    let off = cross(a, b, vertex) as f64;
    (vertex != a && vertex != b && along > 0.0 && along < square).then(|| off.abs() / square.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By definition: every pair of edges, with no runs and no boxes.
    fn slow(ring: &[Place]) -> bool {
        let n = ring.len();
        let edge = |i: usize| (ring[i % n], ring[(i + 1) % n]);
        n >= 3
            && (0..n).all(|i| {
                !turns_back(ring[i], ring[(i + 1) % n], ring[(i + 2) % n])
                    && (0..n).all(|j| {
                        let near = i == j || (i + 1) % n == j || (j + 1) % n == i;
                        near || !meet(edge(i).0, edge(i).1, edge(j).0, edge(j).1)
                    })
            })
    }

    proptest! {
        #[test]
        fn small_and_large_rings_are_judged_alike(ring in proptest::collection::vec((0..9_i32, 0..9_i32).prop_map(|(x, y)| [x, y]), 3..9)) {
            let want = slow(&ring);
            prop_assert_eq!(is_small_ring_sound(&ring), want);
            let mut edges = Vec::new();
            prop_assert_eq!(is_sound(std::iter::once(ring.as_slice()), &mut edges), want);
            // The same outline with each edge in four, so that the walk by runs is taken.
            let fine: Vec<Place> = (0..ring.len())
                .flat_map(|i| {
                    let (a, b) = (ring[i], ring[(i + 1) % ring.len()]);
                    (0..4).map(move |k| [4 * a[0] + k * (b[0] - a[0]), 4 * a[1] + k * (b[1] - a[1])])
                })
                .collect();
            if ring.len() > 6 && ring.array_windows::<2>().all(|[a, b]| a != b) && ring.first() != ring.last() {
                prop_assert_eq!(is_sound(std::iter::once(fine.as_slice()), &mut edges), want);
            }
        }
    }

    #[test]
    fn rings_that_touch_are_not_sound() {
        let square = [[0, 0], [9, 0], [9, 9], [0, 9]];
        let inside = [[2, 2], [2, 5], [5, 5]];
        let touching = [[0, 4], [2, 6], [2, 4]];
        let mut edges = Vec::new();
        assert!(is_sound([square.as_slice(), inside.as_slice()].into_iter(), &mut edges));
        assert!(!is_sound([square.as_slice(), touching.as_slice()].into_iter(), &mut edges));
    }
}
