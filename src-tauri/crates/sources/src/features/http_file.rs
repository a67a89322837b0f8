//! A layer that lies on a web server as one file: GeoJSON, GeoJSON by line, a table, a GeoPackage.
//!
//! The file is set down beside the home in pieces as it comes ([`Transfer`]), so that a cut transfer goes on where it
//! stopped, and is read from there as any other file.

use super::transfer::{Arrived, Transfer};
use super::{Collection, FeatureService, Fetched, Fetching, Progress, Wanted, malformed};
use crate::file::{Continue, ReadError, ReadOptions, read_file};
use crate::net::{Client, FetchError, host_of, http_date, under};
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// The protocol.
#[derive(Debug)]
pub(super) struct HttpFile;

impl FeatureService for HttpFile {
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(async move { fetch(&wanted.client(client)?, wanted, progress).await })
    }
}

async fn fetch(client: &Client, wanted: Wanted<'_>, progress: Progress<'_>) -> Result<Fetched, FetchError> {
    let url = address(&wanted)?;
    let mut transfer = Transfer::open(client, &url, wanted.staging, wanted.layer).await?;
    let (path, stamp) = match client.in_time(&url, transfer.run(wanted.validator)).await {
        Ok(Arrived::Whole { path, stamp }) => (path, stamp),
        Ok(Arrived::NotModified) => {
            transfer.clear().await;
            return Ok(Fetched::NotModified);
        }
        Err(error) => {
            transfer.leave().await;
            return Err(error);
        }
    };
    let mut options = ReadOptions::new(wanted.province);
    options.id_field = wanted.id_field.map(str::to_owned);
    // Parsing is work for a blocking thread; when the fetch is dropped meanwhile, it ends by itself.
    let reading = tokio::task::spawn_blocking(move || read(path, &options));
    let read = reading.await.map_err(|_| FetchError::Cancelled)?;
    transfer.clear().await;
    let (features, report) = read.map_err(|error| explain(&url, &error))?;
    let done = features.len() as u64;
    progress(done, Some(done));
    Ok(Fetched::Features(Collection {
        features,
        validator: stamp.validator,
        as_of: stamp.last_modified.as_deref().and_then(http_date),
        practice: false,
        report,
        announced: false,
        refused: BTreeMap::new(),
    }))
}

/// The collection under the root. Without one, the root itself, or in a folder the file named after the layer.
fn address(wanted: &Wanted<'_>) -> Result<Url, FetchError> {
    match wanted.collection {
        Some(name) => under(wanted.root, &name.split('/').collect::<Vec<_>>()),
        None if wanted.root.path().ends_with('/') => under(wanted.root, &[&format!("{}.geojson", wanted.layer)]),
        None => Ok(wanted.root.clone()),
    }
}

type Read = Result<(Vec<model::Feature>, model::ReadReport), ReadError>;

fn read(path: PathBuf, options: &ReadOptions<'_>) -> Read {
    let mut features = Vec::new();
    let mut take = |_, feature| {
        features.push(feature);
        Ok(())
    };
    let summary = read_file(&path, options, &mut take, &mut |_, _| Continue::Yes)?;
    Ok((features, summary.report))
}

/// The file is called by its address, not by where it was set down.
fn explain(url: &Url, error: &ReadError) -> FetchError {
    match error {
        ReadError::Truncated { .. } => FetchError::Truncated { host: host_of(url) },
        ReadError::Io { path, reason } => FetchError::Staging { path: path.clone(), reason: reason.clone() },
        other => {
            let said = other.to_string();
            let here = format!("{}: ", other.path().display());
            malformed(url, said.strip_prefix(&here).unwrap_or(&said))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn address_is_a_file_in_the_folder_or_the_root_itself() {
        let of = |root: &str, collection: Option<&str>| {
            let root: Url = root.parse().unwrap();
            let wanted = Wanted {
                root: &root,
                layer: "schools",
                collection,
                id_field: None,
                mapping: None,
                changed_field: None,
                login: None,
                validator: None,
                province: model::BBox { west: 105.0, south: 10.0, east: 107.0, north: 12.0 },
                at_most: None,
                areas: None,
                now: model::Timestamp::UNIX_EPOCH,
                staging: Path::new("/proc/nowhere"),
            };
            address(&wanted).unwrap().to_string()
        };
        assert_eq!(of("http://h/data/", None), "http://h/data/schools.geojson");
        assert_eq!(of("http://h/data/", Some("2026/truong hoc.csv")), "http://h/data/2026/truong%20hoc.csv");
        assert_eq!(of("http://h/all.csv?key=1", None), "http://h/all.csv?key=1");
        assert_eq!(of("http://h/data/", Some("../secret")), "http://h/data/secret");
    }
}
