//! A picture of the window under X11, for `make run` on a machine without a display and for the README.

use desk::Desk;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tauri::AppHandle;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, ImageFormat};

/// A window that shows no live map within this has failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// Fonts, fades and the last tiles.
const SETTLE: Duration = Duration::from_millis(2_500);

/// Waits for the window's word that its map is live, takes the picture, and ends the app.
pub fn when_ready(app: AppHandle, desk: Arc<Desk>, path: PathBuf) {
    tauri::async_runtime::spawn(async move {
        let mut ready = desk.ready();
        let live = tokio::time::timeout(PATIENCE, ready.wait_for(Option::is_some)).await;
        let Ok(Ok(live)) = live.map(|live| live.map(|live| *live)) else {
            crate::opening::complain("--screenshot: the map did not become live within 90 s");
            app.exit(1);
            return;
        };
        tokio::time::sleep(SETTLE).await;
        let (figures, live) = (desk.tile_figures(), live.unwrap_or(0));
        match take(&path) {
            Ok((width, height)) => {
                crate::opening::complain(&format!(
                    "{} written, {width} × {height}; {live} live values, {} tiles in {} ms of work",
                    path.display(),
                    figures.made,
                    figures.micros / 1_000
                ));
                app.exit(0);
            }
            Err(error) => {
                crate::opening::complain(&format!("--screenshot {}: {error}", path.display()));
                app.exit(1);
            }
        }
    });
}

/// Writes the whole screen as PNG: under a virtual screen the window is all there is.
fn take(path: &Path) -> Result<(u16, u16), Box<dyn std::error::Error>> {
    let (connection, screen) = x11rb::connect(None)?;
    let screen = &connection.setup().roots[screen];
    let (width, height) = (screen.width_in_pixels, screen.height_in_pixels);
    let image = connection.get_image(ImageFormat::Z_PIXMAP, screen.root, 0, 0, width, height, u32::MAX)?.reply()?;
    if image.data.len() != usize::from(width) * usize::from(height) * 4 {
        return Err(format!("the screen has depth {}, not 24", image.depth).into());
    }
    let rgb: Vec<u8> = image.data.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut encoder = png::Encoder::new(std::fs::File::create(path)?, u32::from(width), u32::from(height));
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&rgb)?;
    Ok((width, height))
}
