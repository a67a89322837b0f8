//! A plane about one place: the azimuthal equidistant projection on WGS84.

use geo_types::Coord;
use geographiclib_rs::{DirectGeodesic, Geodesic, InverseGeodesic};
use std::sync::LazyLock;

static WGS84: LazyLock<Geodesic> = LazyLock::new(Geodesic::wgs84);

/// Metres east and north of a centre. Distances and directions from there are true (Karney 2013); across the line of
/// sight lengths come out too long by (r / 6371 km)² / 6 at the distance r.
#[derive(Clone, Copy, Debug)]
pub struct LocalPlane {
    centre: Coord<f64>,
}

impl LocalPlane {
    /// The centre is given in WGS84 degrees, longitude first.
    pub fn at(centre: Coord<f64>) -> Self {
        Self { centre }
    }

    /// From WGS84 degrees to metres east (x) and north (y). NaN in, NaN out.
    pub fn metres(&self, c: Coord<f64>) -> Coord<f64> {
        let (s12_m, azimuth, _, _): (f64, f64, f64, f64) = WGS84.inverse(self.centre.y, self.centre.x, c.y, c.x);
        let (sin, cos) = azimuth.to_radians().sin_cos();
        Coord { x: s12_m * sin, y: s12_m * cos }
    }

    /// From metres to WGS84 degrees, the longitude on the centre's side of the date line.
    pub fn degrees(&self, m: Coord<f64>) -> Coord<f64> {
        let azimuth = m.x.atan2(m.y).to_degrees();
        let (lat, lon): (f64, f64) = WGS84.direct(self.centre.y, self.centre.x, azimuth, m.x.hypot(m.y));
        let turns = ((self.centre.x - lon) / 360.0).round();
        Coord { x: lon + 360.0 * turns, y: lat }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same_place() {
        let plane = LocalPlane::at(Coord { x: 106.2, y: 11.1 });
        for (dx, dy) in [(0.0, 0.0), (0.4, 0.3), (-0.7, 0.01), (0.001, -0.002)] {
            let c = Coord { x: 106.2 + dx, y: 11.1 + dy };
            let back = plane.degrees(plane.metres(c));
            assert!((back.x - c.x).abs() < 1e-12 && (back.y - c.y).abs() < 1e-12, "{c:?} {back:?}");
        }
    }

    #[test]
    fn distances_from_the_centre_are_true() {
        let centre = Coord { x: 106.2, y: 11.1 };
        let c = Coord { x: 106.9, y: 10.4 };
        let m = LocalPlane::at(centre).metres(c);
        assert!((m.x.hypot(m.y) - crate::distance_m(centre, c)).abs() < 1e-6);
        assert!(m.x > 0.0 && m.y < 0.0);
    }

    #[test]
    fn no_panic_on_what_is_no_place() {
        let plane = LocalPlane::at(Coord { x: f64::NAN, y: 1e300 });
        assert!(plane.metres(Coord { x: 0.0, y: 0.0 }).x.is_nan());
        let _ = plane.degrees(Coord { x: f64::INFINITY, y: 0.0 });
    }
}
