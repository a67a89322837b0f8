//! The tile workers: newest request first, dropped when the map has moved on, cached by layer version.

use lru::LruCache;
use model::{BBox, LayerId};
use parking_lot::{Condvar, Mutex};
use spatial::LayerPicture;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Tiles are cut to this zoom; the map overzooms beyond.
pub const MAX_TILE_ZOOM: u8 = 16;

/// What became of a tile request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TileAnswer {
    /// MVT bytes.
    Tile(Arc<[u8]>),
    /// Nothing of the layer lies in the tile.
    Empty,
    /// The map moved on before a worker came to it.
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    layer: LayerId,
    version: u32,
    z: u8,
    x: u32,
    y: u32,
}

struct Request {
    key: Key,
    picture: Arc<LayerPicture>,
    /// The view's number when the request came: only a later view may cancel it.
    seen: u64,
    reply: Box<dyn FnOnce(TileAnswer) + Send>,
}

/// Where the map looks now.
#[derive(Clone, Copy)]
struct View {
    number: u64,
    zoom: f64,
    bbox: BBox,
}

struct Cached {
    tiles: LruCache<Key, TileAnswer>,
    bytes: usize,
}

struct Shared {
    queue: Mutex<VecDeque<Request>>,
    waiting: Condvar,
    view: Mutex<Option<View>>,
    cache: Mutex<Cached>,
    budget_bytes: usize,
    stopping: AtomicBool,
    made: AtomicU64,
    cancelled: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
}

/// How the workers did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TileFigures {
    pub made: u64,
    pub cancelled: u64,
    /// Tiles that are empty because making them failed: a fault of the program.
    pub failed: u64,
    /// Worker time spent on the tiles that were made.
    pub micros: u64,
}

/// Makes vector tiles on its own threads.
pub struct TileWorkers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl TileWorkers {
    /// Starts `threads` workers with a cache of at most `budget_bytes`.
    pub fn start(threads: usize, budget_bytes: usize) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(VecDeque::new()),
            waiting: Condvar::new(),
            view: Mutex::new(None),
            cache: Mutex::new(Cached { tiles: LruCache::unbounded(), bytes: 0 }),
            budget_bytes,
            stopping: AtomicBool::new(false),
            made: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            micros: AtomicU64::new(0),
        });
        let threads = (0..threads.max(1))
            .filter_map(|number| {
                let shared = shared.clone();
                std::thread::Builder::new().name(format!("tiles-{number}")).spawn(move || shared.work()).ok()
            })
            .collect();
        Self { shared, threads }
    }

    /// Says where the map looks; requests for elsewhere that still wait are cancelled.
    pub fn moved(&self, zoom: f64, bbox: BBox) {
        let mut view = self.shared.view.lock();
        let number = view.map_or(1, |view| view.number + 1);
        *view = Some(View { number, zoom, bbox });
    }

    /// Asks for a tile. `reply` is called once, from a worker thread or at once when the tile is cached.
    pub fn request(
        &self,
        picture: &Arc<LayerPicture>,
        z: u8,
        x: u32,
        y: u32,
        reply: impl FnOnce(TileAnswer) + Send + 'static,
    ) {
        let key = Key { layer: picture.layer.clone(), version: picture.version, z, x, y };
        if let Some(answer) = self.shared.cache.lock().tiles.get(&key).cloned() {
            reply(answer);
            return;
        }
        let seen = self.shared.view.lock().map_or(0, |view| view.number);
        let request = Request { key, picture: picture.clone(), seen, reply: Box::new(reply) };
        self.shared.queue.lock().push_back(request);
        self.shared.waiting.notify_one();
    }

    /// Makes or fetches a tile on the caller's thread.
    pub fn tile(&self, picture: &Arc<LayerPicture>, z: u8, x: u32, y: u32) -> TileAnswer {
        let key = Key { layer: picture.layer.clone(), version: picture.version, z, x, y };
        if let Some(answer) = self.shared.cache.lock().tiles.get(&key).cloned() {
            return answer;
        }
        self.shared.make(&key, picture)
    }

    pub fn figures(&self) -> TileFigures {
        TileFigures {
            made: self.shared.made.load(Ordering::Relaxed),
            cancelled: self.shared.cancelled.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
            micros: self.shared.micros.load(Ordering::Relaxed),
        }
    }
}

