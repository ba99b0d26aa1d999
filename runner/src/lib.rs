//! Runs stos boot images: checks an image, puts it into guest memory, enters it on KVM or on an emulator, and tells how it
//! ended.
//!
//! The way of the data: [`machine`] turns a file into a checked image in guest memory, [`backend`] executes that,
//! [`devices`] answer the guest's port accesses, [`serial`] and [`terminal`] carry its serial port and its keys, [`screen`]
//! holds what it draws, [`session`] watches over all of it, and one [`Outcome`] comes out, with a [`report`]
//! of everything that was seen.

#![deny(unsafe_code)]
// Whoever reads this works on the program, and has the pages of the private rooms, too.
#![allow(rustdoc::private_intra_doc_links)]

pub mod backend;
mod channel;
pub mod cli;
mod devices;
mod diagnosis;
pub mod doctor;
pub mod explain;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod machine;
pub mod options;
pub mod outcome;
mod outlet;
mod repeat;
#[cfg_attr(not(target_os = "linux"), path = "sandbox/elsewhere.rs")]
mod sandbox;
mod screen;
mod serial;
mod session;
pub mod settings;
mod terminal;
mod timings;
pub mod verbs;
mod watch;

pub use backend::Remains;
pub use options::{Options, TimeLimit};
pub use outcome::{Headline, Outcome, Telling, report};
pub use outlet::tell;
pub use repeat::{die_with, watch};
pub use session::{Conclusion, Early, Notice, VERBS, manifest_of, run};
pub use timings::{Step, Timings};
