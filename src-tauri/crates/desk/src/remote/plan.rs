//! What of a question a service can be asked. The rest is looked through here.

use crate::standard::{Standard, asked_for, without};
use model::{FieldType, FilterLanguage, Filtering, LayerSpec, Schema, Value};
use sources::asking::Abilities;
use spatial::Filter;
use std::collections::BTreeMap;

/// Parameters that services keep for themselves.
const RESERVED: [&str; 17] = [
    "f",
    "bbox",
    "bbox-crs",
    "crs",
    "limit",
    "offset",
    "datetime",
    "filter",
    "filter-lang",
    "filter-crs",
    "sortby",
    "properties",
    "q",
    "lang",
    "resulttype",
    "skipgeometry",
    "token",
];

/// A filter in the service's words.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) filter: Option<(FilterLanguage, String)>,
    /// Attributes and the values that they must equal.
    pub(super) equal: Vec<(String, String)>,
    /// The names in those parts of the filter that the service cannot be asked.
    pub(super) unsaid: Vec<String>,
}

/// How the layer's service takes filters: as it says, else as the profile says of it.
pub(super) fn filtering(spec: &LayerSpec, abilities: &Abilities) -> Option<Filtering> {
    let declared = spec.remote.as_ref().and_then(|remote| remote.filter);
    let by_word = |language| Filtering { language, like: true, case_insensitive: false, accent_insensitive: false };
    abilities.filtering.or(declared.map(by_word))
}

impl Plan {
    pub(super) fn of(spec: &LayerSpec, abilities: &Abilities, filter: Option<&Filter>) -> Self {
        let mut plan = Self::default();
        let Some(filter) = filter else { return plan };
        let names = Names::of(spec, abilities);
        let name = |name: &str, value: Option<&Value>| names.name(name, value);
        let filtering = filtering(spec, abilities);
        let mut said = Vec::new();
        for part in filter.parts() {
            if let Some(text) = filtering.and_then(|filtering| part.written(filtering, &name)) {
                said.push(text);
                continue;
            }
            let equal = part.equality().filter(|_| filtering.is_none() && abilities.by_parameter);
            match equal.and_then(|(field, value)| Some((names.name(field, Some(value))?, parameter(value)?))) {
                Some((name, value)) if !RESERVED.contains(&name.to_lowercase().as_str()) => {
                    plan.equal.push((name, value));
                }
                _ => plan.unsaid.extend(part.properties().into_iter().map(str::to_owned)),
            }
        }
        if let (Some(filtering), false) = (filtering, said.is_empty()) {
            let text = match said.as_slice() {
                [one] => one.clone(),
                all => all.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" AND "),
            };
            plan.filter = Some((filtering.language, text));
        }
        plan.unsaid.sort_unstable();
        plan.unsaid.dedup();
        plan
    }

    /// All of the filter is asked of the service.
    pub(super) fn is_whole(&self) -> bool {
        self.unsaid.is_empty()
    }
}

/// A value as a parameter; `None` for one that services may read otherwise: patterns, lists, what differs by a digit.
fn parameter(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => (!text.is_empty() && !text.contains(['*', ',', '%'])).then(|| text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Real(_) | Value::Null => None,
    }
}

/// How the service calls the layer's fields, the other way round than a delivery is read.
struct Names<'a> {
    spec: &'a LayerSpec,
    abilities: &'a Abilities,
    /// Field → attribute, by the data standard.
    suggested: BTreeMap<String, String>,
    schema: Option<&'static Schema>,
}

impl<'a> Names<'a> {
    fn of(spec: &'a LayerSpec, abilities: &'a Abilities) -> Self {
        let columns: Vec<&str> = abilities.queryables.iter().flatten().map(|(name, _)| name.as_str()).collect();
        let asked = asked_for(&spec.map);
        let keep = |column: &str| asked.iter().any(|(field, _)| field == column);
        let suggested = Standard::of(spec).map(|standard| {
            let mut suggestion = standard.suggest(spec, &columns, true, keep);
            without(&spec.map, &mut suggestion);
            suggestion.map.into_iter().collect()
        });
        Self { spec, abilities, suggested: suggested.unwrap_or_default(), schema: Schema::of(spec.kind) }
    }

    /// The attribute behind a field that is compared with a value; `None` where asking for it might miss features.
    fn name(&self, field: &str, value: Option<&Value>) -> Option<String> {
        let attribute = match self.spec.map.get(field) {
            Some(attribute) if attribute.is_empty() => return None,
            Some(attribute) => attribute.as_str(),
            // The feature's own id is no attribute, unless the key is one.
            None if field == "id" => self.spec.id_field.as_deref().or(self.abilities.id.as_deref())?,
            None => match self.suggested.get(field) {
                Some(attribute) => attribute,
                // It stands for another field here.
                None if self.suggested.values().chain(self.spec.map.values()).any(|taken| taken == field) => {
                    return None;
                }
                None => field,
            },
        };
        if !self.abilities.knows(attribute) {
            return None;
        }
        let told = self.abilities.queryables.as_ref().and_then(|known| *known.get(attribute)?);
        let in_standard = self.schema.and_then(|schema| schema.field(field));
        // Codes are brought into the standard's form here: the service has them as they were written.
        if in_standard.is_some_and(|field| field.codes.is_some()) {
            return None;
        }
        let fits = match (value, told) {
            // An empty text becomes none at all here.
            (None | Some(Value::Null), told) => told.is_some_and(|told| told != FieldType::Text),
            (Some(Value::Text(_)), Some(told)) => told == FieldType::Text,
            (Some(Value::Integer(_) | Value::Real(_)), Some(told)) => {
                matches!(told, FieldType::Integer | FieldType::Real)
            }
            (Some(Value::Bool(_)), Some(told)) => told == FieldType::Boolean,
            // A text where the standard wants a number is made one here, but not there.
            (Some(value), None) => {
                let text = matches!(value, Value::Text(_));
                in_standard.is_none_or(|field| text && field.data_type.stored() == FieldType::Text)
            }
        };
        fits.then(|| attribute.to_owned())
    }
}

