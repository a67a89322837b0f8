//! The packed form of a layer, kept beside its table: opaque bytes in parts, gone as soon as anybody edits the table.

use crate::gpkg::quoted;
use model::{Feature, LayerId};
use rusqlite::blob::ZeroBlob;
use rusqlite::{Connection, params};

/// Makes an opaque companion of a layer while its features are written, part by part.
pub trait Packing {
    /// Takes the next feature, as it will be read back; a part that is full comes back, of these or earlier features.
    fn push(&mut self, feature: Feature) -> Option<Vec<u8>>;

    /// What is left. Called once, at the end.
    fn finish(&mut self) -> Vec<Vec<u8>>;
}

pub(crate) const DDL: &str = "
CREATE TABLE tc_packed (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, layer TEXT NOT NULL, version INTEGER NOT NULL,
 part INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (layer, version, part));
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES ('tc_packed', 'attributes', 'tc_packed', 0);
";

pub(crate) fn keep(tx: &Connection, id: &LayerId, version: u32, part: u32, bytes: &[u8]) -> rusqlite::Result<()> {
    // Written in its place: as a value it would be copied twice, and the index of a large layer is tens of megabytes.
    tx.prepare_cached("INSERT INTO tc_packed (layer, version, part, bytes) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id.as_str(), version, part, ZeroBlob(bytes.len() as u64)])?;
    let mut blob = tx.blob_open("main", "tc_packed", "bytes", tx.last_insert_rowid(), false)?;
    blob.write_at(bytes, 0)?;
    blob.close()
}

pub(crate) fn forget(tx: &Connection, id: &LayerId) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM tc_packed WHERE layer = ?1")?.execute([id.as_str()])?;
    Ok(())
}

pub(crate) fn read(tx: &Connection, id: &LayerId, version: u32) -> rusqlite::Result<Vec<Vec<u8>>> {
    let sql = "SELECT bytes FROM tc_packed WHERE layer = ?1 AND version = ?2 ORDER BY part";
    tx.prepare_cached(sql)?.query_map(params![id.as_str(), version], |row| row.get(0))?.collect()
}

pub(crate) fn count(tx: &Connection, id: &LayerId, version: u32) -> rusqlite::Result<u32> {
    let sql = "SELECT count(*) FROM tc_packed WHERE layer = ?1 AND version = ?2";
    tx.prepare_cached(sql)?.query_row(params![id.as_str(), version], |row| row.get(0))
}

const EVENTS: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

/// From now on an edit by whomever, QGIS say, drops the packed form: the rows are the truth.
pub(crate) fn watch(tx: &Connection, id: &LayerId) -> rusqlite::Result<()> {
    for event in EVENTS {
        let (trigger, table) = (trigger(id, event), quoted(id.as_str()));
        tx.execute_batch(&format!(
            "CREATE TRIGGER {trigger} AFTER {event} ON {table} BEGIN DELETE FROM tc_packed WHERE layer = '{id}'; END"
        ))?;
    }
    Ok(())
}

/// Before we write ourselves: a trigger costs more than the row.
pub(crate) fn unwatch(tx: &Connection, id: &LayerId) -> rusqlite::Result<()> {
    EVENTS.iter().try_for_each(|event| tx.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", trigger(id, event))))
}

fn trigger(id: &LayerId, event: &str) -> String {
    quoted(&format!("tc_packed_{id}_{}", event.to_lowercase()))
}
