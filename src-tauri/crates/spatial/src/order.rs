//! The order in which boxes are packed, made while they come.

use crate::grid::{GridBox, NOWHERE};
use crate::node::NODE;

const MAGIC: &[u8] = b"TCIDX\0\0\x02";
/// Items are collected in pieces, so that growing never holds two copies of the whole.
const PIECE: usize = if cfg!(test) { 48 } else { 1 << 16 };
/// So many pieces are sorted as one; more are first divided, piece by piece.
const TOGETHER: usize = 16;

/// A box's centre and its ordinal.
#[derive(Clone, Copy)]
struct Item {
    centre: [i32; 2],
    ordinal: u32,
}

impl Item {
    /// What the items are compared by along an axis. The ordinal settles ties, so that the order does not depend on the
    /// selection's mood.
    fn key(&self, axis: usize) -> u64 {
        u64::from(self.centre[axis].cast_unsigned() ^ 0x8000_0000) << 32 | u64::from(self.ordinal)
    }
}

/// Many items, in pieces of one size: what one list gives up, another takes.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Vec<Item>>,
    len: usize,
}

/// Collects boxes in ordinal order, 12 bytes each.
#[derive(Default)]
pub(crate) struct Ordering {
    items: Pieces,
    count: u32,
    sum: CheckSum,
}

impl Ordering {
    pub fn of(boxes: &[GridBox]) -> Self {
        let mut ordering = Self::default();
        boxes.iter().for_each(|b| ordering.push(b));
        ordering
    }

    /// Adds the next box; an empty one has no place.
    pub fn push(&mut self, b: &GridBox) {
        self.sum.add(b);
        if !is_nowhere(b) {
            let item = Item { centre: [b[0].midpoint(b[2]), b[1].midpoint(b[3])], ordinal: self.count };
            self.items.push(item);
        }
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Ordinals in the order of a k-d tree whose splits fall on node borders (the bulk loading of Lee & Lee 2003, "OMT"):
    /// nodes come out square and, for points, without overlap. Takes no more memory than the items have.
    pub fn finish(self) -> Vec<u32> {
        let mut order = Vec::with_capacity(self.items.len);
        self.each(&mut |ordinal| order.push(ordinal));
        order
    }

    fn each(self, f: &mut impl FnMut(u32)) {
        let bounds = self.items.pieces.iter().flatten().fold(NOWHERE, |b, item| {
            let [x, y] = item.centre;
            [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)]
        });
        self.items.order(bounds, f);
    }

    /// The order as an opaque blob: magic, format, count, a check sum over the boxes, then the ordinals.
    ///
    /// Bounds are not in it: they come from the features anyway, and a blob that cannot lie about them needs no trust.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20 + self.items.len * 4);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.sum.0.to_le_bytes());
        self.each(&mut |ordinal| out.extend_from_slice(&ordinal.to_le_bytes()));
        out
    }
}

impl Pieces {
    fn push(&mut self, item: Item) {
        self.len += 1;
        match self.pieces.last_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => piece.push(item),
            None => {
                // The first grows: most layers are smaller than a piece.
                let mut piece = Vec::with_capacity(if self.pieces.is_empty() { 0 } else { PIECE });
                piece.push(item);
                self.pieces.push(piece);
            }
        }
    }

    fn order(self, bounds: GridBox, f: &mut impl FnMut(u32)) {
        if self.pieces.len() <= TOGETHER {
            let mut items = Vec::with_capacity(self.len);
            for piece in self.pieces {
                items.extend_from_slice(&piece);
            }
            split(&mut items, bounds);
            return items.iter().for_each(|item| f(item.ordinal));
        }
        let (left, axis) = halves(self.len, &bounds);
        let middle = self.nth(left, axis);
        let [mut below, mut above] = [Self::default(), Self::default()];
        for piece in self.pieces {
            for item in piece {
                if item.key(axis) < middle { below.push(item) } else { above.push(item) }
            }
        }
        #[allow(clippy::cast_possible_truncation)]
        let [low, high] = divided(bounds, axis, ((middle >> 32) as u32 ^ 0x8000_0000).cast_signed());
        below.order(low, f);
        above.order(high, f);
    }

    /// The key that so many are smaller than, by counting: sixteen bits at a time.
    fn nth(&self, mut rank: usize, axis: usize) -> u64 {
        let mut prefix = 0;
        let mut counts = vec![0_usize; 1 << 16];
        for shift in [48, 32, 16, 0] {
            counts.fill(0);
            for key in self.pieces.iter().flatten().map(|item| item.key(axis)) {
                if shift == 48 || key >> (shift + 16) == prefix {
                    counts[(key >> shift) as usize & 0xffff] += 1;
                }
            }
            let mut digit = 0;
            while rank >= counts[digit] && digit < 0xffff {
                rank -= counts[digit];
                digit += 1;
            }
            prefix = prefix << 16 | digit as u64;
        }
        prefix
    }
}

