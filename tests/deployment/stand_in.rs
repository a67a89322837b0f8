//! In place of Martin, where that is not installed: the same addresses and the same tiles, cut by PostGIS itself. Not Martin,
//! and said so in every answer.

use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

pub struct Tiles(JoinHandle<()>);

impl Drop for Tiles {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tiles {
    pub async fn start(port: u16, database: u16, password: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        Self(tokio::spawn(async move {
            while let Ok((mut line, _)) = listener.accept().await {
                let mut request = vec![0; 4_096];
                let read = line.read(&mut request).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                let answered = tokio::task::spawn_blocking(move || answer(&path, port, database, password)).await;
                let (status, kind, body) = answered.unwrap_or(("500 Internal Server Error", "text/plain", Vec::new()));
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nX-Stand-In: not Martin\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = line.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        }))
    }
}

fn answer(path: &str, port: u16, database: u16, password: &str) -> (&'static str, &'static str, Vec<u8>) {
    const MISSING: (&str, &str, Vec<u8>) = ("404 Not Found", "text/plain", Vec::new());
    let Some(rest) = path.strip_prefix("/tiles/parcels") else { return MISSING };
    if rest.is_empty() {
        let document = serde_json::json!({
            "tilejson": "3.0.0", "minzoom": 11, "maxzoom": 16, "bounds": [105.45, 10.35, 106.90, 11.80],
            "tiles": [format!("http://127.0.0.1:{port}/tiles/parcels/{{z}}/{{x}}/{{y}}")],
            "vector_layers": [{"id": "parcels", "fields": {"id": "text", "sheet": "int4", "number": "int4", "land_use": "text"}}],
        });
        return ("200 OK", "application/json", document.to_string().into_bytes());
    }
    let place: Option<Vec<u32>> = rest.trim_matches('/').split('/').map(|part| part.parse().ok()).collect();
    let Some(&[z, x, y]) = place.as_deref() else { return MISSING };
    let sql = format!(
        "SELECT encode(ST_AsMVT(q, 'parcels'), 'hex') FROM (SELECT id, sheet, number, land_use,
           ST_AsMVTGeom(ST_Transform(geom, 3857), ST_TileEnvelope({z}, {x}, {y})) AS geom
         FROM province.parcels WHERE geom && ST_Transform(ST_TileEnvelope({z}, {x}, {y}), 4326)) q"
    );
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-A", "-t", "-h", "localhost", "-U", "toancanh_read", "-d", "land", "-c", &sql]);
    psql.args(["-p", &database.to_string()]).env("PGPASSWORD", password).stdin(Stdio::null());
    let Some(out) = psql.output().ok().filter(|out| out.status.success()) else {
        return ("500 Internal Server Error", "text/plain", Vec::new());
    };
    let hex = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    let bytes = (0..hex.len() / 2).filter_map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()).collect();
    ("200 OK", "application/x-protobuf", bytes)
}
