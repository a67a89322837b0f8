//! Query options of SensorThings (OData): `$top $skip $count $orderby $filter $expand $select`, nested too.

use super::filter::{Comparison, parse_filter};
use crate::http::Trouble;

pub(super) const TOP: usize = 100;
pub(super) const MAX_TOP: usize = 1_000;
/// Deeper expansions than any client needs.
const MAX_DEPTH: usize = 6;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    /// Property path; `id` stands for `@iot.id`.
    pub path: String,
    pub descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expand {
    pub name: String,
    pub options: Options,
}

/// The options of one collection or entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    top: Option<usize>,
    pub skip: usize,
    pub count: bool,
    pub orderby: Vec<Order>,
    /// All must hold.
    pub filter: Vec<Comparison>,
    pub expand: Vec<Expand>,
    pub select: Option<Vec<String>>,
    /// `$skiptoken`, set by next links: milliseconds on the practice clock at the first page. Later pages look at the
    /// same moment, so that arrivals in between neither repeat nor hide anything.
    pub as_of_ms: Option<i64>,
    /// All pairs as written but `$skip` and `$skiptoken`, for next links.
    kept: Vec<(String, String)>,
}

impl Options {
    /// # Errors
    /// 400 for unknown options and for values out of form, with the way out.
    pub fn parse(pairs: Vec<(String, String)>) -> Result<Self, Trouble> {
        parse_at(pairs, 0)
    }

    /// Entities on a page.
    pub fn page_size(&self) -> usize {
        self.top.unwrap_or(TOP).min(MAX_TOP)
    }

    /// The pairs of the page that begins at `skip`.
    pub fn next(&self, skip: usize, as_of_ms: Option<i64>) -> Vec<(String, String)> {
        let mut pairs = self.kept.clone();
        pairs.push(("$skip".into(), skip.to_string()));
        if let Some(as_of_ms) = as_of_ms {
            pairs.push(("$skiptoken".into(), as_of_ms.to_string()));
        }
        pairs
    }
}

fn parse_at(pairs: Vec<(String, String)>, depth: usize) -> Result<Options, Trouble> {
    if depth > MAX_DEPTH {
        return Err(Trouble::bad(format!("$expand is nested more than {MAX_DEPTH} deep")));
    }
    let mut options = Options::default();
    for (name, value) in pairs {
        match name.as_str() {
            "$top" => options.top = Some(number(&name, &value)?),
            "$skip" => {
                options.skip = number(&name, &value)?;
                continue;
            }
            "$skiptoken" => {
                options.as_of_ms = Some(value.parse().map_err(|_| {
                    Trouble::bad(format!("$skiptoken={value}: comes from a nextLink and is used as it stands there"))
                })?);
                continue;
            }
            "$count" => {
                options.count = value.parse().map_err(|_| Trouble::bad(format!("$count={value}: true or false")))?;
            }
            "$orderby" => options.orderby = parse_orderby(&value)?,
            "$filter" => options.filter = parse_filter(&value)?,
            "$expand" => options.expand = parse_expand(&value, depth)?,
            "$select" => {
                options.select = Some(value.split(',').map(|part| part.trim().to_owned()).collect());
            }
            "$resultFormat" if value == "json" => {}
            _ => {
                return Err(Trouble::bad(format!(
                    "unknown option {name:?}; known are $top, $skip, $count, $orderby, $filter, $expand, $select"
                )));
            }
        }
        options.kept.push((name, value));
    }
    Ok(options)
}

fn number(name: &str, value: &str) -> Result<usize, Trouble> {
    value.parse().map_err(|_| Trouble::bad(format!("{name}={value}: not a whole number from 0")))
}

