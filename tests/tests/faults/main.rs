//! The commands where the system fails them: calls that fail, kills, full disks, folders that nobody may write to, files that change
//! under their hands, signals without end. Each ends with a documented status, a sentence, and nothing left behind.
//!
//! `make faults` tries every call, which takes long; without it, a sample is tried.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
mod packer;
mod places;
mod runner;
mod signals;
