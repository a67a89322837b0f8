//! Station files in a folder of another machine, by FTP, FTPS or SFTP: as those of a folder here, but that a listing costs
//! a question, and a file a transfer.

use super::folder::Looked;
use super::login::Held;
use super::taking::{SETTLED_SECS, Seen, Taking, ends_its_line};
use super::{KEEP_DAYS, note};
use crate::Desk;
use crate::api::{Event, Failure};
use crate::station_files::{BATCH_FILES, Outcome, refused};
use jiff::ToSpan;
use jiff::civil::Date;
use model::{SourceSpec, Timestamp};
use sources::remote_folder::{self, Look, Place, RemoteFile, RemoteFolder, Walked};
use sources::station_file::{MAX_BYTES, StationName};
use sources::{Client, FetchError, Url};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks also into the folders of days gone by: loggers send what they kept during an outage.
const WHOLE_EVERY_SECS: i64 = 3_600;

/// What is remembered from one look to the next.
#[derive(Default)]
pub(super) struct Memory {
    /// When all folders were last looked into.
    whole_at: Option<Timestamp>,
    /// Files without the end of their last line: size, listed time, and when they were first seen so. Servers' clocks, and the
    /// time zones of their listings, may be anything.
    unfinished: HashMap<String, (u64, Timestamp, Timestamp)>,
    /// The last refusal of a server's key that was told.
    told: Option<FetchError>,
}

impl Memory {
    /// Whether nobody writes a file any more that does not end its last line.
    fn is_settled(&mut self, file: &RemoteFile, now: Timestamp) -> bool {
        let is = (file.size_bytes, file.modified_at);
        let seen = self.unfinished.entry(file.name.clone()).or_insert((is.0, is.1, now));
        if (seen.0, seen.1) != is {
            *seen = (is.0, is.1, now);
        }
        let since = |at: Timestamp| now.as_second() - at.as_second();
        let settled = since(seen.2) > SETTLED_SECS || since(file.modified_at) > SETTLED_SECS;
        if settled {
            self.unfinished.remove(&file.name);
        }
        settled
    }
}

/// One look through the folder.
///
/// # Errors
/// What keeps this side from taking values in.
pub(super) async fn look(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    url: &Url,
    client: &Client,
    every: Option<Duration>,
    memory: &mut Memory,
) -> Result<Looked, Failure> {
    let looked = look_through(desk, source, url, client, memory).await?;
    let now = desk.now();
    let Some(error) = looked.ended else {
        memory.told = None;
        desk.links().answered(&source.id, now);
        if let Some(trouble) = looked.trouble {
            // Part of the folder could be read: the line is up, and something is wrong with it.
            desk.links().failed(&source.id, &trouble.to_string(), true, now, None);
        }
        return Ok(Looked { taken: looked.taken, failure: None });
    };
    note(desk, source, &error, every);
    let failure = crate::failures::fetch(desk.language(), url.as_str(), &error);
    if matches!(error, FetchError::HostKey { expected: Some(_), .. }) && memory.told.as_ref() != Some(&error) {
        desk.tell(&Event::Notice { failure: failure.clone(), serious: true });
        memory.told = Some(error);
    }
    Ok(Looked { taken: looked.taken, failure: Some(failure) })
}

#[derive(Default)]
struct Through {
    taken: u64,
    /// The first folder or file that could not be read.
    trouble: Option<FetchError>,
    /// What ended the look.
    ended: Option<FetchError>,
}

impl Through {
    fn ended(error: FetchError) -> Self {
        Self { ended: Some(error), ..Self::default() }
    }
}

async fn look_through(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    url: &Url,
    client: &Client,
    memory: &mut Memory,
) -> Result<Through, Failure> {
    let held = match desk.held(source).await {
        Ok(held) => held,
        Err(error) => return Ok(Through::ended(error)),
    };
    let hidden = |error: FetchError| Held::hide(held.as_ref(), error);
    let place = Place { url, login: held.as_ref().map(Held::login), host_key: source.host_key.as_deref() };
    let mut folder = match remote_folder::open(client, place).await {
        Ok(folder) => folder,
        Err(error) => return Ok(Through::ended(hidden(error))),
    };
    let now = desk.now();
    let whole = memory.whole_at.is_none_or(|at| now.as_second() - at.as_second() >= WHOLE_EVERY_SECS);
    let since = desk.day(now, if whole { KEEP_DAYS } else { 1 });
    let walked = match remote_folder::walk(&mut *folder, Look { since: Some(since) }).await {
        Ok(walked) => walked,
        Err(error) => return Ok(Through::ended(hidden(error))),
    };
    let looked = fetch_due(desk, source, &mut *folder, walked, memory, whole).await?;
    if whole && looked.ended.is_none() {
        memory.whole_at = Some(now);
    }
    Ok(Through { ended: looked.ended.map(&hidden), trouble: looked.trouble.map(&hidden), ..looked })
}

