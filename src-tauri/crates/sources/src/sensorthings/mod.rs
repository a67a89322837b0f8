//! OGC SensorThings API 1.1 (OGC 18-088): what the stations say now, and what they said.

mod mapped;

pub use mapped::{Mapped, Survey, Surveyed, latest_of, streams_of, suggested, survey, unit_fits};

use crate::file::rejection;
use crate::net::{Answer, Client, FetchError, follow, host_of, under};
use crate::station_file::units;
use model::{LayerId, Observation, Parameter, ReadReport, Rejection, SensorStatus, StationMapping, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use url::Url;

/// Observations, and what was not usable among them: rejections count observations in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    pub observations: Vec<Observation>,
    pub report: ReadReport,
}

/// Whose past is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Series {
    /// One datastream by the server's id.
    Datastream(u64),
    /// All datastreams of a feature.
    Feature { layer: LayerId, feature: String },
    /// All datastreams of a Thing, by its id, that a layer takes by a mapping.
    Thing { layer: LayerId, thing: String, mapping: StationMapping, parameters: Vec<Parameter> },
}

const ACCEPT: &str = "application/json";
const TOP: &str = "1000";
/// More pages than this are a loop that looks different each time.
const MAX_PAGES: usize = 10_000;

/// The latest observation of every datastream, of one layer or of all.
///
/// Layer, feature and parameter are read from the `properties` of Thing and Datastream, the status (00, 01, 02) from
/// the observation's `parameters`. A result written as text counts when it is a number.
///
/// # Errors
/// [`FetchError`]; a single unusable observation is none, it is in the report.
pub async fn latest(client: &Client, root: &Url, layer: Option<&LayerId>) -> Result<Readings, FetchError> {
    let expand = "Datastreams($expand=Observations($top=1;$orderby=phenomenonTime desc))";
    let mut options = vec![("$top", TOP.to_owned()), ("$expand", expand.to_owned())];
    if let Some(layer) = layer {
        options.push(("$filter", format!("properties/layer eq {}", literal(layer.as_str()))));
    }
    let mut gathered = Gathered::default();
    walk(client, with_query(under(root, &["Things"])?, &options), |thing, stream| {
        gathered.stream(&thing.labels(), stream);
        ControlFlow::Continue(())
    })
    .await?;
    Ok(gathered.finish())
}

/// Hands over every datastream of the Things that an address lists, also those on pages of their own, until it is enough.
async fn walk(
    client: &Client,
    first: Url,
    mut take: impl FnMut(&Thing, Datastream) -> ControlFlow<()>,
) -> Result<(), FetchError> {
    let mut things = Pages::<Thing>::new(first);
    while let Some(page) = things.next(client).await? {
        let base = things.url.clone();
        for mut thing in page {
            for stream in std::mem::take(&mut thing.datastreams) {
                if take(&thing, stream).is_break() {
                    return Ok(());
                }
            }
            let Some(link) = thing.more.take() else { continue };
            let mut more = Pages::<Datastream>::new(follow(&base, &link)?);
            while let Some(page) = more.next(client).await? {
                for stream in page {
                    if take(&thing, stream).is_break() {
                        return Ok(());
                    }
                }
            }
        }
    }
    Ok(())
}

/// The Things with their places, all or those that a `$filter` leaves.
pub(crate) fn things(root: &Url, filter: Option<&str>) -> Result<Pages<Thing>, FetchError> {
    let mut options = vec![("$top", TOP.to_owned()), ("$expand", "Locations".to_owned())];
    options.extend(filter.map(|filter| ("$filter", filter.to_owned())));
    Ok(Pages::new(with_query(under(root, &["Things"])?, &options)))
}

/// What was observed from `from` to `to`, both included, oldest first per datastream. Repeats are dropped.
///
/// # Errors
/// [`FetchError`]; `status` 404 for a datastream that the server does not know.
pub async fn history(
    client: &Client,
    root: &Url,
    series: &Series,
    from: Timestamp,
    to: Timestamp,
) -> Result<Readings, FetchError> {
    let streams = match series {
        Series::Datastream(id) => {
            let url = with_query(under(root, &[&format!("Datastreams({id})")])?, &[("$expand", "Thing".to_owned())]);
            vec![get::<Datastream>(client, &url).await?.with_labels()]
        }
        Series::Feature { layer, feature } => {
            let filter = format!(
                "properties/layer eq {} and properties/feature eq {}",
                literal(layer.as_str()),
                literal(feature)
            );
            let options = [("$top", TOP.to_owned()), ("$filter", filter)];
            let all =
                Pages::<Datastream>::new(with_query(under(root, &["Datastreams"])?, &options)).all(client).await?;
            all.into_iter().map(Datastream::with_labels).collect()
        }
        Series::Thing { layer, thing, mapping, parameters } => {
            mapped::streams_of_thing(client, root, thing, Mapped { layer, mapping, parameters }).await?
        }
    };
    let mut gathered = Gathered::default();
    for (labels, stream) in streams {
        let options = [
            ("$top", TOP.to_owned()),
            ("$filter", format!("phenomenonTime ge {from} and phenomenonTime le {to}")),
            ("$orderby", "phenomenonTime asc".to_owned()),
        ];
        let segments = [&*format!("Datastreams({})", stream.id_literal()), "Observations"];
        let mut pages = Pages::<Observed>::new(with_query(under(root, &segments)?, &options));
        while let Some(page) = pages.next(client).await? {
            gathered.observed(&labels, page);
        }
    }
    Ok(gathered.finish())
}

