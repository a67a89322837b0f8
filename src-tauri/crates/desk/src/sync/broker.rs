//! Live values pushed by an MQTT broker beside a SensorThings service.

use super::login::Held;
use super::shapes::RunTrigger;
use super::stations::{apply, catch_up, layers_of, mapped, write, write_waiting};
use crate::Desk;
use crate::api::Event;
use model::{Observation, SourceSpec};
use parking_lot::Mutex;
use sources::mqtt::{self, Message};
use sources::sensorthings::{self, Streams};
use sources::{FetchError, Url};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A broker that is there does not prove that somebody still speaks to it: now and then the service itself is asked.
const ASK_EVERY: Duration = Duration::from_secs(600);

/// Takes pushed observations until the connection ends: the reason it ended, and whether anything came at all.
pub(super) async fn listen(desk: &Arc<Desk>, source: &SourceSpec, url: &Url, name: &str) -> (FetchError, bool) {
    let streams = match streams(desk, source).await {
        Ok(streams) => streams,
        Err(error) => return (error, false),
    };
    let waiting: Arc<Mutex<Vec<Observation>>> = Arc::default();
    let heard = AtomicBool::new(false);
    let told = AtomicBool::new(false);
    let held = match desk.held(source).await {
        Ok(held) => held,
        Err(error) => return (error, false),
    };
    let login = held.as_ref().map(Held::login);
    let listening = mqtt::listen(&desk.client, url, login, name, &streams, |message| {
        let now = desk.now();
        heard.store(true, Ordering::Relaxed);
        desk.links().answered_alone(&source.id, now);
        match message {
            // What the broker kept is older than what was just polled, or the same: the newest stays the reading.
            Message::Observation { observation, retained: _ } => {
                apply(desk, &observation, now);
                waiting.lock().push(observation);
            }
            Message::Alive => {}
            // Once a connection: the next one will be as bad.
            Message::Unusable { topic, reason } => {
                if !told.swap(true, Ordering::Relaxed) {
                    let at = [
                        ("source", source.id.as_str()),
                        ("layer", topic.as_str()),
                        ("count", "1"),
                        ("detail", reason.as_str()),
                    ];
                    desk.tell(&Event::Notice { failure: desk.failure("rows_dropped", at), serious: false });
                }
            }
        }
    });
    // In one task with the listener, so that stopping one stops all.
    let error = tokio::select! {
        error = listening => error,
        () = write_waiting(desk, &waiting) => FetchError::Cancelled,
        () = ask_again(desk, source) => FetchError::Cancelled,
    };
    let rest = std::mem::take(&mut *waiting.lock());
    write(desk, rest).await;
    (error, heard.load(Ordering::Relaxed))
}

/// What the source's datastreams measure.
async fn streams(desk: &Arc<Desk>, source: &SourceSpec) -> Result<Streams, FetchError> {
    let mut all = Streams::default();
    let Some(root) = desk.links().url(&source.id) else { return Ok(all) };
    let client = desk.client_for(source, &root).await?;
    for layer in layers_of(desk, source) {
        all.extend(match mapped(&layer.spec) {
            Some(mapped) => sensorthings::streams_of(&client, &root, mapped).await?,
            None => sensorthings::streams(&client, &root, &layer.spec.id).await?,
        });
    }
    Ok(all)
}

async fn ask_again(desk: &Arc<Desk>, source: &SourceSpec) {
    let every = source.every.as_duration().max(ASK_EVERY);
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = catch_up(desk, source, RunTrigger::Schedule).await {
            super::note(desk, source, &error, None);
        }
    }
}
