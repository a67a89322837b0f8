//! The one query: by box, at a point, near a point, by attribute; as the command line and, later, rules ask it.

use crate::Desk;
use crate::api::Failure;
use model::{BBox, Feature, LayerId};
use serde_json::{Map, Value as Json, json};

/// Nearness: within metres, or the nearest so many, or both.
#[derive(Clone, Copy, Debug)]
pub struct Near {
    pub lon: f64,
    pub lat: f64,
    pub within_m: Option<f64>,
    pub nearest: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    pub bbox: Option<BBox>,
    pub at: Option<(f64, f64)>,
    pub near: Option<Near>,
    /// CQL2 text.
    pub filter: Option<String>,
    pub limit: Option<usize>,
}

impl Desk {
    /// Answers with a GeoJSON FeatureCollection; `distance_m` (geodesic) stands in the properties of a nearness query,
    /// nearest first. Live layers carry `freshness`, `value`, `level` and `measured_at`.
    ///
    /// # Errors
    /// `no_layer`, `layer_role_needed`, `bad_coordinate`, `bad_filter`.
    pub fn query(&self, id: &LayerId, options: &QueryOptions) -> Result<Json, Failure> {
        let layer = self.layer(id)?;
        let filter = match &options.filter {
            Some(text) => Some(spatial::Filter::parse(text).map_err(|error| {
                self.failure("bad_filter", [("filter", text.as_str()), ("detail", error.to_string().as_str())])
            })?),
            None => None,
        };
        let picture = &layer.picture;
        let keep = |ordinal: u32| filter.as_ref().is_none_or(|filter| picture.matches(ordinal, filter));
        let limit = options.limit.unwrap_or(usize::MAX);
        let in_box = |ordinal: u32, bbox: &BBox| picture.bbox_of(ordinal).is_some_and(|own| own.intersects(bbox));
        let mut found: Vec<(u32, Option<f64>)> = if let Some(near) = options.near {
            let center = self.coordinate(near.lon, near.lat)?;
            // A filter may drop near ones, so the count is taken afterwards.
            let count = if filter.is_none() && options.bbox.is_none() { near.nearest } else { None };
            picture.near(center, near.within_m, count).into_iter().map(|(o, d)| (o, Some(d))).collect()
        } else if let Some((lon, lat)) = options.at {
            let center = self.coordinate(lon, lat)?;
            picture.at(center, 0.0).into_iter().map(|(o, _)| (o, None)).collect()
        } else if let Some(bbox) = options.bbox {
            picture.within_bbox(bbox).into_iter().map(|o| (o, None)).collect()
        } else {
            picture.ordinals().map(|o| (o, None)).collect()
        };
        if let Some(bbox) = options.bbox.filter(|_| options.near.is_some() || options.at.is_some()) {
            found.retain(|(ordinal, _)| in_box(*ordinal, &bbox));
        }
        found.retain(|(ordinal, _)| keep(*ordinal));
        let matched = found.len();
        let count = options.near.and_then(|near| near.nearest).unwrap_or(usize::MAX).min(limit);
        found.truncate(count);
        let features: Vec<Json> = found
            .into_iter()
            .filter_map(|(ordinal, distance_m)| {
                let feature = picture.feature(ordinal)?;
                let mut json = feature_json(&feature);
                let properties = json.get_mut("properties").and_then(Json::as_object_mut)?;
                if let Some(distance_m) = distance_m {
                    properties.insert("distance_m".into(), json!(distance_m));
                }
                if let Some(state) = self.state_of(&layer, ordinal) {
                    properties.insert("freshness".into(), json!(state.freshness));
                    properties.insert("value".into(), json!(state.value));
                    properties.insert("level".into(), json!(state.level));
                    properties.insert("measured_at".into(), json!(state.measured_at));
                }
                Some(json)
            })
            .collect();
        Ok(json!({
            "type": "FeatureCollection",
            "numberMatched": matched,
            "numberReturned": features.len(),
            "features": features,
        }))
    }
}

fn feature_json(feature: &Feature) -> Json {
    let properties: Map<String, Json> =
        feature.properties.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "type": "Feature",
        "id": feature.id,
        "geometry": sources::geometry_json(&feature.geometry),
        "properties": properties,
    })
}
