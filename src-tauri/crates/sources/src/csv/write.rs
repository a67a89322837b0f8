//! Tables out: the key, the position, then the fields of the schema.

use model::{Feature, Field};
use std::io::{self, Write};

/// Writes UTF-8 with commas; `lon`,`lat` columns for points, a `wkt` column for everything.
pub(crate) struct CsvWriter<W: Write> {
    out: csv::Writer<W>,
    fields: Vec<String>,
    as_wkt: bool,
}

impl<W: Write> CsvWriter<W> {
    pub(crate) fn new(mut out: W, fields: &[Field], as_wkt: bool, bom: bool) -> io::Result<Self> {
        if bom {
            out.write_all("\u{feff}".as_bytes())?;
        }
        let fields: Vec<String> = fields.iter().map(|field| field.name.clone()).filter(|name| name != "id").collect();
        let mut out = csv::Writer::from_writer(out);
        let position: &[&str] = if as_wkt { &["wkt"] } else { &["lon", "lat"] };
        let header = std::iter::once("id").chain(position.iter().copied()).chain(fields.iter().map(String::as_str));
        out.write_record(header).map_err(io::Error::from)?;
        Ok(Self { out, fields, as_wkt })
    }

    /// # Errors
    /// I/O; `InvalidData` for a shape that is no point where points were promised.
    pub(crate) fn feature(&mut self, feature: &Feature) -> io::Result<()> {
        let mut record = vec![feature.id.clone()];
        match &feature.geometry {
            shape if self.as_wkt => record.push(super::wkt::write(shape)),
            geo_types::Geometry::Point(p) => record.extend([p.x().to_string(), p.y().to_string()]),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "the feature is no point")),
        }
        let cell = |name: &String| feature.properties.get(name).map(crate::out::value_text).unwrap_or_default();
        record.extend(self.fields.iter().map(cell));
        self.out.write_record(&record).map_err(io::Error::from)
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        self.out.into_inner().map_err(|error| io::Error::other(error.to_string()))
    }
}
