//! Rings that touch themselves, taken apart, so that what comes off the lattice is valid (OGC 06-103r4, 6.1.11).

use i_overlay::i_float::int::point::IntPoint;
use std::collections::HashMap;

type Ring = Vec<IntPoint>;

/// A shape whose first ring is its exterior, as shapes without a ring that comes to the same point twice.
pub(crate) fn simple_shapes(rings: Vec<Ring>) -> Vec<Vec<Ring>> {
    if rings.iter().all(|ring| is_simple(ring)) {
        return vec![rings];
    }
    let mut exteriors = Vec::new();
    let mut holes = Vec::new();
    for ring in rings {
        for part in loops(ring) {
            match twice_area(&part) {
                0 => {}
                area if area > 0 => exteriors.push((area, vec![part])),
                _ => holes.push(part),
            }
        }
    }
    // The smallest first: a hole belongs to the closest ring around it.
    exteriors.sort_by_key(|(area, _)| *area);
    for hole in holes {
        if let Some((_, shape)) = exteriors.iter_mut().find(|(_, shape)| encloses(&shape[0], &hole)) {
            shape.push(hole);
        }
    }
    exteriors.into_iter().map(|(_, shape)| shape).collect()
}

fn is_simple(ring: &[IntPoint]) -> bool {
    if ring.len() <= 16 {
        return ring.iter().enumerate().all(|(i, p)| !ring[..i].contains(p));
    }
    let mut points: Vec<_> = ring.iter().map(|p| (p.x, p.y)).collect();
    points.sort_unstable();
    points.array_windows::<2>().all(|[a, b]| a != b)
}

/// Cuts a ring wherever it comes back to a point.
fn loops(ring: Ring) -> Vec<Ring> {
    let mut parts = Vec::new();
    let mut way: Ring = Vec::with_capacity(ring.len());
    let mut seen: HashMap<IntPoint, usize> = HashMap::with_capacity(ring.len());
    for point in ring {
        if let Some(&at) = seen.get(&point) {
            let part = way.split_off(at);
            for gone in &part {
                seen.remove(gone);
            }
            parts.push(part);
        }
        seen.insert(point, way.len());
        way.push(point);
    }
    parts.push(way);
    parts.retain(|part| part.len() > 2);
    parts
}

fn twice_area(ring: &[IntPoint]) -> i128 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| i128::from(a.cross_product(*b))).sum()
}

/// Whether a ring that crosses no edge of another lies inside of it. Points on the other's boundary do not tell.
fn encloses(outer: &[IntPoint], inner: &[IntPoint]) -> bool {
    inner.iter().find_map(|p| side(outer, *p)).unwrap_or_else(|| {
        // All vertices are shared: the middle of an edge tells, on a lattice twice as fine.
        let next = inner.iter().cycle().skip(1);
        let twice: Vec<[i64; 2]> = outer.iter().map(|p| [2 * i64::from(p.x), 2 * i64::from(p.y)]).collect();
        let middle = |(a, b): (&IntPoint, &IntPoint)| {
            winding(&twice, [i64::from(a.x) + i64::from(b.x), i64::from(a.y) + i64::from(b.y)])
        };
        inner.iter().zip(next).find_map(middle).unwrap_or(true)
    })
}

fn side(ring: &[IntPoint], p: IntPoint) -> Option<bool> {
    let ring: Vec<[i64; 2]> = ring.iter().map(|p| [i64::from(p.x), i64::from(p.y)]).collect();
    winding(&ring, [i64::from(p.x), i64::from(p.y)])
}

/// `None` on the boundary.
fn winding(ring: &[[i64; 2]], p: [i64; 2]) -> Option<bool> {
    let mut inside = false;
    for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let turn =
            i128::from(b[0] - a[0]) * i128::from(p[1] - a[1]) - i128::from(b[1] - a[1]) * i128::from(p[0] - a[0]);
        let between = |k: usize| a[k].min(b[k]) <= p[k] && p[k] <= a[k].max(b[k]);
        if turn == 0 && between(0) && between(1) {
            return None;
        }
        if (a[1] > p[1]) != (b[1] > p[1]) && (turn > 0) == (b[1] > a[1]) {
            inside = !inside;
        }
    }
    Some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(points: &[[i32; 2]]) -> Ring {
        points.iter().map(|[x, y]| IntPoint::new(*x, *y)).collect()
    }

    #[test]
    fn a_bay_that_closes_in_a_point_becomes_a_hole() {
        let shape = vec![ring(&[[0, 0], [8, 0], [8, 8], [4, 8], [6, 4], [2, 4], [4, 8], [0, 8]])];
        let shapes = simple_shapes(shape);
        assert_eq!((shapes.len(), shapes[0].len()), (1, 2));
    }

    #[test]
    fn a_waist_of_one_point_parts_the_shape() {
        let shape = vec![
            ring(&[[0, 0], [8, 0], [8, 8], [16, 8], [16, 16], [8, 16], [8, 8], [0, 8]]),
            ring(&[[9, 9], [9, 10], [10, 10], [10, 9]]),
        ];
        let shapes = simple_shapes(shape);
        assert_eq!(shapes.iter().map(Vec::len).sum::<usize>(), 3);
        let holed = shapes.iter().find(|shape| shape.len() == 2).unwrap();
        assert!(holed[0].contains(&IntPoint::new(16, 16)));
    }

    #[test]
    fn two_holes_that_touch_are_two_holes() {
        let shape = vec![
            ring(&[[0, 0], [9, 0], [9, 9], [0, 9]]),
            ring(&[[2, 2], [2, 4], [4, 4], [4, 6], [6, 6], [6, 4], [4, 4], [4, 2]]),
        ];
        let shapes = simple_shapes(shape);
        assert_eq!((shapes.len(), shapes[0].len()), (1, 3));
    }
}
