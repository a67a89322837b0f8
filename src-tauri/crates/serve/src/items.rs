//! Features: pages of them, and one alone.

use crate::answer::{Answer, GEO_JSON, State, holds, tag};
use crate::links::{encode, link, query, this};
use crate::problem::Problem;
use crate::request::{Asked, Format};
use crate::{crs, html};
use axum::extract::Path;
use axum::http::HeaderName;
use axum::response::Response;
use desk::{Crs, Form, PublishedLayer, Selection};
use lru::LruCache;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::num::NonZero;
use std::sync::Arc;

const DEFAULT_LIMIT: usize = 100;
/// A greater limit is this one.
pub(crate) const MAX_LIMIT: usize = 10_000;
/// A page ends early when its text is longer: a client follows `next`.
const PAGE_BYTES: usize = 16 << 20;
const CONTENT_CRS: HeaderName = HeaderName::from_static("content-crs");

pub(crate) const ITEMS_PARAMS: [&str; 11] =
    ["f", "limit", "bbox", "bbox-crs", "crs", "datetime", "filter", "filter-lang", "properties", "live", "cursor"];

/// What was found for the last questions, so that the pages of one answer are not looked for anew.
pub(crate) struct Selections(Mutex<LruCache<String, Arc<Vec<u32>>>>);

const KEPT_SELECTIONS: usize = 16;

impl Default for Selections {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(NonZero::new(KEPT_SELECTIONS).unwrap_or(NonZero::<usize>::MIN))))
    }
}

/// The ordinals of the features asked for, ascending.
enum Chosen {
    All(u32),
    Some(Arc<Vec<u32>>),
}

impl Chosen {
    fn len(&self) -> usize {
        match self {
            Self::All(count) => *count as usize,
            Self::Some(list) => list.len(),
        }
    }

    /// How many stand at or before an ordinal.
    fn upto(&self, ordinal: u32) -> usize {
        match self {
            Self::All(count) => (*count).min(ordinal.saturating_add(1)) as usize,
            Self::Some(list) => list.partition_point(|known| *known <= ordinal),
        }
    }

    fn page(&self, start: usize, limit: usize) -> Vec<u32> {
        match self {
            Self::All(count) => (0..*count).skip(start).take(limit).collect(),
            Self::Some(list) => list.iter().skip(start).take(limit).copied().collect(),
        }
    }

    fn get(&self, at: usize) -> Option<u32> {
        match self {
            Self::All(count) => u32::try_from(at).ok().filter(|at| at < count),
            Self::Some(list) => list.get(at).copied(),
        }
    }
}

/// The parameters of `items`, read.
struct Wanted {
    limit: usize,
    /// The version and the ordinal behind which the page begins.
    after: Option<(u32, u32)>,
    selection: Selection,
    form: Form,
}

impl Wanted {
    fn read(asked: &Asked, layer: &PublishedLayer) -> Result<Self, Problem> {
        let limit = match asked.param("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => {
                let number: Option<u64> = text.parse().ok().filter(|number| *number > 0);
                let number = number.ok_or_else(|| Problem::Limit { value: text.to_owned() })?;
                usize::try_from(number).unwrap_or(MAX_LIMIT).min(MAX_LIMIT)
            }
        };
        let after = asked.param("cursor").map(cursor).transpose()?;
        if let Some(language) = asked.param("filter-lang").filter(|language| *language != "cql2-text") {
            return Err(Problem::FilterLanguage { value: language.to_owned() });
        }
        let time = asked
            .param("datetime")
            .map(|text| asked.app.desk.time_of(text).ok_or_else(|| Problem::Datetime { value: text.to_owned() }));
        let form = form(asked, layer)?;
        let selection = Selection {
            bbox: bbox(asked)?,
            filter: asked.param("filter").map(str::to_owned),
            time: time.transpose()?,
            live: form.live,
        };
        Ok(Self { limit, after, selection, form })
    }

    fn narrows(&self) -> bool {
        self.selection.bbox.is_some() || self.selection.filter.is_some() || self.selection.time.is_some()
    }
}

fn cursor(text: &str) -> Result<(u32, u32), Problem> {
    let parts =
        text.split_once('.').and_then(|(version, ordinal)| Some((version.parse().ok()?, ordinal.parse().ok()?)));
    parts.ok_or_else(|| Problem::Cursor { value: text.to_owned() })
}

