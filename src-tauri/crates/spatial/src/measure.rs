//! Distances from one place to many: the ellipsoid's accuracy at the price of a chord.

use crate::geometries::{Geometries, Piece};
use crate::grid::{GridBox, PER_DEGREE, to_grid};
use crate::plane::within_rings;
use geo_types::Coord;
use model::BBox;
use std::cell::OnceCell;

/// WGS84.
const A_M: f64 = 6_378_137.0;
const F: f64 = 1.0 / 298.257_223_563;
const E2: f64 = F * (2.0 - F);

/// The ellipsoid's least radius of curvature: along the meridian, at the equator. A geodesic is never shorter than this
/// times the angle that a sphere of geodetic coordinates shows.
const R_MIN_M: f64 = A_M * (1.0 - E2);

/// Beyond this the chord series loses its millimetre and Karney's algorithm takes over.
const CHORD_LIMIT_M: f64 = 50_000.0;

/// Up to this difference in latitude and longitude, 32 km, short series are good for chords.
const SERIES_RAD: f64 = 0.005;

/// A place from which distances are taken.
pub(crate) struct Origin {
    pub at: Coord<f64>,
    /// Earth-centred, once something far is measured.
    xyz: OnceCell<[f64; 3]>,
    sin_lat: f64,
    pub cos_lat: f64,
    /// Radius of the parallel and height above the equator's plane, metres.
    meridian_place: [f64; 2],
    /// Radii of curvature along the meridian and across it.
    radii: [f64; 2],
    /// The local plane: metres per radian along the meridian, its change per radian; the same for the parallel, twice.
    meridian: [f64; 2],
    parallel: [f64; 3],
    /// Rise of a parallel against the tangent plane: N sin φ cos φ / 2, metres per rad².
    sag_m: f64,
}

/// The plane of degrees around an origin, stretched to metres along both axes as at the origin: single precision, over
/// whole grid steps, with a bound on how far it is off.
pub(crate) struct Flat {
    /// The origin's cell.
    pub x: i32,
    pub y: i32,
    /// Metres per grid step.
    pub east: f32,
    pub north: f32,
    tan: f32,
}

impl Flat {
    /// Up to this distance in metres the plane may be used.
    pub const REACH_M: f32 = 50_000.0;

    /// Where the true distance lies for a flat one of `d` metres, and the other way round: within so many metres of it.
    ///
    /// Second order: x and y of a geodesic differ from the stretched degrees by x θ tan φ and x² tan φ / 2R, together by
    /// at most 0.19 d tan φ · d/R along the line; the rest is the third order, half a float's last place, and one grid
    /// step at both ends. Each term stands here at more than twice its size.
    pub fn slack(&self, d: f32) -> f32 {
        let angle = d / 6.3e6;
        d * (angle * (0.5 * self.tan + 0.01 + angle * (1.0 + self.tan * self.tan)) + 1e-6) + 0.04
    }
}

/// The nearest place so far: on a segment, at a fraction of it.
struct Nearest {
    d2: f64,
    segment: [Coord<f64>; 2],
    t: f64,
}

impl Nearest {
    fn offer(&mut self, d2: f64, segment: [Coord<f64>; 2], t: f64) {
        if d2 < self.d2 {
            *self = Self { d2, segment, t };
        }
    }
}

/// Earth-centred coordinates in metres on the ellipsoid.
pub(crate) fn earth_centred(c: Coord<f64>) -> [f64; 3] {
    let (sin_lat, cos_lat) = c.y.to_radians().sin_cos();
    let (sin_lon, cos_lon) = c.x.to_radians().sin_cos();
    let n = A_M / (1.0 - E2 * sin_lat * sin_lat).sqrt();
    [n * cos_lat * cos_lon, n * cos_lat * sin_lon, n * (1.0 - E2) * sin_lat]
}

