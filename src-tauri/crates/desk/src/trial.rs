//! A look at what a file or a source would bring: the same reading, the same checks, the same repair, and nothing written.

use crate::Desk;
use crate::api::{
    Failure, FileArgs, FileMode, JobState, RowEdit, TargetField, Trial, TrialColumn, TrialFeature, TrialRejection,
};
use crate::import::{ImportMode, ImportOptions, ImportSummary, repaired, suggested};
use crate::standard::{Standard, asked_for, empty, undecided};
use model::{BBox, Feature, GeometryKind, LayerSpec, Rejection, Suggestion, Value, geometry_bbox};
use sources::{Continue, PositionColumn, ReadError, ReadOptions};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Features that are drawn.
const DRAWN: usize = 2_000;
/// Rejected rows that are listed.
const LISTED: usize = 200;
/// Vertices of a drawn line.
const VERTICES: usize = 64;
/// Characters of a sample value.
const SAMPLE_CHARS: usize = 60;

/// What was seen of one field.
#[derive(Default)]
struct Seen {
    filled: u64,
    sample: Option<String>,
}

/// Gathers what accepted features show.
pub(crate) struct Gathering<'a> {
    spec: &'a LayerSpec,
    province: BBox,
    seen: HashMap<String, Seen>,
    features: Vec<TrialFeature>,
    kind: Option<GeometryKind>,
    accepted: u64,
    outside: u64,
}

/// What is known of a trial beside its accepted features.
pub(crate) struct About {
    pub(crate) format: String,
    pub(crate) partial: bool,
    pub(crate) repaired: u64,
    pub(crate) rejected: Vec<Rejection>,
    pub(crate) warnings: Vec<String>,
    pub(crate) crs: u32,
    pub(crate) likely_crs: Option<u32>,
    pub(crate) tables: Vec<String>,
    /// As the file or source calls them.
    pub(crate) columns: Vec<String>,
    /// Of a table: those that the position stands in.
    pub(crate) position: Vec<PositionColumn>,
    /// What rejected rows say.
    pub(crate) cells: BTreeMap<u64, BTreeMap<String, String>>,
    /// Field → column, as a person asked.
    pub(crate) asked: BTreeMap<String, String>,
    pub(crate) suggestion: Suggestion,
}

impl<'a> Gathering<'a> {
    pub(crate) fn new(spec: &'a LayerSpec, province: BBox) -> Self {
        let (seen, features) = (HashMap::new(), Vec::new());
        Self { spec, province, seen, features, kind: None, accepted: 0, outside: 0 }
    }

    /// Takes note of a feature as it would be stored.
    pub(crate) fn see(&mut self, feature: &Feature) {
        self.accepted += 1;
        let kind = GeometryKind::of(&feature.geometry);
        self.kind = Some(self.kind.map_or(kind, |held| if held == kind { kind } else { GeometryKind::Mixed }));
        let outside = !geometry_bbox(&feature.geometry).intersects(&self.province);
        self.outside += u64::from(outside);
        for (name, value) in feature.properties.iter() {
            if value.is_null() {
                continue;
            }
            let seen = match self.seen.get_mut(name) {
                Some(seen) => seen,
                None => self.seen.entry(name.to_owned()).or_default(),
            };
            seen.filled += 1;
            seen.sample.get_or_insert_with(|| shortened(&written(value)));
        }
        if self.features.len() < DRAWN
            && let Some(at) = spatial::label_point(&feature.geometry)
        {
            self.features.push(TrialFeature {
                id: feature.id.clone(),
                name: feature.text(&self.spec.name_field).map(str::to_owned),
                point: [at.x, at.y],
                lines: lines_of(&feature.geometry),
                outside,
            });
        }
    }

