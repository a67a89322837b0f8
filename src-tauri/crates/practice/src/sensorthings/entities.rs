//! The entities: what each is as JSON, and which belong to which.

use crate::app::App;
use crate::clock::timestamp_ms;
use crate::network::{Datastream, Network};
use crate::stations::Station;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    Things,
    Locations,
    Datastreams,
    Sensors,
    ObservedProperties,
    Observations,
    FeaturesOfInterest,
}

impl Set {
    pub const ALL: [Self; 7] = [
        Self::Things,
        Self::Locations,
        Self::Datastreams,
        Self::Sensors,
        Self::ObservedProperties,
        Self::Observations,
        Self::FeaturesOfInterest,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Things => "Things",
            Self::Locations => "Locations",
            Self::Datastreams => "Datastreams",
            Self::Sensors => "Sensors",
            Self::ObservedProperties => "ObservedProperties",
            Self::Observations => "Observations",
            Self::FeaturesOfInterest => "FeaturesOfInterest",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    /// The names of what belongs to an entity of this set, as paths and expansions write them.
    pub fn relations(self) -> &'static [&'static str] {
        match self {
            Self::Things => &["Locations", "Datastreams"],
            Self::Locations => &["Things"],
            Self::Datastreams => &["Thing", "Sensor", "ObservedProperty", "Observations"],
            Self::Sensors | Self::ObservedProperties => &["Datastreams"],
            Self::Observations => &["Datastream", "FeatureOfInterest"],
            Self::FeaturesOfInterest => &["Observations"],
        }
    }
}

/// One entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Not for observations.
    Entity(Set, u64),
    /// Index of the datastream, time index.
    Observation(usize, i64),
}

impl Key {
    pub fn set(self) -> Set {
        match self {
            Self::Entity(set, _) => set,
            Self::Observation(..) => Set::Observations,
        }
    }
}

/// What a path or a relation leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    One(Key),
    Many(Set, Vec<u64>),
    /// All observations of these datastreams (indices).
    Observations(Vec<usize>),
}

/// 1-based ids to indices.
pub(super) fn at<T>(all: &[T], id: u64) -> Option<&T> {
    usize::try_from(id).ok()?.checked_sub(1).and_then(|index| all.get(index))
}

/// All entities of a set.
pub(super) fn all(network: &Network, set: Set) -> Target {
    let count = match set {
        Set::Things | Set::Locations | Set::FeaturesOfInterest => network.stations.len(),
        Set::Datastreams => network.streams.len(),
        Set::Sensors => network.live_layers.len(),
        Set::ObservedProperties => network.properties.len(),
        Set::Observations => return Target::Observations((0..network.streams.len()).collect()),
    };
    Target::Many(set, (1..=count as u64).collect())
}

/// The entity with an id, if there is one at the practice time `now_ms`.
pub(super) fn by_id(network: &Network, set: Set, id: u64, now_ms: i64) -> Option<Key> {
    match set {
        Set::Observations => {
            let (stream_id, index) = Network::split_id(id);
            let stream = at(&network.streams, stream_id)?;
            let (first, last) = network.range(network.station_of(stream), now_ms)?;
            let number = usize::try_from(stream_id).ok()?.checked_sub(1)?;
            (first..=last).contains(&index).then_some(Key::Observation(number, index))
        }
        _ => match all(network, set) {
            Target::Many(_, ids) => ids.contains(&id).then_some(Key::Entity(set, id)),
            _ => None,
        },
    }
}

/// Follows a relation; `None` when the entity has none of that name.
pub(super) fn related(network: &Network, key: Key, name: &str) -> Option<Target> {
    let stream_ids = |fits: &dyn Fn(&Datastream) -> bool| {
        Target::Many(Set::Datastreams, network.streams.iter().filter(|s| fits(s)).map(|s| s.id).collect())
    };
    let one = |set, id| Some(Target::One(Key::Entity(set, id)));
    match (key, name) {
        (Key::Entity(Set::Things, id), "Locations") => Some(Target::Many(Set::Locations, vec![id])),
        (Key::Entity(Set::Things, id), "Datastreams") => {
            let range = at(&network.stations, id)?.streams.clone();
            Some(Target::Many(Set::Datastreams, range.map(|index| index as u64 + 1).collect()))
        }
        (Key::Entity(Set::Locations, id), "Things") => Some(Target::Many(Set::Things, vec![id])),
        (Key::Entity(Set::Datastreams, id), _) => {
            let stream = at(&network.streams, id)?;
            let station = network.station_of(stream);
            match name {
                "Thing" => one(Set::Things, station.id),
                "Sensor" => one(Set::Sensors, sensor_id(network, station)),
                "ObservedProperty" => one(Set::ObservedProperties, stream.property as u64 + 1),
                "Observations" => Some(Target::Observations(vec![usize::try_from(id).ok()?.checked_sub(1)?])),
                _ => None,
            }
        }
        (Key::Entity(Set::Sensors, id), "Datastreams") => {
            let layer = *at(&network.live_layers, id)?;
            Some(stream_ids(&|stream| network.station_of(stream).layer == layer))
        }
        (Key::Entity(Set::ObservedProperties, id), "Datastreams") => {
            Some(stream_ids(&|stream| stream.property as u64 + 1 == id))
        }
        (Key::Entity(Set::FeaturesOfInterest, id), "Observations") => {
            Some(Target::Observations(at(&network.stations, id)?.streams.clone().collect()))
        }
        (Key::Observation(stream, _), "Datastream") => one(Set::Datastreams, stream as u64 + 1),
        (Key::Observation(stream, _), "FeatureOfInterest") => {
            one(Set::FeaturesOfInterest, network.station_of(network.streams.get(stream)?).id)
        }
        _ => None,
    }
}

