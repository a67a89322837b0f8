//! Rows of a table as features: which column becomes what.

use crate::crs::by_wkt;
use crate::file::{FileCrs, rejection, stored};
use crate::geojson::Parsed;
use model::{GeometryError, NamedRows, Rejection, Value};
use std::error::Error;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// How a column is asked for, so that it comes in one of few forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer,
    Real,
    Bool,
    /// A decimal number as text; whole ones of a column that has others stay real.
    Decimal,
    /// The same of a column without decimal places.
    Whole,
    /// Date and time of day, in ISO form but for the blank between them.
    Moment,
    Text,
}

/// A column that becomes a property.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    kind: Kind,
}

/// Types that are no property: shapes beside the first, and pictures.
const SHAPES: [&str; 2] = ["geometry", "geography"];
const LEFT_OUT: [&str; 2] = ["raster", "topogeometry"];

pub(super) fn is_shape(type_name: &str) -> bool {
    SHAPES.contains(&type_name)
}

impl Column {
    /// `None` for types that become no property. `modifier` is the type's, as the catalogue keeps it.
    pub(super) fn new(name: &str, type_name: &str, modifier: i32) -> Option<Self> {
        if is_shape(type_name) || LEFT_OUT.contains(&type_name) {
            return None;
        }
        let kind = match type_name {
            "int2" | "int4" | "int8" | "oid" => Kind::Integer,
            "float8" => Kind::Real,
            "bool" => Kind::Bool,
            // The scale, in the lowest 11 bits of what PostgreSQL keeps with 4 added.
            "numeric" if modifier >= 4 && (modifier - 4) & 0x7ff == 0 => Kind::Whole,
            "numeric" | "float4" => Kind::Decimal,
            "timestamp" | "timestamptz" => Kind::Moment,
            _ => Kind::Text,
        };
        Some(Self { name: name.to_owned(), kind })
    }

    /// The column in a SELECT from `t`.
    pub(super) fn sql(&self) -> String {
        let cast = match self.kind {
            Kind::Integer => "int8",
            Kind::Real => "float8",
            Kind::Bool => "bool",
            Kind::Decimal | Kind::Whole | Kind::Moment | Kind::Text => "text",
        };
        format!("t.{}::pg_catalog.{cast}", quoted(&self.name))
    }

    fn value(&self, row: &Row, at: usize, number: u64) -> Result<Value, Rejection> {
        let wrong = |error: tokio_postgres::Error| {
            rejection(number, &self.name, "", "field_type", format!("the value cannot be read: {error}"))
        };
        let not_finite =
            |value: &str| rejection(number, &self.name, value, "not_finite", "the value is not a finite number");
        let value = match self.kind {
            Kind::Integer => row.try_get::<_, Option<i64>>(at).map_err(wrong)?.map(Value::Integer),
            Kind::Bool => row.try_get::<_, Option<bool>>(at).map_err(wrong)?.map(Value::Bool),
            Kind::Real => match row.try_get::<_, Option<f64>>(at).map_err(wrong)? {
                Some(value) if !value.is_finite() => return Err(not_finite(&value.to_string())),
                value => value.map(Value::Real),
            },
            Kind::Decimal | Kind::Whole | Kind::Moment | Kind::Text => {
                let Some(Raw(bytes)) = row.try_get::<_, Option<Raw<'_>>>(at).map_err(wrong)? else {
                    return Ok(Value::Null);
                };
                // A database may have been told not to look at its encoding (SQL_ASCII).
                let text = std::str::from_utf8(bytes).map_err(|_| {
                    let shown = String::from_utf8_lossy(bytes);
                    rejection(number, &self.name, &shown, "encoding", "the text is not UTF-8")
                })?;
                Some(match self.kind {
                    Kind::Decimal | Kind::Whole => {
                        decimal(text, self.kind == Kind::Whole).ok_or_else(|| not_finite(text))?
                    }
                    Kind::Moment => Value::Text(moment(text)),
                    _ => Value::Text(stored(text)),
                })
            }
        };
        Ok(value.unwrap_or(Value::Null))
    }
}

/// A name as SQL takes it, whatever stands in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Beyond it whole numbers no longer have a real one each, and keys are made of such.
const LAST_EXACT: i64 = 1 << 53;

/// A decimal number; `None` for NaN and infinities.
fn decimal(text: &str, whole: bool) -> Option<Value> {
    match text.parse::<i64>() {
        Ok(number) if whole || !(-LAST_EXACT..=LAST_EXACT).contains(&number) => Some(Value::Integer(number)),
        _ => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Real),
    }
}

/// `2026-11-23 14:00:00+00` (the session's zone is UTC) as ISO 8601; `infinity` and dates before Christ stay as they are.
fn moment(text: &str) -> String {
    let Some((date, time)) = text.split_once(' ').filter(|_| !text.ends_with("BC")) else { return text.to_owned() };
    match time.strip_suffix("+00") {
        Some(time) => format!("{date}T{time}Z"),
        None => format!("{date}T{time}"),
    }
}

