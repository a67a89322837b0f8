//! What stands and moves along the street, painted from far to near.

use super::canvas::{Canvas, Rgb};
use super::scene::{FAR_M, HALF_ROAD_M, Light, NEAR_M, PAVEMENT_M, View};
use crate::noise::{between, join, mix, unit};

/// Facades of Vietnamese tube houses.
const FACADES: [u32; 9] =
    [0xe8_d9b5, 0xf1_e9da, 0xc9_dde0, 0xe3_b98e, 0xb7_cfae, 0xe9_c7c0, 0xd8_d3e6, 0xf0_dc9a, 0xcf_c9bd];
const SIGNS: [u32; 6] = [0xc8_2f2a, 0x1f_5fae, 0x1f_8a55, 0xe2_8a1d, 0x6a_3d9a, 0x0f_7f8c];
const CARS: [u32; 7] = [0xf2_f2f0, 0x2b_2e33, 0x9a_a0a6, 0xb0_2a2a, 0x27_4c86, 0xd8_d8d2, 0x6b_7a4a];
const SHIRTS: [u32; 6] = [0x2f_5d9b, 0xb8_3b3b, 0x3f_7a52, 0xe0_e0da, 0x44_4a52, 0xd8_8a2d];

#[allow(clippy::cast_possible_truncation)]
fn part(key: u64, low: f64, high: f64) -> f32 {
    between(key, low, high) as f32
}

fn pick(from: &[u32], key: u64) -> Rgb {
    let index = usize::try_from(mix(key) % from.len().max(1) as u64).unwrap_or(0);
    Rgb::hex(from.get(index).copied().unwrap_or(0x80_8080))
}

/// Houses, trees and lamps on both sides.
pub(super) fn standing(canvas: &mut Canvas, view: &View, light: &Light, key: u64) {
    for side in [-1.0_f32, 1.0] {
        let side_key = join(key, if side < 0.0 { 100 } else { 200 });
        // Plots along the road, laid from near to far, painted from far to near.
        let mut plots = Vec::new();
        let (mut z, mut number) = (2.5_f32, 0_u64);
        while z < FAR_M {
            let plot = join(side_key, number);
            let depth = part(join(plot, 1), 4.5, 8.5);
            plots.push((z, depth, plot));
            z += depth + if unit(join(plot, 2)) < 0.3 { part(join(plot, 3), 3.0, 9.0) } else { 0.15 };
            number += 1;
        }
        for (z, depth, plot) in plots.into_iter().rev() {
            if unit(join(plot, 4)) < 0.82 {
                house(canvas, view, light, side, z, depth, plot);
            } else {
                tree(
                    canvas,
                    view,
                    light,
                    side * (PAVEMENT_M + 3.0),
                    z + depth / 2.0,
                    part(join(plot, 5), 5.0, 8.5),
                    plot,
                );
            }
        }
    }
    // Street trees and lamps, both sides together so that near covers far.
    let mut number = 30_i8;
    while number >= 0 {
        let slot = join(key, 300 + number.unsigned_abs() as u64);
        let z = 8.0 + f32::from(number) * 5.5;
        let side = if number % 2 == 0 { -1.0 } else { 1.0 };
        if number % 4 == 1 {
            lamp(canvas, view, light, side * (HALF_ROAD_M + 0.7), z);
        } else if unit(slot) < 0.55 && z > 13.0 {
            tree(canvas, view, light, side * (HALF_ROAD_M + 1.9), z, part(join(slot, 1), 3.6, 5.6), slot);
        }
        number -= 1;
    }
}

/// A wall along the road (x fixed) from z0 to z1, between two heights.
fn wall(view: &View, x: f32, (z0, z1): (f32, f32), (low, high): (f32, f32)) -> [[f32; 2]; 4] {
    [view.at([x, low, z0]), view.at([x, low, z1]), view.at([x, high, z1]), view.at([x, high, z0])]
}

