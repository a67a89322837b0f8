//! Keeping the home in step with its sources: one or two tasks a source, one that watches the cache, one that tells the
//! windows, one that forgets the old.

mod breaker;
mod broker;
mod changes;
mod engine;
mod features;
mod file_server;
mod filling;
mod folder;
mod links;
mod login;
mod runs;
mod shapes;
mod stations;
mod taking;

pub(crate) use engine::Engine;
pub(crate) use links::Links;
pub(crate) use login::Held;
pub use shapes::{BreakerState, LayerRun, Run, RunOutcome, RunTrigger};
pub(crate) use stations::Writing;

use crate::Desk;
use crate::api::{Event, Failure, JobState, LiveSummary, SourcesInfo};
use crate::args::SyncArgs;
use crate::jobs::JobHandle;
use model::{LayerId, Protocol, SourceSpec, Timestamp};
use parking_lot::Mutex;
use runs::Asking;
use sources::{Backoff, FetchError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Marks follow their values within this.
const TICK: Duration = Duration::from_millis(250);
/// How often another process's changes to the cache are looked for.
const WATCH: Duration = Duration::from_millis(500);

/// How often another process's live values are looked for: reading them costs some milliseconds.
const FOLLOW: Duration = Duration::from_secs(2);

/// By source: what makes it ask before its period is over.
type Wakers = Arc<Mutex<HashMap<String, Arc<Notify>>>>;

/// Running synchronisation. Dropping it stops all its tasks.
pub struct Syncing {
    tasks: JoinSet<()>,
}

impl Syncing {
    /// Waits for nothing: stops at once.
    pub fn stop(mut self) {
        self.tasks.abort_all();
    }
}

/// How a person asks for a sync.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncOptions {
    /// Takes also a delivery that lacks more than half of a layer.
    pub accept_shrunk: bool,
}

impl Desk {
    /// Starts fetching, watching and telling. Needs a tokio runtime.
    pub fn start_syncing(self: &Arc<Self>) -> Syncing {
        let mut tasks = JoinSet::new();
        tasks.spawn(supervise(self.clone()));
        tasks.spawn(tick(self.clone()));
        tasks.spawn(watch(self.clone()));
        tasks.spawn(prune(self.clone()));
        tasks.spawn(take_waiting(self.clone()));
        Syncing { tasks }
    }

    /// Takes up what other processes change in the home, and fetches nothing. Needs a tokio runtime.
    pub fn start_following(self: &Arc<Self>) -> Syncing {
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(self.clone()));
        tasks.spawn(follow_history(self.clone()));
        Syncing { tasks }
    }

    /// Fetches one source, or all that are not paused, once. Returns the number of layers that changed and of observations taken in.
    ///
    /// # Errors
    /// The first source's failure, after all were tried.
    pub async fn sync_once(self: &Arc<Self>, source: Option<&str>) -> Result<(u64, u64), Failure> {
        self.sync_with(source, &SyncOptions::default(), None).await
    }

    /// As [`Desk::sync_by`], for a job that somebody watches.
    async fn sync_with(
        self: &Arc<Self>,
        source: Option<&str>,
        options: &SyncOptions,
        job: Option<&JobHandle>,
    ) -> Result<(u64, u64), Failure> {
        let asking = Asking { trigger: RunTrigger::Person, job, accept_shrunk: options.accept_shrunk };
        let chosen: Vec<SourceSpec> =
            self.profile().sources.iter().filter(|spec| source.is_none_or(|id| spec.id == id)).cloned().collect();
        if chosen.is_empty() {
            return Err(self.failure("no_source", [("source", source.unwrap_or_default())]));
        }
        let (mut layers, mut observations, mut first_failure) = (0, 0, None);
        let taking = self.clone();
        if let Ok(Err(failure)) = tokio::task::spawn_blocking(move || taking.take_waiting()).await {
            first_failure = Some(failure);
        }
        for spec in chosen {
            // Who asks for all does not mean those that were paused.
            if source.is_none() && self.is_paused(&spec.id) {
                continue;
            }
            if self.links().url(&spec.id).is_none() {
                first_failure.get_or_insert(self.failure("no_practice", [("source", spec.id.as_str())]));
                continue;
            }
            let outcome = match spec.protocol {
                Protocol::SensorThings => stations::once(self, &spec).await.map(|count| observations += count),
                Protocol::StationFolder => folder::once(self, &spec).await.map(|count| observations += count),
                _ => features::once(self, &spec, asking).await.map(|changed| layers += changed),
            };
            if let Err(failure) = outcome {
                first_failure.get_or_insert(failure);
            }
        }
        first_failure.map_or(Ok((layers, observations)), Err)
    }

    /// As [`Desk::sync_once`], with options.
    ///
    /// # Errors
    /// As [`Desk::sync_once`].
    pub async fn sync_by(self: &Arc<Self>, source: Option<&str>, options: &SyncOptions) -> Result<(u64, u64), Failure> {
        self.sync_with(source, options, None).await
    }

    /// Counts every link whose last try failed as lost: for the command line, which tries once.
    pub fn give_up_links(&self) {
        self.links().give_up(self.now());
    }

    /// The call behind "fetch now": starts a job and returns.
    pub(crate) async fn sync_now(self: &Arc<Self>, args: SyncArgs) -> Result<(), Failure> {
        if let Some(id) = &args.source
            && self.profile().source(id).is_none()
        {
            return Err(self.failure("no_source", [("source", id.as_str())]));
        }
        let desk = self.clone();
        let job = self.begin_job_for("sync", args.source.as_deref());
        let options = SyncOptions { accept_shrunk: args.accept_shrunk.unwrap_or_default() };
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = desk.sync_with(args.source.as_deref(), &options, Some(&job)) => outcome,
                // What was committed stays; the rest of the work is dropped with its future.
                () = job.cancelled() => return job.finish(JobState::Cancelled),
            };
            match outcome {
                Ok(_) => job.finish(JobState::Done),
                Err(failure) => {
                    desk.tell(&Event::Notice { failure, serious: false });
                    job.finish(JobState::Failed);
                }
            }
        });
        Ok(())
    }

    /// Sends what changed in the live layers to all windows.
    fn tell_changes(&self, summaries: &mut HashMap<LayerId, LiveSummary>) {
        let now = self.now();
        for layer in self.layers().all().iter().filter(|layer| layer.spec.live_source.is_some()) {
            let link = self.link_of(layer);
            let (version, states) = match self.live().lock().get_mut(&layer.spec.id) {
                // The overlay's own version: the layer in this list may be the one before.
                Some(overlay) => (overlay.version(), overlay.changes(link, now)),
                None => continue,
            };
            if states.is_empty() {
                continue;
            }
            // A layer the person may not see is not told about; signing in asks for the states anew.
            if layer.allowed(self.session().role) {
                let mut message = vec![1];
                message.extend(live::encode_batch(&layer.spec.id, version, &states));
                self.tell_bytes(message);
            }
            let summary = self.live_summary(layer);
            if let Some(summary) = summary
                && summaries.get(&layer.spec.id) != Some(&summary)
            {
                summaries.insert(layer.spec.id.clone(), summary);
                self.tell_layer(&layer.spec.id);
            }
        }
    }
}

