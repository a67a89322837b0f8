/// Why a coordinate or a coordinate system could not be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GeodesyError {
    #[error(
        "EPSG:{epsg} is not a system this program knows; it knows WGS84 (4326), Web Mercator (3857) and VN-2000 (4756, 3405, 3406, 5896-5899, 9205-9218)"
    )]
    UnknownCrs { epsg: u32 },
    /// The numbers cannot be coordinates of that system.
    #[error("({x}, {y}) cannot be a position in EPSG:{epsg}")]
    OutOfDomain { epsg: u32, x: f64, y: f64 },
    #[error("({x}, {y}) is no longitude and latitude in degrees")]
    NotDegrees { x: f64, y: f64 },
}
