//! Which geometry type a feature table declares, and keeping one table to one type.

use geo_types::{Geometry, MultiLineString, MultiPoint, MultiPolygon};
use model::{BBox, GeometryKind};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The geometry types of GeoPackage, annex G.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum GeometryType {
    Point,
    LineString,
    Polygon,
    MultiPoint,
    MultiLineString,
    MultiPolygon,
    GeometryCollection,
    Geometry,
}

impl GeometryType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Point => "POINT",
            Self::LineString => "LINESTRING",
            Self::Polygon => "POLYGON",
            Self::MultiPoint => "MULTIPOINT",
            Self::MultiLineString => "MULTILINESTRING",
            Self::MultiPolygon => "MULTIPOLYGON",
            Self::GeometryCollection => "GEOMETRYCOLLECTION",
            Self::Geometry => "GEOMETRY",
        }
    }

    pub(crate) fn of(geometry: &Geometry<f64>) -> Self {
        match geometry {
            Geometry::Point(_) => Self::Point,
            Geometry::Line(_) | Geometry::LineString(_) => Self::LineString,
            Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => Self::Polygon,
            Geometry::MultiPoint(_) => Self::MultiPoint,
            Geometry::MultiLineString(_) => Self::MultiLineString,
            Geometry::MultiPolygon(_) => Self::MultiPolygon,
            Geometry::GeometryCollection(_) => Self::GeometryCollection,
        }
    }

    /// What an empty table declares.
    pub(crate) fn of_kind(kind: GeometryKind) -> Self {
        match kind {
            GeometryKind::Point => Self::Point,
            GeometryKind::Line => Self::LineString,
            GeometryKind::Polygon => Self::Polygon,
            GeometryKind::Mixed => Self::Geometry,
        }
    }

    fn multi(self) -> Self {
        match self {
            Self::Point | Self::MultiPoint => Self::MultiPoint,
            Self::LineString | Self::MultiLineString => Self::MultiLineString,
            Self::Polygon | Self::MultiPolygon => Self::MultiPolygon,
            Self::GeometryCollection | Self::Geometry => Self::Geometry,
        }
    }

    /// The narrowest type that both fit into: singles and multis of one dimension meet in the multi type, which QGIS
    /// shows as one layer; different dimensions meet in GEOMETRY.
    pub(crate) fn join(self, other: Self) -> Self {
        if self == other {
            self
        } else if self.multi() == other.multi() {
            self.multi()
        } else {
            Self::Geometry
        }
    }

    /// True when `single` must be wrapped to stand in a column of this type.
    pub(crate) fn wraps(self, single: Self) -> bool {
        self != single && self == single.multi()
    }
}

/// A geometry in one of the types that WKB of the Simple Features knows: a line, rectangle or triangle becomes a line
/// string or polygon.
pub(crate) fn plain(geometry: &Geometry<f64>) -> Cow<'_, Geometry<f64>> {
    match geometry {
        Geometry::Line(line) => Cow::Owned(Geometry::LineString((*line).into())),
        Geometry::Rect(rect) => Cow::Owned(Geometry::Polygon(rect.to_polygon())),
        Geometry::Triangle(triangle) => Cow::Owned(Geometry::Polygon(triangle.to_polygon())),
        Geometry::GeometryCollection(parts) => {
            let parts = parts.iter().map(|part| plain(part).into_owned()).collect();
            Cow::Owned(Geometry::GeometryCollection(parts))
        }
        _ => Cow::Borrowed(geometry),
    }
}

/// A single geometry as a multi of one part; others as they are.
pub(crate) fn wrapped(geometry: Geometry<f64>) -> Geometry<f64> {
    match geometry {
        Geometry::Point(p) => Geometry::MultiPoint(MultiPoint(vec![p])),
        Geometry::LineString(l) => Geometry::MultiLineString(MultiLineString(vec![l])),
        Geometry::Polygon(p) => Geometry::MultiPolygon(MultiPolygon(vec![p])),
        other => other,
    }
}

/// The way back: a multi of one part as its part.
pub(crate) fn unwrapped(geometry: Geometry<f64>) -> Geometry<f64> {
    fn only<T>(mut parts: Vec<T>) -> Result<T, Vec<T>> {
        if parts.len() == 1 { parts.pop().ok_or(parts) } else { Err(parts) }
    }
    match geometry {
        Geometry::MultiPoint(m) => only(m.0).map_or_else(|m| Geometry::MultiPoint(MultiPoint(m)), Geometry::Point),
        Geometry::MultiLineString(m) => {
            only(m.0).map_or_else(|m| Geometry::MultiLineString(MultiLineString(m)), Geometry::LineString)
        }
        Geometry::MultiPolygon(m) => {
            only(m.0).map_or_else(|m| Geometry::MultiPolygon(MultiPolygon(m)), Geometry::Polygon)
        }
        other => other,
    }
}

/// The box of a blob: from its header where it has one, else from its coordinates. Empty for what is no geometry.
pub(crate) fn blob_bbox(blob: &[u8]) -> BBox {
    let number =
        |at: usize| blob.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(f64::NAN, f64::from_le_bytes);
    // Little-endian with an xy envelope, as we write all but points.
    if blob.get(3).is_some_and(|flags| flags & 0b1111 == 0b0011) && blob.len() > 40 {
        return BBox { west: number(8), east: number(16), south: number(24), north: number(32) };
    }
    model::from_gpkg_blob(blob).map_or(BBox::EMPTY, |(geometry, _)| model::geometry_bbox(&geometry))
}
