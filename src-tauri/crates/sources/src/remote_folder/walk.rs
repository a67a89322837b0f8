//! Going through a remote folder without listing years of five-minute files each time.

use super::{Entry, EntryKind, RemoteFile, RemoteFolder};
use crate::net::FetchError;
use jiff::civil::Date;

/// `<TenTram>/yyyy/MM/dd` and some folders above it.
const MAX_DEPTH: usize = 12;
/// Files and folders of one walk: a year of five-minute files has 105,000 a station.
const MAX_ENTRIES: usize = 500_000;
const NAME_BYTES: usize = 255;

/// Which folders are looked into.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Folders of days before this (`yyyy/MM/dd`) are left out. Folders that are no date are always looked into.
    pub since: Option<Date>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// The `.txt` files, those written last at the end.
    pub files: Vec<RemoteFile>,
    /// The first folder that could not be read.
    pub trouble: Option<FetchError>,
}

/// Goes through the folder and all below it.
///
/// # Errors
/// When the folder itself cannot be read or the connection ends; [`FetchError::TooLarge`] for more than 500,000 entries.
pub async fn walk(folder: &mut dyn RemoteFolder, look: Look) -> Result<Walked, FetchError> {
    let mut walked = Walked::default();
    let mut waiting = vec![(String::new(), Dated::No, 0_usize)];
    let mut seen = 0;
    while let Some((path, dated, depth)) = waiting.pop() {
        let entries = match folder.list(&path).await {
            Ok(entries) => entries,
            Err(error @ FetchError::NoAccess { .. }) if depth > 0 => {
                walked.trouble.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        seen += entries.len();
        if seen > MAX_ENTRIES {
            return Err(FetchError::TooMany { folder: path, limit: MAX_ENTRIES as u64 });
        }
        for entry in entries.into_iter().filter(|entry| !matches!(entry.name.as_str(), "" | "." | "..")) {
            let usable = is_name(&entry.name);
            let Entry { name, kind, size_bytes, modified_at, precision } = entry;
            let is_text = name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("txt"));
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            match kind {
                EntryKind::File if is_text => {
                    // Shown to people: its line stays one.
                    let name = if usable { below } else { below.escape_debug().to_string() };
                    walked.files.push(RemoteFile { name, size_bytes, modified_at, precision, usable });
                }
                EntryKind::Folder if usable && depth < MAX_DEPTH => {
                    let dated = dated.then(&name);
                    if !look.since.is_some_and(|since| dated.ends_before(since)) {
                        waiting.push((below, dated, depth + 1));
                    }
                }
                _ => {}
            }
        }
    }
    walked.files.sort_by(|a, b| (a.modified_at, &a.name).cmp(&(b.modified_at, &b.name)));
    Ok(walked)
}

/// Whether a server's word can be a file's name here, and nothing but that.
fn is_name(name: &str) -> bool {
    let out_of_place = |c: char| c.is_control() || matches!(c, '/' | '\\' | char::REPLACEMENT_CHARACTER);
    !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES && !name.chars().any(out_of_place)
}

/// What the folders so far say of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dated {
    No,
    Year(i16),
    Month(i16, i8),
    Day(Date),
}

impl Dated {
    fn then(self, name: &str) -> Self {
        let digits = |count: usize| name.len() == count && name.bytes().all(|b| b.is_ascii_digit());
        let number = |count: usize| if digits(count) { name.parse::<i16>().ok() } else { None };
        let small = |most: i16| number(2).filter(|n| (1..=most).contains(n)).and_then(|n| i8::try_from(n).ok());
        match self {
            Self::Year(year) => small(12).map_or(Self::No, |month| Self::Month(year, month)),
            Self::Month(year, month) => {
                small(31).and_then(|day| Date::new(year, month, day).ok()).map_or(Self::No, Self::Day)
            }
            // A folder of hours is of its day.
            Self::Day(day) => Self::Day(day),
            Self::No => number(4).filter(|year| (1990..2200).contains(year)).map_or(Self::No, Self::Year),
        }
    }

