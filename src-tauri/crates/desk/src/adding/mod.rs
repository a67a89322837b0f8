//! Systems that a person adds at this desk: recognised by their address, tried, added, removed again.
//!
//! What is added stands in `HOME/sources.toml`, in the profile's words; the profile of the province stays as it is.
//! The secret that a system wants to see is not among it: it goes to the keeper (`keeping`), under a name.

mod keeping;
mod looking;
mod naming;
mod stations;

use crate::Desk;
use crate::api::{AddedSource, Event, Failure, NewLayer, NewSource, Target};
use crate::args::{AddSourceArgs, RemoveSourceArgs, SyncArgs};
use crate::layers::Layer;
use model::{Additions, LayerId, LayerSpec, Profile, Protocol, SourceSpec, Title};
use naming::new_layer;
pub(crate) use naming::{free, slug};
use sources::Url;
use std::sync::Arc;

impl Desk {
    /// Adds a source and the layers that it fills; it is asked at once.
    ///
    /// # Errors
    /// `bad_address`, `bad_credentials`, `title_missing`, `period_too_short`, `no_layer`, `no_group`, `nothing_chosen`, `layer_twice`,
    /// `no_parameters`, `not_writable`; nothing is changed then.
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
        if layers.is_empty() {
            return Err(self.failure("nothing_chosen", []));
        }
        // Judged on a copy: what is found wrong half-way has changed nothing.
        let mut profile = self.profile().as_ref().clone();
        let id = free(&slug(&source.title, "source"), |id| profile.source(id).is_some());
        let spec = SourceSpec { id: id.clone(), ..self.spec_of(source)? };
        let mut chosen: Vec<LayerSpec> = Vec::new();
        for layer in layers {
            let (_, mut target) = self.spec_for(&layer.target, &mut profile)?;
            if chosen.iter().any(|other| other.id == target.id) {
                return Err(self.failure("layer_twice", [("layer", target.id.as_str())]));
            }
            target.map = layer.map.clone();
            target.collection.clone_from(&layer.collection);
            target.id_field.clone_from(&layer.id_field);
            self.settle_stations(source, layer, &mut target)?;
            match source.protocol {
                Protocol::SensorThings if target.sensorthings.is_some() => {
                    target.live_source = Some(id.clone());
                    target.feature_source = Some(id.clone());
                }
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
        let desk = self.clone();
        // A keyring may have to be waited for.
        let removed = tokio::task::spawn_blocking(move || desk.remove(&args.source, args.forget_secret)).await;
        removed.map_err(|_| self.failure("interrupted", []))?
    }

    /// Takes out a source that was added here. Layers of the profile that it filled are filled as before from now on; the
    /// others stay with what they hold. `forget_secret`: the secret that it alone names is forgotten, and first of all, so
    /// that a keyring that cannot be opened leaves everything as it is. May wait for the keyring.
    ///
    /// # Errors
    /// `no_source`; `not_added` for one of the profile; `no_keyring`, `secrets_file`, `secrets_exposed`.
    pub fn remove(&self, id: &str, forget_secret: bool) -> Result<(), Failure> {
        let profile = self.profile();
        let Some(source) = profile.source(id) else {
            return Err(self.failure("no_source", [("source", id)]));
        };
        if !profile.is_added(id) {
            return Err(self.failure("not_added", [("source", id)]));
        }
        let own = self.home().profile().map_err(|error| crate::failures::home(self.language(), &error))?;
        if let Some(credentials) = source.credentials.as_ref().filter(|_| forget_secret) {
            self.forget_unless_named(credentials.secret(), Some(id))?;
        }
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
                    layer.sensorthings = own.and_then(|own| own.sensorthings.clone());
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

    pub(crate) fn change_additions(&self, change: impl FnOnce(&mut Additions)) -> Result<(), Failure> {
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
        for layer in gone.clone().filter(|layer| layer.remote.is_some()) {
            // What its service answered goes with it; at worst it lies there unread.
            let _ = self.history().forget_answers(&layer.id);
        }
        for layer in changed.chain(gone) {
            // The old picture was made for the old fields; the new one may be older in version.
            self.layers().remove(&layer.id);
            if let Err(failure) = self.reload(&layer.id) {
                self.layers().put(Arc::new(Layer::unread(layer.clone(), None)));
                self.tell(&Event::Notice { failure, serious: true });
            }
        }
        self.tell(&Event::Sources { sources: self.sources_info() });
        if before.basemaps != now.basemaps {
            self.tell_basemaps();
        }
    }

    /// A new source as the profile would have it, without an id.
    ///
    /// # Errors
    /// Those of [`Desk::address_of`]; `bad_credentials` names the field at fault and repeats no secret.
    fn spec_of(&self, source: &NewSource) -> Result<SourceSpec, Failure> {
        self.address_of(source)?;
        let spec = SourceSpec {
            id: String::new(),
            protocol: source.protocol,
            title: Title::same(source.title.trim()),
            url: source.url.trim().to_owned(),
            events: None,
            mqtt: None,
            every: source.every,
            practice: source.practice,
            credentials: source.credentials.clone(),
            host_key: None,
        };
        self.refuse_fault(&spec)?;
        Ok(spec)
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
        let in_query = role && url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("password"));
        if url.password().is_some() || in_query || !role && !url.username().is_empty() {
            // Not repeated: what failed is shown and written down.
            return Err(self.failure("bad_address", [("url", "…"), ("detail", "user:password@")]));
        }
        Ok(url)
    }

    /// The layer that takes something in; a new one is put into `profile` so that the next one gets another id.
    pub(crate) fn spec_for(&self, target: &Target, profile: &mut Profile) -> Result<(bool, LayerSpec), Failure> {
        match target {
            Target::Layer { layer } => match profile.layer(layer.as_str()) {
                Some(spec) => self.held_here(spec).map(|()| (false, spec.clone())),
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
