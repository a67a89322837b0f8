//! Tiles that others make: how they are asked for and what they hold.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The protocol by which tiles come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum TileProtocol {
    /// OGC Web Map Service 1.3.0 or 1.1.1: a picture for each tile.
    Wms,
    /// OGC Web Map Tile Service 1.0.0.
    Wmts,
    /// An address with `{z}`, `{x}` and `{y}` (`{-y}` where rows count from the south).
    Xyz,
    /// A TileJSON 2 or 3 document, which says where the tiles are.
    TileJson,
    /// One PMTiles v3 archive, as a file or over HTTP by ranges.
    PmTiles,
    /// One MBTiles file.
    MbTiles,
}

impl TileProtocol {
    /// The word as it stands in profiles.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wms => "wms",
            Self::Wmts => "wmts",
            Self::Xyz => "xyz",
            Self::TileJson => "tilejson",
            Self::PmTiles => "pmtiles",
            Self::MbTiles => "mbtiles",
        }
    }
}

/// What a tile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum TileForm {
    Png,
    Jpeg,
    Webp,
    /// Mapbox Vector Tile 2, not packed.
    Mvt,
}

impl TileForm {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Mvt => "application/vnd.mapbox-vector-tile",
        }
    }

    pub fn is_vector(self) -> bool {
        self == Self::Mvt
    }

    /// The word as it stands in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
            Self::Mvt => "mvt",
        }
    }

    /// By a word for it: a media type, a file's ending, the `format` of MBTiles.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.strip_prefix("image/").unwrap_or(&name) {
            "png" | "png8" | "png24" | "png32" | "vnd.jpeg-png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "webp" => Some(Self::Webp),
            "pbf" | "mvt" | "application/x-protobuf" | "application/vnd.mapbox-vector-tile" => Some(Self::Mvt),
            _ => None,
        }
    }
}

/// A layer inside vector tiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct VectorLayer {
    pub id: String,
    /// Name of each attribute with the source's word for its type.
    pub fields: BTreeMap<String, String>,
}

/// A piece of an attribution: plain text, with an address where there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct Credit {
    pub text: String,
    /// Always http or https.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub url: Option<String>,
}
