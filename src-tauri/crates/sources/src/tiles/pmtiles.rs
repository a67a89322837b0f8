//! PMTiles v3: one archive of tiles, as a file or read over HTTP by ranges.
//!
//! The directories are read by the `pmtiles` crate; its bytes come through the guarded client. Before it unpacks a
//! directory or the metadata, the size of what comes out is checked: a few kilobytes may unpack to gigabytes.

use super::answer::{Unfit, judge};
use super::{
    DEEPEST_ZOOM, Description, TILE_LIMIT_BYTES, Tile, TileAnswer, Way, capabilities, file_of, malformed, tilejson,
};
use crate::net::{Client, FetchError, host_of, is_gzip, validator_of};
use ::pmtiles::{
    AsyncBackend, AsyncPmTilesReader, BackendResponse, Compression, DirEntry, Directory, DirectoryCache, PmtError,
    PmtResult, TileCoord, TileId, TileType,
};
use flate2::read::MultiGzDecoder;
use model::TileForm;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, RANGE};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use url::Url;

/// Largest directory or metadata, unpacked. Directories of archives of the whole world have some hundred kilobytes.
const SECTION_LIMIT_BYTES: u64 = 4 << 20;
/// The same, packed.
const PACKED_LIMIT_BYTES: usize = 2 << 20;
/// Directories that are kept: each leads to some thousand tiles. One may take 24 MB at worst.
const KEPT_DIRECTORIES: usize = 8;
/// Bytes of the header, and where in it the tiles' own section is said to be.
const HEADER_BYTES: usize = 127;

pub(super) struct Archive {
    url: Url,
    reader: AsyncPmTilesReader<Bytes, Directories>,
    /// What went wrong on the way, in full: the crate's errors have no room for it.
    fault: Fault,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

pub(super) async fn open(client: &Client, root: &Url) -> Result<(Description, Way), FetchError> {
    let fault = Fault::default();
    let from = match root.scheme() {
        "file" => Origin::File(file_of(root)?),
        _ => Origin::Server(Box::new((client.clone(), root.clone()))),
    };
    let local = matches!(from, Origin::File(_));
    let bytes = Bytes { from, tiles: OnceLock::new(), fault: fault.clone() };
    let reader = AsyncPmTilesReader::try_from_cached_source(bytes, Directories::default()).await;
    let reader = reader.map_err(|error| explain(root, &fault, &error))?;
    let header = reader.get_header();
    let form = match header.tile_type {
        TileType::Mvt => TileForm::Mvt,
        TileType::Png => TileForm::Png,
        TileType::Jpeg => TileForm::Jpeg,
        TileType::Webp => TileForm::Webp,
        other => return Err(malformed(root, format!("its tiles are {other:?}; PNG, JPEG, WebP and MVT are read"))),
    };
    if !matches!(header.tile_compression, Compression::None | Compression::Gzip | Compression::Unknown) {
        return Err(malformed(
            root,
            format!("its tiles are packed by {:?}; gzip or none is read", header.tile_compression),
        ));
    }
    if header.min_zoom > header.max_zoom || header.max_zoom > 30 {
        return Err(malformed(root, format!("its zooms are {} to {}", header.min_zoom, header.max_zoom)));
    }
    let metadata = match reader.get_metadata().await {
        Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
        Err(PmtError::InvalidMetadata) => serde_json::Value::Null,
        Err(error) => return Err(explain(root, &fault, &error)),
    };
    let (described, _) = tilejson::described(&metadata);
    let (west, south) = (header.min_longitude, header.min_latitude);
    let description = Description {
        form,
        min_zoom: header.min_zoom.min(DEEPEST_ZOOM),
        max_zoom: header.max_zoom.min(DEEPEST_ZOOM),
        bounds: capabilities::bounds(west, south, header.max_longitude, header.max_latitude),
        local,
        ..described
    };
    Ok((description, Way::PmTiles(Box::new(Archive { url: root.clone(), reader, fault }))))
}

impl Archive {
    pub(super) async fn tile(&self, z: u8, x: u32, y: u32, wanted: TileForm) -> Result<TileAnswer, FetchError> {
        let failed = |error: &PmtError| explain(&self.url, &self.fault, error);
        let place = TileCoord::new(z, x, y).map_err(|error| failed(&error))?;
        let Some(bytes) = self.reader.get_tile(place).await.map_err(|error| failed(&error))? else {
            return Ok(TileAnswer::Empty { fresh_for: None });
        };
        match judge(bytes.to_vec(), wanted) {
            Ok(None) => Ok(TileAnswer::Empty { fresh_for: None }),
            Ok(Some((bytes, form))) => Ok(TileAnswer::Tile(Tile { bytes, form, validator: None, fresh_for: None })),
            Err(unfit) => Err(unfit_at(&self.url, z, x, y, unfit)),
        }
    }
}

/// What stands in an archive in place of a tile.
pub(super) fn unfit_at(url: &Url, z: u8, x: u32, y: u32, unfit: Unfit) -> FetchError {
    let place = format!("the tile {z}/{x}/{y}");
    match unfit {
        Unfit::TooLarge => malformed(url, format!("{place} is larger than {TILE_LIMIT_BYTES} bytes")),
        Unfit::Broken(what) => malformed(url, format!("{place}: {what}")),
        Unfit::Other(_) => malformed(url, format!("{place} is neither a picture nor a vector tile")),
    }
}

/// The last failure of the way, for the error that comes of it.
#[derive(Clone, Debug, Default)]
struct Fault(Arc<Mutex<Option<FetchError>>>);

impl Fault {
    fn note(&self, error: FetchError) -> PmtError {
        let said = error.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        PmtError::Reading(io::Error::other(said))
    }

