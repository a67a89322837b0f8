//! The cache of tiles: what is kept, what gives way, and what survives.
#![allow(clippy::unwrap_used)]

mod common;

use model::{TileForm, Timestamp};
use std::path::Path;
use std::process::Command;
use store::{NewTile, StoreError, TileCache, TilePlace};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + secs).unwrap()
}

fn place(x: u32) -> TilePlace {
    TilePlace { z: 14, x, y: 7 }
}

fn tile(bytes: &[u8], fetched: i64) -> NewTile<'_> {
    NewTile {
        content: Some((TileForm::Png, bytes)),
        validator: Some("\"a\""),
        fetched_at: at(fetched),
        fresh_until: at(fetched + 60),
        kept: false,
    }
}

fn open(folder: &Path) -> TileCache {
    TileCache::open(&folder.join("tiles.sqlite")).unwrap()
}

#[test]
fn tiles_are_kept_with_their_times_and_equal_ones_once() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let sea = vec![7; 10_000];
    for x in 0..50 {
        assert!(cache.put("a", place(x), &tile(&sea, i64::from(x))).unwrap());
    }
    cache.put("b", place(0), &NewTile { content: None, kept: true, ..tile(&[], 100) }).unwrap();
    assert!(cache.held_bytes() < 20_000, "{}", cache.held_bytes());
    let got = cache.get("a", place(3), at(4)).unwrap().unwrap();
    assert_eq!(got.content, Some((TileForm::Png, sea.clone())));
    assert_eq!((got.validator.as_deref(), got.fetched_at, got.fresh_until), (Some("\"a\""), at(3), at(63)));
    assert_eq!(cache.get("a", place(99), at(4)).unwrap(), None);
    assert_eq!(cache.get("b", place(0), at(4)).unwrap().unwrap().content, None, "known to be empty");
    let figures = cache.figures().unwrap();
    assert_eq!((figures[0].set.as_str(), figures[0].tiles, figures[0].kept, figures[0].bytes), ("a", 50, 0, 500_000));
    assert_eq!((figures[0].oldest, figures[0].newest), (Some(at(0)), Some(at(49))));
    assert_eq!((figures[1].tiles, figures[1].kept), (1, 1));
    // Another version in its place; the old bytes are still those of the others.
    cache.put("a", place(3), &tile(&[9; 20], 200)).unwrap();
    assert_eq!(cache.get("a", place(3), at(201)).unwrap().unwrap().content, Some((TileForm::Png, vec![9; 20])));
    assert_eq!(cache.peek("a", place(4)).unwrap(), Some((at(64), false)));
    assert_eq!(cache.clear("a").unwrap(), 50);
    assert_eq!(cache.figures().unwrap().len(), 1);
    assert!(cache.held_bytes() < 1_000, "{}", cache.held_bytes());
    drop(cache);
    assert_eq!(open(folder.path()).integrity().unwrap(), Vec::<String>::new());
}

#[test]
fn what_was_used_longest_ago_goes_first_and_what_is_kept_stays() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    cache.set_budget(3_000_000);
    let content = |x: u32| x.to_le_bytes().repeat(2_500);
    for x in 0..100 {
        let bytes = content(x);
        assert!(cache.put("a", place(x), &NewTile { kept: x < 10, ..tile(&bytes, i64::from(x)) }).unwrap());
    }
    // Long after, one of the first is looked at.
    cache.get("a", place(20), at(10_000)).unwrap().unwrap();
    for x in 100..500 {
        let bytes = content(x);
        assert!(cache.put("a", place(x), &tile(&bytes, 5_000 + i64::from(x))).unwrap());
        assert!(cache.held_bytes() <= 3_000_000);
    }
    for x in (0..10).chain([20, 499]) {
        assert!(cache.peek("a", place(x)).unwrap().is_some(), "{x}");
    }
    assert_eq!(cache.peek("a", place(30)).unwrap(), None);
    // Nothing but kept tiles: another one finds no room, and none of them goes.
    cache.set_budget(50_000);
    let bytes = content(900);
    assert!(!cache.put("a", place(900), &NewTile { kept: true, ..tile(&bytes, 9_000) }).unwrap());
    let figures = cache.figures().unwrap();
    assert_eq!((figures[0].tiles, figures[0].kept), (10, 10));
}

#[test]
fn a_kept_tile_stays_kept_when_it_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    cache.put("a", place(1), &NewTile { kept: true, ..tile(b"1", 0) }).unwrap();
    cache.put("a", place(1), &tile(b"2", 10)).unwrap();
    assert!(cache.get("a", place(1), at(11)).unwrap().unwrap().kept);
    cache.put("a", place(2), &tile(b"1", 0)).unwrap();
    cache.keep("a", place(2)).unwrap();
    assert_eq!(cache.peek("a", place(2)).unwrap(), Some((at(60), true)));
}

#[test]
fn a_damaged_file_is_set_aside_and_a_newer_one_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiles.sqlite");
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
    let (cache, aside) = TileCache::open_or_rebuild(&path).unwrap();
    assert!(aside.unwrap().exists());
    assert!(cache.put("a", place(1), &tile(b"1", 0)).unwrap());
    drop(cache);
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute("UPDATE meta SET format = 99", []).unwrap();
    drop(foreign);
    let error = TileCache::open_or_rebuild(&path).unwrap_err();
    assert_eq!(error.code(), "newer_format");
}

/// A small disk of its own; `None` (and a message) without the right to mount one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path()).output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        common::skipped("mounting a tmpfs needs root; the full disk was not tested here");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_an_error_that_changes_nothing() {
    let Some(disk) = Disk::new() else { return };
    let cache = open(disk.0.path());
    cache.put("a", place(1), &tile(b"1", 0)).unwrap();
    let large: Vec<u8> = (0..4_000_000_u32).map(|i| (i % 251) as u8).collect();
    let error = cache.put("a", place(2), &tile(&large, 0)).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(cache.peek("a", place(2)).unwrap(), None);
    assert!(cache.get("a", place(1), at(1)).unwrap().is_some());
    assert!(cache.put("a", place(3), &tile(b"3", 0)).unwrap(), "what is small still finds room");
}
