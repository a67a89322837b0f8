//! A file on its way: set down in pieces, taken up again where it was cut (RFC 9110, sections 13 and 14).
//!
//! Beside the part lies a note of what the server said about it. A part is only continued under `If-Range` with a strong
//! validator, and only as the bytes were packed; everything else begins anew.

use super::malformed;
use crate::net::{Client, FetchError, condition, digest, host_of, http_date, is_gzip, text_of, validator_of};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWriteExt;
use url::Url;

const ACCEPTED: &str = "application/geo+json, application/json, application/geo+json-seq, text/csv, */*;q=0.5";
/// A line that is cut this often within one fetch is left to the next.
const MAX_CUTS: u32 = 8;
/// A Last-Modified this much older than the answer is a strong validator (RFC 9110, section 8.8.2.2).
const STRONG_AFTER_SECS: i64 = 60;

/// What the server said about the part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Note {
    url: String,
    stamp: Stamp,
    /// For `If-Range`; `None` where the part cannot be continued.
    strong: Option<String>,
    gzip: bool,
    /// Packed, where the server told.
    total_bytes: Option<u64>,
    /// What the whole must hash to, packed, where the server told.
    #[serde(default)]
    sha256: Option<[u8; 32]>,
}

/// What the server said about the file's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) validator: Option<String>,
    /// An HTTP date.
    pub(super) last_modified: Option<String>,
}

pub(super) enum Arrived {
    NotModified,
    /// Unpacked; the path stands until [`Transfer::clear`].
    Whole {
        path: PathBuf,
        stamp: Stamp,
    },
}

pub(super) struct Transfer<'a> {
    client: &'a Client,
    url: &'a Url,
    part: PathBuf,
    /// The part has the layer's own name, under which the next fetch finds it.
    lasting: bool,
    file: tokio::fs::File,
    len_bytes: u64,
    note: Note,
}

impl<'a> Transfer<'a> {
    /// Takes up what lies in `folder` for this layer and address.
    pub(super) async fn open(client: &'a Client, url: &'a Url, folder: &Path, layer: &str) -> Result<Self, FetchError> {
        static OTHERS: AtomicU64 = AtomicU64::new(0);
        tokio::fs::create_dir_all(folder).await.map_err(|error| staging(folder, &error))?;
        let mut part = folder.join(format!("{layer}.part"));
        let mut file = open_part(&part)?;
        let lasting = file.try_lock().is_ok();
        if !lasting {
            // Another fetch of this layer is under way, here or in another process: both may finish.
            let other = OTHERS.fetch_add(1, Ordering::Relaxed);
            part = folder.join(format!("{layer}-{}-{other}.part", std::process::id()));
            file = open_part(&part)?;
        }
        let len_bytes = file.metadata().map_err(|error| staging(&part, &error))?.len();
        let kept = tokio::fs::read(note_of(&part)).await.ok();
        let note: Note = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let usable = note.url == url.as_str() && note.strong.is_some() && note.total_bytes != Some(len_bytes);
        let file = tokio::fs::File::from_std(file);
        let mut transfer = Self { client, url, part, lasting, file, len_bytes, note };
        if !usable {
            transfer.begin(Note::default()).await?;
        }
        Ok(transfer)
    }

    /// Fetches what is missing. `held` is the validator of what the caller has.
    pub(super) async fn run(&mut self, held: Option<&str>) -> Result<Arrived, FetchError> {
        let mut cuts = 0;
        // What is packed on the fly cannot be continued: after a cut it is asked for as it lies.
        let mut as_it_lies = false;
        loop {
            let before_bytes = self.len_bytes;
            match self.attempt(held, as_it_lies).await {
                Err(FetchError::Truncated { .. } | FetchError::Reset { answered: true, .. })
                    if cuts < MAX_CUTS && self.len_bytes > before_bytes => {}
                Err(FetchError::Changed { .. }) if cuts < MAX_CUTS => self.begin(Note::default()).await?,
                Err(
                    error @ (FetchError::TooLarge { .. } | FetchError::Malformed { .. } | FetchError::Damaged { .. }),
                ) => {
                    self.clear().await;
                    return Err(error);
                }
                outcome => return outcome,
            }
            cuts += 1;
            if self.note.strong.is_none() {
                self.begin(Note::default()).await?;
                as_it_lies = true;
            }
        }
    }

