//! What every handler sees.

use crate::cameras::Lettering;
use crate::clock::Clock;
use crate::content::{Content, Stamp};
use crate::error::PracticeError;
use crate::events::Hub;
use crate::faults::Faults;
use crate::gateway::Gateway;
use crate::network::{Network, Setting};
use crate::options::Options;
use jiff::tz::TimeZone;
use model::{LayerSpec, Profile, Timestamp};
use parking_lot::RwLock;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) struct App {
    pub profile: Profile,
    /// Beside the profile's layers; replaced when the file changes.
    contents: Vec<RwLock<Arc<Content>>>,
    folder: PathBuf,
    pub network: Network,
    pub clock: Clock,
    pub zone: TimeZone,
    pub options: Options,
    pub faults: Faults,
    pub gateway: Gateway,
    pub hub: Hub,
    pub lettering: Lettering,
    /// For links when a client sends no usable Host header.
    pub base_url: String,
}

impl App {
    /// Reads the profile and all its layers. Blocking.
    ///
    /// # Errors
    /// Files that cannot be read or are not what the profile contract says.
    pub fn read(folder: &Path, options: Options, base_url: String) -> Result<Self, PracticeError> {
        let path = folder.join("profile.toml");
        let text =
            std::fs::read_to_string(&path).map_err(|source| PracticeError::Read { path: path.clone(), source })?;
        let mut profile = Profile::from_toml(&text).map_err(|source| PracticeError::Profile { path, source })?;
        // There is nothing to practise with where there is no data.
        profile.layers.retain(|layer| layer.file.is_some());
        let contents = profile
            .layers
            .iter()
            .map(|layer| Content::read(&file_of(folder, layer)).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let start = options.start.unwrap_or_else(Timestamp::now);
        let setting = Setting { seed: options.seed, scenario: options.scenario, start };
        Ok(Self {
            network: Network::build(&profile, &contents, &setting),
            contents: contents.into_iter().map(RwLock::new).collect(),
            folder: folder.to_owned(),
            clock: Clock::new(start, options.speed),
            zone: TimeZone::get(&profile.timezone).unwrap_or(TimeZone::UTC),
            profile,
            options,
            faults: Faults::default(),
            gateway: Gateway::default(),
            hub: Hub::default(),
            lettering: Lettering::load()?,
            base_url,
        })
    }

    /// All layers with what their files hold now.
    pub fn layers(&self) -> impl Iterator<Item = (&LayerSpec, Arc<Content>)> {
        self.profile.layers.iter().zip(&self.contents).map(|(spec, content)| (spec, content.read().clone()))
    }

    pub fn layer(&self, id: &str) -> Option<(&LayerSpec, Arc<Content>)> {
        let index = self.profile.layers.iter().position(|layer| layer.id.as_str() == id)?;
        Some((&self.profile.layers[index], self.contents[index].read().clone()))
    }

    /// Reads files that were touched since; answers the layers whose content is another: id and ETag. Blocking.
    ///
    /// A file that does not read (half written, gone for a moment) keeps its old content and is tried again. Stations
    /// stay those of the start.
    pub fn refresh(&self) -> Vec<(String, String)> {
        let mut changed = Vec::new();
        for (spec, held) in self.profile.layers.iter().zip(&self.contents) {
            let path = file_of(&self.folder, spec);
            let (old_stamp, old_etag) = {
                let held = held.read();
                (held.stamp, held.etag.clone())
            };
            if Stamp::of(&path).is_ok_and(|stamp| stamp != old_stamp)
                && let Ok(content) = Content::read(&path)
            {
                if content.etag != old_etag {
                    changed.push((spec.id.to_string(), content.etag.clone()));
                }
                *held.write() = Arc::new(content);
            }
        }
        changed
    }
}

fn file_of(folder: &Path, layer: &LayerSpec) -> PathBuf {
    folder.join(layer.file.as_deref().unwrap_or_default())
}
