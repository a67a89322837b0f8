//! When a source that fails and fails is left in peace.

use super::shapes::BreakerState;
use model::Timestamp;
use std::time::Duration;

/// So many failures in a row, over at least so long, open the breaker: a line that is gone for a moment is no reason to
/// rest.
const FAILURES: u32 = 5;
const FAILING_FOR: Duration = Duration::from_secs(60);
/// The first rest; each probe that fails doubles it.
const FIRST_REST: Duration = Duration::from_secs(60);
/// No rest is longer, unless the server asks for it.
const LONGEST_REST: Duration = Duration::from_secs(900);

/// A circuit breaker: closed while a source works, open while it rests, half-open when one probe is due. It knows no
/// clock: the present comes with every call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    failing_since: Option<Timestamp>,
    rests: u32,
    rests_until: Option<Timestamp>,
}

impl Breaker {
    /// What the source was asked for came, or it said for good that it will not.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }

    /// A try failed in a way that may pass. `asked`: how long the server wants to be left alone. `every`: the source's
    /// own period; nobody rests longer than that, or a minute where the period is shorter. Returns until when to rest.
    pub(crate) fn failed(&mut self, now: Timestamp, asked: Option<Duration>, every: Duration) -> Option<Timestamp> {
        // A try that somebody made during a rest does not lengthen it.
        if self.state(now) == BreakerState::Open {
            return self.rests_until;
        }
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(now);
        let failing_for = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let probe = self.rests_until.is_some();
        if !probe && (self.failures < FAILURES || failing_for < FAILING_FOR) {
            return None;
        }
        let longest = every.clamp(FIRST_REST, LONGEST_REST);
        let rest = (FIRST_REST * 2_u32.saturating_pow(self.rests.min(8))).min(longest);
        let rest = rest.max(asked.unwrap_or_default().min(sources::Backoff::MAX_ASKED));
        self.rests += 1;
        self.rests_until = super::after(now, rest);
        self.rests_until
    }

    pub(crate) fn state(&self, now: Timestamp) -> BreakerState {
        match self.rests_until {
            None => BreakerState::Closed,
            Some(until) if until > now => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Until when the source rests.
    pub(crate) fn resting_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Ends the rest: the line is proven up by a neighbour, and a probe is worth its while.
    pub(crate) fn end_rest(&mut self, now: Timestamp) {
        self.rests_until = self.rests_until.map(|until| until.min(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(600);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + secs).unwrap()
    }

    fn failing() -> Breaker {
        let mut breaker = Breaker::default();
        for secs in [0, 15, 30, 45] {
            assert_eq!(breaker.failed(at(secs), None, EVERY), None);
        }
        breaker
    }

    #[test]
    fn five_failures_over_a_minute_open_it_and_a_good_probe_closes_it() {
        let mut breaker = failing();
        assert_eq!(breaker.failed(at(60), None, EVERY), Some(at(120)));
        assert_eq!((breaker.state(at(61)), breaker.resting_until(at(61))), (BreakerState::Open, Some(at(120))));
        assert_eq!((breaker.state(at(120)), breaker.resting_until(at(120))), (BreakerState::HalfOpen, None));
        breaker.answered();
        assert_eq!(breaker.state(at(121)), BreakerState::Closed);
        assert_eq!(breaker.failed(at(122), None, EVERY), None, "it starts over");
    }

    #[test]
    fn rests_grow_to_the_period_of_the_source_and_no_further() {
        let rests = |every: u64| {
            let (mut breaker, mut now, mut rests) = (failing(), 60, Vec::new());
            for _ in 0..6 {
                let until = breaker.failed(at(now), None, Duration::from_secs(every)).unwrap();
                rests.push(until.as_second() - at(now).as_second());
                now = until.as_second() - at(0).as_second();
            }
            rests
        };
        assert_eq!(rests(600), [60, 120, 240, 480, 600, 600]);
        assert_eq!(rests(30), [60; 6]);
        assert_eq!(rests(86_400)[5], 900);
    }

    #[test]
    fn a_line_that_is_gone_for_a_moment_is_no_reason_to_rest() {
        let mut breaker = Breaker::default();
        for tenth in 0..20 {
            assert_eq!(breaker.failed(at(tenth * 2), None, EVERY), None);
        }
        assert!(breaker.failed(at(61), None, EVERY).is_some());
    }

    #[test]
    fn servers_may_ask_for_more_and_a_person_who_tries_meanwhile_makes_it_no_longer() {
        let mut breaker = failing();
        let asked = Some(Duration::from_secs(1_800));
        assert_eq!(breaker.failed(at(60), asked, EVERY), Some(at(1_860)));
        assert_eq!(breaker.failed(at(100), None, EVERY), Some(at(1_860)));
        breaker.end_rest(at(200));
        assert_eq!(breaker.state(at(200)), BreakerState::HalfOpen);
        let endless = Some(Duration::from_secs(1_000_000));
        assert_eq!(breaker.failed(at(200), endless, EVERY), Some(at(3_800)));
    }
}
