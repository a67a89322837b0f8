//! OGC SensorThings API 1.1 (OGC 18-088): what the stations say now, and what they said.

use crate::file::rejection;
use crate::net::{Answer, Client, FetchError, follow, host_of, under};
use model::{LayerId, Observation, ReadReport, Rejection, SensorStatus, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use url::Url;

/// Observations, and what was not usable among them: rejections count observations in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    pub observations: Vec<Observation>,
    pub report: ReadReport,
}

/// Whose past is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Series {
    /// One datastream by the server's id.
    Datastream(u64),
    /// All datastreams of a feature.
    Feature { layer: LayerId, feature: String },
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
    let mut things = Pages::<Thing>::new(with_query(under(root, &["Things"])?, &options));
    while let Some(page) = things.next(client).await? {
        let base = things.url.clone();
        for thing in page {
            let about = thing.properties.unwrap_or_default();
            for stream in thing.datastreams {
                gathered.stream(&about, stream);
            }
            if let Some(link) = thing.more {
                let mut more = Pages::<Datastream>::new(follow(&base, &link)?);
                while let Some(page) = more.next(client).await? {
                    page.into_iter().for_each(|stream| gathered.stream(&about, stream));
                }
            }
        }
    }
    Ok(gathered.finish())
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
            vec![get::<Datastream>(client, &url).await?]
        }
        Series::Feature { layer, feature } => {
            let filter = format!(
                "properties/layer eq {} and properties/feature eq {}",
                literal(layer.as_str()),
                literal(feature)
            );
            let options = [("$top", TOP.to_owned()), ("$filter", filter)];
            Pages::<Datastream>::new(with_query(under(root, &["Datastreams"])?, &options)).all(client).await?
        }
    };
    let mut gathered = Gathered::default();
    for mut stream in streams {
        let about = stream.thing.take().and_then(|thing| thing.properties).unwrap_or_default();
        let options = [
            ("$top", TOP.to_owned()),
            ("$filter", format!("phenomenonTime ge {from} and phenomenonTime le {to}")),
            ("$orderby", "phenomenonTime asc".to_owned()),
        ];
        let segments = [&*format!("Datastreams({})", stream.id_literal()), "Observations"];
        let mut pages = Pages::<Observed>::new(with_query(under(root, &segments)?, &options));
        while let Some(page) = pages.next(client).await? {
            stream.observations = page;
            gathered.stream(&about, stream.clone());
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
    let mut take = |about: &Labels, mut stream: Datastream| {
        let labels = stream.labels(about);
        streams.0.insert(stream.id_literal(), labels);
    };
    let mut things = Pages::<Thing>::new(with_query(under(root, &["Things"])?, &options));
    while let Some(page) = things.next(client).await? {
        let base = things.url.clone();
        for thing in page {
            let about = thing.properties.unwrap_or_default();
            thing.datastreams.into_iter().for_each(|stream| take(&about, stream));
            if let Some(link) = thing.more {
                let mut more = Pages::<Datastream>::new(follow(&base, &link)?);
                while let Some(page) = more.next(client).await? {
                    page.into_iter().for_each(|stream| take(&about, stream));
                }
            }
        }
    }
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
        for observed in stream.observations {
            self.count += 1;
            match observed.read(&labels, self.count) {
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

#[derive(Clone, Debug, Deserialize)]
struct Thing {
    #[serde(default)]
    properties: Option<Labels>,
    #[serde(default, rename = "Datastreams")]
    datastreams: Vec<Datastream>,
    #[serde(default, rename = "Datastreams@iot.nextLink")]
    more: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Datastream {
    #[serde(default, rename = "@iot.id")]
    id: Value,
    #[serde(default)]
    properties: Option<Labels>,
    #[serde(default, rename = "Observations")]
    observations: Vec<Observed>,
    #[serde(default, rename = "Thing")]
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
        }
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
struct Pages<T> {
    /// The page that was read last, or is to be read first.
    url: Url,
    next: Option<Url>,
    seen: HashSet<Url>,
    entity: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pages<T> {
    fn new(first: Url) -> Self {
        Self { url: first.clone(), next: Some(first), seen: HashSet::new(), entity: std::marker::PhantomData }
    }

    async fn next(&mut self, client: &Client) -> Result<Option<Vec<T>>, FetchError> {
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
        let labels =
            Labels { layer: Some("air_stations".into()), feature: Some("a1".into()), parameter: Some("pm25".into()) };
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
