//! Secrets by name: the environment's, those of a private file that the user asked for, the machine's keyring; looked up
//! in this order. A secret is handed to a request and goes nowhere else: no error, no answer, no `Debug` repeats it.

use crate::api::{Failure, Language};
use crate::home::{Home, write_private};
use crate::state::Options;
use crate::words::failure;
use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use sources::Secret;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What a secret's name is preceded by in the environment.
const PREFIX: &str = "TOANCANH_SECRET_";
/// What all secrets of this program are filed under in the keyring.
const SERVICE: &str = "toancanh";
/// A sync does not wait longer for a keyring.
const PATIENCE: Duration = Duration::from_secs(3);
/// Somebody who keeps a secret may have to unlock the keyring first.
const UNLOCKING: Duration = Duration::from_secs(60);
/// Longest secret, in bytes: tokens of a few kilobytes exist.
const LONGEST_BYTES: usize = 16 << 10;

/// Where a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum SecretPlace {
    Environment,
    File,
    Keyring,
}

impl SecretPlace {
    /// The word as it stands on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::File => "file",
            Self::Keyring => "keyring",
        }
    }
}

/// Why a secret is not to be had or kept. None of the sentences repeats one.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("{name:?} is no name of a secret")]
    Name { name: String },
    #[error("the value for {name} is empty, longer than 16 kB, or of several lines")]
    Value { name: String },
    /// Others can read the file: what lies in it is no secret.
    #[error("{}: its mode is {mode:03o}", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("keyring: {reason}")]
    Keyring { reason: String },
    /// The environment goes before what could be kept.
    #[error("{name} stands in the environment, as {variable}")]
    Environment { name: String, variable: String },
    #[error("{name} is kept nowhere: {looked}")]
    Missing { name: String, looked: String },
}

impl SecretError {
    pub(crate) fn failure(&self, language: Language) -> Failure {
        let path_of = |path: &Path| path.to_string_lossy().into_owned();
        match self {
            Self::Name { name } => failure(language, "secret_name", [("name", name.as_str())]),
            Self::Value { name } => failure(language, "secret_value", [("name", name.as_str())]),
            Self::Exposed { path, mode } => {
                let mode = format!("{mode:03o}");
                failure(language, "secrets_exposed", [("path", path_of(path).as_str()), ("mode", mode.as_str())])
            }
            Self::File { path, reason } => {
                failure(language, "secrets_file", [("path", path_of(path).as_str()), ("detail", reason.as_str())])
            }
            Self::Keyring { reason } => failure(language, "no_keyring", [("detail", reason.as_str())]),
            Self::Environment { name, variable } => {
                failure(language, "secret_environment", [("name", name.as_str()), ("variable", variable.as_str())])
            }
            Self::Missing { name, looked } => {
                failure(language, "no_such_secret", [("name", name.as_str()), ("detail", looked.as_str())])
            }
        }
    }
}

/// A secret by its name, for people: where it is found, and who wants it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SecretInfo {
    pub name: String,
    /// The first is the one that counts; empty: it is missing.
    pub places: Vec<SecretPlace>,
    /// The sources and base maps whose credentials name it.
    pub sources: Vec<String>,
}

/// The secrets of a home in the hands of a person: kept, listed by name, forgotten. There is no way to read one out.
pub struct SecretKeeper {
    home: Home,
    secrets: Secrets,
    language: Language,
}

