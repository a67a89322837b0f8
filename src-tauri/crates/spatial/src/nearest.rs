//! The nearest-first walk: a queue of bounds that are never too long; and for layers of single points the quick walk over
//! a plane whose error is bounded, with true distances for the finalists.

use crate::grid::PER_DEGREE;
use crate::measure::{Flat, Origin, SPREAD, haversine_of};
use crate::node::{NODE, Node, bits, mask};
use crate::packed::{Met, PackedIndex, Sink};
use geo_types::Coord;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What waits in the queue, cheapest first among equals: measured before unmeasured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Waiting {
    /// Bits of the distance in metres (order-preserving for what is not negative), ordinal.
    Measured(u64, u32),
    /// Place in index order.
    Item(u32),
    Node(u8, u32),
}

/// Bits of a bound on [`haversine_of`]'s scale.
type Key = u64;

/// Features by distance. `distance_m` measures one feature, named by its place in index order and its ordinal; `within_m` and `count` bound the answer.
pub(crate) fn nearest(
    index: &PackedIndex,
    origin: &Origin,
    within_m: f64,
    count: usize,
    mut distance_m: impl FnMut(usize, u32) -> f64,
) -> Vec<(u32, f64)> {
    let mut found = Vec::new();
    let Some((level, at)) = index.root() else { return found };
    let mut limit = if within_m.is_finite() { haversine_of(within_m) * (1.0 + 1e-12) } else { f64::INFINITY };
    let bound = Bound::new(origin, index);
    let mut queue: BinaryHeap<Reverse<(Key, Waiting)>> = BinaryHeap::with_capacity(256);
    // The least upper bounds of items met so far, the greatest of them on top: once there are `count`, nothing beyond
    // the top is worth keeping.
    let mut ceilings: BinaryHeap<Key> = BinaryHeap::new();
    let ceiling_count = if count <= 1_024 { count } else { usize::MAX };
    queue.push(Reverse((0, Waiting::Node(level, at))));
    while found.len() < count
        && let Some(Reverse((key, next))) = queue.pop()
    {
        match next {
            Waiting::Measured(bits, ordinal) => found.push((ordinal, f64::from_bits(bits))),
            Waiting::Item(place) => {
                let ordinal = index.order()[place as usize];
                let distance = distance_m(place as usize, ordinal);
                if distance <= within_m {
                    // A distance shorter than its bound by rounding must not fall behind it.
                    let key = key.max(haversine_of(distance).to_bits());
                    queue.push(Reverse((key, Waiting::Measured(distance.max(0.0).to_bits(), ordinal))));
                }
            }
            Waiting::Node(level, at) => {
                let node = index.node(level, at);
                let mut bounds = [0.0; NODE];
                bound.least(&node, &mut bounds);
                for child in 0..index.children(level, at) {
                    let least = bounds[child as usize];
                    if least > limit {
                        continue;
                    }
                    let place = at * NODE as u32 + child;
                    let waiting = if level == 0 {
                        if ceiling_count != usize::MAX {
                            let most = bound.most(&node, child as usize).to_bits();
                            if ceilings.len() < ceiling_count {
                                ceilings.push(most);
                            } else if let Some(mut top) = ceilings.peek_mut()
                                && most < *top
                            {
                                *top = most;
                            }
                            if ceilings.len() == ceiling_count {
                                limit = limit.min(ceilings.peek().map_or(limit, |top| f64::from_bits(*top)));
                            }
                        }
                        Waiting::Item(place)
                    } else {
                        Waiting::Node(level - 1, place)
                    };
                    queue.push(Reverse((least.to_bits(), waiting)));
                }
            }
        }
    }
    found
}

/// Bounds from one origin on the scale of [`haversine_of`].
///
/// On the sphere hav d = hav Δφ + cos φ₁ cos φ₂ hav Δλ. Over a box each term is least at its gap, cos φ₂ at the latitude
/// farthest from the equator; sin²(x/2) ≥ (x/2)² (1 − (x/2)²/3) spares the trigonometry.
struct Bound {
    x: f64,
    y: f64,
    cosines: f64,
    /// The same with the latitude nearest to the equator.
    cosines_most: f64,
    /// The layer is so tall that one cosine for all would be too weak.
    tall: Option<f64>,
    /// Some part may be nearer the other way round the earth.
    wraps: bool,
}

