//! OGC API – Features, Part 1 (OGC 17-069r4) and of Part 2 (OGC 18-058r1) the name of the system: a whole collection,
//! page by page, or a part of it ([`asking`]).
//!
//! For a whole collection nothing is asked for that a server might ignore: no box, no time, no filter. `limit` is a wish
//! that it may cap.

pub mod asking;

use super::pages::{Pages, print_of};
use super::recognise::Offer;
use super::{Collection, FeatureService, Fetched, Fetching, Progress, Wanted, malformed};
use crate::geometry::swap_axes;
use crate::net::{Answer, Body, Client, FetchError, follow, host_of, under};
use model::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;
use url::Url;

/// The protocol.
#[derive(Debug)]
pub(super) struct OgcApiFeatures;

impl FeatureService for OgcApiFeatures {
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(async move { fetch(&wanted.client(client)?, wanted, progress).await })
    }
}

const ACCEPT: &str = "application/geo+json, application/json";
const PAGE: u64 = 1_000;

async fn fetch(client: &Client, wanted: Wanted<'_>, progress: Progress<'_>) -> Result<Fetched, FetchError> {
    let plain = under(wanted.root, &["collections", wanted.name(), "items"])?;
    let Some((mut walk, first)) = walked(client, plain, &wanted, progress).await? else {
        return Ok(Fetched::NotModified);
    };
    let validator = walk.settle(client, &first).await?;
    let about = about(client, &wanted).await;
    let collection = walk.pages.finish(&first, &wanted)?;
    let as_of = about.as_of.as_deref().and_then(moment).or(walk.last_modified);
    Ok(Fetched::Features(Collection { validator, as_of, practice: about.practice, ..collection }))
}

/// All pages from an address on, or as many as are wanted, and the address that the first one really has; `None` when
/// what is held is still the newest.
async fn walked(
    client: &Client,
    plain: Url,
    wanted: &Wanted<'_>,
    progress: Progress<'_>,
) -> Result<Option<(Walk, Url)>, FetchError> {
    let mut first = plain.clone();
    first.query_pairs_mut().append_pair("limit", &PAGE.min(wanted.at_most.unwrap_or(PAGE)).to_string());
    let mut walk = Walk {
        pages: Pages::new(client, wanted),
        seen: HashSet::new(),
        validators: Vec::new(),
        last_modified: None,
        more: false,
    };
    let mut url = first.clone();
    let mut asked = wanted.validator;
    loop {
        let answer = match walk.pages.answer(&url, async |kept| client.get(&url, ACCEPT, kept.or(asked)).await).await {
            // A server may refuse a limit beyond its own instead of capping it.
            Err(FetchError::Status { status: 400, .. }) if walk.pages.count() == 0 && url != plain => {
                first.clone_from(&plain);
                url.clone_from(&plain);
                continue;
            }
            answer => answer?,
        };
        let body = match answer {
            Answer::NotModified if asked.is_some() => return Ok(None),
            Answer::NotModified => {
                return Err(malformed(&url, "304 was answered without being asked for"));
            }
            Answer::Body(body) => body,
        };
        asked = None;
        let next = walk.page(&url, body)?;
        progress(walk.pages.received, walk.pages.announced);
        walk.more = next.is_some();
        match next.filter(|_| !walk.pages.enough()) {
            Some(next) => url = next,
            None => return Ok(Some((walk, first))),
        }
    }
}

