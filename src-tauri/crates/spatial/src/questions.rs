//! The questions asked of a layer's picture: what meets a box, what lies at a place, what is near.

use crate::geometries::{Geometries, Piece};
use crate::grid::{GridBox, grid_box, to_grid};
use crate::measure::Origin;
use crate::nearest::{nearest, nearest_points, points_within};
use crate::node::{NODE, bits, mask, push_some};
use crate::packed::{Met, Notes, PackedIndex, Sink};
use crate::picture::LayerPicture;
use crate::plane::{Core, Outline, area_of_rings, path_meets_box, rings_meet_box, within_rings};
use geo_types::Coord;
use model::BBox;
use std::ops::Range;

impl LayerPicture {
    /// Ordinals of the features that have a point in common with the box (degrees, edges included), in index order: near
    /// ones stand near each other.
    pub fn within_bbox(&self, bbox: BBox) -> Vec<u32> {
        let query = grid_box(&bbox);
        let mut sink = Meeting { picture: self, bbox, query, notes: self.notes(), hits: Vec::with_capacity(64) };
        self.index.walk(&query, &mut sink);
        sink.hits
    }

    pub(crate) fn notes(&self) -> &Notes {
        self.index.notes.get_or_init(|| {
            if !self.points.is_empty() {
                return Notes { pieces: Vec::new(), outlines: Vec::new(), cores: Vec::new() };
            }
            let (mut pieces, mut outlines, mut cores) = (Vec::new(), Vec::new(), Vec::new());
            for (place, ordinal) in self.index.order().iter().enumerate() {
                let only = only_piece(&self.geometries, *ordinal);
                pieces.push(u8::from(only.is_some()));
                let coords = self.geometries.coords_of(*ordinal);
                let around = self.index.grid_box(place);
                outlines.push(Outline::new(&around, |f| coords.iter().for_each(|c| f(*c))));
                cores.push(match only {
                    Some(Piece::Polygon(rings)) => Core::new(&around, |f| rings.iter().for_each(&mut *f)),
                    _ => Core::default(),
                });
            }
            pieces.resize(pieces.len().next_multiple_of(NODE), 0);
            Notes { pieces, outlines, cores }
        })
    }

    /// Ordinals of the features at most `radius_m` metres (geodesic) from a place, in index order.
    pub fn within_radius(&self, from: Coord<f64>, radius_m: f64) -> Vec<u32> {
        if !(from.x.is_finite() && from.y.is_finite() && radius_m >= 0.0) {
            return Vec::new();
        }
        let origin = Origin::new(from);
        let mut sink = Ordinals { order: self.index.order(), hits: Vec::with_capacity(64) };
        if !self.points.is_empty() && points_within(&self.index, &self.points, &origin, radius_m, &mut sink) {
            return sink.hits;
        }
        self.circle(&origin, radius_m.max(f64::MIN_POSITIVE)).into_iter().map(|(ordinal, _)| ordinal).collect()
    }

    /// Everything within a distance, in index order, with its distance in metres.
    fn circle(&self, origin: &Origin, within_m: f64) -> Vec<(u32, f64)> {
        if !self.points.is_empty() {
            let mut sink = Measured { index: &self.index, points: &self.points, origin, hits: Vec::with_capacity(64) };
            if points_within(&self.index, &self.points, origin, within_m, &mut sink) {
                return sink.hits;
            }
        }
        let order = self.index.order();
        let mut places = Vec::new();
        self.index.walk(&grid_box(&origin.around(within_m)), &mut Places(&mut places));
        let measured = places.into_iter().map(|place| (order[place], self.distance_m(origin, place, order[place])));
        measured.filter(|(_, distance_m)| *distance_m <= within_m).collect()
    }

    fn distance_m(&self, origin: &Origin, place: usize, ordinal: u32) -> f64 {
        match self.points.get(place) {
            Some(c) => origin.distance_m(*c),
            None => origin.geometry_distance_m(&self.geometries, ordinal),
        }
    }

