//! The area that two outlines have in common, without building the shape.
//!
//! With winding numbers w(x, y) = Σ s·[x > x_e(y)] over the edges e that pass the height y (s = 1 downwards, −1 upwards),
//! ∬ w_A·w_B = −Σ_e Σ_f s_e s_f ∫ max(x_e, x_f) dy over the heights that e and f share. Every term depends continuously on
//! the coordinates, so that touching edges, shared vertices and slivers need no decisions: the result is right to
//! rounding (about 1e-15 of the smaller shape's box). On the ellipsoid dy carries the weight M·N·cos φ: edges are
//! straight in longitude and latitude, and the parts of a whole add up to the whole.

use super::outline::{Outline, Run, Visitor, Window, as_u32};
use geo_types::Coord;

/// WGS84.
pub(crate) const A_M: f64 = 6_378_137.0;
pub(crate) const E2: f64 = 0.006_694_379_990_141_317;

/// Where the polynomial weight stands in for the true one: its error there is below 1e-9.
const POLYNOMIAL_DEG: f64 = 0.25;

/// Outlines of more edges are met run by run.
const FEW: usize = 64;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Square units of the plane in which the coordinates are given.
    Planar,
    /// Square metres on WGS84 of shapes in degrees, edges straight in longitude and latitude as they are drawn: the parts
    /// of a whole add up to the whole.
    Ellipsoid,
    /// Square metres on WGS84 of shapes in degrees, edges taken for geodesics, as GeographicLib, PROJ and PostGIS do. The
    /// shape has to be built.
    Geodesic,
}

/// ∫ x(y)·D(y) dy for x linear from (xa, ya) to (xb, yb).
pub(crate) trait Weight: Copy {
    fn integral(&self, ya: f64, yb: f64, xa: f64, xb: f64) -> f64;
}

#[derive(Clone, Copy)]
pub(crate) struct Flat;

impl Weight for Flat {
    #[inline(always)]
    fn integral(&self, ya: f64, yb: f64, xa: f64, xb: f64) -> f64 {
        (yb - ya) * (xa + xb) * 0.5
    }
}

/// M·N·cos φ as a parabola through three latitudes of a low window. Gauss's two points are exact for the cubic.
#[derive(Clone, Copy)]
pub(crate) struct Low {
    c: [f64; 3],
}

impl Weight for Low {
    #[inline(always)]
    fn integral(&self, ya: f64, yb: f64, xa: f64, xb: f64) -> f64 {
        let [c0, c1, c2] = self.c;
        gauss(ya, yb, xa, xb, |y| c0 + y * (c1 + y * c2))
    }
}

/// M·N·cos φ itself, in steps of a quarter of a degree.
#[derive(Clone, Copy)]
pub(crate) struct High {
    origin_y: f64,
}

impl Weight for High {
    fn integral(&self, ya: f64, yb: f64, xa: f64, xb: f64) -> f64 {
        // Beyond the poles there is nothing to count.
        let (low, high) = (ya.max(-90.0 - self.origin_y), yb.min(90.0 - self.origin_y));
        if low.partial_cmp(&high) != Some(std::cmp::Ordering::Less) {
            return 0.0;
        }
        let slope = (xb - xa) / (yb - ya);
        let steps = ((high - low) / POLYNOMIAL_DEG).ceil().max(1.0);
        let h = (high - low) / steps;
        let mut sum = 0.0;
        let mut step = 0.0;
        while step < steps {
            let (y0, y1) = (low + step * h, low + (step + 1.0) * h);
            let (x0, x1) = (xa + (y0 - ya) * slope, xa + (y1 - ya) * slope);
            sum += gauss(y0, y1, x0, x1, |y| density(self.origin_y + y));
            step += 1.0;
        }
        sum
    }
}

