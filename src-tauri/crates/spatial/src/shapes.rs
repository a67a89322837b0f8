//! The layer's geometry on the world grid, in flat arrays: what tiles are cut from.

use crate::geometries::Geometries;
use crate::grid::to_world;
use geo_types::Coord;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PathKind {
    Points,
    Line,
    Exterior,
    Hole,
}

impl PathKind {
    pub const ALL: [Self; 4] = [Self::Points, Self::Line, Self::Exterior, Self::Hole];
}

/// A run of coordinates. Rings come without their closing repetition, a hole after its exterior.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub kind: PathKind,
    /// Ends where the next path starts.
    start: usize,
    /// West, north, east, south on the world grid.
    pub bbox: [i32; 4],
}

#[derive(Debug, Default)]
pub(crate) struct Shapes {
    coords: Vec<[i32; 2]>,
    paths: Vec<Path>,
    /// Per feature, its first path; one more at the end. Empty for a layer of single points: there the coordinate's
    /// place is the ordinal.
    first: Vec<usize>,
    /// Per feature, the area of its polygons in square world steps; empty when the layer has none.
    areas: Vec<f32>,
}

impl Shapes {
    pub fn build(geometries: &Geometries) -> Self {
        let mut shapes = Self::default();
        shapes.coords.reserve_exact(geometries.coords.len());
        if geometries.all_points() {
            shapes.coords.extend(geometries.coords.iter().map(|c| to_world(*c)));
            return shapes;
        }
        let count = geometries.path_ends.len();
        shapes.first.reserve_exact(count + 1);
        shapes.areas.reserve_exact(count);
        shapes.paths.reserve_exact(geometries.kinds.len());
        for ordinal in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            shapes.first.push(shapes.paths.len());
            let mut area = 0.0;
            for (kind, coords) in geometries.paths(ordinal) {
                let ring = matches!(kind, PathKind::Exterior | PathKind::Hole);
                let coords = match coords {
                    [head @ .., last] if ring && head.first() == Some(last) => head,
                    all => all,
                };
                let size = shapes.path(kind, coords);
                area += match kind {
                    PathKind::Exterior => size,
                    PathKind::Hole => -size,
                    _ => 0.0,
                };
            }
            #[allow(clippy::cast_possible_truncation)]
            shapes.areas.push(area as f32);
        }
        shapes.first.push(shapes.paths.len());
        shapes
    }

    /// The one coordinate of a feature, when the layer is all points.
    pub fn single(&self, ordinal: u32) -> Option<[i32; 2]> {
        if self.first.is_empty() { self.coords.get(ordinal as usize).copied() } else { None }
    }

    pub fn all_points(&self) -> bool {
        self.first.is_empty()
    }

    pub fn paths(&self, ordinal: u32) -> impl Iterator<Item = (&Path, &[[i32; 2]])> {
        let at = ordinal as usize;
        let range = match (self.first.get(at), self.first.get(at + 1)) {
            (Some(from), Some(to)) => *from..*to,
            _ => 0..0,
        };
        range.map(|path| {
            let end = self.paths.get(path + 1).map_or(self.coords.len(), |next| next.start);
            (&self.paths[path], &self.coords[self.paths[path].start..end])
        })
    }

    pub fn area(&self, ordinal: u32) -> f32 {
        self.areas.get(ordinal as usize).copied().unwrap_or(0.0)
    }

    /// Area of the path taken as a ring.
    fn path(&mut self, kind: PathKind, path: &[Coord<f64>]) -> f64 {
        let start = self.coords.len();
        self.coords.extend(path.iter().map(|c| to_world(*c)));
        let added = &self.coords[start..];
        let bbox = added.iter().fold([i32::MAX, i32::MAX, i32::MIN, i32::MIN], |b, p| {
            [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])]
        });
        self.paths.push(Path { kind, start, bbox });
        let (Some(origin), Some(last)) = (added.first(), added.last()) else { return 0.0 };
        let relative = |p: &[i32; 2]| [f64::from(p[0]) - f64::from(origin[0]), f64::from(p[1]) - f64::from(origin[1])];
        let mut from = relative(last);
        let mut sum = 0.0;
        for p in added {
            let to = relative(p);
            sum += from[0] * to[1] - to[0] * from[1];
            from = to;
        }
        sum.abs() / 2.0
    }
}
