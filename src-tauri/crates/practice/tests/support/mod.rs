//! A small profile in a temporary folder, and the plainest HTTP client there is.

#![allow(dead_code)] // not every test binary uses every helper
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests; it does not see that these helpers are some

use practice::{Options, Practice};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const START: &str = "2026-11-23T07:30:00Z";

pub struct Centre {
    pub practice: Practice,
    pub folder: TempDir,
}

impl std::ops::Deref for Centre {
    type Target = Practice;
    fn deref(&self) -> &Practice {
        &self.practice
    }
}

/// Started at [`START`] with a clock that stands still, unless told otherwise.
pub fn options() -> Options {
    Options { start: Some(START.parse().unwrap()), speed: 0.0, ..Options::default() }
}

pub async fn start(options: Options) -> Centre {
    let folder = profile();
    let practice = Practice::start(folder.path(), options).await.unwrap();
    Centre { practice, folder }
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// All promised bytes came.
    pub complete: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

pub async fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    stream
}

pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut headers = headers.to_vec();
    headers.push(("Connection", "close"));
    let mut stream = send(address, method, path, &headers, body).await;
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    let well = ended.expect("no answer within 20 s").is_ok();
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("no head");
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let body = bytes[split + 4..].to_vec();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut reply = Reply { status, head, body, complete: well };
    if reply.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        (reply.body, reply.complete) = unchunk(&reply.body);
    } else if let Some(length) = reply.header("content-length").map(|length| length.parse::<usize>().unwrap()) {
        reply.complete = reply.body.len() == length || status == 304;
    }
    reply
}

fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return (out, true);
        }
        let Some(chunk) = bytes.get(end + 2..end + 2 + length) else { break };
        out.extend_from_slice(chunk);
        bytes = bytes.get(end + 4 + length..).unwrap_or_default();
    }
    (out, false)
}

pub async fn get(address: SocketAddr, path: &str) -> Reply {
    ask(address, "GET", path, &[], "").await
}

/// Follows an absolute link of this server.
pub async fn follow(address: SocketAddr, link: &str) -> Reply {
    let path = link.strip_prefix(&format!("http://{address}")).unwrap_or_else(|| panic!("not absolute: {link}"));
    get(address, path).await
}

pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn collection(features: &[Value]) -> String {
    let lines: Vec<String> = features.iter().map(Value::to_string).collect();
    format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{}\n]}}\n", lines.join(",\n"))
}

fn point(id: &str, name: &str, lon: f64, lat: f64) -> Value {
    json!({
        "type": "Feature", "id": id, "properties": { "name": name, "sample": true },
        "geometry": { "type": "Point", "coordinates": [lon, lat] },
    })
}

fn profile() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let air = [
        ("air-trang-bang", "Trạm khí Trảng Bàng"),
        ("air-an-tinh", "Trạm khí An Tịnh"),
        ("air-tan-ninh", "Trạm khí Tân Ninh"),
        ("air-duc-hoa", "Trạm khí Đức Hòa"),
        ("air-long-an", "Trạm khí Long An"),
    ];
    let air: Vec<Value> =
        air.iter().enumerate().map(|(i, (id, name))| point(id, name, 106.1 + 0.1 * i as f64, 11.0)).collect();
    write("data/air_stations.geojson", collection(&air));
    let many = |prefix: &str, name: &str, n: usize| -> String {
        let all: Vec<Value> = (0..n)
            .map(|i| point(&format!("{prefix}-{i:03}"), &format!("{name} {i}"), 105.8 + 0.01 * i as f64, 11.1))
            .collect();
        collection(&all)
    };
    write("data/wastewater_stations.geojson", many("ww", "Nước thải", 40));
    write("data/cameras.geojson", many("cam", "Ngã tư Hòa Thành – Camera", 50));
    write(
        "data/water_level_stations.geojson",
        collection(&[
            point("level-dau-tieng", "Hồ Dầu Tiếng", 106.32, 11.37),
            point("level-go-dau", "Gò Dầu (sông Vàm Cỏ Đông)", 106.26, 11.08),
        ]),
    );
    let communes: Vec<Value> = (0..250)
        .map(|i| {
            let (x, y) = (105.0 + 0.02 * f64::from(i % 25), 10.0 + 0.1 * f64::from(i / 25));
            json!({
                "type": "Feature", "id": format!("{:05}", 25_000 + i), "properties": { "name": format!("Xã {i}") },
                "geometry": { "type": "Polygon", "coordinates":
                    [[[x, y], [x + 0.02, y], [x + 0.02, y + 0.1], [x, y + 0.1], [x, y]]] },
            })
        })
        .collect();
    write("data/communes.geojson", collection(&communes));
    write("profile.toml", PROFILE.to_owned());
    folder
}

