//! Tiles of others by every protocol: what is read of the source, what is a tile, and what a hostile one costs.
#![allow(clippy::unwrap_used)]

mod common;

use common::server::{Asked, answer, ok, serve};
use model::{TileForm, TileProtocol};
use rusqlite::Connection;
use sources::tiles::{Tile, TileAnswer, TileSource, TileSpec, recognise};
use sources::{Client, ClientOptions, FetchError, TileArchive, Url};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and the rest";
/// A vector tile with one empty layer.
const MVT: &[u8] = b"\x1a\x07\x0a\x01a\x78\x02\x28\x01";

fn spec(protocol: TileProtocol, url: &str) -> TileSpec<'_> {
    TileSpec { protocol, url, layer: None, style: None, login: None }
}

async fn open(protocol: TileProtocol, url: &str) -> Result<TileSource, FetchError> {
    TileSource::open(&Client::default(), &spec(protocol, url)).await
}

fn tile(answer: Result<TileAnswer, FetchError>) -> Tile {
    match answer {
        Ok(TileAnswer::Tile(tile)) => tile,
        other => panic!("{other:?}"),
    }
}

async fn error_of(source: &TileSource) -> FetchError {
    source.tile(8, 203, 120, None).await.unwrap_err()
}

fn pictures(root: &Url) -> String {
    format!("{root}t/{{z}}/{{x}}/{{y}}.png")
}

#[tokio::test]
async fn a_template_brings_tiles_with_their_freshness_and_asks_again_by_condition() {
    let (root, log) = serve(|asked| match asked.path.as_str() {
        "/t/8/203/120.png" if asked.header("if-none-match") == Some("\"v1\"") => answer("304 Not Modified", "", ""),
        "/t/8/203/120.png" => answer("200 OK", "ETag: \"v1\"\r\nCache-Control: max-age=600\r\n", PNG),
        "/t/8/0/0.png" => answer("204 No Content", "", ""),
        _ => answer("404 Not Found", "", "nothing here"),
    })
    .await;
    let source = open(TileProtocol::Xyz, &pictures(&root)).await.unwrap();
    assert_eq!((source.description().form, source.description().max_zoom), (TileForm::Png, 19));
    let got = tile(source.tile(8, 203, 120, None).await);
    assert_eq!((got.bytes.as_slice(), got.form), (PNG, TileForm::Png));
    assert_eq!((got.validator.as_deref(), got.fresh_for), (Some("\"v1\""), Some(Duration::from_secs(600))));
    let again = source.tile(8, 203, 120, Some("\"v1\"")).await;
    assert_eq!(again.unwrap(), TileAnswer::NotModified { fresh_for: None });
    for (x, y) in [(0, 0), (9, 9)] {
        assert_eq!(source.tile(8, x, y, None).await.unwrap(), TileAnswer::Empty { fresh_for: None });
    }
    let before = log.lock().unwrap().len();
    assert_eq!(source.tile(25, 0, 0, None).await.unwrap(), TileAnswer::Empty { fresh_for: None });
    assert_eq!(source.tile(2, 4, 0, None).await.unwrap(), TileAnswer::Empty { fresh_for: None });
    assert_eq!(log.lock().unwrap().len(), before, "what lies outside is not asked for");
}

#[tokio::test]
async fn what_is_no_tile_is_an_error_in_the_servers_words() {
    let page = "<html><body><h1>Đăng nhập</h1></body></html>";
    let (root, _) = serve(move |_| answer("200 OK", "Content-Type: text/html\r\n", page)).await;
    let source = open(TileProtocol::Xyz, &pictures(&root)).await.unwrap();
    let error = error_of(&source).await;
    assert!(error.code() == "malformed" && error.to_string().contains("Đăng nhập"), "{error}");
    let report = "<?xml version='1.0'?><ServiceExceptionReport><ServiceException code='InvalidFormat'>no such format</ServiceException></ServiceExceptionReport>";
    let (root, _) = serve(move |_| ok(report)).await;
    let error = error_of(&open(TileProtocol::Xyz, &pictures(&root)).await.unwrap()).await;
    assert!(error.code() == "service_refuses" && error.to_string().contains("no such format"), "{error}");
    let (root, _) = serve(|_| ok(MVT)).await;
    let error = error_of(&open(TileProtocol::Xyz, &pictures(&root)).await.unwrap()).await;
    assert!(error.to_string().contains("mvt"), "{error}");
    let (root, _) = serve(|_| answer("503 Service Unavailable", "Retry-After: 7\r\n", "")).await;
    let error = error_of(&open(TileProtocol::Xyz, &pictures(&root)).await.unwrap()).await;
    assert_eq!((error.code(), error.retry_after_secs()), ("status", Some(7)));
}

