//! Layers in, layers out, questions.

use crate::output::{Output, table};
use clap::Args;
use desk::api::{Failure, FileArgs, FileMode, LayerInfo, RowEdit, Target};
use desk::{
    BBox, Desk, ExportOptions, ImportMode, ImportOptions, Kind, LayerId, MAX_TILE_ZOOM, OBSERVATIONS,
    QueryArgs as Question, TextEncoding, TileAnswer, Timestamp, call,
};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by Ctrl-C: long work stops at the next step and leaves nothing half-done.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub fn stop_on_interrupt() {
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
    });
}

#[derive(Args)]
pub struct ImportArgs {
    /// GeoJSON, also line by line, GeoPackage, shapefile, KML, FlatGeobuf, DXF, XLSX or CSV, known by its content; for
    /// `--layer observations` a station file or a folder of them.
    file: PathBuf,
    #[arg(long, value_parser = LayerId::new)]
    layer: LayerId,
    /// EPSG:n; absent: the file's own, else WGS84 after the guard's check.
    #[arg(long, value_parser = crs)]
    crs: Option<u32>,
    /// Field of the layer = column of the file.
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = pair)]
    map: Vec<(String, String)>,
    /// The table, sheet or shapefile of a file that holds several [default: the one called like the layer].
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// How the text of a shapefile's table, a CSV or a DXF is written: UTF-8, windows-1258, TCVN3, VNI, … [default: what
    /// the file says, else judged by its letters].
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    encoding: Option<TextEncoding>,
    #[arg(long, value_parser = ["reject", "abort"], default_value = "reject")]
    on_error: String,
    /// The layer's content is replaced (default).
    #[arg(long, conflicts_with_all = ["append", "upsert"])]
    replace: bool,
    #[arg(long, conflicts_with = "upsert")]
    append: bool,
    /// Features with the same KEY are replaced, others added.
    #[arg(long, value_name = "KEY")]
    upsert: Option<String>,
    /// Put a cell of a rejected row right before it is read; the file itself is not changed.
    #[arg(long = "edit", value_name = "ROW:COLUMN=VALUE", value_parser = edit)]
    edits: Vec<(u64, String, String)>,
    /// Let north and east of a row change places.
    #[arg(long = "swap", value_name = "ROW")]
    swaps: Vec<u64>,
    /// Write nothing: say what would be taken in, and show the rejected rows whole.
    #[arg(long = "try", conflicts_with_all = ["encoding", "as_of", "on_error"])]
    trial: bool,
    /// The day or moment the content describes [default: when the file was last changed].
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = moment)]
    as_of: Option<Timestamp>,
}

impl ImportArgs {
    pub fn is_trial(&self) -> bool {
        self.trial
    }

    /// The layers that the import has to look into; absent: all, among them the stations.
    pub fn needed(&self) -> Option<Vec<LayerId>> {
        if self.layer.as_str() == OBSERVATIONS {
            return None;
        }
        Some(if self.upsert.is_some() { vec![self.layer.clone()] } else { Vec::new() })
    }
}

#[derive(Args)]
pub struct ExportArgs {
    #[arg(value_parser = LayerId::new)]
    pub layer: LayerId,
    #[arg(short, long)]
    output: PathBuf,
    /// west,south,east,north in degrees
    #[arg(long, value_parser = bbox, allow_hyphen_values = true)]
    bbox: Option<BBox>,
    /// CQL2 text
    #[arg(long = "where")]
    filter: Option<String>,
    #[arg(long, value_parser = crs)]
    crs: Option<u32>,
}

#[derive(Args)]
pub struct QueryArgs {
    #[arg(value_parser = LayerId::new)]
    pub layer: LayerId,
    #[arg(long, value_parser = bbox, allow_hyphen_values = true)]
    bbox: Option<BBox>,
    /// lon,lat
    #[arg(long, value_parser = lonlat, conflicts_with = "near", allow_hyphen_values = true)]
    at: Option<(f64, f64)>,
    /// lon,lat
    #[arg(long, value_parser = lonlat, allow_hyphen_values = true)]
    near: Option<(f64, f64)>,
    /// Metres.
    #[arg(long, requires = "near")]
    within: Option<f64>,
    #[arg(long, requires = "near")]
    nearest: Option<usize>,
    /// CQL2 text
    #[arg(long = "where")]
    filter: Option<String>,
    #[arg(long)]
    limit: Option<usize>,
}

