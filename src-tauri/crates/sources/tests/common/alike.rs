//! Whether two readings of one file are the same, value by value and kind by kind.

use model::{Feature, Value};
use std::collections::BTreeSet;

/// What a format cannot tell apart.
#[derive(Clone, Copy)]
pub struct Loose {
    /// No value, and an empty text.
    pub empty: bool,
    /// Truth values, and the numbers 0 and 1.
    pub truth: bool,
    /// A day, and its midnight.
    pub midnight: bool,
    /// A number, and the text that says it.
    pub text: bool,
    /// Numbers, and what is left of them in fifteen digits.
    pub digits: bool,
    /// The column of the shapes, which is no value.
    pub position: &'static str,
    /// Columns that one of the two readers adds.
    pub added: &'static [&'static str],
    /// Rows belong together by id, not by the column `code`.
    pub by_id: bool,
}

const PLAIN: Loose = Loose {
    empty: false,
    truth: false,
    midnight: false,
    text: false,
    digits: false,
    position: "",
    added: &["id"],
    by_id: false,
};

impl Default for Loose {
    fn default() -> Self {
        PLAIN
    }
}

impl Loose {
    /// It knows moments and no days.
    pub const FLATGEOBUF: Self = Self { midnight: true, ..PLAIN };
    pub const CSV: Self = Self { empty: true, truth: true, text: true, digits: true, position: "WKT", ..PLAIN };
    /// What GDAL adds to every placemark, and the folder that we name.
    pub const KML: Self = Self {
        empty: true,
        truth: true,
        text: true,
        digits: true,
        added: &[
            "id",
            "folder",
            "description",
            "Description",
            "timestamp",
            "begin",
            "end",
            "altitudeMode",
            "tessellate",
            "extrude",
            "visibility",
            "drawOrder",
            "icon",
        ],
        ..PLAIN
    };
    pub const DBF: Self = Self { empty: true, truth: true, digits: true, ..PLAIN };

    fn said(self, value: Option<&Value>) -> String {
        let value = value.unwrap_or(&Value::Null);
        let (mark, text) = match value {
            Value::Null => ('-', String::new()),
            Value::Bool(yes) if self.truth => ('n', u8::from(*yes).to_string()),
            Value::Bool(yes) => ('b', yes.to_string()),
            Value::Integer(number) => ('n', number.to_string()),
            Value::Real(number) => ('n', number.to_string()),
            Value::Text(text) if text.is_empty() && self.empty => ('-', String::new()),
            Value::Text(text) => ('t', self.moment(text).unwrap_or_else(|| text.clone())),
        };
        let truth = self.truth && self.text;
        let text = match text.as_str() {
            "true" if truth => "1".to_owned(),
            "false" if truth => "0".to_owned(),
            _ => text,
        };
        if self.text { text } else { format!("{mark}{text}") }
    }

    /// A day or a moment in one of the usual ways to write it.
    fn moment(self, text: &str) -> Option<String> {
        let digits =
            |range: std::ops::Range<usize>| text.get(range).is_some_and(|t| t.bytes().all(|b| b.is_ascii_digit()));
        if !(digits(0..4) && digits(5..7) && digits(8..10)) {
            return None;
        }
        let plain = text.replace('/', "-").replace('T', " ").replace(".000", "").replace('Z', "+00");
        let plain = plain.strip_suffix(":00").filter(|head| head.len() > 19).map_or(plain.clone(), str::to_owned);
        Some(if self.midnight { plain.strip_suffix(" 00:00:00").unwrap_or(&plain).to_owned() } else { plain })
    }

    /// Numbers of which one has gone through fifteen digits.
    fn near(self, a: &str, b: &str) -> bool {
        let number = |text: &str| text.trim_start_matches('n').parse::<f64>().ok();
        self.digits && number(a).zip(number(b)).is_some_and(|(a, b)| (a - b).abs() <= 1e-14 * a.abs().max(b.abs()))
    }
}

/// The same rows, of the same kinds in the same places with the same values. `what` names the file.
pub fn assert_alike(what: &str, ours: &[Feature], theirs: &[Feature], loose: Loose) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let key = |feature: &Feature| {
        if loose.by_id { feature.id.clone() } else { feature.text("code").unwrap_or_default().to_owned() }
    };
    let sorted = |all: &[Feature]| {
        let mut all: Vec<Feature> = all.to_vec();
        all.sort_by_key(key);
        all
    };
    for (our, their) in sorted(ours).iter().zip(&sorted(theirs)) {
        let row = key(our);
        assert_eq!(row, key(their), "{what}");
        assert_eq!(kind(&our.geometry), kind(&their.geometry), "{what}, {row}");
        super::assert_same_shape(&format!("{what}, {row}"), &our.geometry, &their.geometry, 1e-9);
        // GDAL's own name for a placemark's name.
        let names = |feature: &Feature| -> BTreeSet<String> {
            let names = feature.properties.iter().map(|(name, _)| name);
            let kept = names.filter(|name| *name != loose.position && !loose.added.contains(name));
            kept.map(|name| if name == "Name" { "name" } else { name }.to_owned()).collect()
        };
        let value = |feature: &Feature, name: &str| {
            let other = if name == "name" { "Name" } else { name };
            loose.said(feature.properties.get(name).or_else(|| feature.properties.get(other)))
        };
        for name in &names(our) | &names(their) {
            let (a, b) = (value(our, &name), value(their, &name));
            assert!(a == b || loose.near(&a, &b), "{what}, {row}, {name}: {a:?} and {b:?}");
        }
    }
}

fn kind(geometry: &geo_types::Geometry<f64>) -> &'static str {
    use geo_types::Geometry as G;
    match geometry {
        G::Point(_) => "Point",
        G::Line(_) | G::LineString(_) => "LineString",
        G::Polygon(_) | G::Rect(_) | G::Triangle(_) => "Polygon",
        G::MultiPoint(_) => "MultiPoint",
        G::MultiLineString(_) => "MultiLineString",
        G::MultiPolygon(_) => "MultiPolygon",
        G::GeometryCollection(_) => "GeometryCollection",
    }
}
