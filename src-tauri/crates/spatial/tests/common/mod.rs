//! What the integration tests share: made-up features and the real communes, where this machine has them.
// Each test file compiles it anew and uses its share; clippy's leave for tests does not reach a helper module.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stderr)]

use geo_types::{Coord, Geometry, LineString, MultiPolygon, Point, Polygon};
use model::{BBox, Feature, LayerId, Value};
use serde_json::Value as Json;
use std::path::Path;

pub const COMMUNES: &str = "/work/shared/data/communes_2025.geojson";

/// Reproducible numbers in 0..1 (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn coord(&mut self) -> Coord<f64> {
        Coord { x: 105.5 + 1.4 * self.roll(), y: 10.3 + 1.5 * self.roll() }
    }

    pub fn bbox(&mut self, side: f64) -> BBox {
        let c = self.coord();
        BBox { west: c.x, south: c.y, east: c.x + side, north: c.y + side }
    }
}

pub fn layer(id: &str) -> LayerId {
    LayerId::new(id).unwrap()
}

pub fn named(id: usize, geometry: impl Into<Geometry<f64>>) -> Feature {
    let name = Value::Text(format!("Điểm {id}"));
    Feature { id: format!("f{id}"), geometry: geometry.into(), properties: [("name".to_owned(), name)].into() }
}

pub fn points(count: usize, seed: u64) -> Vec<Feature> {
    let mut dice = Dice(seed);
    (0..count).map(|i| named(i, Point::from(dice.coord()))).collect()
}

/// A coverage of n × n cells over the box, corners and borders displaced, borders shared vertex by vertex.
pub fn coverage(n: usize, bounds: BBox, seed: u64) -> Vec<Feature> {
    let side = [(bounds.east - bounds.west) / n as f64, (bounds.north - bounds.south) / n as f64];
    let corner = |i: usize, j: usize| {
        let mut dice = Dice(seed ^ (i * 1_000 + j) as u64);
        let mut shift = |k: usize, at_edge: bool| if at_edge { 0.0 } else { (dice.roll() - 0.5) * 0.5 * side[k] };
        let (dx, dy) = (shift(0, i == 0 || i == n), shift(1, j == 0 || j == n));
        Coord { x: bounds.west + i as f64 * side[0] + dx, y: bounds.south + j as f64 * side[1] + dy }
    };
    // From the lower to the higher end, so that both cells get the same vertices.
    let border = |a: Coord<f64>, b: Coord<f64>, straight: bool| -> Vec<Coord<f64>> {
        let (low, high) = if (a.x, a.y) <= (b.x, b.y) { (a, b) } else { (b, a) };
        let mut dice = Dice(seed ^ low.x.to_bits() ^ high.y.to_bits().rotate_left(9));
        let steps = 12;
        let mut line: Vec<_> = (0..=steps)
            .map(|s| {
                let t = f64::from(s) / f64::from(steps);
                let wiggle = if straight || s == 0 || s == steps { 0.0 } else { (dice.roll() - 0.5) * 0.1 };
                let (dx, dy) = (high.x - low.x, high.y - low.y);
                Coord { x: low.x + t * dx - wiggle * dy, y: low.y + t * dy + wiggle * dx }
            })
            .collect();
        line[0] = low;
        line[steps as usize] = high;
        if low != a {
            line.reverse();
        }
        line.pop();
        line
    };
    let mut cells = Vec::new();
    for j in 0..n {
        for i in 0..n {
            let [a, b, c, d] = [corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1)];
            let ring = [border(a, b, j == 0), border(b, c, i + 1 == n), border(c, d, j + 1 == n), border(d, a, i == 0)]
                .concat();
            cells.push(named(cells.len(), Polygon::new(LineString(ring), vec![])));
        }
    }
    cells
}

/// `None`, said aloud, when this machine does not have the file.
pub fn communes() -> Option<Vec<Feature>> {
    if !Path::new(COMMUNES).exists() {
        eprintln!("skipped: {COMMUNES} is not on this machine");
        return None;
    }
    let root: Json = serde_json::from_slice(&std::fs::read(COMMUNES).unwrap()).unwrap();
    Some(root["features"].as_array().unwrap().iter().map(feature).collect())
}

pub fn feature(json: &Json) -> Feature {
    let coord = |c: &Json| Coord { x: c[0].as_f64().unwrap(), y: c[1].as_f64().unwrap() };
    let ring = |r: &Json| LineString(r.as_array().unwrap().iter().map(coord).collect());
    let polygon = |p: &Json| {
        let mut rings = p.as_array().unwrap().iter().map(ring);
        Polygon::new(rings.next().unwrap(), rings.collect())
    };
    let coordinates = &json["geometry"]["coordinates"];
    let geometry = match json["geometry"]["type"].as_str().unwrap() {
        "Point" => Point::from(coord(coordinates)).into(),
        "Polygon" => polygon(coordinates).into(),
        "MultiPolygon" => MultiPolygon(coordinates.as_array().unwrap().iter().map(polygon).collect()).into(),
        other => panic!("{other} is not expected here"),
    };
    let value = |v: &Json| match v {
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(n) => n.as_i64().map_or_else(|| Value::Real(n.as_f64().unwrap()), Value::Integer),
        Json::Bool(yes) => Value::Bool(*yes),
        _ => Value::Null,
    };
    let properties = json["properties"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), value(v))).collect();
    let id = json["id"].as_str().map_or_else(|| json["id"].to_string(), str::to_owned);
    Feature { id, geometry, properties }
}

pub fn vertices(features: &[Feature]) -> usize {
    let mut count = 0;
    for feature in features {
        model::visit_coords(&feature.geometry, &mut |_| count += 1);
    }
    count
}

/// The tiles of a zoom that meet the box.
pub fn tiles(z: u8, b: BBox) -> Vec<(u8, u32, u32)> {
    let n = f64::from(1_u32 << z);
    let x = |lon: f64| ((lon + 180.0) / 360.0 * n) as u32;
    let y = |lat: f64| ((0.5 - lat.to_radians().tan().asinh() / std::f64::consts::TAU) * n) as u32;
    let mut all = Vec::new();
    for ty in y(b.north)..=y(b.south) {
        for tx in x(b.west)..=x(b.east) {
            all.push((z, tx, ty));
        }
    }
    all
}
