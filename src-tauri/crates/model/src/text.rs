//! Vietnamese text: storage form, and the two keys that search compares.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The storage form (NFC) of a text.
pub fn nfc(text: &str) -> String {
    text.nfc().collect()
}

/// The key for searching without marks: lower case, no diacritics, `đ` → `d`, runs of anything but letters and digits
/// folded to one space.
///
/// Old and new tone placement (hòa, hoà) fold to the same key, because the tone is gone.
///
/// ```
/// assert_eq!(model::fold("Trạm khí  Trảng Bàng"), "tram khi trang bang");
/// assert_eq!(model::fold("ĐT.782"), "dt 782");
/// ```
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        let c = if c == 'đ' { 'd' } else { c };
        if c.is_alphanumeric() {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            gap = false;
            out.push(c);
        } else {
            gap = true;
        }
    }
    out
}

/// The key for searching with marks: as [`fold`], but marks are kept and the tone mark stands at the syllable's end, so
/// that `hòa` and `hoà` are equal while `hoa` differs.
///
/// ```
/// assert_eq!(model::canonical("Hòa Thành"), model::canonical("hoà thành"));
/// assert_ne!(model::canonical("Hòa"), model::canonical("Hóa"));
/// ```
pub fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut tone: Option<char> = None;
    let mut gap = false;
    for c in text.nfd().flat_map(char::to_lowercase) {
        if is_combining_mark(c) {
            // Grave, acute, tilde, hook above, dot below are tones; breve, circumflex and horn make another vowel.
            if matches!(c, '\u{300}' | '\u{301}' | '\u{303}' | '\u{309}' | '\u{323}') {
                tone = Some(c);
            } else {
                out.push(c);
            }
        } else if c.is_alphanumeric() {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            gap = false;
            out.push(c);
        } else {
            out.extend(tone.take());
            gap = true;
        }
    }
    out.extend(tone);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_matches_what_people_type_without_marks() {
        assert_eq!(fold("Cơ sở y tế Đức Hòa"), "co so y te duc hoa");
        assert_eq!(fold("QL22 – ĐT.782, Trảng Bàng"), "ql22 dt 782 trang bang");
        assert_eq!(fold("Trạm"), fold("Tra\u{323}m"), "composed and decomposed input fold alike");
        assert_eq!(fold(" "), "");
    }

    #[test]
    fn tone_placement_does_not_matter_but_the_tone_does() {
        assert_eq!(canonical("Hoà Thành"), canonical("Hòa Thành"));
        assert_eq!(canonical("thuỷ"), canonical("thủy"));
        assert_ne!(canonical("Trảng"), canonical("Trang"));
        assert_ne!(canonical("Tân"), canonical("Tan"));
    }
}
