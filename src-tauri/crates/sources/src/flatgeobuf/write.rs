//! FlatGeobuf out, with its index. The features wait in a file of their own until all boxes are known; memory holds some
//! 60 bytes a feature.

use super::builder::{Builder, Slot};
use super::tree::{self, Leaf, NODE_SIZE};
use crate::out::Temporary;
use geo_types::{Coord, Geometry, LineString, Polygon};
use model::{BBox, Feature, Field, FieldType, Value, geometry_bbox};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"fgb\x03fgb\0";
/// The longest feature that is written; far below what a buffer can hold.
const MAX_FEATURE_BYTES: usize = 1 << 30;

/// What the values of a column turned out to be.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool = 2,
    Integer = 7,
    Real = 10,
    Text = 11,
    Date = 13,
}

struct Column {
    name: String,
    /// As the schema says, until a value does not fit.
    kind: Option<Kind>,
}

/// A feature in the waiting file: its buffer, then its values.
struct Waiting {
    bbox: BBox,
    at: u64,
    shape_bytes: u32,
    value_bytes: u32,
    /// Where the way to the values is to be put.
    offset_at: u32,
}

pub(crate) struct FgbWriter<W: Write> {
    out: W,
    name: Option<String>,
    epsg: u32,
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    /// Of the shapes so far: one number, or 0 for several.
    geometry: Option<u8>,
    extent: BBox,
    waiting: Vec<Waiting>,
    _scratch: Temporary,
    features: BufWriter<File>,
    bytes: u64,
}

impl<W: Write> FgbWriter<W> {
    /// `path` is where the file will lie; the waiting features lie beside it.
    pub(crate) fn new(out: W, path: &Path, fields: &[Field], name: Option<&str>, epsg: u32) -> io::Result<Self> {
        let (scratch, file) = Temporary::waiting(path)?;
        let mut writer = Self {
            out,
            name: name.map(str::to_owned),
            epsg,
            columns: Vec::new(),
            by_name: HashMap::new(),
            geometry: None,
            extent: BBox::EMPTY,
            waiting: Vec::new(),
            _scratch: scratch,
            features: BufWriter::with_capacity(256 << 10, file),
            bytes: 0,
        };
        writer.column("id");
        writer.columns[0].kind = Some(Kind::Text);
        for field in fields.iter().filter(|field| field.name != "id") {
            let at = writer.column(&field.name);
            writer.columns[at].kind = Some(match field.field_type {
                FieldType::Text => Kind::Text,
                FieldType::Integer => Kind::Integer,
                FieldType::Real => Kind::Real,
                FieldType::Boolean => Kind::Bool,
                FieldType::Date => Kind::Date,
            });
        }
        Ok(writer)
    }

    fn column(&mut self, name: &str) -> usize {
        if let Some(at) = self.by_name.get(name) {
            return *at;
        }
        self.by_name.insert(name.to_owned(), self.columns.len());
        self.columns.push(Column { name: name.to_owned(), kind: None });
        self.columns.len() - 1
    }

