//! Live values and what they were.

use crate::{StoreError, sqlite};
use model::{LayerId, Observation, SensorStatus, Timestamp};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const KIND: sqlite::Kind = sqlite::Kind {
    // "TCHI"
    application_id: 0x5443_4849,
    create,
    format: "SELECT format FROM meta",
    known_format: 4,
    migrate,
    // A batch comes every second or so: a flush for each would wear disks out. A killed process loses nothing; only a
    // power cut loses the last moments, which the data centre delivers again.
    synchronous: "NORMAL",
};

/// Times are microseconds since 1970: exact for every time a sensor writes, and half the size of text.
const DDL: &str = "
CREATE TABLE meta (format INTEGER NOT NULL);
INSERT INTO meta VALUES (4);
CREATE TABLE series (id INTEGER PRIMARY KEY, layer TEXT NOT NULL, feature TEXT NOT NULL, parameter TEXT NOT NULL,
 UNIQUE (layer, feature, parameter));
CREATE TABLE observations (series INTEGER NOT NULL REFERENCES series (id), measured_at INTEGER NOT NULL,
 value REAL NOT NULL, status INTEGER NOT NULL, received_at INTEGER NOT NULL,
 PRIMARY KEY (series, measured_at)) WITHOUT ROWID;
";

fn create(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.pragma_update(None, "application_id", KIND.application_id)?;
    tx.execute_batch(DDL)?;
    tx.execute_batch(crate::read_files::DDL)?;
    tx.execute_batch(crate::runs::DDL)?;
    tx.execute_batch(crate::answers::DDL)
}

/// Format 1 did not know which files had been read, format 2 not how the sources' runs went, format 3 not what services
/// had answered.
fn migrate(tx: &Transaction<'_>, from: i64) -> rusqlite::Result<()> {
    if from < 2 {
        tx.execute_batch(crate::read_files::DDL)?;
    }
    if from < 3 {
        tx.execute_batch(crate::runs::DDL)?;
    }
    tx.execute_batch(crate::answers::DDL)?;
    tx.execute("UPDATE meta SET format = 4", []).map(|_| ())
}

/// `HOME/history.sqlite`. Share it by reference between threads.
pub struct History {
    path: PathBuf,
    pub(crate) writer: Mutex<Connection>,
    pub(crate) reader: Mutex<Connection>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// Opens the history, creating file and folder when absent.
    ///
    /// # Errors
    /// As [`crate::Cache::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = sqlite::open_writer(path, &KIND)?;
        let reader = sqlite::open_reader(path)?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    /// As [`crate::Cache::open_or_rebuild`].
    ///
    /// # Errors
    /// As [`History::open`], except for damage.
    pub fn open_or_rebuild(path: &Path) -> Result<(Self, Option<PathBuf>), StoreError> {
        sqlite::open_or_rebuild(path, Self::open)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// [`History::record_at`] with the present time.
    ///
    /// # Errors
    /// As [`History::record_at`].
    pub fn record(&self, observations: &[Observation]) -> Result<usize, StoreError> {
        self.record_at(observations, Timestamp::now())
    }

    /// Keeps values in one transaction. A value for a moment that has one already takes its place (sources correct
    /// themselves); the same value again changes nothing, also not when it was received. Returns how many were new or
    /// different.
    ///
    /// # Errors
    /// [`StoreError::Value`] for a value that is not finite; then, and for every other error, nothing is kept.
    pub fn record_at(&self, observations: &[Observation], received_at: Timestamp) -> Result<usize, StoreError> {
        check(observations)?;
        let mut writer = lock(&self.writer);
        let mut run = || -> rusqlite::Result<usize> {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let changed = write(&tx, observations, received_at)?;
            tx.commit()?;
            Ok(changed)
        };
        run().map_err(|error| StoreError::sqlite(&self.path, "recording values", error))
    }

    /// A number that changes when another connection or process has committed since the last call, and with this
    /// history's own commits too.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        lock(&self.reader)
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(|error| StoreError::sqlite(&self.path, "reading the data version", error))
    }

