//! Text whose encoding nobody names: windows-1258, TCVN3, VNI, UTF-16 or none of them.
#![no_main]

use fuzz::files::{options, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let row = |text: &[u8]| [b"ma,ten,lon,lat\n1,\"", text, b"\",106.25,11.25\n"].concat();
    read("a.csv", &row(bytes), &options());
});
