//! The gate that every row of every format passes: position, key, text, schema, report.

use super::fields::Fields;
use super::ids::Ids;
use super::place::Placer;
use super::{Format, OnError, ReadError, ReadOptions, ReadSummary, rejection};
use geo_types::Geometry;
use model::{Feature, GeometryKind, Properties, ReadReport, Rejection};
use std::path::Path;

/// A row as its format gives it: raw coordinates, its own key if it brings one, properties in storage form.
pub(crate) struct Row {
    pub(crate) number: u64,
    pub(crate) id: Option<String>,
    /// What its container counts it by, when no property is a key.
    pub(crate) key: Option<String>,
    pub(crate) geometry: Geometry<f64>,
    pub(crate) properties: Properties,
    /// Its size in the file, to bound what is held back.
    pub(crate) bytes: usize,
}

/// What a file says about its system.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FileCrs {
    Epsg(u32),
    Named(String),
}

/// What a format's reader hands its rows to.
pub(crate) trait Rows {
    fn row(&mut self, row: Row) -> Result<(), ReadError>;
    /// A row that could not be made.
    fn bad(&mut self, rejection: Rejection) -> Result<(), ReadError>;
    /// Must come before the first row to count.
    fn crs(&mut self, crs: FileCrs);
    fn warn(&mut self, sentence: String);
}

/// Rows held back until axes and keys are judged.
const HEAD_ROWS: usize = 4_096;
const HEAD_BYTES: usize = 16 << 20;
/// More bad rows than this are no longer worth listing.
const MAX_REJECTED: usize = 200_000;

type Sink<'a> = &'a mut dyn FnMut(u64, Feature) -> Result<(), Rejection>;
type Again<'a> = &'a mut dyn FnMut(&mut dyn Rows) -> Result<(), ReadError>;

pub(super) struct Intake<'a> {
    path: &'a Path,
    options: &'a ReadOptions,
    sink: Sink<'a>,
    /// Reads the file once more from the start.
    again: Again<'a>,
    crs: Option<FileCrs>,
    head: Vec<Row>,
    head_bytes: usize,
    settled: Option<Settled>,
    report: ReadReport,
    fields: Fields,
    geometry: Option<GeometryKind>,
}

/// What the head of the file decided.
struct Settled {
    placer: Placer,
    ids: Ids,
}

impl Rows for Intake<'_> {
    fn row(&mut self, row: Row) -> Result<(), ReadError> {
        if self.settled.is_some() {
            return self.take(row);
        }
        self.head_bytes += row.bytes;
        self.head.push(row);
        if self.head.len() >= HEAD_ROWS || self.head_bytes >= HEAD_BYTES { self.settle(false) } else { Ok(()) }
    }

    fn bad(&mut self, rejection: Rejection) -> Result<(), ReadError> {
        if self.options.on_error == OnError::Abort {
            // An earlier row of the head may be bad too: the first one is named.
            self.settle(false)?;
            return Err(ReadError::Row { path: self.path.to_path_buf(), rejection: Box::new(rejection) });
        }
        self.report.rejected.push(rejection);
        if self.report.rejected.len() > MAX_REJECTED {
            return Err(ReadError::TooManyRejected { path: self.path.to_path_buf(), count: MAX_REJECTED as u64 });
        }
        Ok(())
    }

    fn crs(&mut self, crs: FileCrs) {
        self.crs = Some(crs);
    }

    fn warn(&mut self, sentence: String) {
        if !self.report.warnings.contains(&sentence) {
            self.report.warnings.push(sentence);
        }
    }
}

impl<'a> Intake<'a> {
    pub(super) fn new(path: &'a Path, options: &'a ReadOptions, sink: Sink<'a>, again: Again<'a>) -> Self {
        Self {
            path,
            options,
            sink,
            again,
            crs: None,
            head: Vec::new(),
            head_bytes: 0,
            settled: None,
            report: ReadReport::default(),
            fields: Fields::default(),
            geometry: None,
        }
    }

    /// Judges the head and lets it through. `complete`: the head is the whole file.
    fn settle(&mut self, complete: bool) -> Result<(), ReadError> {
        if self.settled.is_some() {
            return Ok(());
        }
        let head = std::mem::take(&mut self.head);
        let mut placer = Placer::new(self.path, self.options, self.crs.as_ref(), &head)?;
        if !head.is_empty() && head.iter().all(|row| placer.is_swapped(&row.geometry)) {
            placer.swapped = complete || self.all_swapped(&placer)?;
        }
        let ids = Ids::choose(self.options, &head);
        self.settled = Some(Settled { placer, ids });
        head.into_iter().try_for_each(|row| self.take(row))
    }

