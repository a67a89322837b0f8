//! Live values by SensorThings: caught up by polling, then pushed by a broker or by server-sent events where the source
//! offers them.

use super::filling::Asked;
use super::login::Held;
use super::runs::{Asking, Recording};
use super::shapes::{LayerRun, RunOutcome, RunTrigger};
use super::{Wakers, broker, features, seed_of};
use crate::Desk;
use crate::api::{Event, Failure};
use crate::layers::Layer;
use model::{LayerId, LayerSpec, Observation, SourceSpec, Timestamp};
use parking_lot::Mutex;
use sources::{Backoff, FetchError, ServerEvent, Url, sensorthings};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Observations wait this long for company before they are written: one transaction a second.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Layers measured more often than this (cameras) are not written value by value: a word every ten minutes is kept, so
/// that a start without network knows when they were last seen.
const HISTORY_INTERVAL_SECS: u64 = 60;
const SPARSE_EVERY_SECS: i64 = 600;
/// How often it is looked whether there are other stations.
const STATIONS_EVERY_SECS: i64 = 3_600;
/// After so many failures in a row it is no hiccup: then the source's own period is soon enough for its stream.
const HICCUPS: u32 = 4;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec, wakers: Wakers) {
    desk.unless_paused(&source.id, || turns(&desk, &source, &wakers)).await;
}

async fn turns(desk: &Arc<Desk>, source: &SourceSpec, wakers: &Wakers) {
    let every = source.every.as_duration();
    let mut backoff = Backoff::new(seed_of(&source.id));
    // The stream has its own: a service without events is polled at leisure, however well the polling goes.
    let mut stream_backoff = Backoff::new(seed_of(&source.url));
    let mut stream_due = Instant::now();
    let mut last_event: Option<String> = None;
    let client_name = sources::mqtt::client_name();
    loop {
        if let Err(error) = catch_up(desk, source, RunTrigger::Schedule).await {
            let wait = desk.source_failed(source, &mut backoff, &error);
            super::note(desk, source, &error, Some(wait));
            desk.rest(source, wait, !super::answered(&error)).await;
            continue;
        }
        backoff.reset();
        let pushed = source.mqtt.as_ref().or(source.events.as_ref());
        let pushed = pushed.and_then(|address| desk.links().resolve(address));
        let Some(url) = pushed.filter(|_| Instant::now() >= stream_due) else {
            desk.rest(source, every, false).await;
            continue;
        };
        let (error, heard) = match source.mqtt {
            Some(_) => broker::listen(desk, source, &url, &client_name).await,
            None => listen(desk, source, &url, wakers, &mut last_event).await,
        };
        if heard {
            stream_backoff.reset();
        }
        let mut wait = super::wait_after(&mut stream_backoff, &error, every);
        if stream_backoff.failures() > HICCUPS {
            wait = wait.max(every);
        }
        match source.mqtt {
            Some(_) => super::note_alone(desk, source, &error, wait),
            None => super::note(desk, source, &error, Some(wait)),
        }
        // However long the stream has to wait, the polling goes on.
        stream_due = Instant::now() + wait;
        desk.rest(source, wait.min(every), false).await;
    }
}

pub(super) async fn once(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, Failure> {
    let taken = catch_up(desk, source, RunTrigger::Person).await.map_err(|error| {
        desk.trip(source, &error);
        super::note(desk, source, &error, None);
        crate::failures::fetch(desk.language(), &desk.links().address(source), &error)
    })?;
    super::filling::once(desk, source).await;
    Ok(taken)
}

/// What a station measured is asked for by.
pub(super) fn series_of(layer: &Layer, station: &str) -> sensorthings::Series {
    let spec = &layer.spec;
    match &spec.sensorthings {
        Some(mapping) => sensorthings::Series::Thing {
            layer: spec.id.clone(),
            thing: station.to_owned(),
            mapping: mapping.clone(),
            parameters: spec.parameters.clone(),
        },
        None => sensorthings::Series::Feature { layer: spec.id.clone(), feature: station.to_owned() },
    }
}

/// How a layer takes stations that do not name it.
pub(super) fn mapped(spec: &LayerSpec) -> Option<sensorthings::Mapped<'_>> {
    let mapping = spec.sensorthings.as_ref()?;
    Some(sensorthings::Mapped { layer: &spec.id, mapping, parameters: &spec.parameters })
}

pub(super) fn layers_of(desk: &Desk, source: &SourceSpec) -> Vec<Arc<Layer>> {
    desk.layers().all().iter().filter(|layer| layer.spec.live_source.as_ref() == Some(&source.id)).cloned().collect()
}

/// The newest value of every parameter of every station; the number taken in.
pub(super) async fn catch_up(desk: &Arc<Desk>, source: &SourceSpec, trigger: RunTrigger) -> Result<u64, FetchError> {
    let Some(root) = desk.links().url(&source.id) else { return Ok(0) };
    look_for_stations(desk, source, trigger).await;
    let mut recording = Recording::begin(desk, source, trigger);
    let outcome = catch_up_layers(desk, source, &root, &mut recording).await;
    if outcome.is_ok() {
        desk.source_worked(&source.id);
    }
    recording.finish().await;
    outcome
}

