//! Entities of an NGSI-LD broker (ETSI GS CIM 009): those of one type, normalised or simplified, page by page.

use super::items::{self, key_of, value_of};
use super::{Face, Next, Page, Progressed, below, instead, next_link, print, rows, with};
use crate::features::{Wanted, malformed};
use crate::file::rejection;
use crate::geojson::Parsed;
use crate::net::{FetchError, follow};
use model::{Rejection, RestMapping};
use reqwest::header::HeaderMap;
use serde_json::{Map, Value as Json};
use url::Url;

pub(super) struct Broker<'a> {
    pub(super) mapping: &'a RestMapping,
    pub(super) wanted: Wanted<'a>,
}

const PAGE: u32 = 100;
/// How many entities there are, where `count=true` is known (clause 6.3.13).
const COUNT: &str = "ngsild-results-count";
/// Languages of a text in several, first that is there.
const LANGUAGES: [&str; 3] = ["vi", "en", "@none"];

impl Face for Broker<'_> {
    fn first(&self) -> Result<Url, FetchError> {
        let mut set = vec![("limit", PAGE.to_string()), ("offset", "0".to_owned()), ("count", "true".to_owned())];
        let url = match &self.mapping.path {
            Some(path) => below(self.wanted.root, path)?,
            None => {
                set.insert(0, ("type", self.wanted.name().to_owned()));
                below(self.wanted.root, "entities")?
            }
        };
        Ok(with(&url, &set))
    }

    fn accept(&self) -> &'static str {
        "application/ld+json, application/json;q=0.9"
    }

    fn page(&self, url: &Url, headers: &HeaderMap, page: &Json, so_far: &Progressed) -> Result<Page, FetchError> {
        let Some(entities) = page.as_array() else {
            return Err(malformed(url, format!("no list of entities came but {}", instead(page))));
        };
        let entities: Vec<&Json> = entities.iter().collect();
        let rows = rows(url, &entities, so_far, |entity, row| self.read(entity, row))?;
        let total = headers.get(COUNT).and_then(|count| count.to_str().ok()?.trim().parse().ok());
        let count = entities.len() as u64;
        let received = so_far.received + count;
        let next = match (next_link(headers), total) {
            (Some(link), _) => Next::At(follow(url, &link)?),
            _ if count == 0 => Next::End,
            (None, Some(total)) if received >= total => Next::End,
            // The broker may cap the limit in silence.
            (None, Some(_)) => Next::At(with(url, &[("offset", received.to_string())])),
            (None, None) if so_far.pages > 0 && count < so_far.first_page => Next::End,
            (None, None) => Next::Perhaps(with(url, &[("offset", received.to_string())])),
        };
        Ok(Page { rows, print: print(&entities), total, as_of: None, next })
    }
}

impl Broker<'_> {
    fn read(&self, entity: &Json, row: u64) -> Result<Parsed, Rejection> {
        let plain = simplified(entity);
        let Some(id) = plain.get("id").and_then(key_of) else {
            return Err(rejection(row, "id", "", "id_missing", "the entity has no id"));
        };
        let Some(location) = plain.get("location").filter(|location| !location.is_null()) else {
            return Err(rejection(row, "geometry", &id, "geometry_missing", "the entity has no location"));
        };
        let geometry = items::geometry(location, None, row)?;
        let own = plain.get("type").and_then(Json::as_str).unwrap_or_default();
        let id = id.strip_prefix(&format!("urn:ngsi-ld:{own}:")).filter(|rest| !rest.is_empty()).unwrap_or(&id);
        let id = Some(id.to_owned());
        let mut properties = model::Properties::new();
        if self.mapping.fields.is_empty() {
            for (name, value) in plain.iter().filter(|(name, _)| !["id", "type", "location"].contains(&name.as_str())) {
                properties.insert(crate::file::stored(name), value_of(value));
            }
        }
        let plain = Json::Object(plain);
        for (name, value) in items::fields(self.mapping, &plain).iter() {
            properties.insert(name.to_owned(), value.clone());
        }
        Ok(Parsed { id, geometry, properties })
    }
}

