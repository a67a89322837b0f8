//! Station files on real servers of FTP and SFTP: what comes is what comes from a folder, once, and nothing is lost.

#![allow(clippy::unwrap_used)]

#[path = "../../sources/tests/foreign/file_servers.rs"]
mod file_servers;
#[path = "../../sources/tests/foreign/process.rs"]
mod process;

use desk::{Desk, Kind, LayerId, Options, SecretKeeper, Timestamp, call};
use file_servers::{PASSWORD, Server, sshd, user, vsftpd};
use model::{Freshness, LinkState, Observation};
use serde_json::json;
use serde_json::value::to_raw_value;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const AIR: &str = "air_stations";
const STATION: &str = "air-trang-bang";
/// When the samples were new.
const SAMPLED: &str = "2026-03-24T17:06:00Z";

/// A folder with station files. Listings of FTP say less of old files: but for the samples it is today.
struct Share(tempfile::TempDir, Timestamp);

impl Share {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), Timestamp::from_second(Timestamp::now().as_second()).unwrap())
    }

    /// A file of the station as its logger lays it down: so old, with this value and one more row.
    fn log(&self, pm25: f64, age_secs: i64) -> String {
        let (name, rows) = self.logged(pm25, age_secs);
        self.put(&name, rows, age_secs);
        name
    }

    fn logged(&self, pm25: f64, age_secs: i64) -> (String, String) {
        let zone = jiff::tz::TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
        let at = zone.to_datetime(self.1 - jiff::SignedDuration::from_secs(age_secs));
        let time = at.strftime("%Y%m%d%H%M%S").to_string();
        (format!("KHI002/{}/LA_EFGH_KHI002_{time}.txt", at.strftime("%Y/%m/%d")), rows(&time, pm25))
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>, age_secs: i64) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let at_secs = self.1.as_second() - age_secs;
        let at = UNIX_EPOCH + Duration::from_secs(at_secs.unsigned_abs());
        fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    }
}

/// The built-in province with a source of station files, one of whose stations has its code.
struct World(tempfile::TempDir, Timestamp);

impl World {
    fn new(source: &str, now: Timestamp) -> Self {
        let world = Self(tempfile::tempdir().unwrap(), now);
        let maps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../maps/tay-ninh");
        let to = world.0.path().join("maps");
        fs::create_dir_all(to.join("data")).unwrap();
        for entry in fs::read_dir(maps.join("data")).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, to.join("data").join(from.file_name().unwrap())).unwrap();
        }
        let profile = fs::read_to_string(maps.join("profile.toml")).unwrap();
        let (head, tail) = profile.split_once("[[layers]]\nid = \"air_stations\"").unwrap();
        let tail = tail.replacen("live_source = \"stations\"", "live_source = \"files\"", 1);
        let source = format!(
            "[[sources]]\nid = \"files\"\nprotocol = \"station-folder\"\ntitle = {{ vi = \"Tệp\", en = \"Files\" }}\n\
             every = \"5m\"\n{source}\n\n"
        );
        fs::write(to.join("profile.toml"), format!("{head}{source}[[layers]]\nid = \"air_stations\"{tail}")).unwrap();
        let data = to.join("data/air_stations.geojson");
        let stations = fs::read_to_string(&data).unwrap();
        let coded = stations.replacen("\"properties\":{", "\"properties\":{\"code\":\"LA_EFGH_KHI002\",", 1);
        fs::write(&data, coded).unwrap();
        world
    }

    fn of_folder(share: &Share) -> Self {
        Self::new(&format!("url = \"file://{}\"", share.0.path().display()), share.1)
    }

    fn by_ftp(server: &Server, share: &Share) -> Self {
        let source = format!(
            "url = \"ftp://127.0.0.1:{}/\"\ncredentials = {{ kind = \"basic\", user = \"anonymous\", secret = \"tram\" }}",
            server.port
        );
        let world = Self::new(&source, share.1);
        world.keep("tram", PASSWORD);
        world
    }

    fn by_sftp(server: &Server, share: &Share, host_key: &str) -> Self {
        let source = format!(
            "url = \"sftp://127.0.0.1:{}{}\"\nhost_key = \"{host_key}\"\n\
             credentials = {{ kind = \"key\", user = \"{}\", secret = \"khoa-tram\" }}",
            server.port,
            share.0.path().display(),
            user()
        );
        let world = Self::new(&source, share.1);
        world.keep("khoa-tram", &server.private_key("user"));
        world
    }

    fn options(&self) -> Options {
        let now = self.1;
        let clock = Arc::new(move || now);
        let profile = Some(self.0.path().join("maps"));
        Options { profile, clock, ..Options::at(self.0.path().join("home")) }
    }

    fn keep(&self, name: &str, secret: &str) {
        Desk::make_home(&self.options()).unwrap();
        SecretKeeper::of(&self.options()).set(name, secret.to_owned(), true).unwrap();
    }

    fn open(&self) -> Arc<Desk> {
        let (desk, notices) = Desk::open(self.options()).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        desk
    }

    fn history(&self) -> Vec<Observation> {
        let history = store::History::open(&self.0.path().join("home/history.sqlite")).unwrap();
        history.range(&LayerId::new(AIR).unwrap(), STATION, None, Timestamp::MIN, Timestamp::MAX).unwrap()
    }

    /// The lines on rejected rows, in order.
    fn rejected(&self) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.0.path().join("home/rejected")) else { return Vec::new() };
        let files = folder.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
        let mut lines: Vec<String> =
            files.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.sort();
        lines
    }
}

