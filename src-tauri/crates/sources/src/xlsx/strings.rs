//! The texts of a workbook, which its cells name by number: one behind the other in one piece.

use super::workbook::Part;
use crate::encoding::{TextEncoding, Utf8};
use crate::file::ReadError;
use crate::xml::{Limited, TooLong, resolve};
use crate::zipped::Zipped;
use quick_xml::events::Event;
use std::borrow::Cow;
use std::cell::Cell;
use std::io::BufReader;
use std::path::Path;
use std::rc::Rc;

/// Of text in all.
const MAX_BYTES: usize = 96 << 20;
const MAX_COUNT: usize = 4_000_000;
/// Of one event of XML.
const MAX_PIECE: usize = 4 << 20;

/// All texts, in order.
#[derive(Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)? as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    pub(super) fn read(path: &Path, archive: &mut Zipped, part: Part<'_>) -> Result<Self, ReadError> {
        let mut all = Self::default();
        let Some(at) = part.find(archive) else { return Ok(all) };
        let corrupt = |reason: String| ReadError::Corrupt { path: path.to_path_buf(), reason };
        let too_much = || corrupt("its texts are more than any workbook's; save the sheet as CSV".into());
        let (member, _) = archive.member(at)?;
        let since = Rc::new(Cell::new(0));
        let limited = Limited::new(Utf8::new(member, TextEncoding::UTF_8), since.clone(), MAX_PIECE);
        let mut xml = quick_xml::Reader::from_reader(BufReader::with_capacity(64 << 10, limited));
        let mut buffer = Vec::new();
        let mut inside = Inside::default();
        let mut open = 0_usize;
        loop {
            buffer.clear();
            since.set(0);
            match xml.read_event_into(&mut buffer).map_err(|error| wrong(path, &error, 0))? {
                Event::Start(element) => {
                    open += 1;
                    inside.start(element.local_name().as_ref());
                }
                Event::Empty(element) if element.local_name().as_ref() == "si" => all.ends.push(all.end()),
                Event::End(element) => {
                    open = open.saturating_sub(1);
                    if inside.end(element.local_name().as_ref()) == Ended::Text {
                        all.ends.push(all.end());
                    }
                }
                Event::Text(text) if inside.wanted() => all.text.push_str(&text.xml10_content()),
                Event::CData(text) if inside.wanted() => all.text.push_str(&text.xml10_content()),
                Event::GeneralRef(entity) if inside.wanted() => {
                    all.text.push_str(&resolve(&entity).map_err(corrupt)?);
                }
                Event::DocType(_) => return Err(corrupt(NO_DOCTYPE.into())),
                Event::Eof if open == 0 => return Ok(all),
                Event::Eof => return Err(ReadError::Truncated { path: path.to_path_buf(), last_good_row: 0 }),
                _ => {}
            }
            if all.text.len() > MAX_BYTES || all.ends.len() > MAX_COUNT {
                return Err(too_much());
            }
        }
    }

    /// `MAX_BYTES` keeps it within 32 bits.
    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }
}

pub(super) const NO_DOCTYPE: &str = "it brings a document type of its own, which no workbook does";

/// Whether text under way belongs to the string: that of its `t`, but not of the phonetic reading beside it.
#[derive(Default)]
pub(super) struct Inside {
    text: bool,
    phonetic: bool,
}

#[derive(PartialEq)]
pub(super) enum Ended {
    /// `si` or `is`.
    Text,
    Other,
}

impl Inside {
    pub(super) fn start(&mut self, name: &str) {
        match name {
            "t" => self.text = true,
            "rPh" => self.phonetic = true,
            _ => {}
        }
    }

    pub(super) fn end(&mut self, name: &str) -> Ended {
        match name {
            "t" => self.text = false,
            "rPh" => self.phonetic = false,
            "si" | "is" => {
                *self = Self::default();
                return Ended::Text;
            }
            _ => {}
        }
        Ended::Other
    }

    pub(super) fn wanted(&self) -> bool {
        self.text && !self.phonetic
    }
}

/// The letters that XML cannot hold stand in a sheet as `_xHHHH_` (ECMA-376 part 1, 22.9.2.19).
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("_x") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let letter = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        match letter {
            Some(letter) => {
                out.push(letter);
                rest = &rest[at + 7..];
            }
            None => {
                out.push_str("_x");
                rest = &rest[at + 2..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What the XML of a part did not tell.
pub(super) fn wrong(path: &Path, error: &quick_xml::Error, last_good_row: u64) -> ReadError {
    let path = path.to_path_buf();
    match error {
        quick_xml::Error::Io(io) if io.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => ReadError::Corrupt {
            path,
            reason: format!("what stands after row {last_good_row} is longer than any cell"),
        },
        quick_xml::Error::Io(io)
            if matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput) =>
        {
            ReadError::Corrupt { path, reason: format!("the archive: {io}") }
        }
        quick_xml::Error::Io(io) => ReadError::from_io(&path, io),
        quick_xml::Error::Syntax(_) => ReadError::Truncated { path, last_good_row },
        other => ReadError::Corrupt { path, reason: format!("its XML after row {last_good_row}: {other}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_xml_cannot_hold_come_back() {
        assert_eq!(unescaped("a_x000D_b_x1EC7__x005F_x000D_"), "a\rbệ_x000D_");
        assert_eq!(unescaped("_x00_xD800_x"), "_x00_xD800_x");
        assert_eq!(unescaped("so_xã_x1"), "so_xã_x1");
    }
}
