//! What goes in comes out, and nothing goes in by halves.
#![allow(clippy::unwrap_used)]

mod common;

use common::{IdPacking, feature, field, layer, packed, point, points, provenance, square, text};
use geo_types::{Geometry, GeometryCollection, LineString, MultiPolygon, Point, Polygon, Rect, coord};
use model::{Feature, FieldType, GeometryKind, LayerId, Value};
use store::{Cache, Content, Mode, StoreError};

fn open() -> (tempfile::TempDir, Cache) {
    let home = tempfile::tempdir().unwrap();
    let cache = Cache::open(&home.path().join("province.gpkg")).unwrap();
    (home, cache)
}

fn ok(features: &[Feature]) -> impl Iterator<Item = Result<Feature, StoreError>> + use<'_> {
    features.iter().cloned().map(Ok)
}

fn keep(cache: &Cache, features: &[Feature]) -> Vec<Feature> {
    let layer = layer("things", GeometryKind::Mixed);
    cache.replace(&layer, &mut ok(features), &provenance(), None).unwrap();
    cache.read(&layer.id).unwrap()
}

#[test]
fn layer_comes_back_as_it_went_in() {
    let (home, cache) = open();
    let schema = layer("stations", GeometryKind::Point);
    let stored = cache.replace(&schema, &mut points(1000, 7), &provenance(), None).unwrap();
    assert_eq!((stored.version, stored.features), (1, 1000));
    assert_eq!(stored.provenance, provenance());
    assert_eq!(stored.schema, schema);
    let bbox = stored.bbox.unwrap();
    assert_eq!((bbox.west, bbox.south, bbox.north), (105.5, 10.5, 10.5));
    assert_eq!(
        stored.extra.iter().map(|field| (field.name.as_str(), field.field_type)).collect::<Vec<_>>(),
        [("round", FieldType::Integer)]
    );
    drop(cache);
    let cache = Cache::open(&home.path().join("province.gpkg")).unwrap();
    let loaded = cache.load(&schema.id).unwrap().unwrap();
    assert_eq!(loaded.layer, stored);
    assert!(matches!(loaded.content, Content::Features(features) if features.len() == 1000));
    assert_eq!(cache.read(&schema.id).unwrap(), (0..1000).map(|i| point(i, 7)).collect::<Vec<_>>());
    assert_eq!(cache.layers().unwrap(), [stored]);
    assert_eq!(cache.integrity().unwrap(), [""; 0]);
}

#[test]
fn every_kind_of_geometry_comes_back() {
    let (_home, cache) = open();
    let polygon = |x| Polygon::try_from(square(x, 11.0)).unwrap();
    let shapes: Vec<Geometry<f64>> = vec![
        Point::new(106.0, 11.0).into(),
        LineString::from(vec![(106.0, 11.0), (106.1, 11.2)]).into(),
        square(106.0, 11.0),
        MultiPolygon(vec![polygon(106.0), polygon(106.5)]).into(),
        Geometry::GeometryCollection(GeometryCollection(vec![Point::new(1.0, 2.0).into(), square(1.0, 2.0)])),
    ];
    let features: Vec<Feature> =
        shapes.into_iter().enumerate().map(|(i, shape)| feature(&format!("{i}"), shape, &[])).collect();
    assert_eq!(keep(&cache, &features), features);

    let rect = Rect::new(coord! { x: 106.0, y: 11.0 }, coord! { x: 106.2, y: 11.1 });
    let read = keep(&cache, &[feature("r", rect.into(), &[])]);
    assert_eq!(read[0].geometry, Geometry::Polygon(rect.to_polygon()), "a rectangle is kept as a polygon");
}

#[test]
fn singles_among_multis_come_back_as_singles() {
    let (_home, cache) = open();
    let two = MultiPolygon(vec![square(106.0, 11.0).try_into().unwrap(), square(106.5, 11.0).try_into().unwrap()]);
    let single = feature("a", square(106.0, 11.0), &[("n", Value::Integer(1))]);
    let multi = feature("b", two.into(), &[("n", Value::Integer(2))]);
    for features in [vec![single.clone(), multi.clone()], vec![multi, single]] {
        assert_eq!(keep(&cache, &features), features);
    }
}

