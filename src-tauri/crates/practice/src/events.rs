//! Server-sent events: observations as they arrive, a heartbeat a second, layers whose file changed.

use crate::app::App;
use crate::clock::timestamp_ms;
use crate::plug::{Connection, Plug};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use parking_lot::Mutex;
use serde_json::json;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

/// Real time between two looks at the clock.
const TICK: Duration = Duration::from_millis(100);
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Between two looks at the layer files.
const FILES: Duration = Duration::from_secs(2);
/// Events kept for clients that come back.
const REPLAY: usize = 1_000;
/// Ticks' worth of events that a client may fall behind, beyond what its socket holds.
const BEHIND: usize = 100;

struct Client {
    queue: mpsc::Sender<Bytes>,
    plug: Arc<Plug>,
}

struct Inner {
    last_id: u64,
    /// Observations and layer changes; heartbeats are not worth repeating.
    replay: VecDeque<(u64, String)>,
    clients: Vec<Client>,
}

/// Who listens, and what they missed.
pub(crate) struct Hub(Mutex<Inner>);

impl Default for Hub {
    fn default() -> Self {
        // Ids go on rising over restarts, so that an old Last-Event-ID never hides new events; exact in a double.
        let first = u64::try_from(model::Timestamp::now().as_millisecond()).unwrap_or(0) * 1_000;
        Self(Mutex::new(Inner { last_id: first, replay: VecDeque::new(), clients: Vec::new() }))
    }
}

/// One event without its id.
struct Event {
    name: &'static str,
    data: String,
}

impl Hub {
    fn subscribe(&self, last_event_id: Option<u64>, plug: Arc<Plug>) -> (Bytes, mpsc::Receiver<Bytes>) {
        let (queue, receiver) = mpsc::channel(BEHIND);
        let mut inner = self.0.lock();
        let missed = last_event_id.map_or(String::new(), |last| {
            inner.replay.iter().filter(|(id, _)| *id > last).map(|(_, text)| text.as_str()).collect()
        });
        inner.clients.push(Client { queue, plug });
        (Bytes::from(missed), receiver)
    }

    /// Sends to everyone; a client that cannot take more is cut off.
    fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut inner = self.0.lock();
        let mut chunk = String::new();
        for Event { name, data } in events {
            inner.last_id += 1;
            let id = inner.last_id;
            let begin = chunk.len();
            // Writing to a String cannot fail.
            let _ = write!(chunk, "id: {id}\nevent: {name}\ndata: {data}\n\n");
            if *name != "heartbeat" {
                inner.replay.push_back((id, chunk[begin..].to_owned()));
            }
        }
        let surplus = inner.replay.len().saturating_sub(REPLAY);
        inner.replay.drain(..surplus);
        let chunk = Bytes::from(chunk);
        inner.clients.retain(|client| match client.queue.try_send(chunk.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                client.plug.cut();
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }
}

/// Plays the stations' arrivals on the practice clock, for ever.
pub(crate) async fn run(app: Arc<App>) {
    let mut arrivals = Arrivals::new(&app);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut beat_at, mut files_at) = (Instant::now(), Instant::now() + FILES);
    loop {
        ticks.tick().await;
        let mut events = arrivals.due(&app);
        let now = Instant::now();
        if now >= beat_at {
            beat_at = now + HEARTBEAT;
            events.push(heartbeat(&app));
        }
        if now >= files_at {
            let files = app.clone();
            // A refresh that panicked is only a missed look.
            let changed = tokio::task::spawn_blocking(move || files.refresh()).await.unwrap_or_default();
            events.extend(changed.into_iter().map(|(layer, etag)| Event {
                name: "layer",
                data: json!({ "layer": layer, "etag": etag }).to_string(),
            }));
            files_at = Instant::now() + FILES;
        }
        app.hub.publish(&events);
    }
}

fn heartbeat(app: &App) -> Event {
    Event { name: "heartbeat", data: json!({ "clock": app.clock.now().to_string() }).to_string() }
}

/// Stations by the time of their next arrival.
struct Arrivals(BinaryHeap<Reverse<(i64, usize)>>);

impl Arrivals {
    fn new(app: &App) -> Self {
        let now_ms = app.clock.now_ms();
        let stations = app.network.stations.iter().enumerate();
        Self(
            stations
                .filter(|(_, station)| station.delivers(now_ms))
                .filter_map(|(number, station)| {
                    let next = station.latest(now_ms)?.saturating_add(1);
                    Some(Reverse((station.arrives_ms(next), number)))
                })
                .collect(),
        )
    }

    /// What arrived since the last look. Where a fast clock makes several measurements of a station fall into one look,
    /// only the newest is told; the others stand in its history.
    fn due(&mut self, app: &App) -> Vec<Event> {
        let now_ms = app.clock.now_ms();
        let mut events = Vec::new();
        while let Some(Reverse((due_ms, number))) =
            self.0.peek().copied().filter(|Reverse((due_ms, _))| *due_ms <= now_ms)
        {
            self.0.pop();
            let station = &app.network.stations[number];
            let Some(index) = station.latest(now_ms) else { continue };
            if station.arrives_ms(index) < due_ms {
                continue; // it fell silent
            }
            self.0.push(Reverse((station.arrives_ms(index.saturating_add(1)), number)));
            for stream in &app.network.streams[station.streams.clone()] {
                let reading = app.network.read(stream, index);
                let code = &app.profile.layers[station.layer].parameters[stream.parameter].code;
                let data = json!({
                    "layer": station.layer_id,
                    "feature": station.feature,
                    "parameter": code,
                    "datastream": stream.id,
                    "time": timestamp_ms(reading.measured_ms).to_string(),
                    "result": reading.value,
                    "status": reading.status.code(),
                });
                events.push(Event { name: "observation", data: data.to_string() });
            }
        }
        events
    }
}

/// `GET /events`.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    headers: HeaderMap,
) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.trim().parse().ok());
    let (missed, receiver) = app.hub.subscribe(last, connection.0);
    // Says at once that the line stands; without an id, so that the last one the client has stays in force.
    let Event { name, data } = heartbeat(&app);
    let first = Bytes::from(format!("retry: 2000\nevent: {name}\ndata: {data}\n\n"));
    let chunks = tokio_stream::iter([missed, first])
        .filter(|chunk| !chunk.is_empty())
        .chain(ReceiverStream::new(receiver))
        .map(Ok::<Bytes, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> [Event; 1] {
        [Event { name: "layer", data: "{}".into() }]
    }

    #[test]
    fn reader_that_does_not_read_is_cut_off_and_the_others_stay() {
        let hub = Hub::default();
        let (slow, quick) = (Arc::new(Plug::default()), Arc::new(Plug::default()));
        let (_, _never_read) = hub.subscribe(None, slow.clone());
        let (_, mut read) = hub.subscribe(None, quick.clone());
        for _ in 0..=BEHIND {
            hub.publish(&one());
            assert!(read.try_recv().is_ok());
        }
        assert!(slow.is_cut() && !quick.is_cut());
        assert_eq!(hub.0.lock().clients.len(), 1);
    }

    #[test]
    fn only_the_last_thousand_are_repeated() {
        let hub = Hub::default();
        for _ in 0..1_500 {
            hub.publish(&one());
        }
        let (missed, _) = hub.subscribe(Some(0), Arc::default());
        assert_eq!(String::from_utf8_lossy(&missed).matches("id: ").count(), REPLAY);
        let last = hub.0.lock().last_id;
        assert!(hub.subscribe(Some(last), Arc::default()).0.is_empty());
        assert!(hub.subscribe(None, Arc::default()).0.is_empty());
    }
}
