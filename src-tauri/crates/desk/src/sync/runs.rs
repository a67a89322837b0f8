//! A run of a source, noted while it goes on.

use super::shapes::{LayerRun, Run, RunOutcome, RunTrigger};
use crate::Desk;
use crate::api::Failure;
use crate::jobs::JobHandle;
use model::SourceSpec;
use std::sync::Arc;

/// Why and how a source is asked.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) trigger: RunTrigger,
    /// Who waits for it.
    pub(super) job: Option<&'a JobHandle>,
    /// A person wants also a delivery that lacks most of what was there.
    pub(super) accept_shrunk: bool,
}

impl Asking<'_> {
    pub(super) fn by(trigger: RunTrigger) -> Self {
        Self { trigger, job: None, accept_shrunk: false }
    }
}

/// A run under way. Dropped before its end, it was cancelled; either way it is kept.
pub(super) struct Recording {
    desk: Arc<Desk>,
    run: Run,
    client: sources::Client,
    /// Layers or questions that went well.
    worked: usize,
    /// Values came that belong to no one layer.
    values: bool,
    ended: bool,
}

impl Recording {
    pub(super) fn begin(desk: &Arc<Desk>, source: &SourceSpec, trigger: RunTrigger) -> Self {
        let now = desk.now();
        let run = Run {
            source: source.id.clone(),
            started_at: now,
            ended_at: now,
            trigger,
            outcome: RunOutcome::Cancelled,
            layers_changed: Vec::new(),
            received: 0,
            accepted: 0,
            rejected: 0,
            added: 0,
            changed: 0,
            removed: 0,
            bytes: 0,
            failure: None,
            layers: Vec::new(),
        };
        Self { desk: desk.clone(), run, client: desk.client.counting(), worked: 0, values: false, ended: false }
    }

    /// Counts the bytes of this run.
    pub(super) fn client(&self) -> &sources::Client {
        &self.client
    }

    /// What became of a layer.
    pub(super) fn layer(&mut self, layer: LayerRun) {
        self.run.received += layer.received;
        self.run.accepted += layer.accepted;
        self.run.rejected += layer.rejected;
        self.run.added += layer.added;
        self.run.changed += layer.changed;
        self.run.removed += layer.removed;
        if layer.outcome == RunOutcome::Changed {
            self.run.layers_changed.push(layer.layer.clone());
        }
        match &layer.failure {
            Some(failure) => self.fail(failure.clone()),
            None => self.worked += 1,
        }
        if layer.outcome != RunOutcome::Unchanged || layer.rejected > 0 || !layer.warnings.is_empty() {
            self.run.layers.push(layer);
        }
    }

    /// Values that were new or different, of whichever layers.
    pub(super) fn values(&mut self, taken: u64) {
        self.run.received += taken;
        self.run.accepted += taken;
        self.values |= taken > 0;
        self.worked += 1;
    }

    /// What went wrong with the source as a whole; the first failure of a run counts.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.run.failure.get_or_insert(failure);
    }

    fn end(&mut self, outcome: RunOutcome) {
        self.ended = true;
        self.run.outcome = outcome;
        self.run.ended_at = self.desk.now();
        self.run.bytes = self.client.counted_bytes();
        self.desk.keep_run(&self.run);
    }

    /// Keeps the run. It waits for the disk, so it goes to a thread that may.
    pub(super) async fn finish(mut self) {
        let outcome = match (&self.run.failure, self.worked) {
            (Some(_), 0) => RunOutcome::Failed,
            (Some(_), _) => RunOutcome::Partly,
            (None, _) if self.run.layers_changed.is_empty() && !self.values => RunOutcome::Unchanged,
            (None, _) => RunOutcome::Changed,
        };
        self.ended = true;
        let _ = tokio::task::spawn_blocking(move || self.end(outcome)).await;
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.ended {
            self.end(RunOutcome::Cancelled);
        }
    }
}
