//! Tables as text, in and out: any of the usual encodings, delimiters and number forms.

pub(crate) mod columns;
mod rows;
mod text;
pub(crate) mod wkt;
mod write;

pub(crate) use rows::TableRows;
pub(crate) use text::{wide_encoding, wide_starts_with};
pub(crate) use write::CsvWriter;

use crate::encoding::Utf8;
use crate::file::{Continue, ReadError, ReadOptions, Rows, Tracked};
use csv::StringRecord;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

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
    let mut records = Records { path, reader, since_record, skip_lines, limit_bytes: options.max_line_bytes };
    let mut record = StringRecord::new();
    if !records.next(&mut record)? {
        return Err(ReadError::EmptyFile { path: path.to_path_buf() });
    }
    let headers = record.iter().map(str::to_owned).collect();
    let mut table = TableRows::new(path, options, rows, headers, delimiter != b',')?;
    while records.next(&mut record)? {
        table.record(&record)?;
    }
    table.finish()
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

struct Records<'a, R> {
    path: &'a Path,
    reader: csv::Reader<R>,
    since_record: Rc<Cell<usize>>,
    skip_lines: u64,
    limit_bytes: usize,
}

impl<R: Read> Records<'_, R> {
    /// The next record with its line; `Ok(false)` at the end.
    fn next(&mut self, record: &mut StringRecord) -> Result<bool, ReadError> {
        self.since_record.set(0);
        let row = self.reader.position().line() + self.skip_lines;
        let more = self.reader.read_record(record).map_err(|error| match error.kind() {
            csv::ErrorKind::Io(io) if io.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => {
                ReadError::LineTooLong { path: self.path.to_path_buf(), row, limit_bytes: self.limit_bytes as u64 }
            }
            csv::ErrorKind::Io(io) => ReadError::from_io(self.path, io),
            _ => ReadError::Corrupt { path: self.path.to_path_buf(), reason: error.to_string() },
        })?;
        // csv counts from before the blank lines that it skips: count back from the record's end instead. A record that
        // the file breaks off has no end.
        let inside = record.as_slice().bytes().filter(|byte| *byte == b'\n').count() as u64;
        let mut position = csv::Position::new();
        position.set_line((self.reader.position().line() + self.skip_lines).saturating_sub(1 + inside).max(row));
        record.set_position(Some(position));
        Ok(more)
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
