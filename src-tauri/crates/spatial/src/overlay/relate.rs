//! How two outlines lie to each other: exact, and quick where one lies wholly within or without the other.

use super::outline::{Outline, Place, Run, Visitor, Window};
use super::simple::segments_meet;
use geo_types::Coord;

/// How a shape lies to a prepared one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// No point in common.
    Disjoint,
    /// All of it lies inside, without touching the boundary.
    Within,
    /// Anything else: boundaries cross or touch, or it lies round all or a part of the prepared shape.
    Crosses,
}

/// How `a` lies to `b`.
pub(crate) fn relation(a: &Outline, b: &Outline) -> Relation {
    if a.is_empty() || b.is_empty() || !a.window.meets(&b.window) {
        return Relation::Disjoint;
    }
    let mut border = Border { a, b, near: false, crosses: false, ring: 0 };
    b.walk(&mut border);
    if border.crosses {
        return Relation::Crosses;
    }
    let mut places = a.rings().map(|ring| b.locate(a.points[ring.start]));
    let first = places.next();
    // With nothing of b's boundary in a's box, one place tells for all.
    if border.near && places.any(|place| Some(place) != first) {
        return Relation::Crosses;
    }
    match first {
        Some(Place::Inside) => Relation::Within,
        Some(Place::Boundary) => Relation::Crosses,
        Some(Place::Outside) | None => Relation::Disjoint,
    }
}

/// Looks along b for an edge that meets a, or a ring inside of it.
struct Border<'a> {
    a: &'a Outline,
    b: &'a Outline,
    near: bool,
    crosses: bool,
    /// Where the ring that was looked at last ends.
    ring: usize,
}

impl Visitor for Border<'_> {
    fn enters(&mut self, run: &Run) -> bool {
        !self.crosses && run.window.meets(&self.a.window)
    }

    fn edge(&mut self, p: Coord<f64>, q: Coord<f64>, at: usize) {
        let window = Window::of_edge(p, q);
        if self.crosses || !window.meets(&self.a.window) {
            return;
        }
        self.near = true;
        let mut touch = Touch { p, q, window, met: false };
        self.a.walk(&mut touch);
        self.crosses = touch.met;
        if !self.crosses && at >= self.ring {
            let next = self.b.starts.partition_point(|start| *start as usize <= at);
            self.ring = self.b.starts.get(next).map_or(usize::MAX, |start| *start as usize);
            self.crosses = self.a.locate(p) != Place::Outside;
        }
    }
}

struct Touch {
    p: Coord<f64>,
    q: Coord<f64>,
    window: Window,
    met: bool,
}

impl Visitor for Touch {
    fn enters(&mut self, run: &Run) -> bool {
        !self.met && run.window.meets(&self.window)
    }

    #[inline(always)]
    fn edge(&mut self, c: Coord<f64>, d: Coord<f64>, _: usize) {
        if self.window.meets(&Window::of_edge(c, d)) {
            self.met = self.met || segments_meet(self.p, self.q, c, d);
        }
    }
}
