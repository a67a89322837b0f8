//! Features of the usual shapes, read straight from their bytes.
//!
//! It only ever says yes: whatever is unusual or wrong (collections, nested properties, members that stand twice, empty
//! lists, broken JSON) gives `None`, and [`super::feature::parse`] has the word on it. What it reads, it reads as that
//! does, to the last bit.

use super::coords::{Flat, assemble};
use super::feature::{Parsed, id_of};
use super::number::{Number, number};
use crate::file::stored;
use geo_types::{Coord, Geometry};
use model::{NamedRows, Properties, Renaming, Value};
use std::borrow::Cow;

/// More positions than this are not kept room for.
const KEPT_POSITIONS: usize = 64 << 10;

/// What one feature leaves for the next: room for its positions, and the names of its attributes.
#[derive(Default)]
pub(super) struct Room {
    flat: Flat,
    rows: NamedRows,
    /// The caller's names for attributes.
    pub(super) renaming: Renaming,
}

impl Room {
    pub(super) fn naming(map: &[(String, String)]) -> Self {
        Self { renaming: Renaming::new(map), ..Self::default() }
    }
}

/// Reads a Feature.
pub(super) fn parse(slice: &[u8], room: &mut Room) -> Option<Parsed> {
    let mut cursor = Cursor { bytes: slice, at: 0 };
    let parsed = cursor.feature(room);
    if room.flat.coords.capacity() > KEPT_POSITIONS {
        room.flat = Flat::default();
    }
    parsed
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn feature(&mut self, room: &mut Room) -> Option<Parsed> {
        let mut geometry = None;
        let mut properties = None;
        let mut id = None;
        let mut kind = false;
        self.object(|cursor, key| {
            match key {
                "geometry" if geometry.is_none() => geometry = Some(cursor.geometry(&mut room.flat)?),
                "properties" if properties.is_none() => properties = Some(cursor.properties(&mut room.rows)?),
                "id" if id.is_none() => id = Some(cursor.value()?),
                "type" if !kind => {
                    cursor.text()?;
                    kind = true;
                }
                _ => return None,
            }
            Some(())
        })?;
        self.blanks();
        if self.at != self.bytes.len() {
            return None;
        }
        Some(Parsed {
            id: id.as_ref().and_then(id_of),
            geometry: geometry?,
            properties: properties.unwrap_or_default(),
        })
    }

    fn geometry(&mut self, flat: &mut Flat) -> Option<Geometry<f64>> {
        let mut kind = None;
        let mut level = None;
        self.object(|cursor, key| {
            match key {
                "type" if kind.is_none() => kind = Some(cursor.text()?),
                "coordinates" if level.is_none() => level = Some(cursor.coordinates(flat)?),
                _ => return None,
            }
            Some(())
        })?;
        flat.level = Some(level?);
        assemble(&kind?, flat, Vec::new()).ok().flatten()
    }

    fn properties(&mut self, rows: &mut NamedRows) -> Option<Properties> {
        if self.peek() == Some(b'n') {
            self.word(b"null")?;
            return Some(Properties::new());
        }
        rows.begin();
        self.object(|cursor, key| {
            let value = cursor.value()?;
            rows.push(key, value, stored);
            Some(())
        })?;
        Some(rows.end())
    }

    /// Reads an object; `member` gets each name and stands on the value.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.text()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            member(self, &key)?;
            self.blanks();
            match self.next()? {
                b',' => self.blanks(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A value that is neither list nor object.
    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            b'"' => self.text().map(|text| Value::Text(stored(&text))),
            b'n' => self.word(b"null").map(|()| Value::Null),
            b't' => self.word(b"true").map(|()| Value::Bool(true)),
            b'f' => self.word(b"false").map(|()| Value::Bool(false)),
            _ => self.number().map(|number| match number {
                Number::Integer(number) => Value::Integer(number),
                Number::Real(number) => Value::Real(number),
            }),
        }
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                0..0x20 => return None,
                _ => {}
            }
        }
        if escaped {
            return serde_json::from_slice(&self.bytes[start - 1..self.at]).ok().map(Cow::Owned);
        }
        std::str::from_utf8(&self.bytes[start..self.at - 1]).ok().map(Cow::Borrowed)
    }

    /// Reads coordinates of any level into `flat`; the list levels above a position.
    fn coordinates(&mut self, flat: &mut Flat) -> Option<usize> {
        flat.clear();
        let mut open = 0;
        while self.peek()? == b'[' {
            self.at += 1;
            self.blanks();
            open += 1;
        }
        let top = usize::checked_sub(open, 1).filter(|top| *top <= flat.ends.len())?;
        loop {
            flat.coords.push(self.position()?);
            let mut level = 0;
            loop {
                if level == top {
                    return Some(top);
                }
                self.blanks();
                match self.next()? {
                    b',' => break,
                    b']' => {
                        let count = if level == 0 { flat.coords.len() } else { flat.ends[level - 1].len() };
                        flat.ends[level].push(count);
                        level += 1;
                    }
                    _ => return None,
                }
            }
            for _ in 0..=level {
                self.blanks();
                self.expect(b'[')?;
            }
            self.blanks();
        }
    }

    /// Reads a position from its first number to behind its bracket. Height and measure are left out.
    fn position(&mut self) -> Option<Coord<f64>> {
        let x = self.number()?.as_f64();
        self.blanks();
        self.expect(b',')?;
        self.blanks();
        let y = self.number()?.as_f64();
        loop {
            self.blanks();
            match self.next()? {
                b']' => return Some(Coord { x, y }),
                b',' => {
                    self.blanks();
                    self.number()?;
                }
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<Number> {
        let (number, end) = number(self.bytes, self.at)?;
        self.at = end;
        Some(number)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geojson::feature;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    fn quick(text: &[u8]) -> Option<Parsed> {
        parse(text, &mut Room::default())
    }

    /// Every number by its bits, everything else by its value.
    fn bits(parsed: &Parsed) -> String {
        let mut numbers = Vec::new();
        model::visit_coords(&parsed.geometry, &mut |c| numbers.extend([c.x.to_bits(), c.y.to_bits()]));
        numbers.extend(parsed.properties.values().iter().filter_map(|value| match value {
            Value::Real(real) => Some(real.to_bits()),
            _ => None,
        }));
        format!("{:?} {:?} {:?} {numbers:?}", parsed.id, parsed.geometry, parsed.properties)
    }

    #[test]
    fn usual_shapes_are_read_without_help() {
        let with = |geometry: &str| format!(r#"{{"type":"Feature","id":7,"properties":null,"geometry":{geometry}}}"#);
        for geometry in [
            r#"{"type":"Point","coordinates":[106.1,11.2,30]}"#,
            r#"{ "coordinates" : [ [106, 11] , [106.1,11.1] ] , "type" : "LineString" }"#,
            r#"{"type":"MultiPoint","coordinates":[[106,11]]}"#,
            r#"{"type":"Polygon","coordinates":[[[106,11],[106.1,11],[106.1,11.1]],[[106,11],[106.1,11],[106.1,11.1]]]}"#,
            r#"{"type":"MultiLineString","coordinates":[[[106,11],[106.1,11]],[[106,11.5],[106.1,1.15e1]]]}"#,
            r#"{"type":"MultiPolygon","coordinates":[[[[106,11],[106.1,11],[106.1,11.1]]],[[[106,11],[106.1,11],[106.1,11.1]]]]}"#,
        ] {
            assert!(quick(with(geometry).as_bytes()).is_some(), "{geometry}");
        }
        let named = r#"{"geometry":{"type":"Point","coordinates":[1,2]},"properties":{"t\u00ean":"Ph\u01b0\u1eddng","ghi chú":"e\u0309 \"x\"","b":true,"n":null},"type":"Feature"}"#;
        let read = quick(named.as_bytes()).unwrap();
        assert_eq!(read.properties["tên"], Value::Text("Phường".into()));
        assert_eq!(read.properties["ghi chú"], Value::Text("\u{1ebb} \"x\"".into()));
    }

    #[test]
    fn a_huge_feature_leaves_no_room_behind() {
        let ring = vec!["[106.1,11.1]"; KEPT_POSITIONS + 1].join(",");
        let text = format!(r#"{{"type":"Feature","geometry":{{"type":"LineString","coordinates":[{ring}]}}}}"#);
        let mut room = Room::default();
        assert!(parse(text.as_bytes(), &mut room).is_some());
        assert_eq!(room.flat.coords.capacity(), 0);
    }

    fn number_text() -> impl Strategy<Value = String> {
        const ODD: [&str; 11] = [
            "-0",
            "-0.0",
            "9007199254740993",
            "18446744073709551615",
            "9223372036854775808",
            "1e400",
            "4.9e-324",
            "2.4e-324",
            "01",
            "1.",
            "NaN",
        ];
        prop_oneof![
            30 => "-?1[01][0-9]\\.[0-9]{1,17}",
            6 => "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,25}([eE][+-]?[0-9]{1,2})?",
            6 => "-?(0|[1-9][0-9]{0,17})",
            1 => "-?[1-9][0-9]{18,20}",
            2 => any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
            1 => select(&ODD[..]).prop_map(str::to_owned),
        ]
    }

    fn blank() -> impl Strategy<Value = &'static str> {
        prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t")]
    }

    fn list(item: impl Strategy<Value = String>, least: usize, most: usize) -> impl Strategy<Value = String> {
        (prop::collection::vec((blank(), item, blank()), least..=most), blank()).prop_map(|(items, end)| {
            let items: Vec<String> =
                items.into_iter().map(|(before, item, after)| before.to_owned() + &item + after).collect();
            format!("[{}{end}]", items.join(","))
        })
    }

    fn geometry_text() -> impl Strategy<Value = String> {
        const KINDS: [&str; 8] = [
            "Point",
            "MultiPoint",
            "LineString",
            "MultiLineString",
            "Polygon",
            "MultiPolygon",
            "GeometryCollection",
            "Circle",
        ];
        let position = || {
            prop_oneof![
                30 => (number_text(), number_text(), blank()).prop_map(|(x, y, gap)| format!("[{x},{gap}{y}]")),
                1 => list(number_text(), 0, 4),
            ]
        };
        let line = move || list(position(), 3, 5);
        let coordinates = prop_oneof![
            2 => (0..1_usize, position()),
            2 => (1..3_usize, line()),
            3 => (3..5_usize, list(line(), 1, 3)),
            2 => (5..6_usize, list(list(line(), 1, 3), 1, 2)),
            1 => (0..8_usize, list(list(position(), 0, 2), 0, 2)),
        ];
        (coordinates, any::<bool>(), blank()).prop_map(move |((kind, coordinates), first, gap)| {
            let kind = format!("\"type\":{gap}\"{}\"", KINDS[kind]);
            match first {
                true => format!("{{{kind},{gap}\"coordinates\":{coordinates}{gap}}}"),
                false => format!("{{{gap}\"coordinates\"{gap}:{coordinates},{kind}}}"),
            }
        })
    }

    fn value_text() -> impl Strategy<Value = String> {
        const ODD: [&str; 6] = ["{}", "[1,{\"a\":2}]", "nul", "\"", "\"\\ud83d\"", "\"a\tb\""];
        prop_oneof![
            8 => number_text(),
            6 => select(&["null", "true", "false", "\"\\ud83d\\ude00\""][..]).prop_map(str::to_owned),
            6 => ".{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            6 => "[aeuơư\u{300}-\u{309}ệđ한ᄀ]{0,6}".prop_map(|text| format!("\"{text}\"")),
            1 => select(&ODD[..]).prop_map(str::to_owned),
        ]
    }

    fn feature_text() -> impl Strategy<Value = String> {
        let name = prop_oneof![4 => "[a-dê]", 1 => Just("e\u{301}".to_owned()), 1 => Just("\\u0061".to_owned())];
        let properties = prop::collection::vec((name, blank(), value_text()), 0..4).prop_map(|members| {
            let members: Vec<String> =
                members.into_iter().map(|(name, gap, value)| format!("\"{name}\"{gap}:{value}")).collect();
            format!("\"properties\":{{{}}}", members.join(","))
        });
        let geometry = prop_oneof![19 => geometry_text(), 1 => Just("null".to_owned())];
        let optional = |member: &'static str, value: BoxedStrategy<String>| {
            prop::option::of(value).prop_map(move |value| value.map(|value| format!("\"{member}\":{value}")))
        };
        let members = (
            geometry.prop_map(|geometry| Some(format!("\"geometry\":{geometry}"))),
            properties.prop_map(Some),
            optional("id", value_text().boxed()),
            optional(
                "type",
                select(vec!["\"Feature\"", "\"Feature\"", "\"Feature\"", "\"Point\"", "1"])
                    .prop_map(str::to_owned)
                    .boxed(),
            ),
            prop_oneof![19 => Just(None), 1 => select(vec!["\"bbox\":[1,2]", "\"id\":null", "\"geometry\":null", "\"type\":\"F\""]).prop_map(|m| Some(m.to_owned()))],
        );
        let shuffled = members
            .prop_map(|(a, b, c, d, e)| [a, b, c, d, e].into_iter().flatten().collect::<Vec<_>>())
            .prop_shuffle();
        (shuffled, blank(), blank())
            .prop_map(|(members, gap, end)| format!("{{{gap}{}{end}}}", members.join(&format!("{gap},{end}"))))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]

        #[test]
        fn what_is_read_quickly_is_what_serde_reads_to_the_last_bit(
            text in feature_text(),
            change in prop::option::weighted(0.4, (any::<Index>(), prop_oneof![any::<u8>(), select(b"{}[]\",:0-.e \\\x80".to_vec())], 0..3_u8)),
        ) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte, how)) = change {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            if let Some(read) = quick(&bytes) {
                let authority = feature::parse(&bytes, 1);
                let shown = String::from_utf8_lossy(&bytes).into_owned();
                prop_assert!(authority.is_ok(), "{shown}");
                prop_assert_eq!(bits(&read), bits(&authority.unwrap()), "{}", shown);
            }
        }
    }
}
