//! What the desk says about itself: layers, sources, the first picture.

use crate::Desk;
use crate::api::{Event, Failure, LayerInfo, LayerStates, LiveSummary, ProfileInfo, SourcesInfo, Start};
use crate::args::{MovedArgs, NoArgs, ReadyArgs};
use crate::layers::Layer;
use crate::tiles::{TileAnswer, TileFigures};
use model::{BBox, Freshness, LayerId, LayerSpec, Provenance};

/// Stands before the file's name in the source of imported content; no source's id can look like it.
pub(crate) const IMPORTED: &str = "file:";

impl Desk {
    pub(crate) async fn start(&self, _: NoArgs) -> Result<Start, Failure> {
        Ok(Start {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            home: self.home().root().to_string_lossy().into_owned(),
            profile: self.profile_info(),
            layers: self.layer_infos(),
            states: self.live_states(),
            sources: self.sources_info(),
            settings: self.settings(),
            session: self.session(),
            views: self.saved_views(),
            jobs: self.running_jobs(),
            open: self.opens_with(),
        })
    }

    pub(crate) async fn list_layers(&self, _: NoArgs) -> Result<Vec<LayerInfo>, Failure> {
        Ok(self.layer_infos())
    }

    pub(crate) async fn list_sources(&self, _: NoArgs) -> Result<SourcesInfo, Failure> {
        Ok(self.sources_info())
    }

    pub(crate) async fn moved(&self, args: MovedArgs) -> Result<(), Failure> {
        self.tile_workers().moved(args.zoom, args.bbox);
        Ok(())
    }

    pub(crate) async fn note_ready(&self, args: ReadyArgs) -> Result<(), Failure> {
        self.set_ready(args.live);
        Ok(())
    }

    fn profile_info(&self) -> ProfileInfo {
        let profile = self.profile();
        ProfileInfo {
            id: profile.id.clone(),
            title: profile.title.clone(),
            timezone: profile.timezone.clone(),
            bbox: profile.bbox.into(),
            center: profile.center,
            groups: profile.groups.clone(),
            crs: profile.crs.clone(),
            default_layer: profile.default_layer.clone(),
        }
    }

    /// All layers as the person at the desk may see them.
    pub fn layer_infos(&self) -> Vec<LayerInfo> {
        self.layers().all().iter().map(|layer| self.layer_info(layer)).collect()
    }

    pub(crate) fn layer_info(&self, layer: &Layer) -> LayerInfo {
        let spec = &layer.spec;
        let stored = layer.stored.as_ref();
        let allowed = layer.allowed(self.session().role);
        let live = self.live_summary(layer).filter(|_| allowed);
        let now = self.now();
        let freshness = match &live {
            Some(live) => freshness_of_counts(live),
            None if layer.is_remote() => self.remote_freshness(spec, now),
            None => layer.freshness(now),
        };
        let about = self.about_remote(&spec.id).filter(|_| layer.is_remote());
        let answered = about.as_ref().map(|about| self.remote_provenance(spec, about.answered_at));
        let provenance = stored.map(|stored| &stored.provenance).or(answered.as_ref()).map(shown);
        LayerInfo {
            id: spec.id.clone(),
            kind: spec.kind,
            group: spec.group.clone(),
            title: spec.title.clone(),
            geometry: spec.geometry,
            features: match about.as_ref().filter(|_| allowed) {
                Some(about) => about.features.unwrap_or(0),
                None => stored.filter(|_| allowed).map_or(0, |stored| stored.features),
            },
            bbox: match about.as_ref().filter(|_| allowed) {
                Some(about) => about.abilities.extent,
                None => stored.filter(|_| allowed).and_then(|stored| stored.bbox),
            },
            version: if layer.is_remote() { self.remote_version(&spec.id) } else { layer.version() },
            tiled: layer.tiled(),
            as_of: live.as_ref().and_then(|live| live.as_of).or(provenance.as_ref().map(|p| p.as_of)),
            freshness,
            sample: provenance.as_ref().is_some_and(|p| p.sample),
            practice: provenance.as_ref().is_some_and(|p| p.practice)
                || (live.is_some() && self.live_is_practice(layer)),
            source: provenance.as_ref().map_or_else(String::new, |p| p.source.clone()),
            classification: provenance.as_ref().map_or(spec.classification, |p| p.classification),
            provenance,
            name_field: spec.name_field.clone(),
            fields: spec.fields.clone(),
            parameters: spec.parameters.clone(),
            // What the profile says of its own content does not hold for imported content.
            note: spec.note.clone().filter(|_| stored.is_none_or(|stored| !self.is_imported(stored))),
            visible: spec.visible,
            opacity: spec.opacity,
            live,
            remote: self.remote_info(spec),
            role: spec.role,
            allowed,
        }
    }

