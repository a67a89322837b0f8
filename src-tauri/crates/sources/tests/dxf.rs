//! DXF drawings: as GDAL writes and reads them, as AutoCAD in Vietnam does, and built to do harm.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Folder, PROVINCE, assert_same, ogr2ogr, read, read_bytes, read_with, rejected, survives_damage};
use geo_types::Geometry;
use sources::{Format, ReadOptions};

/// A drawing of these entities, each a list of codes and values.
fn drawing(page: &str, entities: &[&[(i32, &[u8])]]) -> Vec<u8> {
    let mut out = format!("  0\r\nSECTION\r\n  2\r\nHEADER\r\n  9\r\n$DWGCODEPAGE\r\n  3\r\n{page}\r\n  0\r\nENDSEC\r\n  0\r\nSECTION\r\n  2\r\nENTITIES\r\n").into_bytes();
    for (code, value) in entities.iter().copied().flatten() {
        out.extend(format!("{code:3}\r\n").into_bytes());
        out.extend(*value);
        out.extend(b"\r\n");
    }
    out.extend(b"  0\r\nENDSEC\r\n  0\r\nEOF\r\n");
    out
}

const POINT: &[(i32, &[u8])] =
    &[(0, b"POINT"), (5, b"1A"), (8, b"TRAM"), (10, b"568469.126"), (20, b"1250153.911"), (30, b"7")];
const LINE: &[(i32, &[u8])] =
    &[(0, b"LINE"), (8, b"DUONG"), (10, b"568400"), (20, b"1250100"), (11, b"568500"), (21, b"1250200")];
const LOT: &[(i32, &[u8])] = &[
    (0, b"LWPOLYLINE"),
    (5, b"2B"),
    (8, b"THUA"),
    (90, b"4"),
    (70, b"1"),
    (10, b"568400"),
    (20, b"1250100"),
    (10, b"568500"),
    (20, b"1250100"),
    (42, b"1"),
    (10, b"568500"),
    (20, b"1250200"),
    (10, b"568400"),
    (20, b"1250200"),
];
const OLD: &[(i32, &[u8])] = &[
    (0, b"POLYLINE"),
    (8, b"RANH"),
    (66, b"1"),
    (10, b"0"),
    (20, b"0"),
    (70, b"0"),
    (0, b"VERTEX"),
    (8, b"RANH"),
    (10, b"568400"),
    (20, b"1250100"),
    (0, b"VERTEX"),
    (8, b"RANH"),
    (10, b"568500"),
    (20, b"1250150"),
    (0, b"SEQEND"),
    (8, b"RANH"),
];

fn grid() -> ReadOptions<'static> {
    ReadOptions { crs: Some(9209), ..ReadOptions::new(PROVINCE) }
}

