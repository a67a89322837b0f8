//! Station files of Circular 10/2021.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sources::station_file;

fuzz_target!(|bytes: &[u8]| {
    let now = model::Timestamp::from_second(1_774_400_000).unwrap();
    let file = station_file::parse(bytes, &jiff::tz::TimeZone::UTC, now);
    assert!(file.rows.iter().all(|row| row.value.is_none_or(f64::is_finite)));
});