    fn ends_before(self, since: Date) -> bool {
        match self {
            Self::No => false,
            Self::Year(year) => year < since.year(),
            Self::Month(year, month) => (year, month) < (since.year(), since.month()),
            Self::Day(day) => day < since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Doing;
    use super::super::Precision;
    use super::*;
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    /// Folders by path, of names; those that end in `/` are folders.
    struct Told {
        folders: BTreeMap<&'static str, Vec<String>>,
        asked: Vec<String>,
    }

    impl RemoteFolder for Told {
        fn list<'a>(&'a mut self, folder: &'a str) -> Doing<'a, Vec<Entry>> {
            self.asked.push(folder.to_owned());
            let Some(names) = self.folders.get(folder) else {
                let (host, user) = ("h".to_owned(), "u".to_owned());
                let refused = FetchError::NoAccess { host, user, collection: folder.into(), reason: "550".into() };
                return Box::pin(async { Err(refused) });
            };
            let entry = |name: &String| Entry {
                name: name.trim_end_matches('/').to_owned(),
                kind: if name.ends_with('/') { EntryKind::Folder } else { EntryKind::File },
                size_bytes: 1,
                modified_at: Timestamp::UNIX_EPOCH,
                precision: Precision::Second,
            };
            let entries = names.iter().map(entry).collect();
            Box::pin(async { Ok(entries) })
        }

        fn fetch<'a>(&'a mut self, _: &'a RemoteFile) -> Doing<'a, Vec<u8>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }

    fn told(folders: &[(&'static str, &[&str])]) -> Told {
        let owned = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Told { folders: folders.iter().map(|(path, names)| (*path, owned(names))).collect(), asked: Vec::new() }
    }

    #[tokio::test]
    async fn folders_of_old_days_are_left_out_and_everything_else_is_looked_into() {
        let mut folder = told(&[
            ("", &["KHI002/", "loose.TXT", "notes.md"]),
            ("KHI002", &["2025/", "2026/", "resent/"]),
            ("KHI002/2026", &["02/", "03/", "13/"]),
            ("KHI002/2026/03", &["23/", "24/", "25/"]),
            ("KHI002/2026/03/24", &["a.txt"]),
            ("KHI002/2026/03/25", &["08/"]),
            ("KHI002/2026/03/25/08", &["b.txt"]),
            ("KHI002/2026/13", &[]),
            ("KHI002/resent", &["c.txt"]),
        ]);
        let since = Some(jiff::civil::date(2026, 3, 24));
        let walked = walk(&mut folder, Look { since }).await.unwrap();
        let names: Vec<&str> = walked.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            ["KHI002/2026/03/24/a.txt", "KHI002/2026/03/25/08/b.txt", "KHI002/resent/c.txt", "loose.TXT"]
        );
        assert_eq!(walked.trouble, None, "old folders were not asked for: {:?}", folder.asked);
        // All of it: what cannot be read is said, and the rest goes on.
        let walked = walk(&mut folder, Look::default()).await.unwrap();
        assert_eq!(walked.files.len(), 4);
        assert_eq!(walked.trouble.unwrap().code(), "no_access");
    }

    #[tokio::test]
    async fn hostile_names_are_told_and_lead_nowhere() {
        let names =
            ["../", "..", ".", "../../etc/passwd.txt", "a\r\nDELE x.txt", "caf\u{fffd}.txt", "..\\b.txt", "ok.txt"];
        let mut folder = told(&[("", &names)]);
        let walked = walk(&mut folder, Look::default()).await.unwrap();
        let usable: Vec<(&str, bool)> = walked.files.iter().map(|file| (file.name.as_str(), file.usable)).collect();
        assert_eq!(usable.iter().filter(|(_, usable)| *usable).collect::<Vec<_>>(), [&("ok.txt", true)]);
        assert_eq!(usable.len(), 5, "{usable:?}");
        assert!(usable.iter().all(|(name, _)| !name.contains('\n')), "{usable:?}");
        assert_eq!(folder.asked, [""], "no folder outside was asked for");
    }

    #[tokio::test]
    async fn a_folder_that_holds_itself_ends() {
        struct Endless;
        impl RemoteFolder for Endless {
            fn list<'a>(&'a mut self, _: &'a str) -> Doing<'a, Vec<Entry>> {
                let (kind, precision) = (EntryKind::Folder, Precision::Second);
                let name = "again".to_owned();
                let entry = Entry { name, kind, size_bytes: 0, modified_at: Timestamp::UNIX_EPOCH, precision };
                Box::pin(async { Ok(vec![entry]) })
            }
            fn fetch<'a>(&'a mut self, _: &'a RemoteFile) -> Doing<'a, Vec<u8>> {
                Box::pin(async { Ok(Vec::new()) })
            }
        }
        assert!(walk(&mut Endless, Look::default()).await.unwrap().files.is_empty());
    }
}
