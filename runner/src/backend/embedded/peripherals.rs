//! The devices, plugged into the board.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stos_machine::chips::board::Devices as Plugged;
use stos_machine::time::{NANOSECONDS_PER_INSTRUCTION, instruction_at, nanosecond};

use super::lines::{Line, Lines, VirtualTime};
use crate::backend::Exits;
use crate::devices::{Clock, PortBus, Request};

/// How long a CPU that waits, and has no timer, may wait before it is looked at whether it still can be interrupted: 50 milliseconds.
pub const LOOK: u64 = 50_000_000 / NANOSECONDS_PER_INSTRUCTION;

/// The devices. Clones are the same ones: one is plugged in, one tells what has become of them.
pub struct Peripherals<C> {
    shared: Arc<Mutex<Plugs<C>>>,
    lines: Lines,
    time: VirtualTime,
    /// More input may come.
    is_open: Arc<AtomicBool>,
}

/// What is behind the ports.
pub struct Plugs<C> {
    /// The ports.
    pub bus: PortBus<Line, C>,
    /// What the guest has asked for, which ends the run.
    pub request: Option<Request>,
    /// What was counted.
    pub exits: Exits,
}

impl<C> Clone for Peripherals<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            lines: self.lines.clone(),
            time: self.time.clone(),
            is_open: Arc::clone(&self.is_open),
        }
    }
}

impl<C: Clock> Peripherals<C> {
    /// Devices whose interrupts come by `lines`, and whose time is `time`.
    pub fn new(bus: PortBus<Line, C>, lines: Lines, time: VirtualTime) -> Self {
        let shared = Arc::new(Mutex::new(Plugs { bus, request: None, exits: Exits::default() }));
        Self { shared, lines, time, is_open: Arc::new(AtomicBool::new(true)) }
    }

    /// What is behind the ports.
    pub fn lock(&self) -> MutexGuard<'_, Plugs<C>> {
        // Each is whole between two accesses.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether more input may come, for which a CPU without a timer waits.
    pub fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// Tells how far time has come.
    pub fn set_time(&self, now: u64) {
        self.time.set(nanosecond(now));
    }
}

impl<C: Clock> Plugged for Peripherals<C> {
    fn read_port(&mut self, port: u16, width: u8, now: u64) -> u32 {
        self.set_time(now);
        let mut plugs = self.lock();
        plugs.exits.port_reads += 1;
        let mut bytes = [0; 4];
        let width = usize::from(width).min(4);
        plugs.bus.read(port, width, &mut bytes[..width]);
        u32::from_le_bytes(bytes)
    }

    fn write_port(&mut self, port: u16, width: u8, value: u32, now: u64) {
        self.set_time(now);
        let mut plugs = self.lock();
        plugs.exits.port_writes += 1;
        let width = usize::from(width).min(4);
        let request = plugs.bus.write(port, width, &value.to_le_bytes()[..width]);
        plugs.request = plugs.request.or(request);
    }

    fn advance(&mut self, now: u64) -> u64 {
        self.set_time(now);
        let next = self.lock().bus.poll();
        let next = next.map_or(u64::MAX, |time| instruction_at(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)));
        if self.is_open.load(Ordering::Relaxed) { next.min(now.saturating_add(LOOK)) } else { next }
    }

    fn lines(&self) -> u16 {
        self.lines.levels()
    }

    fn dips(&mut self) -> u16 {
        self.lines.dips()
    }

    fn has_ended(&self) -> bool {
        self.lock().request.is_some()
    }
}
