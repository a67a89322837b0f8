//! An input as a file, read as an import reads it.

use sources::{Continue, ReadOptions, read_file};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A place of this process's own, in memory where the caller has such a folder; what is there is written over.
pub fn place(name: &str) -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = std::env::var_os("FUZZ_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = root.join(format!("toancanh-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        folder
    });
    FOLDER.join(name)
}

pub fn options() -> ReadOptions<'static> {
    ReadOptions { max_line_bytes: 4 << 20, ..ReadOptions::new([105.45, 10.35, 106.9, 11.8].into()) }
}

/// Puts the bytes down as a file of that name and reads it.
pub fn read(name: &str, bytes: &[u8], options: &ReadOptions<'_>) {
    let path = place(name);
    std::fs::write(&path, bytes).expect("the folder can be written");
    read_at(&path, options);
}

/// Sniffs, looks at the columns and reads: every feature sound, every error naming the file.
pub fn read_at(path: &Path, options: &ReadOptions<'_>) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let judge = |error: &sources::ReadError| {
        assert!(error.to_string().contains(name) && !error.code().is_empty(), "{error}");
    };
    if let Err(error) = sources::columns(path, options) {
        judge(&error);
    }
    let mut accepted = 0;
    let outcome = read_file(
        path,
        options,
        &mut |row, feature| {
            assert!(!feature.id.is_empty());
            let bbox = model::geometry_bbox(&feature.geometry);
            assert!(bbox.west.abs() <= 180.0 && bbox.north.abs() <= 90.0, "row {row}: {bbox:?}");
            for (name, value) in feature.properties.iter() {
                assert!(!matches!(value, model::Value::Real(x) if !x.is_finite()), "row {row}: {name}");
            }
            accepted += 1;
            Ok(())
        },
        &mut |done, total| {
            assert!(done <= total);
            Continue::Yes
        },
    );
    match outcome {
        Ok(summary) => assert_eq!(summary.report.accepted, accepted),
        Err(error) => judge(&error),
    }
}

/// The pieces as a ZIP archive.
pub fn zipped(pieces: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in pieces.iter().filter(|(name, _)| !name.is_empty()) {
        writer.start_file(*name, stored).ok()?;
        writer.write_all(bytes).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}
