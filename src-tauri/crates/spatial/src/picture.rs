//! A layer as it stands at one version, ready to be asked.

use crate::columns::Columns;
use crate::geojson;
use crate::grid::{GridBox, grid_box};
use crate::label::label_point;
use crate::levels::Levels;
use crate::packed::PackedIndex;
use crate::shapes::Shapes;
use crate::tile::{Source, tag_bytes, tile};
use geo_types::{Coord, Geometry};
use model::{BBox, Feature, LayerId, geometry_bbox};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// An immutable layer: its features, their index, and what tiles are cut from. Share it in an `Arc`.
#[derive(Debug)]
pub struct LayerPicture {
    pub layer: LayerId,
    /// Counts up with each sync; part of every tile's address.
    pub version: u32,
    pub(crate) features: Vec<Feature>,
    pub(crate) index: PackedIndex,
    ids: Ids,
    bbox: Option<BBox>,
    /// In index order, for a layer of single points: what most questions need, close together. Empty otherwise.
    pub(crate) points: Vec<Coord<f64>>,
    name_field: String,
    tile_fields: Vec<String>,
    /// Built at once for lines and polygons, on the first tile for points, which mostly travel as GeoJSON.
    drawing: OnceLock<(Shapes, Columns, Levels)>,
}

/// One feature of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub ordinal: u32,
    pub feature: &'a Feature,
    pub bbox: BBox,
}

impl Entry<'_> {
    /// As [`LayerPicture::label_point`].
    pub fn label_point(&self) -> Option<Coord<f64>> {
        label_point(&self.feature.geometry)
    }
}

impl LayerPicture {
    /// Indexes the features; their order gives the ordinals.
    ///
    /// `name_field` is carried into tiles as `name`, `tile_fields` under their own names. Features with an empty geometry
    /// are kept, but no question about places finds them.
    pub fn build(
        layer: LayerId,
        version: u32,
        features: Vec<Feature>,
        name_field: &str,
        tile_fields: &[String],
    ) -> Self {
        Self::assemble(layer, version, features, name_field, tile_fields, None)
    }

    /// As [`LayerPicture::build`], sparing the sort when `index` (from [`LayerPicture::index_bytes`]) was made for these
    /// very features. Any other bytes do no harm: the index is built anew.
    pub fn build_with_index(
        layer: LayerId,
        version: u32,
        features: Vec<Feature>,
        name_field: &str,
        tile_fields: &[String],
        index: &[u8],
    ) -> Self {
        Self::assemble(layer, version, features, name_field, tile_fields, Some(index))
    }

    fn assemble(
        layer: LayerId,
        version: u32,
        mut features: Vec<Feature>,
        name_field: &str,
        tile_fields: &[String],
        blob: Option<&[u8]>,
    ) -> Self {
        features.truncate(u32::MAX as usize - 1);
        let mut all = BBox::EMPTY;
        let boxes: Vec<GridBox> = features
            .iter()
            .map(|feature| {
                let bbox = finite_bbox(&feature.geometry);
                all = all.union(bbox);
                grid_box(&bbox)
            })
            .collect();
        let index = blob
            .and_then(|bytes| PackedIndex::from_bytes(bytes, &boxes))
            .unwrap_or_else(|| PackedIndex::from_grid(&boxes));
        let ids = Ids::build(&features);
        let all_points = features.iter().all(|feature| matches!(feature.geometry, Geometry::Point(_)));
        let point = |ordinal: &u32| match features[*ordinal as usize].geometry {
            Geometry::Point(p) => p.0,
            _ => Coord { x: f64::NAN, y: f64::NAN },
        };
        let points = if all_points { index.order().iter().map(point).collect() } else { Vec::new() };
        let picture = Self {
            layer,
            version,
            features,
            index,
            ids,
            bbox: (!all.is_empty()).then_some(all),
            points,
            name_field: name_field.to_owned(),
            tile_fields: tile_fields.to_vec(),
            drawing: OnceLock::new(),
        };
        if !all_points {
            picture.drawing();
        }
        picture
    }

