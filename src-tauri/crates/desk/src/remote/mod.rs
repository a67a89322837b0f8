//! Layers that stay in the data centre: asked where they lie, and what was answered kept for when they cannot be asked.
//!
//! Flow of a question: a [`plan::Plan`] says what of it the service can be asked ([`service`] asks), what comes back goes
//! through the data standard and the repair like any delivery, and becomes a [`Layer`] of its own, of which the same
//! question is asked again as of a layer that lies here ([`questions`]). So the answer is the same, whatever the service
//! makes of boxes and filters, or there is an error that says what it lacks.

mod plan;
mod questions;
mod service;
mod tiles;

use crate::Desk;
use crate::api::{Failure, RemoteInfo, TileSetState};
use crate::layers::{Came, Layer};
use model::{Freshness, LayerId, LayerSpec, LinkState, Provenance, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sources::asking::Abilities;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What is known of a layer's service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) abilities: Abilities,
    /// How many features there are, where the service counts.
    pub(crate) features: Option<u64>,
    pub(crate) answered_at: Timestamp,
}

/// What is known of all of them.
#[derive(Default)]
pub(crate) struct Remotes {
    about: Mutex<HashMap<LayerId, Arc<About>>>,
    /// Layers whose silence was told, until they answer again.
    told: Mutex<HashSet<LayerId>>,
    /// Layers of whose tiles it was told that they cannot be read.
    told_tiles: Mutex<HashSet<LayerId>>,
    /// Layers of which the map lacks tiles, since nobody had them when it asked.
    holes: Mutex<HashSet<LayerId>>,
    /// How often such a layer was drawn anew.
    drawn_anew: Mutex<HashMap<LayerId, u32>>,
    /// The least and the deepest zoom of each layer's tiles.
    zooms: Mutex<HashMap<LayerId, (u8, u8)>>,
    /// How each layer's tiles fared when windows were told last.
    fared: Mutex<HashMap<LayerId, TileSetState>>,
}

/// An answer, and when it was given.
#[derive(Clone, Debug)]
pub(crate) struct Answered<T> {
    pub(crate) value: T,
    pub(crate) at: Timestamp,
    /// The service could not be asked now: this is what it said then.
    pub(crate) kept: bool,
}

impl Desk {
    /// What is known of a layer's service so far.
    pub(crate) fn about_remote(&self, id: &LayerId) -> Option<Arc<About>> {
        self.remotes().about.lock().get(id).cloned()
    }

    /// Takes up what is kept of a layer's service, when the layer comes up.
    pub(crate) fn recall_remote(&self, spec: &LayerSpec) {
        let kept = self.history().answer(&spec.id, &self.key_of(spec, service::ABOUT)).ok().flatten();
        let about = kept.and_then(|kept| serde_json::from_str(&kept.body).ok()).map(Arc::new);
        let mut all = self.remotes().about.lock();
        match about {
            Some(about) => all.insert(spec.id.clone(), about),
            // Another service or collection than before.
            None => all.remove(&spec.id),
        };
        drop(all);
        self.recall_zooms(spec);
    }

    /// The layer's own word for the window.
    pub(crate) fn remote_info(&self, spec: &LayerSpec) -> Option<RemoteInfo> {
        spec.remote.as_ref()?;
        let about = self.about_remote(&spec.id);
        Some(RemoteInfo {
            answered_at: about.as_ref().map(|about| about.answered_at),
            filters: about.as_ref().is_some_and(|about| plan::filtering(spec, &about.abilities).is_some()),
            tiles: self.remote_tiles_state(spec),
            zooms: self.remotes().zooms.lock().get(&spec.id).map(|(least, deepest)| [*least, *deepest]),
        })
    }

    /// How old what is known of a layer is: offline while its service cannot be reached.
    pub(crate) fn remote_freshness(&self, spec: &LayerSpec, now: Timestamp) -> Freshness {
        let link = spec.feature_source.as_ref().map_or(LinkState::Unknown, |source| self.links().state(source));
        let about = self.about_remote(&spec.id);
        let as_of = about.map(|about| about.abilities.as_of.unwrap_or(about.answered_at));
        model::freshness_of(as_of, spec.freshness, link, now)
    }

    /// Where an answer is from.
    pub(crate) fn remote_provenance(&self, spec: &LayerSpec, at: Timestamp) -> Provenance {
        let profile = self.profile();
        let source = spec.feature_source.as_ref().and_then(|id| profile.source(id));
        let about = self.about_remote(&spec.id);
        let abilities = about.as_ref().map(|about| &about.abilities);
        Provenance {
            source: spec.feature_source.clone().unwrap_or_default(),
            provider: spec.provider.clone(),
            fetched_at: at,
            as_of: abilities.and_then(|abilities| abilities.as_of).unwrap_or(at).min(at),
            licence: spec.licence.clone(),
            classification: spec.classification,
            sample: spec.sample,
            practice: source.is_some_and(|source| source.practice) || abilities.is_some_and(|able| able.practice),
        }
    }

    /// The refusal of what needs a layer's whole content.
    pub(crate) fn stays_remote(&self, id: &LayerId) -> Failure {
        self.failure("remote_layer", [("layer", id.as_str())])
    }

    /// # Errors
    /// `remote_layer` for a layer that stays in the data centre.
    pub(crate) fn held_here(&self, spec: &LayerSpec) -> Result<(), Failure> {
        if spec.remote.is_some() { Err(self.stays_remote(&spec.id)) } else { Ok(()) }
    }

    /// An answer's features as a layer: in the data standard's form, mended, under the layer's names.
    pub(crate) async fn layer_of(
        &self,
        spec: &LayerSpec,
        features: Answered<Vec<model::Feature>>,
    ) -> Result<Arc<Layer>, Failure> {
        let came = Came { provenance: self.remote_provenance(spec, features.at), kept: features.kept };
        let spec = spec.clone();
        let made = tokio::task::spawn_blocking(move || {
            let (features, _) = crate::standard::conforming(&spec, features.value);
            let features = crate::delivery::mended(features, &mut Vec::new());
            Arc::new(Layer::answered(spec, features, came))
        });
        made.await.map_err(|_| self.failure("interrupted", []))
    }
}
