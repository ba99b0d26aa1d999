//! What a PC's firmware leaves in the first bytes of memory: the interrupt vectors of real mode, and behind them the BIOS data
//! area. (IBM PS/2 and PC BIOS Interface Technical Reference, 1988, section 3, "BIOS Data Area"; the values are those that `SeaBIOS`
//! and GRUB 2.06 were seen to leave, less the devices that are not there.)

/// First byte of the data area: what lies before it are the vectors.
pub const DATA_AREA: u32 = 0x400;
/// First byte after the data area.
pub const END: u32 = 0x500;

/// Vectors of real mode.
const VECTORS: usize = 256;
/// Where all of them lead: an IRET in bytes of the data area that are the programs' to use. As words of an instruction, the
/// vectors are then `lock add al, 0`, which no CPU takes, so that a jump to 0 ends where it begins.
const HANDLER: u32 = 0x4f0;
const IRET: u8 = 0xcf;

/// u16: first port of COM1.
const COM1: u32 = 0x400;
/// u16: segment of the extended BIOS data area.
const EXTENDED_DATA_AREA: u32 = 0x40e;
/// u16: what the machine has.
const EQUIPMENT: u32 = 0x410;
/// Bit 1, an FPU; bit 2, a PS/2 mouse; bits 4 and 5, 80 columns in colour; bits 9 to 11, one serial port.
const EQUIPMENT_OF_OURS: u16 = 1 << 1 | 1 << 2 | 2 << 4 | 1 << 9;
/// u16: KiB of memory from 0 up to the extended data area.
const BASE_MEMORY: u32 = 0x413;
/// u16 each: where the next key is taken from the keyboard buffer and where it is put, as offsets in the data area.
const KEYBOARD_HEAD: u32 = 0x41a;
const KEYBOARD_TAIL: u32 = 0x41c;
/// u8: the video mode.
const VIDEO_MODE: u32 = 0x449;
/// Text of 80 columns in 16 colours.
const MODE_3: u8 = 3;
/// u16: columns of the screen.
const COLUMNS: u32 = 0x44a;
const COLUMNS_OF_MODE_3: u16 = 80;
/// u16: bytes of a screen's page.
const PAGE_SIZE: u32 = 0x44c;
/// u8 each: column and row of the cursor.
const CURSOR_COLUMN: u32 = 0x450;
const CURSOR_ROW: u32 = 0x451;
/// The row that GRUB leaves the cursor in, below the line that says what it boots.
const FIRST_FREE_ROW: u8 = 2;
/// u16: last and first line of the cursor, in a cell of 8 lines.
const CURSOR_SHAPE: u32 = 0x460;
/// u16: index port of the display's controller.
const CRTC: u32 = 0x463;
const CRTC_PORT: u16 = 0x3d4;
/// u16 each: where the keyboard buffer begins and ends, as offsets in the data area.
const KEYBOARD_START: u32 = 0x480;
const KEYBOARD_END: u32 = 0x482;
const KEYBOARD_BUFFER: (u16, u16) = (0x1e, 0x3e);
/// u8: rows of the screen less one.
const LAST_ROW: u32 = 0x484;
const LAST_ROW_OF_MODE_3: u8 = 24;
/// u16: lines of a character.
const CHARACTER_HEIGHT: u32 = 0x485;
/// u8: the keyboard's sort.
const KEYBOARD_SORT: u32 = 0x496;
/// Bit 4: it has 101 keys or more.
const KEYBOARD_101: u8 = 1 << 4;

/// The vectors, from address 0 on: each leads to an IRET.
pub fn vectors() -> Vec<u8> {
    // Offset and segment; segment 0.
    HANDLER.to_le_bytes().repeat(VECTORS)
}

/// The data area, from [`DATA_AREA`] on, of a PC whose extended data area lies at `extended`, with COM1 and a text screen.
pub fn data_area(extended: u32) -> Vec<u8> {
    let mut area = vec![0; (END - DATA_AREA) as usize];
    let mut put = |address: u32, bytes: &[u8]| {
        let start = (address - DATA_AREA) as usize;
        area[start..start + bytes.len()].copy_from_slice(bytes);
    };
    let [segment, kib] = [16, 1024].map(|unit| u16::try_from(extended / unit).unwrap_or(u16::MAX));
    let (start, end) = KEYBOARD_BUFFER;
    for (address, value) in [
        (COM1, crate::ports::COM1),
        (EXTENDED_DATA_AREA, segment),
        (EQUIPMENT, EQUIPMENT_OF_OURS),
        (BASE_MEMORY, kib),
        (KEYBOARD_HEAD, start),
        (KEYBOARD_TAIL, start),
        (COLUMNS, COLUMNS_OF_MODE_3),
        (PAGE_SIZE, 0x1000),
        (CURSOR_SHAPE, 0x0607),
        (CRTC, CRTC_PORT),
        (KEYBOARD_START, start),
        (KEYBOARD_END, end),
        (CHARACTER_HEIGHT, 16),
    ] {
        put(address, &value.to_le_bytes());
    }
    for (address, value) in [
        (VIDEO_MODE, MODE_3),
        (CURSOR_ROW, FIRST_FREE_ROW),
        (LAST_ROW, LAST_ROW_OF_MODE_3),
        (KEYBOARD_SORT, KEYBOARD_101),
        (HANDLER, IRET),
    ] {
        put(address, &[value]);
    }
    area
}

/// The cell of the text screen that the cursor is in, when memory holds the data area of a PC in mode 3. `read` gives a byte of
/// memory.
pub fn cursor(read: impl Fn(u32) -> Option<u8>) -> Option<u16> {
    let word = |address: u32| Some(u16::from_le_bytes([read(address)?, read(address + 1)?]));
    let is_mode_3 = read(VIDEO_MODE)? == MODE_3 && word(COLUMNS)? == COLUMNS_OF_MODE_3 && word(CRTC)? == CRTC_PORT;
    let (column, row) = (u16::from(read(CURSOR_COLUMN)?), read(CURSOR_ROW)?);
    let is_shown = column < COLUMNS_OF_MODE_3 && row <= LAST_ROW_OF_MODE_3;
    (is_mode_3 && is_shown).then(|| u16::from(row) * COLUMNS_OF_MODE_3 + column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Vec<u8> {
        [vectors(), data_area(0x9_fc00)].concat()
    }

    #[test]
    fn every_vector_leads_to_an_iret() {
        let memory = memory();
        assert_eq!(memory.len(), END as usize);
        for vector in memory[..DATA_AREA as usize].chunks_exact(4) {
            let [offset, segment] = [[vector[0], vector[1]], [vector[2], vector[3]]].map(u16::from_le_bytes);
            assert_eq!(memory[usize::from(segment) * 16 + usize::from(offset)], IRET);
        }
    }

    #[test]
    fn the_cursor_is_found_where_a_data_area_is_and_nowhere_else() {
        let of = |memory: &[u8]| cursor(|address| memory.get(address as usize).copied());
        let mut memory = memory();
        assert_eq!(of(&memory), Some(160));
        memory[0x450] = 79;
        assert_eq!(of(&memory), Some(239));
        memory[0x451] = 25;
        assert_eq!(of(&memory), None);
        assert_eq!((of(&[0; END as usize]), of(&[])), (None, None));
    }
}
