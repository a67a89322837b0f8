//! Stations of services that name neither layers nor parameters: a Thing is a station by its own id, and an observed
//! property is a parameter by a mapping or by its name. And a look at all that a service has.

use super::{Datastream, Gathered, Labels, Pages, Readings, Streams, TOP, Thing, get, literal, walk, with_query};
use crate::net::{Client, FetchError, under};
use crate::station_file::{symbols, units};
use model::{LayerId, Parameter, Rejection, StationMapping, Timestamp};
use std::ops::ControlFlow;
use url::Url;

/// More Things than this are not looked at.
const LOOK: usize = 2_000;
/// The newest observation of every datastream, with what it observes.
const EXPAND: &str = "Datastreams($expand=ObservedProperty,Observations($top=1;$orderby=phenomenonTime desc))";

/// A layer that takes its stations by a mapping.
#[derive(Clone, Copy, Debug)]
pub struct Mapped<'a> {
    pub layer: &'a LayerId,
    pub mapping: &'a StationMapping,
    /// Those of the layer: values come in their units.
    pub parameters: &'a [Parameter],
}

impl Mapped<'_> {
    /// What an observed property is in the layer; `None` for one that is left out.
    pub fn parameter(&self, property: &str, definition: Option<&str>) -> Option<&Parameter> {
        let asked = self.mapping.parameters.iter().find(|(_, from)| from.as_str() == property);
        let code = match asked {
            Some((code, _)) => code.clone(),
            // One that was given to another property, or to none, is not taken by its name.
            None => suggested(property, definition, self.parameters)
                .filter(|code| !self.mapping.parameters.contains_key(code))?,
        };
        self.parameters.iter().find(|parameter| parameter.code == code)
    }

    fn labels(&self, thing: &Thing, stream: &Datastream) -> Option<Labels> {
        let (property, definition) = stream.observes();
        let parameter = self.parameter(&property, definition.as_deref())?;
        Some(Labels {
            layer: Some(self.layer.to_string()),
            feature: Some(thing.id()),
            parameter: Some(parameter.code.clone()),
            units: stream.unit().map(|unit| (unit, parameter.unit.clone())),
        })
    }

    fn options(&self, expand: &str) -> Vec<(&'static str, String)> {
        let mut options = vec![("$top", TOP.to_owned()), ("$expand", expand.to_owned())];
        options.extend(self.mapping.things.clone().map(|filter| ("$filter", filter)));
        options
    }
}

/// The parameter that an observed property most likely is: by the symbols of Circular 10/2021 and the names in use beside
/// them, by the parameter's own code and titles, then by the last word of the property's definition.
pub fn suggested(property: &str, definition: Option<&str>, parameters: &[Parameter]) -> Option<String> {
    let known = |name: &str| {
        let key = symbols::key(name);
        let symbol = symbols::find(&key).map(|symbol| symbol.code);
        let is = |parameter: &&Parameter| {
            symbol == Some(parameter.code.as_str())
                || [&parameter.code, &parameter.title.vi, &parameter.title.en]
                    .iter()
                    .any(|own| symbols::key(own) == key)
        };
        (!key.is_empty()).then(|| parameters.iter().find(is)).flatten().map(|parameter| parameter.code.clone())
    };
    let last = definition.and_then(|definition| definition.rsplit(['/', ':', '#', '=']).find(|part| !part.is_empty()));
    known(property).or_else(|| known(last?))
}

/// True when values in one unit can be given in another.
pub fn unit_fits(from: &str, to: &str) -> bool {
    units::convert(1.0, from, to).is_ok()
}

