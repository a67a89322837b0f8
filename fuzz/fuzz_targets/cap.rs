//! Warnings by CAP 1.2, alone and in feeds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sources::cap;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = cap::parse(bytes) else { return };
    let alerts: Vec<cap::Alert> = document.alerts.into_iter().flatten().collect();
    let now = model::Timestamp::from_second(1_774_400_000).unwrap();
    let valid = cap::in_force(&alerts, now);
    let (features, _) = cap::features(&valid, now);
    for feature in features {
        let bbox = model::geometry_bbox(&feature.geometry);
        assert!(bbox.is_empty() || bbox.west.abs() <= 360.0, "{bbox:?}");
    }
});
