//! Tiles of maps that others make: what was looked at and what was fetched beforehand, for when the network is gone.

use crate::{StoreError, sqlite};
use model::{TileForm, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const KIND: sqlite::Kind = sqlite::Kind {
    // "TCTI"
    application_id: 0x5443_5449,
    create,
    format: "SELECT format FROM meta",
    known_format: 1,
    migrate: |_, _| Ok(()),
    // Every tile can be fetched again: a flush for each would wear disks out.
    synchronous: "NORMAL",
};

/// Equal tiles (sea, fields, nothing) are kept once. An empty tile has no content. Times are seconds since 1970.
const DDL: &str = "
CREATE TABLE meta (format INTEGER NOT NULL);
INSERT INTO meta VALUES (1);
CREATE TABLE sets (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE contents (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, bytes BLOB NOT NULL);
CREATE INDEX contents_size ON contents (size);
CREATE TABLE tiles (tileset INTEGER NOT NULL REFERENCES sets (id), z INTEGER NOT NULL, x INTEGER NOT NULL,
 y INTEGER NOT NULL, content INTEGER REFERENCES contents (id), size INTEGER NOT NULL, form TEXT, validator TEXT,
 fetched_at INTEGER NOT NULL, fresh_until INTEGER NOT NULL, used_at INTEGER NOT NULL, kept INTEGER NOT NULL,
 PRIMARY KEY (tileset, z, x, y)) WITHOUT ROWID;
CREATE INDEX tiles_content ON tiles (content);
CREATE INDEX tiles_used ON tiles (kept, used_at);
";

fn create(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.pragma_update(None, "application_id", KIND.application_id)?;
    tx.execute_batch(DDL)
}

/// Bytes of tiles that are kept when nothing else is said.
pub const TILE_BUDGET_BYTES: u64 = 2_000_000_000;
/// When a tile was last used is written down this often at most.
const USED_STEP_SECS: i64 = 3_600;
/// An entry costs this much besides its bytes.
const ENTRY_BYTES: u64 = 160;
/// Tiles that are dropped at once when room is made.
const DROPPED_AT_ONCE: u32 = 256;

/// Place of a tile in the Mercator grid, rows from the north.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TilePlace {
    pub z: u8,
    pub x: u32,
    pub y: u32,
}

/// A tile to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewTile<'a> {
    /// Absent: the source says that nothing is there.
    pub content: Option<(TileForm, &'a [u8])>,
    pub validator: Option<&'a str>,
    pub fetched_at: Timestamp,
    pub fresh_until: Timestamp,
    /// Fetched beforehand: it does not give way to others.
    pub kept: bool,
}

/// A tile as it is kept. Times are to the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedTile {
    pub content: Option<(TileForm, Vec<u8>)>,
    pub validator: Option<String>,
    pub fetched_at: Timestamp,
    pub fresh_until: Timestamp,
    pub kept: bool,
}

/// What is kept of one set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TileSetFigures {
    pub set: String,
    pub tiles: u64,
    /// Of those, fetched beforehand.
    pub kept: u64,
    /// Of all tiles, equal ones counted each time.
    pub bytes: u64,
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
}

/// `HOME/tiles.sqlite`. Share it by reference between threads; several processes may use one file.
#[derive(Debug)]
pub struct TileCache {
    path: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    budget_bytes: AtomicU64,
    /// Bytes in the file, as last counted and added to since; another process may have changed it.
    held_bytes: AtomicU64,
}

