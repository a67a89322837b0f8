//! Maps of others under the layers: chosen, added, removed.
//!
//! What a desk adds stands in `HOME/sources.toml`. What a source once said of its tiles is remembered in
//! `HOME/basemaps.json`, so that a map can be shown and chosen while its source does not answer.

use crate::Desk;
use crate::api::{
    BasemapInfo, BasemapLayer, BasemapTiles, Event, Failure, JobState, KeptTiles, PreloadedArea, RecognisedBasemap,
    Settings,
};
use crate::args::{AddBasemapArgs, BasemapArgs, ChooseBasemapArgs, NoArgs, RecogniseArgs};
use crate::sync::Held;
use crate::tile_sets::{Owner, SetTile, TileSet};
use crate::tiles::tile_range;
use model::{BasemapSpec, Credit, TileProtocol, Title};
use serde::{Deserialize, Serialize};
use sources::FetchError;
use sources::tiles::{DEEPEST_ZOOM, Description, TileAnswer, TileSource, TileSpec};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::TilePlace;

/// A base map is tried at this zoom: a district fills the picture.
const TRIED_ZOOM: u8 = 11;

/// What is remembered of a base map, by the name of its set of tiles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    tiles: BasemapTiles,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    attribution: Vec<Credit>,
    #[serde(default)]
    licence: Option<String>,
    #[serde(default)]
    pub(crate) areas: Vec<PreloadedArea>,
}

pub(crate) type RememberedBasemaps = BTreeMap<String, Remembered>;

impl Desk {
    pub(crate) async fn list_basemaps(self: &Arc<Self>, _: NoArgs) -> Result<Vec<BasemapInfo>, Failure> {
        Ok(self.basemap_infos())
    }

    /// All base maps of the profile and of this desk, in their order.
    pub fn basemap_infos(&self) -> Vec<BasemapInfo> {
        let profile = self.profile();
        let chosen = self.settings().basemap;
        let remembered = self.home().remembered_basemaps();
        let figures = self.tile_sets().cache().and_then(|cache| cache.figures().ok()).unwrap_or_default();
        let info = |spec: &BasemapSpec| {
            let set = self.basemap_set(spec);
            let key = set.as_ref().map(TileSet::key).unwrap_or_default();
            let known = remembered.get(&key);
            let kept = figures.iter().find(|figures| figures.set == key);
            let own = spec.attribution.as_deref().map(|text| vec![Credit { text: text.to_owned(), url: None }]);
            BasemapInfo {
                id: spec.id.clone(),
                title: spec.title.clone(),
                protocol: spec.protocol,
                url: set.as_ref().map_or_else(|| spec.url.clone(), |set| set.url.clone()),
                layer: spec.layer.clone(),
                style: spec.style.clone(),
                sample: spec.sample,
                practice: spec.practice,
                added: profile.added_basemaps.contains(&spec.id),
                chosen: chosen.as_deref() == Some(spec.id.as_str()),
                tiles: known.map(|known| narrowed(spec, &known.tiles)),
                attribution: own.or_else(|| known.map(|known| known.attribution.clone())).unwrap_or_default(),
                licence: spec.licence.clone().or_else(|| known.and_then(|known| known.licence.clone())),
                state: set.as_ref().map(|set| self.tile_set_state(set)).unwrap_or_default(),
                kept: kept.map_or_else(KeptTiles::default, |figures| KeptTiles {
                    tiles: figures.tiles,
                    preloaded: figures.kept,
                    bytes: figures.bytes,
                    oldest: figures.oldest,
                    newest: figures.newest,
                }),
                areas: known.map(|known| known.areas.clone()).unwrap_or_default(),
            }
        };
        profile.basemaps.iter().map(info).collect()
    }

    /// A tile of a base map for the map. `Missing` for one that nobody knows.
    pub async fn basemap_tile(self: &Arc<Self>, id: &str, z: u8, x: u32, y: u32) -> SetTile {
        match self.basemap_spec(id).ok().and_then(|spec| self.basemap_set(&spec)) {
            Some(set) => self.set_tile(&set, TilePlace { z, x, y }).await,
            None => SetTile::Missing,
        }
    }

