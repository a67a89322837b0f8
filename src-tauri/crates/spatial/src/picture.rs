//! A layer as it stands at one version, ready to be asked.

use crate::columns::Columns;
use crate::geojson;
use crate::grid::{GridBox, grid_box};
use crate::label::label_point;
use crate::measure::Origin;
use crate::nearest::nearest;
use crate::packed::PackedIndex;
use crate::plane::{Part, contains, meets_box, parts, polygon_area};
use crate::shapes::Shapes;
use crate::tile::{Source, tile};
use geo_types::{Coord, Geometry};
use model::{BBox, Feature, LayerId, geometry_bbox};
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::OnceLock;

/// An immutable layer: its features, their index, and what tiles are cut from. Share it in an `Arc`.
#[derive(Debug)]
pub struct LayerPicture {
    pub layer: LayerId,
    /// Counts up with each sync; part of every tile's address.
    pub version: u32,
    features: Vec<Feature>,
    index: PackedIndex,
    ids: Ids,
    bbox: Option<BBox>,
    /// In index order, for a layer of single points: what most questions need, close together. Empty otherwise.
    points: Vec<Coord<f64>>,
    name_field: String,
    tile_fields: Vec<String>,
    /// Built at once for lines and polygons, on the first tile for points, which mostly travel as GeoJSON.
    drawing: OnceLock<(Shapes, Columns)>,
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

    /// Ordinals of the features that have a point in common with the box (degrees, edges included), in index order: near
    /// ones stand near each other.
    pub fn within_bbox(&self, bbox: BBox) -> Vec<u32> {
        let order = self.index.order();
        let hits = RefCell::new(Vec::new());
        let inside = |places: Range<usize>| hits.borrow_mut().extend_from_slice(&order[places]);
        self.index.search_places(&grid_box(&bbox), inside, |place| {
            if self.meets(place, &bbox) {
                hits.borrow_mut().push(order[place]);
            }
        });
        hits.into_inner()
    }

    fn meets(&self, place: usize, bbox: &BBox) -> bool {
        if let Some(c) = self.points.get(place) {
            return bbox.contains(c.x, c.y);
        }
        let geometry = &self.features[self.index.order()[place] as usize].geometry;
        let own = geometry_bbox(geometry);
        let wholly = bbox.contains(own.west, own.south) && bbox.contains(own.east, own.north);
        wholly || (own.intersects(bbox) && meets_box(geometry, bbox))
    }

    /// Everything within a distance, in index order, with its distance in metres.
    fn circle(&self, origin: &Origin, within_m: f64) -> Vec<(u32, f64)> {
        let order = self.index.order();
        let hits = RefCell::new(Vec::new());
        let measure = |place: usize| {
            let distance_m = self.distance_m(origin, place, order[place], within_m);
            if distance_m <= within_m {
                hits.borrow_mut().push((order[place], distance_m));
            }
        };
        let around = grid_box(&origin.around(within_m));
        self.index.search_places(&around, |places| places.for_each(measure), measure);
        hits.into_inner()
    }

    fn distance_m(&self, origin: &Origin, place: usize, ordinal: u32, within_m: f64) -> f64 {
        if let Some(c) = self.points.get(place) {
            return origin.distance_m(*c);
        }
        let geometry = &self.features[ordinal as usize].geometry;
        if within_m > 0.0 { origin.geometry_distance_m(geometry) } else { touch(geometry, origin.at) }
    }

    /// What lies at a place: polygons that contain it (0 m) and whatever comes within `tolerance_m` (metres), nearest
    /// first, the smaller polygon first among equals.
    pub fn at(&self, at: Coord<f64>, tolerance_m: f64) -> Vec<(u32, f64)> {
        if !(at.x.is_finite() && at.y.is_finite()) {
            return Vec::new();
        }
        let tolerance_m = tolerance_m.max(0.0);
        let origin = Origin::new(at);
        let area = |ordinal: u32| geometry_area(&self.features[ordinal as usize].geometry);
        let hits = self.circle(&origin, tolerance_m).into_iter();
        let mut hits: Vec<(f64, f64, u32)> = hits.map(|(ordinal, d)| (d, area(ordinal), ordinal)).collect();
        hits.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        hits.into_iter().map(|(distance_m, _, ordinal)| (ordinal, distance_m)).collect()
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
                hits.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
                hits
            }
            _ => {
                let within_m = within_m.unwrap_or(f64::INFINITY);
                let distance_m = |place, ordinal| self.distance_m(&origin, place, ordinal, f64::INFINITY);
                nearest(&self.index, &origin, within_m, k.unwrap_or(usize::MAX), distance_m)
            }
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
        let source =
            Source { layer: self.layer.as_str(), features: &self.features, index: &self.index, shapes, columns };
        tile(&source, z, x, y)
    }

    fn drawing(&self) -> &(Shapes, Columns) {
        self.drawing.get_or_init(|| {
            (Shapes::build(&self.features), Columns::build(&self.features, &self.name_field, &self.tile_fields))
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

/// Distance with no tolerance: 0 where the polygon contains the place or the point is it, else infinite.
fn touch(geometry: &Geometry<f64>, at: Coord<f64>) -> f64 {
    let mut hit = false;
    parts(geometry, &mut |part| {
        hit = hit
            || match part {
                Part::Point(c) => c == at,
                Part::Line(line) => line.contains(&at),
                Part::Polygon(p) => contains(p, at),
            };
    });
    if hit { 0.0 } else { f64::INFINITY }
}

fn geometry_area(geometry: &Geometry<f64>) -> f64 {
    let mut area = 0.0;
    parts(geometry, &mut |part| {
        if let Part::Polygon(p) = part {
            area += polygon_area(p);
        }
    });
    area
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
