//! Attributes of a feature. The names of a layer's features are the same again and again: they are kept once and shared.

use crate::Value;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

/// The attribute names of one feature, ascending. Features that were made one after the other share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Arc<Vec<Box<str>>>);

impl Names {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.iter().map(AsRef::as_ref)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True only for names that are kept in the same place; others may be equal all the same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// True for equal names, quickly for those of one place.
    pub fn same(&self, other: &Self) -> bool {
        self.is(other) || self == other
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|known| (**known).cmp(name))
    }
}

/// Attribute name → value, in name order.
///
/// ```
/// use model::{Properties, Value};
/// let mut lot = Properties::from([("code".to_owned(), Value::Text("ODT".into()))]);
/// lot.insert("area_m2".into(), Value::Real(120.5));
/// assert_eq!(lot.names().iter().collect::<Vec<_>>(), ["area_m2", "code"]);
/// assert_eq!(lot["code"].as_text(), Some("ODT"));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Properties {
    names: Names,
    /// As many as names.
    values: Vec<Value>,
}

impl Properties {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    /// In the order of the names.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// As [`Properties::values`].
    pub fn values_mut(&mut self) -> &mut [Value] {
        &mut self.values
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.names.find(name).ok().and_then(|at| self.values.get(at))
    }

    pub fn contains_key(&self, name: &str) -> bool {
        self.names.find(name).is_ok()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.names.iter().zip(&self.values)
    }

    /// Puts a value in; the one that was there comes back.
    pub fn insert(&mut self, name: String, value: Value) -> Option<Value> {
        match self.names.find(&name) {
            Ok(at) => Some(std::mem::replace(&mut self.values[at], value)),
            Err(at) => {
                Arc::make_mut(&mut self.names.0).insert(at, name.into());
                self.values.insert(at, value);
                None
            }
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.names.find(name).ok()?;
        Arc::make_mut(&mut self.names.0).remove(at);
        Some(self.values.remove(at))
    }

    /// Keeps what `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Value) -> bool) {
        let kept: Vec<bool> = self.iter().map(|(name, value)| keep(name, value)).collect();
        if kept.iter().all(|kept| *kept) {
            return;
        }
        let mut each = kept.iter();
        Arc::make_mut(&mut self.names.0).retain(|_| each.next().copied().unwrap_or(true));
        let mut each = kept.iter();
        self.values.retain(|_| each.next().copied().unwrap_or(true));
    }
}

impl Index<&str> for Properties {
    type Output = Value;

    /// # Panics
    /// When there is no such attribute.
    fn index(&self, name: &str) -> &Value {
        self.get(name).expect("an attribute of this name")
    }
}

impl FromIterator<(String, Value)> for Properties {
    /// The last of several values of one name stays.
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(all: I) -> Self {
        let mut properties = Self::new();
        properties.extend(all);
        properties
    }
}

impl Extend<(String, Value)> for Properties {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, all: I) {
        for (name, value) in all {
            self.insert(name, value);
        }
    }
}

