//! A street as a camera on a pole sees it: sky by the time of day, road, houses, trees, traffic.

use super::canvas::{Canvas, Rgb};
use super::objects;
use crate::noise::{between, join, unit};
use jiff::ZonedDateTime;

/// How the camera stands. Metres: x to the right, y up, z along the road; the camera is at x = 0, z = 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    height_m: f32,
    focal_px: f32,
    vanishing: [f32; 2],
    /// The road's middle, from the camera.
    pub road_m: f32,
}

/// Nothing nearer than this is drawn.
pub(super) const NEAR_M: f32 = 4.5;
pub(super) const FAR_M: f32 = 170.0;
/// Half the carriageway: two lanes each way of a provincial road.
pub(super) const HALF_ROAD_M: f32 = 5.6;
pub(super) const PAVEMENT_M: f32 = 9.0;

impl View {
    fn of(key: u64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        let part = |salt: u64, low: f64, high: f64| between(join(key, salt), low, high) as f32;
        Self {
            height_m: part(1, 5.2, 6.8),
            focal_px: part(2, 430.0, 520.0),
            vanishing: [part(3, 260.0, 380.0), part(4, 118.0, 142.0)],
            road_m: part(5, -2.5, 2.5),
        }
    }

    /// A point of the scene, in pixels.
    pub fn at(&self, [x, y, z]: [f32; 3]) -> [f32; 2] {
        let scale = self.focal_px / z.max(NEAR_M * 0.5);
        [self.vanishing[0] + (x + self.road_m) * scale, self.vanishing[1] + (self.height_m - y) * scale]
    }

    /// Pixels a metre at a distance.
    pub fn scale(&self, z: f32) -> f32 {
        self.focal_px / z.max(NEAR_M * 0.5)
    }

    pub fn horizon(&self) -> f32 {
        self.vanishing[1]
    }
}

/// Light at a time of day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Light {
    /// Multiplies what is lit by the sky.
    pub ambient: Rgb,
    pub zenith: Rgb,
    pub haze: Rgb,
    /// 0 by day, 1 at night: lamps and windows.
    pub lamps: f32,
}

impl Light {
    /// `hour` is local, with its fraction. The sun rises at about 5:50 and sets at about 17:50 all year.
    fn at(hour: f32) -> Self {
        let night =
            Self { ambient: Rgb(0.31, 0.34, 0.46), zenith: Rgb::hex(0x0a_1024), haze: Rgb::hex(0x23_2c48), lamps: 1.0 };
        let glow =
            Self { ambient: Rgb(0.72, 0.60, 0.58), zenith: Rgb::hex(0x4a_5f94), haze: Rgb::hex(0xf0_a870), lamps: 0.6 };
        let day =
            Self { ambient: Rgb(1.0, 0.99, 0.96), zenith: Rgb::hex(0x5b_9bd8), haze: Rgb::hex(0xd9_e6ee), lamps: 0.0 };
        let step = |x: f32, from: f32, to: f32| ((x - from) / (to - from)).clamp(0.0, 1.0);
        // Hours from the nearer end of the day; negative at night.
        let sun = (hour - 5.8).min(17.8 - hour);
        if sun < 0.1 { night.mix(glow, step(sun, -0.7, 0.1)) } else { glow.mix(day, step(sun, 0.1, 1.3)) }
    }

    fn mix(self, other: Self, share: f32) -> Self {
        Self {
            ambient: self.ambient.mix(other.ambient, share),
            zenith: self.zenith.mix(other.zenith, share),
            haze: self.haze.mix(other.haze, share),
            lamps: self.lamps + (other.lamps - self.lamps) * share,
        }
    }

    /// A surface's colour at a distance: lit, and paler with the air between.
    pub fn on(&self, color: Rgb, z: f32) -> Rgb {
        color.lit(self.ambient).mix(self.haze, (z / 320.0).clamp(0.0, 0.55))
    }
}

/// Paints the whole scene. The key decides the place, the time the light and where the traffic is.
pub(super) fn paint(canvas: &mut Canvas, key: u64, local: &ZonedDateTime) {
    let view = View::of(key);
    let seconds = f32::from(local.hour()) * 3_600.0 + f32::from(local.minute()) * 60.0 + f32::from(local.second());
    let light = Light::at(seconds / 3_600.0);
    sky(canvas, &view, &light, key, seconds);
    ground(canvas, &view, &light, key);
    objects::standing(canvas, &view, &light, key);
    #[allow(clippy::cast_precision_loss)]
    let part = local.subsec_nanosecond() as f64 / 1e9;
    #[allow(clippy::cast_precision_loss)] // seconds of this epoch are exact in a double
    objects::traffic(canvas, &view, &light, key, local.timestamp().as_second() as f64 + part);
}

