//! Kills, full disks, damage, other processes.
#![allow(clippy::unwrap_used)]

mod common;

use common::{layer, points, provenance};
use model::{GeometryKind, LayerId, Observation, SensorStatus};
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::{Cache, History, StoreError};

const ROWS: u32 = 3_000;

/// Another process: this test binary again, running [`child`].
fn spawn(path: &Path, layer: &str, rounds: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("STORE_TEST_PATH", path)
        .env("STORE_TEST_LAYER", layer)
        .env("STORE_TEST_ROUNDS", rounds.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the other process of the tests below"]
fn child() {
    let Ok(path) = std::env::var("STORE_TEST_PATH") else { return };
    let schema = layer(&std::env::var("STORE_TEST_LAYER").unwrap(), GeometryKind::Point);
    let rounds: i64 = std::env::var("STORE_TEST_ROUNDS").unwrap().parse().unwrap();
    let cache = Cache::open(Path::new(&path)).unwrap();
    for round in 0..rounds {
        cache.replace(&schema, &mut points(ROWS, round), &provenance(), None).unwrap();
    }
}

/// All rows of one round, or an explanation.
fn whole(cache: &Cache, id: &LayerId) -> Result<Option<u32>, String> {
    let mut features = Vec::new();
    let visited = cache.visit(id, &mut |feature| features.push(feature)).map_err(|error| error.to_string())?;
    let Some(layer) = visited else { return Ok(None) };
    if features.len() != ROWS as usize || layer.features != u64::from(ROWS) {
        return Err(format!("{} rows", features.len()));
    }
    let round = features[0].properties["round"].clone();
    let same = features.iter().all(|feature| feature.properties["round"] == round);
    if same { Ok(Some(layer.version)) } else { Err("rows of two versions".into()) }
}

#[test]
fn kill_at_any_moment_leaves_a_whole_layer() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    let id = LayerId::new("stations").unwrap();
    let mut last = 0;
    for attempt in 0_u64..15 {
        let mut child = spawn(&path, "stations", 1_000_000);
        // From the middle of creation to the middle of a replacement.
        std::thread::sleep(Duration::from_millis(4 + attempt * 23));
        child.kill().unwrap();
        child.wait().unwrap();
        let cache = Cache::open(&path).unwrap();
        let version = whole(&cache, &id).unwrap().unwrap_or(0);
        assert!(version >= last, "version {version} after {last}");
        last = version;
    }
    assert!(last > 0, "the children got nothing done; the test proves nothing");
    assert_eq!(Cache::open(&path).unwrap().integrity().unwrap(), [""; 0]);
}

#[test]
fn readers_see_old_or_new_and_never_half() {
    let home = tempfile::tempdir().unwrap();
    let cache = Cache::open(&home.path().join("province.gpkg")).unwrap();
    let schema = layer("stations", GeometryKind::Point);
    cache.replace(&schema, &mut points(ROWS, 0), &provenance(), None).unwrap();
    let done = AtomicBool::new(false);
    let reads: u32 = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut reads, mut last) = (0, 0);
                    while !done.load(Ordering::Relaxed) {
                        let version = whole(&cache, &schema.id).unwrap().unwrap();
                        assert!(version >= last);
                        last = version;
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for round in 1..=20 {
            cache.replace(&schema, &mut points(ROWS, round), &provenance(), None).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    assert!(reads > 3, "only {reads} reads");
    assert_eq!(whole(&cache, &schema.id).unwrap(), Some(21));
}

#[test]
fn replacement_by_another_process_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    let cache = Cache::open(&path).unwrap();
    let schema = layer("stations", GeometryKind::Point);
    cache.replace(&schema, &mut points(ROWS, 5), &provenance(), None).unwrap();
    let before = cache.data_version().unwrap();
    assert_eq!(cache.data_version().unwrap(), before, "asking changes nothing");
    assert!(spawn(&path, "stations", 1).wait().unwrap().success());
    assert_ne!(cache.data_version().unwrap(), before);
    assert_eq!(whole(&cache, &schema.id).unwrap(), Some(2));
}

#[test]
fn two_processes_write_in_turns() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    // Neither file nor folder is there: both create.
    let children: Vec<Child> = (0..2).map(|_| spawn(&path, "stations", 10)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let cache = Cache::open(&path).unwrap();
    assert_eq!(whole(&cache, &LayerId::new("stations").unwrap()).unwrap(), Some(20));
}

#[test]
fn opening_does_not_wait_for_a_writer() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    let cache = Cache::open(&path).unwrap();
    let schema = layer("stations", GeometryKind::Point);
    let mut opened = None;
    let mut features = points(10, 0).inspect(|_| {
        opened.get_or_insert_with(|| {
            let started = Instant::now();
            (Cache::open(&path).unwrap().layers().unwrap().len(), started.elapsed())
        });
    });
    cache.replace(&schema, &mut features, &provenance(), None).unwrap();
    let (layers, waited) = opened.unwrap();
    assert_eq!(layers, 0);
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

fn damaged(name: &str, damage: impl FnOnce(&Path)) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    let schema = layer("stations", GeometryKind::Point);
    let cache = Cache::open(&path).unwrap();
    cache.replace(&schema, &mut points(ROWS, 0), &provenance(), None).unwrap();
    cache.checkpoint().unwrap();
    drop(cache);
    damage(&path);
    let bytes = fs::read(&path).unwrap();
    let error = Cache::open(&path).err().unwrap_or_else(|| panic!("{name}: opened"));
    assert!(matches!(error, StoreError::Corrupt { .. }), "{name}: {error}");
    let (cache, aside) = Cache::open_or_rebuild(&path).unwrap();
    let aside = aside.unwrap_or_else(|| panic!("{name}: not set aside"));
    let file = aside.file_name().unwrap().to_str().unwrap();
    assert!(file.starts_with("province.gpkg.corrupt-") && file.ends_with('Z'), "{file}");
    assert_eq!(fs::read(&aside).unwrap(), bytes, "{name}: set aside as it was");
    assert_eq!(cache.layers().unwrap(), []);
    cache.replace(&schema, &mut points(ROWS, 0), &provenance(), None).unwrap();
    drop(cache);
    assert!(Cache::open_or_rebuild(&path).unwrap().1.is_none(), "{name}: the new one is sound");
}

