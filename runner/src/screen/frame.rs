//! One moment of the screen: its cells, and where the cursor is.

use super::code_page::character;
use crate::channel::TEXT_MEMORY_SIZE;

/// Characters in a row.
pub const COLUMNS: usize = 80;
/// Rows.
pub const ROWS: usize = 25;

/// Attribute bits 0 to 3: colour of the character.
const FOREGROUND: u8 = 0x0f;
/// Attribute bits 4 to 6: colour behind the character.
const BACKGROUND: u8 = 0x70;
/// Attribute bit 7: the character blinks.
const BLINK: u8 = 0x80;

/// One character and its colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its number in code page 437.
    pub code: u8,
    /// Its colours.
    pub attribute: u8,
}

impl Cell {
    /// What it shows.
    pub fn character(self) -> char {
        character(self.code)
    }

    /// Colour of the character, 0 to 15.
    pub fn foreground(self) -> u8 {
        self.attribute & FOREGROUND
    }

    /// Colour behind it, 0 to 7.
    pub fn background(self) -> u8 {
        (self.attribute & BACKGROUND) >> 4
    }

    /// The character blinks.
    pub fn blinks(self) -> bool {
        self.attribute & BLINK != 0
    }
}

/// What the screen shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    rows: Vec<[Cell; COLUMNS]>,
    cursor: Option<(usize, usize)>,
}

impl Frame {
    /// A screen on which nothing is shown.
    pub fn blank() -> Self {
        Self { rows: vec![[Cell::default(); COLUMNS]; ROWS], cursor: None }
    }

    /// What is shown of `memory` from the cell `start` on, with the cursor in the cell `cursor`.
    pub fn new(memory: &[u8], start: u16, cursor: Option<u16>) -> Self {
        let cells = TEXT_MEMORY_SIZE / 2;
        let cell = |number: usize| {
            let at = (usize::from(start) + number) % cells * 2;
            match memory.get(at..at + 2) {
                Some(&[code, attribute]) => Cell { code, attribute },
                _ => Cell::default(),
            }
        };
        let rows = (0..ROWS).map(|row| std::array::from_fn(|column| cell(row * COLUMNS + column))).collect();
        let cursor = cursor.map(|cell| usize::from(cell.wrapping_sub(start))).filter(|place| *place < ROWS * COLUMNS);
        let cursor = cursor.map(|place| (place / COLUMNS, place % COLUMNS));
        Self { rows, cursor }
    }

    /// The rows from the top.
    pub fn rows(&self) -> &[[Cell; COLUMNS]] {
        &self.rows
    }

    /// Row and column of the cursor, when it is shown.
    pub fn cursor(&self) -> Option<(usize, usize)> {
        self.cursor
    }

    /// The text alone: a line for each row up to the last that is not blank, without blanks at the ends of lines.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let line: String = row.iter().map(|cell| cell.character()).collect();
            text += line.trim_end();
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// How many rows it takes to show all that is not blank, and the cursor.
    pub fn rows_in_use(&self) -> usize {
        let written = self.rows.iter().rposition(|row| row.iter().any(|cell| cell.character() != ' '));
        written.max(self.cursor.map(|(row, _)| row)).map_or(0, |row| row + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn memory(text: &[(usize, &[u8])]) -> Vec<u8> {
        let mut memory = vec![0; TEXT_MEMORY_SIZE];
        for (cell, bytes) in text {
            for (at, byte) in bytes.iter().enumerate() {
                memory[(cell + at) * 2] = *byte;
                memory[(cell + at) * 2 + 1] = 0x07;
            }
        }
        memory
    }

    #[test]
    fn text_ends_where_the_blanks_begin() {
        let memory = memory(&[(0, b"  hello  "), (160, b"\xc4\x01 x \xff")]);
        assert_eq!(Frame::new(&memory, 0, None).text(), "  hello\n\n─☺ x\n");
        assert_eq!(Frame::blank().text(), "");
    }

    #[test]
    fn the_start_address_scrolls_and_wraps() {
        let memory = memory(&[(0, b"first"), (80, b"second"), (TEXT_MEMORY_SIZE / 2 - 80, b"last")]);
        assert_eq!(Frame::new(&memory, 80, Some(81)).text(), "second\n");
        assert_eq!(Frame::new(&memory, 80, Some(81)).cursor(), Some((0, 1)));
        assert_eq!(Frame::new(&memory, 80, Some(79)).cursor(), None);
        let last = u16::try_from(TEXT_MEMORY_SIZE / 2 - 80).unwrap();
        assert_eq!(Frame::new(&memory, last, None).text(), "last\nfirst\nsecond\n");
    }

    #[test]
    fn an_attribute_is_two_colours_and_blinking() {
        let cell = Cell { code: b'x', attribute: 0x9e };
        assert_eq!((cell.foreground(), cell.background(), cell.blinks()), (14, 1, true));
    }

    proptest! {
        #[test]
        fn any_memory_is_a_frame(bytes in prop::collection::vec(any::<u8>(), 1..64), start: u16, cursor: u16) {
            let mut memory = vec![0; TEXT_MEMORY_SIZE];
            memory.iter_mut().zip(bytes.iter().cycle()).for_each(|(to, from)| *to = *from);
            let frame = Frame::new(&memory, start, Some(cursor));
            prop_assert!(frame.rows_in_use() <= ROWS);
            prop_assert!(frame.text().lines().count() <= ROWS);
        }
    }
}