fn crs_param(asked: &Asked, parameter: &'static str) -> Result<Crs, Problem> {
    let Some(name) = asked.param(parameter) else { return Ok(Crs::CRS84) };
    crs::find(&asked.app.desk.published_crs(), name).ok_or_else(|| Problem::Crs { parameter, value: name.to_owned() })
}

fn bbox(asked: &Asked) -> Result<Option<(Crs, [f64; 4])>, Problem> {
    let system = crs_param(asked, "bbox-crs")?;
    let Some(text) = asked.param("bbox") else { return Ok(None) };
    let numbers: Option<Vec<f64>> =
        text.split(',').map(|part| part.trim().parse().ok().filter(|number: &f64| number.is_finite())).collect();
    match numbers.as_deref() {
        Some([a, b, c, d]) => Ok(Some((system, [*a, *b, *c, *d]))),
        // With heights, which no layer here has.
        Some([a, b, _, c, d, _]) => Ok(Some((system, [*a, *b, *c, *d]))),
        _ => Err(Problem::BBox { value: text.to_owned() }),
    }
}

fn form(asked: &Asked, layer: &PublishedLayer) -> Result<Form, Problem> {
    let live = match asked.param("live") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(Problem::Live { value: other.to_owned() }),
    };
    let properties: Option<Vec<String>> = asked
        .param("properties")
        .map(|names| names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect());
    let live_fields = if live { layer.live_fields() } else { Vec::new() };
    let known = |name: &String| layer.fields().iter().chain(&live_fields).any(|field| field.name == *name);
    if let Some(unknown) = properties.iter().flatten().find(|name| !known(name)) {
        return Err(Problem::Property { property: unknown.clone(), collection: layer.info().id.to_string() });
    }
    Ok(Form { crs: crs_param(asked, "crs")?, live, properties, skip_geometry: false })
}

/// The state of an answer of one version; of a moment where live values are in it.
fn state(asked: &Asked, layer: &PublishedLayer, format: Format, live: bool) -> State {
    if live && layer.info().live.is_some() {
        return State::Moment;
    }
    let info = layer.info();
    let fetched_at = info.provenance.as_ref().map(|provenance| provenance.fetched_at);
    let what = (&asked.base, &asked.path, &asked.params, format, asked.language == desk::api::Language::En);
    State::Tagged(tag(&(info.version, fetched_at.map(|at| at.as_nanosecond()), what)), fetched_at)
}

fn unchanged(asked: &Asked, state: &State) -> bool {
    matches!(state, State::Tagged(etag, modified_at) if holds(asked, etag, *modified_at))
}

fn choose(asked: &Asked, layer: &PublishedLayer, wanted: &Wanted) -> Result<Chosen, Problem> {
    if !wanted.narrows() {
        return Ok(Chosen::All(layer.len()));
    }
    // Live values move between two pages: what is kept would be of another moment.
    if wanted.selection.live {
        return Ok(Chosen::Some(Arc::new(asked.app.desk.select(layer, &wanted.selection)?)));
    }
    let key = format!("{} {} {:?}", layer.info().id, layer.info().version, wanted.selection);
    let selections = &asked.app.selections.0;
    if let Some(known) = selections.lock().get(&key).cloned() {
        return Ok(Chosen::Some(known));
    }
    let found = Arc::new(asked.app.desk.select(layer, &wanted.selection)?);
    selections.lock().put(key, found.clone());
    Ok(Chosen::Some(found))
}

pub(crate) async fn items(asked: Asked, Path(id): Path<String>) -> Response {
    asked.answer(move |asked| page(asked, &id)).await
}