/// What the datastreams of a service measure, by their ids as they stand in addresses (`7`, `'a'`).
#[derive(Clone, Debug, Default)]
pub struct Streams(HashMap<String, Labels>);

impl Streams {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// An Observation of one of them, as JSON; `None` for a datastream that nobody asked for.
    pub(crate) fn observation(&self, id: &str, json: &[u8]) -> Option<Result<Observation, Rejection>> {
        let labels = self.0.get(id)?;
        let observed: Result<Observed, _> = serde_json::from_slice(json);
        Some(match observed {
            Ok(observed) => observed.read(labels, 1),
            Err(error) => Err(rejection(1, "", "", "syntax", format!("this is no Observation: {error}"))),
        })
    }
}

/// The datastreams of a layer, without their observations.
///
/// # Errors
/// [`FetchError`].
pub async fn streams(client: &Client, root: &Url, layer: &LayerId) -> Result<Streams, FetchError> {
    let options = [
        ("$top", TOP.to_owned()),
        ("$expand", "Datastreams".to_owned()),
        ("$filter", format!("properties/layer eq {}", literal(layer.as_str()))),
    ];
    let mut streams = Streams::default();
    walk(client, with_query(under(root, &["Things"])?, &options), |thing, mut stream| {
        let labels = stream.labels(&thing.labels());
        streams.0.insert(stream.id_literal(), labels);
        ControlFlow::Continue(())
    })
    .await?;
    Ok(streams)
}

/// Observations on their way in.
#[derive(Default)]
struct Gathered {
    readings: Readings,
    seen: HashSet<(LayerId, String, String, Timestamp)>,
    count: u64,
}

impl Gathered {
    fn stream(&mut self, thing: &Labels, mut stream: Datastream) {
        let labels = stream.labels(thing);
        self.observed(&labels, stream.observations);
    }

    fn observed(&mut self, labels: &Labels, observations: Vec<Observed>) {
        for observed in observations {
            self.count += 1;
            match observed.read(labels, self.count) {
                Ok(observation) => {
                    let key = (
                        observation.layer.clone(),
                        observation.feature.clone(),
                        observation.parameter.clone(),
                        observation.measured_at,
                    );
                    if self.seen.insert(key) {
                        self.readings.observations.push(observation);
                    }
                }
                Err(rejection) => self.readings.report.rejected.push(rejection),
            }
        }
    }

