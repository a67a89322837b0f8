//! The servers that the faults stand in front of.

use super::cluster::{self, Cluster};
use super::mosquitto::{self, Broker};
use super::process::{Process, free_port, is_root, program, ready};
use super::proxy::{Proxy, Target};
use super::version_of;
use practice::Practice;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src-tauri/crates/sources/tests/foreign");

/// A server of the communes.
pub struct Backend {
    pub name: &'static str,
    protocol: &'static str,
    /// `PORT` in it stands for the proxy's.
    url: String,
    /// More lines for the layer in the profile.
    layer: &'static str,
    /// Its answers carry a digest, or a packing with a sum of its own, or TLS.
    pub guarded: bool,
    /// What it says has no heads, and no end that could be found wrong by its grammar alone.
    pub wire: bool,
    /// Its share of the faults: a server that takes long gets fewer.
    pub weight: usize,
    /// For each version of the data.
    targets: [Target; 2],
    serving: Serving,
    _folder: tempfile::TempDir,
    _alive: Vec<Alive>,
}

/// How a version of the data is put where the server finds it.
enum Serving {
    /// Each version has a server, or a door, of its own.
    Beside,
    /// The server reads it with every request.
    File(PathBuf),
    Database(Arc<Cluster>),
}

enum Alive {
    Process { _process: Process },
    Practice { _practice: Practice },
    Proxy { _proxy: Proxy },
    Broker { _broker: Arc<Broker> },
}

impl Backend {
    pub fn target(&self, version: usize) -> Target {
        self.targets[version].clone()
    }

    /// Puts a version of the data where the server finds it, in one step.
    pub fn serve(&self, version: usize) {
        match &self.serving {
            Serving::Beside => {}
            Serving::File(file) => {
                let beside = file.with_extension("new");
                std::fs::write(&beside, version_of(version)).unwrap();
                std::fs::rename(beside, file).unwrap();
            }
            Serving::Database(cluster) => {
                drop(cluster.sql("land", &format!("UPDATE land.now SET version = {version}")))
            }
        }
    }

    /// The profile of a home with this one source, through a proxy.
    pub fn profile(&self, port: u16) -> String {
        let Self { protocol, layer, .. } = self;
        let url = self.url.replace("PORT", &port.to_string());
        let source = format!("protocol = \"{protocol}\"\nurl = \"{url}\"");
        journeys::communes_profile(&source, &format!("file = \"data/communes.geojson\"\n{layer}"))
    }
}

