//! What stations would bring: the values of a SensorThings service or of a folder of station files, where they would land,
//! and why some land nowhere.

use crate::Desk;
use crate::api::{Failure, NewLayer, NewSource, TargetField, Trial, TrialColumn};
use crate::station_files::{Outcome, Registry, list};
use crate::trial::{About, Gathering};
use model::{FieldType, LayerSpec, Protocol, Rejection, StationMapping, Suggestion, Timestamp};
use sources::sensorthings::{Mapped, Survey, Surveyed};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// Station files that a trial reads, those written last.
const FILES: usize = 500;

/// What was seen of one parameter or observed property.
#[derive(Default)]
struct Measured {
    count: u64,
    unit: String,
    definition: Option<String>,
    newest: Option<(Timestamp, f64)>,
}

impl Measured {
    fn see(&mut self, at: Timestamp, value: f64) {
        if self.newest.is_none_or(|(newest, _)| newest < at) {
            self.newest = Some((at, value));
        }
    }
}

impl Desk {
    /// How a layer takes the stations of a source: those that name it themselves, or by a mapping, in which what `map` says
    /// of the layer's parameters goes.
    ///
    /// # Errors
    /// `no_parameters` for a layer that can hold no values.
    pub(super) fn settle_stations(
        &self,
        source: &NewSource,
        layer: &NewLayer,
        spec: &mut LayerSpec,
    ) -> Result<(), Failure> {
        spec.sensorthings = None;
        if source.protocol != Protocol::SensorThings {
            return Ok(());
        }
        spec.collection = None;
        spec.id_field = None;
        if layer.collection.as_deref() == Some(spec.id.as_str()) {
            spec.map.clear();
            return Ok(());
        }
        if spec.parameters.is_empty() {
            return Err(self.failure("no_parameters", [("layer", spec.id.as_str())]));
        }
        let codes: BTreeSet<String> = spec.parameters.iter().map(|parameter| parameter.code.clone()).collect();
        let (parameters, map) = std::mem::take(&mut spec.map).into_iter().partition(|(field, _)| codes.contains(field));
        spec.map = map;
        // Those that say they belong elsewhere can be asked for by what they say.
        let label = |label: &String| format!("properties/layer eq '{}'", label.replace('\'', "''"));
        let things = layer.things.clone().filter(|filter| !filter.trim().is_empty());
        let things = things.or_else(|| layer.collection.as_ref().map(label));
        spec.sensorthings = Some(StationMapping { things, parameters });
        Ok(())
    }

    /// Stations that name the layer: which of their values would land in it, and which fit none.
    pub(super) fn try_labelled(&self, spec: &LayerSpec, survey: &Survey) -> Trial {
        let held = self.layers().get(&spec.id);
        let stations: HashSet<String> = held
            .iter()
            .flat_map(|layer| {
                layer.picture.ordinals().filter_map(|ordinal| Some(layer.picture.id(ordinal)?.to_owned()))
            })
            .collect();
        let known: HashSet<String> = self.layers().all().iter().map(|layer| layer.spec.id.to_string()).collect();
        let (mut landed, mut rejected) = (BTreeMap::<String, Measured>::new(), Vec::new());
        let mut measuring: HashSet<&str> = HashSet::new();
        let mut layers: BTreeMap<&str, u64> = BTreeMap::new();
        for (row, stream) in (1..).zip(&survey.streams) {
            *layers.entry(stream.layer.as_deref().unwrap_or_default()).or_default() += 1;
            let wrong = match self.lands(spec, stream, &stations, &known) {
                // It belongs to another layer that is there.
                Ok(None) => continue,
                Ok(Some(parameter)) => match &stream.newest {
                    Some(Ok((value, at))) => {
                        let seen = landed.entry(parameter).or_default();
                        seen.count += 1;
                        seen.unit = stream.unit.clone().unwrap_or_default();
                        seen.see(*at, *value);
                        measuring.extend(stream.feature.as_deref());
                        continue;
                    }
                    Some(Err(rejection)) => Rejection { row, ..rejection.clone() },
                    None => wrong(row, "result", "", "nothing_measured", "nothing was measured yet"),
                },
                Err(wrong) => Rejection { row, ..wrong },
            };
            rejected.push(wrong);
        }
        let by_layer = layers.iter().map(|(layer, count)| match *layer {
            "" => format!("–: {count}"),
            layer => format!("{layer}: {count}"),
        });
        let mut warnings = vec![self.counted(survey, &landed)];
        warnings.push(self.sentence("trial.by_layer", [("layers", by_layer.collect::<Vec<_>>().join(", ").as_str())]));
        let mut gathering = Gathering::new(spec, self.bbox());
        let features = held.iter().flat_map(|layer| layer.picture.features());
        features.filter(|feature| measuring.contains(feature.id.as_str())).for_each(|feature| gathering.see(&feature));
        let about = About { partial: survey.partial, ..about(Protocol::SensorThings, rejected, warnings) };
        self.of_values(gathering.finish(self, about, None), spec, landed)
    }

