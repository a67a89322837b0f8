//! The `tiles:` scheme: vector tiles, point sources, label points, tiles of base maps and camera stills, as bytes.
//!
//! `/v/{layer}/{version}/{z}/{x}/{y}` · `/p/{layer}/{version}` · `/l/{layer}/{version}` · `/still/{layer}/{id}` ·
//! `/b/{basemap}/{z}/{x}/{y}`

use desk::api::Failure;
use desk::{Desk, LayerId, SetTile, TileAnswer};
use std::sync::Arc;
use tauri::UriSchemeResponder;
use tauri::http::{Response, StatusCode, Uri, header};

const MVT: &str = "application/vnd.mapbox-vector-tile";
const GEOJSON: &str = "application/geo+json";

/// What an address of the scheme asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Tile { layer: LayerId, z: u8, x: u32, y: u32 },
    Points(LayerId),
    Labels(LayerId),
    Still { layer: LayerId, id: String },
    Basemap { id: String, z: u8, x: u32, y: u32 },
}

/// A deeper tile has no number that fits; the map never asks beyond 24.
const DEEPEST_ZOOM: u8 = 24;

fn parse(path: &str) -> Option<Wanted> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if let ["b", id, z, x, y] = parts.as_slice() {
        let (z, x, y) = place(z, x, y)?;
        return Some(Wanted::Basemap { id: decoded(id)?, z, x, y });
    }
    let layer = LayerId::new(parts.get(1)?).ok()?;
    match (parts[0], &parts[2..]) {
        ("v", [_, z, x, y]) => {
            let (z, x, y) = place(z, x, y)?;
            Some(Wanted::Tile { layer, z, x, y })
        }
        ("p", [_]) => Some(Wanted::Points(layer)),
        ("l", [_]) => Some(Wanted::Labels(layer)),
        ("still", [id]) => Some(Wanted::Still { layer, id: decoded(id)? }),
        _ => None,
    }
}

fn place(z: &str, x: &str, y: &str) -> Option<(u8, u32, u32)> {
    let (z, x, y): (u8, u32, u32) = (z.parse().ok()?, x.parse().ok()?, y.parse().ok()?);
    (z <= DEEPEST_ZOOM && x < 1 << z && y < 1 << z).then_some((z, x, y))
}

/// A segment as the window wrote it before it escaped it: ids hold spaces, accents and slashes.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(if byte == b'%' { u8::try_from(digit()? * 16 + digit()?).ok()? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

/// An answer that the window waits for. Lost on any way, through a refusal or a panic, it is still given: the map would
/// wait for ever.
struct Owed(Option<UriSchemeResponder>);

