//! Begins a manifest: finds kernel, modules and initramfs in a folder, and writes a manifest of which the image can be built.

mod begin;
mod choice;
mod select;
mod survey;
mod text;

pub use begin::{Begun, init};
pub use choice::{Choice, Initramfs, SCHEMA};
pub use select::as_name;
pub use text::{MEMORY, manifest};
