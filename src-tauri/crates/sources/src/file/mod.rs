//! Reading a file of features, whatever its ending says: sniff, stream, check each row, report.

mod error;
mod fields;
mod ids;
mod intake;
mod place;
mod sniff;

pub use error::ReadError;
pub use sniff::{Format, sniff};

pub(crate) use error::Stopped;
pub(crate) use intake::{FileCrs, Row, RowCheck, Rows};

use intake::Intake;
use model::{BBox, Feature, Field, GeometryKind, ReadReport, Rejection};
use std::fs::File;
use std::io::Read;
use std::path::Path;

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

/// How a file is to be read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// EPSG code that overrides what the file says about itself.
    pub crs: Option<u32>,
    /// `(field, column)`: the file's `column` becomes `field`. For CSV `lon`, `lat` and `wkt` name the position.
    pub map: Vec<(String, String)>,
    pub on_error: OnError,
    /// The province in degrees, for the guard against mixed-up axes and systems.
    pub province: BBox,
    /// The property that holds the key; without it the feature's id, then `id`, `code`, `fid`, then the row number.
    pub id_field: Option<String>,
    /// The GeoPackage table to prefer when there are several.
    pub table: Option<String>,
    /// Longest row that is taken into memory.
    pub max_line_bytes: usize,
}

impl ReadOptions {
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
            max_line_bytes: Self::MAX_LINE_BYTES,
        }
    }

    /// The name that a column of the file gets.
    pub(crate) fn field_of<'a>(&'a self, column: &'a str) -> &'a str {
        self.map.iter().find(|(_, from)| from == column).map_or(column, |(field, _)| field)
    }
}

/// What a read found, beside the features themselves.
#[derive(Clone, Debug)]
pub struct ReadSummary {
    pub report: ReadReport,
    /// EPSG code that the file's numbers were taken in.
    pub crs: u32,
    pub format: Format,
    /// The properties seen in accepted rows, in order of first appearance; titles are their names.
    pub fields: Vec<Field>,
    /// [`GeometryKind::Mixed`] when there are several kinds or no row at all.
    pub geometry: GeometryKind,
}

/// Reads a file feature by feature: WGS84 degrees, NFC text, unique ids. Geometries are as the file has them: topology is
/// not repaired here.
///
/// `sink` gets the row (1-based place in the file; for CSV the line, counting the header) and the feature; what it
/// refuses is rejected. `progress` is called every few hundred kilobytes with bytes done and in all. Memory holds one
/// row and, at the start, at most 16 MB of rows by which axes and ids are judged.
///
/// # Errors
/// [`ReadError`], when the file as a whole cannot be read; features may have gone to the sink before. Bad rows are no
/// error: they are in the report, unless `on_error` says `Abort`. Never panics, whatever the bytes.
pub fn read_file(
    path: &Path,
    options: &ReadOptions,
    sink: &mut dyn FnMut(u64, Feature) -> Result<(), Rejection>,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<ReadSummary, ReadError> {
    let format = sniff(path)?;
    let mut again = |rows: &mut dyn Rows| read_rows(path, format, options, rows, &mut |_, _| Continue::Yes);
    let mut intake = Intake::new(path, options, sink, &mut again);
    read_rows(path, format, options, &mut intake, progress)?;
    intake.finish(format)
}

/// One pass over the file's rows.
fn read_rows(
    path: &Path,
    format: Format,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    match format {
        Format::GeoJson | Format::GeoJsonSeq => crate::geojson::read(path, options, rows, progress),
        Format::Csv => crate::csv::read(path, options, rows, progress),
        Format::GeoPackage => crate::geopackage::read(path, options, rows, progress),
    }
}

/// A file that tells how far it is and stops when told to.
pub(crate) struct Tracked<'a> {
    file: File,
    done_bytes: u64,
    total_bytes: u64,
    progress: &'a mut dyn FnMut(u64, u64) -> Continue,
}

impl<'a> Tracked<'a> {
    pub(crate) fn open(path: &Path, progress: &'a mut dyn FnMut(u64, u64) -> Continue) -> Result<Self, ReadError> {
        let wrong = |error| ReadError::from_io(path, &error);
        let file = File::open(path).map_err(wrong)?;
        let total_bytes = file.metadata().map_err(wrong)?.len();
        Ok(Self { file, done_bytes: 0, total_bytes, progress })
    }
}

impl Read for Tracked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.done_bytes += read as u64;
        match (self.progress)(self.done_bytes, self.total_bytes.max(self.done_bytes)) {
            Continue::Yes => Ok(read),
            Continue::No => Err(std::io::Error::other(Stopped)),
        }
    }
}

/// A value cut to what a rejection may carry.
pub(crate) fn cut(value: &str) -> String {
    value.chars().take(80).collect()
}

/// A rejection with its value cut.
pub(crate) fn rejection(row: u64, field: &str, value: &str, code: &str, reason: impl Into<String>) -> Rejection {
    Rejection { row, field: field.to_owned(), value: cut(value), code: code.to_owned(), reason: reason.into() }
}

/// Text in storage form; ASCII needs no work.
pub(crate) fn stored(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { model::nfc(text) }
}
