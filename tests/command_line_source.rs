//! `toancanhctl source …`: systems recognised, tried, added, tested and removed from the command line, with and without a
//! password.

#![allow(clippy::unwrap_used)]

use practice::{Options, Practice};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program beside this test; `make test` builds it first.
fn program() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let program = exe.parent().and_then(Path::parent).unwrap().join("toancanhctl");
    assert!(program.exists(), "{} is not built; run: cargo build -p toancanhctl", program.display());
    program
}

/// On a machine without a keyring, whatever this one has.
fn run_with(home: &Path, args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(program());
    command.args(["--lang", "en", "--home"]).arg(home).args(args).env_remove("TOANCANH_PRACTICE");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // Who does not read it may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn run(home: &Path, args: &[&str]) -> Output {
    run_with(home, args, "")
}

fn json_of(home: &Path, args: &[&str]) -> Value {
    let output = run(home, &[&["--json"], args].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
}

fn failure(home: &Path, args: &[&str]) -> Value {
    let output = run(home, &[&["--json"], args].concat());
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(!message.is_empty() && !message.starts_with("error."), "no sentence: {answer}");
    answer["error"].clone()
}

fn text(home: &Path, args: &[&str]) -> String {
    let output = run(home, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn layer(home: &Path, id: &str) -> Value {
    json_of(home, &["layers"]).as_array().unwrap().iter().find(|layer| layer["id"] == id).cloned().unwrap_or_default()
}

fn home() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    json_of(dir.path(), &["init"]);
    dir
}

async fn centre(home: &Path, options: Options) -> Practice {
    Practice::start(&home.join("profile"), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn source_is_tried_added_tested_and_removed() {
    let home = home();
    let home = home.path();
    let centre = centre(home, Options::default()).await;
    let url = format!("{}/ogc", centre.base_url());

    let found = json_of(home, &["source", "recognise", &url]);
    assert_eq!((&found["protocol"], &found["practice"]), (&json!("ogc-api-features"), &json!(true)));
    let table = text(home, &["source", "recognise", &format!("{url}/collections/clinics/items")]);
    assert!(table.contains("clinics *") && table.contains("features"), "{table}");

    let unsaid = failure(home, &["source", "try", &url]);
    assert_eq!(unsaid["code"], "which_collection");
    assert!(unsaid["where"]["detail"].as_str().unwrap().contains("schools"), "{unsaid}");
    let new = ["--collection", "schools", "--new", "Trường của huyện", "--kind", "school", "--group", "social"];
    let trial = json_of(home, &[&["source", "try", &url], new.as_slice()].concat());
    assert!(trial["accepted"].as_u64().unwrap() > 100 && trial["rejected"] == 0, "{trial}");
    let lines = text(home, &[&["source", "try", &url, "--map", "note=name"], new.as_slice()].concat());
    assert!(lines.contains("accepted") && lines.contains("note"), "{lines}");
    assert!(layer(home, "truong_cua_huyen").is_null(), "a trial writes nothing");
    assert_eq!(failure(home, &["source", "add", &url, "--collection", "nothing"])["code"], "which_collection");

    let title = ["--title", "Sở Giáo dục", "--every", "1h"];
    let added = json_of(home, &[&["source", "add", &url], title.as_slice(), new.as_slice()].concat());
    assert_eq!((&added["id"], &added["layers"]), (&json!("so_giao_duc"), &json!(["truong_cua_huyen"])));
    assert_eq!(added["fetched"]["layers_changed"], 1, "{added}");
    assert_eq!(layer(home, "truong_cua_huyen")["features"], trial["accepted"]);
    let more = ["source", "add", &url, "--title", "Sở Y tế", "--take", "clinics=clinics", "--take", "roads=roads"];
    assert_eq!(json_of(home, &more)["layers"], json!(["clinics", "roads"]));

    assert!(json_of(home, &["source", "test", "so_giao_duc"])["offers"].as_u64().unwrap() > 10);
    assert!(text(home, &["source", "test", "so_giao_duc"]).contains("ms"));
    assert_eq!(failure(home, &["source", "test", "nobody"])["code"], "no_source");
    centre.stop().await;
    assert_eq!(failure(home, &["source", "test", "so_giao_duc"])["code"], "refused");

    assert_eq!(failure(home, &["source", "remove", "features"])["code"], "not_added");
    assert_eq!(json_of(home, &["source", "remove", "so_giao_duc"]), json!({"removed": "so_giao_duc"}));
    assert_eq!(failure(home, &["source", "remove", "so_giao_duc"])["code"], "no_source");
    assert_eq!(layer(home, "truong_cua_huyen")["features"], trial["accepted"], "its content stays");
    for wrong in [
        vec!["source", "add", &url, "--user", "a"],
        vec!["source", "add", &url, "--secret", "a"],
        vec!["source", "add", &url, "--user", "a", "--bearer", "--secret", "b"],
        vec!["source", "add", &url, "--token-url", "http://h/token", "--secret", "b"],
        vec!["source", "add", &url, "--every", "soon"],
        vec!["source", "try", &url, "--new", "A"],
        vec!["source", "try", &url, "--kind", "spaceship"],
    ] {
        assert_eq!(run(home, &wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// The practice data centre's own words.
const USER: &str = "toan-canh";
const PASSWORD: &str = "mat-khau-thuc-hanh";

/// Every byte of every file below a folder, but for the file of secrets.
fn everything(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => bytes.extend(everything(&entry.path())),
            _ if entry.file_name() == "secrets.toml" => {}
            _ => bytes.extend(std::fs::read(entry.path()).unwrap()),
        }
    }
    bytes
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn source_with_a_password_is_added_by_the_name_of_its_secret() {
    let home = home();
    let home = home.path();
    let centre = centre(home, Options { locked: true, ..Options::default() }).await;
    let url = format!("{}/ogc/collections/clinics", centre.base_url());

    let locked = failure(home, &["source", "recognise", &url]);
    assert_eq!((&locked["code"], &locked["where"]["status"]), (&json!("status"), &json!("401")), "{locked}");
    let login = ["--user", USER, "--secret", "so-y-te"];
    let missing = failure(home, &[&["source", "recognise", &url], login.as_slice()].concat());
    assert_eq!((&missing["code"], &missing["where"]["secret"]), (&json!("no_secret"), &json!("so-y-te")));
    assert!(run_with(home, &["secret", "set", "so-y-te", "--file"], PASSWORD).status.success());

    let mut said = Vec::new();
    for args in [
        [["source", "recognise", &url].as_slice(), &login].concat(),
        [["source", "try", &url].as_slice(), &login].concat(),
        [["source", "add", &url, "--title", "Sở Y tế"].as_slice(), &login].concat(),
        vec!["source", "test", "so_y_te"],
        vec!["sources"],
        vec!["sources", "--log", "so_y_te"],
    ] {
        let output = run(home, &[&["--json"], args.as_slice()].concat());
        assert!(output.status.success(), "{args:?}: {output:?}");
        said.extend([output.stdout, output.stderr].concat());
    }
    assert_eq!(layer(home, "clinics")["source"], "so_y_te");
    let sources = std::fs::read_to_string(home.join("sources.toml")).unwrap();
    assert!(sources.contains("kind = \"basic\"") && sources.contains("secret = \"so-y-te\""), "{sources}");

    // With the wrong password it is not let in; the password is in no word about it.
    assert!(run_with(home, &["secret", "set", "so-y-te", "--file"], "Kh0ng-dung").status.success());
    let refused = failure(home, &["source", "test", "so_y_te"]);
    assert_eq!((&refused["code"], &refused["where"]["status"]), (&json!("status"), &json!("401")));
    let failed = run(home, &["sync", "so_y_te"]);
    assert_eq!(failed.status.code(), Some(1));
    said.extend([failed.stdout, failed.stderr, refused.to_string().into_bytes(), everything(home)].concat());
    for word in [PASSWORD, "Kh0ng-dung", "dG9hbi1jYW5o"] {
        assert!(!holds(&said, word), "{word} came out");
    }
    let bad = failure(home, &["source", "recognise", &url, "--user", "a:b", "--secret", "so-y-te"]);
    assert_eq!((&bad["code"], &bad["where"]["field"]), (&json!("bad_credentials"), &json!("credentials.user")));

    // Another source that names the secret keeps it; the last one takes it along.
    let gateway = centre.gateway();
    let api_key = gateway["api_key"].as_str().unwrap();
    assert!(run_with(home, &["secret", "set", "so-y-te", "--file"], api_key).status.success());
    let key = ["source", "add", &url, "--title", "B", "--key-header", "X-Api-Key", "--secret", "so-y-te", "--no-sync"];
    assert_eq!(json_of(home, &key)["fetched"], Value::Null);
    json_of(home, &["source", "remove", "so_y_te", "--forget-secret"]);
    assert_eq!(json_of(home, &["secret", "list"])["secrets"][0]["places"], json!(["file"]));
    json_of(home, &["source", "remove", "b", "--forget-secret"]);
    assert_eq!(json_of(home, &["secret", "list"])["secrets"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_tokens_open_a_source_too() {
    let home = home();
    let home = home.path();
    let centre = centre(home, Options { locked: true, ..Options::default() }).await;
    let url = format!("{}/ogc", centre.base_url());
    let gateway = centre.gateway();
    let (key, token_url) = (gateway["api_key"].as_str().unwrap(), gateway["token_url"].as_str().unwrap());
    assert!(run_with(home, &["secret", "set", "khoa", "--file"], key).status.success());
    assert!(run_with(home, &["secret", "set", "lgsp", "--file"], PASSWORD).status.success());
    let recognise = ["source", "recognise", &url];
    json_of(home, &[&recognise, ["--key-header", "X-Api-Key", "--secret", "khoa"].as_slice()].concat());
    let by_token = ["--token-url", token_url, "--client-id", USER, "--secret", "lgsp"];
    json_of(home, &[recognise.as_slice(), &by_token].concat());
    let wrong = ["--token-url", token_url, "--client-id", USER, "--secret", "khoa"];
    assert_eq!(failure(home, &[recognise.as_slice(), &wrong].concat())["code"], "token_refused");
    let bearer = failure(home, &[&recognise, ["--bearer", "--secret", "khoa"].as_slice()].concat());
    assert_eq!(bearer["where"]["status"], "401");
}
