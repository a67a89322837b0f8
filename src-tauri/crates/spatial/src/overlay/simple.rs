//! Whether an outline's winding number is 0 or 1 everywhere, as the area formula and the integer overlay take it to be.

use super::outline::{LEAF, Outline, Run, Visitor, Window, orientation};
use geo::kernels::Orientation;
use geo_types::Coord;
use std::ops::Range;

/// Whether two closed segments whose boxes meet have a point in common. Exact.
pub(crate) fn segments_meet(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>, d: Coord<f64>) -> bool {
    let apart = |p: Orientation, q: Orientation| p == q && p != Orientation::Collinear;
    !apart(orientation(a, b, c), orientation(a, b, d)) && !apart(orientation(c, d, a), orientation(c, d, b))
}

/// No edge meets another but its neighbours in the ring, every hole lies in its exterior and no part in another.
///
/// Rings that touch in a point are valid and yet refused: they take the slower way.
pub(crate) fn is_simple(outline: &Outline) -> bool {
    !outline.rings().any(|ring| meets_others(outline, ring, false)) && (outline.starts.len() <= 2 || nests(outline))
}

/// Whether any two edges meet elsewhere than in a vertex of both.
pub(crate) fn borders_cross(outline: &Outline) -> bool {
    outline.rings().any(|ring| meets_others(outline, ring, true))
}

/// Two edges with a common end meet elsewhere as well only if one runs along the other.
fn overlap(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>, d: Coord<f64>) -> bool {
    let (hinge, p, q) = match (a == c, a == d, b == c) {
        (true, _, _) => (a, b, d),
        (_, true, _) => (a, b, c),
        (_, _, true) => (b, a, d),
        _ => (b, a, c),
    };
    let ahead = (p.x - hinge.x) * (q.x - hinge.x) + (p.y - hinge.y) * (q.y - hinge.y) > 0.0;
    ahead && orientation(hinge, p, q) == Orientation::Collinear
}

/// Looks for edges that meet one of a run's, none of them its neighbour in the ring. Of every two edges only the earlier
/// one asks.
struct Meeting<'a> {
    points: &'a [Coord<f64>],
    /// Of edges, within one ring.
    run: Range<usize>,
    window: Window,
    /// The first and the last edge of the ring: neighbours round the seam.
    seam: (usize, usize),
    /// A vertex of both is no meeting.
    hinged: bool,
    met: bool,
}

impl Visitor for Meeting<'_> {
    fn enters(&mut self, run: &Run) -> bool {
        !self.met && (run.from == run.to || run.to as usize > self.run.start + 2) && run.window.meets(&self.window)
    }

    #[inline(always)]
    fn edge(&mut self, c: Coord<f64>, d: Coord<f64>, j: usize) {
        let other = Window::of_edge(c, d);
        if j < self.run.start + 2 || self.met || !other.meets(&self.window) {
            return;
        }
        for i in self.run.start..self.run.end.min(j - 1) {
            let (a, b) = (self.points[i], self.points[i + 1]);
            if other.meets(&Window::of_edge(a, b)) && (i, j) != self.seam {
                let shared = self.hinged && (a == c || a == d || b == c || b == d);
                self.met = if shared { overlap(a, b, c, d) } else { segments_meet(a, b, c, d) };
                if self.met {
                    return;
                }
            }
        }
    }
}

fn meets_others(outline: &Outline, ring: Range<usize>, hinged: bool) -> bool {
    let points = &outline.points;
    // A ring has its first vertex once more at its end.
    let edges = ring.start..ring.end.saturating_sub(1);
    let step = if outline.runs.is_empty() { points.len() } else { LEAF };
    edges.clone().step_by(step).any(|from| {
        let run = from..edges.end.min(from + step);
        let mut window = Window::EMPTY;
        points[run.start..=run.end].iter().for_each(|c| window.add(*c));
        let seam = (edges.start, edges.end.saturating_sub(1));
        let mut meeting = Meeting { points, run, window, seam, hinged, met: false };
        outline.walk(&mut meeting);
        meeting.met
    })
}

fn nests(outline: &Outline) -> bool {
    let points = &outline.points;
    outline.rings().all(|ring| {
        let around = i32::from(outline.is_hole(&ring));
        outline.winding(points[ring.start], &ring) == Some(around)
    })
}