const PROFILE: &str = r#"
id = "small"
code = "80"
title = { vi = "Tỉnh nhỏ", en = "Small province" }
timezone = "Asia/Ho_Chi_Minh"
bbox = [105.0, 10.0, 107.0, 12.0]
center = [106.2, 11.0]
area_km2 = 1.0
population = 1
in_force = "2025-07-01"
[[groups]]
id = "all"
title = { vi = "Tất cả", en = "All" }
[[sources]]
id = "stations"
protocol = "sensorthings"
title = { vi = "Thực hành", en = "Practice" }
url = "practice:/sensorthings/v1.1"
every = "30s"
practice = true
[[layers]]
id = "communes"
kind = "communes"
group = "all"
title = { vi = "Xã, phường", en = "Communes" }
geometry = "polygon"
file = "data/communes.geojson"
freshness = "365d"
as_of = "2026-11-01"
provider = { vi = "a", en = "b" }
licence = "MIT"
name_field = "name"
sample = true
[[layers]]
id = "air_stations"
kind = "air_station"
group = "all"
title = { vi = "Trạm không khí", en = "Air stations" }
geometry = "point"
file = "data/air_stations.geojson"
live_source = "stations"
interval = "5m"
freshness = "365d"
as_of = "2026-11-01"
provider = { vi = "a", en = "b" }
licence = "MIT"
name_field = "name"
[[layers.parameters]]
code = "pm25"
title = { vi = "PM2.5", en = "PM2.5" }
unit = "µg/m³"
[[layers.parameters]]
code = "pm10"
title = { vi = "PM10", en = "PM10" }
unit = "µg/m³"
[[layers.parameters]]
code = "co"
title = { vi = "CO", en = "CO" }
unit = "µg/m³"
[[layers]]
id = "wastewater_stations"
kind = "wastewater_station"
group = "all"
title = { vi = "Nước thải", en = "Wastewater" }
geometry = "point"
file = "data/wastewater_stations.geojson"
live_source = "stations"
interval = "5m"
freshness = "365d"
as_of = "2026-11-01"
provider = { vi = "a", en = "b" }
licence = "MIT"
name_field = "name"
[[layers.parameters]]
code = "cod"
title = { vi = "COD", en = "COD" }
unit = "mg/l"
limit_max = 75.0
[[layers.parameters]]
code = "ph"
title = { vi = "pH", en = "pH" }
unit = ""
decimals = 1
limit_min = 6.0
limit_max = 9.0
[[layers]]
id = "water_level_stations"
kind = "water_level_station"
group = "all"
title = { vi = "Mực nước", en = "Water level" }
geometry = "point"
file = "data/water_level_stations.geojson"
live_source = "stations"
interval = "5m"
freshness = "365d"
as_of = "2026-11-01"
provider = { vi = "a", en = "b" }
licence = "MIT"
name_field = "name"
[[layers.parameters]]
code = "water_level"
title = { vi = "Mực nước", en = "Level" }
unit = "m"
decimals = 2
[[layers]]
id = "cameras"
kind = "camera"
group = "all"
title = { vi = "Camera", en = "Cameras" }
geometry = "point"
file = "data/cameras.geojson"
live_source = "stations"
interval = "10s"
freshness = "365d"
as_of = "2026-11-01"
provider = { vi = "a", en = "b" }
licence = "MIT"
classification = "internal"
name_field = "name"
[[layers.parameters]]
code = "fps"
title = { vi = "Khung hình/giây", en = "Frames a second" }
unit = "fps"
"#;
