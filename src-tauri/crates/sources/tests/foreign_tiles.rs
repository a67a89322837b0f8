//! Tiles of real servers and files that others wrote: MapServer's WMS and tile mode, nginx with ranges, GDAL's MBTiles. The
//! 96 communes are drawn in one colour, so that a picture tells whether it shows the right place.
//!
//! `TOANCANH_FOREIGN` says that the foreign tools are to be asked; without it these tests say that they did not run.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "foreign/process.rs"]
mod process;

use common::server::{Asked, answer, serve};
use model::{TileForm, TileProtocol};
use process::{Process, free_port, program, ready};
use sources::tiles::{Tile, TileAnswer, TileSource, TileSpec, recognise};
use sources::{Client, TileArchive, Url};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tile whose middle lies in the province, and one far away.
const INSIDE: (u8, u32, u32) = (11, 1627, 959);
const FAR: (u8, u32, u32) = (11, 100, 100);
const COLOUR: [u8; 3] = [200, 40, 60];

/// False with a word that the test did not run.
fn tools(what: &str) -> bool {
    use std::io::Write;
    let set = std::env::var_os("TOANCANH_FOREIGN").is_some();
    if !set {
        let _ = writeln!(std::io::stderr(), "SKIPPED: TOANCANH_FOREIGN is not set; {what} was not asked");
    }
    set
}

fn communes_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh/data/communes.geojson").canonicalize().unwrap()
}

/// MapServer is a CGI program: one process a request. What it answers is passed on as bytes.
fn mapserver(asked: &Asked, folder: &Path) -> Vec<u8> {
    let query = asked.path.split_once('?').map_or("", |(_, query)| query);
    let out = Command::new(program("mapserv", &["/usr/lib/cgi-bin/mapserv", "/usr/bin/mapserv"]))
        .env("MS_MAPFILE", folder.join("tiles.map"))
        .env("MAPSERVER_CONFIG_FILE", folder.join("mapserver.conf"))
        .env("REQUEST_METHOD", "GET")
        .env("QUERY_STRING", query)
        .output()
        .unwrap();
    let end = out.stdout.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = end.map_or((&b""[..], out.stdout.as_slice()), |at| (&out.stdout[..at], &out.stdout[at + 4..]));
    answer("200 OK", &format!("{}\r\n", String::from_utf8_lossy(head)), body)
}

async fn mapserver_at(folder: &Path) -> Url {
    std::fs::write(folder.join("mapserver.conf"), "CONFIG ENV \"MS_MAP_PATTERN\" \".\" END END\n").unwrap();
    let map = include_str!("foreign/mapserver_tiles.map").replace("FILE", &communes_file().display().to_string());
    std::fs::write(folder.join("tiles.map"), map).unwrap();
    let at = folder.to_owned();
    let (root, _) = serve(move |asked| mapserver(asked, &at)).await;
    root.join("/cgi-bin/mapserv").unwrap()
}

async fn tile_of(source: &TileSource, (z, x, y): (u8, u32, u32)) -> Tile {
    match source.tile(z, x, y, None).await {
        Ok(TileAnswer::Tile(tile)) => tile,
        other => panic!("{z}/{x}/{y}: {other:?}"),
    }
}

/// The colour in the middle of a picture, by GDAL.
fn middle(folder: &Path, tile: &Tile, size: u16) -> Vec<u8> {
    let path = folder.join("tile.png");
    std::fs::write(&path, &tile.bytes).unwrap();
    let mut command = Command::new(program("gdallocationinfo", &["/usr/bin/gdallocationinfo"]));
    command.arg("-valonly").arg(&path).args([(size / 2 + 3).to_string(), (size / 2 + 3).to_string()]);
    let out = command.output().unwrap();
    String::from_utf8_lossy(&out.stdout).split_whitespace().map(|band| band.parse().unwrap()).collect()
}

#[tokio::test]
async fn mapserver_draws_the_communes_by_both_versions_of_wms() {
    if !tools("MapServer") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = mapserver_at(folder.path()).await;
    let client = Client::default();
    let found = recognise(&client, root.as_str(), None).await.unwrap();
    assert_eq!(found.protocol, TileProtocol::Wms);
    assert!(found.layers.iter().any(|layer| layer.name == "communes" && layer.title == "Xã, phường"), "{found:?}");
    let spec =
        TileSpec { protocol: TileProtocol::Wms, url: &found.url, layer: Some("communes"), style: None, login: None };
    let source = TileSource::open(&client, &spec).await.unwrap();
    let described = source.description().clone();
    assert_eq!((described.form, described.licence.as_deref()), (TileForm::Png, Some("CC BY 4.0")));
    assert_eq!(described.attribution[0].text, "© Sở TN&MT");
    assert_eq!(described.attribution[0].url.as_deref(), Some("https://stnmt.example/"));
    let inside = tile_of(&source, INSIDE).await;
    assert_eq!(middle(folder.path(), &inside, described.tile_size)[..3], COLOUR);
    assert_eq!(source.tile(FAR.0, FAR.1, FAR.2, None).await.unwrap(), TileAnswer::Empty { fresh_for: None });
    // A server of its own time, which knows the older version only.
    let at = folder.path().to_owned();
    let (old, log) = serve(move |asked| {
        let asked = Asked { path: asked.path.replace("VERSION=1.3.0", "VERSION=1.1.1"), ..asked.clone() };
        mapserver(&asked, &at)
    })
    .await;
    let old = old.join("/cgi-bin/mapserv").unwrap();
    let source = TileSource::open(&client, &TileSpec { url: old.as_str(), ..spec }).await.unwrap();
    assert_eq!(middle(folder.path(), &tile_of(&source, INSIDE).await, described.tile_size)[..3], COLOUR);
    assert!(log.lock().unwrap().last().unwrap().path.contains("VERSION=1.1.1&"));
    let error = TileSource::open(&client, &TileSpec { layer: Some("roads"), ..spec }).await.unwrap_err();
    assert!(error.code() == "no_collection" && error.to_string().contains("communes"), "{error}");
}