fn house(canvas: &mut Canvas, view: &View, light: &Light, side: f32, z: f32, depth: f32, key: u64) {
    let from = z.max(NEAR_M);
    let to = z + depth;
    if to <= from {
        return;
    }
    let storeys = 1 + mix(join(key, 6)) % 4;
    #[allow(clippy::cast_precision_loss)]
    let height = 0.5 + 3.4 * storeys as f32;
    let x = side * PAVEMENT_M;
    let back = side * (PAVEMENT_M + 14.0);
    let color = pick(&FACADES, join(key, 7));
    // The gable towards the camera, then the street front.
    let gable = [
        view.at([x, 0.0, from]),
        view.at([back, 0.0, from]),
        view.at([back, height, from]),
        view.at([x, height, from]),
    ];
    canvas.polygon(&gable, light.on(color.shade(0.72), from), 1.0);
    canvas.polygon(&wall(view, x, (from, to), (0.0, height)), light.on(color.shade(0.93), to), 1.0);
    let lit = |chance: u64| light.lamps > 0.3 && unit(chance) < 0.6;
    let glass = light.on(Rgb::hex(0x3a_4a58), to);
    let warm = Rgb::hex(0xff_d488);
    // Ground floor: a rolling shutter or an open shop, a sign above it.
    let shop = join(key, 8);
    let opening = if lit(shop) { warm } else { light.on(Rgb::hex(0x6d_7074), to) };
    let inner = (from.max(z + 0.5), to - 0.5);
    if inner.1 > inner.0 {
        canvas.polygon(&wall(view, x, inner, (0.1, 2.6)), opening, 0.95);
        if unit(join(key, 9)) < 0.75 {
            let sign = pick(&SIGNS, join(key, 10)).mix(warm, 0.35 * light.lamps);
            let lamp_lit = sign.lit(light.ambient.mix(Rgb(1.0, 1.0, 1.0), 0.7 * light.lamps));
            canvas.polygon(&wall(view, x - side * 0.25, inner, (2.8, 3.5)), lamp_lit, 1.0);
            let stripe = (inner.0 + (inner.1 - inner.0) * 0.15, inner.0 + (inner.1 - inner.0) * 0.8);
            canvas.polygon(&wall(view, x - side * 0.26, stripe, (3.05, 3.25)), Rgb::hex(0xff_fff0), 0.85);
        }
    }
    for floor in 1..storeys {
        #[allow(clippy::cast_precision_loss)]
        let base = 0.5 + 3.4 * floor as f32;
        canvas.polygon(
            &wall(view, x - side * 0.35, (from, to), (base - 0.15, base + 0.1)),
            light.on(color.shade(0.78), to),
            1.0,
        );
        for window in 0..2_u8 {
            let start = z + depth * (0.14 + 0.42 * f32::from(window));
            let (a, b) = (start.max(from), start + depth * 0.28);
            if b <= a {
                continue;
            }
            let chance = join(join(key, floor), u64::from(window) + 20);
            canvas.polygon(
                &wall(view, x, (a, b), (base + 0.7, base + 2.4)),
                if lit(chance) { warm } else { glass },
                0.95,
            );
        }
    }
    // Roof edge, or a tin roof on the low ones.
    let roof = if storeys < 2 { Rgb::hex(0xa3_4f3a) } else { color.shade(0.65) };
    canvas.polygon(&wall(view, x - side * 0.3, (from, to), (height - 0.25, height + 0.15)), light.on(roof, to), 1.0);
}

fn tree(canvas: &mut Canvas, view: &View, light: &Light, x: f32, z: f32, height: f32, key: u64) {
    let foot = view.at([x, 0.0, z]);
    let scale = view.scale(z);
    let trunk = 0.13 * scale;
    let crown = foot[1] - height * 0.68 * scale;
    let bark = light.on(Rgb::hex(0x5e_4a36), z);
    canvas.ellipse(foot[0], foot[1], 0.9 * scale, 0.16 * scale, Rgb(0.0, 0.0, 0.0), 0.22);
    let points = [
        [foot[0] - trunk, foot[1]],
        [foot[0] + trunk, foot[1]],
        [foot[0] + trunk * 0.7, crown],
        [foot[0] - trunk * 0.7, crown],
    ];
    canvas.polygon(&points, bark, 1.0);
    let leaf = light.on(Rgb::hex(0x3d_6b35).mix(Rgb::hex(0x6f_8f3a), part(join(key, 11), 0.0, 0.8)), z);
    for puff in 0..7_u8 {
        let chance = join(key, 30 + u64::from(puff));
        let (dx, dy) = (part(chance, -0.26, 0.26) * height * scale, part(join(chance, 1), -0.2, 0.17) * height * scale);
        let size = part(join(chance, 2), 0.15, 0.23) * height * scale;
        // Lighter above, darker below.
        let shade = 1.08 - dy / (height * scale) * 0.9 - f32::from(puff % 2) * 0.08;
        canvas.ellipse(foot[0] + dx, crown + dy, size, size * 0.85, leaf.shade(shade.clamp(0.75, 1.25)), 0.96);
    }
}

