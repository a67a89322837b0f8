//! JSON services behind a gateway (provincial LGSP, national NDXP): a list whose items the profile maps onto a layer, by
//! page, offset, cursor or link; entities of NGSI-LD brokers and bundles of HL7 FHIR servers by mappings of their own.
//!
//! What does not look like the list that was mapped is an error and not an empty list: a login page, an error with status
//! 200, a page that comes again, a total that does not hold.

mod fhir;
mod items;
mod list;
mod ngsi;

use super::pages::{Pages, print_of};
use super::{Collection, FeatureService, Fetched, Fetching, Progress, Wanted, malformed};
use crate::file::FileCrs;
use crate::geojson::Parsed;
use crate::net::{Answer, Body, Client, FetchError, host_of};
use model::{ReadyMapping, Rejection, RestMapping, Timestamp};
use reqwest::header::HeaderMap;
use serde_json::Value as Json;
use std::collections::HashSet;
use std::time::Duration;
use url::Url;

/// The protocol.
#[derive(Debug)]
pub(super) struct Rest;

impl FeatureService for Rest {
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(async move { fetch(&wanted.client(client)?, wanted, progress).await })
    }
}

/// Largest page: as a tree it takes up to thirty times as much memory.
const PAGE_LIMIT_BYTES: u64 = 8 << 20;
/// More items in a page are none: they would be shorter than a key and a place.
const MAX_ITEMS: usize = 150_000;
/// A gateway that counts requests may ask to wait this long, within the fetch.
const LONGEST_WAIT_SECS: u64 = 30;
/// And so often for one page.
const WAITS: u32 = 5;

/// What a page had.
struct Page {
    rows: Vec<Result<Parsed, Rejection>>,
    /// Stands for the items.
    print: u64,
    /// How many items there are in all, where the page says so.
    total: Option<u64>,
    as_of: Option<Timestamp>,
    next: Next,
}

/// Where the list goes on.
enum Next {
    End,
    At(Url),
    /// There, unless nothing is there: the page was shorter than asked for, which may be the server's own limit.
    Perhaps(Url),
}

/// What has come so far, for whoever reads the next page.
struct Progressed {
    pages: u32,
    received: u64,
    /// Items of the first page.
    first_page: u64,
}

/// A way to read a service's answers.
trait Face: Send + Sync {
    fn first(&self) -> Result<Url, FetchError>;
    fn accept(&self) -> &'static str;
    /// `received` and `pages` do not count this page.
    fn page(&self, url: &Url, headers: &HeaderMap, page: &Json, so_far: &Progressed) -> Result<Page, FetchError>;
}

