//! The schema that a file's properties add up to.

use model::{Field, FieldType, Properties, Title, Value};
use std::collections::HashMap;

/// Collects property names in order of appearance and the narrowest type that holds all their values.
#[derive(Default)]
pub(super) struct Fields {
    order: Vec<(String, Option<FieldType>)>,
    index: HashMap<String, usize>,
}

impl Fields {
    pub(super) fn see(&mut self, properties: &Properties) {
        for (name, value) in properties {
            let at = match self.index.get(name) {
                Some(at) => *at,
                None => {
                    self.index.insert(name.clone(), self.order.len());
                    self.order.push((name.clone(), None));
                    self.order.len() - 1
                }
            };
            if let Some(new) = type_of(value) {
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
        for row in rows {
            fields.see(&row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        }
        let types: Vec<FieldType> = fields.into_schema().iter().map(|field| field.field_type).collect();
        assert_eq!(types, [FieldType::Real, FieldType::Text, FieldType::Date, FieldType::Text]);
    }
}
