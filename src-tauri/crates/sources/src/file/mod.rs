//! Reading a file of features, whatever its ending says: sniff, stream, check each row, report.

mod claims;
mod error;
mod fields;
mod gate;
mod head;
mod ids;
mod intake;
mod place;
mod sniff;

pub use error::ReadError;
pub use head::{Columns, PositionColumn, cells, columns};
pub use sniff::{Format, sniff};

pub(crate) use error::Stopped;
pub(crate) use fields::Shapes;
pub(crate) use gate::{Gate, Judged, unharmed};
pub(crate) use intake::{FileCrs, Row, RowCheck, Rows};

use crate::encoding::TextEncoding;
use intake::Intake;
use model::{BBox, Feature, Field, GeometryKind, ReadReport, Rejection};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// What a bad row does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It costs that row, which goes into the report.
    #[default]
    Reject,
    /// It ends the read with [`ReadError::Row`].
    Abort,
}

/// The caller's answer to a progress call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continue {
    Yes,
    /// Ends the read with [`ReadError::Cancelled`].
    No,
}

/// What the caller does to a row before its turn, and whether that changed its shape; on any thread, in any order, also
/// for rows that are refused later. What it refuses is rejected, its id stays taken.
pub type Prepare<'a> = &'a (dyn Fn(u64, Feature) -> Result<(Feature, bool), Rejection> + Sync);

/// What somebody mended in a row before it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowEdit {
    /// North and east change places.
    pub swap: bool,
    /// Column, by the file's own name → what it is to say.
    pub cells: BTreeMap<String, String>,
}

/// Mended rows by their number, as rejections count them.
pub type Edits = HashMap<u64, RowEdit>;

/// How a file is to be read.
#[derive(Clone)]
pub struct ReadOptions<'a> {
    /// EPSG code that overrides what the file says about itself.
    pub crs: Option<u32>,
    /// `(field, column)`: the file's `column` becomes `field`. For CSV and XLSX `lon`, `lat` and `wkt` name the position.
    pub map: Vec<(String, String)>,
    pub on_error: OnError,
    /// The province in degrees, for the guard against mixed-up axes and systems.
    pub province: BBox,
    /// The property that holds the key; without it the feature's id, then `id`, `code`, `fid`, then the row number.
    pub id_field: Option<String>,
    /// The table, sheet or shapefile to prefer when the file holds several.
    pub table: Option<String>,
    /// How the text of tables is written, over what the file says about itself.
    pub encoding: Option<TextEncoding>,
    /// Longest row that is taken into memory.
    pub max_line_bytes: usize,
    /// Rows that somebody mended, by their number.
    pub edits: Option<Arc<Edits>>,
    /// Costly work on single rows, like the repair of shapes, that need not wait for the sink.
    pub prepare: Option<Prepare<'a>>,
}

impl fmt::Debug for ReadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { crs, map, on_error, province, id_field, table, encoding, max_line_bytes, edits, prepare } = self;
        f.debug_struct("ReadOptions")
            .field("crs", crs)
            .field("map", map)
            .field("on_error", on_error)
            .field("province", province)
            .field("id_field", id_field)
            .field("table", table)
            .field("encoding", encoding)
            .field("max_line_bytes", max_line_bytes)
            .field("edits", &edits.as_ref().map(|edits| edits.len()))
            .field("prepare", &prepare.is_some())
            .finish()
    }
}

impl ReadOptions<'_> {
    /// 64 MiB: the largest real feature, a national border to 10 m, has a third of it.
    pub const MAX_LINE_BYTES: usize = 64 << 20;

    /// Reject bad rows, no mapping, the file's own CRS.
    pub fn new(province: BBox) -> Self {
        Self {
            crs: None,
            map: Vec::new(),
            on_error: OnError::Reject,
            province,
            id_field: None,
            table: None,
            encoding: None,
            max_line_bytes: Self::MAX_LINE_BYTES,
            edits: None,
            prepare: None,
        }
    }

    /// The name that a column of the file gets.
    pub(crate) fn field_of<'b>(&'b self, column: &'b str) -> &'b str {
        self.map.iter().find(|(_, from)| from == column).map_or(column, |(field, _)| field)
    }
}

