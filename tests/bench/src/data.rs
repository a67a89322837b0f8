//! The data of `data.py`, as the jobs need it. Degrees, longitude first.

use crate::Failure;
use geo_types::{Coord, Geometry, Polygon};
use model::{BBox, Feature, LayerId, Value};
use serde::de::DeserializeOwned;
use sources::{Continue, ReadOptions, read_file};
use spatial::LayerPicture;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Around all the data, with room to spare.
const PROVINCE: [f64; 4] = [105.0, 10.0, 107.5, 12.0];

#[derive(serde::Deserialize)]
struct Queries {
    pt: Vec<[f64; 2]>,
    bbox: Vec<[f64; 4]>,
}

/// Metres per degree, for peers that know only the plane.
#[derive(Clone, Copy, serde::Deserialize)]
pub struct Frame {
    pub kx: f64,
    pub ky: f64,
}

impl Frame {
    /// Metres east and north of 0°, 0°.
    pub fn metres(self, c: Coord<f64>) -> [f64; 2] {
        [c.x * self.kx, c.y * self.ky]
    }
}

/// The folder, and what was read of it so far.
pub struct Data {
    folder: PathBuf,
    pub frame: Frame,
    pub places: Vec<Coord<f64>>,
    pub boxes: Vec<BBox>,
    /// Metres, one a place.
    pub radii_m: Vec<f64>,
    pub join: Vec<Coord<f64>>,
    parcels: Option<Rc<Layer>>,
    points: Option<Rc<Layer>>,
}

/// One layer: our picture of it, and the bare shapes for the peers.
pub struct Layer {
    pub picture: LayerPicture,
    pub shapes: Vec<Geometry<f64>>,
}

impl Layer {
    pub fn coords(&self) -> Vec<Coord<f64>> {
        let point = |shape: &Geometry<f64>| if let Geometry::Point(p) = shape { Some(p.0) } else { None };
        self.shapes.iter().filter_map(point).collect()
    }

    pub fn polygons(&self) -> Vec<Polygon<f64>> {
        self.shapes.iter().filter_map(polygon).collect()
    }

    pub fn boxes(&self) -> Vec<BBox> {
        self.shapes.iter().map(model::geometry_bbox).collect()
    }
}

pub fn polygon(shape: &Geometry<f64>) -> Option<Polygon<f64>> {
    if let Geometry::Polygon(polygon) = shape { Some(polygon.clone()) } else { None }
}

impl Data {
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let queries: Queries = json(folder, "queries.json")?;
        let frame: Frame = json(folder, "frame.json")?;
        let radii: Vec<f64> = json(folder, "rad.json")?;
        let join: Vec<[f64; 2]> = json(folder, "join.json")?;
        Ok(Self {
            folder: folder.to_owned(),
            frame,
            places: queries.pt.into_iter().map(Coord::from).collect(),
            boxes: queries.bbox.into_iter().map(BBox::from).collect(),
            radii_m: radii.into_iter().map(|degrees| degrees * frame.ky).collect(),
            join: join.into_iter().map(Coord::from).collect(),
            parcels: None,
            points: None,
        })
    }

    /// Forgets what is large.
    pub fn forget(&mut self) {
        (self.parcels, self.points) = (None, None);
    }

    pub fn parcels(&mut self) -> Result<Rc<Layer>, Failure> {
        if self.parcels.is_none() {
            let fields = ["so_to", "so_thua", "loai_dat", "xa", "dien_tich"];
            self.parcels = Some(Rc::new(layer(&self.folder, "parcels", "chu_su_dung", &fields)?));
        }
        self.parcels.clone().ok_or_else(|| "no parcels".into())
    }

    pub fn points(&mut self) -> Result<Rc<Layer>, Failure> {
        if self.points.is_none() {
            self.points = Some(Rc::new(layer(&self.folder, "points", "name", &["kind", "v"])?));
        }
        self.points.clone().ok_or_else(|| "no points".into())
    }

    pub fn zones(&self) -> Result<Vec<Polygon<f64>>, Failure> {
        Ok(features(&self.folder, "zoning")?.iter().filter_map(|feature| polygon(&feature.geometry)).collect())
    }

    /// Numbers of a parcel and of a zone that meet.
    pub fn pairs(&self) -> Result<Vec<[u32; 2]>, Failure> {
        json(&self.folder, "pairs.json")
    }
}

pub fn json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T, Failure> {
    Ok(serde_json::from_reader(BufReader::new(File::open(folder.join(name))?))?)
}

/// Every attribute of the data is carried into tiles: `id` always is.
fn layer(folder: &Path, name: &str, name_field: &str, fields: &[&str]) -> Result<Layer, Failure> {
    let features = features(folder, name)?;
    let shapes = features.iter().map(|feature| feature.geometry.clone()).collect();
    let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
    let picture = LayerPicture::build(LayerId::new(name)?, 1, features, name_field, &fields);
    Ok(Layer { picture, shapes })
}

/// The peers count by place in the file; so must we.
fn features(folder: &Path, name: &str) -> Result<Vec<Feature>, Failure> {
    let mut features: Vec<Feature> = Vec::new();
    let mut sink = |_row: u64, feature: Feature| {
        features.push(feature);
        Ok(())
    };
    let path = folder.join(format!("{name}.geojsonl"));
    let summary = read_file(&path, &ReadOptions::new(PROVINCE.into()), &mut sink, &mut |_, _| Continue::Yes)?;
    if let Some(rejected) = summary.report.rejected.first() {
        return Err(format!("{name}: row {} was rejected: {}", rejected.row, rejected.reason).into());
    }
    for (number, feature) in features.iter().enumerate() {
        if feature.properties.get("id").and_then(Value::as_f64) != Some(number as f64) {
            return Err(format!("{name}: feature {number} is out of its place").into());
        }
    }
    Ok(features)
}
