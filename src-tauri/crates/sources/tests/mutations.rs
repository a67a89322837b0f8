//! Every format and protocol with its bytes changed as damage and malice change them: spans cut out, doubled and put
//! elsewhere, numbers grown beyond all measure, signs of the format where none belong. Each answer is features or an
//! error that names the file or the host; each round replays by its number.
#![allow(clippy::unwrap_used)]

mod common;

use common::mutate::{in_round, judged, mutated};
use common::server::{Asked, answer, serve};
use common::{Folder, PROVINCE, peak_mb, point, random, read, read_with, wanted, zip};
use geo_types::{Geometry, LineString, Point, polygon};
use model::{Feature, LayerId, Protocol, RestMapping, Value};
use sources::sensorthings::{Series, history, latest, streams};
use sources::{Client, ClientOptions, FetchError, Format, ReadOptions, Url, Wanted, WriteOptions};
use sources::{columns, recognise, service, sniff, station_file, write_file};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ROUNDS: u64 = 200;
/// What a maker of samples does to each piece of bytes before it puts them together.
type Mutate<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<u8>;

fn shapes() -> Vec<Feature> {
    let lot = polygon!(
        exterior: [(x: 106.0, y: 11.0), (x: 106.1, y: 11.0), (x: 106.1, y: 11.1), (x: 106.0, y: 11.0)],
        interiors: [[(x: 106.06, y: 11.01), (x: 106.08, y: 11.01), (x: 106.08, y: 11.03), (x: 106.06, y: 11.01)]]
    );
    let line = LineString::from(vec![(106.0, 11.0), (106.25, 11.5), (106.5, 11.25)]);
    let geometries: [Geometry<f64>; 3] = [Point::new(106.125, 11.25).into(), line.into(), lot.into()];
    let all = geometries.into_iter().zip(1i64..).map(|(geometry, n)| Feature {
        id: format!("T{n}"),
        geometry,
        properties: [
            ("tên".to_owned(), Value::Text(format!("Trạm \"{n}\", phường Tân Ninh"))),
            ("so".to_owned(), Value::Integer(n * 1000)),
            ("ha".to_owned(), Value::Real(1.25)),
            ("mo".to_owned(), Value::Bool(true)),
        ]
        .into(),
    });
    all.collect()
}

/// Our own writer's file of that ending.
fn written(ending: &str) -> Vec<u8> {
    let folder = Folder::new();
    let source = folder.put("a.geojson", "");
    let path = source.with_file_name(format!("b.{ending}"));
    // The table of fields is what a read of the same features gives.
    write_file(&source, &mut shapes().into_iter(), &[], &WriteOptions::default()).unwrap();
    let fields = read(&source).unwrap().0.fields;
    write_file(&path, &mut shapes().into_iter(), &fields, &WriteOptions::default()).unwrap();
    std::fs::read(path).unwrap()
}