async fn fetch(client: &Client, wanted: Wanted<'_>, progress: Progress<'_>) -> Result<Fetched, FetchError> {
    let nothing = RestMapping::default();
    let mapping = wanted.mapping.unwrap_or(&nothing);
    let face: Box<dyn Face + '_> = match mapping.ready {
        None => Box::new(list::List { mapping, wanted }),
        Some(ReadyMapping::NgsiLd) => Box::new(ngsi::Broker { mapping, wanted }),
        Some(ReadyMapping::FhirLocation) => Box::new(fhir::Fhir { mapping, wanted, organizations: false }),
        Some(ReadyMapping::FhirOrganization) => Box::new(fhir::Fhir { mapping, wanted, organizations: true }),
    };
    let mut client = client.clone();
    client.options.body_limit_bytes = client.options.body_limit_bytes.min(PAGE_LIMIT_BYTES);
    let first = face.first()?;
    let mut walk = Walk { pages: Pages::new(&client, &wanted), seen: HashSet::new(), prints: HashSet::new() };
    if let Some(epsg) = mapping.crs {
        walk.pages.crs(&first, &FileCrs::Epsg(epsg))?;
    }
    let mut so_far = Progressed { pages: 0, received: 0, first_page: 0 };
    let (mut validator, mut as_of, mut practice) = (None, None, false);
    let (mut url, mut perhaps) = (first.clone(), false);
    // Of several pages none stands for the whole.
    let mut asked = wanted.validator;
    loop {
        let ask = async |kept: Option<&str>| get(&client, &url, face.accept(), kept.or(asked)).await;
        let body = match walk.pages.answer(&url, ask).await {
            Ok(Answer::Body(body)) => body,
            Ok(Answer::NotModified) if asked.is_some() => return Ok(Fetched::NotModified),
            Ok(Answer::NotModified) => return Err(malformed(&url, "304 was answered without being asked for")),
            Err(FetchError::Status { status: 404, .. }) if perhaps => break,
            Err(error) => return Err(error),
        };
        asked = None;
        let page = face.page(&url, &body.headers, &json(&url, &body)?, &so_far)?;
        validator = body.validator.filter(|_| so_far.pages == 0);
        practice |= body.headers.get("x-practice-data").is_some_and(|value| value == "true");
        as_of = as_of.max(page.as_of);
        let next = walk.take(&url, body.bytes.len(), page, &mut so_far)?;
        progress(walk.pages.received, walk.pages.announced);
        (url, perhaps) = match next {
            Next::End => break,
            Next::At(next) => (next, false),
            Next::Perhaps(next) => (next, true),
        };
    }
    validator = validator.filter(|_| so_far.pages == 1);
    let collection = walk.pages.finish(&first, &wanted)?;
    Ok(Fetched::Features(Collection { validator, as_of, practice, ..collection }))
}

/// The way through the pages.
struct Walk {
    pages: Pages,
    seen: HashSet<Url>,
    prints: HashSet<u64>,
}

impl Walk {
    fn take(&mut self, url: &Url, bytes: usize, page: Page, so_far: &mut Progressed) -> Result<Next, FetchError> {
        let Page { rows, print, total, next, .. } = page;
        if so_far.pages > 0 && total != self.pages.announced {
            return Err(FetchError::Changed { url: url.to_string() });
        }
        self.pages.announced = total;
        let count = rows.len();
        self.pages.begin(url, bytes, count, print)?;
        if count > 0 && !self.prints.insert(print) {
            return Err(malformed(url, "an earlier page comes again"));
        }
        for row in rows {
            self.pages.add(url, row)?;
        }
        so_far.pages += 1;
        so_far.received += count as u64;
        if so_far.pages == 1 {
            so_far.first_page = count as u64;
        }
        self.seen.insert(url.clone());
        if let Next::At(to) | Next::Perhaps(to) = &next
            && self.seen.contains(to)
        {
            return Err(malformed(url, format!("the pages run in a circle at {to}")));
        }
        if let (0, Next::At(_)) = (count, &next) {
            return Err(malformed(url, "an empty page names a next one"));
        }
        Ok(next)
    }
}

/// Gets a page; a gateway that counts requests is waited for.
async fn get(client: &Client, url: &Url, accept: &str, validator: Option<&str>) -> Result<Answer, FetchError> {
    let mut waits = 0;
    loop {
        match client.get(url, accept, validator).await {
            Err(FetchError::Status { status: 429 | 503, retry_after_secs: Some(secs), .. })
                if secs <= LONGEST_WAIT_SECS && waits < WAITS =>
            {
                waits += 1;
                tokio::time::sleep(Duration::from_secs(secs.max(1))).await;
            }
            answer => return answer,
        }
    }
}

fn json(url: &Url, body: &Body) -> Result<Json, FetchError> {
    serde_json::from_slice(&body.bytes).map_err(|error| {
        if error.is_eof() && !body.bytes.trim_ascii().is_empty() {
            FetchError::Truncated { host: host_of(url) }
        } else {
            malformed(url, format!("no JSON came but {:?}: {error}", body.content_type))
        }
    })
}