fn parse_orderby(text: &str) -> Result<Vec<Order>, Trouble> {
    text.split(',')
        .map(|part| {
            let mut words = part.split_whitespace();
            let (path, direction, rest) = (words.next(), words.next(), words.next());
            match (path, direction, rest) {
                (Some(path), None | Some("asc"), None) => Ok(Order { path: path.to_owned(), descending: false }),
                (Some(path), Some("desc"), None) => Ok(Order { path: path.to_owned(), descending: true }),
                _ => Err(Trouble::bad(format!(
                    "$orderby={text}: write a property and asc or desc, for example phenomenonTime desc"
                ))),
            }
        })
        .collect()
}

fn parse_expand(text: &str, depth: usize) -> Result<Vec<Expand>, Trouble> {
    let wrong = |problem: &str| Trouble::bad(format!("$expand={text}: {problem}"));
    let mut all: Vec<Expand> = Vec::new();
    for part in split(text, ',').ok_or_else(|| wrong("parentheses or quotes do not close"))? {
        let part = part.trim();
        let (path, inner) = match part.split_once('(') {
            Some((path, rest)) => {
                (path, Some(rest.strip_suffix(')').ok_or_else(|| wrong("text after the closing parenthesis"))?))
            }
            None => (part, None),
        };
        let pairs = split(inner.unwrap_or_default(), ';')
            .ok_or_else(|| wrong("parentheses or quotes do not close"))?
            .into_iter()
            .filter(|pair| !pair.trim().is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').ok_or_else(|| wrong("inner options are $name=value; …"))?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect::<Result<Vec<_>, Trouble>>()?;
        let mut options = parse_at(pairs, depth + 1)?;
        // A/B(…) is A($expand=B(…)).
        let mut names = path.trim().rsplit('/');
        let mut name = names.next().unwrap_or_default();
        for outer in names {
            options = Options { expand: vec![Expand { name: name.to_owned(), options }], ..Options::default() };
            name = outer;
        }
        if name.is_empty() {
            return Err(wrong("a name is missing"));
        }
        match all.iter_mut().find(|expand| expand.name == name) {
            Some(expand) => expand.options.expand.extend(options.expand),
            None => all.push(Expand { name: name.to_owned(), options }),
        }
    }
    Ok(all)
}

/// Splits outside of parentheses and quotes; `None` when those do not close.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut depth, mut quoted) = (Vec::new(), 0, 0_usize, false);
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ if c == separator && depth == 0 => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    (depth == 0 && !quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<Vec<Expand>, Trouble> {
        Options::parse(vec![("$expand".into(), text.into())]).map(|options| options.expand)
    }

    #[test]
    fn nested_expansion_reads() {
        let all =
            expand("Locations,Datastreams($expand=Observations($top=1;$orderby=phenomenonTime desc),ObservedProperty)")
                .unwrap();
        assert_eq!(all.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["Locations", "Datastreams"]);
        let inner = &all[1].options.expand;
        assert_eq!(inner.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["Observations", "ObservedProperty"]);
        assert_eq!(inner[0].options.page_size(), 1);
        assert_eq!(inner[0].options.orderby, [Order { path: "phenomenonTime".into(), descending: true }]);
        assert_eq!(
            expand("Datastreams/ObservedProperty").unwrap()[0].options.expand[0].name,
            "ObservedProperty",
            "the path form is the same as the nested one"
        );
    }

    #[test]
    fn faulty_options_are_refused_with_the_way_out() {
        for (name, value, word) in [
            ("$top", "-1", "whole number"),
            ("$orderby", "phenomenonTime down", "asc or desc"),
            ("$expand", "Datastreams($top=1", "do not close"),
            ("$expand", "Datastreams($foo=1)", "unknown option"),
            ("$expand", ",", "missing"),
            ("$format", "x", "unknown option"),
            ("$filter", "result gt", "$filter"),
        ] {
            let trouble = Options::parse(vec![(name.into(), value.into())]).unwrap_err();
            assert!(format!("{trouble:?}").contains(word), "{name}={value}: {trouble:?}");
        }
        let deep = "A(".to_owned() + &"$expand=A(".repeat(200) + &")".repeat(201);
        assert!(expand(&deep).is_err());
    }
}
