//! The screen as a PNG file.

use std::io::{self, Write};

use ibm437::{CHARS_PER_ROW, IBM437_9X14_REGULAR_DATA, char_offset_impl};

use crate::file::Output;

use super::{COLUMNS, Cell, Frame, ROWS};

/// Pixels of a character, and so of the font's.
const CELL_WIDTH: usize = 9;
const CELL_HEIGHT: usize = 14;
const WIDTH: usize = COLUMNS * CELL_WIDTH;
const HEIGHT: usize = ROWS * CELL_HEIGHT;

/// Red, green and blue of the 16 colours, as a display adapter sets them up in text mode.
const PALETTE: [u8; 48] = [
    0x00, 0x00, 0x00, 0x00, 0x00, 0xaa, 0x00, 0xaa, 0x00, 0x00, 0xaa, 0xaa, 0xaa, 0x00, 0x00, 0xaa, 0x00, 0xaa, 0xaa,
    0x55, 0x00, 0xaa, 0xaa, 0xaa, 0x55, 0x55, 0x55, 0x55, 0x55, 0xff, 0x55, 0xff, 0x55, 0x55, 0xff, 0xff, 0xff, 0x55,
    0x55, 0xff, 0x55, 0xff, 0xff, 0xff, 0x55, 0xff, 0xff, 0xff,
];

/// Draws `frame`, without its cursor, into `file`.
///
/// # Errors
/// Those of writing the file.
pub fn write_png(frame: &Frame, file: Output) -> io::Result<()> {
    // Drawn before it is written: the encoder hides the system's reasons.
    let mut picture = Vec::new();
    encode(frame, &mut picture)?;
    file.write(|file| file.write_all(&picture))
}

fn encode(frame: &Frame, file: impl Write) -> io::Result<()> {
    let size = |pixels: usize| u32::try_from(pixels).map_err(io::Error::other);
    let mut encoder = png::Encoder::new(file, size(WIDTH)?, size(HEIGHT)?);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(&PALETTE[..]);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels(frame))?;
    Ok(writer.finish()?)
}

/// A palette index for each pixel, row by row.
fn pixels(frame: &Frame) -> Vec<u8> {
    let lines = frame.rows().iter().flat_map(|row| (0..CELL_HEIGHT).map(move |line| (row, line)));
    lines.flat_map(|(row, line)| row.iter().flat_map(move |cell| cell_pixels(*cell, line))).collect()
}

/// The pixels of one line of a cell.
fn cell_pixels(cell: Cell, line: usize) -> impl Iterator<Item = u8> {
    (0..CELL_WIDTH).map(move |column| if is_set(cell, line, column) { cell.foreground() } else { cell.background() })
}

/// The font is one picture with a bit for each pixel, in which the characters stand in rows, in an order of their own.
fn is_set(cell: Cell, line: usize, column: usize) -> bool {
    let number = char_offset_impl(cell.character());
    let (row, place) = (number / CHARS_PER_ROW, number % CHARS_PER_ROW);
    let bit = (row * CELL_HEIGHT + line) * CHARS_PER_ROW * CELL_WIDTH + place * CELL_WIDTH + column;
    IBM437_9X14_REGULAR_DATA.get(bit / 8).is_some_and(|byte| byte << (bit % 8) & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::TEXT_MEMORY_SIZE;

    #[test]
    fn the_font_has_every_character() {
        assert_eq!(IBM437_9X14_REGULAR_DATA.len() * 8, 256 * CELL_WIDTH * CELL_HEIGHT);
        let pixels = |code: u8| {
            let all = (0..CELL_HEIGHT).flat_map(|line| (0..CELL_WIDTH).map(move |column| (line, column)));
            all.filter(|&(line, column)| is_set(Cell { code, attribute: 0 }, line, column)).count()
        };
        for code in 0..=u8::MAX {
            assert_eq!(pixels(code) == 0, matches!(code, 0x00 | 0x20 | 0xff), "{code:#x}");
            // The font's answer to characters that it lacks.
            let is_lacking = char_offset_impl(Cell { code, attribute: 0 }.character()) == usize::from(b'?');
            assert_eq!(is_lacking, code == b'?', "{code:#x}");
        }
        assert_eq!(pixels(0xdb), CELL_WIDTH * CELL_HEIGHT);
    }

    #[test]
    fn a_picture_can_be_read_back() {
        let mut memory = vec![0; TEXT_MEMORY_SIZE];
        // A full block, yellow on blue, in the second cell.
        (memory[2], memory[3]) = (0xdb, 0x1e);
        let mut file = Vec::new();
        encode(&Frame::new(&memory, 0, None), &mut file).unwrap();
        let mut decoder = png::Decoder::new(io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (720, 350));
        assert_eq!(&pixels[8 * 3..10 * 3], [0, 0, 0, 0xff, 0xff, 0x55]);
    }
}