/// Reads the file in some hundred mutations. Both outcomes must come up, or the mutations are too mild or too coarse.
fn survives(name: &str, make: impl Fn(Mutate<'_>) -> Vec<u8>, crs: Option<u32>) {
    let folder = Folder::new();
    let options = ReadOptions { crs, ..ReadOptions::new(PROVINCE) };
    let sound = folder.put(name, make(&mut <[u8]>::to_vec));
    let (summary, features) = read_with(&sound, &options).unwrap();
    assert!(!features.is_empty() && summary.report.rejected.is_empty(), "{name}: {:?}", summary.report);
    let (mut good, mut bad) = (0, 0);
    for round in 0..ROUNDS {
        let mut state = round;
        let path = folder.put(name, make(&mut |bytes| mutated(bytes, &mut state)));
        in_round(name, round, || {
            let whole = judged(name, round, read_with(&path, &options));
            *if whole { &mut good } else { &mut bad } += 1;
            judged(name, round, sniff(&path));
            judged(name, round, columns(&path, &options));
        });
    }
    assert!(good > 0 && bad > 0, "{name}: {good} read, {bad} refused");
    assert!(peak_mb() <= 512, "{name}: {} MB", peak_mb());
}

/// Mutates the bytes as they are.
fn plain(bytes: Vec<u8>) -> impl Fn(Mutate<'_>) -> Vec<u8> {
    move |mutate| mutate(&bytes)
}

/// Mutates what is in the archive, one member a round, since a change of packed bytes seldom gets past the check sum; in
/// one of five rounds the archive itself.
fn packed(members: Vec<(&'static str, Vec<u8>)>) -> impl Fn(Mutate<'_>) -> Vec<u8> {
    let round = std::cell::Cell::new(0);
    move |mutate| {
        let turn = round.replace(round.get() + 1);
        let chosen = turn % (members.len() + 1);
        let changed: Vec<(&str, Vec<u8>)> = members
            .iter()
            .enumerate()
            .map(|(at, (name, bytes))| (*name, if at == chosen { mutate(bytes) } else { bytes.clone() }))
            .collect();
        let archive = zip(&changed.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect::<Vec<_>>());
        if chosen == members.len() { mutate(&archive) } else { archive }
    }
}

#[test]
fn geojson_and_its_lines() {
    survives("a.geojson", plain(written("geojson")), None);
    let lines = written("geojsonl");
    survives("a.geojsonl", plain(lines.clone()), None);
    let sequence: Vec<u8> = lines.split_inclusive(|byte| *byte == b'\n').flat_map(|l| [b"\x1e", l].concat()).collect();
    survives("a.geojsons", plain(sequence), None);
}

#[test]
fn tables() {
    survives("a.csv", plain(written("csv")), None);
    let grid = "Mã;Tên;X (m);Y (m)\n01;\"Trạm; một\";1250153,911;568469,126\n02;Hai;1250100;568400\n";
    survives("grid.csv", plain(grid.into()), Some(9209));
    let row = |n: u32, cells: &str| format!("<row r=\"{n}\">{cells}</row>");
    let heads = ["Mã", "Tên", "Kinh độ", "Vĩ độ"].map(|t| format!("<c t=\"inlineStr\"><is><t>{t}</t></is></c>"));
    let body = |n: u32| {
        format!(
            "<c r=\"A{n}\"><v>{n}</v></c><c r=\"B{n}\" t=\"s\"><v>0</v></c><c r=\"C{n}\" s=\"1\"><v>106.3{n}</v></c><c r=\"D{n}\"><v>11.03</v></c>"
        )
    };
    let rows = [row(1, &heads.concat()), row(2, &body(2)), row(3, &body(3))].concat();
    let main = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"";
    let relations = "xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";
    let parts: [(&str, String); 6] = [
        ("[Content_Types].xml", "<Types/>".into()),
        ("xl/workbook.xml", format!("<workbook {main} {relations}><sheets><sheet name=\"Trạm\" sheetId=\"1\" r:id=\"a\"/></sheets></workbook>")),
        ("xl/_rels/workbook.xml.rels", "<Relationships><Relationship Id=\"a\" Type=\"http://x/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"s\" Type=\"http://x/styles\" Target=\"styles.xml\"/><Relationship Id=\"t\" Type=\"http://x/sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>".into()),
        ("xl/styles.xml", format!("<styleSheet {main}><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"0\"/></cellXfs></styleSheet>")),
        ("xl/sharedStrings.xml", "<sst count=\"1\" uniqueCount=\"1\"><si><t>Trạm Trảng Bàng</t></si></sst>".into()),
        ("xl/worksheets/sheet1.xml", format!("<worksheet><dimension ref=\"A1:D3\"/><sheetData>{rows}</sheetData></worksheet>")),
    ];
    survives("a.xlsx", packed(parts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()), None);
}

#[test]
fn kml_flatgeobuf_and_drawings() {
    let kml = written("kml");
    survives("a.kml", plain(kml.clone()), None);
    survives("a.kmz", packed(vec![("doc.kml", kml)]), None);
    survives("a.fgb", plain(written("fgb")), None);
    let drawing = "0 SECTION 2 HEADER 9 $DWGCODEPAGE 3 ANSI_1258 0 ENDSEC 0 SECTION 2 ENTITIES \
        0 POINT 5 1A 8 TRAM 10 568469.126 20 1250153.911 30 7 \
        0 LWPOLYLINE 5 2B 8 THUA 90 4 70 1 10 568400 20 1250100 10 568500 20 1250100 42 1 10 568500 20 1250200 10 568400 20 1250200 \
        0 ARC 8 CUA 10 568400 20 1250100 40 5 50 270 51 90 \
        0 POLYLINE 8 RANH 66 1 70 0 0 VERTEX 8 RANH 10 568400 20 1250100 0 VERTEX 8 RANH 10 568500 20 1250150 0 SEQEND \
        0 ENDSEC 0 EOF";
    let lines: String = drawing.split_whitespace().map(|word| format!("{word}\r\n")).collect();
    survives("a.dxf", plain(lines.into_bytes()), Some(9209));
}

#[test]
fn zipped_shapefiles() {
    let mut shape = [&[0, 0, 0x27, 0x0a][..], &[0; 20], &78u32.to_be_bytes(), &1000u32.to_le_bytes()].concat();
    shape.extend(1u32.to_le_bytes());
    shape.resize(100, 0);
    for (n, x) in [(1u32, 106.125f64), (2, 106.25)] {
        shape.extend([n.to_be_bytes(), 10u32.to_be_bytes(), 1u32.to_le_bytes()].concat());
        shape.extend([x.to_le_bytes(), 11.25f64.to_le_bytes()].concat());
    }
    let mut table = vec![3, 126, 11, 28, 2, 0, 0, 0, 65, 0, 13, 0];
    table.resize(32, 0);
    table.extend(b"ten\0\0\0\0\0\0\0\0C\0\0\0\0\x0c");
    table.resize(64, 0);
    table.extend(b"\x0d B\xd5n C\xc7u\x20\x20\x20\x20\x20 Long An\x20\x20\x20\x20\x20\x1a");
    let system = br#"GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]"#;
    let members = [("a.shp", shape), ("a.dbf", table), ("a.prj", system.to_vec()), ("a.cpg", b"1258".to_vec())];
    survives("a.zip", packed(members.into()), None);
}

#[test]
fn geopackages() {
    let folder = Folder::new();
    let path = folder.0.path().join("a.gpkg");
    let db = rusqlite::Connection::open(&path).unwrap();
    // Small pages: of a small file, more bytes mean something.
    db.execute_batch(
        "PRAGMA page_size = 512; PRAGMA application_id = 0x47504B47;
         CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER PRIMARY KEY, organization TEXT, organization_coordsys_id INTEGER, definition TEXT, description TEXT);
         INSERT INTO gpkg_spatial_ref_sys VALUES ('WGS 84',4326,'EPSG',4326,'x','');
         CREATE TABLE gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT, identifier TEXT, srs_id INTEGER);
         CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, geometry_type_name TEXT, srs_id INTEGER, z INTEGER, m INTEGER);
         CREATE TABLE t (fid INTEGER PRIMARY KEY, geom GEOMETRY, ten TEXT, ha REAL);
         INSERT INTO gpkg_contents VALUES ('t','features','t',4326);
         INSERT INTO gpkg_geometry_columns VALUES ('t','geom','GEOMETRY',4326,0,0);",
    )
    .unwrap();
    for feature in shapes() {
        let blob = model::to_gpkg_blob(&feature.geometry, 4326).unwrap();
        db.execute("INSERT INTO t (geom, ten, ha) VALUES (?1, ?2, 1.5)", (blob, feature.id)).unwrap();
    }
    drop(db);
    survives("a.gpkg", plain(std::fs::read(path).unwrap()), None);
}

