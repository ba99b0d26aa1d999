//! Runs stos boot images: checks an image, puts it into guest memory, enters it on KVM or on an emulator, and tells how it
//! ended.
//!
//! The way of the data: [`load`] turns a file into a checked image and the guest's memory, [`backend`] executes that,
//! [`devices`] answer the guest's port accesses, [`console`] carries its serial port and its keys, [`screen`] shows what it
//! draws, [`session`] watches over all of it, and one [`Outcome`] comes out, with a [`report`] of everything that was seen.

#![deny(unsafe_code)]

pub mod backend;
pub mod cli;
pub mod console;
pub mod cpu;
pub mod devices;
pub mod diagnosis;
pub mod event;
pub mod explain;
mod file;
pub mod linear;
pub mod load;
pub mod memory;
pub mod observed;
pub mod options;
pub mod outcome;
pub mod pic;
pub mod report;
pub mod screen;
pub mod session;
mod verdict;

pub use options::{Options, TimeLimit};
pub use outcome::Outcome;
pub use session::{Notice, run};
