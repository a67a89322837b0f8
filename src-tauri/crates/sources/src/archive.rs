//! Vector tiles as one PMTiles file (version 3).

use crate::out::{Temporary, WriteError};
use model::BBox;
use pmtiles::{Compression, PmTilesStreamWriter, PmTilesWriter, TileCoord, TileType};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// A PMTiles file being written: beside its place, renamed when it is whole.
pub struct TileArchive {
    path: PathBuf,
    temporary: Temporary,
    writer: PmTilesStreamWriter<BufWriter<File>>,
    tiles: u64,
}

impl TileArchive {
    /// Begins an archive of MVT tiles of one layer. `zooms`: lowest and highest; `fields` are the tiles' attributes.
    ///
    /// # Errors
    /// [`WriteError`] when the file cannot be made.
    pub fn create(
        path: &Path,
        layer: &str,
        title: &str,
        bbox: BBox,
        zooms: (u8, u8),
        fields: &[String],
    ) -> Result<Self, WriteError> {
        if path.is_dir() {
            return Err(WriteError::Directory { path: path.to_owned() });
        }
        let temporary = Temporary::beside(path);
        let file = File::create(temporary.path()).map_err(|error| WriteError::from_io(path, &error))?;
        let types: serde_json::Map<String, serde_json::Value> = ["id", "name"]
            .into_iter()
            .map(str::to_owned)
            .chain(fields.iter().cloned())
            .map(|f| (f, "String".into()))
            .collect();
        let metadata = serde_json::json!({
            "name": title,
            "vector_layers": [{"id": layer, "fields": types, "minzoom": zooms.0, "maxzoom": zooms.1}],
        });
        let writer = PmTilesWriter::new(TileType::Mvt)
            .tile_compression(Compression::Gzip)
            .min_zoom(zooms.0)
            .max_zoom(zooms.1)
            .bounds(bbox.west, bbox.south, bbox.east, bbox.north)
            .center((bbox.west + bbox.east) / 2.0, (bbox.south + bbox.north) / 2.0)
            .center_zoom(zooms.0)
            .metadata(metadata.to_string())
            .create(BufWriter::new(file))
            .map_err(|error| wrong(path, &error))?;
        Ok(Self { path: path.to_owned(), temporary, writer, tiles: 0 })
    }

    /// Adds a tile's MVT bytes.
    ///
    /// # Errors
    /// [`WriteError`] when the disk is full or the address is none.
    pub fn add(&mut self, z: u8, x: u32, y: u32, mvt: &[u8]) -> Result<(), WriteError> {
        let coord = TileCoord::new(z, x, y).map_err(|error| wrong(&self.path, &error))?;
        self.writer.add_tile(coord, mvt).map_err(|error| wrong(&self.path, &error))?;
        self.tiles += 1;
        Ok(())
    }

    /// Ends the archive and puts it in its place: tiles and bytes.
    ///
    /// # Errors
    /// [`WriteError`]; what stood there before is as it was.
    pub fn finish(self) -> Result<(u64, u64), WriteError> {
        self.writer.finalize().map_err(|error| wrong(&self.path, &error))?;
        let io = |error: std::io::Error| WriteError::from_io(&self.path, &error);
        let file = File::open(self.temporary.path()).map_err(io)?;
        file.sync_all().map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        std::fs::rename(self.temporary.path(), &self.path).map_err(io)?;
        self.temporary.keep();
        Ok((self.tiles, bytes))
    }
}

fn wrong(path: &Path, error: &pmtiles::PmtError) -> WriteError {
    match error {
        pmtiles::PmtError::Reading(error) => WriteError::from_io(path, error),
        other => WriteError::Io { path: path.to_owned(), reason: other.to_string() },
    }
}