impl Drop for TileWorkers {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.waiting.notify_all();
        for thread in self.threads.drain(..) {
            // A worker that panicked has nothing left to say here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let request = {
                let mut queue = self.queue.lock();
                loop {
                    if self.stopping.load(Ordering::Relaxed) {
                        return;
                    }
                    // Newest first: what the map asked for last is what the eye waits for.
                    if let Some(request) = queue.pop_back() {
                        break request;
                    }
                    self.waiting.wait(&mut queue);
                }
            };
            if self.moved_on(&request) {
                self.cancelled.fetch_add(1, Ordering::Relaxed);
                self.guarded(|| (request.reply)(TileAnswer::Cancelled));
                continue;
            }
            let cached = self.cache.lock().tiles.get(&request.key).cloned();
            let answer = cached.unwrap_or_else(|| self.make(&request.key, &request.picture));
            self.guarded(|| (request.reply)(answer));
        }
    }

    /// Runs what may panic, and counts it when it does: one bad geometry must not end the worker, nor leave the map
    /// waiting. Nothing is held across it that a panic could leave half-changed.
    fn guarded<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work)).ok();
        if done.is_none() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// True when a view newer than the request looks elsewhere.
    fn moved_on(&self, request: &Request) -> bool {
        let Some(view) = *self.view.lock() else { return false };
        if view.number <= request.seen {
            return false;
        }
        // Overzoomed layers ask for the deepest level whatever the map's zoom is.
        let wanted = view.zoom.clamp(0.0, f64::from(MAX_TILE_ZOOM));
        let near_zoom = (f64::from(request.key.z) - wanted).abs() < 2.5;
        let margin_x = (view.bbox.east - view.bbox.west) * 0.5;
        let margin_y = (view.bbox.north - view.bbox.south) * 0.5;
        let around = BBox {
            west: view.bbox.west - margin_x,
            south: view.bbox.south - margin_y,
            east: view.bbox.east + margin_x,
            north: view.bbox.north + margin_y,
        };
        !(near_zoom && tile_bbox(request.key.z, request.key.x, request.key.y).intersects(&around))
    }

    fn make(&self, key: &Key, picture: &LayerPicture) -> TileAnswer {
        let started = std::time::Instant::now();
        let answer = match self.guarded(|| picture.tile(key.z, key.x, key.y)) {
            Some(Some(bytes)) => TileAnswer::Tile(bytes.into()),
            // A failure is kept like an answer: the same content would fail again at every look.
            Some(None) | None => TileAnswer::Empty,
        };
        self.micros.fetch_add(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.made.fetch_add(1, Ordering::Relaxed);
        let mut cache = self.cache.lock();
        cache.bytes += size(&answer);
        if let Some(old) = cache.tiles.put(key.clone(), answer.clone()) {
            cache.bytes -= size(&old);
        }
        while cache.bytes > self.budget_bytes
            && let Some((_, old)) = cache.tiles.pop_lru()
        {
            cache.bytes -= size(&old);
        }
        answer
    }
}

/// What an entry costs: its bytes, and a little for the entry itself.
fn size(answer: &TileAnswer) -> usize {
    128 + match answer {
        TileAnswer::Tile(bytes) => bytes.len(),
        _ => 0,
    }
}

/// The degrees a tile covers.
fn tile_bbox(z: u8, x: u32, y: u32) -> BBox {
    let n = f64::from(1_u32 << z.min(30));
    let lon = |x: f64| x / n * 360.0 - 180.0;
    let lat = |y: f64| (std::f64::consts::PI * (1.0 - 2.0 * y / n)).sinh().atan().to_degrees();
    BBox {
        west: lon(f64::from(x)),
        south: lat(f64::from(y) + 1.0),
        east: lon(f64::from(x) + 1.0),
        north: lat(f64::from(y)),
    }
}