fn sensor_id(network: &Network, station: &Station) -> u64 {
    network.live_layers.iter().position(|layer| *layer == station.layer).map_or(0, |index| index as u64 + 1)
}

/// The entity's own properties with its links. `root` is the service root without a slash at the end.
pub(super) fn describe(app: &App, key: Key, root: &str, now_ms: i64) -> Option<Value> {
    let mut whole = match key {
        Key::Entity(set, id) => own(app, set, id, now_ms)?,
        Key::Observation(stream, index) => observation(&app.network, stream, index)?,
    };
    if app.options.unlabelled
        && let Some(labels) = whole.get_mut("properties").and_then(Value::as_object_mut)
    {
        labels.retain(|name, _| name == "practice");
    }
    let set = key.set();
    let itself = format!("{root}/{}({})", set.name(), whole["@iot.id"]);
    for name in set.relations() {
        whole[format!("{name}@iot.navigationLink")] = Value::String(format!("{itself}/{name}"));
    }
    whole["@iot.selfLink"] = Value::String(itself);
    Some(whole)
}

fn observation(network: &Network, stream: usize, index: i64) -> Option<Value> {
    let stream = network.streams.get(stream)?;
    let reading = network.read(stream, index);
    Some(json!({
        "@iot.id": Network::observation_id(stream, index)?,
        "phenomenonTime": timestamp_ms(reading.measured_ms).to_string(),
        "resultTime": timestamp_ms(reading.arrived_ms).to_string(),
        "result": reading.value,
        "parameters": { "status": reading.status.code() },
    }))
}

fn own(app: &App, set: Set, id: u64, now_ms: i64) -> Option<Value> {
    let network = &app.network;
    Some(match set {
        Set::Things => {
            let station = at(&network.stations, id)?;
            json!({
                "@iot.id": id,
                "name": station.name,
                "description": app.profile.layers[station.layer].title.vi,
                "properties": { "layer": station.layer_id, "feature": station.feature, "practice": true },
            })
        }
        Set::Locations => {
            let station = at(&network.stations, id)?;
            json!({
                "@iot.id": id,
                "name": station.name,
                "description": "",
                "encodingType": "application/geo+json",
                "location": station.location,
            })
        }
        Set::FeaturesOfInterest => {
            let station = at(&network.stations, id)?;
            json!({
                "@iot.id": id,
                "name": station.name,
                "description": "",
                "encodingType": "application/geo+json",
                "feature": station.location,
            })
        }
        Set::Datastreams => {
            let stream = at(&network.streams, id)?;
            let station = network.station_of(stream);
            let parameter = &app.profile.layers[station.layer].parameters[stream.parameter];
            let mut whole = json!({
                "@iot.id": id,
                "name": format!("{} – {}", station.name, parameter.title.vi),
                "description": parameter.title.en,
                "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
                "unitOfMeasurement": { "name": parameter.unit, "symbol": parameter.unit, "definition": "" },
                "properties": {
                    "layer": station.layer_id, "feature": station.feature, "parameter": parameter.code,
                },
            });
            if let Some((first, last)) = network.range(station, now_ms) {
                let time = |ms: i64| timestamp_ms(ms).to_string();
                whole["phenomenonTime"] =
                    format!("{}/{}", time(station.measured_ms(first)), time(station.measured_ms(last))).into();
                whole["resultTime"] =
                    format!("{}/{}", time(station.arrives_ms(first)), time(station.arrives_ms(last))).into();
            }
            whole
        }
        Set::Sensors => {
            let layer = &app.profile.layers[*at(&network.live_layers, id)?];
            json!({
                "@iot.id": id,
                "name": format!("Thiết bị thực hành – {}", layer.title.vi),
                "description": "Số liệu do phần mềm sinh ra, không phải số đo.",
                "encodingType": "text/plain",
                "metadata": layer.provider.vi,
                "properties": { "layer": layer.id.as_str(), "practice": true },
            })
        }
        Set::ObservedProperties => {
            let property = at(&network.properties, id)?;
            json!({
                "@iot.id": id,
                "name": property.title.vi,
                "description": property.title.en,
                "definition": format!("urn:toancanh:parameter:{}", property.code),
                "properties": { "parameter": property.code },
            })
        }
        Set::Observations => return None,
    })
}
