//! The same 96 communes from QGIS Server, by OGC API – Features and by WFS. Version 3.22 speaks WFS 1.1.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "foreign/communes.rs"]
mod communes;
#[path = "foreign/process.rs"]
mod process;

use common::{features, wanted};
use communes::{communes_file, same};
use model::{Protocol, Value};
use process::{Process, free_port, ready};
use sources::{Client, ClientOptions, Collection, Url, Wanted, recognise, service};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// QGIS Server as a server of its own, or `None` with a word that the test did not run.
fn program() -> Option<PathBuf> {
    use std::io::Write;
    let path = PathBuf::from("/usr/bin/qgis_mapserver");
    if path.is_file() {
        return Some(path);
    }
    assert!(
        std::env::var_os("TOANCANH_FULL").is_none(),
        "QGIS Server is missing; .ci/system-packages test installs it"
    );
    let _ = writeln!(std::io::stderr(), "SKIPPED: QGIS Server is not installed");
    None
}

/// Serves the communes; `most` features a page of the OGC API at the most.
async fn serving(folder: &Path, most: Option<&str>) -> Option<(Process, Url)> {
    let program = program()?;
    let project = folder.join("communes.qgs");
    let file = communes_file().display().to_string();
    std::fs::write(&project, include_str!("foreign/qgis.qgs").replace("FILE", &file)).unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command.arg("-p").arg(&project).arg(format!("127.0.0.1:{port}"));
    command.env("QT_QPA_PLATFORM", "offscreen").env("HOME", folder).env("XDG_RUNTIME_DIR", folder);
    command.env("QGIS_OPTIONS_PATH", folder).env("QGIS_SERVER_LOG_LEVEL", "2").stderr(Stdio::null());
    command.envs(most.map(|most| ("QGIS_SERVER_API_WFS3_MAX_LIMIT", most)));
    let serving = Process::start(command);
    ready(port).await;
    Some((serving, format!("http://127.0.0.1:{port}").parse().unwrap()))
}

/// It takes its time for the first question.
fn client() -> Client {
    Client::with(ClientOptions { idle_timeout: Duration::from_secs(60), ..ClientOptions::default() })
}

async fn fetch(protocol: Protocol, wanted: Wanted<'_>) -> Collection {
    // Its own ids are numbers in order.
    let wanted = Wanted { id_field: Some("code"), ..wanted };
    let mut got = features(service(protocol).unwrap().fetch(&client(), wanted, &mut |_, _| {}).await);
    for feature in &mut got.features {
        // What GDAL, by which it reads the file, makes of the features' own ids.
        assert_eq!(feature.properties.remove("id"), Some(Value::Text(feature.id.clone())));
    }
    got
}

#[tokio::test]
async fn qgis_server_gives_the_communes_by_the_ogc_api_whole_and_by_pages() {
    for most in [None, Some("40")] {
        let folder = tempfile::tempdir().unwrap();
        let Some((_serving, root)) = serving(folder.path(), most).await else { return };
        let root = root.join("/wfs3").unwrap();
        let got = fetch(Protocol::OgcApiFeatures, wanted(&root, "communes", folder.path())).await;
        assert!(got.announced, "it says how many there are");
        same(&format!("QGIS Server, OGC API, pages of {most:?}"), &got);
    }
}

#[tokio::test]
async fn qgis_server_gives_the_communes_by_wfs_and_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_serving, root)) = serving(folder.path(), None).await else { return };
    same("QGIS Server, WFS", &fetch(Protocol::Wfs, wanted(&root, "communes", folder.path())).await);
    let missing = wanted(&root, "rivers", folder.path());
    let error = service(Protocol::Wfs).unwrap().fetch(&client(), missing, &mut |_, _| {}).await.unwrap_err();
    assert!(error.code() == "no_collection" && error.to_string().contains("communes"), "{error}");
    for (address, protocol) in [("?service=WFS", Protocol::Wfs), ("wfs3", Protocol::OgcApiFeatures)] {
        let found = recognise(&client(), &format!("{root}{address}")).await.unwrap();
        assert_eq!((found.protocol, found.offers[0].collection.as_deref()), (protocol, Some("communes")), "{address}");
    }
}
