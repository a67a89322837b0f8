//! Features against the standard.

use super::codes::{CodeList, Lookup};
use super::values::{Read, is_missing, read, text_of};
use super::{Schema, SchemaField};
use crate::{GeometryKind, Names, Properties, Value};
use std::sync::{Arc, PoisonError, RwLock};

/// What a finding means for its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The row is taken; a person should know.
    Warning,
    /// The row cannot be taken as what it is said to be.
    Error,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingCode {
    /// A required field has no value.
    FieldMissing,
    /// A value cannot be read as the field's type.
    FieldType,
    /// A geometry of another dimension.
    GeometryKind,
    /// Not in the field's list; kept.
    UnknownCode,
    /// A former code that is several by now; kept.
    SplitCode,
    /// A former code; replaced by the present one, or kept where the field says so.
    OldCode,
    /// Another spelling of a code; replaced by the code.
    CodeName,
    /// Below the least or above the greatest value; kept.
    OutOfRange,
}

impl FindingCode {
    pub fn weight(self) -> Weight {
        match self {
            Self::FieldMissing | Self::FieldType | Self::GeometryKind => Weight::Error,
            Self::UnknownCode | Self::SplitCode | Self::OldCode | Self::CodeName | Self::OutOfRange => Weight::Warning,
        }
    }

    /// A stable word in snake_case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FieldMissing => "field_missing",
            Self::FieldType => "field_type",
            Self::GeometryKind => "geometry_kind",
            Self::UnknownCode => "unknown_code",
            Self::SplitCode => "split_code",
            Self::OldCode => "old_code",
            Self::CodeName => "code_name",
            Self::OutOfRange => "out_of_range",
        }
    }
}

/// One deviation from the standard.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub row: u64,
    pub field: String,
    /// As it was delivered.
    pub value: String,
    pub code: FindingCode,
    /// The particulars in English.
    pub reason: String,
}

/// Brings features of one layer into the standard's form. Usable from any thread; the fields are looked up once for all
/// features that have the same names.
#[derive(Debug)]
pub struct Checker<'a> {
    schema: &'a Schema,
    name_field: String,
    columns: RwLock<Option<Arc<Columns>>>,
}

#[derive(Debug)]
struct Columns {
    names: Names,
    /// For each field of the schema where its value stands.
    places: Vec<Option<usize>>,
}

/// What a value turned out to be in its field.
struct Judged {
    becomes: Option<Value>,
    /// The value that was replaced is kept beside.
    keep_original: bool,
    finding: Option<(FindingCode, String)>,
}

impl<'a> Checker<'a> {
    /// `name_field` is the property that the layer keeps the standard's `name` in.
    pub fn new(schema: &'a Schema, name_field: &str) -> Self {
        Self { schema, name_field: name_field.to_owned(), columns: RwLock::new(None) }
    }

    /// Checks one feature and mends what can be mended: types, former codes, spelt-out codes. The value that a code
    /// replaces stays as `<field>_original`. Blank texts count as no value.
    pub fn check(
        &self,
        row: u64,
        geometry: Option<GeometryKind>,
        properties: &mut Properties,
        found: &mut Vec<Finding>,
    ) {
        if let (Some(wanted), Some(has)) = (self.schema.geometry, geometry)
            && wanted != GeometryKind::Mixed
            && wanted != has
        {
            let reason = format!("{} takes {} geometries", self.schema.kind, word(wanted));
            let value = word(has).to_owned();
            found.push(Finding { row, field: "geometry".into(), value, code: FindingCode::GeometryKind, reason });
        }
        let columns = self.columns(properties.names());
        let mut originals: Vec<(String, Value)> = Vec::new();
        for (field, place) in self.schema.fields.iter().zip(&columns.places) {
            let value = place.and_then(|at| properties.values_mut().get_mut(at));
            let Some(value) = value.filter(|value| !is_missing(value)) else {
                if let Some(blank) = place.and_then(|at| properties.values_mut().get_mut(at)) {
                    *blank = Value::Null;
                }
                if field.required {
                    let reason = format!("{} is required ({})", field.name, field.title.vi);
                    let code = FindingCode::FieldMissing;
                    found.push(Finding { row, field: field.name.clone(), value: String::new(), code, reason });
                }
                continue;
            };
            let judged = field.judge(value);
            if let Some((code, reason)) = judged.finding {
                let value = value.to_string().chars().take(80).collect();
                found.push(Finding { row, field: field.name.clone(), value, code, reason });
            }
            if let Some(becomes) = judged.becomes {
                let original = std::mem::replace(value, becomes);
                if judged.keep_original {
                    originals.push((format!("{}_original", field.name), original));
                }
            }
        }
        properties.extend(originals);
    }

