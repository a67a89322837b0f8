//! A look at a file before it is read: which attributes its first rows have.

use super::gate::{Gate, Passed};
use super::{Continue, FileCrs, ReadError, ReadOptions, Row, Rows, Shapes, read_rows, sniff};
use csv::StringRecord;
use model::{Names, Rejection, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Rows that are looked at.
const ROWS: usize = 1_000;
const BYTES: usize = 4 << 20;

/// What the rows of a file are called by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Attributes by the names that [`ReadOptions::map`] gives them, without those of the position.
    pub names: Vec<String>,
    /// A table's columns of the position.
    pub position: Vec<PositionColumn>,
    /// Some rows bring a key of their own, as GeoJSON features do.
    pub own_ids: bool,
}

/// A column of a table that the position stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionColumn {
    /// `lon`, `lat` or `wkt`; in a plane system east is `lon` and north is `lat`.
    pub part: &'static str,
    /// By the file's own name.
    pub column: String,
    /// The first value that says something.
    pub sample: Option<String>,
}

/// The attributes of a file's first thousand rows, in the order that they first appear in.
///
/// # Errors
/// As [`super::read_file`], as far as the first rows show it.
pub fn columns(path: &Path, options: &ReadOptions<'_>) -> Result<Columns, ReadError> {
    let mut head = Head { path, columns: Columns::default(), last: Names::default(), rows: 0, bytes: 0 };
    let format = sniff(path)?;
    match read_rows(path, format, options, &Gate::new(options, format), &mut head, &mut |_, _| Continue::Yes) {
        Err(ReadError::Cancelled { .. }) | Ok(()) => Ok(head.columns),
        Err(error) => Err(error),
    }
}

/// What some rows say, by column: a table's cells as they are written, the attributes of other formats. Rows that are no
/// rows are left out.
///
/// # Errors
/// As [`super::read_file`].
pub fn cells(path: &Path, options: &ReadOptions<'_>, wanted: &BTreeSet<u64>) -> Result<RowCells, ReadError> {
    let Some(last) = wanted.last() else { return Ok(RowCells::new()) };
    let mut looking = Looking { path, wanted, last: *last, found: RowCells::new() };
    let format = sniff(path)?;
    match read_rows(path, format, options, &Gate::new(options, format), &mut looking, &mut |_, _| Continue::Yes) {
        Err(ReadError::Cancelled { .. }) | Ok(()) => Ok(looking.found),
        Err(error) => Err(error),
    }
}

/// Row → column → what it says.
pub type RowCells = BTreeMap<u64, BTreeMap<String, String>>;

struct Looking<'a> {
    path: &'a Path,
    wanted: &'a BTreeSet<u64>,
    last: u64,
    found: RowCells,
}

impl Looking<'_> {
    fn past(&self, number: u64) -> Result<(), ReadError> {
        if number > self.last { Err(ReadError::Cancelled { path: self.path.to_path_buf() }) } else { Ok(()) }
    }
}

impl Rows for Looking<'_> {
    fn row(&mut self, row: Row) -> Result<(), ReadError> {
        if self.wanted.contains(&row.number) && !self.found.contains_key(&row.number) {
            let written = |value: &Value| match value {
                Value::Text(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            let cells = row.properties.iter().map(|(name, value)| (name.to_owned(), written(value)));
            self.found.insert(row.number, cells.collect());
        }
        self.past(row.number)
    }

    fn passed(&mut self, _: Passed, _: &mut Shapes) -> Result<(), ReadError> {
        Ok(())
    }

    fn bad(&mut self, rejection: Rejection) -> Result<(), ReadError> {
        self.past(rejection.row)
    }

    fn cells(&mut self, number: u64, headers: &[String], cells: &StringRecord) {
        if self.wanted.contains(&number) {
            let cells = headers.iter().zip(cells).map(|(header, cell)| (header.clone(), cell.trim().to_owned()));
            self.found.insert(number, cells.collect());
        }
    }

    fn crs(&mut self, _: FileCrs) {}

    fn warn(&mut self, _: String) {}
}

struct Head<'a> {
    path: &'a Path,
    columns: Columns,
    last: Names,
    rows: usize,
    bytes: usize,
}

impl Rows for Head<'_> {
    fn row(&mut self, row: Row) -> Result<(), ReadError> {
        self.columns.own_ids |= row.id.is_some();
        if !self.last.is(row.properties.names()) {
            self.last = row.properties.names().clone();
            for name in self.last.iter() {
                if !self.columns.names.iter().any(|known| known == name) {
                    self.columns.names.push(name.to_owned());
                }
            }
        }
        self.rows += 1;
        self.bytes += row.bytes;
        let enough = self.rows >= ROWS || self.bytes >= BYTES;
        if enough { Err(ReadError::Cancelled { path: self.path.to_path_buf() }) } else { Ok(()) }
    }

    fn passed(&mut self, _: Passed, _: &mut Shapes) -> Result<(), ReadError> {
        Ok(())
    }

    fn bad(&mut self, _: Rejection) -> Result<(), ReadError> {
        self.rows += 1;
        if self.rows >= ROWS { Err(ReadError::Cancelled { path: self.path.to_path_buf() }) } else { Ok(()) }
    }

    fn table(&mut self, headers: &[String], position: &[(&'static str, usize)]) {
        let column = |(part, at): &(&'static str, usize)| {
            Some(PositionColumn { part, column: headers.get(*at)?.clone(), sample: None })
        };
        self.columns.position = position.iter().filter_map(column).collect();
    }

    fn cells(&mut self, _: u64, headers: &[String], cells: &StringRecord) {
        for position in self.columns.position.iter_mut().filter(|position| position.sample.is_none()) {
            let at = headers.iter().position(|header| *header == position.column);
            let cell = at.and_then(|at| cells.get(at)).map(str::trim).filter(|cell| !cell.is_empty());
            position.sample = cell.map(str::to_owned);
        }
    }

    fn crs(&mut self, _: FileCrs) {}

    fn warn(&mut self, _: String) {}
}
