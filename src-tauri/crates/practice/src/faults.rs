//! Faults on purpose: what a bad line, an overloaded server or a broken proxy does to a client.

use crate::app::App;
use crate::http::Trouble;
use crate::plug::{Connection, Plug};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The answer starts so much later. JSON: `delay_ms`.
    Slow {
        #[serde(rename = "delay_ms", with = "millis")]
        delay: Duration,
    },
    /// Half of the body comes, then the connection is reset.
    Reset,
    /// So many bytes of the body come, then the connection ends.
    Truncate { bytes: u64 },
    /// The answer is this HTTP status. JSON: `code`, `retry_after_secs` (sent as `Retry-After`, whole seconds).
    Status {
        code: u16,
        #[serde(rename = "retry_after_secs", with = "maybe_secs", default)]
        retry_after: Option<Duration>,
    },
    /// The request is taken and nothing comes until the faults are cleared. Open event and picture streams under the
    /// path fall silent too, unless the rule counts requests.
    Stall,
}

mod millis {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;
    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

mod maybe_secs {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;
    pub fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.serialize_some(&value.as_secs()),
            None => to.serialize_none(),
        }
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}

/// A fault on a part of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// Requests whose path begins with this; the longest one counts. `/practice` never fails.
    pub path: String,
    #[serde(flatten)]
    pub fault: Fault,
    /// How many more requests it takes; until cleared when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// The faults in force. Shared with the running server: a change takes effect with the next request.
#[derive(Debug)]
pub struct Faults {
    rules: Mutex<Vec<FaultRule>>,
    /// Counts clearings, for the requests that wait in a stall.
    cleared: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { rules: Mutex::default(), cleared: watch::Sender::new(0) }
    }
}

impl Faults {
    /// Puts a fault on all paths that begin with `path`, for `times` requests or until cleared. Replaces an earlier
    /// fault on the same path; `times` of 0 only removes it.
    pub fn set(&self, path: &str, fault: Fault, times: Option<u32>) {
        let mut rules = self.rules.lock();
        rules.retain(|rule| rule.path != path);
        if times != Some(0) {
            rules.push(FaultRule { path: path.to_owned(), fault, times });
        }
    }

    /// Takes all faults away and lets stalled requests go on.
    pub fn clear(&self) {
        self.rules.lock().clear();
        self.cleared.send_modify(|count| *count += 1);
    }

    /// The faults in force, in the order in which they were set.
    pub fn rules(&self) -> Vec<FaultRule> {
        self.rules.lock().clone()
    }

    /// The fault for one request, counted down.
    fn take(&self, path: &str) -> Option<Fault> {
        let mut rules = self.rules.lock();
        let index = longest(&rules, path)?;
        let fault = rules[index].fault;
        if let Some(times) = &mut rules[index].times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                rules.remove(index);
            }
        }
        Some(fault)
    }

    /// True while open streams under the path must be silent.
    fn stalls(&self, path: &str) -> bool {
        let rules = self.rules.lock();
        longest(&rules, path).is_some_and(|index| rules[index].fault == Fault::Stall && rules[index].times.is_none())
    }
}

fn longest(rules: &[FaultRule], path: &str) -> Option<usize> {
    (0..rules.len()).filter(|i| path.starts_with(&rules[*i].path)).max_by_key(|i| rules[*i].path.len())
}

/// The outermost layer: marks every answer as practice data and applies the faults.
pub(crate) async fn layer(
    State(app): State<Arc<App>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let about_itself = path == "/practice" || path.starts_with("/practice/");
    // Before the look at the rules: a clearing in between must not be missed.
    let mut cleared = app.faults.cleared.subscribe();
    let fault = if about_itself { None } else { app.faults.take(&path) };
    let mut response = match fault {
        None => open_ended(answered(next, request).await, &app, path),
        Some(Fault::Slow { delay }) => {
            tokio::time::sleep(delay).await;
            open_ended(answered(next, request).await, &app, path)
        }
        Some(Fault::Stall) => {
            // The sender lives in the app, so the only way out is a clearing.
            let _ = cleared.changed().await;
            answered(next, request).await
        }
        Some(Fault::Status { code, retry_after }) => refuse(code, retry_after),
        Some(Fault::Truncate { bytes }) => cut_body(answered(next, request).await, Cut::End { after_bytes: bytes }),
        Some(Fault::Reset) => cut_body(answered(next, request).await, Cut::Reset { plug: connection.0 }),
    };
    response.headers_mut().insert("x-practice-data", HeaderValue::from_static("true"));
    response
}

/// The answer, with what its body hashes to (RFC 9530) where that has an end.
async fn answered(next: Next, request: Request) -> Response {
    let response = next.run(request).await;
    if response.body().size_hint().exact().is_none_or(|bytes| bytes == 0) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // The body lies in memory already.
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if let Ok(digest) = HeaderValue::from_str(&format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&bytes)))) {
        head.headers.insert("repr-digest", digest);
    }
    Response::from_parts(head, Body::from(bytes))
}

