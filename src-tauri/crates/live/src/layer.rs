use crate::aqi::{self, Hourly, HourlyMeans, NoIndex, Pollutant};
use crate::{FeatureState, Scale, severity};
use model::{
    FeatureId, Freshness, LayerKind, LayerSpec, LinkState, Observation, SensorStatus, Span, Timestamp, freshness_of,
    stale_after,
};
use std::collections::{BTreeMap, HashMap};

/// How long raw values of air stations are kept in memory: NowCast looks back 12 hours, the trend three more, the chart
/// comes from the history.
const KEEP_SECS: i64 = 16 * 3_600;
/// A sensor's clock may be ahead of ours by this much. A value from later than that is refused: it would stay the
/// newest until its time comes, and hide every true one before it.
const AHEAD_SECS: i64 = 300;

/// One parameter's last word at one station.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterReading {
    pub code: String,
    pub value: f64,
    pub measured_at: Timestamp,
    pub received_at: Timestamp,
    pub status: SensorStatus,
}

/// How many features of a layer stand at each freshness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub fresh: u32,
    pub stale: u32,
    pub offline: u32,
    pub error: u32,
    pub never: u32,
}

impl Counts {
    fn add(&mut self, freshness: Freshness) {
        *match freshness {
            Freshness::Fresh => &mut self.fresh,
            Freshness::Stale => &mut self.stale,
            Freshness::Offline => &mut self.offline,
            Freshness::Error => &mut self.error,
            Freshness::Never => &mut self.never,
        } += 1;
    }
}

#[derive(Default)]
struct Station {
    readings: BTreeMap<String, ParameterReading>,
    /// Air stations: raw valid values by pollutant and time, for the hourly means.
    raw: BTreeMap<Pollutant, BTreeMap<Timestamp, f64>>,
    /// The index as last computed: the hour that was complete then, the hour rated, and the index.
    index: Option<(i64, i64, Result<Hourly, NoIndex>)>,
    /// The last value came from the future and was refused: the station's clock is wrong.
    clock_ahead: bool,
}

/// The live state beside one layer's picture.
pub struct LiveLayer {
    spec: LayerSpec,
    interval: Span,
    /// Feature ids in ordinal order, as the layer's picture has them.
    ids: Vec<FeatureId>,
    ordinals: HashMap<FeatureId, u32>,
    stations: HashMap<FeatureId, Station>,
    /// The version of the layer whose ordinals these are.
    version: u32,
    /// What the windows were last told, by ordinal.
    told: Vec<Option<FeatureState>>,
}

impl LiveLayer {
    /// A layer without values. `ids` in the ordinal order of the layer's picture of that version.
    pub fn new(spec: LayerSpec, ids: Vec<FeatureId>, version: u32) -> Self {
        let interval = spec.interval.unwrap_or(Span::minutes(5));
        let mut layer = Self {
            spec,
            interval,
            ids: Vec::new(),
            ordinals: HashMap::new(),
            stations: HashMap::new(),
            version,
            told: Vec::new(),
        };
        layer.renumber(ids, version);
        layer
    }

    /// Takes over the ordinals of a new picture; values stay with their feature ids.
    pub fn renumber(&mut self, ids: Vec<FeatureId>, version: u32) {
        self.version = version;
        self.ordinals = (0_u32..).zip(&ids).map(|(ordinal, id)| (id.clone(), ordinal)).collect();
        self.told = vec![None; ids.len()];
        self.ids = ids;
    }

    /// The version of the layer that the ordinals belong to; states are sent with it.
    pub fn version(&self) -> u32 {
        self.version
    }

    pub fn interval(&self) -> Span {
        self.interval
    }

    pub fn stale_after(&self) -> Span {
        stale_after(self.spec.kind, self.interval)
    }

    /// Takes in one observation. Late and repeated ones are welcome: the newest stays the reading, and a repeated one
    /// counts once in the means. Returns false for a feature or parameter this layer does not have, and for a value from
    /// the future, which puts the station in error until a good one comes.
    pub fn apply(&mut self, observation: &Observation, received_at: Timestamp) -> bool {
        if !observation.value.is_finite()
            || !self.ordinals.contains_key(&observation.feature)
            || self.spec.parameter(&observation.parameter).is_none()
        {
            return false;
        }
        let station = self.stations.entry(observation.feature.clone()).or_default();
        station.clock_ahead = Self::from_the_future(observation, received_at);
        if station.clock_ahead {
            return false;
        }
        let newest =
            station.readings.get(&observation.parameter).is_none_or(|r| r.measured_at <= observation.measured_at);
        if newest {
            station.readings.insert(
                observation.parameter.clone(),
                ParameterReading {
                    code: observation.parameter.clone(),
                    value: observation.value,
                    measured_at: observation.measured_at,
                    received_at,
                    status: observation.status,
                },
            );
        }
        if self.spec.kind == LayerKind::AirStation
            && let Some(pollutant) = Pollutant::from_code(&observation.parameter)
        {
            let raw = station.raw.entry(pollutant).or_default();
            // A calibrating or faulty value never enters an index.
            if observation.status == SensorStatus::Measuring {
                raw.insert(observation.measured_at, observation.value);
            } else {
                raw.remove(&observation.measured_at);
            }
            let newest = raw.last_key_value().map_or(0, |(at, _)| at.as_second());
            raw.retain(|at, _| at.as_second() >= newest - KEEP_SECS);
            station.index = None;
        }
        true
    }