fn sky(canvas: &mut Canvas, view: &View, light: &Light, key: u64, seconds: f32) {
    let (width, _) = canvas.size();
    let horizon = view.horizon();
    canvas.gradient(0.0, horizon + 2.0, light.zenith, light.haze);
    // Clouds drift from west to east in the course of the day.
    let cloud = light.haze.mix(Rgb::hex(0xff_ffff).lit(light.ambient), 0.7);
    for number in 0..7_u64 {
        #[allow(clippy::cast_possible_truncation)]
        let part = |salt: u64, low: f64, high: f64| between(join(join(key, 40 + number), salt), low, high) as f32;
        let x = (part(1, 0.0, 900.0) + seconds * part(2, 0.02, 0.05)).rem_euclid(width + 260.0) - 130.0;
        let (y, size) = (part(3, 8.0, 0.6 * f64::from(horizon)), part(4, 26.0, 60.0));
        for puff in 0..4_u8 {
            let shift = f32::from(puff) - 1.5;
            canvas.ellipse(x + shift * size * 0.55, y, size * 0.6, size * 0.15, cloud, 0.22 - 0.14 * light.lamps);
        }
    }
    // Far trees and roofs close the view.
    let far = light.on(Rgb::hex(0x4f_6b4c), 150.0);
    let mut x = -20.0;
    let mut number = 0_u64;
    while x < width + 30.0 {
        let chance = join(join(key, 60), number);
        #[allow(clippy::cast_possible_truncation)]
        let (wide, tall) = (between(chance, 16.0, 46.0) as f32, between(join(chance, 1), 6.0, 17.0) as f32);
        canvas.ellipse(x, horizon + 1.0, wide * 0.8, tall, far, 1.0);
        x += wide * 0.7;
        number += 1;
    }
}

fn ground(canvas: &mut Canvas, view: &View, light: &Light, key: u64) {
    let (_, height) = canvas.size();
    let horizon = view.horizon();
    let verge = if unit(join(key, 7)) < 0.5 { Rgb::hex(0x7d_9157) } else { Rgb::hex(0xa8_9878) };
    canvas.gradient(horizon, height, light.on(verge, FAR_M), light.on(verge, 5.0));
    let near = NEAR_M;
    let flat = |canvas: &mut Canvas, from_x: f32, to_x: f32, from_z: f32, to_z: f32, color: Rgb| {
        let points = [
            view.at([from_x, 0.0, from_z]),
            view.at([to_x, 0.0, from_z]),
            view.at([to_x, 0.0, to_z]),
            view.at([from_x, 0.0, to_z]),
        ];
        canvas.polygon(&points, color, 1.0);
    };
    // In slices, so that the haze grows with the distance.
    let slices = [near, 9.0, 14.0, 22.0, 34.0, 52.0, 80.0, 120.0, FAR_M, 600.0];
    for pair in slices.windows(2).rev() {
        // Overlapping a little: two soft edges on one line would let the ground shine through.
        let (from, to) = (pair[0], pair[1] * 1.03);
        let middle = f32::midpoint(from, to.min(FAR_M));
        let pavement = light.on(Rgb::hex(0xb9_aea0), middle);
        flat(canvas, -PAVEMENT_M, -HALF_ROAD_M, from, to, pavement);
        flat(canvas, HALF_ROAD_M, PAVEMENT_M, from, to, pavement);
        flat(canvas, -HALF_ROAD_M, HALF_ROAD_M, from, to, light.on(Rgb::hex(0x5a_5c60), middle));
    }
    // Kerbs painted red and white would be a crossing's; here a plain light edge, a solid side line, dashes between.
    let paint = |z: f32| light.on(Rgb::hex(0xee_ece4), z);
    for side in [-1.0_f32, 1.0] {
        for pair in slices.windows(2) {
            let middle = f32::midpoint(pair[0], pair[1].min(FAR_M));
            let edge = side * HALF_ROAD_M;
            flat(canvas, edge - 0.12, edge + 0.12, pair[0], pair[1], light.on(Rgb::hex(0xd6_d0c4), middle));
            let line = side * (HALF_ROAD_M - 0.55);
            flat(canvas, line - 0.07, line + 0.07, pair[0], pair[1], paint(middle));
        }
    }
    let mut z = near - 3.0;
    while z < 130.0 {
        flat(canvas, -0.09, 0.09, z.max(near * 0.6), z + 3.0, light.on(Rgb::hex(0xf2_d24a), z));
        z += 7.0;
    }
    if unit(join(key, 8)) < 0.45 {
        #[allow(clippy::cast_possible_truncation)]
        let at = between(join(key, 9), 11.0, 17.0) as f32;
        for stripe in -5..5_i8 {
            let x = f32::from(stripe) * 1.1;
            flat(canvas, x + 0.25, x + 0.85, at, at + 3.2, paint(at));
        }
    }
}
