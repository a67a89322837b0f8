//! Systems that a person adds at this desk: recognised by their address, tried, added, removed again.
//!
//! What is added stands in `HOME/sources.toml`, in the profile's words; the profile of the province stays as it is.

use crate::Desk;
use crate::api::{
    AddedSource, ConnectionTest, Event, Failure, JobState, NewLayer, NewSource, Offer, Recognised, Target, Trial,
};
use crate::args::{AddSourceArgs, RecogniseArgs, RemoveSourceArgs, SyncArgs, TestSourceArgs, TrySourceArgs};
use crate::layers::Layer;
use crate::standard::{columns_of, conforming};
use crate::sync::Held;
use crate::trial::{About, Gathering};
use model::{
    Additions, Classification, Field, GeometryKind, LayerId, LayerKind, LayerSpec, Profile, Protocol, Role, Schema,
    SourceSpec, Span, Title, fold,
};
use sources::{FetchError, Fetched, Url, Wanted};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Features that a trial looks at.
const LOOK: u64 = 2_000;
/// A title is cut to this for an id.
const ID_CHARS: usize = 40;

impl Desk {
    pub(crate) async fn recognise(self: &Arc<Self>, args: RecogniseArgs) -> Result<Recognised, Failure> {
        let job = self.begin_job("recognise");
        let found = tokio::select! {
            found = sources::recognise(&self.client, &args.url) => found,
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

    pub(crate) async fn test_source(self: &Arc<Self>, args: TestSourceArgs) -> Result<ConnectionTest, Failure> {
        let profile = self.profile();
        let Some(source) = profile.source(&args.source) else {
            return Err(self.failure("no_source", [("source", args.source.as_str())]));
        };
        let Some(url) = self.links().url(&source.id) else {
            return Err(self.failure("no_practice", [("source", source.id.as_str())]));
        };
        let begun = Instant::now();
        // As it is fetched: with the source's own credentials.
        let is_folder = sources::remote_folder::is_remote(&url);
        let found = match self.held(source).await {
            Ok(held) if is_folder => {
                let (login, host_key) = (held.as_ref().map(Held::login), source.host_key.as_deref());
                let place = sources::remote_folder::Place { url: &url, login, host_key };
                let found = sources::recognise_folder(&self.client, place).await;
                found.map_err(|error| held.as_ref().map_or_else(|| error.clone(), |held| held.hide(error.clone())))
            }
            Ok(None) => sources::recognise(&self.client, url.as_str()).await,
            Ok(Some(held)) => {
                let found = sources::recognise_with(&self.client, url.as_str(), Some(held.login())).await;
                found.map_err(|error| held.hide(error))
            }
            Err(error) => Err(error),
        };
        let took_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        let now = self.now();
        match found {
            Ok(found) if found.protocol == source.protocol => {
                self.links().heard(&source.id, now);
                let offers = u32::try_from(found.offers.len()).ok();
                Ok(ConnectionTest { took_ms, offers, error: None })
            }
            Ok(found) => {
                let (is, was) = (found.protocol.as_str(), source.protocol.as_str());
                let failure = self.failure("other_protocol", [("url", url.as_str()), ("is", is), ("was", was)]);
                Ok(ConnectionTest { took_ms, offers: None, error: Some(failure.message) })
            }
            Err(error) => {
                let failure = crate::failures::fetch(self.language(), url.as_str(), &error);
                Ok(ConnectionTest { took_ms, offers: None, error: Some(failure.message) })
            }
        }
    }

    pub(crate) async fn try_source(self: &Arc<Self>, args: TrySourceArgs) -> Result<Trial, Failure> {
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
        let failed = |error: &FetchError| crate::failures::fetch(self.language(), &source.url, error);
        let root = self.address_of(source)?;
        let (_, mut spec) = self.spec_for(&layer.target, &mut self.profile().as_ref().clone())?;
        spec.map = layer.map.clone();
        spec.id_field = layer.id_field.clone().or(spec.id_field);
        let Some(service) = sources::service(source.protocol) else {
            return Err(self.failure("no_trial", [("protocol", source.protocol.as_str())]));
        };
        let folder = self.home().staging_dir().join("trial");
        let wanted = Wanted {
            root: &root,
            layer: spec.id.as_str(),
            collection: layer.collection.as_deref(),
            id_field: spec.id_field.as_deref(),
            mapping: spec.rest.as_ref(),
            changed_field: None,
            login: None,
            validator: None,
            province: self.bbox(),
            at_most: Some(LOOK),
            now: self.now(),
            staging: &folder,
        };
        let mut told = |done: u64, total: Option<u64>| {
            job.progress(done, total.unwrap_or_default().min(LOOK));
        };
        let fetched = match service.fetch(&self.client, wanted, &mut told).await {
            Ok(Fetched::Features(fetched)) => fetched,
            Ok(Fetched::NotModified) => return Err(failed(&FetchError::Cancelled)),
            Err(error) => return Err(failed(&error)),
        };
        let desk = self.clone();
        let (protocol, map) = (source.protocol, layer.map.clone());
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
            gathering.finish(&desk, about, conformed.standard.as_ref())
        });
        looked.await.map_err(|_| self.failure("interrupted", []))
    }

