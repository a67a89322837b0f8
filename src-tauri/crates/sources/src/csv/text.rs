//! Which encoding a table is in, and its bytes as UTF-8.

use crate::file::ReadError;
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1258};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// UTF-16 by its byte order mark, or by the zero bytes of its Latin letters.
pub(crate) fn wide_encoding(head: &[u8]) -> Option<&'static Encoding> {
    match head {
        [0xff, 0xfe, ..] => return Some(UTF_16LE),
        [0xfe, 0xff, ..] => return Some(UTF_16BE),
        _ => {}
    }
    let pairs = head.len().min(512) / 2;
    if pairs < 8 {
        return None;
    }
    let zeros = |odd: usize| (0..pairs).filter(|pair| head[pair * 2 + odd] == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    match () {
        () if odd * 10 > pairs * 6 && even == 0 => Some(UTF_16LE),
        () if even * 10 > pairs * 6 && odd == 0 => Some(UTF_16BE),
        () => None,
    }
}

/// True if the UTF-16 text's first character that is no blank is this one.
pub(crate) fn wide_starts_with(head: &[u8], wanted: char) -> bool {
    let Some(encoding) = wide_encoding(head) else { return false };
    let (text, _, _) = encoding.decode(&head[..head.len().min(512)]);
    text.trim_start_matches('\u{feff}').trim_start().starts_with(wanted)
}

/// What a table's bytes are in.
pub(super) struct Guess {
    pub(super) encoding: &'static Encoding,
    pub(super) warning: Option<String>,
}

