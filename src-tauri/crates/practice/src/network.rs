//! All stations and datastreams of the profile, and any observation of any of them at any time.

use crate::content::Content;
use crate::noise::{join, key_of, mix};
use crate::options::Scenario;
use crate::signals::{Place, Signal};
use crate::stations::{Condition, Station, settle};
use jiff::tz::TimeZone;
use model::{LayerKind, Parameter, Profile, SensorStatus, Span, Timestamp, Title};
use serde_json::Value;
use std::sync::Arc;

/// Observations begin here, or a year before the clock's start if that is earlier.
const HISTORY_BEGINS_MS: i64 = 1_577_836_800_000; // 2020-01-01T00:00:00Z
const YEAR_MS: i64 = 366 * 86_400_000;

/// Observation ids are datastream × this + time index: exact in a double up to two million datastreams.
const IDS_PER_STREAM: u64 = 1 << 32;

/// One parameter of one station.
#[derive(Debug)]
pub(crate) struct Datastream {
    /// 1-based, in the order layers × features × parameters.
    pub id: u64,
    pub station: usize,
    /// Index into the layer's parameters.
    pub parameter: usize,
    /// Index into [`Network::properties`].
    pub property: usize,
    signal: Signal,
}

/// A kind of value, shared by all datastreams with the same parameter code.
#[derive(Debug)]
pub(crate) struct ObservedProperty {
    pub code: String,
    pub title: Title,
}

/// One value at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub measured_ms: i64,
    pub arrived_ms: i64,
    pub value: f64,
    pub status: SensorStatus,
}

#[derive(Debug)]
pub(crate) struct Network {
    pub stations: Vec<Station>,
    pub streams: Vec<Datastream>,
    pub properties: Vec<ObservedProperty>,
    /// Indices of the layers that have stations, in the profile's order. SensorThings: one Sensor each.
    pub live_layers: Vec<usize>,
    first_ms: i64,
}

/// What the network is told to be.
pub(crate) struct Setting {
    pub seed: u64,
    pub scenario: Scenario,
    pub start: Timestamp,
}

impl Network {
    /// `contents` stands beside the profile's layers.
    pub fn build(profile: &Profile, contents: &[Arc<Content>], setting: &Setting) -> Self {
        let start_ms = setting.start.as_millisecond();
        let mut stations = Vec::new();
        let mut live_layers = Vec::new();
        for (layer, (spec, content)) in profile.layers.iter().zip(contents).enumerate() {
            if spec.live_source.is_none() {
                continue;
            }
            live_layers.push(layer);
            let seconds = spec.interval.unwrap_or(Span::minutes(5)).as_secs().clamp(1, 86_400);
            for feature in &content.features {
                let whole: Value = serde_json::from_str(feature.raw.get()).unwrap_or_default();
                let key =
                    join(join(mix(setting.seed), key_of(spec.id.as_str().as_bytes())), key_of(feature.id.as_bytes()));
                stations.push(Station {
                    id: stations.len() as u64 + 1,
                    layer,
                    layer_id: spec.id.to_string(),
                    kind: spec.kind,
                    feature: feature.id.clone(),
                    name: whole["properties"][&spec.name_field].as_str().unwrap_or(&feature.id).to_owned(),
                    location: whole["geometry"].clone(),
                    center: if feature.bbox.is_empty() {
                        profile.center
                    } else {
                        let b = feature.bbox;
                        [f64::midpoint(b.west, b.east), f64::midpoint(b.south, b.north)]
                    },
                    key,
                    rank: 0.5,
                    interval_ms: i64::try_from(seconds).unwrap_or(300) * 1_000,
                    delay_ms: 0,
                    condition: Condition::default(),
                    streams: 0..0,
                });
            }
        }
        settle(&mut stations, setting.seed, setting.scenario, start_ms);
        let mut network = Self {
            stations,
            streams: Vec::new(),
            properties: Vec::new(),
            live_layers,
            first_ms: HISTORY_BEGINS_MS.min(start_ms.saturating_sub(YEAR_MS)),
        };
        network.add_streams(profile, setting);
        network
    }

