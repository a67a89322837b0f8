//! Whether the sources answer. Sources on one server share their fate: an answer from one proves the line to all.

use crate::api::{BreakerState, SourceHealth, SourceLogin, SourcesInfo};
use model::{Freshness, LinkState, Profile, SourceSpec, Timestamp};
use parking_lot::Mutex;
use sources::Url;

/// Silence after which a failing link counts as lost. The rule says "more than 5 s"; judged half a second early, with
/// ticks of a quarter, so that the mark is on the screen within those five seconds.
const LOST_AFTER_MS: i64 = 4_500;
/// A last word this close before the first failure counts as the beginning of the silence.
const HEARD_SECS: i64 = 10;

struct Link {
    spec: SourceSpec,
    url: Option<Url>,
    state: LinkState,
    answered_at: Option<Timestamp>,
    /// When this source itself, not only its server, last gave what it was asked for.
    worked_at: Option<Timestamp>,
    /// From when values may have been missed and were not asked for since.
    gap_from: Option<Timestamp>,
    /// Since when every attempt has failed.
    failing_since: Option<Timestamp>,
    lost_at: Option<Timestamp>,
    next_try_at: Option<Timestamp>,
    last_error: Option<String>,
}

impl Link {
    fn new(spec: &SourceSpec, url: Url) -> Self {
        Self {
            url: Some(url),
            spec: spec.clone(),
            state: LinkState::Unknown,
            answered_at: None,
            worked_at: None,
            gap_from: None,
            failing_since: None,
            lost_at: None,
            next_try_at: None,
            last_error: None,
        }
    }
}

/// The links to all sources.
pub(crate) struct Links {
    practice_url: Option<String>,
    all: Mutex<Vec<Link>>,
}

impl Links {
    pub(crate) fn new(profile: &Profile, practice_url: Option<&str>) -> Self {
        let practice_url = practice_url.map(|url| url.trim_end_matches('/').to_owned());
        let links = Self { all: Mutex::default(), practice_url };
        links.keep_to(profile);
        links
    }

    /// Takes up the sources of a changed profile; what is known of those that stay as they are is kept.
    pub(crate) fn keep_to(&self, profile: &Profile) {
        let mut all = self.all.lock();
        let mut before = std::mem::take(&mut *all);
        for spec in &profile.sources {
            match before.iter().position(|link| link.spec == *spec) {
                Some(at) => all.push(before.swap_remove(at)),
                // A source without an address is not asked, and not missed.
                None => all.extend(self.resolve(&spec.url).map(|url| Link::new(spec, url))),
            }
        }
    }

    /// An address of the profile with `practice:` filled in; `None` when there is no practice data centre.
    pub(crate) fn resolve(&self, text: &str) -> Option<Url> {
        resolve(self.practice_url.as_deref(), text)
    }

    /// The same for an address with places in it, which is no address yet.
    pub(crate) fn resolve_text(&self, text: &str) -> Option<String> {
        match text.strip_prefix("practice:") {
            Some(path) => Some(format!("{}{path}", self.practice_url.as_deref()?)),
            None => Some(text.to_owned()),
        }
    }

    pub(crate) fn url(&self, source: &str) -> Option<Url> {
        self.all.lock().iter().find(|link| link.spec.id == source)?.url.clone()
    }

    /// A source's address for people to read.
    pub(crate) fn address(&self, source: &SourceSpec) -> String {
        self.url(&source.id).map_or_else(|| source.url.clone(), |url| url.to_string())
    }

    pub(crate) fn state(&self, source: &str) -> LinkState {
        self.all.lock().iter().find(|link| link.spec.id == source).map_or(LinkState::Unknown, |link| link.state)
    }

    /// The server behind a source answered.
    pub(crate) fn answered(&self, source: &str, now: Timestamp) {
        self.came(source, true, now);
    }

    /// What a source has beside its server spoke, such as its broker: that proves nothing of the server's other sources.
    pub(crate) fn answered_alone(&self, source: &str, now: Timestamp) {
        self.came(source, false, now);
    }

