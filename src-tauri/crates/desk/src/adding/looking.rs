//! What is behind an address, and what would come of it: nothing is written.

use super::naming::alike;
use crate::Desk;
use crate::api::{ConnectionTest, Failure, JobState, NewLayer, NewSource, Offer, Recognised, Trial};
use crate::args::{RecogniseArgs, TestSourceArgs, TrySourceArgs};
use crate::standard::{columns_of, conforming};
use crate::sync::Held;
use crate::trial::{About, Gathering};
use model::{Credentials, LayerSpec, Protocol, SourceSpec};
use sources::{FetchError, Fetched, Url, Wanted};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Features that a trial looks at.
const LOOK: u64 = 2_000;

impl Desk {
    /// What speaks at an address.
    ///
    /// # Errors
    /// `bad_address`, `bad_credentials`, `unrecognised`; what went wrong on the way there.
    pub async fn recognise(self: &Arc<Self>, args: RecogniseArgs) -> Result<Recognised, Failure> {
        if let Some(credentials) = &args.credentials {
            self.check_credentials(credentials)?;
        }
        let job = self.begin_job("recognise");
        let found = tokio::select! {
            found = self.recognised_as(&args.url, args.credentials.as_ref()) => found,
            () = job.cancelled() => Err(FetchError::Cancelled),
        };
        // An address that is none may hold a password: it is repeated only as far as it was judged fit.
        let failed = |error: &FetchError| match error {
            FetchError::BadAddress { url, .. } => crate::failures::fetch(self.language(), url, error),
            error => crate::failures::fetch(self.language(), args.url.trim(), error),
        };
        match found {
            Ok(found) => {
                job.finish(JobState::Done);
                Ok(self.recognised(found))
            }
            Err(error) => {
                job.finish(ended(&error));
                Err(failed(&error))
            }
        }
    }

    fn recognised(&self, found: sources::Recognised) -> Recognised {
        let layers = self.layers().all();
        let offer = |offer: sources::Offer| Offer {
            layer: alike(&layers, &[offer.collection.as_deref().unwrap_or_default(), &offer.title]),
            collection: offer.collection,
            title: offer.title,
            features: offer.features,
        };
        Recognised {
            protocol: found.protocol,
            url: found.root.to_string(),
            title: found.title,
            chosen: found.chosen,
            offers: found.offers.into_iter().map(offer).collect(),
            practice: found.practice,
        }
    }

    /// Asks what speaks at an address, showing it what the credentials name.
    async fn recognised_as(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
    ) -> Result<sources::Recognised, FetchError> {
        let held = self.held_for(credentials).await?;
        let found = sources::recognise_with(&self.client, url, held.as_ref().map(Held::login)).await;
        found.map_err(|error| Held::hide(held.as_ref(), error))
    }

    pub(crate) async fn test_source(self: &Arc<Self>, args: TestSourceArgs) -> Result<ConnectionTest, Failure> {
        let profile = self.profile();
        let (source, url) = self.known_source(&profile, &args.source)?;
        let begun = Instant::now();
        let tested = self.tested(source, &url).await;
        let took_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        Ok(match tested {
            Ok(offers) => ConnectionTest { took_ms, offers, error: None },
            Err(failure) => ConnectionTest { took_ms, offers: None, error: Some(failure.message) },
        })
    }

    /// As the call `test_source`, but what the connection fails of is a failure.
    ///
    /// # Errors
    /// `no_source`, `no_practice`, `other_protocol`; what went wrong on the way there.
    pub async fn test(self: &Arc<Self>, id: &str) -> Result<ConnectionTest, Failure> {
        let profile = self.profile();
        let (source, url) = self.known_source(&profile, id)?;
        let begun = Instant::now();
        let offers = self.tested(source, &url).await?;
        let took_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        Ok(ConnectionTest { took_ms, offers, error: None })
    }

