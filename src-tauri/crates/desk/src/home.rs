//! The home folder: where the cache, the history, the settings and the profile of this desk live.

use crate::api::{SavedView, Settings};
use crate::basemaps::RememberedBasemaps;
use model::{Additions, Profile, ProfileError, Role, Session};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ADDITIONS_HEAD: &str =
    "# Sources added at this desk, in the words of maps/schema/profile.md. Secrets do not belong here.\n";

include!(concat!(env!("OUT_DIR"), "/built_in_profile.rs"));

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("{path}: {reason}")]
    NotWritable { path: PathBuf, reason: String },
    #[error("{path}: {reason}")]
    NotReadable { path: PathBuf, reason: String },
    #[error("{path}: {error}")]
    Profile { path: PathBuf, error: ProfileError },
    #[error("the home has no profile yet: {path}")]
    Missing { path: PathBuf },
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

/// The files of a home. Making one does not touch the disk.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
    /// Held while `people.json` is read, changed and written: of two changes at once none is lost.
    changing_people: Arc<Mutex<()>>,
    /// The same for `sources.toml`.
    changing_additions: Arc<Mutex<()>>,
    /// The same for `basemaps.json`.
    changing_basemaps: Arc<Mutex<()>>,
}

/// The people side of a home: PIN hashes by role (Argon2id) and who sat here last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct People {
    pub pins: BTreeMap<String, String>,
    pub last: Option<Session>,
}

