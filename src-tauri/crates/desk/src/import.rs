//! Taking a file into a layer: read, check, repair, replace whole or not at all, and say what became of every row.

use crate::Desk;
use crate::api::Failure;
use crate::info::IMPORTED;
use crate::packing::PackedBeside;
use crate::standard::{Standard, empty, undecided, without};
use crate::station_files::OBSERVATIONS;
use model::{
    Classification, Feature, FeatureId, Field, FieldType, GeometryKind, LayerId, LayerKind, LayerSpec, Protocol,
    Provenance, Rejection, Suggestion, Timestamp, Title, Value,
};
use serde::Serialize;
use sources::{Continue, Edits, OnError, ReadOptions, TextEncoding};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{LayerSchema, Mode, StoreError, Writing};

/// What happens to the features that are there already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ImportMode {
    #[default]
    Replace,
    Append,
    /// Features with the same key are replaced, others added. The key is an attribute, or `id`.
    Upsert {
        key: String,
    },
}

#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// EPSG code; absent: the file's own, else WGS84 after the guard's check.
    pub crs: Option<u32>,
    /// Field of the layer = column of the file; an empty column leaves the field empty.
    pub map: Vec<(String, String)>,
    /// The table, sheet or shapefile of a file that holds several; absent: the one called like the layer.
    pub table: Option<String>,
    /// How the text is written, over what the file says.
    pub encoding: Option<TextEncoding>,
    /// Rows that somebody mended, by their number.
    pub edits: Edits,
    /// The first bad row ends it.
    pub abort: bool,
    pub mode: ImportMode,
    /// The moment the content describes; absent: when the file was last changed.
    pub as_of: Option<Timestamp>,
}

/// What an import did; the shape `toancanhctl import --json` prints.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ImportSummary {
    pub layer: LayerId,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub accepted: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub repaired: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub rejected: u64,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub rejected_file: Option<PathBuf>,
    pub crs: String,
    /// Field → the file's column of another name that was taken for it, by the data standard.
    pub mapping: BTreeMap<String, String>,
    pub warnings: Vec<String>,
}

