//! Output that waits for somebody who comes and goes to read it: bounded, in order, and with a count of what was dropped.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that are kept while nobody is there: the last ones. While somebody is, a guest that prints more is held.
const LIMIT: usize = 1 << 20;
/// Bytes that are written at once.
const CHUNK: usize = 64 * 1024;
/// How long the output of a guest that has ended waits for somebody to come.
const LINGER: Duration = Duration::from_millis(200);

/// The queue, and who is there.
#[derive(Debug, Default)]
pub struct Backlog {
    state: Mutex<State>,
    /// Signalled with every change of `state`.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<u8>,
    /// Where in the guest's whole output `kept` begins.
    start: u64,
    /// Bytes that were dropped since somebody was last told.
    lost: u64,
    client: Option<Arc<File>>,
}

impl State {
    fn trim(&mut self) {
        let too_many = self.kept.len().saturating_sub(LIMIT);
        self.remove(too_many);
        self.lost += too_many as u64;
    }

    fn remove(&mut self, count: usize) {
        self.kept.drain(..count);
        self.start += count as u64;
    }

    fn is_here(&self, client: &Arc<File>) -> bool {
        self.client.as_ref().is_some_and(|here| Arc::ptr_eq(here, client))
    }
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that change it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends `bytes`, after waiting for room if somebody is there to make it.
    pub fn push(&self, bytes: &[u8]) {
        let mut state = self.lock();
        while state.client.is_some() && state.kept.len() >= LIMIT {
            state = self.wait(state);
        }
        state.kept.extend(bytes);
        if state.client.is_none() {
            state.trim();
        }
        self.changed.notify_all();
    }

    /// `client` has come, and is told how much was dropped.
    pub fn connect(&self, client: Arc<File>) {
        let mut state = self.lock();
        if state.lost != 0 {
            // A new connection has room for a line. If it has ended already, the next client is told.
            if writeln!(&*client, "[{} bytes before this are lost]", state.lost).is_ok() {
                state.lost = 0;
            }
        }
        state.client = Some(client);
        self.changed.notify_all();
    }

    /// `client` has gone, if that was not known yet.
    pub fn disconnect(&self, client: &Arc<File>) {
        let mut state = self.lock();
        if state.is_here(client) {
            state.client = None;
            state.trim();
            self.changed.notify_all();
        }
    }

    /// Writes what is kept to whoever is there, for ever.
    pub fn send(&self) {
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            let mut state = self.lock();
            let (client, start) = loop {
                if let Some(client) = state.client.as_ref().filter(|_| !state.kept.is_empty()) {
                    break (Arc::clone(client), state.start);
                }
                state = self.wait(state);
            };
            chunk.clear();
            chunk.extend(state.kept.iter().take(CHUNK));
            drop(state);
            match (&*client).write(&chunk) {
                Ok(count) => self.sent(start + count as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.disconnect(&client),
            }
        }
    }

    /// All output before `end` was written. Some of it may have been dropped meanwhile, because the client has gone.
    fn sent(&self, end: u64) {
        let mut state = self.lock();
        let count = end.saturating_sub(state.start);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(state.kept.len());
        state.remove(count);
        self.changed.notify_all();
    }

    /// Waits until whoever is there has been sent everything, and for a moment if nobody is. Returns who has got it all.
    pub fn finish(&self) -> Option<Arc<File>> {
        let deadline = Instant::now() + LINGER;
        let mut state = self.lock();
        while !state.kept.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.client.is_some() {
                state = self.wait(state);
            } else if left.is_zero() {
                return None;
            } else {
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.client.clone()
    }

    /// Bytes that nobody has been sent.
    pub fn unread(&self) -> u64 {
        let state = self.lock();
        state.kept.len() as u64 + state.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::thread;

    /// A backlog that is being sent, and a way to give it a client.
    fn backlog() -> Arc<Backlog> {
        let backlog = Arc::new(Backlog::default());
        let sender = Arc::clone(&backlog);
        thread::spawn(move || sender.send());
        backlog
    }

    fn visit(backlog: &Backlog) -> (io::PipeReader, Arc<File>) {
        let (reader, writer) = io::pipe().unwrap();
        let client = Arc::new(File::from(OwnedFd::from(writer)));
        backlog.connect(Arc::clone(&client));
        (reader, client)
    }

    fn read(reader: &mut io::PipeReader, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_was_printed_before_somebody_came_comes_first() {
        let backlog = backlog();
        backlog.push(b"early ");
        let (mut reader, _client) = visit(&backlog);
        backlog.push(b"late");
        assert_eq!(read(&mut reader, 10), b"early late");
        backlog.finish();
        assert_eq!(backlog.unread(), 0);
    }

    #[test]
    fn what_one_client_has_not_been_sent_waits_for_the_next() {
        let backlog = backlog();
        let (reader, client) = visit(&backlog);
        backlog.disconnect(&client);
        drop(reader);
        backlog.push(b"between");
        let (reader, _client) = visit(&backlog);
        drop(reader);
        backlog.push(b", after");
        let (mut reader, _client) = visit(&backlog);
        let text = String::from_utf8(read(&mut reader, 7)).unwrap();
        // Nobody knows whether the second had the first word.
        assert!(text == "between" || text == ", after", "{text}");
    }

    #[test]
    fn too_much_is_cut_at_its_beginning_and_said() {
        let backlog = backlog();
        backlog.push(b"begin");
        backlog.push(&vec![b'x'; LIMIT]);
        assert_eq!(backlog.unread(), LIMIT as u64 + 5);
        let (mut reader, _client) = visit(&backlog);
        let text = read(&mut reader, LIMIT + 31);
        assert!(text.starts_with(b"[5 bytes before this are lost]\nxxx") && text.ends_with(b"x"));
        backlog.finish();
        assert_eq!(backlog.unread(), 0);
    }

    #[test]
    fn nobody_is_not_waited_for_long() {
        let backlog = backlog();
        backlog.push(b"unread");
        assert!(backlog.finish().is_none());
        assert_eq!(backlog.unread(), 6);
    }
}