    pub(crate) fn finish(self, desk: &Desk, about: About, standard: Option<&Standard>) -> Trial {
        let language = desk.language();
        let field_of = |column: &String| {
            let asked = about.asked.iter().find(|(_, from)| *from == column);
            let suggested = about.suggestion.map.iter().find(|(_, from)| from == column);
            match (asked, suggested) {
                (Some((field, _)), _) => (Some(field.clone()), false),
                (None, Some((field, _))) => (Some(field.clone()), true),
                (None, None) => (self.declares(column).then(|| column.clone()), false),
            }
        };
        let columns = about.columns.iter().map(|column| {
            let (field, suggested) = field_of(column);
            let seen = self.seen.get(field.as_ref().unwrap_or(column));
            TrialColumn {
                name: column.clone(),
                sample: seen.and_then(|seen| seen.sample.clone()),
                filled: seen.map_or(0, |seen| seen.filled),
                field,
                suggested,
                measured: false,
            }
        });
        let position = about.position.iter().map(|position| TrialColumn {
            name: position.column.clone(),
            sample: position.sample.clone(),
            filled: self.accepted,
            field: Some(position.part.to_owned()),
            suggested: !about.asked.contains_key(position.part),
            measured: false,
        });
        let columns = columns.chain(position).collect();
        let mut findings: HashMap<String, Vec<String>> = HashMap::new();
        for (field, sentence) in standard.into_iter().flat_map(|standard| standard.findings(language)) {
            findings.entry(field).or_default().push(sentence);
        }
        let fields = target_fields(self.spec).into_iter().map(|mut field| {
            field.filled = self.seen.get(&field.name).map_or(0, |seen| seen.filled);
            field.findings = findings.remove(&field.name).unwrap_or_default();
            field
        });
        let fields = fields.collect();
        let mut warnings = about.warnings;
        warnings.extend(undecided(language, &about.suggestion));
        let rejected = about.rejected.len() as u64;
        let listed = about.rejected.into_iter().take(LISTED).map(|rejection| TrialRejection {
            sentence: desk.rejection_sentence(&rejection),
            swappable: rejection.code == "swapped_axes",
            cells: about.cells.get(&rejection.row).cloned().unwrap_or_default(),
            rejection,
        });
        Trial {
            format: about.format,
            rows: self.accepted + rejected,
            partial: about.partial,
            accepted: self.accepted,
            repaired: about.repaired,
            rejected,
            rejections: listed.collect(),
            warnings,
            crs: about.crs,
            likely_crs: about.likely_crs,
            outside: self.outside,
            geometry: self.kind.unwrap_or(GeometryKind::Mixed),
            tables: about.tables,
            mappable: true,
            columns,
            fields,
            features: self.features,
        }
    }

    fn declares(&self, column: &str) -> bool {
        target_fields(self.spec).iter().any(|field| field.name == column)
    }
}

/// The fields of the data standard, then what the layer declares beyond them.
fn target_fields(spec: &LayerSpec) -> Vec<TargetField> {
    let standard = model::Schema::of(spec.kind);
    let named = |name: &str| if name == "name" { spec.name_field.clone() } else { name.to_owned() };
    let mut fields: Vec<TargetField> = Vec::new();
    for field in standard.into_iter().flat_map(|schema| &schema.fields) {
        fields.push(TargetField {
            name: named(&field.name),
            title: field.title.clone(),
            field_type: field.data_type.stored(),
            unit: field.unit.clone(),
            required: field.required,
            filled: 0,
            findings: Vec::new(),
        });
    }
    for field in &spec.fields {
        if !fields.iter().any(|known| known.name == field.name) {
            fields.push(TargetField {
                name: field.name.clone(),
                title: field.title.clone(),
                field_type: field.field_type,
                unit: field.unit.clone(),
                required: field.required,
                filled: 0,
                findings: Vec::new(),
            });
        }
    }
    fields
}

fn written(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SAMPLE_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Outer rings and lines, thinned for a picture.
fn lines_of(geometry: &geo_types::Geometry<f64>) -> Vec<Vec<[f64; 2]>> {
    use geo_types::Geometry::{GeometryCollection, LineString, MultiLineString, MultiPolygon, Polygon};
    match geometry {
        LineString(line) => vec![thinned(line)],
        MultiLineString(lines) => lines.0.iter().map(thinned).collect(),
        Polygon(polygon) => vec![thinned(polygon.exterior())],
        MultiPolygon(polygons) => polygons.0.iter().map(|polygon| thinned(polygon.exterior())).collect(),
        GeometryCollection(all) => all.0.iter().flat_map(lines_of).collect(),
        _ => Vec::new(),
    }
}

fn thinned(line: &geo_types::LineString<f64>) -> Vec<[f64; 2]> {
    let step = line.0.len().div_ceil(VERTICES).max(1);
    let last = line.0.len().saturating_sub(1);
    let kept = line.0.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last);
    kept.map(|(_, c)| [c.x, c.y]).collect()
}

impl RowEdit {
    fn mending(&self) -> (u64, sources::RowEdit) {
        (self.row, sources::RowEdit { swap: self.swap, cells: self.cells.clone() })
    }
}

impl FileArgs {
    pub(crate) fn options(&self) -> ImportOptions {
        ImportOptions {
            crs: self.crs,
            map: self.map.iter().map(|(field, column)| (field.clone(), column.clone())).collect(),
            table: self.table.clone().filter(|table| !table.is_empty()),
            mode: match self.mode {
                FileMode::Replace => ImportMode::Replace,
                FileMode::Upsert => ImportMode::Upsert { key: "id".into() },
                FileMode::Append => ImportMode::Append,
            },
            edits: self.edits.iter().map(RowEdit::mending).collect(),
            ..ImportOptions::default()
        }
    }
}

impl Desk {
    /// What is wrong with a row, in the desk's language.
    pub(crate) fn rejection_sentence(&self, rejection: &Rejection) -> String {
        let values = [
            ("row", rejection.row.to_string()),
            ("field", rejection.field.clone()),
            ("value", rejection.value.clone()),
            ("detail", rejection.reason.clone()),
        ];
        let key = format!("rejected.{}", rejection.code);
        let sentence = self.sentence(&key, values.iter().map(|(name, value)| (*name, value.as_str())));
        // A code that has no sentence yet still says what it has to say.
        if sentence == key { rejection.reason.clone() } else { sentence }
    }
}

