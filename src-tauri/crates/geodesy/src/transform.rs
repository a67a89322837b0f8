//! From any known system to WGS84 degrees and back.

use crate::{GeodesyError, Vn2000};
use geo_types::{Coord, Geometry};
use proj4rs::Proj;
use std::sync::LazyLock;

/// A position on a VN-2000 grid. Vietnamese papers write `north_m` as X and `east_m` as Y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridCoord {
    pub east_m: f64,
    pub north_m: f64,
}

/// Decision 05/2007/QĐ-BTNMT (EPSG:6960), with the rotations' signs turned: the decision states a coordinate frame
/// rotation, `towgs84` wants a position vector. The legal signs here would cost 0.52 m east and 0.21 m north.
const TO_WGS84: &str = "-191.90441429,-39.30318279,-111.45032835,0.00928836,-0.01975479,0.00427372,0.252906278";

/// Radius of the sphere that Web Mercator (EPSG:3857) is computed on, metres.
const WEB_MERCATOR_RADIUS_M: f64 = 6_378_137.0;

/// Web Mercator runs off to infinity at the poles; nothing real lies beyond this.
const WEB_MERCATOR_MAX_LAT_DEG: f64 = 89.9;

/// Built once; reading is free of locks. A definition that proj4rs refuses is left out, and its code is then unknown
/// (a test holds that none is).
static PROJECTIONS: LazyLock<Vec<(u32, Proj)>> = LazyLock::new(|| {
    let grids = Vn2000::all().iter().map(|grid| {
        let definition = format!(
            "+proj=tmerc +lat_0=0 +lon_0={} +k={} +x_0={} +y_0=0 +ellps=WGS84 +towgs84={TO_WGS84} +units=m +no_defs",
            grid.central_meridian_deg, grid.k0, grid.false_easting_m
        );
        (grid.epsg, definition)
    });
    let geographic = [
        (4326, "+proj=longlat +datum=WGS84 +no_defs".to_owned()),
        (4756, format!("+proj=longlat +ellps=WGS84 +towgs84={TO_WGS84} +no_defs")),
    ];
    let utm = [(32_648, 105), (32_649, 111)].map(|(epsg, meridian)| {
        (
            epsg,
            format!(
                "+proj=tmerc +lat_0=0 +lon_0={meridian} +k=0.9996 +x_0=500000 +y_0=0 +datum=WGS84 +units=m +no_defs"
            ),
        )
    });
    grids
        .chain(geographic)
        .chain(utm)
        .filter_map(|(epsg, definition)| Some((epsg, Proj::from_proj_string(&definition).ok()?)))
        .collect()
});

fn projection(epsg: u32) -> Result<&'static Proj, GeodesyError> {
    let found = PROJECTIONS.iter().find(|(code, _)| *code == epsg);
    found.map(|(_, projection)| projection).ok_or(GeodesyError::UnknownCrs { epsg })
}

#[derive(Clone, Copy)]
enum Kind {
    Identity,
    WebMercator,
    Proj { from: &'static Proj, wgs84: &'static Proj, geographic: bool },
}

fn kind(epsg: u32) -> Result<Kind, GeodesyError> {
    Ok(match epsg {
        4326 => Kind::Identity,
        3857 => Kind::WebMercator,
        _ => Kind::Proj { from: projection(epsg)?, wgs84: projection(4326)?, geographic: epsg == 4756 },
    })
}

fn check_degrees(c: Coord<f64>) -> Result<(), GeodesyError> {
    if c.x.abs() <= 180.0 && c.y.abs() <= 90.0 { Ok(()) } else { Err(GeodesyError::NotDegrees { x: c.x, y: c.y }) }
}

/// True for the codes that [`transformer`] and [`from_wgs84`] take.
pub fn is_known(epsg: u32) -> bool {
    kind(epsg).is_ok()
}

/// The way from one system to WGS84 degrees (lon, lat). Cheap to copy, usable from any thread.
#[derive(Clone, Copy)]
pub struct ToWgs84 {
    epsg: u32,
    kind: Kind,
}

/// The way from WGS84 degrees to one system, for export.
#[derive(Clone, Copy)]
pub struct FromWgs84 {
    epsg: u32,
    kind: Kind,
}

