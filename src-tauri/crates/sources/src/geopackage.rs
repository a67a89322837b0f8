//! Foreign GeoPackages in: read-only and distrustful. Views, triggers, virtual tables and computed columns are never
//! touched, and a query that does not end is ended.

use crate::crs;
use crate::file::{Continue, FileCrs, ReadError, ReadOptions, Row, Rows, check_columns, rejection, stored};
use model::{NamedRows, Rejection, Value};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Longest time between two rows.
const PATIENCE_SECS: u64 = 10;
/// Time for the check of the whole file, which grows with its size: 20 MB/s is slow for any disk.
const CHECK_BYTES_PER_SEC: u64 = 20_000_000;
/// Virtual machine steps between two looks at the clock.
const STEPS: i32 = 20_000;

pub(crate) fn read(
    path: &Path,
    options: &ReadOptions,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
) -> Result<(), ReadError> {
    let total_bytes = std::fs::metadata(path).map_err(|error| ReadError::from_io(path, &error))?.len();
    let mut file = Foreign::open(path, options)?;
    if std::fs::metadata(sidecar(path)).is_ok_and(|wal| wal.len() > 0) {
        rows.warn(
            "wal_beside: another program has changes that are not in the file yet; close it and import again".into(),
        );
    }
    file.check(total_bytes)?;
    file.lock()?;
    let table = file.table(options.table.as_deref())?;
    if let Some(crs) = file.crs(table.srs_id)? {
        rows.crs(crs);
    }
    file.rows(&table, options, rows, progress, total_bytes)
}

fn sidecar(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

struct Foreign<'a> {
    path: &'a Path,
    connection: Connection,
    started: Instant,
    /// Milliseconds after `started` at which patience ends.
    deadline_ms: Arc<AtomicU64>,
}

struct Table {
    name: String,
    geometry: String,
    srs_id: i64,
    columns: Vec<Column>,
    /// Name of the integer primary key, which is the row's number in the file.
    key: Option<String>,
}

struct Column {
    name: String,
    boolean: bool,
}

