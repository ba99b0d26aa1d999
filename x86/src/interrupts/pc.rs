//! What the IBM PC and its successors have behind interrupts: devices on the lines of the 8259s, services of the BIOS on `int`
//! (IBM PC AT Technical Reference, sections 1 and 5).

/// The device whose interrupt an IRQ, 0 to 15, is.
pub const fn device_of(irq: u32) -> Option<&'static str> {
    Some(match irq {
        0 => "timer",
        1 => "keyboard",
        3 => "COM2",
        4 => "COM1",
        5 => "LPT2",
        6 => "floppy disk",
        7 => "LPT1, or a spurious one",
        8 => "real-time clock",
        12 => "PS/2 mouse",
        13 => "x87 FPU",
        14 | 15 => "ATA disk",
        _ => return None,
    })
}

/// What `int` with this vector asks of a BIOS in real mode, or of DOS.
pub const fn real_mode_service(vector: u32) -> Option<&'static str> {
    Some(match vector {
        0x10 => "a BIOS call (screen)",
        0x11 => "a BIOS call (equipment)",
        0x12 => "a BIOS call (memory size)",
        0x13 => "a BIOS call (disk)",
        0x14 => "a BIOS call (serial port)",
        0x15 => "a BIOS call (memory map and more)",
        0x16 => "a BIOS call (keyboard)",
        0x17 => "a BIOS call (printer)",
        0x18 | 0x19 => "a BIOS call (boot)",
        0x1a => "a BIOS call (clock)",
        0x20 | 0x21 => "a DOS call",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_lines_are_those_of_the_pc() {
        assert_eq!((device_of(0), device_of(2), device_of(8)), (Some("timer"), None, Some("real-time clock")));
        assert_eq!(real_mode_service(0x13), Some("a BIOS call (disk)"));
        assert_eq!((real_mode_service(0x80), real_mode_service(3)), (None, None));
    }
}
