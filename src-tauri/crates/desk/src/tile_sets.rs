//! Tiles of maps that others make, as the map asks for them: from the cache while they are fresh, else from their source,
//! and from the cache however old they are while the source does not answer.
//!
//! One place for base maps and for layers that stay in the data centre. A request for a tile that is on its way waits for
//! it; a source is asked for a few at a time; one that fails is left alone for a while. Files of this machine are read
//! each time and not kept.

use crate::Desk;
use crate::api::{Event, TileSetState, TileSetStatus};
use crate::home::Home;
use crate::sync::Held;
use model::{Credentials, TileForm, TileProtocol, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use sources::tiles::{Description, TileAnswer, TileSource, TileSpec};
use sources::{Backoff, FetchError};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::{CachedTile, NewTile, StoreError, TileCache, TilePlace};
use tokio::sync::Semaphore;

/// A source is asked for so many tiles at once, as browsers do.
const AT_ONCE: usize = 6;
/// A tile of which its source says nothing is asked for again after this.
const FRESH_FOR: Duration = Duration::from_secs(86_400);
/// A tile that its source wants to be asked for each time is used this long all the same: the map asks often.
const LEAST_FRESH: Duration = Duration::from_secs(30);
/// Where an old tile is at hand, the map waits this long for a new one; the new one is kept when it comes later.
const PATIENCE: Duration = Duration::from_secs(2);
/// A source that answers, but badly, is left alone after so many failures in a row: one tile may be broken by itself.
const BAD_ANSWERS: u32 = 4;

/// Whose tiles they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Basemap,
    Layer,
}

/// A set of tiles: whose it is and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TileSet {
    pub(crate) owner: Owner,
    /// Of the base map or the layer.
    pub(crate) id: String,
    pub(crate) protocol: TileProtocol,
    /// With the practice data centre's address filled in.
    pub(crate) url: String,
    pub(crate) layer: Option<String>,
    pub(crate) style: Option<String>,
    pub(crate) credentials: Option<Credentials>,
}

impl TileSet {
    /// The name in the cache. Another address is another set: its tiles must not be taken for these.
    pub(crate) fn key(&self) -> String {
        let owner = match self.owner {
            Owner::Basemap => "basemap",
            Owner::Layer => "layer",
        };
        let mut hash = Sha256::new();
        for part in [
            self.protocol.as_str(),
            &self.url,
            self.layer.as_deref().unwrap_or(""),
            self.style.as_deref().unwrap_or(""),
        ] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let hash: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("{owner}/{}#{hash}", self.id)
    }
}

/// A tile for the map.
#[derive(Clone, Debug, PartialEq)]
pub enum SetTile {
    Tile {
        form: TileForm,
        bytes: Vec<u8>,
        /// When it was fetched; absent for a file of this machine.
        fetched_at: Option<Timestamp>,
    },
    /// The source says that nothing is there.
    Empty,
    /// Neither the source nor the cache has it now.
    Missing,
}

/// What became of a tile that was to be there beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ensured {
    /// It was fresh already.
    Held,
    /// Fetched, or asked for and found unchanged.
    Fetched,
    /// The budget is full of tiles that were fetched beforehand.
    NoRoom,
}

/// The running side of all sets.
pub(crate) struct TileSets {
    /// Absent when its file cannot be used; tiles are then shown but not kept.
    cache: Option<Arc<TileCache>>,
    running: Mutex<HashMap<String, Arc<Running>>>,
}

/// One set that was asked for.
struct Running {
    set: TileSet,
    source: tokio::sync::Mutex<Option<Arc<TileSource>>>,
    turns: Semaphore,
    flights: Mutex<HashMap<TilePlace, Arc<tokio::sync::Mutex<()>>>>,
    health: Mutex<Health>,
}

struct Health {
    status: TileSetStatus,
    since: Option<Timestamp>,
    error: Option<FetchError>,
    /// Not asked before this.
    rests_until: Option<Timestamp>,
    /// The oldest tile that was shown in place of a new one since then.
    oldest_shown: Option<Timestamp>,
    backoff: Backoff,
}

impl TileSets {
    /// Opens the cache of tiles; what was wrong with its file comes beside. Without the cache, maps are shown all the same.
    pub(crate) fn open(home: &Home, budget_bytes: u64) -> (Self, Result<Option<PathBuf>, StoreError>) {
        let (cache, outcome) = match TileCache::open_or_rebuild(&home.tiles()) {
            Ok((cache, aside)) => {
                cache.set_budget(budget_bytes);
                (Some(Arc::new(cache)), Ok(aside))
            }
            Err(error) => (None, Err(error)),
        };
        (Self { cache, running: Mutex::default() }, outcome)
    }

