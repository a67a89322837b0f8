//! What comes from outside before it is taken in: a system recognised by its address, a trial of what it or a file would
//! bring, and the order to take it in.

use crate::secrets::SecretPlace;
use model::{Credentials, FieldType, GeometryKind, LayerId, LayerKind, Protocol, Rejection, Span, Title};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was found at an address that a person gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Recognised {
    pub protocol: Protocol,
    /// The service's root, which a source is configured with: the pasted address without what names one collection.
    pub url: String,
    /// What the service calls itself.
    pub title: Option<String>,
    /// The collection that the pasted address names.
    pub chosen: Option<String>,
    pub offers: Vec<Offer>,
    /// The server says of itself that its data is practice data.
    pub practice: bool,
}

/// A collection that a service offers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Offer {
    /// As the source calls it; absent where the address itself is the only one.
    pub collection: Option<String>,
    pub title: String,
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub features: Option<u64>,
    /// The layer of this home that it most likely is, by its name.
    pub layer: Option<LayerId>,
}

/// A system to be added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    pub protocol: Protocol,
    pub url: String,
    pub title: String,
    /// The agreed poll period, such as `10m`.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub every: Span,
    #[serde(default)]
    pub practice: bool,
    /// For a system that does not answer everybody; the secret itself is with the keeper.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub credentials: Option<Credentials>,
}

/// Where a secret that a person typed is kept. The secret itself does not come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct KeptSecret {
    pub name: String,
    pub place: SecretPlace,
}

/// Where a collection goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct NewLayer {
    #[cfg_attr(feature = "ts", ts(optional))]
    pub collection: Option<String>,
    pub target: Target,
    /// Of SensorThings whose stations do not name their layer: an OData `$filter` over the Things; absent: all.
    #[serde(default)]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub things: Option<String>,
    /// The source's property that holds the key; absent: the feature's own id.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub id_field: Option<String>,
    /// Field of the layer → property of the source, over what the data standard suggests. An empty property leaves the
    /// field empty.
    #[serde(default)]
    pub map: BTreeMap<String, String>,
}

/// The layer that takes something in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "to", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// One that is there.
    Layer { layer: LayerId },
    /// A new one. Its id is made from the title.
    New { title: String, kind: LayerKind, group: String },
}

/// How a file is to be read and where it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct FileArgs {
    pub path: String,
    pub target: Target,
    /// EPSG code over what the file says.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub crs: Option<u32>,
    /// The table, sheet or shapefile of a file that holds several.
    #[cfg_attr(feature = "ts", ts(optional))]
    pub table: Option<String>,
    #[serde(default)]
    pub mode: FileMode,
    /// Field → column, over what the data standard suggests. An empty column leaves the field empty.
    #[serde(default)]
    pub map: BTreeMap<String, String>,
    /// Rows mended by hand.
    #[serde(default)]
    pub edits: Vec<RowEdit>,
}

/// What happens to the features that the layer has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FileMode {
    #[default]
    Replace,
    /// Features with the same id are replaced, others added.
    Upsert,
    Append,
}

/// A row of a file mended by hand before it is taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct RowEdit {
    /// As [`Rejection::row`].
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub row: u64,
    /// North and east change places.
    #[serde(default)]
    pub swap: bool,
    /// Column → what it should say.
    #[serde(default)]
    pub cells: BTreeMap<String, String>,
}

/// What a file or a source would bring. Nothing is written.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Trial {
    /// The format of the file or the protocol of the source, as a word.
    pub format: String,
    /// Rows looked at.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub rows: u64,
    /// There are more; only the first were looked at.
    pub partial: bool,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub accepted: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub repaired: u64,
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub rejected: u64,
    /// The first 200 of the rejected rows.
    pub rejections: Vec<TrialRejection>,
    pub warnings: Vec<String>,
    /// EPSG code that the numbers were taken in.
    pub crs: u32,
    /// With this system more rows would lie in the province.
    pub likely_crs: Option<u32>,
    /// Accepted features that lie outside the province.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub outside: u64,
    pub geometry: GeometryKind,
    /// Tables of a file that holds several.
    pub tables: Vec<String>,
    /// Columns can be matched with fields by hand; values of stations that name their layer land where they say.
    pub mappable: bool,
    pub columns: Vec<TrialColumn>,
    /// The fields of the layer that takes it in, by the data standard or the layer itself.
    pub fields: Vec<TargetField>,
    /// At most 2,000 of the accepted features, for the map.
    pub features: Vec<TrialFeature>,
}

/// A rejected row with what it says, so that it can be mended.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TrialRejection {
    pub rejection: Rejection,
    /// The sentence for the rejection's code, in the desk's language.
    pub sentence: String,
    /// North and east changed over would put it into the province.
    pub swappable: bool,
    /// The cells of the row by column, where the format has columns.
    pub cells: BTreeMap<String, String>,
}

/// A column or property of what is on trial.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TrialColumn {
    pub name: String,
    /// The first value that says something.
    pub sample: Option<String>,
    /// Rows in which it says something.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub filled: u64,
    /// The field it fills; absent: kept under its own name. `lon`, `lat`, `x`, `y`, `wkt` stand for the position.
    pub field: Option<String>,
    /// The field was suggested, not asked for.
    pub suggested: bool,
    /// An observed property of stations: it fills a parameter, or is left out.
    pub measured: bool,
}

/// A field that a column may fill.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TargetField {
    pub name: String,
    pub title: Title,
    #[serde(rename = "type")]
    pub field_type: FieldType,
    pub unit: Option<String>,
    pub required: bool,
    /// Rows accepted in which it has a value.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub filled: u64,
    /// What the data standard has to say about its values, in the desk's language.
    pub findings: Vec<String>,
}

/// A feature of a trial, for the map.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TrialFeature {
    pub id: String,
    pub name: Option<String>,
    /// A point on or inside it.
    pub point: [f64; 2],
    /// Rings or lines in degrees, thinned for the picture; empty for a point.
    pub lines: Vec<Vec<[f64; 2]>>,
    pub outside: bool,
}

/// A source that was added, and the layers it fills.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct AddedSource {
    pub id: String,
    pub layers: Vec<LayerId>,
}

/// What a source said when it was asked whether it is there.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ConnectionTest {
    /// From asking to the whole answer.
    pub took_ms: u32,
    /// Collections it offers, where its protocol lists them.
    pub offers: Option<u32>,
    /// Why it cannot be used, in the desk's language.
    pub error: Option<String>,
}
