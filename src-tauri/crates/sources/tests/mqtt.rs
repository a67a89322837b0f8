//! Observations by a real broker (mosquitto): the same values as the service gives, and what brokers do besides.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "foreign/mosquitto.rs"]
mod mosquitto;
#[path = "foreign/process.rs"]
mod process;

use model::{Credentials, LayerId, Observation};
use mosquitto::{Broker, mosquitto};
use practice::{Options, Practice};
use serde_json::{Value, json};
use sources::mqtt::{Message, listen};
use sources::sensorthings::{Streams, latest, streams};
use sources::{Client, ClientOptions, FetchError, Login, Secret, Url};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

fn root(broker: &Broker) -> Url {
    format!("mqtt://127.0.0.1:{}", broker.open).parse().unwrap()
}

/// A listener in its own task.
struct Listening {
    heard: Arc<Mutex<Vec<Message>>>,
    task: JoinHandle<FetchError>,
}

impl Listening {
    async fn start(url: &Url, name: &'static str, streams: &Streams) -> Self {
        let heard: Arc<Mutex<Vec<Message>>> = Arc::default();
        let (url, streams, into) = (url.clone(), streams.clone(), heard.clone());
        let task = tokio::spawn(async move {
            listen(&Client::default(), &url, None, name, &streams, |message| into.lock().unwrap().push(message)).await
        });
        let listening = Self { heard, task };
        // Let in, and subscribed: two words.
        listening.until(|heard| heard.iter().filter(|message| **message == Message::Alive).count() >= 2).await;
        listening
    }

    async fn until(&self, enough: impl Fn(&[Message]) -> bool) {
        let began = Instant::now();
        while !enough(&self.heard.lock().unwrap()) {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", self.heard.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn observations(&self) -> Vec<(Observation, bool)> {
        let heard = self.heard.lock().unwrap();
        let observation = |message: &Message| match message {
            Message::Observation { observation, retained } => Some((observation.clone(), *retained)),
            _ => None,
        };
        heard.iter().filter_map(observation).collect()
    }
}

fn topic(id: &Value) -> String {
    format!("v1.1/Datastreams({id})/Observations")
}

struct World {
    centre: Practice,
    root: Url,
    layer: LayerId,
    streams: Streams,
}

impl World {
    /// A data centre whose clock stands still.
    async fn new() -> Self {
        let maps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh");
        let centre = Practice::start(&maps, Options { speed: 0.0, ..Options::default() }).await.unwrap();
        let root: Url = format!("{}/sensorthings/v1.1", centre.base_url()).parse().unwrap();
        let layer = LayerId::new("air_stations").unwrap();
        let streams = streams(&Client::default(), &root, &layer).await.unwrap();
        assert!(streams.len() > 10);
        Self { centre, root, layer, streams }
    }

