//! The hours nobody listened: before the program started, while the line was lost, and those a chart asks for.

use super::stations::{layers_of, series_of, take};
use crate::Desk;
use crate::api::JobState;
use crate::layers::Layer;
use model::{FeatureId, LayerId, LayerKind, LinkState, SourceSpec, Timestamp};
use sources::sensorthings;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// VN_AQI looks back 12 hours, its trend three more, the chart 24 and NowCast before them.
const BACKFILL_HOURS: i64 = 36;
/// How often a lost link is looked at for having healed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What could not be fetched is asked for again after this, and after twice as long each further time.
const AGAIN_FIRST: Duration = Duration::from_secs(4);
const AGAIN_LAST: Duration = Duration::from_secs(3_600);
/// A chart's station is not asked again for the same hours within this.
const ASK_AGAIN_SECS: i64 = 600;

type Station = (LayerId, FeatureId);
/// The stations whose values are missing, each with the moment from which on.
type Owed = BTreeMap<Station, Timestamp>;

fn owe(owed: &mut Owed, station: Station, from: Timestamp) {
    owed.entry(station).and_modify(|held| *held = from.min(*held)).or_insert(from);
}

fn stations_of(layer: &Layer) -> impl Iterator<Item = Station> {
    layer.picture.ordinals().filter_map(|o| Some((layer.spec.id.clone(), layer.picture.id(o)?.to_owned())))
}

/// Fills what is missing whenever the source answers, until nothing is.
pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec) {
    let mut owed = Owed::new();
    let mut known: HashSet<Station> = HashSet::new();
    let mut again = AGAIN_FIRST;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if desk.links().state(&source.id) != LinkState::Up || desk.is_paused(&source.id) {
            continue;
        }
        let now = desk.now();
        // Without the hours before, an air station has no index; also one that a sync brings in later.
        let start = now - jiff::SignedDuration::from_hours(BACKFILL_HOURS);
        for layer in layers_of(&desk, &source).iter().filter(|layer| layer.spec.kind == LayerKind::AirStation) {
            for station in stations_of(layer) {
                if known.insert(station.clone()) {
                    owe(&mut owed, station, start);
                }
            }
        }
        if let Some(from) = desk.links().take_gap(&source.id) {
            desk.owe_gap(&mut owed, &source, from, now);
            again = AGAIN_FIRST;
        }
        if owed.is_empty() {
            continue;
        }
        fill(&desk, &source, &mut owed).await;
        if owed.is_empty() {
            again = AGAIN_FIRST;
        } else {
            tokio::time::sleep(again).await;
            again = (again * 2).min(AGAIN_LAST);
        }
    }
}

/// Fetches the hours before for the air stations that have no index; nothing when all have one.
pub(super) async fn once(desk: &Arc<Desk>, source: &SourceSpec) {
    let now = desk.now();
    let mut owed = Owed::new();
    for layer in layers_of(desk, source).iter().filter(|layer| layer.spec.kind == LayerKind::AirStation) {
        let mut live = desk.live().lock();
        let Some(overlay) = live.get_mut(&layer.spec.id) else { continue };
        for station in stations_of(layer) {
            if !matches!(overlay.aqi(&station.1, now), Some((_, Ok(_)))) {
                owed.insert(station, now - jiff::SignedDuration::from_hours(BACKFILL_HOURS));
            }
        }
    }
    if !owed.is_empty() {
        fill(desk, source, &mut owed).await;
    }
}

/// Fetches what is owed and takes off the list what came. What stays on it is worth another try.
async fn fill(desk: &Arc<Desk>, source: &SourceSpec, owed: &mut Owed) {
    let Some(root) = desk.links().url(&source.id) else { return owed.clear() };
    // Without its secret the source is not asked; catching up says so.
    let Ok(client) = desk.client_for(source, &root).await else { return };
    let job = desk.begin_job("backfill");
    let total = u64::try_from(owed.len()).unwrap_or(0);
    let to = desk.now();
    for (done, (station, from)) in (0_u64..).zip(owed.clone()) {
        if !job.progress(done, total) {
            // A person who stops it does not want it to begin again.
            owed.clear();
            return job.finish(JobState::Cancelled);
        }
        let Some(layer) = desk.layers().get(&station.0) else {
            owed.remove(&station);
            continue;
        };
        let series = series_of(&layer, &station.1);
        match sensorthings::history(&client, &root, &series, from, to).await {
            Ok(readings) => {
                take(desk, readings.observations).await;
                owed.remove(&station);
            }
            // What the source refuses for good is not to be had; the other stations are.
            Err(error) if !error.retryable() => {
                owed.remove(&station);
            }
            Err(error) if super::answered(&error) => {}
            // The listener finds out about the line; the job only says that it is not whole.
            Err(_) => break,
        }
    }
    job.finish(if owed.is_empty() { JobState::Done } else { JobState::Failed });
}

