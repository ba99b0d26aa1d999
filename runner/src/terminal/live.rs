//! Draws the screen on a terminal while the guest runs, and leaves the terminal as it was.

use std::io::{self, Stderr, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;
use stos_pack::output::can_draw;

use super::raw;
use crate::sandbox::{self, Role};
use crate::screen::{COLUMNS, Cell, Frame, ROWS, Screen};

/// Time between two frames.
const FRAME_TIME: Duration = Duration::from_millis(33);
/// How long a line is shown that nobody asked for.
const BRIEFLY: Duration = Duration::from_secs(5);
/// How long the terminal may take for what it is sent last.
const PATIENCE: Duration = Duration::from_millis(500);

/// Alternate screen, no line wrap, all blank (ECMA-48, and xterm's control sequences).
const ENTER: &str = "\x1b[?1049h\x1b[?7l\x1b[0m\x1b[2J";
/// Plain colours, cursor shown, line wrap, the screen from before.
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1049l";

/// SGR numbers of the eight colours, in the display adapter's order: black, blue, green, cyan, red, magenta, brown, grey.
const COLOURS: [u8; 8] = [0, 4, 2, 6, 1, 5, 3, 7];

/// What the drawing thread is told.
enum Command {
    /// Show this line below the screen, until another is to be shown or this time is over.
    Say(String, Option<Instant>),
    /// Draw everything again.
    Redraw,
}

/// A screen that is being drawn on standard error. Dropping this restores the terminal.
///
/// A thread of its own draws, so that a terminal that takes nothing holds nobody up.
#[derive(Debug)]
pub struct LiveScreen {
    commands: Option<Sender<Command>>,
    done: Receiver<()>,
}

impl LiveScreen {
    /// True when standard error is a terminal on which can be drawn.
    pub fn is_possible() -> bool {
        can_draw()
    }

    /// Begins to draw `screen`.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub fn begin(screen: Screen) -> io::Result<Self> {
        let (commands, receiver) = channel();
        let (finished, done) = channel();
        let body = move || {
            draw(&screen, &receiver);
            // Nobody waits for this when the terminal was too slow.
            let _ = finished.send(());
        };
        sandbox::spawn(Role::Screen, "screen", body)?;
        Ok(Self { commands: Some(commands), done })
    }

    /// Shows `line` below the screen.
    pub fn say(&self, line: &str) {
        self.tell(Command::Say(line.to_owned(), None));
    }

    /// Shows `line` below the screen for a few seconds, or until something else is to be shown there.
    pub fn say_briefly(&self, line: &str) {
        self.tell(Command::Say(line.to_owned(), Some(Instant::now() + BRIEFLY)));
    }

    /// Draws everything again, after something else has used the terminal.
    pub fn redraw(&self) {
        self.tell(Command::Redraw);
    }

    fn tell(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // A thread that has failed has told so.
            let _ = commands.send(command);
        }
    }
}

impl Drop for LiveScreen {
    fn drop(&mut self) {
        // The thread ends when nobody can tell it anything, and then restores the terminal.
        self.commands = None;
        let _ = self.done.recv_timeout(PATIENCE);
    }
}

/// The screen is on the terminal.
static IS_DRAWN: AtomicBool = AtomicBool::new(false);

/// Gives back a terminal that is in use. For a process that ends without returning, also in a signal's handler: it takes no locks and need
/// not come to its end.
pub fn give_back() {
    raw::restore();
    if IS_DRAWN.swap(false, Ordering::AcqRel) {
        let _ = rustix::io::write(rustix::stdio::stderr(), LEAVE.as_bytes());
    }
}

/// Restores the terminal, also when drawing panics.
struct Restore(Stderr);

impl Restore {
    fn begin() -> Self {
        IS_DRAWN.store(true, Ordering::Release);
        Self(io::stderr())
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // Fails only when the terminal has gone.
        let _ = self.0.write_all(LEAVE.as_bytes());
        IS_DRAWN.store(false, Ordering::Release);
    }
}

