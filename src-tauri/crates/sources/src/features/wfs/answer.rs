//! A page of a WFS: GeoJSON or GML, or an exception report in place of either.

use super::super::pages::print_of;
use super::super::{malformed, pages::Pages};
use super::capabilities::{Kind, Offer, local, refuse_exceptions};
use super::gml;
use crate::crs::{by_name, with_axes};
use crate::file::{rejection, stored};
use crate::geojson::Parsed;
use crate::geometry::swap_axes;
use crate::net::{FetchError, host_of};
use crate::xml::{CUT, Element, Next, Walker, document, text_of};
use model::{Properties, Rejection, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use url::Url;

/// The number of features on a page, and in all where the server tells.
#[derive(Debug, PartialEq)]
pub(super) struct Count {
    pub(super) here: usize,
    pub(super) matched: Option<u64>,
}

/// What is needed to read an answer.
pub(super) struct Reading<'a> {
    pub(super) url: &'a Url,
    pub(super) offer: &'a Offer,
    pub(super) kinds: &'a HashMap<String, Kind>,
}

/// Whether an answer is XML, whatever was asked for.
fn is_xml(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

impl Reading<'_> {
    /// Takes a page in.
    pub(super) fn page(&self, bytes: &[u8], pages: &mut Pages) -> Result<Count, FetchError> {
        if is_xml(bytes) { self.gml(bytes, pages) } else { self.json(bytes, pages) }
    }

    /// The number of features in all, by an answer to `resultType=hits`.
    pub(super) fn hits(&self, bytes: &[u8]) -> Result<Option<u64>, FetchError> {
        if !is_xml(bytes) {
            return Ok(None);
        }
        let root = document(bytes).map_err(|reason| self.wrong(reason))?;
        refuse_exceptions(self.url, &root)?;
        Ok(matched(&root).or_else(|| root.attribute("numberOfFeatures")?.parse().ok()))
    }

    fn wrong(&self, reason: String) -> FetchError {
        match reason == CUT {
            true => FetchError::Truncated { host: host_of(self.url) },
            false => malformed(self.url, reason),
        }
    }

    fn json(&self, bytes: &[u8], pages: &mut Pages) -> Result<Count, FetchError> {
        let page: Page<'_> = serde_json::from_slice(bytes).map_err(|error| match error.is_eof() {
            true => FetchError::Truncated { host: host_of(self.url) },
            false => malformed(self.url, format!("no page of features came: {error}")),
        })?;
        // GeoJSON has longitude first, whatever its system is called (RFC 7946; so do the servers that write `crs`).
        let said = page.crs.as_ref().and_then(|crs| crs.pointer("/properties/name")?.as_str());
        pages.crs(self.url, &by_name(said.unwrap_or(&self.offer.assumed_srs)))?;
        pages.begin(self.url, bytes.len(), page.features.len(), print_of(page.features.iter().map(|raw| raw.get())))?;
        for raw in &page.features {
            let mut parsed = crate::geojson::parse(raw.get().as_bytes(), pages.next_row());
            if let Ok(Parsed { id: Some(id), .. }) = &mut parsed {
                *id = self.own_id(id);
            }
            pages.add_text(self.url, parsed, raw.get())?;
        }
        let matched = [page.number_matched, page.total_features].into_iter().flatten().find_map(|n| n.as_u64());
        Ok(Count { here: page.features.len(), matched })
    }

    fn gml(&self, bytes: &[u8], pages: &mut Pages) -> Result<Count, FetchError> {
        let text = text_of(bytes).map_err(|reason| self.wrong(reason))?;
        let mut walker = Walker::new(&text);
        let document = self.document(&mut walker).map_err(|reason| self.wrong(reason))?;
        if let Document::Other(root) = &document {
            refuse_exceptions(self.url, root)?;
            return Err(malformed(self.url, format!("a {:?} came instead of a FeatureCollection", root.name)));
        }
        let Document::Collection { matched, srs, features } = document else {
            return Ok(Count { here: 0, matched: None });
        };
        let here = features.len();
        pages.begin(self.url, bytes.len(), here, print_of(&features))?;
        for feature in features {
            let row = pages.next_row();
            let parsed = match self.feature(&feature, row, srs.as_deref()) {
                Ok((parsed, crs)) => {
                    pages.crs(self.url, &crs)?;
                    Ok(parsed)
                }
                Err(rejection) => Err(*rejection),
            };
            pages.add(self.url, parsed)?;
        }
        Ok(Count { here, matched })
    }

    fn document(&self, walker: &mut Walker<'_>) -> Result<Document, String> {
        let Next::Start(start, empty) = walker.next()? else { return Err("there is no element in it".into()) };
        let root = walker.head(&start)?;
        if root.name != "FeatureCollection" {
            return walker.whole(&start, empty).map(Document::Other);
        }
        let matched = matched(&root);
        let (mut srs, mut features) = (None, Vec::new());
        let mut open = !empty;
        while open {
            match walker.next()? {
                Next::End | Next::Eof => open = false,
                Next::Start(start, empty) => match start.local_name().into_inner() {
                    "member" | "featureMember" | "featureMembers" if empty => {}
                    "member" | "featureMember" | "featureMembers" => loop {
                        match walker.next()? {
                            Next::Start(start, empty) => features.push(walker.whole(&start, empty)?),
                            Next::End => break,
                            Next::Eof => return Err(CUT.into()),
                        }
                    },
                    _ => {
                        let other = walker.whole(&start, empty)?;
                        let envelope = other.child("Envelope").or_else(|| other.child("Box"));
                        if let (true, Some(name)) =
                            (other.name == "boundedBy", envelope.and_then(|e| e.attribute("srsName")))
                        {
                            srs = Some(name.to_owned());
                        }
                    }
                },
            }
        }
        Ok(Document::Collection { matched, srs, features })
    }

    /// One feature; `around` is the system that the collection names.
    fn feature(
        &self,
        feature: &Element,
        row: u64,
        around: Option<&str>,
    ) -> Result<(Parsed, crate::file::FileCrs), Box<Rejection>> {
        let mut properties = Properties::new();
        let mut shape = None;
        for property in &feature.children {
            if property.gml && matches!(property.name.as_str(), "boundedBy" | "metaDataProperty") {
                continue;
            }
            match gml::in_property(property) {
                Some(found) if shape.is_none() => {
                    shape = Some(
                        gml::read(found)
                            .map_err(|reason| rejection(row, "geometry", &found.name, "geometry_invalid", reason))?,
                    );
                }
                Some(_) => {}
                // A second name of GML's own adds nothing.
                None if property.gml && property.children.is_empty() && property.text.trim().is_empty() => {}
                None => {
                    properties.insert(stored(&property.name), self.value(property));
                }
            }
        }
        let Some(gml::Shape { mut geometry, srs }) = shape else {
            return Err(Box::new(rejection(row, "geometry", "", "geometry_missing", "the feature has no geometry")));
        };
        let own = feature.child("boundedBy").and_then(|found| found.child("Envelope")?.attribute("srsName"));
        let name = srs.as_deref().or(own).or(around).unwrap_or(&self.offer.assumed_srs);
        let (crs, north_first) = with_axes(name);
        if north_first {
            swap_axes(&mut geometry);
        }
        let id = feature.attribute("id").or_else(|| feature.attribute("fid")).map(|id| self.own_id(id));
        Ok((Parsed { id, geometry, properties }, crs))
    }

    /// An id without the type's name in front, which XML needs (no id may begin with a digit) and nobody else does.
    fn own_id(&self, id: &str) -> String {
        let name = local(&self.offer.type_name);
        id.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('.'))
            .filter(|own| !own.is_empty())
            .unwrap_or(id)
            .to_owned()
    }

    fn value(&self, property: &Element) -> Value {
        let text = property.all_text();
        if text.is_empty() || property.attribute("nil").is_some_and(|nil| matches!(nil, "true" | "1")) {
            return Value::Null;
        }
        let typed = match self.kinds.get(&property.name) {
            Some(Kind::Integer) => text.parse().ok().map(Value::Integer),
            Some(Kind::Real) => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Real),
            Some(Kind::Boolean) => match text.as_str() {
                "true" | "1" => Some(Value::Bool(true)),
                "false" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            Some(Kind::Text) | None => None,
        };
        typed.unwrap_or_else(|| Value::Text(stored(&text)))
    }
}

enum Document {
    Collection { matched: Option<u64>, srs: Option<String>, features: Vec<Element> },
    Other(Element),
}

/// `numberMatched` may be `unknown`; WFS 1.1 has `numberOfFeatures`, which on a page is the page's own.
fn matched(root: &Element) -> Option<u64> {
    root.attribute("numberMatched").and_then(|number| number.parse().ok())
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    features: Vec<&'a RawValue>,
    #[serde(default)]
    crs: Option<serde_json::Value>,
    #[serde(default, rename = "numberMatched")]
    number_matched: Option<serde_json::Value>,
    #[serde(default, rename = "totalFeatures")]
    total_features: Option<serde_json::Value>,
}
