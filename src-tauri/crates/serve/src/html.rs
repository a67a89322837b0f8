//! The pages for people: Vietnamese with English beside it (or the other way, as the browser prefers), no scripts,
//! nothing from outside.

use crate::items;
use crate::links::query;
use crate::request::Asked;
use axum::http::StatusCode;
use desk::api::Language;
use desk::{PublishedLayer, Title};
use serde_json::Value;
use std::fmt::Write;

/// The few tokens of the design that these pages need, in light and dark.
const STYLE: &str = include_str!("page.css");

pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A text in the asker's language, the other beside it where it differs.
fn both(asked: &Asked, title: &Title) -> String {
    let (first, second, tag) = match asked.language {
        Language::Vi => (&title.vi, &title.en, "en"),
        Language::En => (&title.en, &title.vi, "vi"),
    };
    if first == second {
        return escape(first);
    }
    format!("{} <span class=\"beside\" lang=\"{tag}\">{}</span>", escape(first), escape(second))
}

fn words(asked: &Asked, key: &str) -> String {
    both(asked, &desk::text_of(key))
}

fn page(asked: &Asked, title: &str, body: &str) -> String {
    let lang = match asked.language {
        Language::Vi => "vi",
        Language::En => "en",
    };
    let plain = title.split("<span").next().unwrap_or(title).trim();
    // Not every path has a page above it: from a tile matrix set one goes to the start.
    let mut crumbs = format!("<a href=\"{}/?f=html\">Toàn Cảnh</a>", escape(&asked.base));
    let mut parts = asked.path.split('/').skip(1);
    if parts.next() == Some("collections") {
        let base = escape(&asked.base);
        let _ = write!(
            crumbs,
            " / <a href=\"{base}/collections?f=html\">{}</a>",
            escape(&asked.word("serve.link.collections"))
        );
        if let Some(id) = parts.next().filter(|id| asked.app.desk.published_layer(asked.audience, id).is_some()) {
            let _ = write!(crumbs, " / <a href=\"{base}/collections/{id}?f=html\">{id}</a>");
        }
    }
    format!(
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{plain}</title><style>{STYLE}</style></head>\n<body><nav>{crumbs}</nav><main><h1>{title}</h1>\n{body}</main></body></html>\n"
    )
}

fn anchor(href: &str, inner: &str) -> String {
    format!("<a href=\"{}\">{inner}</a>", escape(href))
}

/// One line a link: its title, its type.
fn list_of_links(links: &[Value]) -> String {
    let line = |link: &Value| {
        let (href, title) = (link["href"].as_str().unwrap_or_default(), link["title"].as_str().unwrap_or_default());
        let kind = link["type"].as_str().unwrap_or_default();
        format!("<li>{} <span class=\"beside\">{}</span></li>", anchor(href, &escape(title)), escape(kind))
    };
    format!("<ul>{}</ul>", links.iter().map(line).collect::<String>())
}

/// What must stand beside everything that is not an official record.
fn marks(asked: &Asked, layer: &PublishedLayer) -> String {
    let info = layer.info();
    let mark = |shown: bool, key: &str| {
        if shown { format!(" <span class=\"mark\">{}</span>", escape(&asked.word(key))) } else { String::new() }
    };
    let internal = info.classification == desk::Classification::Internal;
    mark(info.sample, "serve.mark.sample")
        + &mark(info.practice, "serve.mark.practice")
        + &mark(internal, "serve.mark.internal")
}

pub(crate) fn problem(asked: &Asked, status: StatusCode, sentence: &str) -> String {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    page(asked, &title, &format!("<p>{}</p>", escape(sentence)))
}

pub(crate) fn landing(asked: &Asked, links: &[Value]) -> String {
    let body = format!("<p>{}</p>{}", words(asked, "serve.description"), list_of_links(links));
    let title = format!("{} · {}", words(asked, "serve.title"), both(asked, &asked.app.desk.profile().title));
    page(asked, &title, &body)
}

pub(crate) fn links(asked: &Asked, key: &str, links: &[Value]) -> String {
    page(asked, &words(asked, key), &list_of_links(links))
}

