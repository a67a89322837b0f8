//! A home whose layers come through a gateway: credentials from a private file and from the environment, checked by the
//! shared data standard, and nowhere a trace of the secret.

#![allow(clippy::unwrap_used)]

use practice::{GatewayHabits, Practice};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the practice gateway knows.
const SECRET: &str = "mat-khau-thuc-hanh";
/// A key that it does not know.
const WRONG: &str = "Kh0ng-ai-bi3t-n4y";

const SOURCES: &str = r#"
[[sources]]
id = "lgsp"
protocol = "rest"
title = { vi = "Cổng thực hành", en = "Practice gateway" }
url = "practice:/gateway"
every = "10m"
practice = true
credentials = { kind = "client-credentials", token_url = "practice:/gateway/oauth2/token", client_id = "toan-canh", secret = "lgsp" }

[[sources]]
id = "fhir"
protocol = "rest"
title = { vi = "Cổng thực hành: FHIR", en = "Practice gateway: FHIR" }
url = "practice:/gateway/fhir"
every = "10m"
practice = true
credentials = { kind = "api-key", header = "X-Api-Key", secret = "fhir-key" }
"#;

const SCHOOLS: &str = r#"
rest = { path = "danh-muc/schools", items = "$.danhSach", id = "$.ma", lon = "$.viTri.kinhDo", lat = "$.viTri.viDo", fields = { name = "$.ten", level = "$.cap", pupils = "$.soHocSinh", commune = "$.maXa" }, constants = { sample = true, via = "lgsp" }, as_of = "$.capNhat", total = "$.tongSo", paging = { by = "cursor", next = "$.conTroTiep", param = "conTro", size_param = "kichThuoc" } }
"#;

const CLINICS: &str = r#"
rest = { ready = "fhir-organization", fields = { level = "$.type[0].coding[0].code", commune = "$.extension[?@.url == 'urn:toancanh:thuc-hanh:commune'].valueCode" }, constants = { sample = true } }
"#;

/// The program beside this test; `make test` builds it first.
fn program() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let program = exe.parent().and_then(Path::parent).unwrap().join("toancanhctl");
    assert!(program.exists(), "{} is not built; run: cargo build -p toancanhctl", program.display());
    program
}

struct Office {
    home: tempfile::TempDir,
    url: String,
    /// All that was said.
    said: std::cell::RefCell<String>,
}

impl Office {
    fn ctl(&self, args: &[&str], environment: &[(&str, &str)], stdin: &str) -> (bool, Value) {
        let mut command = Command::new(program());
        command.args(["--json", "--lang", "en", "--practice", &self.url, "--home"]).arg(self.home.path()).args(args);
        // Whatever keyring this machine has is left alone.
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus").envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert!(!stderr.contains("panicked"), "{stderr}");
        self.said.borrow_mut().push_str(&format!("{args:?}\n{stdout}\n{stderr}\n"));
        (status.success(), serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}")))
    }

    fn layer(&self, id: &str) -> Value {
        let (_, layers) = self.ctl(&["layers"], &[], "");
        layers.as_array().unwrap().iter().find(|layer| layer["id"] == id).unwrap().clone()
    }
}

/// Whether a text lies in any file below a folder; the private file itself aside.
fn found_below(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(found_below(&path, text));
        } else if path.file_name().is_some_and(|name| name != "secrets.toml") {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn home_syncs_through_the_gateway_and_keeps_its_secrets() {
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../maps/tay-ninh");
    let centre = Practice::start(&profile, practice::Options::default()).await.unwrap();
    let office = Office { home: tempfile::tempdir().unwrap(), url: centre.base_url(), said: Default::default() };
    assert!(office.ctl(&["init"], &[], "").0);
    let path = office.home.path().join("profile/profile.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (layer, source, mapping) in [("schools", "lgsp", SCHOOLS), ("clinics", "fhir", CLINICS)] {
        let (before, behind) = text.split_once(&format!("id = \"{layer}\"")).unwrap();
        let named = format!("feature_source = \"{source}\"{mapping}");
        let behind = behind.replacen("feature_source = \"features\"", &named, 1);
        text = format!("{before}id = \"{layer}\"{behind}");
    }
    std::fs::write(&path, text + SOURCES).unwrap();

    let (done, missing) = office.ctl(&["sync", "lgsp"], &[], "");
    assert!(!done && missing["error"]["code"] == "no_secret", "{missing}");
    // In a private file.
    assert!(office.ctl(&["secret", "set", "lgsp", "--file"], &[], &format!("{WRONG}\n")).0);
    let (done, refused) = office.ctl(&["sync", "lgsp"], &[], "");
    assert!(!done && refused["error"]["code"] == "token_refused", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("invalid_client"), "{refused}");
    assert!(office.ctl(&["secret", "set", "lgsp", "--file"], &[], &format!("{SECRET}\n")).0);
    let (done, synced) = office.ctl(&["sync", "lgsp"], &[], "");
    assert!(done, "{synced}");
    let schools = office.layer("schools");
    assert_eq!((schools["source"].as_str(), schools["practice"].as_bool()), (Some("lgsp"), Some(true)), "{schools}");
    assert!(schools["features"].as_u64().unwrap() > 200, "{schools}");
    // From the environment, before the file.
    let wrong = [("TOANCANH_SECRET_FHIR_KEY", WRONG)];
    let (done, refused) = office.ctl(&["sync", "fhir"], &wrong, "");
    assert!(!done && refused["error"]["code"] == "status", "{refused}");
    let right = [("TOANCANH_SECRET_FHIR_KEY", "khoa-thuc-hanh"), ("TOANCANH_SECRET_LGSP", SECRET)];
    let (done, synced) = office.ctl(&["sync", "fhir"], &right, "");
    assert!(done, "{synced}");
    let clinics = office.layer("clinics");
    assert_eq!((clinics["source"].as_str(), clinics["features"].as_u64()), (Some("fhir"), Some(214)), "{clinics}");
    let (_, found) =
        office.ctl(&["query", "schools", "--limit", "3", "--where", "level = 'thpt' AND pupils > 0"], &[], "");
    assert_eq!(found["features"].as_array().unwrap().len(), 3, "the fields are the standard's: {found}");

    // What the gateway does wrong leaves the layer.
    centre.set_gateway_habits(GatewayHabits { wrong_total: true, ..Default::default() });
    let (done, wrong) = office.ctl(&["sync", "lgsp"], &[], "");
    assert!(!done && wrong["error"]["code"] == "malformed", "{wrong}");
    assert_eq!(office.layer("schools")["features"], schools["features"]);
    office.ctl(&["sources"], &right, "");
    office.ctl(&["doctor"], &right, "");
    let (_, list) = office.ctl(&["secret", "list"], &right, "");
    let names: Vec<_> = list["secrets"].as_array().unwrap().iter().map(|secret| secret["name"].clone()).collect();
    assert_eq!(names, ["fhir-key", "lgsp"]);

    for secret in [WRONG, SECRET, "khoa-thuc-hanh"] {
        assert_eq!(found_below(office.home.path(), secret), Vec::<PathBuf>::new(), "{secret}");
        assert!(!office.said.borrow().contains(secret), "{secret} in {}", office.said.borrow());
    }
    centre.stop().await;
}
