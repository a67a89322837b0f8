//! Tables as text, and files that are not what they are called.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Folder, PROVINCE, collection, point, read, read_bytes, read_with, rejected};
use geo_types::Geometry;
use model::{FieldType, GeometryKind, Value};
use sources::{Format, ReadOptions, WriteOptions, write_file};

#[test]
fn table_with_lon_lat_is_read_in_every_encoding_and_dialect() {
    let comma = "mã,tên,lon,lat,ha\n01,\"Trạm, A\",106.1,11.1,1.5\n02,Trạm Đức Hòa,106.2,11.2,2\n";
    let semicolon = "mã;tên;Kinh độ;Vĩ độ;ha\n01;\"Trạm, A\";106,1;11,1;1,5\n02;Trạm Đức Hòa;106,2;11,2;2\n";
    let wide = |text: &str| -> Vec<u8> {
        [b"\xff\xfe".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
    };
    let big = |text: &str| -> Vec<u8> {
        [b"\xfe\xff".to_vec(), text.encode_utf16().flat_map(u16::to_be_bytes).collect()].concat()
    };
    for (what, bytes) in [
        ("UTF-8", comma.as_bytes().to_vec()),
        ("with a mark", format!("\u{feff}{comma}").into_bytes()),
        ("semicolons and decimal commas", semicolon.as_bytes().to_vec()),
        ("Excel's sep line", format!("sep=;\n{semicolon}").into_bytes()),
        ("tabs", comma.replace("\"Trạm, A\"", "Trạm; A").replace(',', "\t").replace(';', ",").into_bytes()),
        ("Windows line ends", comma.replace('\n', "\r\n").into_bytes()),
        ("UTF-16", wide(comma)),
        ("UTF-16 big", big(semicolon)),
    ] {
        let (summary, features) = read_bytes("a.dat", bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((summary.format, rejected(&summary)), (Format::Csv, vec![]), "{what}");
        let (row, first) = &features[0];
        assert_eq!(first.text("tên"), Some("Trạm, A"), "{what}");
        assert_eq!(
            (first.properties["mã"].clone(), first.properties["ha"].clone()),
            (Value::Text("01".into()), Value::Real(1.5))
        );
        assert!(matches!(first.geometry, Geometry::Point(p) if p.x() == 106.1 && p.y() == 11.1), "{what}");
        assert_eq!(*row, if what.contains("sep") { 3 } else { 2 }, "{what}: the line, counting the header");
        assert_eq!(features[1].1.text("tên"), Some("Trạm Đức Hòa"), "{what}");
    }
}

#[test]
fn windows_1258_is_guessed_with_a_warning_and_latin_1_is_not() {
    let bytes = b"id,t\xean,lon,lat\na,Tra\xf2m Ta\xecn Ninh \xd0\xfd\xec\x63 Ho\xcca,106.1,11.1\n";
    let (summary, features) = read_bytes("a.csv", bytes).unwrap();
    assert_eq!(features[0].1.text("tên"), Some("Trạm Tán Ninh Đức Hòa"));
    assert!(summary.report.warnings[0].contains("windows-1258"), "{:?}", summary.report.warnings);
    let error = read_bytes("a.csv", b"id,name,lon,lat\na,K\xf6ln \xfc\xdf,106.1,11.1\n").unwrap_err();
    assert_eq!(error.code(), "encoding");
    assert!(error.to_string().contains("byte 19"), "{error}");
}

#[test]
fn bad_cells_cost_their_row() {
    let text = "id,lon,lat,name\na,106.1,11.1,x\nb,NaN,11.1,x\nc,,11.1,x\nd,abc,11.1,x\ne,1060,11.1,x\nf,106.1\ng,106.1,11.1,x,y\na,106.1,11.1,x\n,,,\nh,inf,11.1,x\n\ni,106.1,11.1,\"x\ny\"\nj,106.1,11.1,x\n";
    let (summary, features) = read_bytes("a.csv", text).unwrap();
    let ids: Vec<(u64, &str)> = features.iter().map(|(row, feature)| (*row, feature.id.as_str())).collect();
    // A column called `id` means to be the key: the second `a` is a fault of its row.
    assert_eq!(ids, [(2, "a"), (13, "i"), (15, "j")]);
    assert_eq!(
        rejected(&summary),
        [
            (3, "not_finite"),
            (4, "geometry_missing"),
            (5, "field_type"),
            (6, "coordinate_range"),
            (7, "column_count"),
            (8, "column_count"),
            (9, "duplicate_id"),
            (11, "not_finite")
        ]
    );
    let folder = Folder::new();
    let options = ReadOptions { id_field: Some("id".into()), ..ReadOptions::new(PROVINCE) };
    let (summary, features) = read_with(&folder.put("a.csv", text), &options).unwrap();
    assert_eq!(
        features.iter().map(|(row, f)| (*row, f.id.clone())).collect::<Vec<_>>(),
        [(2, "a".into()), (13, "i".into()), (15, "j".into())]
    );
    assert!(rejected(&summary).contains(&(9, "duplicate_id")));
}

#[test]
fn wkt_columns_and_mapped_columns_are_read() {
    let (summary, features) =
        read_bytes("a.csv", "id;WKT\na;POLYGON ((106 11, 106.1 11, 106.1 11.1, 106 11))\nb;POINT (x)\nc;POINT EMPTY\n")
            .unwrap();
    assert_eq!((summary.geometry, features.len()), (GeometryKind::Polygon, 1));
    assert_eq!(rejected(&summary), [(3, "geometry_invalid"), (4, "geometry_missing")]);
    let (summary, _) = read_bytes("a.csv", "id;geom\na;SRID=9209;POINT(1 2)\n").unwrap();
    assert_eq!(rejected(&summary), [(2, "column_count")], "an unquoted semicolon is a delimiter");
    let (summary, _) = read_bytes("a.csv", "id,geom\na,SRID=9209;POINT(568469.126 1250153.911)\n").unwrap();
    assert_eq!(summary.crs, 9209);

    let folder = Folder::new();
    let path = folder.put("a.csv", "k,a,b\n1,106.1,11.1\n");
    assert_eq!(read(&path).unwrap_err().code(), "no_geometry");
    let map = |pairs: &[(&str, &str)]| {
        let map = pairs.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())).collect();
        read_with(&path, &ReadOptions { map, ..ReadOptions::new(PROVINCE) })
    };
    let (_, features) = map(&[("lon", "a"), ("lat", "b"), ("key", "k")]).unwrap();
    assert_eq!(features[0].1.properties["key"], Value::Integer(1));
    let error = map(&[("lon", "nope")]).unwrap_err();
    assert_eq!((error.code(), error.field()), ("no_column", Some("lon")));
}

