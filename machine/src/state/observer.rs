//! Whoever watches the machine. What nobody watches costs nothing: a machine is compiled for its observer.

use stos_x86::registers::CpuState;

use super::fault::Fault;

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

/// Sees what the machine does. Each method does nothing unless it is written anew.
pub trait Observer {
    /// True when [`Observer::instruction`] is to be called.
    const SEES_INSTRUCTIONS: bool = false;

    /// An instruction is about to be executed.
    fn instruction(&mut self, _eip: u32) {}

    /// An exception was raised, by the instruction at this address or while another was delivered there.
    fn raised(&mut self, _fault: &Fault, _eip: u32) {}

    /// True when [`Observer::delivering`] is to be called.
    fn sees_deliveries(&self) -> bool {
        false
    }

    /// An exception or interrupt is about to be delivered.
    fn delivering(&mut self, _delivery: Delivery) {}

    /// A third exception has come, with this vector, and the CPU gives up.
    fn gave_up(&mut self, _vector: u8) {}
}

/// Nobody.
impl Observer for () {}
