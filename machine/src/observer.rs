//! Whoever watches the machine. What nobody watches costs nothing: a machine is compiled for its observer.

use crate::state::fault::Fault;

/// Sees what the machine does. Each method does nothing unless it is written anew.
pub trait Observer {
    /// True when [`Observer::instruction`] is to be called.
    const SEES_INSTRUCTIONS: bool = false;

    /// An instruction is about to be executed.
    fn instruction(&mut self, _eip: u32) {}

    /// An exception was raised, by the instruction at this address or while another was delivered there.
    fn raised(&mut self, _fault: &Fault, _eip: u32) {}

    /// An exception or interrupt was delivered: its vector, its error code, and the address of the instruction.
    fn delivered(&mut self, _vector: u8, _error_code: Option<u32>, _eip: u32) {}
}

/// Nobody.
impl Observer for () {}
