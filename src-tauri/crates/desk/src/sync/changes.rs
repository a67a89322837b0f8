//! What a broker tells of layers that change: their source is asked at once, instead of at its next turn.

use super::login::Held;
use super::seed_of;
use crate::Desk;
use crate::api::Event;
use model::{Credentials, Protocol, SourceSpec};
use sources::mqtt::{self, Change};
use sources::{Backoff, FetchError, Login};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Where something changes all the time the source is still asked no more often than this.
const WAKE_EVERY: Duration = Duration::from_secs(5);

/// Layers by their id, with what the source calls them.
type Layers = Vec<(String, Option<String>)>;

pub(super) async fn run(desk: Arc<Desk>, source: SourceSpec, waker: Arc<Notify>) {
    desk.unless_paused(&source.id, || turns(&desk, &source, &waker)).await;
}

async fn turns(desk: &Arc<Desk>, source: &SourceSpec, waker: &Notify) {
    let every = source.every.as_duration();
    // The broker is the source itself, or stands beside it.
    let own = source.protocol == Protocol::Mqtt;
    let mut backoff = Backoff::new(seed_of(&source.url));
    let mut profiles = desk.sources_changed.subscribe();
    let mut told = false;
    loop {
        let layers = layers_of(desk, source);
        let (error, heard) = tokio::select! {
            ended = listen(desk, source, &layers, waker) => ended,
            () = others(desk, source, &layers, &mut profiles) => continue,
        };
        if heard {
            backoff.reset();
            told = false;
        }
        let wait = super::wait_after(&mut backoff, &error, every);
        if own && !super::answered(&error) {
            super::note(desk, source, &error, Some(wait));
        } else if !own && !told {
            // The source itself is asked by its period all the same.
            let address = source.mqtt.as_deref().unwrap_or_default();
            let failure = crate::failures::fetch(desk.language(), address, &error);
            desk.tell(&Event::Notice { failure, serious: false });
            told = true;
        }
        tokio::time::sleep(wait).await;
    }
}

fn layers_of(desk: &Desk, source: &SourceSpec) -> Layers {
    let profile = desk.profile();
    let of_source = profile.layers.iter().filter(|layer| layer.feature_source.as_ref() == Some(&source.id));
    of_source.map(|layer| (layer.id.to_string(), layer.collection.clone())).collect()
}

/// Waits until the source has other layers.
async fn others(desk: &Desk, source: &SourceSpec, layers: &Layers, profiles: &mut tokio::sync::watch::Receiver<()>) {
    loop {
        if profiles.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        if layers_of(desk, source) != *layers {
            return;
        }
    }
}

/// Listens until the connection ends: why, and whether it had been one at all.
async fn listen(desk: &Arc<Desk>, source: &SourceSpec, layers: &Layers, waker: &Notify) -> (FetchError, bool) {
    let own = source.protocol == Protocol::Mqtt;
    let url = if own {
        desk.links().url(&source.id)
    } else {
        source.mqtt.as_deref().and_then(|url| desk.links().resolve(url))
    };
    let Some(url) = url.filter(|_| !layers.is_empty()) else { return std::future::pending().await };
    let held = match desk.held(source).await {
        Ok(held) => held,
        Err(error) => return (error, false),
    };
    let heard = AtomicBool::new(false);
    let changed = Notify::new();
    // A key for a web server is not for the broker beside it.
    let basic = |login: &Login<'_>| own || matches!(login.credentials, Credentials::Basic { .. });
    let login = held.as_ref().map(Held::login).filter(basic);
    let listening = mqtt::changes(&desk.client, &url, login, source.protocol, layers, |change| {
        if own {
            desk.links().heard(&source.id, desk.now());
        }
        match change {
            // What changed while nobody listened is asked for.
            Change::Listening => {
                heard.store(true, Ordering::Relaxed);
                changed.notify_one();
            }
            Change::Changed => changed.notify_one(),
            Change::Alive => {}
        }
    });
    let error = tokio::select! {
        error = listening => error,
        () = wake(&changed, waker) => FetchError::Cancelled,
    };
    let error = Held::hide(held.as_ref(), error);
    (error, heard.load(Ordering::Relaxed))
}

/// Passes on that something changed, and gathers what comes soon after, without end.
async fn wake(changed: &Notify, waker: &Notify) {
    loop {
        changed.notified().await;
        waker.notify_one();
        tokio::time::sleep(WAKE_EVERY).await;
    }
}
