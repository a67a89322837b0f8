//! KML out: a placemark for each feature, its attributes typed by a schema.

use geo_types::{Coord, Geometry, LineString, Polygon};
use model::{Feature, Field, FieldType, Value};
use std::borrow::Cow;
use std::io::{self, Write};

/// Writes one document. Its coordinates are WGS84, as KML allows no other.
pub(crate) struct KmlWriter<W> {
    out: W,
}

impl<W: Write> KmlWriter<W> {
    pub(crate) fn new(mut out: W, fields: &[Field], name: Option<&str>) -> io::Result<Self> {
        out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<kml xmlns=\"http://www.opengis.net/kml/2.2\"><Document id=\"document\">\n")?;
        if let Some(name) = name {
            writeln!(out, "<name>{}</name>", text(name))?;
        }
        out.write_all(b"<Schema id=\"fields\" name=\"fields\">")?;
        for field in fields.iter().filter(|field| field.name != "name") {
            let kind = match field.field_type {
                FieldType::Integer => "int",
                FieldType::Real => "double",
                FieldType::Boolean => "bool",
                _ => "string",
            };
            write!(out, "<SimpleField name=\"{}\" type=\"{kind}\"/>", text(&field.name))?;
        }
        out.write_all(b"</Schema>\n")?;
        Ok(Self { out })
    }

    pub(crate) fn feature(&mut self, feature: &Feature) -> io::Result<()> {
        let out = &mut self.out;
        write!(out, "<Placemark id=\"{}\">", text(&feature.id))?;
        if let Some(name) = feature.text("name") {
            write!(out, "<name>{}</name>", text(name))?;
        }
        out.write_all(b"<ExtendedData><SchemaData schemaUrl=\"#fields\">")?;
        for (name, value) in feature.properties.iter() {
            let is_name = name == "name" && matches!(value, Value::Text(_));
            if !value.is_null() && !is_name {
                write!(out, "<SimpleData name=\"{}\">{}</SimpleData>", text(name), text(&value.to_string()))?;
            }
        }
        out.write_all(b"</SchemaData></ExtendedData>")?;
        geometry(out, &feature.geometry)?;
        out.write_all(b"</Placemark>\n")
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(b"</Document></kml>\n")?;
        Ok(self.out)
    }
}

/// Escaped, and without the control characters that XML 1.0 has no way to write.
fn text(raw: &str) -> Cow<'_, str> {
    let allowed = |c: char| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\t' | '\n' | '\r');
    if raw.chars().all(allowed) {
        return quick_xml::escape::escape(raw);
    }
    let kept: String = raw.chars().filter(|c| allowed(*c)).collect();
    Cow::Owned(quick_xml::escape::escape(kept.as_str()).into_owned())
}

fn geometry(out: &mut impl Write, shape: &Geometry<f64>) -> io::Result<()> {
    match shape {
        Geometry::Point(p) => point(out, p.0),
        Geometry::Line(l) => line(out, "LineString", &[l.start, l.end]),
        Geometry::LineString(l) => line(out, "LineString", &l.0),
        Geometry::Polygon(p) => polygon(out, p),
        Geometry::Rect(r) => polygon(out, &r.to_polygon()),
        Geometry::Triangle(t) => polygon(out, &t.to_polygon()),
        Geometry::MultiPoint(m) => multi(out, &m.0, |out, p| point(out, p.0)),
        Geometry::MultiLineString(m) => multi(out, &m.0, |out, l| line(out, "LineString", &l.0)),
        Geometry::MultiPolygon(m) => multi(out, &m.0, polygon),
        Geometry::GeometryCollection(c) => multi(out, &c.0, geometry),
    }
}

fn multi<W: Write, T>(out: &mut W, parts: &[T], part: impl Fn(&mut W, &T) -> io::Result<()>) -> io::Result<()> {
    out.write_all(b"<MultiGeometry>")?;
    parts.iter().try_for_each(|one| part(out, one))?;
    out.write_all(b"</MultiGeometry>")
}

fn point(out: &mut impl Write, c: Coord<f64>) -> io::Result<()> {
    write!(out, "<Point><coordinates>{},{}</coordinates></Point>", c.x, c.y)
}

fn line(out: &mut impl Write, tag: &str, coords: &[Coord<f64>]) -> io::Result<()> {
    write!(out, "<{tag}><coordinates>")?;
    for (at, c) in coords.iter().enumerate() {
        write!(out, "{}{},{}", if at > 0 { " " } else { "" }, c.x, c.y)?;
    }
    write!(out, "</coordinates></{tag}>")
}

fn polygon(out: &mut impl Write, p: &Polygon<f64>) -> io::Result<()> {
    out.write_all(b"<Polygon>")?;
    ring(out, "outerBoundaryIs", p.exterior())?;
    p.interiors().iter().try_for_each(|hole| ring(out, "innerBoundaryIs", hole))?;
    out.write_all(b"</Polygon>")
}

fn ring(out: &mut impl Write, tag: &str, ring: &LineString<f64>) -> io::Result<()> {
    write!(out, "<{tag}>")?;
    line(out, "LinearRing", &ring.0)?;
    write!(out, "</{tag}>")
}
