//! Why a file could not be read, with everything that a person needs to find the place.

use model::Rejection;
use std::path::{Path, PathBuf};

/// A read that ended before the file did. Every variant names the file; `code()` is the word for people's sentences.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{}: there is no such file", path.display())]
    NotFound { path: PathBuf },
    #[error("{}: no permission to read it", path.display())]
    NoPermission { path: PathBuf },
    #[error("{}: this is a folder, name a file in it", path.display())]
    Directory { path: PathBuf },
    #[error("{}: the file is empty", path.display())]
    EmptyFile { path: PathBuf },
    /// The bytes end inside a feature or before the document is closed.
    #[error("{}: the file ends too early, after row {last_good_row}; get a complete copy", path.display())]
    Truncated { path: PathBuf, last_good_row: u64 },
    /// `says` is what the ending promises (may be empty), `is` what the bytes are.
    #[error("{}: {}this is {is}; GeoJSON, GeoJSON lines, GeoPackage, shapefiles, KML, FlatGeobuf, DXF, XLSX, CSV and station files can be read", path.display(), promised(says))]
    WrongFormat { path: PathBuf, says: String, is: String },
    #[error("{}: the text is not readable from byte {offset} on ({reason}); save it as UTF-8", path.display())]
    Encoding { path: PathBuf, offset: u64, reason: String },
    #[error("{}: row {row} is longer than {limit_bytes} bytes", path.display())]
    LineTooLong { path: PathBuf, row: u64, limit_bytes: u64 },
    #[error("{}: line {line}, column {column}: {reason}", path.display())]
    Syntax { path: PathBuf, line: u64, column: u64, reason: String },
    /// A table without columns that say where its rows are.
    #[error("{}: no column holds a position; it has {}; name them with --map lon=… --map lat=… or --map wkt=…", path.display(), columns.join(", "))]
    NoGeometry { path: PathBuf, columns: Vec<String> },
    #[error("{}: --map {field}={column}: there is no column {column:?}; it has {}", path.display(), columns.join(", "))]
    NoColumn { path: PathBuf, field: String, column: String, columns: Vec<String> },
    /// Metres without a word on the grid. `propose` are EPSG codes, likeliest first.
    #[error("{}: {reason}{}", path.display(), proposal(propose))]
    CrsUnknown { path: PathBuf, reason: String, propose: Vec<u32> },
    #[error("{}: {reason}", path.display())]
    CrsUnsupported { path: PathBuf, epsg: u32, reason: String },
    #[error("{}: row {row} is nested more than {limit} levels deep", path.display())]
    TooDeep { path: PathBuf, row: u64, limit: u32 },
    /// A GeoPackage with several feature tables, an archive with several shapefiles, none of the hinted name.
    #[error("{}: it holds several tables ({}); say which one with --table", path.display(), tables.join(", "))]
    SeveralTables { path: PathBuf, tables: Vec<String> },
    #[error("{}: it holds no table of features", path.display())]
    NoTable { path: PathBuf },
    #[error("{}: the file is damaged: {reason}", path.display())]
    Corrupt { path: PathBuf, reason: String },
    /// Reading one row took so long that the file must be built to never end.
    #[error("{}: row {row} gives no answer within {secs} s; the file is not to be trusted", path.display())]
    TooSlow { path: PathBuf, row: u64, secs: u64 },
    #[error("{}: more than {count} rows are wrong; mend the file or the column mapping", path.display())]
    TooManyRejected { path: PathBuf, count: u64 },
    /// `OnError::Abort`: the first bad row.
    #[error("{}: row {}{}: {}", path.display(), rejection.row, in_field(&rejection.field), rejection.reason)]
    Row { path: PathBuf, rejection: Box<Rejection> },
    #[error("{}: cancelled", path.display())]
    Cancelled { path: PathBuf },
    #[error("{}: {reason}", path.display())]
    Io { path: PathBuf, reason: String },
}

