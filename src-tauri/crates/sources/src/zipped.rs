//! ZIP archives, read as streams and never unpacked to disk: what is in them, and one member at a time within limits.

use crate::file::ReadError;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// More members have only archives that want to fill the memory.
const MAX_MEMBERS: u16 = 10_000;
const MAX_DIRECTORY_BYTES: u32 = 4 << 20;
/// The end record and the longest comment after it (APPNOTE 4.3.16).
const END_BYTES: u64 = 22 + 0xffff;
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x07";
/// The longest `.shp` by its own standard.
const MAX_MEMBER_BYTES: u64 = 4 << 30;
/// What packs better than this beyond `FREE_BYTES` is no data. Deflate ends at 1032.
const MAX_RATIO: u64 = 200;
const FREE_BYTES: u64 = 64 << 20;

pub(crate) struct Zipped {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    names: Vec<String>,
}

impl Zipped {
    /// # Errors
    /// `corrupt` for what is no ZIP archive, has too many members, or one whose name leads out of its folder.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let mut file = File::open(path).map_err(|error| ReadError::from_io(path, &error))?;
        let corrupt = |reason: String| ReadError::Corrupt { path: path.to_path_buf(), reason };
        check_directory(&mut file).map_err(|error| match error {
            Refused::Io(error) => ReadError::from_io(path, &error),
            Refused::Because(reason) => corrupt(reason.into()),
        })?;
        let mut archive =
            ZipArchive::new(BufReader::new(file)).map_err(|error| corrupt(format!("the archive: {error}")))?;
        let mut names = Vec::with_capacity(archive.len());
        for at in 0..archive.len() {
            let member = archive.by_index_raw(at).map_err(|error| corrupt(format!("the archive: {error}")))?;
            let name = member.name().map_err(|error| corrupt(format!("the archive: {error}")))?;
            if leads_out(&name) {
                let reason = format!(
                    "a name in the archive, {:?}, leads out of its folder; it is not to be trusted",
                    crate::file::cut(&name)
                );
                return Err(corrupt(reason));
            }
            names.push(name.replace('\\', "/"));
        }
        Ok(Self { path: path.to_path_buf(), archive, names })
    }

    /// Of all members, folders included, in the order of the directory.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of the member of this name, whatever its letters' case.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let same = |known: &&String| known.to_lowercase() == name.to_lowercase();
        self.names.iter().position(|known| known == name).or_else(|| self.names.iter().position(|known| same(&known)))
    }

    /// A member's bytes and how many they are. Reading more than it states is an error.
    pub(crate) fn member(&mut self, at: usize) -> Result<(impl Read + '_, u64), ReadError> {
        let corrupt = |reason: String| ReadError::Corrupt { path: self.path.clone(), reason };
        let name = self.names.get(at).map(|name| crate::file::cut(name)).unwrap_or_default();
        let member = self.archive.by_index(at).map_err(|error| corrupt(format!("{name:?} in the archive: {error}")))?;
        let (packed, size) = (member.compressed_size().max(1), member.size());
        if size > MAX_MEMBER_BYTES || size > FREE_BYTES && size / packed > MAX_RATIO {
            return Err(corrupt(format!(
                "{name:?} in the archive would become {size} bytes out of {packed}; it is built to fill the machine"
            )));
        }
        Ok((Bounded { inner: member, left: size }, size))
    }

    /// A small member as a whole; `None` when it is not there.
    pub(crate) fn small(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(at) = self.find(name) else { return Ok(None) };
        let path = self.path.clone();
        let (member, _) = self.member(at)?;
        let mut bytes = Vec::new();
        member.take(limit).read_to_end(&mut bytes).map_err(|error| ReadError::from_io(&path, &error))?;
        Ok(Some(bytes))
    }
}

/// A name by which unpacking would write somewhere else.
fn leads_out(name: &str) -> bool {
    name.starts_with(['/', '\\']) || name.contains([':', '\0']) || name.split(['/', '\\']).any(|part| part == "..")
}

struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a member of the archive is longer than it says")
        })?;
        Ok(read)
    }
}

enum Refused {
    Io(io::Error),
    Because(&'static str),
}

/// The directory is taken into memory whole: its size is looked at first.
fn check_directory(file: &mut File) -> Result<(), Refused> {
    let read = |file: &mut File| -> io::Result<Vec<u8>> {
        let len = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(len.saturating_sub(END_BYTES)))?;
        let mut tail = Vec::new();
        file.take(END_BYTES).read_to_end(&mut tail)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(tail)
    };
    let tail = read(file).map_err(Refused::Io)?;
    let mut ends = memchr::memmem::find_iter(&tail, END);
    let (Some(at), None) = (ends.next(), ends.next()) else {
        return Err(Refused::Because("the archive has no clear end; get a complete copy"));
    };
    let Some(end) = tail.get(at..at + 22) else {
        return Err(Refused::Because("the archive ends too early; get a complete copy"));
    };
    let short = |from: usize| u16::from_le_bytes([end[from], end[from + 1]]);
    let long = |from: usize| u32::from_le_bytes([end[from], end[from + 1], end[from + 2], end[from + 3]]);
    if at + 22 + usize::from(short(20)) != tail.len() {
        return Err(Refused::Because("bytes stand behind the end of the archive; get a complete copy"));
    }
    if memchr::memmem::find(&tail[at.saturating_sub(20)..at], END_64).is_some() || short(10) == u16::MAX {
        return Err(Refused::Because("an archive of the 64-bit form; unpack it first"));
    }
    if short(10) > MAX_MEMBERS || long(12) > MAX_DIRECTORY_BYTES {
        return Err(Refused::Because("the archive has more members than any data set"));
    }
    Ok(())
}