    /// Puts a base map under the layers, or the drawn one (`None`). One whose source does not answer can be chosen when
    /// it was asked before.
    ///
    /// # Errors
    /// `no_basemap`, `no_practice`; what opening its source gives, when nothing of it is remembered.
    pub async fn choose_basemap(self: &Arc<Self>, args: ChooseBasemapArgs) -> Result<Settings, Failure> {
        if let Some(id) = &args.basemap {
            let spec = self.basemap_spec(id)?;
            let set = self.set_of(&spec)?;
            let known = self.home().remembered_basemaps().contains_key(&set.key());
            if known {
                // What has changed at the source is taken up when it answers; nobody waits for it.
                let (desk, set) = (self.clone(), set.clone());
                tokio::spawn(async move { desk.remember_basemap(&set).await });
            } else {
                self.remember_basemap(&set).await?;
            }
        }
        let mut settings = self.settings();
        settings.basemap = args.basemap;
        self.home().save_settings(&settings).map_err(|error| crate::failures::home(self.language(), &error))?;
        self.put_settings(settings.clone());
        self.tell(&Event::Settings { settings: Box::new(settings.clone()) });
        self.tell_basemaps();
        Ok(settings)
    }

    pub(crate) async fn recognise_basemap(self: &Arc<Self>, args: RecogniseArgs) -> Result<RecognisedBasemap, Failure> {
        let job = self.begin_job("recognise");
        let found = tokio::select! {
            found = self.recognised_basemap(&args) => found,
            () = job.cancelled() => Err(FetchError::Cancelled),
        };
        job.finish(if found.is_ok() { JobState::Done } else { JobState::Failed });
        let found = found.map_err(|error| match &error {
            // An address that is none may hold a password: it is repeated only as far as it was judged fit.
            FetchError::BadAddress { url, .. } => crate::failures::fetch(self.language(), url, &error),
            error => crate::failures::fetch(self.language(), args.url.trim(), error),
        })?;
        let layer = |layer: sources::tiles::TileLayer| BasemapLayer {
            name: layer.name,
            title: layer.title,
            styles: layer.styles,
        };
        Ok(RecognisedBasemap {
            protocol: found.protocol,
            url: found.url,
            title: found.title,
            layers: found.layers.into_iter().map(layer).collect(),
            chosen: found.chosen,
        })
    }

    async fn recognised_basemap(&self, args: &RecogniseArgs) -> Result<sources::tiles::Recognised, FetchError> {
        let held = self.held_for(args.credentials.as_ref()).await?;
        let found = sources::tiles::recognise(&self.client, &args.url, held.as_ref().map(Held::login)).await;
        found.map_err(|error| Held::hide(held.as_ref(), error))
    }

    /// Adds a base map after one tile of the province came. Its address is recognised where no protocol is given.
    ///
    /// # Errors
    /// `no_collection` for a service with several layers of which none is named; `basemap_elsewhere` for one that does not
    /// cover the province; whatever its source gives in place of a tile. Nothing is changed then.
    pub async fn add_basemap(self: &Arc<Self>, args: AddBasemapArgs) -> Result<BasemapInfo, Failure> {
        let (protocol, url, found_title) = match args.protocol {
            Some(protocol) => (protocol, args.url.trim().to_owned(), None),
            None => {
                let found = self.recognise_basemap(RecogniseArgs { url: args.url.clone(), credentials: None }).await?;
                (found.protocol, found.url, found.title)
            }
        };
        let failed = |error: &FetchError| crate::failures::fetch(self.language(), &url, error);
        let spec =
            TileSpec { protocol, url: &url, layer: args.layer.as_deref(), style: args.style.as_deref(), login: None };
        let source = TileSource::open(&self.client, &spec).await.map_err(|error| failed(&error))?;
        let described = source.description().clone();
        if described.bounds.is_some_and(|bounds| !bounds.intersects(&self.bbox())) {
            return Err(self.failure("basemap_elsewhere", [("url", url.as_str())]));
        }
        let [lon, lat] = self.profile().center;
        let zoom = TRIED_ZOOM.clamp(described.min_zoom, described.max_zoom);
        let [x, y, ..] = tile_range(zoom, [lon, lat, lon, lat].into());
        let tried = source.tile(zoom, x, y, None).await.map_err(|error| failed(&error))?;
        let description = match tried {
            TileAnswer::Tile(tile) => Description { form: tile.form, ..described },
            _ => described,
        };
        let title = args.title.as_deref().map(str::trim).filter(|title| !title.is_empty()).map(str::to_owned);
        let title = title.or(description.title.clone()).or(found_title).unwrap_or_else(|| short(&url));
        let profile = self.profile();
        let id = crate::adding::free(&crate::adding::slug(&title, "basemap"), |id| {
            profile.basemap(id).is_some() || id == model::DRAWN_BASEMAP
        });
        let added = BasemapSpec {
            id: id.clone(),
            title: Title::same(&title),
            protocol,
            url,
            layer: args.layer,
            style: args.style,
            attribution: args.attribution.filter(|text| !text.trim().is_empty()),
            licence: None,
            min_zoom: None,
            max_zoom: None,
            sample: false,
            practice: false,
            credentials: None,
        };
        if let Some((field, problem)) = added.fault() {
            let detail = format!("{field}: {problem}");
            return Err(self.failure("bad_address", [("url", added.url.as_str()), ("detail", detail.as_str())]));
        }
        if let Some(set) = self.basemap_set(&added) {
            self.keep_description(&set, &description)?;
        }
        self.change_additions(|additions| additions.basemaps.push(added))?;
        self.tell_basemaps();
        let infos = self.basemap_infos();
        infos
            .into_iter()
            .find(|info| info.id == id)
            .ok_or_else(|| self.failure("no_basemap", [("basemap", id.as_str())]))
    }