    fn columns(&self, names: &Names) -> Arc<Columns> {
        // A thread that panicked leaves a whole plan or none.
        let held = self.columns.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(columns) = held.as_ref().filter(|columns| columns.names.same(names)) {
            return columns.clone();
        }
        drop(held);
        let place = |field: &SchemaField| {
            let name = if field.name == "name" { self.name_field.as_str() } else { &field.name };
            names.iter().position(|known| known == name)
        };
        let places = self.schema.fields.iter().map(place).collect();
        let columns = Arc::new(Columns { names: names.clone(), places });
        *self.columns.write().unwrap_or_else(PoisonError::into_inner) = Some(columns.clone());
        columns
    }
}

impl SchemaField {
    fn judge(&self, value: &Value) -> Judged {
        let mut judged = Judged { becomes: None, keep_original: false, finding: None };
        match read(self.data_type, value) {
            Read::Right => {}
            Read::As(value) => judged.becomes = Some(value),
            Read::Wrong => {
                // A code may be spelt out where the code itself is a number.
                if let Some(codes) = &self.codes
                    && let Value::Text(text) = value
                    && let Lookup::Named(code) = codes.lookup(text)
                {
                    return Judged::replaced(code.value.clone(), FindingCode::CodeName, text);
                }
                let reason = format!("this is no {}", self.data_type.word());
                judged.finding = Some((FindingCode::FieldType, reason));
                return judged;
            }
        }
        let read = judged.becomes.as_ref().unwrap_or(value);
        if let Some(codes) = &self.codes {
            let text = text_of(read);
            if let Some(found) = self.judge_code(codes, &text) {
                return found;
            }
            // Blanks around a code are no other spelling of it.
            if read.as_text().is_some_and(|read| read != text) {
                judged.becomes = Some(Value::Text(text.into_owned()));
            }
            return judged;
        }
        if let Some(number) = read.as_f64() {
            let (least, greatest) = self.range;
            if least.is_some_and(|least| number < least) || greatest.is_some_and(|greatest| number > greatest) {
                let bound = |bound: Option<f64>| bound.map_or("…".to_owned(), |bound| bound.to_string());
                let reason = format!("not between {} and {}", bound(least), bound(greatest));
                judged.finding = Some((FindingCode::OutOfRange, reason));
            }
        } else if let Value::Text(text) = read
            && !self.form.fits(text)
        {
            judged.finding = Some((FindingCode::FieldType, "not in the form that the standard gives".into()));
        }
        judged
    }

    /// `None`: one of the codes.
    fn judge_code(&self, codes: &CodeList, text: &str) -> Option<Judged> {
        if let Some(parts) = codes.parts(text) {
            return judge_parts(codes, text, &parts);
        }
        let reported =
            |code, reason: String| Judged { becomes: None, keep_original: false, finding: Some((code, reason)) };
        Some(match codes.lookup(text) {
            Lookup::Known => return None,
            Lookup::Named(code) if self.as_written => {
                reported(FindingCode::CodeName, format!("the code is {}", code.value))
            }
            Lookup::Named(code) => Judged::replaced(code.value.clone(), FindingCode::CodeName, text),
            Lookup::Former(code) if self.as_written => {
                reported(FindingCode::OldCode, format!("part of {} by now", code.value))
            }
            Lookup::Former(code) => Judged::replaced(code.value.clone(), FindingCode::OldCode, text),
            Lookup::Split(several) => {
                let list: Vec<String> = several.iter().map(|code| code.value.to_string()).collect();
                reported(FindingCode::SplitCode, format!("divided among {} by now", list.join(", ")))
            }
            Lookup::Unknown => reported(FindingCode::UnknownCode, "not in the list of codes".into()),
        })
    }
}

fn judge_parts(codes: &CodeList, text: &str, parts: &[&str]) -> Option<Judged> {
    let mut finding = None;
    let mut made = Vec::new();
    for part in parts {
        match codes.lookup(part) {
            Lookup::Known => made.push((*part).to_owned()),
            Lookup::Named(code) | Lookup::Former(code) => made.push(code.value.to_string()),
            Lookup::Split(_) | Lookup::Unknown => {
                made.push((*part).to_owned());
                finding = Some((FindingCode::UnknownCode, format!("{part} is not in the list of codes")));
            }
        }
    }
    let joined = made.join("+");
    if joined == text {
        return finding.map(|finding| Judged { becomes: None, keep_original: false, finding: Some(finding) });
    }
    let mut judged = Judged::replaced(Value::Text(joined), FindingCode::OldCode, text);
    judged.finding = finding.or(judged.finding);
    Some(judged)
}

