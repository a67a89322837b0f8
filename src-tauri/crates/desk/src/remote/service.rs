//! One attempt to ask a layer's service, and what is kept of it.

use super::{About, Answered};
use crate::Desk;
use crate::api::Failure;
use crate::sync::Held;
use model::{Feature, LayerSpec, Timestamp};
use sources::asking::{Abilities, Part, Question};
use sources::{Client, FetchError, Url, Wanted, asking};
use std::sync::Arc;
use std::time::Duration;

/// The name that what is known of a service is kept under.
pub(super) const ABOUT: &str = "about";
/// Nobody waits longer for an answer on a click.
const PATIENCE: Duration = Duration::from_secs(12);
/// A search goes on without whoever takes longer.
pub(super) const SEARCH_PATIENCE: Duration = Duration::from_millis(1_500);
/// Answers kept of each layer.
pub(super) const KEEP: u32 = 200;
/// A larger answer is not kept: it is cheaper to ask again than to write it down.
const KEEP_BYTES: usize = 2 << 20;
/// What a service can do is asked again after this, where no schedule does it.
const ABOUT_SECS: i64 = 86_400;

/// How a service is reached.
struct Service {
    source: String,
    root: Url,
    held: Option<Held>,
}

impl Desk {
    /// A question's name among the kept answers: another service or collection has other answers.
    pub(super) fn key_of(&self, spec: &LayerSpec, question: &str) -> String {
        let profile = self.profile();
        let source = spec.feature_source.as_ref().and_then(|id| profile.source(id));
        let url = source.map_or("", |source| source.url.as_str());
        format!("{url} {} {question}", spec.collection.as_deref().unwrap_or(spec.id.as_str()))
    }

    /// Asks what a layer's service can be asked, and how many features there are. The schedule does so at every turn.
    ///
    /// # Errors
    /// As a fetch.
    pub(crate) async fn look_at_remote(
        &self,
        spec: &LayerSpec,
        client: &Client,
        wanted: Wanted<'_>,
    ) -> Result<(), FetchError> {
        let abilities = asking::abilities(client, &wanted).await?;
        let features = asking::count(client, &wanted).await?;
        let about = About { abilities, features, answered_at: self.now() };
        if let Ok(body) = serde_json::to_string(&about) {
            // What cannot be kept now is asked again.
            let key = self.key_of(spec, ABOUT);
            let _ = self.history().keep_answer(&spec.id, &key, about.answered_at, &body, KEEP);
        }
        self.remotes().about.lock().insert(spec.id.clone(), Arc::new(about));
        self.remotes().told.lock().remove(&spec.id);
        self.mend_holes(&spec.id);
        self.tell_layer(&spec.id);
        Ok(())
    }

    /// What the layer's service can be asked, looked up where that is not known yet or long ago.
    pub(super) async fn abilities_of(&self, spec: &LayerSpec) -> Result<Abilities, Failure> {
        let known = self.about_remote(&spec.id);
        let old = |about: &Arc<About>| self.now().as_second() - about.answered_at.as_second() > ABOUT_SECS;
        if let Some(about) = known.as_ref().filter(|about| !old(about)) {
            return Ok(about.abilities.clone());
        }
        let service = self.service_of(spec).await?;
        let looked = self.in_time(&service.root, self.look_at_remote(spec, &self.client, self.wanted(spec, &service)));
        match (looked.await, known) {
            (Ok(()), _) => Ok(self.about_remote(&spec.id).map(|about| about.abilities.clone()).unwrap_or_default()),
            (Err(error), Some(about)) if error.retryable() => Ok(about.abilities.clone()),
            (Err(error), _) => Err(self.unanswered(spec, &service, error)),
        }
    }

    /// The features that answer a question; what was answered before where the service cannot be asked.
    pub(super) async fn part_of(&self, spec: &LayerSpec, question: &Question) -> Result<Answered<Part>, Failure> {
        let service = self.service_of(spec).await?;
        let key = self.key_of(spec, &serde_json::to_string(question).unwrap_or_default());
        let wanted = self.wanted(spec, &service);
        match self.in_time(&service.root, asking::ask(&self.client, &wanted, question)).await {
            Ok(part) => Ok(self.taken(spec, &service, &key, part)),
            Err(error) => match self.kept(spec, &key).filter(|_| error.retryable()) {
                Some(kept) => {
                    self.missed(&service, &error);
                    Ok(kept)
                }
                None => Err(self.unanswered(spec, &service, error)),
            },
        }
    }

