//! FlatBuffers, read with every offset checked: a table of fields by their number, whatever the bytes say.

/// A table inside a buffer. Copies nothing.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    slots: usize,
    slots_end: usize,
}

impl<'a> Table<'a> {
    /// The table that a buffer begins with.
    pub(super) fn root(bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes, uint(bytes, 0)?)
    }

    fn new(bytes: &'a [u8], at: usize) -> Option<Self> {
        let back = i64::from(i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let slots = usize::try_from(i64::try_from(at).ok()?.checked_sub(back)?).ok()?;
        let len = usize::from(u16::from_le_bytes(*bytes.get(slots..)?.first_chunk()?));
        let slots_end = slots.checked_add(len).filter(|end| *end <= bytes.len() && len >= 4)?;
        Some(Self { bytes, at, slots: slots + 4, slots_end })
    }

    /// Where a field lies; `None` when the table leaves it out.
    fn field(&self, number: usize) -> Option<usize> {
        let slot = self.slots + number * 2;
        if slot + 2 > self.slots_end {
            return None;
        }
        let offset = usize::from(u16::from_le_bytes(*self.bytes.get(slot..)?.first_chunk()?));
        (offset > 0).then_some(self.at + offset)
    }

    pub(super) fn scalar<const N: usize>(&self, number: usize) -> Option<[u8; N]> {
        self.bytes.get(self.field(number)?..)?.first_chunk().copied()
    }

    pub(super) fn byte(&self, number: usize) -> Option<u8> {
        self.scalar::<1>(number).map(|[byte]| byte)
    }

    /// The place that a field points to.
    fn target(&self, number: usize) -> Option<usize> {
        let at = self.field(number)?;
        at.checked_add(uint(self.bytes, at)?)
    }

    /// A vector of elements of `size` bytes, as one piece; empty when it is left out. `None` when it reaches beyond the
    /// buffer.
    pub(super) fn vector(&self, number: usize, size: usize) -> Option<&'a [u8]> {
        if self.field(number).is_none() {
            return Some(&[]);
        }
        let at = self.target(number)?;
        let len = uint(self.bytes, at)?.checked_mul(size)?;
        self.bytes.get(at + 4..)?.get(..len)
    }

    pub(super) fn text(&self, number: usize) -> Option<&'a str> {
        std::str::from_utf8(self.vector(number, 1)?).ok().filter(|text| !text.is_empty())
    }

    pub(super) fn table(&self, number: usize) -> Option<Self> {
        Self::new(self.bytes, self.target(number)?)
    }

    /// The tables of a vector of tables; `None` when one of them is none.
    pub(super) fn tables(&self, number: usize) -> Option<impl Iterator<Item = Option<Self>> + use<'a>> {
        let offsets = self.vector(number, 4)?;
        let bytes = self.bytes;
        let from = if offsets.is_empty() { 0 } else { self.target(number)? + 4 };
        let one =
            move |(nth, offset): (usize, &[u8])| Self::new(bytes, (from + nth * 4).checked_add(uint(offset, 0)?)?);
        Some(offsets.chunks_exact(4).enumerate().map(one))
    }
}

fn uint(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}