    fn finish(mut self) -> Readings {
        self.readings.report.accepted = self.readings.observations.len() as u64;
        self.readings
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Thing {
    #[serde(rename = "@iot.id")]
    id: Value,
    name: Value,
    description: Value,
    properties: Value,
    #[serde(rename = "Locations")]
    locations: Vec<Location>,
    #[serde(rename = "Datastreams")]
    datastreams: Vec<Datastream>,
    #[serde(rename = "Datastreams@iot.nextLink")]
    more: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Location {
    #[serde(default)]
    location: Value,
}

/// An id as text.
fn id_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text that says something.
fn said(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Thing {
    fn id(&self) -> String {
        id_of(&self.id)
    }

    /// What it says of itself by the conventions; properties of another form say nothing.
    fn labels(&self) -> Labels {
        Labels::deserialize(&self.properties).unwrap_or_default()
    }

    /// As a GeoJSON feature: where it is, what it is called, and what its properties say.
    pub(crate) fn feature_text(&self) -> String {
        let place = self.locations.first().map(|location| &location.location);
        // A place may be a geometry or a feature.
        let place = place.map(|place| place.get("geometry").unwrap_or(place));
        let mut properties = serde_json::Map::new();
        for (name, value) in self.properties.as_object().into_iter().flatten() {
            if !value.is_object() && !value.is_array() {
                properties.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in [("name", &self.name), ("description", &self.description)] {
            if let Some(text) = said(value) {
                properties.insert(name.into(), text.into());
            }
        }
        let id = if self.id.is_null() { Value::Null } else { self.id().into() };
        serde_json::json!({ "type": "Feature", "id": id, "properties": properties, "geometry": place }).to_string()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Datastream {
    #[serde(rename = "@iot.id")]
    id: Value,
    name: Value,
    #[serde(rename = "unitOfMeasurement")]
    unit_of_measurement: Value,
    properties: Option<Labels>,
    #[serde(rename = "ObservedProperty")]
    observed_property: Value,
    #[serde(rename = "Observations")]
    observations: Vec<Observed>,
    #[serde(rename = "Thing")]
    thing: Option<Box<Thing>>,
}

impl Datastream {
    /// Its own words go before its Thing's.
    fn labels(&mut self, thing: &Labels) -> Labels {
        let own = self.properties.take().unwrap_or_default();
        let pick = |a: Option<String>, b: &Option<String>| a.or_else(|| b.clone());
        Labels {
            layer: pick(own.layer, &thing.layer),
            feature: pick(own.feature, &thing.feature),
            parameter: pick(own.parameter, &thing.parameter),
            units: None,
        }
    }

    /// With what it says of itself, and its Thing of it.
    fn with_labels(mut self) -> (Labels, Self) {
        let thing = self.thing.take().map(|thing| thing.labels()).unwrap_or_default();
        (self.labels(&thing), self)
    }

    /// What is observed, by name (without one, the datastream's own) and by definition.
    fn observes(&self) -> (String, Option<String>) {
        let of = |name: &str| self.observed_property.get(name).and_then(said);
        (of("name").or_else(|| said(&self.name)).unwrap_or_else(|| id_of(&self.id)), of("definition"))
    }

    fn unit(&self) -> Option<String> {
        let of = |name: &str| self.unit_of_measurement.get(name).and_then(said);
        of("symbol").or_else(|| of("name"))
    }

    /// The id as it stands in an address: numbers bare, texts quoted.
    fn id_literal(&self) -> String {
        match &self.id {
            Value::String(text) => literal(text),
            other => other.to_string(),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Labels {
    #[serde(default, deserialize_with = "word")]
    layer: Option<String>,
    #[serde(default, deserialize_with = "word")]
    feature: Option<String>,
    #[serde(default, deserialize_with = "word")]
    parameter: Option<String>,
    /// The unit that values come in, and the one that they are wanted in.
    #[serde(skip)]
    units: Option<(String, String)>,
}

#[derive(Clone, Debug, Deserialize)]
struct Observed {
    #[serde(default, rename = "phenomenonTime")]
    phenomenon_time: Option<String>,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Clone, Debug, Deserialize)]
struct Parameters {
    #[serde(default, deserialize_with = "word")]
    status: Option<String>,
}

/// Text, or a number as text; everything else is absent.
fn word<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

impl Observed {
    fn read(&self, labels: &Labels, row: u64) -> Result<Observation, Rejection> {
        let shown = self.result.to_string();
        let missing =
            |field: &str| rejection(row, field, "", "label_missing", format!("the datastream names no {field}"));
        let layer = labels.layer.as_deref().ok_or_else(|| missing("layer"))?;
        let layer = LayerId::new(layer).map_err(|reason| rejection(row, "layer", layer, "label_invalid", reason))?;
        let feature = labels.feature.clone().ok_or_else(|| missing("feature"))?;
        let parameter = labels.parameter.clone().ok_or_else(|| missing("parameter"))?;
        let time = self.phenomenon_time.as_deref().unwrap_or_default();
        // An interval is known at its end.
        let instant = time.rsplit('/').next().unwrap_or_default();
        let measured_at = instant.parse().map_err(|_| {
            rejection(row, "phenomenonTime", time, "time_invalid", "this is no instant with its offset")
        })?;
        let value = match &self.result {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let value = value
            .ok_or_else(|| rejection(row, "result", &shown, "field_type", "the result is no number"))
            .and_then(|value: f64| match value.is_finite() {
                true => Ok(value),
                false => Err(rejection(row, "result", &shown, "not_finite", "the result is not a finite number")),
            })?;
        let value = match &labels.units {
            None => value,
            Some((from, to)) => units::convert(value, from, to).map_err(|_| {
                rejection(
                    row,
                    "unit",
                    from,
                    "unit_mismatch",
                    format!("{parameter} is kept in {to}, and {from} is no measure of it"),
                )
            })?,
        };
        let code = self.parameters.as_ref().and_then(|parameters| parameters.status.as_deref()).unwrap_or("00");
        let status = SensorStatus::from_code(code)
            .ok_or_else(|| rejection(row, "status", code, "status_unknown", "the status is none of 00, 01, 02"))?;
        Ok(Observation { layer, feature, parameter, measured_at, value, status })
    }
}

#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
    #[serde(default, rename = "@iot.nextLink")]
    next: Option<String>,
}

/// A collection, page by page.
pub(crate) struct Pages<T> {
    /// The page that was read last, or is to be read first.
    pub(crate) url: Url,
    next: Option<Url>,
    seen: HashSet<Url>,
    entity: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pages<T> {
    fn new(first: Url) -> Self {
        Self { url: first.clone(), next: Some(first), seen: HashSet::new(), entity: std::marker::PhantomData }
    }

    pub(crate) async fn next(&mut self, client: &Client) -> Result<Option<Vec<T>>, FetchError> {
        let Some(url) = self.next.take() else { return Ok(None) };
        let circle = |what: String| FetchError::Malformed { url: url.to_string(), what };
        if !self.seen.insert(url.clone()) || self.seen.len() > MAX_PAGES {
            return Err(circle("the pages run in a circle".into()));
        }
        let page: Page<T> = get(client, &url).await?;
        if let Some(link) = page.next {
            if page.value.is_empty() {
                return Err(circle("an empty page names a next one".into()));
            }
            self.next = Some(follow(&url, &link)?);
        }
        self.url = url;
        Ok(Some(page.value))
    }

    async fn all(mut self, client: &Client) -> Result<Vec<T>, FetchError> {
        let mut all = Vec::new();
        while let Some(page) = self.next(client).await? {
            all.extend(page);
        }
        Ok(all)
    }
}

async fn get<T: DeserializeOwned>(client: &Client, url: &Url) -> Result<T, FetchError> {
    let Answer::Body(body) = client.get(url, ACCEPT, None).await? else {
        let what = "304 was answered without being asked for".to_owned();
        return Err(FetchError::Malformed { url: url.to_string(), what });
    };
    serde_json::from_slice(&body.bytes).map_err(|error| match error.is_eof() {
        true => FetchError::Truncated { host: host_of(url) },
        false => FetchError::Malformed { url: url.to_string(), what: format!("not SensorThings: {error}") },
    })
}

/// A text in a filter or an address; a quotation mark is doubled.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// OData options in readable form: blanks as %20, because not every server takes + for one.
fn with_query(mut url: Url, options: &[(&str, String)]) -> Url {
    let pairs: Vec<String> = options.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    url.set_query(Some(&pairs.join("&")));
    url
}

fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b'$' | b'(' | b')' | b',' | b';' | b'=' | b'/' | b':' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(observed: Value) -> Result<Observation, String> {
        let labels = Labels {
            layer: Some("air_stations".into()),
            feature: Some("a1".into()),
            parameter: Some("pm25".into()),
            units: None,
        };
        let observed: Observed = serde_json::from_value(observed).unwrap();
        observed.read(&labels, 1).map_err(|rejection| rejection.code)
    }

    #[test]
    #[allow(clippy::float_cmp)]
    fn results_may_be_text_and_times_intervals() {
        let o =
            read(json!({"phenomenonTime": "2026-11-23T13:00:00Z/2026-11-23T14:00:00Z", "result": " 41.5 "})).unwrap();
        assert_eq!((o.value, o.measured_at.to_string().as_str()), (41.5, "2026-11-23T14:00:00Z"));
        let o =
            read(json!({"phenomenonTime": "2026-11-23T21:00:00+07:00", "result": 1, "parameters": {"status": "02"}}))
                .unwrap();
        assert_eq!((o.status, o.measured_at.to_string().as_str()), (SensorStatus::Faulty, "2026-11-23T14:00:00Z"));
    }

    #[test]
    fn unusable_observations_say_why() {
        let time = "2026-11-23T14:00:00Z";
        for (observed, code) in [
            (json!({"phenomenonTime": time, "result": "NaN"}), "not_finite"),
            (json!({"phenomenonTime": time, "result": "n/a"}), "field_type"),
            (json!({"phenomenonTime": time, "result": null}), "field_type"),
            (json!({"phenomenonTime": "2026-11-23 14:00", "result": 1}), "time_invalid"),
            (json!({"result": 1}), "time_invalid"),
            (json!({"phenomenonTime": time, "result": 1, "parameters": {"status": "99"}}), "status_unknown"),
        ] {
            assert_eq!(read(observed.clone()), Err(code.to_owned()), "{observed}");
        }
    }

    #[test]
    fn queries_carry_what_odata_wants() {
        let options = [("$filter", "properties/feature eq 'Trạm +1'".to_owned())];
        let url = with_query("http://h/v1.1/Things".parse().unwrap(), &options);
        assert_eq!(url.query(), Some("$filter=properties/feature%20eq%20%27Tr%E1%BA%A1m%20%2B1%27"));
        assert_eq!(literal("o'clock"), "'o''clock'");
    }
}