impl Desk {
    /// Imports a file into a layer, or station files into the history ([`OBSERVATIONS`]). `progress` gets bytes done and in all, and answers whether to go on.
    ///
    /// # Errors
    /// What is wrong with the file (code, file, row), or with the cache. The layer is then as before.
    pub fn import(
        &self,
        file: &Path,
        layer: &LayerId,
        options: &ImportOptions,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<ImportSummary, Failure> {
        if layer.as_str() == OBSERVATIONS {
            return self.import_station_files(file, options.abort, progress);
        }
        let spec = self.profile().layer(layer.as_str()).cloned();
        spec.as_ref().map_or(Ok(()), |spec| self.held_here(spec))?;
        let summary = self.import_as(file, layer, spec.as_ref(), options, progress)?;
        self.reload(layer)?;
        Ok(summary)
    }

    /// As [`Desk::import`], with a layer's declaration that need not be in force yet; the picture is not renewed.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn import_as(
        &self,
        file: &Path,
        layer: &LayerId,
        spec: Option<&LayerSpec>,
        options: &ImportOptions,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<ImportSummary, Failure> {
        let now = self.now();
        let modified = std::fs::metadata(file).ok().and_then(|meta| meta.modified().ok());
        let modified = modified.and_then(|at| Timestamp::try_from(at).ok());
        let as_of = options.as_of.or(modified).map_or(now, |at| at.min(now));
        let name = file.file_name().map_or_else(|| file.to_string_lossy(), |name| name.to_string_lossy()).into_owned();
        let provenance = Provenance {
            source: format!("{IMPORTED}{name}"),
            provider: Title::same(&name),
            fetched_at: now,
            as_of,
            licence: String::new(),
            classification: spec.map_or(Classification::Public, |spec| spec.classification),
            sample: false,
            practice: false,
        };
        self.take_in(file, layer, spec, options, &provenance, progress)
    }

    /// Takes an import back: the layer holds the profile's content again, and its source may refresh it; a layer that no
    /// profile names is removed.
    ///
    /// # Errors
    /// `no_layer`, or why the profile's file cannot be taken in; the layer is then as before.
    pub fn restore(&self, layer: &LayerId) -> Result<(), Failure> {
        match self.profile().layer(layer.as_str()) {
            Some(spec) if spec.remote.is_some() => return Err(self.stays_remote(layer)),
            // Declared for an import and nothing else: it goes with what was imported.
            Some(spec) if spec.file.is_none() && spec.feature_source.is_none() && spec.live_source.is_none() => {
                self.cache().remove(layer).map_err(|error| self.store_failure(&error))?;
                return self.undeclare(layer);
            }
            Some(spec) => self.import_profile_layer(spec)?,
            None => {
                if !self.cache().remove(layer).map_err(|error| self.store_failure(&error))? {
                    return Err(self.failure("no_layer", [("layer", layer.as_str())]));
                }
            }
        }
        self.reload(layer)
    }

    /// Fills a layer from the profile's own file.
    pub(crate) fn import_profile_layer(&self, spec: &LayerSpec) -> Result<(), Failure> {
        let profile = self.profile();
        let source = spec.feature_source.as_ref().and_then(|id| profile.source(id));
        // Warnings have no base data: there are none until the source says so.
        let file = spec.file.as_ref().filter(|_| source.is_none_or(|source| source.protocol != Protocol::Cap));
        let Some(file) = file else {
            return self.cache().remove(&spec.id).map(|_| ()).map_err(|error| self.store_failure(&error));
        };
        let file = self.home().profile_dir().join(file);
        let tz = jiff::tz::TimeZone::get(&self.profile().timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let as_of =
            tz.to_timestamp(spec.as_of.to_datetime(jiff::civil::Time::midnight())).unwrap_or_else(|_| self.now());
        let provenance = Provenance {
            source: "profile".into(),
            provider: spec.provider.clone(),
            fetched_at: self.now(),
            as_of,
            licence: spec.licence.clone(),
            classification: spec.classification,
            sample: spec.sample,
            practice: false,
        };
        self.take_in(&file, &spec.id, Some(spec), &ImportOptions::default(), &provenance, &mut |_, _| true).map(|_| ())
    }

    /// How a file is read for a layer, before the data standard has its say on the columns.
    pub(crate) fn read_options<'a>(
        &self,
        layer: &LayerId,
        options: &ImportOptions,
        prepare: sources::Prepare<'a>,
    ) -> ReadOptions<'a> {
        ReadOptions {
            crs: options.crs,
            map: options.map.iter().filter(|(_, column)| !column.is_empty()).cloned().collect(),
            on_error: if options.abort { OnError::Abort } else { OnError::Reject },
            id_field: match &options.mode {
                ImportMode::Upsert { key } if key != "id" => Some(key.clone()),
                _ => None,
            },
            // With several tables and no word on it: the one that is called like the layer.
            table: Some(options.table.clone().unwrap_or_else(|| layer.to_string())),
            encoding: options.encoding,
            edits: (!options.edits.is_empty()).then(|| Arc::new(options.edits.clone())),
            prepare: Some(prepare),
            ..ReadOptions::new(self.bbox())
        }
    }

