//! Folders of other machines: the real servers of FTP, FTPS and SFTP, and what only broken or evil ones do.
#![allow(clippy::unwrap_used)]

#[path = "foreign/file_servers.rs"]
mod file_servers;
#[path = "common/ftp.rs"]
mod ftp;
#[path = "foreign/process.rs"]
mod process;

use file_servers::{BY_TLS, PASSWORD, Server, sshd, user, vsftpd, vsftpd_on};
use ftp::{Script, scripted};
use model::Credentials;
use sources::remote_folder::{Look, Place, Precision, RemoteFile, RemoteFolder, Walked, open, walk};
use sources::{Client, ClientOptions, FetchError, Login, Resolver, Resolving, Secret, Url};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DAY: &str = "KHI002/2026/03/25";
const NAME: &str = "LA_EFGH_KHI002_20260325000500.txt";
const ROWS: &str = "PM2,5\t27,81\tug/m3\t20260325000500\t00\r\n";

/// A folder as a logger lays it down, with a name of two bytes a letter and a link out of it.
fn archive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), &format!("{DAY}/{NAME}"), ROWS.as_bytes());
    put(folder.path(), "KHI002/2026/03/24/LA_EFGH_KHI002_20260324235500.txt", b"earlier\r\n");
    put(folder.path(), "trạm mới/notes.txt", b"hello\n");
    std::os::unix::fs::symlink("/etc", folder.path().join("out")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("out.txt")).unwrap();
    folder
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn quick() -> ClientOptions {
    let idle_timeout = Duration::from_secs(3);
    ClientOptions { idle_timeout, known_hosts: None, ..ClientOptions::default() }
}

fn basic(name: &str) -> Credentials {
    Credentials::Basic { user: name.into(), secret: "tram".into() }
}

struct Asked {
    options: ClientOptions,
    credentials: Credentials,
    secret: Secret,
    host_key: Option<String>,
}

impl Asked {
    fn by_password() -> Self {
        Self { options: quick(), credentials: basic("anonymous"), secret: Secret::new(PASSWORD), host_key: None }
    }

    fn by_key(server: &Server, key: &str) -> Self {
        Self {
            options: quick(),
            credentials: Credentials::Key { user: user(), secret: "khoa".into() },
            secret: Secret::new(server.private_key(key)),
            host_key: Some(server.fingerprint("host")),
        }
    }

    async fn open(&self, url: &str) -> Result<Box<dyn RemoteFolder>, FetchError> {
        let url: Url = url.parse().unwrap();
        let login = Some(Login { credentials: &self.credentials, secret: &self.secret });
        let client = Client::with(self.options.clone());
        open(&client, Place { url: &url, login, host_key: self.host_key.as_deref() }).await
    }

    async fn fails(&self, url: &str) -> FetchError {
        self.open(url).await.err().unwrap_or_else(|| panic!("{url} was opened"))
    }

    async fn walked(&self, url: &str) -> (Box<dyn RemoteFolder>, Walked) {
        let mut folder = self.open(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let walked = walk(&mut *folder, Look::default()).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        (folder, walked)
    }
}

fn names(walked: &Walked) -> Vec<&str> {
    let mut names: Vec<&str> = walked.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    names
}

fn named<'a>(walked: &'a Walked, name: &str) -> &'a RemoteFile {
    walked.files.iter().find(|file| file.name.ends_with(name)).unwrap()
}

const ALL: [&str; 3] = [
    "KHI002/2026/03/24/LA_EFGH_KHI002_20260324235500.txt",
    "KHI002/2026/03/25/LA_EFGH_KHI002_20260325000500.txt",
    "trạm mới/notes.txt",
];

