//! Coordinate systems as text: WKT 1 as ESRI's `.prj` and GDAL write it (OGC 01-009), and WKT 2 (ISO 19162). Matched by
//! numbers: every program writes other names, and often none that says VN-2000.

use crate::file::FileCrs;
use geodesy::Vn2000;

const MAX_DEPTH: u32 = 16;
const MAX_NODES: usize = 2_000;

/// `KEYWORD["text", number, KEYWORD[…]]`.
#[derive(Debug, Default)]
struct Node {
    word: String,
    texts: Vec<String>,
    numbers: Vec<f64>,
    children: Vec<Node>,
}

impl Node {
    fn child(&self, words: &[&str]) -> Option<&Self> {
        self.children.iter().find(|child| words.contains(&child.word.as_str()))
    }

    fn name(&self) -> &str {
        self.texts.first().map_or("", String::as_str)
    }

    /// The register's code, where the text gives one.
    fn epsg(&self) -> Option<u32> {
        let authority = self.child(&["AUTHORITY", "ID"])?;
        let code = authority.texts.get(1).and_then(|code| code.parse().ok());
        let number = authority.numbers.first().filter(|x| x.fract() == 0.0 && (1.0..1e9).contains(*x));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let code = code.or_else(|| number.map(|x| *x as u32));
        code.filter(|_| authority.name().eq_ignore_ascii_case("EPSG"))
    }

    /// Any node below with one of these words.
    fn find(&self, words: &[&str]) -> Option<&Self> {
        self.child(words).or_else(|| self.children.iter().find_map(|child| child.find(words)))
    }
}

