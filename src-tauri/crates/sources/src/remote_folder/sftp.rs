//! SFTP, version 3, over SSH.

use super::host_key::Doorkeeper;
use super::{Doing, Entry, EntryKind, Place, Precision, RemoteFile, RemoteFolder, joined, path_of};
use crate::net::{Client, FetchError, host_of, tcp};
use jiff::Timestamp;
use model::Credentials;
use russh::client::{AuthResult, Config, Handle, connect_stream};
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg};
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const USUAL_PORT: u16 = 22;
/// What every server gives at once.
const PIECE_BYTES: u32 = 32 << 10;
/// More entries are no folder.
const MAX_LISTED: usize = 500_000;

pub(super) struct Sftp {
    files: RawSftpSession,
    /// Dropped, it ends the connection.
    _line: Handle<Doorkeeper>,
    says: Says,
    /// Absolute.
    root: String,
}

struct Says {
    client: Client,
    host: String,
    address: Url,
    user: String,
    limit: Duration,
}

/// What the server is shown.
enum Shown {
    Password(String),
    Key(Box<PrivateKey>),
}

impl Sftp {
    pub(super) async fn open(client: &Client, place: Place<'_>) -> Result<Self, FetchError> {
        let host = host_of(place.url);
        let (user, secret, shown) = shown(&host, place)?;
        let path = path_of(place.url)?;
        let limit = client.options.idle_timeout;
        let says = Says { client: client.clone(), host: host.clone(), address: place.url.clone(), user, limit };
        let port = place.url.port().unwrap_or(USUAL_PORT);
        let known = client.options.known_hosts.clone();
        let doorkeeper = Doorkeeper::new(host.clone(), tcp::host_name(place.url), port, place.host_key, known);
        let stream = tcp::connect(client, place.url, USUAL_PORT).await?;
        let config = Arc::new(config(&doorkeeper));
        let opening = says.step(connect_stream(config, stream, doorkeeper.clone())).await?;
        let mut line = opening.map_err(|error| doorkeeper.refusal().unwrap_or_else(|| says.broken(&error)))?;
        let login = |reason: String| FetchError::Login {
            host: host.clone(),
            user: says.user.clone(),
            secret: Some(secret.clone()),
            reason,
        };
        let entering = says.enter(&mut line, shown).await?;
        match entering.map_err(|error| says.broken(&error))? {
            AuthResult::Success => {}
            AuthResult::Failure { remaining_methods, .. } => {
                let ways: Vec<String> = remaining_methods.iter().map(|way| <&str>::from(way).to_owned()).collect();
                return Err(login(format!("it takes {}", ways.join(", "))));
            }
        }
        let channel = says.step(line.channel_open_session()).await?.map_err(|error| says.broken(&error))?;
        let asked = says.step(channel.request_subsystem(true, "sftp")).await?;
        asked.map_err(|error| says.broken(&error))?;
        let options = russh_sftp::client::Config {
            request_timeout_secs: limit.as_secs().max(1),
            ..russh_sftp::client::Config::default()
        };
        let files = RawSftpSession::new_with_config(channel.into_stream(), options);
        files.init().await.map_err(|error| says.explain(error, ""))?;
        // As others read such addresses: `/~/` is where the server lets the user in.
        let root = match path.strip_prefix("/~").filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            Some(below) => {
                let home = files.realpath(".").await.map_err(|error| says.explain(error, "."))?;
                let home = home.files.into_iter().next().map_or_else(|| "/".to_owned(), |file| file.filename);
                joined(&home, below.trim_matches('/'))
            }
            None => joined("/", path.trim_matches('/')),
        };
        Ok(Self { files, _line: line, says, root })
    }

    async fn listing(&mut self, folder: &str) -> Result<Vec<Entry>, FetchError> {
        let path = joined(&self.root, folder);
        let failed = |error| self.says.explain(error, &path);
        let handle = self.files.opendir(path.as_str()).await.map_err(failed)?.handle;
        let mut entries = Vec::new();
        loop {
            match self.files.readdir(handle.as_str()).await {
                Ok(names) => entries.extend(names.files.into_iter().map(|file| entry(file.filename, &file.attrs))),
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(failed(error)),
            }
            if entries.len() > MAX_LISTED {
                return Err(FetchError::TooMany { folder: path, limit: MAX_LISTED as u64 });
            }
        }
        self.files.close(handle).await.map_err(failed)?;
        Ok(entries)
    }

    async fn content(&mut self, file: &RemoteFile) -> Result<Vec<u8>, FetchError> {
        let path = joined(&self.root, &file.name);
        let failed = |error| self.says.explain(error, &path);
        let changed = || FetchError::Changed { url: format!("{}: {}", self.says.host, file.name) };
        let opening = self.files.open(path.as_str(), OpenFlags::READ, FileAttributes::empty());
        let handle = opening.await.map_err(failed)?.handle;
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            match self.files.read(handle.as_str(), bytes.len() as u64, PIECE_BYTES).await {
                Ok(piece) if piece.data.is_empty() => break,
                Ok(piece) => {
                    self.says.client.count(piece.data.len());
                    bytes.extend_from_slice(&piece.data);
                }
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(failed(error)),
            }
            if bytes.len() as u64 > file.size_bytes {
                return Err(changed());
            }
        }
        let now = self.files.fstat(handle.as_str()).await.map_err(failed)?.attrs;
        self.files.close(handle).await.map_err(failed)?;
        let now = entry(String::new(), &now);
        let same = (now.size_bytes, now.modified_at) == (file.size_bytes, file.modified_at);
        if same && bytes.len() as u64 == file.size_bytes { Ok(bytes) } else { Err(changed()) }
    }
}