/// The order from its blob, checked against the boxes.
pub(crate) fn from_bytes(bytes: &[u8], boxes: &[GridBox]) -> Option<Vec<u32>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let filled = boxes.iter().filter(|b| !is_nowhere(b)).count();
    let fits = u32::from_le_bytes(*count) as usize == boxes.len() && rest.len() == filled.checked_mul(4)?;
    let mut found = CheckSum::default();
    boxes.iter().for_each(|b| found.add(b));
    if !fits || u64::from_le_bytes(*sum) != found.0 {
        return None;
    }
    let (words, _) = rest.as_chunks::<4>();
    let order: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let mut seen = vec![false; boxes.len()];
    for &ordinal in &order {
        if is_nowhere(boxes.get(ordinal as usize)?) || std::mem::replace(seen.get_mut(ordinal as usize)?, true) {
            return None;
        }
    }
    Some(order)
}

fn is_nowhere(b: &GridBox) -> bool {
    b[0] > b[2]
}

/// FNV-1a over whole words: not against forgery (nothing is trusted that could hurt), but against a stale blob.
struct CheckSum(u64);

impl Default for CheckSum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl CheckSum {
    fn add(&mut self, b: &GridBox) {
        for pair in b.as_chunks::<2>().0 {
            let word = u64::from(pair[0].cast_unsigned()) << 32 | u64::from(pair[1].cast_unsigned());
            self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }
}

/// How many of so many items come first, and the axis along which.
fn halves(len: usize, bounds: &GridBox) -> (usize, usize) {
    // What one child of the node over these items holds when full.
    let mut child = NODE;
    while child * NODE < len {
        child *= NODE;
    }
    let axis = usize::from(i64::from(bounds[3]) - i64::from(bounds[1]) > i64::from(bounds[2]) - i64::from(bounds[0]));
    (len.div_ceil(child) / 2 * child, axis)
}

fn divided(bounds: GridBox, axis: usize, at: i32) -> [GridBox; 2] {
    let (mut low, mut high) = (bounds, bounds);
    low[axis + 2] = at;
    high[axis] = at;
    [low, high]
}

fn split(items: &mut [Item], bounds: GridBox) {
    if items.len() <= NODE {
        // As their features lie in memory, and the same whatever way they came here.
        return items.sort_unstable_by_key(|item| item.ordinal);
    }
    let (left, axis) = halves(items.len(), &bounds);
    let (_, middle, _) = items.select_nth_unstable_by_key(left, |item| item.key(axis));
    let [low, high] = divided(bounds, axis, middle.centre[axis]);
    let (below, above) = items.split_at_mut(left);
    split(below, low);
    split(above, high);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_ordered_as_one_list_is(all in prop::collection::vec((any::<i32>(), -3..3_i32), 0..4_000)) {
            let boxes: Vec<GridBox> = all.iter().map(|(x, y)| [*x, *y, *x, *y]).collect();
            let mut ordering = Ordering::of(&boxes);
            let in_pieces = Ordering::of(&boxes).finish();
            let together = ordering.items.pieces.concat();
            ordering.items.pieces = vec![together];
            prop_assert_eq!(in_pieces, ordering.finish());
        }
    }
}