fn draw(screen: &Screen, commands: &Receiver<Command>) {
    let mut terminal = Restore::begin();
    let mut renderer = Renderer::default();
    let mut silent_from = None;
    // Errors are passed over: a terminal that has gone hangs up, and that signal ends the run.
    let _ = terminal.0.write_all(ENTER.as_bytes());
    loop {
        let size = tcgetwinsize(io::stderr()).map_or((ROWS, COLUMNS), |size| (size.ws_row.into(), size.ws_col.into()));
        // A terminal that does not know its size says 0.
        let size = if size.0 == 0 || size.1 == 0 { (ROWS, COLUMNS) } else { size };
        if silent_from.take_if(|end| *end <= Instant::now()).is_some() {
            renderer.message = None;
        }
        let changes = renderer.render(screen.frame().unwrap_or_else(Frame::blank), size);
        if !changes.is_empty() {
            let _ = terminal.0.write_all(changes.as_bytes());
        }
        match commands.recv_timeout(FRAME_TIME) {
            Ok(Command::Say(line, end)) => (renderer.message, silent_from) = (Some(line), end),
            Ok(Command::Redraw) => {
                renderer.shown = None;
                let _ = terminal.0.write_all(ENTER.as_bytes());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Finds out what to send to a terminal for it to show a frame.
#[derive(Debug, Default)]
pub struct Renderer {
    /// What it shows, as far as is known.
    shown: Option<Shown>,
    /// A line to show below the screen.
    message: Option<String>,
}

/// What a terminal shows.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    frame: Frame,
    /// Its rows and columns.
    size: (usize, usize),
    /// Rows of the frame above the terminal's first.
    hidden_rows: usize,
    message: Option<String>,
}

impl Renderer {
    /// The control sequences and characters that turn what a terminal of `size` shows into `frame`. A terminal with fewer
    /// rows shows the last ones in use.
    pub fn render(&mut self, frame: Frame, size: (usize, usize)) -> String {
        let (terminal_rows, terminal_columns) = size;
        let hidden_rows = frame.rows_in_use().saturating_sub(terminal_rows);
        let next = Shown { frame, size, hidden_rows, message: self.message.clone() };
        let mut output = String::new();
        let known = self.shown.take().filter(|shown| {
            // A message that goes may have covered a row.
            let is_uncovered = shown.message.is_some() && next.message.is_none();
            shown.size == size && shown.hidden_rows == hidden_rows && !is_uncovered
        });
        if known.as_ref() == Some(&next) {
            self.shown = known;
            return output;
        }
        if known.is_none() {
            output += "\x1b[0m\x1b[2J";
        }
        output += "\x1b[?25l";
        let known_rows = known.as_ref().map(|shown| shown.frame.rows());
        let visible = next.frame.rows().iter().enumerate().skip(hidden_rows).take(terminal_rows);
        for (number, row) in visible {
            let before = known_rows.and_then(|rows| rows.get(number));
            render_row(&mut output, number - hidden_rows, row, before, terminal_columns);
        }
        if let Some(message) = &next.message {
            // On the last row of a terminal that has none below.
            let row = terminal_rows.min(ROWS + 1);
            let message: String = message.chars().take(terminal_columns).collect();
            output += &go_to(row - 1, 0);
            output += "\x1b[0m";
            output += &message;
            output += "\x1b[K";
        }
        if let Some((row, column)) = next.frame.cursor()
            && row >= hidden_rows
        {
            output += &go_to(row - hidden_rows, column);
            output += "\x1b[?25h";
        }
        self.shown = Some(next);
        output
    }
}

/// Draws the cells of `row` that differ from `before` on the terminal's row `place`.
fn render_row(
    output: &mut String,
    place: usize,
    row: &[Cell; COLUMNS],
    before: Option<&[Cell; COLUMNS]>,
    terminal_columns: usize,
) {
    let mut at = None;
    let mut attribute = None;
    for (column, cell) in row.iter().enumerate().take(terminal_columns) {
        if before.and_then(|before| before.get(column)) == Some(cell) {
            continue;
        }
        if at != Some(column) {
            *output += &go_to(place, column);
        }
        if attribute != Some(cell.attribute) {
            *output += &colours(*cell);
            attribute = Some(cell.attribute);
        }
        output.push(cell.character());
        at = Some(column + 1);
    }
}

/// The control sequence that puts the cursor there.
fn go_to(row: usize, column: usize) -> String {
    format!("\x1b[{};{}H", row + 1, column + 1)
}

/// The control sequence for the colours of `cell`.
fn colours(cell: Cell) -> String {
    let colour = |number: u8| COLOURS.get(usize::from(number & 7)).copied().unwrap_or(7);
    let bright = if cell.foreground() >= 8 { 90 } else { 30 };
    let blink = if cell.blinks() { "5;" } else { "" };
    format!("\x1b[0;{blink}{};{}m", bright + colour(cell.foreground()), 40 + colour(cell.background()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::TEXT_MEMORY_SIZE;
    use proptest::prelude::*;
    use vt100::{Color, Parser};

    fn frame(cells: &[(usize, u8, u8)], cursor: Option<u16>) -> Frame {
        let mut memory = vec![0; TEXT_MEMORY_SIZE];
        for &(cell, code, attribute) in cells {
            memory[cell * 2] = code;
            memory[cell * 2 + 1] = attribute;
        }
        Frame::new(&memory, 0, cursor)
    }

    #[test]
    fn characters_and_colours_arrive() {
        let mut terminal = Parser::new(30, 100, 0);
        let mut renderer = Renderer::default();
        let shown = frame(&[(0, b'A', 0x1e), (81, 0xb0, 0x07), (1999, b'Z', 0x4f)], Some(82));
        terminal.process(renderer.render(shown, (30, 100)).as_bytes());
        let screen = terminal.screen();
        let first = screen.cell(0, 0).unwrap();
        // Yellow is a bright brown, and blue is colour 4 of a terminal.
        assert_eq!((first.contents(), first.fgcolor(), first.bgcolor()), ("A", Color::Idx(11), Color::Idx(4)));
        assert_eq!(screen.cell(1, 1).unwrap().contents(), "░");
        assert_eq!(screen.cell(24, 79).unwrap().contents(), "Z");
        assert_eq!((screen.cursor_position(), screen.hide_cursor()), ((1, 2), false));
    }

    #[test]
    fn only_what_has_changed_is_drawn() {
        let mut renderer = Renderer::default();
        renderer.render(frame(&[(5, b'a', 7)], None), (25, 80));
        assert_eq!(renderer.render(frame(&[(5, b'a', 7)], None), (25, 80)), "");
        let changes = renderer.render(frame(&[(5, b'b', 7)], None), (25, 80));
        assert_eq!(changes, "\x1b[?25l\x1b[1;6H\x1b[0;37;40mb");
    }

    #[test]
    fn a_low_terminal_shows_the_last_rows() {
        let mut terminal = Parser::new(24, 80, 0);
        let mut renderer = Renderer::default();
        let cells = [(0, b'a', 7), (80, b'b', 7)];
        terminal.process(renderer.render(frame(&cells, None), (24, 80)).as_bytes());
        assert_eq!(terminal.screen().cell(0, 0).unwrap().contents(), "a");
        let cells = [(80, b'b', 7), (1920, b'y', 7)];
        terminal.process(renderer.render(frame(&cells, None), (24, 80)).as_bytes());
        let first_column = |row| terminal.screen().cell(row, 0).unwrap().contents();
        assert_eq!((first_column(0), first_column(1), first_column(23)), ("b", " ", "y"));
    }

    #[test]
    fn a_message_stands_below_the_screen() {
        let mut terminal = Parser::new(40, 80, 0);
        let mut renderer = Renderer { message: Some("Ctrl-A X leaves".to_owned()), ..Renderer::default() };
        terminal.process(renderer.render(Frame::blank(), (40, 80)).as_bytes());
        assert_eq!(terminal.screen().contents().trim(), "Ctrl-A X leaves");
        assert_eq!(terminal.screen().cell(25, 0).unwrap().contents(), "C");
    }

    #[test]
    fn a_message_that_goes_uncovers_what_was_there() {
        for (rows, place) in [(24, 23), (25, 24), (40, 25)] {
            let mut terminal = Parser::new(rows, 80, 0);
            let size = (usize::from(rows), 80);
            let cells = [(23 * 80, b'y', 7), (24 * 80, b'z', 7)];
            let mut renderer = Renderer { message: Some("Ctrl-A X leaves".to_owned()), ..Renderer::default() };
            terminal.process(renderer.render(frame(&cells, None), size).as_bytes());
            let shown = |terminal: &Parser| terminal.screen().rows(0, 80).nth(place).unwrap().trim_end().to_owned();
            assert_eq!(shown(&terminal), "Ctrl-A X leaves");
            renderer.message = None;
            terminal.process(renderer.render(frame(&cells, None), size).as_bytes());
            assert_eq!(shown(&terminal), if place == 25 { "" } else { "z" });
        }
    }

    proptest! {
        #[test]
        fn changes_and_a_whole_drawing_give_the_same(
            steps in prop::collection::vec(
                (prop::collection::vec((0..2000_usize, any::<u8>(), any::<u8>()), 0..20), any::<u16>()), 1..6
            ),
            rows in 1..40_u16,
            columns in 1..100_u16,
        ) {
            let size = (usize::from(rows), usize::from(columns));
            let mut renderer = Renderer::default();
            let mut terminal = Parser::new(rows, columns, 0);
            terminal.process(ENTER.as_bytes());
            for (cells, cursor) in steps {
                let next = frame(&cells, Some(cursor));
                terminal.process(renderer.render(next.clone(), size).as_bytes());
                let mut fresh = Parser::new(rows, columns, 0);
                fresh.process(ENTER.as_bytes());
                fresh.process(Renderer::default().render(next, size).as_bytes());
                let (screen, fresh) = (terminal.screen(), fresh.screen());
                prop_assert!(screen.rows_formatted(0, columns).eq(fresh.rows_formatted(0, columns)));
                prop_assert_eq!(screen.hide_cursor(), fresh.hide_cursor());
                if !screen.hide_cursor() {
                    prop_assert_eq!(screen.cursor_position(), fresh.cursor_position());
                }
            }
        }
    }
}
