//! JSON numbers to the nearest `f64`, quickly.

/// A number as JSON writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Without fraction and exponent, and within `i64`.
    Integer(i64),
    Real(f64),
}

impl Number {
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

/// The powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// The whole numbers up to here are all `f64`.
const EXACT: u64 = 1 << 53;
/// So many digits fit into an `u64` whatever they are.
const MAX_DIGITS: usize = 19;

/// Reads the number that starts at `at`; the number and the place behind it. `None` for what is no JSON number or is
/// beyond the range of `f64`.
///
/// Up to 2^53 and 10^±22 both parts of `digits × 10^exponent` are exact, so that the one multiplication or division
/// rounds to the nearest (W. D. Clinger, "How to read floating point numbers accurately", 1990); the standard library
/// does the rest.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<(Number, usize)> {
    let start = at;
    let negative = bytes.get(at) == Some(&b'-');
    let whole = at + usize::from(negative);
    let mut value = 0_u64;
    let mut at = digits(bytes, whole, &mut value);
    let mut count = at - whole;
    if count == 0 || (count > 1 && bytes[whole] == b'0') {
        return None;
    }
    let mut exponent = 0_i64;
    let mut integer = true;
    if bytes.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = digits(bytes, fraction, &mut value);
        if at == fraction {
            return None;
        }
        count += at - fraction;
        exponent = -i64::try_from(at - fraction).ok()?;
        integer = false;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = bytes.get(at + 1);
        let from = at + 1 + usize::from(matches!(sign, Some(b'+' | b'-')));
        let mut power = 0;
        at = digits(bytes, from, &mut power);
        if at == from {
            return None;
        }
        // A power too long to be told is none that the short way takes.
        let power = if at - from > 4 { 10_000 } else { i64::try_from(power).ok()? };
        exponent += if sign == Some(&b'-') { -power } else { power };
        integer = false;
    }
    let short = count <= MAX_DIGITS;
    let whole = match negative {
        // Whole numbers know no negative zero.
        true if value == 0 => None,
        true => 0_i64.checked_sub_unsigned(value),
        false => i64::try_from(value).ok(),
    };
    if let Some(whole) = whole.filter(|_| integer && short) {
        return Some((Number::Integer(whole), at));
    }
    let power = usize::try_from(exponent.unsigned_abs()).ok().and_then(|power| POWERS.get(power));
    #[allow(clippy::cast_precision_loss)]
    let real = match power {
        Some(power) if short && value <= EXACT => {
            let value = value as f64;
            let size = if exponent < 0 { value / power } else { value * power };
            if negative { -size } else { size }
        }
        _ => std::str::from_utf8(&bytes[start..at]).ok()?.parse().ok()?,
    };
    real.is_finite().then_some((Number::Real(real), at))
}

/// Goes behind the digits at `at` and appends them to `value`, which wraps around after [`MAX_DIGITS`].
fn digits(bytes: &[u8], mut at: usize, value: &mut u64) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk)
        && let Some(eight) = eight_digits(*chunk)
    {
        *value = value.wrapping_mul(100_000_000).wrapping_add(eight);
        at += 8;
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// The value of eight digits in three multiplications: neighbours are joined to pairs, pairs to fours, fours to eight.
fn eight_digits(chunk: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(chunk);
    let high = word & 0xf0f0_f0f0_f0f0_f0f0;
    let carried = word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high != 0x3030_3030_3030_3030 || carried != high {
        return None;
    }
    let ones = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(1 + (10_000 << 32)) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_json_number_is_refused() {
        for text in ["", "-", "+1", ".5", "1.", "01", "-01", "1e", "1e+", "NaN", "1e999", "-1e400", "x"] {
            assert_eq!(number(text.as_bytes(), 0), None, "{text}");
        }
        assert_eq!(number(b"12,3", 0), Some((Number::Integer(12), 2)));
        assert_eq!(number(b"-9223372036854775807]", 0), Some((Number::Integer(-i64::MAX), 20)));
        assert_eq!(number(b"-9223372036854775808]", 0), Some((Number::Integer(i64::MIN), 20)));
        assert!(matches!(number(b"-9223372036854775809", 0), Some((Number::Real(_), 20))));
        assert!(matches!(number(b"9223372036854775808", 0), Some((Number::Real(_), 19))));
        assert!(matches!(number(b"-0", 0), Some((Number::Real(zero), 2)) if zero.is_sign_negative()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn eight_digits_are_told_from_anything_else(chunk in prop_oneof![any::<[u8; 8]>(), any::<[u8; 8]>().prop_map(|c| c.map(|b| b'0' + b % 11))]) {
            let expected = chunk.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(&chunk).unwrap().parse::<u64>().unwrap());
            prop_assert_eq!(eight_digits(chunk), expected);
        }

        #[test]
        fn every_number_is_the_nearest(text in prop_oneof![
            "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
            "-?1[0-9]{2}\\.[0-9]{5,18}",
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x}")),
        ]) {
            let expected: f64 = text.parse().unwrap();
            match number(text.as_bytes(), 0) {
                Some((found, end)) => {
                    prop_assert_eq!(found.as_f64().to_bits(), expected.to_bits());
                    prop_assert_eq!(end, text.len());
                }
                None => prop_assert!(expected.is_infinite()),
            }
        }
    }
}
