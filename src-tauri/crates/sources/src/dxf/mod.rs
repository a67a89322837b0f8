//! DXF drawings in (AutoCAD DXF reference, ASCII form): the entities of the drawing itself, each a feature with its layer.
//!
//! A drawing knows no coordinate system: its numbers are judged as a table's are, or `--crs` says it. Closed polylines and
//! circles are polygons, arcs become chords. Blocks that are only inserted, hatches, dimensions and the like are left out
//! and counted.

mod entity;

use crate::encoding::{self, TextEncoding};
use crate::file::{Continue, ReadError, ReadOptions, Row, Rows, Tracked, cut, rejection, stored};
use entity::{Entity, Left};
use model::{NamedRows, Rejection, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Longest line; the format itself ends at 2049.
const MAX_LINE_BYTES: u64 = 64 << 10;
/// Letters that are kept to judge the encoding by.
const SAMPLE_BYTES: usize = 256 << 10;
/// Kinds of entities left out that are told apart.
const MAX_KINDS: usize = 50;

pub(crate) fn read(
    path: &Path,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    let encoding = match options.encoding {
        Some(encoding) => encoding,
        None => {
            let file = File::open(path).map_err(|error| ReadError::from_io(path, &error))?;
            survey(path, Pairs::new(path, file), rows)?
        }
    };
    let mut drawing =
        Drawing { path, options, rows, encoding, number: 0, left: BTreeMap::new(), names: NamedRows::default() };
    drawing.run(Pairs::new(path, Tracked::open(path, progress)?))?;
    if !drawing.left.is_empty() {
        let left: Vec<String> = drawing.left.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        rows.warn(format!("entities_left_out: {}", left.join(", ")));
    }
    Ok(())
}

/// How the drawing's text is written: by its letters, else by the code page in its header.
fn survey(path: &Path, mut pairs: Pairs<impl Read>, rows: &mut dyn Rows) -> Result<TextEncoding, ReadError> {
    let mut sample: Vec<Vec<u8>> = Vec::new();
    let mut kept = 0;
    let mut page = None;
    let mut variable = Vec::new();
    while kept < SAMPLE_BYTES
        && let Some((code, value)) = pairs.next()?
    {
        match code {
            9 => variable = value.to_vec(),
            3 if variable == b"$DWGCODEPAGE" => page = TextEncoding::by_name(&String::from_utf8_lossy(value)),
            1 | 3 | 8 if !value.is_ascii() => {
                kept += value.len();
                sample.push(value.to_vec());
            }
            _ => {}
        }
    }
    encoding::settle(path, "drawing", &sample, page, rows)
}

struct Drawing<'a> {
    path: &'a Path,
    options: &'a ReadOptions<'a>,
    rows: &'a mut dyn Rows,
    encoding: TextEncoding,
    number: u64,
    left: BTreeMap<String, u64>,
    names: NamedRows,
}

