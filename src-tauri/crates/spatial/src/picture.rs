//! A layer as it stands at one version, ready to be asked.

use crate::columns::Columns;
use crate::filter::{Filter, Row};
use crate::geojson;
use crate::geometries::Geometries;
use crate::label::label_point;
use crate::pack::{Packer, unpack};
use crate::packed::PackedIndex;
use crate::shapes::Shapes;
use crate::table::Table;
use crate::tile::{Source, tile};
use geo_types::{Coord, Geometry};
use model::{BBox, Feature, LayerId, Value};
use std::sync::OnceLock;

/// An immutable layer: its features in flat arrays, their index, and what tiles are cut from. Share it in an `Arc`.
#[derive(Debug)]
pub struct LayerPicture {
    pub layer: LayerId,
    /// Counts up with each sync; part of every tile's address.
    pub version: u32,
    pub(crate) table: Table,
    pub(crate) geometries: Geometries,
    pub(crate) index: PackedIndex,
    bbox: Option<BBox>,
    /// In index order, for a layer of single points: what most questions need, close together. Empty otherwise.
    pub(crate) points: Vec<Coord<f64>>,
    name_field: String,
    tile_fields: Vec<String>,
    /// Made with the first tile: a picture that is only asked needs none of it.
    drawing: OnceLock<(Shapes, Columns)>,
}

struct PictureRow<'a> {
    table: &'a Table,
    ordinal: u32,
}

impl Row for PictureRow<'_> {
    fn key(&self) -> &str {
        self.table.id(self.ordinal).unwrap_or_default()
    }

    fn value(&self, name: &str) -> Value {
        let cell = self.table.column(name).map(|column| self.table.cell(self.ordinal, column));
        self.table.value_of(cell.unwrap_or_default())
    }
}

impl LayerPicture {
    /// Indexes the features; their order gives the ordinals.
    ///
    /// `name_field` is carried into tiles as `name`, `tile_fields` under their own names. Features with an empty geometry
    /// are kept, but no question about places finds them. Null properties are not kept.
    pub fn build(
        layer: LayerId,
        version: u32,
        features: Vec<Feature>,
        name_field: &str,
        tile_fields: &[String],
    ) -> Self {
        let mut packer = Packer::new();
        let mut parts: Vec<Vec<u8>> = features.iter().filter_map(|feature| packer.push(feature)).collect();
        drop(features);
        parts.extend(packer.finish());
        let parts = parts.iter().map(Vec::as_slice);
        Self::unpack(layer.clone(), version, parts, name_field, tile_fields).unwrap_or_else(|| {
            // Only a layer beyond four thousand million coordinates does not come back from its own packing.
            Self::assemble(
                layer,
                version,
                (Table::default(), Geometries::default(), PackedIndex::from_grid(&[])),
                name_field,
                tile_fields,
            )
        })
    }

