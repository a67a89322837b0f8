//! The rules of the house that a machine can keep: who may import whom, and how long a file may be.

#![allow(clippy::unwrap_used)]

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

struct Rule {
    layer: u32,
    ours: BTreeSet<String>,
    alone: BTreeSet<String>,
    line: String,
}

/// The words in backticks of a cell.
fn words(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The table of crates as it stands in ARCHITECTURE.md.
fn table() -> BTreeMap<String, Rule> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let rule = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = words(cells[1]).into_iter().next().unwrap();
        let rule =
            Rule { layer: cells[2].parse().unwrap(), ours: words(cells[3]), alone: words(cells[4]), line: line.into() };
        (name, rule)
    };
    rows.map(rule).collect()
}

/// Every import of our crates that the table does not allow.
fn violations(rules: &BTreeMap<String, Rule>, imports: &[(String, String)]) -> Vec<String> {
    let foreign: BTreeSet<&String> = rules.values().flat_map(|rule| &rule.alone).collect();
    let mut found = Vec::new();
    for (from, to) in imports {
        let Some(rule) = rules.get(from) else {
            found.push(format!("{from} stands in no row of the table in ARCHITECTURE.md"));
            continue;
        };
        if let Some(target) = rules.get(to) {
            if !rule.ours.contains(to) || target.layer >= rule.layer {
                found.push(format!("{from} imports {to}; its rule: {}", rule.line));
            }
        } else if foreign.contains(to) && !rule.alone.contains(to) {
            let allowed: Vec<_> = rules.iter().filter(|(_, r)| r.alone.contains(to)).map(|(name, _)| name).collect();
            found.push(format!("{from} imports {to}, which only {allowed:?} may"));
        }
    }
    found
}

fn imports() -> Vec<(String, String)> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let of_package = |package: &cargo_metadata::Package| {
        let tests = package.name.as_str() == "journeys";
        let kept = package.dependencies.iter().filter(move |d| tests || d.kind == DependencyKind::Normal);
        kept.map(|dependency| (package.name.to_string(), dependency.name.clone())).collect::<Vec<_>>()
    };
    metadata.packages.iter().flat_map(of_package).collect()
}

#[test]
fn imports_point_only_down_as_the_table_says() {
    let rules = table();
    let imports = imports();
    assert!(rules.len() > 8 && imports.len() > 20);
    let found = violations(&rules, &imports);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let packages: BTreeSet<_> = imports.iter().map(|(from, _)| from).collect();
    let stale: Vec<_> = rules.keys().filter(|name| !packages.contains(name)).collect();
    assert!(stale.is_empty(), "rows without a crate: {stale:?}");
}

#[test]
fn a_forbidden_import_is_found() {
    let rules = table();
    let import = |from: &str, to: &str| vec![(from.to_owned(), to.to_owned())];
    assert_eq!(violations(&rules, &import("model", "desk")).len(), 1);
    assert_eq!(violations(&rules, &import("live", "reqwest")).len(), 1);
    assert_eq!(violations(&rules, &import("nobody", "model")).len(), 1);
    assert!(violations(&rules, &import("store", "rusqlite")).is_empty());
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap_or_default();
        if path.is_dir() {
            if !["target", "node_modules", "dist", "generated", "gen", ".git"].contains(&name.as_str()) {
                files(&path, found);
            }
        } else if [".rs", ".ts", ".svelte", ".py", ".css"].iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

#[test]
fn hand_written_files_stay_under_600_lines() {
    let mut all = Vec::new();
    files(&root(), &mut all);
    assert!(all.len() > 100);
    let long: Vec<String> = all
        .iter()
        .map(|path| (path, std::fs::read_to_string(path).unwrap_or_default().lines().count()))
        .filter(|(_, lines)| *lines >= 600)
        .map(|(path, lines)| format!("{}: {lines}", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_profile_aborts_on_panic() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(
        !manifest.lines().any(|line| line.trim_start().starts_with("panic")),
        "a panic must cost a task, not the app"
    );
}
