//! The nearest-first walk: a queue of bounds that are never too long.

use crate::grid::PER_DEGREE;
use crate::measure::{Origin, SPREAD, haversine_of};
use crate::packed::{NODE, Node, PackedIndex};
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
                bound.least(node, &mut bounds);
                for child in 0..index.children(level, at) {
                    let least = bounds[child as usize];
                    if least > limit {
                        continue;
                    }
                    let place = at * NODE as u32 + child;
                    let waiting = if level == 0 {
                        if ceiling_count != usize::MAX {
                            let most = bound.most(node, child as usize).to_bits();
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