impl Drawing<'_> {
    fn run(&mut self, mut pairs: Pairs<impl Read>) -> Result<(), ReadError> {
        let mut in_entities = false;
        let mut section = false;
        let mut entity: Option<Entity> = None;
        let mut ended = false;
        while let Some((code, value)) = pairs.next()? {
            if code != 0 {
                if section && code == 2 {
                    in_entities = value == b"ENTITIES";
                    section = false;
                }
                if let Some(entity) = &mut entity {
                    entity.take(code, value);
                    if entity.bytes > self.options.max_line_bytes {
                        let limit_bytes = self.options.max_line_bytes as u64;
                        return Err(ReadError::LineTooLong {
                            path: self.path.to_path_buf(),
                            row: self.number + 1,
                            limit_bytes,
                        });
                    }
                }
                continue;
            }
            section = value == b"SECTION";
            match value {
                // Corners of the polyline under way.
                b"VERTEX" if entity.as_mut().is_some_and(Entity::begin_vertex) => continue,
                b"EOF" => {
                    ended = true;
                    break;
                }
                _ => {}
            }
            if let Some(done) = entity.take() {
                self.finish(done)?;
            }
            if in_entities && !matches!(value, b"ENDSEC" | b"SEQEND" | b"SECTION") {
                entity = Some(Entity::new(value));
            }
            in_entities &= value != b"ENDSEC";
        }
        if ended {
            Ok(())
        } else {
            Err(ReadError::Truncated { path: self.path.to_path_buf(), last_good_row: self.number })
        }
    }

    fn finish(&mut self, entity: Entity) -> Result<(), ReadError> {
        self.number += 1;
        let number = self.number;
        match self.row(number, entity) {
            Ok(Some(row)) => self.rows.row(row),
            Ok(None) => Ok(()),
            Err(rejection) => self.rows.bad(rejection),
        }
    }

    fn row(&mut self, number: u64, entity: Entity) -> Result<Option<Row>, Rejection> {
        let decode = |field: &str, bytes: &[u8]| {
            self.encoding.decode(bytes).map(|text| stored(&entity::unescaped(&text))).ok_or_else(|| {
                let reason = format!("the text is not {}; say what it is with --encoding", self.encoding.name());
                rejection(number, field, &String::from_utf8_lossy(bytes), "encoding", reason)
            })
        };
        let layer = decode("layer", &entity.layer)?;
        let text = decode("text", &entity.text)?;
        let kind = String::from_utf8_lossy(&entity.kind).into_owned();
        let handle = String::from_utf8_lossy(&entity.handle).into_owned();
        let bytes = entity.bytes;
        let text = if kind == "MTEXT" { entity::plain(&text) } else { text };
        let geometry = match entity.geometry() {
            Ok(geometry) => geometry,
            Err(Left::Unknown) => {
                let kind = cut(&kind);
                if self.left.len() < MAX_KINDS || self.left.contains_key(&kind) {
                    *self.left.entry(kind).or_default() += 1;
                }
                return Ok(None);
            }
            Err(Left::Wrong(reason)) => return Err(rejection(number, "geometry", &kind, "geometry_invalid", reason)),
        };
        self.names.begin();
        for (name, value) in [("layer", layer), ("entity", kind), ("text", text)] {
            let value = if value.is_empty() { Value::Null } else { Value::Text(value) };
            self.names.push(self.options.field_of(name), value, str::to_owned);
        }
        let key = Some(handle).filter(|handle| !handle.is_empty());
        Ok(Some(Row { number, id: None, key, geometry, properties: self.names.end(), bytes }))
    }
}

/// Lines two by two: a code, and its value.
struct Pairs<'a, R> {
    path: &'a Path,
    reader: BufReader<R>,
    line: u64,
    value: Vec<u8>,
}

impl<'a, R: Read> Pairs<'a, R> {
    fn new(path: &'a Path, reader: R) -> Self {
        Self { path, reader: BufReader::with_capacity(256 << 10, reader), line: 0, value: Vec::new() }
    }

    /// One line into `value`, without its end; false at the file's end.
    fn line(&mut self) -> Result<bool, ReadError> {
        self.value.clear();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES);
        let read = limited.read_until(b'\n', &mut self.value).map_err(|error| ReadError::from_io(self.path, &error))?;
        self.line += 1;
        if read as u64 == MAX_LINE_BYTES {
            return Err(ReadError::Corrupt {
                path: self.path.to_path_buf(),
                reason: format!("line {} has no end", self.line),
            });
        }
        while self.value.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            self.value.pop();
        }
        Ok(read > 0)
    }

    fn next(&mut self) -> Result<Option<(i32, &[u8])>, ReadError> {
        if !self.line()? {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.value).unwrap_or("?").trim_start_matches('\u{feff}').trim();
        if text.is_empty() && self.reader.fill_buf().is_ok_and(<[u8]>::is_empty) {
            return Ok(None);
        }
        let Ok(code) = text.parse() else {
            let reason = format!("this is no group code: {:?}", cut(text));
            return Err(ReadError::Syntax { path: self.path.to_path_buf(), line: self.line, column: 1, reason });
        };
        if !self.line()? {
            return Ok(None);
        }
        // Blanks around names and numbers mean nothing; text keeps them until it is stored.
        Ok(Some((code, if matches!(code, 1 | 3) { &self.value[..] } else { self.value.trim_ascii() })))
    }
}