/// The collections of features of a service, and whether it says that its data is practice data.
pub(super) async fn offers(client: &Client, root: &Url) -> Result<(bool, Vec<Offer>), FetchError> {
    #[derive(Deserialize)]
    struct Collections {
        collections: Vec<Described>,
        #[serde(default)]
        practice: bool,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Described {
        id: String,
        #[serde(default)]
        title: Option<String>,
        #[serde(default)]
        item_type: Option<String>,
        #[serde(default)]
        item_count: Option<u64>,
        #[serde(default)]
        practice: bool,
    }
    let url = under(root, &["collections"])?;
    let Answer::Body(body) = client.get(&url, "application/json", None).await? else {
        return Err(malformed(&url, "304 was answered without being asked for"));
    };
    let found: Collections = serde_json::from_slice(&body.bytes).map_err(|error| {
        malformed(&url, format!("no list of collections came but {:?}: {error}", body.content_type))
    })?;
    let practice = found.practice || found.collections.iter().any(|found| found.practice);
    // Records, tiles and coverages are other things.
    let features =
        found.collections.into_iter().filter(|found| found.item_type.as_deref().is_none_or(|is| is == "feature"));
    let offer = |found: Described| Offer {
        title: found.title.filter(|title| !title.is_empty()).unwrap_or_else(|| found.id.clone()),
        collection: Some(found.id),
        features: found.item_count,
    };
    Ok((practice, features.map(offer).collect()))
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
    pages: Pages,
    seen: HashSet<Url>,
    validators: Vec<Option<String>>,
    last_modified: Option<Timestamp>,
    /// The last page that was read names another one.
    more: bool,
}

impl Walk {
    /// Takes a page in; the address of the next one.
    fn page(&mut self, url: &Url, body: Body) -> Result<Option<Url>, FetchError> {
        self.seen.insert(url.clone());
        let page: Page<'_> = serde_json::from_slice(&body.bytes).map_err(|error| {
            if error.is_eof() {
                FetchError::Truncated { host: host_of(url) }
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
        if self.pages.count() > 0 && page.number_matched != self.pages.announced {
            return Err(FetchError::Changed { url: url.to_string() });
        }
        self.pages.announced = page.number_matched;
        let north_first = system(&mut self.pages, url, body.content_crs.as_deref())?;
        let print = print_of(page.features.iter().map(|raw| raw.get()));
        self.pages.begin(url, body.bytes.len(), page.features.len(), print)?;
        for raw in &page.features {
            let mut parsed = crate::geojson::parse(raw.get().as_bytes(), self.pages.next_row());
            if let (true, Ok(parsed)) = (north_first, &mut parsed) {
                swap_axes(&mut parsed.geometry);
            }
            self.pages.add_text(url, parsed, raw.get())?;
        }
        self.validators.push(body.validator);
        self.last_modified = self.last_modified.max(body.last_modified);
        let link = page.links.iter().find(|link| link.rel == "next" && !link.href.is_empty());
        let Some(link) = link else { return Ok(None) };
        let next = follow(url, &link.href)?;
        if page.features.is_empty() {
            return Err(malformed(url, "an empty page names a next one"));
        }
        if self.seen.contains(&next) {
            return Err(malformed(url, format!("the pages run in a circle at {next}")));
        }
        Ok(Some(next))
    }

    /// What stands for the whole. Several pages with different tags: either each page has its own, or the data changed on
    /// the way. Asking for the first page again tells.
    async fn settle(&mut self, client: &Client, first: &Url) -> Result<Option<String>, FetchError> {
        let mut tags = std::mem::take(&mut self.validators).into_iter();
        let tag = tags.next().flatten();
        if tags.all(|other| other == tag) {
            return Ok(tag);
        }
        if let Some(tag) = tag
            && let Answer::Body(body) = client.get(first, ACCEPT, Some(&tag)).await?
            && body.validator.as_deref() != Some(&*tag)
        {
            return Err(FetchError::Changed { url: first.to_string() });
        }
        Ok(None)
    }
}

/// Takes note of the system that a body is in; true where its latitude comes first. Without the header it is CRS84,
/// longitude first.
fn system(pages: &mut Pages, url: &Url, content_crs: Option<&str>) -> Result<bool, FetchError> {
    let Some(name) = content_crs else { return Ok(false) };
    let (crs, turned) = crate::crs::with_axes(name.trim().trim_start_matches('<').trim_end_matches('>'));
    pages.crs(url, &crs)?;
    Ok(turned)
}

#[derive(Default, Deserialize)]
struct About {
    #[serde(default, rename = "asOf")]
    as_of: Option<String>,
    #[serde(default)]
    practice: bool,
}

/// The collection's own description. Without it the features are good all the same.
async fn about(client: &Client, wanted: &Wanted<'_>) -> About {
    let Ok(url) = under(wanted.root, &["collections", wanted.name()]) else { return About::default() };
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
