//! From world coordinates to a tile's grid, vertex by vertex, the same for every polygon that shares the vertex.

use crate::grid::WORLD_BITS;
use crate::mvt::Place;
use crate::tile::{BUFFER, EXTENT_BITS};

/// How one tile sees the world grid.
pub(crate) struct Scale {
    /// World steps per tile unit, as a power of two.
    shift: u32,
    /// Vertices of lines and rings snap to multiples of 2^snap units.
    snap: u32,
    origin: [i64; 2],
    /// World bounds of the tile with its buffer and a margin that rounding cannot cross: west, north, east, south.
    reach: [i32; 4],
}

/// Half a pixel of a 512-pixel tile is four units. From z14 on lots are drawn to scale, so the grid gets finer.
fn snap_bits(z: u8) -> u32 {
    match z {
        0..=13 => 2,
        14 => 1,
        _ => 0,
    }
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
        Self { shift, snap: snap_bits(z), origin, reach }
    }

    pub fn without_snap(&self) -> Self {
        Self { snap: 0, ..*self }
    }

    /// World steps per tile unit, as a power of two.
    pub fn shift(&self) -> u32 {
        self.shift
    }

    pub fn misses(&self, bbox: &[i32; 4]) -> bool {
        let r = &self.reach;
        bbox[2] < r[0] || bbox[0] > r[2] || bbox[3] < r[1] || bbox[1] > r[3]
    }

    /// On the tile's own grid, not snapped.
    pub fn place(&self, world: [i32; 2]) -> Place {
        self.round(world, 0)
    }

    fn snapped(&self, world: [i32; 2]) -> Place {
        self.round(world, self.snap)
    }

    fn round(&self, world: [i32; 2], snap: u32) -> Place {
        let bits = self.shift + snap;
        let half = (1_i64 << bits) >> 1;
        // |result| < 2³¹: the world has 2³¹ steps and bits ≥ 0.
        #[allow(clippy::cast_possible_truncation)]
        let axis = |a: usize| ((((i64::from(world[a]) + half) >> bits) << snap) - self.origin[a]) as i32;
        [axis(0), axis(1)]
    }

    fn outcode(&self, w: [i32; 2]) -> u8 {
        let r = &self.reach;
        u8::from(w[0] < r[0]) | u8::from(w[0] > r[2]) << 1 | u8::from(w[1] < r[1]) << 2 | u8::from(w[1] > r[3]) << 3
    }

    /// Quantises a path into `out`. Stretches that stay on one outer side of the tile keep only their ends: whatever
    /// happens there, clipping to that side gives the same.
    pub fn quantise(&self, path: &[[i32; 2]], out: &mut Vec<Place>) {
        out.clear();
        // The sides that every vertex since the last kept one lies beyond, and the last of them if not kept.
        let mut beyond = 0;
        let mut pending: Option<([i32; 2], u8)> = None;
        for &vertex in path {
            let code = self.outcode(vertex);
            if beyond & code != 0 {
                beyond &= code;
                pending = Some((vertex, code));
                continue;
            }
            if let Some((last, last_code)) = pending.take() {
                push(out, self.snapped(last));
                if last_code & code != 0 {
                    beyond = last_code & code;
                    pending = Some((vertex, code));
                    continue;
                }
            }
            push(out, self.snapped(vertex));
            beyond = code;
        }
        if let Some((last, _)) = pending {
            push(out, self.snapped(last));
        }
    }
}

fn push(out: &mut Vec<Place>, place: Place) {
    if out.last() != Some(&place) {
        out.push(place);
    }
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
            let (low, high) = (scale.snapped([a.min(b), 0])[0], scale.snapped([a.max(b), 0])[0]);
            prop_assert!(low <= high);
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
