//! One vector tile: candidates from the index, quantised, cut, encoded.

use crate::clip::{clip_line, clip_ring};
use crate::columns::Columns;
use crate::grid::{from_unit, to_grid};
use crate::mvt::{Commands, Kind, LayerWriter, Place};
use crate::packed::{Found, PackedIndex};
use crate::ring::{Scale, area2, reduce_line, reduce_ring};
use crate::shapes::{PathKind, Shapes};
use crate::table::Table;

/// Units per tile side.
pub const EXTENT: u32 = 1 << EXTENT_BITS;
pub(crate) const EXTENT_BITS: u32 = 12;
/// Units around the tile that are drawn into it too.
pub const BUFFER: u32 = 64;
/// The deepest zoom with tiles of its own; the world grid ends there.
pub const MAX_ZOOM: u8 = 19;

/// Side of a pixel of a 512-pixel tile.
const PIXEL: i32 = 8;
/// Twice a square pixel's area.
const PIXEL_AREA2: i64 = 2 * (PIXEL as i64) * (PIXEL as i64);
/// With more candidates than this, polygons smaller than a pixel share pixels instead of getting one each.
const CROWD: usize = 2_048;
/// With more features than this left, they share squares of two pixels a side, then four: a budget of bytes and time.
const BUDGET: usize = 16_384;

/// Everything a tile is made of.
pub(crate) struct Source<'a> {
    pub layer: &'a str,
    pub table: &'a Table,
    pub index: &'a PackedIndex,
    pub shapes: &'a Shapes,
    pub columns: &'a Columns,
}

/// Buffers that live as long as the tile.
#[derive(Default)]
struct Scratch {
    path: Vec<Place>,
    clip: Vec<Place>,
    /// Rings that survived, back to back.
    places: Vec<Place>,
    rings: Vec<Ring>,
    commands: Commands,
}

struct Ring {
    start: usize,
    end: usize,
    area2: i64,
    hole: bool,
}

pub(crate) fn tile(source: &Source<'_>, z: u8, x: u32, y: u32) -> Option<Vec<u8>> {
    if z > MAX_ZOOM || x >> z != 0 || y >> z != 0 {
        return None;
    }
    let mut found = Found::default();
    source.index.search_into(&degrees_of(z, x, y), &mut found);
    let mut candidates = found.inside;
    candidates.append(&mut found.edge);
    let scale = Scale::new(z, x, y);
    let mut writer = LayerWriter::new();
    let mut scratch = Scratch::default();
    if source.shapes.all_points() {
        candidates.sort_unstable();
        for ordinal in candidates {
            if let Some(world) = source.shapes.single(ordinal) {
                let place = scale.place(world);
                if in_reach(place) {
                    scratch.commands.clear();
                    scratch.commands.points(&[place]);
                    write(source, ordinal, Kind::Point, &scratch.commands, &mut writer);
                }
            }
        }
    } else {
        let crowded = candidates.len() > CROWD;
        let mut side = PIXEL;
        let mut standing_in = Vec::new();
        if crowded {
            let everyone = candidates.clone();
            standing_in = share_squares(source.shapes, &scale, side, &mut candidates);
            while candidates.len() > BUDGET && side < 4 * PIXEL {
                side *= 2;
                candidates.clone_from(&everyone);
                standing_in = share_squares(source.shapes, &scale, side, &mut candidates);
            }
        }
        candidates.sort_unstable();
        let mut stand_ins = standing_in.into_iter().peekable();
        for ordinal in candidates {
            if stand_ins.next_if_eq(&ordinal).is_some() {
                square_for(source, ordinal, &scale, side, &mut scratch, &mut writer);
            } else {
                feature(source, ordinal, &scale, crowded, &mut scratch, &mut writer);
            }
        }
    }
    (writer.count() > 0).then(|| writer.finish(source.layer, EXTENT, &source.columns.keys))
}