#[test]
fn damaged_cache_is_set_aside_and_made_anew() {
    damaged("header overwritten", |path| write_at(path, 0, &[0; 100]));
    damaged("text", |path| fs::write(path, "this is not a database, but it is long enough to look at").unwrap());
    damaged("page overwritten", |path| {
        const PAGE: u64 = 32 << 10;
        let middle = fs::metadata(path).unwrap().len() / 2 / PAGE * PAGE;
        write_at(path, middle, &[0xff; PAGE as usize]);
    });
    damaged("cut short", |path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    });
    damaged("another program's database", |path| {
        fs::remove_file(path).unwrap();
        drop(History::open(path).unwrap());
        let _ = fs::remove_file(path.with_extension("gpkg-wal"));
    });
}

fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn random_damage_never_panics() {
    let home = tempfile::tempdir().unwrap();
    let good = home.path().join("good.gpkg");
    let schema = layer("stations", GeometryKind::Point);
    let cache = Cache::open(&good).unwrap();
    cache.replace(&schema, &mut points(300, 0), &provenance(), None).unwrap();
    drop(cache);
    let bytes = fs::read(&good).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    for round in 0..120 {
        let path = home.path().join(format!("{round}.gpkg"));
        let mut copy = bytes.clone();
        for _ in 0..20 {
            copy[random(bytes.len())] ^= 1 << random(8);
        }
        fs::write(&path, copy).unwrap();
        let Ok((cache, _)) = Cache::open_or_rebuild(&path) else { continue };
        let _ = cache.layers();
        let _ = cache.load(&schema.id);
        let _ = cache.integrity();
        let _ = cache.replace(&schema, &mut points(10, 1), &provenance(), None);
    }
}

#[test]
fn empty_file_is_a_new_cache() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    fs::write(&path, b"").unwrap();
    let (cache, aside) = Cache::open_or_rebuild(&path).unwrap();
    assert_eq!((cache.layers().unwrap().len(), aside), (0, None));
}

#[test]
fn later_format_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("province.gpkg");
    drop(Cache::open(&path).unwrap());
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("UPDATE tc_meta SET format = 99").unwrap();
    drop(file);
    let error = Cache::open_or_rebuild(&path).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn damaged_bookkeeping_is_damage_and_not_a_panic() {
    for sql in [
        "UPDATE tc_layers SET fetched_at = 'yesterday'",
        "UPDATE tc_layers SET kind = 'spaceport'",
        "UPDATE tc_layers SET schema = '{'",
        "UPDATE tc_layers SET version = -1",
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("province.gpkg");
        let cache = Cache::open(&path).unwrap();
        cache.replace(&layer("stations", GeometryKind::Point), &mut points(3, 0), &provenance(), None).unwrap();
        drop(cache);
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let (cache, aside) = Cache::open_or_rebuild(&path).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(aside.is_some() && cache.layers().unwrap().is_empty(), "{sql}");
    }
}

