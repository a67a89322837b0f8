//! A GeoPackage of one layer for other people's programs.

use crate::atomic::Scratch;
use crate::cache::describe;
use crate::table::{self, FeatureTable};
use crate::{LayerSchema, StoreError, gpkg, srs};
use model::{Feature, Provenance};
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Writes a standalone GeoPackage 1.4 with an R-tree, in one file without a log, and returns the number of features.
///
/// The features' coordinates are in `layer.srs_id` already. An existing file is replaced once the new one is whole.
///
/// # Errors
/// The iterator's own error; [`StoreError::UnknownSrs`], [`StoreError::Duplicate`], [`StoreError::Full`],
/// [`StoreError::NotWritable`] (also when another program has the target open). Nothing is left behind.
pub fn export_gpkg(
    path: &Path,
    layer: &LayerSchema,
    features: &mut dyn Iterator<Item = Result<Feature, StoreError>>,
    provenance: &Provenance,
) -> Result<u64, StoreError> {
    refuse_open_target(path)?;
    let scratch = Scratch::beside(path);
    // SQLite says only "unable to open" for a folder that cannot be written; the system says why.
    File::create(scratch.path()).map_err(|error| StoreError::io(path, "creating", &error))?;
    let count = write(scratch.path(), layer, features, provenance).map_err(|error| named(error, path))?;
    let flushed = File::open(scratch.path()).and_then(|file| file.sync_all());
    flushed.map_err(|error| StoreError::io(path, "flushing", &error))?;
    scratch.publish(path)?;
    Ok(count)
}

fn write(
    scratch: &Path,
    layer: &LayerSchema,
    features: &mut dyn Iterator<Item = Result<Feature, StoreError>>,
    provenance: &Provenance,
) -> Result<u64, StoreError> {
    let err = |error| StoreError::sqlite(scratch, "exporting", error);
    let mut connection = Connection::open(scratch).map_err(err)?;
    // Nobody sees the file before it is whole and flushed: no journal on the disk, no flush in between.
    connection.pragma_update(None, "synchronous", "OFF").map_err(err)?;
    connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(())).map_err(err)?;
    connection.pragma_update(None, "cache_size", -32_768).map_err(err)?;
    table::prepare(&connection).map_err(err)?;
    let tx = connection.transaction().map_err(err)?;
    gpkg::create(&tx).map_err(err)?;
    if !srs::ensure(&tx, layer.srs_id).map_err(err)? {
        return Err(StoreError::UnknownSrs { srs_id: layer.srs_id });
    }
    let mut table = FeatureTable::new(&tx, scratch, layer, layer.id.as_str().to_owned()).with_rtree()?;
    for feature in features {
        table.insert(&mut feature?)?;
    }
    table.finish()?;
    let layout = table.layout();
    gpkg::register(&tx, layer, layout.geometry_type.name(), table.bbox, &describe(provenance), &table.titles())
        .map_err(err)?;
    gpkg::rtree_triggers(&tx, layer.id.as_str()).map_err(err)?;
    let count = table.features;
    drop(table);
    tx.commit().map_err(err)?;
    connection.close().map_err(|(_, error)| err(error))?;
    Ok(count)
}

/// A log beside the target belongs to the old file; SQLite would replay it into the new one.
fn refuse_open_target(path: &Path) -> Result<(), StoreError> {
    for ending in ["-wal", "-journal"] {
        let mut log = path.as_os_str().to_owned();
        log.push(ending);
        let log = PathBuf::from(log);
        if log.metadata().is_ok_and(|meta| meta.len() > 0) {
            let reason = format!("another program has it open ({} is there); close it there first", log.display());
            return Err(StoreError::NotWritable { path: path.to_owned(), reason });
        }
    }
    Ok(())
}

/// The person named the target, not the scratch file.
fn named(error: StoreError, target: &Path) -> StoreError {
    let path = target.to_owned();
    match error {
        StoreError::Full { .. } => StoreError::Full { path },
        StoreError::NotWritable { reason, .. } => StoreError::NotWritable { path, reason },
        StoreError::Io { doing, reason, .. } => StoreError::Io { path, doing, reason },
        StoreError::Sqlite { doing, source, .. } => StoreError::Sqlite { path, doing, source },
        other => other,
    }
}
