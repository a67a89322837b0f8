//! Tables as text. The first byte says how: as it comes, in an encoding of earlier days, or on a grid.
#![no_main]

use fuzz::files::{options, read};
use libfuzzer_sys::fuzz_target;
use sources::{ReadOptions, TextEncoding};

fuzz_target!(|bytes: &[u8]| {
    let Some((how, table)) = bytes.split_first() else { return };
    let named = ["", "TCVN3", "VNI", "windows-1258", "UTF-16LE", "windows-1252"][usize::from(*how) % 6];
    let encoding = TextEncoding::by_name(named);
    let crs = (*how >= 128).then_some(9209);
    read("a.csv", table, &ReadOptions { encoding, crs, ..options() });
});
