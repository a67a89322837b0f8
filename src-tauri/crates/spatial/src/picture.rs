//! A layer as it stands at one version, ready to be asked.

use crate::columns::Columns;
use crate::filter::{Filter, Row};
use crate::geojson;
use crate::geometries::Geometries;
use crate::label::label_point;
use crate::label_tile::label_tile;
use crate::levels::Levels;
use crate::pack::{Packer, Unpacked, unpack};
use crate::packed::PackedIndex;
use crate::shapes::Shapes;
use crate::table::Table;
use crate::tile::{Source, tag_bytes, tile};
use geo_types::{Coord, Geometry};
use model::{BBox, Feature, LayerId, Value};
use std::sync::{Mutex, OnceLock, PoisonError};

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
    drawing: OnceLock<Drawing>,
    /// The levels as they were kept with the packed layer, until the drawing is made from them.
    kept_levels: Mutex<Option<Vec<u8>>>,
    labels: bool,
}

/// What tiles are cut from.
#[derive(Debug)]
struct Drawing {
    shapes: Shapes,
    columns: Columns,
    levels: Levels,
    /// The levels were made here and nobody has kept them yet.
    new: bool,
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
            Self::assemble(layer, version, Unpacked::default(), name_field, tile_fields)
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
        Unpacked { table, geometries, index, levels }: Unpacked,
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
            kept_levels: Mutex::new(levels),
            labels: false,
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
    /// Lines and rings keep the vertices that matter at the zoom, the same for neighbours, whose common border stays one;
    /// every polygon is valid. Where a tile would exceed about a megabyte or 16,384 features, small polygons and points
    /// give way to one of their number: the density stays, not each lot. What shows at a zoom shows at all deeper ones.
    pub fn tile(&self, z: u8, x: u32, y: u32) -> Option<Vec<u8>> {
        let Drawing { shapes, columns, levels, .. } = self.drawing();
        let (layer, table, index) = (self.layer.as_str(), &self.table, &self.index);
        let source = Source { layer, table, index, shapes, columns, levels };
        let drawn = tile(&source, z, x, y);
        let labels = if self.labels { label_tile(&source, &self.geometries, z, x, y) } else { None };
        match (drawn, labels) {
            // Layers of one tile stand behind each other.
            (Some(mut drawn), Some(labels)) => {
                drawn.extend_from_slice(&labels);
                Some(drawn)
            }
            (drawn, labels) => drawn.or(labels),
        }
    }

    /// From now on tiles carry a second layer, named like this one with `:labels` behind: the label points of polygons
    /// that are at least 24 pixels wide or high, with the same properties and `area_m2` (geodesic).
    pub fn with_labels(mut self) -> Self {
        self.labels = true;
        self
    }

    /// Works out now what the first question and the first tile would have to: some tenths of a second for a layer of
    /// hundreds of thousands of features.
    pub fn prepare(&self) {
        self.notes();
        self.drawing();
    }

    /// The overview levels as bytes, to be kept behind the packed parts, where they were made here and not found there.
    pub fn new_levels(&self) -> Option<Vec<u8>> {
        let drawing = self.drawing.get().filter(|drawing| drawing.new)?;
        Some(drawing.levels.to_bytes(&drawing.shapes))
    }

    fn drawing(&self) -> &Drawing {
        self.drawing.get_or_init(|| {
            let shapes = Shapes::build(&self.geometries);
            let columns = Columns::build(&self.table, &self.name_field, &self.tile_fields);
            let kept = self.kept_levels.lock().unwrap_or_else(PoisonError::into_inner).take();
            let kept = kept.and_then(|bytes| Levels::from_bytes(&bytes, &shapes, self.len()));
            let new = kept.is_none();
            let levels = kept.unwrap_or_else(|| {
                let bytes = tag_bytes(&self.table, &self.index, &columns);
                Levels::build(&shapes, &self.index, &|_| 0.0, bytes, self.len())
            });
            Drawing { shapes, columns, levels, new }
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
