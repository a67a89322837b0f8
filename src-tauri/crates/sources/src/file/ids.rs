//! Where a file keeps its keys.

use super::{ReadOptions, Row};
use model::{Properties, Value};
use std::collections::HashSet;

/// The properties that may hold a key, first that fits wins.
const CANDIDATES: [&str; 3] = ["id", "code", "fid"];

/// The property that the rows of this file take their key from when they bring none themselves.
pub(super) struct Ids {
    property: Option<String>,
    /// The caller named the property: it goes before the feature's own id.
    asked: bool,
}

impl Ids {
    /// Chooses by the first rows: a property counts as a key only if every row has it and no value stands twice (`code`
    /// is a key for communes, but a land use for planning zones). One that is called `id` means to be a key: there, a
    /// value that stands twice is a fault of that row, as long as most values stand once.
    pub(super) fn choose(options: &ReadOptions, head: &[Row]) -> Self {
        if let Some(name) = &options.id_field {
            return Self { property: Some(name.clone()), asked: true };
        }
        let without: Vec<&Row> = head.iter().filter(|row| row.id.is_none()).collect();
        let is_key = |name: &str| {
            let keys: Option<Vec<String>> =
                without.iter().map(|row| key_of(&row.properties, name).map(|(_, key)| key)).collect();
            let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return false };
            let distinct = keys.iter().collect::<HashSet<_>>().len();
            distinct == keys.len() || (name == "id" && distinct * 2 > keys.len())
        };
        let property = CANDIDATES.into_iter().find(|name| is_key(name)).map(str::to_owned);
        Self { property, asked: false }
    }

    /// The row's id. A property named `id` that became the key is taken out of the properties: it would stand twice.
    pub(super) fn take(&self, row: &mut Row) -> Option<String> {
        let own = row.id.take();
        if let Some(own) = own.filter(|_| !self.asked) {
            return Some(own);
        }
        match self.property.as_deref().and_then(|name| key_of(&row.properties, name)) {
            Some((name, key)) => {
                if name.eq_ignore_ascii_case("id") {
                    row.properties.remove(&name);
                }
                Some(key)
            }
            None if self.asked => None,
            None => Some(row.key.take().unwrap_or_else(|| row.number.to_string())),
        }
    }
}

/// The property's name as written and its value as a key; case of the name does not matter.
fn key_of(properties: &Properties, name: &str) -> Option<(String, String)> {
    let exact = properties.get(name).map(|value| (name, value));
    let (name, value) = exact.or_else(|| properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)))?;
    let key = match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) if !text.trim().is_empty() => text.trim().to_owned(),
        #[allow(clippy::float_cmp)]
        Value::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{number:.0}"),
        _ => return None,
    };
    Some((name.to_owned(), key))
}
