//! A layer that stays in the data centre: drawn from its tiles, asked by its service, never taken over.

use crate::{LayerSpec, Protocol, SourceSpec};
use serde::{Deserialize, Serialize};

/// How the tiles of a layer that stays in the data centre are found and read. Its questions go to its `feature_source`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteTiles {
    /// Address of the TileJSON document. `practice:` in front stands for the practice data centre's address.
    pub tiles: String,
    /// What the layer is called inside the tiles, where that is not its collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile_layer: Option<String>,
    /// The attribute in the tiles that holds the feature's id; absent: `id_field`, then `id`, then the tile's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile_id: Option<String>,
    /// A language of filters that the service takes without saying so in its conformance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterLanguage>,
}

/// A language that a service takes filters in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterLanguage {
    /// OGC 21-065r2.
    #[serde(rename = "cql2-text")]
    Cql2Text,
    /// Its predecessor (OGC 07-006r1 as extended by GeoServer), which pygeoapi reads.
    CqlText,
}

/// What a service takes in filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filtering {
    pub language: FilterLanguage,
    /// `LIKE`.
    pub like: bool,
    /// `CASEI(…)`.
    pub case_insensitive: bool,
    /// `ACCENTI(…)`.
    pub accent_insensitive: bool,
}

impl FilterLanguage {
    /// The word for the parameter `filter-lang`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cql2Text => "cql2-text",
            Self::CqlText => "cql-text",
        }
    }
}

impl RemoteTiles {
    /// The name inside the tiles.
    pub fn name_in_tiles<'a>(&'a self, spec: &'a LayerSpec) -> &'a str {
        self.tile_layer.as_deref().or(spec.collection.as_deref()).unwrap_or(spec.id.as_str())
    }

    /// What is wrong with the declaration: the field and the way out.
    pub(crate) fn fault(&self, spec: &LayerSpec, source: Option<&SourceSpec>) -> Option<(&'static str, String)> {
        if crate::holds_login(&self.tiles) {
            return Some((
                "remote.tiles",
                "the address carries a user or a password; leave them out: the tiles are asked for with the credentials of the layer's source where both lie on one server".into(),
            ));
        }
        let known = ["http://", "https://", "practice:"];
        if !known.iter().any(|scheme| self.tiles.starts_with(scheme)) {
            return Some((
                "remote.tiles",
                format!(
                    "{:?} is no address of a TileJSON document; write \"https://tiles.example.vn/parcels\"",
                    self.tiles
                ),
            ));
        }
        match source.map(|source| source.protocol) {
            Some(Protocol::OgcApiFeatures) => {}
            Some(other) => {
                return Some((
                    "feature_source",
                    format!(
                        "a layer that stays in the data centre is asked by OGC API – Features, and its source speaks {:?}; name one with protocol = \"ogc-api-features\"",
                        other.as_str()
                    ),
                ));
            }
            None => {
                return Some((
                    "feature_source",
                    "a layer that stays in the data centre needs a source that answers questions; name one with protocol = \"ogc-api-features\"".into(),
                ));
            }
        }
        let taken_over = [
            ("file", spec.file.is_some()),
            ("live_source", spec.live_source.is_some()),
            ("still", spec.still.is_some()),
            ("changed_field", spec.changed_field.is_some()),
            ("rest", spec.rest.is_some()),
        ];
        let (field, _) = taken_over.into_iter().find(|(_, given)| *given)?;
        Some((field, "the layer stays in the data centre (remote), nothing of it is kept here; leave this out".into()))
    }
}
