//! Every format against GDAL's reading of the same file: what GDAL writes we read as it does, what we write it reads as we
//! hold it. The province's own layers, and a set of all shapes and letters.
#![allow(clippy::unwrap_used)]

mod common;

use common::alike::{Loose, assert_alike};
use common::{Folder, assert_same, by_gdal, make, ogr2ogr, read, read_bytes, rejected, table_by_gdal, zip};
use model::{Feature, Value};
use sources::{Format, WriteOptions, write_file};
use std::path::{Path, PathBuf};

const LETTERS: &str = "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ ẮẰẲẴẶẤẦẨẪẬĐẾỀỂỄỆỐỒỔỖỘỚỜỞỠỢỨỪỬỮỰỲỶỸỴÝ Hoà Thành Hòa thuý thúy";

/// Shapes with heights, and a feature without one.
const RISEN: &str = r#"{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"name":"Xã Thạnh Đức","ha":7.25},"geometry":{"type":"MultiPoint","coordinates":[[106.123456789,11.1,5]]}},
{"type":"Feature","properties":{"name":"Gò Dầu","ha":8.25},"geometry":null},
{"type":"Feature","properties":{"name":"Hoà Thành","ha":9.25},"geometry":{"type":"MultiPoint","coordinates":[[106.2,11.2,6],[106.3,11.3,7]]}}]}"#;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh/data").join(name)
}

/// All kinds of shapes, all kinds of values.
fn mixed() -> String {
    let shapes = [
        ("p", r#"{"type":"Point","coordinates":[106.123456789012,11.1]}"#),
        ("l", r#"{"type":"LineString","coordinates":[[106,11],[106.1,11.1],[106.2,11]]}"#),
        (
            "h",
            r#"{"type":"Polygon","coordinates":[[[106,11],[106.1,11],[106.1,11.1],[106,11.1],[106,11]],[[106.02,11.02],[106.02,11.04],[106.04,11.04],[106.02,11.02]]]}"#,
        ),
        ("mp", r#"{"type":"MultiPoint","coordinates":[[106.3,11.3],[106.4,11.1]]}"#),
        (
            "ml",
            r#"{"type":"MultiLineString","coordinates":[[[106,11.5],[106.1,11.6]],[[106.2,11.5],[106.3,11.5],[106.4,11.6]]]}"#,
        ),
        (
            "my",
            r#"{"type":"MultiPolygon","coordinates":[[[[106.5,11],[106.6,11],[106.6,11.1],[106.5,11]]],[[[106.7,11],[106.8,11],[106.8,11.1],[106.7,11.1],[106.7,11]],[[106.72,11.02],[106.72,11.04],[106.74,11.04],[106.72,11.02]]]]}"#,
        ),
        (
            "gc",
            r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[106.1,11.2]},{"type":"LineString","coordinates":[[106.1,11.2],[106.2,11.3]]}]}"#,
        ),
    ];
    let rows = shapes.map(|(id, shape)| {
        let long = "đường,".repeat(60);
        format!(r#"{{"type":"Feature","id":"{id}","properties":{{"ten":"{LETTERS}","dai":"{long}","so":9007199254740991,"am":-7,"ha":1234.0625,"ngay":"2026-11-28","co":true,"trong":null,"lan":{lan}}},"geometry":{shape}}}"#, lan = if id == "l" { "\"hai\"" } else { "2" })
    });
    format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, rows.join(","))
}

fn sorted(mut features: Vec<(u64, Feature)>) -> Vec<(u64, Feature)> {
    features.sort_by(|a, b| a.1.id.cmp(&b.1.id));
    features
}

