//! SHA-256 digests: the type, its text form, and the digests of payload blocks.

use std::str::FromStr;
use std::{fmt, iter};

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use wincode::{SchemaRead, SchemaWrite};

/// Bytes of payload that one block digest covers; the last block of an image may be shorter.
pub const BLOCK_SIZE: u64 = 64 * 1024;

/// [`BLOCK_SIZE`] as lengths of slices are told.
#[allow(clippy::cast_possible_truncation, reason = "64 KiB fits every usize that std supports")]
const BLOCK: usize = BLOCK_SIZE as usize;

/// Bytes in a SHA-256 digest (FIPS 180-4).
pub const DIGEST_SIZE: usize = 32;

/// A SHA-256 digest. Written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaWrite, SchemaRead)]
pub struct Digest(pub [u8; DIGEST_SIZE]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of all `parts`, one after another.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut digest = Sha256::new();
        parts.into_iter().for_each(|part| digest.update(part));
        Self(digest.finalize().into())
    }

    /// The first 12 hexadecimal digits: enough for people to tell two digests apart.
    pub fn short(self) -> String {
        self.to_string().chars().skip("sha256:".len()).take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

/// Digests bytes that come one after another.
#[derive(Clone, Debug, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all of them.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// The text is not `sha256:` followed by 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `sha256:` followed by 64 lower-case hexadecimal digits")]
pub struct DigestTextError(String);

impl FromStr for Digest {
    type Err = DigestTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DigestTextError(text.to_owned());
        let digits = text.strip_prefix("sha256:").ok_or_else(error)?.as_bytes();
        if digits.len() != 2 * DIGEST_SIZE {
            return Err(error());
        }
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; DIGEST_SIZE];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (nibble(pair[0]).ok_or_else(error)?, nibble(pair[1]).ok_or_else(error)?);
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

/// The digest of each [`BLOCK_SIZE`] run of `payload`.
pub(crate) fn block_digests(payload: &[u8]) -> impl Iterator<Item = Digest> {
    payload.chunks(BLOCK).map(Digest::of)
}

/// The digest of each [`BLOCK_SIZE`] run of a payload that lies in `parts`.
pub(crate) fn digests_across<'a>(mut parts: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = Digest> {
    let mut rest: &[u8] = &[];
    iter::from_fn(move || {
        let mut digest = Sha256::new();
        let mut room = BLOCK;
        while room > 0 {
            if rest.is_empty() {
                let Some(part) = parts.next() else { break };
                rest = part;
            }
            let (bytes, later) = rest.split_at(room.min(rest.len()));
            digest.update(bytes);
            room -= bytes.len();
            rest = later;
        }
        (room < BLOCK).then(|| Digest(digest.finalize().into()))
    })
}

/// The block digests section: the digests, one after another.
pub(crate) fn section_of(digests: &[Digest]) -> Vec<u8> {
    digests.iter().flat_map(|digest| digest.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_standard_one() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), text);
        assert_eq!(text.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn other_spellings_of_a_digest_are_refused() {
        let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for text in [digits.to_owned(), format!("sha256:{}", digits.to_uppercase()), format!("sha256:{}", &digits[1..])]
        {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
