//! The packed index: an R-tree in flat arrays, sixteen children a node, one array per bound, packed by median splits.

use crate::grid::{GridBox, NOWHERE, grid_box};
use crate::node::{Cells, NODE, Node, bits, first_bits, push_some};
use crate::order::{self, Ordering};
use crate::plane::{Core, Outline};
use model::BBox;
use std::ops::Range;
use std::sync::OnceLock;

#[derive(Clone, Debug)]
enum Leaves {
    Cells(Vec<Cells>),
    Boxes(Vec<Node>),
}

impl Default for Leaves {
    fn default() -> Self {
        Self::Boxes(Vec::new())
    }
}

/// What a box query met, as ordinals in index order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Boxes strictly inside the query: a hit without another look.
    pub inside: Vec<u32>,
    /// Boxes that meet the query's edge as far as 1e-7° can tell: look at the real bounds.
    pub edge: Vec<u32>,
}

/// Sixteen boxes met by a walk and how they lie to the query, one bit a box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Met {
    /// Place of the first box in index order.
    pub first: usize,
    /// Boxes that meet the query as far as the grid can tell.
    pub meets: u32,
    /// Boxes that overlap it by more than an edge, whatever the grid left out.
    pub overlaps: u32,
    /// Boxes among those that lie strictly between two opposite sides of the query.
    pub between: u32,
}

/// Told what a walk meets, in index order.
pub(crate) trait Sink {
    /// Boxes strictly inside the query.
    fn inside(&mut self, places: Range<usize>);
    /// A leaf at the query's edge.
    fn leaf(&mut self, met: Met);
}

/// By place in index order, padded to whole leaves.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    /// 1 where the feature is in one piece.
    pub pieces: Vec<u8>,
    pub outlines: Vec<Outline>,
    pub cores: Vec<Core>,
}

/// A static index over boxes. Queries never allocate but for their answer.
#[derive(Clone, Debug, Default)]
pub struct PackedIndex {
    /// Place in index order → ordinal; empty boxes have no place.
    order: Vec<u32>,
    leaves: Leaves,
    /// The levels above the leaves, finest first, the root last.
    nodes: Vec<Node>,
    /// Where each of those levels starts in `nodes`.
    starts: Vec<u32>,
    /// What the questions need to know of features without a look at them. Filled at the first question.
    pub(crate) notes: OnceLock<Notes>,
}

impl PackedIndex {
    /// Sorts and packs. `boxes` in ordinal order, degrees; empty boxes are never found.
    pub fn build(boxes: &[BBox]) -> Self {
        let boxes: Vec<GridBox> = boxes.iter().map(grid_box).collect();
        Self::from_grid(&boxes)
    }

    pub(crate) fn from_grid(boxes: &[GridBox]) -> Self {
        Self::pack(Ordering::of(boxes).finish(), boxes)
    }

    fn pack(order: Vec<u32>, boxes: &[GridBox]) -> Self {
        let at = |place: usize| boxes.get(order[place] as usize).copied().unwrap_or(NOWHERE);
        let count = order.len();
        let leaf_count = count.div_ceil(NODE);
        let single = (0..count).all(|place| {
            let b = at(place);
            b[0] == b[2] && b[1] == b[3]
        });
        let leaves = if single {
            let mut leaves = vec![Cells::EMPTY; leaf_count];
            for place in 0..count {
                let leaf = &mut leaves[place / NODE];
                [leaf.x[place % NODE], leaf.y[place % NODE], _, _] = at(place);
            }
            Leaves::Cells(leaves)
        } else {
            Leaves::Boxes(fill(count, at))
        };
        let mut level = match &leaves {
            Leaves::Cells(cells) => {
                fill(if leaf_count > 1 { leaf_count } else { 0 }, |i| cells[i].bounds((count - i * NODE).min(NODE)))
            }
            Leaves::Boxes(nodes) => fill(if leaf_count > 1 { leaf_count } else { 0 }, |i| nodes[i].bounds()),
        };
        let (mut nodes, mut starts) = (Vec::new(), Vec::new());
        while !level.is_empty() {
            #[allow(clippy::cast_possible_truncation)]
            starts.push(nodes.len() as u32);
            let next = if level.len() > 1 { fill(level.len(), |i| level[i].bounds()) } else { Vec::new() };
            nodes.append(&mut level);
            level = next;
        }
        Self { order, leaves, nodes, starts, notes: OnceLock::new() }
    }

