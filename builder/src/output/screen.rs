//! Terminals on which something can be drawn.

use std::io::{self, IsTerminal};

/// Whether standard error is a terminal that obeys escape sequences, as far as its name tells: one without a name, or called
/// `dumb`, does not (`terminfo(5)`).
pub fn can_draw() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb")
}