impl SecretKeeper {
    /// Opens nothing: a secret may be kept before the home is made.
    pub fn of(options: &Options) -> Self {
        let home = Home::new(&options.home);
        let language = options.language.unwrap_or_else(|| home.settings().language);
        Self { secrets: Secrets::of(&home), home, language }
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// What a person is asked for a value with.
    pub fn prompt(&self, name: &str) -> String {
        crate::words::sentence(self.language, "secret.prompt", &[("name".to_owned(), name.to_owned())].into())
    }

    /// # Errors
    /// `secret_name`.
    pub fn check_name(&self, name: &str) -> Result<(), Failure> {
        check_name(name).map_err(|error| error.failure(self.language))
    }

    /// Keeps a secret in the machine's keyring, or where `in_file` says so in the home's private file.
    ///
    /// # Errors
    /// `secret_name`, `secret_value`, `no_keyring`, `secrets_exposed`, `secrets_file`.
    pub fn set(&self, name: &str, value: String, in_file: bool) -> Result<SecretPlace, Failure> {
        let set = self.secrets.set(name, &Secret::new(value), in_file);
        set.map_err(|error| error.failure(self.language))
    }

    /// Forgets a secret; the places where it was.
    ///
    /// # Errors
    /// As [`SecretKeeper::set`], and `no_such_secret`.
    pub fn remove(&self, name: &str) -> Result<Vec<SecretPlace>, Failure> {
        self.secrets.remove(name).map_err(|error| error.failure(self.language))
    }

    /// The secrets that the profile's sources want, and those in the file and the environment; and why the keyring could
    /// not be looked into. (What else lies in the keyring is not listed: it is only asked by name.)
    ///
    /// # Errors
    /// A profile that cannot be read; `secrets_exposed`, `secrets_file`.
    pub fn list(&self) -> Result<(Vec<SecretInfo>, Option<String>), Failure> {
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if self.home.exists() {
            // What was added here counts too, unless its file is faulty: opening the desk says that.
            let profile = self.home.whole_profile().or_else(|_| self.home.profile());
            let profile = profile.map_err(|error| crate::failures::home(self.language, &error))?;
            for (owner, secret) in profile.secrets() {
                wanted.entry(secret.to_owned()).or_default().push(owner.to_owned());
            }
        }
        let failed = |error: SecretError| error.failure(self.language);
        for name in self.secrets.names().map_err(failed)? {
            // A variable does not tell _ from -: it is listed under the name that a source uses.
            if !wanted.keys().any(|known| variable(known) == variable(&name)) {
                wanted.insert(name, Vec::new());
            }
        }
        let (mut infos, mut trouble) = (Vec::new(), None);
        for (name, sources) in wanted {
            let places = match &trouble {
                // A keyring that is not there is not asked again for each name.
                Some(_) => self.secrets.places_without_keyring(&name).map_err(failed)?,
                None => {
                    let (places, reason) = self.secrets.places(&name).map_err(failed)?;
                    trouble = reason;
                    places
                }
            };
            infos.push(SecretInfo { name, places, sources });
        }
        Ok((infos, trouble))
    }
}

/// The secrets that a home can make use of.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    file: PathBuf,
}

impl Secrets {
    pub(crate) fn of(home: &Home) -> Self {
        Self { file: home.root().join("secrets.toml") }
    }

    /// The secret of that name. May wait for the keyring for some seconds.
    ///
    /// # Errors
    /// [`SecretError::Missing`] says where it was looked for; a file that others can read is not made use of.
    pub(crate) fn get(&self, name: &str) -> Result<Secret, SecretError> {
        self.get_with(name, environment, &mut |name| keyring_get(name))
    }

    fn get_with(
        &self,
        name: &str,
        environment: impl Fn(&str) -> Option<String>,
        keyring: &mut dyn FnMut(&str) -> Result<Option<String>, String>,
    ) -> Result<Secret, SecretError> {
        check_name(name)?;
        if let Some(secret) = environment(name) {
            return Ok(Secret::new(secret));
        }
        let file = self.read()?;
        if let Some(secret) = file.as_ref().and_then(|file| file.get(name)) {
            return Ok(Secret::new(secret.clone()));
        }
        let from_keyring = match keyring(name) {
            Ok(Some(secret)) => return Ok(Secret::new(secret)),
            Ok(None) => "keyring: no entry".to_owned(),
            Err(reason) => format!("keyring: {reason}"),
        };
        let in_file = if file.is_some() { "no entry" } else { "no such file" };
        let looked = format!("{}: not set; {}: {in_file}; {from_keyring}", variable(name), self.file.display());
        Err(SecretError::Missing { name: name.to_owned(), looked })
    }