impl Bound {
    fn new(origin: &Origin, index: &PackedIndex) -> Self {
        let [west, south, east, north] = index.bounds().map(f64::from);
        let (x, y) = (origin.at.x * PER_DEGREE, origin.at.y * PER_DEGREE);
        let cos_far = (south.abs().max(north.abs() + 1.0) / PER_DEGREE).to_radians().cos().max(0.0);
        let nearest_lat = if south <= 0.0 && north >= 0.0 { 0.0 } else { south.abs().min(north.abs()) };
        let cos_near = ((nearest_lat - 1.0).max(0.0) / PER_DEGREE).to_radians().cos();
        Self {
            x,
            y,
            cosines: origin.cos_lat * cos_far,
            cosines_most: origin.cos_lat * cos_near,
            tall: (north - south > 3.0 * PER_DEGREE).then_some(origin.cos_lat),
            wraps: x - west > 180.0 * PER_DEGREE || east + 1.0 - x > 180.0 * PER_DEGREE,
        }
    }

    fn least(&self, node: &Node, bounds: &mut [f64; NODE]) {
        const HALF_RAD: f64 = std::f64::consts::PI / 360.0 / PER_DEGREE;
        const WORLD: f64 = 360.0 * PER_DEGREE;
        let mut cosines = [self.cosines; NODE];
        if let Some(cos_lat) = self.tall {
            // Apart from the loop below: the compiler would work out the cosine for all layers, tall or not.
            own_cosines(node, cos_lat, &mut cosines);
        }
        for (i, (bound, cosines)) in bounds.iter_mut().zip(cosines).enumerate() {
            // A step covers [n, n + 1): the far edges are one step out.
            let (west, east) = (f64::from(node.west[i]), f64::from(node.east[i]) + 1.0);
            let (south, north) = (f64::from(node.south[i]), f64::from(node.north[i]) + 1.0);
            let mut gap_x = (west - self.x).max(self.x - east).max(0.0);
            if self.wraps {
                gap_x = gap_x.min((west + WORLD - self.x).max(0.0)).min((self.x - east + WORLD).max(0.0));
            }
            let gap_y = (south - self.y).max(self.y - north).max(0.0);
            let (a2, b2) = ((gap_y * HALF_RAD).powi(2), (gap_x * HALF_RAD).powi(2));
            *bound = (a2 * (1.0 - a2 / 3.0) + cosines * b2 * (1.0 - b2 / 3.0)).max(0.0);
        }
    }

    /// An upper bound for the child: its farthest corner, on the sphere of greatest curvature radius.
    fn most(&self, node: &Node, i: usize) -> f64 {
        const HALF_RAD: f64 = std::f64::consts::PI / 360.0 / PER_DEGREE;
        let (west, east) = (f64::from(node.west[i]), f64::from(node.east[i]) + 1.0);
        let (south, north) = (f64::from(node.south[i]), f64::from(node.north[i]) + 1.0);
        let far_x = (self.x - west).abs().max((self.x - east).abs());
        let far_y = (self.y - south).abs().max((self.y - north).abs());
        let (a, b) = (far_y * HALF_RAD, far_x * HALF_RAD);
        SPREAD * (a * a + self.cosines_most * b * b) * (1.0 + 1e-12)
    }
}

#[inline(never)]
fn own_cosines(node: &Node, cos_lat: f64, cosines: &mut [f64; NODE]) {
    for (i, cosine) in cosines.iter_mut().enumerate() {
        let far = f64::from(node.south[i]).abs().max((f64::from(node.north[i]) + 1.0).abs());
        *cosine = cos_lat * (far / PER_DEGREE).to_radians().cos().max(0.0);
    }
}

/// More neighbours than this are fetched by the general walk.
const MOST: usize = 64;

