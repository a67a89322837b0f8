//! The desk itself: what it holds, how it opens, and how it tells windows of changes.

use crate::api::{Event, Failure, FeatureRef, Job, Language, SavedView, Settings};
use crate::home::Home;
use crate::layers::{Layer, Layers, spec_of_stored};
use crate::remote::Remotes;
use crate::sync::{Engine, Links, Writing};
use crate::tile_sets::TileSets;
use crate::tiles::TileWorkers;
use crate::words;
use arc_swap::ArcSwap;
use live::LiveLayer;
use model::{LayerId, LayerSpec, LinkState, Profile, Role, Session, Timestamp};
use parking_lot::{Mutex, RwLock};
use spatial::{LayerPicture, Packer};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Cache, Content, History};
use tokio::sync::broadcast;

/// Gives the present time. An argument, so that scenarios replay.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a desk opens.
#[derive(Clone)]
pub struct Options {
    pub home: PathBuf,
    /// The province profile for a home that has none yet; absent: the built-in one.
    pub profile: Option<PathBuf>,
    /// Address of the practice data centre, for example `http://127.0.0.1:8700`; absent: its sources are not fetched.
    pub practice_url: Option<String>,
    pub clock: Clock,
    /// The language of failures; absent: the settings' language.
    pub language: Option<Language>,
    pub tile_threads: usize,
    /// The feature a window opens with, written `LAYER/ID`.
    pub open: Option<String>,
    /// Who is at the desk, whatever was remembered; the command line acts as administrator.
    pub role: Option<Role>,
    /// The layers whose content is to be opened; absent: all. The rest is listed only.
    pub pictures: Option<Vec<LayerId>>,
    /// Bounds of what the network may take.
    pub network: sources::ClientOptions,
}

impl Options {
    /// The defaults with a home.
    pub fn at(home: impl AsRef<Path>) -> Self {
        Self {
            home: home.as_ref().to_owned(),
            profile: None,
            practice_url: None,
            clock: Arc::new(Timestamp::now),
            language: None,
            tile_threads: 2,
            open: None,
            role: None,
            pictures: None,
            network: sources::ClientOptions::default(),
        }
    }
}

/// Vector tiles of all layers together may take this much memory.
const TILE_CACHE_BYTES: usize = 64 << 20;
/// Messages a slow window may lag behind before it has to start over.
const EVENT_BACKLOG: usize = 1_024;

/// One open home.
pub struct Desk {
    home: Home,
    profile: ArcSwap<Profile>,
    /// Changes with every change of the profile's sources.
    pub(crate) sources_changed: tokio::sync::watch::Sender<()>,
    cache: Cache,
    history: History,
    layers: Layers,
    live: Mutex<HashMap<LayerId, LiveLayer>>,
    remotes: Remotes,
    links: Links,
    engine: Engine,
    writing: Mutex<Writing>,
    tiles: TileWorkers,
    tile_sets: TileSets,
    settings: RwLock<Settings>,
    session: RwLock<Session>,
    views: RwLock<Vec<SavedView>>,
    pub(crate) pin_tries: crate::people::PinTries,
    pub(crate) jobs: Mutex<Vec<(Job, Arc<std::sync::atomic::AtomicBool>)>>,
    events: broadcast::Sender<Arc<[u8]>>,
    ready: tokio::sync::watch::Sender<Option<u32>>,
    clock: Clock,
    language: Option<Language>,
    pictures: Option<Vec<LayerId>>,
    open: Option<FeatureRef>,
    pub(crate) client: sources::Client,
}

impl Desk {
    /// Makes the home a desk would open, without opening it. True when it was not there.
    ///
    /// # Errors
    /// As [`Desk::open`].
    pub fn make_home(options: &Options) -> Result<bool, Failure> {
        let home = Home::new(&options.home);
        let language = options.language.unwrap_or_else(|| home.settings().language);
        home.make(options.profile.as_deref()).map_err(|error| crate::failures::home(language, &error))
    }

