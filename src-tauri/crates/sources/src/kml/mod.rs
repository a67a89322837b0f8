//! KML in and out, plain or in a KMZ archive (OGC 12-007r2): each placemark a feature, with its folder's name.
//!
//! Document types are refused, and with them every entity that a document could define; nothing that a document links to
//! is fetched.

mod placemark;
mod write;

pub(crate) use write::KmlWriter;

use crate::csv::columns::{self, Kind};
use crate::encoding::{TextEncoding, Utf8};
use crate::file::{Continue, FileCrs, ReadError, ReadOptions, Row, Rows, Tracked, cut, rejection, stored};
use crate::xml::{Limited, TooLong};
use crate::zipped::Zipped;
use model::{NamedRows, Rejection, Value};
use placemark::Placemark;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::rc::Rc;

const MAX_DEPTH: usize = 64;
/// A document that only links to others is shorter than this.
const LINKS_BYTES: u64 = 256 << 10;
/// Types of a schema's fields that are kept.
const MAX_TYPES: usize = 10_000;

pub(crate) fn read(
    path: &Path,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    let mut head = [0; 512];
    let mut file = File::open(path).map_err(|error| ReadError::from_io(path, &error))?;
    let read = file.read(&mut head).map_err(|error| ReadError::from_io(path, &error))?;
    if !head[..read].starts_with(b"PK") {
        let encoding = options.encoding.or_else(|| declared(&head[..read]));
        let plain = Tracked::open(path, progress)?;
        return Document::new(path, options, rows).run(plain, encoding);
    }
    let mut archive = Zipped::open(path)?;
    let at = chosen(path, &mut archive, options)?;
    let name = archive.names()[at].clone();
    let head = archive.small(&name, 512)?.unwrap_or_default();
    let (member, total_bytes) = archive.member(at)?;
    let encoding = options.encoding.or_else(|| declared(&head));
    Document::new(path, options, rows).run(Tracked::over(member, total_bytes, progress), encoding)
}

/// True for a member that is a KML document.
pub(crate) fn is_member(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.ends_with(".kml") && !lower.starts_with("__macosx/")
}

/// The document of an archive: the one asked for, `doc.kml` unless it only links to others, or the only one.
fn chosen(path: &Path, archive: &mut Zipped, options: &ReadOptions) -> Result<usize, ReadError> {
    let mut all: Vec<(usize, String)> =
        archive.names().iter().cloned().enumerate().filter(|(_, name)| is_member(name)).collect();
    let wanted = options.table.as_deref().map(str::to_lowercase);
    let hinted = wanted.and_then(|wanted| {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let fits = |name: &str| name == wanted || name.strip_suffix(".kml") == Some(wanted.as_str());
        all.iter().find(|(_, name)| fits(&name.to_lowercase()) || fits(&last(&name.to_lowercase())))
    });
    if let Some((at, _)) = hinted {
        return Ok(*at);
    }
    if let Some(main) = all.iter().position(|(_, name)| name.eq_ignore_ascii_case("doc.kml")) {
        let start = archive.small(&all[main].1, LINKS_BYTES)?.unwrap_or_default();
        let only_links = start.len() as u64 != LINKS_BYTES && memchr::memmem::find(&start, b"<Placemark").is_none();
        if !only_links || all.len() == 1 {
            return Ok(all[main].0);
        }
        all.remove(main);
    }
    match all.as_slice() {
        [(at, _)] => Ok(*at),
        [] => Err(ReadError::NoTable { path: path.to_path_buf() }),
        several => {
            let tables = several.iter().take(50).map(|(_, name)| cut(name)).collect();
            Err(ReadError::SeveralTables { path: path.to_path_buf(), tables })
        }
    }
}

/// What the XML declaration says, or a byte order mark.
fn declared(head: &[u8]) -> Option<TextEncoding> {
    if let Some(wide) = crate::csv::wide_encoding(head) {
        return Some(wide.into());
    }
    let end = head.windows(2).position(|two| two == b"?>")?;
    let text = String::from_utf8_lossy(&head[..end]).into_owned();
    let (_, rest) = text.split_once("encoding")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let sign = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    TextEncoding::by_name(value[1..].split(sign).next()?)
}

/// What an element is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Folder,
    Placemark,
    Name,
    Description,
    Address,
    Data,
    SimpleData,
    Value,
    SimpleField,
    Coordinates,
    Coord,
    Point,
    Line,
    Ring,
    Polygon,
    Outer,
    Inner,
    Multi,
    Track,
    Other,
}

fn tag(name: &str) -> Tag {
    match name {
        "Folder" => Tag::Folder,
        "Placemark" => Tag::Placemark,
        "name" => Tag::Name,
        "description" => Tag::Description,
        "address" => Tag::Address,
        "Data" => Tag::Data,
        "SimpleData" => Tag::SimpleData,
        "value" => Tag::Value,
        "SimpleField" => Tag::SimpleField,
        "coordinates" => Tag::Coordinates,
        "coord" => Tag::Coord,
        "Point" => Tag::Point,
        "LineString" => Tag::Line,
        "LinearRing" => Tag::Ring,
        "Polygon" => Tag::Polygon,
        "outerBoundaryIs" => Tag::Outer,
        "innerBoundaryIs" => Tag::Inner,
        "MultiGeometry" | "MultiTrack" => Tag::Multi,
        "Track" => Tag::Track,
        _ => Tag::Other,
    }
}

