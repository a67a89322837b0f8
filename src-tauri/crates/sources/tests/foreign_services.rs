//! The same 96 communes by every protocol, each from a real server that others wrote: they must be the same features.
//!
//! `TOANCANH_FOREIGN` names the folder where `.ci/foreign-tools` puts what no system package brings; without it these
//! tests say that they did not run.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "foreign/communes.rs"]
mod communes;
#[path = "foreign/process.rs"]
mod process;

use common::server::{Asked, answer, serve};
use common::{features, wanted};
use communes::{communes_file, same};
use model::{Protocol, Value};
use process::{Process, free_port, program, ready};
use sources::{Client, Collection, Fetched, Url, Wanted, service};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The folder of the foreign tools, or `None` with a word that the test did not run.
fn tools(what: &str) -> Option<PathBuf> {
    use std::io::Write;
    let folder = std::env::var_os("TOANCANH_FOREIGN").map(PathBuf::from);
    if folder.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: TOANCANH_FOREIGN is not set; {what} was not asked");
    }
    folder
}

async fn fetch(protocol: Protocol, wanted: Wanted<'_>) -> Collection {
    features(service(protocol).unwrap().fetch(&Client::default(), wanted, &mut |_, _| {}).await)
}

/// Lets connections through to a server, and cuts the first ones after so many bytes of the answer.
async fn cutting(port: u16, cuts: usize, after_bytes: usize) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        for nth in 0.. {
            let (mut near, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                if nth >= cuts {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    return;
                }
                let mut request = vec![0; 8_192];
                let read = near.read(&mut request).await.unwrap();
                far.write_all(&request[..read]).await.unwrap();
                let mut left = after_bytes;
                let mut room = vec![0; 4_096];
                while left > 0 {
                    let read = far.read(&mut room).await.unwrap().min(left);
                    near.write_all(&room[..read]).await.unwrap();
                    left -= read;
                }
            });
        }
    });
    root
}