/// Geodesic length over a chord whose ends lie on the ellipsoid at `a` and `b`.
pub(crate) fn arc_m(chord2_m2: f64, a: Coord<f64>, b: Coord<f64>) -> f64 {
    if chord2_m2 > CHORD_LIMIT_M * CHORD_LIMIT_M || !chord2_m2.is_finite() {
        return geodesy::distance_m(a, b);
    }
    let (sin, cos) = a.y.midpoint(b.y).to_radians().sin_cos();
    let w2 = 1.0 - E2 * sin * sin;
    let n = A_M / w2.sqrt();
    let m = n * (1.0 - E2) / w2;
    bend(chord2_m2, [m, n], (b.y - a.y) * m, wrap(b.x - a.x) * n * cos)
}

/// s = c (1 + c²/24R² + 3c⁴/640R⁴), R by Euler for the direction of travel (`north`, `east` in any one unit).
#[inline(always)]
fn bend(chord2_m2: f64, [m, n]: [f64; 2], north: f64, east: f64) -> f64 {
    let (north2, east2) = (north * north, east * east);
    let curvature = (north2 * n + east2 * m) / ((north2 + east2).max(f64::MIN_POSITIVE) * m * n);
    let k = chord2_m2 * curvature * curvature;
    chord2_m2.sqrt() * (1.0 + k * (1.0 / 24.0 + k * (3.0 / 640.0)))
}

/// Radius of curvature across the meridian, a (1 − e² sin² φ)^−½; the next term of the series would be 2e-14 of it.
#[inline(always)]
fn across_m(sin_lat: f64) -> f64 {
    let w = E2 * sin_lat * sin_lat;
    A_M * (1.0 + w * (1.0 / 2.0 + w * (3.0 / 8.0 + w * (5.0 / 16.0 + w * (35.0 / 128.0 + w * (63.0 / 256.0))))))
}

/// A difference of longitudes the short way round.
pub(crate) fn wrap(delta_deg: f64) -> f64 {
    if delta_deg.abs() <= 180.0 { delta_deg } else { delta_deg - 360.0 * (delta_deg / 360.0).round() }
}

impl Origin {
    pub fn new(at: Coord<f64>) -> Self {
        let (sin, cos) = at.y.to_radians().sin_cos();
        let w2 = 1.0 - E2 * sin * sin;
        // The same series as for the places measured: the origin is to lie at no distance from itself.
        let n = across_m(sin);
        let m = n * (1.0 - E2) / w2;
        // d(N cos φ)/dφ = −M sin φ exactly; the next derivative to first order in e².
        Self {
            at,
            xyz: OnceCell::new(),
            sin_lat: sin,
            cos_lat: cos.max(0.0),
            meridian_place: [n * cos, n * (1.0 - E2) * sin],
            radii: [m, n],
            meridian: [m, 1.5 * m * E2 * sin * cos / w2],
            parallel: [n * cos, -m * sin, -m * cos / 2.0],
            sag_m: n * sin * cos / 2.0,
        }
    }

    /// Geodesic distance to a point: within 0.1 mm below 50 km, Karney's beyond.
    pub fn distance_m(&self, to: Coord<f64>) -> f64 {
        let north = (to.y - self.at.y).to_radians();
        let east = wrap(to.x - self.at.x).to_radians();
        if north.abs() < SERIES_RAD && east.abs() < SERIES_RAD { self.series_m(north, east) } else { self.far_m(to) }
    }

    /// As [`Origin::distance_m`] for one point after the other, in a loop that the compiler can widen.
    pub fn distances_m<const N: usize>(&self, to: &[Coord<f64>; N]) -> [f64; N] {
        let mut distances = [0.0; N];
        let mut far = 0.0_f64;
        for (distance, to) in distances.iter_mut().zip(to) {
            let (north, east) = ((to.y - self.at.y).to_radians(), (to.x - self.at.x).to_radians());
            far = far.max(north.abs().max(east.abs()));
            *distance = self.series_m(north, east);
        }
        if far < SERIES_RAD { distances } else { to.map(|to| self.distance_m(to)) }
    }

