//! GeoPackages from elsewhere: SQLite's own reading, and ours of what it gives.
#![no_main]

use fuzz::files::{options, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read("a.gpkg", bytes, &options()));
