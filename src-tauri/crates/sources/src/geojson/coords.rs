//! Typed reading of GeoJSON coordinates: no tree of values, positions go into one flat list.

use geo_types::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A fault noticed inside a deserialiser, whose own errors are only text: code and reason.
#[derive(Default)]
pub(super) struct Fault(pub(super) Option<(&'static str, String)>);

impl Fault {
    fn set<E: Error>(&mut self, code: &'static str, reason: impl Into<String>) -> E {
        let reason = reason.into();
        let error = E::custom(&reason);
        self.0.get_or_insert((code, reason));
        error
    }
}

/// Collections in collections deeper than this are no map data.
const MAX_COLLECTIONS: u32 = 8;
/// MultiPolygon: polygons of rings of positions.
const MAX_LEVELS: usize = 3;

/// Positions with the places where rings, polygons and so on end.
#[derive(Default)]
pub(super) struct Flat {
    pub(super) coords: Vec<Coord<f64>>,
    /// `ends[0]`: ends of lists of positions, as counts of `coords`; `ends[1]`: ends of lists of those, as counts of
    /// `ends[0]`; and so on.
    pub(super) ends: [Vec<usize>; MAX_LEVELS],
    /// List levels above a position; `None` while nothing but empty lists has come.
    pub(super) level: Option<usize>,
}

impl Flat {
    /// Forgets everything but keeps the room.
    pub(super) fn clear(&mut self) {
        self.coords.clear();
        self.ends.iter_mut().for_each(Vec::clear);
        self.level = None;
    }
}

/// What an element of a coordinates list was.
enum Element {
    Number(f64),
    /// A list of this level: 0 is a position.
    List(usize),
    /// `[]`, or a list of nothing but such.
    Empty,
}

struct ElementSeed<'a> {
    flat: &'a mut Flat,
    fault: &'a mut Fault,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = Element;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_> {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a coordinate or a list of coordinates")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Element, E> {
        Ok(Element::Number(number))
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Element, E> {
        Ok(Element::Number(number as f64))
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Element, E> {
        Ok(Element::Number(number as f64))
    }

    fn visit_unit<E: Error>(self) -> Result<Element, E> {
        if self.depth == 0 { Ok(Element::Empty) } else { Err(self.fault.set("not_finite", "a coordinate is null")) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Element, E> {
        let (code, what) = match text.to_ascii_lowercase().trim_matches(['+', '-']) {
            "nan" | "inf" | "infinity" => ("not_finite", "no finite number"),
            _ => ("geometry_invalid", "text, not a number"),
        };
        Err(self.fault.set(code, format!("a coordinate is {what}: {text:?}")))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Element, E> {
        Err(self.fault.set("geometry_invalid", "a coordinate is no number"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
        let Self { flat, fault, depth } = self;
        if depth > MAX_LEVELS {
            return Err(fault.set("geometry_invalid", "coordinates are nested too deeply"));
        }
        macro_rules! next {
            () => {
                list.next_element_seed(ElementSeed { flat: &mut *flat, fault: &mut *fault, depth: depth + 1 })?
            };
        }
        let mut level = match next!() {
            None => return Ok(Element::Empty),
            Some(Element::Number(x)) => {
                let Some(Element::Number(y)) = next!() else {
                    return Err(fault.set("geometry_invalid", "a position has less than two numbers"));
                };
                // Height and measure are left out.
                while let Some(further) = next!() {
                    if !matches!(further, Element::Number(_)) {
                        return Err(fault.set("geometry_invalid", "a position holds something else than numbers"));
                    }
                }
                flat.coords.push(Coord { x, y });
                return Ok(Element::List(0));
            }
            Some(Element::List(level)) => Some(level),
            Some(Element::Empty) => None,
        };
        loop {
            match next!() {
                None => break,
                Some(Element::Empty) => {}
                Some(Element::List(other)) if level.is_none_or(|level| level == other) => level = Some(other),
                Some(_) => return Err(fault.set("geometry_invalid", "positions and lists of positions are mixed")),
            }
        }
        let Some(level) = level else { return Ok(Element::Empty) };
        let count = if level == 0 { flat.coords.len() } else { flat.ends[level - 1].len() };
        flat.ends[level].push(count);
        Ok(Element::List(level + 1))
    }
}

/// Reads a geometry object or null. `Ok(None)`: there is no geometry, or an empty one.
pub(super) struct GeometrySeed<'a> {
    pub(super) fault: &'a mut Fault,
    pub(super) depth: u32,
}

impl<'de> DeserializeSeed<'de> for GeometrySeed<'_> {
    type Value = Option<Geometry<f64>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for GeometrySeed<'_> {
    type Value = Option<Geometry<f64>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a GeoJSON geometry")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { fault, depth } = self;
        if depth >= MAX_COLLECTIONS {
            return Err(fault.set("too_deep", "geometry collections are nested too deeply"));
        }
        let mut kind: Option<String> = None;
        let mut flat = Flat::default();
        let mut parts: Vec<Geometry<f64>> = Vec::new();
        while let Some(key) = map.next_key::<super::feature::Key>()? {
            match key.as_str() {
                "type" => kind = Some(map.next_value::<super::feature::Key>()?.into_string()),
                "coordinates" => {
                    flat = Flat::default();
                    let seed = ElementSeed { flat: &mut flat, fault: &mut *fault, depth: 0 };
                    flat.level = match map.next_value_seed(seed)? {
                        Element::List(level) => Some(level),
                        Element::Empty => None,
                        Element::Number(_) => {
                            return Err(fault.set("geometry_invalid", "coordinates are a single number"));
                        }
                    };
                }
                "geometries" => parts = map.next_value_seed(PartsSeed { fault: &mut *fault, depth })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Some(kind) = kind else { return Err(fault.set("geometry_invalid", "the geometry has no type")) };
        assemble(&kind, &flat, parts).map_err(|reason| fault.set("geometry_invalid", reason))
    }
}

struct PartsSeed<'a> {
    fault: &'a mut Fault,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for PartsSeed<'_> {
    type Value = Vec<Geometry<f64>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PartsSeed<'_> {
    type Value = Vec<Geometry<f64>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of geometries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) =
            list.next_element_seed(GeometrySeed { fault: &mut *self.fault, depth: self.depth + 1 })?
        {
            parts.extend(part);
        }
        Ok(parts)
    }
}

/// The geometry of this kind. `Ok(None)`: it is empty. `parts` are those of a collection.
///
/// # Errors
/// Why the coordinates make no such geometry, for people.
pub(super) fn assemble(kind: &str, flat: &Flat, parts: Vec<Geometry<f64>>) -> Result<Option<Geometry<f64>>, String> {
    let wanted = match kind {
        "Point" => 0,
        "LineString" | "MultiPoint" => 1,
        "Polygon" | "MultiLineString" => 2,
        "MultiPolygon" => 3,
        "GeometryCollection" => {
            return Ok((!parts.is_empty()).then_some(Geometry::GeometryCollection(GeometryCollection(parts))));
        }
        other => return Err(format!("{other:?} is no geometry type")),
    };
    let Flat { coords, ends, level } = flat;
    let Some(level) = *level else { return Ok(None) };
    if level != wanted {
        return Err(format!("the coordinates of a {kind} are nested {wanted} levels deep, these are {level}"));
    }
    Ok(Some(match kind {
        "Point" => Geometry::Point(Point(coords[0])),
        "MultiPoint" => Geometry::MultiPoint(MultiPoint(coords.iter().copied().map(Point).collect())),
        "LineString" => Geometry::LineString(long_enough(LineString(coords.clone()))?),
        "MultiLineString" => {
            let lines: Result<_, _> = lines(coords, &ends[0]).map(long_enough).collect();
            Geometry::MultiLineString(MultiLineString(lines?))
        }
        "Polygon" => Geometry::Polygon(polygon(lines(coords, &ends[0]).collect())?),
        _ => {
            let mut rings = lines(coords, &ends[0]);
            let mut before = 0;
            let mut polygons = Vec::with_capacity(ends[1].len());
            for end in &ends[1] {
                polygons.push(polygon(rings.by_ref().take(end - before).collect())?);
                before = *end;
            }
            Geometry::MultiPolygon(MultiPolygon(polygons))
        }
    }))
}

fn lines<'a>(coords: &'a [Coord<f64>], ends: &'a [usize]) -> impl Iterator<Item = LineString<f64>> + 'a {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, end)| LineString(coords[start..*end].to_vec()))
}

fn long_enough(line: LineString<f64>) -> Result<LineString<f64>, String> {
    if line.0.len() >= 2 { Ok(line) } else { Err("a line has less than two positions".into()) }
}

/// Rings too short to hold an area are left for the repair to drop, unless it is the only one.
fn polygon(mut rings: Vec<LineString<f64>>) -> Result<Polygon<f64>, String> {
    let exterior = rings.remove(0);
    if exterior.0.len() < 3 {
        return Err("a ring has less than three positions".into());
    }
    Ok(Polygon::new(exterior, rings))
}
