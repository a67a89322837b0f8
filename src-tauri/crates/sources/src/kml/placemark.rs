//! One placemark as it comes together.

use geo_types::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
};

/// What is wrong with a shape: code, value, sentence.
type Wrong = (&'static str, String, String);

#[derive(Default)]
pub(super) struct Placemark {
    pub(super) id: Option<String>,
    pub(super) values: Vec<(String, String)>,
    /// Of the `Data` or `SimpleData` under way.
    pub(super) data_name: String,
    shapes: Vec<Geometry<f64>>,
    /// How many shapes there were when each collection began.
    multis: Vec<usize>,
    rings: Option<Rings>,
    track: Vec<Coord<f64>>,
    wrong: Option<Wrong>,
}

/// Of the polygon under way.
#[derive(Default)]
struct Rings {
    outlines: Vec<LineString<f64>>,
    holes: Vec<LineString<f64>>,
}

impl Placemark {
    pub(super) fn new(id: Option<String>) -> Self {
        Self { id, ..Self::default() }
    }

    pub(super) fn begin_multi(&mut self) {
        self.multis.push(self.shapes.len());
    }

    pub(super) fn end_multi(&mut self) {
        if let Some(from) = self.multis.pop() {
            let parts = self.shapes.split_off(from.min(self.shapes.len()));
            self.shapes.extend((!parts.is_empty()).then(|| multi(parts)));
        }
    }

    pub(super) fn begin_polygon(&mut self) {
        self.rings = Some(Rings::default());
    }

    pub(super) fn end_polygon(&mut self) {
        let Some(Rings { outlines, holes }) = self.rings.take() else { return };
        let mut outer = outlines.into_iter();
        match (outer.next(), outer.next()) {
            (Some(outline), None) => self.shapes.push(Geometry::Polygon(Polygon::new(outline, holes))),
            (None, _) => self.note("geometry_missing", "", "a polygon has no outline"),
            (Some(_), Some(_)) => self.note("geometry_invalid", "", "a polygon has two outlines"),
        }
    }

    pub(super) fn point(&mut self, text: &str) {
        if let [first, ..] = self.coords(text)[..] {
            self.shapes.push(Geometry::Point(Point(first)));
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        let coords = self.coords(text);
        match coords.len() {
            0 => {}
            1 => self.note("geometry_invalid", text, "a line has a single position"),
            _ => self.shapes.push(Geometry::LineString(LineString(coords))),
        }
    }

    pub(super) fn ring(&mut self, text: &str, outer: bool) {
        let coords = self.coords(text);
        if let Some(Rings { outlines, holes }) = &mut self.rings
            && !coords.is_empty()
        {
            let rings = if outer { outlines } else { holes };
            rings.push(LineString(coords));
        }
    }

    /// `gx:coord`: longitude, latitude and height with blanks between them.
    pub(super) fn track_point(&mut self, text: &str) {
        let mut numbers = text.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(x)), Some(Ok(y))) => self.track.push(Coord { x, y }),
            _ => self.note("geometry_invalid", text, "a position of the track is no pair of numbers"),
        }
    }

    pub(super) fn end_track(&mut self) {
        let track = std::mem::take(&mut self.track);
        if track.len() > 1 {
            self.shapes.push(Geometry::LineString(LineString(track)));
        }
    }

    /// Positions with blanks between them, numbers with commas; many programs put a blank behind the comma too.
    fn coords(&mut self, text: &str) -> Vec<Coord<f64>> {
        let mut out = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let mut numbers = [0.0; 3];
            let mut count = 0;
            loop {
                let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
                let Ok(number) = rest[..end].parse() else {
                    self.note("geometry_invalid", rest, "a coordinate is no number");
                    return out;
                };
                if count == 3 {
                    self.note("geometry_invalid", rest, "a position has more than three numbers");
                    return out;
                }
                numbers[count] = number;
                count += 1;
                rest = rest[end..].trim_start();
                match rest.strip_prefix(',') {
                    Some(after) => rest = after.trim_start(),
                    None => break,
                }
            }
            if count < 2 {
                self.note("geometry_invalid", text, "a position has a single number");
                return out;
            }
            out.push(Coord { x: numbers[0], y: numbers[1] });
        }
        out
    }

    fn note(&mut self, code: &'static str, value: &str, reason: &str) {
        self.wrong.get_or_insert_with(|| (code, crate::file::cut(value), reason.to_owned()));
    }

    /// The shape of all; what was wrong first, where something was.
    pub(super) fn geometry(self) -> Result<Geometry<f64>, Wrong> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => joined(self.shapes).ok_or_else(|| {
                ("geometry_missing", String::new(), "the placemark has no point, line, polygon or track".to_owned())
            }),
        }
    }
}

/// Several shapes as one.
fn joined(mut parts: Vec<Geometry<f64>>) -> Option<Geometry<f64>> {
    if parts.len() < 2 { parts.pop() } else { Some(multi(parts)) }
}

/// Shapes of one kind as a multi-shape of it, others as a collection.
fn multi(parts: Vec<Geometry<f64>>) -> Geometry<f64> {
    let all = |fits: fn(&Geometry<f64>) -> bool| parts.iter().all(fits);
    if all(|part| matches!(part, Geometry::Point(_) | Geometry::MultiPoint(_))) {
        MultiPoint(
            parts
                .into_iter()
                .flat_map(|part| match part {
                    Geometry::Point(p) => vec![p],
                    Geometry::MultiPoint(m) => m.0,
                    _ => Vec::new(),
                })
                .collect(),
        )
        .into()
    } else if all(|part| matches!(part, Geometry::LineString(_) | Geometry::MultiLineString(_))) {
        MultiLineString(
            parts
                .into_iter()
                .flat_map(|part| match part {
                    Geometry::LineString(l) => vec![l],
                    Geometry::MultiLineString(m) => m.0,
                    _ => Vec::new(),
                })
                .collect(),
        )
        .into()
    } else if all(|part| matches!(part, Geometry::Polygon(_) | Geometry::MultiPolygon(_))) {
        MultiPolygon(
            parts
                .into_iter()
                .flat_map(|part| match part {
                    Geometry::Polygon(p) => vec![p],
                    Geometry::MultiPolygon(m) => m.0,
                    _ => Vec::new(),
                })
                .collect(),
        )
        .into()
    } else {
        Geometry::GeometryCollection(GeometryCollection(parts))
    }
}
