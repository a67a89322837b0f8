//! Search over everything with a name: exact accents first, folded next, partial last.

use memchr::memmem::Finder;
use model::{canonical, fold, nfc};

/// The names of a layer, folded, back to back: `\n` and a space before each name, a space before each further word. A
/// million names are some 20 MB and a scan of milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Names {
    text: String,
    starts: Vec<u32>,
    ordinals: Vec<u32>,
}

/// So many names of one layer are looked at closely; who finds more has to type more.
const MOST: usize = 5_000;

impl<'a> FromIterator<(u32, &'a str)> for Names {
    fn from_iter<I: IntoIterator<Item = (u32, &'a str)>>(names: I) -> Self {
        let mut all = Self::default();
        for (ordinal, name) in names {
            let Ok(start) = u32::try_from(all.text.len()) else { break };
            all.starts.push(start);
            all.ordinals.push(ordinal);
            all.text.push_str("\n ");
            all.text.push_str(&fold(name));
        }
        all
    }
}

/// A name that answers a query.
#[derive(Clone, Debug)]
pub struct Hit {
    pub ordinal: u32,
    pub rank: Rank,
    /// Words of the name and how many folded characters of each were typed.
    places: Vec<(usize, usize)>,
}

impl Names {
    /// The names that answer, in no order. `name_of` gives the name as written.
    pub fn matches<'a>(&self, query: &Query, name_of: impl Fn(u32) -> Option<&'a str>) -> Vec<Hit> {
        // Whoever answers in full holds every word typed, so the longest one finds them all; who answers in part, the last.
        let longest = query.folded.iter().max_by_key(|word| word.len());
        let needles = [longest, query.partial_word()];
        let mut places: Vec<usize> = self.search(&format!("\n {}", query.folded_text));
        for needle in needles.into_iter().flatten() {
            places.extend(self.search(&format!(" {needle}")));
        }
        places.sort_unstable();
        places.dedup();
        let hit = |place: usize| {
            let ordinal = self.ordinals[place];
            let (rank, places) = answer(self.folded(place), || canonical(name_of(ordinal).unwrap_or_default()), query)?;
            Some(Hit { ordinal, rank, places })
        };
        places.into_iter().filter_map(hit).collect()
    }

    fn folded(&self, place: usize) -> &str {
        let end = self.starts.get(place + 1).map_or(self.text.len(), |next| *next as usize);
        self.text.get(self.starts[place] as usize + 2..end).unwrap_or_default()
    }

    /// Places of the first names that hold the needle, each once.
    fn search(&self, needle: &str) -> Vec<usize> {
        let finder = Finder::new(needle);
        let mut found = Vec::new();
        let mut from = 0;
        while found.len() < MOST
            && let Some(at) = finder.find(&self.text.as_bytes()[from..])
        {
            let at = from + at;
            let place = self.starts.partition_point(|start| *start as usize <= at).saturating_sub(1);
            found.push(place);
            from = self.starts.get(place + 1).map_or(self.text.len(), |next| *next as usize);
        }
        found
    }
}

/// How well a name answers a query; smaller is better.
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
    folded: Vec<String>,
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
        let folded = folded_text.split(' ').map(str::to_owned).collect();
        if folded_text.is_empty() {
            return None;
        }
        let canonical: Vec<String> = canonical_text.split(' ').map(str::to_owned).collect();
        let plain = canonical_text == folded_text;
        Some(Self { folded, canonical, folded_text, plain })
    }

    /// The word being typed, where it says enough by itself.
    fn partial_word(&self) -> Option<&String> {
        self.folded.last().filter(|typed| self.folded.len() > 1 && typed.chars().nth(2).is_some())
    }
}

