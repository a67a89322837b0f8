//! The shared data standard at the door of a layer: columns of other names, codes, types, required fields.

use crate::api::Language;
use crate::rejected::RejectedRow;
use crate::words::sentence;
use model::{
    Checker, Feature, Finding, FindingCode, GeometryKind, LayerSpec, Rejection, Renaming, Schema, Suggestion, Value,
    Weight,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Values that a warning gives as examples.
const EXAMPLES: usize = 3;

/// The checks for one layer; a layer of a kind without a schema has none. Usable from any thread.
pub(crate) struct Standard {
    schema: &'static Schema,
    checker: Checker<'static>,
    /// The field that repeats the feature's own key, where the kind has one.
    key_field: Option<&'static str>,
    warned: Mutex<BTreeMap<(String, FindingCode), Warned>>,
}

#[derive(Default)]
struct Warned {
    count: u64,
    row: u64,
    examples: Vec<String>,
}

impl Standard {
    pub(crate) fn of(spec: &LayerSpec) -> Option<Self> {
        let schema = Schema::of(spec.kind)?;
        let key_field = schema.fields.iter().find(|field| field.is_id && field.name != "id");
        Some(Self {
            schema,
            checker: Checker::new(schema, &spec.name_field),
            key_field: key_field.map(|field| field.name.as_str()),
            warned: Mutex::default(),
        })
    }

    /// The fields that columns of other names stand for. Columns that the layer declares keep their names, and so do
    /// those that `keep` says.
    pub(crate) fn suggest(
        &self,
        spec: &LayerSpec,
        columns: &[&str],
        own_ids: bool,
        keep: impl Fn(&str) -> bool,
    ) -> Suggestion {
        let mut suggestion = self.schema.suggest(columns, |column| spec.field(column).is_some() || keep(column));
        let is_key = |field: &str| field == "id" && own_ids;
        // The layer's own name field holds the name; a feature's own id is its key.
        let held = |field: &str| field == "name" && columns.contains(&spec.name_field.as_str());
        suggestion.map.retain(|(field, _)| !is_key(field) && !held(field));
        suggestion.ambiguous.retain(|(field, _)| !is_key(field) && !held(field));
        for (field, _) in &mut suggestion.map {
            if field == "name" {
                field.clone_from(&spec.name_field);
            }
        }
        suggestion
    }

    /// Brings a feature into the standard's form. What only deserves a warning is noted.
    ///
    /// # Errors
    /// The first thing that keeps the feature from being what it is said to be.
    pub(crate) fn check(&self, row: u64, feature: &mut Feature) -> Result<(), Rejection> {
        if let Some(key) = self.key_field
            && feature.properties.get(key).is_none_or(Value::is_null)
        {
            feature.properties.insert(key.to_owned(), Value::Text(feature.id.clone()));
        }
        let mut found = Vec::new();
        let geometry = GeometryKind::of(&feature.geometry);
        self.checker.check(row, Some(geometry), &mut feature.properties, &mut found);
        if found.is_empty() {
            return Ok(());
        }
        if let Some(error) = found.iter().find(|finding| finding.code.weight() == Weight::Error) {
            let Finding { field, value, code, reason, .. } = error.clone();
            return Err(Rejection { row, field, value, code: code.as_str().to_owned(), reason });
        }
        let mut warned = self.warned.lock();
        for finding in found {
            let noted = warned.entry((finding.field, finding.code)).or_default();
            // Rows come on several threads: the first one is the smallest.
            noted.row = if noted.count == 0 { row } else { noted.row.min(row) };
            noted.count += 1;
            if noted.examples.len() < EXAMPLES && !noted.examples.contains(&finding.value) {
                noted.examples.push(finding.value);
            }
        }
        Ok(())
    }

    /// What was noted, a sentence for each field and kind of finding.
    pub(crate) fn sentences(&self, language: Language) -> Vec<String> {
        self.findings(language).into_iter().map(|(_, sentence)| sentence).collect()
    }

    /// As [`Standard::sentences`], with the field that each is about.
    pub(crate) fn findings(&self, language: Language) -> Vec<(String, String)> {
        let warned = self.warned.lock();
        let one = |((field, code), noted): (&(String, FindingCode), &Warned)| {
            let values = [
                ("field", field.clone()),
                ("count", noted.count.to_string()),
                ("row", noted.row.to_string()),
                ("examples", noted.examples.join("; ")),
            ];
            (field.clone(), told(language, &format!("standard.{}", code.as_str()), values))
        };
        warned.iter().map(one).collect()
    }
}

/// The columns that were not taken because several fit.
pub(crate) fn undecided(language: Language, suggestion: &Suggestion) -> Vec<String> {
    let one = |(field, columns): &(String, Vec<String>)| {
        told(language, "standard.ambiguous_column", [("field", field.clone()), ("columns", columns.join(", "))])
    };
    suggestion.ambiguous.iter().map(one).collect()
}

fn told<const N: usize>(language: Language, key: &str, values: [(&str, String); N]) -> String {
    sentence(language, key, &values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// What the standard made of a delivery.
#[derive(Default)]
pub(crate) struct Conformed {
    /// The features that were left out.
    pub(crate) refused: Vec<RejectedRow>,
    pub(crate) suggestion: Suggestion,
    pub(crate) standard: Option<Standard>,
}

impl Conformed {
    pub(crate) fn warnings(&self, language: Language) -> Vec<String> {
        let mut warnings = undecided(language, &self.suggestion);
        warnings.extend(self.standard.iter().flat_map(|standard| standard.sentences(language)));
        warnings
    }
}

/// The features of a delivery that keep to the standard, in its form, after what the layer itself says of the source's
/// names. Rows are counted from 1.
pub(crate) fn conforming(spec: &LayerSpec, mut features: Vec<Feature>) -> (Vec<Feature>, Conformed) {
    let asked = asked_for(&spec.map);
    let mut by_hand = Renaming::new(&asked);
    for feature in &mut features {
        empty(&spec.map, feature);
        by_hand.apply(&mut feature.properties);
    }
    let Some(standard) = Standard::of(spec) else { return (features, Conformed::default()) };
    let columns = columns_of(&features);
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut suggestion = standard.suggest(spec, &names, true, |column| asked.iter().any(|(field, _)| field == column));
    without(&spec.map, &mut suggestion);
    let mut renaming = Renaming::new(&suggestion.map);
    let mut refused = Vec::new();
    let mut row = 0;
    features.retain_mut(|feature| {
        row += 1;
        renaming.apply(&mut feature.properties);
        match standard.check(row, feature) {
            Ok(()) => true,
            Err(rejection) => {
                refused.push(RejectedRow { rejection, feature: Some(sources::feature_text(feature)) });
                false
            }
        }
    });
    (features, Conformed { refused, suggestion, standard: Some(standard) })
}

/// Field and column of a map by hand, without the fields that are to stay empty.
pub(crate) fn asked_for(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().filter(|(_, column)| !column.is_empty()).map(|(field, column)| (field.clone(), column.clone())).collect()
}

/// Takes out what a map by hand says is to stay empty.
pub(crate) fn empty(map: &BTreeMap<String, String>, feature: &mut Feature) {
    for field in map.iter().filter(|(_, column)| column.is_empty()).map(|(field, _)| field) {
        if feature.properties.get(field).is_some() {
            feature.properties.insert(field.clone(), Value::Null);
        }
    }
}

/// What a map by hand decides is no longer suggested.
pub(crate) fn without(map: &BTreeMap<String, String>, suggestion: &mut Suggestion) {
    suggestion.map.retain(|(field, column)| !map.contains_key(field) && !map.values().any(|taken| taken == column));
    suggestion.ambiguous.retain(|(field, _)| !map.contains_key(field));
}

/// The names of the features' attributes, each once.
pub(crate) fn columns_of(features: &[Feature]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    let mut last: Option<&model::Names> = None;
    for feature in features {
        let names = feature.properties.names();
        if last.is_some_and(|last| last.same(names)) {
            continue;
        }
        last = Some(names);
        for name in names.iter() {
            if !columns.iter().any(|known| known == name) {
                columns.push(name.to_owned());
            }
        }
    }
    columns
}
