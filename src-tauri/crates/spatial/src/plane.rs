//! Exact questions in the plane of degrees: inside a polygon, across a box. And the outline of a geometry in sixteen bytes,
//! which answers most of them without a look at the geometry.

use crate::grid::{GridBox, PER_DEGREE};
use geo_types::{Coord, Geometry, Polygon};
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

/// A polygon's closed rings, the exterior first.
pub(crate) fn rings(polygon: &Polygon<f64>) -> impl Iterator<Item = &[Coord<f64>]> + Clone {
    std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(|ring| ring.0.as_slice())
}

/// As [`within_rings`].
pub(crate) fn contains(polygon: &Polygon<f64>, c: Coord<f64>) -> bool {
    within_rings(rings(polygon), c)
}

/// Whether a polygon contains the point, borders half-open: within a coverage with shared vertices every point lies
/// in exactly one polygon, because both neighbours evaluate the same expression for their common edge.
pub(crate) fn within_rings<'a>(mut rings: impl Iterator<Item = &'a [Coord<f64>]>, c: Coord<f64>) -> bool {
    let first = rings.next().is_some_and(|ring| crossings_odd(ring, c));
    rings.fold(first, |odd, ring| odd ^ crossings_odd(ring, c))
}

/// Whether a ray from the place eastwards crosses the closed ring an odd number of times.
pub(crate) fn crossings_odd(ring: &[Coord<f64>], c: Coord<f64>) -> bool {
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

/// As [`area_of_rings`].
pub(crate) fn polygon_area(polygon: &Polygon<f64>) -> f64 {
    area_of_rings(rings(polygon))
}

/// Area in square degrees, the holes (all but the first ring) taken off.
pub(crate) fn area_of_rings<'a>(mut rings: impl Iterator<Item = &'a [Coord<f64>]>) -> f64 {
    let exterior = rings.next().map_or(0.0, |ring| ring_area2(ring).abs());
    let holes: f64 = rings.map(|ring| ring_area2(ring).abs()).sum();
    (exterior - holes).max(0.0) / 2.0
}

/// Whether a geometry and a box of the same plane have a point in common, edges included. For planes other than the
/// picture's own, for example a projected grid: a picture asks its index ([`crate::LayerPicture::within_bbox`]).
pub fn meets_box(geometry: &Geometry<f64>, b: &BBox) -> bool {
    let mut meets = false;
    parts(geometry, &mut |part| {
        meets = meets
            || match part {
                Part::Point(c) => b.contains(c.x, c.y),
                Part::Line(path) => path_meets_box(path, b),
                Part::Polygon(polygon) => rings_meet_box(rings(polygon), b),
            };
    });
    meets
}

/// Whether polygon and box have a point in common, edges included.
pub(crate) fn rings_meet_box<'a>(rings: impl Iterator<Item = &'a [Coord<f64>]> + Clone, b: &BBox) -> bool {
    rings.clone().any(|ring| path_meets_box(ring, b)) || within_rings(rings, Coord { x: b.west, y: b.south })
}

pub(crate) fn path_meets_box(path: &[Coord<f64>], b: &BBox) -> bool {
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

/// Eight vertices of a geometry, the outermost to the west, south, east, north, south-west, south-east, north-west and
/// north-east: 256ths of its box, from the south-west, rounded down. What they say is certain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outline {
    x: [u8; 8],
    y: [u8; 8],
}

impl Outline {
    /// `around` is the geometry's box, and `coords` calls back with every vertex.
    pub fn new(around: &GridBox, coords: impl Fn(&mut dyn FnMut(Coord<f64>))) -> Self {
        let [west, south, east, north] = around.map(f64::from);
        let (x_scale, y_scale) = (256.0 / (east - west).max(1.0), 256.0 / (north - south).max(1.0));
        let mut outermost = [(f64::INFINITY, 0.0, 0.0); 8];
        coords(&mut |c| {
            let (x, y) = ((c.x * PER_DEGREE - west) * x_scale, (c.y * PER_DEGREE - south) * y_scale);
            for (best, order) in outermost.iter_mut().zip([x, y, -x, -y, x + y, y - x, x - y, -x - y]) {
                if order < best.0 {
                    *best = (order, x, y);
                }
            }
        });
        // Saturating casts.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Self { x: outermost.map(|(_, x, _)| x as u8), y: outermost.map(|(_, _, y)| y as u8) }
    }