#[tokio::test]
async fn huge_and_slow_answers_meet_their_limits() {
    let (root, _) = serve(|_| ok(vec![b'x'; 5 << 20])).await;
    let error = error_of(&open(TileProtocol::Xyz, &pictures(&root)).await.unwrap()).await;
    assert_eq!(error.code(), "too_large");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}/{{z}}/{{x}}/{{y}}.png", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4_096]).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
        while socket.write_all(b"\x89").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let options = ClientOptions { answer_timeout: Duration::from_millis(600), ..ClientOptions::default() };
    let source = TileSource::open(&Client::with(options), &spec(TileProtocol::Xyz, &root)).await.unwrap();
    assert_eq!(error_of(&source).await.code(), "timeout");
}

#[tokio::test]
async fn a_tilejson_says_where_vector_tiles_are() {
    let (root, log) = serve(|asked| match asked.path.as_str() {
        "/map.json" => {
            ok(r#"{"tilejson":"3.0.0","name":"Nền","tiles":["/v/{z}/{x}/{y}"],"scheme":"tms","minzoom":2,"maxzoom":10,
            "bounds":[105,10,107,12],"attribution":"© <a href='https://a.example/'>A</a>",
            "vector_layers":[{"id":"water","fields":{"class":"String"}}]}"#)
        }
        _ => {
            use std::io::Write;
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packed.write_all(MVT).unwrap();
            // Packed by itself, not for the way: no server says so.
            ok(packed.finish().unwrap())
        }
    })
    .await;
    let source = open(TileProtocol::TileJson, root.join("/map.json").unwrap().as_str()).await.unwrap();
    let described = source.description();
    assert_eq!((described.form, described.min_zoom, described.max_zoom), (TileForm::Mvt, 2, 10));
    assert_eq!((described.vector_layers[0].id.as_str(), described.attribution.len()), ("water", 2));
    assert_eq!(tile(source.tile(8, 203, 120, None).await).bytes, MVT);
    assert_eq!(log.lock().unwrap().last().unwrap().path, "/v/8/203/135", "rows from the south");
    assert_eq!(source.tile(8, 0, 0, None).await.unwrap(), TileAnswer::Empty { fresh_for: None }, "outside its box");
    for (body, word) in [("<html>no</html>", "no TileJSON"), ("{\"a\":1}", "\"tiles\""), ("[", "no TileJSON")] {
        let (root, _) = serve(move |_| ok(body)).await;
        let error = open(TileProtocol::TileJson, root.as_str()).await.unwrap_err();
        assert!(error.code() == "malformed" && error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn capabilities_with_a_bomb_or_another_document_are_refused() {
    for (body, word) in [
        ("<!DOCTYPE a [<!ENTITY b 'cc'>]><WMS_Capabilities version='1.3.0'>&b;</WMS_Capabilities>", "entity"),
        ("<WFS_Capabilities version='2.0.0'/>", "WFS_Capabilities"),
        ("<html>", "no capabilities"),
        ("<ServiceExceptionReport><ServiceException>closed</ServiceException></ServiceExceptionReport>", "closed"),
    ] {
        let (root, _) = serve(move |_| ok(body)).await;
        for protocol in [TileProtocol::Wms, TileProtocol::Wmts] {
            let error = open(protocol, root.as_str()).await.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}

#[tokio::test]
async fn addresses_that_must_not_be_asked_are_not() {
    for (protocol, url, code) in [
        (TileProtocol::Xyz, "http://169.254.169.254/{z}/{x}/{y}.png", "forbidden_address"),
        (TileProtocol::PmTiles, "http://169.254.169.254/a.pmtiles", "forbidden_address"),
        (TileProtocol::Wms, "file:///etc/passwd", "bad_address"),
        (TileProtocol::MbTiles, "http://h/a.mbtiles", "bad_address"),
        (TileProtocol::MbTiles, "file:///nowhere/a.mbtiles", "bad_address"),
        (TileProtocol::Xyz, "https://me:secret@h/{z}/{x}/{y}.png", "bad_address"),
    ] {
        let error = match open(protocol, url).await {
            Ok(source) => error_of(&source).await,
            Err(error) => error,
        };
        assert_eq!(error.code(), code, "{url}: {error}");
        assert!(!error.to_string().contains("secret@"), "{error}");
    }
}

/// An archive of two tiles, as `toancanhctl tiles` writes them.
fn archive(folder: &Path) -> PathBuf {
    let path = folder.join("a.pmtiles");
    let bbox = [105.0, 10.0, 107.0, 12.0].into();
    let mut archive = TileArchive::create(&path, "a", "Xã", bbox, (0, 8), &[]).unwrap();
    let tile = TileArchive::compress(MVT).unwrap();
    archive.add(0, 0, 0, &tile).unwrap();
    archive.add(8, 203, 120, &tile).unwrap();
    archive.finish().unwrap();
    path
}

/// Answers ranges of a file.
fn ranges(bytes: &[u8], asked: &Asked) -> Vec<u8> {
    let range = asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).unwrap();
    let (from, to): (usize, usize) = (range.0.parse().unwrap(), range.1.parse().unwrap());
    let part = &bytes[from.min(bytes.len())..(to + 1).min(bytes.len())];
    answer("206 Partial Content", &format!("Content-Range: bytes {from}-{to}/{}\r\nETag: \"1\"\r\n", bytes.len()), part)
}

#[tokio::test]
async fn an_archive_is_read_from_a_file_and_by_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    let (root, log) = serve(move |asked| ranges(&bytes, asked)).await;
    let file = Url::from_file_path(&path).unwrap();
    for (url, local) in [(file.as_str(), true), (root.join("a.pmtiles").unwrap().as_str(), false)] {
        let source = open(TileProtocol::PmTiles, url).await.unwrap();
        let described = source.description();
        assert_eq!((described.form, described.max_zoom, described.local), (TileForm::Mvt, 8, local));
        assert_eq!((described.title.as_deref(), described.vector_layers.len()), (Some("Xã"), 1));
        assert_eq!(tile(source.tile(8, 203, 120, None).await).bytes, MVT);
        assert_eq!(source.tile(8, 203, 121, None).await.unwrap(), TileAnswer::Empty { fresh_for: None });
    }
    assert!(log.lock().unwrap().iter().all(|asked| asked.header("range").is_some()));
    let (root, _) = serve(|_| ok(PNG)).await;
    let error = open(TileProtocol::PmTiles, root.as_str()).await.unwrap_err();
    assert!(error.to_string().contains("ranges"), "{error}");
}

#[tokio::test]
async fn a_broken_archive_costs_an_error_and_neither_memory_nor_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(archive(folder.path())).unwrap();
    let path = folder.path().join("b.pmtiles");
    let url = Url::from_file_path(&path).unwrap();
    for cut in [0, 7, 60, 126, 130, whole.len() - 5] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        match open(TileProtocol::PmTiles, url.as_str()).await {
            Ok(source) => assert!(error_of(&source).await.code() == "truncated", "{cut}"),
            Err(error) => assert!(["malformed", "truncated"].contains(&error.code()), "{cut}: {error}"),
        }
    }
    // Every byte of the header turned, one by one: an error or other tiles, never a panic.
    for at in 7..127 {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        std::fs::write(&path, &broken).unwrap();
        if let Ok(source) = open(TileProtocol::PmTiles, url.as_str()).await {
            let _ = source.tile(8, 203, 120, None).await;
        }
    }
    // A directory of some kilobytes that unpacks to a gigabyte.
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..20 {
        packed.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = packed.finish().unwrap();
    assert!(bomb.len() < 16_000 * 2);
    let mut header = whole[..127].to_vec();
    let put = |header: &mut Vec<u8>, at: usize, value: u64| header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    // As metadata: a root directory lies within the first 16 kB.
    let root = whole[8..16].try_into().map(u64::from_le_bytes).unwrap() as usize;
    let root_bytes = whole[16..24].try_into().map(u64::from_le_bytes).unwrap() as usize;
    put(&mut header, 8, 127);
    put(&mut header, 24, (127 + root_bytes) as u64);
    put(&mut header, 32, bomb.len() as u64);
    std::fs::write(&path, [&header, &whole[root..root + root_bytes], &bomb].concat()).unwrap();
    let error = open(TileProtocol::PmTiles, url.as_str()).await.unwrap_err();
    assert_eq!(error.code(), "too_large", "{error}");
}

fn mbtiles(path: &Path, schema: &str) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(schema).unwrap();
}

const TABLES: &str = "CREATE TABLE metadata (name text, value text);
    INSERT INTO metadata VALUES ('name', 'Ảnh nền'), ('format', 'jpg'), ('attribution', '<b>Sở</b>'), ('bounds', '105,10,107,12');
    CREATE TABLE images (id text, data blob); INSERT INTO images VALUES ('a', x'89504e470d0a1a0a01');
    CREATE TABLE map (zoom_level integer, tile_column integer, tile_row integer, id text);
    INSERT INTO map VALUES (3, 6, 4, 'a'), (8, 203, 135, 'a');";

#[tokio::test]
async fn mbtiles_are_read_with_their_rows_turned_and_through_a_plain_view() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nền.mbtiles");
    mbtiles(
        &path,
        &format!(
            "{TABLES} CREATE VIEW tiles AS SELECT zoom_level, tile_column, tile_row, data AS tile_data FROM map JOIN images ON images.id = map.id;"
        ),
    );
    let url = Url::from_file_path(&path).unwrap();
    let source = open(TileProtocol::MbTiles, url.as_str()).await.unwrap();
    let described = source.description();
    assert_eq!((described.min_zoom, described.max_zoom, described.form), (3, 8, TileForm::Png), "by the bytes");
    assert_eq!((described.title.as_deref(), described.attribution[0].text.as_str()), (Some("Ảnh nền"), "Sở"));
    assert_eq!(tile(source.tile(8, 203, 120, None).await).form, TileForm::Png);
    assert_eq!(source.tile(8, 203, 119, None).await.unwrap(), TileAnswer::Empty { fresh_for: None });
}

