//! The last answers of services to questions about layers that stay in the data centre: for when it cannot be asked. Which
//! question it was and what the answer says is text that the caller makes and reads.

use crate::StoreError;
use crate::history::{History, lock};
use model::{LayerId, Timestamp};
use rusqlite::{OptionalExtension, TransactionBehavior, params};

pub(crate) const DDL: &str = "
CREATE TABLE answers (id INTEGER PRIMARY KEY, layer TEXT NOT NULL, question TEXT NOT NULL, answered_at INTEGER NOT NULL,
 body TEXT NOT NULL, UNIQUE (layer, question));
";

/// An answer as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    pub question: String,
    pub answered_at: Timestamp,
    pub body: String,
}

impl History {
    /// Keeps an answer in place of the one to the same question, and of the layer's the last `keep` in all.
    ///
    /// # Errors
    /// As writing gives; nothing is kept or forgotten then.
    pub fn keep_answer(
        &self,
        layer: &LayerId,
        question: &str,
        answered_at: Timestamp,
        body: &str,
        keep: u32,
    ) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        let mut run = || -> rusqlite::Result<()> {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // The number tells which was asked last.
            tx.prepare_cached(
                "INSERT OR REPLACE INTO answers (layer, question, answered_at, body) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![layer.as_str(), question, answered_at.as_microsecond(), body])?;
            tx.prepare_cached(
                "DELETE FROM answers WHERE layer = ?1 AND id <=
                 (SELECT id FROM answers WHERE layer = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![layer.as_str(), keep])?;
            tx.commit()
        };
        run().map_err(|error| StoreError::sqlite(self.path(), "keeping an answer", error))
    }

    /// The answer to a question; `None` where none is kept.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn answer(&self, layer: &LayerId, question: &str) -> Result<Option<KeptAnswer>, StoreError> {
        let reader = lock(&self.reader);
        let run = || {
            reader
                .prepare_cached("SELECT question, answered_at, body FROM answers WHERE layer = ?1 AND question = ?2")?
                .query_row(params![layer.as_str(), question], kept)
                .optional()
        };
        run().map_err(|error| StoreError::sqlite(self.path(), "reading an answer", error))
    }

    /// All answers of a layer, the last one first.
    ///
    /// # Errors
    /// As reading from the file gives.
    pub fn answers(&self, layer: &LayerId) -> Result<Vec<KeptAnswer>, StoreError> {
        let reader = lock(&self.reader);
        let run = || -> rusqlite::Result<Vec<KeptAnswer>> {
            reader
                .prepare_cached("SELECT question, answered_at, body FROM answers WHERE layer = ?1 ORDER BY id DESC")?
                .query_map([layer.as_str()], kept)?
                .collect()
        };
        run().map_err(|error| StoreError::sqlite(self.path(), "reading the answers", error))
    }

    /// Forgets all answers of a layer.
    ///
    /// # Errors
    /// As writing gives.
    pub fn forget_answers(&self, layer: &LayerId) -> Result<(), StoreError> {
        lock(&self.writer)
            .execute("DELETE FROM answers WHERE layer = ?1", [layer.as_str()])
            .map(|_| ())
            .map_err(|error| StoreError::sqlite(self.path(), "forgetting answers", error))
    }
}

fn kept(row: &rusqlite::Row<'_>) -> rusqlite::Result<KeptAnswer> {
    let answered_at = Timestamp::from_microsecond(row.get(1)?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Integer, error.into()))?;
    Ok(KeptAnswer { question: row.get(0)?, answered_at, body: row.get(2)? })
}