/// The stations themselves, where the source brings them too: they come before their values, and change seldom. What
/// goes wrong is noted with the link; the values are asked for all the same.
async fn look_for_stations(desk: &Arc<Desk>, source: &SourceSpec, trigger: RunTrigger) {
    let now = desk.now();
    let due =
        desk.profile().layers.iter().filter(|spec| spec.feature_source.as_ref() == Some(&source.id)).any(|spec| {
            let held = desk.layers().get(&spec.id);
            let stored = held.as_ref().and_then(|layer| layer.stored.as_ref());
            let fetched = stored.map(|stored| &stored.provenance).filter(|from| from.source == source.id);
            trigger == RunTrigger::Person
                || fetched.is_none_or(|from| now.as_second() - from.fetched_at.as_second() >= STATIONS_EVERY_SECS)
        });
    if due {
        let _ = features::once(desk, source, Asking::by(trigger)).await;
    }
}

async fn catch_up_layers(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    root: &Url,
    recording: &mut Recording,
) -> Result<u64, FetchError> {
    let failed = |recording: &mut Recording, layer: &LayerId, error: &FetchError| {
        let failure = crate::failures::fetch(desk.language(), &desk.links().address(source), error);
        recording.layer(LayerRun { failure: Some(failure), ..LayerRun::new(layer, RunOutcome::Failed) });
    };
    let held = desk.held(source).await?;
    let client = recording.client().showing(root, held.as_ref().map(Held::login))?;
    let mut count = 0;
    let mut first: Option<FetchError> = None;
    for layer in layers_of(desk, source) {
        let latest = match mapped(&layer.spec) {
            Some(mapped) => sensorthings::latest_of(&client, root, mapped).await,
            None => sensorthings::latest(&client, root, Some(&layer.spec.id)).await,
        };
        match latest {
            Ok(readings) => {
                desk.links().answered(&source.id, desk.now());
                let (accepted, rejected) = (readings.observations.len() as u64, readings.report.rejected.len() as u64);
                count += accepted;
                take(desk, readings.observations).await;
                let outcome = if accepted > 0 { RunOutcome::Changed } else { RunOutcome::Unchanged };
                let received = accepted + rejected;
                recording.layer(LayerRun { received, accepted, rejected, ..LayerRun::new(&layer.spec.id, outcome) });
            }
            Err(error) if !super::answered(&error) => {
                failed(recording, &layer.spec.id, &error);
                return Err(error);
            }
            Err(error) => {
                failed(recording, &layer.spec.id, &error);
                first.get_or_insert(error);
            }
        }
    }
    match first {
        // Some layers spoke: better listen to them than to none.
        Some(error) if count == 0 => Err(error),
        Some(error) => {
            super::note(desk, source, &error, None);
            Ok(count)
        }
        None => Ok(count),
    }
}

/// Takes pushed events until the stream ends: the reason it ended, and whether anything came at all.
async fn listen(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    url: &Url,
    wakers: &Wakers,
    last: &mut Option<String>,
) -> (FetchError, bool) {
    let waiting: Arc<Mutex<Vec<Observation>>> = Arc::default();
    let heard = AtomicBool::new(false);
    // The stream of another server is shown nothing.
    let client = match desk.links().url(&source.id) {
        Some(root) => desk.client_for(source, &root).await,
        None => Ok(desk.client.clone()),
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => return (error, false),
    };
    let listening = sources::events::listen(&client, url, last, |event| {
        let now = desk.now();
        heard.store(true, Ordering::Relaxed);
        desk.links().answered(&source.id, now);
        match event {
            ServerEvent::Observation(observation) => {
                apply(desk, &observation, now);
                waiting.lock().push(observation);
            }
            ServerEvent::Heartbeat { .. } => {}
            // Its source polls with a tag; this only makes it sooner.
            ServerEvent::LayerChanged { layer, .. } => {
                let profile = desk.profile();
                let source = profile.layer(layer.as_str()).and_then(|spec| spec.feature_source.as_ref());
                if let Some(waker) = source.and_then(|source| wakers.lock().get(source).cloned()) {
                    waker.notify_one();
                }
            }
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
pub(super) async fn write_waiting(desk: &Arc<Desk>, waiting: &Mutex<Vec<Observation>>) {
    let mut ticks = tokio::time::interval(WRITE_EVERY);
    loop {
        ticks.tick().await;
        let observations = std::mem::take(&mut *waiting.lock());
        write(desk, observations).await;
    }
}

pub(super) fn apply(desk: &Desk, observation: &Observation, now: Timestamp) {
    if let Some(overlay) = desk.live().lock().get_mut(&observation.layer) {
        overlay.apply(observation, now);
    }
}

pub(super) async fn take(desk: &Arc<Desk>, observations: Vec<Observation>) {
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
    /// What charts asked the sources for.
    asked: Asked,
    /// The code of the last failure told: the next one will be the same, and once is enough.
    told: Option<String>,
}

impl Writing {
    pub(super) fn asked(&mut self) -> &mut Asked {
        &mut self.asked
    }
}

/// Writes observations to the history.
pub(super) async fn write(desk: &Arc<Desk>, observations: Vec<Observation>) {
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
        // Received by the desk's own clock: what a scenario measured must not be from the future when it is restored.
        let Err(error) = self.history().record_at(observations, self.now()) else {
            self.writing().lock().told = None;
            return;
        };
        let failure = self.store_failure(&error);
        if self.writing().lock().told.replace(failure.code.clone()).as_ref() != Some(&failure.code) {
            self.tell(&Event::Notice { failure, serious: true });
        }
    }

    pub(super) fn is_frequent(&self, layer: &LayerId) -> bool {
        let interval = self.profile().layer(layer.as_str()).and_then(|spec| spec.interval);
        interval.is_some_and(|interval| interval.as_secs() < HISTORY_INTERVAL_SECS)
    }

    /// Leaves out what the history need not keep: of frequent layers, all but a word every ten minutes a feature.
    pub(super) fn worth_keeping(&self, mut observations: Vec<Observation>) -> Vec<Observation> {
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