    /// Calls `f` with every feature that has a part exactly at the place; borders of polygons are half-open.
    fn touching(&self, at: Coord<f64>, mut f: impl FnMut(u32)) {
        let cell = [to_grid(at.x), to_grid(at.y)];
        let query = [cell[0], cell[1], cell[0], cell[1]];
        let notes = self.notes();
        self.index.stab(cell, &mut |place| {
            let ordinal = self.index.order()[place];
            let hit = match self.points.get(place) {
                Some(c) => *c == at,
                None => {
                    let around = self.index.grid_box(place);
                    notes.cores[place].meets(&around, &query)
                        || (!notes.outlines[place].misses(&around, &query) && touches(&self.geometries, ordinal, at))
                }
            };
            if hit {
                f(ordinal);
            }
        });
    }

    /// What lies at a place: polygons that contain it (0 m) and whatever comes within `tolerance_m` (metres), nearest
    /// first, the smaller polygon first among equals. Without a tolerance the borders of polygons are half-open: a place
    /// on the border between two neighbours that share its vertices lies in exactly one of them.
    pub fn at(&self, at: Coord<f64>, tolerance_m: f64) -> Vec<(u32, f64)> {
        if !(at.x.is_finite() && at.y.is_finite()) {
            return Vec::new();
        }
        let mut hits = Vec::new();
        if tolerance_m > 0.0 {
            hits = self.circle(&Origin::new(at), tolerance_m);
        } else {
            self.touching(at, |ordinal| hits.push((ordinal, 0.0)));
        }
        if hits.len() > 1 {
            let sized = |(ordinal, d): (u32, f64)| (d, area(&self.geometries, ordinal), ordinal);
            let mut sorted: Vec<(f64, f64, u32)> = hits.into_iter().map(sized).collect();
            sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
            return sorted.into_iter().map(|(distance_m, _, ordinal)| (ordinal, distance_m)).collect();
        }
        hits
    }

    /// The features at each of many places, as pairs of the place's number and the feature's ordinal, by place and then
    /// ordinal. What lies at a place is as for [`LayerPicture::at`] without a tolerance. Places are visited along a curve,
    /// so that a million of them cost a fraction of a million single questions.
    pub fn join(&self, places: &[Coord<f64>]) -> Vec<[u32; 2]> {
        const NONE: u32 = u32::MAX;
        let Some(all) = self.bbox() else { return Vec::new() };
        let mut first = vec![NONE; places.len()];
        let mut more = Vec::new();
        for (number, at) in along_a_curve(places, &all) {
            self.touching(at, |ordinal| match &mut first[number as usize] {
                free @ &mut NONE => *free = ordinal,
                _ => more.push([number, ordinal]),
            });
        }
        let mut pairs: Vec<[u32; 2]> = (0..).zip(first).filter(|(_, o)| *o != NONE).map(|(n, o)| [n, o]).collect();
        if !more.is_empty() {
            pairs.append(&mut more);
            pairs.sort_unstable();
        }
        pairs
    }

    /// Features by geodesic distance in metres (0 inside polygons), nearest first, at most `within_m` away and at most `k`
    /// of them.
    pub fn near(&self, from: Coord<f64>, within_m: Option<f64>, k: Option<usize>) -> Vec<(u32, f64)> {
        if !(from.x.is_finite() && from.y.is_finite()) {
            return Vec::new();
        }
        let origin = Origin::new(from);
        match (within_m, k) {
            // Everything in a circle: no need to walk in order.
            (Some(within_m), None) if within_m < 1e6 => {
                let mut hits = self.circle(&origin, within_m.max(f64::MIN_POSITIVE));
                sort_by_distance(&mut hits);
                hits
            }
            _ => {
                let (within_m, count) = (within_m.unwrap_or(f64::INFINITY), k.unwrap_or(usize::MAX));
                if !self.points.is_empty()
                    && let Some(found) = nearest_points(&self.index, &self.points, &origin, within_m, count)
                {
                    return found;
                }
                let distance_m = |place, ordinal| self.distance_m(&origin, place, ordinal);
                nearest(&self.index, &origin, within_m, count, distance_m)
            }
        }
    }
}

