//! The ports and the devices behind them: carries out each access of a guest.

use stos_x86::ports::{self, FLOATING, SYSTEM_A20};

use super::i8042::I8042;
use super::port_log::{PortAccess, PortLog};
use super::reach::{Console, Reach};
use super::rtc::Rtc;

/// pvpanic bit 0: the guest has panicked. Reading the port gives the events that are supported.
const PVPANIC_PANICKED: u8 = 1 << 0;
/// System control port A bit 0: reset.
const SYSTEM_RESET: u8 = 1 << 0;

/// What a guest asks for with a write that ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// End with this value, which it has written to the exit device or to its fault catcher's port.
    Exit(u32),
    /// It has panicked.
    Panic,
    /// Reset the machine.
    Reset,
}

/// Where an image has put what has no place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// First port of the exit device.
    pub exit_port: u16,
    /// Port of the image's fault catcher.
    pub fault_port: Option<u16>,
}

/// Ports and the devices behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortBus<R> {
    /// The devices.
    pub devices: R,
    places: Places,
    /// What was written to [`ports::SYSTEM_CONTROL_A`].
    system_control: u8,
    log: PortLog,
}

impl<R: Reach> PortBus<R> {
    /// A bus with these devices.
    pub fn new(devices: R, places: Places) -> Self {
        Self { devices, places, system_control: SYSTEM_A20, log: PortLog::default() }
    }

    /// What the guest's accesses tell about it.
    pub const fn log(&self) -> &PortLog {
        &self.log
    }

    /// What was written to system control port A.
    pub(super) const fn system_control(&self) -> u8 {
        self.system_control
    }

    /// Where the image has put its ports.
    pub(super) const fn places(&self) -> Places {
        self.places
    }

    /// Carries out one or more reads of `width` bytes (1, 2 or 4) from `port`, as `rep ins` makes them.
    pub fn read(&mut self, port: u16, width: usize, data: &mut [u8]) {
        for access in data.chunks_mut(width.max(1)) {
            let width = access.len();
            let mut is_known = false;
            // An 8-bit device on a wider access sees one access per byte, at successive ports.
            for (byte, port) in access.iter_mut().zip(ports_from(port)) {
                let found = self.read_byte(port);
                is_known |= found.is_some();
                *byte = found.unwrap_or(FLOATING);
            }
            if !is_known {
                self.log.count(PortAccess { port, width, is_write: false });
            }
        }
    }

    /// Carries out one or more writes of `width` bytes (1, 2 or 4) to `port`, as `rep outs` makes them. Stops at the first
    /// that asks for something.
    pub fn write(&mut self, port: u16, width: usize, data: &[u8]) -> Option<Request> {
        data.chunks(width.max(1)).find_map(|access| self.write_once(port, access))
    }

    /// Where `port` lies in the exit device, which has [`ports::EXIT_COUNT`] ports; any larger number is not in it.
    fn exit_offset(&self, port: u16) -> u16 {
        port.wrapping_sub(self.places.exit_port)
    }

    /// What a read of one byte finds, or `None` where there is no device.
    fn read_byte(&mut self, port: u16) -> Option<u8> {
        Some(match port {
            ports::COM1..=ports::COM1_LAST => self.devices.serial(|uart| uart.read(port - ports::COM1)),
            ports::DEBUG_CONSOLE => 0xe9,
            ports::PVPANIC => PVPANIC_PANICKED,
            ports::KEYBOARD_DATA => self.devices.keyboard(I8042::read),
            ports::KEYBOARD_COMMAND => self.devices.keyboard(|controller| controller.status()),
            ports::SYSTEM_CONTROL_A => self.system_control,
            // The index can't be read back.
            ports::RTC_INDEX | ports::POST_CODE => FLOATING,
            ports::RTC_DATA => self.devices.clock(Rtc::read),
            ports::VGA..=ports::VGA_LAST => self.devices.adapter(|registers| registers.read(port)),
            port if is_ata(port) => 0,
            // QEMU's exit devices read 0.
            port if self.exit_offset(port) < ports::EXIT_COUNT || Some(port) == self.places.fault_port => 0,
            _ => return None,
        })
    }

    fn write_once(&mut self, port: u16, access: &[u8]) -> Option<Request> {
        // These two take the whole width: a status may have 32 bits. So the exit device takes four ports, and a narrow write
        // to any of them counts, as with QEMU's; a wide one does when it is aligned.
        let exit_offset = self.exit_offset(port);
        if exit_offset < ports::EXIT_COUNT {
            let aligned = usize::from(exit_offset) % access.len() == 0;
            return aligned.then(|| Request::Exit(number(access)));
        }
        if Some(port) == self.places.fault_port {
            return Some(Request::Exit(number(access)));
        }
        let mut is_known = false;
        for (byte, port) in access.iter().zip(ports_from(port)) {
            match self.write_byte(port, *byte) {
                Written::Request(request) => return Some(request),
                Written::Taken => is_known = true,
                Written::Unknown => {}
            }
        }
        if !is_known {
            self.log.count(PortAccess { port, width: access.len(), is_write: true });
        }
        None
    }