    /// One feature; as it was answered before, to whichever question, where the service cannot be asked.
    pub(super) async fn item_of(&self, spec: &LayerSpec, id: &str) -> Result<Answered<Option<Feature>>, Failure> {
        let abilities = self.abilities_of(spec).await?;
        let service = self.service_of(spec).await?;
        let key = self.key_of(spec, &format!("item {id}"));
        let wanted = self.wanted(spec, &service);
        match self.in_time(&service.root, asking::item(&self.client, &wanted, &abilities, id)).await {
            Ok(item) => {
                let part = Part { features: item.into_iter().collect(), whole: true, ..Part::default() };
                let Answered { value, at, kept } = self.taken(spec, &service, &key, part);
                Ok(Answered { value: value.features.into_iter().next(), at, kept })
            }
            Err(error) => match self.kept_item(spec, id).filter(|_| error.retryable()) {
                Some(kept) => {
                    self.missed(&service, &error);
                    Ok(kept)
                }
                None => Err(self.unanswered(spec, &service, error)),
            },
        }
    }

    async fn service_of(&self, spec: &LayerSpec) -> Result<Service, Failure> {
        let profile = self.profile();
        let source = spec.feature_source.as_ref().and_then(|id| profile.source(id));
        let found = source.and_then(|source| Some((source, self.links().url(&source.id)?)));
        let Some((source, root)) = found else {
            let source = spec.feature_source.as_deref().unwrap_or_default();
            return Err(self.failure("no_practice", [("source", source)]));
        };
        let held = self.held(source).await.map_err(|error| self.fetch_failure(&root, &error))?;
        Ok(Service { source: source.id.clone(), root, held })
    }

    fn wanted<'a>(&self, spec: &'a LayerSpec, service: &'a Service) -> Wanted<'a> {
        Wanted {
            root: &service.root,
            layer: spec.id.as_str(),
            collection: spec.collection.as_deref(),
            id_field: spec.id_field.as_deref(),
            mapping: None,
            changed_field: None,
            login: service.held.as_ref().map(Held::login),
            validator: None,
            province: self.bbox(),
            at_most: None,
            now: self.now(),
            areas: None,
            // Nothing of an answer is set down on the way.
            staging: std::path::Path::new(""),
        }
    }

    async fn in_time<T>(&self, root: &Url, work: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        let late = || FetchError::Timeout {
            host: root.host_str().unwrap_or_default().to_owned(),
            secs: PATIENCE.as_secs(),
            answered: false,
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
    }

    fn taken(&self, spec: &LayerSpec, service: &Service, key: &str, part: Part) -> Answered<Part> {
        let at = self.now();
        self.links().answered(&service.source, at);
        self.remotes().told.lock().remove(&spec.id);
        let body = part.to_text();
        if body.len() <= KEEP_BYTES {
            // What cannot be kept now is missed only when the network is.
            let _ = self.history().keep_answer(&spec.id, key, at, &body, KEEP);
        }
        Answered { value: part, at, kept: false }
    }

    fn kept(&self, spec: &LayerSpec, key: &str) -> Option<Answered<Part>> {
        let kept = self.history().answer(&spec.id, key).ok()??;
        Some(Answered { value: Part::from_text(&kept.body)?, at: kept.answered_at, kept: true })
    }

    fn kept_item(&self, spec: &LayerSpec, id: &str) -> Option<Answered<Option<Feature>>> {
        let of_this_service = self.key_of(spec, "");
        let all = self.history().answers(&spec.id).ok()?;
        let mut parts = all.into_iter().filter(|kept| kept.question.starts_with(&of_this_service)).filter_map(|kept| {
            let item = Part::from_text(&kept.body)?.features.into_iter().find(|feature| feature.id == id)?;
            Some((item, kept.answered_at))
        });
        let (item, at): (Feature, Timestamp) = parts.next()?;
        Some(Answered { value: Some(item), at, kept: true })
    }

    /// Takes note that the service could not be asked.
    fn missed(&self, service: &Service, error: &FetchError) {
        let said = Held::hide(service.held.as_ref(), error.clone()).to_string();
        self.links().failed(&service.source, &said, error.answered(), self.now(), None);
    }

    fn unanswered(&self, spec: &LayerSpec, service: &Service, error: FetchError) -> Failure {
        let error = Held::hide(service.held.as_ref(), error);
        if !error.retryable() {
            return self.fetch_failure(&service.root, &error);
        }
        self.missed(service, &error);
        let (url, detail) = (service.root.to_string(), error.to_string());
        let at = [("layer", spec.id.as_str()), ("url", url.as_str()), ("detail", detail.as_str())];
        self.failure("remote_unanswered", at)
    }

    fn fetch_failure(&self, root: &Url, error: &FetchError) -> Failure {
        crate::failures::fetch(self.language(), root.as_str(), error)
    }
}
