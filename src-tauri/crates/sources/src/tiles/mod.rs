//! Tiles that others make: one module a protocol, one way to ask.
//!
//! Flow: [`TileSource::open`] reads what the source says of itself (capabilities, a TileJSON, a header), the
//! [`Description`]; [`TileSource::tile`] then brings single tiles of the Mercator grid, rows counted from the north. What a
//! tile is, is told by its bytes: a page or an exception report in place of a picture is an error in the server's words.
//! Each call is one attempt; nothing is kept here.

mod answer;
mod attribution;
mod capabilities;
mod mbtiles;
mod pmtiles;
mod recognise;
mod template;
mod tilejson;
mod wms;
mod wmts;

pub use recognise::{Recognised, TileLayer, recognise};

use crate::features::Login;
use crate::net::{Client, FetchError, host_of};
use model::{BBox, Credit, TileForm, TileProtocol, VectorLayer};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Largest tile, unpacked. Tile servers keep theirs below half a megabyte.
pub const TILE_LIMIT_BYTES: u64 = 4 << 20;
/// Largest capabilities or TileJSON document. Those of large services have some megabytes.
const DOCUMENT_LIMIT_BYTES: u64 = 32 << 20;
/// A map does not wait longer for a tile.
const TILE_TIMEOUT: Duration = Duration::from_secs(20);
/// Deeper than any map looks.
pub const DEEPEST_ZOOM: u8 = 24;

/// Where tiles are to come from.
#[derive(Clone, Copy, Debug)]
pub struct TileSpec<'a> {
    pub protocol: TileProtocol,
    /// The service's address, a template with `{z}`, `{x}`, `{y}`, or `file:///FILE`.
    pub url: &'a str,
    /// The layer of a WMS or WMTS; several of a WMS are set off by commas.
    pub layer: Option<&'a str>,
    /// The style of that layer; absent: its default.
    pub style: Option<&'a str>,
    /// What the source is to be shown.
    pub login: Option<Login<'a>>,
}

/// What a source says of its tiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    pub title: Option<String>,
    pub form: TileForm,
    pub min_zoom: u8,
    pub max_zoom: u8,
    /// In degrees.
    pub bounds: Option<BBox>,
    /// Pixels that a picture tile has on each side.
    pub tile_size: u16,
    pub attribution: Vec<Credit>,
    /// Terms of use, in the server's words.
    pub licence: Option<String>,
    /// Of vector tiles.
    pub vector_layers: Vec<VectorLayer>,
    /// It lies on this machine: asking costs nothing, and nothing needs to be kept.
    pub local: bool,
}

/// A tile with what a cache needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    pub bytes: Vec<u8>,
    pub form: TileForm,
    /// An ETag or a date for the next request.
    pub validator: Option<String>,
    /// So long it may be used without asking, by the server's word.
    pub fresh_for: Option<Duration>,
}

/// What a source had to say to the request for a tile.
#[derive(Clone, Debug, PartialEq)]
pub enum TileAnswer {
    Tile(Tile),
    /// There is nothing at this place.
    Empty {
        fresh_for: Option<Duration>,
    },
    /// What the validator stands for is still the newest.
    NotModified {
        fresh_for: Option<Duration>,
    },
}

/// A source of tiles, opened. Cheap to share; one attempt a call.
#[derive(Debug)]
pub struct TileSource {
    description: Description,
    client: Client,
    way: Way,
}

/// How its tiles are had.
#[derive(Debug)]
enum Way {
    Address(template::Addresses),
    Wms(wms::GetMap),
    PmTiles(Box<pmtiles::Archive>),
    MbTiles(mbtiles::File),
}