    fn came(&self, source: &str, shared: bool, now: Timestamp) {
        let mut all = self.all.lock();
        let host = host_of(&all, source).filter(|_| shared);
        for link in all.iter_mut() {
            let own = link.spec.id == source;
            if own || (host.is_some() && link.url.as_ref().map(host_key) == host) {
                link.state = LinkState::Up;
                link.answered_at = Some(now);
                link.failing_since = None;
                link.lost_at = None;
                if own {
                    if let (Some(worked), Some(_)) = (link.worked_at, &link.last_error)
                        && now.as_millisecond() - worked.as_millisecond() > LOST_AFTER_MS
                    {
                        link.gap_from = Some(link.gap_from.map_or(worked, |from| from.min(worked)));
                    }
                    link.worked_at = Some(now);
                    link.last_error = None;
                    link.next_try_at = None;
                }
            }
        }
    }

    /// The server behind a source answered something that it was not asked for by its schedule: the line is up.
    pub(crate) fn heard(&self, source: &str, now: Timestamp) {
        let mut all = self.all.lock();
        let host = host_of(&all, source);
        for link in all.iter_mut().filter(|link| host.is_some() && link.url.as_ref().map(host_key) == host) {
            link.state = LinkState::Up;
            link.answered_at = Some(now);
            link.failing_since = None;
            link.lost_at = None;
        }
    }

    /// Whether the server behind a source spoke after a moment, to whichever of its sources.
    pub(crate) fn answered_since(&self, source: &str, moment: Timestamp) -> bool {
        let all = self.all.lock();
        let link = all.iter().find(|link| link.spec.id == source);
        link.and_then(|link| link.answered_at).is_some_and(|at| at > moment)
    }

    /// From when values of this source may be missing after an outage; answered once.
    pub(crate) fn take_gap(&self, source: &str) -> Option<Timestamp> {
        self.all.lock().iter_mut().find(|link| link.spec.id == source)?.gap_from.take()
    }

    /// An attempt failed. `answered`: the server spoke, if only to refuse, so the line is up.
    pub(crate) fn failed(&self, source: &str, error: &str, answered: bool, now: Timestamp, next: Option<Timestamp>) {
        self.fell(source, error, answered, true, now, next);
    }

    /// An attempt failed at what a source has beside its server: the server's other sources do not share that fate.
    pub(crate) fn failed_alone(
        &self,
        source: &str,
        error: &str,
        answered: bool,
        now: Timestamp,
        next: Option<Timestamp>,
    ) {
        self.fell(source, error, answered, false, now, next);
    }

    fn fell(&self, source: &str, error: &str, answered: bool, shared: bool, now: Timestamp, next: Option<Timestamp>) {
        let mut all = self.all.lock();
        let host = host_of(&all, source).filter(|_| shared);
        for link in all.iter_mut() {
            let own = link.spec.id == source;
            if own {
                link.last_error = Some(error.to_owned());
                link.next_try_at = next;
            }
            let shared = host.is_some() && link.url.as_ref().map(host_key) == host;
            if !answered && (own || shared) {
                link.failing_since.get_or_insert(now);
            } else if answered && (own || shared) {
                // An error page is an answer: the line is up, the service is not.
                link.state = LinkState::Up;
                link.answered_at = Some(now);
                link.failing_since = None;
                link.lost_at = None;
            }
        }
    }

    /// The source was not even asked: that says nothing about the line.
    pub(crate) fn not_asked(&self, source: &str, error: &str, next: Option<Timestamp>) {
        if let Some(link) = self.all.lock().iter_mut().find(|link| link.spec.id == source) {
            link.last_error = Some(error.to_owned());
            link.next_try_at = next;
        }
    }

    /// Counts every link that fails as lost, without waiting: for a single try, behind which no other comes.
    pub(crate) fn give_up(&self, now: Timestamp) {
        for link in self.all.lock().iter_mut().filter(|link| link.failing_since.is_some()) {
            link.state = LinkState::Lost;
            link.lost_at = link.lost_at.or(link.answered_at).or(Some(now));
        }
    }

    /// Judges every link; true when one changed.
    pub(crate) fn judge(&self, now: Timestamp) -> bool {
        let mut changed = false;
        for link in self.all.lock().iter_mut() {
            let Some(failing_since) = link.failing_since else { continue };
            // A source that is heard all the time is silent from its last word; one that is asked every ten minutes, from
            // the first try that failed.
            let last = link.answered_at.filter(|at| failing_since.as_second() - at.as_second() <= HEARD_SECS);
            let silent_since = last.unwrap_or(failing_since);
            let silent_ms = now.as_millisecond() - silent_since.as_millisecond();
            if link.state != LinkState::Lost && silent_ms > LOST_AFTER_MS {
                link.state = LinkState::Lost;
                link.lost_at = Some(silent_since);
                changed = true;
            }
        }
        changed
    }

