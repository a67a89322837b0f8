//! One vector tile: candidates from the index, quantised, cut, encoded.

use crate::clip::{clip_line, clip_ring};
use crate::columns::Columns;
use crate::grid::{from_unit, to_grid};
use crate::knit::{Polygons, Ring};
use crate::levels::{FEATURES, Levels};
use crate::mvt::{Commands, Kind, LayerWriter, Place};
use crate::packed::{Found, PackedIndex};
use crate::ring::{Scale, area2, reduce_line, reduce_ring};
use crate::shapes::{PathKind, Shapes};
use crate::sound::{Edge, is_sound};
use crate::table::Table;

/// Units per tile side.
pub const EXTENT: u32 = 1 << EXTENT_BITS;
pub(crate) const EXTENT_BITS: u32 = 12;
/// Units around the tile that are drawn into it too.
pub const BUFFER: u32 = 64;
/// The deepest zoom with tiles of its own; the world grid ends there.
pub const MAX_ZOOM: u8 = 19;

/// Side of a pixel of a 512-pixel tile.
pub(crate) const PIXEL: i32 = 8;
/// Twice a square pixel's area.
const PIXEL_AREA2: i64 = 2 * (PIXEL as i64) * (PIXEL as i64);

/// How many features tell what attributes take.
const SAMPLE: usize = FEATURES;

/// Everything a tile is made of.
pub(crate) struct Source<'a> {
    pub layer: &'a str,
    pub table: &'a Table,
    pub index: &'a PackedIndex,
    pub shapes: &'a Shapes,
    pub columns: &'a Columns,
    pub levels: &'a Levels,
}

/// Buffers that live as long as the tile.
#[derive(Default)]
struct Scratch {
    path: Vec<Place>,
    clip: Vec<Place>,
    polygons: Polygons,
    edges: Vec<Edge>,
    commands: Commands,
}

/// One feature of the tile, in drawing order; one with several kinds of geometry comes once for each.
enum Draft {
    /// Into [`Polygons::features`].
    Rings(usize),
    Square([Place; 2]),
    Lines,
    Points,
}

pub(crate) fn tile(source: &Source<'_>, z: u8, x: u32, y: u32) -> Option<Vec<u8>> {
    if z > MAX_ZOOM || x >> z != 0 || y >> z != 0 {
        return None;
    }
    let mut found = Found::default();
    source.index.search_into(&degrees_of(z, x, y), &mut found);
    let mut candidates = found.inside;
    candidates.append(&mut found.edge);
    candidates.retain(|ordinal| source.levels.draws(*ordinal, z));
    keep_to_budget(source.levels, &mut candidates);
    candidates.sort_unstable();
    let scale = Scale::new(z, x, y);
    let mut writer = LayerWriter::for_features(candidates.len());
    let mut scratch = Scratch::default();
    if source.shapes.all_points() {
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
        let mut drafts = Vec::with_capacity(candidates.len());
        for ordinal in candidates {
            draft(source, ordinal, &scale, &mut scratch, &mut drafts);
        }
        let Scratch { polygons, edges, .. } = &mut scratch;
        let broken: Vec<usize> =
            (0..polygons.features.len()).filter(|feature| !is_sound(polygons.rings(*feature), edges)).collect();
        if !broken.is_empty() {
            polygons.mend(broken, edges);
        }
        for (ordinal, draft) in &drafts {
            finish(source, *ordinal, draft, &scale, &mut scratch, &mut writer);
        }
    }
    (writer.count() > 0).then(|| writer.finish(source.layer, EXTENT, &source.columns.keys))
}

/// [`Levels`] keep a tile's own features to the budget. Where others reach in from so far that they are half as many again,
/// those that are drawn from afar stay.
fn keep_to_budget(levels: &Levels, candidates: &mut Vec<u32>) {
    let most = FEATURES + FEATURES / 2;
    if candidates.len() > most {
        candidates.select_nth_unstable_by_key(most, |ordinal| (levels.lowest(*ordinal), *ordinal));
        candidates.truncate(most);
    }
}

fn in_reach(p: Place) -> bool {
    let far = (EXTENT + BUFFER).cast_signed();
    let near = -BUFFER.cast_signed();
    p.iter().all(|v| (near..=far).contains(v))
}

