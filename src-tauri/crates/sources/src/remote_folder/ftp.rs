//! FTP (RFC 959, 2428, 3659), plain and by TLS (RFC 4217; port 990: TLS from the first byte).

use super::ftp_words::{Shape, entries};
use super::{Doing, Entry, Place, RemoteFile, RemoteFolder, joined, path_of};
use crate::net::{Client, FetchError, host_of, tcp};
use model::Credentials;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use suppaftp::tokio::{AsyncNativeTlsConnector, AsyncNativeTlsFtpStream, AsyncNativeTlsStream, TransferStream};
use suppaftp::types::FileType;
use suppaftp::{FtpError, FtpResult, Mode, Status, async_native_tls};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use url::Url;

const USUAL_PORT: u16 = 21;
/// TLS from the first byte, as before RFC 4217.
const IMPLICIT_PORT: u16 = 990;
/// 500,000 names of ordinary length.
const LISTING_BYTES: u64 = 64 << 20;

pub(super) struct Ftp {
    line: AsyncNativeTlsFtpStream,
    says: Says,
    /// Absolute.
    root: String,
    /// The server knows `MLSD`; else there is only `LIST`.
    by_machine: bool,
    /// A transfer was made: how to ask is known.
    transferred: bool,
}

/// Who speaks with whom, and how long one waits.
struct Says {
    client: Client,
    host: String,
    url: String,
    address: Url,
    user: String,
    secret: Option<String>,
    limit: Duration,
}

impl Ftp {
    pub(super) async fn open(client: &Client, place: Place<'_>) -> Result<Self, FetchError> {
        let host = host_of(place.url);
        let bad = |reason: &str| FetchError::BadAddress { url: host.clone(), reason: reason.into() };
        let (user, password, secret) = match place.login.map(|login| (login.credentials, login.secret)) {
            None => ("anonymous".to_owned(), "anonymous@".to_owned(), None),
            Some((Credentials::Basic { user, secret }, held)) => {
                (user.clone(), held.reveal().to_owned(), Some(secret.clone()))
            }
            Some(_) => return Err(bad("FTP takes credentials of the kind basic only: a user and a password")),
        };
        let path = path_of(place.url)?;
        let limit = client.options.idle_timeout;
        let (url, address) = (place.url.to_string(), place.url.clone());
        let says = Says { client: client.clone(), host, url, address, user, secret, limit };
        let mut line = says.connect(place.url).await?;
        let entering = line.login(says.user.as_str(), password.as_str());
        says.step(entering).await?.map_err(|error| says.not_let_in(error))?;
        if place.url.scheme() == "ftps" && place.url.port() == Some(IMPLICIT_PORT) {
            // Some servers leave data in the clear until they are told; some know no such words.
            for word in ["PBSZ 0", "PROT P"] {
                match says.step(line.custom_command(word, &[Status::CommandOk])).await? {
                    Ok(_) | Err(FtpError::UnexpectedResponse(_)) => {}
                    Err(error) => return Err(says.explain(error, "")),
                }
            }
        }
        says.step(line.transfer_type(FileType::Binary)).await?.map_err(|error| says.explain(error, ""))?;
        // The extended command names no address that could lie.
        line.set_mode(Mode::ExtendedPassive);
        line.set_passive_nat_workaround(true);
        // Who knows no features has none.
        let features = says.step(line.feat()).await?.unwrap_or_default();
        let has = |name: &str| features.keys().any(|feature| feature.trim().eq_ignore_ascii_case(name));
        let by_machine = has("MLST") || has("MLSD");
        if has("UTF8") {
            // What it answers changes nothing: names are read as UTF-8.
            let _ = says.step(line.opts("UTF8", Some("ON"))).await?;
        }
        let root = match path.strip_prefix("//") {
            Some(absolute) => format!("/{absolute}"),
            None => {
                let home = says.step(line.pwd()).await?.map_err(|error| says.explain(error, "."))?;
                joined(&home, path.trim_start_matches('/'))
            }
        };
        let root = if root.len() > 1 { root.trim_end_matches('/').to_owned() } else { root };
        Ok(Self { line, says, root, by_machine, transferred: false })
    }

    async fn listing(&mut self, folder: &str) -> Result<Vec<Entry>, FetchError> {
        let path = joined(&self.root, folder);
        self.enter(&path).await?;
        let word = if self.by_machine { "MLSD" } else { "LIST" };
        let stream = match self.transfer(word, &path).await {
            Err(FetchError::Service { code, .. }) if self.by_machine && (code.starts_with("50")) => {
                self.by_machine = false;
                self.transfer("LIST", &path).await?
            }
            other => other?,
        };
        let bytes = self.received(stream, LISTING_BYTES, &path).await?;
        let shape = if self.by_machine { Shape::Machine } else { Shape::People };
        entries(&bytes, shape).ok_or_else(|| FetchError::Malformed {
            url: self.says.url.clone(),
            what: format!("{path}: its listing has no form that is known"),
        })
    }

