//! The guest's screen during a run: shown to the person, and its rows to whoever watches the output.

use std::io::{Write, stderr};

use crate::channel::{OutputPipe, Stream};
use crate::terminal::{LastWords, Show};
use crate::watch::Rows;

/// The lines around the screen's text.
const SCREEN_BEGIN: &str = "--- the guest's screen ---";
const SCREEN_END: &str = "--- end of the screen ---";

/// The screen.
pub struct View {
    /// What of it is shown.
    pub show: Show,
    /// Its rows, when the output is watched for something.
    pub rows: Option<Rows>,
}

impl View {
    /// Hands rows of the screen to `output`; `is_last` when nothing will change any more.
    pub fn watch_rows(&mut self, output: &OutputPipe, is_last: bool) {
        let Some(rows) = &mut self.rows else { return };
        let Some(frame) = self.show.used_frame() else { return };
        let text = frame.text();
        for row in if is_last { rows.finish(&text) } else { rows.look(&text) } {
            output.push_at_once(Stream::Screen, format!("{row}\n").as_bytes());
        }
    }

    /// Prints what the screen shows at the end, if that is wanted; true when it is not, and there is something.
    pub fn leaves_unseen(&self, is_serial_used: bool) -> bool {
        match self.show.last_words(is_serial_used) {
            LastWords::Nothing => false,
            LastWords::Screen(text) => {
                // As with this program's own messages: a closed standard error is no reason to fail.
                let _ = stderr().write_all(format!("{SCREEN_BEGIN}\n{text}{SCREEN_END}\n").as_bytes());
                false
            }
            LastWords::Unseen => true,
        }
    }
}
