//! An item of a list by the mapping of the profile: its key, its place, its fields.

use crate::file::{rejection, stored};
use crate::geojson::{self, Parsed};
use geo_types::{Geometry, Point};
use model::{AxisOrder, Properties, Rejection, RestMapping, Value};
use serde_json::Value as Json;
use serde_json_path::JsonPath;

/// Reads an item.
///
/// # Errors
/// The rejection of the row: `id_missing`, `geometry_missing`, `geometry_invalid`, `not_finite`, `crs_mixed`, and what a
/// GeoJSON geometry may have.
pub(super) fn read(mapping: &RestMapping, item: &Json, row: u64) -> Result<Parsed, Rejection> {
    let id = mapping.id.as_ref().and_then(|path| key(path, item));
    let Some(id) = id else {
        let path = mapping.id.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(rejection(row, "id", "", "id_missing", format!("there is no key at {path}")));
    };
    let geometry = place(mapping, item, row)?;
    Ok(Parsed { id: Some(id), geometry, properties: fields(mapping, item) })
}

/// The fields that the mapping names, and its constants.
pub(super) fn fields(mapping: &RestMapping, item: &Json) -> Properties {
    let mut properties = Properties::new();
    for (name, path) in &mapping.fields {
        let nodes = path.query(item).all();
        let value = match nodes.as_slice() {
            [] => continue,
            [one] => value_of(one),
            // A list of words, as people write it.
            many if many.iter().all(|node| !node.is_array() && !node.is_object()) => {
                Value::Text(many.iter().map(|node| value_of(node).to_string()).collect::<Vec<_>>().join(", "))
            }
            many => Value::Text(stored(&Json::Array(many.iter().map(|node| (*node).clone()).collect()).to_string())),
        };
        properties.insert(name.clone(), value);
    }
    for (name, value) in &mapping.constants {
        properties.insert(name.clone(), value.clone());
    }
    properties
}

/// A value of a feature; lists and objects are kept as their JSON text.
pub(super) fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Integer(whole),
            (None, Some(real)) => Value::Real(real),
            (None, None) => Value::Null,
        },
        Json::String(text) => Value::Text(stored(text)),
        Json::Array(_) | Json::Object(_) => Value::Text(stored(&json.to_string())),
    }
}

