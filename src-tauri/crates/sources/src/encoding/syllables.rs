//! Whether text reads as Vietnamese: its syllables are built of few parts, so that bytes in a wrong encoding hardly ever
//! make one.

/// Each vowel plain and in its five tones.
const VOWELS: [&str; 12] = [
    "aàảãáạ",
    "ăằẳẵắặ",
    "âầẩẫấậ",
    "eèẻẽéẹ",
    "êềểễếệ",
    "iìỉĩíị",
    "oòỏõóọ",
    "ôồổỗốộ",
    "ơờởỡớợ",
    "uùủũúụ",
    "ưừửữứự",
    "yỳỷỹýỵ",
];

const ONSETS: [&str; 29] = [
    "", "b", "c", "ch", "d", "đ", "g", "gh", "gi", "h", "k", "kh", "kr", "l", "m", "n", "ng", "ngh", "nh", "p", "ph",
    "qu", "r", "s", "t", "th", "tr", "v", "x",
];

/// Rhymes that nothing follows.
const OPEN: [&str; 45] = [
    "a", "e", "ê", "i", "o", "ô", "ơ", "u", "ư", "y", "ai", "ao", "au", "ay", "âu", "ây", "eo", "êu", "ia", "iêu",
    "iu", "oa", "oai", "oao", "oay", "oe", "oeo", "oi", "ôi", "ơi", "ua", "uây", "uê", "ui", "uôi", "uơ", "uy", "uya",
    "uyu", "ưa", "ưi", "ươi", "ươu", "ưu", "yêu",
];

/// Rhymes that want a consonant at the end.
const CLOSED: [&str; 24] = [
    "a", "ă", "â", "e", "ê", "i", "o", "ô", "ơ", "u", "ư", "y", "iê", "oa", "oă", "oe", "oo", "uâ", "uê", "uô", "uy",
    "uyê", "ươ", "yê",
];

/// Ends that allow every tone.
const SOFT_ENDS: [&str; 5] = ["m", "n", "ng", "nh", "k"];

/// Ends that allow two tones only, the acute and the dot below.
const HARD_ENDS: [&str; 4] = ["c", "ch", "p", "t"];

/// How much of the text read so far is Vietnamese.
#[derive(Default)]
pub(super) struct Seen {
    words: u32,
    vietnamese: u32,
}

impl Seen {
    /// Counts the words that hold other letters than ASCII's.
    pub(super) fn look(&mut self, text: &str) {
        let lower = text.to_lowercase();
        let inside = |c: char| c.is_alphanumeric() || !c.is_ascii() && !is_sign(c);
        for word in lower.split(|c| !inside(c)).filter(|word| !word.is_ascii()) {
            self.words += 1;
            self.vietnamese += u32::from(is_syllable(word));
        }
    }

    /// From 0 to 1; `None` when there was no word to judge by.
    pub(super) fn share(&self) -> Option<f64> {
        (self.words > 0).then(|| f64::from(self.vietnamese) / f64::from(self.words))
    }
}

/// Quotation marks, dashes and the like, which stand between words in any language.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{a0}' | '«' | '»' | '°' | '±' | '²' | '³' | '·' | '×' | '\u{2000}'..='\u{206f}')
}

/// A letter without its tone, and the tone's place in its row.
fn toneless(c: char) -> (char, usize) {
    for row in VOWELS {
        if let Some(at) = row.chars().position(|vowel| vowel == c) {
            return (row.chars().next().unwrap_or(c), at);
        }
    }
    (c, 0)
}

/// A small-letter word: onset, rhyme, end, and at most one tone.
fn is_syllable(word: &str) -> bool {
    let letters = word.chars().map(toneless);
    let tones: Vec<usize> = letters.clone().map(|(_, tone)| tone).filter(|tone| *tone > 0).collect();
    let plain: String = letters.map(|(letter, _)| letter).collect();
    let hard = tones.iter().all(|tone| *tone > 3);
    let ends = |rest: &str, end: &str| rest.strip_suffix(end).is_some_and(|rhyme| CLOSED.contains(&rhyme));
    let rhymes = |rest: &str| {
        OPEN.contains(&rest)
            || SOFT_ENDS.iter().any(|end| ends(rest, end))
            || hard && HARD_ENDS.iter().any(|end| ends(rest, end))
    };
    tones.len() <= 1 && ONSETS.iter().any(|onset| plain.strip_prefix(onset).is_some_and(rhymes))
}

/// The letters that ASCII lacks, with the plain vowels, small and capital.
#[cfg(test)]
pub(super) fn alphabet() -> String {
    let small: String = VOWELS.concat() + "đ";
    small.chars().chain(small.to_uppercase().chars()).collect()
}

/// A letter without its tone, and the tone as a combining mark.
#[cfg(test)]
pub(super) fn parts(c: char) -> (char, Option<char>) {
    let small = c.to_lowercase().next().unwrap_or(c);
    let Some(row) = VOWELS.iter().find(|row| row.contains(small)) else { return (c, None) };
    let at = row.chars().position(|vowel| vowel == small).unwrap_or_default();
    let base = row.chars().next().unwrap_or(c);
    let base = if c == small { base } else { base.to_uppercase().next().unwrap_or(base) };
    (base, [None, Some('\u{300}'), Some('\u{309}'), Some('\u{303}'), Some('\u{301}'), Some('\u{323}')][at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_are_known_by_their_parts() {
        for word in "thạnh đức gò dầu phường trảng bàng ấp lộc đường nguyễn bến giuộc quỹ khuỷu giếng gì quốc thuế yên uỷ oà hoàng xoáy rượu".split(' ') {
            assert!(is_syllable(word), "{word}");
        }
        for word in ["köln", "straße", "µ¸", "đđ", "thạnhđức", "bếến", "hñc", "taõn", "trảc", "thaùnh"]
        {
            assert!(!is_syllable(word), "{word}");
        }
    }
}
