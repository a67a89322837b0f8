//! The one query: by box, at a point, near a point, by attribute and live state; the same from window, command line and
//! rules.

use crate::Desk;
use crate::api::Failure;
use crate::args::QueryArgs;
use crate::layers::Layer;
use geo_types::Coord;
use live::FeatureState;
use model::{Feature, Timestamp, Value};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use spatial::{Filter, Row};

/// Features in an answer through the bridge, unless another number is asked for.
const BRIDGE_LIMIT: u32 = 1_000;

/// A GeoJSON `FeatureCollection`. `distance_m` (geodesic) stands in the properties of a nearness query; live layers carry
/// `freshness`, `value`, `level` and `measured_at`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct QueryAnswer {
    #[serde(rename = "type")]
    #[cfg_attr(feature = "ts", ts(type = "'FeatureCollection'"))]
    kind: &'static str,
    /// Features that satisfy the query, as far as it was followed: of the nearest so many, no more are looked for.
    #[serde(rename = "numberMatched")]
    pub number_matched: usize,
    #[serde(rename = "numberReturned")]
    pub number_returned: usize,
    #[cfg_attr(feature = "ts", ts(type = "import('geojson').Feature[]"))]
    pub features: Vec<Json>,
    /// When the service answered, of a layer that stays in the data centre.
    #[serde(rename = "timeStamp", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional, type = "string"))]
    pub answered_at: Option<Timestamp>,
    /// The service cannot be asked now: this is what it said then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "ts", ts(as = "Option<bool>", optional))]
    pub offline: bool,
}

impl QueryAnswer {
    /// The same as what a service said at a time.
    pub(crate) fn of(self, answered_at: Timestamp, offline: bool) -> Self {
        Self { answered_at: Some(answered_at), offline, ..self }
    }
}

/// What a question's texts and numbers say.
pub(crate) struct Asked {
    pub filter: Option<Filter>,
    pub at: Option<Coord<f64>>,
    pub near: Option<Coord<f64>>,
}

/// The names that stand behind a live layer's own attributes.
pub(crate) const LIVE_NAMES: [&str; 4] = ["freshness", "value", "level", "measured_at"];

/// A feature with what it is now: live names stand behind the feature's own.
pub(crate) struct Joined<'a> {
    pub desk: &'a Desk,
    pub layer: &'a Layer,
    pub ordinal: u32,
}

impl Row for Joined<'_> {
    fn key(&self) -> &str {
        self.layer.picture.id(self.ordinal).unwrap_or_default()
    }

    fn value(&self, name: &str) -> Value {
        let own = self.layer.picture.value(self.ordinal, name);
        if !own.is_null() || !LIVE_NAMES.contains(&name) {
            return own;
        }
        let Some(state) = self.desk.state_of(self.layer, self.ordinal) else { return Value::Null };
        match live_json(&state, name) {
            Json::String(text) => Value::Text(text),
            Json::Number(number) => number.as_f64().map_or(Value::Null, Value::Real),
            _ => Value::Null,
        }
    }
}

pub(crate) fn live_json(state: &FeatureState, name: &str) -> Json {
    match name {
        "freshness" => json!(state.freshness),
        "value" => json!(state.value),
        "level" => json!(state.level),
        _ => json!(state.measured_at),
    }
}

impl Desk {
    /// Answers one question to one layer, wherever that lies; nearest first where nearness was asked for.
    ///
    /// # Errors
    /// As [`Desk::query`]; of a layer that stays in the data centre what its service said, `remote_unanswered`, or what
    /// the service lacks: `remote_no_filter`, `remote_no_bbox`, `remote_too_many`.
    pub async fn ask_layer(&self, args: &QueryArgs) -> Result<QueryAnswer, Failure> {
        let layer = self.layer(&args.layer)?;
        if layer.is_remote() {
            return self.query_remote(&layer, args, &self.asked(args)?).await;
        }
        self.query(args)
    }

    /// As [`Desk::ask_layer`], of a layer that lies here.
    ///
    /// # Errors
    /// `no_layer`, `layer_role_needed`, `bad_coordinate`, `bad_filter`, `remote_layer`.
    pub fn query(&self, args: &QueryArgs) -> Result<QueryAnswer, Failure> {
        let layer = self.layer(&args.layer)?;
        self.held_here(&layer.spec)?;
        Ok(self.answer(&layer, args, &self.asked(args)?))
    }

