//! The layer's geometry on the world grid, in flat arrays: what tiles are cut from.

use crate::grid::to_world;
use crate::plane::{Part, parts, rings};
use geo_types::{Coord, Geometry};
use model::Feature;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathKind {
    Points,
    Line,
    Exterior,
    Hole,
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
    pub fn build(features: &[Feature]) -> Self {
        let mut shapes = Self::default();
        if features.iter().all(|feature| matches!(feature.geometry, Geometry::Point(_))) {
            shapes.coords = features
                .iter()
                .map(|feature| if let Geometry::Point(p) = feature.geometry { to_world(p.0) } else { [0, 0] })
                .collect();
            return shapes;
        }
        shapes.first.reserve_exact(features.len() + 1);
        shapes.areas.reserve_exact(features.len());
        for feature in features {
            shapes.first.push(shapes.paths.len());
            let area = shapes.add(&feature.geometry);
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

    fn add(&mut self, geometry: &Geometry<f64>) -> f64 {
        let mut area = 0.0;
        let mut points = Vec::new();
        parts(geometry, &mut |part| match part {
            Part::Point(c) => points.push(c),
            Part::Line(line) => {
                self.path(PathKind::Line, line);
            }
            Part::Polygon(polygon) => {
                for (i, ring) in rings(polygon).enumerate() {
                    let coords = match ring.0.as_slice() {
                        [head @ .., last] if head.first() == Some(last) => head,
                        all => all,
                    };
                    let kind = if i == 0 { PathKind::Exterior } else { PathKind::Hole };
                    let size = self.path(kind, coords);
                    area += if i == 0 { size } else { -size };
                }
            }
        });
        if !points.is_empty() {
            self.path(PathKind::Points, &points);
        }
        area
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
