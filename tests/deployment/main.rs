//! The deployment of `docs/data-centre/` for real: PostGIS, pygeoapi, Martin and mosquitto from the guide's own files, and a
//! desk whose sources are the guide's too.

#![allow(clippy::unwrap_used)]

mod centre;
#[path = "../../src-tauri/crates/sources/tests/foreign/cluster.rs"]
#[allow(dead_code)]
mod cluster;
#[path = "../../src-tauri/crates/sources/tests/foreign/process.rs"]
mod process;
mod stand_in;

use centre::{Centre, FIRST, NUMBERS, PASSWORD, SHEETS, STEP, changed, guide};
use desk::{Desk, LayerId, Options, QueryArgs, Role, TileAnswer};
use model::{Freshness, Timestamp};
use practice::Practice;
use process::{free_port, program};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const STATION: &str = "level-dau-tieng";

/// A home with the guide's sources, its secrets in the private file.
fn home(centre: &Centre, sensorthings: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    Desk::make_home(&Options::at(home.path())).unwrap();
    let sources = changed(
        guide("sources.toml"),
        &[
            ("https://data.tayninh.example/ogc", format!("http://127.0.0.1:{}", centre.ports.api)),
            (
                "postgres://db.tayninh.example:5432/tayninh?schema=province",
                format!("postgres://localhost:{}/land?schema=province", centre.cluster.port),
            ),
            ("https://data.tayninh.example/sensorthings/v1.1", sensorthings.to_owned()),
            ("mqtts://data.tayninh.example:8883", format!("mqtt://127.0.0.1:{}", centre.ports.broker)),
            ("https://data.tayninh.example/tiles", format!("http://127.0.0.1:{}/tiles", centre.ports.tiles)),
        ],
    );
    let profile = home.path().join("profile/profile.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    // The stations of the profile are those of the SensorThings service.
    let text = changed(text, &[("live_source = \"stations\"", "live_source = \"province_live\"".into())]);
    std::fs::write(&profile, text + "\n" + &sources).unwrap();
    let secrets = home.path().join("secrets.toml");
    let all = ["data-centre", "land-db", "broker"].map(|name| format!("{name} = \"{PASSWORD}\"\n")).concat();
    std::fs::write(&secrets, all).unwrap();
    std::fs::set_permissions(&secrets, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    home
}

fn layer(id: &str) -> LayerId {
    LayerId::new(id).unwrap()
}

async fn query(desk: &Desk, question: Value) -> Value {
    let args: QueryArgs = serde_json::from_value(question.clone()).unwrap();
    json!(desk.ask_layer(&args).await.unwrap_or_else(|failure| panic!("{question}: {failure:?}")))
}

/// Features by id, without what only one of the doors gives.
async fn communes(desk: &Desk, id: &str) -> Vec<(String, Value, Value)> {
    let answer = query(desk, json!({"layer": id})).await;
    let feature = |feature: &Value| {
        let names = ["name", "full_name", "name_en", "type", "area_km2", "old_province", "vn2000"];
        let properties: Vec<Value> = names.iter().map(|name| feature["properties"][name].clone()).collect();
        (feature["id"].as_str().unwrap().to_owned(), json!(properties), feature["geometry"].clone())
    };
    let mut all: Vec<_> = answer["features"].as_array().unwrap().iter().map(feature).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Microseconds: finer times are not kept.
fn answered_at(answer: &Value) -> i64 {
    let at: Timestamp = answer["timeStamp"].as_str().unwrap().parse().unwrap();
    at.as_microsecond()
}

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

/// Says a value to the broker as one of its users; whether the broker has taken the message.
async fn publish(port: u16, user: &str, password: &str, stream: &str, result: f64) -> bool {
    let mut options = MqttOptions::new(format!("test-{user}"), "127.0.0.1", port);
    options.set_credentials(user, password);
    let (client, mut events) = AsyncClient::new(options, 4);
    let at = Timestamp::now() + jiff::SignedDuration::from_secs(60);
    let json = json!({ "phenomenonTime": at.to_string(), "result": result }).to_string();
    let topic = format!("v1.1/Datastreams({stream})/Observations");
    client.publish(topic, QoS::AtLeastOnce, false, json).await.unwrap();
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::PubAck(_))) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

fn level(desk: &Desk) -> Option<f64> {
    let all = desk.live_states();
    let layer = all.iter().find(|states| states.layer.as_str() == "water_level_stations")?;
    layer.states.iter().find(|state| state.id == STATION)?.value
}

async fn comes(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The tile of a place.
fn tile_at(z: u8, [lon, lat]: [f64; 2]) -> (u8, u32, u32) {
    let n = f64::from(1_u32 << z);
    let y = (1.0 - lat.to_radians().tan().asinh() / std::f64::consts::PI) / 2.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (z, ((lon + 180.0) / 360.0 * n) as u32, (y * n) as u32)
}

async fn tile(desk: &Arc<Desk>, (z, x, y): (u8, u32, u32)) -> Option<Vec<u8>> {
    match desk.tile_of(&layer("parcels"), z, x, y).await.unwrap() {
        TileAnswer::Tile(bytes) => Some(bytes.to_vec()),
        TileAnswer::Empty | TileAnswer::Cancelled => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_s_data_centre_serves_a_desk_and_its_last_word_stays_when_it_is_gone() {
    let Some(mut centre) = Centre::new() else { return };
    centre.start().await;
    let practice_home = tempfile::tempdir().unwrap();
    Desk::make_home(&Options::at(practice_home.path())).unwrap();
    let options = practice::Options { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    // No part of the deployment: it stands in for the province's SensorThings service.
    let measuring = Practice::start(&practice_home.path().join("profile"), options).await.unwrap();
    let home = home(&centre, &format!("{}/sensorthings/v1.1", measuring.base_url()));
    let open = || {
        let (desk, notices) =
            Desk::open(Options { role: Some(Role::Administrator), ..Options::at(home.path()) }).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        desk
    };
    let desk = open();
    let info = |desk: &Desk, id: &str| desk.layer_infos().into_iter().find(|info| info.id.as_str() == id).unwrap();

    // The same communes by both doors.
    for source in ["province_api", "province_db"] {
        desk.sync_once(Some(source)).await.unwrap_or_else(|failure| panic!("{source}: {failure:?}"));
    }
    let by_api = communes(&desk, "communes_api").await;
    assert_eq!(by_api.len(), 96);
    assert_eq!(by_api, communes(&desk, "communes_db").await);

    // Live values over the broker: who may speak is heard, who may only listen is not.
    let stream = stream_of(&measuring).await;
    let syncing = desk.start_syncing();
    comes("a value by polling", Duration::from_secs(30), || level(&desk).is_some()).await;
    assert!(!publish(centre.ports.broker, "toancanh", "wrong", &stream, 1.0).await, "a wrong password");
    let mut tries = 0;
    while level(&desk) != Some(7.77) {
        tries += 1;
        assert!(tries < 60, "nobody listens to the broker: {:?}", desk.sources_info());
        publish(centre.ports.broker, "toancanh", PASSWORD, &stream, 6.66).await;
        assert!(publish(centre.ports.broker, "sensorthings", PASSWORD, &stream, 7.77).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_ne!(level(&desk), Some(6.66), "the list of rights lets a listener speak");
    }

    // What is too large for a desk: counted, asked, drawn where it lies.
    let parcels = info(&desk, "parcels");
    assert_eq!(parcels.features, (SHEETS * NUMBERS) as u64);
    assert!(parcels.remote.as_ref().is_some_and(|remote| remote.filters), "{:?}", parcels.remote);
    let [west, south] = [FIRST[0] + 10.5 * STEP, FIRST[1] + 20.5 * STEP];
    let bbox = [west, south, west + 10.0 * STEP, south + 10.0 * STEP];
    let where_ = "land_use IN ('ODT', 'TMD') AND NOT (sheet < 25 OR number = 15)";
    let inside = query(&desk, json!({"layer": "parcels", "bbox": bbox, "filter": where_})).await;
    let counted = centre.cluster.sql(
        "land",
        &format!(
            "SELECT count(*) FROM province.parcels WHERE geom && ST_MakeEnvelope({}, {}, {}, {}, 4326) AND {where_};",
            bbox[0], bbox[1], bbox[2], bbox[3]
        ),
    );
    assert_eq!(inside["numberMatched"].to_string(), counted);
    assert!(inside["numberMatched"].as_u64().unwrap() > 10 && inside.get("offline").is_none(), "{inside}");
    // Too many for a desk, few enough by their filter: the service filters.
    let sheet = query(&desk, json!({"layer": "parcels", "filter": "sheet = 77 AND land_use LIKE 'C%'"})).await;
    assert_eq!(sheet["numberMatched"], 25);
    let too_many = desk.ask_layer(&serde_json::from_value(json!({"layer": "parcels"})).unwrap()).await.unwrap_err();
    assert_eq!(too_many.code, "remote_too_many");
    let near = query(&desk, json!({"layer": "parcels", "near": [west, south], "nearest": 3})).await;
    assert_eq!(near["numberReturned"], 3);
    let one = query(&desk, json!({"layer": "parcels", "filter": "id = 'P-30-40'"})).await;
    assert_eq!(one["features"][0]["properties"]["number"], 40);
    let place = tile_at(16, [west, south]);
    let drawn = tile(&desk, place).await.expect("a tile of the parcels");
    assert!(["parcels", "parcels:labels", "land_use", "P-20-10"].iter().all(|word| holds(&drawn, word)));
    assert!(!holds(&drawn, "commune"), "what the layer does not label is not carried");

    // The line is cut.
    syncing.stop();
    centre.stop();
    let later = open();
    for desk in [&desk, &later] {
        let kept = query(desk, json!({"layer": "parcels", "bbox": bbox, "filter": where_})).await;
        assert_eq!((&kept["features"], &kept["offline"]), (&inside["features"], &json!(true)));
        assert_eq!(answered_at(&kept), answered_at(&inside), "the answer has its own time");
        assert_eq!(tile(desk, place).await.as_ref(), Some(&drawn), "the last tile stays");
        desk.give_up_links();
        let parcels = info(desk, "parcels");
        assert_eq!((parcels.features, parcels.freshness), ((SHEETS * NUMBERS) as u64, Freshness::Offline));
        assert_eq!(communes(desk, "communes_db").await, by_api);
    }
    assert_eq!(level(&later), Some(7.77), "with the time it was measured at");

    // And comes again.
    centre.cluster.go();
    centre.start().await;
    centre.cluster.sql("land", "UPDATE province.parcels SET land_use = 'DGT' WHERE id = 'P-30-40';");
    let fresh = query(&later, json!({"layer": "parcels", "filter": "id = 'P-30-40'"})).await;
    assert_eq!((&fresh["features"][0]["properties"]["land_use"], fresh.get("offline")), (&json!("DGT"), None));
    later.sync_once(Some("province_api")).await.unwrap();
    assert_eq!(info(&later, "parcels").freshness, Freshness::Fresh);
    measuring.stop().await;
    centre.stop();
}

#[test]
fn nginx_reads_the_guide_s_file() {
    if std::env::var_os("TOANCANH_FULL").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (at("privkey.pem"), at("fullchain.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &certificate]);
    assert!(openssl.args(["-subj", "/CN=localhost", "-days", "2"]).output().unwrap().status.success());
    std::fs::write(at("htpasswd"), "toancanh:$apr1$x$y\n").unwrap();
    let server = changed(
        guide("nginx.conf"),
        &[
            ("listen 443 ssl", format!("listen 127.0.0.1:{} ssl", free_port())),
            ("/etc/nginx/certs/fullchain.pem", certificate),
            ("/etc/nginx/certs/privkey.pem", key),
            ("/etc/nginx/htpasswd", at("htpasswd")),
        ],
    );
    let here = folder.path().display();
    let conf = format!("pid {here}/pid; error_log {here}/error.log; events {{}} http {{ access_log off; {server} }}");
    std::fs::write(at("nginx.conf"), conf).unwrap();
    let nginx = program("nginx", &["/usr/sbin/nginx"]);
    let checked = Command::new(nginx).args(["-t", "-q", "-p", &at(""), "-c", &at("nginx.conf")]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
