//! The VN-2000 grids of the EPSG register, checked against PROJ 9.5.1.

/// A transverse Mercator grid on VN-2000 (ellipsoid WGS84; latitude of origin 0, false northing 0).
///
/// k0 0.9999 with 3° zones is for 1:2 000 to 1:10 000 and cadastral maps, 0.9996 with 6° zones for 1:25 000 and
/// smaller (Circular 973/2001/TT-TCĐC, article 4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vn2000 {
    pub epsg: u32,
    /// The register's name, for example `VN-2000 / TM-3 105-30`.
    pub name: &'static str,
    pub central_meridian_deg: f64,
    pub k0: f64,
    pub false_easting_m: f64,
    meridian: &'static str,
}

impl Vn2000 {
    /// EPSG:9209: the former province of Tây Ninh.
    pub const DEG_105_30: Self = tm3(9209, "VN-2000 / TM-3 105-30", 105.5, "105°30′");
    /// EPSG:9210: the former province of Long An.
    pub const DEG_105_45: Self = tm3(9210, "VN-2000 / TM-3 105-45", 105.75, "105°45′");

    /// The grid of a code; `None` for codes that are no VN-2000 grid (4756 is geographic).
    pub fn from_epsg(epsg: u32) -> Option<&'static Self> {
        GRIDS.iter().find(|grid| grid.epsg == epsg)
    }

    /// All grids, those of the province first.
    pub fn all() -> &'static [Self] {
        &GRIDS
    }

    /// The central meridian as papers write it, for example `105°30′`.
    pub fn meridian_label(&self) -> &str {
        self.meridian
    }
}

const fn grid(epsg: u32, name: &'static str, central_meridian_deg: f64, k0: f64, meridian: &'static str) -> Vn2000 {
    Vn2000 { epsg, name, central_meridian_deg, k0, false_easting_m: 500_000.0, meridian }
}

const fn tm3(epsg: u32, name: &'static str, central_meridian_deg: f64, meridian: &'static str) -> Vn2000 {
    grid(epsg, name, central_meridian_deg, 0.9999, meridian)
}

static GRIDS: [Vn2000; 20] = [
    Vn2000::DEG_105_30,
    Vn2000::DEG_105_45,
    grid(3405, "VN-2000 / UTM zone 48N", 105.0, 0.9996, "105°00′"),
    grid(3406, "VN-2000 / UTM zone 49N", 111.0, 0.9996, "111°00′"),
    tm3(5896, "VN-2000 / TM-3 zone 481", 102.0, "102°00′"),
    tm3(5897, "VN-2000 / TM-3 zone 482", 105.0, "105°00′"),
    tm3(5898, "VN-2000 / TM-3 zone 491", 108.0, "108°00′"),
    tm3(5899, "VN-2000 / TM-3 107-45", 107.75, "107°45′"),
    tm3(9205, "VN-2000 / TM-3 103-00", 103.0, "103°00′"),
    tm3(9206, "VN-2000 / TM-3 104-00", 104.0, "104°00′"),
    tm3(9207, "VN-2000 / TM-3 104-30", 104.5, "104°30′"),
    tm3(9208, "VN-2000 / TM-3 104-45", 104.75, "104°45′"),
    tm3(9211, "VN-2000 / TM-3 106-00", 106.0, "106°00′"),
    tm3(9212, "VN-2000 / TM-3 106-15", 106.25, "106°15′"),
    tm3(9213, "VN-2000 / TM-3 106-30", 106.5, "106°30′"),
    tm3(9214, "VN-2000 / TM-3 107-00", 107.0, "107°00′"),
    tm3(9215, "VN-2000 / TM-3 107-15", 107.25, "107°15′"),
    tm3(9216, "VN-2000 / TM-3 107-30", 107.5, "107°30′"),
    tm3(9217, "VN-2000 / TM-3 108-15", 108.25, "108°15′"),
    tm3(9218, "VN-2000 / TM-3 108-30", 108.5, "108°30′"),
];

/// Every code that [`crate::transformer`] takes.
pub fn known_codes() -> impl Iterator<Item = u32> {
    [4326, 4756, 3857, 32_648, 32_649].into_iter().chain(GRIDS.iter().map(|grid| grid.epsg))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_the_meridian_that_is_computed_with() {
        for grid in Vn2000::all() {
            let (degrees, minutes) = grid.meridian_label().trim_end_matches('′').split_once('°').unwrap();
            let label: f64 = degrees.parse::<f64>().unwrap() + minutes.parse::<f64>().unwrap() / 60.0;
            assert_eq!(label, grid.central_meridian_deg, "EPSG:{}", grid.epsg);
        }
    }

    #[test]
    fn codes_stand_once() {
        let mut codes: Vec<u32> = known_codes().collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
        assert!(Vn2000::from_epsg(4756).is_none(), "4756 is geographic");
    }
}
