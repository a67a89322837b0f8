//! Foreign servers as child processes that end with their test.
#![allow(dead_code)]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server with all its children.
pub struct Process(Child);

impl Process {
    /// Its words go to the test's own error output.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group: some servers start others.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0\n")
}

/// The first that is there.
pub fn program(name: &str, paths: &[&str]) -> PathBuf {
    let found = paths.iter().map(PathBuf::from).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed; .ci/system-packages test installs it"))
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens.
pub async fn ready(port: u16) {
    let started = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "nobody listens on port {port}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
