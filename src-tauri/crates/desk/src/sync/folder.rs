//! Station files laid down in a folder of this machine or of a mounted share: looked through by period, each file read
//! once, and again when it changes.

use super::after;
use super::runs::Recording;
use super::shapes::RunTrigger;
use crate::Desk;
use crate::api::{Event, Failure};
use crate::station_files::{BATCH_FILES, Gathered, Listed, Outcome, Registry, list};
use model::{SourceSpec, Timestamp};
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::ReadFile;

/// A file whose last line has no end is still being written, unless nobody has touched it for this long.
const SETTLED_SECS: i64 = 600;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec) {
    desk.unless_paused(&source.id, || turns(&desk, &source)).await;
}

async fn turns(desk: &Arc<Desk>, source: &SourceSpec) {
    let every = source.every.as_duration();
    loop {
        if let Err(failure) = turn(desk, source, Some(every)).await {
            desk.tell(&Event::Notice { failure, serious: true });
        }
        desk.rest(source, every, false).await;
    }
}

pub(super) async fn once(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, Failure> {
    match turn(desk, source, None).await? {
        Ok(taken) => Ok(taken),
        Err(failure) => Err(failure),
    }
}

/// One look through the folder: the values taken in, or why the folder cannot be read; that is noted with the link.
///
/// # Errors
/// What keeps this side from taking values in: the history cannot be written.
async fn turn(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    every: Option<std::time::Duration>,
) -> Result<Result<u64, Failure>, Failure> {
    let trigger = if every.is_some() { RunTrigger::Schedule } else { RunTrigger::Person };
    let mut recording = Recording::begin(desk, source, trigger);
    let outcome = look(desk, source, every).await;
    match &outcome {
        Ok(Ok(taken)) => recording.values(*taken),
        Ok(Err(failure)) | Err(failure) => recording.fail(failure.clone()),
    }
    recording.finish().await;
    outcome
}

async fn look(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    every: Option<std::time::Duration>,
) -> Result<Result<u64, Failure>, Failure> {
    let Some(root) = folder_of(desk, source) else {
        return Ok(Err(
            desk.failure("bad_address", [("url", source.url.as_str()), ("detail", "file:///FOLDER is needed")])
        ));
    };
    let looking = (desk.clone(), source.clone(), root.clone());
    // Walking a share and writing the history are work for a blocking thread.
    let looked = tokio::task::spawn_blocking(move || looking.0.look_through(&looking.1, &looking.2)).await;
    let now = desk.now();
    match looked {
        Err(_) => Err(desk.failure("interrupted", [])),
        Ok(Err(Trouble::Here(failure))) => Err(failure),
        Ok(Err(Trouble::Folder(error))) => {
            let (path, detail) = (root.to_string_lossy(), error.to_string());
            let next = every.and_then(|every| after(now, every));
            desk.links().failed(&source.id, &format!("{path}: {detail}"), false, now, next);
            Ok(Err(desk.failure("not_readable", [("path", &*path), ("detail", &detail)])))
        }
        Ok(Ok((taken, trouble))) => {
            desk.links().answered(&source.id, now);
            if let Some(error) = trouble {
                // Part of the folder could be read: the line is up, and something is wrong with it.
                desk.links().failed(&source.id, &error.to_string(), true, now, None);
            }
            Ok(Ok(taken))
        }
    }
}

fn folder_of(desk: &Desk, source: &SourceSpec) -> Option<PathBuf> {
    desk.links().url(&source.id)?.to_file_path().ok()
}

enum Trouble {
    Folder(std::io::Error),
    Here(Failure),
}

impl Desk {
    /// Reads what is new in the folder of a source. Returns the number of values that were new or different, and the
    /// first part of the folder that could not be read.
    fn look_through(&self, source: &SourceSpec, root: &Path) -> Result<(u64, Option<std::io::Error>), Trouble> {
        let here = |error: store::StoreError| Trouble::Here(self.store_failure(&error));
        let (files, mut trouble) = list(root).map_err(Trouble::Folder)?;
        let held = self.history().read_files(&source.id).map_err(here)?;
        let mut held: HashMap<String, ReadFile> = held.into_iter().map(|file| (file.path.clone(), file)).collect();
        let waited: Vec<String> = held.values().filter_map(|file| file.waits_for.clone()).collect();
        let registry = Registry::of(self, Some(&source.id));
        let due = |file: &Listed| {
            held.get(&file.name).is_none_or(|read| {
                let same = (read.size_bytes, read.modified_at) == (file.size_bytes, file.modified_at);
                !same || read.waits_for.as_ref().is_some_and(|station| registry.find(station).is_some())
            })
        };
        let due: Vec<&Listed> = files.iter().filter(|file| due(file)).collect();
        let mut gathered = Gathered::default();
        let mut taken = 0;
        let now = self.now();
        for batch in due.chunks(BATCH_FILES) {
            let (mut observations, mut read) = (Vec::new(), Vec::new());
            for file in batch {
                if !is_whole(file, now) {
                    continue;
                }
                let outcome = self.read_station_file(&file.path, &registry);
                self.mark_ahead(&outcome, now);
                // What changed while it was being read is read again.
                if file.again().ok() != Some((file.size_bytes, file.modified_at)) {
                    continue;
                }
                if let Outcome::Refused(rejection) = &outcome
                    && matches!(rejection.code.as_str(), "no_permission" | "io")
                {
                    // Not the file's fault, and it may be mended without touching the file.
                    trouble.get_or_insert(std::io::Error::other(rejection.reason.clone()));
                    continue;
                }
                read.push(ReadFile {
                    path: file.name.clone(),
                    size_bytes: file.size_bytes,
                    modified_at: file.modified_at,
                    waits_for: match &outcome {
                        Outcome::Waits { station, .. } => Some(station.clone()),
                        _ => None,
                    },
                });
                observations.extend(gathered.take(outcome, &file.name));
            }
            taken += self.history().record_files(&observations, &source.id, &read, now).map_err(here)?;
            observations.iter().for_each(|observation| self.apply_live(observation, now));
        }
        if trouble.is_none() {
            files.iter().for_each(|file| drop(held.remove(&file.name)));
            let gone: Vec<String> = held.into_keys().collect();
            self.history().forget_files(&source.id, &gone).map_err(here)?;
        }
        self.tell_gathered(source, &registry, gathered, &waited).map_err(Trouble::Here)?;
        Ok((taken as u64, trouble))
    }

    /// Says what could not be taken in: rows each time, a station that nobody knows once.
    fn tell_gathered(
        &self,
        source: &SourceSpec,
        registry: &Registry,
        gathered: Gathered,
        waited: &[String],
    ) -> Result<(), Failure> {
        for (station, files) in gathered.waiting.iter().filter(|(station, _)| !waited.contains(station)) {
            let failure = self.station_failure(registry, station, &files.join(", "));
            self.tell(&Event::Notice { failure, serious: false });
        }
        if let Some(path) = self.write_rejected(&source.id, &gathered.rejected)? {
            let count = gathered.rejected.len().to_string();
            let detail = gathered.rejected.first().map_or_else(String::new, |first| first.reason.clone());
            let path = path.to_string_lossy();
            let at = [("source", source.id.as_str()), ("count", &count), ("path", &*path), ("detail", &detail)];
            self.tell(&Event::Notice { failure: self.failure("station_rows_rejected", at), serious: false });
        }
        Ok(())
    }
}

/// Whether the last line has its end, or nobody writes the file any more.
fn is_whole(file: &Listed, now: Timestamp) -> bool {
    let last = || -> std::io::Result<bool> {
        let mut open = std::fs::File::open(&file.path)?;
        let back = file.size_bytes.min(2);
        open.seek(SeekFrom::End(-(back.cast_signed())))?;
        let mut end = Vec::new();
        open.take(2).read_to_end(&mut end)?;
        Ok(end.ends_with(b"\n") || end == b"\n\0")
    };
    // What cannot be opened is for the reader to say.
    last().unwrap_or(true) || now.as_second() - file.modified_at.as_second() > SETTLED_SECS
}
