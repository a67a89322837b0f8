//! Writes the TypeScript that the window's bridge is typed with.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use ts_rs::{Config, TS};

/// Exports a call's result with all it contains; lists and `null` have no file of their own.
pub(crate) fn export<T: TS + 'static>(
    config: &Config,
    names: &mut BTreeSet<String>,
) -> Result<(), Box<dyn std::error::Error>> {
    if T::output_path().is_some() {
        T::export_all(config)?;
    }
    let name = T::name(config);
    let element = name.strip_prefix("Array<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(&name);
    if element != "null" {
        names.insert(element.to_owned());
    }
    Ok(())
}

pub(crate) fn write_calls(
    dir: &Path,
    names: &BTreeSet<String>,
    asks: &str,
    acts: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::from("// Generated from the list of calls in the crate `desk`. Do not edit.\n");
    for name in names {
        writeln!(text, "import type {{ {name} }} from './{name}';")?;
    }
    write!(text, "\nexport interface Asks {{\n{asks}}}\n\nexport interface Acts {{\n{acts}}}\n")?;
    std::fs::write(dir.join("calls.ts"), text)?;
    Ok(())
}
