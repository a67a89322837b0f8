//! The machine's memory: the GeoPackage cache, the history of live values, GeoPackage export, and atomic small files.
//!
//! Flow: `desk` pushes checked features through [`Cache::write`] (one layer, one transaction), a [`Packing`] beside them,
//! and reads them back with [`Cache::load`] when the program starts: packed, or row by row where the packed form is
//! missing (another program has edited the table, say); live values go into [`History`], tiles of others' maps
//! into [`TileCache`]; [`export_gpkg`] writes a file for others.
//!
//! What holds: a kill at any moment leaves the layer as it was or as it shall be, never between; readers see one
//! version of a layer from first to last row, also while another thread or process replaces it; a full disk or an
//! unwritable home is an error that changes nothing; a damaged file is set aside, never deleted.
//!
//! It does not know where features come from, what they mean, how they are indexed (the packed form is opaque bytes) or
//! what coordinate systems do (`srs_id` is a label). No network.
//!
//! ```
//! use model::{Feature, GeometryKind, LayerId, LayerKind, Provenance, Title};
//! # let home = std::env::temp_dir().join(format!("store-doc-{}", std::process::id()));
//! let cache = store::Cache::open(&home.join("province.gpkg"))?;
//! let layer = store::LayerSchema {
//!     id: LayerId::new("schools").unwrap(),
//!     title: Title { vi: "Trường học".into(), en: "Schools".into() },
//!     kind: LayerKind::School,
//!     geometry: GeometryKind::Point,
//!     fields: vec![],
//!     srs_id: 4326,
//! };
//! let school = Feature {
//!     id: "s1".into(),
//!     geometry: geo_types::Point::new(106.13, 11.3).into(),
//!     properties: [("name".to_owned(), model::Value::Text("THPT Tây Ninh".into()))].into(),
//! };
//! let now = "2026-11-23T08:00:00Z".parse().unwrap();
//! let provenance = Provenance {
//!     source: "schools.geojson".into(), provider: Title::same("Sở GD&ĐT"), fetched_at: now, as_of: now,
//!     licence: "internal".into(), classification: model::Classification::Internal, sample: false, practice: false,
//! };
//! let stored = cache.replace(&layer, &mut [Ok(school.clone())].into_iter(), &provenance, None)?;
//! assert_eq!((stored.version, stored.features), (1, 1));
//! assert_eq!(cache.read(&layer.id)?, vec![school]);
//! # drop(cache);
//! # std::fs::remove_dir_all(home).unwrap();
//! # Ok::<(), store::StoreError>(())
//! ```

mod answers;
mod atomic;
mod cache;
mod columns;
mod error;
mod export;
mod geometry;
mod gpkg;
mod history;
mod layer;
mod packed;
mod read_files;
mod runs;
mod sqlite;
mod srs;
mod table;
mod tile_cache;
mod writing;

pub use answers::KeptAnswer;
pub use atomic::write_atomic;
pub use cache::Cache;
pub use error::StoreError;
pub use export::export_gpkg;
pub use history::History;
pub use layer::{Content, LayerSchema, Loaded, StoredLayer};
pub use packed::Packing;
pub use read_files::ReadFile;
pub use tile_cache::{CachedTile, NewTile, TILE_BUDGET_BYTES, TileCache, TilePlace, TileSetFigures};
pub use writing::{Mode, Writing};
