//! Resumable paging: the pages that came before a walk was cut, for the next one to go on from.
//!
//! The first page is always asked for anew. Where it and the announced number are what they were, the pages behind it are
//! taken from what was kept, and the server is asked for the rest; the whole is judged as if it had come in one go. Where
//! anything differs, or an hour has passed, nothing that was kept is used. A page with a validator of its own is asked for
//! with that.

use super::Wanted;
use crate::net::{Answer, Body, FetchError, digest};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// Data of a service without validators may change unseen behind an unchanged first page: the longer, the likelier.
const KEEP: Duration = Duration::from_hours(1);
/// What a page says of itself is not longer.
const MAX_LINE: u64 = 1 << 20;

/// The walk that pages belong to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Walk {
    first: String,
    /// Of the first page.
    validator: Option<String>,
    print: u64,
    announced: Option<u64>,
}

/// What stands before the bytes of a page.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    url: String,
    bytes: u64,
    sha256: [u8; 32],
    headers: Vec<(String, Vec<u8>)>,
}

/// The pages of one layer's walk. What cannot be written or read is fetched: this is a shortcut, never a condition.
pub(super) struct KeptPages {
    /// None where a caller has no folder for it.
    path: Option<PathBuf>,
    first: Option<(String, Option<String>)>,
    file: Option<Arc<Mutex<File>>>,
    kept: Places,
    /// Where the page lies that is being judged: unless the next one is asked for, it and what follows it was no good.
    judged: Option<u64>,
    /// The walk came to its end.
    done: bool,
}

/// What the walk had to say so far.
pub(super) struct SoFar {
    pub(super) pages: usize,
    /// Stands for the features of the page before.
    pub(super) print: u64,
    pub(super) announced: Option<u64>,
}

impl KeptPages {
    /// Nothing touches the disk before a second page is asked for.
    pub(super) fn of(wanted: &Wanted<'_>) -> Self {
        let folder = Some(wanted.staging).filter(|folder| !folder.as_os_str().is_empty());
        let path = folder.map(|folder| folder.join(format!("{}.pages", wanted.layer)));
        Self { path, first: None, file: None, kept: Places::new(), judged: None, done: false }
    }

    /// The page at `url`: kept, or by `ask` with the validator of what is kept, and then kept.
    pub(super) async fn page(
        &mut self,
        url: &Url,
        so_far: SoFar,
        ask: impl AsyncFnOnce(Option<&str>) -> Result<Answer, FetchError>,
    ) -> Result<Answer, FetchError> {
        self.judged = None;
        if so_far.pages == 0 {
            let answer = ask(None).await?;
            if let Answer::Body(body) = &answer {
                self.first = Some((url.to_string(), body.validator.clone()));
            }
            return Ok(answer);
        }
        if let Some((first, validator)) = self.first.take() {
            self.take_up(Walk { first, validator, print: so_far.print, announced: so_far.announced }).await;
        }
        let held = self.held(url).await;
        let validator = held.as_ref().and_then(|(_, body)| body.validator.clone());
        let answer = match (&held, validator) {
            (Some(_), None) => Answer::NotModified,
            (_, validator) => ask(validator.as_deref()).await?,
        };
        match (answer, held) {
            (Answer::NotModified, Some((at, body))) => {
                self.judged = Some(at);
                Ok(Answer::Body(body))
            }
            (Answer::NotModified, None) => Ok(Answer::NotModified),
            (Answer::Body(body), _) => {
                self.keep(url, &body).await;
                Ok(Answer::Body(body))
            }
        }
    }

    /// The walk is over: nothing is kept of it.
    pub(super) fn end(mut self) {
        self.done = true;
    }

    /// Opens what lies there for this walk, or begins anew.
    async fn take_up(&mut self, walk: Walk) {
        let Some(path) = self.path.clone() else { return };
        let opening = tokio::task::spawn_blocking(move || open(&path, &walk));
        if let Ok(Ok((file, kept))) = opening.await {
            self.file = Some(Arc::new(Mutex::new(file)));
            self.kept = kept;
        }
    }

