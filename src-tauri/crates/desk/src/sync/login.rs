//! What sources are shown: the profile names the credentials, the machine has the secret.

use crate::Desk;
use crate::secrets::Secrets;
use model::{Credentials, SourceSpec};
use sources::{Client, FetchError, Login, Secret, Url};

/// Credentials with their secret.
pub(crate) struct Held {
    credentials: Credentials,
    secret: Secret,
}

impl Held {
    pub(crate) fn login(&self) -> Login<'_> {
        Login { credentials: &self.credentials, secret: &self.secret }
    }

    /// An error in which the source may have repeated the secret.
    pub(crate) fn hide(held: Option<&Self>, error: FetchError) -> FetchError {
        match held {
            Some(held) => error.hiding(&held.secret),
            None => error,
        }
    }
}

impl Desk {
    /// A client that shows the source its credentials.
    ///
    /// # Errors
    /// [`FetchError::NoSecret`], [`FetchError::BadAddress`].
    pub(crate) async fn client_for(&self, source: &SourceSpec, root: &Url) -> Result<Client, FetchError> {
        let held = self.held(source).await?;
        self.client.showing(root, held.as_ref().map(Held::login))
    }

    /// What the source is to be shown; `None` for one that answers everybody. Looked up anew each time, so that a secret
    /// that was just set counts.
    ///
    /// # Errors
    /// [`FetchError::NoSecret`].
    pub(crate) async fn held(&self, source: &SourceSpec) -> Result<Option<Held>, FetchError> {
        self.held_for(source.credentials.as_ref()).await
    }

    /// As [`Desk::held`], for credentials that no source has yet.
    ///
    /// # Errors
    /// [`FetchError::NoSecret`].
    pub(crate) async fn held_for(&self, credentials: Option<&Credentials>) -> Result<Option<Held>, FetchError> {
        let Some(mut credentials) = credentials.cloned() else { return Ok(None) };
        if let Credentials::ClientCredentials { token_url, .. } = &mut credentials
            && let Some(url) = self.links().resolve(token_url)
        {
            *token_url = url.into();
        }
        let (secrets, name) = (Secrets::of(self.home()), credentials.secret().to_owned());
        let missing = |detail: String| FetchError::NoSecret { secret: credentials.secret().to_owned(), detail };
        // Files and keyrings are waited for on a blocking thread.
        let looked = tokio::task::spawn_blocking(move || secrets.get(&name)).await;
        let secret = looked.map_err(|_| FetchError::Cancelled)?.map_err(|error| missing(error.to_string()))?;
        Ok(Some(Held { credentials, secret }))
    }
}
