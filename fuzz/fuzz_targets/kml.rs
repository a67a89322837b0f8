//! KML as it is.
#![no_main]

use fuzz::files::{options, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read("a.kml", bytes, &options()));
