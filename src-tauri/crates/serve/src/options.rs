//! How the server starts, and why it does not.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;

/// How the server starts.
#[derive(Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// Where others reach the server, when a proxy stands before it: scheme, host, path. Links begin with it.
    pub url: Option<String>,
    /// Who sends it sees internal layers too; without one nobody does.
    pub token: Option<Token>,
    /// Origins of web pages that may read answers in a browser, for example `https://bando.example.vn`.
    pub cors: Vec<String>,
}

impl Default for Options {
    /// On loopback, port 8710; nothing internal, no other origins.
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8710)), url: None, token: None, cors: Vec::new() }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        let plain = |text: &str| {
            let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
            rest.filter(|rest| {
                !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}?#@".contains(&b))
            })
            .map(str::to_owned)
        };
        if let Some(url) = &self.url
            && plain(url).is_none()
        {
            return Err(ServeError::Url { url: url.clone() });
        }
        match self.cors.iter().find(|origin| plain(origin).is_none_or(|rest| rest.contains('/'))) {
            Some(origin) => Err(ServeError::Origin { origin: origin.clone() }),
            None => Ok(()),
        }
    }
}

/// What `Authorization: Bearer` must carry to see internal layers.
#[derive(Clone)]
pub struct Token(String);

/// Shorter ones can be guessed.
const LEAST_TOKEN: usize = 20;

impl Token {
    /// The only line of a file that nobody but its owner may read.
    ///
    /// # Errors
    /// [`ServeError::TokenUnreadable`], [`ServeError::TokenOpen`] when others may read the file, [`ServeError::TokenForm`]
    /// for less than 20 characters or others than visible ASCII.
    pub fn read(path: &Path) -> Result<Self, ServeError> {
        use std::io::Read;
        let unreadable =
            |error: std::io::Error| ServeError::TokenUnreadable { path: path.to_owned(), reason: error.to_string() };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(ServeError::TokenOpen { path: path.to_owned(), mode });
            }
        }
        let mut text = String::new();
        file.take(4_096).read_to_string(&mut text).map_err(unreadable)?;
        let token = text.trim_end_matches(['\r', '\n']);
        if token.len() < LEAST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ServeError::TokenForm { path: path.to_owned() });
        }
        Ok(Self(token.to_owned()))
    }

    /// Takes as long for a wrong token as for the right one of the same length.
    pub(crate) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {reason}")]
    Listen { address: SocketAddr, reason: String },
    #[error("{}: {reason}", path.display())]
    TokenUnreadable { path: PathBuf, reason: String },
    #[error("{}: mode {mode:03o} lets others read the token", path.display())]
    TokenOpen { path: PathBuf, mode: u32 },
    #[error("{}: not one line of at least {LEAST_TOKEN} visible ASCII characters", path.display())]
    TokenForm { path: PathBuf },
    #[error("{url:?} is no address like https://data.example.vn/ogc")]
    Url { url: String },
    #[error("{origin:?} is no origin like https://bando.example.vn")]
    Origin { origin: String },
}

impl ServeError {
    /// A stable word in snake_case; `assets/locale` has a sentence for each under `error.`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "serve_listen",
            Self::TokenUnreadable { .. } => "serve_token_unreadable",
            Self::TokenOpen { .. } => "serve_token_open",
            Self::TokenForm { .. } => "serve_token_form",
            Self::Url { .. } => "serve_url",
            Self::Origin { .. } => "serve_origin",
        }
    }

    /// What is at fault, by the names in the sentence.
    pub fn at(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Listen { address, reason } => vec![("listen", address.to_string()), ("detail", reason.clone())],
            Self::TokenUnreadable { path, reason } => {
                vec![("file", path.display().to_string()), ("detail", reason.clone())]
            }
            Self::TokenOpen { path, mode } => {
                vec![("file", path.display().to_string()), ("mode", format!("{mode:03o}"))]
            }
            Self::TokenForm { path } => vec![("file", path.display().to_string())],
            Self::Url { url } => vec![("url", url.clone())],
            Self::Origin { origin } => vec![("origin", origin.clone())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let mode = |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::write(file.path(), "0123456789abcdefghij\n").unwrap();
        mode(0o640);
        assert!(matches!(Token::read(file.path()), Err(ServeError::TokenOpen { mode: 0o640, .. })));
        mode(0o600);
        let token = Token::read(file.path()).unwrap_or_else(|error| panic!("{error}"));
        assert!(token.is("0123456789abcdefghij"));
        assert!(!token.is("0123456789abcdefghik") && !token.is("0123456789abcdefghi") && !token.is(""));
        std::fs::write(file.path(), "short\n").unwrap();
        assert!(matches!(Token::read(file.path()), Err(ServeError::TokenForm { .. })));
        assert!(matches!(Token::read(Path::new("/nowhere/token")), Err(ServeError::TokenUnreadable { .. })));
    }

    #[test]
    fn addresses_and_origins_are_checked() {
        let check = |url: Option<&str>, origin: Option<&str>| {
            let cors = origin.map(str::to_owned).into_iter().collect();
            Options { url: url.map(str::to_owned), cors, ..Options::default() }.check().is_ok()
        };
        assert!(check(Some("https://data.example.vn/ogc"), Some("https://bando.example.vn:8443")));
        assert!(!check(Some("data.example.vn"), None) && !check(Some("https://a\"b"), None));
        assert!(!check(None, Some("*")) && !check(None, Some("https://a.vn/path")));
    }
}
