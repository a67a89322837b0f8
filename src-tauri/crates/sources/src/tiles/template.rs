//! Addresses with places for zoom, column and row.

use super::{DEEPEST_ZOOM, Description, TileAnswer, Way, answer, capabilities};
use crate::net::{Client, FetchError, follow};
use model::TileForm;
use std::collections::HashMap;
use url::Url;

/// Where single tiles are.
#[derive(Debug)]
pub(super) struct Addresses {
    /// What relative templates are relative to, and whose server is the only one that is asked.
    pub(super) base: Url,
    pub(super) template: String,
    /// Rows count from the south.
    pub(super) south_up: bool,
    /// Of a WMTS: the name of the matrix for each zoom.
    pub(super) matrices: Option<HashMap<u8, String>>,
}

impl Addresses {
    pub(super) fn of(&self, z: u8, x: u32, y: u32) -> Result<Url, FetchError> {
        let row = if self.south_up { flipped(z, y) } else { y };
        let text = match &self.matrices {
            None => fill(&self.template, z, x, row),
            Some(matrices) => {
                let matrix = matrices.get(&z).map(String::as_str).unwrap_or_default();
                let name: String = url::form_urlencoded::byte_serialize(matrix.as_bytes()).collect();
                [
                    ("{TileMatrix}", name.replace('+', "%20")),
                    ("{TileRow}", row.to_string()),
                    ("{TileCol}", x.to_string()),
                ]
                .iter()
                .fold(self.template.clone(), |text, (place, value)| replace(&text, place, value))
            }
        };
        follow(&self.base, &text)
    }
}

/// The row counted from the other side.
pub(super) fn flipped(z: u8, y: u32) -> u32 {
    ((1_u64 << z.min(31)) - 1).saturating_sub(u64::from(y)) as u32
}

/// Whatever the letters' case is: servers write `{TileMatrix}` and `{tilematrix}`.
pub(super) fn replace(text: &str, place: &str, value: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in lower.match_indices(&place.to_ascii_lowercase()) {
        out.push_str(&text[from..at]);
        out.push_str(value);
        from = at + found.len();
    }
    out.push_str(&text[from..]);
    out
}

fn fill(template: &str, z: u8, x: u32, y: u32) -> String {
    template
        .replace("{z}", &z.to_string())
        .replace("{x}", &x.to_string())
        .replace("{-y}", &flipped(z, y).to_string())
        .replace("{y}", &y.to_string())
        // Pictures for screens of twice the resolution are left out.
        .replace("{r}", "")
        .replace("{ratio}", "")
}

/// A template with numbers in place of the names.
///
/// # Errors
/// `bad_address`, which says what is missing or too much.
pub(super) fn filled(template: &str, z: u8, x: u32, y: u32) -> Result<Url, FetchError> {
    check(template)?;
    let wrong = |reason: String| FetchError::BadAddress { url: template.to_owned(), reason };
    Url::parse(&fill(template, z, x, y)).map_err(|error| wrong(error.to_string()))
}

/// Whether the places of a template, relative or not, are those that can be filled.
///
/// # Errors
/// `bad_address`, which says what is missing or too much.
pub(super) fn check(template: &str) -> Result<(), FetchError> {
    let wrong = |reason: String| Err(FetchError::BadAddress { url: template.to_owned(), reason });
    for place in ["{z}", "{x}"] {
        if !template.contains(place) {
            return wrong(format!("{place} is missing; write it as https://HOST/{{z}}/{{x}}/{{y}}.png"));
        }
    }
    if !template.contains("{y}") && !template.contains("{-y}") {
        return wrong("{y} is missing ({-y} where rows count from the south)".into());
    }
    if template.contains("{s}") {
        return wrong("{s} stands for one of several servers: write one of them in its place, often \"a\"".into());
    }
    let text = fill(template, 0, 0, 0);
    if let Some(at) = text.find('{') {
        let place: String = text[at..].chars().take(24).collect();
        return wrong(format!("{place:?} is no place that is known; {{z}}, {{x}}, {{y}} and {{-y}} are"));
    }
    Ok(())
}