    fn take(&self) -> Option<FetchError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn explain(url: &Url, fault: &Fault, error: &PmtError) -> FetchError {
    if let PmtError::Reading(inner) = error {
        // Two tiles may fail at once: the other's words are as true.
        if let Some(fault) = fault.take() {
            return fault;
        }
        if inner.kind() == io::ErrorKind::UnexpectedEof {
            return FetchError::Truncated { host: place_of(url) };
        }
    }
    match error {
        PmtError::UnexpectedNumberOfBytesReturned(..) => FetchError::Truncated { host: place_of(url) },
        PmtError::SourceModified => FetchError::Changed { url: url.to_string() },
        PmtError::InvalidMagicNumber => malformed(url, "it is no PMTiles archive"),
        PmtError::UnsupportedPmTilesVersion => malformed(url, "it is a PMTiles archive of another version than 3"),
        other => malformed(url, format!("its directory cannot be read: {other}")),
    }
}

/// The server, or the file itself.
fn place_of(url: &Url) -> String {
    if url.scheme() == "file" { url.to_string() } else { host_of(url) }
}

enum Origin {
    File(PathBuf),
    Server(Box<(Client, Url)>),
}

/// The archive's bytes.
struct Bytes {
    from: Origin,
    /// Where the tiles lie; what is read elsewhere will be unpacked by the crate. Known once the header was read.
    tiles: OnceLock<Tiles>,
    fault: Fault,
}

struct Tiles {
    section: Section,
    /// Metadata and leaf directories. A hostile header lets them lie among the tiles.
    others: [Section; 2],
    packed: bool,
}

/// First byte, and the one behind the last.
type Section = (u64, u64);

impl Tiles {
    /// True for what is handed over as it stands.
    fn hold(&self, offset: u64) -> bool {
        let within = |(start, end): Section| start <= offset && offset < end;
        within(self.section) && !self.others.into_iter().any(within)
    }
}

impl AsyncBackend for Bytes {
    async fn read(&self, offset: u64, length: usize) -> PmtResult<BackendResponse> {
        let is_tile = self.tiles.get().is_some_and(|tiles| tiles.hold(offset));
        let limit = if is_tile { TILE_LIMIT_BYTES as usize } else { PACKED_LIMIT_BYTES };
        if length > limit {
            return Err(self.fault.note(FetchError::TooLarge { host: self.place(), limit_bytes: limit as u64 }));
        }
        let (bytes, version) = match &self.from {
            Origin::File(path) => (from_file(path, offset, length).await?, None),
            Origin::Server(server) => {
                let (client, url) = server.as_ref();
                from_server(client, url, offset, length).await.map_err(|error| self.fault.note(error))?
            }
        };
        if !is_tile {
            self.check(offset, &bytes)?;
        }
        let bytes = bytes.into();
        Ok(match version {
            Some(version) => BackendResponse::new_with_version(bytes, version),
            None => BackendResponse::new(bytes),
        })
    }
}

impl Bytes {
    fn place(&self) -> String {
        match &self.from {
            Origin::File(path) => path.display().to_string(),
            Origin::Server(server) => host_of(&server.1),
        }
    }

