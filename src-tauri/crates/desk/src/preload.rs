//! Areas of base maps that are fetched beforehand: counted first, fetched politely, stopped when a person asks, and taken up
//! again where they were.

use crate::Desk;
use crate::api::{BasemapTiles, Event, Failure, JobState, PreloadOutcome, PreloadPlan, PreloadedArea};
use crate::args::PreloadBasemapArgs;
use crate::jobs::JobHandle;
use crate::tile_sets::{Ensured, TileSet};
use crate::tiles::tile_range;
use model::BBox;
use sources::FetchError;
use std::sync::Arc;
use std::time::Duration;
use store::TilePlace;
use tokio::task::JoinSet;

/// A preload of more tiles is refused: it would take hours and strain its source.
const MOST_TILES: u64 = 100_000;
/// A preload asks for so many tiles at once: it has time, and the map may want some too.
const AT_ONCE: usize = 3;
/// Failures in a row after which a preload gives up.
const PATIENCE: u32 = 8;
/// A tile is taken to have so many bytes while none of its map is known.
const GUESSED_BYTES: u64 = 25_000;
/// Areas that are remembered of each base map.
const REMEMBERED_AREAS: usize = 50;

impl Desk {
    /// Counts what an area takes and, unless only that was asked, begins to fetch it; a job tells how far it is.
    pub(crate) async fn preload_basemap(self: &Arc<Self>, args: PreloadBasemapArgs) -> Result<PreloadPlan, Failure> {
        let plan = self.preload_plan(&args).await?;
        if !args.count_only {
            let desk = self.clone();
            // Begun here, so that a window that asks for the jobs finds it.
            let job = self.begin_job_for("preload", Some(&args.basemap));
            tokio::spawn(async move {
                let outcome = desk.run_preload(&args, &job, &mut |_, _| true).await;
                match &outcome {
                    Ok(outcome) if outcome.cancelled => job.finish(JobState::Cancelled),
                    Ok(_) => job.finish(JobState::Done),
                    Err(_) => job.finish(JobState::Failed),
                }
                if let Err(failure) = outcome {
                    desk.tell(&Event::Notice { failure, serious: false });
                }
                desk.tell_basemaps();
            });
        }
        Ok(plan)
    }

    /// How many tiles an area has, and about how many bytes.
    ///
    /// # Errors
    /// `no_basemap`; `preload_local` for a file of this machine; `preload_too_large`; what opening the source gives, when
    /// nothing of it is remembered.
    pub async fn preload_plan(self: &Arc<Self>, args: &PreloadBasemapArgs) -> Result<PreloadPlan, Failure> {
        let (_, tiles) = self.basemap_tiles(&args.basemap).await?;
        if tiles.local {
            return Err(self.failure("preload_local", [("basemap", args.basemap.as_str())]));
        }
        let area = self.preload_area(args, &tiles);
        let count: u64 = (area.min_zoom..=area.max_zoom).map(|zoom| tiles_in(zoom, area.bbox)).sum();
        let info = self.basemap_infos().into_iter().find(|info| info.id == args.basemap);
        let kept = info.map(|info| info.kept).unwrap_or_default();
        let each = kept.bytes.checked_div(kept.tiles).filter(|bytes| *bytes > 0).unwrap_or(GUESSED_BYTES);
        let cache = self.tile_sets().cache();
        let room = cache.map_or(0, |cache| cache.budget().saturating_sub(cache.held_bytes()));
        if count > MOST_TILES {
            let (count, most) = (count.to_string(), MOST_TILES.to_string());
            return Err(self.failure("preload_too_large", [("tiles", count.as_str()), ("most", most.as_str())]));
        }
        let (min_zoom, max_zoom) = (area.min_zoom, area.max_zoom);
        Ok(PreloadPlan { min_zoom, max_zoom, tiles: count, bytes: count * each, room_bytes: room })
    }

    /// Fetches an area beforehand. What is fresh already is not asked for: a preload that was cut goes on where it was.
    /// `told` hears of tiles done and in all, and stops it by answering false.
    ///
    /// # Errors
    /// As [`Desk::preload_plan`]; `preload_no_room` when the settings leave no more; what the source gives, when it gives
    /// nothing eight times in a row. What has come is kept.
    pub async fn preload(
        self: &Arc<Self>,
        args: &PreloadBasemapArgs,
        told: &mut (dyn FnMut(u64, u64) -> bool + Send),
    ) -> Result<PreloadOutcome, Failure> {
        let job = self.begin_job_for("preload", Some(&args.basemap));
        let outcome = self.run_preload(args, &job, told).await;
        job.finish(match &outcome {
            Ok(outcome) if outcome.cancelled => JobState::Cancelled,
            Ok(_) => JobState::Done,
            Err(_) => JobState::Failed,
        });
        outcome
    }

