//! Taking in what a source delivered: held against what is there, and swapped in whole or not at all.

use crate::Desk;
use crate::api::Failure;
use crate::import::schema_for;
use crate::layers::Layer;
use crate::packing::PackedBeside;
use crate::rejected::RejectedRow;
use crate::standard::conforming;
use model::{Feature, FeatureId, GeometryKind, LayerId, LayerSpec, Provenance, Rejection};
use std::collections::{HashMap, HashSet};
use store::StoreError;

/// Layers of so few features may change altogether without anybody being surprised.
const FEW: u64 = 20;

/// What a source delivered.
pub(crate) struct Delivery {
    pub features: Vec<Feature>,
    /// Rows that came and are not among the features.
    pub rejected: u64,
    /// The server said how many features there are, and so many came.
    pub announced: bool,
    /// Nothing at all is a good answer too.
    pub may_be_empty: bool,
    /// A person wants it even where most of what was there is missing.
    pub accept_shrunk: bool,
}

/// What became of a delivery.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The content differs from what the layer held.
    pub changed: bool,
    pub accepted: u64,
    pub delta: Delta,
    /// Features that could not be used: their tag must not stand for the whole.
    pub refused: Vec<RejectedRow>,
    /// What the data standard says of the others.
    pub warnings: Vec<String>,
}

/// Features by id, against what was held before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub added: u64,
    pub changed: u64,
    pub removed: u64,
}

impl Delta {
    fn between(held: Option<&Layer>, features: &[Feature]) -> Self {
        let mut new: HashMap<&str, &Feature> = features.iter().map(|feature| (&*feature.id, feature)).collect();
        let mut delta = Self::default();
        for feature in held.iter().flat_map(|layer| layer.picture.features()) {
            match new.remove(&*feature.id) {
                None => delta.removed += 1,
                Some(now) => delta.changed += u64::from(*now != feature),
            }
        }
        delta.added = new.len() as u64;
        delta
    }
}

impl Desk {
    /// Takes in features that a source delivered, unless the layer has moved on since it was looked at.
    ///
    /// # Errors
    /// `empty_answer` when the source has nothing where there was something, unless that is said to be right;
    /// `delivery_shrunk` when more than half of what the same source had delivered before would go, unless the server
    /// announced it or a person wants it; `moved_on` when a person imported or another process wrote in the meantime. The
    /// layer is then as before.
    pub(crate) fn take_fetched(
        &self,
        spec: &LayerSpec,
        delivery: Delivery,
        provenance: &Provenance,
    ) -> Result<Taken, Failure> {
        let (features, conformed) = conforming(spec, delivery.features);
        let warnings = conformed.warnings(self.language());
        let mut refused = conformed.refused;
        let features = mended(features, &mut refused);
        let held = self.layers().get(&spec.id);
        let stored = held.as_ref().and_then(|layer| layer.stored.as_ref());
        if features.is_empty() && !delivery.may_be_empty && stored.is_some_and(|stored| stored.features > 0) {
            let at = [("layer", spec.id.as_str()), ("source", provenance.source.as_str())];
            return Err(self.failure("empty_answer", at));
        }
        let version = stored.map(|stored| stored.version);
        let moved_on = || self.failure("moved_on", [("layer", spec.id.as_str())]);
        let present =
            || self.cache().layer(&spec.id).map(|layer| layer.filter(|l| !self.is_imported(l)).map(|l| l.version));
        let same = stored.is_some() && held.as_ref().is_some_and(|held| same(&held.picture, &features));
        let delta = if same { Delta::default() } else { Delta::between(held.as_deref(), &features) };
        let accepted = features.len() as u64;
        // What an added source delivers is said to be from there, also where it is what the profile had.
        let moves = self.profile().is_added(&provenance.source)
            && stored.is_some_and(|stored| stored.provenance.source != provenance.source);
        // Another order of the same features is no other content.
        if !moves && (same || (stored.is_some() && delta == Delta::default())) {
            if present().map_err(|error| self.store_failure(&error))? != version {
                return Err(moved_on());
            }
            self.cache()
                .touch(&spec.id, provenance.fetched_at, provenance.as_of)
                .map_err(|error| self.store_failure(&error))?;
            self.reload_record(&spec.id)?;
            return Ok(Taken { accepted, refused, warnings, ..Taken::default() });
        }
        let before = stored.filter(|stored| stored.provenance.source == provenance.source);
        let before = before.map_or(0, |stored| stored.features);
        // Rows that came and could not be read are missing for another reason than that they are gone.
        let gone = delta.removed.saturating_sub(delivery.rejected + refused.len() as u64);
        let shrunk = before > FEW && delta.removed * 2 > before;
        let believed = delivery.may_be_empty || delivery.accept_shrunk || (delivery.announced && gone * 2 > before);
        if shrunk && !believed {
            let (held, here, lost) = (before.to_string(), accepted.to_string(), delta.removed.to_string());
            let at = [
                ("layer", spec.id.as_str()),
                ("source", provenance.source.as_str()),
                ("before", held.as_str()),
                ("after", here.as_str()),
                ("removed", lost.as_str()),
            ];
            return Err(self.failure("delivery_shrunk", at));
        }
        let kind = crate::layers::common_geometry(features.iter().map(|f| GeometryKind::of(&f.geometry)));
        let schema = schema_for(&spec.id, Some(spec), &[], kind);
        // Drawn inside the write transaction, where nobody else can write: what is seen there holds until the commit.
        let mut checked = false;
        let mut rows = features.into_iter().map(|feature| {
            if !checked {
                checked = true;
                if present()? != version {
                    return Err(StoreError::Aborted { reason: MOVED_ON.into() });
                }
            }
            Ok(feature)
        });
        match self.cache().replace(&schema, &mut rows, provenance, Some(&mut PackedBeside::start())) {
            Ok(_) => {}
            Err(StoreError::Aborted { reason }) if reason == MOVED_ON => return Err(moved_on()),
            Err(error) => return Err(self.store_failure(&error)),
        }
        self.reload(&spec.id)?;
        Ok(Taken { changed: true, accepted, delta, refused, warnings })
    }

