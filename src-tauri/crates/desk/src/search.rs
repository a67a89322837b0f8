//! Search over everything with a name: exact accents first, folded next, partial last.

use model::{canonical, fold, nfc};

/// A name prepared for searching.
#[derive(Clone, Debug)]
pub struct Entry {
    pub ordinal: u32,
    words: Vec<Word>,
    folded: String,
    canonical: String,
}

#[derive(Clone, Debug)]
struct Word {
    folded: Vec<char>,
    canonical: String,
    /// UTF-16 offset in the name before each folded character, and after the last.
    offsets: Vec<u32>,
}

/// How well an entry answers a query; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// 0: all words typed match with their marks; 1: without; 2: only the word being typed.
    class: u8,
    /// 0 when the whole name starts with what was typed.
    not_prefix: u8,
    /// Place of the first matching word.
    first_word: u16,
    length: u16,
}

impl Rank {
    pub fn exact(self) -> bool {
        self.class == 0
    }

    /// True when only the word being typed matched.
    pub fn partial(self) -> bool {
        self.class == 2
    }
}

/// What was typed, prepared once for all layers.
#[derive(Clone, Debug)]
pub struct Query {
    folded: Vec<Vec<char>>,
    canonical: Vec<String>,
    folded_text: String,
    /// Nobody typed a mark: then every match counts as exact.
    plain: bool,
}

impl Query {
    /// `None` when nothing searchable was typed.
    pub fn new(text: &str) -> Option<Self> {
        let folded_text = fold(text);
        let canonical_text = canonical(text);
        let folded: Vec<Vec<char>> = folded_text.split(' ').map(|word| word.chars().collect()).collect();
        if folded_text.is_empty() {
            return None;
        }
        let canonical: Vec<String> = canonical_text.split(' ').map(str::to_owned).collect();
        let plain = canonical_text == folded_text;
        Some(Self { folded, canonical, folded_text, plain })
    }
}

impl Entry {
    pub fn new(ordinal: u32, name: &str) -> Self {
        let name = nfc(name);
        let mut words = Vec::new();
        let mut word = Word { folded: Vec::new(), canonical: String::new(), offsets: Vec::new() };
        let mut text = String::new();
        let mut at = 0_u32;
        for c in name.chars() {
            let folded: Vec<char> = fold(c.encode_utf8(&mut [0; 4])).chars().collect();
            let next = at + u32::try_from(c.len_utf16()).unwrap_or(1);
            if folded.is_empty() {
                finish(&mut word, &mut text, at, &mut words);
            } else {
                word.offsets.extend(folded.iter().map(|_| at));
                word.folded.extend(folded);
                text.push(c);
            }
            at = next;
        }
        finish(&mut word, &mut text, at, &mut words);
        Self { ordinal, words, folded: fold(&name), canonical: canonical(&name) }
    }

    /// How well the entry answers, and the parts of the name to highlight (UTF-16 start and end); `None`: not at all.
    pub fn matches(&self, query: &Query) -> Option<(Rank, Vec<[u32; 2]>)> {
        let length = u16::try_from(self.folded.len()).unwrap_or(u16::MAX);
        let rank = |class, first: usize| Rank {
            class,
            not_prefix: u8::from(!self.folded.starts_with(&query.folded_text)),
            first_word: u16::try_from(first).unwrap_or(u16::MAX),
            length,
        };
        if let Some((all_exact, mut places)) = self.all_words(query) {
            places.sort_unstable();
            let marks = places.iter().map(|(place, typed)| self.words[*place].mark(*typed)).collect();
            return Some((rank(u8::from(!all_exact), places[0].0), marks));
        }
        // Only the word being typed matches: worth offering when it says enough.
        let typed = query.folded.last().filter(|typed| query.folded.len() > 1 && typed.len() > 2)?;
        let place = self.words.iter().position(|word| word.folded.starts_with(typed))?;
        Some((rank(2, place), vec![self.words[place].mark(typed.len())]))
    }

    /// A word of the name for every word typed, each used once: whether all marks match, and place and typed length.
    fn all_words(&self, query: &Query) -> Option<(bool, Vec<(usize, usize)>)> {
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(query.folded.len());
        let mut all_exact = true;
        for (number, typed) in query.folded.iter().enumerate() {
            let exact = |word: &Word| {
                query.plain
                    || query.canonical.get(number).is_some_and(|typed| word.canonical.starts_with(typed.as_str()))
            };
            let free = |place: &usize| !places.iter().any(|(used, _)| used == place);
            let candidates = || (0..self.words.len()).filter(free).filter(|i| self.words[*i].folded.starts_with(typed));
            // The word with the right marks is taken before one that only folds alike.
            let place = candidates().find(|i| exact(&self.words[*i])).or_else(|| candidates().next())?;
            all_exact &= exact(&self.words[place]);
            places.push((place, typed.len()));
        }
        Some((all_exact, places))
    }

    /// The name's key with marks, for telling duplicates.
    pub fn key(&self) -> &str {
        &self.canonical
    }
}

impl Word {
    /// The first `typed` folded characters as UTF-16 start and end in the name.
    fn mark(&self, typed: usize) -> [u32; 2] {
        [self.offsets[0], self.offsets[typed]]
    }
}

fn finish(word: &mut Word, text: &mut String, end: u32, words: &mut Vec<Word>) {
    if !word.folded.is_empty() {
        word.offsets.push(end);
        word.canonical = canonical(text);
        words.push(std::mem::replace(word, Word { folded: Vec::new(), canonical: String::new(), offsets: Vec::new() }));
    }
    text.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked<'a>(query: &str, names: &[&'a str]) -> Vec<&'a str> {
        let query = Query::new(query).unwrap();
        let mut hits: Vec<_> =
            names.iter().filter_map(|n| Entry::new(0, n).matches(&query).map(|(r, _)| (r, *n))).collect();
        hits.sort();
        hits.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn typing_without_marks_finds_the_station_first() {
        let names = ["Phường Trảng Bàng", "Trạm khí Tân Ninh", "Trạm khí Trảng Bàng", "Trường THCS Trảng Bàng"];
        assert_eq!(
            ranked("tram khi trang", &names),
            ["Trạm khí Trảng Bàng", "Phường Trảng Bàng", "Trường THCS Trảng Bàng"]
        );
    }

    #[test]
    fn exact_marks_come_first() {
        assert_eq!(ranked("Hóa", &["Hòa Thành", "Khánh Hóa", "Hoa Lư"]), ["Khánh Hóa", "Hoa Lư", "Hòa Thành"]);
        assert_eq!(ranked("hoà", &["Hoa Lư", "Hòa Thành"]), ["Hòa Thành", "Hoa Lư"]);
    }

    #[test]
    fn marks_cover_what_was_typed_in_utf16() {
        let entry = Entry::new(0, "Trạm khí Trảng Bàng");
        let (_, marks) = entry.matches(&Query::new("tram khi trang").unwrap()).unwrap();
        assert_eq!(marks, [[0, 4], [5, 8], [9, 14]]);
        let (_, marks) = entry.matches(&Query::new("TRAN").unwrap()).unwrap();
        assert_eq!(marks, [[9, 13]]);
    }

    #[test]
    fn codes_and_punctuation_are_words() {
        assert_eq!(ranked("dt 782", &["Nút giao QL22 – ĐT.782, Trảng Bàng", "ĐT.785"]).len(), 1);
        assert!(Query::new(" … ").is_none());
        assert!(Entry::new(0, "").matches(&Query::new("a").unwrap()).is_none());
    }
}
