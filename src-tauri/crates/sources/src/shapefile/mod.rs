//! Shapefiles in: the `.shp` beside its `.dbf`, `.shx`, `.prj` and `.cpg`, or a ZIP archive that holds them.

mod rings;
mod shapes;
mod table;

use crate::encoding::{self, TextEncoding};
use crate::file::{
    Continue, FileCrs, ReadError, ReadOptions, Row, Rows, Tracked, check_columns, cut, unharmed, unique_fields,
};
use crate::zipped::Zipped;
use model::{NamedRows, Rejection};
use shapes::{HEADER_BYTES, Header};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use table::{Column, Table};

/// Longest `.prj` and `.cpg` that are looked at.
const SMALL_BYTES: u64 = 64 << 10;
/// So much of the table is searched for letters by which its encoding is judged, and so many of them are kept.
const SURVEY_BYTES: u64 = 64 << 20;
const SAMPLE_BYTES: usize = 256 << 10;

pub(crate) fn read(
    path: &Path,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    let mut magic = [0; 2];
    let mut file = File::open(path).map_err(|error| ReadError::from_io(path, &error))?;
    let read = file.read(&mut magic).map_err(|error| ReadError::from_io(path, &error))?;
    if read == 2 && &magic == b"PK" {
        return read_zipped(path, options, rows, progress);
    }
    let open = |ending: &str| -> Result<Option<File>, ReadError> {
        let Some(beside) = sibling(path, ending) else { return Ok(None) };
        File::open(&beside).map(Some).map_err(|error| ReadError::from_io(&beside, &error))
    };
    let small = |ending: &str| -> Result<Option<Vec<u8>>, ReadError> {
        let Some(file) = open(ending)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(SMALL_BYTES).read_to_end(&mut bytes).map_err(|error| ReadError::from_io(path, &error))?;
        Ok(Some(bytes))
    };
    let said = Said { crs: small("prj")?, encoding: small("cpg")? };
    let mut survey = open("dbf")?.map(BufReader::new);
    let mut dbf = open("dbf")?.map(BufReader::new);
    let mut shx = open("shx")?.map(BufReader::new);
    let attributes = Attributes::survey(path, options, &said, survey.as_mut().map(|dbf| dbf as &mut dyn Read), rows)?;
    let mut shp = BufReader::with_capacity(256 << 10, Tracked::open(path, progress)?);
    let parts = Parts {
        shp: &mut shp,
        shx: shx.as_mut().map(|shx| shx as &mut dyn Read),
        dbf: dbf.as_mut().map(|dbf| dbf as &mut dyn Read),
    };
    Reader { path, options, rows }.run(parts, &said, attributes)
}

/// A file's companion, whatever the letters' case of its ending.
fn sibling(path: &Path, ending: &str) -> Option<PathBuf> {
    [ending.to_owned(), ending.to_ascii_uppercase()]
        .into_iter()
        .map(|ending| path.with_extension(ending))
        .find(|beside| beside.is_file())
}

/// True for a member that is a shapefile and no leftover of macOS.
pub(crate) fn is_member(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.ends_with(".shp") && !lower.starts_with("__macosx/")
}

fn read_zipped(
    path: &Path,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    let mut archive = Zipped::open(path)?;
    let stem = chosen(path, archive.names(), options)?;
    let member = |ending: &str| format!("{stem}.{ending}");
    let said = Said {
        crs: archive.small(&member("prj"), SMALL_BYTES)?,
        encoding: archive.small(&member("cpg"), SMALL_BYTES)?,
    };
    let Some(at) = archive.find(&member("shp")) else { return Err(ReadError::NoTable { path: path.to_path_buf() }) };
    // Members are read side by side, each through an archive of its own.
    let mut others = [Zipped::open(path)?, Zipped::open(path)?];
    let attributes = {
        let mut dbf = match others[0].find(&member("dbf")) {
            Some(at) => Some(others[0].member(at)?.0),
            None => None,
        };
        Attributes::survey(path, options, &said, dbf.as_mut().map(|dbf| dbf as &mut dyn Read), rows)?
    };
    let [first, second] = &mut others;
    let mut dbf = match first.find(&member("dbf")) {
        Some(at) => Some(BufReader::new(first.member(at)?.0)),
        None => None,
    };
    let mut shx = match second.find(&member("shx")) {
        Some(at) => Some(BufReader::new(second.member(at)?.0)),
        None => None,
    };
    let (shp, total_bytes) = archive.member(at)?;
    let mut shp = BufReader::with_capacity(256 << 10, Tracked::over(shp, total_bytes, progress));
    let parts = Parts {
        shp: &mut shp,
        shx: shx.as_mut().map(|shx| shx as &mut dyn Read),
        dbf: dbf.as_mut().map(|dbf| dbf as &mut dyn Read),
    };
    Reader { path, options, rows }.run(parts, &said, attributes)
}