impl TileCache {
    /// Opens the cache, creating file and folder when absent.
    ///
    /// # Errors
    /// As [`crate::Cache::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = sqlite::open_writer(path, &KIND)?;
        let reader = sqlite::open_reader(path)?;
        let held = held(&writer).map_err(|error| StoreError::sqlite(path, "counting tiles", error))?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            budget_bytes: AtomicU64::new(TILE_BUDGET_BYTES),
            held_bytes: AtomicU64::new(held),
        })
    }

    /// As [`crate::Cache::open_or_rebuild`].
    ///
    /// # Errors
    /// As [`TileCache::open`], except for damage.
    pub fn open_or_rebuild(path: &Path) -> Result<(Self, Option<PathBuf>), StoreError> {
        sqlite::open_or_rebuild(path, Self::open)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// So many bytes may be held; what is beyond goes when the next tile comes.
    pub fn set_budget(&self, bytes: u64) {
        self.budget_bytes.store(bytes, Ordering::Relaxed);
    }

    pub fn budget(&self) -> u64 {
        self.budget_bytes.load(Ordering::Relaxed)
    }

    /// A tile with its bytes; that it was used is noted.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn get(&self, set: &str, place: TilePlace, now: Timestamp) -> Result<Option<CachedTile>, StoreError> {
        let found = self.read("reading a tile", |reader| {
            let sql = "SELECT form, bytes, validator, fetched_at, fresh_until, kept, used_at FROM tiles
                       JOIN sets ON sets.id = tileset LEFT JOIN contents ON contents.id = content
                       WHERE name = ?1 AND z = ?2 AND x = ?3 AND y = ?4";
            let mut statement = reader.prepare_cached(sql)?;
            statement
                .query_row(params![set, place.z, place.x, place.y], |row| Ok((cached(row)?, row.get::<_, i64>(6)?)))
                .optional()
        })?;
        let Some((tile, used_at)) = found else { return Ok(None) };
        if now.as_second() - used_at > USED_STEP_SECS {
            // Best effort: at worst it gives way too early.
            let _ = self.write("noting a use", |tx| {
                tx.prepare_cached(
                    "UPDATE tiles SET used_at = max(used_at, ?5) WHERE tileset = (SELECT id FROM sets WHERE name = ?1)
                     AND z = ?2 AND x = ?3 AND y = ?4",
                )?
                .execute(params![set, place.z, place.x, place.y, now.as_second()])
            });
        }
        Ok(Some(tile))
    }

    /// Until when a tile is fresh and whether it is kept, without its bytes; `None` for one that is not held.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn peek(&self, set: &str, place: TilePlace) -> Result<Option<(Timestamp, bool)>, StoreError> {
        self.read("looking for a tile", |reader| {
            let sql = "SELECT fresh_until, kept FROM tiles JOIN sets ON sets.id = tileset
                       WHERE name = ?1 AND z = ?2 AND x = ?3 AND y = ?4";
            let mut statement = reader.prepare_cached(sql)?;
            let found = |row: &Row<'_>| Ok((time(row, 0)?, row.get(1)?));
            statement.query_row(params![set, place.z, place.x, place.y], found).optional()
        })
    }

    /// Keeps a tile in place of the one that was there; those that were used longest ago make room. One that was fetched
    /// beforehand stays so. False when there is no room: all the budget holds tiles fetched beforehand.
    ///
    /// # Errors
    /// [`StoreError::Full`] for a full disk, and what else writing gives; nothing is changed then.
    pub fn put(&self, set: &str, place: TilePlace, tile: &NewTile<'_>) -> Result<bool, StoreError> {
        let size = tile.content.map_or(0, |(_, bytes)| bytes.len() as u64);
        if !self.make_room(size + ENTRY_BYTES)? {
            return Ok(false);
        }
        let added = self.write("keeping a tile", |tx| put(tx, set, place, tile))?;
        self.held_bytes.fetch_add(added, Ordering::Relaxed);
        Ok(true)
    }

    /// Marks a held tile as fetched beforehand.
    ///
    /// # Errors
    /// As writing gives.
    pub fn keep(&self, set: &str, place: TilePlace) -> Result<(), StoreError> {
        self.write("keeping a tile", |tx| {
            let sql = "UPDATE tiles SET kept = 1 WHERE tileset = (SELECT id FROM sets WHERE name = ?1)
                       AND z = ?2 AND x = ?3 AND y = ?4";
            tx.prepare_cached(sql)?.execute(params![set, place.z, place.x, place.y])
        })?;
        Ok(())
    }

    /// What is held of each set that has tiles, by name.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn figures(&self) -> Result<Vec<TileSetFigures>, StoreError> {
        self.read("counting tiles", |reader| {
            let sql = "SELECT name, count(*), sum(kept), sum(size), min(fetched_at), max(fetched_at)
                       FROM tiles JOIN sets ON sets.id = tileset GROUP BY tileset ORDER BY name";
            let figures = |row: &Row<'_>| {
                Ok(TileSetFigures {
                    set: row.get(0)?,
                    tiles: row.get::<_, i64>(1)?.cast_unsigned(),
                    kept: row.get::<_, i64>(2)?.cast_unsigned(),
                    bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                    oldest: Some(time(row, 4)?),
                    newest: Some(time(row, 5)?),
                })
            };
            reader.prepare_cached(sql)?.query_map([], figures)?.collect()
        })
    }

    /// Bytes that all tiles together take; equal ones count once.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Drops all tiles of a set, those fetched beforehand too. Returns how many.
    ///
    /// # Errors
    /// As writing gives; nothing is changed then.
    pub fn clear(&self, set: &str) -> Result<u64, StoreError> {
        let (count, held) = self.write("dropping tiles", |tx| {
            let count = tx.execute("DELETE FROM tiles WHERE tileset = (SELECT id FROM sets WHERE name = ?1)", [set])?;
            tx.execute("DELETE FROM sets WHERE name = ?1", [set])?;
            tx.execute(LONELY, [])?;
            Ok((count as u64, held(tx)?))
        })?;
        self.held_bytes.store(held, Ordering::Relaxed);
        // The space is given back to the disk as far as that costs nothing; the rest serves the next tiles.
        let _ = sqlite::checkpoint(&lock(&self.writer));
        Ok(count)
    }

    /// Everything that is wrong with the file; empty when all is well.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        self.read("checking", sqlite::integrity)
    }

    /// Drops what was used longest ago until so many bytes more have room. False when only kept ones are left.
    fn make_room(&self, bytes: u64) -> Result<bool, StoreError> {
        let budget = self.budget();
        let fits = |held: u64| held.saturating_add(bytes) <= budget;
        if fits(self.held_bytes()) {
            return Ok(true);
        }
        loop {
            let (dropped, held) = self.write("making room for a tile", |tx| {
                // Counted anew: another process may have added or dropped.
                let mut now = held(tx)?;
                let mut dropped = 0;
                if !fits(now) {
                    let sql = "DELETE FROM tiles WHERE (tileset, z, x, y) IN
                        (SELECT tileset, z, x, y FROM tiles WHERE kept = 0 ORDER BY used_at LIMIT ?1)";
                    dropped = tx.prepare_cached(sql)?.execute([DROPPED_AT_ONCE])?;
                    tx.execute(LONELY, [])?;
                    now = held(tx)?;
                }
                Ok((dropped, now))
            })?;
            self.held_bytes.store(held, Ordering::Relaxed);
            if fits(held) {
                return Ok(true);
            }
            if dropped == 0 {
                return Ok(false);
            }
        }
    }

    fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&lock(&self.reader)).map_err(|error| StoreError::sqlite(&self.path, doing, error))
    }

    fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut writer = lock(&self.writer);
        let run = || -> rusqlite::Result<T> {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let out = work(&tx)?;
            tx.commit()?;
            Ok(out)
        };
        run().map_err(|error| StoreError::sqlite(&self.path, doing, error))
    }
}

