//! What the guest is sent: bytes on its serial port, keys on its keyboard.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use stos_machine::devices::i8042::ScanCode;

use crate::sandbox::{self, Role};

/// Bytes of input that may wait for the guest.
pub const INPUT_LIMIT: usize = 4096;
/// Scan codes that may wait for it.
pub const TYPED_LIMIT: usize = 4096;

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

/// Where keys go.
pub trait KeySink: Send + Sync {
    /// Hands `codes` to the guest in order, waiting while it is slow to take them. False once it never will again.
    fn press(&self, codes: &[ScanCode]) -> bool;
}