    /// `Some` where it is certain that geometry and query have a point in common, or that they have none.
    pub fn meets(&self, around: &GridBox, query: &GridBox) -> Option<bool> {
        let [west, south, east, north] = around.map(f64::from);
        let [q_west, q_south, q_east, q_north] = query.map(f64::from);
        let (x_scale, y_scale) = (256.0 / (east - west).max(1.0), 256.0 / (north - south).max(1.0));
        // Two steps for the rounding of box and query. A vertex at 7 lies from 7/256 to 8/256. Saturating casts.
        #[allow(clippy::cast_possible_truncation)]
        let (low, high) = (
            |v: f64, scale: f64| ((v + 2.0) * scale).ceil() as i16,
            |v: f64, scale: f64| ((v - 2.0) * scale).floor() as i16,
        );
        let (x_low, x_high) = (low(q_west - west, x_scale), high(q_east - west, x_scale));
        let (y_low, y_high) = (low(q_south - south, y_scale), high(q_north - south, y_scale));
        let mut hit = false;
        for i in 0..8 {
            let (x, y) = (i16::from(self.x[i]), i16::from(self.y[i]));
            hit |= (x_low <= x) & (x < x_high) & (y_low <= y) & (y < y_high);
        }
        if hit { Some(true) } else { self.misses(around, query).then_some(false) }
    }

    /// Whether it is certain that geometry and query have no point in common.
    pub fn misses(&self, around: &GridBox, query: &GridBox) -> bool {
        let [west, south, east, north] = around.map(f64::from);
        let [q_west, q_south, q_east, q_north] = query.map(f64::from);
        let (x_scale, y_scale) = (256.0 / (east - west).max(1.0), 256.0 / (north - south).max(1.0));
        // How far the query comes into the box from each side, three steps added for the rounding of all three.
        let (from_west, from_east) = ((q_east - west + 3.0) * x_scale, (east - q_west + 3.0) * x_scale);
        let (from_south, from_north) = ((q_north - south + 3.0) * y_scale, (north - q_south + 3.0) * y_scale);
        // What is gone of both sides together before a corner's outermost vertex comes.
        let gone = |i: usize, east: bool, north: bool| {
            let (x, y) = (f64::from(self.x[i]), f64::from(self.y[i]));
            (if east { 255.0 - x } else { x }) + (if north { 255.0 - y } else { y })
        };
        (from_west + from_south < gone(4, false, false))
            | (from_east + from_south < gone(5, true, false))
            | (from_west + from_north < gone(6, false, true))
            | (from_east + from_north < gone(7, true, true))
    }
}

/// The largest part around the middle of a polygon's box that no ring enters and that lies inside, in 256ths of the box,
/// rounded down; 0 where the middle is outside. What it says is certain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Core(u8);

impl Core {
    /// `around` is the polygon's box, and `rings` calls back with every closed ring.
    pub fn new(around: &GridBox, rings: impl Fn(&mut dyn FnMut(&[Coord<f64>]))) -> Self {
        let [west, south, east, north] = around.map(f64::from);
        let middle = Coord { x: west.midpoint(east) / PER_DEGREE, y: south.midpoint(north) / PER_DEGREE };
        let scale = |low: f64, high: f64| 2.0 * PER_DEGREE / (high - low).max(1.0);
        let (x_scale, y_scale) = (scale(west, east), scale(south, north));
        let (mut inside, mut clear) = (false, 1.0_f64);
        rings(&mut |ring| {
            inside ^= crossings_odd(ring, middle);
            let place = |c: &Coord<f64>| [(c.x - middle.x) * x_scale, (c.y - middle.y) * y_scale];
            for [a, b] in ring.array_windows::<2>() {
                clear = clear.min(clearance(place(a), place(b), clear));
            }
        });
        // Saturating cast.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Self(if inside { (clear * 256.0 - 0.001).max(0.0) as u8 } else { 0 })
    }

