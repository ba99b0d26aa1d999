//! The I/O ports of the machine that a guest sees on KVM (docs/machine.md lists them), apart from the interrupt controllers and the timer, which the
//! kernel emulates. On the emulated backend the same devices are QEMU's.

mod keyboard;
mod pic;
mod port_log;
mod rtc;
mod serial;
mod vga;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use stos_x86::ports;

pub use keyboard::{Keyboard, KeyboardPort};
pub use pic::{Controller, Interrupts, Pics};
pub use port_log::{PortAccess, PortLog};
pub use rtc::Rtc;
pub use serial::{InterruptLine, Serial, SerialPort};
pub use vga::Vga;

use crate::channel::{OutputPipe, Stream};

/// Interrupt line of COM1.
pub const COM1_IRQ: u32 = 4;
/// pvpanic bit 0: the guest has panicked. Reading the port gives the events that are supported.
const PVPANIC_PANICKED: u8 = 1 << 0;
/// Interrupt line of the keyboard.
pub const KEYBOARD_IRQ: u32 = 1;
/// System control port A bit 0: reset.
const SYSTEM_RESET: u8 = 1 << 0;
/// System control port A bit 1: address line 20 is enabled. It always is here, whatever is written.
pub const SYSTEM_A20: u8 = 1 << 1;
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
    /// Its fault catcher has written a record, and this value to its port.
    FaultRecorded(u32),
}

/// When the guest's clock begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ClockStart {
    /// At 2000-01-01 00:00:00, so that every run is the same
    #[default]
    Fixed,
    /// At the host's time, in UTC
    Host,
}

impl ClockStart {
    /// A clock of a machine with `memory_size` bytes that begins now.
    pub fn clock(self, memory_size: u64) -> Rtc<impl Fn() -> Duration + Send> {
        let start = match self {
            Self::Fixed => rtc::FIXED_START,
            // A host whose clock stands before 1970 has other worries.
            Self::Host => SystemTime::now().duration_since(UNIX_EPOCH).map_or(rtc::FIXED_START, |time| time.as_secs()),
        };
        let begin = Instant::now();
        Rtc::new(start, memory_size, move || begin.elapsed())
    }
}

/// The devices behind the ports. Those that only the guest uses belong to it, the others are shared.
pub struct Devices<L, C> {
    /// COM1.
    pub serial: Arc<SerialPort<L>>,
    /// The keyboard controller.
    pub keyboard: Arc<KeyboardPort<L>>,
    /// The display adapter's registers.
    pub vga: Vga,
    /// Clock and CMOS memory.
    pub rtc: Rtc<C>,
    /// What the guest prints.
    pub output: Arc<OutputPipe>,
    /// First port of the exit device.
    pub exit_port: u16,
    /// Port of the image's fault catcher.
    pub fault_port: Option<u16>,
}

/// Ports and the devices behind them.
pub struct PortBus<L, C> {
    devices: Devices<L, C>,
    /// What was written to [`ports::SYSTEM_CONTROL_A`].
    system_control: u8,
    log: PortLog,
}

impl<L: InterruptLine, C: Fn() -> Duration> PortBus<L, C> {
    /// A bus with these devices.
    pub fn new(devices: Devices<L, C>) -> Self {
        Self { devices, system_control: SYSTEM_A20, log: PortLog::default() }
    }

    /// What the guest's accesses tell about it; stays up to date.
    pub fn log(&self) -> PortLog {
        self.log.clone()
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

    /// What a read of one byte finds, or `None` where there is no device.
    fn read_byte(&mut self, port: u16) -> Option<u8> {
        Some(match port {
            ports::COM1..=ports::COM1_LAST => self.devices.serial.read(port - ports::COM1),
            ports::DEBUG_CONSOLE => 0xe9,
            ports::PVPANIC => PVPANIC_PANICKED,
            ports::KEYBOARD_DATA => self.devices.keyboard.read(),
            ports::KEYBOARD_COMMAND => self.devices.keyboard.controller().status(),
            ports::SYSTEM_CONTROL_A => self.system_control,
            // The index can't be read back.
            ports::RTC_INDEX | ports::POST_CODE => FLOATING,
            ports::RTC_DATA => self.devices.rtc.read(),
            ports::VGA..=ports::VGA_LAST => self.devices.vga.registers().read(port),
            port if is_ata(port) => 0,
            _ => return None,
        })
    }

    fn write_once(&mut self, port: u16, access: &[u8]) -> Option<Request> {
        // These two take the whole width: a status may have 32 bits. So the exit device takes four ports, and a narrow write
        // to any of them counts, as with QEMU's; a wide one does when it is aligned.
        let exit_offset = port.wrapping_sub(self.devices.exit_port);
        if exit_offset < ports::EXIT_COUNT {
            let aligned = usize::from(exit_offset) % access.len() == 0;
            return aligned.then(|| Request::Exit(number(access)));
        }
        if Some(port) == self.devices.fault_port {
            return Some(Request::FaultRecorded(number(access)));
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
                if let Some(sent) = self.devices.serial.write(port - ports::COM1, byte) {
                    self.devices.output.push(Stream::Serial, &[sent]);
                }
            }
            ports::DEBUG_CONSOLE => self.devices.output.push(Stream::Debug, &[byte]),
            ports::PVPANIC => return request(byte & PVPANIC_PANICKED != 0, Request::Panic),
            ports::KEYBOARD_DATA => return request(self.devices.keyboard.controller().write(byte), Request::Reset),
            ports::KEYBOARD_COMMAND => {
                return request(self.devices.keyboard.controller().command(byte), Request::Reset);
            }
            ports::SYSTEM_CONTROL_A => {
                self.system_control = byte;
                return request(byte & SYSTEM_RESET != 0, Request::Reset);
            }
            ports::RTC_INDEX => self.devices.rtc.select(byte),
            ports::RTC_DATA => self.devices.rtc.write(byte),
            ports::VGA..=ports::VGA_LAST => self.devices.vga.registers().write(port, byte),
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
mod tests;
