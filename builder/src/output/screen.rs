//! Terminals on which something can be drawn, and colours.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use clap::ValueEnum;

/// Whether standard error is a terminal that obeys escape sequences, as far as its name tells: one without a name, or called
/// `dumb`, does not (`terminfo(5)`).
pub fn can_draw() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb")
}

/// When standard error has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colors {
    /// On a terminal, unless `NO_COLOR` is set; elsewhere if `CLICOLOR_FORCE` is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl Colors {
    /// Whether there are colours, with this process's environment and standard error.
    pub fn are_used(self) -> bool {
        let (no_color, force) = (std::env::var_os("NO_COLOR"), std::env::var_os("CLICOLOR_FORCE"));
        self.are_used_with(no_color.as_deref(), force.as_deref(), can_draw)
    }

    /// The two variables mean what <https://no-color.org> and <https://bixense.com/clicolors> say.
    fn are_used_with(self, no_color: Option<&OsStr>, force: Option<&OsStr>, can_draw: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if no_color.is_some_and(|value| !value.is_empty()) => false,
            Self::Auto => force.is_some_and(|value| !value.is_empty() && value != "0") || can_draw(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_unless_somebody_says_otherwise() {
        let used = |colors: Colors, no_color: Option<&str>, force: Option<&str>, terminal| {
            colors.are_used_with(no_color.map(OsStr::new), force.map(OsStr::new), || terminal)
        };
        for (colors, no_color, force, terminal, expected) in [
            (Colors::Auto, None, None, true, true),
            (Colors::Auto, None, None, false, false),
            (Colors::Auto, Some("1"), None, true, false),
            (Colors::Auto, Some(""), None, true, true),
            (Colors::Auto, None, Some("1"), false, true),
            (Colors::Auto, None, Some("0"), false, false),
            (Colors::Auto, None, Some(""), false, false),
            (Colors::Auto, Some("1"), Some("1"), false, false),
            (Colors::Always, Some("1"), None, false, true),
            (Colors::Never, None, Some("1"), true, false),
        ] {
            assert_eq!(
                used(colors, no_color, force, terminal),
                expected,
                "{colors:?} {no_color:?} {force:?} {terminal}"
            );
        }
    }
}
