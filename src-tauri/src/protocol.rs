//! The `tiles:` scheme: vector tiles, point sources, label points and camera stills, as bytes.
//!
//! `/v/{layer}/{version}/{z}/{x}/{y}` · `/p/{layer}/{version}` · `/l/{layer}/{version}` · `/still/{layer}/{id}`

use desk::api::Failure;
use desk::{Desk, LayerId, TileAnswer};
use std::sync::Arc;
use tauri::UriSchemeResponder;
use tauri::http::{Response, StatusCode, Uri, header};

const MVT: &str = "application/vnd.mapbox-vector-tile";
const GEOJSON: &str = "application/geo+json";

/// What an address of the scheme asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted<'a> {
    Tile { layer: LayerId, z: u8, x: u32, y: u32 },
    Points(LayerId),
    Labels(LayerId),
    Still { layer: LayerId, id: &'a str },
}

fn parse(path: &str) -> Option<Wanted<'_>> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let layer = LayerId::new(parts.get(1)?).ok()?;
    match (parts[0], &parts[2..]) {
        ("v", [_, z, x, y]) => Some(Wanted::Tile { layer, z: z.parse().ok()?, x: x.parse().ok()?, y: y.parse().ok()? }),
        ("p", [_]) => Some(Wanted::Points(layer)),
        ("l", [_]) => Some(Wanted::Labels(layer)),
        ("still", [id]) => Some(Wanted::Still { layer, id }),
        _ => None,
    }
}

pub fn answer(desk: &Arc<Desk>, uri: &Uri, responder: UriSchemeResponder) {
    match parse(uri.path()) {
        Some(Wanted::Tile { layer, z, x, y }) => tile(desk, &layer, z, x, y, responder),
        Some(Wanted::Points(layer)) => in_background(desk, responder, move |desk| desk.points(&layer)),
        Some(Wanted::Labels(layer)) => in_background(desk, responder, move |desk| desk.labels(&layer)),
        Some(Wanted::Still { layer, id }) => {
            let (desk, id) = (desk.clone(), id.to_owned());
            tauri::async_runtime::spawn(async move {
                match desk.still(&layer, &id).await {
                    Ok(jpeg) => respond(responder, StatusCode::OK, "image/jpeg", jpeg),
                    Err(failure) => fail(responder, &failure),
                }
            });
        }
        None => respond(responder, StatusCode::NOT_FOUND, "text/plain", b"no such address".to_vec()),
    }
}

fn tile(desk: &Arc<Desk>, layer: &LayerId, z: u8, x: u32, y: u32, responder: UriSchemeResponder) {
    // The worker takes the responder with it; a refusal comes back before that.
    if let Err(failure) = desk.may_see(layer) {
        fail(responder, &failure);
        return;
    }
    let reply = move |answer: TileAnswer| match answer {
        TileAnswer::Tile(bytes) => respond(responder, StatusCode::OK, MVT, bytes.to_vec()),
        // An empty body is a valid tile without layers.
        TileAnswer::Empty => respond(responder, StatusCode::OK, MVT, Vec::new()),
        // The map takes 404 as "no tile" without complaint, and asks again when it comes back.
        TileAnswer::Cancelled => respond(responder, StatusCode::NOT_FOUND, MVT, Vec::new()),
    };
    // Checked above: what fails now is a layer removed in between, whose tile nobody waits for.
    let _ = desk.tile(layer, z, x, y, reply);
}

fn in_background(
    desk: &Arc<Desk>,
    responder: UriSchemeResponder,
    work: impl FnOnce(&Desk) -> Result<Vec<u8>, Failure> + Send + 'static,
) {
    let desk = desk.clone();
    tauri::async_runtime::spawn_blocking(move || match work(&desk) {
        Ok(bytes) => respond(responder, StatusCode::OK, GEOJSON, bytes),
        Err(failure) => fail(responder, &failure),
    });
}

fn fail(responder: UriSchemeResponder, failure: &Failure) {
    let status = match failure.code.as_str() {
        "layer_role_needed" => StatusCode::FORBIDDEN,
        "no_layer" | "no_feature" | "no_still" => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    respond(responder, status, "text/plain; charset=utf-8", failure.message.clone().into_bytes());
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
        assert_eq!(parse("/still/cameras/cam-1"), Some(Wanted::Still { layer: layer("cameras"), id: "cam-1" }));
        for bad in
            ["/", "/v/communes/3/8/203", "/v/../3/8/1/1", "/v/communes/3/999/1/1", "/x/schools/1", "/p/Schools/1"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
