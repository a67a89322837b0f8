//! Which column of a foreign table is which field: by name, never by content.

use super::{Schema, SchemaField};

/// What the names of a table's columns suggest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestion {
    /// Field and the one column that is another name of it.
    pub map: Vec<(String, String)>,
    /// Field and the several columns that might be it: a person must say which.
    pub ambiguous: Vec<(String, Vec<String>)>,
}

impl Schema {
    /// Finds the fields that a table has under other names. A field whose own name is a column is that column. `keep`
    /// says which columns are spoken for.
    ///
    /// ```
    /// let schema = model::Schema::named("school").unwrap();
    /// let suggestion = schema.suggest(&["TEN_TRUONG", "Cấp học", "ghi chú"], |_| false);
    /// let pairs: Vec<_> = suggestion.map.iter().map(|(field, column)| (field.as_str(), column.as_str())).collect();
    /// assert_eq!(pairs, [("name", "TEN_TRUONG"), ("level", "Cấp học")]);
    /// ```
    pub fn suggest(&self, columns: &[&str], keep: impl Fn(&str) -> bool) -> Suggestion {
        let mut suggestion = Suggestion::default();
        let free: Vec<(&str, String)> = columns
            .iter()
            .filter(|column| self.field(column).is_none() && !keep(column))
            .map(|column| (*column, key(column)))
            .collect();
        for field in &self.fields {
            if columns.contains(&field.name.as_str()) {
                continue;
            }
            let names = self.names_of(field);
            let mut found: Vec<String> =
                free.iter().filter(|(_, key)| names.contains(key)).map(|(column, _)| (*column).to_owned()).collect();
            match found.len() {
                0 => {}
                1 => suggestion.map.extend(found.pop().map(|column| (field.name.clone(), column))),
                _ => suggestion.ambiguous.push((field.name.clone(), found)),
            }
        }
        suggestion
    }

    /// The keys of all names of a field. What another field is called by itself is that field's.
    fn names_of(&self, field: &SchemaField) -> Vec<String> {
        let other = [&field.title.vi, &field.title.en].into_iter().chain(&field.aliases).map(|name| key(name));
        let is_other_field = |name: &String| self.fields.iter().any(|f| f.name != field.name && key(&f.name) == *name);
        std::iter::once(key(&field.name)).chain(other.filter(|name| !is_other_field(name))).collect()
    }
}

/// A column's name without marks, case, blanks and signs: `MA_TRAM`, `Mã trạm` and `matram` are one.
fn key(name: &str) -> String {
    crate::fold(name).replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn no_name_stands_for_two_fields_of_a_kind() {
        for schema in Schema::all() {
            let mut seen: HashMap<String, &str> = HashMap::new();
            for field in &schema.fields {
                for name in schema.names_of(field) {
                    let other = seen.insert(name.clone(), &field.name).filter(|other| *other != field.name);
                    assert_eq!(other, None, "{}: {name} is {} too", schema.kind, field.name);
                }
            }
        }
    }

    #[test]
    fn two_columns_for_one_field_are_named_and_not_taken() {
        let schema = Schema::named("clinic").unwrap();
        let suggestion = schema.suggest(&["Tên cơ sở", "Mã xã", "Tên xã", "beds", "Số giường"], |_| false);
        assert_eq!(suggestion.map, [("name".to_owned(), "Tên cơ sở".to_owned())]);
        assert_eq!(suggestion.ambiguous, [("commune".to_owned(), vec!["Mã xã".to_owned(), "Tên xã".to_owned()])]);
        let told = schema.suggest(&["Tên cơ sở", "Mã xã", "Tên xã"], |column| column == "Tên xã");
        assert_eq!(told.map.len(), 2);
    }
}
