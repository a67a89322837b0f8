//! The servers that the faults stand in front of.

use super::process::{Process, free_port, is_root, program, ready};
use super::proxy::{Proxy, Target};
use super::version_of;
use practice::Practice;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src-tauri/crates/sources/tests/foreign");

/// A server of the communes.
pub struct Backend {
    pub name: &'static str,
    protocol: &'static str,
    /// Of the service, under its host.
    path: &'static str,
    /// More lines for the layer in the profile.
    layer: &'static str,
    /// Its answers carry a digest, or a packing with a sum of its own.
    pub guarded: bool,
    /// Its share of the faults: a server that takes long gets fewer.
    pub weight: usize,
    /// For each version of the data.
    targets: [Target; 2],
    /// What it reads with every request, where it does.
    file: Option<PathBuf>,
    _folder: tempfile::TempDir,
    _alive: Vec<Alive>,
}

enum Alive {
    Process { _process: Process },
    Practice { _practice: Practice },
}

impl Backend {
    pub fn target(&self, version: usize) -> Target {
        self.targets[version].clone()
    }

    /// Puts a version of the data where the server finds it, in one step.
    pub fn serve(&self, text: &str) {
        if let Some(file) = &self.file {
            let beside = file.with_extension("new");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(beside, file).unwrap();
        }
    }

    /// The profile of a home with this one source, through a proxy.
    pub fn profile(&self, port: u16) -> String {
        let Self { protocol, path, layer, .. } = self;
        format!(
            r#"
id = "x"
code = "80"
title = {{ vi = "X", en = "X" }}
timezone = "Asia/Ho_Chi_Minh"
bbox = [105.45, 10.35, 106.90, 11.80]
center = [106.2, 11.05]
area_km2 = 1.0
population = 1
in_force = "2025-07-01"
[[groups]]
id = "g"
title = {{ vi = "G", en = "G" }}
[[sources]]
id = "communes"
protocol = "{protocol}"
title = {{ vi = "a", en = "b" }}
url = "http://127.0.0.1:{port}{path}"
every = "10m"
[[layers]]
id = "communes"
kind = "communes"
group = "g"
title = {{ vi = "Xã", en = "Communes" }}
geometry = "polygon"
file = "data/communes.geojson"
feature_source = "communes"
freshness = "365d"
as_of = "2026-11-01"
provider = {{ vi = "a", en = "b" }}
licence = "x"
name_field = "name"
{layer}
"#
        )
    }
}

/// All that can be started here, each behind its proxy. Another server is another line.
pub async fn backends() -> Vec<(Backend, Proxy)> {
    let mut all = Vec::new();
    let proxy = Proxy::start().await;
    all.push((practice_centre().await, proxy));
    let Some(foreign) = std::env::var_os("TOANCANH_FOREIGN").map(PathBuf::from) else {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: TOANCANH_FOREIGN is not set; only the practice data centre suffers");
        return all;
    };
    // What a server says of its own address is the proxy's.
    let proxy = Proxy::start().await;
    all.push((nginx().await, proxy));
    let proxy = Proxy::start().await;
    all.push((pygeoapi(&foreign, proxy.port).await, proxy));
    let proxy = Proxy::start().await;
    all.push((mapserver(), proxy));
    let proxy = Proxy::start().await;
    all.push((koop(&foreign).await, proxy));
    all
}

/// A folder with the communes in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("communes.geojson");
    std::fs::write(&file, version_of(0)).unwrap();
    (folder, file)
}

/// It reads its data once, so there is one for each version.
async fn practice_centre() -> Backend {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = Backend {
        name: "the practice data centre",
        protocol: "ogc-api-features",
        path: "/ogc",
        layer: "",
        guarded: true,
        weight: 3,
        targets: [Target::Port(0), Target::Port(0)],
        file: None,
        _folder: folder,
        _alive: Vec::new(),
    };
    for version in [0, 1] {
        let data = backend._folder.path().join(version.to_string());
        std::fs::create_dir_all(data.join("data")).unwrap();
        std::fs::write(data.join("profile.toml"), backend.profile(1)).unwrap();
        std::fs::write(data.join("data/communes.geojson"), version_of(version)).unwrap();
        let practice = Practice::start(&data, practice::Options::default()).await.unwrap();
        backend.targets[version] = Target::Port(practice.address().port());
        backend._alive.push(Alive::Practice { _practice: practice });
    }
    backend
}

