//! The nodes of the packed index: sixteen boxes or cells at a time, compared without a branch.

use crate::grid::GridBox;

/// Children per node. Sixteen boxes as four arrays of sixteen `i32` are four cache lines, and the compare loop
/// vectorises.
pub(crate) const NODE: usize = 16;

/// The bounds of up to sixteen children; unused places hold [`NOWHERE`].
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub west: [i32; NODE],
    pub south: [i32; NODE],
    pub east: [i32; NODE],
    pub north: [i32; NODE],
}

impl Node {
    pub const EMPTY: Self =
        Self { west: [i32::MAX; NODE], south: [i32::MAX; NODE], east: [i32::MIN; NODE], north: [i32::MIN; NODE] };

    pub fn set(&mut self, place: usize, b: GridBox) {
        [self.west[place], self.south[place], self.east[place], self.north[place]] = b;
    }

    pub fn bounds(&self) -> GridBox {
        let min = |v: &[i32; NODE]| v.iter().copied().fold(i32::MAX, i32::min);
        let max = |v: &[i32; NODE]| v.iter().copied().fold(i32::MIN, i32::max);
        [min(&self.west), min(&self.south), max(&self.east), max(&self.north)]
    }

    /// Bit i of the first mask: child i meets the box. Of the second: it lies strictly inside.
    #[inline]
    pub fn compare(&self, q: &GridBox) -> (u32, u32) {
        let mut meets = [0_u8; NODE];
        let mut inside = [0_u8; NODE];
        for i in 0..NODE {
            let (w, s, e, n) = (self.west[i], self.south[i], self.east[i], self.north[i]);
            meets[i] = u8::from((w <= q[2]) & (q[0] <= e) & (s <= q[3]) & (q[1] <= n));
            inside[i] = u8::from((w > q[0]) & (e < q[2]) & (s > q[1]) & (n < q[3]));
        }
        (mask(&meets), mask(&inside))
    }

    #[inline]
    pub fn holding(&self, [x, y]: [i32; 2]) -> u32 {
        let mut meets = [0_u8; NODE];
        for (i, meets) in meets.iter_mut().enumerate() {
            *meets = u8::from((self.west[i] <= x) & (x <= self.east[i]) & (self.south[i] <= y) & (y <= self.north[i]));
        }
        mask(&meets)
    }

    /// As [`Node::compare`]; the second mask is of boxes that overlap the query by more than an edge, and the third of
    /// those among them that lie strictly between two opposite sides of it.
    #[inline]
    pub fn compare_boxes(&self, q: &GridBox) -> (u32, u32, u32) {
        let mut meets = [0_u8; NODE];
        let mut overlaps = [0_u8; NODE];
        let mut between = [0_u8; NODE];
        for i in 0..NODE {
            let (w, s, e, n) = (self.west[i], self.south[i], self.east[i], self.north[i]);
            meets[i] = u8::from((w <= q[2]) & (q[0] <= e) & (s <= q[3]) & (q[1] <= n));
            overlaps[i] = u8::from((w < q[2]) & (q[0] < e) & (s < q[3]) & (q[1] < n));
            between[i] = u8::from(((w > q[0]) & (e < q[2])) | ((s > q[1]) & (n < q[3])));
        }
        let overlaps = mask(&overlaps);
        (mask(&meets), overlaps, overlaps & mask(&between))
    }
}

/// A leaf of single grid cells: half the memory of boxes.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Cells {
    pub x: [i32; NODE],
    pub y: [i32; NODE],
}

impl Cells {
    pub const EMPTY: Self = Self { x: [i32::MAX; NODE], y: [i32::MAX; NODE] };

    /// As [`Node::compare`].
    #[inline]
    pub fn compare(&self, q: &GridBox) -> (u32, u32) {
        let mut meets = [0_u8; NODE];
        let mut inside = [0_u8; NODE];
        for i in 0..NODE {
            let (x, y) = (self.x[i], self.y[i]);
            meets[i] = u8::from((x <= q[2]) & (q[0] <= x) & (y <= q[3]) & (q[1] <= y));
            inside[i] = u8::from((x < q[2]) & (q[0] < x) & (y < q[3]) & (q[1] < y));
        }
        (mask(&meets), mask(&inside))
    }

    pub fn bounds(&self, count: usize) -> GridBox {
        let (x, y) = (&self.x[..count], &self.y[..count]);
        let min = |v: &[i32]| v.iter().copied().fold(i32::MAX, i32::min);
        let max = |v: &[i32]| v.iter().copied().fold(i32::MIN, i32::max);
        [min(x), min(y), max(x), max(y)]
    }
}

/// Gathers sixteen zeros and ones into bits: eight at a time by one multiplication.
#[inline]
pub(crate) fn mask(flags: &[u8; NODE]) -> u32 {
    let half = |at: usize| {
        let mut word = [0_u8; 8];
        word.copy_from_slice(&flags[at..at + 8]);
        (u64::from_le_bytes(word).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    };
    half(0) | half(8) << 8
}

/// The numbers of a mask's bits, lowest first.
pub(crate) fn bits(mut mask: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros());
        mask &= mask.wrapping_sub(1);
        bit
    })
}

/// Appends those of up to sixteen ordinals that the mask tells, without a branch per bit.
#[inline]
pub(crate) fn push_some(out: &mut Vec<u32>, from: &[u32], mask: u32) {
    let before = out.len();
    out.resize(before + NODE, 0);
    let Some(into) = out.last_chunk_mut::<NODE>() else { return };
    let mut count = 0;
    // Sixteen hits leave the counter one past the end, and nothing is written after the last.
    for (i, ordinal) in from.iter().take(NODE).enumerate() {
        into[count & (NODE - 1)] = *ordinal;
        count += (mask >> i & 1) as usize;
    }
    out.truncate(before + count);
}

/// As many low bits as there are children, at most [`NODE`].
#[inline]
pub(crate) fn first_bits(count: usize) -> u32 {
    if count >= NODE { (1 << NODE) - 1 } else { (1 << count) - 1 }
}
