//! Shapefiles: `.shp`, `.dbf`, `.shx`, `.prj` and `.cpg` are the input's pieces.
#![no_main]

use fuzz::files::{options, place, read_at};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let pieces = fuzz::pieces(bytes);
    for ending in ["shp", "dbf", "shx", "prj", "cpg"] {
        let path = place(&format!("a.{ending}"));
        match pieces.iter().find(|(name, _)| *name == ending) {
            Some((_, piece)) => std::fs::write(path, piece).unwrap(),
            None => drop(std::fs::remove_file(path)),
        }
    }
    let path = place("a.shp");
    if path.exists() {
        read_at(&path, &options());
    }
});