    fn known_source<'a>(&self, profile: &'a model::Profile, id: &str) -> Result<(&'a SourceSpec, Url), Failure> {
        let Some(source) = profile.source(id) else {
            return Err(self.failure("no_source", [("source", id)]));
        };
        match self.links().url(&source.id) {
            Some(url) => Ok((source, url)),
            None => Err(self.failure("no_practice", [("source", id)])),
        }
    }

    /// Opens the folder of a source on another machine, whose key the source may name.
    async fn folder_of(&self, source: &SourceSpec, url: &Url) -> Result<sources::Recognised, FetchError> {
        let held = self.held(source).await?;
        let (login, host_key) = (held.as_ref().map(Held::login), source.host_key.as_deref());
        let found =
            sources::recognise_folder(&self.client, sources::remote_folder::Place { url, login, host_key }).await;
        found.map_err(|error| Held::hide(held.as_ref(), error))
    }

    /// Asks a source as it is fetched: with its own credentials. The number of collections on offer.
    async fn tested(&self, source: &SourceSpec, url: &Url) -> Result<Option<u32>, Failure> {
        let found = if sources::remote_folder::is_remote(url) {
            self.folder_of(source, url).await
        } else {
            self.recognised_as(url.as_str(), source.credentials.as_ref()).await
        };
        match found {
            Ok(found) if found.protocol == source.protocol => {
                self.links().heard(&source.id, self.now());
                Ok(u32::try_from(found.offers.len()).ok())
            }
            Ok(found) => {
                let (is, was) = (found.protocol.as_str(), source.protocol.as_str());
                Err(self.failure("other_protocol", [("url", url.as_str()), ("is", is), ("was", was)]))
            }
            Err(error) => Err(crate::failures::fetch(self.language(), url.as_str(), &error)),
        }
    }

    /// What a collection would bring into a layer.
    ///
    /// # Errors
    /// Those of [`Desk::add`] about the source and the layer; `no_trial`; what went wrong on the way there.
    pub async fn try_source(self: &Arc<Self>, args: TrySourceArgs) -> Result<Trial, Failure> {
        let job = self.begin_job("trial");
        let outcome = tokio::select! {
            outcome = self.look_at(&args.source, &args.layer, &job) => outcome,
            () = job.cancelled() => {
                job.finish(JobState::Cancelled);
                return Err(crate::failures::fetch(self.language(), &args.source.url, &FetchError::Cancelled));
            }
        };
        job.finish(if outcome.is_ok() { JobState::Done } else { JobState::Failed });
        outcome
    }

    async fn look_at(
        self: &Arc<Self>,
        source: &NewSource,
        layer: &NewLayer,
        job: &crate::jobs::JobHandle,
    ) -> Result<Trial, Failure> {
        let failed = |error: FetchError| crate::failures::fetch(self.language(), &source.url, &error);
        let (root, credentials) = (self.address_of(source)?, self.spec_of(source)?.credentials);
        let (_, mut spec) = self.spec_for(&layer.target, &mut self.profile().as_ref().clone())?;
        spec.map = layer.map.clone();
        spec.id_field = layer.id_field.clone().or(spec.id_field);
        self.settle_stations(source, layer, &mut spec)?;
        if source.protocol == Protocol::StationFolder && !sources::remote_folder::is_remote(&root) {
            return self.look_through_folder(spec, &root).await;
        }
        let Some(service) = sources::service(source.protocol) else {
            return Err(self.failure("no_trial", [("protocol", source.protocol.as_str())]));
        };
        let held = self.held_for(credentials.as_ref()).await.map_err(failed)?;
        let mut survey = None;
        if source.protocol == Protocol::SensorThings {
            let client = self.client.showing(&root, held.as_ref().map(Held::login)).map_err(failed)?;
            let things = spec.sensorthings.as_ref().and_then(|mapping| mapping.things.as_deref());
            let surveyed = sources::sensorthings::survey(&client, &root, things).await;
            let surveyed = surveyed.map_err(|error| failed(Held::hide(held.as_ref(), error)))?;
            if spec.sensorthings.is_none() {
                return Ok(self.try_labelled(&spec, &surveyed));
            }
            survey = Some(surveyed);
        }
        let folder = self.home().staging_dir().join("trial");
        let areas = crate::areas::Communes::of(self);
        let wanted = Wanted {
            root: &root,
            layer: spec.id.as_str(),
            collection: match &spec.sensorthings {
                Some(mapping) => mapping.things.as_deref(),
                None => layer.collection.as_deref(),
            },
            id_field: spec.id_field.as_deref(),
            mapping: spec.rest.as_ref(),
            changed_field: None,
            login: held.as_ref().map(Held::login),
            validator: None,
            province: self.bbox(),
            at_most: Some(LOOK),
            now: self.now(),
            areas: Some(&areas),
            staging: &folder,
        };
        let mut told = |done: u64, total: Option<u64>| {
            job.progress(done, total.unwrap_or_default().min(LOOK));
        };
        let fetched = match service.fetch(&self.client, wanted, &mut told).await {
            Ok(Fetched::Features(fetched)) => fetched,
            Ok(Fetched::NotModified) => return Err(failed(FetchError::Cancelled)),
            Err(error) => return Err(failed(Held::hide(held.as_ref(), error))),
        };
        let desk = self.clone();
        let (protocol, map) = (source.protocol, spec.map.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let columns = columns_of(&fetched.features);
            let received = fetched.features.len() + fetched.report.rejected.len();
            let (features, conformed) = conforming(&spec, fetched.features);
            let mut gathering = Gathering::new(&spec, desk.bbox());
            let mut rejected = fetched.report.rejected;
            let mut repaired = 0;
            rejected.extend(conformed.refused.into_iter().map(|refused| refused.rejection));
            for (row, feature) in (1..).zip(features) {
                match crate::import::repaired(row, feature) {
                    Ok((feature, changed)) => {
                        repaired += u64::from(changed);
                        gathering.see(&feature);
                    }
                    Err(rejection) => rejected.push(rejection),
                }
            }
            let about = About {
                format: protocol.as_str().to_owned(),
                partial: received as u64 >= LOOK,
                repaired,
                rejected,
                warnings: fetched.report.warnings,
                crs: 4326,
                likely_crs: None,
                tables: Vec::new(),
                columns,
                position: Vec::new(),
                cells: BTreeMap::new(),
                asked: map,
                suggestion: conformed.suggestion,
            };
            let mut trial = gathering.finish(&desk, about, conformed.standard.as_ref());
            if let (Some(mapping), Some(survey)) = (&spec.sensorthings, &survey) {
                desk.add_measured(&mut trial, &spec, mapping, survey);
            }
            trial
        });
        looked.await.map_err(|_| self.failure("interrupted", []))
    }
}

impl Desk {
    async fn look_through_folder(self: &Arc<Self>, spec: LayerSpec, root: &Url) -> Result<Trial, Failure> {
        let wrong = || self.failure("bad_address", [("url", root.as_str()), ("detail", "file:///FOLDER is needed")]);
        let folder = root.to_file_path().map_err(|()| wrong())?;
        let desk = self.clone();
        // Walking a share is work for a blocking thread.
        let looked = tokio::task::spawn_blocking(move || desk.try_folder(&spec, &folder)).await;
        looked.map_err(|_| self.failure("interrupted", []))?
    }
}

fn ended(error: &FetchError) -> JobState {
    if *error == FetchError::Cancelled { JobState::Cancelled } else { JobState::Failed }
}
