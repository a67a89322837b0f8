//! A broker: each of the input's pieces is a message about a datastream, or, where it begins with a zero byte, a packet.
#![no_main]

use fuzz::server::{Server, names_host};
use libfuzzer_sys::fuzz_target;
use model::LayerId;
use sources::mqtt::{Message, listen};
use sources::sensorthings::{Streams, streams};

struct Broker {
    server: Server,
    known: Streams,
}

thread_local!(static BROKER: Broker = {
    let server = Server::default();
    let stream = r#"{"value":[{"@iot.id":1,"properties":{"layer":"air","feature":"kk-1"},"Datastreams":[{"@iot.id":7,"properties":{"parameter":"pm25"}}]}]}"#;
    let layer = LayerId::new("air").unwrap();
    let known = server.run(stream.as_bytes(), streams(&server.client, &server.root, &layer)).unwrap();
    assert!(!known.is_empty());
    Broker { server, known }
});

/// A message on the datastream's topic that wants an acknowledgement.
fn publish(payload: &[u8]) -> Vec<u8> {
    let topic = b"v1.1/Datastreams(7)/Observations";
    let mut out = vec![0x32];
    let mut left = 4 + topic.len() + payload.len();
    loop {
        let more = left > 127;
        out.push((left & 127) as u8 | if more { 128 } else { 0 });
        left >>= 7;
        if !more {
            break;
        }
    }
    out.extend((topic.len() as u16).to_be_bytes());
    [&out[..], topic, &[0, 9], payload].concat()
}

fuzz_target!(|bytes: &[u8]| BROKER.with(|broker| {
    let packets = fuzz::pieces(bytes).into_iter().map(|(_, piece)| match piece.strip_prefix(b"\0") {
        Some(packet) => packet.to_vec(),
        None => publish(piece),
    });
    let packets = packets.collect::<Vec<_>>().concat();
    let ended = broker.server.run_broker(packets, async |url| {
        let sink = |message: Message| {
            assert!(!matches!(message, Message::Observation { observation, .. } if !observation.value.is_finite()));
        };
        listen(&broker.server.client, &url, None, "fuzz", &broker.known, sink).await
    });
    names_host(&ended);
}));