impl Desk {
    /// After an outage every station may have measured what nobody fetched, if it measures that often.
    fn owe_gap(&self, owed: &mut Owed, source: &SourceSpec, from: Timestamp, now: Timestamp) {
        let from = from.max(now - jiff::SignedDuration::from_hours(super::KEEP_DAYS * 24));
        let gap_secs = now.as_second() - from.as_second();
        for layer in layers_of(self, source) {
            let interval_secs = layer.spec.interval.map_or(300, model::Span::as_secs);
            // In a shorter gap lies at most the newest value, which catching up has brought.
            let missed = i64::try_from(interval_secs).is_ok_and(|interval| gap_secs >= interval);
            if missed && !self.is_frequent(&layer.spec.id) {
                stations_of(&layer).for_each(|station| owe(owed, station, from));
            }
        }
    }

    /// Fetches a station's values that the history lacks, while its source answers. Best effort: the chart shows gaps
    /// for what cannot be had.
    pub(crate) async fn fill_history(self: &Desk, layer: &Layer, id: &str, from: Timestamp, to: Timestamp) {
        let profile = self.profile();
        let Some(source) = layer.spec.live_source.as_ref().and_then(|id| profile.source(id)) else { return };
        let (Some(root), LinkState::Up) = (self.links().url(&source.id), self.links().state(&source.id)) else {
            return;
        };
        // The history of frequent layers is sparse on purpose.
        if self.is_frequent(&layer.spec.id) {
            return;
        }
        let interval_secs = i64::try_from(layer.spec.interval.map_or(300, model::Span::as_secs)).unwrap_or(300);
        let Ok(rows) = self.history().range(&layer.spec.id, id, None, from, to) else { return };
        let expected = (to.as_second() - from.as_second()) / interval_secs.max(1);
        // A station need not measure all that its layer knows: what it never sent is not missing.
        let mut seen: HashSet<&str> = rows.iter().map(|row| row.parameter.as_str()).collect();
        let live: Vec<String> = self.live().lock().get(&layer.spec.id).map_or_else(Vec::new, |overlay| {
            overlay.readings(id).into_iter().map(|reading| reading.code.clone()).collect()
        });
        seen.extend(live.iter().map(String::as_str));
        let parameters = i64::try_from(seen.len().max(1)).unwrap_or(1);
        let held = i64::try_from(rows.len()).unwrap_or(i64::MAX) / parameters;
        // Not all of it: the newest value may be on its way, and the first lie at the edge.
        if held * 100 >= expected * 98 || expected > 20_000 {
            return;
        }
        let asked = (layer.spec.id.clone(), id.to_owned(), from.as_second().div_euclid(3_600));
        if !self.writing().lock().asked().may(asked.clone(), self.now()) {
            return;
        }
        let series = series_of(layer, id);
        let Ok(client) = self.client_for(source, &root).await else { return };
        match sensorthings::history(&client, &root, &series, from, to).await {
            Ok(readings) => {
                let now = self.now();
                let _ = self.history().record_at(&self.worth_keeping(readings.observations), now);
            }
            // Nothing came, so the next look may ask again.
            Err(error) if error.retryable() => self.writing().lock().asked().forget(&asked),
            Err(_) => {}
        }
    }
}

/// What charts asked the sources for: layer, station and the hour from which on → when, in Unix seconds.
#[derive(Default)]
pub(crate) struct Asked(BTreeMap<(LayerId, FeatureId, i64), i64>);

impl Asked {
    /// True when this was not asked of late; then it counts as asked.
    pub(super) fn may(&mut self, key: (LayerId, FeatureId, i64), now: Timestamp) -> bool {
        let now_secs = now.as_second();
        // Also forgets what no chart will ask for again, so that it does not grow.
        self.0.retain(|_, at| (0..ASK_AGAIN_SECS).contains(&(now_secs - *at)));
        let may = !self.0.contains_key(&key);
        self.0.entry(key).or_insert(now_secs);
        may
    }

    pub(super) fn forget(&mut self, key: &(LayerId, FeatureId, i64)) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_hours_of_a_station_are_asked_for_once_in_ten_minutes() {
        let mut asked = Asked::default();
        let key = |hour| (LayerId::new("air_stations").unwrap(), FeatureId::from("a"), hour);
        let at = |secs: i64| Timestamp::from_second(1_795_000_000 + secs).unwrap();
        assert!(asked.may(key(1), at(0)));
        assert!(!asked.may(key(1), at(599)));
        assert!(asked.may(key(2), at(599)), "another view asks for other hours");
        assert!(asked.may(key(1), at(600)));
        assert_eq!(asked.0.len(), 2);
        asked.forget(&key(1));
        assert!(asked.may(key(1), at(601)), "what failed may be asked for again");
    }

    #[test]
    fn longest_gap_of_a_station_counts() {
        let mut owed = Owed::new();
        let station = || (LayerId::new("air_stations").unwrap(), FeatureId::from("a"));
        let at = |secs: i64| Timestamp::from_second(1_795_000_000 + secs).unwrap();
        owe(&mut owed, station(), at(100));
        owe(&mut owed, station(), at(50));
        owe(&mut owed, station(), at(70));
        assert_eq!(owed[&station()], at(50));
    }
}
