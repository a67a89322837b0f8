//! A connection to a broker, whatever it is for: where it may lead, who asks, within what limits, and what goes wrong in
//! words of [`FetchError`].
//!
//! Where a broker may be contacted is settled before rumqttc is told of it, by the guard that holds for HTTP too.

use crate::features::Login;
use crate::net::{Client, FetchError, host_of, tcp};
use model::Credentials;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS,
    StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// Bounds of one connection.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// A larger packet ends the connection: it would have to be taken into memory to be passed over.
    pub(crate) packet_bytes: usize,
    /// Longest wait for the next packet.
    pub(crate) silence: Duration,
    /// How often the broker is asked whether it is there.
    pub(crate) keep_alive: Duration,
}

/// Who asks which broker for what.
pub(crate) struct Line<'a> {
    client: &'a Client,
    url: &'a Url,
    login: Option<Login<'a>>,
    host: String,
    /// What is listened to, for what is said of it.
    subject: String,
    limits: Limits,
}

/// An open connection.
pub(crate) struct Session<'l, 'a> {
    line: &'l Line<'a>,
    /// The addresses not yet tried.
    ways: std::vec::IntoIter<MqttOptions>,
    filters: Vec<SubscribeFilter>,
    asking: AsyncClient,
    events: EventLoop,
    inside: bool,
    subscribed: bool,
    silent_at: Instant,
}

/// A filter that is heard at least once.
pub(crate) fn filter(topic: impl Into<String>) -> SubscribeFilter {
    SubscribeFilter { path: topic.into(), qos: QoS::AtLeastOnce }
}

impl<'a> Line<'a> {
    pub(crate) fn new(
        client: &'a Client,
        url: &'a Url,
        login: Option<Login<'a>>,
        subject: impl Into<String>,
        limits: Limits,
    ) -> Self {
        Self { client, url, login, host: host_of(url), subject: subject.into(), limits }
    }

    /// Connects and subscribes; the connection itself is made with the first [`Session::next`]. `name` is what the broker
    /// knows this client by: two of one name throw each other out.
    pub(crate) async fn open(&self, name: &str, filters: Vec<SubscribeFilter>) -> Result<Session<'_, 'a>, FetchError> {
        let mut ways = self.ways(name).await?.into_iter();
        let Some(first) = ways.next() else { return Err(FetchError::Dns { host: self.host.clone() }) };
        let (asking, events) = self.begin(first, filters.clone())?;
        let silent_at = Instant::now() + self.client.options.connect_timeout + self.limits.silence;
        Ok(Session { line: self, ways, filters, asking, events, inside: false, subscribed: false, silent_at })
    }

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

    fn begin(
        &self,
        options: MqttOptions,
        filters: Vec<SubscribeFilter>,
    ) -> Result<(AsyncClient, EventLoop), FetchError> {
        let (asking, mut events) = AsyncClient::new(options, 8);
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(self.client.options.connect_timeout.as_secs().max(1));
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        match asking.try_subscribe_many(filters) {
            Ok(()) => Ok((asking, events)),
            Err(error) => Err(FetchError::Malformed { url: self.url.to_string(), what: error.to_string() }),
        }
    }

