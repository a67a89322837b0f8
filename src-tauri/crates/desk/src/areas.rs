//! The shapes of communes and of the province, for warnings that name them by code.

use crate::Desk;
use geo_types::{Geometry, MultiPolygon};
use model::{LayerKind, Schema, Value};
use spatial::LayerPicture;
use std::fmt;
use std::sync::Arc;

/// The communes as the cache has them now.
pub(crate) struct Communes {
    picture: Option<Arc<LayerPicture>>,
    /// Of the province.
    code: String,
}

impl Communes {
    pub(crate) fn of(desk: &Desk) -> Self {
        let layer = desk.layers().all().iter().find(|layer| layer.spec.kind == LayerKind::Communes).cloned();
        Self { picture: layer.map(|layer| layer.picture.clone()), code: desk.profile().code.clone() }
    }

    fn of_commune(&self, code: &str) -> Option<MultiPolygon<f64>> {
        let picture = self.picture.as_ref()?;
        polygons(picture.geometry(picture.ordinal_of(code)?)?)
    }
}

impl fmt::Debug for Communes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Communes({})", self.picture.as_ref().map_or(0, |picture| picture.len()))
    }
}

impl sources::Areas for Communes {
    /// A commune by its code, several by a code from before the mergers, all of them by the province's.
    fn shape(&self, code: &str) -> Option<MultiPolygon<f64>> {
        if code == self.code {
            let picture = self.picture.as_ref()?;
            let all = picture.ordinals().filter_map(|ordinal| polygons(picture.geometry(ordinal)?)).flatten().collect();
            return Some(all).filter(|all: &MultiPolygon<f64>| !all.0.is_empty());
        }
        self.of_commune(code).or_else(|| {
            // The list of communes stands with every kind that lies in one.
            let list = Schema::of(LayerKind::School)?.field("commune")?.codes.as_ref()?;
            let now = list.codes().iter().filter(|now| now.replaces.iter().any(|former| former == code));
            let parts = now.filter_map(|now| match &now.value {
                Value::Text(code) => self.of_commune(code),
                _ => None,
            });
            Some(parts.flatten().collect()).filter(|all: &MultiPolygon<f64>| !all.0.is_empty())
        })
    }
}

fn polygons(geometry: Geometry<f64>) -> Option<MultiPolygon<f64>> {
    match geometry {
        Geometry::Polygon(one) => Some(one.into()),
        Geometry::MultiPolygon(many) => Some(many),
        _ => None,
    }
}
