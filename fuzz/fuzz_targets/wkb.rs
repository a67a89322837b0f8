//! The geometry codec: WKB and the blobs of a GeoPackage, read, written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = model::from_gpkg_blob(bytes);
    let Ok(geometry) = model::from_wkb(bytes) else { return };
    let written = model::to_wkb(&geometry).unwrap();
    let again = model::to_wkb(&model::from_wkb(&written).unwrap()).unwrap();
    let mut numbers = true;
    model::visit_coords(&geometry, &mut |c| numbers &= !c.x.is_nan() && !c.y.is_nan());
    // A ring whose ends are no numbers is closed once more each time; readers refuse it later.
    assert!(written == again || !numbers);
});
