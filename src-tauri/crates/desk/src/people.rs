//! Who is at the desk: name, role, PIN; and what they keep: settings and views.

use crate::Desk;
use crate::api::{Event, Failure, Language, SavedView, Settings};
use crate::args::{DeleteViewArgs, NoArgs, SaveViewArgs, SetPinArgs, SetSettingsArgs, SignInArgs};
use crate::home::{HomeError, role_word};
use crate::words;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use model::{Role, Session};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

const TEXT_SCALES: [f64; 3] = [1.0, 1.15, 1.3];

/// Wrong PINs since the last right one, by role, and when the last of them was given. Kept in memory: a PIN that has to
/// hold against somebody who restarts the program all day needs more than a delay.
#[derive(Default)]
pub(crate) struct PinTries(Mutex<HashMap<&'static str, (u32, Instant)>>);

impl PinTries {
    /// Takes a try, or says how long the next one has to wait. It counts as wrong until [`PinTries::forget`], so that
    /// many at once do not outrun the count.
    fn take(&self, role: &'static str, now: Instant) -> Result<(), Duration> {
        let mut tries = self.0.lock();
        let (wrong, last) = tries.get(role).copied().unwrap_or((0, now));
        let wait = pause(wrong).saturating_sub(now.saturating_duration_since(last));
        if !wait.is_zero() {
            return Err(wait);
        }
        tries.insert(role, (wrong.saturating_add(1), now));
        Ok(())
    }

    fn forget(&self, role: &'static str) {
        self.0.lock().remove(role);
    }
}

/// Two slips of the finger cost nothing; from then on guessing takes ever longer.
fn pause(wrong: u32) -> Duration {
    match wrong {
        0..=2 => Duration::ZERO,
        more => Duration::from_secs((1 << (more - 3).min(5)).min(30)),
    }
}

impl Desk {
    /// # Errors
    /// `role_needed` when the person at the desk may not do this.
    pub(crate) fn require(&self, least: Role, call: &str) -> Result<(), Failure> {
        if self.session().role >= least {
            return Ok(());
        }
        let role = self.role_title(least);
        Err(self.failure("role_needed", [("role", role.as_str()), ("call", call)]))
    }

    fn role_title(&self, role: Role) -> String {
        words::sentence(self.language(), &format!("role.{}", role_word(role)), &BTreeMap::new())
    }

    pub(crate) async fn sign_in(&self, args: SignInArgs) -> Result<Session, Failure> {
        let name = model::nfc(args.name.trim());
        if name.chars().count() > 80 {
            return Err(self.failure("name_too_long", []));
        }
        match self.home().people() {
            Ok(mut people) => {
                if let Some(hash) = people.pins.remove(role_word(args.role)) {
                    self.check_pin(args.role, hash, args.pin).await?;
                }
            }
            // Nobody can tell whether a PIN guards the role. What needs none anywhere stays open: the room can look.
            Err(error) if args.role > Role::Viewer => return Err(self.people_failure(&error)),
            Err(_) => {}
        }
        self.sit_down(Session { name, role: args.role })
    }

    async fn check_pin(&self, role: Role, hash: String, pin: Option<String>) -> Result<(), Failure> {
        let title = self.role_title(role);
        let Some(pin) = pin else { return Err(self.failure("pin_needed", [("role", title.as_str())])) };
        if let Err(wait) = self.pin_tries.take(role_word(role), Instant::now()) {
            let seconds = wait.as_millis().div_ceil(1_000).to_string();
            return Err(self.failure("pin_wait", [("role", title.as_str()), ("seconds", seconds.as_str())]));
        }
        let right = self
            .off_the_workers(move || {
                PasswordHash::new(&hash)
                    .is_ok_and(|hash| Argon2::default().verify_password(pin.as_bytes(), &hash).is_ok())
            })
            .await?;
        if !right {
            return Err(self.failure("pin_wrong", [("role", title.as_str())]));
        }
        self.pin_tries.forget(role_word(role));
        Ok(())
    }

    /// Argon2 is slow on purpose, and the workers have live values to bring.
    async fn off_the_workers<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        tokio::task::spawn_blocking(work).await.map_err(|_| self.failure("interrupted", []))
    }

    pub(crate) async fn sign_out(&self, _: NoArgs) -> Result<Session, Failure> {
        self.sit_down(Session::default())
    }

    fn sit_down(&self, session: Session) -> Result<Session, Failure> {
        match self.home().change_people(|people| people.last = Some(session.clone())) {
            // Remembered by nobody, which is the least of the worries then.
            Err(HomeError::NotReadable { .. }) if session.role <= Role::Viewer => {}
            changed => changed.map_err(|error| self.people_failure(&error))?,
        }
        self.put_session(session.clone());
        self.tell(&Event::Session { session: session.clone() });
        // What a role may see differs from layer to layer.
        for layer in self.layers().all().iter() {
            self.tell_layer(&layer.spec.id);
        }
        Ok(session)
    }

    pub(crate) async fn set_pin(&self, args: SetPinArgs) -> Result<(), Failure> {
        let hash = match args.pin {
            None => None,
            Some(pin) => {
                if !(4..=12).contains(&pin.len()) || !pin.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(self.failure("pin_form", []));
                }
                let hash = self
                    .off_the_workers(move || {
                        Argon2::default().hash_password(pin.as_bytes()).map(|hash| hash.to_string())
                    })
                    .await?
                    .map_err(|error| self.failure("pin_hash", [("detail", error.to_string().as_str())]))?;
                Some(hash)
            }
        };
        let word = role_word(args.role);
        let changed = self.home().change_people(|people| match hash {
            None => {
                people.pins.remove(word);
            }
            Some(hash) => {
                people.pins.insert(word.to_owned(), hash);
            }
        });
        changed.map_err(|error| self.people_failure(&error))?;
        self.pin_tries.forget(word);
        Ok(())
    }

    fn people_failure(&self, error: &HomeError) -> Failure {
        people_failure(self.language(), error)
    }

    pub(crate) async fn set_settings(&self, args: SetSettingsArgs) -> Result<Settings, Failure> {
        let mut settings = args.settings;
        if !TEXT_SCALES.contains(&settings.text_scale) {
            return Err(self.failure("text_scale", [("value", settings.text_scale.to_string().as_str())]));
        }
        if let Some(epsg) = settings.epsg
            && !self.profile().crs.iter().any(|system| system.epsg == epsg)
        {
            return Err(self.failure("crs_not_in_profile", [("epsg", epsg.to_string().as_str())]));
        }
        for choice in settings.layers.values_mut() {
            choice.opacity = if choice.opacity.is_finite() { choice.opacity.clamp(0.0, 1.0) } else { 1.0 };
        }
        self.tile_sets().set_budget(settings.tile_cache_bytes());
        self.home().save_settings(&settings).map_err(|error| crate::failures::home(self.language(), &error))?;
        self.put_settings(settings.clone());
        self.tell(&Event::Settings { settings: Box::new(settings.clone()) });
        Ok(settings)
    }

    pub(crate) async fn list_views(&self, _: NoArgs) -> Result<Vec<SavedView>, Failure> {
        Ok(self.saved_views())
    }

    /// Saves a view; one with the same name is replaced.
    pub(crate) async fn save_view(&self, args: SaveViewArgs) -> Result<Vec<SavedView>, Failure> {
        let name = model::nfc(args.name.trim());
        if name.is_empty() || name.chars().count() > 80 {
            return Err(self.failure("view_name", []));
        }
        let mut views = self.saved_views();
        let same = |view: &SavedView| model::canonical(&view.name) == model::canonical(&name);
        let id = match views.iter().find(|view| same(view)) {
            Some(view) => view.id.clone(),
            None => format!("view-{}", self.now().as_millisecond()),
        };
        views.retain(|view| view.id != id);
        views.push(SavedView { id, name, camera: args.camera, layers: args.layers });
        self.keep_views(views)
    }

    pub(crate) async fn delete_view(&self, args: DeleteViewArgs) -> Result<Vec<SavedView>, Failure> {
        let mut views = self.saved_views();
        let before = views.len();
        views.retain(|view| view.id != args.id);
        if views.len() == before {
            return Err(self.failure("no_view", [("id", args.id.as_str())]));
        }
        self.keep_views(views)
    }

    fn keep_views(&self, views: Vec<SavedView>) -> Result<Vec<SavedView>, Failure> {
        self.home().save_views(&views).map_err(|error| crate::failures::home(self.language(), &error))?;
        self.put_views(views.clone());
        self.tell(&Event::Views { views: views.clone() });
        Ok(views)
    }
}

/// A failure about `people.json`: one that cannot be read has its own sentence, because it shuts people out.
pub(crate) fn people_failure(language: Language, error: &HomeError) -> Failure {
    match error {
        HomeError::NotReadable { path, reason } => {
            let path = path.to_string_lossy();
            words::failure(language, "people_unreadable", [("path", path.as_ref()), ("detail", reason.as_str())])
        }
        error => crate::failures::home(language, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_pins_wait_ever_longer_and_a_right_one_ends_it() {
        let tries = PinTries::default();
        let mut now = Instant::now();
        for _ in 0..3 {
            assert_eq!(tries.take("planner", now), Ok(()));
        }
        for secs in [1, 2, 4, 8, 16, 30, 30] {
            let wait = Duration::from_secs(secs);
            assert_eq!(tries.take("planner", now), Err(wait), "a refused try costs nothing more");
            assert_eq!(tries.take("planner", now), Err(wait));
            assert_eq!(tries.take("administrator", now + wait), Ok(()), "each role has its own count");
            tries.forget("administrator");
            now += wait;
            assert_eq!(tries.take("planner", now), Ok(()));
        }
        tries.forget("planner");
        assert_eq!(tries.take("planner", now), Ok(()));
    }
}
