//! The cache: one GeoPackage, many readers, one writer.

use crate::columns;
use crate::geometry::unwrapped;
use crate::gpkg::{self, GEOMETRY, quoted};
use crate::layer::{Content, LayerSchema, Layout, Loaded, StoredLayer};
use crate::packed::{self, Packing};
use crate::table::{self, extra_fields};
use crate::writing::{Mode, Writing};
use crate::{StoreError, sqlite, srs};
use model::{BBox, Classification, Feature, LayerId, LayerKind, Provenance, Timestamp, Title};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const KIND: sqlite::Kind = sqlite::Kind {
    application_id: gpkg::APPLICATION_ID,
    create,
    format: "SELECT format FROM tc_meta",
    known_format: 2,
    migrate,
    // An import is promised to stay once it is reported, and a layer is one commit, so the flush costs nothing.
    synchronous: "FULL",
};

/// Our bookkeeping: attribute tables, which other programs show as tables without geometry.
const DDL: &str = "
CREATE TABLE tc_meta (id INTEGER PRIMARY KEY NOT NULL, format INTEGER NOT NULL);
INSERT INTO tc_meta VALUES (1, 2);
CREATE TABLE tc_layers (
 id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, layer TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
 present BOOLEAN NOT NULL, kind TEXT NOT NULL, title_vi TEXT NOT NULL, title_en TEXT NOT NULL, schema TEXT NOT NULL,
 features INTEGER NOT NULL, source TEXT NOT NULL, provider_vi TEXT NOT NULL, provider_en TEXT NOT NULL,
 fetched_at TEXT NOT NULL, as_of TEXT NOT NULL, licence TEXT NOT NULL, classification TEXT NOT NULL,
 sample BOOLEAN NOT NULL, practice BOOLEAN NOT NULL, etag TEXT);
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES
 ('tc_meta', 'attributes', 'tc_meta', 0), ('tc_layers', 'attributes', 'tc_layers', 0);
";

fn create(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    gpkg::create(tx)?;
    tx.execute_batch(DDL)?;
    tx.execute_batch(packed::DDL)
}

fn migrate(tx: &Transaction<'_>, from: i64) -> rusqlite::Result<()> {
    if from < 2 {
        // Format 1 kept an index that nothing had filled yet.
        tx.execute_batch(
            "DROP TABLE IF EXISTS tc_indexes; DELETE FROM gpkg_contents WHERE table_name = 'tc_indexes';",
        )?;
        tx.execute_batch(packed::DDL)?;
    }
    tx.execute("UPDATE tc_meta SET format = 2", []).map(|_| ())
}

/// `HOME/province.gpkg`. Share it by reference between threads: readers do not wait for the writer.
pub struct Cache {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Idle reading connections; one is made when none is idle.
    readers: Mutex<Vec<Connection>>,
    /// Only ever asked for its data version: a connection does not see its own commits there.
    watch: Mutex<Connection>,
}

