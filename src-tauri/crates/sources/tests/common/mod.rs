//! Shared by the tests: files in a temporary folder, read back in one call.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout)]

pub mod alike;
pub mod mutate;
pub mod server;

use model::{BBox, Feature, Protocol, ReadReport, Timestamp};
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
    rejected_of(&summary.report)
}

pub fn rejected_of(report: &ReadReport) -> Vec<(u64, &str)> {
    report.rejected.iter().map(|rejection| (rejection.row, rejection.code.as_str())).collect()
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
    Wanted {
        root,
        layer,
        collection: None,
        id_field: None,
        mapping: None,
        changed_field: None,
        login: None,
        validator: None,
        province: PROVINCE,
        at_most: None,
        areas: None,
        now: Timestamp::UNIX_EPOCH,
        staging,
    }
}

pub async fn fetch_collection(
    client: &Client,
    root: &Url,
    layer: &str,
    validator: Option<&str>,
    progress: Progress<'_>,
) -> Result<Fetched, FetchError> {
    let wanted = Wanted { validator, ..wanted(root, layer, Path::new("/proc/nowhere")) };
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

/// Runs `ogr2ogr`; false, with a word, when the machine has none.
pub fn ogr2ogr(args: &[&str]) -> bool {
    match std::process::Command::new("ogr2ogr").args(args).output() {
        Err(_) => {
            println!("SKIPPED: ogr2ogr is not installed");
            false
        }
        Ok(done) => {
            assert!(done.status.success(), "ogr2ogr {args:?}: {}", String::from_utf8_lossy(&done.stderr));
            true
        }
    }
}

/// Runs GDAL from one file into another; false when the machine has none.
pub fn make(driver: &str, from: &Path, to: &Path, more: &[&str]) -> bool {
    let paths = [to.to_str().unwrap(), from.to_str().unwrap()];
    ogr2ogr(&[&["-f", driver][..], &paths, more].concat())
}

/// What GDAL reads in the same file, in WGS84, by way of GeoJSON. `layer` may be empty.
pub fn by_gdal(path: &Path, layer: &str) -> Vec<Feature> {
    by_gdal_with(path, &if layer.is_empty() { vec![] } else { vec![layer] })
}

/// As [`by_gdal`], with what GDAL is to be told besides.
pub fn by_gdal_with(path: &Path, more: &[&str]) -> Vec<Feature> {
    let out = path.with_extension("gdal.geojson");
    let _ = std::fs::remove_file(&out);
    let plain = ["-lco", "COORDINATE_PRECISION=15", "-dim", "XY", "-t_srs", "EPSG:4326"];
    assert!(make("GeoJSON", path, &out, &[more, &plain].concat()));
    features_of(&out)
}

/// The features of a file that has no bad row.
pub fn features_of(path: &Path) -> Vec<Feature> {
    let (summary, features) = read(path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rejected(&summary), [], "{}", path.display());
    features.into_iter().map(|(_, feature)| feature).collect()
}

/// GDAL's reading of a table, with the open options that say where its shapes are; in degrees.
pub fn table_by_gdal(path: &Path, shapes: &[&str]) -> Vec<Feature> {
    let types = ["-oo", "AUTODETECT_TYPE=YES", "-oo", "KEEP_GEOM_COLUMNS=NO", "-s_srs", "EPSG:4326"];
    let named: Vec<&str> = shapes.iter().flat_map(|option| ["-oo", option]).collect();
    by_gdal_with(path, &[&named[..], &types].concat())
}

/// The same features: shapes to `within` degrees wherever their rings begin, attributes as far as both have them.
pub fn assert_same(ours: &[(u64, Feature)], theirs: &[Feature], within: f64) {
    assert_eq!(ours.len(), theirs.len());
    for ((row, our), their) in ours.iter().zip(theirs) {
        assert_same_shape(&format!("row {row}"), &our.geometry, &their.geometry, within);
        for (name, value) in their.properties.iter() {
            let ours = our.properties.get(name).unwrap_or(&model::Value::Null);
            let number = |value: &model::Value| match value {
                #[allow(clippy::cast_precision_loss)]
                model::Value::Integer(x) => Some(*x as f64),
                model::Value::Real(x) => Some(*x),
                _ => None,
            };
            match (number(ours), number(value)) {
                (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "row {row}, {name}: {a} {b}"),
                _ => assert_eq!(
                    ours.to_string().replace('/', "-"),
                    value.to_string().replace('/', "-"),
                    "row {row}, {name}"
                ),
            }
        }
    }
}

/// The same parts, to `within` degrees, wherever their rings begin.
pub fn assert_same_shape(row: &str, ours: &geo_types::Geometry<f64>, theirs: &geo_types::Geometry<f64>, within: f64) {
    let (a, b) = (plain(ours), plain(theirs));
    assert_eq!(a.len(), b.len(), "{row}: {ours:?} {theirs:?}");
    for ((what, a), (_, b)) in a.iter().zip(&b) {
        assert_eq!(a.len(), b.len(), "{row}, {what}");
        let near = a.iter().zip(b).all(|(a, b)| (a.0 - b.0).abs() <= within && (a.1 - b.1).abs() <= within);
        assert!(near, "{row}, {what}: {a:?} {b:?}");
    }
}

/// A geometry as its parts in an order of their own: what they are, and their coordinates; rings from their least corner
/// on and all one way round.
fn plain(geometry: &geo_types::Geometry<f64>) -> Vec<(&'static str, Vec<(f64, f64)>)> {
    use geo_types::{Geometry as G, LineString};
    let coords = |line: &LineString<f64>| line.0.iter().map(|c| (c.x, c.y)).collect::<Vec<_>>();
    let ring = |line: &LineString<f64>| {
        let mut all = coords(line);
        all.pop();
        // Corners a hair apart must not decide where the ring begins.
        let rounded = |at: usize| ((all[at].0 * 1e6).round(), (all[at].1 * 1e6).round());
        let least = (0..all.len()).min_by(|a, b| rounded(*a).partial_cmp(&rounded(*b)).unwrap()).unwrap_or(0);
        all.rotate_left(least);
        let area: f64 = (0..all.len())
            .map(|i| (all[i], all[(i + 1) % all.len()]))
            .map(|(a, b)| (a.0 - all[0].0) * (b.1 - all[0].1) - (b.0 - all[0].0) * (a.1 - all[0].1))
            .sum();
        if area < 0.0 {
            all[1..].reverse();
        }
        all
    };
    let polygon = |p: &geo_types::Polygon<f64>| {
        std::iter::once(("outline", ring(p.exterior())))
            .chain(p.interiors().iter().map(|hole| ("hole", ring(hole))))
            .collect::<Vec<_>>()
    };
    let mut out = match geometry {
        G::Point(p) => vec![("point", vec![(p.x(), p.y())])],
        G::MultiPoint(m) => m.0.iter().map(|p| ("point", vec![(p.x(), p.y())])).collect(),
        G::LineString(l) => vec![("line", coords(l))],
        G::MultiLineString(m) => m.0.iter().map(|l| ("line", coords(l))).collect(),
        G::Polygon(p) => polygon(p),
        G::MultiPolygon(m) => m.0.iter().flat_map(polygon).collect(),
        G::GeometryCollection(c) => c.0.iter().flat_map(plain).collect(),
        other => panic!("{other:?}"),
    };
    let key = |part: &(&'static str, Vec<(f64, f64)>)| {
        let first = part.1.first().copied().unwrap_or_default();
        (part.0, (first.0 * 1e6).round(), (first.1 * 1e6).round(), part.1.len())
    };
    out.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap());
    out
}

/// Puts files into a ZIP archive.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The next of a row of numbers that is the same on every run, below `bound`.
pub fn random(state: &mut u64, bound: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize % bound
}

/// Reads the file some hundred times with bytes changed, and cut short: never a panic, whatever comes out.
pub fn survives_damage(name: &str, good: &[u8], beside: &[(&str, &[u8])]) {
    let folder = Folder::new();
    beside.iter().for_each(|(name, bytes)| drop(folder.put(name, bytes)));
    let mut state = 7;
    for round in 0..400 {
        let mut bytes = good.to_vec();
        for _ in 0..=random(&mut state, 6) {
            let at = random(&mut state, bytes.len());
            bytes[at] = match round % 3 {
                0 => bytes[at] ^ (1 << random(&mut state, 8)),
                1 => [0, 1, 0x7f, 0x80, 0xff][random(&mut state, 5)],
                _ => u8::try_from(random(&mut state, 256)).unwrap(),
            };
        }
        if round % 5 == 0 {
            bytes.truncate(random(&mut state, good.len()));
        }
        let _ = read(&folder.put(name, &bytes));
    }
}
