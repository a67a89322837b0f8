//! ArcGIS FeatureServer and MapServer (GeoServices REST): a layer, by pages or by batches of ids.
//!
//! Errors come with status 200; a cut answer says `exceededTransferLimit`, in one of two places; dates are milliseconds.

mod esri;

use super::pages::{Pages, print_of};
use super::recognise::Offer;
use super::{FeatureService, Fetched, Fetching, Progress, Wanted, malformed};
use crate::file::FileCrs;
use crate::geojson::Parsed;
use crate::net::{Answer, Client, FetchError, host_of, under};
use model::{Timestamp, Value};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

/// The protocol.
#[derive(Debug)]
pub(super) struct ArcGis;

impl FeatureService for ArcGis {
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(async move { fetch(&wanted.client(client)?, wanted, progress).await })
    }
}

const ACCEPT: &str = "application/geo+json, application/json, text/plain;q=0.5";
const PAGE: u64 = 1_000;
/// Ids of one request: an address of some 2 kB, which every proxy lets through.
const BATCH: usize = 150;
/// Ten million ids are 80 MB.
const MAX_IDS: usize = 10_000_000;

async fn fetch(client: &Client, wanted: Wanted<'_>, progress: Progress<'_>) -> Result<Fetched, FetchError> {
    let layer = layer_of(client, &wanted).await?;
    let about: About = ask(client, &layer, &[]).await?;
    let query = Query { client, layer: &layer, about: &about };
    let mut pages = Pages::new(client, &wanted);
    if about.pages() {
        by_pages(&query, &mut pages, progress).await?;
    } else {
        by_ids(&query, &mut pages, progress).await?;
    }
    Ok(Fetched::Features(pages.finish(&layer, &wanted)?))
}

/// The layers of a service.
pub(super) async fn offers(client: &Client, root: &Url) -> Result<Vec<Offer>, FetchError> {
    let service: Service = ask(client, root, &[]).await?;
    let offer = |layer: Named| Offer {
        collection: Some(layer.id.to_string()),
        title: if layer.name.is_empty() { layer.id.to_string() } else { layer.name },
        features: None,
    };
    Ok(service.layers.into_iter().map(offer).collect())
}

/// The layer's own address: the root itself, or below it by number or name.
async fn layer_of(client: &Client, wanted: &Wanted<'_>) -> Result<Url, FetchError> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if wanted.root.path_segments().and_then(|mut all| all.rfind(|last| !last.is_empty())).is_some_and(is_number) {
        return Ok(wanted.root.clone());
    }
    let name = wanted.name();
    if is_number(name) {
        return under(wanted.root, &[name]);
    }
    let service: Service = ask(client, wanted.root, &[]).await?;
    let mut alike = service.layers.iter().filter(|layer| layer.name == name);
    match (alike.next(), alike.next()) {
        (Some(layer), None) => under(wanted.root, &[&layer.id.to_string()]),
        _ => Err(FetchError::NoCollection {
            host: host_of(wanted.root),
            collection: name.to_owned(),
            offers: service.layers.iter().map(|layer| format!("{} ({})", layer.name, layer.id)).collect(),
        }),
    }
}

async fn by_pages(query: &Query<'_>, pages: &mut Pages, progress: Progress<'_>) -> Result<(), FetchError> {
    pages.announced = query.count().await?;
    let size = PAGE.min(query.about.max_record_count.unwrap_or(PAGE).max(1)).to_string();
    let order = query.about.object_id().filter(|_| query.about.advanced.order_by);
    loop {
        let offset = pages.received.to_string();
        let mut more = vec![("resultOffset", offset.as_str()), ("resultRecordCount", size.as_str())];
        // Without an order the pages need not fit together.
        more.extend(order.map(|field| ("orderByFields", field)));
        let (here, exceeded) = query.page(&more, pages).await?;
        progress(pages.received, pages.announced);
        let missing = pages.announced.is_some_and(|announced| pages.received < announced);
        if here == 0 && exceeded {
            return Err(malformed(query.layer, "an empty page says that there is more"));
        }
        // Some servers cut without saying so: the count tells.
        if here == 0 || pages.enough() || !(exceeded || missing) {
            return Ok(());
        }
    }
}

