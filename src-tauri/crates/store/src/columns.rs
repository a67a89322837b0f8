//! From properties to columns: names that SQL can bear, types that hold every value.

use model::{FieldType, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Integers beyond lose digits as a real.
const EXACT_REAL: i64 = 1 << 53;

/// One property's column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// The property's name, whatever its characters.
    pub property: String,
    /// The name in SQL; differs where the property's cannot be used.
    pub column: String,
    #[serde(rename = "type")]
    pub field_type: FieldType,
}

pub(crate) fn sql_type(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Text => "TEXT",
        FieldType::Integer => "INTEGER",
        FieldType::Real => "DOUBLE",
        FieldType::Boolean => "BOOLEAN",
        FieldType::Date => "DATE",
    }
}

/// The type of a new column by its first value; `None` for null.
pub(crate) fn type_of(value: &Value) -> Option<FieldType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(FieldType::Boolean),
        Value::Integer(_) => Some(FieldType::Integer),
        Value::Real(_) => Some(FieldType::Real),
        Value::Text(text) if is_date(text) => Some(FieldType::Date),
        Value::Text(_) => Some(FieldType::Text),
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.as_bytes()[4] == b'-' && text.parse::<jiff::civil::Date>().is_ok()
}

/// The value as it will come back from the column it fits; `None` when that is the value itself.
pub(crate) fn settled(column: FieldType, value: &Value) -> Option<Value> {
    match (column, value) {
        #[allow(clippy::cast_precision_loss)]
        (FieldType::Real, Value::Integer(number)) => Some(Value::Real(*number as f64)),
        (FieldType::Text, Value::Bool(_) | Value::Integer(_) | Value::Real(_)) => Some(Value::Text(value.to_string())),
        _ => None,
    }
}

/// The type that the column must widen to before it can hold the value; `None` when it can as it is.
pub(crate) fn widening(column: FieldType, value: &Value) -> Option<FieldType> {
    use FieldType as T;
    let fits = match (column, value) {
        (_, Value::Null) | (T::Text, _) | (T::Integer, Value::Integer(_)) | (T::Boolean, Value::Bool(_)) => true,
        (T::Real, Value::Real(_)) => true,
        (T::Real, Value::Integer(n)) => (-EXACT_REAL..=EXACT_REAL).contains(n),
        (T::Date, Value::Text(text)) => is_date(text),
        _ => false,
    };
    match (column, value) {
        _ if fits => None,
        (T::Integer, Value::Real(_)) => Some(T::Real),
        _ => Some(T::Text),
    }
}

/// The SQL expression that turns a stored value of one type into another's.
pub(crate) fn cast(column: &str, from: FieldType, to: FieldType) -> String {
    match (from, to) {
        (from, to) if from == to => column.to_owned(),
        (FieldType::Boolean, _) => format!("CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
        (_, FieldType::Real) => format!("CAST({column} AS REAL)"),
        _ => format!("CAST({column} AS TEXT)"),
    }
}

/// SQL that finds an integer which a real cannot hold.
pub(crate) fn inexact(column: &str) -> String {
    format!("{column} > {EXACT_REAL} OR {column} < -{EXACT_REAL}")
}

/// A value as it is bound to a column that it fits.
pub(crate) fn to_sql(field_type: FieldType, value: &Value) -> ToSqlOutput<'_> {
    use rusqlite::types::Value as Owned;
    match (field_type, value) {
        (_, Value::Null) => ToSqlOutput::Borrowed(ValueRef::Null),
        (_, Value::Text(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        (FieldType::Text, other) => ToSqlOutput::Owned(Owned::Text(other.to_string())),
        #[allow(clippy::cast_precision_loss)]
        (FieldType::Real, Value::Integer(n)) => ToSqlOutput::Owned(Owned::Real(*n as f64)),
        (_, Value::Bool(b)) => ToSqlOutput::Owned(Owned::Integer(i64::from(*b))),
        (_, Value::Integer(n)) => ToSqlOutput::Owned(Owned::Integer(*n)),
        (_, Value::Real(x)) => ToSqlOutput::Owned(Owned::Real(*x)),
    }
}

/// A stored value; `None` for NULL and for what no property can be.
pub(crate) fn from_sql(field_type: FieldType, value: ValueRef<'_>) -> Option<Value> {
    match value {
        ValueRef::Null | ValueRef::Blob(_) => None,
        ValueRef::Integer(n) if field_type == FieldType::Boolean => Some(Value::Bool(n != 0)),
        #[allow(clippy::cast_precision_loss)]
        ValueRef::Integer(n) if field_type == FieldType::Real => Some(Value::Real(n as f64)),
        ValueRef::Integer(n) => Some(Value::Integer(n)),
        ValueRef::Real(x) => Some(Value::Real(x)),
        ValueRef::Text(bytes) => Some(Value::Text(String::from_utf8_lossy(bytes).into_owned())),
    }
}

/// Names already in use in a table; SQL compares ASCII letters without case.
#[derive(Clone, Debug)]
pub(crate) struct Names(HashSet<String>);

impl Names {
    pub(crate) fn new() -> Self {
        Self(["fid", "geom", "id", "rowid", "oid", "_rowid_"].map(str::to_owned).into())
    }

    pub(crate) fn reserve(&mut self, column: &str) {
        self.0.insert(column.to_ascii_lowercase());
    }

    /// The column name for a property: its own where SQL and GIS programs can bear it, else a near one.
    pub(crate) fn claim(&mut self, property: &str) -> String {
        let clean: String =
            property.chars().map(|c| if c.is_control() || c == '"' { '_' } else { c }).take(120).collect();
        let clean = if clean.trim().is_empty() { "column".to_owned() } else { clean };
        let mut name = clean.clone();
        let mut count = 1;
        while !self.0.insert(name.to_ascii_lowercase()) {
            count += 1;
            name = format!("{clean}_{count}");
        }
        name
    }
}
