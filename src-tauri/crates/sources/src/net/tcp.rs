//! Plain connections, for protocols that are not HTTP.

use super::{Client, FetchError, host_of};
use std::io;
use std::net::IpAddr;
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

/// Connects to the host that stands in the address, within the client's time.
///
/// # Errors
/// `bad_address` without a host, `dns`, `refused`, `unreachable`, `timeout`.
pub(crate) async fn connect(client: &Client, url: &Url, usual_port: u16) -> Result<TcpStream, FetchError> {
    let name = host_name(url);
    if name.is_empty() {
        return Err(FetchError::BadAddress { url: url.to_string(), reason: "it names no host".into() });
    }
    let host = host_of(url);
    let limit = client.options.connect_timeout;
    let opening = async {
        let port = url.port().unwrap_or(usual_port);
        let found = tokio::net::lookup_host((name, port)).await.map_err(|_| FetchError::Dns { host: host.clone() })?;
        let mut last = FetchError::Dns { host: host.clone() };
        for address in found {
            match TcpStream::connect(address).await {
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
