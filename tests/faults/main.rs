//! Lines that cut, slow and corrupt what the desk fetches, again and again, and nothing is lost: after every fault a
//! layer is the old one or the new one, whole, and what the desk says of it is true.
//!
//! Between the desk and real servers stands a proxy of our own. `TOANCANH_FULL` makes it 200 faults instead of 20;
//! `TOANCANH_FOREIGN` names the folder with the servers that others wrote.
//!
//! A byte that changes inside a value is seen only where the way has a sum of its own: a digest or a packing over HTTP, TLS for
//! databases and brokers. All 200 faults are on such ways, and not one may go unseen. Some more are on ways without, as
//! some offices have them. Of those three things hold: what ends too early or says too little is found all the same; what was taken in
//! wrongly is counted apart, with word of it (a row that cannot be read) or without; and the next change brings all as it is.

#![allow(clippy::unwrap_used)]

mod backends;
#[path = "../../src-tauri/crates/sources/tests/foreign/cluster.rs"]
mod cluster;
#[path = "../../src-tauri/crates/sources/tests/foreign/mosquitto.rs"]
mod mosquitto;
#[path = "../../src-tauri/crates/sources/tests/foreign/process.rs"]
mod process;
mod proxy;
mod wire;

use backends::{Backend, backends};
use desk::{ClientOptions, Desk, ExportOptions, LayerId, Options};
use model::Freshness;
use proxy::{Fault, Proxy};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The next of a row of numbers that is the same on every run.
pub struct Random(u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// Both states of the data, by what they add to the names of the communes.
const VERSIONS: [&str; 2] = [" mot", " hai"];

/// The communes in one of the versions; the second lacks one.
fn version_of(nth: usize) -> &'static str {
    static MADE: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    MADE[nth].get_or_init(|| make_version(nth))
}

fn make_version(nth: usize) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../maps/tay-ninh/data/communes.geojson");
    let mut all: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let features = all["features"].as_array_mut().unwrap();
    features.truncate(96 - nth);
    for feature in features.iter_mut() {
        let name = format!("{}{}", feature["properties"]["name"].as_str().unwrap(), VERSIONS[nth]);
        feature["properties"]["name"] = name.into();
        thin(&mut feature["geometry"]["coordinates"]);
    }
    all.to_string()
}

/// Leaves every sixth corner of a ring: the faults are about bytes, and the servers have enough to do.
fn thin(coordinates: &mut serde_json::Value) {
    let Some(parts) = coordinates.as_array_mut() else { return };
    if !parts.first().is_some_and(|corner| corner[0].is_number()) {
        return parts.iter_mut().for_each(thin);
    }
    if parts.len() > 24 {
        let last = parts.len() - 1;
        let mut nth = 0;
        parts.retain(|_| {
            nth += 1;
            (nth - 1) % 6 == 0 && nth - 1 < last - 1 || nth - 1 == last
        });
    }
}

/// A desk whose communes come from one backend through one proxy.
struct Journey {
    backend: Backend,
    proxy: Proxy,
    desk: Arc<Desk>,
    home: tempfile::TempDir,
    /// What the layer is in each version, as the desk writes it out.
    texts: [Vec<u8>; 2],
    held: usize,
    /// Requests of one sync.
    requests: usize,
}

impl Journey {
    async fn begin(backend: Backend, proxy: Proxy) -> Self {
        let home = tempfile::tempdir().unwrap();
        let profile = tempfile::tempdir().unwrap();
        std::fs::create_dir(profile.path().join("data")).unwrap();
        std::fs::write(profile.path().join("profile.toml"), backend.profile(proxy.port)).unwrap();
        std::fs::write(profile.path().join("data/communes.geojson"), version_of(0)).unwrap();
        let network = ClientOptions {
            idle_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(8),
            ..ClientOptions::default()
        };
        let options = Options { profile: Some(profile.path().into()), network, ..Options::at(home.path()) };
        let (desk, notices) = Desk::open(options).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        let mut journey = Self { backend, proxy, desk, home, texts: Default::default(), held: 1, requests: 1 };
        for version in [1, 0] {
            journey.serve(version);
            journey.clean().await;
            journey.requests = journey.proxy.seen();
            journey.texts[version] = journey.text();
            let said = String::from_utf8_lossy(&journey.texts[version]).matches(VERSIONS[version]).count();
            assert_eq!(said, 96 - version, "{}", journey.backend.name);
            journey.held = version;
        }
        journey
    }

    fn serve(&mut self, version: usize) {
        self.backend.serve(version);
        self.proxy.lead_to(self.backend.target(version));
    }

    fn text(&self) -> Vec<u8> {
        let file = self.home.path().join("out.geojson");
        self.desk.export(&LayerId::new("communes").unwrap(), &file, &ExportOptions::default()).unwrap();
        std::fs::read(file).unwrap()
    }

    /// A sync without a fault; a machine with too much to do may be late.
    async fn clean(&self) {
        for attempt in 0..5 {
            self.proxy.behave();
            match self.desk.sync_once(Some("communes")).await {
                Ok(_) => return,
                Err(failure) if failure.code == "timeout" && attempt < 4 => {}
                Err(failure) => panic!("{}: {failure:?}", self.backend.name),
            }
        }
    }

    fn freshness(&self) -> Freshness {
        self.desk.sources_info().sources[0].freshness
    }