    /// The chord by short series that stand in for sine and cosine to the last bit up to [`SERIES_RAD`].
    #[inline(always)]
    fn series_m(&self, north: f64, east: f64) -> f64 {
        let (n2, e2) = (north * north, east * east);
        let sin = north * (1.0 - n2 * (1.0 / 6.0 - n2 * (1.0 / 120.0 - n2 / 5_040.0)));
        let versed = n2 * (0.5 - n2 * (1.0 / 24.0 - n2 / 720.0));
        let sin_lat = self.sin_lat - self.sin_lat * versed + self.cos_lat * sin;
        let cos_lat = self.cos_lat - self.cos_lat * versed - self.sin_lat * sin;
        let n = across_m(sin_lat);
        let parallel = n * cos_lat;
        let rise = n * (1.0 - E2) * sin_lat - self.meridian_place[1];
        let shrink = parallel - self.meridian_place[0];
        // 2 (1 − cos Δλ)
        let turn = e2 * (1.0 - e2 * (1.0 / 12.0 - e2 / 360.0));
        let chord2 = shrink * shrink + rise * rise + parallel * self.meridian_place[0] * turn;
        bend(chord2, self.radii, north * self.radii[0], east * parallel)
    }

    fn far_m(&self, to: Coord<f64>) -> f64 {
        let [x, y, z] = earth_centred(to);
        let own = self.xyz.get_or_init(|| earth_centred(self.at));
        let [dx, dy, dz] = [x - own[0], y - own[1], z - own[2]];
        arc_m(dx * dx + dy * dy + dz * dz, self.at, to)
    }

    /// A box (degrees) around everything within `radius_m`; all longitudes where a pole or the date line is near.
    pub fn around(&self, radius_m: f64) -> BBox {
        let north_south = (radius_m / R_MIN_M).to_degrees();
        let (south, north) = (self.at.y - north_south, self.at.y + north_south);
        // A path that stays below this latitude gains no more longitude than along its parallel.
        let cos_far = (self.at.y.abs() + north_south).min(90.0).to_radians().cos();
        let east_west = (radius_m / (A_M * cos_far.max(1e-9))).to_degrees();
        let (west, east) = (self.at.x - east_west, self.at.x + east_west);
        if west >= -180.0 && east <= 180.0 {
            BBox { west, south, east, north }
        } else {
            BBox { west: -180.0, south, east: 180.0, north }
        }
    }

    /// The plane for quick looks at an index with these bounds; `None` near the poles and the date line, or where the
    /// other end of the index is half the world away.
    pub fn flat(&self, bounds: GridBox) -> Option<Flat> {
        let [x, y] = [to_grid(self.at.x), to_grid(self.at.y)];
        let fits = |a: i32, b: i32| a.checked_sub(b).is_some();
        let near = fits(bounds[0], x) && fits(bounds[2], x) && fits(bounds[1], y) && fits(bounds[3], y);
        if !near || self.at.x.abs() > 178.0 || self.at.y.abs() > 60.0 {
            return None;
        }
        let step = (1.0 / PER_DEGREE).to_radians();
        let [east, north, tan] = [self.parallel[0] * step, self.meridian[0] * step, self.sin_lat / self.cos_lat];
        #[allow(clippy::cast_possible_truncation)]
        Some(Flat { x, y, east: east as f32, north: north as f32, tan: tan.abs() as f32 })
    }

    /// A local plane in metres; only used to pick the nearest place on a line, whose distance is then taken properly.
    fn local(&self, c: Coord<f64>) -> [f64; 2] {
        let east = wrap(c.x - self.at.x).to_radians();
        let north = (c.y - self.at.y).to_radians();
        let x = east * (self.parallel[0] + north * (self.parallel[1] + north * self.parallel[2]));
        let y = north * (self.meridian[0] + north * self.meridian[1]) + east * east * self.sag_m;
        [x, y]
    }

