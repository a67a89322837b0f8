//! The rows of a table, whatever file holds it: a position by the columns' names, a type by their first values.

use super::columns::{self, Kind, Position};
use super::wkt;
use crate::file::{Edits, FileCrs, ReadError, ReadOptions, Row, Rows, rejection, stored, unique_fields};
use csv::StringRecord;
use geo_types::{Geometry, Point};
use model::{NamedRows, Rejection};
use std::path::Path;
use std::sync::Arc;

const MAX_COLUMNS: usize = 2_000;
/// Rows by which the columns' types are judged.
const HEAD_ROWS: usize = 1_000;
const HEAD_BYTES: usize = 8 << 20;

/// Takes a table's records, the header first; a record's line is its row.
pub(crate) struct TableRows<'a> {
    rows: &'a mut dyn Rows,
    /// Rows that somebody mended.
    edits: Option<Arc<Edits>>,
    /// Numbers may have a comma before their fraction.
    decimal_comma: bool,
    headers: Vec<String>,
    /// Field names as the caller maps them.
    fields: Vec<String>,
    position: Position,
    /// Known once the head is judged.
    kinds: Option<Vec<Kind>>,
    head: Vec<StringRecord>,
    head_bytes: usize,
    names: NamedRows,
    /// What the first row's EWKT says.
    srid: Option<u32>,
}

impl<'a> TableRows<'a> {
    /// # Errors
    /// `no_geometry`, `no_column`; `corrupt` for more columns than any table has.
    pub(crate) fn new(
        path: &Path,
        options: &ReadOptions,
        rows: &'a mut dyn Rows,
        headers: Vec<String>,
        decimal_comma: bool,
    ) -> Result<Self, ReadError> {
        let headers: Vec<String> = headers.iter().map(|header| stored(header.trim())).collect();
        if headers.len() > MAX_COLUMNS {
            let reason = format!("{} columns; no table has more than {MAX_COLUMNS}", headers.len());
            return Err(ReadError::Corrupt { path: path.to_path_buf(), reason });
        }
        let position = columns::position(path, &headers, options)?;
        let fields = unique_fields(&headers, options);
        rows.table(&headers, position.columns().as_slice());
        Ok(Self {
            rows,
            edits: options.edits.clone(),
            decimal_comma,
            headers,
            fields,
            position,
            kinds: None,
            head: Vec::new(),
            head_bytes: 0,
            names: NamedRows::default(),
            srid: None,
        })
    }

    pub(crate) fn record(&mut self, record: &StringRecord) -> Result<(), ReadError> {
        if self.kinds.is_some() {
            return self.take(record);
        }
        self.head_bytes += record.as_slice().len();
        self.head.push(record.clone());
        if self.head.len() >= HEAD_ROWS || self.head_bytes >= HEAD_BYTES { self.settle() } else { Ok(()) }
    }

    /// What is still held back goes through.
    pub(crate) fn finish(mut self) -> Result<(), ReadError> {
        self.settle()
    }

    fn settle(&mut self) -> Result<(), ReadError> {
        let head = std::mem::take(&mut self.head);
        if self.kinds.is_none() {
            // A row without a position is refused: a sum below the table must not make numbers into texts.
            let place = match self.position {
                Position::LonLat(lon, _) => lon,
                Position::Wkt(wkt) => wkt,
            };
            let placed = || head.iter().filter(|row| row.get(place).is_some_and(|cell| !cell.trim().is_empty()));
            let cells = |at: usize| placed().filter_map(move |row| row.get(at));
            let kinds = self.headers.iter().enumerate();
            self.kinds = Some(kinds.map(|(at, name)| columns::kind(name, cells(at), self.decimal_comma)).collect());
        }
        head.iter().try_for_each(|record| self.take(record))
    }

    fn take(&mut self, record: &StringRecord) -> Result<(), ReadError> {
        let number = record.position().map_or(0, csv::Position::line);
        let mended = self.edits.as_ref().and_then(|edits| edits.get(&number)).map(|edit| {
            let cells = record.iter().zip(&self.headers);
            let cells = cells.map(|(cell, header)| edit.cells.get(header).map_or(cell, String::as_str));
            cells.chain(record.iter().skip(self.headers.len())).collect::<StringRecord>()
        });
        let record = mended.as_ref().unwrap_or(record);
        self.rows.cells(number, &self.headers, record);
        // A line of nothing but delimiters, as spreadsheets leave them behind.
        if record.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        match self.row(record, number) {
            Ok(row) => self.rows.row(row),
            Err(rejection) => self.rows.bad(rejection),
        }
    }

    fn row(&mut self, record: &StringRecord, number: u64) -> Result<Row, Rejection> {
        let found = record.len();
        let wanted = self.fields.len();
        let surplus = record.iter().skip(wanted).any(|cell| !cell.trim().is_empty());
        if found < wanted || surplus {
            let reason = format!("the row has {found} cells, the header {wanted}");
            return Err(rejection(number, "", record.get(0).unwrap_or_default(), "column_count", reason));
        }
        if let Some(cell) = record.iter().find(|cell| cell.contains('\u{fffd}')) {
            return Err(rejection(number, "", cell, "encoding", "the text holds characters that cannot be read"));
        }
        let geometry = self.geometry(record, number)?;
        let kinds = self.kinds.as_deref().unwrap_or_default();
        self.names.begin();
        for (at, (cell, kind)) in record.iter().zip(kinds).enumerate() {
            let in_position = match self.position {
                Position::LonLat(lon, lat) => at == lon || at == lat,
                Position::Wkt(wkt) => at == wkt,
            };
            if !in_position {
                self.names.push(&self.fields[at], columns::value(cell, *kind, self.decimal_comma), str::to_owned);
            }
        }
        let properties = self.names.end();
        Ok(Row { number, id: None, key: None, geometry, properties, bytes: record.as_slice().len() })
    }

    fn geometry(&mut self, record: &StringRecord, number: u64) -> Result<Geometry<f64>, Rejection> {
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        match self.position {
            Position::LonLat(lon, lat) => {
                let part = |at: usize| {
                    let field = &self.fields[at];
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
                let field = &self.fields[at];
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

    /// What the reader of the file has to say about it.
    pub(crate) fn warn(&mut self, sentence: String) {
        self.rows.warn(sentence);
    }
}
