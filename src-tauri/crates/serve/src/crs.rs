//! Coordinate systems by the names that OGC APIs give them.

use desk::Crs;

/// `http://www.opengis.net/def/crs/OGC/1.3/CRS84`, `http://www.opengis.net/def/crs/EPSG/0/9210`.
pub(crate) fn uri(crs: Crs) -> String {
    if crs == Crs::CRS84 {
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84".to_owned()
    } else {
        format!("http://www.opengis.net/def/crs/EPSG/0/{}", crs.epsg)
    }
}

/// One of the systems offered, by its URI, as a safe CURIE (`[EPSG:9210]`) or short (`EPSG:9210`, `CRS84`).
pub(crate) fn find(offered: &[Crs], name: &str) -> Option<Crs> {
    let short = |crs: Crs| match crs {
        Crs::CRS84 => ["OGC:CRS84".to_owned(), "CRS84".to_owned()],
        crs => [format!("EPSG:{}", crs.epsg), format!("urn:ogc:def:crs:EPSG::{}", crs.epsg)],
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    offered.iter().copied().find(|crs| uri(*crs) == name || short(*crs).iter().any(|short| short == bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_form() {
        let offered = [Crs::CRS84, Crs::epsg(4326), Crs::epsg(9210)];
        for crs in offered {
            assert_eq!(find(&offered, &uri(crs)), Some(crs));
        }
        assert_eq!(find(&offered, "[EPSG:9210]"), Some(Crs::epsg(9210)));
        assert_eq!(find(&offered, "EPSG:4326").map(|crs| crs.latitude_first), Some(true));
        assert_eq!(find(&offered, "http://www.opengis.net/def/crs/EPSG/0/32648"), None);
    }
}
