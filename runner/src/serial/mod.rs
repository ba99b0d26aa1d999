//! Where the guest's serial port leads: standard input and output, a file, a socket, a pseudo-terminal, or nowhere.

mod backlog;
mod clients;
mod output;
mod port;
#[cfg_attr(not(target_os = "linux"), path = "pty_elsewhere.rs")]
mod pty;
mod socket;
#[cfg_attr(not(target_os = "linux"), path = "standard_pipe_elsewhere.rs")]
mod standard_pipe;
mod target;

pub use output::{Copied, SerialOutput};
pub use port::Com1;
pub use standard_pipe::StandardPipe;
pub use target::SerialTarget;