fn lamp(canvas: &mut Canvas, view: &View, light: &Light, x: f32, z: f32) {
    let scale = view.scale(z);
    let (foot, top) = (view.at([x, 0.0, z]), view.at([x, 7.6, z]));
    let pole = (0.07 * scale).max(0.6);
    let steel = light.on(Rgb::hex(0x7c_8288), z);
    canvas.polygon(
        &[
            [foot[0] - pole, foot[1]],
            [foot[0] + pole, foot[1]],
            [top[0] + pole * 0.6, top[1]],
            [top[0] - pole * 0.6, top[1]],
        ],
        steel,
        1.0,
    );
    let head = view.at([x - x.signum() * 1.7, 7.9, z]);
    canvas.polygon(
        &[[top[0], top[1]], [head[0], head[1]], [head[0], head[1] + pole * 1.4], [top[0], top[1] + pole * 1.4]],
        steel,
        1.0,
    );
    if light.lamps > 0.2 {
        canvas.glow(head[0], head[1], (0.9 * scale).min(46.0), Rgb::hex(0xff_e2a0), light.lamps);
        let pool = view.at([x - x.signum() * 1.7, 0.0, z]);
        canvas.ellipse(pool[0], pool[1], 3.0 * scale, 0.5 * scale, Rgb::hex(0xff_e2a0), 0.10 * light.lamps);
    }
}

/// Vehicles, each running its own round at its own speed; right-hand traffic.
pub(super) fn traffic(canvas: &mut Canvas, view: &View, light: &Light, key: u64, unix_secs: f64) {
    const ROUND_M: f64 = 190.0;
    let mut vehicles: Vec<(f32, u64)> = (0..13_u64)
        .map(|number| {
            let one = join(key, 500 + number);
            let speed_m_s = between(join(one, 1), 7.0, 13.5);
            let along = (between(join(one, 2), 0.0, ROUND_M) + speed_m_s * unix_secs).rem_euclid(ROUND_M);
            // Even ones drive away from the camera, odd ones towards it.
            #[allow(clippy::cast_possible_truncation)]
            let z = if number % 2 == 0 { along } else { ROUND_M - along } as f32;
            (z, one.wrapping_shl(1) | (number % 2))
        })
        .collect();
    vehicles.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (z, vehicle) in vehicles {
        if !(NEAR_M + 2.0..FAR_M).contains(&z) {
            continue;
        }
        let oncoming = vehicle & 1 == 1;
        let side = if oncoming { -1.0 } else { 1.0 };
        // Three of five are motorbikes, on the outer half of the lane.
        if unit(join(vehicle, 3)) < 0.6 {
            motorbike(canvas, view, light, side * part(join(vehicle, 4), 3.2, 4.8), z, oncoming, vehicle);
        } else {
            car(canvas, view, light, side * part(join(vehicle, 4), 1.7, 2.6), z, oncoming, vehicle);
        }
    }
}

/// The end of a box that faces the camera, at z.
fn front(view: &View, x: f32, half: f32, z: f32, (low, high): (f32, f32)) -> [[f32; 2]; 4] {
    [
        view.at([x - half, low, z]),
        view.at([x + half, low, z]),
        view.at([x + half, high, z]),
        view.at([x - half, high, z]),
    ]
}

fn top(view: &View, x: f32, half: f32, (z0, z1): (f32, f32), y: f32) -> [[f32; 2]; 4] {
    [view.at([x - half, y, z0]), view.at([x + half, y, z0]), view.at([x + half, y, z1]), view.at([x - half, y, z1])]
}

