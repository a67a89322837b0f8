//! Shapefiles as Vietnamese offices have them, made and read by GDAL: letters of earlier days, grids of VN-2000.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::{Folder, assert_same, by_gdal_with, collection, make, point, read, rejected, zip};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names that hold every tone and hat.
const NAMES: [&str; 6] =
    ["xã Thạnh Đức", "gò Dầu, bến Lức", "phường Trảng Bàng", "đường Nguyễn Văn Rốp", "quỹ đất, kỷ niệm", "mẫu giáo"];

fn source(folder: &Folder, names: &[String]) -> PathBuf {
    let rows = names
        .iter()
        .zip(0..)
        .map(|(name, n)| point(&n.to_string(), 106.0 + f64::from(n) / 16.0, 11.25).replace(&format!("Trạm {n}"), name));
    folder.put("in.geojson", collection(&rows.collect::<Vec<_>>()))
}

/// The members of a shapefile beside `path`, zipped.
fn zipped(folder: &Folder, path: &Path) -> PathBuf {
    let parts = ["shp", "shx", "dbf", "prj", "cpg"].map(|ending| (ending, std::fs::read(path.with_extension(ending))));
    let there: Vec<(String, Vec<u8>)> =
        parts.into_iter().filter_map(|(ending, bytes)| Some((format!("lô đất.{ending}"), bytes.ok()?))).collect();
    let members: Vec<(&str, &[u8])> = there.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    folder.put("a.zip", zip(&members))
}

#[test]
fn letters_are_read_as_gdal_reads_them() {
    let names = NAMES.map(str::to_owned);
    for (encoding, page) in [("UTF-8", "UTF-8"), ("UTF-8", "65001"), ("CP1258", "CP1258"), ("CP1258", "ANSI 1258")] {
        let folder = Folder::new();
        let out = folder.0.path().join("a.shp");
        let args = ["-lco", &format!("ENCODING={encoding}")];
        if !make("ESRI Shapefile", &source(&folder, &names), &out, &args) {
            return;
        }
        // What GDAL calls it, and what other programs do.
        assert_eq!(std::fs::read_to_string(out.with_extension("cpg")).unwrap(), encoding);
        std::fs::write(out.with_extension("cpg"), page).unwrap();
        for path in [out.clone(), zipped(&folder, &out)] {
            let (summary, ours) = read(&path).unwrap();
            assert_eq!((rejected(&summary), summary.report.warnings.len()), (vec![], 0), "{encoding}");
            for ((_, our), name) in ours.iter().zip(&names) {
                assert_eq!(our.text("name"), Some(name.as_str()), "{encoding}");
            }
            if page != encoding {
                continue;
            }
            let theirs = by_gdal_with(&out, &[]);
            if encoding != "CP1258" {
                assert_same(&ours, &theirs, 1e-12);
                continue;
            }
            // GDAL 3.6 takes the last letter off every text in windows-1258, the names of the columns too: it waits for a tone.
            for ((_, our), their) in ours.iter().zip(&theirs) {
                common::assert_same_shape("windows-1258", &our.geometry, &their.geometry, 1e-12);
                let (whole, short) = (our.text("name").unwrap(), their.text("nam").unwrap());
                assert_eq!(whole.strip_prefix(short).map(|rest| rest.chars().count()), Some(1), "{short}");
            }
        }
        // Without a word about it, the letters tell.
        std::fs::remove_file(out.with_extension("cpg")).unwrap();
        let (_, ours) = read(&out).unwrap();
        assert_eq!(ours[0].1.text("name"), Some(NAMES[0]), "{encoding}");
    }
}

/// The bytes of the text in TCVN3, by the C library's own table; `None` where it has none.
fn tcvn3(text: &str) -> Option<Vec<u8>> {
    let folder = Folder::new();
    let path = folder.put("a.txt", text);
    let done = Command::new("iconv").args(["-f", "UTF-8", "-t", "TCVN5712-1"]).arg(path).output().ok()?;
    done.status.success().then_some(done.stdout)
}

