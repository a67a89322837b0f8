//! Secrets that a person types at this desk: handed to the keeper, never given out again.

use crate::Desk;
use crate::api::{Failure, KeptSecret};
use crate::args::{ForgetSecretArgs, KeepSecretArgs};
use crate::secrets::{SecretError, Secrets};
use model::{Credentials, SourceSpec, Span, Title};
use std::sync::Arc;

impl Desk {
    /// Keeps a secret in the machine's keyring, or where `in_file` says so in the home's private file. May wait for somebody
    /// to unlock the keyring.
    ///
    /// # Errors
    /// `secret_name`, `secret_value`, `secret_environment`, `no_keyring`, `secrets_exposed`, `secrets_file`.
    pub(crate) async fn keep_secret(self: &Arc<Self>, args: KeepSecretArgs) -> Result<KeptSecret, Failure> {
        let desk = self.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let secrets = Secrets::of(desk.home());
            let failed = |error: SecretError| error.failure(desk.language());
            let name = match args.name {
                Some(name) => name,
                None => {
                    let named = desk.named_secrets();
                    // The keyring is shared with other homes of this machine: what lies in it is not written over.
                    let kept = |name: &str| secrets.places(name).is_ok_and(|(places, _)| !places.is_empty());
                    super::naming::free(&named_after(&args.about), |name| named.iter().any(|n| n == name) || kept(name))
                }
            };
            let place = secrets.keep(&name, &args.value, args.in_file).map_err(failed)?;
            Ok(KeptSecret { name, place })
        });
        kept.await.map_err(|_| self.failure("interrupted", []))?
    }

    /// Forgets a secret that was kept for a source that was not added after all. One that a source or a base map names stays.
    ///
    /// # Errors
    /// `secret_name`, `no_keyring`, `secrets_exposed`, `secrets_file`.
    pub(crate) async fn forget_secret(self: &Arc<Self>, args: ForgetSecretArgs) -> Result<(), Failure> {
        let desk = self.clone();
        let forgotten = tokio::task::spawn_blocking(move || desk.forget_unless_named(&args.name, None));
        forgotten.await.map_err(|_| self.failure("interrupted", []))?
    }

    /// Forgets a secret unless a source but `except`, or a base map, names it. One that is not there is forgotten already.
    pub(super) fn forget_unless_named(&self, name: &str, except: Option<&str>) -> Result<(), Failure> {
        if self.profile().secrets().any(|(owner, secret)| secret == name && Some(owner) != except) {
            return Ok(());
        }
        Secrets::of(self.home()).forget(name).map_err(|error| error.failure(self.language()))
    }

    /// The names that sources and base maps use.
    fn named_secrets(&self) -> Vec<String> {
        self.profile().secrets().map(|(_, secret)| secret.to_owned()).collect()
    }

    /// # Errors
    /// `bad_credentials` names the field at fault and repeats no secret.
    pub(super) fn check_credentials(&self, credentials: &Credentials) -> Result<(), Failure> {
        let spec = SourceSpec {
            id: String::new(),
            protocol: model::Protocol::File,
            title: Title::same(""),
            url: String::new(),
            events: None,
            mqtt: None,
            every: Span::seconds(60),
            practice: false,
            credentials: Some(credentials.clone()),
            host_key: None,
        };
        self.refuse_fault(&spec)
    }

    /// # Errors
    /// As [`Desk::check_credentials`].
    pub(super) fn refuse_fault(&self, spec: &SourceSpec) -> Result<(), Failure> {
        match spec.credentials_fault() {
            Some((field, problem)) => {
                Err(self.failure("bad_credentials", [("field", field.as_str()), ("detail", problem.as_str())]))
            }
            None => Ok(()),
        }
    }
}

/// A name for the secret of what answers at an address: its host.
fn named_after(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // Nobody sees more of an address than this: a user or a password before the host is left out.
    super::naming::slug(host, "secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_after_the_host() {
        assert_eq!(named_after("https://gis.tayninh.gov.vn:8443/ogc"), "gis_tayninh_gov_vn_8443");
        assert_eq!(named_after("10.0.0.7/x"), "secret_10_0_0_7");
        assert_eq!(named_after("postgres://me:pw@db/land"), "db");
        assert_eq!(named_after(""), "secret");
        assert!(model::is_secret_name(&named_after(&"đ".repeat(300))));
    }
}
