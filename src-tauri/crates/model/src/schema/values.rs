//! Values as a field wants them: read where they can be, left alone where they are right.

use super::DataType;
use crate::Value;
use jiff::civil::Date;
use std::borrow::Cow;

/// The patterns that the schemas may use, so that no foreign regular expression has to be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    Any,
    /// `\S`
    NotBlank,
    /// A year, quarter or month.
    Period,
}

pub(super) const NOT_BLANK: &str = r"\S";
pub(super) const PERIOD: &str = "^[0-9]{4}(-(0[1-9]|1[0-2])|-Q[1-4])?$";
pub(super) const COMBINED: &str = "^[A-Z]{3}([+][A-Z]{3})+$";

impl Form {
    pub(super) fn of(pattern: &str) -> Option<Self> {
        match pattern {
            NOT_BLANK => Some(Self::NotBlank),
            PERIOD => Some(Self::Period),
            _ => None,
        }
    }

    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::NotBlank => !text.trim().is_empty(),
            Self::Period => is_period(text),
        }
    }
}

fn is_period(text: &str) -> bool {
    let (year, rest) = text.split_at_checked(4).unwrap_or((text, ""));
    let part = match rest.strip_prefix('-') {
        None => rest.is_empty(),
        Some(part) => {
            matches!(part, "Q1" | "Q2" | "Q3" | "Q4")
                || (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) && ("01"..="12").contains(&part))
        }
    };
    year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()) && part
}

/// What became of a value.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// It is as it should be.
    Right,
    /// The same in the field's own type.
    As(Value),
    /// It cannot be read.
    Wrong,
}

/// True for what stands for no value at all.
pub(super) fn is_missing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// Reads a value that is not missing as a type. No unit is converted and no digit is lost.
pub(super) fn read(data_type: DataType, value: &Value) -> Read {
    let made = match (data_type, value) {
        (DataType::Text, Value::Text(_))
        | (DataType::Integer, Value::Integer(_))
        | (DataType::Real, Value::Real(_) | Value::Integer(_))
        | (DataType::Boolean, Value::Bool(_)) => return Read::Right,
        (DataType::Text, Value::Real(x)) if is_whole(*x) => Some(Value::Text(format!("{x:.0}"))),
        (DataType::Text, other) => Some(Value::Text(other.to_string())),
        (DataType::Integer, Value::Real(x)) => whole(*x),
        (DataType::Integer, Value::Text(text)) => match text.trim().parse() {
            Ok(number) => Some(Value::Integer(number)),
            Err(_) => number(text).and_then(whole),
        },
        (DataType::Real, Value::Text(text)) => number(text).map(Value::Real),
        (DataType::Boolean, Value::Integer(number @ (0 | 1))) => Some(Value::Bool(*number == 1)),
        (DataType::Boolean, Value::Real(x)) if *x == 0.0 || *x == 1.0 => Some(Value::Bool(*x == 1.0)),
        (DataType::Boolean, Value::Text(text)) => truth(text).map(Value::Bool),
        (DataType::Date, Value::Text(text)) => return date(text),
        (DataType::Moment, Value::Text(text)) => return moment(text),
        _ => None,
    };
    made.map_or(Read::Wrong, Read::As)
}

fn is_whole(x: f64) -> bool {
    x.fract() == 0.0 && x.abs() < 9e15
}

fn whole(x: f64) -> Option<Value> {
    #[allow(clippy::cast_possible_truncation)]
    is_whole(x).then_some(Value::Integer(x as i64))
}