/// The tile with its buffer on the index's grid, a unit wider on each side against rounding.
pub(crate) fn degrees_of(z: u8, x: u32, y: u32) -> [i32; 4] {
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

/// What the attributes of a feature take in a tile, on average, in bytes: measured on features that lie together.
pub(crate) fn tag_bytes(table: &Table, index: &PackedIndex, columns: &Columns) -> usize {
    let mut writer = LayerWriter::for_features(SAMPLE);
    let mut commands = Commands::default();
    commands.points(&[[0, 0]]);
    for ordinal in index.order().iter().take(SAMPLE) {
        columns.tag(table, *ordinal, &mut writer);
        writer.feature(*ordinal, Kind::Point, &commands);
    }
    let count = writer.count().max(1);
    // Without lengths, id, type and the one position.
    (writer.finish("", EXTENT, &[]).len() / count).saturating_sub(17).max(1)
}

fn write(source: &Source<'_>, ordinal: u32, kind: Kind, commands: &Commands, writer: &mut LayerWriter) {
    if !commands.is_empty() {
        source.columns.tag(source.table, ordinal, writer);
        writer.feature(ordinal, kind, commands);
    }
}

/// A square in place of a polygon that is smaller: its first and its last corner.
fn square_for(shapes: &Shapes, ordinal: u32, scale: &Scale, side: i32) -> Option<[Place; 2]> {
    let (path, _) = shapes.paths(ordinal).next()?;
    let [w, n, e, s] = path.bbox;
    let low = scale.place([w.midpoint(e), n.midpoint(s)]).map(|v| v.saturating_sub(side / 2));
    let high = low.map(|v| v.saturating_add(side));
    (in_reach(low) && in_reach(high)).then_some([low, high])
}

/// The side of the square that a small polygon is drawn as where a crowd was thinned, in tile units.
fn crowd_side(source: &Source<'_>, ordinal: u32, scale: &Scale) -> Option<i32> {
    if !source.levels.has_squares(scale.z) {
        return None;
    }
    let (path, _) = source.shapes.paths(ordinal).next()?;
    let [w, n, e, s] = path.bbox;
    let side = source.levels.square(scale.z, [w.midpoint(e), n.midpoint(s)]);
    #[allow(clippy::cast_precision_loss)]
    let stands_for_more = source.shapes.area(ordinal) < side as f32 * side as f32;
    let half = 1 << scale.shift() >> 1;
    (stands_for_more && is_tiny(source.shapes, ordinal, 4 * i64::from(side)))
        .then(|| i32::try_from((side + half) >> scale.shift()).unwrap_or(PIXEL).max(PIXEL / 2))
}

fn draft(source: &Source<'_>, ordinal: u32, scale: &Scale, scratch: &mut Scratch, drafts: &mut Vec<(u32, Draft)>) {
    let (mut polygons, mut lines, mut points) = (false, false, false);
    for (path, _) in source.shapes.paths(ordinal) {
        match path.kind {
            PathKind::Exterior | PathKind::Hole => polygons = true,
            PathKind::Line => lines = true,
            PathKind::Points => points = true,
        }
    }
    if polygons {
        if let Some(side) = crowd_side(source, ordinal, scale) {
            drafts.extend(square_for(source.shapes, ordinal, scale, side).map(|at| (ordinal, Draft::Square(at))));
        } else if collect_rings(source, ordinal, scale, scratch) {
            drafts.extend(square_for(source.shapes, ordinal, scale, PIXEL).map(|at| (ordinal, Draft::Square(at))));
        } else {
            let first = scratch.polygons.features.last().map_or(0, |rings| rings.end);
            if first < scratch.polygons.rings.len() {
                drafts.push((ordinal, Draft::Rings(scratch.polygons.features.len())));
                scratch.polygons.features.push(first..scratch.polygons.rings.len());
            }
        }
    }
    if lines {
        drafts.push((ordinal, Draft::Lines));
    }
    if points {
        drafts.push((ordinal, Draft::Points));
    }
}

/// Encodes and writes.
fn finish(
    source: &Source<'_>,
    ordinal: u32,
    draft: &Draft,
    scale: &Scale,
    scratch: &mut Scratch,
    writer: &mut LayerWriter,
) {
    let Scratch { path: places, clip, polygons, commands, .. } = scratch;
    commands.clear();
    let of_kind = |kind: PathKind| {
        let mut at = 0;
        let levels = source.levels.vertices(ordinal);
        source.shapes.paths(ordinal).filter_map(move |(path, world)| {
            let start = at;
            at += world.len();
            (path.kind == kind && !scale.misses(&path.bbox))
                .then(|| (path, world, levels.get(start..at).unwrap_or_default()))
        })
    };
    let kind = match draft {
        Draft::Square([low, high]) => {
            commands.ring([*low, [high[0], low[1]], *high, [low[0], high[1]]].into_iter());
            Kind::Polygon
        }
        Draft::Rings(feature) => {
            for ring in polygons.rings(*feature) {
                places.clear();
                places.extend_from_slice(ring);
                reduce_ring(places);
                commands.ring(places.iter().copied());
            }
            Kind::Polygon
        }
        Draft::Lines => {
            for (path, world, levels) in of_kind(PathKind::Line) {
                places.clear();
                scale.quantise(world, levels, &path.bbox, places);
                reduce_line(places);
                clip_line(places, clip, &mut |part| {
                    reduce_line(part);
                    commands.line(part);
                });
            }
            Kind::Line
        }
        Draft::Points => {
            places.clear();
            for (_, world, _) in of_kind(PathKind::Points) {
                places.extend(world.iter().map(|w| scale.place(*w)).filter(|p| in_reach(*p)));
            }
            commands.points(places);
            Kind::Point
        }
    };
    write(source, ordinal, kind, commands, writer);
}

/// Quantises and cuts a feature's rings, to the end of the polygons' rings. Rings under a square pixel go, with the holes
/// of an exterior that went; the feature's largest exterior stays as long as it encloses anything. True, and nothing is
/// added, when all of it is under a square pixel.
fn collect_rings(source: &Source<'_>, ordinal: u32, scale: &Scale, scratch: &mut Scratch) -> bool {
    let Scratch { path: cut, clip, polygons, .. } = scratch;
    let (first_ring, first_place) = (polygons.rings.len(), polygons.places.len());
    let levels = source.levels.vertices(ordinal);
    let mut at = 0;
    let mut exterior_stands = false;
    let mut largest = 0;
    for (path, world) in source.shapes.paths(ordinal) {
        let from = at;
        at += world.len();
        let hole = match path.kind {
            PathKind::Exterior => false,
            PathKind::Hole if exterior_stands => true,
            _ => continue,
        };
        exterior_stands |= !hole;
        if scale.misses(&path.bbox) {
            exterior_stands = hole;
            continue;
        }
        let start = polygons.places.len();
        let levels = levels.get(from..at).unwrap_or_default();
        if scale.is_inside(&path.bbox) {
            scale.quantise(world, levels, &path.bbox, &mut polygons.places);
        } else {
            cut.clear();
            scale.quantise(world, levels, &path.bbox, cut);
            clip_ring(cut, clip);
            cut.dedup();
            polygons.places.extend_from_slice(cut);
        }
        while polygons.places.len() > start + 1 && polygons.places.last() == polygons.places.get(start) {
            polygons.places.pop();
        }
        let area = area2(&polygons.places[start..]);
        if area == 0 || (hole && area.abs() < PIXEL_AREA2) {
            polygons.places.truncate(start);
            exterior_stands = hole;
            continue;
        }
        // Exteriors run clockwise on screen, holes the other way.
        if (area > 0) == hole {
            polygons.places[start..].reverse();
        }
        if !hole {
            largest = largest.max(area.abs());
        }
        polygons.rings.push(Ring { places: start..polygons.places.len(), hole, area2: area.abs() });
    }
    if largest < PIXEL_AREA2 && is_tiny(source.shapes, ordinal, i64::from(PIXEL) << scale.shift()) {
        polygons.rings.truncate(first_ring);
        polygons.places.truncate(first_place);
        return true;
    }
    // An exterior takes its holes with it.
    let mut drawn = false;
    let mut kept = first_ring;
    for ring in first_ring..polygons.rings.len() {
        if !polygons.rings[ring].hole {
            drawn = polygons.rings[ring].area2 >= PIXEL_AREA2.min(largest);
        }
        if drawn {
            polygons.rings.swap(kept, ring);
            kept += 1;
        }
    }
    polygons.rings.truncate(kept);
    false
}
