//! That something changed, as a broker tells it: what exactly, the layer's own source is asked.

use super::line::{Limits, Line, filter};
use super::topics::{Topics, below};
use super::{MAX_FEATURE_PACKET_BYTES, client_name};
use crate::features::Login;
use crate::net::{Client, FetchError};
use model::Protocol;
use rumqttc::{Packet, SubscribeFilter};
use url::Url;

/// What a broker tells of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// From now on every change is told; earlier ones may have been missed.
    Listening,
    /// The line is alive.
    Alive,
    /// Something was added, changed or removed.
    Changed,
}

/// Listens for changes of some layers, each with its `collection`, until the connection ends, which is always an error.
///
/// A `mqtt` source's layers are listened to where their features lie. For others the topics are those that OGC API
/// servers publish to (OGC 23-057r1; pygeoapi's publisher): `collections/COLLECTION` and all below. What a message says does not
/// matter, and what the broker kept is no news.
///
/// Returns those of [`super::listen`].
pub async fn changes(
    client: &Client,
    url: &Url,
    login: Option<Login<'_>>,
    protocol: Protocol,
    layers: &[(String, Option<String>)],
    mut sink: impl FnMut(Change) + Send,
) -> FetchError {
    let mut filters: Vec<SubscribeFilter> = Vec::new();
    for (layer, collection) in layers {
        match (protocol, Topics::of(url, layer, collection.as_deref())) {
            (Protocol::Mqtt, Ok(topics)) => filters.extend(topics.filters()),
            (Protocol::Mqtt, Err(error)) => return error,
            _ => {
                let name = collection.as_deref().unwrap_or(layer);
                filters.push(filter(below(url, &format!("collections/{name}/#"))));
            }
        }
    }
    let silence = client.options.silence;
    let limits = Limits { packet_bytes: MAX_FEATURE_PACKET_BYTES, silence, keep_alive: silence * 2 / 3 };
    let subject = filters.first().map(|filter| filter.path.clone()).unwrap_or_default();
    let line = Line::new(client, url, login, subject, limits);
    let mut session = match line.open(&client_name(), filters).await {
        Ok(session) => session,
        Err(error) => return error,
    };
    loop {
        match session.next(None).await {
            Ok(Some(Packet::SubAck(_))) => sink(Change::Listening),
            Ok(Some(Packet::Publish(message))) if !message.retain => sink(Change::Changed),
            Ok(_) => sink(Change::Alive),
            Err(error) => return error,
        }
    }
}
