//! The reading calls: what a person asks of the map.

use crate::Desk;
use crate::api::{
    AqiView, Attribute, Failure, FeatureDetail, FeatureRef, GridPoint, NearHit, Place, Reading, SearchHit, Series,
};
use crate::args::{AtArgs, NearArgs, PlaceArgs, SearchArgs, SeriesArgs};
use crate::layers::Layer;
use crate::search::{Hit, Query, marks};
use geo_types::Coord;
use geodesy::Vn2000;
use live::aqi::{self, Pollutant};
use live::{FeatureState, Scale, severity};
use model::{
    BBox, Feature, Freshness, LayerId, LayerKind, Parameter, SensorStatus, Timestamp, Title, Value, freshness_of,
    geometry_bbox,
};
use std::collections::HashSet;
use std::sync::Arc;

/// Hits of one layer that only match the word being typed: more would bury the rest.
const PARTIAL_PER_LAYER: usize = 3;

/// More than is ever looked through at one place.
const EVERYTHING: usize = 1_000_000;

/// A name that matches: order of its layer, layer, hit.
type Found = (usize, Arc<Layer>, Hit);

impl Desk {
    /// Everything with a name, best first.
    pub(crate) async fn search(&self, args: SearchArgs) -> Result<Vec<SearchHit>, Failure> {
        let Some(query) = Query::new(&args.text) else { return Ok(Vec::new()) };
        let limit = usize::try_from(args.limit.clamp(1, 200)).unwrap_or(200);
        let role = self.session().role;
        let mut hits: Vec<Found> = Vec::new();
        for (order, layer) in self.layers().all().iter().filter(|layer| layer.allowed(role)).enumerate() {
            let asked = if layer.is_remote() { self.search_remote(&layer.spec, &args.text).await } else { None };
            let layer = asked.as_ref().unwrap_or(layer);
            let mut partial = 0;
            let mut seen = HashSet::new();
            for hit in layer.names().matches(&query, |ordinal| layer.written_name(ordinal)) {
                if hit.rank.partial() {
                    partial += 1;
                    if partial > PARTIAL_PER_LAYER {
                        continue;
                    }
                }
                // The parts of one road or river carry one name; one line in the list is enough.
                let parts = matches!(layer.spec.kind, LayerKind::Road | LayerKind::River | LayerKind::Border);
                if parts && !seen.insert(model::canonical(&layer.name_of(hit.ordinal))) {
                    continue;
                }
                hits.push((search_order(layer.spec.kind, order), layer.clone(), hit));
            }
        }
        // Among names that only match the word being typed, what kind of thing it is says more than how well it matches.
        hits.sort_by_key(|(order, _, Hit { rank, ordinal, .. })| {
            (rank.partial(), if rank.partial() { order / 1_000 } else { 0 }, *rank, *order, *ordinal)
        });
        hits.truncate(limit);
        let hits = hits.into_iter().filter_map(|(_, layer, hit)| {
            let ordinal = hit.ordinal;
            let feature = layer.picture.feature(ordinal)?;
            let point = layer.point_of(ordinal);
            Some(SearchHit {
                layer: layer.spec.id.clone(),
                kind: layer.spec.kind,
                id: feature.id.clone(),
                ordinal,
                name: layer.name_of(ordinal),
                marks: layer.written_name(ordinal).map_or_else(Vec::new, |name| marks(name, &hit)),
                exact: hit.rank.exact(),
                commune: self.commune_name(&layer, &feature, point),
                point: [point.x, point.y],
                bbox: geometry_bbox(&feature.geometry),
                area_m2: area_of(&feature),
                state: self.state_of(&layer, ordinal),
            })
        });
        Ok(hits.collect())
    }

