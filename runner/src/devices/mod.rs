//! The I/O ports of the machine that a guest sees on KVM, apart from the interrupt controllers and the timer, which the
//! kernel emulates. On the emulated backend the same devices are QEMU's.

mod serial;

use std::sync::Arc;

pub use serial::{InterruptLine, Serial, SerialPort};

use crate::console::{OutputPipe, Stream};

/// COM1's first port.
const COM1: u16 = 0x3f8;
/// COM1's last port.
const COM1_LAST: u16 = 0x3ff;
/// Interrupt line of COM1.
pub const COM1_IRQ: u32 = 4;
/// Ports that the exit device takes.
const EXIT_PORTS: u16 = 4;
/// The debug console of Bochs and QEMU: a byte written appears, and reading gives the port's number.
pub const DEBUG_CONSOLE: u16 = 0xe9;
/// Port of the pvpanic device (QEMU docs/specs/pvpanic).
pub const PVPANIC: u16 = 0x505;
/// pvpanic bit 0: the guest has panicked. Reading the port gives the events that are supported.
const PVPANIC_PANICKED: u8 = 1 << 0;
/// Data port of the keyboard controller.
const KEYBOARD_DATA: u16 = 0x60;
/// Command and status port of the keyboard controller.
const KEYBOARD_COMMAND: u16 = 0x64;
/// Keyboard controller command that pulses the CPU's reset line.
const KEYBOARD_RESET: u8 = 0xfe;
/// Keyboard controller status: not locked, last write was a command, both buffers empty. So a guest that waits for the
/// input buffer before it sends a command goes on.
const KEYBOARD_IDLE: u8 = 0x18;
/// System control port A of the PS/2.
const SYSTEM_CONTROL: u16 = 0x92;
/// System control port A bit 0: reset.
const SYSTEM_RESET: u8 = 1 << 0;
/// System control port A bit 1: address line 20 is enabled.
const SYSTEM_A20: u8 = 1 << 1;
/// What a read finds where no device answers.
pub const FLOATING: u8 = 0xff;

/// What a guest asks for with a write that ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// End with this value.
    Exit(u32),
    /// It has panicked.
    Panic,
    /// Reset the machine.
    Reset,
    /// Its fault catcher has written a record.
    FaultRecorded,
}

/// Ports and the devices behind them.
#[derive(Debug)]
pub struct PortBus<L> {
    serial: Arc<SerialPort<L>>,
    output: Arc<OutputPipe>,
    exit_port: u16,
    fault_port: Option<u16>,
}

impl<L: InterruptLine> PortBus<L> {
    /// A bus with this serial port; what the guest prints goes to `output`.
    pub fn new(serial: Arc<SerialPort<L>>, output: Arc<OutputPipe>, exit_port: u16, fault_port: Option<u16>) -> Self {
        Self { serial, output, exit_port, fault_port }
    }

    /// Carries out one or more reads of `width` bytes (1, 2 or 4) from `port`, as `rep ins` makes them.
    pub fn read(&self, port: u16, width: usize, data: &mut [u8]) {
        for access in data.chunks_mut(width.max(1)) {
            // An 8-bit device on a wider access sees one access per byte, at successive ports.
            for (byte, port) in access.iter_mut().zip(ports_from(port)) {
                *byte = self.read_byte(port);
            }
        }
    }

    /// Carries out one or more writes of `width` bytes (1, 2 or 4) to `port`, as `rep outs` makes them. Stops at the first
    /// that asks for something.
    pub fn write(&self, port: u16, width: usize, data: &[u8]) -> Option<Request> {
        data.chunks(width.max(1)).find_map(|access| self.write_once(port, access))
    }

    fn read_byte(&self, port: u16) -> u8 {
        match port {
            COM1..=COM1_LAST => self.serial.read(port - COM1),
            DEBUG_CONSOLE => 0xe9,
            PVPANIC => PVPANIC_PANICKED,
            KEYBOARD_DATA => 0,
            KEYBOARD_COMMAND => KEYBOARD_IDLE,
            SYSTEM_CONTROL => SYSTEM_A20,
            _ => FLOATING,
        }
    }

    fn write_once(&self, port: u16, access: &[u8]) -> Option<Request> {
        // These two take the whole width: a status may have 32 bits. So the exit device takes four ports, and a narrow write
        // to any of them counts, as with QEMU's.
        if (0..EXIT_PORTS).contains(&port.wrapping_sub(self.exit_port)) {
            let mut value = [0; 4];
            value.iter_mut().zip(access).for_each(|(to, from)| *to = *from);
            return Some(Request::Exit(u32::from_le_bytes(value)));
        }
        if Some(port) == self.fault_port {
            return Some(Request::FaultRecorded);
        }
        access.iter().zip(ports_from(port)).find_map(|(byte, port)| self.write_byte(port, *byte))
    }

    fn write_byte(&self, port: u16, byte: u8) -> Option<Request> {
        match port {
            COM1..=COM1_LAST => {
                if let Some(sent) = self.serial.write(port - COM1, byte) {
                    self.output.push(Stream::Serial, &[sent]);
                }
                None
            }
            DEBUG_CONSOLE => {
                self.output.push(Stream::Debug, &[byte]);
                None
            }
            PVPANIC => (byte & PVPANIC_PANICKED != 0).then_some(Request::Panic),
            KEYBOARD_COMMAND => (byte == KEYBOARD_RESET).then_some(Request::Reset),
            SYSTEM_CONTROL => (byte & SYSTEM_RESET != 0).then_some(Request::Reset),
            _ => None,
        }
    }
}

