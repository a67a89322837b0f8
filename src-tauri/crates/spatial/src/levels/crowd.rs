//! The lowest zoom of each feature: what a tile's budget drops, and what stands in for it.
//!
//! **Budget.** A tile takes about [`BYTES`] bytes and [`FEATURES`] features, of points half as many: each becomes a symbol,
//! and MapLibre gives up on a tile with more than 32,768. A tile within its budget draws everything, but for a crowd of
//! polygons or lines smaller than a pixel. Where there are too many, those that lie side by side on the Hilbert curve and
//! are small give way to one of their number, the most important one, until the tile fits:
//!
//! * **Points** count alike, so that of each run of n one stays: the map thins, its density keeps its pattern.
//! * **Polygons** count by area. One larger than the square that a crowd is summed up in is never dropped; of the
//!   others, one is drawn as such a square for each square's worth of area, so that a town keeps its tone.
//! * **Lines** count by the square of their length: of a run of short ones the most important stays, as it is.
//!
//! Zooms are worked out from the deepest up, each from what the one below draws: what shows at a zoom shows at all deeper
//! ones too. A feature is on the account of the tile with its middle. What reaches in from a neighbour comes on top, about
//! a tenth; where long features cross many tiles it can be more, and `tile::keep_to_budget` ends it at half as much again.

use super::{Levels, Square};
use crate::grid::WORLD_BITS;
use crate::shapes::Shapes;
use crate::tile::{EXTENT_BITS, MAX_ZOOM, PIXEL};

/// What a tile may take, uncompressed: about a quarter of a megabyte compressed.
const BYTES: usize = 1 << 20;
/// How many features a tile may hold; half as many points.
pub(crate) const FEATURES: usize = 16_384;
/// With more features than this in a tile, those smaller than a pixel share pixels instead of getting one each.
const CROWD: usize = 2_048;

/// A feature that is still drawn, and what it stands for.
#[derive(Clone, Copy)]
struct Entry {
    /// Place on the Hilbert curve of the deepest zoom's tiles.
    key: u64,
    ordinal: u32,
    /// Area in square world steps, or points.
    weight: f32,
    /// It stands for others too.
    crowd: bool,
}

/// The tile with a place.
pub(super) fn tile_of(z: u8, at: [i32; 2]) -> [u32; 2] {
    at.map(|v| v.max(0).cast_unsigned() >> (WORLD_BITS - u32::from(z)).min(31))
}

pub(super) fn thin(
    shapes: &Shapes,
    importance: &dyn Fn(u32) -> f64,
    tag_bytes: usize,
    count: usize,
    levels: &mut Levels,
) {
    levels.features = vec![0; count];
    let mut live: Vec<Entry> = (0..u32::MAX).take(count).filter_map(|ordinal| entry(shapes, ordinal)).collect();
    live.sort_unstable_by_key(|entry| (entry.key, entry.ordinal));
    let mut next = Vec::with_capacity(0);
    for z in (0..=MAX_ZOOM).rev() {
        let costs = Costs { shapes, levels, tag_bytes: tag_bytes.max(1), z };
        let all_points = shapes.all_points();
        if all_points && live.len() * costs.least() <= BYTES {
            break;
        }
        let shift = 2 * u32::from(MAX_ZOOM - z);
        let mut dropped = Vec::new();
        let mut squares = Vec::new();
        next.clear();
        for tile in live.chunk_by(|a, b| a.key >> shift == b.key >> shift) {
            // A crowd at a deeper zoom is one here too, however few are left of it.
            let crowd = !all_points && (tile.len() > CROWD || tile.iter().any(|entry| entry.crowd));
            if costs.of(tile) <= BYTES && !crowd {
                next.extend_from_slice(tile);
                continue;
            }
            let (kept, side) = costs.fit(tile, importance, &mut dropped);
            if side > 0
                && kept.len() < tile.len()
                && let Some([x, y]) = tile.first().and_then(|e| middle(shapes, e.ordinal)).map(|at| tile_of(z, at))
            {
                squares.push(Square { z, x, y, side });
            }
            next.extend(kept);
        }
        for ordinal in dropped {
            levels.features[ordinal as usize] = z + 1;
        }
        levels.squares.extend(squares);
        std::mem::swap(&mut live, &mut next);
    }
    levels.squares.sort_unstable();
}

/// The middle of the feature's box.
pub(super) fn middle(shapes: &Shapes, ordinal: u32) -> Option<[i32; 2]> {
    if let Some(place) = shapes.single(ordinal) {
        return Some(place);
    }
    let b = bounds(shapes, ordinal);
    (b[0] <= b[2]).then(|| [b[0].midpoint(b[2]), b[1].midpoint(b[3])])
}

fn bounds(shapes: &Shapes, ordinal: u32) -> [i32; 4] {
    shapes.paths(ordinal).fold([i32::MAX, i32::MAX, i32::MIN, i32::MIN], |b, (path, _)| {
        let p = path.bbox;
        [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[2]), b[3].max(p[3])]
    })
}

fn entry(shapes: &Shapes, ordinal: u32) -> Option<Entry> {
    let at = middle(shapes, ordinal)?;
    let weight = if shapes.all_points() {
        1.0
    } else if shapes.area(ordinal) > 0.0 {
        shapes.area(ordinal)
    } else {
        let b = bounds(shapes, ordinal);
        let [w, h] = [b[2] - b[0], b[3] - b[1]].map(|v| v as f32);
        (w * w + h * h).max(1.0)
    };
    Some(Entry { key: hilbert(tile_of(MAX_ZOOM, at)), ordinal, weight, crowd: false })
}

