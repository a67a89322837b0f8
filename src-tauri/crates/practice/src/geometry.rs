//! Just enough GeoJSON geometry to answer a bounding box: no other crate's types, the text is the data.

use model::BBox;
use serde_json::Value;

/// The box around a GeoJSON geometry; empty when there is no coordinate.
pub(crate) fn bbox_of(geometry: &Value) -> BBox {
    let mut bbox = BBox::EMPTY;
    each_part(geometry, &mut |part| {
        for [x, y] in part.points() {
            bbox.add(x, y);
        }
    });
    bbox
}

/// True when the geometry and the box share a point.
pub(crate) fn touches(geometry: &Value, bbox: &BBox) -> bool {
    let mut found = false;
    each_part(geometry, &mut |part| {
        found = found
            || match part {
                Part::Points(points) => points.iter().any(|[x, y]| bbox.contains(*x, *y)),
                Part::Line(line) => line_touches(&line, bbox),
                // The rings pass through the box, or the box lies within them (odd: not in a hole).
                Part::Area(rings) => {
                    rings.iter().any(|ring| line_touches(ring, bbox))
                        || rings.iter().filter(|ring| ring_holds(ring, [bbox.west, bbox.south])).count() % 2 == 1
                }
            };
    });
    found
}

enum Part {
    Points(Vec<[f64; 2]>),
    Line(Vec<[f64; 2]>),
    Area(Vec<Vec<[f64; 2]>>),
}

impl Part {
    fn points(self) -> Vec<[f64; 2]> {
        match self {
            Self::Points(points) | Self::Line(points) => points,
            Self::Area(rings) => rings.concat(),
        }
    }
}

fn each_part(geometry: &Value, f: &mut impl FnMut(Part)) {
    let coordinates = &geometry["coordinates"];
    let several = |f: &mut dyn FnMut(&Value)| coordinates.as_array().into_iter().flatten().for_each(f);
    match geometry["type"].as_str().unwrap_or_default() {
        "Point" => f(Part::Points(position(coordinates).into_iter().collect())),
        "MultiPoint" => f(Part::Points(line(coordinates))),
        "LineString" => f(Part::Line(line(coordinates))),
        "MultiLineString" => several(&mut |part| f(Part::Line(line(part)))),
        "Polygon" => f(Part::Area(rings(coordinates))),
        "MultiPolygon" => several(&mut |part| f(Part::Area(rings(part)))),
        // serde_json bounds the nesting at 128 levels, so this recursion is bounded too.
        "GeometryCollection" => {
            geometry["geometries"].as_array().into_iter().flatten().for_each(|part| each_part(part, &mut *f));
        }
        _ => {}
    }
}

fn position(value: &Value) -> Option<[f64; 2]> {
    Some([value.get(0)?.as_f64()?, value.get(1)?.as_f64()?])
}

fn line(value: &Value) -> Vec<[f64; 2]> {
    value.as_array().into_iter().flatten().filter_map(position).collect()
}

fn rings(value: &Value) -> Vec<Vec<[f64; 2]>> {
    value.as_array().into_iter().flatten().map(line).collect()
}

fn line_touches(line: &[[f64; 2]], bbox: &BBox) -> bool {
    line.iter().any(|[x, y]| bbox.contains(*x, *y))
        || line.windows(2).any(|pair| segment_crosses(pair[0], pair[1], bbox))
}

/// Clips the segment to the box's four half-planes (Liang–Barsky).
fn segment_crosses([x0, y0]: [f64; 2], [x1, y1]: [f64; 2], bbox: &BBox) -> bool {
    let (dx, dy) = (x1 - x0, y1 - y0);
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for (p, q) in [(-dx, x0 - bbox.west), (dx, bbox.east - x0), (-dy, y0 - bbox.south), (dy, bbox.north - y0)] {
        if p == 0.0 {
            if q < 0.0 {
                return false;
            }
        } else if p < 0.0 {
            from = from.max(q / p);
        } else {
            to = to.min(q / p);
        }
    }
    from <= to
}

/// Even-odd rule.
fn ring_holds(ring: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let mut inside = false;
    for pair in ring.windows(2) {
        let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
        if (y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0) {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn box_meets_shapes_and_not_their_holes() {
        let ring = |low: f64, high: f64| json!([[low, low], [high, low], [high, high], [low, high], [low, low]]);
        let square = json!({"type": "Polygon", "coordinates": [ring(0.0, 10.0), ring(4.0, 6.0)]});
        let at = |w, s, e, n| touches(&square, &BBox::from([w, s, e, n]));
        assert!(at(1.0, 1.0, 2.0, 2.0), "inside, no vertex in the box");
        assert!(at(-5.0, 4.0, 15.0, 5.0), "edges pass through");
        assert!(!at(4.5, 4.5, 5.5, 5.5), "in the hole");
        assert!(!at(11.0, 0.0, 12.0, 1.0));
        let diagonal = json!({"type": "LineString", "coordinates": [[0, 0], [10, 10]]});
        assert!(touches(&diagonal, &BBox::from([4.0, 3.0, 6.0, 7.0])));
        assert!(!touches(&diagonal, &BBox::from([6.0, 0.0, 9.0, 3.0])));
        assert_eq!(bbox_of(&square), BBox::from([0.0, 0.0, 10.0, 10.0]));
    }
}
