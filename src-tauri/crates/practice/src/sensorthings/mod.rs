//! OGC SensorThings 1.1, reading only: Things, Locations, Datastreams, Sensors, ObservedProperties, Observations,
//! FeaturesOfInterest.

mod entities;
mod filter;
mod observations;
mod query;

use crate::app::App;
use crate::http::{self, Trouble, base_url, query_of};
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use entities::{Key, Set, Target, all, by_id, describe, related};
use filter::property;
use query::{Options, Order};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;

const ROOT: &str = "/sensorthings/v1.1";
/// Entities in one answer, expanded ones counted: a larger question is a mistake, not a need.
const MAX_ENTITIES: usize = 100_000;

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/sensorthings/v1.1", get(root))
        .route("/sensorthings/v1.1/", get(root))
        .route("/sensorthings/v1.1/{*path}", get(resource))
}

async fn root(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Trouble> {
    let root = format!("{}{ROOT}", base_url(&headers, &app));
    let sets: Vec<Value> =
        Set::ALL.iter().map(|set| json!({ "name": set.name(), "url": format!("{root}/{}", set.name()) })).collect();
    Ok(http::text(
        http::JSON,
        http::to_json(&json!({
            "value": sets,
            "serverSettings": {
                "conformance": ["http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel"],
                "practice": true,
            },
        }))?,
    ))
}

async fn resource(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let options = Options::parse(http::pairs(query.as_deref()))?;
    let now_ms = app.clock.now_ms();
    let answer = Answer {
        root: format!("{}{ROOT}", base_url(&headers, &app)),
        // A page token cannot look into the future.
        as_of_ms: options.as_of_ms.map_or(now_ms, |as_of_ms| as_of_ms.min(now_ms)),
        left: Cell::new(MAX_ENTITIES),
        app: &app,
    };
    let path = path.trim_end_matches('/');
    let body = match answer.resolve(path)? {
        Target::One(key) => answer.entity(key, &options)?,
        target => {
            let page = answer.page(&target, &options, &format!("{}/{path}", answer.root))?;
            let mut whole = Map::new();
            if let Some(count) = page.count {
                whole.insert("@iot.count".into(), count.into());
            }
            if let Some(next) = page.next {
                whole.insert("@iot.nextLink".into(), next.into());
            }
            whole.insert("value".into(), page.entities.into());
            Value::Object(whole)
        }
    };
    Ok(http::text(http::JSON, http::to_json(&body)?))
}

/// One request's view.
struct Answer<'a> {
    app: &'a App,
    root: String,
    as_of_ms: i64,
    left: Cell<usize>,
}

struct Page {
    entities: Vec<Value>,
    count: Option<u64>,
    next: Option<String>,
}

