//! From world coordinates to a tile's grid, vertex by vertex, the same for every polygon that shares the vertex.

use crate::grid::WORLD_BITS;
use crate::mvt::Place;
use crate::tile::{BUFFER, EXTENT_BITS};

/// How one tile sees the world grid.
pub(crate) struct Scale {
    pub z: u8,
    /// World steps per tile unit, as a power of two.
    shift: u32,
    origin: [i64; 2],
    /// World bounds of the tile with its buffer and a margin that rounding cannot cross: west, north, east, south.
    reach: [i32; 4],
}

impl Scale {
    /// For z ≤ 19 and x, y on the tile grid.
    pub fn new(z: u8, x: u32, y: u32) -> Self {
        let shift = WORLD_BITS - EXTENT_BITS - u32::from(z);
        let origin = [i64::from(x) << EXTENT_BITS, i64::from(y) << EXTENT_BITS];
        let margin = i64::from(BUFFER) + 16;
        #[allow(clippy::cast_possible_truncation)]
        let clamp = |units: i64| (units << shift).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        let far = (1 << EXTENT_BITS) + margin;
        let reach =
            [clamp(origin[0] - margin), clamp(origin[1] - margin), clamp(origin[0] + far), clamp(origin[1] + far)];
        Self { z, shift, origin, reach }
    }

    /// World steps per tile unit, as a power of two.
    pub fn shift(&self) -> u32 {
        self.shift
    }

    pub fn misses(&self, bbox: &[i32; 4]) -> bool {
        let r = &self.reach;
        bbox[2] < r[0] || bbox[0] > r[2] || bbox[3] < r[1] || bbox[1] > r[3]
    }

    fn holds(&self, bbox: &[i32; 4]) -> bool {
        let r = &self.reach;
        bbox[0] >= r[0] && bbox[2] <= r[2] && bbox[1] >= r[1] && bbox[3] <= r[3]
    }

    /// Inside the buffer, which nothing of it needs cutting for.
    pub fn is_inside(&self, bbox: &[i32; 4]) -> bool {
        let [low, high] = [self.place([bbox[0], bbox[1]]), self.place([bbox[2], bbox[3]])];
        let buffer = BUFFER.cast_signed();
        low.iter().all(|v| *v >= -buffer) && high.iter().all(|v| *v <= (1 << EXTENT_BITS) + buffer)
    }

    /// On the tile's own grid.
    pub fn place(&self, world: [i32; 2]) -> Place {
        let half = (1_i64 << self.shift) >> 1;
        // |result| < 2³¹: the world has 2³¹ steps.
        #[allow(clippy::cast_possible_truncation)]
        let axis = |a: usize| (((i64::from(world[a]) + half) >> self.shift) - self.origin[a]) as i32;
        [axis(0), axis(1)]
    }

    fn outcode(&self, w: [i32; 2]) -> u8 {
        let r = &self.reach;
        u8::from(w[0] < r[0]) | u8::from(w[0] > r[2]) << 1 | u8::from(w[1] < r[1]) << 2 | u8::from(w[1] > r[3]) << 3
    }

    /// Quantises the vertices of a path that the zoom keeps, to the end of `out`. Stretches that stay on one outer side
    /// of the tile keep only their ends: whatever happens there, clipping to that side gives the same.
    pub fn quantise(&self, path: &[[i32; 2]], levels: &[u8], bbox: &[i32; 4], out: &mut Vec<Place>) {
        let first = out.len();
        let mut push = |place: Place| {
            if out.len() == first || out.last() != Some(&place) {
                out.push(place);
            }
        };
        if self.holds(bbox) {
            kept(path, levels, self.z, |vertex| push(self.place(vertex)));
            return;
        }
        // The sides that every vertex since the last kept one lies beyond, and the last of them if not kept.
        let mut beyond = 0;
        let mut pending: Option<([i32; 2], u8)> = None;
        kept(path, levels, self.z, |vertex| {
            let code = self.outcode(vertex);
            if beyond & code != 0 {
                beyond &= code;
                pending = Some((vertex, code));
                return;
            }
            if let Some((last, last_code)) = pending.take() {
                push(self.place(last));
                if last_code & code != 0 {
                    beyond = last_code & code;
                    pending = Some((vertex, code));
                    return;
                }
            }
            push(self.place(vertex));
            beyond = code;
        });
        if let Some((last, _)) = pending {
            push(self.place(last));
        }
    }
}