    /// Keeps the source's tag of a layer's content, for the next conditional request.
    pub(crate) fn keep_etag(&self, id: &LayerId, etag: Option<&str>) -> Result<(), Failure> {
        self.cache().set_etag(id, etag).map_err(|error| self.store_failure(&error))?;
        self.reload_record(id)
    }
}

const MOVED_ON: &str = "the layer has moved on";

/// Repaired features; one that cannot be repaired is left out, and the first of two with one id stays.
pub(crate) fn mended(features: Vec<Feature>, refused: &mut Vec<RejectedRow>) -> Vec<Feature> {
    let mut seen: HashSet<FeatureId> = HashSet::new();
    let mut kept = Vec::with_capacity(features.len());
    for (row, mut feature) in (1..).zip(features) {
        // The cache keeps no nulls, and what comes back from it must compare equal.
        feature.properties.retain(|_, value| !value.is_null());
        let repair = spatial::repair::repair(feature.geometry.clone());
        let wrong = match repair.geometry {
            None => {
                let reason = repair.reason.unwrap_or_else(|| "the geometry cannot be repaired".into());
                Some(("geometry", "geometry_invalid", reason))
            }
            Some(_) if !seen.insert(feature.id.clone()) => {
                Some(("id", "duplicate_id", "another feature has this id".into()))
            }
            Some(geometry) => {
                feature.geometry = geometry;
                None
            }
        };
        match wrong {
            None => kept.push(feature),
            Some((field, code, reason)) => {
                let (field, value, code) = (field.to_owned(), feature.id.to_string(), code.to_owned());
                let rejection = Rejection { row, field, value, code, reason };
                refused.push(RejectedRow { rejection, feature: Some(sources::feature_text(&feature)) });
            }
        }
    }
    kept
}

fn same(picture: &spatial::LayerPicture, features: &[Feature]) -> bool {
    picture.len() == features.len() && picture.features().zip(features).all(|(held, feature)| held == *feature)
}
