//! The shared data standard: which fields a feature of a kind has, in which units and codes, and what else they are
//! called. Read from `maps/schema/*.schema.json` (JSON Schema 2020-12; the annotations are described in
//! `maps/schema/README.md`), which are part of the program.
//!
//! Flow: [`Schema::of`] gives a kind's schema; [`Schema::suggest`] maps a table's columns to its fields; a [`Checker`]
//! brings each feature's properties into the standard's form and says what it found. Nothing is lost: a code that is
//! replaced stays in a field of its own, what is not in a list is kept and reported.
//!
//! ```
//! use model::{Checker, GeometryKind, LayerKind, Properties, Schema, Value};
//! let checker = Checker::new(Schema::of(LayerKind::School).unwrap(), "name");
//! let mut school = Properties::from([
//!     ("name".to_owned(), Value::Text("THPT Tây Ninh".into())),
//!     ("level".to_owned(), Value::Text("Trung học phổ thông".into())),
//! ]);
//! let mut found = Vec::new();
//! checker.check(1, Some(GeometryKind::Point), &mut school, &mut found);
//! assert_eq!(school["level"].as_text(), Some("thpt"));
//! assert_eq!(school["level_original"].as_text(), Some("Trung học phổ thông"));
//! assert_eq!(found[0].code.as_str(), "code_name");
//! ```

mod check;
mod codes;
mod parse;
mod suggest;
mod tables;
mod values;

pub use check::{Checker, Finding, FindingCode, Weight};
pub use codes::{Code, CodeList};
pub use parse::SchemaError;
pub use suggest::Suggestion;
pub use tables::{Tongue, data_standard};

use crate::{FieldType, GeometryKind, LayerKind, Title};
use std::sync::LazyLock;
use values::Form;

const COMMON: &str = include_str!("../../../../../maps/schema/common.schema.json");

macro_rules! files {
    ($($kind:literal)*) => {
        [$(($kind, include_str!(concat!("../../../../../maps/schema/", $kind, ".schema.json")))),*]
    };
}

/// Kind and text, in the order that people read them in.
const FILES: [(&str, &str); 13] = files![
    "air_station" "water_station" "wastewater_station" "stack_station" "water_level_station" "camera" "school" "clinic"
    "industrial_park" "planning_zone" "communes" "incident" "indicator"
];

/// They are part of the program; a test proves that each of them reads.
static SCHEMAS: LazyLock<Vec<Schema>> =
    LazyLock::new(|| FILES.iter().filter_map(|(kind, text)| Schema::parse(kind, text, COMMON).ok()).collect());

/// What a value of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    Text,
    Integer,
    Real,
    Boolean,
    /// A day, `2026-11-23`.
    Date,
    /// A moment, RFC 3339 with its offset.
    Moment,
}

impl DataType {
    /// The type that a layer stores it as.
    pub fn stored(self) -> FieldType {
        match self {
            Self::Text | Self::Moment => FieldType::Text,
            Self::Integer => FieldType::Integer,
            Self::Real => FieldType::Real,
            Self::Boolean => FieldType::Boolean,
            Self::Date => FieldType::Date,
        }
    }
}

/// One field of the standard.
#[derive(Clone, Debug)]
pub struct SchemaField {
    pub name: String,
    pub title: Title,
    /// Empty where the title says all.
    pub description: Title,
    pub data_type: DataType,
    /// As written behind the figure, for example `ha`.
    pub unit: Option<String>,
    /// Least and greatest value.
    pub range: (Option<f64>, Option<f64>),
    pub codes: Option<CodeList>,
    pub required: bool,
    /// Holds the feature's key.
    pub is_id: bool,
    /// Other names that a column of it may have; case, marks, blanks and signs do not matter.
    pub aliases: Vec<String>,
    /// Values that the list replaces are reported, but stay.
    as_written: bool,
    form: Form,
}

/// The standard for one kind of data.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The kind's word, as in `maps/schema/KIND.schema.json`.
    pub kind: String,
    pub title: Title,
    /// [`GeometryKind::Mixed`]: of any dimension. `None`: a table without geometry.
    pub geometry: Option<GeometryKind>,
    /// In display order.
    pub fields: Vec<SchemaField>,
    text: String,
}

impl Schema {
    /// The schemas of all kinds, those of incidents and indicators included.
    pub fn all() -> &'static [Self] {
        &SCHEMAS
    }

    /// The schema of a kind by its word.
    pub fn named(kind: &str) -> Option<&'static Self> {
        SCHEMAS.iter().find(|schema| schema.kind == kind)
    }

    /// The schema for layers of a kind; none where the standard has nothing to say.
    pub fn of(kind: LayerKind) -> Option<&'static Self> {
        Self::named(kind.as_str())
    }

    pub fn field(&self, name: &str) -> Option<&SchemaField> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The JSON Schema as one document that refers to nothing outside of itself.
    pub fn document(&self) -> serde_json::Value {
        parse::bundle(&self.text, COMMON)
    }
}

impl DataType {
    /// The type as a word in an English sentence.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "whole number",
            Self::Real => "number",
            Self::Boolean => "truth value",
            Self::Date => "date such as 2026-11-23",
            Self::Moment => "time with its offset such as 2026-11-23T14:00:00+07:00",
        }
    }
}
