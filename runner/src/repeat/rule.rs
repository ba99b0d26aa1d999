//! The line between two runs.

use std::io::stderr;

use rustix::termios::tcgetwinsize;
use stos_pack::diagnostics::printable_lines;

/// Columns where there is no terminal.
const COLUMNS: usize = 80;
/// A wider line says no more.
const MOST: usize = 100;

/// A line with `text` in it, as wide as the terminal is.
pub fn rule(text: &str) -> String {
    let size = tcgetwinsize(stderr()).map(|size| usize::from(size.ws_col));
    line(text, size.ok().filter(|columns| *columns > 0).unwrap_or(COLUMNS).min(MOST))
}

fn line(text: &str, columns: usize) -> String {
    let text = printable_lines(text).replace('\n', "\\n");
    let begun: String = format!("--- {text} ").chars().take(columns).collect();
    format!("{begun:-<columns$}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_wide_as_the_terminal_and_one_line() {
        assert_eq!(line("a\nb", 20), "--- a\\nb -----------\n");
        assert_eq!(line("a long text about a change", 20), "--- a long text abou\n");
        assert_eq!(line("ä", 10), "--- ä ----\n");
        assert_eq!(line("x", 1), "-\n");
    }
}