fn crs(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("EPSG:").or_else(|| text.strip_prefix("epsg:")).unwrap_or(text);
    digits.parse().map_err(|_| format!("{text:?} is not EPSG:n, for example EPSG:9209"))
}

fn encoding(text: &str) -> Result<TextEncoding, String> {
    TextEncoding::by_name(text)
        .ok_or_else(|| format!("{text:?} is no encoding known here; for example UTF-8, windows-1258, TCVN3 or VNI"))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let day = format!("{text}T00:00:00Z");
    text.parse().or_else(|_| day.parse()).map_err(|_| format!("{text:?} is no date, for example 2026-11-01"))
}

pub fn pair(text: &str) -> Result<(String, String), String> {
    let (field, column) = text.split_once('=').ok_or("write FIELD=COLUMN")?;
    Ok((field.to_owned(), column.to_owned()))
}

/// `5:beds=14`: row, column, what it is to say.
fn edit(text: &str) -> Result<(u64, String, String), String> {
    let wrong = || format!("{text:?} is not ROW:COLUMN=VALUE, for example 5:beds=14");
    let (row, cell) = text.split_once(':').ok_or_else(wrong)?;
    let (column, value) = cell.split_once('=').ok_or_else(wrong)?;
    Ok((row.trim().parse().map_err(|_| wrong())?, column.to_owned(), value.to_owned()))
}

fn numbers<const N: usize>(text: &str, form: &str) -> Result<[f64; N], String> {
    let wrong = || format!("{text:?} is not {form}");
    let parts: Vec<f64> =
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let parts: [f64; N] = parts.try_into().map_err(|_| wrong())?;
    if parts.iter().all(|part| part.is_finite()) { Ok(parts) } else { Err(wrong()) }
}

pub fn bbox(text: &str) -> Result<BBox, String> {
    let bbox: BBox = numbers::<4>(text, "west,south,east,north in degrees")?.into();
    if bbox.is_empty() { Err(format!("{text:?}: west must be before east and south before north")) } else { Ok(bbox) }
}

fn lonlat(text: &str) -> Result<(f64, f64), String> {
    let [lon, lat] = numbers::<2>(text, "lon,lat in degrees")?;
    Ok((lon, lat))
}

/// A tile's place: zoom, column, row.
#[derive(Clone, Copy)]
pub struct Tile {
    z: u8,
    x: u32,
    y: u32,
}

pub fn tile_place(text: &str) -> Result<Tile, String> {
    let wrong = || format!("{text:?} is not Z/X/Y with Z up to 24, for example 9/407/239");
    let parts: Vec<u32> = text.split('/').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let &[z, x, y] = parts.as_slice() else { return Err(wrong()) };
    let z = u8::try_from(z).ok().filter(|z| *z <= 24 && x < 1 << z && y < 1 << z).ok_or_else(wrong)?;
    Ok(Tile { z, x, y })
}

/// Lowest and highest zoom.
#[derive(Clone, Copy)]
pub struct Zooms {
    low: u8,
    high: u8,
}

pub fn zooms(text: &str) -> Result<Zooms, String> {
    let wrong = || format!("{text:?} is not LOW-HIGH or one zoom, at most {MAX_TILE_ZOOM}, for example 6-14");
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let zoom = |text: &str| text.parse::<u8>().map_err(|_| wrong());
    let (low, high) = (zoom(low)?, zoom(high)?);
    if low <= high && high <= MAX_TILE_ZOOM { Ok(Zooms { low, high }) } else { Err(wrong()) }
}

pub fn init(desk: &Desk, made: bool, out: &Output) -> Result<(), Failure> {
    let layers = desk.layer_infos();
    let features: u64 = layers.iter().map(|layer| layer.features).sum();
    let home = desk.home().root().to_string_lossy().into_owned();
    let json = json!({"home": home, "made": made, "layers": layers.len(), "features": features});
    out.result(&json, || {
        let state = if made { "made" } else { "was there already, left as it is" };
        vec![format!("{home}: {state}; {} layers, {features} features", layers.len())]
    });
    Ok(())
}

