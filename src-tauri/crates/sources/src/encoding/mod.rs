//! Text of earlier days: which encoding bytes are in, and the text they stand for.

mod stream;
mod syllables;
mod tcvn3;
mod vni;

pub(crate) use stream::Utf8;

use crate::file::{ReadError, Rows};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1258};
use std::fmt;
use std::path::Path;

/// How a file's text is written, where the file does not say it or says it wrongly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of the WHATWG standard.
    Web(&'static Encoding),
    /// TCVN 5712:1993, the fonts `.VnTime`; called ABC.
    Tcvn3,
    /// The fonts `VNI-Times`.
    Vni,
}

impl TextEncoding {
    pub(crate) const UTF_8: Self = Self(Kind::Web(UTF_8));
    pub(crate) const WINDOWS_1258: Self = Self(Kind::Web(WINDOWS_1258));
    pub(crate) const WINDOWS_1252: Self = Self(Kind::Web(encoding_rs::WINDOWS_1252));
    pub(crate) const TCVN3: Self = Self(Kind::Tcvn3);
    pub(crate) const VNI: Self = Self(Kind::Vni);

    /// By the name that people and `.cpg` files use: `UTF-8`, `65001`, `1258`, `windows-1258`, `ANSI 1252`, `ISO 88591`,
    /// `TCVN3`, `ABC`, `VNI`; `None` for others.
    ///
    /// ```
    /// use sources::TextEncoding;
    /// assert_eq!(TextEncoding::by_name("abc"), TextEncoding::by_name("TCVN-5712"));
    /// assert_eq!(TextEncoding::by_name("CP1258").unwrap().name(), "windows-1258");
    /// assert!(TextEncoding::by_name("runes").is_none());
    /// ```
    pub fn by_name(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        match plain.as_str() {
            "tcvn3" | "tcvn" | "abc" | "tcvn3abc" | "tcvn5712" | "tcvn57121" | "tcvn57121993" => {
                return Some(Self::TCVN3);
            }
            "vni" | "vniwin" | "vniwindows" | "vnitimes" => return Some(Self::VNI),
            "65001" | "utf8" => return Some(Self::UTF_8),
            _ => {}
        }
        let number = plain.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let label = match number {
            "874" | "1250" | "1251" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257" | "1258" => {
                format!("windows-{number}")
            }
            "932" => "shift_jis".into(),
            "936" => "gbk".into(),
            "949" => "euc-kr".into(),
            "950" => "big5".into(),
            _ => match number.strip_prefix("8859") {
                Some(part) => format!("iso-8859-{part}"),
                None => name.trim().to_owned(),
            },
        };
        Encoding::for_label(label.as_bytes()).map(|encoding| Self(Kind::Web(encoding)))
    }

    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Web(encoding) => encoding.name(),
            Kind::Tcvn3 => "TCVN3",
            Kind::Vni => "VNI",
        }
    }

    pub(crate) fn web(self) -> Option<&'static Encoding> {
        match self.0 {
            Kind::Web(encoding) => Some(encoding),
            Kind::Tcvn3 | Kind::Vni => None,
        }
    }

    /// The text in storage form (NFC); `None` when the bytes are not in this encoding. UTF-8 that ends inside a letter,
    /// as in a column that was too narrow, loses that letter.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<String> {
        let text = match self.0 {
            _ if bytes.is_ascii() && bytes.iter().all(|b| *b >= b' ') => std::str::from_utf8(bytes).ok()?.to_owned(),
            Kind::Tcvn3 => tcvn3::decode(bytes),
            Kind::Vni => vni::decode(bytes),
            Kind::Web(encoding) if encoding == UTF_8 => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(error) if error.error_len().is_none() => {
                    String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned()
                }
                Err(_) => return None,
            },
            Kind::Web(encoding) => encoding.decode_without_bom_handling_and_without_replacement(bytes)?.into_owned(),
        };
        Some(crate::file::stored(&text))
    }

    /// How many of these bytes at the end wait for what comes after them.
    pub(crate) fn unfinished(self, bytes: &[u8]) -> usize {
        match self.0 {
            Kind::Vni => usize::from(bytes.last().is_some_and(|last| vni::takes_a_mark(*last))),
            Kind::Tcvn3 | Kind::Web(_) => 0,
        }
    }
}

