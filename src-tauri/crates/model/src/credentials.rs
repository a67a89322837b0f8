//! What a profile may say about credentials: names of secrets, never the secrets themselves.

use crate::{Protocol, SourceSpec};
use serde::{Deserialize, Serialize};

/// How a source is shown who asks. The secret itself never stands in a profile: `secret` is the name it is kept under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Credentials {
    /// A user and a password (RFC 7617; a database role).
    Basic { user: String, secret: String },
    /// A user and a private key of OpenSSH, which is the secret (SFTP).
    Key { user: String, secret: String },
    /// A fixed key in a header of the source's choice.
    ApiKey { header: String, secret: String },
    /// A fixed token (RFC 6750).
    Bearer { secret: String },
    /// A token fetched by client credentials (OAuth 2.0, RFC 6749, section 4.4).
    ClientCredentials {
        token_url: String,
        client_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "ts", ts(optional))]
        scope: Option<String>,
        secret: String,
    },
}

/// Which of the [`Credentials`] they are, as the word in profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum CredentialsKind {
    Basic,
    Key,
    ApiKey,
    Bearer,
    ClientCredentials,
}

impl Credentials {
    pub fn kind(&self) -> CredentialsKind {
        match self {
            Self::Basic { .. } => CredentialsKind::Basic,
            Self::Key { .. } => CredentialsKind::Key,
            Self::ApiKey { .. } => CredentialsKind::ApiKey,
            Self::Bearer { .. } => CredentialsKind::Bearer,
            Self::ClientCredentials { .. } => CredentialsKind::ClientCredentials,
        }
    }

    /// The name that the secret is kept under.
    pub fn secret(&self) -> &str {
        match self {
            Self::Basic { secret, .. }
            | Self::Key { secret, .. }
            | Self::ApiKey { secret, .. }
            | Self::Bearer { secret }
            | Self::ClientCredentials { secret, .. } => secret,
        }
    }
}

/// Longest name of a secret, in bytes.
const NAME_BYTES: usize = 63;

/// True for what a secret may be called: `[a-z][a-z0-9_-]*`, at most 63 bytes.
pub fn is_secret_name(text: &str) -> bool {
    text.len() <= NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

/// True when an address carries a user or a password (RFC 3986, section 3.2.1: userinfo).
pub fn holds_login(address: &str) -> bool {
    let Some((_, rest)) = address.split_once("//") else { return false };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    authority.contains('@')
}

impl SourceSpec {
    /// What is wrong with the source's credentials and addresses: the key at fault and a sentence, in which no secret is
    /// repeated. [`crate::Profile::from_toml`] asks this of every source.
    pub fn credentials_fault(&self) -> Option<(String, String)> {
        let token_url = match &self.credentials {
            Some(Credentials::ClientCredentials { token_url, .. }) => Some(token_url.as_str()),
            _ => None,
        };
        // The role that asks a database may stand in its address; a password there is refused with the address.
        let url = (self.protocol != Protocol::PostGis).then_some(self.url.as_str());
        let addresses = [("url", url), ("events", self.events.as_deref()), ("token_url", token_url)];
        for (field, address) in addresses {
            if address.is_some_and(holds_login) {
                let problem = "the address carries a user or a password; leave them out, name a secret under \
                               `credentials`, and keep it by `toancanhctl secret set NAME`";
                return Some((field.into(), problem.into()));
            }
        }
        if let Some(host_key) = &self.host_key {
            let fault = if !self.url.starts_with("sftp://") {
                Some("only an address with sftp:// has one")
            } else if !is_fingerprint(host_key) {
                Some("it is no fingerprint of a key; write \"SHA256:…\", as ssh-keygen -l shows it")
            } else {
                None
            };
            if let Some(problem) = fault {
                return Some(("host_key".into(), problem.into()));
            }
        }
        let credentials = self.credentials.as_ref()?;
        let wrong = |field: &str, problem: String| Some((format!("credentials.{field}"), problem));
        if !is_secret_name(credentials.secret()) {
            // A secret written here by mistake must not come back in an error.
            let form = "is the name a secret is kept under, not the secret: lower-case letters, digits, _ and -, starting \
                        with a letter, at most 63 bytes";
            return wrong("secret", form.into());
        }
        match credentials {
            Credentials::ApiKey { header, .. } if !is_token(header) => {
                wrong("header", format!("{header:?} is no name of an HTTP header, for example \"X-Api-Key\""))
            }
            Credentials::Key { .. } if !self.url.starts_with("sftp://") => {
                wrong("kind", "a private key is for addresses with sftp:// only".into())
            }
            Credentials::Key { user, .. } if user.is_empty() || user.chars().any(char::is_control) => {
                wrong("user", "a user's name is not empty and holds no control characters".into())
            }
            Credentials::Basic { user, .. } if user.contains(':') || user.chars().any(char::is_control) => {
                wrong("user", "a user's name holds neither a colon nor control characters".into())
            }
            Credentials::ClientCredentials { token_url, .. }
                if !["https://", "http://", "practice:/"].iter().any(|start| token_url.starts_with(start)) =>
            {
                wrong("token_url", format!("{token_url:?} is no address; write \"https://HOST/PATH\""))
            }
            _ => None,
        }
    }
}

/// SHA-256 as OpenSSH writes it: 43 letters of Base64.
fn is_fingerprint(text: &str) -> bool {
    let letters = text.strip_prefix("SHA256:").map(|letters| letters.trim_end_matches('='));
    letters.is_some_and(|letters| {
        letters.len() == 43 && letters.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
    })
}

/// A token of HTTP (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_in_addresses_are_seen() {
        for address in ["http://user:pass@host/x", "https://user@host", "http://a:b@h:8080?x=1", "postgres://u:p@h/db"]
        {
            assert!(holds_login(address), "{address}");
        }
        for address in ["http://host/a@b", "http://host?mail=a@b", "practice:/ogc", "file:///srv/a@b", "http://host"] {
            assert!(!holds_login(address), "{address}");
        }
    }

    #[test]
    fn names_are_plain() {
        assert!(is_secret_name("lgsp-y-te_2"));
        for name in ["", "Lgsp", "2fa", "a b", "pass/word", &"a".repeat(64)] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