    pub(crate) fn set_budget(&self, bytes: u64) {
        if let Some(cache) = &self.cache {
            cache.set_budget(bytes);
        }
    }

    pub(crate) fn cache(&self) -> Option<&Arc<TileCache>> {
        self.cache.as_ref()
    }

    /// Forgets how a set was opened and how it fared: its profile changed, or a person asks anew.
    pub(crate) fn forget(&self, set: &TileSet) {
        self.running.lock().remove(&set.key());
    }

    fn running(&self, set: &TileSet) -> Arc<Running> {
        let mut running = self.running.lock();
        let key = set.key();
        if let Some(known) = running.get(&key).filter(|known| known.set == *set) {
            return known.clone();
        }
        let seed = key.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let health = Health {
            status: TileSetStatus::Unknown,
            since: None,
            error: None,
            rests_until: None,
            oldest_shown: None,
            backoff: Backoff::new(seed),
        };
        let new = Arc::new(Running {
            set: set.clone(),
            source: tokio::sync::Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            flights: Mutex::default(),
            health: Mutex::new(health),
        });
        running.insert(key, new.clone());
        new
    }
}

impl Desk {
    /// A tile of a set, as the map asks for it. Never an error: the set's state says why a tile is missing.
    pub(crate) async fn set_tile(self: &Arc<Self>, set: &TileSet, place: TilePlace) -> SetTile {
        let running = self.tile_sets().running(set);
        if is_file(set) {
            return self.file_tile(&running, place).await;
        }
        let held = self.held_tile(set, place).await;
        let now = self.now();
        if let Some(tile) = held.as_ref().filter(|tile| tile.fresh_until > now) {
            return shown(tile.clone());
        }
        if running.resting(now).is_some() {
            return self.old(&running, held);
        }
        // On a task of its own: what was asked for is kept, whoever waits for it.
        let (desk, asked) = (self.clone(), running.clone());
        let fetching = tokio::spawn(async move { desk.fetch_tile(&asked, place, false).await });
        let fetched = match held.is_some() {
            false => fetching.await.ok(),
            true => tokio::time::timeout(PATIENCE, fetching).await.ok().and_then(Result::ok),
        };
        match fetched {
            Some(Ok((_, tile))) => shown(tile),
            Some(Err(_)) | None => self.old(&running, held),
        }
    }

    /// Fetches a tile that is not fresh, and keeps it from giving way to others.
    ///
    /// # Errors
    /// As [`TileSource::tile`]; [`FetchError::Staging`] when it cannot be kept.
    pub(crate) async fn ensure_tile(self: &Arc<Self>, set: &TileSet, place: TilePlace) -> Result<Ensured, FetchError> {
        let running = self.tile_sets().running(set);
        let Some(cache) = self.tile_sets().cache().cloned() else { return Ok(Ensured::NoRoom) };
        let (key, now) = (set.key(), self.now());
        let looked = blocking(move || match cache.peek(&key, place)? {
            Some((fresh_until, kept)) if fresh_until > now => {
                if !kept {
                    cache.keep(&key, place)?;
                }
                Ok(true)
            }
            _ => Ok(false),
        });
        if looked.await.map_err(|error| self.unkept(&error))? {
            return Ok(Ensured::Held);
        }
        let (ensured, _) = self.fetch_tile(&running, place, true).await?;
        Ok(ensured)
    }

    /// What the source of a set says of itself. Asked once; after a failure, anew.
    ///
    /// # Errors
    /// As [`TileSource::open`].
    pub(crate) async fn tile_description(self: &Arc<Self>, set: &TileSet) -> Result<Description, FetchError> {
        let running = self.tile_sets().running(set);
        let opened = self.opened(&running).await;
        match &opened {
            Ok(_) => self.fared_well(&running),
            Err(error) => self.fared_ill(&running, error),
        }
        Ok(opened?.description().clone())
    }

    /// How a set fares now.
    pub(crate) fn tile_set_state(&self, set: &TileSet) -> TileSetState {
        self.fares(&self.tile_sets().running(set))
    }

    async fn file_tile(self: &Arc<Self>, running: &Running, place: TilePlace) -> SetTile {
        let asked = async { self.opened(running).await?.tile(place.z, place.x, place.y, None).await };
        match asked.await {
            Ok(TileAnswer::Tile(tile)) => {
                self.fared_well(running);
                SetTile::Tile { form: tile.form, bytes: tile.bytes, fetched_at: None }
            }
            Ok(_) => SetTile::Empty,
            Err(error) => {
                self.fared_ill(running, &error);
                SetTile::Missing
            }
        }
    }