    /// All about one feature.
    pub(crate) async fn feature(&self, args: FeatureRef) -> Result<FeatureDetail, Failure> {
        let (layer, ordinal) = self.find_anywhere(&args.layer, &args.id).await?;
        let Some(feature) = layer.picture.feature(ordinal) else { return Err(self.no_feature(&args.layer, &args.id)) };
        let point = layer.point_of(ordinal);
        let now = self.now();
        let state = self.state_of(&layer, ordinal);
        let (readings, aqi, aqi_reason) = self.live_detail(&layer, &feature.id, now);
        let provenance = layer.provenance().map(crate::info::shown);
        let still = layer.spec.still.as_ref().map(|_| format!("still/{}/{}", layer.spec.id, feature.id));
        let length_m = match feature.geometry {
            geo_types::Geometry::LineString(_) | geo_types::Geometry::MultiLineString(_) => {
                Some(geodesy::length_m(&feature.geometry))
            }
            _ => None,
        };
        Ok(FeatureDetail {
            layer: layer.spec.id.clone(),
            kind: layer.spec.kind,
            id: feature.id.clone(),
            ordinal,
            name: layer.name_of(ordinal),
            sample: crate::import::is_sample(&feature) || provenance.as_ref().is_some_and(|p| p.sample),
            practice: state.is_some() && self.live_is_practice(&layer)
                || layer.is_remote() && provenance.as_ref().is_some_and(|p| p.practice),
            commune: self.commune_name(&layer, &feature, point),
            attributes: attributes(&layer, &feature),
            point: [point.x, point.y],
            bbox: geometry_bbox(&feature.geometry),
            area_m2: area_of(&feature),
            length_m,
            vn2000: self.grid_points(point),
            freshness: state.as_ref().map_or_else(|| layer.freshness(now), |state| state.freshness),
            provenance,
            state,
            readings,
            aqi,
            aqi_reason,
            still,
        })
    }

    fn live_detail(&self, layer: &Layer, id: &str, now: Timestamp) -> (Vec<Reading>, Option<AqiView>, Option<Title>) {
        let link = self.link_of(layer);
        let mut live = self.live().lock();
        let Some(overlay) = live.get_mut(&layer.spec.id) else { return (Vec::new(), None, None) };
        let index = overlay.aqi(id, now);
        let air = layer.spec.kind == LayerKind::AirStation;
        let stale_after = overlay.stale_after();
        let last = overlay.readings(id);
        let reading = |parameter: &Parameter| {
            let last = last.iter().find(|reading| reading.code == parameter.code);
            let valid = last.filter(|reading| reading.status == SensorStatus::Measuring);
            let sub_index = match &index {
                Some((_, Ok(index))) if air => {
                    Pollutant::from_code(&parameter.code).and_then(|pollutant| index.sub.get(&pollutant)).copied()
                }
                _ => None,
            };
            Reading {
                parameter: parameter.clone(),
                value: last.map(|reading| reading.value),
                measured_at: last.map(|reading| reading.measured_at),
                status: last.map_or(SensorStatus::Measuring, |reading| reading.status),
                freshness: match freshness_of(last.map(|reading| reading.measured_at), stale_after, link, now) {
                    Freshness::Fresh if last.is_some_and(|reading| reading.status == SensorStatus::Faulty) => {
                        Freshness::Error
                    }
                    freshness => freshness,
                },
                level: if air {
                    sub_index.map_or(0, aqi::level)
                } else {
                    valid.map_or(0, |reading| severity(parameter, reading.value))
                },
                sub_index,
            }
        };
        let readings = layer.spec.parameters.iter().map(reading).collect();
        let (view, reason) = match index {
            Some((hour, Ok(index))) if air => {
                let before = overlay.aqi_at(id, hour - 3).map(|index| i32::from(index.value));
                let band = aqi::level(index.value);
                let view = AqiView {
                    value: index.value,
                    level: band,
                    band: crate::words::title(&format!("aqi.band.{band}")),
                    advice: crate::words::title(&format!("aqi.advice.{band}")),
                    dominant: index.dominant.code().to_owned(),
                    trend_3h: before.map(|before| i32::from(index.value) - before),
                    hour: Timestamp::from_second(hour * 3_600).unwrap_or(now),
                };
                (Some(view), None)
            }
            _ if air => (None, Some(crate::words::title("aqi.reason.no_particles"))),
            _ => (None, None),
        };
        (readings, view, reason)
    }

