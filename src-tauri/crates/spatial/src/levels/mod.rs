//! Overview levels: for each vertex and each feature the lowest zoom that draws it, made once per layer version.
//!
//! **Vertices** ([`vertices`]) thin out by their share in the shape, the same for all rings that use them, so that
//! neighbours keep one border at every zoom. **Features** ([`crowd`]) thin out where a tile would exceed its budget.

mod crowd;
mod vertices;

use crate::packed::PackedIndex;
use crate::shapes::Shapes;
use crate::tile::MAX_ZOOM;
pub(crate) use crowd::FEATURES;

/// The level of what no zoom draws.
const NEVER: u8 = MAX_ZOOM + 1;

const MAGIC: &[u8; 8] = b"TCLEVEL1";

/// Lowest zooms, and the squares that stand in for crowds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    /// Per feature, the lowest zoom that draws it.
    features: Vec<u8>,
    /// Per feature, where its vertices start; one more at the end. Empty for a layer of single points.
    first: Vec<u32>,
    /// Per vertex, path by path, the lowest zoom that keeps it.
    vertices: Vec<u8>,
    /// Tiles whose crowd was thinned, sorted.
    squares: Vec<Square>,
}

/// In this tile each polygon smaller than a square of `side` world steps stands for that much of a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Square {
    z: u8,
    x: u32,
    y: u32,
    side: u32,
}

impl Levels {
    /// `importance` decides who stands for a crowd, higher first; equals go by area. `tag_bytes` is what a feature's
    /// attributes take in a tile.
    pub fn build(
        shapes: &Shapes,
        index: &PackedIndex,
        importance: &dyn Fn(u32) -> f64,
        tag_bytes: usize,
        count: usize,
    ) -> Self {
        let mut levels = Self::default();
        if !shapes.all_points() {
            levels.first = starts(shapes, count);
            levels.vertices = vertices::levels(shapes, index.order(), &levels.first);
        }
        crowd::thin(shapes, importance, tag_bytes, count, &mut levels);
        levels
    }

    /// Whether the zoom draws the feature.
    pub fn draws(&self, ordinal: u32, z: u8) -> bool {
        self.features.get(ordinal as usize).is_some_and(|level| *level <= z)
    }

    /// The lowest zoom that draws the feature.
    pub fn lowest(&self, ordinal: u32) -> u8 {
        self.features.get(ordinal as usize).copied().unwrap_or(NEVER)
    }

