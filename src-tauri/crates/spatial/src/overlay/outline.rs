//! A polygon's rings as one list of vertices, wound so that the winding number is 1 inside and 0 outside, with a tree of
//! boxes over runs of consecutive edges.
//!
//! The tree needs no sorting: neighbours in a ring are neighbours in the plane. A run of edges that lies wholly on one
//! side of what is asked about is replaced by the straight way from its first vertex to its last, which leaves the
//! winding number on the other side unchanged; that is why a parcel of ten vertices does not pay for a commune of ten
//! thousand.

use super::Polygonal;
use geo::GeoNum;
use geo::kernels::{Kernel, Orientation};
use geo_types::{Coord, LineString};
use std::ops::Range;

/// Coordinates beyond this are not a place: their products would overflow.
const COORDINATE_LIMIT: f64 = 1e100;

/// Edges to a leaf.
pub(crate) const LEAF: usize = 6;

/// Below this a plain walk over the edges is as quick as the tree.
const PLAIN: usize = 24;

pub(crate) fn orientation(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>) -> Orientation {
    <f64 as GeoNum>::Ker::orient2d(a, b, c)
}

/// An upright rectangle, borders included; `EMPTY` grows by `add`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub x0: f64,
    pub y0: f64,
    pub x1: f64,
    pub y1: f64,
}

impl Default for Window {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Window {
    pub const EMPTY: Self = Self { x0: f64::INFINITY, y0: f64::INFINITY, x1: f64::NEG_INFINITY, y1: f64::NEG_INFINITY };

    pub fn add(&mut self, c: Coord<f64>) {
        self.x0 = self.x0.min(c.x);
        self.y0 = self.y0.min(c.y);
        self.x1 = self.x1.max(c.x);
        self.y1 = self.y1.max(c.y);
    }

    pub fn join(&mut self, other: &Self) {
        self.x0 = self.x0.min(other.x0);
        self.y0 = self.y0.min(other.y0);
        self.x1 = self.x1.max(other.x1);
        self.y1 = self.y1.max(other.y1);
    }

    pub fn of_edge(a: Coord<f64>, b: Coord<f64>) -> Self {
        Self { x0: a.x.min(b.x), y0: a.y.min(b.y), x1: a.x.max(b.x), y1: a.y.max(b.y) }
    }

    pub fn meets(&self, other: &Self) -> bool {
        self.x0 <= other.x1 && other.x0 <= self.x1 && self.y0 <= other.y1 && other.y0 <= self.y1
    }

    pub fn centre(&self) -> Coord<f64> {
        Coord { x: self.x0.midpoint(self.x1), y: self.y0.midpoint(self.y1) }
    }
}

/// Where a point lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Inside,
    Boundary,
    Outside,
}

/// A run of edges from the vertex `from` to the vertex `to`; a group of whole rings has `from == to`, since every ring
/// ends where it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub window: Window,
    pub from: u32,
    pub to: u32,
    /// The next run that is not a part of this one.
    pub skip: u32,
    pub leaf: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    /// Ring after ring, each with its first vertex again at its end.
    pub points: Vec<Coord<f64>>,
    /// Where each ring begins, and the end of the last one.
    pub starts: Vec<u32>,
    pub window: Window,
    /// In preorder. Empty: walk the edges.
    pub runs: Vec<Run>,
}

impl Outline {
    /// Takes the rings over: exteriors anticlockwise, holes clockwise, without repeated points. Rings with a coordinate
    /// that is not a number, or beyond 1e100, and rings of less than three places are left out, an exterior with its
    /// holes.
    pub fn load(&mut self, shape: &(impl Polygonal + ?Sized)) {
        self.points.clear();
        self.starts.clear();
        self.runs.clear();
        self.starts.push(0);
        for polygon in shape.polygons() {
            if self.push_ring(polygon.exterior(), true) {
                for hole in polygon.interiors() {
                    self.push_ring(hole, false);
                }
            }
        }
        self.window = Window::EMPTY;
        self.points.iter().for_each(|c| self.window.add(*c));
    }

