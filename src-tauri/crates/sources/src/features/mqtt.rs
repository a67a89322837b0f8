//! Features that an MQTT broker keeps: one topic a feature, on it a retained message with a GeoJSON Feature (RFC 7946).
//!
//! A broker gives what it keeps to whoever subscribes, and does not say when that was all. The level above the features
//! may hold a manifest, which does: the head of a FeatureCollection with `numberMatched`. Then a set counts as whole
//! when it has that number, else the fetch fails. Without a manifest it counts as whole when nothing that was kept has come for a
//! while, and the broker has then answered a question on the same connection: the line did not stall. What a broker
//! itself leaves out (a full queue) nobody sees then but the judgement of every delivery.
//!
//! What changes meanwhile is told on the same connection, and goes before what was kept, whatever comes first.

use super::pages::Pages;
use super::recognise::Offer;
use super::{FeatureService, Fetched, Fetching, Login, Progress, Wanted, malformed};
use crate::file::rejection;
use crate::geojson::Parsed;
use crate::mqtt::{Limits, Line, MAX_FEATURE_PACKET_BYTES, Place, Session, Topics, below, client_name, filter};
use crate::net::{Client, FetchError, digest, host_of};
use model::{Rejection, Timestamp};
use rumqttc::{Packet, Publish};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// The protocol.
#[derive(Debug)]
pub(super) struct Mqtt;

impl FeatureService for Mqtt {
    fn fetch<'a>(&'a self, client: &'a Client, wanted: Wanted<'a>, progress: Progress<'a>) -> Fetching<'a> {
        Box::pin(client.in_time(wanted.root, fetch(client, wanted, progress)))
    }
}

/// Larger messages are no features.
const MAX_FEATURE_BYTES: usize = 8 << 20;
/// More topics than this are not taken into memory.
const MAX_FEATURES: usize = 2_000_000;
/// After the last message that was kept; less where the number is what was announced.
const QUIET: Duration = Duration::from_secs(1);
const QUIET_COUNTED: Duration = Duration::from_millis(200);
/// mosquitto (2.0) has so many messages wait for one client, and drops the others, unless it is told otherwise.
const USUAL_QUEUE: u64 = 1_000;
/// A look at what there is takes no longer, and takes in no more.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_MESSAGES: u64 = 5_000;

async fn fetch(client: &Client, wanted: Wanted<'_>, progress: Progress<'_>) -> Result<Fetched, FetchError> {
    let topics = Topics::of(wanted.root, wanted.layer, wanted.collection)?;
    let line = Line::new(client, wanted.root, wanted.login, topics.name(), limits(client));
    let mut session = line.open(&client_name(), topics.filters()).await?;
    let mut set = Set {
        url: wanted.root,
        client,
        topics: &topics,
        at_most: wanted.at_most,
        progress,
        kept: BTreeMap::new(),
        changed: HashSet::new(),
        manifest: None,
        bytes: 0,
    };
    gather(&mut session, &topics.beside(), client.options.idle_timeout, &mut set).await?;
    set.finish(&wanted)
}

fn limits(client: &Client) -> Limits {
    let silence = client.options.idle_timeout;
    Limits { packet_bytes: MAX_FEATURE_PACKET_BYTES, silence, keep_alive: silence }
}

/// Takes in what a broker keeps.
trait Gathering {
    fn take(&mut self, message: Publish) -> Result<(), FetchError>;
    /// Whether it is as much as was announced; `None` where nothing was.
    fn complete(&self) -> Option<bool>;
    /// There is no need for more.
    fn enough(&self) -> bool;
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Subscribing,
    Gathering,
    /// It has been quiet, and the broker was asked something.
    Asked,
    /// All that was kept has come, and it is not what was announced: whoever publishes may be about to.
    Lacking,
}

/// Takes in messages until they are whole, by the rule that stands above.
async fn gather(
    session: &mut Session<'_, '_>,
    beside: &str,
    idle: Duration,
    set: &mut (impl Gathering + Send),
) -> Result<(), FetchError> {
    let (mut stage, mut unanswered) = (Stage::Subscribing, 0_u32);
    let mut last = Instant::now();
    loop {
        let quiet = if set.complete() == Some(true) { QUIET_COUNTED } else { QUIET };
        let until = match stage {
            Stage::Subscribing | Stage::Asked => None,
            Stage::Gathering => Some(last + quiet.min(idle / 2)),
            Stage::Lacking => Some(last + idle / 2),
        };
        // Looked at first: of changes that never end there is always one more.
        let packet = match until {
            Some(until) if until <= Instant::now() => None,
            until => session.next(until).await?,
        };
        match packet {
            Some(Packet::SubAck(_)) if stage == Stage::Subscribing => {
                (stage, last) = (Stage::Gathering, Instant::now())
            }
            Some(Packet::SubAck(_)) => {
                unanswered = unanswered.saturating_sub(1);
                if stage == Stage::Asked && unanswered == 0 {
                    if set.complete() != Some(false) {
                        return Ok(());
                    }
                    (stage, last) = (Stage::Lacking, Instant::now());
                }
            }
            Some(Packet::Publish(message)) => {
                // Changes are told without end; they do not put it off.
                let kept = message.retain;
                set.take(message)?;
                if set.enough() {
                    return Ok(());
                }
                if kept || stage == Stage::Lacking {
                    last = Instant::now();
                }
                if (kept && stage == Stage::Asked) || (stage == Stage::Lacking && set.complete() == Some(true)) {
                    stage = Stage::Gathering;
                }
            }
            Some(_) => {}
            None if stage == Stage::Gathering => {
                session.ask(beside)?;
                unanswered += 1;
                stage = Stage::Asked;
            }
            None => return Ok(()),
        }
    }
}

