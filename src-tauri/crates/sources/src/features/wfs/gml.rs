//! Geometries of GML 3.2, 3.1 and 2 (OGC 07-036, simple features profile): points, lines, polygons and their multiples.

use crate::crs::with_axes;
use crate::xml::Element;
use geo_types::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
};

/// The elements that are geometries.
const KINDS: [&str; 18] = [
    "Point",
    "LineString",
    "LinearRing",
    "Curve",
    "CompositeCurve",
    "Polygon",
    "Surface",
    "CompositeSurface",
    "PolyhedralSurface",
    "MultiPoint",
    "MultiLineString",
    "MultiCurve",
    "MultiPolygon",
    "MultiSurface",
    "MultiGeometry",
    "OrientableCurve",
    "OrientableSurface",
    "Solid",
];

/// A geometry with its system, if it names one.
#[derive(Debug, PartialEq)]
pub(super) struct Shape {
    /// In the order of the axes that the document has.
    pub(super) geometry: Geometry<f64>,
    pub(super) srs: Option<String>,
}

/// The geometry element right below a property, where there is one.
pub(super) fn in_property(property: &Element) -> Option<&Element> {
    property.children.iter().find(|child| child.gml && KINDS.contains(&child.name.as_str()))
}

/// Reads a geometry element.
///
/// # Errors
/// A sentence on what cannot be read: an arc, a number that is none, coordinates that do not come out even, two systems in
/// one geometry.
pub(super) fn read(element: &Element) -> Result<Shape, String> {
    let mut srs: Option<String> = None;
    let mut other = None;
    element.visit(&mut |found| match (found.attribute("srsName"), &srs) {
        (Some(name), None) => srs = Some(name.to_owned()),
        (Some(name), Some(first)) if name != first && with_axes(name) != with_axes(first) => {
            other = Some(name.to_owned());
        }
        _ => {}
    });
    match (&srs, other) {
        (Some(first), Some(other)) => Err(format!("the geometry is in two systems, {first:?} and {other:?}")),
        _ => Ok(Shape { geometry: geometry(element, 2)?, srs }),
    }
}

/// `around` is the number of axes that the elements around declare.
fn geometry(element: &Element, around: usize) -> Result<Geometry<f64>, String> {
    let axes = axes(element, around)?;
    let members = || element.children.iter().filter(|child| child.gml);
    // What stands between a multiple and its parts: `pointMember`, `surfaceMembers` and the like.
    let parts = || members().flat_map(|member| member.children.iter().map(move |part| (member, part)));
    Ok(match element.name.as_str() {
        "Point" => Point(one(line(element, axes)?)?).into(),
        "LineString" | "Curve" | "CompositeCurve" | "LinearRing" => curve(element, around)?.into(),
        "Polygon" => polygon(element, around)?.into(),
        "Surface" | "CompositeSurface" => surface(polygons(element, around)?),
        "MultiPoint" => {
            let points = parts().map(|(member, part)| one(line(part, self::axes(member, axes)?)?).map(Point));
            MultiPoint(points.collect::<Result<_, String>>()?).into()
        }
        "MultiLineString" | "MultiCurve" => {
            let lines = parts().map(|(member, part)| curve(part, self::axes(member, axes)?));
            MultiLineString(lines.collect::<Result<_, String>>()?).into()
        }
        "MultiPolygon" | "MultiSurface" => MultiPolygon(polygons(element, around)?).into(),
        "MultiGeometry" => {
            let all = parts().map(|(member, part)| geometry(part, self::axes(member, axes)?));
            Geometry::GeometryCollection(GeometryCollection(all.collect::<Result<_, String>>()?))
        }
        other => return Err(format!("geometries of the kind {other} are not read")),
    })
}

/// How many numbers make a position.
fn axes(element: &Element, around: usize) -> Result<usize, String> {
    let said = element.attribute("srsDimension").or_else(|| element.attribute("dimension"));
    match said.map(str::trim) {
        None => Ok(around),
        Some("2") => Ok(2),
        Some("3") => Ok(3),
        Some(other) => Err(format!("positions of {other:?} numbers are not read")),
    }
}

/// A surface of one patch is a polygon.
fn surface(mut patches: Vec<Polygon<f64>>) -> Geometry<f64> {
    match patches.pop() {
        Some(only) if patches.is_empty() => only.into(),
        last => {
            patches.extend(last);
            MultiPolygon(patches).into()
        }
    }
}

/// All polygons of a surface or of several.
fn polygons(element: &Element, around: usize) -> Result<Vec<Polygon<f64>>, String> {
    let axes = axes(element, around)?;
    match element.name.as_str() {
        "Polygon" | "PolygonPatch" | "Rectangle" | "Triangle" => Ok(vec![polygon(element, around)?]),
        "Surface" | "CompositeSurface" | "MultiSurface" | "MultiPolygon" | "patches" | "polygonPatches"
        | "surfaceMember" | "surfaceMembers" | "polygonMember" | "polygonMembers" => {
            let mut all = Vec::new();
            for child in element.children.iter().filter(|child| child.gml && !is_about(child)) {
                all.append(&mut polygons(child, axes)?);
            }
            Ok(all)
        }
        other => Err(format!("surfaces of {other} are not read")),
    }
}