#[test]
fn columns_widen_to_hold_every_value() {
    let (_home, cache) = open();
    let at = || square(106.0, 11.0);
    let features = [
        feature("1", at(), &[("n", Value::Integer(3)), ("b", Value::Bool(true)), ("big", Value::Integer(i64::MAX))]),
        feature("2", at(), &[("n", Value::Real(2.5)), ("b", text("maybe")), ("big", Value::Real(0.5))]),
        feature("3", at(), &[("n", Value::Null), ("late", text("012"))]),
        feature("4", at(), &[("n", Value::Integer(4)), ("late", Value::Integer(12))]),
    ];
    let read = keep(&cache, &features);
    let value = |row: usize, name: &str| read[row].properties.get(name).cloned().unwrap_or_default();
    assert_eq!((value(0, "n"), value(1, "n"), value(3, "n")), (Value::Real(3.0), Value::Real(2.5), Value::Real(4.0)));
    assert_eq!((value(0, "b"), value(1, "b")), (text("true"), text("maybe")));
    assert_eq!((value(0, "big"), value(1, "big")), (text("9223372036854775807"), text("0.5")));
    assert_eq!((value(2, "late"), value(3, "late")), (text("012"), text("12")), "leading zeros stay");
    assert!(!read[2].properties.contains_key("n"), "null is no property");
}

#[test]
fn declared_types_hold_and_dates_stay_dates() {
    let (_home, cache) = open();
    let mut schema = layer("permits", GeometryKind::Point);
    schema.fields =
        vec![field("code", FieldType::Text), field("issued", FieldType::Date), field("open", FieldType::Boolean)];
    let here = Geometry::from(Point::new(106.0, 11.0));
    let good = feature(
        "1",
        here.clone(),
        &[("code", Value::Integer(25459)), ("issued", text("2026-11-23")), ("open", Value::Bool(false))],
    );
    cache.replace(&schema, &mut ok(&[good]), &provenance(), None).unwrap();
    let read = &cache.read(&schema.id).unwrap()[0];
    assert_eq!(read.text("code"), Some("25459"), "a code declared as text is text");
    assert_eq!((read.text("issued"), &read.properties["open"]), (Some("2026-11-23"), &Value::Bool(false)));
    let bad = feature("2", here, &[("issued", text("next spring"))]);
    cache.append(&schema, &mut ok(&[bad]), &provenance()).unwrap();
    let read = cache.read(&schema.id).unwrap();
    assert_eq!((read[0].text("issued"), read[1].text("issued")), (Some("2026-11-23"), Some("next spring")));
}

#[test]
fn any_property_name_can_be_kept() {
    let (_home, cache) = open();
    let names = [
        "fid",
        "geom",
        "id",
        "ID",
        "Tên trạm",
        "a\"b",
        "a b; DROP TABLE x; --",
        "",
        " ",
        "a\0b",
        "rowid",
        "Name",
        "name",
        "order",
        "\u{202e}",
    ];
    let properties: Vec<(&str, Value)> = names.iter().map(|name| (*name, text(name))).collect();
    let features = [feature("x", square(106.0, 11.0), &properties), feature("y", square(106.0, 11.0), &properties)];
    assert_eq!(keep(&cache, &features), features);
    assert_eq!(cache.integrity().unwrap(), [""; 0]);
}

