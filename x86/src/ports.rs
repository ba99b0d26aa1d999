//! The I/O ports of the machine that a guest finds: a PC's, and some that tell its runner something.

use std::ops::RangeInclusive;

/// What a read finds where nothing answers.
pub const FLOATING: u8 = 0xff;

/// Command port of the first interrupt controller, an 8259; its mask is one above.
pub const PIC1: u16 = 0x20;
/// Command port of the second interrupt controller; its mask is one above.
pub const PIC2: u16 = 0xa0;
/// Which interrupts of the two controllers are level-triggered, a port for each.
pub const ELCR: RangeInclusive<u16> = 0x4d0..=0x4d1;
/// The timer, an 8254: three counters and the control word.
pub const PIT: RangeInclusive<u16> = 0x40..=0x43;
/// System control port B: gate and output of the timer's counter 2, and the speaker.
pub const SYSTEM_CONTROL_B: u16 = 0x61;
/// Data port of the keyboard controller, an 8042.
pub const KEYBOARD_DATA: u16 = 0x60;
/// Command and status port of the keyboard controller.
pub const KEYBOARD_COMMAND: u16 = 0x64;
/// Index port of the clock and its CMOS memory, an MC146818A.
pub const RTC_INDEX: u16 = 0x70;
/// Data port of the clock.
pub const RTC_DATA: u16 = 0x71;
/// Firmware writes to this port how far it has come; what reads it finds nothing.
pub const POST_CODE: u16 = 0x80;
/// System control port A of the PS/2: reset and address line 20.
pub const SYSTEM_CONTROL_A: u16 = 0x92;
/// Bit 1 of that: address line 20 is enabled. It always is, whatever is written.
pub const SYSTEM_A20: u8 = 1 << 1;
/// The debug console of Bochs and QEMU: a byte written appears, and reading gives the port's number.
pub const DEBUG_CONSOLE: u16 = 0xe9;
/// Where a guest reports a status and ends, unless its manifest names another port (QEMU's isa-debug-exit).
pub const EXIT: u16 = 0xf4;
/// Ports that the exit device takes, from its first on.
pub const EXIT_COUNT: u16 = 4;
/// Registers of the first ATA channel.
pub const ATA_PRIMARY: RangeInclusive<u16> = 0x1f0..=0x1f7;
/// Control port of the first ATA channel.
pub const ATA_PRIMARY_CONTROL: u16 = 0x3f6;
/// Registers of the second ATA channel.
pub const ATA_SECONDARY: RangeInclusive<u16> = 0x170..=0x177;
/// Control port of the second ATA channel.
pub const ATA_SECONDARY_CONTROL: u16 = 0x376;
/// The first register of a VGA.
pub const VGA: u16 = 0x3c0;
/// Index port of a VGA's CRTC, which knows where the screen and the cursor are; its data port is one above.
pub const CRTC_INDEX: u16 = 0x3d4;
/// The last register of a VGA.
pub const VGA_LAST: u16 = 0x3df;
/// The first register of the first serial port, a 16550A.
pub const COM1: u16 = 0x3f8;
/// Its last register.
pub const COM1_LAST: u16 = 0x3ff;
/// The pvpanic device (QEMU docs/specs/pvpanic).
pub const PVPANIC: u16 = 0x505;
/// Where an image's fault catcher tells that its record is complete.
pub const FAULT_CATCHER: u16 = 0x5f4;
/// Where a host bridge would have the address of a PCI configuration register. There is none.
pub const PCI_ADDRESS: u16 = 0xcf8;
/// Where it would have the register itself.
pub const PCI_DATA: u16 = 0xcfc;

/// Ports that shut other virtual machines down: QEMU's, Bochs's and older QEMU's, `VirtualBox`'s. There is none here.
pub const SHUT_DOWN: [u16; 3] = [0x604, 0xb004, 0x4004];

/// A device and its ports.
pub type Device = (&'static str, &'static [RangeInclusive<u16>]);

/// Every port of the machine, a row for each device, in the order in which docs/machine.md lists them.
pub const TABLE: [Device; 15] = [
    ("the interrupt controllers", &[PIC1..=PIC1 + 1, PIC2..=PIC2 + 1, ELCR]),
    ("the timer", &[PIT]),
    ("the timer's gate", &[SYSTEM_CONTROL_B..=SYSTEM_CONTROL_B]),
    ("the keyboard controller", &[KEYBOARD_DATA..=KEYBOARD_DATA, KEYBOARD_COMMAND..=KEYBOARD_COMMAND]),
    ("the real-time clock", &[RTC_INDEX..=RTC_DATA]),
    ("the POST code", &[POST_CODE..=POST_CODE]),
    ("the reset port", &[SYSTEM_CONTROL_A..=SYSTEM_CONTROL_A]),
    ("the debug console", &[DEBUG_CONSOLE..=DEBUG_CONSOLE]),
    EXIT_DEVICE,
    (
        "the ATA channels",
        &[
            ATA_SECONDARY,
            ATA_SECONDARY_CONTROL..=ATA_SECONDARY_CONTROL,
            ATA_PRIMARY,
            ATA_PRIMARY_CONTROL..=ATA_PRIMARY_CONTROL,
        ],
    ),
    ("the display adapter", &[VGA..=VGA_LAST]),
    ("COM1", &[COM1..=COM1_LAST]),
    ("the panic port", &[PVPANIC..=PVPANIC]),
    ("the fault catcher", &[FAULT_CATCHER..=FAULT_CATCHER]),
    ("the search for PCI devices", &[PCI_ADDRESS..=PCI_ADDRESS + 3, PCI_DATA..=PCI_DATA + 3]),
];

const EXIT_DEVICE: Device = ("the exit device", &[EXIT..=EXIT + EXIT_COUNT - 1]);

/// What has ports on the emulated backend only, in the order in which docs/machine.md lists them.
pub const EMULATED_ONLY: [Device; 3] = [
    ("the DMA controllers", &[0x00..=0x0f, 0x81..=0x8f, 0xc0..=0xdf]),
    ("the floppy controller", &[0x3f1..=0x3f5, 0x3f7..=0x3f7]),
    ("the emulator's fw_cfg", &[0x510..=0x511, 0x514..=0x51b]),
];

/// What uses one of `ports`, on some backend. The exit device does not count: it goes where its image says.
pub fn user(ports: &RangeInclusive<u16>) -> Option<&'static str> {
    let is_among = |range: &RangeInclusive<u16>| range.start() <= ports.end() && ports.start() <= range.end();
    let devices = TABLE.iter().filter(|device| **device != EXIT_DEVICE).chain(&EMULATED_ONLY);
    devices.clone().find(|(_, ranges)| ranges.iter().any(is_among)).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_belongs_to_two_devices() {
        let devices = TABLE.iter().chain(&EMULATED_ONLY);
        let mut ports: Vec<u16> = devices.flat_map(|(_, ranges)| ranges.iter().cloned().flatten()).collect();
        let count = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), count);
    }

    #[test]
    fn each_port_has_its_user() {
        assert_eq!(user(&(0x7d..=0x80)), Some("the POST code"));
        assert_eq!(user(&(0x3f4..=0x3f7)), Some("the ATA channels"));
        assert_eq!(user(&(0xcf5..=0xcf8)), Some("the search for PCI devices"));
        assert_eq!(user(&(0x50e..=0x511)), Some("the emulator's fw_cfg"));
        for free in [EXIT..=EXIT + 3, 0x501..=0x504, 0xf8..=0xf8, 0xfffc..=0xffff] {
            assert_eq!(user(&free), None, "{free:?}");
        }
    }
}
