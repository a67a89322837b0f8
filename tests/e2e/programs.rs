//! The programs of a journey: the app, the practice data centre, the WebDriver.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const DRIVER_PORT: u16 = 4444;

pub struct Programs {
    pub app: PathBuf,
    pub ctl: PathBuf,
    pub pictures: PathBuf,
}

impl Programs {
    /// The programs beside this test, when the journey is asked for.
    pub fn find() -> Option<Self> {
        std::env::var_os("TOANCANH_E2E")?;
        // target/debug/deps/e2e-… → target/debug
        let debug = std::env::current_exe().ok()?.parent()?.parent()?.to_owned();
        let pictures = debug.parent()?.join("e2e");
        std::fs::create_dir_all(&pictures).ok()?;
        Some(Self { app: debug.join("toancanh"), ctl: debug.join("toancanhctl"), pictures })
    }
}

/// A process that ends with its owner, and with it those that it started: a driver that lives on refuses the next journey.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts tauri-driver and waits until it listens.
pub fn driver(programs: &Programs) -> std::io::Result<Running> {
    let log = std::fs::File::create(programs.pictures.join("driver.log"))?;
    let child = Command::new("tauri-driver")
        .args(["--port", &DRIVER_PORT.to_string(), "--native-port", "4445"])
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()?;
    let running = Running(child);
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", DRIVER_PORT)).is_err() {
        if started.elapsed() > Duration::from_secs(10) {
            return Err(std::io::Error::other("tauri-driver does not listen"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(running)
}

/// A practice data centre as a process of its own, so that it can be killed.
pub struct Practice {
    child: Option<Child>,
    port: u16,
    words: Vec<&'static str>,
    pub url: String,
}

impl Practice {
    pub fn start(programs: &Programs, home: &Path) -> std::io::Result<Self> {
        Self::start_with(programs, home, &[])
    }

    /// With more words on its command line.
    pub fn start_with(programs: &Programs, home: &Path, words: &[&'static str]) -> std::io::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut practice = Self { child: None, port, words: words.to_vec(), url: format!("http://127.0.0.1:{port}") };
        practice.restart(programs, home)?;
        Ok(practice)
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self, programs: &Programs, home: &Path) -> std::io::Result<()> {
        let mut child = Command::new(&programs.ctl)
            .arg("--home")
            .arg(home)
            .args(["practice", "--listen", &format!("127.0.0.1:{}", self.port)])
            .args(&self.words)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        self.child = Some(child);
        if line.contains(&self.url) { Ok(()) } else { Err(std::io::Error::other(format!("practice says {line:?}"))) }
    }

    /// Kills it as a pulled plug would: no goodbye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        self.kill();
    }
}
