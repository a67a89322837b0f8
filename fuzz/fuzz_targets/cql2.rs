//! CQL2 filters: read, and asked of a feature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Feature, Value};
use spatial::Filter;

fuzz_target!(|text: &str| match Filter::parse(text) {
    Ok(filter) => {
        let names = filter.properties();
        let values =
            [Value::Null, Value::Integer(7), Value::Real(0.5), Value::Text("Tân Ninh".into()), Value::Bool(true)];
        for value in values {
            let properties = names.iter().map(|name| ((*name).to_owned(), value.clone())).collect::<Vec<_>>();
            let geometry = geo_types::Point::new(106.1, 11.3).into();
            filter.matches(&Feature { id: "a".into(), geometry, properties: properties.into_iter().collect() });
        }
    }
    Err(error) => assert!(error.at >= 1 && error.at <= text.chars().count() + 1, "{error:?}"),
});