    async fn held_tile(&self, set: &TileSet, place: TilePlace) -> Option<CachedTile> {
        let cache = self.tile_sets().cache()?.clone();
        let (key, now) = (set.key(), self.now());
        // A cache that cannot be read is as good as none: the source has the tile.
        blocking(move || cache.get(&key, place, now)).await.ok().flatten()
    }

    /// A tile in place of a newer one, with a note of its age.
    fn old(&self, running: &Running, held: Option<CachedTile>) -> SetTile {
        let Some(tile) = held else { return SetTile::Missing };
        let told = {
            let mut health = running.health.lock();
            let older = health.oldest_shown.is_none_or(|oldest| tile.fetched_at < oldest);
            // Told by the day: that is what people are shown.
            let day = |at: Timestamp| at.as_second().div_euclid(86_400);
            let told = older && health.oldest_shown.map(day) != Some(day(tile.fetched_at));
            if older {
                health.oldest_shown = Some(tile.fetched_at);
            }
            told && health.status != TileSetStatus::Ok
        };
        if told {
            self.tell(&Event::TileSet { state: self.fares(running) });
        }
        shown(tile)
    }

    async fn opened(self: &Arc<Self>, running: &Running) -> Result<Arc<TileSource>, FetchError> {
        let mut source = running.source.lock().await;
        if let Some(source) = &*source {
            return Ok(source.clone());
        }
        // Whoever waited while another tried in vain need not try at once.
        if let Some(error) = running.resting(self.now()) {
            return Err(error);
        }
        let set = &running.set;
        let held = self.held_for(set.credentials.as_ref()).await?;
        let spec = TileSpec {
            protocol: set.protocol,
            url: &set.url,
            layer: set.layer.as_deref(),
            style: set.style.as_deref(),
            login: held.as_ref().map(Held::login),
        };
        let opened = TileSource::open(&self.client, &spec).await;
        let opened = opened.map_err(|error| Held::hide(held.as_ref(), error));
        if let Err(error) = &opened {
            self.fared_ill(running, error);
        }
        Ok(source.insert(Arc::new(opened?)).clone())
    }

    /// Asks the source for a tile and keeps it; one that waits for another's request takes what that brought.
    async fn fetch_tile(
        self: &Arc<Self>,
        running: &Arc<Running>,
        place: TilePlace,
        kept: bool,
    ) -> Result<(Ensured, CachedTile), FetchError> {
        let flight = running.flights.lock().entry(place).or_default().clone();
        let _landed = Landing { running, place };
        let flying = flight.lock().await;
        let outcome = self.ask_tile(running, place, kept).await;
        drop(flying);
        match &outcome {
            Ok(_) => self.fared_well(running),
            Err(error) => self.fared_ill(running, error),
        }
        outcome
    }

    async fn ask_tile(
        self: &Arc<Self>,
        running: &Arc<Running>,
        place: TilePlace,
        kept: bool,
    ) -> Result<(Ensured, CachedTile), FetchError> {
        let held = self.held_tile(&running.set, place).await;
        if let Some(tile) = held.as_ref().filter(|tile| tile.fresh_until > self.now() && (tile.kept || !kept)) {
            return Ok((Ensured::Fetched, tile.clone()));
        }
        let _turn = running.turns.acquire().await.map_err(|_| FetchError::Cancelled)?;
        if let Some(error) = running.resting(self.now()).filter(|_| !kept) {
            return Err(error);
        }
        let source = self.opened(running).await?;
        let validator = held.as_ref().and_then(|tile| tile.validator.as_deref());
        let answer = match source.tile(place.z, place.x, place.y, validator).await {
            Ok(answer) => answer,
            // A server may repeat what it was shown.
            Err(error) => {
                let shown = self.held_for(running.set.credentials.as_ref()).await.ok().flatten();
                return Err(Held::hide(shown.as_ref(), error));
            }
        };
        let now = self.now();
        let until = |fresh_for: Option<Duration>| {
            let fresh_for = fresh_for.unwrap_or(FRESH_FOR).max(LEAST_FRESH);
            now.checked_add(jiff::SignedDuration::try_from(fresh_for).unwrap_or_default()).unwrap_or(now)
        };
        let tile = match (answer, held) {
            (TileAnswer::NotModified { fresh_for }, Some(held)) => {
                CachedTile { fetched_at: now, fresh_until: until(fresh_for), kept: kept || held.kept, ..held }
            }
            (TileAnswer::Tile(tile), _) => CachedTile {
                content: Some((tile.form, tile.bytes)),
                validator: tile.validator,
                fetched_at: now,
                fresh_until: until(tile.fresh_for),
                kept,
            },
            (TileAnswer::Empty { fresh_for } | TileAnswer::NotModified { fresh_for }, _) => {
                CachedTile { content: None, validator: None, fetched_at: now, fresh_until: until(fresh_for), kept }
            }
        };
        let Some(cache) = self.tile_sets().cache().cloned() else { return Ok((Ensured::NoRoom, tile)) };
        let (key, keeping) = (running.set.key(), tile.clone());
        let written = blocking(move || {
            let new = NewTile {
                content: keeping.content.as_ref().map(|(form, bytes)| (*form, bytes.as_slice())),
                validator: keeping.validator.as_deref(),
                fetched_at: keeping.fetched_at,
                fresh_until: keeping.fresh_until,
                kept: keeping.kept,
            };
            cache.put(&key, place, &new)
        });
        match written.await {
            Ok(true) => Ok((Ensured::Fetched, tile)),
            Ok(false) => Ok((Ensured::NoRoom, tile)),
            // The map is shown what came; who wanted it kept hears that it is not.
            Err(error) if kept => Err(self.unkept(&error)),
            Err(_) => Ok((Ensured::NoRoom, tile)),
        }
    }

