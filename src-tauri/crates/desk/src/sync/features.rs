//! Features, whatever protocol brings them: fetched by period, replaced whole, left alone where a person imported better ones.

use super::login::Held;
use super::runs::{Asking, Recording};
use super::seed_of;
use super::shapes::{LayerRun, RunOutcome, RunTrigger};
use crate::Desk;
use crate::api::{Event, Failure};
use crate::areas::Communes;
use crate::delivery::Delivery;
use crate::rejected::RejectedRow;
use model::{LayerId, LayerSpec, Protocol, Provenance, SourceSpec, Timestamp};
use sources::{Backoff, Collection, FetchError, Fetched, Url, Wanted};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Changes come in bursts; they are fetched together.
const BURST: Duration = Duration::from_millis(500);
/// One layer may be slow beyond measure while the others are not; two in a row are the line.
const UNANSWERED: usize = 2;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec, waker: Arc<Notify>) {
    desk.unless_paused(&source.id, || turns(&desk, &source, &waker)).await;
}

async fn turns(desk: &Arc<Desk>, source: &SourceSpec, waker: &Notify) {
    let every = source.every.as_duration();
    let mut backoff = Backoff::new(seed_of(&source.id));
    let mut left: Vec<LayerId> = Vec::new();
    let mut whole_at = Instant::now();
    let mut trigger = RunTrigger::Schedule;
    loop {
        // Between the periods only what failed is tried again.
        if left.is_empty() || whole_at.elapsed() >= every {
            left.clear();
            whole_at = Instant::now();
        }
        let round = fetch(desk, source, &left, Asking::by(trigger)).await;
        left = round.left;
        match round.trouble {
            None => {
                backoff.reset();
                left.clear();
                trigger = pause(desk, source, every, waker).await;
            }
            Some(Trouble::Fetch(error)) => {
                let wait = desk.source_failed(source, &mut backoff, &error);
                super::note(desk, source, &error, Some(wait));
                if error.retryable() {
                    desk.rest(source, wait, !super::answered(&error)).await;
                    trigger = RunTrigger::Schedule;
                } else {
                    left.clear();
                    trigger = pause(desk, source, wait, waker).await;
                }
            }
            Some(Trouble::Local(failure)) => {
                left.clear();
                super::note_here(desk, source, &failure, Some(every));
                desk.tell(&Event::Notice { failure, serious: true });
                trigger = pause(desk, source, every, waker).await;
            }
        }
    }
}

/// Waits for the next period, or for word that a layer changed.
async fn pause(desk: &Desk, source: &SourceSpec, wait: Duration, waker: &Notify) -> RunTrigger {
    desk.set_due(&source.id, Some(wait));
    let trigger = tokio::select! {
        () = tokio::time::sleep(wait) => RunTrigger::Schedule,
        () = waker.notified() => {
            tokio::time::sleep(BURST).await;
            RunTrigger::Event
        }
    };
    desk.set_due(&source.id, None);
    trigger
}

pub(super) async fn once(desk: &Arc<Desk>, source: &SourceSpec, asking: Asking<'_>) -> Result<u64, Failure> {
    let round = fetch(desk, source, &[], asking).await;
    match round.trouble {
        None => Ok(round.changed),
        Some(Trouble::Fetch(error)) => {
            desk.trip(source, &error);
            super::note(desk, source, &error, None);
            Err(crate::failures::fetch(desk.language(), &desk.links().address(source), &error))
        }
        Some(Trouble::Local(failure)) => {
            super::note_here(desk, source, &failure, None);
            Err(failure)
        }
    }
}