/// A panic while holding the lock has rolled its transaction back; the connection itself is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    /// Opens the cache, creating file and folder when absent.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a file that is damaged or not ours, [`StoreError::Newer`] for one from a later
    /// version, [`StoreError::NotWritable`], [`StoreError::Full`], [`StoreError::Busy`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = sqlite::open_writer(path, &KIND)?;
        table::prepare(&writer).map_err(|error| StoreError::sqlite(path, "opening", error))?;
        let watch = sqlite::open_reader(path)?;
        let cache = Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            watch: Mutex::new(watch),
        };
        cache.layers()?;
        Ok(cache)
    }

    /// As [`Cache::open`]; a damaged file is renamed to `NAME.corrupt-TIME` (with its log) and an empty cache takes its
    /// place. Returns the damaged file's new name, so that the person can be told.
    ///
    /// # Errors
    /// As [`Cache::open`], except for damage.
    pub fn open_or_rebuild(path: &Path) -> Result<(Self, Option<PathBuf>), StoreError> {
        sqlite::open_or_rebuild(path, Self::open)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All layers, by id.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn layers(&self) -> Result<Vec<StoredLayer>, StoreError> {
        self.read_tx("listing layers", |tx| {
            let mut select = tx.prepare_cached(&format!("{SELECT_LAYER} WHERE present ORDER BY layer"))?;
            let mut rows = select.query([])?;
            let mut layers = Vec::new();
            while let Some(row) = rows.next()? {
                layers.push(layer_of(row)?.0);
            }
            Ok(layers)
        })
    }

    /// One layer; `None` when there is none of that id.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn layer(&self, id: &LayerId) -> Result<Option<StoredLayer>, StoreError> {
        self.read_tx("reading a layer", |tx| Ok(find(tx, id)?.map(|(layer, _)| layer)))
    }

    /// A layer's features in fid order, so that the position is the ordinal. A property without a value (null) is not
    /// in the map.
    ///
    /// # Errors
    /// [`StoreError::UnknownLayer`]; [`StoreError::Corrupt`] for a row that is no feature.
    pub fn read(&self, id: &LayerId) -> Result<Vec<Feature>, StoreError> {
        let mut features = Vec::new();
        self.visit(id, &mut |feature| features.push(feature))?
            .map(|_| features)
            .ok_or_else(|| StoreError::UnknownLayer { layer: id.clone() })
    }

    /// Hands over a layer's features one by one, in fid order, all of one and the same version. `None`: no such layer.
    ///
    /// # Errors
    /// As [`Cache::read`]; what came before the damaged row was handed over.
    pub fn visit(&self, id: &LayerId, each: &mut dyn FnMut(Feature)) -> Result<Option<StoredLayer>, StoreError> {
        let read = self.read_tx("reading a layer", |tx| {
            let Some((layer, layout)) = find(tx, id)? else { return Ok(None) };
            Ok(Some(read_features(tx, &layer, &layout, each)?.map(|()| layer)))
        })?;
        read.transpose().map_err(|reason| StoreError::Corrupt { path: self.path.clone(), reason })
    }

    /// Layer and content of one and the same version: packed where that was kept, else the features.
    ///
    /// # Errors
    /// As [`Cache::read`]; a missing layer is `None`.
    pub fn load(&self, id: &LayerId) -> Result<Option<Loaded>, StoreError> {
        let loaded = self.read_tx("reading a layer", |tx| {
            let Some((layer, layout)) = find(tx, id)? else { return Ok(None) };
            let parts = packed::read(tx, id, layer.version)?;
            if !parts.is_empty() {
                return Ok(Some(Ok(Loaded { layer, content: Content::Packed(parts) })));
            }
            let mut features = Vec::new();
            let read = read_features(tx, &layer, &layout, &mut |feature| features.push(feature))?;
            Ok(Some(read.map(|()| Loaded { layer, content: Content::Features(features) })))
        })?;
        loaded.transpose().map_err(|reason| StoreError::Corrupt { path: self.path.clone(), reason })
    }

    /// Fills a layer within one transaction: all of it or nothing. `body` pushes features and says in the end what the
    /// layer is and where it came from; its error leaves the layer as it was.
    ///
    /// In [`Mode::Replace`] the new rows go into a table beside the old one, and `packing` (an opaque companion of
    /// exactly these features, given back by [`Cache::load`]) is kept with them. Readers keep the old content until the
    /// commit. The write lock is held meanwhile: draw from memory or a local file, not from the network.
    ///
    /// # Errors
    /// The body's own; [`StoreError::Duplicate`], [`StoreError::Geometry`], [`StoreError::Full`] and so on.
    pub fn write<E: From<StoreError>>(
        &self,
        mode: Mode,
        layer: &LayerSchema,
        packing: Option<&mut dyn Packing>,
        body: impl FnOnce(&mut Writing<'_>) -> Result<(LayerSchema, Provenance), E>,
    ) -> Result<StoredLayer, E> {
        self.write_tx("writing a layer", |tx| {
            let err = |error| StoreError::sqlite(&self.path, "writing a layer", error);
            if !srs::ensure(tx, layer.srs_id).map_err(err)? {
                return Err(StoreError::UnknownSrs { srs_id: layer.srs_id }.into());
            }
            let known = find(tx, &layer.id).map_err(err)?.filter(|_| mode != Mode::Replace);
            let version = next_version(tx, &layer.id).map_err(err)?;
            // Cut down to the life of the transaction.
            let packing = packing.map(|packing| packing as &mut dyn Packing);
            let mut writing = Writing::begin(tx, &self.path, mode, layer, version, known, packing)?;
            let (layer, provenance) = body(&mut writing)?;
            let table = writing.finish(&layer)?;
            let layout = table.layout();
            let description = describe(&provenance);
            gpkg::register(tx, &layer, layout.geometry_type.name(), table.bbox, &description, &table.titles())
                .map_err(err)?;
            packed::watch(tx, &layer.id).map_err(err)?;
            enter(tx, &layer, &layout, table.features, &provenance).map_err(err)?;
            let stored = find(tx, &layer.id).map_err(err)?;
            Ok(stored.map(|(stored, _)| stored).ok_or_else(|| StoreError::UnknownLayer { layer: layer.id.clone() })?)
        })
    }

    /// Puts new content in the place of a layer's old content.
    ///
    /// # Errors
    /// The iterator's own error, else as [`Cache::write`]; the layer is then as before.
    pub fn replace(
        &self,
        layer: &LayerSchema,
        features: &mut dyn Iterator<Item = Result<Feature, StoreError>>,
        provenance: &Provenance,
        packing: Option<&mut dyn Packing>,
    ) -> Result<StoredLayer, StoreError> {
        self.write_all(Mode::Replace, layer, features, provenance, packing)
    }

    /// Adds features behind those that are there. An id that is there already is an error.
    ///
    /// # Errors
    /// As [`Cache::replace`].
    pub fn append(
        &self,
        layer: &LayerSchema,
        features: &mut dyn Iterator<Item = Result<Feature, StoreError>>,
        provenance: &Provenance,
    ) -> Result<StoredLayer, StoreError> {
        self.write_all(Mode::Append, layer, features, provenance, None)
    }

    /// Adds features; one whose id is there takes the old one's place (and ordinal), all its properties included. An id
    /// that comes twice in `features`: the last one stays.
    ///
    /// # Errors
    /// As [`Cache::replace`], without [`StoreError::Duplicate`].
    pub fn upsert(
        &self,
        layer: &LayerSchema,
        features: &mut dyn Iterator<Item = Result<Feature, StoreError>>,
        provenance: &Provenance,
    ) -> Result<StoredLayer, StoreError> {
        self.write_all(Mode::Upsert, layer, features, provenance, None)
    }

    fn write_all(
        &self,
        mode: Mode,
        layer: &LayerSchema,
        features: &mut dyn Iterator<Item = Result<Feature, StoreError>>,
        provenance: &Provenance,
        packing: Option<&mut dyn Packing>,
    ) -> Result<StoredLayer, StoreError> {
        self.write(mode, layer, packing, |writing| {
            for feature in features {
                writing.push(feature?)?;
            }
            Ok((layer.clone(), provenance.clone()))
        })
    }

    /// Takes a layer out of the cache. False when there was none.
    ///
    /// # Errors
    /// As writing to the file gives.
    pub fn remove(&self, id: &LayerId) -> Result<bool, StoreError> {
        self.write_tx("removing a layer", |tx| {
            let err = |error| StoreError::sqlite(&self.path, "removing a layer", error);
            // The row stays as a mark, so that the version goes on where it stood if the layer comes back.
            let marked = tx
                .execute("UPDATE tc_layers SET present = 0, etag = NULL WHERE layer = ?1 AND present", [id.as_str()])
                .map_err(err)?;
            if marked > 0 {
                gpkg::unregister(tx, id.as_str()).map_err(err)?;
                packed::forget(tx, id).map_err(err)?;
                tx.execute_batch(&format!("DROP TABLE IF EXISTS {}", quoted(id.as_str()))).map_err(err)?;
            }
            Ok(marked > 0)
        })
    }

    /// Notes that the source was asked and nothing had changed; the version stays.
    ///
    /// # Errors
    /// [`StoreError::UnknownLayer`], or as writing gives.
    pub fn touch(&self, id: &LayerId, fetched_at: Timestamp, as_of: Timestamp) -> Result<(), StoreError> {
        let (fetched_at, as_of) = (fetched_at.to_string(), as_of.to_string());
        self.update(id, "fetched_at = ?2, as_of = ?3", params![id.as_str(), fetched_at, as_of])
    }

    /// Keeps the source's tag of the present content.
    ///
    /// # Errors
    /// As [`Cache::touch`].
    pub fn set_etag(&self, id: &LayerId, etag: Option<&str>) -> Result<(), StoreError> {
        self.update(id, "etag = ?2", params![id.as_str(), etag])
    }

    /// Keeps the packed content of a version of a layer. False, and nothing kept, when the layer has moved on.
    ///
    /// # Errors
    /// As writing gives.
    pub fn set_packed(&self, id: &LayerId, version: u32, parts: &[Vec<u8>]) -> Result<bool, StoreError> {
        self.write_tx("keeping a packed layer", |tx| {
            let err = |error| StoreError::sqlite(&self.path, "keeping a packed layer", error);
            let current = find(tx, id).map_err(err)?.is_some_and(|(layer, _)| layer.version == version);
            if current {
                packed::forget(tx, id).map_err(err)?;
                for (part, bytes) in (0_u32..).zip(parts) {
                    packed::keep(tx, id, version, part, bytes).map_err(err)?;
                }
            }
            Ok(current)
        })
    }

    /// Keeps one more part behind the packed content of a version, unless it is there or the layer has moved on: then
    /// false, and nothing is kept.
    ///
    /// # Errors
    /// As writing gives.
    pub fn add_packed(&self, id: &LayerId, version: u32, parts: u32, bytes: &[u8]) -> Result<bool, StoreError> {
        self.write_tx("keeping a packed layer", |tx| {
            let err = |error| StoreError::sqlite(&self.path, "keeping a packed layer", error);
            let held = packed::count(tx, id, version).map_err(err)?;
            if held != parts || parts == 0 {
                return Ok(false);
            }
            packed::keep(tx, id, version, parts, bytes).map_err(err)?;
            Ok(true)
        })
    }

    /// A number that changes when another connection or process has committed since the last call, and with this
    /// cache's own commits too: then compare the versions in [`Cache::layers`].
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        lock(&self.watch)
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(|error| StoreError::sqlite(&self.path, "reading the data version", error))
    }

    /// Everything that is wrong with the file, in English; empty when all is well. Reads all of it.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let mut found = self.read_tx("checking", |tx| sqlite::integrity(tx))?;
        for layer in self.layers()? {
            let mut count = 0_u64;
            match self.visit(&layer.schema.id, &mut |_| count += 1) {
                Ok(Some(layer)) if count != layer.features => found.push(format!(
                    "layer {}: {count} features are there, {} were written",
                    layer.schema.id, layer.features
                )),
                Ok(_) => {}
                Err(error) => found.push(format!("layer {}: {error}", layer.schema.id)),
            }
        }
        Ok(found)
    }

    /// Brings the write-ahead log into the file and empties it, as far as readers let it.
    ///
    /// # Errors
    /// As writing gives.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        sqlite::checkpoint(&lock(&self.writer)).map_err(|error| StoreError::sqlite(&self.path, "checkpoint", error))
    }

    /// Gives the space of removed rows back to the disk. Needs as much free space as the file has content.
    ///
    /// # Errors
    /// As writing gives.
    pub fn vacuum(&self) -> Result<(), StoreError> {
        let writer = lock(&self.writer);
        let run = || writer.execute_batch("VACUUM").and_then(|()| sqlite::checkpoint(&writer));
        run().map_err(|error| StoreError::sqlite(&self.path, "vacuum", error))
    }

    fn update(&self, id: &LayerId, set: &str, params: impl rusqlite::Params) -> Result<(), StoreError> {
        self.write_tx("updating a layer", |tx| {
            let sql = format!("UPDATE tc_layers SET {set} WHERE layer = ?1 AND present");
            match tx.execute(&sql, params) {
                Ok(0) => Err(StoreError::UnknownLayer { layer: id.clone() }),
                Ok(_) => Ok(()),
                Err(error) => Err(StoreError::sqlite(&self.path, "updating a layer", error)),
            }
        })
    }

    fn write_tx<T, E: From<StoreError>>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = lock(&self.writer);
        let err = |error| StoreError::sqlite(&self.path, doing, error);
        // What earlier commits left in the log goes into the file now: should the disk fill up below, the log can then
        // be emptied without needing space. Best effort, does not wait for readers.
        let _ = writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        // Immediate: takes the write lock at once, so that the other process waits here and not half-way.
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(err)?;
        let result = body(&tx).and_then(|value| Ok(tx.commit().map(|()| value).map_err(err)?));
        if result.is_err() || sqlite::log_is_large(&self.path) {
            // Should the disk be full, the failed rows that lie in the log are what fills it; and what a large layer left
            // there need not be looked through at the next start. Nothing more can be done if this fails.
            let _ = sqlite::checkpoint(&writer);
        }
        result
    }

    fn read_tx<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let idle = lock(&self.readers).pop();
        let mut reader = idle.map_or_else(|| sqlite::open_reader(&self.path), Ok)?;
        // One snapshot for all statements of the body.
        let result = reader.transaction().and_then(|tx| body(&tx));
        lock(&self.readers).push(reader);
        result.map_err(|error| StoreError::sqlite(&self.path, doing, error))
    }
}