/// `first` and the ports after it; port numbers wrap at 16 bits.
fn ports_from(first: u16) -> impl Iterator<Item = u16> {
    (0..4).map(move |offset| first.wrapping_add(offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Expectations, Matcher, pump};
    use std::sync::mpsc::channel;

    struct NoLine;

    impl InterruptLine for NoLine {
        fn set(&self, _: bool) {}
    }

    struct Fixture {
        bus: PortBus<NoLine>,
        output: Arc<OutputPipe>,
    }

    impl Fixture {
        fn new() -> Self {
            let output = Arc::new(OutputPipe::default());
            let serial = Arc::new(SerialPort::new(Serial::new(NoLine)));
            Self { bus: PortBus::new(serial, Arc::clone(&output), 0xf4, Some(0xf8)), output }
        }

        fn read<const N: usize>(&self, port: u16, width: usize) -> [u8; N] {
            let mut data = [0x55; N];
            self.bus.read(port, width, &mut data);
            data
        }

        /// What came out of the serial port and out of the debug console.
        fn printed(self) -> (Vec<u8>, Vec<u8>) {
            let (events, _receiver) = channel();
            let (mut serial, mut debug) = (Vec::new(), Vec::new());
            self.output.finish();
            pump(&self.output, &mut serial, &mut debug, Matcher::new(Expectations::default()), &events);
            (serial, debug)
        }
    }

    #[test]
    fn the_exit_port_takes_the_whole_width() {
        let bus = Fixture::new().bus;
        assert_eq!(bus.write(0xf4, 1, &[0]), Some(Request::Exit(0)));
        assert_eq!(bus.write(0xf4, 2, &[0, 1]), Some(Request::Exit(0x100)));
        assert_eq!(bus.write(0xf4, 4, &[0, 0, 0, 0x80]), Some(Request::Exit(0x8000_0000)));
        assert_eq!(bus.write(0xf7, 1, &[7]), Some(Request::Exit(7)));
    }

    #[test]
    fn a_repeated_write_ends_at_its_first_request() {
        let bus = Fixture::new().bus;
        assert_eq!(bus.write(0xf4, 1, &[7, 8, 9]), Some(Request::Exit(7)));
        assert_eq!(bus.write(0xf4, 2, &[7, 0, 9, 9]), Some(Request::Exit(7)));
    }

    #[test]
    fn a_repeated_write_prints_every_byte() {
        let fixture = Fixture::new();
        assert_eq!(fixture.bus.write(COM1, 1, b"hello "), None);
        assert_eq!(fixture.bus.write(DEBUG_CONSOLE, 1, b"there"), None);
        assert_eq!(fixture.printed(), (b"hello ".to_vec(), b"there".to_vec()));
    }

    #[test]
    fn a_wide_access_reaches_one_port_per_byte() {
        let fixture = Fixture::new();
        // Data and interrupt enable; then scratch, and nothing beyond it.
        assert_eq!(fixture.bus.write(COM1, 2, b"A\x01B\x01"), None);
        assert_eq!(fixture.bus.write(COM1 + 7, 1, &[0x5a]), None);
        assert_eq!(fixture.read::<4>(COM1 + 7, 2), [0x5a, 0xff, 0x5a, 0xff]);
        assert_eq!(fixture.printed(), (b"AB".to_vec(), Vec::new()));
    }

    #[test]
    fn ports_without_a_device_read_all_ones() {
        let fixture = Fixture::new();
        assert_eq!(fixture.read::<4>(0x1f0, 4), [0xff; 4]);
        assert_eq!(fixture.read::<2>(0xffff, 2), [0xff; 2]);
        assert_eq!(fixture.bus.write(0x1f0, 4, &[1, 2, 3, 4]), None);
    }

    #[test]
    fn known_ports_answer() {
        let fixture = Fixture::new();
        assert_eq!(fixture.read::<1>(DEBUG_CONSOLE, 1), [0xe9]);
        assert_eq!(fixture.read::<1>(PVPANIC, 1), [1]);
        assert_eq!(fixture.read::<1>(KEYBOARD_COMMAND, 1)[0] & 2, 0);
    }

    #[test]
    fn requests_are_recognised() {
        let bus = Fixture::new().bus;
        assert_eq!(bus.write(PVPANIC, 1, &[1]), Some(Request::Panic));
        assert_eq!(bus.write(PVPANIC, 1, &[2]), None);
        assert_eq!(bus.write(KEYBOARD_COMMAND, 1, &[0xfe]), Some(Request::Reset));
        assert_eq!(bus.write(KEYBOARD_COMMAND, 1, &[0xd1]), None);
        assert_eq!(bus.write(SYSTEM_CONTROL, 1, &[3]), Some(Request::Reset));
        assert_eq!(bus.write(SYSTEM_CONTROL, 1, &[2]), None);
        assert_eq!(bus.write(0xf8, 1, &[14]), Some(Request::FaultRecorded));
    }
}
