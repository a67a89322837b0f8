//! The packed layer: all of a picture as bytes that open without a sort, a parse or a query.
//!
//! A *part* holds up to [`PART_ROWS`] features column by column; the last piece is the index's order. Numbers are
//! little-endian; *varint* is LEB128, signed ones zigzag. Behind the index the overview levels may follow.
//!
//! ```text
//! part   "TCP1" rows · keys · new column names · new words · cells, a column at a time · types · paths · coordinates
//! cells  0 nothing | 1 tag width bits… | 2 tags… width bits…            width: bytes a cell, 1 2 4 8
//! paths  kind (with [`RAW`] when its coordinates are no short decimals) · count
//! coords d · raw paths' f64… · the others' zigzag varints of the differences of coordinate × 10^d
//! ```

use crate::geometries::{Geometries, Type};
use crate::grid::{GridBox, grid_box};
use crate::order::Ordering;
use crate::packed::PackedIndex;
use crate::shapes::PathKind;
use crate::table::{Cell, Column, Strings, Table, Tag, Words};
use foldhash::HashMap;
use geo_types::Coord;
use model::{Feature, Names};

/// Features a part: enough for the columns to pay, few enough for a part to be a moment's memory.
const PART_ROWS: usize = 1 << 14;
/// A part ends early at so many coordinates.
const PART_COORDS: usize = 1 << 18;
const MAGIC: &[u8; 4] = b"TCP1";
/// Marks a path whose coordinates are kept as they are.
const RAW: u8 = 0x80;

/// Packs a layer as its features come, in memory for one part and 12 bytes a feature.
#[derive(Default)]
pub struct Packer {
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    /// The names of the last feature's properties, and the column of each where it has one.
    names: Names,
    places: Vec<Option<usize>>,
    new_columns: usize,
    words: Words,
    new_words: Strings,
    ids: Strings,
    geometries: Geometries,
    ordering: Ordering,
    raw: Vec<u8>,
    short: Vec<u8>,
    decimals: u8,
}

impl Packer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a feature; its place is its ordinal. A part that is full comes back: keep the parts in their order.
    pub fn push(&mut self, feature: &Feature) -> Option<Vec<u8>> {
        let row = self.ids.len();
        self.ids.push(&feature.id);
        let names = feature.properties.names();
        if !self.names.same(names) {
            self.places.clear();
            self.places.extend(names.iter().map(|name| self.by_name.get(name).copied()));
            self.names = names.clone();
        }
        for (at, value) in feature.properties.values().iter().enumerate() {
            if value.is_null() {
                continue;
            }
            let index = self.places[at].unwrap_or_else(|| self.column(at));
            let new_words = &mut self.new_words;
            let column = &mut self.columns[index];
            let cell = self.words.cell(value, &mut column.repeats, &mut |text| {
                new_words.push(text);
            });
            column.tags.resize(row, Tag::Absent);
            column.bits.resize(row, 0);
            column.tags.push(cell.tag);
            column.bits.push(cell.bits);
        }
        self.geometries.push(&feature.geometry);
        let ordinal = u32::try_from(row).unwrap_or(u32::MAX);
        self.ordering.push(&grid_box(&self.geometries.bbox(ordinal)));
        (self.ids.len() >= PART_ROWS || self.geometries.coords.len() >= PART_COORDS).then(|| self.part())
    }

    /// Makes the column of the last feature's property at this place.
    fn column(&mut self, at: usize) -> usize {
        let name = self.names.iter().nth(at).unwrap_or_default().to_owned();
        let index = self.columns.len();
        self.by_name.insert(name.clone(), index);
        self.columns.push(Column { name, ..Column::default() });
        self.places[at] = Some(index);
        index
    }

    /// What is left: the last part, and the index.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        let mut last = Vec::new();
        if self.ids.len() > 0 || self.ordering.is_empty() {
            last.push(self.part());
        }
        // The room of the parts is not needed any more while the index is made.
        let ordering = std::mem::take(&mut self.ordering);
        drop(self);
        last.push(ordering.into_bytes());
        last
    }

    fn part(&mut self) -> Vec<u8> {
        let rows = self.ids.len();
        let mut out = Vec::with_capacity(rows * 40 + self.geometries.coords.len() * 8);
        out.extend_from_slice(MAGIC);
        number(&mut out, rows as u64);
        strings(&mut out, &self.ids);
        let mut names = Strings::default();
        for column in &self.columns[self.new_columns..] {
            names.push(&column.name);
        }
        self.new_columns = self.columns.len();
        strings(&mut out, &names);
        strings(&mut out, &self.new_words);
        for column in &mut self.columns {
            column.tags.resize(rows, Tag::Absent);
            column.bits.resize(rows, 0);
            cells(&mut out, column);
            column.tags.clear();
            column.bits.clear();
        }
        out.extend(self.geometries.types.iter().map(|held| *held as u8));
        let mut before = 0;
        for end in &self.geometries.path_ends {
            number(&mut out, u64::from(end - before));
            before = *end;
        }
        self.decimals = decimals_of(&self.geometries.coords, self.decimals);
        paths(&mut out, &self.geometries, self.decimals, &mut self.raw, &mut self.short);
        // Their room is used again for the next part.
        self.ids.clear();
        self.new_words.clear();
        self.geometries.clear();
        out
    }
}