/// What a read found, beside the features themselves.
#[derive(Clone, Debug)]
pub struct ReadSummary {
    pub report: ReadReport,
    /// EPSG code that the file's numbers were taken in.
    pub crs: u32,
    /// The VN-2000 system that would put more rows into the province.
    pub likely_crs: Option<u32>,
    pub format: Format,
    /// The properties seen in accepted rows, in order of first appearance; titles are their names.
    pub fields: Vec<Field>,
    /// [`GeometryKind::Mixed`] when there are several kinds or no row at all.
    pub geometry: GeometryKind,
}

/// Reads a file feature by feature: WGS84 degrees, NFC text, unique ids. Geometries are as the file has them, unless
/// [`ReadOptions::prepare`] changes them: topology is not repaired here.
///
/// `sink` gets the row (1-based place in the file; for CSV the line, counting the header, for XLSX the sheet's own) and the feature, in the order
/// of the file and on the caller's thread; what it refuses is rejected. `progress` is called there too, with bytes done
/// and in all, every few hundred kilobytes and at least every 50 ms while it waits. GeoJSON is parsed and prepared by as
/// many threads as there are cores (at most six), in a few megabytes at a time; besides, memory holds 25 bytes a row for
/// ids that do not just count up, and at the start at most 16 MB of rows by which axes and ids are judged. A feature
/// larger than that is held alone, up to three times over (as text twice, and parsed).
///
/// # Errors
/// [`ReadError`], when the file as a whole cannot be read; features may have gone to the sink before. Bad rows are no
/// error: they are in the report, unless `on_error` says `Abort`. Never panics, whatever the bytes; a `prepare` that
/// does costs the row.
pub fn read_file(
    path: &Path,
    options: &ReadOptions<'_>,
    sink: &mut dyn FnMut(u64, Feature) -> Result<(), Rejection>,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<ReadSummary, ReadError> {
    let format = sniff(path)?;
    let gate = Gate::new(options, format);
    let progress = RefCell::new(progress);
    let reached = Cell::new((0, 0));
    let mut go_on = |done, total| {
        reached.set((done, total));
        (progress.borrow_mut())(done, total)
    };
    // Reading once more gets nowhere new, but may be stopped.
    let mut again = |rows: &mut dyn Rows| {
        let mut go_on = |_, _| (progress.borrow_mut())(reached.get().0, reached.get().1);
        read_rows(path, format, options, &Gate::new(options, format), rows, &mut go_on)
    };
    let mut intake = Intake::new(path, options, &gate, sink, &mut again);
    read_rows(path, format, options, &gate, &mut intake, &mut go_on)?;
    intake.finish(format)
}

/// One pass over the file's rows.
fn read_rows(
    path: &Path,
    format: Format,
    options: &ReadOptions<'_>,
    gate: &Gate<'_>,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    match format {
        Format::GeoJson | Format::GeoJsonSeq => crate::geojson::read(path, options, gate, rows, progress),
        Format::Csv => crate::csv::read(path, options, rows, progress),
        Format::Xlsx => crate::xlsx::read(path, options, rows, progress),
        Format::GeoPackage => crate::geopackage::read(path, options, rows, progress),
        Format::Shapefile => crate::shapefile::read(path, options, rows, progress),
        Format::Kml => crate::kml::read(path, options, rows, progress),
        Format::Dxf => crate::dxf::read(path, options, rows, progress),
        Format::FlatGeobuf => crate::flatgeobuf::read(path, options, rows, progress),
        Format::StationFile => Err(ReadError::WrongFormat {
            path: path.to_path_buf(),
            says: String::new(),
            is: "a station file of Circular 10/2021/TT-BTNMT, whose values belong to --layer observations".into(),
        }),
    }
}

