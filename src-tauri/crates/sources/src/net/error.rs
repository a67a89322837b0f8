//! What can go wrong on the way to a data centre.

use crate::features::Secret;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use super::guard::Forbidden;

/// Whether a status is one of those that mend themselves.
fn passes(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || (500..600).contains(&status)
}

/// Whether a state of SQL (ISO/IEC 9075, five characters) is one of those that mend themselves: no room for another
/// connection, a server that starts or goes, a conflict with others.
fn state_passes(code: &str) -> bool {
    code.len() == 5 && ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
}

/// A fetch that brought nothing. Every variant names the host or the address.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FetchError {
    #[error("{url:?} is no address: {reason}")]
    BadAddress { url: String, reason: String },
    /// Nobody listens there.
    #[error("{host} refuses the connection")]
    Refused { host: String },
    #[error("{host} is not a known name")]
    Dns { host: String },
    /// Where the host's name leads, or the address itself, is never contacted.
    #[error("{host} stands for {address}, which is never contacted: {reason}")]
    ForbiddenAddress { host: String, address: IpAddr, reason: String },
    #[error("there is no way to {host}: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("no secure connection to {host}: {reason}")]
    Tls { host: String, reason: String },
    /// `answered`: some of the answer had come.
    #[error("{host} has not answered for {secs} s")]
    Timeout { host: String, secs: u64, answered: bool },
    #[error("{host} broke the connection off")]
    Reset { host: String, answered: bool },
    #[error("the answer of {host} is cut short")]
    Truncated { host: String },
    /// An HTTP status that is no success. `retry_after_secs` is the server's own wish.
    #[error("{host} answers {status}")]
    Status { host: String, status: u16, retry_after_secs: Option<u64> },
    #[error("{url}: {what}")]
    Malformed { url: String, what: String },
    /// It does not hash to what the server says it must, or its packing is broken.
    #[error("the answer of {host} was damaged on the way")]
    Damaged { host: String },
    #[error("the answer of {host} is larger than {limit_bytes} bytes")]
    TooLarge { host: String, limit_bytes: u64 },
    /// An open event stream on which not even heartbeats come.
    #[error("{host} has been silent for {secs} s")]
    Silent { host: String, secs: u64 },
    /// The server ended an event stream in order.
    #[error("{host} ended the stream")]
    Ended { host: String },
    /// The service answered, in its own words, that it will not: an OGC exception report, an ArcGIS error body.
    #[error("{host} refuses: {reason} ({code})")]
    Service { host: String, code: String, reason: String },
    /// The server does not let the user in. `secret` is the name that the password is kept under.
    #[error("{host} does not let {user:?} in: {reason}; {}", kept(secret.as_deref()))]
    Login { host: String, user: String, secret: Option<String>, reason: String },
    /// The user is known, but may not read what the layer is to be fetched from.
    #[error("{host} does not let {user:?} read {collection}: {reason}")]
    NoAccess { host: String, user: String, collection: String, reason: String },
    /// The service does not offer what the layer is to be fetched from.
    #[error("{host} has no {collection:?}; it offers {}", named(offers))]
    NoCollection { host: String, collection: String, offers: Vec<String> },
    /// What came could not be set down on this machine.
    #[error("{}: {reason}", path.display())]
    Staging { path: PathBuf, reason: String },
    /// The data changed between two pages.
    #[error("{url}: the data changed while it was being read")]
    Changed { url: String },
    /// What answers at an address speaks no protocol that is known here.
    #[error("{url}: what answers there ({said}) speaks none of the protocols known here")]
    Unrecognised { url: String, said: String },
    /// The token endpoint refuses, with an error code of OAuth 2.0 (RFC 6749, section 5.2).
    #[error("{host} gives no token: {reason} ({code})")]
    TokenRefused { host: String, code: String, reason: String },
    /// The source wants credentials whose secret this machine does not have. Nothing was asked.
    #[error("the secret {secret:?} is missing: {detail}")]
    NoSecret { secret: String, detail: String },
    /// An SSH server that nobody vouched for, or that is not the one it was. `expected` is the fingerprint on record, in
    /// `place`: the source's `host_key`, or a `known_hosts` file.
    #[error("{}", doubtful(host, fingerprint, expected.as_deref(), place))]
    HostKey { host: String, fingerprint: String, expected: Option<String>, place: String },
    /// More than anybody keeps in a folder.
    #[error("{folder:?} holds more than {limit} files and folders")]
    TooMany { folder: String, limit: u64 },
    #[error("cancelled")]
    Cancelled,
}

