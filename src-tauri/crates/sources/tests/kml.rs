//! KML and KMZ from elsewhere: as GDAL reads them, as hands and phones write them, and built to do harm.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Folder, PROVINCE, assert_same, by_gdal, ogr2ogr, read, read_bytes, read_with, rejected, survives_damage, zip,
};
use geo_types::Geometry;
use model::Value;
use sources::{Format, ReadOptions, WriteOptions, write_file};

fn document(inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<kml xmlns=\"http://www.opengis.net/kml/2.2\"><Document><name>not a folder</name>{inside}</Document></kml>"
    )
}

fn placemark(inside: &str) -> String {
    format!("<Placemark>{inside}</Placemark>")
}

const POINT: &str = "<Point><coordinates>106.1,11.1,30</coordinates></Point>";

#[test]
fn what_gdal_writes_is_read_as_gdal_reads_it() {
    let folder = Folder::new();
    let source = folder.put(
        "in.geojson",
        r#"{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"Name":"Xã Thạnh Đức","so":7,"ha":1.25},"geometry":{"type":"Point","coordinates":[106.123456789,11.1]}},
{"type":"Feature","properties":{"Name":"b & <c>","so":null,"ha":-2.5},"geometry":{"type":"MultiPolygon","coordinates":[[[[106,11],[106.1,11],[106.1,11.1],[106,11.1],[106,11]],[[106.02,11.02],[106.02,11.04],[106.04,11.04],[106.02,11.02]]],[[[106.2,11],[106.3,11],[106.3,11.1],[106.2,11]]]]}},
{"type":"Feature","properties":{"Name":null,"so":9,"ha":null},"geometry":{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[106.3,11.3]},{"type":"LineString","coordinates":[[106,11],[106.1,11.2]]}]}},
{"type":"Feature","properties":{"Name":"d","so":9,"ha":null},"geometry":{"type":"MultiLineString","coordinates":[[[106,11],[106.1,11.2]],[[106.3,11],[106.1,11.2]]]}}]}"#,
    );
    for (driver, name) in [("KML", "a.kml"), ("LIBKML", "b.kml"), ("LIBKML", "c.kmz")] {
        let out = folder.0.path().join(name);
        if !ogr2ogr(&["-f", driver, out.to_str().unwrap(), source.to_str().unwrap()]) {
            return;
        }
        let (summary, mut ours) = read(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((summary.format, summary.crs, rejected(&summary)), (Format::Kml, 4326, vec![]), "{name}");
        let mut theirs = by_gdal(&out, "");
        // GDAL adds what KML gives every placemark by default, and calls the name `Name`.
        for feature in &mut theirs {
            feature.properties.retain(|name, _| matches!(name, "Name" | "so" | "ha"));
        }
        for (_, feature) in &mut ours {
            let name = feature.properties.get("name").cloned().unwrap_or(Value::Null);
            feature.properties.insert("Name".into(), name);
        }
        assert_same(&ours, &theirs, 1e-9);
        assert_eq!(ours[0].1.properties["so"], Value::Integer(7), "{name}: typed by the schema");
    }
}

#[test]
fn folders_data_and_descriptions_become_properties() {
    let text = document(&format!(
        "<Folder><name>Trạm</name><open>1</open>{}<Folder><name>Khí</name>{}</Folder>{}</Folder>{}",
        placemark(&format!("<name> T1 </name><description><![CDATA[<b>a</b> &amp; b]]></description>{POINT}")),
        placemark(&format!(
            "<name>T2 &amp; &#272;ức</name><ExtendedData><Data name=\"mã\"><displayName>Mã</displayName><value>07</value></Data></ExtendedData>{POINT}"
        )),
        placemark(&format!("<name>T3</name><Style><name>no</name></Style>{POINT}")),
        placemark(&format!("<name>Tra\u{323}m</name>{POINT}")).replace("<Placemark>", "<Placemark id=\"x1\">"),
    ));
    let (summary, features) = read_bytes("a.kml", text).unwrap();
    assert_eq!((summary.format, features.len()), (Format::Kml, 4));
    let of = |at: usize, name: &str| features[at].1.text(name);
    assert_eq!(
        (of(0, "name"), of(0, "folder"), of(0, "description")),
        (Some("T1"), Some("Trạm"), Some("<b>a</b> &amp; b"))
    );
    assert_eq!((of(1, "name"), of(1, "folder"), of(1, "mã")), (Some("T2 & Đức"), Some("Trạm/Khí"), Some("07")));
    assert_eq!((of(2, "name"), of(2, "folder")), (Some("T3"), Some("Trạm")));
    assert_eq!((of(3, "name"), of(3, "folder")), (Some("Trạm"), None));
}