#[test]
fn what_gdal_writes_is_read_as_gdal_reads_it() {
    let folder = Folder::new();
    for layer in ["communes.geojson", "air_stations.geojson", "rivers.geojson"] {
        let input = data(layer);
        for (name, driver, more, format, within) in [
            ("a.geojson", "GeoJSON", &["-lco", "COORDINATE_PRECISION=15"][..], Format::GeoJson, 1e-12),
            ("a.geojsonl", "GeoJSONSeq", &["-lco", "COORDINATE_PRECISION=15"], Format::GeoJsonSeq, 1e-12),
            ("s.geojsons", "GeoJSONSeq", &["-lco", "RS=YES"], Format::GeoJsonSeq, 1e-12),
            ("a.gpkg", "GPKG", &[], Format::GeoPackage, 1e-12),
            ("utm.gpkg", "GPKG", &["-t_srs", "EPSG:32648"], Format::GeoPackage, 1e-8),
            ("a.shp", "ESRI Shapefile", &["-lco", "ENCODING=UTF-8"], Format::Shapefile, 1e-12),
            ("a.fgb", "FlatGeobuf", &[], Format::FlatGeobuf, 1e-12),
            ("p.fgb", "FlatGeobuf", &["-lco", "SPATIAL_INDEX=NO"], Format::FlatGeobuf, 1e-12),
        ] {
            let folder = Folder::new();
            let out = folder.0.path().join(name);
            let mut args = vec!["-f", driver, out.to_str().unwrap(), input.to_str().unwrap()];
            args.extend(more);
            if !ogr2ogr(&args) {
                return;
            }
            let (summary, ours) = read(&out).unwrap_or_else(|error| panic!("{layer} {name}: {error}"));
            assert_eq!((summary.format, rejected(&summary)), (format, vec![]), "{layer} {name}");
            assert!(!ours.is_empty());
            assert_same(&ours, &by_gdal(&out, ""), within);
        }
        // The table's positions are a column of text: GDAL is told which, and that they are degrees.
        let out = folder.0.path().join(layer).with_extension("csv");
        assert!(ogr2ogr(&[
            "-f",
            "CSV",
            out.to_str().unwrap(),
            input.to_str().unwrap(),
            "-lco",
            "GEOMETRY=AS_WKT",
            "-lco",
            "GEOMETRY_NAME=wkt"
        ]));
        let (summary, ours) = read(&out).unwrap();
        assert_eq!(rejected(&summary), [], "{layer}");
        let theirs = table_by_gdal(&out, &["GEOM_POSSIBLE_NAMES=wkt"]);
        assert_same(&ours, &theirs, 1e-12);
    }
}

#[test]
fn what_is_written_is_what_gdal_reads_and_what_is_read_back() {
    let folder = Folder::new();
    for (layer, input) in [
        ("communes", std::fs::read_to_string(data("communes.geojson")).unwrap()),
        ("air_stations", std::fs::read_to_string(data("air_stations.geojson")).unwrap()),
        ("rivers", std::fs::read_to_string(data("rivers.geojson")).unwrap()),
        ("mixed", mixed()),
    ] {
        let (summary, held) = read_bytes("a.geojson", &input).unwrap();
        assert_eq!(rejected(&summary), []);
        let held = sorted(held);
        for ending in ["geojson", "geojsonl", "fgb", "csv", "kml"] {
            let out = folder.0.path().join(format!("{layer}.{ending}"));
            let mut all = held.iter().map(|(_, feature)| feature.clone());
            let count = write_file(&out, &mut all, &summary.fields, &WriteOptions::default()).unwrap();
            assert_eq!(count, held.len() as u64);
            let (again, back) = read(&out).unwrap();
            assert_eq!(rejected(&again), [], "{layer}.{ending}");
            let back = sorted(back);
            let ids = |all: &[(u64, Feature)]| all.iter().map(|(_, feature)| feature.id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&back), ids(&held), "{layer}.{ending}");
            // Without types, KML and CSV cannot tell the text "2" from the number.
            let typed = !matches!(ending, "kml" | "csv");
            for ((_, is), (_, was)) in back.iter().zip(&held) {
                assert_eq!(is.geometry, was.geometry, "{layer}.{ending} {}", was.id);
                for (name, value) in was.properties.iter().filter(|(_, value)| **value != Value::Null) {
                    let found = is.properties.get(name).unwrap_or(&Value::Null);
                    // A column of FlatGeobuf has one type: numbers in a column of texts are texts.
                    let same = found == value || (!typed || ending == "fgb") && found.to_string() == value.to_string();
                    assert!(same, "{layer}.{ending} {} {name}: {found:?} {value:?}", was.id);
                }
            }
            if !ogr2ogr(&["--version"]) {
                return;
            }
            let mut theirs = match ending {
                "csv" => table_by_gdal(&out, &["GEOM_POSSIBLE_NAMES=wkt"]),
                _ => by_gdal(&out, ""),
            };
            // To GDAL too a column has one type: `lan` is text.
            let loose = match ending {
                "csv" => Loose { position: "wkt", ..Loose::CSV },
                "kml" => Loose::KML,
                _ => Loose { text: true, ..Loose::FLATGEOBUF },
            };
            if ending == "kml" {
                // GDAL counts placemarks and has no word for their ids.
                theirs.iter_mut().zip(&held).for_each(|(their, (_, our))| their.id.clone_from(&our.id));
            }
            let held: Vec<Feature> = held.iter().map(|(_, feature)| feature.clone()).collect();
            assert_alike(&format!("{layer}.{ending}"), &held, &theirs, Loose { by_id: true, ..loose });
        }
    }
}

