//! MBTiles 1.3: tiles in an SQLite file, opened read-only and distrustfully. Rows count from the south.
//!
//! `tiles` is a view as often as a table (equal tiles are kept once), so views are allowed; functions, triggers, recursion
//! and virtual tables are not, and a query that does not end is ended.

use super::answer::judge;
use super::pmtiles::unfit_at;
use super::template::flipped;
use super::{Description, TILE_LIMIT_BYTES, Tile, TileAnswer, Way, file_of, malformed, tilejson};
use crate::geopackage::uri;
use crate::net::FetchError;
use model::TileForm;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use serde_json::{Map, Value};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use url::Url;

/// Longest time for one query.
const PATIENCE_MS: u64 = 3_000;
/// Virtual machine steps between two looks at the clock.
const STEPS: i32 = 20_000;

pub(super) struct File {
    url: Url,
    opened: Arc<Mutex<Opened>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

struct Opened {
    connection: Connection,
    started: Instant,
    /// Milliseconds after `started` at which patience ends.
    deadline_ms: Arc<AtomicU64>,
}

pub(super) async fn open(root: &Url) -> Result<(Description, Way), FetchError> {
    let path = file_of(root)?;
    let url = root.clone();
    let opening = tokio::task::spawn_blocking(move || read(&url, path));
    opening.await.map_err(|_| FetchError::Cancelled)?
}

fn read(url: &Url, path: PathBuf) -> Result<(Description, Way), FetchError> {
    let wrong = |error: &rusqlite::Error| explain(url, error);
    let path = std::path::absolute(&path).unwrap_or(path);
    let opened = Opened::of(&path).map_err(|error| wrong(&error))?;
    let metadata = opened.metadata().map_err(|error| wrong(&error))?;
    let (mut description, form) = tilejson::described(&Value::Object(metadata));
    let zooms = opened.zooms().map_err(|error| wrong(&error))?;
    let Some((min, max, sample)) = zooms else { return Err(malformed(url, "it holds no tiles")) };
    description.min_zoom = min;
    description.max_zoom = max;
    // What a tile is, is told by a tile; the word in the metadata is often missing or wrong.
    description.form = match judge(sample.clone(), TileForm::Png).or_else(|_| judge(sample, TileForm::Mvt)) {
        Ok(Some((_, form))) => form,
        _ => form.unwrap_or(TileForm::Png),
    };
    description.local = true;
    Ok((description, Way::MbTiles(File { url: url.clone(), opened: Arc::new(Mutex::new(opened)) })))
}

impl File {
    pub(super) async fn tile(&self, z: u8, x: u32, y: u32, wanted: TileForm) -> Result<TileAnswer, FetchError> {
        let (opened, url) = (self.opened.clone(), self.url.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = opened.tile(z, x, flipped(z, y)).map_err(|error| explain(&url, &error))?;
            drop(opened);
            match judge(bytes.unwrap_or_default(), wanted) {
                Ok(None) => Ok(TileAnswer::Empty { fresh_for: None }),
                Ok(Some((bytes, form))) => Ok(TileAnswer::Tile(Tile { bytes, form, validator: None, fresh_for: None })),
                Err(unfit) => Err(unfit_at(&url, z, x, y, unfit)),
            }
        });
        reading.await.map_err(|_| FetchError::Cancelled)?
    }
}

