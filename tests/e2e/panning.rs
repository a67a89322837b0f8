//! A planner's home: more lots and points than any list could hold, and the map is pulled about.
//!
//! With `TC_BENCH_DIR` the bench's 200,000 lots and a million points, else a sixth and a sixteenth of them.

use crate::programs::{Programs, driver};
use crate::window::Window;
use crate::{Outcome, TURN, programs};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The core answers a tile within this. A debug build takes some ten times as long.
const ANSWER_MS: f64 = if cfg!(debug_assertions) { 2_000.0 } else { 200.0 };
/// No place may stand empty for longer after its tile was asked for: with neither the tile nor a coarser one in its stead.
/// Where the graphics card is the processor itself, as here, a frame takes 50 to 300 ms.
const EMPTY_MS: f64 = if cfg!(debug_assertions) { 4_000.0 } else { 200.0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_home_pans_without_empty_tiles() -> Outcome {
    let Some(programs) = programs() else { return Ok(()) };
    let _turn = TURN.lock().await;
    let dir = tempfile::tempdir()?;
    let home = dir.path().join("home");
    let (lots, points) = data(dir.path())?;
    run(&programs, &home, &["init"])?;
    run(&programs, &home, &["import", &lots.to_string_lossy(), "--layer", "lots"])?;
    run(&programs, &home, &["import", &points.to_string_lossy(), "--layer", "things"])?;
    let _driver = driver(&programs)?;
    let window = Window::open(&programs, &home, "none").await?;
    window.wait("html[data-ready]", Duration::from_secs(120)).await?;
    window.number(WATCH).await?;
    for zoom in [9, 11, 13, 15] {
        window
            .number(&format!("window.__toancanh.map.map.jumpTo({{center: [106.1, 11.05], zoom: {zoom}}}); return 0"))
            .await?;
        window.settle().await;
        for by in ["[700, 0]", "[0, 500]", "[-700, 0]", "[-300, -500]"] {
            window.number(&format!("window.__toancanh.map.map.panBy({by}, {{duration: 600}}); return 0")).await?;
            tokio::time::sleep(Duration::from_millis(1_200)).await;
        }
        window.picture(&format!("pan-{zoom}")).await?;
    }
    window.settle().await;
    let count = window.number("return window.__tiles.times.length").await?;
    let waiting = window.number("return window.__tiles.asked.size").await?;
    let longest = window.number("return Math.max(0, ...window.__tiles.empty)").await?;
    let median =
        window.number("const t = window.__tiles.times.toSorted((a, b) => a - b); return t[t.length >> 1] ?? 0").await?;
    let slowest = window.number("return Math.max(0, ...window.__tiles.times)").await?;
    window.number(ANSWERS).await?;
    let answered = window.until_true("return window.__tiles.answers.length === 40", Duration::from_secs(60)).await;
    let answer = window.number("return Math.max(0, ...window.__tiles.answers)").await?;
    eprintln!(
        "{count} tiles: median {median:.0} ms, slowest {slowest:.0} ms, longest empty {longest:.0} ms; the core alone at most {answer:.0} ms"
    );
    window.close().await?;
    assert!(count > 50.0 && waiting == 0.0, "{count} tiles came, {waiting} did not");
    assert!(answered && answer <= ANSWER_MS, "the core took {answer:.0} ms for a tile");
    assert!(longest <= EMPTY_MS, "a tile stood empty for {longest:.0} ms");
    Ok(())
}

/// Asks for tiles nobody has seen, one after the other, with the map at rest.
const ANSWERS: &str = "
    const answers = (window.__tiles.answers = []);
    const base = window.__toancanh.map.options.tilesBase;
    const layers = ['lots', 'things'].map((id) => window.__toancanh.state.layer(id));
    void (async () => {
      for (let i = 0; i < 20; i += 1) {
        for (const { id, version } of layers) {
          const begun = performance.now();
          await (await fetch(`${base}/v/${id}/${version}/12/${3250 + i % 5}/${1915 + Math.floor(i / 5)}`)).arrayBuffer();
          answers.push(performance.now() - begun);
        }
      }
    })();
    return 0;";

/// Notes of each tile of the two layers how long it took to come, and how long its place stood empty: with neither the
/// tile nor an earlier one of another zoom in its stead.
const WATCH: &str = "
    const map = window.__toancanh.map.map;
    const seen = { asked: new Map(), times: [], empty: [] };
    window.__tiles = seen;
    const key = (event) => `${event.sourceId} ${event.tile.tileID.key}`;
    const ours = (event) => event.tile && (event.sourceId === 'lots' || event.sourceId === 'things');
    const covered = (event) => {
      const manager = map.style.tileManagers[event.sourceId];
      const { tileID } = event.tile;
      for (let z = tileID.overscaledZ - 1; z >= 5; z -= 1) if (manager.getLoadedTile(tileID.scaledTo(z))) return true;
      return false;
    };
    map.on('dataloading', (event) => { if (ours(event)) seen.asked.set(key(event), [performance.now(), covered(event)]); });
    const done = (event) => {
      const asked = ours(event) && seen.asked.get(key(event));
      if (!asked || (event.tile.state !== 'loaded' && event.tile.state !== 'errored')) return;
      seen.asked.delete(key(event));
      const took = performance.now() - asked[0];
      seen.times.push(took);
      if (!asked[1]) seen.empty.push(took);
    };
    map.on('data', done);
    map.on('error', (event) => { if (event.tile) done(event); });
    map.on('dataabort', (event) => { if (ours(event)) seen.asked.delete(key(event)); });
    return 0;";

fn run(programs: &Programs, home: &Path, args: &[&str]) -> Outcome {
    let output = Command::new(&programs.ctl).arg("--home").arg(home).args(args).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

fn data(dir: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
    if let Some(bench) = std::env::var_os("TC_BENCH_DIR").map(PathBuf::from) {
        return Ok((bench.join("parcels.geojsonl"), bench.join("points.geojsonl")));
    }
    let (lots, points) = (dir.join("lots.geojsonl"), dir.join("points.geojsonl"));
    let (mut text, side) = (String::new(), 180);
    for i in 0..side * side {
        let (x, y) = (f64::from(i % side).mul_add(0.007, 105.5), f64::from(i / side).mul_add(0.007, 10.4));
        let (e, n) = (x + 0.007, y + 0.007);
        let _ = writeln!(
            text,
            r#"{{"type":"Feature","id":{i},"properties":{{"name":"Thửa {i}"}},"geometry":{{"type":"Polygon","coordinates":[[[{x},{y}],[{e},{y}],[{e},{n}],[{x},{n}],[{x},{y}]]]}}}}"#
        );
    }
    std::fs::write(&lots, &text)?;
    text.clear();
    let mut dice = 1_u32;
    let mut roll = move || {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(dice >> 8) / f64::from(1 << 24)
    };
    for i in 0..60_000 {
        let (x, y) = (105.5 + 1.4 * roll(), 10.3 + 1.5 * roll());
        let _ = writeln!(
            text,
            r#"{{"type":"Feature","id":{i},"properties":{{"name":"Điểm {i}"}},"geometry":{{"type":"Point","coordinates":[{x:.6},{y:.6}]}}}}"#
        );
    }
    std::fs::write(&points, &text)?;
    Ok((lots, points))
}