#[tokio::test]
async fn vsftpd_gives_the_files_and_no_links() {
    let folder = archive();
    let Some(server) = vsftpd(folder.path(), "").await else { return };
    let root = format!("ftp://127.0.0.1:{}", server.port);
    let asked = Asked::by_password();
    let (mut open, walked) = asked.walked(&root).await;
    assert_eq!((names(&walked), &walked.trouble), (ALL.to_vec(), &None));
    let file = named(&walked, NAME);
    assert_eq!((file.size_bytes, file.precision), (ROWS.len() as u64, Precision::Minute));
    assert_eq!(open.fetch(file).await.unwrap(), ROWS.as_bytes());
    assert_eq!(open.fetch(named(&walked, "notes.txt")).await.unwrap(), b"hello\n", "the connection goes on");
    // Below the folder, and with a name that has to be written in percents.
    let (_, below) = asked.walked(&format!("{root}/KHI002/2026/03/25/")).await;
    assert_eq!(names(&below), [NAME]);
    let (mut other, below) = asked.walked(&format!("{root}/tr%E1%BA%A1m%20m%E1%BB%9Bi")).await;
    assert_eq!(other.fetch(&below.files[0]).await.unwrap(), b"hello\n");
    let mut gone = asked.open(&format!("{root}/nowhere")).await.unwrap();
    let error = walk(&mut *gone, Look::default()).await.unwrap_err();
    assert!(error.code() == "no_access" && error.to_string().contains("/nowhere"), "{error}");
    std::fs::remove_file(folder.path().join(DAY).join(NAME)).unwrap();
    assert_eq!(open.fetch(named(&walked, NAME)).await.unwrap_err().code(), "no_access", "gone in between");
}

#[tokio::test]
async fn vsftpd_refuses_a_wrong_password_and_the_error_names_the_secret_not_its_value() {
    let folder = archive();
    let Some(server) = vsftpd(folder.path(), "").await else { return };
    let wrong = Asked { secret: Secret::new("sai-mat-khau"), ..Asked::by_password() };
    let error = wrong.fails(&format!("ftp://127.0.0.1:{}/", server.port)).await;
    assert!(error.code() == "login" && error.answered() && !error.retryable(), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("anonymous") && said.contains("tram") && !said.contains("sai-mat-khau"), "{said}");
}

#[tokio::test]
async fn address_that_the_server_names_for_data_is_not_believed() {
    let folder = archive();
    // The real server, without the command that names no address, sends data connections to somebody else.
    let Some(server) = vsftpd(folder.path(), "cmds_denied=EPSV\npasv_address=169.254.169.254").await else { return };
    let (mut open, walked) = Asked::by_password().walked(&format!("ftp://127.0.0.1:{}", server.port)).await;
    assert_eq!(names(&walked), ALL);
    assert_eq!(open.fetch(named(&walked, NAME)).await.unwrap(), ROWS.as_bytes());
}

#[tokio::test]
async fn vsftpd_by_tls_is_believed_by_its_certificate_only() {
    let folder = archive();
    let Some(server) = vsftpd(folder.path(), BY_TLS).await else { return };
    let certificate = server.certificate();
    let root = format!("ftps://localhost:{}/KHI002", server.port);
    let asked = Asked::by_password();
    let (mut open, walked) = asked.walked(&format!("{root}?sslrootcert={}", certificate.display())).await;
    assert_eq!(
        names(&walked),
        ["2026/03/24/LA_EFGH_KHI002_20260324235500.txt", "2026/03/25/LA_EFGH_KHI002_20260325000500.txt"]
    );
    assert_eq!(open.fetch(named(&walked, NAME)).await.unwrap(), ROWS.as_bytes());
    let error = asked.fails(&root).await;
    assert!(error.code() == "tls" && error.to_string().contains("sslrootcert"), "{error}");
    // The server lets nobody in without TLS, and another offers none.
    assert_eq!(asked.fails(&format!("ftp://localhost:{}/", server.port)).await.code(), "login");
    let plain = vsftpd(folder.path(), "").await.unwrap();
    let error = asked.fails(&format!("ftps://localhost:{}/", plain.port)).await;
    assert!(error.code() == "tls" && error.to_string().contains("ftp://"), "{error}");
}

#[tokio::test]
async fn port_990_means_tls_from_the_first_byte() {
    let folder = archive();
    if std::net::TcpListener::bind("127.0.0.1:990").is_err() {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED: port 990 is not for this user, or taken");
        return;
    }
    let implicit = format!("{BY_TLS}\nimplicit_ssl=YES");
    let Some(server) = vsftpd_on(990, folder.path(), &implicit).await else { return };
    let root = format!("ftps://localhost:990/?sslrootcert={}", server.certificate().display());
    let (mut open, walked) = Asked::by_password().walked(&root).await;
    assert_eq!(names(&walked), ALL);
    assert_eq!(open.fetch(named(&walked, NAME)).await.unwrap(), ROWS.as_bytes());
    assert_eq!(Asked::by_password().fails("ftps://localhost:990/").await.code(), "tls");
}

