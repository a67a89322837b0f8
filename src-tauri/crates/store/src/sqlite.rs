//! Opening SQLite files so that they survive: pragmas, creation, the check for damage, setting aside.

use crate::StoreError;
use crate::atomic::sync_folder;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longer than any layer takes to be written, so that two processes take turns instead of failing.
const BUSY_WAIT: Duration = Duration::from_secs(30);

/// Above this size a full check at every start would be felt (1.1 s per GB measured on a warm file, far more from a
/// cold disk); the schema is still read, pages are checked as they are used, and `integrity` reads all.
const QUICK_CHECK_MAX_BYTES: u64 = 64 << 20;

/// Eight times the default: layers are written and read whole, and a page costs the same whatever its size. An import
/// takes a sixth less of the processor.
const PAGE_BYTES: i64 = 32 << 10;

/// The log is cut back to this.
const LOG_BYTES: u64 = 16 << 20;

/// What a kind of file needs on opening.
pub(crate) struct Kind {
    pub application_id: i32,
    /// Creates all tables, within a transaction, in an empty file.
    pub create: fn(&Transaction<'_>) -> rusqlite::Result<()>,
    /// Reads our own format number; an error means that the tables are not ours.
    pub format: &'static str,
    pub known_format: i64,
    /// Brings a file of an older format, which it is given, to `known_format`.
    pub migrate: fn(&Transaction<'_>, i64) -> rusqlite::Result<()>,
    /// `FULL` or `NORMAL`; the reason stands with the kind.
    pub synchronous: &'static str,
}

/// Opens the connection that may write, creating the file and its tables when absent.
pub(crate) fn open_writer(path: &Path, kind: &Kind) -> Result<Connection, StoreError> {
    let err = |doing| move |error| StoreError::sqlite(path, doing, error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| match StoreError::io(folder, "creating the folder", &error) {
            StoreError::Io { path, reason, .. } => StoreError::NotWritable { path, reason },
            other => other,
        })?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(err("opening"))?;
    prepare(&connection).map_err(err("opening"))?;
    let size_bytes = fs::metadata(path).map_or(0, |meta| meta.len());
    if size_bytes == 0 {
        connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(err("creating"))?;
    }
    if size_bytes > 0 {
        check(&connection, path, kind, size_bytes)?;
    }
    // A look first, so that opening does not wait for another process that is writing.
    if tables(&connection).map_err(err("opening"))? == 0 {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(err("creating"))?;
        // Asked again inside the transaction: another process may just have created them.
        if tables(&tx).map_err(err("creating"))? == 0 {
            (kind.create)(&tx).map_err(err("creating"))?;
        }
        tx.commit().map_err(err("creating"))?;
    }
    // Only now: the header of a new file must lie in the file itself, where other programs look for it, not in a log.
    wal(&connection).map_err(err("switching to write-ahead logging"))?;
    connection.pragma_update(None, "synchronous", kind.synchronous).map_err(err("opening"))?;
    // A large import grows the log; give the space back at the next checkpoint.
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES.cast_signed()).map_err(err("opening"))?;
    connection.pragma_update(None, "cache_size", -16_384).map_err(err("opening"))?;

    let found: i64 = connection.query_row(kind.format, [], |row| row.get(0)).map_err(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => {
            StoreError::Corrupt { path: path.to_owned(), reason: "its format number is missing".into() }
        }
        other => StoreError::sqlite(path, "reading the format number", other),
    })?;
    if found > kind.known_format {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: kind.known_format });
    }
    if found < kind.known_format {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(err("migrating"))?;
        // Asked again inside the transaction: another process may just have done it.
        let found: i64 = tx.query_row(kind.format, [], |row| row.get(0)).map_err(err("migrating"))?;
        if found < kind.known_format {
            (kind.migrate)(&tx, found).map_err(err("migrating"))?;
        }
        tx.commit().map_err(err("migrating"))?;
    }
    Ok(connection)
}

/// Opens one more connection to a file that [`open_writer`] has opened.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        prepare(&connection)?;
        Ok(connection)
    };
    open().map_err(|error| StoreError::sqlite(path, "opening for reading", error))
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // The file may have come by mail: nothing that its schema holds may run functions with side effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A column that is gone is an error, not the text of its name.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    Ok(())
}

/// SQLite does not wait by itself when two processes switch a new file at once.
fn wal(connection: &Connection) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == rusqlite::ErrorCode::DatabaseBusy && started.elapsed() < BUSY_WAIT =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

fn check(connection: &Connection, path: &Path, kind: &Kind, size_bytes: u64) -> Result<(), StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt { path: path.to_owned(), reason };
    let err = |error| StoreError::sqlite(path, "checking", error);
    if tables(connection).map_err(err)? == 0 {
        return Ok(());
    }
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(err)?;
    let ours = connection.prepare(kind.format).is_ok();
    if id != kind.application_id || !ours {
        return Err(corrupt("it is a database, but not one that this program made".into()));
    }
    if size_bytes <= QUICK_CHECK_MAX_BYTES {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(err)?;
        if verdict != "ok" {
            return Err(corrupt(verdict));
        }
    }
    Ok(())
}

/// More than the log is meant to keep.
pub(crate) fn log_is_large(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|meta| meta.len() > LOG_BYTES)
}

/// Brings the log into the file and empties it, waiting at most a second for readers.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(1))?;
    let result = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY_WAIT)?;
    result
}

/// Everything that is wrong with the file by SQLite's own account; empty when all is well.
pub(crate) fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            found.push(line);
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        found.push(format!("a row of {table} points to nothing in {parent}"));
    }
    Ok(found)
}

/// Opens; when the file is damaged, sets it aside and opens anew. Returns where the damaged file went.
pub(crate) fn open_or_rebuild<T>(
    path: &Path,
    open: impl Fn(&Path) -> Result<T, StoreError>,
) -> Result<(T, Option<PathBuf>), StoreError> {
    let damaged = |error: &StoreError| matches!(error, StoreError::Corrupt { .. });
    match open(path) {
        Err(error) if damaged(&error) => {}
        other => return other.map(|opened| (opened, None)),
    }
    // Two processes may find the same damage: only the first may move the file, the second must not move its successor.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let turn = File::open(folder).ok();
    if let Some(turn) = &turn {
        let _ = turn.lock();
    }
    match open(path) {
        Err(error) if damaged(&error) => {}
        other => return other.map(|opened| (opened, None)),
    }
    let aside = set_aside(path)?;
    Ok((open(path)?, Some(aside)))
}

/// Renames a damaged file with its log to `NAME.corrupt-TIME`. Never deletes or overwrites.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let with = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let mut aside = with(path, &format!(".corrupt-{time}"));
    let mut count = 1;
    while aside.exists() {
        count += 1;
        aside = with(path, &format!(".corrupt-{time}-{count}"));
    }
    // The log first: were the program killed between, a log without its file would be deleted by the next opening.
    for ending in ["-wal", "-shm", ""] {
        let from = with(path, ending);
        match fs::rename(&from, with(&aside, ending)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&from, "setting the damaged file aside", &error));
            }
            _ => {}
        }
    }
    sync_folder(path);
    Ok(aside)
}