    /// Of each vertex of the feature, path after path, the lowest zoom that keeps it.
    pub fn vertices(&self, ordinal: u32) -> &[u8] {
        let at = ordinal as usize;
        match (self.first.get(at), self.first.get(at + 1)) {
            (Some(from), Some(to)) => self.vertices.get(*from as usize..*to as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Whether any tile's crowd was thinned at this zoom or deeper.
    pub fn has_squares(&self, z: u8) -> bool {
        self.squares.last().is_some_and(|square| square.z >= z)
    }

    /// The side in world steps of the square that a small polygon around this place stands for at the zoom; 0 for none.
    pub fn square(&self, z: u8, at: [i32; 2]) -> u32 {
        let Some(last) = self.squares.last() else { return 0 };
        (z..=last.z)
            .find_map(|z| {
                let [x, y] = crowd::tile_of(z, at);
                let found = self.squares.binary_search_by_key(&(z, x, y), |square| (square.z, square.x, square.y));
                found.ok().map(|place| self.squares[place].side)
            })
            .unwrap_or(0)
    }

    /// An opaque blob for [`Levels::from_bytes`]: 36 bytes, one a feature, one a vertex, 13 a thinned tile.
    pub fn to_bytes(&self, shapes: &Shapes) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.features.len() + self.vertices.len() + self.squares.len() * 13);
        body.extend_from_slice(&self.features);
        body.extend_from_slice(&self.vertices);
        for square in &self.squares {
            body.push(square.z);
            for word in [square.x, square.y, square.side] {
                body.extend_from_slice(&word.to_le_bytes());
            }
        }
        let mut out = Vec::with_capacity(body.len() + 36);
        out.extend_from_slice(MAGIC);
        for length in [self.features.len(), self.vertices.len(), self.squares.len()] {
            #[allow(clippy::cast_possible_truncation)]
            out.extend_from_slice(&(length as u32).to_le_bytes());
        }
        out.extend_from_slice(&shapes_sum(shapes, self.features.len()).to_le_bytes());
        out.extend_from_slice(&sum(&body).to_le_bytes());
        out.extend_from_slice(&body);
        out
    }

    /// `None` when the blob is not ours, is damaged, or belongs to other shapes.
    pub fn from_bytes(bytes: &[u8], shapes: &Shapes, count: usize) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (lengths, rest) = rest.split_at_checked(12)?;
        let (sums, body) = rest.split_at_checked(16)?;
        let length = |at: usize| {
            let word = lengths.get(at * 4..at * 4 + 4)?;
            Some(u32::from_le_bytes(word.try_into().ok()?) as usize)
        };
        let (features, vertices, squares) = (length(0)?, length(1)?, length(2)?);
        let whole = features.checked_add(vertices)?.checked_add(squares.checked_mul(13)?)?;
        let first = if shapes.all_points() { Vec::new() } else { starts(shapes, count) };
        let fits = features == count && vertices == first.last().map_or(0, |end| *end as usize) && body.len() == whole;
        let (of_shapes, of_body) = sums.split_at_checked(8)?;
        if !fits || of_body != sum(body).to_le_bytes() || of_shapes != shapes_sum(shapes, count).to_le_bytes() {
            return None;
        }
        let (feature_levels, rest) = body.split_at_checked(features)?;
        let (vertex_levels, rest) = rest.split_at_checked(vertices)?;
        let mut levels = Self {
            features: feature_levels.to_vec(),
            first,
            vertices: vertex_levels.to_vec(),
            squares: Vec::with_capacity(squares),
        };
        for record in rest.as_chunks::<13>().0 {
            let (z, words) = record.split_first()?;
            let mut words = words.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
            levels.squares.push(Square { z: *z, x: words.next()?, y: words.next()?, side: words.next()? });
        }
        let sorted = levels.squares.is_sorted() && levels.squares.iter().all(|square| square.z <= MAX_ZOOM);
        sorted.then_some(levels)
    }
}

/// Where each feature's vertices start. Beyond 2³² vertices the rest has no levels: it is not drawn.
fn starts(shapes: &Shapes, count: usize) -> Vec<u32> {
    let mut first = Vec::with_capacity(count + 1);
    let mut at = 0_u32;
    first.push(0);
    for ordinal in (0..u32::MAX).take(count) {
        let own: usize = shapes.paths(ordinal).map(|(_, world)| world.len()).sum();
        at = u32::try_from(own).ok().and_then(|own| at.checked_add(own)).unwrap_or(at);
        first.push(at);
    }
    first
}

/// FNV-1a (Fowler, Noll, Vo) over words of eight bytes: finds damage, not malice.
#[derive(Clone, Copy)]
struct Sum(u64);

impl Sum {
    const START: Self = Self(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let mut sum = Sum::START;
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| sum.add(u64::from_le_bytes(*word)));
    rest.iter().for_each(|byte| sum.add(u64::from(*byte)));
    sum.add(bytes.len() as u64);
    sum.0
}

fn shapes_sum(shapes: &Shapes, count: usize) -> u64 {
    let mut sum = Sum::START;
    let mut add = |p: &[i32; 2]| sum.add(u64::from(p[0].cast_unsigned()) << 32 | u64::from(p[1].cast_unsigned()));
    for ordinal in (0..u32::MAX).take(count) {
        if let Some(place) = shapes.single(ordinal) {
            add(&place);
        }
        for (_, world) in shapes.paths(ordinal) {
            world.iter().for_each(&mut add);
        }
    }
    sum.0
}

#[cfg(test)]
mod tests;
