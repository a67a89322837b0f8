//! Station files of Circular 10/2021/TT-BTNMT on their way into the history and the live overlay: whose they are, what
//! their rows become, and where files of stations that nobody knows yet are kept.

use crate::Desk;
use crate::api::Failure;
use crate::import::ImportSummary;
use live::LiveLayer;
use model::{FeatureId, LayerId, LayerKind, LayerSpec, Observation, Rejection, Timestamp};
use sources::station_file::{self, StationName};
use sources::{Format, ReadError};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What stands for the history on the command line: `import FILE --layer observations`.
pub const OBSERVATIONS: &str = "observations";

/// So many files are written in one transaction.
pub(crate) const BATCH_FILES: usize = 200;
/// `<TenTram>/yyyy/MM/dd` and some folders above it.
const MAX_DEPTH: usize = 12;
/// Letters in front of a station's code that are taken for a province's.
const MAX_PREFIX: usize = 4;

/// The stations by their codes (attribute `code`: facility and station, with or without the province's letters).
pub(crate) struct Registry {
    stations: HashMap<String, Vec<Station>>,
}

#[derive(Clone)]
pub(crate) struct Station {
    spec: Arc<LayerSpec>,
    feature: FeatureId,
}

fn plain(code: &str) -> String {
    model::nfc(code.trim()).to_uppercase()
}

impl Registry {
    /// Of all layers of stations, or those with live values of one source.
    pub(crate) fn of(desk: &Desk, source: Option<&str>) -> Self {
        Self::of_layers(desk, |spec| source.is_none_or(|id| spec.live_source.as_deref() == Some(id)))
    }

    /// Of one layer.
    pub(crate) fn of_layer(desk: &Desk, layer: &LayerId) -> Self {
        Self::of_layers(desk, |spec| spec.id == *layer)
    }

    fn of_layers(desk: &Desk, wanted: impl Fn(&LayerSpec) -> bool) -> Self {
        let mut whole: HashMap<String, Vec<Station>> = HashMap::new();
        let mut without_prefix: HashMap<String, Vec<Station>> = HashMap::new();
        for layer in desk.layers().all().iter() {
            if !wanted(&layer.spec) || !layer.spec.kind.is_live() || layer.spec.kind == LayerKind::Camera {
                continue;
            }
            let spec = Arc::new(layer.spec.clone());
            for ordinal in layer.picture.ordinals() {
                let (Some(code), Some(id)) = (layer.picture.text(ordinal, "code"), layer.picture.id(ordinal)) else {
                    continue;
                };
                let code = plain(code);
                let station = Station { spec: spec.clone(), feature: id.to_owned() };
                if let Some((prefix, rest)) = code.split_once('_')
                    && rest.contains('_')
                    && prefix.chars().count() <= MAX_PREFIX
                    && prefix.chars().all(char::is_alphabetic)
                {
                    without_prefix.entry(rest.to_owned()).or_default().push(station.clone());
                }
                whole.entry(code).or_default().push(station);
            }
        }
        // A code that stands as it is comes before one that only does without its first part.
        for (code, stations) in without_prefix {
            whole.entry(code).or_insert(stations);
        }
        Self { stations: whole }
    }

    /// The one station of a code.
    pub(crate) fn find(&self, code: &str) -> Option<&Station> {
        match self.stations.get(&plain(code)).map(Vec::as_slice) {
            Some([station]) => Some(station),
            _ => None,
        }
    }

    /// Where a code stands, when it stands more than once: `air_stations/a, air_stations/b`.
    fn several(&self, code: &str) -> Option<String> {
        let stations = self.stations.get(&plain(code)).filter(|stations| stations.len() > 1)?;
        let places: Vec<String> = stations.iter().map(|s| format!("{}/{}", s.spec.id, s.feature)).collect();
        Some(places.join(", "))
    }
}

/// What became of one file.
pub(crate) enum Outcome {
    Values {
        observations: Vec<Observation>,
        /// Measured later than now: they are among the rejected.
        ahead: Vec<Observation>,
        accepted: u64,
        rejected: Vec<Rejection>,
        warnings: Vec<String>,
    },
    /// Nobody knows the station, or several features have its code.
    Waits { station: String, rows: u64 },
    /// No row of it can be used.
    Refused(Rejection),
}

/// Said of a file with another name.
pub(crate) const NAME_FORM: &str =
    "the name is not TenTinh_TenCoSo_TenTram_yyyyMMddHHmmss.txt: whose values these are is not known";

