//! The port and interrupt numbers of the machine, and what some ports mean bit by bit.

/// COM1's first port.
pub const COM1: u16 = 0x3f8;
/// COM1's last port.
pub const COM1_LAST: u16 = 0x3ff;
/// Interrupt line of COM1.
pub const COM1_IRQ: u32 = 4;
/// Ports that the exit device takes.
pub const EXIT_PORTS: u16 = 4;
/// The debug console of Bochs and QEMU: a byte written appears, and reading gives the port's number.
pub const DEBUG_CONSOLE: u16 = 0xe9;
/// Port of the pvpanic device (QEMU docs/specs/pvpanic).
pub const PVPANIC: u16 = 0x505;
/// pvpanic bit 0: the guest has panicked. Reading the port gives the events that are supported.
pub const PVPANIC_PANICKED: u8 = 1 << 0;
/// Data port of the keyboard controller.
pub const KEYBOARD_DATA: u16 = 0x60;
/// Command and status port of the keyboard controller.
pub const KEYBOARD_COMMAND: u16 = 0x64;
/// Interrupt line of the keyboard.
pub const KEYBOARD_IRQ: u32 = 1;
/// Index port of the clock.
pub const RTC_INDEX: u16 = 0x70;
/// Data port of the clock.
pub const RTC_DATA: u16 = 0x71;
/// Firmware writes to this port how far it has come; what reads it finds nothing.
pub const POST_CODE: u16 = 0x80;
/// Ports of the first ATA channel, which has no drives: all its registers read 0.
pub const ATA_FIRST: (u16, u16) = (0x1f0, 0x1f7);
/// Ports of the second.
pub const ATA_SECOND: (u16, u16) = (0x170, 0x177);
/// Control ports of both.
pub const ATA_CONTROL: [u16; 2] = [0x3f6, 0x376];
/// System control port A of the PS/2.
pub const SYSTEM_CONTROL: u16 = 0x92;
/// System control port A bit 0: reset.
pub const SYSTEM_RESET: u8 = 1 << 0;
/// System control port A bit 1: address line 20 is enabled. It always is here, whatever is written.
pub const SYSTEM_A20: u8 = 1 << 1;
/// What a read finds where no device answers.
pub const FLOATING: u8 = 0xff;
