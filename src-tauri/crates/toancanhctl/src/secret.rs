//! Secrets of sources by name: set, listed, removed. A value comes from the terminal or from stdin, never as an argument,
//! where other users of the machine would see it; and it never comes out again.

use crate::output::{Output, table};
use clap::Subcommand;
use desk::api::Failure;
use desk::{Options, SecretKeeper, SecretPlace};
use serde_json::json;
use std::io::{IsTerminal, Read};

#[derive(Subcommand)]
pub enum SecretCommand {
    /// Keep a secret; its value is asked for, or read from stdin.
    Set {
        name: String,
        /// In a private file of the home instead of the machine's keyring.
        #[arg(long)]
        file: bool,
    },
    /// Names of secrets, where each is found and which sources want it; never the values.
    List,
    /// Forget a secret.
    Remove { name: String },
}

/// Longer than any secret that is kept.
const LIMIT_BYTES: u64 = 64 << 10;

pub fn run(options: &Options, command: &SecretCommand, out: &Output) -> Result<(), Failure> {
    let keeper = SecretKeeper::of(options);
    let words = |places: &[SecretPlace]| places.iter().map(|place| place.as_str()).collect::<Vec<_>>().join(", ");
    match command {
        SecretCommand::Set { name, file } => {
            keeper.check_name(name)?;
            let place = keeper.set(name, value(&keeper, name)?, *file)?;
            out.result(&json!({"name": name, "place": place}), || vec![format!("{name}: {}", place.as_str())]);
        }
        SecretCommand::List => {
            let (infos, keyring) = keeper.list()?;
            out.result(&json!({"secrets": infos, "keyring": keyring}), || {
                let mut rows = vec![["name", "where", "sources"].map(str::to_owned).to_vec()];
                rows.extend(infos.iter().map(|info| {
                    let places = if info.places.is_empty() { "missing".to_owned() } else { words(&info.places) };
                    vec![info.name.clone(), places, info.sources.join(", ")]
                }));
                let mut lines = table(&rows);
                lines.extend(keyring.iter().map(|reason| format!("! keyring: {reason}")));
                lines
            });
        }
        SecretCommand::Remove { name } => {
            let places = keeper.remove(name)?;
            out.result(&json!({"name": name, "removed_from": places}), || vec![format!("{name}: {}", words(&places))]);
        }
    }
    Ok(())
}

/// The value: without echo from a terminal, else all of stdin without the end of its line.
fn value(keeper: &SecretKeeper, name: &str) -> Result<String, Failure> {
    let unread = |error: std::io::Error| {
        desk::failure(keeper.language(), "secret_input", [("detail", error.to_string().as_str())])
    };
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(keeper.prompt(name)).map_err(unread);
    }
    let mut text = String::new();
    std::io::stdin().lock().take(LIMIT_BYTES).read_to_string(&mut text).map_err(unread)?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.to_owned())
}