    fn write_byte(&mut self, port: u16, byte: u8) -> Written {
        let request = |is_asked: bool, request| if is_asked { Written::Request(request) } else { Written::Taken };
        match port {
            ports::COM1..=ports::COM1_LAST => {
                if let Some(sent) = self.devices.serial(|uart| uart.write(port - ports::COM1, byte)) {
                    self.devices.print(Console::Serial, sent);
                }
            }
            ports::DEBUG_CONSOLE => self.devices.print(Console::Debug, byte),
            ports::PVPANIC => return request(byte & PVPANIC_PANICKED != 0, Request::Panic),
            ports::KEYBOARD_DATA => {
                return request(self.devices.keyboard(|controller| controller.write(byte)), Request::Reset);
            }
            ports::KEYBOARD_COMMAND => {
                return request(self.devices.keyboard(|controller| controller.command(byte)), Request::Reset);
            }
            ports::SYSTEM_CONTROL_A => {
                self.system_control = byte;
                return request(byte & SYSTEM_RESET != 0, Request::Reset);
            }
            ports::RTC_INDEX => self.devices.clock(|clock| clock.select(byte)),
            ports::RTC_DATA => self.devices.clock(|clock| clock.write(byte)),
            ports::VGA..=ports::VGA_LAST => self.devices.adapter(|registers| registers.write(port, byte)),
            ports::POST_CODE => self.log.post(byte),
            port if is_ata(port) => {}
            _ => return Written::Unknown,
        }
        Written::Taken
    }
}

/// What became of a byte that the guest wrote.
enum Written {
    Request(Request),
    Taken,
    Unknown,
}

/// The number that was written in at most four bytes.
fn number(access: &[u8]) -> u32 {
    let mut value = [0; 4];
    value.iter_mut().zip(access).for_each(|(to, from)| *to = *from);
    u32::from_le_bytes(value)
}

fn is_ata(port: u16) -> bool {
    ports::ATA_PRIMARY.contains(&port)
        || ports::ATA_SECONDARY.contains(&port)
        || [ports::ATA_PRIMARY_CONTROL, ports::ATA_SECONDARY_CONTROL].contains(&port)
}

/// `first` and the ports after it; port numbers wrap at 16 bits.
fn ports_from(first: u16) -> impl Iterator<Item = u16> {
    (0..4).map(move |offset| first.wrapping_add(offset))
}

#[cfg(test)]
mod tests {
    use super::super::peripherals::Own;
    use super::super::vga::Registers;
    use super::*;
    use proptest::prelude::*;

    struct Fixture {
        bus: PortBus<Own>,
    }

    impl Fixture {
        fn new() -> Self {
            let places = Places { exit_port: 0xf4, fault_port: Some(0xf8) };
            let clock = Rtc::new(946_684_800, 16 << 20);
            Self { bus: PortBus::new(Own::new(clock, Registers::default()), places) }
        }

        fn read<const N: usize>(&mut self, port: u16, width: usize) -> [u8; N] {
            let mut data = [0x55; N];
            self.bus.read(port, width, &mut data);
            data
        }

        /// What came out of the serial port and out of the debug console.
        fn printed(mut self) -> (Vec<u8>, Vec<u8>) {
            let runs = self.bus.devices.take_printed();
            let printed =
                |on| runs.iter().filter(|(console, _)| *console == on).flat_map(|(_, bytes)| bytes.clone()).collect();
            (printed(Console::Serial), printed(Console::Debug))
        }
    }

    #[test]
    fn the_exit_port_takes_the_whole_width() {
        let mut bus = Fixture::new().bus;
        assert_eq!(bus.write(0xf4, 1, &[0]), Some(Request::Exit(0)));
        assert_eq!(bus.write(0xf4, 2, &[0, 1]), Some(Request::Exit(0x100)));
        assert_eq!(bus.write(0xf4, 4, &[0, 0, 0, 0x80]), Some(Request::Exit(0x8000_0000)));
        assert_eq!(bus.write(0xf7, 1, &[7]), Some(Request::Exit(7)));
        assert_eq!(bus.write(0xf6, 2, &[7, 0]), Some(Request::Exit(7)));
        assert_eq!(bus.write(0xf5, 2, &[7, 0]), None, "not aligned");
        assert_eq!(bus.write(0xf2, 4, &[0, 0, 7, 0]), None, "begins before");
    }

    #[test]
    fn a_repeated_write_ends_at_its_first_request() {
        let mut bus = Fixture::new().bus;
        assert_eq!(bus.write(0xf4, 1, &[7, 8, 9]), Some(Request::Exit(7)));
        assert_eq!(bus.write(0xf4, 2, &[7, 0, 9, 9]), Some(Request::Exit(7)));
    }