    /// Finds the place on a line (straight in degrees between vertices) that is nearest in the local plane.
    fn nearest_on(&self, line: &[Coord<f64>], best: &mut Nearest) {
        let Some(first) = line.first() else { return };
        let mut from = (*first, self.local(*first));
        best.offer(from.1[0].powi(2) + from.1[1].powi(2), [*first, *first], 0.0);
        for &c in &line[1..] {
            let to = (c, self.local(c));
            let [dx, dy] = [to.1[0] - from.1[0], to.1[1] - from.1[1]];
            let length2 = dx * dx + dy * dy;
            let along = -(from.1[0] * dx + from.1[1] * dy);
            let t = if length2 > 0.0 { (along / length2).clamp(0.0, 1.0) } else { 0.0 };
            let [x, y] = [from.1[0] + t * dx, from.1[1] + t * dy];
            best.offer(x * x + y * y, [from.0, c], t);
            from = to;
        }
    }

    /// The true distance to what the plane found. A line straight in degrees bends in the plane, so the place on a long
    /// segment is sought once more, by parabolas through true distances.
    fn settle(&self, best: &Nearest) -> f64 {
        let [a, b] = best.segment;
        let (dx, dy) = (wrap(b.x - a.x), b.y - a.y);
        let at = |t: f64| self.distance_m(Coord { x: a.x + t * dx, y: a.y + t * dy });
        let mut t = best.t;
        let mut least = at(t);
        // 0.01° is about a kilometre, over which the bend is a millimetre.
        if dx.abs().max(dy.abs()) > 0.01 {
            let mut h = 0.05;
            for _ in 0..4 {
                let (t0, t2) = ((t - h).max(0.0), (t + h).min(1.0));
                let t1 = t0.midpoint(t2);
                let [f0, f1, f2] = [t0, t1, t2].map(|t| at(t).powi(2));
                let bend = f0 - 2.0 * f1 + f2;
                let step = if bend > 0.0 { (t2 - t0) / 4.0 * (f0 - f2) / bend } else { 0.0 };
                let next = (t1 + step).clamp(t0, t2);
                let distance = at(next);
                if distance < least {
                    (t, least) = (next, distance);
                }
                h /= 8.0;
            }
        }
        least
    }

    /// Distance to the nearest place of a geometry; 0 inside polygons; infinite for an empty one.
    ///
    /// Which segment is nearest is decided in a local plane, good to 1e-6 within 20 km; the distance to it is true.
    pub fn geometry_distance_m(&self, geometries: &Geometries, ordinal: u32) -> f64 {
        if let Some(c) = geometries.single(ordinal) {
            return self.distance_m(c);
        }
        let mut best = Nearest { d2: f64::INFINITY, segment: [self.at; 2], t: 0.0 };
        let mut inside = false;
        geometries.pieces(ordinal, &mut |piece| match piece {
            _ if inside => {}
            Piece::Point(c) => self.nearest_on(&[c], &mut best),
            Piece::Line(line) => self.nearest_on(line, &mut best),
            Piece::Polygon(rings) => {
                inside = within_rings(rings.iter(), self.at);
                if !inside {
                    rings.iter().for_each(|ring| self.nearest_on(ring, &mut best));
                }
            }
        });
        if inside {
            0.0
        } else if best.d2.is_finite() {
            self.settle(&best)
        } else {
            f64::INFINITY
        }
    }
}

/// Greatest over least radius of curvature, squared: what separates the two bounds of a distance on the scale of
/// [`haversine_of`]. A geodesic is never longer than the greatest radius times the sphere's angle.
pub(crate) const SPREAD: f64 = 1.0 / ((1.0 - E2) * (1.0 - E2) * (1.0 - E2));