/// The latest observation of every datastream that the mapping takes, with the Thing's id as the feature's.
///
/// # Errors
/// As [`super::latest`]. A value in a unit that the parameter's cannot be made of is rejected as `unit_mismatch`.
pub async fn latest_of(client: &Client, root: &Url, mapped: Mapped<'_>) -> Result<Readings, FetchError> {
    let mut gathered = Gathered::default();
    let first = with_query(under(root, &["Things"])?, &mapped.options(EXPAND));
    walk(client, first, |thing, stream| {
        if let Some(labels) = mapped.labels(thing, &stream) {
            gathered.observed(&labels, stream.observations);
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(gathered.finish())
}

/// As [`super::streams`], by a mapping.
///
/// # Errors
/// [`FetchError`].
pub async fn streams_of(client: &Client, root: &Url, mapped: Mapped<'_>) -> Result<Streams, FetchError> {
    let mut streams = Streams::default();
    let first = with_query(under(root, &["Things"])?, &mapped.options("Datastreams($expand=ObservedProperty)"));
    walk(client, first, |thing, stream| {
        if let Some(labels) = mapped.labels(thing, &stream) {
            streams.0.insert(stream.id_literal(), labels);
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(streams)
}

/// The datastreams of one Thing that the mapping takes.
pub(super) async fn streams_of_thing(
    client: &Client,
    root: &Url,
    thing: &str,
    mapped: Mapped<'_>,
) -> Result<Vec<(Labels, Datastream)>, FetchError> {
    // A number stands bare in an address, a text in quotation marks.
    let id = if thing.bytes().all(|byte| byte.is_ascii_digit()) { thing.to_owned() } else { literal(thing) };
    let options = [("$expand", "Datastreams($expand=ObservedProperty)".to_owned())];
    let url = with_query(under(root, &[&format!("Things({id})")])?, &options);
    let mut found: Thing = get(client, &url).await?;
    let mut streams = std::mem::take(&mut found.datastreams);
    if let Some(link) = found.more.take() {
        streams.extend(Pages::<Datastream>::new(crate::net::follow(&url, &link)?).all(client).await?);
    }
    Ok(streams.into_iter().filter_map(|stream| Some((mapped.labels(&found, &stream)?, stream))).collect())
}

/// What a service has, whatever it says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    pub things: u64,
    /// Things of whose datastreams some name no layer, and those that have none.
    pub unlabelled: u64,
    /// There are more Things; only the first were looked at.
    pub partial: bool,
    pub streams: Vec<Surveyed>,
}

/// One datastream.
#[derive(Clone, Debug, PartialEq)]
pub struct Surveyed {
    /// The Thing's id.
    pub thing: String,
    /// What is observed, by the service's name for it.
    pub property: String,
    pub definition: Option<String>,
    pub unit: Option<String>,
    /// What it says of itself by the conventions.
    pub layer: Option<String>,
    pub feature: Option<String>,
    pub parameter: Option<String>,
    /// The newest value, or why it cannot be used; `None` where nothing was measured yet.
    pub newest: Option<Result<(f64, Timestamp), Rejection>>,
}

/// Looks at the Things of a service, at most 2,000, with all their datastreams.
///
/// # Errors
/// [`FetchError`].
pub async fn survey(client: &Client, root: &Url, things: Option<&str>) -> Result<Survey, FetchError> {
    let mut survey = Survey::default();
    let mut ids: Vec<String> = Vec::new();
    let mut options = vec![("$top", TOP.to_owned()), ("$expand", EXPAND.to_owned())];
    options.extend(things.map(|filter| ("$filter", filter.to_owned())));
    let first = with_query(under(root, &["Things"])?, &options);
    let anything =
        Labels { layer: Some("any".into()), feature: Some("any".into()), parameter: Some("any".into()), units: None };
    walk(client, first, |thing, mut stream| {
        let id = thing.id();
        if ids.last() != Some(&id) {
            if ids.len() >= LOOK {
                survey.partial = true;
                return ControlFlow::Break(());
            }
            ids.push(id.clone());
        }
        let labels = stream.labels(&thing.labels());
        let (property, definition) = stream.observes();
        let newest = stream.observations.first().map(|observed| {
            let read = observed.read(&anything, survey.streams.len() as u64 + 1);
            read.map(|observation| (observation.value, observation.measured_at))
        });
        survey.unlabelled +=
            u64::from(labels.layer.is_none() && survey.streams.last().is_none_or(|last| last.thing != id));
        survey.streams.push(Surveyed {
            thing: id,
            property,
            definition,
            unit: stream.unit(),
            layer: labels.layer,
            feature: labels.feature,
            parameter: labels.parameter,
            newest,
        });
        ControlFlow::Continue(())
    })
    .await?;
    survey.things = ids.len() as u64;
    Ok(survey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Title;

    fn parameter(code: &str, vi: &str, en: &str) -> Parameter {
        let title = Title { vi: vi.into(), en: en.into() };
        let unit = "µg/m³".into();
        Parameter {
            code: code.into(),
            title,
            unit,
            decimals: 0,
            limit_max: None,
            limit_min: None,
            limit_source: None,
            chart: false,
        }
    }

    #[test]
    fn properties_are_known_by_symbol_title_and_definition() {
        let parameters =
            [parameter("pm25", "Bụi PM2,5", "Fine dust PM2.5"), parameter("no2", "NO₂", "Nitrogen dioxide")];
        let of = |property: &str, definition: Option<&str>| suggested(property, definition, &parameters);
        assert_eq!(of("PM2.5", None).as_deref(), Some("pm25"));
        assert_eq!(of("nitrogen dioxide", None).as_deref(), Some("no2"));
        assert_eq!(of("Khí", Some("http://dd.eionet.europa.eu/vocabulary/aq/pollutant/NO2")).as_deref(), Some("no2"));
        assert_eq!(of("Khí", Some("urn:x:pm25/")).as_deref(), Some("pm25"));
        assert_eq!(of("SO2", None), None, "the layer has no such parameter");
        assert_eq!(of("", Some("")), None);
    }

    #[test]
    fn a_mapping_goes_before_names() {
        let parameters = [parameter("pm25", "PM2,5", "PM2.5"), parameter("no2", "NO₂", "NO2")];
        let layer = LayerId::new("air").unwrap();
        let mapping = StationMapping {
            things: None,
            parameters: [("pm25".to_owned(), "Bụi mịn".to_owned()), ("no2".to_owned(), String::new())].into(),
        };
        let mapped = Mapped { layer: &layer, mapping: &mapping, parameters: &parameters };
        let code = |property: &str| mapped.parameter(property, None).map(|parameter| parameter.code.clone());
        assert_eq!(code("Bụi mịn").as_deref(), Some("pm25"));
        assert_eq!(code("PM2.5"), None, "its parameter was given to another");
        assert_eq!(code("NO2"), None, "it was left empty");
    }
}
