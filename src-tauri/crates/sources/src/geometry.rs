//! Small walks over geometries that model has no need of.

use geo_types::{Coord, Geometry, LineString};

/// Changes the axes over.
pub(crate) fn swap_axes(geometry: &mut Geometry<f64>) {
    map_coords(geometry, &mut |c| Coord { x: c.y, y: c.x });
}

/// Puts `f(coordinate)` in place of every coordinate.
pub(crate) fn map_coords(geometry: &mut Geometry<f64>, f: &mut impl FnMut(Coord<f64>) -> Coord<f64>) {
    fn line(line: &mut LineString<f64>, f: &mut impl FnMut(Coord<f64>) -> Coord<f64>) {
        line.0.iter_mut().for_each(|c| *c = f(*c));
    }
    fn polygon(polygon: &mut geo_types::Polygon<f64>, f: &mut impl FnMut(Coord<f64>) -> Coord<f64>) {
        polygon.exterior_mut(|ring| line(ring, f));
        polygon.interiors_mut(|rings| rings.iter_mut().for_each(|ring| line(ring, f)));
    }
    match geometry {
        Geometry::Point(p) => p.0 = f(p.0),
        Geometry::Line(l) => {
            l.start = f(l.start);
            l.end = f(l.end);
        }
        Geometry::LineString(l) => line(l, f),
        Geometry::Polygon(p) => polygon(p, f),
        Geometry::MultiPoint(m) => m.0.iter_mut().for_each(|p| p.0 = f(p.0)),
        Geometry::MultiLineString(m) => m.0.iter_mut().for_each(|l| line(l, f)),
        Geometry::MultiPolygon(m) => m.0.iter_mut().for_each(|p| polygon(p, f)),
        Geometry::GeometryCollection(c) => c.0.iter_mut().for_each(|part| map_coords(part, f)),
        Geometry::Rect(r) => {
            *geometry = Geometry::Polygon(r.to_polygon());
            map_coords(geometry, f);
        }
        Geometry::Triangle(t) => {
            *geometry = Geometry::Polygon(t.to_polygon());
            map_coords(geometry, f);
        }
    }
}