    #[test]
    fn a_repeated_write_prints_every_byte() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.bus.write(ports::COM1, 1, b"hello "), None);
        assert_eq!(fixture.bus.write(ports::DEBUG_CONSOLE, 1, b"there"), None);
        assert_eq!(fixture.printed(), (b"hello ".to_vec(), b"there".to_vec()));
    }

    #[test]
    fn a_wide_access_reaches_one_port_per_byte() {
        let mut fixture = Fixture::new();
        // Data and interrupt enable; then scratch, and nothing beyond it.
        assert_eq!(fixture.bus.write(ports::COM1, 2, b"A\x01B\x01"), None);
        assert_eq!(fixture.bus.write(ports::COM1 + 7, 1, &[0x5a]), None);
        assert_eq!(fixture.read::<4>(ports::COM1 + 7, 2), [0x5a, 0xff, 0x5a, 0xff]);
        assert_eq!(fixture.printed(), (b"AB".to_vec(), Vec::new()));
    }

    #[test]
    fn ports_without_a_device_read_all_ones_and_are_counted() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.read::<4>(0xcfc, 4), [0xff; 4]);
        assert_eq!(fixture.read::<2>(0xffff, 2), [0xff; 2]);
        assert_eq!(fixture.bus.write(0xcf8, 4, &[0, 0, 0, 0x80]), None);
        // Two accesses, as of `rep insb`.
        assert_eq!(fixture.read::<2>(0x3f4, 1), [0xff; 2]);
        let access = |port, width, is_write| PortAccess { port, width, is_write };
        let expected = vec![
            (access(0x3f4, 1, false), 2),
            (access(0xcf8, 4, true), 1),
            (access(0xcfc, 4, false), 1),
            (access(0xffff, 2, false), 1),
        ];
        assert_eq!(fixture.bus.log().unknown(), (expected, 0));
    }

    #[test]
    fn known_ports_answer_and_are_not_counted() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.read::<1>(ports::DEBUG_CONSOLE, 1), [0xe9]);
        assert_eq!(fixture.read::<1>(ports::PVPANIC, 1), [1]);
        assert_eq!(fixture.read::<4>(ports::EXIT, 4), [0; 4]);
        assert_eq!(fixture.read::<1>(0xf8, 1), [0]);
        assert_eq!(fixture.read::<1>(ports::KEYBOARD_COMMAND, 1), [0x1c]);
        assert_eq!(fixture.read::<1>(ports::SYSTEM_CONTROL_A, 1), [2]);
        // No drive on either channel.
        assert_eq!(fixture.read::<2>(0x1f0, 2), [0; 2]);
        assert_eq!(fixture.read::<1>(0x376, 1), [0]);
        // Index and data of the clock in one access: the day of January the first.
        assert_eq!(fixture.bus.write(ports::RTC_INDEX, 1, &[7]), None);
        assert_eq!(fixture.read::<2>(ports::RTC_INDEX, 2), [0xff, 1]);
        // Index and data of the CRTC in one access.
        assert_eq!(fixture.bus.write(0x3d4, 2, &[0x0f, 0x50]), None);
        assert_eq!(fixture.read::<2>(0x3d4, 2), [0x0f, 0x50]);
        assert_eq!(fixture.bus.log().unknown(), (Vec::new(), 0));
    }

    #[test]
    fn the_last_post_code_is_remembered() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.bus.log().post_code(), None);
        assert_eq!(fixture.bus.write(ports::POST_CODE, 1, &[0x11, 0x2a]), None);
        assert_eq!(fixture.bus.log().post_code(), Some(0x2a));
        assert_eq!(fixture.read::<1>(ports::POST_CODE, 1), [0xff]);
    }

    #[test]
    fn requests_are_recognised() {
        let mut bus = Fixture::new().bus;
        assert_eq!(bus.write(ports::PVPANIC, 1, &[1]), Some(Request::Panic));
        assert_eq!(bus.write(ports::PVPANIC, 1, &[2]), None);
        assert_eq!(bus.write(ports::KEYBOARD_COMMAND, 1, &[0xfe]), Some(Request::Reset));
        assert_eq!(bus.write(ports::KEYBOARD_COMMAND, 1, &[0xd1]), None);
        assert_eq!(bus.write(ports::KEYBOARD_DATA, 1, &[0xfe]), Some(Request::Reset));
        assert_eq!(bus.write(ports::SYSTEM_CONTROL_A, 1, &[3]), Some(Request::Reset));
        assert_eq!(bus.write(ports::SYSTEM_CONTROL_A, 1, &[2]), None);
        assert_eq!(bus.write(0xf8, 1, &[14]), Some(Request::Exit(14)));
    }

    proptest! {
        #[test]
        fn no_sequence_of_accesses_does_harm(
            accesses in prop::collection::vec(
                (prop_oneof![any::<u16>(), 0x60..0x93_u16, 0x3c0..=0x3ff_u16], 0..3_u32, prop::option::of(any::<[u8; 8]>())),
                0..400,
            )
        ) {
            let mut bus = Fixture::new().bus;
            for (port, width, written) in accesses {
                let width = 1 << width;
                match written {
                    Some(data) => _ = bus.write(port, width, &data),
                    None => bus.read(port, width, &mut [0; 8]),
                }
            }
        }
    }
}
