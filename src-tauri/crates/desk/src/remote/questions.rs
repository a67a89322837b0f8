//! The questions to a layer that stays in the data centre: each becomes a box, a filter and a number for its service, and is
//! asked again here of what came.

use super::plan::{Plan, filtering};
use super::{Answered, service};
use crate::Desk;
use crate::api::{Event, Failure};
use crate::args::QueryArgs;
use crate::layers::Layer;
use crate::query::{Asked, QueryAnswer};
use geo_types::Coord;
use model::{BBox, LayerSpec, LinkState};
use sources::asking::Question;
use spatial::Filter;
use std::sync::Arc;

/// So many features are fetched for one question; one that needs more is too wide to be answered at a desk.
const MOST: u64 = 10_000;
/// Services commonly give so many at once.
const PAGE: u64 = 1_000;
/// Hits of a search that are asked for.
const SEARCHED: u64 = 50;
/// Words shorter than this match half the province.
const SEARCH_LETTERS: usize = 3;
/// Around a place, in degrees: a few centimetres, against rounding.
const PLACE_DEG: f64 = 5e-7;
/// Circles that the nearest are looked for in, one after the other, metres; then everywhere.
const CIRCLES_M: [f64; 5] = [1_000.0, 4_000.0, 16_000.0, 64_000.0, 256_000.0];

/// What came for a question.
struct Came {
    layer: Arc<Layer>,
    answered_at: model::Timestamp,
    kept: bool,
    /// Nothing was left behind.
    whole: bool,
    /// How many answer the question, by the service's word.
    matched: Option<u64>,
    /// Features that the service sent from outside of the box.
    outside: u64,
}

impl Desk {
    /// As [`Desk::query`], of a layer that stays in the data centre.
    pub(crate) async fn query_remote(
        &self,
        layer: &Layer,
        args: &QueryArgs,
        asked: &Asked,
    ) -> Result<QueryAnswer, Failure> {
        let spec = &layer.spec;
        let abilities = self.abilities_of(spec).await?;
        let plan = Plan::of(spec, &abilities, asked.filter.as_ref());
        if let (Some(from), Some(nearest), None) = (asked.near, args.nearest, args.within_m) {
            for radius_m in CIRCLES_M {
                let within = QueryArgs { within_m: Some(radius_m), ..args.clone() };
                let circle = around(from, radius_m);
                let came = self.all_of(spec, &plan, Some(circle)).await?;
                self.must_be_whole(spec, &plan, &came)?;
                let answer = self.answer(&came.layer, &within, asked);
                let all_seen = abilities.extent.is_some_and(|extent| holds(&circle, &extent));
                if answer.number_matched >= nearest as usize || all_seen {
                    return Ok(answer.of(came.answered_at, came.kept));
                }
            }
        }
        let bbox = match (asked.at, asked.near, args.within_m) {
            (Some(at), ..) => Some(around_deg(at, PLACE_DEG, PLACE_DEG)),
            (None, Some(from), Some(within_m)) => Some(around(from, within_m)),
            _ => args.bbox,
        };
        // The first so many are enough where nothing is left to be sorted out or put in order here.
        let few = args.limit.filter(|_| plan.is_whole() && asked.near.is_none()).map(u64::from);
        let mut came = match few {
            Some(few) => self.came(spec, &plan, bbox, few.clamp(1, MOST)).await?,
            None => self.all_of(spec, &plan, bbox).await?,
        };
        let mut answer = self.answer(&came.layer, args, asked);
        let enough = |answer: &QueryAnswer| {
            asked.near.is_none() && args.limit.is_some_and(|limit| answer.number_returned >= limit as usize)
        };
        if !came.whole && !enough(&answer) && few.is_some_and(|few| few < MOST) {
            came = self.all_of(spec, &plan, bbox).await?;
            answer = self.answer(&came.layer, args, asked);
        }
        if !came.whole && !enough(&answer) {
            self.must_be_whole(spec, &plan, &came)?;
        }
        let counted = came.matched.filter(|_| !came.whole && plan.is_whole() && came.outside == 0);
        if let Some(counted) = counted.and_then(|counted| usize::try_from(counted).ok()) {
            answer.number_matched = answer.number_matched.max(counted);
        }
        Ok(answer.of(came.answered_at, came.kept))
    }

