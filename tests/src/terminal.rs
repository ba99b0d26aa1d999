//! A pseudo-terminal with a command of ours in its foreground: what appears on it, keys, and its settings.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::process::PATIENCE;
use crate::tools::without_wishes;

/// Rows of a terminal on which something is drawn: there is room below a guest's screen.
pub const ROWS: u16 = 40;
/// Its columns.
pub const COLUMNS: u16 = 120;

/// A terminal that has got everything in `seen`.
pub fn show(seen: &str) -> vt100::Parser {
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    terminal.process(seen.as_bytes());
    terminal
}

/// What a screen shows in a row, without the spaces at its end.
pub fn row(screen: &vt100::Screen, number: u16) -> String {
    let (_, columns) = screen.size();
    screen.rows(0, columns).nth(number.into()).unwrap_or_default().trim_end().to_owned()
}

/// A command with a terminal of its own.
pub struct Session {
    child: Child,
    master: File,
    screen: Receiver<Vec<u8>>,
    /// What has appeared so far, with escape sequences.
    pub seen: String,
    before: Termios,
}

impl Session {
    /// Runs `command` in the foreground of a new terminal.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(command: &Command) -> Self {
        match Self::try_start(command) {
            Ok(session) => session,
            Err(error) => panic!("{command:?} can't be started on a terminal: {error}"),
        }
    }

    fn try_start(command: &Command) -> std::io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = PathBuf::from(ptsname(&master, Vec::new())?.to_string_lossy().into_owned());
        let slave = File::options().read(true).write(true).open(name)?;
        let before = tcgetattr(&slave)?;
        let master = File::from(master);
        // A session of its own, with the terminal as the controlling one.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args()).env("TERM", "xterm");
        without_wishes(&mut session);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        let child = session
            .stdin(Stdio::from(slave.try_clone()?))
            .stdout(Stdio::from(slave.try_clone()?))
            .stderr(Stdio::from(slave))
            .spawn()?;
        let (sender, screen) = channel();
        let mut reader = master.try_clone()?;
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading fails once nobody has the terminal open.
            while let Ok(size @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..size].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, master, screen, seen: String::new(), before })
    }

    /// Waits until `text` has appeared.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(error) => {
                    panic!("{text:?} is missing ({error}) in {:?}", self.seen.get(..2000).unwrap_or(&self.seen))
                }
            }
        }
    }

    /// Makes the terminal of [`ROWS`] and [`COLUMNS`], and waits until what it shows is as `wanted`.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_for_screen(&mut self, wanted: impl Fn(&vt100::Screen) -> bool) {
        self.wait_for_screen_of(ROWS, COLUMNS, wanted);
    }

    /// The same with another size. What appeared before is taken as if the terminal had always been of this size.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_for_screen_of(&mut self, rows: u16, columns: u16, wanted: impl Fn(&vt100::Screen) -> bool) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let resized = tcsetwinsize(&self.master, size);
        assert!(resized.is_ok(), "{resized:?}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut terminal = vt100::Parser::new(rows, columns, 0);
            terminal.process(self.seen.as_bytes());
            if wanted(terminal.screen()) {
                return;
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("the terminal shows ({error})\n{}", terminal.screen().contents()),
            }
        }
    }

    /// Changes the terminal's settings, as another program on it may.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn set(&self, settings: &Termios) {
        let set = tcsetattr(&self.master, OptionalActions::Now, settings);
        assert!(set.is_ok(), "{set:?}");
    }

    /// The terminal's settings before the command was started.
    pub fn settings_before(&self) -> &Termios {
        &self.before
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn type_keys(&mut self, keys: &[u8]) {
        let typed = self.master.write_all(keys);
        assert!(typed.is_ok(), "{typed:?}");
    }

    /// The terminal's settings.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn settings(&self) -> Termios {
        match tcgetattr(&self.master) {
            Ok(settings) => settings,
            Err(error) => panic!("the terminal has no settings: {error}"),
        }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, and checks that the terminal is as before. Returns how the command ended and all that appeared.
    ///
    /// # Panics
    /// When the terminal's settings differ.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = match self.child.wait() {
            Ok(status) => status,
            Err(error) => panic!("the command's end is not known: {error}"),
        };
        let after = self.settings();
        let modes = |settings: &Termios| (settings.input_modes, settings.output_modes, settings.local_modes);
        assert_eq!(modes(&after), modes(&self.before), "the terminal was not restored");
        // The reader ends when the last process on the terminal is gone.
        loop {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(RecvTimeoutError::Disconnected) => return (status, self.seen),
                Err(RecvTimeoutError::Timeout) => panic!("somebody keeps the terminal open: {:?}", self.seen),
            }
        }
    }

    /// Waits for the end, and checks status and terminal.
    ///
    /// # Panics
    /// When one of them is wrong.
    pub fn ends_with(self, status: i32) {
        let (ended, seen) = self.end();
        assert_eq!(ended.code(), Some(status), "{seen}");
    }
}
