//! What protects a kernel from its programs, and a program from itself: privileges, gates, tasks, pages, ports. Each test names the section of
//! the Intel SDM that it holds the machine to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod branches;
mod chips;
mod flags;
mod gates;
mod guest;
#[path = "../nothing/mod.rs"]
mod nothing;
mod pages;
mod ports;
mod segments;
mod tasks;