#[inline(always)]
fn gauss(ya: f64, yb: f64, xa: f64, xb: f64, weight: impl Fn(f64) -> f64) -> f64 {
    const NODE: f64 = 0.577_350_269_189_625_8;
    let (half, ym) = ((yb - ya) * 0.5, (ya + yb) * 0.5);
    let (xh, xm) = ((xb - xa) * 0.5, (xa + xb) * 0.5);
    half * ((xm - NODE * xh) * weight(ym - NODE * half) + (xm + NODE * xh) * weight(ym + NODE * half))
}

/// Square metres per square degree at a latitude.
fn density(latitude_deg: f64) -> f64 {
    const DEG2: f64 = (std::f64::consts::PI / 180.0) * (std::f64::consts::PI / 180.0);
    let (sin, cos) = latitude_deg.to_radians().sin_cos();
    let w2 = 1.0 - E2 * sin * sin;
    DEG2 * A_M * A_M * (1.0 - E2) * cos / (w2 * w2)
}

#[derive(Clone, Copy)]
pub(crate) enum Weights {
    Flat(Flat),
    Low(Low),
    High(High),
}

impl Weights {
    /// For heights of the window, given from `origin_y`.
    pub fn new(measure: Measure, window: &Window, origin_y: f64) -> Self {
        let h = (window.y1 - window.y0) * 0.5;
        if measure == Measure::Planar {
            return Self::Flat(Flat);
        }
        if h * 2.0 <= POLYNOMIAL_DEG && window.y0 >= -90.0 && window.y1 <= 90.0 {
            // The parabola's nodes are Chebyshev's; a window without height still wants distinct ones.
            let d = (h * 0.866_025_403_784_438_6).max(1e-3);
            let m = window.y0.midpoint(window.y1) - origin_y;
            let [below, middle, above] = [m - d, m, m + d].map(|y| density(origin_y + y));
            let c2 = (above + below - 2.0 * middle) / (2.0 * d * d);
            let c1 = (above - below) / (2.0 * d);
            // From (y − m) to y.
            Self::Low(Low { c: [middle - c1 * m + c2 * m * m, c1 - 2.0 * c2 * m, c2] })
        } else {
            Self::High(High { origin_y })
        }
    }
}

/// An edge by height: x = x0 + (y − y0)·k for y from y0 to y1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    y0: f64,
    y1: f64,
    x0: f64,
    k: f64,
    s: f64,
}

impl Edge {
    /// `None` where the edge runs level: it bounds no area.
    #[inline(always)]
    fn new(a: Coord<f64>, b: Coord<f64>, origin: Coord<f64>) -> Option<Self> {
        let (low, high, s) = if a.y < b.y { (a, b, -1.0) } else { (b, a, 1.0) };
        let (y0, y1) = (low.y - origin.y, high.y - origin.y);
        let (x0, x1) = (low.x - origin.x, high.x - origin.x);
        let k = (x1 - x0) / (y1 - y0);
        (y0 < y1 && k.is_finite()).then_some(Self { y0, y1, x0, k, s })
    }

    #[inline(always)]
    fn x(&self, y: f64) -> f64 {
        self.x0 + (y - self.y0) * self.k
    }

    #[inline(always)]
    fn area<W: Weight>(&self, weight: W) -> f64 {
        -self.s * weight.integral(self.y0, self.y1, self.x0, self.x(self.y1))
    }
}

/// Buffers that are used again from pair to pair.
#[derive(Default)]
pub(crate) struct Scratch {
    near: Vec<Edge>,
    far: Vec<Edge>,
}

fn edges(outline: &Outline, origin: Coord<f64>, out: &mut Vec<Edge>) {
    out.clear();
    for ring in outline.rings() {
        out.extend(outline.points[ring].array_windows::<2>().filter_map(|[a, b]| Edge::new(*a, *b, origin)));
    }
}

/// The area of an outline whose winding number is 0 or 1.
pub(crate) fn own(outline: &Outline, measure: Measure) -> f64 {
    if outline.is_empty() {
        return 0.0;
    }
    if measure == Measure::Geodesic {
        return super::geodesic::area_m2(outline);
    }
    let origin = outline.window.centre();
    match Weights::new(measure, &outline.window, origin.y) {
        Weights::Flat(w) => own_by(outline, origin, w),
        Weights::Low(w) => own_by(outline, origin, w),
        Weights::High(w) => own_by(outline, origin, w),
    }
}

