//! Only what was configured is contacted: where names may lead, and where no address may.
//!
//! The private networks of offices are fine. This machine is, when the configured address itself says so; a public name
//! that resolves to it (DNS rebinding) is not. Addresses that only the machine's own surroundings answer (link-local,
//! the metadata services of clouds), and those that are no single host's, are never contacted.
//!
//! Where the environment names a proxy, the proxy resolves the names and its own rules hold; it is itself held to these.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use url::{Host, Url};

use super::{FetchError, host_of};

/// The addresses that a name stands for, on their way.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Tells what addresses a name stands for. An argument of [`super::ClientOptions`], so that tests prove what becomes of
/// them without a packet.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// # Errors
    /// When nobody knows the name.
    fn resolve(&self, name: &str) -> Resolving;
}

/// The system's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> Resolving {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// No address of a name may be contacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} stands for {address}, which is never contacted: {reason}")]
pub(super) struct Forbidden {
    pub(super) host: String,
    pub(super) address: IpAddr,
    pub(super) reason: &'static str,
}

/// Services that tell a machine in a cloud about itself, its keys included, outside the link-local block: Amazon (IPv6),
/// Google (IPv6), Alibaba, Oracle, Azure.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// Why an address is never contacted; `None` for one that may be. `loopback`: the configured address says that it means
/// this machine.
pub(crate) fn forbidden(address: IpAddr, loopback: bool) -> Option<&'static str> {
    let address = plain(address);
    if METADATA.contains(&address) {
        return Some("it is a metadata service");
    }
    if address.is_unspecified() {
        return Some("it is no host's address");
    }
    if address.is_multicast() {
        return Some("it is a multicast address");
    }
    if address.is_loopback() {
        return (!loopback).then_some("it is this machine, and the configured address does not say so");
    }
    match address {
        IpAddr::V4(v4) if v4.is_link_local() => Some("it is a link-local address"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("it is a broadcast address"),
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("it is no host's address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("it is a link-local address"),
        _ => None,
    }
}

/// An IPv4 address in any of its IPv6 dresses (mapped, compatible, NAT64 of RFC 6052, 6to4 of RFC 3056) as itself.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let inner = match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some((high, low)),
        (0, 0, 0, 0, 0, 0) if high != 0 => Some((high, low)),
        (0x2002, ..) => Some((b, c)),
        _ => None,
    };
    inner.map_or(address, |(high, low)| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)).into())
}

/// Whether an address says that it means this machine.
pub(crate) fn says_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => plain(ip.into()).is_loopback(),
        Some(Host::Domain(name)) => is_local_name(name),
        None => false,
    }
}

/// RFC 6761, section 6.3.
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Refuses an address that stands in the URL itself; names are judged by what they resolve to.
///
/// # Errors
/// [`FetchError::ForbiddenAddress`].
pub(crate) fn check_literal(url: &Url) -> Result<(), FetchError> {
    let address = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        _ => return Ok(()),
    };
    // Whoever writes down a loopback address means this machine.
    match forbidden(address, true) {
        None => Ok(()),
        Some(reason) => Err(FetchError::ForbiddenAddress { host: host_of(url), address, reason: reason.to_owned() }),
    }
}

/// The resolver that connections are made by: of a name's addresses only those that may be contacted.
pub(super) struct Guarded(pub(super) Arc<dyn Resolver>);

impl reqwest::dns::Resolve for Guarded {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_owned();
        let resolving = self.0.resolve(&host);
        Box::pin(async move {
            let permitted = permitted(&host, resolving.await?)?;
            let addresses = permitted.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

/// What of a host's addresses may be contacted, and the first that may not. Of a host that is an address itself: that.
///
/// # Errors
/// The resolver's.
pub(super) async fn sorted(resolver: &dyn Resolver, host: &str) -> io::Result<(Vec<IpAddr>, Option<Forbidden>)> {
    match host.parse() {
        // Whoever writes down a loopback address means this machine.
        Ok(address) => Ok(split(host, vec![address], true)),
        Err(_) => Ok(split(host, resolver.resolve(host).await?, is_local_name(host))),
    }
}

fn split(host: &str, addresses: Vec<IpAddr>, loopback: bool) -> (Vec<IpAddr>, Option<Forbidden>) {
    let mut refused = None;
    let mut permitted = Vec::with_capacity(addresses.len());
    for address in addresses {
        match forbidden(address, loopback) {
            None => permitted.push(address),
            Some(reason) => {
                refused.get_or_insert(Forbidden { host: host.to_owned(), address, reason });
            }
        }
    }
    (permitted, refused)
}

/// What of a name's addresses may be contacted.
fn permitted(host: &str, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Forbidden> {
    let (permitted, refused) = split(host, addresses, is_local_name(host));
    match refused {
        Some(refused) if permitted.is_empty() => Err(refused),
        _ => Ok(permitted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn surroundings_of_the_machine_are_never_contacted_whatever_dress_they_wear() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
        ] {
            assert!(forbidden(ip(address), true).is_some(), "{address}");
        }
        for address in
            ["10.0.0.5", "172.16.3.4", "192.168.1.20", "100.64.0.9", "203.0.113.7", "fd12:3456::1", "2001:db8::1"]
        {
            assert_eq!(forbidden(ip(address), false), None, "{address}");
        }
        for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert!(forbidden(ip(address), false).is_some(), "{address}");
            assert_eq!(forbidden(ip(address), true), None, "{address}");
        }
    }

    #[test]
    fn a_name_keeps_the_addresses_that_may_be_contacted() {
        let both = vec![ip("169.254.169.254"), ip("10.0.0.5"), ip("fe80::1")];
        assert_eq!(permitted("data.example", both).unwrap(), [ip("10.0.0.5")]);
        let rebound = permitted("data.example", vec![ip("127.0.0.1"), ip("::1")]).unwrap_err();
        assert_eq!((rebound.host.as_str(), rebound.address), ("data.example", ip("127.0.0.1")));
        for name in ["localhost", "LOCALHOST.", "practice.localhost"] {
            assert_eq!(permitted(name, vec![ip("127.0.0.1")]).unwrap().len(), 1, "{name}");
        }
        assert!(permitted("notlocalhost", vec![ip("127.0.0.1")]).is_err());
        assert_eq!(permitted("gone.example", Vec::new()).unwrap(), Vec::<IpAddr>::new());
    }

    #[test]
    fn addresses_in_a_url_are_judged_as_they_are_read() {
        let refused = |url: &str| check_literal(&url.parse().unwrap()).map_err(|error| error.code());
        for url in
            ["http://169.254.169.254/latest", "http://2852039166/", "http://0xa9.0xfe.0xa9.0xfe/", "http://[fe80::1]/"]
        {
            assert_eq!(refused(url), Err("forbidden_address"), "{url}");
        }
        for url in ["http://127.0.0.1:8700/", "http://[::1]/", "http://10.1.2.3/", "https://data.example/"] {
            assert_eq!(refused(url), Ok(()), "{url}");
        }
    }
}