#[test]
fn gdal_finds_by_the_index_what_lies_in_a_box() {
    let folder = Folder::new();
    let rows: Vec<String> = (0..5_000)
        .map(|n| common::point(&n.to_string(), 105.5 + f64::from(n % 100) * 0.01, 10.5 + f64::from(n / 100) * 0.02))
        .collect();
    let (summary, features) = read_bytes("a.geojson", common::collection(&rows)).unwrap();
    for (name, crs) in [("a.fgb", None), ("grid.fgb", Some(9209)), ("utm.fgb", Some(32_648))] {
        let out = folder.0.path().join(name);
        let mut all = features.iter().map(|(_, feature)| feature.clone());
        let options = WriteOptions { crs, ..WriteOptions::default() };
        write_file(&out, &mut all, &summary.fields, &options).unwrap();
        let (again, back) = read(&out).unwrap();
        assert_eq!((again.crs, back.len()), (crs.unwrap_or(4326), 5_000), "{name}");
        if crs.is_some() {
            continue;
        }
        let cut = folder.0.path().join("cut.geojson");
        let files = [cut.to_str().unwrap(), out.to_str().unwrap()];
        for (spat, config) in [(["106.005", "11.01", "106.055", "11.07"], "YES"), (["0", "0", "1", "1"], "YES")] {
            let _ = std::fs::remove_file(&cut);
            let args =
                [&["-f", "GeoJSON", "--config", "OGR_FGB_USE_INDEX", config, "-spat"][..], &spat, &files].concat();
            if !ogr2ogr(&args) {
                return;
            }
            let found: usize = std::fs::read_to_string(&cut).unwrap().matches("\"Feature\"").count();
            let bounds: Vec<f64> = spat.iter().map(|text| text.parse().unwrap()).collect();
            let inside = features.iter().filter(|(_, feature)| {
                let bbox = model::geometry_bbox(&feature.geometry);
                bbox.west >= bounds[0] && bbox.south >= bounds[1] && bbox.east <= bounds[2] && bbox.north <= bounds[3]
            });
            assert_eq!(found, inside.count());
        }
    }
    let none = folder.0.path().join("none.fgb");
    assert_eq!(write_file(&none, &mut std::iter::empty(), &summary.fields, &WriteOptions::default()).unwrap(), 0);
    assert_eq!(read(&none).unwrap().1.len(), 0);
    assert!(!ogr2ogr(&["--version"]) || by_gdal(&none, "").is_empty());
    assert!(
        std::fs::read_dir(folder.0.path()).unwrap().all(|file| !file
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".part"))
    );
}

