//! Drawings.
#![no_main]

use fuzz::files::{options, read};
use libfuzzer_sys::fuzz_target;
use sources::ReadOptions;

fuzz_target!(|bytes: &[u8]| read("a.dxf", bytes, &ReadOptions { crs: Some(9209), ..options() }));
