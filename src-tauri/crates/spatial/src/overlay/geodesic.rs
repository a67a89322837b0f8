//! The area of rings whose edges are geodesics: that of the straight ones, and what lies between.
//!
//! The way that is straight in longitude and latitude has at every place the geodesic curvature κ; between it and the
//! geodesic of the same ends lie κ s³ / 12, with κ s³ = Δλ ((N cos φ)² sin φ Δλ² + (2 M² sin φ + N cos φ dM/dφ) Δφ²) at
//! the middle, from the equations of the geodesic on a surface of revolution. Long edges go through Karney's algorithm.

use super::Measure;
use super::area::{A_M, E2, own};
use super::outline::Outline;
use geo_types::{Coord, MultiPolygon};

/// Edges up to this keep the area within 1e-9 for the ring.
const SHORT_DEG: f64 = 0.1;

/// Beyond this latitude the series fails for lack of parallels.
const POLAR_DEG: f64 = 80.0;

/// In m².
pub(crate) fn area_m2(outline: &Outline) -> f64 {
    let w = &outline.window;
    let edges = || outline.rings().flat_map(|ring| outline.points[ring].array_windows::<2>());
    let short = |[a, b]: &[Coord<f64>; 2]| (b.x - a.x).abs().max((b.y - a.y).abs()) <= SHORT_DEG;
    if w.y0 < -POLAR_DEG || w.y1 > POLAR_DEG || !edges().all(short) {
        return geodesy::area_m2(&MultiPolygon(outline.polygons()).into());
    }
    let between: f64 = edges().map(|[a, b]| between_m2(*a, *b)).sum();
    (own(outline, Measure::Ellipsoid) - between).max(0.0)
}

/// The area between an edge and the geodesic to its left.
fn between_m2(a: Coord<f64>, b: Coord<f64>) -> f64 {
    let (sin, cos) = a.y.midpoint(b.y).to_radians().sin_cos();
    let w2 = 1.0 - E2 * sin * sin;
    let n_m = A_M / w2.sqrt();
    let m_m = n_m * (1.0 - E2) / w2;
    let r_m = n_m * cos;
    let (east, north) = ((b.x - a.x).to_radians(), (b.y - a.y).to_radians());
    let per_north = 2.0 * m_m * m_m * sin + r_m * 3.0 * m_m * E2 * sin * cos / w2;
    east * (r_m * r_m * sin * east * east + per_north * north * north) / 12.0
}
