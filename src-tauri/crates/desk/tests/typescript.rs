//! The bridge's TypeScript in `ui/` is what the Rust says today.

#![allow(clippy::unwrap_used)]
#![cfg(feature = "ts")]

use std::collections::BTreeMap;
use std::path::Path;

fn files(dir: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

#[test]
fn generated_typescript_is_current() {
    let fresh = tempfile::tempdir().unwrap();
    desk::write_typescript(fresh.path()).unwrap();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../ui/src/bridge/generated");
    assert!(files(fresh.path()) == files(&committed), "run `make typescript` and commit what changes");
}
