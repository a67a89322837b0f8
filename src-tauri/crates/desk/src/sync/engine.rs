//! What is known of each source beyond its line: whether it is paused or rests, when it is due, how its last runs went.

use super::breaker::Breaker;
use super::shapes::{Run, RunOutcome};
use crate::Desk;
use crate::api::{Event, Failure, SourceHealth};
use crate::args::{PauseArgs, RunsArgs};
use model::{SourceSpec, Timestamp};
use parking_lot::Mutex;
use sources::{Backoff, FetchError};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Runs that a table shows as dots.
const SHOWN: usize = 24;
/// Runs that are kept.
pub(super) const KEPT: u32 = 200;
/// How often a pause or a rest is looked at for having ended.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Default)]
struct State {
    breaker: Breaker,
    /// When the schedule asks next; `None` while it is being asked.
    due_at: Option<Timestamp>,
    /// The last runs, oldest first; `None` before they were read from the history.
    outcomes: Option<VecDeque<RunOutcome>>,
}

/// The paused sources as the home has them. Another process may change the file.
#[derive(Default)]
struct Paused {
    ids: BTreeSet<String>,
    written_at: Option<SystemTime>,
    looked_at: Option<Instant>,
}

#[derive(Default)]
pub(crate) struct Engine {
    states: Mutex<HashMap<String, State>>,
    paused: Mutex<Paused>,
}

impl Desk {
    /// Whether the schedule leaves a source out.
    pub fn is_paused(&self, source: &str) -> bool {
        let mut paused = self.engine().paused.lock();
        if paused.looked_at.is_none_or(|at| at.elapsed() >= LOOK) {
            paused.looked_at = Some(Instant::now());
            let written_at = std::fs::metadata(self.home().paused_file()).and_then(|meta| meta.modified()).ok();
            if written_at != paused.written_at {
                paused.written_at = written_at;
                paused.ids = self.home().paused();
            }
        }
        paused.ids.contains(source)
    }

    /// The call behind "pause" and "resume".
    pub(crate) async fn pause_source(&self, args: PauseArgs) -> Result<(), Failure> {
        if self.profile().source(&args.source).is_none() {
            return Err(self.failure("no_source", [("source", args.source.as_str())]));
        }
        {
            let mut paused = self.engine().paused.lock();
            // What another process paused meanwhile stays so.
            let mut ids = self.home().paused();
            if args.paused {
                ids.insert(args.source);
            } else {
                ids.remove(&args.source);
            }
            self.home().save_paused(&ids).map_err(|error| crate::failures::home(self.language(), &error))?;
            *paused = Paused { ids, ..Paused::default() };
        }
        self.tell(&Event::Sources { sources: self.sources_info() });
        Ok(())
    }

    /// The last runs of a source, newest first.
    ///
    /// # Errors
    /// `no_source`; what reading the history gives.
    pub fn runs(&self, source: &str) -> Result<Vec<Run>, Failure> {
        if self.profile().source(source).is_none() {
            return Err(self.failure("no_source", [("source", source)]));
        }
        self.kept_runs(source, KEPT)
    }

    fn kept_runs(&self, source: &str, limit: u32) -> Result<Vec<Run>, Failure> {
        let kept = self.history().runs(source, limit).map_err(|error| self.store_failure(&error))?;
        // What an older version wrote and this one cannot read is of no use to anybody.
        let mut runs: Vec<Run> = kept.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
        let failures = |run: &mut Run| {
            let inner = run.layers.iter_mut().filter_map(|layer| layer.failure.as_mut());
            for failure in run.failure.iter_mut().chain(inner) {
                *failure = self.in_language(failure, self.language());
            }
        };
        runs.iter_mut().for_each(failures);
        Ok(runs)
    }

    pub(crate) async fn source_runs(&self, args: RunsArgs) -> Result<Vec<Run>, Failure> {
        self.runs(&args.source)
    }

    /// Keeps a run for the log. One that cannot be kept is told like every other failed write: by the next one.
    pub(super) fn keep_run(&self, run: &Run) {
        let Ok(body) = serde_json::to_string(run) else { return };
        // Read first, so that a run is not counted twice.
        self.outcomes(&run.source);
        if self.history().add_run(&run.source, run.ended_at, &body, KEPT).is_ok() {
            let mut states = self.engine().states.lock();
            let outcomes = states.entry(run.source.clone()).or_default().outcomes.get_or_insert_default();
            outcomes.push_back(run.outcome);
            while outcomes.len() > SHOWN {
                outcomes.pop_front();
            }
        }
    }

