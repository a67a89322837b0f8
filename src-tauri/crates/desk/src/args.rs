//! What the calls take. Unknown fields are refused, so that a typing error in the window is found at once.

use crate::api::{FeatureRef, LayerChoice, MapCamera, NewLayer, NewSource, Settings};
use model::{BBox, Credentials, LayerId, Role, TileProtocol};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use sources::Secret;
use std::collections::BTreeMap;

/// A call without arguments: `{}`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct NoArgs {}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct SearchArgs {
    pub text: String,
    /// At most this many hits, 1–200.
    pub limit: u32,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct NearArgs {
    pub lon: f64,
    pub lat: f64,
    /// Metres.
    pub within_m: f64,
    pub limit: u32,
    /// The feature that was asked about, left out of the answer.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub exclude: Option<FeatureRef>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct SeriesArgs {
    pub layer: LayerId,
    pub id: String,
    /// A parameter's code, or `aqi`.
    pub code: String,
    /// Length back from now, 1–720 hours.
    pub hours: u32,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct PlaceArgs {
    pub lon: f64,
    pub lat: f64,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct AtArgs {
    pub lon: f64,
    pub lat: f64,
    pub layers: Vec<LayerId>,
    pub tolerance_m: f64,
}

/// One question to one layer. What is given must all hold: box, place, nearness and filter.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct QueryArgs {
    pub layer: LayerId,
    /// Has a point in common with this box, degrees.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub bbox: Option<BBox>,
    /// Lies at this place: longitude, latitude.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub at: Option<[f64; 2]>,
    /// Distances are from this place, nearest first: longitude, latitude.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub near: Option<[f64; 2]>,
    /// With `near`: at most so many metres away, along the ellipsoid.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub within_m: Option<f64>,
    /// With `near`: the nearest so many.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub nearest: Option<u32>,
    /// CQL2 text over the attributes, and over `freshness`, `value`, `level` and `measured_at` of a live layer.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub filter: Option<String>,
    /// At most so many features in the answer; absent: all on the command line, 1,000 through the bridge.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub limit: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct MovedArgs {
    pub zoom: f64,
    pub bbox: BBox,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct SignInArgs {
    pub name: String,
    pub role: Role,
    #[cfg_attr(feature = "ts", ts(optional))]
    pub pin: Option<String>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct SetPinArgs {
    pub role: Role,
    /// Four to twelve digits; absent removes the PIN.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub pin: Option<String>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct SetSettingsArgs {
    pub settings: Settings,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct SaveViewArgs {
    pub name: String,
    pub camera: MapCamera,
    pub layers: BTreeMap<String, LayerChoice>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct DeleteViewArgs {
    pub id: String,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct SyncArgs {
    /// One source; absent: all.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub source: Option<String>,
    /// Takes also a delivery that lacks more than half of a layer.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub accept_shrunk: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct PauseArgs {
    pub source: String,
    pub paused: bool,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct RunsArgs {
    pub source: String,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct RejectedArgs {
    /// Only of this source's layers; absent: all.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub source: Option<String>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct CancelJobArgs {
    pub id: u32,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct ReadyArgs {
    /// Fresh live values on the map.
    pub live: u32,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct RecogniseArgs {
    /// As a person pasted it.
    pub url: String,
    /// For what does not answer everybody.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub credentials: Option<Credentials>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct TrySourceArgs {
    pub source: NewSource,
    pub layer: NewLayer,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct AddSourceArgs {
    pub source: NewSource,
    pub layers: Vec<NewLayer>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct RemoveSourceArgs {
    pub source: String,
    /// The secret that it alone names is forgotten with it.
    #[serde(default)]
    pub forget_secret: bool,
}

/// A secret on its way to the keeper; nothing brings it back.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct KeepSecretArgs {
    /// The name it is kept under; absent: one that is free, made from the address.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub name: Option<String>,
    /// The address of what wants to see it.
    #[serde(default)]
    pub about: String,
    #[serde(deserialize_with = "secret")]
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub value: Secret,
    /// In a private file of the home instead of the machine's keyring.
    #[serde(default)]
    pub in_file: bool,
}

/// An error of its own: serde's would repeat what is not a text.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    match serde_json::Value::deserialize(deserializer) {
        Ok(serde_json::Value::String(text)) => Ok(Secret::new(text)),
        _ => Err(D::Error::custom("a secret is a text")),
    }
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct ForgetSecretArgs {
    pub name: String,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct TestSourceArgs {
    pub source: String,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct ChooseBasemapArgs {
    /// Absent: the drawn one.
    pub basemap: Option<String>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct BasemapArgs {
    pub basemap: String,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct AddBasemapArgs {
    /// An address of a service, a template with `{z}`, `{x}`, `{y}`, or a file's path.
    pub url: String,
    /// Absent: recognised.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub protocol: Option<TileProtocol>,
    #[cfg_attr(feature = "ts", ts(optional))]
    pub title: Option<String>,
    #[cfg_attr(feature = "ts", ts(optional))]
    pub layer: Option<String>,
    #[cfg_attr(feature = "ts", ts(optional))]
    pub style: Option<String>,
    /// In place of what the source says of itself.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub attribution: Option<String>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct PreloadBasemapArgs {
    pub basemap: String,
    /// Absent: the province.
    pub bbox: Option<BBox>,
    pub min_zoom: u8,
    pub max_zoom: u8,
    /// Only say what it would take.
    pub count_only: bool,
}
