//! Floating-point numbers as the processor has them (Intel SDM volume 1, chapter 4 and section 8.2): a soft float of its own, so that every host
//! computes the same bits.

pub mod arithmetic;
pub mod compare;
pub mod convert;
pub mod exact;
pub mod extended;
pub mod format;
pub mod functions;
pub mod remainder;
pub mod value;
pub mod wide;
