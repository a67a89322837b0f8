//! Bundles of an HL7 FHIR R4 server: `Location` resources where they are, `Organization` resources where a `Location` that
//! they manage is.

use super::items::{self, key_of};
use super::{Face, Next, Page, Progressed, below, instead, print, rows, with};
use crate::features::{Wanted, malformed};
use crate::file::{rejection, stored};
use crate::geojson::Parsed;
use crate::net::{FetchError, follow, host_of};
use geo_types::{Geometry, Point};
use model::{Properties, Rejection, RestMapping, Value};
use reqwest::header::HeaderMap;
use serde_json::Value as Json;
use std::collections::HashMap;
use url::Url;

pub(super) struct Fhir<'a> {
    pub(super) mapping: &'a RestMapping,
    pub(super) wanted: Wanted<'a>,
    /// Organizations are wanted, not locations.
    pub(super) organizations: bool,
}

const PAGE: u32 = 100;

/// By the organization's id.
type Places = HashMap<String, (f64, f64)>;

impl Fhir<'_> {
    fn kind(&self) -> &'static str {
        if self.organizations { "Organization" } else { "Location" }
    }

    fn read(&self, resource: &Json, places: &Places, row: u64) -> Result<Parsed, Rejection> {
        let Some(id) = resource.get("id").and_then(key_of) else {
            return Err(rejection(row, "id", "", "id_missing", "the resource has no id"));
        };
        let place = if self.organizations { places.get(&id).copied() } else { position(resource) };
        let Some((lon, lat)) = place else {
            let reason = if self.organizations {
                "no Location with a position came that this Organization manages"
            } else {
                "the Location has no position"
            };
            return Err(rejection(row, "geometry", &id, "geometry_missing", reason));
        };
        let mut properties = usual(resource);
        for (name, value) in items::fields(self.mapping, resource).iter() {
            properties.insert(name.to_owned(), value.clone());
        }
        Ok(Parsed { id: Some(id), geometry: Geometry::Point(Point::new(lon, lat)), properties })
    }
}

impl Face for Fhir<'_> {
    fn first(&self) -> Result<Url, FetchError> {
        let path = self.mapping.path.as_deref().unwrap_or_else(|| self.kind());
        let mut set = vec![("_count", PAGE.to_string())];
        if self.organizations {
            // The Locations come along on the same page (R4, search, 3.1.1.5.4).
            set.push(("_revinclude", "Location:organization".to_owned()));
        }
        Ok(with(&below(self.wanted.root, path)?, &set))
    }

    fn accept(&self) -> &'static str {
        "application/fhir+json, application/json;q=0.9"
    }

    fn page(&self, url: &Url, _: &HeaderMap, page: &Json, so_far: &Progressed) -> Result<Page, FetchError> {
        match page.get("resourceType").and_then(Json::as_str) {
            Some("Bundle") => {}
            Some("OperationOutcome") => return Err(refusal(url, page)),
            _ => return Err(malformed(url, format!("no Bundle came but {}", instead(page)))),
        }
        let entries = page.get("entry").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let mode = |entry: &Json| entry.pointer("/search/mode").and_then(Json::as_str).unwrap_or("match").to_owned();
        let resources = |kind: &str, wanted: &str| -> Vec<&Json> {
            let of_kind = |entry: &&Json| entry.pointer("/resource/resourceType").and_then(Json::as_str) == Some(kind);
            let chosen = entries.iter().filter(of_kind).filter(|entry| mode(entry) == wanted);
            chosen.filter_map(|entry| entry.get("resource")).collect()
        };
        let mut places = Places::new();
        if self.organizations {
            for location in resources("Location", "include") {
                let reference = location.pointer("/managingOrganization/reference").and_then(Json::as_str);
                let id = reference.and_then(|text| text.rsplit_once("Organization/")).map(|(_, id)| id);
                // `…/Organization/7/_history/2` names a version of the same.
                let id = id.and_then(|id| id.split('/').next());
                if let (Some(id), Some(place)) = (id, position(location)) {
                    places.entry(id.to_owned()).or_insert(place);
                }
            }
        }
        let found = resources(self.kind(), "match");
        let rows = rows(url, &found, so_far, |resource, row| self.read(resource, &places, row))?;
        let links = page.get("link").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let next = links.iter().find(|link| link.get("relation").and_then(Json::as_str) == Some("next"));
        let next = match next.and_then(|link| link.get("url")?.as_str()) {
            Some(link) => Next::At(follow(url, link)?),
            None => Next::End,
        };
        let total = page.get("total").and_then(Json::as_u64);
        Ok(Page { rows, print: print(&found), total, as_of: None, next })
    }
}

fn position(location: &Json) -> Option<(f64, f64)> {
    let number = |name: &str| location.pointer("/position")?.get(name)?.as_f64();
    Some((number("longitude")?, number("latitude")?))
}

/// What every resource of the two kinds has in the same place.
fn usual(resource: &Json) -> Properties {
    let text = |pointer: &str| resource.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    // An Organization has several addresses, a Location one.
    let address = ["/address", "/address/0"].into_iter().find_map(|at| written(resource.pointer(at)?));
    let found = [
        ("name", text("/name")),
        ("description", text("/description")),
        ("status", text("/status")),
        ("identifier", text("/identifier/0/value")),
        ("type", text("/type/0/coding/0/code")),
        ("phone", text("/telecom/0/value")),
        ("address", address),
        ("organization", text("/managingOrganization/reference")),
    ];
    let mut properties = Properties::new();
    for (name, value) in found {
        if let Some(value) = value {
            properties.insert(name.to_owned(), Value::Text(stored(&value)));
        }
    }
    properties
}

/// An `Address` in one line.
fn written(address: &Json) -> Option<String> {
    if let Some(text) = address.get("text").and_then(Json::as_str) {
        return Some(text.to_owned());
    }
    let lines = address.get("line").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let rest = ["district", "city", "state"].into_iter().filter_map(|part| address.get(part)?.as_str());
    let parts: Vec<&str> = lines.chain(rest).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The server's own words for why there is nothing.
fn refusal(url: &Url, outcome: &Json) -> FetchError {
    let text = |pointer: &str| outcome.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    let code = text("/issue/0/code").unwrap_or_else(|| "unknown".into());
    let reason = text("/issue/0/diagnostics").or_else(|| text("/issue/0/details/text")).unwrap_or_default();
    FetchError::Service { host: host_of(url), code, reason }
}