fn promised(says: &str) -> String {
    if says.is_empty() { String::new() } else { format!("the name promises {says}, but ") }
}

fn proposal(propose: &[u32]) -> String {
    let codes: Vec<String> = propose.iter().map(|epsg| format!("--crs EPSG:{epsg}")).collect();
    match codes.is_empty() {
        true => "; say which system with --crs EPSG:n".into(),
        false => format!("; it fits {}", codes.join(" or ")),
    }
}

fn in_field(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(", {field}") }
}

impl ReadError {
    /// A stable word in snake_case. For [`ReadError::Row`] the rejection's own word.
    pub fn code(&self) -> &str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::NoPermission { .. } => "no_permission",
            Self::Directory { .. } => "directory",
            Self::EmptyFile { .. } => "empty_file",
            Self::Truncated { .. } => "truncated",
            Self::WrongFormat { .. } => "wrong_format",
            Self::Encoding { .. } => "encoding",
            Self::LineTooLong { .. } => "line_too_long",
            Self::Syntax { .. } => "syntax",
            Self::NoGeometry { .. } => "no_geometry",
            Self::NoColumn { .. } => "no_column",
            Self::CrsUnknown { .. } => "crs_unknown",
            Self::CrsUnsupported { .. } => "crs_unsupported",
            Self::TooDeep { .. } => "too_deep",
            Self::SeveralTables { .. } => "several_tables",
            Self::NoTable { .. } => "no_table",
            Self::Corrupt { .. } => "corrupt",
            Self::TooSlow { .. } => "too_slow",
            Self::TooManyRejected { .. } => "too_many_rejected",
            Self::Row { rejection, .. } => &rejection.code,
            Self::Cancelled { .. } => "cancelled",
            Self::Io { .. } => "io",
        }
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::NotFound { path }
            | Self::NoPermission { path }
            | Self::Directory { path }
            | Self::EmptyFile { path }
            | Self::Truncated { path, .. }
            | Self::WrongFormat { path, .. }
            | Self::Encoding { path, .. }
            | Self::LineTooLong { path, .. }
            | Self::Syntax { path, .. }
            | Self::NoGeometry { path, .. }
            | Self::NoColumn { path, .. }
            | Self::CrsUnknown { path, .. }
            | Self::CrsUnsupported { path, .. }
            | Self::TooDeep { path, .. }
            | Self::SeveralTables { path, .. }
            | Self::NoTable { path }
            | Self::Corrupt { path, .. }
            | Self::TooSlow { path, .. }
            | Self::TooManyRejected { path, .. }
            | Self::Row { path, .. }
            | Self::Cancelled { path }
            | Self::Io { path, .. } => path,
        }
    }

    /// The row at fault (for a truncated file the last good one), where there is one.
    pub fn row(&self) -> Option<u64> {
        match self {
            Self::Truncated { last_good_row: row, .. }
            | Self::LineTooLong { row, .. }
            | Self::TooDeep { row, .. }
            | Self::TooSlow { row, .. } => Some(*row),
            Self::Row { rejection, .. } => Some(rejection.row),
            _ => None,
        }
    }

    /// The field at fault, where there is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Row { rejection, .. } if !rejection.field.is_empty() => Some(&rejection.field),
            Self::NoColumn { field, .. } => Some(field),
            _ => None,
        }
    }

    /// What the system said about opening or reading `path`.
    pub(crate) fn from_io(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let path = path.to_path_buf();
        if error.get_ref().is_some_and(|inner| inner.is::<Stopped>()) {
            return Self::Cancelled { path };
        }
        match error.kind() {
            K::NotFound => Self::NotFound { path },
            K::PermissionDenied => Self::NoPermission { path },
            K::IsADirectory => Self::Directory { path },
            _ => Self::Io { path, reason: error.to_string() },
        }
    }
}

/// Travels inside an `io::Error` when the caller asked to stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped by the caller")]
pub(crate) struct Stopped;