/// What features cost at a zoom.
struct Costs<'a> {
    shapes: &'a Shapes,
    levels: &'a Levels,
    tag_bytes: usize,
    z: u8,
}

impl Costs<'_> {
    /// Lengths, id, type, one position.
    fn least(&self) -> usize {
        let most = if self.shapes.all_points() { FEATURES / 2 } else { FEATURES };
        (self.tag_bytes + 17).max(BYTES / most)
    }

    fn one(&self, entry: &Entry) -> usize {
        if self.shapes.all_points() {
            return self.least();
        }
        // Steps take one byte or two for each axis.
        let vertices = self.levels.vertices(entry.ordinal).iter().filter(|level| **level <= self.z).count();
        self.least().max(self.tag_bytes + 16 + vertices * 5 / 2)
    }

    fn of(&self, tile: &[Entry]) -> usize {
        if self.shapes.all_points() {
            tile.len() * self.least()
        } else {
            tile.iter().map(|entry| self.one(entry)).sum()
        }
    }

    /// Thins a tile's features: those that stay, and for polygons the side of the square they stand for.
    fn fit(&self, tile: &[Entry], importance: &dyn Fn(u32) -> f64, dropped: &mut Vec<u32>) -> (Vec<Entry>, u32) {
        // An eighth less: neighbours reach in.
        #[allow(clippy::cast_precision_loss)]
        let lack = |cost: usize| cost as f64 / (BYTES - BYTES / 8) as f64;
        let total: f64 = tile.iter().map(|entry| f64::from(entry.weight)).sum();
        let cost = self.of(tile);
        let pixel = f64::from(PIXEL) * f64::from(1_u32 << (WORLD_BITS - EXTENT_BITS - u32::from(self.z)));
        #[allow(clippy::cast_precision_loss)]
        let mean = total / tile.len().max(1) as f64;
        let mut limit = if self.shapes.all_points() {
            mean * lack(cost)
        } else if cost <= BYTES {
            pixel * pixel
        } else {
            (mean * lack(cost)).max(pixel * pixel)
        };
        let mut kept = Vec::new();
        let start = dropped.len();
        loop {
            kept.clear();
            dropped.truncate(start);
            self.merge(tile, limit, importance, &mut kept, dropped);
            let cost = self.of(&kept);
            if cost <= BYTES || kept.len() <= 1 {
                break;
            }
            limit *= lack(cost).clamp(1.03, 2.0);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let side = if self.shapes.all_points() { 0 } else { limit.sqrt().min(f64::from(u32::MAX)) as u32 };
        (kept, side)
    }

    /// One feature for each run that weighs `limit`, what is over counting for the next; a feature that weighs as much by
    /// itself stays.
    fn merge(
        &self,
        tile: &[Entry],
        limit: f64,
        importance: &dyn Fn(u32) -> f64,
        kept: &mut Vec<Entry>,
        dropped: &mut Vec<u32>,
    ) {
        let rank = |entry: &Entry| (importance(entry.ordinal), self.shapes.area(entry.ordinal));
        #[allow(clippy::cast_possible_truncation)]
        let share = limit as f32;
        let mut run: Option<Entry> = None;
        let mut weight = 0.0;
        for entry in tile {
            if f64::from(entry.weight) >= limit {
                kept.push(*entry);
                continue;
            }
            weight += f64::from(entry.weight);
            let best = match run.take() {
                None => *entry,
                Some(best) => {
                    let (a, b) = (rank(&best), rank(entry));
                    let better = b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).is_gt();
                    dropped.push(if better { best.ordinal } else { entry.ordinal });
                    if better { *entry } else { best }
                }
            };
            if weight >= limit {
                weight -= limit;
                kept.push(Entry { weight: share, crowd: true, ..best });
            } else {
                run = Some(best);
            }
        }
        // The last run has not its full weight: it counts from a half.
        if let Some(best) = run {
            if weight * 2.0 >= limit || kept.is_empty() {
                kept.push(Entry { weight: share, crowd: true, ..best });
            } else {
                dropped.push(best.ordinal);
            }
        }
        kept.sort_unstable_by_key(|entry| (entry.key, entry.ordinal));
    }
}

/// A tile's place on the Hilbert curve of the deepest zoom (the quadrant walk: Hamilton & Rau-Chaplin 2008 give the theory);
/// each coarser tile is one stretch of it.
fn hilbert([mut x, mut y]: [u32; 2]) -> u64 {
    let all = (1 << MAX_ZOOM) - 1;
    let mut key = 0;
    let mut s = 1_u32 << (MAX_ZOOM - 1);
    while s > 0 {
        let (right, up) = (u32::from(x & s != 0), u32::from(y & s != 0));
        key = key << 2 | u64::from((3 * right) ^ up);
        if up == 0 {
            if right == 1 {
                (x, y) = (!x & all, !y & all);
            }
            std::mem::swap(&mut x, &mut y);
        }
        s >>= 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tile_is_one_stretch_of_the_curve() {
        // Descending the quadtree, the key gains two bits a zoom: the shifted keys of one tile's places are equal.
        for (x, y) in [(0, 0), (523_111, 77), (300_000, 400_000), (524_287, 524_287)] {
            let key = hilbert([x, y]);
            for z in 0..MAX_ZOOM {
                let up = u32::from(MAX_ZOOM - z);
                let corner = [x >> up << up, y >> up << up];
                assert_eq!(hilbert(corner) >> (2 * up), key >> (2 * up), "z{z}");
            }
        }
    }
}