/// Bytes as they come, whatever their type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A row (geometry first, then the columns) as a feature, and the system that its shape itself names. `key` are the
/// places of the columns that make up the id; empty, where one column's value is the key as from every other source.
pub(super) fn feature(
    row: &Row,
    columns: &[Column],
    key: &[usize],
    shape: &str,
    names: &mut NamedRows,
    number: u64,
) -> Result<(Parsed, Option<u32>), Rejection> {
    let wrong = |code: &str, reason: &str| rejection(number, shape, "", code, reason);
    let bytes = match row.try_get::<_, Option<Raw<'_>>>(0) {
        Ok(Some(Raw(bytes))) => bytes,
        Ok(None) => return Err(wrong("geometry_missing", "the row has no geometry")),
        Err(error) => return Err(wrong("geometry_invalid", &error.to_string())),
    };
    let geometry = model::from_wkb(bytes).map_err(|error| match error {
        GeometryError::Empty => wrong("geometry_missing", &error.to_string()),
        _ => wrong("geometry_invalid", &error.to_string()),
    })?;
    names.begin();
    let mut parts = vec![String::new(); key.len()];
    for (at, column) in columns.iter().enumerate() {
        let value = column.value(row, at + 1, number)?;
        if let Some(place) = key.iter().position(|part| *part == at) {
            parts[place] = value.to_string();
        }
        names.push(&column.name, value, stored);
    }
    let properties = names.end();
    let id = (!parts.is_empty()).then(|| parts.join(","));
    Ok((Parsed { id, geometry, properties }, srid_of(bytes)))
}

/// The SRID that an EWKB names; 0 is none.
fn srid_of(ewkb: &[u8]) -> Option<u32> {
    let word = |at: usize| {
        let four: [u8; 4] = ewkb.get(at..at + 4)?.try_into().ok()?;
        Some(if ewkb[0] == 1 { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    };
    let has_srid = word(1)? & 0x2000_0000 != 0;
    if has_srid { word(5).filter(|srid| *srid != 0) } else { None }
}

/// What an entry of `spatial_ref_sys` means. An SRID is a number of the database's own.
pub(super) fn system(srid: u32, authority: Option<&str>, code: Option<i32>, wkt: Option<&str>) -> FileCrs {
    let registered = code.filter(|_| authority.is_some_and(|name| name.eq_ignore_ascii_case("EPSG")));
    match (registered.and_then(|code| u32::try_from(code).ok()), wkt.and_then(by_wkt)) {
        (Some(epsg), _) => FileCrs::Epsg(epsg),
        (None, Some(FileCrs::Epsg(epsg))) => FileCrs::Epsg(epsg),
        (None, Some(FileCrs::Named(name))) => FileCrs::Named(format!("SRID {srid}, {name}")),
        (None, None) => FileCrs::Named(format!("SRID {srid}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_iso_and_decimals_stay_what_they_are() {
        assert_eq!(moment("2026-11-23 14:00:00.25+00"), "2026-11-23T14:00:00.25Z");
        assert_eq!(moment("2026-11-23 14:00:00"), "2026-11-23T14:00:00");
        assert_eq!(moment("infinity"), "infinity");
        assert_eq!(moment("0044-03-15 12:00:00 BC"), "0044-03-15 12:00:00 BC");
        assert_eq!(decimal("12.50", false), Some(Value::Real(12.5)));
        assert_eq!(decimal("-7", false), Some(Value::Real(-7.0)));
        assert_eq!(decimal("-7", true), Some(Value::Integer(-7)));
        assert_eq!(decimal("25684000000000001", false), Some(Value::Integer(25_684_000_000_000_001)));
        assert_eq!(decimal("NaN", false), None);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(quoted(r#"a"; DROP TABLE b; --"#), r#""a""; DROP TABLE b; --""#);
    }

    #[test]
    fn srid_is_read_from_either_byte_order() {
        let little = [1, 1, 0, 0, 0x20, 0xf9, 0x23, 0, 0];
        let big = [0, 0x20, 0, 0, 1, 0, 0, 0x23, 0xf9];
        assert_eq!((srid_of(&little), srid_of(&big)), (Some(9209), Some(9209)));
        assert_eq!((srid_of(&[1, 1, 0, 0, 0, 0, 0, 0, 0]), srid_of(&[1, 1, 0])), (None, None));
    }

    #[test]
    fn systems_go_by_the_register_then_by_their_description() {
        assert_eq!(system(910_530, Some("EPSG"), Some(9209), None), FileCrs::Epsg(9209));
        assert_eq!(system(910_530, Some("tinh"), Some(1), None), FileCrs::Named("SRID 910530".into()));
    }
}
