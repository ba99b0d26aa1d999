//! Standard input on its way to the guest's serial port, and the keys that are meant for the runner.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::mpsc::{Sender, TrySendError};

use crate::channel::{InputSink, feed};
use crate::sandbox::{self, Role};

/// Ctrl-A, as in QEMU and screen.
const ESCAPE: u8 = 0x01;
/// Ctrl-C.
const INTERRUPT: u8 = 0x03;

/// What a person asks the runner for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// Ctrl-A X: leave.
    Leave,
    /// Ctrl-A H or Ctrl-A ?: list the keys.
    Help,
}

/// What one key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A byte for the guest.
    Guest(u8),
    /// The second half of an escape that means something.
    Runner(Shortcut),
    /// The first half of an escape, or an escape that means nothing.
    Nothing,
}

/// Recognises Ctrl-A and the key after it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escape {
    pending: bool,
    /// Ctrl-C was the last key.
    was_interrupt: bool,
}

impl Escape {
    /// True when `byte` is the second Ctrl-C without another key between them: somebody wants to leave, and does not know how.
    fn is_stuck(&mut self, byte: u8) -> bool {
        let is_interrupt = byte == INTERRUPT;
        let is_second = is_interrupt && self.was_interrupt;
        self.was_interrupt = is_interrupt && !is_second;
        is_second
    }

    /// What `byte` means after those before it.
    pub fn key(&mut self, byte: u8) -> Key {
        if !std::mem::take(&mut self.pending) {
            self.pending = byte == ESCAPE;
            return if self.pending { Key::Nothing } else { Key::Guest(byte) };
        }
        match byte {
            b'x' | b'X' => Key::Runner(Shortcut::Leave),
            b'h' | b'H' | b'?' => Key::Runner(Shortcut::Help),
            ESCAPE | b'a' | b'A' => Key::Guest(ESCAPE),
            _ => Key::Nothing,
        }
    }
}

/// Reads standard input on a thread of its own until it ends, so that the guest never waits for it. `escape` is given
/// when a person types; then input that the guest does not take is dropped in the end, because the keys after it may be
/// meant for us. The thread can't be woken from its read; it ends with the process.
///
/// # Errors
/// Those of starting threads.
pub fn spawn_input(
    sink: Arc<dyn InputSink>,
    escape: Option<Escape>,
    events: Sender<impl From<Shortcut> + Send + 'static>,
) -> std::io::Result<()> {
    const NAME: &str = "stdin";
    let Some(mut escape) = escape else {
        // Nothing in it is for us, so that it may wait for the guest.
        let body = move || {
            read(|bytes| sink.push(bytes));
            sink.end();
        };
        return sandbox::spawn(Role::Input, NAME, body).map(drop);
    };
    let sender = feed(sink)?;
    let take = move |bytes: &[u8]| {
        let guest = take_keys(&mut escape, bytes, &events);
        !matches!(sender.try_send(guest), Err(TrySendError::Disconnected(_)))
    };
    sandbox::spawn(Role::Input, NAME, move || read(take)).map(drop)
}

/// Reads standard input until it ends, or until nothing is taken from it any more.
fn read(mut take: impl FnMut(&[u8]) -> bool) {
    let mut stdin = std::io::stdin().lock();
    let mut buffer = [0; 4096];
    loop {
        match stdin.read(&mut buffer) {
            Ok(count @ 1..) if take(&buffer[..count]) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Acts on the keys in `bytes` that are the runner's and returns the others.
pub fn take_keys(escape: &mut Escape, bytes: &[u8], events: &Sender<impl From<Shortcut>>) -> Vec<u8> {
    let mut guest = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if escape.is_stuck(byte) {
            drop(events.send(Shortcut::Help.into()));
        }
        // An event that can't be sent has nobody left to care.
        match escape.key(byte) {
            Key::Guest(byte) => guest.push(byte),
            Key::Runner(shortcut) => drop(events.send(shortcut.into())),
            Key::Nothing => {}
        }
    }
    guest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut escape = Escape::default();
        bytes.iter().map(|&byte| escape.key(byte)).filter(|key| *key != Key::Nothing).collect()
    }

    #[test]
    fn ordinary_keys_are_the_guests() {
        assert_eq!(keys(b"xh\x03"), [Key::Guest(b'x'), Key::Guest(b'h'), Key::Guest(3)]);
    }

    #[test]
    fn the_key_after_control_a_is_the_runners() {
        assert_eq!(keys(b"\x01x"), [Key::Runner(Shortcut::Leave)]);
        assert_eq!(keys(b"\x01?\x01H"), [Key::Runner(Shortcut::Help); 2]);
        assert_eq!(keys(b"\x01qb"), [Key::Guest(b'b')]);
    }

    #[test]
    fn control_a_can_be_sent_too() {
        assert_eq!(keys(b"\x01\x01x"), [Key::Guest(1), Key::Guest(b'x')]);
        assert_eq!(keys(b"\x01a"), [Key::Guest(1)]);
    }

    #[test]
    fn two_interrupts_in_a_row_ask_for_the_way_out() {
        let asked = |bytes: &[u8]| {
            let mut escape = Escape::default();
            bytes.iter().filter(|byte| escape.is_stuck(**byte)).count()
        };
        assert_eq!((asked(b"\x03"), asked(b"\x03\x03"), asked(b"\x03\x03\x03\x03")), (0, 1, 2));
        assert_eq!(asked(b"\x03x\x03"), 0);
    }
}