#[test]
fn grid_figures_of_paper_tables_need_their_system() {
    let text = "id;X;Y\na;1.250.153,911;568.469,126\n";
    let error = read_bytes("a.csv", text).unwrap_err();
    assert_eq!(error.code(), "crs_unknown");
    let folder = Folder::new();
    let options = ReadOptions { crs: Some(9209), ..ReadOptions::new(PROVINCE) };
    let (summary, features) = read_with(&folder.put("a.csv", text), &options).unwrap();
    assert_eq!(summary.report.repaired, 1, "X is north on paper");
    assert!(matches!(features[0].1.geometry, Geometry::Point(p) if (p.x() - 106.129).abs() < 1e-7));
}

#[test]
fn open_quotation_mark_does_not_fill_the_memory() {
    let folder = Folder::new();
    let path = folder.put("a.csv", format!("id,lon,lat,name\na,106,11,\"{}", "x\n".repeat(2 << 20)));
    let options = ReadOptions { max_line_bytes: 1 << 20, ..ReadOptions::new(PROVINCE) };
    let error = read_with(&path, &options).unwrap_err();
    assert_eq!((error.code(), error.row()), ("line_too_long", Some(2)));
}

#[test]
fn files_that_are_something_else_say_what() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    for (name, bytes, code, word) in [
        ("a.geojson", &b""[..], "empty_file", "empty"),
        ("a.geojson", b" \n\t ", "empty_file", "empty"),
        ("a.geojson", png, "wrong_format", "PNG"),
        ("a.csv", b"PK\x03\x04....[Content_Types].xml", "corrupt", "complete copy"),
        ("a.geojson", b"<!DOCTYPE html><html>", "wrong_format", "web page"),
        ("a.geojson", b"[1,2]", "wrong_format", "list"),
        ("a.geojson", b"{\"type\":\"Topology\",\"objects\":{}}", "wrong_format", "TopoJSON"),
        ("a.gpkg", b"SQLite format 3\0 and nothing else", "wrong_format", "SQLite"),
        ("a.csv", b"hello\nworld\n", "wrong_format", "columns"),
        ("a.geojson", b"{\"type\":\"FeatureCollection\"}", "syntax", "features"),
        ("a.geojson", b"{\"type\":\"FeatureCollection\",\"features\":[]} trailing", "syntax", "line 1"),
        ("a.geojson", b"{\"type\":\"FeatureCollection\",\"features\":{}}", "syntax", "features"),
    ] {
        let error = read_bytes(name, bytes).unwrap_err();
        assert_eq!(error.code(), code, "{name} {}: {error}", String::from_utf8_lossy(bytes));
        assert!(error.to_string().contains(word), "{error}");
    }
    // A GeoJSON called .csv is read as what it is.
    assert_eq!(read_bytes("a.csv", collection(&[point("a", 106, 11)])).unwrap().0.format, Format::GeoJson);
    let folder = Folder::new();
    assert_eq!(read(folder.0.path()).unwrap_err().code(), "directory");
    assert_eq!(read(&folder.0.path().join("nope.csv")).unwrap_err().code(), "not_found");
    assert_eq!(read(std::path::Path::new("/dev/zero")).unwrap_err().code(), "wrong_format");
}

