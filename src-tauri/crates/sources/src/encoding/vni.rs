//! VNI for Windows: a vowel, then a byte for its tone and hat. `ơ`, `ư`, `đ` and the letters of i and ỵ are bytes of
//! their own; capitals lie 0x20 below the small ones.

use encoding_rs::WINDOWS_1252;

/// Letters of one byte.
const ALONE: [(u8, char); 9] = [
    (0xf4, 'ơ'),
    (0xf6, 'ư'),
    (0xf1, 'đ'),
    (0xed, 'í'),
    (0xec, 'ì'),
    (0xe6, 'ỉ'),
    (0xf3, 'ĩ'),
    (0xf2, 'ị'),
    (0xee, 'ỵ'),
];

/// What follows a vowel, as combining marks: the tone of any vowel.
const TONES: [(u8, &str); 5] =
    [(0xf9, "\u{301}"), (0xf8, "\u{300}"), (0xfb, "\u{309}"), (0xf5, "\u{303}"), (0xef, "\u{323}")];
/// The hat of a, e and o, with its tone.
const HATS: [(u8, &str); 6] = [
    (0xe2, "\u{302}"),
    (0xe1, "\u{302}\u{301}"),
    (0xe0, "\u{302}\u{300}"),
    (0xe5, "\u{302}\u{309}"),
    (0xe3, "\u{302}\u{303}"),
    (0xe4, "\u{302}\u{323}"),
];
/// The breve of a, with its tone.
const BREVES: [(u8, &str); 6] = [
    (0xea, "\u{306}"),
    (0xe9, "\u{306}\u{301}"),
    (0xe8, "\u{306}\u{300}"),
    (0xfa, "\u{306}\u{309}"),
    (0xfc, "\u{306}\u{303}"),
    (0xeb, "\u{306}\u{323}"),
];

fn small(byte: u8) -> u8 {
    if byte.is_ascii_uppercase() || (0xc0..0xe0).contains(&byte) { byte + 0x20 } else { byte }
}

pub(super) fn takes_a_mark(byte: u8) -> bool {
    matches!(small(byte), b'a' | b'e' | b'o' | b'u' | b'y' | 0xf4 | 0xf6)
}

fn marks(vowel: u8, byte: u8) -> Option<&'static str> {
    let find = |table: &[(u8, &'static str)]| table.iter().find(|(code, _)| *code == small(byte)).map(|(_, m)| *m);
    if byte < 0x80 || !takes_a_mark(vowel) {
        return None;
    }
    find(&TONES)
        .or_else(|| matches!(small(vowel), b'a' | b'e' | b'o').then(|| find(&HATS)).flatten())
        .or_else(|| (small(vowel) == b'a').then(|| find(&BREVES)).flatten())
}

/// The text, its marks still combining. Bytes that VNI gives no letter are taken from windows-1252.
pub(super) fn decode(bytes: &[u8]) -> String {
    decode_with(bytes, &|stray| WINDOWS_1252.decode_without_bom_handling(&[stray]).0.into_owned())
}

/// As [`decode`], but a mark that follows no vowel is no letter: text of another encoding is full of them.
pub(super) fn decode_strictly(bytes: &[u8]) -> String {
    decode_with(bytes, &|stray| match stray {
        0xc0.. => "\u{fffd}".to_owned(),
        sign => WINDOWS_1252.decode_without_bom_handling(&[sign]).0.into_owned(),
    })
}

fn decode_with(bytes: &[u8], stray: &dyn Fn(u8) -> String) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    let mut before = 0;
    for byte in bytes.iter().copied() {
        if let Some(marks) = marks(before, byte) {
            out.push_str(marks);
            before = 0;
            continue;
        }
        before = byte;
        let known = ALONE.iter().find(|(code, _)| *code == small(byte)).map(|(_, letter)| *letter);
        match known {
            Some(letter) if byte >= 0x80 && byte != small(byte) => out.extend(letter.to_uppercase()),
            Some(letter) => out.push(letter),
            None if byte < 0x80 => out.push(char::from(byte)),
            None => out.push_str(&stray(byte)),
        }
    }
    out
}

#[cfg(test)]
pub(super) fn bytes(c: char) -> Option<Vec<u8>> {
    let capital = c.is_uppercase();
    let vowels = b"aeouy".iter().copied().chain(ALONE.map(|(code, _)| code));
    let marks = [&TONES[..], &HATS, &BREVES].concat().into_iter().map(|(code, _)| vec![code]);
    let marks: Vec<Vec<u8>> = std::iter::once(Vec::new()).chain(marks).collect();
    let turned = |byte: u8| if capital { byte - 0x20 } else { byte };
    let codes = vowels.flat_map(|vowel| marks.iter().map(move |mark| [vec![vowel], mark.clone()].concat()));
    let mut codes = codes.map(|code| code.into_iter().map(turned).collect::<Vec<u8>>());
    if c.is_ascii() { Some(vec![c as u8]) } else { codes.find(|code| model::nfc(&decode(code)) == c.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_vni_fonts_is_read() {
        for (bytes, text) in [
            (&b"T\x61\xe2y Ninh"[..], "Tây Ninh"),
            (b"\xd1\xf6\xf9c Ho\xf8a", "Đức Hòa"),
            (b"Be\xe1n L\xf6\xf9c, C\x61\xe0n Giuo\xe4c", "Bến Lức, Cần Giuộc"),
            (b"TRA\xdbNG BA\xd8NG", "TRẢNG BÀNG"),
            (b"th\xf2 xa\xf5, m\xe6a \x96", "thị xã, mỉa –"),
        ] {
            assert_eq!(model::nfc(&decode(bytes)), text);
        }
    }
}