/// sin²(d / 2R) for the least radius: the scale on which bounds and distances compare in the walk.
pub(crate) fn haversine_of(distance_m: f64) -> f64 {
    (distance_m / (2.0 * R_MIN_M)).clamp(0.0, std::f64::consts::FRAC_PI_2).sin().powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo_types::{line_string, polygon};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chord_agrees_with_karney_to_a_tenth_of_a_millimetre(x in -180.0..180.0_f64, y in -89.0..89.0_f64, dx in -0.6..0.6_f64, dy in -0.6..0.6_f64, scale in prop_oneof![Just(1.0), Just(0.4), Just(1e-3)]) {
            let (dx, dy) = (dx * scale, dy * scale);
            let (a, b) = (Coord { x, y }, Coord { x: x + dx, y: (y + dy).clamp(-90.0, 90.0) });
            let (ours, karney) = (Origin::new(a).distance_m(b), geodesy::distance_m(a, b));
            prop_assert!((ours - karney).abs() < 1e-4, "{ours} {karney}");
        }

        #[test]
        fn the_flat_distance_is_off_by_less_than_it_says(x in -177.0..177.0_f64, y in -60.0..60.0_f64, turn in 0.0..6.3_f64, size in prop_oneof![Just(1e-6), Just(1e-3), Just(0.01), Just(0.1), Just(0.4)]) {
            let a = Coord { x, y };
            let b = Coord { x: x + size * turn.cos() / y.to_radians().cos(), y: y + size * turn.sin() };
            let flat = Origin::new(a).flat([to_grid(b.x), to_grid(b.y), to_grid(b.x), to_grid(b.y)]).unwrap();
            let (dx, dy) = ((to_grid(b.x) - flat.x) as f32 * flat.east, (to_grid(b.y) - flat.y) as f32 * flat.north);
            let (d, truth) = ((dx * dx + dy * dy).sqrt(), geodesy::distance_m(a, b));
            prop_assert!((f64::from(d) - truth).abs() < f64::from(flat.slack(d)) / 1.5, "{d} {truth} {}", flat.slack(d));
        }

        #[test]
        fn sphere_of_least_curvature_never_overestimates(x in -180.0..180.0_f64, y in -90.0..90.0_f64, u in -180.0..180.0_f64, v in -90.0..90.0_f64) {
            let hav = ((v - y).to_radians() / 2.0).sin().powi(2)
                + y.to_radians().cos() * v.to_radians().cos() * ((u - x).to_radians() / 2.0).sin().powi(2);
            let distance = geodesy::distance_m(Coord { x, y }, Coord { x: u, y: v });
            prop_assert!(hav <= haversine_of(distance) + 1e-12);
        }

        #[test]
        fn distance_to_a_line_is_the_least_along_it(x in 105.5..106.9_f64, y in 10.3..11.8_f64, a in -0.1..0.1_f64, b in -0.1..0.1_f64, c in -0.1..0.1_f64, d in -0.1..0.1_f64) {
            let at = Coord { x, y };
            let line = line_string![(x: x + a, y: y + b), (x: x + c, y: y + d)];
            let least = (0..=2_000).map(|i| {
                let t = f64::from(i) / 2_000.0;
                geodesy::distance_m(at, Coord { x: x + a + t * (c - a), y: y + b + t * (d - b) })
            }).fold(f64::INFINITY, f64::min);
            let ours = Origin::new(at).geometry_distance_m(&Geometries::of(&line.into()), 0);
            // The scan steps up to 16 m, so it can be up to 8 m late along the line.
            prop_assert!(ours <= least * (1.0 + 1e-6) + 1e-4 && ours >= least - 8.0 * 8.0 / least.max(8.0) - 1e-3, "{ours} {least}");
        }
    }

    #[test]
    fn inside_a_polygon_is_no_distance_and_a_hole_is_outside() {
        let p = polygon!(
            exterior: [(x: 106.0, y: 11.0), (x: 106.2, y: 11.0), (x: 106.2, y: 11.2), (x: 106.0, y: 11.2)],
            interiors: [[(x: 106.05, y: 11.05), (x: 106.05, y: 11.15), (x: 106.15, y: 11.15), (x: 106.15, y: 11.05)]]
        );
        let geometry = Geometries::of(&p.into());
        assert_eq!(Origin::new(Coord { x: 106.02, y: 11.1 }).geometry_distance_m(&geometry, 0), 0.0);
        let from_hole = Origin::new(Coord { x: 106.1, y: 11.06 }).geometry_distance_m(&geometry, 0);
        assert!((from_hole - 1_106.0).abs() < 1.0, "{from_hole}");
    }
}
