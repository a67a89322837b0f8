//! The definitions of coordinate systems that a GeoPackage must carry (WKT 1, as GDAL 3.6 writes them).

use rusqlite::{Connection, params};

const WGS84_GEOGCS: &str = r#"GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]"#;
const VN2000_GEOGCS: &str = r#"GEOGCS["VN-2000",DATUM["Vietnam_2000",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6756"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4756"]]"#;

/// EPSG code, name, central meridian, scale: the VN-2000 grids. `geodesy` computes with the same numbers; here they
/// are text for other programs.
#[rustfmt::skip]
const VN2000_GRIDS: [(i32, &str, &str, &str); 20] = [
    (3405, "UTM zone 48N", "105", "0.9996"), (3406, "UTM zone 49N", "111", "0.9996"),
    (5896, "TM-3 zone 481", "102", "0.9999"), (5897, "TM-3 zone 482", "105", "0.9999"),
    (5898, "TM-3 zone 491", "108", "0.9999"), (5899, "TM-3 107-45", "107.75", "0.9999"),
    (9205, "TM-3 103-00", "103", "0.9999"), (9206, "TM-3 104-00", "104", "0.9999"),
    (9207, "TM-3 104-30", "104.5", "0.9999"), (9208, "TM-3 104-45", "104.75", "0.9999"),
    (9209, "TM-3 105-30", "105.5", "0.9999"), (9210, "TM-3 105-45", "105.75", "0.9999"),
    (9211, "TM-3 106-00", "106", "0.9999"), (9212, "TM-3 106-15", "106.25", "0.9999"),
    (9213, "TM-3 106-30", "106.5", "0.9999"), (9214, "TM-3 107-00", "107", "0.9999"),
    (9215, "TM-3 107-15", "107.25", "0.9999"), (9216, "TM-3 107-30", "107.5", "0.9999"),
    (9217, "TM-3 108-15", "108.25", "0.9999"), (9218, "TM-3 108-30", "108.5", "0.9999"),
];

/// Name and WKT of an EPSG code; `None` when we do not know it.
pub(crate) fn definition(srs_id: i32) -> Option<(String, String)> {
    let known = match srs_id {
        4326 => ("WGS 84 geodetic".to_owned(), WGS84_GEOGCS.to_owned()),
        4756 => ("VN-2000".to_owned(), VN2000_GEOGCS.to_owned()),
        3857 => (
            "WGS 84 / Pseudo-Mercator".to_owned(),
            format!(
                r#"PROJCS["WGS 84 / Pseudo-Mercator",{WGS84_GEOGCS},PROJECTION["Mercator_1SP"],PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1,AUTHORITY["EPSG","9001"]],AXIS["Easting",EAST],AXIS["Northing",NORTH],EXTENSION["PROJ4","+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m +nadgrids=@null +wktext +no_defs"],AUTHORITY["EPSG","3857"]]"#
            ),
        ),
        32_648 | 32_649 => {
            let zone = srs_id - 32_600;
            let name = format!("WGS 84 / UTM zone {zone}N");
            let wkt = transverse(&name, WGS84_GEOGCS, &(zone * 6 - 183).to_string(), "0.9996", srs_id);
            (name, wkt)
        }
        _ => {
            let (epsg, name, meridian, scale) = VN2000_GRIDS.iter().find(|grid| grid.0 == srs_id)?;
            let name = format!("VN-2000 / {name}");
            let wkt = transverse(&name, VN2000_GEOGCS, meridian, scale, *epsg);
            (name, wkt)
        }
    };
    Some(known)
}

/// A transverse Mercator grid in metres, its false easting 500 km.
fn transverse(name: &str, datum: &str, meridian: &str, scale: &str, epsg: i32) -> String {
    format!(
        r#"PROJCS["{name}",{datum},PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",{meridian}],PARAMETER["scale_factor",{scale}],PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1,AUTHORITY["EPSG","9001"]],AXIS["Easting",EAST],AXIS["Northing",NORTH],AUTHORITY["EPSG","{epsg}"]]"#
    )
}

/// Adds a code to `gpkg_spatial_ref_sys` unless it is there. False when the code is not known.
pub(crate) fn ensure(connection: &Connection, srs_id: i32) -> rusqlite::Result<bool> {
    let Some((name, wkt)) = definition(srs_id) else { return Ok(false) };
    connection.execute(
        "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?1, ?2, 'EPSG', ?2, ?3, NULL)",
        params![name, srs_id, wkt],
    )?;
    Ok(true)
}
