//! The parts of a workbook beside its cells: which sheets it has, its texts, which formats are dates.

use super::dates::Shown;
use super::strings::Strings;
use crate::file::ReadError;
use crate::xml::{Element, document};
use crate::zipped::Zipped;
use std::collections::HashMap;
use std::path::Path;

/// Of a part that is held as a tree.
const MAX_PART_BYTES: u64 = 8 << 20;
const MAX_SHEETS: usize = 1_000;

pub(super) struct SheetPart {
    pub(super) name: String,
    /// Of the archive.
    pub(super) member: usize,
    pub(super) hidden: bool,
}

pub(super) struct Book {
    pub(super) sheets: Vec<SheetPart>,
    pub(super) strings: Strings,
    /// By the number of a cell's style.
    pub(super) styles: Vec<Shown>,
    pub(super) epoch_1904: bool,
}

/// True for the member that makes an archive a workbook.
pub(crate) fn is_member(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("xl/workbook") && lower.ends_with(".xml")
}

/// The name of a part, relative to the archive's root.
#[derive(Clone, Copy)]
pub(super) struct Part<'a>(Option<&'a str>);

impl Part<'_> {
    pub(super) fn find(&self, archive: &Zipped) -> Option<usize> {
        archive.find(self.0?)
    }
}

impl Book {
    pub(super) fn read(path: &Path, archive: &mut Zipped) -> Result<Self, ReadError> {
        let main = archive.names().iter().find(|name| is_member(name)).cloned().unwrap_or_default();
        let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let last = main.rsplit('/').next().unwrap_or_default();
        let relations = part(path, archive, &format!("{folder}/_rels/{last}.rels"))?.unwrap_or_default();
        let mut sheets: HashMap<&str, String> = HashMap::new();
        let (mut strings, mut styles) = (None, None);
        for relation in relations.children("Relationship") {
            let kind = relation.attribute("Type").unwrap_or_default().rsplit('/').next().unwrap_or_default();
            let target = resolved(&folder, relation.attribute("Target").unwrap_or_default());
            match kind {
                "worksheet" => drop(sheets.insert(relation.attribute("Id").unwrap_or_default(), target)),
                "sharedStrings" => strings = Some(target),
                "styles" => styles = Some(target),
                _ => {}
            }
        }
        let book = part(path, archive, &main)?.unwrap_or_default();
        let yes = |text: &str| matches!(text, "1" | "true" | "on");
        let epoch_1904 =
            book.child("workbookPr").and_then(|properties| properties.attribute("date1904")).is_some_and(yes);
        let listed = book.child("sheets").map(|sheets| sheets.children("sheet").take(MAX_SHEETS));
        let sheets = listed.into_iter().flatten().filter_map(|sheet| {
            let target = sheets.get(sheet.attribute("id")?)?;
            let hidden = sheet.attribute("state").is_some_and(|state| state != "visible");
            Some(SheetPart { name: sheet.attribute("name")?.to_owned(), member: archive.find(target)?, hidden })
        });
        let sheets = sheets.collect();
        let styles = match &styles {
            Some(name) => part(path, archive, name)?.map(|root| shown(&root)).unwrap_or_default(),
            None => Vec::new(),
        };
        let strings = Strings::read(path, archive, Part(strings.as_deref()))?;
        Ok(Self { sheets, strings, styles, epoch_1904 })
    }
}

/// A small part as a tree; `None` when it is not there.
fn part(path: &Path, archive: &mut Zipped, name: &str) -> Result<Option<Element>, ReadError> {
    let Some(bytes) = archive.small(name, MAX_PART_BYTES)? else { return Ok(None) };
    let corrupt = |reason: String| ReadError::Corrupt {
        path: path.to_path_buf(),
        reason: format!("{:?} in the archive: {reason}", crate::file::cut(name)),
    };
    if bytes.len() as u64 >= MAX_PART_BYTES {
        return Err(corrupt("longer than that of any workbook".into()));
    }
    document(&bytes).map(Some).map_err(corrupt)
}

/// A target as the parts of a workbook name each other: relative to their folder, or from the root on.
fn resolved(folder: &str, target: &str) -> String {
    let whole = match target.strip_prefix('/') {
        Some(rooted) => rooted.to_owned(),
        None => format!("{folder}/{target}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What the styles of cells make of a number.
fn shown(root: &Element) -> Vec<Shown> {
    let custom: HashMap<&str, Shown> = root
        .child("numFmts")
        .into_iter()
        .flat_map(|formats| formats.children("numFmt"))
        .filter_map(|format| Some((format.attribute("numFmtId")?, Shown::of_pattern(format.attribute("formatCode")?))))
        .collect();
    let formats = root.child("cellXfs").into_iter().flat_map(|formats| formats.children("xf"));
    formats
        .map(|format| {
            let id = format.attribute("numFmtId").unwrap_or_default();
            let built_in = || id.parse().map(Shown::built_in).unwrap_or_default();
            custom.get(id).copied().unwrap_or_else(built_in)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_relative_or_rooted() {
        for (target, name) in [
            ("worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("/xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("../custom/./s.xml", "custom/s.xml"),
            ("../../../etc/passwd", "etc/passwd"),
        ] {
            assert_eq!(resolved("xl", target), name);
        }
    }
}
