//! What every row of every format goes through: held back until the head is judged, then the gate, then in the order of
//! the file the claim on its id, schema, sink and report.

use super::claims::{Claims, KeyMaker};
use super::fields::{Fields, Shapes};
use super::gate::{Gate, Judged, Passed, Prepared, Settled};
use super::ids::Ids;
use super::place::{Placer, Trace, Whereabouts};
use super::{Format, OnError, ReadError, ReadOptions, ReadSummary, rejection};
use csv::StringRecord;
use geo_types::Geometry;
use model::{Feature, GeometryKind, Properties, ReadReport, Rejection};
use std::path::Path;

/// A row as its format gives it: raw coordinates, its own key if it brings one, properties in storage form.
#[derive(Clone)]
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

impl Row {
    /// As a GeoJSON feature.
    pub(crate) fn into_text(self) -> String {
        let id = self.id.or(self.key).unwrap_or_default();
        crate::geojson::feature_text(&Feature { id, geometry: self.geometry, properties: self.properties })
    }
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
    /// A row that has passed the gate elsewhere; `shapes` are those that it was passed with.
    fn passed(&mut self, passed: Passed, shapes: &mut Shapes) -> Result<(), ReadError>;
    /// A row that could not be made.
    fn bad(&mut self, rejection: Rejection) -> Result<(), ReadError>;
    /// A table begins: its header, and which of its columns are the position (`lon`, `lat`, `wkt`).
    fn table(&mut self, _headers: &[String], _position: &[(&'static str, usize)]) {}
    /// A table's row as it is written, before anything is made of it.
    fn cells(&mut self, _number: u64, _headers: &[String], _cells: &StringRecord) {}
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
    options: &'a ReadOptions<'a>,
    gate: &'a Gate<'a>,
    sink: Sink<'a>,
    /// Reads the file once more from the start.
    again: Again<'a>,
    crs: Option<FileCrs>,
    head: Vec<Row>,
    head_bytes: usize,
    claims: Claims,
    whereabouts: Whereabouts,
    report: ReadReport,
    fields: Fields,
    /// Of the rows that pass the gate here.
    shapes: Shapes,
    geometry: Option<GeometryKind>,
}

impl Rows for Intake<'_> {
    fn row(&mut self, row: Row) -> Result<(), ReadError> {
        if self.gate.settled().is_some() {
            return self.take(row);
        }
        self.head_bytes += row.bytes;
        self.head.push(row);
        if self.head.len() >= HEAD_ROWS || self.head_bytes >= HEAD_BYTES { self.settle(false) } else { Ok(()) }
    }

    fn passed(&mut self, passed: Passed, shapes: &mut Shapes) -> Result<(), ReadError> {
        match self.accept(passed, shapes) {
            Ok(()) => Ok(()),
            Err(rejection) => self.bad(rejection),
        }
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
    pub(super) fn new(
        path: &'a Path,
        options: &'a ReadOptions<'a>,
        gate: &'a Gate<'a>,
        sink: Sink<'a>,
        again: Again<'a>,
    ) -> Self {
        Self {
            path,
            options,
            gate,
            sink,
            again,
            crs: None,
            head: Vec::new(),
            head_bytes: 0,
            claims: Claims::new(gate.keys.clone()),
            whereabouts: Whereabouts::default(),
            report: ReadReport::default(),
            fields: Fields::default(),
            shapes: Shapes::default(),
            geometry: None,
        }
    }

    /// Judges the head and lets it through. `complete`: the head is the whole file.
    fn settle(&mut self, complete: bool) -> Result<(), ReadError> {
        if self.gate.settled().is_some() {
            return Ok(());
        }
        let head = std::mem::take(&mut self.head);
        let mut placer = Placer::new(self.path, self.options, self.crs.as_ref(), &head)?;
        if !head.is_empty() && head.iter().all(|row| placer.is_swapped(&row.geometry)) {
            placer.swapped = complete || self.all_swapped(&placer)?;
        }
        let ids = Ids::choose(self.options, &head);
        self.gate.settle(Settled { placer, ids });
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
        let mut shapes = std::mem::take(&mut self.shapes);
        let taken = match self.gate.pass(row, &mut shapes) {
            Judged::Passed(passed) => self.passed(passed, &mut shapes),
            Judged::Held(_) => Ok(()),
        };
        shapes.trim();
        self.shapes = shapes;
        taken
    }

    fn accept(&mut self, passed: Passed, shapes: &mut Shapes) -> Result<(), Rejection> {
        let Passed { number, trace, result } = passed;
        self.whereabouts.add(&trace);
        let kept = result?;
        if let Err(first) = self.claims.claim(kept.key, number) {
            let (Prepared::Ready(Feature { id, .. }) | Prepared::Refused { id, .. }) = &kept.feature;
            return Err(duplicate(id, first, number));
        }
        self.fields.see(shapes, kept.shape);
        match kept.feature {
            Prepared::Ready(feature) => (self.sink)(number, feature)?,
            Prepared::Refused { rejection, .. } => return Err(rejection),
        }
        let kind = kept.kind;
        self.geometry =
            Some(self.geometry.map_or(kind, |known| if known == kind { kind } else { GeometryKind::Mixed }));
        self.report.accepted += 1;
        self.report.repaired += u64::from(kept.repaired);
        Ok(())
    }

    pub(super) fn finish(mut self, format: Format) -> Result<ReadSummary, ReadError> {
        self.settle(true)?;
        let mut report = self.report;
        // Rows that failed to parse were noted while the head was still held back.
        report.rejected.sort_by_key(|rejection| rejection.row);
        let (epsg, likely_crs) = self.gate.settled().map_or((4326, None), |settled| {
            report.warnings.extend(settled.placer.warnings(&self.whereabouts, report.accepted));
            (settled.placer.epsg, settled.placer.likely(&self.whereabouts))
        });
        Ok(ReadSummary {
            report,
            crs: epsg,
            likely_crs,
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

    fn passed(&mut self, _: Passed, _: &mut Shapes) -> Result<(), ReadError> {
        Ok(())
    }

    fn bad(&mut self, _: Rejection) -> Result<(), ReadError> {
        Ok(())
    }

    fn crs(&mut self, _: FileCrs) {}

    fn warn(&mut self, _: String) {}
}

fn duplicate(id: &str, first: u64, number: u64) -> Rejection {
    let reason = format!("the id {id:?} stands in row {first} and again in row {number}");
    rejection(number, "id", id, "duplicate_id", reason)
}

/// The checks of a row without a file around it, for what comes over the network.
pub(crate) struct RowCheck {
    ids: Ids,
    id_field: String,
    keys: KeyMaker,
    claims: Claims,
    placer: Placer,
    whereabouts: Whereabouts,
}

impl RowCheck {
    /// `head` are all rows or the first of them: by them axes and keys are judged. Of the options only system, province
    /// and key count; without a system it is WGS84.
    pub(crate) fn new(head: &[Row], options: &ReadOptions<'_>) -> Result<Self, geodesy::GeodesyError> {
        let mut placer = Placer::of(options.crs.unwrap_or(4326), options.province)?;
        placer.swapped = !head.is_empty() && head.iter().all(|row| placer.is_swapped(&row.geometry));
        let ids = Ids::choose(options, head);
        let id_field = options.id_field.clone().unwrap_or_else(|| "id".into());
        let keys = KeyMaker::default();
        let claims = Claims::new(keys.clone());
        Ok(Self { ids, id_field, claims, keys, placer, whereabouts: Whereabouts::default() })
    }

    pub(crate) fn pass(&mut self, mut row: Row) -> Result<Feature, Rejection> {
        let number = row.number;
        let mut trace = Trace::default();
        let placed = self.placer.place(&mut row.geometry, &mut trace);
        self.whereabouts.add(&trace);
        placed.map_err(|wrong| rejection(number, "geometry", &wrong.value, wrong.code, wrong.reason))?;
        let Some(id) = self.ids.take(&mut row) else {
            return Err(rejection(number, &self.id_field, "", "id_missing", "the row has no key"));
        };
        if let Err(first) = self.claims.claim(self.keys.key(&id), number) {
            return Err(duplicate(&id, first, number));
        }
        Ok(Feature { id, geometry: row.geometry, properties: row.properties })
    }

    /// Sentences about all rows that passed.
    pub(crate) fn warnings(&self, accepted: u64) -> Vec<String> {
        self.placer.warnings(&self.whereabouts, accepted)
    }
}