/// Runs the tasks of every source, and follows the profile: a source that was added is asked at once, one that was
/// changed begins anew, one that was removed is left in peace.
async fn supervise(desk: Arc<Desk>) {
    let mut changes = desk.sources_changed.subscribe();
    let wakers = Wakers::default();
    let mut running: Vec<(SourceSpec, JoinSet<()>)> = Vec::new();
    loop {
        let profile = desk.profile();
        // What is dropped is stopped.
        running.retain(|(spec, _)| profile.sources.contains(spec));
        for source in &profile.sources {
            let is_running = running.iter().any(|(spec, _)| spec == source);
            if !is_running && desk.links().url(&source.id).is_some() {
                running.push((source.clone(), start(&desk, source, &wakers)));
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn start(desk: &Arc<Desk>, source: &SourceSpec, wakers: &Wakers) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    match source.protocol {
        Protocol::SensorThings => {
            tasks.spawn(stations::run(desk.clone(), source.clone(), wakers.clone()));
            tasks.spawn(filling::run(desk.clone(), source.clone()));
        }
        Protocol::StationFolder => {
            tasks.spawn(folder::run(desk.clone(), source.clone()));
        }
        _ => {
            let waker = Arc::<Notify>::default();
            wakers.lock().insert(source.id.clone(), waker.clone());
            if source.protocol == Protocol::Mqtt || source.mqtt.is_some() {
                tasks.spawn(changes::run(desk.clone(), source.clone(), waker.clone()));
            }
            tasks.spawn(features::run(desk.clone(), source.clone(), waker));
        }
    }
    tasks
}

/// How often the files of unknown stations are looked at: the stations may have come with an import or a sync.
const WAITING_EVERY: Duration = Duration::from_secs(60);

async fn take_waiting(desk: Arc<Desk>) {
    let mut ticks = tokio::time::interval(WAITING_EVERY);
    loop {
        ticks.tick().await;
        let taking = desk.clone();
        if let Ok(Err(failure)) = tokio::task::spawn_blocking(move || taking.take_waiting()).await {
            desk.tell(&Event::Notice { failure, serious: true });
        }
    }
}

/// Loggers keep 30 days; so does the history.
const KEEP_DAYS: i64 = 31;
const PRUNE_EVERY: Duration = Duration::from_secs(86_400);

/// Forgets the old once a day, beginning a while after the start, when the machine has nothing better to do.
async fn prune(desk: Arc<Desk>) {
    let start = tokio::time::Instant::now() + Duration::from_secs(600);
    let mut days = tokio::time::interval_at(start, PRUNE_EVERY);
    loop {
        days.tick().await;
        let pruning = desk.clone();
        let before = desk.now() - jiff::SignedDuration::from_hours(KEEP_DAYS * 24);
        // Old rows and files cost only space; a failure shows with the next write.
        let _ = tokio::task::spawn_blocking(move || {
            sweep(&pruning.home().staging_dir());
            pruning.history().prune(before)
        })
        .await;
    }
}

/// What was left of transfers and pages that nobody went on with for this long.
const KEEP_STAGED: Duration = Duration::from_secs(2 * 86_400);

fn sweep(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(about) = entry.metadata() else { continue };
        let old = about.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > KEEP_STAGED);
        if about.is_file() && old {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

async fn tick(desk: Arc<Desk>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut summaries = HashMap::new();
    let mut told: Option<SourcesInfo> = None;
    let mut told_at: Option<Timestamp> = None;
    loop {
        ticks.tick().await;
        let now = desk.now();
        let changed = desk.links().judge(now);
        if changed {
            let remembering = desk.clone();
            tokio::task::spawn_blocking(move || remembering.remember());
        }
        desk.tell_changes(&mut summaries);
        // Times move with every answer; once a second is enough for them, a changed link is told at once.
        let due = told_at.is_none_or(|at| now.as_millisecond() - at.as_millisecond() >= 1_000);
        if changed || due {
            let info = desk.sources_info();
            if told.as_ref() != Some(&info) {
                desk.tell(&Event::Sources { sources: info.clone() });
                told = Some(info);
            }
            told_at = Some(now);
        }
    }
}

async fn watch(desk: Arc<Desk>) {
    let mut ticks = tokio::time::interval(WATCH);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut seen = desk.cache().data_version().ok();
    let mut told = false;
    let mut added = desk.home().additions_stamp();
    loop {
        ticks.tick().await;
        let stamp = desk.home().additions_stamp();
        if stamp != added {
            added = stamp;
            if let Err(failure) = desk.reload_profile() {
                desk.tell(&Event::Notice { failure, serious: true });
            }
        }
        let now = desk.cache().data_version().ok();
        if now != seen {
            let changing = desk.clone();
            match tokio::task::spawn_blocking(move || changing.reload_changed()).await {
                Ok(Ok(())) => {
                    seen = now;
                    told = false;
                }
                // Tried again with the next look; said once.
                Ok(Err(failure)) if !told => {
                    desk.tell(&Event::Notice { failure, serious: true });
                    told = true;
                }
                _ => {}
            }
        }
    }
}

/// Takes up live values that another process keeps.
async fn follow_history(desk: Arc<Desk>) {
    let mut ticks = tokio::time::interval(FOLLOW);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut seen = desk.history().data_version().ok();
    loop {
        ticks.tick().await;
        let now = desk.history().data_version().ok();
        if now != seen {
            let reading = desk.clone();
            // A history that cannot be read now is read with the next look.
            if let Ok(Ok(())) = tokio::task::spawn_blocking(move || reading.restore_live()).await {
                seen = now;
            }
        }
    }
}

/// Nobody in an operations room waits half a minute for the line to be tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// How long to wait after a failure: by back-off, but no longer than [`LONGEST_WAIT`] unless the server asks for more.
/// What will not mend itself is not knocked at: the next regular turn is soon enough.
fn wait_after(backoff: &mut Backoff, error: &FetchError, every: Duration) -> Duration {
    let asked = error.retry_after_secs().map(Duration::from_secs);
    let wait = backoff.failed(asked);
    if error.retryable() { wait.min(LONGEST_WAIT.max(asked.unwrap_or_default())) } else { wait.max(every) }
}

/// Whether the line is proven up by a failure. A stream gone silent and a body that stops prove nothing: that is how a
/// pulled plug sounds.
fn answered(error: &FetchError) -> bool {
    error.answered() && !matches!(error, FetchError::Silent { .. } | FetchError::Timeout { .. })
}

/// Notes a failed try, and when the next one comes.
fn note(desk: &Desk, source: &SourceSpec, error: &FetchError, wait: Option<Duration>) {
    let now = desk.now();
    let next = wait.and_then(|wait| after(now, wait));
    if matches!(error, FetchError::NoSecret { .. }) {
        return desk.links().not_asked(&source.id, &error.to_string(), next);
    }
    desk.links().failed(&source.id, &error.to_string(), answered(error), now, next);
}

/// As [`note`], of a try at the source's broker, which is not its server.
fn note_alone(desk: &Desk, source: &SourceSpec, error: &FetchError, wait: Duration) {
    if matches!(error, FetchError::NoSecret { .. }) {
        return note(desk, source, error, Some(wait));
    }
    let now = desk.now();
    desk.links().failed_alone(&source.id, &error.to_string(), answered(error), now, after(now, wait));
}

/// Notes what kept this side from taking in what a source delivered: the line is up, and something is wrong.
fn note_here(desk: &Desk, source: &SourceSpec, failure: &Failure, wait: Option<Duration>) {
    let now = desk.now();
    let next = wait.and_then(|wait| after(now, wait));
    desk.links().failed(&source.id, &failure.message, true, now, next);
}

/// The moment a number of milliseconds from now, for people to read.
fn after(now: Timestamp, wait: Duration) -> Option<Timestamp> {
    now.checked_add(jiff::SignedDuration::try_from(wait).ok()?).ok()
}

/// A seed for back-off that differs between sources, so that they do not knock in step.
fn seed_of(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
