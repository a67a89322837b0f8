//! FlatGeobuf in and out (specification 3.27): read one feature behind the other, the index skipped; written with one.
//!
//! Of our own: the crate of this name stands on geozero, which a few bytes bring to abort.

mod buffer;
mod builder;
mod tree;
mod write;

pub(crate) use write::FgbWriter;

use crate::crs;
use crate::file::{
    Continue, FileCrs, ReadError, ReadOptions, Row, Rows, Tracked, check_columns, rejection, stored, unique_fields,
};
use buffer::Table;
use geo_types::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
};
use model::{NamedRows, Rejection, Value};
use std::io::{self, BufReader, Read};
use std::path::Path;

const MAX_HEADER_BYTES: usize = 16 << 20;
const MAX_COLUMNS: usize = 2_000;
const MAX_DEPTH: u32 = 16;
/// Of a node in the index: a box and an offset.
const NODE_BYTES: u64 = 40;

/// A column as the header has it.
struct Column {
    name: String,
    kind: u8,
}

struct Header {
    kind: u8,
    columns: Vec<Column>,
    features: u64,
    index_bytes: u64,
    crs: Option<FileCrs>,
}

pub(crate) fn read(
    path: &Path,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    let corrupt = |reason: &str| ReadError::Corrupt { path: path.to_path_buf(), reason: reason.into() };
    let truncated = |last_good_row| ReadError::Truncated { path: path.to_path_buf(), last_good_row };
    let wrong = |error: io::Error| ReadError::from_io(path, &error);
    let mut file = BufReader::with_capacity(256 << 10, Tracked::open(path, progress)?);
    let mut bytes = Vec::new();
    if (&mut file).take(8).read_to_end(&mut bytes).map_err(wrong)? < 8 {
        return Err(truncated(0));
    }
    let size = sized(&mut file, &mut bytes, MAX_HEADER_BYTES).map_err(wrong)?;
    let Piece::Whole = size else {
        return Err(if matches!(size, Piece::TooLong) {
            corrupt("its header is larger than any")
        } else {
            truncated(0)
        });
    };
    let header = Header::read(&bytes).ok_or_else(|| corrupt("its header cannot be read"))?;
    if let Some(crs) = header.crs.clone() {
        rows.crs(crs);
    }
    let names: Vec<String> = header.columns.iter().map(|column| column.name.clone()).collect();
    check_columns(path, options, &names)?;
    let fields = unique_fields(&names, options);
    let skipped = io::copy(&mut (&mut file).take(header.index_bytes), &mut io::sink()).map_err(wrong)?;
    if skipped < header.index_bytes {
        return Err(truncated(0));
    }
    let mut number = 0;
    let mut binary = false;
    let mut named = NamedRows::default();
    loop {
        match sized(&mut file, &mut bytes, options.max_line_bytes).map_err(wrong)? {
            Piece::Whole => {}
            Piece::End if header.features == 0 || number >= header.features => break,
            Piece::End | Piece::Short => return Err(truncated(number)),
            Piece::TooLong => {
                let limit_bytes = options.max_line_bytes as u64;
                return Err(ReadError::LineTooLong { path: path.to_path_buf(), row: number + 1, limit_bytes });
            }
        }
        number += 1;
        match feature(number, &bytes, &header, &fields, &mut named, &mut binary) {
            Ok(row) => rows.row(row)?,
            Err(rejection) => rows.bad(rejection)?,
        }
    }
    if binary {
        rows.warn("binary_column: binary data was left out".into());
    }
    Ok(())
}

enum Piece {
    Whole,
    /// Nothing more comes.
    End,
    Short,
    TooLong,
}

/// The next piece, with its length in front.
fn sized(file: &mut impl Read, into: &mut Vec<u8>, limit: usize) -> io::Result<Piece> {
    into.clear();
    match file.by_ref().take(4).read_to_end(into)? {
        0 => return Ok(Piece::End),
        4 => {}
        _ => return Ok(Piece::Short),
    }
    let len = into.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if len as usize > limit {
        return Ok(Piece::TooLong);
    }
    into.clear();
    let read = file.by_ref().take(u64::from(len)).read_to_end(into)?;
    Ok(if read as u64 == u64::from(len) { Piece::Whole } else { Piece::Short })
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let table = Table::root(bytes)?;
        let features = table.scalar(8).map_or(0, u64::from_le_bytes);
        let node = table.scalar(9).map_or(16, u16::from_le_bytes);
        Some(Self {
            kind: table.byte(2).unwrap_or(0),
            columns: columns(&table, 7)?,
            features,
            index_bytes: index_bytes(features, node)?,
            crs: table.table(10).and_then(|crs| system(&crs)),
        })
    }
}