    fn asked(&self, args: &QueryArgs) -> Result<Asked, Failure> {
        let filter = match &args.filter {
            Some(text) => Some(Filter::parse(text).map_err(|error| {
                self.failure("bad_filter", [("filter", text.as_str()), ("detail", error.to_string().as_str())])
            })?),
            None => None,
        };
        let place = |at: Option<[f64; 2]>| at.map(|[lon, lat]| self.coordinate(lon, lat)).transpose();
        Ok(Asked { filter, at: place(args.at)?, near: place(args.near)? })
    }

    /// The answer of a layer's picture.
    pub(crate) fn answer(&self, layer: &Layer, args: &QueryArgs, asked: &Asked) -> QueryAnswer {
        let mut found = self.found(layer, args, asked.filter.as_ref(), asked.at, asked.near);
        let number_matched = found.len();
        let most = |count: Option<u32>| count.map_or(usize::MAX, |count| count as usize);
        found.truncate(most(args.nearest.filter(|_| asked.near.is_some())).min(most(args.limit)));
        let features: Vec<Json> = found
            .into_iter()
            .filter_map(|(ordinal, distance_m)| {
                let mut json = feature_json(&layer.picture.feature(ordinal)?);
                let properties = json.get_mut("properties").and_then(Json::as_object_mut)?;
                if let Some(distance_m) = distance_m {
                    properties.insert("distance_m".into(), json!(distance_m));
                }
                if let Some(state) = self.state_of(layer, ordinal) {
                    for name in LIVE_NAMES {
                        properties.insert(name.into(), live_json(&state, name));
                    }
                }
                Some(json)
            })
            .collect();
        let number_returned = features.len();
        let (answered_at, offline) = (None, false);
        QueryAnswer { kind: "FeatureCollection", number_matched, number_returned, features, answered_at, offline }
    }

    /// Ordinals with their distance, where that was asked for.
    fn found(
        &self,
        layer: &Layer,
        args: &QueryArgs,
        filter: Option<&Filter>,
        at: Option<Coord<f64>>,
        near: Option<Coord<f64>>,
    ) -> Vec<(u32, Option<f64>)> {
        let picture = &layer.picture;
        let keep = |ordinal: u32| {
            let in_box = |bbox| picture.bbox_of(ordinal).is_some_and(|own| own.intersects(&bbox));
            let joined = || Joined { desk: self, layer, ordinal };
            // The box was the question itself where there is neither place nor nearness.
            (at.is_none() && near.is_none() || args.bbox.is_none_or(in_box))
                && filter.is_none_or(|filter| filter.matches(&joined()))
        };
        if let Some(from) = near {
            let there = |ordinal: u32| at.is_none_or(|at| picture.at(at, 0.0).iter().any(|(o, _)| *o == ordinal));
            let Some(nearest) = args.nearest else {
                let all = picture.near(from, args.within_m, None).into_iter();
                return all.filter(|(o, _)| keep(*o) && there(*o)).map(|(o, d)| (o, Some(d))).collect();
            };
            // The filter may drop near ones: look further until there are enough, or no more.
            let nearest = nearest as usize;
            let mut count = if filter.is_some() || args.bbox.is_some() || at.is_some() {
                nearest.saturating_mul(4).max(64)
            } else {
                nearest
            };
            loop {
                let all = picture.near(from, args.within_m, Some(count));
                let exhausted = all.len() < count;
                let kept = all.into_iter().filter(|(o, _)| keep(*o) && there(*o));
                let kept: Vec<(u32, Option<f64>)> = kept.take(nearest).map(|(o, d)| (o, Some(d))).collect();
                if kept.len() >= nearest || exhausted {
                    return kept;
                }
                count = count.saturating_mul(4);
            }
        }
        let ordinals: Vec<u32> = match (at, args.bbox) {
            (Some(at), _) => picture.at(at, 0.0).into_iter().map(|(ordinal, _)| ordinal).collect(),
            (None, Some(bbox)) => picture.within_bbox(bbox),
            (None, None) => picture.ordinals().collect(),
        };
        ordinals.into_iter().filter(|ordinal| keep(*ordinal)).map(|ordinal| (ordinal, None)).collect()
    }

    pub(crate) async fn query_call(&self, mut args: QueryArgs) -> Result<QueryAnswer, Failure> {
        args.limit.get_or_insert(BRIDGE_LIMIT);
        self.ask_layer(&args).await
    }
}

fn feature_json(feature: &Feature) -> Json {
    let properties: Map<String, Json> =
        feature.properties.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    json!({
        "type": "Feature",
        "id": feature.id,
        "geometry": sources::geometry_json(&feature.geometry),
        "properties": properties,
    })
}