pub(crate) fn list(asked: &Asked, key: &str, lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    page(asked, &words(asked, key), &format!("<ul>{lines}</ul>"))
}

pub(crate) fn collections(asked: &Asked, layers: &[PublishedLayer], links: &[Value]) -> String {
    let heads =
        ["serve.key.title", "serve.key.features", "serve.key.freshness", "serve.key.as_of", "serve.key.provider"];
    let mut rows = String::new();
    for layer in layers {
        let info = layer.info();
        let href = format!("{}/collections/{}?f=html", asked.base, info.id);
        let provider = info.provenance.as_ref().map(|provenance| escape(asked.say(&provenance.provider)));
        let _ = write!(
            rows,
            "<tr><td>{}{}</td><td class=\"number\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            anchor(&href, &both(asked, &info.title)),
            marks(asked, layer),
            count(asked.language, info.features),
            escape(&asked.word(&format!("serve.freshness.{}", info.freshness.as_str()))),
            moment(asked, info.as_of),
            provider.unwrap_or_default(),
        );
    }
    let body = format!(
        "<table><thead><tr>{}</tr></thead><tbody>{rows}</tbody></table>{}",
        head(asked, &heads),
        list_of_links(links)
    );
    page(asked, &words(asked, "serve.link.collections"), &body)
}

fn head(asked: &Asked, keys: &[&str]) -> String {
    keys.iter().map(|key| format!("<th>{}</th>", words(asked, key))).collect()
}

/// A moment in the province's own time, as the window writes it: `28/11/2026 15:50`.
fn moment(asked: &Asked, at: Option<desk::Timestamp>) -> String {
    let Some(at) = at else { return "–".to_owned() };
    let zone = jiff::tz::TimeZone::get(&asked.app.desk.profile().timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    at.to_zoned_datetime(zone).strftime("%d/%m/%Y %H:%M").to_string()
}

/// A count with its thousands set apart: `24.291` (vi), `24,291` (en).
fn count(language: Language, number: u64) -> String {
    let point = match language {
        Language::Vi => '.',
        Language::En => ',',
    };
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(point);
        }
        out.push(digit);
    }
    out
}

/// A collection with its age, origin and licence.
pub(crate) fn collection(asked: &Asked, layer: &PublishedLayer, document: &Value) -> String {
    let info = layer.info();
    let mut rows = String::new();
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            let _ = write!(rows, "<tr><th>{}</th><td>{value}</td></tr>", words(asked, key));
        }
    };
    row("serve.key.features", count(asked.language, info.features));
    row("serve.key.freshness", escape(&asked.word(&format!("serve.freshness.{}", info.freshness.as_str()))));
    row("serve.key.as_of", moment(asked, info.as_of));
    if let Some(provenance) = &info.provenance {
        row("serve.key.fetched_at", moment(asked, Some(provenance.fetched_at)));
        row("serve.key.provider", both(asked, &provenance.provider));
        row("serve.key.licence", escape(&provenance.licence));
        row("serve.key.source", escape(&provenance.source));
    }
    row("serve.key.note", info.note.as_ref().map(|note| both(asked, note)).unwrap_or_default());
    let links = document["links"].as_array().cloned().unwrap_or_default();
    let body = format!("<p>{}</p><table class=\"pairs\">{rows}</table>{}", marks(asked, layer), list_of_links(&links));
    page(asked, &both(asked, &info.title), &body)
}

pub(crate) fn fields(asked: &Asked, layer: &PublishedLayer, what: &str) -> String {
    let mut rows = String::new();
    for field in layer.fields().iter().cloned().chain(layer.live_fields()) {
        let kind = format!("{:?}", field.field_type).to_lowercase();
        let unit = field.unit.as_deref().unwrap_or_default();
        let _ = write!(
            rows,
            "<tr><td><code>{}</code></td><td>{}</td><td>{kind}</td><td>{}</td></tr>",
            escape(&field.name),
            both(asked, &field.title),
            escape(unit)
        );
    }
    let heads = head(asked, &["serve.key.name", "serve.key.title", "serve.key.type", "serve.key.unit"]);
    let body = format!("<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>");
    let title = format!("{}: {}", escape(asked.say(&layer.info().title)), words(asked, &format!("serve.link.{what}")));
    page(asked, &title, &body)
}

