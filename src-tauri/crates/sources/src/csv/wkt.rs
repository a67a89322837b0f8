//! Well-known text in and out (OGC 06-103r4, clause 7), without recursion on the input.

use geo_types::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
};
use std::fmt::Write;

/// Reads WKT, or EWKT with `SRID=n;` in front. `Ok(None)` for EMPTY. Z and M are left out.
pub(crate) fn parse(text: &str) -> Result<(Option<Geometry<f64>>, Option<u32>), String> {
    let text = text.trim();
    let (srid, text) = match text.split_once(';') {
        Some((srid, rest)) if srid.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("SRID=")) => {
            (srid[5..].trim().parse().ok(), rest)
        }
        _ => (None, text),
    };
    let mut reader = Reader { rest: text.trim() };
    let geometry = reader.geometry(0)?;
    if reader.rest.trim().is_empty() {
        Ok((geometry, srid))
    } else {
        Err(format!("left over: {:?}", crate::file::cut(reader.rest)))
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> &'a str {
        let text = self.rest.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        self.rest = &text[end..];
        &text[..end]
    }

    fn take(&mut self, sign: char) -> bool {
        let text = self.rest.trim_start();
        match text.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.take(sign) {
            Ok(())
        } else {
            Err(format!("{sign:?} is missing before {:?}", crate::file::cut(self.rest)))
        }
    }

    fn geometry(&mut self, depth: u32) -> Result<Option<Geometry<f64>>, String> {
        let mut kind = self.word().to_ascii_uppercase();
        for suffix in ["ZM", "Z", "M"] {
            // `POINTZ (…)`; the words themselves do not end in Z or M.
            if kind.len() > 5 && kind.ends_with(suffix) {
                kind.truncate(kind.len() - suffix.len());
            }
        }
        let before = self.rest;
        match self.word().to_ascii_uppercase().as_str() {
            "" => self.rest = before,
            "Z" | "M" | "ZM" => {
                let before = self.rest;
                match self.word().to_ascii_uppercase().as_str() {
                    "EMPTY" => return Ok(None),
                    _ => self.rest = before,
                }
            }
            "EMPTY" => return Ok(None),
            other => return Err(format!("{other:?} does not belong behind {kind}")),
        }
        let geometry = match kind.as_str() {
            "POINT" => {
                self.expect('(')?;
                let c = self.position()?;
                self.expect(')')?;
                Geometry::Point(Point(c))
            }
            "LINESTRING" => Geometry::LineString(long_enough(self.positions()?)?),
            "POLYGON" => Geometry::Polygon(self.polygon()?),
            "MULTIPOINT" => Geometry::MultiPoint(MultiPoint(self.list(|reader| {
                // Both MULTIPOINT (1 2, 3 4) and MULTIPOINT ((1 2), (3 4)) are in use.
                let wrapped = reader.take('(');
                let c = reader.position()?;
                if wrapped {
                    reader.expect(')')?;
                }
                Ok(Point(c))
            })?)),
            "MULTILINESTRING" => {
                Geometry::MultiLineString(MultiLineString(self.list(|reader| long_enough(reader.positions()?))?))
            }
            "MULTIPOLYGON" => Geometry::MultiPolygon(MultiPolygon(self.list(Self::polygon)?)),
            "GEOMETRYCOLLECTION" if depth >= 8 => return Err("collections are nested too deeply".into()),
            "GEOMETRYCOLLECTION" => {
                let parts = self.list(|reader| reader.geometry(depth + 1))?;
                Geometry::GeometryCollection(GeometryCollection(parts.into_iter().flatten().collect()))
            }
            "" => return Err("there is no geometry type".into()),
            other => return Err(format!("{other:?} is no geometry type that is known here")),
        };
        let empty = matches!(&geometry, Geometry::GeometryCollection(c) if c.0.is_empty());
        Ok((!empty).then_some(geometry))
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        self.expect('(')?;
        let mut items = vec![item(self)?];
        while self.take(',') {
            items.push(item(self)?);
        }
        self.expect(')')?;
        Ok(items)
    }

    fn positions(&mut self) -> Result<LineString<f64>, String> {
        self.list(Self::position).map(LineString)
    }

    fn polygon(&mut self) -> Result<Polygon<f64>, String> {
        let mut rings = self.list(Self::positions)?;
        let exterior = rings.remove(0);
        if exterior.0.len() < 3 {
            return Err("a ring has less than three positions".into());
        }
        Ok(Polygon::new(exterior, rings))
    }

    fn position(&mut self) -> Result<Coord<f64>, String> {
        let text = self.rest.trim_start();
        let end = text.find([',', '(', ')']).unwrap_or(text.len());
        let mut numbers = text[..end]
            .split_ascii_whitespace()
            .map(|word| word.parse::<f64>().map_err(|_| format!("{:?} is no number", crate::file::cut(word))));
        let (Some(x), Some(y)) = (numbers.next(), numbers.next()) else {
            return Err("a position has less than two numbers".into());
        };
        let c = Coord { x: x?, y: y? };
        if numbers.count() > 2 {
            return Err("a position has more than four numbers".into());
        }
        self.rest = &text[end..];
        Ok(c)
    }
}

