//! Esri JSON: features with `attributes`, and shapes as lists of rings and paths.

use crate::file::{rejection, stored};
use crate::geojson::Parsed;
use geo_types::{Coord, Geometry, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon};
use model::{Properties, Rejection, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

#[derive(Deserialize)]
struct EsriFeature {
    #[serde(default)]
    attributes: Map<String, Json>,
    #[serde(default)]
    geometry: Option<Map<String, Json>>,
}

/// Reads a feature.
///
/// # Errors
/// The rejection of the row: `syntax`, `geometry_missing`, `geometry_invalid`.
pub(super) fn parse(text: &str, row: u64) -> Result<Parsed, Rejection> {
    let feature: EsriFeature =
        serde_json::from_str(text).map_err(|error| rejection(row, "", text, "syntax", error.to_string()))?;
    let geometry = match feature.geometry.as_ref().map(shape) {
        Some(Ok(Some(geometry))) => geometry,
        Some(Err(reason)) => return Err(rejection(row, "geometry", "", "geometry_invalid", reason)),
        None | Some(Ok(None)) => {
            return Err(rejection(row, "geometry", "", "geometry_missing", "the feature has no geometry"));
        }
    };
    let properties: Properties =
        feature.attributes.into_iter().map(|(name, value)| (stored(&name), attribute(value))).collect();
    Ok(Parsed { id: None, geometry, properties })
}

fn attribute(value: Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::String(text) => Value::Text(stored(&text)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(real)) => Value::Real(real),
            (None, None) => Value::Null,
        },
        list @ (Json::Array(_) | Json::Object(_)) => Value::Text(stored(&list.to_string())),
    }
}

/// `Ok(None)` for an empty shape.
fn shape(shape: &Map<String, Json>) -> Result<Option<Geometry<f64>>, String> {
    if shape.contains_key("curveRings") || shape.contains_key("curvePaths") {
        return Err("curves are not read".into());
    }
    if let Some(x) = shape.get("x") {
        let (Some(x), Some(y)) = (x.as_f64(), shape.get("y").and_then(Json::as_f64)) else { return Ok(None) };
        return Ok(Some(Point(Coord { x, y }).into()));
    }
    if let Some(points) = shape.get("points") {
        let points = line(points)?;
        return Ok((!points.0.is_empty()).then(|| MultiPoint(points.0.into_iter().map(Point).collect()).into()));
    }
    if let Some(paths) = shape.get("paths") {
        let mut paths = lines(paths)?;
        return Ok(match paths.len() {
            0 => None,
            1 => paths.pop().map(Geometry::LineString),
            _ => Some(MultiLineString(paths).into()),
        });
    }
    if let Some(rings) = shape.get("rings") {
        let mut polygons = polygons(lines(rings)?);
        return Ok(match polygons.len() {
            0 => None,
            1 => polygons.pop().map(Geometry::Polygon),
            _ => Some(MultiPolygon(polygons).into()),
        });
    }
    let names: Vec<&str> = shape.keys().map(String::as_str).collect();
    if names.is_empty() { Ok(None) } else { Err(format!("a shape of {} is not read", names.join(", "))) }
}

fn lines(list: &Json) -> Result<Vec<LineString<f64>>, String> {
    let all = list.as_array().ok_or("rings and paths are lists")?.iter().map(line);
    all.filter(|line| line.as_ref().map_or(true, |line| !line.0.is_empty())).collect()
}

fn line(list: &Json) -> Result<LineString<f64>, String> {
    let position = |one: &Json| {
        let pair = one.as_array()?;
        Some(Coord { x: pair.first()?.as_f64()?, y: pair.get(1)?.as_f64()? })
    };
    let positions = list.as_array().ok_or("a line is a list of positions")?.iter();
    let all = positions
        .map(|one| position(one).ok_or_else(|| format!("{} is no position", crate::file::cut(&one.to_string()))));
    all.collect::<Result<Vec<_>, String>>().map(LineString)
}

/// Puts rings together by their sense: outer ones run clockwise, holes the other way, in any order.
fn polygons(rings: Vec<LineString<f64>>) -> Vec<Polygon<f64>> {
    let (mut outer, mut holes) = (Vec::new(), Vec::new());
    for mut ring in rings {
        ring.close();
        if doubled_area(&ring) <= 0.0 { outer.push(ring) } else { holes.push(ring) }
    }
    if outer.is_empty() {
        // A writer that knows no sense: every ring stands for itself.
        outer = std::mem::take(&mut holes);
    }
    let mut polygons: Vec<Polygon<f64>> = outer.into_iter().map(|ring| Polygon::new(ring, Vec::new())).collect();
    for hole in holes {
        let inside = |polygon: &Polygon<f64>| hole.0.iter().filter(|at| contains(polygon.exterior(), **at)).count();
        let counted = polygons.iter().map(inside).enumerate();
        // Of nested islands the last that holds as much of it is the inner one by area.
        let best = counted.filter(|(_, count)| *count > 0).max_by(|(a, more), (b, less)| {
            let area = |at: &usize| doubled_area(polygons[*at].exterior()).abs();
            more.cmp(less).then_with(|| area(b).total_cmp(&area(a)))
        });
        match best {
            Some((at, _)) => polygons[at].interiors_push(hole),
            None => polygons.push(Polygon::new(hole, Vec::new())),
        }
    }
    polygons
}