    /// Opens a home, makes it when it is not there, and fills layers the cache lacks from the profile.
    ///
    /// The notices are about things that were mended on the way: a corrupt cache set aside, a layer file that could not
    /// be read.
    ///
    /// # Errors
    /// When the home cannot be written, or its profile is faulty.
    pub fn open(options: Options) -> Result<(Arc<Self>, Vec<Failure>), Failure> {
        Self::make_home(&options)?;
        let home = Home::new(&options.home);
        let language = options.language.unwrap_or_else(|| home.settings().language);
        let own = home.profile().map_err(|error| crate::failures::home(language, &error))?;
        let stored = |error: &store::StoreError| crate::failures::store(language, error);
        let (cache, cache_aside) = Cache::open_or_rebuild(&home.cache()).map_err(|error| stored(&error))?;
        let (history, history_aside) = History::open_or_rebuild(&home.history()).map_err(|error| stored(&error))?;
        let mut notices = Vec::new();
        // A typing error in what was added must not keep the province's own layers dark.
        let profile = home.whole_profile().unwrap_or_else(|error| {
            notices.push(crate::failures::home(language, &error));
            own
        });
        let settings = home.settings();
        let (tile_sets, opened) = TileSets::open(&home, settings.tile_cache_bytes());
        // Maps are shown without it too; what is lost can be fetched again.
        let tiles_aside = opened.unwrap_or_else(|error| {
            notices.push(stored(&error));
            None
        });
        let asides =
            [(cache_aside, "cache_rebuilt"), (history_aside, "history_rebuilt"), (tiles_aside, "tiles_rebuilt")];
        for (aside, code) in asides {
            if let Some(path) = aside {
                notices.push(words::failure(language, code, [("path", path.to_string_lossy().as_ref())]));
            }
        }
        let people = home.people().unwrap_or_else(|error| {
            notices.push(crate::people::people_failure(language, &error));
            crate::home::People::default()
        });
        let session = match people.last.clone() {
            _ if options.role.is_some() => Session { name: String::new(), role: options.role.unwrap_or_default() },
            // A role behind a PIN is not taken up again without it.
            Some(last) if people.pins.contains_key(crate::home::role_word(last.role)) => Session::default(),
            Some(last) => last,
            None => Session { name: String::new(), role: Role::Viewer },
        };
        let desk = Arc::new(Self {
            settings: RwLock::new(settings),
            views: RwLock::new(home.views()),
            session: RwLock::new(session),
            links: Links::new(&profile, options.practice_url.as_deref()),
            engine: Engine::default(),
            writing: Mutex::default(),
            tiles: TileWorkers::start(options.tile_threads, TILE_CACHE_BYTES),
            tile_sets,
            live: Mutex::new(HashMap::new()),
            remotes: Remotes::default(),
            layers: Layers::new(Vec::new()),
            pin_tries: crate::people::PinTries::default(),
            jobs: Mutex::new(Vec::new()),
            events: broadcast::channel(EVENT_BACKLOG).0,
            ready: tokio::sync::watch::channel(None).0,
            client: sources::Client::with(options.network),
            clock: options.clock,
            language: options.language,
            pictures: options.pictures,
            open: options.open.as_deref().and_then(feature_ref),
            home,
            profile: ArcSwap::from_pointee(profile),
            sources_changed: tokio::sync::watch::channel(()).0,
            cache,
            history,
        });
        desk.fill(&mut notices)?;
        Ok((desk, notices))
    }

    /// Brings the cache's layers into memory; those it lacks come from the profile's files first.
    fn fill(&self, notices: &mut Vec<Failure>) -> Result<(), Failure> {
        let stored = self.cache.layers().map_err(|error| self.store_failure(&error))?;
        let profile = self.profile();
        for spec in &profile.layers {
            if spec.remote.is_none()
                && !stored.iter().any(|layer| layer.schema.id == spec.id)
                && let Err(failure) = self.import_profile_layer(spec)
            {
                notices.push(failure);
            }
        }
        let stored = self.cache.layers().map_err(|error| self.store_failure(&error))?;
        let extra = stored.iter().filter(|layer| profile.layer(layer.schema.id.as_str()).is_none());
        let specs: Vec<LayerSpec> = profile.layers.iter().cloned().chain(extra.map(spec_of_stored)).collect();
        // Pictures are independent of each other, and building them is most of a start.
        let built: Vec<Result<Layer, Failure>> = std::thread::scope(|scope| {
            let half = specs.len().div_ceil(2).max(1);
            let parts: Vec<_> = specs
                .chunks(half)
                .map(|part| scope.spawn(|| part.iter().map(|spec| self.build(spec.clone())).collect::<Vec<_>>()))
                .collect();
            parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
        });
        let mut layers = Vec::with_capacity(built.len());
        for (built, spec) in built.into_iter().zip(&specs) {
            layers.push(Arc::new(built.unwrap_or_else(|failure| {
                notices.push(failure);
                Layer::unread(spec.clone(), None)
            })));
        }
        for layer in layers {
            self.adopt(layer);
        }
        // Without the last values the map still shows; they come with the next answer.
        if let Err(failure) = self.restore_live() {
            notices.push(failure);
        }
        Ok(())
    }

