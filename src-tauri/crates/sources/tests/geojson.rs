//! GeoJSON files, good and bad.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Folder, PROVINCE, collection, peak_mb, point, read, read_bytes, read_with, rejected};
use geo_types::Geometry;
use model::{FieldType, GeometryKind, Value};
use sources::{Continue, Format, OnError, ReadOptions, read_file};
use std::io::Write;

#[test]
fn every_kind_of_geometry_and_value_is_read() {
    let text = r#"{"type":"FeatureCollection","name":"x","metadata":{"a":[1,{"b":"]}"}]},"features":[
      {"type":"Feature","id":1,"properties":{"t":"e\u0309","i":5,"r":1.5,"b":true,"n":null,"o":{"k":[1]},"big":18446744073709551615},"geometry":{"type":"Point","coordinates":[106.1,11.2,30]}},
      {"geometry":{"coordinates":[[106,11],[106.1,11.1]],"type":"LineString"},"properties":null,"id":"l","type":"Feature"},
      {"type":"Feature","id":"p","bbox":[1,2,3,4],"properties":{},"geometry":{"type":"Polygon","coordinates":[[[106,11],[106.1,11],[106.1,11.1],[106,11]],[[106.01,11.01],[106.02,11.01],[106.02,11.02],[106.01,11.01]]]}},
      {"type":"Feature","id":"mp","properties":{},"geometry":{"type":"MultiPolygon","coordinates":[[[[106,11],[106.1,11],[106.1,11.1],[106,11]]],[[[106.2,11],[106.3,11],[106.3,11.1],[106.2,11]]]]}},
      {"type":"Feature","id":"mpt","properties":{},"geometry":{"type":"MultiPoint","coordinates":[[106,11],[106.1,11]]}},
      {"type":"Feature","id":"mls","properties":{},"geometry":{"type":"MultiLineString","coordinates":[[[106,11],[106.1,11]],[[106,11.5],[106.1,11.5]]]}},
      {"type":"Feature","id":"gc","properties":{},"geometry":{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[106,11]},{"type":"LineString","coordinates":[[106,11],[106.1,11]]}]}}
    ],"other":1}"#;
    let (summary, features) = read_bytes("a.geojson", text).unwrap();
    assert_eq!(rejected(&summary), []);
    assert_eq!((summary.format, summary.crs, summary.geometry), (Format::GeoJson, 4326, GeometryKind::Mixed));
    let ids: Vec<&str> = features.iter().map(|(_, feature)| feature.id.as_str()).collect();
    assert_eq!(ids, ["1", "l", "p", "mp", "mpt", "mls", "gc"]);
    let first = &features[0].1;
    assert_eq!(first.text("t"), Some("\u{1ebb}"), "NFC");
    assert_eq!(first.properties["i"], Value::Integer(5));
    assert_eq!(first.properties["o"], Value::Text(r#"{"k":[1]}"#.into()));
    assert!(matches!(first.properties["big"], Value::Real(_)));
    assert!(matches!(&features[2].1.geometry, Geometry::Polygon(p) if p.interiors().len() == 1));
    assert!(
        matches!(&features[3].1.geometry, Geometry::MultiPolygon(m) if m.0.len() == 2 && m.0[1].exterior().0[0].x == 106.2)
    );
    let field = |name: &str| summary.fields.iter().find(|field| field.name == name).unwrap().field_type;
    assert_eq!((field("r"), field("b"), field("t")), (FieldType::Real, FieldType::Boolean, FieldType::Text));
}

#[test]
fn sequences_single_features_and_bare_geometries_are_read() {
    let lines = format!("{}\r\n\n\u{1e}{}\n", point("a", 106, 11), point("b", 106.1, 11.1));
    let (summary, features) = read_bytes("a.txt", &lines).unwrap();
    assert_eq!((summary.format, features.len(), features[1].0), (Format::GeoJsonSeq, 2, 2));
    assert_eq!(read_bytes("a.json", point("a", 106, 11)).unwrap().1.len(), 1);
    let (_, bare) = read_bytes("a.json", "\u{feff}{\"type\":\"Point\",\"coordinates\":[106,11]}").unwrap();
    assert_eq!(bare[0].1.id, "1");
    // Written by two programs behind each other.
    let twice = format!("{}\n{}", collection(&[point("a", 106, 11)]), collection(&[point("b", 106, 11)]));
    assert_eq!(read_bytes("a.geojson", twice).unwrap().1.len(), 2);
    assert_eq!(read_bytes("a.geojson", collection(&[])).unwrap().1.len(), 0);
}

#[test]
fn truncated_file_is_an_error_that_names_the_last_good_row() {
    let whole = collection(&(0..50).map(|i| point(&format!("p{i}"), 106.1, 11.1)).collect::<Vec<_>>());
    let third = whole.match_indices("{\"type\":\"Feature\"").nth(3).unwrap().0;
    for (cut, last) in [
        (third - 2, 3),
        (third - 1, 3),
        (third, 3),
        (third + 40, 3),
        (whole.len() - 1, 50),
        (whole.len() - 2, 50),
        (30, 0),
    ] {
        let error = read_bytes("a.geojson", &whole[..cut]).unwrap_err();
        assert_eq!((error.code(), error.row()), ("truncated", Some(last)), "cut at {cut}: {error}");
    }
    // Wherever it is cut, it never passes for whole.
    let whole = collection(&[point("a", 106, 11), point("b", 106, 11)]);
    for cut in 1..whole.len() {
        if whole.is_char_boundary(cut) {
            assert!(read_bytes("a.geojson", &whole[..cut]).is_err(), "{}", &whole[..cut]);
        }
    }
}

#[test]
fn broken_feature_costs_its_row_and_no_other() {
    let good = |id: &str| point(id, 106.1, 11.1);
    let broken = [
        (good("x").replace("106.1", "NaN"), "not_finite"),
        (good("x").replace("106.1", "-Infinity"), "not_finite"),
        (good("x").replace("106.1", "1e999"), "not_finite"),
        (good("x").replace("106.1", "null"), "not_finite"),
        (good("x").replace("106.1", "\"NaN\""), "not_finite"),
        (good("x").replace("106.1", "\"106.1\""), "geometry_invalid"),
        (good("x").replace("106.1", "1060"), "coordinate_range"),
        (good("x").replace("11.1]", "98]"), "coordinate_range"),
        (good("x").replace("[106.1,11.1]", "[106.1]"), "geometry_invalid"),
        (good("x").replace("[106.1,11.1]", "[[106.1,11.1]]"), "geometry_invalid"),
        (good("x").replace("[106.1,11.1]", "[]"), "geometry_missing"),
        (good("x").replace("Point", "Circle"), "geometry_invalid"),
        (
            good("x").replace("\"geometry\":{\"type\":\"Point\",\"coordinates\":[106.1,11.1]}", "\"geometry\":null"),
            "geometry_missing",
        ),
        (good("x").replace("\"name\":", "name:"), "syntax"),
        (good("x").replace("11.1]", "11.1"), "syntax"),
        (good("x").replace("11.1]}}", "11.1]}"), "syntax"),
        (good("x").replace("Trạm x\"", "Trạm x"), "syntax"),
        ("null".into(), "syntax"),
        ("17".into(), "syntax"),
        (good("a"), "duplicate_id"),
        (good("x").replace("[106.1,11.1]", &format!("{}1{}", "[".repeat(60), "]".repeat(60))), "geometry_invalid"),
        (good("x").replace("\"Trạm x\"", &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))), "too_deep"),
    ];
    for (bad, code) in &broken {
        let shown: String = bad.chars().take(120).collect();
        for text in [
            collection(&[good("a"), bad.clone(), good("c")]),
            collection(&[good("a"), good("c"), bad.clone()]),
            format!("{}\n{bad}\n{}\n", good("a"), good("c")),
        ] {
            let (summary, features) = read_bytes("a.geojson", &text).unwrap_or_else(|error| panic!("{shown}: {error}"));
            let ids: Vec<&str> = features.iter().map(|(_, feature)| feature.id.as_str()).collect();
            assert_eq!(ids, ["a", "c"], "{shown}");
            let rows = rejected(&summary);
            assert_eq!(rows.len(), 1, "{shown}: {rows:?}");
            assert_eq!(rows[0].1, *code, "{shown}: {:?}", summary.report.rejected);
            assert!(matches!(rows[0].0, 2 | 3), "{shown}");
        }
    }
}