    /// True when a person's import, not the profile or a source, filled the layer.
    pub(crate) fn is_imported(&self, stored: &store::StoredLayer) -> bool {
        stored.provenance.source.starts_with(IMPORTED)
    }

    pub(crate) fn live_summary(&self, layer: &Layer) -> Option<LiveSummary> {
        let link = self.link_of(layer);
        let mut live = self.live().lock();
        let overlay = live.get_mut(&layer.spec.id)?;
        let (counts, as_of) = overlay.counts(link, self.now());
        Some(LiveSummary {
            fresh: counts.fresh,
            stale: counts.stale,
            offline: counts.offline,
            error: counts.error,
            never: counts.never,
            as_of,
            interval_secs: u32::try_from(overlay.interval().as_secs()).unwrap_or(u32::MAX),
            stale_after_secs: u32::try_from(overlay.stale_after().as_secs()).unwrap_or(u32::MAX),
        })
    }

    /// The live states of all layers the person at the desk may see.
    pub fn live_states(&self) -> Vec<LayerStates> {
        let role = self.session().role;
        let all = self.layers().all();
        let states = |layer: &std::sync::Arc<Layer>| {
            let link = self.link_of(layer);
            let mut live = self.live().lock();
            let overlay = live.get_mut(&layer.spec.id)?;
            let (version, states) = (overlay.version(), overlay.states(link, self.now()));
            Some(LayerStates { layer: layer.spec.id.clone(), version, states })
        };
        all.iter().filter(|layer| layer.allowed(role)).filter_map(states).collect()
    }

    /// The health of the sources that have an address; none at all means that this desk works from its cache alone.
    pub fn sources_info(&self) -> SourcesInfo {
        let newest = self.layers().all().iter().filter_map(|layer| self.live_summary(layer)?.as_of).max();
        let now = self.now();
        let mut info = self.links().info(&self.profile(), newest, now);
        info.sources.iter_mut().for_each(|health| self.complete(health, now));
        info
    }

    /// A vector tile, made on a worker; `reply` is called once. Always of the layer's present version; the
    /// one in the address only tells old answers from new ones.
    ///
    /// # Errors
    /// `no_layer`, `layer_role_needed`.
    pub fn tile(
        &self,
        id: &LayerId,
        z: u8,
        x: u32,
        y: u32,
        reply: impl FnOnce(TileAnswer) + Send + 'static,
    ) -> Result<(), Failure> {
        let layer = self.layer(id)?;
        self.tile_workers().request(&layer.picture, z, x, y, reply);
        Ok(())
    }

    /// Whether the person at the desk may see a layer.
    ///
    /// # Errors
    /// `no_layer`, `layer_role_needed`.
    pub fn may_see(&self, id: &LayerId) -> Result<(), Failure> {
        self.layer(id).map(|_| ())
    }

    /// What a listener that lagged behind must hear, as [`Desk::listen`] sends it: layers, states, sources, settings,
    /// session, views and running jobs. Layers that went meanwhile are the window's to drop with the next `start`.
    pub fn tell_anew(&self) -> Vec<Vec<u8>> {
        let layers = self.layer_infos().into_iter().map(|layer| Event::Layer { layer: Box::new(layer) });
        let rest = [
            Event::Sources { sources: self.sources_info() },
            Event::Settings { settings: Box::new(self.settings()) },
            Event::Session { session: self.session() },
            Event::Views { views: self.saved_views() },
        ];
        let jobs = self.running_jobs().into_iter().map(|job| Event::Job { job });
        let events = layers.chain(rest).chain(jobs);
        let events = events.filter_map(|event| {
            let mut message = vec![0];
            message.extend(serde_json::to_vec(&event).ok()?);
            Some(message)
        });
        let states = self.live_states().into_iter().map(|states| {
            let mut message = vec![1];
            message.extend(live::encode_batch(&states.layer, states.version, &states.states));
            message
        });
        events.chain(states).collect()
    }

