//! Declares the commands of the bridge, so that each kind of window can be given only those it needs.

fn main() {
    println!("cargo:rerun-if-changed=src-tauri/capabilities");
    let attributes = tauri_build::Attributes::new()
        .capabilities_path_pattern("src-tauri/capabilities/**/*")
        .app_manifest(tauri_build::AppManifest::new().commands(&["ask", "act", "watch"]));
    if let Err(error) = tauri_build::try_build(attributes) {
        // A build script has no other way to speak.
        panic!("tauri-build: {error:#}");
    }
}
