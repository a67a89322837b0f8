//! GeoJSON in and out: FeatureCollections, single features, and sequences of them, feature by feature.
//!
//! The scanner finds where a feature ends; only that slice is parsed, on one of several threads ([`pipeline`]): by hand
//! where it is of a usual shape ([`quick`]), else by serde_json ([`feature`]), into typed coordinates. So a broken feature
//! costs its row, and memory holds a few of them, however long the file or its lines are.

mod coords;
mod feature;
mod number;
mod pipeline;
mod quick;
mod scan;
mod write;

pub(crate) use feature::{Parsed, parse, parse_geometry};
pub(crate) use write::GeoJsonWriter;
pub use write::{feature_text, geometry_json, write_geometry};

use crate::file::{Continue, FileCrs, Gate, ReadError, ReadOptions, Rows, rejection};
use pipeline::Feeder;
use scan::{End, MAX_DEPTH, Window};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

pub(crate) fn read(
    path: &Path,
    options: &ReadOptions<'_>,
    gate: &Gate<'_>,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    // Most writers put `crs` in front; one behind the features must be known before the first of them too.
    if let Some(crs) = crs_at_end(path) {
        rows.crs(crs);
    }
    pipeline::run(path, options, gate, rows, progress, &|file, out| {
        let window = Window::new(file, options.max_line_bytes);
        Reader { path, options, out, window, row: 0, end_lost: false, reread_bytes: 0 }.run()
    })
}

/// Bytes that may be read twice because of broken rows.
const MAX_REREAD_BYTES: u64 = 4 << 30;

struct Reader<'a, 'f, R> {
    path: &'a Path,
    options: &'a ReadOptions<'a>,
    out: &'a mut Feeder<'f>,
    window: Window<R>,
    /// The row being read.
    row: u64,
    /// The last row was broken, and what closes the document was lost with it.
    end_lost: bool,
    reread_bytes: u64,
}

/// What a document turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Document {
    Collection,
    Single,
}

/// A member of a top-level object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Features,
    Type,
    Crs,
    Other,
}

impl Member {
    fn of(name: &[u8]) -> Self {
        match text_of(name).as_deref() {
            Some("features") => Self::Features,
            Some("type") => Self::Type,
            Some("crs") => Self::Crs,
            _ => Self::Other,
        }
    }
}

/// What a top-level object says that it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Feature,
    Collection,
    /// A geometry, as far as anything readable.
    Other,
}

impl Kind {
    fn of(value: &[u8]) -> Option<Self> {
        text_of(value).map(|text| match &*text {
            "Feature" => Self::Feature,
            "FeatureCollection" => Self::Collection,
            _ => Self::Other,
        })
    }
}

/// A JSON text with its quotation marks; plain words are not copied.
fn text_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""))?;
    match inner.iter().all(|byte| byte.is_ascii_alphabetic()) {
        true => std::str::from_utf8(inner).ok().map(Cow::Borrowed),
        false => serde_json::from_slice(raw).ok().map(Cow::Owned),
    }
}

impl<R: Read> Reader<'_, '_, R> {
    fn run(mut self) -> Result<(), ReadError> {
        if self.peek_bom()? {
            self.window.release();
        }
        let mut documents = 0_u64;
        let mut sequence = false;
        while let Some(byte) = self.io(|w| w.blanks(true))? {
            if byte == b'{' {
                let document = self.document(sequence)?;
                sequence |= document == Document::Single;
            } else if sequence {
                self.bad(self.row + 1, "syntax", "the line is no GeoJSON object")?;
                self.row += 1;
                self.io(Window::next_line)?;
            } else if byte == 0 && documents > 0 {
                return Err(self.truncated());
            } else {
                return Err(self.syntax(format!("{:?} does not belong here", char::from(byte))));
            }
            documents += 1;
        }
        if documents == 0 { Err(ReadError::EmptyFile { path: self.path.to_path_buf() }) } else { Ok(()) }
    }

    fn peek_bom(&mut self) -> Result<bool, ReadError> {
        for byte in *b"\xef\xbb\xbf" {
            if self.io(Window::peek)? != Some(byte) {
                return Ok(false);
            }
            self.window.step();
        }
        Ok(true)
    }

