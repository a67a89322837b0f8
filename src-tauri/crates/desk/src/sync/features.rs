//! Features, whatever protocol brings them: fetched by period, replaced whole, left alone where a person imported better ones.

use super::seed_of;
use crate::Desk;
use crate::api::{Event, Failure};
use model::{LayerId, LayerSpec, Protocol, Provenance, SourceSpec, Timestamp};
use sources::{Backoff, FetchError, Fetched, Url, Wanted};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Changes come in bursts; they are fetched together.
const BURST: Duration = Duration::from_millis(500);
/// One layer may be slow beyond measure while the others are not; two in a row are the line.
const UNANSWERED: usize = 2;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec, waker: Arc<Notify>) {
    let every = source.every.as_duration();
    let mut backoff = Backoff::new(seed_of(&source.id));
    let mut left: Vec<LayerId> = Vec::new();
    let mut whole_at = Instant::now();
    loop {
        // Between the periods only what failed is tried again.
        if left.is_empty() || whole_at.elapsed() >= every {
            left.clear();
            whole_at = Instant::now();
        }
        let round = fetch(&desk, &source, &left).await;
        left = round.left;
        match round.trouble {
            None => {
                backoff.reset();
                left.clear();
                pause(every, &waker).await;
            }
            Some(Trouble::Fetch(error)) => {
                let wait = super::wait_after(&mut backoff, &error, every);
                super::note(&desk, &source, &error, Some(wait));
                if error.retryable() {
                    tokio::time::sleep(wait).await;
                } else {
                    left.clear();
                    pause(wait, &waker).await;
                }
            }
            Some(Trouble::Local(failure)) => {
                left.clear();
                desk.tell(&Event::Notice { failure, serious: true });
                pause(every, &waker).await;
            }
        }
    }
}

/// Waits for the next period, or for word that a layer changed.
async fn pause(every: Duration, waker: &Notify) {
    tokio::select! {
        () = tokio::time::sleep(every) => {}
        () = waker.notified() => tokio::time::sleep(BURST).await,
    }
}

pub(super) async fn once(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, Failure> {
    let round = fetch(desk, source, &[]).await;
    match round.trouble {
        None => Ok(round.changed),
        Some(Trouble::Fetch(error)) => {
            super::note(desk, source, &error, None);
            Err(crate::failures::fetch(desk.language(), &desk.links().address(source), &error))
        }
        Some(Trouble::Local(failure)) => Err(failure),
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
async fn fetch(desk: &Arc<Desk>, source: &SourceSpec, only: &[LayerId]) -> Round {
    let mut round = Round::default();
    let Some(root) = desk.links().url(&source.id) else { return round };
    let mut unanswered = 0;
    let specs = desk.profile().layers.iter().filter(|spec| spec.feature_source.as_ref() == Some(&source.id));
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
        match fetch_layer(desk, source, &root, spec).await {
            Ok(is_new) => {
                round.changed += u64::from(is_new);
                unanswered = 0;
                desk.links().answered(&source.id, desk.now());
            }
            Err(trouble) => {
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
    round
}

async fn fetch_layer(desk: &Arc<Desk>, source: &SourceSpec, root: &Url, spec: &LayerSpec) -> Result<bool, Trouble> {
    let Some(service) = sources::service(source.protocol) else { return Ok(false) };
    let now = desk.now();
    if source.protocol == Protocol::Cap {
        // A warning ends at its time, also while nobody answers.
        drop_expired(desk, spec, now).await?;
    }
    // A tag belongs to what this source delivered; content of the profile is compared once.
    let held = desk.layers().get(&spec.id).and_then(|layer| layer.stored.as_ref()?.etag.clone());
    let staging = desk.home().staging_dir();
    let wanted = Wanted {
        root,
        layer: spec.id.as_str(),
        collection: spec.collection.as_deref(),
        id_field: spec.id_field.as_deref(),
        changed_field: spec.changed_field.as_deref(),
        login: None,
        validator: held.as_deref(),
        province: desk.profile().bbox.into(),
        now,
        staging: &staging,
    };
    let Fetched::Features(fetched) = service.fetch(&desk.client, wanted, &mut |_, _| ()).await? else {
        return Ok(false);
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
    let is_cap = source.protocol == Protocol::Cap;
    let taking = desk.clone();
    let spec = spec.clone();
    // Repair, SQL and the new picture are work for a blocking thread.
    let outcome = tokio::task::spawn_blocking(move || {
        let rejected = fetched.report.rejected;
        // No warning in force is a good answer; alerts that cannot be read are not.
        let may_be_empty = is_cap && rejected.iter().all(|rejection| rejection.code != "syntax");
        let taken = taking.take_fetched(&spec, fetched.features, &provenance, may_be_empty)?;
        let unusable = rejected.len() + taken.dropped;
        if taken.changed && !taken.warnings.is_empty() {
            let detail = taken.warnings.join(" ");
            let at = [("source", provenance.source.as_str()), ("layer", spec.id.as_str()), ("detail", detail.as_str())];
            taking.tell(&Event::Notice { failure: taking.failure("standard_warnings", at), serious: false });
        }
        if unusable > 0 {
            // Nothing is dropped in silence, and the tag must not stand for what was not taken in.
            let first = rejected.first().or(taken.refused.as_ref());
            let detail = first.map_or_else(String::new, |first| first.reason.clone());
            let count = unusable.to_string();
            let at = [
                ("source", provenance.source.as_str()),
                ("layer", spec.id.as_str()),
                ("count", count.as_str()),
                ("detail", detail.as_str()),
            ];
            taking.tell(&Event::Notice { failure: taking.failure("rows_dropped", at), serious: false });
        } else {
            taking.keep_etag(&spec.id, fetched.validator.as_deref())?;
        }
        Ok(taken.changed)
    })
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
    let left = layer.picture.features().filter(|feature| !ended(feature)).collect();
    let (dropping, spec, provenance) = (desk.clone(), spec.clone(), stored.provenance.clone());
    let dropped = tokio::task::spawn_blocking(move || dropping.take_fetched(&spec, left, &provenance, true)).await;
    dropped.map_err(|_| Trouble::Local(desk.failure("interrupted", [])))?.map(|_| ()).map_err(Trouble::Local)
}