#[test]
fn failing_replacement_leaves_the_layer_as_it_was() {
    let (_home, cache) = open();
    let schema = layer("stations", GeometryKind::Point);
    let before = cache.replace(&schema, &mut points(50, 1), &provenance(), Some(&mut IdPacking::default())).unwrap();
    let stop = || Err(StoreError::Aborted { reason: "row 61 is bad".into() });
    let nan = feature("n", Point::new(f64::NAN, 11.0).into(), &[]);
    let empty = feature("e", LineString::<f64>(vec![]).into(), &[]);
    for (last, code) in [
        (stop(), "aborted"),
        (Ok(point(3, 2)), "duplicate_id"),
        (Ok(nan), "geometry_invalid"),
        (Ok(empty), "geometry_invalid"),
    ] {
        let error = cache.replace(&schema, &mut points(60, 2).chain([last]), &provenance(), None).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(cache.layer(&schema.id).unwrap().as_ref(), Some(&before));
        assert_eq!(cache.read(&schema.id).unwrap().len(), 50);
    }
    let error = cache.append(&schema, &mut points(1, 2), &provenance()).unwrap_err();
    assert!(matches!(&error, StoreError::Duplicate { id, .. } if id == "p0"), "{error}");
    let elsewhere = store::LayerSchema { srs_id: 2154, ..schema.clone() };
    let error = cache.replace(&elsewhere, &mut points(1, 2), &provenance(), None).unwrap_err();
    assert!(matches!(error, StoreError::UnknownSrs { srs_id: 2154 }));
    assert!(packed(&cache, &schema.id).unwrap().starts_with("p0p1 p2p3 "), "what failed took nothing away");
}

#[test]
fn append_and_upsert_keep_ordinals() {
    let (_home, cache) = open();
    let schema = layer("stations", GeometryKind::Point);
    cache.replace(&schema, &mut points(3, 1), &provenance(), Some(&mut IdPacking::default())).unwrap();
    let extra = [point(3, 1)];
    let stored = cache.append(&schema, &mut ok(&extra), &provenance()).unwrap();
    assert_eq!((stored.version, stored.features), (2, 4));
    assert_eq!(packed(&cache, &schema.id), None, "packed old content is not packed new content");
    let mut moved = point(1, 9);
    moved.geometry = Point::new(100.0, 5.0).into();
    moved.properties.remove("name");
    let features = [moved.clone(), point(4, 9), feature("far", Point::new(120.0, 20.0).into(), &[])];
    let stored = cache.upsert(&schema, &mut ok(&features), &provenance()).unwrap();
    assert_eq!((stored.version, stored.features), (3, 6));
    let ids: Vec<String> = cache.read(&schema.id).unwrap().into_iter().map(|feature| feature.id).collect();
    assert_eq!(ids, ["p0", "p1", "p2", "p3", "p4", "far"]);
    assert_eq!(cache.read(&schema.id).unwrap()[1], moved);
    let back = [feature("far", Point::new(106.0, 11.0).into(), &[])];
    let stored = cache.upsert(&schema, &mut ok(&back), &provenance()).unwrap();
    assert_eq!(stored.bbox.unwrap().east, 106.0, "the box shrinks with what it holds");
    // Into nothing, both make the layer; an id twice in one upsert: the last one stays.
    let fresh = layer("fresh", GeometryKind::Point);
    let stored = cache.upsert(&fresh, &mut ok(&[point(1, 1), point(1, 2)]), &provenance()).unwrap();
    assert_eq!((stored.version, stored.features), (1, 1));
    assert_eq!(cache.read(&fresh.id).unwrap(), [point(1, 2)]);
    assert_eq!(cache.integrity().unwrap(), [""; 0]);
}

#[test]
fn version_never_falls() {
    let (_home, cache) = open();
    let schema = layer("stations", GeometryKind::Point);
    for version in 1..=3 {
        let stored = cache.replace(&schema, &mut points(2, 1), &provenance(), None).unwrap();
        assert_eq!(stored.version, version);
    }
    assert!(cache.remove(&schema.id).unwrap());
    assert!(!cache.remove(&schema.id).unwrap());
    assert_eq!(cache.layer(&schema.id).unwrap(), None);
    assert!(matches!(cache.read(&schema.id), Err(StoreError::UnknownLayer { .. })));
    assert_eq!(cache.replace(&schema, &mut points(2, 1), &provenance(), None).unwrap().version, 4);
}

