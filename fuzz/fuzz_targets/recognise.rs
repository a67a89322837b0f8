//! What a pasted address answers: which protocol it speaks and what it offers.
#![no_main]

use fuzz::server::{Server, names_host};
use libfuzzer_sys::fuzz_target;

thread_local!(static SERVER: Server = Server::default());

fuzz_target!(|bytes: &[u8]| SERVER.with(|server| {
    if let Err(error) = server.run(bytes, sources::recognise(&server.client, server.root.as_str())) {
        names_host(&error);
    }
}));
