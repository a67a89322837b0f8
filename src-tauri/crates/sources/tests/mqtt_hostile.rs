//! Brokers that no standard knows, played by the test byte by byte: what they send costs an error with a code, or nothing.
#![allow(clippy::unwrap_used)]

mod common;

use common::{features, point, wanted};
use model::Protocol;
use sources::{Client, ClientOptions, FetchError, Fetched, Url, recognise, service};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn quick() -> Client {
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(2),
        answer_timeout: Duration::from_secs(6),
        collection_limit_bytes: 8 << 20,
        ..ClientOptions::default()
    };
    Client::with(options)
}

async fn ask(url: &Url) -> Result<Fetched, FetchError> {
    service(Protocol::Mqtt).unwrap().fetch(&quick(), wanted(url, "c", Path::new("/proc/nowhere")), &mut |_, _| {}).await
}

/// A PUBLISH packet at most once.
fn publish(topic: &str, payload: &[u8], retain: bool) -> Vec<u8> {
    let mut packet = vec![0x30 | u8::from(retain)];
    let mut left = 2 + topic.len() + payload.len();
    while left >= 128 {
        packet.push((left % 128) as u8 | 0x80);
        left /= 128;
    }
    packet.push(left as u8);
    packet.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn feature(nth: usize) -> Vec<u8> {
    publish(&format!("collections/c/items/{nth}"), point(&nth.to_string(), 106.1, 11.1).as_bytes(), true)
}

/// Reads one packet: its first byte and what follows the length.
async fn packet(line: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = line.read_u8().await.ok()?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = line.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut rest = vec![0; length];
    line.read_exact(&mut rest).await.ok()?;
    Some((kind, rest))
}

/// A broker that lets everybody in, answers every question, and says after the first one what `say` gives it to, piece by piece,
/// for as long as there is some.
async fn broker(say: impl Fn(usize) -> Option<Vec<u8>> + Send + Sync + Copy + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut line, _)) = listener.accept().await {
            tokio::spawn(async move {
                packet(&mut line).await?;
                line.write_all(&[0x20, 2, 0, 0]).await.ok()?;
                let (_, subscribe) = packet(&mut line).await?;
                line.write_all(&[0x90, 4, subscribe[0], subscribe[1], 1, 1]).await.ok()?;
                let (mut from, mut to) = line.into_split();
                let saying = tokio::spawn(async move {
                    for nth in 0.. {
                        let Some(bytes) = say(nth) else { return to };
                        if to.write_all(&bytes).await.is_err() {
                            return to;
                        }
                        tokio::task::yield_now().await;
                    }
                    to
                });
                let mut to = saying.await.ok()?;
                let mut room = [0; 64];
                while let Ok(read @ 1..) = from.read(&mut room).await {
                    match room[0] {
                        0x82 => to.write_all(&[0x90, 3, room[2], room[3], 0]).await.ok()?,
                        0xc0 => to.write_all(&[0xd0, 0]).await.ok()?,
                        _ => assert!(read > 0),
                    }
                }
                Some(())
            });
        }
    });
    url
}

#[tokio::test]
async fn messages_without_end_are_ended() {
    // Kept, each on a topic of its own: the size ends it.
    let url = broker(|nth| Some(feature(nth))).await;
    let began = Instant::now();
    let error = ask(&url).await.unwrap_err();
    assert!(error.code() == "too_large" && error.to_string().contains("8388608"), "{error}");
    // News of one topic, faster than they can be taken in, and never an answer: size or time ends it.
    let news = publish("collections/c/items/1", point("1", 106.1, 11.1).as_bytes(), false);
    let many = news.repeat(50).leak();
    let url = broker(|_| Some(many.to_vec())).await;
    let error = ask(&url).await.unwrap_err();
    assert!(["too_large", "timeout"].contains(&error.code()), "{error}");
    // Drop by drop: the time, or that no question is answered.
    let url = broker(move |nth| {
        std::thread::sleep(Duration::from_millis(2));
        Some(feature(nth % 3))
    })
    .await;
    let error = ask(&url).await.unwrap_err();
    assert!(["silent", "timeout"].contains(&error.code()), "{error}");
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    // A look takes no longer than it may.
    let url = broker(|nth| Some(feature(nth))).await;
    let found = recognise(&quick(), url.as_str()).await.unwrap();
    assert_eq!((found.offers.len(), found.offers[0].features), (1, None));
}

#[tokio::test]
async fn what_comes_in_another_order_is_taken_for_what_it_is() {
    let topic = "collections/c/items/1";
    let url = broker(move |nth| {
        Some(match nth {
            // News overtakes what was kept, and so does an end.
            0 => publish(topic, point("1", 106.5, 11.5).as_bytes(), false),
            1 => publish(topic, point("1", 106.1, 11.1).as_bytes(), true),
            2 => publish("collections/c/items/2", b"", false),
            3 => publish("collections/c/items/2", point("2", 106.2, 11.2).as_bytes(), true),
            4 | 5 => feature(3),
            6 => publish("collections/c/items/4", point("4", 106.4, 11.4).as_bytes(), false),
            _ => return None,
        })
    })
    .await;
    let got = features(ask(&url).await);
    let seen: Vec<(&str, String)> =
        got.features.iter().map(|feature| (&*feature.id, format!("{:?}", feature.geometry))).collect();
    assert_eq!(seen.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["1", "3", "4"]);
    assert!(seen[0].1.contains("106.5"), "{seen:?}");
}

#[tokio::test]
async fn a_packet_larger_than_may_be_is_not_taken_in() {
    // Its length alone: 256 MB are announced, and never come.
    let url = broker(|nth| (nth == 0).then(|| vec![0x31, 0xff, 0xff, 0xff, 0x7f])).await;
    let error = ask(&url).await.unwrap_err();
    assert_eq!(error.code(), "too_large", "{error}");
    // Half of a packet, and then nothing.
    let half = feature(1)[..40].to_vec().leak();
    let url = broker(|nth| (nth == 0).then(|| half.to_vec())).await;
    let began = Instant::now();
    let error = ask(&url).await.unwrap_err();
    assert!(["silent", "malformed", "timeout"].contains(&error.code()), "{error}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn bytes_that_change_never_harm() {
    let whole: Vec<u8> = (0..40).flat_map(feature).collect();
    let mut random = 80_u64;
    let mut below = move |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % bound
    };
    let (mut codes, mut taken) = (std::collections::BTreeMap::new(), 0);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..120 {
        let mut bytes = whole.clone();
        for _ in 0..=below(4) {
            let at = below(bytes.len());
            match below(4) {
                0 => bytes[at] = below(256) as u8,
                1 => drop(bytes.drain(at..bytes.len().min(at + 1 + below(60)))),
                2 => bytes.insert(at, below(256) as u8),
                _ => bytes[at] ^= 1 << below(8),
            }
        }
        let bytes: &'static [u8] = bytes.leak();
        asking.spawn(async move {
            let url = broker(|nth| (nth == 0).then(|| bytes.to_vec())).await;
            ask(&url).await
        });
    }
    // A panic in a task would end the test here.
    for outcome in asking.join_all().await {
        match outcome {
            Ok(Fetched::Features(collection)) => {
                assert!(collection.features.len() <= 41);
                taken += 1;
            }
            Ok(Fetched::NotModified) => panic!("nothing was held"),
            Err(error) => *codes.entry(error.code()).or_insert(0) += 1,
        }
    }
    assert!(taken >= 10 && codes.values().sum::<i32>() >= 10, "{taken} taken, {codes:?}");
}