/// How well a name answers, and which of its words.
fn answer(folded: &str, canonical: impl FnOnce() -> String, query: &Query) -> Option<(Rank, Vec<(usize, usize)>)> {
    let words: Vec<&str> = folded.split(' ').collect();
    let length = u16::try_from(folded.len()).unwrap_or(u16::MAX);
    let rank = |class, first: usize| Rank {
        class,
        not_prefix: u8::from(!folded.starts_with(&query.folded_text)),
        first_word: u16::try_from(first).unwrap_or(u16::MAX),
        length,
    };
    let starts = |typed: &String| words.iter().position(|word| word.starts_with(typed.as_str()));
    if query.folded.iter().all(|typed| starts(typed).is_some()) {
        let canonical = if query.plain { String::new() } else { canonical() };
        if let Some((all_exact, mut places)) = all_words(&words, &canonical, query) {
            places.sort_unstable();
            return Some((rank(u8::from(!all_exact), places[0].0), places));
        }
    }
    let typed = query.partial_word()?;
    let place = starts(typed)?;
    Some((rank(2, place), vec![(place, typed.chars().count())]))
}

/// A word of the name for every word typed, each used once: whether all marks match, and place and typed length.
fn all_words(words: &[&str], canonical: &str, query: &Query) -> Option<(bool, Vec<(usize, usize)>)> {
    let marked: Vec<&str> = canonical.split(' ').collect();
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(query.folded.len());
    let mut all_exact = true;
    for (number, typed) in query.folded.iter().enumerate() {
        let exact = |place: usize| {
            query.plain
                || (query.canonical.get(number).zip(marked.get(place)))
                    .is_some_and(|(typed, word)| word.starts_with(typed.as_str()))
        };
        let free = |place: &usize| !places.iter().any(|(used, _)| used == place);
        let candidates = || (0..words.len()).filter(free).filter(|place| words[*place].starts_with(typed.as_str()));
        // The word with the right marks is taken before one that only folds alike.
        let place = candidates().find(|place| exact(*place)).or_else(|| candidates().next())?;
        all_exact &= exact(place);
        places.push((place, typed.chars().count()));
    }
    Some((all_exact, places))
}

/// The parts of the written name to highlight, as UTF-16 start and end.
pub fn marks(name: &str, hit: &Hit) -> Vec<[u32; 2]> {
    let name = nfc(name);
    // Per word, the UTF-16 offset before each folded character, and after the last.
    let mut words: Vec<Vec<u32>> = Vec::new();
    let mut word: Vec<u32> = Vec::new();
    let mut at = 0_u32;
    for c in name.chars() {
        let folded = fold(c.encode_utf8(&mut [0; 4])).chars().count();
        if folded == 0 && !word.is_empty() {
            word.push(at);
            words.push(std::mem::take(&mut word));
        }
        word.extend(std::iter::repeat_n(at, folded));
        at += u32::try_from(c.len_utf16()).unwrap_or(1);
    }
    if !word.is_empty() {
        word.push(at);
        words.push(word);
    }
    let mark = |(place, typed): &(usize, usize)| {
        let word = words.get(*place)?;
        Some([*word.first()?, *word.get(*typed)?])
    };
    hit.places.iter().filter_map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked<'a>(query: &str, names: &[&'a str]) -> Vec<&'a str> {
        let query = Query::new(query).unwrap();
        let all: Names = (0_u32..).zip(names.iter().copied()).collect();
        let mut hits = all.matches(&query, |ordinal| names.get(ordinal as usize).copied());
        hits.sort_by_key(|hit| hit.rank);
        hits.into_iter().map(|hit| names[hit.ordinal as usize]).collect()
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
        let name = "Trạm khí Trảng Bàng";
        let names: Names = [(0, name)].into_iter().collect();
        let marked = |typed: &str| {
            let hits = names.matches(&Query::new(typed).unwrap(), |_| Some(name));
            marks(name, &hits[0])
        };
        assert_eq!(marked("tram khi trang"), [[0, 4], [5, 8], [9, 14]]);
        assert_eq!(marked("TRAN"), [[9, 13]]);
    }

    #[test]
    fn codes_and_punctuation_are_words() {
        assert_eq!(ranked("dt 782", &["Nút giao QL22 – ĐT.782, Trảng Bàng", "ĐT.785"]).len(), 1);
        assert!(Query::new(" … ").is_none());
        assert!(ranked("a", &[""]).is_empty());
        assert!(ranked("b", &["ab", "a-c", "a\nb c"]) == ["a\nb c"], "a word starts a match, not a letter");
    }
}