#[test]
fn shapes_of_every_kind_are_read() {
    let line = "<LineString><coordinates>\n 106,11,0\n 106.1, 11.1 , 0 \t106.2,11\n</coordinates></LineString>";
    let ring =
        |tag: &str, text: &str| format!("<{tag}><LinearRing><coordinates>{text}</coordinates></LinearRing></{tag}>");
    let polygon = format!(
        "<Polygon><extrude>1</extrude>{}{}</Polygon>",
        ring("outerBoundaryIs", "106,11 106.1,11 106.1,11.1 106,11"),
        ring("innerBoundaryIs", "106.05,11.02 106.06,11.02 106.06,11.03 106.05,11.02")
    );
    let track = "<gx:Track xmlns:gx=\"http://www.google.com/kml/ext/2.2\"><when>2026-11-28T00:00:00Z</when><gx:coord>106 11 0</gx:coord><gx:coord>106.1 11.1 0</gx:coord></gx:Track>";
    let shapes = [
        line.to_owned(),
        polygon.clone(),
        format!("<MultiGeometry>{POINT}{POINT}</MultiGeometry>"),
        format!("<MultiGeometry>{polygon}<MultiGeometry>{polygon}{polygon}</MultiGeometry></MultiGeometry>"),
        format!("<MultiGeometry>{POINT}{line}</MultiGeometry>"),
        track.to_owned(),
    ];
    let text = document(&shapes.map(|shape| placemark(&shape)).concat());
    let (summary, features) = read_bytes("a.kml", text).unwrap();
    assert_eq!(rejected(&summary), []);
    let kinds: Vec<&str> = features
        .iter()
        .map(|(_, feature)| match &feature.geometry {
            Geometry::LineString(l) if l.0.len() > 1 => "line",
            Geometry::Polygon(p) if p.interiors().len() == 1 => "polygon",
            Geometry::MultiPoint(m) if m.0.len() == 2 => "points",
            Geometry::MultiPolygon(m) if m.0.len() == 3 => "polygons",
            Geometry::GeometryCollection(_) => "collection",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["line", "polygon", "points", "polygons", "collection", "line"]);
}

#[test]
fn bad_placemarks_cost_their_row() {
    let point = |text: &str| placemark(&format!("<Point><coordinates>{text}</coordinates></Point>"));
    let text = document(
        &[
            point("106.1,11.1"),
            placemark("<name>no shape</name>"),
            point(""),
            point("106.1"),
            point("a,b"),
            point("106.1,11.1,0,7"),
            point("1060,11"),
            point("NaN,11"),
            placemark("<LineString><coordinates>106,11</coordinates></LineString>"),
            placemark("<Polygon></Polygon>"),
            point("106.1,11.1"),
        ]
        .concat(),
    );
    let (summary, features) = read_bytes("a.kml", text).unwrap();
    assert_eq!(features.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 11]);
    assert_eq!(
        rejected(&summary),
        [
            (2, "geometry_missing"),
            (3, "geometry_missing"),
            (4, "geometry_invalid"),
            (5, "geometry_invalid"),
            (6, "geometry_invalid"),
            (7, "coordinate_range"),
            (8, "not_finite"),
            (9, "geometry_invalid"),
            (10, "geometry_missing"),
        ]
    );
    // Bytes that are no UTF-8, and an old encoding that is declared.
    let mut bytes = document(&[placemark(&format!("<name>ZZ</name>{POINT}")), placemark(POINT)].concat()).into_bytes();
    let at = bytes.windows(2).position(|two| two == b"ZZ").unwrap();
    bytes[at] = 0xff;
    let (summary, features) = read_bytes("a.kml", &bytes).unwrap();
    assert_eq!((rejected(&summary), features.len()), (vec![(1, "encoding")], 1));
    let old = document(&placemark(&format!("<name>QQ</name>{POINT}"))).replace("UTF-8", "windows-1258").into_bytes();
    let at = old.windows(2).position(|two| two == b"QQ").unwrap();
    let old = [&old[..at], b"Ho\xcca", &old[at + 2..]].concat();
    assert_eq!(read_bytes("a.kml", old).unwrap().1[0].1.text("name"), Some("Hòa"));
}

