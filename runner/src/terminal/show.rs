//! Decides what of the screen is shown to a person, and when.

use std::io;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::{Hold, LiveScreen, marked};
use crate::outlet::tell;
use crate::screen::{Drawn, Frame, Screen};

/// How long a guest that has written to its screen may take to print on its serial port as well.
const SERIAL_PATIENCE: Duration = Duration::from_millis(500);

/// The lines around the screen's text.
const SCREEN_BEGIN: &str = "--- the guest's screen ---";
const SCREEN_END: &str = "--- end of the screen ---";

/// What the user wants to see of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ScreenMode {
    /// If the guest prints on its screen and not on its serial port: live on a terminal, elsewhere at the end
    #[default]
    Auto,
    /// While it runs, drawn on the terminal, and again at the end; without a terminal, only at the end
    Live,
    /// As text at the end
    Final,
    /// Nothing
    Off,
}

/// What is shown of one guest's screen.
pub struct Show {
    mode: ScreenMode,
    screen: Screen,
    hold: Hold,
    live: Option<LiveScreen>,
    has_been_live: bool,
    /// When the guest was first seen to have used its screen.
    touched: Option<Instant>,
}

impl Show {
    /// Shows `screen` as `mode` says. While it is on the terminal, `hold` keeps other output off it.
    pub fn new(mode: ScreenMode, screen: Screen, hold: Hold) -> Self {
        Self { mode, screen, hold, live: None, has_been_live: false, touched: None }
    }

    /// True when the screen is to come to the terminal now; `is_serial_used` says whether the guest has printed on its
    /// serial port.
    pub fn is_due(&mut self, is_serial_used: bool) -> bool {
        let wanted = match self.mode {
            ScreenMode::Live => true,
            ScreenMode::Auto => !is_serial_used && self.has_been_touched_for(SERIAL_PATIENCE),
            ScreenMode::Final | ScreenMode::Off => false,
        };
        wanted && !self.has_been_live && LiveScreen::is_possible()
    }

    /// Draws the screen on the terminal from now on.
    ///
    /// # Errors
    /// Those of starting to draw.
    pub fn go_live(&mut self) -> io::Result<()> {
        self.hold.begin();
        self.live = Some(LiveScreen::begin(self.screen.clone())?);
        self.has_been_live = true;
        Ok(())
    }

    fn has_been_touched_for(&mut self, time: Duration) -> bool {
        if self.touched.is_none() && self.screen.frame().is_some() {
            self.touched = Some(Instant::now());
        }
        self.touched.is_some_and(|since| since.elapsed() >= time)
    }

    /// The drawing, while there is one.
    pub fn live(&self) -> Option<&LiveScreen> {
        self.live.as_ref()
    }

    /// Gives the terminal back.
    pub fn end(&mut self) {
        self.live = None;
        self.hold.end();
    }

    /// What the screen shows, if the guest has used it.
    pub fn used_frame(&self) -> Option<Frame> {
        self.screen.frame()
    }

    /// What of what the guest has drawn can be seen.
    pub fn drawn(&self) -> Drawn {
        self.screen.drawn()
    }

    /// Prints what the screen shows once the guest has ended, if that is wanted; true when it is not, and there is something.
    pub fn show_last(&self, is_serial_used: bool) -> bool {
        let wanted = match self.mode {
            ScreenMode::Off => return false,
            ScreenMode::Final | ScreenMode::Live => true,
            ScreenMode::Auto => !is_serial_used || self.has_been_live,
        };
        let text = self.used_frame().map(|frame| frame.text()).unwrap_or_default();
        if wanted && !text.is_empty() {
            let rows: Vec<String> = text.lines().map(marked).collect();
            let text = rows.join("\n");
            tell(&format!("{SCREEN_BEGIN}\n{text}\n{SCREEN_END}\n"));
        }
        !wanted && !text.is_empty()
    }
}
