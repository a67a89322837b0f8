//! A server of OGC API – Features: its answers are the input's pieces.
#![no_main]

use fuzz::server::Server;
use libfuzzer_sys::fuzz_target;
use model::Protocol;

thread_local!(static SERVER: Server = Server::default());

fuzz_target!(|bytes: &[u8]| SERVER.with(|server| server.fetch(Protocol::OgcApiFeatures, None, bytes)));