/// The bytes as western letters, as programs show them that know no better.
fn as_latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[test]
fn tcvn3_that_calls_itself_western_is_read_as_the_text_it_was() {
    let known = |n: usize| tcvn3(NAMES[n]);
    let Some(bytes) = (0..NAMES.len()).map(known).collect::<Option<Vec<_>>>() else {
        println!("SKIPPED: iconv with TCVN5712-1 is not installed");
        return;
    };
    let shown: Vec<String> = bytes.iter().map(|bytes| as_latin(bytes)).collect();
    for label in [&["-lco", "ENCODING=ISO-8859-1"][..], &[]] {
        let folder = Folder::new();
        let out = folder.0.path().join("a.shp");
        if !make("ESRI Shapefile", &source(&folder, &shown), &out, label) {
            return;
        }
        let table = std::fs::read(out.with_extension("dbf")).unwrap();
        assert!(memchr::memmem::find(&table, &bytes[0]).is_some(), "GDAL wrote the bytes");
        for path in [out.clone(), zipped(&folder, &out)] {
            let (summary, ours) = read(&path).unwrap();
            assert_eq!(rejected(&summary), []);
            assert_eq!(summary.report.warnings, ["encoding_guessed: the table's text was read as TCVN3"]);
            for ((_, our), name) in ours.iter().zip(NAMES) {
                assert_eq!(our.text("name"), Some(name));
            }
        }
        // GDAL knows no TCVN3: it shows the letters of another continent, but the same bytes.
        for (theirs, shown) in by_gdal_with(&out, &[]).iter().zip(&shown) {
            assert_eq!(theirs.text("name"), Some(shown.as_str()));
        }
    }
}

#[test]
fn western_letters_stay_what_they_are() {
    let names = ["Résidence Hoà Thành", "Gò Dầu", "Xã Thạnh Đức"].map(str::to_owned);
    let folder = Folder::new();
    let out = folder.0.path().join("a.shp");
    if !make("ESRI Shapefile", &source(&folder, &names), &out, &["-lco", "ENCODING=ISO-8859-1"]) {
        return;
    }
    let (summary, ours) = read(&out).unwrap();
    assert_eq!(rejected(&summary), []);
    assert_same(&ours, &by_gdal_with(&out, &[]), 1e-12);
    assert_eq!(ours[0].1.text("name"), Some("Résidence Hoà Thành"), "not the text of another encoding");
}

/// The seven parameters of Decision 05/2007/QĐ-BTNMT with the rotations' signs as PROJ wants them; this GDAL knows none of
/// its own.
const SHIFT: &str = "+towgs84=-191.90441429,-39.30318279,-111.45032835,0.00928836,-0.01975479,0.00427372,0.252906278";

#[test]
fn every_grid_of_vn2000_is_known_by_its_prj_and_ends_where_gdal_puts_it() {
    let names = NAMES.map(str::to_owned);
    for code in [4756, 3405, 3406].into_iter().chain(5896..=5899).chain(9205..=9218) {
        let folder = Folder::new();
        let source = source(&folder, &names);
        let truth = common::features_of(&source);
        let epsg = format!("EPSG:{code}");
        let said = Command::new("gdalsrsinfo").args(["-o", "proj4", &epsg]).output();
        let Ok(said) = said else {
            println!("SKIPPED: gdalsrsinfo (gdal-bin) is not installed");
            return;
        };
        let grid = String::from_utf8(said.stdout).unwrap();
        let grid = grid.split_whitespace().filter(|part| !part.starts_with("+towgs84")).collect::<Vec<_>>().join(" ");
        let shifted = format!("{grid} {SHIFT}");
        let out = folder.0.path().join("a.shp");
        assert!(make("ESRI Shapefile", &source, &out, &["-t_srs", &shifted, "-lco", "ENCODING=UTF-8"]));
        // What GDAL itself would put there, in the two ways of writing it.
        for form in ["wkt_esri", "wkt1"] {
            let prj = Command::new("gdalsrsinfo").args(["-o", form, "--single-line", &epsg]).output().unwrap();
            std::fs::write(out.with_extension("prj"), prj.stdout).unwrap();
            for path in [out.clone(), zipped(&folder, &out)] {
                let (summary, ours) = read(&path).unwrap_or_else(|error| panic!("{code} {form}: {error}"));
                assert_eq!((summary.crs, rejected(&summary)), (code, vec![]), "{code} {form}");
                // A hundred-millionth of a degree is a millimetre.
                assert_same(&ours, &truth, 1e-8);
            }
        }
        assert_same(&read(&out).unwrap().1, &by_gdal_with(&out, &["-s_srs", &shifted]), 1e-8);
    }
}
