//! Overlays that need a shape: on an integer lattice (i_overlay), so that no rounding can contradict another.
//!
//! The lattice divides the wider side of what is overlaid into 2³⁰. Vertices of the input come back bit for bit, unless
//! borders lie closer than the lattice; where edges cross, the new vertex is within 2⁻²⁹ of that side.

use super::Op;
use super::outline::{Outline, Window};
use super::simple::borders_cross;
use super::tidy::simple_shapes;
use geo_types::{Coord, LineString, MultiPolygon, Polygon};
use i_overlay::core::fill_rule::FillRule;
use i_overlay::core::overlay::{IntOverlayOptions, Overlay, ShapeType};
use i_overlay::core::overlay_rule::OverlayRule;
use i_overlay::core::solver::Solver;
use i_overlay::i_float::int::point::IntPoint;

/// Which winding numbers are inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    NonZero,
    EvenOdd,
}

pub(crate) struct Lattice {
    overlay: Overlay,
    /// Lattice points of the input with what they stand for.
    originals: Vec<(u64, Coord<f64>)>,
    origin: Coord<f64>,
    scale: f64,
    check: Outline,
}

impl Default for Lattice {
    fn default() -> Self {
        // Points on a line are kept: neighbours may have a vertex there.
        let options = IntOverlayOptions::keep_all_points();
        Self {
            overlay: Overlay::new_custom(64, options, Solver::default()),
            originals: Vec::new(),
            origin: Coord::default(),
            scale: 1.0,
            check: Outline::default(),
        }
    }
}

impl Lattice {
    /// Every coordinate must be finite and below 1e100; so it is in an [`Outline`].
    pub fn overlay<'a>(
        &mut self,
        subject: impl Iterator<Item = &'a [Coord<f64>]> + Clone,
        clip: impl Iterator<Item = &'a [Coord<f64>]> + Clone,
        op: Op,
        fill: Fill,
    ) -> MultiPolygon<f64> {
        let mut window = Window::EMPTY;
        subject.clone().chain(clip.clone()).flatten().for_each(|c| window.add(*c));
        if window.x0 > window.x1 {
            return MultiPolygon(Vec::new());
        }
        self.lay(&window);
        self.overlay.clear();
        self.originals.clear();
        subject.for_each(|ring| self.add(ring, ShapeType::Subject));
        clip.for_each(|ring| self.add(ring, ShapeType::Clip));
        // Of two places that fall on one lattice point the first given stands.
        self.originals.sort_by_key(|(key, _)| *key);
        self.originals.dedup_by_key(|(key, _)| *key);
        let rule = match op {
            Op::Intersection => OverlayRule::Intersect,
            Op::Union => OverlayRule::Union,
            Op::Difference => OverlayRule::Difference,
        };
        let fill = match fill {
            Fill::NonZero => FillRule::NonZero,
            Fill::EvenOdd => FillRule::EvenOdd,
        };
        let shapes = self.overlay.overlay(rule, fill);
        let shapes: Vec<_> = shapes.into_iter().flat_map(simple_shapes).collect();
        let result = MultiPolygon(shapes.iter().filter_map(|rings| self.polygon(rings, true)).collect());
        self.check.load(&result);
        self.check.index();
        if borders_cross(&self.check) {
            // Where borders lie closer than the lattice, going back to the given places can make them cross.
            return MultiPolygon(shapes.iter().filter_map(|rings| self.polygon(rings, false)).collect());
        }
        result
    }

    /// Half of the wider side comes to at most 2²⁹, so that products of differences stay far from 2⁶³.
    fn lay(&mut self, window: &Window) {
        let half = ((window.x1 - window.x0).max(window.y1 - window.y0) * 0.5).max(f64::MIN_POSITIVE);
        let exponent = half.log2().ceil().clamp(-900.0, 900.0);
        self.scale = (29.0 - exponent).exp2();
        self.origin = window.centre();
    }

    fn add(&mut self, ring: &[Coord<f64>], shape: ShapeType) {
        let Self { overlay, originals, origin, scale, .. } = self;
        // Casting saturates: no coordinate leaves the lattice.
        let node = |c: &Coord<f64>| {
            let [x, y] = [(c.x - origin.x) * *scale, (c.y - origin.y) * *scale];
            IntPoint::new(x.round() as i32, y.round() as i32)
        };
        let open = if ring.first() == ring.last() { &ring[..ring.len().saturating_sub(1)] } else { ring };
        originals.extend(open.iter().map(|c| (key(node(c)), *c)));
        overlay.add_path_iter(open.iter().map(node), shape);
    }

    fn place(&self, node: IntPoint, given: bool) -> Coord<f64> {
        match self.originals.binary_search_by_key(&key(node), |(key, _)| *key) {
            Ok(at) if given => self.originals[at].1,
            _ => Coord {
                x: self.origin.x + f64::from(node.x) / self.scale,
                y: self.origin.y + f64::from(node.y) / self.scale,
            },
        }
    }

    /// With vertices of the input as they were given, or all on the lattice.
    fn polygon(&self, rings: &[Vec<IntPoint>], given: bool) -> Option<Polygon<f64>> {
        let mut rings = rings.iter().filter(|ring| ring.len() > 2).map(|ring| {
            let mut line: Vec<_> = ring.iter().map(|node| self.place(*node, given)).collect();
            line.push(line[0]);
            LineString(line)
        });
        Some(Polygon::new(rings.next()?, rings.collect()))
    }
}

fn key(node: IntPoint) -> u64 {
    u64::from(node.x.cast_unsigned()) << 32 | u64::from(node.y.cast_unsigned())
}