/// A sentence for `gpkg_contents.description`: a file that is passed on keeps its origin.
pub(crate) fn describe(provenance: &Provenance) -> String {
    let mark = if provenance.practice {
        " · practice data"
    } else if provenance.sample {
        " · sample data"
    } else {
        ""
    };
    format!("{} · {} · {}{mark}", provenance.provider.vi, provenance.as_of, provenance.licence)
}

const SELECT_LAYER: &str = "SELECT layer, version, kind, title_vi, title_en, schema, features, source, provider_vi,
 provider_en, fetched_at, as_of, licence, classification, sample, practice, etag, min_x, min_y, max_x, max_y
 FROM tc_layers JOIN gpkg_contents ON table_name = layer";

fn find(tx: &Connection, id: &LayerId) -> rusqlite::Result<Option<(StoredLayer, Layout)>> {
    tx.prepare_cached(&format!("{SELECT_LAYER} WHERE present AND layer = ?1"))?
        .query_row([id.as_str()], layer_of)
        .optional()
}

fn layer_of(row: &Row<'_>) -> rusqlite::Result<(StoredLayer, Layout)> {
    type Cause = Box<dyn std::error::Error + Send + Sync>;
    let bad = |column: usize, cause: Cause| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, cause)
    };
    let word = |column: usize| row.get::<_, String>(column).map(serde_json::Value::String);
    let time = |column: usize| -> rusqlite::Result<Timestamp> {
        row.get::<_, String>(column)?.parse().map_err(|error: jiff::Error| bad(column, error.into()))
    };
    let id = LayerId::new(&row.get::<_, String>(0)?).map_err(|reason| bad(0, reason.into()))?;
    let kind: LayerKind = serde_json::from_value(word(2)?).map_err(|error| bad(2, error.into()))?;
    let layout: Layout = serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(|error| bad(5, error.into()))?;
    let classification: Classification = serde_json::from_value(word(13)?).map_err(|error| bad(13, error.into()))?;
    let bounds: [Option<f64>; 4] = [row.get(17)?, row.get(18)?, row.get(19)?, row.get(20)?];
    let bbox = match bounds {
        [Some(west), Some(south), Some(east), Some(north)] => Some(BBox { west, south, east, north }),
        _ => None,
    };
    let layer = StoredLayer {
        schema: LayerSchema {
            id,
            title: Title { vi: row.get(3)?, en: row.get(4)? },
            kind,
            geometry: layout.geometry,
            fields: layout.fields.clone(),
            srs_id: layout.srs_id,
        },
        version: row.get(1)?,
        features: row.get::<_, i64>(6)?.unsigned_abs(),
        bbox,
        provenance: Provenance {
            source: row.get(7)?,
            provider: Title { vi: row.get(8)?, en: row.get(9)? },
            fetched_at: time(10)?,
            as_of: time(11)?,
            licence: row.get(12)?,
            classification,
            sample: row.get(14)?,
            practice: row.get(15)?,
        },
        etag: row.get(16)?,
        extra: extra_fields(&layout),
    };
    Ok((layer, layout))
}