    /// The index's order as an opaque blob for [`LayerPicture::build_with_index`]: 20 bytes and 4 a feature.
    pub fn index_bytes(&self) -> Vec<u8> {
        let boxes: Vec<GridBox> = self.features.iter().map(|f| grid_box(&finite_bbox(&f.geometry))).collect();
        self.index.to_bytes(&boxes)
    }

    pub fn len(&self) -> usize {
        self.features.len()
    }

    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// In ordinal order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    pub fn feature(&self, ordinal: u32) -> Option<&Feature> {
        self.features.get(ordinal as usize)
    }

    pub fn entry(&self, ordinal: u32) -> Option<Entry<'_>> {
        let feature = self.feature(ordinal)?;
        Some(Entry { ordinal, feature, bbox: geometry_bbox(&feature.geometry) })
    }

    /// The ordinal of a feature id; the first one where a careless source repeats it.
    pub fn ordinal_of(&self, id: &str) -> Option<u32> {
        self.ids.find(&self.features, id)
    }

    /// The text of the name field, where the feature has one.
    pub fn name(&self, ordinal: u32) -> Option<&str> {
        self.feature(ordinal)?.text(&self.name_field)
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
        label_point(&self.feature(ordinal)?.geometry)
    }

    /// A Mapbox Vector Tile 2.1 with one layer named like this one; feature ids are ordinals; properties `id`, `name` and
    /// the tile fields. `None` when nothing is drawn there or there is no such tile ([`crate::MAX_ZOOM`]).
    ///
    /// Lines and rings keep the vertices that matter at the zoom, the same for neighbours, whose common border stays one;
    /// every polygon is valid. Where a tile would exceed about a megabyte or 16,384 features, small polygons and points
    /// give way to one of their number: the density stays, not each lot. What shows at a zoom shows at all deeper ones.
    pub fn tile(&self, z: u8, x: u32, y: u32) -> Option<Vec<u8>> {
        let (shapes, columns, levels) = self.drawing();
        let source = Source {
            layer: self.layer.as_str(),
            features: &self.features,
            index: &self.index,
            shapes,
            columns,
            levels,
        };
        tile(&source, z, x, y)
    }

    fn drawing(&self) -> &(Shapes, Columns, Levels) {
        self.drawing.get_or_init(|| {
            let shapes = Shapes::build(&self.features);
            let columns = Columns::build(&self.features, &self.name_field, &self.tile_fields);
            let bytes = tag_bytes(&self.features, &self.index, &columns);
            let levels = Levels::build(&shapes, &self.index, &|_| 0.0, bytes, self.features.len());
            (shapes, columns, levels)
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

/// Empty when a coordinate is not finite: such a feature has no place.
fn finite_bbox(geometry: &Geometry<f64>) -> BBox {
    let mut finite = true;
    let mut bbox = BBox::EMPTY;
    model::visit_coords(geometry, &mut |c| {
        finite &= c.x.is_finite() && c.y.is_finite();
        bbox.add(c.x, c.y);
    });
    if finite { bbox } else { BBox::EMPTY }
}

/// Feature id → ordinal without a copy of the ids: an open-addressing table of ordinals.
#[derive(Debug)]
struct Ids {
    hash: RandomState,
    /// A power of two, at most half full.
    table: Vec<u32>,
}

const FREE: u32 = u32::MAX;

impl Ids {
    fn build(features: &[Feature]) -> Self {
        let mut ids =
            Self { hash: RandomState::new(), table: vec![FREE; (features.len() * 2).next_power_of_two().max(2)] };
        for (ordinal, feature) in (0..FREE).zip(features) {
            let place = ids.place(features, &feature.id);
            if ids.table[place] == FREE {
                ids.table[place] = ordinal;
            }
        }
        ids
    }

    /// Where the id stands, or the free place where it would.
    fn place(&self, features: &[Feature], id: &str) -> usize {
        let mask = self.table.len() - 1;
        #[allow(clippy::cast_possible_truncation)]
        let mut place = self.hash.hash_one(id) as usize & mask;
        while self.table[place] != FREE && features[self.table[place] as usize].id != id {
            place = (place + 1) & mask;
        }
        place
    }

    fn find(&self, features: &[Feature], id: &str) -> Option<u32> {
        Some(self.table[self.place(features, id)]).filter(|ordinal| *ordinal != FREE)
    }
}