impl RemoteFolder for Sftp {
    fn list<'a>(&'a mut self, folder: &'a str) -> Doing<'a, Vec<Entry>> {
        Box::pin(async move {
            let (client, url) = (self.says.client.clone(), self.says.address.clone());
            client.in_time(&url, self.listing(folder)).await
        })
    }

    fn fetch<'a>(&'a mut self, file: &'a RemoteFile) -> Doing<'a, Vec<u8>> {
        Box::pin(async move {
            let (client, url) = (self.says.client.clone(), self.says.address.clone());
            client.in_time(&url, self.content(file)).await
        })
    }
}

/// The user, the name of the secret, and what is shown.
fn shown(host: &str, place: Place<'_>) -> Result<(String, String, Shown), FetchError> {
    let bad = |reason: &str| FetchError::BadAddress { url: host.to_owned(), reason: reason.into() };
    match place.login.map(|login| (login.credentials, login.secret)) {
        Some((Credentials::Basic { user, secret }, held)) => {
            Ok((user.clone(), secret.clone(), Shown::Password(held.reveal().to_owned())))
        }
        Some((Credentials::Key { user, secret }, held)) => {
            let unfit = |detail: String| FetchError::NoSecret { secret: secret.clone(), detail };
            // What the parser says of a key that it cannot read repeats nothing of it.
            let key = russh::keys::decode_secret_key(&format!("{}\n", held.reveal().trim()), None);
            let key = match key {
                Ok(key) if !key.is_encrypted() => key,
                Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => {
                    return Err(unfit(
                        "the private key has a passphrase; keep one without (ssh-keygen -p -N \"\")".into(),
                    ));
                }
                Err(error) => return Err(unfit(format!("it is no private key of OpenSSH: {error}"))),
            };
            Ok((user.clone(), secret.clone(), Shown::Key(Box::new(key))))
        }
        Some(_) => Err(bad("SFTP takes credentials of the kinds basic (a password) and key (a private key)")),
        None => Err(FetchError::Login {
            host: host.to_owned(),
            user: String::new(),
            secret: None,
            reason: "SFTP lets nobody in without a user".into(),
        }),
    }
}