fn columns(table: &Table<'_>, number: usize) -> Option<Vec<Column>> {
    let column = |column: Option<Table<'_>>| {
        let column = column?;
        Some(Column { name: stored(column.text(0).unwrap_or_default()), kind: column.byte(1).unwrap_or(0) })
    };
    table.tables(number)?.take(MAX_COLUMNS).map(column).collect()
}

/// Size of the packed tree over so many features: each level a node for every `node` of the one below.
fn index_bytes(features: u64, node: u16) -> Option<u64> {
    if features == 0 || node == 0 {
        return Some(0);
    }
    let node = u64::from(node.max(2));
    let (mut level, mut nodes) = (features, features);
    loop {
        level = level.div_ceil(node);
        nodes = nodes.checked_add(level)?;
        if level == 1 {
            return nodes.checked_mul(NODE_BYTES);
        }
    }
}

fn system(table: &Table<'_>) -> Option<FileCrs> {
    let code = table.scalar(1).map_or(0, i32::from_le_bytes);
    let organization = table.text(0).unwrap_or("EPSG");
    if code > 0 && organization.eq_ignore_ascii_case("EPSG") {
        return Some(crs::by_name(&format!("EPSG:{code}")));
    }
    if code > 0 || table.text(5).is_some() {
        let code = table.text(5).map_or_else(|| code.to_string(), str::to_owned);
        return Some(crs::by_name(&format!("{organization}:{code}")));
    }
    let wkt = table.text(4);
    wkt.and_then(crs::by_wkt).or_else(|| table.text(2).or(wkt).map(|name| FileCrs::Named(crate::file::cut(name))))
}

fn feature(
    number: u64,
    bytes: &[u8],
    header: &Header,
    fields: &[String],
    named: &mut NamedRows,
    binary: &mut bool,
) -> Result<Row, Rejection> {
    let bad = |code: &str, reason: &str| rejection(number, "geometry", "", code, reason);
    let broken = || bad("geometry_invalid", "the feature's bytes do not fit together");
    let table = Table::root(bytes).ok_or_else(broken)?;
    let own = columns(&table, 2).ok_or_else(broken)?;
    named.begin();
    let properties = table.vector(1, 1).ok_or_else(broken)?;
    if own.is_empty() {
        attributes(number, properties, &header.columns, fields, named, binary)?;
    } else {
        let fields: Vec<String> = own.iter().map(|column| column.name.clone()).collect();
        attributes(number, properties, &own, &fields, named, binary)?;
    }
    let shape = table.table(0).ok_or_else(|| bad("geometry_missing", "the feature has no shape"))?;
    // Honest parts lie side by side; parts that share bytes could stand for any number of them.
    let mut budget = bytes.len();
    let geometry = geometry(&shape, header.kind, 0, &mut budget).ok_or_else(broken)?;
    let geometry = geometry.ok_or_else(|| bad("geometry_missing", "the shape is empty"))?;
    Ok(Row { number, id: None, key: None, geometry, properties: named.end(), bytes: bytes.len() })
}

/// The shape; `Some(None)` for an empty one, `None` for bytes that are none or a kind that is not known.
fn geometry(table: &Table<'_>, inherited: u8, depth: u32, budget: &mut usize) -> Option<Option<Geometry<f64>>> {
    if depth > MAX_DEPTH {
        return None;
    }
    let kind = table.byte(6).filter(|kind| *kind != 0).unwrap_or(inherited);
    let (ends, xy) = (table.vector(0, 4)?, table.vector(1, 8)?);
    *budget = budget.checked_sub(8 + ends.len() + xy.len())?;
    let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| f64::from_le_bytes(*bytes));
    let coords: Vec<Coord<f64>> = xy
        .chunks_exact(16)
        .map(|pair| Some(Coord { x: number(pair)?, y: number(&pair[8..])? }))
        .collect::<Option<_>>()?;
    let lines = || -> Option<Vec<LineString<f64>>> {
        if ends.is_empty() {
            return Some(if coords.is_empty() { Vec::new() } else { vec![LineString(coords.clone())] });
        }
        let mut from = 0;
        let mut out = Vec::new();
        for end in ends.chunks_exact(4) {
            let end = u32::from_le_bytes(*end.first_chunk()?) as usize;
            out.push(LineString(coords.get(from..end)?.to_vec()));
            from = end;
        }
        Some(out)
    };
    let mut parts = |inherited: u8| -> Option<Vec<Geometry<f64>>> {
        let parts = table.tables(7)?;
        let part = |part: Option<Table<'_>>| geometry(&part?, inherited, depth + 1, budget);
        Some(parts.map(part).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
    };
    Some(match kind {
        1 => coords.first().filter(|c| !(c.x.is_nan() && c.y.is_nan())).map(|c| Geometry::Point(Point(*c))),
        2 => (coords.len() > 1).then_some(Geometry::LineString(LineString(coords))),
        3 | 17 => {
            let mut rings = lines()?.into_iter();
            rings.next().map(|outline| Geometry::Polygon(Polygon::new(outline, rings.collect())))
        }
        4 => (!coords.is_empty()).then(|| Geometry::MultiPoint(MultiPoint(coords.into_iter().map(Point).collect()))),
        5 => {
            let lines = lines()?;
            (!lines.is_empty()).then_some(Geometry::MultiLineString(MultiLineString(lines)))
        }
        6 => {
            let polygon = |part| if let Geometry::Polygon(polygon) = part { Some(polygon) } else { None };
            let polygons: Vec<Polygon<f64>> = parts(3)?.into_iter().map(polygon).collect::<Option<_>>()?;
            (!polygons.is_empty()).then_some(Geometry::MultiPolygon(MultiPolygon(polygons)))
        }
        7 => {
            let parts = parts(0)?;
            (!parts.is_empty()).then_some(Geometry::GeometryCollection(GeometryCollection(parts)))
        }
        _ => return None,
    })
}