/// By what an address ends with.
pub(super) fn form_by_ending(address: &str) -> Option<TileForm> {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    TileForm::by_name(ending)
}

/// A bare template says nothing of its tiles: what its address does not tell is looked up in the tile of the whole world.
pub(super) async fn open(client: &Client, template: &str) -> Result<(Description, Way), FetchError> {
    let world = filled(template, 0, 0, 0)?;
    let form = match form_by_ending(template)
        .or_else(|| capabilities::parameter(&world, "format").and_then(|name| TileForm::by_name(&name)))
    {
        Some(form) => form,
        None => asked(client, &world).await,
    };
    let addresses = Addresses { base: world, template: template.to_owned(), south_up: false, matrices: None };
    Ok((bare(form), Way::Address(addresses)))
}

/// The form of the tile at an address; a picture where nothing comes.
pub(super) async fn asked(client: &Client, url: &Url) -> TileForm {
    for wanted in [TileForm::Png, TileForm::Mvt] {
        if let Ok(TileAnswer::Tile(tile)) = answer::fetch(client, url, wanted, None).await {
            return tile.form;
        }
    }
    TileForm::Png
}

/// What is assumed of tiles of which nothing is said.
pub(super) fn bare(form: TileForm) -> Description {
    Description {
        title: None,
        form,
        min_zoom: 0,
        max_zoom: if form.is_vector() { 14 } else { 19 }.min(DEEPEST_ZOOM),
        bounds: None,
        tile_size: 256,
        attribution: Vec::new(),
        licence: None,
        vector_layers: Vec::new(),
        local: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_rows_turned() {
        assert_eq!(filled("http://h/{z}/{x}/{y}.png", 3, 6, 2).unwrap().as_str(), "http://h/3/6/2.png");
        assert_eq!(filled("http://h/{z}/{x}/{-y}.png", 3, 6, 2).unwrap().as_str(), "http://h/3/6/5.png");
        assert_eq!(
            filled("http://h/t?z={z}&x={x}&y={y}&r={r}", 1, 0, 1).unwrap().as_str(),
            "http://h/t?z=1&x=0&y=1&r="
        );
        for (wrong, word) in [
            ("http://h/{z}/{x}.png", "{y} is missing"),
            ("http://h/{x}/{y}.png", "{z} is missing"),
            ("http://{s}.h/{z}/{x}/{y}.png", "write one of them"),
            ("http://h/{z}/{x}/{y}{quadkey}", "quadkey"),
            ("{z}/{x}/{y}", "relative"),
        ] {
            let error = filled(wrong, 0, 0, 0).unwrap_err();
            assert!(error.code() == "bad_address" && error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn addresses_stay_on_their_server() {
        let of = |template: &str| {
            let base = "https://h/tiles.json".parse().unwrap();
            Addresses { base, template: template.into(), south_up: true, matrices: None }.of(2, 1, 0)
        };
        assert_eq!(of("/t/{z}/{x}/{y}.png").unwrap().as_str(), "https://h/t/2/1/3.png");
        assert!(of("https://other/{z}/{x}/{y}.png").unwrap_err().to_string().contains("another server"));
    }

    #[test]
    fn matrices_of_a_wmts_are_named() {
        let base = "http://h/wmts".parse().unwrap();
        let matrices = Some([(2, "EPSG:3857 2".to_owned())].into());
        let template = "http://h/w/{tilematrix}/{TileRow}/{TileCol}.png".to_owned();
        let url = Addresses { base, template, south_up: false, matrices }.of(2, 1, 3).unwrap();
        assert_eq!(url.as_str(), "http://h/w/EPSG%3A3857%202/3/1.png");
    }

    #[test]
    fn endings_tell_the_form() {
        assert_eq!(form_by_ending("https://h.vn/{z}/{x}/{y}.jpg?key=1.png"), Some(TileForm::Jpeg));
        assert_eq!(form_by_ending("https://h/{z}/{x}/{y}.pbf"), Some(TileForm::Mvt));
        assert_eq!(form_by_ending("https://h.png/{z}/{x}/{y}"), None);
    }
}