fn polygon(element: &Element, around: usize) -> Result<Polygon<f64>, String> {
    let axes = axes(element, around)?;
    let ring = |boundary: &Element| {
        let ring = boundary.children.iter().find(|child| child.gml).ok_or("a ring is empty")?;
        let line = curve(ring, axes)?;
        if line.0.len() < 4 { Err("a ring has fewer than four positions".to_owned()) } else { Ok(line) }
    };
    let mut outer = None;
    let mut holes = Vec::new();
    for boundary in &element.children {
        match boundary.name.as_str() {
            "exterior" | "outerBoundaryIs" => outer = Some(ring(boundary)?),
            "interior" | "innerBoundaryIs" => holes.push(ring(boundary)?),
            _ => {}
        }
    }
    Ok(Polygon::new(outer.ok_or("a polygon has no outer ring")?, holes))
}

/// One line, of whatever pieces.
fn curve(element: &Element, around: usize) -> Result<LineString<f64>, String> {
    let axes = axes(element, around)?;
    match element.name.as_str() {
        "LineString" | "LinearRing" | "LineStringSegment" => line(element, axes),
        "Curve" | "CompositeCurve" | "Ring" | "segments" | "curveMember" | "curveMembers" => {
            let mut all: Vec<Coord<f64>> = Vec::new();
            for piece in element.children.iter().filter(|child| child.gml && !is_about(child)) {
                let LineString(next) = curve(piece, axes)?;
                // Where one piece ends the next begins.
                let shared = usize::from(all.last().is_some() && all.last() == next.first());
                all.extend_from_slice(&next[shared..]);
            }
            Ok(LineString(all))
        }
        other => Err(format!("curves of {other} are not read")),
    }
}

/// Elements that say something about the object and are no part of its shape.
fn is_about(element: &Element) -> bool {
    matches!(element.name.as_str(), "boundedBy" | "name" | "description" | "identifier" | "metaDataProperty")
}

fn one(line: LineString<f64>) -> Result<Coord<f64>, String> {
    match line.0.as_slice() {
        [only] => Ok(*only),
        others => Err(format!("a point has {} positions", others.len())),
    }
}

/// The positions that stand right in an element.
fn line(element: &Element, axes: usize) -> Result<LineString<f64>, String> {
    let mut all = Vec::new();
    for child in element.children.iter().filter(|child| child.gml) {
        match child.name.as_str() {
            "pos" => {
                let numbers = numbers(child.text.split_ascii_whitespace())?;
                match numbers.as_slice() {
                    [x, y] | [x, y, _] => all.push(Coord { x: *x, y: *y }),
                    others => return Err(format!("a position has {} numbers", others.len())),
                }
            }
            "posList" => {
                let axes = self::axes(child, axes)?;
                let numbers = numbers(child.text.split_ascii_whitespace())?;
                if numbers.len() % axes != 0 {
                    return Err(format!("{} numbers do not make positions of {axes}", numbers.len()));
                }
                all.extend(numbers.chunks_exact(axes).map(|pair| Coord { x: pair[0], y: pair[1] }));
            }
            "coordinates" => coordinates(child, &mut all)?,
            "coord" => {
                let number = |name| numbers(child.text_of(name).into_iter()).map(|all| all.first().copied());
                let (Some(x), Some(y)) = (number("X")?, number("Y")?) else {
                    return Err("a coord has no X or no Y".into());
                };
                all.push(Coord { x, y });
            }
            "pointMember" | "pointRep" | "pointProperty" => {
                return Err("positions by reference to points are not read".into());
            }
            _ => {}
        }
    }
    if all.is_empty() { Err("there are no positions".into()) } else { Ok(LineString(all)) }
}

fn numbers<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<f64>, String> {
    words.map(|word| word.parse().map_err(|_| format!("{:?} is no number", crate::file::cut(word)))).collect()
}

