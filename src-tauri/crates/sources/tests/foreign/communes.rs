//! The 96 communes of the profile, and whether a source gave just these.
#![allow(dead_code)]

use crate::common::read;
use geo_types::{Coord, Geometry, LineString};
use model::{Feature, Value};
use sources::Collection;
use std::path::{Path, PathBuf};

pub fn communes_file() -> PathBuf {
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh/data/communes.geojson");
    profile.canonicalize().unwrap()
}

pub fn communes() -> Vec<Feature> {
    let (_, rows) = read(&communes_file()).unwrap();
    assert_eq!(rows.len(), 96);
    rows.into_iter().map(|(_, feature)| feature).collect()
}

/// Positions in millionths of a degree, as the file has them: rings begin at their least corner and run one way.
fn shape(geometry: &Geometry<f64>) -> Vec<Vec<Vec<(i64, i64)>>> {
    let number = |degrees: f64| (degrees * 1e6).round() as i64;
    let ring = |line: &LineString<f64>| {
        let mut all: Vec<(i64, i64)> = line.0.iter().map(|Coord { x, y }| (number(*x), number(*y))).collect();
        all.pop();
        let least = (0..all.len()).min_by_key(|at| all[*at]).unwrap();
        all.rotate_left(least);
        if all[1] > all[all.len() - 1] {
            all[1..].reverse();
        }
        all
    };
    let polygon = |polygon: &geo_types::Polygon<f64>| {
        std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).collect()
    };
    match geometry {
        Geometry::Polygon(one) => vec![polygon(one)],
        Geometry::MultiPolygon(all) => all.0.iter().map(polygon).collect(),
        other => panic!("{other:?}"),
    }
}

/// Ids, attributes and shapes are those of the file. GDAL's formats know no truth values: 0 and 1 stand for them.
#[track_caller]
pub fn same(what: &str, got: &Collection) {
    assert_eq!(got.report.rejected, [], "{what}");
    assert_eq!(got.features.len(), 96, "{what}");
    for wanted in communes() {
        let found = got.features.iter().find(|feature| feature.id == wanted.id);
        let found = found.unwrap_or_else(|| panic!("{what}: no feature {}", wanted.id));
        assert_eq!(shape(&found.geometry), shape(&wanted.geometry), "{what}: {}", wanted.id);
        let names = |feature: &Feature| {
            let known = feature.properties.iter().filter(|(_, value)| !value.is_null());
            known.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(found), names(&wanted), "{what}: {}", wanted.id);
        for (name, value) in wanted.properties.iter().filter(|(_, value)| !value.is_null()) {
            let got = match (value, &found.properties[name]) {
                (Value::Bool(_), Value::Integer(number @ 0..=1)) => Value::Bool(*number == 1),
                (_, other) => other.clone(),
            };
            assert_eq!(&got, value, "{what}: {name} of {}", wanted.id);
        }
    }
}