    /// How many boxes it holds, empty ones not counted.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// From the blob of [`Ordering::into_bytes`]; `None` when it is not ours, is damaged, or belongs to other features.
    pub(crate) fn from_bytes(bytes: &[u8], boxes: &[GridBox]) -> Option<Self> {
        Some(Self::pack(order::from_bytes(bytes, boxes)?, boxes))
    }

    /// All boxes that meet `query`, edges included. A box that contains nothing has no answer.
    pub fn search(&self, query: &BBox) -> Found {
        let mut found = Found::default();
        self.search_into(&grid_box(query), &mut found);
        found
    }

    /// As [`PackedIndex::search`], settled by the boxes it was built from (degrees, in ordinal order): the ordinals of
    /// exactly those that meet `query`, in index order.
    pub fn search_boxes(&self, query: &BBox, boxes: &[BBox]) -> Vec<u32> {
        let mut sink = Settled { order: &self.order, query, boxes, hits: Vec::with_capacity(64) };
        self.walk(&grid_box(query), &mut sink);
        sink.hits
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
    pub(crate) fn search_places(&self, query: &GridBox, inside: impl FnMut(Range<usize>), edge: impl FnMut(usize)) {
        self.walk(query, &mut Told { query, index: self, inside, edge });
    }

    /// Tells the sink what meets the query, edges included.
    pub(crate) fn walk(&self, query: &GridBox, sink: &mut impl Sink) {
        if query[0] > query[2] || query[1] > query[3] || self.order.is_empty() {
            return;
        }
        if self.starts.is_empty() {
            self.walk_leaf(0, query, sink);
        } else {
            self.walk_node(self.starts.len() - 1, 0, query, sink);
        }
    }

    fn walk_node(&self, level: usize, at: usize, query: &GridBox, sink: &mut impl Sink) {
        let (mut meets, mut within) = self.nodes[self.starts[level] as usize + at].compare(query);
        // Padding meets a query that reaches both ends of the grid.
        meets &= self.filled_bits(level, at);
        within &= meets;
        while meets != 0 {
            let child = meets.trailing_zeros();
            let run = (within >> child).trailing_ones();
            if run > 0 {
                let first = at * NODE + child as usize;
                sink.inside(self.span(level, first).start..self.span(level, first + run as usize - 1).end);
                meets &= !0 << (child + run);
                continue;
            }
            meets &= meets - 1;
            let next = at * NODE + child as usize;
            if level == 0 { self.walk_leaf(next, query, sink) } else { self.walk_node(level - 1, next, query, sink) }
        }
    }

    #[inline]
    fn walk_leaf(&self, at: usize, query: &GridBox, sink: &mut impl Sink) {
        let first = at * NODE;
        let (meets, overlaps, between) = match &self.leaves {
            Leaves::Cells(cells) => {
                let (meets, inside) = cells[at].compare(query);
                (meets, inside, inside)
            }
            Leaves::Boxes(nodes) => nodes[at].compare_boxes(query),
        };
        let filled = self.leaf_bits(at);
        if meets & filled != 0 {
            sink.leaf(Met { first, meets: meets & filled, overlaps: overlaps & filled, between: between & filled });
        }
    }

    /// Calls `f` with the place of every box that holds the cell, in index order.
    pub(crate) fn stab(&self, cell: [i32; 2], f: &mut impl FnMut(usize)) {
        if self.order.is_empty() {
        } else if self.starts.is_empty() {
            self.stab_leaf(0, cell, f);
        } else {
            self.stab_node(self.starts.len() - 1, 0, cell, f);
        }
    }

    fn stab_node(&self, level: usize, at: usize, cell: [i32; 2], f: &mut impl FnMut(usize)) {
        for child in bits(self.nodes[self.starts[level] as usize + at].holding(cell)) {
            let next = at * NODE + child as usize;
            if level == 0 { self.stab_leaf(next, cell, f) } else { self.stab_node(level - 1, next, cell, f) }
        }
    }

    #[inline]
    fn stab_leaf(&self, at: usize, cell: [i32; 2], f: &mut impl FnMut(usize)) {
        let first = at * NODE;
        let meets = match &self.leaves {
            Leaves::Cells(cells) => cells[at].compare(&[cell[0], cell[1], cell[0], cell[1]]).0,
            Leaves::Boxes(nodes) => nodes[at].holding(cell),
        };
        bits(meets & self.leaf_bits(at)).for_each(|child| f(first + child as usize));
    }

    /// The places below a child of a node on a level above the leaves: packing makes them one range.
    pub(crate) fn span(&self, level: usize, child: usize) -> Range<usize> {
        let width = 1_usize.checked_shl(4 * (level as u32 + 1)).unwrap_or(usize::MAX);
        let start = child.saturating_mul(width).min(self.order.len());
        start..start.saturating_add(width).min(self.order.len())
    }

    /// Which children there are, a bit each.
    pub(crate) fn filled_bits(&self, level: usize, at: usize) -> u32 {
        let below = if level == 0 {
            self.order.len().div_ceil(NODE)
        } else {
            (self.starts[level] - self.starts[level - 1]) as usize
        };
        first_bits(below - at * NODE)
    }

    pub(crate) fn leaf_bits(&self, at: usize) -> u32 {
        first_bits(self.order.len() - at * NODE)
    }

    /// The level of the root and, through [`PackedIndex::node`], everything below it; level 0 is the leaves. `None` when
    /// empty.
    pub(crate) fn root(&self) -> Option<(u8, u32)> {
        #[allow(clippy::cast_possible_truncation)]
        (!self.order.is_empty()).then_some((self.starts.len() as u8, 0))
    }

    pub(crate) fn node(&self, level: u8, at: u32) -> Node {
        match (&self.leaves, level) {
            (Leaves::Cells(cells), 0) => {
                let Cells { x, y } = cells[at as usize];
                Node { west: x, south: y, east: x, north: y }
            }
            (Leaves::Boxes(nodes), 0) => nodes[at as usize].clone(),
            _ => self.upper(level as usize - 1, at as usize).clone(),
        }
    }

    /// The box at a place in index order.
    pub(crate) fn grid_box(&self, place: usize) -> GridBox {
        let (at, child) = (place / NODE, place % NODE);
        match &self.leaves {
            Leaves::Cells(cells) => {
                let (x, y) = (cells[at].x[child], cells[at].y[child]);
                [x, y, x, y]
            }
            Leaves::Boxes(nodes) => {
                let node = &nodes[at];
                [node.west[child], node.south[child], node.east[child], node.north[child]]
            }
        }
    }

    /// A node above the leaves; level 0 is the one next to them.
    pub(crate) fn upper(&self, level: usize, at: usize) -> &Node {
        &self.nodes[self.starts[level] as usize + at]
    }

    /// How many levels stand above the leaves.
    pub(crate) fn upper_levels(&self) -> usize {
        self.starts.len()
    }

    /// The leaves of an index over single cells.
    pub(crate) fn cells(&self) -> Option<&[Cells]> {
        match &self.leaves {
            Leaves::Cells(cells) => Some(cells),
            Leaves::Boxes(_) => None,
        }
    }

    /// Bounds of everything.
    pub(crate) fn bounds(&self) -> GridBox {
        match (self.nodes.last(), &self.leaves) {
            (Some(root), _) => root.bounds(),
            (None, Leaves::Cells(cells)) => cells.first().map_or(NOWHERE, |leaf| leaf.bounds(self.order.len())),
            (None, Leaves::Boxes(nodes)) => nodes.first().map_or(NOWHERE, Node::bounds),
        }
    }

    /// Ordinals in index order.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }

    /// How many children a node really has; levels as in [`PackedIndex::root`].
    pub(crate) fn children(&self, level: u8, at: u32) -> u32 {
        let bits = match level {
            0 => self.leaf_bits(at as usize),
            _ => self.filled_bits(level as usize - 1, at as usize),
        };
        bits.count_ones()
    }
}

/// The sink of [`PackedIndex::search_boxes`].
struct Settled<'a> {
    order: &'a [u32],
    query: &'a BBox,
    boxes: &'a [BBox],
    hits: Vec<u32>,
}