    /// Takes out a base map that was added here, with its tiles; where it was chosen, the drawn one shows again.
    ///
    /// # Errors
    /// `no_basemap`; `basemap_of_profile` for one of the profile.
    pub async fn remove_basemap(self: &Arc<Self>, args: BasemapArgs) -> Result<(), Failure> {
        let id = args.basemap.as_str();
        let spec = self.basemap_spec(id)?;
        if !self.profile().added_basemaps.contains(&spec.id) {
            return Err(self.failure("basemap_of_profile", [("basemap", id)]));
        }
        self.change_additions(|additions| additions.basemaps.retain(|basemap| basemap.id != id))?;
        if let Some(set) = self.basemap_set(&spec) {
            self.drop_tiles(&set).await?;
            self.home()
                .change_basemaps(|remembered| {
                    remembered.remove(&set.key());
                })
                .map_err(|error| crate::failures::home(self.language(), &error))?;
            self.tile_sets().forget(&set);
        }
        if self.settings().basemap.as_deref() == Some(id) {
            self.choose_basemap(ChooseBasemapArgs { basemap: None }).await?;
        }
        self.tell_basemaps();
        Ok(())
    }

    /// Drops the tiles of a base map that lie on this machine, those fetched beforehand too. Returns how many.
    ///
    /// # Errors
    /// `no_basemap`; what writing gives.
    pub async fn clear_basemap(self: &Arc<Self>, args: BasemapArgs) -> Result<u64, Failure> {
        let set = self.set_of(&self.basemap_spec(&args.basemap)?)?;
        let dropped = self.drop_tiles(&set).await?;
        self.home()
            .change_basemaps(|remembered| {
                if let Some(known) = remembered.get_mut(&set.key()) {
                    known.areas.clear();
                }
            })
            .map_err(|error| crate::failures::home(self.language(), &error))?;
        self.tell_basemaps();
        Ok(dropped)
    }

    pub(crate) async fn clear_basemap_call(self: &Arc<Self>, args: BasemapArgs) -> Result<(), Failure> {
        self.clear_basemap(args).await.map(|_| ())
    }

    async fn drop_tiles(&self, set: &TileSet) -> Result<u64, Failure> {
        let Some(cache) = self.tile_sets().cache().cloned() else { return Ok(0) };
        let key = set.key();
        let dropped = tokio::task::spawn_blocking(move || cache.clear(&key)).await;
        dropped.map_err(|_| self.failure("interrupted", []))?.map_err(|error| self.store_failure(&error))
    }

