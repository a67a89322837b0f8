//! Live values by SensorThings: caught up by polling, then pushed by server-sent events where the source offers them.

use super::{after, seed_of};
use crate::Desk;
use crate::api::{Event, Failure, JobState};
use crate::layers::Layer;
use model::{LayerId, LayerKind, LinkState, Observation, SourceSpec, Timestamp};
use parking_lot::Mutex;
use sources::{Backoff, FetchError, ServerEvent, Url, sensorthings};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Observations wait this long for company before they are written: one transaction a second.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Layers measured more often than this (cameras) are not written value by value: a word every ten minutes is kept, so
/// that a start without network knows when they were last seen.
const HISTORY_INTERVAL_SECS: u64 = 60;
const SPARSE_EVERY_SECS: i64 = 600;
/// VN_AQI looks back 12 hours, its trend three more, the chart 24 and NowCast before them.
const BACKFILL_HOURS: i64 = 36;
/// Loggers keep 30 days; so does the history.
const KEEP_DAYS: i64 = 31;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec) {
    let mut backoff = Backoff::new(seed_of(&source.id));
    let mut backfilled = false;
    let mut last_event: Option<String> = None;
    loop {
        let error = match catch_up(&desk, &source).await {
            Err(error) => error,
            Ok(_) => {
                backoff.reset();
                if !backfilled {
                    backfilled = true;
                    tokio::spawn(backfill(desk.clone(), source.clone()));
                }
                match source.events.as_ref().and_then(|events| desk.links().resolve(events)) {
                    Some(url) => listen(&desk, &source, &url, &mut last_event).await,
                    None => {
                        tokio::time::sleep(source.every.as_duration()).await;
                        continue;
                    }
                }
            }
        };
        let wait = super::wait_after(&mut backoff, &error);
        let now = desk.now();
        desk.links().failed(&source.id, &error.to_string(), super::answered(&error), now, after(now, wait));
        tokio::time::sleep(wait).await;
    }
}

pub(super) async fn once(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, Failure> {
    let taken = catch_up(desk, source).await.map_err(|error| {
        desk.links().failed(&source.id, &error.to_string(), super::answered(&error), desk.now(), None);
        crate::failures::fetch(desk.language(), &desk.links().address(source), &error)
    })?;
    // Without the hours before, an air station has no index.
    backfill(desk.clone(), source.clone()).await;
    Ok(taken)
}

fn layers_of(desk: &Desk, source: &SourceSpec) -> Vec<Arc<Layer>> {
    desk.layers().all().iter().filter(|layer| layer.spec.live_source.as_ref() == Some(&source.id)).cloned().collect()
}

/// The newest value of every parameter of every station; the number taken in.
async fn catch_up(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, FetchError> {
    let Some(root) = desk.links().url(&source.id) else { return Ok(0) };
    let mut count = 0;
    for layer in layers_of(desk, source) {
        let observations = sensorthings::latest(&desk.client, &root, Some(&layer.spec.id)).await?.observations;
        desk.links().answered(&source.id, desk.now());
        count += u64::try_from(observations.len()).unwrap_or(0);
        take(desk, observations).await;
    }
    Ok(count)
}

/// Takes pushed events until the stream ends; the reason it ended.
async fn listen(desk: &Arc<Desk>, source: &SourceSpec, url: &Url, last: &mut Option<String>) -> FetchError {
    let waiting: Arc<Mutex<Vec<Observation>>> = Arc::default();
    let writer = tokio::spawn(write_waiting(desk.clone(), waiting.clone()));
    let error = sources::events::listen(&desk.client, url, last, |event| {
        let now = desk.now();
        desk.links().answered(&source.id, now);
        match event {
            ServerEvent::Observation(observation) => {
                apply(desk, &observation, now);
                waiting.lock().push(observation);
            }
            ServerEvent::Heartbeat { .. } => {}
            // The features source polls with its ETag; this only makes it sooner.
            ServerEvent::LayerChanged { .. } => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    let _ = desk.sync_once(Some("features")).await;
                });
            }
        }
    })
    .await;
    writer.abort();
    let rest = std::mem::take(&mut *waiting.lock());
    write(desk, rest).await;
    error
}

async fn write_waiting(desk: Arc<Desk>, waiting: Arc<Mutex<Vec<Observation>>>) {
    let mut ticks = tokio::time::interval(WRITE_EVERY);
    loop {
        ticks.tick().await;
        let observations = std::mem::take(&mut *waiting.lock());
        write(&desk, observations).await;
    }
}

fn apply(desk: &Desk, observation: &Observation, now: Timestamp) {
    if let Some(overlay) = desk.live().lock().get_mut(&observation.layer) {
        overlay.apply(observation, now);
    }
}

async fn take(desk: &Arc<Desk>, observations: Vec<Observation>) {
    let now = desk.now();
    for observation in &observations {
        apply(desk, observation, now);
    }
    write(desk, observations).await;
}

/// What the writer remembers between writes.
#[derive(Default)]
pub(crate) struct Writing {
    /// Layer and feature of frequent layers → when a value was last written, in Unix seconds.
    written: HashMap<(LayerId, String), i64>,
    /// The code of the last failure told: the next one will be the same, and once is enough.
    told: Option<String>,
}