#[tokio::test]
async fn openssh_gives_the_files_by_key_and_to_the_server_that_was_meant() {
    let folder = archive();
    let Some(server) = sshd("").await else { return };
    let root = format!("sftp://127.0.0.1:{}{}", server.port, folder.path().display());
    for key in ["user", "user_rsa"] {
        let (mut open, walked) = Asked::by_key(&server, key).walked(&root).await;
        assert_eq!((names(&walked), &walked.trouble), (ALL.to_vec(), &None), "{key}");
        let file = named(&walked, NAME);
        assert_eq!((file.size_bytes, file.precision), (ROWS.len() as u64, Precision::Second));
        assert_eq!(open.fetch(file).await.unwrap(), ROWS.as_bytes());
    }
    let asked = Asked::by_key(&server, "user");
    let mut gone = asked.open(&format!("{root}/nowhere")).await.unwrap();
    assert_eq!(walk(&mut *gone, Look::default()).await.unwrap_err().code(), "no_access");
    // Who is not let in, and with what no one is.
    let error = Asked::by_key(&server, "stranger").fails(&root).await;
    assert!(error.code() == "login" && error.to_string().contains("khoa"), "{error}");
    let error = Asked::by_key(&server, "locked").fails(&root).await;
    assert!(error.code() == "no_secret" && error.to_string().contains("passphrase"), "{error}");
    let no_key = Asked { secret: Secret::new("just a word"), ..Asked::by_key(&server, "user") };
    let error = no_key.fails(&root).await;
    assert!(error.code() == "no_secret" && !error.to_string().contains("just a word"), "{error}");
    let by_password = Asked { credentials: basic(&user()), secret: Secret::new("x"), ..Asked::by_key(&server, "user") };
    assert_eq!(by_password.fails(&root).await.code(), "login");
}

#[tokio::test]
async fn server_that_nobody_vouched_for_is_shown_nothing() {
    let folder = archive();
    let Some(server) = sshd("").await else { return };
    let root = format!("sftp://127.0.0.1:{}{}", server.port, folder.path().display());
    let (right, wrong) = (server.fingerprint("host"), server.fingerprint("other"));
    let unknown = Asked { host_key: None, ..Asked::by_key(&server, "user") }.fails(&root).await;
    assert_eq!(unknown.code(), "host_key_unknown");
    assert!(unknown.to_string().contains(&format!("host_key = \"{right}\"")), "{unknown}");
    let changed = Asked { host_key: Some(wrong.clone()), ..Asked::by_key(&server, "user") }.fails(&root).await;
    assert_eq!((changed.code(), changed.retryable()), ("host_key_changed", false));
    assert!(changed.to_string().contains(&right) && changed.to_string().contains(&wrong), "{changed}");
    // The user's own list, as ssh writes it.
    let list = server.folder.path().join("known_hosts");
    let known = |key: &str| {
        let line = std::fs::read_to_string(server.folder.path().join(format!("{key}.pub"))).unwrap();
        std::fs::write(&list, format!("# mine\n[127.0.0.1]:{} {line}", server.port)).unwrap();
        let options = ClientOptions { known_hosts: Some(list.clone()), ..quick() };
        Asked { options, host_key: None, ..Asked::by_key(&server, "user") }
    };
    assert_eq!(names(&known("host").walked(&root).await.1), ALL);
    let changed = known("other").fails(&root).await;
    assert!(changed.code() == "host_key_changed" && changed.to_string().contains("known_hosts"), "{changed}");
    // A key of another kind is on record: this one was not vouched for.
    assert_eq!(known("user_rsa").fails(&root).await.code(), "host_key_changed");
}

