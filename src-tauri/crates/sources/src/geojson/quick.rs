//! Features of the usual shapes, read straight from their bytes.
//!
//! It only ever says yes: whatever is unusual or wrong (collections, nested properties, members that stand twice, empty
//! lists, broken JSON) gives `None`, and [`super::feature::parse`] has the word on it. What it reads, it reads as that
//! does, to the last bit.

use super::coords::{Flat, assemble};
use super::feature::{Parsed, id_of};
use super::number::{Number, number};
use crate::file::stored;
use geo_types::{Coord, Geometry};
use model::{Properties, Value};
use std::borrow::Cow;

/// More positions than this are not kept room for.
const KEPT_POSITIONS: usize = 64 << 10;

/// Reads a Feature. `flat` is room that is used again for the next one.
pub(super) fn parse(slice: &[u8], flat: &mut Flat) -> Option<Parsed> {
    let mut cursor = Cursor { bytes: slice, at: 0 };
    let parsed = cursor.feature(flat);
    if flat.coords.capacity() > KEPT_POSITIONS {
        *flat = Flat::default();
    }
    parsed
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn feature(&mut self, flat: &mut Flat) -> Option<Parsed> {
        let mut geometry = None;
        let mut properties = None;
        let mut id = None;
        let mut kind = false;
        self.object(|cursor, key| {
            match key {
                "geometry" if geometry.is_none() => geometry = Some(cursor.geometry(flat)?),
                "properties" if properties.is_none() => properties = Some(cursor.properties()?),
                "id" if id.is_none() => id = Some(cursor.value()?),
                "type" if !kind => {
                    cursor.text()?;
                    kind = true;
                }
                _ => return None,
            }
            Some(())
        })?;
        self.blanks();
        if self.at != self.bytes.len() {
            return None;
        }
        Some(Parsed {
            id: id.as_ref().and_then(id_of),
            geometry: geometry?,
            properties: properties.unwrap_or_default(),
        })
    }

    fn geometry(&mut self, flat: &mut Flat) -> Option<Geometry<f64>> {
        let mut kind = None;
        let mut level = None;
        self.object(|cursor, key| {
            match key {
                "type" if kind.is_none() => kind = Some(cursor.text()?),
                "coordinates" if level.is_none() => level = Some(cursor.coordinates(flat)?),
                _ => return None,
            }
            Some(())
        })?;
        flat.level = Some(level?);
        assemble(&kind?, flat, Vec::new()).ok().flatten()
    }

    fn properties(&mut self) -> Option<Properties> {
        let mut properties = Properties::new();
        if self.peek() == Some(b'n') {
            self.word(b"null")?;
            return Some(properties);
        }
        self.object(|cursor, key| {
            let value = cursor.value()?;
            properties.insert(stored(key), value);
            Some(())
        })?;
        Some(properties)
    }

    /// Reads an object; `member` gets each name and stands on the value.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.text()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            member(self, &key)?;
            self.blanks();
            match self.next()? {
                b',' => self.blanks(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A value that is neither list nor object.
    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            b'"' => self.text().map(|text| Value::Text(stored(&text))),
            b'n' => self.word(b"null").map(|()| Value::Null),
            b't' => self.word(b"true").map(|()| Value::Bool(true)),
            b'f' => self.word(b"false").map(|()| Value::Bool(false)),
            _ => self.number().map(|number| match number {
                Number::Integer(number) => Value::Integer(number),
                Number::Real(number) => Value::Real(number),
            }),
        }
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                0..0x20 => return None,
                _ => {}
            }
        }
        if escaped {
            return serde_json::from_slice(&self.bytes[start - 1..self.at]).ok().map(Cow::Owned);
        }
        std::str::from_utf8(&self.bytes[start..self.at - 1]).ok().map(Cow::Borrowed)
    }

    /// Reads coordinates of any level into `flat`; the list levels above a position.
    fn coordinates(&mut self, flat: &mut Flat) -> Option<usize> {
        flat.clear();
        let mut open = 0;
        while self.peek()? == b'[' {
            self.at += 1;
            self.blanks();
            open += 1;
        }
        let top = usize::checked_sub(open, 1).filter(|top| *top <= flat.ends.len())?;
        loop {
            flat.coords.push(self.position()?);
            let mut level = 0;
            loop {
                if level == top {
                    return Some(top);
                }
                self.blanks();
                match self.next()? {
                    b',' => break,
                    b']' => {
                        let count = if level == 0 { flat.coords.len() } else { flat.ends[level - 1].len() };
                        flat.ends[level].push(count);
                        level += 1;
                    }
                    _ => return None,
                }
            }
            for _ in 0..=level {
                self.blanks();
                self.expect(b'[')?;
            }
            self.blanks();
        }
    }

    /// Reads a position from its first number to behind its bracket. Height and measure are left out.
    fn position(&mut self) -> Option<Coord<f64>> {
        let x = self.number()?.as_f64();
        self.blanks();
        self.expect(b',')?;
        self.blanks();
        let y = self.number()?.as_f64();
        loop {
            self.blanks();
            match self.next()? {
                b']' => return Some(Coord { x, y }),
                b',' => {
                    self.blanks();
                    self.number()?;
                }
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<Number> {
        let (number, end) = number(self.bytes, self.at)?;
        self.at = end;
        Some(number)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }
}