    /// What lies near a point, over all layers of things, nearest first.
    pub(crate) async fn near(&self, args: NearArgs) -> Result<Vec<NearHit>, Failure> {
        let center = self.coordinate(args.lon, args.lat)?;
        let limit = usize::try_from(args.limit.clamp(1, 500)).unwrap_or(500);
        let role = self.session().role;
        let mut hits = Vec::new();
        for layer in self.layers().all().iter().filter(|layer| layer.allowed(role) && is_thing(layer.spec.kind)) {
            let asked = match layer.is_remote() {
                true => self.around_remote(&layer.spec, center, args.within_m, limit + 1).await,
                false => None,
            };
            let layer = asked.as_ref().unwrap_or(layer);
            for (ordinal, distance_m) in layer.picture.near(center, Some(args.within_m), Some(limit + 1)) {
                hits.extend(near_hit(layer, ordinal, distance_m));
            }
        }
        if let Some(exclude) = &args.exclude {
            hits.retain(|hit| hit.layer != exclude.layer || hit.id != exclude.id);
        }
        hits.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m));
        hits.truncate(limit);
        Ok(hits)
    }

    /// What lies at a point, in the layers asked about; smallest first.
    pub(crate) async fn at(&self, args: AtArgs) -> Result<Vec<NearHit>, Failure> {
        let center = self.coordinate(args.lon, args.lat)?;
        let role = self.session().role;
        let mut hits = Vec::new();
        for id in &args.layers {
            let Some(layer) = self.layers().get(id).filter(|layer| layer.allowed(role)) else { continue };
            let asked = match layer.is_remote() {
                true => self.around_remote(&layer.spec, center, args.tolerance_m, EVERYTHING).await,
                false => None,
            };
            let layer = asked.unwrap_or(layer);
            for (ordinal, distance_m) in layer.picture.at(center, args.tolerance_m) {
                hits.extend(near_hit(&layer, ordinal, distance_m).map(|hit| (size_of(&layer, ordinal), hit)));
            }
        }
        hits.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.distance_m.total_cmp(&b.1.distance_m)));
        Ok(hits.into_iter().map(|(_, hit)| hit).collect())
    }

    /// Where a point is, in words and on paper.
    pub(crate) async fn place(&self, args: PlaceArgs) -> Result<Place, Failure> {
        let point = self.coordinate(args.lon, args.lat)?;
        let commune = self.commune_at(point).map(|(layer, ordinal)| layer.name_of(ordinal));
        Ok(Place { lon: args.lon, lat: args.lat, vn2000: self.grid_points(point), commune })
    }

    /// A station's values in time. What the history lacks is fetched while the source answers.
    pub(crate) async fn series(&self, args: SeriesArgs) -> Result<Series, Failure> {
        let (layer, _) = self.find(&args.layer, &args.id)?;
        let hours = i64::from(args.hours.clamp(1, 720));
        let to = self.now();
        let is_aqi = args.code == "aqi";
        // NowCast of the first hour shown looks back eleven more.
        let from = to - jiff::SignedDuration::from_hours(hours);
        let read_from = if is_aqi { from - jiff::SignedDuration::from_hours(12) } else { from };
        let parameter = layer.spec.parameter(&args.code).cloned();
        if parameter.is_none() && !(is_aqi && layer.spec.kind == LayerKind::AirStation) {
            return Err(self.failure("no_parameter", [("code", args.code.as_str()), ("layer", args.layer.as_str())]));
        }
        let code = (!is_aqi).then_some(args.code.as_str());
        self.fill_history(&layer, &args.id, read_from, to).await;
        let rows = self
            .history()
            .range(&args.layer, &args.id, code, read_from, to)
            .map_err(|error| self.store_failure(&error))?;
        let interval_secs = layer.spec.interval.map_or(300, model::Span::as_secs);
        let valid = rows.iter().filter(|row| row.status == SensorStatus::Measuring);
        let (points, step_secs) = if is_aqi {
            let mut means = aqi::HourlyMeans::new();
            for pollutant in Pollutant::ALL {
                let values = valid.clone().filter(|row| row.parameter == pollutant.code());
                means.insert(pollutant, aqi::hourly_means(values.map(|r| (r.measured_at, r.value)), interval_secs));
            }
            let first = from.as_second().div_euclid(3_600) + 1;
            let last = to.as_second().div_euclid(3_600);
            let index = |hour| aqi::hourly(&means, hour).ok().map(|index| (hour * 3_600, f64::from(index.value)));
            ((first..=last).filter_map(index).collect::<Vec<_>>(), 3_600)
        } else {
            (valid.map(|row| (row.measured_at.as_second(), row.value)).collect(), interval_secs)
        };
        let title = match &parameter {
            Some(parameter) => parameter.title.clone(),
            None => Title::same("VN_AQI"),
        };
        #[allow(clippy::cast_precision_loss)]
        let ms = |secs: i64| secs as f64 * 1_000.0;
        Ok(Series {
            gaps: gaps(&points, from.as_second(), to.as_second(), step_secs)
                .into_iter()
                .map(|[a, b]| [ms(a), ms(b)])
                .collect(),
            points: points.into_iter().map(|(at, value)| [ms(at), value]).collect(),
            layer: args.layer,
            id: args.id,
            code: args.code,
            title,
            unit: parameter.as_ref().map_or_else(String::new, |p| p.unit.clone()),
            decimals: parameter.as_ref().map_or(0, |p| p.decimals),
            from_ms: ms(from.as_second()),
            to_ms: ms(to.as_second()),
            limit_max: parameter.as_ref().and_then(|p| p.limit_max),
            limit_min: parameter.as_ref().and_then(|p| p.limit_min),
            scale: if is_aqi { Scale::Aqi } else { Scale::Severity },
        })
    }

    /// As [`Desk::find`], in the data centre where the layer stays there.
    async fn find_anywhere(&self, layer_id: &LayerId, id: &str) -> Result<(Arc<Layer>, u32), Failure> {
        let layer = self.layer(layer_id)?;
        if !layer.is_remote() {
            return self.find(layer_id, id);
        }
        let layer = self.feature_remote(&layer.spec, id).await?;
        let ordinal = layer.picture.ordinal_of(id).ok_or_else(|| self.no_feature(layer_id, id))?;
        Ok((layer, ordinal))
    }

    /// The layer and ordinal of a feature the person may see.
    pub(crate) fn find(&self, layer_id: &LayerId, id: &str) -> Result<(Arc<Layer>, u32), Failure> {
        let layer = self.layer(layer_id)?;
        let ordinal = layer.picture.ordinal_of(id).ok_or_else(|| self.no_feature(layer_id, id))?;
        Ok((layer, ordinal))
    }

    fn no_feature(&self, layer: &LayerId, id: &str) -> Failure {
        self.failure("no_feature", [("layer", layer.as_str()), ("id", id)])
    }

    pub(crate) fn coordinate(&self, lon: f64, lat: f64) -> Result<Coord<f64>, Failure> {
        if lon.is_finite() && lat.is_finite() && lon.abs() <= 180.0 && lat.abs() <= 90.0 {
            Ok(Coord { x: lon, y: lat })
        } else {
            Err(self.failure("bad_coordinate", [("lon", lon.to_string().as_str()), ("lat", lat.to_string().as_str())]))
        }
    }

    fn commune_at(&self, point: Coord<f64>) -> Option<(Arc<Layer>, u32)> {
        let layer = self.layers().of_kind(LayerKind::Communes)?;
        let (ordinal, _) = layer.picture.at(point, 0.0).into_iter().next()?;
        Some((layer, ordinal))
    }

    fn commune_name(&self, layer: &Layer, feature: &Feature, point: Coord<f64>) -> Option<String> {
        match layer.spec.kind {
            LayerKind::Communes | LayerKind::Outline | LayerKind::Border | LayerKind::River | LayerKind::Road => None,
            _ => {
                let declared = feature.text("commune").and_then(|code| {
                    let communes = self.layers().of_kind(LayerKind::Communes)?;
                    communes.picture.ordinal_of(code).map(|ordinal| communes.name_of(ordinal))
                });
                declared.or_else(|| self.commune_at(point).map(|(layer, ordinal)| layer.name_of(ordinal)))
            }
        }
    }

    /// The point in the province's VN-2000 systems, the one of its commune first.
    fn grid_points(&self, point: Coord<f64>) -> Vec<GridPoint> {
        let preferred = self.settings().epsg.or_else(|| self.epsg_at(point));
        let mut systems = self.profile().crs.clone();
        systems.sort_by_key(|system| Some(system.epsg) != preferred);
        let grid = |system: &model::CrsChoice| {
            let coord = geodesy::wgs84_to_vn2000(point, Vn2000::from_epsg(system.epsg)?).ok()?;
            Some(GridPoint {
                epsg: system.epsg,
                meridian: system.meridian.clone(),
                north_m: coord.north_m,
                east_m: coord.east_m,
            })
        };
        systems.iter().filter_map(grid).collect()
    }

    /// The VN-2000 system of the commune at a point: its `vn2000` attribute, else the one whose area bears the name of
    /// the commune's old province.
    fn epsg_at(&self, point: Coord<f64>) -> Option<u32> {
        let (layer, ordinal) = self.commune_at(point)?;
        if let Value::Integer(epsg) = layer.picture.value(ordinal, "vn2000") {
            return u32::try_from(epsg).ok();
        }
        let old = layer.picture.text(ordinal, "old_province")?;
        self.profile().crs.iter().find(|system| system.area.vi.starts_with(old)).map(|system| system.epsg)
    }

    pub(crate) fn state_of(&self, layer: &Layer, ordinal: u32) -> Option<FeatureState> {
        let link = self.link_of(layer);
        let mut live = self.live().lock();
        // The ordinal is of this picture; an overlay that has moved on would answer for another feature.
        let overlay = live.get_mut(&layer.spec.id).filter(|overlay| overlay.version() == layer.version())?;
        overlay.state(ordinal, link, self.now())
    }
}

