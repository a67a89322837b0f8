//! The attributes that tiles carry, each distinct value encoded once for the whole layer.

use crate::mvt::{LayerWriter, value_message};
use model::{Feature, Value};
use std::collections::HashMap;

/// No value.
const NONE: u32 = u32::MAX;

/// Keys `id` and `name` first, then the layer's own fields.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub keys: Vec<String>,
    /// Field by field (without `id`), ordinal by ordinal: a number into `ends`.
    numbers: Vec<Vec<u32>>,
    /// `Value` messages back to back.
    messages: Vec<u8>,
    ends: Vec<usize>,
}

/// Makes the reals comparable: equal bits are equal values.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Text(&'a str),
    Integer(i64),
    Real(u64),
    Bool(bool),
}

impl Columns {
    pub fn build(features: &[Feature], name_field: &str, fields: &[String]) -> Self {
        let mut columns = Self { keys: vec!["id".into(), "name".into()], ..Self::default() };
        let mut known: HashMap<Key<'_>, u32> = HashMap::new();
        let own = own_fields(fields);
        columns.keys.extend(own.iter().map(|field| (*field).to_owned()));
        for field in std::iter::once(name_field).chain(own) {
            let numbers =
                features.iter().map(|feature| columns.intern(feature.properties.get(field), &mut known)).collect();
            columns.numbers.push(numbers);
        }
        columns
    }

    fn intern<'a>(&mut self, value: Option<&'a Value>, known: &mut HashMap<Key<'a>, u32>) -> u32 {
        let key = match value {
            None | Some(Value::Null) => return NONE,
            Some(Value::Text(text)) => Key::Text(text),
            Some(Value::Integer(number)) => Key::Integer(*number),
            Some(Value::Real(real)) => Key::Real(real.to_bits()),
            Some(Value::Bool(yes)) => Key::Bool(*yes),
        };
        *known.entry(key).or_insert_with(|| {
            let number = u32::try_from(self.ends.len()).unwrap_or(NONE);
            self.messages.extend(value.map(value_message).unwrap_or_default());
            self.ends.push(self.messages.len());
            number
        })
    }

    /// Adds a feature's tags to the tile.
    pub fn tag(&self, ordinal: u32, id: &str, writer: &mut LayerWriter) {
        writer.tag_unique(0, id);
        for (key, numbers) in (1_u32..).zip(&self.numbers) {
            let number = numbers.get(ordinal as usize).copied().unwrap_or(NONE);
            if let Some(end) = self.ends.get(number as usize) {
                let start = (number as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
                writer.tag(key, number, &self.messages[start..*end]);
            }
        }
    }
}

/// The fields that keep their own name: `id` and `name` are taken, and none comes twice.
pub(crate) fn own_fields(fields: &[String]) -> Vec<&str> {
    let mut own: Vec<&str> = Vec::with_capacity(fields.len());
    for field in fields {
        if field != "id" && field != "name" && !own.contains(&field.as_str()) {
            own.push(field);
        }
    }
    own
}
