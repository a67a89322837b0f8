//! FlatBuffers out: tables, vectors and texts one behind the other, each aligned as its elements want.

/// A buffer with its length in front. Places are counted from that length on, as readers align by it.
pub(super) struct Builder {
    bytes: Vec<u8>,
}

/// A field of a table by its bytes; an offset is put in later.
pub(super) enum Slot {
    Bytes(Vec<u8>),
    Offset,
}

impl Slot {
    pub(super) fn byte(value: u8) -> Self {
        Self::Bytes(vec![value])
    }
}

impl Builder {
    /// Room for the length and for the way to the root table, which comes next.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; 8] }
    }

    /// A table of fields `(number, content)`; the places of its offsets, in the same order.
    pub(super) fn table(&mut self, fields: &[(usize, Slot)]) -> (usize, Vec<usize>) {
        let count = fields.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
        let slots = 4 + 2 * count;
        self.align(2, 0);
        let table_slots = self.bytes.len();
        self.bytes.resize(table_slots + slots, 0);
        self.align(8, 0);
        let table = self.bytes.len();
        let back = i32::try_from(table - table_slots).unwrap_or(i32::MAX);
        self.bytes.extend(back.to_le_bytes());
        let mut offsets = Vec::new();
        for (number, slot) in fields {
            let content = match slot {
                Slot::Bytes(bytes) => bytes.as_slice(),
                Slot::Offset => &[0; 4],
            };
            self.align(content.len(), 0);
            let at = self.bytes.len();
            if matches!(slot, Slot::Offset) {
                offsets.push(at);
            }
            self.bytes.extend(content);
            self.short(table_slots + 4 + number * 2, at - table);
        }
        let len = self.bytes.len() - table;
        self.short(table_slots, slots);
        self.short(table_slots + 2, len);
        (table, offsets)
    }

    /// A vector of elements of `size` bytes that are already in order.
    pub(super) fn vector(&mut self, size: usize, elements: &[u8]) -> usize {
        self.align(size.max(4), 4);
        let at = self.bytes.len();
        self.bytes.extend(uint(elements.len() / size));
        self.bytes.extend(elements);
        at
    }

    /// A vector of `count` offsets, and where they belong.
    pub(super) fn offsets(&mut self, count: usize) -> (usize, Vec<usize>) {
        let at = self.vector(4, &vec![0; count * 4]);
        (at, (0..count).map(|nth| at + 4 + nth * 4).collect())
    }

    pub(super) fn text(&mut self, text: &str) -> usize {
        let at = self.vector(1, text.as_bytes());
        self.bytes.push(0);
        at
    }

    /// Makes the offset at `place` lead to `target`, which lies behind it.
    pub(super) fn lead(&mut self, place: usize, target: usize) {
        self.bytes[place..place + 4].copy_from_slice(&uint(target - place));
    }

    /// Its length goes in front.
    pub(super) fn finish(mut self, root: usize) -> Vec<u8> {
        self.lead(4, root);
        self.align(8, 0);
        let len = self.bytes.len() - 4;
        self.bytes[..4].copy_from_slice(&uint(len));
        self.bytes
    }

    fn short(&mut self, place: usize, value: usize) {
        self.bytes[place..place + 2].copy_from_slice(&u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes());
    }

    /// Pads so that what follows `ahead` further bytes stands at a multiple of `size`.
    fn align(&mut self, size: usize, ahead: usize) {
        while !(self.bytes.len() + ahead).is_multiple_of(size) {
            self.bytes.push(0);
        }
    }
}

/// Lengths and ways within a buffer; [`super::write`] keeps buffers below 4 GB.
fn uint(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}
