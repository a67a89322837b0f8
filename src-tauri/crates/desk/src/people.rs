//! Who is at the desk: name, role, PIN; and what they keep: settings and views.

use crate::Desk;
use crate::api::{Event, Failure, SavedView, Settings};
use crate::args::{DeleteViewArgs, NoArgs, SaveViewArgs, SetPinArgs, SetSettingsArgs, SignInArgs};
use crate::home::role_word;
use crate::words;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use model::{Role, Session};
use std::collections::BTreeMap;

const TEXT_SCALES: [f64; 3] = [1.0, 1.15, 1.3];

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
        if let Some(hash) = self.home().people().pins.get(role_word(args.role)) {
            let role = self.role_title(args.role);
            let Some(pin) = &args.pin else { return Err(self.failure("pin_needed", [("role", role.as_str())])) };
            let right = PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(pin.as_bytes(), &hash).is_ok());
            if !right {
                return Err(self.failure("pin_wrong", [("role", role.as_str())]));
            }
        }
        self.sit_down(Session { name, role: args.role })
    }

    pub(crate) async fn sign_out(&self, _: NoArgs) -> Result<Session, Failure> {
        self.sit_down(Session::default())
    }

    fn sit_down(&self, session: Session) -> Result<Session, Failure> {
        let mut people = self.home().people();
        people.last = Some(session.clone());
        self.home().save_people(&people).map_err(|error| crate::failures::home(self.language(), &error))?;
        self.put_session(session.clone());
        self.tell(&Event::Session { session: session.clone() });
        // What a role may see differs from layer to layer.
        for layer in self.layers().all().iter() {
            self.tell_layer(&layer.spec.id);
        }
        Ok(session)
    }

    pub(crate) async fn set_pin(&self, args: SetPinArgs) -> Result<(), Failure> {
        let mut people = self.home().people();
        match args.pin {
            None => {
                people.pins.remove(role_word(args.role));
            }
            Some(pin) => {
                if !(4..=12).contains(&pin.len()) || !pin.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(self.failure("pin_form", []));
                }
                let hash = Argon2::default()
                    .hash_password(pin.as_bytes())
                    .map_err(|error| self.failure("pin_hash", [("detail", error.to_string().as_str())]))?;
                people.pins.insert(role_word(args.role).to_owned(), hash.to_string());
            }
        }
        self.home().save_people(&people).map_err(|error| crate::failures::home(self.language(), &error))
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