/// What a document holds instead of what was looked for.
fn instead(document: &Json) -> String {
    match document {
        Json::Object(members) => {
            let names: Vec<&str> = members.keys().take(12).map(String::as_str).collect();
            format!("an object with {}", if names.is_empty() { "nothing in it".to_owned() } else { names.join(", ") })
        }
        Json::Array(items) => format!("a list of {}", items.len()),
        Json::String(_) => "a text".into(),
        other => other.to_string(),
    }
}

/// Reads the items of a page.
fn rows(
    url: &Url,
    items: &[&Json],
    so_far: &Progressed,
    read: impl Fn(&Json, u64) -> Result<Parsed, Rejection>,
) -> Result<Vec<Result<Parsed, Rejection>>, FetchError> {
    if items.len() > MAX_ITEMS {
        return Err(malformed(
            url,
            format!("a page has {} items, more than {MAX_ITEMS}; let it be paged", items.len()),
        ));
    }
    Ok((so_far.received + 1..).zip(items).map(|(row, item)| read(item, row)).collect())
}

fn print(items: &[&Json]) -> u64 {
    print_of(items.iter().map(ToString::to_string))
}

/// An address with parameters set, each in its place; the others as they are.
fn with(url: &Url, set: &[(&str, String)]) -> Url {
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    for (name, value) in set {
        match pairs.iter_mut().find(|(known, _)| known == name) {
            Some(pair) => pair.1.clone_from(value),
            None => pairs.push(((*name).to_owned(), value.clone())),
        }
    }
    let mut out = url.clone();
    out.query_pairs_mut().clear().extend_pairs(pairs);
    out
}

/// What the profile has as path, below the root; the query of both.
fn below(root: &Url, path: &str) -> Result<Url, FetchError> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut url = crate::net::under(root, &segments)?;
    let both: Vec<&str> = [root.query().unwrap_or_default(), query].into_iter().filter(|q| !q.is_empty()).collect();
    url.set_query((!both.is_empty()).then(|| both.join("&")).as_deref());
    Ok(url)
}

/// The address that a `Link` header has for `rel=next` (RFC 8288).
fn next_link(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(reqwest::header::LINK).into_iter().filter_map(|value| value.to_str().ok());
    for mut rest in all {
        while let Some((_, from)) = rest.split_once('<') {
            let (target, behind) = from.split_once('>')?;
            let parameters = behind.split_once('<').map_or(behind, |(before, _)| before);
            let is_next = parameters.split([';', ',']).any(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or_default();
                let words = value.trim().trim_matches('"');
                name.trim().eq_ignore_ascii_case("rel")
                    && words.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next"))
            });
            if is_next {
                return Some(target.to_owned());
            }
            rest = behind;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_link_is_found_among_others() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("link", value.parse().unwrap());
            }
            next_link(&headers)
        };
        let context = r#"<https://h/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json""#;
        assert_eq!(of(&[context]), None);
        assert_eq!(of(&[context, r#"</e?offset=2,3>; rel="next""#]).as_deref(), Some("/e?offset=2,3"));
        let both = r#"<?p=1>;rel=prev, <?p=3>; title="a"; REL="last next""#;
        assert_eq!(of(&[both]).as_deref(), Some("?p=3"));
        assert_eq!(of(&["<broken"]), None);
    }

    #[test]
    fn addresses_stay_below_the_root() {
        let root: Url = "https://h/api/?key=1".parse().unwrap();
        assert_eq!(below(&root, "a b/c?x=1&y=%20").unwrap().as_str(), "https://h/api/a%20b/c?key=1&x=1&y=%20");
        assert_eq!(below(&root, "../../secret").unwrap().path(), "/api/secret");
        assert_eq!(below(&"https://h/api".parse().unwrap(), "").unwrap().as_str(), "https://h/api");
        let url: Url = "https://h/a?trang=1&loai=thpt".parse().unwrap();
        assert_eq!(with(&url, &[("trang", "2".into())]).query(), Some("trang=2&loai=thpt"));
    }
}
