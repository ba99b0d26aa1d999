//! The I/O APIC (Intel 82093AA's data sheet, order number 290566): 24 inputs, each with an entry that says where it leads.

use super::local_apic::LocalApic;

/// How many inputs there are.
pub const INPUTS: usize = 24;
/// Version 0x11, and the number of the last input.
const VERSION: u32 = 0x17_0011;
const MASKED: u64 = 1 << 16;
const LEVEL: u64 = 1 << 15;
/// The processor has not ended this interrupt yet.
const REMOTE: u64 = 1 << 14;
/// Bits that can be written; delivery status and remote IRR cannot.
const WRITABLE: u64 = 0xff00_0000_0001_afff;

/// The chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoApic {
    selected: u8,
    id: u32,
    lines: u32,
    table: [u64; INPUTS],
}

impl Default for IoApic {
    fn default() -> Self {
        Self { selected: 0, id: 0, lines: 0, table: [MASKED; INPUTS] }
    }
}

impl IoApic {
    /// Reads at an offset into its page: which register is selected, or that register.
    pub fn read(&self, offset: u32) -> u32 {
        match (offset & 0xff, self.selected) {
            (0x00, selected) => selected.into(),
            (0x10, 0 | 2) => self.id,
            (0x10, 1) => VERSION,
            (0x10, selected @ 0x10..0x40) => {
                let entry = self.table[usize::from(selected - 0x10) / 2];
                (entry >> (32 * u32::from(selected & 1))) as u32
            }
            _ => 0,
        }
    }

    /// Writes there; what becomes of it goes to the processor.
    pub fn write(&mut self, offset: u32, value: u32, processor: &mut LocalApic) {
        match (offset & 0xff, self.selected) {
            (0x00, _) => self.selected = (value & 0xff) as u8,
            (0x10, 0) => self.id = value & 0x0f00_0000,
            (0x10, selected @ 0x10..0x40) => {
                let number = usize::from(selected - 0x10) / 2;
                let shift = 32 * u32::from(selected & 1);
                let writable = WRITABLE & 0xffff_ffff << shift;
                let entry = &mut self.table[number];
                *entry = *entry & !writable | u64::from(value) << shift & writable;
                if *entry & LEVEL == 0 {
                    *entry &= !REMOTE;
                }
                self.ask_again(number, processor);
            }
            _ => {}
        }
    }

    /// Sets the level of an input.
    pub fn set_line(&mut self, input: usize, is_high: bool, processor: &mut LocalApic) {
        let bit = 1 << input;
        let was_high = self.lines & bit != 0;
        self.lines = if is_high { self.lines | bit } else { self.lines & !bit };
        let Some(entry) = self.table.get(input).copied() else { return };
        if is_high && entry & LEVEL != 0 {
            self.ask_again(input, processor);
        } else if is_high && !was_high && entry & MASKED == 0 {
            deliver(entry, processor);
        }
    }

    /// An input that asks by level asks as long as it is high and nobody serves it.
    fn ask_again(&mut self, input: usize, processor: &mut LocalApic) {
        let entry = self.table[input];
        if entry & (LEVEL | MASKED | REMOTE) == LEVEL && self.lines & 1 << input != 0 && deliver(entry, processor) {
            self.table[input] |= REMOTE;
        }
    }

    /// The processor has ended the interrupt with this vector, which asked by level.
    pub fn end(&mut self, vector: u8, processor: &mut LocalApic) {
        for input in 0..INPUTS {
            if self.table[input] & (LEVEL | REMOTE) == LEVEL | REMOTE && self.table[input] & 0xff == vector.into() {
                self.table[input] &= !REMOTE;
                self.ask_again(input, processor);
            }
        }
    }

    /// True when an input is not masked.
    pub fn has_open_input(&self) -> bool {
        self.table.iter().any(|entry| entry & MASKED == 0)
    }
}

/// Sends what an entry says; true when the processor is meant.
fn deliver(entry: u64, processor: &mut LocalApic) -> bool {
    let is_meant = processor.is_for((entry >> 56) as u8, entry & 1 << 11 != 0) && entry & 0x600 == 0;
    if is_meant {
        processor.accept((entry & 0xff) as u8, entry & LEVEL != 0);
    }
    is_meant
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled() -> (IoApic, LocalApic) {
        let mut processor = LocalApic::default();
        processor.write(0xf0, 0x1ff, 0);
        (IoApic::default(), processor)
    }

    fn set_entry(chip: &mut IoApic, processor: &mut LocalApic, input: u32, entry: u32) {
        chip.write(0x00, 0x10 + 2 * input, processor);
        chip.write(0x10, entry, processor);
    }

    #[test]
    fn an_edge_is_delivered_once() {
        let (mut chip, mut processor) = enabled();
        chip.set_line(1, true, &mut processor);
        assert_eq!(processor.pending(), None, "masked after reset");
        chip.set_line(1, false, &mut processor);
        set_entry(&mut chip, &mut processor, 1, 0x31);
        chip.set_line(1, true, &mut processor);
        chip.set_line(1, true, &mut processor);
        assert_eq!((processor.acknowledge(), processor.pending()), (Some(0x31), None));
    }

    #[test]
    fn a_level_is_delivered_again_after_its_end() {
        let (mut chip, mut processor) = enabled();
        set_entry(&mut chip, &mut processor, 11, 0x805b);
        chip.set_line(11, true, &mut processor);
        assert_eq!(processor.acknowledge(), Some(0x5b));
        chip.write(0x00, 0x10 + 22, &mut processor);
        assert_eq!(chip.read(0x10), 0xc05b, "remote IRR");
        assert_eq!(processor.pending(), None);
        assert!(processor.write(0xb0, 0, 0).is_some());
        chip.end(0x5b, &mut processor);
        assert_eq!(processor.acknowledge(), Some(0x5b));
        chip.set_line(11, false, &mut processor);
        processor.write(0xb0, 0, 0);
        chip.end(0x5b, &mut processor);
        assert_eq!(processor.pending(), None);
    }

    #[test]
    fn registers_read_as_they_were_written() {
        let (mut chip, mut processor) = enabled();
        chip.write(0x00, 1, &mut processor);
        assert_eq!(chip.read(0x10), VERSION);
        chip.write(0x00, 0x11, &mut processor);
        chip.write(0x10, u32::MAX, &mut processor);
        assert_eq!(chip.read(0x10), 0xff00_0000);
    }
}
