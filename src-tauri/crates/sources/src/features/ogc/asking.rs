//! Questions to a collection that stays where it is: what it can be asked, a part of it, one feature, how many there are.
//!
//! Of Part 3 (OGC 19-079r2) and CQL2 (OGC 21-065r2) only what the service's conformance names is used. A server that
//! ignores the box is found out: what lies outside of it is dropped and counted.

use super::{ACCEPT, system, walked};
use crate::features::pages::{Pages, print_of};
use crate::features::{Wanted, malformed};
use crate::geometry::swap_axes;
use crate::net::{Answer, Client, FetchError, host_of, under};
use model::{BBox, Feature, FieldType, FilterLanguage, Filtering, Timestamp, geometry_bbox};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use url::Url;

/// What a collection can be asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Abilities {
    /// How filters are taken, where they are.
    pub filtering: Option<Filtering>,
    /// The attributes that may be asked about, with their type where it is told; `None`: the service does not list them.
    pub queryables: Option<BTreeMap<String, Option<FieldType>>>,
    /// The attribute that holds the features' own ids, where it is told.
    pub id: Option<String>,
    /// An attribute's name is a parameter: equal to its value.
    pub by_parameter: bool,
    /// Around the collection, degrees.
    pub extent: Option<BBox>,
    /// The date that the data describes, by the service's word.
    pub as_of: Option<Timestamp>,
    /// The service says of itself that its data is practice data.
    pub practice: bool,
}

impl Abilities {
    /// Whether an attribute may be asked about at all.
    pub fn knows(&self, attribute: &str) -> bool {
        self.queryables.as_ref().is_none_or(|known| known.contains_key(attribute))
    }
}

/// Which features are asked for. What is given must all hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Question {
    /// Degrees, longitude first.
    pub bbox: Option<BBox>,
    pub filter: Option<(FilterLanguage, String)>,
    /// Attributes and the values that they must equal, as parameters.
    pub equal: Vec<(String, String)>,
    /// No more than about so many features are asked for.
    pub at_most: u64,
}

/// What came as an answer.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub features: Vec<Feature>,
    /// How many features answer the question, by the service's word.
    pub matched: Option<u64>,
    /// Nothing was left behind by [`Question::at_most`].
    pub whole: bool,
    /// Features that were dropped since they lie outside the box that was asked for.
    pub outside: u64,
    /// Features that could not be read.
    pub rejected: u64,
    pub warnings: Vec<String>,
}

impl Part {
    /// The answer as text that [`Part::from_text`] reads.
    pub fn to_text(&self) -> String {
        let features: Vec<String> = self.features.iter().map(crate::geojson::feature_text).collect();
        let Self { matched, whole, outside, .. } = self;
        let about = serde_json::json!({ "matched": matched, "whole": whole, "outside": outside });
        format!("{{\"about\":{about},\"features\":[{}]}}", features.join(","))
    }

    /// `None` for a text that is none of these.
    pub fn from_text(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct About {
            matched: Option<u64>,
            whole: bool,
            outside: u64,
        }
        #[derive(Deserialize)]
        struct Kept<'a> {
            about: About,
            #[serde(borrow)]
            features: Vec<&'a RawValue>,
        }
        let Kept { about: About { matched, whole, outside }, features } = serde_json::from_str(text).ok()?;
        let feature = |(row, raw): (u64, &RawValue)| {
            let parsed = crate::geojson::parse(raw.get().as_bytes(), row).ok()?;
            Some(Feature { id: parsed.id?, geometry: parsed.geometry, properties: parsed.properties })
        };
        let features: Option<Vec<Feature>> = (1..).zip(features).map(feature).collect();
        Some(Self { features: features?, matched, whole, outside, ..Self::default() })
    }
}

const JSON: &str = "application/json";
const JSON_SCHEMA: &str = "application/schema+json, application/json";
/// Rounded coordinates must not drop a feature: a centimetre.
const SLACK_DEG: f64 = 1e-7;

