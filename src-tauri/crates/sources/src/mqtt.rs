//! The MQTT side of SensorThings (OGC 18-088, section 14.3): each new observation as it is made.
//!
//! A topic is an address of the service, `v1.1/Datastreams(7)/Observations`; a message is an Observation. What was
//! missed while there was no connection is not asked of the broker, which keeps only so much, but of the service itself:
//! a connection begins with nothing kept for it.
//!
//! Where a broker may be contacted is settled before rumqttc is told of it, by the guard that holds for HTTP too.

use crate::features::Login;
use crate::net::{Client, FetchError, host_of, tcp};
use crate::sensorthings::Streams;
use model::{Credentials, Observation, Timestamp};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, Packet, Publish,
    QoS, StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
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
/// A larger packet ends the connection: it would have to be taken into memory to be passed over.
const MAX_PACKET_BYTES: usize = 4 << 20;
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
    let line = Line { client, url, login, host: host_of(url) };
    let prefix = prefix_of(url);
    let mut ways = match line.ways(name).await {
        Ok(ways) => ways.into_iter(),
        Err(error) => return error,
    };
    let mut begin = || ways.next().map(|options| line.begin(options, topics(prefix, streams)));
    let mut events = match begin() {
        Some(Ok(begun)) => begun,
        Some(Err(error)) => return error,
        None => return FetchError::Dns { host: line.host },
    };
    let mut seen = Seen::default();
    let mut inside = false;
    let mut silent_at = Instant::now() + client.options.connect_timeout + client.options.silence;
    loop {
        let event = match timeout_at(silent_at, events.poll()).await {
            Ok(Ok(event)) => event,
            // Nobody listens there; a host may have other addresses.
            Ok(Err(ConnectionError::Io(error))) if !inside => match begin() {
                Some(Ok(begun)) => {
                    events = begun;
                    continue;
                }
                Some(Err(error)) => return error,
                None => return line.broken(&error, inside),
            },
            Ok(Err(error)) => return line.explain(error, inside),
            Err(_) => return line.silent(inside),
        };
        let Event::Incoming(packet) = event else { continue };
        silent_at = Instant::now() + client.options.silence;
        match packet {
            Packet::ConnAck(_) => inside = true,
            Packet::SubAck(answer) if answer.return_codes.contains(&SubscribeReasonCode::Failure) => {
                return line.no_access(prefix);
            }
            Packet::Publish(message) => {
                if let Some(message) = understood(prefix, streams, &mut seen, &message) {
                    sink(message);
                }
            }
            Packet::Disconnect => return FetchError::Ended { host: line.host },
            _ => {}
        }
        sink(Message::Alive);
    }
}

fn prefix_of(url: &Url) -> &str {
    match url.path().trim_matches('/') {
        "" => "v1.1",
        path => path,
    }
}

fn topics(prefix: &str, streams: &Streams) -> Vec<SubscribeFilter> {
    let filter = |topic: String| SubscribeFilter { path: topic, qos: QoS::AtLeastOnce };
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

struct Line<'a> {
    client: &'a Client,
    url: &'a Url,
    login: Option<Login<'a>>,
    host: String,
}

