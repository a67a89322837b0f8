//! Names of coordinate systems, as files write them.

mod wkt;

pub(crate) use wkt::by_wkt;

use crate::file::FileCrs;

/// `EPSG:9209`, `urn:ogc:def:crs:EPSG::9209`, `urn:ogc:def:crs:OGC:1.3:CRS84`, `http://www.opengis.net/def/crs/EPSG/0/9209`.
pub(crate) fn by_name(name: &str) -> FileCrs {
    let upper = name.to_ascii_uppercase();
    if upper.ends_with("CRS84") || upper.ends_with("CRS84H") {
        return FileCrs::Epsg(4326);
    }
    let code = upper.rsplit([':', '/', '#']).next().unwrap_or_default();
    let known = upper.contains("EPSG") || upper.len() == code.len();
    match code.parse() {
        Ok(epsg) if known => FileCrs::Epsg(epsg),
        _ => FileCrs::Named(name.to_owned()),
    }
}

/// A system as services name it, and whether that name puts north before east.
///
/// A URN or a `def/crs` address means the register's own axes; `EPSG:n` and the older `epsg.xml#n` have always been used
/// with east first (OGC 09-048r5, WFS 1.1 and GeoServer's documentation alike).
pub(crate) fn with_axes(name: &str) -> (FileCrs, bool) {
    let crs = by_name(name);
    let lower = name.to_ascii_lowercase();
    let by_register = lower.contains("def:crs:epsg:") || lower.contains("/def/crs/epsg/");
    let north_first = matches!(crs, FileCrs::Epsg(epsg) if by_register && is_north_first(epsg));
    (crs, north_first)
}

/// Whether the register has north before east: of the systems known here only for latitude and longitude.
fn is_north_first(epsg: u32) -> bool {
    matches!(epsg, 4326 | 4756)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_go_by_how_the_name_is_written() {
        for (name, epsg, north_first) in [
            ("urn:ogc:def:crs:EPSG::4326", 4326, true),
            ("urn:x-ogc:def:crs:EPSG:4326", 4326, true),
            ("http://www.opengis.net/def/crs/EPSG/0/4326", 4326, true),
            ("http://www.opengis.net/gml/srs/epsg.xml#4326", 4326, false),
            ("EPSG:4326", 4326, false),
            ("urn:ogc:def:crs:OGC:1.3:CRS84", 4326, false),
            ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", 4326, false),
            ("urn:ogc:def:crs:EPSG::9209", 9209, false),
            ("urn:ogc:def:crs:EPSG::4756", 4756, true),
        ] {
            assert_eq!(with_axes(name), (FileCrs::Epsg(epsg), north_first), "{name}");
        }
    }

    #[test]
    fn names_of_systems_are_understood() {
        for (name, epsg) in [
            ("EPSG:9209", 9209),
            ("urn:ogc:def:crs:EPSG::9210", 9210),
            ("urn:ogc:def:crs:EPSG:6.9:4326", 4326),
            ("urn:ogc:def:crs:OGC:1.3:CRS84", 4326),
            ("http://www.opengis.net/def/crs/EPSG/0/3405", 3405),
            ("9209", 9209),
        ] {
            assert_eq!(by_name(name), FileCrs::Epsg(epsg), "{name}");
        }
        assert_eq!(by_name("HN-72"), FileCrs::Named("HN-72".into()));
    }
}