fn refuse(code: u16, retry_after: Option<Duration>) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Trouble::new(status, "InjectedFault", "a fault set on the practice data centre").into_response();
    if let Some(after) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }
    response
}

/// Streams without an end obey a stall that comes while they run.
fn open_ended(response: Response, app: &Arc<App>, path: String) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let app = app.clone();
    response.map(|body| {
        Body::from_stream(body.into_data_stream().then(move |frame| {
            let (app, path) = (app.clone(), path.clone());
            async move {
                let mut cleared = app.faults.cleared.subscribe();
                while app.faults.stalls(&path) {
                    if cleared.changed().await.is_err() {
                        break;
                    }
                }
                frame
            }
        }))
    })
}

enum Cut {
    End { after_bytes: u64 },
    Reset { plug: Arc<Plug> },
}

/// Long enough for the bytes before the cut to leave the machine.
const FLUSH: Duration = Duration::from_millis(30);

fn cut_body(response: Response, cut: Cut) -> Response {
    // A stream without a known length is cut after its first kilobyte.
    let length_bytes = response.body().size_hint().exact();
    let mut left_bytes = match cut {
        Cut::End { after_bytes } => after_bytes,
        Cut::Reset { .. } => length_bytes.map_or(1_024, |length| length / 2),
    };
    if let (Some(length), Cut::End { .. }) = (length_bytes, &cut)
        && length <= left_bytes
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    if let Some(length) = length_bytes {
        // The promise that is then broken.
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, io::Error>>(1);
    tokio::spawn(async move {
        let mut frames = body.into_data_stream();
        while left_bytes > 0 {
            let Some(Ok(mut frame)) = frames.next().await else { break };
            let keep = usize::try_from(left_bytes).map_or(frame.len(), |left| left.min(frame.len()));
            frame.truncate(keep);
            left_bytes -= keep as u64;
            if sender.send(Ok(frame)).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(FLUSH).await;
        if let Cut::Reset { plug } = &cut {
            plug.cut();
        }
        // The client is gone already when this cannot be sent.
        let _ = sender.send(Err(io::ErrorKind::ConnectionReset.into())).await;
    });
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    Response::from_parts(parts, Body::from_stream(stream))
}

pub(crate) async fn list(State(app): State<Arc<App>>) -> Response {
    axum::Json(app.faults.rules()).into_response()
}

/// `PUT /practice/faults` with one rule as JSON.
pub(crate) async fn put(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, Trouble> {
    let rule: FaultRule = serde_json::from_slice(&body).map_err(|error| {
        Trouble::bad(format!(
            "{error}; write for example {{\"path\":\"/ogc\",\"kind\":\"status\",\"code\":503,\"times\":2}}"
        ))
    })?;
    if !rule.path.starts_with('/') {
        return Err(Trouble::bad(format!("path {:?} must begin with /", rule.path)));
    }
    if let Fault::Status { code, .. } = rule.fault
        && !(200..=599).contains(&code)
    {
        return Err(Trouble::bad(format!("code {code} is no HTTP status from 200 to 599")));
    }
    app.faults.set(&rule.path, rule.fault, rule.times);
    Ok(axum::Json(app.faults.rules()).into_response())
}

pub(crate) async fn clear(State(app): State<Arc<App>>) -> Response {
    app.faults.clear();
    StatusCode::NO_CONTENT.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_path_counts_and_times_run_out() {
        let faults = Faults::default();
        faults.set("/", Fault::Reset, None);
        faults.set("/ogc", Fault::Status { code: 500, retry_after: None }, Some(1));
        assert_eq!(faults.take("/ogc/collections"), Some(Fault::Status { code: 500, retry_after: None }));
        assert_eq!(faults.take("/ogc/collections"), Some(Fault::Reset));
        faults.clear();
        assert_eq!(faults.take("/ogc"), None);
    }

    #[test]
    fn rules_read_from_json() {
        let rule: FaultRule =
            serde_json::from_str(r#"{"path":"/ogc","kind":"status","code":429,"retry_after_secs":7,"times":2}"#)
                .unwrap();
        assert_eq!(rule.fault, Fault::Status { code: 429, retry_after: Some(Duration::from_secs(7)) });
        let rule: FaultRule = serde_json::from_str(r#"{"path":"/","kind":"slow","delay_ms":250}"#).unwrap();
        assert_eq!(rule.fault, Fault::Slow { delay: Duration::from_millis(250) });
        let back: FaultRule = serde_json::from_value(serde_json::to_value(&rule).unwrap()).unwrap();
        assert_eq!(back, rule);
    }
}
