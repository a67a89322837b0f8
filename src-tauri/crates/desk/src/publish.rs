//! The way out: what other systems may read of the home, at which version, in which coordinate system.

use crate::Desk;
use crate::api::{Failure, LayerInfo};
use crate::layers::Layer;
use crate::query::{Joined, LIVE_NAMES, live_json};
use crate::tiles::TileAnswer;
use geo_types::{Coord, Geometry};
use model::{BBox, Classification, Feature, Field, FieldType, LayerId, Role, Timestamp, Title, Value};
use spatial::{Filter, Row};
use std::sync::Arc;

/// Who asks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Anybody: public layers that are open to guests.
    Public,
    /// Whoever was given the token: internal layers too.
    Trusted,
}

/// A layer as others see it, at one version: what is asked of it stays the same while the desk takes up the next one.
#[derive(Clone)]
pub struct PublishedLayer {
    layer: Arc<Layer>,
    info: LayerInfo,
    fields: Vec<Field>,
}

impl PublishedLayer {
    pub fn info(&self) -> &LayerInfo {
        &self.info
    }

    /// Declared fields, then those that the content brought beyond them.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields that an answer with live values has besides; none for a layer that has no stations.
    pub fn live_fields(&self) -> Vec<Field> {
        if self.info.live.is_none() {
            return Vec::new();
        }
        let types = [FieldType::Text, FieldType::Real, FieldType::Integer, FieldType::Text];
        let field = |(name, field_type): (&str, FieldType)| Field {
            name: name.to_owned(),
            field_type,
            title: crate::words::title(&format!("serve.live.{name}")),
            unit: None,
            decimals: None,
            label: false,
            required: false,
        };
        LIVE_NAMES.into_iter().zip(types).map(field).collect()
    }

    /// The field whose dates `datetime` looks at.
    pub fn time_field(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.field_type == FieldType::Date)
    }

    /// Fields that vector tiles carry, besides `id` and `name`.
    pub fn tile_fields(&self) -> Vec<String> {
        crate::layers::tile_fields(&self.layer.spec)
    }

    /// How many features there are; their ordinals count up from 0.
    pub fn len(&self) -> u32 {
        self.layer.picture.ordinals().end
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn ordinal_of(&self, id: &str) -> Option<u32> {
        self.layer.picture.ordinal_of(id)
    }

    pub fn name_of(&self, ordinal: u32) -> String {
        self.layer.name_of(ordinal)
    }
}

/// A coordinate system as the OGC names it: the code, and which axis stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crs {
    pub epsg: u32,
    pub latitude_first: bool,
}

impl Crs {
    /// WGS84, longitude first.
    pub const CRS84: Self = Self { epsg: 4326, latitude_first: false };

    /// A system of the register, in the register's axis order.
    pub fn epsg(epsg: u32) -> Self {
        Self { epsg, latitude_first: geodesy::is_latitude_first(epsg) }
    }

    fn is_degrees(self) -> bool {
        matches!(self.epsg, 4326 | 4756)
    }
}

/// A stretch of time, ends included; an end that is absent is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

impl TimeRange {
    fn meets(&self, other: &Self) -> bool {
        let before =
            |end: Option<Timestamp>, start: Option<Timestamp>| matches!((end, start), (Some(e), Some(s)) if e < s);
        !before(self.to, other.from) && !before(other.to, self.from)
    }
}

/// Which features are asked for. What is given must all hold.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// A point in common with this box: first axis low, second axis low, first axis high, second axis high.
    pub bbox: Option<(Crs, [f64; 4])>,
    /// CQL2 text.
    pub filter: Option<String>,
    pub time: Option<TimeRange>,
    /// The filter and `time` may look at live values.
    pub live: bool,
}

/// How features are written.
#[derive(Clone, Debug)]
pub struct Form {
    pub crs: Crs,
    /// With `freshness`, `value`, `level` and `measured_at`.
    pub live: bool,
    /// Only these properties; absent: all.
    pub properties: Option<Vec<String>>,
    /// Without geometry: `null` stands in its place.
    pub skip_geometry: bool,
}