    /// A layer as the cache holds it now: from its packed form, else row by row, and then the packed form is kept for
    /// the next time.
    fn build(&self, spec: LayerSpec) -> Result<Layer, Failure> {
        let failed = |error| self.store_failure(&error);
        // What an earlier profile had taken over is not shown as what stays in the data centre.
        if spec.remote.is_some() {
            return Ok(Layer::unread(spec, None));
        }
        if self.pictures.as_ref().is_some_and(|wanted| !wanted.contains(&spec.id)) {
            let stored = self.cache.layer(&spec.id).map_err(failed)?;
            return Ok(Layer::unread(spec, stored));
        }
        let Some(loaded) = self.cache.load(&spec.id).map_err(failed)? else { return Ok(Layer::unread(spec, None)) };
        let (id, fields) = (spec.id.clone(), crate::layers::tile_fields(&spec));
        let open = |version, parts: &[Vec<u8>]| {
            let parts = parts.iter().map(Vec::as_slice);
            LayerPicture::unpack(id.clone(), version, parts, &spec.name_field, &fields)
        };
        let stored = loaded.layer;
        if let Content::Packed(parts) = &loaded.content
            && let Some(picture) = open(stored.version, parts)
        {
            return Ok(Layer::new(spec, stored, picture, parts.len()));
        }
        drop(loaded.content);
        let mut packer = Packer::new();
        let mut parts = Vec::new();
        let stored = self.cache.visit(&spec.id, &mut |feature| parts.extend(packer.push(&feature))).map_err(failed)?;
        let Some(stored) = stored else { return Ok(Layer::unread(spec, None)) };
        parts.extend(packer.finish());
        // Best effort: a cache that cannot be written now is read row by row again next time.
        let kept = self.cache.set_packed(&spec.id, stored.version, &parts).unwrap_or(false);
        let picture = open(stored.version, &parts)
            .unwrap_or_else(|| LayerPicture::build(id.clone(), stored.version, Vec::new(), &spec.name_field, &fields));
        Ok(Layer::new(spec, stored, picture, if kept { parts.len() } else { 0 }))
    }

    /// Makes a layer ready to be drawn and asked, and keeps for the next start what that took long to work out.
    fn prepare(&self, layer: &Layer) {
        if let Some((parts, levels)) = layer.prepare() {
            // Best effort: a cache that cannot be written now has them made again next time.
            let _ = self.cache.add_packed(&layer.spec.id, layer.version(), parts, &levels);
        }
    }

    /// Makes all layers ready in the background, those on the map first, so that no first tile and no first search waits.
    pub fn prepare_all(self: &Arc<Self>) {
        let desk = self.clone();
        let work = move || {
            let all = desk.layers.all();
            let (shown, hidden): (Vec<_>, Vec<_>) = all.iter().partition(|layer| layer.spec.visible);
            for layer in shown.iter().chain(&hidden) {
                desk.prepare(layer);
            }
            for layer in all.iter() {
                layer.names();
            }
        };
        // Without the thread, whoever asks first waits.
        let _ = std::thread::Builder::new().name("prepare".into()).spawn(work);
    }

    fn adopt(&self, layer: Arc<Layer>) {
        if layer.is_remote() {
            self.recall_remote(&layer.spec);
        }
        if layer.spec.live_source.is_some() {
            let count = u32::try_from(layer.picture.len()).unwrap_or(u32::MAX);
            let ids = (0..count).filter_map(|o| layer.picture.id(o)).map(str::to_owned).collect();
            // Picture and ordinals change together: whoever holds the lock sees both old or both new.
            let mut live = self.live.lock();
            if self.layers.put(layer.clone()) {
                match live.get_mut(&layer.spec.id) {
                    Some(overlay) => overlay.renumber(ids, layer.version()),
                    None => {
                        let overlay = LiveLayer::new(layer.spec.clone(), ids, layer.version());
                        live.insert(layer.spec.id.clone(), overlay);
                    }
                }
            }
        } else {
            self.layers.put(layer);
        }
    }