#[tokio::test]
async fn mapservers_tile_mode_gives_pictures_and_vector_tiles_by_template() {
    if !tools("MapServer") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = mapserver_at(folder.path()).await;
    let client = Client::default();
    for (image, form) in [("png", TileForm::Png), ("mvt", TileForm::Mvt)] {
        let url =
            format!("{root}?mode=tile&tilemode=gmap&tile={{x}}+{{y}}+{{z}}&layers=communes&map.imagetype={image}");
        let spec = TileSpec { protocol: TileProtocol::Xyz, url: &url, layer: None, style: None, login: None };
        let source = TileSource::open(&client, &spec).await.unwrap();
        assert_eq!(source.description().form, form, "{image}");
        let inside = tile_of(&source, INSIDE).await;
        match form {
            TileForm::Mvt => assert!(inside.bytes.windows(8).any(|eight| eight == b"communes")),
            _ => assert_eq!(middle(folder.path(), &inside, 256)[..3], COLOUR),
        }
    }
    // An error page of MapServer comes with status 200.
    let url = format!("{root}?mode=tile&tilemode=gmap&tile={{x}}+{{y}}&z={{z}}&layers=communes&map.imagetype=png");
    let spec = TileSpec { protocol: TileProtocol::Xyz, url: &url, layer: None, style: None, login: None };
    let source = TileSource::open(&client, &spec).await.unwrap();
    let error = source.tile(INSIDE.0, INSIDE.1, INSIDE.2, None).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("mapserver"), "{error}");
}

#[tokio::test]
async fn nginx_gives_an_archive_by_ranges() {
    if !tools("nginx") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (port, at) = (free_port(), folder.path().display());
    let path = folder.path().join("a.pmtiles");
    let mut archive = TileArchive::create(&path, "a", "Xã", [105.0, 10.0, 107.0, 12.0].into(), (0, 11), &[]).unwrap();
    let mvt = b"\x1a\x07\x0a\x01a\x78\x02\x28\x01";
    archive.add(INSIDE.0, INSIDE.1, INSIDE.2, &TileArchive::compress(mvt).unwrap()).unwrap();
    archive.finish().unwrap();
    let user = if process::is_root() { "user root;" } else { "" };
    let conf = format!(
        "{user} daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{}}
         http {{ access_log {at}/access.log; root {at};
         client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
         server {{ listen 127.0.0.1:{port}; }} }}"
    );
    std::fs::write(folder.path().join("nginx.conf"), conf).unwrap();
    let mut nginx = Command::new(program("nginx", &["/usr/sbin/nginx"]));
    nginx.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
    let _nginx = Process::start(nginx);
    ready(port).await;
    let url = format!("http://127.0.0.1:{port}/a.pmtiles");
    let spec = TileSpec { protocol: TileProtocol::PmTiles, url: &url, layer: None, style: None, login: None };
    let source = TileSource::open(&Client::default(), &spec).await.unwrap();
    assert_eq!(tile_of(&source, INSIDE).await.bytes, mvt);
    let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
    assert!(log.contains("\" 206 ") && !log.contains("\" 200 "), "{log}");
}

#[tokio::test]
async fn gdals_mbtiles_are_read_with_the_right_rows() {
    if !tools("GDAL") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xã.mbtiles");
    let mut ogr = Command::new(program("ogr2ogr", &["/usr/bin/ogr2ogr"]));
    ogr.args(["-f", "MBTILES"]).arg(&path).arg(communes_file());
    ogr.args(["-nln", "communes", "-dsco", "MINZOOM=11", "-dsco", "MAXZOOM=11", "-dsco", "NAME=Xã"]);
    let made = ogr.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let url = Url::from_file_path(&path).unwrap();
    let found = recognise(&Client::default(), path.to_str().unwrap(), None).await.unwrap();
    assert_eq!((found.protocol, found.url.as_str()), (TileProtocol::MbTiles, url.as_str()));
    let spec = TileSpec { protocol: TileProtocol::MbTiles, url: url.as_str(), layer: None, style: None, login: None };
    let source = TileSource::open(&Client::default(), &spec).await.unwrap();
    let described = source.description();
    assert_eq!((described.form, described.min_zoom, described.max_zoom), (TileForm::Mvt, 11, 11));
    assert_eq!((described.title.as_deref(), described.vector_layers[0].id.as_str()), (Some("Xã"), "communes"));
    let inside = tile_of(&source, INSIDE).await;
    assert!(inside.bytes.windows(8).any(|eight| eight == b"communes"), "what GDAL packs is unpacked");
    // The row on the other side of the equator has none.
    let mirrored = (1 << INSIDE.0) - 1 - INSIDE.2;
    assert_eq!(source.tile(INSIDE.0, INSIDE.1, mirrored, None).await.unwrap(), TileAnswer::Empty { fresh_for: None });
}
