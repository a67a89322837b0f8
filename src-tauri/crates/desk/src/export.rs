//! Writing a layer out as a file for others.

use crate::Desk;
use crate::api::Failure;
use model::{BBox, Feature, LayerId};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{LayerSchema, StoreError};

#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    pub bbox: Option<BBox>,
    /// CQL2 text.
    pub filter: Option<String>,
    /// EPSG code of the file; absent: WGS84.
    pub crs: Option<u32>,
}

impl Desk {
    /// Writes a layer, or a part of it, to a file; the format by the file's ending: geojson, geojsonl, gpkg, csv,
    /// kml, fgb.
    /// The file is whole or not there. Returns the number of features.
    ///
    /// # Errors
    /// `no_layer`, `bad_filter`, `bad_crs`, `unknown_ending`, or why the file cannot be written.
    pub fn export(&self, id: &LayerId, file: &Path, options: &ExportOptions) -> Result<u64, Failure> {
        let layer = self.layer(id)?;
        self.held_here(&layer.spec)?;
        let filter = match &options.filter {
            Some(text) => Some(spatial::Filter::parse(text).map_err(|error| {
                self.failure("bad_filter", [("filter", text.as_str()), ("detail", error.to_string().as_str())])
            })?),
            None => None,
        };
        let Some(stored) = &layer.stored else { return Err(self.failure("empty_layer", [("layer", id.as_str())])) };
        let ordinals = match options.bbox {
            Some(bbox) => layer.picture.within_bbox(bbox),
            None => layer.picture.ordinals().collect(),
        };
        let mut features = ordinals
            .into_iter()
            .filter(|ordinal| filter.as_ref().is_none_or(|filter| layer.picture.matches(*ordinal, filter)))
            .filter_map(|ordinal| layer.picture.feature(ordinal));
        let crs = options.crs.unwrap_or(4326);
        let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if ending.as_deref() == Some("gpkg") {
            let from_wgs84 = geodesy::from_wgs84(crs)
                .map_err(|error| self.failure("bad_crs", [("crs", error.to_string().as_str())]))?;
            let schema = LayerSchema { srs_id: i32::try_from(crs).unwrap_or(4326), ..stored.schema.clone() };
            let mut placed = features.map(|mut feature: Feature| {
                let placed = from_wgs84.apply(&mut feature.geometry);
                // A coordinate outside the projection's reach ends the export; a wrong place would be worse.
                placed.map_err(|error| StoreError::Aborted { reason: format!("{}: {error}", feature.id) })?;
                Ok(feature)
            });
            return store::export_gpkg(file, &schema, &mut placed, &stored.provenance)
                .map_err(|error| self.store_failure(&error));
        }
        let options = sources::WriteOptions { crs: options.crs, ..sources::WriteOptions::default() };
        sources::write_file(file, &mut features, &layer.spec.fields, &options)
            .map_err(|error| crate::failures::write(self.language(), &error))
    }

    /// Writes bytes as a file, whole or not at all.
    ///
    /// # Errors
    /// Why the file cannot be written.
    pub fn write_file(&self, file: &Path, bytes: &[u8]) -> Result<(), Failure> {
        store::write_atomic(file, bytes).map_err(|error| self.store_failure(&error))
    }

    /// Writes a layer's tile pyramid as PMTiles; tiles and bytes written. `progress` gets tiles done and in all.
    ///
    /// # Errors
    /// `no_layer`, `empty_layer`, `cancelled`, or why the file cannot be written. No file is left then.
    pub fn export_tiles(
        &self,
        id: &LayerId,
        file: &Path,
        low: u8,
        high: u8,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<(u64, u64), Failure> {
        let layer = self.layer(id)?;
        self.held_here(&layer.spec)?;
        let Some(bbox) = layer.picture.bbox() else {
            return Err(self.failure("empty_layer", [("layer", id.as_str())]));
        };
        let failed = |error: &sources::WriteError| crate::failures::write(self.language(), error);
        let title = &layer.spec.title.vi;
        let fields = crate::layers::tile_fields(&layer.spec);
        let mut archive = sources::TileArchive::create(file, id.as_str(), title, bbox, (low, high), &fields)
            .map_err(|error| failed(&error))?;
        let mut done = 0;
        let total = (low..=high).map(|z| tile_count(crate::tiles::tile_range(z, bbox))).sum();
        for z in low..=high {
            let mut places = places_of(z, bbox);
            places.sort_unstable();
            for batch in places.chunks(BATCH) {
                let Some(tiles) = made(&layer.picture, z, batch) else {
                    let at = [("layer", id.as_str()), ("file", &file.to_string_lossy())];
                    return Err(self.failure("tile_failed", at));
                };
                for ((_, x, y), bytes) in batch.iter().zip(tiles) {
                    if let Some(bytes) = bytes {
                        archive.add(z, *x, *y, &bytes).map_err(|error| failed(&error))?;
                    }
                }
                done += batch.len() as u64;
                if !progress(done, total) {
                    return Err(self.failure("cancelled", [("file", file.to_string_lossy().as_ref())]));
                }
            }
        }
        archive.finish().map_err(|error| failed(&error))
    }
}

/// Tiles between two looks at whether to go on.
const BATCH: usize = 256;

fn tile_count([x0, y0, x1, y1]: [u32; 4]) -> u64 {
    u64::from(x1 - x0 + 1) * u64::from(y1 - y0 + 1)
}

/// Order in the archive, x, y.
fn places_of(z: u8, bbox: BBox) -> Vec<(u64, u32, u32)> {
    let [x0, y0, x1, y1] = crate::tiles::tile_range(z, bbox);
    let all = (x0..=x1).flat_map(|x| (y0..=y1).map(move |y| (x, y)));
    all.filter_map(|(x, y)| Some((sources::TileArchive::order(z, x, y)?, x, y))).collect()
}

/// Compressed tiles in the order of the batch, made on all cores; `None` when one could not be made.
fn made(picture: &spatial::LayerPicture, z: u8, batch: &[(u64, u32, u32)]) -> Option<Vec<Option<Vec<u8>>>> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let make = || {
        let mut own = Vec::new();
        while let Some((_, x, y)) = batch.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            let tile = picture.tile(z, x, y).and_then(|mvt| sources::TileArchive::compress(&mvt).ok());
            own.push(((x, y), tile));
        }
        own
    };
    let mut tiles: HashMap<(u32, u32), Option<Vec<u8>>> = HashMap::with_capacity(batch.len());
    let whole = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(make)).collect();
        // A worker that panicked has lost its tiles: better no archive than one with holes.
        let joined: Vec<_> = workers.into_iter().map(|worker| worker.join().map(|own| tiles.extend(own))).collect();
        joined.iter().all(Result::is_ok)
    });
    whole.then(|| batch.iter().map(|(_, x, y)| tiles.remove(&(*x, *y)).flatten()).collect())
}