/// An entity with plain values, whichever of the two forms it came in (clause 4.5.4).
fn simplified(entity: &Json) -> Map<String, Json> {
    let mut plain = Map::new();
    for (name, attribute) in entity.as_object().into_iter().flatten() {
        match name.as_str() {
            "@context" | "scope" => {}
            "id" | "@id" => drop(plain.insert("id".into(), attribute.clone())),
            "type" | "@type" => {
                let first = attribute.as_array().and_then(|types| types.first()).unwrap_or(attribute);
                plain.insert("type".into(), first.as_str().map_or(Json::Null, |text| short(text).into()));
            }
            _ => {
                let value = value(attribute);
                // Places besides the entity's own are not what it looks like on the map.
                if matches!(name.as_str(), "observationSpace" | "operationSpace") {
                    continue;
                }
                plain.insert(short(name).to_owned(), value);
            }
        }
    }
    plain
}

/// A name that no context shortened: its last part.
fn short(name: &str) -> &str {
    if name.contains("://") { name.rsplit(['/', '#']).next().unwrap_or(name) } else { name }
}

/// The value of an attribute, normalised or plain. Of several instances the one without a `datasetId` counts.
fn value(attribute: &Json) -> Json {
    if let Json::Array(instances) = attribute
        && instances.iter().any(is_normalised)
    {
        let own = instances.iter().find(|instance| instance.get("datasetId").is_none()).or(instances.first());
        return own.map_or(Json::Null, value);
    }
    if !is_normalised(attribute) {
        return unwrapped(attribute);
    }
    if let Some(languages) = attribute.get("languageMap") {
        let spoken = LANGUAGES.iter().find_map(|language| languages.get(*language));
        return spoken.or_else(|| languages.as_object()?.values().next()).cloned().unwrap_or(Json::Null);
    }
    let value =
        ["value", "object", "vocab", "json", "valueList", "objectList"].iter().find_map(|key| attribute.get(*key));
    value.map_or(Json::Null, unwrapped)
}

fn is_normalised(attribute: &Json) -> bool {
    let kinds = ["Property", "Relationship", "GeoProperty", "LanguageProperty", "VocabProperty", "JsonProperty"];
    let lists = ["ListProperty", "ListRelationship"];
    let kind = attribute.get("type").and_then(Json::as_str).unwrap_or_default();
    kinds.contains(&kind) || lists.contains(&kind)
}

/// A typed value of JSON-LD (`{"@type": "DateTime", "@value": …}`) is its value; a text in simplified form may still be by
/// language.
fn unwrapped(value: &Json) -> Json {
    value.get("@value").unwrap_or(value).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_of_an_entity_are_the_same() {
        let normalised = json!({
            "@context": ["https://h/context.jsonld"], "id": "urn:ngsi-ld:School:a", "type": "School",
            "name": {"type": "LanguageProperty", "languageMap": {"en": "A", "vi": "Trường A"}},
            "pupils": [
                {"type": "Property", "value": 7, "datasetId": "urn:x"},
                {"type": "Property", "value": 165, "unitCode": "C62", "observedAt": "2026-11-01T00:00:00Z"},
            ],
            "https://uri.etsi.org/ngsi-ld/default-context/opened":
                {"type": "Property", "value": {"@type": "Date", "@value": "2020-09-05"}},
            "refCommune": {"type": "Relationship", "object": "urn:ngsi-ld:Commune:25459"},
            "nothing": {"type": "Property", "value": null},
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [106.1, 11.3]}},
            "operationSpace": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 1]}},
        });
        let plain = json!({
            "id": "urn:ngsi-ld:School:a", "type": "School", "name": "Trường A", "pupils": 165, "opened": "2020-09-05",
            "refCommune": "urn:ngsi-ld:Commune:25459", "nothing": null,
            "location": {"type": "Point", "coordinates": [106.1, 11.3]},
        });
        assert_eq!(Json::Object(simplified(&normalised)), plain);
        assert_eq!(Json::Object(simplified(&plain)), plain);
        assert!(simplified(&json!("a text")).is_empty());
    }
}