#[test]
fn station_files() {
    let folder = Folder::new();
    let (name, zone) = ("TN_KK_TN01_20260325000500.txt", jiff::tz::TimeZone::UTC);
    let good = "PM2,5\t27,81\tug/m3\t20260325000500\t00\r\nPM10\t48\tug/m3\t20260325000500\t00\r\nSO2\t\tppb\t20260325000500\t02\r\n";
    for round in 0..4 * ROUNDS {
        let path = folder.put(name, mutated(good.as_bytes(), &mut round.clone()));
        in_round(name, round, || {
            let file = station_file::read(&path, &zone, "2026-03-25T01:00:00Z".parse().unwrap());
            if let Ok(file) = &file {
                let finite = |value: Option<f64>| value.is_none_or(f64::is_finite);
                assert!(file.rows.iter().all(|row| finite(row.value)), "{file:?}");
                assert_eq!(file.report.accepted as usize, file.rows.len());
            }
            judged(name, round, file);
            assert!(judged(name, round, sniff(&path).map(|_: Format| ())) || path.metadata().unwrap().len() < 200);
        });
    }
    assert!(peak_mb() <= 512, "{} MB", peak_mb());
}

/// Answers every request as `good` does; once `rounds` go by, with mutations that depend on the round and the address alone.
/// Asks by `ask` each time.
fn service_survives<A>(what: &str, good: fn(&Asked) -> String, ask: A)
where
    A: AsyncFn(&Client, &Url) -> Result<usize, FetchError>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let round = Arc::new(AtomicU64::new(0));
    let now = round.clone();
    let (root, _) = runtime.block_on(serve(move |asked| {
        let body = good(asked);
        let mut state = now.load(Ordering::Relaxed);
        asked.path.bytes().for_each(|byte| state = state.wrapping_mul(31).wrapping_add(byte.into()));
        // Where several answers are wanted, the later ones must be reached too.
        let keep = now.load(Ordering::Relaxed) == 0 || random(&mut state, 2) == 0;
        answer("200 OK", "", if keep { body.into_bytes() } else { mutated(body.as_bytes(), &mut state) })
    }));
    let limits = ClientOptions { body_limit_bytes: 4 << 20, collection_limit_bytes: 4 << 20, ..Default::default() };
    let client = Client::with(limits);
    let whole = runtime.block_on(ask(&client, &root));
    assert!(whole.as_ref().is_ok_and(|count| *count > 0), "{what}: {whole:?}");
    let (mut good, mut bad) = (0, 0);
    for n in 1..=ROUNDS {
        round.store(n, Ordering::Relaxed);
        match in_round(what, n, || runtime.block_on(ask(&client, &root))) {
            Ok(_) => good += 1,
            Err(error) => {
                bad += 1;
                assert!(error.to_string().contains("127.0.0.1"), "{what}, round {n}: {error}");
            }
        }
    }
    assert!(good > 0 && bad > 0, "{what}: {good} read, {bad} refused");
    assert!(peak_mb() <= 512, "{what}: {} MB", peak_mb());
}