#[tokio::test]
async fn nginx_gives_the_file_packed_whole_and_in_parts() {
    let Some(_) = tools("nginx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (port, at) = (free_port(), folder.path().display());
    std::fs::copy(communes_file(), folder.path().join("communes.geojson")).unwrap();
    let user = if process::is_root() { "user root;" } else { "" };
    let conf = format!(
        "{user} daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{}}
         http {{ access_log {at}/access.log; gzip on; gzip_types *; gzip_min_length 1; root {at};
         client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
         server {{ listen 127.0.0.1:{port}; }} }}"
    );
    std::fs::write(folder.path().join("nginx.conf"), conf).unwrap();
    let mut nginx = Command::new(program("nginx", &["/usr/sbin/nginx"]));
    nginx.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
    let _nginx = Process::start(nginx);
    ready(port).await;
    let root: Url = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let staging = folder.path().join("staging");
    let file = wanted(&root, "communes", &staging);
    let got = fetch(Protocol::File, file).await;
    same("nginx", &got);
    let again = Wanted { validator: got.validator.as_deref(), ..file };
    let unchanged = service(Protocol::File).unwrap().fetch(&Client::default(), again, &mut |_, _| {}).await;
    assert!(matches!(unchanged, Ok(Fetched::NotModified)), "{unchanged:?}");
    let cut = cutting(port, 3, 90_000).await;
    same("nginx, cut", &fetch(Protocol::File, wanted(&cut.join("/").unwrap(), "communes", &staging)).await);
    let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
    assert!(log.contains("\" 206 "), "no part was asked for:\n{log}");
    assert!(log.contains("\" 304 "), "{log}");
}

#[tokio::test]
async fn pygeoapi_gives_the_collection_by_its_own_pages() {
    let Some(foreign) = tools("pygeoapi") else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = include_str!("foreign/pygeoapi.yml")
        .replace("PORT", &port.to_string())
        .replace("FILE", &communes_file().display().to_string());
    let (conf, openapi) = (folder.path().join("config.yml"), folder.path().join("openapi.yml"));
    std::fs::write(&conf, config).unwrap();
    let pygeoapi = || {
        let mut command = Command::new(foreign.join("pygeoapi/bin/pygeoapi"));
        command.env("PYGEOAPI_CONFIG", &conf).env("PYGEOAPI_OPENAPI", &openapi).current_dir(folder.path());
        command
    };
    let made = pygeoapi().args(["openapi", "generate"]).arg(&conf).arg("--output-file").arg(&openapi).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut serving = pygeoapi();
    serving.arg("serve");
    let _pygeoapi = Process::start(serving);
    ready(port).await;
    let root: Url = format!("http://127.0.0.1:{port}").parse().unwrap();
    same("pygeoapi", &fetch(Protocol::OgcApiFeatures, wanted(&root, "communes", folder.path())).await);
}

/// MapServer is a CGI program: one process a request.
fn mapserver(asked: &Asked, folder: &Path, map: &str, versions: &str) -> Vec<u8> {
    // A server of its own time: it does not know the newer version, whatever is asked.
    let query = asked.path.split_once('?').map_or("", |(_, query)| query).replace("2.0.0%2C1.1.0", versions);
    let out = Command::new(program("mapserv", &["/usr/lib/cgi-bin/mapserv", "/usr/bin/mapserv"]))
        .env("MS_MAPFILE", folder.join(map))
        .env("MAPSERVER_CONFIG_FILE", folder.join("mapserver.conf"))
        .env("REQUEST_METHOD", "GET")
        .env("QUERY_STRING", query)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or(("Content-Type: text/plain", &text));
    answer("200 OK", &format!("{head}\r\n"), body)
}

#[tokio::test]
async fn mapserver_gives_the_feature_type_as_gml_and_geojson_in_both_versions() {
    let Some(_) = tools("MapServer") else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mapserver.conf"), "CONFIG ENV \"MS_MAP_PATTERN\" \".\" END END\n").unwrap();
    let map = include_str!("foreign/mapserver.map").replace("FILE", &communes_file().display().to_string());
    std::fs::write(folder.path().join("gml.map"), map.replace("FORMATS", "gml")).unwrap();
    std::fs::write(folder.path().join("json.map"), map.replace("FORMATS", "gml,geojson")).unwrap();
    for (map, versions) in [("gml.map", "2.0.0"), ("gml.map", "1.1.0"), ("json.map", "2.0.0"), ("json.map", "1.1.0")] {
        let at = folder.path().to_owned();
        let (root, log) = serve(move |asked| mapserver(asked, &at, map, versions)).await;
        let root = root.join("/cgi-bin/mapserv").unwrap();
        let communes = Wanted {
            // GML has the key in its ids; MapServer's GeoJSON has none but the attribute.
            id_field: (map == "json.map").then_some("code"),
            ..wanted(&root, "communes", folder.path())
        };
        same(&format!("MapServer {map} {versions}"), &fetch(Protocol::Wfs, communes).await);
        let paths: Vec<String> = log.lock().unwrap().iter().map(|asked| asked.path.clone()).collect();
        assert!(paths.iter().any(|path| path.contains(&format!("version={versions}"))), "{paths:?}");
        assert_eq!(paths.iter().any(|path| path.contains("geojson")), map == "json.map", "{paths:?}");
        let missing = wanted(&root, "rivers", folder.path());
        let error =
            service(Protocol::Wfs).unwrap().fetch(&Client::default(), missing, &mut |_, _| {}).await.unwrap_err();
        assert!(error.code() == "no_collection" && error.to_string().contains("communes"), "{error}");
    }
}

#[tokio::test]
async fn koop_gives_the_layer_by_pages_of_its_own_size() {
    let Some(foreign) = tools("koop") else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let script = folder.path().join("koop.js");
    std::fs::write(&script, include_str!("foreign/koop.js")).unwrap();
    let mut node = Command::new("node");
    node.env("NODE_PATH", foreign.join("koop/node_modules")).env("SUPPRESS_NO_CONFIG_WARNING", "1");
    node.arg(script).arg(port.to_string()).arg(communes_file());
    let _koop = Process::start(node);
    ready(port).await;
    let root: Url = format!("http://127.0.0.1:{port}/test/rest/services/tay-ninh/FeatureServer").parse().unwrap();
    let layer = wanted(&root, "communes", folder.path());
    let mut got = fetch(Protocol::ArcGis, Wanted { id_field: Some("code"), ..layer }).await;
    for feature in &mut got.features {
        let surveyed = feature.properties.remove("surveyed");
        assert_eq!(surveyed, Some(Value::Text("2026-11-23T14:00:00Z".into())));
    }
    same("koop", &got);
    assert_eq!(
        fetch(Protocol::ArcGis, layer).await.features[0].id,
        "1",
        "without a key of its own it is the object's number"
    );
}
