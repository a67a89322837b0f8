//! The place Dữ liệu takes something in: a source by its address, a file whose rows are mended on the way.

use crate::programs::{Practice, driver};
use crate::window::Window;
use crate::{Outcome, TURN, programs};
use std::time::{Duration, Instant};

const ENTER: &str = "\u{e007}";
/// The rule: a person adds a source within this.
const A_MINUTE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn sign_in(window: &Window) -> Outcome {
    window.click("[data-testid='settings-open']").await?;
    window.wait("dialog[open] [data-testid='sign-in-role']", Duration::from_secs(5)).await?;
    window.choose("[data-testid='sign-in-role']", "administrator").await?;
    window.type_text("[data-testid='sign-in-name']", "P. T. Mai").await?;
    window.click("[data-testid='sign-in']").await?;
    let signed_in = "return window.__toancanh.state.model.session.role === 'administrator'
        && document.querySelector('dialog[open]') === null";
    assert!(window.until_true(signed_in, Duration::from_secs(10)).await, "nobody signed in");
    Ok(())
}

/// Waits until the way on is open, and takes it.
async fn next(window: &Window, step: &str) -> Outcome {
    window.wait("[data-testid='intake-next']:enabled", PATIENCE).await?;
    window.click("[data-testid='intake-next']").await?;
    window.wait(&format!("[data-testid='intake'][data-step='{step}']"), PATIENCE).await
}

