//! What a file is, by its bytes. The ending only helps to word the error.

use crate::ReadError;
use crate::zipped::Zipped;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A FeatureCollection, or one Feature or geometry.
    GeoJson,
    /// Features behind each other, one a line or set off by RS (RFC 8142).
    GeoJsonSeq,
    GeoPackage,
    Csv,
    /// An office workbook of ECMA-376.
    Xlsx,
    /// The `.shp` with its companions beside it, or a ZIP archive of them.
    Shapefile,
    /// KML, or KMZ.
    Kml,
    FlatGeobuf,
    /// A drawing in the text form.
    Dxf,
    /// Values of a station (Circular 10/2021/TT-BTNMT), not features: [`crate::station_file`] reads it.
    StationFile,
}

impl Format {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GeoJson => "geojson",
            Self::GeoJsonSeq => "geojsonseq",
            Self::GeoPackage => "gpkg",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Shapefile => "shp",
            Self::Kml => "kml",
            Self::FlatGeobuf => "fgb",
            Self::Dxf => "dxf",
            Self::StationFile => "station",
        }
    }
}

const HEAD_BYTES: u64 = 64 << 10;

/// Tells the format of a file by its first 64 kB.
///
/// # Errors
/// `not_found`, `no_permission`, `directory`, `empty_file`; `wrong_format` with what the file is instead; `corrupt` for
/// a ZIP archive that cannot be looked into.
pub fn sniff(path: &Path) -> Result<Format, ReadError> {
    let wrong = |error| ReadError::from_io(path, &error);
    let file = File::open(path).map_err(wrong)?;
    let meta = file.metadata().map_err(wrong)?;
    if meta.is_dir() {
        return Err(ReadError::Directory { path: path.to_path_buf() });
    }
    if !meta.is_file() {
        return Err(ReadError::WrongFormat {
            path: path.to_path_buf(),
            says: String::new(),
            is: "a device or a pipe, not a file".into(),
        });
    }
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head).map_err(wrong)?;
    // The index of a shapefile begins like the shapes, and only its name tells that nothing is to be had from it.
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if ending.eq_ignore_ascii_case("shx") {
        return Err(other(path, "the index of a shapefile; name the .shp beside it"));
    }
    if ending.eq_ignore_ascii_case("dbf")
        && matches!(head.first(), Some(0x02 | 0x03 | 0x30..=0x32 | 0x83 | 0x8b | 0xf5))
    {
        return Err(other(path, "the table of a shapefile; name the .shp beside it"));
    }
    let complete = meta.len() <= HEAD_BYTES;
    match judge(&head, complete) {
        Verdict::Is(format) => Ok(format),
        Verdict::Empty if complete => Err(ReadError::EmptyFile { path: path.to_path_buf() }),
        Verdict::Empty => Err(other(path, "nothing but blanks at its start")),
        Verdict::Other(is) => Err(other(path, is)),
        Verdict::Zip => zipped(path),
        Verdict::Encoding(reason) => {
            Err(ReadError::Encoding { path: path.to_path_buf(), offset: 0, reason: reason.into() })
        }
    }
}

/// What a ZIP archive holds, by the names of its members.
fn zipped(path: &Path) -> Result<Format, ReadError> {
    let archive = Zipped::open(path)?;
    let has = |ending: &str| archive.names().iter().any(|name| name.to_ascii_lowercase().ends_with(ending));
    if archive.names().iter().any(|name| crate::shapefile::is_member(name)) {
        return Ok(Format::Shapefile);
    }
    if archive.names().iter().any(|name| crate::kml::is_member(name)) {
        return Ok(Format::Kml);
    }
    if archive.names().iter().any(|name| crate::xlsx::is_member(name)) {
        return Ok(Format::Xlsx);
    }
    Err(other(
        path,
        match () {
            () if has("xl/workbook.bin") => "an Excel workbook in the binary form; save it as .xlsx",
            () if has("word/document.xml") => "a Word document; put its table into a sheet and save that as .xlsx",
            () if has("content.xml") => "an OpenDocument file; save its sheet as .xlsx",
            () => "a ZIP archive without a file that can be read",
        },
    ))
}

