//! GeoJSON out: one feature a line, coordinates to the last digit.

use geo_types::{Coord, Geometry, LineString, Polygon};
use model::{Feature, Value};
use std::io::{self, Write};

/// Writes a FeatureCollection, or (`lines`) newline-delimited features.
pub(crate) struct GeoJsonWriter<W> {
    out: W,
    lines: bool,
    first: bool,
}

impl<W: Write> GeoJsonWriter<W> {
    /// `epsg` other than 4326 adds the `crs` member of GeoJSON 2008, which GDAL and QGIS understand.
    pub(crate) fn new(mut out: W, lines: bool, name: Option<&str>, epsg: u32) -> io::Result<Self> {
        if !lines {
            out.write_all(b"{\"type\":\"FeatureCollection\",")?;
            if let Some(name) = name {
                write!(out, "\"name\":{},", serde_json::to_string(name)?)?;
            }
            if epsg != 4326 {
                write!(
                    out,
                    "\"crs\":{{\"type\":\"name\",\"properties\":{{\"name\":\"urn:ogc:def:crs:EPSG::{epsg}\"}}}},"
                )?;
            }
            out.write_all(b"\"features\":[")?;
        }
        Ok(Self { out, lines, first: true })
    }

    pub(crate) fn feature(&mut self, feature: &Feature) -> io::Result<()> {
        if !self.lines {
            self.out.write_all(if self.first { b"\n" } else { b",\n" })?;
        }
        self.first = false;
        write_feature(&mut self.out, feature)?;
        if self.lines { self.out.write_all(b"\n") } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.lines {
            self.out.write_all(b"\n]}\n")?;
        }
        Ok(self.out)
    }
}

/// Writes one Feature object without a line end.
fn write_feature(out: &mut impl Write, feature: &Feature) -> io::Result<()> {
    write!(out, "{{\"type\":\"Feature\",\"id\":{},\"properties\":{{", serde_json::to_string(&feature.id)?)?;
    for (index, (name, value)) in feature.properties.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        write!(out, "{}:", serde_json::to_string(name)?)?;
        match value {
            Value::Null => out.write_all(b"null")?,
            Value::Text(text) => serde_json::to_writer(&mut *out, text)?,
            Value::Real(number) => serde_json::to_writer(&mut *out, number)?,
            Value::Bool(_) | Value::Integer(_) => write!(out, "{value}")?,
        }
    }
    out.write_all(b"},\"geometry\":")?;
    geometry(out, &feature.geometry)?;
    out.write_all(b"}")
}

/// A geometry as GeoJSON, for documents that are built in memory.
pub fn geometry_json(shape: &Geometry<f64>) -> serde_json::Value {
    let mut bytes = Vec::new();
    // Writing to memory does not fail, and what was written reads.
    geometry(&mut bytes, shape).ok().and_then(|()| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// A feature as GeoJSON text, coordinates to the last digit.
pub fn feature_text(feature: &Feature) -> String {
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = write_feature(&mut out, feature);
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends a geometry as GeoJSON text, coordinates to the last digit.
pub fn write_geometry(out: &mut Vec<u8>, shape: &Geometry<f64>) {
    // Writing to memory does not fail.
    let _ = geometry(out, shape);
}

fn geometry(out: &mut impl Write, shape: &Geometry<f64>) -> io::Result<()> {
    let kind = match shape {
        Geometry::Point(_) => "Point",
        Geometry::Line(_) | Geometry::LineString(_) => "LineString",
        Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => "Polygon",
        Geometry::MultiPoint(_) => "MultiPoint",
        Geometry::MultiLineString(_) => "MultiLineString",
        Geometry::MultiPolygon(_) => "MultiPolygon",
        Geometry::GeometryCollection(c) => {
            out.write_all(b"{\"type\":\"GeometryCollection\",\"geometries\":")?;
            list(out, &c.0, geometry)?;
            return out.write_all(b"}");
        }
    };
    write!(out, "{{\"type\":\"{kind}\",\"coordinates\":")?;
    match shape {
        Geometry::Point(p) => position(out, &p.0)?,
        Geometry::Line(l) => list(out, &[l.start, l.end], position)?,
        Geometry::LineString(l) => line(out, l)?,
        Geometry::Polygon(p) => polygon(out, p)?,
        Geometry::Rect(r) => polygon(out, &r.to_polygon())?,
        Geometry::Triangle(t) => polygon(out, &t.to_polygon())?,
        Geometry::MultiPoint(m) => list(out, &m.0, |out, p| position(out, &p.0))?,
        Geometry::MultiLineString(m) => list(out, &m.0, line)?,
        Geometry::MultiPolygon(m) => list(out, &m.0, polygon)?,
        Geometry::GeometryCollection(_) => {}
    }
    out.write_all(b"}")
}

fn list<W: Write, T>(out: &mut W, items: &[T], item: impl Fn(&mut W, &T) -> io::Result<()>) -> io::Result<()> {
    out.write_all(b"[")?;
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        item(out, value)?;
    }
    out.write_all(b"]")
}

fn position(out: &mut impl Write, c: &Coord<f64>) -> io::Result<()> {
    write!(out, "[{},{}]", c.x, c.y)
}

fn line(out: &mut impl Write, line: &LineString<f64>) -> io::Result<()> {
    list(out, &line.0, |out, c| position(out, c))
}

fn polygon(out: &mut impl Write, p: &Polygon<f64>) -> io::Result<()> {
    let rings: Vec<&LineString<f64>> = std::iter::once(p.exterior()).chain(p.interiors()).collect();
    list(out, &rings, |out, ring| line(out, ring))
}
