//! FlatGeobuf from elsewhere: as GDAL reads it, and built to do harm.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Folder, PROVINCE, assert_same, by_gdal, ogr2ogr, read, read_bytes, read_with, rejected, survives_damage};
use model::Value;
use sources::{Format, ReadOptions};

const SHAPES: [(&str, &str, &str); 7] = [
    ("Point", "[106.123456789,11.1]", "[106.2,11.2]"),
    ("LineString", "[[106,11],[106.1,11.1],[106.2,11]]", "[[106,11],[106.1,11.2]]"),
    ("MultiLineString", "[[[106,11],[106.1,11.1]],[[106.2,11],[106.3,11]]]", "[[[106,11],[106.1,11.2]]]"),
    ("MultiPoint", "[[106,11],[106.1,11.1]]", "[[106,11]]"),
    (
        "Polygon",
        "[[[106,11],[106.1,11],[106.1,11.1],[106,11.1],[106,11]],[[106.02,11.02],[106.02,11.04],[106.04,11.04],[106.02,11.02]]]",
        "[[[106.2,11],[106.3,11],[106.3,11.1],[106.2,11]]]",
    ),
    (
        "MultiPolygon",
        "[[[[106,11],[106.1,11],[106.1,11.1],[106,11.1],[106,11]],[[106.02,11.02],[106.02,11.08],[106.08,11.08],[106.02,11.02]]],[[[106.2,11.04],[106.26,11.04],[106.26,11.06],[106.2,11.04]]]]",
        "[[[[106.2,11],[106.3,11],[106.3,11.1],[106.2,11]]]]",
    ),
    (
        "GeometryCollection",
        "[{\"type\":\"Point\",\"coordinates\":[106,11]},{\"type\":\"LineString\",\"coordinates\":[[106,11],[106.1,11.2]]}]",
        "[{\"type\":\"Point\",\"coordinates\":[106.4,11]}]",
    ),
];

fn source(kind: &str, first: &str, second: &str) -> String {
    let member = if kind == "GeometryCollection" { "geometries" } else { "coordinates" };
    let feature = |properties: &str, shape: &str| {
        format!(r#"{{"type":"Feature","properties":{properties},"geometry":{{"type":"{kind}","{member}":{shape}}}}}"#)
    };
    common::collection(&[
        feature(
            r#"{"ten":"Xã Thạnh Đức","so":7,"lon":9007199254740993,"ha":1.25,"co":true,"ngay":"2026-11-28"}"#,
            first,
        ),
        feature(r#"{"ten":null,"so":null,"lon":1,"ha":-2.5,"co":false,"ngay":null}"#, second),
    ])
}

#[test]
fn what_gdal_writes_is_read_as_gdal_reads_it() {
    let folder = Folder::new();
    for (kind, first, second) in SHAPES {
        let input = folder.put("in.geojson", source(kind, first, second));
        for (name, more) in [
            ("index", &[][..]),
            ("plain", &["-lco", "SPATIAL_INDEX=NO"]),
            ("z", &["-dim", "XYZ"]),
            ("grid", &["-t_srs", "EPSG:9210"]),
            (
                "own",
                &[
                    "-t_srs",
                    "+proj=tmerc +lon_0=105.5 +k=0.9999 +x_0=500000 +ellps=WGS84 +towgs84=-191.90441429,-39.30318279,-111.45032835,0.00928836,-0.01975479,0.00427372,0.252906278",
                ],
            ),
        ] {
            let out = folder.0.path().join(format!("{kind}-{name}.fgb"));
            let mut args = vec!["-f", "FlatGeobuf", out.to_str().unwrap(), input.to_str().unwrap()];
            args.extend(more);
            if !ogr2ogr(&args) {
                return;
            }
            let (summary, ours) = read(&out).unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
            assert_eq!((summary.format, rejected(&summary)), (Format::FlatGeobuf, vec![]), "{kind} {name}");
            let expected = match name {
                "grid" => 9210,
                "own" => 9209,
                _ => 4326,
            };
            assert_eq!((summary.crs, summary.report.warnings), (expected, vec![]), "{kind} {name}");
            // GDAL may shift VN-2000 otherwise than the decision of 2007 does, by up to some 200 m.
            assert_same(&ours, &by_gdal(&out, ""), if expected == 4326 { 1e-9 } else { 3e-3 });
            let first = ours.iter().find(|(_, feature)| feature.text("ten").is_some()).unwrap();
            assert_eq!(first.1.properties["lon"], Value::Integer(9_007_199_254_740_993));
        }
    }
}

#[test]
fn columns_can_be_mapped() {
    let folder = Folder::new();
    let input = folder.put("in.geojson", source("Point", "[106.1,11.1]", "[106.2,11.2]"));
    let out = folder.0.path().join("a.fgb");
    if !ogr2ogr(&["-f", "FlatGeobuf", out.to_str().unwrap(), input.to_str().unwrap()]) {
        return;
    }
    let map = |column: &str| {
        let map = vec![("name".into(), column.into())];
        read_with(&out, &ReadOptions { map, ..ReadOptions::new(PROVINCE) })
    };
    let (_, features) = map("ten").unwrap();
    assert!(features.iter().any(|(_, feature)| feature.text("name") == Some("Xã Thạnh Đức")));
    assert_eq!(map("none").unwrap_err().code(), "no_column");
}

#[test]
fn files_built_to_do_harm_are_errors() {
    const MAGIC: &[u8] = b"fgb\x03fgb\0";
    let code = |bytes: &[u8]| read_bytes("a.fgb", [MAGIC, bytes].concat()).unwrap_err().code().to_owned();
    assert_eq!(code(b""), "truncated");
    assert_eq!(code(&[0xff; 4]), "corrupt");
    assert_eq!(code(&[[64, 0, 0, 0].as_slice(), &[0; 10]].concat()), "truncated");
    for fill in [0x00, 0x01, 0x04, 0x7f, 0xff] {
        assert_eq!(code(&[[64, 0, 0, 0].as_slice(), &[fill; 64]].concat()), "corrupt", "{fill}");
    }
    let folder = Folder::new();
    let input = folder.put("in.geojson", source(SHAPES[5].0, SHAPES[5].1, SHAPES[5].2));
    let out = folder.0.path().join("a.fgb");
    if !ogr2ogr(&["-f", "FlatGeobuf", out.to_str().unwrap(), input.to_str().unwrap()]) {
        return;
    }
    let good = std::fs::read(&out).unwrap();
    for cut in [9, 30, good.len() / 2, good.len() - 1] {
        let error = read(&folder.put("cut.fgb", &good[..cut])).unwrap_err();
        assert_eq!(error.code(), "truncated", "{cut} of {}: {error}", good.len());
    }
    survives_damage("a.fgb", &good, &[]);
    let plain = folder.0.path().join("p.fgb");
    assert!(ogr2ogr(&[
        "-f",
        "FlatGeobuf",
        "-lco",
        "SPATIAL_INDEX=NO",
        plain.to_str().unwrap(),
        input.to_str().unwrap()
    ]));
    survives_damage("p.fgb", &std::fs::read(&plain).unwrap(), &[]);
    assert!(common::peak_mb() < 512, "{} MB", common::peak_mb());
}
