//! Requests, a line each, and their answers.

use crate::data::Data;
use crate::search::{self, Search};
use crate::{Failure, agree, overlay, tiles};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Deserialize)]
struct Request {
    #[serde(rename = "do")]
    verb: String,
    #[serde(default)]
    job: String,
    #[serde(default)]
    engine: String,
    #[serde(default)]
    n: usize,
    #[serde(default)]
    tiles: Vec<(u8, u32, u32)>,
    from: Option<PathBuf>,
    to: Option<PathBuf>,
}

struct Server {
    data: Data,
    searches: HashMap<(String, String), Search>,
    overlay: Option<overlay::Overlay>,
}

/// How many items' ids an answer spells out.
const SPELT_OUT: usize = 200;

pub fn serve(folder: &Path) -> Result<(), Failure> {
    let mut server = Server { data: Data::open(folder)?, searches: HashMap::new(), overlay: None };
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?).map_err(Failure::from).and_then(|request| server.answer(&request));
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

impl Server {
    fn answer(&mut self, request: &Request) -> Result<Value, Failure> {
        if request.verb == "drop" {
            self.searches.clear();
            self.overlay = None;
            self.data.forget();
            return Ok(json!({}));
        }
        match request.job.split('_').next() {
            Some("tiles") => self.tiles(request),
            Some("agree") => self.agree(request),
            Some("overlay" | "union") => {
                if self.overlay.is_none() {
                    self.overlay = Some(overlay::Overlay::load(&mut self.data)?);
                }
                let overlay = self.overlay.as_ref().ok_or("no overlay")?;
                match request.verb.as_str() {
                    "prepare" => Ok(json!({})),
                    "run" => overlay.run(&request.job, &request.engine, request.n),
                    "answer" => overlay.answer(&request.job, &request.engine, request.n),
                    verb => Err(format!("{verb}?").into()),
                }
            }
            _ => self.search(request),
        }
    }

    /// Files in, files out: an answer is too long for a line.
    fn agree(&mut self, request: &Request) -> Result<Value, Failure> {
        let from = || request.from.as_deref().ok_or("from where?");
        let answer = match request.verb.as_str() {
            "queries" => agree::queries(&mut self.data, from()?)?,
            "pairs" => agree::pairs(from()?)?,
            "degenerate" => return Ok(agree::degenerate(request.n)),
            verb => return Err(format!("{verb}?").into()),
        };
        let to = request.to.as_deref().ok_or("to where?")?;
        serde_json::to_writer(BufWriter::new(File::create(to)?), &answer)?;
        Ok(json!({}))
    }

    fn tiles(&mut self, request: &Request) -> Result<Value, Failure> {
        let layer = if request.job == "tiles_points" { self.data.points()? } else { self.data.parcels()? };
        match request.verb.as_str() {
            // What is made on the first tile belongs to the layer, not to the tile.
            "prepare" => Ok(json!({ "bytes": layer.picture.tile(16, 0, 0).map_or(0, |tile| tile.len()) })),
            "tiles" => Ok(tiles::time(&layer.picture, &request.tiles)),
            "dump" => tiles::dump(&layer.picture, &request.tiles, request.to.as_deref().ok_or("dump to where?")?),
            verb => Err(format!("{verb}?").into()),
        }
    }

    fn search(&mut self, request: &Request) -> Result<Value, Failure> {
        let key = (request.job.clone(), request.engine.clone());
        if request.verb == "prepare" {
            let search = search::prepare(&mut self.data, &request.job, &request.engine)?;
            self.searches.insert(key, search);
            return Ok(json!({}));
        }
        let search = self.searches.get(&key).ok_or("prepare it first")?;
        if request.n > search.items {
            return Err(format!("only {} items", search.items).into());
        }
        match request.verb.as_str() {
            "run" => {
                let start = Instant::now();
                let hits: usize = (0..request.n).map(|item| black_box((search.count)(item))).sum();
                Ok(json!({ "seconds": start.elapsed().as_secs_f64(), "hits": hits }))
            }
            "answer" => {
                let mut sum = 0_u64;
                let mut hits = 0;
                let mut spelt_out = Vec::new();
                for item in 0..request.n {
                    let ids = (search.ids)(item);
                    hits += ids.len();
                    sum += ids.iter().map(|id| u64::from(*id)).sum::<u64>();
                    if item < SPELT_OUT {
                        spelt_out.push(ids);
                    }
                }
                Ok(json!({ "hits": hits, "sum": sum, "ids": spelt_out }))
            }
            verb => Err(format!("{verb}?").into()),
        }
    }
}
