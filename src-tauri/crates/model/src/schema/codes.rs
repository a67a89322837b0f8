//! Lists of codes: what may stand in a field, and which older codes and spellings mean the same.

use crate::{Title, Value, fold};
use std::collections::HashMap;

/// One value of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    pub value: Value,
    pub title: Title,
    /// Other spellings of it.
    pub aliases: Vec<String>,
    /// Codes that were in force before and are part of it now.
    pub replaces: Vec<String>,
}

/// A list of codes with its index.
#[derive(Clone, Debug)]
pub struct CodeList {
    codes: Vec<Code>,
    exact: HashMap<String, usize>,
    /// By search key: titles and spellings; former codes.
    names: HashMap<String, Vec<usize>>,
    former: HashMap<String, Vec<usize>>,
    /// Several codes may be joined by `+`.
    combined: bool,
}

/// What a list says of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lookup<'a> {
    /// One of the codes, as it stands.
    Known,
    /// Another spelling of this code.
    Named(&'a Code),
    /// A former code, now this one.
    Former(&'a Code),
    /// A former code that is several by now.
    Split(Vec<&'a Code>),
    Unknown,
}

impl CodeList {
    pub(super) fn new(codes: Vec<Code>, combined: bool) -> Self {
        let mut list = Self { codes, exact: HashMap::new(), names: HashMap::new(), former: HashMap::new(), combined };
        for (at, code) in list.codes.iter().enumerate() {
            let value = code.value.to_string();
            for name in [&value, &code.title.vi, &code.title.en].into_iter().chain(&code.aliases) {
                let held = list.names.entry(fold(name)).or_default();
                if !held.contains(&at) {
                    held.push(at);
                }
            }
            for former in &code.replaces {
                list.former.entry(fold(former)).or_default().push(at);
            }
            list.exact.insert(value, at);
        }
        list
    }

    pub fn codes(&self) -> &[Code] {
        &self.codes
    }

    pub fn combined(&self) -> bool {
        self.combined
    }

    pub(super) fn lookup(&self, text: &str) -> Lookup<'_> {
        if self.exact.contains_key(text) {
            return Lookup::Known;
        }
        let key = fold(text);
        let code = |at: &usize| self.codes.get(*at);
        match (self.names.get(&key).map(Vec::as_slice), self.former.get(&key).map(Vec::as_slice)) {
            (Some([one]), _) => code(one).map_or(Lookup::Unknown, Lookup::Named),
            (None, Some([one])) => code(one).map_or(Lookup::Unknown, Lookup::Former),
            (None, Some(several)) => Lookup::Split(several.iter().filter_map(code).collect()),
            _ => Lookup::Unknown,
        }
    }

    /// The codes of a text that joins several by `+`, where this list allows that.
    pub(super) fn parts<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        (self.combined && text.contains('+')).then(|| text.split('+').map(str::trim).collect())
    }
}