impl Home {
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            changing_people: Arc::default(),
            changing_additions: Arc::default(),
            changing_basemaps: Arc::default(),
        }
    }

    /// The platform's data directory for this program.
    pub fn default_root() -> Option<PathBuf> {
        directories::ProjectDirs::from("vn", "toancanh", "toancanh").map(|dirs| dirs.data_dir().to_owned())
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn cache(&self) -> PathBuf {
        self.root.join("province.gpkg")
    }

    pub fn history(&self) -> PathBuf {
        self.root.join("history.sqlite")
    }

    /// Tiles of maps that others make.
    pub fn tiles(&self) -> PathBuf {
        self.root.join("tiles.sqlite")
    }

    pub fn profile_dir(&self) -> PathBuf {
        self.root.join("profile")
    }

    pub fn rejected_dir(&self) -> PathBuf {
        self.root.join("rejected")
    }

    /// Where transfers that were cut wait for the rest.
    pub fn staging_dir(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// The sources that the schedule leaves out.
    pub fn paused_file(&self) -> PathBuf {
        self.root.join("paused.json")
    }

    pub(crate) fn paused(&self) -> BTreeSet<String> {
        self.read_json("paused.json")
    }

    /// # Errors
    /// As [`Home::save_settings`].
    pub(crate) fn save_paused(&self, ids: &BTreeSet<String>) -> Result<(), HomeError> {
        self.write_json("paused.json", ids)
    }

    /// Station files whose stations are not known yet.
    pub fn waiting_dir(&self) -> PathBuf {
        self.root.join("waiting")
    }

    /// True when a profile was laid down here.
    pub fn exists(&self) -> bool {
        self.profile_dir().join("profile.toml").is_file()
    }

    /// Makes the folder and lays down the profile: `from`, or the built-in one. A home that exists is left as it is.
    ///
    /// The profile is copied beside its place and renamed, so that a half-copied one is never taken for whole.
    ///
    /// # Errors
    /// When the folder cannot be written or `from` holds no valid profile.
    pub fn make(&self, from: Option<&Path>) -> Result<bool, HomeError> {
        if self.exists() {
            return Ok(false);
        }
        if let Some(from) = from {
            read_profile(from)?;
        }
        let unwritable = |path: &Path, error: &std::io::Error| HomeError::NotWritable {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let beside = self.root.join("profile.new");
        if beside.exists() {
            std::fs::remove_dir_all(&beside).map_err(|error| unwritable(&beside, &error))?;
        }
        std::fs::create_dir_all(beside.join("data")).map_err(|error| unwritable(&self.root, &error))?;
        match from {
            None => {
                for (name, bytes) in BUILT_IN_PROFILE {
                    let path = beside.join(name);
                    std::fs::write(&path, bytes).map_err(|error| unwritable(&path, &error))?;
                }
            }
            Some(from) => {
                let profile = read_profile(from)?;
                let files = profile.layers.iter().filter_map(|layer| layer.file.clone());
                for name in std::iter::once("profile.toml".to_owned()).chain(files) {
                    let to = beside.join(&name);
                    if let Some(parent) = to.parent() {
                        std::fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
                    }
                    std::fs::copy(from.join(&name), &to).map_err(|error| HomeError::NotReadable {
                        path: from.join(&name),
                        reason: error.to_string(),
                    })?;
                }
            }
        }
        std::fs::rename(&beside, self.profile_dir()).map_err(|error| unwritable(&beside, &error))?;
        Ok(true)
    }

    /// The profile of this home.
    ///
    /// # Errors
    /// [`HomeError::Missing`] before [`Home::make`]; otherwise what is wrong with the file.
    pub fn profile(&self) -> Result<Profile, HomeError> {
        if !self.exists() {
            return Err(HomeError::Missing { path: self.root.clone() });
        }
        read_profile(&self.profile_dir())
    }

    /// What was added to the profile at this desk; nothing where no file is.
    ///
    /// # Errors
    /// What is wrong with the file; it stays as it is.
    pub fn additions(&self) -> Result<Additions, HomeError> {
        let path = self.additions_file();
        match std::fs::read_to_string(&path) {
            Ok(text) => Additions::from_toml(&text).map_err(|error| HomeError::Profile { path, error }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Additions::default()),
            Err(error) => Err(HomeError::NotReadable { path, reason: error.to_string() }),
        }
    }

    /// Changes what was added. A file that cannot be read is never written over, and neither is one that would no longer
    /// go with the profile.
    ///
    /// # Errors
    /// As [`Home::additions`] and [`Profile::with`], and when the file cannot be written; the old one stays.
    pub fn change_additions<T>(&self, change: impl FnOnce(&mut Additions) -> T) -> Result<(Profile, T), HomeError> {
        let _changing = self.changing_additions.lock();
        let mut additions = self.additions()?;
        let out = change(&mut additions);
        let path = self.additions_file();
        let wrong = |error| HomeError::Profile { path: path.clone(), error };
        let profile = self.profile()?.with(&additions).map_err(wrong)?;
        let text = additions.to_toml().map_err(wrong)?;
        store::write_atomic(&path, format!("{ADDITIONS_HEAD}{text}").as_bytes())?;
        Ok((profile, out))
    }

    /// Changes when the file of additions does.
    pub(crate) fn additions_stamp(&self) -> Option<(u64, std::time::SystemTime)> {
        let about = std::fs::metadata(self.additions_file()).ok()?;
        Some((about.len(), about.modified().ok()?))
    }

    /// The profile with what was added at this desk.
    ///
    /// # Errors
    /// As [`Home::profile`], [`Home::additions`] and [`Profile::with`].
    pub fn whole_profile(&self) -> Result<Profile, HomeError> {
        let added = self.additions()?;
        self.profile()?.with(&added).map_err(|error| HomeError::Profile { path: self.additions_file(), error })
    }

    pub(crate) fn additions_file(&self) -> PathBuf {
        self.root.join("sources.toml")
    }

    /// What the sources of base maps once said of their tiles.
    pub(crate) fn remembered_basemaps(&self) -> RememberedBasemaps {
        self.read_json("basemaps.json")
    }

    /// # Errors
    /// As [`Home::save_settings`].
    pub(crate) fn change_basemaps<T>(&self, change: impl FnOnce(&mut RememberedBasemaps) -> T) -> Result<T, HomeError> {
        let _changing = self.changing_basemaps.lock();
        let mut remembered = self.remembered_basemaps();
        let out = change(&mut remembered);
        self.write_json("basemaps.json", &remembered)?;
        Ok(out)
    }

    /// The stored settings. A file that cannot be read is set aside and the defaults hold, because a typing error in
    /// settings must not keep an operations room dark.
    pub fn settings(&self) -> Settings {
        self.read_json("settings.json")
    }

    /// # Errors
    /// When the file cannot be written; the old one stays.
    pub fn save_settings(&self, settings: &Settings) -> Result<(), HomeError> {
        self.write_json("settings.json", settings)
    }

    pub fn views(&self) -> Vec<SavedView> {
        self.read_json("views.json")
    }

    /// # Errors
    /// As [`Home::save_settings`].
    pub fn save_views(&self, views: &[SavedView]) -> Result<(), HomeError> {
        self.write_json("views.json", &views)
    }

    /// Who may sit here. No file means that nobody has set a PIN yet; a file that cannot be read does not: it may hold
    /// the PINs that keep people out.
    ///
    /// # Errors
    /// [`HomeError::NotReadable`]; the file stays as it is.
    pub fn people(&self) -> Result<People, HomeError> {
        let path = self.people_file();
        let wrong = |reason: String| HomeError::NotReadable { path: path.clone(), reason };
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(People::default()),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Changes who may sit here. A file that cannot be read is never written over.
    ///
    /// # Errors
    /// As [`Home::people`], and when the file cannot be written; the old one stays.
    pub fn change_people(&self, change: impl FnOnce(&mut People)) -> Result<(), HomeError> {
        let _changing = self.changing_people.lock();
        let mut people = self.people()?;
        change(&mut people);
        let path = self.people_file();
        let wrong = |reason: String| HomeError::NotWritable { path: path.clone(), reason };
        let bytes = serde_json::to_vec_pretty(&people).map_err(|error| wrong(error.to_string()))?;
        write_private(&path, &bytes).map_err(|error| wrong(error.to_string()))
    }

    fn people_file(&self) -> PathBuf {
        self.root.join("people.json")
    }

    fn read_json<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        let path = self.root.join(name);
        let Ok(text) = std::fs::read_to_string(&path) else { return T::default() };
        serde_json::from_str(&text).unwrap_or_else(|_| {
            // Best effort: the unreadable file is kept beside for whoever wants to mend it.
            let _ = std::fs::rename(&path, path.with_extension("json.unreadable"));
            T::default()
        })
    }

    fn write_json<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), HomeError> {
        let path = self.root.join(name);
        let bytes = serde_json::to_vec_pretty(value)
            .map_err(|error| HomeError::NotWritable { path: path.clone(), reason: error.to_string() })?;
        store::write_atomic(&path, &bytes)?;
        Ok(())
    }
}

/// Writes a file whole or not at all, readable by its owner only: the hash of a short PIN is soon guessed.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let scratch = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    // A new file, because one left behind by a crash would keep its own mode.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = std::fs::remove_file(&scratch);
    let written = options
        .open(&scratch)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&scratch, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&scratch);
    }
    written
}

/// Reads the profile in a folder.
///
/// # Errors
/// [`HomeError::NotReadable`] or [`HomeError::Profile`], with the path.
pub fn read_profile(dir: &Path) -> Result<Profile, HomeError> {
    let path = dir.join("profile.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| HomeError::NotReadable { path: path.clone(), reason: error.to_string() })?;
    Profile::from_toml(&text).map_err(|error| HomeError::Profile { path, error })
}

/// The role's word as it stands in files.
pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Guest => "guest",
        Role::Viewer => "viewer",
        Role::Planner => "planner",
        Role::DutyOfficer => "duty_officer",
        Role::Administrator => "administrator",
    }
}
