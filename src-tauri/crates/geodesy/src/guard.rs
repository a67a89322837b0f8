//! The guard: can these numbers be what they claim to be?

use crate::{GridCoord, Vn2000, vn2000_to_wgs84};
use geo_types::{Coord, Geometry, LineString};
use model::BBox;

/// Which number comes first in a pair of grid coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisOrder {
    /// x = east, y = north, as GIS files have it.
    EastNorth,
    /// X = north, Y = east, as Vietnamese land papers have it.
    NorthEast,
}

/// A VN-2000 grid under which the numbers fall into the province.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridGuess {
    pub epsg: u32,
    pub order: AxisOrder,
}

/// What [`guard`] thinks of numbers that claim to be longitude and latitude.
#[derive(Clone, Debug, PartialEq)]
pub enum AxisVerdict {
    /// Degrees, and they touch the province.
    Fine,
    /// They touch the province once longitude and latitude change places.
    Swapped,
    /// Metres on a grid, not degrees. The guesses are the grids that put them into the province, likeliest first;
    /// empty when none does.
    Metres(Vec<GridGuess>),
    /// No longitude and latitude: a slipped decimal point, for example longitude 1060.
    OutOfRange,
    /// Possible degrees, but far from the province: not an error, worth a warning.
    OutsideProvince,
    /// Not a single number to judge.
    Empty,
}

/// Judges the box around a file's or a row's coordinates that claim to be degrees, lon before lat.
///
/// `province` is the province's box in degrees. A single position is a box of no size.
pub fn guard(bbox: BBox, province: BBox) -> AxisVerdict {
    let BBox { west, south, east, north } = bbox;
    if ![west, south, east, north].iter().all(|bound| bound.is_finite()) {
        return if bbox == BBox::EMPTY { AxisVerdict::Empty } else { AxisVerdict::OutOfRange };
    }
    let degrees = |b: &BBox| b.west >= -180.0 && b.east <= 180.0 && b.south >= -90.0 && b.north <= 90.0;
    let swapped = BBox { west: south, south: west, east: north, north: east };
    if degrees(&bbox) && bbox.intersects(&province) {
        AxisVerdict::Fine
    } else if degrees(&swapped) && swapped.intersects(&province) {
        AxisVerdict::Swapped
    } else if degrees(&bbox) {
        AxisVerdict::OutsideProvince
    } else if west.abs().min(east.abs()) > 10_000.0 && south.abs().min(north.abs()) > 10_000.0 {
        AxisVerdict::Metres(guess_vn2000(bbox, province))
    } else {
        AxisVerdict::OutOfRange
    }
}

/// The grids under which a box of metres falls into the province: those that hold all of it first, in the order of
/// [`Vn2000::all`] (9209 and 9210 before the rest).
///
/// More than one is usual, as neighbouring meridians lie 27 km apart: this proposes, a person decides.
pub fn guess_vn2000(grid_m: BBox, province: BBox) -> Vec<GridGuess> {
    let corners = |order| {
        let at = move |x, y| match order {
            AxisOrder::EastNorth => GridCoord { east_m: x, north_m: y },
            AxisOrder::NorthEast => GridCoord { east_m: y, north_m: x },
        };
        let BBox { west, south, east, north } = grid_m;
        [
            at(west, south),
            at(east, south),
            at(east, north),
            at(west, north),
            at((west + east) / 2.0, (south + north) / 2.0),
        ]
    };
    let mut found: Vec<(usize, GridGuess)> = Vec::new();
    for order in [AxisOrder::EastNorth, AxisOrder::NorthEast] {
        for grid in Vn2000::all() {
            let inside = count_inside(&corners(order), grid, Extent::BBox(province));
            if inside > 0 {
                found.push((inside, GridGuess { epsg: grid.epsg, order }));
            }
        }
    }
    // Stable: among equals the province's own grids stay in front.
    found.sort_by_key(|(inside, _)| std::cmp::Reverse(*inside));
    found.into_iter().map(|(_, guess)| guess).collect()
}