/// The first of many names.
fn named(offers: &[String]) -> String {
    let shown: Vec<&str> = offers.iter().take(20).map(String::as_str).collect();
    match (shown.len(), offers.len()) {
        (0, _) => "nothing".into(),
        (shown_count, all) if shown_count < all => format!("{}, …", shown.join(", ")),
        _ => shown.join(", "),
    }
}

/// Where a password is looked for.
fn kept(secret: Option<&str>) -> String {
    match secret {
        Some(name) => format!("its password is the secret {name:?}"),
        None => "the source names no credentials".to_owned(),
    }
}

fn doubtful(host: &str, fingerprint: &str, expected: Option<&str>, place: &str) -> String {
    match expected {
        Some(expected) => format!(
            "{host} shows another key than the one on record: {fingerprint} in place of {expected} ({place}); somebody may be \
             listening in between. Ask who runs the server before changing the record"
        ),
        None => format!(
            "{host} shows a key that nobody vouched for: {fingerprint}. If whoever runs the server confirms it, write \
             host_key = {fingerprint:?} into the source, or add the server to {place}"
        ),
    }
}

impl FetchError {
    /// A stable word in snake_case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => "bad_address",
            Self::Refused { .. } => "refused",
            Self::Dns { .. } => "dns",
            Self::ForbiddenAddress { .. } => "forbidden_address",
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::Reset { .. } => "reset",
            Self::Truncated { .. } => "truncated",
            Self::Damaged { .. } => "damaged",
            Self::Status { .. } => "status",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::Silent { .. } => "silent",
            Self::Ended { .. } => "ended",
            Self::Service { .. } => "service_refuses",
            Self::Login { .. } => "login",
            Self::NoAccess { .. } => "no_access",
            Self::NoCollection { .. } => "no_collection",
            Self::Staging { .. } => "staging",
            Self::Changed { .. } => "changed",
            Self::Unrecognised { .. } => "unrecognised",
            Self::TokenRefused { .. } => "token_refused",
            Self::NoSecret { .. } => "no_secret",
            Self::HostKey { expected: None, .. } => "host_key_unknown",
            Self::HostKey { .. } => "host_key_changed",
            Self::TooMany { .. } => "too_many_files",
            Self::Cancelled => "cancelled",
        }
    }

    /// True when the same request may succeed later without anyone changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            Self::BadAddress { .. } | Self::TooLarge { .. } | Self::Malformed { .. } | Self::Cancelled => false,
            // Names are mended by people.
            Self::NoCollection { .. } | Self::Unrecognised { .. } | Self::ForbiddenAddress { .. } => false,
            // A locked account would stay locked by knocking on.
            Self::NoSecret { .. } | Self::Login { .. } | Self::NoAccess { .. } => false,
            Self::HostKey { .. } | Self::TooMany { .. } => false,
            Self::TokenRefused { code, .. } => code == "temporarily_unavailable" || code == "server_error",
            // ArcGIS has the numbers of HTTP, databases their states; the words of OGC do not tell what passes.
            Self::Service { code, .. } => code.parse().is_ok_and(passes) || state_passes(code),
            // Certificates are mended by people, but also by clocks that are set right.
            Self::Tls { .. } => false,
            Self::Status { status, .. } => passes(*status),
            Self::Refused { .. }
            | Self::Dns { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Reset { .. }
            | Self::Truncated { .. }
            | Self::Damaged { .. }
            | Self::Silent { .. }
            | Self::Ended { .. }
            | Self::Staging { .. }
            | Self::Changed { .. } => true,
        }
    }

    /// True when the server answered at all, be it with a 500: the line is up, the service is not.
    pub fn answered(&self) -> bool {
        match self {
            Self::Timeout { answered, .. } | Self::Reset { answered, .. } => *answered,
            Self::Truncated { .. }
            | Self::Damaged { .. }
            | Self::Status { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::Silent { .. }
            | Self::Ended { .. }
            | Self::Service { .. }
            | Self::TokenRefused { .. }
            | Self::Login { .. }
            | Self::NoAccess { .. }
            | Self::NoCollection { .. }
            | Self::Unrecognised { .. }
            | Self::Staging { .. }
            | Self::TooMany { .. }
            | Self::Changed { .. } => true,
            // Whoever it is that shows another key, it is not the server that was meant.
            Self::HostKey { .. } => false,
            Self::BadAddress { .. }
            | Self::Refused { .. }
            | Self::Dns { .. }
            | Self::ForbiddenAddress { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::NoSecret { .. }
            | Self::Cancelled => false,
        }
    }

    /// The same without the secret, which a server may have repeated in its own words.
    #[must_use]
    pub fn hiding(self, secret: &Secret) -> Self {
        match self {
            Self::Malformed { url, what } => Self::Malformed { url, what: secret.hidden(&what) },
            Self::Service { host, code, reason } => Self::Service { host, code, reason: secret.hidden(&reason) },
            Self::NoCollection { host, collection, offers } => {
                let offers = offers.iter().map(|offer| secret.hidden(offer)).collect();
                Self::NoCollection { host, collection, offers }
            }
            other => other,
        }
    }

    /// The server's wish for when to come back, in seconds.
    pub fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Status { retry_after_secs, .. } => *retry_after_secs,
            _ => None,
        }
    }

    /// Reads what reqwest says. Its own kinds are coarse; the io error at the bottom of the chain tells more.
    pub(super) fn from_reqwest(error: &reqwest::Error, host: &str, secs: u64, answered: bool) -> Self {
        let host = host.to_owned();
        let mut said = String::new();
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(inner) = source {
            if let Some(Forbidden { host, address, reason }) = inner.downcast_ref::<Forbidden>() {
                let (host, address, reason) = (host.clone(), *address, (*reason).to_owned());
                return Self::ForbiddenAddress { host, address, reason };
            }
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                use io::ErrorKind as K;
                match io.kind() {
                    K::ConnectionRefused => return Self::Refused { host },
                    K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => return Self::Reset { host, answered },
                    K::UnexpectedEof => return Self::Truncated { host },
                    K::NetworkUnreachable | K::HostUnreachable | K::NetworkDown | K::AddrNotAvailable => {
                        return Self::Unreachable { host, reason: io.to_string() };
                    }
                    K::TimedOut => return Self::Timeout { host, secs, answered },
                    _ => {}
                }
            }
            said.push_str(&inner.to_string());
            said.push_str("; ");
            source = inner.source();
        }
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if error.is_timeout() || has(&["operation timed out"]) {
            Self::Timeout { host, secs, answered }
        } else if has(&["dns error", "failed to lookup", "Name or service not known"]) {
            Self::Dns { host }
        } else if has(&["certificate", "SSL", "TLS", "ssl3"]) {
            Self::Tls { host, reason: said.trim_end_matches("; ").to_owned() }
        } else if has(&["end of file before message length", "unexpected EOF", "unexpected end of file"]) {
            Self::Truncated { host }
        } else if has(&["connection closed before message completed", "connection reset"]) {
            Self::Reset { host, answered }
        } else if error.is_decode() || error.is_redirect() {
            Self::Malformed { url: host, what: said.trim_end_matches("; ").to_owned() }
        } else if answered {
            Self::Truncated { host }
        } else {
            Self::Unreachable { host, reason: said.trim_end_matches("; ").to_owned() }
        }
    }
}
