//! The data standard: its files are JSON Schema 2020-12, our checker means what they say, the profile's own layers keep
//! to it, and its tables are current.

#![allow(clippy::unwrap_used)]

use jsonschema::Validator;
use model::{Checker, CodeList, DataType, GeometryKind, Profile, Properties, Schema, Tongue, Value, data_standard};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::LazyLock;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

static VALIDATORS: LazyLock<Vec<Validator>> = LazyLock::new(|| {
    let build = |schema: &Schema| {
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        options.build(&schema.document()).unwrap_or_else(|error| panic!("{}: {error}", schema.kind))
    };
    Schema::all().iter().map(build).collect()
});

/// As GeoJSON says it; no value is no property.
fn json(properties: &Properties) -> serde_json::Value {
    let all = properties.iter().filter(|(_, value)| !value.is_null());
    all.map(|(name, value)| (name.to_owned(), serde_json::to_value(value).unwrap()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn every_file_is_a_json_schema_of_2020_12() {
    let listed: BTreeSet<String> = Schema::all().iter().map(|schema| format!("{}.schema.json", schema.kind)).collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("maps/schema")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".schema.json") {
            let text = read(&format!("maps/schema/{name}"));
            let file: serde_json::Value = serde_json::from_str(&text).unwrap();
            jsonschema::draft202012::meta::validate(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
            found.insert(name);
        }
    }
    assert!(found.remove("common.schema.json"));
    assert_eq!(found, listed);
    assert_eq!(VALIDATORS.len(), listed.len());
}

#[test]
fn profile_and_its_data_keep_to_the_standard() {
    let profile = Profile::from_toml(&read("maps/tay-ninh/profile.toml")).unwrap();
    let mut checked = 0;
    for layer in &profile.layers {
        let Some(schema) = Schema::of(layer.kind) else { continue };
        for field in &layer.fields {
            let at = format!("{}.{}", layer.id, field.name);
            let standard = schema.field(&field.name).unwrap_or_else(|| panic!("{at} is not in the standard"));
            assert_eq!(standard.title, field.title, "{at}");
            assert_eq!(standard.unit, field.unit, "{at}");
            // A profile may be content with whole numbers.
            let same = standard.data_type.stored() == field.field_type || standard.data_type == DataType::Real;
            assert!(same, "{at}: {:?}", field.field_type);
            assert!(field.required || !standard.required, "{at}: required by the standard");
        }
        let at = Schema::all().iter().position(|known| known.kind == schema.kind).unwrap();
        let checker = Checker::new(schema, &layer.name_field);
        let file: serde_json::Value =
            serde_json::from_str(&read(&format!("maps/tay-ninh/{}", layer.file.as_deref().unwrap()))).unwrap();
        for (row, feature) in (1..).zip(file["features"].as_array().unwrap()) {
            assert!(VALIDATORS[at].is_valid(&feature["properties"]), "{} row {row}", layer.id);
            let mut properties: Properties =
                serde_json::from_value::<BTreeMap<String, Value>>(feature["properties"].clone())
                    .unwrap()
                    .into_iter()
                    .collect();
            let before = properties.clone();
            let mut found = Vec::new();
            let point = feature["geometry"]["type"].as_str().unwrap().ends_with("Point");
            let geometry = if point { GeometryKind::Point } else { GeometryKind::Polygon };
            checker.check(row, Some(geometry), &mut properties, &mut found);
            assert!(found.is_empty(), "{}: {found:?}", layer.id);
            assert_eq!(properties, before, "{} row {row}", layer.id);
        }
        checked += 1;
    }
    assert_eq!(checked, 11, "every kind of layer that has a schema");
}

fn codes(list: &CodeList) -> BTreeMap<String, String> {
    list.codes().iter().map(|code| (code.value.to_string(), code.title.vi.clone())).collect()
}

fn rows(path: &str) -> Vec<Vec<String>> {
    let text = read(path);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1);
    // Names may hold commas, but stand last or between fields that do not.
    lines.map(|line| line.split(',').map(|cell| cell.trim_matches('"').to_owned()).collect()).collect()
}

#[test]
fn commune_list_is_that_of_the_facts() {
    let list = Schema::named("school").unwrap().field("commune").unwrap().codes.as_ref().unwrap();
    let file: serde_json::Value = serde_json::from_str(&read("maps/tay-ninh/data/communes.geojson")).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let communes = file["features"].as_array().unwrap().iter().map(|feature| &feature["properties"]);
    let communes: BTreeMap<_, _> = communes.map(|p| (text(&p["code"]), text(&p["full_name"]))).collect();
    assert_eq!(codes(list), communes);
    let mut crosswalk: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows("maps/tay-ninh/build/facts/old_to_new_communes.csv") {
        // A code that was given anew means the present commune.
        if !communes.contains_key(&row[0]) {
            crosswalk.entry(row[4].clone()).or_default().insert(row[0].clone());
        }
    }
    for code in list.codes() {
        let former: BTreeSet<String> = code.replaces.iter().cloned().collect();
        assert_eq!(former, crosswalk.remove(&code.value.to_string()).unwrap_or_default(), "{}", code.value);
    }
    assert!(crosswalk.is_empty());
}

#[test]
fn land_use_list_is_that_of_the_facts() {
    let list = Schema::named("planning_zone").unwrap().field("code").unwrap().codes.as_ref().unwrap();
    let former: BTreeSet<String> = list.codes().iter().flat_map(|code| code.replaces.clone()).collect();
    assert_eq!(former.iter().map(String::as_str).collect::<Vec<_>>(), ["BHK", "DDT", "NHK", "TTN"]);
    let facts: BTreeMap<String, String> = rows("maps/tay-ninh/build/facts/land_use.csv")
        .into_iter()
        .map(|row| (row[0].clone(), row[1..].join(",").trim_matches('"').to_owned()))
        .filter(|(code, _)| !former.contains(code))
        .collect();
    assert_eq!(codes(list), facts);
}

#[test]
fn tables_are_current() {
    for (name, tongue) in [("vi", Tongue::Vi), ("en", Tongue::En)] {
        let path = format!("docs/data-standard.{name}.md");
        assert!(read(&path) == data_standard(tongue), "{path} is not current: run make data-standard");
    }
}

/// Values that are right, nearly right and wrong for a field.
fn value(schema: usize, field: usize, pick: usize, number: i64) -> Value {
    let field = &Schema::all()[schema].fields[field];
    let text = |text: &str| Value::Text(text.to_owned());
    let code = field.codes.as_ref().map(|list| &list.codes()[pick % list.codes().len()]);
    #[allow(clippy::cast_precision_loss)]
    match pick % 17 {
        0..=3 => match (code, field.data_type) {
            (Some(code), _) => code.value.clone(),
            (_, DataType::Text) => text("2026-10"),
            (_, DataType::Integer) => Value::Integer(number.rem_euclid(5)),
            (_, DataType::Real) => Value::Real(0.5),
            (_, DataType::Boolean) => Value::Bool(pick.is_multiple_of(2)),
            (_, DataType::Date) => text("2026-11-23"),
            (_, DataType::Moment) => text("2026-11-23T14:00:00+07:00"),
        },
        4 => code.map_or(Value::Null, |code| text(&code.title.vi)),
        5 => code.and_then(|code| code.replaces.first()).map_or(Value::Null, |former| text(former)),
        6 => code.map_or(Value::Null, |code| text(&format!(" {} ", code.value))),
        7 => Value::Integer(number),
        8 => Value::Real(number as f64),
        9 => Value::Real(number as f64 / 8.0),
        10 => text(&number.to_string()),
        11 => text(&format!("{number},5")),
        12 => Value::Bool(true),
        13 => text("x"),
        14 => text("  "),
        15 => text("23/11/2026"),
        _ => Value::Null,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn checker_means_what_the_schema_says(
        schema in 0..Schema::all().len(),
        picks in prop::collection::vec((any::<bool>(), 0..1_000_usize, -400..400_i64), 20),
    ) {
        let known = &Schema::all()[schema];
        let mut properties = Properties::new();
        for (at, (field, (there, pick, number))) in known.fields.iter().zip(picks).enumerate() {
            // Required fields are there more often, or hardly any row would be right.
            if there || field.required {
                properties.insert(field.name.clone(), value(schema, at, pick, number));
            }
        }
        let validator = &VALIDATORS[schema];
        let before = json(&properties);
        let mut found = Vec::new();
        Checker::new(known, "name").check(1, known.geometry, &mut properties, &mut found);
        if validator.is_valid(&before) {
            prop_assert!(found.is_empty(), "{}: {before} is valid, but {found:?}", known.kind);
        }
        if found.is_empty() {
            let after = json(&properties);
            prop_assert!(validator.is_valid(&after), "{}: {before} became {after}", known.kind);
        }
        // What was mended is right, and does not have to be mended again.
        let once = properties.clone();
        let mut again = Vec::new();
        Checker::new(known, "name").check(1, known.geometry, &mut properties, &mut again);
        prop_assert_eq!(once, properties);
        prop_assert!(again.len() <= found.len());
    }
}
