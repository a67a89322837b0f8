//! ZIP archives byte by byte: KMZ, XLSX and zipped shapefiles.
#![no_main]

use fuzz::files::{options, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read("a.zip", bytes, &options()));
