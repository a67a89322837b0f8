//! What a parameter does over time: a base, a daily rhythm, weather shared by a region, its own drift, a little jitter,
//! tides, and the scenario's story. Pure functions of time, in the parameter's unit.

mod shape;
mod tables;

use crate::noise::{between, join, key_of, smooth};
use crate::options::Scenario;
use crate::stations::Station;
use model::{LayerKind, Parameter};
use shape::{Rhythm, Story, Tide};

pub(crate) use tables::is_temperature;

const HOUR_SECS: f64 = 3_600.0;

/// The value of one datastream at any time.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    /// All amplitudes are in the parameter's unit.
    base: f64,
    rhythm: Rhythm,
    swing: f64,
    weather: f64,
    drift: f64,
    jitter: f64,
    tide: Option<Tide>,
    story: Story,
    /// The calm value stays between these.
    low: f64,
    high: f64,
    decimals: i32,
    region_key: u64,
    drift_key: u64,
    jitter_key: u64,
    start_ms: i64,
    utc_offset_secs: i64,
    /// What a broken device makes of it, if not hanging on its last value.
    broken: Option<f64>,
}

/// Where and under which story a signal is made.
pub(crate) struct Place<'a> {
    pub station: &'a Station,
    pub seed: u64,
    pub scenario: Scenario,
    pub start_ms: i64,
    pub utc_offset_secs: i64,
    /// This parameter is the one over its limit.
    pub exceeds: bool,
}

impl Signal {
    pub fn of(parameter: &Parameter, place: &Place<'_>) -> Self {
        let station = place.station;
        let key = join(station.key, key_of(parameter.code.as_bytes()));
        // Weather is shared within cells of a quarter degree.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cell = |degrees: f64| (degrees * 4.0).floor() as i64 as u64;
        let region = join(join(place.seed, cell(station.center[0])), cell(station.center[1]));
        let code = tables::plain(&parameter.code);
        let mut signal = Self {
            base: 0.0,
            rhythm: Rhythm::None,
            swing: 0.0,
            weather: 0.0,
            drift: 0.0,
            jitter: 0.0,
            tide: None,
            story: Story::None,
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
            // One more place than the screen shows, as loggers send it.
            decimals: i32::from(parameter.decimals.min(6)) + 1,
            region_key: join(region, tables::family(&code)),
            // Fine dust and coarse dust move together.
            drift_key: join(station.key, tables::family(&code)),
            jitter_key: join(key, 1),
            start_ms: place.start_ms,
            utc_offset_secs: place.utc_offset_secs,
            broken: None,
        };
        match station.kind {
            LayerKind::AirStation => signal.air(&code, parameter, place),
            LayerKind::WaterStation => signal.within(tables::water(&code), key),
            LayerKind::WastewaterStation | LayerKind::StackStation => signal.outlet(&code, parameter, place, key),
            LayerKind::WaterLevelStation => signal.level(&code, place, key),
            LayerKind::Camera if code == "fps" => signal.frames(),
            _ => signal.within(tables::other(&code), key),
        }
        signal
    }