    /// # Errors
    /// I/O; `InvalidInput` for a feature that no file of this kind can hold.
    pub(crate) fn feature(&mut self, feature: &Feature) -> io::Result<()> {
        let too_large = || io::Error::new(io::ErrorKind::InvalidInput, "a feature has more than a gigabyte");
        let mut values = Vec::new();
        self.value(&mut values, 0, &Value::Text(feature.id.clone()));
        for (name, value) in feature.properties.iter().filter(|(name, _)| *name != "id") {
            if *value != Value::Null {
                let at = self.column(name);
                self.value(&mut values, at, value);
            }
        }
        if self.columns.len() > usize::from(u16::MAX) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there are more columns than a table can have"));
        }
        let bbox = geometry_bbox(&feature.geometry);
        if !bbox.is_empty() {
            self.extent.add(bbox.west, bbox.south);
            self.extent.add(bbox.east, bbox.north);
        }
        let kind = kind_of(&feature.geometry);
        self.geometry = Some(self.geometry.map_or(kind, |known| if known == kind { kind } else { 0 }));
        let mut buffer = Builder::new();
        let (root, offsets) = buffer.table(&[(0, Slot::Offset), (1, Slot::Offset)]);
        let shape = shape(&mut buffer, &feature.geometry);
        buffer.lead(offsets[0], shape);
        let buffer = buffer.finish(root);
        if buffer.len() + values.len() > MAX_FEATURE_BYTES {
            return Err(too_large());
        }
        let short = |len: usize| u32::try_from(len).map_err(|_| too_large());
        self.waiting.push(Waiting {
            bbox,
            at: self.bytes,
            shape_bytes: short(buffer.len())?,
            value_bytes: short(values.len())?,
            offset_at: short(offsets[1])?,
        });
        self.features.write_all(&buffer)?;
        self.features.write_all(&values)?;
        self.bytes += (buffer.len() + values.len()) as u64;
        Ok(())
    }

    /// Puts a value down as it is, and widens its column where it does not fit.
    fn value(&mut self, into: &mut Vec<u8>, at: usize, value: &Value) {
        let (kind, bytes) = match value {
            Value::Null => return,
            Value::Bool(yes) => (Kind::Bool, vec![u8::from(*yes)]),
            Value::Integer(number) => (Kind::Integer, number.to_le_bytes().to_vec()),
            Value::Real(number) => (Kind::Real, number.to_le_bytes().to_vec()),
            Value::Text(text) => {
                let len = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
                (if is_date(text) { Kind::Date } else { Kind::Text }, [&len[..], text.as_bytes()].concat())
            }
        };
        let column = &mut self.columns[at];
        column.kind = Some(column.kind.map_or(kind, |known| wider(known, kind)));
        into.extend(u16::try_from(at).unwrap_or(u16::MAX).to_le_bytes());
        into.push(kind as u8);
        into.extend(bytes);
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        let extent = self.extent;
        // What is alike keeps its order.
        self.waiting.sort_by_key(|one| tree::curve(&one.bbox, &extent));
        let mut file = self.features.into_inner().map_err(io::IntoInnerError::into_error)?;
        let kinds: Vec<Kind> = self.columns.iter().map(|column| column.kind.unwrap_or(Kind::Text)).collect();
        self.out.write_all(MAGIC)?;
        let count = self.waiting.len() as u64;
        let header = header(&self.columns, &kinds, self.name.as_deref(), self.epsg, self.geometry, extent, count);
        self.out.write_all(&header)?;
        // Twice over the features: their lengths make the index, which stands before them.
        let mut leaves = Vec::with_capacity(self.waiting.len());
        let mut offset = 0;
        for one in &self.waiting {
            leaves.push(Leaf { bbox: one.bbox, offset });
            offset += settled(&mut file, one, &kinds)?.len() as u64;
        }
        tree::write(&mut self.out, &leaves)?;
        drop(leaves);
        for one in &self.waiting {
            self.out.write_all(&settled(&mut file, one, &kinds)?)?;
        }
        Ok(self.out)
    }
}