    /// Whether it is certain that the query has a point inside the polygon.
    pub fn meets(self, around: &GridBox, query: &GridBox) -> bool {
        let [west, south, east, north] = around.map(i64::from);
        let [q_west, q_south, q_east, q_north] = query.map(i64::from);
        // Twice the place of the middle and of the core's sides, with two steps for the rounding.
        let (x, x_reach) = (west + east, (((east - west) * i64::from(self.0)) >> 8) - 4);
        let (y, y_reach) = (south + north, (((north - south) * i64::from(self.0)) >> 8) - 4);
        (x_reach > 0)
            & (y_reach > 0)
            & (2 * q_west < x + x_reach)
            & (2 * q_east > x - x_reach)
            & (2 * q_south < y + y_reach)
            & (2 * q_north > y - y_reach)
    }
}

/// How far a segment stays from the origin, by the larger of |x| and |y|; not worked out where it is no less than `least`.
fn clearance([ax, ay]: [f64; 2], [bx, by]: [f64; 2], least: f64) -> f64 {
    let beside = ax.min(bx) >= least || ax.max(bx) <= -least || ay.min(by) >= least || ay.max(by) <= -least;
    if beside {
        return least;
    }
    let (dx, dy) = (bx - ax, by - ay);
    // A convex function of the way along, made of four straight ones: least at an end or where two of them cross.
    let crossings = [(ax, dx), (ay, dy), (ax - ay, dx - dy), (ax + ay, dx + dy)];
    let at = |t: f64| (ax + t * dx).abs().max((ay + t * dy).abs());
    let ends = at(0.0).min(at(1.0));
    crossings.into_iter().filter(|(_, d)| *d != 0.0).map(|(a, d)| at((-a / d).clamp(0.0, 1.0))).fold(ends, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{grid_box, to_grid};
    use geo_types::{LineString, line_string, polygon};
    use proptest::prelude::*;

    fn meets_box(geometry: &Geometry<f64>, b: &BBox) -> bool {
        let mut hit = false;
        parts(geometry, &mut |part| {
            hit |= match part {
                Part::Point(c) => b.contains(c.x, c.y),
                Part::Line(line) => path_meets_box(line, b),
                Part::Polygon(p) => rings_meet_box(rings(p), b),
            };
        });
        hit
    }

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
    fn the_core_of_a_square_reaches_its_sides_and_a_hole_in_the_middle_leaves_none() {
        let core = |p: &Polygon<f64>| {
            let around = grid_box(&model::geometry_bbox(&p.clone().into()));
            let core = Core::new(&around, |f| rings(p).for_each(&mut *f));
            move |x: f64, y: f64| core.meets(&around, &grid_box(&BBox { west: x, south: y, east: x, north: y }))
        };
        let square = core(&Polygon::new(hollow().exterior().clone(), vec![]));
        assert!(square(5.0, 5.0) && square(0.1, 9.9) && !square(0.01, 5.0) && !square(-1.0, 5.0));
        assert!(!core(&hollow())(5.0, 5.0));
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
            if let Geometry::Polygon(p) = &geometry {
                let core = Core::new(&around, |f| rings(p).for_each(&mut *f));
                prop_assert!(!core.meets(&around, &grid_box(&query)) || meets_box(&geometry, &query));
                let cell = [to_grid(query.west), to_grid(query.south)];
                let within = contains(p, Coord { x: query.west, y: query.south });
                prop_assert!(within || !core.meets(&around, &[cell[0], cell[1], cell[0], cell[1]]));
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
