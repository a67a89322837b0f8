//! The live stations of the profile, and in what state each of them is: decided by the seed, told by the scenario.

use crate::noise::{between, join, key_of, mix, shuffled, unit};
use crate::options::Scenario;
use model::{LayerKind, SensorStatus};
use serde_json::Value;
use std::ops::Range;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// A feature of a layer with live values. SensorThings calls it a Thing.
#[derive(Debug)]
pub(crate) struct Station {
    /// 1-based, in the order of the profile's layers and their features.
    pub id: u64,
    /// Index into the profile's layers.
    pub layer: usize,
    pub layer_id: String,
    pub kind: LayerKind,
    pub feature: String,
    pub name: String,
    /// GeoJSON geometry.
    pub location: Value,
    /// Longitude, latitude of the geometry's box centre, degrees.
    pub center: [f64; 2],
    /// A number of its own for everything that chance decides.
    pub key: u64,
    /// Place among its layer's stations from 0 to 1, shuffled: spreads the levels.
    pub rank: f64,
    /// Time between two measurements.
    pub interval_ms: i64,
    /// From the measurement to its arrival; differs per station so that arrivals spread evenly over the interval.
    pub delay_ms: i64,
    pub condition: Condition,
    /// Index into the network's datastreams.
    pub streams: Range<usize>,
}

/// What is wrong with a station; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Condition {
    /// Nothing was ever delivered.
    pub never: bool,
    /// Measurements after this moment do not come.
    pub silent_after_ms: Option<i64>,
    /// The status that it reports from this moment on.
    pub trouble: Option<(i64, SensorStatus)>,
    /// One of its values is over the limit.
    pub exceeds: bool,
}

impl Condition {
    fn is_well(&self) -> bool {
        *self == Self::default()
    }
}

impl Station {
    /// The newest time index delivered by `now_ms`.
    pub fn latest(&self, now_ms: i64) -> Option<i64> {
        if self.condition.never {
            return None;
        }
        let newest = (now_ms - self.delay_ms).div_euclid(self.interval_ms);
        let last = self.condition.silent_after_ms.map(|end_ms| end_ms.div_euclid(self.interval_ms));
        Some(last.map_or(newest, |last| last.min(newest)))
    }

    pub fn measured_ms(&self, index: i64) -> i64 {
        index.saturating_mul(self.interval_ms)
    }

    pub fn arrives_ms(&self, index: i64) -> i64 {
        self.measured_ms(index).saturating_add(self.delay_ms)
    }

    pub fn status(&self, index: i64) -> SensorStatus {
        match self.condition.trouble {
            Some((since_ms, status)) if self.measured_ms(index) >= since_ms => status,
            _ => SensorStatus::Measuring,
        }
    }

    /// True while the station delivers: its newest measurement is not older than the end of its life.
    pub fn delivers(&self, now_ms: i64) -> bool {
        !self.condition.never && self.condition.silent_after_ms.is_none_or(|end_ms| now_ms <= end_ms)
    }

    /// Trảng Bàng's stations are the ones shown first; they always work.
    fn is_protected(&self) -> bool {
        model::fold(&self.name).contains("trang bang")
    }

    /// Whether the smog scenario takes place here.
    pub fn is_in_smog(&self) -> bool {
        let name = model::fold(&self.name);
        self.kind == LayerKind::AirStation
            && ["trang bang", "duc hoa", "an tinh"].iter().any(|place| name.contains(place))
    }
}

/// Ranks, arrival delays and states, for stations in the order of their layers.
pub(crate) fn settle(stations: &mut [Station], seed: u64, scenario: Scenario, start_ms: i64) {
    let mut layers: Vec<Range<usize>> = Vec::new();
    for i in 0..stations.len() {
        match layers.last_mut() {
            Some(range) if stations[range.start].layer == stations[i].layer => range.end = i + 1,
            _ => layers.push(i..i + 1),
        }
    }
    for range in layers {
        let stations = &mut stations[range];
        let key = join(mix(seed), key_of(stations[0].layer_id.as_bytes()));
        spread(stations, key);
        match stations[0].kind {
            LayerKind::Camera => cameras(stations, key, start_ms),
            LayerKind::WaterLevelStation => {}
            _ => calm(stations, key, start_ms),
        }
    }
    odd_ones(stations, seed, start_ms);
    if scenario == Scenario::Outage {
        outage(stations, seed, start_ms);
    }
}

