//! What the sources' runs look like to windows and to the command line.

use crate::api::Failure;
use model::{LayerId, Timestamp};
use serde::{Deserialize, Serialize};

/// Why a source was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum RunTrigger {
    /// Its period was over, or a failure was to be tried again.
    Schedule,
    /// Somebody wanted it.
    Person,
    /// The source said that something changed.
    Event,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The source has nothing newer.
    Unchanged,
    Changed,
    /// Some layers came, others failed.
    Partly,
    Failed,
    /// Stopped by a person, by a pause or by the end of the program. What was taken in stays.
    Cancelled,
}

impl RunOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Partly => "partly",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One run of a source, from the first question to the last layer taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Run {
    pub source: String,
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub started_at: Timestamp,
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub ended_at: Timestamp,
    pub trigger: RunTrigger,
    pub outcome: RunOutcome,
    /// The layers whose content changed.
    pub layers_changed: Vec<LayerId>,
    /// Features or observations that came, were taken in, and were not.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub received: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub accepted: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub rejected: u64,
    /// Features by id, against what was held before.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub added: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub changed: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub removed: u64,
    /// Bytes of the answers' bodies as they came over the line.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub bytes: u64,
    /// What went wrong, the first of it.
    pub failure: Option<Failure>,
    /// The layers there is something to say of: changed, failed, with rows that were rejected or with warnings.
    pub layers: Vec<LayerRun>,
}

/// What a run did to one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LayerRun {
    pub layer: LayerId,
    pub outcome: RunOutcome,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub received: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub accepted: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub rejected: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub added: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub changed: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub removed: u64,
    /// Sentences on the delivery as a whole, as an import has them.
    pub warnings: Vec<String>,
    pub failure: Option<Failure>,
    /// Where the rejected rows lie.
    pub rejected_file: Option<String>,
}

impl LayerRun {
    pub(crate) fn new(layer: &LayerId, outcome: RunOutcome) -> Self {
        Self {
            layer: layer.clone(),
            outcome,
            received: 0,
            accepted: 0,
            rejected: 0,
            added: 0,
            changed: 0,
            removed: 0,
            warnings: Vec::new(),
            failure: None,
            rejected_file: None,
        }
    }
}

/// Whether a source that failed again and again is left in peace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is asked as agreed.
    #[default]
    Closed,
    /// It rests; the schedule does not ask it.
    Open,
    /// One probe is due, or under way.
    HalfOpen,
}
