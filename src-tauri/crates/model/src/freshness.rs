use crate::{LayerKind, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How old and how trustworthy a figure is. The same five words everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    Fresh,
    /// Older than the source's agreed period allows.
    Stale,
    /// The source does not answer.
    Offline,
    /// The sensor or the check says that the value is wrong.
    Error,
    /// Nothing has come yet.
    #[default]
    Never,
}

impl Freshness {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Offline => "offline",
            Self::Error => "error",
            Self::Never => "never",
        }
    }
}

/// Whether the source of a value answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Not asked yet.
    #[default]
    Unknown,
    Up,
    /// No answer for longer than the grace period.
    Lost,
}

/// A length of time in whole seconds, written `30s`, `5m`, `2h` or `365d` in profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

/// A text that is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no length of time: write a whole number and s, m, h or d, for example \"5m\"")]
pub struct SpanError(String);

impl Span {
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes * 60)
    }

    pub const fn as_secs(self) -> u64 {
        self.0
    }

    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.0)
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;
    fn try_from(text: String) -> Result<Self, SpanError> {
        let bad = || SpanError(text.clone());
        let unit = text.chars().last().ok_or_else(bad)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(bad()),
        };
        let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| bad())?;
        number.checked_mul(factor).map(Self).ok_or_else(bad)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            s if s > 0 && s.is_multiple_of(86_400) => (s / 86_400, 'd'),
            s if s > 0 && s.is_multiple_of(3_600) => (s / 3_600, 'h'),
            s if s > 0 && s.is_multiple_of(60) => (s / 60, 'm'),
            s => (s, 's'),
        };
        write!(f, "{number}{unit}")
    }
}

/// When a live value of this kind turns stale: `max(3 × interval, 2 h)`, 30 s for cameras (DESIGN.md, map symbology).
pub fn stale_after(kind: LayerKind, interval: Span) -> Span {
    match kind {
        LayerKind::Camera => Span::seconds(30),
        _ => Span(interval.as_secs().saturating_mul(3).max(2 * 3_600)),
    }
}

/// The freshness of a value measured at `measured_at`, seen at `now`.
///
/// Order of judgement: nothing came → `never`; the link is lost → `offline`; too old → `stale`. A time more than five
/// minutes ahead of `now` is a clock error at the sensor → `error`.
pub fn freshness_of(measured_at: Option<Timestamp>, stale_after: Span, link: LinkState, now: Timestamp) -> Freshness {
    let Some(measured_at) = measured_at else { return Freshness::Never };
    let age_secs = now.as_second().saturating_sub(measured_at.as_second());
    if age_secs < -300 {
        Freshness::Error
    } else if link == LinkState::Lost {
        Freshness::Offline
    } else if age_secs > i64::try_from(stale_after.as_secs()).unwrap_or(i64::MAX) {
        Freshness::Stale
    } else {
        Freshness::Fresh
    }
}

/// The least trustworthy of several; `never` when there is none.
pub fn worst(all: impl IntoIterator<Item = Freshness>) -> Freshness {
    all.into_iter().max().unwrap_or(Freshness::Never)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn value_turns_stale_only_beyond_its_period() {
        let limit = stale_after(LayerKind::AirStation, Span::minutes(5));
        assert_eq!(limit, Span::minutes(120));
        let measured = Some(at("2026-11-23T12:00:00Z"));
        assert_eq!(freshness_of(measured, limit, LinkState::Up, at("2026-11-23T14:00:00Z")), Freshness::Fresh);
        assert_eq!(freshness_of(measured, limit, LinkState::Up, at("2026-11-23T14:00:01Z")), Freshness::Stale);
    }

    #[test]
    fn lost_link_wins_over_age_and_never_over_all() {
        let limit = Span::minutes(120);
        let now = at("2026-11-23T20:00:00Z");
        assert_eq!(freshness_of(None, limit, LinkState::Lost, now), Freshness::Never);
        assert_eq!(freshness_of(Some(at("2026-11-23T12:00:00Z")), limit, LinkState::Lost, now), Freshness::Offline);
    }

    #[test]
    fn measurement_from_the_future_is_an_error() {
        let now = at("2026-11-23T12:00:00Z");
        assert_eq!(
            freshness_of(Some(at("2026-11-23T12:06:00Z")), Span::minutes(120), LinkState::Up, now),
            Freshness::Error
        );
    }

    #[test]
    fn spans_read_and_write_the_same() {
        for text in ["30s", "5m", "2h", "365d"] {
            let span = Span::try_from(text.to_owned()).unwrap();
            assert_eq!(span.to_string(), text);
        }
        for text in ["", "5", "m", "5x", "-5m", "5 m", "99999999999999999d", "5ễ"] {
            assert!(Span::try_from(text.to_owned()).is_err(), "{text:?} must be refused");
        }
    }

    #[test]
    fn camera_is_stale_after_half_a_minute() {
        assert_eq!(stale_after(LayerKind::Camera, Span::seconds(10)), Span::seconds(30));
    }
}
