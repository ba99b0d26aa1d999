//! All output of a guest, as it is watched: how much of it is allowed, and what is seen in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Allowance, Matcher, Seen, Sight};
use crate::channel::Stream;

#[derive(Debug)]
struct State {
    allowance: Allowance,
    matcher: Matcher,
    /// What decides how the run ends has been seen.
    is_decided: bool,
    /// Who executes the guest watches what it prints.
    is_at_source: bool,
}

/// The output of a guest. Clones share it: it is watched by whoever executes the guest, or else by whoever writes the output.
#[derive(Clone, Debug)]
pub struct Watched(Arc<Mutex<State>>);

impl State {
    fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Vec<Sight> {
        let sights = if self.matcher.is_idle() { Vec::new() } else { self.matcher.feed(stream, bytes) };
        self.is_decided |= !sights.is_empty();
        sights
    }

    /// That there was too much, once. What was seen up to there counts.
    fn excess(&mut self) -> Option<Sight> {
        let is_news = self.allowance.is_exceeded() && !self.is_decided;
        self.is_decided |= is_news;
        is_news.then_some(Sight::TooMuch)
    }
}

impl Watched {
    /// Output that is shown to `matcher`, up to the `allowance`.
    pub fn new(allowance: Allowance, matcher: Matcher) -> Self {
        Self(Arc::new(Mutex::new(State { allowance, matcher, is_decided: false, is_at_source: false })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What panics here ends the run.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when there may be any number of bytes, and nothing is looked for in them.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.matcher.is_idle() && state.allowance.is_endless()
    }

    /// True when something is looked for in it.
    pub fn is_searched(&self) -> bool {
        !self.lock().matcher.is_idle()
    }

    /// Whoever executes the guest takes what it prints: how many of these `bytes` are allowed. From now on it has them [searched](Self::search).
    pub fn admit(&self, stream: Stream, bytes: &[u8]) -> usize {
        let mut state = self.lock();
        state.is_at_source = true;
        state.allowance.take(stream, bytes).len()
    }

    /// Searches what was admitted, in its order; gives what is seen for the first time.
    pub fn search(&self, admitted: &[(Stream, Vec<u8>)]) -> Vec<Sight> {
        let mut state = self.lock();
        let mut sights: Vec<Sight> = admitted.iter().flat_map(|(stream, bytes)| state.feed(*stream, bytes)).collect();
        sights.extend(state.excess());
        sights
    }

    /// Whoever writes the output takes the next `bytes`: how many of them are to be written, and what is seen in them for the first time, unless
    /// whoever executes the guest has done that.
    pub fn pass(&self, stream: Stream, bytes: &[u8]) -> (usize, Vec<Sight>) {
        let mut state = self.lock();
        if state.is_at_source {
            return (bytes.len(), Vec::new());
        }
        let allowed = state.allowance.take(stream, bytes);
        let mut sights = state.feed(stream, allowed);
        sights.extend(state.excess());
        (allowed.len(), sights)
    }

    /// What was seen in all of it. No more will come.
    pub fn finish(&self) -> Seen {
        let mut state = self.lock();
        state.matcher.finish();
        Seen { is_cut: state.allowance.is_exceeded(), ..state.matcher.seen() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Expectations;

    fn watched(bytes: u64, until: &str) -> Watched {
        let expectations = Expectations::default().with(&[], Some(until)).unwrap();
        Watched::new(Allowance::new(Some(bytes)), Matcher::new(expectations))
    }

    #[test]
    fn what_is_watched_at_its_source_is_not_watched_again() {
        let output = watched(4, "bc");
        let bytes = |text: &[u8]| (Stream::Serial, text.to_vec());
        assert_eq!(output.admit(Stream::Serial, b"abcdef"), 4);
        assert_eq!(output.pass(Stream::Serial, b"abcd"), (4, vec![]));
        let until = Sight::Until { pattern: "bc".to_owned() };
        assert_eq!(output.search(&[bytes(b"ab"), bytes(b"cd")]), [until], "all that was allowed, before the excess");
        assert!(output.search(&[]).is_empty() && output.finish().is_cut);
    }

    #[test]
    fn what_is_too_much_is_told_once_and_only_if_nothing_was_seen_before() {
        let output = watched(2, "b");
        assert_eq!(output.pass(Stream::Serial, b"xy"), (2, vec![]));
        assert_eq!(output.pass(Stream::Debug, b"b"), (0, vec![Sight::TooMuch]));
        assert_eq!(output.pass(Stream::Debug, b"b"), (0, vec![]));
        let output = watched(2, "b");
        let (count, sights) = output.pass(Stream::Serial, b"abc");
        assert_eq!((count, sights.len()), (2, 1), "{sights:?}");
    }
}
