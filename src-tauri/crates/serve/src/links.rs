//! Links, always absolute.

use crate::answer::JSON;
use crate::request::{Asked, Format};
use serde_json::{Value, json};

pub(crate) fn link(rel: &str, content_type: &str, title: &str, href: String) -> Value {
    json!({"rel": rel, "type": content_type, "title": title, "href": href})
}

/// `self` and `alternate` of a resource in JSON of some type and HTML.
pub(crate) fn this(asked: &Asked, format: Format, content_type: &str) -> Vec<Value> {
    let of = |name: &str| {
        let others = asked.params.iter().filter(|(known, _)| known != "f");
        let params: Vec<(&str, &str)> = others.map(|(known, value)| (known.as_str(), value.as_str())).collect();
        let path = if asked.path.is_empty() { "/" } else { &asked.path };
        format!("{}{path}{}", asked.base, query(params.into_iter().chain([("f", name)])))
    };
    let (own, other) = match format {
        Format::Json => ("self", "alternate"),
        Format::Html => ("alternate", "self"),
    };
    vec![
        link(own, content_type, &asked.word("serve.link.json"), of("json")),
        link(other, "text/html", &asked.word("serve.link.html"), of("html")),
    ]
}

/// A link to a page below this server, as JSON.
pub(crate) fn to(asked: &Asked, rel: &str, path: &str, key: &str) -> Value {
    link(rel, JSON, &asked.word(key), format!("{}{path}?f=json", asked.base))
}

/// A query string with its question mark; empty for no parameters.
pub(crate) fn query<'a>(params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in params {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&encode(name));
        out.push('=');
        out.push_str(&encode(value));
    }
    out
}

/// Percent-encodes all but what RFC 3986 leaves free in a segment and in a query value.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