/// Twice the signed area; counter-clockwise is positive.
fn doubled_area(ring: &LineString<f64>) -> f64 {
    // From the first corner, so that small rings far from the origin keep their sign.
    let Some(o) = ring.0.first().copied() else { return 0.0 };
    ring.lines().map(|edge| (edge.start.x - o.x) * (edge.end.y - o.y) - (edge.end.x - o.x) * (edge.start.y - o.y)).sum()
}

/// Even-odd rule.
fn contains(ring: &LineString<f64>, place: Coord<f64>) -> bool {
    ring.lines().fold(false, |odd, edge| {
        let (a, b) = (edge.start, edge.end);
        let spans = (a.y > place.y) != (b.y > place.y);
        odd ^ (spans && place.x < a.x + (place.y - a.y) / (b.y - a.y) * (b.x - a.x))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(shape: &str) -> Result<String, String> {
        let parsed = parse(&format!(r#"{{"attributes":{{"a":1,"b":null}},"geometry":{shape}}}"#), 7);
        parsed.map(|parsed| format!("{:?}", parsed.geometry)).map_err(|rejection| rejection.code)
    }

    #[test]
    fn shapes_are_read() {
        for (shape, wanted) in [
            (r#"{"x":106.1,"y":11.3,"z":4}"#, "POINT(106.1 11.3)"),
            (r#"{"points":[[1,2],[3,4]]}"#, "MULTIPOINT(1.0 2.0,3.0 4.0)"),
            (r#"{"paths":[[[1,2],[3,4,5]]]}"#, "LINESTRING(1.0 2.0,3.0 4.0)"),
            (r#"{"paths":[[[1,2],[3,4]],[[5,6],[7,8]]]}"#, "MULTILINESTRING((1.0 2.0,3.0 4.0),(5.0 6.0,7.0 8.0))"),
            (r#"{"rings":[[[0,0],[0,4],[4,4],[0,0]]]}"#, "POLYGON((0.0 0.0,0.0 4.0,4.0 4.0,0.0 0.0))"),
            // A hole in front of its ring, and an island beside it.
            (
                r#"{"rings":[[[1,2],[2,3],[1,3],[1,2]],[[0,0],[0,9],[9,9],[0,0]],[[20,0],[20,1],[21,1],[20,0]]]}"#,
                "MULTIPOLYGON(((0.0 0.0,0.0 9.0,9.0 9.0,0.0 0.0),(1.0 2.0,2.0 3.0,1.0 3.0,1.0 2.0)),((20.0 0.0,20.0 1.0,21.0 1.0,20.0 0.0)))",
            ),
            (r#"{"rings":[[[0,0],[4,0],[4,4],[0,0]]]}"#, "POLYGON((0.0 0.0,4.0 0.0,4.0 4.0,0.0 0.0))"),
        ] {
            assert_eq!(geometry(shape).unwrap(), wanted, "{shape}");
        }
        for (shape, code) in [
            ("null", "geometry_missing"),
            (r#"{"x":"NaN"}"#, "geometry_missing"),
            (r#"{"rings":[]}"#, "geometry_missing"),
            (r#"{"rings":[[[0]]]}"#, "geometry_invalid"),
            (r#"{"curveRings":[]}"#, "geometry_invalid"),
            (r#"{"xmin":1}"#, "geometry_invalid"),
            ("7", "syntax"),
        ] {
            assert_eq!(geometry(shape).unwrap_err(), code, "{shape}");
        }
    }

    #[test]
    fn a_hole_goes_to_the_innermost_island() {
        let square =
            |from: f64, to: f64| LineString::from(vec![(from, from), (from, to), (to, to), (to, from), (from, from)]);
        let mut hole = square(4.0, 5.0);
        hole.0.reverse();
        let mut moat = square(2.0, 8.0);
        moat.0.reverse();
        let all = polygons(vec![hole, square(3.0, 6.0), square(0.0, 9.0), moat]);
        assert_eq!(all.iter().map(|polygon| polygon.interiors().len()).collect::<Vec<_>>(), [1, 1]);
    }
}
