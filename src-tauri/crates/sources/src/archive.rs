//! Vector tiles as one PMTiles file (version 3).

use crate::out::{Temporary, WriteError};
use flate2::write::GzEncoder;
use model::BBox;
use pmtiles::{Compression, Compressor, PmTilesStreamWriter, PmTilesWriter, PmtResult, TileCoord, TileId, TileType};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What is handed over is gzip already: compressing is most of the work, and several threads can share it.
struct Gzipped;

impl Compressor for Gzipped {
    fn compression(&self) -> Compression {
        Compression::Gzip
    }

    fn compress(&self, f: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>, writer: &mut dyn Write) -> PmtResult<()> {
        Ok(f(writer)?)
    }
}

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
            .tile_codec(Gzipped)
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

    /// A tile's place in the archive's order (Hilbert curve within a zoom): tiles that come in it can be read in runs.
    /// `None` for an address that is none.
    pub fn order(z: u8, x: u32, y: u32) -> Option<u64> {
        TileCoord::new(z, x, y).ok().map(|coord| TileId::from(coord).value())
    }

    /// A tile's MVT bytes as [`TileArchive::add`] takes them.
    ///
    /// # Errors
    /// None that a buffer in memory gives.
    pub fn compress(mvt: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::with_capacity(mvt.len() / 2), flate2::Compression::default());
        encoder.write_all(mvt)?;
        encoder.finish()
    }

    /// Adds a compressed tile.
    ///
    /// # Errors
    /// [`WriteError`] when the disk is full or the address is none.
    pub fn add(&mut self, z: u8, x: u32, y: u32, gzip: &[u8]) -> Result<(), WriteError> {
        let coord = TileCoord::new(z, x, y).map_err(|error| wrong(&self.path, &error))?;
        self.writer.add_tile(coord, gzip).map_err(|error| wrong(&self.path, &error))?;
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