/// The vertices whose level is at most `z`, passing over eight at a time where there are none.
fn kept(path: &[[i32; 2]], levels: &[u8], z: u8, mut each: impl FnMut([i32; 2])) {
    const ONES: u64 = u64::MAX / 255;
    let limit = ONES * u64::from(z + 1);
    let (eights, rest) = path.as_chunks::<8>();
    let (level_eights, _) = levels.as_chunks::<8>();
    for (eight, levels) in eights.iter().zip(level_eights) {
        let word = u64::from_le_bytes(*levels);
        // Some byte is below z + 1 (z < 127): the borrow reaches its highest bit.
        if word.wrapping_sub(limit) & !word & (ONES << 7) != 0 {
            eight.iter().zip(levels).filter(|(_, level)| **level <= z).for_each(|(vertex, _)| each(*vertex));
        }
    }
    let levels = levels.get(eights.len() * 8..).unwrap_or_default();
    rest.iter().zip(levels).filter(|(_, level)| **level <= z).for_each(|(vertex, _)| each(*vertex));
}

/// The dot product's sign matters only when this is true: the three lie on one line of the grid, exactly.
fn in_line(a: Place, b: Place, c: Place) -> bool {
    let d = |p: Place, q: Place, axis: usize| i64::from(q[axis]) - i64::from(p[axis]);
    i128::from(d(a, b, 0)) * i128::from(d(b, c, 1)) == i128::from(d(b, c, 0)) * i128::from(d(a, b, 1))
}

fn goes_on(a: Place, b: Place, c: Place) -> bool {
    let d = |p: Place, q: Place, axis: usize| i128::from(q[axis]) - i128::from(p[axis]);
    d(a, b, 0) * d(b, c, 0) + d(a, b, 1) * d(b, c, 1) > 0
}

/// Takes out of a ring what encloses nothing: repeated places, places exactly in line, spikes of no width. Closing
/// repetition removed; fewer than three places left means that nothing is left.
///
/// Only exact collinearity on the integer grid counts, so that two neighbours, running the common border in opposite
/// directions, come to the same border.
pub(crate) fn reduce_ring(ring: &mut Vec<Place>) {
    let mut kept = 0;
    for i in 0..ring.len() {
        let next = ring[i];
        while kept >= 2 && in_line(ring[kept - 2], ring[kept - 1], next) {
            kept -= 1;
        }
        if kept == 0 || ring[kept - 1] != next {
            ring[kept] = next;
            kept += 1;
        }
    }
    // The same across the seam, from both ends.
    let mut first = 0;
    while kept - first >= 2 {
        if ring[first] == ring[kept - 1] || (kept - first >= 3 && in_line(ring[kept - 2], ring[kept - 1], ring[first]))
        {
            kept -= 1;
        } else if kept - first >= 3 && in_line(ring[kept - 1], ring[first], ring[first + 1]) {
            first += 1;
        } else {
            break;
        }
    }
    ring.truncate(kept);
    ring.drain(..first);
    if ring.len() < 3 {
        ring.clear();
    }
}