/// The older way: `1,2 3,4`, with separators that the element may name.
fn coordinates(element: &Element, all: &mut Vec<Coord<f64>>) -> Result<(), String> {
    let sign = |name: &str, usual: char| {
        element.attribute(name).map_or(Ok(usual), |text| text.chars().next().ok_or(format!("{name} is empty")))
    };
    let (within, between, point) = (sign("cs", ',')?, sign("ts", ' ')?, sign("decimal", '.')?);
    let is_between = |c: char| c == between || (between == ' ' && c.is_whitespace());
    for tuple in element.text.split(is_between).map(str::trim).filter(|tuple| !tuple.is_empty()) {
        let written: Vec<String> = tuple.split(within).map(|word| word.trim().replace(point, ".")).collect();
        match numbers(written.iter().map(String::as_str))?.as_slice() {
            [x, y] | [x, y, _] => all.push(Coord { x: *x, y: *y }),
            others => return Err(format!("a position has {} numbers", others.len())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::document;

    fn read_text(inner: &str) -> Result<Shape, String> {
        read(&document(inner.replacen('>', " xmlns=\"http://www.opengis.net/gml/3.2\">", 1).as_bytes()).unwrap())
    }

    fn wkt(inner: &str) -> String {
        format!("{:?}", read_text(inner).unwrap().geometry)
    }

    #[test]
    fn kinds_of_all_versions_are_read() {
        let ring = "<posList>0 0 4 0 4 4 0 0</posList>";
        let square = format!("<Polygon><exterior><LinearRing>{ring}</LinearRing></exterior></Polygon>");
        let patch = square.replace("Polygon", "PolygonPatch");
        for (inner, wanted) in [
            ("<Point><pos>11.3 106.1</pos></Point>".to_owned(), "POINT(11.3 106.1)"),
            ("<Point><pos>11.3 106.1 7</pos></Point>".into(), "POINT(11.3 106.1)"),
            ("<Point><coordinates>106.1,11.3</coordinates></Point>".into(), "POINT(106.1 11.3)"),
            ("<Point><coordinates cs=\" \" ts=\";\" decimal=\",\">106,1 11,3;</coordinates></Point>".into(), "POINT(106.1 11.3)"),
            ("<Point><coord><X>1</X><Y>2</Y></coord></Point>".into(), "POINT(1.0 2.0)"),
            ("<LineString><posList srsDimension=\"3\">1 2 9 3 4 9</posList></LineString>".into(), "LINESTRING(1.0 2.0,3.0 4.0)"),
            ("<LineString srsDimension=\"3\"><posList>1 2 9 3 4 9</posList></LineString>".into(), "LINESTRING(1.0 2.0,3.0 4.0)"),
            ("<LineString><pos>1 2</pos><pos>3 4</pos></LineString>".into(), "LINESTRING(1.0 2.0,3.0 4.0)"),
            (
                "<Curve><segments><LineStringSegment><posList>1 2 3 4</posList></LineStringSegment><LineStringSegment><posList>3 4 5 6</posList></LineStringSegment></segments></Curve>".into(),
                "LINESTRING(1.0 2.0,3.0 4.0,5.0 6.0)",
            ),
            (square.clone(), "POLYGON((0.0 0.0,4.0 0.0,4.0 4.0,0.0 0.0))"),
            (format!("<Surface><patches>{patch}</patches></Surface>"), "POLYGON((0.0 0.0,4.0 0.0,4.0 4.0,0.0 0.0))"),
            (
                "<Polygon><outerBoundaryIs><LinearRing><coordinates>0,0 9,0 9,9 0,0</coordinates></LinearRing></outerBoundaryIs><innerBoundaryIs><LinearRing><coordinates>1,1 2,1 2,2 1,1</coordinates></LinearRing></innerBoundaryIs></Polygon>".into(),
                "POLYGON((0.0 0.0,9.0 0.0,9.0 9.0,0.0 0.0),(1.0 1.0,2.0 1.0,2.0 2.0,1.0 1.0))",
            ),
            (
                format!("<MultiSurface><surfaceMember>{square}</surfaceMember></MultiSurface>"),
                "MULTIPOLYGON(((0.0 0.0,4.0 0.0,4.0 4.0,0.0 0.0)))",
            ),
            ("<MultiPoint><pointMembers><Point><pos>1 2</pos></Point><Point><pos>3 4</pos></Point></pointMembers></MultiPoint>".into(), "MULTIPOINT(1.0 2.0,3.0 4.0)"),
            ("<MultiCurve><curveMember><LineString><posList>1 2 3 4</posList></LineString></curveMember></MultiCurve>".into(), "MULTILINESTRING((1.0 2.0,3.0 4.0))"),
        ] {
            assert_eq!(wkt(&inner), wanted, "{inner}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (inner, word) in [
            ("<Point></Point>", "no positions"),
            ("<Point><pos>1</pos></Point>", "1 numbers"),
            ("<Point><pos>a b</pos></Point>", "\"a\""),
            ("<LineString><posList>1 2 3</posList></LineString>", "3 numbers"),
            ("<LineString srsDimension=\"9\"><posList>1 2 3</posList></LineString>", "\"9\""),
            ("<Curve><segments><Arc><posList>1 2 3 4 5 6</posList></Arc></segments></Curve>", "Arc"),
            ("<Polygon></Polygon>", "no outer ring"),
            ("<Polygon><exterior></exterior></Polygon>", "empty"),
            ("<Solid></Solid>", "Solid"),
            (
                "<MultiPoint srsName=\"EPSG:4326\"><pointMember><Point srsName=\"EPSG:9209\"><pos>1 2</pos></Point></pointMember></MultiPoint>",
                "two systems",
            ),
        ] {
            let error = read_text(inner).unwrap_err();
            assert!(error.contains(word), "{inner}: {error}");
        }
    }

    #[test]
    fn the_system_may_stand_on_any_level() {
        let inner = "<MultiPoint><pointMember><Point srsName=\"urn:ogc:def:crs:EPSG::4326\"><pos>1 2</pos></Point></pointMember></MultiPoint>";
        assert_eq!(read_text(inner).unwrap().srs.as_deref(), Some("urn:ogc:def:crs:EPSG::4326"));
    }
}