    /// One request. `changed`: the part is of no use any more.
    async fn attempt(&mut self, held: Option<&str>, as_it_lies: bool) -> Result<Arrived, FetchError> {
        let packing = if as_it_lies { "identity" } else { "gzip" };
        let mut headers: Vec<(HeaderName, String)> =
            vec![(ACCEPT, ACCEPTED.to_owned()), (ACCEPT_ENCODING, packing.to_owned())];
        match &self.note.strong {
            Some(strong) if self.len_bytes > 0 => {
                headers.push((RANGE, format!("bytes={}-", self.len_bytes)));
                headers.push((IF_RANGE, strong.clone()));
            }
            _ => headers.extend(held.map(condition)),
        }
        let changed = || FetchError::Changed { url: self.url.to_string() };
        let response = match self.client.open_packed(self.url, &headers).await {
            Err(FetchError::Status { status: 416, .. }) if self.len_bytes > 0 => return Err(changed()),
            other => other?,
        };
        match response.status() {
            StatusCode::NOT_MODIFIED if self.len_bytes == 0 && held.is_some() => return Ok(Arrived::NotModified),
            StatusCode::NOT_MODIFIED => {
                return Err(malformed(self.url, "304 was answered without being asked for"));
            }
            StatusCode::PARTIAL_CONTENT => {
                let (start, total) = content_range(response.headers())
                    .ok_or_else(|| malformed(self.url, "a part came without saying which"))?;
                let same = self.note_from(&response)?.gzip == self.note.gzip
                    && self.note.total_bytes.is_none_or(|known| total.is_none_or(|total| known == total));
                if self.len_bytes == 0 || start != self.len_bytes || !same {
                    return Err(changed());
                }
                self.note.total_bytes = self.note.total_bytes.or(total);
            }
            _ => self.begin(self.note_from(&response)?).await?,
        }
        self.take(response).await?;
        self.unpacked().await
    }

    fn note_from(&self, response: &Response) -> Result<Note, FetchError> {
        let headers = response.headers();
        let gzip = is_gzip(self.url, headers)?;
        Ok(Note {
            url: self.url.to_string(),
            stamp: Stamp { validator: validator_of(headers), last_modified: text_of(headers, "last-modified") },
            strong: strong_validator(headers),
            gzip,
            total_bytes: response.content_length(),
            sha256: digest::promised(headers, response.status() == StatusCode::OK),
        })
    }

    /// Sets the part down as it comes.
    async fn take(&mut self, mut response: Response) -> Result<(), FetchError> {
        let host = host_of(self.url);
        let limit_bytes = self.client.options.body_limit_bytes;
        loop {
            let chunk = match response.chunk().await {
                Ok(chunk) => chunk,
                Err(error) => {
                    // What has come counts: the next request asks for the rest of it.
                    self.file.flush().await.map_err(|error| staging(&self.part, &error))?;
                    return Err(self.client.explain(&error, &host, true));
                }
            };
            let Some(chunk) = chunk else { break };
            if self.len_bytes + chunk.len() as u64 > limit_bytes {
                return Err(FetchError::TooLarge { host, limit_bytes });
            }
            self.client.count(chunk.len());
            self.file.write_all(&chunk).await.map_err(|error| staging(&self.part, &error))?;
            self.len_bytes += chunk.len() as u64;
        }
        self.file.flush().await.map_err(|error| staging(&self.part, &error))?;
        match self.note.total_bytes {
            Some(total) if total > self.len_bytes => Err(FetchError::Truncated { host }),
            Some(total) if total < self.len_bytes => Err(FetchError::Changed { url: self.url.to_string() }),
            _ => Ok(()),
        }
    }

    /// The whole file as it is to be read.
    async fn unpacked(&self) -> Result<Arrived, FetchError> {
        let (part, whole) = (self.part.clone(), self.part.with_extension("whole"));
        let limit_bytes = self.client.options.body_limit_bytes;
        let (gzip, promised) = (self.note.gzip, self.note.sha256);
        let work = tokio::task::spawn_blocking(move || {
            hold_against(&part, promised)?;
            unpack(part, whole, gzip, limit_bytes)
        });
        let path = match work.await.map_err(|_| FetchError::Cancelled)? {
            Ok(path) => path,
            Err(Unpack::Other) => return Err(FetchError::Damaged { host: host_of(self.url) }),
            Err(Unpack::Cut) => return Err(FetchError::Truncated { host: host_of(self.url) }),
            Err(Unpack::TooLarge) => return Err(FetchError::TooLarge { host: host_of(self.url), limit_bytes }),
            Err(Unpack::Damaged(reason)) => {
                return Err(malformed(self.url, format!("the packed file is damaged: {reason}")));
            }
            Err(Unpack::Here(path, error)) => return Err(staging(&path, &error)),
        };
        Ok(Arrived::Whole { path, stamp: self.note.stamp.clone() })
    }

    /// Begins anew under a note.
    async fn begin(&mut self, note: Note) -> Result<(), FetchError> {
        let wrong = |error: &std::io::Error| staging(&self.part, error);
        self.file.set_len(0).await.map_err(|error| wrong(&error))?;
        self.len_bytes = 0;
        let text = serde_json::to_vec(&note).unwrap_or_default();
        tokio::fs::write(note_of(&self.part), text).await.map_err(|error| wrong(&error))?;
        self.note = note;
        Ok(())
    }

    /// Leaves the part to the next fetch, if that can find it.
    pub(super) async fn leave(&mut self) {
        if !self.lasting {
            self.clear().await;
        }
    }

    /// Takes away what lies here: it was read, or is of no use. What cannot be taken away is begun anew next time.
    pub(super) async fn clear(&mut self) {
        for path in [note_of(&self.part), self.part.with_extension("whole"), self.part.clone()] {
            let _ = tokio::fs::remove_file(path).await;
        }
    }
}