async fn fetched(protocol: Protocol, client: &Client, wanted: Wanted<'_>) -> Result<usize, FetchError> {
    match service(protocol).unwrap().fetch(client, wanted, &mut |_, _| {}).await? {
        sources::Fetched::Features(collection) => Ok(collection.features.len()),
        sources::Fetched::NotModified => Ok(0),
    }
}

/// A service of features, asked for `communes` below `path`.
fn features_survive(protocol: Protocol, path: &'static str, good: fn(&Asked) -> String) {
    service_survives(protocol.as_str(), good, async |client: &Client, root: &Url| {
        let root = root.join(path).unwrap();
        // What is pasted into the window is looked at before it is fetched.
        let known = recognise(client, root.as_str()).await.map(|_| 1);
        let count = fetched(protocol, client, wanted(&root, "communes", Path::new("/proc/nowhere"))).await?;
        known.map(|_| count)
    });
}

fn from(asked: &Asked, name: &str) -> usize {
    asked.query(name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
fn ogc_pages() {
    features_survive(Protocol::OgcApiFeatures, "/", |asked| {
        if asked.path.starts_with("/collections/communes/items") {
            let at = from(asked, "offset");
            let next = if at < 4 { format!(r#"{{"rel":"next","href":"?offset={}"}}"#, at + 2) } else { String::new() };
            let rows = [point(&format!("a{at}"), 106.1, 11.1), point(&format!("b{at}"), 106.25, 11.5)].join(",");
            return format!(r#"{{"type":"FeatureCollection","numberMatched":6,"links":[{next}],"features":[{rows}]}}"#);
        }
        let collection = r#"{"id":"communes","title":"Xã","itemType":"feature","links":[{"rel":"items","type":"application/geo+json","href":"/collections/communes/items"}]}"#;
        if asked.path.starts_with("/collections") {
            return format!(r#"{{"links":[],"collections":[{collection}]}}"#);
        }
        r#"{"title":"OGC","links":[{"rel":"data","href":"/collections"},{"rel":"conformance","href":"/conformance"}],"conformsTo":["http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"]}"#.into()
    });
}

#[test]
fn wfs_in_gml() {
    features_survive(Protocol::Wfs, "/wfs", |asked| {
        let request = asked.query("request").unwrap_or_default();
        if request == "GetCapabilities" {
            return "<?xml version='1.0'?><WFS_Capabilities version='2.0.0' xmlns='http://www.opengis.net/wfs/2.0' xmlns:ows='http://www.opengis.net/ows/1.1'>\
                <ows:OperationsMetadata><ows:Operation name='GetFeature'/><ows:Constraint name='ImplementsResultPaging'><ows:DefaultValue>TRUE</ows:DefaultValue></ows:Constraint></ows:OperationsMetadata>\
                <FeatureTypeList><FeatureType><Name>tn:communes</Name><Title>Xã</Title><DefaultCRS>urn:ogc:def:crs:EPSG::4326</DefaultCRS></FeatureType></FeatureTypeList></WFS_Capabilities>".into();
        }
        if request == "DescribeFeatureType" {
            return "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:complexType name='t'><xs:sequence><xs:element name='area' type='xs:double'/></xs:sequence></xs:complexType></xs:schema>".into();
        }
        let hits = asked.query("resulttype").is_some();
        let member = |i: usize| {
            let shape = match i % 3 {
                0 => "<gml:Point><gml:pos>11.25 106.5</gml:pos></gml:Point>",
                1 => {
                    "<gml:MultiCurve><gml:curveMember><gml:LineString><gml:posList srsDimension='2'>11.25 106.5 11.5 106.5</gml:posList></gml:LineString></gml:curveMember></gml:MultiCurve>"
                }
                _ => {
                    "<gml:Polygon><gml:exterior><gml:LinearRing><gml:posList>11 106 11 106.5 11.5 106.5 11 106</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>"
                }
            };
            format!(
                "<wfs:member><tn:communes gml:id='communes.{i}'><tn:name>Xã &amp; {i}</tn:name><tn:area>1.5</tn:area><tn:geom>{shape}</tn:geom></tn:communes></wfs:member>"
            )
        };
        let at = from(asked, "startindex");
        let members: String = (at..if hits { at } else { 6.min(at + 3) }).map(member).collect();
        format!(
            "<wfs:FeatureCollection xmlns:wfs='http://www.opengis.net/wfs/2.0' xmlns:gml='http://www.opengis.net/gml/3.2' xmlns:tn='http://example.vn/tn' numberMatched='6' numberReturned='3'>{members}</wfs:FeatureCollection>"
        )
    });
}

#[test]
fn arcgis_layers() {
    features_survive(Protocol::ArcGis, "/FeatureServer", |asked| {
        if asked.query("returncountonly").is_some() {
            return r#"{"count":4}"#.into();
        }
        if asked.path.contains("/query") {
            let at = from(asked, "resultoffset");
            let row = |i: usize| {
                format!(
                    r#"{{"attributes":{{"OBJECTID":{i},"surveyed":1795442400000,"name":"c{i}"}},"geometry":{{"rings":[[[106,11],[106,11.5],[106.5,11.5],[106,11]]]}}}}"#
                )
            };
            let rows: Vec<String> = (at + 1..=4.min(at + 2)).map(row).collect();
            return format!(
                r#"{{"exceededTransferLimit":{},"spatialReference":{{"wkid":4326}},"features":[{}]}}"#,
                at + 2 < 4,
                rows.join(",")
            );
        }
        if asked.path.starts_with("/FeatureServer/0") {
            return r#"{"id":0,"name":"communes","type":"Feature Layer","geometryType":"esriGeometryPolygon","maxRecordCount":2,"supportedQueryFormats":"JSON","objectIdField":"OBJECTID","fields":[{"name":"OBJECTID","type":"esriFieldTypeOID"},{"name":"surveyed","type":"esriFieldTypeDate"},{"name":"name","type":"esriFieldTypeString"}],"advancedQueryCapabilities":{"supportsPagination":true,"supportsOrderBy":true}}"#.into();
        }
        r#"{"currentVersion":10.9,"layers":[{"id":0,"name":"communes","type":"Feature Layer"}]}"#.into()
    });
}

#[test]
fn warnings_by_cap() {
    service_survives(
        "cap",
        |asked| {
            let alert = |id: &str| {
                format!(
                    "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>{id}</identifier><sender>kttv@example.vn</sender><sent>2026-11-28T08:00:00+07:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><references>kttv@example.vn,A0,2026-11-27T08:00:00+07:00</references><info><language>vi-VN</language><event>Lũ</event><severity>Severe</severity><expires>2099-11-28T18:00:00+07:00</expires><headline>Lũ trên sông</headline><area><areaDesc>Trảng Bàng</areaDesc><polygon>11.0,106.3 11.1,106.3 11.1,106.4 11.0,106.3</polygon><circle>11.0,106.3 5</circle><geocode><valueName>commune</valueName><value>25708</value></geocode></area></info></alert>"
                )
            };
            match asked.path.as_str() {
                "/a1" => alert("A1"),
                _ => format!(
                    "<feed xmlns='http://www.w3.org/2005/Atom'><entry><link type='application/cap+xml' href='/a1'/></entry><entry><content>{}</content></entry></feed>",
                    alert("A2")
                ),
            }
        },
        async |client: &Client, root: &Url| {
            fetched(Protocol::Cap, client, wanted(root, "alerts", Path::new("/proc/nowhere"))).await
        },
    );
}

#[test]
fn sensorthings() {
    let good = |asked: &Asked| {
        let observed = r#"{"@iot.id":1,"phenomenonTime":"2026-11-28T01:00:00Z/2026-11-28T02:00:00Z","result":"27.5","parameters":{"status":"00"}},{"phenomenonTime":"2026-11-28T01:00:00Z","result":3}"#;
        let stream = format!(
            r#"{{"@iot.id":7,"properties":{{"parameter":"pm25"}},"Observations":[{observed}],"Thing":{{"properties":{{"layer":"air","feature":"kk-1"}}}}}}"#
        );
        let more = if asked.path.contains("skip") { "" } else { r#","@iot.nextLink":"?$skip=2""# };
        if asked.path.contains("/Observations") {
            format!(r#"{{"value":[{observed}]{more}}}"#)
        } else if asked.path.starts_with("/Datastreams") {
            format!(r#"{{"value":[{stream}]{more}}}"#)
        } else {
            format!(
                r#"{{"value":[{{"@iot.id":1,"properties":{{"layer":"air","feature":"kk-1"}},"Datastreams":[{stream}],"Datastreams@iot.nextLink":"/Datastreams?$skip=1"}}]{more}}}"#
            )
        }
    };
    service_survives("sensorthings", good, async |client: &Client, root: &Url| {
        let layer = LayerId::new("air").unwrap();
        let now = latest(client, root, None).await;
        let known = streams(client, root, &layer).await;
        let series = Series::Feature { layer, feature: "kk-1".into() };
        let (from, to) = ("2026-11-28T00:00:00Z".parse().unwrap(), "2026-11-29T00:00:00Z".parse().unwrap());
        let past = history(client, root, &series, from, to).await;
        Ok(now?.observations.len().min(known?.len()).min(past?.observations.len()))
    });
}

#[test]
fn json_services() {
    let list = "path = \"list\"\nitems = \"$.data\"\nid = \"$.id\"\nlon = \"$.at.lon\"\nlat = \"$.at.lat\"\ntotal = \"$.total\"\nas_of = \"$.on\"\nfields = { name = \"$.ten\" }\npaging = { by = \"cursor\", next = \"$.next\", param = \"after\" }";
    let mappings = [list, "ready = \"ngsi-ld\"\npath = \"entities?type=Clinic\"", "ready = \"fhir-location\""];
    let good = |asked: &Asked| {
        let last = asked.path.contains("after") || asked.path.contains("_page");
        let id = if last { 3 } else { 1 };
        if asked.path.starts_with("/list") {
            let next = if last { "null" } else { "\"x\"" };
            return format!(
                r#"{{"total":4,"on":"2026-11-28","next":{next},"data":[{{"id":{id},"at":{{"lon":106.25,"lat":"11.5"}},"ten":"Trạm"}},{{"id":"{}","at":{{"lon":106.5,"lat":11.25}}}}]}}"#,
                id + 1
            );
        }
        if asked.path.starts_with("/entities") {
            if asked.path.contains("offset=2") {
                return "[]".into();
            }
            return r#"[{"id":"urn:ngsi-ld:Clinic:1","type":"Clinic","name":{"type":"Property","value":"Trạm","observedAt":"2026-11-28T00:00:00Z"},"location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[106.25,11.5]}},"beds":{"type":"Property","value":7}},{"id":"urn:ngsi-ld:Clinic:2","type":"Clinic","location":{"type":"Point","coordinates":[106.5,11.25]}}]"#.into();
        }
        let next = if last { "" } else { r#"{"relation":"next","url":"?_page=2"}"# };
        format!(
            r#"{{"resourceType":"Bundle","type":"searchset","total":2,"link":[{next}],"entry":[{{"resource":{{"resourceType":"Location","id":"{id}","name":"Trạm","identifier":[{{"value":"{id}"}}],"position":{{"longitude":106.25,"latitude":11.5}}}},"search":{{"mode":"match"}}}}]}}"#
        )
    };
    for text in mappings {
        let mapping: RestMapping = toml::from_str(text).unwrap();
        service_survives(text, good, async |client: &Client, root: &Url| {
            let wanted = Wanted { mapping: Some(&mapping), ..wanted(root, "clinics", Path::new("/proc/nowhere")) };
            fetched(Protocol::Rest, client, wanted).await
        });
    }
}