#[test]
fn archives_give_their_document() {
    let folder = Folder::new();
    let one = |name: &str| document(&placemark(&format!("<name>{name}</name>{POINT}"))).into_bytes();
    let (a, b) = (one("a"), one("b"));
    let links = document("<NetworkLink><Link><href>layers/a.kml</href></Link></NetworkLink>").into_bytes();
    let name = |bytes: Vec<u8>, table: Option<&str>| {
        let path = folder.put("a.kmz", bytes);
        let options = ReadOptions { table: table.map(str::to_owned), ..ReadOptions::new(PROVINCE) };
        read_with(&path, &options).map(|(_, features)| features[0].1.text("name").unwrap().to_owned())
    };
    assert_eq!(name(zip(&[("doc.kml", &a), ("files/x.png", b"x")]), None).unwrap(), "a");
    assert_eq!(name(zip(&[("x.kml", &a), ("doc.kml", &b)]), None).unwrap(), "b");
    assert_eq!(name(zip(&[("doc.kml", &links), ("layers/a.kml", &a)]), None).unwrap(), "a");
    let several = zip(&[("doc.kml", &links), ("layers/a.kml", &a), ("layers/b.kml", &b)]);
    assert_eq!(name(several.clone(), Some("b")).unwrap(), "b");
    let error = name(several, None).unwrap_err();
    assert!(error.code() == "several_tables" && error.to_string().contains("layers/a.kml, layers/b.kml"), "{error}");
    assert_eq!(name(zip(&[("../doc.kml", &a)]), None).unwrap_err().code(), "corrupt");
}

#[test]
fn documents_built_to_do_harm_are_errors() {
    let code = |text: &str| read_bytes("a.kml", text).unwrap_err().code().to_owned();
    let laughs = "<!DOCTYPE kml [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]>";
    assert_eq!(code(&document(POINT).replace("<kml", &format!("{laughs}<kml"))), "corrupt");
    let outside = "<!DOCTYPE kml SYSTEM \"file:///etc/passwd\">";
    assert_eq!(code(&document(POINT).replace("<kml", &format!("{outside}<kml"))), "corrupt");
    assert_eq!(code(&document(&placemark(&format!("<name>&b;</name>{POINT}")))), "corrupt");
    assert_eq!(code(&document(&"<Folder>".repeat(100_000))), "too_deep");
    assert_eq!(code(&document(&placemark(&"<MultiGeometry>".repeat(100_000)))), "too_deep");
    assert_eq!(code(&document("<a></b>")), "corrupt");
    let good = document(&[placemark(POINT), placemark(POINT)].concat());
    let second = good.rfind("<Point>").unwrap();
    let error = read_bytes("a.kml", &good[..second]).unwrap_err();
    assert_eq!((error.code(), error.row()), ("truncated", Some(1)));
    assert_eq!(code(&good[..second + 3]), "truncated");
    let folder = Folder::new();
    let path = folder.put("a.kml", document(&placemark(&format!("<name>{}</name>", "x".repeat(4 << 20)))));
    let options = ReadOptions { max_line_bytes: 1 << 20, ..ReadOptions::new(PROVINCE) };
    assert_eq!(read_with(&path, &options).unwrap_err().code(), "line_too_long");
    let bomb = folder.put("b.kmz", zip(&[("doc.kml", document(&" ".repeat(80 << 20)).as_bytes())]));
    assert_eq!(read(&bomb).unwrap_err().code(), "corrupt");
    assert!(common::peak_mb() < 512, "{} MB", common::peak_mb());
}

#[test]
fn damage_never_panics() {
    let text = document(&format!(
        "<Folder><name>Trạm</name>{}{}</Folder>",
        placemark(&format!(
            "<name>a &amp; b</name><ExtendedData><Data name=\"x\"><value>1</value></Data></ExtendedData>{POINT}"
        )),
        placemark(
            "<MultiGeometry><Polygon><outerBoundaryIs><LinearRing><coordinates>106,11 106.1,11 106.1,11.1 106,11</coordinates></LinearRing></outerBoundaryIs></Polygon></MultiGeometry>"
        ),
    ));
    survives_damage("a.kml", text.as_bytes(), &[]);
    survives_damage("a.kmz", &zip(&[("doc.kml", text.as_bytes())]), &[]);
}

