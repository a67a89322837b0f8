//! Other programs read what we write: GDAL's `ogrinfo`, and its validator where it is installed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{feature, field, layer, points, provenance, square, text};
use geo_types::{LineString, MultiPolygon, Point};
use model::{Feature, FieldType, GeometryKind, Value};
use std::path::Path;
use std::process::Command;
use store::{Cache, LayerSchema, StoreError, export_gpkg};

fn ogrinfo(file: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("ogrinfo").arg("-ro").args(arguments).arg(file).output();
    let Ok(output) = output else {
        common::skipped("ogrinfo is not on PATH (Debian: gdal-bin); that GDAL reads our files was not tested here");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// `GPKG_VALIDATOR_PYTHON` names a python that has gdal-utils 3.13 (`pip install --no-deps gdal-utils`).
fn validate(file: &Path) {
    let Ok(python) = std::env::var("GPKG_VALIDATOR_PYTHON") else {
        common::skipped("GPKG_VALIDATOR_PYTHON is not set; the GeoPackage validator did not run");
        return;
    };
    let output = Command::new(python).args(["-m", "osgeo_utils.samples.validate_gpkg"]).arg(file).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {words}", file.display());
}

fn mixed() -> Vec<Feature> {
    let parts = MultiPolygon(vec![square(106.0, 11.0).try_into().unwrap(), square(106.5, 11.0).try_into().unwrap()]);
    vec![
        feature(
            "25459",
            square(106.1, 11.3),
            &[
                ("name", text("Phường Tân Ninh")),
                ("area_ha", Value::Real(1234.5)),
                ("dân số", Value::Integer(120_000)),
                ("a\"b", Value::Bool(true)),
                ("issued", text("2026-11-23")),
            ],
        ),
        feature("25460", parts.into(), &[("name", text("Xã Hoà Hội")), ("dân số", Value::Real(1.5))]),
    ]
}

fn communes() -> LayerSchema {
    let mut schema = layer("communes", GeometryKind::Polygon);
    schema.fields.push(field("issued", FieldType::Date));
    schema
}

#[test]
fn gdal_reads_the_cache() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    let cache = Cache::open(&path).unwrap();
    cache
        .replace(&communes(), &mut mixed().into_iter().map(Ok), &provenance(), Some(&mut common::IdPacking::default()))
        .unwrap();
    cache.replace(&layer("stations", GeometryKind::Point), &mut points(100, 1), &provenance(), None).unwrap();
    cache.replace(&layer("stations", GeometryKind::Point), &mut points(120, 2), &provenance(), None).unwrap();
    cache.replace(&layer("empty", GeometryKind::Line), &mut std::iter::empty(), &provenance(), None).unwrap();
    cache.replace(&layer("gone", GeometryKind::Line), &mut points(1, 1), &provenance(), None).unwrap();
    cache.remove(&layer("gone", GeometryKind::Line).id).unwrap();
    let shapes = vec![
        Ok(feature("a", Point::new(106.0, 11.0).into(), &[])),
        Ok(feature("b", LineString::from(vec![(106.0, 11.0), (106.1, 11.1)]).into(), &[])),
    ];
    cache.replace(&layer("drawn", GeometryKind::Mixed), &mut shapes.into_iter(), &provenance(), None).unwrap();
    // While the cache is open, log and all.
    validate(&path);
    let Some(list) = ogrinfo(&path, &[]) else { return };
    for line in ["communes (Multi Polygon)", "stations (Point)", "empty (Line String)", "drawn"] {
        assert!(list.contains(line), "{line} is missing in\n{list}");
    }
    assert!(!list.contains("gone"), "{list}");
    let all = ogrinfo(&path, &["-al", "-so"]).unwrap();
    assert!(all.contains("Feature Count: 120"), "{all}");
    let rows = ogrinfo(&path, &["-al", "-where", "id = '25459'"]).unwrap();
    for line in ["name (String) = Phường Tân Ninh", "dân số (Real) = 120000", "issued (Date) = 2026/11/23"] {
        assert!(rows.contains(line), "{line} is missing in\n{rows}");
    }
}

#[test]
fn gdal_reads_the_exported_file_and_its_rtree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xã phường.gpkg");
    assert_eq!(export_gpkg(&path, &communes(), &mut mixed().into_iter().map(Ok), &provenance()).unwrap(), 2);
    let many = folder.path().join("stations.gpkg");
    let schema = LayerSchema { srs_id: 9209, ..layer("stations", GeometryKind::Point) };
    let grid = (0..5000_u32).map(|i| {
        let (east, north) = (500_000.0 + f64::from(i % 100) * 100.0, 1_200_000.0 + f64::from(i / 100) * 100.0);
        Ok(feature(&i.to_string(), Point::new(east, north).into(), &[("n", Value::Integer(i.into()))]))
    });
    assert_eq!(export_gpkg(&many, &schema, &mut { grid }, &provenance()).unwrap(), 5000);
    let nothing = folder.path().join("nothing.gpkg");
    assert_eq!(export_gpkg(&nothing, &communes(), &mut std::iter::empty(), &provenance()).unwrap(), 0);
    for file in [&path, &many, &nothing] {
        validate(file);
    }
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 3, "one file each, no log, no scratch: {files:?}");
    let Some(list) = ogrinfo(&path, &["-al"]) else { return };
    assert!(list.contains("Feature Count: 2") && list.contains("Xã Hoà Hội"), "{list}");
    let some = ogrinfo(&many, &["-al", "-so", "-spat", "499999", "1199999", "500101", "1200101"]).unwrap();
    assert!(some.contains("Feature Count: 4") && some.contains("VN-2000 / TM-3 105-30"), "{some}");
    let indexed = ogrinfo(&many, &["-sql", "SELECT HasSpatialIndex('stations', 'geom')"]).unwrap();
    assert!(indexed.contains("= 1"), "{indexed}");
}

