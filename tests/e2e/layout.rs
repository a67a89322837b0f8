//! What stands where in windows of the two usual sizes: nothing breaks its line, nothing lies on something else.

use crate::intake::sign_in;
use crate::programs::{Practice, driver};
use crate::window::Window;
use crate::{Outcome, TURN, programs};
use std::time::Duration;

/// Long work in the status bar, as a slow sync would show it.
const JOBS: &str = "const job = (id, vi) => ({ id, kind: 'sync', title: { vi, en: vi }, source: null, done: 3, total: 10, state: 'running' });
    window.__toancanh.state.model.jobs = [job(9001, 'Đồng bộ với trung tâm dữ liệu của tỉnh'), job(9002, 'Nhập tệp')];
    return true";

/// The cross that cancels lies in front of the link's mark, and the link's text ends in the window.
const APART: &str = "const bar = document.querySelector('footer[aria-label]');
    const box = (selector) => bar.querySelector(selector)?.getBoundingClientRect();
    const [cross, link] = [box('.job button'), box(\"[data-testid='status-link']\")];
    return !!cross && !!link && cross.right <= link.left + 0.5 && link.right <= window.innerWidth + 0.5 && cross.left >= 0";

const ONE_LINE: &str = "const header = document.querySelector(\"[data-region='sources'] > header\");
    const tops = [...header.children].filter((child) => child.offsetHeight > 0)
        .map((child) => child.getBoundingClientRect()).map(({ top, bottom }) => Math.round((top + bottom) / 2));
    return Math.max(...tops) - Math.min(...tops) <= 6";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_hold_at_both_sizes() -> Outcome {
    let Some(programs) = programs() else { return Ok(()) };
    let _turn = TURN.lock().await;
    let home = tempfile::tempdir()?;
    let practice = Practice::start(&programs, home.path())?;
    let _driver = driver(&programs)?;
    let window = Window::open(&programs, home.path(), &practice.url).await?;
    window.wait("html[data-ready='live']", Duration::from_secs(60)).await?;
    sign_in(&window).await?;
    for (width, height) in [(1440, 900), (1920, 1080)] {
        window.resize(width, height).await?;
        // The page is laid out anew: what is clicked meanwhile may have moved away.
        window.settle().await;
        window.click("[data-testid='rail-data']").await?;
        window.settle().await;
        if window.number("return document.querySelectorAll(\"[data-testid='source-detail']\").length").await? < 1.0 {
            window.click("[data-source='features'] td:nth-child(2)").await?;
        }
        window.wait("[data-testid='source-detail']", Duration::from_secs(5)).await?;
        window.settle().await;
        assert!(window.until_true(JOBS, Duration::from_secs(5)).await, "no work to show");
        let held = window.until_true(ONE_LINE, Duration::from_secs(2)).await;
        window.picture(&format!("40-data-{width}")).await?;
        assert!(held, "the header of the place breaks its line at {width} × {height}");
        window.click("[data-testid='rail-map']").await?;
        assert!(window.until_true(JOBS, Duration::from_secs(5)).await, "no work to show");
        let apart = window.until_true(APART, Duration::from_secs(2)).await;
        window.picture(&format!("41-status-{width}")).await?;
        assert!(apart, "work and link lie on each other at {width} × {height}");
    }
    window.close().await
}