/// The one shapefile of an archive, or the one asked for, without its ending.
fn chosen(path: &Path, names: &[String], options: &ReadOptions) -> Result<String, ReadError> {
    let stems: Vec<&str> =
        names.iter().filter(|name| is_member(name)).filter_map(|name| name.get(..name.len() - 4)).collect();
    let last = |stem: &str| stem.rsplit('/').next().unwrap_or_default().to_lowercase();
    let wanted = options.table.as_deref().map(str::to_lowercase);
    let hinted = wanted.and_then(|wanted| {
        let wanted = wanted.strip_suffix(".shp").unwrap_or(&wanted).to_owned();
        stems.iter().find(|stem| stem.to_lowercase() == wanted || last(stem) == wanted)
    });
    match (hinted, stems.as_slice()) {
        (Some(stem), _) => Ok((*stem).to_owned()),
        (None, [stem]) => Ok((*stem).to_owned()),
        (None, []) => Err(ReadError::NoTable { path: path.to_path_buf() }),
        (None, several) => {
            let tables = several.iter().take(50).map(|stem| cut(stem)).collect();
            Err(ReadError::SeveralTables { path: path.to_path_buf(), tables })
        }
    }
}

/// What the small files beside say.
struct Said {
    crs: Option<Vec<u8>>,
    encoding: Option<Vec<u8>>,
}

struct Parts<'a> {
    shp: &'a mut dyn Read,
    shx: Option<&'a mut dyn Read>,
    dbf: Option<&'a mut dyn Read>,
}

/// The table's columns and the encoding of its text.
struct Attributes {
    table: Table,
    encoding: TextEncoding,
    fields: Vec<String>,
}

impl Attributes {
    /// Looks through the table once. `None` when there is no `.dbf`.
    fn survey(
        path: &Path,
        options: &ReadOptions,
        said: &Said,
        dbf: Option<&mut dyn Read>,
        rows: &mut dyn Rows,
    ) -> Result<Option<Self>, ReadError> {
        let Some(dbf) = dbf else {
            rows.warn("no_attributes: there is no .dbf beside it; the shapes have no attributes".into());
            return Ok(None);
        };
        let corrupt =
            |reason: String| ReadError::Corrupt { path: path.to_path_buf(), reason: format!("the .dbf: {reason}") };
        let read_all = |dbf: &mut dyn Read, len: usize, into: &mut Vec<u8>| -> Result<bool, ReadError> {
            let from = into.len();
            dbf.take(len as u64).read_to_end(into).map_err(|error| ReadError::from_io(path, &error))?;
            Ok(into.len() - from == len)
        };
        let mut head = Vec::new();
        let whole = read_all(dbf, 32, &mut head)?;
        let len = table::header_bytes(&head).filter(|_| whole).ok_or_else(|| corrupt("it has no header".into()))?;
        if !read_all(dbf, len - 32, &mut head)? {
            return Err(corrupt("it ends inside its header".into()));
        }
        let table = Table::read(&head).map_err(corrupt)?;
        let stated = options.encoding.or_else(|| stated(said, table.language, rows));
        let encoding = match stated {
            Some(encoding) => encoding,
            None => {
                let mut sample: Vec<Vec<u8>> = table.columns.iter().map(Column::name).map(<[u8]>::to_vec).collect();
                let (mut kept, mut seen) = (0, 0);
                let mut row = Vec::new();
                while kept < SAMPLE_BYTES && seen < SURVEY_BYTES {
                    row.clear();
                    if !read_all(dbf, table.row_bytes, &mut row)? {
                        break;
                    }
                    seen += row.len() as u64;
                    if row.is_ascii() || table::is_deleted(&row) {
                        continue;
                    }
                    let cells = table.columns.iter().filter(|column| column.is_text()).map(|column| column.cell(&row));
                    for cell in cells.filter(|cell| !cell.is_ascii()) {
                        kept += cell.len();
                        sample.push(cell.to_vec());
                    }
                }
                guessed(path, &sample, table.language, said, rows)?
            }
        };
        let names = table.names(encoding);
        check_columns(path, options, &names)?;
        let fields = unique_fields(&names, options);
        Ok(Some(Self { table, encoding, fields }))
    }

