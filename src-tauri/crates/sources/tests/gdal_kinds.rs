//! Every kind of shape and value from GDAL's file into ours and out again: what GDAL writes we hold as it reads it, and
//! what we then write it reads as we hold it.
#![allow(clippy::unwrap_used)]

mod common;

use common::alike::{Loose, assert_alike};
use common::{Folder, features_of, make, read, rejected, table_by_gdal};
use model::{Feature, Value};
use sources::{WriteOptions, write_file};
use std::path::Path;

/// `(kind, coordinates or parts)` of GeoJSON; two of a kind where a format has a table of one kind.
const SHAPES: [(&str, &str); 9] = [
    ("Point", "[106.12345678901234,11.1]"),
    ("Point", "[106.75,10.875]"),
    ("LineString", "[[106,11],[106.1,11.1],[106.2,11]]"),
    ("MultiPoint", "[[106.3,11.3],[106.4,11.1]]"),
    ("MultiLineString", "[[[106,11.5],[106.1,11.6]],[[106.2,11.5],[106.3,11.5],[106.4,11.6]]]"),
    (
        "Polygon",
        "[[[106,11],[106.1,11],[106.1,11.1],[106,11.1],[106,11]],[[106.02,11.02],[106.02,11.04],[106.04,11.04],[106.02,11.02]],[[106.06,11.06],[106.06,11.08],[106.08,11.08],[106.06,11.06]]]",
    ),
    (
        "MultiPolygon",
        "[[[[106.5,11],[106.6,11],[106.6,11.1],[106.5,11]]],[[[106.7,11],[106.8,11],[106.8,11.1],[106.7,11.1],[106.7,11]],[[106.72,11.02],[106.72,11.04],[106.74,11.04],[106.72,11.02]]]]",
    ),
    (
        "GeometryCollection",
        r#"[{"type":"Point","coordinates":[106.1,11.2]},{"type":"LineString","coordinates":[[106.1,11.2],[106.2,11.3]]},{"type":"Polygon","coordinates":[[[106.3,11.2],[106.4,11.2],[106.4,11.3],[106.3,11.2]]]}]"#,
    ),
    (
        "GeometryCollection",
        r#"[{"type":"MultiPoint","coordinates":[[106.1,11.4],[106.2,11.4]]},{"type":"MultiPolygon","coordinates":[[[[106.5,11.4],[106.6,11.4],[106.6,11.5],[106.5,11.4]]],[[[106.7,11.4],[106.8,11.4],[106.8,11.5],[106.7,11.4]]]]}]"#,
    ),
];

