//! Writing features to a file: whole or not at all.

use crate::csv::CsvWriter;
use crate::flatgeobuf::FgbWriter;
use crate::geojson::GeoJsonWriter;
use crate::kml::KmlWriter;
use model::{Feature, Field, Value};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How a file is written.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// EPSG code of the written coordinates; WGS84 without.
    pub crs: Option<u32>,
    /// CSV: positions as `lon`,`lat` columns, where every feature is a point; otherwise one `wkt` column.
    pub lon_lat: bool,
    /// CSV: a byte order mark in front, by which Excel knows UTF-8.
    pub bom: bool,
    /// GeoJSON, KML, FlatGeobuf: the collection's name.
    pub name: Option<String>,
}

/// Why a file was not written. The file that stood there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{}: the ending {ending:?} is not known; use .geojson, .geojsonl, .csv, .kml or .fgb", path.display())]
    UnknownEnding { path: PathBuf, ending: String },
    #[error("{}: no permission to write there", path.display())]
    NoPermission { path: PathBuf },
    #[error("{}: the folder does not exist", path.display())]
    NoFolder { path: PathBuf },
    #[error("{}: this is a folder", path.display())]
    Directory { path: PathBuf },
    #[error("{}: the disk is full", path.display())]
    Full { path: PathBuf },
    #[error("{}: feature {feature:?} cannot be written in EPSG:{epsg}: {reason}", path.display())]
    Crs { path: PathBuf, feature: String, epsg: u32, reason: String },
    #[error("{}: feature {feature:?} is no point; write the shapes as WKT", path.display())]
    NotAPoint { path: PathBuf, feature: String },
    #[error("{}: {reason}", path.display())]
    Io { path: PathBuf, reason: String },
}

impl WriteError {
    /// A stable word in snake_case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownEnding { .. } => "unknown_ending",
            Self::NoPermission { .. } => "no_permission",
            Self::NoFolder { .. } => "no_folder",
            Self::Directory { .. } => "directory",
            Self::Full { .. } => "disk_full",
            Self::Crs { .. } => "crs_unsupported",
            Self::NotAPoint { .. } => "not_a_point",
            Self::Io { .. } => "io",
        }
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::UnknownEnding { path, .. }
            | Self::NoPermission { path }
            | Self::NoFolder { path }
            | Self::Directory { path }
            | Self::Full { path }
            | Self::Crs { path, .. }
            | Self::NotAPoint { path, .. }
            | Self::Io { path, .. } => path,
        }
    }

    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        use io::ErrorKind as K;
        let path = path.to_path_buf();
        match error.kind() {
            K::PermissionDenied | K::ReadOnlyFilesystem => Self::NoPermission { path },
            K::NotFound | K::NotADirectory => Self::NoFolder { path },
            K::IsADirectory => Self::Directory { path },
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Self::Full { path },
            _ => Self::Io { path, reason: error.to_string() },
        }
    }
}

enum Writer<W: Write> {
    GeoJson(GeoJsonWriter<W>),
    Csv(Box<CsvWriter<W>>),
    Kml(KmlWriter<W>),
    FlatGeobuf(Box<FgbWriter<W>>),
}

/// Writes features by the file's ending: `.geojson`/`.json`, `.geojsonl`/`.geojsons`/`.ndjson`, `.csv`,
/// `.kml` (WGS84 only), `.fgb` (in the order of its index). Returns how many.
///
/// Into a file beside it, flushed to disk, then renamed: a reader never sees half a file, and an error leaves the old one.
/// CSV holds the id, the position and `fields`; GeoJSON and FlatGeobuf all properties.
///
/// # Errors
/// [`WriteError`]; the temporary file is gone then.
pub fn write_file(
    path: &Path,
    features: &mut dyn Iterator<Item = Feature>,
    fields: &[Field],
    options: &WriteOptions,
) -> Result<u64, WriteError> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let form = match ending.as_str() {
        "geojson" | "json" => Form::Collection,
        "geojsonl" | "geojsons" | "ndjson" | "jsonl" => Form::Lines,
        "csv" => Form::Csv,
        "kml" => Form::Kml,
        "fgb" => Form::FlatGeobuf,
        _ => return Err(WriteError::UnknownEnding { path: path.to_path_buf(), ending }),
    };
    if path.is_dir() {
        return Err(WriteError::Directory { path: path.to_path_buf() });
    }
    let wrong = |error: &io::Error| WriteError::from_io(path, error);
    let temporary = Temporary::beside(path);
    let file = BufWriter::with_capacity(256 << 10, File::create(&temporary.0).map_err(|error| wrong(&error))?);
    let count = fill(path, file, features, fields, options, form)?;
    std::fs::rename(&temporary.0, path).map_err(|error| wrong(&error))?;
    temporary.keep();
    Ok(count)
}

