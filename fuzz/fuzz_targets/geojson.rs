//! GeoJSON, as a collection and line by line.
#![no_main]

use fuzz::files::{options, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read("a.geojson", bytes, &options()));
