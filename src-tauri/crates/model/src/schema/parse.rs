//! From a schema's text to its types. A keyword that the checker would not act upon is refused: what a schema says and
//! what is checked are the same.

use super::values::{COMBINED, Form};
use super::{Code, CodeList, DataType, Schema, SchemaField};
use crate::{GeometryKind, Title, Value};
use serde::Deserialize;
use std::collections::BTreeMap;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const COMMON_ID: &str = "urn:toancanh:schema:common";
/// References that lead on and on are none.
const MOST_REFERENCES: usize = 8;

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("{kind}.schema.json: {error}")]
    Json { kind: String, error: serde_json::Error },
    #[error("{kind}.schema.json: {field}: {reference:?} leads nowhere; refer to {COMMON_ID}#/$defs/NAME")]
    Reference { kind: String, field: String, reference: String },
    #[error("{kind}.schema.json: {field}: {problem}")]
    Unsupported { kind: String, field: String, problem: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchema {
    #[serde(rename = "$schema")]
    dialect: String,
    #[serde(rename = "$id")]
    id: String,
    title: String,
    #[serde(rename = "x-title-vi")]
    title_vi: String,
    #[serde(rename = "type")]
    _object: Object,
    properties: BTreeMap<String, RawField>,
    #[serde(default)]
    required: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Object {
    Object,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommon {
    #[serde(rename = "$schema")]
    _dialect: String,
    #[serde(rename = "$id")]
    _id: String,
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "x-title-vi")]
    _title_vi: String,
    #[serde(rename = "$defs")]
    defs: BTreeMap<String, RawField>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawField {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    title: Option<String>,
    #[serde(rename = "x-title-vi")]
    title_vi: Option<String>,
    description: Option<String>,
    #[serde(rename = "x-description-vi")]
    description_vi: Option<String>,
    #[serde(rename = "type")]
    json_type: Option<String>,
    format: Option<String>,
    pattern: Option<String>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    #[serde(rename = "oneOf")]
    one_of: Option<Vec<RawCode>>,
    #[serde(rename = "anyOf")]
    any_of: Option<Vec<RawField>>,
    #[serde(rename = "x-aliases")]
    aliases: Vec<String>,
    #[serde(rename = "x-ogc-role")]
    role: Option<String>,
    #[serde(rename = "x-ogc-unit")]
    unit: Option<String>,
    #[serde(rename = "x-unit-label")]
    unit_label: Option<String>,
    #[serde(rename = "x-ogc-propertySeq")]
    place: Option<u32>,
    #[serde(rename = "x-as-written")]
    as_written: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCode {
    #[serde(rename = "const")]
    value: Value,
    title: String,
    #[serde(rename = "x-title-vi")]
    title_vi: String,
    #[serde(rename = "x-aliases", default)]
    aliases: Vec<String>,
    #[serde(rename = "x-replaces", default)]
    replaces: Vec<String>,
}

impl RawField {
    /// This field's words, and the referred one's where it has none.
    fn over(self, base: Self) -> Self {
        Self {
            reference: base.reference,
            title: self.title.or(base.title),
            title_vi: self.title_vi.or(base.title_vi),
            description: self.description.or(base.description),
            description_vi: self.description_vi.or(base.description_vi),
            json_type: self.json_type.or(base.json_type),
            format: self.format.or(base.format),
            pattern: self.pattern.or(base.pattern),
            minimum: self.minimum.or(base.minimum),
            maximum: self.maximum.or(base.maximum),
            one_of: self.one_of.or(base.one_of),
            any_of: self.any_of.or(base.any_of),
            aliases: self.aliases.into_iter().chain(base.aliases).collect(),
            role: self.role.or(base.role),
            unit: self.unit.or(base.unit),
            unit_label: self.unit_label.or(base.unit_label),
            place: self.place.or(base.place),
            as_written: self.as_written || base.as_written,
        }
    }
}

impl Schema {
    /// Reads a kind's schema and the parts that the kinds share.
    ///
    /// # Errors
    /// What is no JSON, refers to what is not there, or uses a keyword that is not checked.
    pub(super) fn parse(kind: &str, text: &str, common: &str) -> Result<Self, SchemaError> {
        let json = |error| SchemaError::Json { kind: kind.to_owned(), error };
        let raw: RawSchema = serde_json::from_str(text).map_err(json)?;
        let common: RawCommon = serde_json::from_str(common).map_err(json)?;
        let unsupported = |field: &str, problem: String| SchemaError::Unsupported {
            kind: kind.to_owned(),
            field: field.to_owned(),
            problem,
        };
        if raw.dialect != DIALECT || raw.id != format!("urn:toancanh:schema:{kind}") {
            return Err(unsupported(
                "",
                format!("$schema {:?} and $id {:?} are not those of {kind}", raw.dialect, raw.id),
            ));
        }
        let mut geometry = None;
        let mut fields = Vec::new();
        for (name, mut field) in raw.properties {
            let mut references = 0;
            while let Some(reference) = field.reference.take() {
                let base = reference.strip_prefix(COMMON_ID).and_then(|rest| rest.strip_prefix("#/$defs/"));
                references += 1;
                let base = base.and_then(|base| common.defs.get(base)).filter(|_| references <= MOST_REFERENCES);
                let Some(base) = base else {
                    return Err(SchemaError::Reference { kind: kind.to_owned(), field: name, reference });
                };
                field = field.over(base.clone());
            }
            if field.role.as_deref() == Some("primary-geometry") {
                let format = field.format.unwrap_or_default();
                geometry = Some(geometry_of(&format).ok_or_else(|| unsupported(&name, format!("format {format:?}")))?);
                continue;
            }
            let place = field.place.unwrap_or(u32::MAX);
            let required = raw.required.contains(&name);
            let made = made(&name, field, required).map_err(|problem| unsupported(&name, problem))?;
            fields.push((place, made));
        }
        fields.sort_by_key(|(place, _)| *place);
        let fields: Vec<SchemaField> = fields.into_iter().map(|(_, field)| field).collect();
        if let Some(name) = raw.required.iter().find(|name| !fields.iter().any(|field| field.name == **name)) {
            return Err(unsupported(name, "required, but not described".into()));
        }
        Ok(Self {
            kind: kind.to_owned(),
            title: Title { vi: raw.title_vi, en: raw.title },
            geometry,
            fields,
            text: text.to_owned(),
        })
    }
}

fn geometry_of(format: &str) -> Option<GeometryKind> {
    match format {
        "geometry-point-or-multipoint" => Some(GeometryKind::Point),
        "geometry-linestring-or-multilinestring" => Some(GeometryKind::Line),
        "geometry-polygon-or-multipolygon" => Some(GeometryKind::Polygon),
        "geometry-any" => Some(GeometryKind::Mixed),
        _ => None,
    }
}

fn made(name: &str, field: RawField, required: bool) -> Result<SchemaField, String> {
    let title = |en: Option<String>, vi: Option<String>| match (vi, en) {
        (Some(vi), Some(en)) => Ok(Title { vi, en }),
        (None, None) => Ok(Title::default()),
        (vi, en) => Err(format!("{:?} stands in one language only", vi.or(en).unwrap_or_default())),
    };
    let data_type = match (field.json_type.as_deref(), field.format.as_deref()) {
        (Some("string"), None) => DataType::Text,
        (Some("string"), Some("date")) => DataType::Date,
        (Some("string"), Some("date-time")) => DataType::Moment,
        (Some("integer"), None) => DataType::Integer,
        (Some("number"), None) => DataType::Real,
        (Some("boolean"), None) => DataType::Boolean,
        (json_type, format) => return Err(format!("type {json_type:?} with format {format:?}")),
    };
    let (codes, combined) = match (field.one_of, field.any_of) {
        (codes, None) => (codes, false),
        (None, Some(choices)) => {
            let [list, joined] = <[RawField; 2]>::try_from(choices).map_err(|_| "anyOf of other than two")?;
            if joined.pattern.as_deref() != Some(COMBINED) {
                return Err(format!("anyOf: the second is not the pattern {COMBINED}"));
            }
            (list.one_of, true)
        }
        (Some(_), Some(_)) => return Err("oneOf beside anyOf".into()),
    };
    let form = match &field.pattern {
        Some(pattern) => Form::of(pattern).ok_or_else(|| format!("pattern {pattern:?}"))?,
        None => Form::Any,
    };
    let code = |raw: RawCode| Code {
        value: raw.value,
        title: Title { vi: raw.title_vi, en: raw.title },
        aliases: raw.aliases,
        replaces: raw.replaces,
    };
    let title_of = title(field.title, field.title_vi)?;
    if title_of.vi.is_empty() {
        return Err("it has no title".into());
    }
    Ok(SchemaField {
        name: name.to_owned(),
        title: title_of,
        description: title(field.description, field.description_vi)?,
        data_type,
        unit: field.unit_label.or(field.unit),
        range: (field.minimum, field.maximum),
        codes: codes.map(|codes| CodeList::new(codes.into_iter().map(code).collect(), combined)),
        required,
        is_id: field.role.as_deref() == Some("id"),
        aliases: field.aliases,
        as_written: field.as_written,
        form,
    })
}

/// A schema with the shared parts that it refers to taken in (JSON Schema 2020-12, section 9.3): `$ref`s stay as they are.
pub(super) fn bundle(text: &str, common: &str) -> serde_json::Value {
    let mut document: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let shared: serde_json::Value = serde_json::from_str(common).unwrap_or_default();
    if let Some(document) = document.as_object_mut()
        && text.contains(COMMON_ID)
    {
        document.insert("$defs".into(), serde_json::json!({ "common": shared }));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::super::{COMMON, FILES};
    use super::*;

    #[test]
    fn every_schema_of_the_program_reads() {
        for (kind, text) in FILES {
            let schema = Schema::parse(kind, text, COMMON).unwrap_or_else(|error| panic!("{error}"));
            assert!(schema.fields.iter().any(|field| field.required), "{kind}");
        }
        assert_eq!(Schema::all().len(), FILES.len());
    }

    #[test]
    fn what_would_not_be_checked_is_refused() {
        let small = |field: &str| {
            format!(
                r#"{{"$schema": "{DIALECT}", "$id": "urn:toancanh:schema:x", "title": "X", "x-title-vi": "X",
                     "type": "object", "properties": {{"a": {field}}}}}"#
            )
        };
        let fault = |field: &str| Schema::parse("x", &small(field), COMMON).unwrap_err().to_string();
        assert!(Schema::parse("x", &small(r#"{"type": "string", "title": "A", "x-title-vi": "A"}"#), COMMON).is_ok());
        for (field, word) in [
            (r#"{"type": "string", "title": "A", "x-title-vi": "A", "maxLength": 3}"#, "maxLength"),
            (r#"{"type": "string", "title": "A", "x-title-vi": "A", "pattern": "^a"}"#, "pattern"),
            (r#"{"type": "array", "title": "A", "x-title-vi": "A"}"#, "array"),
            (r#"{"type": "string", "title": "A"}"#, "one language"),
            (r#"{"$ref": "urn:toancanh:schema:common#/$defs/nothing"}"#, "leads nowhere"),
        ] {
            assert!(fault(field).contains(word), "{field}: {}", fault(field));
        }
    }
}