impl Desk {
    /// The layers with content that an audience may read, in the profile's order.
    pub fn published(&self, audience: Audience) -> Vec<PublishedLayer> {
        self.layers().all().iter().filter_map(|layer| self.publish(layer, audience)).collect()
    }

    /// One of [`Desk::published`]; `None` too for a layer that is there and not for this audience, so that nobody learns
    /// of it.
    pub fn published_layer(&self, audience: Audience, id: &str) -> Option<PublishedLayer> {
        self.publish(&self.layers().get(&LayerId::new(id).ok()?)?, audience)
    }

    fn publish(&self, layer: &Arc<Layer>, audience: Audience) -> Option<PublishedLayer> {
        let stored = layer.stored.as_ref()?;
        // The stricter of profile and content counts: an import does not make an internal layer public.
        let internal = layer.spec.classification.max(stored.provenance.classification) == Classification::Internal;
        if audience == Audience::Public && (internal || layer.spec.role > Role::Guest) {
            return None;
        }
        let mut info = self.layer_info(layer);
        // Whoever sits at the desk may see less, or more: that is not this audience.
        (info.features, info.bbox, info.allowed) = (stored.features, stored.bbox, true);
        info.live = self.live_summary(layer);
        if internal {
            info.classification = Classification::Internal;
        }
        let mut fields = layer.spec.fields.clone();
        let more = stored.schema.fields.iter().chain(&stored.extra);
        for field in more {
            if !fields.iter().any(|known| known.name == field.name) {
                fields.push(field.clone());
            }
        }
        Some(PublishedLayer { layer: layer.clone(), info, fields })
    }

    /// The ordinals of the features that are selected, ascending.
    ///
    /// # Errors
    /// `bad_filter`, `filter_property` (a property that the layer does not have), `bbox_range`.
    pub fn select(&self, from: &PublishedLayer, selection: &Selection) -> Result<Vec<u32>, Failure> {
        let layer = &from.layer;
        let filter =
            selection.filter.as_ref().map(|text| self.checked_filter(from, text, selection.live)).transpose()?;
        let mut ordinals = match selection.bbox {
            Some((crs, bbox)) => self.in_box(layer, crs, bbox)?,
            None => layer.picture.ordinals().collect(),
        };
        if let Some(filter) = &filter {
            ordinals.retain(|ordinal| {
                if selection.live {
                    filter.matches(&Joined { desk: self, layer, ordinal: *ordinal })
                } else {
                    layer.picture.matches(*ordinal, filter)
                }
            });
        }
        if let Some(range) = &selection.time {
            let live = selection.live && from.info.live.is_some();
            let field = from.time_field().map(|field| field.name.as_str());
            // A layer without any time is not narrowed down by it.
            if let Some(name) = if live { Some("measured_at") } else { field } {
                ordinals.retain(|ordinal| {
                    let row = Joined { desk: self, layer, ordinal: *ordinal };
                    let value = if live { row.value(name) } else { layer.picture.value(*ordinal, name) };
                    value.as_text().and_then(|text| self.time_of(text)).is_some_and(|time| time.meets(range))
                });
            }
        }
        Ok(ordinals)
    }

    fn checked_filter(&self, from: &PublishedLayer, text: &str, live: bool) -> Result<Filter, Failure> {
        let filter = Filter::parse(text)
            .map_err(|error| self.failure("bad_filter", [("filter", text), ("detail", error.to_string().as_str())]))?;
        let known = |name: &str| {
            name == "id"
                || from.fields.iter().any(|field| field.name == name)
                || (live && from.info.live.is_some() && LIVE_NAMES.contains(&name))
        };
        match filter.properties().into_iter().find(|name| !known(name)) {
            Some(name) => Err(self.failure("filter_property", [("property", name), ("layer", from.info.id.as_str())])),
            None => Ok(filter),
        }
    }

    /// A moment, a day (in the province's time zone) or an interval with `/`, where `..` or nothing is an open end.
    /// `None` for a text that is none of these.
    pub fn time_of(&self, text: &str) -> Option<TimeRange> {
        let Some((from, to)) = text.split_once('/') else { return self.moment(text) };
        let end = |text: &str| match text {
            "" | ".." => Some(TimeRange { from: None, to: None }),
            text => self.moment(text),
        };
        let range = TimeRange { from: end(from)?.from, to: end(to)?.to };
        let backwards = matches!((range.from, range.to), (Some(from), Some(to)) if from > to);
        (!backwards).then_some(range)
    }

