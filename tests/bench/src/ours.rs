//! Our side of the overlay jobs.

use crate::Failure;
use geo_types::Polygon;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use spatial::overlay::{Measure, Op, Prepared, area_planar, overlay_areas, overlay_pairs, union_all};
use std::collections::BTreeMap;

pub struct Ours {
    one: ThreadPool,
    two: ThreadPool,
}

impl Ours {
    pub fn new() -> Result<Self, Failure> {
        let pool = |threads| ThreadPoolBuilder::new().num_threads(threads).build();
        Ok(Self { one: pool(1)?, two: pool(2)? })
    }

    /// One area a pair; for a union one in all. `engine` is `ours` for one thread, `ours 2` for two. The zones are made
    /// ready anew each time: the peers have no such step, and the pairs must pay for ours.
    pub fn areas(
        &self,
        job: &str,
        engine: &str,
        parcels: &[Polygon<f64>],
        zones: &[Polygon<f64>],
        pairs: &[[u32; 2]],
    ) -> Result<Vec<f64>, Failure> {
        let pool = if engine == "ours 2" { &self.two } else { &self.one };
        if job == "union_parcels" {
            return Ok(vec![pool.install(|| area_planar(&union_all(parcels)))]);
        }
        let mut places = BTreeMap::new();
        for [_, zone] in pairs {
            let next = places.len() as u32;
            places.entry(*zone).or_insert(next);
        }
        let mut used = vec![0; places.len()];
        places.iter().for_each(|(zone, place)| used[*place as usize] = *zone);
        let pairs: Vec<(u32, u32)> = pairs.iter().map(|[parcel, zone]| (*parcel, places[zone])).collect();
        let prepare =
            || -> Vec<Prepared> { used.par_iter().map(|zone| Prepared::new(&zones[*zone as usize])).collect() };
        let op = Op::Intersection;
        match job {
            "overlay_plane" => Ok(pool.install(|| overlay_areas(parcels, &prepare(), &pairs, op, Measure::Planar))),
            "overlay_ellipsoid" => {
                Ok(pool.install(|| overlay_areas(parcels, &prepare(), &pairs, op, Measure::Ellipsoid)))
            }
            "overlay_shapes" => {
                Ok(pool
                    .install(|| overlay_pairs(parcels, &prepare(), &pairs, op).par_iter().map(area_planar).collect()))
            }
            _ => Err(format!("ours has no {job}").into()),
        }
    }
}
