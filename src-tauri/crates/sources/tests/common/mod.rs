//! Shared by the tests: files in a temporary folder, read back in one call.
#![allow(dead_code, clippy::unwrap_used)]

pub mod server;

use model::{BBox, Feature, Protocol, Timestamp};
use sources::{
    Client, Collection, Continue, FetchError, Fetched, Progress, ReadError, ReadOptions, ReadSummary, Url, Wanted,
    read_file, service,
};
use std::path::{Path, PathBuf};

pub const PROVINCE: BBox = BBox { west: 105.45, south: 10.35, east: 106.90, north: 11.80 };

pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

pub type Read = Result<(ReadSummary, Vec<(u64, Feature)>), ReadError>;

pub fn read(path: &Path) -> Read {
    read_with(path, &ReadOptions::new(PROVINCE))
}

pub fn read_with(path: &Path, options: &ReadOptions) -> Read {
    let mut features = Vec::new();
    let summary = read_file(
        path,
        options,
        &mut |row, feature| {
            features.push((row, feature));
            Ok(())
        },
        &mut |done, total| {
            assert!(done <= total, "{done} of {total}");
            Continue::Yes
        },
    )?;
    assert_eq!(summary.report.accepted as usize, features.len());
    Ok((summary, features))
}

/// Writes the bytes to a file of that name and reads it.
pub fn read_bytes(name: &str, bytes: impl AsRef<[u8]>) -> Read {
    let folder = Folder::new();
    read(&folder.put(name, bytes))
}

/// `(row, code)` of the rejections.
pub fn rejected(summary: &ReadSummary) -> Vec<(u64, &str)> {
    summary.report.rejected.iter().map(|rejection| (rejection.row, rejection.code.as_str())).collect()
}

pub fn point(id: &str, lon: impl std::fmt::Display, lat: impl std::fmt::Display) -> String {
    format!(
        r#"{{"type":"Feature","id":"{id}","properties":{{"name":"Trạm {id}"}},"geometry":{{"type":"Point","coordinates":[{lon},{lat}]}}}}"#
    )
}

pub fn collection(features: &[String]) -> String {
    format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(",\n"))
}

/// The whole layer, by its id.
pub fn wanted<'a>(root: &'a Url, layer: &'a str, staging: &'a Path) -> Wanted<'a> {
    Wanted { root, layer, collection: None, id_field: None, validator: None, province: PROVINCE, now: Timestamp::UNIX_EPOCH, staging }
}

pub async fn fetch_collection(
    client: &Client,
    root: &Url,
    layer: &str,
    validator: Option<&str>,
    progress: Progress<'_>,
) -> Result<Fetched, FetchError> {
    let wanted = Wanted { validator, ..wanted(root, layer, Path::new("/nowhere")) };
    service(Protocol::OgcApiFeatures).unwrap().fetch(client, wanted, progress).await
}

pub fn features(fetched: Result<Fetched, FetchError>) -> Collection {
    match fetched.unwrap() {
        Fetched::Features(collection) => collection,
        Fetched::NotModified => panic!("not modified"),
    }
}

/// Peak memory of this process in megabytes.
pub fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: 0 kB");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