impl<const N: usize> From<[(String, Value); N]> for Properties {
    fn from(all: [(String, Value); N]) -> Self {
        all.into_iter().collect()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Makes properties of rows that mostly have the same names in the same order, as a file has them.
///
/// Names are compared as they are written in the file, before they are brought into storage form: that is done once.
///
/// ```
/// use model::{NamedRows, Value};
/// let mut rows = NamedRows::default();
/// let mut row = |n| {
///     rows.begin();
///     rows.push("b", Value::Integer(n), str::to_owned);
///     rows.push("a", Value::Null, str::to_owned);
///     rows.end()
/// };
/// let (first, second) = (row(1), row(2));
/// assert!(first.names().is(second.names()));
/// assert_eq!(second["b"], Value::Integer(2));
/// ```
#[derive(Debug, Default)]
pub struct NamedRows {
    /// The names of the last row as written, in the order of the file, and the place of each among `names`.
    written: Vec<(Box<str>, usize)>,
    names: Names,
    /// The row under way.
    values: Vec<Value>,
    at: usize,
    /// The row under way from where it left the last row's path.
    other: Option<Other>,
}

#[derive(Debug, Default)]
struct Other {
    properties: Properties,
    written: Vec<(Box<str>, Box<str>)>,
}

impl NamedRows {
    pub fn begin(&mut self) {
        self.at = 0;
        self.other = None;
        self.values.clear();
        self.values.resize(self.names.len(), Value::Null);
    }

    /// The next attribute of the row; `stored` brings a name into the form it is kept in.
    pub fn push(&mut self, name: &str, value: Value, stored: impl Fn(&str) -> String) {
        if self.other.is_none() {
            if let Some((_, place)) = self.written.get(self.at).filter(|(known, _)| **known == *name) {
                self.values[*place] = value;
                self.at += 1;
                return;
            }
            self.leave();
        }
        let Some(other) = &mut self.other else { return };
        let kept = stored(name);
        other.written.push((name.into(), kept.as_str().into()));
        other.properties.insert(kept, value);
    }

    pub fn end(&mut self) -> Properties {
        if self.other.is_none() && self.at < self.written.len() {
            self.leave();
        }
        let Some(other) = self.other.take() else {
            return Properties { names: self.names.clone(), values: std::mem::take(&mut self.values) };
        };
        // A name that comes twice, or two that are stored alike, would not be told apart by place.
        self.written = Vec::new();
        if other.written.len() == other.properties.len() {
            let place = |kept: &str| other.properties.names.find(kept).ok();
            let all: Option<Vec<_>> =
                other.written.into_iter().map(|(name, kept)| Some((name, place(&kept)?))).collect();
            self.written = all.unwrap_or_default();
        }
        self.names = if self.written.is_empty() { Names::default() } else { other.properties.names.clone() };
        other.properties
    }

    /// The row goes its own way: what came so far is taken along.
    fn leave(&mut self) {
        let mut other = Other::default();
        for (name, place) in &self.written[..self.at] {
            if let Some(kept) = self.names.0.get(*place) {
                other.written.push((name.clone(), kept.clone()));
                other.properties.insert(kept.to_string(), std::mem::take(&mut self.values[*place]));
            }
        }
        self.other = Some(other);
    }
}

/// Gives attributes other names, row for row; rows that shared their names still do.
///
/// ```
/// use model::{Properties, Renaming, Value};
/// let mut renaming = Renaming::new(&[("name".to_owned(), "TEN".to_owned())]);
/// let mut row = Properties::from([("TEN".to_owned(), Value::Integer(1)), ("x".to_owned(), Value::Null)]);
/// renaming.apply(&mut row);
/// assert_eq!(row.names().iter().collect::<Vec<_>>(), ["name", "x"]);
/// ```
#[derive(Debug, Default)]
pub struct Renaming {
    /// New name and old name, one after the other.
    map: Vec<(String, String)>,
    last: Option<Renamed>,
}

#[derive(Debug)]
struct Renamed {
    before: Names,
    after: Names,
    /// Where each value of `after` stood in `before`.
    places: Vec<usize>,
}

impl Renaming {
    /// `(new, old)`; an attribute that has the new name already gives way.
    pub fn new(map: &[(String, String)]) -> Self {
        Self { map: map.to_vec(), last: None }
    }

    pub fn apply(&mut self, properties: &mut Properties) {
        if self.map.is_empty() {
            return;
        }
        let last = self.last.take().filter(|last| last.before.same(&properties.names));
        let last = last.unwrap_or_else(|| self.plan(&properties.names));
        let mut old = std::mem::take(&mut properties.values);
        let value = |at: &usize| old.get_mut(*at).map(std::mem::take).unwrap_or_default();
        properties.values = last.places.iter().map(value).collect();
        properties.names = last.after.clone();
        self.last = Some(last);
    }

    fn plan(&self, before: &Names) -> Renamed {
        let mut names: Vec<(Box<str>, usize)> = before.iter().map(Box::from).zip(0..).collect();
        for (new, old) in &self.map {
            if let Some(at) = names.iter().position(|(name, _)| **name == **old) {
                let (_, place) = names.remove(at);
                names.retain(|(name, _)| **name != **new);
                names.push((new.as_str().into(), place));
            }
        }
        names.sort();
        let (after, places): (Vec<_>, Vec<_>) = names.into_iter().unzip();
        Renamed { before: before.clone(), after: Names(Arc::new(after)), places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Row = Vec<(String, i64)>;

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        prop::collection::vec(prop::collection::vec(("[a-dA-B]", 0..9_i64), 0..5), 0..8)
    }

    proptest! {
        #[test]
        fn rows_hold_what_a_map_would(rows in rows()) {
            let mut named = NamedRows::default();
            for row in rows {
                named.begin();
                for (name, value) in &row {
                    named.push(name, Value::Integer(*value), str::to_lowercase);
                }
                let made = named.end();
                let expected: BTreeMap<String, Value> =
                    row.into_iter().map(|(name, value)| (name.to_lowercase(), Value::Integer(value))).collect();
                prop_assert_eq!(made, expected.into_iter().collect::<Properties>());
            }
        }

        #[test]
        fn changes_are_those_of_a_map(start in prop::collection::vec(("[a-e]", 0..9_i64), 0..6), changes in prop::collection::vec(("[a-f]", prop::option::of(0..9_i64)), 0..9)) {
            let mut map: BTreeMap<String, Value> = BTreeMap::new();
            let mut properties = Properties::new();
            for (name, value) in start {
                map.insert(name.clone(), Value::Integer(value));
                properties.insert(name, Value::Integer(value));
            }
            let before = properties.clone();
            let kept = map.clone();
            for (name, value) in changes {
                match value {
                    Some(value) => prop_assert_eq!(properties.insert(name.clone(), Value::Integer(value)), map.insert(name, Value::Integer(value))),
                    None => prop_assert_eq!(properties.remove(&name), map.remove(&name)),
                }
            }
            properties.retain(|_, value| *value != Value::Integer(3));
            map.retain(|_, value| *value != Value::Integer(3));
            prop_assert_eq!(properties.iter().map(|(n, v)| (n.to_owned(), v.clone())).collect::<Vec<_>>(), map.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(before.iter().map(|(n, v)| (n.to_owned(), v.clone())).collect::<Vec<_>>(), kept.into_iter().collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn renaming_is_taking_out_and_putting_in(rows in rows(), map in prop::collection::vec(("[a-dx]", "[a-dA-B]"), 0..4)) {
            let mut renaming = Renaming::new(&map);
            for row in rows {
                let mut made: Properties = row.into_iter().map(|(name, value)| (name, Value::Integer(value))).collect();
                let mut expected = made.clone();
                for (new, old) in &map {
                    if let Some(value) = expected.remove(old) {
                        expected.insert(new.clone(), value);
                    }
                }
                renaming.apply(&mut made);
                prop_assert_eq!(made, expected);
            }
        }
    }

    #[test]
    fn rows_that_are_alike_share_their_names() {
        let mut named = NamedRows::default();
        let mut row = |names: &[&str]| {
            named.begin();
            for name in names {
                named.push(name, Value::Null, str::to_owned);
            }
            named.end()
        };
        let [a, b, c, d] = [row(&["x", "a"]), row(&["x", "a"]), row(&["x"]), row(&["x"])];
        assert!(a.names().is(b.names()) && !b.names().is(c.names()) && c.names().is(d.names()));
    }
}
