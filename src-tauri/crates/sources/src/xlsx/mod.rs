//! Office sheets in (ECMA-376, `.xlsx`): the chosen sheet's rows go the way of a CSV's.
//!
//! A reader of our own: calamine, the crate for this, reserves as many strings as the file says it has, and a few bytes
//! bring it to abort. Here nothing that the file states is believed: not the dimension of a sheet, not a count, not a
//! size in the archive. Formulas give the value that was last computed; nothing that a workbook links to is fetched.

mod dates;
mod sheet;
mod strings;
mod workbook;

use crate::csv::TableRows;
use crate::csv::columns;
use crate::file::{Continue, ReadError, ReadOptions, Rows, cut};
use crate::zipped::Zipped;
use csv::StringRecord;
use sheet::{Sheet, SheetRow};
use std::collections::HashMap;
use std::path::Path;
use workbook::Book;

/// Rows among which a sheet's header is looked for: titles, letterheads and notes stand above it.
const HEAD_ROWS: usize = 100;
const HEAD_BYTES: usize = 4 << 20;
/// Sheets that are looked into for a header.
const MAX_LOOKED_INTO: usize = 50;

pub(crate) use workbook::is_member;

pub(crate) fn read(
    path: &Path,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    let mut archive = Zipped::open(path)?;
    let book = Book::read(path, &mut archive)?;
    let chosen = choose(path, options, &mut archive, &book)?;
    if let Some(warning) = chosen.warning {
        rows.warn(warning);
    }
    let headers = chosen.header.columns.iter().map(|(_, name)| name.clone()).collect();
    // Numbers have a point; in a text that holds a number, people here write a comma.
    let mut table = TableRows::new(path, options, rows, headers, true)?;
    let mut sheet = Sheet::open(path, options, &mut archive, &book, chosen.member, progress)?;
    let places: HashMap<u32, usize> =
        chosen.header.columns.iter().enumerate().map(|(at, (column, _))| (*column, at)).collect();
    let mut row = SheetRow::default();
    let mut record = StringRecord::new();
    let mut beside = None;
    let mut below = 0_u64;
    while sheet.next(&mut row)? {
        if row.number <= chosen.header.row {
            continue;
        }
        below += u64::from(!row.is_blank());
        if below == 1 && is_numbering(&row) {
            continue;
        }
        record.clear();
        let mut texts = vec![""; places.len()];
        for cell in &row.cells {
            let text = row.text_of(cell);
            match places.get(&cell.column) {
                Some(at) => texts[*at] = text,
                None if text.trim().is_empty() => {}
                None => drop(beside.get_or_insert(row.number)),
            }
        }
        texts.iter().for_each(|text| record.push_field(text));
        let mut position = csv::Position::new();
        position.set_line(row.number);
        record.set_position(Some(position));
        table.record(&record)?;
    }
    if let Some(row) = beside {
        table.warn(format!("unnamed_column: cells without a header above them were left out, the first in row {row}"));
    }
    if let Some((count, row)) = sheet.errors {
        table.warn(format!(
            "cell_errors: {count} cells hold an error such as #N/A and count as empty, the first in row {row}"
        ));
    }
    if let Some((count, row)) = sheet.uncomputed {
        table.warn(format!(
            "formulas_not_computed: {count} formulas have no value and count as empty, the first in row {row}; open the file once in an office program and save it"
        ));
    }
    table.finish()
}

/// The columns that have a name, and the row that names them.
struct Header {
    row: u64,
    columns: Vec<(u32, String)>,
}

struct Chosen {
    member: usize,
    header: Header,
    warning: Option<String>,
}