    /// One top-level object: a collection, a feature or a geometry.
    fn document(&mut self, sequence: bool) -> Result<Document, ReadError> {
        self.window.release();
        let offset = self.window.offset();
        let mut kind: Option<Kind> = None;
        let mut document = Document::Single;
        self.window.step();
        let end = loop {
            match self.io(|w| w.blanks(document == Document::Collection))? {
                Some(b'"') => {}
                Some(b',') => {
                    self.window.step();
                    continue;
                }
                Some(b'}') => {
                    self.window.step();
                    break End::Whole;
                }
                Some(_) => break End::Mismatch,
                None => break End::Eof,
            }
            let mark = self.window.mark();
            let end = self.io(Window::text)?;
            if end != End::Whole {
                break end;
            }
            let member = Member::of(self.window.since(mark));
            if self.io(|w| w.blanks(false))? != Some(b':') {
                break End::Mismatch;
            }
            self.window.step();
            let next = self.io(|w| w.blanks(false))?;
            if member == Member::Features && next == Some(b'[') {
                document = Document::Collection;
                if !self.features()? {
                    return Ok(document);
                }
                continue;
            }
            let mark = self.window.mark();
            let end = self.io(Window::value)?;
            if end != End::Whole {
                break end;
            }
            let value = self.window.since(mark);
            match member {
                Member::Type => kind = Kind::of(value),
                Member::Crs if self.row == 0 => {
                    if let Some(crs) = crs_of(value) {
                        self.out.crs(crs);
                    }
                }
                _ => {}
            }
        };
        if document == Document::Collection {
            return if end == End::Whole { Ok(document) } else { Err(self.unclosed(end, offset)) };
        }
        self.single(end, kind, sequence, offset)
    }

    /// The end of a top-level object that is no collection.
    fn single(&mut self, end: End, kind: Option<Kind>, sequence: bool, offset: u64) -> Result<Document, ReadError> {
        if kind == Some(Kind::Collection) {
            return Err(match end {
                End::Whole => self.syntax("the FeatureCollection has no list \"features\"".into()),
                _ => self.unclosed(end, offset),
            });
        }
        let row = self.row + 1;
        if end == End::Whole {
            self.row = row;
            self.hand_over_or_split(row, kind == Some(Kind::Other))?;
            return Ok(Document::Single);
        }
        if !sequence && kind.is_none() {
            return Err(self.unclosed(end, offset));
        }
        // In a sequence the next line may be whole again.
        self.row = row;
        self.go_back(1)?;
        let more = self.io(Window::find_feature)?;
        match (more, end) {
            (false, End::TooLong) => Err(self.too_long(row)),
            (false, End::Eof | End::EofInText) => Err(self.truncated()),
            _ => {
                self.bad(row, code_of(end), reason_of(end))?;
                Ok(Document::Single)
            }
        }
    }

    /// The list of features, standing on its bracket. `Ok(false)`: the document's end was lost in a broken row.
    fn features(&mut self) -> Result<bool, ReadError> {
        self.window.step();
        loop {
            match self.io(|w| w.blanks(true))? {
                None => return if self.end_lost { Ok(false) } else { Err(self.truncated()) },
                Some(b',') => self.window.step(),
                Some(b']') => {
                    self.window.step();
                    return Ok(true);
                }
                Some(b'{') => self.one_feature()?,
                Some(byte) => {
                    self.row += 1;
                    let end = self.io(Window::value)?;
                    if end != End::Whole || self.window.mark() == 0 {
                        self.resync(end)?;
                        continue;
                    }
                    let reason = format!("a feature is an object, this starts with {:?}", char::from(byte));
                    self.bad(self.row, "syntax", &reason)?;
                }
            }
        }
    }

    fn one_feature(&mut self) -> Result<(), ReadError> {
        self.row += 1;
        let row = self.row;
        let end = self.io(Window::nested)?;
        if end != End::Whole {
            return self.resync(end);
        }
        self.hand_over_or_split(row, false)
    }

    /// Hands the row over; a slice that does not parse because it swallowed the next feature is read again from there.
    fn hand_over_or_split(&mut self, row: u64, bare: bool) -> Result<(), ReadError> {
        let slice = self.window.since(0);
        if let Some(next) = scan::holds_another(slice) {
            let parsed = if bare { feature::parse_geometry(slice, row) } else { feature::parse(slice, row) };
            if parsed.is_err() {
                self.bad(row, "syntax", "the feature is not closed")?;
                return self.go_back(next);
            }
        }
        self.out.row(row, self.window.since(0), bare, self.window.offset())
    }

    /// Back to a mark, within a budget: a file of nothing but broken rows must not be read a thousand times.
    fn go_back(&mut self, mark: usize) -> Result<(), ReadError> {
        self.reread_bytes += (self.window.mark() - mark.min(self.window.mark())) as u64;
        if self.reread_bytes > MAX_REREAD_BYTES {
            return Err(ReadError::TooManyRejected { path: self.path.to_path_buf(), count: self.row });
        }
        self.window.rewind(mark);
        Ok(())
    }

