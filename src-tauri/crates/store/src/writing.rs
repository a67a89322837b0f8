//! A layer being written: rows into its table, and the packed form beside them.

use crate::layer::{Layout, StoredLayer};
use crate::packed::{self, Packing};
use crate::table::FeatureTable;
use crate::{LayerSchema, StoreError};
use model::{Feature, LayerId};
use rusqlite::Connection;
use std::path::Path;

/// Where new features go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Replace,
    Append,
    Upsert,
}

/// Takes features into a layer, within the transaction of [`crate::Cache::write`].
pub struct Writing<'t> {
    tx: &'t Connection,
    path: &'t Path,
    id: LayerId,
    mode: Mode,
    version: u32,
    table: FeatureTable<'t>,
    packing: Option<&'t mut dyn Packing>,
    parts: u32,
    replaced: bool,
}

impl<'t> Writing<'t> {
    pub(crate) fn begin(
        tx: &'t Connection,
        path: &'t Path,
        mode: Mode,
        layer: &LayerSchema,
        version: u32,
        known: Option<(StoredLayer, Layout)>,
        packing: Option<&'t mut dyn Packing>,
    ) -> Result<Self, StoreError> {
        let err = |error| StoreError::sqlite(path, "writing a layer", error);
        packed::forget(tx, &layer.id).map_err(err)?;
        packed::unwatch(tx, &layer.id).map_err(err)?;
        let packing = packing.filter(|_| known.is_none());
        let table = match known {
            Some((stored, layout)) => FeatureTable::existing(tx, path, layer, layout, stored.features, stored.bbox)?,
            None => FeatureTable::new(tx, path, layer, format!("tc_new_{}", layer.id)),
        };
        let id = layer.id.clone();
        Ok(Self { tx, path, id, mode, version, table, packing, parts: 0, replaced: false })
    }

    /// Takes one feature.
    ///
    /// # Errors
    /// [`StoreError::Geometry`], [`StoreError::TooManyFields`], [`StoreError::Duplicate`], [`StoreError::Full`] and so
    /// on; the whole write is to be given up then.
    pub fn push(&mut self, mut feature: Feature) -> Result<(), StoreError> {
        match self.mode {
            Mode::Replace | Mode::Append => self.table.insert(&mut feature)?,
            // One that comes twice would be packed twice.
            Mode::Upsert => {
                self.replaced |= self.table.upsert(&mut feature)?;
                self.packing = None;
            }
        }
        let part = self.packing.as_mut().and_then(|packing| packing.push(feature));
        part.map_or(Ok(()), |part| self.keep(&part))
    }

    /// The caller's word that no id comes twice among the features it pushes: a layer that is written anew then does
    /// without the index on ids (a tenth of the time), and gets it when it is first extended.
    pub fn ids_are_distinct(&mut self) {
        self.table.distinct = true;
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), StoreError> {
        packed::keep(self.tx, &self.id, self.version, self.parts, part)
            .map_err(|error| StoreError::sqlite(self.path, "keeping a packed layer", error))?;
        self.parts += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self, layer: &LayerSchema) -> Result<FeatureTable<'t>, StoreError> {
        self.table.describe(layer);
        self.table.finish()?;
        if self.replaced {
            self.table.measure()?;
        }
        if self.table.altered || self.packing.is_none() {
            packed::forget(self.tx, &self.id)
                .map_err(|error| StoreError::sqlite(self.path, "keeping a packed layer", error))?;
        } else if let Some(packing) = self.packing.take() {
            for part in packing.finish() {
                self.keep(&part)?;
            }
        }
        Ok(self.table)
    }
}