#[allow(clippy::cast_precision_loss)] // a layer's count of stations
fn spread(stations: &mut [Station], key: u64) {
    let n = stations.len();
    for (place, i) in shuffled(join(key, 1), n).into_iter().enumerate() {
        stations[i].rank = if n < 2 { 0.5 } else { place as f64 / (n - 1) as f64 };
    }
    // The station shown first stands in the middle, so that a scenario's rise can be seen.
    if let Some(first) = (0..n).find(|i| stations[*i].is_protected()) {
        let middle = (0..n).min_by(|a, b| (stations[*a].rank - 0.5).abs().total_cmp(&(stations[*b].rank - 0.5).abs()));
        if let Some(middle) = middle {
            let rank = stations[first].rank;
            stations[first].rank = stations[middle].rank;
            stations[middle].rank = rank;
        }
    }
    for (place, i) in shuffled(join(key, 2), n).into_iter().enumerate() {
        stations[i].delay_ms = stations[i].interval_ms * place as i64 / n as i64;
    }
}

/// Stations that may be broken, in an order that the key decides.
fn candidates(stations: &[Station], key: u64, fits: impl Fn(&Station) -> bool) -> Vec<usize> {
    let mut order = shuffled(key, stations.len());
    order.retain(|i| {
        let station = &stations[*i];
        station.condition.is_well() && !station.is_protected() && fits(station)
    });
    order
}

/// Some are three hours behind, and some outlets are over their limit.
fn calm(stations: &mut [Station], key: u64, start_ms: i64) {
    let n = stations.len();
    let stale = if n < 2 { 0 } else { 1 + n / 60 };
    // The places of the smog stay heard; where there is nowhere else, so be it.
    let mut order = candidates(stations, join(key, 3), |station| !station.is_in_smog());
    if order.is_empty() {
        order = candidates(stations, join(key, 3), |_| true);
    }
    for i in order.into_iter().take(stale) {
        stations[i].condition.silent_after_ms = Some(start_ms - 3 * HOUR_MS);
    }
    if matches!(stations[0].kind, LayerKind::WastewaterStation | LayerKind::StackStation) {
        // 2.5 % of the outlets, rounded, and at least one where there are ten.
        let over = ((n * 25 + 500) / 1_000).max(n / 10).min((n * 3).div_ceil(100));
        for i in candidates(stations, join(key, 4), |_| true).into_iter().take(over) {
            stations[i].condition.exceeds = true;
        }
    }
}

/// 2 % never heard, 1 % faulty, each at least one where there are twenty; never the first of the list.
fn cameras(stations: &mut [Station], key: u64, start_ms: i64) {
    let n = stations.len();
    let least = usize::from(n >= 20);
    let (offline, faulty) = (((n + 25) / 50).max(least), ((n + 50) / 100).max(least));
    let mut order = candidates(stations, join(key, 5), |_| true);
    // The first of the list is the one that is looked at first.
    order.retain(|i| *i > 0);
    for (place, i) in order.into_iter().take(offline + faulty).enumerate() {
        let condition = &mut stations[i].condition;
        if place < offline {
            condition.never = true;
        } else {
            condition.trouble = Some((start_ms - HOUR_MS, SensorStatus::Faulty));
        }
    }
}

/// One never heard, one faulty, one calibrating, among the many outlets and water stations.
fn odd_ones(stations: &mut [Station], seed: u64, start_ms: i64) {
    let many = |station: &Station| {
        matches!(station.kind, LayerKind::WaterStation | LayerKind::WastewaterStation | LayerKind::StackStation)
    };
    let order = candidates(stations, join(mix(seed), 6), many);
    if order.len() < 6 {
        return;
    }
    stations[order[0]].condition.never = true;
    stations[order[1]].condition.trouble = Some((start_ms - 6 * HOUR_MS, SensorStatus::Faulty));
    stations[order[2]].condition.trouble = Some((start_ms - 30 * MINUTE_MS, SensorStatus::Calibrating));
}

fn outage(stations: &mut [Station], seed: u64, start_ms: i64) {
    let key = join(mix(seed), 7);
    let fixed = candidates(stations, key, |station| station.kind != LayerKind::Camera);
    let silent = fixed.len().div_ceil(4);
    for (place, i) in fixed.iter().copied().enumerate() {
        let chance = join(key, i as u64);
        let condition = &mut stations[i].condition;
        if place < silent / 2 {
            condition.silent_after_ms = Some(start_ms - 3 * HOUR_MS);
        } else if place < silent {
            condition.silent_after_ms = Some(start_ms + within(chance, HOUR_MS));
        } else if unit(chance) < 0.1 {
            condition.trouble = Some((start_ms - 10 * MINUTE_MS, SensorStatus::Faulty));
        }
    }
    let cameras = candidates(stations, join(key, 8), |station| station.kind == LayerKind::Camera);
    let silent = cameras.len() * 15 / 100;
    for i in cameras.into_iter().take(silent) {
        stations[i].condition.silent_after_ms = Some(start_ms + within(join(key, i as u64), 10 * MINUTE_MS));
    }
}

/// A moment from 0 to `span_ms`.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn within(key: u64, span_ms: i64) -> i64 {
    between(key, 0.0, span_ms as f64) as i64
}
