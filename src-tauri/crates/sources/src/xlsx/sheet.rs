//! The cells of a sheet, row by row, as text in the form of a CSV's.

use super::dates::Shown;
use super::strings::{Inside, NO_DOCTYPE, unescaped, wrong};
use super::workbook::Book;
use crate::encoding::{TextEncoding, Utf8};
use crate::file::{Continue, ReadError, ReadOptions, Tracked};
use crate::out::value_text;
use crate::xml::{Limited, resolve};
use crate::zipped::Zipped;
use model::Value;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use std::cell::Cell as Shared;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

/// The last row and column that a sheet can have.
const MAX_ROW: u64 = 1_048_576;
const MAX_COLUMN: u32 = 16_384;

/// A cell with its place in the text of its row.
#[derive(Clone)]
pub(super) struct Cell {
    /// From 0.
    pub(super) column: u32,
    text: Range<usize>,
    /// Not a number, a date or the like.
    is_text: bool,
}

/// A row with the cells that are not empty.
#[derive(Clone, Default)]
pub(super) struct SheetRow {
    /// As the sheet counts it, from 1.
    pub(super) number: u64,
    pub(super) cells: Vec<Cell>,
    text: String,
}

impl SheetRow {
    pub(super) fn text_of(&self, cell: &Cell) -> &str {
        self.text.get(cell.text.clone()).unwrap_or_default()
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// How many cells hold words.
    pub(super) fn texts(&self) -> usize {
        self.cells.iter().filter(|cell| cell.is_text && !self.text_of(cell).trim().is_empty()).count()
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.cells.len() * size_of::<Cell>()
    }
}

/// What a cell's value means.
#[derive(Clone, Copy, PartialEq)]
enum Type {
    Number,
    /// A number of the workbook's texts.
    Shared,
    /// In `is`.
    Inline,
    Text,
    Boolean,
    Error,
    Date,
}

/// The cell under way.
struct Open {
    column: u32,
    kind: Type,
    style: usize,
    formula: bool,
    value: String,
}

pub(super) struct Sheet<'a, R: Read> {
    path: &'a Path,
    book: &'a Book,
    xml: quick_xml::Reader<BufReader<Limited<R>>>,
    since: Rc<Shared<usize>>,
    limit_bytes: usize,
    buffer: Vec<u8>,
    in_rows: bool,
    done: bool,
    row: u64,
    column: u32,
    open: Option<Open>,
    in_value: bool,
    inside: Inside,
    /// Cells with an error instead of a value: how many, and the row of the first.
    pub(super) errors: Option<(u64, u64)>,
    /// Formulas without a value, likewise.
    pub(super) uncomputed: Option<(u64, u64)>,
}

impl<'a> Sheet<'a, Box<dyn Read + 'a>> {
    pub(super) fn open(
        path: &'a Path,
        options: &ReadOptions,
        archive: &'a mut Zipped,
        book: &'a Book,
        member: usize,
        progress: &'a mut dyn FnMut(u64, u64) -> Continue,
    ) -> Result<Self, ReadError> {
        let (member, total_bytes) = archive.member(member)?;
        let input = Utf8::new(Tracked::over(member, total_bytes, progress), TextEncoding::UTF_8);
        let since = Rc::new(Shared::new(0));
        let limit_bytes = options.max_line_bytes;
        let limited = Limited::new(Box::new(input) as Box<dyn Read + 'a>, since.clone(), limit_bytes);
        Ok(Self {
            path,
            book,
            xml: quick_xml::Reader::from_reader(BufReader::with_capacity(64 << 10, limited)),
            since,
            limit_bytes,
            buffer: Vec::new(),
            in_rows: false,
            done: false,
            row: 0,
            column: 0,
            open: None,
            in_value: false,
            inside: Inside::default(),
            errors: None,
            uncomputed: None,
        })
    }
}

