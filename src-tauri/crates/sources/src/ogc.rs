//! OGC API – Features, Part 1 (OGC 17-069r4): a whole collection, page by page.

use crate::file::{Row, RowCheck};
use crate::net::{Answer, Body, Client, FetchError, follow, under};
use model::{Feature, ReadReport, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;
use url::Url;

/// What a collection had to say.
#[derive(Debug)]
pub enum Fetched {
    /// The ETag given still stands.
    NotModified,
    Features(Collection),
}

/// A collection as fetched. Bad features are in the report, with their place in the collection as row.
#[derive(Debug)]
pub struct Collection {
    pub features: Vec<Feature>,
    /// For the next fetch; `None` when the server's tags stand for single pages and say nothing about the whole.
    pub etag: Option<String>,
    /// The moment the data describes, by the server's word.
    pub as_of: Option<Timestamp>,
    /// The server says of itself that its data is practice data.
    pub practice: bool,
    pub report: ReadReport,
}

const ACCEPT: &str = "application/geo+json, application/json";
const PAGE: &str = "1000";
/// More pages than this are a loop that looks different each time.
const MAX_PAGES: usize = 100_000;

/// Fetches all features of a collection. `progress` gets features done and, where the server tells, in all.
///
/// Only `rel=next` links are followed, on the same server. Dropping the future cancels.
///
/// # Errors
/// [`FetchError`]; `malformed` for pages that repeat or that do not add up to the announced number; `changed` when the
/// collection changed between two pages.
pub async fn fetch_collection(
    client: &Client,
    root: &Url,
    collection: &str,
    etag: Option<&str>,
    progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
) -> Result<Fetched, FetchError> {
    let mut first = under(root, &["collections", collection, "items"])?;
    first.query_pairs_mut().append_pair("limit", PAGE);
    let mut walk = Walk::new(collection);
    let mut url = first.clone();
    let mut asked = etag;
    loop {
        let body = match client.get(&url, ACCEPT, asked.take()).await? {
            Answer::NotModified if etag.is_some() && walk.pages == 0 => return Ok(Fetched::NotModified),
            Answer::NotModified => {
                return Err(malformed(&url, "304 was answered without being asked for"));
            }
            Answer::Body(body) => body,
        };
        let next = walk.page(&url, body)?;
        progress(walk.received, walk.announced);
        match next {
            Some(next) => url = next,
            None => break,
        }
    }
    walk.settle_etag(client, &first).await?;
    let about = about(client, root, collection).await;
    let last_modified = walk.last_modified;
    let mut fetched = walk.finish(&first)?;
    fetched.as_of = about.as_of.as_deref().and_then(moment).or(last_modified);
    fetched.practice = about.practice;
    Ok(Fetched::Features(fetched))
}

fn malformed(url: &Url, what: impl Into<String>) -> FetchError {
    FetchError::Malformed { url: url.to_string(), what: what.into() }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    features: Vec<&'a RawValue>,
    #[serde(default)]
    links: Vec<Link>,
    #[serde(rename = "numberMatched")]
    number_matched: Option<u64>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    href: String,
    #[serde(default)]
    rel: String,
}

/// The way through the pages.
struct Walk {
    collection: String,
    pages: usize,
    seen: HashSet<Url>,
    /// The text of the page before: a server that ignores `offset` sends the same again.
    last_features: u64,
    received: u64,
    announced: Option<u64>,
    rows: Vec<Row>,
    report: ReadReport,
    etags: Vec<Option<String>>,
    last_modified: Option<Timestamp>,
}

impl Walk {
    fn new(collection: &str) -> Self {
        Self {
            collection: collection.to_owned(),
            pages: 0,
            seen: HashSet::new(),
            last_features: 0,
            received: 0,
            announced: None,
            rows: Vec::new(),
            report: ReadReport::default(),
            etags: Vec::new(),
            last_modified: None,
        }
    }

    /// Takes a page in; the address of the next one.
    fn page(&mut self, url: &Url, body: Body) -> Result<Option<Url>, FetchError> {
        self.seen.insert(url.clone());
        let page: Page<'_> = serde_json::from_slice(&body.bytes).map_err(|error| {
            if error.is_eof() {
                FetchError::Truncated { host: crate::net::host_of(url) }
            } else {
                let what = format!("no page of features came but {:?}: {error}", body.content_type);
                malformed(url, what)
            }
        })?;
        if page.kind.as_deref().is_some_and(|kind| kind != "FeatureCollection") {
            return Err(malformed(
                url,
                format!("a {:?} came instead of a FeatureCollection", page.kind.unwrap_or_default()),
            ));
        }
        if self.pages > 0 && page.number_matched != self.announced {
            return Err(FetchError::Changed { url: url.to_string() });
        }
        self.announced = page.number_matched;
        let fingerprint = fingerprint(&page.features);
        if self.pages > 0 && !page.features.is_empty() && fingerprint == self.last_features {
            return Err(malformed(url, "the next page repeats the page before"));
        }
        self.last_features = fingerprint;
        for raw in &page.features {
            self.received += 1;
            let number = self.received;
            match crate::geojson::parse(raw.get().as_bytes(), number) {
                Ok(parsed) => self.rows.push(Row {
                    number,
                    id: parsed.id,
                    key: None,
                    geometry: parsed.geometry,
                    properties: parsed.properties,
                    bytes: 0,
                }),
                Err(rejection) => self.report.rejected.push(rejection),
            }
        }
        if self.announced.is_some_and(|announced| self.received > announced) {
            return Err(malformed(
                url,
                format!("more features came than the {} announced", self.announced.unwrap_or(0)),
            ));
        }
        self.etags.push(body.etag);
        self.last_modified = self.last_modified.max(body.last_modified);
        self.pages += 1;
        let link = page.links.iter().find(|link| link.rel == "next" && !link.href.is_empty());
        let Some(link) = link else { return Ok(None) };
        let next = follow(url, &link.href)?;
        if page.features.is_empty() {
            return Err(malformed(url, "an empty page names a next one"));
        }
        if self.seen.contains(&next) || self.pages >= MAX_PAGES {
            return Err(malformed(url, format!("the pages run in a circle at {next}")));
        }
        Ok(Some(next))
    }

    /// Several pages with different tags: either each page has its own, or the data changed on the way. Asking for the
    /// first page again tells.
    async fn settle_etag(&mut self, client: &Client, first: &Url) -> Result<(), FetchError> {
        if self.etags.windows(2).all(|pair| pair[0] == pair[1]) {
            return Ok(());
        }
        if let Some(Some(tag)) = self.etags.first()
            && let Answer::Body(body) = client.get(first, ACCEPT, Some(tag)).await?
            && body.etag.as_deref() != Some(tag)
        {
            return Err(FetchError::Changed { url: first.to_string() });
        }
        self.etags.clear();
        Ok(())
    }

    fn finish(self, url: &Url) -> Result<Collection, FetchError> {
        let Self { collection, received, announced, rows, mut report, etags, .. } = self;
        if let Some(announced) = announced.filter(|announced| *announced != received) {
            let what = format!("{collection}: {announced} features were announced, {received} came");
            return Err(malformed(url, what));
        }
        let mut check = RowCheck::new(&rows).map_err(|error| malformed(url, error.to_string()))?;
        let mut features = Vec::with_capacity(rows.len());
        for row in rows {
            match check.pass(row) {
                Ok(feature) => features.push(feature),
                Err(rejection) => report.rejected.push(rejection),
            }
        }
        report.rejected.sort_by_key(|rejection| rejection.row);
        report.accepted = features.len() as u64;
        let etag = etags.into_iter().next().flatten();
        Ok(Collection { features, etag, as_of: None, practice: false, report })
    }
}

fn fingerprint(features: &[&RawValue]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    features.iter().for_each(|raw| raw.get().hash(&mut hasher));
    hasher.finish()
}

#[derive(Default, Deserialize)]
struct About {
    #[serde(default, rename = "asOf")]
    as_of: Option<String>,
    #[serde(default)]
    practice: bool,
}

/// The collection's own description. Without it the features are good all the same.
async fn about(client: &Client, root: &Url, collection: &str) -> About {
    let Ok(url) = under(root, &["collections", collection]) else { return About::default() };
    match client.get(&url, "application/json", None).await {
        Ok(Answer::Body(body)) => serde_json::from_slice(&body.bytes).unwrap_or_default(),
        _ => About::default(),
    }
}

/// An instant, or a date as midnight UTC.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let date: jiff::civil::Date = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
    })
}
