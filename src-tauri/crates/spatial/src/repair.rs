//! Mending geometry on its way in: what cannot be drawn or measured is put right, or refused with a reason.
//!
//! `desk` calls it on every feature of an import; `sources` hands features over as the file has them.

use crate::grid::{GridBox, grid_box};
use crate::packed::{Found, PackedIndex};
use crate::plane::{contains, ring_area2, rings};
use geo::GeoNum;
use geo::kernels::{Kernel, Orientation};
use geo::{BooleanOps, unary_union};
use geo_types::{Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Polygon};
use model::BBox;

/// What became of a geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// `None`: nothing valid is left.
    pub geometry: Option<Geometry<f64>>,
    /// The geometry was not valid and was put right. Turning a ring round to RFC 7946 and leaving out repeated points
    /// do not count: both are valid as they stand, and neither changes the shape.
    pub changed: bool,
    /// In English, for the read report: what was mended, or why nothing is left.
    pub reason: Option<String>,
}

/// Rings of less than this enclose nothing: 12 cm² near the equator, in square degrees.
const SLIVER_DEG2: f64 = 1e-13;

/// Mends a geometry in WGS84 degrees.
///
/// Repeated points, spikes and rings without area go; rings that cross or overlap themselves, holes outside their
/// exterior and overlapping parts are resolved (a ring by even-odd, holes taken off, parts united); exteriors run
/// anticlockwise, holes clockwise (RFC 7946). A polygon that falls apart becomes a multi-polygon. Valid shapes keep every
/// coordinate bit for bit; resolved ones move by less than 1e-8°.
///
/// ```
/// use geo_types::polygon;
/// let bow_tie = polygon![(x: 0.0, y: 0.0), (x: 1.0, y: 1.0), (x: 1.0, y: 0.0), (x: 0.0, y: 1.0)];
/// let repair = spatial::repair::repair(bow_tie.into());
/// assert!(matches!(repair.geometry, Some(geo_types::Geometry::MultiPolygon(two)) if two.0.len() == 2));
/// assert!(repair.changed);
/// ```
pub fn repair(geometry: Geometry<f64>) -> Repair {
    let mut finite = true;
    let mut any = false;
    model::visit_coords(&geometry, &mut |c| {
        any = true;
        finite &= c.x.is_finite() && c.y.is_finite();
    });
    if !any || !finite {
        let reason = if any { "a coordinate is not a finite number" } else { "the geometry has no coordinates" };
        return Repair { geometry: None, changed: false, reason: Some(reason.into()) };
    }
    let mut notes = Notes::default();
    let geometry = mend(geometry, &mut notes);
    if geometry.is_none() && notes.0.is_empty() {
        notes.add("nothing is left of the geometry");
    }
    let reason = (!notes.0.is_empty()).then(|| notes.0.join("; "));
    Repair { changed: geometry.is_some() && reason.is_some(), geometry, reason }
}

