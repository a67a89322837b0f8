//! Questions to an index: ours, rstar, geo-index.

use crate::Failure;
use crate::data::{Data, Layer};
use geo::{Contains, Intersects, coord};
use geo_index::kdtree::{KDTree, KDTreeBuilder, KDTreeIndex};
use geo_index::rtree::sort::HilbertSort;
use geo_index::rtree::{RTree as PackedRTree, RTreeBuilder, RTreeIndex};
use geo_types::{Coord, Polygon, Rect};
use model::BBox;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use spatial::PackedIndex;
use std::rc::Rc;

/// A question for every item; both closures do the same work.
pub struct Search {
    pub items: usize,
    /// Asks and counts the hits.
    pub count: Box<dyn Fn(usize) -> usize>,
    /// Asks and gives the ids, nearest first where there is an order.
    pub ids: Box<dyn Fn(usize) -> Vec<u32>>,
}

impl Search {
    fn new(items: usize, ask: impl Fn(usize) -> Vec<u32> + 'static) -> Self {
        let ask = Rc::new(ask);
        let again = Rc::clone(&ask);
        Self { items, count: Box::new(move |item| ask(item).len()), ids: Box::new(move |item| again(item)) }
    }

    /// For answers that carry a distance, which the count must not pay to strip.
    fn with_distances(items: usize, ask: impl Fn(usize) -> Vec<(u32, f64)> + 'static) -> Self {
        let ask = Rc::new(ask);
        let again = Rc::clone(&ask);
        let ids = move |item| again(item).into_iter().map(|(id, _)| id).collect();
        Self { items, count: Box::new(move |item| ask(item).len()), ids: Box::new(ids) }
    }
}

type Points = RTree<GeomWithData<[f64; 2], u32>>;
type Boxes = RTree<GeomWithData<Rectangle<[f64; 2]>, u32>>;

pub fn prepare(data: &mut Data, job: &str, engine: &str) -> Result<Search, Failure> {
    match job {
        "bbox_points" => bbox_points(data, engine),
        "bbox_boxes" => bbox_boxes(data, engine),
        "bbox_parcels" => bbox_parcels(data, engine),
        "nearest_10" => nearest(data, engine, 10),
        "nearest_1" => nearest(data, engine, 1),
        "within" => within(data, engine),
        "join" => join(data, engine),
        _ => Err(format!("no job {job}").into()),
    }
}

fn unknown(engine: &str) -> Failure {
    format!("{engine} has no such question").into()
}

fn bbox_points(data: &mut Data, engine: &str) -> Result<Search, Failure> {
    let layer = data.points()?;
    let boxes = data.boxes.clone();
    let n = boxes.len();
    Ok(match engine {
        "ours" => Search::new(n, move |item| layer.picture.within_bbox(boxes[item])),
        "rstar" => {
            let tree = points_tree(layer.coords().into_iter().map(|c| [c.x, c.y]));
            Search::new(n, move |item| tree.locate_in_envelope(envelope(&boxes[item])).map(|p| p.data).collect())
        }
        "geo-index" => {
            let tree = packed_tree(layer.coords().iter().map(|c| [c.x, c.y, c.x, c.y]))?;
            Search::new(n, move |item| search(&tree, &boxes[item]))
        }
        "geo-index k-d" => {
            let tree = kd_tree(layer.coords().into_iter().map(|c| [c.x, c.y]))?;
            Search::new(n, move |item| {
                let b = boxes[item];
                tree.range(b.west, b.south, b.east, b.north)
            })
        }
        _ => return Err(unknown(engine)),
    })
}

/// Boxes alone, what an index without shapes can tell.
fn bbox_boxes(data: &mut Data, engine: &str) -> Result<Search, Failure> {
    let layer = data.parcels()?;
    let boxes = data.boxes.clone();
    let n = boxes.len();
    Ok(match engine {
        "ours" => {
            let own = layer.boxes();
            let index = PackedIndex::build(&own);
            Search::new(n, move |item| index.search_boxes(&boxes[item], &own))
        }
        "rstar" => {
            let tree = boxes_tree(&layer);
            Search::new(n, move |item| {
                tree.locate_in_envelope_intersecting(envelope(&boxes[item])).map(|hit| hit.data).collect()
            })
        }
        "geo-index" => {
            let tree = packed_tree(corners(&layer))?;
            Search::new(n, move |item| search(&tree, &boxes[item]))
        }
        _ => return Err(unknown(engine)),
    })
}

/// Shapes: what the index finds is looked at by `geo`, unless its box lies wholly inside.
fn bbox_parcels(data: &mut Data, engine: &str) -> Result<Search, Failure> {
    let layer = data.parcels()?;
    let boxes = data.boxes.clone();
    let n = boxes.len();
    if engine == "ours" {
        return Ok(Search::new(n, move |item| layer.picture.within_bbox(boxes[item])));
    }
    let (own, polygons) = (layer.boxes(), layer.polygons());
    let meets = move |hit: u32, b: &BBox| {
        let o = &own[hit as usize];
        let wholly = b.contains(o.west, o.south) && b.contains(o.east, o.north);
        let rect = || Rect::new(coord! { x: b.west, y: b.south }, coord! { x: b.east, y: b.north });
        wholly || polygons[hit as usize].intersects(&rect())
    };
    Ok(match engine {
        "rstar + geo" => {
            let tree = boxes_tree(&layer);
            Search::new(n, move |item| {
                let found = tree.locate_in_envelope_intersecting(envelope(&boxes[item])).map(|hit| hit.data);
                found.filter(|hit| meets(*hit, &boxes[item])).collect()
            })
        }
        "geo-index + geo" => {
            let tree = packed_tree(corners(&layer))?;
            Search::new(n, move |item| {
                let mut found = search(&tree, &boxes[item]);
                found.retain(|hit| meets(*hit, &boxes[item]));
                found
            })
        }
        _ => return Err(unknown(engine)),
    })
}

