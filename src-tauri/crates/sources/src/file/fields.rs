//! The schema that a file's properties add up to.

use model::{Field, FieldType, Names, Properties, Title, Value};
use std::collections::HashMap;

/// Collects property names in order of appearance and the narrowest type that holds all their values.
#[derive(Default)]
pub(super) struct Fields {
    order: Vec<(String, Option<FieldType>)>,
    index: HashMap<String, usize>,
}

/// The names and types of a row's properties.
struct Shape {
    names: Names,
    types: Vec<Option<FieldType>>,
    /// The schema knows it already.
    seen: bool,
}

/// The shapes of many rows, of which most are alike: each is kept once.
#[derive(Default)]
pub(crate) struct Shapes {
    list: Vec<Shape>,
    last: usize,
}

/// So many shapes are compared with; a table of which every row is another one must not cost the square.
const COMPARED: usize = 16;
/// More are forgotten between two rows.
const KEPT: usize = 256;

impl Shapes {
    /// The number of this row's shape, for [`Fields::see`].
    pub(super) fn of(&mut self, properties: &Properties) -> usize {
        let latest = self.list.len().saturating_sub(COMPARED)..self.list.len();
        let known = std::iter::once(self.last).chain(latest.rev());
        let found = known.into_iter().find(|at| self.list.get(*at).is_some_and(|shape| shape.fits(properties)));
        self.last = found.unwrap_or_else(|| {
            let types = properties.values().iter().map(type_of).collect();
            self.list.push(Shape { names: properties.names().clone(), types, seen: false });
            self.list.len() - 1
        });
        self.last
    }

    /// Keeps memory bounded; the numbers given out before are void.
    pub(super) fn trim(&mut self) {
        if self.list.len() > KEPT {
            *self = Self::default();
        }
    }
}

impl Shape {
    fn fits(&self, properties: &Properties) -> bool {
        self.names.same(properties.names())
            && self.types.iter().zip(properties.values()).all(|(known, value)| *known == type_of(value))
    }
}

impl Fields {
    /// Takes in the shape of an accepted row.
    pub(super) fn see(&mut self, shapes: &mut Shapes, number: usize) {
        let Some(shape) = shapes.list.get_mut(number).filter(|shape| !shape.seen) else { return };
        shape.seen = true;
        for (name, new) in shape.names.iter().zip(&shape.types) {
            let at = match self.index.get(name) {
                Some(at) => *at,
                None => {
                    self.index.insert(name.to_owned(), self.order.len());
                    self.order.push((name.to_owned(), None));
                    self.order.len() - 1
                }
            };
            if let Some(new) = *new {
                let known = &mut self.order[at].1;
                *known = Some(known.map_or(new, |old| wider(old, new)));
            }
        }
    }

    pub(super) fn into_schema(self) -> Vec<Field> {
        self.order
            .into_iter()
            .map(|(name, field_type)| Field {
                title: Title::same(&name),
                name,
                field_type: field_type.unwrap_or(FieldType::Text),
                unit: None,
                decimals: None,
                label: false,
                required: false,
            })
            .collect()
    }
}

fn type_of(value: &Value) -> Option<FieldType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(FieldType::Boolean),
        Value::Integer(_) => Some(FieldType::Integer),
        Value::Real(_) => Some(FieldType::Real),
        Value::Text(text) if is_date(text) => Some(FieldType::Date),
        Value::Text(_) => Some(FieldType::Text),
    }
}

fn wider(a: FieldType, b: FieldType) -> FieldType {
    use FieldType::{Integer, Real, Text};
    match (a, b) {
        _ if a == b => a,
        (Integer, Real) | (Real, Integer) => Real,
        _ => Text,
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.as_bytes()[4] == b'-' && text.parse::<jiff::civil::Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_is_the_narrowest_that_holds_all_values() {
        let mut fields = Fields::default();
        let rows = [
            [
                ("a", Value::Integer(1)),
                ("b", Value::Integer(1)),
                ("c", Value::Text("2026-11-23".into())),
                ("d", Value::Null),
            ],
            [("a", Value::Real(1.5)), ("b", Value::Bool(true)), ("c", Value::Null), ("d", Value::Null)],
        ];
        let mut shapes = Shapes::default();
        for row in rows {
            let shape = shapes.of(&row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
            fields.see(&mut shapes, shape);
        }
        let types: Vec<FieldType> = fields.into_schema().iter().map(|field| field.field_type).collect();
        assert_eq!(types, [FieldType::Real, FieldType::Text, FieldType::Date, FieldType::Text]);
    }

    #[test]
    fn rows_that_are_alike_share_a_shape() {
        let row = |value: Value, more: bool| -> Properties {
            let mut row = Properties::from([("a".to_owned(), value)]);
            row.extend(more.then(|| ("b".to_owned(), Value::Null)));
            row
        };
        let mut shapes = Shapes::default();
        let rows = [
            row(Value::Integer(1), false),
            row(Value::Integer(2), false),
            row(Value::Null, false),
            row(Value::Integer(1), true),
            row(Value::Integer(3), false),
        ];
        assert_eq!(rows.each_ref().map(|row| shapes.of(row)), [0, 0, 1, 2, 0]);
    }
}
