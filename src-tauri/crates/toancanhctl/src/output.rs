//! Where results, notes and failures go.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use desk::api::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

pub struct Output {
    pub json: bool,
    /// A document stands on stdout already.
    said: AtomicBool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json, said: AtomicBool::new(false) }
    }

    /// One JSON document, or lines for people.
    pub fn result(&self, json: &Value, lines: impl FnOnce() -> Vec<String>) {
        self.said.store(true, Ordering::Relaxed);
        let text = if self.json { json.to_string() } else { lines().join("\n") };
        // A closed pipe (head, less) is not a failure of the work.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// A result that is JSON in any case.
    pub fn document(&self, json: &Value) {
        self.said.store(true, Ordering::Relaxed);
        let _ = writeln!(std::io::stdout().lock(), "{json}");
    }

    pub fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    /// The failure as the one JSON document; where a result has been told (what `doctor` found), it stays the only one.
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json && !self.said.load(Ordering::Relaxed) {
            let error = json!({"error": {"code": failure.code, "message": failure.message, "where": failure.at}});
            let _ = writeln!(std::io::stdout().lock(), "{error}");
        } else {
            eprintln!("{}", failure.message);
        }
        ExitCode::FAILURE
    }

    /// A bar on stderr when that is a terminal.
    pub fn bar(&self, total: u64, template: &str) -> ProgressBar {
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar
    }
}

/// Rows in columns, the first row as heading.
pub fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let pad = width.saturating_sub(cell.chars().count());
            format!("{cell}{}", " ".repeat(pad))
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