    fn add_streams(&mut self, profile: &Profile, setting: &Setting) {
        let zone = TimeZone::get(&profile.timezone).unwrap_or(TimeZone::UTC);
        let utc_offset_secs = i64::from(zone.to_offset(setting.start).seconds());
        for (number, station) in self.stations.iter_mut().enumerate() {
            let first = self.streams.len();
            let parameters = &profile.layers[station.layer].parameters;
            let over = over_limit(parameters, station);
            for (index, parameter) in parameters.iter().enumerate() {
                let property = match self.properties.iter().position(|property| property.code == parameter.code) {
                    Some(property) => property,
                    None => {
                        self.properties
                            .push(ObservedProperty { code: parameter.code.clone(), title: parameter.title.clone() });
                        self.properties.len() - 1
                    }
                };
                let place = Place {
                    station,
                    seed: setting.seed,
                    scenario: setting.scenario,
                    start_ms: setting.start.as_millisecond(),
                    utc_offset_secs,
                    exceeds: over == Some(index),
                };
                let signal = Signal::of(parameter, &place);
                let id = self.streams.len() as u64 + 1;
                self.streams.push(Datastream { id, station: number, parameter: index, property, signal });
            }
            station.streams = first..self.streams.len();
        }
    }

    pub fn station_of(&self, stream: &Datastream) -> &Station {
        &self.stations[stream.station]
    }

    /// The station of a camera by its feature id.
    pub fn camera(&self, feature: &str) -> Option<&Station> {
        self.stations.iter().find(|station| station.kind == LayerKind::Camera && station.feature == feature)
    }

    /// First and last time index that can be asked for at `now_ms`.
    pub fn range(&self, station: &Station, now_ms: i64) -> Option<(i64, i64)> {
        let first = self.first_ms.div_euclid(station.interval_ms) + 1;
        station.latest(now_ms).filter(|latest| *latest >= first).map(|latest| (first, latest))
    }

    pub fn read(&self, stream: &Datastream, index: i64) -> Reading {
        let station = self.station_of(stream);
        let measured_ms = station.measured_ms(index);
        let status = station.status(index);
        let value = match (status, station.condition.trouble) {
            // A broken device hangs on the value it broke with; one that is being calibrated reads the test standard.
            (SensorStatus::Faulty, Some((since_ms, _))) => stream.signal.stuck(since_ms),
            (SensorStatus::Calibrating, _) => stream.signal.standard(),
            _ => stream.signal.value(measured_ms),
        };
        Reading { measured_ms, arrived_ms: station.arrives_ms(index), value, status }
    }

    /// Exact in a double; `None` for indices before 1970.
    pub fn observation_id(stream: &Datastream, index: i64) -> Option<u64> {
        Some(stream.id * IDS_PER_STREAM + u64::try_from(index).ok().filter(|index| *index < IDS_PER_STREAM)?)
    }

    /// Datastream id and time index of an observation id.
    pub fn split_id(observation_id: u64) -> (u64, i64) {
        (observation_id / IDS_PER_STREAM, i64::try_from(observation_id % IDS_PER_STREAM).unwrap_or(0))
    }
}

/// Which parameter of an outlet over its limit is the one: the charted ones are likely, pH and the like are not.
fn over_limit(parameters: &[Parameter], station: &Station) -> Option<usize> {
    let can: Vec<usize> = (0..parameters.len())
        .filter(|i| parameters[*i].limit_max.is_some() && parameters[*i].limit_min.is_none())
        .filter(|i| !crate::signals::is_temperature(&parameters[*i].code))
        .collect();
    let pick = usize::try_from(mix(station.key) % can.len().max(1) as u64).unwrap_or(0);
    can.get(pick).copied().filter(|_| station.condition.exceeds)
}