fn page(asked: &Asked, id: &str) -> Result<Answer, Problem> {
    let layer = asked.layer(id)?;
    asked.only(&ITEMS_PARAMS)?;
    let format = asked.format()?;
    let mut wanted = Wanted::read(asked, &layer)?;
    let state = state(asked, &layer, format, wanted.form.live);
    if let Some((version, _)) = wanted.after
        && version != layer.info().version
    {
        return Err(Problem::Replaced { collection: id.to_owned() });
    }
    if unchanged(asked, &state) {
        return Ok(Answer::unchanged(state));
    }
    let chosen = choose(asked, &layer, &wanted)?;
    let start = wanted.after.map_or(0, |(_, ordinal)| chosen.upto(ordinal));
    let ordinals = chosen.page(start, wanted.limit);
    wanted.form.skip_geometry = format == Format::Html;
    let mut features = Vec::new();
    let written = asked.app.desk.write_features(&layer, &ordinals, &wanted.form, PAGE_BYTES, &mut features)?;
    let content_type = GEO_JSON;
    let mut links = this(asked, format, content_type);
    let at = |after: Option<u32>| {
        let cursor = after.map(|ordinal| format!("{}.{ordinal}", layer.info().version));
        let others = asked.params.iter().filter(|(name, _)| name != "cursor" && name != "f");
        let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
        let f = if format == Format::Html { "html" } else { "json" };
        let params = others.chain([("f", f)]).chain(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        format!("{}/collections/{id}/items{}", asked.base, query(params))
    };
    let page_type = if format == Format::Html { "text/html" } else { content_type };
    if start > 0 {
        let before = start.saturating_sub(wanted.limit);
        let href = at(before.checked_sub(1).and_then(|last| chosen.get(last)));
        links.push(link("prev", page_type, &asked.word("serve.link.prev"), href));
    }
    if start + written < chosen.len() {
        let href = at(written.checked_sub(1).and_then(|last| ordinals.get(last)).copied());
        links.push(link("next", page_type, &asked.word("serve.link.next"), href));
    }
    let collection = format!("{}/collections/{id}?f=json", asked.base);
    links.push(link("collection", "application/json", &asked.word("serve.link.collection"), collection));
    let about = json!({
        "numberMatched": chosen.len(), "numberReturned": written, "timeStamp": asked.app.desk.now().to_string(),
        "asOf": layer.info().as_of, "sample": layer.info().sample, "practice": layer.info().practice,
        "links": links,
    });
    if format == Format::Html {
        features.insert(0, b'[');
        features.push(b']');
        let rows: Vec<Value> = serde_json::from_slice(&features).unwrap_or_default();
        return Ok(Answer::html(html::items(asked, &layer, &about, &rows)).with(state));
    }
    let head = about.to_string();
    let mut body = Vec::with_capacity(features.len() + head.len() + 64);
    body.extend_from_slice(b"{\"type\":\"FeatureCollection\",");
    body.extend_from_slice(head.get(1..head.len().saturating_sub(1)).unwrap_or_default().as_bytes());
    body.extend_from_slice(b",\"features\":[\n");
    body.append(&mut features);
    body.extend_from_slice(b"\n]}\n");
    let mut answer = Answer::new(content_type, body).with(state);
    answer.headers.push((CONTENT_CRS, format!("<{}>", crs::uri(wanted.form.crs))));
    Ok(answer)
}

pub(crate) async fn item(asked: Asked, Path((id, item)): Path<(String, String)>) -> Response {
    asked
        .answer(move |asked| {
            let layer = asked.layer(&id)?;
            asked.only(&["f", "crs", "properties", "live"])?;
            let format = asked.format()?;
            let form = form(asked, &layer)?;
            let missing = || Problem::NoItem { collection: id.clone(), item: item.clone() };
            let ordinal = layer.ordinal_of(&item).ok_or_else(missing)?;
            let state = state(asked, &layer, format, form.live);
            if unchanged(asked, &state) {
                return Ok(Answer::unchanged(state));
            }
            let mut body = Vec::new();
            asked.app.desk.write_features(&layer, &[ordinal], &form, usize::MAX, &mut body)?;
            let mut links = this(asked, format, GEO_JSON);
            let collection = format!("{}/collections/{id}?f=json", asked.base);
            links.push(link("collection", "application/json", &asked.word("serve.link.collection"), collection));
            if format == Format::Html {
                let feature: Value = serde_json::from_slice(&body).unwrap_or_default();
                return Ok(
                    Answer::html(html::item(asked, &layer, &layer.name_of(ordinal), &feature, &links)).with(state)
                );
            }
            // Inside the object's last brace.
            body.pop();
            body.extend_from_slice(format!(",\"links\":{}}}\n", Value::from(links)).as_bytes());
            let mut answer = Answer::new(GEO_JSON, body).with(state);
            answer.headers.push((CONTENT_CRS, format!("<{}>", crs::uri(form.crs))));
            Ok(answer)
        })
        .await
}

/// The address of one feature.
pub(crate) fn href(asked: &Asked, layer: &PublishedLayer, item: &str) -> String {
    format!("{}/collections/{}/items/{}", asked.base, layer.info().id, encode(item))
}
