//! Our tiles, one after the other on one thread.

use crate::Failure;
use serde_json::{Value, json};
use spatial::LayerPicture;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

pub fn time(picture: &LayerPicture, tiles: &[(u8, u32, u32)]) -> Value {
    let all = Instant::now();
    let milliseconds: Vec<f64> = tiles
        .iter()
        .map(|&(z, x, y)| {
            let start = Instant::now();
            black_box(picture.tile(z, x, y));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    json!({ "seconds": all.elapsed().as_secs_f64(), "milliseconds": milliseconds })
}

/// Each tile as its length (u32, little-endian) and its bytes; a tile with nothing in it has length 0.
pub fn dump(picture: &LayerPicture, tiles: &[(u8, u32, u32)], to: &Path) -> Result<Value, Failure> {
    let mut out = BufWriter::new(File::create(to)?);
    for &(z, x, y) in tiles {
        let tile = picture.tile(z, x, y).unwrap_or_default();
        out.write_all(&u32::try_from(tile.len())?.to_le_bytes())?;
        out.write_all(&tile)?;
    }
    out.flush()?;
    Ok(json!({ "tiles": tiles.len() }))
}