async fn timed_picture(window: &Window, name: &str) -> Result<Duration, Box<dyn std::error::Error>> {
    let started = Instant::now();
    window.picture(name).await?;
    Ok(started.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_added_in_under_a_minute() -> Outcome {
    let Some(programs) = programs() else { return Ok(()) };
    let _turn = TURN.lock().await;
    let home = tempfile::tempdir()?;
    let practice = Practice::start(&programs, home.path())?;
    let _driver = driver(&programs)?;
    let window = Window::open(&programs, home.path(), &practice.url).await?;
    window.wait("html[data-ready='live']", Duration::from_secs(60)).await?;
    window.click("[data-testid='rail-data']").await?;

    // Whoever may not do it is told why; what was entered is kept while they sign in.
    window.click("[data-testid='add-source']").await?;
    let url = format!("{}/ogc/collections/schools/items", practice.url);
    window.type_text("[data-testid='intake-url']", &url).await?;
    window.wait("[data-testid='intake-needs-role']", Duration::from_secs(5)).await?;
    sign_in(&window).await?;
    let kept =
        format!("return document.querySelector(\"[data-testid='intake-url']\").value === {}", serde_json::json!(url));
    assert!(window.until_true(&kept, Duration::from_secs(5)).await, "the address was lost with the sign-in");
    window.click("[data-testid='intake-discard']").await?;

    let started = Instant::now();
    // A picture takes the driver up to half a minute on a busy machine, and no person waits for it.
    let mut pictures = Duration::ZERO;
    window.click("[data-testid='add-source']").await?;
    window.type_text("[data-testid='intake-url']", &url).await?;
    window.press("[data-testid='intake-url']", ENTER).await?;
    window.wait("[data-testid='intake'][data-step='layers']", PATIENCE).await?;
    window.wait_text("[data-testid='intake-found']", "OGC API").await?;
    window.wait("[data-testid='offer-schools']:checked", Duration::from_secs(5)).await?;
    window.choose("[data-testid='target-layer']", "*new").await?;
    window.fill("[data-testid='target-title']", "Trường học của Sở").await?;
    window.choose("[data-testid='target-kind']", "school").await?;
    window.choose("[data-testid='target-group']", "social").await?;
    pictures += timed_picture(&window, "10-source-layers").await?;
    next(&window, "mapping").await?;
    window.wait("[data-testid='mapping-row']", PATIENCE).await?;
    pictures += timed_picture(&window, "11-source-mapping").await?;
    next(&window, "preview").await?;
    let drawn = "return Number(document.querySelector(\"[data-testid='preview']\")?.dataset.features) > 0";
    assert!(window.until_true(drawn, PATIENCE).await, "the preview shows nothing");
    pictures += timed_picture(&window, "12-source-preview").await?;
    next(&window, "confirm").await?;
    window.click("[data-testid='intake-next']").await?;
    window.wait("[data-testid='source-detail'] [data-testid='remove-source']", PATIENCE).await?;
    let took = started.elapsed().saturating_sub(pictures);
    assert!(took < A_MINUTE, "it took {took:?}");
    eprintln!("a source added in {took:?}");

    // Its first sync brings the layer, and the map shows it.
    let came = "return window.__toancanh.state.model.layers
        .some((layer) => layer.title.vi === 'Trường học của Sở' && layer.features > 0)";
    assert!(window.until_true(came, A_MINUTE).await, "the new layer stayed empty");
    window.picture("13-source-added").await?;
    window.click("[data-testid='rail-map']").await?;
    let id = window
        .string(
            "return window.__toancanh.state.model.layers.find((layer) => layer.title.vi === 'Trường học của Sở').id",
        )
        .await?;
    let shown = format!("return document.querySelector(\"[data-testid='layer-toggle-{id}']\") !== null");
    assert!(window.until_true(&shown, Duration::from_secs(5)).await, "the layer panel does not list {id}");
    window.settle().await;
    window.picture("14-source-on-the-map").await?;
    window.close().await
}

/// Health facilities in metres of VN-2000, meridian 105°30′: line 5 has north and east changed over, line 6 a range of beds.
const CLINICS: &str = "\
id,name,level,beds,easting,northing
mend-1,Trạm Y tế một,tram_y_te,5,565956.0,1251476.2
mend-2,Trạm Y tế hai,tram_y_te,5,566956.0,1252476.2
mend-3,Trạm Y tế ba,tram_y_te,5,564956.0,1250476.2
mend-4,Trạm Y tế bốn,tram_y_te,5,1251476.2,566456.0
mend-5,Trạm Y tế năm,tram_y_te,12-15,565456.0,1251976.2
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_imported_with_mended_rows() -> Outcome {
    let Some(programs) = programs() else { return Ok(()) };
    let _turn = TURN.lock().await;
    let home = tempfile::tempdir()?;
    let files = tempfile::tempdir()?;
    let file = files.path().join("csyt.csv");
    std::fs::write(&file, CLINICS)?;
    let practice = Practice::start(&programs, home.path())?;
    let _driver = driver(&programs)?;
    let window = Window::open(&programs, home.path(), &practice.url).await?;
    window.wait("html[data-ready]", Duration::from_secs(60)).await?;
    sign_in(&window).await?;
    window.click("[data-testid='rail-data']").await?;

    window.click("[data-testid='import-file']").await?;
    window.type_text("[data-testid='intake-path']", &file.to_string_lossy()).await?;
    window.choose("[data-testid='target-layer']", "clinics").await?;
    next(&window, "read").await?;

    // The file does not say its meridian: the window asks, and reads on.
    window.wait("[data-testid='intake-crs']", PATIENCE).await?;
    window.picture("20-file-meridian").await?;
    window.choose("[data-testid='intake-crs']", "9209").await?;
    window.wait_text("[data-testid='trial-counts']", "EPSG:9209").await?;
    next(&window, "mapping").await?;
    window.wait("[data-testid='rejection'][data-row='5']", PATIENCE).await?;
    window.wait("[data-testid='rejection'][data-row='6']", PATIENCE).await?;
    window.picture("21-file-rejected").await?;

    // North and east change places again; a cell is put right.
    window.click("[data-testid='swap-5']").await?;
    let swapped = "return document.querySelector(\"[data-testid='rejection'][data-row='5']\") === null";
    assert!(window.until_true(swapped, PATIENCE).await, "the row is still rejected after the swap");
    window.wait("[data-testid='edit-6']:enabled", PATIENCE).await?;
    window.click("[data-testid='edit-6']").await?;
    window.fill("[data-testid='cell-beds']", "14").await?;
    window.press("[data-testid='cell-beds']", ENTER).await?;
    let mended = "return document.querySelector(\"[data-testid='rejection']\") === null";
    assert!(window.until_true(mended, PATIENCE).await, "the row is still rejected after the edit");
    window.picture("22-file-mended").await?;

    next(&window, "preview").await?;
    let inside = "const picture = document.querySelector(\"[data-testid='preview']\");
        return picture?.dataset.features === '5' && picture.dataset.outside === '0'";
    assert!(window.until_true(inside, PATIENCE).await, "not all five lie in the province");
    window.picture("23-file-preview").await?;
    next(&window, "confirm").await?;
    window.click("[data-testid='intake-next']").await?;
    window.wait("[data-testid='import-done']", PATIENCE).await?;
    window.picture("24-file-written").await?;
    let held = "return window.__toancanh.state.layer('clinics').features === 5";
    assert!(window.until_true(held, Duration::from_secs(10)).await, "the layer does not hold the five rows");
    window.click("[data-testid='intake-show']").await?;
    window.settle().await;
    window.picture("25-file-on-the-map").await?;
    window.close().await
}
