//! Polygon overlay against known answers, against other ways to the same answer, and against nonsense.

use geo_types::{Coord, Geometry, LineString, MultiPolygon, Polygon, polygon};
use spatial::overlay::{
    Measure, Op, Place, Prepared, Relation, area_m2, area_planar, buffer, difference, intersection, overlay_areas,
    overlay_pairs, union, union_all,
};

/// A generator of one's own, so that failures repeat (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> usize {
        (self.next() % n) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A polygon that sees all of itself from its middle.
    fn star(&mut self, x: f64, y: f64, r: f64, n: usize) -> Polygon<f64> {
        let ring = (0..n).map(|i| {
            let t = (i as f64 + self.unit()) / n as f64 * std::f64::consts::TAU;
            let r = r * self.between(0.3, 1.0);
            Coord { x: x + r * t.cos(), y: y + r * t.sin() }
        });
        Polygon::new(ring.collect(), vec![])
    }
}

fn square(x: f64, y: f64, side: f64) -> Polygon<f64> {
    polygon![(x: x, y: y), (x: x + side, y: y), (x: x + side, y: y + side), (x: x, y: y + side)]
}

fn common(a: &Polygon<f64>, b: &Polygon<f64>) -> f64 {
    Prepared::new(b).intersection_area(a, Measure::Planar)
}

#[test]
fn the_area_in_common_is_that_of_the_shape_in_common() {
    let mut random = Random(1);
    // On a coarse grid vertices lie on edges, edges on edges, and both on the borders of the runs.
    let coarse = |p: Polygon<f64>| {
        Polygon::new(
            p.exterior()
                .0
                .iter()
                .map(|c| Coord { x: (c.x * 50.0).round() / 50.0, y: (c.y * 50.0).round() / 50.0 })
                .collect(),
            vec![],
        )
    };
    for round in 0..1_200 {
        let n = [4, 10, 40, 200][round % 4];
        let (x, y) = (random.between(-0.5, 0.5), random.between(-0.5, 0.5));
        let a = random.star(106.0 + x, 11.0 + y, 0.4, n);
        let m = 4 + random.below(150);
        let b = random.star(106.0, 11.0, 0.6, m);
        let (a, b) = if round % 3 == 0 { (coarse(a), coarse(b)) } else { (a, b) };
        let shape = intersection(&a, &b);
        let (formula, built) = (common(&a, &b), area_planar(&shape));
        assert!((formula - built).abs() < 4e-9, "{formula} {built} {a:?} {b:?}");
        assert!((common(&b, &a) - formula).abs() < 1e-14);
        let (whole, united, rest) = (area_planar(&a), area_planar(&union(&a, &b)), area_planar(&difference(&a, &b)));
        assert!((whole - built - rest).abs() < 8e-9);
        assert!((united - area_planar(&b) - rest).abs() < 8e-9);
    }
}

#[test]
fn known_answers() {
    let (a, b) = (square(0.0, 0.0, 2.0), square(1.0, 1.0, 2.0));
    assert_eq!(common(&a, &b), 1.0);
    assert_eq!(area_planar(&intersection(&a, &b)), 1.0);
    assert_eq!(area_planar(&union(&a, &b)), 7.0);
    assert_eq!(area_planar(&difference(&a, &b)), 3.0);
    // Whole, touching along an edge, in a corner, and not at all.
    assert_eq!(common(&a, &a), 4.0);
    assert_eq!(common(&a, &square(2.0, 0.0, 2.0)), 0.0);
    assert_eq!(common(&a, &square(2.0, 2.0, 2.0)), 0.0);
    assert_eq!(common(&a, &square(5.0, 5.0, 2.0)), 0.0);
    assert!(intersection(&a, &square(2.0, 0.0, 2.0)).0.is_empty());
    assert_eq!(union(&a, &square(2.0, 0.0, 2.0)).0.len(), 1);
    assert_eq!(area_planar(&union(&a, &square(5.0, 5.0, 2.0))), 8.0);
    assert!(difference(&a, &a).0.is_empty());
}