impl Desk {
    /// What a file would bring.
    ///
    /// # Errors
    /// What is wrong with the file (code, file, row), or with the layer that is to take it in.
    pub async fn try_file(self: &Arc<Self>, args: FileArgs) -> Result<Trial, Failure> {
        let job = self.begin_job("trial");
        let desk = self.clone();
        // Reading is work for a blocking thread; the job goes with it, and ends with it.
        let looked = tokio::task::spawn_blocking(move || {
            let outcome = desk.look_into(&args, &mut |done, total| job.progress(done, total));
            job.finish(state_of(&outcome));
            outcome
        });
        looked.await.map_err(|_| self.failure("interrupted", []))?
    }

    pub(crate) async fn import_file(self: &Arc<Self>, args: FileArgs) -> Result<ImportSummary, Failure> {
        let job = self.begin_job("import");
        let desk = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let outcome = desk.take_file(&args, &mut |done, total| job.progress(done, total));
            job.finish(state_of(&outcome));
            outcome
        });
        done.await.map_err(|_| self.failure("interrupted", []))?
    }

    /// Imports a file as a person settled it; a new layer is declared once its content is there.
    fn take_file(&self, args: &FileArgs, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<ImportSummary, Failure> {
        let (is_new, spec) = self.spec_for(&args.target, &mut self.profile().as_ref().clone())?;
        let file = Path::new(&args.path);
        let summary = self.import_as(file, &spec.id, Some(&spec), &args.options(), progress)?;
        if is_new {
            self.declare(spec)?;
        } else {
            self.reload(&summary.layer)?;
        }
        Ok(summary)
    }

    fn look_into(&self, args: &FileArgs, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<Trial, Failure> {
        let (_, spec) = self.spec_for(&args.target, &mut self.profile().as_ref().clone())?;
        let file = Path::new(&args.path);
        let options = args.options();
        let failed = |error: &ReadError| crate::failures::read(self.language(), error);
        let standard = Standard::of(&spec);
        let prepare = |row: u64, mut feature: Feature| {
            empty(&args.map, &mut feature);
            if let Some(standard) = &standard {
                standard.check(row, &mut feature)?;
            }
            repaired(row, feature)
        };
        let position: Vec<(String, String)> = asked_for(&args.map).into_iter().filter(is_position).collect();
        let plain = ReadOptions { map: position, prepare: None, ..self.read_options(&spec.id, &options, &prepare) };
        let columns = sources::columns(file, &plain).map_err(|error| failed(&error))?;
        // Asked for a table that no file has, one with several says which they are.
        let nameless = ReadOptions { table: Some(String::new()), ..plain.clone() };
        let tables = match sources::columns(file, &nameless) {
            Err(ReadError::SeveralTables { tables, .. }) => tables,
            _ => Vec::new(),
        };
        let mut reading = self.read_options(&spec.id, &options, &prepare);
        let suggestion = match &standard {
            Some(standard) => suggested(standard, &spec, file, &reading, &args.map),
            None => Suggestion::default(),
        };
        reading.map.extend(suggestion.map.iter().cloned());
        let mut gathering = Gathering::new(&spec, self.bbox());
        let mut sink = |_row: u64, feature: Feature| {
            gathering.see(&feature);
            Ok(())
        };
        let mut go_on = |done: u64, total: u64| if progress(done, total) { Continue::Yes } else { Continue::No };
        let summary = sources::read_file(file, &reading, &mut sink, &mut go_on).map_err(|error| failed(&error))?;
        let wanted = summary.report.rejected.iter().take(LISTED).map(|rejection| rejection.row).collect();
        // Best effort: without its cells a row cannot be mended here, but is listed all the same.
        let cells = sources::cells(file, &plain, &wanted).unwrap_or_default();
        let about = About {
            format: summary.format.as_str().to_owned(),
            partial: false,
            repaired: summary.report.repaired,
            rejected: summary.report.rejected,
            warnings: summary.report.warnings,
            crs: summary.crs,
            likely_crs: summary.likely_crs,
            tables,
            columns: columns.names,
            position: columns.position,
            cells,
            asked: args.map.clone(),
            suggestion,
        };
        Ok(gathering.finish(self, about, standard.as_ref()))
    }
}

fn is_position((field, _): &(String, String)) -> bool {
    ["lon", "lat", "wkt"].contains(&field.as_str())
}

fn state_of<T>(outcome: &Result<T, Failure>) -> JobState {
    match outcome {
        Ok(_) => JobState::Done,
        Err(failure) if failure.code == "cancelled" => JobState::Cancelled,
        Err(_) => JobState::Failed,
    }
}