/// A value as people read it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => escape(text),
        other => escape(&other.to_string()),
    }
}

/// Columns of a table of features: more do not fit on a page.
const COLUMNS: usize = 6;

pub(crate) fn items(asked: &Asked, layer: &PublishedLayer, about: &Value, features: &[Value]) -> String {
    let names: Vec<String> = features
        .first()
        .and_then(|first| first["properties"].as_object())
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    // The declared fields first, in their order.
    let mut columns: Vec<&str> = layer
        .fields()
        .iter()
        .map(|field| field.name.as_str())
        .filter(|name| names.iter().any(|known| known == name))
        .collect();
    columns.truncate(COLUMNS);
    let live = layer.live_fields();
    columns.extend(live.iter().map(|field| field.name.as_str()).filter(|name| names.iter().any(|known| known == name)));
    let title = |name: &&str| {
        let field = layer.fields().iter().chain(&live).find(|field| field.name == *name);
        field.map_or_else(|| escape(name), |field| both(asked, &field.title))
    };
    let heads: String = columns.iter().map(|name| format!("<th>{}</th>", title(name))).collect();
    let mut rows = String::new();
    for feature in features {
        let id = feature["id"].as_str().unwrap_or_default();
        let live = asked.param("live").map(|live| ("live", live));
        let href = items::href(asked, layer, id) + &query([("f", "html")].into_iter().chain(live));
        let cells: String =
            columns.iter().map(|name| format!("<td>{}</td>", shown(&feature["properties"][*name]))).collect();
        let _ = write!(rows, "<tr><td>{}</td>{cells}</tr>", anchor(&href, &escape(id)));
    }
    let number = |key: &str| about[key].as_u64().map_or_else(|| "–".to_owned(), |number| count(asked.language, number));
    let counts = format!("{} / {}", number("numberReturned"), number("numberMatched"));
    let links = about["links"].as_array().cloned().unwrap_or_default();
    let body = format!(
        "<p>{counts} {} · {} {}{}</p><table><thead><tr><th>id</th>{heads}</tr></thead><tbody>{rows}</tbody></table>{}",
        escape(&asked.word("serve.key.features")),
        escape(&asked.word("serve.key.as_of")),
        moment(asked, layer.info().as_of),
        marks(asked, layer),
        list_of_links(&links)
    );
    page(asked, &both(asked, &layer.info().title), &body)
}

pub(crate) fn item(asked: &Asked, layer: &PublishedLayer, name: &str, feature: &Value, links: &[Value]) -> String {
    let mut rows = String::new();
    let properties = feature["properties"].as_object();
    for field in layer.fields().iter().cloned().chain(layer.live_fields()) {
        let Some(value) = properties.and_then(|properties| properties.get(&field.name)) else { continue };
        let unit = field.unit.as_deref().filter(|_| !value.is_null()).unwrap_or_default();
        let _ =
            write!(rows, "<tr><th>{}</th><td>{} {}</td></tr>", both(asked, &field.title), shown(value), escape(unit));
    }
    let body = format!(
        "<p>{} · {} {}{}</p><table class=\"pairs\">{rows}</table>{}",
        escape(asked.say(&layer.info().title)),
        escape(&asked.word("serve.key.as_of")),
        moment(asked, layer.info().as_of),
        marks(asked, layer),
        list_of_links(links)
    );
    page(asked, &escape(name), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_set_apart_as_each_language_does() {
        let in_vietnamese = [0, 96, 999, 1_000, 24_291, 1_000_000].map(|number| count(Language::Vi, number));
        assert_eq!(in_vietnamese, ["0", "96", "999", "1.000", "24.291", "1.000.000"]);
        assert_eq!(count(Language::En, 24_291), "24,291");
    }

    #[test]
    fn markup_in_data_stays_text() {
        assert_eq!(escape("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }
}