    fn take_in(
        &self,
        file: &Path,
        layer: &LayerId,
        spec: Option<&LayerSpec>,
        options: &ImportOptions,
        provenance: &Provenance,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<ImportSummary, Failure> {
        let any_sample = AtomicBool::new(false);
        let standard = spec.and_then(Standard::of);
        let by_hand: BTreeMap<String, String> = options.map.iter().cloned().collect();
        // On the reader's threads: the one that writes has most to do.
        let prepare = |row: u64, mut feature: Feature| {
            empty(&by_hand, &mut feature);
            if let Some(standard) = &standard {
                standard.check(row, &mut feature)?;
            }
            if is_sample(&feature) {
                any_sample.store(true, Ordering::Relaxed);
            }
            repaired(row, feature)
        };
        let mut read_options = self.read_options(layer, options, &prepare);
        let suggestion = match (&standard, spec) {
            (Some(standard), Some(spec)) => suggested(standard, spec, file, &read_options, &by_hand),
            _ => Suggestion::default(),
        };
        read_options.map.extend(suggestion.map.iter().cloned());
        let ids = match &options.mode {
            ImportMode::Upsert { key } if key != "id" => self.ids_by_key(layer, key)?,
            _ => HashMap::new(),
        };
        let upsert_key = match &options.mode {
            ImportMode::Upsert { key } => Some(key),
            _ => None,
        };
        // Sample features stay sample, whoever brings them, and so do those that stay beside the new ones.
        let staying = self.layers().get(layer).filter(|_| options.mode != ImportMode::Replace);
        let staying = staying.and_then(|layer| layer.stored.as_ref().map(|stored| stored.provenance.clone()));
        let mode = match options.mode {
            ImportMode::Replace => Mode::Replace,
            ImportMode::Append => Mode::Append,
            ImportMode::Upsert { .. } => Mode::Upsert,
        };
        let mut tally = Tally::default();
        let mut packing = PackedBeside::start();
        let mut done = None;
        let schema = schema_for(layer, spec, &[], GeometryKind::Mixed);
        // The features go from the file into the layer one by one: a file may be larger than the memory.
        let body = |writing: &mut Writing<'_>| -> Result<(LayerSchema, Provenance), Stop> {
            // Each row has claimed its id before it comes here.
            writing.ids_are_distinct();
            let broken = RefCell::new(None);
            let mut sink = |_row: u64, mut feature: Feature| -> Result<(), Rejection> {
                if broken.borrow().is_some() {
                    return Ok(());
                }
                if let Some(id) = upsert_key.and_then(|key| ids.get(&key_of(&feature, key)?)) {
                    feature.id.clone_from(id);
                }
                tally.see(&feature);
                if let Err(error) = writing.push(feature) {
                    *broken.borrow_mut() = Some(error);
                }
                Ok(())
            };
            let mut go_on = |done: u64, total: u64| {
                if broken.borrow().is_none() && progress(done, total) { Continue::Yes } else { Continue::No }
            };
            let read = sources::read_file(file, &read_options, &mut sink, &mut go_on);
            if let Some(error) = broken.into_inner() {
                return Err(Stop::Store(error));
            }
            let summary = read.map_err(|error| Stop::Failed(crate::failures::read(self.language(), &error)))?;
            let rejected_file = self.write_rejected(layer.as_str(), &summary.report.rejected).map_err(Stop::Failed)?;
            if tally.accepted == 0 {
                return Err(Stop::Failed(self.nothing_accepted(file, &summary.report.rejected)));
            }
            let provenance = Provenance {
                sample: provenance.sample
                    || any_sample.load(Ordering::Relaxed)
                    || staying.as_ref().is_some_and(|staying| staying.sample),
                practice: provenance.practice || staying.is_some_and(|staying| staying.practice),
                ..provenance.clone()
            };
            let schema = schema_for(layer, spec, &summary.fields, tally.kind.unwrap_or(GeometryKind::Mixed));
            done = Some((summary, rejected_file));
            Ok((schema, provenance))
        };
        match self.cache().write(mode, &schema, Some(&mut packing), body) {
            Ok(_) => {}
            Err(Stop::Store(error)) => return Err(self.store_failure(&error)),
            Err(Stop::Failed(failure)) => return Err(failure),
        }
        let Some((summary, rejected_file)) = done else { return Err(self.nothing_accepted(file, &[])) };
        let mut warnings = summary.report.warnings;
        warnings.extend(undecided(self.language(), &suggestion));
        warnings.extend(standard.iter().flat_map(|standard| standard.sentences(self.language())));
        Ok(ImportSummary {
            layer: layer.clone(),
            accepted: tally.accepted,
            repaired: summary.report.repaired,
            rejected: u64::try_from(summary.report.rejected.len()).unwrap_or(u64::MAX),
            rejected_file,
            crs: format!("EPSG:{}", summary.crs),
            mapping: suggestion.map.into_iter().collect(),
            warnings,
        })
    }

    pub(crate) fn nothing_accepted(&self, file: &Path, rejected: &[Rejection]) -> Failure {
        let first = rejected.first();
        let row = first.map(|r| r.row.to_string()).unwrap_or_default();
        self.failure(
            "nothing_accepted",
            [
                ("file", file.to_string_lossy().as_ref()),
                ("rejected", rejected.len().to_string().as_str()),
                ("row", row.as_str()),
                ("detail", first.map_or("", |r| r.reason.as_str())),
            ],
        )
    }