    /// Adds a source and the layers that it fills; it is asked at once.
    ///
    /// # Errors
    /// `bad_address`, `title_missing`, `period_too_short`, `no_layer`, `no_group`, `nothing_chosen`, `layer_twice`,
    /// `live_target`, `not_writable`; nothing is changed then.
    pub(crate) async fn add_source(self: &Arc<Self>, args: AddSourceArgs) -> Result<AddedSource, Failure> {
        let added = self.add(&args.source, &args.layers)?;
        self.sync_now(SyncArgs { source: Some(added.id.clone()), accept_shrunk: None }).await?;
        Ok(added)
    }

    /// As the call `add_source`, without fetching.
    ///
    /// # Errors
    /// As there.
    pub fn add(&self, source: &NewSource, layers: &[NewLayer]) -> Result<AddedSource, Failure> {
        self.address_of(source)?;
        if layers.is_empty() {
            return Err(self.failure("nothing_chosen", []));
        }
        // Judged on a copy: what is found wrong half-way has changed nothing.
        let mut profile = self.profile().as_ref().clone();
        let id = free(&slug(&source.title, "source"), |id| profile.source(id).is_some());
        let spec = SourceSpec {
            id: id.clone(),
            protocol: source.protocol,
            title: Title::same(source.title.trim()),
            url: source.url.trim().to_owned(),
            events: None,
            mqtt: None,
            every: source.every,
            practice: source.practice,
            credentials: None,
            host_key: None,
        };
        let mut chosen: Vec<LayerSpec> = Vec::new();
        for layer in layers {
            let (_, mut target) = self.spec_for(&layer.target, &mut profile)?;
            if chosen.iter().any(|other| other.id == target.id) {
                return Err(self.failure("layer_twice", [("layer", target.id.as_str())]));
            }
            // Stations say themselves which layer they belong to.
            let belongs = layer.collection.as_deref().unwrap_or(target.id.as_str());
            if source.protocol == Protocol::SensorThings && belongs != target.id.as_str() {
                return Err(self.failure("live_target", [("layer", target.id.as_str()), ("wanted", belongs)]));
            }
            target.map = layer.map.clone();
            target.collection.clone_from(&layer.collection);
            target.id_field.clone_from(&layer.id_field);
            match source.protocol {
                Protocol::SensorThings | Protocol::StationFolder => target.live_source = Some(id.clone()),
                _ => target.feature_source = Some(id.clone()),
            }
            target.provider = spec.title.clone();
            chosen.push(target);
        }
        let ids: Vec<LayerId> = chosen.iter().map(|layer| layer.id.clone()).collect();
        self.change_additions(|additions| {
            additions.sources.push(spec);
            additions.layers.retain(|layer| !ids.contains(&layer.id));
            additions.layers.extend(chosen);
        })?;
        Ok(AddedSource { id, layers: ids })
    }

    pub(crate) async fn remove_source(self: &Arc<Self>, args: RemoveSourceArgs) -> Result<(), Failure> {
        self.remove(&args.source)
    }

    /// Takes out a source that was added here. Layers of the profile that it filled are filled as before from now on; the
    /// others stay with what they hold.
    ///
    /// # Errors
    /// `no_source`; `not_added` for one of the profile.
    pub fn remove(&self, id: &str) -> Result<(), Failure> {
        if self.profile().source(id).is_none() {
            return Err(self.failure("no_source", [("source", id)]));
        }
        if !self.profile().is_added(id) {
            return Err(self.failure("not_added", [("source", id)]));
        }
        let own = self.home().profile().map_err(|error| crate::failures::home(self.language(), &error))?;
        self.change_additions(|additions| {
            additions.sources.retain(|source| source.id != id);
            let added: Vec<String> = additions.sources.iter().map(|source| source.id.clone()).collect();
            for layer in &mut additions.layers {
                let own = own.layer(layer.id.as_str());
                if layer.feature_source.as_deref() == Some(id) {
                    layer.feature_source = own.and_then(|own| own.feature_source.clone());
                }
                if layer.live_source.as_deref() == Some(id) {
                    layer.live_source = own.and_then(|own| own.live_source.clone());
                }
            }
            // A layer of the profile that no added source fills any more is the profile's again.
            let filled = |layer: &LayerSpec| {
                let sources = [&layer.feature_source, &layer.live_source];
                sources.into_iter().flatten().any(|source| added.contains(source))
            };
            additions.layers.retain(|layer| own.layer(layer.id.as_str()).is_none() || filled(layer));
        })
    }

