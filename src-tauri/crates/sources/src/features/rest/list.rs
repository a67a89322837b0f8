//! A list that the profile maps item by item.

use super::items;
use super::{Face, Next, Page, Progressed, below, instead, next_link, print, rows, with};
use crate::features::{Wanted, malformed};
use crate::net::{FetchError, follow};
use model::{Paging, RestMapping, Timestamp};
use reqwest::header::HeaderMap;
use serde_json::Value as Json;
use serde_json_path::JsonPath;
use url::Url;

pub(super) struct List<'a> {
    pub(super) mapping: &'a RestMapping,
    pub(super) wanted: Wanted<'a>,
}

impl Face for List<'_> {
    fn first(&self) -> Result<Url, FetchError> {
        let path = self.mapping.path.as_deref().or(self.wanted.collection).unwrap_or_default();
        let url = below(self.wanted.root, path)?;
        let Some(paging) = &self.mapping.paging else { return Ok(url) };
        let mut set = Vec::new();
        match paging {
            Paging::Page { param, first, .. } => set.push((param.as_str(), first.to_string())),
            Paging::Offset { param, .. } => set.push((param.as_str(), "0".to_owned())),
            Paging::Cursor { .. } | Paging::Link { .. } => {}
        }
        let (size_param, size) = paging.size();
        set.extend(size_param.map(|param| (param, size.to_string())));
        Ok(if set.is_empty() { url } else { with(&url, &set) })
    }

    fn accept(&self) -> &'static str {
        "application/json"
    }

    fn page(&self, url: &Url, headers: &HeaderMap, page: &Json, so_far: &Progressed) -> Result<Page, FetchError> {
        let found = self.items(url, page)?;
        let total = self.mapping.total.as_ref().map(|path| total(url, path, page)).transpose()?;
        let rows = rows(url, &found, so_far, |item, row| items::read(self.mapping, item, row))?;
        let as_of = self.mapping.as_of.as_ref().and_then(|path| moment(path, page));
        let next = self.next(url, headers, page, &found, total, so_far)?;
        Ok(Page { rows, print: print(&found), total, as_of, next })
    }
}

impl List<'_> {
    /// The items of a page. `$.data` and `$.data[*]` both stand for the list `data`, which must be there; what has no list
    /// at that place is some other answer.
    fn items<'p>(&self, url: &Url, page: &'p Json) -> Result<Vec<&'p Json>, FetchError> {
        let Some(path) = &self.mapping.items else {
            return Err(malformed(url, "the layer has no mapping; write one under [layers.rest] in the profile"));
        };
        let text = path.to_string();
        let whole = text.strip_suffix("[*]").and_then(|text| JsonPath::parse(text).ok());
        let nodes = whole.as_ref().unwrap_or(path).query(page).all();
        let nothing = || malformed(url, format!("there is no list at {text}; what came is {}", instead(page)));
        match nodes.as_slice() {
            [] => Err(nothing()),
            // As some services write a list without items.
            [Json::Null] => Ok(Vec::new()),
            [Json::Array(items)] => Ok(items.iter().collect()),
            many if whole.is_some() => {
                let lists: Option<Vec<&Vec<Json>>> = many.iter().map(|node| node.as_array()).collect();
                Ok(lists.ok_or_else(nothing)?.into_iter().flatten().collect())
            }
            [_] if !text.contains(['*', '?']) && !text.contains("..") => Err(nothing()),
            many => Ok(many.to_vec()),
        }
    }

    fn next(
        &self,
        url: &Url,
        headers: &HeaderMap,
        page: &Json,
        found: &[&Json],
        total: Option<u64>,
        so_far: &Progressed,
    ) -> Result<Next, FetchError> {
        let Some(paging) = &self.mapping.paging else { return Ok(Next::End) };
        let count = found.len() as u64;
        let received = so_far.received + count;
        let counted = |param: &str, number: u64| {
            let to = with(url, &[(param, number.to_string())]);
            match total {
                _ if count == 0 => Next::End,
                Some(total) if received >= total => Next::End,
                Some(_) => Next::At(to),
                // The server's own limit may be smaller than the size asked for: only the next page tells.
                None if so_far.pages == 0 && count < u64::from(paging.size().1) => Next::Perhaps(to),
                None if so_far.pages > 0 && count < so_far.first_page => Next::End,
                None => Next::Perhaps(to),
            }
        };
        Ok(match paging {
            Paging::Page { param, first, .. } => counted(param, u64::from(*first) + u64::from(so_far.pages) + 1),
            Paging::Offset { param, .. } => counted(param, received),
            Paging::Cursor { next, param, .. } => match next.query(page).first() {
                None | Some(Json::Null | Json::Bool(false)) => Next::End,
                Some(Json::String(text)) if text.trim().is_empty() => Next::End,
                Some(Json::String(text)) => Next::At(match param {
                    Some(param) => with(url, &[(param, text.clone())]),
                    None => follow(url, text)?,
                }),
                Some(Json::Number(number)) if param.is_some() => {
                    Next::At(with(url, &[(param.as_deref().unwrap_or_default(), number.to_string())]))
                }
                Some(other) => {
                    return Err(malformed(url, format!("what stands at {next} leads nowhere: {}", instead(other))));
                }
            },
            Paging::Link { .. } => match next_link(headers) {
                Some(link) => Next::At(follow(url, &link)?),
                None => Next::End,
            },
        })
    }
}

/// A total that is none would let a page that was lost pass unseen.
fn total(url: &Url, path: &JsonPath, page: &Json) -> Result<u64, FetchError> {
    let found = path.query(page).first();
    let number = match found {
        Some(Json::Number(number)) => number.as_u64(),
        Some(Json::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        let what = found.map_or_else(|| "nothing".to_owned(), instead);
        malformed(url, format!("there is no number of items at {path} but {what}"))
    })
}

/// An instant, or a date as midnight UTC.
fn moment(path: &JsonPath, page: &Json) -> Option<Timestamp> {
    let text = path.query(page).first()?.as_str()?.trim();
    text.parse().ok().or_else(|| {
        let date: jiff::civil::Date = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
    })
}