    /// The value measured at a time, rounded as a logger would.
    pub fn value(&self, unix_ms: i64) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let unix_secs = unix_ms as f64 / 1_000.0;
        let hours = unix_secs / HOUR_SECS;
        #[allow(clippy::cast_precision_loss)]
        let local_hour = ((unix_secs + self.utc_offset_secs as f64) / HOUR_SECS).rem_euclid(24.0);
        let calm = self.base
            + self.swing * self.rhythm.at(local_hour)
            + self.weather * smooth(self.region_key, hours / 30.0)
            + self.drift * smooth(self.drift_key, hours / 5.0)
            + self.jitter * smooth(self.jitter_key, hours * 7.0)
            + self.tide.map_or(0.0, |tide| tide.at(hours));
        #[allow(clippy::cast_precision_loss)]
        let story_hours = (unix_ms - self.start_ms) as f64 / 1_000.0 / HOUR_SECS;
        self.round(calm.clamp(self.low, self.high) + self.story.at(story_hours))
    }

    /// What a device shows that broke at a time.
    pub fn stuck(&self, since_ms: i64) -> f64 {
        self.broken.unwrap_or_else(|| self.value(since_ms))
    }

    /// What a device shows that measures the calibration standard.
    pub fn standard(&self) -> f64 {
        self.round(self.base * 1.5)
    }

    fn round(&self, value: f64) -> f64 {
        let factor = 10_f64.powi(self.decimals);
        let rounded = (value * factor).round() / factor;
        if rounded.is_finite() { rounded } else { 0.0 }
    }

    /// Amplitudes as shares of the base.
    fn around(&mut self, base: f64, swing: f64, weather: f64, drift: f64, jitter: f64) {
        self.base = base;
        self.swing = base * swing;
        self.weather = base * weather;
        self.drift = base * drift;
        self.jitter = base * jitter;
    }

    /// Wanders within a usual range.
    fn within(&mut self, (low, high, rhythm): (f64, f64, Rhythm), key: u64) {
        let width = high - low;
        self.base = between(key, low + 0.25 * width, high - 0.25 * width);
        self.rhythm = rhythm;
        self.swing = if matches!(rhythm, Rhythm::None) { 0.0 } else { 0.1 * width };
        (self.weather, self.drift, self.jitter) = (0.12 * width, 0.1 * width, 0.03 * width);
        (self.low, self.high) = (low, high);
    }

    fn air(&mut self, code: &str, parameter: &Parameter, place: &Place<'_>) {
        let rank = place.station.rank;
        let level = |low: f64, high: f64| low + (high - low) * rank;
        // From clean to bad across the stations, so that every band of the index can be seen.
        let fine_dust = level(23.0, 80.0);
        let smog = if place.scenario == Scenario::Smog && place.station.is_in_smog() {
            between(place.station.key, 95.0, 125.0)
        } else {
            0.0
        };
        match code {
            "pm25" => {
                self.rhythm = Rhythm::Dust;
                self.around(fine_dust, 0.12, 0.05, 0.05, 0.03);
                (self.low, self.high) = (18.0, 92.0);
                self.story = Story::smog(smog);
            }
            "pm10" | "tsp" => {
                let factor = if code == "pm10" { 1.5 } else { 2.1 };
                self.rhythm = Rhythm::Dust;
                self.around(fine_dust * factor, 0.12, 0.05, 0.05, 0.03);
                (self.low, self.high) = (18.0 * factor, 92.0 * factor);
                self.story = Story::smog(smog * factor);
            }
            "o3" => {
                self.rhythm = Rhythm::Afternoon;
                self.around(level(82.0, 60.0), 0.5, 0.1, 0.08, 0.03);
                (self.low, self.high) = (12.0, 150.0);
            }
            "no2" | "no" | "nox" => {
                self.rhythm = Rhythm::Traffic;
                self.around(level(16.0, 40.0), 0.35, 0.1, 0.1, 0.04);
                (self.low, self.high) = (4.0, 90.0);
            }
            "so2" => {
                self.around(level(8.0, 30.0), 0.0, 0.15, 0.15, 0.05);
                (self.low, self.high) = (2.0, 60.0);
            }
            "co" => {
                self.rhythm = Rhythm::Traffic;
                self.around(level(480.0, 1_100.0), 0.25, 0.05, 0.06, 0.03);
                (self.low, self.high) = (300.0, 1_500.0);
            }
            _ => self.within(tables::weather(code), self.jitter_key),
        }
        let is_gas = matches!(code, "pm25" | "pm10" | "tsp" | "o3" | "no2" | "no" | "nox" | "so2" | "co");
        // The numbers above are µg/m³.
        if is_gas && parameter.unit.starts_with("mg") {
            self.scale(0.001);
        }
    }

    fn scale(&mut self, factor: f64) {
        for amount in [
            &mut self.base,
            &mut self.swing,
            &mut self.weather,
            &mut self.drift,
            &mut self.jitter,
            &mut self.low,
            &mut self.high,
        ] {
            *amount *= factor;
        }
        self.story = self.story.scaled(factor);
    }

    /// Wastewater outlets and stacks: below the limit, a few in a hundred above it.
    fn outlet(&mut self, code: &str, parameter: &Parameter, place: &Place<'_>, key: u64) {
        let is_stack = place.station.kind == LayerKind::StackStation;
        if tables::is_temperature(code) {
            return self.within(if is_stack { (95.0, 165.0, Rhythm::Shift) } else { (27.0, 36.0, Rhythm::Shift) }, key);
        }
        match (parameter.limit_min, parameter.limit_max) {
            (Some(low), Some(high)) => {
                let width = high - low;
                self.within((low + 0.2 * width, high - 0.2 * width, Rhythm::None), key);
            }
            (None, Some(limit)) => {
                let share = if place.exceeds { between(key, 1.15, 1.4) } else { between(key, 0.38, 0.72) };
                self.rhythm = Rhythm::Shift;
                self.around(limit * share, 0.06, 0.03, 0.06, 0.02);
                self.low = 0.0;
            }
            (Some(limit), None) => {
                self.around(limit * between(key, 1.25, 1.7), 0.0, 0.04, 0.06, 0.02);
                self.low = 0.0;
            }
            (None, None) => self.within(if is_stack { tables::stack(code) } else { tables::wastewater(code) }, key),
        }
    }

    fn level(&mut self, code: &str, place: &Place<'_>, key: u64) {
        if !(code.contains("level") || code.contains("mucnuoc") || code == "h") {
            return self.within(tables::other(code), key);
        }
        let name = model::fold(&place.station.name);
        let is_reservoir = name.starts_with("ho ") || name.contains(" ho ") || name.contains("dau tieng");
        let rise_m = if is_reservoir {
            self.base = between(key, 22.6, 23.4);
            (self.weather, self.drift, self.jitter) = (0.12, 0.02, 0.005);
            (self.low, self.high) = (22.0, 24.0);
            1.4
        } else {
            let latitude = place.station.center[1];
            self.base = between(key, 0.55, 0.95);
            (self.weather, self.drift, self.jitter) = (0.12, 0.04, 0.01);
            self.tide = Some(Tide::new(latitude));
            1.7
        };
        if place.scenario == Scenario::Flood {
            self.story = Story::Flood { rise_m };
        }
    }

    fn frames(&mut self) {
        self.base = 24.5;
        self.jitter = 0.5;
        (self.low, self.high) = (24.0, 25.0);
        self.broken = Some(2.0);
    }
}