/// All that can be started here, each behind its proxy. Another server is another line.
pub async fn backends() -> Vec<(Backend, Proxy)> {
    let mut all = vec![(practice_centre().await, Proxy::start().await)];
    let Some(foreign) = std::env::var_os("TOANCANH_FOREIGN").map(PathBuf::from) else {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: TOANCANH_FOREIGN is not set; only the practice data centre suffers");
        return all;
    };
    all.push((nginx().await, Proxy::start().await));
    // What a server says of its own address is the proxy's.
    let proxy = Proxy::start().await;
    all.push((pygeoapi(&foreign, proxy.port).await, proxy));
    all.push((mapserver().await, Proxy::start().await));
    all.push((koop(&foreign, true).await, Proxy::start().await));
    all.push((koop(&foreign, false).await, Proxy::start().await));
    if let Some(programs) = cluster::programs() {
        // Each shows one version at a time.
        let another = programs.clone();
        let making = (
            tokio::task::spawn_blocking(|| Arc::new(database(programs))),
            tokio::task::spawn_blocking(|| Arc::new(database(another))),
        );
        let (sealed, bare) = tokio::join!(making.0, making.1);
        all.push((postgis(&sealed.unwrap(), true), Proxy::start().await));
        all.push((postgis(&bare.unwrap(), false), Proxy::start().await));
    }
    if let Some(program) = mosquitto::mosquitto() {
        let doors = Doors::open(program).await;
        all.push((doors.mosquitto(true), Proxy::start().await));
        all.push((doors.mosquitto(false), Proxy::start().await));
    }
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
        url: "http://127.0.0.1:PORT/ogc".into(),
        layer: "",
        guarded: true,
        wire: false,
        weight: 3,
        targets: [Target::Port(0), Target::Port(0)],
        serving: Serving::Beside,
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

/// An nginx that packs what it gives: what lies in the folder, or what a server behind it says.
async fn packing(folder: &Path, behind: Option<u16>) -> (u16, Process) {
    let (port, at) = (free_port(), folder.display());
    let user = if is_root() { "user root;" } else { "" };
    let from = behind.map_or_else(String::new, |port| {
        format!("location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host; }}")
    });
    // Without tags and dates: within one second two versions would share them.
    let conf = format!(
        "{user} daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{}}
         http {{ access_log off; gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1; root {at}; etag off; if_modified_since off;
         client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
         server {{ listen 127.0.0.1:{port}; {from} }} }}"
    );
    std::fs::write(folder.join("nginx.conf"), conf).unwrap();
    let mut nginx = Command::new(program("nginx", &["/usr/sbin/nginx"]));
    nginx.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    let process = Process::start(nginx);
    ready(port).await;
    (port, process)
}

async fn nginx() -> Backend {
    let (folder, file) = folder();
    let (port, process) = packing(folder.path(), None).await;
    Backend {
        name: "nginx",
        protocol: "file",
        url: "http://127.0.0.1:PORT/communes.geojson".into(),
        layer: "",
        guarded: true,
        wire: false,
        weight: 3,
        targets: both(port),
        serving: Serving::File(file),
        _folder: folder,
        _alive: vec![Alive::Process { _process: process }],
    }
}

async fn pygeoapi(foreign: &Path, proxy: u16) -> Backend {
    let (folder, file) = folder();
    let port = free_port();
    let config = std::fs::read_to_string(format!("{FOREIGN}/pygeoapi.yml")).unwrap();
    let config = config
        .replacen("server:", "server:\n  gzip: true", 1)
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
        url: "http://127.0.0.1:PORT".into(),
        layer: "",
        guarded: true,
        wire: false,
        weight: 1,
        targets: both(port),
        serving: Serving::File(file),
        _folder: folder,
        _alive: vec![alive],
    }
}

async fn mapserver() -> Backend {
    let (folder, file) = folder();
    let conf = folder.path().join("mapserver.conf");
    std::fs::write(&conf, "CONFIG ENV \"MS_MAP_PATTERN\" \".\" END END\n").unwrap();
    let map = std::fs::read_to_string(format!("{FOREIGN}/mapserver.map")).unwrap();
    let map = map.replace("FILE", &file.display().to_string()).replace("FORMATS", "gml");
    let map_file = folder.path().join("gml.map");
    std::fs::write(&map_file, map).unwrap();
    let env = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    let program = Proxy::start().await;
    program.lead_to(Target::Cgi {
        program: super::process::program("mapserv", &["/usr/lib/cgi-bin/mapserv", "/usr/bin/mapserv"]),
        envs: vec![env("MS_MAPFILE", &map_file), env("MAPSERVER_CONFIG_FILE", &conf)],
    });
    let (port, process) = packing(folder.path(), Some(program.port)).await;
    Backend {
        name: "MapServer",
        protocol: "wfs",
        url: "http://127.0.0.1:PORT/cgi-bin/mapserv".into(),
        layer: "",
        guarded: true,
        wire: false,
        weight: 1,
        targets: both(port),
        serving: Serving::File(file),
        _folder: folder,
        _alive: vec![Alive::Process { _process: process }, Alive::Proxy { _proxy: program }],
    }
}

/// `packed`: behind an nginx, as it should not be left without.
async fn koop(foreign: &Path, packed: bool) -> Backend {
    let (folder, file) = folder();
    let mut port = free_port();
    let mut node = Command::new("node");
    node.env("NODE_PATH", foreign.join("koop/node_modules")).env("SUPPRESS_NO_CONFIG_WARNING", "1");
    let script = folder.path().join("koop.js");
    std::fs::copy(format!("{FOREIGN}/koop.js"), &script).unwrap();
    node.arg(script).arg(port.to_string()).arg(&file);
    let mut alive = vec![Alive::Process { _process: Process::start(node) }];
    ready(port).await;
    if packed {
        let (front, process) = packing(folder.path(), Some(port)).await;
        alive.push(Alive::Process { _process: process });
        port = front;
    }
    Backend {
        name: if packed { "koop" } else { "koop, bare" },
        protocol: "arcgis",
        url: "http://127.0.0.1:PORT/test/rest/services/tay-ninh/FeatureServer".into(),
        layer: "id_field = \"code\"",
        guarded: packed,
        wire: false,
        weight: 2,
        targets: both(port),
        serving: Serving::File(file),
        _folder: folder,
        _alive: alive,
    }
}