    /// True for a time of measurement that cannot be: the history must not keep it either.
    pub fn from_the_future(observation: &Observation, received_at: Timestamp) -> bool {
        observation.measured_at.as_second().saturating_sub(received_at.as_second()) > AHEAD_SECS
    }

    /// The hourly index of a station at the newest hour complete by `now`, with that hour's end in Unix hours.
    pub fn aqi(&mut self, id: &str, now: Timestamp) -> Option<(i64, Result<Hourly, NoIndex>)> {
        let interval_secs = self.interval.as_secs();
        let station = self.stations.get_mut(id)?;
        let complete = now.as_second().div_euclid(3_600);
        if let Some((at, hour, index)) = &station.index
            && *at == complete
        {
            return Some((*hour, index.clone()));
        }
        let means = means_of(station, interval_secs);
        let hour = newest_hour(&means, complete)?;
        let index = aqi::hourly(&means, hour);
        station.index = Some((complete, hour, index.clone()));
        Some((hour, index))
    }

    /// The index at an earlier hour, for the trend.
    pub fn aqi_at(&self, id: &str, hour: i64) -> Option<Hourly> {
        let station = self.stations.get(id)?;
        aqi::hourly(&means_of(station, self.interval.as_secs()), hour).ok()
    }

    /// Every parameter's last reading at a station, in the profile's order.
    pub fn readings(&self, id: &str) -> Vec<&ParameterReading> {
        let Some(station) = self.stations.get(id) else { return Vec::new() };
        self.spec.parameters.iter().filter_map(|parameter| station.readings.get(&parameter.code)).collect()
    }

    /// The last reading of every parameter of every station, as it came.
    pub fn last_words(&self) -> impl Iterator<Item = Observation> {
        self.stations.iter().flat_map(|(feature, station)| {
            station.readings.values().map(|reading| Observation {
                layer: self.spec.id.clone(),
                feature: feature.clone(),
                parameter: reading.code.clone(),
                measured_at: reading.measured_at,
                value: reading.value,
                status: reading.status,
            })
        })
    }

    /// The state of one feature.
    pub fn state(&mut self, ordinal: u32, link: LinkState, now: Timestamp) -> Option<FeatureState> {
        let id = self.ids.get(usize::try_from(ordinal).ok()?)?.clone();
        let stale_after = self.stale_after();
        let scale = match self.spec.kind {
            LayerKind::AirStation => Scale::Aqi,
            LayerKind::Camera => Scale::None,
            _ => Scale::Severity,
        };
        let mut state = FeatureState { id: id.clone(), ordinal, scale, ..FeatureState::default() };
        let Some(station) = self.stations.get(&id) else { return Some(state) };
        let newest = station.readings.values().max_by_key(|reading| reading.measured_at);
        state.measured_at = newest.map(|reading| reading.measured_at);
        state.received_at = station.readings.values().map(|reading| reading.received_at).max();
        state.freshness = freshness_of(state.measured_at, stale_after, link, now);
        state.status = status_of(station);
        // With the line lost, that matters more: nobody knows whether the clock is still wrong.
        let wrong_clock = station.clock_ahead && state.freshness != Freshness::Offline;
        if wrong_clock || (state.status == SensorStatus::Faulty && state.freshness == Freshness::Fresh) {
            state.freshness = Freshness::Error;
        }
        match scale {
            Scale::Aqi => {
                if let Some((_, Ok(index))) = self.aqi(&id, now) {
                    state.value = Some(f64::from(index.value));
                    state.level = aqi::level(index.value);
                }
            }
            Scale::None | Scale::Severity => {
                let lead = self.spec.parameters.iter().find(|p| p.chart).or_else(|| self.spec.parameters.first());
                let valid = |r: &&ParameterReading| r.status == SensorStatus::Measuring;
                state.value = lead.and_then(|p| station.readings.get(&p.code)).filter(valid).map(|r| r.value);
                if scale == Scale::Severity {
                    let rate = |r: &ParameterReading| self.spec.parameter(&r.code).map_or(0, |p| severity(p, r.value));
                    state.level = station.readings.values().filter(valid).map(rate).max().unwrap_or(0);
                }
            }
        }
        Some(state)
    }

