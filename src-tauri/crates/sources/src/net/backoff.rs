//! When to try again.

use super::FetchError;
use std::time::Duration;

/// Exponential back-off with full jitter: each failure doubles the ceiling, the wait is drawn evenly below it. So a
/// hundred clients that lost the same server do not come back in the same second.
///
/// Time and randomness come from outside (the seed), so that a scenario replays.
///
/// ```
/// use std::time::Duration;
/// let mut backoff = sources::Backoff::new(7);
/// let wait = backoff.failed(None);
/// assert!(wait >= Duration::from_millis(250) && wait <= Duration::from_secs(30));
/// assert_eq!(backoff.failed(Some(Duration::from_secs(120))), Duration::from_secs(120), "the server's word goes first");
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    random: u64,
    failures: u32,
}

impl Backoff {
    /// The shortest wait.
    pub const MIN: Duration = Duration::from_millis(250);
    /// The longest wait, unless the server asks for more.
    pub const MAX: Duration = Duration::from_secs(30);
    /// A server may ask for at most this much.
    pub const MAX_ASKED: Duration = Duration::from_secs(3_600);

    pub fn new(seed: u64) -> Self {
        Self { random: seed, failures: 0 }
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Call after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure; how long to wait from now on. `retry_after` is the server's wish, which is never undercut.
    pub fn failed(&mut self, retry_after: Option<Duration>) -> Duration {
        let ceiling = (Self::MIN * 2 * 2_u32.saturating_pow(self.failures.min(16))).min(Self::MAX);
        self.failures = self.failures.saturating_add(1);
        let room_ms = ceiling.saturating_sub(Self::MIN).as_millis() as u64;
        let drawn = Self::MIN + Duration::from_millis(self.next() % (room_ms + 1));
        drawn.max(retry_after.unwrap_or_default().min(Self::MAX_ASKED))
    }

    /// As [`Backoff::failed`] with the wish that the error carries; the moment of the next try.
    pub fn failed_at(&mut self, now: model::Timestamp, error: &FetchError) -> model::Timestamp {
        let wait = self.failed(error.retry_after_secs().map(Duration::from_secs));
        now.checked_add(jiff::SignedDuration::try_from(wait).unwrap_or_default()).unwrap_or(now)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_in_bounds_and_start_over_after_success() {
        let mut total_early = Duration::ZERO;
        let mut total_late = Duration::ZERO;
        for seed in 0..200 {
            let mut backoff = Backoff::new(seed);
            let waits: Vec<Duration> = (0..20).map(|_| backoff.failed(None)).collect();
            assert!(waits.iter().all(|wait| (Backoff::MIN..=Backoff::MAX).contains(wait)), "{waits:?}");
            total_early += waits[0];
            total_late += waits[19];
            backoff.reset();
            assert!(backoff.failed(None) <= Backoff::MIN * 2);
        }
        assert!(total_late > total_early * 20, "{total_early:?} {total_late:?}");
    }

    #[test]
    fn same_seed_same_waits_and_other_seed_other_waits() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..10).map(|_| backoff.failed(None)).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    #[test]
    fn server_decides_but_not_for_ever() {
        let mut backoff = Backoff::new(1);
        assert_eq!(backoff.failed(Some(Duration::from_secs(77))), Duration::from_secs(77));
        assert_eq!(backoff.failed(Some(Duration::from_secs(1_000_000))), Backoff::MAX_ASKED);
        let now: model::Timestamp = "2026-11-23T14:00:00Z".parse().unwrap();
        let busy = FetchError::Status { host: "h".into(), status: 429, retry_after_secs: Some(60) };
        assert_eq!(backoff.failed_at(now, &busy), "2026-11-23T14:01:00Z".parse().unwrap());
    }
}