    /// Declares a layer that an import has filled.
    pub(crate) fn declare(&self, mut layer: LayerSpec) -> Result<(), Failure> {
        if let Ok(Some(stored)) = self.cache().layer(&layer.id) {
            layer.geometry = stored.schema.geometry;
        }
        self.change_additions(|additions| {
            additions.layers.retain(|other| other.id != layer.id);
            additions.layers.push(layer);
        })
    }

    /// Takes back [`Desk::declare`].
    pub(crate) fn undeclare(&self, id: &LayerId) -> Result<(), Failure> {
        self.change_additions(|additions| additions.layers.retain(|layer| layer.id != *id))
    }

    fn change_additions(&self, change: impl FnOnce(&mut Additions)) -> Result<(), Failure> {
        let failed = |error| crate::failures::home(self.language(), &error);
        let (profile, ()) = self.home().change_additions(change).map_err(failed)?;
        self.adopt_profile(profile);
        Ok(())
    }

    /// Takes up what another process added or removed.
    ///
    /// # Errors
    /// What is wrong with the file; the present profile stays in force.
    pub(crate) fn reload_profile(&self) -> Result<(), Failure> {
        let profile = self.home().whole_profile().map_err(|error| crate::failures::home(self.language(), &error))?;
        if *self.profile() != profile {
            self.adopt_profile(profile);
        }
        Ok(())
    }

    /// Puts a profile in force, and its layers on the screen.
    fn adopt_profile(&self, profile: Profile) {
        let before = self.profile();
        self.put_profile(profile);
        let now = self.profile();
        let changed = now.layers.iter().filter(|layer| before.layer(layer.id.as_str()) != Some(layer));
        let gone = before.layers.iter().filter(|layer| now.layer(layer.id.as_str()).is_none());
        for layer in changed.chain(gone) {
            // The old picture was made for the old fields; the new one may be older in version.
            self.layers().remove(&layer.id);
            if let Err(failure) = self.reload(&layer.id) {
                self.layers().put(Arc::new(Layer::unread(layer.clone(), None)));
                self.tell(&Event::Notice { failure, serious: true });
            }
        }
        self.tell(&Event::Sources { sources: self.sources_info() });
    }

    fn address_of(&self, source: &NewSource) -> Result<Url, Failure> {
        let wrong = |detail: &str| self.failure("bad_address", [("url", source.url.as_str()), ("detail", detail)]);
        if source.title.trim().is_empty() {
            return Err(self.failure("title_missing", []));
        }
        if source.every.as_secs() < 5 {
            return Err(self.failure("period_too_short", [("every", source.every.to_string().as_str())]));
        }
        let url = self.links().resolve(source.url.trim()).ok_or_else(|| wrong("it is no address"))?;
        // The role that asks a database is no secret.
        let role = matches!(url.scheme(), "postgres" | "postgresql");
        if url.password().is_some() || !role && !url.username().is_empty() {
            // Not repeated: what failed is shown and written down.
            return Err(self.failure("bad_address", [("url", "…"), ("detail", "user:password@")]));
        }
        Ok(url)
    }

    /// The layer that takes something in; a new one is put into `profile` so that the next one gets another id.
    pub(crate) fn spec_for(&self, target: &Target, profile: &mut Profile) -> Result<(bool, LayerSpec), Failure> {
        match target {
            Target::Layer { layer } => match profile.layer(layer.as_str()) {
                Some(spec) => Ok((false, spec.clone())),
                None => match self.layers().get(layer) {
                    Some(held) => Ok((false, held.spec.clone())),
                    None => Err(self.failure("no_layer", [("layer", layer.as_str())])),
                },
            },
            Target::New { title, kind, group } => {
                let title = title.trim();
                if title.is_empty() {
                    return Err(self.failure("title_missing", []));
                }
                if !profile.groups.iter().any(|known| known.id == *group) {
                    return Err(self.failure("no_group", [("group", group.as_str())]));
                }
                let layers = self.layers().all();
                let taken = |id: &str| profile.layer(id).is_some() || layers.iter().any(|l| l.spec.id.as_str() == id);
                let id = free(&slug(title, "layer"), taken);
                let id = LayerId::new(&id).map_err(|detail| self.failure("bad_layer_id", [("detail", &*detail)]))?;
                let spec = new_layer(id, title, *kind, group, profile, self.today());
                profile.layers.push(spec.clone());
                Ok((true, spec))
            }
        }
    }