/// Fetches the files that are new or have changed, and takes them in batch by batch: what was taken in stays when the
/// line breaks.
async fn fetch_due(
    desk: &Arc<Desk>,
    source: &SourceSpec,
    folder: &mut dyn RemoteFolder,
    walked: Walked,
    memory: &mut Memory,
    whole: bool,
) -> Result<Through, Failure> {
    let Walked { files, trouble } = walked;
    let mut through = Through { trouble, ..Through::default() };
    let begun = (desk.clone(), source.clone());
    let mut taking = blocking(desk, move || Taking::begin(&begun.0, &begun.1)).await??;
    let is_due = |file: &&RemoteFile| {
        taking.is_due(&file.name, file.size_bytes, |noted| file.precision.same(noted, file.modified_at))
    };
    let due: Vec<RemoteFile> = files.iter().filter(is_due).cloned().collect();
    memory.unfinished.retain(|name, _| due.iter().any(|file| file.name == *name));
    let staging = Staging::of(desk, source)?;
    let now = desk.now();
    for batch in due.chunks(BATCH_FILES) {
        let mut fetched: Vec<(Seen, Got)> = Vec::new();
        for (number, file) in batch.iter().enumerate() {
            let got = match unfit(file) {
                Some(outcome) => Got::Told(outcome),
                None => match folder.fetch(file).await {
                    Ok(bytes) if !ends_its_line(&bytes) && !memory.is_settled(file, now) => continue,
                    Ok(bytes) => Got::Staged(staging.put(desk, number, file, &bytes).await?),
                    // Somebody writes it; with the next look it may be whole.
                    Err(FetchError::Changed { .. }) => continue,
                    Err(error @ FetchError::NoAccess { .. }) => {
                        through.trouble.get_or_insert(error);
                        continue;
                    }
                    Err(error) => {
                        through.ended = Some(error);
                        break;
                    }
                },
            };
            let RemoteFile { name, size_bytes, modified_at, .. } = file.clone();
            fetched.push((Seen { name, size_bytes, modified_at }, got));
        }
        let reading = desk.clone();
        taking = blocking(desk, move || {
            let read = |(seen, got): (Seen, Got)| match got {
                Got::Told(outcome) => (seen, outcome),
                Got::Staged(path) => {
                    let outcome = reading.read_station_file(&path, &taking.registry);
                    reading.mark_ahead(&outcome, reading.now());
                    (seen, outcome)
                }
            };
            let read = fetched.into_iter().map(read).collect();
            taking.take(&reading, read).map(|()| taking)
        })
        .await??;
        if through.ended.is_some() {
            break;
        }
    }
    let complete = whole && through.trouble.is_none() && through.ended.is_none();
    let finishing = desk.clone();
    through.taken = blocking(desk, move || {
        let present: HashSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        taking.finish(&finishing, complete.then_some(&present))
    })
    .await??;
    Ok(through)
}

/// Files and the history are waited for on a thread that may.
async fn blocking<T: Send + 'static>(desk: &Desk, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_| desk.failure("interrupted", []))
}

/// A file that was fetched, or need not be.
enum Got {
    Staged(PathBuf),
    Told(Outcome),
}

/// Why a file is not fetched at all.
fn unfit(file: &RemoteFile) -> Option<Outcome> {
    let name = file.name.rsplit('/').next().unwrap_or_default();
    if !file.usable {
        return Some(refused(name, "station_file_name", "no file here can have this name: it is not fetched"));
    }
    if StationName::parse(name).is_none() {
        return Some(refused(name, "station_file_name", crate::station_files::NAME_FORM));
    }
    let too_long = file.size_bytes > MAX_BYTES;
    too_long.then(|| {
        let reason = format!("{} MB, which no station sends at once: it is not fetched", file.size_bytes >> 20);
        refused(name, "wrong_format", &reason)
    })
}

/// Where files wait to be read: the readers take them from the disk, as those of a folder. Dropped, it is emptied.
struct Staging(PathBuf);

impl Staging {
    fn of(desk: &Desk, source: &SourceSpec) -> Result<Self, Failure> {
        let path = desk.home().staging_dir().join(format!("{}-files", source.id));
        // What an earlier run left there when it was ended.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).map_err(|error| not_writable(desk, &path, &error))?;
        Ok(Self(path))
    }

    /// Each in a folder of its own: of two with one name both stay.
    async fn put(&self, desk: &Desk, number: usize, file: &RemoteFile, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let folder = self.0.join(number.to_string());
        let path = folder.join(file.name.rsplit('/').next().unwrap_or_default());
        let writing = async {
            tokio::fs::create_dir_all(&folder).await?;
            tokio::fs::write(&path, bytes).await
        };
        writing.await.map_err(|error| not_writable(desk, &path, &error))?;
        Ok(path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed with the next look.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn not_writable(desk: &Desk, path: &Path, error: &std::io::Error) -> Failure {
    desk.failure("not_writable", [("detail", format!("{}: {error}", path.display()).as_str())])
}

impl Desk {
    /// The local day so many days before a moment.
    fn day(&self, moment: Timestamp, before: i64) -> Date {
        let zone = jiff::tz::TimeZone::get(&self.profile().timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let today = zone.to_datetime(moment).date();
        today.checked_sub(before.days()).unwrap_or(today)
    }
}