enum Trouble {
    Fetch(FetchError),
    Local(Failure),
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

/// What became of asking for some layers.
#[derive(Default)]
struct Round {
    changed: u64,
    /// The first failure that trying again may mend, else the first of all; the layers behind it were asked for.
    trouble: Option<Trouble>,
    /// The layers that failed or were not asked for any more.
    left: Vec<LayerId>,
}

/// Fetches every layer of the source, or of them those in `only` when it has any. One that fails keeps no other from
/// being fetched.
async fn fetch(desk: &Arc<Desk>, source: &SourceSpec, only: &[LayerId], asking: Asking<'_>) -> Round {
    let mut round = Round::default();
    let Some(root) = desk.links().url(&source.id) else { return round };
    let mut recording = Recording::begin(desk, source, asking.trigger);
    let mut unanswered = 0;
    let mut done = 0;
    let profile = desk.profile();
    let specs = profile.layers.iter().filter(|spec| spec.feature_source.as_ref() == Some(&source.id));
    for spec in specs.filter(|spec| only.is_empty() || only.contains(&spec.id)) {
        let held = desk.layers().get(&spec.id);
        // What a person imported is not overwritten by a sync; restoring the layer gives it back to the source.
        if held.as_ref().and_then(|layer| layer.stored.as_ref()).is_some_and(|stored| desk.is_imported(stored)) {
            continue;
        }
        // With the line down the other layers cannot do better.
        if unanswered >= UNANSWERED {
            round.left.push(spec.id.clone());
            continue;
        }
        let mut progress = |here: u64, announced: Option<u64>| {
            if let Some(job) = asking.job {
                job.progress(done + here, announced.map_or(0, |announced| done + announced));
            }
        };
        let asked = Asked { root: &root, client: recording.client(), accept_shrunk: asking.accept_shrunk };
        match fetch_layer(desk, source, spec, asked, &mut progress).await {
            Ok(layer) => {
                round.changed += u64::from(layer.outcome == RunOutcome::Changed);
                done += layer.received;
                recording.layer(layer);
                unanswered = 0;
                desk.links().answered(&source.id, desk.now());
            }
            Err(trouble) => {
                let failure = match &trouble {
                    Trouble::Fetch(error) => {
                        crate::failures::fetch(desk.language(), &desk.links().address(source), error)
                    }
                    Trouble::Local(failure) => failure.clone(),
                };
                recording.layer(LayerRun { failure: Some(failure), ..LayerRun::new(&spec.id, RunOutcome::Failed) });
                if let Trouble::Fetch(error) = &trouble {
                    // At once: with many layers the end of the round may be long after the line was lost.
                    super::note(desk, source, error, None);
                    unanswered = if super::answered(error) { 0 } else { unanswered + 1 };
                }
                let retryable = |trouble: &Trouble| matches!(trouble, Trouble::Fetch(error) if error.retryable());
                if retryable(&trouble) {
                    round.left.push(spec.id.clone());
                }
                if round.trouble.as_ref().is_none_or(|first| retryable(&trouble) && !retryable(first)) {
                    round.trouble = Some(trouble);
                }
            }
        }
    }
    if !matches!(round.trouble, Some(Trouble::Fetch(_))) {
        desk.source_worked(&source.id);
    }
    recording.finish().await;
    round
}

/// How one layer is asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    root: &'a Url,
    client: &'a sources::Client,
    accept_shrunk: bool,
}

async fn fetch_layer(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    spec: &LayerSpec,
    asked: Asked<'_>,
    progress: sources::Progress<'_>,
) -> Result<LayerRun, Trouble> {
    let unchanged = || LayerRun::new(&spec.id, RunOutcome::Unchanged);
    let Some(service) = sources::service(source.protocol) else { return Ok(unchanged()) };
    let now = desk.now();
    if source.protocol == Protocol::Cap {
        // A warning ends at its time, also while nobody answers.
        drop_expired(desk, spec, now).await?;
    }
    // A tag belongs to what this source delivered; content of the profile is compared once.
    let held = desk.layers().get(&spec.id).and_then(|layer| layer.stored.as_ref()?.etag.clone());
    let staging = desk.home().staging_dir();
    let credentials = desk.held(source).await?;
    let areas = Communes::of(desk);
    let wanted = Wanted {
        root: asked.root,
        layer: spec.id.as_str(),
        // Of SensorThings the Things that a filter leaves are the collection, by their own ids.
        collection: match &spec.sensorthings {
            Some(mapping) => mapping.things.as_deref(),
            None => spec.collection.as_deref(),
        },
        id_field: spec.id_field.as_deref().filter(|_| spec.sensorthings.is_none()),
        mapping: spec.rest.as_ref(),
        changed_field: spec.changed_field.as_deref(),
        login: credentials.as_ref().map(Held::login),
        validator: held.as_deref(),
        province: desk.profile().bbox.into(),
        at_most: None,
        now,
        areas: Some(&areas),
        staging: &staging,
    };
    let hidden = |error: FetchError| Held::hide(credentials.as_ref(), error);
    if spec.remote.is_some() {
        // Nothing of it is taken over; that its service answers, and what it can be asked, is worth knowing.
        desk.look_at_remote(spec, asked.client, wanted).await.map_err(hidden)?;
        return Ok(unchanged());
    }
    let answer = service.fetch(asked.client, wanted, progress).await.map_err(hidden);
    let Fetched::Features(fetched) = answer? else {
        return Ok(unchanged());
    };
    let now = desk.now();
    let provenance = Provenance {
        source: source.id.clone(),
        provider: spec.provider.clone(),
        fetched_at: now,
        as_of: fetched.as_of.unwrap_or(now).min(now),
        licence: spec.licence.clone(),
        classification: spec.classification,
        sample: spec.sample,
        practice: source.practice || fetched.practice,
    };
    let (is_cap, accept_shrunk) = (source.protocol == Protocol::Cap, asked.accept_shrunk);
    let taking = desk.clone();
    let spec = spec.clone();
    // Repair, SQL and the new picture are work for a blocking thread.
    let outcome =
        tokio::task::spawn_blocking(move || taking.take_collection(&spec, fetched, &provenance, is_cap, accept_shrunk))
            .await;
    outcome.map_err(|_| Trouble::Local(desk.failure("interrupted", [])))?.map_err(Trouble::Local)
}

