//! A server on this machine's loopback that answers every request with the next of an input's pieces.

use crate::pieces;
use model::{BBox, Protocol, RestMapping, Timestamp};
use sources::{Client, ClientOptions, FetchError, Fetched, Url, Wanted, service};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is still to be answered, the last piece for ever.
#[derive(Clone, Default)]
struct Answers(Rc<RefCell<(Vec<Vec<u8>>, usize)>>);

impl Answers {
    fn next(&self) -> Vec<u8> {
        let mut inner = self.0.borrow_mut();
        let at = inner.1.min(inner.0.len().saturating_sub(1));
        inner.1 += 1;
        inner.0.get(at).cloned().unwrap_or_default()
    }
}

/// Server and client on one thread, so that a run is the same each time.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    local: tokio::task::LocalSet,
    answers: Answers,
    pub root: Url,
    pub client: Client,
}

impl Default for Server {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let local = tokio::task::LocalSet::new();
        let answers = Answers::default();
        let listener = local.block_on(&runtime, TcpListener::bind("127.0.0.1:0")).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let queue = answers.clone();
        local.spawn_local(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::task::spawn_local(talk(socket, queue.clone()));
            }
        });
        let limits = ClientOptions {
            body_limit_bytes: 1 << 20,
            collection_limit_bytes: 2 << 20,
            idle_timeout: Duration::from_secs(1),
            silence: Duration::from_secs(1),
            ..ClientOptions::default()
        };
        let root = format!("http://127.0.0.1:{port}/api/").parse().expect("a URL");
        Self { runtime, local, answers, root, client: Client::with(limits) }
    }
}

/// What may stand in the head of an answer, but for what says where the answer ends: a wait for more is no finding.
fn headers(line: &[u8]) -> String {
    let lines = line.split(|byte| *byte == 1).filter_map(|one| std::str::from_utf8(one).ok());
    let sound = lines.filter(|one| {
        let name = one.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let ends = matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection" | "upgrade");
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_name && !ends && one.len() > name.len() && one.bytes().all(|byte| (b' '..0x7f).contains(&byte))
    });
    sound.map(|one| format!("{one}\r\n")).collect()
}

/// Answers on one connection until the other side goes.
async fn talk(mut socket: TcpStream, answers: Answers) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while !request.windows(4).any(|four| four == b"\r\n\r\n") {
            match socket.read(&mut buffer).await? {
                0 => return Ok(()),
                read => request.extend_from_slice(&buffer[..read]),
            }
        }
        request.clear();
        let body = answers.next();
        // A first line of its own is headers: `\x01etag: "a"\x01…\n`.
        let (headers, body) = match body.strip_prefix(b"\x01") {
            Some(rest) => {
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                (headers(&rest[..end]), rest.get(end + 1..).unwrap_or_default().to_vec())
            }
            None => (String::new(), body),
        };
        let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
        socket.write_all(&[head.as_bytes(), &body].concat()).await?;
    }
}

impl Server {
    /// Runs while the server answers with the input's pieces.
    pub fn run<T>(&self, input: &[u8], work: impl Future<Output = T>) -> T {
        let all = pieces(input).into_iter().map(|(_, piece)| piece.to_vec()).collect();
        *self.answers.0.borrow_mut() = (all, 0);
        self.local.block_on(&self.runtime, work)
    }

    /// Runs beside a broker that greets, takes one subscription, sends these packets and hangs up.
    pub fn run_broker<T>(&self, packets: Vec<u8>, work: impl AsyncFnOnce(Url) -> T) -> T {
        self.local.block_on(&self.runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = listener.local_addr().expect("an address").port();
            let broker = tokio::task::spawn_local(async move {
                let (mut socket, _) = listener.accept().await?;
                let mut buffer = [0; 1024];
                // A packet a read: the other side waits for each answer.
                if socket.read(&mut buffer).await? > 0 {
                    socket.write_all(&[0x20, 2, 0, 0]).await?;
                }
                if socket.read(&mut buffer).await? > 0 {
                    socket.write_all(&[0x90, 3, 0, 1, 1]).await?;
                }
                socket.write_all(&packets).await?;
                // What has come is lost to the other side when the line ends too soon: the first acknowledgement tells.
                let _ = tokio::time::timeout(Duration::from_millis(20), socket.read(&mut buffer)).await;
                socket.shutdown().await
            });
            let out = work(format!("mqtt://127.0.0.1:{port}").parse().expect("a URL")).await;
            broker.abort();
            out
        })
    }

    /// Fetches a layer over the protocol from a server that answers so.
    pub fn fetch(&self, protocol: Protocol, mapping: Option<&RestMapping>, input: &[u8]) {
        let wanted = Wanted {
            root: &self.root,
            layer: "communes",
            collection: None,
            id_field: None,
            mapping,
            changed_field: None,
            login: None,
            validator: None,
            province: BBox { west: 105.45, south: 10.35, east: 106.9, north: 11.8 },
            at_most: Some(200),
            now: Timestamp::UNIX_EPOCH,
            staging: Path::new("/nowhere"),
        };
        let mut progress = |_, _| {};
        let service = service(protocol).expect("a protocol of features");
        match self.run(input, service.fetch(&self.client, wanted, &mut progress)) {
            Ok(Fetched::Features(collection)) => {
                for feature in &collection.features {
                    let bbox = model::geometry_bbox(&feature.geometry);
                    assert!(bbox.west.abs() <= 180.0 && bbox.north.abs() <= 90.0, "{bbox:?}");
                }
            }
            Ok(Fetched::NotModified) => {}
            Err(error) => names_host(&error),
        }
    }
}

/// That an error says who answered so.
pub fn names_host(error: &FetchError) {
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}
