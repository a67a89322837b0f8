//! The layer's geometry in degrees, in flat arrays: what questions are answered from.

use crate::shapes::PathKind;
use geo_types::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
};
use model::BBox;
use std::ops::Range;

/// What a feature's paths add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Type {
    Point,
    Line,
    Polygon,
    MultiPoint,
    MultiLine,
    MultiPolygon,
    /// Collections in collections are laid flat.
    Collection,
}

impl Type {
    pub const ALL: [Self; 7] = [
        Self::Point,
        Self::Line,
        Self::Polygon,
        Self::MultiPoint,
        Self::MultiLine,
        Self::MultiPolygon,
        Self::Collection,
    ];

    pub fn of(geometry: &Geometry<f64>) -> Self {
        match geometry {
            Geometry::Point(_) => Self::Point,
            Geometry::Line(_) | Geometry::LineString(_) => Self::Line,
            Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => Self::Polygon,
            Geometry::MultiPoint(_) => Self::MultiPoint,
            Geometry::MultiLineString(_) => Self::MultiLine,
            Geometry::MultiPolygon(_) => Self::MultiPolygon,
            Geometry::GeometryCollection(_) => Self::Collection,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Geometries {
    pub coords: Vec<Coord<f64>>,
    /// Rings are closed, a hole stands after its exterior.
    pub kinds: Vec<PathKind>,
    /// Per path, where its coordinates end.
    pub ends: Vec<u32>,
    /// Per feature, where its paths end. Empty for a layer of single points: there the coordinate's place is the ordinal.
    pub path_ends: Vec<u32>,
    pub types: Vec<Type>,
}

/// A part of a feature: what a question looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    Point(Coord<f64>),
    Line(&'a [Coord<f64>]),
    Polygon(Rings<'a>),
}

/// A polygon's closed rings, the exterior first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rings<'a> {
    coords: &'a [Coord<f64>],
    ends: &'a [u32],
    start: usize,
}

impl<'a> Rings<'a> {
    pub fn iter(self) -> impl Iterator<Item = &'a [Coord<f64>]> + Clone {
        let starts = std::iter::once(self.start).chain(self.ends.iter().map(|end| *end as usize));
        starts.zip(self.ends).map(move |(start, end)| self.coords.get(start..*end as usize).unwrap_or_default())
    }

    fn to_polygon(self) -> Polygon<f64> {
        let mut rings = self.iter().map(|ring| LineString(ring.to_vec()));
        let exterior = rings.next().unwrap_or(LineString(Vec::new()));
        Polygon::new(exterior, rings.collect())
    }
}

fn range(ends: &[u32], at: usize) -> Range<usize> {
    let Some(end) = ends.get(at) else { return 0..0 };
    at.checked_sub(1).map_or(0, |before| ends[before] as usize)..*end as usize
}

impl Geometries {
    pub fn all_points(&self) -> bool {
        self.path_ends.is_empty()
    }

    /// The feature's one coordinate in a layer of single points.
    pub fn single(&self, ordinal: u32) -> Option<Coord<f64>> {
        if self.all_points() { self.coords.get(ordinal as usize).copied() } else { None }
    }

    /// All coordinates of a feature.
    pub fn coords_of(&self, ordinal: u32) -> &[Coord<f64>] {
        let at = ordinal as usize;
        if self.all_points() {
            return self.coords.get(at..=at).unwrap_or_default();
        }
        let paths = range(&self.path_ends, at);
        if paths.is_empty() {
            return &[];
        }
        let start = range(&self.ends, paths.start).start;
        self.coords.get(start..range(&self.ends, paths.end - 1).end).unwrap_or_default()
    }

    /// Around a feature; empty when a coordinate is not finite: such a feature has no place.
    pub fn bbox(&self, ordinal: u32) -> BBox {
        let coords = self.coords_of(ordinal);
        if coords.iter().any(|c| !(c.x.is_finite() && c.y.is_finite())) {
            return BBox::EMPTY;
        }
        coords.iter().fold(BBox::EMPTY, |mut bbox, c| {
            bbox.add(c.x, c.y);
            bbox
        })
    }

    pub fn paths(&self, ordinal: u32) -> impl Iterator<Item = (PathKind, &[Coord<f64>])> {
        range(&self.path_ends, ordinal as usize).filter_map(|path| {
            let coords = self.coords.get(range(&self.ends, path)).unwrap_or_default();
            Some((*self.kinds.get(path)?, coords))
        })
    }

    /// Calls `f` for every part of a feature.
    pub fn pieces<'a>(&'a self, ordinal: u32, f: &mut dyn FnMut(Piece<'a>)) {
        if let Some(c) = self.single(ordinal) {
            return f(Piece::Point(c));
        }
        let paths = range(&self.path_ends, ordinal as usize);
        let mut path = paths.start;
        while path < paths.end {
            let coords = self.coords.get(range(&self.ends, path)).unwrap_or_default();
            let mut next = path + 1;
            match self.kinds[path] {
                PathKind::Points => coords.iter().for_each(|c| f(Piece::Point(*c))),
                PathKind::Line => f(Piece::Line(coords)),
                PathKind::Exterior | PathKind::Hole => {
                    while next < paths.end && self.kinds[next] == PathKind::Hole {
                        next += 1;
                    }
                    let start = range(&self.ends, path).start;
                    f(Piece::Polygon(Rings { coords: &self.coords, ends: &self.ends[path..next], start }));
                }
            }
            path = next;
        }
    }

    /// A feature's geometry as a value of its own.
    pub fn geometry(&self, ordinal: u32) -> Geometry<f64> {
        if let Some(c) = self.single(ordinal) {
            return Geometry::Point(Point(c));
        }
        let (mut points, mut lines, mut polygons) = (Vec::new(), Vec::new(), Vec::new());
        let mut all = Vec::new();
        let held = self.types.get(ordinal as usize).copied().unwrap_or(Type::Collection);
        self.pieces(ordinal, &mut |piece| match (held, piece) {
            (Type::Collection, Piece::Point(c)) => all.push(Geometry::Point(Point(c))),
            (Type::Collection, Piece::Line(l)) => all.push(Geometry::LineString(LineString(l.to_vec()))),
            (Type::Collection, Piece::Polygon(rings)) => all.push(Geometry::Polygon(rings.to_polygon())),
            (_, Piece::Point(c)) => points.push(Point(c)),
            (_, Piece::Line(l)) => lines.push(LineString(l.to_vec())),
            (_, Piece::Polygon(rings)) => polygons.push(rings.to_polygon()),
        });
        let empty = || LineString(Vec::new());
        match held {
            Type::Point => points.pop().map_or_else(|| MultiPoint(Vec::new()).into(), Geometry::Point),
            Type::Line => Geometry::LineString(lines.pop().unwrap_or_else(empty)),
            Type::Polygon => Geometry::Polygon(polygons.pop().unwrap_or_else(|| Polygon::new(empty(), Vec::new()))),
            Type::MultiPoint => Geometry::MultiPoint(MultiPoint(points)),
            Type::MultiLine => Geometry::MultiLineString(MultiLineString(lines)),
            Type::MultiPolygon => Geometry::MultiPolygon(MultiPolygon(polygons)),
            Type::Collection => Geometry::GeometryCollection(GeometryCollection(all)),
        }
    }

    /// One feature by itself.
    #[cfg(test)]
    pub fn of(geometry: &Geometry<f64>) -> Self {
        let mut one = Self::default();
        one.push(geometry);
        one
    }

    /// Adds a feature.
    pub fn push(&mut self, geometry: &Geometry<f64>) {
        self.types.push(Type::of(geometry));
        crate::plane::parts(geometry, &mut |part| match part {
            crate::plane::Part::Point(c) => self.path(PathKind::Points, &[c]),
            crate::plane::Part::Line(line) => self.path(PathKind::Line, line),
            crate::plane::Part::Polygon(polygon) => {
                for (i, ring) in crate::plane::rings(polygon).enumerate() {
                    self.path(if i == 0 { PathKind::Exterior } else { PathKind::Hole }, ring);
                }
            }
        });
        self.path_ends.push(u32::try_from(self.kinds.len()).unwrap_or(u32::MAX));
    }

    fn path(&mut self, kind: PathKind, coords: &[Coord<f64>]) {
        self.coords.extend_from_slice(coords);
        let end = u32::try_from(self.coords.len()).unwrap_or(u32::MAX);
        let owner = self.path_ends.last().map_or(0, |end| *end as usize);
        // The points of a feature are one path.
        if kind == PathKind::Points && self.kinds.len() > owner && self.kinds.last() == Some(&PathKind::Points) {
            if let Some(last) = self.ends.last_mut() {
                *last = end;
            }
            return;
        }
        self.kinds.push(kind);
        self.ends.push(end);
    }

    /// Forgets everything but its room.
    pub fn clear(&mut self) {
        self.coords.clear();
        self.kinds.clear();
        self.ends.clear();
        self.path_ends.clear();
        self.types.clear();
    }

    /// Forgets the paths of a layer of single points: the coordinate's place is enough.
    pub fn seal(&mut self) {
        let points = self.types.iter().all(|held| *held == Type::Point) && self.coords.len() == self.types.len();
        if points {
            (self.kinds, self.ends, self.path_ends, self.types) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        }
        self.coords.shrink_to_fit();
    }
}
