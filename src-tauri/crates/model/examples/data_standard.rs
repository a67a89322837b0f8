//! Writes the readable tables of the data standard: `cargo run -p model --example data_standard -- docs`.

use model::{Tongue, data_standard};

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs".into());
    for (name, tongue) in [("vi", Tongue::Vi), ("en", Tongue::En)] {
        std::fs::write(format!("{folder}/data-standard.{name}.md"), data_standard(tongue))?;
    }
    Ok(())
}
