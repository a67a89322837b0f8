//! A request as the handlers see it: who asks, in which language and format, with which parameters.

use crate::answer::{Answer, respond};
use crate::guard::Seen;
use crate::problem::Problem;
use crate::server::App;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use desk::api::Language;
use desk::{Audience, PublishedLayer, Title};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Html,
}

/// Waits at most so long for a worker.
const QUEUE: Duration = Duration::from_secs(10);
/// A question that takes longer is not waited for.
pub(crate) const WORK: Duration = Duration::from_secs(30);

pub(crate) struct Asked {
    pub app: Arc<App>,
    pub audience: Audience,
    pub language: Language,
    /// Where this server is, for links; no slash at the end.
    pub base: String,
    /// The path below `base`.
    pub path: String,
    pub headers: HeaderMap,
    /// Decoded, in their order.
    pub params: Vec<(String, String)>,
    accepts_html: bool,
}

impl FromRequestParts<Arc<App>> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self::new(app.clone(), parts))
    }
}

impl Asked {
    pub fn new(app: Arc<App>, parts: &Parts) -> Self {
        let seen = parts.extensions.get::<Seen>().cloned().unwrap_or_default();
        let params = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let language = language(&parts.headers);
        Self {
            base: app.base(&parts.headers),
            app,
            audience: seen.0,
            language,
            path: parts.uri.path().trim_end_matches('/').to_owned(),
            accepts_html: accepts_html(&parts.headers),
            headers: parts.headers.clone(),
            params: params.map(|query| query.0).unwrap_or_default(),
        }
    }

    /// Answers on a worker thread; HTML for people where the problem is the answer too.
    pub async fn answer(self, work: impl FnOnce(&Self) -> Result<Answer, Problem> + Send + 'static) -> Response {
        let asked = Arc::new(self);
        let worker = asked.clone();
        let permit = tokio::time::timeout(QUEUE, asked.app.workers.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return respond(&asked, Err(Problem::Busy)) };
        let task = tokio::task::spawn_blocking(move || {
            // Given back when the work ends, also when nobody waits any more.
            let _permit = permit;
            respond(&worker, work(&worker))
        });
        match tokio::time::timeout(WORK, task).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => respond(&asked, Err(Problem::Broken)),
            Err(_) => respond(&asked, Err(Problem::TooSlow { seconds: WORK.as_secs() })),
        }
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Refuses parameters that the resource does not know: a filter with a typing error must not answer with everything.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (at, (name, _)) in self.params.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Problem::Parameter { parameter: name.clone(), known: known.join(", ") });
            }
            if self.params[..at].iter().any(|(before, _)| before == name) {
                return Err(Problem::Twice { parameter: name.clone() });
            }
        }
        Ok(())
    }

    /// JSON unless `f=html` or a browser asks.
    pub fn format(&self) -> Result<Format, Problem> {
        match self.param("f") {
            Some("json" | "geojson") => Ok(Format::Json),
            Some("html") => Ok(Format::Html),
            Some(other) => Err(Problem::Format { format: other.to_owned() }),
            None if self.accepts_html => Ok(Format::Html),
            None => Ok(Format::Json),
        }
    }

    pub fn layer(&self, id: &str) -> Result<PublishedLayer, Problem> {
        let layer = self.app.desk.published_layer(self.audience, id);
        layer.ok_or_else(|| Problem::NoCollection { collection: id.to_owned() })
    }

    /// The asker's language of a text in both.
    pub fn say<'a>(&self, title: &'a Title) -> &'a str {
        match self.language {
            Language::Vi => &title.vi,
            Language::En => &title.en,
        }
    }

    /// A text of `assets/locale` in the asker's language.
    pub fn word(&self, key: &str) -> String {
        self.say(&desk::text_of(key)).to_owned()
    }
}

/// The quality of each item of an `Accept…` header, in the order of preference.
fn preferences(headers: &HeaderMap, name: header::HeaderName) -> Vec<String> {
    let all =
        headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut items: Vec<(f32, String)> = all
        .map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let what = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            (quality, what)
        })
        .filter(|(quality, what)| *quality > 0.0 && !what.is_empty())
        .collect();
    items.sort_by(|a, b| b.0.total_cmp(&a.0));
    items.into_iter().map(|(_, what)| what).collect()
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let known = |what: &String| what.ends_with("json") || what.contains("html") || what == "*/*";
    preferences(headers, header::ACCEPT).into_iter().find(known).is_some_and(|what| what.contains("html"))
}

fn language(headers: &HeaderMap) -> Language {
    let known = preferences(headers, header::ACCEPT_LANGUAGE).into_iter().find_map(|what| {
        match what.split('-').next().unwrap_or_default() {
            "vi" => Some(Language::Vi),
            "en" => Some(Language::En),
            _ => None,
        }
    });
    known.unwrap_or_default()
}

/// Whether an answer may come compressed.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    preferences(headers, header::ACCEPT_ENCODING).iter().any(|what| what == "gzip")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_browser_gets_a_page_and_a_program_json() {
        let html = |accept: &str| accepts_html(&headers(header::ACCEPT, accept));
        assert!(html("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!html("application/geo+json, application/json;q=0.9, text/html;q=0.5"));
        assert!(!html("*/*") && !html("") && !html("text/html;q=0"));
    }

    #[test]
    fn the_language_that_is_preferred_and_known_is_spoken() {
        let of = |accept: &str| language(&headers(header::ACCEPT_LANGUAGE, accept));
        assert_eq!(of("en-GB,en;q=0.8,vi;q=0.5"), Language::En);
        assert_eq!(of("fr, vi;q=0.3"), Language::Vi);
        assert_eq!(of("fr"), Language::Vi);
    }
}
