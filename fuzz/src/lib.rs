//! What the targets share: files in memory, and a server on this machine that answers what the fuzzer made up. Both go in
//! by the front door of `sources`, so that a finding is one that a user could meet.

pub mod files;
pub mod server;

/// The pieces of an input, which a line `\n== NAME\n` begins: members of an archive, or answers of a server. What stands
/// before the first such line has no name.
pub fn pieces(input: &[u8]) -> Vec<(&str, &[u8])> {
    const SIGN: &[u8] = b"\n== ";
    let mut out = Vec::new();
    let mut name = "";
    let mut rest = input;
    loop {
        let at = rest.windows(SIGN.len()).position(|four| four == SIGN);
        out.push((name, &rest[..at.unwrap_or(rest.len())]));
        let Some(at) = at else { return out };
        let after = &rest[at + SIGN.len()..];
        let end = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
        name = std::str::from_utf8(&after[..end]).unwrap_or("?");
        rest = after.get(end + 1..).unwrap_or_default();
    }
}
