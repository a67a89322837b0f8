//! The tiles of a layer that stays in the data centre, under the names of ours.

use super::plan::attribute_of;
use super::service::KEEP;
use crate::Desk;
use crate::api::{Event, Failure, TileSetState, TileSetStatus};
use crate::layers::{Layer, tile_fields};
use crate::tile_sets::{Owner, SetTile, TileSet};
use crate::tiles::TileAnswer;
use model::{LayerId, LayerSpec, TileProtocol};
use spatial::{ForeignNames, foreign_tile};
use std::sync::Arc;
use store::TilePlace;

/// The name that the zooms of tiles are kept under.
fn zooms_key(url: &str) -> String {
    format!("{url} zooms")
}

impl Desk {
    /// Whether a layer stays in the data centre: its tiles come by [`Desk::tile_of`].
    pub fn is_remote(&self, id: &LayerId) -> bool {
        self.layers().get(id).is_some_and(|layer| layer.is_remote())
    }

    /// A vector tile, wherever the layer lies; [`TileAnswer::Cancelled`] where neither the data centre nor the cache of
    /// tiles has it now.
    ///
    /// # Errors
    /// `no_layer`, `layer_role_needed`, `remote_tile`.
    pub async fn tile_of(self: &Arc<Self>, id: &LayerId, z: u8, x: u32, y: u32) -> Result<TileAnswer, Failure> {
        let layer = self.layer(id)?;
        if !layer.is_remote() {
            return self.tile_now(id, z, x, y);
        }
        let Some(set) = self.tiles_of_remote(&layer.spec) else {
            return Err(self.failure("no_practice", [("source", id.as_str())]));
        };
        let known = self.remotes().zooms.lock().contains_key(id);
        if !known && let Ok(said) = self.tile_description(&set).await {
            self.note_zooms(&layer.spec, &set, (said.min_zoom, said.max_zoom));
        }
        let tile = self.set_tile(&set, TilePlace { z, x, y }).await;
        let state = self.tile_set_state(&set);
        let told = self.remotes().fared.lock().insert(id.clone(), state.clone());
        if told.is_some_and(|told| told != state) {
            self.tell_layer(id);
        }
        match tile {
            SetTile::Tile { bytes, .. } => {
                if state.status == TileSetStatus::Ok {
                    self.mend_holes(id);
                }
                let names = self.names_in_tiles(&layer);
                let renamed = tokio::task::spawn_blocking(move || foreign_tile(&bytes, &names, z, y)).await;
                let renamed = renamed.map_err(|_| self.failure("interrupted", []))?;
                let renamed = renamed.map_err(|error| {
                    let detail = error.to_string();
                    self.failure("remote_tile", [("layer", id.as_str()), ("url", &*set.url), ("detail", &*detail)])
                });
                match renamed {
                    Ok(tile) => Ok(tile.map_or(TileAnswer::Empty, |bytes| TileAnswer::Tile(bytes.into()))),
                    Err(failure) => {
                        // The map asks for many tiles, and each is wrong in the same way.
                        if self.remotes().told_tiles.lock().insert(id.clone()) {
                            self.tell(&Event::Notice { failure: failure.clone(), serious: true });
                        }
                        Err(failure)
                    }
                }
            }
            SetTile::Empty => Ok(TileAnswer::Empty),
            SetTile::Missing => {
                self.remotes().holes.lock().insert(id.clone());
                Ok(TileAnswer::Cancelled)
            }
        }
    }

    /// Where the layer's tiles come from. They are shown the credentials of the layer's source where both are on one server.
    pub(crate) fn tiles_of_remote(&self, spec: &LayerSpec) -> Option<TileSet> {
        let url = self.links().resolve(&spec.remote.as_ref()?.tiles)?;
        let profile = self.profile();
        let source = spec.feature_source.as_ref().and_then(|id| profile.source(id));
        let same = |root: &sources::Url| root.origin() == url.origin();
        let credentials = source.filter(|source| self.links().url(&source.id).is_some_and(|root| same(&root)));
        Some(TileSet {
            owner: Owner::Layer,
            id: spec.id.to_string(),
            protocol: TileProtocol::TileJson,
            url: url.to_string(),
            layer: None,
            style: None,
            credentials: credentials.and_then(|source| source.credentials.clone()),
        })
    }

    /// How the layer's tiles fare, for the window.
    pub(crate) fn remote_tiles_state(&self, spec: &LayerSpec) -> Option<TileSetState> {
        self.tiles_of_remote(spec).map(|set| self.tile_set_state(&set))
    }

    fn names_in_tiles(&self, layer: &Layer) -> ForeignNames {
        let spec = &layer.spec;
        let about = self.about_remote(&spec.id);
        let attribute = |field: &str| attribute_of(spec, about.as_ref().map(|about| &about.abilities), field);
        let mut fields: Vec<(String, String)> =
            attribute(&spec.name_field).map(|name| ("name".to_owned(), name)).into_iter().collect();
        fields.extend(tile_fields(spec).into_iter().filter(|field| field != "name").filter_map(|field| {
            let attribute = attribute(&field)?;
            Some((field, attribute))
        }));
        let remote = spec.remote.as_ref();
        ForeignNames {
            from: remote.map_or_else(|| spec.id.to_string(), |remote| remote.name_in_tiles(spec).to_owned()),
            to: spec.id.to_string(),
            id: remote.and_then(|remote| remote.tile_id.clone()).or_else(|| spec.id_field.clone()),
            fields,
        }
    }

    /// Takes note of how deep the tiles go, for now and for a start without the network.
    fn note_zooms(&self, spec: &LayerSpec, set: &TileSet, zooms: (u8, u8)) {
        self.remotes().zooms.lock().insert(spec.id.clone(), zooms);
        if let Ok(body) = serde_json::to_string(&zooms) {
            // What cannot be kept now is asked again.
            let _ = self.history().keep_answer(&spec.id, &zooms_key(&set.url), self.now(), &body, KEEP);
        }
        self.tell_layer(&spec.id);
    }

    /// As [`Desk::recall_remote`], of the tiles.
    pub(super) fn recall_zooms(&self, spec: &LayerSpec) {
        let set = self.tiles_of_remote(spec);
        let kept = set.and_then(|set| self.history().answer(&spec.id, &zooms_key(&set.url)).ok().flatten());
        let zooms: Option<(u8, u8)> = kept.and_then(|kept| serde_json::from_str(&kept.body).ok());
        let mut all = self.remotes().zooms.lock();
        match zooms {
            Some(zooms) => all.insert(spec.id.clone(), zooms),
            None => all.remove(&spec.id),
        };
    }

    /// Tiles come again: the map, which does not ask twice for what it has no tile of, is given new addresses.
    pub(super) fn mend_holes(&self, id: &LayerId) {
        if self.remotes().holes.lock().remove(id) {
            *self.remotes().drawn_anew.lock().entry(id.clone()).or_default() += 1;
            self.tell_layer(id);
        }
    }

    /// The number in the addresses of a layer's tiles.
    pub(crate) fn remote_version(&self, id: &LayerId) -> u32 {
        1 + self.remotes().drawn_anew.lock().get(id).copied().unwrap_or_default()
    }
}
