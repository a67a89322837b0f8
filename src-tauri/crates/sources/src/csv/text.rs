//! Which encoding a table is in, and its bytes as UTF-8.

use crate::encoding::{self, TextEncoding};
use crate::file::ReadError;
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use std::io::{self, Read};
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
    pub(super) encoding: TextEncoding,
    pub(super) warning: Option<String>,
}

/// Lines with other letters than ASCII's that are kept to judge by.
const SAMPLE_BYTES: usize = 256 << 10;

/// Reads the whole stream once, unless the caller has said what it is: valid UTF-8 is UTF-8; otherwise the old encoding in
/// which it reads as Vietnamese.
///
/// # Errors
/// `encoding` with the offset of the first byte that is neither.
pub(super) fn guess(path: &Path, mut reader: impl Read, stated: Option<TextEncoding>) -> Result<Guess, ReadError> {
    if let Some(encoding) = stated {
        return Ok(Guess { encoding, warning: None });
    }
    let mut chunk = vec![0; 256 << 10];
    let mut kept = 0;
    let mut offset: u64 = 0;
    let mut first = true;
    let mut bad_at: Option<u64> = None;
    // Kept on the way, so that one pass is enough.
    let mut sample: Vec<Vec<u8>> = Vec::new();
    let mut sampled = 0;
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
                return Ok(Guess { encoding: encoding.into(), warning });
            }
        }
        if let Some(at) = chunk[kept..len].iter().position(|b| *b == 0) {
            return Err(ReadError::Encoding {
                path: path.to_path_buf(),
                offset: offset + (kept + at) as u64,
                reason: "zero bytes in text".into(),
            });
        }
        for line in chunk[kept..len].split(|b| *b == b'\n').filter(|line| !line.is_ascii()) {
            if sampled < SAMPLE_BYTES {
                sampled += line.len();
                sample.push(line.to_vec());
            }
        }
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
    let Some(offset) = bad_at else { return Ok(Guess { encoding: TextEncoding::UTF_8, warning: None }) };
    let guessed = encoding::guess(sample.iter().map(Vec::as_slice)).filter(|guess| *guess != TextEncoding::UTF_8);
    match guessed {
        Some(encoding) => {
            let warning = format!("encoding_guessed: the text is not UTF-8; it was read as {}", encoding.name());
            Ok(Guess { encoding, warning: Some(warning) })
        }
        None => Err(ReadError::Encoding {
            path: path.to_path_buf(),
            offset,
            reason: "neither UTF-8, nor UTF-16, nor Vietnamese in windows-1258, TCVN3 or VNI; say what it is with --encoding".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> Result<&'static str, String> {
        guess(Path::new("x.csv"), bytes, None).map(|guess| guess.encoding.name()).map_err(|error| error.code().into())
    }

    #[test]
    fn encodings_are_told_apart() {
        let text = "mã,tên\n1,Trạm Trảng Bàng\n2,Thị xã Hòa Thành – Tây Ninh\n";
        assert_eq!(name(text.as_bytes()), Ok("UTF-8"));
        let nfd_1258: Vec<u8> = b"m\xe3,t\xean\n1,Tra\xf2m Tra\xd2ng Ba\xccng\n2,\xd0\xfd\xec\x63\n".to_vec();
        assert_eq!(name(&nfd_1258), Ok("windows-1258"));
        assert_eq!(name(b"m\xb7,t\xaan\n1,Tr\xb9m Tr\xb6ng B\xb5ng\n"), Ok("TCVN3"));
        assert_eq!(name(b"ma\xf5,te\xe2n\n1,Tra\xefm Tra\xfbng Ba\xf8ng\n"), Ok("VNI"));
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