fn car(canvas: &mut Canvas, view: &View, light: &Light, x: f32, z: f32, oncoming: bool, key: u64) {
    let truck = unit(join(key, 5)) < 0.25;
    let (half, long, tall) = if truck { (1.05, 6.5, 2.7) } else { (0.88, 4.2, 1.45) };
    let color = pick(&CARS, join(key, 6));
    let end = z + long;
    let inner = if x + view.road_m > 0.0 { x - half } else { x + half };
    canvas.polygon(&top(view, x, half * 1.12, (z - 0.1, end + 0.1), 0.02), Rgb(0.0, 0.0, 0.0), 0.35);
    let glass = light.on(Rgb::hex(0x2c_3844), z);
    let body = if truck { tall } else { 0.9 };
    canvas.polygon(&wall(view, inner, (z, end), (0.3, body)), light.on(color.shade(0.78), z), 1.0);
    canvas.polygon(&top(view, x, half, (z, end), body), light.on(color.shade(1.04), z), 1.0);
    if !truck {
        let cabin = (z + long * 0.22, z + long * 0.82);
        let cabin_x = if x + view.road_m > 0.0 { x - half * 0.82 } else { x + half * 0.82 };
        canvas.polygon(&wall(view, cabin_x, cabin, (0.9, tall)), glass, 1.0);
        canvas.polygon(&front(view, x, half * 0.8, cabin.0, (0.9, tall)), glass, 1.0);
        canvas.polygon(&top(view, x, half * 0.8, cabin, tall), light.on(color, z), 1.0);
    }
    canvas.polygon(&front(view, x, half, z, (0.3, body)), light.on(color.shade(0.9), z), 1.0);
    if truck {
        canvas.polygon(
            &front(view, x, half * 0.86, z - 0.01, (1.5, 2.3)),
            if oncoming { glass } else { light.on(color.shade(0.7), z) },
            1.0,
        );
    }
    // Wheels, number plate, lights.
    for wheel in [-0.72, 0.72] {
        canvas.polygon(&front(view, x + wheel * half, 0.14, z, (0.0, 0.38)), Rgb::hex(0x18_1a1c), 1.0);
    }
    canvas.polygon(&front(view, x, 0.26, z - 0.02, (0.42, 0.56)), light.on(Rgb::hex(0xf4_f4ee), z), 1.0);
    let (lens, reach) = if oncoming { (Rgb::hex(0xff_f6d8), 0.75) } else { (Rgb::hex(0xd8_2020), 0.3) };
    for side in [-0.7, 0.7] {
        let at = view.at([x + side * half, 0.68, z]);
        let size = 0.13 * view.scale(z);
        canvas.ellipse(
            at[0],
            at[1],
            size,
            size * 0.7,
            lens.lit(light.ambient.mix(Rgb(1.0, 1.0, 1.0), 0.5 + 0.5 * light.lamps)),
            1.0,
        );
        if light.lamps > 0.2 {
            canvas.glow(at[0], at[1], reach * view.scale(z), lens, 0.55 * light.lamps);
        }
    }
}

fn motorbike(canvas: &mut Canvas, view: &View, light: &Light, x: f32, z: f32, oncoming: bool, key: u64) {
    let scale = view.scale(z);
    let foot = view.at([x, 0.0, z]);
    let at = |dx: f32, y: f32| [foot[0] + dx * scale, foot[1] - y * scale];
    let shirt = light.on(pick(&SHIRTS, join(key, 7)), z);
    canvas.ellipse(foot[0], foot[1], 0.5 * scale, 0.12 * scale, Rgb(0.0, 0.0, 0.0), 0.35);
    // Wheel, body of the bike, legs, trunk, arms, helmet.
    canvas.polygon(&[at(-0.07, 0.0), at(0.07, 0.0), at(0.07, 0.6), at(-0.07, 0.6)], Rgb::hex(0x16_181a), 1.0);
    let bike = light.on(pick(&CARS, join(key, 8)).shade(0.85), z);
    canvas.polygon(&[at(-0.2, 0.35), at(0.2, 0.35), at(0.16, 0.95), at(-0.16, 0.95)], bike, 1.0);
    let legs = light.on(Rgb::hex(0x2a_3040), z);
    canvas.polygon(&[at(-0.34, 0.3), at(-0.18, 0.28), at(-0.1, 0.95), at(-0.25, 0.95)], legs, 1.0);
    canvas.polygon(&[at(0.34, 0.3), at(0.18, 0.28), at(0.1, 0.95), at(0.25, 0.95)], legs, 1.0);
    canvas.polygon(&[at(-0.24, 0.85), at(0.24, 0.85), at(0.22, 1.45), at(-0.22, 1.45)], shirt, 1.0);
    canvas.polygon(&[at(-0.42, 1.0), at(-0.34, 0.94), at(-0.16, 1.4), at(-0.24, 1.44)], shirt, 1.0);
    canvas.polygon(&[at(0.42, 1.0), at(0.34, 0.94), at(0.16, 1.4), at(0.24, 1.44)], shirt, 1.0);
    let head = at(0.0, 1.6);
    if oncoming {
        canvas.ellipse(
            head[0],
            head[1] + 0.04 * scale,
            0.11 * scale,
            0.13 * scale,
            light.on(Rgb::hex(0xc8_9878), z),
            1.0,
        );
    }
    let helmet = light.on(pick(&SIGNS, join(key, 9)), z);
    canvas.ellipse(head[0], head[1] - 0.05 * scale, 0.15 * scale, 0.13 * scale, helmet, 1.0);
    let lens = if oncoming { Rgb::hex(0xff_f6d8) } else { Rgb::hex(0xd8_2020) };
    let lamp = at(0.0, 0.82);
    canvas.ellipse(
        lamp[0],
        lamp[1],
        0.07 * scale,
        0.06 * scale,
        lens.lit(light.ambient.mix(Rgb(1.0, 1.0, 1.0), 0.5 + 0.5 * light.lamps)),
        1.0,
    );
    if light.lamps > 0.2 {
        canvas.glow(lamp[0], lamp[1], if oncoming { 0.6 } else { 0.25 } * scale, lens, 0.6 * light.lamps);
    }
}
