//! A proxy that answers with what a server said, or with what becomes of that on a bad line.

use super::{Random, wire};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends in order, in the middle.
    Cut,
    /// It is reset in the middle.
    Reset,
    /// It ends before the first byte.
    EarlyEnd,
    /// From somewhere on a byte a second comes.
    Slow,
    /// A bit of a byte is turned so that it is no text any more.
    Bit,
    /// A letter of a name becomes another one.
    Letter,
    /// The head announces more than comes; without heads, some bytes are left out.
    LengthOver,
    /// It announces less; without heads, the rest never comes.
    LengthUnder,
    /// Something else stands between head and body, or anywhere.
    Garbage,
    /// Half of a packed body, under its own length; without heads, zeros in place of the rest.
    HalfGzip,
    /// The first piece comes twice, or any other.
    Twice,
    /// A page of somebody else's, with status 200.
    Portal,
}

impl Fault {
    pub const ALL: [Self; 12] = [
        Self::Cut,
        Self::Bit,
        Self::Reset,
        Self::Letter,
        Self::HalfGzip,
        Self::EarlyEnd,
        Self::LengthOver,
        Self::Garbage,
        Self::LengthUnder,
        Self::Twice,
        Self::Slow,
        Self::Portal,
    ];
}

/// Where requests lead.
#[derive(Clone)]
pub enum Target {
    Port(u16),
    /// Not by HTTP.
    Wire(u16),
    /// A CGI program with its surroundings; one process a request.
    Cgi {
        program: PathBuf,
        envs: Vec<(String, String)>,
    },
}

pub struct Plan {
    target: Target,
    seen: usize,
    /// Bytes of the answers since the last word on how to behave, and how many they were the last time that all went well: only
    /// of what is not HTTP.
    pub came: usize,
    pub length: usize,
    /// The fault, the request that it is for, a seed, and what the names end in.
    fault: Option<(Fault, usize, u64, &'static str)>,
}

impl Plan {
    /// Counts a request: what is to become of its answer.
    pub fn next(&mut self) -> Option<(Fault, u64, &'static str)> {
        self.seen += 1;
        let at = self.seen - 1;
        self.fault.filter(|(_, nth, ..)| *nth == at).map(|(fault, _, seed, names)| (fault, seed, names))
    }
}

pub struct Proxy {
    pub port: u16,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Mutex::new(Plan { target: Target::Port(0), seen: 0, came: 0, length: 0, fault: None }));
        let followed = plan.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let target = followed.lock().unwrap().target.clone();
                match target {
                    Target::Wire(port) => drop(tokio::spawn(wire::pass(near, port, followed.clone()))),
                    _ => drop(tokio::spawn(pass(near, followed.clone()))),
                }
            }
        });
        Self { port, plan }
    }

    pub fn lead_to(&self, target: Target) {
        self.plan.lock().unwrap().target = target;
    }

    pub fn behave(&self) {
        let mut plan = self.plan.lock().unwrap();
        (plan.seen, plan.came, plan.fault) = (0, 0, None);
    }

    pub fn misbehave(&self, fault: Fault, at: usize, seed: u64, names: &'static str) {
        let mut plan = self.plan.lock().unwrap();
        plan.length = plan.came.max(plan.length);
        (plan.seen, plan.came, plan.fault) = (0, 0, Some((fault, at, seed, names)));
    }

    /// Requests since the last word on how to behave.
    pub fn seen(&self) -> usize {
        self.plan.lock().unwrap().seen
    }
}

/// An answer with its length known.
struct Answer {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len().saturating_sub(4));
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut body = bytes.get(end + 4..).unwrap_or_default().to_vec();
        let chunked = text.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let keep = |line: &&str| {
            let line = line.to_ascii_lowercase();
            !["transfer-encoding:", "content-length:", "connection:", "keep-alive:"]
                .iter()
                .any(|no| line.starts_with(no))
        };
        let head: Vec<String> = text.split("\r\n").filter(keep).map(str::to_owned).collect();
        if chunked {
            body = joined(&body);
        }
        Self { head, body }
    }

    fn is_packed(&self) -> bool {
        self.head.iter().any(|line| line.eq_ignore_ascii_case("content-encoding: gzip"))
    }

    fn bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = self.head.join("\r\n").into_bytes();
        let bodiless = self.head[0].contains(" 304 ");
        if !bodiless {
            bytes.extend_from_slice(format!("\r\nContent-Length: {length}").as_bytes());
        }
        bytes.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = chunks.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&chunks[..line]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        let (from, to) = (line + 2, line + 2 + size);
        if size == 0 || to > chunks.len() {
            break;
        }
        body.extend_from_slice(&chunks[from..to]);
        chunks = chunks.get(to + 2..).unwrap_or_default();
    }
    body
}

