//! Base maps as a window meets them: added by a pasted address, chosen, fetched beforehand, and there without a network.

#![allow(clippy::unwrap_used)]

use desk::{Desk, Kind, Options, Role, SetTile, Timestamp, call};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and the rest";

async fn act(desk: &Arc<Desk>, name: &str, args: Value) -> Result<Value, desk::api::Failure> {
    let args: Box<RawValue> = to_raw_value(&args).unwrap();
    call(desk, Kind::Act, name, &args).await.map(|answer| serde_json::from_str(answer.get()).unwrap())
}

async fn basemap(desk: &Arc<Desk>, id: &str) -> Value {
    let args: Box<RawValue> = to_raw_value(&json!({})).unwrap();
    let all: Value = serde_json::from_str(call(desk, Kind::Ask, "basemaps", &args).await.unwrap().get()).unwrap();
    all.as_array().unwrap().iter().find(|one| one["id"] == id).cloned().unwrap_or_default()
}

/// A clock that the test sets on.
fn clock() -> (Arc<AtomicI64>, desk::Clock) {
    let ahead = Arc::new(AtomicI64::new(0));
    let read = ahead.clone();
    let now = move || Timestamp::from_second(Timestamp::now().as_second() + read.load(Ordering::Relaxed)).unwrap();
    (ahead, Arc::new(now))
}

fn open(home: &Path, clock: desk::Clock) -> Arc<Desk> {
    let options = Options { role: Some(Role::Administrator), clock, pictures: Some(Vec::new()), ..Options::at(home) };
    let (desk, notices) = Desk::open(options).unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    desk
}

/// A server of tiles that can be switched off, and tells what it was asked.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
    /// What it answers in place of tiles.
    instead: Arc<Mutex<Option<&'static str>>>,
    running: JoinHandle<()>,
}

