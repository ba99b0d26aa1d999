//! What a report tells of a stream of output: how much it was, its digest, and its last lines.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use stos_image::Digest;

use crate::channel::Stream;

/// Most lines that are kept.
const LINES: usize = 20;
/// Most bytes that are kept for them.
const BYTES: usize = 4096;

/// A stream of output so far.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    size: u64,
    digest: Sha256,
    /// The last bytes, at least [`BYTES`] if there were as many.
    tail: Vec<u8>,
}

impl Summary {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(BYTES)..]);
        if self.tail.len() > 4 * BYTES {
            self.tail.drain(..self.tail.len() - BYTES);
        }
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Their digest.
    pub fn digest(&self) -> Digest {
        Digest(self.digest.clone().finalize().into())
    }

    /// The last lines, without the carriage returns and line feeds that end them, and with U+FFFD for what is not UTF-8. The
    /// first may be cut.
    pub fn last_lines(&self) -> Vec<String> {
        let tail = &self.tail[self.tail.len().saturating_sub(BYTES)..];
        let tail = tail.strip_suffix(b"\n").unwrap_or(tail);
        if tail.is_empty() {
            return Vec::new();
        }
        let lines: Vec<&[u8]> = tail.split(|&byte| byte == b'\n').collect();
        let text = |line: &&[u8]| String::from_utf8_lossy(line).trim_matches('\r').to_owned();
        lines[lines.len().saturating_sub(LINES)..].iter().map(text).collect()
    }
}

/// The summaries of all streams while they are being made. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Summaries(Arc<Mutex<[Summary; Stream::COUNT]>>);

impl Summaries {
    /// Takes the next bytes of `stream`.
    pub fn feed(&self, stream: Stream, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[stream.index()].feed(bytes);
    }

    /// What is known of `stream` so far.
    pub fn of(&self, stream: Stream) -> Summary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[stream.index()].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_summed_up_however_it_arrives() {
        let text = b"one\r\ntwo\n\nfour \xff";
        let mut at_once = Summary::default();
        at_once.feed(text);
        let mut slowly = Summary::default();
        for byte in text {
            slowly.feed(&[*byte]);
        }
        for summary in [at_once, slowly] {
            assert_eq!((summary.size(), summary.digest()), (16, Digest::of(text)));
            assert_eq!(summary.last_lines(), ["one", "two", "", "four \u{fffd}"]);
        }
    }

    #[test]
    fn only_the_end_of_much_output_is_kept() {
        let mut summary = Summary::default();
        (0..100_000).for_each(|number| summary.feed(format!("line {number}\n").as_bytes()));
        let lines = summary.last_lines();
        assert_eq!((lines.len(), &*lines[0], &*lines[19]), (LINES, "line 99980", "line 99999"));
        assert!(summary.tail.len() <= 4 * BYTES);
        summary.feed(&vec![b'x'; 10 * BYTES]);
        assert_eq!(summary.last_lines(), ["x".repeat(BYTES)]);
    }

    #[test]
    fn nothing_has_no_lines() {
        assert!(Summary::default().last_lines().is_empty());
        assert_eq!(Summary::default().digest(), Digest::of(b""));
    }
}
