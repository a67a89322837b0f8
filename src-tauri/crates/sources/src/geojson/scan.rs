//! A window on a byte stream that finds where a JSON value ends without building it.

use memchr::memmem::Finder;
use std::io::{self, Read};
use std::sync::LazyLock;

const CHUNK: usize = 256 << 10;
/// As deep as serde_json reads.
pub(super) const MAX_DEPTH: u32 = 127;

/// The bytes between `keep` and `end` are in memory, nothing before.
pub(super) struct Window<R> {
    reader: R,
    buffer: Vec<u8>,
    /// First byte that is still wanted.
    keep: usize,
    /// The next byte to look at.
    at: usize,
    end: usize,
    /// Offset in the file of `buffer[0]`.
    base: u64,
    eof: bool,
    limit: usize,
}

/// How a value ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// `at` stands behind it.
    Whole,
    /// A closing bracket that nothing opened: `at` stands on it.
    Mismatch,
    TooDeep,
    /// Longer than the window may become.
    TooLong,
    /// The bytes are at an end, the value is not.
    Eof,
    /// The same, inside a text: a quotation mark is missing somewhere.
    EofInText,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: Vec::new(), keep: 0, at: 0, end: 0, base: 0, eof: false, limit: limit.max(1 << 10) }
    }

    /// Offset in the file of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Reads on. `Ok(false)` at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.eof {
            return Ok(false);
        }
        if self.keep > 0 {
            self.buffer.copy_within(self.keep..self.end, 0);
            self.base += self.keep as u64;
            self.at -= self.keep;
            self.end -= self.keep;
            self.keep = 0;
        }
        // The room that one huge value took is given back.
        if self.buffer.len() > 16 * CHUNK && self.end < CHUNK {
            self.buffer.truncate(4 * CHUNK);
            self.buffer.shrink_to_fit();
        }
        if self.buffer.len() < self.end + CHUNK {
            self.buffer.resize(self.end + CHUNK.max(self.end / 2), 0);
        }
        let room = self.end..(self.end + CHUNK);
        let read = loop {
            match self.reader.read(&mut self.buffer[room.clone()]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += read;
        self.eof = read == 0;
        Ok(!self.eof)
    }

    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        while self.at == self.end {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer[self.at]))
    }

    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// Forgets everything before the next byte.
    pub(super) fn release(&mut self) {
        self.keep = self.at;
    }

    /// A place in the kept bytes that survives reading on.
    pub(super) fn mark(&self) -> usize {
        self.at - self.keep
    }

    /// The bytes from a mark to the next byte.
    pub(super) fn since(&self, mark: usize) -> &[u8] {
        &self.buffer[self.keep + mark..self.at]
    }

    /// Goes back to a mark.
    pub(super) fn rewind(&mut self, mark: usize) {
        self.at = self.keep + mark;
    }

    /// Steps over blanks (and the RS of GeoJSON sequences); the next byte after them. Kept bytes grow no further when
    /// `release` is set.
    pub(super) fn blanks(&mut self, release: bool) -> io::Result<Option<u8>> {
        loop {
            let rest = &self.buffer[self.at..self.end];
            match rest.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0x1e)) {
                Some(skip) => {
                    self.at += skip;
                    if release {
                        self.release();
                    }
                    return Ok(Some(self.buffer[self.at]));
                }
                None => {
                    self.at = self.end;
                    if release {
                        self.release();
                    }
                    if self.end - self.keep > self.limit || !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Goes to the end of the text that starts at the next byte, a quotation mark.
    pub(super) fn text(&mut self) -> io::Result<End> {
        self.step();
        let mut escaped = false;
        loop {
            while self.at < self.end {
                let byte = self.buffer[self.at];
                self.at += 1;
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => return Ok(End::Whole),
                    _ => {}
                }
            }
            if let Some(end) = self.more()? {
                return Ok(end);
            }
        }
    }

    /// Goes to the end of the object or list that starts at the next byte.
    pub(super) fn nested(&mut self) -> io::Result<End> {
        // One bit a level: 1 for an object, 0 for a list.
        let mut stack: u128 = 0;
        let mut depth: u32 = 0;
        let mut in_text = false;
        let mut escaped = false;
        loop {
            let bytes = &self.buffer[..self.end];
            let mut at = self.at;
            while at < bytes.len() {
                if in_text {
                    if escaped {
                        escaped = false;
                        at += 1;
                        continue;
                    }
                    match bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\')) {
                        None => at = bytes.len(),
                        Some(skip) => {
                            at += skip;
                            if bytes[at] == b'"' {
                                in_text = false
                            } else {
                                escaped = true
                            }
                            at += 1;
                        }
                    }
                    continue;
                }
                at = next_mark(bytes, at);
                let Some(byte) = bytes.get(at) else { break };
                match byte {
                    b'"' => in_text = true,
                    b'{' | b'[' => {
                        if depth == MAX_DEPTH {
                            self.at = at;
                            return Ok(End::TooDeep);
                        }
                        stack = stack << 1 | u128::from(*byte == b'{');
                        depth += 1;
                    }
                    _ => {
                        if (stack & 1 == 1) != (*byte == b'}') || depth == 0 {
                            self.at = at;
                            return Ok(End::Mismatch);
                        }
                        stack >>= 1;
                        depth -= 1;
                        if depth == 0 {
                            self.at = at + 1;
                            return Ok(End::Whole);
                        }
                    }
                }
                at += 1;
            }
            self.at = at;
            match self.more()? {
                Some(End::Eof) if in_text => return Ok(End::EofInText),
                Some(end) => return Ok(end),
                None => {}
            }
        }
    }

    /// Goes to the end of a number or word.
    pub(super) fn word(&mut self) -> io::Result<End> {
        loop {
            while self.at < self.end {
                if matches!(self.buffer[self.at], b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
                    return Ok(End::Whole);
                }
                self.at += 1;
            }
            match self.more()? {
                Some(End::Eof) => return Ok(End::Whole),
                Some(end) => return Ok(end),
                None => {}
            }
        }
    }

    /// Goes to the end of any value.
    pub(super) fn value(&mut self) -> io::Result<End> {
        match self.peek()? {
            Some(b'"') => self.text(),
            Some(b'{' | b'[') => self.nested(),
            Some(_) => self.word(),
            None => Ok(End::Eof),
        }
    }

    fn more(&mut self) -> io::Result<Option<End>> {
        if self.end - self.keep > self.limit {
            return Ok(Some(End::TooLong));
        }
        Ok(if self.fill()? { None } else { Some(End::Eof) })
    }

    /// Looks for the next place where a feature starts, `{"type": "Feature"` with any blanks, from the next byte on, and
    /// stands on it. In bounded memory; `Ok(false)` at the end of the stream.
    pub(super) fn find_feature(&mut self) -> io::Result<bool> {
        const LONGEST: usize = 64;
        loop {
            let mut at = self.at;
            while let Some(skip) = self.buffer[at..self.end].iter().position(|b| *b == b'{') {
                at += skip;
                if self.end - at < LONGEST && !self.eof {
                    break;
                }
                if starts_feature(&self.buffer[at..self.end]) {
                    self.at = at;
                    self.release();
                    return Ok(true);
                }
                at += 1;
            }
            // An opening brace near the end waits for its rest.
            let waits = self.buffer[at..self.end].first() == Some(&b'{') && !self.eof;
            self.at = if waits { at } else { self.end };
            self.release();
            if !self.fill()? && !waits {
                return Ok(false);
            }
        }
    }

    /// Goes behind the next line feed; `Ok(false)` at the end of the stream.
    pub(super) fn next_line(&mut self) -> io::Result<bool> {
        loop {
            if let Some(skip) = self.buffer[self.at..self.end].iter().position(|b| *b == b'\n') {
                self.at += skip + 1;
                self.release();
                return Ok(true);
            }
            self.at = self.end;
            self.release();
            if !self.fill()? {
                return Ok(false);
            }
        }
    }
}