#[test]
fn export_replaces_only_when_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.gpkg");
    let schema = layer("stations", GeometryKind::Point);
    export_gpkg(&path, &schema, &mut points(3, 1), &provenance()).unwrap();
    let before = std::fs::read(&path).unwrap();
    let broken = points(3, 1).chain([Err(StoreError::Aborted { reason: "cancelled".into() })]);
    assert_eq!(export_gpkg(&path, &schema, &mut { broken }, &provenance()).unwrap_err().code(), "aborted");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let elsewhere = LayerSchema { srs_id: 2154, ..schema.clone() };
    assert_eq!(export_gpkg(&path, &elsewhere, &mut points(1, 1), &provenance()).unwrap_err().code(), "crs_unknown");
    // Open in another program: its log would be replayed into the new file.
    std::fs::write(folder.path().join("out.gpkg-wal"), b"log").unwrap();
    let error = export_gpkg(&path, &schema, &mut points(1, 1), &provenance()).unwrap_err();
    assert_eq!(error.code(), "not_writable");
    assert!(error.to_string().contains("another program"), "{error}");
    let missing = folder.path().join("none").join("out.gpkg");
    assert!(export_gpkg(&missing, &schema, &mut points(1, 1), &provenance()).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn exports_in_every_system_name_it_as_gdal_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let codes = [4326, 4756, 3857, 32_648, 32_649, 3405, 3406].into_iter().chain(5896..=5899).chain(9205..=9218);
    for code in codes {
        let path = folder.path().join(format!("{code}.gpkg"));
        let schema = LayerSchema { srs_id: code, ..layer("stations", GeometryKind::Point) };
        assert_eq!(export_gpkg(&path, &schema, &mut points(3, 1), &provenance()).unwrap(), 3, "{code}");
        if matches!(code, 32_648 | 3405 | 9209 | 4326) {
            validate(&path);
        }
        let Some(words) = ogrinfo(&path, &["-al", "-so"]) else { return };
        assert!(words.contains(&format!("ID[\"EPSG\",{code}]]\nData axis")), "{code}: {words}");
        // The same numbers as those of the register that GDAL brings.
        let register = Command::new("gdalsrsinfo").args(["-o", "proj4", &format!("EPSG:{code}")]).output().unwrap();
        let ours = Command::new("gdalsrsinfo").args(["-o", "proj4"]).arg(&path).output().unwrap();
        let plain = |words: &[u8]| String::from_utf8_lossy(words).trim().replace(" +type=crs", "");
        assert_eq!(plain(&ours.stdout), plain(&register.stdout), "{code}");
    }
}