    /// The last values before the program ended, so that a start without network shows them with their times.
    pub(crate) fn restore_live(&self) -> Result<(), Failure> {
        let since = self.now() - jiff::SignedDuration::from_hours(16);
        let latest = self.history.latest(None).map_err(|error| self.store_failure(&error))?;
        let mut live = self.live.lock();
        for (observation, received_at) in latest {
            if let Some(overlay) = live.get_mut(&observation.layer) {
                if overlay.spec().kind == model::LayerKind::AirStation {
                    // NowCast needs the hours before.
                    let rows = self
                        .history
                        .range(
                            &observation.layer,
                            &observation.feature,
                            Some(&observation.parameter),
                            since,
                            received_at,
                        )
                        .map_err(|error| self.store_failure(&error))?;
                    for row in &rows {
                        overlay.apply(row, received_at);
                    }
                }
                overlay.apply(&observation, received_at);
            }
        }
        Ok(())
    }

    /// Reads a layer anew from the cache and swaps its picture; windows are told.
    ///
    /// # Errors
    /// When the cache cannot be read; the old picture stays.
    pub fn reload(&self, id: &LayerId) -> Result<(), Failure> {
        let remote = self.profile().layer(id.as_str()).is_some_and(|spec| spec.remote.is_some());
        let stored = self.cache.layer(id).map_err(|error| self.store_failure(&error))?;
        let Some(stored) = stored.filter(|_| !remote) else {
            self.layers.remove(id);
            match self.profile().layer(id.as_str()) {
                Some(spec) => {
                    self.adopt(Arc::new(Layer::unread(spec.clone(), None)));
                    self.tell_layer(id);
                }
                None => self.tell(&Event::LayerRemoved { id: id.clone() }),
            }
            return Ok(());
        };
        let spec = self.profile().layer(id.as_str()).cloned().unwrap_or_else(|| spec_of_stored(&stored));
        let layer = self.build(spec)?;
        self.prepare(&layer);
        self.adopt(Arc::new(layer));
        self.tell_layer(id);
        Ok(())
    }

    /// Takes over a layer's record when its content is as before.
    pub(crate) fn reload_record(&self, id: &LayerId) -> Result<(), Failure> {
        let stored = self.cache.layer(id).map_err(|error| self.store_failure(&error))?;
        match (self.layers.get(id), stored) {
            (Some(layer), Some(stored)) if layer.version() == stored.version => {
                self.layers.put(Arc::new(layer.with_record(stored)));
                self.tell_layer(id);
                Ok(())
            }
            _ => self.reload(id),
        }
    }

    /// Takes up what another process changed in the cache: every layer is tried, the first failure is reported.
    pub(crate) fn reload_changed(&self) -> Result<(), Failure> {
        let stored = self.cache.layers().map_err(|error| self.store_failure(&error))?;
        let all = self.layers.all();
        let changed = stored.iter().filter(|layer| {
            let known = all.iter().find(|known| known.spec.id == layer.schema.id);
            known.is_none_or(|known| !known.is_remote() && known.stored.as_ref() != Some(layer))
        });
        let here = |id: &LayerId| stored.iter().any(|layer| layer.schema.id == *id);
        let gone = all.iter().filter(|known| known.stored.is_some() && !here(&known.spec.id));
        let outcomes = changed
            .map(|layer| self.reload_record(&layer.schema.id))
            .chain(gone.map(|known| self.reload(&known.spec.id)));
        // Collected first: one layer that cannot be read must not keep the others from being taken up.
        let outcomes: Vec<Result<(), Failure>> = outcomes.collect();
        outcomes.into_iter().collect()
    }

    /// Says something to all windows.
    pub(crate) fn tell(&self, event: &Event) {
        if let Ok(json) = serde_json::to_vec(event) {
            let mut message = Vec::with_capacity(json.len() + 1);
            message.push(0);
            message.extend_from_slice(&json);
            self.tell_bytes(message);
        }
    }

    pub(crate) fn tell_layer(&self, id: &LayerId) {
        if let Some(layer) = self.layers.get(id) {
            self.tell(&Event::Layer { layer: Box::new(self.layer_info(&layer)) });
        }
    }

    pub(crate) fn tell_bytes(&self, message: Vec<u8>) {
        // Nobody listening is fine.
        let _ = self.events.send(message.into());
    }