impl Owed {
    fn give(mut self, status: StatusCode, content_type: &str, body: Vec<u8>) {
        if let Some(responder) = self.0.take() {
            respond(responder, status, content_type, body);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(responder) = self.0.take() {
            respond(responder, StatusCode::SERVICE_UNAVAILABLE, "text/plain", b"no answer".to_vec());
        }
    }
}

pub fn answer(desk: &Arc<Desk>, uri: &Uri, responder: UriSchemeResponder) {
    let owed = Owed(Some(responder));
    match parse(uri.path()) {
        Some(Wanted::Tile { layer, z, x, y }) => tile(desk, &layer, z, x, y, owed),
        Some(Wanted::Points(layer)) => in_background(desk, owed, move |desk| desk.points(&layer)),
        Some(Wanted::Labels(layer)) => in_background(desk, owed, move |desk| desk.labels(&layer)),
        Some(Wanted::Still { layer, id }) => {
            let desk = desk.clone();
            tauri::async_runtime::spawn(async move {
                match desk.still(&layer, &id).await {
                    Ok(jpeg) => owed.give(StatusCode::OK, "image/jpeg", jpeg),
                    Err(failure) => fail(owed, &failure),
                }
            });
        }
        Some(Wanted::Basemap { id, z, x, y }) => {
            let desk = desk.clone();
            tauri::async_runtime::spawn(async move {
                match desk.basemap_tile(&id, z, x, y).await {
                    SetTile::Tile { form, bytes, .. } => owed.give(StatusCode::OK, form.media_type(), bytes),
                    // The map takes 404 as "no tile" without complaint, and draws a coarser one in its place.
                    SetTile::Empty | SetTile::Missing => owed.give(StatusCode::NOT_FOUND, "text/plain", Vec::new()),
                }
            });
        }
        None => owed.give(StatusCode::NOT_FOUND, "text/plain", b"no such address".to_vec()),
    }
}

fn tile(desk: &Arc<Desk>, layer: &LayerId, z: u8, x: u32, y: u32, owed: Owed) {
    // The worker takes the answer with it; a refusal with its sentence comes back before that.
    if let Err(failure) = desk.may_see(layer) {
        fail(owed, &failure);
        return;
    }
    if desk.is_remote(layer) {
        let (desk, layer) = (desk.clone(), layer.clone());
        tauri::async_runtime::spawn(async move {
            match desk.tile_of(&layer, z, x, y).await {
                Ok(answer) => give_tile(owed, answer),
                Err(failure) => fail(owed, &failure),
            }
        });
        return;
    }
    let reply = move |answer: TileAnswer| give_tile(owed, answer);
    // Checked above: what fails now is a layer removed in between, and the answer is given as `reply` is dropped.
    let _ = desk.tile(layer, z, x, y, reply);
}

fn give_tile(owed: Owed, answer: TileAnswer) {
    match answer {
        TileAnswer::Tile(bytes) => owed.give(StatusCode::OK, MVT, bytes.to_vec()),
        // An empty body is a valid tile without layers.
        TileAnswer::Empty => owed.give(StatusCode::OK, MVT, Vec::new()),
        // The map takes 404 as "no tile" without complaint, and asks again when it comes back.
        TileAnswer::Cancelled => owed.give(StatusCode::NOT_FOUND, MVT, Vec::new()),
    }
}

fn in_background(desk: &Arc<Desk>, owed: Owed, work: impl FnOnce(&Desk) -> Result<Vec<u8>, Failure> + Send + 'static) {
    let desk = desk.clone();
    tauri::async_runtime::spawn_blocking(move || match work(&desk) {
        Ok(bytes) => owed.give(StatusCode::OK, GEOJSON, bytes),
        Err(failure) => fail(owed, &failure),
    });
}

fn fail(owed: Owed, failure: &Failure) {
    let status = match failure.code.as_str() {
        "layer_role_needed" => StatusCode::FORBIDDEN,
        "no_layer" | "no_feature" | "no_still" => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    owed.give(status, "text/plain; charset=utf-8", failure.message.clone().into_bytes());
}

fn respond(responder: UriSchemeResponder, status: StatusCode, content_type: &str, body: Vec<u8>) {
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        // The desk has its own cache, by layer version.
        .header(header::CACHE_CONTROL, "no-store")
        .body(body);
    if let Ok(response) = response {
        responder.respond(response);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(id: &str) -> LayerId {
        LayerId::new(id).unwrap()
    }

    #[test]
    fn addresses_are_read_whole_or_refused() {
        assert_eq!(
            parse("/v/communes/3/8/203/120"),
            Some(Wanted::Tile { layer: layer("communes"), z: 8, x: 203, y: 120 })
        );
        assert_eq!(parse("/p/schools/1"), Some(Wanted::Points(layer("schools"))));
        assert_eq!(parse("/still/cameras/cam-1"), Some(Wanted::Still { layer: layer("cameras"), id: "cam-1".into() }));
        for bad in
            ["/", "/v/communes/3/8/203", "/v/../3/8/1/1", "/v/communes/3/999/1/1", "/x/schools/1", "/p/Schools/1"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        let tile = Wanted::Basemap { id: "nen-tinh".into(), z: 8, x: 203, y: 120 };
        assert_eq!(parse("/b/nen-tinh/8/203/120"), Some(tile));
        for bad in ["/b/nen-tinh/8/203", "/b/nen-tinh/8/256/1", "/b/a%/1/0/0"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse("/v/communes/3/8/256/120"), None, "the last column of zoom 8 is 255");
    }

    #[test]
    fn ids_are_read_as_they_were_before_the_window_escaped_them() {
        let id = |path: &str| match parse(path) {
            Some(Wanted::Still { id, .. }) => Some(id),
            _ => None,
        };
        let still = |segment: &str| id(&format!("/still/cameras/{segment}"));
        assert_eq!(still("N%C3%BAt%20giao%20QL22").as_deref(), Some("Nút giao QL22"));
        assert_eq!(still("a%2Fb%25c").as_deref(), Some("a/b%c"));
        for bad in ["a%", "a%2", "a%zz", "a%+1", "%FF", "a/b"] {
            assert_eq!(still(bad), None, "{bad}");
        }
    }
}
