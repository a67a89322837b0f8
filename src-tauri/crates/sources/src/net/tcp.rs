//! Plain connections, for protocols that are not HTTP.

use super::{Client, FetchError, guard, host_of};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpStream;
use url::Url;

/// A host as it is looked up and as certificates name it: IPv6 without its brackets.
pub(crate) fn host_name(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether an address means this machine. Schemes other than HTTP's have every host as a mere name.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = host_name(url);
    host.parse::<IpAddr>().map_or_else(
        |_| host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
        |address| address.is_loopback(),
    )
}

/// Where a host may be contacted.
pub(crate) struct Ways {
    /// At least one.
    pub(crate) permitted: Vec<IpAddr>,
    /// Another of its addresses, which may not be.
    pub(crate) refused: Option<FetchError>,
}

/// Looks up the host that stands in the address, by the client's resolver and within its time. In schemes other than
/// HTTP's an address is a mere name to [`Url`]: it is read from the text.
///
/// # Errors
/// `bad_address` without a host, `dns`, `forbidden_address` when no address may be contacted, `timeout`.
pub(crate) async fn ways(client: &Client, url: &Url) -> Result<Ways, FetchError> {
    let name = host_name(url);
    if name.is_empty() {
        return Err(FetchError::BadAddress { url: url.to_string(), reason: "it names no host".into() });
    }
    let (host, limit) = (host_of(url), client.options.connect_timeout);
    let Ok(found) = tokio::time::timeout(limit, guard::sorted(&*client.options.resolver, name)).await else {
        return Err(FetchError::Timeout { host, secs: limit.as_secs(), answered: false });
    };
    let Ok((permitted, refused)) = found else { return Err(FetchError::Dns { host }) };
    let refused = refused.map(|guard::Forbidden { host, address, reason }| FetchError::ForbiddenAddress {
        host,
        address,
        reason: reason.to_owned(),
    });
    match refused {
        refused if !permitted.is_empty() => Ok(Ways { permitted, refused }),
        Some(refused) => Err(refused),
        None => Err(FetchError::Dns { host }),
    }
}

/// Connects to the host that stands in the address, within the client's time, where it may be contacted.
///
/// # Errors
/// Those of [`ways`], `refused`, `unreachable`, `timeout`.
pub(crate) async fn connect(client: &Client, url: &Url, usual_port: u16) -> Result<TcpStream, FetchError> {
    let host = host_of(url);
    let limit = client.options.connect_timeout;
    let opening = async {
        let port = url.port().unwrap_or(usual_port);
        let mut last = FetchError::Dns { host: host.clone() };
        for address in ways(client, url).await?.permitted {
            match TcpStream::connect(SocketAddr::new(address, port)).await {
                Ok(stream) => {
                    // Questions are short and wait for their answer.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = explain(&error, &host, limit.as_secs()),
            }
        }
        Err(last)
    };
    tokio::time::timeout(limit, opening)
        .await
        .unwrap_or_else(|_| Err(FetchError::Timeout { host: host.clone(), secs: limit.as_secs(), answered: false }))
}

fn explain(error: &io::Error, host: &str, secs: u64) -> FetchError {
    let host = host.to_owned();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FetchError::Refused { host },
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            FetchError::Reset { host, answered: false }
        }
        io::ErrorKind::TimedOut => FetchError::Timeout { host, secs, answered: false },
        _ => FetchError::Unreachable { host, reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_in_every_scheme() {
        for (url, here) in [
            ("postgres://127.0.0.1:5432/a", true),
            ("postgres://[::1]/a", true),
            ("mqtt://localhost:1883", true),
            ("mqtt://db.localhost", true),
            ("postgres://10.0.0.1/a", false),
            ("postgres://localhost.example/a", false),
        ] {
            assert_eq!(is_this_machine(&url.parse().unwrap()), here, "{url}");
        }
    }
}
