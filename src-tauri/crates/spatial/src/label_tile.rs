//! Label points of polygons as a tile's second layer, for layers too large to have them come as one GeoJSON.

use crate::geometries::Geometries;
use crate::label::label_point;
use crate::mvt::{Commands, Kind, LayerWriter, value_message};
use crate::packed::Found;
use crate::ring::Scale;
use crate::shapes::PathKind;
use crate::table::{Cell, Tag};
use crate::tile::{EXTENT, MAX_ZOOM, Source, degrees_of};
use model::Value;

/// A polygon smaller both ways has no room for a word: 24 pixels of a 512-pixel tile.
const LEAST: i64 = 24 * 8;

/// The layer `NAME:labels`: each label in the one tile its point lies in.
pub(crate) fn label_tile(source: &Source<'_>, geometries: &Geometries, z: u8, x: u32, y: u32) -> Option<Vec<u8>> {
    if z > MAX_ZOOM || x >> z != 0 || y >> z != 0 {
        return None;
    }
    let scale = Scale::new(z, x, y);
    let mut found = Found::default();
    source.index.search_into(&degrees_of(z, x, y), &mut found);
    let mut candidates = found.inside;
    candidates.append(&mut found.edge);
    candidates.retain(|ordinal| has_room(source, *ordinal, LEAST << scale.shift()));
    candidates.sort_unstable();
    let mut keys = source.columns.keys.clone();
    let area_key = u32::try_from(keys.len()).ok()?;
    keys.push("area_m2".to_owned());
    let mut writer = LayerWriter::for_features(candidates.len());
    let mut commands = Commands::default();
    for ordinal in candidates {
        let geometry = geometries.geometry(ordinal);
        let Some(at) = label_point(&geometry) else { continue };
        let place = scale.place(crate::grid::to_world(at));
        if !place.iter().all(|v| (0..EXTENT.cast_signed()).contains(v)) {
            continue;
        }
        commands.clear();
        commands.points(&[place]);
        source.columns.tag(source.table, ordinal, &mut writer);
        let area_m2 = geodesy::area_m2(&geometry).round();
        let cell = Cell { tag: Tag::Real, bits: area_m2.to_bits() };
        writer.tag(area_key, cell, || value_message(&Value::Real(area_m2)));
        writer.feature(ordinal, Kind::Point, &commands);
    }
    let name = format!("{}:labels", source.layer);
    (writer.count() > 0).then(|| writer.finish(&name, EXTENT, &keys))
}

fn has_room(source: &Source<'_>, ordinal: u32, least: i64) -> bool {
    source.shapes.paths(ordinal).any(|(path, _)| {
        let [west, north, east, south] = path.bbox.map(i64::from);
        path.kind == PathKind::Exterior && (east - west >= least || south - north >= least)
    })
}
