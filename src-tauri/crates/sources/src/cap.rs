//! Public warnings: Common Alerting Protocol 1.2 (OASIS), as single alerts and in Atom or RSS feeds.
//!
//! A feed names or embeds alerts; an update or a cancellation names the alerts it takes the place of; each statement
//! (`info`) ends at its `expires`. What is left is in force, and its areas become features.

use crate::features::{Areas, Collection, FeatureService, Fetched, Fetching, Progress, Wanted};
use crate::file::rejection;
use crate::net::{Answer, Client, FetchError, follow};
use crate::xml::{self, Element};
use geo_types::{Coord, Geometry, LineString, MultiPolygon, Polygon};
use geodesy::LocalPlane;
use model::{Feature, Properties, ReadReport, Timestamp, Value};
use std::collections::{BTreeMap, HashSet};
use url::Url;

const ACCEPT: &str = "application/cap+xml, application/atom+xml, application/rss+xml, application/xml, text/xml";
/// More alerts at once than a country has.
const MAX_ALERTS: usize = 1_000;
/// A circle is drawn with so many corners: 0.1 % short of its radius in between.
const CIRCLE_CORNERS: u32 = 64;

/// One message of a sender.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub identifier: String,
    pub sender: String,
    pub sent: Timestamp,
    /// `Actual`, `Exercise`, `System`, `Test`, `Draft`. Only the first is a warning.
    pub status: String,
    /// `Alert`, `Update`, `Cancel`, `Ack`, `Error`.
    pub message_type: String,
    /// The messages it takes the place of: sender and identifier.
    pub references: Vec<(String, String)>,
    pub infos: Vec<Info>,
}

/// What a message says, in one language, about some areas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Info {
    /// RFC 3066, in lower case; `en-us` where the message names none.
    pub language: String,
    pub event: String,
    pub urgency: String,
    pub severity: String,
    pub certainty: String,
    pub effective: Option<Timestamp>,
    pub onset: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub sender_name: Option<String>,
    pub headline: Option<String>,
    pub description: Option<String>,
    pub instruction: Option<String>,
    pub areas: Vec<Area>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Area {
    pub description: String,
    /// Polygons and circles, in degrees, longitude first.
    pub shapes: Vec<Polygon<f64>>,
    /// `name=value`.
    pub geocodes: Vec<String>,
}

/// What an address gave: alerts, and where more are.
#[derive(Debug, Default)]
pub struct Document {
    /// Each alert, or why it is none.
    pub alerts: Vec<Result<Alert, String>>,
    pub links: Vec<String>,
}

/// Reads an alert, or an Atom or RSS feed of alerts or of links to them. Document types and entities are refused.
///
/// # Errors
/// In words, when the document is no XML or neither of the three.
pub fn parse(bytes: &[u8]) -> Result<Document, String> {
    let root = xml::document(bytes)?;
    let mut document = Document::default();
    match root.name.as_str() {
        "alert" => document.alerts.push(alert(&root)),
        "feed" => root.children("entry").for_each(|entry| document.entry(entry)),
        "rss" => {
            root.children("channel").flat_map(|channel| channel.children("item")).for_each(|item| document.entry(item))
        }
        // RSS 1.0
        "RDF" => root.children("item").for_each(|item| document.entry(item)),
        other => return Err(format!("<{other}> is neither a CAP alert nor an Atom or RSS feed")),
    }
    Ok(document)
}

impl Document {
    fn entry(&mut self, entry: &Element) {
        let embedded = entry.child("alert").or_else(|| entry.child("content")?.child("alert"));
        if let Some(embedded) = embedded {
            self.alerts.push(alert(embedded));
            return;
        }
        let is_cap = |link: &&Element| link.attribute("type") == Some("application/cap+xml");
        let is_page = |link: &&Element| matches!(link.attribute("rel"), None | Some("alternate"));
        let link = entry.children("link").find(is_cap).or_else(|| entry.children("enclosure").find(is_cap));
        let link = link.or_else(|| entry.children("link").find(is_page));
        // Atom has the address in an attribute, RSS in the text or, of an enclosure, in `url`.
        let address = link.and_then(|link| link.attribute("href").or(link.attribute("url")).or(Some(link.text.trim())));
        match address.filter(|address| !address.is_empty()) {
            Some(address) => self.links.push(address.to_owned()),
            None => self.alerts.push(Err("an entry of the feed neither holds nor names an alert".into())),
        }
    }
}

