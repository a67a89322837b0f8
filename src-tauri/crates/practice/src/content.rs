//! A layer's file as it stands on disk: features kept as the text they were, with what is needed to find them.

use crate::error::PracticeError;
use crate::geometry::bbox_of;
use crate::noise::key_of;
use model::{BBox, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

/// One feature of a file.
#[derive(Debug)]
pub(crate) struct RawFeature {
    /// String ids as they are, numbers as text, the 1-based place in the file when there is none.
    pub id: String,
    pub bbox: BBox,
    /// The GeoJSON feature as it stands in the file.
    pub raw: Box<RawValue>,
}

/// What tells whether a file was touched, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length_bytes: u64,
}

impl Stamp {
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let meta = std::fs::metadata(path)?;
        Ok(Self { modified: meta.modified().ok(), length_bytes: meta.len() })
    }
}

/// A layer file read in.
#[derive(Debug)]
pub(crate) struct Content {
    pub features: Vec<RawFeature>,
    pub by_id: HashMap<String, usize>,
    pub bbox: BBox,
    /// Weak ETag over the file's bytes: every page of the layer has the same one.
    pub etag: String,
    pub modified_at: Timestamp,
    pub stamp: Stamp,
}

#[derive(Deserialize)]
struct Collection {
    features: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    geometry: Value,
}

impl Content {
    /// # Errors
    /// The file cannot be read, is no FeatureCollection, or names an id twice.
    pub fn read(path: &Path) -> Result<Self, PracticeError> {
        let unreadable = |source| PracticeError::Read { path: path.to_owned(), source };
        let wrong = |problem: String| PracticeError::GeoJson { path: path.to_owned(), problem };
        // The stamp is taken first: a change while reading is then seen as one.
        let stamp = Stamp::of(path).map_err(unreadable)?;
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let collection: Collection = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let mut features = Vec::with_capacity(collection.features.len());
        let mut by_id = HashMap::with_capacity(collection.features.len());
        let mut bbox = BBox::EMPTY;
        for (index, raw) in collection.features.into_iter().enumerate() {
            let outline: Outline =
                serde_json::from_str(raw.get()).map_err(|error| wrong(format!("feature {}: {error}", index + 1)))?;
            let id = match outline.id {
                Value::String(id) => id,
                Value::Number(id) => id.to_string(),
                _ => (index + 1).to_string(),
            };
            if by_id.insert(id.clone(), index).is_some() {
                return Err(wrong(format!("id {id:?} stands twice")));
            }
            let own = bbox_of(&outline.geometry);
            bbox = bbox.union(own);
            features.push(RawFeature { id, bbox: own, raw });
        }
        let modified_at =
            stamp.modified.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self { features, by_id, bbox, etag: format!("W/\"{:016x}\"", key_of(&bytes)), modified_at, stamp })
    }

    pub fn feature(&self, id: &str) -> Option<&RawFeature> {
        self.by_id.get(id).and_then(|index| self.features.get(*index))
    }
}
