//! What a broker tells of a data centre's data as it changes: observations here, features of a layer by [`changes`].
//!
//! Observations are the MQTT side of SensorThings (OGC 18-088, section 14.3). A topic is an address of the service,
//! `v1.1/Datastreams(7)/Observations`; a message is an Observation. What was missed while there was no connection is not
//! asked of the broker, which keeps only so much, but of the service itself: a connection begins with nothing kept for it.

mod changes;
mod line;
mod topics;

pub use changes::{Change, changes};
pub(crate) use line::{Limits, Line, Session, filter};
pub(crate) use topics::{Place, Topics, below};

use crate::features::Login;
use crate::net::{Client, FetchError};
use crate::sensorthings::Streams;
use model::{Observation, Timestamp};
use rumqttc::{Packet, Publish, SubscribeFilter};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use url::Url;

/// What a broker tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Observation {
        observation: Observation,
        /// The broker kept it: the last known value, of whatever age, and no news.
        retained: bool,
    },
    /// The line is alive.
    Alive,
    /// Something else than an observation came: the reason.
    Unusable { topic: String, reason: String },
}

/// Larger messages are passed over.
const MAX_PAYLOAD_BYTES: usize = 64 << 10;
const MAX_PACKET_BYTES: usize = 4 << 20;
/// Features are larger than observations: a border of many corners.
pub(crate) const MAX_FEATURE_PACKET_BYTES: usize = 16 << 20;
/// With more datastreams than this one topic with a wildcard is subscribed to.
const MAX_TOPICS: usize = 200;
/// So many observations of a datastream are compared with: the broker's word "at least once" means now and then twice.
const REMEMBERED: usize = 16;

/// Listens until the connection ends or dies, which is always an error: the caller waits by its back-off and listens
/// again. `name` is what the broker knows this client by: two of one name throw each other out.
///
/// The path of `url` stands in front of the topics; without one it is `v1.1`. Messages on other topics and of other
/// datastreams are passed over.
///
/// Returns `forbidden_address` where the broker's name leads to an address that is never contacted, `login` for a refused
/// user, `no_access` for a refused topic, `silent` when nothing came for longer than
/// [`crate::ClientOptions::silence`], `ended` when the broker closed the connection.
pub async fn listen(
    client: &Client,
    url: &Url,
    login: Option<Login<'_>>,
    name: &str,
    streams: &Streams,
    mut sink: impl FnMut(Message) + Send,
) -> FetchError {
    let prefix = prefix_of(url);
    let silence = client.options.silence;
    // Asked in time for the answer to be there before silence is one.
    let limits = Limits { packet_bytes: MAX_PACKET_BYTES, silence, keep_alive: silence * 2 / 3 };
    let line = Line::new(client, url, login, format!("{prefix}/Datastreams(…)/Observations"), limits);
    let mut session = match line.open(name, topics(prefix, streams)).await {
        Ok(session) => session,
        Err(error) => return error,
    };
    let mut seen = Seen::default();
    loop {
        match session.next(None).await {
            Ok(Some(Packet::Publish(message))) => {
                if let Some(message) = understood(prefix, streams, &mut seen, &message) {
                    sink(message);
                }
            }
            Ok(_) => {}
            Err(error) => return error,
        }
        sink(Message::Alive);
    }
}

/// A name that no other client has, not even another of the same program: of two the broker throws one out. 23 letters
/// and digits are what every broker takes (MQTT 3.1.1, section 3.1.3.1).
pub fn client_name() -> String {
    format!("toancanh{:015x}", RandomState::new().hash_one(std::process::id()) >> 4)
}

fn prefix_of(url: &Url) -> &str {
    match url.path().trim_matches('/') {
        "" => "v1.1",
        path => path,
    }
}

fn topics(prefix: &str, streams: &Streams) -> Vec<SubscribeFilter> {
    // A wildcard is a whole level: the same one also has what is no datastream.
    let special = |id: &str| id.contains(['+', '#', '/']);
    if streams.is_empty() || streams.len() > MAX_TOPICS || streams.ids().any(special) {
        return vec![filter(format!("{prefix}/+/Observations"))];
    }
    streams.ids().map(|id| filter(format!("{prefix}/Datastreams({id})/Observations"))).collect()
}

fn understood(prefix: &str, streams: &Streams, seen: &mut Seen, message: &Publish) -> Option<Message> {
    let topic = message.topic.strip_prefix(prefix)?.strip_prefix("/Datastreams(")?;
    let id = topic.strip_suffix(")/Observations")?;
    let unusable = |reason: String| Some(Message::Unusable { topic: message.topic.clone(), reason });
    if message.payload.len() > MAX_PAYLOAD_BYTES {
        return unusable(format!("it is larger than {MAX_PAYLOAD_BYTES} bytes"));
    }
    match streams.observation(id, &message.payload)? {
        Ok(observation) if seen.again(id, &observation) => None,
        Ok(observation) => Some(Message::Observation { observation, retained: message.retain }),
        Err(rejection) => unusable(rejection.reason),
    }
}

/// The last observations of each datastream.
#[derive(Default)]
struct Seen(HashMap<String, VecDeque<(Timestamp, Said)>>);

/// A value, bit by bit, and its status.
type Said = (u64, &'static str);

impl Seen {
    fn again(&mut self, id: &str, observation: &Observation) -> bool {
        let said = (observation.value.to_bits(), observation.status.code());
        let last = self.0.entry(id.to_owned()).or_default();
        // Another value for the same moment is a correction.
        if let Some((_, known)) = last.iter_mut().find(|(at, _)| *at == observation.measured_at) {
            return std::mem::replace(known, said) == said;
        }
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back((observation.measured_at, said));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tcp;
    use std::time::Duration;

    #[test]
    fn addresses_of_brokers_are_checked() {
        let check = |url: &str| {
            let url: Url = url.parse().unwrap();
            let client = Client::default();
            let limits =
                Limits { packet_bytes: 1 << 20, silence: Duration::from_secs(3), keep_alive: Duration::from_secs(2) };
            let line = Line::new(&client, &url, None, "", limits);
            line.options("a", tcp::host_name(&url))
                .map(|options| options.broker_address())
                .map_err(|error| error.to_string())
        };
        assert_eq!(check("mqtt://broker.example"), Ok(("broker.example".into(), 1883)));
        assert_eq!(check("mqtts://broker.example/frost/v1.1"), Ok(("broker.example".into(), 8883)));
        for url in ["http://broker.example", "mqtt://u:geheim@broker.example"] {
            let error = check(url).unwrap_err();
            assert!(error.contains("broker.example") && !error.contains("geheim"), "{error}");
        }
        assert_eq!(prefix_of(&"mqtt://b".parse().unwrap()), "v1.1");
        assert_eq!(prefix_of(&"mqtt://b/frost/v1.0/".parse().unwrap()), "frost/v1.0");
    }
}
