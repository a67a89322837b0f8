//! Tables as text, in and out: any of the usual encodings, delimiters and number forms.

pub(crate) mod columns;
mod text;
pub(crate) mod wkt;
mod write;

pub(crate) use text::{wide_encoding, wide_starts_with};
pub(crate) use write::CsvWriter;

use crate::encoding::Utf8;
use crate::file::{Continue, FileCrs, ReadError, ReadOptions, Row, Rows, Tracked, rejection, stored, unique_fields};
use columns::{Kind, Position};
use csv::StringRecord;
use geo_types::{Geometry, Point};
use model::{NamedRows, Rejection};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
const MAX_COLUMNS: usize = 2_000;
/// Rows by which the columns' types are judged.
const HEAD_ROWS: usize = 1_000;

/// True if the bytes' first line has columns.
pub(crate) fn looks_like_table(head: &[u8]) -> bool {
    let text = match wide_encoding(head) {
        Some(encoding) => encoding.decode(head).0.into_owned(),
        None => String::from_utf8_lossy(head).into_owned(),
    };
    let text = text.trim_start_matches('\u{feff}');
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
    if text.chars().any(control) {
        return false;
    }
    let Some(line) = text.split(['\r', '\n']).find(|line| !line.trim().is_empty()) else { return false };
    let cells = columns_of(line, delimiter(line));
    cells > 1 || columns::names_position(line.trim_matches('"'))
}

/// The delimiter that occurs most in a line, outside of quotation marks.
fn delimiter(line: &str) -> u8 {
    let count = |sign: u8| columns_of(line, sign);
    DELIMITERS.into_iter().rev().max_by_key(|sign| count(*sign)).unwrap_or(b',')
}

fn columns_of(line: &str, delimiter: u8) -> usize {
    let mut quoted = false;
    let signs = line.bytes().filter(|byte| {
        quoted ^= *byte == b'"';
        !quoted && *byte == delimiter
    });
    signs.count() + 1
}

pub(crate) fn read(
    path: &Path,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    let plain = || File::open(path).map_err(|error| ReadError::from_io(path, &error));
    let guess = text::guess(path, plain()?, options.encoding)?;
    if let Some(warning) = guess.warning {
        rows.warn(warning);
    }
    let (delimiter, skip_bytes, skip_lines) = first_line(path, &mut Utf8::new(plain()?, guess.encoding))?;
    let since_record = Rc::new(Cell::new(0));
    let reader = Utf8::new(Tracked::open(path, progress)?, guess.encoding);
    let mut guarded = Guarded {
        reader,
        since_record: since_record.clone(),
        limit: options.max_line_bytes,
        after_cr: false,
        last: b'\n',
    };
    let mut sep_line = vec![0; skip_bytes];
    guarded.read_exact(&mut sep_line).map_err(|error| ReadError::from_io(path, &error))?;
    let reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(64 << 10)
        .from_reader(guarded);
    Table {
        path,
        options,
        rows,
        since_record,
        skip_lines,
        decimal_comma: delimiter != b',',
        names: NamedRows::default(),
        srid: None,
    }
    .run(reader)
}

/// The delimiter, and the length of a `sep=;` line that Excel puts in front.
fn first_line(path: &Path, reader: &mut impl Read) -> Result<(u8, usize, u64), ReadError> {
    let mut head = Vec::new();
    reader.take(64 << 10).read_to_end(&mut head).map_err(|error| ReadError::from_io(path, &error))?;
    let text = String::from_utf8_lossy(&head);
    if let Some(sign) = text.strip_prefix("sep=").and_then(|rest| rest.bytes().next())
        && DELIMITERS.contains(&sign)
        && let Some(end) = text.find('\n')
    {
        let blanks = usize::from(text[..end].ends_with('\r'));
        return Ok((sign, end + 1 - blanks, 1));
    }
    let line = text.split(['\r', '\n']).find(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok((delimiter(line), 0, 0))
}

struct Table<'a> {
    path: &'a Path,
    options: &'a ReadOptions<'a>,
    rows: &'a mut dyn Rows,
    since_record: Rc<Cell<usize>>,
    skip_lines: u64,
    decimal_comma: bool,
    names: NamedRows,
    /// What the first row's EWKT says.
    srid: Option<u32>,
}

/// The header's meaning.
struct Layout {
    /// Field names as the caller maps them.
    names: Vec<String>,
    kinds: Vec<Kind>,
    position: Position,
}