/// Takes out of a line repeated places and places in line on the way; turning back stays.
pub(crate) fn reduce_line(line: &mut Vec<Place>) {
    let mut kept: usize = 0;
    for i in 0..line.len() {
        let next = line[i];
        if kept >= 1 && line[kept - 1] == next {
            continue;
        }
        if kept >= 2 && in_line(line[kept - 2], line[kept - 1], next) && goes_on(line[kept - 2], line[kept - 1], next) {
            kept -= 1;
        }
        line[kept] = next;
        kept += 1;
    }
    line.truncate(kept);
}

/// Twice the signed area by the surveyor's formula; with y down, positive looks clockwise: an exterior ring.
pub(crate) fn area2(ring: &[Place]) -> i64 {
    let Some(last) = ring.last() else { return 0 };
    let mut from = *last;
    let mut sum = 0_i64;
    for &to in ring {
        let cross = i64::from(from[0])
            .wrapping_mul(i64::from(to[1]))
            .wrapping_sub(i64::from(to[0]).wrapping_mul(i64::from(from[1])));
        sum = sum.wrapping_add(cross);
        from = to;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spikes_and_straight_runs_leave_nothing_behind() {
        let mut ring = vec![[0, 0], [4, 0], [8, 0], [8, 8], [8, 12], [8, 8], [0, 8], [0, 4], [0, 0]];
        reduce_ring(&mut ring);
        assert_eq!(ring, [[0, 0], [8, 0], [8, 8], [0, 8]]);
        for flat in [vec![[0, 0], [4, 4], [8, 8], [2, 2]], vec![[1, 1]], vec![], vec![[0, 0], [5, 5], [0, 0]]] {
            let mut ring = flat;
            reduce_ring(&mut ring);
            assert!(ring.is_empty());
        }
        let mut line = vec![[0, 0], [4, 0], [8, 0], [2, 0], [2, 0], [2, 5]];
        reduce_line(&mut line);
        assert_eq!(line, [[0, 0], [8, 0], [2, 0], [2, 5]], "there and back is part of a line");
    }

    fn border() -> impl Strategy<Value = Vec<[i32; 2]>> {
        proptest::collection::vec((0..12_i32, 0..12_i32).prop_map(|(x, y)| [x, y]), 2..40)
    }

    proptest! {
        #[test]
        fn quantising_is_monotone(z in 0..=19_u8, a in any::<i32>(), b in any::<i32>()) {
            let (a, b) = (a & i32::MAX, b & i32::MAX);
            let scale = Scale::new(z, 0, 0);
            let (low, high) = (scale.place([a.min(b), 0])[0], scale.place([a.max(b), 0])[0]);
            prop_assert!(low <= high);
        }

        #[test]
        fn passing_over_eights_keeps_what_a_scan_keeps(levels in proptest::collection::vec(0..22_u8, 0..60), z in 0..=19_u8) {
            let path: Vec<[i32; 2]> = (0..).map(|i| [i, -i]).take(levels.len()).collect();
            let mut got = Vec::new();
            kept(&path, &levels, z, |vertex| got.push(vertex));
            let want: Vec<[i32; 2]> = path.iter().zip(&levels).filter(|(_, l)| **l <= z).map(|(v, _)| *v).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn both_directions_reduce_to_the_same_ring(ring in border()) {
            let mut there = ring.clone();
            let mut back: Vec<_> = ring.into_iter().rev().collect();
            reduce_ring(&mut there);
            reduce_ring(&mut back);
            prop_assert_eq!(area2(&there), -area2(&back));
            if there.len() >= 3 && !back.is_empty() {
                there.sort_unstable();
                back.sort_unstable();
                // Rings that cross themselves may be cut open elsewhere; simple ones come out alike.
                if there.len() == back.len() { prop_assert_eq!(there, back); }
            }
        }

        #[test]
        fn reducing_keeps_the_area(ring in border()) {
            let before = area2(&ring);
            let mut reduced = ring;
            reduce_ring(&mut reduced);
            prop_assert_eq!(area2(&reduced), before);
            if let [first, .., last] = reduced[..] {
                prop_assert!(first != last);
            }
        }
    }
}
