//! Camera pictures: drawn, not filmed, and marked so in the picture itself.

mod canvas;
mod objects;
mod scene;
mod text;

use crate::app::App;
use crate::error::PracticeError;
use crate::http::Trouble;
use crate::stations::Station;
use ab_glyph::FontRef;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use canvas::Canvas;
use jpeg_encoder::{ColorType, Encoder};
use model::SensorStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

pub(crate) const WIDTH_PX: usize = 640;
pub(crate) const HEIGHT_PX: usize = 360;
const JPEG_QUALITY: u8 = 78;
/// Two pictures a second.
const FRAME: Duration = Duration::from_millis(500);

/// The font of the overlay: Be Vietnam Pro, cut to what Vietnamese needs (OFL, see `assets/OFL.txt`).
pub(crate) struct Lettering(FontRef<'static>);

impl Lettering {
    /// # Errors
    /// Never with the font that is built in; a broken one is named rather than panicked over.
    pub fn load() -> Result<Self, PracticeError> {
        FontRef::try_from_slice(include_bytes!("../../assets/be-vietnam-pro-600-subset.ttf"))
            .map(Self)
            .map_err(|error| PracticeError::Font(error.to_string()))
    }
}

/// `GET /cameras/{feature}/still.jpg`: 640 × 360.
pub(crate) async fn still(State(app): State<Arc<App>>, Path(feature): Path<String>) -> Result<Response, Trouble> {
    check(&app, &feature)?;
    let picture = draw(app, feature).await?;
    Ok((
        [
            (header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        picture,
    )
        .into_response())
}

/// `GET /cameras/{feature}/stream.mjpeg`: parts of `multipart/x-mixed-replace`, drawn as the client takes them. Ends
/// when the camera falls silent.
pub(crate) async fn stream(State(app): State<Arc<App>>, Path(feature): Path<String>) -> Result<Response, Trouble> {
    check(&app, &feature)?;
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let parts = futures_util::stream::unfold((app, feature, frames), |(app, feature, mut frames)| async move {
        frames.tick().await;
        check(&app, &feature).ok()?;
        let picture = draw(app.clone(), feature.clone()).await.ok()?;
        let mut part =
            format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len()).into_bytes();
        part.extend_from_slice(&picture);
        part.extend_from_slice(b"\r\n");
        Some((Ok::<Bytes, std::convert::Infallible>(Bytes::from(part)), (app, feature, frames)))
    });
    let mut response = Response::new(Body::from_stream(parts));
    let kind = HeaderValue::from_static("multipart/x-mixed-replace; boundary=frame");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// # Errors
/// 404 for an id that is no camera, 503 for a camera that is offline.
fn check<'a>(app: &'a App, feature: &str) -> Result<&'a Station, Trouble> {
    let station = app.network.camera(feature).ok_or_else(|| Trouble::missing(format!("no camera {feature:?}")))?;
    if station.delivers(app.clock.now_ms()) {
        Ok(station)
    } else {
        Err(Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "CameraOffline", format!("camera {feature} is offline")))
    }
}

/// Off the server's threads: a picture takes milliseconds.
async fn draw(app: Arc<App>, feature: String) -> Result<Vec<u8>, Trouble> {
    let failed = |problem: String| Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "ServerError", problem);
    tokio::task::spawn_blocking(move || {
        let station = app.network.camera(&feature).ok_or_else(|| "no such camera".to_owned())?;
        let now = app.clock.now();
        let local = now.to_zoned_datetime(app.zone.clone());
        let is_noisy = station.status(now.as_millisecond().div_euclid(station.interval_ms)) == SensorStatus::Faulty;
        picture(&app.lettering, station.key, &station.name, &local, is_noisy).map_err(|error| error.to_string())
    })
    .await
    .map_err(|error| failed(error.to_string()))?
    .map_err(failed)
}

/// One picture as JPEG. The key decides the place, the local time the light and the traffic.
fn picture(
    lettering: &Lettering,
    key: u64,
    name: &str,
    local: &jiff::ZonedDateTime,
    is_noisy: bool,
) -> Result<Vec<u8>, jpeg_encoder::EncodingError> {
    let mut canvas = Canvas::new(WIDTH_PX, HEIGHT_PX);
    scene::paint(&mut canvas, key, local);
    if is_noisy {
        canvas.disturb(key ^ local.timestamp().as_millisecond().unsigned_abs());
    }
    text::overlay(&mut canvas, &lettering.0, name, local);
    let mut jpeg = Vec::with_capacity(48 * 1_024);
    let (width, height) = (u16::try_from(WIDTH_PX).unwrap_or(0), u16::try_from(HEIGHT_PX).unwrap_or(0));
    Encoder::new(&mut jpeg, JPEG_QUALITY).encode(canvas.rgb(), width, height, ColorType::Rgb)?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes pictures to look at into the folder named by PRACTICE_PICTURES.
    #[test]
    fn pictures_are_jpeg_and_follow_key_and_time() {
        let lettering = Lettering::load().unwrap();
        let at = |text: &str| text.parse::<jiff::ZonedDateTime>().unwrap();
        let day = at("2026-11-23T14:05:09+07:00[Asia/Ho_Chi_Minh]");
        let name = "Nút giao ĐT.782 – ĐT.784, Truông Mít – PTZ 2";
        let one = picture(&lettering, 1, name, &day, false).unwrap();
        assert!(one.starts_with(&[0xff, 0xd8, 0xff]) && one.ends_with(&[0xff, 0xd9]));
        // Start of frame: marker, length, 8 bits, height, width, three components.
        let frame = one.windows(4).position(|bytes| bytes == [0xff, 0xc0, 0x00, 0x11]).unwrap();
        assert_eq!(one[frame + 4..frame + 10], [8, 0x01, 0x68, 0x02, 0x80, 3]);
        assert_eq!(one, picture(&lettering, 1, name, &day, false).unwrap());
        assert_ne!(one, picture(&lettering, 2, name, &day, false).unwrap());
        assert_ne!(
            one,
            picture(&lettering, 1, name, &day.saturating_add(jiff::Span::new().seconds(1)), false).unwrap()
        );
        if let Ok(folder) = std::env::var("PRACTICE_PICTURES") {
            for (key, hour, noisy) in
                [(1, 14, false), (2, 6, false), (3, 18, false), (4, 22, false), (5, 10, true), (6, 12, false)]
            {
                let local = at(&format!("2026-11-23T{hour:02}:05:09+07:00[Asia/Ho_Chi_Minh]"));
                let started = std::time::Instant::now();
                let jpeg = picture(&lettering, key * 7919, name, &local, noisy).unwrap();
                println!("{hour} h: {:?}, {} bytes", started.elapsed(), jpeg.len());
                std::fs::write(format!("{folder}/still-{hour:02}.jpg"), jpeg).unwrap();
            }
        }
    }
}
