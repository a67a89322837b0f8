//! What is done with station files wherever they lie: which are due, what becomes of each, and what is said.

use crate::Desk;
use crate::api::{Event, Failure};
use crate::station_files::{Gathered, Outcome, Registry};
use model::{SourceSpec, Timestamp};
use std::collections::{HashMap, HashSet};
use store::ReadFile;

/// A file whose last line has no end is still being written, unless nobody has touched it for this long.
pub(super) const SETTLED_SECS: i64 = 600;

/// A file as it was listed.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Relative to the source's folder.
    pub(super) name: String,
    pub(super) size_bytes: u64,
    /// To the microsecond, as the history remembers it.
    pub(super) modified_at: Timestamp,
}

/// One look through a source's files. Its methods read and write the history: they are for a thread that may wait.
pub(super) struct Taking {
    source: SourceSpec,
    pub(super) registry: Registry,
    held: HashMap<String, ReadFile>,
    /// Stations that were waited for before.
    waited: Vec<String>,
    gathered: Gathered,
    now: Timestamp,
    /// Values that were new or different.
    taken: u64,
}

impl Taking {
    pub(super) fn begin(desk: &Desk, source: &SourceSpec) -> Result<Self, Failure> {
        let held = desk.history().read_files(&source.id).map_err(|error| desk.store_failure(&error))?;
        let held: HashMap<String, ReadFile> = held.into_iter().map(|file| (file.path.clone(), file)).collect();
        let waited = held.values().filter_map(|file| file.waits_for.clone()).collect();
        let registry = Registry::of(desk, Some(&source.id));
        let (source, gathered, now) = (source.clone(), Gathered::default(), desk.now());
        Ok(Self { source, registry, held, waited, gathered, now, taken: 0 })
    }

    /// Whether a file is new, has changed, or waits for a station that is known by now. `same_time`: whether the time that
    /// was noted is the one listed.
    pub(super) fn is_due(&self, name: &str, size_bytes: u64, same_time: impl Fn(Timestamp) -> bool) -> bool {
        self.held.get(name).is_none_or(|read| {
            let same = read.size_bytes == size_bytes && same_time(read.modified_at);
            !same || read.waits_for.as_ref().is_some_and(|station| self.registry.find(station).is_some())
        })
    }

    /// Takes in what files gave, all in one transaction.
    pub(super) fn take(&mut self, desk: &Desk, files: Vec<(Seen, Outcome)>) -> Result<(), Failure> {
        let (mut observations, mut read) = (Vec::new(), Vec::new());
        for (file, outcome) in files {
            let waits_for = match &outcome {
                Outcome::Waits { station, .. } => Some(station.clone()),
                _ => None,
            };
            observations.extend(self.gathered.take(outcome, &file.name));
            let Seen { name, size_bytes, modified_at } = file;
            read.push(ReadFile { path: name, size_bytes, modified_at, waits_for });
        }
        let recorded = desk.history().record_files(&observations, &self.source.id, &read, self.now);
        self.taken += recorded.map_err(|error| desk.store_failure(&error))? as u64;
        observations.iter().for_each(|observation| desk.apply_live(observation, self.now));
        Ok(())
    }

    /// Forgets files that are gone, where all that are there are known, and says what could not be taken in.
    pub(super) fn finish(self, desk: &Desk, present: Option<&HashSet<&str>>) -> Result<u64, Failure> {
        if let Some(present) = present {
            let gone: Vec<String> = self.held.into_keys().filter(|name| !present.contains(name.as_str())).collect();
            desk.history().forget_files(&self.source.id, &gone).map_err(|error| desk.store_failure(&error))?;
        }
        desk.tell_gathered(&self.source, &self.registry, self.gathered, &self.waited)?;
        Ok(self.taken)
    }
}

impl Desk {
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

/// Whether text ends with the end of its last line, also in two bytes a letter.
pub(super) fn ends_its_line(end: &[u8]) -> bool {
    end.ends_with(b"\n") || end.ends_with(b"\n\0")
}
