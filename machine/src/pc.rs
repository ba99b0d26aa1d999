//! The PC: CPU, board and devices. It is one type, so that it is compiled here, once.

use std::ops::Range;

use stos_x86::registers::{CpuState, EntryState};

use crate::chips::board::Board;
use crate::devices::peripherals::Peripherals;
use crate::machine::{Machine, Stop};
use crate::memory::Memory;
use crate::snapshot::Snapshot;
use crate::state::core::{Activity, Core};
use crate::state::observer::{Delivery, Observer};

/// Its parts.
pub type Parts = (Board<Peripherals>, Watch);

/// Its state.
pub type PcSnapshot = Snapshot<Board<Peripherals>>;

/// Who wants to know of exceptions and interrupts, if anybody does.
#[derive(Default)]
pub struct Watch(Option<Box<dyn Log>>);

/// Is told of exceptions and interrupts.
pub trait Log: Send {
    /// One is about to be delivered.
    fn add(&mut self, delivery: Delivery);

    /// A third exception has come, with this vector, and the CPU gives up.
    fn end(&mut self, vector: u8);
}

impl Watch {
    /// `log` is told.
    pub fn by(log: impl Log + 'static) -> Self {
        Self(Some(Box::new(log)))
    }
}

impl Observer for Watch {
    fn sees_deliveries(&self) -> bool {
        self.0.is_some()
    }

    fn delivering(&mut self, delivery: Delivery) {
        if let Some(log) = &mut self.0 {
            log.add(delivery);
        }
    }

    fn gave_up(&mut self, vector: u8) {
        if let Some(log) = &mut self.0 {
            log.end(vector);
        }
    }
}

/// The PC.
pub struct Pc(Machine<Parts>);

impl Pc {
    /// A PC whose CPU is in this state.
    pub fn new(entry: &EntryState, memory: Memory, devices: Peripherals, watch: Watch) -> Self {
        Self(Machine::new(entry, memory, Board::new(devices), watch))
    }

    /// Executes instructions until `count` have been executed since the start, or something else ends it.
    pub fn run(&mut self, count: u64) -> Stop {
        self.0.run(count)
    }

    /// A device has heard from outside: the board looks at it before the next instruction.
    pub fn notice(&mut self) {
        self.0.core.due = self.0.core.count;
    }

    /// The devices.
    pub fn devices(&mut self) -> &mut Peripherals {
        &mut self.0.core.bus.devices
    }

    /// Keeps the state ([`Machine::snapshot`]).
    pub fn snapshot(&mut self) -> PcSnapshot {
        self.0.snapshot()
    }

    /// Brings a state back.
    ///
    /// # Errors
    /// As those of [`Machine::restore`].
    pub fn restore(&mut self, snapshot: &PcSnapshot) -> Result<(), u64> {
        self.0.restore(snapshot)
    }

    /// The CPU, and all that it reaches.
    pub fn core(&self) -> &Core<Parts> {
        &self.0.core
    }

    /// True when the CPU waits for an interrupt.
    pub fn is_halted(&self) -> bool {
        self.0.core.activity == Activity::Halted
    }

    /// The CPU as the manual shows it.
    pub fn cpu(&self) -> CpuState {
        self.0.core.cpu()
    }

    /// Addresses of the pages of a part of memory that may have been written to since the start.
    pub fn written(&self, part: Range<u64>) -> Vec<u64> {
        self.0.core.code.written(part)
    }
}
