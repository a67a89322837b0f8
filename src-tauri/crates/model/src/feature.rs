use crate::{Classification, Properties, Timestamp, Title};
use geo_types::Geometry;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A feature's own key within its layer, as its source gave it.
pub type FeatureId = String;

/// An attribute value. Text is NFC, reals are finite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(untagged)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Value {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Integers and reals as a real.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[allow(clippy::cast_precision_loss)]
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Real(x) => write!(f, "{x}"),
            Self::Text(t) => f.write_str(t),
        }
    }
}

/// One thing on the map. Geometry in WGS84 degrees, lon before lat.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    pub id: FeatureId,
    pub geometry: Geometry<f64>,
    pub properties: Properties,
}

impl Feature {
    pub fn text(&self, field: &str) -> Option<&str> {
        self.properties.get(field).and_then(Value::as_text)
    }
}

/// Where a layer's content comes from and how old it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Provenance {
    /// A source's id, `profile`, or the imported file's name.
    pub source: String,
    pub provider: Title,
    /// When this machine took the content in.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub fetched_at: Timestamp,
    /// The moment the content describes, by its owner's word.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub as_of: Timestamp,
    pub licence: String,
    pub classification: Classification,
    /// Made up or schematic.
    pub sample: bool,
    /// Practice data centre: realistic, but not measured.
    pub practice: bool,
}