#[test]
fn entities_become_features_with_their_layer() {
    let folder = Folder::new();
    let text: &[(i32, &[u8])] =
        &[(0, b"MTEXT"), (8, b"CHU"), (10, b"568400"), (20, b"1250100"), (1, br"{\f.VnTime|b0;S\U+1ED1 12\P}x")];
    let circle: &[(i32, &[u8])] = &[(0, b"CIRCLE"), (8, b"GIENG"), (10, b"568400"), (20, b"1250100"), (40, b"5")];
    let arc: &[(i32, &[u8])] =
        &[(0, b"ARC"), (8, b"CUA"), (10, b"568400"), (20, b"1250100"), (40, b"5"), (50, b"270"), (51, b"90")];
    let insert: &[(i32, &[u8])] = &[(0, b"INSERT"), (2, b"CAY"), (10, b"568400"), (20, b"1250100")];
    let bytes = drawing("ANSI_1252", &[POINT, LINE, LOT, OLD, text, circle, arc, insert, insert]);
    let path = folder.put("a.dxf", &bytes);
    let error = read(&path).unwrap_err();
    assert_eq!(error.code(), "crs_unknown");
    assert!(error.to_string().contains("--crs EPSG:9209"), "{error}");
    let (summary, features) = read_with(&path, &grid()).unwrap();
    assert_eq!((summary.format, rejected(&summary)), (Format::Dxf, vec![]));
    assert_eq!(summary.report.warnings, ["entities_left_out: 2 INSERT"]);
    let layers: Vec<&str> = features.iter().filter_map(|(_, feature)| feature.text("layer")).collect();
    assert_eq!(layers, ["TRAM", "DUONG", "THUA", "RANH", "CHU", "GIENG", "CUA"]);
    let kinds: Vec<&str> = features
        .iter()
        .map(|(_, feature)| match &feature.geometry {
            Geometry::Point(_) => "point",
            Geometry::LineString(l) if l.0.len() == 2 => "line",
            Geometry::LineString(l) if l.0.len() > 30 => "arc",
            // Half a circle between its second and third corner.
            Geometry::Polygon(p) if p.exterior().0.len() > 35 => "polygon",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["point", "line", "polygon", "line", "point", "polygon", "arc"]);
    assert_eq!(features[4].1.text("text"), Some("Số 12\nx"));
    assert!(
        matches!(features[0].1.geometry, Geometry::Point(p) if (p.x() - 106.129).abs() < 1e-8 && (p.y() - 11.304).abs() < 1e-8)
    );
}

#[test]
fn what_gdal_writes_is_read_as_gdal_reads_it() {
    let folder = Folder::new();
    let input = folder.put(
        "in.geojson",
        common::collection(&[
            common::point("a", 106.1, 11.1),
            r#"{"type":"Feature","properties":{},"geometry":{"type":"LineString","coordinates":[[106,11],[106.1,11.1],[106.2,11]]}}"#.into(),
            r#"{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":[[[106.2,11],[106.3,11],[106.3,11.1],[106.2,11]]]}}"#.into(),
        ]),
    );
    let (out, back) = (folder.0.path().join("a.dxf"), folder.0.path().join("back.geojson"));
    let paths = [&input, &out, &back].map(|path| path.to_str().unwrap());
    if !ogr2ogr(&["-f", "DXF", paths[1], paths[0], "--config", "DXF_WRITE_HATCH", "NO"]) {
        return;
    }
    assert!(ogr2ogr(&[
        "-f",
        "GeoJSON",
        "-lco",
        "COORDINATE_PRECISION=15",
        "-dim",
        "XY",
        paths[2],
        paths[1],
        "--config",
        "DXF_CLOSED_LINE_AS_POLYGON",
        "YES"
    ]));
    let theirs: Vec<model::Feature> = read(&back).unwrap().1.into_iter().map(|(_, feature)| feature).collect();
    let (summary, ours) = read(&out).unwrap();
    assert_eq!((rejected(&summary), summary.report.warnings.len()), (vec![], 0));
    let bare = theirs.into_iter().map(|feature| model::Feature { properties: model::Properties::default(), ..feature });
    assert_same(&ours, &bare.collect::<Vec<_>>(), 1e-9);
}

#[test]
fn old_encodings_are_known_by_the_letters() {
    let folder = Folder::new();
    let text = |bytes: &'static [u8]| [(0, &b"TEXT"[..]), (8, b"CHU"), (10, b"568400"), (20, b"1250100"), (1, bytes)];
    for (page, bytes, word) in [
        ("ANSI_1252", &b"\xa7\xf8c H\xdfa"[..], "TCVN3"),
        ("ANSI_1252", b"\xd1\xf6\xf9c Ho\xf8a", "VNI"),
        ("ANSI_1258", b"\xd0\xfd\xecc Ho\xcca", "windows-1258"),
        ("ANSI_1252", "Đức Hòa".as_bytes(), "UTF-8"),
    ] {
        let path = folder.put("a.dxf", drawing(page, &[&text(bytes)]));
        let (summary, features) = read_with(&path, &grid()).unwrap();
        assert_eq!(features[0].1.text("text"), Some("Đức Hòa"), "{word}");
        assert_eq!(summary.report.warnings.iter().any(|warning| warning.contains(word)), word != "UTF-8");
    }
}

#[test]
fn bad_entities_cost_their_row_and_bad_drawings_are_errors() {
    let folder = Folder::new();
    let broken: &[(i32, &[u8])] = &[(0, b"POINT"), (10, b"x"), (20, b"1250100")];
    let nowhere: &[(i32, &[u8])] = &[(0, b"POINT"), (8, b"A")];
    let flat: &[(i32, &[u8])] = &[(0, b"CIRCLE"), (10, b"568400"), (20, b"1250100"), (40, b"-1")];
    let mesh: &[(i32, &[u8])] =
        &[(0, b"POLYLINE"), (70, b"64"), (0, b"VERTEX"), (10, b"568400"), (20, b"1250100"), (0, b"SEQEND")];
    let far: &[(i32, &[u8])] = &[(0, b"POINT"), (10, b"1e300"), (20, b"1250100")];
    let path = folder.put("a.dxf", drawing("ANSI_1252", &[POINT, broken, nowhere, flat, mesh, far, LINE]));
    let (summary, features) = read_with(&path, &grid()).unwrap();
    assert_eq!(features.len(), 2);
    let codes: Vec<(u64, &str)> = rejected(&summary);
    assert_eq!(
        codes,
        [
            (2, "geometry_invalid"),
            (3, "geometry_invalid"),
            (4, "geometry_invalid"),
            (5, "geometry_invalid"),
            (6, "coordinate_range")
        ]
    );
    let good = drawing("ANSI_1252", &[POINT, LINE, LOT, OLD]);
    let code = |bytes: &[u8]| read_with(&folder.put("b.dxf", bytes), &grid()).unwrap_err().code().to_owned();
    assert_eq!(code(&good[..good.len() - 40]), "truncated");
    assert_eq!(code(&[&good[..good.len() - 40], b"\r\nnonsense\r\n1\r\n"].concat()), "syntax");
    assert_eq!(code(&[&good[..good.len() - 40], &b"1".repeat(1 << 20)].concat()), "corrupt");
    assert_eq!(read_bytes("c.dxf", b"AutoCAD Binary DXF\r\n\x1a\0rest").unwrap_err().code(), "wrong_format");
    let mut endless = drawing("ANSI_1252", &[&LOT[..5]]);
    endless.truncate(endless.len() - b"  0\r\nENDSEC\r\n  0\r\nEOF\r\n".len());
    endless.extend(b" 10\r\n1\r\n".repeat(100_000));
    let options = ReadOptions { max_line_bytes: 1 << 20, ..grid() };
    assert_eq!(read_with(&folder.put("d.dxf", endless), &options).unwrap_err().code(), "line_too_long");
    survives_damage("a.dxf", &good, &[]);
}