#[tokio::test]
async fn hostile_names_of_a_real_disk_are_told_and_not_fetched() {
    use std::os::unix::ffi::OsStrExt;
    let folder = archive();
    for name in [&b"LA_A_B_20260325000500.txt\ntwo.txt"[..], b"caf\xe9.txt", b"tab\there.txt"] {
        std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), b"x\n").unwrap();
    }
    if let Some(server) = sshd("").await {
        let root = format!("sftp://127.0.0.1:{}{}", server.port, folder.path().display());
        let (mut open, walked) = Asked::by_key(&server, "user").walked(&root).await;
        let usable: Vec<bool> = walked.files.iter().map(|file| file.usable).collect();
        assert_eq!((usable.len(), usable.iter().filter(|usable| **usable).count()), (6, 3), "{walked:?}");
        assert!(walked.files.iter().all(|file| !file.name.contains('\n')));
        assert_eq!(open.fetch(named(&walked, NAME)).await.unwrap(), ROWS.as_bytes());
    }
    if let Some(server) = vsftpd(folder.path(), "").await {
        let (mut open, walked) = Asked::by_password().walked(&format!("ftp://127.0.0.1:{}", server.port)).await;
        assert!(walked.files.iter().all(|file| !file.name.contains('\n')));
        for name in ALL {
            assert!(walked.files.iter().any(|file| file.name == name && file.usable), "{walked:?}");
        }
        assert_eq!(open.fetch(named(&walked, NAME)).await.unwrap(), ROWS.as_bytes());
    }
}

#[tokio::test]
async fn file_that_grows_or_shrinks_is_not_taken() {
    let folder = archive();
    let path = folder.path().join(DAY).join(NAME);
    let mut opened: Vec<(Box<dyn RemoteFolder>, Walked)> = Vec::new();
    let (ftp, ssh) = (vsftpd(folder.path(), "").await, sshd("").await);
    if let Some(server) = &ftp {
        opened.push(Asked::by_password().walked(&format!("ftp://127.0.0.1:{}", server.port)).await);
    }
    if let Some(server) = &ssh {
        let root = format!("sftp://127.0.0.1:{}{}", server.port, folder.path().display());
        opened.push(Asked::by_key(server, "user").walked(&root).await);
    }
    for (open, walked) in &mut opened {
        for content in [ROWS.repeat(2), ROWS[..9].to_owned()] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(open.fetch(named(walked, NAME)).await.unwrap_err().code(), "changed");
        }
        std::fs::write(&path, ROWS).unwrap();
        assert_eq!(open.fetch(named(walked, "notes.txt")).await.unwrap(), b"hello\n", "the connection goes on");
    }
}

#[tokio::test]
async fn server_that_is_gone_is_an_error_that_names_it() {
    let folder = archive();
    let Some(server) = sshd("").await else { return };
    let root = format!("sftp://127.0.0.1:{}{}", server.port, folder.path().display());
    let asked = Asked::by_key(&server, "user");
    let port = server.port.to_string();
    drop(server);
    let error = asked.fails(&root).await;
    assert!(error.code() == "refused" && error.to_string().contains(&port), "{error}");
}

fn modern(listing: &str) -> Script {
    Script { folders: vec![("/", listing.as_bytes().to_vec())], ..Script::default() }
}

const LISTED: &str = "type=file;size=8;modify=20260325000512; a.txt\r\n";

#[tokio::test]
async fn transfer_that_is_cut_never_counts() {
    for cut in [Some(3), Some(8)] {
        let script = Script { content: b"12345678".to_vec(), cut_after: cut, ..modern(LISTED) };
        let (address, _) = scripted(script).await;
        let (mut open, walked) = Asked::by_password().walked(&format!("ftp://{address}")).await;
        let error = open.fetch(&walked.files[0]).await.unwrap_err();
        assert_eq!(error.code(), "truncated", "also where all bytes came, but not the word that it was all");
    }
}