/// Contents that no tile has; they are looked for in the narrow index.
const LONELY: &str = "DELETE FROM contents WHERE id IN
    (SELECT id FROM contents WHERE NOT EXISTS (SELECT 1 FROM tiles WHERE content = contents.id))";

fn lock(mutex: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By the narrow indexes: the tiles themselves are not read.
fn held(connection: &Connection) -> rusqlite::Result<u64> {
    let contents: i64 = connection.query_row("SELECT coalesce(sum(size), 0) FROM contents", [], |row| row.get(0))?;
    let tiles: i64 = connection.query_row("SELECT count(*) FROM tiles", [], |row| row.get(0))?;
    Ok(contents.cast_unsigned() + tiles.cast_unsigned() * ENTRY_BYTES)
}

/// Returns the bytes that were added.
fn put(tx: &Transaction<'_>, set: &str, place: TilePlace, tile: &NewTile<'_>) -> rusqlite::Result<u64> {
    tx.prepare_cached("INSERT INTO sets (name) VALUES (?1) ON CONFLICT DO NOTHING")?.execute([set])?;
    let set: i64 = tx.prepare_cached("SELECT id FROM sets WHERE name = ?1")?.query_row([set], |row| row.get(0))?;
    let mut added = 0;
    let content: Option<i64> = match tile.content {
        None => None,
        Some((_, bytes)) => {
            let hash = Sha256::digest(bytes);
            let sql = "INSERT INTO contents (hash, size, bytes) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            if tx.prepare_cached(sql)?.execute(params![hash.as_slice(), bytes.len() as i64, bytes])? > 0 {
                added += bytes.len() as u64;
            }
            let mut id = tx.prepare_cached("SELECT id FROM contents WHERE hash = ?1")?;
            Some(id.query_row([hash.as_slice()], |row| row.get(0))?)
        }
    };
    let before: Option<Option<i64>> = tx
        .prepare_cached("SELECT content FROM tiles WHERE tileset = ?1 AND z = ?2 AND x = ?3 AND y = ?4")?
        .query_row(params![set, place.z, place.x, place.y], |row| row.get(0))
        .optional()?;
    let sql =
        "INSERT INTO tiles (tileset, z, x, y, content, size, form, validator, fetched_at, fresh_until, used_at, kept)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9, ?11)
               ON CONFLICT DO UPDATE SET content = excluded.content, size = excluded.size, form = excluded.form,
                 validator = excluded.validator, fetched_at = excluded.fetched_at, fresh_until = excluded.fresh_until,
                 used_at = max(used_at, excluded.used_at), kept = max(kept, excluded.kept)";
    tx.prepare_cached(sql)?.execute(params![
        set,
        place.z,
        place.x,
        place.y,
        content,
        tile.content.map_or(0, |(_, bytes)| bytes.len() as i64),
        tile.content.map(|(form, _)| form.as_str()),
        tile.validator,
        tile.fetched_at.as_second(),
        tile.fresh_until.as_second(),
        tile.kept,
    ])?;
    match before {
        None => added += ENTRY_BYTES,
        Some(Some(old)) if Some(old) != content => {
            let sql = "DELETE FROM contents WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM tiles WHERE content = ?1)";
            tx.prepare_cached(sql)?.execute([old])?;
        }
        Some(_) => {}
    }
    Ok(added)
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_second(row.get(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Integer, error.into())
    })
}

fn cached(row: &Row<'_>) -> rusqlite::Result<CachedTile> {
    let form: Option<String> = row.get(0)?;
    let bytes: Option<Vec<u8>> = row.get(1)?;
    Ok(CachedTile {
        content: form.as_deref().and_then(TileForm::by_name).zip(bytes),
        validator: row.get(2)?,
        fetched_at: time(row, 3)?,
        fresh_until: time(row, 4)?,
        kept: row.get(5)?,
    })
}
