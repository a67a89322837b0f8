//! Sentences for people: codes and inputs in, Vietnamese or English out. The texts live in `assets/locale`.

use crate::api::{Failure, Language};
use model::Title;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

type Texts = HashMap<String, String>;

static VI: LazyLock<Texts> = LazyLock::new(|| read(include_str!("../../../../assets/locale/core.vi.json")));
static EN: LazyLock<Texts> = LazyLock::new(|| read(include_str!("../../../../assets/locale/core.en.json")));

/// The file is part of the program; a test proves that it reads.
fn read(text: &str) -> Texts {
    serde_json::from_str(text).unwrap_or_default()
}

fn texts(language: Language) -> &'static Texts {
    match language {
        Language::Vi => &VI,
        Language::En => &EN,
    }
}

/// The sentence for a key with `{name}` places filled in; the key itself when no sentence is known.
pub fn sentence(language: Language, key: &str, values: &BTreeMap<String, String>) -> String {
    let Some(template) = texts(language).get(key) else { return key.to_owned() };
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template.as_str();
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('}') else { break };
        let name = &rest[open + 1..open + close];
        out.push_str(values.get(name).map_or("…", String::as_str));
        rest = &rest[open + close + 1..];
    }
    out.push_str(rest);
    out
}

/// A text in both languages, places unfilled.
pub fn title(key: &str) -> Title {
    let text = |language| texts(language).get(key).cloned().unwrap_or_else(|| key.to_owned());
    Title { vi: text(Language::Vi), en: text(Language::En) }
}

/// A failure with its sentence.
pub fn failure<'a>(language: Language, code: &str, at: impl IntoIterator<Item = (&'a str, &'a str)>) -> Failure {
    let at: BTreeMap<String, String> = at.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    Failure { code: code.to_owned(), message: sentence(language, &format!("error.{code}"), &at), at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_hold_the_same_keys_and_places() {
        let keys = |texts: &Texts| {
            let mut keys: Vec<_> = texts.keys().cloned().collect();
            keys.sort();
            keys
        };
        assert!(VI.len() > 10);
        assert_eq!(keys(&VI), keys(&EN));
        let places = |text: &str| {
            let mut places: Vec<_> = text.split('{').skip(1).map(|p| p.split('}').next().unwrap().to_owned()).collect();
            places.sort();
            places.dedup();
            places
        };
        for key in keys(&VI) {
            assert_eq!(places(&VI[&key]), places(&EN[&key]), "{key}");
        }
    }

    #[test]
    fn places_are_filled() {
        let failure = failure(Language::Vi, "role_needed", [("role", "Ca trực"), ("what", "sync")]);
        assert!(failure.message.contains("Ca trực"), "{}", failure.message);
    }
}
