//! What the columns of a table mean: position, key, and the types of the rest.

use crate::file::{ReadError, ReadOptions, stored};
use model::Value;
use std::path::Path;

/// Where a row's position stands, as column numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    LonLat(usize, usize),
    Wkt(usize),
}

impl Position {
    /// The columns with what they stand for.
    pub(super) fn columns(self) -> Vec<(&'static str, usize)> {
        match self {
            Self::LonLat(lon, lat) => vec![("lon", lon), ("lat", lat)],
            Self::Wkt(wkt) => vec![("wkt", wkt)],
        }
    }
}

const LON: [&str; 12] = [
    "lon",
    "lng",
    "long",
    "longitude",
    "kinh do",
    "kinhdo",
    "easting",
    "east m",
    "x",
    "toa do x",
    "coord x",
    "point x",
];
const LAT: [&str; 11] =
    ["lat", "latitude", "vi do", "vido", "northing", "north m", "y", "toa do y", "coord y", "point y", "lat dd"];
const WKT: [&str; 6] = ["wkt", "geometry", "geom", "the geom", "wkt geom", "hinh hoc"];

/// A header without the unit that stands in brackets behind it, as in `Kinh độ (độ)` or `X (m)`.
fn word(header: &str) -> String {
    let bare = header.split(['(', '[']).next().unwrap_or_default();
    model::fold(if bare.trim().is_empty() { header } else { bare })
}

/// True for a header cell that names a position.
pub(super) fn names_position(header: &str) -> bool {
    let folded = word(header);
    [&LON[..], &LAT[..], &WKT[..]].concat().contains(&folded.as_str())
}

/// Finds the position's columns: those that the caller maps to `lon`, `lat` or `wkt`, else by name.
pub(crate) fn position(path: &Path, headers: &[String], options: &ReadOptions) -> Result<Position, ReadError> {
    let mut mapped = [None; 3];
    for (field, column) in &options.map {
        let at = headers.iter().position(|header| header == column).or_else(|| {
            let wanted = model::fold(column);
            headers.iter().position(|header| model::fold(header) == wanted)
        });
        let Some(at) = at else {
            return Err(ReadError::NoColumn {
                path: path.to_path_buf(),
                field: field.clone(),
                column: column.clone(),
                columns: headers.to_vec(),
            });
        };
        if let Some(slot) = ["lon", "lat", "wkt"].iter().position(|name| name == field) {
            mapped[slot] = Some(at);
        }
    }
    let folded: Vec<String> = headers.iter().map(|header| word(header)).collect();
    let named = |names: &[&str]| names.iter().find_map(|name| folded.iter().position(|header| header == name));
    let found = match (mapped[0].or(named(&LON)), mapped[1].or(named(&LAT)), mapped[2].or(named(&WKT))) {
        (_, _, Some(wkt)) if mapped[2].is_some() => Some(Position::Wkt(wkt)),
        (Some(lon), Some(lat), _) => Some(Position::LonLat(lon, lat)),
        (_, _, Some(wkt)) => Some(Position::Wkt(wkt)),
        _ => None,
    };
    found.ok_or_else(|| ReadError::NoGeometry { path: path.to_path_buf(), columns: headers.to_vec() })
}

/// The type of a column by its first values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Real,
    Boolean,
}

/// The narrowest type of all values; keys and codes stay text, so that `01` and `1` stay two things.
pub(super) fn kind<'a>(header: &str, values: impl Iterator<Item = &'a str>, decimal_comma: bool) -> Kind {
    let folded = model::fold(header);
    let is_code = matches!(folded.as_str(), "id" | "code" | "ma" | "fid")
        || folded.starts_with("ma ")
        || folded.ends_with(" code")
        || folded.ends_with(" id");
    let mut possible = [!is_code, !is_code, true];
    let mut any = false;
    for value in values.map(str::trim).filter(|value| !value.is_empty()) {
        any = true;
        possible[0] &= is_integer(value);
        possible[1] &= possible[0] || (is_plain_real(value, decimal_comma));
        possible[2] &= matches!(value, "true" | "false" | "TRUE" | "FALSE" | "True" | "False");
    }
    match possible {
        _ if !any => Kind::Text,
        [true, _, _] => Kind::Integer,
        [_, true, _] => Kind::Real,
        [_, _, true] => Kind::Boolean,
        _ => Kind::Text,
    }
}

/// A cell's value; what does not fit its column's type stays text.
pub(crate) fn value(cell: &str, kind: Kind, decimal_comma: bool) -> Value {
    let trimmed = cell.trim();
    if trimmed.is_empty() {
        return Value::Null;
    }
    let typed = match kind {
        Kind::Text => None,
        Kind::Integer => is_integer(trimmed).then(|| trimmed.parse().ok().map(Value::Integer)).flatten(),
        Kind::Real => (is_integer(trimmed) || is_plain_real(trimmed, decimal_comma))
            .then(|| number(trimmed).filter(|x| x.is_finite()).map(Value::Real))
            .flatten(),
        Kind::Boolean => trimmed.to_ascii_lowercase().parse().ok().map(Value::Bool),
    };
    typed.unwrap_or_else(|| Value::Text(stored(trimmed)))
}

fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && value.parse::<i64>().is_ok()
}

/// A number without its exponent, where that is written as programs do it: `1e-17`, `9.007E+15`. Others are codes, as the
/// house number 12E3 is one.
fn without_exponent(unsigned: &str) -> &str {
    let found = unsigned.rsplit_once(['e', 'E']).filter(|(_, exponent)| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or_default();
        (2..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    });
    found.map_or(unsigned, |(mantissa, _)| mantissa)
}

fn is_plain_real(value: &str, decimal_comma: bool) -> bool {
    let unsigned = without_exponent(value.strip_prefix('-').unwrap_or(value));
    let sign = if decimal_comma && unsigned.contains(',') { ',' } else { '.' };
    let Some((whole, fraction)) = unsigned.split_once(sign) else {
        return unsigned == "0" || is_integer(unsigned);
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction) && (whole == "0" || !whole.starts_with('0')) && unsigned.len() < 30
}

/// A number as people and spreadsheets write it: decimal point or comma, grouped by thousands or not. May be NaN or
/// infinite, when the cell says so.
pub(super) fn number(cell: &str) -> Option<f64> {
    let text: String = cell
        .trim()
        .trim_end_matches('°')
        .chars()
        .filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}'))
        .map(|c| if c == '\u{2212}' { '-' } else { c })
        .collect();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let mantissa = without_exponent(&text);
    let (text, exponent) = text.split_at(mantissa.len());
    let (points, commas) = (text.matches('.').count(), text.matches(',').count());
    let decimal = match (points, commas) {
        (0, 1) => ',',
        (_, 1) if text.rfind(',') > text.rfind('.') => ',',
        (1, _) if text.rfind('.') > text.rfind(',') => '.',
        // 1.250.154: groups only.
        (0, _) | (_, 0) => '\0',
        _ => return None,
    };
    let (whole, fraction) = if decimal == '\0' { (text, "") } else { text.split_once(decimal)? };
    let groups: Vec<&str> = whole.trim_start_matches(['-', '+']).split(['.', ',']).collect();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !groups.iter().all(|group| !group.is_empty() && digits(group)) || !digits(fraction) {
        return None;
    }
    let grouped = groups.len() == 1 || groups[1..].iter().all(|group| group.len() == 3) && groups[0].len() <= 3;
    if !grouped {
        return None;
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let fraction = if fraction.is_empty() { "0" } else { fraction };
    format!("{sign}{}.{fraction}{exponent}", groups.concat()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)]
    fn numbers_are_read_as_people_write_them() {
        for (text, value) in [
            ("106.1", 106.1),
            ("106,1", 106.1),
            (" -3 ", -3.0),
            ("1.250.153,911", 1_250_153.911),
            ("1,250,153.911", 1_250_153.911),
            ("1.250.153", 1_250_153.0),
            ("568 469,126", 568_469.126),
            ("1e2", 100.0),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["", "abc", "1,2,3", "1.2.3", "12,34,567.8.9", "11°18'", "11°18", "1.,5", "-", "."] {
            assert_eq!(number(text), None, "{text}");
        }
        assert!(number("NaN").unwrap().is_nan());
    }

    #[test]
    fn codes_stay_text() {
        assert_eq!(kind("Mã xã", ["25459", "25460"].into_iter(), false), Kind::Text);
        assert_eq!(kind("so", ["01", "2"].into_iter(), false), Kind::Text);
        assert_eq!(kind("so", ["1", "", "2"].into_iter(), false), Kind::Integer);
        assert_eq!(kind("ha", ["1", "2.5"].into_iter(), false), Kind::Real);
        assert_eq!(kind("ha", ["1", "2,5"].into_iter(), true), Kind::Real);
        assert_eq!(kind("ha", ["1e-17", "9.007E+15", "2"].into_iter(), false), Kind::Real);
        assert_eq!(value("1,5E-05", Kind::Real, true), Value::Real(1.5e-5));
        assert_eq!(value("1e+999", Kind::Real, false), Value::Text("1e+999".into()));
        assert_eq!(kind("nha", ["12E3", "1e5"].into_iter(), false), Kind::Text);
        assert_eq!(value("-9223372036854775808", Kind::Integer, false), Value::Integer(i64::MIN));
        assert_eq!(kind("so", ["9223372036854775808"].into_iter(), false), Kind::Text, "no number holds it whole");
        assert_eq!(kind("ok", ["true", "False"].into_iter(), true), Kind::Boolean);
        assert_eq!(value("x", Kind::Integer, false), Value::Text("x".into()));
    }
}
