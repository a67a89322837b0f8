//! The query of an items page, checked.

use super::CRS84;
use crate::http::{Trouble, pairs, query_of};
use model::{BBox, Timestamp};

pub(super) const LIMIT: usize = 100;
pub(super) const MAX_LIMIT: usize = 1_000;

#[derive(Debug, PartialEq)]
pub(super) struct ItemsQuery {
    /// 1 … [`MAX_LIMIT`]; a larger wish is cut, as the standard asks.
    pub limit: usize,
    pub offset: usize,
    /// More than one when a box crosses the antimeridian (west > east).
    pub boxes: Vec<BBox>,
    /// All pairs but the offset, for the links to other pages.
    kept: Vec<(String, String)>,
}

impl ItemsQuery {
    /// # Errors
    /// 400 for unknown parameters and for values out of form.
    pub fn parse(query: Option<&str>) -> Result<Self, Trouble> {
        let mut parsed = Self { limit: LIMIT, offset: 0, boxes: Vec::new(), kept: Vec::new() };
        for (name, value) in pairs(query) {
            match name.as_str() {
                "limit" => {
                    let limit: usize = number(&name, &value)?;
                    if limit == 0 {
                        return Err(Trouble::bad("limit must be 1 or more"));
                    }
                    parsed.limit = limit.min(MAX_LIMIT);
                }
                "offset" => {
                    parsed.offset = number(&name, &value)?;
                    continue;
                }
                "bbox" => parsed.boxes = boxes(&value)?,
                // The features carry no time, so the standard has all of them match.
                "datetime" => check_datetime(&value)?,
                "f" if matches!(value.as_str(), "json" | "geojson") => {}
                "f" => return Err(Trouble::bad(format!("f={value}: only json"))),
                "crs" | "bbox-crs" if value == CRS84 => {}
                "crs" | "bbox-crs" => return Err(Trouble::bad(format!("{name}={value}: only {CRS84}"))),
                _ => {
                    return Err(Trouble::bad(format!(
                        "unknown parameter {name:?}; known are limit, offset, bbox, datetime, crs, bbox-crs, f"
                    )));
                }
            }
            parsed.kept.push((name, value));
        }
        Ok(parsed)
    }

    /// The query of another page of the same question.
    pub fn at(&self, offset: usize) -> String {
        let mut pairs = self.kept.clone();
        if offset > 0 {
            pairs.push(("offset".into(), offset.to_string()));
        }
        query_of(&pairs)
    }
}

fn number(name: &str, value: &str) -> Result<usize, Trouble> {
    value.parse().map_err(|_| Trouble::bad(format!("{name}={value}: not a whole number from 0")))
}

fn boxes(text: &str) -> Result<Vec<BBox>, Trouble> {
    let wrong = || {
        Trouble::bad(format!("bbox={text}: write west,south,east,north in degrees, for example 105.9,10.9,106.5,11.4"))
    };
    let numbers: Vec<f64> =
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map_err(|_| wrong())?;
    // Six numbers carry heights, which nothing here has.
    let [west, south, east, north] = match numbers[..] {
        [w, s, e, n] | [w, s, _, e, n, _] => [w, s, e, n],
        _ => return Err(wrong()),
    };
    let sane = [west, east].iter().all(|x| x.abs() <= 180.0) && [south, north].iter().all(|y| y.abs() <= 90.0);
    if !sane || south > north {
        return Err(wrong());
    }
    Ok(if west <= east {
        vec![BBox { west, south, east, north }]
    } else {
        vec![BBox { west, south, east: 180.0, north }, BBox { west: -180.0, south, east, north }]
    })
}

fn check_datetime(text: &str) -> Result<(), Trouble> {
    let wrong = || {
        Trouble::bad(format!("datetime={text}: write an instant or an interval, for example 2026-11-23T00:00:00Z/.."))
    };
    let instant = |part: &str| part.parse::<Timestamp>().is_ok() || part.parse::<jiff::civil::Date>().is_ok();
    let end = |part: &str| part.is_empty() || part == ".." || instant(part);
    let ok = match text.split_once('/') {
        Some((from, to)) => end(from) && end(to),
        None => instant(text),
    };
    if ok { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_queries_are_refused_with_the_way_out() {
        for (query, word) in [
            ("limit=0", "1 or more"),
            ("limit=x", "whole number"),
            ("bbox=1,2,3", "west"),
            ("bbox=106,12,107,11", "west"),
            ("datetime=yesterday", "instant"),
            ("filter=a", "unknown parameter"),
            ("crs=EPSG:9209", "CRS84"),
        ] {
            let trouble = format!("{:?}", ItemsQuery::parse(Some(query)).unwrap_err());
            assert!(trouble.contains(word), "{query}: {trouble}");
        }
    }

    #[test]
    fn other_pages_keep_the_question() {
        let query =
            ItemsQuery::parse(Some("bbox=105,10,106,11&limit=5000&datetime=../2026-11-23T00:00:00Z&offset=7")).unwrap();
        assert_eq!((query.limit, query.offset), (MAX_LIMIT, 7));
        assert_eq!(query.at(1_007), "?bbox=105,10,106,11&limit=5000&datetime=../2026-11-23T00:00:00Z&offset=1007");
    }
}
