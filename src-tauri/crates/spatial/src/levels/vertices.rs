//! The lowest zoom of each vertex, worked out on the coverage and not ring by ring.
//!
//! A *junction* is a vertex whose two neighbours are not the same in all rings and lines that use it; it stays at every
//! zoom. All others have exactly two neighbours in the whole layer, so that taking one out changes all rings that use it
//! alike: no gaps, no overlaps. From the deepest zoom up, vertices are taken out by the area of the triangle with their
//! neighbours, smallest first (Visvalingam & Whyatt 1993, Line generalisation by repeated elimination of points, The
//! Cartographic Journal 30(1)), and only when no other vertex lies in that triangle: what was a plane subdivision stays one.

use crate::grid::WORLD_BITS;
use crate::shapes::{PathKind, Shapes};
use crate::tile::{EXTENT_BITS, MAX_ZOOM};

const NONE: u32 = u32::MAX;

/// Twice the area, in square tile units, below which a vertex adds nothing at the zoom: a quarter of a 512-pixel tile's
/// pixel. From z14 on lots are drawn to scale.
fn threshold(z: u8) -> u64 {
    let units = match z {
        0..=13 => 32,
        14 => 16,
        15 => 4,
        _ => 2,
    };
    units << (2 * (WORLD_BITS - EXTENT_BITS - u32::from(z)))
}

/// The layer's vertices, each place once.
struct Network {
    places: Vec<[i32; 2]>,
    /// The two neighbours; `[NONE, NONE]` for a junction.
    links: Vec<[u32; 2]>,
    /// Twice the triangle's area, never less than that of a vertex taken out before.
    areas: Vec<u64>,
    levels: Vec<u8>,
}

/// Levels per vertex, path by path in ordinal order; `first` tells where each feature's vertices start.
pub(super) fn levels(shapes: &Shapes, order: &[u32], first: &[u32]) -> Vec<u8> {
    let total = first.last().map_or(0, |end| *end as usize);
    let (mut network, of) = gather(shapes, order, first, total);
    network.thin();
    of.into_iter().map(|place| network.levels.get(place as usize).copied().unwrap_or(0)).collect()
}