/// A stream that tells how far it is and stops when told to.
pub(crate) struct Tracked<'a, R = File> {
    reader: R,
    done_bytes: u64,
    total_bytes: u64,
    progress: &'a mut dyn FnMut(u64, u64) -> Continue,
}

impl<'a> Tracked<'a> {
    pub(crate) fn open(path: &Path, progress: &'a mut dyn FnMut(u64, u64) -> Continue) -> Result<Self, ReadError> {
        let wrong = |error| ReadError::from_io(path, &error);
        let file = File::open(path).map_err(wrong)?;
        let total_bytes = file.metadata().map_err(wrong)?.len();
        Ok(Self::over(file, total_bytes, progress))
    }
}

impl<'a, R> Tracked<'a, R> {
    pub(crate) fn over(reader: R, total_bytes: u64, progress: &'a mut dyn FnMut(u64, u64) -> Continue) -> Self {
        Self { reader, done_bytes: 0, total_bytes, progress }
    }
}

impl<R: Read> Read for Tracked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.done_bytes += read as u64;
        match (self.progress)(self.done_bytes, self.total_bytes.max(self.done_bytes)) {
            Continue::Yes => Ok(read),
            Continue::No => Err(std::io::Error::other(Stopped)),
        }
    }
}

/// The fields that columns become: mapped by the caller and made unique; an empty name gets its number.
pub(crate) fn unique_fields(columns: &[String], options: &ReadOptions) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let field = options.field_of(column);
        let base = if field.is_empty() { format!("column_{}", at + 1) } else { field.to_owned() };
        let mut name = base.clone();
        let mut copy = 2;
        while names.contains(&name) {
            name = format!("{base}_{copy}");
            copy += 1;
        }
        names.push(name);
    }
    names
}

/// That every column the caller maps is there.
pub(crate) fn check_columns(path: &Path, options: &ReadOptions, columns: &[String]) -> Result<(), ReadError> {
    let missing = options.map.iter().find(|(_, column)| !columns.contains(column));
    missing.map_or(Ok(()), |(field, column)| {
        Err(ReadError::NoColumn {
            path: path.to_path_buf(),
            field: field.clone(),
            column: column.clone(),
            columns: columns.to_vec(),
        })
    })
}

/// A value cut to what a rejection may carry.
pub(crate) fn cut(value: &str) -> String {
    value.chars().take(80).collect()
}

/// A rejection with its value cut.
pub(crate) fn rejection(row: u64, field: &str, value: &str, code: &str, reason: impl Into<String>) -> Rejection {
    Rejection { row, field: field.to_owned(), value: cut(value), code: code.to_owned(), reason: reason.into() }
}

/// Text in storage form.
pub(crate) fn stored(text: &str) -> String {
    if is_plain(text.as_bytes()) { text.to_owned() } else { model::nfc(text) }
}

/// Whether the text holds nothing but ASCII, letters of U+0080 to U+02FF and of U+1E00 to U+1EFF: all that Vietnamese is
/// written with. None of these changes in NFC, nor does any join its neighbour (Unicode's NFC_QC is Yes, ccc is 0).
fn is_plain(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += match byte {
            0..0x80 => 1,
            0xc2..=0xcb => 2,
            0xe1 if matches!(text.get(at + 1), Some(0xb8..=0xbb)) => 3,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_letters_stay_as_they_are_beside_any_other() {
        let plain: Vec<char> = (char::MIN..='\u{ffff}').filter(|c| is_plain(c.to_string().as_bytes())).collect();
        assert!(
            plain.len() > 800
                && "Thửa đất ở Tây Ninh, Lộc Ninh, Thủ Dầu Một; Đường".chars().all(|c| plain.contains(&c))
        );
        for c in &plain {
            for other in ['a', 'ệ', 'Ơ', 'đ'] {
                let text: String = [other, *c, other].iter().collect();
                assert_eq!(model::nfc(&text), text);
            }
        }
        assert_eq!(stored("e\u{309}"), "\u{1ebb}");
    }
}
