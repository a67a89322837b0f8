//! Rings cut down to what matters within a window.

use super::outline::{Outline, Run, Visitor, Window, as_u32, orientation};
use geo::kernels::Orientation;
use geo_types::Coord;

const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const BELOW: u8 = 4;
const ABOVE: u8 = 8;

/// Rings with the outline's winding number everywhere in the window, and few vertices outside of it. Vertices in the
/// window and edges that meet it stay as they are, but for edges that reach far out: those are cut near the window. What
/// lies outside is arbitrary.
pub(crate) fn clip(outline: &Outline, window: &Window) -> Vec<Vec<Coord<f64>>> {
    let (width, height) = (window.x1 - window.x0, window.y1 - window.y0);
    // A quarter of the window, and enough for a window without width to have an outside.
    let least = f64::EPSILON
        * 16.0
        * [window.x0, window.x1, window.y0, window.y1].map(f64::abs).into_iter().fold(0.0, f64::max);
    let margin = (width.max(height) * 0.25).max(least).max(f64::MIN_POSITIVE);
    let frame =
        Window { x0: window.x0 - margin, y0: window.y0 - margin, x1: window.x1 + margin, y1: window.y1 + margin };
    let mut cutter = Cutter {
        points: &outline.points,
        window: *window,
        frame,
        rings: Vec::new(),
        ring: Vec::new(),
        at: u32::MAX,
        sides: 0,
    };
    outline.walk(&mut cutter);
    cutter.finish();
    cutter.rings
}

struct Cutter<'a> {
    points: &'a [Coord<f64>],
    window: Window,
    frame: Window,
    rings: Vec<Vec<Coord<f64>>>,
    ring: Vec<Coord<f64>>,
    /// The vertex that was reached.
    at: u32,
    /// On which side of the window the way since the last vertex in `ring` runs; 0: it has been drawn.
    sides: u8,
}

impl Cutter<'_> {
    /// The sides of the window on which all of the box lies.
    fn sides(&self, w: &Window) -> u8 {
        (u8::from(w.x1 < self.window.x0) * LEFT)
            | (u8::from(w.x0 > self.window.x1) * RIGHT)
            | (u8::from(w.y1 < self.window.y0) * BELOW)
            | (u8::from(w.y0 > self.window.y1) * ABOVE)
    }

    fn push(&mut self, c: Coord<f64>) {
        if self.ring.last() != Some(&c) {
            self.ring.push(c);
        }
    }

    /// The frame's nearest place: on the same sides of the window.
    fn framed(&self, c: Coord<f64>) -> Coord<f64> {
        let f = &self.frame;
        Coord { x: c.x.clamp(f.x0, f.x1), y: c.y.clamp(f.y0, f.y1) }
    }

    fn reach(&mut self, from: u32) {
        if self.at != from {
            self.finish();
            let c = self.framed(self.points[from as usize]);
            self.ring.push(c);
        }
    }

    /// A way from vertex to vertex on one side, or more, of the window.
    fn aside(&mut self, sides: u8, from: u32, to: u32) {
        self.reach(from);
        if self.sides & sides == 0 {
            self.push(self.framed(self.points[from as usize]));
            self.sides = sides;
        } else {
            self.sides &= sides;
        }
        self.at = to;
    }

    fn finish(&mut self) {
        let ring = std::mem::take(&mut self.ring);
        if ring.len() > 2 {
            self.rings.push(ring);
        }
        self.sides = 0;
    }
}

impl Visitor for Cutter<'_> {
    fn enters(&mut self, run: &Run) -> bool {
        let sides = self.sides(&run.window);
        if sides == 0 {
            return true;
        }
        if run.from != run.to {
            self.aside(sides, run.from, run.to);
        }
        false
    }

    fn edge(&mut self, a: Coord<f64>, b: Coord<f64>, at: usize) {
        let (from, to) = (as_u32(at), as_u32(at + 1));
        let sides = self.sides(&Window::of_edge(a, b));
        if sides != 0 {
            self.aside(sides, from, to);
            return;
        }
        self.reach(from);
        self.push(self.framed(a));
        match cut(a, b, &self.frame) {
            Some([p, q]) => {
                self.push(p);
                self.push(q);
            }
            None => self.push(corner(a, b, &self.frame)),
        }
        self.push(self.framed(b));
        self.sides = 0;
        self.at = to;
    }
}

/// The part of a segment in a box (Liang and Barsky 1984); ends in the box are returned bit for bit.
fn cut(a: Coord<f64>, b: Coord<f64>, w: &Window) -> Option<[Coord<f64>; 2]> {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let (mut t0, mut t1) = (0.0_f64, 1.0_f64);
    for (p, q) in [(-dx, a.x - w.x0), (dx, w.x1 - a.x), (-dy, a.y - w.y0), (dy, w.y1 - a.y)] {
        if p < 0.0 {
            t0 = t0.max(q / p);
        } else if p > 0.0 {
            t1 = t1.min(q / p);
        } else if q < 0.0 {
            return None;
        }
    }
    let on = |t: f64| Coord { x: a.x + t * dx, y: a.y + t * dy };
    (t0 <= t1).then(|| [if t0 > 0.0 { on(t0) } else { a }, if t1 < 1.0 { on(t1) } else { b }])
}

/// The corner that a segment outside of the box passes by: the one nearest to its line.
fn corner(a: Coord<f64>, b: Coord<f64>, w: &Window) -> Coord<f64> {
    let corners = [(w.x0, w.y0), (w.x1, w.y0), (w.x1, w.y1), (w.x0, w.y1)].map(|(x, y)| Coord { x, y });
    let off = |c: Coord<f64>| match orientation(a, b, c) {
        Orientation::Collinear => 0.0,
        _ => ((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)).abs(),
    };
    corners.into_iter().min_by(|p, q| off(*p).total_cmp(&off(*q))).unwrap_or(a)
}
