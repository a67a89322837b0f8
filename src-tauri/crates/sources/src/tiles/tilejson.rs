//! TileJSON 3.0 and its elders: a document that says where tiles are and what they hold.

use super::attribution::credits;
use super::template::{Addresses, asked, bare, check, form_by_ending};
use super::{DEEPEST_ZOOM, Description, Way, capabilities, malformed};
use crate::net::{Answer, Client, FetchError, follow};
use model::{BBox, TileForm, VectorLayer};
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// Layers of vector tiles that are told of, and fields of each.
const MOST_LAYERS: usize = 500;
const MOST_FIELDS: usize = 500;

pub(super) async fn open(client: &Client, root: &Url) -> Result<(Description, Way), FetchError> {
    let value = document(client, root).await?;
    let template = template_of(root, &value)?;
    let base = first_of(root, &template)?;
    let (mut description, form) = described(&value);
    description.form = match form.or_else(|| form_by_ending(&template)) {
        Some(form) => form,
        None => asked(client, &base).await,
    };
    let south_up = value.get("scheme").and_then(Value::as_str).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tms"));
    Ok((description, Way::Address(Addresses { base: root.clone(), template, south_up, matrices: None })))
}

/// A TileJSON document.
///
/// # Errors
/// `malformed` for anything else.
pub(super) async fn document(client: &Client, root: &Url) -> Result<Value, FetchError> {
    let body = match client.get(root, "application/json, */*;q=0.5", None).await? {
        Answer::Body(body) => body,
        Answer::NotModified => return Err(malformed(root, "304 was answered without being asked for")),
    };
    let value: Value = serde_json::from_slice(&body.bytes).map_err(|error| {
        let words: String =
            super::attribution::plain(&String::from_utf8_lossy(&body.bytes[..body.bytes.len().min(2_000)]))
                .chars()
                .take(160)
                .collect();
        malformed(root, format!("no TileJSON came ({error}) but \"{words}\""))
    })?;
    if is_tilejson(&value) {
        Ok(value)
    } else {
        Err(malformed(root, "the document is no TileJSON: it has no \"tiles\""))
    }
}

/// Has it what a TileJSON document must have?
pub(super) fn is_tilejson(value: &Value) -> bool {
    let tiles = value.get("tiles").and_then(Value::as_array);
    tiles.is_some_and(|tiles| tiles.first().is_some_and(Value::is_string))
}

fn template_of(root: &Url, value: &Value) -> Result<String, FetchError> {
    let tiles = value.get("tiles").and_then(Value::as_array).into_iter().flatten();
    let templates: Vec<&str> = tiles.filter_map(Value::as_str).take(16).collect();
    // The first that stays on the server; the others are its mirrors.
    let own = templates.iter().find(|template| first_of(root, template).is_ok());
    match (own, templates.first()) {
        (Some(own), _) => Ok((*own).to_owned()),
        (None, Some(first)) => Err(match first_of(root, first) {
            Err(FetchError::Malformed { what, .. }) => {
                malformed(root, format!("{what}; give the address of the tiles themselves instead ({{z}}/{{x}}/{{y}})"))
            }
            Err(error) => error,
            Ok(_) => malformed(root, "it names no tiles"),
        }),
        (None, None) => Err(malformed(root, "it names no tiles")),
    }
}

/// The address of the tile of the whole world, which must lie on the same server.
fn first_of(root: &Url, template: &str) -> Result<Url, FetchError> {
    check(template)?;
    Addresses { base: root.clone(), template: template.to_owned(), south_up: false, matrices: None }.of(0, 0, 0)
}

