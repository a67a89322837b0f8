//! Points and label points for the map, as GeoJSON bytes.

use crate::columns::own_fields;
use crate::geometries::Piece;
use crate::label::label_point;
use crate::picture::LayerPicture;
use geo_types::Coord;
use serde_json::{Map, Number, Value as Json};

pub(crate) fn points(picture: &LayerPicture) -> Vec<u8> {
    let mut out = Collection::new(picture);
    for ordinal in picture.ordinals() {
        picture.geometries.pieces(ordinal, &mut |piece| {
            if let Piece::Point(c) = piece {
                out.add(ordinal, c, None);
            }
        });
    }
    out.finish()
}

pub(crate) fn labels(picture: &LayerPicture) -> Vec<u8> {
    let mut out = Collection::new(picture);
    for ordinal in picture.ordinals() {
        let mut polygons = false;
        picture.geometries.pieces(ordinal, &mut |piece| polygons |= matches!(piece, Piece::Polygon(_)));
        let geometry = picture.geometry(ordinal).filter(|_| polygons);
        if let Some(geometry) = geometry
            && let Some(c) = label_point(&geometry)
        {
            // The seventh decimal is a centimetre.
            let round = |v: f64| (v * 1e7).round() / 1e7;
            let c = Coord { x: round(c.x), y: round(c.y) };
            out.add(ordinal, c, Some(geodesy::area_m2(&geometry).round()));
        }
    }
    out.finish()
}

struct Collection<'a> {
    out: Vec<u8>,
    picture: &'a LayerPicture,
    fields: Vec<&'a str>,
}

impl<'a> Collection<'a> {
    fn new(picture: &'a LayerPicture) -> Self {
        let mut out = Vec::with_capacity(64 + picture.len() * 160);
        out.extend_from_slice(br#"{"type":"FeatureCollection","features":["#);
        Self { out, picture, fields: own_fields(picture.tile_fields()) }
    }

    fn add(&mut self, ordinal: u32, c: Coord<f64>, area_m2: Option<f64>) {
        if !(c.x.is_finite() && c.y.is_finite()) {
            return;
        }
        if self.out.last() == Some(&b'}') {
            self.out.push(b',');
        }
        let mut properties = Map::new();
        properties.insert("id".into(), self.picture.id(ordinal).unwrap_or_default().into());
        for (key, field) in
            std::iter::once(("name", self.picture.name_field())).chain(self.fields.iter().map(|f| (*f, *f)))
        {
            let value = self.picture.value(ordinal, field);
            if !value.is_null() {
                properties.insert(key.into(), json(&value));
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
