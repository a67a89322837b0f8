//! One entity as its groups come in, and its shape.

use geo_types::{Coord, Geometry, LineString, Point, Polygon};

/// Chords of a full circle: their middles are off by 0.04 % of the radius.
const CHORDS: f64 = 72.0;
/// Arcs of one polyline: their chords take much more memory than the file does.
const MAX_ARCS: usize = 100_000;
const MAX_TEXT_BYTES: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Entity {
    pub(super) kind: Vec<u8>,
    pub(super) layer: Vec<u8>,
    pub(super) handle: Vec<u8>,
    pub(super) text: Vec<u8>,
    pub(super) bytes: usize,
    corners: Vec<Corner>,
    end: Coord<f64>,
    radius: f64,
    angles: [f64; 2],
    flags: i64,
    /// Drawn on the back of the plane: x runs the other way.
    mirrored: bool,
    /// The entity's own part is over, and corners of a polyline follow.
    in_vertices: bool,
    /// A number could not be read.
    wrong: bool,
}

#[derive(Clone, Copy, Default)]
struct Corner {
    at: Coord<f64>,
    /// Tangent of a quarter of the arc's angle to the next corner.
    bulge: f64,
}

/// Why an entity is no feature.
pub(super) enum Left {
    Unknown,
    Wrong(&'static str),
}

impl Entity {
    pub(super) fn new(kind: &[u8]) -> Self {
        Self { kind: kind.to_vec(), ..Self::default() }
    }

    /// A `VERTEX`: true if it belongs to this entity.
    pub(super) fn begin_vertex(&mut self) -> bool {
        if self.kind != b"POLYLINE" {
            return false;
        }
        if !self.in_vertices {
            // A polyline's own position is a height only.
            self.corners.clear();
            self.in_vertices = true;
        }
        true
    }

    pub(super) fn take(&mut self, code: i32, value: &[u8]) {
        self.bytes += value.len() + 32;
        match code {
            1 | 3 if self.text.len() < MAX_TEXT_BYTES => self.text.extend_from_slice(value),
            5 if !self.in_vertices => self.handle = value.to_vec(),
            8 if !self.in_vertices => self.layer = value.to_vec(),
            10 => {
                let x = self.number(value);
                self.corners.push(Corner { at: Coord { x, y: 0.0 }, bulge: 0.0 });
            }
            20 => {
                let y = self.number(value);
                if let Some(corner) = self.corners.last_mut() {
                    corner.at.y = y;
                }
            }
            11 => self.end.x = self.number(value),
            21 => self.end.y = self.number(value),
            40 => self.radius = self.number(value),
            42 => {
                let bulge = self.number(value);
                if let Some(corner) = self.corners.last_mut() {
                    corner.bulge = bulge;
                }
            }
            50 => self.angles[0] = self.number(value),
            51 => self.angles[1] = self.number(value),
            70 if !self.in_vertices => {
                self.flags = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            }
            230 if !self.in_vertices => self.mirrored = self.number(value) < 0.0,
            _ => {}
        }
    }

    fn number(&mut self, value: &[u8]) -> f64 {
        let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
        self.wrong |= number.is_none();
        number.unwrap_or(f64::NAN)
    }

