//! Which rings of a polygon record are outlines and which are holes in which outline (ESRI Shapefile Technical
//! Description, July 1998, page 8: outlines run clockwise, and rings come in any order).

use geo_types::{Coord, Geometry, LineString, MultiPolygon, Polygon};
use model::BBox;
use std::cell::OnceCell;

/// Looks at edges; far more than honest rings need, and about a second.
const MAX_WORK: u64 = 300_000_000;
/// From here on edges are looked up by their height.
const MANY_EDGES: usize = 64;
const MAX_SLABS: usize = 8_192;
/// Corners of a hole that may lie on the outline before the boxes alone decide.
const CORNERS: usize = 32;

struct Ring {
    line: LineString<f64>,
    /// Twice the area; below zero when it runs clockwise.
    area: f64,
    bbox: BBox,
    slabs: OnceCell<Slabs>,
}

/// The edges of a ring by the stretch of y they pass through.
struct Slabs {
    south: f64,
    height: f64,
    starts: Vec<usize>,
    edges: Vec<usize>,
}

/// Builds the shape of a record.
///
/// # Errors
/// A sentence, when no ring encloses anything, or the rings are too many to be sorted.
pub(super) fn polygons(lines: Vec<LineString<f64>>) -> Result<Geometry<f64>, &'static str> {
    let mut rings: Vec<Ring> = lines.into_iter().filter(|line| line.0.len() > 2).map(Ring::new).collect();
    if rings.is_empty() {
        return Err("no ring has three corners");
    }
    if rings.len() == 1 {
        return Ok(Geometry::Polygon(Polygon::new(rings.remove(0).line, Vec::new())));
    }
    // All counter-clockwise: written by a program that does not know the rule. What lies within an odd number of others
    // is a hole then.
    let by_depth = rings.iter().all(|ring| ring.area > 0.0);
    let outlines: Vec<usize> = (0..rings.len()).filter(|at| by_depth || rings[*at].area <= 0.0).collect();
    let mut by_size = outlines.clone();
    by_size.sort_by(|a, b| rings[*a].area.abs().total_cmp(&rings[*b].area.abs()));
    let mut work = 0;
    let mut parent: Vec<Option<usize>> = vec![None; rings.len()];
    let mut is_hole = vec![false; rings.len()];
    for at in 0..rings.len() {
        if !by_depth && rings[at].area <= 0.0 {
            continue;
        }
        let mut depth = 0;
        for outer in by_size.iter().copied().filter(|outer| *outer != at) {
            work += 1;
            if work > MAX_WORK {
                return Err("the rings are too many to be sorted");
            }
            if rings[outer].encloses(&rings[at], &mut work) {
                depth += 1;
                parent[at].get_or_insert(outer);
                if !by_depth {
                    break;
                }
            }
        }
        is_hole[at] = depth % 2 == 1;
    }
    let mut holes: Vec<Vec<LineString<f64>>> = vec![Vec::new(); rings.len()];
    let mut outer: Vec<(usize, LineString<f64>)> = Vec::new();
    for (at, ring) in rings.into_iter().enumerate() {
        match parent[at].filter(|_| is_hole[at]) {
            Some(parent) => holes[parent].push(ring.line),
            // Also a hole that lies in nothing.
            None => outer.push((at, ring.line)),
        }
    }
    let mut out: Vec<Polygon<f64>> =
        outer.into_iter().map(|(at, line)| Polygon::new(line, std::mem::take(&mut holes[at]))).collect();
    Ok(if out.len() == 1 { Geometry::Polygon(out.remove(0)) } else { Geometry::MultiPolygon(MultiPolygon(out)) })
}

impl Ring {
    fn new(mut line: LineString<f64>) -> Self {
        line.close();
        let mut bbox = BBox::EMPTY;
        let mut area = 0.0;
        let from = line.0[0];
        for pair in line.0.windows(2) {
            // From the first corner: grid coordinates are large, and their products larger.
            let (a, b) = (pair[0] - from, pair[1] - from);
            area += a.x * b.y - b.x * a.y;
            bbox.add(pair[0].x, pair[0].y);
        }
        Self { line, area, bbox, slabs: OnceCell::new() }
    }

    fn encloses(&self, inner: &Self, work: &mut u64) -> bool {
        let (a, b) = (&self.bbox, &inner.bbox);
        if !(a.west <= b.west && a.south <= b.south && a.east >= b.east && a.north >= b.north) {
            return false;
        }
        if self.area.abs() < inner.area.abs() {
            return false;
        }
        inner.line.0.iter().take(CORNERS).find_map(|corner| self.holds(*corner, work)).unwrap_or(true)
    }

    /// Even-odd rule; `None` on the ring itself.
    fn holds(&self, c: Coord<f64>, work: &mut u64) -> Option<bool> {
        let points = &self.line.0;
        let mut odd = false;
        let mut edge = |at: usize| -> Option<()> {
            let (a, b) = (points[at], points[at + 1]);
            if (a.y > c.y) != (b.y > c.y) {
                let cross = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
                if cross == 0.0 {
                    return None;
                }
                odd ^= (cross > 0.0) == (b.y > a.y);
            } else if a.y == c.y && b.y == c.y && a.x.min(b.x) <= c.x && c.x <= a.x.max(b.x) || a == c || b == c {
                return None;
            }
            Some(())
        };
        if points.len() < MANY_EDGES {
            *work += points.len() as u64;
            (0..points.len() - 1).try_for_each(&mut edge)?;
        } else {
            let near = self.slabs.get_or_init(|| Slabs::new(points, &self.bbox, work)).at(c.y);
            *work += near.len() as u64;
            near.iter().copied().try_for_each(&mut edge)?;
        }
        Some(odd)
    }
}