    fn today(&self) -> jiff::civil::Date {
        let zone = jiff::tz::TimeZone::get(&self.profile().timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        zone.to_datetime(self.now()).date()
    }
}

fn ended(error: &FetchError) -> JobState {
    if *error == FetchError::Cancelled { JobState::Cancelled } else { JobState::Failed }
}

/// A layer of a kind: with the fields of another of that kind, else with those of the data standard.
fn new_layer(
    id: LayerId,
    title: &str,
    kind: LayerKind,
    group: &str,
    profile: &Profile,
    today: jiff::civil::Date,
) -> LayerSpec {
    let model = profile.layers.iter().find(|layer| layer.kind == kind && kind != LayerKind::Other);
    let schema = Schema::of(kind);
    let of_schema = || -> Vec<Field> {
        let fields = schema.map(|schema| schema.fields.as_slice()).unwrap_or_default();
        let field = |field: &model::SchemaField| Field {
            name: field.name.clone(),
            field_type: field.data_type.stored(),
            title: field.title.clone(),
            unit: field.unit.clone(),
            decimals: None,
            label: field.name == "name",
            required: field.required,
        };
        fields.iter().map(field).collect()
    };
    LayerSpec {
        id,
        kind,
        group: group.to_owned(),
        title: Title::same(title),
        geometry: schema.and_then(|schema| schema.geometry).unwrap_or(GeometryKind::Mixed),
        file: None,
        feature_source: None,
        collection: None,
        id_field: None,
        map: BTreeMap::new(),
        rest: None,
        changed_field: None,
        live_source: None,
        interval: model.and_then(|model| model.interval),
        freshness: Span::seconds(30 * 86_400),
        as_of: today,
        provider: Title::same(title),
        licence: String::new(),
        // What comes from another office is for the office, until somebody says otherwise.
        classification: Classification::Internal,
        sample: false,
        visible: true,
        opacity: 1.0,
        name_field: model.map_or_else(|| "name".to_owned(), |model| model.name_field.clone()),
        still: None,
        role: Role::Viewer,
        search: true,
        note: None,
        fields: model.map_or_else(of_schema, |model| model.fields.clone()),
        parameters: model.map(|model| model.parameters.clone()).unwrap_or_default(),
    }
}

/// The layer whose id, title or kind is what one of the names says.
fn alike(layers: &[Arc<Layer>], names: &[&str]) -> Option<LayerId> {
    let key = |text: &str| fold(text).replace(' ', "");
    let names: Vec<String> = names.iter().map(|name| key(name)).filter(|name| !name.is_empty()).collect();
    let is = |text: &str| names.contains(&key(text));
    let by_name = layers.iter().find(|layer| {
        let spec = &layer.spec;
        is(spec.id.as_str()) || is(&spec.title.vi) || is(&spec.title.en)
    });
    let by_kind = || layers.iter().find(|layer| is(layer.spec.kind.as_str()));
    by_name.or_else(by_kind).map(|layer| layer.spec.id.clone())
}

/// Lower-case letters, digits and `_` of a title, for an id.
fn slug(title: &str, otherwise: &str) -> String {
    let folded = fold(title);
    let mut id = String::new();
    for c in folded.chars().take(ID_CHARS) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('_') {
            id.push('_');
        }
    }
    let id = id.trim_end_matches('_');
    if id.starts_with(|c: char| c.is_ascii_lowercase()) {
        id.to_owned()
    } else {
        format!("{otherwise}_{id}").trim_end_matches('_').to_owned()
    }
}

/// The name itself, or with the first number that makes it free.
fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    (2..).map(|n| format!("{name}_{n}")).find(|name| !taken(name)).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_make_ids() {
        assert_eq!(slug("Trường học (Sở GD&ĐT)", "layer"), "truong_hoc_so_gd_dt");
        assert_eq!(slug("2026", "layer"), "layer_2026");
        assert_eq!(slug("…", "source"), "source");
        assert_eq!(free("a", |name| ["a", "a_2"].contains(&name)), "a_3");
        assert!(LayerId::new(&slug(&"đ".repeat(200), "layer")).is_ok());
    }
}
