//! Where a file's rows lie: its system, the order of its axes, and the guard against mix-ups of either.

use super::{FileCrs, ReadError, ReadOptions, Row};
use geo_types::{Coord, Geometry};
use geodesy::{AxisVerdict, Extent, GridCoord, ToWgs84, Vn2000};
use model::{BBox, geometry_bbox};
use std::path::Path;

/// The way from the file's numbers to degrees.
pub(super) struct Placer {
    pub(super) epsg: u32,
    /// The file has north before east throughout.
    pub(super) swapped: bool,
    to: ToWgs84,
    province: BBox,
    /// The province with a margin: a swapped position in it was meant for here.
    around: BBox,
}

/// Where the rows of a file came to lie, all in all.
#[derive(Default)]
pub(super) struct Whereabouts {
    /// A sample of grid positions, for the question whether the meridian is the right one.
    sample: Vec<GridCoord>,
    outside: u64,
}

/// What one row adds to the [`Whereabouts`].
#[derive(Default)]
pub(super) struct Trace {
    grid: Option<GridCoord>,
    outside: bool,
}

impl Whereabouts {
    pub(super) fn add(&mut self, trace: &Trace) {
        if self.sample.len() < SAMPLE {
            self.sample.extend(trace.grid);
        }
        self.outside += u64::from(trace.outside);
    }
}

/// What is wrong with a row's position: code, offending value, reason.
pub(super) struct Misplaced {
    pub(super) code: &'static str,
    pub(super) value: String,
    pub(super) reason: String,
}

const EARTH: BBox = BBox { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };
const SAMPLE: usize = 2_000;
/// Degrees around the province within which a swapped position still counts as meant for here.
const MARGIN_DEG: f64 = 1.0;

impl Placer {
    /// Settles the system: the caller's word, then the file's, then WGS84 if the numbers can be degrees.
    pub(super) fn new(
        path: &Path,
        options: &ReadOptions,
        crs: Option<&FileCrs>,
        head: &[Row],
    ) -> Result<Self, ReadError> {
        let stated = match (options.crs, crs) {
            (Some(epsg), _) => Some(epsg),
            (None, Some(FileCrs::Epsg(epsg))) => Some(*epsg),
            (None, Some(FileCrs::Named(name))) => {
                return Err(ReadError::CrsUnknown {
                    path: path.to_path_buf(),
                    reason: format!("its coordinate system {name:?} is not known here"),
                    propose: fits(head, options.province),
                });
            }
            (None, None) => None,
        };
        let epsg = stated.unwrap_or(4326);
        let placer = Self::of(epsg, options.province).map_err(|error| ReadError::CrsUnsupported {
            path: path.to_path_buf(),
            epsg,
            reason: error.to_string(),
        })?;
        placer.check_unit(path, options, stated, head)?;
        Ok(placer)
    }

    /// A known system, taken at its word; east before north.
    pub(super) fn of(epsg: u32, province: BBox) -> Result<Self, geodesy::GeodesyError> {
        // WGS84 with heights, as GDAL calls what has them; they are not kept.
        let epsg = if epsg == 4979 { 4326 } else { epsg };
        let around = BBox {
            west: province.west - MARGIN_DEG,
            south: province.south - MARGIN_DEG,
            east: province.east + MARGIN_DEG,
            north: province.north + MARGIN_DEG,
        };
        Ok(Self { epsg, swapped: false, to: geodesy::transformer(epsg)?, province, around })
    }

    /// Degrees in a grid, or metres in degrees, are one mistake of the whole file and not of each row.
    fn check_unit(
        &self,
        path: &Path,
        options: &ReadOptions,
        stated: Option<u32>,
        head: &[Row],
    ) -> Result<(), ReadError> {
        let boxes = || head.iter().map(|row| geometry_bbox(&row.geometry)).filter(|b| !b.is_empty());
        if boxes().next().is_none() {
            return Ok(());
        }
        let metres = |b: &BBox| matches!(geodesy::guard(*b, options.province), AxisVerdict::Metres(_));
        if is_degrees(self.epsg) && boxes().all(|b| metres(&b)) {
            let said =
                if stated.is_some() { format!("but it says EPSG:{}", self.epsg) } else { "without a system".into() };
            return Err(ReadError::CrsUnknown {
                path: path.to_path_buf(),
                reason: format!("its positions are metres, {said}"),
                propose: fits(head, options.province),
            });
        }
        let degrees = |b: &BBox| {
            b.west.abs() <= 180.0 && b.east.abs() <= 180.0 && b.south.abs() <= 180.0 && b.north.abs() <= 180.0
        };
        if !is_degrees(self.epsg) && boxes().all(|b| degrees(&b)) {
            return Err(ReadError::CrsUnknown {
                path: path.to_path_buf(),
                reason: format!("its positions are degrees, but EPSG:{} is in metres", self.epsg),
                propose: vec![4326],
            });
        }
        Ok(())
    }

    /// True if the row lies far away as it stands, but in the province with its axes changed over.
    pub(super) fn is_swapped(&self, geometry: &Geometry<f64>) -> bool {
        self.is_swapped_box(geometry_bbox(geometry))
    }

    fn is_swapped_box(&self, raw: BBox) -> bool {
        if raw.is_empty() || self.box_of(raw).is_some_and(|b| b.intersects(&self.around)) {
            return false;
        }
        let turned = BBox { west: raw.south, south: raw.west, east: raw.north, north: raw.east };
        self.box_of(turned).is_some_and(|b| b.intersects(&self.around))
    }

