//! The geometry codec: WKB and the GeoPackage blob around it, both ways, safe on hostile bytes.

use geo_types::{Coord, Geometry};
use serde::{Deserialize, Serialize};

/// West, south, east, north; degrees unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(from = "[f64; 4]", into = "[f64; 4]")]
#[cfg_attr(feature = "ts", ts(type = "[number, number, number, number]"))]
pub struct BBox {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl From<[f64; 4]> for BBox {
    fn from([west, south, east, north]: [f64; 4]) -> Self {
        Self { west, south, east, north }
    }
}

impl From<BBox> for [f64; 4] {
    fn from(b: BBox) -> Self {
        [b.west, b.south, b.east, b.north]
    }
}

impl BBox {
    /// The box that contains nothing; the neutral element of [`BBox::union`].
    pub const EMPTY: Self =
        Self { west: f64::INFINITY, south: f64::INFINITY, east: f64::NEG_INFINITY, north: f64::NEG_INFINITY };

    pub fn is_empty(&self) -> bool {
        self.west > self.east || self.south > self.north
    }

    pub fn union(self, other: Self) -> Self {
        Self {
            west: self.west.min(other.west),
            south: self.south.min(other.south),
            east: self.east.max(other.east),
            north: self.north.max(other.north),
        }
    }

    pub fn add(&mut self, x: f64, y: f64) {
        *self = self.union(Self { west: x, south: y, east: x, north: y });
    }

    pub fn contains(&self, x: f64, y: f64) -> bool {
        self.west <= x && x <= self.east && self.south <= y && y <= self.north
    }