/// What holds of all features: the head of a FeatureCollection, as OGC API – Features has it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Manifest {
    number_matched: Option<u64>,
    /// When the data was as it is now.
    time_stamp: Option<String>,
    practice: bool,
    title: Option<String>,
    features: Vec<IgnoredAny>,
}

impl Manifest {
    fn read(url: &Url, topic: &str, payload: &[u8]) -> Result<Self, FetchError> {
        let manifest: Self = serde_json::from_slice(payload)
            .map_err(|error| malformed(url, format!("topic {topic}: no head of a FeatureCollection but: {error}")))?;
        if !manifest.features.is_empty() {
            let what = format!("topic {topic}: features stand one a topic below it, not in it");
            return Err(malformed(url, what));
        }
        Ok(manifest)
    }
}

enum Payload {
    Text(Vec<u8>),
    TooLarge(usize),
}

struct Set<'a> {
    url: &'a Url,
    client: &'a Client,
    topics: &'a Topics,
    at_most: Option<u64>,
    progress: Progress<'a>,
    /// By topic, so that a feature has the same row whenever it is asked for.
    kept: BTreeMap<String, Payload>,
    /// The topics that were told of since they are listened to: what was kept of them is older.
    changed: HashSet<String>,
    manifest: Option<Manifest>,
    bytes: u64,
}

impl Gathering for Set<'_> {
    fn take(&mut self, message: Publish) -> Result<(), FetchError> {
        let Publish { topic, payload, retain, .. } = message;
        let bytes = topic.len() + payload.len();
        self.client.count(bytes);
        self.bytes += bytes as u64;
        let limit_bytes = self.client.options.collection_limit_bytes;
        if self.bytes > limit_bytes {
            return Err(FetchError::TooLarge { host: host_of(self.url), limit_bytes });
        }
        let place = self.topics.place(&topic);
        if place == Place::Elsewhere || (retain && self.changed.contains(&topic)) {
            return Ok(());
        }
        if !retain {
            self.changed.insert(topic.clone());
        }
        match place {
            Place::Manifest if payload.is_empty() => self.manifest = None,
            Place::Manifest => self.manifest = Some(Manifest::read(self.url, &topic, &payload)?),
            _ if payload.is_empty() => drop(self.kept.remove(&topic)),
            _ => {
                let large = payload.len() > MAX_FEATURE_BYTES;
                // A copy: what rumqttc hands over keeps the whole of what it had read.
                let payload = if large { Payload::TooLarge(payload.len()) } else { Payload::Text(payload.to_vec()) };
                self.kept.insert(topic, payload);
            }
        }
        if self.kept.len() > MAX_FEATURES || self.changed.len() > MAX_FEATURES {
            return Err(malformed(self.url, format!("there are more than {MAX_FEATURES} topics")));
        }
        let announced = self.announced();
        (self.progress)(self.kept.len() as u64, announced);
        Ok(())
    }

    fn complete(&self) -> Option<bool> {
        self.announced().map(|announced| announced == self.kept.len() as u64)
    }

    fn enough(&self) -> bool {
        self.at_most.is_some_and(|most| self.kept.len() as u64 >= most)
    }
}

