//! What a guest draws that the screen does not show.

use super::{COLUMNS, Frame, ROWS, is_same};
use crate::channel::TEXT_MEMORY_SIZE;

/// Guest-physical address of a VGA's memory in graphics modes.
pub const GRAPHICS_MEMORY: u64 = 0xa_0000;
/// Its size in bytes.
pub(super) const GRAPHICS_MEMORY_SIZE: usize = 0x1_0000;

/// Bytes of a row of cells.
const ROW_SIZE: usize = COLUMNS * 2;

/// What a guest has drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Something is shown.
    pub is_shown: bool,
    /// It has written to [`GRAPHICS_MEMORY`].
    pub in_graphics_memory: bool,
    /// Text that is not shown.
    pub unshown: Option<UnshownRows>,
}

/// Rows of text below the last that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnshownRows {
    /// The first, counted from 1 at the beginning of the text memory.
    pub first: usize,
    /// The last.
    pub last: usize,
    /// Its text.
    pub text: String,
}

impl UnshownRows {
    /// Those of the text memory `now` that differ from it `at_entry` and are not blank.
    pub(super) fn of(now: &[u8], at_entry: &[u8]) -> Option<Self> {
        let rows = (ROWS..TEXT_MEMORY_SIZE / ROW_SIZE).filter_map(|row| {
            let place = row * ROW_SIZE..(row + 1) * ROW_SIZE;
            let has_changed = !is_same(now.get(place.clone())?, at_entry.get(place).unwrap_or_default());
            let start = u16::try_from(row * COLUMNS).ok()?;
            let text = has_changed.then(|| Frame::new(now, start, None).text())?;
            let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty())?;
            Some((row + 1, line.to_owned()))
        });
        let rows: Vec<(usize, String)> = rows.collect();
        let ((first, _), (last, text)) = (rows.first()?, rows.last()?);
        Some(Self { first: *first, last: *last, text: text.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_text(rows: &[(usize, &str)]) -> Vec<u8> {
        let mut memory = vec![0; TEXT_MEMORY_SIZE];
        for (row, text) in rows {
            for (column, byte) in text.bytes().enumerate() {
                memory[row * ROW_SIZE + column * 2] = byte;
            }
        }
        memory
    }

    #[test]
    fn only_what_was_written_below_the_last_row_is_unshown() {
        let blank = vec![0; TEXT_MEMORY_SIZE];
        assert_eq!(UnshownRows::of(&with_text(&[(0, "first"), (ROWS - 1, "last")]), &blank), None);
        let below = with_text(&[(ROWS, "a"), (ROWS + 1, "   "), (40, "panic: no init")]);
        let found = UnshownRows::of(&below, &blank).unwrap();
        assert_eq!((found.first, found.last, &*found.text), (ROWS + 1, 41, "panic: no init"));
        assert_eq!(UnshownRows::of(&below, &below), None, "it was there before");
        assert_eq!(UnshownRows::of(&with_text(&[(ROWS, "    ")]), &blank), None, "blank");
    }
}