/// Where the province is: its outline tells 27 km shifts near the border that its box cannot.
#[derive(Clone, Copy, Debug)]
pub enum Extent<'a> {
    BBox(BBox),
    /// Polygons in WGS84 degrees.
    Outline(&'a Geometry<f64>),
}

impl Extent<'_> {
    /// True for a place (lon, lat) inside; the border counts as either.
    pub fn contains(&self, place: Coord<f64>) -> bool {
        match self {
            Self::BBox(bbox) => bbox.contains(place.x, place.y),
            Self::Outline(outline) => inside(outline, place),
        }
    }
}

fn inside(outline: &Geometry<f64>, place: Coord<f64>) -> bool {
    let polygon = |p: &geo_types::Polygon<f64>| {
        crosses_oddly(p.exterior(), place) && !p.interiors().iter().any(|hole| crosses_oddly(hole, place))
    };
    match outline {
        Geometry::Polygon(p) => polygon(p),
        Geometry::MultiPolygon(m) => m.0.iter().any(polygon),
        Geometry::Rect(r) => polygon(&r.to_polygon()),
        Geometry::Triangle(t) => polygon(&t.to_polygon()),
        Geometry::GeometryCollection(c) => c.0.iter().any(|part| inside(part, place)),
        _ => false,
    }
}

/// Even-odd rule: a ray to the east crosses the ring an odd number of times.
fn crosses_oddly(ring: &LineString<f64>, place: Coord<f64>) -> bool {
    ring.lines().fold(false, |odd, edge| {
        let (a, b) = (edge.start, edge.end);
        let spans = (a.y > place.y) != (b.y > place.y);
        odd ^ (spans && place.x < a.x + (place.y - a.y) / (b.y - a.y) * (b.x - a.x))
    })
}

/// The declared grid puts points outside the province, another one puts all of them inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vn2000Mixup {
    pub declared_epsg: u32,
    pub likely_epsg: u32,
    /// Share of the points inside the province as declared, 0 to 1.
    pub inside_as_declared: f64,
    /// Share of the points inside under the likely grid, 0 to 1.
    pub inside_as_likely: f64,
    /// How far the first point moves between the two, metres (9209 against 9210: about 27 km).
    pub shift_m: f64,
}

/// Warns when the points were probably computed on the province's other central meridian (9209 against 9210; UTM 3405
/// counts as well): outside the province as declared, inside under another.
///
/// `None` when all is well or the points do not tell: a point deep inside the province stays inside on either meridian.
pub fn guess_vn2000_mixup(points: &[GridCoord], declared: &Vn2000, province: Extent<'_>) -> Option<Vn2000Mixup> {
    let first = *points.first()?;
    let as_declared = count_inside(points, declared, province);
    if as_declared == points.len() {
        return None;
    }
    let (as_likely, likely) = [9209, 9210, 3405]
        .into_iter()
        .filter(|epsg| *epsg != declared.epsg)
        .filter_map(Vn2000::from_epsg)
        .map(|grid| (count_inside(points, grid, province), grid))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    #[allow(clippy::cast_precision_loss)]
    let share = |count: usize| count as f64 / points.len() as f64;
    // A stray point or two is no mix-up: the other grid must hold nearly all, and clearly more than the declared one.
    if share(as_likely) < 0.95 || share(as_likely) - share(as_declared) < 0.05 {
        return None;
    }
    let places = [declared, likely].map(|grid| vn2000_to_wgs84(first, grid));
    let shift_m = match places {
        [Ok(a), Ok(b)] => crate::distance_m(a, b),
        _ => f64::INFINITY,
    };
    Some(Vn2000Mixup {
        declared_epsg: declared.epsg,
        likely_epsg: likely.epsg,
        inside_as_declared: share(as_declared),
        inside_as_likely: share(as_likely),
        shift_m,
    })
}