/// The version that a write now under way will have.
fn next_version(tx: &Connection, id: &LayerId) -> rusqlite::Result<u32> {
    let last: Option<u32> = tx
        .prepare_cached("SELECT version FROM tc_layers WHERE layer = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(last.map_or(1, |last| last.saturating_add(1)))
}

/// Writes the bookkeeping of new content: version one up, tag gone.
fn enter(
    tx: &Connection,
    layer: &LayerSchema,
    layout: &Layout,
    features: u64,
    provenance: &Provenance,
) -> rusqlite::Result<()> {
    let schema =
        serde_json::to_string(layout).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    tx.execute(
        "INSERT INTO tc_layers (layer, version, present, kind, title_vi, title_en, schema, features, source,
           provider_vi, provider_en, fetched_at, as_of, licence, classification, sample, practice, etag)
         VALUES (:layer, 1, 1, :kind, :title_vi, :title_en, :schema, :features, :source,
           :provider_vi, :provider_en, :fetched_at, :as_of, :licence, :classification, :sample, :practice, NULL)
         ON CONFLICT (layer) DO UPDATE SET version = version + 1, present = 1, kind = excluded.kind,
           title_vi = excluded.title_vi, title_en = excluded.title_en, schema = excluded.schema,
           features = excluded.features, source = excluded.source, provider_vi = excluded.provider_vi,
           provider_en = excluded.provider_en, fetched_at = excluded.fetched_at, as_of = excluded.as_of,
           licence = excluded.licence, classification = excluded.classification, sample = excluded.sample,
           practice = excluded.practice, etag = NULL",
        named_params! {
            ":layer": layer.id.as_str(), ":kind": layer.kind.as_str(), ":title_vi": layer.title.vi,
            ":title_en": layer.title.en, ":schema": schema, ":features": features.cast_signed(),
            ":source": provenance.source, ":provider_vi": provenance.provider.vi,
            ":provider_en": provenance.provider.en, ":fetched_at": provenance.fetched_at.to_string(),
            ":as_of": provenance.as_of.to_string(), ":licence": provenance.licence,
            ":classification": provenance.classification.as_str(), ":sample": provenance.sample,
            ":practice": provenance.practice,
        },
    )?;
    Ok(())
}