/// The shape of `layers --json`.
fn layer_json(layer: &LayerInfo) -> Value {
    json!({
        "id": layer.id, "kind": layer.kind, "title": layer.title, "features": layer.features, "bbox": layer.bbox,
        "as_of": layer.as_of, "freshness": layer.freshness, "sample": layer.sample, "practice": layer.practice,
        "source": layer.source, "version": layer.version, "classification": layer.classification,
    })
}

pub fn layers(desk: &Desk, out: &Output) -> Result<(), Failure> {
    let layers = desk.layer_infos();
    out.result(&layers.iter().map(layer_json).collect(), || {
        let mut rows =
            vec![["id", "kind", "title", "features", "freshness", "source", "as of"].map(str::to_owned).to_vec()];
        rows.extend(layers.iter().map(|layer| {
            vec![
                layer.id.to_string(),
                layer.kind.as_str().to_owned(),
                layer.title.vi.clone() + if layer.sample { " (mẫu)" } else { "" },
                layer.features.to_string(),
                layer.freshness.as_str().to_owned(),
                layer.source.clone(),
                layer.as_of.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ]
        }));
        table(&rows)
    });
    Ok(())
}

/// A look at what an import would bring.
pub async fn try_import(desk: &Arc<Desk>, args: &ImportArgs, out: &Output) -> Result<(), Failure> {
    let mut edits: BTreeMap<u64, RowEdit> = BTreeMap::new();
    let of = |row: u64| RowEdit { row, ..RowEdit::default() };
    for (row, column, value) in &args.edits {
        edits.entry(*row).or_insert_with(|| of(*row)).cells.insert(column.clone(), value.clone());
    }
    for row in &args.swaps {
        edits.entry(*row).or_insert_with(|| of(*row)).swap = true;
    }
    let wanted = FileArgs {
        path: args.file.to_string_lossy().into_owned(),
        target: Target::Layer { layer: args.layer.clone() },
        crs: args.crs,
        table: args.table.clone(),
        mode: match (&args.upsert, args.append) {
            (Some(_), _) => FileMode::Upsert,
            (None, true) => FileMode::Append,
            (None, false) => FileMode::Replace,
        },
        map: args.map.iter().cloned().collect(),
        edits: edits.into_values().collect(),
    };
    let trial = desk.try_file(wanted).await?;
    out.result(&json!(trial), || crate::source::trial_lines(&trial));
    Ok(())
}

pub fn import(desk: &Desk, args: &ImportArgs, out: &Output) -> Result<(), Failure> {
    let layer = &args.layer;
    stop_on_interrupt();
    let mut options = ImportOptions {
        crs: args.crs,
        map: args.map.clone(),
        table: args.table.clone(),
        encoding: args.encoding,
        abort: args.on_error == "abort",
        edits: Default::default(),
        mode: match (&args.upsert, args.append) {
            (Some(key), _) => ImportMode::Upsert { key: key.clone() },
            (None, true) => ImportMode::Append,
            (None, false) => ImportMode::Replace,
        },
        as_of: args.as_of,
    };
    for (row, column, value) in &args.edits {
        options.edits.entry(*row).or_default().cells.insert(column.clone(), value.clone());
    }
    for row in &args.swaps {
        options.edits.entry(*row).or_default().swap = true;
    }
    let bar = out.bar(0, "{wide_bar} {bytes}/{total_bytes} {eta}");
    let summary = desk.import(&args.file, layer, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        !INTERRUPTED.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let summary = summary?;
    out.result(&json!(summary), || {
        let mut lines = vec![format!(
            "{}: {} accepted, {} repaired, {} rejected ({})",
            summary.layer, summary.accepted, summary.repaired, summary.rejected, summary.crs
        )];
        lines.extend(summary.rejected_file.iter().map(|file| format!("rejected rows: {}", file.display())));
        lines.extend(summary.mapping.iter().map(|(field, column)| format!("{field} = {column}")));
        lines.extend(summary.warnings.iter().map(|warning| format!("! {warning}")));
        lines
    });
    Ok(())
}

pub fn restore(desk: &Desk, id: &LayerId, out: &Output) -> Result<(), Failure> {
    desk.restore(id)?;
    let features = desk.layer_infos().iter().find(|info| info.id == *id).map(|info| info.features);
    out.result(&json!({"layer": id, "features": features}), || {
        vec![
            features
                .map_or_else(|| format!("{id}: removed"), |count| format!("{id}: {count} features from the profile")),
        ]
    });
    Ok(())
}

pub fn export(desk: &Desk, args: &ExportArgs, out: &Output) -> Result<(), Failure> {
    let layer = &args.layer;
    let options = ExportOptions { bbox: args.bbox, filter: args.filter.clone(), crs: args.crs };
    let features = desk.export(layer, &args.output, &options)?;
    let file = args.output.to_string_lossy();
    out.result(&json!({"layer": layer, "file": file, "features": features}), || {
        vec![format!("{file}: {features} features")]
    });
    Ok(())
}

pub async fn query(desk: &Desk, args: &QueryArgs, out: &Output) -> Result<(), Failure> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let question = Question {
        layer: args.layer.clone(),
        bbox: args.bbox,
        at: args.at.map(|(lon, lat)| [lon, lat]),
        near: args.near.map(|(lon, lat)| [lon, lat]),
        within_m: args.within,
        nearest: args.nearest.map(count),
        filter: args.filter.clone(),
        limit: args.limit.map(count),
    };
    let answer = desk.ask_layer(&question).await?;
    if let Some(at) = answer.answered_at.filter(|_| answer.offline) {
        out.note(&desk.sentence("remote.kept", [("at", at.strftime("%d/%m/%Y %H:%M UTC").to_string().as_str())]));
    }
    out.document(&json!(answer));
    Ok(())
}

