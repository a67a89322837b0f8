//! Points and label points for the map, as GeoJSON bytes.

use crate::columns::own_fields;
use crate::label::label_point;
use crate::picture::LayerPicture;
use crate::plane::{Part, parts};
use geo_types::Coord;
use model::Feature;
use serde_json::{Map, Number, Value as Json};

pub(crate) fn points(picture: &LayerPicture) -> Vec<u8> {
    let mut out = Collection::new(picture);
    for (ordinal, feature) in (0_u32..).zip(picture.features()) {
        parts(&feature.geometry, &mut |part| {
            if let Part::Point(c) = part {
                out.add(ordinal, feature, c, None);
            }
        });
    }
    out.finish()
}

pub(crate) fn labels(picture: &LayerPicture) -> Vec<u8> {
    let mut out = Collection::new(picture);
    for (ordinal, feature) in (0_u32..).zip(picture.features()) {
        let mut polygons = false;
        parts(&feature.geometry, &mut |part| polygons |= matches!(part, Part::Polygon(_)));
        if polygons && let Some(c) = label_point(&feature.geometry) {
            // The seventh decimal is a centimetre.
            let round = |v: f64| (v * 1e7).round() / 1e7;
            let c = Coord { x: round(c.x), y: round(c.y) };
            out.add(ordinal, feature, c, Some(geodesy::area_m2(&feature.geometry).round()));
        }
    }
    out.finish()
}

struct Collection<'a> {
    out: Vec<u8>,
    name_field: &'a str,
    fields: Vec<&'a str>,
}

impl<'a> Collection<'a> {
    fn new(picture: &'a LayerPicture) -> Self {
        let mut out = Vec::with_capacity(64 + picture.len() * 160);
        out.extend_from_slice(br#"{"type":"FeatureCollection","features":["#);
        Self { out, name_field: picture.name_field(), fields: own_fields(picture.tile_fields()) }
    }

    fn add(&mut self, ordinal: u32, feature: &Feature, c: Coord<f64>, area_m2: Option<f64>) {
        if !(c.x.is_finite() && c.y.is_finite()) {
            return;
        }
        if self.out.last() == Some(&b'}') {
            self.out.push(b',');
        }
        let mut properties = Map::new();
        properties.insert("id".into(), Json::String(feature.id.clone()));
        for (key, field) in std::iter::once(("name", self.name_field)).chain(self.fields.iter().map(|f| (*f, *f))) {
            if let Some(value) = feature.properties.get(field).filter(|value| !value.is_null()) {
                properties.insert(key.into(), json(value));
            }
        }
        if let Some(area) = area_m2.and_then(Number::from_f64) {
            properties.insert("area_m2".into(), Json::Number(area));
        }
        let head = format!(
            r#"{{"type":"Feature","id":{ordinal},"geometry":{{"type":"Point","coordinates":[{},{}]}},"properties":"#,
            c.x, c.y
        );
        self.out.extend_from_slice(head.as_bytes());
        self.out.extend_from_slice(Json::Object(properties).to_string().as_bytes());
        self.out.push(b'}');
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"]}");
        self.out
    }
}

fn json(value: &model::Value) -> Json {
    match value {
        model::Value::Null => Json::Null,
        model::Value::Bool(yes) => Json::Bool(*yes),
        model::Value::Integer(number) => Json::Number((*number).into()),
        model::Value::Real(real) => Number::from_f64(*real).map_or(Json::Null, Json::Number),
        model::Value::Text(text) => Json::String(text.clone()),
    }
}