#[tokio::test]
async fn hostile_mbtiles_run_nothing_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mbtiles");
    let url = Url::from_file_path(&path).unwrap();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS zoom_level, i AS tile_column, i AS tile_row, 'x' AS tile_data FROM n";
    let cases = [
        (format!("CREATE VIEW tiles AS {endless};"), "cannot be read"),
        ("CREATE VIEW tiles AS SELECT 8 AS zoom_level, 203 AS tile_column, 135 AS tile_row, randomblob(100000000) AS tile_data;".into(), "cannot be read"),
        ("CREATE VIEW tiles AS SELECT 8 AS zoom_level, 203 AS tile_column, 135 AS tile_row, writefile('/tmp/x', 'x') AS tile_data;".into(), "cannot be read"),
        ("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob);".into(), "no tiles"),
        ("CREATE TABLE other (a);".into(), "cannot be read"),
        ("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob);
          INSERT INTO tiles VALUES (8, 203, 135, zeroblob(9000000));".into(), "larger than"),
    ];
    for (schema, word) in cases {
        let _ = std::fs::remove_file(&path);
        mbtiles(&path, &schema);
        let error = open(TileProtocol::MbTiles, url.as_str()).await.unwrap_err();
        assert!(error.code() == "malformed", "{schema}: {error}");
        assert!(error.to_string().contains(word) || error.to_string().contains("not run"), "{schema}: {error}");
    }
    std::fs::write(&path, "SQLite format 3\0 and no more").unwrap();
    assert_eq!(open(TileProtocol::MbTiles, url.as_str()).await.unwrap_err().code(), "malformed");
    // A cross join of large tables is ended by the clock.
    let _ = std::fs::remove_file(&path);
    mbtiles(
        &path,
        "CREATE TABLE n (i integer); INSERT INTO n WITH RECURSIVE a(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM a LIMIT 3000) SELECT i FROM a;
         CREATE VIEW tiles AS SELECT (a.i + b.i + c.i) * 0 - 1 AS zoom_level, b.i AS tile_column, c.i AS tile_row, 'x' AS tile_data FROM n a, n b, n c;",
    );
    let error = open(TileProtocol::MbTiles, url.as_str()).await.unwrap_err();
    assert!(error.to_string().contains("took longer"), "{error}");
}

