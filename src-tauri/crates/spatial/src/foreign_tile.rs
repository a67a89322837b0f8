//! Vector tiles that others cut, under the names that ours have: one layer of them, its attributes by field, the feature's
//! id as text, and label points for polygons as in [`crate::label_tile`].
//!
//! The shapes stay as they came. What came is not trusted: every length is checked, and a tile that is none is an error.

use crate::label::label_point;
use crate::mvt::{Commands, Kind, bytes_field, value_message, varint};
use geo_types::{Coord, Geometry, LineString, MultiPolygon, Polygon};
use model::Value;

/// What stands where in a tile of others.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignNames {
    /// The layer's name in the tile.
    pub from: String,
    /// The layer's own name, which it gets.
    pub to: String,
    /// The attribute that holds the feature's id; absent: an attribute `id`, else the feature's number.
    pub id: Option<String>,
    /// Field and the attribute that it is taken from.
    pub fields: Vec<(String, String)>,
}

/// Why a tile of others cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignTileError {
    #[error("it is no vector tile: {0}")]
    Malformed(&'static str),
    #[error("the tile has no layer {wanted:?}; it has {}", found.join(", "))]
    NoLayer { wanted: String, found: Vec<String> },
}

/// A label needs so many pixels of a 512-pixel tile both ways.
const LEAST_PX: f64 = 24.0;
/// A part of a polygon that is cut off by the tile's edge bears a name too where it fills an eighth of the tile.
const LARGE: f64 = 0.125;
/// The equator in Mercator's metres.
const EQUATOR_M: f64 = 40_075_016.686;
/// More corners of one feature than a tile server ever leaves in.
const MAX_CORNERS: usize = 1 << 20;

/// The wanted layer of a tile (Mapbox Vector Tile 2.1, not packed) with our names; `None` for an empty tile.
///
/// # Errors
/// [`ForeignTileError`]: for bytes that are no tile, and for a tile with other layers only.
pub fn foreign_tile(bytes: &[u8], names: &ForeignNames, z: u8, y: u32) -> Result<Option<Vec<u8>>, ForeignTileError> {
    let mut found = Vec::new();
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        let (3, Content::Bytes(layer)) = field else { continue };
        let layer = Layer::read(layer)?;
        if layer.name == names.from {
            return layer.renamed(names, z, y).map(Some);
        }
        found.push(layer.name.to_owned());
    }
    if found.is_empty() { Ok(None) } else { Err(ForeignTileError::NoLayer { wanted: names.from.clone(), found }) }
}

type Read<T> = Result<T, ForeignTileError>;

fn wrong<T>(what: &'static str) -> Read<T> {
    Err(ForeignTileError::Malformed(what))
}

/// The fields of a message, one after the other.
struct Fields<'a>(&'a [u8]);

enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes.
    Fixed(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn number(&mut self) -> Read<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = self.0.split_first() else { return wrong("a number is cut off") };
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        wrong("a number is too long")
    }

    fn take(&mut self, count: u64) -> Read<&'a [u8]> {
        let split = usize::try_from(count).ok().and_then(|count| self.0.split_at_checked(count));
        let Some((taken, rest)) = split else { return wrong("a part is longer than the whole") };
        self.0 = rest;
        Ok(taken)
    }

    fn next(&mut self) -> Read<Option<(u64, Content<'a>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let content = match tag & 7 {
            0 => Content::Number(self.number()?),
            1 => Content::Fixed(self.take(8)?),
            2 => {
                let count = self.number()?;
                Content::Bytes(self.take(count)?)
            }
            5 => Content::Fixed(self.take(4)?),
            _ => return wrong("a field has an unknown form"),
        };
        Ok(Some((tag >> 3, content)))
    }
}

fn text(bytes: &[u8]) -> Read<&str> {
    std::str::from_utf8(bytes).or_else(|_| wrong("a name is no UTF-8"))
}

