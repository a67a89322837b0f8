//! A look at a file before it is read: which attributes its first rows have.

use super::gate::{Gate, Passed};
use super::{Continue, FileCrs, ReadError, ReadOptions, Row, Rows, Shapes, read_rows, sniff};
use model::{Names, Rejection};
use std::path::Path;

/// Rows that are looked at.
const ROWS: usize = 1_000;
const BYTES: usize = 4 << 20;

/// What the rows of a file are called by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Attributes by the names that [`ReadOptions::map`] gives them, without those of the position.
    pub names: Vec<String>,
    /// Some rows bring a key of their own, as GeoJSON features do.
    pub own_ids: bool,
}

/// The attributes of a file's first thousand rows, in the order that they first appear in.
///
/// # Errors
/// As [`super::read_file`], as far as the first rows show it.
pub fn columns(path: &Path, options: &ReadOptions<'_>) -> Result<Columns, ReadError> {
    let mut head = Head { path, columns: Columns::default(), last: Names::default(), rows: 0, bytes: 0 };
    let format = sniff(path)?;
    match read_rows(path, format, options, &Gate::new(options), &mut head, &mut |_, _| Continue::Yes) {
        Err(ReadError::Cancelled { .. }) | Ok(()) => Ok(head.columns),
        Err(error) => Err(error),
    }
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

    fn crs(&mut self, _: FileCrs) {}

    fn warn(&mut self, _: String) {}
}