fn own_by(outline: &Outline, origin: Coord<f64>, weight: impl Weight) -> f64 {
    let all = outline.rings().flat_map(|ring| outline.points[ring].array_windows::<2>());
    all.filter_map(|[a, b]| Edge::new(*a, *b, origin)).map(|e| e.area(weight)).sum()
}

/// The boundary as it is seen from a window: edges that may enter it, and upright ones in place of all that lies to its
/// left; nothing of what lies to the right, above or below.
struct Seen<'a> {
    points: &'a [Coord<f64>],
    window: Window,
    origin: Coord<f64>,
    out: &'a mut Vec<Edge>,
    enters: bool,
    /// The way along the left that is not drawn yet: its heights, and the vertex where it ended.
    left: (f64, f64, u32),
}

impl Seen<'_> {
    fn aside(&self, w: &Window) -> bool {
        w.x0 > self.window.x1 || w.y0 >= self.window.y1 || w.y1 <= self.window.y0
    }

    fn pass(&mut self, from: u32, to: u32) {
        let [begun, ended] = [from, to].map(|at| self.points[at as usize].y.clamp(self.window.y0, self.window.y1));
        if self.left.2 == from {
            self.left = (self.left.0, ended, to);
        } else {
            self.draw();
            self.left = (begun, ended, to);
        }
    }

    fn draw(&mut self) {
        let (from, to, _) = self.left;
        if from != to {
            let [from, to] = [from, to].map(|y| y - self.origin.y);
            let s = (from - to).signum();
            self.out.push(Edge { y0: from.min(to), y1: from.max(to), x0: f64::NEG_INFINITY, k: 0.0, s });
        }
    }
}

impl Visitor for Seen<'_> {
    #[inline(always)]
    fn enters(&mut self, run: &Run) -> bool {
        if self.aside(&run.window) {
            return false;
        }
        if run.window.x1 < self.window.x0 {
            self.pass(run.from, run.to);
            return false;
        }
        true
    }

    #[inline(always)]
    fn edge(&mut self, a: Coord<f64>, b: Coord<f64>, at: usize) {
        let w = Window::of_edge(a, b);
        if self.aside(&w) {
            return;
        }
        if w.x1 < self.window.x0 {
            self.pass(as_u32(at), as_u32(at + 1));
            return;
        }
        self.enters = true;
        self.out.extend(Edge::new(a, b, self.origin));
    }
}

/// Fills `out` and says whether any edge may enter the window.
fn seen(outline: &Outline, window: &Window, origin: Coord<f64>, out: &mut Vec<Edge>) -> bool {
    out.clear();
    let points = &outline.points;
    let mut seen = Seen { points, window: *window, origin, out, enters: false, left: (0.0, 0.0, u32::MAX) };
    outline.walk(&mut seen);
    seen.draw();
    seen.enters
}

/// The area that two outlines have in common, edges straight.
pub(crate) fn common(a: &Outline, b: &Outline, measure: Measure, scratch: &mut Scratch) -> f64 {
    if a.is_empty() || b.is_empty() || !a.window.meets(&b.window) {
        return 0.0;
    }
    let (a, b) = if a.points.len() <= b.points.len() { (a, b) } else { (b, a) };
    let origin = a.window.centre();
    match Weights::new(measure, &a.window, origin.y) {
        Weights::Flat(w) => common_by(a, b, origin, w, scratch),
        Weights::Low(w) => common_by(a, b, origin, w, scratch),
        Weights::High(w) => common_by(a, b, origin, w, scratch),
    }
}