impl Opened {
    fn of(path: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(uri(path), flags)?;
        for (config, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        ] {
            connection.set_db_config(config, on)?;
        }
        let limit = i32::try_from(TILE_LIMIT_BYTES).unwrap_or(i32::MAX);
        for (kind, value) in [
            (Limit::SQLITE_LIMIT_LENGTH, limit),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 1_000_000),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 10),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(kind, value)?;
        }
        connection.pragma_update(None, "cell_size_check", true)?;
        let (started, deadline_ms) = (Instant::now(), Arc::new(AtomicU64::new(PATIENCE_MS)));
        let until = deadline_ms.clone();
        let late = move || started.elapsed().as_millis() > u128::from(until.load(Ordering::Relaxed));
        connection.progress_handler(STEPS, Some(late))?;
        connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
            AuthAction::Select | AuthAction::Read { .. } | AuthAction::Transaction { .. } => Authorization::Allow,
            // What the queries below call; a view may call no more.
            AuthAction::Function { function_name } if ["min", "max"].contains(&function_name) => Authorization::Allow,
            _ => Authorization::Deny,
        }))?;
        Ok(Self { connection, started, deadline_ms })
    }

    /// Gives the next query its time.
    fn patience(&self) {
        let until = self.started.elapsed().as_millis() as u64 + PATIENCE_MS;
        self.deadline_ms.store(until, Ordering::Relaxed);
    }

    /// As one JSON object; what stands under `json` (`vector_layers`) in the same.
    fn metadata(&self) -> rusqlite::Result<Map<String, Value>> {
        self.patience();
        let mut out = Map::new();
        let mut statement = match self.connection.prepare("SELECT name, value FROM metadata LIMIT 1000") {
            Ok(statement) => statement,
            // Without the table the tiles speak for themselves.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => return Ok(out),
            Err(error) => return Err(error),
        };
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (Ok(name), Ok(value)) = (row.get::<_, String>(0), row.get::<_, String>(1)) else { continue };
            if name == "json" {
                if let Ok(Value::Object(more)) = serde_json::from_str(&value) {
                    out.extend(more.into_iter().filter(|(name, _)| name == "vector_layers"));
                }
            } else {
                out.entry(name).or_insert(Value::String(value));
            }
        }
        Ok(out)
    }

    /// First and last zoom, and a tile of the last; `None` without tiles. Each zoom is looked up by the index: to ask for
    /// the least and the most through a view would read everything.
    fn zooms(&self) -> rusqlite::Result<Option<(u8, u8, Vec<u8>)>> {
        let mut found: Option<(u8, u8)> = None;
        for z in 0..=super::DEEPEST_ZOOM {
            self.patience();
            let sql = "SELECT 1 FROM tiles WHERE zoom_level = ?1 LIMIT 1";
            let has = self.connection.prepare_cached(sql)?.query_row([z], |_| Ok(())).optional()?.is_some();
            if has {
                found = Some((found.map_or(z, |(first, _)| first), z));
            }
        }
        let Some((first, last)) = found else { return Ok(None) };
        self.patience();
        let sql = "SELECT tile_data FROM tiles WHERE zoom_level = ?1 LIMIT 1";
        let sample = self.connection.query_row(sql, [last], |row| row.get::<_, Option<Vec<u8>>>(0))?;
        Ok(Some((first, last, sample.unwrap_or_default())))
    }

    fn tile(&self, z: u8, column: u32, row: u32) -> rusqlite::Result<Option<Vec<u8>>> {
        self.patience();
        let sql = "SELECT tile_data FROM tiles WHERE zoom_level = ?1 AND tile_column = ?2 AND tile_row = ?3 LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row(params![z, column, row], |row| row.get::<_, Option<Vec<u8>>>(0)).optional()?;
        Ok(found.flatten())
    }
}

fn explain(url: &Url, error: &rusqlite::Error) -> FetchError {
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => format!("a query took longer than {PATIENCE_MS} ms; it was ended"),
        Some(ErrorCode::TooBig) => format!("a value is larger than {TILE_LIMIT_BYTES} bytes"),
        Some(ErrorCode::NotADatabase) => "it is no MBTiles file".to_owned(),
        Some(ErrorCode::AuthorizationForStatementDenied) => {
            "its view of the tiles does more than choose rows; that is not run".to_owned()
        }
        _ => format!("it cannot be read as MBTiles: {error}"),
    };
    malformed(url, what)
}
