//! Ours and the Rust peers, for `make bench`.
//!
//! `bench serve DATA` answers a request a line with a line of JSON, so that the driver (`run.py`) can let ours and a peer
//! take turns while both keep their indexes; `bench open HOME` opens a home once and says what that took.
//!
//! Every engine speaks the same few words, the Python and Node peers in `peers/` too: `prepare` loads and builds, `run`
//! works once through the first `n` items and gives `seconds`, `answer` works once more, untimed, and gives what must be
//! equal among engines, `tiles` cuts tiles and gives milliseconds each, `dump` writes them to a file.

mod agree;
mod data;
mod home;
mod ours;
mod overlay;
mod search;
mod serve;
mod tiles;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", data] => serve::serve(Path::new(data)),
        ["open", home, data] => home::open(Path::new(home), Path::new(data)),
        _ => Err("usage: bench serve DATA | bench open HOME DATA".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell a reader who hung up.
            let _ = writeln!(io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}