fn common_by<W: Weight>(a: &Outline, b: &Outline, origin: Coord<f64>, weight: W, scratch: &mut Scratch) -> f64 {
    let Scratch { near, far } = scratch;
    if a.points.len() > FEW {
        let inside = along(a, b, origin, weight, scratch, true) + along(b, a, origin, weight, scratch, false);
        return inside.max(0.0);
    }
    let enters = seen(b, &a.window, origin, far);
    edges(a, origin, near);
    if !enters {
        // The winding number is the same all over the window.
        let middle = a.window.y0.midpoint(a.window.y1) - origin.y;
        let winding: f64 = far.iter().filter(|f| f.y0 <= middle && middle < f.y1).map(|f| f.s).sum();
        return if winding == 0.0 { 0.0 } else { near.iter().map(|e| e.area(weight)).sum::<f64>().max(0.0) };
    }
    let mut sum = 0.0;
    for f in far.iter() {
        for e in near.iter() {
            let (ya, yb) = (e.y0.max(f.y0), e.y1.min(f.y1));
            if ya < yb {
                sum -= e.s * f.s * later(e, f, ya, yb, weight);
            }
        }
    }
    sum.max(0.0)
}

/// ∫ max(x_e, x_f) dy.
#[inline(always)]
fn later<W: Weight>(e: &Edge, f: &Edge, ya: f64, yb: f64, weight: W) -> f64 {
    let (ea, eb, fa, fb) = (e.x(ya), e.x(yb), f.x(ya), f.x(yb));
    let (da, db) = (ea - fa, eb - fb);
    if da >= 0.0 && db >= 0.0 {
        weight.integral(ya, yb, ea, eb)
    } else if da <= 0.0 && db <= 0.0 {
        weight.integral(ya, yb, fa, fb)
    } else {
        let t = da / (da - db);
        let (ym, xm) = (ya + (yb - ya) * t, ea + (eb - ea) * t);
        let (low, high) = if da > 0.0 { (ea, fb) } else { (fa, eb) };
        weight.integral(ya, ym, low, xm) + weight.integral(ym, yb, xm, high)
    }
}

/// The share of the common area that runs along the edges of `a` inside `b`, run by run. Where both boundaries coincide
/// it counts for the outline that is asked `first`.
fn along<W: Weight>(
    a: &Outline,
    b: &Outline,
    origin: Coord<f64>,
    weight: W,
    scratch: &mut Scratch,
    first: bool,
) -> f64 {
    let Scratch { near, far } = scratch;
    let mut sum = 0.0;
    for ring in a.rings() {
        let mut from = ring.start;
        while from + 1 < ring.end {
            let to = (from + FEW / 4).min(ring.end - 1);
            let points = &a.points[from..=to];
            from = to;
            let mut window = Window::EMPTY;
            points.iter().for_each(|c| window.add(*c));
            if !window.meets(&b.window) {
                continue;
            }
            seen(b, &window, origin, far);
            near.clear();
            near.extend(points.array_windows::<2>().filter_map(|[p, q]| Edge::new(*p, *q, origin)));
            for e in near.iter() {
                for f in far.iter() {
                    let (ya, yb) = (e.y0.max(f.y0), e.y1.min(f.y1));
                    if ya < yb {
                        sum -= e.s * f.s * where_later(e, f, ya, yb, weight, first);
                    }
                }
            }
        }
    }
    sum
}

/// ∫ x_e dy over the heights at which x_e is the greater; the same split as in [`later`], whichever of the two asks.
#[inline(always)]
fn where_later<W: Weight>(e: &Edge, f: &Edge, ya: f64, yb: f64, weight: W, first: bool) -> f64 {
    let (ea, eb, fa, fb) = (e.x(ya), e.x(yb), f.x(ya), f.x(yb));
    let (da, db) = (ea - fa, eb - fb);
    if da == 0.0 && db == 0.0 {
        return if first { weight.integral(ya, yb, ea, eb) } else { 0.0 };
    }
    if da >= 0.0 && db >= 0.0 {
        return weight.integral(ya, yb, ea, eb);
    }
    if da <= 0.0 && db <= 0.0 {
        return 0.0;
    }
    let t = da / (da - db);
    let ym = ya + (yb - ya) * t;
    let xm = ea + (eb - ea) * t;
    if da > 0.0 { weight.integral(ya, ym, ea, xm) } else { weight.integral(ym, yb, xm, eb) }
}
