//! What is neither a file of features nor a page of a service, with its bytes changed: event streams, a broker's packets,
//! coordinate systems, text of earlier days, and the geometry codec.
#![allow(clippy::unwrap_used)]

mod common;

use common::mutate::{in_round, judged, mutated};
use common::server::{answer, serve};
use common::{Folder, PROVINCE, peak_mb, read_with};
use geo_types::{Geometry, GeometryCollection, Point, polygon};
use model::LayerId;
use sources::mqtt::Message;
use sources::sensorthings::streams;
use sources::{Client, ReadOptions, ServerEvent, TextEncoding, Url, events, mqtt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ROUNDS: u64 = 200;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn event_streams() {
    let good = "\u{feff}: hello\r\nid: 7\r\nevent: observation\r\ndata: {\"layer\":\"air\",\"feature\":\"a1\",\r\ndata: \"parameter\":\"pm25\",\"time\":\"2026-11-23T14:00:00Z\",\"result\":41.5,\"status\":\"01\"}\r\n\r\nevent: heartbeat\ndata: {\"clock\":\"2026-11-23T14:00:01Z\"}\n\nevent: layer\rdata: {\"layer\":\"communes\",\"etag\":\"x\"}\r\r";
    let runtime = runtime();
    let round = Arc::new(AtomicU64::new(0));
    let now = round.clone();
    let (root, _) = runtime.block_on(serve(move |_| {
        let mut state = now.load(Ordering::Relaxed);
        let body = if state == 0 { good.as_bytes().to_vec() } else { mutated(good.as_bytes(), &mut state) };
        answer("200 OK", "Content-Type: text/event-stream\r\n", body)
    }));
    let client = Client::default();
    let mut heard = Vec::new();
    for n in 0..2 * ROUNDS {
        round.store(n, Ordering::Relaxed);
        let mut now = 0;
        let ended = in_round("events", n, || {
            let sink = |event: ServerEvent| {
                assert!(!matches!(event, ServerEvent::Observation(one) if !one.value.is_finite()));
                now += 1;
            };
            runtime.block_on(events::listen(&client, &root, &mut None, sink))
        });
        assert!(ended.to_string().contains("127.0.0.1"), "round {n}: {ended}");
        heard.push(now);
    }
    assert_eq!(heard[0], 3);
    assert!(heard.contains(&0) && heard[1..].contains(&3), "{heard:?}");
}

#[test]
fn messages_and_packets_of_a_broker() {
    let runtime = runtime();
    let things = r#"{"value":[{"@iot.id":1,"properties":{"layer":"air","feature":"kk-1"},"Datastreams":[{"@iot.id":7,"properties":{"parameter":"pm25"}}]}]}"#;
    let (root, _) = runtime.block_on(serve(move |_| answer("200 OK", "", things)));
    let known = runtime.block_on(streams(&Client::default(), &root, &LayerId::new("air").unwrap())).unwrap();
    let topic = b"v1.1/Datastreams(7)/Observations";
    let good = br#"{"phenomenonTime":"2026-11-28T01:00:00Z","result":"27.5","parameters":{"status":"01"}}"#;
    let packet = |payload: &[u8]| {
        let len = u16::try_from(4 + topic.len() + payload.len()).unwrap();
        // A length of two bytes, seven bits each.
        let lengths = [u8::try_from(len & 127).unwrap() | 128, u8::try_from(len >> 7).unwrap()];
        // At least once: it is acknowledged.
        [&[0x32][..], &lengths, &[0, u8::try_from(topic.len()).unwrap()], topic, &[0, 9], payload].concat()
    };
    let (mut observed, mut unusable) = (0, 0);
    for n in 0..ROUNDS {
        let mut state = n;
        let sent = match n % 4 {
            0 if n == 0 => packet(good),
            // The packets themselves, which is rumqttc's to survive.
            0 => mutated(&packet(good), &mut state),
            _ => packet(&mutated(good, &mut state)),
        };
        let ended = in_round("mqtt", n, || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url: Url = format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap();
                let broker = tokio::spawn(async move {
                    let (mut socket, _) = listener.accept().await.unwrap();
                    let mut asked = [0; 1024];
                    for reply in [&[0x20, 2, 0, 0][..], &[0x90, 3, 0, 1, 1]] {
                        if socket.read(&mut asked).await.unwrap_or(0) > 0 {
                            let _ = socket.write_all(reply).await;
                        }
                    }
                    let _ = socket.write_all(&sent).await;
                    // What has come is lost to the other side when the line ends too soon.
                    let _ = tokio::time::timeout(Duration::from_millis(100), socket.read(&mut asked)).await;
                    let _ = socket.shutdown().await;
                });
                let sink = |message: Message| match message {
                    Message::Observation { observation, .. } => {
                        assert!(observation.value.is_finite());
                        observed += 1;
                    }
                    Message::Unusable { .. } => unusable += 1,
                    Message::Alive => {}
                };
                let ended = mqtt::listen(&Client::default(), &url, None, "a", &known, sink).await;
                broker.abort();
                ended
            })
        });
        assert!(ended.to_string().contains("127.0.0.1"), "round {n}: {ended}");
        assert!(n > 0 || observed == 1);
    }
    assert!(observed > 1 && unusable > 0, "{observed} observed, {unusable} unusable");
}