#[test]
fn abort_names_the_first_bad_row() {
    let folder = Folder::new();
    let text = collection(&[point("a", 106, 11), point("b", 1060, 11), point("c", "NaN", 11)]);
    let options = ReadOptions { on_error: OnError::Abort, ..ReadOptions::new(PROVINCE) };
    let error = read_with(&folder.put("a.geojson", text), &options).unwrap_err();
    assert_eq!((error.code(), error.row(), error.field()), ("coordinate_range", Some(2), Some("geometry")));
}

#[test]
fn swapped_axes_are_mended_when_the_whole_file_has_them() {
    let swapped: Vec<String> = (0..10).map(|i| point(&format!("p{i}"), 11.1, 106.1)).collect();
    let (summary, features) = read_bytes("a.geojson", collection(&swapped)).unwrap();
    assert_eq!((summary.report.accepted, summary.report.repaired), (10, 10));
    assert!(summary.report.warnings[0].starts_with("swapped_axes"), "{:?}", summary.report.warnings);
    assert!(matches!(features[0].1.geometry, Geometry::Point(p) if p.x() == 106.1));

    let mut mixed = swapped;
    mixed.push(point("ok", 106.1, 11.1));
    let (summary, features) = read_bytes("a.geojson", collection(&mixed)).unwrap();
    assert_eq!((features.len(), summary.report.rejected.len()), (1, 10));
    assert!(rejected(&summary).iter().all(|(_, code)| *code == "swapped_axes"));
}

