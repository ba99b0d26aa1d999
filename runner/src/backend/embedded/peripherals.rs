//! The devices, plugged into the board.

use std::time::Duration;

use stos_machine::chips::board::Devices as Plugged;
use stos_machine::chips::time::NANOSECONDS_PER_INSTRUCTION;

use super::lines::{Line, Lines, VirtualTime};
use crate::backend::Exits;
use crate::devices::{Clock, PortBus, Request};

/// How often, in instructions, devices are looked at that hear from outside: 100 microseconds.
const LOOK: u64 = 100_000 / NANOSECONDS_PER_INSTRUCTION;

/// The devices.
pub struct Peripherals<C> {
    bus: PortBus<Line, C>,
    lines: Lines,
    time: VirtualTime,
    /// What the guest has asked for, which ends the run.
    pub request: Option<Request>,
    /// What was counted.
    pub exits: Exits,
}

impl<C: Clock> Peripherals<C> {
    /// Devices whose interrupts come by `lines`, and whose time is `time`.
    pub fn new(bus: PortBus<Line, C>, lines: Lines, time: VirtualTime) -> Self {
        Self { bus, lines, time, request: None, exits: Exits::default() }
    }

    /// The ports.
    pub fn bus(&self) -> &PortBus<Line, C> {
        &self.bus
    }

    fn set_time(&self, now: u64) {
        self.time.set(now.saturating_mul(NANOSECONDS_PER_INSTRUCTION));
    }
}

impl<C: Clock> Plugged for Peripherals<C> {
    fn read_port(&mut self, port: u16, width: u8, now: u64) -> u32 {
        self.set_time(now);
        self.exits.port_reads += 1;
        let mut bytes = [0; 4];
        let width = usize::from(width).min(4);
        self.bus.read(port, width, &mut bytes[..width]);
        u32::from_le_bytes(bytes)
    }

    fn write_port(&mut self, port: u16, width: u8, value: u32, now: u64) {
        self.set_time(now);
        self.exits.port_writes += 1;
        let width = usize::from(width).min(4);
        let request = self.bus.write(port, width, &value.to_le_bytes()[..width]);
        self.request = self.request.or(request);
    }

    fn advance(&mut self, now: u64) -> u64 {
        self.set_time(now);
        let next = self.bus.poll().map_or(u64::MAX, instruction);
        next.min(now.saturating_add(LOOK))
    }

    fn lines(&self) -> u16 {
        self.lines.levels()
    }

    fn has_ended(&self) -> bool {
        self.request.is_some()
    }
}

/// The first instruction that is not before a time.
fn instruction(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(u128::from(NANOSECONDS_PER_INSTRUCTION))).unwrap_or(u64::MAX)
}
