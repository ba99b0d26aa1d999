//! Where the guest's serial port leads: standard input and output, a file, a socket, a pseudo-terminal, or nowhere.

mod backlog;
mod com1;
mod pty;
mod socket;
mod target;
mod visitors;

pub use com1::{Com1, SerialOutput};
pub use target::SerialTarget;