    /// A vector tile on the caller's thread.
    ///
    /// # Errors
    /// `no_layer`, `layer_role_needed`.
    pub fn tile_now(&self, id: &LayerId, z: u8, x: u32, y: u32) -> Result<TileAnswer, Failure> {
        let layer = self.layer(id)?;
        Ok(self.tile_workers().tile(&layer.picture, z, x, y))
    }

    pub fn tile_figures(&self) -> TileFigures {
        self.tile_workers().figures()
    }

    /// A point layer's features as GeoJSON, for a map source.
    ///
    /// # Errors
    /// `no_layer`, `layer_role_needed`.
    pub fn points(&self, id: &LayerId) -> Result<Vec<u8>, Failure> {
        Ok(self.layer(id)?.picture.points_geojson())
    }

    /// A polygon layer's label points as GeoJSON.
    ///
    /// # Errors
    /// `no_layer`, `layer_role_needed`.
    pub fn labels(&self, id: &LayerId) -> Result<Vec<u8>, Failure> {
        Ok(self.layer(id)?.picture.labels_geojson())
    }

    /// The newest still of a camera, fetched now.
    ///
    /// # Errors
    /// `no_feature`, `no_still`, or what the network said.
    pub async fn still(&self, layer_id: &LayerId, id: &str) -> Result<Vec<u8>, Failure> {
        let (layer, _) = self.find(layer_id, id)?;
        // An id is data from anywhere: as one escaped segment it cannot reach for another path of the server. No
        // escape helps against dots, which addresses resolve even when they are written %2E.
        let segment = (!matches!(id, "." | "..")).then(|| {
            id.bytes().fold(String::new(), |mut out, byte| {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
                    _ => out.push_str(&format!("%{byte:02X}")),
                }
                out
            })
        });
        let address = layer.spec.still.as_ref().zip(segment).map(|(still, segment)| still.replace("{id}", &segment));
        let url = address.and_then(|address| self.links().resolve(&address));
        let Some(url) = url else {
            return Err(self.failure("no_still", [("layer", layer_id.as_str()), ("id", id)]));
        };
        let still = match self.client_of_stills(&layer.spec).await {
            Ok(client) => sources::still(&client, &url).await,
            Err(error) => Err(error),
        };
        still.map_err(|error| crate::failures::fetch(self.language(), url.as_str(), &error))
    }

    /// Stills that lie on the server of the layer's source are fetched with its credentials.
    async fn client_of_stills(&self, spec: &LayerSpec) -> Result<sources::Client, sources::FetchError> {
        let profile = self.profile();
        let source = spec.live_source.as_ref().or(spec.feature_source.as_ref()).and_then(|id| profile.source(id));
        match source.and_then(|source| Some((source, self.links().url(&source.id)?))) {
            Some((source, root)) => self.client_for(source, &root).await,
            None => Ok(self.client.clone()),
        }
    }

    /// The box of the province.
    pub fn bbox(&self) -> BBox {
        self.profile().bbox.into()
    }
}

/// Provenance as people see it: nobody is named as the owner of data that was made up in their place.
pub(crate) fn shown(provenance: &Provenance) -> Provenance {
    let mut shown = provenance.clone();
    if let Some(file) = provenance.source.strip_prefix(IMPORTED) {
        shown.source = file.to_owned();
    }
    if shown.sample || shown.practice {
        let in_place = crate::words::title("provider.in_place_of");
        shown.provider.vi = in_place.vi.replace("{provider}", &provenance.provider.vi);
        shown.provider.en = in_place.en.replace("{provider}", &provenance.provider.en);
    }
    shown
}

/// A live layer is as fresh as most of it: offline or never when all are, stale when more than half are not fresh.
fn freshness_of_counts(live: &LiveSummary) -> Freshness {
    let total = live.fresh + live.stale + live.offline + live.error + live.never;
    if total == 0 {
        Freshness::Never
    } else if live.offline > 0 && live.fresh == 0 {
        Freshness::Offline
    } else if live.fresh * 2 >= total {
        Freshness::Fresh
    } else if live.fresh + live.stale > 0 {
        Freshness::Stale
    } else if live.error > 0 {
        Freshness::Error
    } else {
        Freshness::Never
    }
}
