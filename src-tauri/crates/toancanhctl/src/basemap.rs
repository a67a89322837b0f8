//! Maps of others under the layers, and what of them lies on this machine.

use crate::data::{INTERRUPTED, bbox, stop_on_interrupt};
use crate::output::{Output, table};
use clap::Subcommand;
use desk::api::{BasemapInfo, Failure};
use desk::{AddBasemapArgs, BBox, BasemapArgs, ChooseBasemapArgs, Desk, PreloadBasemapArgs, failure, tile_protocol};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Subcommand)]
pub enum BasemapCommand {
    /// Base maps with what is kept of them on this machine.
    List,
    /// Add one by its address, after a tile of the province came: WMS, WMTS, TileJSON, PMTiles, an MBTiles file, or an
    /// address with {z}, {x} and {y}.
    Add {
        url: String,
        /// wms, wmts, xyz, tilejson, pmtiles or mbtiles [default: recognised by what answers].
        #[arg(long, value_parser = protocol)]
        protocol: Option<String>,
        /// What people know it by [default: what the source calls itself].
        #[arg(long)]
        title: Option<String>,
        /// The layer of a WMS or WMTS.
        #[arg(long)]
        layer: Option<String>,
        /// Of that layer [default: its default].
        #[arg(long)]
        style: Option<String>,
        /// Whose map it is [default: what the source says of itself].
        #[arg(long)]
        attribution: Option<String>,
    },
    /// Put one under the layers; `drawn` for the one that is drawn from the profile's own layers.
    Choose { basemap: String },
    /// Take out one that was added here, with its tiles.
    Remove { basemap: String },
    /// Fetch an area beforehand, for when the network is gone. What is there already is not asked for again.
    Preload {
        basemap: String,
        /// west,south,east,north in degrees [default: the province].
        #[arg(long, value_parser = bbox, allow_hyphen_values = true)]
        bbox: Option<BBox>,
        /// Lowest and highest zoom.
        #[arg(long, default_value = "6-13", value_parser = zooms)]
        zoom: (u8, u8),
        /// Only say how many tiles and about how many bytes.
        #[arg(long)]
        dry_run: bool,
    },
    /// Drop the tiles of one that lie on this machine.
    Clear { basemap: String },
}

fn protocol(text: &str) -> Result<String, String> {
    match tile_protocol(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("{text:?} is none of wms, wmts, xyz, tilejson, pmtiles, mbtiles")),
    }
}

fn zooms(text: &str) -> Result<(u8, u8), String> {
    let wrong = || format!("{text:?} is not LOW-HIGH or one zoom, at most 24, for example 6-13");
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let zoom = |text: &str| text.parse::<u8>().ok().filter(|zoom| *zoom <= 24).ok_or_else(wrong);
    let (low, high) = (zoom(low)?, zoom(high)?);
    if low <= high { Ok((low, high)) } else { Err(wrong()) }
}

pub async fn run(desk: &Arc<Desk>, command: &BasemapCommand, out: &Output) -> Result<(), Failure> {
    match command {
        BasemapCommand::List => {
            let infos = desk.basemap_infos();
            out.result(&json!(infos), || lines(&infos));
        }
        BasemapCommand::Add { url, protocol, title, layer, style, attribution } => {
            let args = AddBasemapArgs {
                url: url.clone(),
                protocol: protocol.as_deref().and_then(tile_protocol),
                title: title.clone(),
                layer: layer.clone(),
                style: style.clone(),
                attribution: attribution.clone(),
            };
            let added = desk.add_basemap(args).await?;
            out.result(&json!(added), || {
                vec![format!("{}: {} ({})", added.id, added.title.vi, added.protocol.as_str())]
            });
        }
        BasemapCommand::Choose { basemap } => {
            let chosen = (basemap != "drawn").then(|| basemap.clone());
            desk.choose_basemap(ChooseBasemapArgs { basemap: chosen.clone() }).await?;
            out.result(&json!({"basemap": chosen}), || vec![basemap.clone()]);
        }
        BasemapCommand::Remove { basemap } => {
            desk.remove_basemap(BasemapArgs { basemap: basemap.clone() }).await?;
            out.result(&json!({"removed": basemap}), || vec![basemap.clone()]);
        }
        BasemapCommand::Preload { basemap, bbox, zoom, dry_run } => {
            let args = PreloadBasemapArgs {
                basemap: basemap.clone(),
                bbox: *bbox,
                min_zoom: zoom.0,
                max_zoom: zoom.1,
                count_only: *dry_run,
            };
            preload(desk, &args, out).await?;
        }
        BasemapCommand::Clear { basemap } => {
            let dropped = desk.clear_basemap(BasemapArgs { basemap: basemap.clone() }).await?;
            out.result(&json!({"basemap": basemap, "tiles": dropped}), || {
                vec![format!("{basemap}: {dropped} tiles dropped")]
            });
        }
    }
    Ok(())
}

async fn preload(desk: &Arc<Desk>, args: &PreloadBasemapArgs, out: &Output) -> Result<(), Failure> {
    let plan = desk.preload_plan(args).await?;
    if args.count_only {
        out.result(&json!(plan), || {
            let megabytes = plan.bytes.div_ceil(1_000_000);
            vec![format!("{} tiles of zoom {} to {}, about {megabytes} MB", plan.tiles, plan.min_zoom, plan.max_zoom)]
        });
        return Ok(());
    }
    stop_on_interrupt();
    let bar = out.bar(plan.tiles, "{bar:30} {pos}/{len} tiles  {eta}");
    let outcome = desk
        .preload(args, &mut |done, _| {
            bar.set_position(done);
            !INTERRUPTED.load(Ordering::Relaxed)
        })
        .await;
    bar.finish_and_clear();
    let outcome = outcome?;
    if outcome.cancelled {
        return Err(failure(desk.settings().language, "interrupted", []));
    }
    out.result(&json!(outcome), || {
        let part = format!("{} fetched, {} were there, {} failed", outcome.fetched, outcome.held, outcome.failed);
        vec![format!("{}: {part}; {} tiles in all", args.basemap, outcome.tiles)]
    });
    Ok(())
}

fn lines(infos: &[BasemapInfo]) -> Vec<String> {
    let mut rows =
        vec![["id", "title", "protocol", "tiles", "beforehand", "MB", "oldest", ""].map(str::to_owned).to_vec()];
    rows.extend(infos.iter().map(|info| {
        let oldest = info.kept.oldest.map(|oldest| oldest.to_string()).unwrap_or_default();
        let marks =
            [(info.chosen, "chosen"), (info.added, "added here"), (info.sample, "sample"), (info.practice, "practice")];
        let marks: Vec<&str> = marks.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        vec![
            info.id.clone(),
            info.title.vi.clone(),
            info.protocol.as_str().to_owned(),
            info.kept.tiles.to_string(),
            info.kept.preloaded.to_string(),
            info.kept.bytes.div_ceil(1_000_000).to_string(),
            oldest,
            marks.join(", "),
        ]
    }));
    table(&rows)
}