async fn by_ids(query: &Query<'_>, pages: &mut Pages, progress: Progress<'_>) -> Result<(), FetchError> {
    let mut ids = query.ids().await?;
    ids.sort_unstable();
    ids.dedup();
    pages.announced = Some(ids.len() as u64);
    let size =
        BATCH.min(query.about.max_record_count.and_then(|most| usize::try_from(most).ok()).unwrap_or(BATCH).max(1));
    for batch in ids.chunks(size) {
        let list: Vec<String> = batch.iter().map(ToString::to_string).collect();
        let (here, exceeded) = query.page(&[("objectIds", &list.join(","))], pages).await?;
        progress(pages.received, pages.announced);
        if exceeded || here != batch.len() {
            let what = format!("{} features were asked for by their ids, {here} came", batch.len());
            return Err(malformed(query.layer, what));
        }
        if pages.enough() {
            break;
        }
    }
    Ok(())
}

/// What a layer is asked.
struct Query<'a> {
    client: &'a Client,
    layer: &'a Url,
    about: &'a About,
}

impl Query<'_> {
    async fn count(&self) -> Result<Option<u64>, FetchError> {
        #[derive(Deserialize)]
        struct Counted {
            count: u64,
        }
        let url = under(self.layer, &["query"])?;
        let counted: Result<Counted, _> =
            ask(self.client, &url, &[("where", "1=1"), ("returnCountOnly", "true")]).await;
        match counted {
            Ok(counted) => Ok(Some(counted.count)),
            Err(error) if error.retryable() => Err(error),
            Err(_) => Ok(None),
        }
    }

    async fn ids(&self) -> Result<Vec<i64>, FetchError> {
        #[derive(Deserialize)]
        struct Ids {
            #[serde(rename = "objectIds")]
            ids: Option<Vec<i64>>,
        }
        let url = under(self.layer, &["query"])?;
        let found: Ids = ask(self.client, &url, &[("where", "1=1"), ("returnIdsOnly", "true")]).await?;
        let ids = found.ids.unwrap_or_default();
        if ids.len() > MAX_IDS {
            return Err(malformed(&url, format!("there are more than {MAX_IDS} ids")));
        }
        Ok(ids)
    }

    /// Takes a page in: how many features it has, and whether the server cut it.
    async fn page(&self, more: &[(&str, &str)], pages: &mut Pages) -> Result<(usize, bool), FetchError> {
        let mut url = under(self.layer, &["query"])?;
        let geojson = self.about.geojson();
        let by_ids = more.iter().any(|(name, _)| *name == "objectIds");
        url.query_pairs_mut()
            .extend_pairs((!by_ids).then_some(("where", "1=1")))
            .extend_pairs([("outFields", "*"), ("returnGeometry", "true"), ("outSR", "4326")])
            .extend_pairs(more)
            .append_pair("f", if geojson { "geojson" } else { "json" });
        let answer = pages.answer(&url, async |kept| self.client.get(&url, ACCEPT, kept).await).await?;
        let bytes = bytes_of(&url, answer)?;
        let page: Page<'_> = read(&url, &bytes)?;
        if let (false, Some(epsg)) = (geojson, page.spatial_reference.as_ref().and_then(SpatialReference::epsg)) {
            pages.crs(&url, &FileCrs::Epsg(epsg))?;
        }
        let here = page.features.len();
        pages.begin(&url, bytes.len(), here, print_of(page.features.iter().map(|raw| raw.get())))?;
        for raw in &page.features {
            let row = pages.next_row();
            let parsed = match geojson {
                true => crate::geojson::parse(raw.get().as_bytes(), row),
                false => esri::parse(raw.get(), row),
            };
            pages.add(&url, parsed.map(|parsed| self.about.settle(parsed)))?;
        }
        let exceeded = page.exceeded || page.properties.is_some_and(|properties| properties.exceeded);
        Ok((here, exceeded))
    }
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    layers: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: u64,
    #[serde(default)]
    name: String,
}