/// What a `.prj` says. `None` for text that is no description of a system.
pub(crate) fn by_wkt(text: &str) -> Option<FileCrs> {
    let mut reader = Reader { rest: text.trim_start_matches('\u{feff}').trim(), nodes: 0 };
    let root = reader.node(0)?;
    let known = |epsg: &u32| geodesy::is_known(*epsg);
    let epsg = root.epsg().filter(known).or_else(|| match root.word.as_str() {
        "PROJCS" | "PROJCRS" | "PROJECTEDCRS" => projected(&root),
        "GEOGCS" | "GEOGCRS" | "GEODCRS" | "GEOGRAPHICCRS" | "GEODETICCRS" => geographic(&root),
        "BOUNDCRS" | "COMPD_CS" | "COMPOUNDCRS" => {
            let inner = root.find(&["PROJCS", "PROJCRS", "PROJECTEDCRS"]);
            let outer = root.find(&["GEOGCS", "GEOGCRS", "GEODCRS", "GEOGRAPHICCRS", "GEODETICCRS"]);
            inner.and_then(|node| node.epsg().filter(known).or_else(|| projected(node))).or_else(|| {
                inner
                    .is_none()
                    .then(|| outer.and_then(|node| node.epsg().filter(known).or_else(|| geographic(node))))
                    .flatten()
            })
        }
        _ => None,
    });
    Some(epsg.map_or_else(|| FileCrs::Named(crate::file::cut(root.name())), FileCrs::Epsg))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Datum {
    Wgs84,
    Vn2000,
    /// The right ellipsoid, and not a word on where it sits.
    Unsaid,
    Other,
}

fn datum(root: &Node) -> Datum {
    let node = root.find(&["DATUM", "GEODETICDATUM", "TRF", "ENSEMBLE"]);
    let name = |node: &Node| node.name().to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let said = node.map(name).unwrap_or_default();
    let shift = root.find(&["TOWGS84"]).map(|node| node.numbers.as_slice());
    let vn2000 = |text: &str| text.contains("vietnam2000") || text.contains("vn2000");
    // Decision 05/2007/QĐ-BTNMT, to the metre; the rotations are written with either sign.
    if vn2000(&said) || shift.is_some_and(|s| matches!(s, [x, y, z, ..] if (x + 191.9).abs() < 1.0 && (y + 39.3).abs() < 1.0 && (z + 111.45).abs() < 1.0)) {
        return Datum::Vn2000;
    }
    let whole = name(root);
    if vn2000(&whole) {
        return Datum::Vn2000;
    }
    let moved = shift.is_some_and(|s| s.iter().any(|x| *x != 0.0));
    let ellipsoid = root.find(&["SPHEROID", "ELLIPSOID"]).map(|node| node.numbers.as_slice());
    let same = ellipsoid
        .is_some_and(|s| matches!(s, [a, f, ..] if (a - 6_378_137.0).abs() < 0.01 && (f - 298.257_22).abs() < 1e-4));
    match () {
        () if moved || !same => Datum::Other,
        () if said.contains("wgs84") || said.contains("wgs1984") || said.contains("worldgeodeticsystem1984") => {
            Datum::Wgs84
        }
        () if said.is_empty() || said.contains("unknown") || said.contains("unnamed") || said.contains("custom") => {
            Datum::Unsaid
        }
        () => Datum::Other,
    }
}

fn geographic(root: &Node) -> Option<u32> {
    let degree = root.find(&["UNIT", "ANGLEUNIT"]).and_then(|node| node.numbers.first());
    if degree.is_some_and(|unit| (unit - 1f64.to_radians()).abs() > 1e-9) {
        return None;
    }
    match datum(root) {
        Datum::Wgs84 => Some(4326),
        Datum::Vn2000 => Some(4756),
        Datum::Unsaid | Datum::Other => None,
    }
}

fn projected(root: &Node) -> Option<u32> {
    let conversion = root.child(&["CONVERSION"]).unwrap_or(root);
    let method = conversion.child(&["PROJECTION", "METHOD"])?.name().to_ascii_lowercase().replace([' ', '-'], "_");
    let datum = datum(root);
    if method.contains("mercator_auxiliary_sphere") || method.contains("pseudo_mercator") {
        return (datum == Datum::Wgs84).then_some(3857);
    }
    if !method.contains("transverse_mercator") && !method.contains("gauss_kruger") {
        return None;
    }
    let number = |names: &[&str]| {
        let named = |node: &&Node| {
            let name = node.name().to_ascii_lowercase().replace(' ', "_");
            node.word == "PARAMETER" && names.contains(&name.as_str())
        };
        conversion.children.iter().find(named).and_then(|node| node.numbers.first().copied())
    };
    let metre = root
        .children
        .iter()
        .chain(&conversion.children)
        .find(|node| matches!(node.word.as_str(), "UNIT" | "LENGTHUNIT"));
    let metre = metre.and_then(|node| node.numbers.first()).is_none_or(|unit| (unit - 1.0).abs() < 1e-9);
    let near = |value: Option<f64>, wanted: f64, within: f64| (value.unwrap_or(0.0) - wanted).abs() < within;
    let plain = metre
        && near(number(&["latitude_of_origin", "latitude_of_natural_origin"]), 0.0, 1e-9)
        && near(number(&["false_northing"]), 0.0, 1e-3);
    let meridian = number(&["central_meridian", "longitude_of_natural_origin", "longitude_of_center"])?;
    let scale = number(&["scale_factor", "scale_factor_at_natural_origin"])?;
    let easting = number(&["false_easting"])?;
    if !plain {
        return None;
    }
    let fits = |grid: &&Vn2000| {
        (grid.central_meridian_deg - meridian).abs() < 1e-6
            && (grid.k0 - scale).abs() < 1e-8
            && (grid.false_easting_m - easting).abs() < 1e-3
    };
    let grid = Vn2000::all().iter().find(fits)?;
    match datum {
        Datum::Vn2000 => Some(grid.epsg),
        // A scale of 0.9999 on these meridians is no other system's: programs without VN-2000 write WGS84 for it.
        Datum::Wgs84 | Datum::Unsaid if grid.k0 > 0.9998 => Some(grid.epsg),
        Datum::Wgs84 => Some(if grid.central_meridian_deg < 108.0 { 32_648 } else { 32_649 }),
        Datum::Unsaid | Datum::Other => None,
    }
}

struct Reader<'a> {
    rest: &'a str,
    nodes: usize,
}