    async fn run_preload(
        self: &Arc<Self>,
        args: &PreloadBasemapArgs,
        job: &JobHandle,
        told: &mut (dyn FnMut(u64, u64) -> bool + Send),
    ) -> Result<PreloadOutcome, Failure> {
        let plan = self.preload_plan(args).await?;
        let (set, tiles) = self.basemap_tiles(&args.basemap).await?;
        let area = self.preload_area(args, &tiles);
        let mut places = (area.min_zoom..=area.max_zoom).flat_map(|z| {
            let [west, north, east, south] = tile_range(z, area.bbox);
            (north..=south).flat_map(move |y| (west..=east).map(move |x| TilePlace { z, x, y }))
        });
        let mut outcome = PreloadOutcome { tiles: plan.tiles, ..PreloadOutcome::default() };
        let mut asked: JoinSet<Result<Ensured, FetchError>> = JoinSet::new();
        let mut in_a_row = 0;
        loop {
            while asked.len() < AT_ONCE
                && let Some(place) = places.next()
            {
                let (desk, set) = (self.clone(), set.clone());
                asked.spawn(async move { patient(&desk, &set, place).await });
            }
            let Some(done) = asked.join_next().await else { break };
            match done.unwrap_or(Err(FetchError::Cancelled)) {
                Ok(Ensured::Held) => (outcome.held, in_a_row) = (outcome.held + 1, 0),
                Ok(Ensured::Fetched) => (outcome.fetched, in_a_row) = (outcome.fetched + 1, 0),
                Ok(Ensured::NoRoom) => {
                    let budget = self.settings().tile_cache_mb.to_string();
                    return Err(self.failure("preload_no_room", [("megabytes", budget.as_str())]));
                }
                Err(error) => {
                    (outcome.failed, in_a_row) = (outcome.failed + 1, in_a_row + 1);
                    if in_a_row >= PATIENCE || matches!(error, FetchError::Staging { .. }) {
                        return Err(crate::failures::fetch(self.language(), &set.url, &error));
                    }
                }
            }
            let so_far = outcome.fetched + outcome.held + outcome.failed;
            // Both hear of it, whoever stops it.
            let (by_job, by_caller) = (job.progress(so_far, plan.tiles), told(so_far, plan.tiles));
            if !(by_job && by_caller) {
                outcome.cancelled = true;
                return Ok(outcome);
            }
        }
        let whole = PreloadedArea { at: self.now(), tiles: plan.tiles, ..area };
        self.home()
            .change_basemaps(|remembered| {
                if let Some(known) = remembered.get_mut(&set.key()) {
                    let same = |old: &PreloadedArea| {
                        old.bbox == whole.bbox && (old.min_zoom, old.max_zoom) == (whole.min_zoom, whole.max_zoom)
                    };
                    known.areas.retain(|old| !same(old));
                    known.areas.push(whole);
                    let extra = known.areas.len().saturating_sub(REMEMBERED_AREAS);
                    known.areas.drain(..extra);
                }
            })
            .map_err(|error| crate::failures::home(self.language(), &error))?;
        Ok(outcome)
    }

    /// The asked area within what the base map has.
    fn preload_area(&self, args: &PreloadBasemapArgs, tiles: &BasemapTiles) -> PreloadedArea {
        let asked = args.bbox.unwrap_or_else(|| self.bbox());
        let bounds = tiles.bounds.unwrap_or(BBox { west: -180.0, south: -85.05, east: 180.0, north: 85.05 });
        let bbox = BBox {
            west: asked.west.max(bounds.west),
            south: asked.south.max(bounds.south),
            east: asked.east.min(bounds.east),
            north: asked.north.min(bounds.north),
        };
        let max_zoom = args.max_zoom.min(tiles.max_zoom);
        let min_zoom = args.min_zoom.clamp(tiles.min_zoom.min(max_zoom), max_zoom);
        PreloadedArea { bbox, min_zoom, max_zoom, tiles: 0, at: self.now() }
    }
}

/// A tile that is asked for once more after a while, when that may help.
async fn patient(desk: &Arc<Desk>, set: &TileSet, place: TilePlace) -> Result<Ensured, FetchError> {
    match desk.ensure_tile(set, place).await {
        Err(error) if error.retryable() && !matches!(error, FetchError::Staging { .. }) => {
            let wait = error.retry_after_secs().unwrap_or(1).min(30);
            tokio::time::sleep(Duration::from_secs(wait)).await;
            desk.ensure_tile(set, place).await
        }
        outcome => outcome,
    }
}

fn tiles_in(zoom: u8, bbox: BBox) -> u64 {
    if bbox.is_empty() {
        return 0;
    }
    let [west, north, east, south] = tile_range(zoom, bbox);
    u64::from(east - west + 1) * u64::from(south - north + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_counted_by_the_grid() {
        let province = BBox { west: 105.8, south: 10.9, east: 106.5, north: 11.8 };
        assert_eq!(tiles_in(0, province), 1);
        assert_eq!(tiles_in(8, province), 2);
        assert!(tiles_in(14, province) > 1_000);
        assert_eq!(tiles_in(10, BBox::EMPTY), 0);
    }
}