/// The network, and for each vertex its place in it. Vertices of points keep `NONE`: they are drawn at every zoom.
fn gather(shapes: &Shapes, order: &[u32], first: &[u32], total: usize) -> (Network, Vec<u32>) {
    let mut of = vec![NONE; total];
    let mut network = Network { places: Vec::new(), links: Vec::new(), areas: Vec::new(), levels: Vec::new() };
    let size = (total + total / 2).next_power_of_two().max(2);
    let shift = 64 - size.trailing_zeros();
    let mut table = vec![NONE; size];
    let mut corners = Vec::new();
    // Unseen so far: no vertex is its own neighbour.
    const UNSEEN: [u32; 2] = [0, 0];
    for &ordinal in order {
        let mut at = first.get(ordinal as usize).map_or(0, |at| *at as usize);
        for (path, world) in shapes.paths(ordinal) {
            let Some(of) = of.get_mut(at..at + world.len()) else { break };
            at += world.len();
            if path.kind == PathKind::Points {
                continue;
            }
            for (of, place) in of.iter_mut().zip(world) {
                let mut slot = (key(*place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
                *of = loop {
                    match table.get(slot) {
                        Some(&NONE) | None => {
                            #[allow(clippy::cast_possible_truncation)]
                            let new = network.places.len() as u32;
                            network.places.push(*place);
                            network.links.push(UNSEEN);
                            if let Some(free) = table.get_mut(slot) {
                                *free = new;
                            }
                            break new;
                        }
                        Some(&known) if network.places[known as usize] == *place => break known,
                        Some(_) => slot = (slot + 1) & (size - 1),
                    }
                };
            }
            let open = path.kind == PathKind::Line;
            corners.clear();
            corners.extend_from_slice(of);
            corners.dedup();
            while !open && corners.len() > 1 && corners.last() == corners.first() {
                corners.pop();
            }
            network.link(&corners, open, UNSEEN);
        }
    }
    network.levels = vec![0; network.places.len()];
    (network, of)
}

fn key(place: [i32; 2]) -> u64 {
    u64::from(place[0].cast_unsigned()) << 32 | u64::from(place[1].cast_unsigned())
}

impl Network {
    /// `path` without repetitions, not even from its end to its start.
    fn link(&mut self, path: &[u32], open: bool, unseen: [u32; 2]) {
        for (i, here) in path.iter().enumerate() {
            let before = path[i.checked_sub(1).unwrap_or(path.len() - 1)];
            let after = path[if i + 1 == path.len() { 0 } else { i + 1 }];
            let end = open && (i == 0 || i + 1 == path.len());
            let pair = if end || before == after { [NONE; 2] } else { [before.min(after), before.max(after)] };
            let links = &mut self.links[*here as usize];
            if *links == unseen {
                *links = pair;
            } else if *links != pair {
                *links = [NONE; 2];
            }
        }
    }

    fn is_junction(&self, vertex: u32) -> bool {
        self.links[vertex as usize][0] == NONE
    }

    fn area2(&self, vertex: u32) -> u64 {
        let [a, b] = self.links[vertex as usize];
        match (self.places.get(a as usize), self.places.get(b as usize)) {
            (Some(a), Some(b)) => {
                u64::try_from(cross(*a, self.places[vertex as usize], *b).unsigned_abs()).unwrap_or(u64::MAX)
            }
            _ => u64::MAX,
        }
    }

    fn thin(&mut self) {
        #[allow(clippy::cast_possible_truncation)]
        let all = 0..self.places.len() as u32;
        self.areas = all.clone().map(|vertex| self.area2(vertex)).collect();
        let mut waiting: Vec<u32> = all.filter(|vertex| !self.is_junction(*vertex)).collect();
        let mut gone = 0;
        let mut grid = Grid::default();
        for step in (0..=2 * u32::from(MAX_ZOOM) + 1).rev() {
            let z = (step / 2) as u8;
            // Two rounds a zoom, so that the smallest goes first: nearly, and with no queue to keep.
            let limit = threshold(z) >> (step & 1);
            // Half of the grid's vertices gone: a coarser one is quicker to walk.
            if gone * 2 > grid.len() {
                grid = Grid::default();
            }
            let before = gone;
            for &vertex in &waiting {
                let area = self.areas[vertex as usize];
                if area >= limit {
                    continue;
                }
                if grid.is_empty() {
                    grid = Grid::build(&self.places, &self.levels);
                    gone = 0;
                }
                if self.is_free(vertex, &grid) {
                    self.take_out(vertex, area, z + 1);
                    gone += 1;
                }
            }
            if gone != before {
                waiting.retain(|vertex| self.levels[*vertex as usize] == 0);
            }
        }
    }

    fn take_out(&mut self, vertex: u32, area: u64, level: u8) {
        self.levels[vertex as usize] = level;
        let [a, b] = self.links[vertex as usize];
        for (end, other) in [(a, b), (b, a)] {
            if self.is_junction(end) {
                continue;
            }
            for link in &mut self.links[end as usize] {
                if *link == vertex {
                    *link = other;
                }
            }
            self.areas[end as usize] = self.area2(end).max(area);
        }
    }

    /// Whether the vertex can go: three corners are left of its ring, and nothing lies in the triangle.
    fn is_free(&self, vertex: u32, grid: &Grid) -> bool {
        let [a, b] = self.links[vertex as usize];
        if a == b || self.links[a as usize].contains(&b) || self.links[b as usize].contains(&a) {
            return false;
        }
        let triangle = [a, vertex, b].map(|corner| self.places[corner as usize]);
        let [p, v, q] = triangle;
        let turn = cross(p, v, q);
        let [low, high] = corners(&triangle);
        !grid.any(low, high, |other| {
            let o = self.places[other as usize];
            if o[0] < low[0] || o[0] > high[0] || o[1] < low[1] || o[1] > high[1] {
                return false;
            }
            if self.levels[other as usize] != 0 || other == a || other == b || other == vertex {
                return false;
            }
            let sides = [cross(p, v, o), cross(v, q, o), cross(q, p, o)];
            if turn == 0 {
                // In line: only what lies on the stretch itself.
                return sides == [0; 3];
            }
            sides.iter().all(|side| *side == 0 || (*side > 0) == (turn > 0))
        })
    }
}

/// Twice the signed area of the triangle.
fn cross(a: [i32; 2], b: [i32; 2], c: [i32; 2]) -> i128 {
    let d = |p: [i32; 2], axis: usize| i64::from(p[axis]) - i64::from(a[axis]);
    i128::from(d(b, 0)) * i128::from(d(c, 1)) - i128::from(d(c, 0)) * i128::from(d(b, 1))
}

/// The triangle's box: its low and its high corner.
fn corners(t: &[[i32; 2]; 3]) -> [[i32; 2]; 2] {
    let low = |k: usize| t[0][k].min(t[1][k]).min(t[2][k]);
    let high = |k: usize| t[0][k].max(t[1][k]).max(t[2][k]);
    [[low(0), low(1)], [high(0), high(1)]]
}

/// Vertices by square cell, back to back.
#[derive(Default)]
struct Grid {
    origin: [i64; 2],
    shift: u32,
    columns: usize,
    rows: usize,
    /// Per cell, where its vertices end.
    ends: Vec<u32>,
    vertices: Vec<u32>,
}

impl Grid {
    /// Of the vertices that still stand (level 0).
    fn build(places: &[[i32; 2]], levels: &[u8]) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        let standing = || (0..places.len() as u32).filter(|v| levels[*v as usize] == 0);
        let (mut low, mut high, mut count) = ([i64::MAX; 2], [i64::MIN; 2], 0_usize);
        for vertex in standing() {
            let p = places[vertex as usize].map(i64::from);
            low = [low[0].min(p[0]), low[1].min(p[1])];
            high = [high[0].max(p[0]), high[1].max(p[1])];
            count += 1;
        }
        let mut grid = Self { origin: low, ..Self::default() };
        if count == 0 {
            return grid;
        }
        // About four cells a vertex: vertices lie along lines, most cells stay empty.
        let span = |shift: u32, axis: usize| ((high[axis] - low[axis]) >> shift) as usize + 1;
        while span(grid.shift, 0).saturating_mul(span(grid.shift, 1)) > count.saturating_mul(4).max(16) {
            grid.shift += 1;
        }
        (grid.columns, grid.rows) = (span(grid.shift, 0), span(grid.shift, 1));
        let mut counts = vec![0_u32; grid.columns * grid.rows + 1];
        for vertex in standing() {
            counts[grid.cell(places[vertex as usize]) + 1] += 1;
        }
        for i in 1..counts.len() {
            counts[i] += counts[i - 1];
        }
        grid.vertices = vec![0; count];
        for vertex in standing() {
            let end = &mut counts[grid.cell(places[vertex as usize])];
            grid.vertices[*end as usize] = vertex;
            *end += 1;
        }
        counts.pop();
        grid.ends = counts;
        grid
    }

    fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    fn len(&self) -> usize {
        self.vertices.len()
    }

    fn column_row(&self, p: [i32; 2]) -> [usize; 2] {
        [0, 1].map(|axis| ((i64::from(p[axis]) - self.origin[axis]) >> self.shift) as usize)
    }

    fn cell(&self, p: [i32; 2]) -> usize {
        let [column, row] = self.column_row(p);
        row * self.columns + column
    }

    /// Whether any vertex in or near the box meets the test.
    fn any(&self, low: [i32; 2], high: [i32; 2], mut test: impl FnMut(u32) -> bool) -> bool {
        let (low, high) = (self.column_row(low), self.column_row(high));
        for row in low[1]..=high[1].min(self.rows.saturating_sub(1)) {
            let from = row * self.columns + low[0];
            let to = row * self.columns + high[0].min(self.columns - 1);
            let start = from.checked_sub(1).map_or(0, |before| self.ends[before]) as usize;
            if self.vertices[start..self.ends[to] as usize].iter().any(|vertex| test(*vertex)) {
                return true;
            }
        }
        false
    }
}
