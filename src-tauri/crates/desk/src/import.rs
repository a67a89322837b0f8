//! Taking a file into a layer: read, check, repair, replace whole or not at all, and say what became of every row.

use crate::Desk;
use crate::api::Failure;
use crate::info::IMPORTED;
use model::{
    Classification, Feature, FeatureId, Field, FieldType, GeometryKind, LayerId, LayerKind, LayerSpec, Provenance,
    Rejection, Timestamp, Title, Value,
};
use serde::Serialize;
use sources::{Continue, OnError, ReadOptions};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use store::LayerSchema;

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
    /// Field of the layer = column of the file.
    pub map: Vec<(String, String)>,
    /// The first bad row ends it.
    pub abort: bool,
    pub mode: ImportMode,
    /// The moment the content describes; absent: when the file was last changed.
    pub as_of: Option<Timestamp>,
}

/// What an import did; the shape `toancanhctl import --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct ImportSummary {
    pub layer: LayerId,
    pub accepted: u64,
    pub repaired: u64,
    pub rejected: u64,
    pub rejected_file: Option<PathBuf>,
    pub crs: String,
    pub warnings: Vec<String>,
}

impl Desk {
    /// Imports a file into a layer. `progress` gets bytes done and in all, and answers whether to go on.
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
        let spec = self.profile().layer(layer.as_str()).cloned();
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
            classification: spec.as_ref().map_or(Classification::Public, |spec| spec.classification),
            sample: false,
            practice: false,
        };
        let summary = self.take_in(file, layer, spec.as_ref(), options, &provenance, progress)?;
        self.reload(layer)?;
        Ok(summary)
    }

    /// Takes an import back: the layer holds the profile's content again, and its source may refresh it; a layer that no
    /// profile names is removed.
    ///
    /// # Errors
    /// `no_layer`, or why the profile's file cannot be taken in; the layer is then as before.
    pub fn restore(&self, layer: &LayerId) -> Result<(), Failure> {
        match self.profile().layer(layer.as_str()) {
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
        let file = self.home().profile_dir().join(&spec.file);
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

    fn take_in(
        &self,
        file: &Path,
        layer: &LayerId,
        spec: Option<&LayerSpec>,
        options: &ImportOptions,
        provenance: &Provenance,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<ImportSummary, Failure> {
        let read_options = ReadOptions {
            crs: options.crs,
            map: options.map.clone(),
            on_error: if options.abort { OnError::Abort } else { OnError::Reject },
            id_field: match &options.mode {
                ImportMode::Upsert { key } if key != "id" => Some(key.clone()),
                _ => None,
            },
            // A GeoPackage with several tables: the one that is called like the layer.
            table: Some(layer.to_string()),
            ..ReadOptions::new(self.bbox())
        };
        let mut features: Vec<Feature> = Vec::new();
        let mut repaired = 0_u64;
        let mut sink = |row: u64, mut feature: Feature| -> Result<(), Rejection> {
            let repair = spatial::repair::repair(feature.geometry);
            let Some(geometry) = repair.geometry else {
                return Err(Rejection {
                    row,
                    field: "geometry".into(),
                    value: feature.id.clone(),
                    code: "geometry_invalid".into(),
                    reason: repair.reason.unwrap_or_else(|| "the geometry cannot be repaired".into()),
                });
            };
            repaired += u64::from(repair.changed);
            feature.geometry = geometry;
            features.push(feature);
            Ok(())
        };
        let mut go_on = |done: u64, total: u64| if progress(done, total) { Continue::Yes } else { Continue::No };
        let summary = sources::read_file(file, &read_options, &mut sink, &mut go_on)
            .map_err(|error| crate::failures::read(self.language(), &error))?;
        let rejected_file = self.write_rejected(layer, &summary.report.rejected)?;
        if features.is_empty() {
            let first = summary.report.rejected.first();
            let row = first.map(|r| r.row.to_string()).unwrap_or_default();
            let reason = first.map(|r| r.reason.clone()).unwrap_or_default();
            return Err(self.failure(
                "nothing_accepted",
                [
                    ("file", file.to_string_lossy().as_ref()),
                    ("rejected", summary.report.rejected.len().to_string().as_str()),
                    ("row", row.as_str()),
                    ("detail", reason.as_str()),
                ],
            ));
        }
        // Sample features stay sample, whoever brings them, and so do those that stay beside the new ones.
        let staying = self.layers().get(layer).filter(|_| options.mode != ImportMode::Replace);
        let staying = staying.and_then(|layer| layer.stored.as_ref().map(|stored| stored.provenance.clone()));
        let provenance = &Provenance {
            sample: provenance.sample
                || features.iter().any(is_sample)
                || staying.as_ref().is_some_and(|staying| staying.sample),
            practice: provenance.practice || staying.is_some_and(|staying| staying.practice),
            ..provenance.clone()
        };
        if let ImportMode::Upsert { key } = &options.mode {
            self.take_over_ids(layer, key, &mut features)?;
        }
        let schema = schema_for(layer, spec, &summary.fields, &features);
        let accepted = u64::try_from(features.len()).unwrap_or(u64::MAX);
        self.write_layer(&schema, features, provenance, &options.mode)?;
        Ok(ImportSummary {
            layer: layer.clone(),
            accepted,
            repaired: repaired + summary.report.repaired,
            rejected: u64::try_from(summary.report.rejected.len()).unwrap_or(u64::MAX),
            rejected_file,
            crs: format!("EPSG:{}", summary.crs),
            warnings: summary.report.warnings,
        })
    }

    /// Gives incoming features the ids of the stored ones with the same key, so that they replace them.
    fn take_over_ids(&self, layer: &LayerId, key: &str, features: &mut [Feature]) -> Result<(), Failure> {
        let Some(held) = self.layers().get(layer).filter(|_| key != "id") else { return Ok(()) };
        let key_of =
            |feature: &Feature| feature.properties.get(key).filter(|value| !value.is_null()).map(Value::to_string);
        let mut ids: HashMap<String, &str> = HashMap::new();
        for feature in held.picture.features() {
            let Some(value) = key_of(feature) else { continue };
            if ids.insert(value.clone(), &feature.id).is_some() {
                let at = [("layer", layer.as_str()), ("key", key), ("value", value.as_str())];
                return Err(self.failure("key_not_unique", at));
            }
        }
        for feature in features {
            if let Some(id) = key_of(feature).and_then(|value| ids.get(&value).copied()) {
                feature.id = id.to_owned();
            }
        }
        Ok(())
    }

    fn write_layer(
        &self,
        schema: &LayerSchema,
        features: Vec<Feature>,
        provenance: &Provenance,
        mode: &ImportMode,
    ) -> Result<(), Failure> {
        let mut rows = features.into_iter().map(Ok);
        let written = match mode {
            ImportMode::Replace => self.cache().replace(schema, &mut rows, provenance, None),
            ImportMode::Append => self.cache().append(schema, &mut rows, provenance, None),
            ImportMode::Upsert { .. } => self.cache().upsert(schema, &mut rows, provenance, None),
        };
        written.map(|_| ()).map_err(|error| self.store_failure(&error))
    }

    /// Writes the rejected rows beside the home, never beside the input.
    fn write_rejected(&self, layer: &LayerId, rejected: &[Rejection]) -> Result<Option<PathBuf>, Failure> {
        if rejected.is_empty() {
            return Ok(None);
        }
        let dir = self.home().rejected_dir();
        let path = dir.join(format!("{layer}-{}.csv", self.now().strftime("%Y%m%dT%H%M%SZ")));
        let failed = |error: std::io::Error| {
            let detail = format!("{}: {error}", path.display());
            self.failure("not_writable", [("detail", detail.as_str())])
        };
        std::fs::create_dir_all(&dir).map_err(failed)?;
        let mut text = String::from("row,field,value,code,reason\n");
        for r in rejected {
            let cells =
                [&r.field, &r.value, &r.code, &r.reason].map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
            text.push_str(&format!("{},{}\n", r.row, cells.join(",")));
        }
        store::write_atomic(&path, text.as_bytes()).map_err(|error| self.store_failure(&error))?;
        Ok(Some(path))
    }

    /// Takes in features that a source delivered, unless the layer has moved on since `held` was asked about.
    ///
    /// # Errors
    /// `empty_answer` when the source has nothing where there was something; `moved_on` when a person imported or
    /// another process wrote in the meantime. The layer is then as before.
    pub(crate) fn take_fetched(
        &self,
        spec: &LayerSpec,
        features: Vec<Feature>,
        provenance: &Provenance,
    ) -> Result<Taken, Failure> {
        let delivered = features.len();
        let features = mended(features);
        let dropped = delivered - features.len();
        let held = self.layers().get(&spec.id);
        let stored = held.as_ref().and_then(|layer| layer.stored.as_ref());
        if features.is_empty() && stored.is_some_and(|stored| stored.features > 0) {
            let at = [("layer", spec.id.as_str()), ("source", provenance.source.as_str())];
            return Err(self.failure("empty_answer", at));
        }
        let version = stored.map(|stored| stored.version);
        let moved_on = || self.failure("moved_on", [("layer", spec.id.as_str())]);
        let present =
            || self.cache().layer(&spec.id).map(|layer| layer.filter(|l| !self.is_imported(l)).map(|l| l.version));
        if held.as_ref().is_some_and(|held| held.stored.is_some() && same(&held.picture, &features)) {
            if present().map_err(|error| self.store_failure(&error))? != version {
                return Err(moved_on());
            }
            self.cache()
                .touch(&spec.id, provenance.fetched_at, provenance.as_of)
                .map_err(|error| self.store_failure(&error))?;
            self.reload_record(&spec.id)?;
            return Ok(Taken { changed: false, dropped });
        }
        let schema = schema_for(&spec.id, Some(spec), &[], &features);
        // Drawn inside the write transaction, where nobody else can write: what is seen there holds until the commit.
        let mut checked = false;
        let mut rows = features.into_iter().map(|feature| {
            if !checked {
                checked = true;
                if present()? != version {
                    return Err(store::StoreError::Aborted { reason: MOVED_ON.into() });
                }
            }
            Ok(feature)
        });
        match self.cache().replace(&schema, &mut rows, provenance, None) {
            Ok(_) => {}
            Err(store::StoreError::Aborted { reason }) if reason == MOVED_ON => return Err(moved_on()),
            Err(error) => return Err(self.store_failure(&error)),
        }
        self.reload(&spec.id)?;
        Ok(Taken { changed: true, dropped })
    }

    /// Keeps the source's tag of a layer's content, for the next conditional request.
    pub(crate) fn keep_etag(&self, id: &LayerId, etag: Option<&str>) -> Result<(), Failure> {
        self.cache().set_etag(id, etag).map_err(|error| self.store_failure(&error))?;
        self.reload_record(id)
    }
}

const MOVED_ON: &str = "the layer has moved on";

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The content differs from what the layer held.
    pub changed: bool,
    /// Features that could not be used: their tag must not stand for the whole.
    pub dropped: usize,
}

/// Repaired features; one that cannot be repaired is left out, and the first of two with one id stays.
fn mended(features: Vec<Feature>) -> Vec<Feature> {
    let mut seen: HashMap<FeatureId, ()> = HashMap::new();
    let mend = |mut feature: Feature| {
        // The cache keeps no nulls, and what comes back from it must compare equal.
        feature.properties.retain(|_, value| !value.is_null());
        feature.geometry = spatial::repair::repair(feature.geometry).geometry?;
        seen.insert(feature.id.clone(), ()).is_none().then_some(feature)
    };
    features.into_iter().filter_map(mend).collect()
}

fn same(picture: &spatial::LayerPicture, features: &[Feature]) -> bool {
    let alike = |(ordinal, feature): (u32, &Feature)| picture.feature(ordinal) == Some(feature);
    picture.len() == features.len() && (0_u32..).zip(features).all(alike)
}

/// The schema to store: the profile's, or what the file shows. Attributes beyond it are kept by the store.
fn schema_for(layer: &LayerId, spec: Option<&LayerSpec>, inferred: &[Field], features: &[Feature]) -> LayerSchema {
    let geometry = crate::layers::common_geometry(features.iter().map(|f| GeometryKind::of(&f.geometry)));
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
