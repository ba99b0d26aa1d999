//! What a look at one part of a machine has found, and what can be done about it.

use std::fmt::Write as _;

/// What to do where guests are to run on what this system can't have.
pub const NAME_ANOTHER: &str = "name another backend in the settings, such as `embedded`";

/// How well a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// Guests run without it, but something is slower or missing.
    Fair,
    /// It needs to be mended.
    Bad,
}

/// What was found of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The part.
    pub part: &'static str,
    /// How it is.
    pub state: State,
    /// What was found, in one line.
    pub told: String,
    /// What to do about it, a line each.
    pub advice: Vec<String>,
}

impl Finding {
    /// One of `part` that is as it should be.
    pub fn good(part: &'static str, told: impl Into<String>) -> Self {
        Self { part, state: State::Good, told: told.into(), advice: Vec::new() }
    }

    /// One of `part` that is otherwise, with what to do.
    pub fn other(part: &'static str, state: State, told: impl Into<String>, advice: Vec<String>) -> Self {
        Self { part, state, told: told.into(), advice }
    }

    /// It in lines for people.
    pub fn text(&self) -> String {
        let Self { part, state, told, advice } = self;
        let mark = match state {
            State::Good => "ok",
            State::Fair => "note",
            State::Bad => "bad",
        };
        let mut text = format!("{mark:<5} {part:<9} {told}\n");
        for line in advice {
            let _ = writeln!(text, "{:>16}to do: {line}", "");
        }
        text
    }
}
