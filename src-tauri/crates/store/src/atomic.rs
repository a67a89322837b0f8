//! Small files that are whole or absent.

use crate::StoreError;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to `path` so that a reader, and a machine that loses power, sees the old content or the new, never a
/// part: temporary file in the same folder, flushed to the disk, then renamed.
///
/// # Errors
/// [`StoreError::Full`], [`StoreError::NotWritable`] or [`StoreError::Io`]; the old content stays.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let scratch = Scratch::beside(path);
    let error = |doing| move |error: std::io::Error| StoreError::io(path, doing, &error);
    let mut file = File::create(scratch.path()).map_err(error("creating"))?;
    file.write_all(bytes).map_err(error("writing"))?;
    file.sync_all().map_err(error("flushing"))?;
    drop(file);
    scratch.publish(path)
}

/// A file beside its target that disappears unless it is published.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn beside(target: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        // Process and count make the name unique, so that two writers never share a scratch file.
        let unique = format!(".{name}.{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { path: target.with_file_name(unique) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames to `target` and flushes the folder, so that the name survives a power cut.
    pub(crate) fn publish(self, target: &Path) -> Result<(), StoreError> {
        fs::rename(&self.path, target).map_err(|error| StoreError::io(target, "renaming", &error))?;
        sync_folder(target);
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; otherwise a failed write leaves nothing behind.
        let _ = fs::remove_file(&self.path);
    }
}

/// Best effort: not every file system lets a folder be flushed, and the content is already safe.
pub(crate) fn sync_folder(file: &Path) {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty())
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}
