//! The way in: a connection within limits, and what a database says in words of [`FetchError`].

use super::address::{Address, Tls};
use crate::features::Login;
use crate::net::{Client, FetchError, host_of, tcp};
use model::Credentials;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::FromSql;
use tokio_postgres::{Connection, Error as PgError, Row};
use url::Url;

const USUAL_PORT: u16 = 5432;
/// The server is given this much longer than its own limit, so that it is its word that ends a statement.
const GRACE: Duration = Duration::from_secs(2);

/// Who asks which server, and within what limits.
pub(super) struct Door<'a> {
    client: &'a Client,
    root: &'a Url,
    login: Option<Login<'a>>,
    /// The table, for what is said of it.
    collection: &'a str,
    address: &'a Address,
    host: String,
    user: String,
    received: Arc<AtomicU64>,
}

pub(super) type Line = Metered<TcpStream>;
pub(super) type Talk = Connection<Line, postgres_native_tls::TlsStream<Line>>;

impl<'a> Door<'a> {
    pub(super) fn new(
        client: &'a Client,
        root: &'a Url,
        login: Option<Login<'a>>,
        collection: &'a str,
        address: &'a Address,
    ) -> Result<Self, FetchError> {
        let user = match login.map(|login| login.credentials) {
            Some(Credentials::Basic { user, .. }) => user.clone(),
            Some(_) => {
                let reason = "a database takes credentials of the kind basic only: a role and its password".into();
                return Err(FetchError::BadAddress { url: root.to_string(), reason });
            }
            None => address.user.clone().unwrap_or_default(),
        };
        if user.is_empty() {
            let reason = "no role is named; the source names it under credentials, or the address before an @".into();
            return Err(FetchError::BadAddress { url: root.to_string(), reason });
        }
        Ok(Self { client, root, login, collection, address, host: host_of(root), user, received: Arc::default() })
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn host(&self) -> String {
        self.host.clone()
    }

    /// Longest time for a statement to give its next rows.
    pub(super) fn statement_limit(&self) -> Duration {
        self.client.options.idle_timeout
    }

    /// Longest time for the whole.
    pub(super) fn answer_limit(&self) -> Duration {
        self.client.options.answer_timeout
    }

    pub(super) async fn open(&self) -> Result<(tokio_postgres::Client, Talk), FetchError> {
        let stream = tcp::connect(self.client, self.root, USUAL_PORT).await?;
        let limit_bytes = self.client.options.collection_limit_bytes;
        let stream = Metered { stream, received: self.received.clone(), limit_bytes };
        let mut config = tokio_postgres::Config::new();
        config.user(&self.user).dbname(&self.address.database).application_name("Toan-Canh/0.1");
        config.ssl_mode(match self.address.tls {
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        if let Some(login) = self.login {
            config.password(login.secret.reveal());
        }
        let connector = self.connector()?;
        let connector = postgres_native_tls::TlsConnector::new(connector, tcp::host_name(self.root));
        let limit = self.client.options.idle_timeout;
        match tokio::time::timeout(limit, config.connect_raw(stream, connector)).await {
            Ok(opened) => opened.map_err(|error| self.explain(&error, Duration::ZERO, false)),
            Err(_) => Err(FetchError::Timeout { host: self.host(), secs: limit.as_secs(), answered: false }),
        }
    }

    fn connector(&self) -> Result<native_tls::TlsConnector, FetchError> {
        let tls = |reason: String| FetchError::Tls { host: self.host(), reason };
        let mut builder = native_tls::TlsConnector::builder();
        if self.address.tls < Tls::VerifyCa {
            builder.danger_accept_invalid_certs(true).disable_built_in_roots(true);
        }
        if self.address.tls < Tls::VerifyFull {
            builder.danger_accept_invalid_hostnames(true);
        }
        if let Some(path) = &self.address.root_certificate {
            let pem = std::fs::read(path).map_err(|error| tls(format!("{}: {error}", path.display())))?;
            let known = native_tls::Certificate::from_pem(&pem);
            builder.add_root_certificate(known.map_err(|error| tls(format!("{}: {error}", path.display())))?);
        }
        builder.build().map_err(|error| tls(error.to_string()))
    }

    /// Waits for what the server says to one statement.
    pub(super) async fn step<T>(&self, work: impl Future<Output = Result<T, PgError>>) -> Result<T, FetchError> {
        let began = Instant::now();
        let limit = self.statement_limit() + GRACE;
        match tokio::time::timeout(limit, work).await {
            Ok(answer) => answer.map_err(|error| self.explain(&error, began.elapsed(), true)),
            Err(_) => Err(FetchError::Timeout { host: self.host(), secs: limit.as_secs(), answered: true }),
        }
    }

    /// A value of a row, by its place. What was asked for has its type, unless a byte was changed on the way: then this is
    /// `malformed`.
    pub(super) fn value<'r, T: FromSql<'r>>(&self, row: &'r Row, at: usize) -> Result<T, FetchError> {
        row.try_get(at).map_err(|error| self.explain(&error, Duration::ZERO, true))
    }

    /// What went wrong, after so long a wait; `inside`: the user had been let in.
    pub(super) fn explain(&self, error: &PgError, waited: Duration, inside: bool) -> FetchError {
        let host = self.host();
        let limit_bytes = self.client.options.collection_limit_bytes;
        if self.received.load(Ordering::Relaxed) > limit_bytes {
            return FetchError::TooLarge { host, limit_bytes };
        }
        if let Some(said) = error.as_db_error() {
            return self.said(said, waited, inside);
        }
        let text = chain(error);
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(inner) = source {
            if inner.downcast_ref::<native_tls::Error>().is_some() {
                return FetchError::Tls { host, reason: format!("{text}{}", self.way_out()) };
            }
            if inner.downcast_ref::<io::Error>().is_some() {
                return if inside {
                    FetchError::Truncated { host }
                } else {
                    FetchError::Reset { host, answered: false }
                };
            }
            source = inner.source();
        }
        if error.is_closed() {
            FetchError::Truncated { host }
        } else if text.contains("TLS") {
            FetchError::Tls { host, reason: format!("{text}; sslmode=disable in the address speaks without it") }
        } else if text.contains("password missing") {
            self.refused("the server asks for a password")
        } else if text.contains("authentication") {
            self.refused(&text)
        } else {
            FetchError::Malformed { url: self.root.to_string(), what: text }
        }
    }

    fn way_out(&self) -> &'static str {
        if self.address.tls < Tls::VerifyCa {
            return "";
        }
        "; sslrootcert=FILE in the address names the authority, sslmode=require takes any certificate"
    }

    /// The server's own words.
    fn said(&self, said: &tokio_postgres::error::DbError, waited: Duration, inside: bool) -> FetchError {
        let (host, code) = (self.host(), said.code());
        if code.code().starts_with("28") {
            return self.refused(said.message());
        }
        match code {
            &SqlState::INSUFFICIENT_PRIVILEGE if inside => self.no_access(said.message()),
            &SqlState::INSUFFICIENT_PRIVILEGE => self.refused(said.message()),
            // Its own limit; before that, somebody else ended the statement.
            &SqlState::QUERY_CANCELED if waited >= self.statement_limit() => {
                FetchError::Timeout { host, secs: waited.as_secs(), answered: true }
            }
            &SqlState::QUERY_CANCELED | &SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN if inside => {
                FetchError::Truncated { host }
            }
            _ => FetchError::Service { host, code: code.code().to_owned(), reason: said.message().to_owned() },
        }
    }

    fn refused(&self, reason: &str) -> FetchError {
        let secret = self.login.map(|login| login.credentials.secret().to_owned());
        FetchError::Login { host: self.host(), user: self.user.clone(), secret, reason: reason.to_owned() }
    }

    pub(super) fn no_access(&self, reason: &str) -> FetchError {
        FetchError::NoAccess {
            host: self.host(),
            user: self.user.clone(),
            collection: self.collection.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// An error with its causes, each said once.
fn chain(error: &PgError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    text
}

/// A line that ends when more comes over it than may: the driver takes messages of any size into memory.
pub(super) struct Metered<S> {
    stream: S,
    received: Arc<AtomicU64>,
    limit_bytes: u64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let more = (buf.filled().len() - before) as u64;
        if self.received.fetch_add(more, Ordering::Relaxed) + more > self.limit_bytes {
            return Poll::Ready(Err(io::Error::other("more came than may")));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
