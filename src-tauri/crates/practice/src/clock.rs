//! The practice clock: starts where it is told and runs at the speed it is told.

use jiff::SignedDuration;
use model::Timestamp;
use std::time::{Duration, Instant};

/// Fastest clock: a day a second.
pub(crate) const MAX_SPEED: f64 = 86_400.0;

#[derive(Clone, Debug)]
pub(crate) struct Clock {
    started: Instant,
    start: Timestamp,
    speed: f64,
}

impl Clock {
    pub fn new(start: Timestamp, speed: f64) -> Self {
        Self { started: Instant::now(), start, speed }
    }

    pub fn now(&self) -> Timestamp {
        self.at(self.started.elapsed())
    }

    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// What the clock shows after so much real time, cut to milliseconds so that it prints short.
    fn at(&self, real: Duration) -> Timestamp {
        let practice_ms = real.as_secs_f64() * self.speed * 1_000.0;
        #[allow(clippy::cast_possible_truncation)] // saturates, and the addition below is checked
        let shown = self.start.checked_add(SignedDuration::from_millis(practice_ms as i64));
        let shown = shown.unwrap_or(Timestamp::MAX);
        Timestamp::from_millisecond(shown.as_millisecond()).unwrap_or(shown)
    }
}

/// Milliseconds since 1970 as a timestamp; times out of range become the last one there is.
pub(crate) fn timestamp_ms(unix_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_runs_at_its_speed() {
        let clock = Clock::new("2026-11-23T07:00:00Z".parse().unwrap(), 600.0);
        assert_eq!(clock.at(Duration::from_secs(6)).to_string(), "2026-11-23T08:00:00Z");
        let still = Clock::new("2026-11-23T07:00:00Z".parse().unwrap(), 0.0);
        assert_eq!(still.at(Duration::from_secs(60)), still.start);
    }

    #[test]
    fn clock_does_not_run_over_the_end_of_time() {
        let clock = Clock::new("9999-12-30T20:00:00Z".parse().unwrap(), MAX_SPEED);
        assert_eq!(clock.at(Duration::from_secs(100)).as_second(), Timestamp::MAX.as_second());
    }
}
