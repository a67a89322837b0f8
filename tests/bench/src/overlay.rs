//! Polygon overlay: parcels cut by zones, and the union of many parcels.

use crate::Failure;
use crate::data::Data;
use crate::ours::Ours;
use geo::{Area, BooleanOps, unary_union};
use geo_types::Polygon;
use serde_json::{Value, json};
use std::time::Instant;

/// Union of so many parcels.
const UNITED: usize = 20_000;

pub struct Overlay {
    parcels: Vec<Polygon<f64>>,
    zones: Vec<Polygon<f64>>,
    pairs: Vec<[u32; 2]>,
    ours: Ours,
}

impl Overlay {
    pub fn load(data: &mut Data) -> Result<Self, Failure> {
        let layer = data.parcels()?;
        let parcels = layer.polygons().into_iter().take(UNITED).collect();
        Ok(Self { parcels, zones: data.zones()?, pairs: data.pairs()?, ours: Ours::new()? })
    }

    pub fn run(&self, job: &str, engine: &str, n: usize) -> Result<Value, Failure> {
        let start = Instant::now();
        let areas = self.areas(job, engine, n)?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(json!({ "seconds": seconds, "sum": areas.iter().sum::<f64>() }))
    }

    /// The area of each pair, in the job's unit, in the order of `pairs.json`.
    pub fn answer(&self, job: &str, engine: &str, n: usize) -> Result<Value, Failure> {
        Ok(json!({ "areas": self.areas(job, engine, n)? }))
    }

    fn areas(&self, job: &str, engine: &str, n: usize) -> Result<Vec<f64>, Failure> {
        let pairs = self.pairs.get(..n).unwrap_or(&self.pairs);
        let united = &self.parcels[..n.min(self.parcels.len())];
        match (job, engine) {
            ("union_parcels", "ours" | "ours 2") => self.ours.areas(job, engine, united, &self.zones, pairs),
            (_, "ours" | "ours 2") => self.ours.areas(job, engine, &self.parcels, &self.zones, pairs),
            ("overlay_plane" | "overlay_shapes", "geo") => {
                Ok(pairs.iter().map(|pair| self.cut(pair).unsigned_area()).collect())
            }
            ("union_parcels", "geo") => Ok(vec![unary_union(united).unsigned_area()]),
            _ => Err(format!("{engine} has no {job}").into()),
        }
    }

    fn cut(&self, [parcel, zone]: &[u32; 2]) -> geo_types::MultiPolygon<f64> {
        self.parcels[*parcel as usize].intersection(&self.zones[*zone as usize])
    }
}