/// A number with point or comma; with both, the last one is the decimal sign. Groups alone (1.250) are read as decimals,
/// as tables are read elsewhere.
fn number(text: &str) -> Option<f64> {
    let text: String = text.trim().chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}')).collect();
    let text = match (text.rfind('.'), text.rfind(',')) {
        (_, None) => text,
        (Some(point), Some(comma)) if point > comma => text.replace(',', ""),
        _ if text.matches(',').count() == 1 => text.replace('.', "").replace(',', "."),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn truth(text: &str) -> Option<bool> {
    match crate::fold(text).as_str() {
        "true" | "yes" | "co" | "dung" | "1" => Some(true),
        "false" | "no" | "khong" | "sai" | "0" => Some(false),
        _ => None,
    }
}

fn iso(text: &str) -> Option<Date> {
    let plain = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    plain.then(|| text.parse().ok()).flatten()
}

/// A day: ISO 8601, or day/month/year as it is written in Vietnam. The time of day that some formats add at midnight
/// goes.
fn date(text: &str) -> Read {
    if iso(text).is_some() {
        return Read::Right;
    }
    let text = text.trim();
    let midnight = |rest: &str| rest.trim_start_matches(['T', ' ', '0', ':', '.']).trim_end_matches('Z').is_empty();
    if let Some((day, rest)) = text.split_at_checked(10)
        && iso(day).is_some()
        && midnight(rest)
    {
        return Read::As(Value::Text(day.to_owned()));
    }
    let parts: Vec<&str> = text.split(['/', '.', '-']).collect();
    let [day, month, year] = parts[..] else { return Read::Wrong };
    let digits = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !(digits(day, 2) && digits(month, 2) && year.len() == 4 && digits(year, 4)) {
        return Read::Wrong;
    }
    let made = match (year.parse(), month.parse(), day.parse()) {
        (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).ok(),
        _ => None,
    };
    made.map_or(Read::Wrong, |date| Read::As(Value::Text(date.to_string())))
}

/// A moment; without an offset it is none.
fn moment(text: &str) -> Read {
    let Ok(at) = text.trim().parse::<crate::Timestamp>() else { return Read::Wrong };
    let mut signs = text.bytes();
    let plain = text.len() >= 20
        && signs.nth(10) == Some(b'T')
        && signs.nth(2) == Some(b':')
        && signs.nth(2) == Some(b':')
        && (text.ends_with('Z') || text.as_bytes().get(text.len() - 3) == Some(&b':'))
        && !text.contains(['[', ',']);
    if plain { Read::Right } else { Read::As(Value::Text(at.to_string())) }
}

/// The value as text, for lists of codes.
pub(super) fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) => Cow::Borrowed(text.trim()),
        other => Cow::Owned(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        for (data_type, written, read_as) in [
            (DataType::Integer, text("12"), Read::As(Value::Integer(12))),
            (DataType::Integer, Value::Real(12.0), Read::As(Value::Integer(12))),
            (DataType::Integer, text("12,5"), Read::Wrong),
            (DataType::Real, Value::Integer(3), Read::Right),
            (DataType::Real, text("1.234,5"), Read::As(Value::Real(1234.5))),
            (DataType::Real, text("1,234.5"), Read::As(Value::Real(1234.5))),
            (DataType::Real, text("NaN"), Read::Wrong),
            (DataType::Text, Value::Integer(25459), Read::As(text("25459"))),
            (DataType::Text, Value::Real(25459.0), Read::As(text("25459"))),
            (DataType::Boolean, text("Có"), Read::As(Value::Bool(true))),
            (DataType::Boolean, Value::Integer(0), Read::As(Value::Bool(false))),
            (DataType::Boolean, Value::Integer(2), Read::Wrong),
            (DataType::Date, text("2026-11-23"), Read::Right),
            (DataType::Date, text("2026-02-30"), Read::Wrong),
            (DataType::Date, text("3/2/2026"), Read::As(text("2026-02-03"))),
            (DataType::Date, text("2026-11-23T00:00:00Z"), Read::As(text("2026-11-23"))),
            (DataType::Date, text("2026-11-23T07:30:00Z"), Read::Wrong),
            (DataType::Date, text("13/13/2026"), Read::Wrong),
            (DataType::Moment, text("2026-11-23T14:00:00+07:00"), Read::Right),
            (DataType::Moment, text("2026-11-23 14:00:00+07:00"), Read::As(text("2026-11-23T07:00:00Z"))),
            (DataType::Moment, text("2026-11-23T14:00:00"), Read::Wrong),
        ] {
            assert_eq!(read(data_type, &written), read_as, "{data_type:?} {written:?}");
        }
    }

    #[test]
    fn a_period_is_a_year_a_quarter_or_a_month() {
        for (text, fits) in [
            ("2026", true),
            ("2026-Q4", true),
            ("2026-12", true),
            ("2026-13", false),
            ("26", false),
            ("2026-1", false),
            ("năm26", false),
        ] {
            assert_eq!(Form::Period.fits(text), fits, "{text}");
        }
    }
}
