//! A mosquitto of a test's own.
#![allow(dead_code)]

use crate::process::{Process, free_port, is_root, ready};
use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

/// Where mosquitto is; `None` with a word when it is not.
pub fn mosquitto() -> Option<PathBuf> {
    use std::io::Write;
    let found =
        ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().map(PathBuf::from).find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("TOANCANH_FULL").is_none(),
            "mosquitto is missing; .ci/system-packages test installs it"
        );
        let _ = writeln!(std::io::stderr(), "SKIPPED: mosquitto is not installed");
    }
    found
}

/// A broker with a door for everybody, one by password, and one by TLS.
pub struct Broker {
    program: PathBuf,
    folder: tempfile::TempDir,
    pub open: u16,
    pub closed: u16,
    pub sealed: u16,
    running: Mutex<Option<Process>>,
}

impl Broker {
    pub async fn start(program: PathBuf) -> Self {
        Self::with(program, "").await
    }

    /// `settings`: further lines of its configuration, in which `CERT` and `KEY` stand for its own.
    pub async fn with(program: PathBuf, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let made = Command::new("mosquitto_passwd").args(["-b", "-c", &at("passwords"), "reader", "Mật khẩu"]).output();
        assert!(made.unwrap().status.success());
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &at("key.pem"), "-out", &at("cert.pem")])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"])
            .output();
        assert!(made.unwrap().status.success());
        let (open, closed, sealed) = (free_port(), free_port(), free_port());
        let (cert, key) = (at("cert.pem"), at("key.pem"));
        let user = if is_root() { "user root\n" } else { "" };
        let conf = format!(
            "{user}per_listener_settings true\nlistener {open} 127.0.0.1\nallow_anonymous true\n\
             listener {closed} 127.0.0.1\nallow_anonymous false\npassword_file {}\n\
             listener {sealed} 127.0.0.1\nallow_anonymous true\ncertfile {cert}\nkeyfile {key}\n{}\n",
            at("passwords"),
            settings.replace("CERT", &cert).replace("KEY", &key),
        );
        std::fs::write(folder.path().join("mosquitto.conf"), conf).unwrap();
        let broker = Self { program, folder, open, closed, sealed, running: Mutex::default() };
        broker.go().await;
        broker
    }

    pub async fn go(&self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf")).stderr(std::process::Stdio::null());
        *self.running.lock().unwrap() = Some(Process::start(command));
        for port in [self.open, self.closed, self.sealed] {
            ready(port).await;
        }
    }

    pub fn kill(&self) {
        self.running.lock().unwrap().take();
    }

    /// What its certificate is known by.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Sends messages, each `(topic, payload, retained)`, and waits until the broker has them.
    pub async fn send(&self, messages: &[(String, Vec<u8>, bool)]) {
        let mut options = MqttOptions::new(format!("station{}", free_port()), "127.0.0.1", self.open);
        options.set_max_packet_size(32 << 20, 32 << 20).set_keep_alive(Duration::from_secs(60));
        let (client, mut events) = AsyncClient::new(options, messages.len() + 1);
        for (topic, payload, retained) in messages {
            client.publish(topic, QoS::AtLeastOnce, *retained, payload.clone()).await.unwrap();
        }
        let mut left = messages.len();
        while left > 0 {
            if let rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)) = events.poll().await.unwrap() {
                left -= 1;
            }
        }
    }
}

/// The messages that keep the features of a GeoJSON text under `collections/NAME/items`, the manifest last.
pub fn kept(name: &str, geojson: &str) -> Vec<(String, Vec<u8>, bool)> {
    // As they stand there: what parses and writes them anew puts their fields into another order.
    let all: HashMap<String, Box<RawValue>> = serde_json::from_str(geojson).unwrap();
    let features: Vec<Box<RawValue>> = serde_json::from_str(all["features"].get()).unwrap();
    let base = format!("collections/{name}/items");
    let message = |feature: &RawValue| {
        let id = &serde_json::from_str::<serde_json::Value>(feature.get()).unwrap()["id"];
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        (format!("{base}/{id}"), feature.get().as_bytes().to_vec(), true)
    };
    let mut messages: Vec<_> = features.iter().map(Box::as_ref).map(message).collect();
    messages.push((base, manifest(features.len()), true));
    messages
}

pub fn manifest(features: usize) -> Vec<u8> {
    let head = serde_json::json!({
        "type": "FeatureCollection", "numberMatched": features, "numberReturned": 0,
        "timeStamp": "2026-11-01T00:00:00Z", "features": [],
    });
    head.to_string().into_bytes()
}
