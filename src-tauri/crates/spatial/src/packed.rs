//! The packed index: a Hilbert-packed R-tree in flat arrays, sixteen boxes a node, one array per bound.

use crate::grid::{GridBox, NOWHERE, grid_box};
use model::BBox;
use std::ops::Range;

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
    const EMPTY: Self =
        Self { west: [i32::MAX; NODE], south: [i32::MAX; NODE], east: [i32::MIN; NODE], north: [i32::MIN; NODE] };

    fn set(&mut self, place: usize, b: GridBox) {
        [self.west[place], self.south[place], self.east[place], self.north[place]] = b;
    }

    fn bounds(&self) -> GridBox {
        let min = |v: &[i32; NODE]| v.iter().copied().fold(i32::MAX, i32::min);
        let max = |v: &[i32; NODE]| v.iter().copied().fold(i32::MIN, i32::max);
        [min(&self.west), min(&self.south), max(&self.east), max(&self.north)]
    }

    /// Bit i of the first mask: child i meets the box. Of the second: it lies strictly inside.
    fn compare(&self, q: &GridBox) -> (u32, u32) {
        let mut meets = [0_u8; NODE];
        let mut inside = [0_u8; NODE];
        for i in 0..NODE {
            let (w, s, e, n) = (self.west[i], self.south[i], self.east[i], self.north[i]);
            meets[i] = u8::from((w <= q[2]) & (q[0] <= e) & (s <= q[3]) & (q[1] <= n));
            inside[i] = u8::from((w > q[0]) & (e < q[2]) & (s > q[1]) & (n < q[3]));
        }
        (mask(&meets), mask(&inside))
    }
}

/// Gathers sixteen zeros and ones into bits: eight at a time by one multiplication.
fn mask(flags: &[u8; NODE]) -> u32 {
    let half = |at: usize| {
        let mut word = [0_u8; 8];
        word.copy_from_slice(&flags[at..at + 8]);
        (u64::from_le_bytes(word).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    };
    half(0) | half(8) << 8
}

/// What a box query met, as ordinals in index order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Boxes strictly inside the query: a hit without another look.
    pub inside: Vec<u32>,
    /// Boxes that meet the query's edge as far as 1e-7° can tell: look at the real bounds.
    pub edge: Vec<u32>,
}

/// A static index over boxes. Queries never allocate but for their answer.
#[derive(Clone, Debug, Default)]
pub struct PackedIndex {
    /// Place in Hilbert order → ordinal; empty boxes have no place.
    order: Vec<u32>,
    /// Leaf nodes first, then each coarser level; the last level is a single node.
    levels: Vec<Vec<Node>>,
}

impl PackedIndex {
    /// Sorts and packs. `boxes` in ordinal order, degrees; empty boxes are never found.
    pub fn build(boxes: &[BBox]) -> Self {
        let boxes: Vec<GridBox> = boxes.iter().map(grid_box).collect();
        Self::pack(hilbert_order(&boxes), &boxes)
    }

    pub(crate) fn from_grid(boxes: &[GridBox]) -> Self {
        Self::pack(hilbert_order(boxes), boxes)
    }

    fn pack(order: Vec<u32>, boxes: &[GridBox]) -> Self {
        let mut levels = Vec::new();
        let mut level = fill(order.len(), |place| boxes.get(order[place] as usize).copied().unwrap_or(NOWHERE));
        while level.len() > 1 {
            let next = fill(level.len(), |place| level[place].bounds());
            levels.push(std::mem::replace(&mut level, next));
        }
        levels.push(level);
        Self { order, levels }
    }

    /// How many boxes it holds, empty ones not counted.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The order as an opaque blob: magic, format, count, a check sum over the boxes, then the ordinals.
    ///
    /// Bounds are not in it: they come from the features anyway, and a blob that cannot lie about them needs no trust.
    pub(crate) fn to_bytes(&self, boxes: &[GridBox]) -> Vec<u8> {
        let mut out = Vec::with_capacity(20 + self.order.len() * 4);
        out.extend_from_slice(MAGIC);
        #[allow(clippy::cast_possible_truncation)]
        out.extend_from_slice(&(boxes.len() as u32).to_le_bytes());
        out.extend_from_slice(&check_sum(boxes).to_le_bytes());
        for ordinal in &self.order {
            out.extend_from_slice(&ordinal.to_le_bytes());
        }
        out
    }

