//! What an SFTP server may say that OpenSSH never does, and its logins by password.
#![allow(clippy::unwrap_used)]

use model::Credentials;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId};
use russh_sftp::protocol::{Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode};
use sources::remote_folder::{Look, Place, RemoteFolder, Walked, open, walk};
use sources::{Client, ClientOptions, FetchError, Login, Secret};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;

const PASSWORD: &str = "Kh0ng-ai-bi3t";
const CONTENT: &[u8] = b"12345678";

/// How the server behaves when a file is read.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Well,
    /// Two bytes, then the connection breaks.
    Cut,
    /// Two bytes, then nothing.
    Stall,
    /// More than the listing said, without an end.
    Endless,
}

fn host_key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))
}

/// Starts a server that knows one user; its address.
async fn server(reading: Reading) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let none = Some(Duration::ZERO);
    let config = russh::server::Config {
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: none,
        keys: vec![host_key()],
        ..Default::default()
    };
    let config = Arc::new(config);
    tokio::spawn(async move {
        while let Ok((line, _)) = listener.accept().await {
            let (config, cut) = (config.clone(), Arc::new(Notify::new()));
            tokio::spawn(async move {
                let door = Door { channel: None, files: Files { reading, cut: cut.clone(), listed: false } };
                let Ok(running) = russh::server::run_stream(config, line, door).await else { return };
                let handle = running.handle();
                tokio::select! {
                    _ = running => {}
                    () = cut.notified() => {
                        let _ = handle.disconnect(russh::Disconnect::ByApplication, String::new(), String::new()).await;
                    }
                }
            });
        }
    });
    address
}

struct Door {
    channel: Option<Channel<Msg>>,
    files: Files,
}

impl russh::server::Handler for Door {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if (user, password) == ("tram", PASSWORD) { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(&mut self, id: ChannelId, _: &str, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        if let Some(channel) = self.channel.take() {
            russh_sftp::server::run(channel.into_stream(), self.files.clone()).await;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Files {
    reading: Reading,
    cut: Arc<Notify>,
    listed: bool,
}

fn file(name: &str, mode: u32) -> File {
    File::new(name, attributes(mode))
}

fn attributes(mode: u32) -> FileAttributes {
    FileAttributes {
        size: Some(CONTENT.len() as u64),
        permissions: Some(mode),
        atime: Some(1_774_371_900),
        mtime: Some(1_774_371_900),
        ..FileAttributes::empty()
    }
}

impl russh_sftp::server::Handler for Files {
    type Error = StatusCode;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, Self::Error> {
        self.listed = false;
        if path == "/srv" { Ok(Handle { id, handle: path }) } else { Err(StatusCode::NoSuchFile) }
    }

    async fn readdir(&mut self, id: u32, _: String) -> Result<Name, Self::Error> {
        if std::mem::replace(&mut self.listed, true) {
            return Err(StatusCode::Eof);
        }
        let names = ["a.txt", "../b.txt", "/etc/c.txt", "d\n.txt", "..", ".", ""];
        let mut files: Vec<File> = names.into_iter().map(|name| file(name, 0o100_644)).collect();
        files.push(file("../up", 0o40_755));
        files.push(file("link.txt", 0o120_777));
        Ok(Name { id, files })
    }

    async fn open(&mut self, id: u32, path: String, _: OpenFlags, _: FileAttributes) -> Result<Handle, Self::Error> {
        if path == "/srv/a.txt" { Ok(Handle { id, handle: path }) } else { Err(StatusCode::PermissionDenied) }
    }

    async fn read(&mut self, id: u32, _: String, offset: u64, _: u32) -> Result<Data, Self::Error> {
        let from = usize::try_from(offset).unwrap().min(CONTENT.len());
        match self.reading {
            Reading::Endless => Ok(Data { id, data: vec![b'x'; 3] }),
            Reading::Cut | Reading::Stall if from > 0 => {
                if self.reading == Reading::Cut {
                    self.cut.notify_one();
                }
                std::future::pending().await
            }
            _ if from == CONTENT.len() => Err(StatusCode::Eof),
            // Servers may give less than was asked for.
            _ => Ok(Data { id, data: CONTENT[from..CONTENT.len().min(from + 2)].to_vec() }),
        }
    }

    async fn fstat(&mut self, id: u32, _: String) -> Result<Attrs, Self::Error> {
        Ok(Attrs { id, attrs: attributes(0o100_644) })
    }

    async fn close(&mut self, id: u32, _: String) -> Result<Status, Self::Error> {
        Ok(Status { id, status_code: StatusCode::Ok, error_message: String::new(), language_tag: String::new() })
    }
}

async fn enter(address: &str, password: &str) -> Result<Box<dyn RemoteFolder>, FetchError> {
    let credentials = Credentials::Basic { user: "tram".into(), secret: "s".into() };
    let secret = Secret::new(password);
    let fingerprint = host_key().public_key().fingerprint(HashAlg::Sha256).to_string();
    let url = format!("sftp://{address}/srv").parse().unwrap();
    let idle_timeout = Duration::from_secs(2);
    let client = Client::with(ClientOptions { idle_timeout, known_hosts: None, ..ClientOptions::default() });
    let login = Some(Login { credentials: &credentials, secret: &secret });
    open(&client, Place { url: &url, login, host_key: Some(&fingerprint) }).await
}

async fn walked(reading: Reading) -> (Box<dyn RemoteFolder>, Walked) {
    let mut folder = enter(&server(reading).await, PASSWORD).await.unwrap();
    let walked = walk(&mut *folder, Look::default()).await.unwrap();
    (folder, walked)
}

#[tokio::test]
async fn password_lets_in_and_a_wrong_one_is_not_repeated() {
    let (mut folder, walked) = walked(Reading::Well).await;
    let file = walked.files.iter().find(|file| file.name == "a.txt").unwrap();
    assert_eq!(folder.fetch(file).await.unwrap(), CONTENT);
    let error = enter(&server(Reading::Well).await, "sai-mat-khau").await.err().unwrap();
    assert!(error.code() == "login" && !error.to_string().contains("sai-mat-khau"), "{error}");
}

#[tokio::test]
async fn names_that_lead_out_are_told_and_not_asked_for() {
    let (_, walked) = walked(Reading::Well).await;
    let usable: Vec<&str> = walked.files.iter().filter(|file| file.usable).map(|file| file.name.as_str()).collect();
    assert_eq!(usable, ["a.txt"]);
    assert_eq!((walked.files.len(), &walked.trouble), (4, &None), "{walked:?}");
}

#[tokio::test]
async fn content_that_is_cut_stalls_or_never_ends_is_an_error() {
    for (reading, codes) in [
        (Reading::Cut, &["truncated", "ended", "timeout"][..]),
        (Reading::Stall, &["timeout"]),
        (Reading::Endless, &["changed"]),
    ] {
        let (mut folder, walked) = walked(reading).await;
        let file = walked.files.iter().find(|file| file.name == "a.txt").unwrap();
        let error = folder.fetch(file).await.unwrap_err();
        assert!(codes.contains(&error.code()), "{error:?}");
    }
}