#[test]
fn nesting_without_end_is_an_error_and_not_an_abort() {
    for text in [
        format!("{{\"a\":{}", "{\"a\":".repeat(1_000_000)),
        format!("{{\"type\":\"FeatureCollection\",\"features\":{}", "[".repeat(1_000_000)),
        format!("{{\"type\":\"FeatureCollection\",\"features\":[{}", "{\"type\":\"Feature\",\"a\":".repeat(10_000)),
        format!("{{\"type\":\"FeatureCollection\",\"features\":[{}", "{\"geometry\":".repeat(1_000_000)),
        format!(
            "{{\"type\":\"Feature\",\"geometry\":{}{}}}",
            "{\"type\":\"GeometryCollection\",\"geometries\":[".repeat(1000),
            "]}".repeat(1000)
        ),
    ] {
        let result = read_bytes("a.geojson", &text);
        assert!(result.is_err() || result.unwrap().1.is_empty());
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    let rows = [
        point("a", 106.123_456_789_012, 11.1),
        point("b", 106.2, 11.2).replace("\"name\":\"Trạm b\"", "\"name\":\"=a \\\"quoted\\\", text;\\nline\",\"n\":1.0,\"i\":3,\"t\":true"),
        r#"{"type":"Feature","id":"p","properties":{"name":"lô"},"geometry":{"type":"MultiPolygon","coordinates":[[[[106,11],[106.1,11],[106.1,11.1],[106,11]],[[106.05,11.01],[106.06,11.01],[106.06,11.02],[106.05,11.01]]]]}}"#.into(),
    ];
    let (summary, features) = read_bytes("a.geojson", collection(&rows)).unwrap();
    let folder = Folder::new();
    for name in ["b.geojson", "b.geojsonl", "b.csv", "b.kml"] {
        let path = folder.0.path().join(name);
        let all = features.iter().map(|(_, feature)| feature.clone());
        let count = write_file(&path, &mut all.clone(), &summary.fields, &WriteOptions::default()).unwrap();
        assert_eq!(count, 3);
        let (again, back) = read(&path).unwrap();
        assert_eq!(rejected(&again), [], "{name}");
        for ((_, was), (_, is)) in features.iter().zip(&back) {
            assert_eq!((&was.id, &was.geometry), (&is.id, &is.geometry), "{name}");
            assert_eq!(was.text("name"), is.text("name"), "{name}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 4, "no temporary file is left");
}

#[test]
fn export_in_the_grid_comes_back_to_the_millimetre() {
    let (summary, features) = read_bytes("a.geojson", collection(&[point("a", 106.129, 11.304)])).unwrap();
    let folder = Folder::new();
    for name in ["a.geojson", "a.csv"] {
        let path = folder.0.path().join(name);
        let options = WriteOptions { crs: Some(9209), lon_lat: true, ..WriteOptions::default() };
        write_file(&path, &mut features.iter().map(|(_, f)| f.clone()), &summary.fields, &options).unwrap();
        let crs = name.ends_with("csv").then_some(9209);
        let (back, features) = read_with(&path, &ReadOptions { crs, ..ReadOptions::new(PROVINCE) }).unwrap();
        assert_eq!(back.crs, 9209, "{name}");
        assert!(
            matches!(features[0].1.geometry, Geometry::Point(p) if (p.x() - 106.129).abs() < 1e-8 && (p.y() - 11.304).abs() < 1e-8)
        );
    }
}

#[test]
fn failed_write_leaves_the_old_file() {
    let folder = Folder::new();
    let path = folder.put("a.csv", "old");
    let (summary, features) = read_bytes(
        "a.geojson",
        collection(&[
            point("a", 106, 11),
            point("b", 106, 11)
                .replace("Point\",\"coordinates\":[106,11]", "LineString\",\"coordinates\":[[106,11],[106.1,11]]"),
        ]),
    )
    .unwrap();
    let mut all = features.iter().map(|(_, f)| f.clone());
    let options = WriteOptions { lon_lat: true, ..WriteOptions::default() };
    let error = write_file(&path, &mut all, &summary.fields, &options).unwrap_err();
    assert_eq!(error.code(), "not_a_point");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 1);
    let none = || std::iter::empty();
    assert_eq!(
        write_file(&folder.0.path().join("a.xyz"), &mut none(), &[], &options).unwrap_err().code(),
        "unknown_ending"
    );
    assert_eq!(
        write_file(&folder.0.path().join("no/a.csv"), &mut none(), &[], &options).unwrap_err().code(),
        "no_folder"
    );
    assert_eq!(summary.fields[0].field_type, FieldType::Text);
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_bytes("a", &bytes);
        }

        #[test]
        fn mutated_geojson_never_panics(at in 0usize..600, byte in any::<u8>(), cut in 0usize..600) {
            let mut bytes = collection(&[point("a", 106, 11), point("b", 106, 11), point("c", 106, 11)]).into_bytes();
            let len = bytes.len();
            bytes[at % len] = byte;
            let _ = read_bytes("a.geojson", &bytes);
            bytes.remove(cut % len);
            let _ = read_bytes("a.geojson", &bytes);
        }

        #[test]
        fn mutated_table_never_panics(at in 0usize..80, byte in any::<u8>()) {
            let mut bytes = "mã,lon,lat\n\"a\",106.1,11.1\nb,106.1,11.1\nc,\"106,1\",11.1\n".as_bytes().to_vec();
            let len = bytes.len();
            bytes[at % len] = byte;
            let _ = read_bytes("a.csv", &bytes);
        }
    }
}

#[test]
fn a_record_that_the_file_breaks_off_has_a_row() {
    // Found by fuzzing: the quotation mark takes the end of the only line with it.
    assert!(read_bytes("a.csv", "id,\"lon").is_err());
    let _ = read_bytes("a.csv", "id;lon;lat\n\"");
    let (summary, _) = read_bytes("a.csv", "id,lon,lat\na,106.1,11.1\n\nb,\"106.1,11").unwrap();
    assert_eq!(rejected(&summary).len(), 1);
    assert!((3..=4).contains(&rejected(&summary)[0].0), "{:?}", summary.report);
}
