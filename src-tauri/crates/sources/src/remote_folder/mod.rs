//! Folders of other machines, by FTP, FTPS and SFTP: what lies in them, and one file at a time.
//!
//! [`open`] logs in and gives a [`RemoteFolder`], [`walk`] goes through it. Names come from the other side: what could
//! lead out of the folder, or cannot be a file's name here, is passed on as unusable and never asked for. Links are not
//! followed. A transfer counts when the server says that it is whole and it is as long as the listing told.
//!
//! Names of hosts are judged by the guard that holds for HTTP too; the data connections of FTP go to the host of its control
//! connection, whatever address the server names.

mod ftp;
mod ftp_words;
mod host_key;
mod sftp;
mod walk;

pub use walk::{Look, Walked, walk};

use crate::features::Login;
use crate::net::{Client, FetchError, host_of};
use jiff::Timestamp;
use std::pin::Pin;
use url::Url;

/// A folder of another machine, and how to get into it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `ftp://host/path`, `ftps://host/path` (TLS at once on port 990, else after asking for it) or
    /// `sftp://host/path`. Paths of FTP begin in the folder that the server lets the user into, those of SFTP at the root.
    pub url: &'a Url,
    pub login: Option<Login<'a>>,
    /// The fingerprint of the server's key, `SHA256:…`; without it the user's `known_hosts` must have the key. SFTP only.
    pub host_key: Option<&'a str>,
}

/// How exactly a server tells when a file was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Second,
    /// Listings of the form of `ls -l`, for half a year.
    Minute,
    /// The same after that.
    Day,
}

impl Precision {
    /// Whether a time that was noted earlier, perhaps more exactly, is that of a listing.
    pub fn same(self, noted: Timestamp, listed: Timestamp) -> bool {
        let cut = match self {
            Self::Second => return noted == listed,
            Self::Minute => 60,
            Self::Day => 86_400,
        };
        noted.as_second().div_euclid(cut) == listed.as_second().div_euclid(cut)
    }
}

/// What stands in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As the server writes it, what is not UTF-8 replaced.
    pub name: String,
    pub kind: EntryKind,
    pub size_bytes: u64,
    pub modified_at: Timestamp,
    pub precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Folder,
    /// A link or a device.
    Other,
}

/// A file below the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Relative to the folder, with `/`.
    pub name: String,
    pub size_bytes: u64,
    pub modified_at: Timestamp,
    pub precision: Precision,
    /// False for a name that no file can have here, or that would lead out of the folder: it is not asked for.
    pub usable: bool,
}

type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, FetchError>> + Send + 'a>>;

/// An open connection. Dropping it ends the connection at once.
pub trait RemoteFolder: Send {
    /// What stands in a folder, given relative to the root; `""` is the root itself.
    ///
    /// # Errors
    /// [`FetchError::NoAccess`] for a folder that is not there or not for this user: the connection goes on.
    /// [`FetchError::TooLarge`] for an endless listing.
    fn list<'a>(&'a mut self, folder: &'a str) -> Doing<'a, Vec<Entry>>;

    /// The content of a file, whole.
    ///
    /// # Errors
    /// [`FetchError::NoAccess`] as there; [`FetchError::Changed`] when it is not as long as listed: somebody writes it;
    /// [`FetchError::Truncated`] when it was cut.
    fn fetch<'a>(&'a mut self, file: &'a RemoteFile) -> Doing<'a, Vec<u8>>;
}

/// Whether an address is that of a remote folder.
pub fn is_remote(url: &Url) -> bool {
    matches!(url.scheme(), "ftp" | "ftps" | "sftp")
}

/// Logs in and finds the folder.
///
/// # Errors
/// Those of a connection; [`FetchError::Login`], [`FetchError::HostKey`], [`FetchError::NoSecret`] for a private key that
/// is none, [`FetchError::BadAddress`].
pub async fn open(client: &Client, place: Place<'_>) -> Result<Box<dyn RemoteFolder>, FetchError> {
    let bad = |reason: &str| FetchError::BadAddress { url: host_of(place.url), reason: reason.into() };
    if place.url.password().is_some() || !place.url.username().is_empty() {
        return Err(bad("user and password must not stand in it; the source names them under credentials"));
    }
    client
        .in_time(place.url, async {
            match place.url.scheme() {
                "ftp" | "ftps" => Ok(Box::new(ftp::Ftp::open(client, place).await?) as Box<dyn RemoteFolder>),
                "sftp" => Ok(Box::new(sftp::Sftp::open(client, place).await?) as Box<dyn RemoteFolder>),
                _ => Err(bad("it begins with none of ftp://, ftps://, sftp://")),
            }
        })
        .await
}

/// The path of an address, decoded.
fn path_of(url: &Url) -> Result<String, FetchError> {
    let bad = |reason: &str| FetchError::BadAddress { url: url.to_string(), reason: reason.into() };
    // A query makes the same of it as a path: percent signs stand for bytes.
    let query = format!("p={}", url.path().replace('+', "%2B").replace('&', "%26"));
    let path = url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, path)| path.into_owned());
    let path = path.unwrap_or_default();
    if path.contains(char::REPLACEMENT_CHARACTER) {
        return Err(bad("its path is not UTF-8"));
    }
    if path.chars().any(char::is_control) {
        return Err(bad("its path holds control characters"));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(bad("its path leads upwards"));
    }
    Ok(path)
}

/// A folder's path with a name behind it.
fn joined(root: &str, name: &str) -> String {
    match (root.trim_end_matches('/'), name) {
        ("", "") => "/".to_owned(),
        (root, "") => root.to_owned(),
        (root, name) => format!("{root}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_and_stay_below_their_root() {
        let path = |url: &str| path_of(&url.parse().unwrap()).map_err(|error| error.code());
        assert_eq!(path("sftp://h/srv/tr%E1%BA%A1m%20A+B").unwrap(), "/srv/trạm A+B");
        assert_eq!(path("ftp://h").unwrap(), "/");
        assert_eq!(path("ftp://h//srv/x").unwrap(), "//srv/x");
        for wrong in ["sftp://h/a/%2e%2e%2fb", "sftp://h/a%0d%0aDELE%20x", "sftp://h/%ff", "ftps://h/a%00"] {
            assert_eq!(path(wrong), Err("bad_address"), "{wrong}");
        }
        assert_eq!((joined("/", "a").as_str(), joined("/srv/", "a/b").as_str()), ("/a", "/srv/a/b"));
        assert_eq!((joined("/", "").as_str(), joined("/srv", "").as_str()), ("/", "/srv"));
    }

    #[test]
    fn times_are_compared_as_exactly_as_the_server_tells_them() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (noted, listed) = (at("2026-03-25T00:05:31Z"), at("2026-03-25T00:05:00Z"));
        assert!(Precision::Minute.same(noted, listed) && !Precision::Second.same(noted, listed));
        assert!(Precision::Day.same(noted, at("2026-03-25T00:00:00Z")));
        assert!(!Precision::Day.same(noted, at("2026-03-26T00:00:00Z")));
    }
}