fn rows(time: &str, pm25: f64) -> String {
    format!("PM2,5\t{pm25}\tug/m3\t{time}\t00\r\nCO\t3,5\tmg/m3\t{time}\t01\r\n")
}

async fn test_connection(desk: &Arc<Desk>) -> serde_json::Value {
    let args = to_raw_value(&json!({"source": "files"})).unwrap();
    serde_json::from_str(call(desk, Kind::Act, "test_source", &args).await.unwrap().get()).unwrap()
}

/// The servers that are here, with a home for each.
async fn worlds(share: &Share) -> Vec<(&'static str, World, Server)> {
    let mut all = Vec::new();
    if let Some(server) = vsftpd(share.0.path(), "").await {
        all.push(("FTP", World::by_ftp(&server, share), server));
    }
    if let Some(server) = sshd("").await {
        let host_key = server.fingerprint("host");
        all.push(("SFTP", World::by_sftp(&server, share, &host_key), server));
    }
    all
}

#[tokio::test]
async fn samples_come_by_every_way_as_from_a_folder() {
    let samples = Path::new("/work/shared/domain/tt10_samples");
    let share = Share(tempfile::tempdir().unwrap(), SAMPLED.parse().unwrap());
    if samples.is_dir() {
        for entry in fs::read_dir(samples).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            share.put(&format!("KHI002/2026/03/25/{name}"), fs::read(path).unwrap(), 600);
        }
    } else {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED in part: {} is not on this machine", samples.display());
    }
    share.put("KHI002/2026/03/24/LA_EFGH_KHI002_20260324235500.txt", rows("20260324235500", 21.5), 7_200);
    share.put("KHI002/2026/03/24/report.txt", "not a station file\n", 7_200);
    let folder = World::of_folder(&share);
    let desk = folder.open();
    let (_, taken) = desk.sync_once(Some("files")).await.unwrap();
    let waits = |desk: &Desk| -> Vec<String> {
        let found = desk.check().unwrap().into_iter().map(|finding| finding.subject);
        found.filter(|subject| subject.starts_with("station ")).collect()
    };
    assert!(taken > 1 && !folder.history().is_empty());
    for (way, world, _server) in worlds(&share).await {
        let desk_here = world.open();
        assert_eq!(desk_here.sync_once(Some("files")).await.unwrap(), (0, taken), "{way}");
        let plain = |observations: Vec<Observation>| format!("{observations:?}");
        assert_eq!(plain(world.history()), plain(folder.history()), "{way}");
        assert_eq!(world.rejected(), folder.rejected(), "{way}");
        assert_eq!(waits(&desk_here), waits(&desk), "{way}");
        assert_eq!(fs::read_dir(world.0.path().join("home/staging")).map_or(0, |all| all.count()), 0, "{way}");
    }
}

#[tokio::test]
async fn files_are_read_once_also_across_a_restart_and_again_when_they_change() {
    let share = Share::new();
    for (way, world, _server) in worlds(&share).await {
        let name = share.log(20.0, 900);
        let desk = world.open();
        assert_eq!(desk.sync_once(Some("files")).await.unwrap(), (0, 2), "{way}");
        assert_eq!(desk.sync_once(Some("files")).await.unwrap(), (0, 0), "{way}");
        let info = desk.sources_info();
        let health = info.sources.iter().find(|source| source.id == "files").unwrap();
        assert_eq!((health.link, health.freshness), (LinkState::Up, Freshness::Fresh), "{way}");
        drop(desk);
        let desk = world.open();
        assert_eq!(desk.sync_once(Some("files")).await.unwrap(), (0, 0), "{way}");
        // Rewritten, half-written, and a late one from the logger's buffer.
        share.put(&name, share.logged(22.25, 900).1, 300);
        let (half_name, half) = share.logged(30.0, 60);
        share.put(&half_name, &half[..half.len() - 8], 5);
        let (late_name, late) = share.logged(9.0, 5 * 86_400);
        share.put(&late_name, late, 10);
        assert_eq!(desk.sync_once(Some("files")).await.unwrap(), (0, 3), "{way}");
        assert_eq!(world.rejected(), [""; 0], "{way}: half a file is no bad row");
        let values: Vec<f64> = world.history().iter().map(|o| o.value).filter(|value| *value < 100.0).collect();
        assert_eq!(values, [9.0, 22.25], "{way}");
        fs::remove_dir_all(share.0.path().join("KHI002")).unwrap();
        assert_eq!(desk.sync_once(Some("files")).await.unwrap(), (0, 0), "{way}");
        assert_eq!(world.history().len(), 4, "{way}: what is gone from the server stays in the history");
    }
}

