//! The vector tile's bytes: protocol buffers by hand (Mapbox Vector Tile 2.1).

use crate::table::Cell;
use model::Value;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A position inside a tile: x right, y down, in units of which [`crate::EXTENT`] make a tile.
pub(crate) type Place = [i32; 2];

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[allow(clippy::cast_possible_truncation)]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation)]
    out.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn zigzag(value: i32) -> u64 {
    u64::from((value.cast_unsigned() << 1) ^ (value >> 31).cast_unsigned())
}

/// A length-delimited field.
pub(crate) fn bytes_field(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A `Value` message; empty for null, which a tile cannot hold.
pub(crate) fn value_message(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Null => {}
        Value::Text(text) => bytes_field(&mut out, 1, text.as_bytes()),
        Value::Real(real) => {
            out.push(3 << 3 | 1);
            out.extend_from_slice(&real.to_le_bytes());
        }
        Value::Integer(number) => {
            if let Ok(natural) = u64::try_from(*number) {
                out.push(5 << 3);
                varint(&mut out, natural);
            } else {
                out.push(6 << 3);
                varint(&mut out, ((number << 1) ^ (number >> 63)).cast_unsigned());
            }
        }
        Value::Bool(yes) => out.extend_from_slice(&[7 << 3, u8::from(*yes)]),
    }
    out
}

/// `GeomType` of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Point = 1,
    Line = 2,
    Polygon = 3,
}

/// The command stream of one geometry; the cursor runs on from path to path.
#[derive(Default)]
pub(crate) struct Commands {
    bytes: Vec<u8>,
    cursor: Place,
}

const MOVE_TO: u64 = 1;
const LINE_TO: u64 = 2;
const CLOSE: u8 = 7 | 1 << 3;

impl Commands {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.cursor = [0, 0];
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn step(&mut self, to: Place) {
        let [x, y] = [0, 1].map(|axis| zigzag(to[axis].wrapping_sub(self.cursor[axis])));
        self.cursor = to;
        // Most steps are short: one byte for each axis.
        #[allow(clippy::cast_possible_truncation)]
        if x | y < 0x80 {
            self.bytes.extend_from_slice(&[x as u8, y as u8]);
        } else {
            varint(&mut self.bytes, x);
            varint(&mut self.bytes, y);
        }
    }

    /// Points: one command for all of them, so call it once.
    pub fn points(&mut self, places: &[Place]) {
        if !places.is_empty() {
            varint(&mut self.bytes, MOVE_TO | (places.len() as u64) << 3);
            places.iter().for_each(|p| self.step(*p));
        }
    }

    pub fn line(&mut self, places: &[Place]) {
        if let [first, rest @ ..] = places
            && !rest.is_empty()
        {
            varint(&mut self.bytes, MOVE_TO | 1 << 3);
            self.step(*first);
            varint(&mut self.bytes, LINE_TO | (rest.len() as u64) << 3);
            rest.iter().for_each(|p| self.step(*p));
        }
    }

    /// A ring without its closing repetition, in the direction given.
    pub fn ring(&mut self, places: impl ExactSizeIterator<Item = Place>) {
        let count = places.len();
        if count < 3 {
            return;
        }
        for (i, place) in places.enumerate() {
            match i {
                0 => varint(&mut self.bytes, MOVE_TO | 1 << 3),
                1 => varint(&mut self.bytes, LINE_TO | (count as u64 - 1) << 3),
                _ => {}
            }
            self.step(place);
        }
        self.bytes.push(CLOSE);
    }
}

/// Small keys, already spread by nature: multiply and fold.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.cast_unsigned() as u64);
    }
}

/// One tile with one layer, written feature by feature.
pub(crate) struct LayerWriter {
    features: Vec<u8>,
    values: Vec<u8>,
    value_count: u32,
    /// The layer's cell → number in this tile.
    local: HashMap<Cell, u32, BuildHasherDefault<Spread>>,
    tags: Vec<u8>,
    count: usize,
}

impl LayerWriter {
    /// With room for about so many.
    pub fn for_features(count: usize) -> Self {
        Self {
            features: Vec::with_capacity((4 << 10) + count * 56),
            values: Vec::with_capacity((1 << 10) + count * 48),
            value_count: 0,
            local: HashMap::with_capacity_and_hasher(count, BuildHasherDefault::default()),
            tags: Vec::new(),
            count: 0,
        }
    }