impl<R: Read> Sheet<'_, R> {
    /// The next row that the sheet writes down, into `row`; `Ok(false)` after the last.
    pub(super) fn next(&mut self, row: &mut SheetRow) -> Result<bool, ReadError> {
        row.cells.clear();
        row.text.clear();
        self.since.set(0);
        let mut buffer = std::mem::take(&mut self.buffer);
        while !self.done {
            buffer.clear();
            match self.xml.read_event_into(&mut buffer).map_err(|error| self.too_long(&error))? {
                Event::Start(element) => self.start(&element)?,
                Event::Empty(element) => match element.local_name().as_ref() {
                    "row" | "f" => self.start(&element)?,
                    "c" => {
                        self.start(&element)?;
                        self.open = None;
                    }
                    "sheetData" => self.done = true,
                    _ => {}
                },
                Event::End(element) => match element.local_name().as_ref() {
                    "row" if self.in_rows => {
                        row.number = self.row;
                        self.buffer = buffer;
                        return Ok(true);
                    }
                    "c" => self.close(row)?,
                    "v" => self.in_value = false,
                    "sheetData" => self.done = true,
                    name => drop(self.inside.end(name)),
                },
                Event::Text(text) => self.push(&text.xml10_content()),
                Event::CData(text) => self.push(&text.xml10_content()),
                Event::GeneralRef(entity) => {
                    let letter = resolve(&entity).map_err(|reason| self.corrupt(reason))?;
                    self.push(&letter);
                }
                Event::DocType(_) => return Err(self.corrupt(NO_DOCTYPE.into())),
                Event::Eof if self.in_rows => {
                    return Err(ReadError::Truncated { path: self.path.to_path_buf(), last_good_row: self.row });
                }
                // A sheet of a chart alone has no rows.
                Event::Eof => self.done = true,
                _ => {}
            }
            if !self.in_rows {
                self.since.set(0);
            }
        }
        self.buffer = buffer;
        Ok(false)
    }

    fn corrupt(&self, reason: String) -> ReadError {
        ReadError::Corrupt { path: self.path.to_path_buf(), reason }
    }

    fn line_too_long(&self) -> ReadError {
        ReadError::LineTooLong { path: self.path.to_path_buf(), row: self.row, limit_bytes: self.limit_bytes as u64 }
    }

    fn too_long(&self, error: &quick_xml::Error) -> ReadError {
        let long = matches!(error, quick_xml::Error::Io(io) if io.get_ref().is_some_and(|inner| inner.is::<crate::xml::TooLong>()));
        if long && self.in_rows { self.line_too_long() } else { wrong(self.path, error, self.row) }
    }

    fn push(&mut self, text: &str) {
        let wanted = self.in_value || self.inside.wanted();
        if let Some(open) = self.open.as_mut().filter(|_| wanted) {
            open.value.push_str(text);
        }
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), ReadError> {
        match element.local_name().as_ref() {
            "sheetData" => self.in_rows = true,
            "row" if self.in_rows => {
                let stated = self.attribute(element, "r")?.and_then(|text| text.parse().ok());
                self.row = stated.unwrap_or(self.row + 1);
                self.column = 0;
                if self.row > MAX_ROW {
                    return Err(self.corrupt(format!("a row {}, which no sheet has", self.row)));
                }
            }
            "c" if self.in_rows => {
                let place = self.attribute(element, "r")?;
                let column = place.as_deref().and_then(column).unwrap_or(self.column);
                if column >= MAX_COLUMN {
                    return Err(self.corrupt(format!("row {} goes beyond the last column of a sheet", self.row)));
                }
                self.column = column + 1;
                let kind = match self.attribute(element, "t")?.as_deref() {
                    Some("s") => Type::Shared,
                    Some("inlineStr") => Type::Inline,
                    Some("str") => Type::Text,
                    Some("b") => Type::Boolean,
                    Some("e") => Type::Error,
                    Some("d") => Type::Date,
                    _ => Type::Number,
                };
                let style = self.attribute(element, "s")?.and_then(|text| text.parse().ok()).unwrap_or(0);
                self.open = Some(Open { column, kind, style, formula: false, value: String::new() });
                self.in_value = false;
                self.inside = Inside::default();
            }
            "v" => self.in_value = self.open.as_ref().is_some_and(|open| open.kind != Type::Inline),
            "f" => {
                if let Some(open) = &mut self.open {
                    open.formula = true;
                }
            }
            name => self.inside.start(name),
        }
        Ok(())
    }

    fn attribute(&self, element: &BytesStart<'_>, wanted: &str) -> Result<Option<String>, ReadError> {
        let Some(found) = element.try_get_attribute(wanted).ok().flatten() else { return Ok(None) };
        let value = found.normalized_value(XmlVersion::Implicit1_0);
        value.map(|value| Some(value.into_owned())).map_err(|error| wrong(self.path, &error, self.row))
    }

    /// Puts the cell under way into its row.
    fn close(&mut self, row: &mut SheetRow) -> Result<(), ReadError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let from = row.text.len();
        let value = open.value.trim();
        let count = |counted: &mut Option<(u64, u64)>| {
            let (known, first) = counted.unwrap_or((0, self.row));
            *counted = Some((known + 1, first));
        };
        if open.formula && value.is_empty() && open.kind != Type::Text {
            count(&mut self.uncomputed);
        }
        match open.kind {
            Type::Error => count(&mut self.errors),
            Type::Shared => {
                let text = value.parse().ok().and_then(|at| self.book.strings.get(at));
                row.text.push_str(&unescaped(text.unwrap_or_default()));
            }
            Type::Inline | Type::Text => row.text.push_str(&unescaped(&open.value)),
            Type::Boolean => row.text.push_str(match value {
                "1" => "true",
                "0" => "false",
                other => other,
            }),
            Type::Date => row.text.push_str(value),
            Type::Number => row.text.push_str(&self.number(value, open.style)),
        }
        if row.text.len() > from {
            let is_text = matches!(open.kind, Type::Shared | Type::Inline | Type::Text);
            row.cells.push(Cell { column: open.column, text: from..row.text.len(), is_text });
        }
        if row.bytes() > self.limit_bytes { Err(self.line_too_long()) } else { Ok(()) }
    }

    fn number(&self, value: &str, style: usize) -> String {
        let shown = self.book.styles.get(style).copied().unwrap_or_default();
        let Ok(number) = value.parse::<f64>() else { return value.to_owned() };
        if shown != Shown::Number
            && let Some(text) = shown.text(number, self.book.epoch_1904)
        {
            return text;
        }
        // What is no plain number (1E5) gets the form that ours have; a plain one keeps every digit.
        if value.contains(['e', 'E']) && number.is_finite() {
            value_text(&Value::Real(number))
        } else {
            value.to_owned()
        }
    }
}

/// The column of a cell's name, `AB12`, from 0.
fn column(place: &str) -> Option<u32> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic);
    let number =
        letters.take(8).fold(0_u64, |sum, letter| sum * 26 + u64::from(letter.to_ascii_uppercase() - b'A') + 1);
    u32::try_from(number).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_letters() {
        for (place, number) in
            [("A1", Some(0)), ("Z9", Some(25)), ("AA1", Some(26)), ("XFD1048576", Some(16_383)), ("12", None)]
        {
            assert_eq!(column(place), number, "{place}");
        }
        assert!(column("ZZZZZZZZZ1").is_none_or(|column| column >= MAX_COLUMN));
    }
}
