//! The guest's screen during a run: shown to the person, and its rows to whoever watches the output.

use crate::channel::{OutputPipe, Stream};
use crate::terminal::Show;
use crate::watch::Rows;

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
}
