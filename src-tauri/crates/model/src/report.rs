use serde::{Deserialize, Serialize};

/// A row that was not taken in, and why, in words for the person who must mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Rejection {
    /// 1-based: the feature's place in the file (CSV: the line, counting the header).
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub row: u64,
    /// The field at fault, `geometry` for the shape, empty for the row as a whole.
    pub field: String,
    /// The offending value, cut to 80 characters.
    pub value: String,
    /// What is wrong, as a word that `assets/locale` has a sentence for, for example `coordinate_range`.
    pub code: String,
    /// The particulars in English, for logs and the rejected-rows file.
    pub reason: String,
}

/// What a read did to the rows: nothing is dropped silently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ReadReport {
    /// Rows taken in, repaired ones included.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub accepted: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub repaired: u64,
    pub rejected: Vec<Rejection>,
    /// Sentences about the file as a whole: a swapped axis order, a guessed encoding.
    pub warnings: Vec<String>,
}