impl Judged {
    fn replaced(becomes: Value, code: FindingCode, original: &str) -> Self {
        let reason = format!("{original:?} is {becomes} now");
        Self { becomes: Some(becomes), keep_original: true, finding: Some((code, reason)) }
    }
}

fn word(kind: GeometryKind) -> &'static str {
    match kind {
        GeometryKind::Point => "point",
        GeometryKind::Line => "line",
        GeometryKind::Polygon => "polygon",
        GeometryKind::Mixed => "mixed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(kind: &str, row: &[(&str, Value)]) -> (Properties, Vec<Finding>) {
        let schema = Schema::named(kind).unwrap();
        let mut properties: Properties = row.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let mut found = Vec::new();
        Checker::new(schema, "name").check(7, schema.geometry, &mut properties, &mut found);
        (properties, found)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn codes(found: &[Finding]) -> Vec<(&str, &str)> {
        found.iter().map(|finding| (finding.field.as_str(), finding.code.as_str())).collect()
    }

    #[test]
    fn former_codes_become_the_present_ones_and_stay_beside() {
        let (lot, found) = checked("planning_zone", &[("code", text("BHK")), ("commune", Value::Integer(25456))]);
        assert_eq!((&lot["code"], &lot["code_original"]), (&text("HNK"), &text("BHK")));
        assert_eq!((&lot["commune"], &lot["commune_original"]), (&text("25459"), &Value::Integer(25456)));
        assert_eq!(codes(&found), [("code", "old_code"), ("commune", "old_code")]);
        assert!(found.iter().all(|finding| finding.row == 7 && finding.code.weight() == Weight::Warning));
    }

    #[test]
    fn what_became_several_is_kept_and_they_are_named() {
        let (lot, found) = checked("planning_zone", &[("code", text("TTN")), ("commune", text("25507"))]);
        assert_eq!((&lot["code"], &lot["commune"]), (&text("TTN"), &text("25507")));
        assert_eq!(codes(&found), [("code", "split_code"), ("commune", "split_code")]);
        assert!(found[1].reason.contains("25498") && found[1].reason.contains("25549"), "{}", found[1].reason);
    }

    #[test]
    fn several_uses_of_a_lot_are_looked_up_each() {
        let (lot, found) = checked("planning_zone", &[("code", text("LUC+ONT"))]);
        assert_eq!((lot.len(), found.len()), (1, 0));
        let (lot, found) = checked("planning_zone", &[("code", text("BHK + ONT"))]);
        assert_eq!((&lot["code"], codes(&found)), (&text("HNK+ONT"), vec![("code", "old_code")]));
        assert_eq!(codes(&checked("planning_zone", &[("code", text("LUC+XXX"))]).1), [("code", "unknown_code")]);
    }

    #[test]
    fn errors_name_the_field_and_warnings_keep_the_value() {
        let (camera, found) = checked(
            "camera",
            &[("name", text(" ")), ("bearing", text("bắc")), ("type", text("drone")), ("sample", text("không"))],
        );
        assert_eq!(codes(&found), [("name", "field_missing"), ("type", "unknown_code"), ("bearing", "field_type")]);
        assert_eq!((&camera["type"], &camera["sample"]), (&text("drone"), &Value::Bool(false)));
        let (lot, found) = checked("planning_zone", &[("code", text("ODT")), ("density_pct", Value::Integer(140))]);
        assert_eq!((&lot["density_pct"], codes(&found)), (&Value::Integer(140), vec![("density_pct", "out_of_range")]));
    }

    #[test]
    fn a_commune_keeps_the_code_that_it_came_with() {
        let (commune, found) =
            checked("communes", &[("code", text("25456")), ("name", text("Phường 1")), ("vn2000", text("105°30′"))]);
        assert_eq!(commune["code"], text("25456"));
        assert_eq!(commune["vn2000"], Value::Integer(9209));
        assert_eq!(codes(&found), [("code", "old_code"), ("vn2000", "code_name")]);
    }

    #[test]
    fn geometry_of_another_dimension_is_an_error() {
        let checker = Checker::new(Schema::named("school").unwrap(), "ten");
        let mut school = Properties::from([("ten".to_owned(), text("A"))]);
        let mut found = Vec::new();
        checker.check(1, Some(GeometryKind::Polygon), &mut school, &mut found);
        assert_eq!(codes(&found), [("geometry", "geometry_kind")], "and the layer's own name field is the name");
    }
}