#[tokio::test]
async fn server_that_cannot_be_reached_is_a_lost_link_and_heals() {
    let share = Share::new();
    share.log(20.0, 900);
    for (way, world, server) in worlds(&share).await {
        let desk = world.open();
        assert_eq!(desk.sync_once(Some("files")).await.unwrap(), (0, 2), "{way}");
        let tested = test_connection(&desk).await;
        assert!(tested["error"].is_null() && tested["offers"] == 1, "{way}: {tested}");
        drop(server);
        assert_eq!(desk.sync_once(Some("files")).await.unwrap_err().code, "refused", "{way}");
        desk.give_up_links();
        let info = desk.sources_info();
        let health = info.sources.iter().find(|source| source.id == "files").unwrap();
        assert_eq!(health.link, LinkState::Lost, "{way}");
        assert!(test_connection(&desk).await["error"].is_string(), "{way}");
        assert_eq!(world.history().len(), 2, "{way}");
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_said_with_the_way_out() {
    let share = Share::new();
    if let Some(server) = vsftpd(share.0.path(), "").await {
        let world = World::by_ftp(&server, &share);
        world.keep("tram", "sai-mat-khau");
        let failure = world.open().sync_once(Some("files")).await.unwrap_err();
        assert!(failure.code == "login" && !failure.message.contains("sai-mat-khau"), "{}", failure.message);
    }
    if let Some(server) = sshd("").await {
        let world = World::by_sftp(&server, &share, &server.fingerprint("other"));
        let failure = world.open().sync_once(Some("files")).await.unwrap_err();
        assert_eq!(failure.code, "host_key_changed");
        assert!(failure.message.contains(&server.fingerprint("host")), "{}", failure.message);
        let tested = test_connection(&world.open()).await;
        assert!(tested["error"].as_str().unwrap().contains("SHA256:"), "{tested}");
        let world = World::by_sftp(&server, &share, &server.fingerprint("host"));
        world.keep("khoa-tram", &server.private_key("stranger"));
        assert_eq!(world.open().sync_once(Some("files")).await.unwrap_err().code, "login");
    }
}

#[test]
fn password_in_the_clear_is_said_where_others_may_listen() {
    let clear = |address: &str| {
        let source =
            format!("url = \"{address}\"\ncredentials = {{ kind = \"basic\", user = \"a\", secret = \"tram\" }}");
        let findings = World::new(&source, Timestamp::now()).open().check().unwrap();
        findings.into_iter().any(|finding| finding.subject == "source files" && !finding.ok)
    };
    assert!(clear("ftp://tnmt.example.vn/tram"));
    assert!(!clear("ftp://192.168.1.20/tram") && !clear("ftps://tnmt.example.vn/tram"));
}

#[test]
fn addresses_and_keys_are_checked_where_they_are_written() {
    let fault =
        |source: &str| Desk::open(World::new(source, Timestamp::now()).options()).map(|_| ()).unwrap_err().message;
    assert!(fault("url = \"http://h/x\"").contains("sftp://"));
    assert!(fault("url = \"sftp://h/x\"\nhost_key = \"SHA1:abc\"").contains("SHA256"));
    assert!(
        fault("url = \"ftp://h/x\"\nhost_key = \"SHA256:KwEOX1/Xr6mQMbNc5JV2oC1O3Ju8+1e8Fc6oZ1Hutws\"")
            .contains("host_key")
    );
    assert!(
        fault("url = \"ftp://h/x\"\ncredentials = { kind = \"key\", user = \"a\", secret = \"s\" }")
            .contains("sftp://")
    );
    let leaked = fault("url = \"ftp://a:geheim@h/x\"");
    assert!(leaked.contains("secret set") && !leaked.contains("geheim"), "{leaked}");
}