    /// Everything told from now on: a zero byte and a JSON [`Event`], or a one byte and a live batch. A listener that
    /// lags too far gets an error from the receiver and should ask for `start` again.
    pub fn listen(&self) -> broadcast::Receiver<Arc<[u8]>> {
        self.events.subscribe()
    }

    /// Set once a window says that its map is idle with this many live values on it.
    pub fn ready(&self) -> tokio::sync::watch::Receiver<Option<u32>> {
        self.ready.subscribe()
    }

    pub(crate) fn set_ready(&self, live: u32) {
        self.ready.send_replace(Some(live));
    }

    /// A layer the person at the desk may see.
    pub(crate) fn layer(&self, id: &LayerId) -> Result<Arc<Layer>, Failure> {
        let layer = self.layers.get(id).ok_or_else(|| self.failure("no_layer", [("layer", id.as_str())]))?;
        if layer.allowed(self.session().role) {
            Ok(layer)
        } else {
            let role = words::sentence(
                self.language(),
                &format!("role.{}", crate::home::role_word(layer.spec.role)),
                &std::collections::BTreeMap::new(),
            );
            Err(self.failure("layer_role_needed", [("layer", id.as_str()), ("role", role.as_str())]))
        }
    }

    pub(crate) fn link_of(&self, layer: &Layer) -> LinkState {
        layer.spec.live_source.as_ref().map_or(LinkState::Unknown, |source| self.links.state(source))
    }

    pub(crate) fn live_is_practice(&self, layer: &Layer) -> bool {
        let profile = self.profile();
        let source = layer.spec.live_source.as_ref().and_then(|id| profile.source(id));
        source.is_some_and(|source| source.practice)
    }

    pub(crate) fn language(&self) -> Language {
        self.language.unwrap_or_else(|| self.settings.read().language)
    }

    /// A failure in the desk's language, for callers that check before they ask.
    pub fn fail<'a>(&self, code: &str, at: impl IntoIterator<Item = (&'a str, &'a str)>) -> Failure {
        self.failure(code, at)
    }

    /// A sentence of `assets/locale` in the desk's language.
    pub fn sentence<'a>(&self, key: &str, values: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        words::sentence(self.language(), key, &values)
    }

    /// The same failure in another language.
    pub fn in_language(&self, failure: &Failure, language: Language) -> Failure {
        words::failure(language, &failure.code, failure.at.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// A failure in the desk's language.
    pub(crate) fn failure<'a>(&self, code: &str, at: impl IntoIterator<Item = (&'a str, &'a str)>) -> Failure {
        words::failure(self.language(), code, at)
    }

    pub(crate) fn store_failure(&self, error: &store::StoreError) -> Failure {
        crate::failures::store(self.language(), error)
    }

    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The present profile with what was added at this desk; later changes do not change it.
    pub fn profile(&self) -> Arc<Profile> {
        self.profile.load_full()
    }

    /// Puts a changed profile in force; what synchronises takes it up.
    pub(crate) fn put_profile(&self, profile: Profile) {
        self.links.keep_to(&profile);
        self.profile.store(Arc::new(profile));
        self.sources_changed.send_replace(());
    }

    pub fn session(&self) -> Session {
        self.session.read().clone()
    }

    pub(crate) fn put_session(&self, session: Session) {
        *self.session.write() = session;
    }

    pub fn settings(&self) -> Settings {
        self.settings.read().clone()
    }

    pub(crate) fn put_settings(&self, settings: Settings) {
        *self.settings.write() = settings;
    }

    pub(crate) fn opens_with(&self) -> Option<FeatureRef> {
        self.open.clone()
    }

    pub(crate) fn saved_views(&self) -> Vec<SavedView> {
        self.views.read().clone()
    }

    pub(crate) fn put_views(&self, views: Vec<SavedView>) {
        *self.views.write() = views;
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }

    pub(crate) fn live(&self) -> &Mutex<HashMap<LayerId, LiveLayer>> {
        &self.live
    }

    pub(crate) fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn writing(&self) -> &Mutex<Writing> {
        &self.writing
    }

    pub(crate) fn tile_sets(&self) -> &TileSets {
        &self.tile_sets
    }

    pub(crate) fn tile_workers(&self) -> &TileWorkers {
        &self.tiles
    }
}

/// Reads `LAYER/ID`.
fn feature_ref(text: &str) -> Option<FeatureRef> {
    let (layer, id) = text.split_once('/')?;
    Some(FeatureRef { layer: LayerId::new(layer).ok()?, id: id.to_owned() })
}