/// Values at the ends of their types, the same columns in each row.
fn values(row: usize) -> String {
    let (dai, thuc) = [
        ("9223372036854775807", "1234567.0625"),
        ("-9223372036854775808", "-3.141592653589793"),
        ("9007199254740993", "2.718281828459045e-10"),
    ][row % 3];
    let (name, empty) = [("Xã Hòa Hội, đường Nguyễn Văn Rốp", r#""""#), ("Ấp “Gò Dầu” <&>", r#""đầy""#)][row % 2];
    let (day, moment) = [("2026-11-28", "2026-11-28T08:30:15+07:00"), ("2024-02-29", "1999-12-31T23:59:59Z")][row % 2];
    let (none, truth) = [("null", "true"), (r#""có""#, "false")][row % 2];
    format!(
        r#""code":"ma-{row}","name":"{name}","rong":{empty},"trong":{none},"dai":{dai},"so":{row},"thuc":{thuc},"co":{truth},"ngay":"{day}","luc":"{moment}","mot_ten_cot_rat_la_dai":"{row}a","diện tích (m²)":{row}.5"#
    )
}

fn source() -> String {
    let rows = SHAPES.iter().enumerate().map(|(row, (kind, shape))| {
        let inside = if *kind == "GeometryCollection" { "geometries" } else { "coordinates" };
        format!(
            r#"{{"type":"Feature","properties":{{{}}},"geometry":{{"type":"{kind}","{inside}":{shape}}}}}"#,
            values(row)
        )
    });
    format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, rows.collect::<Vec<_>>().join(",\n"))
}

/// What is held from one of GDAL's files goes out in every format of ours, and GDAL reads that as it is held.
fn goes_out_again(folder: &Folder, from: &str, path: &Path) {
    let (summary, features) = read(path).unwrap();
    let ours: Vec<Feature> = features.into_iter().map(|(_, feature)| feature).collect();
    for (ending, loose) in [
        ("geojson", Loose::default()),
        ("geojsonl", Loose::default()),
        ("fgb", Loose::FLATGEOBUF),
        ("csv", Loose { position: "wkt", ..Loose::CSV }),
        ("kml", Loose::KML),
    ] {
        let what = format!("{from}, then {ending}");
        let out = folder.0.path().join(format!("ours.{ending}"));
        let count = write_file(&out, &mut ours.iter().cloned(), &summary.fields, &WriteOptions::default()).unwrap();
        assert_eq!(count, ours.len() as u64, "{what}");
        let theirs = match ending {
            "csv" => table_by_gdal(&out, &["GEOM_POSSIBLE_NAMES=wkt"]),
            _ => common::by_gdal(&out, ""),
        };
        assert_alike(&what, &ours, &theirs, loose);
        assert_alike(&format!("{what}, read again"), &ours, &features_of(&out), loose);
    }
}

#[test]
fn every_kind_of_shape_and_value_goes_through() {
    let folder = Folder::new();
    let source = folder.put("in.geojson", source());
    let truth = features_of(&source);
    assert_eq!(truth[0].properties["dai"], Value::Integer(i64::MAX));
    for (driver, ending, more, loose) in [
        ("GeoJSON", "geojson", &["-lco", "COORDINATE_PRECISION=15"][..], Loose::default()),
        ("GeoJSONSeq", "geojsonl", &["-lco", "COORDINATE_PRECISION=15"], Loose::default()),
        ("GPKG", "gpkg", &[], Loose::default()),
        ("FlatGeobuf", "fgb", &[], Loose::FLATGEOBUF),
        ("CSV", "csv", &["-lco", "GEOMETRY=AS_WKT"], Loose::CSV),
        ("KML", "kml", &[], Loose::KML),
        ("LIBKML", "lib.kml", &[], Loose::KML),
        ("LIBKML", "kmz", &[], Loose::KML),
    ] {
        let out = folder.0.path().join(format!("gdal.{ending}"));
        if !make(driver, &source, &out, more) {
            return;
        }
        let mut ours = features_of(&out);
        if driver == "LIBKML" {
            // This driver writes days and moments and does not find them again.
            assert!(ours.iter().all(|one| one.text("ngay").is_some() && one.text("luc").is_some()));
            ours.iter_mut().for_each(|one| one.properties.retain(|name, _| !matches!(name, "ngay" | "luc")));
        }
        let theirs = match ending {
            "csv" => table_by_gdal(&out, &["GEOM_POSSIBLE_NAMES=WKT"]),
            _ => common::by_gdal(&out, ""),
        };
        assert_alike(&format!("{driver} {ending}"), &ours, &theirs, loose);
        // KML and CSV get numbers of fifteen digits from GDAL.
        if !matches!(ending, "csv" | "kml" | "lib.kml" | "kmz") {
            assert_alike(&format!("{driver} {ending}, as it was"), &ours, &truth, loose);
        }
        goes_out_again(&folder, ending, &out);
    }
}

#[test]
fn a_shapefile_holds_one_kind_a_file() {
    let folder = Folder::new();
    let source = folder.put("in.geojson", source());
    for (name, kinds) in [
        ("points", "'POINT'"),
        ("many", "'MULTIPOINT'"),
        ("lines", "'LINESTRING','MULTILINESTRING'"),
        ("areas", "'POLYGON','MULTIPOLYGON'"),
    ] {
        let out = folder.0.path().join(format!("{name}.shp"));
        let chosen = format!("OGR_GEOMETRY IN ({kinds})");
        if !make("ESRI Shapefile", &source, &out, &["-where", &chosen, "-lco", "ENCODING=UTF-8"]) {
            return;
        }
        let ours = features_of(&out);
        assert_alike(name, &ours, &common::by_gdal(&out, ""), Loose::DBF);
        assert!(ours.iter().all(|feature| feature.properties.get("mot_ten_co").is_some()));
        goes_out_again(&folder, name, &out);
    }
}

/// A drawing in a system that GDAL knows to the millimetre.
const DRAWING: &str = "0 SECTION 2 HEADER 9 $DWGCODEPAGE 3 ANSI_1252 0 ENDSEC 0 SECTION 2 ENTITIES \
    0 POINT 5 1A 8 TRAM 10 624469.126 20 1250153.911 30 7.5 \
    0 LINE 5 1B 8 RANH 10 624400 20 1250100 30 1 11 624500 21 1250150.25 31 2 \
    0 LWPOLYLINE 5 2B 8 THUA 90 4 70 1 10 624400 20 1250100 10 624500 20 1250100 10 624500 20 1250200 10 624400 20 1250200 \
    0 LWPOLYLINE 5 2C 8 MUONG 90 3 70 0 10 624410 20 1250110 10 624510 20 1250110 10 624510 20 1250210 \
    0 POLYLINE 5 3B 8 RANH 66 1 70 0 0 VERTEX 8 RANH 10 624400 20 1250100 30 3 0 VERTEX 8 RANH 10 624500 20 1250150 30 4 0 SEQEND \
    0 TEXT 5 4A 8 CHU 10 624420 20 1250120 40 2.5 1 Thua_12 0 MTEXT 5 4B 8 CHU 10 624430 20 1250130 40 2.5 1 so_5 \
    0 CIRCLE 5 5A 8 GIENG 10 624440 20 1250140 40 5 \
    0 ARC 5 5B 8 CUA 10 624400 20 1250100 40 5 50 270 51 90 \
    0 ENDSEC 0 EOF";

#[test]
fn a_drawing_is_read_as_gdal_reads_it() {
    let folder = Folder::new();
    let lines: String = DRAWING.split_whitespace().map(|word| format!("{word}\r\n")).collect();
    let path = folder.put("a.dxf", lines);
    let options = sources::ReadOptions { crs: Some(32_648), ..sources::ReadOptions::new(common::PROVINCE) };
    let (summary, ours) = common::read_with(&path, &options).unwrap();
    assert_eq!((rejected(&summary), ours.len()), (vec![], 9));
    let out = folder.0.path().join("gdal.geojson");
    // Chords of five degrees, as ours.
    let config = ["--config", "OGR_ARC_STEPSIZE", "5"];
    let places = ["-s_srs", "EPSG:32648", "-t_srs", "EPSG:4326", "-dim", "XY", "-lco", "COORDINATE_PRECISION=15"];
    if !make("GeoJSON", &path, &out, &[&config[..], &places].concat()) {
        return;
    }
    let mut theirs = features_of(&out);
    for feature in &mut theirs {
        let taken = |name: &str| feature.properties.get(name).cloned().unwrap_or(Value::Null);
        let kept = [("layer", taken("Layer")), ("text", taken("Text")), ("handle", taken("EntityHandle"))];
        feature.id = kept[2].1.to_string();
        feature.properties = kept[..2].iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if let geo_types::Geometry::LineString(line) = &mut feature.geometry {
            if line.is_closed() {
                // A closed line is a line to GDAL, a circle too; to us it is the area within.
                feature.geometry = geo_types::Polygon::new(line.clone(), vec![]).into();
            } else if feature.id == "5B" {
                // Arcs run counter-clockwise in a drawing; GDAL goes along them the other way.
                line.0.reverse();
            }
        }
    }
    let mut ours: Vec<Feature> = ours.into_iter().map(|(_, feature)| feature).collect();
    for feature in &mut ours {
        assert!(feature.text("entity").is_some());
        feature.properties.retain(|name, _| name != "entity");
    }
    assert_alike("drawing", &ours, &theirs, Loose { by_id: true, ..Loose::default() });
}

#[test]
fn lines_and_points_that_gdal_draws_are_read() {
    let folder = Folder::new();
    let source = folder.put("in.geojson", source());
    let out = folder.0.path().join("gdal.dxf");
    let chosen = "OGR_GEOMETRY IN ('POINT','LINESTRING','MULTIPOINT','MULTILINESTRING')";
    // A drawing has no columns; GDAL says so of each.
    if !make("DXF", &source, &out, &["-skipfailures", "-select", "", "-where", chosen]) {
        return;
    }
    let ours = features_of(&out);
    let mut theirs = common::by_gdal_with(&out, &["-s_srs", "EPSG:4326"]);
    for feature in &mut theirs {
        feature.id = feature.text("EntityHandle").unwrap().to_owned();
        feature.properties = [("layer".to_owned(), feature.properties["Layer"].clone())].into();
    }
    let mut ours = ours;
    ours.iter_mut().for_each(|feature| feature.properties.retain(|name, _| name == "layer"));
    assert_alike("GDAL's drawing", &ours, &theirs, Loose { by_id: true, ..Loose::default() });
}

#[test]
fn a_sheet_keeps_its_numbers_days_and_truths() {
    let folder = Folder::new();
    let rows = (0..3).map(|row| {
        format!(
            r#"{{"type":"Feature","properties":{{{},"X":106.{row}25,"Y":11.25}},"geometry":{{"type":"Point","coordinates":[106.{row}25,11.25]}}}}"#,
            values(row)
        )
    });
    let rows = rows.collect::<Vec<_>>().join(",\n");
    let source = folder.put("in.geojson", format!(r#"{{"type":"FeatureCollection","features":[{rows}]}}"#));
    let sheet = folder.0.path().join("a.xlsx");
    if !make("XLSX", &source, &sheet, &[]) {
        return;
    }
    let ours = features_of(&sheet);
    // A sheet holds no shapes to GDAL: its reading is that of the table it makes of the sheet.
    let table = folder.0.path().join("a.csv");
    assert!(make("CSV", &sheet, &table, &[]));
    let theirs = table_by_gdal(&table, &["X_POSSIBLE_NAMES=X", "Y_POSSIBLE_NAMES=Y"]);
    assert_alike("sheet", &ours, &theirs, Loose { position: "", ..Loose::CSV });
    assert_eq!(ours[0].properties["co"], Value::Bool(true));
    assert_eq!(ours[0].properties["so"], Value::Integer(0));
    assert_eq!(ours[0].text("ngay"), Some("2026-11-28"));
    assert_eq!(ours[1].properties["dai"], Value::Integer(i64::MIN));
    goes_out_again(&folder, "xlsx", &sheet);
}
