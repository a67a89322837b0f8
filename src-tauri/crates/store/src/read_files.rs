//! Which files of a watched folder were read: kept with the values that came from them, so that a restart reads none
//! twice and loses none.

use crate::StoreError;
use crate::history::{History, check, lock, write};
use model::{Observation, Timestamp};
use rusqlite::{TransactionBehavior, params};

pub(crate) const DDL: &str = "
CREATE TABLE read_files (source TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, modified_at INTEGER NOT NULL,
 station TEXT, PRIMARY KEY (source, path)) WITHOUT ROWID;
";

/// A file of a source as it was when it was read. One that changes afterwards differs in size or time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    /// Relative to the source's folder.
    pub path: String,
    pub size_bytes: u64,
    /// To the microsecond.
    pub modified_at: Timestamp,
    /// The station that nobody knew: the file waits for it, its values are not in the history.
    pub waits_for: Option<String>,
}

impl History {
    /// The files of a source that were read, by path.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn read_files(&self, source: &str) -> Result<Vec<ReadFile>, StoreError> {
        let reader = lock(&self.reader);
        let run = || -> rusqlite::Result<Vec<ReadFile>> {
            let sql = "SELECT path, size, modified_at, station FROM read_files WHERE source = ?1 ORDER BY path";
            let file = |row: &rusqlite::Row<'_>| {
                let modified_at = Timestamp::from_microsecond(row.get(2)?).map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Integer, error.into())
                })?;
                Ok(ReadFile {
                    path: row.get(0)?,
                    size_bytes: row.get::<_, i64>(1)?.cast_unsigned(),
                    modified_at,
                    waits_for: row.get(3)?,
                })
            };
            reader.prepare_cached(sql)?.query_map([source], file)?.collect()
        };
        run().map_err(|error| StoreError::sqlite(self.path(), "reading which files were read", error))
    }

    /// Keeps values and the files they came from, both or neither: as [`History::record_at`].
    ///
    /// # Errors
    /// As [`History::record_at`].
    pub fn record_files(
        &self,
        observations: &[Observation],
        source: &str,
        files: &[ReadFile],
        received_at: Timestamp,
    ) -> Result<usize, StoreError> {
        check(observations)?;
        let mut writer = lock(&self.writer);
        let mut run = || -> rusqlite::Result<usize> {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let changed = write(&tx, observations, received_at)?;
            {
                let mut mark = tx.prepare_cached("INSERT OR REPLACE INTO read_files VALUES (?1, ?2, ?3, ?4, ?5)")?;
                for file in files {
                    mark.execute(params![
                        source,
                        file.path,
                        file.size_bytes.cast_signed(),
                        file.modified_at.as_microsecond(),
                        file.waits_for,
                    ])?;
                }
            }
            tx.commit()?;
            Ok(changed)
        };
        run().map_err(|error| StoreError::sqlite(self.path(), "recording values", error))
    }

    /// Forgets files that are gone from their folder, so that the list does not grow for ever.
    ///
    /// # Errors
    /// As writing gives.
    pub fn forget_files(&self, source: &str, paths: &[String]) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let mut run = || -> rusqlite::Result<()> {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for path in paths {
                tx.prepare_cached("DELETE FROM read_files WHERE source = ?1 AND path = ?2")?.execute([source, path])?;
            }
            tx.commit()
        };
        run().map_err(|error| StoreError::sqlite(self.path(), "forgetting files", error))
    }
}
