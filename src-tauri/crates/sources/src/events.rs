//! Server-sent events (WHATWG HTML, section 9.2): what changed, as it changes.

use crate::net::{Client, FetchError, host_of};
use model::{LayerId, Observation, SensorStatus, Timestamp};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use serde::Deserialize;
use url::Url;

/// What an event stream tells.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerEvent {
    Observation(Observation),
    /// The line is alive; the server's clock.
    Heartbeat {
        clock: Option<Timestamp>,
    },
    LayerChanged {
        layer: LayerId,
        etag: Option<String>,
    },
}

/// Longest event that is taken into memory.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// Listens until the stream ends or dies, which is always an error: the caller waits by its back-off and listens again.
///
/// `last_id` is sent so that the server replays what was missed, and follows the events as they come. Events of unknown
/// kinds and with unusable data are passed over.
///
/// Returns [`FetchError::Silent`] when nothing came for longer than [`crate::ClientOptions::silence`],
/// [`FetchError::Ended`] when the server closed the stream in order.
pub async fn listen(
    client: &Client,
    url: &Url,
    last_id: &mut Option<String>,
    mut sink: impl FnMut(ServerEvent) + Send,
) -> FetchError {
    let host = host_of(url);
    let mut headers = vec![(ACCEPT, "text/event-stream".to_owned())];
    headers.extend(last_id.clone().map(|id| (HeaderName::from_static("last-event-id"), id)));
    let silence = client.options.silence;
    let silent = || FetchError::Silent { host: host.clone(), secs: silence.as_secs() };
    let opened = tokio::time::timeout(silence + client.options.connect_timeout, client.open(url, &headers)).await;
    let mut response = match opened {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return error,
        Err(_) => {
            let secs = (silence + client.options.connect_timeout).as_secs();
            return FetchError::Timeout { host, secs, answered: false };
        }
    };
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("text/event-stream") {
        return FetchError::Malformed { url: url.to_string(), what: format!("no event stream came but {kind:?}") };
    }
    let mut parser = Parser::default();
    loop {
        let chunk = match tokio::time::timeout(silence, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return FetchError::Ended { host },
            Ok(Err(error)) => return client.explain(&error, &host, true),
            Err(_) => return silent(),
        };
        let room = parser.feed(&chunk, &mut |event| {
            if let Some(id) = event.id {
                *last_id = Some(id.to_owned());
            }
            if let Some(event) = understood(event.kind, event.data) {
                sink(event);
            }
        });
        if !room {
            return FetchError::TooLarge { host, limit_bytes: MAX_EVENT_BYTES as u64 };
        }
    }
}

struct Raw<'a> {
    id: Option<&'a str>,
    kind: &'a str,
    data: &'a str,
}

/// The line protocol. Lines end in LF, CR or CRLF, chunks anywhere.
#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    id: Option<String>,
    kind: String,
    data: String,
}

impl Parser {
    /// `false` when an event grows beyond all measure.
    fn feed(&mut self, chunk: &[u8], emit: &mut dyn FnMut(Raw<'_>)) -> bool {
        for byte in chunk {
            let skip = self.after_cr && *byte == b'\n';
            self.after_cr = *byte == b'\r';
            match byte {
                _ if skip => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    self.take(&String::from_utf8_lossy(&line), emit);
                }
                _ => self.line.push(*byte),
            }
            if self.line.len() + self.data.len() > MAX_EVENT_BYTES {
                return false;
            }
        }
        true
    }

    fn take(&mut self, line: &str, emit: &mut dyn FnMut(Raw<'_>)) {
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        if line.is_empty() {
            let data = self.data.strip_suffix('\n').unwrap_or(&self.data);
            if !self.data.is_empty() {
                emit(Raw { id: self.id.as_deref(), kind: &self.kind, data });
            }
            self.kind.clear();
            self.data.clear();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            _ => {}
        }
    }
}

#[derive(Deserialize)]
struct ObservationEvent {
    layer: String,
    feature: String,
    parameter: String,
    time: Timestamp,
    result: f64,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Deserialize)]
struct HeartbeatEvent {
    #[serde(default)]
    clock: Option<Timestamp>,
}

#[derive(Deserialize)]
struct LayerEvent {
    layer: String,
    #[serde(default)]
    etag: Option<String>,
}

fn understood(kind: &str, data: &str) -> Option<ServerEvent> {
    match kind {
        "observation" => {
            let event: ObservationEvent = serde_json::from_str(data).ok()?;
            Some(ServerEvent::Observation(Observation {
                layer: LayerId::new(&event.layer).ok()?,
                feature: event.feature,
                parameter: event.parameter,
                measured_at: event.time,
                value: event.result.is_finite().then_some(event.result)?,
                status: SensorStatus::from_code(event.status.as_deref().unwrap_or("00"))?,
            }))
        }
        "heartbeat" => {
            let clock = serde_json::from_str::<HeartbeatEvent>(data).ok().and_then(|event| event.clock);
            Some(ServerEvent::Heartbeat { clock })
        }
        "layer" => {
            let event: LayerEvent = serde_json::from_str(data).ok()?;
            Some(ServerEvent::LayerChanged { layer: LayerId::new(&event.layer).ok()?, etag: event.etag })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\nid: 7\r\nevent: observation\r\ndata: {\"layer\":\"air_stations\",\"feature\":\"a1\",\r\ndata: \"parameter\":\"pm25\",\"datastream\":1,\"time\":\"2026-11-23T14:00:00Z\",\"result\":41.5,\"status\":\"01\"}\r\n\r\nevent: heartbeat\ndata: {\"clock\":\"2026-11-23T14:00:01Z\"}\n\nevent: layer\rdata: {\"layer\":\"communes\",\"etag\":\"x\"}\r\revent: unknown\ndata: 1\n\nevent: observation\ndata: {broken\n\n";

    fn events(cut: usize) -> Vec<ServerEvent> {
        let mut parser = Parser::default();
        let mut out = Vec::new();
        for chunk in STREAM.as_bytes().chunks(cut) {
            assert!(parser.feed(chunk, &mut |raw| out.extend(understood(raw.kind, raw.data))));
        }
        assert_eq!(parser.id.as_deref(), Some("7"));
        out
    }

    #[test]
    fn events_are_the_same_however_the_chunks_fall() {
        let whole = events(STREAM.len());
        assert_eq!(whole.len(), 3);
        assert!(
            matches!(&whole[0], ServerEvent::Observation(o) if o.value == 41.5 && o.status == SensorStatus::Calibrating)
        );
        assert!(matches!(&whole[1], ServerEvent::Heartbeat { clock: Some(_) }));
        assert!(matches!(&whole[2], ServerEvent::LayerChanged { layer, .. } if layer.as_str() == "communes"));
        for cut in [1, 2, 3, 7, 50] {
            assert_eq!(events(cut), whole, "chunks of {cut}");
        }
    }

    #[test]
    fn endless_event_is_cut_off() {
        let mut parser = Parser::default();
        let chunk = vec![b'a'; 64 << 10];
        assert!((0..20).any(|_| !parser.feed(&chunk, &mut |_| {})));
    }
}
