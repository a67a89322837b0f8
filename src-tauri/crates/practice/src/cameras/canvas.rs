//! A small software canvas: antialiased polygons, gradients, glyph masks. RGB, 8 bits a channel.

use crate::noise::{join, unit};

/// Red, green, blue from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rgb(pub f32, pub f32, pub f32);

impl Rgb {
    /// `0xRRGGBB`.
    pub fn hex(code: u32) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let part = |shift: u32| ((code >> shift) & 0xff) as f32 / 255.0;
        Self(part(16), part(8), part(0))
    }

    pub fn mix(self, other: Self, share: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * share;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// Channel by channel: a surface in a light.
    pub fn lit(self, light: Self) -> Self {
        Self(self.0 * light.0, self.1 * light.1, self.2 * light.2)
    }

    pub fn shade(self, factor: f32) -> Self {
        self.lit(Self(factor, factor, factor))
    }
}

/// Vertical samples a pixel; horizontally coverage is exact.
const SUBROWS: usize = 4;

pub(crate) struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    /// Coverage of the row being filled.
    row: Vec<f32>,
    crossings: Vec<f32>,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturating, and clamped
fn byte(value: f32) -> u8 {
    (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![0; width * height * 3], row: vec![0.0; width], crossings: Vec::new() }
    }

    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    #[allow(clippy::cast_precision_loss)]
    pub fn size(&self) -> (f32, f32) {
        (self.width as f32, self.height as f32)
    }

    /// Lays a colour over one pixel; outside of the canvas nothing happens.
    pub fn blend(&mut self, x: usize, y: usize, color: Rgb, alpha: f32) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        if let Some(pixel) = self.rgb.get_mut(at..at + 3) {
            for (channel, value) in pixel.iter_mut().zip([color.0, color.1, color.2]) {
                let below = f32::from(*channel) / 255.0;
                *channel = byte(below + (value - below) * alpha.clamp(0.0, 1.0));
            }
        }
    }

    /// Fills rows `from` to `to` (px) with a vertical gradient.
    pub fn gradient(&mut self, from: f32, to: f32, top: Rgb, bottom: Rgb) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (first, last) = (from.max(0.0) as usize, (to.max(0.0).ceil() as usize).min(self.height));
        for y in first..last {
            #[allow(clippy::cast_precision_loss)]
            let share = ((y as f32 - from) / (to - from).max(1.0)).clamp(0.0, 1.0);
            let color = top.mix(bottom, share);
            let pixel = [byte(color.0), byte(color.1), byte(color.2)];
            for place in self.rgb[y * self.width * 3..(y + 1) * self.width * 3].chunks_exact_mut(3) {
                place.copy_from_slice(&pixel);
            }
        }
    }

    /// Fills a polygon (even-odd), coordinates in pixels, edges antialiased.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn polygon(&mut self, points: &[[f32; 2]], color: Rgb, alpha: f32) {
        let top = points.iter().map(|p| p[1]).fold(f32::INFINITY, f32::min).max(0.0);
        let bottom = points.iter().map(|p| p[1]).fold(f32::NEG_INFINITY, f32::max).min(self.height as f32);
        let left = points.iter().map(|p| p[0]).fold(f32::INFINITY, f32::min).max(0.0);
        let right = points.iter().map(|p| p[0]).fold(f32::NEG_INFINITY, f32::max).min(self.width as f32);
        if top.is_nan() || left.is_nan() || top >= bottom || left >= right {
            return;
        }
        let (first_px, last_px) = (left as usize, (right.ceil() as usize).min(self.width));
        for y in top as usize..(bottom.ceil() as usize).min(self.height) {
            self.row[first_px..last_px].fill(0.0);
            for sub in 0..SUBROWS {
                let line = y as f32 + (sub as f32 + 0.5) / SUBROWS as f32;
                self.crossings.clear();
                for i in 0..points.len() {
                    let ([x0, y0], [x1, y1]) = (points[i], points[(i + 1) % points.len()]);
                    if (y0 <= line) != (y1 <= line) {
                        self.crossings.push(x0 + (line - y0) / (y1 - y0) * (x1 - x0));
                    }
                }
                self.crossings.sort_by(f32::total_cmp);
                for pair in self.crossings.chunks_exact(2) {
                    cover(&mut self.row, pair[0].clamp(left, right), pair[1].clamp(left, right));
                }
            }
            for x in first_px..last_px {
                let coverage = self.row[x] / SUBROWS as f32;
                if coverage > 0.0 {
                    self.blend(x, y, color, coverage * alpha);
                }
            }
        }
    }

    /// An ellipse around (x, y).
    pub fn ellipse(&mut self, x: f32, y: f32, rx: f32, ry: f32, color: Rgb, alpha: f32) {
        const SIDES: usize = 20;
        #[allow(clippy::cast_precision_loss)]
        let points: [[f32; 2]; SIDES] = std::array::from_fn(|i| {
            let angle = i as f32 / SIDES as f32 * std::f32::consts::TAU;
            [x + rx * angle.cos(), y + ry * angle.sin()]
        });
        self.polygon(&points, color, alpha);
    }

    /// A soft round light: brightest in the middle, nothing at the radius (px).
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn glow(&mut self, x: f32, y: f32, radius: f32, color: Rgb, strength: f32) {
        let span = |middle: f32, end: usize| {
            ((middle - radius).max(0.0) as usize).min(end)..((middle + radius).max(0.0).ceil() as usize).min(end)
        };
        for py in span(y, self.height) {
            for px in span(x, self.width) {
                let (dx, dy) = (px as f32 + 0.5 - x, py as f32 + 0.5 - y);
                let share = 1.0 - (dx * dx + dy * dy) / (radius * radius);
                if share > 0.0 {
                    self.blend(px, py, color, share * share * share * strength);
                }
            }
        }
    }

    /// What a broken camera sends: torn rows and snow.
    pub fn disturb(&mut self, key: u64) {
        for y in 0..self.height {
            let chance = unit(join(key, (y / 6) as u64));
            if chance < 0.12 {
                let row = &mut self.rgb[y * self.width * 3..(y + 1) * self.width * 3];
                row.rotate_left(3 * (40 + y % 50));
            }
            if chance > 0.9 {
                for x in 0..self.width {
                    #[allow(clippy::cast_possible_truncation)]
                    let snow = unit(join(key, (y * self.width + x) as u64)) as f32;
                    self.blend(x, y, Rgb(snow, snow, snow), 0.5);
                }
            }
        }
    }
}

/// Adds the coverage of a span on one sample line.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn cover(row: &mut [f32], from: f32, to: f32) {
    if to <= from || row.is_empty() {
        return;
    }
    let last = row.len() - 1;
    let (a, b) = ((from as usize).min(last), (to as usize).min(last));
    if a == b {
        row[a] += to - from;
        return;
    }
    row[a] += (a + 1) as f32 - from;
    for coverage in &mut row[a + 1..b] {
        *coverage += 1.0;
    }
    row[b] += (to - b as f32).min(1.0);
}