/// The sink of [`LayerPicture::within_bbox`].
struct Meeting<'a> {
    picture: &'a LayerPicture,
    bbox: BBox,
    query: GridBox,
    notes: &'a Notes,
    hits: Vec<u32>,
}

impl Meeting<'_> {
    fn point(&self, place: usize) -> bool {
        self.picture.points.get(place).is_some_and(|c| self.bbox.contains(c.x, c.y))
    }

    fn shape(&self, place: usize) -> bool {
        let around = self.picture.index.grid_box(place);
        if self.notes.cores[place].meets(&around, &self.query) {
            return true;
        }
        let known = self.notes.outlines[place].meets(&around, &self.query);
        known.unwrap_or_else(|| {
            let ordinal = self.picture.index.order()[place];
            meets_box(&self.picture.geometries, ordinal, &self.bbox)
        })
    }
}

impl Sink for Meeting<'_> {
    fn inside(&mut self, places: Range<usize>) {
        self.hits.extend_from_slice(&self.picture.index.order()[places]);
    }

    /// A feature in one piece whose box lies between two opposite sides of the query and reaches into it cannot pass it
    /// by: it comes to its box's other two sides.
    fn leaf(&mut self, met: Met) {
        let mut hits = met.between;
        if self.picture.points.is_empty() {
            hits &= self.notes.pieces[met.first..].first_chunk::<NODE>().map_or(0, mask);
            for child in bits(met.meets & !hits) {
                hits |= u32::from(self.shape(met.first + child as usize)) << child;
            }
        } else {
            for child in bits(met.meets & !hits) {
                hits |= u32::from(self.point(met.first + child as usize)) << child;
            }
        }
        push_some(&mut self.hits, &self.picture.index.order()[met.first..], hits);
    }
}

/// Gathers the ordinals of all that was met.
struct Ordinals<'a> {
    order: &'a [u32],
    hits: Vec<u32>,
}

impl Sink for Ordinals<'_> {
    fn inside(&mut self, places: Range<usize>) {
        self.hits.extend_from_slice(&self.order[places]);
    }

    fn leaf(&mut self, met: Met) {
        push_some(&mut self.hits, &self.order[met.first..], met.meets);
    }
}

/// Gathers the places of all that was met.
struct Places<'a>(&'a mut Vec<usize>);

impl Sink for Places<'_> {
    fn inside(&mut self, places: Range<usize>) {
        self.0.extend(places);
    }

    fn leaf(&mut self, met: Met) {
        self.0.extend(bits(met.meets).map(|child| met.first + child as usize));
    }
}

/// Gathers ordinals with the distances of their points.
struct Measured<'a> {
    index: &'a PackedIndex,
    points: &'a [Coord<f64>],
    origin: &'a Origin,
    hits: Vec<(u32, f64)>,
}

impl Sink for Measured<'_> {
    fn inside(&mut self, places: Range<usize>) {
        let (points, rest) = self.points[places.clone()].as_chunks::<NODE>();
        let (ordinals, rest_ordinals) = self.index.order()[places].as_chunks::<NODE>();
        for (points, ordinals) in points.iter().zip(ordinals) {
            let distances = self.origin.distances_m(points);
            self.hits.extend(ordinals.iter().copied().zip(distances));
        }
        self.hits.extend(rest_ordinals.iter().zip(rest).map(|(ordinal, c)| (*ordinal, self.origin.distance_m(*c))));
    }

    fn leaf(&mut self, met: Met) {
        let (order, points) = (&self.index.order()[met.first..], &self.points[met.first..]);
        match points.first_chunk::<NODE>() {
            Some(points) if met.meets.count_ones() > 5 => {
                let distances = self.origin.distances_m(points);
                self.hits.extend(bits(met.meets).map(|child| (order[child as usize], distances[child as usize])));
            }
            _ => {
                let measure = |child: usize| (order[child], self.origin.distance_m(points[child]));
                self.hits.extend(bits(met.meets).map(|child| measure(child as usize)));
            }
        }
    }
}

