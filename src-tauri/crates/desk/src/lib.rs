//! The use cases: what the window and the command line can do with the province.
//!
//! Flow: `sources` delivers, `store` keeps, `spatial` answers, `live` judges; the [`Desk`] wires them, owns the tasks,
//! the clock and the person at the desk. Every call goes through one list ([`call`]) with its role; every change is told
//! to all windows as bytes ([`Desk::listen`]).
//!
//! It does not know that there is a window, a command line or a practice data centre; it hears of the last as an address.
//!
//! ```no_run
//! use desk::{Desk, Options};
//! let (desk, notices) = Desk::open(Options::at("/tmp/home"))?;
//! assert!(notices.is_empty());
//! for layer in desk.layer_infos() {
//!     println!("{}: {}", layer.id, layer.features);
//! }
//! # Ok::<(), desk::api::Failure>(())
//! ```

mod adding;
pub mod api;
mod areas;
mod args;
mod basemaps;
mod calls;
mod check;
mod delivery;
mod export;
mod failures;
mod home;
mod import;
mod info;
mod jobs;
mod layers;
mod packing;
mod people;
mod preload;
mod publish;
mod queries;
mod query;
mod rejected;
mod remote;
mod search;
mod secrets;
mod standard;
mod state;
mod station_files;
mod sync;
mod tile_sets;
mod tiles;
mod trial;
#[cfg(feature = "ts")]
mod typescript;
mod words;

pub use args::{
    AddBasemapArgs, AddSourceArgs, BasemapArgs, ChooseBasemapArgs, PreloadBasemapArgs, QueryArgs, RecogniseArgs,
    TrySourceArgs,
};
pub use basemaps::tile_protocol;
#[cfg(feature = "ts")]
pub use calls::write_typescript;
pub use calls::{Kind, call, least_role};
pub use check::Finding;
pub use export::ExportOptions;
pub use home::{Home, HomeError, read_profile};
pub use import::{ImportMode, ImportOptions, ImportSummary};
pub use publish::{Audience, Crs, Form, PublishedLayer, Selection, TimeRange, text_of};
pub use query::QueryAnswer;
pub use secrets::{SecretInfo, SecretKeeper, SecretPlace};
pub use state::{Clock, Desk, Options};
pub use station_files::OBSERVATIONS;
pub use sync::{SyncOptions, Syncing};
pub use tile_sets::SetTile;
pub use tiles::{MAX_TILE_ZOOM, TileAnswer, TileFigures};
pub use words::failure;

/// The words of the crates below that callers of the desk meet.
pub use model::{
    BBox, Classification, Credentials, Field, FieldType, GeometryKind, LayerId, LayerKind, Protocol, Role, Schema,
    Session, Span, Timestamp, Title,
};
pub use sources::{ClientOptions, TextEncoding};