    /// Keeps a secret: in the private file, or in the keyring.
    pub(crate) fn set(&self, name: &str, secret: &Secret, in_file: bool) -> Result<SecretPlace, SecretError> {
        check_name(name)?;
        let text = secret.reveal();
        // A private key has lines; everything else is one.
        let is_key = text.starts_with("-----BEGIN ");
        let out_of_place = |c: char| c.is_control() && !(is_key && matches!(c, '\n' | '\r'));
        if text.is_empty() || text.len() > LONGEST_BYTES || text.chars().any(out_of_place) {
            return Err(SecretError::Value { name: name.to_owned() });
        }
        if in_file {
            let mut all = self.read()?.unwrap_or_default();
            all.insert(name.to_owned(), text.to_owned());
            self.write(&all)?;
            return Ok(SecretPlace::File);
        }
        let (name, text) = (name.to_owned(), text.to_owned());
        ask_keyring(UNLOCKING, move || keyring::Entry::new(SERVICE, &name)?.set_password(&text))
            .map_err(|reason| SecretError::Keyring { reason })?;
        Ok(SecretPlace::Keyring)
    }

    /// As [`Secrets::set`], but so that the new value is the one that counts: in the file where it stands in the file.
    pub(crate) fn keep(&self, name: &str, secret: &Secret, in_file: bool) -> Result<SecretPlace, SecretError> {
        check_name(name)?;
        if environment(name).is_some() {
            return Err(SecretError::Environment { name: name.to_owned(), variable: variable(name) });
        }
        let stands_in_file = self.read()?.is_some_and(|file| file.contains_key(name));
        self.set(name, secret, in_file || stands_in_file)
    }

    /// Sees to it that a secret is neither in the file nor in the keyring.
    pub(crate) fn forget(&self, name: &str) -> Result<(), SecretError> {
        match self.remove(name) {
            Err(SecretError::Missing { .. }) => {}
            other => return other.map(drop),
        }
        // Nowhere to be found; but a keyring that did not open may hold it still.
        keyring_get(name).map(drop).map_err(|reason| SecretError::Keyring { reason })
    }

    /// Forgets a secret, in the file and in the keyring; the places where it was.
    pub(crate) fn remove(&self, name: &str) -> Result<Vec<SecretPlace>, SecretError> {
        check_name(name)?;
        let mut places = Vec::new();
        if let Some(mut all) = self.read()?
            && all.remove(name).is_some()
        {
            self.write(&all)?;
            places.push(SecretPlace::File);
        }
        let owned = name.to_owned();
        let removed = ask_keyring(UNLOCKING, move || keyring::Entry::new(SERVICE, &owned)?.delete_credential());
        let looked = match removed {
            Ok(()) => {
                places.push(SecretPlace::Keyring);
                String::new()
            }
            Err(reason) => format!("{}: no entry; keyring: {reason}", self.file.display()),
        };
        if places.is_empty() { Err(SecretError::Missing { name: name.to_owned(), looked }) } else { Ok(places) }
    }

    /// Where a secret is found, first the place that counts; why the keyring could not be asked.
    pub(crate) fn places(&self, name: &str) -> Result<(Vec<SecretPlace>, Option<String>), SecretError> {
        let mut places = self.places_without_keyring(name)?;
        let trouble = match keyring_get(name) {
            Ok(found) => {
                places.extend(found.map(|_| SecretPlace::Keyring));
                None
            }
            Err(reason) => Some(reason),
        };
        Ok((places, trouble))
    }

    fn places_without_keyring(&self, name: &str) -> Result<Vec<SecretPlace>, SecretError> {
        let mut places = Vec::new();
        places.extend(environment(name).map(|_| SecretPlace::Environment));
        places.extend(self.read()?.filter(|file| file.contains_key(name)).map(|_| SecretPlace::File));
        Ok(places)
    }

