//! One feature from its slice of the file.

use super::coords::{Fault, GeometrySeed};
use super::quick::{self, Room};
use crate::file::{rejection, stored};
use geo_types::Geometry;
use model::{Properties, Rejection, Value};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A feature as it stands in the file.
pub(crate) struct Parsed {
    pub(crate) id: Option<String>,
    pub(crate) geometry: Geometry<f64>,
    pub(crate) properties: Properties,
}

/// Reads a Feature, or a bare geometry as a feature without properties.
///
/// # Errors
/// The rejection of the row, with its code: `syntax`, `encoding`, `not_finite`, `too_deep`, `geometry_missing`,
/// `geometry_invalid`.
pub(crate) fn parse(slice: &[u8], row: u64) -> Result<Parsed, Rejection> {
    let mut fault = Fault::default();
    let mut json = serde_json::Deserializer::from_slice(slice);
    let read = FeatureSeed { fault: &mut fault }.deserialize(&mut json).and_then(|read| json.end().map(|()| read));
    match read {
        Ok(Draft { id, geometry: Some(geometry), properties, .. }) => Ok(Parsed { id, geometry, properties }),
        Ok(Draft { kind: Some(kind), .. }) if kind != "Feature" => {
            Err(rejection(row, "type", &kind, "geometry_missing", format!("a {kind:?} is no feature")))
        }
        Ok(_) => Err(rejection(row, "geometry", "", "geometry_missing", "the feature has no geometry")),
        Err(error) => Err(explain(slice, row, fault, &error)),
    }
}

fn explain(slice: &[u8], row: u64, fault: Fault, error: &serde_json::Error) -> Rejection {
    if let Some((code, reason)) = fault.0 {
        return rejection(row, "geometry", "", code, reason);
    }
    let said = error.to_string();
    if let Err(bad) = std::str::from_utf8(slice) {
        let from = bad.valid_up_to();
        let around = String::from_utf8_lossy(&slice[from.saturating_sub(20)..slice.len().min(from + 20)]);
        let reason = format!("byte {from} of the feature is not UTF-8; save the file as UTF-8");
        return rejection(row, "", &around, "encoding", reason);
    }
    if let Some(word) = bare_word(slice) {
        return rejection(row, "geometry", word, "not_finite", format!("{word} is no JSON number"));
    }
    let code = match () {
        () if said.starts_with("number out of range") => "not_finite",
        () if said.starts_with("recursion limit") => "too_deep",
        () => "syntax",
    };
    // Line and column count from the feature's first byte.
    let near = error.column().saturating_sub(1).min(slice.len());
    let near = if error.line() == 1 { &slice[near.saturating_sub(20)..slice.len().min(near + 20)] } else { &[] };
    rejection(row, "", &String::from_utf8_lossy(near), code, said)
}

/// NaN and the like outside of text, which JSON does not know but Python and JavaScript programs write.
fn bare_word(slice: &[u8]) -> Option<&'static str> {
    let mut in_text = false;
    let mut at = 0;
    while at < slice.len() {
        match slice[at] {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            _ => {
                let words = ["NaN", "nan", "Infinity", "inf", "undefined"];
                if let Some(word) = words.into_iter().find(|word| slice[at..].starts_with(word.as_bytes())) {
                    return Some(word);
                }
            }
        }
        at += 1;
    }
    None
}

/// A member name, borrowed where it holds no escapes.
pub(super) struct Key<'a>(Cow<'a, str>);

impl Key<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[derive(Default)]
struct Draft {
    kind: Option<String>,
    id: Option<String>,
    geometry: Option<Geometry<f64>>,
    properties: Properties,
}

struct FeatureSeed<'a> {
    fault: &'a mut Fault,
}

impl<'de> DeserializeSeed<'de> for FeatureSeed<'_> {
    type Value = Draft;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FeatureSeed<'_> {
    type Value = Draft;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a GeoJSON feature")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft, A::Error> {
        let mut draft = Draft::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key.as_str() {
                "type" => draft.kind = map.next_value::<PropValue>()?.0.as_text().map(str::to_owned),
                "id" => draft.id = id_of(&map.next_value::<PropValue>()?.0),
                "geometry" => draft.geometry = map.next_value_seed(GeometrySeed { fault: self.fault, depth: 0 })?,
                "properties" => draft.properties = map.next_value::<PropMap>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(draft)
    }
}

/// A feature's own id; numbers as they are written without a fraction.
pub(super) fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// `null` is an empty map.
struct PropMap(Properties);

impl<'de> Deserialize<'de> for PropMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = PropMap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties as an object")
            }
            fn visit_unit<E: Error>(self) -> Result<PropMap, E> {
                Ok(PropMap(Properties::new()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PropMap, A::Error> {
                let mut properties = Properties::new();
                while let Some(key) = map.next_key::<Key>()? {
                    properties.insert(stored(key.as_str()), map.next_value::<PropValue>()?.0);
                }
                Ok(PropMap(properties))
            }
        }
        deserializer.deserialize_any(MapVisitor)
    }
}

/// A property's value; lists and objects are kept as their JSON text.
struct PropValue(Value);

impl<'de> Deserialize<'de> for PropValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = PropValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E: Error>(self) -> Result<PropValue, E> {
                Ok(PropValue(Value::Null))
            }
            fn visit_bool<E: Error>(self, truth: bool) -> Result<PropValue, E> {
                Ok(PropValue(Value::Bool(truth)))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<PropValue, E> {
                Ok(PropValue(Value::Integer(number)))
            }
            #[allow(clippy::cast_precision_loss)]
            fn visit_u64<E: Error>(self, number: u64) -> Result<PropValue, E> {
                Ok(PropValue(i64::try_from(number).map_or(Value::Real(number as f64), Value::Integer)))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<PropValue, E> {
                Ok(PropValue(Value::Real(number)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<PropValue, E> {
                Ok(PropValue(Value::Text(stored(text))))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<PropValue, A::Error> {
                let tree = serde_json::Value::deserialize(serde::de::value::SeqAccessDeserializer::new(list))?;
                Ok(PropValue(Value::Text(stored(&tree.to_string()))))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PropValue, A::Error> {
                let tree = serde_json::Value::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(PropValue(Value::Text(stored(&tree.to_string()))))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// As [`parse`], by the short way where the feature is of a usual shape. `room` is used again.
pub(super) fn parse_quickly(slice: &[u8], row: u64, room: &mut Room) -> Result<Parsed, Rejection> {
    quick::parse(slice, room).map_or_else(|| parse(slice, row), Ok)
}

/// Reads a bare geometry.
pub(crate) fn parse_geometry(slice: &[u8], row: u64) -> Result<Parsed, Rejection> {
    let mut fault = Fault::default();
    let mut json = serde_json::Deserializer::from_slice(slice);
    match (GeometrySeed { fault: &mut fault, depth: 0 }).deserialize(&mut json) {
        Ok(Some(geometry)) => Ok(Parsed { id: None, geometry, properties: Properties::new() }),
        Ok(None) => Err(rejection(row, "geometry", "", "geometry_missing", "the geometry is empty")),
        Err(error) => Err(explain(slice, row, fault, &error)),
    }
}
