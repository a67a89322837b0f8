//! The packed layer of the cache: any bytes, and a sound one with bytes changed, opened and asked what the map asks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Feature, LayerId, Value};
use spatial::{LayerPicture, Packer};
use std::sync::LazyLock;

static SOUND: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let line = geo_types::LineString::from(vec![(106.0, 11.0), (106.1, 11.0), (106.1, 11.123_456_789), (106.0, 11.0)]);
    let shapes: [geo_types::Geometry; 3] = [
        geo_types::Point::new(106.1, 11.3).into(),
        line.clone().into(),
        geo_types::Polygon::new(line, Vec::new()).into(),
    ];
    let mut packer = Packer::new();
    let mut parts = Vec::new();
    for (at, geometry) in shapes.into_iter().cycle().take(40).enumerate() {
        let number = Value::Real(at as f64 / 3.0);
        let properties = [("name".to_owned(), Value::Text(format!("Xã {}", at % 7))), ("ha".to_owned(), number)].into();
        parts.extend(packer.push(&Feature { id: format!("x{at}"), geometry, properties }));
    }
    parts.extend(packer.finish());
    parts
});

fn ask<'a>(parts: impl IntoIterator<Item = &'a [u8]>) {
    let layer = LayerId::new("a").unwrap();
    let Some(picture) = LayerPicture::unpack(layer, 1, parts, "name", &["name".to_owned()]) else { return };
    picture.near(geo_types::coord! { x: 106.1, y: 11.3 }, None, Some(3));
    for ordinal in 0..u32::try_from(picture.len().min(50)).unwrap() {
        picture.feature(ordinal);
    }
    picture.tile(8, 203, 119);
}

fuzz_target!(|bytes: &[u8]| {
    ask([bytes]);
    // Three bytes a change: which part and byte of it, and what it becomes.
    let mut parts = SOUND.clone();
    for change in bytes.chunks_exact(3) {
        let count = parts.len();
        let part = &mut parts[usize::from(change[0] >> 4) % count];
        let at = (usize::from(change[0] & 15) << 8 | usize::from(change[1])) % part.len().max(1);
        part.get_mut(at).into_iter().for_each(|byte| *byte = change[2]);
    }
    ask(parts.iter().map(Vec::as_slice));
});
