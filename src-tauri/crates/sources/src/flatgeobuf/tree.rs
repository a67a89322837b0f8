//! The index of a file: boxes in the order of a Hilbert curve, packed into nodes from the leaves up.

use model::BBox;
use std::io::{self, Write};

/// Boxes in a node, as GDAL has it.
pub(super) const NODE_SIZE: u16 = 16;

/// A feature's box and where its bytes begin.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    pub(super) bbox: BBox,
    pub(super) offset: u64,
}

/// A feature's place along the curve through the extent.
pub(super) fn curve(bbox: &BBox, extent: &BBox) -> u32 {
    if bbox.is_empty() {
        return 0;
    }
    let cell = |at: f64, low: f64, high: f64| {
        let share = if high > low { ((at - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cell = (share * 65_535.0) as u32;
        cell
    };
    let x = cell(f64::midpoint(bbox.west, bbox.east), extent.west, extent.east);
    let y = cell(f64::midpoint(bbox.south, bbox.north), extent.south, extent.north);
    hilbert(x, y)
}

/// The distance along a Hilbert curve of order 16.
fn hilbert(mut x: u32, mut y: u32) -> u32 {
    let mut distance = 0;
    let mut half = 1 << 15;
    while half > 0 {
        let (right, upper) = (u32::from(x & half > 0), u32::from(y & half > 0));
        distance += half * half * ((3 * right) ^ upper);
        if upper == 0 {
            if right == 1 {
                (x, y) = (65_535 - x, 65_535 - y);
            }
            (x, y) = (y, x);
        }
        half /= 2;
    }
    distance
}

/// Writes the tree over leaves in order, root first (specification, "Spatial index").
pub(super) fn write(out: &mut impl Write, leaves: &[Leaf]) -> io::Result<()> {
    if leaves.is_empty() {
        return Ok(());
    }
    // Levels from the leaves up; each holds its boxes, its children are counted.
    let mut levels: Vec<Vec<BBox>> = vec![leaves.iter().map(|leaf| leaf.bbox).collect()];
    while levels.len() == 1 || levels.last().is_some_and(|level| level.len() > 1) {
        let below = levels.last().map(Vec::as_slice).unwrap_or_default();
        let above = below.chunks(usize::from(NODE_SIZE)).map(|node| {
            let mut bbox = BBox::EMPTY;
            node.iter().filter(|child| !child.is_empty()).for_each(|child| {
                bbox.add(child.west, child.south);
                bbox.add(child.east, child.north);
            });
            bbox
        });
        let above = above.collect();
        levels.push(above);
    }
    let mut first_of_level = 0;
    for (height, level) in levels.iter().enumerate().rev() {
        let below = first_of_level + level.len() as u64;
        for (nth, bbox) in level.iter().enumerate() {
            let leads_to = match height {
                0 => leaves[nth].offset,
                _ => below + nth as u64 * u64::from(NODE_SIZE),
            };
            for side in [bbox.west, bbox.south, bbox.east, bbox.north] {
                out.write_all(&side.to_le_bytes())?;
            }
            out.write_all(&leads_to.to_le_bytes())?;
        }
        first_of_level = below;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_from_cell_to_neighbouring_cell() {
        // The first 256 cells of the curve fill a square of 16 by 16.
        let mut cells: Vec<(u32, u32, u32)> =
            (0..16).flat_map(|x| (0..16).map(move |y| (hilbert(x, y), x, y))).collect();
        cells.sort_unstable();
        assert_eq!(cells.iter().map(|cell| cell.0).collect::<Vec<_>>(), (0..256).collect::<Vec<_>>());
        assert!(cells.windows(2).all(|two| two[0].1.abs_diff(two[1].1) + two[0].2.abs_diff(two[1].2) == 1));
    }

    #[test]
    fn the_tree_is_as_long_as_readers_expect() {
        for count in [1_u64, 2, 16, 17, 256, 257, 5_000] {
            let leaf = |at: u64| Leaf { bbox: BBox { west: 0.0, south: 0.0, east: 1.0, north: 1.0 }, offset: at };
            let leaves: Vec<Leaf> = (0..count).map(leaf).collect();
            let mut out = Vec::new();
            write(&mut out, &leaves).unwrap();
            assert_eq!(Some(out.len() as u64), super::super::index_bytes(count, NODE_SIZE), "{count}");
        }
    }
}
