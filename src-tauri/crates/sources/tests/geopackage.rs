//! GeoPackages from elsewhere, honest and not.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Folder, PROVINCE, read, read_with, rejected};
use geo_types::{Geometry, Point};
use model::Value;
use rusqlite::Connection;
use sources::{Format, ReadOptions};
use std::path::{Path, PathBuf};

const FRAME: &str = "
PRAGMA application_id = 0x47504B47;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER PRIMARY KEY, organization TEXT, organization_coordsys_id INTEGER, definition TEXT, description TEXT);
INSERT INTO gpkg_spatial_ref_sys VALUES ('WGS 84',4326,'EPSG',4326,'x',''),('VN-2000',100001,'epsg',9209,'x',''),('Own',77,'NONE',77,'x','');
CREATE TABLE gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT, identifier TEXT, srs_id INTEGER);
CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, geometry_type_name TEXT, srs_id INTEGER, z INTEGER, m INTEGER);
";

fn make(path: &Path, sql: &str) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch(FRAME).unwrap();
    db.execute_batch(sql).unwrap();
    db
}

fn table(name: &str, srs_id: i64) -> String {
    format!(
        "CREATE TABLE \"{name}\" (fid INTEGER PRIMARY KEY AUTOINCREMENT, geom POINT, ten TEXT, ok BOOLEAN, ha REAL, n INTEGER);
         INSERT INTO gpkg_contents VALUES ('{name}','features','{name}',{srs_id});
         INSERT INTO gpkg_geometry_columns VALUES ('{name}','geom','POINT',{srs_id},0,0);"
    )
}

fn insert(db: &Connection, table: &str, x: f64, y: f64, name: &str) {
    let blob = model::to_gpkg_blob(&Geometry::Point(Point::new(x, y)), 4326).unwrap();
    db.execute(&format!("INSERT INTO \"{table}\" (geom, ten, ok, ha, n) VALUES (?1, ?2, 1, 1.5, 7)"), (blob, name))
        .unwrap();
}

fn honest(folder: &Folder) -> PathBuf {
    let path = folder.0.path().join("a?b c#.gpkg");
    let db = make(&path, &table("trạm \"x\"".replace('"', "").as_str(), 4326));
    for i in 0..200 {
        insert(&db, "trạm x", 106.1 + f64::from(i) / 1000.0, 11.1, &format!("Tra\u{323}m {i}"));
    }
    path
}

#[test]
fn honest_file_is_read_with_types_and_keys() {
    let folder = Folder::new();
    let (summary, features) = read(&honest(&folder)).unwrap();
    assert_eq!((summary.format, summary.crs, features.len()), (Format::GeoPackage, 4326, 200));
    let first = &features[0].1;
    assert_eq!((first.id.as_str(), first.text("ten")), ("1", Some("Trạm 0")));
    assert_eq!(
        (&first.properties["ok"], &first.properties["ha"], &first.properties["n"]),
        (&Value::Bool(true), &Value::Real(1.5), &Value::Integer(7))
    );
    assert!(!first.properties.contains_key("fid") && !first.properties.contains_key("geom"));
}

#[test]
fn reference_file_of_gdal_is_read() {
    let path = Path::new("/work/shared/domain/reference_1.4.gpkg");
    if !path.exists() {
        println!("SKIPPED: {} is not there", path.display());
        return;
    }
    let (summary, features) = read(path).unwrap();
    assert_eq!(rejected(&summary), []);
    assert!(!features.is_empty());
}

#[test]
fn crs_comes_from_the_file() {
    let folder = Folder::new();
    let path = folder.0.path().join("grid.gpkg");
    insert(&make(&path, &table("a", 100_001)), "a", 568_469.126, 1_250_153.911, "x");
    let (summary, features) = read(&path).unwrap();
    assert_eq!(summary.crs, 9209);
    assert!(matches!(features[0].1.geometry, Geometry::Point(p) if (p.x() - 106.129).abs() < 1e-7));
    let path = folder.0.path().join("own.gpkg");
    insert(&make(&path, &table("a", 77)), "a", 568_469.126, 1_250_153.911, "x");
    assert_eq!(read(&path).unwrap_err().code(), "crs_unknown");
    assert!(read_with(&path, &ReadOptions { crs: Some(9209), ..ReadOptions::new(PROVINCE) }).is_ok());
}

#[test]
fn several_tables_want_a_word() {
    let folder = Folder::new();
    let path = folder.0.path().join("a.gpkg");
    let db = make(&path, &format!("{}{}", table("a", 4326), table("b", 4326)));
    insert(&db, "b", 106.0, 11.0, "x");
    let error = read(&path).unwrap_err();
    assert_eq!(error.code(), "several_tables");
    assert!(error.to_string().contains("a, b"), "{error}");
    let options = ReadOptions { table: Some("b".into()), ..ReadOptions::new(PROVINCE) };
    assert_eq!(read_with(&path, &options).unwrap().1.len(), 1);
    let empty = folder.0.path().join("e.gpkg");
    drop(make(&empty, ""));
    assert_eq!(read(&empty).unwrap_err().code(), "no_table");
}

