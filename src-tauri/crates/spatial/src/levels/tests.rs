use super::*;
use geo_types::{Coord, Geometry, LineString, Point, Polygon};
use model::{BBox, Feature, geometry_bbox};
use proptest::prelude::*;

fn made(geometries: Vec<Geometry<f64>>) -> (Shapes, PackedIndex) {
    let boxes: Vec<BBox> = geometries.iter().map(geometry_bbox).collect();
    let feature = |geometry| Feature { id: String::new(), geometry, properties: Default::default() };
    let features: Vec<Feature> = geometries.into_iter().map(feature).collect();
    let mut geometries = crate::geometries::Geometries::default();
    features.iter().for_each(|feature| geometries.push(&feature.geometry));
    geometries.seal();
    (Shapes::build(&geometries), PackedIndex::build(&boxes))
}

fn levels(shapes: &Shapes, index: &PackedIndex, count: usize) -> Levels {
    Levels::build(shapes, index, &|_| 0.0, 60, count)
}

fn ring(places: &[(f64, f64)]) -> LineString<f64> {
    places.iter().map(|(x, y)| Coord { x: 106.0 + x * 1e-3, y: 11.0 + y * 1e-3 }).collect()
}

fn polygon(places: &[(f64, f64)]) -> Geometry<f64> {
    Polygon::new(ring(places), vec![]).into()
}

/// Three lots: two above each other with a crooked border, one beside both.
fn lots() -> Vec<Geometry<f64>> {
    vec![
        polygon(&[(0., 0.), (50., 0.), (50., 20.), (30., 20.3), (15., 19.9), (0., 20.)]),
        polygon(&[(0., 20.), (15., 19.9), (30., 20.3), (50., 20.), (50., 40.), (0., 40.)]),
        polygon(&[(50., 0.), (90., 0.), (90., 40.), (50., 40.), (50., 20.)]),
    ]
}

#[test]
fn a_border_keeps_the_same_vertices_on_both_sides_and_its_junctions_at_every_zoom() {
    let (shapes, index) = made(lots());
    let levels = levels(&shapes, &index, 3);
    let [below, above, beside] = [0, 1, 2].map(|ordinal| levels.vertices(ordinal).to_vec());
    assert_eq!([below[3], below[4]], [above[2], above[1]]);
    assert!(below[3] > 0 && below[3] <= MAX_ZOOM, "a crook of 33 m is seen from near and not from afar");
    assert_eq!([below[2], above[3], beside[4]], [0; 3], "where three lots meet");
    assert_eq!([beside[0], below[1]], [0; 2], "where two lots and the outside meet");
}

#[test]
fn rings_keep_three_corners_and_lines_their_ends() {
    let island: Vec<(f64, f64)> =
        (0..40).map(|i| (f64::from(i) * 0.157).sin_cos()).map(|(s, c)| (s * 9.0, c * 9.0)).collect();
    let line: LineString<f64> = ring(&[(0., 0.), (1., 0.01), (2., -0.01), (3., 0.)]);
    let (shapes, index) = made(vec![polygon(&island), line.into()]);
    let levels = levels(&shapes, &index, 2);
    assert!(levels.vertices(0).iter().filter(|level| **level == 0).count() >= 3);
    assert_eq!([levels.vertices(1)[0], levels.vertices(1)[3]], [0, 0]);
    assert!(levels.vertices(1)[1] > 10);
}

#[test]
fn a_vertex_stays_while_another_lies_in_its_triangle() {
    // The bay (5, 2) is shallow, but a well lies in it: with the bay gone it would be on the other side of the shore.
    let shore = polygon(&[(0., 0.), (5., 2.), (10., 0.), (10., -60.), (0., -60.)]);
    let well = polygon(&[(4.9, 0.4), (5.1, 0.4), (5., 0.6)]);
    let (shapes, index) = made(vec![shore.clone()]);
    let alone = levels(&shapes, &index, 1).vertices(0)[1];
    let (shapes, index) = made(vec![shore, well]);
    assert!(levels(&shapes, &index, 2).vertices(0)[1] < alone);
}

fn town(count: u32) -> Vec<Geometry<f64>> {
    // By the golden section: even, and no two alike.
    (0..count)
        .map(|i| {
            let (u, v) = (f64::from(i) * 0.618_034 % 1.0, f64::from(i) * 0.754_878 % 1.0);
            Point::new(106.001 + u * 0.02, 11.001 + v * 0.02).into()
        })
        .collect()
}

#[test]
fn points_thin_to_the_budget_evenly_and_come_back_zoom_by_zoom() {
    let (shapes, index) = made(town(40_000));
    let levels = levels(&shapes, &index, 40_000);
    let drawn: Vec<usize> = (0..=MAX_ZOOM).map(|z| (0..40_000).filter(|o| levels.draws(*o, z)).count()).collect();
    assert!(drawn.is_sorted(), "what shows at a zoom shows at the next: {drawn:?}");
    assert_eq!(drawn[18], 40_000, "all are there where all fit");
    assert!((3_000..=FEATURES / 2).contains(&drawn[10]), "{drawn:?}");
    // Quarter by quarter the same share.
    let mut quarters = [0_usize; 4];
    for ordinal in (0..40_000).filter(|o| levels.draws(*o, 10)) {
        let (u, v) = (f64::from(ordinal) * 0.618_034 % 1.0, f64::from(ordinal) * 0.754_878 % 1.0);
        quarters[usize::from(u > 0.5) + 2 * usize::from(v > 0.5)] += 1;
    }
    let quarter = drawn[10] / 4;
    assert!(quarters.iter().all(|q| q.abs_diff(quarter) < quarter / 5), "{quarters:?}");
}

#[test]
fn the_important_stand_for_the_crowd() {
    let (shapes, index) = made(town(20_000));
    let important = |ordinal: u32| if ordinal.is_multiple_of(50) { 1.0 } else { 0.0 };
    let levels = Levels::build(&shapes, &index, &important, 60, 20_000);
    let share = |z: u8| {
        let all: Vec<u32> = (0..20_000).filter(|o| levels.draws(*o, z)).collect();
        all.iter().filter(|o| o.is_multiple_of(50)).count()
    };
    assert!(share(8) >= 380, "{} of 400 are left", share(8));
}

#[test]
fn blobs_come_back_and_damage_is_found() {
    let (shapes, index) = made(lots());
    let levels = levels(&shapes, &index, 3);
    let bytes = levels.to_bytes(&shapes);
    assert_eq!(Levels::from_bytes(&bytes, &shapes, 3), Some(levels));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        assert_eq!(Levels::from_bytes(&damaged, &shapes, 3), None, "byte {at}");
        assert_eq!(Levels::from_bytes(&bytes[..at], &shapes, 3), None);
    }
    let mut other = lots();
    other.swap(0, 1);
    assert_eq!(Levels::from_bytes(&bytes, &made(other).0, 3), None, "other shapes");
    assert_eq!(Levels::from_bytes(&bytes, &shapes, 4), None);
}

proptest! {
    #[test]
    fn any_bytes_and_any_shapes_do_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..90),
        places in proptest::collection::vec((-3..3_i32, -3..3_i32), 0..24),
    ) {
        let corners: Vec<(f64, f64)> = places.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect();
        let (shapes, index) = made(vec![polygon(&corners), ring(&corners).into(), polygon(&corners)]);
        let mut blob = MAGIC.to_vec();
        blob.extend(bytes);
        prop_assert_eq!(Levels::from_bytes(&blob, &shapes, 3), None);
        let levels = levels(&shapes, &index, 3);
        prop_assert_eq!(levels.vertices(0), levels.vertices(2));
    }
}
