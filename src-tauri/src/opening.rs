//! From arguments to an open desk and its window.

use crate::Args;
use desk::api::Failure;
use desk::{Desk, Home, Options, Syncing};
use practice::{Practice, Scenario};
use std::path::PathBuf;
use std::sync::Arc;
use tauri::{LogicalSize, WebviewUrl, WebviewWindowBuilder};

/// An open desk with all that keeps it alive.
pub struct Opened {
    pub desk: Arc<Desk>,
    /// Things mended on the way; the window shows them first.
    pub notices: Vec<Failure>,
    _syncing: Syncing,
    _practice: Option<Practice>,
}

/// Opens the home, with a practice data centre on loopback when the arguments ask for one.
pub async fn open(args: &Args) -> Result<Opened, Failure> {
    let root = args.home.clone().or_else(Home::default_root).unwrap_or_else(|| PathBuf::from("toancanh-home"));
    let mut options = Options { profile: args.profile.clone(), ..Options::at(&root) };
    let mut practice = None;
    match args.practice.as_str() {
        "none" => {}
        "own" => {
            // The practice data centre reads the home's profile, so the home comes first.
            Desk::make_home(&options)?;
            let started = Practice::start(
                &Home::new(&root).profile_dir(),
                practice::Options {
                    listen: ([127, 0, 0, 1], 0).into(),
                    seed: 20_260_701,
                    speed: 1.0,
                    scenario: Scenario::Calm,
                    ..practice::Options::default()
                },
            )
            .await;
            match started {
                Ok(started) => {
                    options.practice_url = Some(started.base_url());
                    practice = Some(started);
                }
                // The app works without it, from the cache; the status bar says that nothing answers.
                Err(error) => complain(&format!("practice: {error}")),
            }
        }
        url => options.practice_url = Some(url.to_owned()),
    }
    options.open = args.open.clone();
    let (desk, notices) = Desk::open(options)?;
    desk.prepare_all();
    let syncing = desk.start_syncing();
    Ok(Opened { desk, notices, _syncing: syncing, _practice: practice })
}

/// Opens the window of the person at the desk.
pub fn window(app: &tauri::App) -> tauri::Result<()> {
    let monitor = app.primary_monitor()?;
    let size = monitor.map_or(LogicalSize::new(1920.0, 1080.0), |m| m.size().to_logical::<f64>(m.scale_factor()));
    WebviewWindowBuilder::new(app, "desk", WebviewUrl::App("index.html".into()))
        .title("Toàn Cảnh")
        .inner_size(size.width.min(1920.0), size.height.min(1080.0))
        .min_inner_size(1280.0, 720.0)
        .position(0.0, 0.0)
        .maximized(true)
        .background_color(tauri::window::Color(12, 17, 20, 255))
        .build()?;
    Ok(())
}

/// Says something on stderr: the only voice there is before a window opens.
#[allow(clippy::print_stderr)]
pub fn complain(text: &str) {
    eprintln!("toancanh: {text}");
}
