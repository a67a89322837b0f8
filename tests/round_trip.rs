//! The 96 communes through the desk and out in every format and every system on offer: GDAL finds them where they were,
//! with every attribute that they had.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use desk::{Desk, ExportOptions, ImportOptions, LayerId, Options};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The seven parameters of Decision 05/2007/QĐ-BTNMT with the rotations' signs as PROJ wants them; Debian's PROJ knows
/// none between VN-2000 and WGS84.
const SHIFT: &str = "+towgs84=-191.90441429,-39.30318279,-111.45032835,0.00928836,-0.01975479,0.00427372,0.252906278";

/// Test-only data that is read where it lies and never copied into the repository.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    let found = [beside, Path::new("/work/shared/data").join(name)].into_iter().find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: {name} is test-only data in ../shared/data, which is not on this machine");
    }
    found
}

/// GDAL's words; `None`, with one of ours, where it is not installed.
fn gdal(program: &str, args: &[&str]) -> Option<String> {
    let Ok(done) = Command::new(program).args(args).output() else {
        eprintln!("SKIPPED: {program} is not installed (Debian: gdal-bin)");
        return None;
    };
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap())
}

/// A system in words that lead GDAL to WGS84 as we go there.
fn system(code: u32) -> Option<String> {
    let name = format!("EPSG:{code}");
    if matches!(code, 4326 | 3857 | 32_648 | 32_649) {
        return Some(name);
    }
    let words = gdal("gdalsrsinfo", &["-o", "proj4", &name])?;
    let kept = words.split_whitespace().filter(|word| !word.starts_with("+towgs84"));
    Some(format!("{} {SHIFT}", kept.collect::<Vec<_>>().join(" ")))
}

type Communes = BTreeMap<String, (Vec<Vec<[f64; 2]>>, Value)>;

/// By their code: rings from their least corner on and all one way round, and the attributes.
fn communes(path: &Path) -> Communes {
    let text = std::fs::read_to_string(path).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut out = Communes::new();
    for feature in document["features"].as_array().unwrap() {
        let mut all = Vec::new();
        rings(&feature["geometry"]["coordinates"], &mut all);
        all.sort_by_key(|ring: &Vec<[f64; 2]>| rounded(ring[0]));
        let code = feature["properties"]["code"].as_str().unwrap().to_owned();
        assert!(out.insert(code, (all, feature["properties"].clone())).is_none());
    }
    out
}

#[allow(clippy::cast_possible_truncation)]
fn rounded(corner: [f64; 2]) -> [i64; 2] {
    corner.map(|x| (x * 1e6).round() as i64)
}

fn rings(value: &Value, into: &mut Vec<Vec<[f64; 2]>>) {
    let list = value.as_array().unwrap();
    if !list[0][0].is_number() {
        list.iter().for_each(|part| rings(part, into));
        return;
    }
    let mut ring: Vec<[f64; 2]> =
        list.iter().map(|corner| [corner[0].as_f64().unwrap(), corner[1].as_f64().unwrap()]).collect();
    ring.pop();
    let first = (0..ring.len()).min_by_key(|at| rounded(ring[*at])).unwrap();
    ring.rotate_left(first);
    if rounded(ring[1]) > rounded(ring[ring.len() - 1]) {
        ring[1..].reverse();
    }
    into.push(ring);
}

/// `within` degrees.
fn assert_same(what: &str, ours: &Communes, theirs: &Communes, within: f64) {
    assert!(ours.keys().eq(theirs.keys()), "{what}: {} and {}", ours.len(), theirs.len());
    for ((code, (was, properties)), (is, read)) in ours.iter().zip(theirs.values()) {
        assert_eq!(was.len(), is.len(), "{what}, {code}");
        for (a, b) in was.iter().zip(is) {
            assert_eq!(a.len(), b.len(), "{what}, {code}");
            let off = a.iter().zip(b).map(|(a, b)| (a[0] - b[0]).abs().max((a[1] - b[1]).abs()));
            let most = off.fold(0.0, f64::max);
            assert!(most <= within, "{what}, {code}: {most} degrees off");
        }
        for (name, value) in properties.as_object().unwrap() {
            let found = if name == "name" { read.get("name").or_else(|| read.get("Name")) } else { read.get(name) };
            let found = found.unwrap_or(&Value::Null);
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), |text| text.replace('/', "-"));
            // A table has no types.
            let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
            let same = match (number(value), number(found)) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * a.abs().max(1.0),
                _ => text(value) == text(found),
            };
            assert!(same || value.is_null() && text(found).is_empty(), "{what}, {code}, {name}: {value} and {found}");
        }
    }
}

