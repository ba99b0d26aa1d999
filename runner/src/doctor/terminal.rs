//! The terminal on which a run is seen.

use std::ffi::OsString;
use std::io::{IsTerminal, stderr};

use rustix::termios::tcgetwinsize;
use stos_pack::output::Colors;

use super::finding::{Finding, State};

const PART: &str = "terminal";
/// What a guest's screen needs: 80 columns, 25 rows, and one for the runner's words.
const ROWS: u16 = 26;
const COLUMNS: u16 = 80;

/// What is known of a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Rows and columns, if standard error is one.
    size: Option<(u16, u16)>,
    name: Option<OsString>,
    /// The locale's name for characters.
    locale: String,
    has_colors: bool,
}

impl Terminal {
    /// That of this process.
    pub fn of_this_process() -> Self {
        let size = stderr().is_terminal().then(|| tcgetwinsize(stderr()).map(|size| (size.ws_row, size.ws_col)));
        // The first that is set counts (locale(7)).
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let size = size.map(Result::unwrap_or_default);
        Self { size, name: std::env::var_os("TERM"), locale, has_colors: Colors::Auto.are_used() }
    }

    /// What is told of it.
    pub fn finding(&self) -> Finding {
        let Some((rows, columns)) = self.size else {
            return Finding::good(
                PART,
                "standard error is none: no colours, and the guest's screen is printed at the end",
            );
        };
        let mut advice = Vec::new();
        let locale = self.locale.to_ascii_lowercase();
        let is_utf8 = ["utf-8", "utf8"].iter().any(|name| locale.contains(name));
        if !is_utf8 {
            advice.push("set `LANG=C.UTF-8`, so that what a guest draws is shown as it is".to_owned());
        }
        if (rows, columns) != (0, 0) && (rows < ROWS || columns < COLUMNS) {
            advice.push(format!("make it larger: a guest's screen takes {COLUMNS} columns and {ROWS} rows"));
        }
        let can_draw = self.name.as_ref().is_some_and(|name| !name.is_empty() && name != "dumb");
        if !can_draw {
            advice.push(
                "set TERM to the terminal's name, such as `xterm-256color`, so that a guest's screen can be drawn"
                    .to_owned(),
            );
        }
        let colors = if self.has_colors { "colours" } else { "no colours" };
        let characters = if is_utf8 { "UTF-8" } else { "no UTF-8" };
        let told = format!("{columns} columns and {rows} rows, {characters}, {colors}");
        let state = if advice.is_empty() { State::Good } else { State::Fair };
        Finding::other(PART, state, told, advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(size: (u16, u16), name: &str, locale: &str) -> Terminal {
        Terminal { size: Some(size), name: Some(name.into()), locale: locale.to_owned(), has_colors: true }
    }

    #[test]
    fn a_terminal_is_large_and_knows_all_characters() {
        let good = terminal((40, 120), "xterm", "en_GB.UTF-8").finding();
        assert_eq!((good.state, &*good.told), (State::Good, "120 columns and 40 rows, UTF-8, colours"));
        assert_eq!(Terminal::default().finding().state, State::Good, "a pipe is no mistake");
    }

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let narrow = terminal((24, 20), "dumb", "C").finding();
        assert_eq!((narrow.state, narrow.advice.len()), (State::Fair, 3), "{narrow:?}");
        assert!(narrow.advice[1].contains("80 columns and 26 rows"), "{narrow:?}");
        assert!(terminal((0, 0), "xterm", "de_DE.utf8").finding().advice.is_empty(), "a size that nobody told");
    }
}