#[test]
fn one_straight_row_far_behind_a_swapped_head_is_found_before_anything_is_mended() {
    let mut rows: Vec<String> = (0..6_000).map(|i| point(&format!("p{i}"), 11.1, 106.1)).collect();
    let (summary, _) = read_bytes("a.geojson", collection(&rows)).unwrap();
    assert_eq!((summary.report.accepted, summary.report.repaired), (6_000, 6_000));
    rows.push(point("ok", 106.1, 11.1));
    let (summary, features) = read_bytes("a.geojson", collection(&rows)).unwrap();
    assert_eq!((features.len(), summary.report.repaired, summary.report.rejected.len()), (1, 0, 6_000));
}

#[test]
fn metres_without_a_system_are_refused_with_a_proposal() {
    let text = collection(&[point("a", 568_469.126, 1_250_153.911)]);
    let error = read_bytes("a.geojson", &text).unwrap_err();
    assert_eq!(error.code(), "crs_unknown");
    assert!(error.to_string().contains("--crs EPSG:9209 or --crs EPSG:9210"), "{error}");
    let folder = Folder::new();
    let path = folder.put("a.geojson", &text);
    let (summary, features) = read_with(&path, &ReadOptions { crs: Some(9209), ..ReadOptions::new(PROVINCE) }).unwrap();
    assert_eq!(summary.crs, 9209);
    assert!(
        matches!(features[0].1.geometry, Geometry::Point(p) if (p.x() - 106.129).abs() < 1e-7 && (p.y() - 11.304).abs() < 1e-7)
    );
    let error = read_with(&path, &ReadOptions { crs: Some(2_154), ..ReadOptions::new(PROVINCE) }).unwrap_err();
    assert_eq!(error.code(), "crs_unsupported");
    let degrees = folder.put("b.geojson", collection(&[point("a", 106, 11)]));
    let error = read_with(&degrees, &ReadOptions { crs: Some(9209), ..ReadOptions::new(PROVINCE) }).unwrap_err();
    assert_eq!(error.code(), "crs_unknown", "degrees are no metres");
}