    fn unkept(&self, error: &StoreError) -> FetchError {
        FetchError::Staging { path: self.home().tiles(), reason: error.to_string() }
    }

    fn fared_well(&self, running: &Running) {
        let changed = {
            let mut health = running.health.lock();
            let changed = health.status != TileSetStatus::Ok;
            health.status = TileSetStatus::Ok;
            health.backoff.reset();
            if changed {
                (health.since, health.error, health.rests_until, health.oldest_shown) = (None, None, None, None);
            }
            changed
        };
        if changed {
            self.tell(&Event::TileSet { state: self.fares(running) });
        }
    }

    fn fared_ill(&self, running: &Running, error: &FetchError) {
        let now = self.now();
        let changed = {
            let mut health = running.health.lock();
            if health.rests_until.is_some_and(|until| now < until) {
                // One of several that were on their way together: it adds nothing.
                return;
            }
            let next = health.backoff.failed_at(now, error);
            if !error.answered() || health.backoff.failures() >= BAD_ANSWERS || error.retry_after_secs().is_some() {
                health.rests_until = Some(next);
            }
            let status = if error.answered() { TileSetStatus::Error } else { TileSetStatus::Offline };
            let changed = health.status != status || health.error.as_ref() != Some(error);
            if health.status != status {
                health.status = status;
                health.since = Some(now);
            }
            health.error = Some(error.clone());
            changed
        };
        if changed {
            self.tell(&Event::TileSet { state: self.fares(running) });
        }
    }

    fn fares(&self, running: &Running) -> TileSetState {
        let health = running.health.lock();
        let said = health.error.as_ref();
        TileSetState {
            basemap: (running.set.owner == Owner::Basemap).then(|| running.set.id.clone()),
            layer: (running.set.owner == Owner::Layer).then(|| running.set.id.clone()),
            status: health.status,
            since: health.since,
            error: said.map(|error| crate::failures::fetch(self.language(), &running.set.url, error).message),
            oldest_shown: health.oldest_shown,
        }
    }
}

impl Running {
    /// Why the source is left alone now, while it is.
    fn resting(&self, now: Timestamp) -> Option<FetchError> {
        let health = self.health.lock();
        health.rests_until.filter(|until| now < *until).and(health.error.clone())
    }
}

/// Takes the place of a request out of the list when nobody waits for it any more.
struct Landing<'a> {
    running: &'a Running,
    place: TilePlace,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut flights = self.running.flights.lock();
        // The list's own and this request's.
        if flights.get(&self.place).is_some_and(|flight| Arc::strong_count(flight) <= 2) {
            flights.remove(&self.place);
        }
    }
}

fn is_file(set: &TileSet) -> bool {
    set.url.starts_with("file:")
}

fn shown(tile: CachedTile) -> SetTile {
    match tile.content {
        Some((form, bytes)) => SetTile::Tile { form, bytes, fetched_at: Some(tile.fetched_at) },
        None => SetTile::Empty,
    }
}

/// The file is waited for on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let waited = tokio::task::spawn_blocking(work).await;
    waited.unwrap_or_else(|_| Err(StoreError::Aborted { reason: "the program ends".into() }))
}