    fn push_ring(&mut self, ring: &LineString<f64>, anticlockwise: bool) -> bool {
        let begin = self.points.len();
        let mut good = true;
        for c in &ring.0 {
            good &= c.x.abs() <= COORDINATE_LIMIT && c.y.abs() <= COORDINATE_LIMIT;
            if self.points.len() == begin || self.points.last() != Some(c) {
                // Zero has one sign here, so that equal places have equal bits.
                self.points.push(Coord { x: c.x + 0.0, y: c.y + 0.0 });
            }
        }
        if good && self.points.len() > begin && self.points.last() != self.points.get(begin) {
            self.points.push(self.points[begin]);
        }
        if !good || self.points.len() < begin + 4 || u32::try_from(self.points.len()).is_err() {
            self.points.truncate(begin);
            return false;
        }
        if (crate::plane::ring_area2(&self.points[begin..]) > 0.0) != anticlockwise {
            self.points[begin..].reverse();
        }
        self.starts.push(as_u32(self.points.len()));
        true
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    pub fn rings(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.starts.array_windows::<2>().map(|[from, to]| *from as usize..*to as usize)
    }

    pub fn is_hole(&self, ring: &Range<usize>) -> bool {
        crate::plane::ring_area2(&self.points[ring.clone()]) < 0.0
    }

    /// Builds the tree where it pays.
    pub fn index(&mut self) {
        self.runs.clear();
        if self.points.len() <= PLAIN {
            return;
        }
        let rings = std::mem::take(&mut self.starts);
        self.group(&rings);
        self.starts = rings;
    }

    /// `starts` holds one ring more than there are: its last is where the last ring ends.
    fn group(&mut self, starts: &[u32]) -> Window {
        let [from, to, ..] = starts else { return Window::EMPTY };
        let rings = starts.len() - 1;
        if rings == 1 {
            return self.run(*from, to - 1);
        }
        let at = self.open(*from, *from);
        let mut window = Window::EMPTY;
        let step = rings.div_ceil(4);
        let mut first = 0;
        while first < rings {
            let last = (first + step).min(rings);
            window.join(&self.group(&starts[first..=last]));
            first = last;
        }
        self.close(at, window, false)
    }

    fn run(&mut self, from: u32, to: u32) -> Window {
        let at = self.open(from, to);
        let edges = (to - from) as usize;
        let mut window = Window::EMPTY;
        if edges <= LEAF {
            self.points[from as usize..=to as usize].iter().for_each(|c| window.add(*c));
            return self.close(at, window, true);
        }
        let step = as_u32(edges.div_ceil(4).max(LEAF));
        let mut first = from;
        while first < to {
            let last = first.saturating_add(step).min(to);
            window.join(&self.run(first, last));
            first = last;
        }
        self.close(at, window, false)
    }

    fn open(&mut self, from: u32, to: u32) -> usize {
        self.runs.push(Run { window: Window::EMPTY, from, to, skip: 0, leaf: false });
        self.runs.len() - 1
    }

    fn close(&mut self, at: usize, window: Window, leaf: bool) -> Window {
        let skip = as_u32(self.runs.len());
        if let Some(run) = self.runs.get_mut(at) {
            run.window = window;
            run.skip = skip;
            run.leaf = leaf;
        }
        window
    }

    /// Walks the boundary, ring after ring.
    #[inline]
    pub fn walk(&self, visitor: &mut impl Visitor) {
        if self.runs.is_empty() {
            for ring in self.rings() {
                for at in ring.start..ring.end.saturating_sub(1) {
                    visitor.edge(self.points[at], self.points[at + 1], at);
                }
            }
            return;
        }
        let mut at = 0;
        while let Some(run) = self.runs.get(at) {
            if !visitor.enters(run) {
                at = run.skip as usize;
            } else if run.leaf {
                for i in run.from as usize..run.to as usize {
                    visitor.edge(self.points[i], self.points[i + 1], i);
                }
                at = run.skip as usize;
            } else {
                at += 1;
            }
        }
    }

    /// The winding number at `c` of all edges but those in `except`; `None` on the boundary. Exact.
    pub fn winding(&self, c: Coord<f64>, except: &Range<usize>) -> Option<i32> {
        let mut count = Winding { points: &self.points, c, except, winding: 0, on_boundary: false };
        self.walk(&mut count);
        (!count.on_boundary).then_some(count.winding)
    }

    /// Exact, by the winding number.
    pub fn locate(&self, c: Coord<f64>) -> Place {
        match self.winding(c, &(0..0)) {
            None => Place::Boundary,
            Some(0) => Place::Outside,
            Some(_) => Place::Inside,
        }
    }
}

/// What a walk over the boundary is for.
pub(crate) trait Visitor {
    /// Whether the edges of the run are wanted one by one; if not, the walk goes on behind it.
    fn enters(&mut self, run: &Run) -> bool;
    /// An edge and the place of its first vertex.
    fn edge(&mut self, a: Coord<f64>, b: Coord<f64>, at: usize);
}

struct Winding<'a> {
    points: &'a [Coord<f64>],
    c: Coord<f64>,
    except: &'a Range<usize>,
    winding: i32,
    on_boundary: bool,
}

impl Visitor for Winding<'_> {
    fn enters(&mut self, run: &Run) -> bool {
        let (w, c) = (&run.window, self.c);
        if w.y1 < c.y || w.y0 > c.y || w.x0 > c.x || (run.from < run.to && self.except.contains(&(run.from as usize))) {
            return false;
        }
        if w.x1 < c.x {
            self.winding += passes(self.points[run.from as usize].y, self.points[run.to as usize].y, c.y);
            return false;
        }
        true
    }

    fn edge(&mut self, a: Coord<f64>, b: Coord<f64>, at: usize) {
        let (w, c) = (Window::of_edge(a, b), self.c);
        if w.y1 < c.y || w.y0 > c.y || w.x0 > c.x || self.except.contains(&at) {
            return;
        }
        if w.x1 < c.x {
            self.winding += passes(a.y, b.y, c.y);
            return;
        }
        let side = orientation(a, b, c);
        if side == Orientation::Collinear {
            self.on_boundary = true;
        } else if (side == Orientation::CounterClockwise) == (a.y > b.y) {
            // The edge runs to the left of the point.
            self.winding += passes(a.y, b.y, c.y);
        }
    }
}

/// How an edge that passes to the left of a point at height `y` changes its winding number: down counts one, up minus
/// one, the lower end belongs to the edge and the upper does not.
fn passes(from_y: f64, to_y: f64, y: f64) -> i32 {
    i32::from(from_y > y) - i32::from(to_y > y)
}

pub(crate) fn as_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