/// Appends, so that a part that is emptied is written from its start.
fn open_part(path: &Path) -> Result<File, FetchError> {
    let open = File::options().create(true).append(true).read(true).open(path);
    open.map_err(|error| staging(path, &error))
}

fn note_of(part: &Path) -> PathBuf {
    part.with_extension("json")
}

fn staging(path: &Path, error: &std::io::Error) -> FetchError {
    FetchError::Staging { path: path.to_path_buf(), reason: error.to_string() }
}

/// A validator under which bytes may be put together: no weak ETag, and no date that a second change could share.
fn strong_validator(headers: &HeaderMap) -> Option<String> {
    if let Some(tag) = text_of(headers, "etag") {
        return Some(tag).filter(|tag| tag.starts_with('"'));
    }
    let modified = text_of(headers, "last-modified")?;
    let age_secs = http_date(&text_of(headers, "date")?)?.as_second() - http_date(&modified)?.as_second();
    Some(modified).filter(|_| age_secs >= STRONG_AFTER_SECS)
}

/// First byte and whole length of `Content-Range: bytes 5-9/10`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = text_of(headers, "content-range")?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

enum Unpack {
    Cut,
    /// It does not hash to what the server said.
    Other,
    TooLarge,
    Damaged(String),
    Here(PathBuf, std::io::Error),
}

/// Holds what lies here against the digest that the server gave of it.
fn hold_against(part: &Path, promised: Option<digest::Sha>) -> Result<(), Unpack> {
    let Some(promised) = promised else { return Ok(()) };
    let found =
        File::open(part).and_then(digest::of_reader).map_err(|error| Unpack::Here(part.to_path_buf(), error))?;
    if found == promised { Ok(()) } else { Err(Unpack::Other) }
}

/// Unpacks what is packed, be it for the way or by its owner; else the part itself is the whole.
fn unpack(part: PathBuf, whole: PathBuf, gzip: bool, limit_bytes: u64) -> Result<PathBuf, Unpack> {
    let here = |error| Unpack::Here(part.clone(), error);
    let mut head = [0; 2];
    let read = File::open(&part).and_then(|mut file| file.read(&mut head)).map_err(here)?;
    if !gzip && head[..read] != [0x1f, 0x8b] {
        return Ok(part);
    }
    let mut from = flate2::read::MultiGzDecoder::new(File::open(&part).map_err(here)?);
    let mut to = File::create(&whole).map_err(|error| Unpack::Here(whole.clone(), error))?;
    let mut room = vec![0; 256 << 10];
    let mut done_bytes = 0;
    loop {
        let read = match from.read(&mut room) {
            Ok(0) => return Ok(whole),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(Unpack::Cut),
            Err(error) => return Err(Unpack::Damaged(error.to_string())),
        };
        done_bytes += read as u64;
        if done_bytes > limit_bytes {
            return Err(Unpack::TooLarge);
        }
        std::io::Write::write_all(&mut to, &room[..read]).map_err(|error| Unpack::Here(whole.clone(), error))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_strong_validators_put_parts_together() {
        let date = ("date", "Mon, 23 Nov 2026 14:00:00 GMT");
        let old = ("last-modified", "Mon, 23 Nov 2026 13:00:00 GMT");
        let new = ("last-modified", "Mon, 23 Nov 2026 13:59:59 GMT");
        assert_eq!(strong_validator(&headers(&[("etag", "\"a\""), old])).as_deref(), Some("\"a\""));
        assert_eq!(strong_validator(&headers(&[("etag", "W/\"a\""), old, date])), None);
        assert_eq!(strong_validator(&headers(&[old, date])).as_deref(), Some(old.1));
        assert_eq!(strong_validator(&headers(&[new, date])), None);
        assert_eq!(strong_validator(&headers(&[old])), None);
    }

    #[test]
    fn parts_say_where_they_begin() {
        assert_eq!(content_range(&headers(&[("content-range", "bytes 5-9/10")])), Some((5, Some(10))));
        assert_eq!(content_range(&headers(&[("content-range", "bytes 5-9/*")])), Some((5, None)));
        assert_eq!(content_range(&headers(&[("content-range", "lines 5-9/10")])), None);
    }

    #[test]
    fn bombs_are_stopped_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("a.part");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packer, &vec![b' '; 4 << 20]).unwrap();
        let packed = packer.finish().unwrap();
        std::fs::write(&part, &packed).unwrap();
        let whole = folder.path().join("a.whole");
        assert!(matches!(unpack(part.clone(), whole.clone(), true, 1 << 20), Err(Unpack::TooLarge)));
        assert!(matches!(unpack(part.clone(), whole.clone(), false, 8 << 20), Ok(path) if path == whole));
        std::fs::write(&part, &packed[..packed.len() / 2]).unwrap();
        assert!(matches!(unpack(part, whole, true, 8 << 20), Err(Unpack::Cut)));
    }
}
