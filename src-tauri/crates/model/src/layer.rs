use crate::{GeometryKind, LayerKind, RemoteTiles, RestMapping, Role, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A layer's name in files, on the command line and in SQL: `[a-z][a-z0-9_]*`, at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "ts", ts(type = "string"))]
pub struct LayerId(String);

impl LayerId {
    /// Checks the form. The error says what is wrong with the given text.
    pub fn new(text: &str) -> Result<Self, String> {
        let ok = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !["gpkg_", "rtree_", "sqlite_", "tc_"].iter().any(|reserved| text.starts_with(reserved));
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "layer id {text:?}: lower-case letters, digits and _ only, starting with a letter, at most 63 bytes, and none of the prefixes gpkg_ rtree_ sqlite_ tc_"
            ))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LayerId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<LayerId> for String {
    fn from(id: LayerId) -> Self {
        id.0
    }
}

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text in both languages of the product. Vietnamese first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Title {
    pub vi: String,
    pub en: String,
}

impl Title {
    /// The same text in both languages.
    pub fn same(text: &str) -> Self {
        Self { vi: text.to_owned(), en: text.to_owned() }
    }
}

/// Who may receive the data outside the office.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    #[default]
    Public,
    Internal,
}

impl Classification {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    Text,
    Integer,
    Real,
    Boolean,
    Date,
}

/// One attribute of a layer's schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub field_type: FieldType,
    pub title: Title,
    /// Unit as written behind the figure, for example `ha`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Decimal places on screen; real numbers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Carried into vector tiles and point sources, for labels and styles.
    #[serde(default)]
    pub label: bool,
    #[serde(default)]
    pub required: bool,
}

/// An observed property of a live layer (SensorThings: ObservedProperty with its unit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    pub code: String,
    pub title: Title,
    pub unit: String,
    #[serde(default)]
    pub decimals: u8,
    /// Values above are a breach; the source of the limit stands in `limit_source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_source: Option<String>,
    /// The parameter that is charted first.
    #[serde(default)]
    pub chart: bool,
}

fn opaque() -> f64 {
    1.0
}

/// How a layer takes the stations of a SensorThings service that name neither layer nor parameter. The Things become the
/// layer's features, by their `@iot.id`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StationMapping {
    /// An OData `$filter` over the Things; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub things: Option<String>,
    /// Parameter of the layer → name of the service's observed property, over what is known by its name. An empty name
    /// leaves the parameter empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// One layer as the province profile declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    pub id: LayerId,
    pub kind: LayerKind,
    pub group: String,
    pub title: Title,
    pub geometry: GeometryKind,
    /// The base data, relative to the profile's folder; without it the layer is empty until its source has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(default)]
    pub feature_source: Option<String>,
    /// What the source calls the layer, where that is not its id: a collection, a feature type, a file, a table.
    #[serde(default)]
    pub collection: Option<String>,
    /// The source's property that holds the key, where the features' own ids are none that last.
    #[serde(default)]
    pub id_field: Option<String>,
    /// Field → the source's property of another name, over what the data standard suggests. An empty name leaves the
    /// field empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, String>,
    /// What stands where in the source's answers; sources of the protocol `rest`.
    #[serde(default)]
    pub rest: Option<RestMapping>,
    /// Which stations the layer takes, and what they measure; sources of the protocol `sensorthings` whose stations do not
    /// name their layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensorthings: Option<StationMapping>,
    /// The source's property that tells when a row last changed, where the source can be asked for its newest.
    #[serde(default)]
    pub changed_field: Option<String>,
    /// The layer is too large for a desktop and stays where it is: drawn from tiles, asked by its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteTiles>,
    #[serde(default)]
    pub live_source: Option<String>,
    /// The agreed measuring interval of the live values.
    #[serde(default)]
    pub interval: Option<Span>,
    /// The agreed period of the features themselves; older features are stale.
    pub freshness: Span,
    pub as_of: jiff::civil::Date,
    pub provider: Title,
    pub licence: String,
    #[serde(default)]
    pub classification: Classification,
    /// Made up or schematic: the screen must say so.
    #[serde(default)]
    pub sample: bool,
    #[serde(default)]
    pub visible: bool,
    #[serde(default = "opaque")]
    pub opacity: f64,
    pub name_field: String,
    /// Address of a feature's newest picture; `{id}` stands for the feature, `practice:` for the practice data centre.
    #[serde(default)]
    pub still: Option<String>,
    /// The least role that may see the layer.
    #[serde(default)]
    pub role: Role,
    #[serde(default)]
    pub search: bool,
    #[serde(default)]
    pub note: Option<Title>,
    #[serde(default)]
    pub fields: Vec<Field>,
    #[serde(default)]
    pub parameters: Vec<Parameter>,
}

impl LayerSpec {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub fn parameter(&self, code: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.code == code)
    }
}
