//! What a server says its answer must hash to (RFC 9530), so that a byte that changed on the way does not count as data.
//!
//! Only `sha-256` is checked; a server that names others alone is taken at its word, like one that names none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a body as it lies on the line, packed or not.
pub(crate) type Sha = [u8; 32];

/// What `Repr-Digest` says of the representation, or `Content-Digest` of this answer where that is the whole of it.
pub(crate) fn promised(headers: &HeaderMap, whole: bool) -> Option<Sha> {
    let of = |name: &str| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).find_map(sha256_in);
    of("repr-digest").or_else(|| of("content-digest").filter(|_| whole))
}

/// The `sha-256` member of a dictionary of byte sequences (RFC 8941): `sha-256=:…:, sha-512=:…:`.
fn sha256_in(text: &str) -> Option<Sha> {
    let member = text.split(',').find_map(|member| member.trim().strip_prefix("sha-256=:"))?;
    STANDARD.decode(member.split(':').next()?).ok()?.try_into().ok()
}

pub(crate) fn of(bytes: &[u8]) -> Sha {
    Sha256::digest(bytes).into()
}

/// Of what is read to its end.
///
/// # Errors
/// As reading gives.
pub(crate) fn of_reader(mut from: impl std::io::Read) -> std::io::Result<Sha> {
    let mut hasher = Sha256::new();
    let mut room = vec![0; 256 << 10];
    loop {
        match from.read(&mut room)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&room[..read]),
        }
    }
}

/// Of many pieces, each of which counts with its length.
pub(crate) struct Summing(Sha256);

impl Summing {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.0.update((piece.len() as u64).to_be_bytes());
        self.0.update(piece);
    }

    pub(crate) fn text(self) -> String {
        STANDARD.encode(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_the_standard_are_read() {
        // RFC 9530, appendix B.1, and its `sha-512` before it.
        let hello = b"{\"hello\": \"world\"}\n";
        let text = "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:, \
                    sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let headers = |name: &'static str, text: &str| -> HeaderMap {
            [(reqwest::header::HeaderName::from_static(name), text.parse().unwrap())].into_iter().collect()
        };
        assert_eq!(promised(&headers("repr-digest", text), false), Some(of(hello)));
        assert_eq!(promised(&headers("content-digest", text), true), Some(of(hello)));
        assert_eq!(promised(&headers("content-digest", text), false), None, "of a part it tells nothing of the whole");
        for odd in ["sha-256=:AAAA:", "sha-256=:?:", "md5=:AAAA:", "", "sha-256"] {
            assert_eq!(promised(&headers("repr-digest", odd), true), None, "{odd}");
        }
        assert_eq!(of_reader(&hello[..]).unwrap(), of(hello));
    }
}