/// Takes warnings out of a layer whose `expires` has come.
async fn drop_expired(desk: &Arc<Desk>, spec: &LayerSpec, now: Timestamp) -> Result<(), Trouble> {
    let Some(layer) = desk.layers().get(&spec.id) else { return Ok(()) };
    let Some(stored) = &layer.stored else { return Ok(()) };
    let ended = |feature: &model::Feature| {
        feature.text("expires").and_then(|at| Timestamp::from_str(at).ok()).is_some_and(|at| at <= now)
    };
    if !layer.picture.features().any(|feature| ended(&feature)) {
        return Ok(());
    }
    let features = layer.picture.features().filter(|feature| !ended(feature)).collect();
    let left = Delivery { features, rejected: 0, announced: true, may_be_empty: true, accept_shrunk: true };
    let (dropping, spec, provenance) = (desk.clone(), spec.clone(), stored.provenance.clone());
    let dropped = tokio::task::spawn_blocking(move || dropping.take_fetched(&spec, left, &provenance)).await;
    dropped.map_err(|_| Trouble::Local(desk.failure("interrupted", [])))?.map(|_| ()).map_err(Trouble::Local)
}

impl Desk {
    /// Takes in a fetched collection, keeps what was rejected, and says both.
    fn take_collection(
        &self,
        spec: &LayerSpec,
        fetched: Collection,
        provenance: &Provenance,
        is_cap: bool,
        accept_shrunk: bool,
    ) -> Result<LayerRun, Failure> {
        let mut texts = fetched.refused;
        let rejected = fetched.report.rejected;
        let received = fetched.features.len() + rejected.len();
        let delivery = Delivery {
            features: fetched.features,
            rejected: rejected.len() as u64,
            announced: fetched.announced,
            // No warning in force is a good answer; alerts that cannot be read are not.
            may_be_empty: is_cap && rejected.iter().all(|rejection| rejection.code != "syntax"),
            accept_shrunk,
        };
        let mut rows: Vec<RejectedRow> = rejected
            .into_iter()
            .map(|rejection| RejectedRow { feature: texts.remove(&rejection.row), rejection })
            .collect();
        let taken = self.take_fetched(spec, delivery, provenance);
        if let Err(failure) = &taken
            && failure.code != "moved_on"
        {
            // Why a delivery was not taken may well stand among its rows.
            self.keep_rejected(spec.id.as_str(), &rows)?;
        }
        let taken = taken?;
        rows.extend(taken.refused);
        let mut warnings = taken.warnings;
        if taken.changed && !warnings.is_empty() {
            let detail = warnings.join(" ");
            let at = [("source", provenance.source.as_str()), ("layer", spec.id.as_str()), ("detail", detail.as_str())];
            self.tell(&Event::Notice { failure: self.failure("standard_warnings", at), serious: false });
        }
        if taken.changed && !fetched.report.warnings.is_empty() {
            let detail = fetched.report.warnings.join(" ");
            let at = [("source", provenance.source.as_str()), ("layer", spec.id.as_str()), ("detail", detail.as_str())];
            self.tell(&Event::Notice { failure: self.failure("delivery_warnings", at), serious: false });
        }
        warnings.extend(fetched.report.warnings);
        let kept = self.keep_rejected(spec.id.as_str(), &rows)?;
        match &kept {
            None => self.keep_etag(&spec.id, fetched.validator.as_deref())?,
            // Nothing is dropped in silence, and the tag must not stand for what was not taken in.
            Some(kept) if kept.new => self.tell_rejected(spec, provenance, &rows, &kept.path),
            Some(_) => {}
        }
        Ok(LayerRun {
            received: received as u64,
            accepted: taken.accepted,
            rejected: rows.len() as u64,
            added: taken.delta.added,
            changed: taken.delta.changed,
            removed: taken.delta.removed,
            warnings,
            rejected_file: kept.map(|kept| kept.path.to_string_lossy().into_owned()),
            ..LayerRun::new(&spec.id, if taken.changed { RunOutcome::Changed } else { RunOutcome::Unchanged })
        })
    }

    fn tell_rejected(&self, spec: &LayerSpec, provenance: &Provenance, rows: &[RejectedRow], path: &Path) {
        let detail = rows.first().map_or("", |first| first.rejection.reason.as_str());
        let (count, file) = (rows.len().to_string(), path.to_string_lossy());
        let mend = path.with_extension("geojson");
        let mend = if mend.is_file() { mend.to_string_lossy().into_owned() } else { file.clone().into_owned() };
        let at = [
            ("source", provenance.source.as_str()),
            ("layer", spec.id.as_str()),
            ("count", count.as_str()),
            ("path", file.as_ref()),
            ("mend", mend.as_str()),
            ("detail", detail),
        ];
        self.tell(&Event::Notice { failure: self.failure("rows_dropped", at), serious: false });
    }
}