#[derive(Default)]
struct Layer<'a> {
    name: &'a str,
    features: Vec<&'a [u8]>,
    keys: Vec<&'a str>,
    values: Vec<&'a [u8]>,
    extent: Option<u32>,
}

#[derive(Default)]
struct Feature<'a> {
    number: Option<u64>,
    /// Key and value by their numbers in the layer.
    tags: Vec<(usize, usize)>,
    kind: u64,
    geometry: &'a [u8],
}

impl<'a> Layer<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut layer = Self::default();
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Content::Bytes(name)) => layer.name = text(name)?,
                (2, Content::Bytes(feature)) => layer.features.push(feature),
                (3, Content::Bytes(key)) => layer.keys.push(text(key)?),
                (4, Content::Bytes(value)) => layer.values.push(value),
                (5, Content::Number(extent)) => layer.extent = u32::try_from(extent).ok(),
                _ => {}
            }
        }
        match layer.extent.unwrap_or(4_096) {
            1..=0x10000 => Ok(layer),
            _ => wrong("its extent is out of range"),
        }
    }

    fn feature(&self, bytes: &'a [u8]) -> Read<Feature<'a>> {
        let mut feature = Feature::default();
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Content::Number(number)) => feature.number = Some(number),
                (2, Content::Bytes(packed)) => {
                    let mut numbers = Fields(packed);
                    while !numbers.0.is_empty() {
                        let (key, value) = (numbers.number()?, numbers.number()?);
                        let pair = (usize::try_from(key), usize::try_from(value));
                        let (Ok(key), Ok(value)) = pair else { return wrong("a tag names no value") };
                        if key >= self.keys.len() || value >= self.values.len() {
                            return wrong("a tag names no value");
                        }
                        feature.tags.push((key, value));
                    }
                }
                (3, Content::Number(kind)) => feature.kind = kind,
                (4, Content::Bytes(geometry)) => feature.geometry = geometry,
                _ => {}
            }
        }
        Ok(feature)
    }

    fn renamed(&self, names: &ForeignNames, z: u8, y: u32) -> Read<Vec<u8>> {
        let extent = self.extent.unwrap_or(4_096);
        let mut keys = vec!["id"];
        keys.extend(names.fields.iter().map(|(field, _)| field.as_str()).filter(|field| *field != "id"));
        let area_key = keys.len();
        // For each key of the tile, the keys that it is written under.
        let under: Vec<Vec<usize>> = self
            .keys
            .iter()
            .map(|key| {
                let fields = names.fields.iter().filter(|(field, attribute)| attribute == key && field != "id");
                fields.filter_map(|(field, _)| keys.iter().position(|own| own == field)).collect()
            })
            .collect();
        let id_key = self.keys.iter().position(|key| *key == names.id.as_deref().unwrap_or("id"));
        let mut values: Vec<u8> = Vec::new();
        let mut value_count = self.values.len();
        for value in &self.values {
            bytes_field(&mut values, 4, value);
        }
        let mut add = |value: &Value| {
            bytes_field(&mut values, 4, &value_message(value));
            value_count += 1;
            value_count - 1
        };
        let (mut features, mut labels) = (Vec::new(), Vec::new());
        for bytes in &self.features {
            let feature = self.feature(bytes)?;
            let of_key = |key: usize| feature.tags.iter().find(|(own, _)| *own == key).map(|(_, value)| *value);
            let id = match id_key.and_then(of_key) {
                Some(value) => written(self.values[value])?,
                None => names.id.is_none().then_some(feature.number).flatten().map(|number| number.to_string()),
            };
            let mut tags = Vec::new();
            let mut tag = |key: usize, value: usize| {
                varint(&mut tags, key as u64);
                varint(&mut tags, value as u64);
            };
            if let Some(id) = id {
                tag(0, add(&Value::Text(id)));
            }
            for (key, value) in &feature.tags {
                under[*key].iter().for_each(|own| tag(*own, *value));
            }
            write(&mut features, feature.number, &tags, feature.kind, feature.geometry);
            if feature.kind == Kind::Polygon as u64
                && let Some((at, area)) = label_of(feature.geometry, extent)?
            {
                let area_m2 = (area * side_m(z, y).powi(2)).round();
                varint(&mut tags, area_key as u64);
                varint(&mut tags, add(&Value::Real(area_m2)) as u64);
                let mut commands = Commands::default();
                commands.points(&[at]);
                write(&mut labels, feature.number, &tags, Kind::Point as u64, commands.bytes());
            }
        }
        keys.push("area_m2");
        let mut out = Vec::new();
        for (name, features) in [(names.to.clone(), features), (format!("{}:labels", names.to), labels)] {
            if features.is_empty() {
                continue;
            }
            let mut layer = Vec::with_capacity(features.len() + values.len() + 256);
            bytes_field(&mut layer, 1, name.as_bytes());
            layer.extend_from_slice(&features);
            keys.iter().for_each(|key| bytes_field(&mut layer, 3, key.as_bytes()));
            layer.extend_from_slice(&values);
            layer.push(5 << 3);
            varint(&mut layer, u64::from(extent));
            layer.extend_from_slice(&[15 << 3, 2]);
            bytes_field(&mut out, 3, &layer);
        }
        Ok(out)
    }
}

