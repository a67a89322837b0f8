//! Where a name belongs: deep inside a polygon, half-way along a line.

use crate::plane::{Part, contains, parts, polygon_area, rings};
use geo_types::{Coord, Geometry, Polygon};
use std::collections::BinaryHeap;

/// The place for a label, `None` for a geometry without coordinates.
///
/// Of several parts the largest polygon counts, else the longest line, else the first point.
pub fn label_point(geometry: &Geometry<f64>) -> Option<Coord<f64>> {
    if let Geometry::Point(p) = geometry {
        return Some(p.0);
    }
    let mut point = None;
    let mut line: (f64, Option<Coord<f64>>) = (-1.0, None);
    let mut area = (-1.0, None);
    parts(geometry, &mut |part| match part {
        Part::Point(c) => point = point.or(Some(c)),
        Part::Line(l) => {
            let (length, middle) = middle_of(l);
            if length > line.0 {
                line = (length, middle);
            }
        }
        Part::Polygon(p) => {
            let size = polygon_area(p);
            if size > area.0 {
                area = (size, Some(p.clone()));
            }
        }
    });
    area.1.and_then(|p| deepest(&p)).or(line.1).or(point)
}

/// Length (in degrees, parallels shortened) and the place half-way.
fn middle_of(line: &[Coord<f64>]) -> (f64, Option<Coord<f64>>) {
    let Some(first) = line.first() else { return (-1.0, None) };
    let scale = first.y.to_radians().cos();
    let step = |a: Coord<f64>, b: Coord<f64>| ((b.x - a.x) * scale).hypot(b.y - a.y);
    let length: f64 = line.array_windows::<2>().map(|[a, b]| step(*a, *b)).sum();
    let mut left = length / 2.0;
    for [a, b] in line.array_windows::<2>() {
        let s = step(*a, *b);
        if s >= left && s > 0.0 {
            let t = left / s;
            return (length, Some(Coord { x: a.x + t * (b.x - a.x), y: a.y + t * (b.y - a.y) }));
        }
        left -= s;
    }
    (length, Some(*first))
}

struct Cell {
    centre: [f64; 2],
    half: f64,
    depth: f64,
    /// No place in the cell is deeper.
    most: f64,
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Cell {}
impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Cell {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.most.total_cmp(&other.most)
    }
}

/// The pole of inaccessibility by quartering cells (Garcia-Castellanos & Lombardo 2007; the method of polylabel), to 2 %
/// of the polygon's smaller side.
fn deepest(polygon: &Polygon<f64>) -> Option<Coord<f64>> {
    let ring = &polygon.exterior().0;
    let first = ring.first()?;
    let scale = first.y.to_radians().cos().max(1e-6);
    let flat: Vec<Vec<[f64; 2]>> = rings(polygon).map(|r| r.iter().map(|c| [c.x * scale, c.y]).collect()).collect();
    let mut low = [f64::INFINITY; 2];
    let mut high = [f64::NEG_INFINITY; 2];
    for p in flat.first()? {
        for axis in 0..2 {
            low[axis] = low[axis].min(p[axis]);
            high[axis] = high[axis].max(p[axis]);
        }
    }
    let size = (high[0] - low[0]).min(high[1] - low[1]);
    let usable = size > 0.0 && (high[0] - low[0]).is_finite() && (high[1] - low[1]).is_finite();
    if !usable {
        return Some(*first);
    }
    let enough = size * 0.02;
    let cell = |x: f64, y: f64, half: f64| {
        let depth = depth_at(&flat, [x, y]);
        Cell { centre: [x, y], half, depth, most: depth + half * std::f64::consts::SQRT_2 }
    };
    let mut best = cell(low[0].midpoint(high[0]), low[1].midpoint(high[1]), 0.0);
    let centroid = centroid(&flat[0]);
    let other = cell(centroid[0], centroid[1], 0.0);
    if other.depth > best.depth {
        best = other;
    }
    let mut queue = BinaryHeap::new();
    let half = size / 2.0;
    // A strip a thousand times as long as wide still starts with at most 64 cells a side.
    let across = |axis: usize| ((high[axis] - low[axis]) / size).ceil().clamp(1.0, 64.0);
    let (nx, ny) = (across(0), across(1));
    let (wx, wy) = ((high[0] - low[0]) / nx, (high[1] - low[1]) / ny);
    let start = half.max(wx / 2.0).max(wy / 2.0);
    let mut i = 0.0;
    while i < nx {
        let mut j = 0.0;
        while j < ny {
            queue.push(cell(low[0] + (i + 0.5) * wx, low[1] + (j + 0.5) * wy, start));
            j += 1.0;
        }
        i += 1.0;
    }
    // Bounded, whatever the shape: each round halves a cell.
    for _ in 0..2_000 {
        let Some(next) = queue.pop() else { break };
        if next.depth > best.depth {
            best = Cell { ..next };
        }
        if next.most - best.depth <= enough {
            break;
        }
        let half = next.half / 2.0;
        for (dx, dy) in [(-half, -half), (half, -half), (-half, half), (half, half)] {
            queue.push(cell(next.centre[0] + dx, next.centre[1] + dy, half));
        }
    }
    let found = Coord { x: best.centre[0] / scale, y: best.centre[1] };
    Some(if best.depth > 0.0 && contains(polygon, found) { found } else { *first })
}