    fn outcomes(&self, source: &str) -> Vec<RunOutcome> {
        let known = |states: &HashMap<String, State>| states.get(source)?.outcomes.clone();
        if let Some(known) = known(&self.engine().states.lock()) {
            return known.into();
        }
        let shown = u32::try_from(SHOWN).unwrap_or(u32::MAX);
        let Ok(mut runs) = self.kept_runs(source, shown) else { return Vec::new() };
        runs.reverse();
        let outcomes: VecDeque<RunOutcome> = runs.iter().map(|run| run.outcome).collect();
        self.engine()
            .states
            .lock()
            .entry(source.to_owned())
            .or_default()
            .outcomes
            .get_or_insert(outcomes)
            .clone()
            .into()
    }

    /// Adds to a source's health what goes beyond its link.
    pub(crate) fn complete(&self, health: &mut SourceHealth, now: Timestamp) {
        (health.paused, health.runs) = (self.is_paused(&health.id), self.outcomes(&health.id));
        let paused = health.paused;
        self.change(&health.id, |state| {
            health.breaker = state.breaker.state(now);
            health.resting_until = state.breaker.resting_until(now);
            health.next_run_at = state.due_at.filter(|_| !paused);
        });
    }

    fn change<T>(&self, source: &str, change: impl FnOnce(&mut State) -> T) -> T {
        change(self.engine().states.lock().entry(source.to_owned()).or_default())
    }

    /// When the schedule asks next; `None` while it asks.
    pub(super) fn set_due(&self, source: &str, wait: Option<Duration>) {
        let at = wait.and_then(|wait| super::after(self.now(), wait));
        self.change(source, |state| state.due_at = at);
    }

    /// A source gave what it was asked for.
    pub(super) fn source_worked(&self, source: &str) {
        self.change(source, |state| state.breaker.answered());
    }

    /// A source failed: how long to leave it alone, by back-off or by the breaker's rest.
    pub(super) fn source_failed(&self, source: &SourceSpec, backoff: &mut Backoff, error: &FetchError) -> Duration {
        let every = source.every.as_duration();
        let wait = super::wait_after(backoff, error, every);
        let now = self.now();
        match self.trip(source, error) {
            Some(until) => wait.max(Duration::try_from(until.duration_since(now)).unwrap_or_default()),
            None => wait,
        }
    }

    /// Notes a failure with the breaker; until when the source rests.
    pub(super) fn trip(&self, source: &SourceSpec, error: &FetchError) -> Option<Timestamp> {
        let asked = error.retry_after_secs().map(Duration::from_secs);
        let now = self.now();
        self.change(&source.id, |state| {
            if error.retryable() {
                return state.breaker.failed(now, asked, source.every.as_duration());
            }
            state.breaker.answered();
            None
        })
    }

    /// Waits as long as a failure asks for. A rest ends early when somebody's try succeeds, or when another source on
    /// the same server proves that the line is up again; `line`: that was what failed.
    pub(super) async fn rest(&self, source: &SourceSpec, wait: Duration, line: bool) {
        self.set_due(&source.id, Some(wait));
        let started = self.now();
        let end = Instant::now() + wait;
        let resting = |desk: &Self| {
            let now = desk.now();
            desk.change(&source.id, |state| state.breaker.resting_until(now).is_some())
        };
        let rests = resting(self);
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left.min(LOOK)).await;
            if rests && line && self.links().answered_since(&source.id, started) {
                let now = self.now();
                self.change(&source.id, |state| state.breaker.end_rest(now));
            }
            if rests && !resting(self) {
                break;
            }
        }
        self.set_due(&source.id, None);
    }

    /// Works for a source, but for the time it is paused: then the work is dropped, and begins anew afterwards.
    pub(super) async fn unless_paused<F: Future<Output = ()>>(self: &Arc<Self>, source: &str, work: impl Fn() -> F) {
        loop {
            while self.is_paused(source) {
                tokio::time::sleep(LOOK).await;
            }
            let pausing = async {
                while !self.is_paused(source) {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                () = work() => return,
                () = pausing => self.set_due(source, None),
            }
        }
    }
}