fn write(out: &mut Vec<u8>, number: Option<u64>, tags: &[u8], kind: u64, geometry: &[u8]) {
    let mut feature = Vec::with_capacity(tags.len() + geometry.len() + 16);
    if let Some(number) = number {
        feature.push(1 << 3);
        varint(&mut feature, number);
    }
    bytes_field(&mut feature, 2, tags);
    feature.push(3 << 3);
    varint(&mut feature, kind);
    bytes_field(&mut feature, 4, geometry);
    bytes_field(out, 2, &feature);
}

/// A value as the text of an id; `None` for what is none.
fn written(message: &[u8]) -> Read<Option<String>> {
    let mut fields = Fields(message);
    Ok(match fields.next()? {
        Some((1, Content::Bytes(bytes))) => Some(text(bytes)?.to_owned()),
        Some((4, Content::Number(number))) => Some(number.cast_signed().to_string()),
        Some((5, Content::Number(number))) => Some(number.to_string()),
        Some((6, Content::Number(number))) => {
            Some(((number >> 1).cast_signed() ^ -(number & 1).cast_signed()).to_string())
        }
        Some((3, Content::Fixed(bytes))) => bytes.try_into().ok().map(|bytes| f64::from_le_bytes(bytes).to_string()),
        Some((2, Content::Fixed(bytes))) => bytes.try_into().ok().map(|bytes| f32::from_le_bytes(bytes).to_string()),
        _ => None,
    })
}

/// Where the polygon's name stands, in tile units, and the area as a share of the tile; `None` where none should.
fn label_of(commands: &[u8], extent: u32) -> Read<Option<([i32; 2], f64)>> {
    let rings = rings_of(commands)?;
    let side = f64::from(extent);
    let inside = |c: &Coord<f64>| (0.0..=1.0).contains(&c.x) && (0.0..=1.0).contains(&c.y);
    let whole = rings.iter().flatten().all(|at| inside(&placed(*at, side)));
    let mut polygons: Vec<Polygon<f64>> = Vec::new();
    let mut area = 0.0;
    for ring in &rings {
        let line: LineString<f64> = ring.iter().map(|at| placed(*at, side)).collect();
        // Outer rings run with the clock as seen, their holes against it.
        let doubled: f64 = line.0.array_windows::<2>().map(|[a, b]| a.x * b.y - b.x * a.y).sum();
        area += doubled / 2.0;
        match polygons.last_mut() {
            Some(polygon) if doubled < 0.0 => polygon.interiors_push(line),
            _ => polygons.push(Polygon::new(line, Vec::new())),
        }
    }
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for c in rings.iter().flatten().map(|at| placed(*at, side)) {
        low = [low[0].min(c.x), low[1].min(c.y)];
        high = [high[0].max(c.x), high[1].max(c.y)];
    }
    let least = LEAST_PX / 512.0;
    if (high[0] - low[0] < least && high[1] - low[1] < least) || !(whole || area >= LARGE) {
        return Ok(None);
    }
    let at = label_point(&Geometry::MultiPolygon(MultiPolygon(polygons)))
        .filter(|at| (0.0..1.0).contains(&at.x) && (0.0..1.0).contains(&at.y));
    #[allow(clippy::cast_possible_truncation)]
    Ok(at.map(|at| ([(at.x * side) as i32, (at.y * side) as i32], area.abs())))
}