/// As [`nearest`], for an index over single points (`points` in index order). `None` where the plane is not good enough:
/// ask [`nearest`] then.
pub(crate) fn nearest_points(
    index: &PackedIndex,
    points: &[Coord<f64>],
    origin: &Origin,
    within_m: f64,
    count: usize,
) -> Option<Vec<(u32, f64)>> {
    let flat = origin.flat(index.bounds())?;
    if !(1..=MOST).contains(&count) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)]
    let reach = (within_m as f32).clamp(0.0, Flat::REACH_M);
    let start = reach + flat.slack(reach);
    let mut walk = Nearby {
        index,
        flat,
        count,
        limit2: start * start,
        best: [f32::INFINITY; MOST],
        met: Vec::with_capacity(4 * count + NODE),
    };
    match index.upper_levels() {
        0 => walk.leaf(0),
        levels => walk.node(levels - 1, 0),
    }
    if within_m > f64::from(Flat::REACH_M) && walk.limit2 >= start * start {
        return None;
    }
    let limit2 = walk.limit2;
    let finalists = walk.met.iter().filter(|(d2, _)| *d2 <= limit2).filter_map(|(_, place)| {
        let place = *place as usize;
        Some((*index.order().get(place)?, origin.distance_m(*points.get(place)?)))
    });
    let mut found: Vec<(u32, f64)> = finalists.filter(|(_, distance_m)| *distance_m <= within_m).collect();
    found.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    found.truncate(count);
    Some(found)
}

/// The depth-first walk of [`nearest_points`], over squared flat distances.
struct Nearby<'a> {
    index: &'a PackedIndex,
    flat: Flat,
    count: usize,
    /// What lies beyond is not among the nearest, whatever the plane's error.
    limit2: f32,
    /// The `count` least so far, ascending.
    best: [f32; MOST],
    met: Vec<(f32, u32)>,
}

impl Nearby<'_> {
    fn node(&mut self, level: usize, at: usize) {
        let least = self.flat.least2(self.index.upper(level, at));
        let filled = self.index.filled_bits(level, at);
        // Straight down first: it shortens the limit, and few of the others are left to sort.
        let mut first = (f32::INFINITY, 0);
        for (child, least) in least.iter().enumerate() {
            if *least < first.0 && filled >> child & 1 == 1 {
                first = (*least, child);
            }
        }
        if first.0 > self.limit2 {
            return;
        }
        self.down(level, at * NODE + first.1);
        let mut queue = [(0.0_f32, 0_u32); NODE];
        let mut waiting = 0;
        for child in bits(at_most(&least, self.limit2) & filled & !(1 << first.1)) {
            // Sorted as they come.
            let least = least[child as usize];
            let mut place = waiting;
            while place > 0 && queue[place - 1].0 > least {
                queue[place] = queue[place - 1];
                place -= 1;
            }
            queue[place] = (least, child);
            waiting += 1;
        }
        for (least, child) in &queue[..waiting] {
            if *least > self.limit2 {
                break;
            }
            self.down(level, at * NODE + *child as usize);
        }
    }

    fn down(&mut self, level: usize, at: usize) {
        if level == 0 { self.leaf(at) } else { self.node(level - 1, at) }
    }

    fn leaf(&mut self, at: usize) {
        let Some((d2, filled)) = self.flat.leaf2(self.index, at) else { return };
        for child in bits(at_most(&d2, self.limit2) & filled) {
            let d2 = d2[child as usize];
            if d2 <= self.limit2 {
                #[allow(clippy::cast_possible_truncation)]
                self.offer(d2, (at * NODE) as u32 + child);
            }
        }
    }

    fn offer(&mut self, d2: f32, place: u32) {
        self.met.push((d2, place));
        let best = &mut self.best[..self.count];
        let Some(mut at) = best.len().checked_sub(1).filter(|last| d2 < best[*last]) else { return };
        while at > 0 && best[at - 1] > d2 {
            best[at] = best[at - 1];
            at -= 1;
        }
        best[at] = d2;
        let last = best[best.len() - 1];
        if last.is_finite() {
            // The true distance of the last one may be longer than its flat one, and a truly nearer one's flat longer yet.
            let d = last.sqrt();
            let limit = d + 2.0 * self.flat.slack(d);
            self.limit2 = self.limit2.min(limit * limit);
        }
    }
}

/// Bit i: value i is at most `limit`.
fn at_most(values: &[f32; NODE], limit: f32) -> u32 {
    let mut flags = [0_u8; NODE];
    for (flag, value) in flags.iter_mut().zip(values) {
        *flag = u8::from(*value <= limit);
    }
    mask(&flags)
}

