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

#[cfg(test)]
mod tests {
    use super::*;

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
