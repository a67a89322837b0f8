//! Sources, synchronisation, the live overlay.

use crate::output::{Output, table};
use desk::api::{Failure, SourcesInfo};
use desk::{Desk, LayerId};
use serde_json::json;
use std::sync::Arc;

fn show(info: &SourcesInfo, out: &Output) {
    out.result(&json!(info.sources), || {
        let mut rows =
            vec![["id", "protocol", "link", "freshness", "answered", "error", "address"].map(str::to_owned).to_vec()];
        rows.extend(info.sources.iter().map(|source| {
            let word = |json: serde_json::Value| json.as_str().unwrap_or_default().to_owned();
            vec![
                source.id.clone(),
                word(json!(source.protocol)),
                word(json!(source.link)),
                source.freshness.as_str().to_owned(),
                source.answered_at.map_or_else(|| "-".to_owned(), |at| at.strftime("%H:%M:%SZ").to_string()),
                source.last_error.clone().unwrap_or_else(|| "-".to_owned()),
                source.url.clone(),
            ]
        }));
        table(&rows)
    });
}

/// Asks every source once, so that the health is of now.
pub async fn sources(desk: &Arc<Desk>, out: &Output) -> Result<(), Failure> {
    // The health says what failed, source by source; that is the answer, not a failure of asking.
    let _ = desk.sync_once(None).await;
    desk.give_up_links();
    show(&desk.sources_info(), out);
    Ok(())
}

pub async fn sync(desk: &Arc<Desk>, sources: &[String], watch: bool, out: &Output) -> Result<(), Failure> {
    if watch {
        let _syncing = desk.start_syncing();
        out.note("syncing; Ctrl-C ends it");
        let _ = tokio::signal::ctrl_c().await;
        show(&desk.sources_info(), out);
        return Ok(());
    }
    let (mut layers, mut observations, mut failed) = (0, 0, None);
    let chosen: Vec<Option<&str>> =
        if sources.is_empty() { vec![None] } else { sources.iter().map(|source| Some(source.as_str())).collect() };
    for source in chosen {
        match desk.sync_once(source).await {
            Ok((changed, taken)) => {
                layers += changed;
                observations += taken;
            }
            // One source that fails keeps the others from nothing; the first failure is the answer in the end.
            Err(failure) if failed.is_none() => failed = Some(failure),
            Err(failure) => out.note(&failure.message),
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
