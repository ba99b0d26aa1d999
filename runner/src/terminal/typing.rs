//! Decides when standard input is read for the guest, and when a terminal is in raw mode for it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::{Escape, Input, RawTerminal, Route, Shortcut, spawn_input};
use crate::channel::InputSink;

/// What of standard input a guest gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Everything, wherever it comes from.
    Everything,
    /// What is typed at a terminal.
    Typed,
    /// Nothing yet: a terminal keeps its own keys, such as Ctrl-C.
    Nothing,
}

/// Standard input.
#[derive(Debug, Default)]
pub struct Typing {
    input: Option<Input>,
    /// There is a thread for it, if it needs one.
    is_begun: bool,
}

impl Typing {
    /// Makes a terminal ready, if the guest `reads` it.
    ///
    /// # Errors
    /// Those of setting the terminal up.
    pub fn prepare(reads: Reads) -> io::Result<Self> {
        if reads == Reads::Nothing {
            return Ok(Self::default());
        }
        let input = RawTerminal::enter()?;
        let is_read = reads == Reads::Everything || matches!(input, Input::Terminal(_));
        Ok(Self { input: is_read.then_some(input), is_begun: false })
    }

    /// The terminal, while it is ours.
    pub fn terminal(&self) -> Option<&RawTerminal> {
        if let Some(Input::Terminal(terminal)) = &self.input { Some(terminal) } else { None }
    }

    /// Reads from now on, for `route`, unless it does already.
    ///
    /// # Errors
    /// Those of starting threads.
    pub fn begin<E: From<Shortcut> + Send + 'static>(
        &mut self,
        route: &Arc<Route>,
        events: Sender<E>,
    ) -> io::Result<()> {
        if std::mem::replace(&mut self.is_begun, true) {
            return Ok(());
        }
        let escape = match &self.input {
            Some(Input::Terminal(_)) => Some(Escape::default()),
            Some(Input::Stream) => None,
            Some(Input::Background) | None => return Ok(()),
        };
        spawn_input(Arc::clone(route) as Arc<dyn InputSink>, escape, events)
    }

    /// From now on, what is typed at a terminal goes to the keyboard.
    ///
    /// # Errors
    /// Those of setting the terminal up and of starting threads.
    pub fn turn_to_keyboard<E: From<Shortcut> + Send + 'static>(
        &mut self,
        route: &Arc<Route>,
        events: &Sender<E>,
    ) -> io::Result<()> {
        let is_read = self.input.is_some();
        if !is_read {
            *self = Self::prepare(Reads::Typed)?;
        }
        // Before anything is read: what was typed already is for the keyboard, too.
        if self.terminal().is_some() {
            route.turn_to_keyboard();
        }
        if !is_read {
            self.begin(route, events.clone())?;
        }
        Ok(())
    }
}
