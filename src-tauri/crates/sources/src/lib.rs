//! Everything that comes from outside or goes out: files of every supported format, and all network traffic.
//!
//! Flow of a file: [`sniff`] tells what it is by its bytes, [`columns`] what its rows are called by; [`read_file`] streams it row by row through one gate that
//! checks positions, axes, coordinate system, keys and text, hands features in WGS84 to the caller and what it refuses
//! into the report. [`write_file`] goes the other way. Values of stations come in files of their own ([`station_file`]).
//! Flow of the network: a [`Client`] with timeouts and limits; a [`FeatureService`] for each protocol fetches collections,
//! [`asking`] asks those that stay where they are,
//! [`tiles`] brings maps that others draw,
//! [`sensorthings`] values, [`events`] and [`mqtt`] what changes, [`still`] pictures, [`remote_folder`] files of FTP and SFTP
//! servers. Each call is one attempt: the caller waits by a [`Backoff`].
//!
//! It does not know the cache, layers of a profile, what freshness means, or when the next sync is due. It does not
//! repair shapes (that is `spatial`), and it trusts nothing that it reads: a bad row costs that row, a bad file an error
//! with a code, never a panic.
//!
//! ```
//! use sources::{Continue, ReadOptions, read_file};
//! let path = std::env::temp_dir().join(format!("sources-doc-{}.csv", std::process::id()));
//! std::fs::write(&path, "code,name,lon,lat\na,Núi Bà Đen,106.17,11.38\nb,far off,1060.2,11.3\n").unwrap();
//! let options = ReadOptions::new([105.45, 10.35, 106.9, 11.8].into());
//! let mut names = Vec::new();
//! let summary = read_file(&path, &options, &mut |_row, feature| {
//!     names.push(feature.text("name").unwrap_or_default().to_owned());
//!     Ok(())
//! }, &mut |_done, _total| Continue::Yes).unwrap();
//! # std::fs::remove_file(&path).unwrap();
//! assert_eq!(names, ["Núi Bà Đen"]);
//! let rejected = &summary.report.rejected[0];
//! assert_eq!((rejected.row, rejected.code.as_str()), (3, "coordinate_range"));
//! ```

mod archive;
pub mod cap;
mod crs;
mod csv;
mod dxf;
mod encoding;
pub mod events;
mod features;
mod file;
mod flatgeobuf;
mod geojson;
mod geometry;
mod geopackage;
mod kml;
pub mod mqtt;
mod net;
mod out;
pub mod remote_folder;
pub mod sensorthings;
mod shapefile;
pub mod station_file;
pub mod tiles;
mod xlsx;
mod xml;
mod zipped;

pub use archive::TileArchive;
pub use encoding::TextEncoding;
pub use events::ServerEvent;
pub use features::{
    Areas, Collection, FeatureService, Fetched, Fetching, Login, Offer, Progress, Recognised, Secret, Wanted, asking,
    recognise, recognise_folder, recognise_with, service,
};
pub use file::{
    Columns, Continue, Edits, Format, OnError, PositionColumn, Prepare, ReadError, ReadOptions, ReadSummary, RowEdit,
    cells, columns, read_file, sniff,
};
pub use geojson::{feature_text, geometry_json, write_geometry};
pub use net::{Backoff, Client, ClientOptions, FetchError, Resolver, Resolving, SystemResolver, still};
pub use out::{WriteError, WriteOptions, write_file};
pub use url::Url;