fn placed([x, y]: [i32; 2], side: f64) -> Coord<f64> {
    Coord { x: f64::from(x) / side, y: f64::from(y) / side }
}

/// The rings of a polygon's commands, each closed.
fn rings_of(commands: &[u8]) -> Read<Vec<Vec<[i32; 2]>>> {
    let mut numbers = Fields(commands);
    let mut rings: Vec<Vec<[i32; 2]>> = Vec::new();
    let (mut at, mut corners) = ([0_i32; 2], 0);
    while !numbers.0.is_empty() {
        let command = numbers.number()?;
        let count = usize::try_from(command >> 3).unwrap_or(usize::MAX);
        match command & 7 {
            7 => {
                if let Some(ring) = rings.last_mut()
                    && let Some(first) = ring.first().copied()
                {
                    ring.push(first);
                }
            }
            code @ (1 | 2) => {
                corners += count;
                if corners > MAX_CORNERS {
                    return wrong("a shape has too many corners");
                }
                for _ in 0..count {
                    for axis in &mut at {
                        let step = numbers.number()?;
                        let Ok(step) = u32::try_from(step) else { return wrong("a step is out of range") };
                        let step = (step >> 1).cast_signed() ^ -(step & 1).cast_signed();
                        *axis = axis.wrapping_add(step);
                    }
                    if code == 1 {
                        rings.push(Vec::new());
                    }
                    match rings.last_mut() {
                        Some(ring) => ring.push(at),
                        None => return wrong("a line begins nowhere"),
                    }
                }
            }
            _ => return wrong("a command is unknown"),
        }
    }
    rings.retain(|ring| ring.len() > 3);
    Ok(rings)
}