    /// How many features it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds a tag with the value of a cell, whose `Value` message is asked for once a tile.
    pub fn tag(&mut self, key: u32, cell: Cell, message: impl FnOnce() -> Vec<u8>) {
        let values = &mut self.values;
        let next = &mut self.value_count;
        let local = *self.local.entry(cell).or_insert_with(|| {
            bytes_field(values, 4, &message());
            *next += 1;
            *next - 1
        });
        varint(&mut self.tags, u64::from(key));
        varint(&mut self.tags, u64::from(local));
    }

    /// Adds a tag whose text no other feature has.
    pub fn tag_unique(&mut self, key: u32, text: &str) {
        varint(&mut self.values, 4 << 3 | 2);
        varint(&mut self.values, (1 + varint_len(text.len() as u64) + text.len()) as u64);
        bytes_field(&mut self.values, 1, text.as_bytes());
        varint(&mut self.tags, u64::from(key));
        varint(&mut self.tags, u64::from(self.value_count));
        self.value_count += 1;
    }

    /// Closes a feature with the tags added since the last one.
    pub fn feature(&mut self, id: u32, kind: Kind, commands: &Commands) {
        let tags = 1 + varint_len(self.tags.len() as u64) + self.tags.len();
        let geometry = 1 + varint_len(commands.bytes.len() as u64) + commands.bytes.len();
        let length = 1 + varint_len(u64::from(id)) + tags + 2 + geometry;
        varint(&mut self.features, 2 << 3 | 2);
        varint(&mut self.features, length as u64);
        self.features.push(1 << 3);
        varint(&mut self.features, u64::from(id));
        bytes_field(&mut self.features, 2, &self.tags);
        self.features.extend_from_slice(&[3 << 3, kind as u8]);
        bytes_field(&mut self.features, 4, &commands.bytes);
        self.tags.clear();
        self.count += 1;
    }

    /// The whole tile.
    pub fn finish(self, name: &str, extent: u32, keys: &[String]) -> Vec<u8> {
        let mut head = Vec::with_capacity(64);
        bytes_field(&mut head, 1, name.as_bytes());
        let mut tail = Vec::with_capacity(64);
        for key in keys {
            bytes_field(&mut tail, 3, key.as_bytes());
        }
        let mut foot = vec![5 << 3];
        varint(&mut foot, u64::from(extent));
        foot.extend_from_slice(&[15 << 3, 2]);
        let length = head.len() + self.features.len() + tail.len() + self.values.len() + foot.len();
        let mut out = Vec::with_capacity(length + 8);
        varint(&mut out, 3 << 3 | 2);
        varint(&mut out, length as u64);
        for part in [&head, &self.features, &tail, &self.values, &foot] {
            out.extend_from_slice(part);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_specification_says() {
        let mut out = Vec::new();
        varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02]);
        assert_eq!([0, -1, 1, i32::MIN].map(zigzag), [0, 1, 2, 0xffff_ffff]);
        for value in [0, 127, 128, 16_383, 16_384, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
    }

    #[test]
    fn polygon_commands_match_the_example_of_the_specification() {
        // MVT 2.1, 4.3.5.5: POLYGON((3 6, 8 12, 20 34, 3 6)) → [9 6 12 18 10 12 24 44 15].
        let mut commands = Commands::default();
        commands.ring([[3, 6], [8, 12], [20, 34]].into_iter());
        assert_eq!(commands.bytes, [9, 6, 12, 18, 10, 12, 24, 44, 15]);
        // 4.3.5.3: LINESTRING(2 2, 2 10, 10 10) → [9 4 4 18 0 16 16 0].
        commands.clear();
        commands.line(&[[2, 2], [2, 10], [10, 10]]);
        assert_eq!(commands.bytes, [9, 4, 4, 18, 0, 16, 16, 0]);
        // 4.3.5.2: MULTIPOINT((5 7), (3 2)) → [17 10 14 3 9].
        commands.clear();
        commands.points(&[[5, 7], [3, 2]]);
        assert_eq!(commands.bytes, [17, 10, 14, 3, 9]);
    }
}
