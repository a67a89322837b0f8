//! The overlay: camera, practice clock, and that it is practice.

use super::canvas::{Canvas, Rgb};
use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

const STRIP_PX: f32 = 30.0;
const TEXT_PX: f32 = 19.0;
const MARK: &str = "DỮ LIỆU THỰC HÀNH";

/// Draws the strip at the foot and the mark at the head.
pub(super) fn overlay(canvas: &mut Canvas, font: &FontRef<'_>, name: &str, local: &jiff::ZonedDateTime) {
    let (width, height) = canvas.size();
    let clock = local.strftime("%d/%m/%Y %H:%M:%S").to_string();
    let dark = Rgb::hex(0x0b_1420);
    let strip = height - STRIP_PX;
    canvas.polygon(&[[0.0, strip], [width, strip], [width, height], [0.0, height]], dark, 0.72);
    let white = Rgb::hex(0xff_ffff);
    let baseline = height - 9.5;
    let clock_width = advance(font, &clock, TEXT_PX);
    write(canvas, font, &clock, width - 12.0 - clock_width, baseline, TEXT_PX, white);
    let name = fitted(font, name, width - 40.0 - clock_width, TEXT_PX);
    write(canvas, font, &name, 12.0, baseline, TEXT_PX, white);

    let mark_px = 16.0;
    let mark_width = advance(font, MARK, mark_px) + 20.0;
    let (left, right) = (width - 12.0 - mark_width, width - 12.0);
    canvas.polygon(&[[left, 10.0], [right, 10.0], [right, 35.0], [left, 35.0]], Rgb::hex(0xff_b02e), 0.95);
    write(canvas, font, MARK, left + 10.0, 28.0, mark_px, dark);
}

fn advance(font: &FontRef<'_>, text: &str, size_px: f32) -> f32 {
    let font = font.as_scaled(PxScale::from(size_px));
    text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
}

/// The text, cut with an ellipsis to a width.
fn fitted(font: &FontRef<'_>, text: &str, width_px: f32, size_px: f32) -> String {
    let mut text = text.to_owned();
    if advance(font, &text, size_px) <= width_px {
        return text;
    }
    while !text.is_empty() && advance(font, &format!("{text}…"), size_px) > width_px {
        text.pop();
    }
    format!("{}…", text.trim_end())
}

/// Writes from `x` on with the letters standing on `baseline`, px.
fn write(canvas: &mut Canvas, font: &FontRef<'_>, text: &str, x: f32, baseline: f32, size_px: f32, color: Rgb) {
    let scaled = font.as_scaled(PxScale::from(size_px));
    let mut at = x;
    for c in text.chars() {
        let id = scaled.glyph_id(c);
        let glyph = id.with_scale_and_position(PxScale::from(size_px), point(at, baseline));
        at += scaled.h_advance(id);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the strip lies within the canvas
        outline.draw(|dx, dy, coverage| {
            let (px, py) = (bounds.min.x + dx as f32, bounds.min.y + dy as f32);
            if px >= 0.0 && py >= 0.0 {
                canvas.blend(px as usize, py as usize, color, coverage);
            }
        });
    }
}
