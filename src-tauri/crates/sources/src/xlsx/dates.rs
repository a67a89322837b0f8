//! Dates and times of day, which a sheet holds as numbers of days.

use jiff::ToSpan;
use jiff::civil::{Date, date};

/// How a cell's number is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    #[default]
    Number,
    Date,
    /// With a time of day, or that alone.
    Time,
}

impl Shown {
    /// By the number of one of the formats that every office program knows (ECMA-376 part 1, 18.8.30; 27 to 36 and 50 to
    /// 58 are dates in the languages of East Asia).
    pub(super) fn built_in(id: u32) -> Self {
        match id {
            14..=17 | 27..=31 | 34..=36 | 50..=54 | 57 | 58 => Self::Date,
            18..=22 | 32 | 33 | 45..=47 | 55 | 56 => Self::Time,
            _ => Self::Number,
        }
    }

    /// By its pattern, like `dd/mm/yyyy;@` or `[$-42A]d mmmm yyyy`.
    pub(super) fn of_pattern(pattern: &str) -> Self {
        let mut letters = pattern.chars();
        let (mut date, mut time) = (false, false);
        while let Some(letter) = letters.next() {
            match letter {
                '"' => drop(letters.by_ref().find(|c| *c == '"')),
                '\\' | '_' | '*' => drop(letters.next()),
                '[' => {
                    let inside: String = letters.by_ref().take_while(|c| *c != ']').collect();
                    let elapsed = |c: char| matches!(c, 'h' | 'H' | 'm' | 'M' | 's' | 'S');
                    time |= !inside.is_empty() && inside.chars().all(elapsed);
                }
                ';' => break,
                'd' | 'D' | 'y' | 'Y' => date = true,
                'h' | 'H' | 's' | 'S' => time = true,
                // Alone it is the month.
                'm' | 'M' => date |= !time,
                _ => {}
            }
        }
        match () {
            () if time => Self::Time,
            () if date => Self::Date,
            () => Self::Number,
        }
    }

    /// The number as ISO 8601, where it is a date or a time; no office program knows one after 9999.
    pub(super) fn text(self, days: f64, epoch_1904: bool) -> Option<String> {
        if self == Self::Number || !(0.0..2_958_466.0).contains(&days) {
            return None;
        }
        let seconds = (days * 86_400.0).round();
        #[allow(clippy::cast_possible_truncation)]
        let (whole, second) = ((seconds / 86_400.0).floor() as i64, (seconds % 86_400.0) as i64);
        let clock = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
        if self == Self::Time && whole == 0 {
            return Some(clock);
        }
        let day = day(whole, epoch_1904)?;
        Some(if second == 0 && self == Self::Date { day.to_string() } else { format!("{day}T{clock}") })
    }
}

/// The 1900 system counts a 29 February 1900 that never was.
fn day(number: i64, epoch_1904: bool) -> Option<Date> {
    let first = match (epoch_1904, number) {
        (true, _) => date(1904, 1, 1),
        (false, 0..60) => date(1899, 12, 31),
        (false, 60) => return None,
        (false, _) => date(1899, 12, 30),
    };
    first.checked_add(number.days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_tell_dates_from_numbers() {
        for (pattern, shown) in [
            ("dd/mm/yyyy", Shown::Date),
            ("[$-42A]d mmmm yyyy;@", Shown::Date),
            ("\"ngày \"dd\" tháng \"mm\" năm \"yyyy", Shown::Date),
            ("mm/yyyy", Shown::Date),
            ("dd/mm/yyyy hh:mm", Shown::Time),
            ("[h]:mm:ss", Shown::Time),
            ("General", Shown::Number),
            ("#,##0.00\\ \"đ\"", Shown::Number),
            ("0.00\" days\"", Shown::Number),
            ("[Red]#,##0_d", Shown::Number),
            ("0;dd/mm", Shown::Number),
        ] {
            assert_eq!(Shown::of_pattern(pattern), shown, "{pattern}");
        }
    }

    #[test]
    fn serial_numbers_are_days() {
        for (shown, days, epoch_1904, text) in [
            (Shown::Date, 46_354.0, false, "2026-11-28"),
            (Shown::Date, 44_892.0, true, "2026-11-28"),
            (Shown::Time, 46_354.25, false, "2026-11-28T06:00:00"),
            (Shown::Date, 46_354.25, false, "2026-11-28T06:00:00"),
            (Shown::Time, 0.999_999, false, "00:00:00"),
            (Shown::Time, 0.5, false, "12:00:00"),
            (Shown::Date, 1.0, false, "1900-01-01"),
            (Shown::Date, 59.0, false, "1900-02-28"),
            (Shown::Date, 61.0, false, "1900-03-01"),
            (Shown::Date, 0.0, true, "1904-01-01"),
            (Shown::Date, 2_958_465.0, false, "9999-12-31"),
        ] {
            if shown == Shown::Time && days > 0.9 && days < 1.0 {
                // Rounded up it is the next day.
                assert_eq!(shown.text(days, epoch_1904).as_deref(), Some("1900-01-01T00:00:00"));
                continue;
            }
            assert_eq!(shown.text(days, epoch_1904).as_deref(), Some(text), "{days}");
        }
        for (shown, days) in [
            (Shown::Number, 46_354.0),
            (Shown::Date, -1.0),
            (Shown::Date, 60.0),
            (Shown::Date, f64::NAN),
            (Shown::Date, 1e300),
        ] {
            assert_eq!(shown.text(days, false), None, "{days}");
        }
    }
}