/// Asks a service what the wanted collection can be asked: its conformance, its attributes, its extent.
///
/// # Errors
/// [`FetchError::NoCollection`] where the collection is missing; else as a fetch. A service that says nothing of its
/// attributes is no error.
pub async fn abilities(client: &Client, wanted: &Wanted<'_>) -> Result<Abilities, FetchError> {
    let client = &wanted.client(client)?;
    let conformance = document(client, &under(wanted.root, &["conformance"])?, JSON).await?;
    let classes: Vec<&str> =
        conformance["conformsTo"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let about = match document(client, &under(wanted.root, &["collections", wanted.name()])?, JSON).await {
        Err(FetchError::Status { status: 404, host, .. }) => {
            let offers = super::offers(client, wanted.root).await.map(|(_, offers)| offers).unwrap_or_default();
            let offers = offers.into_iter().filter_map(|offer| offer.collection).collect();
            return Err(FetchError::NoCollection { host, collection: wanted.name().to_owned(), offers });
        }
        other => other?,
    };
    let schema = match document(client, &queryables_of(wanted, &about)?, JSON_SCHEMA).await {
        Ok(schema) => schema,
        // What is not there, or is no JSON, says nothing; what fails otherwise may say something later.
        Err(FetchError::Status { status: 400..=499, .. } | FetchError::Malformed { .. }) => Json::Null,
        Err(error) => return Err(error),
    };
    let id = schema["properties"].as_object().into_iter().flatten().find(|(_, one)| one["x-ogc-role"] == "id");
    let id = id.map(|(name, _)| name.clone());
    let queryables = schema["properties"].as_object().map(|all| {
        let shape = |one: &Json| one["format"].as_str().is_some_and(|format| format.starts_with("geometry-"));
        let refers = |one: &Json| one.get("$ref").is_some();
        let plain = all.iter().filter(|(_, one)| !shape(one) && !refers(one));
        plain.map(|(name, one)| (name.clone(), type_of(one))).collect()
    });
    let practice = about["practice"].as_bool().unwrap_or_default();
    Ok(Abilities {
        filtering: filtering(&classes),
        by_parameter: has(&classes, "/conf/queryables-query-parameters") && queryables.is_some(),
        queryables,
        id,
        extent: extent(&about),
        as_of: about["asOf"].as_str().and_then(super::moment),
        practice,
    })
}

/// The features that answer a question.
///
/// # Errors
/// As a fetch. [`FetchError::Service`] for a service that refuses a filter.
pub async fn ask(client: &Client, wanted: &Wanted<'_>, question: &Question) -> Result<Part, FetchError> {
    let client = &wanted.client(client)?;
    let mut url = under(wanted.root, &["collections", wanted.name(), "items"])?;
    {
        let mut query = url.query_pairs_mut();
        if let Some(BBox { west, south, east, north }) = question.bbox {
            query.append_pair("bbox", &format!("{west},{south},{east},{north}"));
        }
        if let Some((language, filter)) = &question.filter {
            query.append_pair("filter-lang", language.as_str()).append_pair("filter", filter);
        }
        for (name, value) in &question.equal {
            query.append_pair(name, value);
        }
    }
    // Without any pair the address would end in a question mark.
    if url.query() == Some("") {
        url.set_query(None);
    }
    let wanted = Wanted { at_most: Some(question.at_most.max(1)), validator: None, ..*wanted };
    let asked_more = question.filter.is_some() || !question.equal.is_empty();
    let walked = match walked(client, url.clone(), &wanted, &mut |_, _| {}).await {
        Err(FetchError::Status { host, status: status @ (400 | 422), .. }) if asked_more => {
            let said = question.filter.as_ref().map_or("the parameters", |(_, filter)| filter);
            let reason = format!("it does not take {said}");
            return Err(FetchError::Service { host, code: status.to_string(), reason });
        }
        other => other?,
    };
    let Some((walk, first)) = walked else { return Err(malformed(&url, "304 was answered without being asked for")) };
    let (more, matched) = (walk.more, walk.pages.announced);
    let received = walk.pages.received;
    let collection = walk.pages.finish(&first, &wanted)?;
    let mut features = collection.features;
    let came = features.len();
    if let Some(bbox) = question.bbox {
        let around = BBox {
            west: bbox.west - SLACK_DEG,
            south: bbox.south - SLACK_DEG,
            east: bbox.east + SLACK_DEG,
            north: bbox.north + SLACK_DEG,
        };
        features.retain(|feature| geometry_bbox(&feature.geometry).intersects(&around));
    }
    Ok(Part {
        outside: (came - features.len()) as u64,
        features,
        matched,
        whole: !more && matched.is_none_or(|matched| matched <= received),
        rejected: collection.report.rejected.len() as u64,
        warnings: collection.report.warnings,
    })
}

/// One feature by its id; `None` where there is none. `abilities` say how it is found where its key is an attribute.
///
/// # Errors
/// As a fetch.
pub async fn item(
    client: &Client,
    wanted: &Wanted<'_>,
    abilities: &Abilities,
    id: &str,
) -> Result<Option<Feature>, FetchError> {
    let is_it = |feature: &Feature| feature.id == id;
    if let Some(question) = wanted.id_field.and_then(|field| by_key(abilities, field, id)) {
        return Ok(ask(client, wanted, &question).await?.features.into_iter().find(is_it));
    }
    // An address resolves dots, however they are written.
    if matches!(id, "" | "." | "..") {
        return Ok(None);
    }
    let client = &wanted.client(client)?;
    let url = under(wanted.root, &["collections", wanted.name(), "items", id])?;
    let body = match client.get(&url, ACCEPT, None).await {
        Ok(Answer::Body(body)) => body,
        Ok(Answer::NotModified) => return Err(malformed(&url, "304 was answered without being asked for")),
        Err(FetchError::Status { status: 404 | 410, .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = std::str::from_utf8(&body.bytes).map_err(|_| malformed(&url, "it is no UTF-8"))?;
    let mut pages = Pages::new(client, wanted);
    let north_first = system(&mut pages, &url, body.content_crs.as_deref())?;
    pages.begin(&url, body.bytes.len(), 1, print_of([text]))?;
    let mut parsed = crate::geojson::parse(text.as_bytes(), 1)
        .map_err(|rejection| malformed(&url, format!("no feature came: {}", rejection.reason)))?;
    if north_first {
        swap_axes(&mut parsed.geometry);
    }
    pages.add(&url, Ok(parsed))?;
    let collection = pages.finish(&url, wanted)?;
    if let Some(rejection) = collection.report.rejected.first() {
        return Err(malformed(&url, format!("{}: {}", rejection.field, rejection.reason)));
    }
    Ok(collection.features.into_iter().find(is_it))
}

/// How many features the collection has; `None` where the service does not count.
///
/// # Errors
/// As a fetch.
pub async fn count(client: &Client, wanted: &Wanted<'_>) -> Result<Option<u64>, FetchError> {
    let part = ask(client, wanted, &Question { at_most: 1, ..Question::default() }).await?;
    Ok(part.matched.or_else(|| part.whole.then_some(part.features.len() as u64)))
}

fn by_key(abilities: &Abilities, field: &str, id: &str) -> Option<Question> {
    if !abilities.knows(field) {
        return None;
    }
    let typed = abilities.queryables.as_ref().and_then(|known| known.get(field).copied().flatten());
    let at_most = 2;
    if abilities.by_parameter {
        return Some(Question { equal: vec![(field.to_owned(), id.to_owned())], at_most, ..Question::default() });
    }
    let language = abilities.filtering?.language;
    let number = matches!(typed, Some(FieldType::Integer | FieldType::Real)) && id.parse::<f64>().is_ok();
    let unsaid = field.contains('"') || (language == FilterLanguage::CqlText && id.contains('\''));
    let value = if number { id.to_owned() } else { format!("'{}'", id.replace('\'', "''")) };
    let filter = Some((language, format!("\"{field}\" = {value}")));
    (!unsaid).then_some(Question { filter, at_most, ..Question::default() })
}

/// A JSON document.
async fn document(client: &Client, url: &Url, accept: &str) -> Result<Json, FetchError> {
    let Answer::Body(body) = client.get(url, accept, None).await? else {
        return Err(malformed(url, "304 was answered without being asked for"));
    };
    serde_json::from_slice(&body.bytes).map_err(|error| {
        if error.is_eof() {
            FetchError::Truncated { host: host_of(url) }
        } else {
            malformed(url, format!("no JSON came but {:?}: {error}", body.content_type))
        }
    })
}

/// Where the attributes are listed: a link of the collection on the same server, else the usual place.
fn queryables_of(wanted: &Wanted<'_>, about: &Json) -> Result<Url, FetchError> {
    let usual = under(wanted.root, &["collections", wanted.name(), "queryables"])?;
    let is_json = |link: &&Json| link["type"].as_str().is_none_or(|kind| kind.contains("json"));
    let named = |link: &&Json| {
        link["rel"].as_str().is_some_and(|rel| {
            rel == "queryables" || rel.ends_with("/ogc/rel/queryables") || rel.ends_with("/rel/ogc/1.0/queryables")
        })
    };
    let mut links = about["links"].as_array().into_iter().flatten().filter(named).filter(is_json);
    let link = links.find_map(|link| crate::net::follow(&usual, link["href"].as_str()?).ok());
    Ok(link.unwrap_or(usual))
}

fn has(classes: &[&str], ending: &str) -> bool {
    classes.iter().any(|class| class.trim_end_matches('/').ends_with(ending))
}

/// Filters are taken where the service says that it filters features, and in which language.
fn filtering(classes: &[&str]) -> Option<Filtering> {
    let features = has(classes, "/conf/features-filter") && has(classes, "/conf/filter");
    let language = has(classes, "/conf/cql2-text");
    (features && language).then(|| Filtering {
        language: FilterLanguage::Cql2Text,
        like: has(classes, "/conf/advanced-comparison-operators"),
        case_insensitive: has(classes, "/conf/case-insensitive-comparison"),
        accent_insensitive: has(classes, "/conf/accent-insensitive-comparison"),
    })
}

fn type_of(schema: &Json) -> Option<FieldType> {
    match (schema["type"].as_str()?, schema["format"].as_str()) {
        ("string", Some("date")) => Some(FieldType::Date),
        ("string", _) => Some(FieldType::Text),
        ("integer", _) => Some(FieldType::Integer),
        ("number", _) => Some(FieldType::Real),
        ("boolean", _) => Some(FieldType::Boolean),
        _ => None,
    }
}

/// The first box of the spatial extent, which is around all of it; with heights it has six numbers.
fn extent(about: &Json) -> Option<BBox> {
    let numbers: Option<Vec<f64>> =
        about["extent"]["spatial"]["bbox"].get(0)?.as_array()?.iter().map(Json::as_f64).collect();
    let bbox = match numbers?.as_slice() {
        &[west, south, east, north] | &[west, south, _, east, north, _] => BBox { west, south, east, north },
        _ => return None,
    };
    let on_earth =
        bbox.west.abs() <= 180.0 && bbox.east.abs() <= 180.0 && bbox.south.abs().max(bbox.north.abs()) <= 90.0;
    (on_earth && !bbox.is_empty()).then_some(bbox)
}