fn count_inside(points: &[GridCoord], grid: &Vn2000, extent: Extent<'_>) -> usize {
    points.iter().filter(|p| vn2000_to_wgs84(**p, grid).is_ok_and(|place| extent.contains(place))).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wgs84_to_vn2000;
    use geo_types::polygon;

    const PROVINCE: BBox = BBox { west: 105.49, south: 10.38, east: 106.79, north: 11.79 };

    fn spot(x: f64, y: f64) -> BBox {
        BBox { west: x, south: y, east: x, north: y }
    }

    #[test]
    fn degrees_are_told_from_swaps_slips_and_metres() {
        assert_eq!(guard(spot(106.1, 11.3), PROVINCE), AxisVerdict::Fine);
        assert_eq!(guard(spot(11.3, 106.1), PROVINCE), AxisVerdict::Swapped);
        assert_eq!(guard(spot(1060.0, 11.3), PROVINCE), AxisVerdict::OutOfRange);
        assert_eq!(guard(spot(106.1, 113.0), PROVINCE), AxisVerdict::OutOfRange);
        assert_eq!(guard(spot(105.8, 21.0), PROVINCE), AxisVerdict::OutsideProvince);
        assert_eq!(guard(spot(f64::NAN, 11.0), PROVINCE), AxisVerdict::OutOfRange);
        assert_eq!(guard(BBox::EMPTY, PROVINCE), AxisVerdict::Empty);
    }

    #[test]
    fn metres_name_the_grids_that_fit() {
        let AxisVerdict::Metres(guesses) = guard(spot(568_469.0, 1_250_154.0), PROVINCE) else { panic!() };
        assert_eq!(guesses[0], GridGuess { epsg: 9209, order: AxisOrder::EastNorth });
        assert!(guesses.contains(&GridGuess { epsg: 9210, order: AxisOrder::EastNorth }));
        let AxisVerdict::Metres(guesses) = guard(spot(1_250_154.0, 568_469.0), PROVINCE) else { panic!() };
        assert!(guesses.iter().all(|guess| guess.order == AxisOrder::NorthEast), "{guesses:?}");
        assert_eq!(guard(spot(9e9, 9e9), PROVINCE), AxisVerdict::Metres(vec![]));
    }

    #[test]
    fn wrong_meridian_is_noticed_at_the_border() {
        // Cần Giuộc, in the east, on Long An's meridian, declared as Tây Ninh's.
        let eastern = Coord { x: 106.70, y: 10.55 };
        let west = Coord { x: 105.55, y: 10.9 };
        let mixup = |place, made: &Vn2000, declared: &Vn2000| {
            let paper = wgs84_to_vn2000(place, made).unwrap();
            guess_vn2000_mixup(&[paper], declared, Extent::BBox(PROVINCE))
        };
        let (tay_ninh, long_an) = (&Vn2000::DEG_105_30, &Vn2000::DEG_105_45);
        let found = mixup(eastern, tay_ninh, long_an).unwrap();
        assert_eq!((found.declared_epsg, found.likely_epsg), (9210, 9209));
        assert!((found.shift_m - 27_300.0).abs() < 200.0, "{}", found.shift_m);
        assert_eq!(mixup(west, long_an, tay_ninh).unwrap().likely_epsg, 9210);
        assert_eq!(mixup(eastern, tay_ninh, tay_ninh), None);
        assert_eq!(mixup(Coord { x: 106.1, y: 11.0 }, long_an, tay_ninh), None, "inside on both: nothing to say");
        assert_eq!(guess_vn2000_mixup(&[], tay_ninh, Extent::BBox(PROVINCE)), None);
    }

    #[test]
    fn outline_sees_what_the_box_does_not() {
        let triangle: Geometry<f64> = polygon!(
            (x: 106.0, y: 11.0), (x: 106.4, y: 11.0), (x: 106.0, y: 11.4)
        )
        .into();
        let extent = Extent::Outline(&triangle);
        assert!(extent.contains(Coord { x: 106.1, y: 11.1 }));
        assert!(!extent.contains(Coord { x: 106.35, y: 11.35 }), "in its box, not in it");
        let paper = wgs84_to_vn2000(Coord { x: 106.1, y: 11.25 }, &Vn2000::DEG_105_30).unwrap();
        assert_eq!(guess_vn2000_mixup(&[paper], &Vn2000::DEG_105_45, extent).unwrap().likely_epsg, 9209);
    }
}