    /// The names in the file and in the environment.
    pub(crate) fn names(&self) -> Result<Vec<String>, SecretError> {
        let mut names: Vec<String> = self.read()?.unwrap_or_default().into_keys().collect();
        let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        names.extend(variables.filter_map(|name| Some(name.strip_prefix(PREFIX)?.to_ascii_lowercase())));
        Ok(names)
    }

    /// `None` without a file.
    fn read(&self) -> Result<Option<BTreeMap<String, String>>, SecretError> {
        let wrong = |reason: String| SecretError::File { path: self.file.clone(), reason };
        match std::fs::metadata(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error.to_string())),
            Ok(meta) => self.check_mode(&meta)?,
        }
        let text = std::fs::read_to_string(&self.file).map_err(|error| wrong(error.kind().to_string()))?;
        // The parser's own words would repeat the line.
        let parsed: Result<BTreeMap<String, String>, _> = toml::from_str(&text);
        parsed.map(Some).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            wrong(format!("line {} is not of the form NAME = \"VALUE\"", before.matches('\n').count() + 1))
        })
    }

    #[cfg(unix)]
    fn check_mode(&self, meta: &std::fs::Metadata) -> Result<(), SecretError> {
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777;
        if mode & 0o077 == 0 { Ok(()) } else { Err(SecretError::Exposed { path: self.file.clone(), mode }) }
    }

    #[cfg(not(unix))]
    fn check_mode(&self, _: &std::fs::Metadata) -> Result<(), SecretError> {
        Ok(())
    }

    fn write(&self, all: &BTreeMap<String, String>) -> Result<(), SecretError> {
        let wrong = |reason: String| SecretError::File { path: self.file.clone(), reason };
        let text = toml::to_string(all).map_err(|_| wrong("it cannot be written as TOML".into()))?;
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| wrong(error.to_string()))?;
        }
        write_private(&self.file, text.as_bytes()).map_err(|error| wrong(error.to_string()))
    }
}

fn check_name(name: &str) -> Result<(), SecretError> {
    if model::is_secret_name(name) { Ok(()) } else { Err(SecretError::Name { name: name.to_owned() }) }
}

/// `lgsp-y-te` stands in `TOANCANH_SECRET_LGSP_Y_TE`.
fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(variable(name)).ok().filter(|secret| !secret.is_empty())
}

fn keyring_get(name: &str) -> Result<Option<String>, String> {
    let name = name.to_owned();
    ask_keyring(PATIENCE, move || match keyring::Entry::new(SERVICE, &name)?.get_password() {
        Ok(secret) => Ok(Some(secret)),
        Err(keyring::Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    })
}

/// One question at a time: a keyring that hangs, hangs for all.
static ASKING: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Gives the keyring free again, also when the asking thread dies.
struct Asking;

impl Drop for Asking {
    fn drop(&mut self) {
        *ASKING.0.lock() = false;
        ASKING.1.notify_one();
    }
}

/// Asks the keyring on a thread of its own: it may wait for a person, or for a service that never answers.
fn ask_keyring<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> keyring::Result<T> + Send + 'static,
) -> Result<T, String> {
    let silent = || format!("it has not answered for {} s; it may be locked", patience.as_secs());
    let until = Instant::now() + patience;
    let mut busy = ASKING.0.lock();
    while *busy {
        if ASKING.1.wait_until(&mut busy, until).timed_out() {
            return Err(silent());
        }
    }
    *busy = true;
    drop(busy);
    let (answer, answered) = mpsc::channel();
    let asking = Asking;
    let spawned = std::thread::Builder::new().name("keyring".into()).spawn(move || {
        let _asking = asking;
        let _ = answer.send(work());
    });
    spawned.map_err(|error| error.to_string())?;
    match answered.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(explain(&error)),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(silent()),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("it gave no answer".into()),
    }
}

