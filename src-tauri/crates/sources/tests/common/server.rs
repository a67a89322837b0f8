//! A server whose every answer the test writes, byte by byte.

use sources::Url;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// With the query.
    pub path: String,
    /// All of them, in lower case.
    pub headers: String,
    /// What was sent along.
    pub body: String,
    /// How many came before it.
    pub nth: usize,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// A query parameter, decoded; names in any case.
    pub fn query(&self, name: &str) -> Option<String> {
        let url: Url = format!("http://h{}", self.path).parse().unwrap();
        url.query_pairs().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned())
    }
}

pub type Log = Arc<Mutex<Vec<Asked>>>;

/// Answers with what `answer` gives, then closes. What was asked is in the log.
pub async fn serve(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> (Url, Log) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let log = Log::default();
    let noted = log.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                match socket.read_u8().await {
                    Ok(byte) => request.push(byte),
                    Err(_) => break,
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((line, headers)) = text.split_once("\r\n") else { continue };
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let nth = noted.lock().unwrap().len();
            let mut asked = Asked { path, headers: headers.to_ascii_lowercase(), body: String::new(), nth };
            let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            if socket.read_exact(&mut body).await.is_ok() {
                asked.body = String::from_utf8_lossy(&body).into_owned();
            }
            noted.lock().unwrap().push(asked.clone());
            let _ = socket.write_all(&answer(&asked)).await;
            let _ = socket.shutdown().await;
        }
    });
    (root, log)
}

/// An answer with its length. `headers` end each with CRLF.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", "", body)
}

/// The same, with half of the body missing.
pub fn cut(mut answer: Vec<u8>) -> Vec<u8> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    answer.truncate(head + (answer.len() - head) / 2);
    answer
}