#[test]
fn touch_etag_and_packed_form_belong_to_the_content() {
    let (_home, cache) = open();
    let schema = layer("stations", GeometryKind::Point);
    let (later, as_of) = ("2026-11-24T01:02:03Z".parse().unwrap(), "2026-11-24T00:00:00Z".parse().unwrap());
    assert!(matches!(cache.touch(&schema.id, later, as_of), Err(StoreError::UnknownLayer { .. })));
    cache.replace(&schema, &mut points(2, 1), &provenance(), None).unwrap();
    cache.set_etag(&schema.id, Some("\"abc\"")).unwrap();
    cache.touch(&schema.id, later, as_of).unwrap();
    let stored = cache.layer(&schema.id).unwrap().unwrap();
    assert_eq!((stored.version, stored.etag.as_deref()), (1, Some("\"abc\"")));
    assert_eq!((stored.provenance.fetched_at, stored.provenance.as_of), (later, as_of));
    let parts = [b"one".to_vec(), b"two".to_vec()];
    assert!(cache.set_packed(&schema.id, 1, &parts).unwrap());
    assert!(!cache.set_packed(&schema.id, 2, &[]).unwrap(), "what belongs to another version is not taken");
    assert_eq!(packed(&cache, &schema.id).as_deref(), Some("one two"));
    assert!(cache.add_packed(&schema.id, 1, 2, b"three").unwrap());
    assert!(!cache.add_packed(&schema.id, 1, 2, b"three").unwrap(), "what is there is not added again");
    assert_eq!(packed(&cache, &schema.id).as_deref(), Some("one two three"));
    assert_eq!(cache.replace(&schema, &mut points(2, 1), &provenance(), None).unwrap().etag, None);
}

#[test]
fn empty_layer_is_a_layer() {
    let (_home, cache) = open();
    for (id, kind) in [("a", GeometryKind::Point), ("b", GeometryKind::Polygon), ("c", GeometryKind::Mixed)] {
        let schema = layer(id, kind);
        let stored = cache.replace(&schema, &mut std::iter::empty(), &provenance(), None).unwrap();
        assert_eq!((stored.features, stored.bbox), (0, None));
        let added = cache.append(&schema, &mut ok(&[feature("x", square(106.0, 11.0), &[])]), &provenance());
        assert_eq!(added.unwrap().features, 1);
    }
    let unknown = LayerId::new("unknown").unwrap();
    assert!(cache.load(&unknown).unwrap().is_none());
}

#[test]
fn too_many_fields_is_an_error_and_not_a_crash() {
    let (_home, cache) = open();
    let names: Vec<String> = (0..2_500).map(|i| format!("c{i}")).collect();
    let properties: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), Value::Integer(1))).collect();
    let wide = [feature("w", square(106.0, 11.0), &properties)];
    let error = cache.replace(&layer("wide", GeometryKind::Polygon), &mut ok(&wide), &provenance(), None).unwrap_err();
    assert_eq!(error.code(), "too_many_fields");
}

#[test]
fn small_files_are_whole_or_absent() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("settings.json");
    store::write_atomic(&path, b"one").unwrap();
    store::write_atomic(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    let error = store::write_atomic(&path.join("below"), b"x").unwrap_err();
    assert_eq!(error.code(), "not_writable", "{error}");
    assert_eq!(store::write_atomic(home.path(), b"x").unwrap_err().code(), "not_writable");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no scratch file stays behind: {left:?}");
}

#[test]
fn packed_form_goes_when_anybody_edits_the_table() {
    let (home, cache) = open();
    let schema = layer("stations", GeometryKind::Point);
    let path = home.path().join("province.gpkg");
    for sql in [
        "UPDATE stations SET name = 'QGIS' WHERE fid = 2",
        "DELETE FROM stations WHERE fid = 1",
        "INSERT INTO stations (geom, id) SELECT geom, 'new' FROM stations LIMIT 1",
    ] {
        cache.replace(&schema, &mut points(4, 1), &provenance(), Some(&mut IdPacking::default())).unwrap();
        assert_eq!(packed(&cache, &schema.id).as_deref(), Some("p0p1 p2p3 "));
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        assert_eq!(packed(&cache, &schema.id), None, "{sql}");
    }
}