#[test]
fn holes_are_outside_whatever_their_winding() {
    let hole = square(1.0, 1.0, 2.0);
    for turned in [false, true] {
        let mut ring = hole.exterior().clone();
        if turned {
            ring.0.reverse();
        }
        let zone = Prepared::new(&Polygon::new(square(0.0, 0.0, 4.0).exterior().clone(), vec![ring]));
        assert_eq!(zone.area(Measure::Planar), 12.0);
        assert_eq!(zone.intersection_area(&square(1.5, 1.5, 1.0), Measure::Planar), 0.0);
        assert_eq!(zone.intersection_area(&square(0.5, 0.5, 1.0), Measure::Planar), 0.75);
        assert_eq!(zone.relation(&square(1.5, 1.5, 1.0)), Relation::Disjoint);
        assert_eq!(zone.relation(&square(0.5, 0.5, 3.0)), Relation::Crosses);
        assert_eq!(zone.relation(&square(0.2, 0.2, 0.5)), Relation::Within);
        assert_eq!(zone.relation(&hole), Relation::Crosses);
        assert_eq!(zone.locate(Coord { x: 2.0, y: 2.0 }), Place::Outside);
        assert_eq!(zone.locate(Coord { x: 1.0, y: 2.0 }), Place::Boundary);
        assert_eq!(zone.locate(Coord { x: 0.5, y: 2.0 }), Place::Inside);
        assert!(zone.contains(Coord { x: 0.0, y: 0.0 }));
    }
}

#[test]
fn relations_hold_without_a_crossing_too() {
    let zone = Prepared::new(&square(0.0, 0.0, 4.0));
    assert_eq!(zone.relation(&square(-1.0, -1.0, 6.0)), Relation::Crosses, "round it");
    assert_eq!(zone.relation(&square(4.0, 0.0, 1.0)), Relation::Crosses, "touching");
    let parts = MultiPolygon(vec![square(1.0, 1.0, 1.0), square(9.0, 9.0, 1.0)]);
    assert_eq!(zone.relation(&parts), Relation::Crosses, "one part in, one out");
    assert_eq!(zone.intersection_area(&parts, Measure::Planar), 1.0);
    assert_eq!(zone.relation(&MultiPolygon::<f64>(vec![])), Relation::Disjoint);
}

#[test]
fn invalid_shapes_are_taken_by_even_odd() {
    let bow_tie = polygon![(x: 0.0, y: 0.0), (x: 2.0, y: 2.0), (x: 2.0, y: 0.0), (x: 0.0, y: 2.0)];
    assert_eq!(area_planar(&bow_tie), 2.0);
    assert!((common(&bow_tie, &square(0.0, 0.0, 1.0)) - 0.5).abs() < 1e-8);
    // A hole that sticks out of its exterior; parts that overlap.
    let odd = Polygon::new(square(0.0, 0.0, 2.0).exterior().clone(), vec![square(1.0, 0.5, 2.0).exterior().clone()]);
    assert!((area_planar(&odd) - 2.5).abs() < 1e-8);
    let parts = MultiPolygon(vec![square(0.0, 0.0, 2.0), square(0.5, 0.5, 1.0), square(1.0, 1.0, 2.0)]);
    assert!((area_planar(&parts) - 7.0).abs() < 1e-8);
}

#[test]
fn what_lies_within_comes_back_bit_for_bit() {
    let mut random = Random(2);
    let zone = Prepared::new(&random.star(106.0, 11.0, 0.5, 500));
    for _ in 0..500 {
        let (x, y) = (random.between(105.6, 106.4), random.between(10.6, 11.4));
        let lot = random.star(x, y, 0.02, 9);
        let result = zone.intersection(&lot);
        match zone.relation(&lot) {
            Relation::Within => assert_eq!(result, MultiPolygon(vec![lot])),
            Relation::Disjoint => assert!(result.0.is_empty()),
            Relation::Crosses => {
                // New vertices come only where boundaries cross.
                let given = |c: &Coord<f64>| lot.exterior().0.contains(c) || zone.shape().0[0].exterior().0.contains(c);
                let new = result.0.iter().flat_map(|p| &p.exterior().0).filter(|c| !given(c)).count();
                assert!(new <= 60, "{new}");
            }
        }
    }
}

