//! The shell: opens the home, starts the practice data centre when asked, opens the window, and hands bytes through.
//! Thin on purpose: what a test would want lives in `desk`.

#![cfg_attr(all(not(debug_assertions), target_os = "windows"), windows_subsystem = "windows")]

mod bridge;
mod opening;
#[cfg(target_os = "linux")]
mod picture;
mod protocol;

use clap::Parser;
use std::process::ExitCode;
use std::sync::Arc;

/// As for the command line: imports make rows on one thread and let go of them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Toàn Cảnh: the whole province on one screen, live, and still there with the network off.
#[derive(Parser)]
#[command(version)]
pub struct Args {
    /// Where the cache, the history and the settings live.
    #[arg(long, env = "TOANCANH_HOME")]
    home: Option<std::path::PathBuf>,
    /// Province profile for a home that has none yet; the built-in one otherwise.
    #[arg(long)]
    profile: Option<std::path::PathBuf>,
    /// Address of a practice data centre, "own" to start one here on loopback, or "none".
    #[arg(long, env = "TOANCANH_PRACTICE", default_value = "own")]
    practice: String,
    /// Open with this feature selected, written LAYER/ID.
    #[arg(long)]
    open: Option<String>,
    /// Wait until the map is idle with live values on it, write a picture of the window and end (X11 only).
    #[arg(long)]
    screenshot: Option<std::path::PathBuf>,
}

// Tauri's own macro ends the process when the window's files cannot be unpacked.
#[allow(clippy::exit)]
fn main() -> ExitCode {
    let args = Args::parse();
    let opened = match tauri::async_runtime::block_on(opening::open(&args)) {
        Ok(opened) => Arc::new(opened),
        Err(failure) => {
            opening::complain(&failure.message);
            return ExitCode::FAILURE;
        }
    };
    let screenshot = args.screenshot.clone();
    let ending = opened.clone();
    let built = tauri::Builder::default()
        .plugin(tauri_plugin_dialog::init())
        .manage(bridge::Bridge { opened: opened.clone() })
        .invoke_handler(tauri::generate_handler![bridge::ask, bridge::act, bridge::watch])
        .register_asynchronous_uri_scheme_protocol("tiles", {
            let desk = opened.desk.clone();
            move |_context, request, responder| protocol::answer(&desk, request.uri(), responder)
        })
        .setup(move |app| {
            opening::window(app)?;
            #[cfg(target_os = "linux")]
            if let Some(path) = screenshot {
                picture::when_ready(app.handle().clone(), opened.desk.clone(), path);
            }
            Ok(())
        })
        .build(tauri::generate_context!());
    match built {
        // `run` ends the process itself with the code given to `AppHandle::exit`.
        Ok(app) => {
            app.run(move |_, event| {
                if matches!(event, tauri::RunEvent::Exit) {
                    ending.desk.remember();
                }
            });
            ExitCode::SUCCESS
        }
        Err(error) => {
            opening::complain(&format!("Không mở được cửa sổ / the window cannot be opened: {error}"));
            ExitCode::FAILURE
        }
    }
}
