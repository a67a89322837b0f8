//! What it costs to have a home open: time, memory, idle processor time, and calls as the window makes them.

use crate::Failure;
use crate::data::Data;
use desk::{Desk, Kind, LayerId, Options, call};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const IDLE: Duration = Duration::from_secs(5);
const CALLS: usize = 2_000;

pub fn open(home: &Path, data: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let told = runtime.block_on(measure(home, data))?;
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

async fn measure(home: &Path, data: &Path) -> Result<Value, Failure> {
    let start = Instant::now();
    let (desk, notices) = Desk::open(Options::at(home)).map_err(|failure| failure.message)?;
    let open_s = start.elapsed().as_secs_f64();
    if let Some(notice) = notices.first() {
        return Err(notice.message.clone().into());
    }
    let layers: Vec<Value> =
        desk.layer_infos().iter().map(|layer| json!([layer.id.as_str(), layer.features])).collect();
    let opened_mb = pss_mb()?;
    let layer_ids: Vec<LayerId> = desk.layer_infos().iter().map(|layer| layer.id.clone()).collect();
    let first = Instant::now();
    for layer in &layer_ids {
        desk.tile_now(layer, 12, 3251, 1921).map_err(|failure| failure.message)?;
        ask(&desk, "at", &json!({ "lon": 106.2, "lat": 11.0, "layers": [layer], "tolerance_m": 30.0 })).await?;
    }
    let first_s = first.elapsed().as_secs_f64();
    let used_mb = pss_mb()?;
    let before = processor_seconds()?;
    tokio::time::sleep(IDLE).await;
    let idle_percent = (processor_seconds()? - before) / IDLE.as_secs_f64() * 100.0;
    let queries = Data::open(data)?;
    let mut at_ms = Vec::new();
    let mut near_ms = Vec::new();
    for c in queries.places.iter().take(CALLS) {
        let at = json!({ "lon": c.x, "lat": c.y, "layers": layer_ids, "tolerance_m": 30.0 });
        at_ms.push(ask(&desk, "at", &at).await?);
        near_ms.push(ask(&desk, "near", &json!({ "lon": c.x, "lat": c.y, "within_m": 500.0, "limit": 50 })).await?);
    }
    Ok(json!({
        "layers": layers, "open_s": open_s, "opened_mb": opened_mb, "first_s": first_s, "used_mb": used_mb,
        "idle_percent": idle_percent, "at_ms": at_ms, "near_ms": near_ms,
    }))
}

/// Milliseconds of one call, arguments and answer as JSON.
async fn ask(desk: &Arc<Desk>, name: &str, arguments: &Value) -> Result<f64, Failure> {
    let start = Instant::now();
    let arguments = to_raw_value(arguments)?;
    let answer = call(desk, Kind::Ask, name, &arguments).await.map_err(|failure| failure.message)?;
    std::hint::black_box(answer.get().len());
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Proportional set size of this process: the kernel's own account.
fn pss_mb() -> Result<f64, Failure> {
    let account = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = account.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss line")?;
    let kb: f64 = line.split_whitespace().next().ok_or("an empty Pss line")?.parse()?;
    Ok(kb * 1024.0 / 1e6)
}

/// Time on a processor of all threads so far.
fn processor_seconds() -> Result<f64, Failure> {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let account = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += account.split_whitespace().next().ok_or("an empty schedstat")?.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}
