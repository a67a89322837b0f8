//! Features from other systems: one module a protocol, one way to ask.
//!
//! Every [`FeatureService`] fetches one collection whole, in one attempt, and hands over features in WGS84 that passed
//! the same checks as those of a file. What a server may do wrong is settled here: limits, repeated pages, errors with
//! status 200, axes in the other order.

mod arcgis;
mod http_file;
mod kept;
mod mqtt;
mod ogc;
mod pages;
mod postgis;
mod recognise;
mod rest;
mod things;
mod transfer;
mod wfs;

pub use ogc::asking;
pub use recognise::{Offer, Recognised, recognise, recognise_folder, recognise_with};

use crate::net::{Client, FetchError};
use geo_types::MultiPolygon;
use model::{BBox, Credentials, Feature, Protocol, ReadReport, RestMapping, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use url::Url;

/// What is to be fetched.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The service's root, by the profile.
    pub root: &'a Url,
    /// The layer's id: the collection's name, unless that is given.
    pub layer: &'a str,
    /// What the source calls the layer; of SensorThings a `$filter` over its Things.
    pub collection: Option<&'a str>,
    /// The property that holds the key; without it the feature's own id, then `id`, `code`, `fid`.
    pub id_field: Option<&'a str>,
    /// What stands where in the source's answers, for protocols that leave this open.
    pub mapping: Option<&'a RestMapping>,
    /// The property that tells when a row last changed. Only databases are asked for it.
    pub changed_field: Option<&'a str>,
    /// What the source is to be shown.
    pub login: Option<Login<'a>>,
    /// [`Collection::validator`] of what is held.
    pub validator: Option<&'a str>,
    /// In degrees, for the guard against mixed-up axes.
    pub province: BBox,
    /// About so many features are enough, for a look at what there is; the rest is not asked for, and not missed.
    pub at_most: Option<u64>,
    /// What is in force is judged by this.
    pub now: Timestamp,
    /// For warnings that name areas and draw none.
    pub areas: Option<&'a dyn Areas>,
    /// A folder for transfers and pages that are cut off, made when it is needed. Another fetch of the same layer goes on from
    /// there. Empty: nothing is set down.
    pub staging: &'a Path,
}

/// The shapes of administrative areas.
pub trait Areas: fmt::Debug + Sync {
    /// The area with this code of the national list of administrative units, in WGS84, where it is known here.
    fn shape(&self, code: &str) -> Option<MultiPolygon<f64>>;
}

/// Credentials together with the secret that they name.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub credentials: &'a Credentials,
    pub secret: &'a Secret,
}

/// A password, key or token. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the request alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A text without the secret.
    pub fn hidden(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "…") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Wanted<'_> {
    /// The client that shows the source what it wants to see.
    pub(crate) fn client(&self, client: &Client) -> Result<Client, FetchError> {
        client.showing(self.root, self.login)
    }

    fn name(&self) -> &str {
        self.collection.unwrap_or(self.layer)
    }
}

/// What a collection had to say.
#[derive(Debug)]
pub enum Fetched {
    /// What the validator stands for is still the newest.
    NotModified,
    Features(Collection),
}

/// A collection as fetched. Bad features are in the report, with their place in the collection as row.
#[derive(Debug)]
pub struct Collection {
    pub features: Vec<Feature>,
    /// For the next fetch: an ETag, an HTTP date or another word of the server for this state of the whole; `None` when
    /// it gives none.
    pub validator: Option<String>,
    /// The moment the data describes, by the server's word.
    pub as_of: Option<Timestamp>,
    /// The server says of itself that its data is practice data.
    pub practice: bool,
    pub report: ReadReport,
    /// The server said how many features there are, and so many came.
    pub announced: bool,
    /// Rejected features by their row, as GeoJSON text in WGS84, as far as they could be read: for whoever mends them.
    pub refused: BTreeMap<u64, String>,
}

/// Gets features done and, where the server tells, in all.
pub type Progress<'a> = &'a mut (dyn FnMut(u64, Option<u64>) + Send);

/// A fetch under way. Dropping it cancels.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// A protocol that features come by.
pub trait FeatureService: fmt::Debug + Send + Sync {
    /// Fetches all features of a collection. Only the host of `wanted.root` is asked.
    ///
    /// # Errors
    /// [`FetchError`], which names host or address. Nothing of what came is handed over then: pages that repeat, or do not
    /// add up to the announced number, are `malformed`; data that changed between two pages is `changed`.
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a>;
}

/// The service of a protocol; `None` for one that brings no features.
pub fn service(protocol: Protocol) -> Option<&'static dyn FeatureService> {
    match protocol {
        Protocol::OgcApiFeatures => Some(&ogc::OgcApiFeatures),
        Protocol::File => Some(&http_file::HttpFile),
        Protocol::Wfs => Some(&wfs::Wfs),
        Protocol::ArcGis => Some(&arcgis::ArcGis),
        Protocol::Cap => Some(&crate::cap::Cap),
        Protocol::Rest => Some(&rest::Rest),
        Protocol::PostGis => Some(&postgis::PostGis),
        Protocol::Mqtt => Some(&mqtt::Mqtt),
        // Stations; their values come by `sensorthings`.
        Protocol::SensorThings => Some(&things::Things),
        Protocol::StationFolder => None,
    }
}

fn malformed(url: &Url, what: impl Into<String>) -> FetchError {
    FetchError::Malformed { url: url.to_string(), what: what.into() }
}
