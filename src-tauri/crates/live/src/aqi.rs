//! The hourly Vietnamese air quality index, VN_AQI (Decision 1459/QĐ-TCMT, 12/11/2019).
//!
//! All concentrations are µg/m³, CO too. Intervals are contiguous (25 → 50, not 25.1 → 51). The table was checked
//! second-hand, against a transcription of the decision and two public implementations.

use model::Timestamp;
use std::collections::BTreeMap;

/// A pollutant of the hourly index; ozone by its one-hour table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pollutant {
    Pm25,
    Pm10,
    O3,
    No2,
    So2,
    Co,
}

impl Pollutant {
    pub const ALL: [Self; 6] = [Self::Pm25, Self::Pm10, Self::O3, Self::No2, Self::So2, Self::Co];

    /// The parameter code of profiles and tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Pm25 => "pm25",
            Self::Pm10 => "pm10",
            Self::O3 => "o3",
            Self::No2 => "no2",
            Self::So2 => "so2",
            Self::Co => "co",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pollutant| pollutant.code() == code)
    }

    /// Particles enter the hourly index by their NowCast, gases by the hour's mean.
    fn by_nowcast(self) -> bool {
        matches!(self, Self::Pm25 | Self::Pm10)
    }

    /// Table 2 of the decision: the concentrations at the index values of [`INDEX`].
    fn breakpoints(self) -> [f64; 8] {
        match self {
            Self::Pm25 => [0.0, 25.0, 50.0, 80.0, 150.0, 250.0, 350.0, 500.0],
            Self::Pm10 => [0.0, 50.0, 150.0, 250.0, 350.0, 420.0, 500.0, 600.0],
            Self::O3 => [0.0, 160.0, 200.0, 300.0, 400.0, 800.0, 1000.0, 1200.0],
            Self::No2 => [0.0, 100.0, 200.0, 700.0, 1200.0, 2350.0, 3100.0, 3850.0],
            Self::So2 => [0.0, 125.0, 350.0, 550.0, 800.0, 1600.0, 2100.0, 2630.0],
            Self::Co => [0.0, 10_000.0, 30_000.0, 45_000.0, 60_000.0, 90_000.0, 120_000.0, 150_000.0],
        }
    }
}

const INDEX: [f64; 8] = [0.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0];

/// The sub-index of a concentration in µg/m³, rounded half up; 500 above the table (convention).
/// `None` for a negative or non-finite concentration.
pub fn sub_index(pollutant: Pollutant, concentration: f64) -> Option<u16> {
    if !concentration.is_finite() || concentration < 0.0 {
        return None;
    }
    let points = pollutant.breakpoints();
    for i in 1..points.len() {
        if concentration <= points[i] {
            let share = (concentration - points[i - 1]) / (points[i] - points[i - 1]);
            let index = INDEX[i - 1] + share * (INDEX[i] - INDEX[i - 1]);
            // The tiny lift keeps 109.5 from arriving as 109.49999…
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            return Some((index + 0.5 + 1e-9).floor() as u16);
        }
    }
    Some(500)
}

/// The band of an index value: 1 Tốt … 6 Nguy hại.
pub fn level(index: u16) -> u8 {
    match index {
        0..=50 => 1,
        51..=100 => 2,
        101..=150 => 3,
        151..=200 => 4,
        201..=300 => 5,
        _ => 6,
    }
}

/// NowCast of twelve hourly means, newest first. At least two of the newest three hours must be there.
///
/// Missing hours weigh nothing and the sum is normalised, because the text's own form for w = ½ under-reads with gaps.
pub fn nowcast(newest_first: &[Option<f64>; 12]) -> Option<f64> {
    if newest_first[..3].iter().flatten().count() < 2 {
        return None;
    }
    let known = || newest_first.iter().flatten().copied();
    let (low, high) = known().fold((f64::INFINITY, 0.0_f64), |(low, high), c| (low.min(c), high.max(c)));
    let weight = if high > 0.0 { (low / high).max(0.5) } else { 1.0 };
    let (mut sum, mut weights, mut w) = (0.0, 0.0, 1.0);
    for concentration in newest_first {
        if let Some(concentration) = concentration {
            sum += w * concentration;
            weights += w;
        }
        w *= weight;
    }
    Some(sum / weights)
}

/// Why there is no index for an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoIndex {
    /// Neither PM2.5 nor PM10 has enough hours; the decision demands one of them.
    NoParticles,
}

/// An hourly index.
#[derive(Clone, Debug, PartialEq)]
pub struct Hourly {
    pub value: u16,
    pub dominant: Pollutant,
    pub sub: BTreeMap<Pollutant, u16>,
}

/// Hourly means by pollutant, keyed by the hour's end in Unix hours.
pub type HourlyMeans = BTreeMap<Pollutant, BTreeMap<i64, f64>>;

/// An hour's mean counts when this share of its measurements is there. The decision names no share for raw values;
/// 75 % is the usual rule of national networks [unverified for Vietnam].
const LEAST_SHARE: f64 = 0.75;