impl From<&'static Encoding> for TextEncoding {
    fn from(encoding: &'static Encoding) -> Self {
        Self(Kind::Web(encoding))
    }
}

impl fmt::Debug for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a file's text is written, by a sample of its letters, else `fallback`; says so where it had to be guessed. `what`
/// names the thing that holds the text.
///
/// # Errors
/// [`ReadError::Encoding`] when nothing fits.
pub(crate) fn settle(
    path: &Path,
    what: &str,
    sample: &[Vec<u8>],
    fallback: Option<TextEncoding>,
    rows: &mut dyn Rows,
) -> Result<TextEncoding, ReadError> {
    let western = fallback.filter(|fallback| *fallback == TextEncoding::WINDOWS_1252);
    let Some(encoding) = guess_among(sample.iter().map(Vec::as_slice), western).or(fallback) else {
        let reason = format!(
            "the {what}'s text is neither UTF-8 nor Vietnamese in windows-1258, TCVN3 or VNI; say what it is with --encoding"
        );
        return Err(ReadError::Encoding { path: path.to_path_buf(), offset: 0, reason });
    };
    if encoding != TextEncoding::UTF_8 {
        rows.warn(format!("encoding_guessed: the {what}'s text was read as {}", encoding.name()));
    }
    Ok(encoding)
}

/// Share of the words with other letters than ASCII's that must be Vietnamese before a guess is made.
const LIKELY: f64 = 0.7;

/// The encoding of pieces of text: UTF-8 if all of them are that; otherwise the one of windows-1258, TCVN3 and VNI in
/// which most of them is Vietnamese. `None` when it reads as Vietnamese in none.
pub(crate) fn guess<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Option<TextEncoding> {
    guess_among(pieces, None)
}

