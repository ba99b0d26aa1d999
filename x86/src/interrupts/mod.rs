//! Interrupts and exceptions (Intel SDM volume 3A, chapter 6).

mod error_code;
mod exception;
mod extension;
mod gate;
mod pc;

pub use error_code::{PageFaultCode, SelectorCode};
pub use exception::{
    ALIGNMENT, BOUND, BREAKPOINT, DEBUG, DEVICE_NOT_AVAILABLE, DIVIDE, DOUBLE_FAULT, ErrorCode, Exception,
    ExceptionClass, GENERAL_PROTECTION, INVALID_OPCODE, INVALID_TSS, MATH_FAULT, NMI, NOT_PRESENT, OVERFLOW,
    PAGE_FAULT, SIMD_FAULT, STACK_FAULT, exception, has_error_code,
};
pub use extension::{ControlBit, Extension};
pub use gate::{Gate, GateKind};
pub use pc::{device_of, real_mode_service};
