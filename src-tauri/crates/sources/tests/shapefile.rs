//! Shapefiles from elsewhere: as GDAL reads them, in the encodings of earlier days, and built to do harm.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Folder, PROVINCE, assert_same, by_gdal, ogr2ogr, read, read_with, rejected, survives_damage, zip};
use geo_types::Geometry;
use model::Value;
use sources::{Format, ReadOptions, TextEncoding};
use std::path::PathBuf;

/// A `.shp` of these records' contents.
fn shp(kind: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let body: usize = records.iter().map(|record| record.len() + 8).sum();
    let mut out = [&[0, 0, 0x27, 0x0a][..], &[0; 20]].concat();
    out.extend(u32::try_from((100 + body) / 2).unwrap().to_be_bytes());
    out.extend(1000u32.to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.resize(100, 0);
    for (at, record) in records.iter().enumerate() {
        out.extend(u32::try_from(at + 1).unwrap().to_be_bytes());
        out.extend(u32::try_from(record.len() / 2).unwrap().to_be_bytes());
        out.extend(record);
    }
    out
}

fn at(x: f64, y: f64) -> Vec<u8> {
    [&1u32.to_le_bytes()[..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
}

fn parts(kind: u32, counts: [u32; 2], starts: &[u32], points: &[(f64, f64)]) -> Vec<u8> {
    let mut out = [&kind.to_le_bytes()[..], &[0; 32]].concat();
    counts.iter().chain(starts).for_each(|n| out.extend(n.to_le_bytes()));
    points.iter().for_each(|(x, y)| out.extend([x.to_le_bytes(), y.to_le_bytes()].concat()));
    out
}

/// A `.dbf` with one column of text, `ten`.
fn dbf(language: u8, rows: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![3, 126, 11, 28];
    out.extend(u32::try_from(rows.len()).unwrap().to_le_bytes());
    out.extend([65, 0, 41, 0]);
    out.resize(29, 0);
    out.extend([language, 0, 0]);
    out.extend(b"ten\0\0\0\0\0\0\0\0C\0\0\0\0\x28");
    out.resize(64, 0);
    out.push(0x0d);
    for row in rows {
        out.push(b' ');
        out.extend(*row);
        out.resize(out.len() + 40 - row.len(), b' ');
    }
    out.push(0x1a);
    out
}

fn three(folder: &Folder, table: &[u8]) -> PathBuf {
    folder.put("a.dbf", table);
    folder.put("a.shp", shp(1, &[at(106.1, 11.1), at(106.2, 11.2)]))
}

const SHAPES: &str = r#"{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"ten":"Xã Thạnh Đức","so":7,"ha":1.25,"ngay":"2026-11-28"},"geometry":{"type":"KIND","coordinates":FIRST}},
{"type":"Feature","properties":{"ten":null,"so":null,"ha":-2.5,"ngay":null},"geometry":{"type":"KIND","coordinates":SECOND}}]}"#;

#[test]
fn what_gdal_writes_is_read_as_gdal_reads_it() {
    let folder = Folder::new();
    let square = "[[[106,11],[106.1,11],[106.1,11.1],[106,11.1],[106,11]],[[106.02,11.02],[106.02,11.04],[106.04,11.04],[106.02,11.02]]]";
    let two = "[[[[106,11],[106.1,11],[106.1,11.1],[106,11.1],[106,11]],[[106.02,11.02],[106.02,11.08],[106.08,11.08],[106.08,11.02],[106.02,11.02]]],[[[106.04,11.04],[106.06,11.04],[106.06,11.06],[106.04,11.06],[106.04,11.04]]]]";
    for (kind, first, second) in [
        ("Point", "[106.123456789,11.1]", "[106.2,11.2]"),
        ("LineString", "[[106,11],[106.1,11.1],[106.2,11]]", "[[106,11],[106.1,11.2]]"),
        ("MultiLineString", "[[[106,11],[106.1,11.1]],[[106.2,11],[106.3,11]]]", "[[[106,11],[106.1,11.2]]]"),
        ("MultiPoint", "[[106,11],[106.1,11.1]]", "[[106,11]]"),
        ("Polygon", square, "[[[106.2,11],[106.3,11],[106.3,11.1],[106.2,11]]]"),
        ("MultiPolygon", two, "[[[[106.2,11],[106.3,11],[106.3,11.1],[106.2,11]]]]"),
    ] {
        let text = SHAPES.replace("KIND", kind).replace("FIRST", first).replace("SECOND", second);
        let source = folder.put("in.geojson", text);
        for (name, more) in [
            ("wgs84", &[][..]),
            ("z", &["-dim", "XYZ"]),
            ("m", &["-dim", "XYM"]),
            ("grid", &["-t_srs", "EPSG:9209"]),
            ("long_an", &["-t_srs", "EPSG:9210"]),
            ("utm", &["-t_srs", "EPSG:32648"]),
            ("vn2000_utm", &["-t_srs", "EPSG:3405"]),
            ("old", &["-lco", "ENCODING=windows-1258", "-skipfailures"]),
        ] {
            if name == "old" && kind != "Point" {
                continue;
            }
            let out = folder.0.path().join(format!("{kind}-{name}.shp"));
            let mut args = vec!["-f", "ESRI Shapefile", out.to_str().unwrap(), source.to_str().unwrap()];
            args.extend(more);
            if name != "old" {
                args.extend(["-lco", "ENCODING=UTF-8"]);
            }
            if !ogr2ogr(&args) {
                return;
            }
            let (summary, ours) = read(&out).unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
            assert_eq!((summary.format, rejected(&summary)), (Format::Shapefile, vec![]), "{kind} {name}");
            if name != "old" {
                assert_eq!(summary.report.warnings, Vec::<String>::new(), "{kind} {name}");
            }
            let expected = match name {
                "grid" => 9209,
                "long_an" => 9210,
                "utm" => 32_648,
                "vn2000_utm" => 3405,
                _ => 4326,
            };
            assert_eq!(summary.crs, expected, "{kind} {name}");
            // PROJ of this GDAL knows no shift between VN-2000 and WGS84: what it made comes back some 200 m off.
            let within = if matches!(expected, 4326 | 32_648) { 1e-8 } else { 3e-3 };
            let theirs = by_gdal(&out, "");
            if name != "old" {
                assert_same(&ours, &theirs, within);
            }
        }
    }
}

#[test]
fn a_zip_holds_one_or_the_one_asked_for() {
    let folder = Folder::new();
    let (shape, table) =
        (shp(1, &[at(568_469.126, 1_250_153.911), at(568_470.0, 1_250_160.0)]), dbf(0, &["Trạm A".as_bytes(), b"B"]));
    let prj = br#"PROJCS["x",GEOGCS["x",DATUM["D_WGS_1984",SPHEROID["x",6378137,298.257223563]],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",500000],PARAMETER["Central_Meridian",105.5],PARAMETER["Scale_Factor",0.9999],UNIT["Meter",1]]"#;
    let one = [
        ("lớp/Xa.SHP", &shape[..]),
        ("lớp/Xa.dbf", &table),
        ("lớp/Xa.prj", prj),
        ("__MACOSX/lớp/._Xa.shp", b"x"),
        ("doc.txt", b"x"),
    ];
    let (summary, features) = read(&folder.put("a.zip", zip(&one))).unwrap();
    assert_eq!((summary.format, summary.crs, features.len()), (Format::Shapefile, 9209, 2));
    assert_eq!(features[0].1.text("ten"), Some("Trạm A"));
    let plain = shp(1, &[at(106.1, 11.1)]);
    let several = folder.put("b.zip", zip(&[("b/xa.shp", &plain), ("b/huyen.shp", &plain)]));
    let error = read(&several).unwrap_err();
    assert_eq!(error.code(), "several_tables");
    assert!(error.to_string().contains("b/xa, b/huyen") && error.to_string().contains("--table"), "{error}");
    for table in ["xa", "b/xa", "XA.shp"] {
        let options = ReadOptions { table: Some(table.into()), ..ReadOptions::new(PROVINCE) };
        let (summary, features) = read_with(&several, &options).unwrap();
        assert_eq!((features.len(), summary.report.warnings.len()), (1, 1), "{table}: no attributes, and a word on it");
    }
}

#[test]
fn old_encodings_are_known_by_the_letters() {
    // Đức Hòa, Bến Lức in each.
    let cases: [(&str, &[u8], &[u8]); 4] = [
        ("UTF-8", "Đức Hòa".as_bytes(), "Bến Lức".as_bytes()),
        ("windows-1258", b"\xd0\xfd\xecc Ho\xcca", b"B\xea\xecn L\xfd\xecc"),
        ("TCVN3", b"\xa7\xf8c H\xdfa", b"B\xd5n L\xf8c"),
        ("VNI", b"\xd1\xf6\xf9c Ho\xf8a", b"Be\xe1n L\xf6\xf9c"),
    ];
    for (name, first, second) in cases {
        for language in [0, 3, 0x57] {
            let folder = Folder::new();
            let path = three(&folder, &dbf(language, &[first, second]));
            let (summary, features) = read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            let names: Vec<&str> = features.iter().filter_map(|(_, feature)| feature.text("ten")).collect();
            assert_eq!(names, ["Đức Hòa", "Bến Lức"], "{name}");
            assert_eq!(summary.report.warnings.iter().any(|warning| warning.contains(name)), name != "UTF-8", "{name}");
            // Said outright, and said wrongly.
            let options = |name| ReadOptions { encoding: TextEncoding::by_name(name), ..ReadOptions::new(PROVINCE) };
            let (summary, _) = read_with(&path, &options(name)).unwrap();
            assert_eq!(summary.report.warnings, Vec::<String>::new());
            if name != "UTF-8" {
                let (summary, features) = read_with(&path, &options("UTF-8")).unwrap();
                assert_eq!((rejected(&summary), features.len()), (vec![(1, "encoding"), (2, "encoding")], 0));
            }
            folder.put("a.cpg", "1258");
            assert_eq!(
                read(&path).unwrap().1[0].1.text("ten") == Some("Đức Hòa"),
                name == "windows-1258",
                "{name}: the .cpg decides"
            );
        }
    }
    let folder = Folder::new();
    let path = three(&folder, &dbf(3, &[b"K\xf6ln", b"M\xfcnchen"]));
    assert_eq!(read(&path).unwrap().1[0].1.text("ten"), Some("Köln"), "western by its language driver");
    three(&folder, &dbf(0, &[b"K\xf6ln", b"M\xfcnchen"]));
    let error = read(&path).unwrap_err();
    assert_eq!(error.code(), "encoding");
    assert!(error.to_string().contains("--encoding"), "{error}");
}

#[test]
fn systems_that_nobody_knows_are_an_error_that_offers_the_option() {
    let folder = Folder::new();
    let path = folder.put("a.shp", shp(1, &[at(568_469.126, 1_250_153.911)]));
    folder.put("a.prj", r#"PROJCS["HN_1972",GEOGCS["x",DATUM["D_Hanoi_1972",SPHEROID["x",6378245,298.3]]],PROJECTION["Gauss_Kruger"],PARAMETER["Central_Meridian",105]]"#);
    let error = read(&path).unwrap_err();
    assert_eq!(error.code(), "crs_unknown");
    assert!(error.to_string().contains("HN_1972") && error.to_string().contains("--crs EPSG:9209"), "{error}");
    let (summary, _) = read_with(&path, &ReadOptions { crs: Some(9209), ..ReadOptions::new(PROVINCE) }).unwrap();
    assert_eq!(summary.crs, 9209);
    folder.put("a.prj", "no wkt at all");
    assert_eq!(read(&path).unwrap_err().code(), "crs_unknown");
    std::fs::remove_file(folder.0.path().join("a.prj")).unwrap();
    assert_eq!(read(&path).unwrap_err().code(), "crs_unknown", "metres without a word");
}

#[test]
fn bad_rows_cost_their_row() {
    let folder = Folder::new();
    let ring = [(106.0, 11.0), (106.0, 11.1), (106.1, 11.1), (106.0, 11.0)];
    let records = [
        0u32.to_le_bytes().to_vec(),
        parts(5, [1, 4], &[0], &ring),
        parts(5, [1, u32::MAX], &[0], &ring),
        parts(5, [u32::MAX, 4], &[0], &ring),
        parts(5, [2, 4], &[0, 9], &ring),
        parts(5, [2, 4], &[3, 0], &ring),
        parts(5, [1, 2], &[0], &ring[..2]),
        vec![5, 0],
        parts(31, [1, 4], &[0], &ring),
        at(f64::NAN, f64::NAN),
        at(1060.0, 11.0),
        at(106.0, f64::INFINITY),
    ];
    let (summary, features) = read(&folder.put("a.shp", shp(5, &records))).unwrap();
    assert_eq!(features.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2]);
    assert!(matches!(&features[0].1.geometry, Geometry::Polygon(_)));
    let codes = rejected(&summary);
    assert_eq!(
        codes,
        [
            (1, "geometry_missing"),
            (3, "geometry_invalid"),
            (4, "geometry_invalid"),
            (5, "geometry_invalid"),
            (6, "geometry_invalid"),
            (7, "geometry_invalid"),
            (8, "geometry_invalid"),
            (9, "geometry_invalid"),
            (10, "geometry_missing"),
            (11, "coordinate_range"),
            (12, "not_finite"),
        ],
        "{:?}",
        summary.report.rejected
    );
}

#[test]
fn deleted_rows_and_gaps_of_editing_are_left_out() {
    let folder = Folder::new();
    let mut table = dbf(0, &[b"one", b"two"]);
    table[65] = b'*';
    let path = three(&folder, &table);
    let (summary, features) = read(&path).unwrap();
    assert_eq!((features.len(), features[0].1.properties["ten"].clone()), (1, Value::Text("two".into())));
    assert!(summary.report.warnings[0].starts_with("deleted_rows"));
    // The index skips what lies between the first record and the next.
    let gap = shp(1, &[at(106.1, 11.1), at(1.0, 1.0), at(106.2, 11.2)]);
    let mut index = gap[..100].to_vec();
    for offset in [100u32, 100 + 2 * 28] {
        index.extend((offset / 2).to_be_bytes());
        index.extend(10u32.to_be_bytes());
    }
    folder.put("a.shx", &index);
    std::fs::write(&path, &gap).unwrap();
    folder.put("a.dbf", dbf(0, &[b"one", b"two"]));
    let (_, features) = read(&path).unwrap();
    assert!(matches!(features[1].1.geometry, Geometry::Point(p) if p.x() == 106.2));
    // An index of another file is not believed.
    std::fs::write(&path, shp(1, &[at(106.1, 11.1)])).unwrap();
    folder.put("a.shx", [&index[..100], &[0xff; 8]].concat());
    assert_eq!(read(&path).unwrap().1.len(), 1);
}

#[test]
fn files_built_to_do_harm_are_errors() {
    let folder = Folder::new();
    let code = |path: PathBuf| read(&path).unwrap_err().code().to_owned();
    let good = shp(1, &[at(106.1, 11.1), at(106.2, 11.2)]);
    for cut in [3, 50, 99, 104, 110, 130] {
        let error = read(&folder.put("cut.shp", &good[..cut])).unwrap_err();
        assert!(matches!(error.code(), "truncated" | "wrong_format"), "{cut}: {error}");
    }
    let mut huge = good.clone();
    huge[104..108].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(code(folder.put("huge.shp", &huge)), "line_too_long");
    for table in [
        &b""[..],
        b"\x03",
        &[3; 32],
        &[0xff; 200],
        b"\x03\0\0\0\xff\xff\xff\xff\x21\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r",
    ] {
        let path = folder.put("t.shp", &good);
        folder.put("t.dbf", table);
        assert_eq!(code(path), "corrupt", "{table:?}");
    }
    let mut short = dbf(0, &[b"one", b"two"]);
    short.truncate(80);
    assert_eq!(code(three(&folder, &short)), "truncated");
    assert_eq!(code(folder.put("a.shx", &good)), "wrong_format");

    let traversal = folder.put("out.zip", zip(&[("../../a.shp", &good)]));
    let error = read(&traversal).unwrap_err();
    assert!(error.code() == "corrupt" && error.to_string().contains("../../a.shp"), "{error}");
    let bomb = folder.put("bomb.zip", zip(&[("a.shp", &vec![0; 80 << 20])]));
    assert_eq!(code(bomb), "corrupt");
    let whole = zip(&[("a.shp", &good)]);
    assert_eq!(code(folder.put("half.zip", &whole[..whole.len() - 10])), "corrupt");
    assert_eq!(code(folder.put("more.zip", [&whole[..], b"x"].concat())), "corrupt");
    assert_eq!(code(folder.put("other.zip", zip(&[("a.txt", b"x")]))), "wrong_format");
    let mut many = whole.clone();
    let end = many.len() - 22;
    many[end + 10..end + 12].copy_from_slice(&60_000u16.to_le_bytes());
    assert_eq!(code(folder.put("many.zip", &many)), "corrupt");
    // It says that it is short, and goes on.
    let mut longer = whole;
    let directory = longer.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    longer[directory + 24..directory + 28].copy_from_slice(&40u32.to_le_bytes());
    assert!(read(&folder.put("longer.zip", &longer)).is_err());
    assert!(common::peak_mb() < 512, "{} MB", common::peak_mb());
}

#[test]
fn damage_never_panics() {
    let ring = [
        (106.0, 11.0),
        (106.0, 11.1),
        (106.1, 11.1),
        (106.0, 11.0),
        (106.05, 11.09),
        (106.04, 11.09),
        (106.05, 11.08),
        (106.05, 11.09),
    ];
    let shape = shp(5, &[parts(5, [1, 4], &[0], &ring[..4]), parts(15, [2, 8], &[0, 4], &ring)]);
    let table = dbf(0, &[b"B\xd5n L\xf8c", b"B\xd5n L\xf8c"]);
    survives_damage("a.shp", &shape, &[("a.dbf", &table)]);
    survives_damage("a.dbf", &table, &[]);
    survives_damage(
        "a.zip",
        &zip(&[
            ("a.shp", &shape),
            ("a.dbf", &table),
            ("a.prj", b"GEOGCS[\"x\",DATUM[\"D_WGS_1984\",SPHEROID[\"x\",6378137,298.257223563]]]"),
        ]),
        &[],
    );
    let folder = Folder::new();
    let path = folder.put("b.shp", &shape);
    let mut state = 3;
    for _ in 0..400 {
        let mut bytes = table.clone();
        let at = common::random(&mut state, bytes.len());
        bytes[at] = u8::try_from(common::random(&mut state, 256)).unwrap();
        folder.put("b.dbf", &bytes);
        let _ = read(&path);
    }
}

#[test]
fn a_read_that_is_told_to_stop_stops() {
    let folder = Folder::new();
    let shape = shp(1, &vec![at(106.1, 11.1); 20_000]);
    for path in [folder.put("a.shp", &shape), folder.put("a.zip", zip(&[("a.shp", &shape)]))] {
        let mut calls = 0;
        let error = sources::read_file(&path, &ReadOptions::new(PROVINCE), &mut |_, _| Ok(()), &mut |done, total| {
            calls += 1;
            assert!(done <= total && total >= shape.len() as u64);
            if calls > 1 { sources::Continue::No } else { sources::Continue::Yes }
        })
        .unwrap_err();
        assert_eq!((error.code(), calls), ("cancelled", 2));
    }
}
