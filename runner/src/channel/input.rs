//! What the guest is sent: bytes on its serial port, keys on its keyboard.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::sandbox::{self, Role};

/// Byte before the code of a key that the first PC did not have.
const EXTENDED: u8 = 0xe0;
/// Bit of a code that says that the key was released.
const RELEASED: u8 = 0x80;

/// Where bytes for the guest's serial input go.
pub trait InputSink: Send + Sync {
    /// Hands `bytes` to the guest in order, waiting while it is slow to take them. False once it never will again.
    fn push(&self, bytes: &[u8]) -> bool;

    /// Nothing more will come, unless it does after all. Most have no use for that.
    fn end(&self) {}
}

/// Chunks of input that may wait for a guest that is slow to read.
const QUEUE: usize = 64;

/// Starts a thread that hands to `sink` what is sent to it, so that the sender need not wait. It ends with the sender, or once
/// the guest takes nothing any more.
///
/// # Errors
/// Those of starting a thread.
pub fn feed(sink: Arc<dyn InputSink>) -> io::Result<SyncSender<Vec<u8>>> {
    let (sender, receiver) = sync_channel::<Vec<u8>>(QUEUE);
    let body = move || {
        while receiver.recv().is_ok_and(|bytes| sink.push(&bytes)) {}
        sink.end();
    };
    sandbox::spawn(Role::Input, "feed", body)?;
    Ok(sender)
}

/// A key goes down or up: its scan code of set 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanCode {
    /// The code without what says that the key was released.
    pub code: u8,
    /// A key that the first PC did not have.
    pub extended: bool,
    /// The key goes down.
    pub pressed: bool,
}

impl ScanCode {
    /// The bytes that the keyboard sends.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        let code = if self.pressed { self.code } else { self.code | RELEASED };
        self.extended.then_some(EXTENDED).into_iter().chain([code])
    }

    /// QEMU's number of the key (its documentation of `KeyValue`).
    pub fn number(self) -> u8 {
        if self.extended { self.code | RELEASED } else { self.code }
    }
}

/// Where keys go.
pub trait KeySink: Send + Sync {
    /// Hands `codes` to the guest in order, waiting while it is slow to take them. False once it never will again.
    fn press(&self, codes: &[ScanCode]) -> bool;
}