fn other(path: &Path, is: &str) -> ReadError {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let says = match ending.as_str() {
        "geojson" | "json" => "GeoJSON",
        "geojsonl" | "geojsons" | "ndjson" | "jsonl" => "GeoJSON lines",
        "gpkg" => "a GeoPackage",
        "csv" | "tsv" | "txt" => "a table",
        "shp" => "a shapefile",
        "xlsx" => "an Excel workbook",
        "zip" => "a zipped shapefile",
        "kml" | "kmz" => "KML",
        "fgb" => "FlatGeobuf",
        "dxf" => "a DXF drawing",
        _ => "",
    };
    ReadError::WrongFormat { path: path.to_path_buf(), says: says.into(), is: is.into() }
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Is(Format),
    Empty,
    Other(&'static str),
    /// Its members decide.
    Zip,
    Encoding(&'static str),
}

fn judge(head: &[u8], complete: bool) -> Verdict {
    if let Some(verdict) = by_signature(head) {
        return verdict;
    }
    let wide = crate::csv::wide_encoding(head);
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let start = text.iter().position(|b| !b" \t\r\n\x1e".contains(b));
    if wide.is_none() {
        let Some(start) = start else { return Verdict::Empty };
        match text[start] {
            b'{' => return json(&text[start..], complete),
            b'[' => return Verdict::Other("a JSON list, not a GeoJSON FeatureCollection"),
            _ => {}
        }
        if text.contains(&0) {
            return Verdict::Other(match text.iter().all(|b| *b == 0) {
                true => "a file of zero bytes, as after a failed copy",
                false => "binary data that no known format explains",
            });
        }
        if let Some(verdict) = by_text(text) {
            return verdict;
        }
    } else if crate::csv::wide_starts_with(head, '{') {
        return Verdict::Encoding("UTF-16, but GeoJSON is UTF-8 by its standard");
    }
    if station_rows(head, wide) {
        Verdict::Is(Format::StationFile)
    } else if crate::csv::looks_like_table(head) {
        Verdict::Is(Format::Csv)
    } else {
        Verdict::Other("plain text without columns")
    }
}

/// Whether more lines than not are rows of a station file.
fn station_rows(head: &[u8], wide: Option<&'static encoding_rs::Encoding>) -> bool {
    let text = wide.unwrap_or(encoding_rs::UTF_8).decode(head).0;
    let (mut rows, mut others) = (0, 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()).take(100) {
        if crate::station_file::looks_like_row(line) { rows += 1 } else { others += 1 }
    }
    rows > others
}

/// JSON by the first members of its first object.
fn json(text: &[u8], complete: bool) -> Verdict {
    let has = |word: &str| find(text, word.as_bytes()).is_some();
    // The first type member decides, but a collection may name its members in any order.
    let kind = first_type(text);
    match kind.as_deref() {
        Some("FeatureCollection") => Verdict::Is(Format::GeoJson),
        Some("Feature") if has("\"features\"") && has("\"FeatureCollection\"") => Verdict::Is(Format::GeoJson),
        Some(
            "Feature" | "Point" | "LineString" | "Polygon" | "MultiPoint" | "MultiLineString" | "MultiPolygon"
            | "GeometryCollection",
        ) => {
            let mut objects = serde_json::Deserializer::from_slice(text).into_iter::<serde::de::IgnoredAny>();
            let whole = complete && objects.next().is_some_and(|object| object.is_ok());
            let one = whole && text[objects.byte_offset()..].iter().all(|b| b" \t\r\n\x1e".contains(b));
            Verdict::Is(if one { Format::GeoJson } else { Format::GeoJsonSeq })
        }
        Some("Topology") => Verdict::Other("TopoJSON, which is not supported; save it as GeoJSON"),
        _ if has("\"geometryType\"") || has("\"esriGeometry") || has("\"spatialReference\"") => {
            Verdict::Other("Esri JSON, which is not supported; save it as GeoJSON")
        }
        _ if has("\"features\"") => Verdict::Is(Format::GeoJson),
        _ if !complete => Verdict::Is(Format::GeoJson),
        _ => Verdict::Other("JSON, but not GeoJSON"),
    }
}

/// The value of the first `"type"` member whose value is a plain word.
fn first_type(text: &[u8]) -> Option<String> {
    let mut rest = text;
    while let Some(at) = find(rest, b"\"type\"") {
        rest = &rest[at + 6..];
        let value: Vec<u8> = rest.iter().copied().skip_while(|b| b" \t\r\n:".contains(b)).take(24).collect();
        if let Some(word) = value.strip_prefix(b"\"") {
            let word: Vec<u8> = word.iter().copied().take_while(|b| *b != b'"').collect();
            // "crs": {"type": "name"} may stand in front.
            if word != b"name" && word != b"EPSG" && word != b"link" {
                return String::from_utf8(word).ok();
            }
        }
    }
    None
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

fn by_signature(head: &[u8]) -> Option<Verdict> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    let has = |word: &str| find(head, word.as_bytes()).is_some();
    if starts(b"SQLite format 3\0") {
        return Some(if has("gpkg_contents") || matches!(head.get(68..72), Some(b"GPKG" | b"GP10" | b"GP11")) {
            Verdict::Is(Format::GeoPackage)
        } else if has("metadata") && has("tile_data") {
            Verdict::Other("MBTiles, a store of tiles and not of features")
        } else {
            Verdict::Other("an SQLite database, but not a GeoPackage")
        });
    }
    let known: &[(&[u8], &str)] = &[
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"GIF8", "a GIF picture"),
        (b"BM", "a BMP picture"),
        (b"%PDF", "a PDF document"),
        (b"II*\0", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"RIFF", "a RIFF file (WebP, AVI or WAV)"),
        (b"\x1f\x8b", "a gzip archive; unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
        (b"Rar!", "a RAR archive; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard archive; unpack it first"),
        (b"PAR1", "a Parquet table, which is not supported yet"),
        (b"\xd0\xcf\x11\xe0", "an old Excel or Word file, or one with a password; save it as .xlsx without a password"),
        (b"PMTiles", "PMTiles, a store of tiles and not of features"),
        (b"AutoCAD Binary DXF", "a DXF drawing in the binary form; save it as text (ASCII)"),
        (b"AC10", "a DWG drawing; save it as DXF or GeoJSON"),
        (b"\x7fELF", "a program"),
        (b"MZ", "a program"),
    ];
    // "BM" and "MZ" are letters too: only with a zero byte near them are they signatures.
    let binary = head.iter().take(64).any(|b| *b == 0);
    if let Some((_, is)) =
        known.iter().find(|(magic, _)| starts(magic) && (magic.len() > 2 || binary || magic[0] > 127 || magic[0] < 32))
    {
        return Some(Verdict::Other(is));
    }
    if starts(b"\x00\x00\x27\x0a") {
        return Some(Verdict::Is(Format::Shapefile));
    }
    if starts(b"fgb\x03fgb") {
        return Some(Verdict::Is(Format::FlatGeobuf));
    }
    if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") {
        return Some(Verdict::Zip);
    }
    None
}

fn by_text(text: &[u8]) -> Option<Verdict> {
    let start = &text[..text.len().min(2_000)];
    let lower = String::from_utf8_lossy(start).to_ascii_lowercase();
    let lower = lower.trim_start();
    if lower.starts_with('<') {
        if lower.contains("<kml") {
            return Some(Verdict::Is(Format::Kml));
        }
        let is = [
            ("<gml", "GML, which is not supported"),
            ("featurecollection", "GML, which is not supported"),
            ("<gpx", "GPX, which is not supported"),
            ("<html", "a web page: the download probably asked for a login"),
            ("<!doctype html", "a web page: the download probably asked for a login"),
            ("<svg", "an SVG drawing"),
        ];
        return Some(Verdict::Other(is.iter().find(|(tag, _)| lower.contains(tag)).map_or("XML", |(_, is)| is)));
    }
    let mut lines = lower.lines().map(str::trim);
    if lines.next() == Some("0") && lines.next() == Some("section") {
        return Some(Verdict::Is(Format::Dxf));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        let cases: &[(&[u8], Verdict)] = &[
            (b"{\"type\":\"FeatureCollection\",\"features\":[]}", Verdict::Is(Format::GeoJson)),
            (b"{\"features\":[{\"type\":\"Feature\"}],\"type\":\"FeatureCollection\"}", Verdict::Is(Format::GeoJson)),
            (b"{\"type\":\"Feature\"}\n{\"type\":\"Feature\"}\n", Verdict::Is(Format::GeoJsonSeq)),
            (b"\x1e{\"type\":\"Feature\"}\n\x1e{\"type\":\"Feature\"}\n", Verdict::Is(Format::GeoJsonSeq)),
            (b"{\"type\":\"Feature\"}\n", Verdict::Is(Format::GeoJson)),
            (b"\xef\xbb\xbfid,lon,lat\n1,106,11\n", Verdict::Is(Format::Csv)),
            (b"", Verdict::Empty),
            (b"  \n ", Verdict::Empty),
            (b"\x89PNG\r\n\x1a\n", Verdict::Other("a PNG picture")),
            (b"\0\0\0\0\0\0\0\0", Verdict::Other("a file of zero bytes, as after a failed copy")),
            (b"{\"a\":1}", Verdict::Other("JSON, but not GeoJSON")),
            (b"\xef\xbb\xbfNO2\t14,91\tug/m3\t20260325000500\t00\t\r\n", Verdict::Is(Format::StationFile)),
            (
                b"pH\t8.81\t\t20260325000500\t00\nPM10\t4\nCO\t\tmg/m3\t20260325000500\t01",
                Verdict::Is(Format::StationFile),
            ),
            (b"id\tlon\tlat\ttime\tstatus\na\t106\t11\t20260325000500\t00\n", Verdict::Is(Format::Csv)),
            (b"just some words\n", Verdict::Other("plain text without columns")),
        ];
        for (bytes, verdict) in cases {
            assert_eq!(judge(bytes, true), *verdict, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