/// Stations and communes before roads and the rest, whatever the profile's order.
fn search_order(kind: LayerKind, order: usize) -> usize {
    let class = match kind {
        LayerKind::AirStation | LayerKind::WaterStation | LayerKind::WaterLevelStation => 0,
        LayerKind::Communes | LayerKind::Outline | LayerKind::Place => 1,
        LayerKind::Camera => 2,
        LayerKind::WastewaterStation | LayerKind::StackStation | LayerKind::IndustrialPark => 3,
        _ => 4,
    };
    class * 1_000 + order
}

/// Layers that "what is near" asks: things one can go to, not ground.
fn is_thing(kind: LayerKind) -> bool {
    kind.is_live()
        || matches!(
            kind,
            LayerKind::School
                | LayerKind::Clinic
                | LayerKind::BorderGate
                | LayerKind::IndustrialPark
                | LayerKind::Other
        )
}

fn near_hit(layer: &Layer, ordinal: u32, distance_m: f64) -> Option<NearHit> {
    let id = layer.picture.id(ordinal)?.to_owned();
    let point = layer.point_of(ordinal);
    Some(NearHit {
        layer: layer.spec.id.clone(),
        kind: layer.spec.kind,
        id,
        ordinal,
        name: layer.name_of(ordinal),
        distance_m,
        point: [point.x, point.y],
    })
}