/// Some of the keyring's own errors carry what it held: those are only named.
fn explain(error: &keyring::Error) -> String {
    match error {
        keyring::Error::NoDefaultStore => "this machine runs none".into(),
        keyring::Error::NoEntry => "no entry".into(),
        keyring::Error::NoStorageAccess(reason) => format!("it is locked or not there ({reason})"),
        keyring::Error::PlatformFailure(reason) => reason.to_string(),
        _ => "its entry cannot be made use of".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(&Home::new(home.path()));
        (home, secrets)
    }

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn environment_goes_before_file_before_keyring() {
        let (_home, secrets) = secrets();
        let mut asked = 0;
        let mut keyring = |name: &str| {
            asked += 1;
            Ok((name == "a").then(|| "from the keyring".to_owned()))
        };
        assert_eq!(secrets.get_with("a", nothing, &mut keyring).unwrap().reveal(), "from the keyring");
        let missing = secrets.get_with("b", nothing, &mut keyring).unwrap_err();
        assert!(missing.to_string().contains("TOANCANH_SECRET_B: not set"), "{missing}");
        secrets.set("a", &Secret::new("from the file"), true).unwrap();
        assert_eq!(secrets.get_with("a", nothing, &mut keyring).unwrap().reveal(), "from the file");
        let set = |_: &str| Some("from the environment".to_owned());
        assert_eq!(secrets.get_with("a", set, &mut keyring).unwrap().reveal(), "from the environment");
        assert_eq!(asked, 2, "who has the secret does not wake the keyring");
        assert_eq!(variable("lgsp-y-te"), "TOANCANH_SECRET_LGSP_Y_TE");
    }

    #[cfg(unix)]
    #[test]
    fn file_is_private_or_not_made_use_of() {
        use std::os::unix::fs::PermissionsExt;
        let (home, secrets) = secrets();
        secrets.set("a", &Secret::new("x\"y\\z"), true).unwrap();
        let file = home.path().join("secrets.toml");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let get = || secrets.get_with("a", nothing, &mut |_| Ok(None));
        assert_eq!(get().unwrap().reveal(), "x\"y\\z");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(get().unwrap_err(), SecretError::Exposed { path: file.clone(), mode: 0o640 });
        assert!(secrets.set("b", &Secret::new("z"), true).is_err(), "nor written to");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert!(get().is_ok());
    }

    #[test]
    fn faults_of_the_file_are_named_and_repeat_nothing() {
        let (home, secrets) = secrets();
        for (text, line) in
            [("a = \"one\"\nb = s3cret", "line 2"), ("a = 4711", "line 1"), ("[a]\nb = \"s3cret\"", "line 1")]
        {
            write_private(&home.path().join("secrets.toml"), text.as_bytes()).unwrap();
            let failure = secrets.get("a").unwrap_err().failure(Language::En);
            assert_eq!(failure.code, "secrets_file", "{text}");
            let said = format!("{failure:?}");
            assert!(said.contains(line) && !said.contains("s3cret") && !said.contains("4711"), "{said}");
        }
    }

    #[test]
    fn names_and_values_have_a_form() {
        let (_home, secrets) = secrets();
        assert!(matches!(secrets.set("A", &Secret::new("x"), true), Err(SecretError::Name { .. })));
        for value in ["", "two\nlines", &"x".repeat(LONGEST_BYTES + 1)] {
            assert!(matches!(secrets.set("a", &Secret::new(value), true), Err(SecretError::Value { .. })));
        }
    }

    #[test]
    fn keyring_that_hangs_is_left_after_a_while() {
        let started = Instant::now();
        let slow = || -> keyring::Result<()> {
            std::thread::sleep(Duration::from_millis(700));
            Ok(())
        };
        assert!(ask_keyring(Duration::from_millis(100), slow).unwrap_err().contains("not answered"));
        assert!(ask_keyring(Duration::from_millis(100), || Ok(())).is_err(), "the first question is still open");
        assert!(started.elapsed() < Duration::from_millis(600), "{:?}", started.elapsed());
        assert_eq!(ask_keyring(Duration::from_secs(5), || Ok(7)), Ok(7));
    }
}