    fn row(&self, number: u64, row: &[u8], names: &mut NamedRows) -> Result<(), Rejection> {
        for (column, field) in self.table.columns.iter().zip(&self.fields) {
            if !column.is_memo() {
                names.push(field, table::value(number, field, column, row, self.encoding)?, str::to_owned);
            }
        }
        Ok(())
    }
}

/// What the `.cpg` says, or the language driver where its number means one code page.
fn stated(said: &Said, language: u8, rows: &mut dyn Rows) -> Option<TextEncoding> {
    if let Some(bytes) = &said.encoding {
        let name = String::from_utf8_lossy(bytes);
        let known = TextEncoding::by_name(name.trim());
        // "Latin 1" is what programs write that do not know better: the letters decide.
        if known.is_some_and(|encoding| encoding != TextEncoding::WINDOWS_1252) {
            return known;
        }
        if known.is_none() {
            rows.warn(format!(
                "encoding_unknown: the .cpg says {:?}, which is not known; the letters decide",
                cut(name.trim())
            ));
        }
        return None;
    }
    // 0x01, 0x02, 0x03, 0x57: the machine's own code page, whatever that was.
    let page = match language {
        0x13 | 0x7b => "932",
        0x4d | 0x7a => "936",
        0x4e | 0x79 => "949",
        0x4f | 0x78 => "950",
        0x50 | 0x7c => "874",
        0x7d => "1255",
        0x7e => "1256",
        0xc8 => "1250",
        0xc9 => "1251",
        0xca => "1254",
        0xcb => "1253",
        0xcc => "1257",
        _ => return None,
    };
    TextEncoding::by_name(page)
}

/// The encoding by the letters; western European where the table says so and nothing better fits.
fn guessed(
    path: &Path,
    sample: &[Vec<u8>],
    language: u8,
    said: &Said,
    rows: &mut dyn Rows,
) -> Result<TextEncoding, ReadError> {
    let named = said.encoding.as_ref().and_then(|name| TextEncoding::by_name(String::from_utf8_lossy(name).trim()));
    let western = named == Some(TextEncoding::WINDOWS_1252) || matches!(language, 0x03 | 0x57..=0x59);
    let western = western.then_some(TextEncoding::WINDOWS_1252);
    encoding::settle(path, "table", sample, western, rows)
}

struct Reader<'a> {
    path: &'a Path,
    options: &'a ReadOptions<'a>,
    rows: &'a mut dyn Rows,
}