/// Points before lines before polygons, small polygons before large ones.
fn size_of(layer: &Layer, ordinal: u32) -> f64 {
    let Some(feature) = layer.picture.feature(ordinal) else { return f64::INFINITY };
    let BBox { west, south, east, north } = geometry_bbox(&feature.geometry);
    match area_of(&feature) {
        Some(area_m2) => 1.0 + area_m2,
        None if west == east && south == north => 0.0,
        None => 1.0,
    }
}

fn area_of(feature: &Feature) -> Option<f64> {
    match feature.geometry {
        geo_types::Geometry::Polygon(_) | geo_types::Geometry::MultiPolygon(_) => {
            Some(geodesy::area_m2(&feature.geometry))
        }
        _ => None,
    }
}

/// The declared fields in their order, then what the source brought beyond them.
fn attributes(layer: &Layer, feature: &Feature) -> Vec<Attribute> {
    let declared = layer.spec.fields.iter().filter_map(|field| {
        let value = feature.properties.get(&field.name)?;
        (!value.is_null()).then(|| Attribute { field: field.clone(), value: value.clone() })
    });
    let hidden = ["sample", "commune", "id"];
    let more = feature
        .properties
        .iter()
        .filter(|(name, value)| !value.is_null() && layer.spec.field(name).is_none() && !hidden.contains(name));
    let undeclared =
        more.map(|(name, value)| Attribute { field: crate::import::field_of(name, value), value: value.clone() });
    declared.chain(undeclared).collect()
}

/// The stretches without a measurement: longer than one and a half steps between two points, or at either end.
fn gaps(points: &[(i64, f64)], from: i64, to: i64, step_secs: u64) -> Vec<[i64; 2]> {
    let longest = i64::try_from(step_secs).unwrap_or(i64::MAX).saturating_mul(3) / 2;
    let times = std::iter::once(from).chain(points.iter().map(|(at, _)| *at)).chain(std::iter::once(to));
    let times: Vec<i64> = times.collect();
    let last = times.len().saturating_sub(2);
    let wide = |(i, pair): (usize, &[i64])| {
        // Before the first and after the last point one whole step may be missing without a word.
        let allowed = if i == 0 || i == last { longest.saturating_mul(4) / 3 } else { longest };
        (pair[1] - pair[0] > allowed).then(|| [pair[0], pair[1]])
    };
    times.windows(2).enumerate().filter_map(wide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_where_nothing_was_measured() {
        let points: Vec<(i64, f64)> = [300, 600, 900, 3_000, 3_300].map(|at| (at, 1.0)).to_vec();
        assert_eq!(gaps(&points, 0, 3_500, 300), [[900, 3_000]]);
        assert_eq!(gaps(&[], 0, 3_500, 300), [[0, 3_500]]);
        assert_eq!(gaps(&points[..3], 0, 3_500, 300), [[900, 3_500]]);
    }
}