impl Answer<'_> {
    /// `Datastreams(5)/Observations` and the like.
    fn resolve(&self, path: &str) -> Result<Target, Trouble> {
        let nothing = |what: &str| Trouble::missing(format!("{path}: {what}"));
        let mut target: Option<Target> = None;
        for segment in path.split('/') {
            let (name, id) = match segment.split_once('(') {
                Some((name, rest)) => {
                    let id = rest.strip_suffix(')').and_then(|id| id.parse::<u64>().ok());
                    (name, Some(id.ok_or_else(|| nothing(&format!("{segment:?} is no Name(number)")))?))
                }
                None => (segment, None),
            };
            let network = &self.app.network;
            let found = match target {
                None => {
                    let set = Set::of_name(name).ok_or_else(|| nothing(&format!("no entity set {name:?}")))?;
                    all(network, set)
                }
                Some(Target::One(key)) => related(network, key, name).ok_or_else(|| {
                    nothing(&format!("{} lead to {}", key.set().name(), key.set().relations().join(", ")))
                })?,
                Some(_) => return Err(nothing("a collection leads on by the id of one of its entities only")),
            };
            target = Some(match id {
                None => found,
                Some(id) => Target::One(self.member(&found, id).ok_or_else(|| nothing("no such entity"))?),
            });
        }
        target.ok_or_else(|| nothing("a path is missing"))
    }

    fn member(&self, target: &Target, id: u64) -> Option<Key> {
        let network = &self.app.network;
        match target {
            Target::Many(set, ids) => ids.contains(&id).then_some(Key::Entity(*set, id)),
            Target::Observations(streams) => by_id(network, Set::Observations, id, self.as_of_ms)
                .filter(|key| matches!(key, Key::Observation(stream, _) if streams.contains(stream))),
            Target::One(_) => None,
        }
    }

    fn describe(&self, key: Key) -> Result<Value, Trouble> {
        describe(self.app, key, &self.root, self.as_of_ms).ok_or_else(|| Trouble::missing("no such entity"))
    }

    /// An entity with its expansions.
    fn entity(&self, key: Key, options: &Options) -> Result<Value, Trouble> {
        let whole = self.describe(key)?;
        self.finish(key, whole, options)
    }

    fn finish(&self, key: Key, mut whole: Value, options: &Options) -> Result<Value, Trouble> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| {
            Trouble::bad(format!("the answer would have more than {MAX_ENTITIES} entities; use smaller $top values"))
        })?;
        self.left.set(left);
        if let (Some(select), Value::Object(fields)) = (&options.select, &mut whole) {
            let wanted = |name: &String| select.iter().any(|wish| wish == name);
            fields.retain(|name, _| matches!(name.as_str(), "@iot.id" | "@iot.selfLink") || wanted(name));
        }
        for expand in &options.expand {
            let name = expand.name.as_str();
            let target = related(&self.app.network, key, name).ok_or_else(|| {
                let set = key.set();
                Trouble::bad(format!("$expand={name}: {} expand to {}", set.name(), set.relations().join(", ")))
            })?;
            match target {
                Target::One(inner) => whole[name] = self.entity(inner, &expand.options)?,
                target => {
                    let at = format!("{}/{}({})/{name}", self.root, key.set().name(), whole["@iot.id"]);
                    let page = self.page(&target, &expand.options, &at)?;
                    if let Some(count) = page.count {
                        whole[format!("{name}@iot.count")] = count.into();
                    }
                    if let Some(next) = page.next {
                        whole[format!("{name}@iot.nextLink")] = next.into();
                    }
                    whole[name] = page.entities.into();
                }
            }
        }
        Ok(whole)
    }

    /// One page of a collection that stands at the address `at`.
    fn page(&self, target: &Target, options: &Options, at: &str) -> Result<Page, Trouble> {
        let (entities, count, pinned) = match target {
            Target::Observations(streams) => {
                let found = observations::find(self.app, streams, options, self.as_of_ms)?;
                let entities =
                    found.keys.iter().map(|key| self.entity(*key, options)).collect::<Result<Vec<_>, _>>()?;
                (entities, found.count, Some(self.as_of_ms))
            }
            Target::Many(set, ids) => {
                let (entities, count) = self.select(*set, ids, options)?;
                (entities, count, None)
            }
            Target::One(key) => (vec![self.entity(*key, options)?], 1, None),
        };
        let next = options.skip.saturating_add(entities.len());
        let more = !entities.is_empty() && (next as u64) < count;
        Ok(Page {
            entities,
            count: options.count.then_some(count),
            next: more.then(|| format!("{at}{}", query_of(&options.next(next, pinned)))),
        })
    }

    /// Filter, order and page of a small set; only what is on the page is expanded.
    fn select(&self, set: Set, ids: &[u64], options: &Options) -> Result<(Vec<Value>, u64), Trouble> {
        let simple = options.filter.is_empty() && options.orderby.is_empty();
        let pages = (options.skip, options.page_size());
        if simple {
            let entities = ids
                .iter()
                .skip(pages.0)
                .take(pages.1)
                .map(|id| self.entity(Key::Entity(set, *id), options))
                .collect::<Result<Vec<_>, _>>()?;
            return Ok((entities, ids.len() as u64));
        }
        let mut found = Vec::new();
        for id in ids {
            let whole = self.describe(Key::Entity(set, *id))?;
            if options.filter.iter().all(|comparison| comparison.holds(&whole)) {
                found.push((*id, whole));
            }
        }
        // Stable, so that equal ones stay in the order of their ids and pages fit together.
        found.sort_by(|(_, a), (_, b)| compare(a, b, &options.orderby));
        let count = found.len() as u64;
        let entities = found
            .into_iter()
            .skip(pages.0)
            .take(pages.1)
            .map(|(id, whole)| self.finish(Key::Entity(set, id), whole, options))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((entities, count))
    }
}

fn compare(a: &Value, b: &Value, orders: &[Order]) -> Ordering {
    orders.iter().fold(Ordering::Equal, |so_far, order| {
        so_far.then_with(|| {
            let ordering = match (property(a, &order.path), property(b, &order.path)) {
                (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
                (Some(Value::Number(a)), Some(Value::Number(b))) => {
                    a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
                }
                (a, b) => a.is_some().cmp(&b.is_some()),
            };
            if order.descending { ordering.reverse() } else { ordering }
        })
    })
}