/// What a layer says about itself.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct About {
    object_id_field: Option<String>,
    fields: Option<Vec<Field>>,
    max_record_count: Option<u64>,
    supported_query_formats: Option<String>,
    supports_pagination: bool,
    #[serde(rename = "advancedQueryCapabilities")]
    advanced: Advanced,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Advanced {
    #[serde(rename = "supportsPagination")]
    pagination: bool,
    #[serde(rename = "supportsOrderBy")]
    order_by: bool,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl About {
    fn pages(&self) -> bool {
        self.supports_pagination || self.advanced.pagination
    }

    fn geojson(&self) -> bool {
        self.supported_query_formats.as_ref().is_some_and(|formats| formats.to_ascii_lowercase().contains("geojson"))
    }

    fn object_id(&self) -> Option<&str> {
        let named = self.object_id_field.as_deref().filter(|name| !name.is_empty());
        named.or_else(|| self.of_kind("esriFieldTypeOID").next())
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().flatten().filter(move |field| field.kind == kind).map(|field| field.name.as_str())
    }

    /// The row's own number becomes its id, attributes get the types of their fields, and moments become texts.
    fn settle(&self, mut parsed: Parsed) -> Parsed {
        if let Some(number) = self.object_id().and_then(|name| parsed.properties.remove(name)) {
            let written = match number {
                Value::Integer(number) => Some(number.to_string()),
                Value::Text(text) => Some(text),
                _ => None,
            };
            parsed.id = written.or(parsed.id);
        }
        // JavaScript writes 92.0 as 92.
        for name in self.of_kind("esriFieldTypeDouble").chain(self.of_kind("esriFieldTypeSingle")) {
            if let Some(Value::Integer(number)) = parsed.properties.get(name) {
                #[allow(clippy::cast_precision_loss)]
                let real = *number as f64;
                parsed.properties.insert(name.to_owned(), Value::Real(real));
            }
        }
        for name in self.of_kind("esriFieldTypeDate") {
            let moment = match parsed.properties.get(name) {
                Some(Value::Integer(millis)) => Timestamp::from_millisecond(*millis).ok(),
                // In GeoJSON some servers write them out.
                Some(Value::Text(text)) => text.parse().ok(),
                _ => None,
            };
            if let Some(moment) = moment {
                parsed.properties.insert(name.to_owned(), Value::Text(moment.to_string()));
            }
        }
        parsed
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    features: Vec<&'a RawValue>,
    #[serde(default, rename = "exceededTransferLimit")]
    exceeded: bool,
    #[serde(default)]
    properties: Option<PageProperties>,
    #[serde(default, rename = "spatialReference")]
    spatial_reference: Option<SpatialReference>,
}

#[derive(Deserialize)]
struct PageProperties {
    #[serde(default, rename = "exceededTransferLimit")]
    exceeded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpatialReference {
    wkid: Option<u32>,
    latest_wkid: Option<u32>,
}

impl SpatialReference {
    fn epsg(&self) -> Option<u32> {
        match self.latest_wkid.or(self.wkid) {
            // Web Mercator as it was called before it had a number.
            Some(102_100 | 102_113 | 900_913) => Some(3857),
            other => other,
        }
    }
}

async fn body(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    bytes_of(url, client.get(url, ACCEPT, None).await?)
}

fn bytes_of(url: &Url, answer: Answer) -> Result<Vec<u8>, FetchError> {
    match answer {
        Answer::Body(body) => Ok(body.bytes),
        Answer::NotModified => Err(malformed(url, "304 was answered without being asked for")),
    }
}

/// Asks for a small document.
async fn ask<T: DeserializeOwned>(client: &Client, url: &Url, query: &[(&str, &str)]) -> Result<T, FetchError> {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(query).append_pair("f", "json");
    read(&url, &body(client, &url).await?)
}

/// Reads an answer, or the error that came in its place.
fn read<'a, T: Deserialize<'a>>(url: &Url, bytes: &'a [u8]) -> Result<T, FetchError> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Reason,
    }
    #[derive(Deserialize)]
    struct Reason {
        #[serde(default)]
        code: i64,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        details: Option<serde_json::Value>,
    }
    if let Ok(Refusal { error: Reason { code, message, details } }) = serde_json::from_slice(bytes) {
        let details = details.filter(|details| details.as_array().is_some_and(|all| !all.is_empty()));
        let mut reason = message.unwrap_or_default();
        reason.extend(details.map(|details| format!(" {details}")));
        let reason = reason.chars().take(300).collect();
        return Err(FetchError::Service { host: host_of(url), code: code.to_string(), reason });
    }
    serde_json::from_slice(bytes).map_err(|error| match error.is_eof() {
        true => FetchError::Truncated { host: host_of(url) },
        false => malformed(url, format!("no answer of an ArcGIS server came: {error}")),
    })
}