/// As [`guess`], where the file says `western`: what of Vietnamese it has letters for may be all that is left of a text,
/// but must read better as that than as anything else.
fn guess_among<'a>(
    pieces: impl Iterator<Item = &'a [u8]> + Clone,
    western: Option<TextEncoding>,
) -> Option<TextEncoding> {
    let utf8 = |piece: &[u8]| std::str::from_utf8(piece).map_or_else(|error| error.error_len().is_none(), |_| true);
    if pieces.clone().all(utf8) {
        return Some(TextEncoding::UTF_8);
    }
    let likeness = |encoding: TextEncoding| {
        let mut seen = syllables::Seen::default();
        for piece in pieces.clone().filter(|piece| !piece.is_ascii()) {
            seen.look(&match encoding.0 {
                Kind::Vni => crate::file::stored(&vni::decode_strictly(piece)),
                Kind::Web(_) | Kind::Tcvn3 => encoding.decode(piece)?,
            });
        }
        seen.share()
    };
    let candidates = [TextEncoding::WINDOWS_1258, TextEncoding::TCVN3, TextEncoding::VNI];
    let judged = candidates.into_iter().chain(western).filter_map(|encoding| Some((likeness(encoding)?, encoding)));
    let best = judged.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.filter(|(share, _)| *share >= LIKELY).map(|(_, encoding)| encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of the province and words that hold every letter.
    const TEXT: &str = "Xã Thạnh Đức, huyện Gò Dầu; phường Trảng Bàng, ấp Lộc Trát; đường Nguyễn Văn Rốp; \
        Bến Lức, Cần Giuộc, Đức Hòa, Mộc Hóa, Vĩnh Hưng; trường mẫu giáo, quỹ đất, kỷ niệm, sữa, khuỷu, những";

    fn in_1258(text: &str) -> Vec<u8> {
        // Tones are marks of their own there.
        let marks = [('\u{300}', 0xcc), ('\u{309}', 0xd2), ('\u{303}', 0xde), ('\u{301}', 0xec), ('\u{323}', 0xf2)];
        let mut out = Vec::new();
        for c in text.chars() {
            let (base, tone) = syllables::parts(c);
            let letter = base.to_string();
            out.extend_from_slice(&WINDOWS_1258.encode(&letter).0);
            out.extend(tone.and_then(|tone| marks.iter().find(|(mark, _)| *mark == tone)).map(|(_, byte)| *byte));
        }
        out
    }

    fn in_tcvn3(text: &str) -> Vec<u8> {
        text.chars().map(|c| tcvn3::byte(c).unwrap()).collect()
    }

    fn in_vni(text: &str) -> Vec<u8> {
        text.chars().flat_map(|c| vni::bytes(c).unwrap()).collect()
    }

    #[test]
    fn every_letter_goes_through_every_encoding_and_back() {
        let all: String = syllables::alphabet();
        assert_eq!(all.chars().count(), 2 * (12 * 6 + 1), "twelve vowels in six tones and đ, small and capital");
        for (encoding, bytes) in [
            (TextEncoding::TCVN3, in_tcvn3(&all)),
            (TextEncoding::VNI, in_vni(&all)),
            (TextEncoding::WINDOWS_1258, in_1258(&all)),
            (TextEncoding::UTF_8, all.clone().into_bytes()),
        ] {
            assert_eq!(encoding.decode(&bytes).as_deref(), Some(all.as_str()), "{encoding:?}");
        }
    }

    #[test]
    fn encodings_are_told_apart_by_how_vietnamese_they_read() {
        for text in [TEXT, &TEXT.to_uppercase(), "Đức Hòa", "Tân Thạnh", "mẫu"] {
            for (encoding, bytes) in [
                (TextEncoding::UTF_8, text.as_bytes().to_vec()),
                (TextEncoding::WINDOWS_1258, in_1258(text)),
                (TextEncoding::TCVN3, in_tcvn3(text)),
                (TextEncoding::VNI, in_vni(text)),
            ] {
                let words: Vec<&[u8]> = bytes.split(|b| *b == b' ').collect();
                assert_eq!(guess(words.iter().copied()), Some(encoding), "{text}");
            }
        }
    }

    #[test]
    fn what_western_letters_leave_of_vietnamese_is_western() {
        // As GDAL writes a .dbf without being told an encoding.
        let pieces = [&b"X\xe3 Th?nh ??c"[..], b"G\xf2 D?u", b"Ho\xe0 Th\xe0nh"];
        let western = Some(TextEncoding::WINDOWS_1252);
        assert_eq!(guess_among(pieces.into_iter(), western), western);
        for (encoding, bytes) in [(TextEncoding::TCVN3, in_tcvn3(TEXT)), (TextEncoding::VNI, in_vni(TEXT))] {
            assert_eq!(guess_among(std::iter::once(bytes.as_slice()), western), Some(encoding));
        }
    }

    #[test]
    fn other_languages_are_not_taken_for_vietnamese() {
        for text in [
            &b"K\xf6ln \xfcber Stra\xdfe M\xfcnchen"[..],
            b"\xcc\xee\xf1\xea\xe2\xe0 \xd0\xee\xf1\xf1\xe8\xff",
            b"\xff\x81\x8d",
        ] {
            assert_eq!(guess(std::iter::once(text)), None, "{text:?}");
        }
    }

    #[test]
    fn names_of_code_pages_are_understood() {
        for (name, encoding) in [
            ("UTF-8", "UTF-8"),
            ("65001", "UTF-8"),
            ("1258\r\n", "windows-1258"),
            ("ANSI 1258", "windows-1258"),
            ("ISO 88591", "windows-1252"),
            ("ISO-8859-1", "windows-1252"),
            ("TCVN3 (ABC)", "TCVN3"),
            ("runes", ""),
            ("TCVN5712-1", "TCVN3"),
            ("VNI-Win", "VNI"),
            ("Big5", "Big5"),
        ] {
            assert_eq!(TextEncoding::by_name(name).map_or("", TextEncoding::name), encoding, "{name}");
        }
    }

    #[test]
    fn letters_cut_by_a_narrow_column_are_dropped() {
        let bytes = "Tây Ninh – Đức".as_bytes();
        assert_eq!(TextEncoding::UTF_8.decode(&bytes[..bytes.len() - 2]).as_deref(), Some("Tây Ninh – Đ"));
        assert_eq!(TextEncoding::UTF_8.decode(b"\xff"), None);
    }
}