#[tokio::test]
async fn a_pasted_address_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let file = archive(folder.path());
    let client = Client::default();
    let found = recognise(&client, file.to_str().unwrap(), None).await.unwrap();
    assert_eq!((found.protocol, found.url.starts_with("file:///")), (TileProtocol::PmTiles, true));
    let template = recognise(&client, " tile.example/{z}/{x}/{y}.png\n", None).await.unwrap();
    assert_eq!((template.protocol, template.url.as_str()), (TileProtocol::Xyz, "https://tile.example/{z}/{x}/{y}.png"));
    let (root, _) = serve(|asked| match asked.query("service").as_deref() {
        Some("WMS") => ok("<WMS_Capabilities version='1.3.0'><Service><Title>T</Title></Service><Capability><Layer><Name>a</Name><Title>A</Title></Layer></Capability></WMS_Capabilities>"),
        _ if asked.path == "/map.json" => ok(r#"{"tiles":["{z}/{x}/{y}.png"],"name":"N"}"#),
        _ if asked.path == "/page" => answer("404 Not Found", "", ""),
        _ => ok("<html>hello</html>"),
    })
    .await;
    for address in ["/x?map=a", "/wms?LAYERS=a&request=GetMap", "/page"] {
        let found = recognise(&client, root.join(address).unwrap().as_str(), None).await.unwrap();
        assert_eq!((found.protocol, found.layers[0].name.as_str()), (TileProtocol::Wms, "a"), "{address}");
    }
    let found = recognise(&client, root.join("/map.json").unwrap().as_str(), None).await.unwrap();
    assert_eq!((found.protocol, found.title.as_deref()), (TileProtocol::TileJson, Some("N")));
    let (root, _) = serve(|_| answer("200 OK", "Content-Type: text/html\r\n", "<html>hello</html>")).await;
    assert_eq!(recognise(&client, root.as_str(), None).await.unwrap_err().code(), "unrecognised");
    assert_eq!(recognise(&client, "https://{s}.h/{z}/{x}/{y}.png", None).await.unwrap_err().code(), "bad_address");
}