impl TileSource {
    /// Reads what the source says of itself.
    ///
    /// # Errors
    /// [`FetchError`]: `bad_address` for an address that none of the protocol is, or a file that is not there;
    /// `no_collection` for a layer that the service does not have, with those it has; `service_refuses` in the server's
    /// words; `malformed` for anything that is not what the protocol says, no Web Mercator grid among it.
    pub async fn open(client: &Client, spec: &TileSpec<'_>) -> Result<Self, FetchError> {
        let root = address(spec)?;
        let mut client = client.showing(&root, spec.login)?;
        client.options.body_limit_bytes = client.options.body_limit_bytes.min(DOCUMENT_LIMIT_BYTES);
        let (description, way) = match spec.protocol {
            TileProtocol::Xyz => template::open(&client, spec.url).await?,
            TileProtocol::TileJson => tilejson::open(&client, &root).await?,
            TileProtocol::Wms => wms::open(&client, &root, spec).await?,
            TileProtocol::Wmts => wmts::open(&client, &root, spec).await?,
            TileProtocol::PmTiles => pmtiles::open(&client, &root).await?,
            TileProtocol::MbTiles => mbtiles::open(&root).await?,
        };
        client.options.body_limit_bytes = client.options.body_limit_bytes.min(TILE_LIMIT_BYTES);
        client.options.answer_timeout = client.options.answer_timeout.min(TILE_TIMEOUT);
        Ok(Self { description, client, way })
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    /// One tile. Nothing is asked for one outside the source's zooms and bounds: that is empty.
    ///
    /// # Errors
    /// [`FetchError`]; `service_refuses` and `malformed` quote what came in place of a tile.
    pub async fn tile(&self, z: u8, x: u32, y: u32, validator: Option<&str>) -> Result<TileAnswer, FetchError> {
        if !self.covers(z, x, y) {
            return Ok(TileAnswer::Empty { fresh_for: None });
        }
        match &self.way {
            Way::Address(addresses) => {
                answer::fetch(&self.client, &addresses.of(z, x, y)?, self.description.form, validator).await
            }
            Way::Wms(get_map) => {
                answer::fetch(&self.client, &get_map.of(z, x, y), self.description.form, validator).await
            }
            Way::PmTiles(archive) => archive.tile(z, x, y, self.description.form).await,
            Way::MbTiles(file) => file.tile(z, x, y, self.description.form).await,
        }
    }

    fn covers(&self, z: u8, x: u32, y: u32) -> bool {
        let Description { min_zoom, max_zoom, bounds, .. } = &self.description;
        if z < *min_zoom || z > *max_zoom || z > DEEPEST_ZOOM || x >= 1 << z || y >= 1 << z {
            return false;
        }
        bounds.is_none_or(|bounds| bounds.intersects(&degrees_of(z, x, y)))
    }
}

/// The degrees that a tile covers.
pub fn degrees_of(z: u8, x: u32, y: u32) -> BBox {
    let n = f64::from(1_u32 << z.min(30));
    let lon = |x: f64| x / n * 360.0 - 180.0;
    let lat = |y: f64| (std::f64::consts::PI * (1.0 - 2.0 * y / n)).sinh().atan().to_degrees();
    let (x, y) = (f64::from(x), f64::from(y));
    BBox { west: lon(x), south: lat(y + 1.0), east: lon(x + 1.0), north: lat(y) }
}

/// The address as far as a login is judged by it: of a template, with numbers in place of the names.
fn address(spec: &TileSpec<'_>) -> Result<Url, FetchError> {
    let wrong = |url: &str, reason: &str| FetchError::BadAddress { url: url.to_owned(), reason: reason.to_owned() };
    let url = match spec.protocol {
        TileProtocol::Xyz => template::filled(spec.url, 0, 0, 0)?,
        _ => Url::parse(spec.url).map_err(|error| wrong(spec.url, &error.to_string()))?,
    };
    if !url.username().is_empty() || url.password().is_some() {
        let reason = "a user or password does not belong into an address: they are kept apart, by `secret set`";
        return Err(wrong(&host_of(&url), reason));
    }
    let file = matches!(spec.protocol, TileProtocol::PmTiles | TileProtocol::MbTiles);
    match url.scheme() {
        "file" if file => Ok(url),
        "file" => Err(wrong(spec.url, "only PMTiles and MBTiles are files; the others are asked over http or https")),
        "http" | "https" if spec.protocol == TileProtocol::MbTiles => {
            Err(wrong(spec.url, "an MBTiles file is read from this machine: copy it here and write file:///FILE"))
        }
        "http" | "https" => Ok(url),
        _ => Err(wrong(spec.url, "it is neither http nor https")),
    }
}

/// The path of a `file:` address, which must be a plain file.
fn file_of(url: &Url) -> Result<PathBuf, FetchError> {
    let wrong = |reason: &str| FetchError::BadAddress { url: url.to_string(), reason: reason.to_owned() };
    let path = url.to_file_path().map_err(|()| wrong("it is no path of this machine"))?;
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(path),
        Ok(_) => Err(wrong("it is no file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(wrong("there is no such file")),
        Err(error) => Err(wrong(&error.to_string())),
    }
}

fn malformed(url: &Url, what: impl Into<String>) -> FetchError {
    FetchError::Malformed { url: url.to_string(), what: what.into() }
}
