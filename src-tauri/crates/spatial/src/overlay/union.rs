//! The union of many shapes.

use super::Op;
use super::Polygonal;
use super::lattice::Fill;
use super::outline::{Outline, as_u32};
use super::prepared::Engine;
use geo_types::{Coord, MultiPolygon};
use rayon::prelude::*;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// What any of the shapes covers.
///
/// An edge that two neighbours run in opposite directions changes no winding number and is struck out first: the union of
/// a coverage costs little more than its outer boundary. What is left is united on the integer lattice, so that overlaps,
/// gaps and borders that match only in part come out right as well.
pub fn union_all<P: Polygonal + Sync>(shapes: &[P]) -> MultiPolygon<f64> {
    let outlines: Vec<Outline> = shapes
        .par_chunks(512)
        .map_init(Engine::default, |engine, shapes| {
            let mut all = Outline::default();
            all.starts.push(0);
            let mut one = Outline::default();
            for shape in shapes {
                engine.prepare(shape, &mut one);
                let base = as_u32(all.points.len());
                all.points.extend_from_slice(&one.points);
                all.starts.extend(one.starts.iter().skip(1).map(|start| base.saturating_add(*start)));
            }
            all
        })
        .collect();
    let rings = rings(single(&outlines));
    Engine::default().lattice().overlay(rings.iter().map(Vec::as_slice), std::iter::empty(), Op::Union, Fill::NonZero)
}

type Bits = [u64; 2];

fn bits(c: Coord<f64>) -> Bits {
    [c.x.to_bits(), c.y.to_bits()]
}

/// Spreads coordinates' bits; the tables hold no hostile keys that would not be drawn as fast by their number.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(u64::from(*b)));
    }

    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn write_usize(&mut self, _: usize) {}
}

type Table<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// The edges that no opposite one strikes out, each as often as it is left over.
fn single(outlines: &[Outline]) -> Vec<[Coord<f64>; 2]> {
    let count: usize = outlines.iter().map(|outline| outline.points.len()).sum();
    let mut net: Table<[Bits; 2], (i32, bool)> =
        Table::with_capacity_and_hasher(count / 2, BuildHasherDefault::default());
    let edges = || outlines.iter().flat_map(|o| o.rings().flat_map(|ring| o.points[ring].array_windows::<2>()));
    for [a, b] in edges() {
        let (a, b) = (bits(*a), bits(*b));
        let (key, way) = if a < b { ([a, b], 1) } else { ([b, a], -1) };
        net.entry(key).or_default().0 += way;
    }
    // In the order of the shapes, so that the result does not hang on the table's order.
    let mut left = Vec::new();
    for [a, b] in edges() {
        let (p, q) = (bits(*a), bits(*b));
        let (key, way) = if p < q { ([p, q], 1) } else { ([q, p], -1) };
        if let Some((times, drawn)) = net.get_mut(&key)
            && *times * way > 0
            && !*drawn
        {
            *drawn = true;
            left.extend(std::iter::repeat_n([*a, *b], times.unsigned_abs() as usize));
        }
    }
    left
}

/// Joins edges end to end. As many leave every vertex as arrive there, so that every way comes back.
fn rings(edges: Vec<[Coord<f64>; 2]>) -> Vec<Vec<Coord<f64>>> {
    let mut leaving: Table<Bits, Vec<usize>> = Table::default();
    for (at, [a, _]) in edges.iter().enumerate().rev() {
        leaving.entry(bits(*a)).or_default().push(at);
    }
    let mut rings = Vec::new();
    for [start, _] in &edges {
        let mut ring = Vec::new();
        let mut here = *start;
        while let Some(at) = leaving.get_mut(&bits(here)).and_then(Vec::pop) {
            ring.push(here);
            here = edges[at][1];
        }
        if ring.len() > 2 {
            rings.push(ring);
        }
    }
    rings
}