/// Values one behind the other, each with the number of its column in front.
fn attributes(
    number: u64,
    mut bytes: &[u8],
    columns: &[Column],
    fields: &[String],
    named: &mut NamedRows,
    binary: &mut bool,
) -> Result<(), Rejection> {
    let mut values: Vec<Value> = vec![Value::Null; columns.len()];
    while !bytes.is_empty() {
        let short = || rejection(number, "", "", "column_count", "the values end too early");
        let at = usize::from(u16::from_le_bytes(take(&mut bytes).ok_or_else(short)?));
        let unknown = || rejection(number, "", &at.to_string(), "column_count", "a value belongs to no column");
        let (column, field) = columns.get(at).zip(fields.get(at)).ok_or_else(unknown)?;
        let value = one(&mut bytes, column.kind).ok_or_else(short)?;
        values[at] = match value {
            One::Value(Value::Real(x)) if !x.is_finite() => {
                return Err(rejection(number, field, &x.to_string(), "not_finite", "the value is not a finite number"));
            }
            One::Value(value) => value,
            One::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Value::Text(stored(text)),
                Err(_) => {
                    let shown = String::from_utf8_lossy(text);
                    return Err(rejection(number, field, &shown, "encoding", "the text is not UTF-8"));
                }
            },
            One::Binary => {
                *binary = true;
                Value::Null
            }
        };
    }
    for ((column, field), value) in columns.iter().zip(fields).zip(values) {
        if column.kind != BINARY {
            named.push(field, value, stored);
        }
    }
    Ok(())
}

const BINARY: u8 = 14;

enum One<'a> {
    Value(Value),
    Text(&'a [u8]),
    Binary,
}

/// A value of the column's kind. `None` when the bytes end, or the kind is not known.
fn one<'a>(bytes: &mut &'a [u8], kind: u8) -> Option<One<'a>> {
    let integer = |x: i64| One::Value(Value::Integer(x));
    Some(match kind {
        0 => integer(i64::from(i8::from_le_bytes(take(bytes)?))),
        1 => integer(i64::from(u8::from_le_bytes(take(bytes)?))),
        2 => One::Value(Value::Bool(take::<1>(bytes)? != [0])),
        3 => integer(i64::from(i16::from_le_bytes(take(bytes)?))),
        4 => integer(i64::from(u16::from_le_bytes(take(bytes)?))),
        5 => integer(i64::from(i32::from_le_bytes(take(bytes)?))),
        6 => integer(i64::from(u32::from_le_bytes(take(bytes)?))),
        7 => integer(i64::from_le_bytes(take(bytes)?)),
        8 => {
            let number = u64::from_le_bytes(take(bytes)?);
            i64::try_from(number).map_or_else(|_| One::Value(Value::Text(number.to_string())), integer)
        }
        9 => One::Value(Value::Real(f64::from(f32::from_le_bytes(take(bytes)?)))),
        10 => One::Value(Value::Real(f64::from_le_bytes(take(bytes)?))),
        11..=14 => {
            let len = usize::try_from(u32::from_le_bytes(take(bytes)?)).ok()?;
            let (text, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            if kind == BINARY { One::Binary } else { One::Text(text) }
        }
        _ => return None,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
