//! The two integer grids: 1e-7° for the index, 2³¹ Web Mercator for tiles.
//!
//! Both mappings are monotone, so that comparing integers never contradicts comparing degrees: `floor(a) < floor(b)`
//! implies `a < b`. That is what lets the index skip the exact test for everything but boundary cases.

use geo_types::Coord;
use model::BBox;

/// Grid steps per degree: 1.1 cm at the equator.
pub(crate) const PER_DEGREE: f64 = 1e7;

/// The world is 2³¹ steps wide in Mercator: 1.9 cm at the equator.
pub(crate) const WORLD_BITS: u32 = 31;

/// West, south, east, north in grid steps of 1e-7°.
pub(crate) type GridBox = [i32; 4];

/// The box that no query meets.
pub(crate) const NOWHERE: GridBox = [i32::MAX, i32::MAX, i32::MIN, i32::MIN];

/// Degrees to grid steps. Values beyond ±214.7° saturate; NaN becomes 0.
pub(crate) fn to_grid(degrees: f64) -> i32 {
    #[allow(clippy::cast_possible_truncation)]
    let step = (degrees * PER_DEGREE).floor() as i32;
    step
}

pub(crate) fn grid_box(b: &BBox) -> GridBox {
    if b.is_empty() {
        return NOWHERE;
    }
    [to_grid(b.west), to_grid(b.south), to_grid(b.east), to_grid(b.north)]
}

/// A WGS84 coordinate on the Mercator grid, x east, y south, both in `0..2³¹`. Beyond ±85.06° it sticks to the edge.
pub(crate) fn to_world(c: Coord<f64>) -> [i32; 2] {
    const SIZE: f64 = (1_u64 << WORLD_BITS) as f64;
    let x = (c.x + 180.0) / 360.0;
    // ln tan(π/4 + φ/2) by the sine alone.
    let sin = c.y.clamp(-89.9, 89.9).to_radians().sin();
    let y = 0.5 - ((1.0 + sin) / (1.0 - sin)).ln() / (2.0 * std::f64::consts::TAU);
    // Saturating casts: the last step of the grid stands for everything east or south of it.
    #[allow(clippy::cast_possible_truncation)]
    let fit = |v: f64| ((v * SIZE).floor().max(0.0)) as i32;
    [fit(x), fit(y)]
}

/// The inverse of [`to_world`] for fractions of the world's width.
pub(crate) fn from_unit(x: f64, y: f64) -> Coord<f64> {
    let lat = ((0.5 - y) * std::f64::consts::TAU).sinh().atan().to_degrees();
    Coord { x: x * 360.0 - 180.0, y: lat }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_world_ends_inside_the_grid() {
        assert_eq!(to_world(Coord { x: -180.0, y: 85.051_128_779_9 })[0], 0);
        assert_eq!(to_world(Coord { x: 180.0, y: 0.0 }), [i32::MAX, 1 << 30]);
        assert_eq!(to_world(Coord { x: -1e9, y: 1e9 }), [0, 0]);
        assert_eq!(to_world(Coord { x: f64::NAN, y: f64::NAN })[0], 0);
        assert_eq!(to_grid(f64::NAN), 0);
    }

    proptest! {
        #[test]
        fn both_grids_are_monotone(a in -180.0..180.0_f64, b in -180.0..180.0_f64) {
            let (low, high) = (a.min(b), a.max(b));
            let world = |x: f64, y: f64| to_world(Coord { x, y });
            prop_assert!(to_grid(low) <= to_grid(high));
            prop_assert!(world(low, 0.0)[0] <= world(high, 0.0)[0]);
            prop_assert!(world(0.0, low / 2.2)[1] >= world(0.0, high / 2.2)[1]);
        }

        #[test]
        fn mercator_comes_back_within_two_centimetres(x in -180.0..180.0_f64, y in -85.0..85.0_f64) {
            let [wx, wy] = to_world(Coord { x, y });
            let size = f64::from(u32::try_from(1_u64 << WORLD_BITS).unwrap());
            let back = from_unit((f64::from(wx) + 0.5) / size, (f64::from(wy) + 0.5) / size);
            prop_assert!((back.x - x).abs() < 2e-7 && (back.y - y).abs() < 2e-7);
        }
    }
}