struct Document<'a> {
    path: &'a Path,
    options: &'a ReadOptions<'a>,
    rows: &'a mut dyn Rows,
    open: Vec<Tag>,
    /// Names of the folders that are open.
    folders: Vec<String>,
    placemark: Option<Placemark>,
    /// The text of the element under way.
    text: String,
    types: HashMap<String, Kind>,
    names: NamedRows,
    number: u64,
    since: Rc<Cell<usize>>,
}

impl<'a> Document<'a> {
    fn new(path: &'a Path, options: &'a ReadOptions<'a>, rows: &'a mut dyn Rows) -> Self {
        Self {
            path,
            options,
            rows,
            open: Vec::new(),
            folders: Vec::new(),
            placemark: None,
            text: String::new(),
            types: HashMap::new(),
            names: NamedRows::default(),
            number: 0,
            since: Rc::new(Cell::new(0)),
        }
    }

    fn run(mut self, input: impl Read, encoding: Option<TextEncoding>) -> Result<(), ReadError> {
        self.rows.crs(FileCrs::Epsg(4326));
        let text = Utf8::new(input, encoding.unwrap_or(TextEncoding::UTF_8));
        let limited = Limited::new(text, self.since.clone(), self.options.max_line_bytes);
        let mut xml = quick_xml::Reader::from_reader(BufReader::with_capacity(64 << 10, limited));
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let event = xml.read_event_into(&mut buffer);
            let at = xml.buffer_position();
            match event.map_err(|error| self.wrong(&error, at))? {
                Event::Start(element) => self.start(&element)?,
                Event::Empty(element) => {
                    self.start(&element)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) if self.wants_text() => self.text.push_str(&text.xml10_content()),
                Event::CData(text) if self.wants_text() => self.text.push_str(&text.xml10_content()),
                Event::GeneralRef(entity) if self.wants_text() => {
                    let known = match entity.resolve_char_ref().map_err(|error| self.wrong(&error, at))? {
                        Some(c) => Some(c.to_string()),
                        None => {
                            quick_xml::escape::resolve_predefined_entity(&entity.xml10_content()).map(str::to_owned)
                        }
                    };
                    let known = known.ok_or_else(|| {
                        self.corrupt(format!(
                            "the entity &{}; at byte {at} is none of XML's own",
                            cut(&entity.xml10_content())
                        ))
                    })?;
                    self.text.push_str(&known);
                }
                Event::DocType(_) => {
                    return Err(self.corrupt(
                        "it brings a document type of its own, which can fill the memory; remove the line <!DOCTYPE …>"
                            .into(),
                    ));
                }
                Event::Eof if self.open.is_empty() => return Ok(()),
                Event::Eof => {
                    return Err(ReadError::Truncated { path: self.path.to_path_buf(), last_good_row: self.number });
                }
                _ => {}
            }
        }
    }

    fn corrupt(&self, reason: String) -> ReadError {
        ReadError::Corrupt { path: self.path.to_path_buf(), reason }
    }

    fn wrong(&self, error: &quick_xml::Error, at: u64) -> ReadError {
        match error {
            quick_xml::Error::Io(io) if io.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => {
                ReadError::LineTooLong {
                    path: self.path.to_path_buf(),
                    row: self.number + 1,
                    limit_bytes: self.options.max_line_bytes as u64,
                }
            }
            quick_xml::Error::Io(io) => ReadError::from_io(self.path, io),
            quick_xml::Error::Syntax(_) if !self.open.is_empty() => {
                ReadError::Truncated { path: self.path.to_path_buf(), last_good_row: self.number }
            }
            other => self.corrupt(format!("the XML at byte {at}: {other}")),
        }
    }

    /// Text of anything else is not kept.
    fn wants_text(&self) -> bool {
        let parent = self.open.len().checked_sub(2).and_then(|at| self.open.get(at));
        match self.open.last() {
            Some(Tag::Name) => parent == Some(&Tag::Folder) || parent == Some(&Tag::Placemark),
            Some(Tag::Description | Tag::Address) => parent == Some(&Tag::Placemark),
            Some(Tag::Value | Tag::SimpleData | Tag::Coordinates | Tag::Coord) => self.placemark.is_some(),
            _ => false,
        }
    }

    fn attribute(&self, element: &BytesStart<'_>, wanted: &str) -> Result<Option<String>, ReadError> {
        let found = element.try_get_attribute(wanted).ok().flatten();
        let Some(found) = found else { return Ok(None) };
        let value = found.normalized_value(XmlVersion::Implicit1_0);
        value.map(|value| Some(value.into_owned())).map_err(|error| self.wrong(&error, 0))
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), ReadError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(ReadError::TooDeep {
                path: self.path.to_path_buf(),
                row: self.number + 1,
                limit: MAX_DEPTH as u32,
            });
        }
        let tag = tag(element.local_name().as_ref());
        self.open.push(tag);
        if self.wants_text() {
            self.text.clear();
        }
        match (tag, &mut self.placemark) {
            (Tag::Folder, _) => self.folders.push(String::new()),
            (Tag::Placemark, None) => {
                self.since.set(0);
                let id = self.attribute(element, "id")?;
                self.placemark = Some(Placemark::new(id));
            }
            (Tag::Placemark, Some(_)) => return Err(self.corrupt("a placemark stands inside another".into())),
            (Tag::SimpleField, None) => {
                let (name, kind) = (self.attribute(element, "name")?, self.attribute(element, "type")?);
                let kind = match kind.unwrap_or_default().as_str() {
                    "int" | "uint" | "short" | "ushort" => Kind::Integer,
                    "float" | "double" => Kind::Real,
                    "bool" => Kind::Boolean,
                    _ => Kind::Text,
                };
                if self.types.len() < MAX_TYPES {
                    self.types.insert(name.unwrap_or_default(), kind);
                }
            }
            (Tag::Data | Tag::SimpleData, Some(_)) => {
                let name = self.attribute(element, "name")?.unwrap_or_default();
                if let Some(placemark) = &mut self.placemark {
                    placemark.data_name = name;
                }
            }
            (Tag::Multi, Some(placemark)) => placemark.begin_multi(),
            (Tag::Polygon, Some(placemark)) => placemark.begin_polygon(),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), ReadError> {
        let wanted = self.wants_text();
        let Some(tag) = self.open.pop() else { return Ok(()) };
        let text = if wanted { std::mem::take(&mut self.text) } else { String::new() };
        let parent = self.open.last().copied().unwrap_or(Tag::Other);
        let Some(placemark) = &mut self.placemark else {
            match tag {
                Tag::Folder => drop(self.folders.pop()),
                Tag::Name if parent == Tag::Folder => {
                    if let Some(name) = self.folders.last_mut() {
                        *name = stored(text.trim());
                    }
                }
                _ => {}
            }
            return Ok(());
        };
        match tag {
            Tag::Placemark => return self.finish(),
            Tag::Name | Tag::Description | Tag::Address if wanted => {
                let name = match tag {
                    Tag::Name => "name",
                    Tag::Description => "description",
                    _ => "address",
                };
                placemark.values.push((name.into(), text));
            }
            Tag::Value | Tag::SimpleData => {
                let name = std::mem::take(&mut placemark.data_name);
                if !name.is_empty() {
                    placemark.values.push((name, text));
                }
            }
            Tag::Coordinates => {
                let above = self.open.len().checked_sub(2).and_then(|at| self.open.get(at)).copied();
                match (parent, above) {
                    (Tag::Point, _) => placemark.point(&text),
                    (Tag::Ring, Some(Tag::Outer)) => placemark.ring(&text, true),
                    (Tag::Ring, Some(Tag::Inner)) => placemark.ring(&text, false),
                    (Tag::Line | Tag::Ring, _) => placemark.line(&text),
                    _ => {}
                }
            }
            Tag::Coord => placemark.track_point(&text),
            Tag::Track => placemark.end_track(),
            Tag::Polygon => placemark.end_polygon(),
            Tag::Multi => placemark.end_multi(),
            Tag::Folder => return Err(self.corrupt("a folder stands inside a placemark".into())),
            _ => {}
        }
        Ok(())
    }

    /// The placemark is whole: its row.
    fn finish(&mut self) -> Result<(), ReadError> {
        let Some(placemark) = self.placemark.take() else { return Ok(()) };
        self.number += 1;
        let bytes = self.since.replace(0);
        match self.row(placemark, bytes) {
            Ok(row) => self.rows.row(row),
            Err(rejection) => self.rows.bad(rejection),
        }
    }

    fn row(&mut self, placemark: Placemark, bytes: usize) -> Result<Row, Rejection> {
        let number = self.number;
        let Placemark { id, values, .. } = &placemark;
        let unreadable = |text: &str| text.contains('\u{fffd}');
        if let Some((name, text)) = values.iter().find(|(_, text)| unreadable(text)) {
            return Err(rejection(number, name, text, "encoding", "the text holds bytes that are no UTF-8"));
        }
        let id = id.as_deref().map(str::trim).filter(|id| !id.is_empty()).map(stored);
        self.names.begin();
        for (name, text) in values {
            let kind = self.types.get(name).copied().unwrap_or(Kind::Text);
            let value = match text.trim() {
                "1" if kind == Kind::Boolean => Value::Bool(true),
                "0" if kind == Kind::Boolean => Value::Bool(false),
                text => columns::value(text, kind, false),
            };
            self.names.push(self.options.field_of(name), value, stored);
        }
        let folders: Vec<&str> = self.folders.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        if !folders.is_empty() {
            self.names.push("folder", Value::Text(folders.join("/")), str::to_owned);
        }
        let properties = self.names.end();
        let geometry = placemark
            .geometry()
            .map_err(|(code, value, reason)| rejection(number, "geometry", &value, code, reason))?;
        Ok(Row { number, id, key: None, geometry, properties, bytes })
    }
}
