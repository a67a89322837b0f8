//! The desk beside a real MQTT broker: values go onto the map as they are made, and a broker that dies heals.

#![allow(clippy::unwrap_used)]

use desk::{Desk, Options};
use model::Timestamp;
use practice::Practice;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// mosquitto on a port of its own; it ends with the test.
struct Broker {
    port: u16,
    running: Option<Child>,
}

impl Broker {
    /// `None` with a word when mosquitto is not installed.
    async fn new() -> Option<Self> {
        let here = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].iter().any(|path| Path::new(path).is_file());
        if !here {
            assert!(std::env::var_os("TOANCANH_FULL").is_none(), "mosquitto is missing; .ci/system-packages test");
            let _ = writeln!(std::io::stderr(), "SKIPPED: mosquitto is not installed");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Self { port, running: None };
        broker.go().await;
        Some(broker)
    }

    /// Without a configuration it lets everybody in, from this machine alone.
    async fn go(&mut self) {
        let mut command = Command::new("mosquitto");
        command.env("PATH", "/usr/sbin:/usr/bin:/bin").args(["-p", &self.port.to_string()]);
        self.running = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "mosquitto does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    async fn send(&self, stream: &str, at: Timestamp, result: f64) {
        let (client, mut events) = AsyncClient::new(MqttOptions::new("station", "127.0.0.1", self.port), 4);
        let json = serde_json::json!({ "phenomenonTime": at.to_string(), "result": result }).to_string();
        let topic = format!("v1.1/Datastreams({stream})/Observations");
        client.publish(topic, QoS::AtLeastOnce, false, json).await.unwrap();
        while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::PubAck(_))) {}
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

const STATION: &str = "level-dau-tieng";

/// The number of the station's datastream.
async fn stream_of(centre: &Practice) -> String {
    let mut line = tokio::net::TcpStream::connect(centre.address()).await.unwrap();
    let path = format!("/sensorthings/v1.1/Datastreams?$filter=properties/feature%20eq%20'{STATION}'");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    line.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.unwrap();
    let after = answer.split_once("\"@iot.id\":").unwrap_or_else(|| panic!("{answer}")).1;
    after.chars().take_while(char::is_ascii_digit).collect()
}

fn level(desk: &Desk) -> Option<f64> {
    let all = desk.live_states();
    let layer = all.iter().find(|states| states.layer.as_str() == "water_level_stations")?;
    layer.states.iter().find(|state| state.id == STATION)?.value
}

async fn comes(desk: &Desk, value: f64, patience: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < patience {
        if level(desk).is_some_and(|now| (now - value).abs() < 1e-9) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

fn from_now(secs: i64) -> Timestamp {
    Timestamp::now() + jiff::SignedDuration::from_secs(secs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_come_by_the_broker_and_again_after_it_died() {
    let Some(mut broker) = Broker::new().await else { return };
    let home = tempfile::tempdir().unwrap();
    Desk::make_home(&Options::at(home.path())).unwrap();
    let path = home.path().join("profile/profile.toml");
    let profile = std::fs::read_to_string(&path).unwrap();
    let mqtt = format!("mqtt = \"mqtt://127.0.0.1:{}\"", broker.port);
    assert!(profile.contains("events = \"practice:/events\""));
    std::fs::write(&path, profile.replace("events = \"practice:/events\"", &mqtt)).unwrap();
    let options = practice::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let centre = Practice::start(&home.path().join("profile"), options).await.unwrap();
    let stream = stream_of(&centre).await;
    let opening = Options { practice_url: Some(centre.base_url()), ..Options::at(home.path()) };
    let (desk, notices): (Arc<Desk>, _) = Desk::open(opening).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    let _syncing = desk.start_syncing();
    let began = Instant::now();
    while level(&desk).is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "no value came by polling");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A little ahead, as clocks are: what is polled meanwhile is older. Sent until somebody listens.
    let mut tries = 0;
    while !comes(&desk, 7.77, Duration::from_millis(500)).await {
        tries += 1;
        assert!(tries < 40, "nobody listens to the broker");
        broker.send(&stream, from_now(60), 7.77).await;
    }
    // An older one is history, and is not the newest.
    let late = from_now(-2);
    broker.send(&stream, late, 1.11).await;
    assert!(!comes(&desk, 1.11, Duration::from_secs(2)).await);
    assert!(comes(&desk, 7.77, Duration::from_millis(100)).await);

    broker.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = desk.sources_info();
    let stations = told.sources.iter().find(|source| source.id == "stations").unwrap();
    assert!(stations.answered_at.is_some(), "the service is polled meanwhile");
    broker.go().await;
    let mut tries = 0;
    while !comes(&desk, 8.88, Duration::from_millis(500)).await {
        tries += 1;
        assert!(tries < 60, "it did not heal");
        broker.send(&stream, from_now(120), 8.88).await;
    }
    centre.stop().await;
}
