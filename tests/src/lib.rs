//! What the end-to-end tests share: the built tools, hand-made ELF files, and a real KVM inside an emulated machine.

#![forbid(unsafe_code)]

pub mod bzimage;
pub mod elf;
pub mod emulator;
pub mod fixtures;
pub mod fuzz;
pub mod guests;
pub mod hostile;
pub mod nested;
pub mod terminal;
pub mod tools;
pub mod witness;