/// A feature from the waiting file, its values in the form of their columns.
fn settled(file: &mut File, one: &Waiting, kinds: &[Kind]) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(one.at))?;
    let mut buffer = vec![0; one.shape_bytes as usize];
    file.read_exact(&mut buffer)?;
    let mut values = vec![0; one.value_bytes as usize];
    file.read_exact(&mut values)?;
    let values = retyped(&values, kinds).ok_or(io::ErrorKind::UnexpectedEof)?;
    let place = buffer.len();
    let way = u32::try_from(place - one.offset_at as usize).unwrap_or(u32::MAX);
    buffer[one.offset_at as usize..][..4].copy_from_slice(&way.to_le_bytes());
    buffer.extend(u32::try_from(values.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend(values);
    while !buffer.len().is_multiple_of(8) {
        buffer.push(0);
    }
    let len = u32::try_from(buffer.len() - 4).unwrap_or(u32::MAX);
    buffer[..4].copy_from_slice(&len.to_le_bytes());
    Ok(buffer)
}

/// The values in the form that the header promises for their columns.
fn retyped(mut values: &[u8], kinds: &[Kind]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(values.len());
    while !values.is_empty() {
        let at = super::take::<2>(&mut values)?;
        let [kind] = super::take::<1>(&mut values)?;
        out.extend(at);
        let wanted = *kinds.get(usize::from(u16::from_le_bytes(at)))?;
        let text = match kind {
            2 => {
                let [yes] = super::take::<1>(&mut values)?;
                if wanted == Kind::Bool {
                    out.push(yes);
                    continue;
                }
                Value::Bool(yes == 1).to_string().into_bytes()
            }
            7 => {
                let number = i64::from_le_bytes(super::take(&mut values)?);
                #[allow(clippy::cast_precision_loss)]
                match wanted {
                    Kind::Integer => {
                        out.extend(number.to_le_bytes());
                        continue;
                    }
                    Kind::Real => {
                        out.extend((number as f64).to_le_bytes());
                        continue;
                    }
                    _ => number.to_string().into_bytes(),
                }
            }
            10 => {
                let number = f64::from_le_bytes(super::take(&mut values)?);
                if wanted == Kind::Real {
                    out.extend(number.to_le_bytes());
                    continue;
                }
                Value::Real(number).to_string().into_bytes()
            }
            _ => {
                let len = usize::try_from(u32::from_le_bytes(super::take(&mut values)?)).ok()?;
                let (text, rest) = values.split_at_checked(len)?;
                values = rest;
                text.to_vec()
            }
        };
        out.extend(u32::try_from(text.len()).ok()?.to_le_bytes());
        out.extend(text);
    }
    Some(out)
}

/// The narrowest column that holds both.
fn wider(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        _ if a == b => a,
        (Kind::Integer, Kind::Real) | (Kind::Real, Kind::Integer) => Kind::Real,
        _ => Kind::Text,
    }
}

/// Only what every reader takes for a date.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.as_bytes()[4] == b'-' && text.parse::<jiff::civil::Date>().is_ok()
}