/// Writes observations to the history.
async fn write(desk: &Arc<Desk>, observations: Vec<Observation>) {
    let observations = desk.worth_keeping(observations);
    if observations.is_empty() {
        return;
    }
    let writing = desk.clone();
    // A task that was cut off wrote all or nothing.
    let _ = tokio::task::spawn_blocking(move || writing.keep(&observations)).await;
}

impl Desk {
    fn keep(&self, observations: &[Observation]) {
        let Err(error) = self.history().record(observations) else {
            self.writing().lock().told = None;
            return;
        };
        let failure = self.store_failure(&error);
        if self.writing().lock().told.replace(failure.code.clone()).as_ref() != Some(&failure.code) {
            self.tell(&Event::Notice { failure, serious: true });
        }
    }

    fn is_frequent(&self, layer: &LayerId) -> bool {
        let interval = self.profile().layer(layer.as_str()).and_then(|spec| spec.interval);
        interval.is_some_and(|interval| interval.as_secs() < HISTORY_INTERVAL_SECS)
    }

    /// Leaves out what the history need not keep: of frequent layers, all but a word every ten minutes a feature.
    fn worth_keeping(&self, mut observations: Vec<Observation>) -> Vec<Observation> {
        let mut writing = self.writing().lock();
        observations.retain(|observation| {
            if !self.is_frequent(&observation.layer) {
                return true;
            }
            let key = (observation.layer.clone(), observation.feature.clone());
            let at = observation.measured_at.as_second();
            let due = writing.written.get(&key).is_none_or(|last| at - last >= SPARSE_EVERY_SECS);
            if due {
                writing.written.insert(key, at);
            }
            due
        });
        observations
    }

    /// Writes the last word of every feature of the frequent layers, so that the next start knows when each was last
    /// seen. Called when the line is lost and when the program ends.
    pub fn remember(&self) {
        let mut observations = Vec::new();
        for (layer, overlay) in self.live().lock().iter() {
            if self.is_frequent(layer) {
                observations.extend(overlay.last_words());
            }
        }
        self.keep(&observations);
    }
}

/// Fills the hours before the program started, so that indices and charts are there at once; then forgets the old.
async fn backfill(desk: Arc<Desk>, source: SourceSpec) {
    let Some(root) = desk.links().url(&source.id) else { return };
    let air: Vec<_> = layers_of(&desk, &source).into_iter().filter(|l| l.spec.kind == LayerKind::AirStation).collect();
    let job = desk.begin_job("backfill");
    let stations: Vec<(Arc<Layer>, String)> = air
        .iter()
        .flat_map(|layer| {
            let count = u32::try_from(layer.picture.len()).unwrap_or(u32::MAX);
            (0..count).filter_map(|o| Some((layer.clone(), layer.picture.feature(o)?.id.clone())))
        })
        .collect();
    let total = u64::try_from(stations.len()).unwrap_or(0);
    let to = desk.now();
    let from = to - jiff::SignedDuration::from_hours(BACKFILL_HOURS);
    for (done, (layer, id)) in (0_u64..).zip(&stations) {
        if !job.progress(done, total) {
            return job.finish(JobState::Cancelled);
        }
        let series = sensorthings::Series::Feature { layer: layer.spec.id.clone(), feature: id.clone() };
        match sensorthings::history(&desk.client, &root, &series, from, to).await {
            Ok(readings) => take(&desk, readings.observations).await,
            // The listener finds out about the line; the job only says that it is not whole.
            Err(_) => return job.finish(JobState::Failed),
        }
    }
    let pruning = desk.clone();
    let before = to - jiff::SignedDuration::from_hours(KEEP_DAYS * 24);
    // Old rows cost only space: a failure shows with the next write.
    let _ = tokio::task::spawn_blocking(move || pruning.history().prune(before)).await;
    job.finish(JobState::Done);
}

impl Desk {
    /// Fetches a station's values that the history lacks, while its source answers. Best effort: the chart shows gaps
    /// for what cannot be had.
    pub(crate) async fn fill_history(self: &Desk, layer: &Layer, id: &str, from: Timestamp, to: Timestamp) {
        let Some(source) = &layer.spec.live_source else { return };
        let (Some(root), LinkState::Up) = (self.links().url(source), self.links().state(source)) else { return };
        let interval_secs = i64::try_from(layer.spec.interval.map_or(300, model::Span::as_secs)).unwrap_or(300);
        let Ok(rows) = self.history().range(&layer.spec.id, id, None, from, to) else { return };
        let expected = (to.as_second() - from.as_second()) / interval_secs.max(1);
        let parameters = i64::try_from(layer.spec.parameters.len().max(1)).unwrap_or(1);
        let held = i64::try_from(rows.len()).unwrap_or(i64::MAX) / parameters;
        // Nine tenths: a station that was silent for a while is not asked again at every look.
        if held * 10 >= expected * 9 || expected > 20_000 {
            return;
        }
        let series = sensorthings::Series::Feature { layer: layer.spec.id.clone(), feature: id.to_owned() };
        if let Ok(readings) = sensorthings::history(&self.client, &root, &series, from, to).await {
            let _ = self.history().record(&readings.observations);
        }
    }
}