/// Means of the hours (t − 1 h, t] from raw values, keyed by the hour's end in Unix hours.
pub fn hourly_means(values: impl IntoIterator<Item = (Timestamp, f64)>, interval_secs: u64) -> BTreeMap<i64, f64> {
    let mut hours: BTreeMap<i64, (f64, u32)> = BTreeMap::new();
    for (at, value) in values {
        let hour = (at.as_second() + 3_599).div_euclid(3_600);
        let slot = hours.entry(hour).or_default();
        slot.0 += value;
        slot.1 += 1;
    }
    #[allow(clippy::cast_precision_loss)]
    let least = (3_600.0 / interval_secs.max(1) as f64 * LEAST_SHARE).ceil();
    hours
        .into_iter()
        .filter(|(_, (_, count))| f64::from(*count) >= least)
        .map(|(hour, (sum, count))| (hour, sum / f64::from(count)))
        .collect()
}

/// The index of the hour that ends at `hour` (Unix hours).
///
/// # Errors
/// [`NoIndex::NoParticles`] when neither particle size can be rated.
pub fn hourly(means: &HourlyMeans, hour: i64) -> Result<Hourly, NoIndex> {
    let mut sub = BTreeMap::new();
    for (pollutant, hours) in means {
        let concentration = if pollutant.by_nowcast() {
            let mut newest_first = [None; 12];
            for (back, slot) in (0_i64..).zip(newest_first.iter_mut()) {
                *slot = hours.get(&(hour - back)).copied();
            }
            nowcast(&newest_first)
        } else {
            hours.get(&hour).copied()
        };
        if let Some(index) = concentration.and_then(|c| sub_index(*pollutant, c)) {
            sub.insert(*pollutant, index);
        }
    }
    if !sub.keys().any(|pollutant| pollutant.by_nowcast()) {
        return Err(NoIndex::NoParticles);
    }
    // The first of the highest, in table order, so that ties always read the same.
    let (dominant, value) =
        sub.iter().fold((Pollutant::Pm25, 0), |best, (p, v)| if *v > best.1 { (*p, *v) } else { best });
    Ok(Hourly { value, dominant, sub })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECISION_HOURS: [f64; 12] = [20.6, 19.6, 22.4, 20.3, 16.5, 19.0, 16.5, 19.5, 23.5, 20.5, 24.7, 26.9];

    #[test]
    fn nowcast_matches_the_decisions_example() {
        let cast = nowcast(&DECISION_HOURS.map(Some)).unwrap();
        assert!((cast - 20.2658).abs() < 1e-3, "{cast}");
    }

    #[test]
    fn nowcast_normalises_and_needs_two_of_three() {
        let mut hours = [Some(20.0); 12];
        hours[0] = Some(100.0);
        assert!((nowcast(&hours).unwrap() - 60.009_768).abs() < 1e-5);
        hours[1] = None;
        hours[4] = None;
        assert!((nowcast(&hours).unwrap() - 75.671_084).abs() < 1e-5);
        hours[0] = None;
        assert_eq!(nowcast(&hours), None);
    }

    #[test]
    fn sub_indices_match_the_decision_and_its_table() {
        for (pollutant, concentration, expected) in [
            (Pollutant::O3, 136.1, 43),
            // The decision prints 60; its own formula gives 59.35 (known erratum).
            (Pollutant::No2, 118.7, 59),
            (Pollutant::Pm25, 20.3, 41),
            (Pollutant::Pm25, 55.7, 110),
            (Pollutant::Pm25, 0.0, 0),
            (Pollutant::Pm25, 25.0, 50),
            (Pollutant::Pm25, 500.0, 500),
            (Pollutant::Pm25, 750.0, 500),
            (Pollutant::Co, 10_000.0, 50),
            (Pollutant::Co, 150_000.0, 500),
            (Pollutant::So2, 125.0, 50),
            (Pollutant::Pm10, 600.0, 500),
        ] {
            assert_eq!(sub_index(pollutant, concentration), Some(expected), "{pollutant:?} {concentration}");
        }
        assert_eq!(sub_index(Pollutant::Pm25, -1.0), None);
        assert_eq!(sub_index(Pollutant::Pm25, f64::NAN), None);
    }

    #[test]
    fn index_needs_particles() {
        let gas_only = HourlyMeans::from([(Pollutant::O3, BTreeMap::from([(10, 136.1)]))]);
        assert_eq!(hourly(&gas_only, 10), Err(NoIndex::NoParticles));
        let pm = (0..12).map(|back| (10 - back, DECISION_HOURS[usize::try_from(back).unwrap()])).collect();
        let mut means = gas_only;
        means.insert(Pollutant::Pm25, pm);
        let index = hourly(&means, 10).unwrap();
        assert_eq!((index.value, index.dominant), (43, Pollutant::O3));
        assert_eq!(index.sub[&Pollutant::Pm25], 41);
    }

    #[test]
    fn hour_with_too_few_measurements_has_no_mean() {
        let at = |minute: i64| (Timestamp::from_second(3_600 * 5 + minute * 60).unwrap(), 10.0);
        let eight = hourly_means((1..=8).map(|i| at(i * 5)), 300);
        assert!(eight.is_empty());
        let nine = hourly_means((1..=9).map(|i| at(i * 5)), 300);
        assert_eq!(nine, BTreeMap::from([(6, 10.0)]));
        // A value on the hour belongs to the hour it ends.
        let on_the_hour = hourly_means((4..=12).map(|i| at(i * 5)), 300);
        assert_eq!(on_the_hour, BTreeMap::from([(6, 10.0)]));
    }
}