/// First and last column and row of the tiles that a box of degrees touches.
pub(crate) fn tile_range(z: u8, bbox: BBox) -> [u32; 4] {
    let n = f64::from(1_u32 << z.min(30));
    let last = n - 1.0;
    let column = |lon: f64| ((lon + 180.0) / 360.0 * n).clamp(0.0, last);
    let row = |lat: f64| ((1.0 - lat.to_radians().tan().asinh() / std::f64::consts::PI) / 2.0 * n).clamp(0.0, last);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    [column(bbox.west) as u32, row(bbox.north) as u32, column(bbox.east) as u32, row(bbox.south) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Feature, Properties};
    use std::sync::mpsc;
    use std::time::Duration;

    fn picture() -> Arc<LayerPicture> {
        let feature = Feature {
            id: "a".into(),
            geometry: geo_types::Geometry::Point(geo_types::Point::new(106.2, 11.1)),
            properties: Properties::new(),
        };
        Arc::new(LayerPicture::build(LayerId::new("x").unwrap(), 1, vec![feature], "name", &[]))
    }

    fn tile_at(z: u8, lon: f64, lat: f64) -> (u32, u32) {
        let n = f64::from(1_u32 << z);
        let y = (1.0 - lat.to_radians().tan().asinh() / std::f64::consts::PI) / 2.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (((lon + 180.0) / 360.0 * n) as u32, (y * n) as u32)
    }

    #[test]
    fn tile_is_made_once_and_cached() {
        let workers = TileWorkers::start(1, 1 << 20);
        let picture = picture();
        let (x, y) = tile_at(10, 106.2, 11.1);
        for _ in 0..3 {
            let (send, receive) = mpsc::channel();
            workers.request(&picture, 10, x, y, move |answer| send.send(answer).unwrap());
            assert!(matches!(receive.recv_timeout(Duration::from_secs(5)).unwrap(), TileAnswer::Tile(_)));
        }
        assert_eq!(workers.figures().made, 1);
        assert_eq!(workers.tile(&picture, 10, 0, 0), TileAnswer::Empty);
    }

    #[test]
    fn a_panic_costs_its_tile_and_not_the_worker() {
        let workers = TileWorkers::start(1, 1 << 20);
        let picture = picture();
        let (x, y) = tile_at(10, 106.2, 11.1);
        workers.request(&picture, 9, 0, 0, |_| panic!("provoked by a test"));
        let (send, receive) = mpsc::channel();
        workers.request(&picture, 10, x, y, move |answer| send.send(answer).unwrap());
        assert!(matches!(receive.recv_timeout(Duration::from_secs(5)).unwrap(), TileAnswer::Tile(_)));
        // Newest first: the one that panics may come after the one that was waited for.
        let (send, receive) = mpsc::channel();
        workers.request(&picture, 9, 1, 1, move |answer| send.send(answer).unwrap());
        assert_eq!(receive.recv_timeout(Duration::from_secs(5)).unwrap(), TileAnswer::Empty);
        let started = std::time::Instant::now();
        while workers.figures().failed == 0 && started.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(workers.figures().failed, 1);
        assert_eq!(workers.shared.guarded(|| -> u8 { panic!("provoked by a test") }), None);
        assert_eq!(workers.figures().failed, 2);
    }

    #[test]
    fn only_a_later_view_elsewhere_cancels() {
        let picture = picture();
        let (x, y) = tile_at(12, 106.2, 11.1);
        let here = BBox { west: 106.1, south: 11.0, east: 106.3, north: 11.2 };
        let far = BBox { west: 105.5, south: 10.4, east: 105.6, north: 10.5 };
        let shared = |views: &[(f64, BBox)]| {
            let workers = TileWorkers::start(1, 1 << 20);
            for (zoom, bbox) in views {
                workers.moved(*zoom, *bbox);
            }
            workers
        };
        let request = |seen| Request {
            key: Key { layer: picture.layer.clone(), version: 1, z: 12, x, y },
            picture: picture.clone(),
            seen,
            reply: Box::new(|_| ()),
        };
        assert!(!shared(&[(12.0, far)]).shared.moved_on(&request(1)), "the view is older than the request");
        assert!(shared(&[(12.0, here), (12.0, far)]).shared.moved_on(&request(1)), "moved away");
        assert!(!shared(&[(12.0, far), (12.3, here)]).shared.moved_on(&request(1)), "moved here");
        assert!(shared(&[(12.0, here), (8.0, here)]).shared.moved_on(&request(1)), "zoomed far out");
    }

    #[test]
    fn cache_stays_within_its_budget() {
        let workers = TileWorkers::start(1, 1_000);
        let picture = picture();
        for x in 0..100 {
            workers.tile(&picture, 10, x, 0);
        }
        assert!(workers.shared.cache.lock().bytes <= 1_000);
    }
}
