//! The province's vocabulary: layers, features, units, time, freshness, provenance and the profile that names them.
//!
//! Flow: a profile (`Profile`) declares layers (`LayerSpec`); files and the data centre deliver features (`Feature`)
//! and observations (`Observation`); everything above this crate speaks in these words. The shared data standard
//! (`Schema`) says what features of a kind carry.
//!
//! It does not know where data comes from, where it is kept, what time it is now, or that there is a screen.
//! No I/O, no clock, no async: callers hand in text, bytes and times.
//!
//! ```
//! use model::{Freshness, LinkState, freshness_of};
//! let measured = "2026-11-23T14:00:00Z".parse().ok();
//! let now = "2026-11-23T14:04:00Z".parse().unwrap();
//! let stale_after = model::Span::minutes(120);
//! assert_eq!(freshness_of(measured, stale_after, LinkState::Up, now), Freshness::Fresh);
//! ```

mod basemap;
mod credentials;
mod feature;
mod freshness;
mod geometry;
mod kind;
mod layer;
mod observation;
mod profile;
mod properties;
mod remote;
mod report;
mod rest;
mod role;
mod schema;
mod text;
mod tiles;
mod wkb_reader;

pub use basemap::{BasemapSpec, DRAWN_BASEMAP};
pub use credentials::{Credentials, CredentialsKind, holds_login, is_secret_name};
pub use feature::{Feature, FeatureId, Provenance, Value};
pub use freshness::{Freshness, LinkState, Span, SpanError, freshness_of, stale_after, worst};
pub use geometry::{BBox, GeometryError, from_gpkg_blob, from_wkb, geometry_bbox, to_gpkg_blob, to_wkb, visit_coords};
pub use kind::{GeometryKind, LayerKind};
pub use layer::{Classification, Field, FieldType, LayerId, LayerSpec, Parameter, StationMapping, Title};
pub use observation::{Observation, SensorStatus};
pub use profile::{Additions, CrsChoice, Group, Profile, ProfileError, Protocol, SourceSpec};
pub use properties::{NamedRows, Names, Properties, Renaming};
pub use remote::{FilterLanguage, Filtering, RemoteTiles};
pub use report::{ReadReport, Rejection};
pub use rest::{AxisOrder, Paging, ReadyMapping, RestMapping};
pub use role::{Role, Session};
pub use schema::{
    Checker, Code, CodeList, DataType, Finding, FindingCode, Schema, SchemaError, SchemaField, Suggestion, Tongue,
    Weight, data_standard,
};
pub use text::{canonical, fold, nfc};
pub use tiles::{Credit, TileForm, TileProtocol, VectorLayer};

/// The time type of the whole house: an instant, written as RFC 3339 in UTC.
pub type Timestamp = jiff::Timestamp;