#[test]
fn what_is_written_is_what_gdal_reads() {
    let rows = [
        common::point("a", 106.123_456_789, 11.1).replace("\"name\":\"Trạm a\"", "\"name\":\"<Trạm> & \\u0001\\\"a\\\"\",\"so\":7,\"ha\":1.5"),
        r#"{"type":"Feature","id":"b","properties":{"name":"lô","so":null},"geometry":{"type":"MultiPolygon","coordinates":[[[[106,11],[106.1,11],[106.1,11.1],[106,11]],[[106.05,11.01],[106.06,11.01],[106.06,11.02],[106.05,11.01]]]]}}"#.into(),
        r#"{"type":"Feature","id":"c","properties":{},"geometry":{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[106.3,11.3]},{"type":"LineString","coordinates":[[106,11],[106.1,11.2]]}]}}"#.into(),
    ];
    let (summary, features) = read_bytes("a.geojson", common::collection(&rows)).unwrap();
    let folder = Folder::new();
    let path = folder.0.path().join("a.kml");
    let all = || features.iter().map(|(_, feature)| feature.clone());
    assert_eq!(write_file(&path, &mut all(), &summary.fields, &WriteOptions::default()).unwrap(), 3);
    let (_, back) = read(&path).unwrap();
    assert_eq!(back[0].1.text("name"), Some("<Trạm> & \"a\""), "without what XML cannot hold");
    assert_eq!((&back[0].1.properties["so"], &back[0].1.properties["ha"]), (&Value::Integer(7), &Value::Real(1.5)));
    for ((_, was), (_, is)) in features.iter().zip(&back) {
        assert_eq!((&was.id, &was.geometry), (&is.id, &is.geometry));
    }
    let options = WriteOptions { crs: Some(9209), ..WriteOptions::default() };
    assert_eq!(write_file(&path, &mut all(), &summary.fields, &options).unwrap_err().code(), "crs_unsupported");
    if !ogr2ogr(&["--version"]) {
        return;
    }
    let mut theirs = by_gdal(&path, "");
    theirs.iter_mut().for_each(|feature| feature.properties.retain(|name, _| matches!(name, "so" | "ha")));
    assert_same(&features, &theirs, 1e-9);
}

#[test]
fn numbers_and_truths_are_written_so_that_others_find_them() {
    let rows = [
        "7,\"dai\":-8,\"xa\":9,\"co\":true,\"thuc\":1e-300",
        "-2147483648,\"dai\":3000000000,\"xa\":9007199254740993,\"co\":false,\"thuc\":1e300",
    ];
    let rows: Vec<String> = rows
        .iter()
        .zip(["a", "b"])
        .map(|(row, id)| common::point(id, 106.1, 11.1).replace("\"name\":", &format!("\"so\":{row},\"name\":")))
        .collect();
    let (summary, features) = read_bytes("a.geojson", common::collection(&rows)).unwrap();
    let folder = Folder::new();
    let path = folder.0.path().join("a.kml");
    let mut all = features.iter().map(|(_, feature)| feature.clone());
    write_file(&path, &mut all, &summary.fields, &WriteOptions::default()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    // The whole numbers of KML have 32 bits, and a `true` is read as zero.
    for (name, kind) in [("so", "double"), ("dai", "double"), ("xa", "string"), ("co", "bool"), ("thuc", "double")] {
        assert!(text.contains(&format!("<SimpleField name=\"{name}\" type=\"{kind}\"/>")), "{name}: {text}");
    }
    let (_, back) = read(&path).unwrap();
    for ((_, was), (_, is)) in features.iter().zip(&back) {
        assert_eq!((&was.properties["co"], &was.properties["thuc"]), (&is.properties["co"], &is.properties["thuc"]));
        assert_eq!(was.properties["xa"].to_string(), is.properties["xa"].to_string());
    }
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 1, "nothing waits any more");
    if !ogr2ogr(&["--version"]) {
        return;
    }
    let theirs = by_gdal(&path, "");
    assert_eq!(theirs[1].properties["so"], Value::Real(-2_147_483_648.0));
    assert_eq!(theirs[1].properties["dai"], Value::Real(3e9));
    assert_eq!(theirs[1].text("xa"), Some("9007199254740993"));
    assert_eq!(
        [&theirs[0], &theirs[1]].map(|their| their.properties["co"].clone()),
        [Value::Integer(1), Value::Integer(0)]
    );
}
