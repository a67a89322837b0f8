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
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Observations wait this long for company before they are written: one transaction a second.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Layers measured more often than this (cameras) are not written value by value: a word every ten minutes is kept, so
/// that a start without network knows when they were last seen.
const HISTORY_INTERVAL_SECS: u64 = 60;
const SPARSE_EVERY_SECS: i64 = 600;
/// VN_AQI looks back 12 hours, its trend three more, the chart 24 and NowCast before them.
const BACKFILL_HOURS: i64 = 36;
/// What was fetched of a station's past is not fetched again within this: pushed values keep it whole meanwhile.
const ASK_AGAIN_SECS: i64 = 600;
/// Longest stretch that is fetched for a chart.
const MAX_FILL_SECS: i64 = 8 * 86_400;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec) {
    let mut backoff = Backoff::new(seed_of(&source.id));
    // The stream has its own: a service without events is polled at leisure, however well the polling goes.
    let mut stream_backoff = Backoff::new(seed_of(&source.url));
    let filled = Arc::new(AtomicBool::new(false));
    let mut last_event: Option<String> = None;
    loop {
        if desk.links().state(&source.id) == LinkState::Lost {
            // The hours of the outage are missing when it ends.
            filled.store(false, Ordering::Relaxed);
        }
        let (error, wait) = match catch_up(&desk, &source).await {
            Err(error) => {
                let wait = super::wait_after(&mut backoff, &error);
                (error, wait)
            }
            Ok(_) => {
                backoff.reset();
                if !filled.swap(true, Ordering::Relaxed) {
                    let (desk, source, filled) = (desk.clone(), source.clone(), filled.clone());
                    tokio::spawn(async move { filled.store(backfill(&desk, &source).await, Ordering::Relaxed) });
                }
                let Some(url) = source.events.as_ref().and_then(|events| desk.links().resolve(events)) else {
                    tokio::time::sleep(source.every.as_duration()).await;
                    continue;
                };
                let (error, heard) = listen(&desk, &source, &url, &mut last_event).await;
                if heard {
                    stream_backoff.reset();
                }
                let wait = super::wait_after(&mut stream_backoff, &error);
                let wait = if error.retryable() { wait } else { source.every.as_duration() };
                (error, wait)
            }
        };
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
    if lacks_index(desk, source) {
        backfill(desk, source).await;
    }
    Ok(taken)
}

/// Whether an air station has values but no index: it wants the hours before.
fn lacks_index(desk: &Desk, source: &SourceSpec) -> bool {
    let now = desk.now();
    let mut live = desk.live().lock();
    layers_of(desk, source).iter().filter(|layer| layer.spec.kind == LayerKind::AirStation).any(|layer| {
        let Some(overlay) = live.get_mut(&layer.spec.id) else { return false };
        layer.picture.features().iter().any(|station| {
            !overlay.readings(&station.id).is_empty() && !matches!(overlay.aqi(&station.id, now), Some((_, Ok(_))))
        })
    })
}

fn layers_of(desk: &Desk, source: &SourceSpec) -> Vec<Arc<Layer>> {
    desk.layers().all().iter().filter(|layer| layer.spec.live_source.as_ref() == Some(&source.id)).cloned().collect()
}

/// The newest value of every parameter of every station; the number taken in.
async fn catch_up(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, FetchError> {
    let Some(root) = desk.links().url(&source.id) else { return Ok(0) };
    let mut count = 0;
    let mut first: Option<FetchError> = None;
    for layer in layers_of(desk, source) {
        match sensorthings::latest(&desk.client, &root, Some(&layer.spec.id)).await {
            Ok(readings) => {
                desk.links().answered(&source.id, desk.now());
                count += u64::try_from(readings.observations.len()).unwrap_or(0);
                take(desk, readings.observations).await;
            }
            Err(error) if !error.answered() => return Err(error),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    match first {
        // Some layers spoke: better listen to them than to none.
        Some(error) if count == 0 => Err(error),
        _ => Ok(count),
    }
}

/// Takes pushed events until the stream ends: the reason it ended, and whether anything came at all.
async fn listen(desk: &Arc<Desk>, source: &SourceSpec, url: &Url, last: &mut Option<String>) -> (FetchError, bool) {
    let waiting: Arc<Mutex<Vec<Observation>>> = Arc::default();
    let heard = AtomicBool::new(false);
    let listening = sources::events::listen(&desk.client, url, last, |event| {
        let now = desk.now();
        heard.store(true, Ordering::Relaxed);
        desk.links().answered(&source.id, now);
        match event {
            ServerEvent::Observation(observation) => {
                apply(desk, &observation, now);
                waiting.lock().push(observation);
            }
            ServerEvent::Heartbeat { .. } => {}
            ServerEvent::LayerChanged { .. } => desk.features_due.notify_one(),
        }
    });
    // In one task with the listener, so that stopping one stops both.
    let error = tokio::select! {
        error = listening => error,
        () = write_waiting(desk, &waiting) => FetchError::Cancelled,
    };
    let rest = std::mem::take(&mut *waiting.lock());
    write(desk, rest).await;
    (error, heard.load(Ordering::Relaxed))
}

/// Writes what has gathered, every second, without end.
async fn write_waiting(desk: &Arc<Desk>, waiting: &Mutex<Vec<Observation>>) {
    let mut ticks = tokio::time::interval(WRITE_EVERY);
    loop {
        ticks.tick().await;
        let observations = std::mem::take(&mut *waiting.lock());
        write(desk, observations).await;
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
    /// Layer and station → when its past was last asked for.
    asked: HashMap<(LayerId, String), Timestamp>,
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
        let now = self.now();
        let mut writing = self.writing().lock();
        observations.retain(|observation| {
            if live::LiveLayer::from_the_future(observation, now) {
                return false;
            }
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

/// Fills the hours before the program started, or of an outage, so that indices and charts are whole. False when it
/// did not come to its end.
async fn backfill(desk: &Arc<Desk>, source: &SourceSpec) -> bool {
    let Some(root) = desk.links().url(&source.id) else { return true };
    let air = layers_of(desk, source).into_iter().filter(|layer| layer.spec.kind == LayerKind::AirStation);
    let stations: Vec<(LayerId, String)> = air
        .flat_map(|layer| {
            let ids: Vec<String> = layer.picture.features().iter().map(|feature| feature.id.clone()).collect();
            ids.into_iter().map(move |id| (layer.spec.id.clone(), id))
        })
        .collect();
    let job = desk.begin_job("backfill");
    let total = u64::try_from(stations.len()).unwrap_or(0);
    let to = desk.now();
    let from = to - jiff::SignedDuration::from_hours(BACKFILL_HOURS);
    for (done, (layer, feature)) in (0_u64..).zip(stations) {
        if !job.progress(done, total) {
            job.finish(JobState::Cancelled);
            return true;
        }
        let series = sensorthings::Series::Feature { layer, feature };
        match sensorthings::history(&desk.client, &root, &series, from, to).await {
            Ok(readings) => take(desk, readings.observations).await,
            // The listener finds out about the line; the job only says that it is not whole.
            Err(_) => {
                job.finish(JobState::Failed);
                return false;
            }
        }
    }
    job.finish(JobState::Done);
    true
}

impl Desk {
    /// Fetches a station's values that the history lacks, while its source answers. Best effort: the chart shows gaps
    /// for what cannot be had.
    pub(crate) async fn fill_history(self: &Desk, layer: &Layer, id: &str, from: Timestamp, to: Timestamp) {
        let Some(source) = &layer.spec.live_source else { return };
        let (Some(root), LinkState::Up) = (self.links().url(source), self.links().state(source)) else { return };
        if self.is_frequent(&layer.spec.id) || to.as_second() - from.as_second() > MAX_FILL_SECS {
            return;
        }
        let key = (layer.spec.id.clone(), id.to_owned());
        {
            // A station that was silent for a while is not asked again at every look.
            let mut writing = self.writing().lock();
            let recent = |at: &Timestamp| to.as_second() - at.as_second() < ASK_AGAIN_SECS;
            if writing.asked.get(&key).is_some_and(recent) {
                return;
            }
            writing.asked.insert(key, to);
        }
        let series = sensorthings::Series::Feature { layer: layer.spec.id.clone(), feature: id.to_owned() };
        if let Ok(readings) = sensorthings::history(&self.client, &root, &series, from, to).await {
            let _ = self.history().record(&readings.observations);
        }
    }
}
