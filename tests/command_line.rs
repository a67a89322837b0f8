//! `toancanhctl` as people and scripts run it: the contract's shapes, bad input, full disks, corrupt caches.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program beside this test; `make test` builds it first.
fn program() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let program = exe.parent().and_then(Path::parent).unwrap().join("toancanhctl");
    assert!(program.exists(), "{} is not built; run: cargo build -p toancanhctl", program.display());
    program
}

fn run(home: &Path, args: &[&str]) -> Output {
    Command::new(program()).arg("--home").arg(home).args(args).env_remove("TOANCANH_PRACTICE").output().unwrap()
}

fn json(home: &Path, args: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(args);
    let output = run(home, &all);
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
}

/// The failure of a call that must end with status 1, one JSON document and no panic.
fn failure(home: &Path, args: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(args);
    let output = run(home, &all);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = answer["error"]["message"].as_str().unwrap().to_owned();
    assert!(!message.starts_with("error.") && !message.is_empty(), "no sentence: {answer}");
    answer["error"].clone()
}

fn home() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), &["init"]);
    dir
}

fn communes(home: &Path) -> Value {
    let layers = json(home, &["layers"]);
    layers.as_array().unwrap().iter().find(|layer| layer["id"] == "communes").unwrap().clone()
}

/// Test-only data that is read where it lies and never copied into the repository.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {name} is test-only data in ../shared/data, which is not on this machine");
    None
}

#[test]
fn init_makes_a_home_and_leaves_one_that_exists() {
    let home = home();
    let again = json(home.path(), &["init"]);
    assert_eq!(again["made"], false);
    let layers = json(home.path(), &["layers"]);
    let ids: Vec<_> = layers.as_array().unwrap().iter().map(|layer| layer["id"].as_str().unwrap()).collect();
    for id in ["communes", "cameras", "air_stations", "schools", "clinics", "planning_zones"] {
        assert!(ids.contains(&id), "{id}");
    }
    let communes = communes(home.path());
    assert_eq!((communes["features"].as_u64(), communes["sample"].as_bool()), (Some(96), Some(true)));
    assert_eq!(communes["bbox"].as_array().unwrap().len(), 4);
}

#[test]
fn real_communes_replace_the_diagram() {
    let Some(file) = shared("communes_2025.geojson") else { return };
    let home = home();
    let before = communes(home.path())["version"].as_u64();
    let summary = json(home.path(), &["import", file.to_str().unwrap(), "--layer", "communes"]);
    assert_eq!((summary["accepted"].as_u64(), summary["rejected"].as_u64()), (Some(96), Some(0)), "{summary}");
    assert_eq!(summary["crs"], "EPSG:4326");
    let after = communes(home.path());
    assert_eq!(after["features"], 96);
    assert_eq!(after["sample"], false);
    assert_eq!(after["source"], "communes_2025.geojson");
    assert!(after["version"].as_u64() > before);
    let hit = json(home.path(), &["query", "communes", "--at", "106.129,11.304"]);
    assert_eq!(hit["numberMatched"], 1, "{hit}");
    for name in ["roads_ne10m:roads", "rivers_gshhg:rivers", "province_2025_generalised:outline"] {
        let (file, layer) = name.split_once(':').unwrap();
        let Some(file) = shared(&format!("{file}.geojson")) else { return };
        let summary = json(home.path(), &["import", file.to_str().unwrap(), "--layer", layer]);
        assert_eq!(summary["rejected"], 0, "{summary}");
    }
}

#[test]
fn export_and_import_give_the_same_layer() {
    let home = home();
    for ending in ["geojson", "geojsonl", "gpkg", "csv"] {
        let file = home.path().join(format!("schools.{ending}"));
        let file = file.to_str().unwrap();
        assert_eq!(json(home.path(), &["export", "schools", "-o", file])["features"], 1012, "{ending}");
        let summary = json(home.path(), &["import", file, "--layer", &format!("copy_{ending}")]);
        assert_eq!(
            (summary["accepted"].as_u64(), summary["rejected"].as_u64()),
            (Some(1012), Some(0)),
            "{ending}: {summary}"
        );
        let copy =
            json(home.path(), &["query", &format!("copy_{ending}"), "--where", "level = 'thcs'", "--limit", "1"]);
        let original = json(home.path(), &["query", "schools", "--where", "level = 'thcs'", "--limit", "1"]);
        assert_eq!(copy["numberMatched"], original["numberMatched"], "{ending}");
    }
}