    pub(super) fn geometry(self) -> Result<Geometry<f64>, Left> {
        let known = matches!(
            self.kind.as_slice(),
            b"POINT" | b"TEXT" | b"MTEXT" | b"LINE" | b"LWPOLYLINE" | b"POLYLINE" | b"CIRCLE" | b"ARC"
        );
        if !known {
            return Err(Left::Unknown);
        }
        if self.wrong {
            return Err(Left::Wrong("a coordinate is no number"));
        }
        let first = self.corners.first().ok_or(Left::Wrong("it has no position"))?.at;
        let mirrored = self.mirrored && self.kind != b"LINE" && self.kind != b"POINT" && self.kind != b"MTEXT";
        let turned = |c: Coord<f64>| Coord { x: if mirrored { -c.x } else { c.x }, y: c.y };
        let line = |coords: Vec<Coord<f64>>| LineString(coords.into_iter().map(turned).collect());
        Ok(match self.kind.as_slice() {
            b"LINE" => Geometry::LineString(LineString(vec![first, self.end])),
            b"CIRCLE" | b"ARC" if !(self.radius > 0.0 && self.radius.is_finite()) => {
                return Err(Left::Wrong("the radius is no positive number"));
            }
            b"CIRCLE" => Geometry::Polygon(Polygon::new(line(arc(first, self.radius, 0.0, 360.0)), Vec::new())),
            b"ARC" => {
                let [from, to] = self.angles;
                let sweep = (to - from).rem_euclid(360.0);
                let sweep = if sweep == 0.0 { 360.0 } else { sweep };
                Geometry::LineString(line(arc(first, self.radius, from, sweep)))
            }
            b"LWPOLYLINE" | b"POLYLINE" => {
                if self.flags & 0b101_0000 != 0 {
                    return Err(Left::Wrong("a mesh is a solid body, which is not supported"));
                }
                if self.corners.iter().filter(|corner| corner.bulge != 0.0).count() > MAX_ARCS {
                    return Err(Left::Wrong("the line has more arcs than any drawing"));
                }
                let closed = self.flags & 1 != 0;
                let coords = line(path(&self.corners, closed));
                match coords.0.len() {
                    0 | 1 => return Err(Left::Wrong("the line has a single corner")),
                    4.. if closed => Geometry::Polygon(Polygon::new(coords, Vec::new())),
                    _ => Geometry::LineString(coords),
                }
            }
            _ => Geometry::Point(Point(turned(first))),
        })
    }
}

/// Corners with the arcs between them; back at the first one when it is closed.
fn path(corners: &[Corner], closed: bool) -> Vec<Coord<f64>> {
    let mut out = Vec::with_capacity(corners.len() + 1);
    let next = |at: usize| if at + 1 < corners.len() { Some(at + 1) } else { closed.then_some(0) };
    for (at, corner) in corners.iter().enumerate() {
        out.push(corner.at);
        let Some(end) = next(at).map(|next| corners[next].at) else { break };
        out.extend(bulged(corner.at, end, corner.bulge));
    }
    if closed {
        out.extend(corners.first().map(|corner| corner.at));
    }
    out
}

/// The points between two corners that a bulge puts on an arc.
fn bulged(a: Coord<f64>, b: Coord<f64>, bulge: f64) -> Vec<Coord<f64>> {
    let chord = (b.x - a.x).hypot(b.y - a.y);
    if bulge == 0.0 || chord == 0.0 || !bulge.is_finite() || !chord.is_finite() {
        return Vec::new();
    }
    let sweep = 4.0 * bulge.atan();
    // From the middle of the chord to the centre, to the left of it.
    let off = (1.0 - bulge * bulge) / (4.0 * bulge);
    let centre =
        Coord { x: f64::midpoint(a.x, b.x) - (b.y - a.y) * off, y: f64::midpoint(a.y, b.y) + (b.x - a.x) * off };
    let from = (a.y - centre.y).atan2(a.x - centre.x);
    let radius = (a.x - centre.x).hypot(a.y - centre.y);
    let count = chords(sweep.abs());
    (1..count).map(|step| on_circle(centre, radius, from + sweep * f64::from(step) / f64::from(count))).collect()
}

/// From one angle on counter-clockwise, both ends included; degrees.
fn arc(centre: Coord<f64>, radius: f64, from: f64, sweep: f64) -> Vec<Coord<f64>> {
    let count = chords(sweep.to_radians());
    let at = |step: u32| (from + sweep * f64::from(step) / f64::from(count)).to_radians();
    (0..=count).map(|step| on_circle(centre, radius, at(step))).collect()
}

fn on_circle(centre: Coord<f64>, radius: f64, angle: f64) -> Coord<f64> {
    Coord { x: centre.x + radius * angle.cos(), y: centre.y + radius * angle.sin() }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn chords(radians: f64) -> u32 {
    // Not finite becomes 1.
    ((radians / std::f64::consts::TAU * CHORDS).ceil().min(CHORDS) as u32).max(1)
}

/// `\U+1EA1` stands for a letter that the code page lacks.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\U+") {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 3..at + 7).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        match code {
            Some(letter) => {
                out.push(letter);
                rest = &rest[at + 7..];
            }
            None => {
                out.push_str("\\U+");
                rest = &rest[at + 3..];
            }
        }
    }
    out + rest
}

/// The words of an `MTEXT` without its fonts, heights and colours.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '{' | '}' => {}
            '\\' => match signs.next() {
                Some('P' | 'N') => out.push('\n'),
                Some('~') => out.push(' '),
                Some(c @ ('\\' | '{' | '}')) => out.push(c),
                Some('L' | 'l' | 'O' | 'o' | 'K' | 'k') => {}
                // A stacked fraction keeps its numbers.
                Some('S') => out.extend(
                    signs.by_ref().take_while(|c| *c != ';').map(|c| if c == '^' || c == '#' { '/' } else { c }),
                ),
                Some(_) => {
                    let _ = signs.by_ref().find(|c| *c == ';');
                }
                None => {}
            },
            c => out.push(c),
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulges_and_arcs_lie_on_their_circle() {
        let (a, b) = (Coord { x: 10.0, y: 0.0 }, Coord { x: -10.0, y: 0.0 });
        // A half circle, counter-clockwise over the top; and the small arc of a quarter.
        let half = bulged(a, b, 1.0);
        assert!(half.len() > 30 && half.iter().all(|c| (c.x.hypot(c.y) - 10.0).abs() < 1e-9 && c.y > 0.0));
        assert!(bulged(a, b, -1.0).iter().all(|c| c.y < 0.0));
        let quarter = bulged(a, Coord { x: 0.0, y: 10.0 }, (std::f64::consts::PI / 8.0).tan());
        assert!(quarter.iter().all(|c| (c.x.hypot(c.y) - 10.0).abs() < 1e-9 && c.x > 0.0 && c.y > 0.0));
        let around = arc(Coord { x: 1.0, y: 2.0 }, 3.0, 90.0, 180.0);
        assert!((around[0].y - 5.0).abs() < 1e-9 && (around[around.len() - 1].y + 1.0).abs() < 1e-9);
        assert!(around.iter().all(|c| c.x < 1.0 + 1e-9));
    }

    #[test]
    fn formatted_text_keeps_its_words() {
        assert_eq!(plain(r"{\fArial|b0;Thửa \H2.5;12\PĐất} \S1#2; \\ \L!\l"), "Thửa 12\nĐất 1/2 \\ !");
        assert_eq!(unescaped(r"Th\U+1EEDa \U+xyz \U+00"), r"Thửa \U+xyz \U+00");
        assert_eq!(plain("\\"), "");
    }
}
