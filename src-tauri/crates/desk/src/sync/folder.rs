//! Station files laid down in a folder: of this machine, of a mounted share, or of a server (see [`super::file_server`]).
//! Looked through by period, each file read once, and again when it changes.

use super::after;
use super::file_server::{self, Memory};
use super::runs::Recording;
use super::shapes::RunTrigger;
use super::taking::{SETTLED_SECS, Seen, Taking, ends_its_line};
use crate::Desk;
use crate::api::{Event, Failure};
use crate::station_files::{BATCH_FILES, Listed, Outcome, list};
use model::{SourceSpec, Timestamp};
use sources::{Url, remote_folder};
use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec) {
    desk.unless_paused(&source.id, || turns(&desk, &source)).await;
}

async fn turns(desk: &Arc<Desk>, source: &SourceSpec) {
    let every = source.every.as_duration();
    let mut memory = Memory::default();
    loop {
        if let Err(failure) = turn(desk, source, Some(every), &mut memory).await {
            desk.tell(&Event::Notice { failure, serious: true });
        }
        desk.rest(source, every, false).await;
    }
}

pub(super) async fn once(desk: &Arc<Desk>, source: &SourceSpec) -> Result<u64, Failure> {
    turn(desk, source, None, &mut Memory::default()).await?.done()
}

/// What a look through a source's files came to.
#[derive(Default)]
pub(super) struct Looked {
    /// Values that were new or different.
    pub(super) taken: u64,
    /// Why it ended before its end; that is noted with the link.
    pub(super) failure: Option<Failure>,
}

impl Looked {
    pub(super) fn failed(failure: Failure) -> Self {
        Self { taken: 0, failure: Some(failure) }
    }

    fn done(self) -> Result<u64, Failure> {
        self.failure.map_or(Ok(self.taken), Err)
    }
}

/// One look through the folder.
///
/// # Errors
/// What keeps this side from taking values in: the history cannot be written.
async fn turn(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    every: Option<Duration>,
    memory: &mut Memory,
) -> Result<Looked, Failure> {
    let trigger = if every.is_some() { RunTrigger::Schedule } else { RunTrigger::Person };
    let mut recording = Recording::begin(desk, source, trigger);
    let outcome = match desk.links().url(&source.id) {
        Some(url) if remote_folder::is_remote(&url) => {
            file_server::look(desk, source, &url, recording.client(), every, memory).await
        }
        url => look(desk, source, url, every).await,
    };
    match &outcome {
        Ok(looked) => {
            if looked.failure.is_none() || looked.taken > 0 {
                recording.values(looked.taken);
            }
            looked.failure.iter().for_each(|failure| recording.fail(failure.clone()));
        }
        Err(failure) => recording.fail(failure.clone()),
    }
    recording.finish().await;
    outcome
}

async fn look(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    url: Option<Url>,
    every: Option<Duration>,
) -> Result<Looked, Failure> {
    let Some(root) = url.and_then(|url| url.to_file_path().ok()) else {
        let at = [("url", source.url.as_str()), ("detail", "file:///FOLDER is needed")];
        return Ok(Looked::failed(desk.failure("bad_address", at)));
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
            Ok(Looked::failed(desk.failure("not_readable", [("path", &*path), ("detail", &detail)])))
        }
        Ok(Ok((taken, trouble))) => {
            desk.links().answered(&source.id, now);
            if let Some(error) = trouble {
                // Part of the folder could be read: the line is up, and something is wrong with it.
                desk.links().failed(&source.id, &error.to_string(), true, now, None);
            }
            Ok(Looked { taken, failure: None })
        }
    }
}

enum Trouble {
    Folder(std::io::Error),
    Here(Failure),
}

impl Desk {
    /// Reads what is new in the folder of a source. Returns the number of values that were new or different, and the
    /// first part of the folder that could not be read.
    fn look_through(&self, source: &SourceSpec, root: &Path) -> Result<(u64, Option<std::io::Error>), Trouble> {
        let (files, mut trouble) = list(root).map_err(Trouble::Folder)?;
        let mut taking = Taking::begin(self, source).map_err(Trouble::Here)?;
        let is_due = |file: &&Listed| taking.is_due(&file.name, file.size_bytes, |noted| noted == file.modified_at);
        let due: Vec<&Listed> = files.iter().filter(is_due).collect();
        let now = self.now();
        for batch in due.chunks(BATCH_FILES) {
            let mut read = Vec::new();
            for file in batch {
                if !is_whole(file, now) {
                    continue;
                }
                let outcome = self.read_station_file(&file.path, &taking.registry);
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
                let Listed { name, size_bytes, modified_at, .. } = (*file).clone();
                read.push((Seen { name, size_bytes, modified_at }, outcome));
            }
            taking.take(self, read).map_err(Trouble::Here)?;
        }
        let present: HashSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let taken = taking.finish(self, trouble.is_none().then_some(&present)).map_err(Trouble::Here)?;
        Ok((taken, trouble))
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
        Ok(ends_its_line(&end))
    };
    // What cannot be opened is for the reader to say.
    last().unwrap_or(true) || now.as_second() - file.modified_at.as_second() > SETTLED_SECS
}
