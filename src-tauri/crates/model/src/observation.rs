use crate::{FeatureId, LayerId, Timestamp};
use serde::{Deserialize, Serialize};

/// The sensor's own statement about a value (Circular 10/2021/TT-BTNMT, status column 00/01/02).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum SensorStatus {
    /// 00
    #[default]
    Measuring,
    /// 01
    Calibrating,
    /// 02
    Faulty,
}

impl SensorStatus {
    /// The circular's two-digit code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Measuring => "00",
            Self::Calibrating => "01",
            Self::Faulty => "02",
        }
    }

    /// `None` for a code the circular does not name.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "00" => Some(Self::Measuring),
            "01" => Some(Self::Calibrating),
            "02" => Some(Self::Faulty),
            _ => None,
        }
    }
}

/// One value of one parameter of one feature at one time. The unit is the parameter's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub layer: LayerId,
    pub feature: FeatureId,
    pub parameter: String,
    pub measured_at: Timestamp,
    /// Finite; sources reject everything else.
    pub value: f64,
    pub status: SensorStatus,
}