/// The attribute that a field is taken from; `None` for one that is to stay empty.
pub(super) fn attribute_of(spec: &LayerSpec, abilities: Option<&Abilities>, field: &str) -> Option<String> {
    match (spec.map.get(field), abilities) {
        (Some(attribute), _) => Some(attribute.clone()).filter(|attribute| !attribute.is_empty()),
        (None, Some(abilities)) => {
            let suggested = Names::of(spec, abilities).suggested.remove(field);
            Some(suggested.unwrap_or_else(|| field.to_owned()))
        }
        (None, None) => Some(field.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(lines: &str) -> LayerSpec {
        let text = format!(
            r#"
            id = "parcels"
            kind = "other"
            group = "base"
            title = {{ vi = "Thửa đất", en = "Parcels" }}
            geometry = "polygon"
            feature_source = "land"
            freshness = "30d"
            as_of = "2026-11-01"
            provider = {{ vi = "a", en = "b" }}
            licence = "x"
            name_field = "name"
            {lines}
            "#
        );
        toml::from_str(&text).unwrap()
    }

    fn abilities(filtering: Option<Filtering>, by_parameter: bool) -> Abilities {
        let types = [
            ("so_to", Some(FieldType::Integer)),
            ("loai", Some(FieldType::Text)),
            ("area", Some(FieldType::Real)),
            ("open", None),
        ];
        let queryables = types.into_iter().map(|(name, told)| (name.to_owned(), told)).collect();
        Abilities { filtering, queryables: Some(queryables), by_parameter, ..Abilities::default() }
    }

    const CQL2: Filtering = Filtering {
        language: FilterLanguage::Cql2Text,
        like: true,
        case_insensitive: false,
        accent_insensitive: false,
    };

    fn plan(lines: &str, abilities: &Abilities, filter: &str) -> Plan {
        Plan::of(&spec(lines), abilities, Some(&Filter::parse(filter).unwrap()))
    }

    #[test]
    fn the_service_is_asked_in_its_own_names_and_only_what_it_knows() {
        let map = "map = { sheet = \"so_to\", gone = \"\" }\nid_field = \"loai\"";
        let able = abilities(Some(CQL2), true);
        let asked = plan(map, &able, "sheet = 5 AND area > 100 AND other = 1");
        assert_eq!(asked.filter, Some((FilterLanguage::Cql2Text, "(\"so_to\" = 5) AND (\"area\" > 100)".into())));
        assert_eq!((asked.unsaid.as_slice(), asked.is_whole()), (&["other".to_owned()][..], false));
        assert_eq!(plan(map, &able, "id = 'a'").filter.unwrap().1, "\"loai\" = 'a'");
        for unsaid in ["gone = 1", "sheet = 'five'", "loai = 5", "loai IS NULL", "so_to = 5", "sheet = 5 OR other = 1"]
        {
            let asked = plan(map, &able, unsaid);
            assert!(asked.filter.is_none() && asked.equal.is_empty() && !asked.is_whole(), "{unsaid}: {asked:?}");
        }
        assert!(plan(map, &able, "area IS NULL").is_whole());
        assert_eq!(plan("", &able, "id = 'a'").filter, None, "the feature's own id is no attribute");
    }

    #[test]
    fn without_filters_equal_values_are_parameters_where_the_service_says_so() {
        let asked = plan("", &abilities(None, true), "so_to = 5 AND loai = 'ODT' AND area > 2");
        assert_eq!(asked.equal, [("so_to".into(), "5".into()), ("loai".to_owned(), "ODT".to_owned())]);
        assert_eq!((asked.filter, asked.unsaid.as_slice()), (None, &["area".to_owned()][..]));
        let asked = plan("", &abilities(None, false), "so_to = 5");
        assert!(asked.equal.is_empty() && !asked.is_whole());
        let remote = "[remote]\ntiles = \"https://h/x\"\nfilter = \"cql-text\"";
        let asked = plan(remote, &abilities(None, true), "area > 2");
        assert_eq!(asked.filter, Some((FilterLanguage::CqlText, "\"area\" > 2".into())));
    }

    #[test]
    fn codes_of_the_standard_are_not_asked_of_those_who_may_write_them_otherwise() {
        let schools = LayerSpec { kind: model::LayerKind::School, ..spec("") };
        let able = Abilities { filtering: Some(CQL2), ..Abilities::default() };
        let plan = |text: &str| Plan::of(&schools, &able, Some(&Filter::parse(text).unwrap()));
        assert!(!plan("level = 'thpt'").is_whole());
        assert!(plan("name = 'THPT Tây Ninh'").is_whole());
    }
}
