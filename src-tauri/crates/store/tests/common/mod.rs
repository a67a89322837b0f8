//! Layers and features for the tests of this crate.
#![allow(dead_code, clippy::unwrap_used)]

use geo_types::{Geometry, Point, polygon};
use model::{Classification, Feature, Field, FieldType, GeometryKind, LayerId, LayerKind, Provenance, Title, Value};
use store::{LayerSchema, StoreError};

pub fn layer(id: &str, geometry: GeometryKind) -> LayerSchema {
    LayerSchema {
        id: LayerId::new(id).unwrap(),
        title: Title { vi: format!("Lớp {id}"), en: format!("Layer {id}") },
        kind: LayerKind::Other,
        geometry,
        fields: vec![field("name", FieldType::Text), field("area_ha", FieldType::Real)],
        srs_id: 4326,
    }
}

pub fn field(name: &str, field_type: FieldType) -> Field {
    let title = Title { vi: format!("Trường {name}"), en: format!("Field {name}") };
    Field {
        name: name.into(),
        field_type,
        title,
        unit: Some("ha".into()),
        decimals: None,
        label: true,
        required: false,
    }
}

pub fn provenance() -> Provenance {
    Provenance {
        source: "tests".into(),
        provider: Title {
            vi: "Sở Nông nghiệp và Môi trường".into(),
            en: "Department of Agriculture and Environment".into(),
        },
        fetched_at: "2026-11-23T08:00:00Z".parse().unwrap(),
        as_of: "2026-11-22T17:00:00.5Z".parse().unwrap(),
        licence: "nội bộ".into(),
        classification: Classification::Internal,
        sample: true,
        practice: false,
    }
}

/// Points on a lattice, all with the same `round`.
pub fn points(count: u32, round: i64) -> impl Iterator<Item = Result<Feature, StoreError>> {
    (0..count).map(move |i| Ok(point(i, round)))
}

pub fn point(i: u32, round: i64) -> Feature {
    Feature {
        id: format!("p{i}"),
        geometry: Point::new(105.5 + f64::from(i % 1000) / 1000.0, 10.5 + f64::from(i / 1000) / 1000.0).into(),
        properties: [
            ("name".to_owned(), Value::Text(format!("Điểm {i}"))),
            ("area_ha".to_owned(), Value::Real(f64::from(i) / 8.0)),
            ("round".to_owned(), Value::Integer(round)),
        ]
        .into(),
    }
}

pub fn square(x: f64, y: f64) -> Geometry<f64> {
    polygon!((x: x, y: y), (x: x + 0.1, y: y), (x: x + 0.1, y: y + 0.1), (x: x, y: y + 0.1)).into()
}

pub fn feature(id: &str, geometry: Geometry<f64>, properties: &[(&str, Value)]) -> Feature {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Feature { id: id.into(), geometry, properties }
}

pub fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Says what was not tested, past the test harness, which swallows what a passing test prints.
pub fn skipped(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// Packs two features a part, as their ids.
#[derive(Default)]
pub struct IdPacking(Vec<u8>);

impl store::Packing for IdPacking {
    fn push(&mut self, feature: Feature) -> Option<Vec<u8>> {
        self.0.extend_from_slice(feature.id.as_bytes());
        (self.0.len() >= 4).then(|| std::mem::take(&mut self.0))
    }

    fn finish(&mut self) -> Vec<Vec<u8>> {
        vec![std::mem::take(&mut self.0)]
    }
}

/// The layer's packed form as text; `None` where only rows are left.
pub fn packed(cache: &store::Cache, id: &LayerId) -> Option<String> {
    match cache.load(id).unwrap().unwrap().content {
        store::Content::Packed(parts) => {
            Some(parts.into_iter().map(|part| String::from_utf8(part).unwrap()).collect::<Vec<_>>().join(" "))
        }
        store::Content::Features(_) => None,
    }
}