    /// The parameter that a datastream's values go to, by the conventions; `None` when they go to another layer.
    fn lands(
        &self,
        spec: &LayerSpec,
        stream: &Surveyed,
        stations: &HashSet<String>,
        layers: &HashSet<String>,
    ) -> Result<Option<String>, Rejection> {
        let missing = |field: &str| wrong(0, field, &stream.property, "label_missing", "its properties do not say it");
        let layer = stream.layer.as_deref().ok_or_else(|| missing("layer"))?;
        if layer != spec.id.as_str() {
            let unknown = || wrong(0, "layer", layer, "layer_unknown", "there is no such layer");
            return if layers.contains(layer) { Ok(None) } else { Err(unknown()) };
        }
        let feature = stream.feature.as_deref().ok_or_else(|| missing("feature"))?;
        if !stations.contains(feature) {
            return Err(wrong(0, "feature", feature, "station_unknown", "the layer has no such station"));
        }
        let parameter = stream.parameter.as_deref().ok_or_else(|| missing("parameter"))?;
        match spec.parameter(parameter) {
            Some(_) => Ok(Some(parameter.to_owned())),
            None => Err(wrong(0, "parameter", parameter, "parameter_unknown", "the layer has no such parameter")),
        }
    }

    /// Puts what is measured beside what is known of the stations: observed properties as columns, parameters as fields.
    pub(super) fn add_measured(&self, trial: &mut Trial, spec: &LayerSpec, mapping: &StationMapping, survey: &Survey) {
        let mapped = Mapped { layer: &spec.id, mapping, parameters: &spec.parameters };
        let mut seen: BTreeMap<String, Measured> = BTreeMap::new();
        let mut unusable: BTreeMap<String, u64> = BTreeMap::new();
        for stream in &survey.streams {
            let of = seen.entry(stream.property.clone()).or_default();
            of.count += 1;
            of.definition.clone_from(&stream.definition);
            of.unit = stream.unit.clone().unwrap_or_default();
            match &stream.newest {
                Some(Ok((value, at))) => of.see(*at, *value),
                Some(Err(rejection)) => *unusable.entry(rejection.reason.clone()).or_default() += 1,
                None => {}
            }
        }
        trial.warnings.insert(0, self.counted(survey, &seen));
        for (reason, count) in unusable {
            let count = count.to_string();
            trial
                .warnings
                .push(self.sentence("trial.unusable", [("count", count.as_str()), ("detail", reason.as_str())]));
        }
        let mut fields = parameter_fields(spec);
        for (property, measured) in &seen {
            let parameter = mapped.parameter(property, measured.definition.as_deref());
            if let Some(field) = parameter.and_then(|is| fields.iter_mut().find(|field| field.name == is.code)) {
                field.filled += measured.count;
                let wanted = field.unit.clone().unwrap_or_default();
                if !measured.unit.is_empty() && !sources::sensorthings::unit_fits(&measured.unit, &wanted) {
                    let at = [("unit", measured.unit.as_str()), ("wanted", wanted.as_str())];
                    field.findings.push(self.sentence("trial.unit", at));
                }
            }
            trial.columns.push(TrialColumn {
                name: property.clone(),
                sample: self.newest(measured),
                filled: measured.count,
                field: parameter.map(|parameter| parameter.code.clone()),
                suggested: !mapping.parameters.values().any(|from| from == property),
                measured: true,
            });
        }
        trial.fields.extend(fields);
    }

    /// A look through a folder of station files: whose they are, what is good in them.
    pub(super) fn try_folder(&self, spec: &LayerSpec, root: &Path) -> Result<Trial, Failure> {
        let (mut files, trouble) = list(root).map_err(|error| {
            let path = root.to_string_lossy();
            self.failure("not_readable", [("path", &*path), ("detail", &error.to_string())])
        })?;
        let (all, partial) = (files.len(), files.len() > FILES);
        let read = files.split_off(all.saturating_sub(FILES));
        let registry = Registry::of_layer(self, &spec.id);
        let mut landed: BTreeMap<String, Measured> = BTreeMap::new();
        let mut waiting: BTreeMap<String, String> = BTreeMap::new();
        let (mut rejected, mut stations) = (Vec::new(), HashSet::new());
        for file in &read {
            let named = |rejection: Rejection| Rejection {
                reason: format!("{}: {}", file.name, rejection.reason),
                ..rejection
            };
            match self.read_station_file(&file.path, &registry) {
                Outcome::Values { observations, rejected: rows, .. } => {
                    rejected.extend(rows.into_iter().map(named));
                    for observation in observations {
                        let seen = landed.entry(observation.parameter).or_default();
                        seen.count += 1;
                        seen.see(observation.measured_at, observation.value);
                        stations.insert(observation.feature);
                    }
                }
                Outcome::Waits { station, .. } => drop(waiting.entry(station).or_insert_with(|| file.name.clone())),
                Outcome::Refused(rejection) => rejected.push(named(rejection)),
            }
        }
        for (code, measured) in &mut landed {
            measured.unit = spec.parameter(code).map(|parameter| parameter.unit.clone()).unwrap_or_default();
        }
        let newest = landed.values().filter_map(|measured| measured.newest).map(|(at, _)| at).max();
        let counts = [all, read.len(), stations.len(), waiting.len()].map(|count| count.to_string());
        let [all, looked, known, unknown] = counts.each_ref().map(String::as_str);
        let newest = self.when(newest);
        let at =
            [("files", all), ("looked", looked), ("known", known), ("unknown", unknown), ("newest", newest.as_str())];
        let mut warnings = vec![self.sentence("trial.folder", at)];
        warnings.extend(waiting.iter().map(|(station, file)| self.station_failure(&registry, station, file).message));
        warnings.extend(trouble.map(|error| error.to_string()));
        let mut gathering = Gathering::new(spec, self.bbox());
        let held = self.layers().get(&spec.id);
        let features = held.iter().flat_map(|layer| layer.picture.features());
        features.filter(|feature| stations.contains(&feature.id)).for_each(|feature| gathering.see(&feature));
        let about = About { partial, ..about(Protocol::StationFolder, rejected, warnings) };
        Ok(self.of_values(gathering.finish(self, about, None), spec, landed))
    }

