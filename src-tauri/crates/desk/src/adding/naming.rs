//! Ids and declarations of what is added.

use crate::layers::Layer;
use model::{
    Classification, Field, GeometryKind, LayerId, LayerKind, LayerSpec, Profile, Role, Schema, Span, Title, fold,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A title is cut to this for an id.
const ID_CHARS: usize = 40;

/// A layer of a kind: with the fields of another of that kind, else with those of the data standard.
pub(super) fn new_layer(
    id: LayerId,
    title: &str,
    kind: LayerKind,
    group: &str,
    profile: &Profile,
    today: jiff::civil::Date,
) -> LayerSpec {
    let model = profile.layers.iter().find(|layer| layer.kind == kind && kind != LayerKind::Other);
    let schema = Schema::of(kind);
    let of_schema = || -> Vec<Field> {
        let fields = schema.map(|schema| schema.fields.as_slice()).unwrap_or_default();
        let field = |field: &model::SchemaField| Field {
            name: field.name.clone(),
            field_type: field.data_type.stored(),
            title: field.title.clone(),
            unit: field.unit.clone(),
            decimals: None,
            label: field.name == "name",
            required: field.required,
        };
        fields.iter().map(field).collect()
    };
    LayerSpec {
        id,
        kind,
        group: group.to_owned(),
        title: Title::same(title),
        geometry: schema.and_then(|schema| schema.geometry).unwrap_or(GeometryKind::Mixed),
        file: None,
        feature_source: None,
        collection: None,
        id_field: None,
        map: BTreeMap::new(),
        rest: None,
        sensorthings: None,
        changed_field: None,
        remote: None,
        live_source: None,
        interval: model.and_then(|model| model.interval),
        freshness: Span::seconds(30 * 86_400),
        as_of: today,
        provider: Title::same(title),
        licence: String::new(),
        // What comes from another office is for the office, until somebody says otherwise.
        classification: Classification::Internal,
        sample: false,
        visible: true,
        opacity: 1.0,
        name_field: model.map_or_else(|| "name".to_owned(), |model| model.name_field.clone()),
        still: None,
        role: Role::Viewer,
        search: true,
        note: None,
        fields: model.map_or_else(of_schema, |model| model.fields.clone()),
        parameters: model.map(|model| model.parameters.clone()).unwrap_or_default(),
    }
}

/// The layer whose id, title or kind is what one of the names says.
pub(super) fn alike(layers: &[Arc<Layer>], names: &[&str]) -> Option<LayerId> {
    let key = |text: &str| fold(text).replace(' ', "");
    let names: Vec<String> = names.iter().map(|name| key(name)).filter(|name| !name.is_empty()).collect();
    let is = |text: &str| names.contains(&key(text));
    let by_name = layers.iter().find(|layer| {
        let spec = &layer.spec;
        is(spec.id.as_str()) || is(&spec.title.vi) || is(&spec.title.en)
    });
    let by_kind = || layers.iter().find(|layer| is(layer.spec.kind.as_str()));
    by_name.or_else(by_kind).map(|layer| layer.spec.id.clone())
}

/// Lower-case letters, digits and `_` of a title, for an id.
pub(crate) fn slug(title: &str, otherwise: &str) -> String {
    let folded = fold(title);
    let mut id = String::new();
    for c in folded.chars().take(ID_CHARS) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('_') {
            id.push('_');
        }
    }
    let id = id.trim_end_matches('_');
    if id.starts_with(|c: char| c.is_ascii_lowercase()) {
        id.to_owned()
    } else {
        format!("{otherwise}_{id}").trim_end_matches('_').to_owned()
    }
}

/// The name itself, or with the first number that makes it free.
pub(crate) fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    (2..).map(|n| format!("{name}_{n}")).find(|name| !taken(name)).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_make_ids() {
        assert_eq!(slug("Trường học (Sở GD&ĐT)", "layer"), "truong_hoc_so_gd_dt");
        assert_eq!(slug("2026", "layer"), "layer_2026");
        assert_eq!(slug("…", "source"), "source");
        assert_eq!(free("a", |name| ["a", "a_2"].contains(&name)), "a_3");
        assert!(LayerId::new(&slug(&"đ".repeat(200), "layer")).is_ok());
    }
}