/// The way from `epsg_from` to WGS84.
///
/// # Errors
/// [`GeodesyError::UnknownCrs`] naming the code.
pub fn transformer(epsg_from: u32) -> Result<ToWgs84, GeodesyError> {
    Ok(ToWgs84 { epsg: epsg_from, kind: kind(epsg_from)? })
}

/// The way from WGS84 to `epsg_to`.
///
/// # Errors
/// [`GeodesyError::UnknownCrs`] naming the code.
pub fn from_wgs84(epsg_to: u32) -> Result<FromWgs84, GeodesyError> {
    Ok(FromWgs84 { epsg: epsg_to, kind: kind(epsg_to)? })
}

impl ToWgs84 {
    pub fn epsg(&self) -> u32 {
        self.epsg
    }

    /// One position: x is east or longitude, y is north or latitude, whatever axis order the register gives.
    ///
    /// # Errors
    /// [`GeodesyError::OutOfDomain`] for numbers that are no position in the system (also NaN and infinity);
    /// [`GeodesyError::NotDegrees`] for EPSG:4326 beyond ±180, ±90.
    pub fn coord(&self, c: Coord<f64>) -> Result<Coord<f64>, GeodesyError> {
        let bad = || GeodesyError::OutOfDomain { epsg: self.epsg, x: c.x, y: c.y };
        let out = match self.kind {
            Kind::Identity => {
                check_degrees(c)?;
                return Ok(c);
            }
            Kind::WebMercator => {
                let y = (c.y / WEB_MERCATOR_RADIUS_M).sinh().atan().to_degrees();
                // Anything beyond, infinity too, would come out as a pole.
                if y.is_nan() || y.abs() > WEB_MERCATOR_MAX_LAT_DEG {
                    return Err(bad());
                }
                Coord { x: (c.x / WEB_MERCATOR_RADIUS_M).to_degrees(), y }
            }
            Kind::Proj { from, wgs84, geographic } => {
                if !plausible(c, geographic) {
                    return Err(bad());
                }
                let mut point = if geographic { (c.x.to_radians(), c.y.to_radians(), 0.0) } else { (c.x, c.y, 0.0) };
                proj4rs::transform::transform(from, wgs84, &mut point).map_err(|_| bad())?;
                Coord { x: point.0.to_degrees(), y: point.1.to_degrees() }
            }
        };
        if check_degrees(out).is_ok() { Ok(out) } else { Err(bad()) }
    }

    /// Turns every coordinate of the geometry into WGS84 degrees. A rectangle or triangle becomes a polygon, as its
    /// edges need not stay straight.
    ///
    /// # Errors
    /// As [`ToWgs84::coord`]; the geometry is then partly turned and of no use.
    pub fn apply(&self, geometry: &mut Geometry<f64>) -> Result<(), GeodesyError> {
        map_coords(geometry, &|c| self.coord(c))
    }
}

impl FromWgs84 {
    pub fn epsg(&self) -> u32 {
        self.epsg
    }

    /// One position in degrees to x (east, longitude) and y (north, latitude) of the system.
    ///
    /// # Errors
    /// [`GeodesyError::NotDegrees`] for an input beyond ±180, ±90; [`GeodesyError::OutOfDomain`] where the system
    /// ends (Web Mercator at the poles, a grid far from its meridian).
    pub fn coord(&self, c: Coord<f64>) -> Result<Coord<f64>, GeodesyError> {
        check_degrees(c)?;
        let bad = || GeodesyError::OutOfDomain { epsg: self.epsg, x: c.x, y: c.y };
        let out = match self.kind {
            Kind::Identity => return Ok(c),
            Kind::WebMercator => {
                if c.y.abs() > WEB_MERCATOR_MAX_LAT_DEG {
                    return Err(bad());
                }
                Coord {
                    x: c.x.to_radians() * WEB_MERCATOR_RADIUS_M,
                    y: c.y.to_radians().tan().asinh() * WEB_MERCATOR_RADIUS_M,
                }
            }
            Kind::Proj { from, wgs84, geographic } => {
                let mut point = (c.x.to_radians(), c.y.to_radians(), 0.0);
                proj4rs::transform::transform(wgs84, from, &mut point).map_err(|_| bad())?;
                let out = if geographic { (point.0.to_degrees(), point.1.to_degrees()) } else { (point.0, point.1) };
                let out = Coord { x: out.0, y: out.1 };
                if !plausible(out, geographic) {
                    return Err(bad());
                }
                out
            }
        };
        if out.x.is_finite() && out.y.is_finite() { Ok(out) } else { Err(bad()) }
    }