impl Reader<'_> {
    fn node(&mut self, depth: u32) -> Option<Node> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return None;
        }
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let mut node = Node { word: self.rest[..end].to_ascii_uppercase(), ..Node::default() };
        self.rest = self.rest[end..].trim_start().strip_prefix(['[', '('])?;
        loop {
            self.rest = self.rest.trim_start();
            let first = self.rest.chars().next()?;
            if let Some(rest) = self.rest.strip_prefix('"') {
                let end = rest.find('"')?;
                node.texts.push(rest[..end].to_owned());
                self.rest = &rest[end + 1..];
            } else if first.is_ascii_alphabetic() {
                // AXIS["Easting",EAST]: a word of its own.
                let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
                if self.rest[end..].trim_start().starts_with(['[', '(']) {
                    let child = self.node(depth + 1)?;
                    node.children.push(child);
                } else {
                    self.rest = &self.rest[end..];
                }
            } else if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') {
                let end = self.rest.find([',', ']', ')'])?;
                node.numbers.push(self.rest[..end].trim().parse().ok()?);
                self.rest = &self.rest[end..];
            } else if !matches!(first, ',' | ']' | ')') {
                return None;
            }
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix([']', ')']) {
                self.rest = rest;
                return Some(node);
            }
            self.rest = self.rest.strip_prefix(',')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tm(name: &str, datum: &str, meridian: &str, scale: &str) -> String {
        format!(
            r#"PROJCS["{name}",GEOGCS["GCS_x",DATUM["{datum}",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",{meridian}],PARAMETER["Scale_Factor",{scale}],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]"#
        )
    }

    fn epsg(text: &str) -> Option<u32> {
        match by_wkt(text) {
            Some(FileCrs::Epsg(epsg)) => Some(epsg),
            _ => None,
        }
    }

    #[test]
    fn grids_are_known_by_their_numbers() {
        for grid in Vn2000::all() {
            let text = tm("any", "D_Vietnam_2000", &grid.central_meridian_deg.to_string(), &grid.k0.to_string());
            assert_eq!(epsg(&text), Some(grid.epsg), "{}", grid.name);
        }
        // As MapInfo, ArcGIS and hands write Tây Ninh's grid.
        for (name, datum) in
            [("VN_2000_Tay_Ninh", "D_WGS_1984"), ("unnamed", "unknown"), ("VN2000_KTT_105.5", "D_Custom")]
        {
            assert_eq!(epsg(&tm(name, datum, "105.5", "0.9999")), Some(9209), "{name}");
        }
        assert_eq!(epsg(&tm("WGS_1984_UTM_Zone_48N", "D_WGS_1984", "105.0", "0.9996")), Some(32_648));
        assert_eq!(epsg(&tm("WGS_1984_UTM_Zone_49N", "D_WGS_1984", "111.0", "0.9996")), Some(32_649));
        assert_eq!(epsg(&tm("VN_2000_UTM_Zone_48N", "D_Vietnam_2000", "105.0", "0.9996")), Some(3405));
        for (datum, meridian, scale) in [
            ("D_Indian_1960", "105.0", "0.9996"),
            ("unknown", "105.0", "0.9996"),
            ("D_WGS_1984", "105.6", "0.9999"),
            ("D_WGS_1984", "105.5", "1.0"),
        ] {
            assert_eq!(
                by_wkt(&tm("Own", datum, meridian, scale)),
                Some(FileCrs::Named("Own".into())),
                "{datum} {meridian} {scale}"
            );
        }
        assert_eq!(
            epsg(
                &tm("x", "D_WGS_1984", "105.5", "0.9999").replace("False_Northing\",0.0", "False_Northing\",1000000.0")
            ),
            None
        );
        assert_eq!(epsg(&tm("x", "D_WGS_1984", "105.5", "0.9999").replace("\"Meter\",1.0", "\"Foot\",0.3048")), None);
    }

    #[test]
    fn degrees_codes_and_the_second_form_are_known() {
        let degrees = |datum: &str| {
            format!(
                r#"GEOGCS["x",DATUM["{datum}",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]"#
            )
        };
        assert_eq!(epsg(&degrees("D_WGS_1984")), Some(4326));
        assert_eq!(epsg(&degrees("D_Vietnam_2000")), Some(4756));
        assert_eq!(epsg(&degrees("D_Indian_1975")), None);
        assert_eq!(epsg(r#"GEOGCS["WGS 84",AUTHORITY["EPSG","4326"]]"#), Some(4326));
        assert_eq!(
            epsg(
                r#"PROJCRS["VN-2000 / TM-3 105-45",BASEGEOGCRS["VN-2000",DATUM["Vietnam 2000",ELLIPSOID["WGS 84",6378137,298.257223563,LENGTHUNIT["metre",1]]]],CONVERSION["x",METHOD["Transverse Mercator",ID["EPSG",9807]],PARAMETER["Latitude of natural origin",0,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Longitude of natural origin",105.75],PARAMETER["Scale factor at natural origin",0.9999],PARAMETER["False easting",500000],PARAMETER["False northing",0]],CS[Cartesian,2],AXIS["x",north,ORDER[1]]]"#
            ),
            Some(9210)
        );
    }

    #[test]
    fn what_is_no_wkt_is_nothing() {
        for text in
            ["", "EPSG:9209", "PROJCS", "PROJCS[", "PROJCS[\"a\"", "A[1.x]", &"A[".repeat(100_000), "PROJCS[\"a\",é]"]
        {
            assert_eq!(by_wkt(text), None, "{}", crate::file::cut(text));
        }
    }
}
