//! The shapes that cross the bridge: what the calls take and give. Derived into TypeScript behind the feature `ts`.

mod basemaps;
mod delivery;

pub use basemaps::*;
pub use delivery::*;

use live::FeatureState;
use model::{
    BBox, Classification, CrsChoice, Field, Freshness, GeometryKind, Group, LayerId, LayerKind, LinkState, Parameter,
    Provenance, Role, SensorStatus, Session, Timestamp, Title, Value,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::rejected::RejectedFile;
pub use crate::sync::{BreakerState, LayerRun, Run, RunOutcome, RunTrigger};

/// Everything a window needs to show its first picture.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Start {
    /// The program's version.
    pub version: String,
    pub home: String,
    pub profile: ProfileInfo,
    pub layers: Vec<LayerInfo>,
    pub states: Vec<LayerStates>,
    pub sources: SourcesInfo,
    pub settings: Settings,
    pub session: Session,
    pub views: Vec<SavedView>,
    pub jobs: Vec<Job>,
    /// The feature to open with, when the program was started for one.
    pub open: Option<FeatureRef>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ProfileInfo {
    pub id: String,
    pub title: Title,
    pub timezone: String,
    pub bbox: BBox,
    pub center: [f64; 2],
    pub groups: Vec<Group>,
    pub crs: Vec<CrsChoice>,
    pub default_layer: Option<LayerId>,
}

/// One layer as the panel, the legend and `toancanhctl layers` show it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LayerInfo {
    pub id: LayerId,
    pub kind: LayerKind,
    pub group: String,
    pub title: Title,
    pub geometry: GeometryKind,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub features: u64,
    pub bbox: Option<BBox>,
    /// Changes with every replacement; part of the tile address.
    pub version: u32,
    /// Points and label points stand in the vector tiles: there are too many to come as one GeoJSON.
    pub tiled: bool,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub as_of: Option<Timestamp>,
    pub freshness: Freshness,
    pub sample: bool,
    pub practice: bool,
    /// The source's id, `profile`, or an imported file's name.
    pub source: String,
    pub provenance: Option<Provenance>,
    pub classification: Classification,
    pub name_field: String,
    pub fields: Vec<Field>,
    pub parameters: Vec<Parameter>,
    pub note: Option<Title>,
    /// Shown at the first start.
    pub visible: bool,
    pub opacity: f64,
    pub live: Option<LiveSummary>,
    /// The layer stays in the data centre: it is drawn from tiles, and its service is asked.
    pub remote: Option<RemoteInfo>,
    /// The least role that may see it; the layer comes without content when `allowed` is false.
    pub role: Role,
    pub allowed: bool,
}

/// What is known of the service of a layer that stays in the data centre.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RemoteInfo {
    /// When it last said what it can be asked and how much it has.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub answered_at: Option<Timestamp>,
    /// It takes filters.
    pub filters: bool,
    /// How its tiles come; `null` where their address is the practice data centre's, and that is not known.
    pub tiles: Option<TileSetState>,
    /// The least and the deepest zoom of its tiles, once they were asked for: beyond, the map enlarges the deepest.
    pub zooms: Option<[u8; 2]>,
}

/// A live layer's features counted by freshness.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LiveSummary {
    pub fresh: u32,
    pub stale: u32,
    pub offline: u32,
    pub error: u32,
    pub never: u32,
    /// The newest measurement.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub as_of: Option<Timestamp>,
    pub interval_secs: u32,
    pub stale_after_secs: u32,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LayerStates {
    pub layer: LayerId,
    pub version: u32,
    pub states: Vec<FeatureState>,
}

/// The health of all sources, as the status bar sums it up.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SourcesInfo {
    pub sources: Vec<SourceHealth>,
    /// `up` when every source answers, `lost` when none does; see `lost` for how many are missing.
    pub link: LinkState,
    pub lost: u32,
    /// The newest measurement or answer in the house.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub as_of: Option<Timestamp>,
    pub practice: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SourceHealth {
    pub id: String,
    pub title: Title,
    pub protocol: model::Protocol,
    pub url: String,
    pub practice: bool,
    pub link: LinkState,
    pub freshness: Freshness,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub answered_at: Option<Timestamp>,
    /// Since when the link is lost.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub lost_at: Option<Timestamp>,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub next_try_at: Option<Timestamp>,
    pub last_error: Option<String>,
    /// Added at this desk, and removable again; the others stand in the profile.
    pub added: bool,
    /// How it is shown who asks; absent: it answers everybody.
    pub login: Option<SourceLogin>,
    pub layers: Vec<LayerId>,
    /// A person took it off the schedule; it can still be asked by hand.
    pub paused: bool,
    pub breaker: BreakerState,
    /// Until when it rests after many failures.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub resting_until: Option<Timestamp>,
    /// When the schedule asks next; `null` while it asks, while it is paused, and where no schedule runs.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub next_run_at: Option<Timestamp>,
    /// How the last 24 runs ended, oldest first.
    pub runs: Vec<RunOutcome>,
}

