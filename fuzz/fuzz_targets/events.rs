//! The stream of events of a data centre.
#![no_main]

use fuzz::server::{Server, names_host};
use libfuzzer_sys::fuzz_target;
use sources::{ServerEvent, events};

thread_local!(static SERVER: Server = Server::default());

fuzz_target!(|bytes: &[u8]| SERVER.with(|server| {
    let bytes = [b"\x01content-type: text/event-stream\n", bytes].concat();
    let mut last = None;
    let mut sink = |event: ServerEvent| {
        assert!(!matches!(event, ServerEvent::Observation(one) if !one.value.is_finite()));
    };
    // The stream always ends: with what, it says.
    let ended = server.run(&bytes, events::listen(&server.client, &server.root, &mut last, &mut sink));
    names_host(&ended);
}));
