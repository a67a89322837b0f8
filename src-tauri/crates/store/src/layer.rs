use crate::columns::Column;
use crate::geometry::GeometryType;
use model::{BBox, Feature, Field, GeometryKind, LayerId, LayerKind, Provenance, Title};
use serde::{Deserialize, Serialize};

/// What a layer is, apart from its content.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSchema {
    pub id: LayerId,
    pub title: Title,
    pub kind: LayerKind,
    pub geometry: GeometryKind,
    /// Declared fields, in their order. Properties beyond them are kept too, see [`StoredLayer::extra`].
    pub fields: Vec<Field>,
    /// The EPSG code of the features' coordinates; 4326 in the cache.
    pub srs_id: i32,
}

/// A layer as it lies in the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLayer {
    pub schema: LayerSchema,
    /// 1 for the first content, one more for each change; never falls, also when a layer is removed and comes back.
    pub version: u32,
    pub features: u64,
    /// `None` for a layer without features.
    pub bbox: Option<BBox>,
    pub provenance: Provenance,
    /// The source's tag of this content, for the next conditional request. Cleared by every change of content.
    pub etag: Option<String>,
    /// Fields that the features carry beyond the declared ones, with the types seen.
    pub extra: Vec<Field>,
}

/// A layer's content as the cache gave it.
#[derive(Clone, Debug)]
pub enum Content {
    /// What a [`crate::Packing`] made of exactly this version.
    Packed(Vec<Vec<u8>>),
    /// In fid order: the position is the ordinal.
    Features(Vec<Feature>),
}

/// A layer with its content, read in one snapshot.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub layer: StoredLayer,
    pub content: Content,
}

/// The JSON in `tc_layers.schema`: what the GeoPackage tables do not say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub geometry: GeometryKind,
    pub fields: Vec<Field>,
    pub srs_id: i32,
    pub columns: Vec<Column>,
    pub geometry_type: GeometryType,
    /// Single geometries were wrapped as multis of one part; reading takes them out again.
    pub wrapped: bool,
}
