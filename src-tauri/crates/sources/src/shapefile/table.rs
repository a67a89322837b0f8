//! The `.dbf`: a dBASE III table of columns of fixed width.

use crate::encoding::TextEncoding;
use crate::file::{rejection, stored};
use model::{Rejection, Value};

const HEADER_BYTES: usize = 32;
const DELETED: u8 = b'*';

pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: u64,
    /// The code page's number in dBASE, 0 when it is not said.
    pub(super) language: u8,
    pub(super) row_bytes: usize,
    /// Bytes before the first row.
    pub(super) header_bytes: usize,
}

pub(super) struct Column {
    /// As the file has it; [`Table::names`] decodes.
    name: Vec<u8>,
    kind: u8,
    start: usize,
    len: usize,
    decimals: u8,
}

impl Column {
    pub(super) fn is_text(&self) -> bool {
        !matches!(self.kind, b'N' | b'F' | b'D' | b'L' | b'I' | b'O' | b'B' | b'+' | b'@' | b'M' | b'G' | b'P')
    }

    pub(super) fn is_memo(&self) -> bool {
        matches!(self.kind, b'M' | b'G' | b'P') || self.kind == b'B' && self.len != 8
    }

    pub(super) fn name(&self) -> &[u8] {
        trimmed(&self.name)
    }

    /// The column's bytes in a row.
    pub(super) fn cell<'a>(&self, row: &'a [u8]) -> &'a [u8] {
        trimmed(row.get(self.start..self.start + self.len).unwrap_or_default())
    }
}

/// The first bytes of the table, by which [`Table::read`] knows how many it needs.
pub(super) fn header_bytes(head: &[u8]) -> Option<usize> {
    let bytes = usize::from(u16::from_le_bytes([*head.get(8)?, *head.get(9)?]));
    (bytes > HEADER_BYTES).then_some(bytes)
}

impl Table {
    /// `head`: all of the header.
    pub(super) fn read(head: &[u8]) -> Result<Self, String> {
        let row_bytes = usize::from(u16::from_le_bytes([head[10], head[11]]));
        let rows = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let mut columns = Vec::new();
        let mut start = 1;
        for descriptor in head[HEADER_BYTES..].chunks_exact(32) {
            if descriptor[0] == 0x0d {
                break;
            }
            let name = descriptor[..11].split(|b| *b == 0).next().unwrap_or_default().to_vec();
            let kind = descriptor[11].to_ascii_uppercase();
            // Text longer than 255 bytes keeps its length's upper half where numbers keep their decimals.
            let wide = if kind == b'C' { usize::from(descriptor[17]) << 8 } else { 0 };
            let len = usize::from(descriptor[16]) + wide;
            columns.push(Column { name, kind, start, len, decimals: descriptor[17] });
            start += len;
        }
        if columns.is_empty() || start > row_bytes {
            return Err(format!("its columns take {start} bytes, but it says that a row has {row_bytes}"));
        }
        Ok(Self { columns, rows: u64::from(rows), language: head[29], row_bytes, header_bytes: head.len() })
    }

    pub(super) fn names(&self, encoding: TextEncoding) -> Vec<String> {
        let name = |column: &Column| {
            let name = column.name();
            encoding.decode(name).unwrap_or_else(|| stored(&String::from_utf8_lossy(name)))
        };
        self.columns.iter().map(name).collect()
    }
}

/// True for a row that was deleted and not yet cleared away.
pub(super) fn is_deleted(row: &[u8]) -> bool {
    row.first() == Some(&DELETED)
}

/// A column's value in a row.
pub(super) fn value(
    number: u64,
    name: &str,
    column: &Column,
    row: &[u8],
    encoding: TextEncoding,
) -> Result<Value, Rejection> {
    let cell = column.cell(row);
    let shown = || String::from_utf8_lossy(cell).into_owned();
    let raw = row.get(column.start..column.start + column.len).unwrap_or_default();
    match column.kind {
        b'I' | b'+' => {
            Ok(raw.first_chunk().map_or(Value::Null, |bytes| Value::Integer(i64::from(i32::from_le_bytes(*bytes)))))
        }
        b'O' | b'B' if column.len == 8 => match raw.first_chunk().map(|bytes| f64::from_le_bytes(*bytes)) {
            Some(x) if x.is_finite() => Ok(Value::Real(x)),
            Some(x) => Err(rejection(number, name, &x.to_string(), "not_finite", "the value is not a finite number")),
            None => Ok(Value::Null),
        },
        b'@' => Ok(Value::Null),
        _ if cell.is_empty() => Ok(Value::Null),
        b'N' | b'F' => {
            // Stars stand for a number that did not fit, or for none.
            if cell.iter().all(|b| *b == b'*') {
                return Ok(Value::Null);
            }
            let text = std::str::from_utf8(cell).ok();
            let whole = text.filter(|_| column.decimals == 0).and_then(|text| text.parse().ok());
            let real = || text.and_then(|text| text.replace(',', ".").parse::<f64>().ok()).filter(|x| x.is_finite());
            whole
                .map(Value::Integer)
                .or_else(|| real().map(Value::Real))
                .ok_or_else(|| rejection(number, name, &shown(), "field_type", "this is no number"))
        }
        b'D' => {
            let digits = cell.len() == 8 && cell.iter().all(u8::is_ascii_digit);
            match digits {
                _ if cell.iter().all(|b| *b == b'0') => Ok(Value::Null),
                true => {
                    let text = shown();
                    Ok(Value::Text(format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..])))
                }
                false => Err(rejection(number, name, &shown(), "field_type", "this is no date")),
            }
        }
        b'L' => Ok(match cell[0] {
            b'T' | b't' | b'Y' | b'y' => Value::Bool(true),
            b'F' | b'f' | b'N' | b'n' => Value::Bool(false),
            _ => Value::Null,
        }),
        _ => encoding.decode(cell).map(Value::Text).ok_or_else(|| {
            let reason = format!("the text is not {}; say what it is with --encoding", encoding.name());
            rejection(number, name, &shown(), "encoding", reason)
        }),
    }
}

/// Blanks fill a cell up to its width, zero bytes too in some programs.
fn trimmed(cell: &[u8]) -> &[u8] {
    let cell = cell.iter().position(|b| *b == 0).map_or(cell, |end| &cell[..end]);
    let end = cell.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
    let cell = &cell[..end];
    &cell[cell.iter().position(|b| *b != b' ').unwrap_or(0)..]
}
