//! How each run of a source went: kept beside the values, the last so many a source. What a run says of itself is text
//! that the caller makes and reads.

use crate::StoreError;
use crate::history::{History, lock};
use model::Timestamp;
use rusqlite::{TransactionBehavior, params};

pub(crate) const DDL: &str = "
CREATE TABLE runs (id INTEGER PRIMARY KEY, source TEXT NOT NULL, ended_at INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX runs_by_source ON runs (source, id);
";

impl History {
    /// Keeps a run, and of its source the last `keep` in all.
    ///
    /// # Errors
    /// As writing gives; nothing is kept or forgotten then.
    pub fn add_run(&self, source: &str, ended_at: Timestamp, body: &str, keep: u32) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let mut run =
            || -> rusqlite::Result<()> {
                let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
                tx.prepare_cached("INSERT INTO runs (source, ended_at, body) VALUES (?1, ?2, ?3)")?
                    .execute(params![source, ended_at.as_microsecond(), body])?;
                tx.prepare_cached(
                    "DELETE FROM runs WHERE source = ?1 AND id <=
                 (SELECT id FROM runs WHERE source = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                )?
                .execute(params![source, keep])?;
                tx.commit()
            };
        run().map_err(|error| StoreError::sqlite(self.path(), "keeping a run", error))
    }

    /// What the last `limit` runs of a source said, newest first.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn runs(&self, source: &str, limit: u32) -> Result<Vec<String>, StoreError> {
        let reader = lock(&self.reader);
        let run = || -> rusqlite::Result<Vec<String>> {
            reader
                .prepare_cached("SELECT body FROM runs WHERE source = ?1 ORDER BY id DESC LIMIT ?2")?
                .query_map(params![source, limit], |row| row.get(0))?
                .collect()
        };
        run().map_err(|error| StoreError::sqlite(self.path(), "reading the runs", error))
    }
}
