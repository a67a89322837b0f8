//! Lists the built-in province profile, so that the program carries it and starts with no file beside it.

use std::fmt::Write;
use std::path::Path;

fn main() {
    let maps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh");
    println!("cargo:rerun-if-changed={}", maps.join("profile.toml").display());
    println!("cargo:rerun-if-changed={}", maps.join("data").display());
    let mut files = vec!["profile.toml".to_owned()];
    if let Ok(entries) = std::fs::read_dir(maps.join("data")) {
        files.extend(
            entries
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| name.ends_with(".geojson"))
                .map(|name| format!("data/{name}")),
        );
    }
    files.sort();
    let mut text = String::from("/// The built-in profile: file name within the folder, content.\n");
    text.push_str("static BUILT_IN_PROFILE: &[(&str, &[u8])] = &[\n");
    for name in &files {
        let path = maps.join(name).canonicalize().unwrap_or_else(|error| panic!("{name}: {error}"));
        writeln!(text, "    ({name:?}, include_bytes!({path:?})),").unwrap_or_else(|error| panic!("{error}"));
    }
    text.push_str("];\n");
    let out = std::env::var("OUT_DIR").unwrap_or_else(|error| panic!("OUT_DIR: {error}"));
    std::fs::write(Path::new(&out).join("built_in_profile.rs"), text).unwrap_or_else(|error| panic!("{error}"));
}
