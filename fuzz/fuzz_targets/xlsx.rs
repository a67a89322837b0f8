//! Workbooks: the members of the archive are the input's pieces.
#![no_main]

use fuzz::files::{options, read, zipped};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(archive) = zipped(&fuzz::pieces(bytes)) {
        read("a.xlsx", &archive, &options());
    }
});
