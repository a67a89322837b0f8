use model::{FeatureId, Freshness, SensorStatus, Timestamp};
use serde::{Deserialize, Serialize};

/// Which scale a level belongs to, so that shape and colour are chosen from the right table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// No scale: the level is always 0.
    #[default]
    None,
    /// VN_AQI bands 1 (Tốt) … 6 (Nguy hại); 0 = no index.
    Aqi,
    /// 0 within limits, 1 info, 2 warn, 3 serious, 4 critical.
    Severity,
}

/// The live state of one feature: what its mark on the map shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct FeatureState {
    pub id: FeatureId,
    /// The feature's place in its layer's picture; the numeric id in tiles and point sources.
    pub ordinal: u32,
    pub freshness: Freshness,
    pub scale: Scale,
    pub level: u8,
    /// The leading figure: VN_AQI for air, metres for water level, frames per second for cameras, else the charted
    /// parameter. Absent when nothing valid is known.
    pub value: Option<f64>,
    pub status: SensorStatus,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub measured_at: Option<Timestamp>,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub received_at: Option<Timestamp>,
}