fn in_reach(p: Place) -> bool {
    let far = (EXTENT + BUFFER).cast_signed();
    let near = -BUFFER.cast_signed();
    p.iter().all(|v| (near..=far).contains(v))
}

/// The tile with its buffer on the index's grid, a unit wider on each side against rounding.
fn degrees_of(z: u8, x: u32, y: u32) -> [i32; 4] {
    let side = 1.0 / f64::from(1_u32 << z);
    let margin = f64::from(BUFFER + 8) / f64::from(EXTENT) * side;
    let (west, north) = (f64::from(x) * side - margin, f64::from(y) * side - margin);
    let span = side + 2.0 * margin;
    let (low, high) = (from_unit(west, north + span), from_unit(west + span, north));
    // What lies beyond Mercator's edge sticks to it.
    let south = if y + 1 == 1 << z { -90.0 } else { low.y };
    let top = if y == 0 { 90.0 } else { high.y };
    [to_grid(low.x), to_grid(south), to_grid(high.x), to_grid(top)]
}

/// Splits off polygons smaller than a square of `side` units: their areas add up, and each time a square is full the
/// feature at hand stands in for it. Walked in index order, so that stand-ins lie where the crowd lies. Returns them sorted.
fn share_squares(shapes: &Shapes, scale: &Scale, side: i32, candidates: &mut Vec<u32>) -> Vec<u32> {
    let limit = i64::from(side) << scale.shift();
    #[allow(clippy::cast_precision_loss)]
    let full = limit as f64 * limit as f64;
    let mut area = 0.0;
    let mut standing_in = Vec::new();
    candidates.retain(|&ordinal| {
        if !is_tiny(shapes, ordinal, limit) {
            return true;
        }
        area += f64::from(shapes.area(ordinal));
        if area < full {
            return false;
        }
        area -= full;
        standing_in.push(ordinal);
        true
    });
    standing_in.sort_unstable();
    standing_in
}

/// All polygons, and their common box is smaller than a pixel both ways.
fn is_tiny(shapes: &Shapes, ordinal: u32, limit: i64) -> bool {
    let mut b = [i32::MAX, i32::MAX, i32::MIN, i32::MIN];
    for (path, _) in shapes.paths(ordinal) {
        if !matches!(path.kind, PathKind::Exterior | PathKind::Hole) {
            return false;
        }
        b = [b[0].min(path.bbox[0]), b[1].min(path.bbox[1]), b[2].max(path.bbox[2]), b[3].max(path.bbox[3])];
    }
    b[0] <= b[2] && i64::from(b[2]) - i64::from(b[0]) < limit && i64::from(b[3]) - i64::from(b[1]) < limit
}

fn write(source: &Source<'_>, ordinal: u32, kind: Kind, commands: &Commands, writer: &mut LayerWriter) {
    if !commands.is_empty() {
        source.columns.tag(source.table, ordinal, writer);
        writer.feature(ordinal, kind, commands);
    }
}

/// A square in place of a polygon that is smaller.
fn square_for(
    source: &Source<'_>,
    ordinal: u32,
    scale: &Scale,
    side: i32,
    scratch: &mut Scratch,
    writer: &mut LayerWriter,
) {
    let Some((path, _)) = source.shapes.paths(ordinal).next() else { return };
    let [w, n, e, s] = path.bbox;
    let [x, y] = scale.place([w.midpoint(e), n.midpoint(s)]).map(|v| v.saturating_sub(side / 2));
    let far = [x.saturating_add(side), y.saturating_add(side)];
    if in_reach([x, y]) && in_reach(far) {
        scratch.commands.clear();
        scratch.commands.ring([[x, y], [far[0], y], far, [x, far[1]]].into_iter());
        write(source, ordinal, Kind::Polygon, &scratch.commands, writer);
    }
}

