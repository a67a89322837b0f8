//! The order in which boxes are packed, made while they come.

use crate::grid::{GridBox, NOWHERE};
use crate::node::NODE;

const MAGIC: &[u8] = b"TCIDX\0\0\x02";
/// Items are collected in pieces, so that growing never holds two copies of the whole.
const PIECE: usize = 1 << 16;

/// A box's centre and its ordinal.
#[derive(Clone, Copy)]
struct Item {
    centre: [i32; 2],
    ordinal: u32,
}

/// Collects boxes in ordinal order, 12 bytes each.
#[derive(Default)]
pub(crate) struct Ordering {
    pieces: Vec<Vec<Item>>,
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
            match self.pieces.last_mut().filter(|piece| piece.len() < PIECE) {
                Some(piece) => piece.push(item),
                None => {
                    let mut piece = Vec::with_capacity(if self.pieces.is_empty() { 0 } else { PIECE });
                    piece.push(item);
                    self.pieces.push(piece);
                }
            }
        }
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Ordinals in the order of a k-d tree whose splits fall on node borders (the bulk loading of Lee & Lee 2003, "OMT"):
    /// nodes come out square and, for points, without overlap.
    pub fn finish(self) -> Vec<u32> {
        let mut items = Vec::with_capacity(self.pieces.iter().map(Vec::len).sum());
        for piece in self.pieces {
            items.extend_from_slice(&piece);
        }
        let bounds = items.iter().fold(NOWHERE, |b, item| {
            let [x, y] = item.centre;
            [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)]
        });
        split(&mut items, bounds);
        items.into_iter().map(|item| item.ordinal).collect()
    }

    /// The order as an opaque blob: magic, format, count, a check sum over the boxes, then the ordinals.
    ///
    /// Bounds are not in it: they come from the features anyway, and a blob that cannot lie about them needs no trust.
    pub fn to_bytes(self) -> Vec<u8> {
        let (count, sum) = (self.count, self.sum.0);
        let order = self.finish();
        let mut out = Vec::with_capacity(20 + order.len() * 4);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&sum.to_le_bytes());
        for ordinal in &order {
            out.extend_from_slice(&ordinal.to_le_bytes());
        }
        out
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

fn split(items: &mut [Item], bounds: GridBox) {
    if items.len() <= NODE {
        return;
    }
    // What one child of the node over these items holds when full.
    let mut child = NODE;
    while child * NODE < items.len() {
        child *= NODE;
    }
    let left = items.len().div_ceil(child) / 2 * child;
    let axis = usize::from(i64::from(bounds[3]) - i64::from(bounds[1]) > i64::from(bounds[2]) - i64::from(bounds[0]));
    // The ordinal settles ties, so that the order does not depend on the selection's mood.
    let (_, middle, _) = items.select_nth_unstable_by_key(left, |item| (item.centre[axis], item.ordinal));
    let at = middle.centre[axis];
    let (below, above) = items.split_at_mut(left);
    let (mut low, mut high) = (bounds, bounds);
    low[axis + 2] = at;
    high[axis] = at;
    split(below, low);
    split(above, high);
}