/// Ours by the geodesic; the peers in the plane, with metres east and north as their coordinates.
fn nearest(data: &mut Data, engine: &str, k: usize) -> Result<Search, Failure> {
    let layer = data.points()?;
    let (places, frame) = (data.places.clone(), data.frame);
    let n = places.len();
    Ok(match engine {
        "ours" => Search::with_distances(n, move |item| layer.picture.near(places[item], None, Some(k))),
        "rstar" => {
            let tree = points_tree(layer.coords().into_iter().map(|c| frame.metres(c)));
            Search::new(n, move |item| {
                tree.nearest_neighbor_iter(frame.metres(places[item])).take(k).map(|p| p.data).collect()
            })
        }
        "geo-index" => {
            let tree = packed_tree(layer.coords().into_iter().map(|c| {
                let [x, y] = frame.metres(c);
                [x, y, x, y]
            }))?;
            Search::new(n, move |item| {
                let [x, y] = frame.metres(places[item]);
                tree.neighbors(x, y, Some(k), None)
            })
        }
        _ => return Err(unknown(engine)),
    })
}

fn within(data: &mut Data, engine: &str) -> Result<Search, Failure> {
    let layer = data.points()?;
    let (places, frame, radii) = (data.places.clone(), data.frame, data.radii_m.clone());
    let n = places.len();
    Ok(match engine {
        "ours" => Search::new(n, move |item| layer.picture.within_radius(places[item], radii[item])),
        "rstar" => {
            let tree = points_tree(layer.coords().into_iter().map(|c| frame.metres(c)));
            Search::new(n, move |item| {
                let square = radii[item] * radii[item];
                tree.locate_within_distance(frame.metres(places[item]), square).map(|p| p.data).collect()
            })
        }
        "geo-index k-d" => {
            let tree = kd_tree(layer.coords().into_iter().map(|c| frame.metres(c)))?;
            Search::new(n, move |item| {
                let [x, y] = frame.metres(places[item]);
                tree.within(x, y, radii[item])
            })
        }
        _ => return Err(unknown(engine)),
    })
}

/// Points in polygons, point by point.
fn join(data: &mut Data, engine: &str) -> Result<Search, Failure> {
    let layer = data.parcels()?;
    let places = data.join.clone();
    let n = places.len();
    if engine == "ours" {
        return Ok(Search::with_distances(n, move |item| layer.picture.at(places[item], 0.0)));
    }
    let polygons: Vec<Polygon<f64>> = layer.polygons();
    let holds = move |hit: u32, at: Coord<f64>| polygons[hit as usize].contains(&at);
    Ok(match engine {
        "rstar + geo" => {
            let tree = boxes_tree(&layer);
            Search::new(n, move |item| {
                let at = places[item];
                let found = tree.locate_in_envelope_intersecting(AABB::from_point([at.x, at.y]));
                found.map(|hit| hit.data).filter(|hit| holds(*hit, at)).collect()
            })
        }
        "geo-index + geo" => {
            let tree = packed_tree(corners(&layer))?;
            Search::new(n, move |item| {
                let at = places[item];
                let mut found = tree.search(at.x, at.y, at.x, at.y);
                found.retain(|hit| holds(*hit, at));
                found
            })
        }
        _ => return Err(unknown(engine)),
    })
}

fn envelope(b: &BBox) -> AABB<[f64; 2]> {
    AABB::from_corners([b.west, b.south], [b.east, b.north])
}

fn points_tree(points: impl Iterator<Item = [f64; 2]>) -> Points {
    RTree::bulk_load((0_u32..).zip(points).map(|(n, p)| GeomWithData::new(p, n)).collect())
}

fn boxes_tree(layer: &Layer) -> Boxes {
    let rectangle = |b: &BBox| Rectangle::from_corners([b.west, b.south], [b.east, b.north]);
    RTree::bulk_load((0_u32..).zip(&layer.boxes()).map(|(n, b)| GeomWithData::new(rectangle(b), n)).collect())
}

fn corners(layer: &Layer) -> impl ExactSizeIterator<Item = [f64; 4]> {
    layer.boxes().into_iter().map(|b| [b.west, b.south, b.east, b.north])
}

fn packed_tree(boxes: impl ExactSizeIterator<Item = [f64; 4]>) -> Result<PackedRTree<f64>, Failure> {
    let mut builder = RTreeBuilder::<f64>::new(u32::try_from(boxes.len())?);
    for [west, south, east, north] in boxes {
        builder.add(west, south, east, north);
    }
    Ok(builder.finish::<HilbertSort>())
}

fn kd_tree(points: impl ExactSizeIterator<Item = [f64; 2]>) -> Result<KDTree<f64>, Failure> {
    let mut builder = KDTreeBuilder::<f64>::new(u32::try_from(points.len())?);
    for [x, y] in points {
        builder.add(x, y);
    }
    Ok(builder.finish())
}

fn search(tree: &PackedRTree<f64>, b: &BBox) -> Vec<u32> {
    tree.search(b.west, b.south, b.east, b.north)
}