impl Flat {
    /// Squared flat distances to the nearest places of a node's boxes.
    #[inline]
    fn least2(&self, node: &Node) -> [f32; NODE] {
        let gap =
            |low: i32, high: i32, at: i32| (low.wrapping_sub(at) as f32).max(at.wrapping_sub(high) as f32).max(0.0);
        let mut squares = [0.0; NODE];
        for (i, square) in squares.iter_mut().enumerate() {
            let x = gap(node.west[i], node.east[i], self.x) * self.east;
            let y = gap(node.south[i], node.north[i], self.y) * self.north;
            *square = x * x + y * y;
        }
        squares
    }

    /// Squared flat distances to the farthest.
    #[inline]
    fn most2(&self, node: &Node) -> [f32; NODE] {
        let far = |low: i32, high: i32, at: i32| {
            (low.wrapping_sub(at) as f32).abs().max((high.wrapping_sub(at) as f32).abs())
        };
        let mut squares = [0.0; NODE];
        for (i, square) in squares.iter_mut().enumerate() {
            let x = far(node.west[i], node.east[i], self.x) * self.east;
            let y = far(node.south[i], node.north[i], self.y) * self.north;
            *square = x * x + y * y;
        }
        squares
    }

    /// Squared flat distances to a leaf's points, and which of them there are.
    #[inline]
    fn leaf2(&self, index: &PackedIndex, at: usize) -> Option<([f32; NODE], u32)> {
        let leaf = index.cells()?.get(at)?;
        let mut squares = [0.0; NODE];
        for (i, square) in squares.iter_mut().enumerate() {
            let x = leaf.x[i].wrapping_sub(self.x) as f32 * self.east;
            let y = leaf.y[i].wrapping_sub(self.y) as f32 * self.north;
            *square = x * x + y * y;
        }
        Some((squares, index.leaf_bits(at)))
    }
}

/// Tells the sink every point (`points` in index order) at most `within_m` away: `inside` for ranges, and leaves whose
/// masks all say the same. False, and nothing told, where the plane is not good enough.
pub(crate) fn points_within(
    index: &PackedIndex,
    points: &[Coord<f64>],
    origin: &Origin,
    within_m: f64,
    sink: &mut impl Sink,
) -> bool {
    let Some(flat) = origin.flat(index.bounds()).filter(|_| within_m <= f64::from(Flat::REACH_M)) else { return false };
    #[allow(clippy::cast_possible_truncation)]
    let radius = within_m as f32;
    let slack = flat.slack(radius);
    let (inner, outer) = ((radius - slack).max(0.0), radius + slack);
    let inner2 = if radius > slack { inner * inner } else { -1.0 };
    let walk = Circle { index, points, origin, flat, within_m, inner2, outer2: outer * outer };
    match index.upper_levels() {
        0 => walk.leaf(0, sink),
        levels => walk.node(levels - 1, 0, sink),
    }
    true
}

struct Circle<'a> {
    index: &'a PackedIndex,
    points: &'a [Coord<f64>],
    origin: &'a Origin,
    flat: Flat,
    within_m: f64,
    /// Up to here everything is truly inside, beyond `outer2` nothing.
    inner2: f32,
    outer2: f32,
}

impl Circle<'_> {
    fn node(&self, level: usize, at: usize, sink: &mut impl Sink) {
        let node = self.index.upper(level, at);
        let mut meets = at_most(&self.flat.least2(node), self.outer2) & self.index.filled_bits(level, at);
        let within = at_most(&self.flat.most2(node), self.inner2) & meets;
        while meets != 0 {
            let child = meets.trailing_zeros();
            let run = (within >> child).trailing_ones();
            let next = at * NODE + child as usize;
            if run > 0 {
                sink.inside(self.index.span(level, next).start..self.index.span(level, next + run as usize - 1).end);
                meets &= !0 << (child + run);
                continue;
            }
            meets &= meets - 1;
            if level == 0 { self.leaf(next, sink) } else { self.node(level - 1, next, sink) }
        }
    }

    fn leaf(&self, at: usize, sink: &mut impl Sink) {
        let Some((d2, filled)) = self.flat.leaf2(self.index, at) else { return };
        let first = at * NODE;
        let mut hits = at_most(&d2, self.inner2) & filled;
        for child in bits(at_most(&d2, self.outer2) & filled & !hits) {
            let near =
                self.points.get(first + child as usize).is_some_and(|c| self.origin.distance_m(*c) <= self.within_m);
            hits |= u32::from(near) << child;
        }
        if hits != 0 {
            sink.leaf(Met { first, meets: hits, overlaps: hits, between: hits });
        }
    }
}
