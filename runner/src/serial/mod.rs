//! Where the guest's serial port leads: standard input and output, a file, a socket, a pseudo-terminal, or nowhere.

mod backlog;
mod clients;
mod com1;
mod output;
mod pty;
mod socket;
mod target;

pub use com1::Com1;
pub use output::{Copied, SerialOutput};
pub use target::SerialTarget;