/// The inner error is damage in words.
fn read_features(
    tx: &Connection,
    layer: &StoredLayer,
    layout: &Layout,
    each: &mut dyn FnMut(Feature),
) -> rusqlite::Result<Result<(), String>> {
    // In the order of the property map, so that building each map needs no sorting.
    let mut ordered: Vec<_> = layout.columns.iter().collect();
    ordered.sort_by(|a, b| a.property.cmp(&b.property));
    let columns: String = ordered.iter().map(|column| format!(", {}", quoted(&column.column))).collect();
    let table = quoted(layer.schema.id.as_str());
    let mut select = tx.prepare(&format!("SELECT id, {}{columns} FROM {table} ORDER BY fid", quoted(GEOMETRY)))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let geometry = match row
            .get_ref(1)?
            .as_blob()
            .map_err(|error| error.to_string())
            .and_then(|blob| model::from_gpkg_blob(blob).map_err(|error| error.to_string()))
        {
            Ok((geometry, _)) if layout.wrapped => unwrapped(geometry),
            Ok((geometry, _)) => geometry,
            Err(reason) => return Ok(Err(format!("layer {}, feature {id:?}: {reason}", layer.schema.id))),
        };
        let mut properties = Vec::with_capacity(ordered.len());
        for (at, column) in ordered.iter().enumerate() {
            if let Some(value) = columns::from_sql(column.field_type, row.get_ref(at + 2)?) {
                properties.push((column.property.clone(), value));
            }
        }
        each(Feature { id, geometry, properties: properties.into_iter().collect() });
    }
    Ok(Ok(()))
}