fn both(port: u16) -> [Target; 2] {
    [Target::Port(port), Target::Port(port)]
}

async fn nginx() -> Backend {
    let (folder, file) = folder();
    let (port, at) = (free_port(), folder.path().display());
    let user = if is_root() { "user root;" } else { "" };
    // Without tags and dates: within one second two versions would share them.
    let conf = format!(
        "{user} daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{}}
         http {{ access_log off; gzip on; gzip_types *; gzip_min_length 1; root {at}; etag off; if_modified_since off;
         client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
         server {{ listen 127.0.0.1:{port}; }} }}"
    );
    std::fs::write(folder.path().join("nginx.conf"), conf).unwrap();
    let mut nginx = Command::new(program("nginx", &["/usr/sbin/nginx"]));
    nginx.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
    let alive = Alive::Process { _process: Process::start(nginx) };
    ready(port).await;
    Backend {
        name: "nginx",
        protocol: "file",
        path: "/communes.geojson",
        layer: "",
        guarded: true,
        weight: 3,
        targets: both(port),
        file: Some(file),
        _folder: folder,
        _alive: vec![alive],
    }
}

async fn pygeoapi(foreign: &Path, proxy: u16) -> Backend {
    let (folder, file) = folder();
    let port = free_port();
    let config = std::fs::read_to_string(format!("{FOREIGN}/pygeoapi.yml")).unwrap();
    let config = config
        .replace("port: PORT", &format!("port: {port}"))
        .replace("PORT", &proxy.to_string())
        .replace("FILE", &file.display().to_string());
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
    // Its log of every request is of no interest here.
    serving.arg("serve").stderr(std::process::Stdio::null());
    let alive = Alive::Process { _process: Process::start(serving) };
    ready(port).await;
    Backend {
        name: "pygeoapi",
        protocol: "ogc-api-features",
        path: "",
        layer: "",
        guarded: false,
        weight: 1,
        targets: both(port),
        file: Some(file),
        _folder: folder,
        _alive: vec![alive],
    }
}

fn mapserver() -> Backend {
    let (folder, file) = folder();
    let conf = folder.path().join("mapserver.conf");
    std::fs::write(&conf, "CONFIG ENV \"MS_MAP_PATTERN\" \".\" END END\n").unwrap();
    let map = std::fs::read_to_string(format!("{FOREIGN}/mapserver.map")).unwrap();
    let map = map.replace("FILE", &file.display().to_string()).replace("FORMATS", "gml");
    let map_file = folder.path().join("gml.map");
    std::fs::write(&map_file, map).unwrap();
    let env = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    let target = Target::Cgi {
        program: program("mapserv", &["/usr/lib/cgi-bin/mapserv", "/usr/bin/mapserv"]),
        envs: vec![env("MS_MAPFILE", &map_file), env("MAPSERVER_CONFIG_FILE", &conf)],
    };
    Backend {
        name: "MapServer",
        protocol: "wfs",
        path: "/cgi-bin/mapserv",
        layer: "",
        guarded: false,
        weight: 1,
        targets: [target.clone(), target],
        file: Some(file),
        _folder: folder,
        _alive: Vec::new(),
    }
}

async fn koop(foreign: &Path) -> Backend {
    let (folder, file) = folder();
    let port = free_port();
    let mut node = Command::new("node");
    node.env("NODE_PATH", foreign.join("koop/node_modules")).env("SUPPRESS_NO_CONFIG_WARNING", "1");
    let script = folder.path().join("koop.js");
    std::fs::copy(format!("{FOREIGN}/koop.js"), &script).unwrap();
    node.arg(script).arg(port.to_string()).arg(&file);
    let alive = Alive::Process { _process: Process::start(node) };
    ready(port).await;
    Backend {
        name: "koop",
        protocol: "arcgis",
        path: "/test/rest/services/tay-ninh/FeatureServer",
        layer: "id_field = \"code\"",
        guarded: false,
        weight: 2,
        targets: both(port),
        file: Some(file),
        _folder: folder,
        _alive: vec![alive],
    }
}
