//! How the JSON of a service becomes a layer: the mapping that a profile declares for the protocol `rest`.

use crate::Value;
use serde::{Deserialize, Serialize};
use serde_json_path::JsonPath;
use std::collections::BTreeMap;

/// A mapping that is known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyMapping {
    /// Entities of a context broker (ETSI GS CIM 009), normalised or simplified.
    NgsiLd,
    /// `Location` resources of HL7 FHIR R4.
    FhirLocation,
    /// `Organization` resources of HL7 FHIR R4, where a `Location` that they manage says that they are.
    FhirOrganization,
}

/// Which number of a pair stands for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AxisOrder {
    /// `x` is east, `y` is north.
    #[default]
    Xy,
    /// As VN-2000 papers have it: `x` is north, `y` is east.
    XyVn,
}

/// How a list goes on behind its first page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Paging {
    /// By the page's number.
    Page {
        #[serde(default = "page")]
        param: String,
        /// The number of the first page.
        #[serde(default = "one")]
        first: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size_param: Option<String>,
        #[serde(default = "hundred")]
        size: u32,
    },
    /// By the number of items before.
    Offset {
        #[serde(default = "offset")]
        param: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size_param: Option<String>,
        #[serde(default = "hundred")]
        size: u32,
    },
    /// By a word that the page before gives: it goes into `param`, or without one is itself the next address.
    Cursor {
        next: JsonPath,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        param: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size_param: Option<String>,
        #[serde(default = "hundred")]
        size: u32,
    },
    /// By the header `Link` with `rel=next` (RFC 8288).
    Link {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size_param: Option<String>,
        #[serde(default = "hundred")]
        size: u32,
    },
}

fn page() -> String {
    "page".into()
}

fn offset() -> String {
    "offset".into()
}

fn one() -> u32 {
    1
}

fn hundred() -> u32 {
    100
}

impl Paging {
    /// The parameter for the size of a page, if the service takes one, and the size.
    pub fn size(&self) -> (Option<&str>, u32) {
        match self {
            Self::Page { size_param, size, .. }
            | Self::Offset { size_param, size, .. }
            | Self::Cursor { size_param, size, .. }
            | Self::Link { size_param, size } => (size_param.as_deref(), *size),
        }
    }
}

/// What stands where in a service's answers. Paths are JSONPath (RFC 9535): those of a page begin at its root, those of an
/// item at the item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestMapping {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyMapping>,
    /// Below the source's address, with a query where it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The list of items in a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<JsonPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<JsonPath>,
    /// Degrees of WGS84.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon: Option<JsonPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat: Option<JsonPath>,
    /// A GeoJSON geometry, as an object or as text, or well-known text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geometry: Option<JsonPath>,
    /// Metres of `crs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<JsonPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<JsonPath>,
    #[serde(default)]
    pub order: AxisOrder,
    /// EPSG code of the coordinates; absent: WGS84.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crs: Option<u32>,
    /// Field of the layer → where an item has it.
    #[serde(default)]
    pub fields: BTreeMap<String, JsonPath>,
    /// Field of the layer → the same value for every item.
    #[serde(default)]
    pub constants: BTreeMap<String, Value>,
    /// Where a page says which moment it describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<JsonPath>,
    /// Where a page says how many items there are in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<JsonPath>,
    /// Absent: all items come in one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging: Option<Paging>,
}