    /// All that answers a question, or where that is too much its first page: where the service counts more than may come,
    /// the others are not asked for.
    async fn all_of(&self, spec: &LayerSpec, plan: &Plan, bbox: Option<BBox>) -> Result<Came, Failure> {
        let first = self.came(spec, plan, bbox, PAGE).await?;
        if first.whole || first.matched.is_some_and(|matched| matched > MOST) {
            return Ok(first);
        }
        self.came(spec, plan, bbox, MOST).await
    }

    /// What answers a question, up to about so many features.
    async fn came(&self, spec: &LayerSpec, plan: &Plan, bbox: Option<BBox>, at_most: u64) -> Result<Came, Failure> {
        let question = Question { bbox, filter: plan.filter.clone(), equal: plan.equal.clone(), at_most };
        let Answered { value: part, at, kept } = self.part_of(spec, &question).await?;
        let (whole, matched, outside) = (part.whole, part.matched, part.outside);
        let layer = self.layer_of(spec, Answered { value: part.features, at, kept }).await?;
        Ok(Came { layer, answered_at: at, kept, whole, matched, outside })
    }

    /// # Errors
    /// What the service lacks, where an answer would have to look through more than comes here.
    fn must_be_whole(&self, spec: &LayerSpec, plan: &Plan, came: &Came) -> Result<(), Failure> {
        if came.whole {
            return Ok(());
        }
        let (most, fields) = (MOST.to_string(), plan.unsaid.join(", "));
        let count = came.matched.map_or_else(|| format!("> {MOST}"), |count| count.to_string());
        let code = if came.outside > 0 {
            "remote_no_bbox"
        } else if plan.is_whole() {
            "remote_too_many"
        } else {
            "remote_no_filter"
        };
        let at = [
            ("layer", spec.id.as_str()),
            ("source", spec.feature_source.as_deref().unwrap_or_default()),
            ("count", count.as_str()),
            ("most", most.as_str()),
            ("fields", fields.as_str()),
        ];
        Err(self.failure(code, at))
    }

    /// One feature as a layer of its own; empty where there is none.
    pub(crate) async fn feature_remote(&self, spec: &LayerSpec, id: &str) -> Result<Arc<Layer>, Failure> {
        let Answered { value, at, kept } = self.item_of(spec, id).await?;
        self.layer_of(spec, Answered { value: value.into_iter().collect(), at, kept }).await
    }

    /// What lies around a place, as a layer of its own: all of it within the radius, or at least the `enough` nearest.
    /// `None` where the service cannot tell, which is said once.
    pub(crate) async fn around_remote(
        &self,
        spec: &LayerSpec,
        from: Coord<f64>,
        within_m: f64,
        enough: usize,
    ) -> Option<Arc<Layer>> {
        let mut radius_m = within_m.max(0.05);
        loop {
            let came = match self.all_of(spec, &Plan::default(), Some(around(from, radius_m))).await {
                Ok(came) => came,
                Err(failure) => return self.told_missing(spec, failure),
            };
            let near = || came.layer.picture.near(from, Some(radius_m), Some(enough)).len() >= enough;
            match self.must_be_whole(spec, &Plan::default(), &came) {
                Ok(()) if radius_m >= within_m || near() => return Some(came.layer),
                // A smaller circle was whole, and had too few.
                Ok(()) => {
                    let failure = self.failure("remote_crowded", [("layer", spec.id.as_str())]);
                    return self.told_missing(spec, failure);
                }
                Err(_) if radius_m > within_m / 16.0 => radius_m /= 2.0,
                Err(failure) => return self.told_missing(spec, failure),
            }
        }
    }

