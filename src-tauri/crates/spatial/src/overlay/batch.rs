//! Many overlays at once, on all threads of the pool.

use super::prepared::{Engine, Prepared};
use super::{Measure, Op, Polygonal};
use geo_types::MultiPolygon;
use rayon::prelude::*;

/// Pairs to a piece of work.
const PIECE: usize = 256;

/// The overlay of every pair (place in `left`, place in `right`), in the order of the pairs. Pairs sorted by their left
/// member are quickest: it is made ready once. A place that does not exist has an empty shape.
pub fn overlay_pairs<P: Polygonal + Sync>(
    left: &[P],
    right: &[Prepared],
    pairs: &[(u32, u32)],
    op: Op,
) -> Vec<MultiPolygon<f64>> {
    each(left, right, pairs, |engine, b| engine.left_overlay(b, op))
}

/// The area of the overlay of every pair, as [`overlay_pairs`] but without building shapes.
pub fn overlay_areas<P: Polygonal + Sync>(
    left: &[P],
    right: &[Prepared],
    pairs: &[(u32, u32)],
    op: Op,
    measure: Measure,
) -> Vec<f64> {
    each(left, right, pairs, |engine, b| engine.left_area(b, op, measure))
}

fn each<P: Polygonal + Sync, T: Send>(
    left: &[P],
    right: &[Prepared],
    pairs: &[(u32, u32)],
    of: impl Fn(&mut Engine, &Prepared) -> T + Sync,
) -> Vec<T> {
    let nothing = Prepared::default();
    let piece = |engine: &mut Engine, pairs: &[(u32, u32)]| -> Vec<T> {
        let mut set = None;
        let mut results = Vec::with_capacity(pairs.len());
        for &(l, r) in pairs {
            if set != Some(l) {
                match left.get(l as usize) {
                    Some(shape) => engine.set_left(shape),
                    None => engine.set_left(&MultiPolygon(Vec::new())),
                }
                set = Some(l);
            }
            results.push(of(engine, right.get(r as usize).unwrap_or(&nothing)));
        }
        results
    };
    let results: Vec<Vec<T>> = pairs.par_chunks(PIECE).map_init(Engine::default, piece).collect();
    results.into_iter().flatten().collect()
}
