//! Bytes changed as damage and malice change them; each round replays by its number.

use super::random;
use sources::ReadError;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// What one answer may take in a debug build on a busy machine; a reader that goes round in circles takes for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// What readers stumble over, in text and in binary.
const SPLICES: [&[u8]; 30] = [
    b"99999999999999999999999999",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"4294967296",
    b"1e400",
    b"-1e-400",
    b"NaN",
    b"-0",
    b".",
    b"\"",
    b"\\u",
    b"\\ud800",
    b"{\"a\":[",
    b"]]]}}}",
    b"null",
    b"<a b='",
    b"</",
    b"<![CDATA[",
    b"<!--",
    b"&#x110000;",
    b"&amp",
    b",,,,",
    b"\t\t\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\0\0\0\0\0\0\xf8\x7f",
];

/// The same bytes with one to four things done to them.
pub fn mutated(good: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..=random(state, 4) {
        if bytes.is_empty() {
            break;
        }
        let from = random(state, bytes.len());
        let to = (from + 1 + random(state, 40)).min(bytes.len());
        let splice = SPLICES[random(state, SPLICES.len())];
        match random(state, 7) {
            0 => bytes[from] ^= 1 << random(state, 8),
            1 => drop(bytes.drain(from..to)),
            2 => {
                let span = bytes[from..to].to_vec();
                let at = random(state, bytes.len());
                drop(bytes.splice(at..at, span));
            }
            3 => drop(bytes.splice(from..from, splice.iter().copied())),
            // In the place of as many bytes, which keeps what stands behind in its place.
            4 => bytes[from..].iter_mut().zip(splice).for_each(|(byte, new)| *byte = *new),
            5 => {
                let digits = |byte: &u8| byte.is_ascii_digit();
                let start = bytes[from..].iter().position(digits).map_or(from, |at| from + at);
                let end = bytes[start..].iter().position(|byte| !digits(byte)).map_or(bytes.len(), |at| start + at);
                drop(bytes.splice(start..end, splice.iter().copied()));
            }
            _ if random(state, 4) == 0 => bytes.truncate(from),
            _ => bytes[from..to].reverse(),
        }
    }
    bytes
}

/// Tells which round it was before a panic goes on.
pub fn in_round<T>(what: &str, round: u64, run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(out) => {
            assert!(begun.elapsed() < PATIENCE, "{what}, round {round}: {:?}", begun.elapsed());
            out
        }
        Err(panic) => {
            std::io::Write::write_all(&mut std::io::stderr(), format!("{what}, round {round}\n").as_bytes()).unwrap();
            resume_unwind(panic)
        }
    }
}

/// The error names the file, and nothing else is amiss.
pub fn judged<T>(name: &str, round: u64, outcome: Result<T, ReadError>) -> bool {
    if let Err(error) = &outcome {
        assert!(error.to_string().contains(name), "round {round}: {error}");
        assert!(!error.code().is_empty());
    }
    outcome.is_ok()
}