/// A key: text, or a whole number.
pub(super) fn key_of(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Json::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

fn key(path: &JsonPath, item: &Json) -> Option<String> {
    path.query(item).first().and_then(key_of)
}

fn place(mapping: &RestMapping, item: &Json, row: u64) -> Result<Geometry<f64>, Rejection> {
    if let Some(path) = &mapping.geometry {
        let Some(found) = path.query(item).first().filter(|found| !found.is_null()) else {
            return Err(rejection(row, "geometry", "", "geometry_missing", format!("there is no geometry at {path}")));
        };
        return geometry(found, mapping.crs, row);
    }
    let (x, y) = match (&mapping.lon, &mapping.lat, &mapping.x, &mapping.y) {
        (Some(lon), Some(lat), ..) => (number(lon, item, row)?, number(lat, item, row)?),
        (_, _, Some(x), Some(y)) => (number(x, item, row)?, number(y, item, row)?),
        _ => return Err(rejection(row, "geometry", "", "geometry_missing", "the mapping names no place")),
    };
    let (east, north) = if mapping.order == AxisOrder::XyVn { (y, x) } else { (x, y) };
    Ok(Geometry::Point(Point::new(east, north)))
}

/// A coordinate: a number, or text that is one, with a point or a comma.
fn number(path: &JsonPath, item: &Json, row: u64) -> Result<f64, Rejection> {
    let missing = || rejection(row, "geometry", "", "geometry_missing", format!("there is no number at {path}"));
    let found = path.query(item).first().filter(|found| !found.is_null()).ok_or_else(missing)?;
    let number = match found {
        Json::Number(number) => number.as_f64(),
        Json::String(text) if text.trim().is_empty() => return Err(missing()),
        Json::String(text) => text.trim().replace(',', ".").parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(number),
        Some(_) => Err(rejection(row, "geometry", &found.to_string(), "not_finite", format!("{path} is not finite"))),
        None => {
            let reason = format!("what stands at {path} is no number");
            Err(rejection(row, "geometry", &found.to_string(), "geometry_invalid", reason))
        }
    }
}

/// A GeoJSON geometry, as it is or within text, or well-known text.
pub(super) fn geometry(found: &Json, crs: Option<u32>, row: u64) -> Result<Geometry<f64>, Rejection> {
    let text = match found {
        Json::Object(_) => return geojson::parse_geometry(found.to_string().as_bytes(), row).map(|p| p.geometry),
        Json::String(text) => text.trim(),
        other => {
            let reason = "it is neither a GeoJSON geometry nor well-known text";
            return Err(rejection(row, "geometry", &other.to_string(), "geometry_invalid", reason));
        }
    };
    if text.starts_with('{') {
        return geojson::parse_geometry(text.as_bytes(), row).map(|parsed| parsed.geometry);
    }
    match crate::csv::wkt::parse(text) {
        Ok((Some(_), Some(srid))) if srid != crs.unwrap_or(4326) => {
            let reason = format!("it says SRID {srid}, the mapping EPSG:{}", crs.unwrap_or(4326));
            Err(rejection(row, "geometry", text, "crs_mixed", reason))
        }
        Ok((Some(geometry), _)) => Ok(geometry),
        Ok((None, _)) => Err(rejection(row, "geometry", text, "geometry_missing", "the geometry is empty")),
        Err(reason) => Err(rejection(row, "geometry", text, "geometry_invalid", reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> Option<JsonPath> {
        Some(JsonPath::parse(text).unwrap())
    }

    fn mapping() -> RestMapping {
        RestMapping { id: path("$.ma"), lon: path("$.viTri.kinhDo"), lat: path("$.viTri.viDo"), ..Default::default() }
    }

    #[test]
    fn places_come_in_many_spellings() {
        let at = |mapping: &RestMapping, item: Json| match read(mapping, &item, 1) {
            Ok(Parsed { geometry: Geometry::Point(point), .. }) => Ok((point.x(), point.y())),
            Ok(other) => panic!("{:?}", other.geometry),
            Err(rejection) => Err(rejection.code),
        };
        let degrees = mapping();
        assert_eq!(at(&degrees, json!({"ma": 7, "viTri": {"kinhDo": 106.1, "viDo": "11,3"}})), Ok((106.1, 11.3)));
        for (item, code) in [
            (json!({"ma": 7, "viTri": null}), "geometry_missing"),
            (json!({"ma": 7, "viTri": {"kinhDo": null, "viDo": 11}}), "geometry_missing"),
            (json!({"ma": 7, "viTri": {"kinhDo": "đông", "viDo": 11}}), "geometry_invalid"),
            (json!({"ma": 7, "viTri": {"kinhDo": "inf", "viDo": 11}}), "not_finite"),
            (json!({"ma": " ", "viTri": {"kinhDo": 106, "viDo": 11}}), "id_missing"),
            (json!({"ma": {"so": 7}, "viTri": {"kinhDo": 106, "viDo": 11}}), "id_missing"),
            (json!(null), "id_missing"),
        ] {
            assert_eq!(at(&degrees, item.clone()), Err(code.to_owned()), "{item}");
        }
        let grid = RestMapping {
            id: path("$.ma"),
            x: path("$.x"),
            y: path("$.y"),
            crs: Some(9209),
            order: AxisOrder::XyVn,
            ..Default::default()
        };
        assert_eq!(at(&grid, json!({"ma": "a", "x": 1_250_153.9, "y": 568_469.1})), Ok((568_469.1, 1_250_153.9)));
        let shape = RestMapping { id: path("$.ma"), geometry: path("$.hinh"), ..Default::default() };
        for geometry in [
            json!({"type": "Point", "coordinates": [106.1, 11.3]}),
            json!("{\"type\":\"Point\",\"coordinates\":[106.1,11.3]}"),
            json!("POINT (106.1 11.3)"),
            json!("SRID=4326;POINT(106.1 11.3)"),
        ] {
            assert_eq!(at(&shape, json!({"ma": "a", "hinh": geometry})), Ok((106.1, 11.3)));
        }
        assert_eq!(at(&shape, json!({"ma": "a", "hinh": "SRID=9209;POINT(1 2)"})), Err("crs_mixed".into()));
        assert_eq!(at(&shape, json!({"ma": "a", "hinh": [106.1, 11.3]})), Err("geometry_invalid".into()));
    }

    #[test]
    fn fields_are_found_by_path_and_constants_added() {
        let mapping = RestMapping {
            fields: [
                ("name".to_owned(), JsonPath::parse("$.ten").unwrap()),
                ("phones".to_owned(), JsonPath::parse("$.lienHe[*].so").unwrap()),
                ("beds".to_owned(), JsonPath::parse("$.quyMo['giường']").unwrap()),
                ("nothing".to_owned(), JsonPath::parse("$.khong").unwrap()),
                ("null".to_owned(), JsonPath::parse("$.rong").unwrap()),
            ]
            .into(),
            constants: [("sample".to_owned(), Value::Bool(true))].into(),
            ..Default::default()
        };
        let item = json!({
            "ten": "Tra\u{323}m y te\u{302}\u{301}", "lienHe": [{"so": "1"}, {"so": 2}], "quyMo": {"giường": 5}, "rong": null,
        });
        let properties = fields(&mapping, &item);
        assert_eq!(properties["name"].as_text(), Some("Trạm y tế"), "NFC");
        assert_eq!(properties["phones"].as_text(), Some("1, 2"));
        assert_eq!((&properties["beds"], &properties["sample"]), (&Value::Integer(5), &Value::Bool(true)));
        assert_eq!(properties["null"], Value::Null);
        assert!(!properties.contains_key("nothing"));
    }
}