fn centroid(ring: &[[f64; 2]]) -> [f64; 2] {
    let o = ring[0];
    let (mut x, mut y, mut area) = (0.0, 0.0, 0.0);
    for [a, b] in ring.array_windows::<2>() {
        let (ax, ay, bx, by) = (a[0] - o[0], a[1] - o[1], b[0] - o[0], b[1] - o[1]);
        let cross = ax * by - bx * ay;
        x += (ax + bx) * cross;
        y += (ay + by) * cross;
        area += 3.0 * cross;
    }
    if area == 0.0 { o } else { [o[0] + x / area, o[1] + y / area] }
}

/// Distance to the border, negative outside.
fn depth_at(rings: &[Vec<[f64; 2]>], at: [f64; 2]) -> f64 {
    let mut inside = false;
    let mut least2 = f64::INFINITY;
    for ring in rings {
        for [a, b] in ring.array_windows::<2>() {
            if (a[1] > at[1]) != (b[1] > at[1]) && at[0] < (b[0] - a[0]) * (at[1] - a[1]) / (b[1] - a[1]) + a[0] {
                inside = !inside;
            }
            let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
            let (px, py) = (at[0] - a[0], at[1] - a[1]);
            let length2 = dx * dx + dy * dy;
            let t = if length2 > 0.0 { ((px * dx + py * dy) / length2).clamp(0.0, 1.0) } else { 0.0 };
            least2 = least2.min((px - t * dx).powi(2) + (py - t * dy).powi(2));
        }
    }
    if inside { least2.sqrt() } else { -least2.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo_types::{LineString, MultiPolygon, line_string, polygon};
    use proptest::prelude::*;

    #[test]
    fn label_of_a_horseshoe_lies_in_the_iron() {
        let u = polygon![
            (x: 0., y: 0.), (x: 9., y: 0.), (x: 9., y: 9.), (x: 7., y: 9.), (x: 7., y: 2.), (x: 2., y: 2.), (x: 2., y: 9.), (x: 0., y: 9.)
        ];
        let at = label_point(&u.clone().into()).unwrap();
        assert!(contains(&u, at), "{at:?}");
    }

    #[test]
    fn largest_part_and_middle_of_the_line_carry_the_label() {
        let small = polygon![(x: 0., y: 0.), (x: 1., y: 0.), (x: 1., y: 1.)];
        let large = polygon![(x: 20., y: 0.), (x: 29., y: 0.), (x: 29., y: 9.), (x: 20., y: 9.)];
        let at = label_point(&MultiPolygon(vec![small, large]).into()).unwrap();
        assert!((at.x - 24.5).abs() < 0.5 && (at.y - 4.5).abs() < 0.5, "{at:?}");
        let line = line_string![(x: 0., y: 0.), (x: 1., y: 0.), (x: 4., y: 0.)];
        assert_eq!(label_point(&line.into()), Some(Coord { x: 2.0, y: 0.0 }));
        assert_eq!(label_point(&LineString::<f64>(vec![]).into()), None);
    }

    proptest! {
        #[test]
        fn label_of_any_star_lies_inside(radii in proptest::collection::vec(0.05..1.0_f64, 3..40)) {
            #[allow(clippy::cast_precision_loss)]
            let ring: Vec<Coord<f64>> = radii.iter().enumerate().map(|(i, r)| {
                let angle = std::f64::consts::TAU * i as f64 / radii.len() as f64;
                Coord { x: 106.0 + r * angle.cos(), y: 11.0 + r * angle.sin() }
            }).collect();
            let star = Polygon::new(LineString(ring), vec![]);
            let at = label_point(&star.clone().into()).unwrap();
            prop_assert!(contains(&star, at));
        }
    }
}
