//! Features by OGC API – Features: fetched by period, replaced whole, left alone where a person imported better ones.

use super::{after, seed_of};
use crate::Desk;
use crate::api::{Event, Failure};
use model::{LayerSpec, Provenance, SourceSpec};
use sources::{Backoff, FetchError, Fetched, Url};
use std::sync::Arc;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec) {
    let mut backoff = Backoff::new(seed_of(&source.id));
    let every = source.every.as_duration();
    loop {
        let wait = match try_once(&desk, &source).await {
            Ok(_) => {
                backoff.reset();
                every
            }
            Err(Trouble::Fetch(error)) => {
                // What will not mend itself is not knocked at: the next regular turn is soon enough.
                let wait = if error.retryable() { super::wait_after(&mut backoff, &error) } else { every };
                let now = desk.now();
                desk.links().failed(&source.id, &error.to_string(), super::answered(&error), now, after(now, wait));
                wait
            }
            Err(Trouble::Local(failure)) => {
                desk.tell(&Event::Notice { failure, serious: true });
                every
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = desk.features_due.notified() => {}
        }
    }
}

pub(super) async fn once(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, Failure> {
    try_once(desk, source).await.map_err(|trouble| match trouble {
        Trouble::Fetch(error) => {
            desk.links().failed(&source.id, &error.to_string(), super::answered(&error), desk.now(), None);
            crate::failures::fetch(desk.language(), &desk.links().address(source), &error)
        }
        Trouble::Local(failure) => failure,
    })
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

/// Fetches every layer of the source; the number of layers that changed.
async fn try_once(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, Trouble> {
    let Some(root) = desk.links().url(&source.id) else { return Ok(0) };
    let mut changed = 0;
    let mut first: Option<Trouble> = None;
    let specs = desk.profile().layers.iter().filter(|spec| spec.feature_source.as_ref() == Some(&source.id));
    for spec in specs {
        let held = desk.layers().get(&spec.id);
        // What a person imported is not overwritten by a sync; restoring the layer gives it back to the source.
        if held.as_ref().and_then(|layer| layer.stored.as_ref()).is_some_and(|stored| desk.is_imported(stored)) {
            continue;
        }
        match fetch_layer(desk, source, &root, spec).await {
            Ok(is_new) => {
                changed += u64::from(is_new);
                desk.links().answered(&source.id, desk.now());
            }
            // With the line down the other layers cannot do better.
            Err(Trouble::Fetch(error)) if !error.answered() => return Err(Trouble::Fetch(error)),
            // One broken collection must not keep the others from being fetched.
            Err(trouble) => {
                first.get_or_insert(trouble);
            }
        }
    }
    first.map_or(Ok(changed), Err)
}

async fn fetch_layer(desk: &Arc<Desk>, source: &SourceSpec, root: &Url, spec: &LayerSpec) -> Result<bool, Trouble> {
    // A tag belongs to what this source delivered; content of the profile is compared once.
    let held = desk.layers().get(&spec.id).and_then(|layer| layer.stored.as_ref()?.etag.clone());
    let mut progress = |_, _| ();
    let fetched = sources::ogc::fetch_collection(&desk.client, root, spec.id.as_str(), held.as_deref(), &mut progress);
    let Fetched::Features(fetched) = fetched.await? else { return Ok(false) };
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
    let taking = desk.clone();
    let spec = spec.clone();
    // Repair, SQL and the new picture are work for a blocking thread.
    let outcome = tokio::task::spawn_blocking(move || {
        let rejected = fetched.report.rejected;
        let taken = taking.take_fetched(&spec, fetched.features, &provenance)?;
        let unusable = rejected.len() + taken.dropped;
        if unusable > 0 {
            // Nothing is dropped in silence, and the tag must not stand for what was not taken in.
            let detail = rejected.first().map_or_else(String::new, |first| first.reason.clone());
            let count = unusable.to_string();
            let at = [
                ("source", provenance.source.as_str()),
                ("layer", spec.id.as_str()),
                ("count", count.as_str()),
                ("detail", detail.as_str()),
            ];
            taking.tell(&Event::Notice { failure: taking.failure("rows_dropped", at), serious: false });
        } else {
            taking.keep_etag(&spec.id, fetched.etag.as_deref())?;
        }
        Ok(taken.changed)
    })
    .await;
    outcome.map_err(|_| Trouble::Local(desk.failure("interrupted", [])))?.map_err(Trouble::Local)
}