impl Table<'_> {
    fn run(mut self, mut reader: csv::Reader<impl Read>) -> Result<(), ReadError> {
        let mut record = StringRecord::new();
        if !self.next(&mut reader, &mut record)? {
            return Err(ReadError::EmptyFile { path: self.path.to_path_buf() });
        }
        let headers: Vec<String> = record.iter().map(|header| stored(header.trim())).collect();
        if headers.len() > MAX_COLUMNS {
            let reason = format!("{} columns; no table has more than {MAX_COLUMNS}", headers.len());
            return Err(ReadError::Corrupt { path: self.path.to_path_buf(), reason });
        }
        let position = columns::position(self.path, &headers, self.options)?;
        let mut head: Vec<StringRecord> = Vec::new();
        let mut head_bytes = 0;
        while head.len() < HEAD_ROWS && head_bytes < 8 << 20 && self.next(&mut reader, &mut record)? {
            head_bytes += record.as_slice().len();
            head.push(record.clone());
        }
        let kinds = (0..headers.len())
            .map(|at| columns::kind(&headers[at], head.iter().filter_map(|row| row.get(at)), self.decimal_comma))
            .collect();
        let names = unique_fields(&headers, self.options);
        let layout = Layout { names, kinds, position };
        for row in &head {
            self.record(row, &layout)?;
        }
        drop(head);
        while self.next(&mut reader, &mut record)? {
            self.record(&record, &layout)?;
        }
        Ok(())
    }

    /// The next record; `Ok(false)` at the end.
    fn next(&mut self, reader: &mut csv::Reader<impl Read>, record: &mut StringRecord) -> Result<bool, ReadError> {
        self.since_record.set(0);
        let row = reader.position().line() + self.skip_lines;
        let more = reader.read_record(record).map_err(|error| match error.kind() {
            csv::ErrorKind::Io(io) if io.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => {
                ReadError::LineTooLong {
                    path: self.path.to_path_buf(),
                    row,
                    limit_bytes: self.options.max_line_bytes as u64,
                }
            }
            csv::ErrorKind::Io(io) => ReadError::from_io(self.path, io),
            _ => ReadError::Corrupt { path: self.path.to_path_buf(), reason: error.to_string() },
        })?;
        // csv counts from before the blank lines that it skips: count back from the record's end instead.
        let inside = record.as_slice().bytes().filter(|byte| *byte == b'\n').count() as u64;
        let mut position = csv::Position::new();
        position.set_line((reader.position().line() + self.skip_lines).saturating_sub(1 + inside));
        record.set_position(Some(position));
        Ok(more)
    }

    fn record(&mut self, record: &StringRecord, layout: &Layout) -> Result<(), ReadError> {
        let number = record.position().map_or(0, csv::Position::line);
        // A line of nothing but delimiters, as spreadsheets leave them behind.
        if record.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        match self.row(record, number, layout) {
            Ok(row) => self.rows.row(row),
            Err(rejection) => self.rows.bad(rejection),
        }
    }

    fn row(&mut self, record: &StringRecord, number: u64, layout: &Layout) -> Result<Row, Rejection> {
        let found = record.len();
        let wanted = layout.names.len();
        let surplus = record.iter().skip(wanted).any(|cell| !cell.trim().is_empty());
        if found < wanted || surplus {
            let reason = format!("the row has {found} cells, the header {wanted}");
            return Err(rejection(number, "", record.get(0).unwrap_or_default(), "column_count", reason));
        }
        if let Some(cell) = record.iter().find(|cell| cell.contains('\u{fffd}')) {
            return Err(rejection(number, "", cell, "encoding", "the text holds characters that cannot be read"));
        }
        let geometry = self.geometry(record, number, layout)?;
        self.names.begin();
        for (at, cell) in record.iter().enumerate().take(wanted) {
            let in_position = match layout.position {
                Position::LonLat(lon, lat) => at == lon || at == lat,
                Position::Wkt(wkt) => at == wkt,
            };
            if !in_position {
                let value = columns::value(cell, layout.kinds[at], self.decimal_comma);
                self.names.push(&layout.names[at], value, str::to_owned);
            }
        }
        let properties = self.names.end();
        Ok(Row { number, id: None, key: None, geometry, properties, bytes: record.as_slice().len() })
    }

    fn geometry(&mut self, record: &StringRecord, number: u64, layout: &Layout) -> Result<Geometry<f64>, Rejection> {
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        match layout.position {
            Position::LonLat(lon, lat) => {
                let part = |at: usize| {
                    let field = &layout.names[at];
                    match (cell(at), columns::number(cell(at))) {
                        ("", _) => Err(rejection(number, field, "", "geometry_missing", "the cell is empty")),
                        (text, None) => Err(rejection(number, field, text, "field_type", "this is no number")),
                        (text, Some(x)) if !x.is_finite() => {
                            Err(rejection(number, field, text, "not_finite", "the coordinate is not a finite number"))
                        }
                        (_, Some(x)) => Ok(x),
                    }
                };
                Ok(Geometry::Point(Point::new(part(lon)?, part(lat)?)))
            }
            Position::Wkt(at) => {
                let field = &layout.names[at];
                let text = cell(at);
                if text.is_empty() {
                    return Err(rejection(number, field, "", "geometry_missing", "the cell is empty"));
                }
                let (geometry, srid) =
                    wkt::parse(text).map_err(|reason| rejection(number, field, text, "geometry_invalid", reason))?;
                if let Some(srid) = srid.filter(|srid| *srid != 0) {
                    // The first row speaks for the file.
                    if self.srid.is_none() {
                        self.rows.crs(FileCrs::Epsg(srid));
                    }
                    if *self.srid.get_or_insert(srid) != srid {
                        let reason = format!("SRID {srid} differs from the rows before");
                        return Err(rejection(number, field, text, "crs_mixed", reason));
                    }
                }
                geometry.ok_or_else(|| rejection(number, field, text, "geometry_missing", "the geometry is empty"))
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the record is too long")]
struct TooLong;

/// Lines that end in LF, all of them, so that rows can be counted; refuses to feed a record that grows without end (an
/// open quotation mark, a line of gigabytes).
struct Guarded<R> {
    reader: R,
    since_record: Rc<Cell<usize>>,
    limit: usize,
    after_cr: bool,
    last: u8,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_record.get() > self.limit {
            return Err(io::Error::other(TooLong));
        }
        loop {
            let read = self.reader.read(buffer)?;
            if read == 0 {
                if self.last == b'\n' || buffer.is_empty() {
                    return Ok(0);
                }
                self.last = b'\n';
                buffer[0] = b'\n';
                return Ok(1);
            }
            self.since_record.set(self.since_record.get() + read);
            let mut kept = 0;
            for at in 0..read {
                let byte = buffer[at];
                if !(byte == b'\n' && self.after_cr) {
                    buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
                self.after_cr = byte == b'\r';
            }
            if kept > 0 {
                self.last = buffer[kept - 1];
                return Ok(kept);
            }
        }
    }
}
