//! A SensorThings server: present values, streams and history; its answers are the input's pieces.
#![no_main]

use fuzz::server::{Server, names_host};
use libfuzzer_sys::fuzz_target;
use model::{LayerId, Timestamp};
use sources::sensorthings::{Series, history, latest, streams};

thread_local!(static SERVER: Server = Server::default());

fuzz_target!(|bytes: &[u8]| {
    let layer = LayerId::new("air").unwrap();
    let (from, to) = (Timestamp::from_second(1_700_000_000).unwrap(), Timestamp::from_second(1_800_000_000).unwrap());
    let series = Series::Feature { layer: layer.clone(), feature: "kk-1".into() };
    SERVER.with(|server| {
        let (client, root) = (&server.client, &server.root);
        for outcome in [
            server.run(bytes, latest(client, root, None)).map(|found| found.observations),
            server.run(bytes, history(client, root, &series, from, to)).map(|found| found.observations),
        ] {
            match outcome {
                Ok(observations) => assert!(observations.iter().all(|one| one.value.is_finite())),
                Err(error) => names_host(&error),
            }
        }
        if let Err(error) = server.run(bytes, streams(client, root, &layer)) {
            names_host(&error);
        }
    });
});