impl Line<'_> {
    /// How to connect to each of the broker's addresses that may be contacted. An address takes the place of its name, so
    /// that nobody looks the name up again.
    ///
    /// With TLS the name has to stay, for the certificate is held against it, and rumqttc (0.25) takes neither a
    /// socket nor a connector: it looks the name up once more. So a broker with one forbidden address is refused as a whole, and
    /// what remains is a name that changes between the two look-ups. Whoever it leads to then sees a TLS greeting and
    /// nothing more, unless it shows a certificate of that name.
    async fn ways(&self, name: &str) -> Result<Vec<MqttOptions>, FetchError> {
        let host = tcp::host_name(self.url);
        // Judged before a name is looked up.
        let as_named = self.options(name, host)?;
        let ways = tcp::ways(self.client, self.url).await?;
        if matches!(as_named.transport(), Transport::Tls(_)) {
            return ways.refused.map_or_else(|| Ok(vec![as_named]), Err);
        }
        let written = |address: &IpAddr| match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        ways.permitted.iter().map(|address| self.options(name, &written(address))).collect()
    }

    fn begin(&self, options: MqttOptions, topics: Vec<SubscribeFilter>) -> Result<EventLoop, FetchError> {
        let (asking, mut events) = AsyncClient::new(options, 8);
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(self.client.options.connect_timeout.as_secs().max(1));
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        match asking.try_subscribe_many(topics) {
            Ok(()) => Ok(events),
            Err(error) => Err(FetchError::Malformed { url: self.url.to_string(), what: error.to_string() }),
        }
    }

    /// `host`: the name or address that is connected to.
    fn options(&self, name: &str, host: &str) -> Result<MqttOptions, FetchError> {
        let mut shown = self.url.clone();
        let _ = shown.set_password(None);
        let bad = |reason: &str| FetchError::BadAddress { url: shown.to_string(), reason: reason.into() };
        let (usual_port, transport) = match self.url.scheme() {
            "mqtt" => (1883, Transport::tcp()),
            "mqtts" => (8883, Transport::tls_with_config(TlsConfiguration::Native)),
            _ => return Err(bad("it begins with neither mqtt:// nor mqtts://")),
        };
        if self.url.password().is_some() {
            return Err(bad("a password must not stand in it; the source names it under credentials"));
        }
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        let mut options = MqttOptions::new(name, host, self.url.port().unwrap_or(usual_port));
        options.set_transport(transport);
        options.set_clean_session(true);
        options.set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
        // Asked in time for the answer to be there before silence is one.
        options.set_keep_alive(Duration::from_secs((self.client.options.silence.as_secs() * 2 / 3).max(1)));
        match self.login.map(|login| (login.credentials, login.secret)) {
            Some((Credentials::Basic { user, .. }, secret)) => {
                options.set_credentials(user, secret.reveal());
            }
            Some(_) => return Err(bad("a broker takes credentials of the kind basic only: a user and a password")),
            None => {}
        }
        Ok(options)
    }

    fn silent(&self, inside: bool) -> FetchError {
        let (host, silence) = (self.host.clone(), self.client.options.silence);
        if inside {
            return FetchError::Silent { host, secs: silence.as_secs() };
        }
        let secs = (silence + self.client.options.connect_timeout).as_secs();
        FetchError::Timeout { host, secs, answered: false }
    }

    fn user(&self) -> String {
        match self.login.map(|login| login.credentials) {
            Some(Credentials::Basic { user, .. }) => user.clone(),
            _ => String::new(),
        }
    }

    fn no_access(&self, prefix: &str) -> FetchError {
        FetchError::NoAccess {
            host: self.host.clone(),
            user: self.user(),
            collection: format!("{prefix}/Datastreams(…)/Observations"),
            reason: "the broker refuses the topic".into(),
        }
    }

    fn explain(&self, error: ConnectionError, inside: bool) -> FetchError {
        let host = self.host.clone();
        match error {
            ConnectionError::Io(error) => self.broken(&error, inside),
            ConnectionError::MqttState(StateError::Io(error)) => self.broken(&error, inside),
            // Broken off while a packet was being read.
            ConnectionError::MqttState(StateError::Deserialization(rumqttc::mqttbytes::Error::Io(error))) => {
                self.broken(&error, inside)
            }
            ConnectionError::MqttState(StateError::ConnectionAborted) => FetchError::Ended { host },
            ConnectionError::MqttState(StateError::AwaitPingResp) | ConnectionError::FlushTimeout => self.silent(true),
            ConnectionError::MqttState(StateError::Deserialization(
                rumqttc::mqttbytes::Error::PayloadSizeLimitExceeded(_),
            )) => FetchError::TooLarge { host, limit_bytes: MAX_PACKET_BYTES as u64 },
            ConnectionError::NetworkTimeout => {
                let secs = self.client.options.connect_timeout.as_secs().max(1);
                FetchError::Timeout { host, secs, answered: false }
            }
            ConnectionError::Tls(error) => FetchError::Tls { host, reason: error.to_string() },
            ConnectionError::ConnectionRefused(
                code @ (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized),
            ) => {
                let secret = self.login.map(|login| login.credentials.secret().to_owned());
                FetchError::Login { host, user: self.user(), secret, reason: format!("{code:?}") }
            }
            // It is there, and will be there for others again.
            ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable) => {
                FetchError::Status { host, status: 503, retry_after_secs: None }
            }
            ConnectionError::ConnectionRefused(code) => {
                FetchError::Service { host, code: format!("{code:?}"), reason: "the broker takes no connection".into() }
            }
            other => FetchError::Malformed { url: self.url.to_string(), what: other.to_string() },
        }
    }

    fn broken(&self, error: &io::Error, inside: bool) -> FetchError {
        use io::ErrorKind as K;
        let (host, text) = (self.host.clone(), error.to_string());
        match error.kind() {
            K::ConnectionRefused => FetchError::Refused { host },
            K::ConnectionAborted | K::UnexpectedEof if inside => FetchError::Ended { host },
            K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof => {
                FetchError::Reset { host, answered: inside }
            }
            K::TimedOut => self.silent(inside),
            _ if text.contains("lookup address") || text.contains("Name or service") => FetchError::Dns { host },
            _ => FetchError::Unreachable { host, reason: text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_brokers_are_checked() {
        let check = |url: &str| {
            let url: Url = url.parse().unwrap();
            let client = Client::default();
            let line = Line { client: &client, url: &url, login: None, host: host_of(&url) };
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