    /// Whether really every row of the file is swapped: the head alone must not decide what cannot be taken back.
    fn all_swapped(&mut self, placer: &Placer) -> Result<bool, ReadError> {
        let mut probe = Probe { path: self.path, placer, straight: false };
        match (self.again)(&mut probe) {
            Err(ReadError::Cancelled { .. }) if probe.straight => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(true),
        }
    }

    fn take(&mut self, row: Row) -> Result<(), ReadError> {
        match self.pass(row) {
            Ok(()) => Ok(()),
            Err(rejection) => self.bad(rejection),
        }
    }

    fn pass(&mut self, mut row: Row) -> Result<(), Rejection> {
        let number = row.number;
        let Some(Settled { placer, ids }) = &mut self.settled else { return Ok(()) };
        let swapped = placer.swapped;
        placer
            .place(&mut row.geometry)
            .map_err(|wrong| rejection(number, "geometry", &wrong.value, wrong.code, wrong.reason))?;
        let Some(id) = ids.take(&mut row) else {
            let field = self.options.id_field.as_deref().unwrap_or("id");
            return Err(rejection(number, field, "", "id_missing", "the row has no key"));
        };
        if let Err(first) = ids.claim(&id, number) {
            let reason = format!("the id {id:?} stands in row {first} and again in row {number}");
            return Err(rejection(number, "id", &id, "duplicate_id", reason));
        }
        self.fields.see(&row.properties);
        let kind = GeometryKind::of(&row.geometry);
        (self.sink)(number, Feature { id, geometry: row.geometry, properties: row.properties })?;
        self.geometry =
            Some(self.geometry.map_or(kind, |known| if known == kind { kind } else { GeometryKind::Mixed }));
        self.report.accepted += 1;
        self.report.repaired += u64::from(swapped);
        Ok(())
    }

    pub(super) fn finish(mut self, format: Format) -> Result<ReadSummary, ReadError> {
        self.settle(true)?;
        let mut report = self.report;
        // Rows that failed to parse were noted while the head was still held back.
        report.rejected.sort_by_key(|rejection| rejection.row);
        let epsg = self.settled.map_or(4326, |settled| {
            report.warnings.extend(settled.placer.warnings(report.accepted));
            settled.placer.epsg
        });
        Ok(ReadSummary {
            report,
            crs: epsg,
            format,
            fields: self.fields.into_schema(),
            geometry: self.geometry.unwrap_or(GeometryKind::Mixed),
        })
    }
}

/// Looks for one row that is not swapped.
struct Probe<'a> {
    path: &'a Path,
    placer: &'a Placer,
    straight: bool,
}

impl Rows for Probe<'_> {
    fn row(&mut self, row: Row) -> Result<(), ReadError> {
        if self.placer.is_swapped(&row.geometry) {
            return Ok(());
        }
        self.straight = true;
        Err(ReadError::Cancelled { path: self.path.to_path_buf() })
    }

    fn bad(&mut self, _: Rejection) -> Result<(), ReadError> {
        Ok(())
    }

    fn crs(&mut self, _: FileCrs) {}

    fn warn(&mut self, _: String) {}
}

/// The checks of a row without a file around it, for what comes over the network: WGS84, no province, ids of its own.
pub(crate) struct RowCheck {
    ids: Ids,
    to: geodesy::ToWgs84,
}

impl RowCheck {
    pub(crate) fn new(head: &[Row]) -> Result<Self, geodesy::GeodesyError> {
        let everywhere = model::BBox { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };
        Ok(Self { ids: Ids::choose(&ReadOptions::new(everywhere), head), to: geodesy::transformer(4326)? })
    }

    pub(crate) fn pass(&mut self, mut row: Row) -> Result<Feature, Rejection> {
        let number = row.number;
        self.to.apply(&mut row.geometry).map_err(|error| {
            rejection(number, "geometry", &error.to_string(), "coordinate_range", error.to_string())
        })?;
        let id = self.ids.take(&mut row).unwrap_or_else(|| number.to_string());
        if let Err(first) = self.ids.claim(&id, number) {
            let reason = format!("the id {id:?} stands in row {first} and again in row {number}");
            return Err(rejection(number, "id", &id, "duplicate_id", reason));
        }
        Ok(Feature { id, geometry: row.geometry, properties: row.properties })
    }
}
