//! An index for what moves: vehicles, patrols, whatever changes place between two syncs.

use crate::measure::{arc_m, earth_centred};
use geo_types::Coord;
use rstar::RTree;
use rstar::primitives::GeomWithData;
use std::collections::HashMap;

type Stored = GeomWithData<[f64; 3], u32>;

/// Positions by ordinal, nearest first on demand. Positions lie in the tree as earth-centred metres, so that the order
/// is right across the date line and at the poles.
#[derive(Clone, Debug, Default)]
pub struct MovingIndex {
    tree: RTree<Stored>,
    at: HashMap<u32, Coord<f64>>,
}

impl MovingIndex {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the position (degrees) of an ordinal, new or known. False, and nothing changed, when it is not finite.
    pub fn update(&mut self, ordinal: u32, at: Coord<f64>) -> bool {
        if !(at.x.is_finite() && at.y.is_finite()) {
            return false;
        }
        self.remove(ordinal);
        self.tree.insert(Stored::new(earth_centred(at), ordinal));
        self.at.insert(ordinal, at);
        true
    }

    /// As [`MovingIndex::update`].
    pub fn insert(&mut self, ordinal: u32, at: Coord<f64>) -> bool {
        self.update(ordinal, at)
    }

    /// The position it had.
    pub fn remove(&mut self, ordinal: u32) -> Option<Coord<f64>> {
        let at = self.at.remove(&ordinal)?;
        self.tree.remove(&Stored::new(earth_centred(at), ordinal));
        Some(at)
    }

    pub fn position(&self, ordinal: u32) -> Option<Coord<f64>> {
        self.at.get(&ordinal).copied()
    }

    /// Up to `count` ordinals by geodesic distance in metres from `from`, nearest first.
    pub fn nearest(&self, from: Coord<f64>, count: usize) -> Vec<(u32, f64)> {
        if !(from.x.is_finite() && from.y.is_finite()) {
            return Vec::new();
        }
        self.tree
            .nearest_neighbor_iter_with_distance_2(earth_centred(from))
            .take(count)
            .filter_map(|(stored, chord2_m2)| {
                let at = self.at.get(&stored.data)?;
                Some((stored.data, arc_m(chord2_m2, from, *at)))
            })
            .collect()
    }

    pub fn len(&self) -> usize {
        self.at.len()
    }

    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_found_at_its_new_place_only() {
        let mut index = MovingIndex::new();
        assert!(index.insert(7, Coord { x: 106.0, y: 11.0 }));
        assert!(index.insert(8, Coord { x: 106.5, y: 11.0 }));
        assert!(index.update(7, Coord { x: 106.6, y: 11.0 }));
        assert!(!index.update(9, Coord { x: f64::NAN, y: 11.0 }));
        let near = index.nearest(Coord { x: 106.0, y: 11.0 }, 5);
        assert_eq!(near.iter().map(|n| n.0).collect::<Vec<_>>(), [8, 7]);
        assert!(
            (near[0].1 - geodesy::distance_m(Coord { x: 106.0, y: 11.0 }, Coord { x: 106.5, y: 11.0 })).abs() < 1e-3
        );
        assert_eq!(index.remove(8), Some(Coord { x: 106.5, y: 11.0 }));
        assert_eq!(index.remove(8), None);
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn nearest_works_across_the_date_line() {
        let mut index = MovingIndex::new();
        index.insert(0, Coord { x: -179.9, y: 0.0 });
        index.insert(1, Coord { x: 179.0, y: 0.0 });
        assert_eq!(index.nearest(Coord { x: 179.9, y: 0.0 }, 1)[0].0, 0);
    }
}