#[test]
fn search_folds_marks_and_ranks_exact_ones_first() {
    let home = home();
    let hits = json(home.path(), &["search", "tram khi trang"]);
    assert_eq!(hits[0]["name"], "Trạm khí Trảng Bàng");
    let placed =
        |text: &str| json(home.path(), &["search", text, "--limit", "5"])[0]["name"].as_str().unwrap().to_owned();
    assert_eq!(placed("Hòa Thành"), placed("hoà thành"));
}

#[test]
fn queries_answer_in_geodesic_metres_nearest_first() {
    let home = home();
    let hits = json(home.path(), &["query", "schools", "--near", "106.1,11.3", "--nearest", "5"]);
    let distances: Vec<f64> =
        hits["features"].as_array().unwrap().iter().map(|f| f["properties"]["distance_m"].as_f64().unwrap()).collect();
    assert_eq!(distances.len(), 5);
    assert!(distances.is_sorted());
    let within = json(home.path(), &["query", "schools", "--near", "106.1,11.3", "--within", "2000"]);
    assert!(
        within["features"].as_array().unwrap().iter().all(|f| f["properties"]["distance_m"].as_f64() <= Some(2000.0))
    );
    let error = failure(home.path(), &["query", "schools", "--where", "level ="]);
    assert_eq!(error["code"], "bad_filter");
}

#[test]
fn tiles_are_written_one_by_one_and_as_archive() {
    let home = home();
    let tile = home.path().join("t.mvt");
    assert!(
        json(home.path(), &["tile", "communes", "9/407/239", "-o", tile.to_str().unwrap()])["bytes"].as_u64()
            > Some(500)
    );
    let archive = home.path().join("t.pmtiles");
    let written = json(home.path(), &["tiles", "communes", "-o", archive.to_str().unwrap(), "--zoom", "6-9"]);
    assert!(written["tiles"].as_u64() > Some(4), "{written}");
    assert!(std::fs::read(&archive).unwrap().starts_with(b"PMTiles\x03"));
}

#[test]
fn bad_input_is_a_sentence_and_the_layer_stays() {
    let home = home();
    let before = communes(home.path());
    let dir = home.path().join("bad");
    std::fs::create_dir(&dir).unwrap();
    let feature = |x: &str, y: &str| {
        format!(
            r#"{{"type":"Feature","id":"{x}","properties":{{"name":"a"}},"geometry":{{"type":"Point","coordinates":[{x},{y}]}}}}"#
        )
    };
    let collection = |features: &str| format!(r#"{{"type":"FeatureCollection","features":[{features}]}}"#);
    let whole = collection(&[feature("106.1", "11.3"), feature("106.2", "11.4")].join(","));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("truncated.geojson", whole.as_bytes()[..whole.len() - 30].to_vec(), "truncated"),
        ("empty.geojson", Vec::new(), "empty_file"),
        ("picture.geojson", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), "wrong_format"),
        ("nan.geojson", collection(&feature("NaN", "11.3")).into_bytes(), ""),
        ("far.geojson", collection(&feature("1060", "11.3")).into_bytes(), "nothing_accepted"),
        (
            "latin.geojson",
            [
                b"{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"properties\":{\"name\":\""
                    .as_slice(),
                &[0xC3, 0x28, 0xFF],
                b"\"},\"geometry\":{\"type\":\"Point\",\"coordinates\":[106.1,11.3]}}]}",
            ]
            .concat(),
            "",
        ),
        ("deep.geojson", [b"[".repeat(200_000)].concat(), ""),
    ];
    for (name, bytes, code) in cases {
        let file = dir.join(name);
        std::fs::write(&file, bytes).unwrap();
        let error = failure(home.path(), &["import", file.to_str().unwrap(), "--layer", "communes"]);
        assert!(code.is_empty() || error["code"] == code, "{name}: {error}");
        assert_eq!(communes(home.path()), before, "{name}");
    }
    assert_eq!(failure(home.path(), &["import", dir.to_str().unwrap(), "--layer", "communes"])["code"], "directory");
    assert_eq!(failure(home.path(), &["import", "/no/such/file", "--layer", "communes"])["code"], "not_found");
}

