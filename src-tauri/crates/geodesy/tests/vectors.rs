//! All rows of our computed table (PROJ 9.5.1, EPSG:6960) to 1 mm and 1e-9°.

#![allow(clippy::unwrap_used)]

use geo_types::{Coord, Geometry, GeometryCollection, Point, Polygon, Rect, polygon};
use geodesy::{GeodesyError, GridCoord, Vn2000, from_wgs84, transformer, vn2000_to_wgs84, wgs84_to_vn2000};

struct Row {
    epsg: u32,
    grid: GridCoord,
    vn2000: Coord<f64>,
    wgs84: Coord<f64>,
}

fn rows() -> Vec<Row> {
    include_str!("fixtures/vn2000_vectors.csv")
        .lines()
        .skip(1)
        .map(|line| {
            // The description may hold commas inside quotes; the numbers are the last eight fields.
            let fields: Vec<&str> = line.rsplitn(9, ',').collect();
            let number = |from_the_right: usize| fields[from_the_right].parse::<f64>().unwrap();
            Row {
                epsg: fields[7].parse().unwrap(),
                grid: GridCoord { east_m: number(5), north_m: number(4) },
                vn2000: Coord { x: number(3), y: number(2) },
                wgs84: Coord { x: number(1), y: number(0) },
            }
        })
        .collect()
}

#[test]
fn every_vector_holds_both_ways() {
    let rows = rows();
    assert_eq!(rows.len(), 36);
    for row in rows {
        let grid = Vn2000::from_epsg(row.epsg).unwrap();
        let place = vn2000_to_wgs84(row.grid, grid).unwrap();
        assert!((place.x - row.wgs84.x).abs() < 1e-9 && (place.y - row.wgs84.y).abs() < 1e-9, "{place:?}");
        let back = wgs84_to_vn2000(row.wgs84, grid).unwrap();
        let off = (back.east_m - row.grid.east_m).abs().max((back.north_m - row.grid.north_m).abs());
        assert!(off < 1e-3, "{off} m off in EPSG:{}", row.epsg);
        let back = from_wgs84(4756).unwrap().coord(row.wgs84).unwrap();
        assert!((back.x - row.vn2000.x).abs() < 1e-9 && (back.y - row.vn2000.y).abs() < 1e-9, "4756: {back:?}");
        // The table's VN-2000 degrees come from its WGS84 ones; the way back closes to 0.2 mm only (height dropped).
        let place = transformer(4756).unwrap().coord(row.vn2000).unwrap();
        assert!((place.x - row.wgs84.x).abs() < 2e-9 && (place.y - row.wgs84.y).abs() < 2e-9, "4756: {place:?}");
    }
}

#[test]
fn every_known_code_closes_on_itself() {
    let place = Coord { x: 106.129, y: 11.304 };
    for epsg in geodesy::known_codes() {
        assert!(geodesy::is_known(epsg));
        let there = from_wgs84(epsg).unwrap().coord(place).unwrap();
        let back = transformer(epsg).unwrap().coord(there).unwrap();
        assert!((back.x - place.x).abs() < 5e-9 && (back.y - place.y).abs() < 5e-9, "EPSG:{epsg} {back:?}");
    }
}

#[test]
fn web_mercator_matches_its_definition() {
    let at = from_wgs84(3857).unwrap().coord(Coord { x: 106.129, y: 11.304 }).unwrap();
    // EPSG guidance note 7-2, 1024: a·λ and a·ln tan(π/4 + φ/2).
    let north_m = 6_378_137.0 * (std::f64::consts::FRAC_PI_4 + 11.304_f64.to_radians() / 2.0).tan().ln();
    assert!((at.x - 6_378_137.0 * 106.129_f64.to_radians()).abs() < 1e-6 && (at.y - north_m).abs() < 1e-6);
}

#[test]
fn utm_on_wgs84_matches_proj() {
    let place = Coord { x: 106.129, y: 11.304 };
    // PROJ 9.1.1: gdaltransform -t_srs EPSG:32648, EPSG:32649.
    for (epsg, x, y) in
        [(32_648, 623_215.601_877_992, 1_249_831.172_167_79), (32_649, -32_170.095_469_75, 1_254_035.225_806_53)]
    {
        let at = from_wgs84(epsg).unwrap().coord(place).unwrap();
        assert!((at.x - x).abs() < 1e-3 && (at.y - y).abs() < 1e-3, "EPSG:{epsg} {at:?}");
    }
}

#[test]
fn geometries_turn_as_a_whole() {
    let to = transformer(9209).unwrap();
    let corner = Coord { x: 568_469.126, y: 1_250_153.911 };
    let hole = polygon!((x: 568_470.0, y: 1_250_160.0), (x: 568_480.0, y: 1_250_160.0), (x: 568_480.0, y: 1_250_170.0));
    let square = Rect::new(corner, Coord { x: corner.x + 100.0, y: corner.y + 100.0 });
    let holed = Polygon::new(square.to_polygon().exterior().clone(), vec![hole.exterior().clone()]);
    let parts = vec![Geometry::Point(Point(corner)), Geometry::Polygon(holed), Geometry::Rect(square)];
    let mut all = Geometry::GeometryCollection(GeometryCollection(parts));
    to.apply(&mut all).unwrap();
    let bbox = model::geometry_bbox(&all);
    assert!(bbox.west > 106.128 && bbox.east < 106.131 && bbox.south > 11.303 && bbox.north < 11.306, "{bbox:?}");
    let mut same = all.clone();
    transformer(4326).unwrap().apply(&mut same).unwrap();
    assert_eq!(same, all);
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let error = transformer(32647).err().unwrap();
    assert_eq!(error, GeodesyError::UnknownCrs { epsg: 32647 });
    assert!(error.to_string().contains("32647"));
    for (x, y) in [(f64::NAN, 1.0), (1e300, 1e300), (f64::INFINITY, 0.0), (-1e9, 5.0), (0.0, f64::NEG_INFINITY)] {
        for epsg in geodesy::known_codes() {
            assert!(transformer(epsg).unwrap().coord(Coord { x, y }).is_err(), "EPSG:{epsg} took ({x}, {y})");
            assert!(from_wgs84(epsg).unwrap().coord(Coord { x, y }).is_err(), "to EPSG:{epsg} took ({x}, {y})");
        }
    }
    assert!(from_wgs84(9209).unwrap().coord(Coord { x: -74.0, y: 40.0 }).is_err(), "New York is not on the grid");
    assert!(from_wgs84(3857).unwrap().coord(Coord { x: 0.0, y: 90.0 }).is_err());
}