    async fn held(&mut self, url: &Url) -> Option<(u64, Body)> {
        let Place { begin, at, head } = self.kept.remove(url.as_str())?;
        let file = self.file.clone()?;
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(head.bytes).ok()?];
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(at)).ok()?;
            file.read_exact(&mut bytes).ok()?;
            (digest::of(&bytes) == head.sha256).then_some(())?;
            let mut headers = HeaderMap::new();
            for (name, value) in head.headers {
                headers.append(HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&value).ok()?);
            }
            Some((begin, Body::new(headers, bytes)))
        });
        reading.await.ok().flatten()
    }

    async fn keep(&mut self, url: &Url, body: &Body) {
        let Some(file) = self.file.clone() else { return };
        // A session is not kept.
        let headers = body.headers.iter().filter(|(name, _)| *name != SET_COOKIE);
        let head = Head {
            url: url.to_string(),
            bytes: body.bytes.len() as u64,
            sha256: digest::of(&body.bytes),
            headers: headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
        };
        let bytes = body.bytes.clone();
        let writing = tokio::task::spawn_blocking(move || -> io::Result<u64> {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = file.seek(SeekFrom::End(0))?;
            let mut line = serde_json::to_vec(&head)?;
            line.push(b'\n');
            file.write_all(&line)?;
            file.write_all(&bytes)?;
            Ok(begin)
        });
        match writing.await {
            Ok(Ok(begin)) => self.judged = Some(begin),
            // A full disk must not cost the walk.
            _ => self.end_early(),
        }
    }

    fn end_early(&mut self) {
        if let (Some(_), Some(path)) = (self.file.take(), &self.path) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for KeptPages {
    fn drop(&mut self) {
        if self.done {
            self.end_early();
        } else if let (Some(at), Some(file)) = (self.judged, &self.file) {
            let _ = file.lock().unwrap_or_else(PoisonError::into_inner).set_len(at);
        }
    }
}

/// Where a page lies in the file: its head from `begin`, its bytes from `at` on.
struct Place {
    begin: u64,
    at: u64,
    head: Head,
}

/// By address.
type Places = HashMap<String, Place>;

/// The file, and what of this walk lies in it whole.
fn open(path: &std::path::Path, walk: &Walk) -> io::Result<(File, Places)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    // Another fetch of this layer keeps its pages here: this one keeps none.
    file.try_lock().map_err(io::Error::from)?;
    let about = file.metadata()?;
    let young = about.modified()?.elapsed().is_ok_and(|age| age < KEEP);
    let mut places = Places::new();
    if young {
        let end = about.len();
        let mut reader = BufReader::new(&file);
        let mut at = 0;
        if read_line::<Walk>(&mut reader, &mut at).as_ref() == Some(walk) {
            let mut whole = at;
            while let Some(head) = read_line::<Head>(&mut reader, &mut at) {
                let behind = at.saturating_add(head.bytes);
                if behind > end || i64::try_from(head.bytes).is_err() {
                    break;
                }
                reader.seek_relative(i64::try_from(head.bytes).unwrap_or(i64::MAX))?;
                places.insert(head.url.clone(), Place { begin: whole, at, head });
                (at, whole) = (behind, behind);
            }
            drop(reader);
            file.set_len(whole)?;
            return Ok((file, places));
        }
    }
    file.set_len(0)?;
    let mut line = serde_json::to_vec(walk)?;
    line.push(b'\n');
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&line)?;
    Ok((file, places))
}

/// A line of JSON; `at` moves behind it.
fn read_line<T: serde::de::DeserializeOwned>(reader: &mut BufReader<&File>, at: &mut u64) -> Option<T> {
    use std::io::BufRead;
    let mut line = Vec::new();
    let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).ok()?;
    let read_as = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    *at += read as u64;
    Some(read_as)
}
