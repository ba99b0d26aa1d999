//! The state of the machine and the mechanisms that every instruction uses: registers, flags, segments, translation, memory.

mod access;
mod begun;
pub mod core;
mod debug;
pub mod descriptors;
pub mod fault;
pub mod flags;
mod image;
pub mod model_registers;
pub mod observer;
pub(crate) mod saved;
pub mod segment;
pub mod sse;
pub mod stack;
pub(crate) mod tlb;
mod translate;
pub mod watched;
mod wide;
pub mod word;
pub mod x87;
