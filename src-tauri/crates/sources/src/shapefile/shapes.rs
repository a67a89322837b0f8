//! The `.shp`: records of shapes (ESRI Shapefile Technical Description, July 1998). Heights and measures are left out.

use super::rings;
use geo_types::{Coord, Geometry, LineString, MultiLineString, MultiPoint, Point};
use model::Rejection;

pub(super) const HEADER_BYTES: usize = 100;

/// What the 100 bytes at the start say.
pub(super) struct Header {
    /// Of the whole file, as it says.
    pub(super) bytes: u64,
}

impl Header {
    pub(super) fn read(head: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        if head[..4] != [0, 0, 0x27, 0x0a] {
            return Err("it has no shapefile's beginning");
        }
        let words = u32::from_be_bytes([head[24], head[25], head[26], head[27]]);
        Ok(Self { bytes: u64::from(words) * 2 })
    }
}

/// A record's shape. The bytes are its content without the record's own header.
pub(super) fn geometry(number: u64, bytes: &[u8]) -> Result<Geometry<f64>, Rejection> {
    let bad = |code: &str, reason: &str| crate::file::rejection(number, "geometry", "", code, reason);
    let mut reader = Reader { bytes };
    let short = || bad("geometry_invalid", "the record is shorter than its shape");
    let kind = reader.int().ok_or_else(short)?;
    match kind {
        0 => Err(bad("geometry_missing", "the record holds no shape")),
        1 | 11 | 21 => {
            let c = reader.coord().ok_or_else(short)?;
            if c.x.is_nan() && c.y.is_nan() {
                return Err(bad("geometry_missing", "the point is empty"));
            }
            Ok(Geometry::Point(Point(c)))
        }
        8 | 18 | 28 => {
            let points = reader.multi_point().ok_or_else(short)?;
            match points.as_slice() {
                [] => Err(bad("geometry_missing", "the shape has no point")),
                _ => Ok(Geometry::MultiPoint(MultiPoint(points.into_iter().map(Point).collect()))),
            }
        }
        3 | 13 | 23 => {
            let mut lines = reader.parts().ok_or_else(short)?;
            lines.retain(|line| line.0.len() > 1);
            match lines.len() {
                0 => Err(bad("geometry_missing", "the shape has no line")),
                1 => Ok(Geometry::LineString(lines.remove(0))),
                _ => Ok(Geometry::MultiLineString(MultiLineString(lines))),
            }
        }
        5 | 15 | 25 => {
            let lines = reader.parts().ok_or_else(short)?;
            if lines.iter().all(|line| line.0.is_empty()) {
                return Err(bad("geometry_missing", "the shape has no ring"));
            }
            rings::polygons(lines).map_err(|reason| bad("geometry_invalid", reason))
        }
        31 => Err(bad("geometry_invalid", "a multipatch is a solid body, which is not supported")),
        other => Err(bad("geometry_invalid", &format!("{other} is no kind of shape"))),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    fn int(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn count(&mut self) -> Option<usize> {
        self.int().and_then(|count| usize::try_from(count).ok())
    }

    fn coord(&mut self) -> Option<Coord<f64>> {
        let (x, y) = self.take(16)?.split_at(8);
        Some(Coord { x: f64::from_le_bytes(*x.first_chunk()?), y: f64::from_le_bytes(*y.first_chunk()?) })
    }

    /// Taken in one piece, so that a made-up count fails before anything is set aside for it.
    fn coords(&mut self, count: usize) -> Option<Vec<Coord<f64>>> {
        let mut inner = Reader { bytes: self.take(count.checked_mul(16)?)? };
        (0..count).map(|_| inner.coord()).collect()
    }

    fn multi_point(&mut self) -> Option<Vec<Coord<f64>>> {
        self.take(32)?;
        let count = self.count()?;
        self.coords(count)
    }

    fn parts(&mut self) -> Option<Vec<LineString<f64>>> {
        self.take(32)?;
        let (parts, points) = (self.count()?, self.count()?);
        let mut starts = Reader { bytes: self.take(parts.checked_mul(4)?)? };
        let starts: Vec<usize> = (0..parts).map(|_| starts.count()).collect::<Option<_>>()?;
        let coords = self.coords(points)?;
        let ends = starts.iter().skip(1).copied().chain(std::iter::once(points));
        starts.iter().zip(ends).map(|(start, end)| Some(LineString(coords.get(*start..end)?.to_vec()))).collect()
    }
}