    /// The newest value of every series (of one layer), with the time it was received, by layer, feature, parameter.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn latest(&self, layer: Option<&LayerId>) -> Result<Vec<(Observation, Timestamp)>, StoreError> {
        let sql = "SELECT layer, feature, parameter, measured_at, value, status, received_at
                   FROM series JOIN observations ON series = id
                   WHERE (?1 IS NULL OR layer = ?1)
                     AND measured_at = (SELECT max(measured_at) FROM observations WHERE series = id)
                   ORDER BY layer, feature, parameter";
        self.select("reading the latest values", sql, params![layer.map(LayerId::as_str)])
    }

    /// The values of a feature (and one of its parameters) from `from` to `to`, both included, in time order.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn range(
        &self,
        layer: &LayerId,
        feature: &str,
        parameter: Option<&str>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Observation>, StoreError> {
        let sql = "SELECT layer, feature, parameter, measured_at, value, status, received_at
                   FROM series JOIN observations ON series = id
                   WHERE layer = ?1 AND feature = ?2 AND (?3 IS NULL OR parameter = ?3)
                     AND measured_at BETWEEN ?4 AND ?5
                   ORDER BY measured_at, parameter";
        // A bound between two microseconds leaves out what lies before it.
        let floor = from.as_microsecond();
        let first = if from.subsec_nanosecond() % 1_000 == 0 { floor } else { floor.saturating_add(1) };
        let params = params![layer.as_str(), feature, parameter, first, to.as_microsecond()];
        let rows = self.select("reading the history", sql, params)?;
        Ok(rows.into_iter().map(|(observation, _)| observation).collect())
    }

    /// Forgets values measured before a moment, but never a series' latest one. Returns how many.
    ///
    /// # Errors
    /// As writing gives.
    pub fn prune(&self, before: Timestamp) -> Result<usize, StoreError> {
        let sql = "DELETE FROM observations WHERE measured_at < ?1
                   AND measured_at < (SELECT max(o.measured_at) FROM observations o WHERE o.series = observations.series)";
        lock(&self.writer)
            .execute(sql, [before.as_microsecond()])
            .map_err(|error| StoreError::sqlite(&self.path, "forgetting old values", error))
    }

    /// Everything that is wrong with the file; empty when all is well.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        sqlite::integrity(&lock(&self.reader)).map_err(|error| StoreError::sqlite(&self.path, "checking", error))
    }

    fn select(
        &self,
        doing: &'static str,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<(Observation, Timestamp)>, StoreError> {
        let reader = lock(&self.reader);
        let run =
            || -> rusqlite::Result<Vec<_>> { reader.prepare_cached(sql)?.query_map(params, observation)?.collect() };
        run().map_err(|error| StoreError::sqlite(&self.path, doing, error))
    }
}

/// Every value must be a number that can be kept.
pub(crate) fn check(observations: &[Observation]) -> Result<(), StoreError> {
    match observations.iter().find(|observation| !observation.value.is_finite()) {
        None => Ok(()),
        Some(bad) => Err(StoreError::Value {
            layer: bad.layer.clone(),
            feature: bad.feature.clone(),
            parameter: bad.parameter.clone(),
            value: bad.value,
        }),
    }
}

/// Writes values within a transaction; how many were new or different.
pub(crate) fn write(
    tx: &Transaction<'_>,
    observations: &[Observation],
    received_at: Timestamp,
) -> rusqlite::Result<usize> {
    let mut name =
        tx.prepare_cached("INSERT INTO series (layer, feature, parameter) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    let mut write = tx.prepare_cached(
        "INSERT INTO observations
         SELECT id, ?4, ?5, ?6, ?7 FROM series WHERE layer = ?1 AND feature = ?2 AND parameter = ?3
         ON CONFLICT DO UPDATE SET value = excluded.value, status = excluded.status,
           received_at = excluded.received_at
         WHERE value <> excluded.value OR status <> excluded.status",
    )?;
    let mut changed = 0;
    for o in observations {
        name.execute(params![o.layer.as_str(), o.feature, o.parameter])?;
        changed += write.execute(params![
            o.layer.as_str(),
            o.feature,
            o.parameter,
            o.measured_at.as_microsecond(),
            o.value,
            status_number(o.status),
            received_at.as_microsecond(),
        ])?;
    }
    Ok(changed)
}

fn status_number(status: SensorStatus) -> i64 {
    match status {
        SensorStatus::Measuring => 0,
        SensorStatus::Calibrating => 1,
        SensorStatus::Faulty => 2,
    }
}

fn observation(row: &Row<'_>) -> rusqlite::Result<(Observation, Timestamp)> {
    type Cause = Box<dyn std::error::Error + Send + Sync>;
    let bad = |column: usize, cause: Cause| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Integer, cause)
    };
    let time = |column: usize| Timestamp::from_microsecond(row.get(column)?).map_err(|error| bad(column, error.into()));
    let observation = Observation {
        layer: LayerId::new(&row.get::<_, String>(0)?).map_err(|reason| bad(0, reason.into()))?,
        feature: row.get(1)?,
        parameter: row.get(2)?,
        measured_at: time(3)?,
        value: row.get(4)?,
        status: match row.get::<_, i64>(5)? {
            0 => SensorStatus::Measuring,
            1 => SensorStatus::Calibrating,
            2 => SensorStatus::Faulty,
            other => return Err(bad(5, format!("{other} is no sensor status").into())),
        },
    };
    Ok((observation, time(6)?))
}