fn header(
    columns: &[Column],
    kinds: &[Kind],
    name: Option<&str>,
    epsg: u32,
    geometry: Option<u8>,
    extent: BBox,
    count: u64,
) -> Vec<u8> {
    let mut buffer = Builder::new();
    let extent: Vec<u8> = match extent.is_empty() {
        true => Vec::new(),
        false => [extent.west, extent.south, extent.east, extent.north].iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    let node_size = if count == 0 { 0 } else { NODE_SIZE };
    let (root, offsets) = buffer.table(&[
        (0, Slot::Offset),
        (1, Slot::Offset),
        (2, Slot::byte(geometry.unwrap_or(0))),
        (7, Slot::Offset),
        (8, Slot::Bytes(count.to_le_bytes().to_vec())),
        (9, Slot::Bytes(node_size.to_le_bytes().to_vec())),
        (10, Slot::Offset),
    ]);
    let at = buffer.text(name.unwrap_or_default());
    buffer.lead(offsets[0], at);
    let at = buffer.vector(8, &extent);
    buffer.lead(offsets[1], at);
    let (all, places) = buffer.offsets(columns.len());
    buffer.lead(offsets[2], all);
    for ((column, kind), place) in columns.iter().zip(kinds).zip(places) {
        let (table, offsets) = buffer.table(&[(0, Slot::Offset), (1, Slot::byte(*kind as u8))]);
        buffer.lead(place, table);
        let at = buffer.text(&column.name);
        buffer.lead(offsets[0], at);
    }
    let code = i32::try_from(epsg).unwrap_or(0).to_le_bytes().to_vec();
    let (table, places) = buffer.table(&[(0, Slot::Offset), (1, Slot::Bytes(code))]);
    buffer.lead(offsets[3], table);
    let at = buffer.text("EPSG");
    buffer.lead(places[0], at);
    buffer.finish(root)
}

fn kind_of(geometry: &Geometry<f64>) -> u8 {
    match geometry {
        Geometry::Point(_) => 1,
        Geometry::LineString(_) | Geometry::Line(_) => 2,
        Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => 3,
        Geometry::MultiPoint(_) => 4,
        Geometry::MultiLineString(_) => 5,
        Geometry::MultiPolygon(_) => 6,
        Geometry::GeometryCollection(_) => 7,
    }
}

/// A shape's table, its vectors and parts behind it.
fn shape(buffer: &mut Builder, geometry: &Geometry<f64>) -> usize {
    match geometry {
        Geometry::Point(p) => flat(buffer, 1, &[&[p.0]]),
        Geometry::Line(l) => flat(buffer, 2, &[&[l.start, l.end]]),
        Geometry::LineString(l) => flat(buffer, 2, &[&l.0]),
        Geometry::Polygon(p) => polygon(buffer, p),
        Geometry::Rect(r) => polygon(buffer, &r.to_polygon()),
        Geometry::Triangle(t) => polygon(buffer, &t.to_polygon()),
        Geometry::MultiPoint(m) => {
            let points: Vec<Coord<f64>> = m.0.iter().map(|p| p.0).collect();
            flat(buffer, 4, &[&points])
        }
        Geometry::MultiLineString(m) => {
            let lines: Vec<&[Coord<f64>]> = m.0.iter().map(|line| line.0.as_slice()).collect();
            flat(buffer, 5, &lines)
        }
        Geometry::MultiPolygon(m) => {
            let (table, places) = parted(buffer, 6, m.0.len());
            for (part, place) in m.0.iter().zip(places) {
                let at = polygon(buffer, part);
                buffer.lead(place, at);
            }
            table
        }
        Geometry::GeometryCollection(c) => {
            let (table, places) = parted(buffer, 7, c.0.len());
            for (part, place) in c.0.iter().zip(places) {
                let at = shape(buffer, part);
                buffer.lead(place, at);
            }
            table
        }
    }
}

fn polygon(buffer: &mut Builder, polygon: &Polygon<f64>) -> usize {
    let rings: Vec<&[Coord<f64>]> = std::iter::once(polygon.exterior())
        .chain(polygon.interiors())
        .map(|ring: &LineString<f64>| ring.0.as_slice())
        .collect();
    flat(buffer, 3, &rings)
}

/// A shape of coordinates alone; where there are several lines, with the number of coordinates up to the end of each.
fn flat(buffer: &mut Builder, kind: u8, lines: &[&[Coord<f64>]]) -> usize {
    let xy: Vec<u8> = lines
        .iter()
        .flat_map(|line| line.iter())
        .flat_map(|c| [c.x.to_le_bytes(), c.y.to_le_bytes()].concat())
        .collect();
    let mut fields = vec![(1, Slot::Offset), (6, Slot::byte(kind))];
    if lines.len() > 1 {
        fields.push((0, Slot::Offset));
    }
    let (table, offsets) = buffer.table(&fields);
    let at = buffer.vector(8, &xy);
    buffer.lead(offsets[0], at);
    if let Some(place) = offsets.get(1) {
        let ends: Vec<u8> = lines
            .iter()
            .scan(0_u32, |end, line| {
                *end += u32::try_from(line.len()).unwrap_or(u32::MAX);
                Some(*end)
            })
            .flat_map(u32::to_le_bytes)
            .collect();
        let at = buffer.vector(4, &ends);
        buffer.lead(*place, at);
    }
    table
}

fn parted(buffer: &mut Builder, kind: u8, count: usize) -> (usize, Vec<usize>) {
    let (table, offsets) = buffer.table(&[(6, Slot::byte(kind)), (7, Slot::Offset)]);
    let (at, places) = buffer.offsets(count);
    buffer.lead(offsets[0], at);
    (table, places)
}