/// The next quotation mark or bracket from `at` on, or the end.
fn next_mark(bytes: &[u8], mut at: usize) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest of the set bits tells the first zero byte.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        // Brackets and braces differ in these bits only; so do Y, y, _ and DEL from them, which is looked at below.
        let brackets = (word | (LOW * 0x26)) ^ (LOW * 0x7f);
        let found = zeros(word ^ (LOW * u64::from(b'"'))) | zeros(brackets);
        if found == 0 {
            at += 8;
            continue;
        }
        at += found.trailing_zeros() as usize / 8;
        if is_mark(bytes[at]) {
            return at;
        }
        at += 1;
    }
    bytes[at.min(bytes.len())..].iter().position(|byte| is_mark(*byte)).map_or(bytes.len(), |skip| at + skip)
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')
}

fn starts_feature(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    for word in ["{", "\"type\"", ":", "\"Feature\""] {
        let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count();
        match rest[blanks..].strip_prefix(word.as_bytes()) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    true
}

/// Where another feature starts inside the slice, behind its first byte.
pub(super) fn holds_another(slice: &[u8]) -> Option<usize> {
    static WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"Feature\""));
    WORD.find_iter(slice).find_map(|at| {
        let mut before = &slice[..at];
        for word in [":", "\"type\"", "{"] {
            let end = before.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'))?;
            before = before[..=end].strip_suffix(word.as_bytes())?;
        }
        (!before.is_empty()).then_some(before.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_feature_inside_is_found_wherever_it_starts() {
        let feature = "{ \"type\" :\r\n\"Feature\"}";
        assert_eq!(holds_another(feature.as_bytes()), None);
        assert_eq!(holds_another(format!("{{\"a\":[{feature},{feature}").as_bytes()), Some(6));
        assert_eq!(holds_another(b"{\"geometry\":{},\"type\":\"Feature\"}"), None);
    }

    proptest! {
        #[test]
        fn next_mark_is_the_first(bytes in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => prop::sample::select(b"\"{}[]yY_\x7f".to_vec())], 0..64), at in 0..64_usize) {
            let at = at.min(bytes.len());
            let expected = (at..bytes.len()).find(|at| is_mark(bytes[*at])).unwrap_or(bytes.len());
            prop_assert_eq!(next_mark(&bytes, at), expected);
        }
    }
}