impl Reader<'_> {
    fn run(mut self, parts: Parts<'_>, said: &Said, attributes: Option<Attributes>) -> Result<(), ReadError> {
        self.say_crs(said.crs.as_deref());
        let Parts { shp, shx, mut dbf } = parts;
        let mut head = [0; HEADER_BYTES];
        if fill(self.path, shp, &mut head)? < HEADER_BYTES {
            return Err(self.truncated(0));
        }
        let header = Header::read(&head)
            .map_err(|reason| ReadError::Corrupt { path: self.path.to_path_buf(), reason: reason.into() })?;
        let mut index = shx;
        if let Some(shx) = &mut index {
            fill(self.path, *shx, &mut head)?;
        }
        if let (Some(attributes), Some(dbf)) = (&attributes, &mut dbf) {
            let skipped = io::copy(&mut dbf.take(attributes.table.header_bytes as u64), &mut io::sink());
            skipped.map_err(|error| ReadError::from_io(self.path, &error))?;
        }
        let mut position = HEADER_BYTES as u64;
        let mut number = 0;
        let mut deleted = 0;
        let mut names = NamedRows::default();
        let mut content = Vec::new();
        let mut line = vec![0; attributes.as_ref().map_or(0, |attributes| attributes.table.row_bytes)];
        while position < header.bytes {
            position += self.gap(&mut index, shp, position, header.bytes)?;
            let mut record = [0; 8];
            if fill(self.path, shp, &mut record)? < record.len() {
                return Err(self.truncated(number));
            }
            let len = u64::from(u32::from_be_bytes([record[4], record[5], record[6], record[7]])) * 2;
            if len > self.options.max_line_bytes as u64 {
                let limit_bytes = self.options.max_line_bytes as u64;
                return Err(ReadError::LineTooLong { path: self.path.to_path_buf(), row: number + 1, limit_bytes });
            }
            content.clear();
            let read =
                shp.take(len).read_to_end(&mut content).map_err(|error| ReadError::from_io(self.path, &error))?;
            if (read as u64) < len {
                return Err(self.truncated(number));
            }
            position += 8 + len;
            number += 1;
            if let (Some(attributes), Some(dbf)) = (&attributes, &mut dbf) {
                if number <= attributes.table.rows {
                    if fill(self.path, *dbf, &mut line)? < line.len() {
                        return Err(self.truncated(number - 1));
                    }
                } else {
                    line.fill(b' ');
                }
                if table::is_deleted(&line) {
                    deleted += 1;
                    continue;
                }
            }
            names.begin();
            let geometry = unharmed(number, || shapes::geometry(number, &content)).and_then(|geometry| geometry);
            let properties = attributes.as_ref().map_or(Ok(()), |attributes| attributes.row(number, &line, &mut names));
            match geometry.and_then(|geometry| properties.map(|()| geometry)) {
                Ok(geometry) => {
                    let bytes = content.len() + line.len();
                    self.rows.row(Row { number, id: None, key: None, geometry, properties: names.end(), bytes })?;
                }
                Err(rejection) => self.rows.bad(rejection)?,
            }
        }
        if deleted > 0 {
            self.rows.warn(format!("deleted_rows: {deleted} rows are marked as deleted and were left out"));
        }
        if let Some(attributes) = &attributes {
            if attributes.table.rows != number {
                let rows = attributes.table.rows;
                self.rows.warn(format!(
                    "row_count: the .shp holds {number} shapes, the .dbf {rows} rows; they may not belong together"
                ));
            }
            if attributes.table.columns.iter().any(Column::is_memo) {
                self.rows.warn("memo_column: texts in a .dbt beside it were left out".into());
            }
        }
        Ok(())
    }

    fn say_crs(&mut self, prj: Option<&[u8]>) {
        let Some(text) = prj.map(String::from_utf8_lossy).filter(|text| !text.trim().is_empty()) else { return };
        let said = crate::crs::by_wkt(&text);
        self.rows.crs(said.unwrap_or_else(|| FileCrs::Named(cut(text.trim()))));
    }

    fn truncated(&self, last_good_row: u64) -> ReadError {
        ReadError::Truncated { path: self.path.to_path_buf(), last_good_row }
    }

    /// Skips to where the index has the next record, past what editing left behind, and says how far that was.
    fn gap(
        &self,
        index: &mut Option<&mut dyn Read>,
        shp: &mut dyn Read,
        position: u64,
        end: u64,
    ) -> Result<u64, ReadError> {
        let Some(shx) = index else { return Ok(0) };
        let mut entry = [0; 8];
        let whole = fill(self.path, *shx, &mut entry)? == entry.len();
        let offset = u64::from(u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]])) * 2;
        if !whole || !(position..end).contains(&offset) {
            // It does not belong to this file: the records follow each other then.
            *index = None;
            return Ok(0);
        }
        let skipped = io::copy(&mut shp.take(offset - position), &mut io::sink());
        skipped.map_err(|error| ReadError::from_io(self.path, &error))
    }
}

/// Fills the buffer as far as the stream goes.
fn fill(path: &Path, reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, ReadError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::from_io(path, &error)),
        }
    }
    Ok(filled)
}