    /// Goes into a folder: many servers list one that is not there as an empty one.
    async fn enter(&mut self, path: &str) -> Result<(), FetchError> {
        self.says.step(self.line.cwd(path)).await?.map_err(|error| self.says.explain(error, path))
    }

    /// Begins a transfer; by the old command where the server does not know the extended one.
    async fn transfer(&mut self, command: &str, path: &str) -> Result<Transfer, FetchError> {
        let begins = [Status::AboutToSend, Status::AlreadyOpen];
        let mut asked = self.says.step(self.line.custom_data_command(command, &begins)).await?;
        // The first transfer is a listing of a folder that could be entered: what is refused is the way of asking.
        if let (Err(FtpError::UnexpectedResponse(answer)), false) = (&asked, self.transferred)
            && (500..600).contains(&code_of(&answer.body))
            && !speaks_of_tls(&answer.body)
        {
            self.line.set_mode(Mode::Passive);
            asked = self.says.step(self.line.custom_data_command(command, &begins)).await?;
        }
        self.transferred |= asked.is_ok();
        asked.map(|(_, stream)| stream).map_err(|error| self.says.explain(error, path))
    }

    /// All that comes, when the server says that it was all.
    async fn received(&self, mut stream: Transfer, limit_bytes: u64, path: &str) -> Result<Vec<u8>, FetchError> {
        let says = &self.says;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 32 << 10];
        loop {
            let read = tokio::time::timeout(says.limit, stream.read(&mut chunk)).await;
            match read.map_err(|_| says.silent())? {
                Ok(0) => break,
                Ok(count) => {
                    says.client.count(count);
                    if (bytes.len() + count) as u64 > limit_bytes {
                        return Err(FetchError::TooLarge { host: says.host.clone(), limit_bytes });
                    }
                    bytes.extend_from_slice(&chunk[..count]);
                }
                Err(_) => return Err(FetchError::Truncated { host: says.host.clone() }),
            }
        }
        says.step(stream.finish()).await?.map_err(|error| match error {
            FtpError::ConnectionError(_) => FetchError::Truncated { host: says.host.clone() },
            error => says.explain(error, path),
        })?;
        Ok(bytes)
    }
}

impl RemoteFolder for Ftp {
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

impl Ftp {
    async fn content(&mut self, file: &RemoteFile) -> Result<Vec<u8>, FetchError> {
        let path = joined(&self.root, &file.name);
        let stream = self.transfer(&format!("RETR {path}"), &path).await?;
        // One byte more than there should be tells that somebody writes it.
        match self.received(stream, file.size_bytes, &path).await {
            Ok(bytes) if bytes.len() as u64 == file.size_bytes => Ok(bytes),
            Ok(_) | Err(FetchError::TooLarge { .. }) => {
                Err(FetchError::Changed { url: format!("{}: {}", self.says.host, file.name) })
            }
            Err(error) => Err(error),
        }
    }
}

impl Says {
    async fn connect(&self, url: &Url) -> Result<AsyncNativeTlsFtpStream, FetchError> {
        let line = if url.scheme() == "ftps" && url.port() == Some(IMPLICIT_PORT) {
            self.connect_implicitly(url).await?
        } else {
            let stream = tcp::connect(&self.client, url, USUAL_PORT).await?;
            let greeted = self.step(AsyncNativeTlsFtpStream::connect_with_stream(stream)).await?;
            let line = greeted.map_err(|error| self.explain(error, ""))?;
            match url.scheme() {
                "ftps" => {
                    let secured = self.step(line.into_secure(self.connector(url)?, tcp::host_name(url))).await?;
                    secured.map_err(|error| self.not_secured(error))?
                }
                _ => line,
            }
        };
        let limit = self.client.options.connect_timeout;
        Ok(line.passive_stream_builder(move |address| Box::pin(data_connection(address, limit))))
    }

    /// suppaftp makes these connections itself: it is given addresses that were judged, and no name.
    async fn connect_implicitly(&self, url: &Url) -> Result<AsyncNativeTlsFtpStream, FetchError> {
        let mut last = FetchError::Dns { host: self.host.clone() };
        for address in tcp::ways(&self.client, url).await?.permitted {
            let address = SocketAddr::new(address, IMPLICIT_PORT);
            let connector = self.connector(url)?;
            let connecting = AsyncNativeTlsFtpStream::connect_secure_implicit(address, connector, tcp::host_name(url));
            match self.step(connecting).await? {
                Ok(line) => return Ok(line),
                Err(error) => last = self.not_secured(error),
            }
        }
        Err(last)
    }