    /// `None` when the blob is not ours, is damaged, or belongs to other features.
    pub(crate) fn from_bytes(bytes: &[u8], boxes: &[GridBox]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<8>()?;
        let fits = u32::from_le_bytes(*count) as usize == boxes.len() && rest.len() == filled(boxes).checked_mul(4)?;
        if !fits || u64::from_le_bytes(*sum) != check_sum(boxes) {
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
        Some(Self::pack(order, boxes))
    }

    /// All boxes that meet `query`, edges included. A box that contains nothing has no answer.
    pub fn search(&self, query: &BBox) -> Found {
        let mut found = Found::default();
        self.search_into(&grid_box(query), &mut found);
        found
    }

    pub(crate) fn search_into(&self, query: &GridBox, found: &mut Found) {
        let Found { inside, edge } = found;
        self.search_places(
            query,
            |places| inside.extend_from_slice(&self.order[places]),
            |place| edge.push(self.order[place]),
        );
    }

    /// As [`PackedIndex::search`], telling places in index order: ranges of boxes strictly inside, and single ones that
    /// meet the edge.
    pub(crate) fn search_places(
        &self,
        query: &GridBox,
        mut inside: impl FnMut(Range<usize>),
        mut edge: impl FnMut(usize),
    ) {
        if query[0] > query[2] || query[1] > query[3] || self.order.is_empty() {
            return;
        }
        // At most fifteen siblings wait per level, and 2³² items make eight levels.
        let mut stack: Vec<(u8, u32)> = Vec::with_capacity(64);
        #[allow(clippy::cast_possible_truncation)]
        stack.push((self.levels.len() as u8 - 1, 0));
        while let Some((level, at)) = stack.pop() {
            let (mut meets, within) = self.levels[level as usize][at as usize].compare(query);
            let first = at * NODE as u32;
            if level == 0 {
                while meets != 0 {
                    let child = meets.trailing_zeros();
                    meets &= meets - 1;
                    let place = (first + child) as usize;
                    if within >> child & 1 == 1 { inside(place..place + 1) } else { edge(place) }
                }
                continue;
            }
            while meets != 0 {
                // From the highest, so that the stack gives them back in index order.
                let child = 31 - meets.leading_zeros();
                meets ^= 1 << child;
                if within >> child & 1 == 1 {
                    inside(self.span(level - 1, first + child));
                } else {
                    stack.push((level - 1, first + child));
                }
            }
        }
    }

    /// The places below a node: packing makes them one range.
    fn span(&self, level: u8, node: u32) -> Range<usize> {
        let width = NODE.saturating_pow(u32::from(level) + 1);
        let start = (node as usize).saturating_mul(width).min(self.order.len());
        start..start.saturating_add(width).min(self.order.len())
    }

    /// The root's level and, through [`PackedIndex::node`], everything below it; `None` when empty.
    pub(crate) fn root(&self) -> Option<(u8, u32)> {
        #[allow(clippy::cast_possible_truncation)]
        (!self.order.is_empty()).then_some((self.levels.len() as u8 - 1, 0))
    }

    pub(crate) fn node(&self, level: u8, at: u32) -> &Node {
        &self.levels[level as usize][at as usize]
    }

    /// Bounds of everything.
    pub(crate) fn bounds(&self) -> GridBox {
        self.levels.last().and_then(|top| top.first()).map_or(NOWHERE, Node::bounds)
    }

    /// Ordinals in index order.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }

    /// How many children a node really has.
    pub(crate) fn children(&self, level: u8, at: u32) -> u32 {
        let below = if level == 0 { self.order.len() } else { self.levels[level as usize - 1].len() };
        #[allow(clippy::cast_possible_truncation)]
        let count = below.saturating_sub(at as usize * NODE).min(NODE) as u32;
        count
    }
}

fn is_nowhere(b: &GridBox) -> bool {
    b[0] > b[2]
}

fn filled(boxes: &[GridBox]) -> usize {
    boxes.iter().filter(|b| !is_nowhere(b)).count()
}

const MAGIC: &[u8] = b"TCIDX\0\0\x01";

fn fill(count: usize, mut bounds: impl FnMut(usize) -> GridBox) -> Vec<Node> {
    let mut nodes = vec![Node::EMPTY; count.div_ceil(NODE)];
    for place in 0..count {
        nodes[place / NODE].set(place % NODE, bounds(place));
    }
    nodes
}

/// FNV-1a over whole words: not against forgery (nothing is trusted that could hurt), but against a stale blob.
fn check_sum(boxes: &[GridBox]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for b in boxes {
        for pair in b.as_chunks::<2>().0 {
            let word = u64::from(pair[0].cast_unsigned()) << 32 | u64::from(pair[1].cast_unsigned());
            sum = (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }
    sum
}

fn hilbert_order(boxes: &[GridBox]) -> Vec<u32> {
    let centre = |b: &GridBox| [(i64::from(b[0]) + i64::from(b[2])) / 2, (i64::from(b[1]) + i64::from(b[3])) / 2];
    let mut low = [i64::MAX; 2];
    let mut high = [i64::MIN; 2];
    for c in boxes.iter().filter(|b| !is_nowhere(b)).map(centre) {
        for axis in 0..2 {
            low[axis] = low[axis].min(c[axis]);
            high[axis] = high[axis].max(c[axis]);
        }
    }
    let span = [(high[0].saturating_sub(low[0])).max(1), (high[1].saturating_sub(low[1])).max(1)];
    #[allow(clippy::cast_possible_truncation)]
    let mut keys: Vec<u64> = boxes
        .iter()
        .enumerate()
        .filter(|(_, b)| !is_nowhere(b))
        .map(|(ordinal, b)| {
            let c = centre(b);
            let unit = |axis: usize| ((c[axis] - low[axis]) * 0xffff / span[axis]) as u32;
            u64::from(hilbert(unit(0), unit(1))) << 32 | ordinal as u64
        })
        .collect();
    keys.sort_unstable();
    #[allow(clippy::cast_possible_truncation)]
    keys.into_iter().map(|key| key as u32).collect()
}

/// Place on the Hilbert curve of order 16 (the classic quadrant walk: Hamilton & Rau-Chaplin 2008 give the theory).
fn hilbert(mut x: u32, mut y: u32) -> u32 {
    let mut key = 0;
    let mut s = 1 << 15;
    while s > 0 {
        let (right, up) = (u32::from(x & s != 0), u32::from(y & s != 0));
        key = key << 2 | (3 * right) ^ up;
        if up == 0 {
            if right == 1 {
                x = !x & 0xffff;
                y = !y & 0xffff;
            }
            std::mem::swap(&mut x, &mut y);
        }
        s >>= 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxes() -> impl Strategy<Value = Vec<BBox>> {
        let one = (-170.0..170.0_f64, -80.0..80.0_f64, 0.0..5.0_f64, 0.0..5.0_f64).prop_map(|(x, y, w, h)| BBox {
            west: x,
            south: y,
            east: x + w,
            north: y + h,
        });
        proptest::collection::vec(one, 0..700)
    }

    proptest! {
        #[test]
        fn search_finds_what_a_scan_finds(all in boxes(), x in -170.0..170.0_f64, y in -80.0..80.0_f64, size in 0.0..90.0_f64) {
            let index = PackedIndex::build(&all);
            let query = BBox { west: x, south: y, east: x + size, north: y + size };
            let found = index.search(&query);
            for &sure in &found.inside {
                prop_assert!(all[sure as usize].intersects(&query));
            }
            let mut got: Vec<u32> = found.inside.iter().copied()
                .chain(found.edge.iter().copied().filter(|&o| all[o as usize].intersects(&query))).collect();
            got.sort_unstable();
            let want: Vec<u32> = (0..).zip(&all).filter(|(_, b)| b.intersects(&query)).map(|(o, _)| o).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn blob_gives_the_same_index_or_nothing(all in boxes(), at in any::<proptest::sample::Index>(), flip in 1_u8..) {
            let grid: Vec<GridBox> = all.iter().map(grid_box).collect();
            let index = PackedIndex::from_grid(&grid);
            let mut bytes = index.to_bytes(&grid);
            prop_assert_eq!(&PackedIndex::from_bytes(&bytes, &grid).unwrap().order, &index.order);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Some(other) = PackedIndex::from_bytes(&bytes, &grid) {
                prop_assert_eq!(other.len(), all.len());
            }
            prop_assert!(PackedIndex::from_bytes(&bytes[..at], &grid).is_none());
        }
    }

    #[test]
    fn empty_boxes_are_never_found() {
        let all = [BBox::EMPTY, BBox { west: 1.0, south: 1.0, east: 2.0, north: 2.0 }, BBox::EMPTY];
        let everywhere = BBox { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };
        let found = PackedIndex::build(&all).search(&everywhere);
        assert_eq!((found.inside, found.edge), (vec![1], vec![]));
        assert_eq!(PackedIndex::build(&[]).search(&everywhere), Found::default());
        assert_eq!(PackedIndex::build(&all).search(&BBox::EMPTY), Found::default());
    }

    #[test]
    fn neighbours_on_the_curve_are_neighbours_on_the_plane() {
        let mut at = std::collections::BTreeMap::new();
        for x in 0..16_u32 {
            for y in 0..16_u32 {
                at.insert(hilbert(x << 12, y << 12), (x.cast_signed(), y.cast_signed()));
            }
        }
        let cells: Vec<_> = at.values().collect();
        assert!(cells.windows(2).all(|w| (w[0].0 - w[1].0).abs() + (w[0].1 - w[1].1).abs() == 1));
    }
}