/// The side of a tile on the ground, metres, at its middle.
fn side_m(z: u8, y: u32) -> f64 {
    let n = f64::from(1_u32 << z.min(30));
    let latitude = (std::f64::consts::PI * (1.0 - 2.0 * (f64::from(y) + 0.5) / n)).sinh().atan();
    EQUATOR_M / n * latitude.cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerPicture;
    use geo_types::polygon;
    use model::{Feature as Ours, LayerId};
    use proptest::prelude::*;

    fn lots() -> LayerPicture {
        let square = |x: f64, side: f64| {
            let (south, east, north) = (10.96, x + side, 10.96 + side);
            polygon![(x: x, y: south), (x: east, y: south), (x: east, y: north), (x: x, y: north)]
        };
        let lot = |id: &str, x: f64, side: f64| Ours {
            id: id.into(),
            geometry: square(x, side).into(),
            properties: [
                ("ten".to_owned(), Value::Text(format!("Lô {id}"))),
                ("so_to".to_owned(), Value::Integer(7)),
                ("ma".to_owned(), Value::Integer(if id == "a" { 41 } else { -42 })),
                ("secret".to_owned(), Value::Text("x".into())),
            ]
            .into(),
        };
        let fields = ["so_to", "ma", "secret"].map(str::to_owned);
        LayerPicture::build(
            LayerId::new("theirs").unwrap(),
            1,
            vec![lot("a", 106.0, 0.01), lot("b", 106.02, 0.0001)],
            "ten",
            &fields,
        )
    }

    fn names() -> ForeignNames {
        ForeignNames {
            from: "theirs".into(),
            to: "parcels".into(),
            id: Some("ma".into()),
            fields: vec![("name".into(), "name".into()), ("sheet".into(), "so_to".into()), ("ma".into(), "ma".into())],
        }
    }

    type Tags = Vec<(String, String)>;

    /// Layer → features with their tags as text.
    fn told(bytes: &[u8]) -> Vec<(String, Vec<Tags>)> {
        let mut out = Vec::new();
        let mut fields = Fields(bytes);
        while let Some((3, Content::Bytes(layer))) = fields.next().unwrap() {
            let layer = Layer::read(layer).unwrap();
            let feature = |bytes: &&[u8]| {
                let feature = layer.feature(bytes).unwrap();
                let tag = |(k, v): &(usize, usize)| {
                    (layer.keys[*k].to_owned(), written(layer.values[*v]).unwrap().unwrap_or_default())
                };
                feature.tags.iter().map(tag).collect()
            };
            out.push((layer.name.to_owned(), layer.features.iter().map(feature).collect()));
        }
        out
    }

    const AT: (u8, u32, u32) = (12, 3254, 1922);

    fn tile() -> Vec<u8> {
        let (z, x, y) = AT;
        let n = f64::from(1 << z);
        assert_eq!(((106.005 + 180.0) / 360.0 * n) as u32, x);
        lots().tile(z, x, y).unwrap()
    }

    #[test]
    fn a_layer_of_others_bears_our_names() {
        let (z, _, y) = AT;
        let renamed = foreign_tile(&tile(), &names(), z, y).unwrap().unwrap();
        let layers = told(&renamed);
        let (name, features) = &layers[0];
        assert_eq!((name.as_str(), features.len()), ("parcels", 2));
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        let tags = &features[0];
        for wanted in [pair("id", "41"), pair("name", "Lô a"), pair("sheet", "7"), pair("ma", "41")] {
            assert!(tags.contains(&wanted), "{wanted:?} in {tags:?}");
        }
        assert!(!tags.iter().any(|(key, _)| key == "secret"));
        assert!(features[1].contains(&pair("id", "-42")));
        // The small one has no room for a word.
        let (name, labels) = &layers[1];
        assert_eq!((name.as_str(), labels.len()), ("parcels:labels", 1));
        let area: f64 = labels[0].iter().find(|(key, _)| key == "area_m2").unwrap().1.parse().unwrap();
        let exact = geodesy::area_m2(&lots().geometry(0).unwrap());
        assert!((area / exact - 1.0).abs() < 0.02, "{area} {exact}");
    }

    #[test]
    fn without_an_attribute_the_number_is_the_id() {
        let (z, _, y) = AT;
        let plain = ForeignNames { id: None, fields: Vec::new(), ..names() };
        let renamed = foreign_tile(&tile(), &plain, z, y).unwrap().unwrap();
        assert_eq!(told(&renamed)[0].1[0], [("id".to_owned(), "a".to_owned())], "it has an attribute id");
        let missing = ForeignNames { id: Some("none".into()), ..plain };
        let renamed = foreign_tile(&tile(), &missing, z, y).unwrap().unwrap();
        assert_eq!(told(&renamed)[0].1[0], [], "no other key is taken for it");
    }

    #[test]
    fn what_is_no_tile_is_an_error_and_what_is_empty_is_not() {
        assert_eq!(foreign_tile(&[], &names(), 8, 1), Ok(None));
        let other = ForeignNames { from: "roads".into(), ..names() };
        let error = foreign_tile(&tile(), &other, 8, 1).unwrap_err();
        assert_eq!(error.to_string(), "the tile has no layer \"roads\"; it has theirs");
        assert!(matches!(foreign_tile(b"<html>", &names(), 8, 1), Err(ForeignTileError::Malformed(_))));
        let whole = tile();
        for cut in 1..whole.len() {
            // Whatever it is: no panic.
            let _ = foreign_tile(&whole[..cut], &names(), 8, 1);
        }
    }

    proptest! {
        #[test]
        fn changed_bytes_give_a_tile_or_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = tile();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = foreign_tile(&bytes, &names(), 8, 1);
        }
    }
}