/// Reads the whole stream once: valid UTF-8 is UTF-8; otherwise Windows-1258 if everything it says is Vietnamese.
///
/// # Errors
/// `encoding` with the offset of the first byte that is neither.
pub(super) fn guess(path: &Path, mut reader: impl Read) -> Result<Guess, ReadError> {
    let mut chunk = vec![0; 256 << 10];
    let mut kept = 0;
    let mut offset: u64 = 0;
    let mut first = true;
    let mut bad_at: Option<u64> = None;
    // UTF-8 and Windows-1258 are judged side by side, so one pass is enough.
    let mut vietnamese = Vietnamese::default();
    loop {
        let read = loop {
            match reader.read(&mut chunk[kept..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|error| ReadError::from_io(path, &error))?,
            }
        };
        let len = kept + read;
        if first {
            first = false;
            if let Some(encoding) = wide_encoding(&chunk[..len]) {
                let marked = matches!(chunk[..len], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
                let warning = (!marked).then(|| format!("encoding_guessed: read as {}", encoding.name()));
                return Ok(Guess { encoding, warning });
            }
        }
        if let Some(at) = chunk[kept..len].iter().position(|b| *b == 0) {
            return Err(ReadError::Encoding {
                path: path.to_path_buf(),
                offset: offset + (kept + at) as u64,
                reason: "zero bytes in text".into(),
            });
        }
        vietnamese.look(&chunk[kept..len]);
        if read == 0 {
            if kept > 0 {
                bad_at.get_or_insert(offset);
            }
            break;
        }
        kept = 0;
        if bad_at.is_none()
            && let Err(error) = std::str::from_utf8(&chunk[..len])
        {
            let good = error.valid_up_to();
            if error.error_len().is_some() {
                bad_at = Some(offset + good as u64);
            } else {
                // A character cut by the chunk's end.
                chunk.copy_within(good..len, 0);
                kept = len - good;
            }
        }
        offset += (len - kept) as u64;
    }
    match bad_at {
        None => Ok(Guess { encoding: UTF_8, warning: None }),
        Some(_) if vietnamese.plausible() => Ok(Guess {
            encoding: WINDOWS_1258,
            warning: Some("encoding_guessed: the text is not UTF-8; it was read as Windows-1258 (Vietnamese)".into()),
        }),
        Some(offset) => Err(ReadError::Encoding {
            path: path.to_path_buf(),
            offset,
            reason: "neither UTF-8, nor UTF-16, nor Vietnamese in Windows-1258".into(),
        }),
    }
}

/// Counts whether bytes make sense as Vietnamese in Windows-1258: base letters with their own codes, tones as combining
/// marks behind a vowel.
#[derive(Default)]
struct Vietnamese {
    before: u8,
    marks: u64,
    strange: u64,
    high: u64,
}

impl Vietnamese {
    fn look(&mut self, bytes: &[u8]) {
        if bytes.is_ascii() {
            self.before = bytes.last().copied().unwrap_or(self.before);
            return;
        }
        for byte in bytes.iter().copied() {
            if byte >= 0x80 {
                self.high += 1;
                match byte {
                    // Grave, hook above, tilde, acute, dot below.
                    0xcc | 0xd2 | 0xde | 0xec | 0xf2 if is_vowel(self.before) => self.marks += 1,
                    // Ăă Đđ Ơơ Ưư.
                    0xc3 | 0xe3 | 0xd0 | 0xf0 | 0xd5 | 0xf5 | 0xdd | 0xfd => self.marks += 1,
                    // Ââ Êê Ôô and the letters that exist with their tone: ÀÁÈÉÍÓÙÚ.
                    0xc2 | 0xe2 | 0xca | 0xea | 0xd4 | 0xf4 => {}
                    0xc0 | 0xc1 | 0xc8 | 0xc9 | 0xcd | 0xd3 | 0xd9 | 0xda => {}
                    0xe0 | 0xe1 | 0xe8 | 0xe9 | 0xed | 0xf3 | 0xf9 | 0xfa => {}
                    // Quotation marks, dashes, ellipsis, no-break space, ± ² ³ ° µ · ½ × ₫ and the like.
                    0x80
                    | 0x82
                    | 0x84
                    | 0x85
                    | 0x91..=0x97
                    | 0x99
                    | 0xa0
                    | 0xa7
                    | 0xb0..=0xb3
                    | 0xb5
                    | 0xb7
                    | 0xbd
                    | 0xd7
                    | 0xfe => {}
                    _ => self.strange += 1,
                }
            }
            self.before = byte;
        }
    }

    fn plausible(&self) -> bool {
        self.strange == 0 && self.marks > 0 && self.marks * 20 >= self.high
    }
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
        || matches!(byte, 0xc2 | 0xe2 | 0xc3 | 0xe3 | 0xca | 0xea | 0xd4 | 0xf4 | 0xd5 | 0xf5 | 0xdd | 0xfd)
}

/// The stream as UTF-8. A byte order mark is dropped; what cannot be decoded becomes U+FFFD.
pub(super) struct Utf8<R> {
    reader: R,
    decoder: Decoder,
    raw: Vec<u8>,
    raw_span: Range<usize>,
    text: Vec<u8>,
    text_span: Range<usize>,
    done: bool,
}

impl<R: Read> Utf8<R> {
    pub(super) fn new(reader: R, encoding: &'static Encoding) -> Self {
        Self {
            reader,
            decoder: encoding.new_decoder_with_bom_removal(),
            raw: vec![0; 64 << 10],
            raw_span: 0..0,
            text: vec![0; 192 << 10],
            text_span: 0..0,
            done: false,
        }
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.text_span.is_empty() && !self.done {
            if self.raw_span.is_empty() {
                self.raw_span = 0..self.reader.read(&mut self.raw)?;
            }
            let last = self.raw_span.is_empty();
            let (result, read, written, _) =
                self.decoder.decode_to_utf8(&self.raw[self.raw_span.clone()], &mut self.text, last);
            self.raw_span.start += read;
            self.text_span = 0..written;
            self.done = last && result == CoderResult::InputEmpty;
        }
        let given = self.text_span.len().min(out.len());
        let from = self.text_span.start;
        out[..given].copy_from_slice(&self.text[from..from + given]);
        self.text_span.start += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> Result<&'static str, String> {
        guess(Path::new("x.csv"), bytes).map(|guess| guess.encoding.name()).map_err(|error| error.code().into())
    }

    #[test]
    fn encodings_are_told_apart() {
        let text = "mã,tên\n1,Trạm Trảng Bàng\n2,Thị xã Hòa Thành – Tây Ninh\n";
        assert_eq!(name(text.as_bytes()), Ok("UTF-8"));
        let nfd_1258: Vec<u8> = b"m\xe3,t\xean\n1,Tra\xf2m Tra\xd2ng Ba\xccng\n2,\xd0\xfd\xec\x63\n".to_vec();
        assert_eq!(name(&nfd_1258), Ok("windows-1258"));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(name(&[b"\xff\xfe", &wide[..]].concat()), Ok("UTF-16LE"));
        assert_eq!(name(b"id,n\n1,\xff\x81\x8d\x90\n"), Err("encoding".into()));
        assert_eq!(name(b"id,name\n1,Gr\xfc\xdfe aus K\xf6ln\n"), Err("encoding".into()), "Latin-1 is not guessed at");
    }

    #[test]
    fn utf8_cut_by_a_chunk_is_still_utf8() {
        let text = "ư".repeat(300_000);
        assert_eq!(name(format!("a{text}").as_bytes()), Ok("UTF-8"));
        assert_eq!(name(&format!("a{text}").as_bytes()[..600_000]), Err("encoding".into()), "ends inside a letter");
    }
}