/// What a TileJSON, or the metadata of an archive, says of its tiles; and the form, where it says that.
pub(super) fn described(value: &Value) -> (Description, Option<TileForm>) {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let vector_layers = vector_layers(value);
    let form = if vector_layers.is_empty() { text("format").and_then(TileForm::by_name) } else { Some(TileForm::Mvt) };
    let mut description = bare(form.unwrap_or(TileForm::Png));
    description.title = text("name").map(|name| super::attribution::plain(name).chars().take(200).collect());
    description.attribution = text("attribution").map(credits).unwrap_or_default();
    description.licence = text("license").or_else(|| text("licence")).map(super::attribution::plain);
    let zoom = |name: &str| number(value.get(name)?).filter(|zoom| (0.0..=30.0).contains(zoom));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let zoom = |name: &str| zoom(name).map(|zoom| (zoom as u8).min(DEEPEST_ZOOM));
    description.min_zoom = zoom("minzoom").unwrap_or(0);
    description.max_zoom = zoom("maxzoom").unwrap_or(description.max_zoom).max(description.min_zoom);
    description.bounds = bounds_of(value.get("bounds"));
    if let Some(size @ (256 | 512 | 1024)) =
        value.get("tileSize").or_else(|| value.get("tile_size")).and_then(Value::as_u64)
    {
        description.tile_size = size as u16;
    }
    description.vector_layers = vector_layers;
    (description, form)
}

/// Some write numbers as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Four numbers, in an array or a text with commas.
pub(super) fn bounds_of(value: Option<&Value>) -> Option<BBox> {
    let numbers: Vec<f64> = match value? {
        Value::Array(all) => all.iter().filter_map(number).collect(),
        Value::String(text) => text.split(',').filter_map(|part| part.trim().parse().ok()).collect(),
        _ => return None,
    };
    match numbers.as_slice() {
        [west, south, east, north] => capabilities::bounds(*west, *south, *east, *north),
        _ => None,
    }
}

fn vector_layers(value: &Value) -> Vec<VectorLayer> {
    let layers = value.get("vector_layers").and_then(Value::as_array).into_iter().flatten();
    let layer = |layer: &Value| {
        let id = layer.get("id")?.as_str()?.to_owned();
        let fields = layer.get("fields").and_then(Value::as_object).into_iter().flatten().take(MOST_FIELDS);
        let fields: BTreeMap<String, String> = fields
            .map(|(name, kind)| (name.clone(), kind.as_str().map_or_else(|| kind.to_string(), str::to_owned)))
            .collect();
        Some(VectorLayer { id, fields })
    };
    layers.filter_map(layer).take(MOST_LAYERS).collect()
}

/// True when `link` of a document at `root` would be asked.
pub(super) fn stays(root: &Url, link: &str) -> bool {
    follow(root, link).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_and_its_html_is_not_kept() {
        let value: Value = serde_json::from_str(
            r#"{"tilejson":"3.0.0","name":"Nền <b>tỉnh</b>","tiles":["https://h/{z}/{x}/{y}"],"minzoom":"4","maxzoom":99,
            "bounds":[105.4,10.3,106.9,11.8],"attribution":"<a href='javascript:x'>A</a>",
            "vector_layers":[{"id":"water","fields":{"class":"String"}},{"fields":{}}]}"#,
        )
        .unwrap();
        let (described, form) = described(&value);
        assert_eq!(form, Some(TileForm::Mvt));
        assert_eq!(described.title.as_deref(), Some("Nền tỉnh"));
        assert_eq!((described.min_zoom, described.max_zoom), (4, 14), "a zoom that is none is left out");
        assert_eq!(described.bounds.unwrap().west, 105.4);
        assert_eq!(described.attribution[0].url, None);
        assert_eq!(described.vector_layers.len(), 1);
        assert_eq!(bounds_of(Some(&Value::from("105,10,107,12"))).unwrap().north, 12.0);
        assert_eq!(bounds_of(Some(&Value::from("107,10,105,12"))), None);
    }

    #[test]
    fn templates_may_be_relative_but_lead_nowhere_else() {
        let root: Url = "https://h/a/tiles.json".parse().unwrap();
        let of = |tiles: &[&str]| template_of(&root, &serde_json::json!({ "tiles": tiles }));
        assert_eq!(of(&["{z}/{x}/{y}.png"]).unwrap(), "{z}/{x}/{y}.png");
        assert_eq!(of(&["https://mirror/{z}/{x}/{y}", "https://h/{z}/{x}/{y}"]).unwrap(), "https://h/{z}/{x}/{y}");
        let error = of(&["https://other/{z}/{x}/{y}"]).unwrap_err().to_string();
        assert!(error.contains("another server") && error.contains("instead"), "{error}");
        assert_eq!(of(&["https://h/{z}/{x}"]).unwrap_err().code(), "bad_address");
        assert!(of(&[]).is_err());
    }
}