pub async fn search(desk: &Arc<Desk>, text: &str, limit: u32, out: &Output) -> Result<(), Failure> {
    let args = to_raw_value(&json!({"text": text, "limit": limit}))
        .map_err(|error| desk.fail("bad_arguments", [("detail", error.to_string().as_str())]))?;
    let hits = call(desk, Kind::Ask, "search", &args).await?;
    let hits: Vec<Value> = serde_json::from_str(hits.get()).unwrap_or_default();
    out.result(&json!(hits), || {
        let mut rows = vec![["layer", "id", "name", "commune"].map(str::to_owned).to_vec()];
        let text = |hit: &Value, key: &str| hit[key].as_str().unwrap_or_default().to_owned();
        rows.extend(hits.iter().map(|hit| ["layer", "id", "name", "commune"].map(|key| text(hit, key)).to_vec()));
        table(&rows)
    });
    Ok(())
}

pub async fn tile(
    desk: &Arc<Desk>,
    id: &LayerId,
    Tile { z, x, y }: Tile,
    output: &Path,
    out: &Output,
) -> Result<(), Failure> {
    let bytes = match desk.tile_of(id, z, x, y).await? {
        TileAnswer::Cancelled if desk.is_remote(id) => {
            return Err(desk.fail("remote_tile_missing", [("layer", id.as_str())]));
        }
        TileAnswer::Tile(bytes) => bytes.to_vec(),
        TileAnswer::Empty | TileAnswer::Cancelled => Vec::new(),
    };
    desk.write_file(output, &bytes)?;
    let file = output.to_string_lossy();
    out.result(&json!({"layer": id, "tile": format!("{z}/{x}/{y}"), "file": file, "bytes": bytes.len()}), || {
        vec![format!("{file}: {} bytes", bytes.len())]
    });
    Ok(())
}

pub fn tiles(desk: &Desk, id: &LayerId, output: &Path, zooms: Zooms, out: &Output) -> Result<(), Failure> {
    let Zooms { low, high } = zooms;
    stop_on_interrupt();
    let bar = out.bar(0, "{wide_bar} {pos}/{len} tiles {eta}");
    let written = desk.export_tiles(id, output, low, high, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        !INTERRUPTED.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let (tiles, bytes) = written?;
    let file = output.to_string_lossy();
    out.result(&json!({"layer": id, "file": file, "zoom": [low, high], "tiles": tiles, "bytes": bytes}), || {
        vec![format!("{file}: {tiles} tiles, {bytes} bytes, zoom {low}-{high}")]
    });
    Ok(())
}