    /// A base map's set and what is known of its tiles; asked of the source when it never was.
    pub(crate) async fn basemap_tiles(self: &Arc<Self>, id: &str) -> Result<(TileSet, BasemapTiles), Failure> {
        let spec = self.basemap_spec(id)?;
        let set = self.set_of(&spec)?;
        let known = self.home().remembered_basemaps().remove(&set.key());
        let known = match known {
            Some(known) => known,
            None => self.remember_basemap(&set).await?,
        };
        Ok((set, narrowed(&spec, &known.tiles)))
    }

    /// Asks a base map's source what it says of itself, and remembers it.
    async fn remember_basemap(self: &Arc<Self>, set: &TileSet) -> Result<Remembered, Failure> {
        let description = self.tile_description(set).await;
        let description = description.map_err(|error| crate::failures::fetch(self.language(), &set.url, &error))?;
        self.keep_description(set, &description)
    }

    fn keep_description(&self, set: &TileSet, description: &Description) -> Result<Remembered, Failure> {
        let tiles = BasemapTiles {
            vector: description.form.is_vector(),
            min_zoom: description.min_zoom,
            max_zoom: description.max_zoom.min(DEEPEST_ZOOM),
            bounds: description.bounds,
            tile_size: description.tile_size,
            vector_layers: description.vector_layers.clone(),
            local: description.local,
        };
        let new = |areas| Remembered {
            tiles: tiles.clone(),
            title: description.title.clone(),
            attribution: description.attribution.clone(),
            licence: description.licence.clone(),
            areas,
        };
        let changed = self.home().change_basemaps(|remembered| {
            let areas = remembered.remove(&set.key()).map(|old| old.areas).unwrap_or_default();
            remembered.insert(set.key(), new(areas.clone()));
            new(areas)
        });
        changed.map_err(|error| crate::failures::home(self.language(), &error))
    }

    pub(crate) fn tell_basemaps(&self) {
        self.tell(&Event::Basemaps { basemaps: self.basemap_infos() });
    }

    fn basemap_spec(&self, id: &str) -> Result<BasemapSpec, Failure> {
        self.profile().basemap(id).cloned().ok_or_else(|| self.failure("no_basemap", [("basemap", id)]))
    }

    fn set_of(&self, spec: &BasemapSpec) -> Result<TileSet, Failure> {
        self.basemap_set(spec).ok_or_else(|| self.failure("no_practice", [("source", spec.id.as_str())]))
    }

    /// `None` for one of the practice data centre while there is none.
    fn basemap_set(&self, spec: &BasemapSpec) -> Option<TileSet> {
        Some(TileSet {
            owner: Owner::Basemap,
            id: spec.id.clone(),
            protocol: spec.protocol,
            url: self.links().resolve_text(&spec.url)?,
            layer: spec.layer.clone(),
            style: spec.style.clone(),
            credentials: spec.credentials.clone(),
        })
    }
}

/// What the profile narrows of what the source says.
fn narrowed(spec: &BasemapSpec, tiles: &BasemapTiles) -> BasemapTiles {
    let max_zoom = tiles.max_zoom.min(spec.max_zoom.unwrap_or(u8::MAX));
    let min_zoom = tiles.min_zoom.max(spec.min_zoom.unwrap_or(0)).min(max_zoom);
    BasemapTiles { min_zoom, max_zoom, ..tiles.clone() }
}

/// A name for a map that has none: its server, or its file.
fn short(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#', '{']).next().unwrap_or(rest).trim_matches('/');
    match url.starts_with("file:") {
        true => rest.rsplit('/').next().unwrap_or(rest).to_owned(),
        false => rest.split('/').next().unwrap_or(rest).to_owned(),
    }
}

/// The protocol's word, for the command line.
pub fn tile_protocol(word: &str) -> Option<TileProtocol> {
    use TileProtocol::{MbTiles, PmTiles, TileJson, Wms, Wmts, Xyz};
    [Wms, Wmts, Xyz, TileJson, PmTiles, MbTiles].into_iter().find(|protocol| protocol.as_str() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_without_a_name_is_called_by_its_server() {
        assert_eq!(short("https://tile.example/{z}/{x}/{y}.png"), "tile.example");
        assert_eq!(short("file:///srv/maps/nen.pmtiles"), "nen.pmtiles");
        assert_eq!(short("http://h:8080/cgi-bin/mapserv?map=x"), "h:8080");
    }
}
