//! vsftpd and OpenSSH as servers of a test's own: unprivileged ports of this machine, and nothing of the system's is touched.
#![allow(dead_code)]

use crate::process::{Process, free_port, is_root};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const PASSWORD: &str = "Kh0ng-ai-bi3t";

/// A program that Debian has, or `None` with a word that the test did not run.
fn installed(name: &str, path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var_os("TOANCANH_FULL").is_none(), "{name} is missing; .ci/system-packages test installs it");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {name} is not installed");
    None
}

/// Where a server's settings lie, and how long it lives.
pub struct Server {
    pub port: u16,
    pub folder: tempfile::TempDir,
    _alive: Process,
}

impl Server {
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// vsftpd over a folder; it lets in `anonymous` with [`PASSWORD`] only: other users would be the machine's own.
pub async fn vsftpd(root: &Path, more: &str) -> Option<Server> {
    vsftpd_on(free_port(), root, more).await
}

pub async fn vsftpd_on(port: u16, root: &Path, more: &str) -> Option<Server> {
    let program = installed("vsftpd", "/usr/sbin/vsftpd")?;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    std::fs::write(folder.path().join("passwords"), format!("{PASSWORD}\n")).unwrap();
    if more.contains("ssl_enable=YES") {
        certificate(folder.path());
    }
    // It writes no log and changes no user: it reads, as whoever runs the test.
    let settings = format!(
        "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nrun_as_launching_user=YES\n\
         one_process_model=YES\nseccomp_sandbox=NO\nanonymous_enable=YES\nlocal_enable=NO\nanon_root={}\n\
         secure_email_list_enable=YES\nemail_password_file={at}/passwords\nxferlog_enable=NO\n{}\n",
        root.display(),
        more.replace("FOLDER", &at.to_string())
    );
    let file = folder.path().join("vsftpd.conf");
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(program);
    command.arg(file);
    let alive = Process::start(command);
    crate::process::ready(port).await;
    Some(Server { port, folder, _alive: alive })
}

pub const BY_TLS: &str = "ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\n\
    rsa_cert_file=FOLDER/certificate.pem\nrsa_private_key_file=FOLDER/key.pem\nrequire_ssl_reuse=NO\nssl_ciphers=HIGH";

/// OpenSSH that serves files and nothing else, to the user who runs the test, by a key.
pub async fn sshd(more: &str) -> Option<Server> {
    let program = installed("openssh-server", "/usr/sbin/sshd")?;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (name, kind) in
        [("host", "ed25519"), ("other", "ed25519"), ("user", "ed25519"), ("user_rsa", "rsa"), ("stranger", "ed25519")]
    {
        keygen(&["-q", "-t", kind, "-N", "", "-C", "test", "-f", name], at);
    }
    keygen(&["-q", "-t", "ed25519", "-N", "a passphrase", "-f", "locked"], at);
    let keys = ["user.pub", "user_rsa.pub"].map(|name| std::fs::read_to_string(at.join(name)).unwrap());
    std::fs::write(at.join("authorized"), keys.concat()).unwrap();
    if is_root() {
        // Where it locks away what it does not trust; the package's service makes it at its start.
        std::fs::create_dir_all("/run/sshd").unwrap();
    }
    let port = free_port();
    let settings = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nPidFile none\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nAuthorizedKeysFile {0}/authorized\n\
         Subsystem sftp internal-sftp\nForceCommand internal-sftp\nLogLevel ERROR\n{more}\n",
        at.display()
    );
    let file = at.join("sshd.conf");
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(program);
    command.args(["-D", "-e", "-f"]).arg(file);
    let alive = Process::start(command);
    crate::process::ready(port).await;
    Some(Server { port, folder, _alive: alive })
}

fn keygen(arguments: &[&str], at: &Path) -> String {
    let done = Command::new("ssh-keygen").args(arguments).current_dir(at).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

impl Server {
    /// `SHA256:…` of a key, as OpenSSH itself writes it.
    pub fn fingerprint(&self, key: &str) -> String {
        let said = keygen(&["-l", "-f", &format!("{key}.pub")], self.folder.path());
        said.split_whitespace().nth(1).unwrap().to_owned()
    }

    pub fn private_key(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

/// Who runs the test.
pub fn user() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}