#[tokio::test]
async fn listing_of_a_modern_server_is_read_and_an_old_one_is_asked_in_its_own_way() {
    let script = Script { content: b"12345678".to_vec(), ..modern(LISTED) };
    let (address, log) = scripted(script.clone()).await;
    let (mut open, walked) = Asked::by_password().walked(&format!("ftp://{address}")).await;
    let file = &walked.files[0];
    assert_eq!((file.size_bytes, file.modified_at.to_string().as_str()), (8, "2026-03-25T00:05:12Z"));
    assert_eq!(open.fetch(file).await.unwrap(), b"12345678");
    assert!(log.lock().unwrap().iter().any(|command| command == "MLSD"));
    let listing = b"-rw-r--r-- 1 a a 8 Mar 25 2025 a.txt\r\n".to_vec();
    let old = Script { modern: false, folders: vec![("/", listing)], lies: Some("10,9,8,7"), ..script };
    let (address, log) = scripted(old).await;
    let (mut open, walked) = Asked::by_password().walked(&format!("ftp://{address}")).await;
    assert_eq!(open.fetch(&walked.files[0]).await.unwrap(), b"12345678");
    let commands = log.lock().unwrap().clone();
    assert_eq!(commands.iter().filter(|command| *command == "EPSV").count(), 1, "{commands:?}");
}

#[tokio::test]
async fn names_in_a_listing_give_no_commands() {
    let listing = "type=dir;modify=20260325000000; ..\r\ntype=dir;modify=20260325000000; ../../etc\r\n\
        type=file;size=1;modify=20260325000000; ../../etc/shadow.txt\r\ntype=file;size=1;modify=20260325000000; \r\n\
        type=file;size=1;modify=20260325000000; x\rDELE a.txt\r\n";
    let (address, log) = scripted(modern(listing)).await;
    let (_, walked) = Asked::by_password().walked(&format!("ftp://{address}")).await;
    assert!(walked.files.iter().all(|file| !file.usable), "{walked:?}");
    let commands = log.lock().unwrap().clone();
    let words = |word: &str| commands.iter().filter(|command| command.starts_with(word)).count();
    assert_eq!((words("CWD"), words("DELE"), words("RETR")), (1, 0, 0), "{commands:?}");
}

#[tokio::test]
async fn a_byte_a_second_and_endless_listings_end() {
    let (address, _) = scripted(Script { drips: true, ..modern(LISTED) }).await;
    let options = ClientOptions { answer_timeout: Duration::from_secs(4), ..quick() };
    let asked = Asked { options, ..Asked::by_password() };
    let mut folder = asked.open(&format!("ftp://{address}")).await.unwrap();
    let began = Instant::now();
    let error = walk(&mut *folder, Look::default()).await.unwrap_err();
    assert!(error.code() == "timeout" && began.elapsed() < Duration::from_secs(8), "{error}");
    let (address, _) = scripted(Script { endless: true, ..modern(&LISTED.repeat(1_000)) }).await;
    let mut folder = Asked::by_password().open(&format!("ftp://{address}")).await.unwrap();
    let error = walk(&mut *folder, Look::default()).await.unwrap_err();
    assert_eq!(error.code(), "too_large");
    // Nobody speaks at all.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for scheme in ["ftp", "ftps", "sftp"] {
        let error = Asked::by_password().fails(&format!("{scheme}://{}", silent.local_addr().unwrap())).await;
        assert_eq!(error.code(), "timeout", "{scheme}");
    }
}

/// Knows one name.
#[derive(Debug)]
struct Names(&'static str);

impl Resolver for Names {
    fn resolve(&self, _: &str) -> Resolving {
        let address = self.0.parse().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn servers_are_held_to_the_rules_of_all_hosts() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["ftp", "ftps", "sftp"] {
        for address in ["169.254.169.254", "127.0.0.1", "fd00:ec2::254"] {
            let options = ClientOptions { resolver: Arc::new(Names(address)), ..quick() };
            let asked = Asked { options, ..Asked::by_password() };
            let error = asked.fails(&format!("{scheme}://station.example:{port}/")).await;
            assert_eq!(error.code(), "forbidden_address", "{scheme} {address}");
        }
        let error = Asked::by_password().fails(&format!("{scheme}://169.254.169.254/")).await;
        assert_eq!(error.code(), "forbidden_address", "{scheme}");
        // TLS from the first byte goes another way.
        let error = Asked::by_password().fails("ftps://169.254.169.254:990/").await;
        assert_eq!(error.code(), "forbidden_address");
        let error = Asked::by_password().fails(&format!("{scheme}://me:geheim@127.0.0.1/")).await;
        assert!(error.code() == "bad_address" && !error.to_string().contains("geheim"), "{error}");
    }
    let waited = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(waited.is_err(), "somebody connected");
}