#[test]
fn the_data_standard_is_printed_without_a_home() {
    let nowhere = tempfile::tempdir().unwrap();
    let home = nowhere.path().join("none");
    let list = json(&home, &["schema"]);
    let kinds: Vec<_> = list.as_array().unwrap().iter().map(|schema| schema["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"camera") && kinds.contains(&"indicator"), "{kinds:?}");
    let camera = json(&home, &["schema", "camera"]);
    assert_eq!(camera["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(camera["$defs"]["common"]["$defs"]["commune_code"]["oneOf"].as_array().unwrap().len() >= 96);
    assert_eq!(failure(&home, &["schema", "drone"])["code"], "no_schema");
    assert!(!home.exists());
}

#[test]
fn wrong_usage_is_told_apart_from_failed_work() {
    let home = home();
    let out = home.path().join("out");
    let out = out.to_str().unwrap();
    let wrong: [&[&str]; 12] = [
        &["import"],
        &["import", "/etc/hostname", "--layer", "Communes"],
        &["restore", "../communes"],
        &["live", "Cameras"],
        &["tile", "communes", "x/9/407/239", "-o", out],
        &["tile", "communes", "9/407", "-o", out],
        &["tile", "communes", "9/512/0", "-o", out],
        &["tile", "communes", "32/0/0", "-o", out],
        &["tiles", "communes", "-o", out, "--zoom", "6-abc"],
        &["tiles", "communes", "-o", out, "--zoom", "9-6"],
        &["tiles", "communes", "-o", out, "--zoom", "6-17"],
        &["sync", "features", "--watch"],
    ];
    for args in wrong {
        let output = run(home.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}: {output:?}");
    }
    assert!(!Path::new(out).exists());
    assert_eq!(failure(home.path(), &["tile", "nowhere", "9/407/239", "-o", out])["code"], "no_layer");
    assert_eq!(failure(home.path(), &["sync", "nowhere"])["code"], "no_source");
}

#[test]
fn a_source_that_fails_does_not_keep_the_next_from_its_try() {
    let home = home();
    let output = run(home.path(), &["--json", "sync", "nowhere", "nor_here"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["error"]["where"]["source"], "nowhere", "the first failure is the answer: {answer}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nor_here"), "the second was not tried: {output:?}");
}

#[test]
fn sources_have_a_log_and_can_be_paused() {
    let home = home();
    // Nobody listens there: the run failed, and that is what the log says.
    let health = json(home.path(), &["--practice", "http://127.0.0.1:9", "sources"]);
    assert_eq!(health[0]["runs"], serde_json::json!(["failed"]), "{health}");
    assert!(health[0]["breaker"] == "closed" && health[0]["paused"] == false && health[0]["next_run_at"].is_null());
    let log = json(home.path(), &["sources", "--log", "features"]);
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert!(log[0]["trigger"] == "person" && log[0]["outcome"] == "failed", "{log}");
    assert_eq!(log[0]["failure"]["code"], "refused");
    assert_eq!(json(home.path(), &["sources", "--pause", "features"])["paused"], true);
    let health = json(home.path(), &["--practice", "http://127.0.0.1:9", "sources"]);
    assert_eq!((health[0]["paused"].as_bool(), health[0]["runs"].as_array().unwrap().len()), (Some(true), 1));
    assert_eq!(json(home.path(), &["sources", "--resume", "features"])["paused"], false);
    assert_eq!(json(home.path(), &["sources", "--rejected"]), serde_json::json!([]));
    for option in ["--log", "--pause", "--resume"] {
        assert_eq!(failure(home.path(), &["sources", option, "x"])["code"], "no_source", "{option}");
    }
}

#[test]
fn swapped_axes_of_a_whole_file_are_put_right_with_a_warning() {
    let home = home();
    let file = home.path().join("swapped.csv");
    std::fs::write(&file, "id,name,lon,lat\na,A,11.3,106.1\nb,B,11.2,106.2\n").unwrap();
    let summary = json(home.path(), &["import", file.to_str().unwrap(), "--layer", "swapped"]);
    assert_eq!(summary["accepted"], 2);
    assert_eq!(summary["warnings"].as_array().unwrap().len(), 1, "{summary}");
    let hit = json(home.path(), &["query", "swapped", "--near", "106.1,11.3", "--within", "10"]);
    assert_eq!(hit["numberMatched"], 1);
}

#[test]
fn rejected_rows_are_kept_with_their_reason() {
    let home = home();
    let file = home.path().join("mixed.csv");
    std::fs::write(&file, "id,name,lon,lat\na,A,106.1,11.3\nb,B,1060,11.3\nc,C,106.2,11.4\na,D,106.3,11.4\n").unwrap();
    let file = file.to_str().unwrap();
    let summary = json(home.path(), &["import", file, "--layer", "mixed"]);
    assert_eq!((summary["accepted"].as_u64(), summary["rejected"].as_u64()), (Some(2), Some(2)), "{summary}");
    let rejected = std::fs::read_to_string(summary["rejected_file"].as_str().unwrap()).unwrap();
    assert!(rejected.contains("coordinate_range") && rejected.contains("duplicate_id"), "{rejected}");
    assert!(rejected.lines().nth(1).unwrap().starts_with("3,"), "{rejected}");
    let error = failure(home.path(), &["import", file, "--layer", "mixed", "--on-error", "abort"]);
    assert_eq!(error["code"], "coordinate_range");
}

#[test]
fn corrupt_cache_is_set_aside_and_rebuilt() {
    let home = home();
    let cache = home.path().join("province.gpkg");
    for name in ["province.gpkg-wal", "province.gpkg-shm"] {
        let _ = std::fs::remove_file(home.path().join(name));
    }
    std::fs::write(&cache, b"this is no database, and never was one; it only has the name of one").unwrap();
    assert_eq!(communes(home.path())["features"], 96);
    let aside = std::fs::read_dir(home.path()).unwrap().flatten();
    assert!(aside.into_iter().any(|entry| entry.file_name().to_string_lossy().contains(".corrupt-")));
}

#[test]
fn unwritable_home_and_full_disk_are_sentences() {
    let root = std::env::var("USER").as_deref() == Ok("root") || Path::new("/root").read_dir().is_ok();
    assert_eq!(failure(Path::new("/proc/no-home"), &["init"])["code"], "not_writable");
    if !root {
        eprintln!("SKIPPED: a full disk needs root for its tmpfs");
        return;
    }
    // On 1 MB not even the profile fits, on the next sizes the cache, but not all layers.
    for size in ["1m", "2m", "4m"] {
        let mount = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(mount.path()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no tmpfs can be mounted here");
            return;
        }
        let output = run(&mount.path().join("home"), &["--json", "init"]);
        let _ = Command::new("umount").arg(mount.path()).status();
        assert_eq!(output.status.code(), Some(1), "{size}: {output:?}");
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(["disk_full", "not_writable"].contains(&error["error"]["code"].as_str().unwrap()), "{size}: {error}");
    }
}

#[test]
fn a_line_without_end_stays_out_of_memory() {
    let home = home();
    let before = communes(home.path());
    let file = home.path().join("line.geojson");
    let mut line = std::fs::File::create(&file).unwrap();
    line.write_all(br#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"name":""#).unwrap();
    let part = vec![b'a'; 1 << 20];
    for _ in 0..600 {
        line.write_all(&part).unwrap();
    }
    drop(line);
    // The line is longer than all the address space there is; a small import shows that the rest fits. One arena, because
    // malloc sets 64 MB of address space aside for each.
    let limited = |file: &Path, layer: &str| {
        let import = format!(
            "ulimit -v 600000; MALLOC_ARENA_MAX=1 exec {} --json --home {} import {} --layer {layer}",
            program().display(),
            home.path().display(),
            file.display()
        );
        Command::new("sh").args(["-c", &import]).env_remove("TOANCANH_PRACTICE").output().unwrap()
    };
    let small = home.path().join("small.csv");
    std::fs::write(&small, "id,name,lon,lat\na,A,106.1,11.3\n").unwrap();
    let output = limited(&small, "small");
    assert!(output.status.success(), "{output:?}");
    let output = limited(&file, "communes");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["error"]["code"], "line_too_long", "{answer}");
    assert_eq!(communes(home.path()), before);
}

#[test]
fn ogrinfo_and_the_validator_accept_the_cache() {
    let home = home();
    let cache = home.path().join("province.gpkg");
    match Command::new("ogrinfo").args(["-ro", "-q"]).arg(&cache).output() {
        Ok(output) => {
            let listed = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(listed.contains("communes") && listed.contains("air_stations"), "{listed}");
        }
        Err(_) => eprintln!("SKIPPED: ogrinfo (gdal-bin) is not installed"),
    }
    let Some(python) = std::env::var_os("GPKG_VALIDATOR_PYTHON") else {
        eprintln!("SKIPPED: the GeoPackage validator runs under make test FULL=1");
        return;
    };
    let output = Command::new(python).args(["-m", "osgeo_utils.samples.validate_gpkg"]).arg(&cache).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program that runs until it is told to stop.
struct Serving(std::process::Child);

impl Serving {
    /// Starts `serve` on a free port; the address it says.
    fn start(home: &Path, args: &[&str]) -> (Self, String) {
        let mut command = Command::new(program());
        command.args(["--json", "serve", "--listen", "127.0.0.1:0"]).args(args).arg("--home").arg(home);
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        (Self(child), told["url"].as_str().unwrap().to_owned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_serve_serves_another_home_takes_over() {
    let (ours, theirs) = (home(), home());
    let (mut serving, url) = Serving::start(ours.path(), &[]);
    // What changes here after the start is what the other gets.
    let file = ours.path().join("three.geojson");
    std::fs::write(&file, r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","id":"s1","properties":{"name":"Một"},"geometry":{"type":"Point","coordinates":[106.1,11.1]}},
        {"type":"Feature","id":"s2","properties":{"name":"Hai"},"geometry":{"type":"Point","coordinates":[106.2,11.1]}},
        {"type":"Feature","id":"s3","properties":{"name":"Ba"},"geometry":{"type":"Point","coordinates":[106.3,11.1]}}]}"#).unwrap();
    json(ours.path(), &["import", file.to_str().unwrap(), "--layer", "schools"]);
    std::thread::sleep(std::time::Duration::from_secs(2));

    let profile = theirs.path().join("profile/profile.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    // Internal layers are not served without a token.
    let (before, cameras) = text.split_once("id = \"cameras\"").unwrap();
    let cameras = cameras.replacen("feature_source = \"features\"\n", "", 1);
    let text = format!("{before}id = \"cameras\"{cameras}").replacen("practice:/ogc", &url, 1);
    std::fs::write(&profile, text).unwrap();
    json(theirs.path(), &["sync", "features"]);
    let layers = json(theirs.path(), &["layers"]);
    let schools = layers.as_array().unwrap().iter().find(|layer| layer["id"] == "schools").unwrap();
    assert_eq!((schools["features"].as_u64(), schools["source"].as_str()), (Some(3), Some("features")));

    #[cfg(unix)]
    {
        let pid = serving.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(serving.0.wait().unwrap().code(), Some(0), "SIGTERM ends it in good order");
    }
}

#[test]
fn serve_says_why_it_does_not_start() {
    let home = home();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = failure(home.path(), &["serve", "--listen", &address]);
    assert_eq!(
        (refused["code"].as_str(), refused["where"]["listen"].as_str()),
        (Some("serve_listen"), Some(&*address))
    );
    let token = home.path().join("token");
    let open = ["serve", "--listen", "127.0.0.1:0", "--token-file", token.to_str().unwrap()];
    assert_eq!(failure(home.path(), &open)["code"], "serve_token_unreadable");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&token, "0123456789abcdefghij\n").unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = failure(home.path(), &open);
        assert_eq!(refused["code"], "serve_token_open");
        assert!(refused["message"].as_str().unwrap().contains("chmod 600"));
    }
    let cors = ["serve", "--listen", "127.0.0.1:0", "--cors", "*"];
    assert_eq!(failure(home.path(), &cors)["code"], "serve_origin");
}

#[test]
fn station_files_go_to_the_history_and_unknown_stations_are_kept_and_warned_of() {
    let home = home();
    let file = home.path().join("TN_ABCD_NUO001_20260325000500.txt");
    let text = "\u{feff}pH\t7,42\t-\t20260325000500\t00\r\nTSS\t24.1\tmg/L\t20260325000500\t03\r\n\
                NH4\t2.33\tmg/l\t20260325000500\t01\r\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let answer = json(home.path(), &["import", path, "--layer", "observations"]);
    assert_eq!((&answer["layer"], &answer["accepted"]), (&"observations".into(), &2.into()));
    assert!(answer["warnings"][0].as_str().unwrap().contains("ABCD_NUO001"), "{answer}");

    let station = home.path().join("station.csv");
    std::fs::write(&station, "id,code,name,lon,lat\nww-new,ABCD_NUO001,Trạm,106.2,11.2\n").unwrap();
    json(home.path(), &["import", station.to_str().unwrap(), "--layer", "wastewater_stations", "--append"]);
    let answer = json(home.path(), &["import", path, "--layer", "observations"]);
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&2.into(), &1.into()), "{answer}");
    let rejected = std::fs::read_to_string(answer["rejected_file"].as_str().unwrap()).unwrap();
    assert!(rejected.contains("status_unknown"), "{rejected}");
    let live = json(home.path(), &["live", "wastewater_stations"]);
    let states = live[0]["states"].as_array().unwrap();
    let state = states.iter().find(|state| state["id"] == "ww-new").unwrap();
    assert_eq!(state["measured_at"], "2026-03-24T17:05:00Z");
    assert_eq!(
        failure(home.path(), &["import", station.to_str().unwrap(), "--layer", "observations"])["code"],
        "not_station_file"
    );
}

#[test]
fn rejected_rows_are_seen_whole_mended_and_tried_again() {
    let home = home();
    let file = home.path().join("csyt.csv");
    // Line 3 has north and east changed over, line 4 a range of beds.
    let text = "id,name,level,beds,easting,northing\n\
                a,Trạm một,tram_y_te,5,565956.0,1251476.2\n\
                b,Trạm hai,tram_y_te,5,1251476.2,566456.0\n\
                c,Trạm ba,tram_y_te,12-15,565456.0,1251976.2\n";
    std::fs::write(&file, text).unwrap();
    let import = ["import", file.to_str().unwrap(), "--layer", "clinics", "--crs", "EPSG:9209"];
    let tried = json(home.path(), &[&import, ["--try"].as_slice()].concat());
    assert_eq!((&tried["accepted"], &tried["rejected"]), (&1.into(), &2.into()), "{tried}");
    let whole = run(home.path(), &[&import, ["--try"].as_slice()].concat());
    let whole = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert!(whole.contains("row 4:") && whole.contains("beds = 12-15") && whole.contains("name = Trạm ba"), "{whole}");
    let mended = [import.as_slice(), &["--swap", "3", "--edit", "4:beds=14"]].concat();
    let tried = json(home.path(), &[mended.as_slice(), &["--try"]].concat());
    assert_eq!((&tried["accepted"], &tried["rejected"]), (&3.into(), &0.into()), "{tried}");
    assert_eq!(json(home.path(), &mended)["accepted"], 3);
    let beds = json(home.path(), &["query", "clinics", "--where", "id = 'c'"]);
    assert_eq!(beds["features"][0]["properties"]["beds"], 14, "{beds}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the file itself is not changed");
    let wrong = run(home.path(), &[import.as_slice(), &["--edit", "beds=14"]].concat());
    assert_eq!(wrong.status.code(), Some(2));
}