/// A file of which nothing is taken in.
pub(crate) fn refused(name: &str, code: &str, reason: &str) -> Outcome {
    let value = name.chars().take(80).collect();
    Outcome::Refused(Rejection { row: 0, field: String::new(), value, code: code.into(), reason: reason.into() })
}

/// A file below a folder.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub path: PathBuf,
    /// Relative to the folder.
    pub name: String,
    pub size_bytes: u64,
    /// To the microsecond, as the history remembers it.
    pub modified_at: Timestamp,
}

impl Listed {
    fn at(path: PathBuf, root: &Path) -> std::io::Result<Self> {
        let meta = std::fs::metadata(&path)?;
        let modified = Timestamp::try_from(meta.modified()?).unwrap_or_default();
        let modified_at = Timestamp::from_microsecond(modified.as_microsecond()).unwrap_or_default();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        Ok(Self { name, size_bytes: meta.len(), modified_at, path })
    }

    /// The file as it is now; it may have grown since it was listed.
    pub(crate) fn again(&self) -> std::io::Result<(u64, Timestamp)> {
        Self::at(self.path.clone(), Path::new("")).map(|now| (now.size_bytes, now.modified_at))
    }
}

/// The `.txt` files below a folder, those written last at the end, and the first folder that could not be read.
///
/// # Errors
/// When the folder itself cannot be read.
pub(crate) fn list(root: &Path) -> std::io::Result<(Vec<Listed>, Option<std::io::Error>)> {
    let (mut files, mut trouble) = (Vec::new(), None);
    // Links are not followed: they may lead in a circle.
    for entry in walkdir::WalkDir::new(root).follow_root_links(true).max_depth(MAX_DEPTH) {
        match entry {
            Ok(entry) => {
                let is_text = entry.path().extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"));
                if is_text && entry.file_type().is_file() {
                    // One that is gone again is no trouble.
                    files.extend(Listed::at(entry.into_path(), root));
                }
            }
            Err(error) if error.depth() == 0 => return Err(error.into()),
            Err(error) => trouble = trouble.or(Some(error.into())),
        }
    }
    files.sort_by(|a, b| (a.modified_at, &a.name).cmp(&(b.modified_at, &b.name)));
    Ok((files, trouble))
}