#[test]
fn far_reaching_edges_cost_no_precision() {
    let lot = square(106.0, 11.0, 1e-3);
    let wedge = polygon![(x: 106.0, y: 11.0), (x: 180.0, y: 10.0), (x: 179.0, y: 89.0), (x: 105.0, y: 60.0)];
    let shape = intersection(&lot, &wedge);
    assert!((area_planar(&shape) - common(&lot, &wedge)).abs() < 1e-8 * 1e-6);
    assert_eq!(area_planar(&difference(&lot, &square(100.0, 0.0, 40.0))), 0.0);
}

#[test]
fn the_parts_add_up_to_the_whole_on_the_ellipsoid() {
    let mut random = Random(3);
    let whole = random.star(106.0, 11.0, 0.6, 300);
    let prepared = Prepared::new(&whole);
    let tiles: Vec<_> =
        (0..400).map(|i| square(105.0 + f64::from(i % 20) * 0.1, 10.0 + f64::from(i / 20) * 0.1, 0.1)).collect();
    let pairs: Vec<_> = (0..400).map(|i| (i, 0)).collect();
    let right = [prepared];
    for measure in [Measure::Planar, Measure::Ellipsoid] {
        let sum: f64 = overlay_areas(&tiles, &right, &pairs, Op::Intersection, measure).iter().sum();
        let area = right[0].area(measure);
        assert!((sum / area - 1.0).abs() < 1e-9, "{measure:?} {sum} {area}");
    }
    let geodesic = right[0].area(Measure::Geodesic);
    assert!((geodesic / geodesy::area_m2(&whole.clone().into()) - 1.0).abs() < 1e-9);
}

#[test]
fn geodesic_areas_are_karneys() {
    let mut random = Random(4);
    for i in 0..300 {
        let (lat, r) = (random.between(-79.0, 79.0), [1e-4, 1e-3, 1e-2, 0.05, 0.5, 20.0][i % 6]);
        let n = 5 + random.below(30);
        let shape = random.star(random.0 as f64 % 170.0, lat.clamp(-60.0, 60.0), r, n);
        let (ours, karney) = (area_m2(&shape), geodesy::area_m2(&shape.clone().into()));
        // Karney's sum has an error of its own: 0.1 m² for the earth, less for what is small.
        assert!((ours - karney).abs() <= 1e-8 * karney + 0.01, "{r} {lat} {ours} {karney}");
    }
    // Published: a degree square at the equator.
    let degree = area_m2(&square(0.0, 0.0, 1.0));
    assert!((degree - 12_308_778_361.469).abs() < 1.0, "{degree}");
}

#[test]
fn a_coverage_unites_to_its_outline() {
    let tiles: Vec<_> = (0..400).map(|i| square(f64::from(i % 20), f64::from(i / 20), 1.0)).collect();
    let whole = union_all(&tiles);
    assert_eq!(whole.0.len(), 1);
    assert_eq!(area_planar(&whole), 400.0);
    let without: Vec<_> = tiles.iter().enumerate().filter(|(i, _)| *i != 210).map(|(_, p)| p.clone()).collect();
    let holed = union_all(&without);
    assert_eq!((holed.0.len(), holed.0[0].interiors().len()), (1, 1));
    assert_eq!(area_planar(&holed), 399.0);
    // Twice the same, and neighbours whose vertices do not match.
    assert_eq!(area_planar(&union_all(&[tiles.clone(), tiles].concat())), 400.0);
    assert_eq!(area_planar(&union_all(&[square(0.0, 0.0, 2.0), square(2.0, 0.5, 1.0), square(2.0, 1.5, 1.0)])), 6.0);
    assert!(union_all::<Polygon<f64>>(&[]).0.is_empty());
}

