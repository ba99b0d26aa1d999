//! Watches a guest's output where it is printed.

use std::time::Duration;

use super::{Rows, Sight, Watched};
use crate::channel::{Stream, Watcher};
use crate::screen::used_text;

/// Watches output, and the screen if something is looked for.
pub struct AtSource {
    watched: Watched,
    rows: Option<Rows>,
    /// The text memory before the guest began.
    at_entry: Vec<u8>,
    /// What was printed and shown since the last look.
    fresh: Vec<(Stream, Vec<u8>)>,
    tell: Box<dyn Fn(Sight) + Send>,
}

impl AtSource {
    /// Watches what is to be `watched` of a guest whose text memory holds this `at_entry`, and calls `tell` with what is seen.
    pub fn new(watched: Watched, at_entry: Vec<u8>, tell: Box<dyn Fn(Sight) + Send>) -> Self {
        let rows = watched.is_searched().then(Rows::default);
        Self { watched, rows, at_entry, fresh: Vec::new(), tell }
    }
}

impl Watcher for AtSource {
    fn print(&mut self, stream: Stream, bytes: &[u8]) -> usize {
        let count = self.watched.admit(stream, bytes);
        if self.rows.is_some() {
            self.fresh.push((stream, bytes.get(..count).unwrap_or(bytes).to_vec()));
        }
        count
    }

    fn show(&mut self, text: &[u8], start: u16, is_last: bool) {
        let Some(rows) = &mut self.rows else { return };
        let Some(text) = used_text(text, &self.at_entry, start) else { return };
        let complete = if is_last { rows.finish(&text) } else { rows.look(&text) };
        self.fresh.extend(complete.into_iter().map(|row| (Stream::Screen, format!("{row}\n").into_bytes())));
    }

    fn look(&mut self) -> Option<Duration> {
        let sights = self.watched.search(&std::mem::take(&mut self.fresh));
        let patience = sights.iter().map(Sight::patience).min();
        sights.into_iter().for_each(&self.tell);
        patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Allowance, Expectations, Matcher};
    use std::sync::mpsc::channel;

    fn text(row: &str) -> Vec<u8> {
        row.bytes().flat_map(|code| [code, 7]).collect()
    }

    #[test]
    fn what_decides_is_told_with_how_long_the_guest_may_go_on() {
        let expectations = Expectations::compile(&["ready".to_owned()]).unwrap().with(&[], Some("on screen")).unwrap();
        let watched = Watched::new(Allowance::default(), Matcher::new(expectations));
        let (sender, told) = channel();
        let mut watcher = AtSource::new(watched, text("boot"), Box::new(move |sight| sender.send(sight).unwrap()));
        assert_eq!(watcher.print(Stream::Serial, b"rea"), 3);
        assert_eq!(watcher.look(), None);
        assert_eq!(watcher.print(Stream::Serial, b"dy\n"), 3);
        assert_eq!((told.try_iter().count(), watcher.look()), (0, Some(Sight::AllExpected.patience())));
        watcher.show(&text("boot"), 0, true);
        assert_eq!(watcher.look(), None);
        watcher.show(&text("on screen"), 0, false);
        assert_eq!(watcher.look(), None, "the row is still being written");
        watcher.show(&text("on screen"), 0, false);
        assert_eq!(watcher.look(), Some(Duration::ZERO));
        let until = Sight::Until { pattern: "on screen".to_owned() };
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [Sight::AllExpected, until]);
    }
}