/// The sheet of the name that is preferred; else, where a name was given, the only one whose head names a position, and
/// without one the first such, those in sight before the hidden ones.
///
/// # Errors
/// `several_tables` when a name was given that none has, and several could be meant.
fn choose(path: &Path, options: &ReadOptions, archive: &mut Zipped, book: &Book) -> Result<Chosen, ReadError> {
    let mut sheets: Vec<_> = book.sheets.iter().collect();
    sheets.sort_by_key(|sheet| sheet.hidden);
    let mut missed = false;
    if let Some(wanted) = &options.table {
        let folded = model::fold(wanted);
        let exact = sheets.iter().position(|sheet| sheet.name == *wanted);
        match exact.or_else(|| sheets.iter().position(|sheet| model::fold(&sheet.name) == folded)) {
            Some(at) => sheets = vec![sheets[at]],
            None => missed = true,
        }
    }
    let mut first: Option<(usize, Header)> = None;
    let mut fitting: Vec<(&str, usize, Header)> = Vec::new();
    for sheet in sheets.iter().take(MAX_LOOKED_INTO) {
        let Some((header, placed)) = header(path, options, archive, book, sheet.member)? else { continue };
        if placed {
            fitting.push((&sheet.name, sheet.member, header));
        } else if first.is_none() {
            first = Some((sheet.member, header));
        }
    }
    if missed && fitting.len() > 1 {
        let tables = fitting.iter().take(50).map(|(name, ..)| cut(name)).collect();
        return Err(ReadError::SeveralTables { path: path.to_path_buf(), tables });
    }
    let others: Vec<String> = fitting.iter().skip(1).map(|(name, _, _)| cut(name)).collect();
    if let Some((name, member, header)) = fitting.into_iter().next() {
        let warning = (!others.is_empty()).then(|| {
            format!(
                "several_sheets: the sheet {:?} was read; --table names another one: {}",
                cut(name),
                others.join(", ")
            )
        });
        return Ok(Chosen { member, header, warning });
    }
    match first {
        Some((member, header)) => Ok(Chosen { member, header, warning: None }),
        None if sheets.is_empty() => Err(ReadError::NoTable { path: path.to_path_buf() }),
        None => Err(ReadError::EmptyFile { path: path.to_path_buf() }),
    }
}

/// A sheet's header, and whether it names a position: the first row that does; else the one with most texts, so that the
/// error lists what a person takes for the columns.
fn header(
    path: &Path,
    options: &ReadOptions,
    archive: &mut Zipped,
    book: &Book,
    member: usize,
) -> Result<Option<(Header, bool)>, ReadError> {
    let mut go_on = |_, _| Continue::Yes;
    let mut sheet = Sheet::open(path, options, archive, book, member, &mut go_on)?;
    let mut head: Vec<SheetRow> = Vec::new();
    let mut bytes = 0;
    let mut row = SheetRow::default();
    while head.len() < HEAD_ROWS && bytes < HEAD_BYTES && sheet.next(&mut row)? {
        if !row.is_blank() {
            bytes += row.bytes();
            head.push(row.clone());
        }
    }
    let names = |at: usize| names(&head[at], at.checked_sub(1).map(|above| &head[above]));
    let unmapped = ReadOptions { map: Vec::new(), ..options.clone() };
    for options in [options, &unmapped] {
        for (at, row) in head.iter().enumerate() {
            let columns = names(at);
            let headers: Vec<String> = columns.iter().map(|(_, name)| name.clone()).collect();
            if columns::position(path, &headers, options).is_ok() {
                return Ok(Some((Header { row: row.number, columns }, true)));
            }
        }
    }
    let most = (0..head.len()).rev().max_by_key(|at| head[*at].texts());
    Ok(most.map(|at| (Header { row: head[at].number, columns: names(at) }, false)))
}

/// What a row calls the columns. Where headers go over two rows, the lower one is it, and the upper one names what is
/// empty in it.
fn names(row: &SheetRow, above: Option<&SheetRow>) -> Vec<(u32, String)> {
    let above = above.filter(|above| above.texts() >= 2 && above.number + 1 == row.number);
    let clean = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let own = row.cells.iter().map(|cell| (cell.column, clean(row.text_of(cell))));
    let upper =
        above.into_iter().flat_map(|above| above.cells.iter().map(|cell| (cell.column, clean(above.text_of(cell)))));
    let mut all: Vec<(u32, String)> = own.chain(upper).filter(|(_, name)| !name.is_empty()).collect();
    // Stable: of two, the row's own stays.
    all.sort_by_key(|(column, _)| *column);
    all.dedup_by_key(|(column, _)| *column);
    all
}

/// The row `(1) (2) (3) …` that stands below the header of many an official table.
fn is_numbering(row: &SheetRow) -> bool {
    let texts = row.cells.iter().map(|cell| row.text_of(cell).trim()).filter(|text| !text.is_empty());
    let bare = texts.map(|text| text.trim_matches(['(', ')', '[', ']']));
    let mut count = 0;
    let counts_up = bare.enumerate().all(|(at, text)| {
        count = at + 1;
        text.parse() == Ok(at + 1)
    });
    counts_up && count >= 3
}