impl Sink for Settled<'_> {
    fn inside(&mut self, places: Range<usize>) {
        self.hits.extend_from_slice(&self.order[places]);
    }

    fn leaf(&mut self, met: Met) {
        let mut hits = met.overlaps;
        for child in bits(met.meets & !met.overlaps) {
            let ordinal = self.order[met.first + child as usize];
            if self.boxes.get(ordinal as usize).is_some_and(|b| b.intersects(self.query)) {
                hits |= 1 << child;
            }
        }
        push_some(&mut self.hits, &self.order[met.first..], hits);
    }
}

/// The sink of [`PackedIndex::search_places`].
struct Told<'a, I, E> {
    query: &'a GridBox,
    index: &'a PackedIndex,
    inside: I,
    edge: E,
}

impl<I: FnMut(Range<usize>), E: FnMut(usize)> Sink for Told<'_, I, E> {
    fn inside(&mut self, places: Range<usize>) {
        (self.inside)(places);
    }

    fn leaf(&mut self, met: Met) {
        let inside = match &self.index.leaves {
            Leaves::Cells(_) => met.overlaps,
            Leaves::Boxes(nodes) => nodes[met.first / NODE].compare(self.query).1,
        };
        for child in bits(met.meets) {
            let place = met.first + child as usize;
            if inside >> child & 1 == 1 { (self.inside)(place..place + 1) } else { (self.edge)(place) }
        }
    }
}