    pub(crate) fn info(&self, profile: &Profile, newest: Option<Timestamp>, now: Timestamp) -> SourcesInfo {
        let all = self.all.lock();
        let health = |link: &Link| SourceHealth {
            id: link.spec.id.clone(),
            title: link.spec.title.clone(),
            protocol: link.spec.protocol,
            url: link.url.as_ref().map_or_else(|| link.spec.url.clone(), ToString::to_string),
            practice: link.spec.practice,
            link: link.state,
            freshness: freshness(link, now),
            answered_at: link.answered_at,
            lost_at: link.lost_at,
            next_try_at: link.next_try_at,
            last_error: link.last_error.clone(),
            added: profile.is_added(&link.spec.id),
            login: link
                .spec
                .credentials
                .as_ref()
                .map(|credentials| SourceLogin { kind: credentials.kind(), secret: credentials.secret().to_owned() }),
            paused: false,
            breaker: BreakerState::Closed,
            resting_until: None,
            next_run_at: None,
            runs: Vec::new(),
            layers: profile
                .layers
                .iter()
                .filter(|layer| [&layer.feature_source, &layer.live_source].contains(&&Some(link.spec.id.clone())))
                .map(|layer| layer.id.clone())
                .collect(),
        };
        let lost = all.iter().filter(|link| link.state == LinkState::Lost).count();
        let link = if lost > 0 && lost == all.len() {
            LinkState::Lost
        } else if all.iter().any(|link| link.state == LinkState::Up) {
            LinkState::Up
        } else {
            LinkState::Unknown
        };
        SourcesInfo {
            link,
            lost: u32::try_from(lost).unwrap_or(u32::MAX),
            as_of: newest.or_else(|| all.iter().filter_map(|link| link.answered_at).max()),
            practice: all.iter().any(|link| link.spec.practice),
            sources: all.iter().map(health).collect(),
        }
    }
}

fn freshness(link: &Link, now: Timestamp) -> Freshness {
    match (link.state, link.answered_at) {
        (LinkState::Lost, Some(_)) => Freshness::Offline,
        (_, None) => Freshness::Never,
        (_, Some(at)) => {
            let late =
                now.as_second() - at.as_second() > i64::try_from(link.spec.every.as_secs()).unwrap_or(i64::MAX) * 3;
            if link.last_error.is_some() {
                Freshness::Error
            } else if late {
                Freshness::Stale
            } else {
                Freshness::Fresh
            }
        }
    }
}

fn host_of(all: &[Link], source: &str) -> Option<String> {
    all.iter().find(|link| link.spec.id == source)?.url.as_ref().map(host_key)
}