impl Desk {
    /// Reads one station file, whatever it is.
    pub(crate) fn read_station_file(&self, path: &Path, registry: &Registry) -> Outcome {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(whose) = StationName::parse(&name) else {
            return refused(&name, "station_file_name", NAME_FORM);
        };
        let zone = jiff::tz::TimeZone::get(&self.profile().timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let now = self.now();
        let read = sources::sniff(path).and_then(|format| match format {
            Format::StationFile => station_file::read(path, &zone, now),
            other => Err(ReadError::WrongFormat {
                path: path.to_owned(),
                says: String::new(),
                is: format!("{} and no station file", other.as_str()),
            }),
        });
        let file = match read {
            Ok(file) => file,
            Err(error) => return refused(&name, error.code(), &error.to_string()),
        };
        let Some(station) = registry.find(&whose.code()) else {
            return Outcome::Waits { station: plain(&whose.code()), rows: file.report.accepted };
        };
        let readings = file.observations(&station.spec, &station.feature);
        let (ahead, observations): (Vec<_>, Vec<_>) =
            readings.observations.into_iter().partition(|observation| LiveLayer::from_the_future(observation, now));
        let mut rejected = readings.report.rejected;
        for observation in &ahead {
            rejected.push(Rejection {
                row: 0,
                field: "time".into(),
                value: observation.measured_at.to_string(),
                code: "time_future".into(),
                reason: format!("{}: measured later than now: the station's clock is wrong", observation.parameter),
            });
        }
        let accepted = readings.report.accepted.saturating_sub(ahead.len() as u64);
        Outcome::Values { observations, ahead, accepted, rejected, warnings: readings.report.warnings }
    }

    /// Marks the stations whose clocks are wrong: what they sent is refused there too.
    pub(crate) fn mark_ahead(&self, outcome: &Outcome, now: Timestamp) {
        if let Outcome::Values { ahead, .. } = outcome {
            ahead.iter().for_each(|observation| self.apply_live(observation, now));
        }
    }

    pub(crate) fn apply_live(&self, observation: &Observation, now: Timestamp) {
        if let Some(overlay) = self.live().lock().get_mut(&observation.layer) {
            overlay.apply(observation, now);
        }
    }

    /// The sentence on a station that is not known, or known twice.
    pub(crate) fn station_failure(&self, registry: &Registry, station: &str, file: &str) -> Failure {
        match registry.several(station) {
            Some(places) => {
                self.failure("station_ambiguous", [("station", station), ("file", file), ("places", &places)])
            }
            None => self.failure("station_unknown", [("station", station), ("file", file)]),
        }
    }

    /// Takes a station file, or all below a folder, into the history. A file of a station that nobody knows is kept in
    /// `HOME/waiting` until a feature has its code. `progress` as for [`Desk::import`].
    ///
    /// # Errors
    /// When there is no such file, none of its rows can be used, or the history cannot be written; with `abort`, the
    /// first bad row. The history is then as before, but for files of a folder that were whole.
    pub fn import_station_files(
        &self,
        path: &Path,
        abort: bool,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<ImportSummary, Failure> {
        let shown = path.to_string_lossy().into_owned();
        let unreadable = |error: ReadError| crate::failures::read(self.language(), &error);
        let io =
            |error: &std::io::Error| self.failure("not_readable", [("path", &*shown), ("detail", &error.to_string())]);
        let files = if path.is_dir() {
            let (files, trouble) = list(path).map_err(|error| io(&error))?;
            if let Some(error) = trouble {
                return Err(io(&error));
            }
            if files.is_empty() {
                return Err(self.failure("no_station_files", [("path", shown.as_str())]));
            }
            files
        } else {
            if sources::sniff(path).map_err(unreadable)? != Format::StationFile {
                return Err(self.failure("not_station_file", [("file", shown.as_str())]));
            }
            vec![Listed::at(path.to_owned(), path.parent().unwrap_or(path)).map_err(|error| io(&error))?]
        };
        self.take_waiting()?;
        let registry = Registry::of(self, None);
        let total: u64 = files.iter().map(|file| file.size_bytes).sum();
        if abort {
            // A first look at all: the history cannot be taken back.
            for file in &files {
                let rejected = match self.read_station_file(&file.path, &registry) {
                    Outcome::Values { rejected, .. } => rejected.into_iter().next(),
                    Outcome::Refused(rejection) => Some(rejection),
                    Outcome::Waits { .. } => None,
                };
                if let Some(rejection) = rejected {
                    let error = ReadError::Row { path: file.path.clone(), rejection: Box::new(rejection) };
                    return Err(unreadable(error));
                }
            }
        }
        let mut gathered = Gathered::default();
        let mut done = 0;
        for batch in files.chunks(BATCH_FILES) {
            let mut observations = Vec::new();
            for file in batch {
                if !progress(done, total) {
                    return Err(unreadable(ReadError::Cancelled { path: path.to_owned() }));
                }
                let outcome = self.read_station_file(&file.path, &registry);
                self.mark_ahead(&outcome, self.now());
                match outcome {
                    Outcome::Waits { station, rows } => {
                        self.keep_waiting(&file.path)?;
                        gathered.waits(station, rows, &file.name);
                    }
                    Outcome::Refused(rejection) if files.len() == 1 => {
                        let at = [("file", &*shown), ("row", ""), ("detail", rejection.reason.as_str())];
                        return Err(self.failure(&rejection.code, at));
                    }
                    outcome => observations.extend(gathered.take(outcome, &file.name)),
                }
                done += file.size_bytes;
            }
            self.record_values(&observations)?;
        }
        let layer =
            LayerId::new(OBSERVATIONS).map_err(|detail| self.failure("aborted", [("detail", detail.as_str())]))?;
        let rejected_file = self.write_rejected(OBSERVATIONS, &gathered.rejected)?;
        if gathered.accepted == 0 {
            return Err(self.nothing_accepted(path, &gathered.rejected));
        }
        for (station, files) in &gathered.waiting {
            gathered.warnings.push(self.station_failure(&registry, station, &files.join(", ")).message);
        }
        Ok(ImportSummary {
            mapping: Default::default(),
            layer,
            accepted: gathered.accepted,
            repaired: 0,
            rejected: gathered.rejected.len() as u64,
            rejected_file,
            crs: "EPSG:4326".into(),
            warnings: gathered.warnings,
        })
    }

    fn record_values(&self, observations: &[Observation]) -> Result<(), Failure> {
        let now = self.now();
        self.history().record_at(observations, now).map_err(|error| self.store_failure(&error))?;
        observations.iter().for_each(|observation| self.apply_live(observation, now));
        Ok(())
    }

    /// Copies a file to `HOME/waiting`, in a folder named after its content: of two with one name both stay.
    fn keep_waiting(&self, file: &Path) -> Result<(), Failure> {
        let dir = self.home().waiting_dir();
        let failed = |path: &Path, error: &std::io::Error| {
            self.failure("not_writable", [("detail", format!("{}: {error}", path.display()).as_str())])
        };
        let bytes = std::fs::read(file).map_err(|error| failed(file, &error))?;
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let dir = dir.join(format!("{hash:016x}"));
        std::fs::create_dir_all(&dir).map_err(|error| failed(&dir, &error))?;
        let to = dir.join(file.file_name().unwrap_or_default());
        store::write_atomic(&to, &bytes).map_err(|error| self.store_failure(&error))
    }

    /// Takes in what waits in `HOME/waiting` for stations that are known by now.
    ///
    /// # Errors
    /// When the history cannot be written; the files then wait on.
    pub(crate) fn take_waiting(&self) -> Result<(), Failure> {
        let Ok((files, _)) = list(&self.home().waiting_dir()) else { return Ok(()) };
        if files.is_empty() {
            return Ok(());
        }
        let registry = Registry::of(self, None);
        let known = |file: &&Listed| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            StationName::parse(&name).is_some_and(|whose| registry.find(&whose.code()).is_some())
        };
        let known: Vec<&Listed> = files.iter().filter(known).collect();
        for batch in known.chunks(BATCH_FILES) {
            let mut gathered = Gathered::default();
            let mut observations = Vec::new();
            for file in batch {
                let outcome = self.read_station_file(&file.path, &registry);
                self.mark_ahead(&outcome, self.now());
                observations.extend(gathered.take(outcome, &file.name));
            }
            self.record_values(&observations)?;
            self.write_rejected(OBSERVATIONS, &gathered.rejected)?;
            for file in batch {
                // One that stays is taken in once more, which changes nothing.
                let _ = std::fs::remove_file(&file.path);
                if let Some(dir) = file.path.parent() {
                    let _ = std::fs::remove_dir(dir);
                }
            }
        }
        Ok(())
    }

    /// The stations whose files are kept because nobody knows them, each with one of its files.
    pub(crate) fn waiting_stations(&self) -> BTreeMap<String, String> {
        let mut stations = BTreeMap::new();
        if let Ok((files, _)) = list(&self.home().waiting_dir()) {
            for file in files {
                let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if let Some(whose) = StationName::parse(&name) {
                    stations.entry(plain(&whose.code())).or_insert(file.path.to_string_lossy().into_owned());
                }
            }
        }
        for source in &self.profile().sources {
            for file in self.history().read_files(&source.id).unwrap_or_default() {
                if let Some(station) = file.waits_for {
                    stations.entry(station).or_insert(format!("{}: {}", source.id, file.path));
                }
            }
        }
        stations
    }
}

/// What many files gave.
#[derive(Default)]
pub(crate) struct Gathered {
    pub accepted: u64,
    /// With the file's name before the reason.
    pub rejected: Vec<Rejection>,
    pub warnings: Vec<String>,
    /// By station: up to three of its files.
    pub waiting: BTreeMap<String, Vec<String>>,
}

impl Gathered {
    /// The values of a file; the rest is noted under its name.
    pub(crate) fn take(&mut self, outcome: Outcome, name: &str) -> Vec<Observation> {
        let named = |rejection: Rejection| Rejection { reason: format!("{name}: {}", rejection.reason), ..rejection };
        match outcome {
            Outcome::Values { observations, accepted, rejected, warnings, .. } => {
                self.accepted += accepted;
                self.rejected.extend(rejected.into_iter().map(named));
                self.warn(warnings, name);
                observations
            }
            Outcome::Waits { station, rows } => {
                self.waits(station, rows, name);
                Vec::new()
            }
            Outcome::Refused(rejection) => {
                self.rejected.push(named(rejection));
                Vec::new()
            }
        }
    }

    pub(crate) fn waits(&mut self, station: String, rows: u64, name: &str) {
        self.accepted += rows;
        let files = self.waiting.entry(station).or_default();
        if files.len() < 3 {
            files.push(name.to_owned());
        }
    }

    /// A folder of a month's files need not say the same ten thousand times.
    fn warn(&mut self, warnings: Vec<String>, name: &str) {
        let room = 100_usize.saturating_sub(self.warnings.len());
        self.warnings.extend(warnings.into_iter().take(room).map(|warning| format!("{name}: {warning}")));
    }
}