impl RestMapping {
    /// What is wrong: the key at fault and a sentence.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        let ways = [self.lon.is_some(), self.x.is_some(), self.geometry.is_some()];
        let ways = ways.into_iter().filter(|way| *way).count();
        if self.lon.is_some() != self.lat.is_some() {
            return Some(("lon", "lon and lat belong together: give both".into()));
        }
        if self.x.is_some() != self.y.is_some() {
            return Some(("x", "x and y belong together: give both, and crs".into()));
        }
        if self.x.is_some() && self.crs.is_none() {
            return Some(("crs", "x and y need it, for example crs = 9209".into()));
        }
        if self.lon.is_some() && self.crs.is_some() {
            return Some(("crs", "lon and lat are degrees of WGS84; metres stand in x and y".into()));
        }
        if self.order == AxisOrder::XyVn && self.x.is_none() {
            return Some(("order", "it is about x and y, which are not given".into()));
        }
        let (set, own) = match self.ready {
            None if self.items.is_none() => return Some(("items", "it says where the list stands: \"$.data\"".into())),
            None if self.id.is_none() => return Some(("id", "it says where an item has its key: \"$.id\"".into())),
            None if ways != 1 => {
                let problem = "give one way to a place: lon and lat, or x, y and crs, or geometry";
                return Some(("geometry", problem.into()));
            }
            None => return self.paging_fault(),
            Some(_) => (
                self.items.is_some() || self.id.is_some() || ways > 0 || self.crs.is_some() || self.total.is_some(),
                self.paging.is_some(),
            ),
        };
        if set || own {
            let problem = "a ready mapping settles items, id, place, total and paging itself; leave them out";
            return Some(("ready", problem.into()));
        }
        None
    }

    fn paging_fault(&self) -> Option<(&'static str, String)> {
        let paging = self.paging.as_ref()?;
        let (size_param, size) = paging.size();
        if !(1..=100_000).contains(&size) {
            return Some(("paging", format!("size {size} is not between 1 and 100000")));
        }
        let param = match paging {
            Paging::Page { param, .. } | Paging::Offset { param, .. } => Some(param.as_str()),
            Paging::Cursor { param, .. } => param.as_deref(),
            Paging::Link { .. } => None,
        };
        if param.is_some() && param == size_param {
            return Some(("paging", "param and size_param are the same".into()));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RestMapping, String> {
        let mapping: RestMapping = toml::from_str(text).map_err(|error| error.to_string())?;
        mapping.fault().map_or(Ok(mapping), |(field, problem)| Err(format!("{field}: {problem}")))
    }

    #[test]
    fn mappings_read_as_profiles_write_them() {
        let mapping = read(
            r#"
            path = "truong-hoc?nam=2026"
            items = "$.danhSach"
            id = "$.ma"
            x = "$.toaDo[0]"
            y = "$.toaDo[1]"
            crs = 9209
            order = "xy-vn"
            as_of = "$.capNhat"
            fields = { name = "$.ten", pupils = "$.quyMo.hocSinh" }
            constants = { sample = true, level = "thcs" }
            paging = { by = "page", param = "trang", size_param = "kichThuoc", size = 50 }
            "#,
        )
        .unwrap();
        assert_eq!((mapping.order, mapping.fields.len()), (AxisOrder::XyVn, 2));
        assert_eq!(mapping.paging.unwrap().size(), (Some("kichThuoc"), 50));
        assert!(read(r#"ready = "ngsi-ld""#).is_ok());
        assert!(
            read("items = \"$\"\nid = \"$.id\"\ngeometry = \"$.g\"\npaging = { by = \"cursor\", next = \"$.next\" }")
                .is_ok()
        );
    }

    #[test]
    fn faults_are_named() {
        let good = "items = \"$.data\"\nid = \"$.id\"\nlon = \"$.x\"\nlat = \"$.y\"";
        assert!(read(good).is_ok());
        for (from, to, word) in [
            ("$.data", "$.data[", "at position 6"),
            ("$.data", "data", "at position"),
            ("items = \"$.data\"", "", "items"),
            ("id = \"$.id\"", "", "id"),
            ("lat = \"$.y\"", "", "lon"),
            ("lon = \"$.x\"\nlat = \"$.y\"", "", "geometry"),
            ("lon = \"$.x\"\nlat = \"$.y\"", "x = \"$.x\"\ny = \"$.y\"", "crs"),
            ("id =", "key =", "key"),
            ("items = \"$.data\"", "items = \"$.data\"\nready = \"fhir-location\"", "ready"),
            ("items = \"$.data\"", "items = \"$.data\"\npaging = { by = \"page\", size = 0 }", "size 0"),
            ("items = \"$.data\"", "items = \"$.data\"\npaging = { by = \"scroll\" }", "scroll"),
        ] {
            let error = read(&good.replace(from, to)).unwrap_err();
            assert!(error.contains(word), "{to}: {error}");
        }
    }
}