    fn moment(&self, text: &str) -> Option<TimeRange> {
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Some(TimeRange { from: Some(moment), to: Some(moment) });
        }
        let day: jiff::civil::Date = text.parse().ok()?;
        // The profile's zone is checked when it is read.
        let zone = jiff::tz::TimeZone::get(&self.profile().timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let from = day.to_zoned_datetime(zone).ok()?;
        let last = from.end_of_day().ok()?;
        Some(TimeRange { from: Some(from.timestamp()), to: Some(last.timestamp()) })
    }

    /// Ordinals ascending.
    fn in_box(&self, layer: &Layer, crs: Crs, [a_low, b_low, a_high, b_high]: [f64; 4]) -> Result<Vec<u32>, Failure> {
        let picture = &layer.picture;
        let [west, south, east, north] =
            if crs.latitude_first { [b_low, a_low, b_high, a_high] } else { [a_low, b_low, a_high, b_high] };
        let bbox = BBox { west, south, east, north };
        let wrong = || {
            let numbers = [a_low, b_low, a_high, b_high].map(|number| number.to_string()).join(",");
            self.failure("bbox_range", [("bbox", numbers.as_str()), ("crs", crs.epsg.to_string().as_str())])
        };
        let degrees_ok = west.abs().max(east.abs()) <= 180.0 && south.abs().max(north.abs()) <= 90.0;
        let wraps = crs.is_degrees() && west > east;
        if (west > east && !wraps) || south > north || (crs.is_degrees() && !degrees_ok) {
            return Err(wrong());
        }
        let mut ordinals = if crs.epsg == 4326 {
            if wraps {
                // Across the 180° meridian.
                let mut found = picture.within_bbox(BBox { east: 180.0, ..bbox });
                found.extend(picture.within_bbox(BBox { west: -180.0, ..bbox }));
                found
            } else {
                picture.within_bbox(bbox)
            }
        } else {
            let back = geodesy::transformer(crs.epsg).map_err(|_| wrong())?;
            let to = geodesy::from_wgs84(crs.epsg).map_err(|_| wrong())?;
            // The box is bent in degrees: its corners and edges say where to look, each feature is looked at in its plane.
            let mut around = BBox::EMPTY;
            for step in 0..=EDGE_STEPS {
                let share = f64::from(step) / f64::from(EDGE_STEPS);
                let (x, y) = (west + (east - west) * share, south + (north - south) * share);
                for at in [(x, south), (x, north), (west, y), (east, y)] {
                    let place = back.coord(Coord { x: at.0, y: at.1 }).map_err(|_| wrong())?;
                    around.add(place.x, place.y);
                }
            }
            let (dx, dy) = ((around.east - around.west) * 0.01 + 1e-6, (around.north - around.south) * 0.01 + 1e-6);
            let around = BBox {
                west: around.west - dx,
                south: around.south - dy,
                east: around.east + dx,
                north: around.north + dy,
            };
            let meets = |ordinal: &u32| {
                picture
                    .geometry(*ordinal)
                    .is_some_and(|mut geometry| to.apply(&mut geometry).is_ok() && spatial::meets_box(&geometry, &bbox))
            };
            picture.within_bbox(around).into_iter().filter(meets).collect()
        };
        ordinals.sort_unstable();
        ordinals.dedup();
        Ok(ordinals)
    }