    /// The ids of a layer's features by an attribute, so that incoming features with the same value replace them.
    fn ids_by_key(&self, layer: &LayerId, key: &str) -> Result<HashMap<String, FeatureId>, Failure> {
        let mut ids: HashMap<String, FeatureId> = HashMap::new();
        let Some(held) = self.layers().get(layer) else { return Ok(ids) };
        for ordinal in held.picture.ordinals() {
            let value = held.picture.value(ordinal, key);
            if value.is_null() {
                continue;
            }
            let id = held.picture.id(ordinal).unwrap_or_default().to_owned();
            if ids.insert(value.to_string(), id).is_some() {
                let at = [("layer", layer.as_str()), ("key", key), ("value", &value.to_string())];
                return Err(self.failure("key_not_unique", at));
            }
        }
        Ok(ids)
    }
}

/// The mapping that the data standard suggests for a file, beside what the caller maps. A file that cannot be looked into
/// has none: reading it says why.
pub(crate) fn suggested(
    standard: &Standard,
    spec: &LayerSpec,
    file: &Path,
    options: &ReadOptions<'_>,
    by_hand: &BTreeMap<String, String>,
) -> Suggestion {
    let Ok(columns) = sources::columns(file, options) else { return Suggestion::default() };
    let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
    let is_key = |column: &str| options.id_field.as_deref() == Some(column);
    let mut suggestion = standard.suggest(spec, &names, columns.own_ids || options.id_field.is_some(), is_key);
    without(by_hand, &mut suggestion);
    suggestion
}

/// What the features of an import turned out to be.
#[derive(Default)]
struct Tally {
    accepted: u64,
    kind: Option<GeometryKind>,
}

impl Tally {
    fn see(&mut self, feature: &Feature) {
        let kind = GeometryKind::of(&feature.geometry);
        self.kind = Some(self.kind.map_or(kind, |held| if held == kind { kind } else { GeometryKind::Mixed }));
        self.accepted += 1;
    }
}

/// A row with its geometry mended, and whether that changed it.
pub(crate) fn repaired(row: u64, mut feature: Feature) -> Result<(Feature, bool), Rejection> {
    let repair = spatial::repair::repair(feature.geometry);
    let Some(geometry) = repair.geometry else {
        return Err(Rejection {
            row,
            field: "geometry".into(),
            value: feature.id,
            code: "geometry_invalid".into(),
            reason: repair.reason.unwrap_or_else(|| "the geometry cannot be repaired".into()),
        });
    };
    feature.geometry = geometry;
    Ok((feature, repair.changed))
}

/// Why an import ended.
enum Stop {
    Store(StoreError),
    Failed(Failure),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn key_of(feature: &Feature, key: &str) -> Option<String> {
    feature.properties.get(key).filter(|value| !value.is_null()).map(Value::to_string)
}

/// The schema to store: the profile's, or what the file shows. Attributes beyond it are kept by the store.
pub(crate) fn schema_for(
    layer: &LayerId,
    spec: Option<&LayerSpec>,
    inferred: &[Field],
    geometry: GeometryKind,
) -> LayerSchema {
    match spec {
        Some(spec) => LayerSchema {
            id: layer.clone(),
            title: spec.title.clone(),
            kind: spec.kind,
            geometry,
            fields: spec.fields.clone(),
            srs_id: 4326,
        },
        None => LayerSchema {
            id: layer.clone(),
            title: Title::same(layer.as_str()),
            kind: LayerKind::Other,
            geometry,
            fields: inferred.to_vec(),
            srs_id: 4326,
        },
    }
}

/// A feature that says of itself that it was made up.
pub(crate) fn is_sample(feature: &Feature) -> bool {
    // GeoPackage and CSV may have made a number of the truth value.
    matches!(feature.properties.get("sample"), Some(Value::Bool(true) | Value::Integer(1)))
}

/// A field made from a value that no schema declares.
pub(crate) fn field_of(name: &str, value: &Value) -> Field {
    Field {
        name: name.to_owned(),
        field_type: match value {
            Value::Bool(_) => FieldType::Boolean,
            Value::Integer(_) => FieldType::Integer,
            Value::Real(_) => FieldType::Real,
            Value::Null | Value::Text(_) => FieldType::Text,
        },
        title: Title::same(name),
        unit: None,
        decimals: None,
        label: false,
        required: false,
    }
}