#[test]
fn packed_form_is_what_will_be_read() {
    #[derive(Default)]
    struct Keep(Vec<Feature>);
    impl store::Packing for Keep {
        fn push(&mut self, feature: Feature) -> Option<Vec<u8>> {
            self.0.push(feature);
            None
        }
        fn finish(&mut self) -> Vec<Vec<u8>> {
            vec![b"kept".to_vec()]
        }
    }
    let (_home, cache) = open();
    let schema = layer("lots", GeometryKind::Polygon);
    let at = || square(106.0, 11.0);
    let whole_numbers = [
        feature("1", at(), &[("area_ha", Value::Integer(3)), ("name", Value::Integer(7)), ("n", Value::Integer(1))]),
        feature("2", at(), &[("area_ha", Value::Real(0.5)), ("name", text("012")), ("n", Value::Integer(2))]),
    ];
    let mut keep = Keep::default();
    cache.replace(&schema, &mut ok(&whole_numbers), &provenance(), Some(&mut keep)).unwrap();
    assert_eq!(packed(&cache, &schema.id).as_deref(), Some("kept"));
    assert_eq!(keep.0, cache.read(&schema.id).unwrap());
    // A column that widens afterwards changes rows that were packed: then the rows alone count.
    let mut late = whole_numbers.to_vec();
    late.push(feature("3", at(), &[("n", Value::Real(2.5))]));
    cache.replace(&schema, &mut ok(&late), &provenance(), Some(&mut Keep::default())).unwrap();
    assert_eq!(packed(&cache, &schema.id), None);
}

#[test]
fn a_write_that_gives_up_leaves_the_layer_as_it_was() {
    let (_home, cache) = open();
    let schema = layer("stations", GeometryKind::Point);
    cache.replace(&schema, &mut points(3, 1), &provenance(), None).unwrap();
    for mode in [Mode::Replace, Mode::Append, Mode::Upsert] {
        let outcome: Result<_, StoreError> = cache.write(mode, &schema, None, |writing| {
            writing.push(point(7, 2))?;
            Err(StoreError::Aborted { reason: "enough".into() })
        });
        assert!(matches!(outcome, Err(StoreError::Aborted { .. })));
        assert_eq!(cache.read(&schema.id).unwrap().len(), 3);
        assert_eq!(cache.layer(&schema.id).unwrap().unwrap().version, 1);
    }
}

#[test]
fn a_home_of_format_one_is_brought_up() {
    let (home, cache) = open();
    let path = home.path().join("province.gpkg");
    let schema = layer("stations", GeometryKind::Point);
    cache.replace(&schema, &mut points(3, 1), &provenance(), None).unwrap();
    drop(cache);
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "DROP TRIGGER tc_packed_stations_insert; DROP TRIGGER tc_packed_stations_update; DROP TRIGGER tc_packed_stations_delete;
         DROP TABLE tc_packed; DELETE FROM gpkg_contents WHERE table_name = 'tc_packed'; UPDATE tc_meta SET format = 1;
         CREATE TABLE tc_indexes (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, layer TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, bytes BLOB NOT NULL);
         INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES ('tc_indexes', 'attributes', 'tc_indexes', 0);",
    )
    .unwrap();
    drop(old);
    let cache = Cache::open(&path).unwrap();
    assert_eq!(cache.read(&schema.id).unwrap().len(), 3);
    assert!(cache.set_packed(&schema.id, 1, &[b"packed".to_vec()]).unwrap());
    assert_eq!(packed(&cache, &schema.id).as_deref(), Some("packed"));
    assert_eq!(cache.integrity().unwrap(), [""; 0]);
}
