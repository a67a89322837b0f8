//! Whether an SSH server is the one that was meant: by a fingerprint that the source names, or the user's `known_hosts`.

use crate::net::FetchError;
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Judges the key that a server shows.
#[derive(Clone)]
pub(super) struct Doorkeeper {
    /// For people.
    pub(super) host: String,
    /// As `known_hosts` has it.
    pub(super) name: String,
    pub(super) port: u16,
    /// `SHA256:…`
    pub(super) pinned: Option<String>,
    pub(super) known_hosts: Option<PathBuf>,
    /// Why the key was refused: russh passes on only that it was.
    refused: Arc<Mutex<Option<FetchError>>>,
}

impl Doorkeeper {
    pub(super) fn new(host: String, name: &str, port: u16, pinned: Option<&str>, known: Option<PathBuf>) -> Self {
        let (name, pinned) = (name.to_owned(), pinned.map(str::to_owned));
        Self { host, name, port, pinned, known_hosts: known, refused: Arc::default() }
    }

    pub(super) fn refusal(&self) -> Option<FetchError> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The kinds of keys that are on record for the server: it is asked for one of these first.
    pub(super) fn preferred(&self) -> Vec<Algorithm> {
        if self.pinned.is_some() {
            return Vec::new();
        }
        self.known().unwrap_or_default().iter().map(PublicKey::algorithm).collect()
    }

    fn known(&self) -> Result<Vec<PublicKey>, String> {
        let Some(path) = &self.known_hosts else { return Ok(Vec::new()) };
        let keys = known_host_keys_path(&self.name, self.port, path);
        let keys = keys.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(keys.into_iter().map(|(_, key)| key).collect())
    }

    fn judge(&self, shown: &PublicKey) -> Result<(), FetchError> {
        let print = |key: &PublicKey| key.fingerprint(HashAlg::Sha256).to_string();
        let fingerprint = print(shown);
        let refused = |expected: Option<String>, place: String| {
            Err(FetchError::HostKey { host: self.host.clone(), fingerprint: fingerprint.clone(), expected, place })
        };
        if let Some(pinned) = &self.pinned {
            let same = pinned.trim_end_matches('=') == fingerprint;
            return if same { Ok(()) } else { refused(Some(pinned.clone()), "host_key".into()) };
        }
        let known = self
            .known()
            .map_err(|reason| FetchError::Staging { path: self.known_hosts.clone().unwrap_or_default(), reason })?;
        let place = self.known_hosts.as_ref().map_or_else(|| "known_hosts".into(), |path| path.display().to_string());
        if known.contains(shown) {
            return Ok(());
        }
        refused(known.first().map(print), place)
    }
}

impl russh::client::Handler for Doorkeeper {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            PublicKeyOrCertificate::Certificate(certificate) => PublicKey::from(certificate.public_key().clone()),
        };
        let judged = self.judge(&key);
        let is_known = judged.is_ok();
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = judged.err();
        Ok(is_known)
    }
}