impl<'a> Foreign<'a> {
    fn open(path: &'a Path, options: &ReadOptions) -> Result<Self, ReadError> {
        let corrupt =
            |error: rusqlite::Error| ReadError::Corrupt { path: path.to_path_buf(), reason: error.to_string() };
        let absolute = std::path::absolute(path).map_err(|error| ReadError::from_io(path, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(uri(&absolute), flags).map_err(corrupt)?;
        let started = Instant::now();
        let deadline_ms = Arc::new(AtomicU64::new(PATIENCE_SECS * 1_000));
        let limit = i32::try_from(options.max_line_bytes).unwrap_or(i32::MAX);
        let guarded = || -> rusqlite::Result<()> {
            for (config, on) in [
                (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
                (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
                (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
                (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
            ] {
                connection.set_db_config(config, on)?;
            }
            for (kind, value) in [
                (Limit::SQLITE_LIMIT_LENGTH, limit),
                (Limit::SQLITE_LIMIT_SQL_LENGTH, 1_000_000),
                (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
                (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 3),
                (Limit::SQLITE_LIMIT_ATTACHED, 0),
                (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
                (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
            ] {
                connection.set_limit(kind, value)?;
            }
            connection.pragma_update(None, "cell_size_check", true)
        };
        guarded().map_err(corrupt)?;
        let until = deadline_ms.clone();
        let late = move || started.elapsed().as_millis() > u128::from(until.load(Ordering::Relaxed));
        connection.progress_handler(STEPS, Some(late)).map_err(corrupt)?;
        Ok(Self { path, connection, started, deadline_ms })
    }

    /// From here on nothing but plain reading is allowed. After the check, which calls functions of its own.
    fn lock(&mut self) -> Result<(), ReadError> {
        self.connection
            .authorizer(Some(|context: rusqlite::hooks::AuthContext<'_>| match context.action {
                AuthAction::Select | AuthAction::Read { .. } | AuthAction::Transaction { .. } => Authorization::Allow,
                AuthAction::Pragma { pragma_name: "table_xinfo", .. } => Authorization::Allow,
                AuthAction::Function { function_name } if function_name.eq_ignore_ascii_case("lower") => {
                    Authorization::Allow
                }
                _ => Authorization::Deny,
            }))
            .map_err(|error| ReadError::Corrupt { path: self.path.to_path_buf(), reason: error.to_string() })
    }

    /// Gives the next step so many seconds.
    fn patience(&self, secs: u64) {
        let until = self.started.elapsed().as_millis() as u64 + secs * 1_000;
        self.deadline_ms.store(until, Ordering::Relaxed);
    }

    fn error(&self, row: u64, error: &rusqlite::Error) -> ReadError {
        let path = self.path.to_path_buf();
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => ReadError::TooSlow { path, row, secs: PATIENCE_SECS },
            Some(ErrorCode::TooBig) => ReadError::LineTooLong { path, row, limit_bytes: self.limit_bytes() },
            Some(ErrorCode::PermissionDenied) => ReadError::NoPermission { path },
            _ => ReadError::Corrupt { path, reason: error.to_string() },
        }
    }

    fn limit_bytes(&self) -> u64 {
        self.connection.limit(Limit::SQLITE_LIMIT_LENGTH).ok().and_then(|limit| u64::try_from(limit).ok()).unwrap_or(0)
    }

    /// SQLite's own check of the pages. A flipped bit inside a value passes it: only content hashes would catch that.
    fn check(&self, total_bytes: u64) -> Result<(), ReadError> {
        self.patience(PATIENCE_SECS + total_bytes / CHECK_BYTES_PER_SEC);
        let said: String =
            self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| {
                match self.error(0, &error) {
                    ReadError::LineTooLong { path, .. } => ReadError::Corrupt { path, reason: error.to_string() },
                    other => other,
                }
            })?;
        self.patience(PATIENCE_SECS);
        if said == "ok" { Ok(()) } else { Err(ReadError::Corrupt { path: self.path.to_path_buf(), reason: said }) }
    }

    /// The feature table to read: the hinted one, else the only one.
    fn table(&self, hint: Option<&str>) -> Result<Table, ReadError> {
        let wrong = |error: rusqlite::Error| self.error(0, &error);
        // Only real tables: a view of that name may be anything.
        let sql = "SELECT c.table_name, g.column_name, g.srs_id, s.sql FROM gpkg_contents c \
            JOIN gpkg_geometry_columns g ON lower(g.table_name) = lower(c.table_name) \
            JOIN sqlite_schema s ON lower(s.name) = lower(c.table_name) \
            WHERE c.data_type = 'features' AND s.type = 'table' LIMIT 1000";
        let mut statement = self.connection.prepare(sql).map_err(wrong)?;
        let found = statement
            .query_map([], |row| {
                let sql: String = row.get(3)?;
                let is_virtual = sql.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("CREATE VIRTUAL"));
                Ok((!is_virtual).then_some((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))
            })
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
            .map_err(wrong)?;
        let found: Vec<(String, String, i64)> = found.into_iter().flatten().collect();
        let hinted = hint.and_then(|hint| found.iter().find(|(name, ..)| name.eq_ignore_ascii_case(hint)));
        let (name, geometry, srs_id) = match (hinted, found.as_slice()) {
            (Some(table), _) | (None, [table]) => table.clone(),
            (None, []) => return Err(ReadError::NoTable { path: self.path.to_path_buf() }),
            (None, several) => {
                let tables = several.iter().map(|(name, ..)| name.clone()).collect();
                return Err(ReadError::SeveralTables { path: self.path.to_path_buf(), tables });
            }
        };
        let mut columns = Vec::new();
        let mut keys = Vec::new();
        let mut has_geometry = false;
        let mut statement =
            self.connection.prepare(&format!("PRAGMA table_xinfo({})", quoted(&name))).map_err(wrong)?;
        let mut infos = statement.query([]).map_err(wrong)?;
        while let Some(info) = infos.next().map_err(wrong)? {
            let column: String = info.get(1).map_err(wrong)?;
            let declared: String = info.get::<_, Option<String>>(2).map_err(wrong)?.unwrap_or_default();
            let is_key = info.get::<_, i64>(5).map_err(wrong)? > 0;
            // Computed columns run the file's own expressions.
            let computed = info.get::<_, i64>(6).map_err(wrong)? != 0;
            if column.eq_ignore_ascii_case(&geometry) {
                has_geometry = !computed;
            } else if is_key && declared.eq_ignore_ascii_case("INTEGER") {
                keys.push(column);
            } else if !computed {
                columns.push(Column { boolean: declared.to_ascii_uppercase().starts_with("BOOL"), name: column });
            }
        }
        if !has_geometry {
            let columns = columns.into_iter().map(|column| column.name).collect();
            return Err(ReadError::NoGeometry { path: self.path.to_path_buf(), columns });
        }
        let key = if keys.len() == 1 { keys.pop() } else { None };
        columns.extend(keys.into_iter().map(|name| Column { name, boolean: false }));
        Ok(Table { name, geometry, srs_id, columns, key })
    }

    fn crs(&self, srs_id: i64) -> Result<Option<FileCrs>, ReadError> {
        if matches!(srs_id, 0 | -1) {
            return Ok(None);
        }
        let sql = "SELECT organization, organization_coordsys_id, srs_name FROM gpkg_spatial_ref_sys WHERE srs_id = ?1";
        let found = self
            .connection
            .query_row(sql, [srs_id], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
            })
            .optional()
            .map_err(|error| self.error(0, &error))?;
        Ok(Some(match found {
            Some((organization, code, _)) if organization.eq_ignore_ascii_case("EPSG") => {
                crs::by_name(&format!("EPSG:{code}"))
            }
            Some((.., name)) => FileCrs::Named(name),
            None => FileCrs::Named(format!("srs_id {srs_id}")),
        }))
    }

    fn rows(
        &self,
        table: &Table,
        options: &ReadOptions,
        rows: &mut dyn Rows,
        progress: &mut dyn FnMut(u64, u64) -> Continue,
        total_bytes: u64,
    ) -> Result<(), ReadError> {
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        check_columns(self.path, options, &names)?;
        let key = table.key.as_deref().map_or("NULL".to_owned(), quoted);
        let mut sql = format!("SELECT {key}, {}", quoted(&table.geometry));
        for column in &table.columns {
            sql.push_str(", ");
            sql.push_str(&quoted(&column.name));
        }
        sql.push_str(" FROM main.");
        sql.push_str(&quoted(&table.name));
        let mut statement = self.connection.prepare(&sql).map_err(|error| self.error(0, &error))?;
        let mut cursor = statement.query([]).map_err(|error| self.error(0, &error))?;
        let mut number = 0;
        let mut done_bytes = 0;
        let mut binary = None;
        let mut names = NamedRows::default();
        loop {
            self.patience(PATIENCE_SECS);
            let Some(row) = cursor.next().map_err(|error| self.error(number + 1, &error))? else { break };
            number += 1;
            match one(row, table, options, number, &mut binary, &mut names) {
                Ok(row) => {
                    done_bytes += row.bytes as u64;
                    rows.row(row)?;
                }
                Err(rejection) => rows.bad(rejection)?,
            }
            if number % 256 == 1 && progress(done_bytes.min(total_bytes), total_bytes) == Continue::No {
                return Err(ReadError::Cancelled { path: self.path.to_path_buf() });
            }
        }
        if let Some(column) = binary {
            rows.warn(format!("binary_column: {column:?} holds binary data, which was left out"));
        }
        Ok(())
    }
}

fn one(
    row: &rusqlite::Row<'_>,
    table: &Table,
    options: &ReadOptions,
    number: u64,
    binary: &mut Option<String>,
    names: &mut NamedRows,
) -> Result<Row, Rejection> {
    let unreadable = |field: &str, error: &rusqlite::Error| rejection(number, field, "", "corrupt", error.to_string());
    let blob = row.get_ref(1).map_err(|error| unreadable(&table.geometry, &error))?;
    let mut bytes = 0;
    let geometry = match blob {
        ValueRef::Null => Err(rejection(number, &table.geometry, "", "geometry_missing", "the row has no geometry")),
        ValueRef::Blob(blob) => {
            bytes += blob.len();
            model::from_gpkg_blob(blob).map(|(geometry, _)| geometry).map_err(|error| {
                let code = match error {
                    model::GeometryError::Empty => "geometry_missing",
                    _ => "geometry_invalid",
                };
                rejection(number, &table.geometry, "", code, error.to_string())
            })
        }
        _ => Err(rejection(number, &table.geometry, "", "geometry_invalid", "the geometry is no GeoPackage blob")),
    }?;
    names.begin();
    for (at, column) in table.columns.iter().enumerate() {
        let name = options.field_of(&column.name);
        let value = match row.get_ref(at + 2).map_err(|error| unreadable(name, &error))? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(flag @ (0 | 1)) if column.boolean => Value::Bool(flag == 1),
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(x) if x.is_finite() => Value::Real(x),
            ValueRef::Real(x) => {
                return Err(rejection(number, name, &x.to_string(), "not_finite", "the value is not a finite number"));
            }
            ValueRef::Text(text) => {
                bytes += text.len();
                match std::str::from_utf8(text) {
                    Ok(text) => Value::Text(stored(text)),
                    Err(_) => {
                        let shown = String::from_utf8_lossy(text);
                        return Err(rejection(number, name, &shown, "encoding", "the text is not UTF-8"));
                    }
                }
            }
            ValueRef::Blob(_) => {
                binary.get_or_insert_with(|| name.to_owned());
                continue;
            }
        };
        names.push(name, value, stored);
    }
    let key = match row.get_ref(0) {
        Ok(ValueRef::Integer(key)) => Some(key.to_string()),
        _ => None,
    };
    Ok(Row { number, id: None, key, geometry, properties: names.end(), bytes })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `file:` URI with everything that has a meaning in URIs escaped.
pub(crate) fn uri(path: &Path) -> String {
    let mut out = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out.push_str("?mode=ro&immutable=1");
    out
}
