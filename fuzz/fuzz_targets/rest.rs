//! JSON lists by a mapping, NGSI-LD brokers and FHIR bundles; the first byte chooses, the answers are the input's pieces.
#![no_main]

use fuzz::server::Server;
use libfuzzer_sys::fuzz_target;
use model::{Protocol, RestMapping};
use std::sync::LazyLock;

thread_local!(static SERVER: Server = Server::default());

static MAPPINGS: LazyLock<[RestMapping; 4]> = LazyLock::new(|| {
    [
        "path = \"list\"\nitems = \"$.data\"\nid = \"$.id\"\nlon = \"$.at.lon\"\nlat = \"$.at.lat\"\ntotal = \"$.total\"\nas_of = \"$.on\"\nfields = { name = \"$.ten\", all = \"$..x\" }\npaging = { by = \"cursor\", next = \"$.next\", param = \"after\" }",
        "path = \"list\"\nitems = \"$.data\"\nid = \"$.id\"\ngeometry = \"$.geo\"\ncrs = 9209\npaging = { by = \"link\" }",
        "ready = \"ngsi-ld\"\npath = \"entities?type=Clinic\"",
        "ready = \"fhir-location\"",
    ]
    .map(|text| toml::from_str(text).expect("a mapping"))
});

fuzz_target!(|bytes: &[u8]| {
    let Some((which, answers)) = bytes.split_first() else { return };
    let mapping = &MAPPINGS[usize::from(*which) % MAPPINGS.len()];
    SERVER.with(|server| server.fetch(Protocol::Rest, Some(mapping), answers));
});