    /// Gives up the row and goes to where the next feature starts.
    fn resync(&mut self, end: End) -> Result<(), ReadError> {
        let row = self.row;
        self.go_back(1)?;
        let found = self.io(Window::find_feature)?;
        if !found {
            return match end {
                // In a document that is complete only this row is lost.
                End::Mismatch | End::EofInText | End::TooDeep | End::TooLong if self.closed()? => {
                    self.end_lost = true;
                    self.bad(row, code_of(end), reason_of(end))
                }
                End::TooLong => Err(self.too_long(row)),
                End::TooDeep => Err(ReadError::TooDeep { path: self.path.to_path_buf(), row, limit: MAX_DEPTH }),
                _ => Err(self.truncated()),
            };
        }
        self.bad(row, code_of(end), reason_of(end))
    }

    fn bad(&mut self, row: u64, code: &str, reason: &str) -> Result<(), ReadError> {
        self.out.bad(rejection(row, "", "", code, reason), self.window.offset())
    }

    fn io<T>(&mut self, call: impl FnOnce(&mut Window<R>) -> io::Result<T>) -> Result<T, ReadError> {
        call(&mut self.window).map_err(|error| ReadError::from_io(self.path, &error))
    }

    /// Which row was the last good one, only the parsers know.
    fn truncated(&self) -> ReadError {
        ReadError::Truncated { path: self.path.to_path_buf(), last_good_row: 0 }
    }

    fn too_long(&self, row: u64) -> ReadError {
        let limit_bytes = self.options.max_line_bytes as u64;
        ReadError::LineTooLong { path: self.path.to_path_buf(), row, limit_bytes }
    }

    fn unclosed(&self, end: End, offset: u64) -> ReadError {
        match end {
            End::Eof | End::EofInText => self.truncated(),
            End::TooLong => self.too_long(self.row + 1),
            End::TooDeep => ReadError::TooDeep { path: self.path.to_path_buf(), row: self.row + 1, limit: MAX_DEPTH },
            End::Whole | End::Mismatch => {
                let (line, column) = line_of(self.path, self.window.offset().max(offset));
                let reason = "this is not JSON as GeoJSON has it".to_owned();
                ReadError::Syntax { path: self.path.to_path_buf(), line, column, reason }
            }
        }
    }

    fn syntax(&self, reason: String) -> ReadError {
        let (line, column) = line_of(self.path, self.window.offset());
        ReadError::Syntax { path: self.path.to_path_buf(), line, column, reason }
    }

    /// Whether the file ends as a document does, to tell a lost row from a lost rest.
    fn closed(&self) -> Result<bool, ReadError> {
        let tail = tail(self.path, 256).map_err(|error| ReadError::from_io(self.path, &error))?;
        let tail: Vec<u8> = tail.into_iter().filter(|b| !b.is_ascii_whitespace()).collect();
        Ok(tail.ends_with(b"]}"))
    }
}

fn code_of(end: End) -> &'static str {
    match end {
        End::TooDeep => "too_deep",
        End::TooLong => "line_too_long",
        End::Whole | End::Mismatch | End::Eof | End::EofInText => "syntax",
    }
}

fn reason_of(end: End) -> &'static str {
    match end {
        End::TooDeep => "the feature is nested too deeply",
        End::TooLong => "the feature is too long",
        End::Whole | End::Mismatch => "brackets of the feature do not match",
        End::Eof => "the feature is not closed",
        End::EofInText => "a quotation mark is missing",
    }
}

/// 1-based line and column (bytes) of an offset, by reading the file up to it.
fn line_of(path: &Path, offset: u64) -> (u64, u64) {
    let mut line = 1;
    let mut column = 1;
    let Ok(file) = File::open(path) else { return (line, column) };
    let mut file = file.take(offset);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = file.read(&mut buffer) {
        for byte in &buffer[..read] {
            if *byte == b'\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
        }
    }
    (line, column)
}

fn tail(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(tail)
}

/// A `crs` member behind the features, found in the file's last 16 kB.
fn crs_at_end(path: &Path) -> Option<FileCrs> {
    let tail = tail(path, 16 << 10).ok()?;
    let at = tail.windows(5).rposition(|window| window == b"\"crs\"")?;
    // Only as the collection's own member does the rest of the file close exactly one object.
    let member = [b"{", &tail[at..]].concat();
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&member).ok()?;
    crs_of(object.get("crs")?.to_string().as_bytes())
}

/// The system that a GeoJSON 2008 `crs` object names.
fn crs_of(value: &[u8]) -> Option<FileCrs> {
    let tree: serde_json::Value = serde_json::from_slice(value).ok()?;
    let name = tree.pointer("/properties/name").or_else(|| tree.pointer("/properties/code"))?;
    let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
    Some(crate::crs::by_name(&name))
}