/// A folder shares its fate with no other.
fn host_key(url: &Url) -> String {
    if url.scheme() == "file" {
        return url.to_string();
    }
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

fn resolve(practice_url: Option<&str>, text: &str) -> Option<Url> {
    let address = match text.strip_prefix("practice:") {
        Some(path) => format!("{}{path}", practice_url?),
        None => text.to_owned(),
    };
    Url::parse(&address).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile::from_toml(
            r#"
            id = "x"
            code = "1"
            title = { vi = "X", en = "X" }
            timezone = "Asia/Ho_Chi_Minh"
            bbox = [105.0, 10.0, 107.0, 12.0]
            center = [106.0, 11.0]
            area_km2 = 1.0
            population = 1
            in_force = "2025-07-01"
            groups = []
            layers = []
            [[sources]]
            id = "features"
            protocol = "ogc-api-features"
            title = { vi = "A", en = "A" }
            url = "practice:/ogc"
            every = "10m"
            [[sources]]
            id = "stations"
            protocol = "sensorthings"
            title = { vi = "B", en = "B" }
            url = "practice:/sensorthings/v1.1"
            every = "30s"
            "#,
        )
        .unwrap()
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + ms).unwrap()
    }

    #[test]
    fn link_is_lost_within_five_seconds_of_silence_and_heals_with_the_first_answer() {
        let links = Links::new(&profile(), Some("http://127.0.0.1:8700/"));
        links.answered("stations", at(0));
        assert_eq!(links.state("features"), LinkState::Up, "one server, one fate");
        links.failed("stations", "refused", false, at(300), None);
        assert!(!links.judge(at(4_000)));
        assert!(links.judge(at(4_750)));
        let info = links.info(&profile(), None, at(4_750));
        assert_eq!((info.link, info.lost), (LinkState::Lost, 2));
        assert_eq!(info.sources[0].lost_at, Some(at(0)));
        links.answered("features", at(9_000));
        assert_eq!(links.info(&profile(), None, at(9_000)).link, LinkState::Up);
    }

    #[test]
    fn an_error_page_is_an_answer() {
        let links = Links::new(&profile(), Some("http://127.0.0.1:8700"));
        links.answered("features", at(0));
        links.failed("features", "500", true, at(10_000), None);
        assert!(!links.judge(at(20_000)));
        assert_eq!(links.info(&profile(), None, at(20_000)).sources[0].freshness, Freshness::Error);
    }

    #[test]
    fn a_source_asked_rarely_is_not_lost_by_one_failed_try() {
        let links = Links::new(&profile(), Some("http://127.0.0.1:8700"));
        links.answered("features", at(0));
        links.failed("features", "refused", false, at(600_000), None);
        assert!(!links.judge(at(600_250)));
        assert!(links.judge(at(605_000)));
        links.failed("features", "429", true, at(606_000), None);
        assert_eq!(links.state("features"), LinkState::Up, "an error page proves the line");
    }

    #[test]
    fn who_refuses_is_there_and_so_is_all_else_on_its_server() {
        let links = Links::new(&profile(), Some("http://127.0.0.1:8700"));
        links.failed("stations", "refused", false, at(0), None);
        assert!(links.judge(at(5_000)));
        links.failed("features", "429", true, at(6_000), None);
        assert_eq!(links.state("stations"), LinkState::Up);
        assert!(!links.judge(at(60_000)));
    }

    #[test]
    fn a_broker_beside_the_server_speaks_for_its_own_source_only() {
        let links = Links::new(&profile(), Some("http://127.0.0.1:8700"));
        links.failed("features", "refused", false, at(0), None);
        assert!(links.judge(at(5_000)));
        links.answered_alone("stations", at(6_000));
        assert_eq!((links.state("stations"), links.state("features")), (LinkState::Up, LinkState::Lost));
        assert!(links.answered_since("stations", at(5_000)) && !links.answered_since("features", at(5_000)));
        links.answered("features", at(7_000));
        links.failed_alone("stations", "refused", false, at(8_000), None);
        assert!(links.judge(at(13_000)));
        assert_eq!((links.state("stations"), links.state("features")), (LinkState::Lost, LinkState::Up));
        let info = links.info(&profile(), None, at(13_000));
        assert_eq!(info.sources[0].last_error, None, "the error is the broker's");
        links.failed_alone("stations", "login", true, at(14_000), None);
        assert_eq!(links.state("stations"), LinkState::Up, "who refuses is there");
    }

    #[test]
    fn outage_leaves_a_gap_from_the_last_value_that_came() {
        let links = Links::new(&profile(), Some("http://127.0.0.1:8700"));
        links.failed("stations", "refused", false, at(0), None);
        links.answered("stations", at(9_000));
        assert_eq!(links.take_gap("stations"), None, "a first answer ends no outage");
        links.answered("stations", at(10_000));
        links.failed("stations", "ended", true, at(10_500), None);
        links.answered("stations", at(11_000));
        assert_eq!(links.take_gap("stations"), None, "a new connection is no outage");
        links.failed("stations", "silent", false, at(12_000), None);
        assert!(links.judge(at(16_000)));
        links.answered("features", at(3_600_000));
        assert_eq!(links.take_gap("stations"), None, "its server is there, but it has not spoken yet");
        links.answered("stations", at(3_601_000));
        assert_eq!((links.take_gap("stations"), links.take_gap("stations")), (Some(at(11_000)), None));
    }

    #[test]
    fn without_a_practice_data_centre_its_sources_have_no_address() {
        let links = Links::new(&profile(), None);
        assert!(links.url("features").is_none());
        let info = links.info(&profile(), None, at(0));
        assert!(!info.practice && info.sources.is_empty());
    }
}