fn fill(count: usize, mut bounds: impl FnMut(usize) -> GridBox) -> Vec<Node> {
    let mut nodes = vec![Node::EMPTY; count.div_ceil(NODE)];
    for place in 0..count {
        nodes[place / NODE].set(place % NODE, bounds(place));
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::to_grid;
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
            prop_assert_eq!(&got, &want);
            let mut settled = index.search_boxes(&query, &all);
            settled.sort_unstable();
            prop_assert_eq!(settled, want);
            let cell = [to_grid(x), to_grid(y)];
            let mut held = Vec::new();
            index.stab(cell, &mut |place| held.push(index.order[place]));
            held.sort_unstable();
            let grid: Vec<GridBox> = all.iter().map(grid_box).collect();
            let holds = |b: &GridBox| b[0] <= cell[0] && cell[0] <= b[2] && b[1] <= cell[1] && cell[1] <= b[3];
            let want: Vec<u32> = (0..).zip(&grid).filter(|(_, b)| holds(b)).map(|(o, _)| o).collect();
            prop_assert_eq!(held, want);
        }

        #[test]
        fn single_cells_are_found_as_boxes_are(all in proptest::collection::vec((0_i32..60, 0_i32..60), 0..700), q in (0_i32..60, 0_i32..60, 0_i32..60, 0_i32..60)) {
            let grid: Vec<GridBox> = all.iter().map(|(x, y)| [*x, *y, *x, *y]).collect();
            let index = PackedIndex::from_grid(&grid);
            prop_assert!(index.cells().is_some());
            let mut found = Found::default();
            index.search_into(&[q.0, q.1, q.2, q.3], &mut found);
            let mut got = [found.inside, found.edge].concat();
            got.sort_unstable();
            let meets = |b: &GridBox| q.0 <= b[0] && b[0] <= q.2 && q.1 <= b[1] && b[1] <= q.3;
            let want: Vec<u32> = (0..).zip(&grid).filter(|(_, b)| meets(b)).map(|(o, _)| o).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn blob_gives_the_same_index_or_nothing(all in boxes(), at in any::<proptest::sample::Index>(), flip in 1_u8..) {
            let grid: Vec<GridBox> = all.iter().map(grid_box).collect();
            let index = PackedIndex::from_grid(&grid);
            let mut bytes = Ordering::of(&grid).into_bytes();
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
}
