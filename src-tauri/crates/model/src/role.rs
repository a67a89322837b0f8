use serde::{Deserialize, Serialize};

/// Who is at the desk. Ordered: a later role may do all that an earlier one may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    #[default]
    Guest,
    Viewer,
    Planner,
    DutyOfficer,
    Administrator,
}

/// The person at the desk, as the calls of `desk` see them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Session {
    /// The name shown in the top bar; empty for a guest.
    pub name: String,
    pub role: Role,
}