#[test]
fn coordinate_systems() {
    let folder = Folder::new();
    let text = br#"PROJCS["VN-2000 / TM-3 105-30",GEOGCS["VN-2000",DATUM["Vietnam_2000",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",105.5],PARAMETER["scale_factor",0.9999],PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1]]"#;
    let mut shape = [&[0, 0, 0x27, 0x0a][..], &[0; 20], &64u32.to_be_bytes(), &1000u32.to_le_bytes()].concat();
    shape.extend(1u32.to_le_bytes());
    shape.resize(100, 0);
    shape.extend([1u32.to_be_bytes(), 10u32.to_be_bytes(), 1u32.to_le_bytes()].concat());
    shape.extend([568_469.126_f64.to_le_bytes(), 1_250_153.911_f64.to_le_bytes()].concat());
    let path = folder.put("a.shp", shape);
    let (mut known, mut refused) = (0, 0);
    for n in 0..2 * ROUNDS {
        let mut state = n;
        folder.put("a.prj", if n == 0 { text.to_vec() } else { mutated(text, &mut state) });
        in_round("prj", n, || {
            let read = read_with(&path, &ReadOptions::new(PROVINCE));
            let is_grid = read.as_ref().is_ok_and(|(summary, _)| summary.crs == 9209);
            assert!(n > 0 || is_grid);
            *if is_grid { &mut known } else { &mut refused } += 1;
            judged("a.shp", n, read);
        });
    }
    assert!(known > 1 && refused > 1, "{known} known, {refused} refused");
}

#[test]
fn text_of_earlier_days() {
    let folder = Folder::new();
    for (name, word) in [
        ("TCVN3", &b"B\xd5n L\xf8c, \xa7\xf8c H\xdfa, T\xa9y Ninh"[..]),
        ("VNI", b"Be\xe1n L\xf6\xf9c, \xd1\xf6\xf9c Ho\xf8a, Ta\xe2y Ninh"),
        ("windows-1258", b"Be\xea\xecn L\xfd\xecc, \xd0\xfd\xecc Ho\xcca, T\xe2y Ninh"),
    ] {
        for n in 0..ROUNDS {
            let mut state = n;
            let text: Vec<u8> = mutated(word, &mut state).into_iter().filter(|byte| *byte != b'"').collect();
            let table = [b"ma,ten,lon,lat\n1,\"", &text[..], b"\",106.25,11.25\n"].concat();
            let path = folder.put("a.csv", table);
            // Guessed, and said.
            for encoding in [None, TextEncoding::by_name(name)] {
                let options = ReadOptions { encoding, ..ReadOptions::new(PROVINCE) };
                in_round(name, n, || judged("a.csv", n, read_with(&path, &options)));
            }
        }
    }
}

#[test]
fn geometries_in_binary() {
    let area = polygon!(
        exterior: [(x: 106.0, y: 11.0), (x: 106.1, y: 11.0), (x: 106.1, y: 11.1), (x: 106.0, y: 11.0)],
        interiors: [[(x: 106.06, y: 11.01), (x: 106.08, y: 11.01), (x: 106.08, y: 11.03), (x: 106.06, y: 11.01)]]
    );
    let all = Geometry::GeometryCollection(GeometryCollection(vec![Point::new(106.1, 11.1).into(), area.into()]));
    let (plain, blob) = (model::to_wkb(&all).unwrap(), model::to_gpkg_blob(&all, 4326).unwrap());
    let mut read = [0, 0];
    for n in 0..20 * ROUNDS {
        let mut state = n;
        in_round("wkb", n, || {
            if let Ok(geometry) = model::from_wkb(&mutated(&plain, &mut state)) {
                read[0] += 1;
                let written = model::to_wkb(&geometry).unwrap();
                let again = model::to_wkb(&model::from_wkb(&written).unwrap()).unwrap();
                let mut numbers = true;
                model::visit_coords(&geometry, &mut |c| numbers &= !c.x.is_nan() && !c.y.is_nan());
                // A ring whose ends are no numbers is closed once more each time; readers refuse it later.
                assert!(again == written || !numbers, "round {n}");
            }
            read[1] += u64::from(model::from_gpkg_blob(&mutated(&blob, &mut state)).is_ok());
        });
    }
    assert!(read.iter().all(|count| (1..20 * ROUNDS).contains(count)), "{read:?}");
    assert!(peak_mb() <= 512, "{} MB", peak_mb());
}