fn number(out: &mut Vec<u8>, value: u64) {
    crate::mvt::varint(out, value);
}

fn strings(out: &mut Vec<u8>, all: &Strings) {
    number(out, all.len() as u64);
    let each = || (0..all.len()).filter_map(|at| all.get(at));
    each().for_each(|text| number(out, text.len() as u64));
    each().for_each(|text| out.extend_from_slice(text.as_bytes()));
}

fn cells(out: &mut Vec<u8>, column: &Column) {
    let first = column.tags.first().copied().unwrap_or_default();
    if column.tags.iter().all(|tag| *tag == first) {
        if first == Tag::Absent {
            return out.push(0);
        }
        out.extend_from_slice(&[1, first as u8]);
    } else {
        out.push(2);
        out.extend(column.tags.iter().map(|tag| *tag as u8));
    }
    let all = column.bits.iter().fold(0, |all, bits| all | bits);
    let width = match all {
        0..=0xff => 1_u8,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    out.push(width);
    for bits in &column.bits {
        out.extend_from_slice(&bits.to_le_bytes()[..usize::from(width)]);
    }
}

fn power_of_ten(decimals: u8) -> f64 {
    10_f64.powi(i32::from(decimals))
}

/// The ordinate in steps of 10^-decimals, where that gives the very same f64 back.
fn steps(value: f64, scale: f64) -> Option<i64> {
    let scaled = value * scale;
    // The nearest whole number, without the call that `round` is; a tie may go either way, since only what comes back
    // counts. Within 2⁵³ both ways are exact, and the division is the nearest f64 to the decimal fraction.
    #[allow(clippy::cast_possible_truncation)]
    let steps = (scaled + 0.5_f64.copysign(scaled)) as i64;
    #[allow(clippy::float_cmp, clippy::cast_precision_loss)]
    let exact = scaled.abs() < 9e15 && steps as f64 / scale == value;
    exact.then_some(steps)
}

/// The decimals that most of a sample is written with; `guess` where it does as well.
fn decimals_of(coords: &[Coord<f64>], guess: u8) -> u8 {
    let sample = || coords.iter().step_by(coords.len() / 256 + 1);
    let fitting = |decimals: u8| {
        let scale = power_of_ten(decimals);
        sample().filter(|c| steps(c.x, scale).is_some() && steps(c.y, scale).is_some()).count()
    };
    let all = sample().count();
    if guess > 0 && fitting(guess) == all {
        return guess;
    }
    // The fewest decimals among the best.
    let fits: Vec<(usize, u8)> = (5..=13).map(|decimals| (fitting(decimals), decimals)).collect();
    let most = fits.iter().map(|(count, _)| *count).max().unwrap_or(0);
    // Nine tenths of the best with shorter numbers is better than the best.
    fits.into_iter().find(|(count, _)| *count * 10 >= most * 9).map_or(7, |(_, decimals)| decimals)
}

/// `raw` and `packed` are room that is used again.
fn paths(out: &mut Vec<u8>, geometries: &Geometries, decimals: u8, raw: &mut Vec<u8>, packed: &mut Vec<u8>) {
    let scale = power_of_ten(decimals);
    raw.clear();
    packed.clear();
    let mut last = [0_i64; 2];
    let mut start = 0;
    for (kind, end) in geometries.kinds.iter().zip(&geometries.ends) {
        let coords = geometries.coords.get(start..*end as usize).unwrap_or_default();
        start = *end as usize;
        let (undo, before) = (packed.len(), last);
        let fits = coords.iter().all(|c| {
            let (Some(x), Some(y)) = (steps(c.x, scale), steps(c.y, scale)) else { return false };
            for (to, from) in [x, y].into_iter().zip(&mut last) {
                let difference = to - *from;
                number(packed, ((difference << 1) ^ (difference >> 63)).cast_unsigned());
                *from = to;
            }
            true
        });
        if !fits {
            packed.truncate(undo);
            last = before;
            for c in coords {
                raw.extend_from_slice(&c.x.to_le_bytes());
                raw.extend_from_slice(&c.y.to_le_bytes());
            }
        }
        out.push(*kind as u8 | if fits { 0 } else { RAW });
        number(out, coords.len() as u64);
    }
    out.push(decimals);
    out.extend_from_slice(raw);
    out.extend_from_slice(packed);
}

/// A packed layer laid out for use.
pub(crate) struct Unpacked {
    pub table: Table,
    pub geometries: Geometries,
    pub index: PackedIndex,
    /// Overview levels, yet to be checked against the shapes.
    pub levels: Option<Vec<u8>>,
}

impl Default for Unpacked {
    fn default() -> Self {
        let (table, geometries) = (Table::default(), Geometries::default());
        Self { table, geometries, index: PackedIndex::from_grid(&[]), levels: None }
    }
}

/// Reads parts, index and, where they were kept, overview levels. `None` for what is damaged, incomplete or in the wrong
/// order.
pub(crate) fn unpack<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Option<Unpacked> {
    let mut table = Table::default();
    let mut geometries = Geometries::default();
    let mut parts = parts.into_iter().peekable();
    while let Some(part) = parts.next_if(|part| part.starts_with(MAGIC)) {
        Reader { bytes: part }.part(&mut table, &mut geometries)?;
    }
    let index = parts.next()?;
    let levels = parts.next().map(<[u8]>::to_vec);
    table.seal();
    geometries.seal();
    let rows = u32::try_from(table.len()).ok()?;
    let boxes: Vec<GridBox> = (0..rows).map(|ordinal| grid_box(&geometries.bbox(ordinal))).collect();
    let index = PackedIndex::from_bytes(index, &boxes)?;
    Some(Unpacked { table, geometries, index, levels })
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A count of things that take a byte each at least: what is damaged must not allocate without limit.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.bytes.len()).then_some(count)
    }

    fn strings(&mut self, into: &mut Strings) -> Option<usize> {
        let count = self.count()?;
        let lengths: Vec<usize> = (0..count).map(|_| usize::try_from(self.number()?).ok()).collect::<Option<_>>()?;
        let total = lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length))?;
        let mut text = std::str::from_utf8(self.take(total)?).ok()?;
        for length in lengths {
            let (one, rest) = text.split_at_checked(length)?;
            into.push(one).then_some(())?;
            text = rest;
        }
        Some(count)
    }

    fn part(&mut self, table: &mut Table, geometries: &mut Geometries) -> Option<()> {
        (self.take(4)? == MAGIC).then_some(())?;
        let rows = self.count()?;
        let before = table.len();
        (self.strings(&mut table.ids)? == rows).then_some(())?;
        let mut names = Strings::default();
        for at in 0..self.strings(&mut names)? {
            let name = names.get(at)?.to_owned();
            let (tags, bits) = (vec![Tag::Absent; before], vec![0; before]);
            table.columns.push(Column { name, tags, bits, ..Column::default() });
        }
        self.strings(&mut table.words)?;
        let words = table.words.len() as u64;
        for column in &mut table.columns {
            self.cells(rows, words, column)?;
        }
        self.geometries(rows, geometries)
    }

    fn cells(&mut self, rows: usize, words: u64, column: &mut Column) -> Option<()> {
        let tag = |byte: u8| Tag::ALL.get(usize::from(byte)).copied();
        let start = column.tags.len();
        match self.byte()? {
            0 => {
                column.tags.resize(start + rows, Tag::Absent);
                column.bits.resize(start + rows, 0);
                return Some(());
            }
            1 => {
                let tag = tag(self.byte()?)?;
                column.tags.resize(start + rows, tag);
            }
            2 => {
                for byte in self.take(rows)? {
                    column.tags.push(tag(*byte)?);
                }
            }
            _ => return None,
        }
        let width = usize::from(self.byte()?);
        if !matches!(width, 1 | 2 | 4 | 8) {
            return None;
        }
        let bytes = self.take(rows.checked_mul(width)?)?;
        column.bits.reserve(rows);
        for chunk in bytes.chunks_exact(width) {
            let mut wide = [0; 8];
            wide[..width].copy_from_slice(chunk);
            column.bits.push(u64::from_le_bytes(wide));
        }
        let cells = column.tags[start..].iter().zip(&column.bits[start..]);
        let known = cells.map(|(tag, bits)| Cell { tag: *tag, bits: *bits });
        known.into_iter().all(|cell| cell.tag != Tag::Text || cell.bits < words).then_some(())
    }

    fn geometries(&mut self, rows: usize, into: &mut Geometries) -> Option<()> {
        for byte in self.take(rows)? {
            into.types.push(*Type::ALL.get(usize::from(*byte))?);
        }
        let mut paths = u32::try_from(into.kinds.len()).ok()?;
        let first_path = paths;
        for _ in 0..rows {
            paths = paths.checked_add(u32::try_from(self.number()?).ok()?)?;
            into.path_ends.push(paths);
        }
        let mut end = u32::try_from(into.coords.len()).ok()?;
        let mut raw = Vec::with_capacity(rows);
        let mut raw_coords = 0_usize;
        for _ in first_path..paths {
            let kind = self.byte()?;
            let count = u32::try_from(self.number()?).ok()?;
            into.kinds.push(*PathKind::ALL.get(usize::from(kind & !RAW))?);
            end = end.checked_add(count)?;
            into.ends.push(end);
            raw.push(kind & RAW != 0);
            raw_coords += if kind & RAW == 0 { 0 } else { count as usize };
        }
        let decimals = self.byte()?;
        let mut raw_bytes = self.take(raw_coords.checked_mul(16)?)?.chunks_exact(16);
        let total = (end as usize).checked_sub(into.coords.len())?;
        if decimals > 15 || total.checked_sub(raw_coords)? > self.bytes.len() {
            return None;
        }
        let scale = power_of_ten(decimals);
        into.coords.reserve(total);
        let mut last = [0_i64; 2];
        for (path, raw) in (first_path as usize..).zip(raw) {
            let count = (into.ends[path] as usize).checked_sub(into.coords.len())?;
            for _ in 0..count {
                if raw {
                    let pair = raw_bytes.next()?;
                    let ordinate = |at: usize| Some(f64::from_le_bytes(pair.get(at..at + 8)?.try_into().ok()?));
                    into.coords.push(Coord { x: ordinate(0)?, y: ordinate(8)? });
                } else {
                    for ordinate in &mut last {
                        let zigzag = self.number()?;
                        let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
                        *ordinate = ordinate.wrapping_add(difference);
                    }
                    #[allow(clippy::cast_precision_loss)]
                    into.coords.push(Coord { x: last[0] as f64 / scale, y: last[1] as f64 / scale });
                }
            }
        }
        self.bytes.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geo_types::{Geometry, GeometryCollection, Point, line_string, polygon};
    use model::Value;
    use proptest::prelude::*;

    fn packed(features: &[Feature]) -> Vec<Vec<u8>> {
        let mut packer = Packer::new();
        let mut parts: Vec<Vec<u8>> = features.iter().filter_map(|feature| packer.push(feature)).collect();
        parts.extend(packer.finish());
        parts
    }

    fn restored(parts: &[Vec<u8>]) -> Option<Vec<Feature>> {
        let Unpacked { table, geometries, .. } = unpack(parts.iter().map(Vec::as_slice))?;
        let rows = u32::try_from(table.len()).ok()?;
        let feature = |o: u32| Feature {
            id: table.id(o).unwrap_or_default().to_owned(),
            geometry: geometries.geometry(o),
            properties: table.properties(o),
        };
        Some((0..rows).map(feature).collect())
    }

    fn geometry() -> impl Strategy<Value = Geometry<f64>> {
        let at = (-180.0..180.0_f64, -90.0..90.0_f64, 0..14_u8).prop_map(|(x, y, digits)| {
            let round = |v: f64| if digits > 12 { v } else { format!("{v:.*}", usize::from(digits)).parse().unwrap() };
            Coord { x: round(x), y: round(y) }
        });
        proptest::collection::vec(at, 4..9).prop_flat_map(|c| {
            let ring = |c: &[Coord<f64>]| geo_types::Polygon::new(c.to_vec().into(), vec![c[1..].to_vec().into()]);
            prop_oneof![
                3 => Just(Geometry::Point(Point(c[0]))),
                1 => Just(Geometry::MultiPoint(c.iter().map(|c| Point(*c)).collect())),
                1 => Just(Geometry::LineString(c.clone().into())),
                1 => Just(Geometry::MultiLineString(geo_types::MultiLineString(vec![c.clone().into(), c[..2].to_vec().into()]))),
                2 => Just(Geometry::Polygon(ring(&c))),
                1 => Just(Geometry::MultiPolygon(geo_types::MultiPolygon(vec![ring(&c), ring(&c[..3])]))),
                1 => Just(Geometry::GeometryCollection(GeometryCollection(vec![
                    Geometry::Point(Point(c[0])), Geometry::LineString(c.clone().into()), Geometry::Polygon(ring(&c))
                ]))),
            ]
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            (-1e9..1e9_f64).prop_map(Value::Real),
            "[a-zàđ ]{0,6}".prop_map(Value::Text),
        ]
    }

    fn feature() -> impl Strategy<Value = Feature> {
        let properties = proptest::collection::btree_map("[a-e]", value(), 0..4);
        ("[a-z0-9]{1,5}", geometry(), properties).prop_map(|(id, geometry, properties)| Feature {
            id,
            geometry,
            properties: properties.into_iter().collect(),
        })
    }

    proptest! {
        #[test]
        fn packed_features_come_back_as_they_were(features in proptest::collection::vec(feature(), 0..40)) {
            prop_assert_eq!(restored(&packed(&features)).unwrap(), features);
        }

        #[test]
        fn damage_is_refused_or_harmless(
            features in proptest::collection::vec(feature(), 1..20), at in any::<usize>(), bits in 1..=255_u8, cut in any::<bool>()
        ) {
            let mut parts = packed(&features);
            let part = &mut parts[0];
            let at = at % part.len();
            if cut { part.truncate(at) } else { part[at] ^= bits }
            if let Some(restored) = restored(&parts) {
                prop_assert!(!cut);
                prop_assert_eq!(restored.len(), features.len());
            }
            prop_assert!(restored(&parts[..parts.len() - 1]).is_none());
        }
    }

    #[test]
    fn many_parts_are_one_layer_and_columns_may_come_late() {
        let feature = |i: usize| Feature {
            id: i.to_string(),
            #[allow(clippy::cast_precision_loss)]
            geometry: if i % 1_000 == 999 {
                line_string![(x: 106.0, y: 11.0), (x: 106.1, y: 11.0 + i as f64 / 1e7)].into()
            } else {
                polygon![(x: 106.0, y: 11.0), (x: 106.1, y: 11.0), (x: 106.1, y: 11.0 + i as f64 / 1e7)].into()
            },
            properties: if i > PART_ROWS + 5 {
                [("n".into(), Value::Integer(-1)), ("t".into(), Value::Text(format!("chủ {i}")))].into()
            } else {
                [("n".into(), Value::Integer(7))].into()
            },
        };
        let features: Vec<Feature> = (0..2 * PART_ROWS + 3).map(feature).collect();
        let parts = packed(&features);
        assert_eq!(parts.len(), 4);
        assert_eq!(restored(&parts).unwrap(), features);
        assert!(parts.iter().map(Vec::len).sum::<usize>() < features.len() * 100);
    }
}
