//! Exact questions in the plane of degrees: inside a polygon, across a box. And the outline of a geometry in eight bytes,
//! which answers most of them without a look at the geometry.

use crate::grid::{GridBox, to_grid};
use geo_types::{Coord, Geometry, LineString, Polygon};
use model::BBox;

/// The rings and lines of a geometry as seen by the queries.
pub(crate) enum Part<'a> {
    Point(Coord<f64>),
    Line(&'a [Coord<f64>]),
    Polygon(&'a Polygon<f64>),
}

/// Calls `f` for every part; rectangles and triangles come as polygons and single lines as line strings.
pub(crate) fn parts(geometry: &Geometry<f64>, f: &mut dyn FnMut(Part<'_>)) {
    match geometry {
        Geometry::Point(p) => f(Part::Point(p.0)),
        Geometry::Line(l) => f(Part::Line(&[l.start, l.end])),
        Geometry::LineString(l) => f(Part::Line(&l.0)),
        Geometry::Polygon(p) => f(Part::Polygon(p)),
        Geometry::MultiPoint(m) => m.0.iter().for_each(|p| f(Part::Point(p.0))),
        Geometry::MultiLineString(m) => m.0.iter().for_each(|l| f(Part::Line(&l.0))),
        Geometry::MultiPolygon(m) => m.0.iter().for_each(|p| f(Part::Polygon(p))),
        Geometry::GeometryCollection(c) => c.0.iter().for_each(|part| parts(part, f)),
        Geometry::Rect(r) => f(Part::Polygon(&r.to_polygon())),
        Geometry::Triangle(t) => f(Part::Polygon(&t.to_polygon())),
    }
}

pub(crate) fn rings(polygon: &Polygon<f64>) -> impl Iterator<Item = &LineString<f64>> {
    std::iter::once(polygon.exterior()).chain(polygon.interiors())
}

/// Whether the polygon contains the point, borders half-open: within a coverage with shared vertices every point lies
/// in exactly one polygon, because both neighbours evaluate the same expression for their common edge.
pub(crate) fn contains(polygon: &Polygon<f64>, c: Coord<f64>) -> bool {
    rings(polygon).fold(false, |odd, ring| odd ^ crossings_odd(&ring.0, c))
}

fn crossings_odd(ring: &[Coord<f64>], c: Coord<f64>) -> bool {
    let mut odd = false;
    for edge in ring.array_windows::<2>() {
        let [a, b] = *edge;
        if (a.y > c.y) != (b.y > c.y) {
            // Lower end first: the neighbour runs the same edge the other way.
            let (low, high) = if a.y < b.y { (a, b) } else { (b, a) };
            odd ^= (c.x - low.x) * (high.y - low.y) < (high.x - low.x) * (c.y - low.y);
        }
    }
    odd
}

/// Twice the signed area in the plane, anticlockwise positive, taken from the first vertex for precision.
pub(crate) fn ring_area2(ring: &[Coord<f64>]) -> f64 {
    let Some(o) = ring.first() else { return 0.0 };
    ring.array_windows::<2>().map(|[a, b]| (a.x - o.x) * (b.y - o.y) - (b.x - o.x) * (a.y - o.y)).sum()
}

/// Area in square degrees, holes taken off.
pub(crate) fn polygon_area(polygon: &Polygon<f64>) -> f64 {
    let holes: f64 = polygon.interiors().iter().map(|ring| ring_area2(&ring.0).abs()).sum();
    (ring_area2(&polygon.exterior().0).abs() - holes).max(0.0) / 2.0
}

/// Whether geometry and box have a point in common, edges included.
pub(crate) fn meets_box(geometry: &Geometry<f64>, b: &BBox) -> bool {
    let mut hit = false;
    parts(geometry, &mut |part| {
        hit = hit
            || match part {
                Part::Point(c) => b.contains(c.x, c.y),
                Part::Line(line) => path_meets_box(line, b),
                Part::Polygon(p) => {
                    rings(p).any(|ring| path_meets_box(&ring.0, b)) || contains(p, Coord { x: b.west, y: b.south })
                }
            };
    });
    hit
}

fn path_meets_box(path: &[Coord<f64>], b: &BBox) -> bool {
    if let [only] = path {
        return b.contains(only.x, only.y);
    }
    path.array_windows::<2>().any(|[p, q]| segment_meets_box(*p, *q, b))
}

fn segment_meets_box(p: Coord<f64>, q: Coord<f64>, b: &BBox) -> bool {
    let beside = p.x.max(q.x) < b.west || p.x.min(q.x) > b.east || p.y.max(q.y) < b.south || p.y.min(q.y) > b.north;
    if beside {
        return false;
    }
    if b.contains(p.x, p.y) || b.contains(q.x, q.y) {
        return true;
    }
    // The boxes overlap: the segment passes by only if all four corners lie on one side of its line.
    let side = |x: f64, y: f64| (q.x - p.x) * (y - p.y) - (q.y - p.y) * (x - p.x);
    let sides = [side(b.west, b.south), side(b.west, b.north), side(b.east, b.south), side(b.east, b.north)];
    !(sides.iter().all(|s| *s > 0.0) || sides.iter().all(|s| *s < 0.0))
}

/// What can be said of a geometry within its box in eight bytes: where it touches the box's sides, and how much of the
/// corners it leaves free. Says only what is certain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outline {
    /// For west, south, east, north: along the side, in 256ths from the box's low end, where a vertex lies on it.
    touch: [u8; 4],
    /// For the corners south-west, south-east, north-west, north-east: the share of width and height, added up, in 128ths,
    /// that must be gone from the corner before anything of the geometry comes.
    free: [u8; 4],
}

impl Outline {
    /// `around` is the geometry's box, and `coords` calls back with every vertex.
    pub fn new(around: &GridBox, coords: impl Fn(&mut dyn FnMut(Coord<f64>))) -> Self {
        let [west, south, east, north] = around.map(f64::from);
        let (x_scale, y_scale) = ((east - west).max(1.0).recip(), (north - south).max(1.0).recip());
        let mut extremes = [(f64::INFINITY, 0.0); 4];
        let mut free = [f64::INFINITY; 4];
        coords(&mut |c| {
            let x = (f64::from(to_grid(c.x)) - west) * x_scale;
            let y = (f64::from(to_grid(c.y)) - south) * y_scale;
            for (extreme, (out, along)) in extremes.iter_mut().zip([(c.x, y), (c.y, x), (-c.x, y), (-c.y, x)]) {
                if out < extreme.0 {
                    *extreme = (out, along);
                }
            }
            for (free, gone) in free.iter_mut().zip([x + y, 1.0 - x + y, 1.0 + x - y, 2.0 - x - y]) {
                *free = free.min(gone);
            }
        });
        // Saturating casts; what is infinite for want of a vertex is never asked for.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Self { touch: extremes.map(|e| (e.1 * 256.0) as u8), free: free.map(|f| (f * 128.0) as u8) }
    }

    /// `Some` where it is certain that geometry and query have a point in common, or that they have none.
    pub fn meets(&self, around: &GridBox, query: &GridBox) -> Option<bool> {
        let [west, south, east, north] = around.map(i64::from);
        let [q_west, q_south, q_east, q_north] = query.map(i64::from);
        let (width, height) = (east - west, north - south);
        // A vertex between two places of a side; a step is added for the rounding at either end.
        let between = |at: u8, low: i64, length: i64, from: i64, to: i64| {
            from < low + (length * i64::from(at) >> 8) - 1 && low + (length * (i64::from(at) + 1) >> 8) + 2 < to
        };
        let [at_west, at_south, at_east, at_north] = self.touch;
        let (x, y) = (|v: i64| q_west < v && v < q_east, |v: i64| q_south < v && v < q_north);
        if (x(west) && between(at_west, south, height, q_south, q_north))
            | (x(east) && between(at_east, south, height, q_south, q_north))
            | (y(south) && between(at_south, west, width, q_west, q_east))
            | (y(north) && between(at_north, west, width, q_west, q_east))
        {
            return Some(true);
        }
        self.misses(around, query).then_some(false)
    }

    /// Whether it is certain that geometry and query have no point in common.
    pub fn misses(&self, around: &GridBox, query: &GridBox) -> bool {
        let [west, south, east, north] = around.map(f64::from);
        let [q_west, q_south, q_east, q_north] = query.map(f64::from);
        let (width, height) = ((east - west).max(1.0), (north - south).max(1.0));
        // Three steps for the rounding of the vertices, the query and the box.
        let (from_west, from_east) = (q_east - west + 3.0, east - q_west + 3.0);
        let (from_south, from_north) = (q_north - south + 3.0, north - q_south + 3.0);
        let area = width * height / 128.0;
        let [south_west, south_east, north_west, north_east] = self.free.map(|f| f64::from(f) * area);
        (from_west * height + from_south * width < south_west)
            | (from_east * height + from_south * width < south_east)
            | (from_west * height + from_north * width < north_west)
            | (from_east * height + from_north * width < north_east)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::grid_box;
    use geo_types::{line_string, polygon};
    use proptest::prelude::*;

    fn hollow() -> Polygon<f64> {
        polygon!(
            exterior: [(x: 0., y: 0.), (x: 10., y: 0.), (x: 10., y: 10.), (x: 0., y: 10.)],
            interiors: [[(x: 3., y: 3.), (x: 3., y: 7.), (x: 7., y: 7.), (x: 7., y: 3.)]]
        )
    }

    #[test]
    fn a_hole_is_outside() {
        assert!(contains(&hollow(), Coord { x: 1.0, y: 5.0 }));
        assert!(!contains(&hollow(), Coord { x: 5.0, y: 5.0 }));
        let within_hole = BBox { west: 4.0, south: 4.0, east: 6.0, north: 6.0 };
        assert!(!meets_box(&hollow().into(), &within_hole));
        assert!(meets_box(
            &hollow().into(),
            &BBox { west: 6.0, ..within_hole }.union(BBox::from([6.0, 4.0, 8.0, 5.0]))
        ));
        assert!((polygon_area(&hollow()) - 84.0).abs() < 1e-12);
    }

    #[test]
    fn a_polygon_around_the_box_meets_it() {
        assert!(meets_box(&hollow().into(), &BBox::from([1.0, 1.0, 2.0, 2.0])));
        let diagonal: Geometry<f64> = line_string![(x: 0., y: 0.), (x: 10., y: 10.)].into();
        assert!(meets_box(&diagonal, &BBox::from([4.0, 3.0, 6.0, 7.0])));
        assert!(!meets_box(&diagonal, &BBox::from([1.0, 6.0, 3.0, 9.0])), "their boxes overlap, they do not");
    }

    proptest! {
        #[test]
        fn an_outline_says_only_what_is_true(
            ring in proptest::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..7), x in -0.5..1.5_f64, y in -0.5..1.5_f64,
            w in 0.0..1.5_f64, h in 0.0..1.5_f64, size in prop_oneof![Just(1e-6), Just(1e-4), Just(1.0), Just(100.0)], area in any::<bool>()
        ) {
            let line = LineString(ring.iter().map(|(x, y)| Coord { x: x * size, y: y * size }).collect());
            let geometry: Geometry<f64> = if area { Polygon::new(line, vec![]).into() } else { line.into() };
            let around = grid_box(&model::geometry_bbox(&geometry));
            let outline = Outline::new(&around, |f| model::visit_coords(&geometry, &mut |c| f(c)));
            let query = BBox { west: x * size, south: y * size, east: (x + w) * size, north: (y + h) * size };
            if let Some(meets) = outline.meets(&around, &grid_box(&query)) {
                prop_assert_eq!(meets, meets_box(&geometry, &query));
            }
        }

        #[test]
        fn every_point_lies_in_exactly_one_of_two_neighbours(
            border in proptest::collection::vec(-1.0..1.0_f64, 1..20), x in -4.9..4.9_f64, y in 0.0..1.0_f64, on in any::<bool>()
        ) {
            #[allow(clippy::cast_precision_loss)]
            let step = 1.0 / border.len() as f64;
            #[allow(clippy::cast_precision_loss)]
            let line: Vec<Coord<f64>> = border.iter().enumerate().map(|(i, dx)| Coord { x: *dx, y: i as f64 * step }).collect();
            let (first, last) = (line[0], *line.last().unwrap());
            let mut left = line.clone();
            left.extend([Coord { x: last.x, y: 2.0 }, Coord { x: -5.0, y: 2.0 }, Coord { x: -5.0, y: -1.0 }, Coord { x: first.x, y: -1.0 }]);
            let mut right: Vec<_> = line.iter().rev().copied().collect();
            right.extend([Coord { x: first.x, y: -1.0 }, Coord { x: 5.0, y: -1.0 }, Coord { x: 5.0, y: 2.0 }, Coord { x: last.x, y: 2.0 }]);
            let at = if on { line[line.len() / 2] } else { Coord { x, y } };
            let count = [left, right].into_iter().filter(|ring| contains(&Polygon::new(LineString(ring.clone()), vec![]), at)).count();
            prop_assert_eq!(count, 1);
        }
    }
}