async fn pass(mut near: TcpStream, plan: Arc<Mutex<Plan>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match near.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let (target, fault) = {
        let mut plan = plan.lock().unwrap();
        (plan.target.clone(), plan.next())
    };
    let Some(answer) = ask(&target, &request).await else { return };
    match fault {
        None => drop(near.write_all(&answer.bytes(answer.body.len())).await),
        Some((fault, seed, names)) => spoil(near, answer, fault, Random(seed), names).await,
    }
}

async fn ask(target: &Target, request: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(request).into_owned();
    let answer = match target {
        Target::Port(port) => {
            let mut far = TcpStream::connect(("127.0.0.1", *port)).await.ok()?;
            let text = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            far.write_all(text.as_bytes()).await.ok()?;
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).await.ok()?;
            answer
        }
        Target::Wire(_) => return None,
        Target::Cgi { program, envs } => {
            let path = text.split(' ').nth(1)?;
            let mut command = std::process::Command::new(program);
            command
                .env("REQUEST_METHOD", "GET")
                .env("QUERY_STRING", path.split_once('?').map_or("", |(_, query)| query));
            command.envs(envs.iter().map(|(name, value)| (name, value)));
            let out = tokio::task::spawn_blocking(move || command.output()).await.ok()?.ok()?;
            [b"HTTP/1.1 200 OK\r\n", out.stdout.as_slice()].concat()
        }
    };
    Some(Answer::of(&answer))
}

async fn spoil(mut near: TcpStream, mut answer: Answer, fault: Fault, mut random: Random, names: &str) {
    let length = answer.body.len();
    // Where there is nothing to spoil, nothing comes at all.
    let fault = if length == 0 { Fault::EarlyEnd } else { fault };
    let whole = |answer: &Answer| answer.bytes(answer.body.len());
    let bytes = match fault {
        Fault::EarlyEnd => return,
        Fault::Cut => {
            let bytes = whole(&answer);
            bytes[..random.below(bytes.len())].to_vec()
        }
        Fault::Reset => {
            let bytes = whole(&answer);
            let _ = near.write_all(&bytes[..random.below(bytes.len())]).await;
            let _ = near.set_zero_linger();
            return;
        }
        Fault::Slow => {
            let bytes = whole(&answer);
            let from = random.below(bytes.len());
            let _ = near.write_all(&bytes[..from]).await;
            for byte in &bytes[from..] {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if near.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
            return;
        }
        Fault::Letter if !answer.is_packed() && at(&answer.body, names).is_some() => {
            let place = at(&answer.body, names).unwrap_or_default();
            answer.body[place + 1] ^= 1;
            whole(&answer)
        }
        Fault::Bit | Fault::Letter => {
            let place = random.below(length);
            answer.body[place] ^= 0x80;
            whole(&answer)
        }
        Fault::LengthOver => answer.bytes(length + 1 + random.below(500)),
        Fault::LengthUnder => answer.bytes(random.below(length)),
        Fault::Garbage => {
            let junk: Vec<u8> = (0..24).map(|_| u8::try_from(random.below(256)).unwrap_or_default()).collect();
            answer.body.splice(0..0, [b"\0\xff".as_slice(), &junk].concat());
            whole(&answer)
        }
        Fault::HalfGzip => {
            if !answer.is_packed() {
                let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
                packer.write_all(&answer.body).unwrap();
                answer.body = packer.finish().unwrap();
                answer.head.push("Content-Encoding: gzip".into());
            }
            answer.body.truncate(answer.body.len() / 2);
            whole(&answer)
        }
        Fault::Twice => {
            let first = 1 + random.below(length.min(2_000));
            answer.body = [&answer.body[..first], answer.body.as_slice()].concat();
            whole(&answer)
        }
        Fault::Portal => {
            answer.head = vec!["HTTP/1.1 200 OK".into(), "Content-Type: text/html".into()];
            answer.body = b"<!doctype html><html><body><form>Dang nhap Wi-Fi</form></body></html>".to_vec();
            whole(&answer)
        }
    };
    let _ = near.write_all(&bytes).await;
    let _ = near.shutdown().await;
}

/// Where a text stands in a body for the first time.
fn at(body: &[u8], text: &str) -> Option<usize> {
    body.windows(text.len()).position(|here| here == text.as_bytes())
}