#[test]
fn crs_of_the_file_is_used_in_front_and_behind() {
    let crs = r#""crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::9209"}}"#;
    let row = point("a", 568_469.126, 1_250_153.911);
    for text in [
        format!(r#"{{"type":"FeatureCollection",{crs},"features":[{row}]}}"#),
        format!(r#"{{"type":"FeatureCollection","features":[{row}],{crs}}}"#),
    ] {
        let (summary, features) = read_bytes("a.geojson", text).unwrap();
        assert_eq!(summary.crs, 9209);
        assert!(matches!(features[0].1.geometry, Geometry::Point(p) if (p.x() - 106.129).abs() < 1e-7));
    }
    let unknown = format!(
        r#"{{"type":"FeatureCollection",{},"features":[{row}]}}"#,
        crs.replace("urn:ogc:def:crs:EPSG::9209", "HN-72")
    );
    assert_eq!(read_bytes("a.geojson", unknown).unwrap_err().code(), "crs_unknown");
}

#[test]
fn north_before_east_in_a_grid_is_mended_too() {
    let folder = Folder::new();
    let path = folder.put("a.geojson", collection(&[point("a", 1_250_153.911, 568_469.126)]));
    let (summary, features) = read_with(&path, &ReadOptions { crs: Some(9209), ..ReadOptions::new(PROVINCE) }).unwrap();
    assert_eq!(summary.report.repaired, 1);
    assert!(matches!(features[0].1.geometry, Geometry::Point(p) if (p.x() - 106.129).abs() < 1e-7));
}

#[test]
fn outside_the_province_is_only_a_warning() {
    let (summary, features) =
        read_bytes("a.geojson", collection(&[point("a", 105.8, 12.3), point("b", 106, 11)])).unwrap();
    assert_eq!(features.len(), 2);
    assert!(summary.report.warnings[0].starts_with("outside_province"), "{:?}", summary.report.warnings);
}

#[test]
fn ids_come_from_where_they_are_unique() {
    let with = |property: &str, values: &[&str]| {
        let rows: Vec<String> = values
            .iter()
            .map(|value| {
                point("x", 106, 11)
                    .replace("\"id\":\"x\",", "")
                    .replace("\"name\":\"Trạm x\"", &format!("\"{property}\":{value}"))
            })
            .collect();
        let (summary, features) = read_bytes("a.geojson", collection(&rows)).unwrap();
        assert_eq!(rejected(&summary), []);
        features.into_iter().map(|(_, feature)| feature.id).collect::<Vec<_>>()
    };
    assert_eq!(with("code", &["\"25459\"", "\"25460\""]), ["25459", "25460"]);
    assert_eq!(with("code", &["\"ODT\"", "\"ODT\""]), ["1", "2"], "a land-use code is no key");
    assert_eq!(with("fid", &["7", "9"]), ["7", "9"]);
    assert_eq!(with("ID", &["7", "9.0"]), ["7", "9"]);
    assert_eq!(with("name", &["\"a\"", "\"b\""]), ["1", "2"]);
    let folder = Folder::new();
    let path = folder.put("a.geojson", collection(&[point("x", 106, 11), point("y", 106, 11)]));
    let options = ReadOptions { id_field: Some("name".into()), ..ReadOptions::new(PROVINCE) };
    assert_eq!(read_with(&path, &options).unwrap().1[1].1.id, "Trạm y");
}

#[test]
fn duplicate_names_both_rows() {
    let (summary, _) =
        read_bytes("a.geojson", collection(&[point("a", 106, 11), point("b", 106, 11), point("a", 106, 11)])).unwrap();
    let rejection = &summary.report.rejected[0];
    assert_eq!((rejection.row, rejection.code.as_str(), rejection.value.as_str()), (3, "duplicate_id", "a"));
    assert!(rejection.reason.contains("row 1") && rejection.reason.contains("row 3"), "{}", rejection.reason);
}

#[test]
fn wrong_encodings_are_named() {
    let text = collection(&[point("a", 106, 11), point("b", 106, 11)]);
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read_bytes("a.geojson", [b"\xff\xfe", &wide[..]].concat()).unwrap_err().code(), "encoding");
    assert_eq!(read_bytes("a.geojson", wide).unwrap_err().code(), "encoding");
    let mut bytes = text.clone().into_bytes();
    let at = text.find("Trạm b").unwrap() + 2;
    bytes[at] = 0xe2;
    bytes[at + 1] = 0xf2;
    let (summary, features) = read_bytes("a.geojson", bytes).unwrap();
    assert_eq!((features.len(), rejected(&summary)), (1, vec![(2, "encoding")]));
}

#[test]
fn sink_may_refuse_and_progress_may_stop() {
    let folder = Folder::new();
    let path = folder.put("a.geojson", collection(&[point("a", 106, 11), point("b", 106, 11)]));
    let options = ReadOptions::new(PROVINCE);
    let mut sink = |row, feature: model::Feature| match feature.id.as_str() {
        "a" => Ok(()),
        _ => Err(model::Rejection {
            row,
            field: "geometry".into(),
            value: String::new(),
            code: "geometry_invalid".into(),
            reason: "no".into(),
        }),
    };
    let summary = read_file(&path, &options, &mut sink, &mut |_, _| Continue::Yes).unwrap();
    assert_eq!((summary.report.accepted, rejected(&summary)), (1, vec![(2, "geometry_invalid")]));
    let error = read_file(&path, &options, &mut |_, _| Ok(()), &mut |_, _| Continue::No).unwrap_err();
    assert_eq!(error.code(), "cancelled");
}

#[test]
fn columns_are_renamed_by_the_map() {
    let folder = Folder::new();
    let path = folder.put("a.geojson", collection(&[point("a", 106, 11)]));
    let options = ReadOptions { map: vec![("ten".into(), "name".into())], ..ReadOptions::new(PROVINCE) };
    let (_, features) = read_with(&path, &options).unwrap();
    assert_eq!(features[0].1.text("ten"), Some("Trạm a"));
}

#[test]
fn two_gigabytes_on_one_line_stay_out_of_memory() {
    let folder = Folder::new();
    let sparse = |name: &str, head: &str| {
        let path = folder.put(name, head);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(2 << 30).unwrap();
        path
    };
    for (name, head, codes) in [
        ("zero.geojson", "", &["wrong_format"][..]),
        (
            "open.geojson",
            "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"properties\":{\"a\":\"",
            &["line_too_long"],
        ),
        ("seq.geojsonl", "{\"type\":\"Feature\",\"properties\":{\"a\":\"", &["line_too_long", "truncated"]),
        ("table.csv", "id,lon,lat\n1,106,11\n", &["encoding", "wrong_format"]),
    ] {
        let error = read(&sparse(name, head)).unwrap_err();
        assert!(codes.contains(&error.code()), "{name}: {} {error}", error.code());
    }
    assert!(peak_mb() < 700, "{} MB", peak_mb());
}

#[test]
fn line_longer_than_allowed_is_an_error_or_a_row() {
    let folder = Folder::new();
    let path = folder.0.path().join("a.geojson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    write!(file, "{{\"type\":\"FeatureCollection\",\"features\":[{},", point("a", 106, 11)).unwrap();
    write!(file, "{},", point(&"x".repeat(3 << 20), 106, 11)).unwrap();
    write!(file, "{}]}}", point("b", 106, 11)).unwrap();
    drop(file);
    let options = ReadOptions { max_line_bytes: 1 << 20, ..ReadOptions::new(PROVINCE) };
    let (summary, features) = read_with(&path, &options).unwrap();
    assert_eq!((features.len(), rejected(&summary)), (2, vec![(2, "line_too_long")]));
}

#[test]
fn many_unclosed_features_do_not_take_for_ever() {
    let broken: Vec<String> = (0..3_000).map(|i| point(&format!("p{i}"), 106.1, 11.1).replace("]}}", "]}")).collect();
    let started = std::time::Instant::now();
    let result = read_bytes("a.geojson", collection(&broken));
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    if let Ok((summary, _)) = result {
        assert_eq!(summary.report.accepted, 0);
    }
}

#[test]
fn real_province_reads_without_a_rejection() {
    let folder = std::path::Path::new("/work/shared/data");
    if !folder.is_dir() {
        println!("SKIPPED: {} is not there", folder.display());
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "geojson") {
            let started = std::time::Instant::now();
            let (summary, features) = read(&path).unwrap_or_else(|error| panic!("{error}"));
            println!(
                "{}: {} features, {:?}, {:?}",
                path.display(),
                features.len(),
                started.elapsed(),
                summary.report.warnings
            );
            assert_eq!(rejected(&summary), [], "{}", path.display());
            assert!(!features.is_empty());
        }
    }
}

/// Run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn parcels_of_93_megabytes_read_in_about_a_second() {
    let folder = Folder::new();
    let parcel = |i: u32| {
        let (x, y) = (105.5 + f64::from(i % 450) * 0.003, 10.4 + f64::from(i / 450) * 0.003);
        let ring: Vec<String> = [
            (0.0, 0.0),
            (0.0011, 0.00002),
            (0.0029, 0.00001),
            (0.003, 0.0014),
            (0.00301, 0.003),
            (0.0012, 0.00299),
            (0.0, 0.003),
            (0.0, 0.0),
        ]
        .iter()
        .map(|(dx, dy)| format!("[{:.8},{:.8}]", x + dx, y + dy))
        .collect();
        format!(
            r#"{{"type":"Feature","id":{i},"properties":{{"id":{i},"so_to":{},"so_thua":{},"loai_dat":"ODT","xa":"Phường Thủ Dầu Một","dien_tich":{:.1},"chu_su_dung":"Hộ {i:06}"}},"geometry":{{"type":"Polygon","coordinates":[[{}]]}}}}"#,
            i % 97,
            i % 1000,
            f64::from(i % 1000) + 0.5,
            ring.join(",")
        )
    };
    let rows: Vec<String> = (0..240_000).map(parcel).collect();
    for (name, text) in [("lines.geojsonl", rows.join("\n")), ("collection.geojson", collection(&rows))] {
        let path = folder.put(name, &text);
        let options = ReadOptions::new(PROVINCE);
        let mut count = 0;
        let started = std::time::Instant::now();
        let mut sink = |_, _| {
            count += 1;
            Ok(())
        };
        read_file(&path, &options, &mut sink, &mut |_, _| Continue::Yes).unwrap();
        println!(
            "{name}: {} MB, {count} features, {:?}, peak {} MB",
            text.len() / 1_000_000,
            started.elapsed(),
            peak_mb()
        );
    }
}