impl Slabs {
    fn new(points: &[Coord<f64>], bbox: &BBox, work: &mut u64) -> Self {
        let edges = points.len() - 1;
        let mut count = (edges / 8).clamp(1, MAX_SLABS);
        let span = |count: usize, at: usize| {
            let height = (bbox.north - bbox.south) / count as f64;
            let (a, b) = (points[at].y, points[at + 1].y);
            (slab(a.min(b), bbox.south, height, count), slab(a.max(b), bbox.south, height, count))
        };
        let total = |count: usize| (0..edges).map(|at| span(count, at)).map(|(a, b)| b - a + 1).sum::<usize>();
        // Edges that run from bottom to top would fill every slab.
        while count > 1 && total(count) > edges * 16 {
            count /= 4;
        }
        count = count.max(1);
        *work += (edges * 8) as u64;
        let mut starts = vec![0; count + 1];
        for at in 0..edges {
            let (first, last) = span(count, at);
            (first..=last).for_each(|slab| starts[slab + 1] += 1);
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; starts[count]];
        for at in 0..edges {
            let (first, last) = span(count, at);
            for slab in first..=last {
                sorted[next[slab]] = at;
                next[slab] += 1;
            }
        }
        Self { south: bbox.south, height: (bbox.north - bbox.south) / count as f64, starts, edges: sorted }
    }

    fn at(&self, y: f64) -> &[usize] {
        let slab = slab(y, self.south, self.height, self.starts.len() - 1);
        &self.edges[self.starts[slab]..self.starts[slab + 1]]
    }
}

/// The same for an edge's ends and for what is looked up, so that rounding parts none from the other.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn slab(y: f64, south: f64, height: f64, count: usize) -> usize {
    // NaN (a ring without height) becomes 0.
    (((y - south) / height) as usize).min(count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f64, y: f64, size: f64, clockwise: bool) -> LineString<f64> {
        let mut points = vec![(x, y), (x, y + size), (x + size, y + size), (x + size, y), (x, y)];
        if !clockwise {
            points.reverse();
        }
        points.into()
    }

    /// Corners of a circle, clockwise.
    fn circle(x: f64, y: f64, radius: f64, corners: u32) -> LineString<f64> {
        let at = |i: u32| {
            let angle = -f64::from(i % corners) / f64::from(corners) * std::f64::consts::TAU;
            (x + radius * angle.cos(), y + radius * angle.sin())
        };
        (0..=corners).map(at).collect()
    }

    fn shape(rings: Vec<LineString<f64>>) -> Vec<usize> {
        match polygons(rings).unwrap() {
            Geometry::Polygon(p) => vec![p.interiors().len()],
            Geometry::MultiPolygon(m) => m.0.iter().map(|p| p.interiors().len()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rings_find_their_role_in_any_order() {
        let outer = square(0.0, 0.0, 10.0, true);
        let hole = square(1.0, 1.0, 5.0, false);
        let island = square(2.0, 2.0, 2.0, true);
        let lake = square(2.5, 2.5, 1.0, false);
        let far = square(20.0, 0.0, 1.0, true);
        assert_eq!(shape(vec![hole.clone(), outer.clone()]), [1]);
        assert_eq!(shape(vec![lake.clone(), hole.clone(), island.clone(), far.clone(), outer.clone()]), [1, 0, 1]);
        assert_eq!(shape(vec![outer.clone(), far.clone()]), [0, 0]);
        assert_eq!(shape(vec![far, hole.clone()]), [0, 0], "a hole in nothing is a shape");
        let turned = |ring: &LineString<f64>| LineString(ring.0.iter().rev().copied().collect());
        assert_eq!(shape(vec![turned(&outer), hole.clone(), turned(&island)]), [1, 0], "all one way round");
        // A hole that touches its outline in a corner and along an edge.
        assert_eq!(shape(vec![outer.clone(), square(0.0, 0.0, 2.0, false)]), [1]);
        assert!(polygons(vec![LineString::new(vec![])]).is_err());
    }

    #[test]
    fn many_holes_in_a_long_outline_are_quick() {
        let mut rings = vec![circle(0.0, 0.0, 100.0, 200_000)];
        for x in -60..60 {
            for y in -60..60 {
                rings.push(square(f64::from(x), f64::from(y), 0.5, false));
            }
        }
        let started = std::time::Instant::now();
        assert_eq!(shape(rings), [14_400]);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
        // And the same answer with and without slabs.
        let (few, many) = (Ring::new(circle(3.0, 4.0, 5.0, 60)), Ring::new(circle(3.0, 4.0, 5.0, 6_000)));
        for x in 0..40 {
            let c = Coord { x: f64::from(x) / 4.0, y: f64::from(x * 7 % 40) / 4.0 };
            let inside = (c.x - 3.0).hypot(c.y - 4.0);
            if (inside - 5.0).abs() > 0.05 {
                assert_eq!(few.holds(c, &mut 0), Some(inside < 5.0), "{c:?}");
                assert_eq!(many.holds(c, &mut 0), Some(inside < 5.0), "{c:?}");
            }
        }
    }

    #[test]
    fn rings_built_to_take_for_ever_end() {
        let nested: Vec<LineString<f64>> =
            (1..30_000).map(|i| square(-f64::from(i), -f64::from(i), 2.0 * f64::from(i), false)).collect();
        assert!(polygons(nested).is_err());
    }
}
