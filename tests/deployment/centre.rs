//! The data centre of `docs/data-centre/`, started from its own files on this machine: only addresses, ports and places of
//! files are changed.

use super::cluster::{Cluster, programs};
use super::process::{Process, free_port, is_root, ready};
use super::stand_in;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file of the guide.
pub fn guide(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/data-centre").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The same with each text in place of another, every one of which must be there.
pub fn changed(text: String, changes: &[(&str, String)]) -> String {
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "the guide says {from:?} no more:\n{text}");
        text.replace(from, to)
    })
}

pub fn say(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// The role's password, the broker's passwords.
pub const PASSWORD: &str = "Mat-khau-1";

pub struct Ports {
    pub api: u16,
    pub tiles: u16,
    pub broker: u16,
}

pub struct Centre {
    pub cluster: Cluster,
    pub ports: Ports,
    folder: tempfile::TempDir,
    pygeoapi: PathBuf,
    martin: Option<PathBuf>,
    running: Vec<Process>,
    stand_in: Option<stand_in::Tiles>,
}

/// Parcels in rows and columns, and where the first lies.
pub const SHEETS: usize = 120;
pub const NUMBERS: usize = 100;
pub const FIRST: [f64; 2] = [106.20, 11.05];
pub const STEP: f64 = 0.0008;

impl Centre {
    /// `None`, with a word, where this machine cannot run it.
    pub fn new() -> Option<Self> {
        if std::env::var_os("TOANCANH_FULL").is_none() {
            say("SKIPPED: the deployment is started by TOANCANH_FULL=1 only");
            return None;
        }
        let programs = programs()?;
        let foreign = std::env::var_os("TOANCANH_FOREIGN").map(PathBuf::from);
        let foreign = foreign.expect("TOANCANH_FOREIGN is not set; .ci/foreign-tools makes that folder");
        let pygeoapi = foreign.join("pygeoapi/bin");
        let usable = Command::new(pygeoapi.join("python")).args(["-c", "import psycopg2, geoalchemy2"]).status();
        assert!(usable.is_ok_and(|status| status.success()), "pygeoapi reads no PostGIS; run .ci/foreign-tools");
        let martin = martin();
        if martin.is_none() {
            say("Martin is not installed (PATH, TOANCANH_MARTIN): a stand-in cuts the tiles by the same PostGIS");
        }
        let cluster = Cluster::start(programs);
        fill(&cluster);
        let ports = Ports { api: free_port(), tiles: free_port(), broker: free_port() };
        let folder = tempfile::tempdir().unwrap();
        Some(Self { cluster, ports, folder, pygeoapi, martin, running: Vec::new(), stand_in: None })
    }

    /// Starts what serves; the database runs already.
    pub async fn start(&mut self) {
        self.start_pygeoapi();
        self.start_broker();
        match self.martin.clone() {
            Some(martin) => self.start_martin(&martin),
            None => self.stand_in = Some(stand_in::Tiles::start(self.ports.tiles, self.cluster.port, PASSWORD).await),
        }
        for port in [self.ports.api, self.ports.broker, self.ports.tiles] {
            ready(port).await;
        }
    }

    /// Everything, as when the line is cut.
    pub fn stop(&mut self) {
        self.running.clear();
        self.stand_in = None;
        self.cluster.stop("immediate");
    }

    fn start_pygeoapi(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        let config = changed(
            guide("pygeoapi.yml"),
            &[
                ("port: 5000", format!("port: {}", self.ports.api)),
                ("https://data.tayninh.example/ogc", format!("http://127.0.0.1:{}", self.ports.api)),
                ("port: 5432", format!("port: {}", self.cluster.port)),
                ("dbname: tayninh", "dbname: land".into()),
            ],
        );
        std::fs::write(at("pygeoapi.yml"), config).unwrap();
        let pygeoapi = |pygeoapi: &Path| {
            let mut command = Command::new(pygeoapi.join("pygeoapi"));
            command.env("PYGEOAPI_CONFIG", at("pygeoapi.yml")).env("PYGEOAPI_OPENAPI", at("openapi.yml"));
            command.env("DB_PASSWORD", PASSWORD).current_dir(self.folder.path());
            command
        };
        let mut making = pygeoapi(&self.pygeoapi);
        making.args(["openapi", "generate"]).arg(at("pygeoapi.yml")).arg("--output-file").arg(at("openapi.yml"));
        let made = making.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut serving = pygeoapi(&self.pygeoapi);
        // Its log of every request is of no interest here.
        serving.arg("serve").stderr(Stdio::null());
        self.running.push(Process::start(serving));
    }

    fn start_martin(&mut self, martin: &Path) {
        let config = changed(guide("martin.yaml"), &[("127.0.0.1:3000", format!("127.0.0.1:{}", self.ports.tiles))]);
        let file = self.folder.path().join("martin.yaml");
        std::fs::write(&file, config).unwrap();
        let database =
            format!("postgresql://toancanh_read:{PASSWORD}@localhost:{}/land?sslmode=disable", self.cluster.port);
        let mut command = Command::new(martin);
        command.arg("--config").arg(&file).env("DATABASE_URL", database).env("RUST_LOG", "warn");
        self.running.push(Process::start(command));
    }

    fn start_broker(&mut self) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let passwords = self.folder.path().join("passwd");
        let _ = std::fs::remove_file(&passwords);
        std::fs::write(&passwords, "").unwrap();
        for user in ["sensorthings", "toancanh"] {
            let kept = Command::new("mosquitto_passwd").arg("-b").arg(&passwords).args([user, PASSWORD]).output();
            assert!(kept.is_ok_and(|kept| kept.status.success()), "mosquitto_passwd; .ci/system-packages test");
        }
        std::fs::write(at("acl"), guide("mosquitto.acl")).unwrap();
        let (key, certificate) = (at("privkey.pem"), at("fullchain.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &certificate]);
        let made = openssl.args(["-subj", "/CN=localhost", "-days", "2"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut config = changed(
            guide("mosquitto.conf"),
            &[
                ("/etc/mosquitto/passwd", at("passwd")),
                ("/etc/mosquitto/acl", at("acl")),
                ("listener 1883 127.0.0.1", format!("listener {} 127.0.0.1", self.ports.broker)),
                ("listener 8883", format!("listener {} 127.0.0.1", free_port())),
                ("/etc/mosquitto/certs/fullchain.pem", certificate),
                ("/etc/mosquitto/certs/privkey.pem", key),
            ],
        );
        if is_root() {
            // Else it gives up the rights to read its own files.
            config += "\nuser root\n";
        }
        std::fs::write(at("mosquitto.conf"), config).unwrap();
        let mut command = Command::new("mosquitto");
        command.env("PATH", "/usr/sbin:/usr/bin:/bin").args(["-c", &at("mosquitto.conf")]).stderr(Stdio::null());
        self.running.push(Process::start(command));
    }
}

/// Where Martin is, if it is.
fn martin() -> Option<PathBuf> {
    let named = std::env::var_os("TOANCANH_MARTIN").map(PathBuf::from);
    let in_path =
        || std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join("martin")).find(|p| p.is_file());
    named.filter(|path| path.is_file()).or_else(in_path)
}

/// The guide's tables, with the communes of the profile and parcels that nobody owns.
fn fill(cluster: &Cluster) {
    cluster.sql("land", &guide("postgis.sql"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../maps/tay-ninh/data/communes.geojson");
    let all: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut sql = format!("ALTER ROLE toancanh_read PASSWORD '{PASSWORD}';\n");
    for feature in all["features"].as_array().unwrap() {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let value = |name: &str| match &feature["properties"][name] {
            serde_json::Value::Null => "NULL".to_owned(),
            serde_json::Value::String(text) => quoted(text),
            other => other.to_string(),
        };
        let names = ["name", "full_name", "name_en", "type", "area_km2", "old_province", "vn2000"];
        sql += &format!(
            "INSERT INTO province.communes (code, geom, {}) VALUES ({}, ST_Multi(ST_SetSRID(ST_GeomFromGeoJSON({}), 4326)), {});\n",
            names.join(", "),
            quoted(feature["id"].as_str().unwrap()),
            quoted(&feature["geometry"].to_string()),
            names.map(value).join(", "),
        );
    }
    let [lon, lat] = FIRST;
    sql += &format!(
        "INSERT INTO province.parcels (id, sheet, number, land_use, area_m2, geom)
         SELECT format('P-%s-%s', s, n), s, n, (ARRAY['ODT', 'CLN', 'LUC', 'TMD'])[1 + (s * 7 + n) % 4], 5800,
           ST_MakeEnvelope({lon} + n * {STEP}, {lat} + s * {STEP}, {lon} + n * {STEP} + 0.0007, {lat} + s * {STEP} + 0.0007, 4326)
         FROM generate_series(1, {SHEETS}) s, generate_series(1, {NUMBERS}) n;"
    );
    cluster.sql("land", &sql);
}