impl Server {
    async fn start(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, instead) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let (count, other) = (asked.clone(), instead.clone());
        let running = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (count, other) = (count.clone(), other.clone());
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        match socket.read_u8().await {
                            Ok(byte) => request.push(byte),
                            Err(_) => return,
                        }
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                    let known = text.contains("if-none-match: \"1\"");
                    let other: Option<&'static str> = *other.lock().unwrap();
                    let (head, body): (&str, &[u8]) = match other {
                        Some(words) => ("200 OK", words.as_bytes()),
                        None if known => ("304 Not Modified", b""),
                        None => ("200 OK", PNG),
                    };
                    let head = format!(
                        "HTTP/1.1 {head}\r\nETag: \"1\"\r\nCache-Control: max-age=3600\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = socket.write_all(&[head.as_bytes(), body].concat()).await;
                    let _ = socket.shutdown().await;
                });
            }
        });
        Self { port, asked, instead, running }
    }

    fn template(&self) -> String {
        format!("http://127.0.0.1:{}/{{z}}/{{x}}/{{y}}.png", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn stop(self) -> u16 {
        self.running.abort();
        let _ = self.running.await;
        self.port
    }
}

/// When a tile was fetched; a panic for one that is not there.
fn shown(tile: SetTile) -> Timestamp {
    match tile {
        SetTile::Tile { bytes, fetched_at: Some(at), .. } => {
            assert_eq!(bytes, PNG);
            at
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiles_that_were_seen_are_there_when_the_network_is_gone_and_their_age_is_known() {
    let home = tempfile::tempdir().unwrap();
    let (ahead, clock) = clock();
    let desk = open(home.path(), clock.clone());
    let server = Server::start(0).await;
    let added = act(&desk, "add_basemap", json!({"url": server.template(), "title": "Nền của Sở"})).await.unwrap();
    assert_eq!(
        (&added["id"], &added["protocol"], &added["added"]),
        (&json!("nen_cua_so"), &json!("xyz"), &json!(true))
    );
    let settings = act(&desk, "choose_basemap", json!({"basemap": "nen_cua_so"})).await.unwrap();
    assert_eq!(settings["basemap"], "nen_cua_so");
    let before = server.asked();
    let seen = shown(desk.basemap_tile("nen_cua_so", 11, 1627, 960).await);
    shown(desk.basemap_tile("nen_cua_so", 11, 1627, 960).await);
    assert_eq!(server.asked() - before, 1, "a fresh tile is not asked for again");
    // Later it is asked for by its ETag, and is still the newest.
    ahead.fetch_add(7_200, Ordering::Relaxed);
    assert!(shown(desk.basemap_tile("nen_cua_so", 11, 1627, 960).await) > seen);
    assert_eq!(basemap(&desk, "nen_cua_so").await["state"]["status"], "ok");
    let kept = basemap(&desk, "nen_cua_so").await["kept"].clone();
    assert_eq!((&kept["tiles"], &kept["preloaded"]), (&json!(1), &json!(0)));

    // The network goes; a day later the desk starts anew.
    let port = server.stop().await;
    drop(desk);
    ahead.fetch_add(86_400, Ordering::Relaxed);
    let desk = open(home.path(), clock);
    assert_eq!(desk.settings().basemap.as_deref(), Some("nen_cua_so"));
    let begun = Instant::now();
    let old = shown(desk.basemap_tile("nen_cua_so", 11, 1627, 960).await);
    assert!(desk.now().as_second() - old.as_second() > 80_000, "it is as old as it is");
    assert_eq!(desk.basemap_tile("nen_cua_so", 11, 1628, 960).await, SetTile::Missing);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let state = basemap(&desk, "nen_cua_so").await["state"].clone();
    assert_eq!(state["status"], "offline");
    assert!(state["error"].as_str().unwrap().contains("127.0.0.1") && state["oldest_shown"].is_string(), "{state}");
    // It can be chosen all the same.
    act(&desk, "choose_basemap", json!({"basemap": null})).await.unwrap();
    act(&desk, "choose_basemap", json!({"basemap": "nen_cua_so"})).await.unwrap();

    // It comes back.
    let _server = Server::start(port).await;
    let begun = Instant::now();
    ahead.fetch_add(60, Ordering::Relaxed);
    while shown(desk.basemap_tile("nen_cua_so", 11, 1627, 960).await) == old {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", basemap(&desk, "nen_cua_so").await["state"]);
        ahead.fetch_add(30, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(basemap(&desk, "nen_cua_so").await["state"]["status"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_area_is_counted_fetched_and_kept_and_a_second_time_costs_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (_, clock) = clock();
    let desk = open(home.path(), clock);
    let server = Server::start(0).await;
    let id = act(&desk, "add_basemap", json!({"url": server.template(), "title": "Nền"})).await.unwrap()["id"].clone();
    let area = |count_only: bool, max_zoom: u8| json!({"basemap": id, "bbox": [106.0, 11.0, 106.2, 11.2], "min_zoom": 8, "max_zoom": max_zoom, "count_only": count_only});
    let before = server.asked();
    let plan = act(&desk, "preload_basemap", area(true, 12)).await.unwrap();
    let tiles = plan["tiles"].as_u64().unwrap();
    assert!(tiles > 10 && tiles < 60 && plan["bytes"].as_u64().unwrap() > 0, "{plan}");
    assert_eq!(server.asked(), before, "counting asks nobody");
    act(&desk, "preload_basemap", area(false, 12)).await.unwrap();
    let begun = Instant::now();
    loop {
        let now = basemap(&desk, "nen").await;
        if now["areas"].as_array().unwrap().len() == 1 {
            assert_eq!(now["kept"]["preloaded"].as_u64().unwrap(), tiles);
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{now}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((server.asked() - before) as u64, tiles);
    let args = desk::PreloadBasemapArgs {
        basemap: "nen".into(),
        bbox: Some([106.0, 11.0, 106.2, 11.2].into()),
        min_zoom: 8,
        max_zoom: 12,
        count_only: false,
    };
    let again = desk.preload(&args, &mut |_, _| true).await.unwrap();
    assert_eq!((again.held, again.fetched, again.failed), (tiles, 0, 0));
    let stopped = desk.preload(&args, &mut |done, _| done < 3).await.unwrap();
    assert!(stopped.cancelled);
    assert_eq!(
        act(
            &desk,
            "preload_basemap",
            json!({"basemap": "nen", "bbox": null, "min_zoom": 0, "max_zoom": 19, "count_only": true})
        )
        .await
        .unwrap_err()
        .code,
        "preload_too_large"
    );
    act(&desk, "clear_basemap", json!({"basemap": "nen"})).await.unwrap();
    let cleared = basemap(&desk, "nen").await;
    assert_eq!((&cleared["kept"]["tiles"], cleared["areas"].as_array().unwrap().len()), (&json!(0), 0));
    act(&desk, "remove_basemap", json!({"basemap": "nen"})).await.unwrap();
    assert_eq!(basemap(&desk, "nen").await, Value::Null);
    assert_eq!(act(&desk, "choose_basemap", json!({"basemap": "nen"})).await.unwrap_err().code, "no_basemap");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gives_no_tiles_is_not_added_and_a_server_that_lies_is_told_of() {
    let home = tempfile::tempdir().unwrap();
    let (ahead, clock) = clock();
    let desk = open(home.path(), clock);
    let server = Server::start(0).await;
    *server.instead.lock().unwrap() = Some("<html><h1>Hết hạn thuê bao</h1></html>");
    let refused = act(&desk, "add_basemap", json!({"url": server.template()})).await.unwrap_err();
    assert!(refused.code == "malformed" && refused.message.contains("Hết hạn thuê bao"), "{refused:?}");
    assert_eq!(
        act(&desk, "add_basemap", json!({"url": "https://{s}.h/{z}/{x}/{y}"})).await.unwrap_err().code,
        "bad_address"
    );
    assert!(desk.basemap_infos().is_empty());
    assert!(!home.path().join("sources.toml").exists());
    // Added while it was well; then it answers pages: the old tile is shown, and the state says why.
    *server.instead.lock().unwrap() = None;
    act(&desk, "add_basemap", json!({"url": server.template(), "title": "Nền"})).await.unwrap();
    let seen = shown(desk.basemap_tile("nen", 11, 1627, 960).await);
    *server.instead.lock().unwrap() = Some("<html><h1>Hết hạn thuê bao</h1></html>");
    ahead.fetch_add(7_200, Ordering::Relaxed);
    assert_eq!(shown(desk.basemap_tile("nen", 11, 1627, 960).await), seen);
    let state = basemap(&desk, "nen").await["state"].clone();
    assert!(state["status"] == "error" && state["error"].as_str().unwrap().contains("Hết hạn"), "{state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_the_server_repeats_is_not_shown_and_stays_while_a_base_map_names_it() {
    let home = tempfile::tempdir().unwrap();
    Desk::make_home(&Options::at(home.path())).unwrap();
    let server = Server::start(0).await;
    let added = format!(
        "[[basemaps]]\nid = \"ortho\"\ntitle = {{ vi = \"Ảnh\", en = \"Photos\" }}\nprotocol = \"xyz\"\nurl = \"{}\"\n\
         credentials = {{ kind = \"bearer\", secret = \"maps\" }}\n",
        server.template()
    );
    std::fs::write(home.path().join("sources.toml"), added).unwrap();
    let desk = open(home.path(), clock().1);
    act(&desk, "keep_secret", json!({"name": "maps", "value": "bi-mat-nay", "in_file": true})).await.unwrap();
    shown(desk.basemap_tile("ortho", 11, 1627, 960).await);
    *server.instead.lock().unwrap() = Some(
        "<ServiceExceptionReport><ServiceException>bi-mat-nay has expired</ServiceException></ServiceExceptionReport>",
    );
    assert_eq!(desk.basemap_tile("ortho", 11, 1628, 960).await, SetTile::Missing);
    let state = basemap(&desk, "ortho").await["state"].to_string();
    assert!(state.contains("has expired") && !state.contains("bi-mat-nay"), "{state}");
    // A source that wants the same secret goes; the map still wants it.
    act(&desk, "forget_secret", json!({"name": "maps"})).await.unwrap();
    *server.instead.lock().unwrap() = None;
    shown(desk.basemap_tile("ortho", 11, 1629, 960).await);
}