    /// What bears a name, as a layer of its own; `None` where the service cannot be asked for names.
    pub(crate) async fn search_remote(&self, spec: &LayerSpec, text: &str) -> Option<Arc<Layer>> {
        let words: Vec<String> = text.split_whitespace().map(model::nfc).collect();
        let searchable = |word: &String| !word.contains(['\'', '%', '_', '\\', '"']);
        let longest = words.iter().map(|word| word.chars().count()).max().unwrap_or(0);
        // Whoever types does not wait for a line that is known to be down.
        let lost = spec.feature_source.as_ref().is_some_and(|id| self.links().state(id) == LinkState::Lost);
        if !spec.search || lost || longest < SEARCH_LETTERS || !words.iter().all(searchable) {
            return None;
        }
        let abilities = self.abilities_of(spec).await.ok()?;
        filtering(spec, &abilities)?;
        // As loose as the service can be asked.
        let forms = [("ACCENTI(CASEI(", "))"), ("CASEI(", ")"), ("", "")];
        let plan = forms.into_iter().find_map(|(open, close)| {
            let each = words.iter().map(|word| {
                format!("{open}\"{}\"{close} LIKE {open}'%{word}%'{close}", spec.name_field.replace('"', ""))
            });
            let filter = Filter::parse(&each.collect::<Vec<_>>().join(" AND ")).ok()?;
            Some(Plan::of(spec, &abilities, Some(&filter))).filter(Plan::is_whole)
        })?;
        // A name that is not found because nobody answers is not worth a word at every letter.
        let patient = tokio::time::timeout(service::SEARCH_PATIENCE, self.came(spec, &plan, None, SEARCHED));
        Some(patient.await.ok()?.ok()?.layer)
    }

    /// Says once that a layer is missing from an answer over several.
    fn told_missing(&self, spec: &LayerSpec, failure: Failure) -> Option<Arc<Layer>> {
        if self.remotes().told.lock().insert(spec.id.clone()) {
            self.tell(&Event::Notice { failure, serious: false });
        }
        None
    }
}

fn around_deg(at: Coord<f64>, x: f64, y: f64) -> BBox {
    BBox {
        west: (at.x - x).max(-180.0),
        south: (at.y - y).max(-90.0),
        east: (at.x + x).min(180.0),
        north: (at.y + y).min(90.0),
    }
}

/// A box around a circle, a little wide. The shortest degree of latitude has 110,574 m.
fn around(from: Coord<f64>, radius_m: f64) -> BBox {
    let dy = radius_m / 110_500.0 + PLACE_DEG;
    let shrink = (from.y.abs() + dy).min(89.0).to_radians().cos();
    around_deg(from, (radius_m / (110_500.0 * shrink) + PLACE_DEG).min(360.0), dy)
}

fn holds(outer: &BBox, inner: &BBox) -> bool {
    outer.contains(inner.west, inner.south) && outer.contains(inner.east, inner.north)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_around_a_circle_holds_it() {
        let from = Coord { x: 106.2, y: 11.1 };
        let layer = |at: Coord<f64>| {
            let feature = model::Feature {
                id: "a".into(),
                geometry: geo_types::Point(at).into(),
                properties: model::Properties::new(),
            };
            spatial::LayerPicture::build(model::LayerId::new("x").unwrap(), 1, vec![feature], "name", &[])
        };
        for radius_m in [0.05, 500.0, 256_000.0] {
            let bbox = around(from, radius_m);
            let corners = [(bbox.west, from.y), (bbox.east, from.y), (from.x, bbox.south), (from.x, bbox.north)];
            for (x, y) in corners {
                let hits = layer(Coord { x, y }).near(from, Some(radius_m), None);
                assert!(hits.is_empty(), "{radius_m}: {x} {y} lies within");
            }
        }
    }
}