fn alert(element: &Element) -> Result<Alert, String> {
    let identifier = element.worded("identifier").ok_or("an alert without identifier")?;
    let needed =
        |name: &str| element.worded(name).map(model::nfc).ok_or_else(|| format!("alert {identifier:?} has no {name}"));
    let sent = needed("sent")?;
    let sent =
        moment(&sent).ok_or_else(|| format!("alert {identifier:?}: sent {sent:?} is no instant with its offset"))?;
    let references = element.worded("references").unwrap_or_default().split_whitespace();
    let references = references.filter_map(|reference| {
        let mut parts = reference.split(',');
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    });
    let infos = element.children("info").map(info).collect::<Result<Vec<Info>, String>>();
    Ok(Alert {
        identifier: identifier.to_owned(),
        sender: needed("sender")?,
        sent,
        status: needed("status")?,
        message_type: needed("msgType")?,
        references: references.collect(),
        infos: infos.map_err(|reason| format!("alert {identifier:?}: {reason}"))?,
    })
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn info(element: &Element) -> Result<Info, String> {
    let text = |name: &str| element.worded(name).map(model::nfc);
    let time = |name: &str| match element.worded(name) {
        None => Ok(None),
        Some(written) => {
            moment(written).map(Some).ok_or_else(|| format!("{name} {written:?} is no instant with its offset"))
        }
    };
    Ok(Info {
        language: text("language").unwrap_or_else(|| "en-us".into()).to_lowercase(),
        event: text("event").unwrap_or_default(),
        urgency: text("urgency").unwrap_or_else(|| "Unknown".into()),
        severity: text("severity").unwrap_or_else(|| "Unknown".into()),
        certainty: text("certainty").unwrap_or_else(|| "Unknown".into()),
        effective: time("effective")?,
        onset: time("onset")?,
        expires: time("expires")?,
        sender_name: text("senderName"),
        headline: text("headline"),
        description: text("description"),
        instruction: text("instruction"),
        areas: element.children("area").map(area).collect::<Result<_, _>>()?,
    })
}

fn area(element: &Element) -> Result<Area, String> {
    let mut shapes = Vec::new();
    for polygon in element.children("polygon").map(|one| one.text.trim()).filter(|text| !text.is_empty()) {
        let mut ring: Vec<Coord<f64>> =
            polygon.split_whitespace().map(lat_lon).collect::<Option<_>>().ok_or_else(|| {
                format!("the polygon {:?} is no list of lat,lon in degrees", crate::file::cut(polygon))
            })?;
        if ring.first() != ring.last() {
            ring.extend(ring.first().copied());
        }
        if ring.len() < 4 {
            return Err(format!("the polygon {:?} has fewer than three corners", crate::file::cut(polygon)));
        }
        shapes.push(Polygon::new(LineString(ring), Vec::new()));
    }
    for circle in element.children("circle").map(|one| one.text.trim()).filter(|text| !text.is_empty()) {
        let shape = circle_shape(circle)
            .ok_or_else(|| format!("the circle {:?} is no lat,lon with a radius in km", crate::file::cut(circle)))?;
        shapes.extend(shape);
    }
    let geocode = |code: &Element| {
        format!("{}={}", code.worded("valueName").unwrap_or_default(), code.worded("value").unwrap_or_default())
    };
    Ok(Area {
        description: element.worded("areaDesc").map(model::nfc).unwrap_or_default(),
        shapes,
        geocodes: element.children("geocode").map(geocode).collect(),
    })
}

/// CAP writes latitude first.
fn lat_lon(text: &str) -> Option<Coord<f64>> {
    let (lat, lon) = text.split_once(',')?;
    let (y, x): (f64, f64) = (lat.parse().ok()?, lon.parse().ok()?);
    (y.abs() <= 90.0 && x.abs() <= 180.0).then_some(Coord { x, y })
}

/// `lat,lon radius`, the radius in kilometres. One of no radius marks a place and covers nothing.
fn circle_shape(text: &str) -> Option<Option<Polygon<f64>>> {
    let (centre, radius) = text.split_once(char::is_whitespace)?;
    let centre = lat_lon(centre)?;
    let radius_m = radius.trim().parse::<f64>().ok()? * 1_000.0;
    if !(0.0..=20_000_000.0).contains(&radius_m) {
        return None;
    }
    if radius_m == 0.0 {
        return Some(None);
    }
    let plane = LocalPlane::at(centre);
    let corner = |i: u32| {
        let (sin, cos) = (f64::from(i % CIRCLE_CORNERS) / f64::from(CIRCLE_CORNERS) * std::f64::consts::TAU).sin_cos();
        plane.degrees(Coord { x: radius_m * cos, y: radius_m * sin })
    };
    Some(Some(Polygon::new((0..=CIRCLE_CORNERS).map(corner).collect(), Vec::new())))
}

impl Info {
    fn in_force(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }

    fn speaks(&self, language: &str) -> bool {
        self.language == language || self.language.starts_with(&format!("{language}-"))
    }
}

/// The alerts that hold now: actual ones, neither updated nor cancelled by another, with a statement that has not
/// expired. Each once, oldest first, whatever the order of the feed.
pub fn in_force(alerts: &[Alert], now: Timestamp) -> Vec<&Alert> {
    let replaced: HashSet<(&str, &str)> = alerts
        .iter()
        .filter(|alert| alert.status == "Actual" && matches!(alert.message_type.as_str(), "Update" | "Cancel"))
        .flat_map(|alert| alert.references.iter().map(|(sender, id)| (sender.as_str(), id.as_str())))
        .collect();
    let mut seen = HashSet::new();
    let mut left: Vec<&Alert> = alerts
        .iter()
        .filter(|alert| {
            let key = (alert.sender.as_str(), alert.identifier.as_str());
            alert.status == "Actual"
                && matches!(alert.message_type.as_str(), "Alert" | "Update")
                && !replaced.contains(&key)
                && alert.infos.iter().any(|info| info.in_force(now))
                && seen.insert(key)
        })
        .collect();
    left.sort_by(|a, b| (a.sent, &a.identifier).cmp(&(b.sent, &b.identifier)));
    left
}

/// The areas of alerts as features, Vietnamese where the alert speaks it, with the English beside; and what has no shape.
/// Where an area is not drawn but named by codes that `areas` knows, it is those areas, and `drawn_from` says `geocode`.
///
/// Attributes: `name` (headline, else event), `event`, `description`, `instruction`, `name_en`, `event_en`, `severity`,
/// `urgency`, `certainty`, `effective`, `onset`, `expires`, `sent`, `sender`, `area`, `geocodes`,
/// `drawn_from`.
pub fn features(alerts: &[&Alert], now: Timestamp, areas: Option<&dyn Areas>) -> (Vec<Feature>, ReadReport) {
    let (mut features, mut report) = (Vec::new(), ReadReport::default());
    for (row, alert) in (1_u64..).zip(alerts) {
        let speaks = |language: &str| -> Vec<&Info> {
            alert.infos.iter().filter(|info| info.in_force(now) && info.speaks(language)).collect()
        };
        let (vietnamese, english) = (speaks("vi"), speaks("en"));
        let infos = if !vietnamese.is_empty() {
            vietnamese
        } else if !english.is_empty() {
            english.clone()
        } else {
            alert.infos.iter().filter(|info| info.in_force(now)).collect()
        };
        // Statements in two languages stand in the same order.
        let pairs = english.len() == infos.len();
        for (i, info) in infos.iter().enumerate() {
            let beside = english.get(i).filter(|english| pairs && !std::ptr::eq(**english, *info));
            for (j, area) in info.areas.iter().enumerate() {
                let id = format!("{}/{}/{i}/{j}", alert.sender, alert.identifier);
                let named = match area.shapes.is_empty() {
                    true => by_codes(&area.geocodes, areas),
                    false => Vec::new(),
                };
                let shapes = if named.is_empty() { &area.shapes } else { &named };
                if shapes.is_empty() {
                    let reason = format!(
                        "area {:?} of alert {:?} has no shape, and no code of a commune that is known here",
                        area.description, alert.identifier
                    );
                    let codes = area.geocodes.join(" ");
                    report.rejected.push(rejection(row, "area", &codes, "geometry_missing", reason));
                    continue;
                }
                let geometry = match shapes.as_slice() {
                    [one] => Geometry::Polygon(one.clone()),
                    many => Geometry::MultiPolygon(MultiPolygon(many.to_vec())),
                };
                let mut properties = properties(alert, info, beside.copied(), area);
                if !named.is_empty() {
                    properties.insert("drawn_from".to_owned(), Value::Text("geocode".into()));
                }
                features.push(Feature { id, properties, geometry });
            }
        }
    }
    report.accepted = features.len() as u64;
    (features, report)
}

/// The areas that the codes of an area's geocodes (`name=code`, several in one parted by commas or blanks) stand for.
fn by_codes(geocodes: &[String], areas: Option<&dyn Areas>) -> Vec<Polygon<f64>> {
    let Some(areas) = areas else { return Vec::new() };
    let values = geocodes.iter().map(|geocode| geocode.split_once('=').map_or(geocode.as_str(), |(_, value)| value));
    let mut codes: Vec<&str> =
        values.flat_map(|value| value.split([',', ';', ' '])).map(str::trim).filter(|code| !code.is_empty()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.into_iter().filter_map(|code| areas.shape(code)).flatten().collect()
}

fn properties(alert: &Alert, info: &Info, english: Option<&Info>, area: &Area) -> Properties {
    let name = |info: &Info| info.headline.clone().unwrap_or_else(|| info.event.clone());
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    [
        ("name", Some(name(info))),
        ("event", Some(info.event.clone())),
        ("description", info.description.clone()),
        ("instruction", info.instruction.clone()),
        ("name_en", english.map(name)),
        ("event_en", english.map(|english| english.event.clone())),
        ("severity", Some(info.severity.clone())),
        ("urgency", Some(info.urgency.clone())),
        ("certainty", Some(info.certainty.clone())),
        ("effective", time(info.effective)),
        ("onset", time(info.onset)),
        ("expires", time(info.expires)),
        ("sent", Some(alert.sent.to_string())),
        ("sender", Some(info.sender_name.clone().unwrap_or_else(|| alert.sender.clone()))),
        ("area", Some(area.description.clone())),
        ("geocodes", Some(area.geocodes.join(" "))),
    ]
    .into_iter()
    .filter_map(|(key, value)| {
        value.filter(|value| !value.is_empty()).map(|value| (key.to_owned(), Value::Text(value)))
    })
    .collect()
}

/// The areas of the alerts in force, of a feed and of the alerts that it names on the same server, or of one alert.
#[derive(Debug)]
pub(crate) struct Cap;

impl FeatureService for Cap {
    /// When the way to an alert fails, nothing is known of what is in force. An alert that is none is no error, it is in
    /// the report.
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, _progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(async move {
            let client = wanted.client(client)?;
            fetch(&client, &wanted).await.map(Fetched::Features)
        })
    }
}

async fn fetch(client: &Client, wanted: &Wanted<'_>) -> Result<Collection, FetchError> {
    let (feed, now) = (wanted.root, wanted.now);
    let malformed = |url: &Url, what: String| FetchError::Malformed { url: url.to_string(), what };
    let document = get(client, feed).await?.map_err(|what| malformed(feed, what))?;
    let mut links: Vec<Url> = Vec::new();
    for link in &document.links {
        let link = follow(feed, link)?;
        if !links.contains(&link) {
            links.push(link);
        }
    }
    if links.len() + document.alerts.len() > MAX_ALERTS {
        return Err(malformed(feed, format!("it names more than {MAX_ALERTS} alerts")));
    }
    let mut found = document.alerts;
    for link in &links {
        match get(client, link).await? {
            Ok(document) if document.links.is_empty() => found.extend(document.alerts),
            Ok(_) => found.push(Err(format!("{link}: a feed, where an alert was promised"))),
            Err(what) => found.push(Err(format!("{link}: {what}"))),
        }
    }
    let mut alerts = Vec::new();
    let mut broken = Vec::new();
    for (row, alert) in (1_u64..).zip(found) {
        match alert {
            Ok(alert) => alerts.push(alert),
            Err(reason) => broken.push(rejection(row, "", "", "syntax", reason)),
        }
    }
    let (features, mut report) = features(&in_force(&alerts, now), now, wanted.areas);
    report.rejected.extend(broken);
    Ok(Collection {
        features,
        validator: None,
        as_of: None,
        practice: false,
        report,
        announced: false,
        refused: BTreeMap::new(),
    })
}

async fn get(client: &Client, url: &Url) -> Result<Result<Document, String>, FetchError> {
    match client.get(url, ACCEPT, None).await? {
        Answer::Body(body) => Ok(parse(&body.bytes)),
        Answer::NotModified => {
            let what = "304 was answered without being asked for".to_owned();
            Err(FetchError::Malformed { url: url.to_string(), what })
        }
    }
}