    pub fn intersects(&self, other: &Self) -> bool {
        self.west <= other.east && other.west <= self.east && self.south <= other.north && other.south <= self.north
    }
}

/// Calls `f` for every coordinate of the geometry, holes included.
pub fn visit_coords(geometry: &Geometry<f64>, f: &mut impl FnMut(Coord<f64>)) {
    match geometry {
        Geometry::Point(p) => f(p.0),
        Geometry::Line(l) => [l.start, l.end].into_iter().for_each(f),
        Geometry::LineString(l) => l.0.iter().copied().for_each(f),
        Geometry::Polygon(p) => {
            std::iter::once(p.exterior()).chain(p.interiors()).flat_map(|ring| ring.0.iter().copied()).for_each(f);
        }
        Geometry::MultiPoint(m) => m.0.iter().for_each(|p| f(p.0)),
        Geometry::MultiLineString(m) => m.0.iter().flat_map(|l| l.0.iter().copied()).for_each(f),
        Geometry::MultiPolygon(m) => {
            for p in &m.0 {
                for ring in std::iter::once(p.exterior()).chain(p.interiors()) {
                    ring.0.iter().copied().for_each(&mut *f);
                }
            }
        }
        Geometry::GeometryCollection(c) => {
            for part in &c.0 {
                visit_coords(part, f);
            }
        }
        Geometry::Rect(r) => visit_coords(&Geometry::Polygon(r.to_polygon()), f),
        Geometry::Triangle(t) => t.to_array().into_iter().for_each(f),
    }
}

/// The box around a geometry; empty for an empty geometry.
pub fn geometry_bbox(geometry: &Geometry<f64>) -> BBox {
    let mut bbox = BBox::EMPTY;
    visit_coords(geometry, &mut |c| bbox.add(c.x, c.y));
    bbox
}

/// Bytes that are no geometry we can hold.
#[derive(Debug, thiserror::Error)]
pub enum GeometryError {
    #[error("not WKB: {0}")]
    Wkb(String),
    #[error("not a GeoPackage geometry: {0}")]
    Blob(&'static str),
    #[error("an empty geometry has no place on the map")]
    Empty,
}

/// Reads ISO WKB or EWKB; Z and M are dropped, and parts without a coordinate.
///
/// # Errors
/// [`GeometryError::Wkb`] for truncated, over-counted or too deeply nested bytes; [`GeometryError::Empty`] for a
/// geometry without a coordinate. Never panics or aborts on any bytes.
pub fn from_wkb(bytes: &[u8]) -> Result<Geometry<f64>, GeometryError> {
    let geometry = crate::wkb_reader::read(bytes)?.ok_or(GeometryError::Empty)?;
    if geometry_bbox(&geometry).is_empty() { Err(GeometryError::Empty) } else { Ok(geometry) }
}

/// Writes little-endian ISO WKB in x, y.
///
/// # Errors
/// [`GeometryError::Wkb`] when the writer refuses the geometry.
pub fn to_wkb(geometry: &Geometry<f64>) -> Result<Vec<u8>, GeometryError> {
    let mut out = Vec::with_capacity(wkb::writer::geometry_wkb_size(geometry));
    let options = wkb::writer::WriteOptions { endianness: wkb::Endianness::LittleEndian };
    wkb::writer::write_geometry(&mut out, geometry, &options).map_err(|error| GeometryError::Wkb(error.to_string()))?;
    Ok(out)
}

/// A GeoPackage geometry blob (GeoPackage 1.4, clause 2.1.3): header with an xy envelope, then WKB. Points carry no
/// envelope, as GDAL writes them.
///
/// # Errors
/// As [`to_wkb`].
pub fn to_gpkg_blob(geometry: &Geometry<f64>, srs_id: i32) -> Result<Vec<u8>, GeometryError> {
    let wkb = to_wkb(geometry)?;
    let mut out = Vec::with_capacity(wkb.len() + 40);
    out.extend_from_slice(b"GP\0");
    let bbox = geometry_bbox(geometry);
    let point = matches!(geometry, Geometry::Point(_));
    let empty = bbox.is_empty();
    let envelope = !point && !empty;
    out.push(1 | u8::from(envelope) << 1 | u8::from(empty) << 4);
    out.extend_from_slice(&srs_id.to_le_bytes());
    if envelope {
        for bound in [bbox.west, bbox.east, bbox.south, bbox.north] {
            out.extend_from_slice(&bound.to_le_bytes());
        }
    }
    out.extend_from_slice(&wkb);
    Ok(out)
}

/// Reads a GeoPackage blob: the geometry and its `srs_id`.
///
/// # Errors
/// [`GeometryError::Blob`] for a bad header, otherwise as [`from_wkb`].
pub fn from_gpkg_blob(bytes: &[u8]) -> Result<(Geometry<f64>, i32), GeometryError> {
    let header = bytes.get(..8).ok_or(GeometryError::Blob("shorter than its header"))?;
    if &header[..2] != b"GP" {
        return Err(GeometryError::Blob("it does not start with GP"));
    }
    let flags = header[3];
    if flags & 0b10_0000 != 0 {
        return Err(GeometryError::Blob("extended geometry types are not supported"));
    }
    if flags & 0b1_0000 != 0 {
        return Err(GeometryError::Empty);
    }
    let srs = [header[4], header[5], header[6], header[7]];
    let srs_id = if flags & 1 == 1 { i32::from_le_bytes(srs) } else { i32::from_be_bytes(srs) };
    let envelope_len = match (flags >> 1) & 0b111 {
        0 => 0,
        1 => 32,
        2 | 3 => 48,
        4 => 64,
        _ => return Err(GeometryError::Blob("unknown envelope code")),
    };
    let wkb = bytes.get(8 + envelope_len..).ok_or(GeometryError::Blob("shorter than its envelope"))?;
    Ok((from_wkb(wkb)?, srs_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo_types::{LineString, MultiPolygon, Point, Polygon, polygon};
    use proptest::prelude::*;

    fn square(x: f64, y: f64) -> Polygon<f64> {
        polygon!(exterior: [(x: x, y: y), (x: x + 1.0, y: y), (x: x + 1.0, y: y + 1.0)], interiors: [])
    }

    #[test]
    fn blob_round_trip_keeps_geometry_and_srs() {
        for geometry in [
            Geometry::Point(Point::new(106.1, 11.3)),
            Geometry::LineString(LineString::from(vec![(106.0, 11.0), (106.2, 11.1)])),
            Geometry::MultiPolygon(MultiPolygon(vec![square(0.0, 0.0), square(5.0, 5.0)])),
        ] {
            let blob = to_gpkg_blob(&geometry, 4326).unwrap();
            assert_eq!(from_gpkg_blob(&blob).unwrap(), (geometry, 4326));
        }
    }

    #[test]
    fn hostile_wkb_is_an_error_and_not_an_abort() {
        // The two shapes that abort geozero: a huge count in nine bytes, and deep nesting.
        let mut huge = vec![1, 2, 0, 0, 0];
        huge.extend(u32::MAX.to_le_bytes());
        assert!(from_wkb(&huge).is_err());
        let mut deep = Vec::new();
        for _ in 0..200_000 {
            deep.extend([1, 7, 0, 0, 0, 1, 0, 0, 0]);
        }
        assert!(from_wkb(&deep).is_err());
        assert!(from_wkb(&[]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_geometry_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_wkb(&bytes);
            let _ = from_gpkg_blob(&bytes);
        }
    }
}
