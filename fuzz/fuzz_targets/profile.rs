//! A province's profile.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Profile;

fuzz_target!(|text: &str| {
    if let Err(error) = Profile::from_toml(text) {
        assert!(!error.to_string().is_empty());
    }
});