/// A small disk of its own; `None` (and a message) without the right to mount one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        common::skipped("mounting a tmpfs needs root; the full-disk and read-only cases were not tested here");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn full_disk_changes_nothing_and_is_survived() {
    let Some(disk) = Disk::new("size=8m") else { return };
    let path = disk.path().join("province.gpkg");
    let cache = Cache::open(&path).unwrap();
    let schema = layer("stations", GeometryKind::Point);
    cache.replace(&schema, &mut points(ROWS, 1), &provenance(), None).unwrap();
    for round in 0..3 {
        let error = cache.replace(&schema, &mut points(400_000, 2), &provenance(), None).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "round {round}: {error}");
        assert_eq!(whole(&cache, &schema.id).unwrap(), Some(1), "the old layer is whole");
    }
    // The failed attempts' space is free again: the same layer fits, and others can write.
    store::write_atomic(&disk.path().join("settings.json"), b"{}").unwrap();
    cache.replace(&schema, &mut points(ROWS, 3), &provenance(), None).unwrap();
    drop(cache);

    // Not one byte is left: opening and reading still work or say why; writing is an error; nothing is lost.
    let history = History::open(&disk.path().join("history.sqlite")).unwrap();
    let filler = disk.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let settings = store::write_atomic(&disk.path().join("settings.json"), &[b' '; 8192]).unwrap_err();
    assert!(matches!(settings, StoreError::Full { .. }), "{settings}");
    assert_eq!(fs::read(disk.path().join("settings.json")).unwrap(), b"{}");
    let export = store::export_gpkg(&disk.path().join("out.gpkg"), &schema, &mut points(10, 1), &provenance());
    assert!(matches!(export, Err(StoreError::Full { .. })), "{export:?}");
    assert!(!disk.path().join("out.gpkg").exists());
    match Cache::open_or_rebuild(&path) {
        Ok((cache, aside)) => {
            assert_eq!(aside, None, "a full disk is not damage");
            assert!(cache.replace(&schema, &mut points(ROWS, 4), &provenance(), None).is_err());
        }
        Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error}"),
    }
    let observations = observations();
    let recorded = (0..200).find_map(|_| history.record(&observations).err());
    assert!(recorded.is_none_or(|error| matches!(error, StoreError::Full { .. })));
    let new = disk.path().join("new").join("province.gpkg");
    let error = Cache::open_or_rebuild(&new).err().unwrap();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    drop(file);
    fs::remove_file(&filler).unwrap();
    assert_eq!(Cache::open_or_rebuild(&new).unwrap().1, None, "what could not be made is made now");
    history.record(&observations).unwrap();
    assert_eq!(history.latest(None).unwrap().len(), observations.len());
    let cache = Cache::open(&path).unwrap();
    assert_eq!(whole(&cache, &schema.id).unwrap(), Some(2));
    assert_eq!(cache.integrity().unwrap(), [""; 0]);
}

fn observations() -> Vec<Observation> {
    (0..500)
        .map(|i| Observation {
            layer: LayerId::new("air_stations").unwrap(),
            feature: format!("a station with a name long enough to need room {i}"),
            parameter: "pm25".into(),
            measured_at: "2026-11-23T08:00:00Z".parse().unwrap(),
            value: f64::from(i),
            status: SensorStatus::Measuring,
        })
        .collect()
}

#[test]
fn unwritable_home_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, b"x").unwrap();
    let mut cases: Vec<(&str, PathBuf)> = vec![
        ("below a file", file.join("province.gpkg")),
        ("a folder of that name", home.path().to_owned()),
        ("no folder can be made", PathBuf::from("/proc/toancanh/province.gpkg")),
    ];
    let disk = Disk::new("size=1m");
    if let Some(disk) = &disk {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status().unwrap();
        assert!(remounted.success());
        cases.push(("read-only disk", disk.path().join("home").join("province.gpkg")));
        cases.push(("read-only folder", disk.path().join("province.gpkg")));
    }
    for (name, path) in cases {
        for error in [Cache::open_or_rebuild(&path).err(), History::open_or_rebuild(&path).err()] {
            let error = error.unwrap_or_else(|| panic!("{name}: opened"));
            assert!(matches!(error, StoreError::NotWritable { .. }), "{name}: {error:?}");
        }
        let written = store::write_atomic(&path, b"x");
        assert!(written.is_err(), "{name}");
    }
}

#[test]
fn cache_on_a_disk_that_became_read_only_is_an_error_and_not_damage() {
    let Some(disk) = Disk::new("size=8m") else { return };
    let path = disk.path().join("province.gpkg");
    let schema = layer("stations", GeometryKind::Point);
    drop({
        let cache = Cache::open(&path).unwrap();
        cache.replace(&schema, &mut points(ROWS, 1), &provenance(), None).unwrap();
        cache
    });
    let remount = |how: &str| Command::new("mount").args(["-o", how]).arg(disk.path()).status().unwrap().success();
    assert!(remount("remount,ro"));
    match Cache::open_or_rebuild(&path) {
        Ok((cache, aside)) => {
            assert_eq!(aside, None);
            assert!(cache.replace(&schema, &mut points(1, 1), &provenance(), None).is_err());
        }
        Err(error) => assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}"),
    }
    assert!(remount("remount,rw"));
    assert_eq!(whole(&Cache::open(&path).unwrap(), &schema.id).unwrap(), Some(1));
}

#[test]
fn damaged_history_is_set_aside_too() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("history.sqlite");
    fs::write(&path, vec![b'x'; 10_000]).unwrap();
    let (history, aside) = History::open_or_rebuild(&path).unwrap();
    let mut kept = Vec::new();
    fs::File::open(aside.unwrap()).unwrap().read_to_end(&mut kept).unwrap();
    assert_eq!(kept.len(), 10_000);
    assert!(history.latest(None).unwrap().is_empty());
}
