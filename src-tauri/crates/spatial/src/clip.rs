//! Cutting to the tile and its buffer, on integers.

use crate::mvt::Place;
use crate::tile::{BUFFER, EXTENT};

pub(crate) const LOW: i32 = -(BUFFER as i32);
pub(crate) const HIGH: i32 = (EXTENT + BUFFER) as i32;

/// Where the segment crosses `axis` = `at`. The lower end comes first, so that both neighbours get the same place.
fn cross(a: Place, b: Place, axis: usize, at: i32) -> Place {
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    let other = 1 - axis;
    let [dx, dy] = [f64::from(b[axis]) - f64::from(a[axis]), f64::from(b[other]) - f64::from(a[other])];
    let t = (f64::from(at) - f64::from(a[axis])) / dx;
    #[allow(clippy::cast_possible_truncation)]
    let value = (f64::from(a[other]) + t * dy).round() as i32;
    let mut place = [at; 2];
    place[other] = value.clamp(a[other].min(b[other]), a[other].max(b[other]));
    place
}

fn bounds(path: &[Place]) -> [i32; 4] {
    path.iter().fold([i32::MAX, i32::MAX, i32::MIN, i32::MIN], |b, p| {
        [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])]
    })
}

/// Cuts a ring (without closing repetition) by Sutherland and Hodgman, one side after the other. True when something was
/// cut off.
pub(crate) fn clip_ring(ring: &mut Vec<Place>, scratch: &mut Vec<Place>) -> bool {
    let b = bounds(ring);
    if b[2] < LOW || b[0] > HIGH || b[3] < LOW || b[1] > HIGH {
        ring.clear();
        return true;
    }
    let sides = [
        (b[0] < LOW, 0, LOW, false),
        (b[2] > HIGH, 0, HIGH, true),
        (b[1] < LOW, 1, LOW, false),
        (b[3] > HIGH, 1, HIGH, true),
    ];
    let mut cut = false;
    for (_, axis, at, upper) in sides.into_iter().filter(|side| side.0) {
        let within = |p: &Place| if upper { p[axis] <= at } else { p[axis] >= at };
        cut = true;
        scratch.clear();
        let Some(mut from) = ring.last().copied() else { return true };
        let mut from_within = within(&from);
        for &to in ring.iter() {
            let to_within = within(&to);
            if from_within != to_within {
                scratch.push(cross(from, to, axis, at));
            }
            if to_within {
                scratch.push(to);
            }
            (from, from_within) = (to, to_within);
        }
        std::mem::swap(ring, scratch);
    }
    cut
}

/// Cuts a line into the stretches inside (Liang and Barsky's four sides, one segment at a time); each goes to `emit`.
pub(crate) fn clip_line(line: &[Place], scratch: &mut Vec<Place>, emit: &mut dyn FnMut(&mut Vec<Place>)) {
    scratch.clear();
    for [a, b] in line.array_windows::<2>() {
        let Some([p, q]) = clip_segment(*a, *b) else {
            flush(scratch, emit);
            continue;
        };
        if scratch.last() != Some(&p) {
            flush(scratch, emit);
            scratch.push(p);
        }
        scratch.push(q);
        if q != *b {
            flush(scratch, emit);
        }
    }
    flush(scratch, emit);
}

fn flush(path: &mut Vec<Place>, emit: &mut dyn FnMut(&mut Vec<Place>)) {
    if path.len() >= 2 {
        emit(path);
    }
    path.clear();
}

fn clip_segment(mut a: Place, mut b: Place) -> Option<[Place; 2]> {
    for axis in 0..2 {
        if a[axis].max(b[axis]) < LOW || a[axis].min(b[axis]) > HIGH {
            return None;
        }
        let (p, q) = (a, b);
        for (end, other) in [(&mut a, q), (&mut b, p)] {
            if end[axis] < LOW {
                *end = cross(*end, other, axis, LOW);
            } else if end[axis] > HIGH {
                *end = cross(*end, other, axis, HIGH);
            }
        }
    }
    Some([a, b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::area2;
    use proptest::prelude::*;

    fn path() -> impl Strategy<Value = Vec<Place>> {
        proptest::collection::vec((-9_000..13_000_i32, -9_000..13_000_i32).prop_map(|(x, y)| [x, y]), 0..30)
    }

    fn wild() -> impl Strategy<Value = Vec<Place>> {
        proptest::collection::vec((any::<i32>(), any::<i32>()).prop_map(|(x, y)| [x, y]), 0..12)
    }

    fn inside(p: &Place) -> bool {
        p.iter().all(|v| (LOW..=HIGH).contains(v))
    }

    proptest! {
        #[test]
        fn nothing_lies_beyond_the_buffer(ring in prop_oneof![path(), wild()]) {
            let mut clipped = ring.clone();
            clip_ring(&mut clipped, &mut Vec::new());
            prop_assert!(clipped.iter().all(inside));
            clip_line(&ring, &mut Vec::new(), &mut |part| assert!(part.len() >= 2 && part.iter().all(inside)));
        }

        #[test]
        fn what_lies_inside_stays_as_it_is(ring in proptest::collection::vec((LOW..=HIGH, LOW..=HIGH).prop_map(|(x, y)| [x, y]), 2..30)) {
            let mut clipped = ring.clone();
            prop_assert!(!clip_ring(&mut clipped, &mut Vec::new()));
            prop_assert_eq!(&clipped, &ring);
            let mut parts = Vec::new();
            clip_line(&ring, &mut Vec::new(), &mut |part| parts.push(part.clone()));
            prop_assert_eq!(parts, [ring]);
        }

        #[test]
        fn both_directions_cut_alike(ring in path()) {
            let mut there = ring.clone();
            let mut back: Vec<_> = ring.into_iter().rev().collect();
            clip_ring(&mut there, &mut Vec::new());
            clip_ring(&mut back, &mut Vec::new());
            prop_assert_eq!(area2(&there), -area2(&back));
            there.sort_unstable();
            back.sort_unstable();
            prop_assert_eq!(there, back);
        }
    }

    #[test]
    fn a_ring_around_the_tile_becomes_the_buffered_tile() {
        let mut ring = vec![[-9_000, -9_000], [9_000, -9_000], [9_000, 9_000], [-9_000, 9_000]];
        assert!(clip_ring(&mut ring, &mut Vec::new()));
        let side = i64::from(HIGH - LOW);
        assert_eq!(area2(&ring), 2 * side * side);
    }

    #[test]
    fn a_line_that_leaves_and_returns_is_two_lines() {
        let mut parts = Vec::new();
        let line = [[0, 0], [100, -500], [200, 0], [300, 10]];
        clip_line(&line, &mut Vec::new(), &mut |part| parts.push(part.clone()));
        assert_eq!(parts, [vec![[0, 0], [13, LOW]], vec![[187, LOW], [200, 0], [300, 10]]]);
    }
}
