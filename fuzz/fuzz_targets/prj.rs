//! What a `.prj` says about the coordinate system: WKT of both kinds.
#![no_main]

use fuzz::files::{options, place, read_at};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut shape = vec![0; 100];
    shape[2..4].copy_from_slice(&[0x27, 0x0a]);
    shape[24..28].copy_from_slice(&64u32.to_be_bytes());
    shape[28..29].copy_from_slice(&[0xe8]);
    shape[29..30].copy_from_slice(&[3]);
    shape[32] = 1;
    shape.extend([1u32.to_be_bytes(), 10u32.to_be_bytes(), 1u32.to_le_bytes()].concat());
    shape.extend([568_469.126_f64.to_le_bytes(), 1_250_153.911_f64.to_le_bytes()].concat());
    let path = place("a.shp");
    std::fs::write(&path, shape).unwrap();
    std::fs::write(place("a.prj"), bytes).unwrap();
    read_at(&path, &options());
});
