//! KML out: a placemark for each feature, its attributes typed by a schema.

use crate::out::{Temporary, value_text};
use geo_types::{Coord, Geometry, LineString, Polygon};
use model::{Feature, Field, FieldType, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

/// Writes one document. Its coordinates are WGS84, as KML allows no other. The placemarks wait in a file of their own until
/// the types of their attributes, which stand before them, are known.
pub(crate) struct KmlWriter<W> {
    out: W,
    name: Option<String>,
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    _scratch: Temporary,
    placemarks: BufWriter<File>,
}

struct Column {
    name: String,
    kind: FieldType,
    /// The largest whole number's distance from zero.
    widest: u64,
}

impl Column {
    /// A type of KML in which every reader finds all of the column's values. Its whole numbers have 32 bits, and what does
    /// not fit in is not read as what it was; beyond 53 bits only a text is whole.
    fn written(&self) -> &'static str {
        match self.kind {
            FieldType::Integer if self.widest <= u64::from(i32::MAX.unsigned_abs()) => "int",
            FieldType::Integer if self.widest <= 1 << 53 => "double",
            FieldType::Real => "double",
            FieldType::Boolean => "bool",
            FieldType::Integer | FieldType::Text | FieldType::Date => "string",
        }
    }
}

impl<W: Write> KmlWriter<W> {
    /// `path` is where the file will lie; the waiting placemarks lie beside it.
    pub(crate) fn new(out: W, path: &Path, fields: &[Field], name: Option<&str>) -> io::Result<Self> {
        let (scratch, file) = Temporary::waiting(path)?;
        let fields = fields.iter().filter(|field| field.name != "name");
        let columns: Vec<Column> =
            fields.map(|field| Column { name: field.name.clone(), kind: field.field_type, widest: 0 }).collect();
        Ok(Self {
            out,
            name: name.map(str::to_owned),
            by_name: columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect(),
            columns,
            _scratch: scratch,
            placemarks: BufWriter::with_capacity(256 << 10, file),
        })
    }

    pub(crate) fn feature(&mut self, feature: &Feature) -> io::Result<()> {
        let out = &mut self.placemarks;
        write!(out, "<Placemark id=\"{}\">", text(&feature.id))?;
        if let Some(name) = feature.text("name") {
            write!(out, "<name>{}</name>", text(name))?;
        }
        out.write_all(b"<ExtendedData><SchemaData schemaUrl=\"#fields\">")?;
        for (name, value) in feature.properties.iter() {
            let is_name = name == "name" && matches!(value, Value::Text(_));
            if value.is_null() || is_name {
                continue;
            }
            let column = self.by_name.get(name).and_then(|at| self.columns.get_mut(*at));
            let written = match (value, column) {
                // Other programs read `true` as zero.
                (Value::Bool(yes), Some(Column { kind: FieldType::Boolean, .. })) => u8::from(*yes).to_string(),
                (Value::Integer(number), Some(column)) => {
                    column.widest = column.widest.max(number.unsigned_abs());
                    number.to_string()
                }
                (other, _) => value_text(other),
            };
            write!(out, "<SimpleData name=\"{}\">{}</SimpleData>", text(name), text(&written))?;
        }
        out.write_all(b"</SchemaData></ExtendedData>")?;
        geometry(out, &feature.geometry)?;
        out.write_all(b"</Placemark>\n")
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        let Self { mut out, name, columns, placemarks, .. } = self;
        out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<kml xmlns=\"http://www.opengis.net/kml/2.2\"><Document id=\"document\">\n")?;
        if let Some(name) = name {
            writeln!(out, "<name>{}</name>", text(&name))?;
        }
        out.write_all(b"<Schema id=\"fields\" name=\"fields\">")?;
        for column in &columns {
            write!(out, "<SimpleField name=\"{}\" type=\"{}\"/>", text(&column.name), column.written())?;
        }
        out.write_all(b"</Schema>\n")?;
        let mut waiting = placemarks.into_inner().map_err(io::IntoInnerError::into_error)?;
        waiting.rewind()?;
        io::copy(&mut waiting, &mut out)?;
        out.write_all(b"</Document></kml>\n")?;
        Ok(out)
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
