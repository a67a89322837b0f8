//! Attributions are written as HTML. Nothing of it reaches the window: text stays text, links are checked.

use model::Credit;
use url::Url;

/// Longest attribution, letter by letter of its HTML.
const LIMIT_CHARS: usize = 8_000;

/// The credits in a piece of HTML: plain text, and links that lead by http or https.
pub(super) fn credits(html: &str) -> Vec<Credit> {
    let html: String = html.chars().take(LIMIT_CHARS).collect();
    let mut credits: Vec<Credit> = Vec::new();
    let mut link: Option<String> = None;
    let mut push = |text: &str, link: &Option<String>| {
        let text = collapsed(text);
        if text.is_empty() {
            return;
        }
        match credits.last_mut() {
            Some(last) if last.url == *link => {
                last.text = format!("{} {text}", last.text);
            }
            _ => credits.push(Credit { text, url: link.clone() }),
        }
    };
    walk(&html, &mut |piece| match piece {
        Piece::Text(text) => push(&text, &link),
        Piece::Tag(tag) => {
            let name = name_of(tag);
            if name == "/a" {
                link = None;
            } else if name == "a" {
                link = attribute(tag, "href").and_then(|href| checked(&href));
            }
        }
    });
    credits
}

/// The text of a piece of HTML, in one line.
pub(super) fn plain(html: &str) -> String {
    let mut out = String::new();
    walk(html, &mut |piece| match piece {
        Piece::Text(text) => out.push_str(&text),
        Piece::Tag(_) => out.push(' '),
    });
    collapsed(&out)
}

/// An address that may be opened: http or https, without a login.
pub(super) fn checked(href: &str) -> Option<String> {
    let href = href.trim();
    let absolute = if href.starts_with("//") { format!("https:{href}") } else { href.to_owned() };
    let url = Url::parse(&absolute).ok()?;
    let fit = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    fit.then(|| url.to_string())
}

enum Piece<'a> {
    /// Entities are resolved.
    Text(String),
    /// What stands between `<` and `>`.
    Tag(&'a str),
}

/// Text and tags in turn. What scripts and styles hold is neither.
fn walk<'a>(html: &'a str, take: &mut impl FnMut(Piece<'a>)) {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, tagged) = rest.split_at(at);
        take(Piece::Text(resolved(text)));
        let inner = &tagged[1..];
        if !inner.starts_with(|letter: char| letter.is_ascii_alphabetic() || matches!(letter, '/' | '!' | '?')) {
            take(Piece::Text("<".into()));
            rest = inner;
            continue;
        }
        if let Some(comment) = inner.strip_prefix("!--") {
            let Some(end) = comment.find("-->") else { return };
            rest = &comment[end + 3..];
            continue;
        }
        let Some(end) = inner.find('>') else { return };
        let (tag, after) = inner.split_at(end);
        take(Piece::Tag(tag));
        rest = &after[1..];
        let name = name_of(tag);
        if name == "script" || name == "style" {
            let closing = format!("</{name}");
            match rest.to_ascii_lowercase().find(&closing) {
                Some(at) => rest = &rest[at..],
                None => return,
            }
        }
    }
    take(Piece::Text(resolved(rest)));
}

fn name_of(tag: &str) -> String {
    let end = |letter: char| letter.is_whitespace();
    tag.split(end).next().unwrap_or_default().trim_end_matches('/').to_ascii_lowercase()
}

fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let lower = tag.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower[from..].find(wanted) {
        let (start, end) = (from + at, from + at + wanted.len());
        from = end;
        let own = lower[..start].ends_with(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\''));
        let Some(value) = tag[end..].trim_start().strip_prefix('=').filter(|_| own) else { continue };
        let value = value.trim_start();
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or_default(),
            _ => value.split_whitespace().next().unwrap_or_default(),
        };
        return Some(resolved(value));
    }
    None
}

/// The entities that attributions are written with; any other stays as it is written.
fn resolved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let entity = &rest[at + 1..];
        let end = entity.char_indices().take(12).find(|(_, letter)| *letter == ';').map(|(at, _)| at);
        match end.and_then(|end| letter_of(&entity[..end]).map(|letter| (end, letter))) {
            Some((end, letter)) => {
                out.push(letter);
                rest = &entity[end + 1..];
            }
            None => {
                out.push('&');
                rest = entity;
            }
        }
    }
    out.push_str(rest);
    out
}

fn letter_of(entity: &str) -> Option<char> {
    if let Some(number) = entity.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|letter| !letter.is_control());
    }
    Some(match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "ndash" => '–',
        "mdash" => '—',
        "middot" => '·',
        _ => return None,
    })
}

fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(html: &str) -> Vec<(String, Option<String>)> {
        credits(html).into_iter().map(|credit| (credit.text, credit.url)).collect()
    }

    #[test]
    fn links_are_kept_and_nothing_else_of_the_html() {
        let osm =
            "&copy; <a href=\"https://www.openstreetmap.org/copyright\" target='_blank'>OpenStreetMap</a> contributors";
        assert_eq!(
            pairs(osm),
            [
                ("©".into(), None),
                ("OpenStreetMap".into(), Some("https://www.openstreetmap.org/copyright".into())),
                ("contributors".into(), None)
            ]
        );
        assert_eq!(pairs("Sở TN&amp;MT <b>Tây&nbsp;Ninh</b>"), [("Sở TN&MT Tây Ninh".into(), None)]);
        assert_eq!(pairs("a < b & c"), [("a < b & c".into(), None)]);
    }

    #[test]
    fn what_is_no_web_address_is_text() {
        for href in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "/relative", "https://u:p@h/"] {
            assert_eq!(pairs(&format!("<a href='{href}'>x</a>")), [("x".into(), None)], "{href}");
        }
        assert_eq!(pairs("<a href=//h/x>x</a>"), [("x".into(), Some("https://h/x".into()))]);
        assert_eq!(pairs("<script>alert('x')</script>ok<style>p{}</style>"), [("ok".into(), None)]);
        assert_eq!(pairs("a <!-- <b>not</b> this --> b"), [("a b".into(), None)]);
        assert_eq!(pairs("<img src=x onerror=alert(1)>ok"), [("ok".into(), None)]);
        assert_eq!(pairs("<a data-href='https://evil/' title=x>x</a>"), [("x".into(), None)]);
        assert_eq!(pairs("&#60;b&#62; &#x41; &#0; &unknown;"), [("<b> A &#0; &unknown;".into(), None)]);
        assert_eq!(pairs("cut <a href='https://h/"), [("cut".into(), None)]);
        assert_eq!(pairs("<ſ>&ſſſſſſſſſſſſſſ;").len(), 1);
    }
}