    /// All states, in ordinal order.
    pub fn states(&mut self, link: LinkState, now: Timestamp) -> Vec<FeatureState> {
        (0_u32..).take(self.ids.len()).filter_map(|ordinal| self.state(ordinal, link, now)).collect()
    }

    /// The states that differ from what was told before; they count as told from now on.
    pub fn changes(&mut self, link: LinkState, now: Timestamp) -> Vec<FeatureState> {
        let states = self.states(link, now);
        let mut changed = Vec::new();
        for (state, told) in states.into_iter().zip(&mut self.told) {
            if told.as_ref() != Some(&state) {
                *told = Some(state.clone());
                changed.push(state);
            }
        }
        changed
    }

    /// Counts by freshness, and the newest measurement.
    pub fn counts(&mut self, link: LinkState, now: Timestamp) -> (Counts, Option<Timestamp>) {
        let mut counts = Counts::default();
        let mut newest = None;
        for state in self.states(link, now) {
            counts.add(state.freshness);
            newest = newest.max(state.measured_at);
        }
        (counts, newest)
    }

    pub fn spec(&self) -> &LayerSpec {
        &self.spec
    }
}

fn means_of(station: &Station, interval_secs: u64) -> HourlyMeans {
    let means = |raw: &BTreeMap<Timestamp, f64>| aqi::hourly_means(raw.iter().map(|(at, v)| (*at, *v)), interval_secs);
    station.raw.iter().map(|(pollutant, raw)| (*pollutant, means(raw))).collect()
}

/// The newest hour up to `complete` that any pollutant has a mean for.
fn newest_hour(means: &HourlyMeans, complete: i64) -> Option<i64> {
    means.values().filter_map(|hours| hours.range(..=complete).next_back()).map(|(hour, _)| *hour).max()
}

