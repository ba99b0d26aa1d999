//! The instructions of the CPU, a file for each chapter of the manual.

pub mod arithmetic;
pub mod bits;
pub mod branches;
pub mod chain;
pub mod cpuid;
pub mod decimal;
pub mod delivery;
pub mod far;
pub mod flag_control;
pub mod interrupts;
pub mod io;
pub mod logic;
pub mod model_registers;
pub mod moves;
pub mod multiply;
pub mod operands;
pub mod segments;
pub mod shifts;
pub mod simd;
pub mod stack;
pub mod strings;
pub mod system;
pub mod tasks;
pub mod x87;