/// How a source is shown who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SourceLogin {
    pub kind: model::CredentialsKind,
    /// The name that the secret is kept under.
    pub secret: String,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SearchHit {
    pub layer: LayerId,
    pub kind: LayerKind,
    pub id: String,
    pub ordinal: u32,
    pub name: String,
    /// Highlighted parts of `name`: start and end in UTF-16 code units.
    pub marks: Vec<[u32; 2]>,
    /// The accents typed match exactly.
    pub exact: bool,
    pub commune: Option<String>,
    pub point: [f64; 2],
    pub bbox: BBox,
    pub area_m2: Option<f64>,
    pub state: Option<FeatureState>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Attribute {
    pub field: Field,
    #[cfg_attr(feature = "ts", ts(type = "string | number | boolean | null"))]
    pub value: Value,
}

/// A place in a VN-2000 plane system. On Vietnamese papers X is north and Y is east.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct GridPoint {
    pub epsg: u32,
    /// Central meridian, for example `105°30′`.
    pub meridian: String,
    /// X on papers, metres.
    pub north_m: f64,
    /// Y on papers, metres.
    pub east_m: f64,
}

/// One parameter's last value at a station.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Reading {
    pub parameter: Parameter,
    pub value: Option<f64>,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub measured_at: Option<Timestamp>,
    pub status: SensorStatus,
    pub freshness: Freshness,
    /// VN_AQI sub-index of the parameter; air stations only.
    pub sub_index: Option<u16>,
    /// AQI band 1–6 of the sub-index, or severity 0–4 against the limit.
    pub level: u8,
}

/// The hourly VN_AQI of an air station (Decision 1459/QĐ-TCMT).
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct AqiView {
    pub value: u16,
    pub level: u8,
    pub band: Title,
    pub advice: Title,
    /// Code of the parameter with the highest sub-index.
    pub dominant: String,
    /// Difference to the index three hours before.
    pub trend_3h: Option<i32>,
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub hour: Timestamp,
}

/// Everything the inspector shows about one feature.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct FeatureDetail {
    pub layer: LayerId,
    pub kind: LayerKind,
    pub id: String,
    pub ordinal: u32,
    pub name: String,
    pub sample: bool,
    pub practice: bool,
    pub commune: Option<String>,
    pub attributes: Vec<Attribute>,
    /// A point on or inside the feature.
    pub point: [f64; 2],
    pub bbox: BBox,
    pub area_m2: Option<f64>,
    pub length_m: Option<f64>,
    /// The system of the commune first.
    pub vn2000: Vec<GridPoint>,
    pub provenance: Option<Provenance>,
    pub freshness: Freshness,
    pub state: Option<FeatureState>,
    pub readings: Vec<Reading>,
    pub aqi: Option<AqiView>,
    /// Why an air station has no index.
    pub aqi_reason: Option<Title>,
    /// Address of the newest still under the `tiles:` scheme, for cameras.
    pub still: Option<String>,
}

/// A run of values in time for a chart. Where nothing was measured there is a gap, never a line.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Series {
    pub layer: LayerId,
    pub id: String,
    /// A parameter's code, or `aqi`.
    pub code: String,
    pub title: Title,
    pub unit: String,
    pub decimals: u8,
    /// Milliseconds since 1970, and the value.
    pub points: Vec<[f64; 2]>,
    /// Start and end in milliseconds of the stretches without a measurement.
    pub gaps: Vec<[f64; 2]>,
    pub from_ms: f64,
    pub to_ms: f64,
    pub limit_max: Option<f64>,
    pub limit_min: Option<f64>,
    /// `aqi` when the bands of VN_AQI lie behind the curve.
    pub scale: live::Scale,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NearHit {
    pub layer: LayerId,
    pub kind: LayerKind,
    pub id: String,
    pub ordinal: u32,
    pub name: String,
    /// Geodesic metres in a straight line.
    pub distance_m: f64,
    pub point: [f64; 2],
}