    fn connector(&self, url: &Url) -> Result<AsyncNativeTlsConnector, FetchError> {
        let tls = |reason: String| FetchError::Tls { host: self.host.clone(), reason };
        let mut connector = async_native_tls::TlsConnector::new();
        let mut authorities = url.query_pairs().filter(|(name, _)| name == "sslrootcert");
        if let Some((_, path)) = authorities.next() {
            let pem = std::fs::read(&*path).map_err(|error| tls(format!("{path}: {error}")))?;
            let known = async_native_tls::Certificate::from_pem(&pem);
            connector = connector.add_root_certificate(known.map_err(|error| tls(format!("{path}: {error}")))?);
        }
        Ok(AsyncNativeTlsConnector::from(connector))
    }

    /// Waits for what the server says to one command.
    async fn step<T>(&self, work: impl Future<Output = FtpResult<T>>) -> Result<FtpResult<T>, FetchError> {
        tokio::time::timeout(self.limit, work).await.map_err(|_| self.silent())
    }

    fn silent(&self) -> FetchError {
        FetchError::Timeout { host: self.host.clone(), secs: self.limit.as_secs(), answered: true }
    }

    fn not_let_in(&self, error: FtpError) -> FetchError {
        match error {
            FtpError::UnexpectedResponse(answer) if matches!(code_of(&answer.body), 331 | 332 | 430 | 500..=599) => {
                FetchError::Login {
                    host: self.host.clone(),
                    user: self.user.clone(),
                    secret: self.secret.clone(),
                    reason: text_of(&answer.body),
                }
            }
            error => self.explain(error, ""),
        }
    }

    fn not_secured(&self, error: FtpError) -> FetchError {
        let way_out = "; sslrootcert=FILE in the address names the authority";
        match self.explain(error, "") {
            FetchError::Tls { host, reason } => FetchError::Tls { host, reason: format!("{reason}{way_out}") },
            FetchError::Service { host, code, reason } => {
                let reason = format!("the server offers no TLS: {reason} ({code}); ftp:// speaks without it");
                FetchError::Tls { host, reason }
            }
            // vsftpd without TLS says to `AUTH` what it says to everything before a login.
            FetchError::Login { host, reason, .. } => {
                let reason = format!("the server offers no TLS: {reason}; ftp:// speaks without it");
                FetchError::Tls { host, reason }
            }
            error => error,
        }
    }

    /// An error in words of [`FetchError`]; `path` is what was asked for, empty where it was nothing of the kind.
    fn explain(&self, error: FtpError, path: &str) -> FetchError {
        let host = self.host.clone();
        match error {
            FtpError::ConnectionError(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => FetchError::Refused { host },
                io::ErrorKind::TimedOut => self.silent(),
                io::ErrorKind::UnexpectedEof => FetchError::Ended { host },
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                    FetchError::Malformed { url: self.url.clone(), what: error.to_string() }
                }
                io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                    FetchError::Reset { host, answered: true }
                }
                _ => FetchError::Unreachable { host, reason: error.to_string() },
            },
            FtpError::SecureError(reason) => FetchError::Tls { host, reason },
            FtpError::UnexpectedResponse(answer) => {
                let (code, reason) = (code_of(&answer.body), text_of(&answer.body));
                match code {
                    421 => FetchError::Status { host, status: 503, retry_after_secs: None },
                    426 | 451 => FetchError::Truncated { host },
                    _ if speaks_of_tls(&answer.body) && !path.is_empty() => FetchError::Tls { host, reason },
                    450 | 550 | 553 if !path.is_empty() => {
                        FetchError::NoAccess { host, user: self.user.clone(), collection: path.to_owned(), reason }
                    }
                    530 | 532 => self.not_let_in(FtpError::UnexpectedResponse(answer)),
                    _ => FetchError::Service { host, code: code.to_string(), reason },
                }
            }
            FtpError::BadResponse | FtpError::InvalidAddress(_) | FtpError::DataConnectionAlreadyOpen => {
                FetchError::Malformed { url: self.url.clone(), what: error.to_string() }
            }
        }
    }
}

type Transfer = TransferStream<AsyncNativeTlsStream>;

async fn data_connection(address: SocketAddr, limit: Duration) -> FtpResult<TcpStream> {
    let connecting = tokio::time::timeout(limit, TcpStream::connect(address)).await;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no data connection");
    connecting.map_err(late).and_then(|connected| connected).map_err(FtpError::ConnectionError)
}

/// The three digits that an answer begins with; 0 for none.
fn code_of(answer: &[u8]) -> u16 {
    answer.get(..3).and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// What an answer says to people, cut to a sentence's length.
fn text_of(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer.get(4..).unwrap_or(answer));
    text.trim().chars().filter(|c| !c.is_control()).take(200).collect()
}

fn speaks_of_tls(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    text.contains("ssl") || text.contains("tls")
}
