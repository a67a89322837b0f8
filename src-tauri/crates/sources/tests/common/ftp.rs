//! An FTP server that says what a test has it say: what real ones do only when they are broken or evil.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What it answers with.
#[derive(Clone)]
pub struct Script {
    /// Lines of a listing, by the folder's absolute path; others are not there.
    pub folders: Vec<(&'static str, Vec<u8>)>,
    /// What `RETR` sends.
    pub content: Vec<u8>,
    /// So many bytes of it come, then the data connection ends, without word that all was sent.
    pub cut_after: Option<usize>,
    /// A byte a second.
    pub drips: bool,
    /// It knows `MLSD` and `EPSV`.
    pub modern: bool,
    /// The address that it names for data connections.
    pub lies: Option<&'static str>,
    pub endless: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            content: Vec::new(),
            cut_after: None,
            drips: false,
            modern: true,
            lies: None,
            endless: false,
        }
    }
}

/// Starts it; the commands that it was given.
pub async fn scripted(script: Script) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = log.clone();
    tokio::spawn(async move {
        while let Ok((line, _)) = listener.accept().await {
            tokio::spawn(talk(line, script.clone(), heard.clone()));
        }
    });
    (address, log)
}

async fn talk(line: TcpStream, script: Script, log: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let (read, mut write) = line.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut at = "/".to_owned();
    let mut passive: Option<TcpListener> = None;
    write.write_all(b"220 ready\r\n").await.ok()?;
    while let Some(command) = lines.next_line().await.ok()? {
        log.lock().unwrap().push(command.clone());
        let (word, rest) = command.split_once(' ').unwrap_or((&command, ""));
        let listing =
            |path: &str| script.folders.iter().find(|(known, _)| *known == path).map(|(_, lines)| lines.clone());
        let answer = match word {
            "USER" => "331 password\r\n".to_owned(),
            "PASS" => "230 in\r\n".to_owned(),
            "TYPE" | "OPTS" => "200 ok\r\n".to_owned(),
            "FEAT" if script.modern => {
                "211-Features:\r\n MLST type*;size*;modify*;\r\n EPSV\r\n UTF8\r\n211 End\r\n".to_owned()
            }
            "PWD" => "257 \"/\" is here\r\n".to_owned(),
            "CWD" if listing(rest).is_some() => {
                at = rest.to_owned();
                "250 there\r\n".to_owned()
            }
            "CWD" => "550 no such folder\r\n".to_owned(),
            "EPSV" if script.modern => {
                let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
                let port = listener.local_addr().ok()?.port();
                passive = Some(listener);
                format!("229 Entering Extended Passive Mode (|||{port}|)\r\n")
            }
            "PASV" => {
                let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
                let port = listener.local_addr().ok()?.port();
                passive = Some(listener);
                let host = script.lies.unwrap_or("127,0,0,1");
                format!("227 Entering Passive Mode ({host},{},{})\r\n", port / 256, port % 256)
            }
            "MLSD" | "LIST" | "RETR" if script.modern || word != "MLSD" => {
                write.write_all(b"150 here it comes\r\n").await.ok()?;
                let (mut data, _) = passive.take()?.accept().await.ok()?;
                let bytes = if word == "RETR" { script.content.clone() } else { listing(&at)? };
                if script.drips {
                    for byte in bytes {
                        data.write_all(&[byte]).await.ok()?;
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    return None;
                }
                if script.endless {
                    // Never: lines as long as somebody reads them.
                    while data.write_all(&bytes).await.is_ok() {}
                }
                let cut = script.cut_after.filter(|_| word == "RETR");
                data.write_all(&bytes[..cut.unwrap_or(bytes.len())]).await.ok()?;
                data.shutdown().await.ok()?;
                drop(data);
                if cut.is_some() { "426 transfer aborted\r\n".to_owned() } else { "226 all of it\r\n".to_owned() }
            }
            "QUIT" => return None,
            _ => "502 what?\r\n".to_owned(),
        };
        write.write_all(answer.as_bytes()).await.ok()?;
    }
    Some(())
}
