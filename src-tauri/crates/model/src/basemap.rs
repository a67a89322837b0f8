//! Base maps of others, as a profile names them: under the layers, in place of the drawn one.

use crate::{Credentials, TileProtocol, Title, holds_login, is_secret_name};
use serde::{Deserialize, Serialize};

/// The word for the base map that is drawn from the profile's own layers; no other may be called so.
pub const DRAWN_BASEMAP: &str = "drawn";

/// A map of others that can lie under the layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasemapSpec {
    pub id: String,
    pub title: Title,
    pub protocol: TileProtocol,
    /// The service's address, a template with `{z}`, `{x}`, `{y}`, or `file:///FILE`. `practice:` in front stands for the
    /// practice data centre's address.
    pub url: String,
    /// The layer of a WMS or WMTS; several of a WMS are set off by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Of that layer; absent: its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<String>,
    /// Whose map it is, shown on the map; absent: what the source says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// The terms of use; absent: what the source says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Narrower than what the source says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_zoom: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_zoom: Option<u8>,
    /// Sample or practice data: marked so wherever it is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sample: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub practice: bool,
    /// For sources that do not answer everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

impl BasemapSpec {
    /// What is wrong with it: the key at fault and a sentence, in which no secret is repeated.
    pub fn fault(&self) -> Option<(String, String)> {
        let wrong = |field: &str, problem: &str| Some((field.to_owned(), problem.to_owned()));
        if !is_secret_name(&self.id) || self.id == DRAWN_BASEMAP {
            let problem =
                "lower-case letters, digits, _ and -, starting with a letter, at most 63 bytes, and not \"drawn\"";
            return wrong("id", problem);
        }
        if holds_login(&self.url) {
            return wrong("url", "the address carries a user or a password; name a secret under `credentials` instead");
        }
        let known = ["https://", "http://", "practice:/", "file:///"];
        if !known.iter().any(|start| self.url.starts_with(start)) {
            return wrong("url", "it is no address; write \"https://HOST/PATH\" or \"file:///FILE\"");
        }
        if self.credentials.as_ref().is_some_and(|credentials| !is_secret_name(credentials.secret())) {
            return wrong("credentials.secret", "it is the name a secret is kept under, not the secret");
        }
        match (self.min_zoom.unwrap_or(0), self.max_zoom.unwrap_or(24)) {
            (min, max) if min > max || max > 24 => wrong("max_zoom", "zooms go from 0 to 24, the lower one first"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(more: &str) -> BasemapSpec {
        let text = format!("id = \"a\"\ntitle = {{ vi = \"A\", en = \"A\" }}\nprotocol = \"wms\"\n{more}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn faults_are_named_and_secrets_not_repeated() {
        assert_eq!(spec("url = \"https://h/wms\"").fault(), None);
        assert_eq!(spec("url = \"file:///srv/nền.pmtiles\"").fault(), None);
        for (more, field) in [
            ("url = \"https://me:s3cret@h/wms\"", "url"),
            ("url = \"ftp://h/wms\"", "url"),
            ("url = \"https://h/\"\nmin_zoom = 9\nmax_zoom = 3", "max_zoom"),
            ("url = \"https://h/\"\ncredentials = { kind = \"bearer\", secret = \"S3cret!\" }", "credentials.secret"),
        ] {
            let (at, problem) = spec(more).fault().unwrap();
            assert!(at == field && !problem.to_lowercase().contains("s3cret"), "{at}: {problem}");
        }
        assert_eq!(BasemapSpec { id: "drawn".into(), ..spec("url = \"https://h/\"") }.fault().unwrap().0, "id");
    }
}
