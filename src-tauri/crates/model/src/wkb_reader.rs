//! WKB in, ISO's and PostGIS's own (EWKB). The crate that writes it reads too, but a few bytes bring it to panic, and a
//! collection of many levels to the end of its stack.

use crate::GeometryError;
use geo_types::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
};

/// Deeper nesting of collections than any real file has.
const MAX_NESTING: usize = 8;
/// Byte order, kind, and a count or coordinates: no part is shorter.
const LEAST_PART_BYTES: usize = 9;

const EWKB_Z: u32 = 0x8000_0000;
const EWKB_M: u32 = 0x4000_0000;
const EWKB_SRID: u32 = 0x2000_0000;

/// Reads the geometry at the start of the bytes, in x and y; `None` for an empty one. Empty parts are left out.
///
/// # Errors
/// [`GeometryError::Wkb`].
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Geometry<f64>>, GeometryError> {
    Reader { bytes }.geometry(None, 0)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

/// What stands in front of every geometry and every part of one.
struct Head {
    kind: u32,
    little: bool,
    /// Numbers of a position.
    numbers: usize,
}

fn wrong(what: impl Into<String>) -> GeometryError {
    GeometryError::Wkb(what.into())
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], GeometryError> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or_else(|| wrong("the bytes end too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn word(&mut self, little: bool) -> Result<u32, GeometryError> {
        let bytes = self.take(4)?.first_chunk().copied().unwrap_or_default();
        Ok(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn head(&mut self) -> Result<Head, GeometryError> {
        let little = match self.take(1)? {
            [0] => false,
            [1] => true,
            _ => return Err(wrong("the byte order is neither 0 nor 1")),
        };
        let word = self.word(little)?;
        if word & EWKB_SRID != 0 {
            self.take(4)?;
        }
        let plain = word & !(EWKB_Z | EWKB_M | EWKB_SRID);
        let (z, m) = match plain / 1000 {
            0 => (word & EWKB_Z != 0, word & EWKB_M != 0),
            1 => (true, false),
            2 => (false, true),
            3 => (true, true),
            _ => return Err(wrong(format!("{plain} is no kind of geometry"))),
        };
        Ok(Head { kind: plain % 1000, little, numbers: 2 + usize::from(z) + usize::from(m) })
    }

    /// A count of things of at least that many bytes each, which the bytes that are left can hold.
    fn count(&mut self, little: bool, least_bytes: usize) -> Result<usize, GeometryError> {
        let count = usize::try_from(self.word(little)?).unwrap_or(usize::MAX);
        if count.checked_mul(least_bytes).is_none_or(|bytes| bytes > self.bytes.len()) {
            return Err(wrong(format!("it counts {count} parts, more than its bytes can hold")));
        }
        Ok(count)
    }

    fn coord(head: &Head, position: &[u8]) -> Coord<f64> {
        let number = |at: usize| {
            let bytes = position.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
            if head.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) }
        };
        Coord { x: number(0), y: number(8) }
    }

    fn coords(&mut self, head: &Head) -> Result<LineString<f64>, GeometryError> {
        let bytes = head.numbers * 8;
        let count = self.count(head.little, bytes)?;
        Ok(LineString(self.take(count * bytes)?.chunks_exact(bytes).map(|c| Self::coord(head, c)).collect()))
    }

    fn polygon(&mut self, head: &Head) -> Result<Option<Polygon<f64>>, GeometryError> {
        let rings = self.count(head.little, 4)?;
        let mut rings = (0..rings).map(|_| self.coords(head)).collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(rings.next().filter(|outline| !outline.0.is_empty()).map(|outline| Polygon::new(outline, rings.collect())))
    }

    /// The parts of a multi-geometry, all of that kind; `None`: of any.
    fn parts(&mut self, head: &Head, kind: Option<u32>, depth: usize) -> Result<Vec<Geometry<f64>>, GeometryError> {
        let count = self.count(head.little, LEAST_PART_BYTES)?;
        let mut out = Vec::new();
        for _ in 0..count {
            out.extend(self.geometry(kind, depth)?);
        }
        Ok(out)
    }

    fn geometry(&mut self, wanted: Option<u32>, depth: usize) -> Result<Option<Geometry<f64>>, GeometryError> {
        let head = self.head()?;
        if wanted.is_some_and(|wanted| wanted != head.kind) {
            return Err(wrong(format!("a part is of kind {}, which its whole does not hold", head.kind)));
        }
        Ok(match head.kind {
            1 => {
                let place = Self::coord(&head, self.take(head.numbers * 8)?);
                (!place.x.is_nan() || !place.y.is_nan()).then_some(Geometry::Point(Point(place)))
            }
            2 => Some(self.coords(&head)?).filter(|line| !line.0.is_empty()).map(Geometry::LineString),
            3 => self.polygon(&head)?.map(Geometry::Polygon),
            4 => {
                let parts = self.parts(&head, Some(1), depth)?.into_iter();
                let points: Vec<Point<f64>> = parts.filter_map(|part| Point::try_from(part).ok()).collect();
                (!points.is_empty()).then_some(Geometry::MultiPoint(MultiPoint(points)))
            }
            5 => {
                let parts = self.parts(&head, Some(2), depth)?.into_iter();
                let lines: Vec<LineString<f64>> = parts.filter_map(|part| LineString::try_from(part).ok()).collect();
                (!lines.is_empty()).then_some(Geometry::MultiLineString(MultiLineString(lines)))
            }
            6 => {
                let parts = self.parts(&head, Some(3), depth)?.into_iter();
                let polygons: Vec<Polygon<f64>> = parts.filter_map(|part| Polygon::try_from(part).ok()).collect();
                (!polygons.is_empty()).then_some(Geometry::MultiPolygon(MultiPolygon(polygons)))
            }
            7 if depth >= MAX_NESTING => return Err(wrong("collections nested too deeply")),
            7 => {
                let parts = self.parts(&head, None, depth + 1)?;
                (!parts.is_empty()).then_some(Geometry::GeometryCollection(GeometryCollection(parts)))
            }
            other => return Err(wrong(format!("a geometry of kind {other} cannot be held"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: u32, rest: &[u8]) -> Vec<u8> {
        [&[1], &kind.to_le_bytes()[..], rest].concat()
    }

    fn numbers(all: &[f64]) -> Vec<u8> {
        all.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn counted(kind: u32, parts: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(parts.len()).unwrap().to_le_bytes();
        part(kind, &[&count[..], &parts.concat()].concat())
    }

    #[test]
    fn heights_measures_and_systems_are_left_out() {
        let place = Some(Geometry::Point(Point::new(1.0, 2.0)));
        for (kind, rest) in [
            (1, numbers(&[1.0, 2.0])),
            (1001, numbers(&[1.0, 2.0, 3.0])),
            (2001, numbers(&[1.0, 2.0, 4.0])),
            (3001, numbers(&[1.0, 2.0, 3.0, 4.0])),
            (EWKB_Z | 1, numbers(&[1.0, 2.0, 3.0])),
            (EWKB_Z | EWKB_M | EWKB_SRID | 1, [&[9, 0, 0, 0][..], &numbers(&[1.0, 2.0, 3.0, 4.0])].concat()),
        ] {
            assert_eq!(read(&part(kind, &rest)).unwrap(), place, "{kind:#x}");
        }
        let big: Vec<u8> = [&[0, 0, 0, 0, 1][..], &1f64.to_be_bytes(), &2f64.to_be_bytes()].concat();
        assert_eq!(read(&big).unwrap(), place);
    }

    #[test]
    fn empty_parts_are_left_out_and_empty_wholes_are_none() {
        let (empty, full) = (part(1, &numbers(&[f64::NAN, f64::NAN])), part(1, &numbers(&[1.0, 2.0])));
        assert_eq!(
            read(&counted(4, &[empty.clone(), full])).unwrap(),
            Some(MultiPoint(vec![Point::new(1.0, 2.0)]).into())
        );
        for none in
            [empty.clone(), counted(4, std::slice::from_ref(&empty)), counted(2, &[]), counted(3, &[]), counted(7, &[])]
        {
            assert_eq!(read(&none).unwrap(), None, "{none:?}");
        }
    }

    #[test]
    fn parts_that_are_not_what_their_whole_says_are_errors() {
        let (flat, high) = (part(1, &numbers(&[1.0, 2.0])), part(1001, &numbers(&[1.0, 2.0, 3.0])));
        // Each part says its own number of dimensions; the last one here breaks off.
        let mut cut = counted(4, &[flat.clone(), high]);
        assert!(read(&cut).is_ok());
        cut.pop();
        assert!(read(&cut).is_err());
        assert!(read(&counted(5, std::slice::from_ref(&flat))).is_err());
        for kind in [0, 8, 15, 17, 4001, 99] {
            assert!(read(&part(kind, &[0; 40])).is_err(), "{kind}");
        }
        // The deep part comes second, where nobody looks for it.
        let deep = [&part(7, &2u32.to_le_bytes())[..], &flat, &part(7, &1u32.to_le_bytes()).repeat(200_000)].concat();
        assert!(read(&deep).is_err());
    }
}
