//! `postgres://host:5432/database?sslmode=verify-full&schema=land`: where a database is, and how safely it is spoken to.

use crate::net::{FetchError, tcp};
use std::path::PathBuf;
use url::Url;

/// The modes of libpq, by how much they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tls {
    /// In the open.
    Disable,
    /// Encrypted where the server can; nobody looks at its certificate.
    Prefer,
    /// Encrypted; nobody looks at the certificate.
    Require,
    /// The certificate is one of a known authority.
    VerifyCa,
    /// And it is that of this host.
    VerifyFull,
}

#[derive(Debug, PartialEq)]
pub(super) struct Address {
    pub(super) database: String,
    /// Who asks where the source names no credentials.
    pub(super) user: Option<String>,
    /// Where a table without a schema is looked for; else by the search path of the role.
    pub(super) schema: Option<String>,
    pub(super) tls: Tls,
    /// The authority that the certificate comes from, where the system does not know it.
    pub(super) root_certificate: Option<PathBuf>,
}

impl Address {
    /// # Errors
    /// [`FetchError::BadAddress`], which never shows a password.
    pub(super) fn read(url: &Url) -> Result<Self, FetchError> {
        let mut shown = url.clone();
        shown.set_query(None);
        let _ = shown.set_password(None);
        let bad = |reason: String| FetchError::BadAddress { url: shown.to_string(), reason };
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(bad("it does not begin with postgres://".into()));
        }
        if url.password().is_some() {
            return Err(bad("a password must not stand in it; the source names it under credentials".into()));
        }
        let database = decoded(url.path().trim_matches('/'));
        if database.is_empty() || database.contains('/') {
            return Err(bad("it names no database; write postgres://host:5432/database".into()));
        }
        // Across a network whoever stands in between would read the password.
        let usual = if tcp::is_this_machine(url) { Tls::Prefer } else { Tls::VerifyFull };
        let user = Some(decoded(url.username())).filter(|user| !user.is_empty());
        let mut address = Self { database, user, schema: None, tls: usual, root_certificate: None };
        for (name, value) in url.query_pairs() {
            match &*name {
                "schema" => address.schema = Some(value.into_owned()),
                "sslrootcert" => address.root_certificate = Some(PathBuf::from(&*value)),
                "sslmode" => {
                    address.tls = match &*value {
                        "disable" => Tls::Disable,
                        "prefer" => Tls::Prefer,
                        "require" => Tls::Require,
                        "verify-ca" => Tls::VerifyCa,
                        "verify-full" => Tls::VerifyFull,
                        other => {
                            return Err(bad(format!(
                                "sslmode is {other:?}; it may be disable, prefer, require, verify-ca or verify-full"
                            )));
                        }
                    };
                }
                "password" => {
                    return Err(bad("a password must not stand in it; the source names it under credentials".into()));
                }
                other => {
                    return Err(bad(format!("it has {other:?}; it may have sslmode, sslrootcert and schema")));
                }
            }
        }
        // Who names an authority wants it asked (so does libpq).
        if address.tls == Tls::Require && address.root_certificate.is_some() {
            address.tls = Tls::VerifyCa;
        }
        Ok(address)
    }
}

/// Percent signs and what follows them as the text they stand for.
fn decoded(text: &str) -> String {
    let escaped = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(escaped.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, String> {
        Address::read(&url.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn address_tells_database_schema_and_how_safe_it_must_be() {
        let full =
            read("postgresql://reader@db.example:6432/%C4%91%E1%BA%A5t%20+1?schema=land&sslmode=require").unwrap();
        assert_eq!(
            (full.database.as_str(), full.user.as_deref(), full.schema.as_deref(), full.tls),
            ("đất +1", Some("reader"), Some("land"), Tls::Require)
        );
        assert_eq!(read("postgres://db.example/land").unwrap().tls, Tls::VerifyFull);
        assert_eq!(read("postgres://[::1]:5432/land").unwrap().tls, Tls::Prefer);
        assert_eq!(read("postgres://db/land?sslmode=require&sslrootcert=/etc/ca.pem").unwrap().tls, Tls::VerifyCa);
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_password() {
        for (url, word) in [
            ("postgres://db.example", "no database"),
            ("postgres://db.example/a/b", "no database"),
            ("https://db.example/land", "postgres://"),
            ("postgres://u:geheim@db.example/land", "credentials"),
            ("postgres://db.example/land?password=geheim", "credentials"),
            ("postgres://db.example/land?sslmode=allow", "verify-full"),
            ("postgres://db.example/land?host=/tmp", "\"host\""),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.contains(word) && !error.contains("geheim"), "{url}: {error}");
        }
    }
}