#[test]
fn the_union_of_many_is_the_union_one_by_one() {
    let mut random = Random(5);
    for _ in 0..20 {
        let shapes: Vec<_> = (0..40)
            .map(|_| {
                let (x, y) = (random.unit(), random.unit());
                random.star(x, y, 0.2, 12)
            })
            .collect();
        let together = area_planar(&union_all(&shapes));
        let one_by_one = shapes.iter().fold(MultiPolygon(vec![]), |sum, shape| union(&sum, shape));
        assert!((together - area_planar(&one_by_one)).abs() < 1e-7);
    }
}

#[test]
fn a_buffer_reaches_as_far_as_asked() {
    let side = 0.01;
    let block = square(106.0, 11.0, side);
    let grown = buffer(&block, 500.0).unwrap();
    let (w, h) = (
        geodesy::distance_m(Coord { x: 106.0, y: 11.0 }, Coord { x: 106.01, y: 11.0 }),
        geodesy::distance_m(Coord { x: 106.0, y: 11.0 }, Coord { x: 106.0, y: 11.01 }),
    );
    let expected = w * h + 2.0 * (w + h) * 500.0 + std::f64::consts::PI * 500.0 * 500.0;
    assert!((area_m2(&grown) / expected - 1.0).abs() < 1e-3, "{} {expected}", area_m2(&grown));
    // Half-way along the southern side the buffer ends 500 m to the south.
    let south = grown.0[0].exterior().0.iter().map(|c| c.y).fold(f64::INFINITY, f64::min);
    let reach = geodesy::distance_m(Coord { x: 106.005, y: 11.0 }, Coord { x: 106.005, y: south });
    assert!((reach - 500.0).abs() < 0.02, "{reach}");
    let shrunk = buffer(&block, -200.0).unwrap();
    assert!((area_m2(&shrunk) / ((w - 400.0) * (h - 400.0)) - 1.0).abs() < 1e-3);
    assert!(buffer(&block, -1_000.0).unwrap().0.is_empty());
    assert_eq!(buffer(&block, 0.0).unwrap(), MultiPolygon(vec![block.clone()]));
    // There and back again fills no more than the corners.
    let back = buffer(&grown, -500.0).unwrap();
    assert!((area_m2(&back) / area_m2(&block) - 1.0).abs() < 1e-3);
    assert_eq!(buffer(&block, f64::NAN), None);
    assert_eq!(buffer(&square(0.0, 89.5, 3.0), 10.0), None);
    // A bay is not overgrown wrongly, a hole closes.
    let ring = Polygon::new(block.exterior().clone(), vec![square(106.004, 11.004, 0.002).exterior().clone()]);
    assert!(buffer(&ring, 200.0).unwrap().0[0].interiors().is_empty());
    assert_eq!(buffer(&ring, 50.0).unwrap().0[0].interiors().len(), 1);
}

#[test]
fn points_are_located_as_by_a_walk_round_the_ring() {
    let mut random = Random(6);
    let shape = random.star(0.0, 0.0, 1.0, 2_000);
    let prepared = Prepared::new(&shape);
    for _ in 0..5_000 {
        let c = Coord { x: random.between(-1.1, 1.1), y: random.between(-1.1, 1.1) };
        let odd = shape
            .exterior()
            .lines()
            .filter(|l| (l.start.y > c.y) != (l.end.y > c.y))
            .filter(|l| l.start.x + (c.y - l.start.y) * (l.end.x - l.start.x) / (l.end.y - l.start.y) > c.x);
        assert_eq!(prepared.contains(c), odd.count() % 2 == 1);
    }
    for c in &shape.exterior().0 {
        assert_eq!(prepared.locate(*c), Place::Boundary);
    }
}