struct Home {
    folder: tempfile::TempDir,
    desk: Arc<Desk>,
    layer: LayerId,
    was: Communes,
}

/// A desk that holds the communes of this file, as a layer without a standard of its own.
fn holding(name: &str) -> Option<Home> {
    let input = shared(name)?;
    gdal("ogr2ogr", &["--version"])?;
    let folder = tempfile::tempdir().unwrap();
    let (desk, _) = Desk::open(Options::at(folder.path().join("home"))).unwrap();
    let layer = LayerId::new("xa_moi").unwrap();
    let summary = desk.import(&input, &layer, &ImportOptions::default(), &mut |_, _| true).unwrap();
    assert_eq!((summary.accepted, summary.rejected), (96, 0));
    // An import leaves out corners that are there twice: what it holds is what has to come out again.
    let held = folder.path().join("held.geojson");
    assert_eq!(desk.export(&layer, &held, &ExportOptions::default()).unwrap(), 96);
    let was = communes(&held);
    Some(Home { folder, desk, layer, was })
}

impl Home {
    /// Exports, and reads by GDAL in WGS84.
    fn by_gdal(&self, file: &str, code: u32) -> Communes {
        let out = self.folder.path().join(file);
        let options = ExportOptions { crs: (code != 4326).then_some(code), ..ExportOptions::default() };
        assert_eq!(self.desk.export(&self.layer, &out, &options).unwrap(), 96, "{file}");
        let read = self.folder.path().join("gdal.geojson");
        let _ = std::fs::remove_file(&read);
        let from = system(code).unwrap();
        let paths = ["-f", "GeoJSON", read.to_str().unwrap(), out.to_str().unwrap()];
        let places = ["-s_srs", &from, "-t_srs", "EPSG:4326", "-lco", "COORDINATE_PRECISION=15", "-dim", "XY"];
        let table = ["-oo", "GEOM_POSSIBLE_NAMES=wkt", "-oo", "KEEP_GEOM_COLUMNS=NO"];
        let table = if Path::new(file).extension().is_some_and(|ending| ending == "csv") { &table[..] } else { &[] };
        gdal("ogr2ogr", &[&paths[..], &places, table].concat()).unwrap();
        communes(&read)
    }
}

#[test]
fn every_format_keeps_the_communes_as_they_were() {
    let Some(home) = holding("communes_2025.geojson") else { return };
    for ending in ["gpkg", "geojson", "geojsonl", "fgb", "csv", "kml"] {
        let file = format!("a.{ending}");
        assert_same(&file, &home.was, &home.by_gdal(&file, 4326), 1e-12);
    }
}

#[test]
fn every_system_on_offer_leads_gdal_to_the_same_places() {
    let Some(home) = holding("communes_2025_simplified_30m.geojson") else { return };
    for code in [4326, 4756, 3857, 32_648, 32_649, 3405, 3406].into_iter().chain(5896..=5899).chain(9205..=9218) {
        for ending in ["gpkg", "fgb", "geojson"] {
            // Those that lean on a grid's own name for it; the numbers are the same ones.
            if ending != "gpkg" && !matches!(code, 4756 | 3857 | 32_648 | 9209) {
                continue;
            }
            let file = format!("{code}.{ending}");
            // A ten-millionth of a degree is a centimetre: GDAL's own way back from Mercator and the grids has its share.
            assert_same(&file, &home.was, &home.by_gdal(&file, code), 1e-8);
        }
    }
}
