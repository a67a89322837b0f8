//! Secrets as people and services keep them: in a private file, in the environment, in a keyring that may not be there;
//! and that none ever comes out again.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const VALUE: &str = "Kh0ng-ai-bi3t-\"này\"";

/// The program beside this test; `make test` builds it first.
fn program() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let program = exe.parent().and_then(Path::parent).unwrap().join("toancanhctl");
    assert!(program.exists(), "{} is not built; run: cargo build -p toancanhctl", program.display());
    program
}

/// A machine without a keyring, whatever this one has.
fn ctl(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(["--json", "--lang", "en", "--home"]).arg(home).args(args).env_remove("TOANCANH_PRACTICE");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
    command
}

fn run(mut command: Command, stdin: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn failure(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    json(output)["error"].clone()
}

#[test]
fn secret_goes_into_a_private_file_and_not_out_again() {
    let home = tempfile::tempdir().unwrap();
    let set = run(ctl(home.path(), &["secret", "set", "so-y-te", "--file"]), &format!("{VALUE}\n"));
    assert!(set.status.success(), "{set:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(home.path().join("secrets.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let list = run(ctl(home.path(), &["secret", "list"]), "");
    assert_eq!(json(&list)["secrets"][0], serde_json::json!({"name": "so-y-te", "places": ["file"], "sources": []}));
    for output in [&set, &list] {
        assert!(!String::from_utf8_lossy(&output.stdout).contains("Kh0ng"), "{output:?}");
    }
    let as_argument = run(ctl(home.path(), &["secret", "set", "so-y-te", VALUE, "--file"]), "");
    assert_eq!(as_argument.status.code(), Some(2), "a value is no argument");
    assert!(run(ctl(home.path(), &["secret", "remove", "so-y-te"]), "").status.success());
    assert_eq!(failure(&run(ctl(home.path(), &["secret", "remove", "so-y-te"]), ""))["code"], "no_such_secret");
    assert_eq!(failure(&run(ctl(home.path(), &["secret", "set", "a", "--file"]), ""))["code"], "secret_value");
}

#[cfg(unix)]
#[test]
fn file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("secrets.toml");
    std::fs::write(&file, "a = \"b\"\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = failure(&run(ctl(home.path(), &["secret", "list"]), ""));
    assert_eq!(refused["code"], "secrets_exposed");
    assert!(refused["message"].as_str().unwrap().contains("chmod 600"), "{refused}");
}

#[test]
fn machine_without_a_keyring_says_so_at_once_and_one_that_hangs_soon() {
    let home = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let refused = failure(&run(ctl(home.path(), &["secret", "set", "a"]), VALUE));
    assert_eq!(refused["code"], "no_keyring");
    assert!(refused["message"].as_str().unwrap().contains("--file"), "{refused}");
    #[cfg(unix)]
    {
        // It takes connections and says nothing.
        let bus = home.path().join("bus");
        let _listening = std::os::unix::net::UnixListener::bind(&bus).unwrap();
        let mut command = ctl(home.path(), &["secret", "list"]);
        command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display()));
        command.env("TOANCANH_SECRET_SO_Y_TE", VALUE);
        let list = json(&run(command, ""));
        assert_eq!(list["secrets"][0]["places"], serde_json::json!(["environment"]), "{list}");
        assert!(list["keyring"].as_str().unwrap().contains("not answered"), "{list}");
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn source_without_its_secret_says_which_and_how_to_set_it() {
    let home = tempfile::tempdir().unwrap();
    assert!(run(ctl(home.path(), &["init"]), "").status.success());
    let path = home.path().join("profile/profile.toml");
    let profile = std::fs::read_to_string(&path).unwrap();
    let source = "[[sources]]\nid = \"health\"\nprotocol = \"file\"\ntitle = { vi = \"a\", en = \"b\" }\n\
                  url = \"http://127.0.0.1:9/clinics.geojson\"\nevery = \"10m\"\n\
                  credentials = { kind = \"bearer\", secret = \"so-y-te\" }\n";
    let (before, clinics) = profile.split_once("id = \"clinics\"").unwrap();
    let clinics = clinics.replacen("feature_source = \"features\"", "feature_source = \"health\"", 1);
    std::fs::write(&path, format!("{before}id = \"clinics\"{clinics}\n{source}")).unwrap();
    let missing = failure(&run(ctl(home.path(), &["sync", "health"]), ""));
    assert_eq!((&missing["code"], &missing["where"]["secret"]), (&"no_secret".into(), &"so-y-te".into()));
    assert!(missing["message"].as_str().unwrap().contains("toancanhctl secret set so-y-te"), "{missing}");
    let sources = json(&run(ctl(home.path(), &["sources"]), ""));
    let health = sources.as_array().unwrap().iter().find(|source| source["id"] == "health").unwrap();
    assert_ne!(health["link"], "lost", "it was not asked: {health}");
    assert!(health["last_error"].as_str().unwrap().contains("so-y-te"), "{health}");
    let list = json(&run(ctl(home.path(), &["secret", "list"]), ""));
    let wanted = serde_json::json!({"name": "so-y-te", "places": [], "sources": ["health"]});
    assert_eq!(list["secrets"][0], wanted);

    let login = profile.replacen("url = \"practice:/ogc\"", "url = \"http://me:s3cret@host/ogc\"", 1);
    std::fs::write(&path, login).unwrap();
    let refused = failure(&run(ctl(home.path(), &["layers"]), ""));
    assert_eq!(refused["code"], "bad_profile");
    let sentence = refused.to_string();
    assert!(sentence.contains("sources.features.url") && !sentence.contains("s3cret"), "{sentence}");
}
