//! Interrupts and exceptions (Intel SDM volume 3A, chapter 6).

mod error_code;
mod exception;
mod gate;

pub use error_code::{PageFaultCode, SelectorCode};
pub use exception::{
    BREAKPOINT, DOUBLE_FAULT, ErrorCode, Exception, ExceptionClass, GENERAL_PROTECTION, OVERFLOW, PAGE_FAULT,
    exception, has_error_code,
};
pub use gate::{Gate, GateKind};