    /// Opens a layer from the bytes that a [`Packer`] made: no sort, no parse, about 0.1 µs a feature. `None` for bytes
    /// that are damaged or not whole; never panics on any.
    pub fn unpack<'a>(
        layer: LayerId,
        version: u32,
        parts: impl IntoIterator<Item = &'a [u8]>,
        name_field: &str,
        tile_fields: &[String],
    ) -> Option<Self> {
        Some(Self::assemble(layer, version, unpack(parts)?, name_field, tile_fields))
    }

    fn assemble(
        layer: LayerId,
        version: u32,
        (table, geometries, index): (Table, Geometries, PackedIndex),
        name_field: &str,
        tile_fields: &[String],
    ) -> Self {
        let point = |ordinal: &u32| geometries.single(*ordinal).unwrap_or(Coord { x: f64::NAN, y: f64::NAN });
        let points = if geometries.all_points() { index.order().iter().map(point).collect() } else { Vec::new() };
        let rows = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let all = (0..rows).fold(BBox::EMPTY, |all, ordinal| all.union(geometries.bbox(ordinal)));
        Self {
            layer,
            version,
            table,
            geometries,
            index,
            bbox: (!all.is_empty()).then_some(all),
            points,
            name_field: name_field.to_owned(),
            tile_fields: tile_fields.to_vec(),
            drawing: OnceLock::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    pub fn ordinals(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    /// In ordinal order, each made for the occasion: for going through a layer once, not for asking.
    pub fn features(&self) -> impl Iterator<Item = Feature> {
        self.ordinals().filter_map(|ordinal| self.feature(ordinal))
    }

    /// A feature as a value of its own. For single attributes, [`LayerPicture::text`] and [`LayerPicture::value`] make less.
    pub fn feature(&self, ordinal: u32) -> Option<Feature> {
        Some(Feature {
            id: self.id(ordinal)?.to_owned(),
            geometry: self.geometries.geometry(ordinal),
            properties: self.table.properties(ordinal),
        })
    }

    pub fn id(&self, ordinal: u32) -> Option<&str> {
        self.table.id(ordinal)
    }

    /// The ordinal of a feature id; the first one where a careless source repeats it.
    pub fn ordinal_of(&self, id: &str) -> Option<u32> {
        self.table.ordinal_of(id)
    }

    /// An attribute; null for one the feature lacks.
    pub fn value(&self, ordinal: u32, field: &str) -> Value {
        PictureRow { table: &self.table, ordinal }.value(field)
    }

    /// An attribute that is text.
    pub fn text(&self, ordinal: u32, field: &str) -> Option<&str> {
        self.table.text(ordinal, self.table.column(field)?)
    }

    /// The text of the name field, where the feature has one.
    pub fn name(&self, ordinal: u32) -> Option<&str> {
        self.text(ordinal, &self.name_field)
    }

    pub fn geometry(&self, ordinal: u32) -> Option<Geometry<f64>> {
        self.id(ordinal).map(|_| self.geometries.geometry(ordinal))
    }

    /// Around one feature, degrees; `None` for one without a place.
    pub fn bbox_of(&self, ordinal: u32) -> Option<BBox> {
        Some(self.geometries.bbox(ordinal)).filter(|bbox| !bbox.is_empty())
    }

    pub fn matches(&self, ordinal: u32, filter: &Filter) -> bool {
        filter.matches(&PictureRow { table: &self.table, ordinal })
    }

    pub(crate) fn name_field(&self) -> &str {
        &self.name_field
    }

    pub(crate) fn tile_fields(&self) -> &[String] {
        &self.tile_fields
    }

    /// Around all features, degrees; `None` for a layer without a place.
    pub fn bbox(&self) -> Option<BBox> {
        self.bbox
    }

    /// Deep inside the largest polygon, half-way along the longest line, or the point itself. Worked out on demand:
    /// microseconds for a lot, about a millisecond for a border of thousands of vertices.
    pub fn label_point(&self, ordinal: u32) -> Option<Coord<f64>> {
        match self.geometries.single(ordinal) {
            Some(c) => Some(c),
            None => label_point(&self.geometry(ordinal)?),
        }
    }

    /// A Mapbox Vector Tile 2.1 with one layer named like this one; feature ids are ordinals; properties `id`, `name` and
    /// the tile fields. `None` when nothing is drawn there or there is no such tile ([`crate::MAX_ZOOM`]).
    ///
    /// Vertices of lines and rings snap to half a pixel of a 512-pixel tile up to z13, so that neighbours keep one border.
    /// In a crowd of more than 2,048 candidates, polygons smaller than a pixel share pixels (up to four pixels a
    /// side to keep to 16,384 features): the density stays, not each lot.
    pub fn tile(&self, z: u8, x: u32, y: u32) -> Option<Vec<u8>> {
        let (shapes, columns) = self.drawing();
        let source = Source { layer: self.layer.as_str(), table: &self.table, index: &self.index, shapes, columns };
        tile(&source, z, x, y)
    }

    fn drawing(&self) -> &(Shapes, Columns) {
        self.drawing.get_or_init(|| {
            (Shapes::build(&self.geometries), Columns::build(&self.table, &self.name_field, &self.tile_fields))
        })
    }

    /// The layer's points as a GeoJSON `FeatureCollection`: `id` is the ordinal, properties `id`, `name` and the tile
    /// fields. A multi-point gives a feature each; lines and polygons are left out.
    pub fn points_geojson(&self) -> Vec<u8> {
        geojson::points(self)
    }

    /// The label points of the layer's polygons as a GeoJSON `FeatureCollection`: as [`LayerPicture::points_geojson`],
    /// with `area_m2` (geodesic).
    pub fn labels_geojson(&self) -> Vec<u8> {
        geojson::labels(self)
    }
}