fn long_enough(line: LineString<f64>) -> Result<LineString<f64>, String> {
    if line.0.len() >= 2 { Ok(line) } else { Err("a line has less than two positions".into()) }
}

/// Writes WKT.
pub(super) fn write(geometry: &Geometry<f64>) -> String {
    let mut out = String::new();
    put(&mut out, geometry);
    out
}

fn put(out: &mut String, geometry: &Geometry<f64>) {
    let rings = |p: &Polygon<f64>| {
        let all = std::iter::once(p.exterior()).chain(p.interiors()).map(positions);
        format!("({})", all.collect::<Vec<_>>().join(", "))
    };
    let _ = match geometry {
        Geometry::Point(p) => write!(out, "POINT ({} {})", p.x(), p.y()),
        Geometry::Line(l) => write!(out, "LINESTRING {}", positions(&LineString(vec![l.start, l.end]))),
        Geometry::LineString(l) => write!(out, "LINESTRING {}", positions(l)),
        Geometry::Polygon(p) => write!(out, "POLYGON {}", rings(p)),
        Geometry::Rect(r) => write!(out, "POLYGON {}", rings(&r.to_polygon())),
        Geometry::Triangle(t) => write!(out, "POLYGON {}", rings(&t.to_polygon())),
        Geometry::MultiPoint(m) => {
            let points: Vec<String> = m.0.iter().map(|p| format!("({} {})", p.x(), p.y())).collect();
            write!(out, "MULTIPOINT ({})", points.join(", "))
        }
        Geometry::MultiLineString(m) => {
            write!(out, "MULTILINESTRING ({})", m.0.iter().map(positions).collect::<Vec<_>>().join(", "))
        }
        Geometry::MultiPolygon(m) => {
            write!(out, "MULTIPOLYGON ({})", m.0.iter().map(rings).collect::<Vec<_>>().join(", "))
        }
        Geometry::GeometryCollection(c) => {
            write!(out, "GEOMETRYCOLLECTION ({})", c.0.iter().map(write).collect::<Vec<_>>().join(", "))
        }
    };
}

fn positions(line: &LineString<f64>) -> String {
    let mut out = String::from("(");
    for (index, c) in line.0.iter().enumerate() {
        let _ = write!(out, "{}{} {}", if index == 0 { "" } else { ", " }, c.x, c.y);
    }
    out.push(')');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wkt_reads_back_as_written() {
        for text in [
            "POINT (106.1 11.3)",
            "LINESTRING (1 2, 3 4)",
            "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
            "MULTIPOINT ((1 2), (3 4))",
            "MULTILINESTRING ((1 2, 3 4), (5 6, 7 8))",
            "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 0)), ((9 9, 10 9, 10 10, 9 9)))",
            "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (1 2, 3 4))",
        ] {
            assert_eq!(write(&parse(text).unwrap().0.unwrap()), text);
        }
        assert_eq!(parse("SRID=9209;point z(1 2 3)").unwrap(), (Some(Point::new(1.0, 2.0).into()), Some(9209)));
        assert_eq!(parse("MULTIPOINT(1 2,3 4)").unwrap().0.map(|g| write(&g)).unwrap(), "MULTIPOINT ((1 2), (3 4))");
        assert_eq!(parse("POLYGON EMPTY").unwrap().0, None);
    }

    #[test]
    fn bad_wkt_is_an_error() {
        let deep = "GEOMETRYCOLLECTION(".repeat(100_000);
        for text in [
            "",
            "POINT",
            "POINT (1)",
            "POINT (a b)",
            "POINT (1 2",
            "LINESTRING (1 2)",
            "POINT (1 2) x",
            "ĐIỂM (1 2)",
            &deep,
        ] {
            assert!(parse(text).is_err(), "{}", crate::file::cut(text));
        }
    }
}
