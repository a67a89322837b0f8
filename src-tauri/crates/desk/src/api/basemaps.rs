//! Base maps of others: what the window chooses from, adds, and fetches beforehand.

use super::TileSetState;
use model::{BBox, Credit, TileProtocol, Timestamp, Title, VectorLayer};
use serde::{Deserialize, Serialize};

/// A base map to choose. The drawn one of the profile is not among them: it is what shows when none is chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct BasemapInfo {
    pub id: String,
    pub title: Title,
    pub protocol: TileProtocol,
    pub url: String,
    pub layer: Option<String>,
    pub style: Option<String>,
    pub sample: bool,
    pub practice: bool,
    /// Added at this desk, and removable again; the others stand in the profile.
    pub added: bool,
    pub chosen: bool,
    /// What its source says of its tiles; `null` while it was never asked.
    pub tiles: Option<BasemapTiles>,
    /// Whose map it is, for the corner of the map.
    pub attribution: Vec<Credit>,
    pub licence: Option<String>,
    pub state: TileSetState,
    pub kept: KeptTiles,
    /// Areas that were fetched beforehand, newest last.
    pub areas: Vec<PreloadedArea>,
}

/// How the map is to draw a base map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct BasemapTiles {
    /// Vector tiles instead of pictures.
    pub vector: bool,
    pub min_zoom: u8,
    pub max_zoom: u8,
    pub bounds: Option<BBox>,
    /// Pixels of a picture's side.
    pub tile_size: u16,
    pub vector_layers: Vec<VectorLayer>,
    /// It lies on this machine: nothing of it needs to be kept.
    pub local: bool,
}

/// Tiles of a base map that lie on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct KeptTiles {
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub tiles: u64,
    /// Of those, fetched beforehand.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub preloaded: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub bytes: u64,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub oldest: Option<Timestamp>,
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub newest: Option<Timestamp>,
}

/// An area that was fetched beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PreloadedArea {
    pub bbox: BBox,
    pub min_zoom: u8,
    pub max_zoom: u8,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub tiles: u64,
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub at: Timestamp,
}

/// What answers at an address that a person pasted for a base map.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RecognisedBasemap {
    pub protocol: TileProtocol,
    pub url: String,
    pub title: Option<String>,
    /// The layers of a WMS or WMTS, one of which is to be chosen; none with the other protocols.
    pub layers: Vec<BasemapLayer>,
    /// The layer that the address names.
    pub chosen: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct BasemapLayer {
    pub name: String,
    pub title: String,
    pub styles: Vec<String>,
}

/// What an area will take before it is fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PreloadPlan {
    pub min_zoom: u8,
    pub max_zoom: u8,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub tiles: u64,
    /// A guess, by the tiles that are kept already.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub bytes: u64,
    /// Room that is left for tiles on this machine, by the settings.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub room_bytes: u64,
}

/// How a preload ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PreloadOutcome {
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub tiles: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub fetched: u64,
    /// Fresh already.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub held: u64,
    /// Tiles that the source did not give.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub failed: u64,
    pub cancelled: bool,
}
