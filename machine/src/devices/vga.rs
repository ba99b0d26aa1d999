//! The registers of a VGA in text mode. Its text lies in guest memory; what the registers say about it, `screen` draws.

use stos_x86::{bios_data, ports};

/// Attribute controller: index and data in turn when written.
const ATTRIBUTE: u16 = 0x3c0;
/// Attribute controller: data when read.
const ATTRIBUTE_DATA: u16 = 0x3c1;
/// Miscellaneous output when written.
const MISCELLANEOUS_WRITE: u16 = 0x3c2;
/// Sequencer index; its data follows.
const SEQUENCER: u16 = 0x3c4;
/// Mask of palette bits.
const PALETTE_MASK: u16 = 0x3c6;
/// Miscellaneous output when read.
const MISCELLANEOUS_READ: u16 = 0x3cc;
/// Graphics controller index; its data follows.
const GRAPHICS: u16 = 0x3ce;
/// Input status 1: retrace.
const INPUT_STATUS: u16 = 0x3da;

/// Input status bit 3, vertical retrace, and bit 0, no pixels are drawn.
const RETRACE: u8 = 0x09;
/// Colour adapter, its memory is enabled, 28 MHz, 400 lines.
const MISCELLANEOUS_TEXT: u8 = 0x67;
/// Attribute index bits that select a register.
const ATTRIBUTE_BITS: u8 = 0x1f;

/// CRTC register 0x0A: first line of the cursor; bit 5 hides it.
const CURSOR_START: usize = 0x0a;
/// Cursor start bit 5: no cursor.
const CURSOR_OFF: u8 = 1 << 5;
/// CRTC registers 0x0C and 0x0D: the cell that is shown first, high byte and low byte.
pub const START_ADDRESS: usize = 0x0c;
/// CRTC registers 0x0E and 0x0F: the cell that the cursor is in.
pub const CURSOR_LOCATION: usize = 0x0e;

/// The CRTC's registers in mode 3, 80 columns of 25 rows (as firmware leaves them; IBM's VGA manual, table of modes).
const CRTC_TEXT: [u8; 25] = [
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f,
    0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];
/// Graphics controller register 6, miscellaneous: which memory is shown, and how.
const GRAPHICS_MISCELLANEOUS: usize = 6;
/// Its bit 0: pixels, not text.
const GRAPHICS_MODE: u8 = 1 << 0;

/// The sequencer's registers in mode 3.
const SEQUENCER_TEXT: [u8; 5] = [0x03, 0x00, 0x03, 0x00, 0x02];
/// The graphics controller's registers in mode 3.
const GRAPHICS_TEXT: [u8; 9] = [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff];
/// The attribute controller's registers in mode 3.
const ATTRIBUTE_TEXT: [u8; 21] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f,
    0x08, 0x00,
];

/// Registers behind an index port and a data port. Those that do not exist read 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Indexed<const N: usize> {
    index: u8,
    registers: [u8; N],
}

impl<const N: usize> Indexed<N> {
    fn new(registers: [u8; N]) -> Self {
        Self { index: 0, registers }
    }

    fn data(&self) -> u8 {
        self.registers.get(usize::from(self.index)).copied().unwrap_or(0)
    }

    fn set_data(&mut self, value: u8) {
        if let Some(register) = self.registers.get_mut(usize::from(self.index)) {
            *register = value;
        }
    }
}

/// The registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    crtc: Indexed<25>,
    sequencer: Indexed<5>,
    graphics: Indexed<9>,
    attribute: Indexed<21>,
    /// The next write to the attribute controller is data.
    attribute_data_next: bool,
    miscellaneous: u8,
    palette_mask: u8,
    retrace: u8,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            crtc: Indexed::new(CRTC_TEXT),
            sequencer: Indexed::new(SEQUENCER_TEXT),
            graphics: Indexed::new(GRAPHICS_TEXT),
            attribute: Indexed::new(ATTRIBUTE_TEXT),
            attribute_data_next: false,
            miscellaneous: MISCELLANEOUS_TEXT,
            palette_mask: 0xff,
            retrace: 0,
        }
    }
}

impl Registers {
    /// Reads `port`; 0 where nothing can be read, such as the palette.
    pub fn read(&mut self, port: u16) -> u8 {
        match port {
            ATTRIBUTE => self.attribute.index,
            ATTRIBUTE_DATA => self.attribute.data(),
            SEQUENCER => self.sequencer.index,
            port if port == SEQUENCER + 1 => self.sequencer.data(),
            PALETTE_MASK => self.palette_mask,
            MISCELLANEOUS_READ => self.miscellaneous,
            GRAPHICS => self.graphics.index,
            port if port == GRAPHICS + 1 => self.graphics.data(),
            ports::CRTC_INDEX => self.crtc.index,
            port if port == ports::CRTC_INDEX + 1 => self.crtc.data(),
            INPUT_STATUS => {
                self.attribute_data_next = false;
                // Each read finds the other state, so that a guest waits for neither.
                self.retrace ^= RETRACE;
                self.retrace
            }
            _ => 0,
        }
    }