#[test]
fn what_a_table_of_a_shapefile_cannot_hold_is_cut_by_it_and_not_by_us() {
    let folder = Folder::new();
    let input = folder.put("in.geojson", mixed().replace("\"dai\"", "\"mot_ten_rat_dai\""));
    let out = folder.0.path().join("a.shp");
    let args = [
        "-f",
        "ESRI Shapefile",
        "-where",
        "OGR_GEOMETRY='POINT'",
        "-lco",
        "ENCODING=UTF-8",
        out.to_str().unwrap(),
        input.to_str().unwrap(),
    ];
    if !ogr2ogr(&args) {
        return;
    }
    let (_, ours) = read(&out).unwrap();
    let held = read(&input).unwrap().1;
    let (our, was) = (&ours[0].1, &held[0].1);
    // Names of ten bytes, texts of 254, no truth values.
    assert!(our.properties.get("mot_ten_rat_dai").is_none());
    let (cut, whole) = (our.text("mot_ten_ra").unwrap(), was.text("mot_ten_rat_dai").unwrap());
    assert!(whole.starts_with(cut) && (250..=254).contains(&cut.len()), "{}", cut.len());
    assert_eq!(our.properties.get("co"), Some(&Value::Integer(1)));
    assert_eq!(our.text("ngay"), Some("2026-11-28"));
    assert!(LETTERS.starts_with(our.text("ten").unwrap()));
}

#[test]
fn heights_and_measures_are_left_out_and_rows_without_a_shape_are_named() {
    let folder = Folder::new();
    let source = folder.put("in.geojson", RISEN);
    for (driver, ending) in [
        ("GPKG", "gpkg"),
        ("FlatGeobuf", "fgb"),
        ("GeoJSON", "geojson"),
        ("GeoJSONSeq", "geojsonl"),
        ("ESRI Shapefile", "shp"),
        ("KML", "kml"),
    ] {
        for dim in ["XY", "XYZ", "XYM", "XYZM"] {
            // GeoJSON and KML hold heights and no measures.
            if dim.ends_with('M') && matches!(ending, "geojson" | "geojsonl" | "kml") {
                continue;
            }
            let out = folder.0.path().join(format!("{dim}.{ending}"));
            if !make(driver, &source, &out, &["-dim", dim]) {
                return;
            }
            let (summary, ours) = read(&out).unwrap_or_else(|error| panic!("{dim}.{ending}: {error}"));
            let codes: Vec<&str> = rejected(&summary).into_iter().map(|(_, code)| code).collect();
            // GDAL leaves features without a shape out of a FlatGeobuf.
            let missing: &[&str] = if ending == "fgb" { &[] } else { &["geometry_missing"] };
            assert_eq!((codes.as_slice(), ours.len()), (missing, 2), "{dim}.{ending}");
            // GDAL sees the row without a shape as well; its shapes in two dimensions, as ours are.
            let flat = folder.0.path().join(format!("{dim}-{ending}.gdal.geojson"));
            assert!(make("GeoJSON", &out, &flat, &["-dim", "XY", "-lco", "COORDINATE_PRECISION=15"]));
            let (summary, theirs) = read(&flat).unwrap();
            assert_eq!(summary.report.rejected.len(), missing.len(), "{dim}.{ending}");
            let mut theirs: Vec<Feature> = theirs.into_iter().map(|(_, feature)| feature).collect();
            if ending == "kml" {
                // GDAL calls the name `Name` and adds what every placemark has by default.
                theirs.iter_mut().for_each(|feature| feature.properties.retain(|name, _| name == "ha"));
            }
            assert_same(&ours, &theirs, 1e-9);
        }
    }
}

