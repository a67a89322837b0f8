//! Pages of observations: found by arithmetic on time indices, so that any page of years of history costs the same.

use super::entities::{Key, Set, describe};
use super::filter::{Comparison, Literal, Op};
use super::query::{Options, Order};
use crate::app::App;
use crate::http::Trouble;
use crate::network::{Datastream, Network};
use crate::stations::Station;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Over several datastreams in the order of time, pages are found by merging; this far at most.
const MAX_MERGE_SKIP: usize = 100_000;

/// The answer to a question about observations.
pub(super) struct Found {
    pub keys: Vec<Key>,
    pub count: u64,
}

/// What is left of a datastream after the filter: time indices, both ends included, never empty.
#[derive(Clone, Copy, Debug)]
struct Run {
    stream: usize,
    first: i64,
    last: i64,
}

impl Run {
    fn len(self) -> u64 {
        u64::try_from(self.last - self.first + 1).unwrap_or(0)
    }
}

/// # Errors
/// 400 for filters and orders that observations do not have.
pub(super) fn find(app: &App, streams: &[usize], options: &Options, as_of_ms: i64) -> Result<Found, Trouble> {
    let network = &app.network;
    let mut runs = Vec::with_capacity(streams.len());
    for number in streams {
        let Some(stream) = network.streams.get(*number) else { continue };
        let station = network.station_of(stream);
        let Some((mut first, mut last)) = network.range(station, as_of_ms) else { continue };
        let mut kept = true;
        for comparison in &options.filter {
            let (from, to, fits) = bounds(app, comparison, stream, station, as_of_ms)?;
            first = first.max(from);
            last = last.min(to);
            kept = kept && fits;
        }
        if kept && first <= last {
            runs.push(Run { stream: *number, first, last });
        }
    }
    let count = runs.iter().map(|run| run.len()).sum();
    let (skip, top) = (options.skip, options.page_size());
    let keys = match options.orderby.first() {
        None => in_id_order(&runs, false, skip, top),
        Some(Order { path, descending }) => match path.as_str() {
            "id" | "@iot.id" => in_id_order(&runs, *descending, skip, top),
            // Within one datastream all orders are the same.
            "phenomenonTime" | "resultTime" if runs.len() < 2 => in_id_order(&runs, *descending, skip, top),
            "phenomenonTime" => merged(network, &runs, *descending, skip, top, Station::measured_ms)?,
            "resultTime" => merged(network, &runs, *descending, skip, top, Station::arrives_ms)?,
            _ => {
                return Err(Trouble::bad(format!(
                    "$orderby={path}: observations are ordered by phenomenonTime, resultTime or id"
                )));
            }
        },
    };
    Ok(Found { keys, count })
}

/// The time indices that a comparison leaves, and whether it leaves the datastream at all.
fn bounds(
    app: &App,
    comparison: &Comparison,
    stream: &Datastream,
    station: &Station,
    now_ms: i64,
) -> Result<(i64, i64, bool), Trouble> {
    const ALL: (i64, i64) = (i64::MIN, i64::MAX);
    let delay_ms = match comparison.path.as_str() {
        "phenomenonTime" => 0,
        "resultTime" => station.delay_ms,
        "id" | "@iot.id" => {
            let Literal::Number(id) = comparison.literal else {
                return Err(Trouble::bad("$filter: an id is a number"));
            };
            if comparison.op != Op::Eq {
                return Err(Trouble::bad("$filter: the id of an observation takes eq only"));
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates; a wrong id matches nothing
            let (stream_id, index) = Network::split_id(id as u64);
            return Ok((index, index, stream_id == stream.id));
        }
        path => {
            let Some(rest) = path.strip_prefix("Datastream/") else {
                return Err(Trouble::bad(format!(
                    "$filter: {path:?}: observations are filtered by phenomenonTime, resultTime, id and Datastream/…"
                )));
            };
            let inner = Comparison { path: rest.to_owned(), ..comparison.clone() };
            let entity = describe(app, Key::Entity(Set::Datastreams, stream.id), "", now_ms);
            return Ok((ALL.0, ALL.1, entity.is_some_and(|entity| inner.holds(&entity))));
        }
    };
    let time = comparison.time().ok_or_else(|| {
        Trouble::bad(format!("$filter: {} is compared with a time, for example 2026-11-23T00:00:00Z", comparison.path))
    })?;
    // In nanoseconds: a time between two measurements must not round onto one of them.
    let nanos = time.as_nanosecond() - i128::from(delay_ms) * 1_000_000;
    let step = i128::from(station.interval_ms) * 1_000_000;
    let narrow = |index: i128| i64::try_from(index).unwrap_or(if index < 0 { i64::MIN } else { i64::MAX });
    let floor = narrow(nanos.div_euclid(step));
    let ceil = narrow(-(-nanos).div_euclid(step));
    let (from, to) = match comparison.op {
        Op::Ge => (ceil, ALL.1),
        Op::Gt => (floor.saturating_add(1), ALL.1),
        Op::Le => (ALL.0, floor),
        Op::Lt => (ALL.0, ceil.saturating_sub(1)),
        Op::Eq => (ceil, floor),
        Op::Ne => return Err(Trouble::bad("$filter: times take eq, ge, gt, le and lt")),
    };
    Ok((from, to, true))
}

/// Datastream after datastream, which is the order of the ids.
fn in_id_order(runs: &[Run], descending: bool, skip: usize, top: usize) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut skip = skip as u64;
    let mut ordered = runs.to_vec();
    if descending {
        ordered.reverse();
    }
    for run in ordered {
        if skip >= run.len() {
            skip -= run.len();
            continue;
        }
        let jump = i64::try_from(skip).unwrap_or(i64::MAX);
        skip = 0;
        let left = i64::try_from(top - keys.len()).unwrap_or(i64::MAX);
        let take = left.min(run.last - run.first + 1 - jump);
        keys.extend((0..take).map(|step| {
            let index = if descending { run.last - jump - step } else { run.first + jump + step };
            Key::Observation(run.stream, index)
        }));
        if keys.len() >= top {
            break;
        }
    }
    keys
}

fn merged(
    network: &Network,
    runs: &[Run],
    descending: bool,
    skip: usize,
    top: usize,
    time_ms: impl Fn(&Station, i64) -> i64,
) -> Result<Vec<Key>, Trouble> {
    if skip > MAX_MERGE_SKIP {
        return Err(Trouble::bad(format!(
            "$skip={skip}: over several datastreams in the order of time at most {MAX_MERGE_SKIP}; narrow by phenomenonTime"
        )));
    }
    // A min-heap on (time, datastream); for the other direction the times count backwards.
    let sign = if descending { -1 } else { 1 };
    let entry = |run: &Run, index: i64| {
        let station = network.station_of(&network.streams[run.stream]);
        Reverse((sign * time_ms(station, index), run.stream, index, run.first, run.last))
    };
    let mut heap: BinaryHeap<_> =
        runs.iter().map(|run| entry(run, if descending { run.last } else { run.first })).collect();
    let mut keys = Vec::new();
    let mut passed = 0;
    while keys.len() < top
        && let Some(Reverse((_, stream, index, first, last))) = heap.pop()
    {
        if passed >= skip {
            keys.push(Key::Observation(stream, index));
        }
        passed += 1;
        let next = index + sign;
        if (first..=last).contains(&next) {
            heap.push(entry(&Run { stream, first, last }, next));
        }
    }
    Ok(keys)
}
