//! Sources, synchronisation, the live overlay.

use crate::output::{Output, table};
use clap::Args;
use desk::api::{Failure, RejectedFile, Run, SourcesInfo};
use desk::{Desk, Kind, LayerId, SyncOptions, Timestamp, call};
use serde_json::json;
use serde_json::value::to_raw_value;
use std::sync::Arc;

#[derive(Args)]
#[group(multiple = false)]
pub struct SourcesArgs {
    /// The last runs of a source, newest first.
    #[arg(long, value_name = "SOURCE")]
    log: Option<String>,
    /// Take a source off the schedule; it can still be synced by hand.
    #[arg(long, value_name = "SOURCE")]
    pause: Option<String>,
    /// Put it on the schedule again.
    #[arg(long, value_name = "SOURCE")]
    resume: Option<String>,
    /// The files of rejected rows, newest first.
    #[arg(long)]
    rejected: bool,
}

impl SourcesArgs {
    pub fn needs_no_network(&self) -> bool {
        self.log.is_some() || self.pause.is_some() || self.resume.is_some() || self.rejected
    }
}

/// What the home knows without asking anybody.
pub async fn about(desk: &Arc<Desk>, args: &SourcesArgs, out: &Output) -> Result<(), Failure> {
    if let Some(source) = &args.log {
        show_runs(&desk.runs(source)?, out);
        return Ok(());
    }
    if args.rejected {
        show_rejected(&desk.rejected(None)?, out);
        return Ok(());
    }
    let (source, paused) = match (&args.pause, &args.resume) {
        (Some(source), _) => (source, true),
        (None, Some(source)) => (source, false),
        (None, None) => return Ok(()),
    };
    let arguments = to_raw_value(&json!({"source": source, "paused": paused}))
        .map_err(|error| desk.fail("bad_arguments", [("detail", error.to_string().as_str())]))?;
    call(desk, Kind::Act, "pause_source", &arguments).await?;
    let word = if paused { "paused" } else { "on its schedule" };
    out.result(&json!({"source": source, "paused": paused}), || vec![format!("{source}: {word}")]);
    Ok(())
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn show_runs(runs: &[Run], out: &Output) {
    out.result(&json!(runs), || {
        let head = ["started", "took", "trigger", "outcome", "accepted", "rejected", "+", "~", "-", "bytes", "error"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(runs.iter().map(|run| {
            let took_ms = run.ended_at.as_millisecond() - run.started_at.as_millisecond();
            vec![
                moment(run.started_at),
                format!("{}.{} s", took_ms / 1_000, took_ms % 1_000 / 100),
                json!(run.trigger).as_str().unwrap_or_default().to_owned(),
                run.outcome.as_str().to_owned(),
                run.accepted.to_string(),
                run.rejected.to_string(),
                run.added.to_string(),
                run.changed.to_string(),
                run.removed.to_string(),
                run.bytes.to_string(),
                run.failure.as_ref().map_or_else(|| "-".to_owned(), |failure| failure.message.clone()),
            ]
        }));
        table(&rows)
    });
}

fn show_rejected(files: &[RejectedFile], out: &Output) {
    out.result(&json!(files), || {
        let mut rows = vec![["layer", "when", "rows", "file", "to mend"].map(str::to_owned).to_vec()];
        rows.extend(files.iter().map(|file| {
            vec![
                file.layer.clone(),
                moment(file.at),
                file.rows.to_string(),
                file.file.clone(),
                file.features_file.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        }));
        table(&rows)
    });
}

fn show(info: &SourcesInfo, out: &Output) {
    out.result(&json!(info.sources), || {
        let mut rows = vec![
            ["id", "protocol", "link", "freshness", "answered", "runs", "error", "address"].map(str::to_owned).to_vec(),
        ];
        rows.extend(info.sources.iter().map(|source| {
            let word = |json: serde_json::Value| json.as_str().unwrap_or_default().to_owned();
            vec![
                source.id.clone(),
                word(json!(source.protocol)),
                word(json!(source.link)),
                source.freshness.as_str().to_owned(),
                source.answered_at.map_or_else(|| "-".to_owned(), |at| at.strftime("%H:%M:%SZ").to_string()),
                standing(source),
                source.last_error.clone().unwrap_or_else(|| "-".to_owned()),
                source.url.clone(),
            ]
        }));
        table(&rows)
    });
}

/// The last runs, one letter each, oldest first: `.` nothing new, `+` new, `!` partly, `x` failed, `-` stopped.
fn standing(source: &desk::api::SourceHealth) -> String {
    use desk::api::RunOutcome as O;
    let letter = |outcome: &O| match outcome {
        O::Unchanged => '.',
        O::Changed => '+',
        O::Partly => '!',
        O::Failed => 'x',
        O::Cancelled => '-',
    };
    let runs: String = source.runs.iter().map(letter).collect();
    match (source.paused, source.resting_until) {
        (true, _) => format!("{runs} (paused)"),
        (false, Some(until)) => format!("{runs} (rests until {})", until.strftime("%H:%M:%SZ")),
        (false, None) => runs,
    }
}

/// Asks every source once, so that the health is of now.
pub async fn sources(desk: &Arc<Desk>, out: &Output) -> Result<(), Failure> {
    // The health says what failed, source by source; that is the answer, not a failure of asking.
    let _ = desk.sync_once(None).await;
    desk.give_up_links();
    show(&desk.sources_info(), out);
    Ok(())
}

/// Keeps fetching until somebody ends it.
pub async fn watch(desk: &Arc<Desk>, out: &Output) -> Result<(), Failure> {
    let _syncing = desk.start_syncing();
    out.note("syncing; Ctrl-C ends it");
    let _ = tokio::signal::ctrl_c().await;
    show(&desk.sources_info(), out);
    Ok(())
}

pub async fn sync(desk: &Arc<Desk>, sources: &[String], options: &SyncOptions, out: &Output) -> Result<(), Failure> {
    let mut told = desk.listen();
    let (mut layers, mut observations, mut failed) = (0, 0, None);
    let chosen: Vec<Option<&str>> =
        if sources.is_empty() { vec![None] } else { sources.iter().map(|source| Some(source.as_str())).collect() };
    for source in chosen {
        match desk.sync_by(source, options).await {
            Ok((changed, taken)) => {
                layers += changed;
                observations += taken;
            }
            // One source that fails keeps the others from nothing; the first failure is the answer in the end.
            Err(failure) if failed.is_none() => failed = Some(failure),
            Err(failure) => out.note(&failure.message),
        }
    }
    // What was left out or is worth a look is said here too, not only in the window.
    while let Ok(message) = told.try_recv() {
        let event = message.get(1..).and_then(|json| serde_json::from_slice::<serde_json::Value>(json).ok());
        if let Some(event) = event.filter(|event| event["event"] == "notice") {
            out.note(event["failure"]["message"].as_str().unwrap_or_default());
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    out.result(&json!({"layers_changed": layers, "observations": observations}), || {
        vec![format!("{layers} layers changed, {observations} observations")]
    });
    Ok(())
}

pub fn live(desk: &Desk, layer: Option<&LayerId>, out: &Output) -> Result<(), Failure> {
    if let Some(layer) = layer {
        desk.may_see(layer)?;
    }
    let mut states = desk.live_states();
    states.retain(|states| layer.is_none_or(|layer| states.layer == *layer));
    out.result(&json!(states), || {
        let mut rows = vec![["layer", "id", "freshness", "value", "level", "measured"].map(str::to_owned).to_vec()];
        for of_layer in &states {
            rows.extend(of_layer.states.iter().map(|state| {
                vec![
                    of_layer.layer.to_string(),
                    state.id.clone(),
                    state.freshness.as_str().to_owned(),
                    state.value.map_or_else(|| "-".to_owned(), |value| value.to_string()),
                    state.level.to_string(),
                    state
                        .measured_at
                        .map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
                ]
            }));
        }
        table(&rows)
    });
    Ok(())
}
