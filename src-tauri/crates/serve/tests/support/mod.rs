//! A server on a home of its own, and the smallest HTTP client that asks it over a real socket.

#![allow(clippy::unwrap_used, dead_code)]

use desk::{Desk, Options, Role};
use serde_json::Value;
use serve::{Server, Token};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub const TOKEN: &str = "a-token-for-the-tests-0123456789";

pub struct Running {
    pub home: tempfile::TempDir,
    pub desk: Arc<Desk>,
    pub server: Server,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &str| line.split(':').next().is_some_and(|known| known.eq_ignore_ascii_case(name));
        self.head.lines().find(|text| line(text)).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Running {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// On a free port, with the token above.
    pub async fn with(change: impl FnOnce(&mut serve::Options)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let options = Options { role: Some(Role::Administrator), ..Options::at(home.path().join("home")) };
        let (desk, notices) = Desk::open(options).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut options = serve::Options { listen, token: Some(token(&home)), ..serve::Options::default() };
        change(&mut options);
        let server = Server::start(desk.clone(), options).await.unwrap();
        Self { home, desk, server }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    pub async fn trusted(&self, path: &str) -> Answer {
        self.ask("GET", path, &[("Authorization", &format!("Bearer {TOKEN}"))]).await
    }

    /// `path` may be absolute, as links are.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let path = path.strip_prefix(self.server.url()).unwrap_or(path);
        let address = self.server.address();
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: {address}\r\n");
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        raw(address, format!("{request}\r\n").into_bytes()).await
    }
}

/// Sends bytes as they are and reads to the end.
pub async fn raw(address: SocketAddr, request: Vec<u8>) -> Answer {
    let work = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The server may refuse before all is sent.
        let _ = stream.write_all(&request);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let split = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer"));
        let head = String::from_utf8_lossy(&all[..split]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: all[split + 4..].to_vec() }
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn token(home: &tempfile::TempDir) -> Token {
    let path: PathBuf = home.path().join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    Token::read(&path).unwrap()
}
