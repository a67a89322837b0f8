//! What lies where: the packed index, the questions asked of it, vector tiles, and the repair of broken geometry.
//!
//! **Flow.** A sync or an import hands its features to [`repair::repair`] one by one, then all of them to
//! [`LayerPicture::build`]. The picture is immutable: `desk` builds it off-thread, swaps it in, and answers
//! [`at`](LayerPicture::at), [`near`](LayerPicture::near), [`within_bbox`](LayerPicture::within_bbox) and
//! [`tile`](LayerPicture::tile) from it on as many threads as it likes. What moves lives in a [`MovingIndex`] beside it.
//!
//! ```text
//! features ── repair ──▶ LayerPicture ──┬─ PackedIndex (1e-7° boxes, median splits) ──▶ at · join · near · within_*
//!                                       └─ Shapes (2³¹ Mercator grid) ── quantise ─ clip ─ encode ──▶ tiles (MVT 2.1)
//! ```
//!
//! **Units.** Coordinates are WGS84 degrees, longitude first; distances metres along the ellipsoid; an *ordinal* is a
//! feature's place in the layer, from 0, and the feature id in tiles and live batches.
//!
//! **What it does not know.** Files, SQL, the network, clocks, colours, roles. Nothing here fails: a shape that cannot
//! be drawn is absent from tiles, and a question outside the world has an empty answer.
//!
//! ```
//! use model::{Feature, LayerId, Value};
//! use spatial::LayerPicture;
//!
//! let station = Feature {
//!     id: "kk-01".into(),
//!     geometry: geo_types::Point::new(106.1, 11.3).into(),
//!     properties: [("name".to_owned(), Value::Text("Tân Ninh".into()))].into(),
//! };
//! let layer = LayerId::new("air_stations")?;
//! let picture = LayerPicture::build(layer, 1, vec![station], "name", &[]);
//! let (ordinal, distance_m) = picture.near(geo_types::coord! { x: 106.1, y: 11.31 }, Some(5_000.0), None)[0];
//! assert_eq!(ordinal, 0);
//! assert!((distance_m - 1_106.0).abs() < 1.0);
//! # Ok::<(), String>(())
//! ```

mod clip;
mod columns;
mod filter;
mod foreign_tile;
mod geojson;
mod geometries;
mod grid;
mod knit;
mod label;
mod label_tile;
mod levels;
mod measure;
mod moving;
mod mvt;
mod nearest;
mod node;
mod order;
mod pack;
mod packed;
mod picture;
mod plane;
mod questions;
mod ring;
mod shapes;
mod sound;
mod table;
mod tile;

pub mod overlay;
pub mod repair;

pub use filter::{Filter, FilterError, NameFor, Row};
pub use foreign_tile::{ForeignNames, ForeignTileError, foreign_tile};
pub use label::label_point;
pub use moving::MovingIndex;
pub use pack::Packer;
pub use packed::{Found, PackedIndex};
pub use picture::LayerPicture;
pub use plane::meets_box;
pub use tile::{BUFFER, EXTENT, MAX_ZOOM};