    /// `host`: the name or address that is connected to.
    pub(super) fn options(&self, name: &str, host: &str) -> Result<MqttOptions, FetchError> {
        let mut shown = self.url.clone();
        let _ = shown.set_password(None);
        let bad = |reason: &str| FetchError::BadAddress { url: shown.to_string(), reason: reason.into() };
        let (usual_port, transport) = match self.url.scheme() {
            "mqtt" => (1883, Transport::tcp()),
            "mqtts" => (8883, Transport::tls_with_config(self.tls()?)),
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
        options.set_max_packet_size(self.limits.packet_bytes, self.limits.packet_bytes);
        options.set_keep_alive(self.limits.keep_alive.max(Duration::from_secs(1)));
        match self.login.map(|login| (login.credentials, login.secret)) {
            Some((Credentials::Basic { user, .. }, secret)) => {
                options.set_credentials(user, secret.reveal());
            }
            Some(_) => return Err(bad("a broker takes credentials of the kind basic only: a user and a password")),
            None => {}
        }
        Ok(options)
    }

    /// `sslrootcert=FILE` in the address names an authority that the system does not know, as in those of databases.
    fn tls(&self) -> Result<TlsConfiguration, FetchError> {
        let Some((_, path)) = self.url.query_pairs().find(|(key, _)| key == "sslrootcert") else {
            return Ok(TlsConfiguration::Native);
        };
        let tls = |reason: String| FetchError::Tls { host: self.host.clone(), reason: format!("{path}: {reason}") };
        let pem = std::fs::read(&*path).map_err(|error| tls(error.to_string()))?;
        let known = native_tls::Certificate::from_pem(&pem).map_err(|error| tls(error.to_string()))?;
        let connector = native_tls::TlsConnector::builder().add_root_certificate(known).build();
        Ok(TlsConfiguration::NativeConnector(connector.map_err(|error| tls(error.to_string()))?))
    }

    fn silent(&self, inside: bool) -> FetchError {
        let (host, silence) = (self.host.clone(), self.limits.silence);
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

    fn no_access(&self) -> FetchError {
        FetchError::NoAccess {
            host: self.host.clone(),
            user: self.user(),
            collection: self.subject.clone(),
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
            )) => FetchError::TooLarge { host, limit_bytes: self.limits.packet_bytes as u64 },
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
            // What TLS says of a byte that is not the one that was sent.
            _ if inside => FetchError::Damaged { host },
            _ if text.contains("lookup address") || text.contains("Name or service") => FetchError::Dns { host },
            _ => FetchError::Unreachable { host, reason: text },
        }
    }
}

impl Session<'_, '_> {
    /// The broker's next packet, or `None` when it has not come by `until`.
    ///
    /// # Errors
    /// The connection's end, which is always one: those of [`Line::open`], `login` for a refused user, `no_access` for a refused
    /// topic, `silent` when nothing came for longer than may be, `ended` when the broker closed the connection.
    pub(crate) async fn next(&mut self, until: Option<Instant>) -> Result<Option<Packet>, FetchError> {
        loop {
            let by = until.map_or(self.silent_at, |until| until.min(self.silent_at));
            // Dropping a poll loses nothing: rumqttc itself drops its reading for every ping.
            let event = match timeout_at(by, self.events.poll()).await {
                Ok(Ok(event)) => event,
                // Nobody listens there; a host may have other addresses.
                Ok(Err(ConnectionError::Io(error))) if !self.inside => {
                    let Some(options) = self.ways.next() else { return Err(self.line.broken(&error, false)) };
                    (self.asking, self.events) = self.line.begin(options, self.filters.clone())?;
                    continue;
                }
                Ok(Err(error)) => return Err(self.line.explain(error, self.inside)),
                Err(_) if by < self.silent_at => return Ok(None),
                Err(_) => return Err(self.line.silent(self.inside)),
            };
            let Event::Incoming(packet) = event else { continue };
            self.silent_at = Instant::now() + self.line.limits.silence;
            match &packet {
                Packet::ConnAck(_) => self.inside = true,
                Packet::SubAck(answer) => {
                    // Later answers are to questions that may be refused.
                    let first = !std::mem::replace(&mut self.subscribed, true);
                    if first && answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                        return Err(self.line.no_access());
                    }
                }
                Packet::Disconnect => return Err(FetchError::Ended { host: self.line.host.clone() }),
                _ => {}
            }
            return Ok(Some(packet));
        }
    }

    /// Asks for one more topic: whatever is answered, the broker has come so far.
    pub(crate) fn ask(&mut self, topic: &str) -> Result<(), FetchError> {
        self.asking
            .try_subscribe(topic, QoS::AtMostOnce)
            .map_err(|error| FetchError::Malformed { url: self.line.url.to_string(), what: error.to_string() })
    }
}