/// Nearest first, the lower ordinal first among equals.
fn sort_by_distance(hits: &mut Vec<(u32, f64)>) {
    let most = hits.iter().fold(0.0_f64, |most, hit| most.max(hit.1));
    let scale = f64::from(u32::MAX) / most;
    if hits.len() < 32 || !scale.is_finite() {
        hits.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        return;
    }
    // Whole numbers sort several times as fast, and 32 bits of a distance settle nearly all; the pass over the nearly
    // sorted list does the rest.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let mut keys: Vec<u64> =
        hits.iter().zip(0_u32..).map(|(hit, i)| u64::from((hit.1 * scale) as u32) << 32 | u64::from(i)).collect();
    keys.sort_unstable();
    #[allow(clippy::cast_possible_truncation)]
    let mut sorted: Vec<(u32, f64)> = keys.into_iter().map(|key| hits[key as u32 as usize]).collect();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    *hits = sorted;
}

/// The piece of a feature that has no other: one can walk from any place of it to any other without leaving it.
fn only_piece(geometries: &Geometries, ordinal: u32) -> Option<Piece<'_>> {
    let (mut only, mut count) = (None, 0);
    geometries.pieces(ordinal, &mut |piece| {
        only = Some(piece);
        count += 1;
    });
    only.filter(|_| count == 1)
}

/// The finite places within the bounds with their numbers, in Morton order.
fn along_a_curve<'a>(places: &'a [Coord<f64>], bounds: &BBox) -> impl Iterator<Item = (u32, Coord<f64>)> + use<'a> {
    const SIDE: f64 = 65_535.0;
    let scale = |low: f64, high: f64| SIDE / (high - low).max(1e-9);
    let (x_scale, y_scale) = (scale(bounds.west, bounds.east), scale(bounds.south, bounds.north));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let key = |c: &Coord<f64>| {
        spread(((c.x - bounds.west) * x_scale) as u16) | spread(((c.y - bounds.south) * y_scale) as u16) << 1
    };
    let within = (0..u32::MAX).zip(places).filter(|(_, c)| bounds.contains(c.x, c.y));
    let mut keys: Vec<u64> = within.map(|(number, c)| u64::from(key(c)) << 32 | u64::from(number)).collect();
    keys.sort_unstable();
    #[allow(clippy::cast_possible_truncation)]
    keys.into_iter().map(|key| (key as u32, places[key as u32 as usize]))
}

/// A zero after every bit.
fn spread(v: u16) -> u32 {
    let mut v = u32::from(v);
    for (shift, keep) in [(8, 0x00ff_00ff), (4, 0x0f0f_0f0f), (2, 0x3333_3333), (1, 0x5555_5555)] {
        v = (v | v << shift) & keep;
    }
    v
}

fn touches(geometries: &Geometries, ordinal: u32, at: Coord<f64>) -> bool {
    let mut hit = false;
    geometries.pieces(ordinal, &mut |piece| {
        hit = hit
            || match piece {
                Piece::Point(c) => c == at,
                Piece::Line(line) => line.contains(&at),
                Piece::Polygon(rings) => within_rings(rings.iter(), at),
            };
    });
    hit
}

/// Whether feature and box have a point in common, edges included.
fn meets_box(geometries: &Geometries, ordinal: u32, bbox: &BBox) -> bool {
    let mut hit = false;
    geometries.pieces(ordinal, &mut |piece| {
        hit = hit
            || match piece {
                Piece::Point(c) => bbox.contains(c.x, c.y),
                Piece::Line(line) => path_meets_box(line, bbox),
                Piece::Polygon(rings) => rings_meet_box(rings.iter(), bbox),
            };
    });
    hit
}

/// In square degrees: enough to tell small from large.
fn area(geometries: &Geometries, ordinal: u32) -> f64 {
    let mut area = 0.0;
    geometries.pieces(ordinal, &mut |piece| {
        if let Piece::Polygon(rings) = piece {
            area += area_of_rings(rings.iter());
        }
    });
    area
}
