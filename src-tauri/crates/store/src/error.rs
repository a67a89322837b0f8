use model::LayerId;
use rusqlite::ffi;
use std::path::{Path, PathBuf};

/// Why something could not be kept or read. Nothing is half done when one of these comes back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: the disk is full; nothing was changed", path.display())]
    Full { path: PathBuf },
    #[error("{}: cannot be written: {reason}", path.display())]
    NotWritable { path: PathBuf, reason: String },
    /// The file is damaged or not ours; [`crate::Cache::open_or_rebuild`] sets it aside.
    #[error("{}: damaged: {reason}", path.display())]
    Corrupt { path: PathBuf, reason: String },
    /// Written by a later version of this program: not damaged, but not readable here.
    #[error("{}: has format {found}, this program knows up to {known}; update the program", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// Another process held the file for longer than the time we wait.
    #[error("{}: another program is writing to it; try again", path.display())]
    Busy { path: PathBuf },
    #[error("{}: {doing}: input or output error: {reason}", path.display())]
    Io { path: PathBuf, doing: &'static str, reason: String },
    #[error("{}: {doing}: {source}", path.display())]
    Sqlite { path: PathBuf, doing: &'static str, source: rusqlite::Error },
    #[error("there is no layer {layer} in the cache")]
    UnknownLayer { layer: LayerId },
    #[error("layer {layer}: two features have the id {id:?}")]
    Duplicate { layer: LayerId, id: String },
    #[error("layer {layer}, feature {feature:?}: {reason}")]
    Geometry { layer: LayerId, feature: String, reason: String },
    #[error("layer {layer}: more than {limit} fields")]
    TooManyFields { layer: LayerId, limit: usize },
    #[error("EPSG:{srs_id} cannot be written: its definition is not known here")]
    UnknownSrs { srs_id: i32 },
    #[error("observation of {parameter} at {layer}/{feature}: {value} is no number that can be kept")]
    Value { layer: LayerId, feature: String, parameter: String, value: f64 },
    /// The iterator that delivers the features gave up; its own words.
    #[error("{reason}")]
    Aborted { reason: String },
}

impl StoreError {
    /// A stable word for logs and for `desk` to map.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "disk_full",
            Self::NotWritable { .. } => "not_writable",
            Self::Corrupt { .. } => "corrupt",
            Self::Newer { .. } => "newer_format",
            Self::Busy { .. } => "busy",
            Self::Io { .. } => "io",
            Self::Sqlite { .. } => "sqlite",
            Self::UnknownLayer { .. } => "unknown_layer",
            Self::Duplicate { .. } => "duplicate_id",
            Self::Geometry { .. } => "geometry_invalid",
            Self::TooManyFields { .. } => "too_many_fields",
            Self::UnknownSrs { .. } => "crs_unknown",
            Self::Value { .. } => "not_finite",
            Self::Aborted { .. } => "aborted",
        }
    }

    pub(crate) fn sqlite(path: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        use rusqlite::Error as E;
        let reason = source.to_string();
        let failure = match &source {
            E::SqliteFailure(failure, _) => failure,
            // We read what we wrote: a value of another kind is damage, not a fault of the query.
            E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) => {
                return Self::Corrupt { path, reason };
            }
            _ => return Self::Sqlite { path, doing, source },
        };
        match failure.extended_code & 0xff {
            ffi::SQLITE_FULL => Self::Full { path },
            ffi::SQLITE_READONLY | ffi::SQLITE_CANTOPEN | ffi::SQLITE_PERM => Self::NotWritable { path, reason },
            ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => Self::Corrupt { path, reason },
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Self::Busy { path },
            ffi::SQLITE_IOERR => match failure.extended_code {
                // The shared-memory file cannot grow: that is how a full disk shows in WAL mode.
                ffi::SQLITE_IOERR_SHMSIZE => Self::Full { path },
                ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS => Self::Corrupt { path, reason },
                _ => Self::Io { path, doing, reason },
            },
            _ => Self::Sqlite { path, doing, source },
        }
    }

    pub(crate) fn io(path: &Path, doing: &'static str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let path = path.to_owned();
        let reason = error.to_string();
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => Self::Full { path },
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem | Kind::NotADirectory | Kind::IsADirectory => {
                Self::NotWritable { path, reason }
            }
            _ => Self::Io { path, doing, reason },
        }
    }
}