/// Where the pointer is, in words and both systems.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Place {
    pub lon: f64,
    pub lat: f64,
    /// The system of the commune at that place first.
    pub vn2000: Vec<GridPoint>,
    pub commune: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Language {
    #[default]
    Vi,
    En,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    #[default]
    Dark,
    Light,
    System,
}

/// What the person at this desk chose; kept in the home.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub language: Language,
    pub theme: Theme,
    /// 1.0, 1.15 or 1.3.
    pub text_scale: f64,
    /// The VN-2000 system for the status bar; absent: the one of the commune under the pointer.
    pub epsg: Option<u32>,
    /// Layers switched on or off, and their opacity, where they differ from the profile.
    pub layers: BTreeMap<String, LayerChoice>,
    pub camera: Option<MapCamera>,
    pub favourites: Vec<FeatureRef>,
    /// The base map under the layers; absent: the drawn one of the profile.
    pub basemap: Option<String>,
    /// What tiles of base maps and remote layers may take on this machine's disk, megabytes.
    pub tile_cache_mb: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            language: Language::Vi,
            theme: Theme::Dark,
            text_scale: 1.0,
            epsg: None,
            layers: BTreeMap::new(),
            camera: None,
            favourites: Vec::new(),
            basemap: None,
            tile_cache_mb: u32::try_from(store::TILE_BUDGET_BYTES / 1_000_000).unwrap_or(u32::MAX),
        }
    }
}

impl Settings {
    pub(crate) fn tile_cache_bytes(&self) -> u64 {
        u64::from(self.tile_cache_mb) * 1_000_000
    }
}

/// Whether a set of tiles of others comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum TileSetStatus {
    /// Nothing was asked of it yet.
    #[default]
    Unknown,
    Ok,
    /// Its source does not answer: what is kept is shown.
    Offline,
    /// Its source answers, but not with tiles.
    Error,
}

/// How the tiles of a base map or of a layer come.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TileSetState {
    /// The base map, if it is one.
    pub basemap: Option<String>,
    /// The layer, if it is one.
    pub layer: Option<String>,
    pub status: TileSetStatus,
    /// Since when it is offline or in error.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub since: Option<Timestamp>,
    /// Why, as a sentence.
    pub error: Option<String>,
    /// When the oldest tile was fetched that has been shown in place of a new one since then.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub oldest_shown: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct FeatureRef {
    pub layer: LayerId,
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LayerChoice {
    pub visible: bool,
    pub opacity: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct MapCamera {
    pub center: [f64; 2],
    pub zoom: f64,
    pub bearing: f64,
    pub pitch: f64,
}

/// A named view: camera and layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SavedView {
    pub id: String,
    pub name: String,
    pub camera: MapCamera,
    pub layers: BTreeMap<String, LayerChoice>,
}

/// Long work with progress.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Job {
    pub id: u32,
    /// What it does, as a word the locale has a text for: `sync`, `import`, `rebuild`, `backfill`.
    pub kind: String,
    pub title: Title,
    /// The source it asks, where it is one.
    pub source: Option<String>,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub done: u64,
    /// 0 when not known.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub total: u64,
    pub state: JobState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Running,
    Done,
    Failed,
    Cancelled,
}

/// What the core tells every window without being asked. Sent as UTF-8 JSON behind a zero byte; live batches go as raw
/// bytes behind a one byte (see [`live::encode_batch`]).
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A layer was replaced, or its counts or freshness changed.
    Layer {
        layer: Box<LayerInfo>,
    },
    LayerRemoved {
        id: LayerId,
    },
    Sources {
        sources: SourcesInfo,
    },
    Job {
        job: Job,
    },
    Settings {
        settings: Box<Settings>,
    },
    Session {
        session: Session,
    },
    Views {
        views: Vec<SavedView>,
    },
    /// A base map or a remote layer goes offline, fails, or comes again.
    TileSet {
        state: TileSetState,
    },
    /// The base maps or what is kept of them changed.
    Basemaps {
        basemaps: Vec<BasemapInfo>,
    },
    /// A sentence for the person: code and inputs as in [`Failure`]; `serious` ones stay until closed.
    Notice {
        failure: Failure,
        serious: bool,
    },
}

/// Why a call failed: a stable code, a sentence, and the inputs at fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Failure {
    /// Snake case; `assets/locale` has a sentence for each under `error.<code>`.
    pub code: String,
    /// The sentence in the desk's language.
    pub message: String,
    /// File, row, field, layer, host …: the values in the sentence.
    #[serde(rename = "where")]
    pub at: BTreeMap<String, String>,
}