    /// Writes `port`.
    pub fn write(&mut self, port: u16, value: u8) {
        match port {
            ATTRIBUTE => {
                if self.attribute_data_next {
                    self.attribute.set_data(value);
                } else {
                    self.attribute.index = value & ATTRIBUTE_BITS;
                }
                self.attribute_data_next = !self.attribute_data_next;
            }
            MISCELLANEOUS_WRITE => self.miscellaneous = value,
            SEQUENCER => self.sequencer.index = value,
            port if port == SEQUENCER + 1 => self.sequencer.set_data(value),
            PALETTE_MASK => self.palette_mask = value,
            GRAPHICS => self.graphics.index = value,
            port if port == GRAPHICS + 1 => self.graphics.set_data(value),
            ports::CRTC_INDEX => self.crtc.index = value,
            port if port == ports::CRTC_INDEX + 1 => self.crtc.set_data(value),
            _ => {}
        }
    }

    /// The guest has set a mode of pixels.
    pub fn is_graphics(&self) -> bool {
        self.graphics.registers[GRAPHICS_MISCELLANEOUS] & GRAPHICS_MODE != 0
    }

    fn pair(&self, high: usize) -> u16 {
        let byte = |index: usize| self.crtc.registers.get(index).copied().unwrap_or(0);
        u16::from_be_bytes([byte(high), byte(high + 1)])
    }
}

impl Registers {
    /// The registers as firmware leaves them: in mode 3, with the cursor in the cell that the BIOS data area names in guest memory, of
    /// which `read` gives a byte. Without such an area, it is in the first one.
    pub fn of_firmware(read: impl Fn(u32) -> Option<u8>) -> Self {
        let cursor = bios_data::cursor(read).unwrap_or(0);
        let mut registers = Self::default();
        registers.crtc.registers[CURSOR_LOCATION..CURSOR_LOCATION + 2].copy_from_slice(&cursor.to_be_bytes());
        registers
    }

    /// The cell of the text memory that is shown first.
    pub fn start(&self) -> u16 {
        self.pair(START_ADDRESS)
    }

    /// The cell of the text memory that the cursor is in; `None` while it is hidden.
    pub fn cursor(&self) -> Option<u16> {
        let is_hidden = self.crtc.registers.get(CURSOR_START).is_some_and(|start| start & CURSOR_OFF != 0);
        (!is_hidden).then(|| self.pair(CURSOR_LOCATION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set_crtc(vga: &mut Registers, index: u8, value: u8) {
        vga.write(ports::CRTC_INDEX, index);
        vga.write(ports::CRTC_INDEX + 1, value);
    }

    #[test]
    fn the_cursor_is_where_it_was_put_and_can_be_read_back() {
        let mut vga = Registers::default();
        assert_eq!((vga.start(), vga.cursor()), (0, Some(0)));
        set_crtc(&mut vga, 0x0e, 0x01);
        set_crtc(&mut vga, 0x0f, 0x42);
        assert_eq!(vga.cursor(), Some(0x142));
        vga.write(ports::CRTC_INDEX, 0x0e);
        assert_eq!(vga.read(ports::CRTC_INDEX + 1), 0x01);
        set_crtc(&mut vga, 0x0a, 0x20);
        assert_eq!(vga.cursor(), None);
        set_crtc(&mut vga, 0x0d, 80);
        assert_eq!(vga.start(), 80);
    }

    #[test]
    fn the_cursor_begins_where_firmware_says_that_it_is() {
        let memory = [bios_data::vectors(), bios_data::data_area(0x9_fc00)].concat();
        let vga = Registers::of_firmware(|address| memory.get(address as usize).copied());
        assert_eq!(vga.cursor(), Some(160));
        assert_eq!(Registers::of_firmware(|_| Some(0)).cursor(), Some(0));
    }

    #[test]
    fn waiting_for_a_retrace_ends_either_way() {
        let mut registers = Registers::default();
        let states = [0; 4].map(|_| registers.read(INPUT_STATUS) & 8);
        assert_eq!(states, [8, 0, 8, 0]);
    }

    #[test]
    fn the_attribute_controller_takes_index_and_data_in_turn() {
        let mut registers = Registers::default();
        registers.write(ATTRIBUTE, 0x11);
        registers.write(ATTRIBUTE, 0x2a);
        registers.write(ATTRIBUTE, 0x31);
        assert_eq!(registers.read(ATTRIBUTE_DATA), 0x2a);
        // Reading the status makes the next write an index again.
        registers.read(INPUT_STATUS);
        registers.write(ATTRIBUTE, 0x10);
        assert_eq!(registers.read(ATTRIBUTE_DATA), 0x0c);
    }

    proptest! {
        #[test]
        fn nothing_that_a_guest_writes_does_harm(
            accesses in prop::collection::vec((ports::VGA..=ports::VGA_LAST, prop::option::of(any::<u8>())), 0..300)
        ) {
            let mut vga = Registers::default();
            for (port, value) in accesses {
                match value {
                    Some(value) => vga.write(port, value),
                    None => _ = vga.read(port),
                }
            }
            vga.cursor();
        }
    }
}