fn feature(
    source: &Source<'_>,
    ordinal: u32,
    scale: &Scale,
    crowded: bool,
    scratch: &mut Scratch,
    writer: &mut LayerWriter,
) {
    let (mut polygons, mut lines, mut points) = (false, false, false);
    for (path, _) in source.shapes.paths(ordinal) {
        match path.kind {
            PathKind::Exterior | PathKind::Hole => polygons = true,
            PathKind::Line => lines = true,
            PathKind::Points => points = true,
        }
    }
    if polygons {
        collect_rings(source.shapes, ordinal, scale, scratch);
        let tiny = scratch.rings.iter().all(|ring| ring.hole || ring.area2 < PIXEL_AREA2)
            && is_tiny(source.shapes, ordinal, i64::from(PIXEL) << scale.shift());
        if tiny {
            square_for(source, ordinal, scale, PIXEL, scratch, writer);
        } else {
            if scratch.rings.is_empty() && !crowded {
                collect_rings(source.shapes, ordinal, &scale.without_snap(), scratch);
            }
            encode_rings(scratch);
            write(source, ordinal, Kind::Polygon, &scratch.commands, writer);
        }
    }
    if lines {
        let Scratch { path: places, clip, commands, .. } = scratch;
        commands.clear();
        for (_, world) in
            source.shapes.paths(ordinal).filter(|(p, _)| p.kind == PathKind::Line && !scale.misses(&p.bbox))
        {
            scale.quantise(world, places);
            reduce_line(places);
            clip_line(places, clip, &mut |part| {
                reduce_line(part);
                commands.line(part);
            });
        }
        write(source, ordinal, Kind::Line, commands, writer);
    }
    if points {
        scratch.commands.clear();
        scratch.path.clear();
        for (_, world) in source.shapes.paths(ordinal).filter(|(p, _)| p.kind == PathKind::Points) {
            scratch.path.extend(world.iter().map(|w| scale.place(*w)).filter(|p| in_reach(*p)));
        }
        scratch.commands.points(&scratch.path);
        write(source, ordinal, Kind::Point, &scratch.commands, writer);
    }
}

/// Quantises and cuts a feature's rings. Rings under a square pixel go, with the holes of an exterior that went; the
/// feature's largest exterior stays as long as it encloses anything.
fn collect_rings(shapes: &Shapes, ordinal: u32, scale: &Scale, scratch: &mut Scratch) {
    scratch.places.clear();
    scratch.rings.clear();
    let mut exterior_stands = false;
    for (path, world) in shapes.paths(ordinal) {
        let hole = match path.kind {
            PathKind::Exterior => false,
            PathKind::Hole if exterior_stands => true,
            _ => continue,
        };
        let mut area = 0;
        if !scale.misses(&path.bbox) {
            scale.quantise(world, &mut scratch.path);
            reduce_ring(&mut scratch.path);
            if clip_ring(&mut scratch.path, &mut scratch.clip) {
                reduce_ring(&mut scratch.path);
            }
            area = area2(&scratch.path);
        }
        if !hole {
            exterior_stands = area != 0;
        }
        if area == 0 || (hole && area.abs() < PIXEL_AREA2) {
            continue;
        }
        let start = scratch.places.len();
        // Exteriors run clockwise on screen, holes the other way.
        if (area > 0) == hole {
            scratch.places.extend(scratch.path.iter().rev());
        } else {
            scratch.places.extend_from_slice(&scratch.path);
        }
        scratch.rings.push(Ring { start, end: scratch.places.len(), area2: area.abs(), hole });
    }
}

fn encode_rings(scratch: &mut Scratch) {
    scratch.commands.clear();
    let largest = scratch.rings.iter().filter(|ring| !ring.hole).map(|ring| ring.area2).max().unwrap_or(0);
    let mut drawn = false;
    for ring in &scratch.rings {
        if !ring.hole {
            drawn = ring.area2 >= PIXEL_AREA2.min(largest);
        }
        if drawn {
            scratch.commands.ring(scratch.places[ring.start..ring.end].iter().copied());
        }
    }
}