    /// Holds directories and metadata to their limit before they are unpacked.
    fn check(&self, offset: u64, bytes: &[u8]) -> PmtResult<()> {
        let mut packed = bytes;
        if offset == 0 {
            let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
            let section = |at: usize| Some((number(at)?, number(at)?.saturating_add(number(at + 8)?)));
            let (Some(tiles), Some(metadata), Some(leaves)) = (section(56), section(24), section(40)) else {
                return Ok(());
            };
            let (Some(root), Some(root_length)) = (number(8), number(16)) else { return Ok(()) };
            let is_packed = bytes.get(97) == Some(&2);
            let _ = self.tiles.set(Tiles { section: tiles, others: [metadata, leaves], packed: is_packed });
            let from = usize::try_from(root).unwrap_or(usize::MAX).max(HEADER_BYTES);
            let to = from.saturating_add(usize::try_from(root_length).unwrap_or(usize::MAX)).min(bytes.len());
            packed = bytes.get(from..to).unwrap_or_default();
        }
        if !self.tiles.get().is_some_and(|tiles| tiles.packed) || fits(packed) {
            return Ok(());
        }
        Err(self.fault.note(FetchError::TooLarge { host: self.place(), limit_bytes: SECTION_LIMIT_BYTES }))
    }
}

/// Whether so much comes out at most; broken packing is the reader's to tell.
fn fits(packed: &[u8]) -> bool {
    let mut from = MultiGzDecoder::new(packed).take(SECTION_LIMIT_BYTES + 1);
    let unpacked = io::copy(&mut from, &mut io::sink());
    !unpacked.is_ok_and(|bytes| bytes > SECTION_LIMIT_BYTES)
}

async fn from_file(path: &Path, offset: u64, length: usize) -> PmtResult<Vec<u8>> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        use std::io::{Seek, SeekFrom};
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    });
    Ok(reading.await.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))??)
}

/// A range, and the word of the server for the state of the whole.
async fn from_server(
    client: &Client,
    url: &Url,
    offset: u64,
    length: usize,
) -> Result<(Vec<u8>, Option<String>), FetchError> {
    let last = offset.saturating_add(length as u64).saturating_sub(1);
    let headers = [(RANGE, format!("bytes={offset}-{last}")), (ACCEPT_ENCODING, "identity".to_owned())];
    let work = async {
        let mut response = client.open_packed(url, &headers).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            let what = "the server gives no parts of files (ranges); PMTiles cannot be read from it";
            return Err(malformed(url, what));
        }
        if is_gzip(url, response.headers())? {
            return Err(malformed(url, "the server packs the parts of the archive, unasked"));
        }
        let version = validator_of(response.headers());
        let host = host_of(url);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| client.explain(&error, &host, true))? {
            if bytes.len() + chunk.len() > length {
                return Err(FetchError::TooLarge { host, limit_bytes: length as u64 });
            }
            client.count(chunk.len());
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes, version))
    };
    client.in_time(url, work).await
}

/// The directories that were read last.
#[derive(Default)]
struct Directories(Mutex<VecDeque<(u64, Arc<Directory>)>>);

impl DirectoryCache for Directories {
    async fn get_dir_entry_or_insert(
        &self,
        offset: u64,
        tile_id: TileId,
        fetcher: impl Future<Output = PmtResult<Directory>> + Send,
    ) -> PmtResult<Option<DirEntry>> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().iter().find(|(known, _)| *known == offset).map(|(_, directory)| directory.clone());
        let directory = match known {
            Some(directory) => directory,
            None => {
                let directory = Arc::new(fetcher.await?);
                let mut kept = kept();
                kept.truncate(KEPT_DIRECTORIES - 1);
                kept.push_front((offset, directory.clone()));
                directory
            }
        };
        Ok(directory.find_tile_id(tile_id).copied())
    }
}
