//! Gives the guest its input, at times of its own, which are noted.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use stos_machine::devices::peripherals::Own;
use stos_machine::time::nanosecond;

use super::inbox::Inbox;
use crate::backend::{Observed, Sent, SentTo};
use crate::channel::{INPUT_LIMIT, TYPED_LIMIT};
use crate::machine::InputSource;

/// A file has all of its input: the guest gets more when it has less than this, whenever the thread that reads the file comes to it.
const LOW: usize = INPUT_LIMIT / 2;
/// A key is at most so many bytes.
const KEY: usize = 2;
/// Between two looks at a guest that waits and reads nothing.
const BRIEFLY: Duration = Duration::from_millis(5);

/// Takes input out of the inbox and puts it into the devices.
pub struct Feed {
    inbox: Arc<Inbox>,
    source: InputSource,
    observed: Observed,
}

impl Feed {
    /// One that takes what comes from `source`.
    pub fn new(inbox: Arc<Inbox>, source: InputSource, observed: Observed) -> Self {
        Self { inbox, source, observed }
    }

    /// True when all that the guest will ever get is there for the taking.
    pub fn is_at_hand(&self) -> bool {
        matches!(self.source, InputSource::AtHand | InputSource::Nothing)
    }

    /// Gives the guest what there is, at this time. True when that was anything. Of a file, waits for as much as the guest can have,
    /// until it `is_given_up`: what a guest has read, and when, does not depend on how fast a file is read.
    pub fn give(&self, devices: &mut Own, now: u64, is_given_up: impl Fn() -> bool, patience: Duration) -> bool {
        let (serial, typed) = (devices.serial.waiting(), devices.keyboard.waiting());
        let bytes = INPUT_LIMIT.saturating_sub(serial);
        let keys = TYPED_LIMIT.saturating_sub(typed) / KEY;
        if self.source == InputSource::AtHand {
            if serial >= LOW || typed >= LOW {
                return false;
            }
            while !self.inbox.has_at_least(bytes, keys) && !is_given_up() {
                self.inbox.wait_for(patience, bytes, keys);
            }
        }
        let (bytes, codes) = self.inbox.take(bytes, keys);
        if !bytes.is_empty() {
            devices.serial.receive(&bytes);
        }
        if !codes.is_empty() {
            devices.keyboard.press(&codes);
        }
        let typed: Vec<u8> = codes.iter().flat_map(|code| code.bytes()).collect();
        let is_any = !bytes.is_empty() || !typed.is_empty();
        for (to, bytes) in [(SentTo::Serial, bytes), (SentTo::Keyboard, typed)] {
            if !bytes.is_empty() {
                let sent = Sent { at: nanosecond(now), to, bytes };
                self.observed.lock().taken.get_or_insert_default().add(sent);
            }
        }
        is_any
    }

    /// Waits for input, or for so long.
    pub fn wait(&self, longest: Duration) {
        if self.inbox.has_at_least(1, 1) {
            // The guest has no room for it.
            thread::sleep(longest.min(BRIEFLY));
        } else {
            self.inbox.wait_for(longest, 1, 1);
        }
    }

    /// True when the guest has all input that it will ever get.
    pub fn has_ended(&self, devices: &Own) -> bool {
        self.inbox.has_ended() && devices.serial.waiting() == 0 && devices.keyboard.waiting() == 0
    }
}
