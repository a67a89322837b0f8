//! The two commands of the bridge, and the channel on which the core tells the window of changes.

use crate::opening::Opened;
use desk::api::{Event, Failure};
use desk::{Kind, call};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use tauri::State;
use tauri::ipc::{Channel, InvokeResponseBody, Response};
use tokio::sync::broadcast::error::RecvError;

pub struct Bridge {
    pub opened: Arc<Opened>,
}

/// Reads. A wall's window holds only this one.
#[tauri::command]
pub async fn ask(bridge: State<'_, Bridge>, call: String, args: serde_json::Value) -> Result<Response, Failure> {
    pass(&bridge, Kind::Ask, &call, &args).await
}

/// Changes.
#[tauri::command]
pub async fn act(bridge: State<'_, Bridge>, call: String, args: serde_json::Value) -> Result<Response, Failure> {
    pass(&bridge, Kind::Act, &call, &args).await
}

async fn pass(bridge: &Bridge, kind: Kind, name: &str, args: &serde_json::Value) -> Result<Response, Failure> {
    let raw: Box<RawValue> = to_raw_value(args).map_err(|error| Failure {
        code: "bad_arguments".into(),
        message: error.to_string(),
        at: [("call".to_owned(), name.to_owned())].into(),
    })?;
    let answer = call(&bridge.opened.desk, kind, name, &raw).await?;
    Ok(Response::new(InvokeResponseBody::Json(String::from(Box::<str>::from(answer)))))
}

/// Sends everything the desk tells, as raw bytes, until the window closes.
#[tauri::command]
pub async fn watch(bridge: State<'_, Bridge>, channel: Channel<InvokeResponseBody>) -> Result<(), Failure> {
    let opened = bridge.opened.clone();
    let mut told = opened.desk.listen();
    tauri::async_runtime::spawn(async move {
        for failure in &opened.notices {
            let notice = Event::Notice { failure: failure.clone(), serious: true };
            if let Ok(mut json) = serde_json::to_vec(&notice) {
                json.insert(0, 0);
                let _ = channel.send(InvokeResponseBody::Raw(json));
            }
        }
        loop {
            match told.recv().await {
                Ok(message) => {
                    if channel.send(InvokeResponseBody::Raw(message.to_vec())).is_err() {
                        return;
                    }
                }
                // The window was too slow: what it missed is told anew, whole.
                Err(RecvError::Lagged(_)) => {
                    for message in opened.desk.tell_anew() {
                        if channel.send(InvokeResponseBody::Raw(message)).is_err() {
                            return;
                        }
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    });
    Ok(())
}
