//! All devices of the embedded machine, plugged into its board.

use std::time::Duration;

use super::i8042::{I8042, KEYBOARD_IRQ, MOUSE_IRQ};
use super::ports::{Places, PortBus, Request};
use super::reach::{Console, Reach};
use super::rtc::{RTC_IRQ, Rtc};
use super::uart::{COM1_IRQ, Uart};
use super::vga::Registers;
use super::wire::Wire;
use crate::chips::board::Devices;
use crate::difference::{Differ, Difference, compare};
use crate::time::{NANOSECONDS_PER_INSTRUCTION, instruction_at, nanosecond};

/// How long a CPU that waits, and has no timer, may wait before it is looked at whether it still can be interrupted: 50 milliseconds.
pub const LOOK: u64 = 50_000_000 / NANOSECONDS_PER_INSTRUCTION;

/// The devices themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// COM1.
    pub serial: Uart,
    /// The keyboard controller.
    pub keyboard: I8042,
    /// The display adapter's registers.
    pub adapter: Registers,
    /// Clock and CMOS memory.
    pub clock: Rtc,
    /// What the guest has printed and nobody has taken, in runs of one console each.
    printed: Vec<(Console, Vec<u8>)>,
}

/// The devices, the ports that lead to them, and what these are used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peripherals {
    ports: PortBus<Own>,
    request: Option<Request>,
    /// How often ports were read.
    pub reads: u64,
    /// How often they were written.
    pub writes: u64,
    /// More input may come, for which a CPU without a timer waits.
    pub is_open: bool,
}

impl Peripherals {
    /// Devices after reset, with the clock and the adapter as firmware leaves them.
    pub fn new(places: Places, clock: Rtc, adapter: Registers) -> Self {
        let ports = PortBus::new(Own::new(clock, adapter), places);
        Self { ports, request: None, reads: 0, writes: 0, is_open: true }
    }

    /// The devices.
    pub const fn own(&self) -> &Own {
        &self.ports.devices
    }

    /// The devices, for those at their other ends.
    pub const fn own_mut(&mut self) -> &mut Own {
        &mut self.ports.devices
    }

    /// The ports.
    pub const fn ports(&self) -> &PortBus<Own> {
        &self.ports
    }

    /// What the guest has asked for, which ends the run.
    pub const fn request(&self) -> Option<Request> {
        self.request
    }

    fn tell(&mut self, now: u64) {
        self.own_mut().clock.tell(Duration::from_nanos(nanosecond(now)));
    }
}

impl Own {
    /// Devices after reset, with the clock and the adapter as firmware leaves them.
    pub fn new(clock: Rtc, adapter: Registers) -> Self {
        Self { serial: Uart::default(), keyboard: I8042::default(), adapter, clock, printed: Vec::new() }
    }

    /// Takes what the guest has printed.
    pub fn take_printed(&mut self) -> Vec<(Console, Vec<u8>)> {
        std::mem::take(&mut self.printed)
    }

    /// How each device interrupts, with the number of its line.
    fn wires(&mut self) -> [(u32, &mut Wire); 4] {
        let Self { serial, keyboard, clock, .. } = self;
        [
            (COM1_IRQ, &mut serial.wire),
            (KEYBOARD_IRQ, &mut keyboard.keyboard),
            (MOUSE_IRQ, &mut keyboard.mouse),
            (RTC_IRQ, &mut clock.wire),
        ]
    }
}

impl Reach for Own {
    fn serial<T>(&mut self, access: impl FnOnce(&mut Uart) -> T) -> T {
        access(&mut self.serial)
    }

    fn keyboard<T>(&mut self, access: impl FnOnce(&mut I8042) -> T) -> T {
        access(&mut self.keyboard)
    }

    fn adapter<T>(&mut self, access: impl FnOnce(&mut Registers) -> T) -> T {
        access(&mut self.adapter)
    }

    fn clock<T>(&mut self, access: impl FnOnce(&mut Rtc) -> T) -> T {
        access(&mut self.clock)
    }

    fn print(&mut self, console: Console, byte: u8) {
        match self.printed.last_mut() {
            Some((last, bytes)) if *last == console => bytes.push(byte),
            _ => self.printed.push((console, vec![byte])),
        }
    }
}

impl Differ for Peripherals {
    fn differ(&self, other: &Self, found: &mut Vec<Difference>) {
        let (own, others) = (self.own(), other.own());
        compare(found, "serial port", &own.serial, &others.serial);
        compare(found, "keyboard controller", &own.keyboard, &others.keyboard);
        compare(found, "display adapter", &own.adapter, &others.adapter);
        compare(found, "clock", &own.clock, &others.clock);
        compare(found, "output", &own.printed, &others.printed);
        compare(found, "what ends the run", &self.request, &other.request);
        compare(found, "accesses to ports", &(self.reads, self.writes), &(other.reads, other.writes));
        compare(found, "accesses to unknown ports", self.ports.log(), other.ports.log());
        compare(found, "input to come", &self.is_open, &other.is_open);
        compare(found, "system control port A", &self.ports.system_control(), &other.ports.system_control());
        compare(found, "the image's ports", &self.ports.places(), &other.ports.places());
    }
}

impl Devices for Peripherals {
    fn read_port(&mut self, port: u16, width: u8, now: u64) -> u32 {
        self.tell(now);
        self.reads += 1;
        let mut bytes = [0; 4];
        let width = usize::from(width).min(4);
        self.ports.read(port, width, &mut bytes[..width]);
        u32::from_le_bytes(bytes)
    }

    fn write_port(&mut self, port: u16, width: u8, value: u32, now: u64) {
        self.tell(now);
        self.writes += 1;
        let width = usize::from(width).min(4);
        let request = self.ports.write(port, width, &value.to_le_bytes()[..width]);
        self.request = self.request.or(request);
    }

    fn advance(&mut self, now: u64) -> u64 {
        self.tell(now);
        let clock = &mut self.own_mut().clock;
        clock.count_events();
        let next = clock.next_interrupt();
        let next = next.map_or(u64::MAX, |time| instruction_at(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)));
        if self.is_open { next.min(now.saturating_add(LOOK)) } else { next }
    }

    fn lines(&mut self) -> (u16, u16) {
        self.own_mut().wires().into_iter().fold((0, 0), |(levels, risen), (number, wire)| {
            let bit = |is_set: bool| if is_set { 1 << number } else { 0 };
            (levels | bit(wire.is_high()), risen | bit(wire.take_rises() != 0))
        })
    }

    fn has_ended(&self) -> bool {
        self.request.is_some()
    }
}