    /// Appends features as GeoJSON objects with commas between them, until all are written or the text is longer than
    /// `budget` bytes; how many were written. Fields of the layer that a feature lacks stand as `null`.
    ///
    /// # Errors
    /// `crs_reach` when a feature lies where the coordinate system ends.
    pub fn write_features(
        &self,
        from: &PublishedLayer,
        ordinals: &[u32],
        form: &Form,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Failure> {
        let mut written = 0;
        for ordinal in ordinals {
            if written > 0 {
                if out.len() > budget {
                    break;
                }
                out.extend_from_slice(b",\n");
            }
            let Some(feature) = from.layer.picture.feature(*ordinal) else { continue };
            self.write_feature(from, *ordinal, feature, form, out)?;
            written += 1;
        }
        Ok(written)
    }

    fn write_feature(
        &self,
        from: &PublishedLayer,
        ordinal: u32,
        mut feature: Feature,
        form: &Form,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let wanted = |name: &str| form.properties.as_ref().is_none_or(|wanted| wanted.iter().any(|one| one == name));
        out.extend_from_slice(b"{\"type\":\"Feature\",\"id\":");
        text(out, &feature.id);
        out.extend_from_slice(b",\"geometry\":");
        if form.skip_geometry {
            out.extend_from_slice(b"null");
        } else {
            place(&mut feature.geometry, form.crs).map_err(|error| {
                let (crs, detail) = (form.crs.epsg.to_string(), error.to_string());
                let at = [("crs", crs.as_str()), ("feature", feature.id.as_str()), ("detail", detail.as_str())];
                self.failure("crs_reach", at)
            })?;
            sources::write_geometry(out, &feature.geometry);
        }
        out.extend_from_slice(b",\"properties\":{");
        let mut first = true;
        let mut member = |name: &str, value: &serde_json::Value| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            text(out, name);
            out.push(b':');
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut *out, value);
        };
        for field in from.fields.iter().filter(|field| wanted(&field.name)) {
            let value = feature.properties.get(&field.name).unwrap_or(&Value::Null);
            member(&field.name, &serde_json::json!(value));
        }
        if form.live && from.info.live.is_some() {
            let state = self.state_of(&from.layer, ordinal).unwrap_or_default();
            for name in LIVE_NAMES.into_iter().filter(|name| wanted(name)) {
                // A layer's own field of that name stays what it is.
                if !from.fields.iter().any(|field| field.name == name) {
                    member(name, &live_json(&state, name));
                }
            }
        }
        out.extend_from_slice(b"}}");
        Ok(())
    }

    /// A vector tile of exactly this version, made on the caller's thread; `None` where nothing is drawn.
    pub fn published_tile(&self, from: &PublishedLayer, z: u8, x: u32, y: u32) -> Option<Arc<[u8]>> {
        match self.tile_workers().tile(&from.layer.picture, z, x, y) {
            TileAnswer::Tile(bytes) => Some(bytes),
            TileAnswer::Empty | TileAnswer::Cancelled => None,
        }
    }

    /// The coordinate systems that features go out in: WGS84 in both axis orders, VN-2000 in degrees, the province's
    /// grids, UTM zone 48N, Web Mercator.
    pub fn published_crs(&self) -> Vec<Crs> {
        let mut all = vec![Crs::CRS84, Crs::epsg(4326), Crs::epsg(4756)];
        let profile = self.profile();
        let province = profile.crs.iter().map(|choice| choice.epsg).filter(|epsg| geodesy::is_known(*epsg));
        for epsg in province.chain([3405, 3857]) {
            if !all.contains(&Crs::epsg(epsg)) {
                all.push(Crs::epsg(epsg));
            }
        }
        all
    }
}

/// Steps along each edge of a box that is bent in degrees.
const EDGE_STEPS: u32 = 16;

/// A text in both languages, by its key in `assets/locale`; the key itself where no text is known.
pub fn text_of(key: &str) -> Title {
    crate::words::title(key)
}

fn text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// Brings a geometry into a system: tenths of a millimetre in metres, a tenth of that in degrees. WGS84 stays as it is.
fn place(geometry: &mut Geometry<f64>, crs: Crs) -> Result<(), geodesy::GeodesyError> {
    if crs == Crs::CRS84 {
        return Ok(());
    }
    let scale = match crs.epsg {
        4326 => None,
        4756 => Some(1e10),
        _ => Some(1e4),
    };
    let round = |number: f64| scale.map_or(number, |scale: f64| (number * scale).round() / scale);
    geodesy::from_wgs84(crs.epsg)?.apply_then(geometry, |c| {
        let (x, y) = (round(c.x), round(c.y));
        if crs.latitude_first { Coord { x: y, y: x } } else { Coord { x, y } }
    })
}
