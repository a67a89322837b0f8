//! Lengths and areas on the WGS84 ellipsoid (Karney 2013, through geographiclib-rs): 15 nm per distance.

use geo_types::{Coord, Geometry, LineString, Polygon};
use geographiclib_rs::{Geodesic, InverseGeodesic, PolygonArea, Winding};
use std::sync::LazyLock;

static WGS84: LazyLock<Geodesic> = LazyLock::new(Geodesic::wgs84);

/// The shortest way over the ellipsoid between two places (lon, lat in degrees), in metres.
///
/// NaN in, NaN out.
pub fn distance_m(a: Coord<f64>, b: Coord<f64>) -> f64 {
    WGS84.inverse(a.y, a.x, b.y, b.x)
}

/// The area of polygons with geodesic edges, holes taken off, in m². Points and lines have none.
///
/// The winding does not matter. Parts of a multi-polygon or collection are added up, overlapping or not.
pub fn area_m2(geometry: &Geometry<f64>) -> f64 {
    match geometry {
        Geometry::Polygon(p) => polygon_area_m2(p),
        Geometry::MultiPolygon(m) => m.0.iter().map(polygon_area_m2).sum(),
        Geometry::Rect(r) => polygon_area_m2(&r.to_polygon()),
        Geometry::Triangle(t) => polygon_area_m2(&t.to_polygon()),
        Geometry::GeometryCollection(c) => c.0.iter().map(area_m2).sum(),
        Geometry::Point(_)
        | Geometry::MultiPoint(_)
        | Geometry::Line(_)
        | Geometry::LineString(_)
        | Geometry::MultiLineString(_) => 0.0,
    }
}

/// The length of lines and the boundary of polygons (holes included), in metres. Points have none.
pub fn length_m(geometry: &Geometry<f64>) -> f64 {
    match geometry {
        Geometry::Point(_) | Geometry::MultiPoint(_) => 0.0,
        Geometry::Line(l) => distance_m(l.start, l.end),
        Geometry::LineString(l) => line_length_m(l),
        Geometry::MultiLineString(m) => m.0.iter().map(line_length_m).sum(),
        Geometry::Polygon(p) => boundary_m(p),
        Geometry::MultiPolygon(m) => m.0.iter().map(boundary_m).sum(),
        Geometry::Rect(r) => boundary_m(&r.to_polygon()),
        Geometry::Triangle(t) => boundary_m(&t.to_polygon()),
        Geometry::GeometryCollection(c) => c.0.iter().map(length_m).sum(),
    }
}

fn line_length_m(line: &LineString<f64>) -> f64 {
    line.0.windows(2).map(|pair| distance_m(pair[0], pair[1])).sum()
}

fn boundary_m(polygon: &Polygon<f64>) -> f64 {
    line_length_m(polygon.exterior()) + polygon.interiors().iter().map(line_length_m).sum::<f64>()
}

fn polygon_area_m2(polygon: &Polygon<f64>) -> f64 {
    let holes: f64 = polygon.interiors().iter().map(ring_area_m2).sum();
    (ring_area_m2(polygon.exterior()) - holes).max(0.0)
}

fn ring_area_m2(ring: &LineString<f64>) -> f64 {
    // The closing point stands twice in a ring; the sum closes it by itself.
    let Some((_, open)) = ring.0.split_last().filter(|(_, open)| open.len() >= 3) else { return 0.0 };
    let mut sum = PolygonArea::new(&WGS84, Winding::CounterClockwise);
    for c in open {
        sum.add_point(c.y, c.x);
    }
    let (_, area_m2, _) = sum.compute(true);
    area_m2.abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo_types::{MultiPolygon, Point, polygon};

    fn at(x: f64, y: f64) -> Coord<f64> {
        Coord { x, y }
    }

    #[test]
    fn distances_match_geodsolve() {
        // GeographicLib's own worked example: JFK to LHR.
        let jfk_lhr_m = distance_m(at(-73.8, 40.6), at(-0.5, 51.6));
        assert!((jfk_lhr_m - 5_551_759.400).abs() < 0.001, "{jfk_lhr_m}");
        // One degree along the equator is a / 360 of its circumference.
        let degree_m = distance_m(at(105.0, 0.0), at(106.0, 0.0));
        assert!((degree_m - 6_378_137.0_f64.to_radians()).abs() < 1e-6);
        assert_eq!(distance_m(at(106.0, 11.0), at(106.0, 11.0)), 0.0);
    }

    #[test]
    fn area_ignores_winding_and_takes_holes_off() {
        let outer = polygon!((x: 106.0, y: 11.0), (x: 106.2, y: 11.0), (x: 106.2, y: 11.2), (x: 106.0, y: 11.2));
        let hole = polygon!((x: 106.05, y: 11.05), (x: 106.1, y: 11.05), (x: 106.1, y: 11.1), (x: 106.05, y: 11.1));
        let mut backwards = outer.exterior().clone();
        backwards.0.reverse();
        let full = area_m2(&outer.clone().into());
        assert!((area_m2(&Polygon::new(backwards, vec![]).into()) - full).abs() < 1e-3);
        let holed = Polygon::new(outer.exterior().clone(), vec![hole.exterior().clone()]);
        let rest = full - area_m2(&hole.clone().into());
        assert!((area_m2(&holed.into()) - rest).abs() < 1e-3);
        let both = MultiPolygon(vec![outer, hole]);
        assert!(area_m2(&both.into()) > full);
    }

    #[test]
    fn one_hectare_on_the_grid_is_one_hectare_on_the_ellipsoid() {
        let grid = crate::Vn2000::DEG_105_30;
        let (east_m, north_m) = (568_000.0, 1_250_000.0);
        let ring = [(0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0), (0.0, 0.0)].map(|(dx, dy)| {
            crate::vn2000_to_wgs84(crate::GridCoord { east_m: east_m + dx, north_m: north_m + dy }, &grid).unwrap()
        });
        let area = area_m2(&Polygon::new(LineString(ring.to_vec()), vec![]).into());
        // Scale at 68 km from the meridian: k ≈ 0.9999 (1 + 68²/2·6378²), squared for areas.
        let k = 0.9999 * (1.0 + 68.0_f64.powi(2) / (2.0 * 6_378.0_f64.powi(2)));
        assert!((area * k * k - 10_000.0).abs() < 0.1, "{area}");
    }

    #[test]
    fn odd_shapes_have_no_size_and_no_panic() {
        assert_eq!(area_m2(&Point::new(1.0, 1.0).into()), 0.0);
        assert_eq!(length_m(&Point::new(1.0, 1.0).into()), 0.0);
        assert_eq!(area_m2(&Polygon::new(LineString(vec![]), vec![]).into()), 0.0);
        assert!(distance_m(at(f64::NAN, 0.0), at(1.0, 1.0)).is_nan());
        let _ = distance_m(at(f64::INFINITY, 1e300), at(-1e300, f64::NEG_INFINITY));
    }
}
