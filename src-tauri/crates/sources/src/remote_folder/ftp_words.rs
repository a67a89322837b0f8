//! Listings of FTP servers: facts for machines (RFC 3659, `MLSD`), or a table for people (`LIST`), which no standard
//! describes.

use super::{Entry, EntryKind, Precision};
use jiff::Timestamp;
use suppaftp::list::{File, ListParser};

/// The form of a listing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Machine,
    People,
}

/// What a listing tells. Lines that are no entries are passed over, as are links; `None` when there are lines and no one
/// can be read.
pub(super) fn entries(listing: &[u8], shape: Shape) -> Option<Vec<Entry>> {
    let (mut entries, mut unread) = (Vec::new(), 0);
    for line in listing.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        if line.trim().is_empty() {
            continue;
        }
        match shape {
            Shape::Machine => match machine(&line) {
                Ok(entry) => entries.extend(entry),
                Err(()) => unread += 1,
            },
            Shape::People => match people(&line) {
                Some(entry) => entries.push(entry),
                None if is_heading(&line) => {}
                None => unread += 1,
            },
        }
    }
    (unread == 0 || !entries.is_empty()).then_some(entries)
}

/// `Ok(None)` for the folder itself, the one above it and what is neither file nor folder.
fn machine(line: &str) -> Result<Option<Entry>, ()> {
    let (facts, _) = line.split_once(' ').ok_or(())?;
    let kind = facts.split(';').filter_map(|fact| fact.split_once('='));
    let kind = kind.clone().find(|(name, _)| name.eq_ignore_ascii_case("type")).map(|(_, kind)| kind);
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("file" | "dir") => {}
        Some(_) => return Ok(None),
        None => return Err(()),
    }
    ListParser::parse_mlsd(line).map(|file| Some(entry(&file, Precision::Second))).map_err(drop)
}

fn people(line: &str) -> Option<Entry> {
    if let Ok(file) = ListParser::parse_posix(line) {
        // The year in place of the time: `Nov 05  2018`.
        let has_time = line.split_whitespace().nth(7).is_some_and(|word| word.contains(':'));
        return Some(entry(&file, if has_time { Precision::Minute } else { Precision::Day }));
    }
    ListParser::parse_dos(line).ok().map(|file| entry(&file, Precision::Minute))
}

/// `total 12` stands above some listings.
fn is_heading(line: &str) -> bool {
    line.strip_prefix("total ").is_some_and(|count| count.trim().bytes().all(|b| b.is_ascii_digit()))
}

fn entry(file: &File, precision: Precision) -> Entry {
    let modified = Timestamp::try_from(file.modified()).unwrap_or_default();
    Entry {
        name: file.name().to_owned(),
        kind: match (file.is_file(), file.is_directory()) {
            (true, _) => EntryKind::File,
            (_, true) => EntryKind::Folder,
            _ => EntryKind::Other,
        },
        size_bytes: file.size() as u64,
        // As the history remembers it.
        modified_at: Timestamp::from_microsecond(modified.as_microsecond()).unwrap_or_default(),
        precision,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_for_machines_are_read_without_the_folder_itself() {
        let listing = b"type=cdir;modify=20260325000000; .\r\ntype=pdir;modify=20260325000000; ..\r\n\
            Type=file;Size=57;Modify=20260325000512.123;UNIX.mode=0644; LA_EFGH KHI002; x.txt\r\n\
            type=dir;modify=20260324000000; 2026\r\ntype=OS.unix=slink:/etc;modify=20260324000000; link\r\n";
        let entries = entries(listing, Shape::Machine).unwrap();
        let names: Vec<(&str, EntryKind)> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
        assert_eq!(names, [("LA_EFGH KHI002; x.txt", EntryKind::File), ("2026", EntryKind::Folder)]);
        let file = &entries[0];
        assert_eq!((file.size_bytes, file.modified_at.to_string()), (57, "2026-03-25T00:05:12.123Z".to_owned()));
        assert_eq!(super::entries(b"<html>no</html>\n", Shape::Machine), None);
        assert_eq!(super::entries(b"", Shape::Machine), Some(Vec::new()));
    }

    #[test]
    fn listings_for_people_are_read_as_far_as_they_say() {
        let listing = b"total 12\r\ndrwxr-xr-x    2 1000     1000         4096 Mar 25  2025 2025\r\n\
            -rw-r--r--    1 ftp      ftp            57 Mar 25  2025 LA_EFGH_KHI002_20250325000500.txt\r\n\
            lrwxrwxrwx    1 0        0               4 Mar 25  2025 link -> /etc\r\nwhat is this\r\n";
        let found = entries(listing, Shape::People).unwrap();
        let kinds: Vec<EntryKind> = found.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [EntryKind::Folder, EntryKind::File, EntryKind::Other]);
        assert_eq!((found[1].size_bytes, found[1].precision), (57, Precision::Day));
        assert_eq!(found[1].modified_at.to_string(), "2025-03-25T00:00:00Z");
        let dos =
            b"10-19-20  03:19PM       <DIR>          pub\r\n04-08-14  03:09PM                  403 readme.txt\r\n";
        let found = entries(dos, Shape::People).unwrap();
        assert_eq!(
            (found[0].kind, found[1].size_bytes, found[1].precision),
            (EntryKind::Folder, 403, Precision::Minute)
        );
        assert_eq!(entries(b"what is this\n", Shape::People), None);
        // Bytes that are no UTF-8 stay visible as such.
        let found = entries(b"-rw-r--r-- 1 a a 5 Mar 25 2025 caf\xe9.txt\r\n", Shape::People).unwrap();
        assert_eq!(found[0].name, "caf\u{fffd}.txt");
    }
}