/// What was done, each thing once.
#[derive(Default)]
struct Notes(Vec<&'static str>);

impl Notes {
    fn add(&mut self, note: &'static str) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}

fn mend(geometry: Geometry<f64>, notes: &mut Notes) -> Option<Geometry<f64>> {
    match geometry {
        Geometry::Point(_) => Some(geometry),
        Geometry::MultiPoint(MultiPoint(ref points)) => (!points.is_empty()).then_some(geometry),
        Geometry::Line(line) => mend_line(LineString(vec![line.start, line.end]), notes).map(Geometry::LineString),
        Geometry::LineString(line) => mend_line(line, notes).map(Geometry::LineString),
        Geometry::MultiLineString(lines) => {
            let kept: Vec<_> = lines.0.into_iter().filter_map(|line| mend_line(line, notes)).collect();
            (!kept.is_empty()).then_some(Geometry::MultiLineString(MultiLineString(kept)))
        }
        Geometry::Polygon(polygon) => single_or_multi(mend_polygons(vec![polygon], notes)),
        Geometry::Rect(rect) => single_or_multi(mend_polygons(vec![rect.to_polygon()], notes)),
        Geometry::Triangle(triangle) => single_or_multi(mend_polygons(vec![triangle.to_polygon()], notes)),
        Geometry::MultiPolygon(polygons) => {
            let kept = mend_polygons(polygons.0, notes);
            (!kept.is_empty()).then_some(Geometry::MultiPolygon(MultiPolygon(kept)))
        }
        Geometry::GeometryCollection(parts) => {
            let kept: Vec<_> = parts.0.into_iter().filter_map(|part| mend(part, notes)).collect();
            (!kept.is_empty()).then_some(Geometry::GeometryCollection(GeometryCollection(kept)))
        }
    }
}

fn single_or_multi(mut polygons: Vec<Polygon<f64>>) -> Option<Geometry<f64>> {
    match polygons.len() {
        0 => None,
        1 => polygons.pop().map(Geometry::Polygon),
        _ => Some(Geometry::MultiPolygon(MultiPolygon(polygons))),
    }
}

fn mend_line(mut line: LineString<f64>, notes: &mut Notes) -> Option<LineString<f64>> {
    line.0.dedup();
    if line.0.len() < 2 {
        notes.add("a line without length was dropped");
        return None;
    }
    Some(line)
}

fn mend_polygons(polygons: Vec<Polygon<f64>>, notes: &mut Notes) -> Vec<Polygon<f64>> {
    let mut kept = clean(polygons, notes);
    // The overlay works on an integer grid of its own; going back to degrees can bring a new crossing, once in a blue
    // moon, which the second round settles.
    for round in 0..3 {
        match fault(&kept) {
            None => return kept,
            Some(note) => notes.add(note),
        }
        if round == 2 {
            notes.add("it stays invalid");
            return Vec::new();
        }
        kept = clean(resolve(&kept), notes);
    }
    kept
}

/// Each exterior by even-odd, less its holes, then all of them together.
fn resolve(polygons: &[Polygon<f64>]) -> Vec<Polygon<f64>> {
    let nothing = MultiPolygon::<f64>(Vec::new());
    let mut resolved = Vec::new();
    for polygon in polygons {
        let mut area = Polygon::new(polygon.exterior().clone(), Vec::new()).union(&nothing);
        if !polygon.interiors().is_empty() {
            let holes: Vec<_> = polygon
                .interiors()
                .iter()
                .flat_map(|ring| Polygon::new(ring.clone(), Vec::new()).union(&nothing).0)
                .map(wound)
                .collect();
            area = area.difference(&unary_union(&holes));
        }
        resolved.extend(area.0.into_iter().map(wound));
    }
    if polygons.len() > 1 { unary_union(&resolved).0 } else { resolved }
}

fn clean(polygons: Vec<Polygon<f64>>, notes: &mut Notes) -> Vec<Polygon<f64>> {
    let mut kept = Vec::with_capacity(polygons.len());
    for polygon in polygons {
        let (exterior, holes) = polygon.into_inner();
        if let Some(exterior) = clean_ring(exterior, notes) {
            let holes = holes.into_iter().filter_map(|ring| clean_ring(ring, notes)).collect();
            kept.push(wound(Polygon::new(exterior, holes)));
        }
    }
    kept
}

fn clean_ring(ring: LineString<f64>, notes: &mut Notes) -> Option<LineString<f64>> {
    let mut points = ring.0;
    points.dedup();
    if points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    let open = points.len();
    let mut kept: Vec<Coord<f64>> = Vec::with_capacity(open + 1);
    for point in points {
        while kept.len() >= 2 && turns_back(kept[kept.len() - 2], kept[kept.len() - 1], point) {
            kept.pop();
        }
        if kept.last() != Some(&point) {
            kept.push(point);
        }
    }
    // The seam: the same at both ends.
    let mut first = 0;
    while kept.len() - first >= 3 {
        let (last, start) = (kept[kept.len() - 1], kept[first]);
        if last == start || turns_back(kept[kept.len() - 2], last, start) {
            kept.pop();
        } else if turns_back(last, start, kept[first + 1]) {
            first += 1;
        } else {
            break;
        }
    }
    kept.drain(..first);
    if kept.len() < 3 {
        notes.add("a ring without area was dropped");
        return None;
    }
    if kept.len() != open {
        notes.add("spikes were removed");
    }
    kept.push(kept[0]);
    if ring_area2(&kept).abs() / 2.0 < SLIVER_DEG2 {
        // A figure of eight of two equal halves has no signed area either, but much to save.
        let mut b = BBox::EMPTY;
        kept.iter().for_each(|c| b.add(c.x, c.y));
        let crosses = (b.east - b.west) * (b.north - b.south) >= SLIVER_DEG2 * 4.0 && crossed(&kept);
        if !crosses {
            notes.add("a ring without area was dropped");
            return None;
        }
    }
    Some(LineString(kept))
}

fn crossed(ring: &[Coord<f64>]) -> bool {
    fault(&[Polygon::new(LineString(ring.to_vec()), Vec::new())]).is_some()
}

fn orientation(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>) -> Orientation {
    <f64 as GeoNum>::Ker::orient2d(a, b, c)
}

/// From b the path runs back over itself.
fn turns_back(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>) -> bool {
    orientation(a, b, c) == Orientation::Collinear && (b.x - a.x) * (c.x - b.x) + (b.y - a.y) * (c.y - b.y) <= 0.0
}

fn wound(polygon: Polygon<f64>) -> Polygon<f64> {
    let turn = |mut ring: LineString<f64>, anticlockwise: bool| {
        if (ring_area2(&ring.0) > 0.0) != anticlockwise {
            ring.0.reverse();
        }
        ring
    };
    let (exterior, holes) = polygon.into_inner();
    Polygon::new(turn(exterior, true), holes.into_iter().map(|ring| turn(ring, false)).collect())
}

struct Segment {
    a: Coord<f64>,
    b: Coord<f64>,
    ring: u32,
    /// Number within its ring, and the ring's number of segments.
    number: u32,
    of: u32,
}

/// The first reason found why the polygons, taken together, are not valid.
fn fault(polygons: &[Polygon<f64>]) -> Option<&'static str> {
    let mut segments = Vec::new();
    for (ring, path) in (0_u32..).zip(polygons.iter().flat_map(rings)) {
        let of = u32::try_from(path.len().saturating_sub(1)).unwrap_or(u32::MAX);
        for (number, [a, b]) in (0_u32..).zip(path.array_windows::<2>()) {
            segments.push(Segment { a: *a, b: *b, ring, number, of });
        }
    }
    if any_meeting(&segments) {
        return Some("crossing or overlapping borders were resolved");
    }
    misplaced(polygons)
}

/// Up to so many segments are compared each with each, which takes less time than an index over them.
const FEW: usize = 40;

fn any_meeting(segments: &[Segment]) -> bool {
    if segments.len() <= FEW {
        return any_of_few(segments);
    }
    let boxes: Vec<GridBox> = segments
        .iter()
        .map(|s| {
            let mut b = BBox::EMPTY;
            b.add(s.a.x, s.a.y);
            b.add(s.b.x, s.b.y);
            grid_box(&b)
        })
        .collect();
    let index = PackedIndex::from_grid(&boxes);
    let mut found = Found::default();
    for (i, segment) in (0_u32..).zip(segments) {
        found.inside.clear();
        found.edge.clear();
        index.search_into(&boxes[i as usize], &mut found);
        let mut later = found.inside.iter().chain(&found.edge).filter(|j| **j > i);
        if later.any(|j| meet(segment, &segments[*j as usize])) {
            return true;
        }
    }
    false
}

fn any_of_few(segments: &[Segment]) -> bool {
    let mut boxes = [BBox::EMPTY; FEW];
    for (b, s) in boxes.iter_mut().zip(segments) {
        *b = BBox { west: s.a.x.min(s.b.x), south: s.a.y.min(s.b.y), east: s.a.x.max(s.b.x), north: s.a.y.max(s.b.y) };
    }
    segments.iter().zip(&boxes).enumerate().any(|(at, (s, b))| {
        let later = segments.iter().zip(&boxes).skip(at + 1);
        later.filter(|(_, other)| b.intersects(other)).any(|(t, _)| meet(s, t))
    })
}

/// Whether two segments meet where they must not: rings may touch each other in a point, a ring itself only where one
/// segment follows the other.
fn meet(s: &Segment, t: &Segment) -> bool {
    let same = s.ring == t.ring;
    if same && (s.number + 1 == t.number || (s.number == 0 && t.number + 1 == s.of)) {
        // Neighbours: running back over each other was taken out before.
        return false;
    }
    let sides = [orientation(s.a, s.b, t.a), orientation(s.a, s.b, t.b)];
    let other = [orientation(t.a, t.b, s.a), orientation(t.a, t.b, s.b)];
    let flat = |o: &[Orientation; 2]| o.contains(&Orientation::Collinear);
    if !flat(&sides) && !flat(&other) {
        return sides[0] != sides[1] && other[0] != other[1];
    }
    if sides == [Orientation::Collinear; 2] {
        // One line: measure along its longer axis.
        let along = |c: Coord<f64>| if (s.a.x - s.b.x).abs() >= (s.a.y - s.b.y).abs() { c.x } else { c.y };
        let (s0, s1) = (along(s.a).min(along(s.b)), along(s.a).max(along(s.b)));
        let (t0, t1) = (along(t.a).min(along(t.b)), along(t.a).max(along(t.b)));
        let (start, end) = (s0.max(t0), s1.min(t1));
        return if same { start <= end } else { start < end };
    }
    // One end lies on the other's line: between its ends it is a touch.
    let between = |a: Coord<f64>, b: Coord<f64>, c: Coord<f64>| {
        a.x.min(b.x) <= c.x && c.x <= a.x.max(b.x) && a.y.min(b.y) <= c.y && c.y <= a.y.max(b.y)
    };
    same && ((sides[0] == Orientation::Collinear && between(s.a, s.b, t.a))
        || (sides[1] == Orientation::Collinear && between(s.a, s.b, t.b))
        || (other[0] == Orientation::Collinear && between(t.a, t.b, s.a))
        || (other[1] == Orientation::Collinear && between(t.a, t.b, s.b)))
}

/// Holes outside their exterior or inside another hole, parts inside other parts. Borders are known not to cross, so a
/// few vertices tell.
fn misplaced(polygons: &[Polygon<f64>]) -> Option<&'static str> {
    if let [polygon] = polygons
        && polygon.interiors().is_empty()
    {
        return None;
    }
    let boxes: Vec<BBox> = polygons.iter().map(|p| ring_box(p.exterior())).collect();
    for polygon in polygons {
        let shell = Polygon::new(polygon.exterior().clone(), Vec::new());
        let holes = polygon.interiors();
        if holes.iter().any(|hole| !sample(hole).any(|c| contains(&shell, c))) {
            return Some("a hole outside its exterior was resolved");
        }
        if holes.len() > 1 {
            let hole_boxes: Vec<BBox> = holes.iter().map(ring_box).collect();
            if nested(&hole_boxes, |outer, inner| {
                let outer = Polygon::new(holes[outer].clone(), Vec::new());
                sample(&holes[inner]).all(|c| contains(&outer, c))
            }) {
                return Some("a hole inside another was resolved");
            }
        }
    }
    let inside = |outer: usize, inner: usize| sample(polygons[inner].exterior()).all(|c| contains(&polygons[outer], c));
    nested(&boxes, inside).then_some("overlapping parts were united")
}

/// Whether any box lies within another whose shape `inside` confirms.
fn nested(boxes: &[BBox], inside: impl Fn(usize, usize) -> bool) -> bool {
    let index = PackedIndex::build(boxes);
    boxes.iter().enumerate().any(|(inner, b)| {
        let found = index.search(b);
        found.inside.iter().chain(&found.edge).any(|&outer| {
            let outer = outer as usize;
            let o = &boxes[outer];
            outer != inner && o.contains(b.west, b.south) && o.contains(b.east, b.north) && inside(outer, inner)
        })
    })
}

fn ring_box(ring: &LineString<f64>) -> BBox {
    let mut b = BBox::EMPTY;
    ring.0.iter().for_each(|c| b.add(c.x, c.y));
    b
}

/// Four vertices spread over the ring.
fn sample(ring: &LineString<f64>) -> impl Iterator<Item = Coord<f64>> {
    let step = (ring.0.len() / 4).max(1);
    ring.0.iter().copied().step_by(step).take(4)
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