    /// The box in degrees by its corners; `None` when a corner is no position in the system.
    fn box_of(&self, raw: BBox) -> Option<BBox> {
        let mut out = BBox::EMPTY;
        for (x, y) in [(raw.west, raw.south), (raw.east, raw.north)] {
            let c = self.to.coord(Coord { x, y }).ok()?;
            out.add(c.x, c.y);
        }
        Some(out)
    }

    /// Turns a row's geometry into degrees. `trace` counts for a misplaced row too.
    pub(super) fn place(&self, geometry: &mut Geometry<f64>, trace: &mut Trace) -> Result<(), Misplaced> {
        if let Some(c) = not_finite(geometry) {
            return Err(Misplaced {
                code: "not_finite",
                value: format!("{}, {}", c.x, c.y),
                reason: "a coordinate is not a finite number".into(),
            });
        }
        if self.swapped {
            crate::geometry::swap_axes(geometry);
        }
        let raw = geometry_bbox(geometry);
        // The usual case needs no more than this one look.
        if self.epsg == 4326
            && raw.intersects(&self.province)
            && EARTH.contains(raw.west, raw.south)
            && EARTH.contains(raw.east, raw.north)
        {
            return Ok(());
        }
        if !self.swapped && self.is_swapped_box(raw) {
            let c = first_coord(geometry);
            return Err(Misplaced {
                code: "swapped_axes",
                value: format!("{}, {}", c.x, c.y),
                reason: "latitude stands before longitude, unlike in other rows of this file".into(),
            });
        }
        let first = Vn2000::from_epsg(self.epsg).and_then(|_| some_coord(geometry));
        trace.grid = first.map(|c| GridCoord { east_m: c.x, north_m: c.y });
        self.to.apply(geometry).map_err(|error| Misplaced {
            code: "coordinate_range",
            value: offending(raw),
            reason: match error {
                geodesy::GeodesyError::NotDegrees { x, y } => {
                    format!("({x}, {y}) is no longitude and latitude: longitudes end at ±180, latitudes at ±90")
                }
                other => other.to_string(),
            },
        })?;
        trace.outside = !geometry_bbox(geometry).intersects(&self.province);
        Ok(())
    }

    fn mixup(&self, rows: &Whereabouts) -> Option<geodesy::Vn2000Mixup> {
        let grid = Vn2000::from_epsg(self.epsg)?;
        geodesy::guess_vn2000_mixup(&rows.sample, grid, Extent::BBox(self.province))
    }

    /// The system in which more rows would lie in the province.
    pub(super) fn likely(&self, rows: &Whereabouts) -> Option<u32> {
        self.mixup(rows).map(|mixup| mixup.likely_epsg)
    }

    /// Sentences about the file as a whole.
    pub(super) fn warnings(&self, rows: &Whereabouts, accepted: u64) -> Vec<String> {
        let mut out = Vec::new();
        if self.swapped {
            out.push(
                "swapped_axes: the file has latitude before longitude throughout; the axes were changed over".into(),
            );
        }
        if rows.outside > 0 {
            out.push(format!("outside_province: {} of {accepted} rows lie outside the province", rows.outside));
        }
        if let Some(mixup) = self.mixup(rows) {
            out.push(format!(
                "crs_mixup: with EPSG:{} only {:.0} % of the rows lie in the province, with EPSG:{} {:.0} %; the two are {:.0} km apart, check the central meridian",
                mixup.declared_epsg,
                mixup.inside_as_declared * 100.0,
                mixup.likely_epsg,
                mixup.inside_as_likely * 100.0,
                mixup.shift_m / 1000.0
            ));
        }
        out
    }
}

fn is_degrees(epsg: u32) -> bool {
    matches!(epsg, 4326 | 4756)
}

/// The grids that put the head of the file into the province, at most two.
fn fits(head: &[Row], province: BBox) -> Vec<u32> {
    let all = head.iter().map(|row| geometry_bbox(&row.geometry)).fold(BBox::EMPTY, BBox::union);
    if all.is_empty() {
        return Vec::new();
    }
    let mut codes: Vec<u32> = Vec::new();
    for guess in geodesy::guess_vn2000(all, province) {
        if !codes.contains(&guess.epsg) {
            codes.push(guess.epsg);
        }
    }
    codes.truncate(2);
    codes
}

/// The bound of a box that is out of range, for the report.
fn offending(raw: BBox) -> String {
    let worst = [raw.west, raw.east].into_iter().find(|x| x.abs() > 180.0);
    worst.or_else(|| [raw.south, raw.north].into_iter().find(|y| y.abs() > 90.0)).unwrap_or(raw.west).to_string()
}

fn not_finite(geometry: &Geometry<f64>) -> Option<Coord<f64>> {
    let mut found = None;
    model::visit_coords(geometry, &mut |c| {
        if !(c.x.is_finite() && c.y.is_finite()) {
            found = Some(c);
        }
    });
    found
}

fn some_coord(geometry: &Geometry<f64>) -> Option<Coord<f64>> {
    let mut found = None;
    model::visit_coords(geometry, &mut |c| {
        found.get_or_insert(c);
    });
    found
}

fn first_coord(geometry: &Geometry<f64>) -> Coord<f64> {
    some_coord(geometry).unwrap_or(Coord { x: f64::NAN, y: f64::NAN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_with_heights_are_degrees() {
        let province = BBox { west: 105.45, south: 10.35, east: 106.90, north: 11.80 };
        let placer = Placer::of(4979, province).unwrap();
        let mut point = Geometry::Point(geo_types::Point::new(106.1, 11.3));
        assert!(placer.place(&mut point, &mut Trace::default()).is_ok());
        assert_eq!((placer.epsg, first_coord(&point)), (4326, Coord { x: 106.1, y: 11.3 }));
    }
}