#[test]
fn bad_rows_cost_their_row() {
    let folder = Folder::new();
    let path = folder.0.path().join("a.gpkg");
    let db = make(&path, &table("a", 4326));
    insert(&db, "a", 106.0, 11.0, "x");
    db.execute_batch(
        "INSERT INTO a (geom) VALUES (NULL); INSERT INTO a (geom) VALUES (x'4750'); INSERT INTO a (geom) VALUES ('text');
         INSERT INTO a (geom) VALUES (x'47500001E61000000102000000FFFFFFFF');",
    )
    .unwrap();
    insert(&db, "a", 1060.0, 11.0, "x");
    insert(&db, "a", f64::NAN, 11.0, "x");
    db.execute("INSERT INTO a (geom, ten) SELECT geom, CAST(x'ff41' AS TEXT) FROM a LIMIT 1", []).unwrap();
    db.execute("INSERT INTO a (geom, ha) SELECT geom, 9e999 FROM a LIMIT 1", []).unwrap();
    let mut deep = b"GP\0\x01\xe6\x10\0\0".to_vec();
    (0..100_000).for_each(|_| deep.extend([1, 7, 0, 0, 0, 1, 0, 0, 0]));
    db.execute("INSERT INTO a (geom) VALUES (?1)", [deep]).unwrap();
    let (summary, features) = read(&path).unwrap();
    assert_eq!(features.len(), 1);
    let codes: Vec<&str> = rejected(&summary).iter().map(|(_, code)| *code).collect();
    assert_eq!(
        codes,
        [
            "geometry_missing",
            "geometry_invalid",
            "geometry_invalid",
            "geometry_invalid",
            "coordinate_range",
            "geometry_missing",
            "encoding",
            "not_finite",
            "geometry_invalid"
        ],
        "{:?}",
        summary.report.rejected
    );
}

#[test]
fn evil_views_triggers_and_columns_are_never_run() {
    let endless = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM r) SELECT count(*) FROM r";
    let folder = Folder::new();
    let started = std::time::Instant::now();

    // The feature table is a view that never ends.
    let path = folder.0.path().join("view.gpkg");
    drop(make(&path, &format!("CREATE VIEW a AS SELECT 1 AS fid, x'00' AS geom, ({endless}) AS ten;
        INSERT INTO gpkg_contents VALUES ('a','features','a',4326); INSERT INTO gpkg_geometry_columns VALUES ('a','geom','POINT',4326,0,0);")));
    assert_eq!(read(&path).unwrap_err().code(), "no_table");

    // The catalogue itself is one.
    let path = folder.0.path().join("catalogue.gpkg");
    drop(make(
        &path,
        &format!(
            "{} DROP TABLE gpkg_contents; CREATE VIEW gpkg_contents AS SELECT 'a' AS table_name, 'features' AS data_type, ({endless}) AS x;",
            table("a", 4326)
        ),
    ));
    assert_eq!(read(&path).unwrap_err().code(), "corrupt");

    // Triggers, a computed column and a check that never end.
    let path = folder.0.path().join("column.gpkg");
    let db = make(&path, &format!("{} ALTER TABLE a ADD COLUMN evil TEXT AS (upper(ten)) VIRTUAL;", table("a", 4326)));
    insert(&db, "a", 106.0, 11.0, "x");
    db.execute_batch(&format!("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT ({endless}); END;")).unwrap();
    drop(db);
    let (_, features) = read(&path).unwrap();
    assert!(!features[0].1.properties.contains_key("evil"));

    // A computed column that blows up.
    let path = folder.0.path().join("bomb.gpkg");
    let bomb = "ALTER TABLE a ADD COLUMN evil TEXT AS (zeroblob(100000000)) VIRTUAL;";
    insert(&make(&path, &format!("{} {bomb}", table("a", 4326))), "a", 106.0, 11.0, "x");
    assert_eq!(read(&path).unwrap_err().code(), "corrupt");

    // A virtual table as feature table.
    let path = folder.0.path().join("virtual.gpkg");
    drop(make(&path, "CREATE VIRTUAL TABLE a USING rtree(fid, geom, x);
        INSERT INTO gpkg_contents VALUES ('a','features','a',4326); INSERT INTO gpkg_geometry_columns VALUES ('a','geom','POINT',4326,0,0);"));
    assert_eq!(read(&path).unwrap_err().code(), "no_table");
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn flipped_bits_and_cut_files_give_rows_or_errors() {
    let folder = Folder::new();
    let good = std::fs::read(honest(&folder)).unwrap();
    let mut random: u64 = 1;
    let mut next = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    let mut errors = 0;
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..4 {
            let at = next(bytes.len());
            bytes[at] ^= 1 << next(8);
        }
        errors += usize::from(read(&folder.put("x.gpkg", &bytes)).is_err());
    }
    assert!(errors > 0);
    for _ in 0..50 {
        let cut = next(good.len());
        let result = read(&folder.put("x.gpkg", &good[..cut]));
        assert!(result.is_err(), "cut at {cut} of {}", good.len());
    }
}

#[test]
fn file_is_not_touched() {
    let folder = Folder::new();
    let path = honest(&folder);
    let before = std::fs::read(&path).unwrap();
    read(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 1, "no -wal, no -journal");
}