    /// As [`ToWgs84::apply`], the other way.
    ///
    /// # Errors
    /// As [`FromWgs84::coord`].
    pub fn apply(&self, geometry: &mut Geometry<f64>) -> Result<(), GeodesyError> {
        self.apply_then(geometry, |c| c)
    }

    /// As [`FromWgs84::apply`], with a last touch to every coordinate: axes exchanged, digits dropped.
    ///
    /// # Errors
    /// As [`FromWgs84::coord`].
    pub fn apply_then(
        &self,
        geometry: &mut Geometry<f64>,
        touch: impl Fn(Coord<f64>) -> Coord<f64>,
    ) -> Result<(), GeodesyError> {
        map_coords(geometry, &|c| self.coord(c).map(&touch))
    }
}

/// True where the EPSG register writes latitude before longitude. All its VN-2000 grids are easting before northing,
/// whatever land papers call X and Y.
pub fn is_latitude_first(epsg: u32) -> bool {
    matches!(epsg, 4326 | 4756)
}

/// Within the part of a system where its formulas mean anything: a grid reaches 20° to both sides of its meridian,
/// far beyond any honest use.
fn plausible(c: Coord<f64>, geographic: bool) -> bool {
    if geographic {
        c.x.abs() <= 180.0 && c.y.abs() <= 90.0
    } else {
        (-2_000_000.0..=3_000_000.0).contains(&c.x) && c.y.abs() <= 10_000_000.0
    }
}

/// WGS84 degrees to a VN-2000 grid; heights are taken as 0.
///
/// # Errors
/// As [`FromWgs84::coord`].
pub fn wgs84_to_vn2000(lonlat: Coord<f64>, grid: &Vn2000) -> Result<GridCoord, GeodesyError> {
    let c = from_wgs84(grid.epsg)?.coord(lonlat)?;
    Ok(GridCoord { east_m: c.x, north_m: c.y })
}

/// A VN-2000 grid position to WGS84 degrees. Forward and back closes to 0.2 mm (the height is dropped).
///
/// # Errors
/// As [`ToWgs84::coord`].
pub fn vn2000_to_wgs84(position: GridCoord, grid: &Vn2000) -> Result<Coord<f64>, GeodesyError> {
    transformer(grid.epsg)?.coord(Coord { x: position.east_m, y: position.north_m })
}

type Turn<'a> = &'a dyn Fn(Coord<f64>) -> Result<Coord<f64>, GeodesyError>;

fn map_coords(geometry: &mut Geometry<f64>, turn: Turn<'_>) -> Result<(), GeodesyError> {
    let all = |coords: &mut [Coord<f64>]| coords.iter_mut().try_for_each(|c| turn(*c).map(|new| *c = new));
    let polygon = |polygon: &mut geo_types::Polygon<f64>| -> Result<(), GeodesyError> {
        polygon.try_exterior_mut(|ring| all(&mut ring.0))?;
        polygon.try_interiors_mut(|rings| rings.iter_mut().try_for_each(|ring| all(&mut ring.0)))
    };
    match geometry {
        Geometry::Point(p) => p.0 = turn(p.0)?,
        Geometry::Line(l) => (l.start, l.end) = (turn(l.start)?, turn(l.end)?),
        Geometry::LineString(l) => all(&mut l.0)?,
        Geometry::Polygon(p) => polygon(p)?,
        Geometry::MultiPoint(m) => m.0.iter_mut().try_for_each(|p| turn(p.0).map(|new| p.0 = new))?,
        Geometry::MultiLineString(m) => m.0.iter_mut().try_for_each(|l| all(&mut l.0))?,
        Geometry::MultiPolygon(m) => m.0.iter_mut().try_for_each(polygon)?,
        Geometry::GeometryCollection(c) => c.0.iter_mut().try_for_each(|part| map_coords(part, turn))?,
        Geometry::Rect(r) => {
            let mut turned = r.to_polygon();
            polygon(&mut turned)?;
            *geometry = Geometry::Polygon(turned);
        }
        Geometry::Triangle(t) => {
            let mut turned = t.to_polygon();
            polygon(&mut turned)?;
            *geometry = Geometry::Polygon(turned);
        }
    }
    Ok(())
}