impl Set<'_> {
    fn announced(&self) -> Option<u64> {
        self.manifest.as_ref()?.number_matched
    }

    fn finish(self, wanted: &Wanted<'_>) -> Result<Fetched, FetchError> {
        let announced = self.announced();
        if self.kept.is_empty() && announced != Some(0) {
            let collection = self.topics.name().to_owned();
            return Err(FetchError::NoCollection { host: host_of(self.url), collection, offers: Vec::new() });
        }
        let validator = self.validator(wanted);
        if wanted.at_most.is_none() && wanted.validator == Some(validator.as_str()) {
            return Ok(Fetched::NotModified);
        }
        let Self { url, client, kept, manifest, bytes, .. } = self;
        let mut pages = Pages::new(client, wanted);
        pages.announced = announced;
        pages.begin(url, usize::try_from(bytes).unwrap_or(usize::MAX), kept.len(), 0)?;
        for (topic, payload) in &kept {
            match payload {
                Payload::Text(text) => {
                    let parsed = parsed(topic, text, wanted, pages.next_row());
                    pages.add_text(url, parsed, &String::from_utf8_lossy(text))?;
                }
                Payload::TooLarge(bytes) => {
                    let reason =
                        format!("its {bytes} bytes are more than the {MAX_FEATURE_BYTES} that a feature may have");
                    pages.add(url, Err(rejection(pages.next_row(), "", "", "syntax", reason)))?;
                }
            }
        }
        let mut collection = pages.finish(url, wanted)?;
        let names: Vec<&String> = kept.keys().collect();
        for rejected in &mut collection.report.rejected {
            name(rejected, &names);
        }
        if announced.is_none() && kept.len() as u64 >= USUAL_QUEUE && wanted.at_most.is_none() {
            collection.report.warnings.push(format!(
                "No numberMatched is kept on a level above the {} features: a broker whose queue is full leaves features \
                 out, and nobody sees it.",
                kept.len()
            ));
        }
        let manifest = manifest.unwrap_or_default();
        collection.as_of = manifest.time_stamp.and_then(|at| at.parse::<Timestamp>().ok());
        collection.practice = manifest.practice;
        collection.validator = Some(validator);
        Ok(Fetched::Features(collection))
    }

    /// Stands for all messages, and for how they are read.
    fn validator(&self, wanted: &Wanted<'_>) -> String {
        let mut all = digest::Summing::new();
        all.add(wanted.id_field.unwrap_or_default().as_bytes());
        for (topic, payload) in &self.kept {
            all.add(topic.as_bytes());
            match payload {
                Payload::Text(text) => all.add(text),
                Payload::TooLarge(bytes) => all.add(&bytes.to_be_bytes()),
            }
        }
        all.text()
    }
}

/// A feature without a key of its own has its topic's last level for one.
fn parsed(topic: &str, text: &[u8], wanted: &Wanted<'_>, row: u64) -> Result<Parsed, Rejection> {
    let mut parsed = crate::geojson::parse(text, row)?;
    if parsed.id.is_none() && wanted.id_field.is_none() {
        parsed.id = topic.rsplit('/').next().map(str::to_owned);
    }
    Ok(parsed)
}

/// Says of which topic a rejection is: its row is one of a list that nobody sees.
fn name(rejected: &mut Rejection, topics: &[&String]) {
    let nth = usize::try_from(rejected.row.saturating_sub(1)).ok();
    if let Some(topic) = nth.and_then(|nth| topics.get(nth)) {
        rejected.reason = format!("topic {topic}: {}", rejected.reason);
    }
}

/// The collections that a broker keeps under `collections/…/items`, each with its number of features where that became
/// known in a short time.
///
/// # Errors
/// Those of [`Line`].
pub(super) async fn offers(client: &Client, root: &Url, login: Option<Login<'_>>) -> Result<Vec<Offer>, FetchError> {
    let heads = below(root, "collections/+/items");
    let line = Line::new(client, root, login, heads.as_str(), limits(client));
    let mut session = line.open(&client_name(), vec![filter(heads.as_str()), filter(format!("{heads}/+"))]).await?;
    let mut looking = Looking {
        url: root,
        prefix: below(root, "collections/"),
        found: BTreeMap::new(),
        messages: 0,
        until: Instant::now() + LOOK,
    };
    let idle = client.options.idle_timeout;
    client.in_time(root, gather(&mut session, &below(root, "-"), idle, &mut looking)).await?;
    let whole = !looking.enough();
    let offer = |(id, (seen, manifest)): (String, (u64, Manifest))| Offer {
        collection: Some(format!("collections/{id}/items")),
        title: manifest.title.filter(|title| !title.trim().is_empty()).unwrap_or(id),
        features: manifest.number_matched.or(Some(seen).filter(|_| whole)),
    };
    Ok(looking.found.into_iter().map(offer).collect())
}

struct Looking<'a> {
    url: &'a Url,
    prefix: String,
    found: BTreeMap<String, (u64, Manifest)>,
    messages: u64,
    until: Instant,
}

impl Gathering for Looking<'_> {
    fn take(&mut self, message: Publish) -> Result<(), FetchError> {
        self.messages += 1;
        let rest = message.topic.strip_prefix(self.prefix.as_str());
        let Some((id, place)) = rest.and_then(|rest| rest.split_once('/')) else { return Ok(()) };
        if message.payload.is_empty() || !message.retain {
            return Ok(());
        }
        let (seen, manifest) = self.found.entry(id.to_owned()).or_default();
        if place == "items" {
            // One that is wrong keeps nobody from the others.
            *manifest = Manifest::read(self.url, &message.topic, &message.payload).unwrap_or_default();
        } else {
            *seen += 1;
        }
        Ok(())
    }

    fn complete(&self) -> Option<bool> {
        None
    }

    fn enough(&self) -> bool {
        self.messages >= LOOK_MESSAGES || Instant::now() >= self.until
    }
}