/// The worst word of the station's newest readings: faulty when all are, calibrating when any is.
fn status_of(station: &Station) -> SensorStatus {
    let readings = || station.readings.values();
    if station.readings.is_empty() {
        SensorStatus::default()
    } else if readings().all(|reading| reading.status == SensorStatus::Faulty) {
        SensorStatus::Faulty
    } else if readings().any(|reading| reading.status == SensorStatus::Calibrating) {
        SensorStatus::Calibrating
    } else {
        SensorStatus::Measuring
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: &str, parameters: &str) -> LayerSpec {
        let text = format!(
            r#"id = "x"
            kind = "{kind}"
            group = "g"
            title = {{ vi = "x", en = "x" }}
            geometry = "point"
            file = "x"
            interval = "5m"
            freshness = "365d"
            as_of = "2026-11-01"
            provider = {{ vi = "x", en = "x" }}
            licence = "x"
            name_field = "name"
            {parameters}"#
        );
        let profile = format!(
            r#"id = "x"
            code = "1"
            title = {{ vi = "X", en = "X" }}
            timezone = "Asia/Ho_Chi_Minh"
            bbox = [105.0, 10.0, 107.0, 12.0]
            center = [106.0, 11.0]
            area_km2 = 1.0
            population = 1
            in_force = "2025-07-01"
            [[groups]]
            id = "g"
            title = {{ vi = "x", en = "x" }}
            [[layers]]
            {text}"#
        );
        model::Profile::from_toml(&profile).unwrap().layers.remove(0)
    }

    fn parameter(code: &str, rest: &str) -> String {
        format!(
            "[[layers.parameters]]\ncode = \"{code}\"\ntitle = {{ vi = \"a\", en = \"a\" }}\nunit = \"u\"\n{rest}\n"
        )
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn observe(
        layer: &mut LiveLayer,
        feature: &str,
        code: &str,
        time: Timestamp,
        value: f64,
        status: SensorStatus,
    ) -> bool {
        let observation = Observation {
            layer: layer.spec().id.clone(),
            feature: feature.into(),
            parameter: code.into(),
            measured_at: time,
            value,
            status,
        };
        layer.apply(&observation, time)
    }

    fn air() -> LiveLayer {
        LiveLayer::new(
            spec("air_station", &(parameter("pm25", "chart = true") + &parameter("o3", ""))),
            vec!["a".into(), "b".into()],
            1,
        )
    }

    #[test]
    fn index_of_the_last_complete_hour_is_the_value() {
        let mut layer = air();
        let start = at("2026-11-22T22:05:00Z");
        for i in 0..(14 * 12) {
            let time = start + jiff::SignedDuration::from_mins(5 * i);
            assert!(observe(&mut layer, "a", "pm25", time, 55.7, SensorStatus::Measuring));
        }
        let now = at("2026-11-23T12:02:00Z");
        let state = layer.state(0, LinkState::Up, now).unwrap();
        assert_eq!((state.value, state.level, state.freshness), (Some(110.0), 3, Freshness::Fresh));
        assert_eq!(layer.aqi("a", now).unwrap().0, now.as_second() / 3_600);
        assert_eq!(layer.state(1, LinkState::Up, now).unwrap().freshness, Freshness::Never);
    }

    #[test]
    fn faulty_and_calibrating_values_never_enter_the_index() {
        let mut layer = air();
        let start = at("2026-11-22T22:05:00Z");
        for i in 0..(14 * 12) {
            let time = start + jiff::SignedDuration::from_mins(5 * i);
            let faulty = i % 12 == 3;
            let status = if faulty { SensorStatus::Faulty } else { SensorStatus::Measuring };
            observe(&mut layer, "a", "pm25", time, if faulty { 900.0 } else { 20.0 }, status);
        }
        let state = layer.state(0, LinkState::Up, at("2026-11-23T12:02:00Z")).unwrap();
        assert_eq!(state.value, Some(40.0));
    }

    #[test]
    fn repeated_and_late_observations_change_nothing() {
        let mut layer = air();
        let now = at("2026-11-23T12:00:00Z");
        observe(&mut layer, "a", "o3", now, 50.0, SensorStatus::Measuring);
        layer.changes(LinkState::Up, now);
        observe(&mut layer, "a", "o3", at("2026-11-23T11:00:00Z"), 10.0, SensorStatus::Measuring);
        assert!(layer.changes(LinkState::Up, now).is_empty());
        assert_eq!(layer.readings("a")[0].value, 50.0);
        assert!(!observe(&mut layer, "nobody", "o3", now, 1.0, SensorStatus::Measuring));
        assert!(!observe(&mut layer, "a", "noise", now, 1.0, SensorStatus::Measuring));
    }

    #[test]
    fn value_from_the_future_is_refused_and_a_good_one_mends_the_station() {
        let mut layer = air();
        let now = at("2026-11-23T12:00:00Z");
        let observation = |time: &str, value| Observation {
            layer: model::LayerId::new("x").unwrap(),
            feature: "a".into(),
            parameter: "pm25".into(),
            measured_at: at(time),
            value,
            status: SensorStatus::Measuring,
        };
        assert!(!layer.apply(&observation("2036-11-23T12:00:00Z", 900.0), now));
        let state = layer.state(0, LinkState::Up, now).unwrap();
        assert_eq!((state.freshness, state.measured_at, state.value), (Freshness::Error, None, None));
        assert_eq!(layer.changes(LinkState::Up, now)[0].freshness, Freshness::Error);

        assert!(layer.apply(&observation("2026-11-23T11:59:00Z", 20.0), now));
        assert_eq!(layer.state(0, LinkState::Up, now).unwrap().freshness, Freshness::Fresh);
        assert!(!layer.apply(&observation("2026-11-23T12:05:01Z", 900.0), now));
        assert_eq!(layer.readings("a")[0].value, 20.0, "the last good value stays");
        assert_eq!(layer.state(0, LinkState::Up, now).unwrap().freshness, Freshness::Error);
        assert_eq!(layer.state(0, LinkState::Lost, now).unwrap().freshness, Freshness::Offline);

        assert!(layer.apply(&observation("2026-11-23T12:05:00Z", 21.0), now), "clocks differ a little");
        assert_eq!(layer.state(0, LinkState::Up, now).unwrap().freshness, Freshness::Fresh);
    }

    #[test]
    fn lost_link_changes_the_marks_and_keeps_the_values() {
        let mut layer = LiveLayer::new(
            spec("water_station", &parameter("cod", "limit_max = 15.0\nchart = true")),
            vec!["w".into()],
            1,
        );
        let now = at("2026-11-23T12:00:00Z");
        observe(&mut layer, "w", "cod", now, 24.0, SensorStatus::Measuring);
        let before = layer.changes(LinkState::Up, now).remove(0);
        assert_eq!((before.level, before.freshness), (3, Freshness::Fresh));
        let after = layer.changes(LinkState::Lost, now).remove(0);
        assert_eq!((after.level, after.value, after.freshness), (3, Some(24.0), Freshness::Offline));
        assert!(layer.changes(LinkState::Lost, now).is_empty());
    }

    #[test]
    fn new_picture_renumbers_and_keeps_values() {
        let mut layer = air();
        let now = at("2026-11-23T12:00:00Z");
        observe(&mut layer, "b", "o3", now, 50.0, SensorStatus::Measuring);
        layer.renumber(vec!["z".into(), "y".into(), "b".into()], 2);
        assert_eq!(layer.state(2, LinkState::Up, now).unwrap().measured_at, Some(now));
        assert_eq!(layer.changes(LinkState::Up, now).len(), 3);
    }
}