#[derive(Clone, Copy)]
enum Form {
    Collection,
    Lines,
    Csv,
    Kml,
    FlatGeobuf,
}

fn fill(
    path: &Path,
    file: BufWriter<File>,
    features: &mut dyn Iterator<Item = Feature>,
    fields: &[Field],
    options: &WriteOptions,
    form: Form,
) -> Result<u64, WriteError> {
    let wrong = |error: &io::Error| WriteError::from_io(path, error);
    let epsg = options.crs.unwrap_or(4326);
    let crs_error = |feature: &str, reason: String| WriteError::Crs {
        path: path.to_path_buf(),
        feature: feature.to_owned(),
        epsg,
        reason,
    };
    let to = geodesy::from_wgs84(epsg).map_err(|error| crs_error("", error.to_string()))?;
    if matches!(form, Form::Kml) && epsg != 4326 {
        return Err(crs_error("", "KML knows WGS84 only".into()));
    }
    let started = match form {
        Form::Kml => KmlWriter::new(file, path, fields, options.name.as_deref()).map(Writer::Kml),
        Form::FlatGeobuf => FgbWriter::new(file, path, fields, options.name.as_deref(), epsg)
            .map(|writer| Writer::FlatGeobuf(Box::new(writer))),
        Form::Csv => {
            CsvWriter::new(file, fields, !options.lon_lat, options.bom).map(|writer| Writer::Csv(Box::new(writer)))
        }
        Form::Collection | Form::Lines => {
            GeoJsonWriter::new(file, matches!(form, Form::Lines), options.name.as_deref(), epsg).map(Writer::GeoJson)
        }
    };
    let mut writer = started.map_err(|error| wrong(&error))?;
    let mut count = 0;
    for mut feature in features {
        if epsg != 4326 {
            to.apply(&mut feature.geometry).map_err(|error| crs_error(&feature.id, error.to_string()))?;
            // A tenth of a millimetre is far below any survey.
            if epsg != 4756 {
                let cut = |x: f64| (x * 1e4).round() / 1e4;
                crate::geometry::map_coords(&mut feature.geometry, &mut |c| geo_types::Coord {
                    x: cut(c.x),
                    y: cut(c.y),
                });
            }
        }
        let written = match &mut writer {
            Writer::GeoJson(writer) => writer.feature(&feature),
            Writer::Csv(writer) => writer.feature(&feature),
            Writer::Kml(writer) => writer.feature(&feature),
            Writer::FlatGeobuf(writer) => writer.feature(&feature),
        };
        written.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => {
                WriteError::NotAPoint { path: path.to_path_buf(), feature: feature.id.clone() }
            }
            _ => wrong(&error),
        })?;
        count += 1;
    }
    let finished = match writer {
        Writer::GeoJson(writer) => writer.finish(),
        Writer::Csv(writer) => writer.finish(),
        Writer::Kml(writer) => writer.finish(),
        Writer::FlatGeobuf(writer) => writer.finish(),
    };
    let file = finished.and_then(|file| file.into_inner().map_err(io::IntoInnerError::into_error));
    file.and_then(|file| file.sync_all()).map_err(|error| wrong(&error))?;
    Ok(count)
}

/// A value as text in which every digit of a number is kept: very large and very small ones with an exponent.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::Real(x) if *x != 0.0 && !(1e-5..1e17).contains(&x.abs()) => {
            let text = format!("{x:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        other => other.to_string(),
    }
}

/// A file that is removed when it is dropped.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The file was renamed: nothing is left to remove.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }

    /// A file beside the one that is written, for what has to wait until all is known.
    pub(crate) fn waiting(path: &Path) -> io::Result<(Self, File)> {
        let mut name = path.as_os_str().to_owned();
        name.push(".features");
        let scratch = Self::beside(Path::new(&name));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&scratch.0)?;
        Ok((scratch, file))
    }

    pub(crate) fn beside(path: &Path) -> Self {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        Self(path.with_file_name(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
