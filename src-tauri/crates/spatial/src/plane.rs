//! Exact questions in the plane of degrees: inside a polygon, across a box.

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

#[cfg(test)]
mod tests {
    use super::*;
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