fn config(doorkeeper: &Doorkeeper) -> Config {
    let mut config = Config { nodelay: true, ..Config::default() };
    let first = doorkeeper.preferred();
    if !first.is_empty() {
        let is_rsa = |kind: &Algorithm| matches!(kind, Algorithm::Rsa { .. });
        let mut kinds = config.preferred.key.to_vec();
        // An RSA key is asked for under several names.
        kinds.sort_by_key(|kind| !first.iter().any(|known| known == kind || is_rsa(known) && is_rsa(kind)));
        config.preferred.key = kinds.into();
    }
    config
}

fn entry(name: String, attributes: &FileAttributes) -> Entry {
    let kind = match attributes.file_type() {
        kind if kind.is_file() => EntryKind::File,
        kind if kind.is_dir() => EntryKind::Folder,
        _ => EntryKind::Other,
    };
    let modified_at = Timestamp::from_second(i64::from(attributes.mtime.unwrap_or_default())).unwrap_or_default();
    let size_bytes = attributes.size.unwrap_or_default();
    Entry { name, kind, size_bytes, modified_at, precision: Precision::Second }
}

impl Says {
    async fn step<T>(&self, work: impl Future<Output = T>) -> Result<T, FetchError> {
        let late = |_| FetchError::Timeout { host: self.host.clone(), secs: self.limit.as_secs(), answered: true };
        tokio::time::timeout(self.limit, work).await.map_err(late)
    }

    async fn enter(
        &self,
        line: &mut Handle<Doorkeeper>,
        shown: Shown,
    ) -> Result<Result<AuthResult, russh::Error>, FetchError> {
        match shown {
            Shown::Password(password) => self.step(line.authenticate_password(self.user.as_str(), password)).await,
            Shown::Key(key) => {
                self.step(async {
                    let hash = line.best_supported_rsa_hash().await?.flatten();
                    let key = PrivateKeyWithHashAlg::new(Arc::new(*key), hash);
                    line.authenticate_publickey(self.user.as_str(), key).await
                })
                .await
            }
        }
    }

    fn broken(&self, error: &russh::Error) -> FetchError {
        let host = self.host.clone();
        match error {
            russh::Error::IO(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                FetchError::Refused { host }
            }
            russh::Error::IO(_) | russh::Error::HUP => FetchError::Reset { host, answered: true },
            russh::Error::Disconnect | russh::Error::SendError | russh::Error::RecvError => FetchError::Ended { host },
            russh::Error::Version | russh::Error::NoCommonAlgo { .. } => {
                FetchError::Malformed { url: self.address.to_string(), what: error.to_string() }
            }
            error => FetchError::Service { host, code: "ssh".into(), reason: error.to_string() },
        }
    }

    fn explain(&self, error: SftpError, path: &str) -> FetchError {
        let host = self.host.clone();
        match error {
            SftpError::Status(status) => match status.status_code {
                StatusCode::NoSuchFile | StatusCode::PermissionDenied => FetchError::NoAccess {
                    host,
                    user: self.user.clone(),
                    collection: path.to_owned(),
                    reason: status.status_code.to_string(),
                },
                StatusCode::ConnectionLost | StatusCode::NoConnection => FetchError::Truncated { host },
                code => {
                    let text: String = status.error_message.chars().filter(|c| !c.is_control()).take(200).collect();
                    FetchError::Service { host, code: code.to_string(), reason: format!("{path}: {text}") }
                }
            },
            SftpError::Timeout => FetchError::Timeout { host, secs: self.limit.as_secs(), answered: true },
            // The connection ended under the question.
            SftpError::IO(_) | SftpError::UnexpectedBehavior(_) => FetchError::Truncated { host },
            SftpError::UnexpectedPacket | SftpError::Limited(_) => {
                FetchError::Malformed { url: self.address.to_string(), what: error.to_string() }
            }
        }
    }
}
