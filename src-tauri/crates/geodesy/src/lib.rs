//! Coordinate systems and measures: VN-2000 to WGS84 and back, geodesic distance and area, and the guard against the
//! mix-ups that happen with them.
//!
//! Flow: `sources` asks [`guard`] whether a file's numbers can be what they claim to be, takes a [`ToWgs84`] for the
//! file's code and turns every geometry into degrees; `spatial` and `review` measure with [`distance_m`], [`area_m2`]
//! and [`length_m`]; an export goes back with [`FromWgs84`].
//!
//! It does not know files, layers, or which central meridian the merged province will use (that is open: the code is
//! carried with each data set, see [`guess_vn2000_mixup`]). No I/O.
//!
//! Axis words: `east_m` is what Vietnamese land papers call Y, `north_m` is their X.
//!
//! ```
//! use geodesy::{GridCoord, Vn2000, vn2000_to_wgs84};
//! let paper = GridCoord { east_m: 568_469.126, north_m: 1_250_153.911 };
//! let place = vn2000_to_wgs84(paper, &Vn2000::DEG_105_30)?; // Toà Thánh Tây Ninh
//! assert!((place.x - 106.129).abs() < 1e-8 && (place.y - 11.304).abs() < 1e-8);
//! # Ok::<(), geodesy::GeodesyError>(())
//! ```

mod error;
mod guard;
mod local_plane;
mod measure;
mod transform;
mod vn2000;

pub use error::GeodesyError;
pub use guard::{AxisOrder, AxisVerdict, Extent, GridGuess, Vn2000Mixup, guard, guess_vn2000, guess_vn2000_mixup};
pub use local_plane::LocalPlane;
pub use measure::{area_m2, distance_m, length_m};
pub use transform::{
    FromWgs84, GridCoord, ToWgs84, from_wgs84, is_known, is_latitude_first, transformer, vn2000_to_wgs84,
    wgs84_to_vn2000,
};
pub use vn2000::{Vn2000, known_codes};