    /// A trial of values: its rows are values, and nothing of it is matched by hand.
    fn of_values(&self, mut trial: Trial, spec: &LayerSpec, landed: BTreeMap<String, Measured>) -> Trial {
        trial.accepted = landed.values().map(|measured| measured.count).sum();
        trial.rows = trial.accepted + trial.rejected;
        trial.mappable = false;
        trial.fields = parameter_fields(spec);
        for field in &mut trial.fields {
            field.filled = landed.get(&field.name).map_or(0, |measured| measured.count);
        }
        let column = |(code, measured): (String, Measured)| TrialColumn {
            sample: self.newest(&measured),
            filled: measured.count,
            field: spec.parameter(&code).map(|parameter| parameter.code.clone()),
            suggested: false,
            measured: true,
            name: code,
        };
        trial.columns = landed.into_iter().map(column).collect();
        trial
    }

    /// How many Things and datastreams there are, and how new they are.
    fn counted(&self, survey: &Survey, seen: &BTreeMap<String, Measured>) -> String {
        let newest = seen.values().filter_map(|measured| measured.newest).map(|(at, _)| at).max();
        let (things, streams) = (survey.things.to_string(), survey.streams.len().to_string());
        let newest = self.when(newest);
        self.sentence(
            "trial.things",
            [("things", things.as_str()), ("streams", streams.as_str()), ("newest", newest.as_str())],
        )
    }

    fn newest(&self, measured: &Measured) -> Option<String> {
        let (at, value) = measured.newest?;
        Some(format!("{value} {}, {}", measured.unit, self.when(Some(at))).replace(" ,", ","))
    }

    /// A moment in local time, with its age.
    fn when(&self, at: Option<Timestamp>) -> String {
        let Some(at) = at else { return "–".to_owned() };
        let zone = jiff::tz::TimeZone::get(&self.profile().timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let minutes = (self.now().as_second() - at.as_second()).max(0) / 60;
        let (key, count) = match minutes {
            ..60 => ("trial.age_minutes", minutes),
            60..2_880 => ("trial.age_hours", minutes / 60),
            _ => ("trial.age_days", minutes / 1_440),
        };
        let (when, count) = (zone.to_datetime(at).strftime("%d/%m/%Y %H:%M").to_string(), count.to_string());
        format!("{when} ({})", self.sentence(key, [("n", count.as_str())]))
    }
}

fn about(protocol: Protocol, rejected: Vec<Rejection>, warnings: Vec<String>) -> About {
    About {
        format: protocol.as_str().to_owned(),
        partial: false,
        repaired: 0,
        rejected,
        warnings,
        crs: 4326,
        likely_crs: None,
        tables: Vec::new(),
        columns: Vec::new(),
        position: Vec::new(),
        cells: BTreeMap::new(),
        asked: BTreeMap::new(),
        suggestion: Suggestion::default(),
    }
}

fn wrong(row: u64, field: &str, value: &str, code: &str, reason: &str) -> Rejection {
    Rejection { row, field: field.into(), value: value.into(), code: code.into(), reason: reason.into() }
}

/// The parameters of a layer, as fields that a column may fill.
fn parameter_fields(spec: &LayerSpec) -> Vec<TargetField> {
    let field = |parameter: &model::Parameter| TargetField {
        name: parameter.code.clone(),
        title: parameter.title.clone(),
        field_type: FieldType::Real,
        unit: Some(parameter.unit.clone()),
        required: false,
        filled: 0,
        findings: Vec::new(),
    };
    spec.parameters.iter().map(field).collect()
}