    /// The newest observation of every datastream as the service has it: the id, and the JSON.
    async fn newest(&self) -> Vec<(Value, Value)> {
        let url = format!(
            "{}/Things?$top=1000&$expand=Datastreams($expand=Observations($top=1;$orderby=phenomenonTime%20desc))\
             &$filter=properties/layer%20eq%20'air_stations'",
            self.root
        );
        let body = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        let page: Value = serde_json::from_slice(&body).unwrap();
        let mut all = Vec::new();
        for thing in page["value"].as_array().unwrap() {
            for stream in thing["Datastreams"].as_array().unwrap() {
                let newest = stream["Observations"].as_array().unwrap().first();
                all.extend(newest.map(|newest| (stream["@iot.id"].clone(), newest.clone())));
            }
        }
        all
    }
}

fn sorted(mut all: Vec<Observation>) -> Vec<Observation> {
    all.sort_by(|a, b| (&a.feature, &a.parameter).cmp(&(&b.feature, &b.parameter)));
    all
}

#[tokio::test]
async fn the_broker_gives_the_values_that_the_service_gives() {
    let Some(program) = mosquitto() else { return };
    let (broker, world) = (Broker::start(program).await, World::new().await);
    let polled = latest(&Client::default(), &world.root, Some(&world.layer)).await.unwrap().observations;
    let newest = world.newest().await;
    let send = |retained: bool| {
        newest.iter().map(move |(id, json)| (topic(id), json.to_string().into_bytes(), retained)).collect::<Vec<_>>()
    };
    let listening = Listening::start(&root(&broker), "first", &world.streams).await;
    broker.send(&send(true)).await;
    // Of a machine with much to do there are signs of life between them.
    let all_came = |heard: &[Message]| {
        heard.iter().filter(|message| matches!(message, Message::Observation { .. })).count() >= polled.len()
    };
    listening.until(all_came).await;
    // The same once more: "at least once" of the station, not of ours.
    broker.send(&send(false)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pushed = listening.observations();
    assert!(pushed.iter().all(|(_, retained)| !retained), "news, though the broker keeps it too");
    let values = pushed.into_iter().map(|(observation, _)| observation).collect();
    assert_eq!(sorted(values), sorted(polled.clone()));
    // Who comes later is told what was kept.
    let late = Listening::start(&root(&broker), "second", &world.streams).await;
    late.until(all_came).await;
    let kept = late.observations();
    assert!(kept.iter().all(|(_, retained)| *retained));
    assert_eq!(sorted(kept.into_iter().map(|(observation, _)| observation).collect()), sorted(polled));
    listening.task.abort();
    late.task.abort();
    world.centre.stop().await;
}

#[tokio::test]
async fn what_is_no_observation_costs_that_message() {
    let Some(program) = mosquitto() else { return };
    let (broker, world) = (Broker::start(program).await, World::new().await);
    let (id, _) = &world.newest().await[0];
    let listening = Listening::start(&root(&broker), "first", &world.streams).await;
    let at = |time: &str, result: Value| json!({ "phenomenonTime": time, "result": result }).to_string().into_bytes();
    let mut messages: Vec<(String, Vec<u8>, bool)> = [
        at("2026-11-23T14:00:00Z", json!(41.5)),
        // Text, an older one that comes later, a correction, and the correction again.
        at("2026-11-23T14:05:00Z", json!("42.5")),
        at("2026-11-23T13:55:00+00:00", json!(40)),
        at("2026-11-23T14:05:00Z", json!(43)),
        at("2026-11-23T14:05:00Z", json!(43)),
        at("2026-11-23T14:10:00Z", json!("n/a")),
        b"{\"result\": 1".to_vec(),
        b"\xff\xfe".to_vec(),
        vec![b' '; 100 << 10],
    ]
    .into_iter()
    .map(|payload| (topic(id), payload, false))
    .collect();
    let good = at("2026-11-23T14:15:00Z", json!(1));
    for other in ["v1.1/Datastreams(999999)/Observations", "v1.1/Datastreams/Observations", "else", "v1.1/Things(1)"] {
        messages.push((other.into(), good.clone(), false));
    }
    messages.push((topic(id), good, false));
    broker.send(&messages).await;
    listening
        .until(|heard| {
            heard.iter().any(|m| matches!(m, Message::Observation { observation, .. } if observation.value == 1.0))
        })
        .await;
    let values: Vec<(String, f64)> =
        listening.observations().into_iter().map(|(o, _)| (o.measured_at.to_string(), o.value)).collect();
    let wanted = [("14:00", 41.5), ("14:05", 42.5), ("13:55", 40.0), ("14:05", 43.0), ("14:15", 1.0)];
    assert_eq!(values, wanted.map(|(time, value)| (format!("2026-11-23T{time}:00Z"), value)));
    let heard = listening.heard.lock().unwrap().clone();
    let reasons: Vec<&str> = heard
        .iter()
        .filter_map(|message| match message {
            Message::Unusable { reason, .. } => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons[0].contains("no number") && reasons[3].contains("larger than"), "{reasons:?}");
    listening.task.abort();
    world.centre.stop().await;
}

#[tokio::test]
async fn a_broker_that_goes_is_an_error_and_one_that_returns_is_heard() {
    let Some(program) = mosquitto() else { return };
    let (broker, world) = (Broker::start(program).await, World::new().await);
    let (id, newest) = &world.newest().await[0];
    let message = [(topic(id), newest.to_string().into_bytes(), false)];
    let listening = Listening::start(&root(&broker), "first", &world.streams).await;
    broker.kill();
    let error = listening.task.await.unwrap();
    assert!(["ended", "reset"].contains(&error.code()) && error.retryable() && error.answered(), "{error}");
    let error = listen(&Client::default(), &root(&broker), None, "first", &world.streams, |_| ()).await;
    assert!(error.code() == "refused" && !error.answered(), "{error}");
    broker.go().await;
    let listening = Listening::start(&root(&broker), "first", &world.streams).await;
    broker.send(&message).await;
    listening.until(|heard| heard.iter().any(|message| matches!(message, Message::Observation { .. }))).await;
    // Another of the same name throws this one out.
    let other = Listening::start(&root(&broker), "first", &world.streams).await;
    assert_eq!(listening.task.await.unwrap().code(), "ended");
    other.task.abort();

    let closed: Url = format!("mqtt://127.0.0.1:{}", broker.closed).parse().unwrap();
    let credentials = Credentials::Basic { user: "reader".into(), secret: "broker".into() };
    let wrong = Secret::new("sai");
    let login = Some(Login { credentials: &credentials, secret: &wrong });
    let error = listen(&Client::default(), &closed, login, "second", &world.streams, |_| ()).await;
    let text = error.to_string();
    assert!(error.code() == "login" && text.contains("\"reader\"") && text.contains("\"broker\""), "{text}");
    assert!(!error.retryable() && !text.contains("sai"), "{text}");
    let right = Secret::new("Mật khẩu");
    let login = Some(Login { credentials: &credentials, secret: &right });
    let let_in = async {
        let mut words = 0;
        let (client, streams) = (Client::default(), &world.streams);
        let listening = listen(&client, &closed, login, "third", streams, |_| words += 1);
        let _ = tokio::time::timeout(Duration::from_secs(2), listening).await;
        words
    };
    assert!(let_in.await >= 2);
    world.centre.stop().await;
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_noticed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        // Lets one in and says no more; to the next it says nothing at all.
        let (mut first, _) = listener.accept().await.unwrap();
        let mut room = [0; 1_024];
        let _ = first.read(&mut room).await;
        first.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        let (_second, _) = listener.accept().await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let quick = ClientOptions {
        silence: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        ..ClientOptions::default()
    };
    let client = Client::with(quick);
    let began = Instant::now();
    let error = listen(&client, &url, None, "a", &Streams::default(), |_| ()).await;
    assert!(error.code() == "silent" && error.retryable(), "{error}");
    let error = listen(&client, &url, None, "a", &Streams::default(), |_| ()).await;
    assert!(error.code() == "timeout" && !error.answered(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}