/// Both versions, and which of them the view shows.
fn database(programs: PathBuf) -> Cluster {
    let cluster = Cluster::start(programs);
    let mut sql = "CREATE ROLE guest LOGIN; CREATE SCHEMA land; GRANT USAGE ON SCHEMA land TO guest;
        CREATE TABLE land.now (version int); INSERT INTO land.now VALUES (0);
        CREATE TABLE land.all (version int, id text, code text, name text, type text, geom geometry(Geometry, 4326));
        CREATE VIEW land.communes AS SELECT id, code, name, type, geom FROM land.all NATURAL JOIN land.now ORDER BY id;
        GRANT SELECT ON land.communes TO guest;\n"
        .to_owned();
    for version in [0, 1] {
        sql += &format!(
            "INSERT INTO land.all SELECT {version}, f->>'id', f->'properties'->>'code', f->'properties'->>'name',
             f->'properties'->>'type', ST_SetSRID(ST_GeomFromGeoJSON(f->>'geometry'), 4326)
             FROM jsonb_array_elements(($json${}$json$::jsonb)->'features') AS f;\n",
            version_of(version)
        );
    }
    cluster.sql("land", &sql);
    cluster
}

fn postgis(land: &Arc<Cluster>, guarded: bool) -> Backend {
    let (name, tls) = if guarded { ("PostGIS by TLS", "require") } else { ("PostGIS, bare", "disable") };
    Backend {
        name,
        protocol: "postgis",
        url: format!("postgres://guest@127.0.0.1:PORT/land?schema=land&sslmode={tls}"),
        layer: "id_field = \"id\"",
        guarded,
        wire: true,
        weight: 2,
        targets: [Target::Wire(land.port), Target::Wire(land.port)],
        serving: Serving::Database(land.clone()),
        _folder: tempfile::tempdir().unwrap(),
        _alive: Vec::new(),
    }
}

/// A broker for each version of the data, both by TLS and without. (Doors of one broker will not do: mosquitto 2.0 leaves their
/// mount point in the topics of what is retained.)
struct Doors {
    brokers: [Arc<Broker>; 2],
    sealed: [u16; 2],
    bare: [u16; 2],
}

impl Doors {
    async fn open(program: PathBuf) -> Self {
        let first = Broker::start(program.clone()).await;
        // The second shows the certificate of the first: a source knows one authority.
        let (certificate, sealed) = (first.certificate(), free_port());
        let settings = format!(
            "listener {sealed} 127.0.0.1\nallow_anonymous true\ncertfile {}\nkeyfile {}\n",
            certificate.display(),
            certificate.with_file_name("key.pem").display()
        );
        let second = Broker::with(program, &settings).await;
        for (version, broker) in [&first, &second].into_iter().enumerate() {
            broker.send(&mosquitto::kept("communes", version_of(version))).await;
        }
        let (sealed, bare) = ([first.sealed, sealed], [first.open, second.open]);
        Self { brokers: [Arc::new(first), Arc::new(second)], sealed, bare }
    }

    fn mosquitto(&self, guarded: bool) -> Backend {
        let authority = self.brokers[0].certificate().display().to_string();
        let (name, url, ports) = if guarded {
            ("mosquitto by TLS", format!("mqtts://localhost:PORT?sslrootcert={authority}"), self.sealed)
        } else {
            ("mosquitto, bare", "mqtt://127.0.0.1:PORT".to_owned(), self.bare)
        };
        Backend {
            name,
            protocol: "mqtt",
            url,
            layer: "",
            guarded,
            wire: true,
            weight: 2,
            targets: ports.map(Target::Wire),
            serving: Serving::Beside,
            _folder: tempfile::tempdir().unwrap(),
            _alive: self.brokers.iter().map(|broker| Alive::Broker { _broker: broker.clone() }).collect(),
        }
    }
}
