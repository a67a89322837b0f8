//! A PostgreSQL cluster with PostGIS of a test's own. The server refuses to run as root; there it runs as `postgres`.

use crate::process::{free_port, is_root};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian puts the newest version's programs; `None` with a word when there are none, or no PostGIS with them.
pub fn programs() -> Option<PathBuf> {
    use std::io::Write;
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let found = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = found.filter(|path| path.join("bin/initdb").is_file()).max_by_key(version);
    let bin = newest.filter(|path| {
        let share = Path::new("/usr/share/postgresql").join(path.file_name().unwrap_or_default());
        share.join("extension/postgis.control").is_file()
    });
    if bin.is_none() {
        assert!(
            std::env::var_os("TOANCANH_FULL").is_none(),
            "PostGIS is missing; .ci/system-packages test installs it"
        );
        let _ = writeln!(std::io::stderr(), "SKIPPED: PostgreSQL with PostGIS is not installed");
    }
    bin.map(|path| path.join("bin"))
}

pub struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    pub port: u16,
}

const SETTINGS: &str = "
listen_addresses = 'localhost'
fsync = off
jit = off
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
password_encryption = 'scram-sha-256'
";
/// The database's own user comes in by the socket, `guest` from this machine as it is, everybody else by password; `sealed` only by
/// TLS.
const LETS_IN: &str = "
local all all trust
host all guest localhost trust
hostnossl all sealed localhost reject
host all all localhost scram-sha-256
";

impl Cluster {
    /// A database `land` with the extension.
    pub fn start(programs: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("tc-pg-").tempdir_in("/tmp").unwrap();
        let cluster = Self { programs, folder, port: free_port() };
        let data = cluster.data();
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(cluster.folder.path()).status().unwrap().success());
        }
        cluster.call("initdb", ["-D", &data, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-U", "postgres", "-N"]);
        let (key, certificate) = (format!("{data}/server.key"), cluster.certificate());
        let subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"];
        let made = cluster
            .as_user("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out"])
            .arg(&certificate)
            .args(subject)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // Whose files they are stays as it is.
        std::fs::write(format!("{data}/pg_hba.conf"), LETS_IN).unwrap();
        let conf = format!("{data}/postgresql.conf");
        let all = std::fs::read_to_string(&conf).unwrap() + SETTINGS;
        std::fs::write(&conf, all).unwrap();
        cluster.go();
        cluster.sql("postgres", "CREATE DATABASE land");
        cluster.sql("land", "CREATE EXTENSION postgis");
        cluster
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("data/server.crt")
    }

    fn as_user(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }

    fn call<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a str>) {
        let done = self.as_user(self.programs.join(program)).args(arguments).output().unwrap();
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    }

    pub fn go(&self) {
        let log = self.folder.path().join("log").display().to_string();
        let options = format!("-k {} -p {}", self.folder.path().display(), self.port);
        // Its output would hold the test's pipe open.
        self.call("pg_ctl", ["-D", &self.data(), "-o", &options, "-l", &log, "-w", "-s", "start"]);
    }

    pub fn stop(&self, mode: &str) {
        let stopping = self.as_user(self.programs.join("pg_ctl"));
        let _ = { stopping }.args(["-D", &self.data(), "-m", mode, "-w", "-s", "stop"]).output();
    }

    /// What the database's owner says, by psql; its first line of answer.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        use std::io::Write;
        use std::process::Stdio;
        let mut psql = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database])
            .arg("-h")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        psql.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        let done = psql.wait_with_output().unwrap();
        let shown: String = statements.chars().take(300).collect();
        assert!(done.status.success(), "{shown}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop("immediate");
    }
}
