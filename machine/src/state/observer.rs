//! Whoever watches the machine. What nobody watches costs nothing: a machine is compiled for its observer.

use stos_x86::registers::CpuState;

use super::fault::{Fault, Use};

/// What has led to an entry of the IDT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The CPU.
    Exception,
    /// INT n, INT3 or INTO.
    Software,
    /// A device.
    External,
}

/// An exception or interrupt that is about to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its entry of the IDT.
    pub vector: u8,
    /// What it pushes besides.
    pub error_code: Option<u32>,
    /// What it comes from.
    pub cause: Cause,
    /// The event whose delivery has failed with it.
    pub during: Option<u8>,
    /// The exception that made a double fault of that one.
    pub second: Option<u8>,
    /// The CPU before it.
    pub cpu: CpuState,
}

/// An instruction that is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its offset in the code segment.
    pub eip: u32,
    /// Its linear address.
    pub linear: u32,
    /// Where its first byte is in guest-physical memory.
    pub physical: u64,
    /// The time, in instructions.
    pub time: u64,
}

/// A use of data in memory, or of a device at an address. One that crosses into another page is two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// It was written, not read.
    pub is_write: bool,
    /// Its linear address.
    pub linear: u32,
    /// The guest-physical one.
    pub physical: u64,
    /// What was read, or is there now.
    pub bytes: &'a [u8],
    /// The instruction.
    pub eip: u32,
    /// The time, in instructions.
    pub time: u64,
}

/// A use of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortUse {
    /// The first port.
    pub port: u16,
    /// Bytes: 1, 2 or 4.
    pub width: u8,
    /// It was written, not read.
    pub is_write: bool,
    /// What.
    pub value: u32,
    /// The instruction.
    pub eip: u32,
}

/// A page that was used as the TLB has it, and not as the page tables have it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The address that was used.
    pub linear: u32,
    /// What for.
    pub wanted: Use,
    /// The guest-physical address that it was.
    pub used: u64,
    /// The one that it would be by the tables; `None` where they forbid it.
    pub now: Option<u64>,
    /// The instruction.
    pub eip: u32,
}

/// A control register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names")]
pub enum Control {
    Cr0,
    Cr2,
    Cr3,
    Cr4,
}

/// Sees what the machine does. Each method does nothing unless it is written anew, and where what it is told takes time to find out, a
/// constant says that it is called.
pub trait Observer {
    /// True when [`Observer::executing`] and [`Observer::executed`] are to be called.
    const SEES_INSTRUCTIONS: bool = false;
    /// True when [`Observer::accessed`] is to be called.
    const SEES_MEMORY: bool = false;
    /// True when [`Observer::stale`] is to be called.
    const SEES_STALE: bool = false;

    /// An instruction is about to be executed.
    fn executing(&mut self, _executed: Executed) {}

    /// It was executed, and goes on at this offset: its own, where a repeated one (REP) was left before its end, to be executed again.
    fn executed(&mut self, _executed: Executed, _next: u32) {}

    /// An instruction, or the CPU for it, has used data in memory or a device there. What the CPU reads and writes of page tables is left out.
    fn accessed(&mut self, _access: Access<'_>) {}

    /// A page is used that the page tables have otherwise, or no longer.
    fn stale(&mut self, _stale: Stale) {}

    /// An address was not in the TLB, or not for this use, and paging is on.
    fn missed(&mut self, _linear: u32, _wanted: Use, _is_user: bool) {}

    /// A port was used.
    fn port(&mut self, _used: PortUse) {}

    /// A control register was written, by MOV, LMSW, CLTS or a task switch.
    fn controlled(&mut self, _register: Control, _old: u32, _new: u32) {}

    /// The task register leads to another task.
    fn switched(&mut self, _old: u16, _new: u16) {}

    /// An exception was raised, by the instruction at this address or while another was delivered there.
    fn raised(&mut self, _fault: &Fault, _eip: u32) {}

    /// True when [`Observer::delivering`] and [`Observer::returned`] are to be called.
    fn sees_deliveries(&self) -> bool {
        false
    }

    /// An exception or interrupt is about to be delivered.
    fn delivering(&mut self, _delivery: Delivery) {}

    /// IRET at this offset has led back to where the CPU is now.
    fn returned(&mut self, _eip: u32, _cpu: CpuState) {}

    /// A third exception has come, with this vector, and the CPU gives up.
    fn gave_up(&mut self, _vector: u8) {}
}

/// Nobody.
impl Observer for () {}