#[test]
fn tables_give_the_shapes_and_values_that_gdal_reads_in_them() {
    let folder = Folder::new();
    let flat = RISEN.replace("MultiPoint", "Point").replace("[[106.123456789,11.1,5]]", "[106.123456789,11.1]");
    let flat = flat
        .replace("[[106.2,11.2,6],[106.3,11.3,7]]", "[106.2,11.2]")
        .replace("\"geometry\":null", r#""geometry":{"type":"Point","coordinates":[106.3,11.3]}"#);
    let points = folder.put("points.geojson", flat);
    let xy = folder.0.path().join("xy.csv");
    if !make("CSV", &points, &xy, &["-lco", "GEOMETRY=AS_XY"]) {
        return;
    }
    let (summary, ours) = read(&xy).unwrap();
    assert_eq!((rejected(&summary), ours.len()), (vec![], 3));
    let named = ["X_POSSIBLE_NAMES=X", "Y_POSSIBLE_NAMES=Y"];
    assert_same(&ours, &table_by_gdal(&xy, &named), 1e-9);

    // The same table as a sheet: GDAL sees no shapes in one, so its reading is that of the CSV it makes of it.
    let sheet = folder.0.path().join("xy.xlsx");
    assert!(make("XLSX", &xy, &sheet, &["-oo", "AUTODETECT_TYPE=YES"]));
    let again = folder.0.path().join("sheet.csv");
    assert!(make("CSV", &sheet, &again, &[]));
    let (summary, ours) = read(&sheet).unwrap();
    assert_eq!((rejected(&summary), ours.len()), (vec![], 3));
    assert_same(&ours, &table_by_gdal(&again, &named), 1e-9);

    // Columns of shapes hold all kinds, with heights; ours are without.
    let source = folder.put(
        "in.geojson",
        RISEN.replace(
            "\"geometry\":null",
            r#""geometry":{"type":"LineString","coordinates":[[106,11,1],[106.1,11.1,2]]}"#,
        ),
    );
    let wkt = folder.0.path().join("wkt.csv");
    assert!(make("CSV", &source, &wkt, &["-lco", "GEOMETRY=AS_WKT"]));
    let (summary, ours) = read(&wkt).unwrap();
    assert_eq!((rejected(&summary), ours.len()), (vec![], 3));
    assert_same(&ours, &table_by_gdal(&wkt, &["GEOM_POSSIBLE_NAMES=WKT"]), 1e-9);
}

#[test]
fn a_zipped_shapefile_says_its_grid_and_its_letters() {
    let folder = Folder::new();
    let source = folder.put("in.geojson", common::collection(&[common::point("a", 106.123_456_789, 11.1)]));
    for (crs, code, within) in [
        ("EPSG:4326", 4326, 1e-9),
        // PROJ of this GDAL knows no shift between VN-2000 and WGS84: what it made comes back some 200 m off.
        ("EPSG:9209", 9209, 3e-3),
        ("EPSG:3405", 3405, 3e-3),
    ] {
        let out = folder.0.path().join(format!("{code}.shp"));
        if !make("ESRI Shapefile", &source, &out, &["-t_srs", crs, "-lco", "ENCODING=UTF-8"]) {
            return;
        }
        let parts =
            ["shp", "dbf", "shx", "prj", "cpg"].map(|ending| std::fs::read(out.with_extension(ending)).unwrap());
        assert_eq!(parts[4], b"UTF-8");
        let names = ["lô.shp", "lô.dbf", "lô.shx", "lô.prj", "lô.cpg"];
        let files: Vec<(&str, &[u8])> = names.into_iter().zip(parts.iter().map(Vec::as_slice)).collect();
        let archive = folder.put(&format!("{code}.zip"), zip(&files));
        let (summary, ours) = read(&archive).unwrap();
        assert_eq!((summary.crs, rejected(&summary)), (code, vec![]));
        assert_eq!(ours[0].1.text("name"), Some("Trạm a"));
        assert_same(&ours, &by_gdal(&out, ""), within);
    }
}