#[test]
fn places_out_of_range_have_an_empty_shape() {
    let left = [square(0.0, 0.0, 1.0)];
    let right = [Prepared::new(&left[0])];
    let pairs = [(0, 0), (7, 0), (0, 7), (0, 0)];
    assert_eq!(overlay_areas(&left, &right, &pairs, Op::Intersection, Measure::Planar), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(overlay_pairs(&left, &right, &pairs, Op::Difference)[2].0.len(), 1);
    let line = Geometry::LineString(LineString(vec![Coord { x: 0.0, y: 0.0 }, Coord { x: 1.0, y: 1.0 }]));
    assert_eq!(area_planar(&line), 0.0);
}

/// A shape as no file should hold it.
fn nonsense(random: &mut Random) -> MultiPolygon<f64> {
    const ODD: [f64; 16] = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e308,
        -1e308,
        1e99,
        -1e99,
        1e-308,
        5e-324,
        -0.0,
        90.0,
        -90.0,
        180.0,
        -180.0,
        1e15,
        1.000_000_000_000_000_2,
    ];
    let kind = random.below(6);
    let (cx, cy) = (random.between(-3.0, 3.0), random.between(-3.0, 3.0));
    let number = |random: &mut Random, centre: f64| match kind {
        // Few places: shared vertices, edges on edges, zero areas.
        0 => random.below(3) as f64,
        1 => random.below(5) as f64,
        // A hair apart.
        2 => 106.0 + random.below(4) as f64 * 1.4e-14,
        3 => centre + random.unit(),
        4 if random.below(6) == 0 => ODD[random.below(16)],
        4 => random.below(4) as f64,
        _ => random.below(3) as f64 * 10_f64.powi(random.below(40) as i32 - 20),
    };
    let ring = |random: &mut Random| {
        let n = random.below(9);
        let mut ring: Vec<_> = (0..n).map(|_| Coord { x: number(random, cx), y: number(random, cy) }).collect();
        if n > 2 && random.below(2) == 0 {
            // A spike, and a point twice.
            ring.insert(n / 2, ring[n / 2]);
            ring.push(ring[n / 2]);
        }
        LineString(ring)
    };
    let parts = 1 + random.below(8) / 6;
    MultiPolygon(
        (0..parts)
            .map(|_| {
                let holes = random.below(6) / 4;
                Polygon::new(ring(random), (0..holes).map(|_| ring(random)).collect())
            })
            .collect(),
    )
}

fn endure(seed: u64, pairs: usize) {
    let mut random = Random(seed);
    for _ in 0..pairs {
        let (a, b) = (nonsense(&mut random), nonsense(&mut random));
        let b = if random.below(8) == 0 { a.clone() } else { b };
        let right = [Prepared::new(&b)];
        let (left, pair) = ([a], [(0, 0)]);
        for op in [Op::Intersection, Op::Union, Op::Difference] {
            for measure in [Measure::Planar, Measure::Geodesic] {
                let area = overlay_areas(&left, &right, &pair, op, measure)[0];
                assert!(area >= 0.0 || area.is_nan(), "{area} {op:?} {left:?} {b:?}");
            }
            overlay_pairs(&left, &right, &pair, op);
        }
        right[0].intersection_area(&left[0], Measure::Ellipsoid);
        let c = Coord { x: random.below(4) as f64, y: random.below(4) as f64 };
        right[0].locate(c);
        right[0].relation(&left[0]);
        if random.below(16) == 0 {
            union_all(&[left[0].clone(), b.clone(), left[0].clone()]);
        }
        if random.below(256) == 0 {
            buffer(&b, [1e3, -1e3, 1e-9, 2e5, f64::NAN][random.below(5)]);
        }
    }
}

#[test]
fn nonsense_does_no_harm() {
    endure(7, 20_000);
}

/// A million pairs.
#[test]
#[ignore = "takes a minute in a release build"]
fn much_nonsense_does_no_harm() {
    std::thread::scope(|scope| {
        scope.spawn(|| endure(8, 500_000));
        scope.spawn(|| endure(9, 500_000));
    });
}