    /// One sync with a fault in it, and one without.
    async fn suffer(&mut self, fault: Fault, random: &mut Random) -> Taken {
        let (old, new) = (self.held, 1 - self.held);
        self.serve(new);
        let what = format!("{}: {fault:?}", self.backend.name);
        self.proxy.misbehave(fault, random.below(self.requests), random.below(1 << 30) as u64, VERSIONS[new]);
        let outcome = self.desk.sync_once(Some("communes")).await;
        let now = self.text();
        let mut taken = Taken::Whole;
        match &outcome {
            Ok(_) if now == self.texts[new] => assert_eq!(self.freshness(), Freshness::Fresh, "{what}"),
            Ok(_) => {
                assert!(!self.backend.guarded, "{what}: wrong content was taken in");
                let differ = now.iter().zip(&self.texts[new]).filter(|(now, right)| now != right).count();
                let one = now.len() == self.texts[new].len() && differ == 1;
                // A page of JSON with a byte that is none is no page.
                assert!(self.backend.wire || (fault == Fault::Letter && one), "{what}: {differ} bytes differ");
                let run = self.desk.runs("communes").unwrap().remove(0);
                taken = if run.layers[0].rejected > 0 { Taken::Told } else { Taken::Unseen };
            }
            Err(failure) => {
                assert!(now == self.texts[old], "{what}: {failure:?}, and the layer is not as it was");
                assert_ne!(self.freshness(), Freshness::Fresh, "{what}: {failure:?}");
                assert!(!failure.message.starts_with("error."), "no sentence for {}", failure.code);
            }
        }
        let faults: Vec<_> = self.desk.check().unwrap().into_iter().filter(|found| found.subject == "cache").collect();
        assert!(faults.iter().all(|found| found.ok), "{what}: {faults:?}");
        if taken != Taken::Whole {
            // The server may say that nothing changed since; the next change brings all.
            self.serve(old);
            self.held = old;
        } else {
            self.held = new;
        }
        self.clean().await;
        assert!(self.text() == self.texts[self.held], "{what}: what came afterwards is not what is there");
        assert_eq!(self.freshness(), Freshness::Fresh, "{what}");
        taken
    }
}

/// What became of a delivery that was taken in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Taken {
    Whole,
    /// Some of it could not be read, and that was said.
    Told,
    /// A changed byte was taken for data.
    Unseen,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_on_the_line_lose_nothing() {
    let panics = Arc::new(AtomicUsize::new(0));
    let (counted, before) = (panics.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        counted.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let rounds = if std::env::var_os("TOANCANH_FULL").is_some() { 200 } else { 20 };
    let started = Instant::now();
    let backends = backends().await;
    // On ways without a sum, a fifth of the faults comes on top.
    let of = |guarded: bool| if guarded { rounds } else { rounds / 5 };
    let total = |guarded: bool| -> usize {
        backends.iter().filter(|(backend, _)| backend.guarded == guarded).map(|(backend, _)| backend.weight).sum()
    };
    let totals = [total(false), total(true)];
    let mut before = [0, 0];
    // Beside each other: most of the time is waiting.
    let mut journeys = JoinSet::new();
    for (nth, (backend, proxy)) in backends.into_iter().enumerate() {
        let guarded = backend.guarded;
        // Each its share of the rounds, and every fault in turn.
        let (rounds, total, before) = (of(guarded), totals[usize::from(guarded)], &mut before[usize::from(guarded)]);
        let share = *before * rounds / total..(*before + backend.weight) * rounds / total;
        *before += backend.weight;
        journeys.spawn(async move {
            let mut journey = Journey::begin(backend, proxy).await;
            let mut random = Random(80 + nth as u64);
            let mut taken = Vec::new();
            for (round, _) in share.enumerate() {
                let fault = Fault::ALL[(round + nth * 3) % Fault::ALL.len()];
                taken.push(journey.suffer(fault, &mut random).await);
            }
            let took_secs = started.elapsed().as_secs_f64();
            let said = format!("{} ({} in {took_secs:.0} s)", journey.backend.name, taken.len());
            (said, guarded, taken, journey.desk.runs("communes").unwrap().len())
        });
    }
    let (mut names, mut outcomes, mut runs) = (Vec::new(), [Vec::new(), Vec::new()], 0);
    for (name, guarded, taken, kept) in journeys.join_all().await {
        names.push(name);
        outcomes[usize::from(guarded)].extend(taken);
        runs += kept;
    }
    let count = |guarded: bool, taken: Taken| {
        outcomes[usize::from(guarded)].iter().filter(|outcome| **outcome == taken).count()
    };
    let [bare, sealed] = [false, true].map(|guarded| outcomes[usize::from(guarded)].len());
    let _ = writeln!(
        std::io::stderr(),
        "{} faults on the way to {} in {:.1} s. On ways with a sum {sealed}: {} cost nothing, {} went unseen. On ways without {bare}: \
         {} cost nothing, {} cost a row that was told of, {} went unseen; the next change mended them. {runs} runs in the logs",
        bare + sealed,
        names.join(", "),
        started.elapsed().as_secs_f64(),
        count(true, Taken::Whole),
        count(true, Taken::Unseen),
        count(false, Taken::Whole),
        count(false, Taken::Told),
        count(false, Taken::Unseen),
    );
    assert_eq!((sealed, count(true, Taken::Whole)), (rounds, rounds), "on ways with a sum nothing goes unseen");
    assert!(runs >= 2 * (bare + sealed), "{runs} runs");
    assert_eq!(panics.load(Ordering::Relaxed), 0);
}
