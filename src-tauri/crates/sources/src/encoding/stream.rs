//! A stream of bytes as a stream of UTF-8.

use super::TextEncoding;
use encoding_rs::{CoderResult, Decoder};
use std::io::{self, Read};
use std::ops::Range;

/// The stream as UTF-8. A byte order mark is dropped; what cannot be decoded becomes U+FFFD.
pub(crate) struct Utf8<R> {
    reader: R,
    way: Way,
    raw: Vec<u8>,
    raw_span: Range<usize>,
    text: Vec<u8>,
    text_span: Range<usize>,
    done: bool,
}

enum Way {
    Web(Decoder),
    /// What no standard decoder knows, and its bytes that wait for the next ones.
    Old(TextEncoding, Vec<u8>),
}

impl<R: Read> Utf8<R> {
    pub(crate) fn new(reader: R, encoding: TextEncoding) -> Self {
        let way = encoding.web().map_or_else(
            || Way::Old(encoding, Vec::new()),
            |encoding| Way::Web(encoding.new_decoder_with_bom_removal()),
        );
        Self {
            reader,
            way,
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
            match &mut self.way {
                Way::Web(decoder) => {
                    let (result, read, written, _) =
                        decoder.decode_to_utf8(&self.raw[self.raw_span.clone()], &mut self.text, last);
                    self.raw_span.start += read;
                    self.text_span = 0..written;
                    self.done = last && result == CoderResult::InputEmpty;
                }
                Way::Old(encoding, kept) => {
                    kept.extend_from_slice(&self.raw[self.raw_span.clone()]);
                    let whole = kept.len() - if last { 0 } else { encoding.unfinished(kept) };
                    self.text = encoding.decode(&kept[..whole]).unwrap_or_default().into_bytes();
                    self.text_span = 0..self.text.len();
                    kept.drain(..whole);
                    self.raw_span = 0..0;
                    self.done = last;
                }
            }
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

    #[test]
    fn letters_of_two_bytes_are_not_torn_by_a_chunk() {
        for shift in ["", "a"] {
            let bytes = [shift.as_bytes(), &b"a\xe2".repeat(100_000)].concat();
            let mut text = String::new();
            Utf8::new(&bytes[..], TextEncoding::VNI).read_to_string(&mut text).unwrap();
            assert_eq!(text, format!("{shift}{}", "â".repeat(100_000)));
        }
    }
}
